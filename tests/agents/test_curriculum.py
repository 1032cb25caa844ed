"""Training on mixtures: by a schedule, with formats of other tasks, from a beginning that somebody looks at."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ssl4rl_agents.evaluation import evaluate
from ssl4rl_agents.ppo.questions import TrainingQuestions
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import RolloutConfig
from ssl4rl_envs import make_task
from tests.agents.tiny_runs import config, tasks_built_once  # noqa: F401 - a fixture

MIXTURE = {
    "env": "SSL4RL/Mixture-v0",
    "env_args": {"tasks": ["Rotation", "FlipPrediction"], "source": "digits", "image_size": 36},
}
SCHEDULED = {**MIXTURE, "rollout": {"schedule": "progress"}}


def mixture():
    return make_task("SSL4RL/Mixture-v0", tasks=("Rotation", "FlipPrediction"), source="digits", image_size=36)


def test_what_is_learned_is_asked_more(tmp_path):
    questions = TrainingQuestions(mixture(), RolloutConfig(prompts=64, schedule="progress"), 0, Processes("cpu"), range(64))
    for step in range(30):
        batch = questions.begin(step)
        rotation = batch.observation["task"] == 0
        # Rotation gets better from step to step, mirrors never do.
        success = torch.as_tensor(rotation & (np.arange(64) % 30 < step))
        weights = questions.record(batch, type("Rollout", (), {"success": success, "group_size": 1})())
    assert weights["schedule/Rotation"] > 0.7
    assert sum(weights.values()) == pytest.approx(1)


def test_processes_share_what_one_would_ask():
    settings = RolloutConfig(prompts=8, schedule="progress")
    whole, *parts = (
        TrainingQuestions(mixture(), settings, 3, Processes("cpu"), part).begin(2)
        for part in (range(8), range(4), range(4, 8))
    )
    for name, values in whole.observation.items():
        assert np.array_equal(values, np.concatenate([part.observation[name] for part in parts]))


def test_without_a_schedule_the_mixture_draws():
    some, every = (
        TrainingQuestions(mixture(), RolloutConfig(prompts=8), 5, Processes("cpu"), part) for part in (range(2, 6), range(8))
    )
    batch = some.begin(1)
    assert np.array_equal(batch.target, every.begin(1).target[2:6])
    assert some.record(batch, None) == some.state_dict() == {}


def test_a_scheduled_run_logs_its_weights_and_goes_on_bit_for_bit(tmp_path):
    whole = Trainer(config(iterations=4, save_every=2, eval_every=4, keep=3, **SCHEDULED), tmp_path / "whole", quiet=True)
    assert whole.run()
    lines = read_metrics(tmp_path / "whole")
    assert all(line["schedule/Rotation"] + line["schedule/FlipPrediction"] == pytest.approx(1) for line in lines)
    half = Trainer(config(iterations=4, save_every=2, eval_every=4, keep=3, **SCHEDULED), tmp_path / "half", quiet=True)

    def stop() -> None:
        half._stop = half.iteration >= 2

    step = half._step

    def steps():
        values = step()
        stop()
        return values

    half._step = steps
    assert not half.run()
    again = Trainer(half.config, tmp_path / "half", resume=True, quiet=True)
    assert again.iteration == 2
    assert again.run()
    assert again.questions.state_dict() == whole.questions.state_dict()
    for one, other in zip(whole.policy.state_dict().values(), again.policy.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rollout": {"schedule": "progress"}}, "chooses among the tasks of a mixture"),
        ({**SCHEDULED, "algorithm": "sft"}, "leave out dynamic_sampling, and algorithm sft"),
        ({"format_warmup": 0, "format_tasks": ("FlipPrediction",)}, "format_tasks does nothing with format_warmup 0"),
        ({"policy": {"nano_hidden": 48}}, "policy.nano_hidden must be a multiple of 32"),
        ({"policy": {"nano_layers": 0}}, "policy.nano_layers must be at least 1"),
    ],
)
def test_settings_that_do_not_fit_are_told(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        Trainer(config(**changes), tmp_path / "run", quiet=True)


def test_formats_of_other_tasks_are_taught_too(tmp_path):
    valid = {}
    for name, others in {"alone": (), "together": ("FlipPrediction",)}.items():
        settings = {"format_warmup": 60, "format_tasks": others, "rollout": {"prompts": 32}, "iterations": 1}
        trainer = Trainer(config(**settings), tmp_path / name, quiet=True)
        task = make_task("SSL4RL/FlipPrediction-v0", source="digits", image_size=36)
        agent = PolicyAgent(trainer.policy)
        found = []
        trainer.run(begin=lambda: found.append(evaluate(agent, task, env="", split="train", episodes=64)))  # noqa: B023
        valid[name] = found[0].reward
    assert valid["alone"] < 0.05  # it says numbers of degrees
    assert valid["together"] > 0.1  # it says mirrors, at random


def test_the_own_task_is_taught_as_it_is(tmp_path):
    """Its level and arguments count, and it is not asked twice where it stands among the others."""
    settings = {"env_args": {"source": "scenes", "image_size": 36, "level": "angles-8"}, "format_warmup": 1}
    trainer = Trainer(config(**settings, format_tasks=("Rotation", "FlipPrediction")), tmp_path / "run", quiet=True)
    assert [type(part).__name__ for part in trainer.format_task.parts] == ["Rotation", "FlipPrediction"]
    assert trainer.format_task.parts[0] is trainer.task
    alone = Trainer(config(format_tasks=("Rotation",)), tmp_path / "alone", quiet=True)
    assert alone.format_task is alone.task


def test_the_beginning_is_shown_once(tmp_path):
    seen = []
    trainer = Trainer(config(), tmp_path / "run", quiet=True)
    assert trainer.run(begin=lambda: seen.append(trainer.iteration))
    assert seen == [0]
    again = Trainer(config(), tmp_path / "run", resume=True, quiet=True)
    assert again.run(begin=lambda: seen.append(9))
    assert seen == [0]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["format_tasks"] == []


@pytest.mark.parametrize(("hidden", "layers"), [(32, 1), (64, 2), (128, 3)])
def test_nano_has_sizes(tmp_path, hidden, layers):
    trainer = Trainer(config(policy={"nano_hidden": hidden, "nano_layers": layers}), tmp_path / "run", quiet=True)
    text = trainer.policy.model.config.get_text_config()
    assert (text.hidden_size, text.num_hidden_layers) == (hidden, layers)
    assert trainer.policy.model.config.channels[-1] == hidden
