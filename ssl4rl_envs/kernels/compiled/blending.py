"""Blends of pixels and of lines, many numbers at once: what numba's own search for wide instructions does not find.

Each is written as operations on vectors of a fixed length, which LLVM turns into whatever instructions the processor has. All
are on integers, so the bits are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import part
from ssl4rl_envs.sources.base import UNIT_BITS

READ, WRITTEN = 8, 4
"""How many bytes are read of a pixel and the next, and how many numbers are written: the rest is to be overwritten."""

WIDE = 32
"""How many numbers of two lines are blended at once."""

_BYTE, _SHORT, _LONG = (ir.IntType(bits) for bits in (8, 16, 32))
_STEP = np.uint64(WIDE)
_NARROW, _ROUND, _HALF = np.uint32(UNIT_BITS), np.uint32(2 * UNIT_BITS), np.uint32(1 << 2 * UNIT_BITS - 1)


def _pick(builder: Any, vector: Any, places: list[int]) -> Any:
    """Return chosen elements of a vector as a vector."""
    return builder.shuffle_vector(
        vector, ir.Constant(vector.type, ir.Undefined), ir.Constant(ir.VectorType(_LONG, len(places)), places)
    )


def _vector(context: Any, builder: Any, array: Any, value: Any, at: Any, element: Any, length: int) -> Any:
    """Return where `length` elements of an array lie from `at` on, as a vector."""
    place = builder.gep(context.make_array(array)(context, builder, value).data, [at])
    return builder.bitcast(place, ir.VectorType(element, length).as_pointer())


def _blend_pixels(_context: Any, line: Any, to: Any, pixels: Any, at: Any, weights: Any, of: Any) -> Any:
    """Return numba's signature and code of `blend_pixels`."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        line, _, pixels, _, weights, _ = signature.args
        read = builder.load(_vector(context, builder, pixels, values[2], values[3], _BYTE, READ), align=1)
        pair = builder.load(_vector(context, builder, weights, values[4], values[5], _SHORT, 2), align=2)
        # Numbers of 16 bits with a sign: so both products and their sum are one instruction.
        wide = ir.VectorType(_LONG, WRITTEN)
        products = [
            builder.mul(
                builder.zext(_pick(builder, read, list(range(3 * pixel, 3 * pixel + WRITTEN))), wide),
                builder.sext(_pick(builder, pair, [pixel] * WRITTEN), wide),
            )
            for pixel in (0, 1)
        ]
        builder.store(builder.add(*products), _vector(context, builder, line, values[0], values[1], _LONG, WRITTEN), align=4)
        return context.get_dummy_value()

    return types.void(line, to, pixels, at, weights, of), code


def _copy_pixel(_context: Any, out: Any, to: Any, pixels: Any, at: Any) -> Any:
    """Return numba's signature and code of `copy_pixel`."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        out, _, pixels, _ = signature.args
        pixel = builder.load(_vector(context, builder, pixels, values[2], values[3], _BYTE, WRITTEN), align=1)
        builder.store(pixel, _vector(context, builder, out, values[0], values[1], _BYTE, WRITTEN), align=1)
        return context.get_dummy_value()

    return types.void(out, to, pixels, at), code


def _blend_lines(_context: Any, out: Any, to: Any, lines: Any, one: Any, other: Any, weight: Any) -> Any:
    """Return numba's signature and code of `blend_lines`."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        out, _, lines, _, _, _ = signature.args
        wide = ir.VectorType(_LONG, WIDE)

        def all_of(number: Any) -> Any:
            return _pick(builder, builder.insert_element(ir.Constant(wide, ir.Undefined), number, _LONG(0)), [0] * WIDE)

        first, second = (
            builder.load(_vector(context, builder, lines, values[2], at, _LONG, WIDE), align=4) for at in values[3:5]
        )
        narrow, half, last = (ir.Constant(wide, [int(number)] * WIDE) for number in (_NARROW, _HALF, _ROUND))
        difference = builder.mul(builder.sub(second, first), all_of(values[5]))
        total = builder.add(builder.add(builder.shl(first, narrow), half), difference)
        bytes_ = builder.trunc(builder.lshr(total, last), ir.VectorType(_BYTE, WIDE))
        builder.store(bytes_, _vector(context, builder, out, values[0], values[1], _BYTE, WIDE), align=1)
        return context.get_dummy_value()

    return types.void(out, to, lines, one, other, weight), code


blend_pixels = cast(Callable[..., None], intrinsic(_blend_pixels))
"""Write into line[to : to + 3] the sum of a pixel and the next, pixels[at : at + 6], times weights[of : of + 2].

Arguments: line uint32, to uint64, pixels uint8, at uint64, weights uint16 of at most 4096, of uint64; arrays of one axis.
Line has room for `WRITTEN` numbers from there, pixels for `READ`.
"""

copy_pixel = cast(Callable[..., None], intrinsic(_copy_pixel))
"""Copy pixels[at : at + 3] to out[to : to + 3], and one byte more."""

_blend_lines_wide = cast(Callable[..., None], intrinsic(_blend_lines))


@part
def blend_lines(
    out: NDArray[np.uint8],
    to: np.uint64,
    lines: NDArray[np.uint32],
    one: np.uint64,
    other: np.uint64,
    weight: np.uint32,
    count: np.uint64,
) -> Any:
    """Blend `count` numbers of a line with those of another, both in 1/4096, and round.

    Args:
        out, to: where the bytes are written.
        lines, one, other: where the lines begin.
        weight: of the other, in 1/4096.
        count: how many numbers.
    """
    if count < _STEP:
        for k in range(count):
            first, second = lines[one + k], lines[other + k]
            out[to + k] = np.uint32((first << _NARROW) + (second - first) * weight + _HALF) >> _ROUND
        return
    last = count - _STEP
    for step in range((last + _STEP - np.uint64(1)) // _STEP):
        past = step * _STEP
        _blend_lines_wide(out, to + past, lines, one + past, other + past, weight)
    _blend_lines_wide(out, to + last, lines, one + last, other + last, weight)  # some of which are there already
