"""Datasets of Hugging Face's `datasets` as a source: by name, saved on the disk, or as objects.

Which split of the library's is read is the caller's choice. Our own splits (train, validation, test) are made of its pictures
by their content, as of all sources: the library's "test" is not ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from ssl4rl_envs.installing import install_line
from ssl4rl_envs.sources.collected import CollectedSource, recent
from ssl4rl_envs.sources.collection import Collection, Files, Members, digest_of
from ssl4rl_envs.sources.files import shortened
from ssl4rl_envs.sources.options import SHORT_SIDE, Settings, checked, joined, split_name
from ssl4rl_envs.sources.parquet import image_column, picture_bytes

ALL, FIRST_CHOICE = "all", "train"
_BLOCK = 64  # rows that are read at a time
_SAVED = ("state.json", "dataset_dict.json")


class Rows(Collection):
    """The pictures of a `datasets.Dataset`, a row a picture.

    Args:
        dataset: which is known by the fingerprint that the library gives it.
        column: that holds the pictures; "" for the only one of the feature Image, or else of bytes.
        name: of the source.
    """

    def __init__(self, dataset: Any, column: str, name: str) -> None:
        self.column, self.name, self.what = column, name, name
        self.place = digest_of(dataset._fingerprint, len(dataset))
        self.files = Files([self.place], np.zeros((1, 3), np.int64))
        self._block: tuple[int, Any] | None = None
        self._take(dataset)

    @property
    @override
    def kind(self) -> str:
        return f"Rows {self.column}"

    @override
    def members(self) -> Members:
        return Members([f"row {number}" for number in range(len(self._dataset))], {})

    @override
    def read(self, number: int) -> bytes:
        start = number - number % _BLOCK
        if self._block is None or self._block[0] != start:  # rows are read in order
            table = self._dataset[start : min(start + _BLOCK, len(self._dataset))]
            self._block = start, table.column(0)
        return picture_bytes(self._block[1][number - start].as_py(), Path())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_block": None}

    def _take(self, dataset: Any) -> None:
        column = self.column or _image_column(dataset, self.what)
        if column not in dataset.column_names:
            raise ValueError(f"{self.what} has no column {column!r}; it has {', '.join(dataset.column_names)}")
        self._dataset = dataset.select_columns([column]).with_format("arrow")


class Saved(Rows):
    """The pictures of a dataset in a folder, which the library opens only if something has changed there.

    Args:
        path: a folder that `save_to_disk` wrote, or one that `load_dataset` reads.
        column: see `Rows`.
        split: of the library; see `of_split`.
        name: of the source.
    """

    def __init__(self, path: Path, column: str, split: str, name: str) -> None:
        self.column, self.name, self.what, self._split = column, name, str(path), split
        self.place = str(path.resolve())
        self.files = Files.of(sorted(file for file in path.rglob("*") if file.is_file()))
        self._path, self._block = path, None

    @property
    @override
    def kind(self) -> str:
        return f"Saved {self.column} {self._split}"

    @override
    def own_names(self) -> list[str]:
        return shortened(self.files.names)

    @override
    def members(self) -> Members:
        library = _library()
        saved = any((self._path / name).exists() for name in _SAVED)
        loaded = library.load_from_disk(str(self._path)) if saved else library.load_dataset(str(self._path))
        self._take(of_split(loaded, self._split, self.what))
        return super().members()


def of_split(loaded: Any, split: str, what: str) -> Any:
    """Return one `Dataset` of what the library loaded.

    Args:
        loaded: a `Dataset`, or a `DatasetDict` of its splits.
        split: the name of one; "all" for all, one behind the other; "" for "train", or the only one.
        what: is loaded, for errors.

    Raises:
        ValueError: there is no such split, or it is not clear which one is meant.
    """
    if not hasattr(loaded, "keys"):
        if split not in ("", ALL, str(loaded.split)):
            raise ValueError(f"{what} holds one split, {loaded.split}, got ?split={split}")
        return loaded
    names = list(loaded)
    if split == ALL:
        return _library().concatenate_datasets([loaded[name] for name in names])
    chosen = split or (names[0] if len(names) == 1 else FIRST_CHOICE)
    if chosen not in names:
        raise ValueError(
            f"{what} has the splits {', '.join(names)}; say which by ?split=NAME behind the name, or ?split={ALL}"
            + (f", got {split!r}" if split else "")
        )
    return loaded[chosen]


def _image_column(dataset: Any, what: str) -> str:
    images = [name for name, feature in dataset.features.items() if type(feature).__name__ == "Image"]
    return images[0] if len(images) == 1 else image_column(dataset.features.arrow_schema, what)


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            f"source 'hf:PATH' needs Hugging Face's datasets, which is not installed: {install_line('data')}"
        ) from error
    return datasets


def huggingface(name: str) -> CollectedSource:
    """Return the source of a dataset by its name on the hub, or of a folder.

    Args:
        name: e.g. "cifar10", "/data/saved?column=img", "user/pictures?config=small&split=train"; options as for folders.
    """
    path, settings, more = split_name(name, more=("column", "split", "config"))
    column, split = more.get("column", ""), more.get("split", "")
    folder = Path(path).expanduser()
    if folder.is_dir():
        if more.get("config"):
            raise ValueError(f"{path} is a folder, which has no configurations; leave out ?config={more['config']}")
        saved = Saved(folder, column, split, f"hf:{path}")
        origin = joined(f"hf:{saved.place}", settings, more)
        return recent(saved, settings, lambda: CollectedSource(saved, settings, origin))
    loaded = of_split(_library().load_dataset(path, more.get("config") or None), split, f"hf:{path}")
    rows = Rows(loaded, column, f"hf:{path}")
    return recent(rows, settings, lambda: CollectedSource(rows, settings, joined(f"hf:{path}", settings, more)))


def is_dataset(value: object) -> bool:
    """Return whether something is a dataset of the library, which is not imported to find out."""
    return type(value).__module__.partition(".")[0] == "datasets"


def of_dataset(dataset: Any, *, column: str = "", dedup: bool = True, side: int | str | None = SHORT_SIDE) -> CollectedSource:
    """Return the source of a `datasets.Dataset`.

    Args:
        dataset: the pictures.
        column: that holds them; by default the only one.
        dedup, side: see `FolderSource`.

    Raises:
        TypeError: it is several splits, or a stream, whose length nobody knows.
    """
    if isinstance(dataset, dict):
        raise TypeError(f"a source is one dataset, and this holds the splits {', '.join(dataset)}; give one of them")
    if not hasattr(dataset, "_fingerprint") or not hasattr(dataset, "__len__"):
        raise TypeError(
            f"a source has a known number of pictures, and a {type(dataset).__name__} has not; load the dataset without "
            "streaming=True"
        )
    rows = Rows(dataset, column, "dataset")
    settings: Settings = checked(side, dedup)
    return recent(rows, settings, lambda: CollectedSource(rows, settings))
