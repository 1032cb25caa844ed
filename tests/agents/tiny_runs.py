"""Runs of a few iterations over digits, that several test modules train and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ssl4rl_agents.ppo import trainer as trainer_module
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Task, make_task

TINY: dict[str, Any] = {
    "env_args": {"source": "digits", "image_size": 36},
    "iterations": 2,
    "format_warmup": 2,
    "eval_every": 2,
    "eval_episodes": 8,
    "test_episodes": 8,
    "save_every": 2,
    "device": "cpu",
    "rollout": {"prompts": 8, "group_size": 2},
    "optimizer": {"minibatches": 2, "epochs": 2},
}
TIMES = ("seconds", "memory_mb", "per_second")


_tasks: dict[str, Task] = {}


@pytest.fixture(autouse=True)
def tasks_built_once(monkeypatch) -> None:
    """Tasks are pure: trainers may share them."""

    def shared(env_id: str, **arguments: Any) -> Task:
        key = env_id + repr(arguments)
        if key not in _tasks:
            _tasks[key] = make_task(env_id, **arguments)
        return _tasks[key]

    monkeypatch.setattr(trainer_module, "make_task", shared)


def config(**changes: Any) -> TrainConfig:
    """The tiny settings with changes; nested ones as dicts that are merged."""
    data = dict(TINY)
    for name, value in changes.items():
        data[name] = {**data.get(name, {}), **value} if isinstance(value, dict) else value
    return TrainConfig.from_json(data)


def train(folder: Path, **changes: Any) -> Trainer:
    trainer = Trainer(config(**changes), folder, quiet=True)
    assert trainer.run()
    return trainer


def halt_after(trainer: Trainer, iteration: int) -> None:
    """Train until so many iterations are done, as if it had been interrupted there."""
    step = trainer._step

    def interrupted() -> dict[str, float]:
        values = step()
        trainer._stop = trainer.iteration == iteration
        return values

    trainer._step = interrupted  # type: ignore[method-assign]
    assert not trainer.run()
    assert trainer.iteration == iteration


def numbers(folder: Path) -> list[dict[str, float]]:
    """All numbers of a run but those of the clock and the machine."""
    lines = read_metrics(folder)
    return [{k: v for k, v in line.items() if not any(word in k for word in TIMES)} for line in lines]


def assert_same_weights(a: Trainer, b: Trainer) -> None:
    for (name, one), (_, two) in zip(a.policy.state_dict().items(), b.policy.state_dict().items(), strict=True):
        assert torch.equal(one, two), name
