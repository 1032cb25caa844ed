"""TorchRL's `GymEnv` takes every environment by its id alone (seen with torchrl 0.14.1 and tensordict 0.14.3)."""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import ssl4rl_envs
from tests.clients.partner import run_page

envs = pytest.importorskip("torchrl.envs")
torch = pytest.importorskip("torch")
utils = pytest.importorskip("torchrl.envs.utils")


def small(env_id: str) -> dict[str, Any]:
    """The arguments that make an environment small, where its task takes them."""
    known = inspect.signature(ssl4rl_envs.task_class(env_id)).parameters
    wanted = {"image_size": 36, "patch_size": 4}
    return {name: value for name, value in wanted.items() if name in known}


@pytest.mark.parametrize("env_id", ssl4rl_envs.env_ids())
def test_every_id_passes_torchrls_check_and_rolls_out(env_id):
    env = envs.GymEnv(env_id, **small(env_id))
    utils.check_env_specs(env, seed=0)
    rollout = env.rollout(4, break_when_any_done=False)
    assert rollout.shape == (4,)
    rewards = rollout["next", "reward"]
    assert ((rewards >= 0) & (rewards <= 1)).all()
    env.close()


def test_what_is_seen_is_what_gymnasium_shows():
    env_id = "SSL4RL/Rotation-v0"
    env = envs.GymEnv(env_id, **small(env_id))
    env.set_seed(3)  # which resets; what `reset` asks then is the second question of the stream
    second = env.reset()
    plain = gym.make(env_id, **small(env_id))
    plain.reset(seed=3)
    assert np.array_equal(second["image"].numpy(), plain.reset()[0]["image"])


def test_frames_are_skipped_by_torchrl_itself():
    """It asks for `frameskip`, and understands that we do not have it by Python's own words."""
    env = envs.GymEnv("SSL4RL/PatchSwap-v0", frame_skip=2, **small("SSL4RL/PatchSwap-v0"))
    env.rollout(2)
    assert env.wrapper_frame_skip == 2


@pytest.mark.parametrize("mode", ["SAME_STEP", "DISABLED"])
def test_vector_environments_are_wrapped(mode):
    inner = gym.make_vec("SSL4RL/Rotation-v0", num_envs=3, autoreset_mode=mode, **small("SSL4RL/Rotation-v0"))
    env = envs.GymWrapper(inner)
    assert env.batch_size == (3,)
    rollout = env.rollout(4, break_when_any_done=False)
    assert rollout.shape == (3, 4)
    assert rollout["next", "done"].all()
    last_is_seen = torch.equal(rollout["image"], rollout["next", "image"])  # an answer does not change the picture
    assert last_is_seen == (mode == "DISABLED")  # with SAME_STEP TorchRL leaves zeros there; the guide says so


def test_text_of_several_environments_is_refused_rather_than_lost():
    """`GymEnv(num_envs=...)` puts Gymnasium's asynchronous vectors underneath, whose shared memory has no words."""
    with pytest.raises(ValueError, match="shared_memory=False"):
        envs.GymEnv("SSL4RL/Rotation-v0", num_envs=2, interface="text", **small("SSL4RL/Rotation-v0")).reset()


@pytest.mark.filterwarnings("ignore")
def test_the_page_runs_as_it_is_printed():
    run_page("torchrl")
