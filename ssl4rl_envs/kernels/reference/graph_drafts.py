"""Choices among what was drawn, in NumPy. The arguments are explained in `kernels.graph_drafts`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.reference import graph_edges
from ssl4rl_envs.kernels.reference.neighbourhoods import words_of

Nodes = NDArray[np.int64]
Pointers = NDArray[np.integer]


def first_apart(
    out_first: Nodes,
    out_found: NDArray[np.bool_],
    indptr: Pointers,
    indices: NDArray[np.int32],
    held_out: Nodes,
    key: np.uint64,
    bounds: NDArray[np.uint64],
    split: int,
    ones: Nodes,
    others: Nodes,
) -> None:
    """See `kernels.graph_drafts.first_apart`."""
    of = np.empty(ones.shape, np.int8)
    graph_edges.splits(of.reshape(-1), key, bounds, ones.ravel(), others.ravel())
    good = (ones != others) & (of == split) & ~_joined(indptr, indices, held_out, ones, others)
    out_first[:], out_found[:] = good.argmax(axis=1), good.any(axis=1)


def distractors(
    out_chosen: Nodes,
    out_found: NDArray[np.bool_],
    indptr: Pointers,
    indices: NDArray[np.int32],
    held_out: Nodes,
    pairs: Nodes,
    drawn: Nodes,
) -> None:
    """See `kernels.graph_drafts.distractors`."""
    edges, count = (indptr, indices, held_out), out_chosen.shape[1]
    good = np.ones(drawn.shape, np.bool_)
    for end in (pairs[:, :1], pairs[:, 1:]):
        good &= (drawn != end) & ~_joined(*edges, *np.broadcast_arrays(end, drawn))
    for place in range(1, drawn.shape[1]):
        good[:, place] &= ~((drawn[:, :place] == drawn[:, place : place + 1]) & good[:, :place]).any(axis=1)
    out_chosen[:] = np.argsort(~good, axis=1, kind="stable")[:, :count]
    others = np.take_along_axis(drawn, out_chosen, axis=1)
    one, other = np.triu_indices(count, 1)
    apart = ~_joined(*edges, others[:, one], others[:, other]).any(axis=1)
    out_found[:] = apart & (good.sum(axis=1) >= count)


def swapped_words(
    out_ones: Nodes,
    out_others: Nodes,
    out_found: NDArray[np.bool_],
    indptr: Nodes,
    words: NDArray[np.int32],
    ones: Nodes,
    others: Nodes,
    keys: NDArray[np.uint64],
    draw: np.uint64,
    tries: int,
) -> None:
    """See `kernels.graph_drafts.swapped_words`."""
    drawn = []
    for order, nodes in enumerate((ones, others)):
        counts = (indptr[nodes + 1] - indptr[nodes])[:, :, None]
        high = words_of(keys, int(draw) + order, ones.shape[1] * tries).reshape(*ones.shape, tries) >> np.uint64(32)
        place = ((high * np.maximum(counts, 1).astype(np.uint64)) >> np.uint64(32)).astype(np.int64)
        entry = np.minimum(indptr[nodes][:, :, None] + place, len(words) - 1)
        drawn.append(np.where(counts > 0, words[entry], -1).astype(np.int64))
    good = (drawn[0] >= 0) & (drawn[1] >= 0)
    for nodes, of in ((others, drawn[0]), (ones, drawn[1])):
        good &= graph_edges.places(indptr, words, *np.broadcast_arrays(nodes[:, :, None], of)) < 0
    first = good.argmax(axis=2)[:, :, None]
    out_ones[:], out_others[:] = (np.take_along_axis(found, first, axis=2)[:, :, 0] for found in drawn)
    out_found[:] = good.any(axis=2)


def _joined(indptr: Pointers, indices: NDArray[np.int32], held_out: Nodes, ones: Nodes, others: Nodes) -> NDArray[np.bool_]:
    out = np.empty(ones.shape, np.bool_)
    graph_edges.joined(out.reshape(-1), indptr, indices, held_out, ones.ravel(), others.ravel())
    return out
