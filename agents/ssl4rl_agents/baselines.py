"""Agents that frame every result: random, constant, and the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from ssl4rl_agents.agent import Agent
from ssl4rl_envs import SSLVectorEnv, Stream, hash_seed


def _count(observations: dict[str, Any]) -> int:
    return len(next(iter(observations.values())))


class RandomAgent(Agent):
    """Answers uniformly at random among the valid answers; the same sequence for the same seed."""

    interface = "array"

    def __init__(self, envs: SSLVectorEnv, seed: int = 0) -> None:
        self._envs, self._seed, self._calls = envs.unwrapped, seed, 0

    def enter(self, envs: SSLVectorEnv) -> None:
        """Read what these environments are asking from now on."""
        self._envs = envs.unwrapped

    @override
    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> NDArray[Any]:
        """Return random answers; `deterministic` changes nothing."""
        count = _count(observations)
        self._calls += 1
        key = hash_seed(self._seed, "random agent", self._calls)
        return self._envs.task.random_answers(
            self._envs.batch, Stream("test", np.full(count, key, np.uint64), np.arange(count))
        )


class ConstantAgent(Agent):
    """Gives the same answer every time: the one that the prompt shows as its example."""

    interface = "array"

    def __init__(self, envs: SSLVectorEnv) -> None:
        self._answer = np.asarray(envs.unwrapped.task.example())

    @override
    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> NDArray[Any]:
        """Return the answer once for each observation."""
        return np.repeat(self._answer[None], _count(observations), axis=0)


class OracleAgent(Agent):
    """Gives the true answer, which it reads from the environments: the top of the scale, not a policy."""

    interface = "array"

    def __init__(self, envs: SSLVectorEnv) -> None:
        self._envs = envs.unwrapped

    def enter(self, envs: SSLVectorEnv) -> None:
        """Read what these environments are asking from now on."""
        self._envs = envs.unwrapped

    @override
    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> NDArray[Any]:
        """Return the answers to what the environments are asking at this moment."""
        return np.asarray(self._envs.task.oracle(self._envs.batch))
