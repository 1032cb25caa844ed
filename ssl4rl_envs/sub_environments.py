"""One environment of a vector, as far as others ask for it by ``call``, ``get_attr`` and ``set_attr``."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from ssl4rl_envs.task import Batch, Task

if TYPE_CHECKING:
    from ssl4rl_envs.schedules import Schedule
    from ssl4rl_envs.vector import SSLVectorEnv

_OF_VECTORS = ("num_envs", "vectorization_mode", "autoreset_mode", "prefetch")
_BY_ITSELF = ("reset", "step", "close")


class SubEnvironment:
    """Row `row` of a vector environment under the names of an `SSLEnv`, and what ``set_attr`` gave it."""

    def __init__(self, envs: SSLVectorEnv, row: int) -> None:
        self._envs, self._row = envs, row

    @property
    def unwrapped(self) -> SubEnvironment:
        """Itself."""
        return self

    @property
    def task(self) -> Task:
        """What is asked."""
        return self._envs.task

    @property
    def schedule(self) -> Schedule | None:
        """What chooses among the parts of a mixture, if something does."""
        return self._envs.schedule

    @property
    def split(self) -> str:
        """Whose items are asked about."""
        return self._envs.split

    @property
    def batch(self) -> Batch:
        """The instance being asked, as a batch of one row, its target included."""
        return self._envs.batch.rows(slice(self._row, self._row + 1))

    @property
    def observation_space(self) -> Any:
        """Of one environment."""
        return self._envs.single_observation_space

    @property
    def action_space(self) -> Any:
        """Of one environment."""
        return self._envs.single_action_space

    @property
    def render_mode(self) -> str | None:
        """As that of the vector."""
        return self._envs.render_mode

    @property
    def metadata(self) -> dict[str, Any]:
        """As that of the vector, but for the way of starting anew, which is a vector's."""
        return {name: value for name, value in self._envs.metadata.items() if name != "autoreset_mode"}

    @property
    def spec(self) -> EnvSpec | None:
        """How ``gymnasium.make`` makes one environment like it; None without it."""
        spec = copy.deepcopy(self._envs.spec)
        if spec is None:
            return None
        kwargs = {name: value for name, value in spec.kwargs.items() if name not in _OF_VECTORS}
        return dataclasses.replace(spec, kwargs=kwargs)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions have an effect; raises as `SSLEnv.action_masks`."""
        facts = self.task.info(self._envs.questions.batch)
        if "action_mask" not in facts:
            raise ValueError(f"{type(self.task).__name__} has no action mask: every action has an effect")
        return np.asarray(facts["action_mask"][self._row], bool)

    def render(self) -> Any:
        """Return the picture, or text, of what is being asked; None without a render mode."""
        drawn = self._envs.draw([self._row])
        return None if drawn is None else drawn[0]


class Attributes:
    """What ``set_attr`` gave the environments of a vector, and how all their attributes are read."""

    def __init__(self, envs: SSLVectorEnv) -> None:
        self._envs = envs
        self._given: dict[str, list[Any]] = {}

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Return an attribute of each environment, or what comes of calling it; see `SSLVectorEnv.call`."""
        if name in _BY_ITSELF:
            raise ValueError(f"call() does not take {name!r}; use {name}() of the vector environment itself")
        if name in self._given:
            found = list(self._given[name])
        elif hasattr(SubEnvironment, name) and not name.startswith("_"):
            found = [getattr(SubEnvironment(self._envs, row), name) for row in range(self._envs.num_envs)]
        else:
            known = sorted({each for each in vars(SubEnvironment) if not each.startswith("_")} | set(self._given))
            raise AttributeError(f"environments of an SSLVectorEnv have no attribute {name!r}; they have {', '.join(known)}")
        return tuple(each(*args, **kwargs) if callable(each) else each for each in found)

    def set(self, name: str, values: Any) -> None:
        """Keep a value for each environment; see `SSLVectorEnv.set_attr`."""
        if hasattr(SubEnvironment, name) or name in _BY_ITSELF:
            raise AttributeError(
                f"{name!r} is one for all environments of an SSLVectorEnv and cannot be set; make another vector environment"
            )
        count = self._envs.num_envs
        given = list(values) if isinstance(values, (list, tuple)) else [values] * count
        if len(given) != count:
            raise ValueError(f"need one value of {name!r} an environment, or one for all: {count}, got {len(given)}")
        self._given[name] = given
