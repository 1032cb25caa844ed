"""Workers of Ray, which import nothing of ours by themselves, make environments by their prefixed ids (ray 2.60.0)."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

ray = pytest.importorskip("ray")

SMALL = {"source": "digits", "image_size": 36}


@pytest.mark.slow
def test_workers_know_a_prefixed_id_and_ask_what_is_asked_here():
    def asked(env_id: str) -> Any:
        import gymnasium

        try:
            return gymnasium.make(env_id, **SMALL).reset(seed=3)[0]["image"]
        except gymnasium.error.NamespaceNotFound as error:
            return str(error)

    ray.init(num_cpus=1, include_dashboard=False, ignore_reinit_error=True)
    try:
        ask = ray.remote(asked)
        alone, prefixed = ray.get([ask.remote("SSL4RL/Rotation-v0"), ask.remote("ssl4rl_envs:SSL4RL/Rotation-v0")])
    finally:
        ray.shutdown()
    assert alone == "Namespace SSL4RL not found. Have you installed the proper package for SSL4RL?"
    assert np.array_equal(prefixed, gym.make("ssl4rl_envs:SSL4RL/Rotation-v0", **SMALL).reset(seed=3)[0]["image"])
