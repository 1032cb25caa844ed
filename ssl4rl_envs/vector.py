"""SSLVectorEnv: many environments over one task, sampled and scored as whole batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ssl4rl_envs import memory
from ssl4rl_envs.actions import check_count
from ssl4rl_envs.arguments import one_of, whole_number
from ssl4rl_envs.briefly import briefly
from ssl4rl_envs.questions import Questions, checked_options
from ssl4rl_envs.registration import PlainSpec
from ssl4rl_envs.schedules import Schedule
from ssl4rl_envs.sub_environments import Attributes
from ssl4rl_envs.task import Batch, Task

if TYPE_CHECKING:
    from ssl4rl_envs.rendering import Canvas


class SSLVectorEnv(PlainSpec, gym.vector.VectorEnv[dict[str, Any], Any, NDArray[Any]]):
    """`num_envs` environments of one task, as `gymnasium.make_vec` makes them.

    For the same seed and actions it gives what ``SyncVectorEnv(..., autoreset_mode=autoreset_mode)`` over as many `SSLEnv`
    gives, by whole batches: sub-environment i has seed s + i. In SAME_STEP, the default, an episode that ends is followed in
    the same step by the next instance, and the last observation and info of the ended one are in ``infos["final_obs"]`` and
    ``infos["final_info"]``. In NEXT_STEP the step after an end asks the next instance, ignores the action and pays 0: with
    episodes of one step that is every second step. DISABLED leaves it to ``reset(options={"reset_mask": ...})``.
    Rewards are float32.

    Args:
        task, split, interface, prompt_style, grammar, group_size, attempts, render_mode, arguments: as for `SSLEnv`; of the
            render modes "rgb_array" and "ansi", one picture an environment.
        num_envs: how many environments, at least 1.
        autoreset_mode: a `gymnasium.vector.AutoresetMode`, or its name or value.
        prefetch: make the next questions in a thread while the agent acts; a number says how many batches ahead (where
            episodes have several decisions, one question an environment). It shows in nothing but time, takes the memory of
            what is made ahead, and does nothing under a schedule, which chooses each question by the answers before it.

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
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        split: str = "train",
        interface: str = "array",
        prompt_style: str = "direct",
        grammar: str = "strict",
        group_size: int = 1,
        attempts: int = 1,
        prefetch: bool | int = False,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        num_envs = whole_number("num_envs", num_envs, 1)
        if render_mode is not None:
            one_of("render_mode of a vector environment", render_mode, ("rgb_array", "ansi"))
        self.num_envs, self.render_mode = num_envs, render_mode
        self.autoreset_mode = _mode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self._ended = np.zeros(num_envs, bool)
        self._attributes = Attributes(self)
        self._canvas: Canvas | None = None
        ahead = int(prefetch) if isinstance(prefetch, bool) else prefetch
        how = (split, interface, prompt_style, group_size, attempts, grammar)
        self.questions = Questions(task, arguments, num_envs, ahead, *how)
        self._take_spaces()

    @property
    def task(self) -> Task:
        """What is asked."""
        return self.questions.task

    @property
    def schedule(self) -> Schedule | None:
        """What chooses among the parts of a mixture, if something does; see `ssl4rl_envs.curricula`."""
        return self.questions.schedule

    @property
    def split(self) -> str:
        """Whose items are asked about."""
        return self.questions.split

    @property
    def batch(self) -> Batch:
        """The instances being asked, targets included: for oracles and analysis, not for agents.

        It is the environment's own and not to be written to; with the end of an episode its arrays become `final_obs`.
        """
        return self.task.complete(self.questions.batch)

    def follow(self, schedule: Schedule, task: Task) -> None:
        """Let a schedule choose among the parts of a mixture from now on; see `ssl4rl_envs.curricula`."""
        self.questions.follow(schedule, task)
        self._ended[:] = False
        self._take_spaces()

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ask the first instances of the seeds, or the next ones where a seed is None.

        Args:
            seed: s for s, s + 1, ...; or a list of one seed, or None, an environment.
            options: ``{"reset_mask": (num_envs,) bool}`` resets the marked environments alone; ``{"index": k}`` (or one an
                environment) asks instance k of their streams.

        Raises:
            gymnasium.error.ClosedEnvironmentError: the environments were closed.
            TypeError: the seeds are no sequence, or the options no dict.
            ValueError: there are not as many seeds or indices as environments, a seed or index is no whole number from 0 on,
                or an option is unknown.
        """
        self._check_open("reset()")
        seed = int(seed) if isinstance(seed, np.integer) else seed
        super().reset(seed=seed if isinstance(seed, int) else None)
        others = checked_options(options)
        mask = self._reset_mask(others.pop("reset_mask", None))
        if isinstance(seed, int):
            seed = [seed + i for i in range(self.num_envs)]
        elif seed is None:
            seed = [None] * self.num_envs
        if isinstance(seed, str) or not isinstance(seed, (Sequence, np.ndarray)):
            raise TypeError(f"seed is a whole number, or {self.num_envs} of them, one an environment, got {seed!r}")
        if len(seed) != self.num_envs:
            raise ValueError(f"need {self.num_envs} seeds, one an environment, got {len(seed)}")
        self.questions.restart(seed, mask, self.np_random, others)
        self.questions.ask(mask)
        self._ended[mask] = False
        return self.questions.observe(), self._infos(self.questions.interface.silence(self.questions.batch), mask)

    def step(
        self, actions: Any
    ) -> tuple[dict[str, Any], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Answer all questions; what follows the end of an episode, `autoreset_mode` says.

        Args:
            actions: num_envs elements of the action space, or num_envs strings in the text interface.

        Raises:
            TypeError, ValueError: the actions are not of the interface's kind, or not num_envs.
            RuntimeError: nothing is being asked, or with DISABLED an environment has ended and was not reset.
            gymnasium.error.ClosedEnvironmentError: the environments were closed.
        """
        going = self._going(actions)
        reward, (terminated, truncated) = np.zeros(self.num_envs, np.float32), np.zeros((2, self.num_envs), bool)
        side, every = self.questions.interface, np.ones(self.num_envs, bool)
        said = side.silence(self.questions.batch)
        if going.any():
            taken = actions if going.all() else [action for action, goes in zip(actions, going, strict=True) if goes]
            transition, truncated[going] = self.questions.answer(taken, going)
            reward[going], terminated[going] = transition.step.score.reward, transition.step.terminated
            for name, values in side.heard(transition).items():
                said[name][going] = values
        ended = terminated | truncated
        if ended.any():
            for name, values in side.told(self.questions.batch).items():
                said[name][ended] = values[ended]
        final: dict[str, Any] = {}
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._ended = ended
            if not going.all():
                self.questions.ask(~going)
        elif ended.any():
            final = self._final(said | self.questions.facts(), ended)
            for name, values in side.silence(self.questions.batch).items():
                said[name][ended] = values[ended]
            self.questions.ask(ended)
        return self.questions.observe(), reward, terminated, truncated, {**self._infos(said, every), **final}

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return an attribute of each environment, or where it is a function, what it returns; as `AsyncVectorEnv.call`.

        Args:
            name: of what an `SSLEnv` has ("batch", "action_masks", "render", "spec", ...), or of what `set_attr` gave.
            args, kwargs: of the function.

        Raises:
            AttributeError: there is none of this name.
            ValueError: it is "reset", "step" or "close", which the vector does for all.
        """
        return self._attributes.call(name, args, kwargs)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of each environment; see `call`."""
        return self._attributes.call(name, (), {})

    def set_attr(self, name: str, values: Any) -> None:
        """Give the environments an attribute, which `get_attr` returns.

        Args:
            name: of the attribute.
            values: a list or tuple of one an environment, or another thing for all of them.

        Raises:
            AttributeError: it is one for all environments, such as their task.
            ValueError: there is not one an environment.
        """
        self._attributes.set(name, values)

    def close_extras(self, **kwargs: Any) -> None:
        """End the thread that makes questions ahead, and give back memory; called by `close`."""
        del kwargs
        self.questions.close()
        memory.release()

    def render(self) -> tuple[Any, ...] | None:
        """Return one picture (or text) an environment of what is being asked; None without a render mode."""
        return self.draw(range(self.num_envs))

    def draw(self, rows: Iterable[int]) -> tuple[Any, ...] | None:
        """Return one picture (or text) for each of these rows; None without a render mode."""
        if self.render_mode is None:
            return None
        from ssl4rl_envs import rendering  # with fonts and what draws, which who never renders does without

        cards = [rendering.card(self.task, self.questions.batch, row, None) for row in rows]
        if self.render_mode == "ansi":
            return tuple(map(rendering.to_ansi, cards))
        self._canvas = self._canvas or rendering.canvas_for(self.task, self.split)  # all frames are of one size
        return tuple(rendering.draw(card, self._canvas) for card in cards)

    def _check_open(self, call: str) -> None:
        if self.closed:
            raise ClosedEnvironmentError(f"these environments were closed; make new ones before {call}")

    def _going(self, actions: Any) -> NDArray[np.bool_]:
        """Return in which environments a decision is taken; in the others, whose episode has ended, the next one begins."""
        self._check_open("step()")
        check_count(actions, self.num_envs)
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            raise RuntimeError(
                f"the episodes of environments {np.flatnonzero(self._ended).tolist()} have ended; reset them by "
                "reset(options={'reset_mask': ...}) before step()"
            )
        return ~self._ended

    def _infos(self, said: dict[str, NDArray[Any]], rows: NDArray[np.bool_]) -> dict[str, Any]:
        """Return infos of the marked environments: what is said of answers and truths, and what everybody may know."""
        return _masked({**said, **self.questions.facts()}, rows)

    def _reset_mask(self, mask: Any) -> NDArray[np.bool_]:
        if mask is None:
            return np.ones(self.num_envs, bool)
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(f"reset_mask must be a bool array of shape ({self.num_envs},) with a True, got {briefly(mask)}")
        if not self.questions.asking:
            raise ValueError("the first reset() cannot be partial; leave reset_mask out")
        return mask

    def _final(self, info: dict[str, NDArray[Any]], ended: NDArray[np.bool_]) -> dict[str, Any]:
        """Return the last observations and infos of the ended episodes, laid out as Gymnasium lays them out."""
        shown = self.questions.surrender()
        final_obs = np.full(self.num_envs, None, object)
        final_obs[ended] = _each(shown, ended)
        final_info = _masked(info, ended)
        return {"final_obs": final_obs, "_final_obs": ended, "final_info": final_info, "_final_info": ended.copy()}

    def _take_spaces(self) -> None:
        self.single_observation_space: Any = self.questions.interface.observation_space
        self.single_action_space = self.questions.interface.action_space
        self.observation_space: Any = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)


