"""Rotate upright: turn the picture step by step until it stands as it should."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat, fold
from ssl4rl_envs.images.turned import COUNTER_CLOCKWISE, TurnedTask
from ssl4rl_envs.images.turning import Turning
from ssl4rl_envs.memory import copy_of
from ssl4rl_envs.sources import ImageSourceLike
from ssl4rl_envs.sources.base import Views
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, Step

LEFT, RIGHT, STOP = 0, 1, 2
"""The actions: turn counter-clockwise, turn clockwise, and say that the picture is upright."""

TURNED = np.array([1, -1, 0], np.int64)
"""By how many steps counter-clockwise each turns the picture."""


class RotateUpright(TurnedTask):
    """Turn the picture by steps until it is upright, and stop.

    ## Description
    A square view of a picture is turned by a random multiple of 360 / `angles` degrees, 0 among them. Each step turns it by
    one such angle to the left or to the right, and shows it as it stands then; the agent says when it is upright. What is
    shown is drawn anew from the source at every step, as `Rotation-v0` draws it: by one turn, on one path for all angles,
    and, where turns are no multiples of 90 degrees, with the tilt of this question. So the same way up is the same picture to
    the last bit however one came there, and neither interpolation nor a number of steps leaves a trace. Views that look the
    same when turned (blank or symmetric ones) are not asked about. One limit is known: over white noise, all of whose detail
    is at the lattice of its pixels, comparing two steps of 45 degrees tells which of them lies along that lattice in 66 of
    100 questions (chance is 50); over noise whose detail falls off as that of photographs does, it tells nothing.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3), the picture as it stands. The text interface adds `prompt`.

    ## Action Space
    `Discrete(3)`: 0 turns by 360 / angles degrees to the left (counter-clockwise), 1 to the right (clockwise), 2 stops. In
    text `<answer>turn left</answer>`, `<answer>turn right</answer>` (or the last word alone), `<answer>stop</answer>`.
    `info["action_mask"]` is 1 for all, but in the last step, after which nobody can stop any more, for stopping alone.

    ## Rewards
    Turning earns nothing. Stopping is paid 1 where the picture is upright and 0 where it is not; with `partial=True` it is
    paid 1 less the share of half a turn that it is away from upright, so that nearer is better. Whoever turns to and fro, or
    never stops, earns nothing by it. Success is stopping upright.

    Chance is exact: how a picture lies at first is uniform, so after any fixed turns it still is, and stopping then is paid
    1 / angles; with `partial=True`, the mean over all ways up, which is 1/2 for an even number of angles.

    ## Termination
    When the agent stops; truncated after `max_steps`. A reply that is none of the three uses up a step.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the picture in pixels, at least 8 (stable-baselines3's CNN needs 36).
    - `angles`: number of ways up, 2 or more, a divisor of 360; a step is 360 / angles degrees.
    - `max_steps`: most steps, the last of which stops; at least angles // 2 + 1, which can be needed.
    - `partial`: pay for being near to upright as well.

    ## Registered Configurations
    - `SSL4RL/RotateUpright-v0`
    """

    asks = "to turn the picture by steps until it is upright"

    levels = (
        Level("step-90", {"angles": 4, "max_steps": 4}),
        Level("step-45", {"angles": 8, "max_steps": 8}),
        Level("step-30", {"angles": 12, "max_steps": 12}),
    )

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 64,
        angles: int = 4,
        max_steps: int = 4,
        partial: bool = False,
    ) -> None:
        turning = Turning(image_size, angles)
        if max_steps < angles // 2 + 1:
            raise ValueError(
                f"max_steps must be at least {angles // 2 + 1}, which can be needed to turn a picture upright by steps of "
                f"{turning.step_degrees} degrees and to stop, got {max_steps}"
            )
        super().__init__(source, turning)
        self.partial, self.horizon = partial, max_steps
        self.action_space = spaces.Discrete(3)
        self.answer_format = AnswerFormat(
            ("turn left", "turn right", "stop"),
            synonyms={
                **dict.fromkeys((*COUNTER_CLOCKWISE, "left"), "turn left"),
                **dict.fromkeys(("clockwise", "right"), "turn right"),
                "upright": "stop",
            },
            listed=True,
        )
        self.chance = float(self._paid(np.arange(angles)).mean())
        self.check_source()

    def make(self, stream: Stream) -> Batch:
        """Turn one view a row; the target is by how many steps counter-clockwise it is turned."""
        target = stream.integers(0, self.angles)
        tilt = self.turning.tilt(stream)
        views = self.draw(stream)
        memory = {"x": views.x, "y": views.y, "side": views.side, "tilt": tilt, "steps": np.zeros(len(target), np.int64)}
        image = self.turning.draw(self.source, views, tilt, target)
        return Batch({"image": image}, target, views.items, memory)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score what answers earn at once: of stopping, how near to upright the picture is."""
        stopped = self.valid(answers) & (answers == STOP)
        reward = np.where(stopped, self._paid(batch.target), 0).astype(np.float32)
        return Score(reward, stopped & (batch.target == 0))

    def advance(self, state: Batch, actions: NDArray[Any]) -> Step:
        """Turn the pictures, or stop; what is no action turns nothing."""
        valid = self.valid(actions)
        turned = np.where(valid, TURNED[np.where(valid, actions, STOP)], 0)
        target = (state.target + turned) % self.angles
        image, rows = state.observation["image"], np.flatnonzero(turned)
        if len(rows):
            image = copy_of(image)
            image[rows] = self._drawn(state, target, rows)
        memory = {**state.memory, "steps": state.memory["steps"] + 1}
        after = dataclasses.replace(state, observation={"image": image}, target=target, memory=memory)
        return Step(after, self.score(actions, state), np.asarray(valid & (actions == STOP)))

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return `action_mask`, (n, 3) int8."""
        mask = np.ones((len(batch), 3), np.int8)
        mask[batch.memory["steps"] >= self.horizon - 1, :STOP] = 0
        return {"action_mask": mask}

    def oracle(self, batch: Batch) -> NDArray[Any]:
        """Return the turn of the shorter way, to the right where both are equally long; upright, stop."""
        way = np.where(2 * batch.target <= self.angles, RIGHT, LEFT)
        return np.where(batch.target == 0, STOP, way).astype(np.int64)

    def truths(self, batch: Batch) -> list[str | None]:
        """Say how the pictures stand."""
        return [
            f"turned by {steps * self.turning.step_degrees} degrees" if steps else "upright"
            for steps in batch.target.tolist()
        ]

    def rationale(self, batch: Batch) -> list[str]:
        """Say where that is now which belongs on top, and how many steps are left."""
        return [self._reason(steps) for steps in batch.target.tolist()]

    def read(self, body: str) -> NDArray[Any] | None:
        """Read an answer; "left" and "right" say which way to turn by themselves."""
        side = fold(body)
        return super().read(f"turn {side}" if side in ("left", "right") else body)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words; the direction and the size of a step are stated."""
        text = (
            'This picture may have been turned. Turn it until it is upright: "turn left" turns it counter-clockwise by '
            f'{self.turning.step_degrees} degrees, "turn right" clockwise by as much, and "stop" says that it is upright.'
        )
        return [text] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return LEFT

    def _paid(self, target: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what stopping is paid where pictures are turned by so many steps, (n,)."""
        away = np.minimum(target, self.angles - target)
        return 1 - 2 * away / self.angles if self.partial else (away == 0).astype(np.float64)

    def _drawn(self, state: Batch, target: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Draw some rows from the source, as they are turned now."""
        views = Views(state.items, *(state.memory[name] for name in ("x", "y", "side"))).rows(rows)
        return self.turning.draw(self.source, views, state.memory["tilt"][rows], target[rows])

    def _reason(self, steps: int) -> str:
        if steps == 0:
            return "What belongs on top is on top: the picture is upright."
        right = 2 * steps <= self.angles
        left = steps if right else self.angles - steps
        return (
            f"What belongs on top is {self.turning.side_of_top(steps)}. So the picture is to be turned to the "
            f"{'right' if right else 'left'} by {left * self.turning.step_degrees} degrees: {left} step{'s'[: left > 1]}."
        )
