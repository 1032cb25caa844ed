"""Flags, grids and resumed runs refuse the settings that Python and JSON refuse, by the same name."""

from __future__ import annotations

import json
import re
import typing
from typing import Any

import pytest

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.named import BEGINNINGS
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_agents.trainer_agents import DECIDED
from ssl4rl_benchmarks import cli
from ssl4rl_benchmarks.bench.grid import from_file
from tests.agents.wrong_settings import NAMING_NOTHING, every_setting, kind_of, nested, spoiled, wrong_values

SETTINGS = every_setting()
NAMES = [".".join(path) for path, _ in SETTINGS]
FLAGS = {name: hint for name, (_, hint) in zip(NAMES, SETTINGS, strict=True) if name not in ("env", "env_args")}
"""The environment has a place of its own on a command line, and its arguments flags of their own."""

WORDS: dict[Any, list[list[str]]] = {
    bool: [["maybe"]],
    int: [["1.5"], ["-1"], ["1" + "0" * 40], ["three"]],
    float: [["nan"], ["-inf"], ["-1"], ["1e300"], ["much"]],
    tuple: [["0.9"], ["0.9", "1.0"], ["nan", "0.9"]],
    typing.Literal: [["NONE_OF_THEM"]],
    dict: [["a", "nan"], ["a"]],
}
"""By type: words of a command line that no setting of this type takes."""


def words_for(name: str, hint: Any) -> list[list[str]]:
    if name in NAMING_NOTHING:
        return [value if isinstance(value, list) else [value] for value in NAMING_NOTHING[name][:3]]
    return WORDS[kind_of(hint)]


def refused(arguments: list[str]) -> None:
    """Check that the command ends with the status of a mistake in the call, without a traceback."""
    try:
        status = cli.main(arguments)
    except SystemExit as end:
        status = end.code
    assert status == 2


@pytest.mark.parametrize(("name", "hint"), FLAGS.items(), ids=list(FLAGS))
def test_flags(name, hint, tmp_path, capsys):
    flag = name.replace("_", "-")
    for words in words_for(name, hint):
        refused(["train", "SSL4RL/Rotation-v0", "--out", str(tmp_path / "run"), f"--{flag}", *words])
        said = re.sub(r"[\s│]+", " ", capsys.readouterr().err)
        assert flag in said or name in said or (hint is bool and words[0] in said)
    assert not (tmp_path / "run").exists()


def test_the_environment_and_its_arguments_on_a_command_line(tmp_path, capsys):
    run = ["--out", str(tmp_path / "run")]
    for arguments, said in (
        (["SSL4RL/Rotaton-v0"], "unknown environment 'SSL4RL/Rotaton-v0'; did you mean 'Rotation'?"),
        (["SSL4RL/Rotation-v0", "--angels", "4"], "--angles"),
        (["SSL4RL/Rotation-v0", "--angles", "4.5"], "--angles"),
        (["SSL4RL/Rotation-v0", "--level", "angels-2"], "--level"),
        (["SSL4RL/Rotation-v0", "--polcy.model", "nano"], "--policy.model"),
    ):
        refused(["train", *arguments, *run])
        assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("path", "hint"), SETTINGS, ids=NAMES)
def test_grids(path, hint, tmp_path):
    name, file = ".".join(path), tmp_path / "grid.json"
    environment: dict[str, Any] = {"id": "SSL4RL/Rotation-v0", "args": {"source": "digits", "image_size": 36}}
    for value in (*wrong_values(path, hint), *NAMING_NOTHING.get(name, [])):
        if value == {3: 1} or value == NAMING_NOTHING["env_args"][-1]:
            continue  # JSON has no such thing
        agent = {"name": "nano-ppo", "settings": nested(path, value)}
        file.write_text(json.dumps({"environments": [environment], "agents": [agent], "seeds": 1, "episodes": 8}))
        said = f"the lesson decides {name}" if name in DECIDED else f"{name}[ :]"
        with pytest.raises(ValueError, match=said):
            from_file(file)


@pytest.mark.parametrize("place", ["id", "args"])
def test_environments_of_grids(place, tmp_path):
    for value in NAMING_NOTHING[{"id": "env", "args": "env_args"}[place]][:-1]:
        environment = {"id": "SSL4RL/Rotation-v0", "args": {}, place: value}
        agent = {"name": "nano-ppo"}
        (tmp_path / "grid.json").write_text(
            json.dumps({"environments": [environment], "agents": [agent], "seeds": 1, "episodes": 8})
        )
        with pytest.raises(ValueError, match="environment"):
            from_file(tmp_path / "grid.json")


@pytest.mark.parametrize(("path", "hint"), SETTINGS, ids=NAMES)
def test_resumed_runs(path, hint, tmp_path, capsys):
    name, whole = ".".join(path), resolved(TrainConfig()).to_json()
    begun = name in BEGINNINGS  # a run that goes on needs no model to begin from
    named = [] if begun else NAMING_NOTHING.get(name, [])[:2]
    for value in (wrong_values(path, hint)[0], *named):
        (tmp_path / "config.json").write_text(json.dumps(spoiled(whole, path, value)))
        refused(["train", "--resume", str(tmp_path)])
        assert name in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]
