"""From picture files and Pillow's pictures of any mode to upright RGB bytes.

Pillow decodes; what it does not do by itself is here: numbers of more than 8 bits keep their contrast (`intensity`), the
lower bytes of 16-bit colours are read too, transparency is laid on white, and damaged metadata cost the turn alone.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile

from ssl4rl_envs.sources.intensity import Range, Spread, as_bytes, finite, remarks, spread_of

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
_GDAL_NODATA = 42113
_SINGLE = {"JPEG", "PSD"}  # the frames of the latter are layers, and are shown together
_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


class Decoded(NamedTuple):
    """A picture that was read.

    Attributes:
        pixels: uint8 RGB (height, width, 3).
        notes: what a user should know of how it was read.
        spread: how its numbers lie, where they are more than bytes.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]
    spread: Spread | None


@dataclass
class Account:
    """What is told to and by those who read one picture.

    Args:
        shared: the range that its numbers have in common with others; by default they have their own.
        notes, spread: see `Decoded`.
    """

    shared: Range | None = None
    notes: list[str] = field(default_factory=list)
    spread: Spread | None = None

    def decoded(self, pixels: NDArray[np.uint8], *more: str) -> Decoded:
        """Return what was read; what was noted twice is told once."""
        return Decoded(pixels, tuple(dict.fromkeys([*self.notes, *more])), self.spread)


def decode(data: bytes, shared: Range | None = None) -> Decoded:
    """Read the first frame of a picture file, upright.

    Args:
        data: what the file holds.
        shared: which numbers are black and white, in pictures of more than 8 bits; by default its own numbers say so.

    Raises:
        Exception: Pillow cannot read it; its readers raise errors of many types.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        for category in (UserWarning, RuntimeWarning):  # what Pillow has to say of a file
            warnings.simplefilter("always", category)
        account = Account(shared)
        try:
            pixels = _decode(data, account, frames=True)
        except Exception:  # a reader's own error, of whatever type: the metadata may be to blame
            bare = without_metadata(data)
            if bare is None:
                raise
            account = Account(shared)
            pixels = _decode(bare, account, frames=False)
            account.notes.append("its metadata are damaged and were left out: it is not turned")
    return account.decoded(pixels, *(str(warning.message) for warning in caught))


def decode_picture(picture: Image.Image, shared: Range | None = None) -> Decoded:
    """Convert a picture of any mode to RGB, upright; `shared` as for `decode`.

    Raises:
        ValueError: it holds no finite number, or Pillow cannot convert its mode.
    """
    account = Account(shared)
    picture.load()
    return account.decoded(_turned(to_rgb(picture, account), _orientation(picture, account.notes)))


def _decode(data: bytes, account: Account, *, frames: bool) -> NDArray[np.uint8]:
    """Return the pixels of a picture; `frames` says whether to note that the file holds more than one."""
    with Image.open(BytesIO(data)) as opened:
        wide = _swapped(opened) if isinstance(opened, ImageFile.ImageFile) else None
        opened.load()
        if wide is None:
            pixels = _turned(to_rgb(opened, account), _orientation(opened, account.notes))
            account.notes += [*(_frames_left_out(data, opened.format) if frames else []), *_profile_left_out(opened)]
            return pixels
        with Image.open(BytesIO(data)) as lower:
            lower.tile = wide
            lower.load()
            pixels = _of_16_bits(np.asarray(opened), np.asarray(lower), opened.info.get("transparency"), account)
        account.notes += _profile_left_out(opened)
        return _turned(pixels, _orientation(opened, account.notes))


def to_rgb(picture: Image.Image, account: Account) -> NDArray[np.uint8]:
    """Convert a loaded picture of any mode to uint8 RGB (height, width, 3), without turning it.

    Integers of 16 and 32 bits and floats get the range that `intensity` reads off them, or the shared one. What is
    transparent shows white.
    """
    if picture.mode == "F" or picture.mode.startswith("I"):
        values = np.asarray(picture)
        unknown = np.count_nonzero(~finite(values))
        if unknown:
            account.notes.append(
                f"{unknown} of its {values.size} numbers are NaN or infinite; they show black, +infinity white"
            )
        hidden, declared = picture.info.get("transparency"), _declared_missing(picture)
        shown = values != (hidden if isinstance(hidden, int) else declared)
        if not shown.all() and hidden is None:
            account.notes.append(
                f"{np.count_nonzero(~shown)} of its numbers are {declared}, its mark of missing ones; they show white"
            )
        grey = _numbers_on_white(values, shown, account)
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


def _of_16_bits(upper: NDArray[np.uint8], lower: NDArray[np.uint8], hidden: object, account: Account) -> NDArray[np.uint8]:
    """Put 16-bit channels together and return them as RGB bytes.

    Args:
        upper, lower: (height, width, 3 or 4) bytes; of grey with opacity `lower` holds all four.
        hidden: the 16-bit colour that counts as transparent, if any.
        account: see `Account`.
    """
    if upper.shape[2] == 4 and np.array_equal(lower[..., 0], upper[..., 0]) and np.array_equal(lower[..., 2], upper[..., 3]):
        values = lower[..., ::2] * np.uint16(256) + lower[..., 1::2]
        values = values[..., [0, 0, 0, 1]]
    else:
        values = upper * np.uint16(256) + lower
    if values.shape[2] == 4:
        pixels = _numbers_on_white(values[..., :3], values[..., 3] > 0, account)
        return on_white(pixels, as_bytes(values[..., 3], 0, 65535))
    keyed = isinstance(hidden, tuple) and len(hidden) == 3
    shown = (values != np.array(hidden)).any(axis=2) if keyed else np.ones(values.shape[:2], bool)
    return _numbers_on_white(values, shown, account)


def _numbers_on_white(values: NDArray[Any], shown: NDArray[np.bool_], account: Account) -> NDArray[np.uint8]:
    """Return numbers as bytes by the range of those that are shown, (height, width); the others are white."""
    if not shown.any():
        return np.full(values.shape, 255, np.uint8)
    everything = bool(shown.all())
    spread = spread_of(values if everything else values[shown])
    black, white = account.shared or spread.own_range
    account.spread = spread
    account.notes += remarks(spread, (black, white))
    pixels = as_bytes(values, black, white)
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


def _declared_missing(picture: Image.Image) -> float | None:
    """Return the number that a TIFF file declares to mean nothing, as GDAL does; None where it declares none."""
    try:
        return float(getattr(picture, "tag_v2", {})[_GDAL_NODATA].strip("\0 "))
    except (KeyError, ValueError, AttributeError):  # or something that is no number
        return None


def _frames_left_out(data: bytes, kind: str | None) -> list[str]:
    """Return a note if a file holds more than the one picture that is shown."""
    if kind in _SINGLE:
        return []
    try:
        with Image.open(BytesIO(data)) as again:
            frames = getattr(again, "n_frames", 1)
    except Exception as error:  # a frame that is not shown is damaged
        return [f"its further frames are damaged ({type(error).__name__}: {error}); the first is shown"]
    return [f"it holds {frames} frames or pages; the first is shown"] if frames > 1 else []


def _profile_left_out(picture: Image.Image) -> list[str]:
    """Return a note if the colours of a picture are meant for another space than sRGB."""
    profile = picture.info.get("icc_profile")
    if not profile:
        return []
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile))).strip()
    except Exception:  # damaged, or a Pillow that was built without it
        name = "which cannot be read"
    return [] if "srgb" in name.lower() else [f"its colour profile, {name}, is not applied"]


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
