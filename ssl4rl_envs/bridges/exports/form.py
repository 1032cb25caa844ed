"""What every format is: the names of its files, how a shard is written, and what stands beside the shards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from ssl4rl_envs.bridges.exports.plan import Plan
from ssl4rl_envs.bridges.rows import Row


class Form(ABC):
    """How the questions of a plan lie in a folder.

    A shard is written under a path that is not yet its own and goes to its place when it is whole. Whatever else belongs to
    it is written before, under names that say the same each time.

    Args:
        plan: what is exported.

    Raises:
        ValueError: the format cannot hold these questions.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """Packages that it is written with."""

    reading: ClassVar[str]
    """How it is read, in a line; `{folder}` and `{name}` stand for the folder and for what the format calls the data set."""

    joins: ClassVar[bool] = False
    """Whether `finish` joins the shards to one file, after which they are deleted."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.prompt_style = plan.prompt_style or "direct"

    @abstractmethod
    def shard(self, number: int) -> str:
        """Return the path of a shard within the folder."""

    @abstractmethod
    def write(self, rows: Iterable[Row], path: Path, folder: Path) -> None:
        """Write the questions of a shard to `path`, and what else belongs to them into `folder`."""

    def beside(self, number: int) -> str | None:
        """Return the folder of what belongs to a shard and is no part of its file, None where there is nothing."""
        del number
        return None

    def finish(self, folder: Path) -> list[str]:
        """Write what stands beside the shards; return the paths of it within the folder."""
        del folder
        return []

    def facts(self) -> dict[str, Any]:
        """Return what else the manifest should say."""
        return {"prompt_style": self.prompt_style}
