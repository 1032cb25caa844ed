"""Stored replies scored: each question is made again from its keys, and each reply is read by both grammars.

A question that got no reply is not measured; how many there were is part of every result, and whoever thinks that no reply is
a wrong one says so (`errors_as="wrong"`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.evaluation import clustered_interval, normalise
from ssl4rl_agents.readability import TRUNCATED
from ssl4rl_agents.replies import ReplyRow, question_digest
from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.answers import GRAMMARS
from ssl4rl_envs.bridges.questions import text_of
from ssl4rl_envs.interface import Interface

CHUNK = 256
"""Questions that are made at a time."""

ERRORS_AS: tuple[str, ...] = ("missing", "wrong")


class ChangedQuestionError(ValueError):
    """A reply was given to another question than the one that its keys name today."""


@dataclass(frozen=True)
class Prices:
    """What tokens cost, per million of them.

    Args:
        prompt, completion: of what is read and of what is written, in any currency.
    """

    prompt: float = 0.0
    completion: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.prompt < np.inf and 0 <= self.completion < np.inf):
            raise ValueError(f"prices must be from 0, got {self.prompt} and {self.completion} per million tokens")

    def of(self, prompt: int, completion: int) -> float:
        """Return what tokens cost together."""
        return (self.prompt * prompt + self.completion * completion) / 1e6


@dataclass(frozen=True)
class Side:
    """What replies are worth by one grammar.

    Args:
        success, reward: means over the replies that count.
        interval: 95 % interval of `success`, see `success_interval`.
        normalised: (reward - chance) / (oracle - chance); None where nothing lies between these.
        readable: the share of replies that are answers.
        pass_at: by k, the mean of `pass_at_k` over the questions that have k replies which count.
    """

    success: float
    interval: tuple[float, float]
    reward: float
    normalised: float | None
    readable: float
    pass_at: dict[int, float]


@dataclass(frozen=True)
class Measurement:
    """What one who replies reached in one environment.

    Args:
        env, args, split, prompt_style, model, kind, settings: of the rows, which share them.
        asked: different questions that were asked.
        questions: of which count.
        replies: replies that count.
        errors: rows without a reply.
        items: different source items of the questions that count.
        errors_as: "missing": rows without a reply do not count; "wrong": they count as wrong.
        chance: expected reward of the best policy that ignores the observation.
        oracle: mean reward of the right answers.
        truncated: replies that were cut off at the longest length; the strict grammar reads none of them as an answer.
        unchecked: replies of which nobody noted what was shown.
        tokens: read and written, as far as the endpoint counted them.
        uncounted: replies of models of which it did not.
        cost: of the tokens that were counted.
        seconds: median from a request to its reply, where it is known.
        strict, lenient: what the replies are worth; None where none counts.
        which: digest of the questions that were asked; two measurements with one digest are of the same.
    """

    env: str
    args: str
    split: str
    prompt_style: str
    model: str
    kind: str
    settings: dict[str, Any]
    asked: int
    questions: int
    replies: int
    errors: int
    items: int
    errors_as: str
    chance: float
    oracle: float
    truncated: int
    unchecked: int
    tokens: dict[str, int]
    uncounted: int
    cost: float
    seconds: float | None
    strict: Side | None
    lenient: Side | None
    which: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


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
        rows: with one row for each key, as `replies.read_replies` gives them.
        errors_as: "missing" or "wrong", see `Measurement`.
        prices: of tokens.

    Raises:
        ChangedQuestionError: a question is not the one that was asked.
        ValueError: an environment or its arguments are not known, its task has no words or takes several decisions.
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
        ChangedQuestionError, ValueError: as of `measure_replies`.
    """
    first = rows[0]
    readers = {grammar: text_of(first.env_id, json.loads(first.args), first.prompt_style, grammar) for grammar in GRAMMARS}
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
            rows[0].split, np.array([seed for seed, _ in part], np.uint64), np.array([index for _, index in part])
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


def success_interval(success: NDArray[Any], items: NDArray[np.int64]) -> tuple[float, float]:
    """Return the 95 % interval of a rate, by resampling source items.

    Where all are right, or none, no resample differs; then the interval is the exact one for as many independent trials as
    there are items (Clopper & Pearson 1934). One item alone says nothing: 0 to 1.

    Args:
        success: (n,) in [0, 1], or bools.
        items: (n,) which source item each is about.
    """
    count = len(np.unique(items))
    if count < 2:
        return 0.0, 1.0
    if (success == success[0]).all() and success[0] in (0, 1):
        edge = 0.025 ** (1 / count)
        return (edge, 1.0) if success[0] else (0.0, 1 - edge)
    return clustered_interval(success, items)


def pass_at_k(replies: int, right: int, k: int) -> float:
    """Return the chance that one of k replies is right, estimated without bias from `replies` of which `right` were.

    It is 1 - C(replies - right, k) / C(replies, k) (Chen et al. 2021, "Evaluating Large Language Models Trained on Code").

    Raises:
        ValueError: there are fewer than k replies.
    """
    if not 1 <= k <= replies:
        raise ValueError(f"k must be from 1 to the number of replies, {replies}, got {k}")
    if replies - right < k:
        return 1.0
    return float(1 - np.prod(1 - k / np.arange(replies - right + 1, replies + 1)))


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


def digests_of(shown: Interface, batch: Batch) -> list[str]:
    """Return the digest of each question of a batch, see `replies.question_digest`."""
    arrays = shown.arrays(batch)
    return [
        question_digest(prompt, [arrays[name][row] for name in shown.task.images])
        for row, prompt in enumerate(shown.prompts(batch))
    ]


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
        pass_at=_passes(success, questions),
    )


def _passes(success: NDArray[np.bool_], questions: list[tuple[int, int]]) -> dict[int, float]:
    """Return the mean of `pass_at_k` for k = 1, 2, 4, ..., as long as every question has k replies."""
    replies: dict[tuple[int, int], list[bool]] = defaultdict(list)
    for question, right in zip(questions, success.tolist(), strict=True):
        replies[question].append(right)
    fewest = min(map(len, replies.values()))
    steps = [1 << power for power in range(fewest.bit_length())]
    return {k: float(np.mean([pass_at_k(len(each), sum(each), k) for each in replies.values()])) for k in steps}
