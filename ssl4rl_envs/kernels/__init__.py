"""Loops that can be compiled: each exists as a NumPy reference and compiled by numba, and both give the same bits.

An area is three modules of one name: here, what the rest of the package calls, with the arguments explained; in `reference`
and in `compiled`, the two implementations. Functions take and give plain arrays; they know no task and no source.

numba is used where it can be imported; the environment variable ``SSL4RL_KERNELS`` forces one of them: "numpy" or "numba".
The rows of a large batch are shared among ``SSL4RL_THREADS`` threads (`threads`).
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from functools import cache
from types import ModuleType

VARIABLE = "SSL4RL_KERNELS"

PACKAGES = {"numpy": "ssl4rl_envs.kernels.reference", "numba": "ssl4rl_envs.kernels.compiled"}

PATIENCE = 2.0
"""Compiling that takes longer than so many seconds is announced."""


def area(name: str) -> ModuleType:
    """Return the implementation of an area that is used, e.g. ``area("pictures")``; raises as `implementation`."""
    return implementation(name, os.environ.get(VARIABLE, ""))


@cache
def implementation(name: str, forced: str = "") -> ModuleType:
    """Return an implementation of an area, compiled and warm.

    Args:
        name: of the area.
        forced: "numpy" or "numba"; by default numba where it can be imported, else NumPy.

    Raises:
        ValueError: there is no such implementation.
        ImportError: numba is forced and cannot be imported.
    """
    if forced and forced not in PACKAGES:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(PACKAGES)}, or not be set, got {forced!r}")
    if forced != "numpy":
        try:
            module = importlib.import_module(f"{PACKAGES['numba']}.{name}")
        except (ImportError, RuntimeError) as error:  # the latter where numba may nowhere keep what it compiled
            if forced:
                raise ImportError(
                    f"{VARIABLE}={forced} needs numba, which cannot be imported ({error}); pip install numba"
                ) from error
        else:
            _warm(module)
            return module
    return importlib.import_module(f"{PACKAGES['numpy']}.{name}")


def _warm(module: ModuleType) -> None:
    """Compile what a module holds, or load it; say so if that takes long."""
    name = module.__name__.rpartition(".")[2]
    word = threading.Timer(
        PATIENCE,
        lambda: print(f"ssl4rl: compiling the {name} kernels, once for this installation ...", file=sys.stderr, flush=True),
    )
    word.daemon = True
    word.start()
    try:
        module.warm()
    finally:
        word.cancel()
