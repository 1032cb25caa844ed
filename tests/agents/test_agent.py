"""Agents: the baselines frame every scale, third parties join by an entry point, trained runs load from their folder."""

from __future__ import annotations

import math
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from ssl4rl_agents.agent import Agent, agent_interface, agent_names, load_agent
from ssl4rl_agents.baselines import ConstantAgent, OracleAgent, RandomAgent
from ssl4rl_agents.evaluation import clustered_interval, evaluate, evaluate_in, normalise
from ssl4rl_agents.policies.nano import build_nano
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.policy_agent import BATCH, PolicyAgent, load_run
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import SSLVectorEnv, Task, make_task
from ssl4rl_envs.attempts import Attempts

EPISODES = 1024
_tasks: dict[str, Task] = {}


def registered(env_id: str) -> Task:
    if env_id not in _tasks:
        _tasks[env_id] = make_task(env_id)
    return _tasks[env_id]


def measured(cls: Any, task: Task, env_id: str, episodes: int = EPISODES) -> Any:
    envs = SSLVectorEnv(task, num_envs=min(128, episodes), split="test")
    return evaluate_in(cls(envs), envs, env=env_id, episodes=episodes)


# Baselines


@pytest.mark.parametrize("cls", [RandomAgent, ConstantAgent])
def test_agents_that_do_not_look_score_at_most_chance(kind_id, cls):
    task = registered(kind_id)
    result = measured(cls, task, kind_id)
    error = max(math.sqrt(task.chance * (1 - task.chance)), 1e-3) / math.sqrt(EPISODES)
    assert result.reward < task.chance + 4 * error
    if cls is RandomAgent and hasattr(task.action_space, "n") and task.horizon == 1:
        assert result.reward > task.chance - 4 * error
    assert (result.env, result.split, result.episodes, result.chance) == (kind_id, "test", EPISODES, task.chance)
    assert result.normalised == pytest.approx((result.reward - task.chance) / (result.oracle - task.chance))
    assert result.interval[0] <= result.success <= result.interval[1]


def test_the_oracle_is_the_top_of_the_scale(kind_id):
    result = measured(OracleAgent, registered(kind_id), kind_id, 256)
    assert result.normalised == pytest.approx(1)
    assert (result.success, result.interval) == (1, (1, 1))


def test_baselines_are_agents_with_valid_answers(kind_id):
    task = registered(kind_id)
    envs = SSLVectorEnv(task, num_envs=16, split="test")
    observations, _ = envs.reset(seed=0)
    for cls in (RandomAgent, ConstantAgent, OracleAgent):
        agent = cls(envs)
        assert isinstance(agent, Agent)
        answers = agent.act(observations)
        assert len(answers) == 16
        assert task.valid(np.asarray(answers)).all()


def test_random_agents_repeat_by_seed_and_differ_by_call(task):
    envs = SSLVectorEnv(task, num_envs=64)
    observations, _ = envs.reset(seed=0)
    one, two, other = RandomAgent(envs), RandomAgent(envs), RandomAgent(envs, seed=1)
    first = one.act(observations)
    assert np.array_equal(first, two.act(observations))
    assert not np.array_equal(first, one.act(observations))
    assert not np.array_equal(first, other.act(observations))


# Measuring


@pytest.mark.parametrize("episodes", [1, 7, 128, 130, 300])
def test_exactly_the_asked_number_of_episodes_counts(task, episodes):
    result = measured(OracleAgent, task, "x", episodes)
    assert result.episodes == episodes
    assert 1 <= result.items <= episodes


def test_the_same_seed_asks_the_same_questions(task):
    class Recorder:
        interface = "array"

        def __init__(self) -> None:
            self.seen: list[Any] = []

        def act(self, observations: Any, *, deterministic: bool = False) -> Any:
            assert deterministic
            self.seen.append(observations["image"].copy())
            return np.zeros(len(observations["image"]), np.int64)

    agents = [Recorder() for _ in range(3)]
    for agent, seed in zip(agents, (0, 0, 1), strict=True):
        evaluate(agent, task, env="x", split="test", episodes=10, seed=seed)
    assert np.array_equal(agents[0].seen[0], agents[1].seen[0])
    assert not np.array_equal(agents[0].seen[0], agents[2].seen[0])


def test_intervals_by_hand():
    assert clustered_interval(np.array([1, 0, 1, 0]), np.zeros(4, np.int64)) == (0.5, 0.5)  # one cluster: no spread
    assert clustered_interval(np.ones(50), np.arange(50)) == (1, 1)
    values = np.tile([0, 1], 200)
    low, high = clustered_interval(values, np.arange(400))
    assert (low, high) == (pytest.approx(0.451, abs=0.01), pytest.approx(0.549, abs=0.01))  # 0.5 +- 1.96 * 0.5 / 20
    low, high = clustered_interval(np.repeat([0, 1] * 20, 10), np.repeat(np.arange(40), 10))
    assert (low, high) == (pytest.approx(0.345, abs=0.03), pytest.approx(0.655, abs=0.03))  # 40 things known, not 400


def test_intervals_do_not_depend_on_what_clusters_are_called():
    values, clusters = np.random.default_rng(0).random(60), np.repeat(np.arange(20), 3)
    assert clustered_interval(values, clusters) == clustered_interval(values, clusters * 1000 + 7)


