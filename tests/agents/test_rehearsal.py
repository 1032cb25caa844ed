"""Replay: how many steps, over which questions, and never the answers to what is rewarded."""

from __future__ import annotations

import json

import pytest
import torch

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.ppo.rehearsal import lessons_of, steps_in
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.pretrained_on import write_pretrained
from ssl4rl_agents.settings import TrainConfig
from tests.agents.tiny_runs import assert_same_weights, config, halt_after, numbers, train

FLIPS = {"env": "SSL4RL/FlipPrediction-v0", "env_args": {"source": "digits", "image_size": 36}, "share": 0.75}
TURNS = {"env": "SSL4RL/Rotation-v0", "env_args": {"source": "digits", "image_size": 36}, "share": 1.0}


@pytest.fixture
def base(tmp_path):
    """A run that says that it was pretrained on flips, among other things."""
    run = Trainer(config(format_tasks=["FlipPrediction"], iterations=1), tmp_path / "base", quiet=True)
    assert run.run()
    write_pretrained(tmp_path / "base", [{"captions": "scenes", "share": 0.25}, FLIPS], {})
    return tmp_path / "base"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.5, 0.75])
def test_a_share_of_all_steps_is_replay(share):
    numbered = [number for iteration in range(60) for number in steps_in(iteration, share, 12)]
    assert numbered == list(range(len(numbered)))  # each once, in order
    assert len(numbered) / (len(numbered) + 60 * 12) == pytest.approx(share, abs=1e-3)


def test_what_is_replayed_is_what_the_base_was_pretrained_on(base):
    (task, share), *more = lessons_of(resolved(config(policy={"start": str(base)}, optimizer={"replay": 0.2})))
    assert (type(task).__name__, share, more) == ("FlipPrediction", 0.75, [])
    write_pretrained(base, [TURNS], {})
    with pytest.raises(ValueError, match=r"would show the answers to SSL4RL/Rotation-v0, which .* was pretrained on"):
        lessons_of(resolved(config(policy={"start": str(base)})))
    write_pretrained(base, [{"captions": "scenes", "share": 1.0}], {})
    with pytest.raises(ValueError, match="comes from no pretraining that asked any"):
        lessons_of(resolved(config(policy={"start": str(base)})))


def test_replay_without_a_base_or_where_nothing_else_can_be_said_is_refused(base):
    with pytest.raises(ValueError, match=r"name it as policy\.start"):
        resolved(TrainConfig.from_json({"optimizer": {"replay": 0.1}}))
    with pytest.raises(ValueError, match=r"which rollout\.constrained forbids"):
        resolved(config(policy={"start": str(base)}, optimizer={"replay": 0.1}, rollout={"constrained": True}))


def test_old_answers_are_learned_again_beside_the_rewards(base, tmp_path):
    start = {"policy": {"start": str(base)}, "iterations": 4}
    train(tmp_path / "without", **start)
    train(tmp_path / "half", optimizer={"replay": 0.5}, **start)
    without, half = read_metrics(tmp_path / "without"), read_metrics(tmp_path / "half")
    assert not any("loss/replay" in line for line in without)
    losses = [line["loss/replay"] for line in half]
    assert losses[-1] < losses[0]
    assert without[0]["success"] == half[0]["success"]  # the questions and first answers are the same
    assert half[0]["kl/reference"] == pytest.approx(0, abs=1e-6)  # which is to what the run started from


def test_a_run_with_replay_goes_on_bit_for_bit(base, tmp_path):
    changes = {"policy": {"start": str(base)}, "optimizer": {"replay": 0.3}, "iterations": 2, "save_every": 1}
    whole = train(tmp_path / "whole", **changes)
    halt_after(Trainer(config(**changes), tmp_path / "parts", quiet=True), 1)
    rest = Trainer(config(**changes), tmp_path / "parts", resume=True, quiet=True)
    assert rest.run()
    assert_same_weights(whole, rest)
    assert numbers(tmp_path / "whole") == numbers(tmp_path / "parts")
    assert json.loads((tmp_path / "parts" / "config.json").read_text())["optimizer"]["replay"] == 0.3


def test_the_reference_of_a_started_nano_is_what_it_started_from(base, tmp_path):
    run = Trainer(config(policy={"start": str(base)}, format_warmup=0), tmp_path / "run", quiet=True)
    before = {name: tensor.clone() for name, tensor in run.policy.state_dict().items()}
    assert run.config.objective.kl_coefficient == 0.1
    assert run.run()
    held = run.reference._copy.state_dict()
    assert all(torch.equal(held[name], tensor) for name, tensor in before.items())
