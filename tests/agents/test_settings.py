"""Settings that are typos are refused, by one validation, whichever way they come in."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from typing import Any, get_args

import numpy as np
import pytest
import torch

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.baselines import ConstantAgent
from ssl4rl_agents.checks import resolved
from ssl4rl_agents.evaluation import evaluate, evaluate_in
from ssl4rl_agents.lessons import Lesson
from ssl4rl_agents.named import NAMED
from ssl4rl_agents.policies.finite import DivergedError
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.ranges import RANGES_OF
from ssl4rl_agents.runs.folder import is_run, read_config
from ssl4rl_agents.runtime.device import find_device
from ssl4rl_agents.settings import RolloutConfig, TrainConfig
from ssl4rl_envs import SSLVectorEnv, hash_seed, make_task
from tests.agents.wrong_settings import NAMING_NOTHING, every_setting, kind_of, nested, spoiled, wrong_values

SETTINGS = every_setting()
NAMES = [".".join(path) for path, _ in SETTINGS]


@pytest.mark.parametrize(("path", "hint"), SETTINGS, ids=NAMES)
def test_every_setting_refuses_what_is_not_of_its_kind(path, hint, tmp_path):
    name = ".".join(path)
    values = wrong_values(path, hint)
    held = TrainConfig()
    for section in path[:-1]:
        held = getattr(held, section)
    data = resolved(TrainConfig()).to_json()
    for value in values:
        with pytest.raises((TypeError, ValueError), match=f"{name} must"):
            TrainConfig.from_json(nested(path, value))
        with pytest.raises((TypeError, ValueError), match=f"{name} must"):
            dataclasses.replace(held, **{path[-1]: value})
        if value == {3: 1}:
            continue  # names are strings in JSON
        (tmp_path / "config.json").write_text(json.dumps(spoiled(data, path, value)))
        assert not is_run(tmp_path)
        with pytest.raises(ValueError, match=rf"config\.json holds no settings of the trainer: {name} must"):
            read_config(tmp_path)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in NAMING_NOTHING.items() for value in values])
def test_settings_that_name_nothing_are_refused_before_anything_is_built(name, value, tmp_path):
    config = TrainConfig.from_json(nested(tuple(name.split(".")), value))
    with pytest.raises((TypeError, ValueError), match=f"{name}[ :]"):
        resolved(config)
    with pytest.raises((TypeError, ValueError), match=f"{name}[ :]"):
        Trainer(config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("context", ["episode", "window:3"])
def test_conversations_with_a_model_that_holds_none_are_refused_before_anything_is_built(context, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "paligemma"}')
    config = TrainConfig(policy=PolicyConfig(model=str(tmp_path)), rollout=RolloutConfig(context=context))
    with pytest.raises(ValueError, match=f"rollout.context must be 'turn' for .*a paligemma reads .* got '{context}'"):
        resolved(config)
    assert resolved(dataclasses.replace(config, rollout=RolloutConfig(context="turn"))).rollout.context == "turn"


def test_no_setting_goes_unchecked():
    """A new setting fails here until its range stands in `ranges.RANGES`, or what it names in `named.NAMED`."""
    for (path, hint), name in zip(SETTINGS, NAMES, strict=True):
        kind, parts = kind_of(hint), get_args(hint)
        numbers = kind in (int, float) or (kind is tuple and {int, float} & set(parts))
        names = kind is str or (kind is tuple and str in parts) or (kind is dict and parts[-1] is Any)
        assert (name in RANGES_OF) == bool(numbers), f"{name} needs a range in ranges.RANGES"
        assert (name in NAMED) == names, f"{name} needs a row in named.NAMED"
        assert numbers or names or kind in (bool, typing.Literal, dict), f"settings like {name} are not looked at"
        assert wrong_values(path, hint)
    assert set(RANGES_OF) | set(NAMED) <= set(NAMES)
    assert set(NAMING_NOTHING) == set(NAMED)


def test_the_edges_of_ranges_belong_to_them():
    for name, values in {
        "seed": [0, 2**64 - 1],
        "iterations": [1, 10**9],
        "rollout.prompts": [1, 2**20],
        "policy.nano_hidden": [32, 2**20],
        "optimizer.learning_rate": [1e-30, 1e30],
        "objective.clip_low": [0.0, 1.0],
        "objective.clip_high": [0.0, 1e30],
        "optimizer.betas": [[0.0, 0.0], [0.999999, 0.0]],
        "format_warmup": [0, None],
    }.items():
        for value in values:
            TrainConfig.from_json(nested(tuple(name.split(".")), value))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"polcy": {}}, "TrainConfig has no setting polcy; did you mean 'policy'"),
        ({"policy": {"modle": "nano"}}, "policy has no setting modle; did you mean 'model'"),
        ({"objective": {"clip-low": 0.1}}, "objective has no setting clip-low; did you mean 'clip_low'"),
        ({"policy": "nano"}, "policy must be settings by name, got 'nano'"),
        ({"optimizer": None}, "optimizer must be settings by name, got None"),
        ({"rollout": []}, "rollout must be settings by name"),
        ({3: 4}, "TrainConfig has no setting 3"),
        ([], "TrainConfig must be settings by name"),
        ({"env_args": {"sorce": "digits"}}, "env_args: .*'sorce'; did you mean 'source'"),
        ({"env": "SSL4RL/Rotaton-v0"}, "env must be .*did you mean 'Rotation'"),
        ({"format_tasks": ["FlipPredicton"]}, "format_tasks: .*did you mean 'FlipPrediction'"),
        ({"policy": {"model": "NANO"}}, "policy.model must be .*did you mean 'nano'"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda or cuda:NUMBER, got 'gpu'; a GPU is called cuda"),
    ],
)
def test_unknown_names_come_with_the_nearest(data, message):
    with pytest.raises((TypeError, ValueError), match=message):
        resolved(TrainConfig.from_json(data))


def test_a_run_that_goes_on_needs_no_folder_that_its_model_came_from():
    config = TrainConfig.from_json({"policy": {"model": "/no/longer/there"}})
    assert resolved(config, anew=False).policy.model == "/no/longer/there"


def test_a_gpu_beyond_the_last_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match="the last of 2 CUDA GPUs here is cuda:1"):
        resolved(TrainConfig(device="cuda:2"))


def test_the_error_names_the_choices_and_where_else_a_word_belongs():
    with pytest.raises(ValueError, match=r"algorithm must be one of ppo, sft, got 'grpo'; objective.advantage takes 'grpo'"):
        TrainConfig(algorithm="grpo")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one of ppo, gspo, cispo, got 'GSPO'; did you mean 'gspo'"):
        TrainConfig.from_json({"objective": {"surrogate": "GSPO"}})
    with pytest.raises(ValueError, match=r"one of constant, linear, got 'cosine'$"):
        TrainConfig.from_json({"optimizer": {"schedule": "cosine"}})


@pytest.mark.parametrize("seed", [-1, -(2**63)])
def test_seeds_are_not_negative(seed):
    with pytest.raises(ValueError, match="seed must be at least 0"):
        resolved(TrainConfig(seed=seed))


def test_numbers_of_numpy_can_be_kept_as_json():
    config = TrainConfig.from_json(
        {"seed": np.int64(3), "optimizer": {"learning_rate": np.float64(1e-3), "betas": [0.9, 0.99]}}
    )
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert config.optimizer.betas == (0.9, 0.99)


@pytest.mark.parametrize("name", ["gpu", "CPU:x", "meta", "", "cuda:x"])
def test_devices_that_there_are_not_are_errors(name):
    with pytest.raises(ValueError, match="device"):
        find_device(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episodes": 0}, "episodes must be a whole number of at least 1, got 0"),
        ({"episodes": -3}, "episodes must be"),
        ({"episodes": 2.5}, "episodes must be"),
        ({"episodes": True}, "episodes must be"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"seed": 1.5}, "seed must be"),
        ({"seed": math.nan}, "seed must be"),
        ({"split": "tets"}, "split must be one of train, validation, test"),
        ({"prompt_style": "cot"}, "direct, think"),
    ],
)
def test_measurements_of_wrong_numbers_are_refused(arguments, message):
    task = make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)
    envs = SSLVectorEnv(task, num_envs=2)
    with pytest.raises(ValueError, match=message):
        evaluate(ConstantAgent(envs), task, env="", **{"split": "test", "episodes": 4, **arguments})
    if arguments.keys() <= {"episodes", "seed"}:
        with pytest.raises(ValueError, match=message):
            evaluate_in(ConstantAgent(envs), envs, env="", **{"episodes": 4, **arguments})


@pytest.mark.parametrize("part", [1.5, True, np.True_, None, math.nan])
def test_seeds_are_not_derived_from_what_would_be_taken_for_another(part):
    assert hash_seed(np.int64(1)) == hash_seed(1)
    with pytest.raises(TypeError, match="whole numbers and words"):
        hash_seed(0, part)


def test_weights_of_stable_baselines_that_are_not_finite_are_an_error(tmp_path, monkeypatch):
    lesson = Lesson("SSL4RL/Rotation-v0", {"source": "digits", "image_size": 36}, 16, 0, tmp_path, 1, 4)
    agent = load_agent("sb3-ppo", lesson.make_envs(2), n_steps=4, num_envs=4, batch_size=8, n_epochs=1)
    build = agent._build

    def spoiling(*args: Any) -> Any:
        model = build(*args)
        train = model.train

        def spoiled() -> None:
            train()
            with torch.no_grad():
                model.policy.action_net.bias[0] = math.nan

        model.train = spoiled
        return model

    monkeypatch.setattr(agent, "_build", spoiling)
    with pytest.raises(DivergedError, match=r"stable_baselines3:PPO has ended with numbers in action_net\.bias"):
        agent.learn(lesson)


@pytest.mark.parametrize("betas", [[1.5, 2.0], [-1.0, 0.9], [1.0, 0.9]])
def test_averaging_factors_lie_below_one(betas):
    with pytest.raises(ValueError, match=r"optimizer\.betas must be two numbers in \[0, 1\)"):
        resolved(TrainConfig.from_json({"env": "SSL4RL/Rotation-v0", "optimizer": {"betas": betas}}))


def test_a_path_among_a_tasks_arguments_is_kept_as_the_string_that_names_the_same(tmp_path):
    config = TrainConfig(env_args={"source": tmp_path, "image_size": 36})
    assert config.env_args == {"source": f"folder:{tmp_path}", "image_size": 36}
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    graph = TrainConfig(env="SSL4RL/GraphDistance-v0", env_args={"source": tmp_path / "edges.txt"})
    assert dataclasses.replace(graph, seed=3).env_args == {"source": f"file:{tmp_path}/edges.txt"}
