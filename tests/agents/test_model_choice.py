"""Which model learns where none is named, and what its format warm-up costs."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_agents.policy_settings import GRAPH_MODELS, PolicyConfig
from ssl4rl_agents.ppo.supervised import answers_each, format_lessons
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_agents.trainer_agents import GCNPPO, NanoPPO
from ssl4rl_benchmarks import cli
from ssl4rl_envs import env_ids, make_task
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.registration import task_class

SMALL = "--iterations 1 --rollout.prompts 8 --eval-episodes 8 --test-episodes 8 --policy.gnn-hidden 16 --device cpu"


@pytest.mark.parametrize("env", env_ids())
def test_tasks_about_graphs_choose_a_graph_network_and_all_others_nano(env):
    graphs = issubclass(task_class(env), GraphTask)
    chosen = TrainConfig(env=env).resolved()
    assert chosen.policy.model == ("gcn" if graphs else "nano")
    assert chosen.policy.interface == ("array" if graphs else "text")
    assert bool(chosen.format_warmup) != graphs
    for name in ("nano", *(GRAPH_MODELS if graphs else ())):
        assert TrainConfig(env=env, policy=PolicyConfig(model=name)).resolved().policy.model == name


def test_settings_of_words_say_which_model_would_take_them():
    with pytest.raises(ValueError, match=r"prompt_style does nothing with a graph network.*policy\.model nano"):
        TrainConfig(env="SSL4RL/EdgePrediction-v0", prompt_style="think").resolved()


def test_a_model_that_is_yet_to_be_chosen_has_no_interface():
    with pytest.raises(ValueError, match="follows from the environment"):
        _ = PolicyConfig().interface


def test_agents_have_the_network_of_their_name():
    assert NanoPPO.check_settings({}).policy.model == "nano"
    assert GCNPPO.check_settings({"policy": {"gnn_hidden": 16}}).policy.model == "gcn"
    with pytest.raises(ValueError, match="an agent has the same network in all environments"):
        NanoPPO.check_settings({"policy": {"model": "auto"}})


def test_the_command_says_which_network_it_chose(tmp_path, capsys):
    arguments = ["train", "SSL4RL/EdgePrediction-v0", "--out", str(tmp_path / "run"), "--source", "karate", *SMALL.split()]
    assert cli.main(arguments) == 0
    assert "a graph network (gcn) learns it; --policy.model nano" in capsys.readouterr().err


def test_a_prompt_of_the_warm_up_runs_once_for_several_answers():
    interface = Interface(make_task("SSL4RL/Rotation-v0", source="digits", image_size=36), "text", "direct")
    assert answers_each(interface, 128, range(128)) == 8
    assert answers_each(interface, 128, range(64, 128)) == 8
    assert answers_each(interface, 8, range(8)) == 1
    assert answers_each(interface, 384, range(6)) == 2, "a share of six answers is three questions with two"
    seeds, steps = (1, 2), 3
    whole = list(format_lessons(interface, seeds, steps, 32, range(32), 4))
    halves = zip(*(format_lessons(interface, seeds, steps, 32, part, 4) for part in (range(16), range(16, 32))), strict=True)
    for (shown, replies), parts in zip(whole, halves, strict=True):
        assert len(shown["prompt"]) == 8
        assert replies == [reply for _, said in parts for reply in said]
        assert np.array_equal(shown["image"], np.concatenate([part["image"] for part, _ in parts]))
    assert len({reply for _, replies in whole for reply in replies}) == 4


def test_long_prompts_of_the_warm_up_are_few():
    interface = Interface(make_task("SSL4RL/EdgePrediction-v0"), "text", "direct")
    assert answers_each(interface, 128, range(128)) >= 16
