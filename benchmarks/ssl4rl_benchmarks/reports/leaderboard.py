"""The leaderboard of stored replies: who replied how well, and no further than the numbers carry.

There is a board for each environment with its arguments and split, and none across them. On a board a place is a range: from
behind all who are certainly better to before all who are certainly worse. Rows that answered the same questions carry the
same letter, and are compared item by item; others by their 95 % intervals, where replies that never came may have been right
or wrong.
"""

from __future__ import annotations

import inspect
import json
import string
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ssl4rl_agents.replies import Measurement, ReplyRow, measure_replies
from ssl4rl_agents.replies.measurement import Side, compare
from ssl4rl_agents.replies.scoring import UnscorableError
from ssl4rl_benchmarks.reports.page import render
from ssl4rl_benchmarks.reports.replies import caveats, sampling
from ssl4rl_envs import task_class

REFERENCES: tuple[str, ...] = ("random", "constant", "oracle")
"""Agents that frame a board and take no place on it: chance, and whoever is told the truth."""

KINDS = {"model": "model", "person": "person", "agent": "rule or policy"}


@dataclass(frozen=True)
class Entry:
    """A row of a board.

    Args:
        result: what was measured.
        letter: of the questions that were answered.
        together: how many people this is, for the row of all of them.
        places: the best and the last place that it may have; None for what takes none.
    """

    result: Measurement
    letter: str
    together: int = 0
    places: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Who replied."""
        return f"all {self.together} people" if self.together else self.result.model

    @property
    def kind(self) -> str:
        """What kind of one that is."""
        return "reference" if self.is_reference else KINDS[self.result.kind]

    @property
    def is_reference(self) -> bool:
        """Whether it takes no place because of what it is."""
        return self.result.kind == "agent" and self.result.model in REFERENCES


@dataclass(frozen=True)
class Board:
    """All that answered questions of one environment, arguments and split.

    Args:
        env, split: of the questions.
        arguments: those that are not the defaults, in words.
        args: all, as JSON.
        chance: expected reward without looking.
        entries: the best first.
        letters: how many questions each letter stands for.
    """

    env: str
    split: str
    arguments: str
    args: str
    chance: float
    entries: list[Entry]
    letters: dict[str, int]


@dataclass(frozen=True)
class Leaderboard:
    """Boards, and what could not be shown.

    Args:
        boards: by environment.
        by: the grammar that places go by.
        refused: runs that cannot be scored today, and why.
    """

    boards: list[Board]
    by: str
    refused: list[str]


def make(rows: Sequence[ReplyRow], by: str = "strict", errors_as: str = "missing") -> Leaderboard:
    """Score rows and place who replied.

    Args:
        rows: as `replies.read_replies` gives them.
        by: the grammar that places go by, "strict" or "lenient".
        errors_as: "missing" or "wrong", as of `measure_replies`.
    """
    grouped: dict[tuple[str, str, str], list[ReplyRow]] = defaultdict(list)
    for row in rows:
        grouped[row.env_id, row.args, row.split].append(row)
    boards, refused = [], []
    for (env, args, split), group in sorted(grouped.items()):
        runs: dict[tuple[str, ...], list[ReplyRow]] = defaultdict(list)
        for row in group:
            runs[row.run].append(row)
        measured = []
        for run, people in [*((run, 0) for run in runs.values()), *_together(runs)]:
            try:
                measured += [(result, people) for result in measure_replies(run, errors_as=errors_as)]
            except UnscorableError as error:
                refused.append(str(error))
        if measured:
            boards.append(_board(env, args, split, measured, by))
    return Leaderboard(boards, by, refused)


def page(board: Leaderboard, command: str) -> str:
    """Return the page, one file of HTML that needs no network."""
    return render(
        "leaderboard.html",
        boards=board.boards,
        by=board.by,
        refused=board.refused,
        command=command,
        side=lambda entry: side_of(entry.result, board.by),
        sampling=sampling,
        caveats=caveats,
        fixed=lambda value: "–" if value is None else f"{value:.3f}",
        placed=placed,
    )


def to_json(board: Leaderboard) -> dict[str, Any]:
    """Return a leaderboard as plain data."""
    return {
        "by": board.by,
        "refused": board.refused,
        "boards": [
            {
                "env": each.env,
                "args": each.args,
                "split": each.split,
                "chance": each.chance,
                "questions": each.letters,
                "entries": [
                    {"name": entry.name, "places": entry.places, "letter": entry.letter, **entry.result.to_json()}
                    for entry in each.entries
                ],
            }
            for each in board.boards
        ],
    }


def side_of(result: Measurement, grammar: str) -> Side | None:
    """Return what replies are worth by a grammar."""
    return result.strict if grammar == "strict" else result.lenient


def reach(result: Measurement, grammar: str) -> tuple[float, float]:
    """Return between which rates a success lies: its interval, widened by replies that never came and may have been any.

    Without any reply it is 0 to 1.
    """
    side = side_of(result, grammar)
    if side is None:
        return 0.0, 1.0
    missing = 0 if result.errors_as == "wrong" else result.errors
    share = result.replies / (result.replies + missing)
    return side.interval[0] * share, side.interval[1] * share + (1 - share)


def better(first: Measurement, second: Measurement, grammar: str) -> bool:
    """Return whether the first is certainly better than the second.

    Where both answered all of the same questions, item by item (`measurement.compare`); else where their reaches are apart.
    """
    sides = side_of(first, grammar), side_of(second, grammar)
    complete = all(result.errors == 0 or result.errors_as == "wrong" for result in (first, second))
    if sides[0] and sides[1] and first.which == second.which and complete:
        return compare(sides[0], sides[1]) > 0
    return reach(first, grammar)[0] > reach(second, grammar)[1]


def places(results: Sequence[Measurement], grammar: str) -> list[tuple[int, int]]:
    """Return the best and the last place that each may have, from 1: who cannot be told apart may change places."""
    return [
        (
            1 + sum(better(other, result, grammar) for other in results),
            len(results) - sum(better(result, other, grammar) for other in results),
        )
        for result in results
    ]


def placed(entry: Entry) -> str:
    """Return places in words: "1" or "1 to 3"."""
    if entry.places is None:
        return "–"
    first, last = entry.places
    return f"{first}" if first == last else f"{first} to {last}"


def _together(runs: dict[tuple[str, ...], list[ReplyRow]]) -> list[tuple[list[ReplyRow], int]]:
    """Return the rows of all people who were asked in the same way, as those of one, and how many these are; of several."""
    people: dict[str, list[list[ReplyRow]]] = defaultdict(list)
    for run in runs.values():
        if run[0].kind == "person":
            people[run[0].prompt_style].append(run)
    return [
        ([replace(row, model="people", settings={}) for run in several for row in run], len(several))
        for several in people.values()
        if len(several) > 1
    ]


def _board(env: str, args: str, split: str, measured: list[tuple[Measurement, int]], by: str) -> Board:
    """Return the board of what was measured, each with how many people it is of together; 0 where it is of one."""
    results = [result for result, _ in measured]
    letters: dict[str, str] = {}
    for result in sorted(results, key=lambda each: -each.asked):
        letters.setdefault(result.which, string.ascii_uppercase[len(letters) % 26] * (1 + len(letters) // 26))
    entries = [Entry(result, letters[result.which], people) for result, people in measured]
    counted = [entry for entry in entries if not entry.is_reference and not entry.together]
    found = places([entry.result for entry in counted], by)
    entries = [replace(entry, places=found[counted.index(entry)]) if entry in counted else entry for entry in entries]
    entries.sort(key=lambda entry: -_rate(entry.result, by))
    sizes = {letters[result.which]: result.asked for result in results}
    return Board(env, split, _words(env, args), args, results[0].chance, entries, dict(sorted(sizes.items())))


def _rate(result: Measurement, by: str) -> float:
    side = side_of(result, by)
    return -1.0 if side is None else side.success


def _words(env: str, args: str) -> str:
    """Return the arguments of a task that differ from its defaults."""
    defaults = {name: each.default for name, each in inspect.signature(task_class(env)).parameters.items()}
    given = {name: value for name, value in json.loads(args).items() if value != _plain(defaults.get(name))}
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in given.items()).replace('"', "")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
