"""Agents that learned are kept, stable-baselines3's among them, and are the same when they are loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from ssl4rl_agents.agent import agent_names, load_agent
from ssl4rl_agents.lessons import Lesson
from ssl4rl_envs import SSLVectorEnv, make_task

SMALL = {"source": "digits", "image_size": 36}
WHERE: dict[str, tuple[str, dict[str, Any]]] = {
    "sb3-sac": ("SSL4RL/MaskedReconstruction-v0", {**SMALL, "answer": "pixels"}),
    "sb3-maskable-ppo": ("SSL4RL/PatchSwap-v0", {**SMALL, "grid": 2, "max_steps": 3}),
    "gcn-ppo": ("SSL4RL/EdgePrediction-v0", {"source": "sbm", "features": "id"}),
}
"""Agents that cannot learn to tell turns."""

NAMES = [name for name in agent_names() if name.startswith("sb3-")] + ["nano-ppo", "gcn-ppo"]
LITTLE = {"nano-ppo": {"rollout": {"prompts": 8}}, "gcn-ppo": {"rollout": {"prompts": 8, "group_size": 1}}}


def learned(name: str, folder: Path) -> tuple[Any, SSLVectorEnv]:
    env, args = WHERE.get(name, ("SSL4RL/Rotation-v0", SMALL))
    interface = "text" if name == "nano-ppo" else "array"
    envs = SSLVectorEnv(make_task(env, **args), num_envs=16, interface=interface)
    agent: Any = load_agent(name, envs, **LITTLE.get(name, {}))
    agent.learn(Lesson(env, args, episodes=64, seed=0, folder=folder, measurements=1, measured_episodes=4))
    return agent, envs


def answers(agent: Any, envs: SSLVectorEnv) -> Any:
    observations, _ = envs.reset(seed=3)
    if hasattr(agent, "enter"):
        agent.enter(envs)
    return agent.act(observations, deterministic=True)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_learned_is_kept(name, tmp_path):
    """Nothing is pickled, and the agent that is loaded answers alike."""
    if name in ("sb3-trpo", "sb3-qrdqn", "sb3-maskable-ppo"):
        pytest.importorskip("sb3_contrib")
    agent, envs = learned(name, tmp_path / "lesson")
    (tmp_path / "kept").mkdir()
    agent.save(tmp_path / "kept")
    assert {file.suffix for file in (tmp_path / "kept").iterdir()} <= {".json", ".safetensors", ".jinja"}
    again: Any = load_agent(name, envs, **LITTLE.get(name, {}))
    again.load(tmp_path / "kept")
    assert np.array_equal(answers(again, envs), answers(agent, envs))


def test_what_is_no_such_agent_is_not_loaded(tmp_path):
    agent, envs = learned("sb3-ppo", tmp_path / "lesson")
    agent.save(tmp_path)
    with pytest.raises(ValueError, match=r"sb3\.json is of another algorithm than stable_baselines3:A2C"):
        load_agent("sb3-a2c", envs).load(tmp_path)  # type: ignore[attr-defined]
    weights = load_file(tmp_path / "policy.safetensors")
    weights.pop("action_net.bias")
    save_file(weights, tmp_path / "policy.safetensors")
    with pytest.raises(ValueError, match=r"policy\.safetensors do not fit stable_baselines3:PPO: action_net\.bias"):
        load_agent("sb3-ppo", envs).load(tmp_path)  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="has not learned yet"):
        load_agent("sb3-ppo", envs).save(tmp_path)  # type: ignore[attr-defined]


def test_settings_that_json_cannot_hold_are_refused(tmp_path):
    env, args = "SSL4RL/Rotation-v0", SMALL
    envs = SSLVectorEnv(make_task(env, **args), num_envs=2)
    agent: Any = load_agent("sb3-ppo", envs, learning_rate=lambda _: 1e-3)
    agent.learn(Lesson(env, args, episodes=16, seed=0, folder=tmp_path))
    with pytest.raises(ValueError, match="settings of a kept agent are written as JSON"):
        agent.save(tmp_path)


def test_the_model_of_stable_baselines3_is_there_to_go_on_with(tmp_path):
    agent, envs = learned("sb3-ppo", tmp_path / "lesson")
    agent.save(tmp_path)
    again: Any = load_agent("sb3-ppo", envs)
    again.load(tmp_path)
    assert again.model.n_steps == json.loads((tmp_path / "sb3.json").read_text())["n_steps"]
    again.model.learn(64)
