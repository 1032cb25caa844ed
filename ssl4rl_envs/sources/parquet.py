"""Parquet files with a column of pictures as a source, read by pyarrow; Hugging Face's files of pictures are such."""

from __future__ import annotations

import bisect
from pathlib import Path
from typing import Any

from typing_extensions import override

from ssl4rl_envs.installing import install_line
from ssl4rl_envs.sources.collected import CollectedSource, recent
from ssl4rl_envs.sources.collection import Collection, Files, Members
from ssl4rl_envs.sources.files import absolute, matching, shortened
from ssl4rl_envs.sources.options import joined, split_name


class Parquet(Collection):
    """The pictures of Parquet files, a row a picture.

    Args:
        pattern: of the files; see `files.matching`.
        column: that holds the pictures: as bytes, or as a struct of `bytes` and `path` as Hugging Face's `datasets` writes
            it; "" for the only one that does. Where the bytes are missing, the path is read, seen from the Parquet file.

    Raises:
        FileNotFoundError: there is no such file.
    """

    def __init__(self, pattern: str, column: str = "") -> None:
        self.files = Files.of(matching(pattern, (".parquet",), "Parquet"))
        self.what, self.name, self.column = pattern, f"parquet:{pattern}", column
        self.place = absolute(pattern)
        self._column = ""
        self._firsts: list[int] = []
        self._groups: list[tuple[int, int, int]] = []
        self._open: tuple[int, Any] | None = None

    @property
    @override
    def kind(self) -> str:
        return f"Parquet {self.column}"

    @override
    def own_names(self) -> list[str]:
        return shortened(self.files.names)

    @override
    def members(self) -> Members:
        """Return the rows; raises ImportError without pyarrow, ValueError as `image_column`."""
        parquet = _pyarrow_parquet()
        names: list[str] = []
        self._firsts, self._groups = [], []
        for number, (name, short) in enumerate(zip(self.files.names, self.own_names(), strict=True)):
            try:
                opened = parquet.ParquetFile(name)
            except Exception as error:  # pyarrow's errors are of several types
                raise ValueError(f"{name} cannot be read as a Parquet file: {error}") from error
            self._column = self._column or self.column or image_column(opened.schema_arrow, name)
            if self._column not in opened.schema_arrow.names:
                raise ValueError(f"{name} has no column {self._column!r}; it has {', '.join(opened.schema_arrow.names)}")
            row = 0
            for group in range(opened.metadata.num_row_groups):
                self._firsts.append(len(names))
                self._groups.append((number, group, row))
                rows = opened.metadata.row_group(group).num_rows
                names += [f"{short}: row {place}" for place in range(row, row + rows)]
                row += rows
        return Members(names, {})

    @override
    def read(self, number: int) -> bytes:
        place = bisect.bisect_right(self._firsts, number) - 1
        if self._open is None or self._open[0] != place:  # members are read in order
            name, group = self.files.names[self._groups[place][0]], self._groups[place][1]
            table = _pyarrow_parquet().ParquetFile(name).read_row_group(group, columns=[self._column])
            self._open = place, table.column(0)
        value = self._open[1][number - self._firsts[place]].as_py()
        return picture_bytes(value, Path(self.files.names[self._groups[place][0]]).parent)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}


def image_column(schema: Any, what: str) -> str:
    """Return the only column of an Arrow schema that holds bytes, or structs of bytes and path.

    Raises:
        ValueError: there is none, or several; the message lists the columns.
    """
    fitting = [field.name for field in schema if holds_pictures(field.type)]
    if len(fitting) == 1:
        return str(fitting[0])
    kinds = ", ".join(f"{field.name} ({field.type})" for field in schema)
    found = "several columns hold bytes" if fitting else "no column holds bytes, or a struct of bytes and path"
    raise ValueError(f"{what}: {found}; say which by ?column=NAME behind the name. Its columns are {kinds}")


def holds_pictures(kind: Any) -> bool:
    """Return whether an Arrow type is bytes, or a struct with a field `bytes` of them."""
    import pyarrow

    if pyarrow.types.is_struct(kind):
        return any(
            kind.field(place).name == "bytes" and holds_pictures(kind.field(place).type) for place in range(kind.num_fields)
        )
    return bool(
        pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind) or pyarrow.types.is_fixed_size_binary(kind)
    )


def picture_bytes(value: Any, folder: Path) -> bytes:
    """Return the bytes of a row: they themselves, those of a struct, or of the file that its path names.

    Raises:
        ValueError: the row is empty.
        OSError: the file cannot be read.
    """
    if isinstance(value, dict):
        data, path = value.get("bytes"), value.get("path")
        if data is None and path:
            return Path(folder, path).read_bytes()
        value = data
    if value is None:
        raise ValueError("the row holds no picture")
    if not isinstance(value, bytes):
        raise ValueError(f"the row holds a {type(value).__name__}, no bytes of a picture")
    return value


def _pyarrow_parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(f"source 'parquet:PATH' needs pyarrow, which is not installed: {install_line('data')}") from error
    return pyarrow.parquet


def parquet(pattern: str) -> CollectedSource:
    """Return the source of Parquet files, e.g. of "/data/train-*.parquet?column=image"; options as for folders."""
    name, settings, more = split_name(pattern, more=("column",))
    table = Parquet(name, more.get("column", ""))
    origin = joined(f"parquet:{table.place}", settings, more)
    return recent(table, settings, lambda: CollectedSource(table, settings, origin))
