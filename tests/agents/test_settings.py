"""Settings that are typos are refused, by one validation, whichever way they come in."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from typing import Any, get_args, get_origin

import numpy as np
import pytest
import torch

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.baselines import ConstantAgent
from ssl4rl_agents.evaluation import evaluate, evaluate_in
from ssl4rl_agents.lessons import Lesson
from ssl4rl_agents.policies.finite import DivergedError
from ssl4rl_agents.ppo.config import TrainConfig
from ssl4rl_agents.ppo.device import find_device
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs import is_run, read_config
from ssl4rl_envs import SSLVectorEnv, hash_seed, make_task
from ssl4rl_envs.arguments import hints_of

WRONG: dict[Any, list[Any]] = {
    bool: [0, 1.0, "false", None],
    int: [1.5, 3.0, True, math.nan, "3"],
    float: [math.nan, math.inf, -math.inf, True, "0.1"],
    str: [3, None, True],
    tuple: ["Rotation", 3],
    dict: [[], "source=digits"],
}


def every_setting(cls: type = TrainConfig, before: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for name, hint in hints_of(cls).items():
        inside = dataclasses.is_dataclass(hint)
        found += every_setting(hint, (*before, name)) if inside else [((*before, name), hint)]
    return found


def wrong_values(hint: Any) -> list[Any]:
    optional = type(None) in get_args(hint)
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] if optional else [hint]
    (kind,) = kinds
    if get_origin(kind) is typing.Literal:
        return [get_args(kind)[0].upper(), f"{get_args(kind)[-1]}s", "", 0, *([] if optional else [None])]
    return [value for value in WRONG[get_origin(kind) or kind] if not (optional and value is None)]


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    return {path[0]: nested(path[1:], value)} if len(path) > 1 else {path[0]: value}


@pytest.mark.parametrize(("path", "hint"), every_setting(), ids=[".".join(path) for path, _ in every_setting()])
def test_every_setting_refuses_what_is_not_of_its_kind(path, hint, tmp_path):
    values = wrong_values(hint)
    assert values
    for value in values:
        with pytest.raises((TypeError, ValueError), match=f"{'.'.join(path)} must be"):
            TrainConfig.from_json(nested(path, value))
    held = TrainConfig()
    for name in path[:-1]:
        held = getattr(held, name)
    with pytest.raises((TypeError, ValueError), match=f"{'.'.join(path)} must be"):
        dataclasses.replace(held, **{path[-1]: values[0]})
    data = TrainConfig().resolved().to_json()
    (tmp_path / "config.json").write_text(json.dumps({**data, **nested(path, values[0])}))
    assert not is_run(tmp_path)
    with pytest.raises(ValueError, match=rf"config\.json holds no settings of the trainer: .*{path[-1]}"):
        read_config(tmp_path)
    with pytest.raises((TypeError, ValueError), match=f"{path[-1]} must be"):
        Trainer(TrainConfig.from_json(nested(path, values[0])), tmp_path / "run", quiet=True)


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
        TrainConfig(seed=seed).resolved()


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
        TrainConfig.from_json({"env": "SSL4RL/Rotation-v0", "optimizer": {"betas": betas}}).resolved()


def test_a_path_among_a_tasks_arguments_is_kept_as_the_string_that_names_the_same(tmp_path):
    config = TrainConfig(env_args={"source": tmp_path, "image_size": 36})
    assert config.env_args == {"source": f"folder:{tmp_path}", "image_size": 36}
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    graph = TrainConfig(env="SSL4RL/GraphDistance-v0", env_args={"source": tmp_path / "edges.txt"})
    assert dataclasses.replace(graph, seed=3).env_args == {"source": f"file:{tmp_path}/edges.txt"}
