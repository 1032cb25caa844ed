"""The arrays of every environment train in stable-baselines3 as they are."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from stable_baselines3 import PPO

import ssl4rl_envs


def small(env_id: str) -> dict[str, object]:
    """The arguments that make an environment small, where its task takes them."""
    import inspect

    wanted = {"source": "scenes", "image_size": 36, "patch_size": 4}
    known = inspect.signature(ssl4rl_envs.task_class(env_id)).parameters
    kept = {name: value for name, value in wanted.items() if name in known}
    if "image_size" not in kept:
        kept.pop("source", None)
    return kept


def test_ppo_trains_and_predicts_valid_actions(kind_id):
    task = ssl4rl_envs.make_task(kind_id, **small(kind_id))
    env = gym.make(kind_id, **small(kind_id))
    model = PPO("MultiInputPolicy", env, n_steps=64, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(128)
    observation, _ = env.reset(seed=0)
    for deterministic in (True, False):
        action, _ = model.predict(observation, deterministic=deterministic)
        assert env.action_space.contains(action) or env.action_space.contains(np.asarray(action).item())
        _, reward, terminated, _, info = env.step(action)
        assert 0 <= reward <= 1
        assert terminated or task.horizon > 1
        assert "success" in info
        observation, _ = env.reset()
    env.close()
