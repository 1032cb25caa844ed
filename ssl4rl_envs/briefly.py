"""Values in a few words, for error messages: an array of pixels is named by shape, type and range, never written out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

_LETTERS = 80  # of one value
_SHOWN = 8  # entries of an array, a list or a dict that are written out


def briefly(value: Any) -> str:
    """Return what `repr` says where that is short, and else what kind of thing the value is.

    Arrays and tensors of more than a few entries become e.g. "uint8 array of shape (64, 64, 3) from 0 to 255"; long strings
    are cut, and of long lists and dicts the length and the beginning are told.
    """
    if isinstance(value, (np.ndarray, np.generic)) or (hasattr(value, "shape") and hasattr(value, "dtype")):
        return _array(value)
    if isinstance(value, (str, bytes)):
        return repr(value) if len(value) <= _LETTERS else f"{value[:_LETTERS]!r}... ({len(value):,} characters)"
    if isinstance(value, Mapping):
        return "{" + _joined([f"{key!r}: {briefly(each)}" for key, each in list(value.items())[:_SHOWN]], len(value)) + "}"
    if isinstance(value, (list, tuple)):
        return _sequence(value)
    return _cut(repr(value))


def _array(value: Any) -> str:
    if isinstance(value, spaces.Space):
        return _space(value)
    if isinstance(value, (np.ndarray, np.generic)):
        if value.size <= _SHOWN:
            return _cut(" ".join(repr(value).split()))
        edges = f" from {value.min()} to {value.max()}" if value.dtype.kind in "iufb" else ""
        return f"{value.dtype} array of shape {value.shape}{edges}"
    return f"{type(value).__name__} of shape {tuple(value.shape)}, {value.dtype}"


def _space(space: spaces.Space[Any]) -> str:
    written = " ".join(repr(space).split())
    if len(written) <= 2 * _LETTERS:
        return written
    return f"{type(space).__name__} of shape {space.shape}, {space.dtype}"


def _sequence(value: list[Any] | tuple[Any, ...]) -> str:
    first, last = ("[", "]") if isinstance(value, list) else ("(", ",)" if len(value) == 1 else ")")
    told = [briefly(each) for each in value[:_SHOWN]]
    whole = first + _joined(told, len(value)) + last
    if len(whole) <= 2 * _LETTERS or not told:
        return whole
    return f"a {type(value).__name__} of {len(value):,}, the first of them {_cut(told[0])}"


def _joined(told: list[str], count: int) -> str:
    return ", ".join(told + ([f"... ({count:,} in all)"] if count > len(told) else []))


def _cut(words: str) -> str:
    return words if len(words) <= 2 * _LETTERS else f"{words[: 2 * _LETTERS]}..."
