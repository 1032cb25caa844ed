"""SSLEnv: a Gymnasium environment over any task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ClosedEnvironmentError
from numpy.typing import NDArray
from typing_extensions import override

from ssl4rl_envs import memory, windows
from ssl4rl_envs.interface import Transition
from ssl4rl_envs.questions import Question
from ssl4rl_envs.registration import PlainSpec
from ssl4rl_envs.schedules import Schedule
from ssl4rl_envs.task import Batch, Score, Task

LONGEST = 500  # letters of an error's message

if TYPE_CHECKING:
    from ssl4rl_envs.rendering import Canvas


class ConstructionError(TypeError):
    """An argument that an environment does not take, or of another type, in a message of bearable length.

    ``gymnasium.make`` raises a TypeError anew, as one of the same class, with all arguments written out behind its message:
    pages of pixels, where one of them holds pictures.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message if len(message) <= LONGEST else f"{message[:LONGEST]}...")


class SSLEnv(PlainSpec, gym.Env[dict[str, Any], Any]):
    """One self-supervised question an episode; the reward is the score of the answer.

    `reset(seed=s)` asks instance 0 of the stream of seed s, every later `reset()` the next one. `info` holds `index`;
    `success` (and the same as `is_success`, as stable-baselines3 calls it) of the last answer, with text `valid` and `parsed`
    (the answer as it was understood, or ""); and once the episode has ended `target`, with text also `truth`, the target in
    words. It has one structure at all times: before there is an answer these are False and "", and before the end `target` is
    -1 (0 where targets are unsigned) and `truth` "". Some tasks add to it, e.g. `action_mask`. With arrays nothing is put
    into words before `render` is called: `task.format_all` and `task.truths` give the words of `info`'s arrays to who wants
    them.

    Episodes that follow one another are cheap: the next 1, 2, 4, ... questions of a stream are sampled at once, at most 256
    small ones or 64 others. That shows in nothing but time, and every `reset` with a seed or an index begins with one again.
    Under a schedule there is no block.

    Args:
        task: a `Task`, or where to find its class ("module:Class"), which is then built from `arguments`.
        split: which items of the source are asked about: "train", "validation" or "test".
        interface: "array" (arrays in, an action of the task's space out) or "text" (pictures and a prompt in, a reply out).
        prompt_style: "direct", "think" for replies that reason first, or "tool" for replies that are calls of a tool (see
            `ssl4rl_envs.tool_schema`); used by the text interface.
        grammar: how replies are read: "strict", or "lenient" for models that were not trained to reply in our form (see
            `ssl4rl_envs.lenient`); used by the text interface.
        group_size: every instance is asked in this many episodes in a row.
        attempts: how often a question may be answered: a wrong answer is followed by another try until they are used up
            (see `Attempts`).
        render_mode: "rgb_array", "ansi", "human" (a window) or None.
        arguments: the keyword arguments of the task's class, or a `level` of it; and `pairing`, a word: environments of one
            word draw the same numbers, for ablations that ask the same under two arguments. Without it two environments that
            differ in anything ask unrelated questions (see `Task.stream_key`).

    Raises:
        TypeError: the task takes no such argument, or one of another type.
        ValueError: an argument is not one of its values, or "human" was asked for on a machine without a display.
    """

    metadata: dict[str, Any] = {"render_modes": list(windows.MODES), "render_fps": 2}  # noqa: RUF012 (Gymnasium's own)

    def __init__(
        self,
        task: Task | str,
        *,
        split: str = "train",
        interface: str = "array",
        prompt_style: str = "direct",
        grammar: str = "strict",
        group_size: int = 1,
        attempts: int = 1,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        self.render_mode = windows.check_mode(render_mode)
        try:
            self.questions = Question(task, arguments, split, interface, prompt_style, group_size, attempts, grammar)
        except TypeError as error:
            raise ConstructionError(str(error)) from error
        # The class declares every mode, so that gym.make passes "human" on; an instance those that work on this machine.
        self.metadata = {**type(self).metadata, "render_modes": windows.usable_modes()}
        self._take_spaces()
        self._ended, self._closed = True, False
        self._return = 0.0
        self._outcome: Transition | None = None
        self._silence: dict[str, Any] = {}
        self._window: windows.Window | None = None
        self._canvas: Canvas | None = None

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
        """The instance being asked, as a batch of one row, its target included: for oracles and analysis, not for agents.

        It is the environment's own and not to be written to.
        """
        return self.task.complete(self.questions.batch)

    def follow(self, schedule: Schedule, task: Task) -> None:
        """Let a schedule choose among the parts of a mixture from now on; see `ssl4rl_envs.curricula`."""
        self.questions.follow(schedule, task)
        self._take_spaces()
        self._ended, self._outcome, self._silence = True, None, {}

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions have an effect, as sb3-contrib's MaskablePPO asks for it.

        Raises:
            ValueError: the task has no such mask.
        """
        facts = self.task.info(self.questions.batch)
        if "action_mask" not in facts:
            raise ValueError(f"{type(self.task).__name__} has no action mask: every action has an effect")
        return np.asarray(facts["action_mask"][0], bool)

    @override
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ask the first instance of `seed`, or the next one without a seed.

        Args:
            seed: of the stream of questions; None goes on with it.
            options: ``{"index": k}`` asks instance k of the stream; the next reset asks instance k + 1.

        Raises:
            gymnasium.error.ClosedEnvironmentError: the environment was closed.
            TypeError: the options are no dict.
            ValueError: an option is unknown, or the seed or index no whole number from 0 on.
        """
        self._check_open("reset()")
        super().reset(seed=seed)
        self.questions.restart(seed, self.np_random, options)
        self.questions.ask()
        self._ended, self._return, self._outcome = False, 0.0, None
        if self.render_mode == "human":
            self.render()
        return self.questions.observe(), self._info()

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Answer the question.

        Args:
            action: an element of the task's action space, or any str in the text interface.

        Raises:
            TypeError, ValueError: the action is not of the interface's kind.
            RuntimeError: the episode has ended, or none was begun.
            gymnasium.error.ClosedEnvironmentError: the environment was closed.
        """
        self._check_open("step()")
        if self._ended:
            raise RuntimeError("no question is open; call reset() before step()")
        transition, truncated = self.questions.answer(action)
        score = transition.step.score
        terminated, reward = bool(transition.step.terminated[0]), float(score.reward[0])
        self._ended = terminated or truncated
        self._return += reward
        if self._ended:
            self._outcome = transition
        if self.render_mode == "human":
            self.render()
        return self.questions.observe(), reward, terminated, truncated, self._info(transition)

    def render(self) -> Any:
        """Draw the question and, once the episode has ended, the answer and the truth.

        Returns:
            uint8 (height, width, 3) in "rgb_array", a str in "ansi", None in "human" and without a render mode.
        """
        if self.render_mode is None:
            gym.logger.warn("render() needs a render mode; pass one to gym.make, e.g. render_mode='rgb_array'")
            return None
        from ssl4rl_envs import rendering  # with fonts and what draws, which who never renders does without

        verdict = None
        if self._outcome is not None:
            score = Score(np.array([self._return], np.float32), self._outcome.step.score.success)
            verdict = rendering.judge(self.task, self.questions.batch, self._outcome.answers, score)[0]
        card = rendering.card(self.task, self.questions.batch, 0, verdict)
        if self.render_mode == "ansi":
            return rendering.to_ansi(card)
        self._canvas = self._canvas or rendering.canvas_for(self.task, self.split)  # all frames are of one size
        picture = rendering.draw(card, self._canvas)
        if self.render_mode == "rgb_array":
            return picture
        self._window = self._window or windows.Window()
        self._window.show(picture)
        return None

    def close(self) -> None:
        """Close the window, if there is one, and give back the memory of what was made ahead; may be called twice."""
        self._closed = True
        self.questions.close()
        memory.release()
        if self._window is not None:
            self._window.close()
            self._window = None

    def _check_open(self, call: str) -> None:
        if self._closed:
            raise ClosedEnvironmentError(f"this environment was closed; make a new one before {call}")

    def _take_spaces(self) -> None:
        interface = self.questions.interface
        self.observation_space, self.action_space = interface.observation_space, interface.action_space

    def _info(self, transition: Transition | None = None) -> dict[str, Any]:
        """Return what is known by now; of what is not, `Interface.silence` says what stands in its place.

        It is what `Interface.heard` and `told` say of one row, read without arrays: a single environment is asked often.
        """
        text, batch = self.questions.interface.text, self.questions.batch
        if not self._silence:
            silence = self.questions.interface.silence(batch)
            self._silence = {
                name: values[0].item() if values.dtype == bool else values[0] for name, values in silence.items()
            }
        info = dict(self._silence)
        if transition is not None:
            info["success"] = info["is_success"] = bool(transition.step.score.success[0])
            if text:
                info["valid"], info["parsed"] = bool(transition.answered[0]), transition.written[0] or ""
        if self._outcome is not None:
            info["target"] = batch.target[0]
            if text:
                info["truth"] = self.task.truths(batch)[0] or ""
        if batch.target.ndim > 1:
            info["target"] = info["target"].copy()
        info.update(self.questions.facts())
        return info
