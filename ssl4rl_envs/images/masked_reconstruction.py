"""Masked reconstruction: what was under the masked patch?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs import blind
from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.drafts import narrow
from ssl4rl_envs.images.base import ImageTask, check_size, one_of
from ssl4rl_envs.images.tiles import NUMBERED, Tiles, numbers, panel_grid, panels, permuted
from ssl4rl_envs.images.views import comparable, different_pictures, draw_alike
from ssl4rl_envs.kernels import likeness, tiles
from ssl4rl_envs.kernels.tensors import as_array, room_beside
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

MIN_DIFFERENCE = 10.0
"""Candidates that differ by less, in grey levels of 255 on average, are not offered together."""

MIN_SPREAD = 6.0
"""Patches whose colours spread by less (standard deviation in grey levels) are as good as blank and not to be painted."""

PAINTED = 0.5
"""A painting that leaves less than half of the error of the best constant fill is a success."""

GREY = 128
"""What the mask looks like."""

PAINTINGS = 16
"""Fixed paintings that are searched for what is paid without looking."""

SETS = 16
"""So many choices of patches are drawn for a picture; the first that can be asked about is taken."""


@dataclass(frozen=True)
class Draft:
    """What a question is made of, apart from where the truth stands.

    Args:
        first: views of the pictures.
        second: views of others, drawn alike.
        corners: (n, `SETS`, candidates, 2) of the mask and of the other patches, several choices of them.
        others: (n, candidates - 1) the order of the false candidates.
        image: the pictures with the mask; this and what follows is written by `MaskedReconstruction.askable`.
        corner: (n, 2) of the mask.
        patches: (n, candidates, side, side, 3) the true one first.
    """

    first: Views
    second: Views
    corners: NDArray[np.int64]
    others: NDArray[np.int64]
    image: NDArray[np.uint8]
    corner: NDArray[np.int64]
    patches: NDArray[np.uint8]


class MaskedReconstruction(ImageTask[Draft]):
    """What was under the masked patch?

    ## Description
    A square patch of a picture is painted over in grey. With `answer="choice"`, the task is to pick what was there among
    `candidates` patches: the true one, others from elsewhere in the same picture (every second candidate), and the rest from
    a picture of another photograph, drawn at the same scale and with its pixels in line, so that sharpness tells nothing.
    With `answer="pixels"` it is to paint it. Patches that hardly differ from one another (or from a constant) are not asked
    about: of several choices of patches that are drawn for a picture, the first that will do is taken. After Pathak et al.,
    "Context encoders", 2016, and He et al., "Masked autoencoders are scalable vision learners", 2022.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3), the picture with the mask; with "choice" also `candidates`, as
    large: the candidates side by side, numbered from left to right, top to bottom. The text interface of "choice" adds
    `prompt`; "pixels" has none.

    ## Action Space
    "choice": `Discrete(candidates)`; in text the number of the candidate, counted from 1. "pixels":
    `Box(-1, 1, (patch_size, patch_size, 3))`, where -1 is black and 1 full colour.

    ## Rewards
    "choice": 1 for the true patch, 0 otherwise; chance is 1 / candidates. "pixels": 1 - e / c, not below 0, for e the
    mean squared error of the painting and c that of the best constant fill, the patch's mean colour; success is 0.5 or more.
    Its chance is what the best fixed painting found by a search over 512 training instances is paid on 512 others.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the pictures in pixels.
    - `answer`: "choice" or "pixels".
    - `candidates`: how many to choose from, 2 to 9.
    - `patch_size`: side of the mask in pixels, 4 to half of `image_size`.

    ## Registered Configurations
    - `SSL4RL/MaskedReconstruction-v0`
    """

    asks = "what was under the masked patch of the picture"

    levels = (
        Level("candidates-2", {"candidates": 2}),
        Level("candidates-4", {"candidates": 4}),
        Level("candidates-6", {"candidates": 6}),
    )

    legitimate: ClassVar = {
        "edge continuity": "It compares the edges of each candidate with the picture round the mask, which the true patch "
        "continues. To find what continues the picture is what the task asks.",
        "tile duplicates": "It compares the pixels of each candidate with those of the picture. Candidates from the same "
        "picture can be found in it, and so be ruled out by whoever looks closely.",
        "border rows": "It sees the outermost lines of each candidate, and those of the true patch fit the picture. This is "
        "accepted as edge continuity is.",
        "mean colour": "It sees the average colours of each candidate, and candidates from other pictures have other colours "
        "than this one. What fits the picture is what the task asks.",
        "spectrum": "It sees how detailed each candidate is, and candidates from other pictures have other details. What "
        "fits the picture is what the task asks.",
        "residuals": "It sees the grain of each candidate, and candidates from other pictures have another grain. What fits "
        "the picture is what the task asks.",
        "extremes": "It sees how often each candidate is black, white or grey. Candidates from other pictures are so as "
        "often as those are, and those from this picture count in what is seen of it. What fits the picture is what the task "
        "asks.",
        "boosted trees": "They see all of these measurements together, each of which is accepted by itself.",
        "file size": "It sees how long each candidate would be as a file, and candidates from other pictures have other "
        "lengths. What fits the picture is what the task asks.",
    }

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 64,
        answer: str = "choice",
        candidates: int = 4,
        patch_size: int = 16,
    ) -> None:
        self.answer = one_of("answer", answer, ("choice", "pixels"))
        if not 2 <= candidates <= 9:
            raise ValueError(f"candidates must lie in 2 to 9, got {candidates}")
        check_size(image_size)
        if not 4 <= patch_size <= image_size // 2:
            raise ValueError(
                f"patch_size must lie in 4 to {image_size // 2} (half of image_size={image_size}), got {patch_size}"
            )
        cell = image_size // panel_grid(candidates)
        if answer == "choice" and patch_size > cell - 2:
            raise ValueError(
                f"{candidates} candidates of {patch_size} pixels do not fit on a picture of image_size={image_size}; use a "
                f"patch_size of at most {cell - 2}"
            )
        choice = answer == "choice"
        super().__init__(
            source,
            image_size,
            ("candidates", "image") if choice else ("image",),
            "pictures with patches that look alike, or pairs of very different sizes",
        )
        self.candidates, self.patch_size = candidates, patch_size
        self._many = candidates if choice else 1
        """Patches that a question is about."""
        self._foreign = candidates - 1 - candidates // 2 if choice else 0
        """How many of them are from another picture."""
        rich = math.ceil(3 * (MIN_SPREAD * patch_size * patch_size) ** 2)
        self._least = likeness.least(MIN_DIFFERENCE, patch_size) if choice else rich
        if choice:
            self.action_space: Any = spaces.Discrete(candidates)
            self.answer_format = AnswerFormat(numbers(candidates), fillers=(*NUMBERED, "masked"), listed=True)
            self.chance = 1 / candidates
            self.check_source(different=2 if candidates > 2 else 1)
        else:
            self.action_space = spaces.Box(-1, 1, (patch_size, patch_size, 3), np.float32)
            self.answer_format = None
            self.check_source()

    def draft(self, stream: Stream) -> Draft:
        """Draw two views alike, and several choices of the mask and of the other patches."""
        items = self.source.draw(stream), self.source.draw(stream)
        first, second = draw_alike(stream, self.source, self.image_size, items)
        count, size, side = len(first), self.image_size, self.patch_size
        span = size - side + 1
        corners = np.stack(np.divmod(stream.integers(0, span * span, (SETS, self._many)), span), axis=-1)
        others = stream.permutation(self.candidates - 1)
        image, patches = (self.source.room((count, *shape, 3)) for shape in ((size, size), (self._many, side, side)))
        return Draft(first, second, corners, others, image, np.empty((count, 2), np.int64), patches)

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return where some choice of patches will do: all differ, and none overlaps the mask; of two photographs."""
        result, items = np.ones(len(draft.first), bool), (draft.first.items, draft.second.items)
        if self._foreign:
            result = comparable(self.source, *items)
            narrow(result, lambda rows: different_pictures(self.source, items[0][rows], items[1][rows], MIN_DIFFERENCE))
        narrow(result, lambda rows: self._choose(draft, rows))
        return result

    def _choose(self, draft: Draft, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Draw the pictures of some rows, take the first choice of patches that will do, and note what is shown of it."""
        views, corners, size, side = draft.first.rows(rows), draft.corners[rows], self.image_size, self.patch_size
        if self._foreign:  # one picture above the other
            views = views.beside(draft.second.rows(rows))
            corners[:, :, self._many - self._foreign :, 0] += size
        pictures = self.source.pixels(views, size).reshape(len(rows), -1, size, 3)
        if self.answer == "pixels":
            chosen = likeness.first_rich(pictures, corners[:, :, 0].copy(), side, self._least)
        else:
            clear = self._many - 1 - self._foreign
            chosen = likeness.first_distinct(pictures, corners, side, self._least, clear=clear)
        at = corners[np.arange(len(rows)), np.maximum(chosen, 0)]
        masked, corner = room_beside(pictures, (len(rows), size, size, 3)), np.zeros((1, 1, 2), np.int64)
        tiles.place(masked, corner, pictures, corner, size)
        tiles.fill(masked, at[:, :1], side, GREY)
        draft.image[rows], draft.corner[rows], draft.patches[rows] = masked, at[:, 0], Tiles(pictures, at, side).copies()
        return chosen >= 0

    def make(self, stream: Stream) -> Batch:
        """Mask a patch of one view a row; observation and target as the class's text says."""
        place = stream.integers(0, self.candidates)
        draft = self.draw(stream)
        patches, observation = draft.patches, {"image": draft.image}
        if self.answer == "pixels":
            target = (as_array(patches[:, 0]).astype(np.float32) / 127.5 - 1).astype(np.float32)
            return Batch(observation, target, draft.first.items, {"corner": draft.corner})
        # The true patch, number 0, stands at `place`; the others fill the rest in random order.
        column = np.arange(self.candidates)[None, :]
        rank = np.minimum(column - (column > place[:, None]), self.candidates - 2)
        order = np.where(column == place[:, None], 0, 1 + np.take_along_axis(draft.others, rank, axis=1))
        observation = {"candidates": panels(permuted(patches, order), self.image_size), **observation}
        return Batch(observation, place, draft.first.items)

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score the choice, or the painting against the best constant fill."""
        if self.answer == "choice":
            return exact_score(answers, batch.target)
        valid = self.valid(answers)
        given = np.where(valid.reshape(-1, 1, 1, 1), answers, 0).astype(np.float64)
        truth = batch.target.astype(np.float64)
        error = ((given - truth) ** 2).mean(axis=(1, 2, 3))
        constant = _constant_error(batch.target)
        reward = np.where(valid, np.clip(1 - error / constant, 0, 1), 0).astype(np.float32)
        return Score(reward, reward >= PAINTED)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        if self.answer == "pixels":
            return ["A square patch of this picture is masked in grey. Paint what was there."] * len(batch)
        text = (
            f"The first picture shows {self.candidates} candidates, numbered from left to right, top to bottom: 1 to "
            f"{self.candidates}. A square patch of the second picture is masked in grey. Which candidate was there?"
        )
        return [text] * len(batch)

    def example(self) -> Any:
        """Return the answer of the instructions' example; to paint, mid-grey."""
        return 1 if self.answer == "choice" else np.zeros(self.action_space.shape, np.float32)

    def illustrate(self, answer: Any, batch: Batch, row: int) -> dict[str, NDArray[np.uint8]]:
        """Show the painted picture beside the true one."""
        if self.answer == "choice":
            return {}
        image, (y, x) = batch.observation["image"][row], batch.memory["corner"][row]
        result = {}
        for name, patch in {"painted": answer, "true": batch.target[row]}.items():
            result[name] = image.copy()
            pixels = np.rint((np.clip(np.asarray(patch), -1, 1) + 1) * 127.5).astype(np.uint8)
            result[name][y : y + self.patch_size, x : x + self.patch_size] = pixels
        return result

    def blind_answers(self) -> NDArray[Any]:
        """Return paintings that are paid most whatever is shown, best first, (m, patch_size, patch_size, 3)."""
        batch = self.sample(Stream.span("train", 0, 0, blind.SAMPLED))
        targets = batch.target.reshape(len(batch), -1).astype(np.float64)
        found = blind.best_painting(targets, _constant_error(batch.target), PAINTINGS)
        return np.clip(found, -1, 1).reshape(-1, *self.action_space.shape).astype(np.float32)


def _constant_error(targets: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean squared error of the best constant fill of each patch, (n,)."""
    truth = targets.astype(np.float64)
    return np.asarray(((truth - truth.mean(axis=(1, 2), keepdims=True)) ** 2).mean(axis=(1, 2, 3)))
