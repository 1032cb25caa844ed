"""Pictures that a user holds in memory: arrays, tensors and Pillow's pictures, as RGB bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl4rl_envs.sources.decoding import Decoded, decode_picture, on_white
from ssl4rl_envs.sources.intensity import as_bytes, finite, full_scale, value_range
from ssl4rl_envs.sources.notices import listed, warn

SMALLEST = 4
"""A picture has at least this many pixels on its shorter side."""


def rgb_pictures(images: Sequence[Any] | NDArray[Any], name: str) -> list[NDArray[np.uint8]]:
    """Return pictures as uint8 RGB (height, width, 3).

    Args:
        images: an array of pictures, (n, height, width), (n, height, width, channels) or (n, channels, height, width), or a
            sequence of pictures of any sizes: arrays, tensors, or Pillow's pictures of any mode. Channels are 1 (grey), 3
            (RGB) or 4 (RGBA), and 2 (grey and opacity) where they stand last; what is transparent shows white. Bytes are
            taken as they are and truth values as black and white; what other numbers mean, `value_range` reads off all
            arrays together, so that their brightness stays comparable.
        name: how to call the source in messages.

    Raises:
        ValueError: there is no picture, or one is no picture, holds NaN or infinite numbers, or may be read in two ways.
    """
    pictures = _one_each(images, name)
    if not pictures:
        raise ValueError(f"source {name!r} holds no picture")
    decoded: list[NDArray[Any]] = []
    extremes: list[tuple[float, float, bool]] = []
    noted: dict[str, str] = {}
    for number, picture in enumerate(pictures):
        what = f"picture {number} of source {name!r}"
        if isinstance(picture, Image.Image):
            pixels, notes = _decoded(picture, what)
            decoded.append(pixels)
            noted |= {what: "; ".join(notes)} if notes else {}
            continue
        decoded.append(channels_last(_as_array(picture, what), what))
        if decoded[-1].dtype.kind != "b" and decoded[-1].dtype != np.uint8:
            extremes.append(_extremes(decoded[-1], what))
    if noted:
        warn(f"{len(noted)} pictures of source {name!r} were read with a reservation:\n{listed(noted)}")
    black, white = _common_range(extremes)
    return [_as_rgb(array, black, white) for array in decoded]


def channels_last(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return a picture of any layout as (height, width, channels).

    Raises:
        ValueError: it is of no picture's shape, smaller than `SMALLEST` pixels, or may be read in two ways.
    """
    if array.ndim == 2:
        return large_enough(array[..., None], what)
    shape = array.shape
    last = array.ndim == 3 and shape[2] in (1, 2, 3, 4)
    first = array.ndim == 3 and shape[0] in (1, 3, 4)
    fits_last = last and min(shape[:2]) >= SMALLEST
    fits_first = first and min(shape[1:]) >= SMALLEST
    if last and first and fits_last == fits_first:
        raise ValueError(
            f"{what} has the shape {shape}, which is ambiguous: its channels may stand first or last, or it is smaller than "
            f"{SMALLEST} pixels; give it as (height, width, channels) with at least {SMALLEST} pixels and another height"
        )
    if fits_first:
        return np.moveaxis(array, 0, 2)
    if last:
        return large_enough(array, what)
    if first:
        return large_enough(np.moveaxis(array, 0, 2), what)
    raise ValueError(
        f"{what} must be of shape (height, width), (height, width, channels) or (channels, height, width), with 1, 3 or 4 "
        f"channels, got {array.dtype} {shape}"
    )


def large_enough(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return a picture (height, width, channels) that is large enough.

    Raises:
        ValueError: it is smaller than `SMALLEST` pixels.
    """
    height, width = array.shape[:2]
    if min(height, width) < SMALLEST:
        raise ValueError(f"{what} must be at least {SMALLEST} pixels wide and high, got {width} x {height}")
    return array


def _one_each(images: Sequence[Any] | NDArray[Any], name: str) -> list[Any]:
    """Return the pictures of an array or sequence one by one; a tensor is taken apart as an array is."""
    if isinstance(images, (list, tuple)) or not is_arraylike(images):
        return list(images)
    if isinstance(images, np.ndarray) and images.dtype.kind == "O":
        return list(images)
    array = _as_array(images, f"the pictures of source {name!r}")
    if array.ndim == 3 and (array.shape[0] in (3, 4) or array.shape[2] in (3, 4)):
        raise ValueError(
            f"source {name!r} has the shape {array.shape}, which is ambiguous: {array.shape[0]} grey pictures or one picture "
            f"with channels; give {(*array.shape, 1)} for the former, {(1, *array.shape)} for the latter"
        )
    return list(array)


def is_arraylike(value: object) -> bool:
    """Return whether something is an array or a tensor."""
    return isinstance(value, np.ndarray) or (hasattr(value, "__array__") and hasattr(value, "dtype"))


def _as_array(picture: Any, what: str) -> NDArray[Any]:
    """Return an array or tensor as a NumPy array of bytes, truth values or other real numbers.

    Raises:
        ValueError: it is something else.
    """
    if hasattr(picture, "detach") and hasattr(picture, "cpu"):  # a tensor of torch, which is not imported for it
        picture = picture.detach().cpu()
        if str(picture.dtype) == "torch.bfloat16":  # which NumPy does not have
            picture = picture.float()
        picture = picture.numpy()
    if not is_arraylike(picture):
        hint = "; read files with source='folder:PATH'" if isinstance(picture, str) or hasattr(picture, "__fspath__") else ""
        raise ValueError(f"{what} is a {type(picture).__name__}, and must be an array, a tensor or a Pillow picture{hint}")
    array = np.asarray(picture)
    if array.dtype.kind not in "buif":
        raise ValueError(f"{what} must hold real numbers, got {array.dtype} {array.shape}")
    return array


def _decoded(picture: Image.Image, what: str) -> Decoded:
    try:
        decoded = decode_picture(picture)
    except Exception as error:  # a file that is read only now, or a mode that Pillow cannot convert
        raise ValueError(f"{what}, a Pillow picture of mode {picture.mode}, cannot be read: {error}") from error
    large_enough(decoded.pixels, what)
    return decoded


def _extremes(array: NDArray[Any], what: str) -> tuple[float, float, bool]:
    """Return the extremes of a picture's colours, and whether they are integers.

    Raises:
        ValueError: it holds NaN or infinite numbers.
    """
    known = finite(array)
    if not known.all():
        raise ValueError(f"{what} holds {np.count_nonzero(~known)} numbers that are NaN, infinite or beyond any range")
    colours = array[..., :-1] if array.shape[2] in (2, 4) else array
    return float(colours.min()), float(colours.max()), array.dtype.kind != "f"


def _common_range(extremes: list[tuple[float, float, bool]]) -> tuple[float, float]:
    if not extremes:
        return 0.0, 255.0
    least, most, exact = zip(*extremes, strict=True)
    return value_range(min(least), max(most), exact=all(exact))


def _as_rgb(array: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    """Return (height, width, channels) numbers as RGB bytes; opacity has a range of its own, from 0."""
    opaque = array.shape[2] in (1, 3)
    colours = array if opaque else array[..., :-1]
    if array.dtype == np.uint8:
        pixels = colours
    elif array.dtype == np.bool_:
        pixels = colours * np.uint8(255)
    else:
        pixels = as_bytes(colours, black, white)
    if not opaque:
        alpha = array[..., -1]
        full = 255 if array.dtype == np.uint8 else full_scale(float(alpha.max()), exact=alpha.dtype.kind != "f")
        pixels = on_white(pixels, as_bytes(alpha, 0, full))
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels)
