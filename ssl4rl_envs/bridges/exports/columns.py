"""Columns of Hugging Face's datasets: `datasets` (load_from_disk) and `parquet` (load_dataset)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from typing_extensions import override

from ssl4rl_envs.bridges.exports.files import write_text
from ssl4rl_envs.bridges.exports.form import Form
from ssl4rl_envs.bridges.rows import Row
from ssl4rl_envs.png import to_png

GROUP = 100
"""Questions of a row group, or of a batch: what a reader holds at a time."""


def features() -> Any:
    """Return the columns of a row as `datasets.Features`, pictures as `datasets.Image`."""
    from datasets import Features, Image, Value

    text, number = Value("string"), Value("int64")
    return Features(
        {
            "prompt": [{"role": text, "content": text}],
            "images": [Image()],
            "answer": text,
            "env_id": text,
            "args": text,
            "split": text,
            "seed": number,
            "index": number,
        }
    )


def table(rows: Iterable[Row]) -> Any:
    """Return rows as a `pyarrow.Table`, pictures as the bytes of PNG files."""
    import pyarrow as pa

    stored = [{**row, "images": [{"bytes": to_png(each), "path": None} for each in row["images"]]} for row in rows]
    return pa.Table.from_pylist(stored, schema=features().arrow_schema)


class Parquet(Form):
    """Parquet shards, which ``load_dataset(FOLDER)`` reads, and whatever else reads Parquet."""

    needs = ("datasets", "pyarrow")
    reading = "datasets.load_dataset({folder!r})"

    @override
    def shard(self, number: int) -> str:
        return f"data/{self.plan.split}-{number:05d}-of-{self.plan.shards:05d}.parquet"

    @override
    def write(self, rows: Iterable[Row], path: Path, folder: Path) -> None:
        from pyarrow import parquet

        parquet.write_table(table(rows), path, row_group_size=GROUP)


class Arrow(Form):
    """The folder that ``Dataset.save_to_disk`` writes, which ``load_from_disk(FOLDER)`` maps into memory."""

    needs = ("datasets", "pyarrow")
    reading = "datasets.load_from_disk({folder!r})"

    @override
    def shard(self, number: int) -> str:
        return f"data-{number:05d}-of-{self.plan.shards:05d}.arrow"

    @override
    def write(self, rows: Iterable[Row], path: Path, folder: Path) -> None:
        import pyarrow as pa

        read = table(rows)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, read.schema) as stream:
            stream.write_table(read, max_chunksize=GROUP)

    @override
    def finish(self, folder: Path) -> list[str]:
        from datasets import DatasetInfo

        state: dict[str, Any] = {
            "_data_files": [{"filename": self.shard(number)} for number in range(self.plan.shards)],
            # By which datasets names what it keeps of computations on the data: another one for other questions.
            "_fingerprint": hashlib.sha256(json.dumps(self.plan.keys(), sort_keys=True).encode()).hexdigest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": self.plan.split,
        }
        write_text(folder / "state.json", json.dumps(state, indent=2, sort_keys=True) + "\n")
        DatasetInfo(features=features()).write_to_directory(str(folder), pretty_print=True)
        return ["state.json", "dataset_info.json"]
