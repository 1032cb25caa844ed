"""Drafts: what a question is made of apart from its target, drawn again until it can be asked about."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.stream import Stream

Draft = TypeVar("Draft")

MAX_REDRAWS = 400
"""A row whose drafts are all rejected this often is an error."""


def until_askable(stream: Stream, draw: Callable[[Stream], tuple[Draft, NDArray[np.bool_]]], who: str) -> Draft:
    """Draw drafts, and those that cannot be asked about again, from further counters of the same rows.

    Whether a draft can be asked about must not depend on the target: then the target is as balanced as it was drawn.

    Args:
        stream: of n rows.
        draw: gives drafts, one a row (an array (n, ...), a dataclass, a list or a tuple of such), and which can be asked
            about, (n,).
        who: asks, and of what, for the message.

    Raises:
        RuntimeError: a row found none in `MAX_REDRAWS` attempts.
    """
    draft, good = draw(stream)
    pending = np.flatnonzero(~good)
    for attempt in range(1, MAX_REDRAWS + 1):
        if not len(pending):
            return draft
        again, good = draw(stream.redraw(pending, attempt))
        _assign(draft, pending, again)
        pending = pending[~good]
    raise RuntimeError(f"{who}: nothing to ask about in {MAX_REDRAWS} draws of {len(pending)} instances")


def _assign(draft: Any, rows: NDArray[np.int64], other: Any) -> None:
    """Write other drafts into rows of a draft, array by array."""
    if isinstance(draft, np.ndarray):
        draft[rows] = other
        return
    for part, replacement in zip(_parts(draft), _parts(other), strict=True):
        _assign(part, rows, replacement)


def _parts(draft: Any) -> Any:
    return draft if isinstance(draft, (tuple, list)) else [getattr(draft, field.name) for field in dataclasses.fields(draft)]
