"""Episodes as pictures: a frame for each decision and one for the end, side by side in strips or one after another."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from typing_extensions import override

from ssl4rl_envs import rendering
from ssl4rl_envs.playing import Turn, solve
from ssl4rl_envs.rendering import Card, Line, Verdict
from ssl4rl_envs.task import Batch, Score, Task

ENDINGS = (".gif", ".webp", ".apng")
"""What the names of animations end in."""

_FRAME, _END = 1600, 3200  # milliseconds that frames are shown, and last ones
_PACE = 30  # more for every letter of what is thought
_DECIDED, _EARNED = (32, 36, 44), (90, 98, 112)


@dataclass(frozen=True)
class Decision(Verdict):
    """What was decided in the middle of an episode, and what it earned at once; nothing of the truth."""

    @property
    @override
    def parts(self) -> Line:
        """What is said of it."""
        said = "no answer" if self.answer is None else self.answer
        return [(f"-> {said}", _DECIDED), (f"earns {self.reward:.2f}", _EARNED)]


class Moment(NamedTuple):
    """One frame of an episode: its card, what was thought, what was decided (None where it has ended), what that earned."""

    card: Card
    thought: str
    decision: str | None
    reward: float


def solved(task: Task, batch: Batch) -> list[list[Moment]]:
    """Let a task's teacher play from each row; return the moments of each episode, with its reasons below the pictures."""
    return moments(task, len(batch), list(solve(task, batch)), thoughts=True)


def moments(task: Task, count: int, played: Sequence[Turn], *, thoughts: bool = False) -> list[list[Moment]]:
    """Return the moments of `count` episodes that were played.

    Args:
        task: the task.
        count: how many episodes there are.
        played: their turns, as `playing.turns` gives them.
        thoughts: say below each picture what the task's teacher would think, in the place of the question.
    """
    told: list[list[Moment]] = [[] for _ in range(count)]
    total = np.zeros(count)
    for number, turn in enumerate(played):
        said = task.format_all(turn.answers, turn.state)
        why = task.rationale(turn.state) if thoughts else [""] * len(turn.rows)
        score = turn.step.score
        total[turn.rows] += score.reward
        ended = turn.step.terminated | (number + 1 == task.horizon)
        whole = Score(total[turn.rows].astype(np.float32), score.success)
        ends = rendering.judge(task, turn.step.state, turn.answers, whole)
        for place, row in enumerate(turn.rows.tolist()):
            reward = float(score.reward[place])
            decision = Decision(said[place], None, reward, success=False)
            card = rendering.card(task, turn.state, place, decision)
            card = replace(card, question=why[place]) if thoughts else card
            told[row].append(Moment(card, why[place], said[place], reward))
            if ended[place]:
                told[row].append(Moment(rendering.card(task, turn.step.state, place, ends[place]), "", None, 0.0))
    return told


def strips(episodes: Sequence[Sequence[Moment]]) -> NDArray[np.uint8]:
    """Draw episodes below one another, each from left to right, uint8 (height, width, 3)."""
    boards = [rendering.board([moment.card for moment in episode], len(episode)) for episode in episodes]
    width = max((board.shape[1] for board in boards), default=0)
    if not boards:
        raise ValueError("strips need at least one episode")
    ground = boards[0][0, 0]
    padded = [np.broadcast_to(ground, (len(board), width, 3)).copy() for board in boards]
    for room, board in zip(padded, boards, strict=True):
        room[:, : board.shape[1]] = board
    return np.concatenate(padded)


def frames(episodes: Sequence[Sequence[Moment]]) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """Draw episodes one after another, all frames of one size; return them, and for how many milliseconds each is shown."""
    told = [moment for episode in episodes for moment in episode]
    if not told:
        raise ValueError("an animation needs at least one episode")
    canvas = reduce(operator.or_, (rendering.canvas_of(moment.card) for moment in told))
    drawn = [rendering.draw(moment.card, canvas) for moment in told]
    return drawn, [_END if moment.decision is None else _FRAME + _PACE * len(moment.thought) for moment in told]


def write(episodes: Sequence[Sequence[Moment]], path: Path) -> None:
    """Write episodes: as an animation where the name ends in one of `ENDINGS`, else a picture of strips."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() not in ENDINGS:
        Image.fromarray(strips(episodes)).save(path)
        return
    drawn, durations = frames(episodes)
    first, *others = [Image.fromarray(frame) for frame in drawn]
    kind = "PNG" if path.suffix.lower() == ".apng" else None
    first.save(path, kind, save_all=True, append_images=others, duration=durations, loop=0)
