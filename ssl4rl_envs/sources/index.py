"""What is worked out of pictures once, when they are taken in: their splits, what counts as one photograph, a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.stream import SPLITS

SPLIT_SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}


class Index(NamedTuple):
    """Which items are in which split, and what they show.

    Attributes:
        items: of each of `SPLITS`, int64 arrays in order.
        photographs: (items,) int64, which photograph each item shows (a part of).
        variety: how many different photographs each of `SPLITS` holds.
    """

    items: tuple[NDArray[np.int64], ...]
    photographs: NDArray[np.int64]
    variety: tuple[int, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that hold an item."""
        return tuple(split for split, items in zip(SPLITS, self.items, strict=True) if len(items))

    def assigned(self) -> NDArray[np.int64]:
        """Return the number of the split of each item, (items,)."""
        result = np.empty(len(self.photographs), np.int64)
        for number, items in enumerate(self.items):
            result[items] = number
        return result

    def fingerprint(self, min_zoom: float, shown: NDArray[np.uint8]) -> str:
        """Return a hex digest of all pixels in the order of the items, of splits and photographs, and of how views are drawn.

        Args:
            min_zoom: see `ImageSource`.
            shown: (items, 16) content digests of the pictures as they are drawn from.
        """
        digest = hashlib.blake2b(repr(min_zoom).encode(), digest_size=16)
        for numbers in (self.assigned(), self.photographs):
            digest.update(numbers.astype("<i8").tobytes())
        digest.update(shown.tobytes())
        return digest.hexdigest()


def index_of(heads: NDArray[np.uint64], photographs: NDArray[np.int64]) -> Index:
    """Return the index of pictures.

    Args:
        heads: (items,) uint64 of their content digests, see `heads_of`; they decide the splits.
        photographs: (items,) int64, which photograph each picture shows a part of.
    """
    assigned = splits_of(heads)
    items = tuple(np.flatnonzero(assigned == number) for number in range(len(SPLITS)))
    return Index(items, photographs, tuple(len(np.unique(photographs[of_split])) for of_split in items))


def content_key(image: NDArray[np.uint8]) -> bytes:
    """Return a digest of a picture's pixels, uint8 RGB (height, width, 3), and of its shape."""
    return hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).digest()


def split_of(key: bytes) -> str:
    """Return the split of the item with this content digest; see `splits_of`."""
    return SPLITS[int(splits_of(heads_of([key]))[0])]


def heads_of(keys: Sequence[bytes]) -> NDArray[np.uint64]:
    """Return the first eight bytes of content digests as numbers, (items,)."""
    return np.array([int.from_bytes(key[:8], "big") for key in keys], np.uint64)


def splits_of(heads: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the number of the split of each content digest, (items,): a fixed share of the digests' range each.

    It depends on nothing else, so adding pictures to a collection never moves one across a split.
    """
    position = heads.astype(np.float64) / 2.0**64
    result = np.full(len(heads), len(SPLITS) - 1, np.int64)
    undecided = np.ones(len(heads), bool)
    for number, split in enumerate(SPLITS):
        position -= SPLIT_SHARES[split]
        result[undecided & (position < 0)] = number
        undecided &= position >= 0
    return result


def as_words(keys: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return digests (items, bytes) as (items,) words that can be compared and sorted."""
    data = np.ascontiguousarray(keys)
    return data.view(f"S{data.shape[1]}")[:, 0]
