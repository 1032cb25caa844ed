"""A stable sort of short lists, compiled: what other kernels order words with, without an allocation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit

RUN = 24
"""Words that are sorted by insertion before runs are merged."""


@jit
def sort(
    words: NDArray[np.uint64],
    marks: NDArray[np.int64],
    count: int,
    spare_words: NDArray[np.uint64],
    spare_marks: NDArray[np.int64],
) -> Any:
    """Sort the first `count` words by size, and what is marked by each with it; equal ones stay in their order."""
    for start in range(0, count, RUN):
        for place in range(start + 1, min(start + RUN, count)):
            word, mark, hole = words[place], marks[place], place
            while hole > start and words[hole - 1] > word:
                words[hole], marks[hole] = words[hole - 1], marks[hole - 1]
                hole -= 1
            words[hole], marks[hole] = word, mark
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
