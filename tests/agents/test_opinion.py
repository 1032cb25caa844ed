"""Rewards by what the policy itself held for right: which answer that is, who keeps it, what is paid, where it is refused."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.choosing.altering import GREY
from ssl4rl_agents.ppo import opinion as opinions
from ssl4rl_agents.ppo.controls import AlteredInterface
from ssl4rl_agents.ppo.opinion import Opinion
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.interface import Interface
from tests.agents.tiny_runs import assert_same_weights, config, halt_after, train

SCENE = {
    "env": "SceneQA",
    "env_args": {"source": "scenes", "kinds": "light", "image_size": 32},
    "rollout": {"constrained": True},
}


class Told:
    """A policy as it was, with given log-probabilities (n, k) of the options, with pictures and with grey ones."""

    def __init__(self, shown, blank):
        self.shown, self.blank = shown, blank

    def policy(self):
        return nullcontext(SimpleNamespace(observe=lambda interface, batch: interface.observe(batch)))

    def score(self, policy, observations, options):
        grey = all((observations[name] == GREY).all() for name in observations if name != "prompt")
        return torch.tensor(self.blank if grey else self.shown)


def test_what_is_held_for_right_is_the_likeliest_with_the_blank_picture_taken_off_or_not(monkeypatch):
    task = make_task("SceneQA", kinds="light", image_size=32)
    batch = task.sample(Stream.span("train", 0, 0, 3))
    options = task.choices(batch)
    assert all(sorted(offered) == ["left", "right"] for offered in options)
    shown = [[-1.0, -2.0], [-1.0, -2.0], [-2.0, -1.0]]
    blank = [[-1.0, -3.0], [-2.0, -1.0], [-3.0, -1.0]]
    expected = {"own": [0, 0, 1], "contrast": [1, 0, 0]}  # differences: 0, 1; 1, -1; 1, 0
    interface = Interface(task, "text", "direct")
    told = Told(shown, blank)
    monkeypatch.setattr(opinions, "option_logprobs", told.score)
    for reward, places in expected.items():
        grey = AlteredInterface("blank", task, "text", "direct") if reward == "contrast" else None
        opinion = Opinion(interface, grey)
        opinion.initial = told
        words = task.format_all(opinion.held(batch), batch)
        assert words == [offered[place] for offered, place in zip(options, places, strict=True)], reward
        answers = np.repeat(opinion.held(batch), 2)
        answers[1::2] = 1 - answers[1::2]
        assert opinion.shared(batch, answers, 2).tolist() == [1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("reward", ["contrast", "own"])
def test_a_run_pays_what_was_held_at_the_start_and_knows_no_truth(reward, tmp_path, monkeypatch):
    run = Trainer(config(**SCENE, control={"reward": reward}, objective={"kl_coefficient": 0.0}), tmp_path, quiet=True)
    paid, held = [], []
    shared = run._opinion.shared

    def noted(batch, answers, group_size):
        held.append(shared(batch, answers, group_size))
        return held[-1]

    run.player._opinion = noted
    play = run.player.play
    monkeypatch.setattr(run.player, "play", lambda batch: paid.append(play(batch)) or paid[-1])
    assert run.run()
    for rollout, worth in zip(paid, held, strict=True):
        assert rollout.turns[0].rewards.tolist() == worth.tolist()
        assert set(worth.tolist()) <= {0.0, 1.0}
    first = run._opinion.held(run.task.sample(Stream.span("train", 1, 0, 16)))
    with torch.no_grad():
        for weights in run.policy.parameters():
            weights.add_(torch.randn_like(weights))
    assert (run._opinion.held(run.task.sample(Stream.span("train", 1, 0, 16))) == first).all()  # of the start, not of now
    assert "kl/reference" not in read_metrics(tmp_path)[-1]  # which nobody asked for


def test_truths_do_not_matter(tmp_path):
    runs = []
    for name, wrong in (("right", False), ("wrong", True)):
        run = Trainer(config(**SCENE, control={"reward": "contrast"}), tmp_path / name, quiet=True)
        if wrong:
            step = run.interface.step

            def reversed_(state, actions, step=step):
                transition = step(state, actions)
                transition.step.score.reward[:] = 1 - transition.step.score.reward
                return transition

            run.interface.step = reversed_
        assert run.run()
        runs.append(run)
    assert_same_weights(*runs)


def test_a_resumed_run_keeps_its_opinion(tmp_path):
    changes = {**SCENE, "control": {"reward": "contrast"}, "iterations": 2}
    whole = train(tmp_path / "whole", **changes)
    halt_after(Trainer(config(**changes), tmp_path / "halved", quiet=True), 1)
    halved = Trainer(config(**changes), tmp_path / "halved", resume=True, quiet=True)
    assert halved.run()
    assert_same_weights(whole, halved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": "RotateUpright"}, "needs a task of one decision, and RotateUpright takes up to"),
        ({"env": "PatchOrdering"}, "cannot be listed"),
    ],
)
def test_tasks_whose_answers_cannot_be_compared_are_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Trainer(config(**changes, control={"reward": "contrast"}), tmp_path, quiet=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"control": {"reward": "contrast"}, "policy": {"model": "gcn"}, "env": "EdgePrediction"}, "writes none"),
        ({"control": {"reward": "contrast", "pictures": "blank"}}, "no others are seen"),
        ({"control": {"reward": "own"}, "algorithm": "sft"}, "learns from no rewards"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        resolved(TrainConfig.from_json(changes))
