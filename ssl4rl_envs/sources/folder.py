"""A folder of pictures as a source."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ssl4rl_envs.sources.arrays import SMALLEST
from ssl4rl_envs.sources.decoding import decode_file
from ssl4rl_envs.sources.duplicates import Look, groups_of_copies, look_of
from ssl4rl_envs.sources.images import ImageSource, content_key
from ssl4rl_envs.sources.intensity import Range, Spread, shared_ranges
from ssl4rl_envs.sources.listing import list_pictures
from ssl4rl_envs.sources.notices import listed, warn

SHORT_SIDE = 256
"""Pictures are kept at most this large on their shorter side, in pixels."""

_WITHOUT_DEDUP = "?dedup=false"


class Reading(NamedTuple):
    """A picture that was read.

    Attributes:
        pixels: uint8 RGB (height, width, 3), upright, reduced to `SHORT_SIDE`.
        key: the content digest of the full-size pixels.
        size: how many pixels the file has.
        notes: what a user should know of how it was read.
        spread: how its numbers lie, where they are more than bytes.
    """

    pixels: NDArray[np.uint8]
    key: bytes
    size: int
    notes: tuple[str, ...]
    spread: Spread | None


class FolderSource(ImageSource):
    """Every picture of a folder and its subfolders, at any depth; links are followed.

    Pictures are turned upright by their EXIF tag, converted to RGB (transparency is laid on white; of more than 8 bits, see
    `intensity`; of animations the first frame) and reduced to `SHORT_SIDE` on the shorter side: about 0.5 MB of
    memory each. Files whose name does not end like a picture's are not looked at.

    Near-duplicates (a picture in another format, size, quality or brightness, or in grey: `duplicates` says what counts) are
    kept, and fall into one split as equal pictures do. They also count as one photograph. A group goes where its picture of
    most pixels would go alone (of equally large ones, that of the smallest digest). So pictures of other things move nothing;
    a further copy may move its group as a whole, and one that resembles two groups joins them.

    Args:
        path: the folder.
        dedup: whether near-duplicates are looked for; without, only pictures of equal pixels are kept together.

    Attributes:
        files: the picture files, in the order of the items.
        skipped: what could not be read, file by file, with the reason; a warning names them too.
        noted: what was read though something is wrong with it, likewise.
        groups: the items that are near-duplicates of or equal to each other, (2 or more,) each.
        grouped: how many items are in a group that holds unequal pictures; a warning says so too.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        ValueError: it holds no readable picture.
    """

    def __init__(self, path: str | Path, *, dedup: bool = True) -> None:
        root = Path(path).expanduser()
        if not root.exists():
            raise FileNotFoundError(f"the image folder {root} does not exist")
        if not root.is_dir():
            raise NotADirectoryError(f"{root} is a file; name the folder that holds the pictures")
        candidates, self.skipped = list_pictures(root)
        if not candidates and not self.skipped:
            raise ValueError(f"the image folder {root} holds no picture; looked for names ending in .png, .jpg, .webp, ...")
        count = len(candidates) + len(self.skipped)
        self.files: list[Path] = []
        self.noted: dict[Path, str] = {}
        readings, looks = [], []
        for file in candidates:
            try:
                reading = read_picture(file)
            except Exception as error:  # Pillow's readers raise errors of many types; none ends the folder
                self.skipped[file] = _reason(file, error)
                continue
            self.files.append(file)
            readings.append(reading)
            if dedup:
                looks.append(look_of(reading.pixels))
        if self.skipped:
            warn(f"{len(self.skipped)} of {count} pictures in {root} could not be read:\n{listed(self.skipped)}")
        if not readings:
            raise ValueError(f"the image folder {root} holds {count} pictures and none could be read")
        keys = self._group(readings, looks)  # by how each is read alone, so that others never move it
        readings = self._in_shared_ranges(readings)
        self._tell(root)
        super().__init__([reading.pixels for reading in readings], name=f"folder:{root}", keys=keys)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}; {self.grouped} grouped as near-duplicates>"

    def _tell(self, root: Path) -> None:
        """Warn of what was read with a reservation, and of near-duplicates."""
        count = len(self.files)
        if self.noted:
            warn(f"{len(self.noted)} of {count} pictures in {root} were read with a reservation:\n{listed(self.noted)}")
        if self.grouped:
            largest = max(map(len, self.groups))
            warn(
                f"{self.grouped} of {count} pictures in {root} are near-duplicates of others and were grouped: they "
                f"stay in one split and count as one photograph ({len(self.groups)} groups, the largest of {largest}); "
                f"dedup=False, or folder:PATH{_WITHOUT_DEDUP}, groups equal pictures alone"
            )

    def _in_shared_ranges(self, readings: list[Reading]) -> list[Reading]:
        """Read pictures again whose numbers are stretched otherwise beside the others of the folder than alone; note all."""
        ranges = shared_ranges([reading.spread for reading in readings])
        for number, (file, reading, shared) in enumerate(zip(self.files, readings, ranges, strict=True)):
            if reading.spread is not None and shared != reading.spread.own_range:
                readings[number] = read_picture(file, shared)
            if readings[number].notes:
                self.noted[file] = "; ".join(readings[number].notes)
        return readings

    def _group(self, readings: list[Reading], looks: list[Look]) -> list[bytes]:
        """Find the copies, and return the content digest that decides each picture's split."""
        keys = [reading.key for reading in readings]
        self.groups: list[NDArray[np.int64]] = groups_of_copies(looks, keys)
        self.grouped = 0
        decisive = list(keys)
        for group in self.groups:
            if len({keys[item] for item in group}) > 1:
                self.grouped += len(group)
            leader = min(group, key=lambda item: (-readings[item].size, keys[item]))
            for item in group:
                decisive[item] = keys[leader]
        return decisive


def read_picture(file: Path, shared: Range | None = None) -> Reading:
    """Read one picture upright, as RGB, reduced to `SHORT_SIDE`; `shared` as for `decode_file`.

    Raises:
        Exception: Pillow cannot read it, for which its readers raise errors of many types.
        ValueError: it is smaller than 4 pixels, or holds no finite number.
    """
    pixels, notes, spread = decode_file(file, shared)
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST:
        raise ValueError(f"only {width} x {height} pixels; at least {SMALLEST} x {SMALLEST} are needed")
    key = content_key(pixels)
    if min(height, width) > SHORT_SIDE:
        share = SHORT_SIDE / min(height, width)
        size = (round(width * share), round(height * share))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
    return Reading(pixels, key, height * width, notes, spread)


def _reason(file: Path, error: Exception) -> str:
    if file.exists() and not file.stat().st_size:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture that Pillow can read"
    return str(error) or type(error).__name__


def folder(path: str | Path, *, dedup: bool = True) -> FolderSource:
    """Return the source of a folder; an unchanged folder is read once a process.

    Args:
        path: the folder; "?dedup=false" at its end is the same as `dedup=False`.
        dedup: see `FolderSource`.
    """
    text = str(path)
    if text.lower().endswith(_WITHOUT_DEDUP) and not Path(path).expanduser().exists():
        path, dedup = text[: -len(_WITHOUT_DEDUP)], False
    root = Path(path).expanduser()
    if not root.is_dir():
        return FolderSource(root)
    files = list_pictures(root)[0]
    return _read_once(root.resolve(), dedup, tuple((str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in files))


@lru_cache(maxsize=4)
def _read_once(root: Path, dedup: bool, _listing: tuple[tuple[str, int, int], ...]) -> FolderSource:
    """Read a folder again only where the listing, which is a part of the cache's key, is another."""
    return FolderSource(root, dedup=dedup)
