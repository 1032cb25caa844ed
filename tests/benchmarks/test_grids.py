"""Grids that name what there is not, or give what is not taken, are refused before their first run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ssl4rl_agents.agent import check_settings, load_agent
from ssl4rl_agents.lessons import Lesson
from ssl4rl_benchmarks.bench.grid import Entry, Environment, Run, check, from_file
from ssl4rl_benchmarks.bench.suites import SUITES
from ssl4rl_envs import SSLVectorEnv, make_task

DIGITS = {"source": "digits", "image_size": 36}
GRID = {
    "environments": [{"id": "SSL4RL/Rotation-v0", "args": DIGITS}],
    "agents": [{"name": "nano-ppo", "settings": {}}],
    "seeds": 1,
    "episodes": 512,
}
NAN = float("nan")


def file_of(tmp_path, **changes):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({**GRID, **changes}))
    return file


def agent(name, **settings):
    return {"agents": [{"name": name, "settings": settings}]}


WRONG_AGENTS = [
    ("nano-ppo", {"algorithm": "grpo"}, "algorithm must be one of ppo, sft, got 'grpo'; objective.advantage takes 'grpo'"),
    ("nano-grpo", {"objective": {"surrogate": "GSPO"}}, "did you mean 'gspo'"),
    ("nano-ppo", {"optimizer": {"learning_rate": NAN}}, "optimizer.learning_rate must be a finite number"),
    ("nano-ppo", {"rollout": {"prompt": 64}}, "rollout has no setting prompt; did you mean 'prompts'"),
    ("nano-ppo", {"rollout": {"prompts": 7}}, "must be a multiple of optimizer.minibatches"),
    ("nano-ppo", {"rollout": 64}, "rollout must be settings by name"),
    ("nano-ppo", {"rollouts": {}}, "TrainConfig has no setting rollouts; did you mean 'rollout'"),
    ("nano-ppo", {"seed": 3}, "the lesson decides seed"),
    ("gcn-ppo", {"policy": {"gnn_hidden": 64.0}}, "policy.gnn_hidden must be a whole number"),
    ("sb3-ppo", {"n_step": 3}, "unexpected keyword argument 'n_step'; did you mean 'n_steps'"),
    ("sb3-ppo", {"n_steps": 2.5}, "n_steps of stable_baselines3:PPO must be a whole number, got 2.5"),
    ("sb3-ppo", {"learning_rate": "3e-4"}, "learning_rate of stable_baselines3:PPO must be a finite number"),
    ("sb3-ppo", {"gamma": NAN}, "gamma of stable_baselines3:PPO must be a finite number"),
    ("sb3-ppo", {"normalize_advantage": 1}, "must be True or False"),
    ("sb3-ppo", {"num_envs": 2.5}, "num_envs must be a whole number of at least 1, got 2.5"),
    ("sb3-dqn", {"n_steps": 0.5}, "n_steps of stable_baselines3:DQN must be a whole number"),
    ("sb3-dqn", {"device": "cuda"}, "the lesson decides device"),
    ("random", {"seed": 3}, "its seed is that of each run"),
    ("random", {"sed": 3}, "unexpected keyword argument 'sed'; did you mean 'seed'"),
    ("constant", {"answer": 1}, "unexpected keyword argument 'answer'"),
    ("sb3-pop", {}, "no agent 'sb3-pop'"),
]


@pytest.mark.parametrize(("name", "settings", "message"), WRONG_AGENTS)
def test_settings_that_an_agent_does_not_take_are_refused_with_the_grid(tmp_path, name, settings, message):
    with pytest.raises(ValueError, match=r"mine\.json: ") as raised:
        from_file(file_of(tmp_path, **agent(name, **settings)))
    assert message in str(raised.value)
    if name not in ("sb3-pop",) and settings != {"seed": 3}:
        envs = SSLVectorEnv(make_task("SSL4RL/Rotation-v0", **DIGITS))
        with pytest.raises((TypeError, ValueError)) as alone:
            load_agent(name, envs, **settings)
        assert message in str(alone.value)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"imagesize": 36}, "unexpected keyword argument 'imagesize'; did you mean 'image_size'"),
        ({"angles": 4.0}, "angles of Rotation() must be a whole number, got 4.0"),
        ({"reference": 1}, "reference of Rotation() must be True or False"),
        ({"level": "angles-3"}, "Rotation has no level 'angles-3'"),
        ({"level": "angles-4", "angles": 2}, "sets angles"),
    ],
)
def test_arguments_that_an_environment_does_not_take_are_refused_with_the_grid(tmp_path, args, message):
    with pytest.raises(ValueError, match="environment Rotation of suite") as raised:
        from_file(file_of(tmp_path, environments=[{"id": "SSL4RL/Rotation-v0", "args": args}]))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 1.5}, "seeds must be a whole number, got 1.5"),
        ({"seeds": True}, "seeds must be a whole number, got True"),
        ({"seeds": "3"}, "seeds must be a whole number"),
        ({"episodes": NAN}, "episodes must be a whole number"),
        ({"episodes": 0}, "must be a whole number of at least 1, got 0"),
        ({"test_episodes": None}, "test_episodes must be a whole number"),
        ({"first_seed": -1}, "at least 0, got -1"),
        ({"first_sed": 1}, "unexpected keyword argument 'first_sed'; did you mean 'first_seed'"),
        ({"fits": "all"}, "unexpected keyword argument 'fits'"),
        ({"compared": "Rotation"}, "compared must be a tuple"),
        ({"compared": ["Rotations"]}, "compares over Rotations; its environments are Rotation"),
        ({"environments": [{**GRID["environments"][0], "episodes": 0}]}, "episodes of Rotation"),
        (
            {"environments": [{**GRID["environments"][0], "arg": {}}]},
            "an environment has no setting arg; did you mean 'args'",
        ),
        ({"environments": ["Rotation"]}, "an environment must be settings by name, got 'Rotation'"),
        ({"agents": [{"name": "random", "learns": "false"}]}, "learns must be True or False, got 'false'"),
        ({"agents": [{"name": "random", "setting": {}}]}, "an agent has no setting setting; did you mean 'settings'"),
    ],
)
def test_grids_of_wrong_types_and_names_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=r"mine\.json") as raised:
        from_file(file_of(tmp_path, **changes))
    assert message in str(raised.value)


def test_a_right_grid_passes(tmp_path):
    settings = {"learning_rate": 1e-3, "n_steps": 16, "policy_kwargs": {"net_arch": [8]}, "num_envs": 8, "target_kl": None}
    suite = from_file(file_of(tmp_path, **agent("sb3-ppo", **settings), compared=["Rotation"]))
    (run,) = suite.runs()
    assert run.agent.settings == settings
    assert Run.from_json(json.loads(json.dumps(run.to_json()))) == run


def test_the_declared_suites_take_what_they_are_given():
    for suite in SUITES.values():
        check(suite)
    with pytest.raises(ValueError, match=r"agent sb3-ppo of suite smoke: .*'n_epoch'"):
        check(replace(SUITES["smoke"], agents=(Entry("sb3-ppo", {"n_epoch": 3}),)))
    with pytest.raises(ValueError, match="unknown environment 'SSL4RL/Sudoku-v0'; known are Rotation"):
        check(replace(SUITES["smoke"], environments=(Environment("SSL4RL/Sudoku-v0"),)))


def test_an_agent_of_anybodys_is_held_to_its_signature():
    with pytest.raises(TypeError, match="exploration"):
        check_settings("tests.benchmarks.dying:Short", {"exploration": 0.5})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("episodes", 0),
        ("episodes", 2.5),
        ("seed", -1),
        ("seed", True),
        ("measurements", 0),
        ("measured_episodes", NAN),
        ("device", 0),
    ],
)
def test_lessons_of_wrong_numbers_are_refused(tmp_path, name, value):
    right = {"episodes": 8, "seed": 0}
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
        Lesson("SSL4RL/Rotation-v0", {}, folder=tmp_path, **{**right, name: value})
