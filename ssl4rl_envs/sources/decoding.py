"""From picture files and Pillow's pictures of any mode to upright RGB bytes.

Pillow decodes; what it does not do by itself is here: numbers of more than 8 bits keep their contrast (`intensity`), the
lower bytes of 16-bit colours are read too, transparency is laid on white, and damaged metadata cost the turn alone.
"""

from __future__ import annotations

import sys
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile

from ssl4rl_envs.sources.intensity import as_bytes, extremes, finite, value_range

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PHOTOMETRIC = int(ExifTags.Base.PhotometricInterpretation)
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


class Decoded(NamedTuple):
    """A picture, uint8 RGB (height, width, 3), and what a user should know of how it was read."""

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]


def decode_file(file: Path) -> Decoded:
    """Read the first frame of a picture file, upright.

    Raises:
        Exception: Pillow cannot read it; its readers raise errors of many types.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        for category in (UserWarning, RuntimeWarning):  # what Pillow has to say of a file
            warnings.simplefilter("always", category)
        try:
            pixels, notes = _decode(file)
        except Exception:  # a reader's own error, of whatever type: the metadata may be to blame
            bare = without_metadata(file.read_bytes())
            if bare is None:
                raise
            pixels, notes = _decode(BytesIO(bare))
            notes.append("its metadata are damaged and were left out: it is not turned")
    return Decoded(pixels, tuple(dict.fromkeys([*notes, *(str(warning.message) for warning in caught)])))


def decode_picture(picture: Image.Image) -> Decoded:
    """Convert a picture of any mode to RGB, upright.

    Raises:
        ValueError: it holds no finite number, or Pillow cannot convert its mode.
    """
    notes: list[str] = []
    picture.load()
    return Decoded(_turned(to_rgb(picture, notes), _orientation(picture, notes)), tuple(notes))


def _decode(file: Path | BytesIO) -> tuple[NDArray[np.uint8], list[str]]:
    notes: list[str] = []
    with Image.open(file) as opened:
        wide = _swapped(opened) if isinstance(opened, ImageFile.ImageFile) else None
        opened.load()
        if wide is None:
            return _turned(to_rgb(opened, notes), _orientation(opened, notes)), notes
        if isinstance(file, BytesIO):
            file.seek(0)
        with Image.open(file) as lower:
            lower.tile = wide
            lower.load()
            pixels = _of_16_bits(np.asarray(opened), np.asarray(lower), opened.info.get("transparency"))
        return _turned(pixels, _orientation(opened, notes)), notes


def to_rgb(picture: Image.Image, notes: list[str]) -> NDArray[np.uint8]:
    """Convert a loaded picture of any mode to uint8 RGB (height, width, 3), without turning it.

    Integers of 16 and 32 bits and floats get the range that `value_range` reads off them. What is transparent shows white.
    """
    if picture.mode == "F" or picture.mode.startswith("I"):
        values = np.asarray(picture)
        unknown = np.count_nonzero(~finite(values))
        if unknown:
            notes.append(f"{unknown} of its {values.size} numbers are NaN or infinite; they show black, +infinity white")
        hidden = picture.info.get("transparency")
        shown = values != hidden if isinstance(hidden, (int, float)) else np.ones(values.shape, bool)
        grey = _numbers_on_white(values, shown)
        if getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # white is 0: Pillow heeds it in pictures of 8 bits alone
            grey = np.where(shown, 255 - grey, grey)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        overlay = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", overlay.size, "white"), overlay)
    return np.asarray(picture.convert("RGB"))


def on_white(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay colours (height, width, channels) on white by their opacity (height, width), 255 for opaque."""
    wide = alpha[..., None].astype(np.int32)
    return ((colours * wide + 255 * (255 - wide) + 127) // 255).astype(np.uint8)


def _swapped(opened: ImageFile.ImageFile) -> list[Any] | None:
    """Return what to read for the lower bytes of 16-bit colours, of which Pillow keeps the upper ones; None for others."""
    found = []
    for tile in opened.tile:
        more = tile.args[1:] if isinstance(tile.args, tuple) else ()
        mode = tile.args[0] if isinstance(tile.args, tuple) else tile.args
        if mode == "LA;16B":  # grey and opacity: their four bytes are read as four channels
            other = "RGBA"
        elif isinstance(mode, str) and mode[:-1] in ("RGB;16", "RGBA;16") and mode[-1] in _SWAPPED:
            other = mode[:-1] + _SWAPPED[mode[-1]]
        else:
            return None
        found.append(tile._replace(args=(other, *more) if isinstance(tile.args, tuple) else other))
    return found or None


def _of_16_bits(upper: NDArray[np.uint8], lower: NDArray[np.uint8], hidden: object) -> NDArray[np.uint8]:
    """Put 16-bit channels together and return them as RGB bytes.

    Args:
        upper, lower: (height, width, 3 or 4) bytes; of grey with opacity `lower` holds all four.
        hidden: the 16-bit colour that counts as transparent, if any.
    """
    if upper.shape[2] == 4 and np.array_equal(lower[..., 0], upper[..., 0]) and np.array_equal(lower[..., 2], upper[..., 3]):
        values = lower[..., ::2] * np.uint16(256) + lower[..., 1::2]
        values = values[..., [0, 0, 0, 1]]
    else:
        values = upper * np.uint16(256) + lower
    if values.shape[2] == 4:
        pixels = _numbers_on_white(values[..., :3], values[..., 3] > 0)
        return on_white(pixels, as_bytes(values[..., 3], 0, 65535))
    keyed = isinstance(hidden, tuple) and len(hidden) == 3
    shown = (values != np.array(hidden)).any(axis=2) if keyed else np.ones(values.shape[:2], bool)
    return _numbers_on_white(values, shown)


def _numbers_on_white(values: NDArray[Any], shown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return numbers as bytes by the range of those that are shown, (height, width); the others are white."""
    if not shown.any():
        return np.full(values.shape, 255, np.uint8)
    everything = bool(shown.all())
    least, most = extremes(values if everything else values[shown])
    pixels = as_bytes(values, *value_range(least, most, exact=values.dtype.kind != "f"))
    if not everything:
        pixels[~shown] = 255
    return pixels


def _orientation(picture: Image.Image, notes: list[str]) -> int:
    """Return the EXIF orientation of a loaded picture, 1 (upright) where it cannot be read.

    TIFF pictures have been turned by Pillow as they were loaded, and then have none.
    """
    try:
        value: Any = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return int(value[0] if isinstance(value, (bytes, tuple)) else value)
    except Exception as error:  # whatever a damaged directory makes of Pillow's parser
        notes.append(f"its EXIF is damaged ({type(error).__name__}: {error}); it is not turned")
        return 1


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    turn = _TURNS.get(orientation)
    return pixels if turn is None else np.asarray(Image.fromarray(pixels).transpose(turn))


def without_metadata(data: bytes) -> bytes | None:
    """Return a JPEG file without the segments that hold EXIF, XMP and profiles; None if it is no JPEG or has none."""
    if data[:2] != b"\xff\xd8":
        return None
    kept, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] not in (0xDA, 0xFF):
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place + 1] not in (0xE1, 0xE2):
            kept.append(data[place:end])
        place = end
    bare = b"".join([*kept, data[place:]])
    return bare if len(bare) < len(data) else None
