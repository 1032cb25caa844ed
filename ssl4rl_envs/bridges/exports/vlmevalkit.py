"""A table as VLMEvalKit reads it: tab-separated, pictures as base64."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from typing_extensions import override

from ssl4rl_envs.bridges.exports.files import whole
from ssl4rl_envs.bridges.exports.form import Form
from ssl4rl_envs.bridges.exports.plan import Plan
from ssl4rl_envs.bridges.rows import Row
from ssl4rl_envs.png import to_base64, to_png
from ssl4rl_envs.task import Task


def choices(task: Task) -> tuple[str, ...]:
    """Return the answers that a question offers, the same for all; none where they are too many or of several values."""
    form = task.answer_format
    if form is None or form.slots > 1 or not 2 <= len(form.labels) <= len(ascii_uppercase):
        return ()
    return form.labels


class VLMEvalKit(Form):
    """One file `NAME.tsv`; put it into the folder $LMUData and call it by its name, ``run.py --data NAME``.

    Tasks of one answer out of few become multiple choice: VLMEvalKit puts the question and the options A, B, ... into its own
    words, reads the letter and reports the accuracy. The others, and all of them with a prompt style, become open questions
    in our words ("openended" in the name, by which VLMEvalKit knows them); it keeps the replies and has no measure for them,
    `ssl4rl_envs.score` has.

    Raises:
        ValueError: the task shows no pictures and is not multiple choice, which VLMEvalKit has no data set for.
    """

    reading = "LMUData={folder} python run.py --data {name}"
    joins = True

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.choices = choices(plan.task) if plan.prompt_style is None else ()
        if self.choices:
            self.prompt_style = "tool"  # the question without how to reply, which VLMEvalKit says itself
        elif not plan.task.images:
            raise ValueError(
                f"VLMEvalKit has open questions about pictures alone, and {plan.env_id} shows none"
                + ("" if plan.prompt_style is None else "; without --prompt-style it becomes multiple choice, where it can")
            )

    @property
    def table(self) -> str:
        """Name of the file of all questions."""
        return f"{self.plan.name}_{self.plan.split}{'' if self.choices else '_openended'}.tsv"

    @override
    def shard(self, number: int) -> str:
        return f"parts/{number:05d}.tsv"

    @override
    def write(self, rows: Iterable[Row], path: Path, folder: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns(), delimiter="\t", lineterminator="\n")
            for row in rows:
                writer.writerow(self._line(row))

    @override
    def finish(self, folder: Path) -> list[str]:
        with whole(folder / self.table) as aside, aside.open("wb") as joined:
            joined.write("\t".join(self._columns()).encode() + b"\n")
            for number in range(self.plan.shards):
                with (folder / self.shard(number)).open("rb") as part:
                    shutil.copyfileobj(part, joined)
        return [self.table]

    @override
    def facts(self) -> dict[str, Any]:
        return {"prompt_style": self.prompt_style, "choices": dict(zip(ascii_uppercase, self.choices, strict=False))}

    def _columns(self) -> list[str]:
        images = ["image"] if self.plan.task.images else []
        options = list(ascii_uppercase[: len(self.choices)])
        return ["index", *images, "question", *options, "answer", "category", "split", "env_id", "args", "seed"]

    def _line(self, row: Row) -> dict[str, Any]:
        line: dict[str, Any] = {name: row[name] for name in ("index", "answer", "split", "env_id", "args", "seed")}
        line |= {"question": row["prompt"][0]["content"], "category": row["env_id"]}
        if row["images"]:
            coded = [to_base64(to_png(each)) for each in row["images"]]
            line["image"] = coded[0] if len(coded) == 1 else str(coded)  # a list is read by its Python text
        if self.choices:
            line |= dict(zip(ascii_uppercase, self.choices, strict=False))
            line["answer"] = ascii_uppercase[self.choices.index(row["answer"])]
        return line
