"""What holds for every command alike, by a loop over the table of all ways to call one."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from ssl4rl_benchmarks import commands
from ssl4rl_benchmarks.cli import main
from ssl4rl_benchmarks.commands.table import CALLS, COMMANDS, usage, way
from ssl4rl_envs import installing, telling

ROOT = Path(__file__).parents[2]
WORDS = {
    "ENV": "Rotation",
    "FILE": "a.png",
    "FOLDER": "folder",
    "NAME": "sb3-ppo",
    "RUN_FOLDER": "run",
    "[ENV]": "",
    "AGENT": "random",
    "PICTURE": "a.png",
    "openai:MODEL": "openai:model",
    "hf:MODEL": "hf:model",
    "REPLIES.jsonl": "replies.jsonl",
    "SUITE": "smoke",
    "FORMAT": "jsonl",
    "N": "2",
    "bash|zsh|fish": "bash",
    "...": "",
}
NEEDY = [call for call in CALLS if call.needs]


def spelled(words: str) -> list[str]:
    """A call of the table with words of its own in the place of those in capitals."""
    return [word for word in (WORDS.get(word, word) for word in words.split()) if word]


@pytest.fixture
def somewhere(tmp_path, monkeypatch) -> Path:
    """A folder with what calls name: a run (its settings alone), replies, a picture."""
    from PIL import Image

    from ssl4rl_agents.settings import TrainConfig

    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "folder").mkdir()
    for folder in ("run", "folder"):
        (tmp_path / folder / "config.json").write_text(json.dumps(TrainConfig().resolved().to_json()))
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    return tmp_path


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_usage_is_no_wider_than_the_terminal(width):
    said = usage(width)
    assert max(map(len, said.splitlines())) <= width
    for call in CALLS:
        assert " ".join(call.does.split()) in " ".join(said.split())


def test_every_command_has_a_module_and_every_way_is_found():
    for command in COMMANDS:
        assert (Path(commands.__file__).parent / f"{command.split()[-1]}.py").exists()
    for call in CALLS:
        assert way(call.words) is call


BLOCKED = """
import json, sys
from importlib.machinery import PathFinder
from contextlib import redirect_stdout, redirect_stderr
from io import StringIO

class Gone(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in set(json.loads(sys.argv[1])):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Gone)
from ssl4rl_benchmarks.cli import main
for words in json.loads(sys.argv[2]):
    said, wrong = StringIO(), StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(wrong):
            status = main(words)
    except SystemExit as stop:
        status = stop.code or 0
    print(json.dumps([words, status, said.getvalue(), wrong.getvalue()]))
