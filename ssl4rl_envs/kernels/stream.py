"""Kernels that hash keys into random numbers; `ssl4rl_envs.stream` says what of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels import threads

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]

_HASHES = 1 << 15
"""Numbers that are worth a thread."""

PERMUTED = 64
"""Rows of so many numbers are sorted by the kernel; longer ones are better sorted by NumPy."""


def begin(role: int, seeds: Words, indices: Words) -> Words:
    """Return the keys of rows, (n,): seed and index hashed into the word of a role."""
    keys = np.empty(len(seeds), np.uint64)
    kernels.area("stream").begin(keys, np.uint64(role), seeds, indices)
    return keys


def derive(keys: Words, others: Words) -> Words:
    """Return other keys, (n,): a word hashed into each, (n,), or one into all, (1,)."""
    derived = np.empty(len(keys), np.uint64)
    kernels.area("stream").derive(derived, keys, others)
    return derived


def fold(keys: Words, columns: Words) -> Words:
    """Return keys (n,) with the words of each row (n, k) hashed in, one after the other."""
    folded = keys.copy()
    kernels.area("stream").fold(folded, np.ascontiguousarray(columns))
    return folded


def words(keys: Words, call: int, count: int) -> Words:
    """Return `count` words a row, (n, count): the number of the call and then that of the word hashed into its key."""
    out = np.empty((len(keys), count), np.uint64)
    draw, number = kernels.area("stream").words, np.uint64(call)
    _share(out, lambda rows: draw(out[rows], keys[rows], number))
    return out


def several(keys: Words, call: int, count: int) -> Words:
    """Return the one word of each of `count` calls, of which `call` is the first, (n, count)."""
    out = np.empty((len(keys), count), np.uint64)
    draw, number = kernels.area("stream").several, np.uint64(call)
    _share(out, lambda rows: draw(out[rows], keys[rows], number))
    return out


def uniform(keys: Words, call: int, count: int) -> NDArray[np.float64]:
    """Return `count` floats in [0, 1) a row, (n, count): the upper 53 bits of the words."""
    out = np.empty((len(keys), count), np.float64)
    draw, number = kernels.area("stream").uniform, np.uint64(call)
    _share(out, lambda rows: draw(out[rows], keys[rows], number))
    return out


def integers(keys: Words, call: int, count: int, low: int, width: int) -> Integers:
    """Return `count` integers in [low, low + width) a row, (n, count), by multiply-shift of the upper 32 bits."""
    out = np.empty((len(keys), count), np.int64)
    draw, number, least, most = kernels.area("stream").integers, np.uint64(call), np.int64(low), np.uint64(width)
    _share(out, lambda rows: draw(out[rows], keys[rows], number, least, most))
    return out


def bounded(keys: Words, call: int, low: Integers, width: Integers) -> Integers:
    """Return integers in [low, low + width), (n, k), each with bounds of its own; `low` where a width is below 1."""
    out = np.empty(low.shape, np.int64)
    draw, number = kernels.area("stream").bounded, np.uint64(call)
    _share(out, lambda rows: draw(out[rows], keys[rows], number, low[rows], width[rows]))
    return out


def permutation(keys: Words, call: int, count: int) -> Integers:
    """Return a permutation of 0..count-1 a row, (n, count): the stable order of its words."""
    if count > PERMUTED:
        return np.argsort(words(keys, call, count), axis=1, kind="stable").astype(np.int64)
    out = np.empty((len(keys), count), np.int64)
    draw, number = kernels.area("stream").permutation, np.uint64(call)
    _share(out, lambda rows: draw(out[rows], keys[rows], number))
    return out


def _share(out: NDArray[np.generic], work: threads.Work) -> None:
    threads.share(len(out), work, max(1, _HASHES // max(1, out.shape[1])))
