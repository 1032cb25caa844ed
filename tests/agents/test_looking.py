"""Is it looking? What the probe makes of answers by choice, when it alarms, and that training goes on as without it."""

from __future__ import annotations

import dataclasses
import math
import re
import warnings

import numpy as np
import pytest
import torch

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.choosing.looking import Look, NotLooking, Probe, alarming, judged
from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import make_task
from ssl4rl_envs.interface import Interface
from tests.agents.tiny_runs import assert_same_weights, config, numbers, train

WAYS = ("shown", "blank", "swapped", "noise")


def logs(*probabilities: float) -> list[float]:
    return [math.log(each) if each else -math.inf for each in probabilities]


def test_a_look_sums_up_what_altered_pictures_leave():
    shown = np.array([logs(0.8, 0.2), logs(0.6, 0.4), logs(0.3, 0.7), logs(1, 0)], np.float32)
    blank = np.array([logs(0.5, 0.5), logs(0.5, 0.5), logs(0.6, 0.4), logs(1, 0)], np.float32)
    truth, items = np.array([0, 1, 1, 0]), np.arange(4)
    look = judged({"shown": shown, "blank": blank}, truth, items)
    assert look.accuracy == {"shown": 0.75, "blank": 0.5}
    assert look.chance == pytest.approx((0.5 * 3 + 1) / 4)
    shown_odds, blank_odds = [math.log(4), math.log(4 / 6), math.log(7 / 3)], [0, 0, math.log(4 / 6)]
    assert look.gain == pytest.approx((np.array(shown_odds) - np.array(blank_odds)).mean(), abs=1e-6)
    assert look.metrics()["looking/shown"] == 0.75


@pytest.mark.parametrize("seen", [0.9, 0.5])
def test_better_with_the_picture_is_beyond_the_spread_of_questions(seen):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 400)
    right = rng.random(400) < seen
    likely = np.where(right[:, None] == (np.arange(2) == truth[:, None]), 0.7, 0.3)
    scores = {"shown": np.log(likely), "blank": np.full((400, 2), math.log(0.5))}
    assert judged(scores, truth, np.arange(400) // 2).better == (seen == 0.9)


@pytest.mark.parametrize(
    ("better", "reward", "alarm"),
    [(False, 0.8, True), (False, 0.55, True), (False, 0.54, False), (True, 0.8, False), (False, None, False)],
)
def test_not_looking_alarms_where_training_is_right_more_often_than_by_chance(better, reward, alarm):
    assert alarming(Look({"shown": 0.5, "blank": 0.5}, 0.0, 0.5, better), reward) == alarm


@pytest.mark.parametrize(("env", "policy"), [("Rotation", {}), ("EdgePrediction", {"model": "gcn"})])
def test_looking_leaves_the_bits_of_training_alone(tmp_path, env, policy):
    arguments = {"source": "digits", "image_size": 36} if not policy else {}
    changes = {"env": env, "policy": policy, "format_warmup": 2 if not policy else 0}
    made = [
        dataclasses.replace(config(**changes, **more), env_args=arguments)
        for more in ({}, {"probe_every": 1, "probe_questions": 16})
    ]
    runs = []
    for name, each in zip(("plain", "probed"), made, strict=True):
        runs.append(Trainer(each, tmp_path / name, quiet=True))
        assert runs[-1].run()
    assert_same_weights(*runs)
    looked = numbers(tmp_path / "probed")
    assert [{k: v for k, v in line.items() if not k.startswith("looking/")} for line in looked] == numbers(tmp_path / "plain")
    for line in looked:
        assert {f"looking/{how}" for how in WAYS} | {"looking/picture_gain", "looking/chance", "looking/alarm"} <= set(line)
        assert line["looking/chance"] == (0.25 if not policy else 0.5)


def test_the_alarm_sounds_once_each_time_it_begins(tmp_path, monkeypatch):
    looks = iter([True, False, False, True, False])
    monkeypatch.setattr(Probe, "look", lambda *_: Look(dict.fromkeys(WAYS, 0.5), 0.0, 0.25, next(looks)))
    monkeypatch.setattr("ssl4rl_agents.choosing.looking.alarming", lambda look, *_: not look.better)
    with pytest.warns(NotLooking) as heard:
        train(tmp_path, iterations=5, probe_every=1)
    told = [str(each.message) for each in heard if each.category is NotLooking]
    assert ["iteration 2" in told[0], "iteration 5" in told[1]] == [True, True]
    assert len(told) == 2
    assert [line["looking/alarm"] for line in read_metrics(tmp_path)] == [0, 1, 1, 0, 1]


def test_a_control_alarms_by_its_right_answers_and_not_by_its_coins(tmp_path, monkeypatch):
    heard = []
    monkeypatch.setattr(Probe, "watch", lambda _self, _policy, _iteration, success, aloud: heard.append(success) or {})
    for reward in ("verified", "coin"):
        train(tmp_path / reward, iterations=2, probe_every=1, control={"reward": reward}, rollout={"constrained": True})
    lines = read_metrics(tmp_path / "verified") + read_metrics(tmp_path / "coin")
    assert heard == [line["success"] for line in lines]
    assert heard != [line["reward"] for line in lines]


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("PatchOrdering", "answers that cannot be listed"),
        ("RotateUpright", "takes several decisions"),
    ],
)
def test_tasks_that_cannot_be_probed_are_refused(env, message):
    task = make_task(env, source="digits", image_size=36)
    with pytest.raises(ValueError, match=message):
        Probe(task, Interface(task, "text", "direct"), 4)


