"""ImageTask: what all image tasks share: a source, drafts of views, and which drafts can be asked about."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.drafts import until_askable
from ssl4rl_envs.sources import PICTURES, ImageSourceLike, PictureSource, load_images
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Task

Draft = TypeVar("Draft")

MIN_ACCEPTED = 0.1
"""Least share of drafts that a source must yield, so that no row runs out of redraws."""

_CHECKED = 64  # drafts of each split that are looked at when a task is built

MIN_SIZE, MAX_SIZE = 8, 4096
"""Least and largest side of a picture, in pixels; one of the largest takes 50 MB, and tasks look at 64 as they are built."""


class ImageTask(Task, Generic[Draft]):
    """A task over square views of pictures.

    A subclass says what it draws of a row (`draft`: views, places, whatever the target does not depend on) and which drafts
    have one right answer (`askable`). Others are drawn again, from further counters of the same rows, so that the target is
    as balanced as it was drawn. What `askable` drew to look at, or chose among what a draft offers, it may write into the
    draft, so that nothing is drawn twice. The last line of the subclass's constructor calls `check_source`.

    Args:
        source: the pictures; see `load_images`.
        image_size: side of the pictures in pixels.
        images: names of the pictures that are shown, all of this size.
        ambiguous: how to call what cannot be asked about, e.g. "blank or symmetric".

    Raises:
        ValueError: the pictures would be too small, or too large to be held in memory.
    """

    sources = PICTURES

    def __init__(self, source: ImageSourceLike, image_size: int, images: tuple[str, ...], ambiguous: str) -> None:
        check_size(image_size)
        self.source: PictureSource = load_images(source)
        self.image_size, self.images, self.ambiguous = image_size, images, ambiguous
        picture = spaces.Box(0, 255, (image_size, image_size, 3), np.uint8)
        self.observation_space = spaces.Dict(dict.fromkeys(images, picture))

    @abstractmethod
    def draft(self, stream: Stream) -> Draft:
        """Draw what a question is made of, one a row: `Views`, arrays (n, ...), or a tuple of such."""

    @abstractmethod
    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return which drafts can be asked about, (n,); the rows of these may be filled in."""

    def draw(self, stream: Stream) -> Draft:
        """Draw drafts that can be asked about; raises as `until_askable`."""

        def attempt(stream: Stream) -> tuple[Draft, NDArray[np.bool_]]:
            draft = self.draft(stream)
            return draft, self.askable(draft)

        return until_askable(stream, attempt, f"{type(self).__name__} over source {self.source.name!r}")

    def acceptance(self, split: str, count: int = 256) -> float:
        """Return the share of drafts of a split that can be asked about, from `count` of them."""
        stream = Stream.span(split, 0, 0, count)
        return float(self.askable(self.draft(stream)).mean())

    def check_source(self, different: int = 1) -> None:
        """Check that the source has enough to ask about.

        Args:
            different: how many different photographs a question is made of.

        Raises:
            ValueError: it has not; the message names the split and says what would do.
        """
        for split in self.source.splits:
            variety = self.source.variety(split)
            if variety is None and split != self.source.splits[0]:
                continue  # the splits of an endless source differ in nothing but their items
            if variety is not None and variety < different:
                raise ValueError(
                    f"source {self.source.name!r}: a question needs {different} different photographs and the {split!r} "
                    f"split has {variety}; add more pictures"
                )
            share = self.acceptance(split, _CHECKED)
            if share < 2 * MIN_ACCEPTED:  # too near to be judged by so few
                share = self.acceptance(split, 16 * _CHECKED)
            if share < MIN_ACCEPTED:
                raise ValueError(
                    f"source {self.source.name!r}: only {share:.0%} of random drafts of its {split!r} split can be asked "
                    "about "
                    f"by {type(self).__name__}, at least {MIN_ACCEPTED:.0%} must; the others are {self.ambiguous}. "
                    "Use other pictures or an easier level"
                )


def check_size(image_size: int) -> None:
    """Look at the side of a picture before anything is computed from it.

    Raises:
        ValueError: it is none that can be shown, or none whose batches could be held in memory.
    """
    if image_size < MIN_SIZE:
        raise ValueError(f"image_size must be at least {MIN_SIZE} pixels, got {image_size}")
    if image_size > MAX_SIZE:
        raise ValueError(f"image_size must be at most {MAX_SIZE} pixels, so that batches fit in memory, got {image_size}")


def one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    """Return `value` if it is known.

    Raises:
        ValueError: it is not; the message lists what is.
    """
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    return value
