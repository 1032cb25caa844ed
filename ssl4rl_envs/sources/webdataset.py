"""Archives of pictures (webdataset's tar shards) as a source."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from typing_extensions import override

from ssl4rl_envs.sources.collected import CollectedSource, recent
from ssl4rl_envs.sources.collection import Collection, Files, Members
from ssl4rl_envs.sources.files import absolute, matching, shortened
from ssl4rl_envs.sources.listing import readable_endings
from ssl4rl_envs.sources.options import joined, split_name


class Place(NamedTuple):
    """Where the bytes of a picture lie: number of the shard, first byte, how many."""

    shard: int
    start: int
    size: int


class Shards(Collection):
    """The pictures of tar files, as webdataset lays them out: files that differ after the first dot alone are one sample.

    One picture a sample is read: the one whose name ends like a picture's. The bytes are read from where they lie in the
    archive, which therefore is not compressed.

    Args:
        pattern: of the archives; see `files.matching`.
        column: which file of a sample is the picture, by what stands behind the first dot of its name ("jpg", "left.png");
            "" for the only one.

    Raises:
        FileNotFoundError: there is no such archive.
    """

    def __init__(self, pattern: str, column: str = "") -> None:
        self.files = Files.of(matching(pattern, (".tar",), "tar"))
        self.what, self.name, self.column = pattern, f"webdataset:{pattern}", column.lower()
        self.place = absolute(pattern)
        self._places: list[Place] = []

    @property
    @override
    def kind(self) -> str:
        return f"Shards {self.column}"

    @override
    def own_names(self) -> list[str]:
        return shortened(self.files.names)

    @override
    def members(self) -> Members:
        names: list[str] = []
        left_out: dict[str, str] = {}
        self._places = []
        for number, (shard, short) in enumerate(zip(self.files.names, self.own_names(), strict=True)):
            found, trouble = pictures_of(shard, self.column)
            names += [f"{short}: {member}" for member in found]
            self._places += [Place(number, start, size) for start, size in found.values()]
            if trouble:
                left_out[short] = trouble
        return Members(names, left_out)

    @override
    def read(self, number: int) -> bytes:
        shard, start, size = self._places[number]
        with Path(self.files.names[shard]).open("rb") as file:
            file.seek(start)
            return file.read(size)


def pictures_of(shard: str, column: str = "") -> tuple[dict[str, tuple[int, int]], str]:
    """Return the pictures of a tar file, where their bytes begin and how many they are; and what of the rest cannot be read.

    Raises:
        ValueError: it is no tar file, is compressed, or has several pictures in a sample; the message names it.
    """
    found: dict[str, tuple[int, int]] = {}
    samples: dict[str, str] = {}
    trouble = ""
    endings = {column} if column else {ending[1:] for ending in readable_endings()}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                key, ending = _sample(member.name)
                if not member.isfile() or PurePosixPath(member.name).name.startswith("."):
                    continue
                if (ending if column else ending.rpartition(".")[2]) not in endings:
                    continue
                if key in samples:
                    raise _SeveralError(
                        f"{shard}: sample {key!r} holds more than one picture, {samples[key]} and {ending}; say which by "
                        f"?column={ending} behind the name"
                    )
                samples[key] = ending
                found[member.name] = (member.offset_data, member.size)
    except _SeveralError:
        raise
    except (tarfile.TarError, EOFError) as error:
        if not found:
            raise ValueError(
                f"{shard} is no tar file that is not compressed ({error}); unpack it, e.g. with gunzip"
            ) from error
        trouble = f"damaged behind {next(reversed(found))} ({error}); what follows was not read"
    return found, trouble


class _SeveralError(ValueError):
    """A sample holds several pictures."""


def _sample(name: str) -> tuple[str, str]:
    """Return the key of a sample and what distinguishes its files: what stands before the first dot of a name, and behind."""
    folder, slash, base = name.rpartition("/")
    key, _, ending = base.partition(".")
    return folder + slash + key, ending.lower()


def webdataset(pattern: str) -> CollectedSource:
    """Return the source of tar shards, e.g. of "/data/train-{000..127}.tar?column=jpg"; options as for folders."""
    name, settings, more = split_name(pattern, more=("column",))
    shards = Shards(name, more.get("column", ""))
    origin = joined(f"webdataset:{shards.place}", settings, more)
    return recent(shards, settings, lambda: CollectedSource(shards, settings, origin))
