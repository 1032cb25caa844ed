"""Episodes as data sets of Minari, for offline reinforcement learning and imitation.

from ssl4rl_envs.bridges.minari import record

data = record("Rotation", "ssl4rl/rotation/solver-v0", 1000, policy="solver", source="digits")
data = minari.load_dataset("ssl4rl/rotation/solver-v0")  # from then on
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

import ssl4rl_envs
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.arguments import whole_number
from ssl4rl_envs.env import SSLEnv
from ssl4rl_envs.installing import need
from ssl4rl_envs.registration import env_id_of
from ssl4rl_envs.stream import hash_seed

if TYPE_CHECKING:
    from minari import EpisodeBuffer, MinariDataset

CHUNK = 256
"""Episodes that are kept in memory at a time."""

LOSSY = (
    "jpeg=True keeps pictures as JPEG, as Minari does by default: pixels come back changed, so what is learned from the data "
    "set is not what the environment shows; leave it out to keep them as they are"
)


def record(
    env_id: str,
    dataset_id: str,
    episodes: int,
    *,
    policy: str = "solver",
    seed: int = 0,
    first: int = 0,
    jpeg: bool = False,
    about: Mapping[str, Any] | None = None,
    **env_args: Any,
) -> MinariDataset:
    """Play the questions `first` ... `first + episodes - 1` of a seed and keep the episodes as a data set on this machine.

    Minari keeps of each episode the seed and the options of its reset, here ``{"index": k}``, from which the environment asks
    the same question again. The scores between which `minari.get_normalized_score` lies are the task's chance and 1, so that
    it is the normalised score of this suite.

    Args:
        env_id: e.g. "SSL4RL/Rotation-v0", or in short, "Rotation".
        dataset_id: as Minari names data sets, e.g. "ssl4rl/rotation/solver-v0".
        episodes: how many, from 1.
        policy: "solver" gives the true answers, "random" draws from the action space.
        seed: of the questions, and of the random policy.
        first: number of the first question.
        jpeg: let Minari keep pictures as JPEG, a fraction of the size and changed.
        about: what else Minari is to keep: `author`, `author_email`, `code_permalink`; it warns where they are missing.
        env_args: of the environment: `split`, `interface` and others, and the arguments of its task.

    Returns:
        The data set, as `minari.load_dataset` gives it.

    Raises:
        ImportError: Minari is not installed.
        ValueError: there is such a data set already, or an argument is out of its range.
    """
    need("a data set of Minari", "minari", "minari", "h5py")
    from minari import create_dataset_from_buffers, load_dataset

    episodes, first = whole_number("episodes", episodes, 1), whole_number("first", first, 0)
    env_id = env_id_of(env_id)
    env = gym.make(env_id, **env_args)
    task = _inner(env).task
    act = _policy(policy, env, seed)
    if jpeg and task.images:
        warnings.warn(LOSSY, stacklevel=2)
    played = (_episode(env, act, seed, index, index - first) for index in range(first, first + episodes))
    data = create_dataset_from_buffers(
        dataset_id,
        list(itertools.islice(played, CHUNK)),
        env=env,
        eval_env=env,
        algorithm_name=policy,
        ref_min_score=float(task.chance),
        ref_max_score=1.0,
        description=f"{policy} episodes {first} to {first + episodes - 1} of seed {seed} of {env_id}, {env_args}",
        requirements=[f"ssl4rl=={ssl4rl_envs.__version__}"],
        jpeg_encoding=jpeg,
        **(about or {}),
    )
    while chunk := list(itertools.islice(played, CHUNK)):
        data.storage.update_episodes(chunk)
    env.close()
    return load_dataset(dataset_id)


def _episode(env: gym.Env[Any, Any], act: Callable[[], Any], seed: int, index: int, number: int) -> EpisodeBuffer:
    """Play a question; Minari's own collector would need jax to keep it."""
    from minari.data_collector import EpisodeBuffer

    options = {"index": index}
    observations, actions, rewards = [env.reset(seed=seed, options=options)[0]], [], []
    ends: list[tuple[bool, bool]] = []
    while not ends or not any(ends[-1]):
        action = act()
        seen, reward, *end, _ = env.step(action)
        observations.append(seen)
        actions.append(action)
        rewards.append(float(reward))
        ends.append((end[0], end[1]))
    return EpisodeBuffer(
        id=number,
        seed=seed,
        options=options,
        observations={name: [seen[name] for seen in observations] for name in observations[0]},
        actions=actions,
        rewards=rewards,
        terminations=[terminated for terminated, _ in ends],
        truncations=[truncated for _, truncated in ends],
    )


def _policy(name: str, env: gym.Env[Any, Any], seed: int) -> Callable[[], Any]:
    inner = _inner(env)
    if name == "random":
        env.action_space.seed(int(hash_seed("minari", seed)) % 2**63)
        return env.action_space.sample
    if name != "solver":
        raise ValueError(f"policy must be 'solver' or 'random', got {name!r}")

    def solve() -> Any:
        answer = inner.task.oracle(inner.batch)[0]
        interface = inner.questions.interface
        return wrap(inner.task.format(answer), interface.prompt_style) if interface.text else np.asarray(answer)[()]

    return solve


def _inner(env: gym.Env[Any, Any]) -> SSLEnv:
    inner = env.unwrapped
    assert isinstance(inner, SSLEnv)
    return inner
