"""Tar shards as webdataset reads them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

from typing_extensions import override

from ssl4rl_envs.bridges.exports.form import Form
from ssl4rl_envs.bridges.rows import Row
from ssl4rl_envs.png import to_png


class Tar(Form):
    """Tar shards: of each question `NUMBER.json`, and its pictures as `NUMBER.0.png`, `NUMBER.1.png`, ... in order."""

    reading = "webdataset.WebDataset(sorted(glob.glob('{folder}/*.tar'))).decode('pil')"

    @override
    def shard(self, number: int) -> str:
        return f"{self.plan.split}-{number:06d}.tar"

    @override
    def write(self, rows: Iterable[Row], path: Path, folder: Path) -> None:
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for row in rows:
                for place, picture in enumerate(row["images"]):
                    _add(archive, f"{row['index']:012d}.{place}.png", to_png(picture))
                facts = {name: value for name, value in row.items() if name != "images"}
                _add(archive, f"{row['index']:012d}.json", json.dumps(facts).encode())


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # of no time and no user, so that the bytes are the same each time
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))
