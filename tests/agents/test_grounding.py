"""The bonus for replies whose probability depends on the picture: its value, its gradients, where it is refused."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.choosing.altering import GREY
from ssl4rl_agents.ppo import grounding
from ssl4rl_agents.ppo.controls import AlteredInterface
from ssl4rl_agents.ppo.credit import judge
from ssl4rl_agents.ppo.losses import GROUNDED, perception
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.ppo.update import minibatch_of
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Stream, make_task
from tests.agents.tiny_runs import assert_same_weights, config, train


def test_perception_is_how_much_likelier_the_picture_makes_a_token():
    shown = torch.tensor([[math.log(0.8), math.log(0.2), 0.0, -1.0]], requires_grad=True)
    blank = torch.tensor([[math.log(0.4), math.log(0.4), -5.0, -1.0]], requires_grad=True)
    found = perception(shown, blank)
    expected = [2 - 1 - math.log(2), 0.5 - 1 - math.log(0.5), math.exp(GROUNDED) - 1 - GROUNDED, 0.0]
    assert torch.allclose(found, torch.tensor([expected]), atol=1e-6)
    found.sum().backward()
    assert torch.allclose(shown.grad, torch.tensor([[1.0, -0.5, 0.0, 0.0]]), atol=1e-6)  # r - 1, and nothing beyond the bound
    assert torch.equal(blank.grad, -shown.grad)


def test_prompts_are_seen_once_more_with_blank_pictures(tmp_path):
    run = Trainer(config(objective={"grounding_coefficient": 0.1}), tmp_path, quiet=True)
    assert isinstance(run._blank, AlteredInterface)
    rollout = run.player.play(run.questions.begin(0))
    grounding.look_away(run.policy, rollout, run._blank)
    turn = rollout.turns[0]
    assert torch.equal(turn.blank.input_ids, turn.inputs.input_ids)
    shown, blank = (next(iter(inputs.pictures.values())) for inputs in (turn.inputs, turn.blank))
    assert shown.shape == blank.shape
    assert (blank == blank.flatten()[0]).all()
    assert not (shown == shown.flatten()[0]).all()


def test_the_bonus_is_logged_and_moves_the_weights(tmp_path):
    plain = train(tmp_path / "plain")
    bonus = train(tmp_path / "bonus", objective={"grounding_coefficient": 0.5})
    assert all(0 <= line["grounding"] <= math.exp(GROUNDED) for line in read_metrics(tmp_path / "bonus"))
    with pytest.raises(AssertionError):
        assert_same_weights(plain, bonus)


def test_gradients_of_the_bonus_do_not_depend_on_the_micro_batch(tmp_path):
    run = Trainer(config(objective={"grounding_coefficient": 5.0}), tmp_path, quiet=True)
    rollout = run.player.play(run.questions.begin(0))
    grounding.look_away(run.policy, rollout, run._blank)
    credit = judge(rollout, None, run.config.objective, run.processes)
    batch = minibatch_of(rollout, credit, torch.arange(8), run.config.objective, 16, run.processes)
    found = []
    for size in (1, 3, 8):
        run.micro_batches.size = size
        sums, _ = run.updater._gradients(batch)
        gradients = torch.cat([p.grad.flatten() for p in run.policy.parameters() if p.grad is not None])
        found.append((gradients, float(sums["grounding"])))
        run.policy.zero_grad()
    for gradients, mean in found[1:]:
        assert mean == pytest.approx(found[0][1], rel=1e-5)
        assert float((gradients - found[0][0]).norm() / found[0][0].norm()) < 1e-5


def test_dynamic_sampling_and_tasks_of_several_decisions_have_the_bonus_too(tmp_path):
    bonus = {"grounding_coefficient": 0.1}
    sampled = {"dynamic_sampling": True, "max_rounds": 2}
    train(tmp_path / "rounds", objective={"advantage": "grpo", **bonus}, rollout=sampled, iterations=1)
    train(tmp_path / "turns", env="RotateUpright", objective=bonus, iterations=1)
    for name in ("rounds", "turns"):
        assert "grounding" in read_metrics(tmp_path / name)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"control": {"pictures": "blank"}}, "here no others are seen"),
        ({"policy": {"model": "gcn"}, "env": "EdgePrediction"}, "here no others are seen"),
        ({"rollout": {"context": "episode"}}, "rollout.context must be 'turn' with it, got 'episode'"),
    ],
)
def test_a_bonus_that_compares_with_nothing_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        resolved(TrainConfig.from_json({"objective": {"grounding_coefficient": 0.1}, **changes}))


def test_tasks_without_pictures_and_weights_in_parts_are_refused():
    settings = TrainConfig.from_json({"objective": {"grounding_coefficient": 0.1}, "policy": {"model": "nano"}})
    task, whole = make_task("EdgePrediction"), SimpleNamespace(sharded=False, deepspeed=False)
    with pytest.raises(ValueError, match="grounding_coefficient does nothing with EdgePrediction, which shows no pictures"):
        grounding.blank_interface(settings, task, whole)
    with pytest.raises(ValueError, match="two passes before it goes back"):
        grounding.blank_interface(settings, task, SimpleNamespace(sharded=True, deepspeed=False))


def test_nothing_but_pictures_is_blank():
    task = make_task("Rotation", source="digits", image_size=36)
    batch = task.sample(Stream.span("train", 0, 0, 2))
    assert (AlteredInterface("blank", task, "text", "direct").observe(batch)["image"] == GREY).all()
