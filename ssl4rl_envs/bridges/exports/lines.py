"""Lines of JSON beside pictures in files of their own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from typing_extensions import override

from ssl4rl_envs.bridges.exports.form import Form
from ssl4rl_envs.bridges.rows import Row
from ssl4rl_envs.png import to_png


class Lines(Form):
    """A line of JSON a question, in shards; `images` are paths from the folder, e.g. `images/00000/000000000012_0.png`."""

    reading = "its lines are JSON, and name their pictures from the folder"

    @override
    def shard(self, number: int) -> str:
        return f"{self.plan.split}-{number:05d}.jsonl"

    @override
    def beside(self, number: int) -> str:
        return f"images/{number:05d}"  # a folder of pictures a shard, since file systems dislike folders of millions

    @override
    def write(self, rows: Iterable[Row], path: Path, folder: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                place = self.beside((row["index"] - self.plan.first) // self.plan.shard_size)
                (folder / place).mkdir(parents=True, exist_ok=True)
                names = [f"{place}/{row['index']:012d}_{number}.png" for number in range(len(row["images"]))]
                for name, picture in zip(names, row["images"], strict=True):
                    (folder / name).write_bytes(to_png(picture))
                file.write(json.dumps({**row, "images": names}) + "\n")
