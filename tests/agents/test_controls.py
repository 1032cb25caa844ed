"""Controls: what is earned and seen in training where the truth or the pictures are kept away; measuring stays as it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.choosing.altering import GREY
from ssl4rl_agents.ppo.controls import AlteredInterface, paid, training_interface, withheld
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.interface import Interface
from tests.agents.tiny_runs import assert_same_weights, config, halt_after, numbers, train

VERIFIED = np.array([1, 0, 1, 0, 0], np.float32)
ANSWERED = np.array([True, True, True, False, False])


def coins(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_what_answers_earn_by_each_reward():
    assert paid("verified", VERIFIED, ANSWERED, 1, coins()).tolist() == [1, 0, 1, 0, 0]
    assert paid("format", VERIFIED, ANSWERED, 1, coins()).tolist() == [1, 1, 1, 0, 0]
    tossed = torch.randint(2, (5,), generator=coins(3)).numpy()
    assert paid("random", VERIFIED, ANSWERED, 1, coins(3)).tolist() == tossed.tolist()
    assert paid("coin", VERIFIED, ANSWERED, 1, coins(3)).tolist() == (tossed * [1, 1, 1, 0, 0]).tolist()
    for reward in ("coin", "random", "format"):
        share = paid(reward, VERIFIED, ANSWERED, 4, coins(3))
        assert share.dtype == np.float32
        assert (share * 4).tolist() == paid(reward, VERIFIED, ANSWERED, 1, coins(3)).tolist()


def test_coins_are_fair_and_know_nothing_of_the_truth():
    rng = np.random.default_rng(0)
    verified, answered = rng.integers(0, 2, (2, 20_000)).astype(np.float32)
    earned = paid("coin", verified, answered.astype(bool), 1, coins())
    assert earned[answered == 0].sum() == 0
    for worth in (0, 1):
        assert abs(earned[(answered == 1) & (verified == worth)].mean() - 0.5) < 0.03  # 4 standard errors
    assert abs(paid("random", verified, answered.astype(bool), 1, coins())[answered == 0].mean() - 0.5) < 0.03


def test_pictures_are_altered_and_nothing_else_is():
    pictures = {name: np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8) for name in "ab"}
    assert withheld(pictures, "shown") is pictures
    blank = withheld(pictures, "blank")
    assert all((blank[name] == GREY).all() for name in "ab")
    assert pictures["a"][2, 0, 0, 0] == 2  # the batch keeps its own
    for kinds, others in ((None, [1, 2, 0]), (np.array([1, 0, 1]), [2, 0, 1])):
        swapped = withheld(pictures, "swapped", kinds)
        assert all(swapped[name][:, 0, 0, 0].tolist() == others for name in "ab"), kinds
    tensors = {name: torch.from_numpy(values) for name, values in pictures.items()}
    for how in ("blank", "swapped"):
        expected = withheld(pictures, how)
        assert all(torch.equal(values, torch.from_numpy(expected[name])) for name, values in withheld(tensors, how).items())


@pytest.mark.parametrize("env", ["Rotation", "Contrastive", "RelativePosition"])
def test_what_is_learned_from_has_other_pictures_under_the_same_words(env):
    task = make_task(env, source="digits", image_size=36)
    batch = task.sample(Stream.span("train", 5, 0, 6))
    shown = Interface(task, "text", "direct").observe(batch)
    for how in ("blank", "swapped"):
        other = AlteredInterface(how, task, "text", "direct").observe(batch)
        assert other["prompt"] == shown["prompt"]
        for name in task.images:
            expected = np.full_like(shown[name], GREY) if how == "blank" else np.roll(shown[name], -1, axis=0)
            assert np.array_equal(other[name], expected)
            assert np.array_equal(batch.observation[name], shown[name])


def test_pictures_of_tasks_that_have_none_or_go_on_are_refused():
    graphs = make_task("EdgePrediction")
    with pytest.raises(ValueError, match="EdgePrediction, which shows no pictures"):
        AlteredInterface("blank", graphs, "text", "direct")
    turning = make_task("RotateUpright", source="digits", image_size=36)
    with pytest.raises(ValueError, match=r"needs a task of one decision, and RotateUpright takes up to"):
        AlteredInterface("swapped", turning, "text", "direct")
    batch = turning.sample(Stream.span("train", 0, 0, 2))
    assert (AlteredInterface("blank", turning, "text", "direct").observe(batch)["image"] == GREY).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithm": "sft", "control": {"reward": "coin"}}, "control.reward coin does nothing with algorithm sft"),
        ({"control": {"reward": "format"}, "rollout": {"constrained": True}}, "here all are"),
        ({"control": {"reward": "coin"}, "rollout": {"schedule": "progress"}}, "goes by right answers"),
        (
            {
                "control": {"pictures": "swapped"},
                "rollout": {"dynamic_sampling": True, "group_size": 4},
                "objective": {"advantage": "grpo"},
            },
            "leave one of them out",
        ),
        ({"control": {"pictures": "blank"}, "policy": {"model": "gcn"}, "env": "EdgePrediction"}, "which sees none"),
        ({"control": {"reward": "format"}, "policy": {"model": "gcn"}, "env": "EdgePrediction"}, "here all are"),
    ],
)
def test_controls_that_would_do_nothing_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        resolved(TrainConfig.from_json(changes))


def test_a_ceiling_may_be_shown_other_pictures():
    assert (
        resolved(TrainConfig.from_json({"algorithm": "sft", "control": {"pictures": "blank"}})).control.told
        == "pictures blank"
    )


def test_a_control_learns_from_coins_and_is_measured_by_the_task(tmp_path):
    readable = {"rollout": {"constrained": True}}
    runs = {reward: train(tmp_path / reward, control={"reward": reward}, **readable) for reward in ("verified", "coin")}
    lines = {reward: read_metrics(tmp_path / reward) for reward in runs}
    assert (
        lines["coin"][0]["success"] == lines["verified"][0]["success"]
    )  # the same answers at first, and the truth is logged
    assert all(line["reward"] == line["success"] for line in lines["verified"])
    assert any(line["reward"] != line["success"] for line in lines["coin"])
    assert runs["coin"].config.title == "ppo SSL4RL/Rotation-v0 (control: reward coin)"
    result = runs["coin"].measure("test", 8)
    assert result.reward == result.success  # which a coin would not give
    with pytest.raises(AssertionError):
        assert_same_weights(runs["coin"], runs["verified"])


def test_measuring_shows_the_true_pictures(tmp_path):
    run = train(tmp_path, control={"pictures": "blank"})
    assert isinstance(run.interface, AlteredInterface)
    assert isinstance(training_interface(run.config, run.task), AlteredInterface)
    seen: list[np.ndarray] = []
    encode = run.policy.encode
    run.policy.encode = lambda observations: (seen.append(observations["image"]), encode(observations))[1]  # type: ignore[method-assign]
    run.measure("validation", 4)
    assert all((np.asarray(pictures) != GREY).any() for pictures in seen)


def test_a_control_goes_on_as_the_same_control(tmp_path):
    changes = {"control": {"reward": "coin", "pictures": "swapped"}}
    whole = train(tmp_path / "whole", **changes)
    halt_after(Trainer(config(save_every=1, **changes), tmp_path / "half", quiet=True), 1)
    rest = Trainer(config(save_every=1, **changes), tmp_path / "half", resume=True, quiet=True)
    assert rest.run()
    assert_same_weights(whole, rest)
    assert numbers(tmp_path / "whole") == numbers(tmp_path / "half")
    other = dataclasses.replace(config(save_every=1), iterations=3)
    with pytest.raises(ValueError, match=r"has control .*coin.* and would go on with .*verified"):
        Trainer(other, tmp_path / "half", resume=True, quiet=True)


def test_blank_pictures_teach_the_supervised_ceiling_nothing_of_them(tmp_path):
    run = Trainer(config(algorithm="sft", control={"pictures": "blank"}), tmp_path, quiet=True)
    batch = run.task.sample(Stream.span("train", 0, 0, 2))
    assert (run.policy.observe(run.interface, batch)["image"] == GREY).all()
