"""Questions that are made while the policy learns: the same ones, and none that must wait for what is learned."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from ssl4rl_agents.ppo.questions import TrainingQuestions
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import RolloutConfig
from ssl4rl_envs import make_task
from ssl4rl_envs.images.rotation import Rotation
from tests.agents.tiny_runs import config, numbers, tasks_built_once  # noqa: F401 - a fixture

DYNAMIC: dict[str, Any] = {
    "rollout": {"dynamic_sampling": True, "max_rounds": 3, "prompts": 8, "group_size": 2},
    "objective": {"advantage": "dr_grpo"},
}


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ssl4rl-ahead")]


@pytest.mark.parametrize("changes", [{}, DYNAMIC, {"algorithm": "sft"}], ids=["ppo", "dynamic sampling", "sft"])
def test_a_run_learns_the_same_with_and_without(tmp_path, changes):
    curves = []
    for prefetch in (False, True):
        rollout = {**changes.get("rollout", {}), "prefetch": prefetch}
        trainer = Trainer(config(**{**changes, "iterations": 3, "rollout": rollout}), tmp_path / str(prefetch), quiet=True)
        assert trainer.run()
        curves.append(numbers(tmp_path / str(prefetch)))
    assert curves[0] == curves[1]
    assert len(curves[0]) == 3
    assert not threads(), "a run that has ended leaves no thread"


def test_the_next_questions_are_made_ahead_and_none_after_the_last(monkeypatch):
    made: list[tuple[int, str]] = []
    sample = Rotation.sample

    def recorded(task: Rotation, stream: Any) -> Any:
        made.append((int(stream.indices[0]), threading.current_thread().name))
        return sample(task, stream)

    task = make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)
    monkeypatch.setattr(Rotation, "sample", recorded)
    questions = TrainingQuestions(task, RolloutConfig(prompts=8, prefetch=True), 0, Processes("cpu"), range(2, 4), 3)
    seen = [questions.begin(iteration) for iteration in range(3)]
    questions.close()
    assert [first for first, _ in made] == [2, 10, 18]
    assert [name.startswith("ssl4rl-ahead") for _, name in made] == [False, True, True]
    plain = TrainingQuestions(task, RolloutConfig(prompts=8, prefetch=False), 0, Processes("cpu"), range(2, 4), 3)
    for iteration, batch in enumerate(seen):
        assert np.array_equal(batch.observation["image"], plain.begin(iteration).observation["image"])


def test_what_goes_wrong_in_the_thread_is_raised_where_the_questions_are_asked(monkeypatch):
    task = make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)
    questions = TrainingQuestions(task, RolloutConfig(prompts=8, prefetch=True), 0, Processes("cpu"), range(8), 9)
    sample = Rotation.sample

    def spoilt(task: Rotation, stream: Any) -> Any:
        if stream.indices[0] == 8:
            raise OSError("a picture cannot be read")
        return sample(task, stream)

    monkeypatch.setattr(Rotation, "sample", spoilt)
    questions.begin(0)
    with pytest.raises(OSError, match="a picture cannot be read"):
        questions.begin(1)
    assert len(questions.begin(2).target) == 8
    questions.close()
    assert not threads()


def test_a_run_that_fails_leaves_no_thread(tmp_path, monkeypatch):
    trainer = Trainer(config(iterations=3), tmp_path, quiet=True)

    def fails(*_: Any) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(trainer.player, "play", fails)
    with pytest.raises(RuntimeError, match="no more"):
        trainer.run()
    assert not threads()


def test_it_is_the_default_but_for_a_schedule():
    assert config().resolved().rollout.prefetch
    mixture = {"env": "SSL4RL/Mixture-v0", "env_args": {"tasks": ["Rotation", "FlipPrediction"], "source": "digits"}}
    scheduled = {"schedule": "progress"}
    assert not config(**mixture, rollout=scheduled).resolved().rollout.prefetch
    with pytest.raises(ValueError, match="chooses the next questions after the last ones were answered"):
        config(**mixture, rollout={**scheduled, "prefetch": True}).resolved()
