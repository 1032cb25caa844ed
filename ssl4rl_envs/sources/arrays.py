"""Pictures that a user holds in memory: arrays, tensors and Pillow's pictures, as RGB bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl4rl_envs.sources.decoding import Decoded, decode_picture, on_white
from ssl4rl_envs.sources.intensity import (
    Range,
    Spread,
    as_bytes,
    finite,
    full_scale,
    remarks,
    shared_ranges,
    spread_of,
    together,
)
from ssl4rl_envs.sources.notices import listed, warn
from ssl4rl_envs.sources.options import SMALLEST

_NUMPYS_FLOATS = ("torch.float16", "torch.float32", "torch.float64")


def rgb_pictures(images: Sequence[Any] | NDArray[Any], name: str) -> list[NDArray[np.uint8]]:
    """Return pictures as uint8 RGB (height, width, 3).

    Args:
        images: an array of pictures, (n, height, width), (n, height, width, channels) or (n, channels, height, width), or a
            sequence of pictures of any sizes: arrays, tensors, or Pillow's pictures of any mode. Channels are 1 (grey), 3
            (RGB) or 4 (RGBA), and 2 (grey and opacity) where they stand last; what is transparent shows white. Bytes are
            taken as they are and truth values as black and white; what other numbers mean, `intensity` reads off all
            arrays together, so that their brightness stays comparable.
        name: how to call the source in messages.

    Raises:
        ValueError: there is no picture, or one is no picture, holds NaN or infinite numbers, or may be read in two ways.
    """
    pictures = _one_each(images, name)
    if not pictures:
        raise ValueError(f"source {name!r} holds no picture")
    names = [f"picture {number} of source {name!r}" for number in range(len(pictures))]
    of_pillow = _pillow_pictures({what: it for what, it in zip(names, pictures, strict=True) if isinstance(it, Image.Image)})
    noted = {what: "; ".join(decoded.notes) for what, decoded in of_pillow.items() if decoded.notes}
    if noted:
        warn(f"{len(noted)} pictures of source {name!r} were read with a reservation:\n{listed(noted)}")
    arrays = {
        what: channels_last(_as_array(it, what), what)
        for what, it in zip(names, pictures, strict=True)
        if what not in of_pillow
    }
    black, white = _common_range(arrays, name)
    return [of_pillow[what].pixels if what in of_pillow else _as_rgb(arrays[what], black, white) for what in names]


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
    if isinstance(images, np.ndarray) and images.dtype.kind == "O" and images.ndim:
        return list(images)
    array = _as_array(images, f"the array of pictures of source {name!r}")
    if array.ndim not in (3, 4):
        raise ValueError(
            f"source {name!r} must be of shape (n, height, width), (n, height, width, channels) or (n, channels, height, "
            f"width), got {array.dtype} {array.shape}; a single picture is given in a list"
        )
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
    if hasattr(picture, "detach") and hasattr(picture, "cpu"):
        picture = _of_tensor(picture, what)
    if not is_arraylike(picture):
        hint = "; read files with source='folder:PATH'" if isinstance(picture, str) or hasattr(picture, "__fspath__") else ""
        raise ValueError(f"{what} is a {type(picture).__name__}, and must be an array, a tensor or a Pillow picture{hint}")
    if np.ma.is_masked(picture):
        raise ValueError(
            f"{what} is a masked array; say what its {picture.mask.sum()} masked numbers shall show, by .filled(0)"
        )
    array = np.asarray(picture)
    if array.dtype.kind not in "buif":
        raise ValueError(
            f"{what} must hold real numbers, got {array.dtype} {array.shape}; convert it, e.g. to numpy.uint8 from 0 to 255 "
            "or to numpy.float32 from 0 to 1"
        )
    return array


def _of_tensor(tensor: Any, what: str) -> NDArray[Any]:
    """Return a tensor of torch, which is not imported for it, as an array; what NumPy has no type for becomes float32.

    Raises:
        ValueError: it cannot be read as numbers: a sparse or quantized one, say, or one without content.
    """
    tensor = tensor.detach()
    short = tensor.is_floating_point() and str(tensor.dtype) not in _NUMPYS_FLOATS
    try:
        array: NDArray[Any] = (tensor.float() if short else tensor).cpu().resolve_conj().resolve_neg().numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"{what} is a tensor of {tensor.dtype} {tuple(tensor.shape)} that cannot be read as numbers ({error}); make it a "
            "dense one of torch.uint8 or torch.float32"
        ) from error
    return array


def _pillow_pictures(pictures: Mapping[str, Image.Image]) -> dict[str, Decoded]:
    """Return Pillow's pictures by name as they are read; those whose numbers have to be stretched share a range."""
    read = {what: _decoded(picture, what, None) for what, picture in pictures.items()}
    ranges = shared_ranges([decoded.spread for decoded in read.values()])
    for (what, decoded), shared in zip(list(read.items()), ranges, strict=True):
        if decoded.spread is not None and shared != decoded.spread.own_range:
            read[what] = _decoded(pictures[what], what, shared)
    return read


def _decoded(picture: Image.Image, what: str, shared: Range | None) -> Decoded:
    try:
        decoded = decode_picture(picture, shared)
    except Exception as error:  # a file that is read only now, or a mode that Pillow cannot convert
        raise ValueError(f"{what}, a Pillow picture of mode {picture.mode}, cannot be read: {error}") from error
    large_enough(decoded.pixels, what)
    return decoded


def _spread(array: NDArray[Any], what: str) -> Spread:
    """Return how the numbers of a picture's colours lie.

    Raises:
        ValueError: it holds NaN or infinite numbers.
    """
    unknown = np.count_nonzero(~finite(array))
    if unknown:
        raise ValueError(
            f"{what} holds {unknown} numbers that are NaN, infinite or beyond any range, of {array.size}; set them to what "
            "they shall show, e.g. with numpy.nan_to_num"
        )
    return spread_of(array[..., :-1] if array.shape[2] in (2, 4) else array)


def _common_range(arrays: Mapping[str, NDArray[Any]], name: str) -> Range:
    """Return the one range of all numbers that are neither bytes nor truth values, and say how they were stretched."""
    spreads = [_spread(array, what) for what, array in arrays.items() if array.dtype.kind != "b" and array.dtype != np.uint8]
    if not spreads:
        return 0.0, 255.0
    spread = together(spreads)
    notes = remarks(spread, spread.own_range)
    if notes:
        warn(f"{len(spreads)} pictures of source {name!r} were read with a reservation, all alike: {'; '.join(notes)}")
    return spread.own_range


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
        most = float(alpha.max())
        full = 255.0 if array.dtype == np.uint8 else full_scale(most, exact=alpha.dtype.kind != "f") or most
        pixels = on_white(pixels, as_bytes(alpha, 0, full))
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels)
