"""Stored replies scored: each question is made again from its keys, and each reply is read by both grammars.

A question that got no reply is not measured; how many there were is part of every result, and whoever thinks that no reply is
a wrong one says so (`errors_as="wrong"`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.evaluation import normalise
from ssl4rl_agents.readability import TRUNCATED
from ssl4rl_agents.replies.measurement import Measurement, Prices, Side, mean_pass_at, success_interval
from ssl4rl_agents.replies.rows import ReplyRow, digests_of, question_digest
from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.answers import GRAMMARS
from ssl4rl_envs.bridges.questions import text_of
from ssl4rl_envs.interface import Interface

CHUNK = 256
"""Questions that are made at a time."""

ERRORS_AS: tuple[str, ...] = ("missing", "wrong")


class UnscorableError(ValueError):
    """Replies that cannot be scored today: their environment is not known, or takes other arguments, or asks otherwise."""


class ChangedQuestionError(UnscorableError):
    """A reply was given to another question than the one that its keys name today."""


@dataclass(frozen=True)
class Marks:
    """What n rows are worth, by each grammar: arrays (n,) by the grammar's name.

    Args:
        reward, success, valid: of each reply; of a row without one 0 and False.
        items: (n,) the source item of each question.
        oracle: (n,) the reward of its right answer.
    """

    reward: dict[str, NDArray[np.float64]]
    success: dict[str, NDArray[np.bool_]]
    valid: dict[str, NDArray[np.bool_]]
    items: NDArray[np.int64]
    oracle: NDArray[np.float64]


def measure_replies(
    rows: Iterable[ReplyRow], *, errors_as: str = "missing", prices: Prices | None = None
) -> list[Measurement]:
    """Score rows; a measurement for each who replied, and way of asking, in each environment and split.

    Args:
        rows: with one row for each key, as `files.read_replies` gives them.
        errors_as: "missing" or "wrong", see `Measurement`.
        prices: of tokens.

    Raises:
        ChangedQuestionError: a question is not the one that was asked.
        UnscorableError: an environment or its arguments are not known, its task has no words or takes several decisions; the
            message names who replied.
    """
    if errors_as not in ERRORS_AS:
        raise ValueError(f"errors_as must be one of {', '.join(ERRORS_AS)}, got {errors_as!r}")
    runs: dict[tuple[str, ...], list[ReplyRow]] = defaultdict(list)
    for row in rows:
        runs[row.run].append(row)
    return [_measure(run, errors_as, prices or Prices()) for run in runs.values()]


def mark(rows: Sequence[ReplyRow]) -> Marks:
    """Score rows of one environment, split and prompt style by both grammars.

    Raises:
        UnscorableError: as of `measure_replies`.
    """
    first = rows[0]
    try:
        args = json.loads(first.args)
        readers = {grammar: text_of(first.env_id, args, first.prompt_style, grammar) for grammar in GRAMMARS}
    except (ValueError, TypeError) as error:
        raise UnscorableError(f"replies of {first.model} in {first.env_id} cannot be scored: {error}") from error
    task = readers["strict"].task
    places: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        places[row.seed, row.index].append(place)
    count = len(rows)
    marks = Marks(
        {grammar: np.zeros(count) for grammar in GRAMMARS},
        {grammar: np.zeros(count, bool) for grammar in GRAMMARS},
        {grammar: np.zeros(count, bool) for grammar in GRAMMARS},
        np.zeros(count, np.int64),
        np.zeros(count),
    )
    keys = sorted(places)
    for start in range(0, len(keys), CHUNK):
        part = keys[start : start + CHUNK]
        stream = Stream(
            rows[0].split,
            np.array([seed for seed, _ in part], np.uint64),
            np.array([index for _, index in part], np.uint64),
        )
        batch = task.sample(stream)
        of = np.array([number for number, key in enumerate(part) for _ in places[key]])
        where = np.array([place for key in part for place in places[key]])
        _check_questions(readers["strict"], batch, [(rows[place], number) for place, number in zip(where, of, strict=True)])
        marks.items[where] = batch.items[of]
        marks.oracle[where] = task.score(task.oracle(batch), batch).reward[of]
        texts = [text_to_read(rows[place]) for place in where]
        replied = np.array([rows[place].reply is not None for place in where])
        for grammar, reader in readers.items():
            transition = reader.step(batch.rows(of), texts)
            marks.reward[grammar][where] = np.where(replied, transition.step.score.reward, 0.0)
            marks.success[grammar][where] = transition.step.score.success & replied
            marks.valid[grammar][where] = transition.answered & replied
    return marks


def text_to_read(row: ReplyRow) -> str:
    """Return the reply as it is read: one that was cut off says so at its end, see `readability.TRUNCATED`."""
    return (row.reply or "") + TRUNCATED * (row.finish_reason == "length")


def _check_questions(shown: Interface, batch: Batch, asked: list[tuple[ReplyRow, int]]) -> None:
    """Compare what was shown with what the keys name today, where it was noted.

    Raises:
        ChangedQuestionError: they differ.
    """
    noted = {number: row for row, number in asked if row.question is not None}
    if not noted:
        return
    digests = digests_of(shown, batch)
    changed = [row for number, row in noted.items() if row.question != digests[number]]
    if changed:
        row = changed[0]
        raise ChangedQuestionError(
            f"{row.model} in {row.env_id}: {len(changed)} of {len(noted)} questions are no longer those that were asked ("
            f"seed {row.seed}, index {row.index}, say). The source or the version of ssl4rl is another one: score the "
            "replies with those that they were collected with, or ask again"
        )


def _measure(rows: list[ReplyRow], errors_as: str, prices: Prices) -> Measurement:
    marks, first = mark(rows), rows[0]
    replied = np.array([row.reply is not None for row in rows])
    counts = replied if errors_as == "missing" else np.ones(len(rows), bool)
    chance = make_task(first.env_id, **json.loads(first.args)).chance
    oracle = float(marks.oracle.mean())
    asked = {(row.seed, row.index) for row in rows}
    questions = [(row.seed, row.index) for row, counted in zip(rows, counts, strict=True) if counted]
    usages = [row.usage for row in rows if row.usage is not None]
    tokens = {name: sum(usage.get(name, 0) for usage in usages) for name in ("prompt_tokens", "completion_tokens")}
    waits = [row.latency for row in rows if row.latency is not None]
    return Measurement(
        env=first.env_id,
        args=first.args,
        split=first.split,
        prompt_style=first.prompt_style,
        model=first.model,
        kind=first.kind,
        settings=first.settings,
        asked=len(asked),
        questions=len(set(questions)),
        replies=int(counts.sum()),
        errors=int((~replied).sum()),
        items=len(np.unique(marks.items[counts])),
        errors_as=errors_as,
        chance=chance,
        oracle=oracle,
        truncated=sum(row.finish_reason == "length" for row in rows),
        unchecked=sum(row.question is None for row in rows),
        tokens=tokens,
        uncounted=sum(row.kind == "model" and row.usage is None and row.reply is not None for row in rows),
        cost=prices.of(tokens["prompt_tokens"], tokens["completion_tokens"]),
        seconds=float(np.median(waits)) if waits else None,
        strict=_side(marks, "strict", counts, questions, chance, oracle),
        lenient=_side(marks, "lenient", counts, questions, chance, oracle),
        which=question_digest(repr(sorted(asked)), []),
    )


def _side(
    marks: Marks, grammar: str, counts: NDArray[np.bool_], questions: list[tuple[int, int]], chance: float, oracle: float
) -> Side | None:
    if not counts.any():
        return None
    success, reward = marks.success[grammar][counts], float(marks.reward[grammar][counts].mean())
    items, of = np.unique(marks.items[counts], return_inverse=True)
    shares = np.bincount(of, weights=success) / np.bincount(of)
    try:
        normalised = normalise(reward, chance, oracle)
    except ValueError:  # nothing lies between chance and the right answers
        normalised = None
    return Side(
        success=float(success.mean()),
        interval=success_interval(success, marks.items[counts]),
        reward=reward,
        normalised=normalised,
        readable=float(marks.valid[grammar][counts].mean()),
        pass_at=mean_pass_at(success, questions),
        by_item=dict(zip(items.tolist(), shares.tolist(), strict=True)),
    )
