"""Choices among what was drawn, compiled: no more is looked at than decides. See `kernels.graph_drafts`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.compiled.graph_edges import are_joined, find, split_of
from ssl4rl_envs.kernels.compiled.hashing import below, chain

Nodes = NDArray[np.int64]
Pointers = NDArray[np.integer]


@jit
def first_apart(
    out_first: Nodes,
    out_found: NDArray[np.bool_],
    indptr: Pointers,
    indices: NDArray[np.int32],
    held_out: Nodes,
    key: Any,
    bounds: NDArray[np.uint64],
    split: int,
    ones: Nodes,
    others: Nodes,
) -> Any:
    """See `kernels.graph_drafts.first_apart`."""
    for i in range(len(out_first)):
        out_first[i], out_found[i] = 0, False
        for place in range(ones.shape[1]):
            one, other = ones[i, place], others[i, place]
            if one == other or split_of(key, bounds, one, other) != split:
                continue
            if not are_joined(indptr, indices, held_out, one, other):
                out_first[i], out_found[i] = place, True
                break


@jit
def distractors(
    out_chosen: Nodes,
    out_found: NDArray[np.bool_],
    indptr: Pointers,
    indices: NDArray[np.int32],
    held_out: Nodes,
    pairs: Nodes,
    drawn: Nodes,
) -> Any:
    """See `kernels.graph_drafts.distractors`."""
    count = out_chosen.shape[1]
    refused = np.empty(drawn.shape[1], np.int64)
    for i in range(len(out_found)):
        chosen, enough, others = out_chosen[i], 0, 0
        for place in range(drawn.shape[1]):
            if _fits(indptr, indices, held_out, pairs[i], drawn[i], place, chosen, enough):
                chosen[enough] = place
                enough += 1
                if enough == count:
                    break
            else:
                refused[others] = place
                others += 1
        chosen[enough:] = refused[: count - enough]
        out_found[i] = enough == count and _apart(indptr, indices, held_out, drawn[i], chosen)


@jit
def _fits(
    indptr: Pointers,
    indices: NDArray[np.int32],
    held_out: Nodes,
    pair: Nodes,
    drawn: Nodes,
    place: int,
    chosen: Nodes,
    enough: int,
) -> Any:
    """Return whether a node differs from those chosen before, and from a pair, and is not joined to either of these."""
    node = drawn[place]
    for earlier in range(enough):
        if drawn[chosen[earlier]] == node:
            return False
    one, other = pair[0], pair[1]
    if node in (one, other):
        return False
    return not are_joined(indptr, indices, held_out, one, node) and not are_joined(indptr, indices, held_out, other, node)


@jit
def _apart(indptr: Pointers, indices: NDArray[np.int32], held_out: Nodes, drawn: Nodes, chosen: Nodes) -> Any:
    """Return whether none of the chosen nodes is joined to another."""
    for place in range(len(chosen)):
        for later in range(place + 1, len(chosen)):
            if are_joined(indptr, indices, held_out, drawn[chosen[place]], drawn[chosen[later]]):
                return False
    return True


@jit
def swapped_words(
    out_ones: Nodes,
    out_others: Nodes,
    out_found: NDArray[np.bool_],
    indptr: Nodes,
    words: NDArray[np.int32],
    ones: Nodes,
    others: Nodes,
    keys: NDArray[np.uint64],
    draw: Any,
    tries: int,
) -> Any:
    """See `kernels.graph_drafts.swapped_words`."""
    for i in range(ones.shape[0]):
        first, second = chain(keys[i], draw), chain(keys[i], draw + np.uint64(1))
        for k in range(ones.shape[1]):
            one, other = ones[i, k], others[i, k]
            out_found[i, k] = False
            for attempt in range(tries):
                counter = np.uint64(k * tries + attempt)
                own = _word(indptr, words, one, chain(first, counter))
                theirs = _word(indptr, words, other, chain(second, counter))
                if attempt == 0:
                    out_ones[i, k], out_others[i, k] = own, theirs
                if own < 0 or theirs < 0:
                    continue
                shared = find(words, indptr[other], indptr[other + 1], own) >= 0
                if not shared and find(words, indptr[one], indptr[one + 1], theirs) < 0:
                    out_ones[i, k], out_others[i, k], out_found[i, k] = own, theirs, True
                    break


@jit
def _word(indptr: Nodes, words: NDArray[np.int32], node: int, drawn: Any) -> Any:
    """Return the word of a node that is drawn, -1 where it has none."""
    count = indptr[node + 1] - indptr[node]
    return np.int64(words[indptr[node] + below(drawn, count)]) if count > 0 else -1


def warm() -> None:
    """Compile, or load what was compiled before."""
    edges = np.zeros(2, np.int32), np.zeros(1, np.int32), np.zeros(0, np.int64)
    one, found, pair = np.zeros(1, np.int64), np.zeros(1, np.bool_), np.zeros((1, 2), np.int64)
    first_apart(one, found, *edges, np.uint64(0), np.ones(2, np.uint64), 0, pair, pair)
    distractors(np.zeros((1, 1), np.int64), found, *edges, pair, pair)
    key, words = np.zeros(1, np.uint64), (np.zeros(2, np.int64), np.zeros(1, np.int32))
    swapped_words(pair.copy(), pair.copy(), np.zeros((1, 2), np.bool_), *words, pair, pair, key, np.uint64(0), 4)
