"""SSLVectorEnv: many environments over one task, sampled and scored as whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ssl4rl_envs import rendering
from ssl4rl_envs.questions import Questions
from ssl4rl_envs.schedules import Schedule
from ssl4rl_envs.task import Batch, Task


class SSLVectorEnv(gym.vector.VectorEnv[dict[str, Any], Any, NDArray[Any]]):
    """`num_envs` environments of one task, as `gymnasium.make_vec` makes them.

    For the same seed and actions it gives what ``SyncVectorEnv(..., autoreset_mode=AutoresetMode.SAME_STEP)`` over as many
    `SSLEnv` gives, by whole batches: sub-environment i has seed s + i, an episode that ends is followed in the same step by
    the next instance, and the last observation and info of the ended one are in ``infos["final_obs"]`` and
    ``infos["final_info"]``. Rewards are float32.

    Args:
        task, split, interface, prompt_style, group_size, attempts, render_mode, arguments: as for `SSLEnv`; of the render
            modes "rgb_array" and
            "ansi", one picture an environment.
        num_envs: how many environments, at least 1.

    Raises:
        ValueError: an argument is not one of its values.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium's own)
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 2,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        task: Task | str,
        *,
        num_envs: int = 1,
        split: str = "train",
        interface: str = "array",
        prompt_style: str = "direct",
        group_size: int = 1,
        attempts: int = 1,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        if render_mode not in (None, "rgb_array", "ansi"):
            raise ValueError(f"render_mode of a vector environment must be 'rgb_array' or 'ansi', got {render_mode!r}")
        self.num_envs, self.render_mode = num_envs, render_mode
        self.questions = Questions(task, arguments, num_envs, split, interface, prompt_style, group_size, attempts)
        self._take_spaces()

    @property
    def task(self) -> Task:
        """What is asked."""
        return self.questions.task

    @property
    def split(self) -> str:
        """Whose items are asked about."""
        return self.questions.split

    @property
    def batch(self) -> Batch:
        """The instances being asked, targets included: for oracles and analysis, not for agents."""
        return self.questions.batch

    def follow(self, schedule: Schedule, task: Task) -> None:
        """Let a schedule choose among the parts of a mixture from now on; see `ssl4rl_envs.wrappers`."""
        self.questions.follow(schedule, task)
        self._take_spaces()

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ask the first instances of the seeds, or the next ones where a seed is None.

        Args:
            seed: s for s, s + 1, ...; or a list of one seed, or None, an environment.
            options: ``{"reset_mask": (num_envs,) bool}`` resets the marked environments alone.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        mask = self._reset_mask(options)
        if isinstance(seed, int):
            seed = [seed + i for i in range(self.num_envs)]
        elif seed is None:
            seed = [None] * self.num_envs
        if len(seed) != self.num_envs:
            raise ValueError(f"need {self.num_envs} seeds, one an environment, got {len(seed)}")
        self.questions.restart(seed, mask, self.np_random)
        self.questions.ask(mask)
        return self.questions.observe(), _masked(self.questions.facts(), mask)

    def step(
        self, actions: Any
    ) -> tuple[dict[str, Any], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Answer all questions; the environments whose episode ends ask their next one.

        Args:
            actions: num_envs elements of the action space, or num_envs strings in the text interface.
        """
        transition, truncated = self.questions.answer(actions)
        score, terminated = transition.step.score, transition.step.terminated.copy()
        ended = terminated | truncated
        info: dict[str, NDArray[Any]] = {"success": score.success, **self.questions.facts()}
        if self.questions.interface.text:
            info |= {"valid": transition.answered, "parsed": np.array(transition.written, object)}
        infos = _masked(info, ~ended)
        if ended.any():
            infos |= self._final(info, ended)
            self.questions.ask(ended)
            infos |= _masked(self.questions.facts(), np.ones(self.num_envs, bool))
        return self.questions.observe(), score.reward.astype(np.float32), terminated, truncated, infos

    def render(self) -> tuple[Any, ...] | None:
        """Return one picture (or text) an environment of what is being asked; None without a render mode."""
        if self.render_mode is None:
            return None
        cards = [rendering.card(self.task, self.batch, row, None) for row in range(self.num_envs)]
        return tuple(rendering.to_ansi(card) if self.render_mode == "ansi" else rendering.draw(card) for card in cards)

    def _reset_mask(self, options: dict[str, Any] | None) -> NDArray[np.bool_]:
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.ones(self.num_envs, bool)
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(f"reset_mask must be a bool array of shape ({self.num_envs},) with a True, got {mask!r}")
        if not self.questions.asking:
            raise ValueError("the first reset() cannot be partial; leave reset_mask out")
        return mask

    def _final(self, info: dict[str, NDArray[Any]], ended: NDArray[np.bool_]) -> dict[str, Any]:
        """Return the last observations and infos of the ended episodes, laid out as Gymnasium lays them out."""
        shown = self.questions.observe()
        final_obs = np.full(self.num_envs, None, object)
        for row in np.flatnonzero(ended):
            final_obs[row] = {name: values[row] for name, values in shown.items()}
        final_info = _masked({**info, "target": self.batch.target}, ended)
        return {"final_obs": final_obs, "_final_obs": ended, "final_info": final_info, "_final_info": ended.copy()}

    def _take_spaces(self) -> None:
        self.single_observation_space: Any = self.questions.interface.observation_space
        self.single_action_space = self.questions.interface.action_space
        self.observation_space: Any = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)


def _masked(info: dict[str, NDArray[Any]], mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Lay out an info of arrays as Gymnasium does: zeros (or None) outside the mask, and the mask under `_key`."""
    result: dict[str, Any] = {}
    if mask.any():
        for key, values in info.items():
            empty = np.full_like(values, None) if values.dtype == object else np.zeros_like(values)
            empty[mask] = values[mask]
            result[key], result[f"_{key}"] = empty, mask.copy()
    return result
