"""A stable sort of short lists, compiled: what other kernels order words with, without an allocation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit, part

FEW = 12
"""Words that are sorted by insertion."""

RUN = 96
"""Words that are sorted by counting before runs are merged: two words are compared without a branch, several at once."""


@jit
def sort(
    words: NDArray[np.uint64],
    marks: NDArray[np.int64],
    count: int,
    spare_words: NDArray[np.uint64],
    spare_marks: NDArray[np.int64],
) -> Any:
    """Sort the first `count` words by size, and what is marked by each with it; equal ones stay in their order."""
    if count <= FEW:
        _insert(words, marks, count)
        return
    for start in range(0, count, RUN):
        stop = min(start + RUN, count)
        _count(words[start:stop], marks[start:stop], spare_words, spare_marks)
    length = RUN
    while length < count:
        for start in range(0, count, 2 * length):
            middle, stop = min(start + length, count), min(start + 2 * length, count)
            left, right = start, middle
            for place in range(start, stop):
                if right >= stop or (left < middle and words[left] <= words[right]):
                    spare_words[place], spare_marks[place] = words[left], marks[left]
                    left += 1
                else:
                    spare_words[place], spare_marks[place] = words[right], marks[right]
                    right += 1
        words[:count], marks[:count] = spare_words[:count], spare_marks[:count]
        length *= 2


@part
def _insert(words: NDArray[np.uint64], marks: NDArray[np.int64], count: int) -> Any:
    """Sort a few words: each goes to its place among those before it."""
    for place in range(1, count):
        word, mark, hole = words[place], marks[place], place
        while hole > 0 and words[hole - 1] > word:
            words[hole], marks[hole] = words[hole - 1], marks[hole - 1]
            hole -= 1
        words[hole], marks[hole] = word, mark


@part
def _count(words: NDArray[np.uint64], marks: NDArray[np.int64], spare: NDArray[np.uint64], places: NDArray[np.int64]) -> Any:
    """Sort a run: each word goes behind those before it that are no larger, and behind those after it that are smaller."""
    for place in range(len(words)):
        word, ahead = words[place], np.int64(0)
        for earlier in range(place):
            stays = np.int64(words[earlier] <= word)
            ahead += stays
            places[earlier] += 1 - stays
        places[place] = ahead
    for place in range(len(words)):
        spare[places[place]] = words[place]
    for place in range(len(words)):
        words[place] = spare[place]
    for place in range(len(marks)):
        spare[places[place]] = np.uint64(marks[place])
    for place in range(len(marks)):
        marks[place] = np.int64(spare[place])