def test_graphs_in_words_are_shown_with_other_edges():
    task = make_task("GraphQA")
    policy = build_policy(PolicyConfig(model="nano"), task, 0, torch.device("cpu"))
    probe = Probe(task, Interface(task, "text", "direct"), 4)
    look = probe.look(policy)
    assert set(look.accuracy) == {"shown", "rewired"}
    asked = probe._kept
    assert all(one != two for one, two in zip(asked["shown"]["prompt"], asked["rewired"]["prompt"], strict=True))
    assert probe.look(policy) == look


@pytest.mark.parametrize(
    ("env", "policy", "said"),
    [
        ("Rotation", {}, "with the picture and 50.0% with a blank one (the picture adds"),
        ("EdgePrediction", {"model": "gcn"}, "with the graph and 50.0% with neither features nor edges (the graph adds"),
    ],
)
def test_the_alarm_speaks_of_what_is_shown(env, policy, said, monkeypatch):
    task = make_task(env, **({} if policy else {"source": "digits", "image_size": 36}))
    probe = Probe(task, Interface(task, "array" if policy else "text", "direct"), 4)
    monkeypatch.setattr(Probe, "look", lambda *_: Look(dict.fromkeys(WAYS, 0.5), 0.0, 0.25, better=False))
    with pytest.warns(NotLooking, match=re.escape(said)):
        probe.watch(None, 3, 0.9, aloud=True)


def test_the_alarm_speaks_of_other_edges_where_a_graph_is_told_in_words(monkeypatch):
    task = make_task("GraphQA")
    probe = Probe(task, Interface(task, "text", "direct"), 4)
    monkeypatch.setattr(Probe, "look", lambda *_: Look({"shown": 0.6, "rewired": 0.5}, 0.0, 0.25, better=False))
    with pytest.warns(NotLooking, match=r"with the graph and 50\.0% with other edges \(the graph adds"):
        probe.watch(None, 3, 0.9, aloud=True)


def test_questions_without_a_probe_are_refused():
    with pytest.raises(ValueError, match="probe_questions does nothing with probe_every 0"):
        resolved(TrainConfig(probe_questions=5))


def test_looking_says_nothing_where_it_looks(tmp_path, monkeypatch):
    monkeypatch.setattr(Probe, "look", lambda *_: Look(dict.fromkeys(WAYS, 0.5), 0.0, 0.25, better=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotLooking)
        train(tmp_path, probe_every=1)
