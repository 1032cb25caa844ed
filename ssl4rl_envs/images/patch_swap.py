"""Patch swap: make the picture whole, two tiles at a time."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.images.tile_words import Seams, belonging, seams_of
from ssl4rl_envs.images.tiled import TiledTask
from ssl4rl_envs.images.tiles import APART, NUMBERED, Tiles, Tiling, numbers, places
from ssl4rl_envs.sources import ImageSourceLike
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, Step

STOPPING = AnswerFormat(("stop",), synonyms={"done": "stop", "stop swapping": "stop"})
"""How an agent says that the picture is whole."""

_CANDIDATES = 48
"""Random orders drawn to find one that leaves no tile in its place; 1 in 10**9 rows takes the fallback."""

_MOSTLY = 8
"""So many of them are looked at first: they hold one in 97 of 100 rows."""


class PatchSwap(TiledTask):
    """Swap two tiles a step until the picture is whole.

    ## Description
    A picture is cut into grid x grid tiles and shuffled until no tile is in its place. Each step swaps two of them.
    The state is what is shown: after a swap, the picture with the two tiles exchanged.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3), the tiles as they lie. The text interface adds `prompt`.

    ## Action Space
    `Discrete(n (n - 1) / 2)` for n = grid**2 tiles: the pairs (0, 1), (0, 2), ..., (n - 2, n - 1); with `stop=True` one more,
    the last, which ends the episode. In text the numbers of two tiles, counted from 1 in either order:
    `<answer>1, 4</answer>`, or `<answer>stop</answer>`. `info["action_mask"]` is 0 for swaps that change nothing, because the
    tiles are equal, and for the one that would undo the last; with `stop=True` also for all swaps in the last step, after
    which nobody can stop any more.

    ## Rewards
    Progress is the share of tiles in their place: 0 at first, 1 at the end. A step is paid what it adds to the best progress
    so far, so the rewards of an episode sum to that, nothing is discounted, and moving to and fro earns nothing. Success is
    a whole picture. With `stop=True` swaps earn nothing, and stopping is paid the progress that has been made by then: so
    an agent must see when the picture is whole, and one that never stops earns nothing.

    Chance is what an agent earns that never looks and plays the same swaps in every episode. A beam search looks for the
    sequence that earns most; for 2 x 2 it finds the best there is, for larger grids a better one may exist. With `stop=True`
    chance is 1 / (n - 1), exactly: where tile i does not belong, each of the other n - 1 belongs as often, so whoever moves
    every tile, always in the same way, and stops has that share of them in place, and no fixed swaps do better.

    ## Termination
    When the picture is whole, or with `stop=True` when the agent stops; truncated after `max_steps`. A reply that names no
    pair uses up a step.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the picture in pixels, a multiple of `grid`.
    - `grid`: tiles a side, 2 to 5.
    - `max_steps`: most steps; at least grid**2 - 1, as many swaps as can be needed, and one more with `stop=True`.
    - `gap`: what is left out between neighbouring tiles, which hides much of what their edges tell: pixels, or below 1 a
      share of a tile's side.
    - `jitter`: most by which a tile is moved within its cell, to hide more of it; pixels or a share.
    - `light`: how much brightness, contrast and colours of each tile are changed by itself, 0 to 1, to hide more of it.
    - `stop`: let the agent say when the picture is whole, by an action of its own.

    ## Registered Configurations
    - `SSL4RL/PatchSwap-v0`
    """

    asks = "to swap two tiles at a time until the picture is whole"

    levels = (
        Level("2x2", {"grid": 2, "max_steps": 4}),
        Level("2x2-gap", {"grid": 2, "max_steps": 4, **APART}),
        Level("3x3", {"grid": 3, "max_steps": 12}),
    )

    legitimate: ClassVar = {
        "edge continuity": "It compares the edges of tiles, and neighbouring tiles continue one another: that is how people "
        "solve a jigsaw. Levels with a gap leave little of it; PatchOrdering says how much.",
        "matcher": "It has learned which edges of tiles belong together. Without a gap edges tell the order, and that is "
        "accepted as it is for edge continuity.",
        "border rows": "It sees the outermost lines of each tile. The top of a picture differs from its bottom, so edges "
        "tell where in the picture a tile belongs, which is what the task asks.",
        "mean colour": "It sees the average colours of each tile. The top of a picture has other colours than its bottom, "
        "and so have the tiles that come from there. Where a tile belongs is what the task asks.",
        "spectrum": "It sees how detailed each tile is, and the top of a picture differs from its bottom in that as well. "
        "Where a tile belongs is what the task asks.",
        "residuals": "It sees the grain of each tile, and the top of a picture differs from its bottom in that as well. "
        "Where a tile belongs is what the task asks.",
        "extremes": "It sees how often each tile is black, white or grey, and the top of a picture differs from its bottom "
        "in that as well. Where a tile belongs is what the task asks.",
        "file size": "It sees how long the shuffled picture would be as a file. That is longer than the whole picture, and "
        "by how much depends on the order. It tells nothing else than how well tiles fit.",
    }

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 60,
        grid: int = 3,
        max_steps: int = 12,
        gap: float = 0,
        jitter: float = 0,
        light: float = 0.0,
        stop: bool = False,
    ) -> None:
        tiling = Tiling(grid, image_size, gap, jitter, light)
        count = tiling.count
        least = count - 1 + stop
        if max_steps < least:
            raise ValueError(
                f"max_steps must be at least {least}, which can be needed for {count} tiles"
                f"{' and to stop' if stop else ''}, got {max_steps}"
            )
        super().__init__(source, tiling)
        self.horizon, self.stop = max_steps, stop
        self.pairs = np.stack(np.triu_indices(count, 1), axis=1)
        self.action_space = spaces.Discrete(len(self.pairs) + stop)
        self.answer_format = AnswerFormat(numbers(count), slots=2, distinct=True, fillers=(*NUMBERED, "swap"))
        self.chance = 1 / (count - 1) if stop else blind_progress(count, max_steps)
        self.check_source()

    @property
    def answer_formats(self) -> tuple[AnswerFormat, ...]:
        """Two numbers, and the word "stop" where there is one."""
        return (*super().answer_formats, *([STOPPING] if self.stop else []))

    def make(self, stream: Stream) -> Batch:
        """Shuffle the tiles of one view a row; the target is the order in which they belong, as of `PatchOrdering`."""
        batch = self.shuffled(stream, derangement(stream, self.tiling.count))
        count: NDArray[Any] = np.zeros(len(batch), np.int64 if self.stop else np.float32)
        memory = {"steps" if self.stop else "best": count, "last": np.full(len(batch), -1, np.int64)}
        return dataclasses.replace(batch, memory=memory)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score swaps by what they add to the best progress so far; success is a whole picture."""
        return self.advance(batch, answers).score

    def advance(self, state: Batch, actions: NDArray[Any]) -> Step:
        """Swap two tiles in each row, or stop; what names no pair changes nothing."""
        valid = self.valid(actions)
        swaps = valid & (actions < len(self.pairs))
        rows = np.arange(len(state))
        # A pair that does not exist swaps tile 0 with itself.
        pairs = np.where(swaps[:, None], self.pairs[np.where(swaps, actions, 0)], 0)
        order = np.tile(np.arange(self.tiling.count), (len(state), 1))
        order[rows[:, None], pairs] = pairs[:, ::-1]
        image = Tiles(state.observation["image"], places(self.tiling.grid, self.tiling.tile), self.tiling.tile).joined(order)
        target = order[rows[:, None], state.target]  # a swap is its own inverse
        progress = self._in_place(image, target).mean(axis=1, dtype=np.float64).astype(np.float32)
        memory = {**state.memory, "last": np.where(swaps, actions, state.memory["last"]).astype(np.int64)}
        if self.stop:
            memory["steps"] = state.memory["steps"] + 1
            ended = valid & ~swaps
            gained, success = np.where(ended, progress, np.float32(0)), ended & (progress == 1)
        else:
            memory["best"] = np.maximum(state.memory["best"], progress)
            gained = np.where(valid, memory["best"] - state.memory["best"], np.float32(0))
            ended = success = progress == 1
        after = dataclasses.replace(state, observation={"image": image}, target=target, memory=memory)
        return Step(after, Score(gained.astype(np.float32), success), ended)

    def info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Return `action_mask`, (n, actions) int8."""
        first, second = (np.broadcast_to(tiles, (len(batch), len(tiles))) for tiles in self.pairs.T)
        mask = ~self.tiling.same(batch.observation["image"], first, second)
        last = batch.memory["last"]
        mask[np.flatnonzero(last >= 0), last[last >= 0]] = False
        if self.stop:
            mask &= (batch.memory["steps"] < self.horizon - 1)[:, None]
            mask = np.concatenate([mask, np.ones((len(batch), 1), bool)], axis=1)
        return {"action_mask": mask.astype(np.int8)}

    def oracle(self, batch: Batch) -> NDArray[Any]:
        """Return swaps that put a tile into its place, (n,); where all are, the action that stops, or 0 where none does."""
        wrong = ~self._in_place(batch.observation["image"], batch.target)
        place = wrong.argmax(axis=1)
        belongs = batch.target[np.arange(len(batch)), place]
        low, high = np.minimum(place, belongs), np.maximum(place, belongs)
        number = (low[:, None] == self.pairs[:, 0]) & (high[:, None] == self.pairs[:, 1])
        done = len(self.pairs) if self.stop else 0
        return np.where(wrong.any(axis=1), number.argmax(axis=1), done).astype(np.int64)

    def rationale(self, batch: Batch) -> list[str]:
        """Say which tile belongs where, what it stands beside there, and where its edge fits best."""
        image = batch.observation["image"]
        wrong, seams = ~self._in_place(image, batch.target), seams_of(image, self.tiling.grid)
        return [self._reason(wrong[row], batch.target[row].tolist(), seams, row) for row in range(len(batch))]

    def truths(self, batch: Batch) -> list[str | None]:
        """Write the order in which the tiles belong."""
        return [", ".join(str(number + 1) for number in order) for order in batch.target.tolist()]

    def read(self, body: str) -> NDArray[Any] | None:
        """Read the numbers of two tiles, in either order, or that one stops."""
        if self.stop and STOPPING.parse(body) is not None:
            return np.asarray(len(self.pairs))
        pair = super().read(body)
        if pair is None:
            return None
        return np.asarray(np.flatnonzero((self.pairs == np.sort(pair)).all(axis=1))[0])

    def format(self, answer: Any) -> str:
        """Write the numbers of two tiles, or "stop"."""
        if int(answer) == len(self.pairs):
            return STOPPING.labels[0]
        return super().format(self.pairs[int(answer)])

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        text = f"{self.shuffle_in_words} Name two tiles to swap, so that the picture becomes whole in few swaps."
        if self.stop:
            text += f' When it is whole, say "{STOPPING.labels[0]}".'
        return [text] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example: the first tile and the last."""
        return self.tiling.count - 2

    def _reason(self, wrong: NDArray[np.bool_], target: list[int], seams: Seams, row: int) -> str:
        done = f"In their place: {np.count_nonzero(~wrong)} of {self.tiling.count} tiles."
        if not wrong.any():
            return f"{done} The picture is whole."
        place = int(wrong.argmax())
        there = belonging(place, target, self.tiling.grid, seams, row)
        return f"{done} {there} So tiles {place + 1} and {target[place] + 1} change places."

    def _in_place(self, image: NDArray[np.uint8], target: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which places (n, count) show the tile that belongs there, or one that equals it."""
        every = np.broadcast_to(np.arange(self.tiling.count), target.shape)
        return self.tiling.same(image, every, target)


def derangement(stream: Stream, count: int) -> NDArray[np.int64]:
    """Return a uniform permutation without a fixed point for each row, (n, count)."""
    words = stream.words((_CANDIDATES, count))
    result, moved = _first_derangement(words[:, :_MOSTLY])
    rows = np.flatnonzero(~moved)
    result[rows], moved[rows] = _first_derangement(words[rows])
    return np.where(moved[:, None], result, np.roll(np.arange(count), 1))


def _first_derangement(words: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the first order of words (n, m, count) without a fixed point for each row, and whether there is one."""
    orders = np.argsort(words, axis=2, kind="stable").astype(np.int64)
    moved = np.asarray((orders != np.arange(words.shape[2])).all(axis=2))
    return orders[np.arange(len(orders)), moved.argmax(axis=1)], np.asarray(moved.any(axis=1))


@lru_cache(maxsize=32)
def blind_progress(count: int, steps: int, width: int = 32, starts: int = 1024) -> float:
    """Return the expected best progress of the best fixed sequence of swaps that a beam search finds.

    Args:
        count: number of tiles.
        steps: length of the sequence.
        width: sequences that are kept after each step.
        starts: random derangements that the expectation is taken over; for 4 tiles they come close to all nine.
    """
    orders = derangement(Stream.span("train", 0, 0, starts), count)
    if count <= 4:
        orders = np.unique(orders, axis=0)
    pairs = np.stack(np.triu_indices(count, 1), axis=1)
    places, best = orders[None], np.zeros((1, len(orders)), np.int64)
    for _ in range(steps):
        kept: list[tuple[float, int, int, NDArray[np.int64]]] = []
        for beam in range(len(places)):
            right = (places[beam] == np.arange(count)).sum(axis=1)
            for number, (i, j) in enumerate(pairs):
                a, b = places[beam][:, i], places[beam][:, j]
                change = (a == j).astype(np.int64) + (b == i) - (a == i) - (b == j)
                reached = np.maximum(best[beam], right + change)
                kept.append((float(reached.mean()), beam, number, reached))
        kept.sort(key=lambda entry: -entry[0])
        kept = kept[:width]
        following = np.stack([places[beam] for _, beam, _, _ in kept])
        for row, (_, _, number, _) in enumerate(kept):
            i, j = pairs[number]
            following[row][:, [i, j]] = following[row][:, [j, i]]
        places, best = following, np.stack([reached for *_, reached in kept])
    return float(best.mean(axis=1).max()) / count
