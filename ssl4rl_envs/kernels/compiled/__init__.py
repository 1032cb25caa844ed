"""The kernels compiled by numba, one module an area.

Every module has `warm`, which calls each of its kernels once, on arrays of the types that they are called with: that compiles
them, or loads what was compiled before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserWideCacheLocator
from numba.core.runtime.nrt import rtsys

from ssl4rl_envs.kernels import COMPILED_FROM, kept_in

Function = TypeVar("Function", bound=Callable[..., Any])

_njit: Any = numba.njit  # whose annotations leave out half of its options
_OPTIONS = {"nogil": True, "error_model": "numpy"}

_PACKAGE = Path(__file__).parents[2]
_SOURCES = hashlib.blake2b(
    b"".join(path.read_bytes() for name in COMPILED_FROM for path in sorted(_PACKAGE.glob(name)))
).digest()


class _Locator(UserWideCacheLocator):
    """Where numba keeps a loop; see `kernels.kept_in`."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        super().__init__(function, file)  # type: ignore[no-untyped-call]
        self._cache_path = str(kept_in() / Path(file).parent.name)

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> Any:
        """Return where a loop of this package is kept; None for others, and where nothing can be written."""
        if not Path(file).is_relative_to(_PACKAGE):
            return None
        return super().from_function(function, file)  # type: ignore[no-untyped-call]


class _Place(CompileResultCacheImpl):
    """What numba needs to keep a loop: beside the package where nothing can be written in the user's folder."""

    _locator_classes = [_Locator, *CompileResultCacheImpl._locator_classes]  # noqa: RUF012 - as numba has it


class _Kept(FunctionCache):
    """What numba keeps of a loop on the disk.

    numba knows what it kept by the file of the function alone; what it calls from other files is compiled into it, too.

    To compile anything, numba first loads its versions of all of Python and NumPy, with half of SciPy: 20 MiB that no other
    process shares, and 0.2 seconds. What is machine code already needs none of it but numba's memory for arrays. Where
    something has to be compiled after all, the compiler loads the rest by itself.
    """

    _impl_class = _Place

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        index = self._cache_file
        index._source_stamp = (index._source_stamp, _SOURCES)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for a signature; None if nothing was. As the method that it overrides, without loading."""
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        return None


def jit(function: Function) -> Function:
    """Compile a loop: without the interpreter's lock, kept on the disk, and with no other rounding than NumPy's.

    No fast mathematics, and no multiplication that is contracted with an addition; divisions by zero give what NumPy gives.
    """
    compiled = _njit(**_OPTIONS)(function)
    if hasattr(compiled, "_cache"):  # not where NUMBA_DISABLE_JIT is set
        compiled._cache = _Kept(function)
    return cast(Function, compiled)


def part(function: Function) -> Function:
    """Compile a part of a loop, as `jit` does, that only compiled functions call: together with them, and not kept alone."""
    return cast(Function, _njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(function))
