"""Runs that go on for longer than they were set to, and runs that start from another's checkpoint."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.named import NoSuchModelError
from ssl4rl_agents.policies.build import load_policy
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.content import START
from ssl4rl_agents.runs.metrics import read_metrics
from tests.agents import zoo
from tests.agents.tiny_runs import assert_same_weights, config, halt_after, numbers, tasks_built_once, train

__all__ = ["tasks_built_once"]

CONSTANT = {"optimizer": {"schedule": "constant"}}


def longer(folder: Path, **changes: object) -> Trainer:
    trainer = Trainer(config(**changes), folder, resume=True, quiet=True)
    assert trainer.run()
    return trainer


def test_a_run_that_goes_on_longer_is_the_run_that_was_set_to_as_many(tmp_path):
    """Bit for bit, with the schedule that does not depend on the end: weights, optimizer, numbers."""
    whole = train(tmp_path / "whole", iterations=4, **CONSTANT)
    train(tmp_path / "parts", iterations=2, **CONSTANT)
    went_on = longer(tmp_path / "parts", iterations=4, **CONSTANT)
    assert_same_weights(whole, went_on)
    assert numbers(tmp_path / "whole") == numbers(tmp_path / "parts")
    last = "checkpoints/iteration-000004/optimizer.safetensors"
    assert (tmp_path / "whole" / last).read_bytes() == (tmp_path / "parts" / last).read_bytes()
    assert json.loads((tmp_path / "parts" / "config.json").read_text())["iterations"] == 4


def test_with_the_linear_schedule_the_step_size_goes_on_as_in_a_run_of_the_new_length(tmp_path):
    train(tmp_path / "parts", iterations=2)
    longer(tmp_path / "parts", iterations=4)
    rates = [line["learning_rate"] for line in read_metrics(tmp_path / "parts")]
    optimizer = resolved(config()).optimizer
    ends = [2, 2, 4, 4]
    assert rates == pytest.approx([optimizer.rate_at(iteration, end) for iteration, end in enumerate(ends)])


def test_a_run_does_not_go_back(tmp_path):
    train(tmp_path / "run")
    with pytest.raises(ValueError, match="has done 2 iterations already, and would end after 1; ask for more"):
        Trainer(config(iterations=1), tmp_path / "run", resume=True, quiet=True)


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """A run that others start from; tests only read it."""
    folder: Path = tmp_path_factory.mktemp("other") / "run"
    train(folder, policy={"nano_hidden": 32}, seed=5)
    return folder


def test_a_run_starts_with_the_weights_of_another_and_nothing_else(tmp_path, other):
    some = config(format_warmup=None, policy={"start": str(other)}, env="SSL4RL/FlipPrediction-v0")
    trainer = Trainer(some, tmp_path / "run", quiet=True)
    checkpoint = other / "checkpoints" / "iteration-000002"
    theirs = load_policy(checkpoint, trainer.config.policy, torch.device("cpu"))
    for (name, ours), (_, given) in zip(trainer.policy.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert torch.equal(ours, given), name
    assert torch.any(trainer.policy.critic.weight != 0), "the value head comes along"
    assert trainer.iteration == 0
    assert not trainer.optimizer.state
    assert (trainer.config.format_warmup, trainer.config.policy.nano_hidden) == (0, 32)
    said = json.loads((tmp_path / "run" / START).read_text())
    assert (said["checkpoint"], said["iteration"]) == (str(checkpoint), 2)
    assert len(said["sha256"]["model.safetensors"]) == 64
    assert trainer.run()
    assert read_metrics(tmp_path / "run")[0]["kl/reference"] == pytest.approx(0, abs=1e-6), "that is what it began with"
    again = Trainer(some, tmp_path / "again", quiet=True)
    assert again.run()
    assert_same_weights(trainer, again)


def test_a_format_warm_up_may_be_asked_for_all_the_same(other):
    assert resolved(config(format_warmup=7, policy={"start": str(other)})).format_warmup == 7
    assert resolved(config(format_warmup=None)).format_warmup == 40


def test_a_started_run_is_resumed_without_the_run_that_it_started_from(tmp_path, other):
    shutil.copytree(other, tmp_path / "first")
    some = config(iterations=4, format_warmup=None, policy={"start": str(tmp_path / "first")})
    unbroken = Trainer(some, tmp_path / "unbroken", quiet=True)
    assert unbroken.run()
    halted = Trainer(some, tmp_path / "halted", quiet=True)
    halt_after(halted, 2)
    shutil.rmtree(tmp_path / "first")
    went_on = Trainer(halted.config, tmp_path / "halted", resume=True, quiet=True)
    assert went_on.run()
    assert_same_weights(unbroken, went_on)


def test_a_checkpoint_may_be_named_too(other):
    older = other / "checkpoints" / "iteration-000000"
    assert resolved(config(policy={"start": str(older)})).policy.start == str(older.resolve())


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"start": "nowhere"}, r"policy\.start must be the folder of a run, or of a checkpoint in one, got 'nowhere'"),
        ({"nano_hidden": 128}, r"policy\.start takes the network of .*, which has policy\.nano_hidden 32; leave out"),
        ({"model": "gcn"}, r"which has policy\.model nano; leave out policy\.model gcn"),
        ({"lora_rank": 4}, r"which has policy\.lora_rank 0; leave out policy\.lora_rank 4"),
    ],
)
def test_what_does_not_fit_is_refused(policy, message, other):
    with pytest.raises(ValueError, match=message):
        resolved(config(policy={"start": str(other), **policy}))
    with pytest.raises(NoSuchModelError, match="got ''"):
        resolved(config(policy={"start": ""}))


def test_adapters_start_from_adapters(tmp_path):
    """And the divergence is from them, not from the model without any."""
    zoo.save("llava", tmp_path / "model")
    policy = {"model": str(tmp_path / "model"), "lora_rank": 2}
    objective = {"objective": {"kl_coefficient": 0.1}, "optimizer": {"learning_rate": 1e-2, "warmup_iterations": 0}}
    first = train(tmp_path / "first", policy=policy, **objective)
    some = config(format_warmup=None, policy={"start": str(tmp_path / "first")}, **objective)
    second = Trainer(some, tmp_path / "second", quiet=True)
    assert second.config.policy.lora_rank == 2
    assert_same_weights(first, second)
    assert second.run()
    assert read_metrics(tmp_path / "second")[0]["kl/reference"] == pytest.approx(0, abs=1e-6)


def test_a_graph_network_starts_where_it_fits(tmp_path):
    graphs = {"policy": {"model": "gcn", "gnn_hidden": 16}, "format_warmup": 0}
    sbm = {"source": "sbm", "features": "id"}

    def of(env: str, **arguments: object) -> dict[str, object]:
        return {"env": f"SSL4RL/{env}-v0", "env_args": arguments}

    def built(folder: Path, changes: dict[str, object], **more: object) -> Trainer:
        plain = config(**{**graphs, **more})
        return Trainer(dataclasses.replace(plain, **changes), folder, quiet=True)

    assert built(tmp_path / "first", of("EdgePrediction", **sbm)).run()
    start = {"policy": {"start": str(tmp_path / "first")}}
    assert built(tmp_path / "second", of("EdgePrediction", **{**sbm, "fanouts": (4, 2)}), **start).run()
    with pytest.raises(ValueError, match="does not fit NodeAttribute: it has role pair rather than node"):
        built(tmp_path / "third", of("NodeAttribute", source="sbm"), **start)