def _mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Return the mode that is named by itself, its name or its value.

    Raises:
        ValueError: there is none of this name.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    named = {known.value: known for known in AutoresetMode}
    if isinstance(mode, str) and mode in named:
        return named[mode]
    return AutoresetMode[one_of("autoreset_mode", mode, AutoresetMode.__members__)]


def _each(shown: dict[str, Any], rows: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Return observations of the marked rows one by one, as views."""
    marked = None if rows.all() else np.flatnonzero(rows).tolist()
    each: list[dict[str, Any]] = [{} for _ in (rows if marked is None else marked)]
    for name, values in shown.items():
        for one, value in zip(each, values if marked is None else [values[row] for row in marked], strict=True):
            one[name] = value
    return each


def _masked(info: dict[str, NDArray[Any]], mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Lay out an info of arrays as Gymnasium does: zeros (or None) outside the mask, and the mask under `_key`."""
    result: dict[str, Any] = {}
    if mask.all():
        for key, values in info.items():
            result[key], result[f"_{key}"] = values.copy(), mask.copy()
    elif mask.any():
        for key, values in info.items():
            empty = np.full_like(values, None) if values.dtype == object else np.zeros_like(values)
            empty[mask] = values[mask]
            result[key], result[f"_{key}"] = empty, mask.copy()
    return result
