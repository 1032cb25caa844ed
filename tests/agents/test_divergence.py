"""Where the divergence from the initial policy counts: never where it would be compared together with scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.algorithms.estimators import group_advantages
from ssl4rl_agents.checks import resolved
from ssl4rl_agents.divergence import form, settled
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.ppo.credit import Credit
from ssl4rl_agents.ppo.rollout import Player, Rollout
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.ppo.update import Updater
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.settings import ObjectiveConfig, TrainConfig
from ssl4rl_benchmarks.cli import main
from ssl4rl_envs import SSLVectorEnv, make_task
from tests.agents.tiny_runs import TINY, config, tasks_built_once, train  # noqa: F401

MODELS = ("nano", "gcn", "some/model")
GROUPED = group_advantages()
ALONE = ("gae", "reinforce++")

# The rule


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("advantage", GROUPED)
def test_beside_an_advantage_of_groups_the_divergence_is_a_loss(advantage, model):
    some = resolved(TrainConfig(policy=PolicyConfig(model=model), objective=ObjectiveConfig(advantage=advantage)))
    assert (some.objective.kl_loss, some.objective.kl_coefficient) == ("k3", 0.01)
    assert resolved(some) == some
    assert resolved(TrainConfig.from_json(json.loads(json.dumps(some.to_json())))) == some


@pytest.mark.parametrize(("model", "coefficient"), [("nano", 0.1), ("gcn", 0.05)])
@pytest.mark.parametrize("advantage", ALONE)
def test_beside_the_others_it_is_a_penalty_in_the_reward(advantage, model, coefficient):
    some = resolved(TrainConfig(policy=PolicyConfig(model=model), objective=ObjectiveConfig(advantage=advantage)))
    assert (some.objective.kl_loss, some.objective.kl_coefficient) == ("none", coefficient)


@pytest.mark.parametrize("advantage", [*GROUPED, *ALONE])
@pytest.mark.parametrize("kl_loss", [None, "none"])
def test_without_a_coefficient_it_counts_nowhere(advantage, kl_loss):
    """Runs of former versions say "none" there; they stay readable."""
    some = resolved(TrainConfig(objective=ObjectiveConfig(advantage=advantage, kl_loss=kl_loss, kl_coefficient=0.0)))
    assert (some.objective.kl_loss, some.objective.kl_coefficient) == (None, 0.0)
    assert resolved(some) == some


@pytest.mark.parametrize("advantage", [*GROUPED, *ALONE])
@pytest.mark.parametrize("kl_loss", ["k2", "k3"])
def test_what_was_set_stays_as_it_was_set(advantage, kl_loss):
    set_ = ObjectiveConfig(advantage=advantage, kl_loss=kl_loss, kl_coefficient=0.3)
    assert settled(set_, 0.1) == set_
    assert form(set_) == kl_loss


# Every way in


@pytest.mark.parametrize("coefficient", [None, 0.01, 1e-9])
@pytest.mark.parametrize("advantage", GROUPED)
def test_a_penalty_in_the_reward_of_a_group_is_refused(advantage, coefficient, tmp_path):
    objective = {"advantage": advantage, "kl_loss": "none"} | ({} if coefficient is None else {"kl_coefficient": coefficient})
    refused = f"{advantage} compares what the answers .* set objective.kl_loss to k3"
    with pytest.raises(ValueError, match=refused):
        resolved(TrainConfig(objective=ObjectiveConfig(**objective)))
    with pytest.raises(ValueError, match=refused):
        resolved(TrainConfig.from_json({"objective": objective}))
    with pytest.raises(ValueError, match=refused):
        Trainer(config(objective=objective), tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())


def test_the_command_line_refuses_it_too(tmp_path, capsys):
    flags = ["--objective.advantage", "rloo", "--objective.kl-loss", "none", "--out", str(tmp_path / "run")]
    assert main(["train", "SSL4RL/Rotation-v0", "--source", "digits", *flags])
    assert "rloo compares what the answers" in capsys.readouterr().err


def test_a_run_of_a_former_version_that_did_it_is_not_resumed(tmp_path):
    trainer = train(tmp_path, objective={"advantage": "grpo"}, iterations=1)
    old = trainer.config.to_json()
    old["objective"] |= {"kl_loss": "none", "kl_coefficient": 0.1}
    with pytest.raises(ValueError, match="grpo compares what the answers"):
        Trainer(TrainConfig.from_json(old), tmp_path, resume=True, quiet=True)
    assert load_agent(tmp_path), "what it learned can still be looked at"


# What comes of it


def measured(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> list[tuple[Rollout, torch.Tensor]]:
    """Answers that earn these scores whatever they say; the rollouts and advantages of all updates to come."""
    seen, play, update = [], Player.play, Updater.update

    def earning(*args: Any) -> Rollout:
        rollout = play(*args)
        rollout.turns[0].rewards = torch.tensor(scores)
        return rollout

    def watched(updater: Updater, rollout: Rollout, credit: Credit, generator: torch.Generator) -> Any:
        seen.append((rollout, credit.passes[0].advantages))
        return update(updater, rollout, credit, generator)

    monkeypatch.setattr(Player, "play", earning)
    monkeypatch.setattr(Updater, "update", watched)
    return seen


def run(tmp_path: Path, advantage: str, tokens: int, **rollout: Any) -> list[dict[str, float]]:
    """Three iterations far enough apart that the policy has left its reference."""
    train(
        tmp_path,
        iterations=3,
        format_warmup=0,
        objective={"advantage": advantage},
        policy={"max_new_tokens": tokens},
        optimizer={"warmup_iterations": 0, "learning_rate": 3e-3},
        rollout={"group_size": 3, **rollout},
    )
    lines = read_metrics(tmp_path)
    assert abs(lines[-1]["kl/reference"]) > 1e-5
    return lines


PARTLY = [0.1] * 9 + [1.0] * 3 + [0.0, 1.0, 0.0, 0.1, 0.1, 0.2, 0.7, 0.7, 0.7, 0.3, 0.3, 0.0]
"""Eight groups of three, three of which differ."""


@pytest.mark.parametrize("tokens", [1, 12])
@pytest.mark.parametrize("advantage", GROUPED)
def test_a_group_has_an_advantage_exactly_where_its_scores_differ(tmp_path, monkeypatch, advantage, tokens):
    seen = measured(monkeypatch, PARTLY)
    lines = run(tmp_path, advantage, tokens)
    differ = torch.tensor([False] * 4 + [True, True, False, True])
    for rollout, advantages in seen:
        assert torch.equal(rollout.informative, differ)
        assert torch.equal(advantages.reshape(8, -1).any(1), differ)
    assert [line["groups_without_advantage"] for line in lines] == [5 / 8] * 3


@pytest.mark.parametrize("tokens", [1, 12])
def test_dynamic_sampling_replaces_exactly_the_groups_without_an_advantage(tmp_path, monkeypatch, tokens):
    seen = measured(monkeypatch, PARTLY)
    lines = run(tmp_path, "grpo", tokens, dynamic_sampling=True, max_rounds=4)
    assert [line["rounds"] for line in lines] == [3] * 3, "three of eight a round"
    for rollout, advantages in seen:
        assert rollout.informative.all()
        assert advantages.reshape(8, -1).any(1).all()
    assert [line["groups_without_advantage"] for line in lines] == [0.0] * 3
    assert [line["groups_without_advantage/asked"] for line in lines] == [5 / 8] * 3


def test_answers_that_all_earn_the_same_leave_the_policy_to_the_loss_alone(tmp_path, monkeypatch):
    measured(monkeypatch, [0.1] * 24)
    free = train(tmp_path / "free", objective={"advantage": "grpo", "kl_coefficient": 0.0}, rollout={"group_size": 3})
    initial = Trainer(config(rollout={"group_size": 3}), tmp_path / "initial", quiet=True)
    initial._teach_format()
    for (name, one), (_, other) in zip(free.policy.state_dict().items(), initial.policy.state_dict().items(), strict=True):
        assert torch.equal(one, other), name


def test_agents_that_compare_groups_have_it_as_a_loss():
    envs = SSLVectorEnv(make_task("SSL4RL/Rotation-v0", **TINY["env_args"]), num_envs=1, interface="text")
    for name in ("nano-grpo", "nano-rloo"):
        objective = resolved(load_agent(name, envs)._config).objective
        assert (objective.kl_loss, objective.kl_coefficient) == ("k3", 0.01)
        with pytest.raises(ValueError, match="compares what the answers"):
            load_agent(name, envs, objective={"kl_loss": "none"})
