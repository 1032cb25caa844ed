"""Environments of the suite as stable-baselines3 takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn
from typing_extensions import override

from ssl4rl_envs import SSLVectorEnv


class SB3Env(VecEnv):
    """An `SSLVectorEnv` as stable-baselines3's `VecEnv`: whole batches, no copies of environments.

    Args:
        envs: array environments.
        seeds: of the environments, for the first `reset`.

    Raises:
        ValueError: the environments talk in words.
    """

    def __init__(self, envs: SSLVectorEnv, seeds: Sequence[int] | None = None) -> None:
        if envs.questions.interface.text:
            raise ValueError("stable-baselines3 takes arrays; use interface='array'")
        self.envs, self._first = envs, list(seeds) if seeds is not None else None
        self.render_mode = None
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self._actions: NDArray[Any] | None = None
        self._masks: NDArray[np.int8] | None = None

    def reset(self) -> VecEnvObs:
        """Ask first, or next, instances."""
        observations, info = self.envs.reset(seed=cast("Any", self._first))
        self._first = None
        self._masks = info.get("action_mask")
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Answer; episodes that end are followed by the next instances, as SB3 wants it."""
        observations, rewards, terminated, truncated, info = self.envs.step(self._actions)
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(ended):
            infos[row] = {
                "terminal_observation": info["final_obs"][row],
                "TimeLimit.truncated": bool(truncated[row] and not terminated[row]),
                "success": bool(info["final_info"]["success"][row]),
            }
        self._masks = info.get("action_mask")
        return observations, rewards, ended, infos

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the environments, once for each; all share one task."""
        value = getattr(self.envs, attr_name)
        return [value for _ in self._get_indices(indices)]

    @override
    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refuse: the environments share their attributes."""
        raise AttributeError(f"{attr_name} cannot be set: these environments share one task and its settings")

    @override
    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Return the action masks, the one thing that SB3 asks of single environments; all else is refused."""
        if method_name != "action_masks" or self._masks is None:
            raise AttributeError(f"these environments have no method {method_name} of their own")
        return [self._masks[row] for row in self._get_indices(indices)]

    @override
    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Return False for each: nothing is wrapped."""
        return [False for _ in self._get_indices(indices)]

    def has_attr(self, attr_name: str) -> bool:
        """Return whether the environments have an attribute; action masks are one where the task gives them."""
        return self._masks is not None if attr_name == "action_masks" else hasattr(self.envs, attr_name)
