"""Settings that a search has chosen, as data: how they are worked out from rows, written, read, and given to a suite."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssl4rl_agents.settings import merged
from ssl4rl_benchmarks.bench.grid import REVISION, Entry, Environment, Suite
from ssl4rl_benchmarks.bench.rows import Row, number_of
from ssl4rl_benchmarks.bench.spaces import Settings

FOLDER = Path(__file__).parent / "tuned"
"""Where the declared suites have the settings that were chosen for them, SUITE.json; suites without have their defaults."""


@dataclass(frozen=True)
class Tried:
    """A candidate and how it did.

    Args:
        number: which; 0 are the defaults.
        settings: beside those that the suite gives.
        scores: normalised, on the validation split, by environment; means over seeds.
        seconds: of learning, all runs together.
        failed: errors of runs that came to nothing.
    """

    number: int
    settings: Settings
    scores: dict[str, float]
    seconds: float
    failed: tuple[str, ...]

    @property
    def score(self) -> float | None:
        """The mean over environments; None where a run failed, since those that are left say nothing of the rest."""
        return float(np.mean(list(self.scores.values()))) if self.scores and not self.failed else None


@dataclass(frozen=True)
class Search:
    """What was tried for an agent, and which candidate was chosen: the best on validation, the first of equal ones.

    Args:
        entry: the agent as the suite has it.
        tried: every candidate.
    """

    entry: Entry
    tried: tuple[Tried, ...]

    @property
    def chosen(self) -> Tried | None:
        """The best candidate; None where all failed."""
        sound = [tried for tried in self.tried if tried.score is not None]
        return max(sound, key=lambda tried: (tried.score, -tried.number), default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the search as plain data."""
        chosen = self.chosen
        return {
            "agent": self.entry.name,
            "given": self.entry.settings,
            "chosen": None if chosen is None else chosen.number,
            "settings": None if chosen is None else merged(self.entry.settings, chosen.settings),
            "candidates": [
                {
                    "number": tried.number,
                    "settings": tried.settings,
                    "score": tried.score,
                    "scores": tried.scores,
                    "learning_seconds": round(tried.seconds, 1),
                    "failed": list(tried.failed),
                }
                for tried in self.tried
            ],
        }


def tried_by(rows: Sequence[Row], number: int, settings: Settings, expected: int) -> Tried:
    """Work out how a candidate did from the rows of its runs.

    Args:
        rows: of its runs, failed ones too.
        number, settings: of the candidate.
        expected: how many runs it has; one without a row counts as failed.
    """
    ended = [row for row in rows if row["status"] == "done"]
    done = [row for row in ended if math.isfinite(number_of(row["result"]["normalised"]))]
    scores = {
        env: float(np.mean([row["result"]["normalised"] for row in done if row["env"] == env]))
        for env in dict.fromkeys(row["env"] for row in done)
    }
    failed = [f"{row['env']}: {row['error']}" for row in rows if row["status"] != "done"]
    failed += [f"{row['env']}: its score is no number" for row in ended if row not in done]
    failed += [f"{expected - len(rows)} of {expected} runs have no row"] * (len(rows) < expected)
    return Tried(number, settings, scores, sum(row["seconds"]["learning"] for row in ended), tuple(failed))


def read_choices(file: Path) -> dict[str, Any]:
    """Read what a search has chosen.

    Raises:
        ValueError: it is no such file, or of other questions and defaults than those of now.
        OSError: it cannot be read.
    """
    try:
        data: dict[str, Any] = json.loads(file.read_text())
        data["suite"], data["search"]["candidates"], [agent["given"] for agent in data["agents"].values()]
        revision = data["revision"]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} holds no choices of `ssl4rl bench tune` ({type(error).__name__}: {error})") from error
    if revision != REVISION:
        raise ValueError(
            f"{file} was chosen at revision {revision} of questions and defaults, which are at {REVISION} now; "
            f"search anew by: {data['search'].get('command', 'ssl4rl bench tune')}"
        )
    return data


def with_choices(suite: Suite, file: Path, *, named: bool = False) -> Suite:
    """Return a suite whose agents have the settings that a search has chosen for them.

    Args:
        suite: as it was declared.
        file: of the choices.
        named: whether the command must name the file, since the suite does not find it by itself.

    Raises:
        ValueError: the file is not of this suite, names an agent that the suite has not, or one with other settings, or an
            environment asks something else by now.
    """
    data = read_choices(file)
    known = {entry.title: entry for entry in suite.agents}
    if Path(data["suite"]).stem != Path(suite.name).stem:
        raise ValueError(f"{file} was chosen for the suite {data['suite']}, not for {suite.name}")
    strange = sorted(set(data["agents"]) - set(known))
    if strange:
        raise ValueError(f"{file} has settings of {', '.join(strange)}; {suite.name} has {', '.join(known)}")
    now = {env.name: asked(env) for env in suite.environments}
    for name, then in data["search"].get("asked", {}).items():
        if now.get(name, then) != then:
            raise ValueError(
                f"{file} was chosen over {name} as {then['id']} with {then['args']}; {suite.name} has it as "
                f"{now[name]['id']} with {now[name]['args']} now"
            )
    for title, found in data["agents"].items():
        entry = known[title]
        if (found["agent"], found["given"]) != (entry.name, json.loads(json.dumps(entry.settings))):
            raise ValueError(
                f"{file} was chosen for {title} as {found['agent']} with {found['given']}; {suite.name} has it as "
                f"{entry.name} with {entry.settings} now"
            )
        settings = found.get("settings", "nothing")
        if not (settings is None or isinstance(settings, dict)):
            raise ValueError(
                f"{file} has {settings!r} as the settings that were chosen for {title}; they are by name, or null"
            )
        if settings is not None:
            known[title] = replace(entry, settings=settings, tuned=_words(file, data))
    flags = f"{suite.flags} --tuned {shlex.quote(str(file))}".strip() if named else suite.flags
    return replace(suite, agents=tuple(known.values()), flags=flags)


def asked(env: Environment) -> dict[str, Any]:
    """Return what an environment asks, as plain data, by which it is known again."""
    plain: dict[str, Any] = json.loads(json.dumps({"id": env.id, "args": env.args}))
    return plain


def _words(file: Path, data: dict[str, Any]) -> str:
    search = data["search"]
    episodes = " or ".join(f"{number:,}" for number in sorted(set(search["episodes"].values())))
    return (
        f"an equal search ({file.name}: {search['candidates']} candidates each, {episodes} episodes, over what "
        f"each takes of {', '.join(search['environments'])}; the best on the validation split, by seeds of its own)"
    )
