"""One member of a collection, from its bytes to what is kept of it."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ssl4rl_envs.sources.decoding import decode
from ssl4rl_envs.sources.index import content_key
from ssl4rl_envs.sources.intensity import Range, Spread
from ssl4rl_envs.sources.options import SMALLEST, Settings


class Reading(NamedTuple):
    """A picture that was read.

    Attributes:
        pixels: uint8 RGB (height, width, 3), upright, reduced as the settings say.
        key: the content digest of the full-size pixels.
        shown: the content digest of these.
        size: how many pixels the file has.
        notes: what a user should know of how it was read.
        spread: how its numbers lie, where they are more than bytes.
    """

    pixels: NDArray[np.uint8]
    key: bytes
    shown: bytes
    size: int
    notes: tuple[str, ...]
    spread: Spread | None


def read_picture(data: bytes, settings: Settings, shared: Range | None = None) -> Reading:
    """Read one picture upright, as RGB, reduced as the settings say; `shared` as for `decode`.

    Raises:
        Exception: Pillow cannot read it, for which its readers raise errors of many types.
        ValueError: it is smaller than 4 pixels, or holds no finite number.
    """
    pixels, notes, spread = decode(data, shared)
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST:
        raise ValueError(f"only {width} x {height} pixels; at least {SMALLEST} x {SMALLEST} are needed")
    key = shown = content_key(pixels)
    if settings.side is not None and min(height, width) > settings.side:
        share = settings.side / min(height, width)
        size = (round(width * share), round(height * share))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
        shown = content_key(pixels)
    return Reading(pixels, key, shown, height * width, notes, spread)


def reason_of(data: bytes | None, error: Exception) -> str:
    """Return in words why a member cannot be read that holds these bytes; None where not even they could be read."""
    if data is not None and not data:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture that Pillow can read"
    return str(error) or type(error).__name__


def digest(data: bytes) -> bytes:
    """Return a digest of the bytes of a file, (16,)."""
    return hashlib.blake2b(data, digest_size=16).digest()
