"""``ssl4rl cache``: the decoded pictures that are kept on the disk."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional

from ssl4rl_benchmarks import screen
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome
from ssl4rl_envs.sources import load_images
from ssl4rl_envs.sources.cache import PLACE, SIZE, Cache, Kept, limit, place
from ssl4rl_envs.sources.collected import CollectedSource
from ssl4rl_envs.sources.entry import DamagedError, Entry
from ssl4rl_envs.telling import waiting

_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True)
class CacheFlags:
    """List what is kept, or build, check or delete it."""

    names: Annotated[tuple[str, ...], Positional, flags.positional("[NAME ...]")] = ()
    """With --clear or --check: of which sources or entries, as the list writes them; by default of all."""
    build: str = ""
    """Take in a source, e.g. folder:/data/pictures, so that whoever asks for it later finds it decoded."""
    clear: bool = False
    """Delete entries; those that a process uses stay."""
    check: bool = False
    """Read entries as a whole, and compare them with their checksums."""
    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> Outcome:
    """Do what a call says; the status is 1 where something is damaged, or in use and cannot be deleted.

    Raises:
        ValueError: it says several things at once, or names what is not kept.
    """
    text = f"Decoded pictures are kept in {PLACE}, by default ~/.cache/ssl4rl, up to {SIZE}."
    given = flags.parse(CacheFlags, arguments, "ssl4rl cache", text).command
    if (given.clear + given.check + bool(given.build)) > 1:
        raise ValueError("give one of --build, --clear and --check")
    kept = Cache(place())
    if given.names and not (given.clear or given.check):
        raise ValueError(f"what is to be done with {' '.join(given.names)}? --build SOURCE, --check NAME or --clear NAME")
    if given.build:
        return _built(given.build, given.json)
    chosen = _chosen(kept, given.names)
    if given.clear:
        return _cleared(kept, chosen, given.json)
    if given.check:
        return _checked(kept, chosen, given.json)
    rows = [_row(each) for each in chosen]
    if not given.json:
        print(table(chosen))
        print(f"{_size(sum(each.size for each in chosen))} of at most {_size(limit(kept.root))} in {kept.root}")
    return Outcome(0, rows, given.json)


def table(kept: list[Kept]) -> str:
    """Return entries as the lines of a table, the last used first."""
    lines = []
    for each in kept:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.used))
        lines.append((each.name or "damaged", f"{each.items:,}", _size(each.size), used, each.key))
    return screen.table(("source", "pictures", "size", "last used", "entry"), lines)


def _built(name: str, json: bool) -> Outcome:
    source = load_images(name)
    if not isinstance(source, CollectedSource):
        raise ValueError(f"{name} is no source of files: it needs no cache")
    entry = source.entry
    row: dict[str, Any] = {
        "source": source.name,
        "pictures": len(source),
        "bytes": entry.size,
        "kept": entry.path is not None,
    }
    if not json:
        where = Path("memory alone; nothing is kept") if entry.path is None else entry.path
        print(f"{source.name}: {len(source):,} pictures, {_size(entry.size)}, in {where}")
    return Outcome(int(entry.path is None), [row], json)


def _chosen(kept: Cache, names: tuple[str, ...]) -> list[Kept]:
    entries = kept.listed()
    unknown = [name for name in names if name not in {word for each in entries for word in (each.name, each.key)}]
    if unknown:
        raise ValueError(f"{kept.root} keeps nothing of {unknown[0]}; `ssl4rl cache` lists what it keeps")
    return [each for each in entries if not names or each.name in names or each.key in names]


def _cleared(kept: Cache, chosen: list[Kept], json: bool) -> Outcome:
    gone = [each for each in chosen if kept.delete(each.key)]
    kept.sweep()
    rows = [{**_row(each), "deleted": each in gone} for each in chosen]
    if not json:
        print(f"deleted {len(gone)} of {len(chosen)} entries, {_size(sum(each.size for each in gone))}, in {kept.root}")
        for each in chosen:
            if each not in gone:
                print(f"{each.name} is in use and stays")
    return Outcome(int(len(gone) < len(chosen)), rows, json)


def _checked(kept: Cache, chosen: list[Kept], json: bool) -> Outcome:
    rows = []
    for each in chosen:
        try:
            with waiting(f"reading {each.name or each.key}"):
                Entry.open(kept.entries / each.key).check()
            damage = ""
        except (DamagedError, OSError) as error:
            damage = str(error)
        rows.append({**_row(each), "damage": damage})
        if not json:
            print(f"{each.name or each.key}: {damage or 'whole'}")
    return Outcome(int(any(row["damage"] for row in rows)), rows, json)


def _row(kept: Kept) -> dict[str, Any]:
    return {"source": kept.name, "pictures": kept.items, "bytes": kept.size, "used": kept.used, "entry": kept.key}


def _size(count: int) -> str:
    return next((f"{count / unit:.1f} {name}" for unit, name in _UNITS if count >= unit), f"{count} bytes")
