"""Controls: what an answer earns, and what is seen, where training is kept from the truth or from the pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from ssl4rl_agents.choosing.altering import GREY
from ssl4rl_agents.control_settings import OPINIONS, Reward, ShownPictures
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.mixture import TASK
from ssl4rl_envs.task import Batch, Task


def paid(
    reward: Reward,
    verified: NDArray[np.float32],
    answered: NDArray[np.bool_],
    decisions: int,
    generator: torch.Generator,
) -> NDArray[np.float32]:
    """Return what n replies earn, (n,).

    Args:
        reward: by what, see `control_settings.ControlConfig`.
        verified: (n,) what they are worth, by the truth or, where the reward is one of `OPINIONS`, by that opinion.
        answered: (n,) which are well-formed answers.
        decisions: most of an episode, which share what may be earned in it.
        generator: on the CPU; tosses a coin for every reply.
    """
    if reward == "verified" or reward in OPINIONS:
        return verified
    coins = torch.randint(2, (len(verified),), generator=generator).numpy()
    earned = {"coin": coins * answered, "random": coins, "format": answered}[reward]
    return np.asarray(earned, np.float32) / np.float32(decisions)


def withheld(pictures: dict[str, Any], how: ShownPictures, kinds: NDArray[np.int64] | None = None) -> dict[str, Any]:
    """Return pictures of n questions, arrays or tensors (n, ...) by name, altered.

    Args:
        pictures: those of each question, all uint8.
        how: "shown" leaves them; "blank" makes them grey; "swapped" gives each question those of the next one, and the last
            those of the first, so with n = 1 its own.
        kinds: (n,) of which part of a mixture questions are, if they are of several: then those of one follow each other.
    """
    if how == "shown":
        return pictures
    if how == "blank":
        return {name: _filled(values, GREY) for name, values in pictures.items()}
    count = len(next(iter(pictures.values())))
    order = np.arange(count) if kinds is None else np.argsort(np.asarray(kinds), kind="stable")
    others = np.empty(count, np.int64)
    others[order] = np.roll(order, -1)
    return {name: values[others] for name, values in pictures.items()}


def _filled(values: Any, level: int) -> Any:
    return torch.full_like(values, level) if isinstance(values, torch.Tensor) else np.full_like(values, level)


class AlteredInterface(Interface):
    """A task's side whose pictures are not those of the question; all else is as it is.

    Args:
        how: "blank" or "swapped", see `withheld`.
        task, name, prompt_style, grammar: as of `Interface`.
        why: the setting that asks for it, for errors.

    Raises:
        ValueError: the task shows no pictures, or goes on for several decisions, for which no other question has pictures.
    """

    def __init__(
        self,
        how: ShownPictures,
        task: Task,
        name: str,
        prompt_style: str,
        grammar: str = "strict",
        why: str = "control.pictures",
    ) -> None:
        super().__init__(task, name, prompt_style, grammar)
        self._how = how
        if not task.images:
            raise ValueError(f"{why} does nothing with {type(task).__name__}, which shows no pictures")
        if how == "swapped" and task.horizon > 1:
            raise ValueError(
                f"control.pictures swapped needs a task of one decision, and {type(task).__name__} takes up to "
                f"{task.horizon}: what other questions show does not go on with an episode; blank does"
            )

    @override
    def copies(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return what is shown of n instances, the pictures altered."""
        shown = super().copies(batch)
        pictures = {name: shown[name] for name in self.task.images}
        return {**shown, **withheld(pictures, self._how, batch.observation.get(TASK))}


def training_interface(config: TrainConfig, task: Task) -> Interface:
    """Return the side of a task that a policy learns from.

    Raises:
        ValueError: see `Interface` and `AlteredInterface`.
    """
    how, given = config.control.pictures, (config.policy.interface, config.prompt_style, config.grammar)
    return Interface(task, *given) if how == "shown" else AlteredInterface(how, task, *given)
