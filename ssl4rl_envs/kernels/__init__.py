"""Loops that can be compiled: each exists as a NumPy reference and compiled by numba, and both give the same bits.

An area is three modules of one name: here, what the rest of the package calls, with the arguments explained; in `reference`
and in `compiled`, the two implementations. Functions take and give plain arrays; they know no task and no source.

numba is used where it can be imported; the environment variable ``SSL4RL_KERNELS`` forces one of them: "numpy" or "numba".
Where what it compiled lies on the disk already, NumPy makes the first questions of a process: to load numba takes longer than
they do.
The rows of a large batch are shared among ``SSL4RL_THREADS`` threads (`threads`).
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import time
import warnings
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from ssl4rl_envs.telling import waiting

VARIABLE = "SSL4RL_KERNELS"

PACKAGES = {"numpy": "ssl4rl_envs.kernels.reference", "numba": "ssl4rl_envs.kernels.compiled"}

COMPILED_FROM = ("kernels/**/*.py", "sources/scene*.py", "sources/base.py", "stream.py")
"""What compiled kernels are made of: the loops, and the tables and numbers that are built into them."""

HEAD_START = 0.25
"""Seconds from the first kernel that is called, in which NumPy works where the compiled ones need only be loaded."""

_begun: float | None = None
_met: set[str] = set()


def area(name: str) -> ModuleType:
    """Return the implementation of an area that is used, e.g. ``area("pictures")``; raises as `implementation`."""
    forced = os.environ.get(VARIABLE, "")
    if forced or "numba" in sys.modules or not _at_the_beginning(name):
        return implementation(name, forced)
    return implementation(name, "numpy")


def _at_the_beginning(name: str) -> bool:
    """Return whether the first questions of a process are being made, and the compiled kernels are on the disk for later."""
    global _begun
    if _begun is None:
        _begun = time.monotonic()
    _met.add(name)
    return time.monotonic() - _begun < HEAD_START and _mark(name).exists()


def kept_in() -> Path:
    """Return the folder of this installation's compiled kernels: in ``NUMBA_CACHE_DIR``, or in the user's cache folder.

    Not in the package: what an installer has not put there it leaves behind, and a folder that is left behind hides the same
    package where it is installed next.
    """
    given, cache = os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    base = Path(given) if given else (Path(cache) if cache else Path("~/.cache").expanduser()) / "ssl4rl-kernels"
    return base / hashlib.blake2b(str(Path(__file__).parent).encode(), digest_size=8).hexdigest()


def _mark(name: str) -> Path:
    """Return the file that says that an area has been compiled, by this numba, from these files."""
    return kept_in() / f"{name}.{_stamp()}.compiled"


@cache
def _stamp() -> str:
    package = Path(__file__).parents[1]
    files = [path for name in COMPILED_FROM for path in sorted(package.glob(name))]
    numba = find_spec("numba")  # whose version is told by a file that is written anew with it; to ask for it takes longer
    files += [] if numba is None else [Path(place, "_version.py") for place in numba.submodule_search_locations or ()]
    known = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.exists()]
    told = repr((known, sys.version, os.environ.get("NUMBA_CACHE_DIR")))
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def _load_for_children() -> None:
    """Load before a fork what each of the children would load for itself otherwise, and share with nobody."""
    if _begun is not None and "numba" not in sys.modules and not os.environ.get(VARIABLE):
        for name in tuple(_met):
            implementation(name)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_load_for_children)


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
            _warm(module)
            return module
        except AttributeError as error:  # of numba's insides, which another version may have elsewhere
            if forced:
                raise
            warnings.warn(
                f"this numba is unlike those that ssl4rl knows ({error}), so kernels run in NumPy, which is slower; "
                "pip install 'numba==0.68.1'",
                stacklevel=3,
            )
        except (ImportError, RuntimeError) as error:  # the latter where numba may nowhere keep what it compiled
            if forced:
                raise ImportError(
                    f"{VARIABLE}={forced} needs numba, which cannot be imported ({error}); pip install numba"
                ) from error
    return importlib.import_module(f"{PACKAGES['numpy']}.{name}")


def _warm(module: ModuleType) -> None:
    """Compile what a module holds, or load it; say so if that takes long."""
    name = module.__name__.rpartition(".")[2]
    with waiting(f"compiling the {name} kernels, once for this installation"):
        module.warm()
    if not _mark(name).exists():
        with suppress(OSError):  # where nothing can be written, numba is loaded at once in every process
            for old in _mark(name).parent.glob(f"{name}.*.compiled"):
                old.unlink(missing_ok=True)
            _mark(name).touch()
