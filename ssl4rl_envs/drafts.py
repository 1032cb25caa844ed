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

AT_ONCE = 32
"""Where few rows are left, so many drafts are drawn at once: several of each, of which the first that will do is taken."""


def until_askable(stream: Stream, draw: Callable[[Stream], tuple[Draft, NDArray[np.bool_]]], who: str) -> Draft:
    """Draw drafts, and those that cannot be asked about again, from further counters of the same rows.

    Whether a draft can be asked about must not depend on the target: then the target is as balanced as it was drawn.

    Args:
        stream: of n rows.
        draw: gives drafts, one a row (an array (n, ...), a dataclass, a list or a tuple of such), and which can be asked
            about, (n,). A draft may hold what was drawn to look at it, for those that can be asked about: the arrays of the
            first call are those that are returned, and of later ones nothing but the rows that will do is copied into them.
        who: asks, and of what, for the message.

    Raises:
        RuntimeError: a row found none in `MAX_REDRAWS` attempts.
    """
    return until_fitting(stream, lambda drawn, _: draw(drawn), who)


def until_fitting(
    stream: Stream,
    draw: Callable[[Stream, NDArray[np.int64]], tuple[Draft, NDArray[np.bool_]]],
    who: str,
    *,
    redraws: int = MAX_REDRAWS,
    at_once: int = AT_ONCE,
    ahead: int = 1,
) -> Draft:
    """Draw drafts again until they fit what stays as it is of their rows: the words of a question, and its answer.

    Every row must find one sooner or later: where what stays was drawn without regard to what can be found, and nothing is
    given up, the two have nothing to do with each other but what they say.

    Args:
        stream, who: as of `until_askable`.
        draw: the same, given the numbers of the rows that are drawn as well, (m,), each of which may come several times.
        redraws: after so many attempts a row is given up.
        at_once: where fewer rows are left, so many drafts are drawn at a time.
        ahead: most of these of one row, the first time; twice as many each time after that.

    Raises:
        RuntimeError: a row was given up.
    """
    draft, good = draw(stream, np.arange(len(stream)))
    pending, attempt = np.flatnonzero(~good), 1
    while len(pending) and attempt <= redraws:
        each = min(ahead, max(1, at_once // len(pending)), redraws + 1 - attempt)
        attempts, rows = np.tile(attempt + np.arange(each), len(pending)), np.repeat(pending, each)
        again, good = draw(stream.redraw(rows, attempts), rows)
        good = good.reshape(-1, each)
        found = np.flatnonzero(good.any(axis=1))
        _assign(draft, pending[found], again, found * each + good[found].argmax(axis=1))
        pending = np.delete(pending, found)
        attempt, ahead = attempt + each, 2 * ahead
    if len(pending):
        raise RuntimeError(f"{who}: nothing to ask about in {redraws} draws of {len(pending)} instances")
    return draft


def unchanging(stream: Stream, key: int, role: str) -> Stream:
    """Return a stream of the same rows that is the same in every redraw of theirs, for what is not to be drawn again.

    What can seldom be asked about would be asked less often otherwise: a kind of question, say.

    Args:
        stream: of n rows, perhaps drawn again.
        key: of the task (`Task.stream_key`).
        role: what it is for.
    """
    return stream.rows(np.arange(len(stream))).keyed(key).branch(role)


def narrow(good: NDArray[np.bool_], check: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> None:
    """Look at the rows that are still good, and keep those that pass: what is cheap to see comes first.

    Args:
        good: (n,), which is written.
        check: given k rows, says which of them pass, (k,).
    """
    rows = np.flatnonzero(good)
    if len(rows):
        good[rows] = check(rows)


def _assign(draft: Any, rows: NDArray[np.int64], other: Any, those: NDArray[np.int64]) -> None:
    """Write those rows of other drafts into rows of a draft, array by array."""
    if hasattr(draft, "shape"):  # an array, or a tensor of pixels
        draft[rows] = other[those]
        return
    for part, replacement in zip(_parts(draft), _parts(other), strict=True):
        _assign(part, rows, replacement, those)


def _parts(draft: Any) -> Any:
    return draft if isinstance(draft, (tuple, list)) else [getattr(draft, field.name) for field in dataclasses.fields(draft)]
