"""``ssl4rl export``: what a call writes and says."""

from __future__ import annotations

import io
import json

from ssl4rl_benchmarks.cli import main
from ssl4rl_benchmarks.commands.export import Meter

CALL = ["export", "SSL4RL/Rotation-v0", "--to", "jsonl", "-n", "5", "--shard-size", "2", "--source", "digits"]


def test_progress_is_on_standard_error_and_results_on_standard_output(tmp_path, capsys):
    assert main([*CALL, "--out", str(tmp_path / "a")]) == 0
    said = capsys.readouterr()
    assert [line.rsplit(",", 1)[0] for line in said.err.splitlines() if "questions" in line] == [
        "2 of 5 questions",
        "4 of 5 questions",
        "5 of 5 questions",
    ]
    assert said.out.startswith("5 questions of SSL4RL/Rotation-v0 in ")
    assert main([*CALL, "--out", str(tmp_path / "a"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest == json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert manifest["args"] == {"source": "digits"}  # rows carry what was given, not every default


def test_levels_and_first_questions_are_flags(tmp_path, capsys):
    assert main([*CALL, "--level", "angles-2", "--first", "7", "--seed", "2", "--out", str(tmp_path / "a"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert (manifest["args"], manifest["first"], manifest["seed"]) == ({"source": "digits", "level": "angles-2"}, 7, 2)


def test_mistakes_are_told_in_a_line(tmp_path, capsys):
    (tmp_path / "there.txt").touch()
    assert main([*CALL, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("ssl4rl export: ")
    assert main(["export", "SSL4RL/PatchSwap-v0", "--to", "jsonl", "-n", "5", "--out", str(tmp_path / "b")]) == 2
    assert "decisions" in capsys.readouterr().err


def test_a_terminal_shows_one_line_that_is_written_over():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    meter = Meter(shown)
    meter(2, 4)
    meter(4, 4)
    assert shown.getvalue() == "\r2 of 4 questions, 0 s\r4 of 4 questions, 0 s\n"
