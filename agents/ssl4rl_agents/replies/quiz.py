"""A quiz: which questions are asked of somebody who replies in words, and what is shown of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ssl4rl_agents.replies.rows import ReplyRow, digests_of, written_arguments
from ssl4rl_envs import Batch, Stream, Task
from ssl4rl_envs.arguments import whole_number
from ssl4rl_envs.bridges.questions import text_of
from ssl4rl_envs.registration import env_id_of

CHUNK = 32
"""Questions that are made at a time."""


@dataclass(frozen=True)
class Shown:
    """One question as it is shown.

    Args:
        index: its number.
        observation: as the text interface gives it: `prompt`, and pictures (height, width, 3) uint8 by name.
        digest: of what is shown, see `rows.question_digest`.
    """

    index: int
    observation: dict[str, Any]
    digest: str


class Quiz:
    """The first questions of a seed, asked as an environment's text interface asks them.

    Args:
        env_id: e.g. "SSL4RL/Rotation-v0", or "Rotation" in short.
        arguments: of its task, `level` among them.
        split: "train", "validation" or "test".
        seed: of the questions.
        questions: how many.
        samples: replies to each.
        prompt_style: how one is to reply.

    Raises:
        TypeError: an argument is unknown to the task, or of another type.
        ValueError: the task has no words or takes several decisions, or an argument is out of its range or nothing that JSON
            can keep.
    """

    def __init__(
        self,
        env_id: str,
        arguments: dict[str, Any],
        *,
        split: str = "test",
        seed: int = 0,
        questions: int = 256,
        samples: int = 1,
        prompt_style: str = "direct",
    ) -> None:
        self.env_id, self.args = env_id_of(env_id), written_arguments(env_id, arguments)
        self.split, self.prompt_style = split, prompt_style
        self.seed = whole_number("seed", seed)
        self.questions, self.samples = whole_number("questions", questions, 1), whole_number("samples", samples, 1)
        self.shown = text_of(self.env_id, json.loads(self.args), prompt_style)
        self.task: Task = self.shown.task
        Stream.span(split, self.seed, 0, 0)  # a wrong split is an error here

    def row(
        self, index: int, digest: str | None, *, model: str, kind: str, settings: dict[str, Any], **more: Any
    ) -> ReplyRow:
        """Return the row of a reply to a question."""
        return ReplyRow(
            env_id=self.env_id,
            args=self.args,
            split=self.split,
            seed=self.seed,
            index=index,
            prompt_style=self.prompt_style,
            model=model,
            kind=kind,
            settings=settings,
            question=digest,
            **more,
        )

    def key(self, index: int, sample: int, *, model: str, kind: str, settings: dict[str, Any]) -> tuple[Any, ...]:
        """Return the key of a reply, see `ReplyRow.key`."""
        return self.row(index, None, model=model, kind=kind, settings=settings, sample=sample, reply="").key

    def rows_of(self, rows: Iterable[ReplyRow], *, model: str, kind: str, settings: dict[str, Any]) -> list[ReplyRow]:
        """Return those rows that one who replied has left to this quiz."""
        own = (self.env_id, self.args, self.split, self.prompt_style, self.seed, model, kind, settings)
        return [
            row
            for row in rows
            if own == (row.env_id, row.args, row.split, row.prompt_style, row.seed, row.model, row.kind, row.settings)
            and row.index < self.questions
            and row.sample < self.samples
        ]

    def batches(self, wanted: Callable[[int], bool], size: int = CHUNK) -> Iterator[tuple[Batch, list[Shown]]]:
        """Make the questions whose index is wanted, `size` at a time."""
        indices = [index for index in range(self.questions) if wanted(index)]
        for start in range(0, len(indices), size):
            part = indices[start : start + size]
            batch = self.task.sample(Stream(self.split, np.full(len(part), self.seed, np.uint64), np.array(part)))
            arrays, digests = self.shown.observe(batch), digests_of(self.shown, batch)
            yield (
                batch,
                [
                    Shown(index, {name: values[row] for name, values in arrays.items()}, digests[row])
                    for row, index in enumerate(part)
                ],
            )
