"""Stores that go past the caches: what is written once and not read soon need not be read first, nor push out what is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

Function = Callable[..., Any]


def inline(function: Function) -> Function:
    """Make a function that writes instructions, and the type of what it writes, callable from compiled loops."""
    return cast(Function, intrinsic(function))


LINE = 16
"""Numbers of float32 in a line of the caches, 64 bytes."""


@inline
def stream_line(typing: Any, into: Any, source: Any) -> Any:
    """Write 64 bytes from one address to another, which is a multiple of 64, past the caches."""
    del typing

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        line = ir.VectorType(ir.FloatType(), LINE)
        target, given = (builder.inttoptr(address, line.as_pointer()) for address in arguments)
        store = builder.store(builder.load(given, align=4), target, align=64)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(into, source), build


@inline
def settle(typing: Any) -> Any:
    """Wait until all that was streamed can be seen by other threads."""
    del typing

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature, arguments
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), build
