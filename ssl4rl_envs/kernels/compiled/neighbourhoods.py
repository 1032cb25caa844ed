"""Sampling of neighbourhoods, compiled, row by row into the final arrays. See `kernels.neighbourhoods`.

Where the reference shuffles or sorts whole rows of slots, here are only those that exist: the others come last in any order,
and nothing of them is shown.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.compiled.graph_edges import find
from ssl4rl_envs.kernels.compiled.hashing import ONE, below, chain
from ssl4rl_envs.kernels.compiled.sorting import sort

Nodes = NDArray[np.int64]
Words = NDArray[np.uint64]


@jit
def sample(
    out_nodes: Nodes,
    out_edge_index: Nodes,
    out_edge_mask: NDArray[np.bool_],
    out_local: Nodes,
    indptr: NDArray[np.integer],
    indices: NDArray[np.int32],
    targets: Nodes,
    fanouts: Nodes,
    hidden: Nodes,
    keys: Words,
    draw: Any,
) -> Any:
    """See `kernels.neighbourhoods.sample`."""
    count, width = out_nodes.shape
    asked = targets.shape[1]
    slots, upper, group, ranked, numbers = np.empty((5, width), np.int64)
    words, marks = np.empty((2, width), np.uint64), np.empty((2, width), np.int64)
    widest, draws = hidden.shape[1], 0
    for fanout in fanouts:
        widest, draws = max(widest, fanout), draws + fanout
    spare = np.empty((3, widest), np.int64)
    last = draw + np.uint64(draws)
    for i in range(count):
        slots[:asked] = targets[i]
        _walk(slots, upper, asked, indptr, indices, fanouts, hidden[i], keys[i], draw, spare)
        known = _rank(slots, group, ranked, words, marks)
        for number in range(known):
            marks[0, number] = number
        _shuffle(known, chain(keys[i], last), words, marks)
        for number in range(known):
            out_nodes[i, number] = ranked[marks[0, number]]
            numbers[marks[0, number]] = number
        out_nodes[i, known:] = -1
        for slot in range(width):
            if slots[slot] >= 0:
                slots[slot] = numbers[group[slot]]
        out_local[i] = slots[:asked]
        _join(out_edge_index[i], out_edge_mask[i], slots, upper, asked, chain(keys[i], last + ONE), ranked, words, marks)


@jit
def _walk(
    slots: Nodes,
    upper: Nodes,
    asked: int,
    indptr: NDArray[np.integer],
    indices: NDArray[np.int32],
    fanouts: Nodes,
    hidden: Nodes,
    key: Any,
    draw: Any,
    spare: Nodes,
) -> Any:
    """Fill slots behind the targets with neighbours, -1 where there is none, and say from which slot each was met.

    Places are drawn by R. Floyd's algorithm (Bentley 1987), as the reference explains.
    """
    skips, places, calls = spare[0], spare[1], spare[2].view(np.uint64)
    start, stop = 0, asked
    for fanout in fanouts:
        for j in range(fanout):
            calls[j] = chain(key, draw + np.uint64(j))
        draw += np.uint64(fanout)
        for slot in range(start, stop):
            base, node = stop + (slot - start) * fanout, slots[slot]
            slots[base : base + fanout] = -1
            upper[base : base + fanout] = slot
            if node < 0:
                continue
            first, after = np.int64(indptr[node]), np.int64(indptr[node + 1])
            skipped = _hide(skips, node, hidden, indices, first, after)
            there = after - first - skipped
            for j in range(min(fanout, there)):
                place = j
                if there > fanout:
                    place = below(chain(calls[j], np.uint64(slot - start)), there - fanout + j + 1)
                    for earlier in range(j):
                        if places[earlier] == place:
                            place = there - fanout + j
                            break
                places[j] = place
                for skip in range(skipped):
                    if place >= skips[skip]:
                        place += 1
                slots[base + j] = indices[first + place]
        start, stop = stop, stop + (stop - start) * fanout


@jit
def _hide(skips: Nodes, node: int, hidden: Nodes, indices: NDArray[np.int32], first: Any, after: Any) -> Any:
    """Note the places of hidden neighbours of a node, rising, and return how many there are."""
    count = 0
    for pair in range(len(hidden)):
        one, other = hidden[pair, 0], hidden[pair, 1]
        partner = other if one == node else one if other == node else -1
        place = find(indices, first, after, partner) - first if partner >= 0 else -1
        if place < 0:
            continue
        rank = 0
        while rank < count and skips[rank] < place:
            rank += 1
        if rank < count and skips[rank] == place:
            continue
        for later in range(count, rank, -1):
            skips[later] = skips[later - 1]
        skips[rank] = place
        count += 1
    return count


@jit
def _rank(slots: Nodes, group: Nodes, ranked: Nodes, words: Words, marks: Nodes) -> Any:
    """Return how many different nodes there are; note them, rising, and of each slot which it is."""
    count = 0
    for slot in range(len(slots)):
        if slots[slot] >= 0:
            words[0, count], marks[0, count] = slots[slot], slot
            count += 1
    sort(words[0], marks[0], count, words[1], marks[1])
    known = 0
    for place in range(count):
        slot = marks[0, place]
        if place == 0 or slots[slot] != ranked[known - 1]:
            ranked[known] = slots[slot]
            known += 1
        group[slot] = known - 1
    return known


@jit
def _shuffle(count: int, key: Any, words: Words, marks: Nodes) -> Any:
    """Put the first marks into the order of the words that they number."""
    for place in range(count):
        words[0, place] = chain(key, np.uint64(marks[0, place])) >> ONE
    sort(words[0], marks[0], count, words[1], marks[1])


@jit
def _join(
    out_edge_index: Nodes,
    out_edge_mask: NDArray[np.bool_],
    local: Nodes,
    upper: Nodes,
    asked: int,
    key: Any,
    pairs: Nodes,
    words: Words,
    marks: Nodes,
) -> Any:
    """Write the edges on which slots were met, each once and back, in random order."""
    width = len(local)
    met = 0
    for slot in range(asked, width):
        if local[slot] < 0:
            continue
        one, other = local[upper[slot]], local[slot]
        if upper[slot] >= asked and _holds(local[:asked], other):
            continue
        words[0, met], marks[0, met] = min(one, other) * width + max(one, other), 0
        met += 1
    sort(words[0], marks[0], met, words[1], marks[1])
    count = 0
    for place in range(met):
        pairs[place] = np.int64(words[0, place])
        if place == 0 or pairs[place] != pairs[place - 1]:
            marks[0, count] = place
            count += 1
    _shuffle(count, key, words, marks)
    half = width - asked
    for place in range(count):
        first, second = divmod(pairs[marks[0, place]], width)
        out_edge_index[0, place] = out_edge_index[1, half + place] = first
        out_edge_index[1, place] = out_edge_index[0, half + place] = second
    for end in range(2):
        out_edge_index[end, count:half] = 0
        out_edge_index[end, half + count :] = 0
    out_edge_mask[:count], out_edge_mask[half : half + count] = True, True
    out_edge_mask[count:half], out_edge_mask[half + count :] = False, False


@jit
def _holds(values: Nodes, value: int) -> Any:
    """Return whether a value is among others: without `any`, with which every process would load all of numba's NumPy."""
    found = False
    for one in values:
        found = found or one == value
    return found


def warm() -> None:
    """Compile, or load what was compiled before."""
    nodes, edges, mask = np.empty((1, 2), np.int64), np.empty((1, 2, 2), np.int64), np.empty((1, 2), np.bool_)
    rows = np.array([0, 1, 2], np.int32), np.array([1, 0], np.int32)
    one, none = np.zeros((1, 1), np.int64), np.empty((1, 0, 2), np.int64)
    sample(nodes, edges, mask, one.copy(), *rows, one, np.ones(1, np.int64), none, np.zeros(1, np.uint64), np.uint64(0))
