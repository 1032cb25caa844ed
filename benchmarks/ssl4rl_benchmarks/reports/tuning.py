"""The report of a search: what every algorithm was tried with, how far candidates lie apart, and which was chosen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ssl4rl_benchmarks.reports.suite.markdown import NONE, fixed, plus, table

EXPLAINED = (
    "Every algorithm had as many candidates, its defaults (number 0) among them. Scores are normalised, on the validation "
    "split, means over environments and seeds. They flatter the best of many: what is reported of the suite is measured on "
    "the test split, by other seeds. A candidate of which a run failed is not chosen."
)


def write(choices: dict[str, Any]) -> str:
    """Return the report, as Markdown."""
    parts = [f"# {choices['suite']}: the search for settings", _about(choices), EXPLAINED, summary(choices)]
    if choices["not_searched"]:
        parts.append("\n".join(f"- {title} was not searched: {why}" for title, why in choices["not_searched"].items()))
    for title, search in choices["agents"].items():
        parts += [f"## {title}", candidates(search, choices["search"]["environments"])]
    return "\n\n".join(parts) + "\n"


def summary(choices: dict[str, Any]) -> str:
    """Return the table of algorithms: how many candidates, how far apart, what was chosen and what it gains."""
    head = [
        "algorithm",
        "candidates",
        "defaults",
        "lowest to highest",
        "spread (SD)",
        "chosen",
        "score",
        "gain",
        "settings",
        "learning",
    ]
    rows = []
    for title, search in choices["agents"].items():
        tried = search["candidates"]
        scores = [one["score"] for one in tried if one["score"] is not None]
        default, number = tried[0]["score"], search["chosen"]
        best = None if number is None else tried[number]
        gain = NONE if best is None or default is None else plus(best["score"] - default, 3)
        rows.append(
            [
                title,
                _counted(tried),
                _score(default),
                f"{fixed(min(scores), 3)} to {fixed(max(scores), 3)}" if scores else NONE,
                fixed(float(np.std(scores, ddof=1)), 3) if len(scores) > 1 else NONE,
                NONE if number is None else f"#{number}",
                NONE if best is None else _score(best["score"]),
                gain,
                NONE if best is None else _words(best["settings"]),
                f"{sum(one['learning_seconds'] for one in tried):.0f} s",
            ]
        )
    return table(head, rows)


def candidates(search: dict[str, Any], environments: Sequence[str]) -> str:
    """Return the table of an algorithm's candidates, from best to worst."""
    order = sorted(search["candidates"], key=lambda one: (one["score"] is None, -(one["score"] or 0.0), one["number"]))
    seen = [env for env in environments if any(env in one["scores"] for one in order)]
    rows = []
    for one in order:
        mark = "**" if one["number"] == search["chosen"] else ""
        scores = [_score(one["scores"].get(env)) for env in seen] if len(seen) > 1 else []
        score = "failed: " + "; ".join(one["failed"]) if one["failed"] else f"{mark}{_score(one['score'])}{mark}"
        cost = f"{one['learning_seconds']:.0f} s"
        rows.append([f"{mark}#{one['number']}{mark}", _words(one["settings"]), score, *scores, cost])
    return table(["candidate", "settings", "score", *(seen if len(seen) > 1 else []), "learning"], rows)


def _about(choices: dict[str, Any]) -> str:
    search = choices["search"]
    episodes = " or ".join(f"{number:,}" for number in sorted(set(search["episodes"].values())))
    seeds = ", ".join(map(str, search["run_seeds"]))
    versions = ", ".join(f"{name} {version}" for name, version in search["versions"].items())
    return (
        f"    {search['command']}\n\n"
        f"{search['candidates']} candidates of each algorithm in {', '.join(search['environments'])}, {episodes} training "
        f"episodes each, measured over {search['validation_episodes']:,} questions of the validation split; seeds {seeds}, "
        f"which no suite has. {search['learning_seconds']:.0f} s of learning in all on {' and '.join(search['machines'])}; "
        f"commit {', '.join(search['commits'])}; {versions}."
    )


def _counted(tried: Sequence[dict[str, Any]]) -> str:
    failed = sum(bool(one["failed"]) for one in tried)
    return f"{len(tried)}" + f", {failed} failed" * bool(failed)


def _score(value: float | None) -> str:
    return NONE if value is None else fixed(value, 3)


def _words(settings: dict[str, Any], above: str = "") -> str:
    found = []
    for name, value in settings.items():
        found.append(_words(value, f"{name}.") if isinstance(value, dict) else f"{above}{name} {json.dumps(value)}")
    return ", ".join(found).replace('"', "")
