"""What a policy answered to each question of a set, by choice and greedily, with its pictures and with altered ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from ssl4rl_agents.choosing.altering import NothingToSwapError
from ssl4rl_agents.choosing.asking import ALTERED, SHOWN, replies
from ssl4rl_agents.choosing.options import Scored, score_options
from ssl4rl_agents.choosing.questions import Question, understood
from ssl4rl_agents.choosing.sets import Part, Questions
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.runs.files import write_text
from ssl4rl_envs.answers import wrap

Logprobs = tuple[float, ...]
Watch = Callable[[int], None]


@dataclass(frozen=True)
class Record:
    """One question and what was answered.

    Args:
        key, kind, picture, group, options, truth, favoured: as of the `Question`.
        shown: log-probabilities of the options, each written whole.
        blank, swapped, noise: the same with altered pictures; None where there is none, or none to swap with.
        rewired: the same with other edges, of a graph that is told in words; else None.
        tokens: how many tokens each option takes.
        reply: the greedy reply, words or an action.
        answer: which option it gives; None where it gives none.
        right: whether that is the truth.
    """

    key: str
    kind: str
    picture: str
    group: str | None
    options: tuple[str, ...]
    truth: int
    favoured: int | None
    shown: Logprobs
    blank: Logprobs | None
    swapped: Logprobs | None
    noise: Logprobs | None
    tokens: tuple[int, ...]
    reply: Any
    answer: int | None
    right: bool
    rewired: Logprobs | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Answered:
    """The records of a set, in its order, and what there is to say of how they came about."""

    records: list[Record]
    notes: tuple[str, ...] = ()


def answer(policy: Policy, questions: Questions, *, grammar: str = "strict", watch: Watch = lambda _: None) -> Answered:
    """Ask a policy all questions of a set, with their pictures and with altered ones.

    Args:
        policy: is asked. One that writes words may write as many tokens from now on as the longest option takes.
        questions: the set.
        grammar: how greedy replies are read.
        watch: called with how many questions were put, altered ones counted.

    Raises:
        ValueError: as of `options.score_options` and of `Questions.parts`.
    """
    asked: dict[str, tuple[Question, Any, int | None]] = {}
    found: dict[str, dict[str, tuple[Logprobs, tuple[int, ...]]]] = {how: {} for how in (SHOWN, *ALTERED)}
    notes, done = [], 0
    for how in (SHOWN, *questions.ways(policy)):
        try:
            for part in questions.parts(policy, None if how == SHOWN else how):
                make_room(policy, part.offered)
                scored = score_options(policy, part.observations, part.offered)
                found[how] |= dict(zip([each.key for each in part.questions], _plain(scored, part), strict=True))
                if how == SHOWN:
                    asked |= _greedy(policy, part, grammar)
                done += len(part.questions)
                watch(done)
        except NothingToSwapError as error:
            notes.append(f"{how}: {error}")
            found[how] = {}
    records = []
    for key, (question, reply, given) in asked.items():
        shown, tokens = found[SHOWN][key]
        altered = {how: found[how][key][0] if key in found[how] else None for how in ALTERED}
        records.append(
            Record(
                key=key,
                kind=question.kind,
                picture=question.picture,
                group=question.group,
                options=question.options,
                truth=question.truth,
                favoured=question.favoured,
                shown=shown,
                tokens=tokens,
                reply=reply,
                answer=given,
                right=given == question.truth,
                **altered,
            )
        )
    return Answered(records, tuple(notes))


def make_room(policy: Policy, offered: Iterable[tuple[Any, ...]]) -> None:
    """Let a policy that writes words write the longest of these answers."""
    if policy.interface != "text":
        return
    style = getattr(policy, "prompt_style", "direct")
    replies = sorted({wrap(str(answer), style) for answers in offered for answer in answers})
    before, policy.max_new_tokens = policy.max_new_tokens, 2**31
    longest = policy.encode_answers(replies)[0].shape[1]
    policy.max_new_tokens = max(before, longest)


def write_records(path: Path, sets: Iterable[tuple[str, str, str, Iterable[Record]]]) -> None:
    """Write records as JSON lines, each with the name of its set, when it was asked ("before", "after"), and the model.

    Args:
        path: the file.
        sets: name, when, model, records.
    """
    lines = (
        json.dumps({"set": name, "when": when, "model": model, **record.to_json()})
        for name, when, model, records in sets
        for record in records
    )
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_records(path: Path) -> dict[tuple[str, str], list[Record]]:
    """Return the records of a file by set and when they were asked.

    Raises:
        ValueError: a line is no record; the message names file and line.
    """
    found: dict[tuple[str, str], list[Record]] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            row = json.loads(line)
            name, when = row.pop("set"), row.pop("when")
            row.pop("model")
            fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
            record = Record(**fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}, line {number}: it is no record of a question: {error}") from error
        found.setdefault((name, when), []).append(record)
    return found


def _plain(scored: Scored, part: Part) -> list[tuple[Logprobs, tuple[int, ...]]]:
    return [
        (tuple(logprobs[: len(offered)]), tuple(tokens[: len(offered)]))
        for logprobs, tokens, offered in zip(scored.logprobs.tolist(), scored.tokens.tolist(), part.offered, strict=True)
    ]


def _greedy(policy: Policy, part: Part, grammar: str) -> dict[str, tuple[Question, Any, int | None]]:
    """Return the likeliest replies, by question: the question, the reply, and which option that gives."""
    style = getattr(policy, "prompt_style", "direct")
    found = {}
    for question, reply, offered in zip(part.questions, replies(policy, part.observations), part.offered, strict=True):
        if policy.interface == "text":
            said: Any = reply
            given = understood(reply, offered, style, grammar)
        else:
            said = cast(Any, reply).tolist()
            given = offered.index(said) if said in offered else None
        found[question.key] = (question, said, given)
    return found
