"""Sources over collections of picture files: decoded once, kept on the disk, mapped into memory."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from functools import cached_property
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.sources.cache import PLACE, Cache, cache
from ssl4rl_envs.sources.collection import Collection
from ssl4rl_envs.sources.entry import PIXELS, Entry
from ssl4rl_envs.sources.images import ImageSource
from ssl4rl_envs.sources.index import Index
from ssl4rl_envs.sources.notices import listed, warn
from ssl4rl_envs.sources.options import Settings
from ssl4rl_envs.sources.stored import Stored
from ssl4rl_envs.stream import SPLITS

_RECENT = 4
_recent: dict[tuple[str, str], Any] = {}

Source = TypeVar("Source", bound=ImageSource)


class CollectedSource(ImageSource):
    """Pictures of a collection of files, decoded once and kept in the cache (see `cache`), where processes share them.

    Pictures are turned upright by their EXIF tag, converted to RGB (transparency is laid on white; of more than 8 bits, see
    `intensity`; of animations the first frame) and reduced to `options.SHORT_SIDE` on the shorter side, or to another. They
    take four bytes a pixel with their reductions, and a third of that where they are grey.

    Near-duplicates (a picture in another format, size, quality or brightness, or in grey: `duplicates` says what counts) are
    kept, and fall into one split as equal pictures do. They also count as one photograph. A group goes where its picture of
    most pixels would go alone (of equally large ones, that of the smallest digest). So pictures of other things move nothing;
    a further copy may move its group as a whole, and one that resembles two groups joins them.

    Args:
        collection: the pictures.
        settings: how they are kept.
        origin: the name by which `load_images` gives the same source again; "" where there is none.

    Attributes:
        entry: what the pictures are drawn from, in the cache or in memory.
        grouped: how many items are in a group that holds unequal pictures; a warning says so too.

    Raises:
        ValueError: it holds no readable picture.
    """

    def __init__(self, collection: Collection, settings: Settings, origin: str = "") -> None:
        self._where = collection.where()
        self._take(obtain(collection, settings), collection.name)
        self.origin = origin
        self._tell(collection.what)

    def _take(self, entry: Entry, name: str) -> None:
        arrays, facts = entry.arrays, entry.facts
        self.entry = entry
        self._hold(Stored(arrays[PIXELS], arrays["table"]), name, facts["min_zoom"])
        items = tuple(arrays[f"items {number}"] for number in range(len(SPLITS)))
        self._split(Index(items, arrays["photographs"], tuple(facts["variety"])))
        self.fingerprint = facts["fingerprint"]
        self.grouped: int = facts["grouped"]

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}; {self.grouped} grouped as near-duplicates>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.origin:
            return super().__reduce_ex__(protocol)
        return _reopened, (self.entry.facts["content"], self.name)

    @cached_property
    def files(self) -> list[Any]:
        """The picture files or members, in the order of the items."""
        return [self._where(name) for name in _text_of(self.entry.arrays["names"]).split("\0")]

    @property
    def skipped(self) -> dict[Any, str]:
        """What could not be read, one by one, with the reason; a warning names them too."""
        return self._remarks["skipped"]

    @property
    def noted(self) -> dict[Any, str]:
        """What was read though something is wrong with it, likewise."""
        return self._remarks["noted"]

    @cached_property
    def groups(self) -> list[NDArray[np.int64]]:
        """The items that are near-duplicates of or equal to each other, (2 or more,) each."""
        members, sizes = self.entry.arrays["grouped"], self.entry.arrays["group_sizes"]
        return np.split(members, np.cumsum(sizes)[:-1]) if len(sizes) else []

    @cached_property
    def _remarks(self) -> dict[str, dict[Any, str]]:
        told = json.loads(_text_of(self.entry.arrays["remarks"]))
        return {kind: {self._where(name): reason for name, reason in reasons.items()} for kind, reasons in told.items()}

    def _tell(self, what: str) -> None:
        """Warn of what was left out or read with a reservation, and of near-duplicates."""
        count, facts = len(self), self.entry.facts
        if facts["skipped"]:
            whole = count + len(self.skipped)
            warn(f"{len(self.skipped)} of {whole} pictures in {what} could not be read:\n{listed(self.skipped)}")
        if facts["noted"]:
            warn(f"{len(self.noted)} of {count} pictures in {what} were read with a reservation:\n{listed(self.noted)}")
        if self.grouped:
            warn(
                f"{self.grouped} of {count} pictures in {what} are near-duplicates of others and were grouped: they "
                f"stay in one split and count as one photograph ({len(self.entry.arrays['group_sizes'])} groups, the "
                f"largest of {facts['largest_group']}); dedup=False, or ?dedup=false behind the name, groups equal pictures "
                "alone"
            )


def obtain(collection: Collection, settings: Settings) -> Entry:
    """Return the entry of a collection: from the cache, or decoded now and put there.

    Where nothing can be written there, the pictures are decoded into the memory of this process, with a warning.
    """
    quick = collection.quick_key(settings)
    kept = cache()
    if kept is None:
        return _in_memory(collection, settings)
    found = kept.find(quick)
    if found is not None:
        return found
    shape = collection.shape_key(settings)
    try:
        kept.prepare()
        with kept.alone(shape, collection.what):
            found = kept.find(quick)  # another process may have been faster
            return found or _compared(kept, collection, settings, shape) or _built(kept, collection, settings, shape)
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(kept.root)):
            raise  # the pictures cannot be read
        warn(
            f"pictures of {collection.what} cannot be kept in {kept.root} ({error}): they are held in memory, and decoded "
            f"again by every process; {PLACE} names another folder, and `ssl4rl cache` says what takes room there"
        )
        return _in_memory(collection, settings)


def _compared(kept: Cache, collection: Collection, settings: Settings, shape: str) -> Entry | None:
    """Return the entry that files of the same names and sizes led to, if their bytes are the same: touched, or copied."""
    from ssl4rl_envs.sources.building import content_of

    content = kept.leads_to(shape)
    entry = None if content is None else kept.open(content)
    if content is None or entry is None or content_of(collection, settings) != content:
        return None
    _note(kept, collection, settings, content)
    return entry


def _built(kept: Cache, collection: Collection, settings: Settings, shape: str) -> Entry:
    from ssl4rl_envs.sources.building import build

    kept.sweep()
    with kept.aside() as (file, path):
        content = build(collection, settings, file)
        entry = kept.keep(file, path, content)
    kept.note(shape, content)
    _note(kept, collection, settings, content)
    kept.sweep()
    return entry


def _note(kept: Cache, collection: Collection, settings: Settings, content: str) -> None:
    """Keep in mind where these files led to, if a later change to one must show in its times."""
    if collection.settled():
        kept.note(collection.quick_key(settings), content)


def _in_memory(collection: Collection, settings: Settings) -> Entry:
    from ssl4rl_envs.sources.building import build

    with _nameless() as file:
        build(collection, settings, file)
        return Entry(file.fileno(), None)


def _nameless() -> BinaryIO:
    """Return a file in memory, or where there is no such thing one that nobody else sees."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("ssl4rl"), "w+b")
    return tempfile.TemporaryFile()


def _reopened(content: str, name: str) -> CollectedSource:
    """Return the source of an entry, for pickles of sources that no name loads."""
    kept = cache()
    entry = None if kept is None else kept.open(content)
    if entry is None:
        raise FileNotFoundError(
            f"the pickled source {name!r} was kept as {content} in the cache of pictures, and is not there any more; make it "
            "again from what it was made of"
        )
    source = CollectedSource.__new__(CollectedSource)
    source._where, source.origin = str, ""
    source._take(entry, name)
    return source


def recent(collection: Collection, settings: Settings, make: Callable[[], Source]) -> Source:
    """Return the source that was made of the same files, if it is one of the last ones, or else what `make` returns."""
    key = (collection.name, collection.quick_key(settings))
    source = _recent.pop(key, None) or make()
    _recent[key] = source
    while len(_recent) > _RECENT:
        del _recent[next(iter(_recent))]
    return source


def _text_of(data: NDArray[np.uint8]) -> str:
    return data.tobytes().decode("utf-8", "surrogateescape")
