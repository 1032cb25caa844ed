"""Wrong calls of `ssl4rl`: each is answered by one line that says what would be right, with status 2 and no traceback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading

import pytest

from ssl4rl_envs import installing, telling

WRONG = {
    # commands
    "trian Rotation": "did you mean 'train'?",
    "shw": "did you mean 'show'?",
    "Rotation": "known are list, show",
    "--verbose": "known are list, show",
    # environments
    "show": "name an environment: ssl4rl show Rotation",
    "show --out a.png": "name an environment",
    "show Rotatoin --out a.png": "did you mean 'Rotation'?",
    "show SSL4RL/Rotatoin-v0 --out a.png": "did you mean 'Rotation'?",
    "show Rotation-v9 --out a.png": "did you mean 'Rotation'?",
    "show CartPole-v1 --out a.png": "known are Rotation",
    "train": "name an environment: ssl4rl train",
    "train patchordring --out x": "did you mean 'PatchOrdering'?",
    "audit": "--all",
    "audit Rotatio": "did you mean 'Rotation'?",
    "audit Rotation --all": "one environment, or --all",
    "eval random": "name an environment: ssl4rl eval random Rotation",
    "eval random Rotatoin": "did you mean 'Rotation'?",
    # agents and runs
    "eval": "name a run folder, or an agent and an environment",
    "eval randm Rotation": "did you mean 'random'?",
    "eval sb3-pp Rotation": "did you mean 'sb3-ppo'?",
    "eval sb3-ppo": "name an environment: ssl4rl eval sb3-ppo",
    "eval sb3-ppo Rotation --episodes 4 --source digits": "has to learn before it can be measured",
    "eval gcn-ppo EdgePrediction --episodes 4": "has to learn before it can be measured",
    "eval runs/nope": "ssl4rl train ENV --out runs/nope",
    "eval runs/nope Rotation": "no run folder runs/nope",
    "eval .": "not a run folder",
    "eval no_such_module:Agent Rotation": "no module no_such_module",
    "eval json:Agent Rotation": "has no Agent",
    "train --resume": "--resume",
    "train --resume nowhere": "nowhere is not a run folder",
    # flags
    "list --jsn": "did you mean --json?",
    "bench smoke --agent random --agent rule": "--agent is given twice; give all its values behind one: --agent A B",
    "list more": "more",
    "show Rotation": "--out",
    "show Rotation --out": "--out",
    "show Rotation --outt a.png": "did you mean --out?",
    "show Rotation --out a.png --level easy": "takes one of angles-2, angles-4",
    "show Rotation --out a.png --level=angle-4": "did you mean 'angles-4'?",
    "show Rotation --out a.png --level hrd": "angles-12, got 'hrd'; ssl4rl show SSL4RL/Rotation-v0 --help explains it",
    "eval random Rotation --level angels-8": "angles-12, got 'angels-8'; did you mean 'angles-8'?",
    "show Rotation --out a.png --split tset": "did you mean 'test'?",
    "show Rotation --out a.png more": "more",
    "show Rotation --out a.png --count many": "--count",
    "show EdgePrediction --out a.png --angles 4": "no flag --angles",
    "train Rotation --out x --group-size 4": "did you mean --rollout.group-size?",
    "train Rotation --out x --rollout.groupsize 4": "did you mean --rollout.group-size?",
    "train Rotation --out x --objective.advantage gea": "did you mean 'gae'?",
    "train Rotation --out x --prompt-style tool": "direct, think, got 'tool'; calls of a tool are not trained here",
    "eval random Rotation --levl angles-4": "did you mean --level?",
    "eval random Rotation --grammar loose": "strict, lenient",
    "cache --chek": "did you mean --check?",
    "assemble": "--out",
    "completion": "bash, zsh, fish",
    "completion bsh": "did you mean 'bash'?",
    # values
    "show Rotation --seed -1 --out a.png": "[0, 2**64), got",
    "show Rotation --seed 18446744073709551616 --out a.png": "[0, 2**64), got",
    "show Rotation --count 0 --out a.png": "at least 1",
    "show Rotation --count 1000000000 --out a.png": "at most 1000",
    "show Rotation --out a.nonsense": "e.g. board.png",
    "show Rotation --out /": "e.g. board.png",
    "show Rotation --angles 7 --out a.png": "divide 360",
    "show Rotation --source sceens --out a.png": "did you mean 'scenes'?",
    "show Rotation --source folder:/no/such --out a.png": "/no/such",
    "show Rotation --image-size 0 --out a.png": "image_size",
    "eval random Rotation --seed -1": "at least 0, got -1",
    "eval random Rotation --episodes 0": "at least 1, got 0",
    "audit Rotation --episodes 0": "at least 1, got 0",
    "audit Rotation --jobs -1": "--jobs",
    "train Rotation --out x --device coda": "auto, cpu, cuda",
    "train Rotation --out x --iterations -1 ": "iterations",
    "train Rotation --out x --policy.model nanoo": "nanoo",
    "cache --build nonsense": "known are scenes",
    "cache --clear --check": "one of --build, --clear and --check",
    # suites
    "bench": "name a suite: ssl4rl bench smoke",
    "bench smok": "did you mean 'smoke'?",
    "bench nowhere.json": "nowhere.json",
    "bench tune": "ssl4rl bench tune images",
    "bench smoke --env rotatin": "did you mean 'Rotation'?",
    "bench smoke --agent sb3-pop": "did you mean 'sb3-ppo'?",
    "bench smoke --seed 99": "99",
    # replies
    "score": "name files of replies",
    "score nowhere.jsonl": "nowhere.jsonl: there is no such file or folder",
    "leaderboard": "name folders of replies",
    "leaderboard nowhere": "nowhere: there is no such file or folder",
    "ask": "name a run folder and a picture",
    "export": "name an environment: ssl4rl export",
    "export Rotation": "--to",
    "export Rotation --to josnl --out e -n 2": "did you mean 'jsonl'?",
    "serve": "name an environment: ssl4rl serve",
    "serve Rotation --prot 80": "did you mean --port?",
}


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_call_is_told_in_one_line(run, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = run(*call.split())
    said = [line for line in result.err.splitlines() if not line.startswith("ssl4rl: ") or not line.endswith(" ...")]
    assert (result.status, result.out) == (2, "")
    assert len(said) == 1, result.err
    assert said[0].startswith("ssl4rl")
    assert "Traceback" not in result.err
    assert WRONG[call] in said[0], said[0]
    assert not (tmp_path / "a.png").exists()
    assert not (tmp_path / "x").exists()


def test_a_fault_of_the_program_is_told_in_one_line_too(run, monkeypatch):
    """With another status, and where more can be seen."""
    from ssl4rl_benchmarks.commands import list as command

    monkeypatch.setattr(command, "describe", lambda env_id: {}["nothing"])
    result = run("list")
    assert result.status == 70
    assert result.err == (
        "ssl4rl list: a fault of ssl4rl, or of what it calls, rather than of the call: KeyError: 'nothing' "
        "(SSL4RL_TRACEBACK=1 shows where)\n"
    )


@pytest.mark.parametrize(
    "call", ["list", "show Rotation --out a.png --count 1", "eval random Rotation --episodes 4", "list --json"]
)
def test_what_needs_no_more_packages_runs_without_them(run, monkeypatch, tmp_path, call):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(installing, "find_spec", lambda name: None)
    assert run(*call.split()).status == 0


def test_quiet_says_nothing_on_standard_error(run, monkeypatch):
    """Nor do the processes that it starts, which inherit the variable."""
    monkeypatch.setenv(telling.VARIABLE, "")
    monkeypatch.setattr(telling, "PATIENCE", 0)
    said = run("eval", "random", "Rotation", "--episodes", "4", "--source", "digits", "--quiet")
    assert (said.status, said.err) == (0, "")
    assert os.environ[telling.VARIABLE]


def test_what_takes_long_is_told_on_standard_error(monkeypatch, capsys):
    monkeypatch.setenv(telling.VARIABLE, "")
    told = threading.Event()
    monkeypatch.setattr(telling, "tell", lambda line: (print(line, file=sys.stderr), told.set()))
    with telling.waiting("loading the model", patience=0.01):
        assert told.wait(10)
    with telling.waiting("nothing that takes long", patience=60):
        pass
    assert capsys.readouterr().err == "ssl4rl: loading the model ...\n"


def test_one_of_several_processes_speaks(monkeypatch):
    monkeypatch.setenv(telling.VARIABLE, "")
    monkeypatch.setenv("RANK", "1")
    assert telling.quiet()
    monkeypatch.setenv("RANK", "0")
    assert not telling.quiet()


def test_the_versions_are_told(run):
    result = run("--version")
    assert result.status == 0
    assert re.fullmatch(r"ssl4rl \S+, python 3\.\d+\.\d+, gymnasium \S+, .*torch \S+.*\n", result.out)


COMPLETED = {
    "tr": "train",
    "show Rotati": "Rotation",
    "show Rotation --an": "--angles",
    "show SSL4RL/Rotation-v0 --lev": "--level",
    "show Rotation --split ": "train validation test",
    "show Rotation --level angles-1": "angles-12",
    "show EdgePrediction --source c": "cora",
    "eval ran": "random",
    "eval random PatchS": "PatchSwap",
    "train Rotation --rollout.g": "--rollout.group-size",
    "bench tu": "tune",
    "completion ": "bash zsh fish",
    "serve Odd": "OddPatch",
    "show Rotation --out ": "",
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_environments_agents_and_flags(run, tmp_path):
    script = tmp_path / "completion.bash"
    script.write_text(run("completion", "bash").out)
    ask = 'source "$0"; for call in "$@"; do COMP_WORDS=(ssl4rl); while IFS= read -r -d " " w; do COMP_WORDS+=("$w"); '
    ask += 'done <<< "$call "; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _ssl4rl; echo "${COMPREPLY[*]}"; done'
    done = subprocess.run(["bash", "-c", ask, script, *COMPLETED], capture_output=True, text=True, check=True)
    assert dict(zip(COMPLETED, done.stdout.splitlines(), strict=True)) == COMPLETED


def test_other_shells_are_given_the_same_words(run):
    """Their scripts were tried in zsh 5.9 and fish 3.6; here their words are held against those of bash."""
    for shell, start in (("zsh", "#compdef ssl4rl\n"), ("fish", "# ssl4rl completion fish")):
        script = run("completion", shell).out
        assert script.startswith(start)
        for word in ("PatchOrdering", "random", "rollout.group-size", "angles-12", "train validation test", "smoke"):
            assert word in script
