"""From a collection of picture files to one entry that views are drawn from: decoded once, in several processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import kernels
from ssl4rl_envs.sources.collection import Collection, digest_of
from ssl4rl_envs.sources.duplicates import Look, Looks, groups_of_copies, look_of
from ssl4rl_envs.sources.entry import FORMAT, Writer
from ssl4rl_envs.sources.index import as_words, index_of
from ssl4rl_envs.sources.intensity import Range, Spread, shared_ranges
from ssl4rl_envs.sources.notices import listed, warn
from ssl4rl_envs.sources.options import Settings
from ssl4rl_envs.sources.reading import Reading, digest, read_picture, reason_of
from ssl4rl_envs.sources.stored import reduced, without_colour
from ssl4rl_envs.sources.workers import in_chunks

MIN_ZOOM = 0.6


class Kept(NamedTuple):
    """What is kept of a picture.

    Attributes:
        number: of the member.
        data: its bytes and those of its reductions.
        shape: height, width, channels.
        shown: the content digest of the picture as it is drawn from.
        key: the content digest of the full-size pixels.
        size: how many pixels the file has.
        notes: what a user should know of how it was read.
        spread: how its numbers lie, where they are more than bytes.
        look: by what copies are found, if they are looked for.
    """

    number: int
    data: bytes
    shape: tuple[int, int, int]
    shown: bytes
    key: bytes
    size: int
    notes: tuple[str, ...]
    spread: Spread | None
    look: Look | None


class Chunk(NamedTuple):
    """What became of some members: what is kept of those that could be read, reasons of the others, digests of all files."""

    kept: list[Kept]
    failed: dict[int, str]
    digests: bytes


@dataclass(frozen=True)
class Decode:
    """Decodes members of a collection; it travels to other processes.

    Args:
        collection: whose members they are.
        settings: how they are kept.
        chosen: members to decode, with the range of numbers of each; by default all, each by its own.
    """

    collection: Collection
    settings: Settings
    chosen: Sequence[tuple[int, Range | None]] = ()

    def __call__(self, chunk: range) -> Chunk:
        """Decode members, or of those `chosen` the ones at these places."""
        result = Chunk([], {}, b"")
        digests = []
        for number, shared in self.chosen[chunk.start : chunk.stop] or ((number, None) for number in chunk):
            data = None
            try:
                data = self.collection.read(number)
                result.kept.append(self._kept(number, read_picture(data, self.settings, shared), shared))
            except Exception as error:  # Pillow's readers raise errors of many types; none ends the collection
                result.failed[number] = reason_of(data, error)
            digests.append(digest(data or b""))
        return result._replace(digests=b"".join(digests))

    def _kept(self, number: int, reading: Reading, shared: Range | None) -> Kept:
        picture = without_colour(reading.pixels)
        # One that has to be stretched is decoded again, when the range that it shares with others is known.
        waits = reading.spread is not None and reading.spread.stretched and shared is None
        look = look_of(reading.pixels) if self.settings.dedup and shared is None else None
        data = b"" if waits else reduced(picture).tobytes()
        height, width, channels = picture.shape
        shape = (height, width, channels)
        return Kept(number, data, shape, reading.shown, reading.key, reading.size, reading.notes, reading.spread, look)


@dataclass(frozen=True)
class Digests:
    """Reads the members of a collection and returns the digests of their bytes; it travels to other processes."""

    collection: Collection

    def __call__(self, chunk: range) -> bytes:
        """Return the digests of members, one behind the other."""
        return b"".join(digest(_bytes_of(self.collection, number)) for number in chunk)


def _bytes_of(collection: Collection, number: int) -> bytes:
    try:
        return collection.read(number)
    except Exception:  # as for `Decode`, where the reason is told
        return b""


def content_of(collection: Collection, settings: Settings) -> str:
    """Return the digest by which an entry is known: of the names and bytes of all members, and of the settings."""
    names, left_out = collection.members()
    digests = b"".join(in_chunks(Digests(collection), len(names), f"comparing {collection.what}"))
    return _content(collection, settings, names, left_out, digests)


def _content(collection: Collection, settings: Settings, names: list[str], left_out: dict[str, str], digests: bytes) -> str:
    return digest_of("content", FORMAT, collection.kind, settings, names, sorted(left_out.items()), digests)


@dataclass
class _Growing:
    """What has been taken in so far: the columns of the tables, a row a picture in the order of the members."""

    numbers: list[int] = field(default_factory=list)
    rows: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    shown: list[bytes] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    notes: dict[int, tuple[str, ...]] = field(default_factory=dict)
    spreads: dict[int, Spread] = field(default_factory=dict)
    bits: list[NDArray[np.uint64]] = field(default_factory=list)
    colours: list[NDArray[np.uint8]] = field(default_factory=list)
    aspects: list[float] = field(default_factory=list)

    def add(self, kept: Kept, start: int) -> None:
        self.numbers.append(kept.number)
        self.rows.append((start, *kept.shape, 0))
        self.shown.append(kept.shown)
        self.keys.append(kept.key)
        self.sizes.append(kept.size)
        if kept.notes:
            self.notes[len(self.numbers) - 1] = kept.notes
        if kept.spread is not None:
            self.spreads[len(self.numbers) - 1] = kept.spread
        if kept.look is not None:
            self.bits.append(kept.look.bits)
            self.colours.append(kept.look.colours)
            self.aspects.append(kept.look.aspect)

    def put_again(self, place: int, kept: Kept, start: int) -> None:
        """Take in the same picture in another range of numbers."""
        self.rows[place] = (start, *kept.shape, 0)
        self.shown[place] = kept.shown
        self.notes[place] = kept.notes
        if not kept.notes:
            del self.notes[place]

    def looks(self) -> Looks | tuple[()]:
        if not self.bits:
            return ()
        return Looks(np.stack(self.bits), np.stack(self.colours), np.array(self.aspects))


def build(collection: Collection, settings: Settings, file: BinaryIO) -> str:
    """Decode a collection into an entry.

    Args:
        collection: the pictures.
        settings: how they are kept.
        file: empty, where the entry is written.

    Returns:
        The digest by which the entry is known; see `content_of`.

    Raises:
        ValueError: there is no picture, or none can be read.
        OSError: the file cannot be written.
    """
    names, left_out = collection.members()
    kernels.area("reductions")  # compiled here, if at all, and not by every process that decodes
    writer, growing, digests = Writer(file), _Growing(), []
    failed: dict[str, str] = {}
    for chunk in in_chunks(Decode(collection, settings), len(names), f"decoding {collection.what}"):
        for kept in chunk.kept:
            growing.add(kept, writer.pixels(kept.data))
        failed |= {names[number]: reason for number, reason in chunk.failed.items()}
        digests.append(chunk.digests)
    skipped = {**left_out, **failed}
    if not growing.numbers:
        _refuse(collection, len(names) + len(left_out), skipped)
    _in_shared_ranges(collection, settings, growing, writer)
    noted = {names[growing.numbers[place]]: "; ".join(notes) for place, notes in sorted(growing.notes.items())}
    tables, facts = _worked_out(growing)
    tables["names"] = _text("\0".join(names[number] for number in growing.numbers))
    tables["remarks"] = _text(json.dumps({"skipped": skipped, "noted": noted}))
    content = _content(collection, settings, names, left_out, b"".join(digests))
    facts |= {"name": collection.name, "skipped": len(skipped), "noted": len(noted), "content": content}
    writer.finish(tables, facts)
    return content


def _refuse(collection: Collection, count: int, skipped: dict[str, str]) -> None:
    if not count:
        raise ValueError(f"{collection.what} holds no picture")
    where = collection.where()
    reasons = {str(where(name)): reason for name, reason in skipped.items()}
    warn(f"{len(skipped)} of {count} pictures in {collection.what} could not be read:\n{listed(reasons)}")
    raise ValueError(f"{collection.what} holds {count} pictures and none could be read")


def _in_shared_ranges(collection: Collection, settings: Settings, growing: _Growing, writer: Writer) -> None:
    """Take in the pictures that have to be stretched, each in the range that it shares with others of the collection."""
    places = [place for place, spread in growing.spreads.items() if spread.stretched]
    ranges = shared_ranges([growing.spreads[place] for place in growing.spreads])
    shared = dict(zip(growing.spreads, ranges, strict=True))
    again = Decode(collection, settings, [(growing.numbers[place], shared[place]) for place in places])
    done = 0
    for chunk in in_chunks(again, len(places), f"stretching {collection.what}") if places else ():
        if chunk.failed:
            number, reason = next(iter(chunk.failed.items()))
            raise ValueError(f"{collection.what}: picture {number} changed while it was read: {reason}")
        for kept in chunk.kept:
            growing.put_again(places[done], kept, writer.pixels(kept.data))
            done += 1


def _worked_out(growing: _Growing) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the tables of an entry, and what is said of it, from what was taken in."""
    keys = _digests(growing.keys)
    groups = groups_of_copies(growing.looks(), growing.keys)
    decisive, grouped = _decisive(keys, groups, np.array(growing.sizes))
    photographs = np.unique(as_words(decisive), return_inverse=True)[1].astype(np.int64)
    index = index_of(np.ascontiguousarray(decisive[:, :8]).view(">u8")[:, 0].astype(np.uint64), photographs)
    table = np.array(growing.rows, np.int64)
    shown = _digests(growing.shown)
    tables: dict[str, NDArray[Any]] = {
        "table": table,
        "photographs": index.photographs,
        "keys": keys,
        "shown": shown,
        "grouped": np.concatenate(groups) if groups else np.zeros(0, np.int64),
        "group_sizes": np.array([len(group) for group in groups], np.int64),
        **{f"items {number}": items for number, items in enumerate(index.items)},
    }
    facts: dict[str, Any] = {
        "items": len(table),
        "variety": list(index.variety),
        "min_zoom": MIN_ZOOM,
        "fingerprint": index.fingerprint(MIN_ZOOM, shown),
        "smallest": int(table[:, 1:3].min()),
        "grey": bool((table[:, 3] == 1).all()),
        "grouped": grouped,
        "largest_group": max(map(len, groups), default=0),
    }
    return tables, facts


def _decisive(
    keys: NDArray[np.uint8], groups: list[NDArray[np.int64]], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], int]:
    """Return the content digests that decide each picture's split, and how many pictures have an unequal near-duplicate."""
    words, decisive, grouped = as_words(keys), keys.copy(), 0
    for group in groups:
        if len(np.unique(words[group])) > 1:
            grouped += len(group)
        leader = min(group.tolist(), key=lambda item: (-sizes[item], keys[item].tobytes()))
        decisive[group] = keys[leader]
    return decisive, grouped


def _digests(keys: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)


def _text(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8)
