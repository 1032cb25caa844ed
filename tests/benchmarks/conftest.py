"""The command in process, and one tiny trained run that the tests look at."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ssl4rl_benchmarks import cli
from ssl4rl_benchmarks.bench import statistics

torch.set_num_threads(1)

ENV = "SSL4RL/Rotation-v0"
TINY = {
    "--rollout.prompts": "8",
    "--rollout.group-size": "2",
    "--optimizer.minibatches": "2",
    "--iterations": "2",
    "--image-size": "36",
    "--source": "digits",
    "--test-episodes": "32",
    "--eval-episodes": "16",
    "--format-warmup": "2",
    "--device": "cpu",
}
FLAGS = [word for pair in TINY.items() for word in pair]


@pytest.fixture(autouse=True)
def wide_and_plain(monkeypatch) -> None:
    """Help texts stand in one column, and nothing is coloured."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("SSL4RL_TRACEBACK", raising=False)


@pytest.fixture
def run(capsys) -> Callable[..., SimpleNamespace]:
    """The function (*arguments) -> status, out, err and, if there is any, json."""

    def call(*arguments: str | Path) -> SimpleNamespace:
        capsys.readouterr()
        try:
            status: Any = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        out, err = capsys.readouterr()
        try:
            data = json.loads(out)
        except json.JSONDecodeError:
            data = None
        return SimpleNamespace(status=status, out=out, err=err, json=data)

    return call


@pytest.fixture
def fewer_bootstraps(monkeypatch) -> None:
    """Reports at once: their intervals by bootstrap, which take seconds, are of two draws and mean nothing."""
    monkeypatch.setattr(statistics, "REPEATS", 2)
    monkeypatch.setattr(statistics, "FEWER_REPEATS", 2)


@pytest.fixture
def tiny() -> list[str]:
    """The flags of a run of a second."""
    return list(FLAGS)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The folder of a finished run; tests only read it."""
    folder: Path = tmp_path_factory.mktemp("runs") / "finished"
    assert cli.main(["train", ENV, "--out", str(folder), *FLAGS]) == 0
    return folder
