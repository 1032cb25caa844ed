"""SSLEnv: a Gymnasium environment over any task."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from ssl4rl_envs import rendering
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.registration import build_task
from ssl4rl_envs.stream import Stream, as_words, check_split
from ssl4rl_envs.task import Batch, Task


class SSLEnv(gym.Env[dict[str, Any], Any]):
    """One self-supervised question an episode; the reward is the score of the answer.

    `reset(seed=s)` asks instance 0 of the stream of seed s, every later `reset()` the next one. `info` holds `index`; after a
    step also `success`, with text `valid` and `parsed` (the answer as it was understood, or None), and once the episode has
    ended `target`.

    Args:
        task: a `Task`, or where to find its class ("module:Class"), which is then built from `arguments`.
        split: which items of the source are asked about: "train", "validation" or "test".
        interface: "array" (arrays in, an action of the task's space out) or "text" (pictures and a prompt in, a reply out).
        prompt_style: "direct", or "think" for replies that reason first; used by the text interface.
        render_mode: "rgb_array", "ansi", "human" (a window) or None.
        arguments: the keyword arguments of the task's class.

    Raises:
        ValueError: an argument is not one of its values, or "human" was asked for on a machine without a display.
    """

    metadata: dict[str, Any] = {"render_modes": list(rendering.MODES), "render_fps": 2}  # noqa: RUF012 (Gymnasium's own)

    def __init__(
        self,
        task: Task | str,
        *,
        split: str = "train",
        interface: str = "array",
        prompt_style: str = "direct",
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        self.split = check_split(split)
        self.render_mode = rendering.check_mode(render_mode)
        self.task = build_task(task, arguments)
        self.interface = Interface(self.task, interface, prompt_style)
        self.task.sample(Stream(self.split, [0], [0]))  # an empty split is an error here, not at the first reset
        self.observation_space, self.action_space = self.interface.observation_space, self.interface.action_space
        # The class declares every mode, so that gym.make passes "human" on; an instance those that work on this machine.
        self.metadata = {**type(self).metadata, "render_modes": rendering.usable_modes()}
        self._seed: int | None = None
        self._index = -1
        self._steps = 0
        self._ended = True
        self._batch: Batch | None = None
        self._verdict: rendering.Verdict | None = None
        self._window: rendering.Window | None = None

    @property
    def batch(self) -> Batch:
        """The instance being asked, as a batch of one row, its target included: for oracles and analysis, not for agents."""
        if self._batch is None:
            raise RuntimeError("nothing is being asked yet; call reset() first")
        return self._batch

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 (Gymnasium's signature)
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ask the first instance of `seed`, or the next one without a seed; `options` are not used."""
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self._index = int(as_words([seed], "seed")[0]), -1
        elif self._seed is None:
            self._seed = int(self.np_random.integers(1 << 63))
        self._index += 1
        self._batch = self.task.sample(Stream(self.split, [self._seed], [self._index]))
        self._steps, self._ended, self._verdict = 0, False, None
        if self.render_mode == "human":
            self.render()
        return self._observe(), {"index": self._index}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Answer the question.

        Args:
            action: an element of the task's action space, or any str in the text interface.

        Raises:
            TypeError, ValueError: the action is not of the interface's kind.
            RuntimeError: the episode has ended, or none was begun.
        """
        if self._ended:
            raise RuntimeError("no question is open; call reset() before step()")
        transition = self.interface.step(self.batch, [action])
        step = transition.step
        self._batch = step.state
        self._steps += 1
        terminated = bool(step.terminated[0])
        truncated = not terminated and self._steps >= self.task.horizon
        self._ended = terminated or truncated
        info: dict[str, Any] = {"success": bool(step.score.success[0]), "index": self._index}
        if self.interface.text:
            info |= {"valid": bool(transition.answered[0]), "parsed": transition.written[0]}
        if self._ended:
            info["target"] = self.batch.target[0].copy()
            self._verdict = rendering.judge(self.task, self.batch, 0, transition.written[0], step.score)
        if self.render_mode == "human":
            self.render()
        return self._observe(), float(step.score.reward[0]), terminated, truncated, info

    def render(self) -> Any:
        """Draw the question and, once the episode has ended, the answer and the truth.

        Returns:
            uint8 (height, width, 3) in "rgb_array", a str in "ansi", None in "human" and without a render mode.
        """
        if self.render_mode is None:
            gym.logger.warn("render() needs a render mode; pass one to gym.make, e.g. render_mode='rgb_array'")
            return None
        card = rendering.card(self.task, self.batch, 0, self._verdict)
        if self.render_mode == "ansi":
            return rendering.to_ansi(card)
        picture = rendering.draw(card)
        if self.render_mode == "rgb_array":
            return picture
        self._window = self._window or rendering.Window()
        self._window.show(picture)
        return None

    def close(self) -> None:
        """Close the window, if there is one; may be called twice."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _observe(self) -> dict[str, Any]:
        shown = self.interface.observe(self.batch)
        return {name: values[0] for name, values in shown.items()}
