"""What a task is, in words that every process agrees on: its class, and its arguments where they are not the defaults."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def configuration(cls: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words that a class and the arguments of its constructor are known by.

    The argument `source` is left out, since its content counts and not its name, and so are arguments at their defaults:
    giving one of them changes nothing, nor does a new one in a later version. Of the class count its name and the
    package it comes from, so that it may be moved to another module. Wrong arguments are left to the constructor.
    """
    words = [f"{cls.__module__.partition('.')[0]}.{cls.__qualname__}"]
    try:
        signature = inspect.signature(cls)
        given = signature.bind_partial(*args, **kwargs).arguments
    except TypeError:
        return tuple(words)
    for name, value in sorted(given.items()):
        word = canonical(value)
        if name != "source" and word != canonical(signature.parameters[name].default):
            words.append(f"{name}={word}")
    return tuple(words)


def canonical(value: Any) -> str:
    """Return a word for a value: equal for equal numbers of any type, for lists and tuples, in every process.

    Arrays count by their content; an object that is no plain data by its `fingerprint` or `stream_key`, or else its type.
    """
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value)
        return f"array {data.dtype.str} {data.shape} {hashlib.blake2b(data.tobytes(), digest_size=16).hexdigest()}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{canonical(key)}: {canonical(each)}" for key, each in value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(canonical(each) for each in value) + "]"
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    known_by = getattr(value, "fingerprint", getattr(value, "stream_key", ""))
    return f"{kind} {known_by}".rstrip()
