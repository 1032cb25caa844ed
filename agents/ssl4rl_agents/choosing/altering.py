"""The same questions with pictures that say nothing of the answer; what is still right then, words give.

Graphs have the same: without features and edges, another question's, and with edges that lead elsewhere. All functions are
pure; of what they are given they change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOW = ("blank", "swapped", "noise")
"""A grey picture; the picture of another question; the pixels of the picture in any order."""

GREY = 127

_OF_QUESTIONS = ("prompt", "answerable", "action_mask", "query")
"""What belongs to the question and not to what is shown."""


class NothingToSwapError(ValueError):
    """Too many questions are about one picture: there is none of another to show in its place."""


def altered(
    observations: dict[str, Any],
    how: str,
    rng: np.random.Generator,
    *,
    grey: int = GREY,
    groups: Sequence[Any] | None = None,
) -> dict[str, Any]:
    """Return observations with altered pictures of the same shapes and kinds, or altered graphs.

    Args:
        observations: arrays (n, ...) by name, pictures as uint8 (n, height, width, 3) or tensors of that; words and whatever
            else is shown stay as they are. Of graphs, as `policies.graph_batches.encode_graphs` takes them.
        how: "blank", all pixels `grey` (a graph has neither features nor edges then); "swapped", what is shown with another
            question, all pictures of a question together; "noise", each picture's pixels in another order (the edges of a
            graph lead to each other's ends).
        rng: decides what is swapped and in which order pixels are.
        grey: of a blank picture, 0 to 255.
        groups: (n,) which picture each question is about, where several questions are about one: a picture is swapped with
            one of another group. By default all differ.

    Raises:
        ValueError: `how` is unknown, or nothing is shown that can be altered.
        NothingToSwapError: there is nothing to swap with.
    """
    if how not in HOW:
        raise ValueError(f"pictures are altered in the ways {', '.join(HOW)}; got {how!r}")
    names = pictures_in(observations)
    graph = "edge_index" in observations
    if not names and not graph:
        raise ValueError(f"there is neither a picture nor a graph to alter among {', '.join(sorted(observations))}")
    if how == "swapped":
        count = len(next(iter(observations.values())))
        order = deranged(range(count) if groups is None else groups, rng)
        moved = [name for name in observations if name not in _OF_QUESTIONS] if graph else names
        return {**observations, **{name: observations[name][order] for name in moved}}
    if graph:
        return {**observations, **(_bare(observations) if how == "blank" else _rewired(observations, rng))}
    if how == "blank":
        return {**observations, **{name: observations[name] * 0 + np.uint8(grey) for name in names}}
    return {**observations, **{name: shuffled(observations[name], rng) for name in names}}


def pictures_in(observations: dict[str, Any]) -> list[str]:
    """Return the names of the pictures among observations, arrays or tensors of uint8 (n, height, width, 3)."""
    return [
        name
        for name, values in observations.items()
        if str(getattr(values, "dtype", "")).endswith("uint8") and len(values.shape) == 4 and values.shape[-1] == 3
    ]


def deranged(groups: Sequence[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return an order (n,) at random in which no place is taken by one of its own group.

    Raises:
        NothingToSwapError: more than half are of one group, so there is none.
    """
    _, group = np.unique(np.asarray(list(groups)), return_inverse=True)
    count = len(group)
    most = int(np.bincount(group).max()) if count else 0
    if 2 * most > count:
        raise NothingToSwapError(
            f"pictures are swapped between questions about different ones, and {most} of {count} questions are about the same"
        )
    # In rows sorted by group, whatever lies as far ahead as the largest group is long belongs to another one.
    rank = rng.permutation(int(group.max()) + 1) if count else group
    rows = rng.permutation(count)
    rows = rows[np.argsort(rank[group[rows]], kind="stable")]
    order = np.empty(count, np.int64)
    order[rows] = np.roll(rows, -most)
    return order


def shuffled(pictures: Any, rng: np.random.Generator) -> Any:
    """Return pictures (n, height, width, 3) whose pixels, colours kept, are in an order of their own each."""
    count, pixels = len(pictures), pictures.shape[1] * pictures.shape[2]
    order = rng.permuted(np.tile(np.arange(pixels), (count, 1)), axis=1)
    return pictures.reshape(count, pixels, 3)[np.arange(count)[:, None], order].reshape(pictures.shape)


def _bare(graphs: dict[str, Any]) -> dict[str, Any]:
    """Return graphs whose nodes hide their features and have no edges."""
    return {"x_mask": np.zeros_like(graphs["node_mask"]), "edge_mask": np.zeros_like(graphs["edge_mask"])}


def _rewired(graphs: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return graphs whose edges end where another edge of the same graph ended: all nodes keep their degrees."""
    edges, there = np.array(graphs["edge_index"]), np.asarray(graphs["edge_mask"]).astype(bool)
    for row, real in enumerate(there):
        edges[row, 1, real] = rng.permutation(edges[row, 1, real])
    return {"edge_index": edges}
