"""stable-baselines3's vectors, its monitor and its evaluation take the environments by their ids."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack, VecMonitor, VecTransposeImage

from tests.clients.partner import run_page

ROTATION = "SSL4RL/Rotation-v0"
SMALL = {"source": "digits", "image_size": 36}


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_worker_processes_know_a_prefixed_id(start):
    """They are no forks, and import nothing of ours by themselves."""
    envs = make_vec_env(
        f"ssl4rl_envs:{ROTATION}",
        n_envs=1,
        env_kwargs=SMALL,
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": start},
        seed=0,
    )
    try:
        shown = envs.reset()
        expected, _ = gym.make(ROTATION, **SMALL).reset(seed=0)
        assert np.array_equal(shown["image"][0], expected["image"])
        _, _, done, infos = envs.step(np.array([0]))
        assert done.all()
        assert np.array_equal(infos[0]["terminal_observation"]["image"], expected["image"])
    finally:
        envs.close()


def test_its_vectors_ask_what_ours_ask():
    envs = make_vec_env(ROTATION, n_envs=3, env_kwargs=SMALL, vec_env_cls=DummyVecEnv, seed=5)
    ours = gym.make_vec(ROTATION, num_envs=3, **SMALL)
    shown, (expected, _) = envs.reset(), ours.reset(seed=5)
    for actions in ([0, 1, 2], [3, 0, 1]):
        assert np.array_equal(shown["image"], expected["image"])
        shown, reward, *_ = envs.step(np.array(actions))
        expected, paid, *_ = ours.step(np.array(actions))
        assert np.array_equal(reward, paid)
    assert envs.get_attr("split") == ["train"] * 3
    assert envs.env_method("action_masks", indices=[]) == []


def test_pictures_are_transposed_stacked_and_evaluated():
    envs = make_vec_env(ROTATION, n_envs=2, env_kwargs=SMALL, seed=0)
    assert VecTransposeImage(envs).reset()["image"].shape == (2, 3, 36, 36)
    assert VecFrameStack(envs, 2).reset()["image"].shape == (2, 36, 36, 6)
    model = PPO("MultiInputPolicy", envs, n_steps=8, batch_size=8, n_epochs=1, seed=0, device="cpu")
    rewards, lengths = evaluate_policy(model, VecMonitor(envs), n_eval_episodes=6, return_episode_rewards=True)
    assert lengths == [1] * 6
    assert all(0 <= reward <= 1 for reward in rewards)


def test_the_success_rate_is_logged():
    """`is_success` in `info`, as its buffers read it."""
    model = PPO("MultiInputPolicy", gym.make(ROTATION, **SMALL), n_steps=16, batch_size=16, n_epochs=1, device="cpu")
    model.set_logger(Logger(None, []))
    model.learn(32, log_interval=None)
    model.dump_logs(1)
    assert len(model.ep_success_buffer) == 32
    assert set(model.ep_success_buffer) <= {True, False}


@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("ignore:.*unconventional shape.*")
def test_its_check_passes():
    for name, more in ((ROTATION, {}), (ROTATION, {"attempts": 2}), ("SSL4RL/PatchSwap-v0", {}), ("SSL4RL/Mixture-v0", {})):
        check_env(gym.make(name, **SMALL, **more).unwrapped)


@pytest.mark.filterwarnings("ignore")
def test_the_page_runs_as_it_is_printed():
    run_page("sb3")