def test_intervals_cover_the_truth():
    """Of 150 experiments with dependent episodes about 95 % must hold the true mean; without clusters about 70 % would."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(150):
        means = rng.random(60)
        values = rng.random((60, 10)) < means[:, None]
        low, high = clustered_interval(values.ravel(), np.repeat(np.arange(60), 10))
        held += low <= 0.5 <= high
    assert 0.88 <= held / 150 <= 1


# Loading


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("random", RandomAgent),
        ("constant", ConstantAgent),
        ("oracle", OracleAgent),
        ("ssl4rl_agents.baselines:ConstantAgent", ConstantAgent),
    ],
)
def test_agents_load_by_name_and_by_path(task, name, cls):
    assert isinstance(load_agent(name, SSLVectorEnv(task)), cls)
    assert agent_interface(name) == "array"


def test_known_names_are_listed():
    assert {"random", "constant", "oracle"} <= set(agent_names())


def test_an_unknown_name_lists_the_known_ones(task):
    with pytest.raises(ValueError, match=r"no agent 'randm'.*constant, gat-ppo"):
        load_agent("randm", SSLVectorEnv(task))


def test_an_agent_that_needs_environments_says_so():
    with pytest.raises(ValueError, match="needs to know its environments"):
        load_agent("random")


@pytest.mark.parametrize("name", ["ssl4rl_agents.baselines:Nobody", "no_such_module_at_all:Agent"])
def test_a_path_that_leads_nowhere_is_a_value_error(task, name):
    with pytest.raises(ValueError, match=name.partition(":")[0]):
        load_agent(name, SSLVectorEnv(task))


def test_what_is_no_agent_is_refused(task):
    with pytest.raises(TypeError, match="lacks `interface` or `act`"):
        load_agent("builtins:repr", SSLVectorEnv(task))


PLUGIN = """
import gymnasium as gym
import numpy as np


class Bold:
    interface = "text"

    def __init__(self, envs):
        self.count = envs.num_envs

    def act(self, observations, *, deterministic=False):
        return ["<answer>90</answer>"] * len(observations["prompt"])
"""


def test_a_plugin_joins_by_its_entry_point(task, tmp_path, monkeypatch):
    (tmp_path / "bold_plugin.py").write_text(PLUGIN)
    info = tmp_path / "bold_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bold-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ssl4rl.agents]\nbold = bold_plugin:Bold\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert "bold" in agent_names()
        assert agent_interface("bold") == "text"
        envs = SSLVectorEnv(task, num_envs=64, split="test", interface="text")
        result = evaluate_in(load_agent("bold", envs), envs, env="x", episodes=64)
        assert result.success == evaluate(ConstantAgent(envs), task, env="x", split="test", episodes=64).success
        with pytest.raises(ValueError, match="bold"):
            load_agent("nobody", envs)
    finally:
        sys.modules.pop("bold_plugin", None)


def test_a_trained_run_measures_as_its_trainer_did(tmp_path):
    settings = {
        "env_args": {"source": "digits", "image_size": 36},
        "iterations": 1,
        "format_warmup": 30,
        "eval_episodes": 8,
        "device": "cpu",
        "rollout": {"prompts": 32, "group_size": 2},
        "policy": {"temperature": 0.8},
    }
    trainer = Trainer(TrainConfig.from_json(settings), tmp_path / "run", quiet=True)
    assert trainer.run()
    agent = load_agent(tmp_path / "run")
    assert isinstance(agent, PolicyAgent)
    assert agent.policy.temperature == 0.8
    assert agent_interface(tmp_path / "run") == "text"
    ours = trainer.measure("test", 100).to_json()
    theirs = evaluate(agent, trainer.task, env=trainer.config.env, split="test", episodes=100).to_json()
    assert ours["success"] > 0
    assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


def test_a_run_without_a_checkpoint_says_so(tmp_path):
    Trainer(TrainConfig(env_args={"source": "digits", "image_size": 36}, device="cpu"), tmp_path, quiet=True)
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        load_run(tmp_path)


def test_large_batches_are_answered_in_parts(make_questions):
    policy = VLMPolicy(*build_nano(["Angle?"]), max_new_tokens=2)
    observations = make_questions(("Angle?",) * (BATCH + 5))
    sizes = []
    encode = policy.encode
    policy.encode = lambda part: sizes.append(len(part["prompt"])) or encode(part)  # type: ignore[method-assign]
    agent = PolicyAgent(policy)
    whole = agent.act(observations, deterministic=True)
    assert sizes == [BATCH, 5]
    tail = {name: values[BATCH:] for name, values in observations.items()}
    assert whole[BATCH:] == agent.act(tail, deterministic=True)
    assert PolicyAgent(policy, seed=1).act(tail) == PolicyAgent(policy, seed=1).act(tail)
    assert not torch.is_grad_enabled() or policy.value_head.weight.grad is None


def test_nothing_is_normalised_where_the_right_answers_earn_no_more_than_chance():
    task = Attempts(make_task("SSL4RL/Contrastive-v0", source="digits", image_size=36), 2)
    envs = gym.make_vec("SSL4RL/Contrastive-v0", num_envs=4, attempts=2, source="digits", image_size=36)
    with pytest.raises(ValueError, match=r"without looking earn 1\.000, the right ones 1\.000.*use fewer attempts"):
        evaluate(RandomAgent(envs), task, env="SSL4RL/Contrastive-v0", split="test", episodes=8)
    assert normalise(0.5, 0.25, 1.0) == pytest.approx(1 / 3)
    for oracle in (0.25, 0.2):
        with pytest.raises(ValueError, match="nothing is left to be learned"):
            normalise(0.25, 0.25, oracle)