"""


def test_help_and_completion_need_no_more_than_the_environments():
    """Nor does anything that the table asks no packages for."""
    packages = sorted({name for call in CALLS for name in call.needs} | {"sb3_contrib", "datasets", "pyarrow", "rliable"})
    calls = [[*spelled(call.words)[: 1 + ("tune" in call.words)], "--help"] for call in CALLS]
    calls += [["train", "Rotation", "--agent", "sb3-ppo", "--help"], ["eval", "openai:m", "--help"]]
    calls += [["eval", "hf:m", "--help"], ["completion", "bash"], ["list", "Rotation"], ["--version"]]
    command = [sys.executable, "-c", BLOCKED, json.dumps(packages), json.dumps(calls)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, telling.VARIABLE: "1"})
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(lines) == len(calls), ran.stderr
    for words, status, said, wrong in lines:
        assert (status, wrong) == (0, ""), words
        assert f"ssl4rl {words[0]}" in said or words[0] in ("list", "--version"), words
    (completed,) = [said for words, _, said, _ in lines if words == ["completion", "bash"]]
    assert "--rollout.group-size" in completed
    assert "--runs-per-gpu" in completed


def test_training_needs_nothing_that_only_suites_need(tmp_path):
    """From beginning to end, with its report: `pip install ".[all]"` leaves out what stands in the extra bench alone."""
    sizes = "--source digits --image-size 36"
    trained = "--iterations 1 --rollout.prompts 8 --format-warmup 1 --test-episodes 8 --eval-episodes 8 --device cpu"
    calls = [
        f"train Rotation {sizes} {trained} --optimizer.minibatches 1 --out {tmp_path / 'run'}".split(),
        f"train Rotation {sizes} --agent sb3-ppo --episodes 64 --test-episodes 8 --out {tmp_path / 'kept'}".split(),
        f"eval {tmp_path / 'run'} --episodes 8".split(),
    ]
    only = json.dumps(["rliable", "arch", "sb3_contrib"])
    command = [sys.executable, "-c", BLOCKED, only, json.dumps(calls)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, telling.VARIABLE: "1"})
    outcomes = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("[[")]
    assert [status for _, status, _, _ in outcomes] == [0, 0, 0], (outcomes, ran.stderr)
    assert (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "kept" / "report.html").exists()


@pytest.mark.parametrize("call", NEEDY, ids=lambda call: call.words)
def test_what_is_missing_is_told_in_one_line_that_ends_with_how_to_install_it(call, somewhere, monkeypatch, capsys):
    monkeypatch.setattr(installing, "find_spec", lambda name: None)
    words = spelled(call.words)
    out = words[words.index("--out") + 1] if "--out" in words else ""
    assert main([word if word != out else "elsewhere" for word in words]) == 2
    said = capsys.readouterr()
    missing = ", ".join(name.replace("_", "-") for name in call.needs)
    assert said.out == ""
    assert said.err == f"ssl4rl {call.command}: it needs {missing}: {installing.install_line(*call.extras)}\n"
    assert not Path("elsewhere").exists()


DIGITS = ["--source", "digits", "--image-size", "36"]
PATIENT: dict[str, list[str]] = {
    "list": ["list", "Rotation"],
    "show": ["show", "Rotation", "--out", "b.png", "--count", "1", *DIGITS],
    "audit": ["audit", "Rotation", "--episodes", "10", *DIGITS],
    "eval": ["eval", "random", "Rotation", "--episodes", "8", *DIGITS],
    "eval --out": ["eval", "rule", "Rotation", "--episodes", "8", "--out", "r.jsonl", *DIGITS],
    "score": ["score", "r.jsonl"],
    "leaderboard": ["leaderboard", "r.jsonl"],
    "export": ["export", "Rotation", "--to", "jsonl", "--out", "e", "-n", "4", "--shard-size", "2", *DIGITS],
    "cache": ["cache"],
    "completion": ["completion", "bash"],
}


def test_quiet_holds_for_every_command(tmp_path, monkeypatch, capsys):
    """And without it, what takes long says so: here everything does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(telling, "PATIENCE", -1.0)
    monkeypatch.setattr(telling.Line, "due", True)

    class AtOnce:
        def __init__(self, _: float, word) -> None:
            self.start, self.daemon = word, False

        def cancel(self) -> None:
            pass

    monkeypatch.setattr(telling.threading, "Timer", AtOnce)
    for name, words in PATIENT.items():
        monkeypatch.setenv(telling.VARIABLE, "")
        assert main([*words, "--quiet"]) == 0, (name, capsys.readouterr().err)
        assert capsys.readouterr().err == "", name
    monkeypatch.setenv(telling.VARIABLE, "")
    told = {"eval": "asking random", "leaderboard": "scoring 8 replies", "score": "scoring 8 replies"}
    for name, words in told.items():
        assert main(PATIENT[name]) == 0
        assert words in capsys.readouterr().err


def test_commands_speak_through_one_module():
    """So that --quiet holds, whatever is added; what `list` could not build is a mistake, which --quiet shows."""
    for file in sorted(Path(commands.__file__).parent.glob("*.py")):
        names = {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
        assert ("stderr" in names) == (file.name == "list.py"), file.name
        needs = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        called = {node.func.id for node in needs if isinstance(node.func, ast.Name)}
        assert "need" not in called or file.name in ("calls.py", "sweeping.py"), f"{file.name}: the table says what is needed"


WRONG_ON_A_TERMINAL = """
from ssl4rl_benchmarks.cli import main
import sys
for words in {calls!r}:
    assert main(words) == 2
    print("END", file=sys.stderr)
"""


def test_mistakes_are_one_plain_line_on_a_narrow_terminal_too():
    """What a terminal colours and boxes is read by people who cannot see the colours: a log, a screen reader."""
    calls = [
        ["eval", "random", "Rotation", "--episodes", "many"],
        ["show", "Rotation"],
        ["show", "Rotation", "--out", "a.png", "--count"],
        ["list", "--jsn"],
        ["export", "Rotation", "--to", "jsonl"],
    ]
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    child = subprocess.Popen(
        [sys.executable, "-c", WRONG_ON_A_TERMINAL.format(calls=calls)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=ROOT,
        env={**environment, "TERM": "xterm-256color", telling.VARIABLE: "1"},
    )
    os.close(follower)
    said = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # as Linux says that nobody writes any more
            break
        if not part:
            break
        said += part
    assert child.wait() == 0, said.decode()
    os.close(leader)
    lines = [line for line in said.decode().splitlines() if line != "END"]
    assert len(lines) == len(calls), said.decode()
    for words, line in zip(calls, lines, strict=True):
        assert line.startswith(f"ssl4rl {words[0]}: "), line
        assert line.isascii(), line
        assert "\x1b" not in line
        assert "  " not in line
        assert "---" not in line, "no box"
        assert len(line) < 300, line
