"""``ssl4rl export``: what a call writes and says."""

from __future__ import annotations

import itertools
import json

from ssl4rl_benchmarks.cli import main
from ssl4rl_envs import telling

CALL = ["export", "SSL4RL/Rotation-v0", "--to", "jsonl", "-n", "5", "--shard-size", "2", "--source", "digits"]


def test_progress_is_on_standard_error_and_results_on_standard_output(tmp_path, capsys, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(telling.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(telling.Line, "due", True)
    assert main([*CALL, "--out", str(tmp_path / "a")]) == 0
    said = capsys.readouterr()
    told = [line for line in said.err.splitlines() if "exporting" in line]
    assert told[0].startswith("ssl4rl: exporting SSL4RL/Rotation-v0: 4 of 5, ")
    assert told[1].startswith("ssl4rl: exporting SSL4RL/Rotation-v0: 5 in ")
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
