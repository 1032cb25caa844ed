"""What is exported: which questions, in which form, in how many shards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import ssl4rl_envs
from ssl4rl_envs.answers import check_style
from ssl4rl_envs.arguments import whole_number
from ssl4rl_envs.bridges.questions import text_of
from ssl4rl_envs.bridges.rows import Row, rows
from ssl4rl_envs.registration import env_id_of, task_class, with_plain_source
from ssl4rl_envs.task import Task

LARGEST = 2**63
"""Seeds and indices are columns of signed 64-bit numbers, which every library reads."""


@dataclass(frozen=True)
class Plan:
    """The questions `first` ... `first + n - 1` of an environment, and how they are to lie in a folder.

    Args:
        env_id: e.g. "SSL4RL/Rotation-v0", or in short, "Rotation".
        n: how many questions, from 1.
        format: a key of `FORMATS`.
        split: "train", "validation" or "test".
        seed: of the stream of questions, from 0.
        first: number of the first one, from 0.
        prompt_style: "direct", "think" or "tool"; None for what the format has by default: "direct", and with "vlmevalkit"
            multiple choice in that library's own words where a task has few enough answers.
        shard_size: questions of a shard, from 1; what an interrupted export has to do again.
        arguments: of the task, `level` and `pairing` among them.

    Raises:
        TypeError, ValueError: one of them is wrong, or the task's questions are not answered in words and at once.
    """

    env_id: str
    n: int
    format: str
    split: str = "train"
    seed: int = 0
    first: int = 0
    prompt_style: str | None = None
    shard_size: int = 1000
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("n", 1), ("shard_size", 1), ("first", 0), ("seed", 0)):
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        if self.seed >= LARGEST or self.first + self.n > LARGEST:
            raise ValueError(
                f"seeds and indices of exported questions are below 2**63, got seed {self.seed}, first {self.first}"
            )
        if self.prompt_style is not None:
            check_style(self.prompt_style)
        object.__setattr__(self, "env_id", env_id_of(self.env_id))
        object.__setattr__(self, "arguments", with_plain_source(task_class(self.env_id), dict(self.arguments)))
        next(self.rows(0, "direct"), None)  # a wrong argument or split is an error here

    @property
    def task(self) -> Task:
        """The task that asks."""
        return text_of(self.env_id, dict(self.arguments), "direct").task

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return -(-self.n // self.shard_size)

    @property
    def name(self) -> str:
        """The environment as part of a file's name, e.g. "ssl4rl_rotation_v0"."""
        return re.sub(r"\W+", "_", self.env_id).lower()

    def span(self, shard: int) -> tuple[int, int]:
        """Return the number of a shard's first question, and how many it has."""
        start = shard * self.shard_size
        return self.first + start, min(self.shard_size, self.n - start)

    def rows(self, shard: int, prompt_style: str) -> Iterator[Row]:
        """Give the questions of a shard."""
        first, count = self.span(shard)
        given: dict[str, Any] = dict(self.arguments)
        return rows(self.env_id, count, split=self.split, seed=self.seed, first=first, prompt_style=prompt_style, **given)

    def keys(self) -> dict[str, Any]:
        """Return what the questions are made again from, and by what: the task and its source's content by a number."""
        return {
            "ssl4rl": ssl4rl_envs.__version__,
            "env_id": self.env_id,
            "args": dict(self.arguments),
            "split": self.split,
            "seed": self.seed,
            "first": self.first,
            "n": self.n,
            "task": f"{self.task.stream_key:016x}",
        }
