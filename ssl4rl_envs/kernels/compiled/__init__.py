"""The kernels compiled by numba, one module an area.

Every module has `warm`, which calls each of its kernels once, on arrays of the types that they are called with: that compiles
them, or loads what was compiled before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """Compile a loop: without the interpreter's lock, kept on the disk, and with no other rounding than NumPy's.

    No fast mathematics, and no multiplication that is contracted with an addition; divisions by zero give what NumPy gives.
    """
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
