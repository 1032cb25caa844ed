"""What the records of a set amount to: accuracies, what words alone give, and what pictures add; before, after, and by kind.

The unit is the question; of one that was asked with its options in all rotations, all of them, which are right if each is.
Intervals resample pictures, since questions about one picture are not independent; differences are paired by question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.choosing.asking import ALTERED, BLANK, REWIRED
from ssl4rl_agents.choosing.measures import calibrated, chosen, per_token, picture_gain
from ssl4rl_agents.choosing.records import Record
from ssl4rl_agents.choosing.statistics import holm, interval, paired

Values = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Units:
    """Measures of each question of a set.

    Args:
        keys, pictures, kinds: (n,) of each unit.
        values: (n,) by measure, NaN where a question has none: `accuracy` by choice, `greedy`, `readable`, `per_token`,
            `calibrated` (the blank picture's log-probabilities subtracted), `blank`, `swapped`, `noise`, `rewired`
            (accuracies by choice with what is altered so), `picture_gain` in nats, of graphs in words what their edges add,
            and `chance` of the choice.
        congruent: (n,) whether the truth is what words favour; None where no question says it.
    """

    keys: list[str]
    pictures: list[str]
    kinds: list[str]
    values: Values
    congruent: NDArray[np.float64] | None


MEASURES = ("accuracy", "greedy", "readable", "per_token", "calibrated", *ALTERED, "picture_gain", "chance")
DIFFERENCES = ("accuracy", "greedy", "calibrated", "picture_gain")
MEANS = ("picture_gain", "readable", "chance")
"""Of several rotations the mean counts; of the other measures, whether all are right."""


def units_of(records: Sequence[Record]) -> Units:
    """Measure each question of a set.

    Raises:
        ValueError: there is no record.
    """
    if not records:
        raise ValueError("there are no records to sum up")
    values = _values(records)
    groups: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        groups.setdefault(record.key if record.group is None else record.group, []).append(row)
    firsts = [records[rows[0]] for rows in groups.values()]
    merged = {
        name: np.array([each[rows].mean() if name in MEANS else each[rows].min() for rows in groups.values()])
        for name, each in values.items()
    }
    return Units(
        keys=list(groups),
        pictures=[record.picture for record in firsts],
        kinds=[record.kind for record in firsts],
        values=merged,
        congruent=None
        if all(record.favoured is None for record in firsts)
        else np.array(
            [np.nan if record.favoured is None else record.favoured == record.truth for record in firsts], np.float64
        ),
    )


def _values(records: Sequence[Record]) -> Values:
    truth = np.array([record.truth for record in records])
    shown = _padded([record.shown for record in records])
    altered = {how: _padded([getattr(record, how) for record in records], shown.shape[1]) for how in ALTERED}
    seen = {how: np.array([getattr(record, how) is not None for record in records]) for how in ALTERED}
    tokens = _padded([record.tokens for record in records], fill=0)

    def right(logprobs: Any) -> NDArray[np.float64]:
        return np.asarray(chosen(logprobs) == truth, np.float64)

    values = {
        "accuracy": right(shown),
        "greedy": np.array([record.right for record in records], np.float64),
        "readable": np.array([record.answer is not None for record in records], np.float64),
        "per_token": right(per_token(shown, tokens)),
        "chance": np.array([1 / len(record.options) for record in records]),
    }
    for how in ALTERED:
        values[how] = np.where(seen[how], right(altered[how]), np.nan)
    blank = np.where(seen[BLANK][:, None], altered[BLANK], shown)
    values["calibrated"] = np.where(seen[BLANK], right(calibrated(shown, blank)), np.nan)
    without = np.where(seen[REWIRED][:, None], altered[REWIRED], blank)
    values["picture_gain"] = np.where(seen[BLANK] | seen[REWIRED], picture_gain(shown, without, truth), np.nan)
    return values


def _padded(rows: Sequence[Sequence[float] | None], width: int | None = None, fill: float = -np.inf) -> NDArray[np.float64]:
    wide = width or max(len(row) for row in rows if row is not None)
    padded = np.full((len(rows), wide), fill)
    for number, row in enumerate(rows):
        if row is not None:
            padded[number, : len(row)] = row
    return padded


def summarise(units: Units) -> dict[str, Any]:
    """Return the means of all measures with their 95 % intervals, all kinds together and each, as plain data.

    A measure is None where no question has it; an interval, where all that have it are about one picture.
    """
    everything = np.ones(len(units.keys), bool)
    told: dict[str, Any] = {"questions": len(units.keys), "pictures": len(set(units.pictures))}
    told |= {name: _estimate(units, name, everything) for name in MEASURES}
    if units.congruent is not None:
        for name, wanted in (("congruent", 1.0), ("incongruent", 0.0)):
            told[name] = _estimate(units, "accuracy", units.congruent == wanted)
    names = sorted(set(units.kinds))
    if len(names) > 1:
        told["kinds"] = {
            name: {
                measure: _estimate(units, measure, np.array([kind == name for kind in units.kinds]))
                for measure in ("accuracy", "greedy", "calibrated", "blank", "picture_gain")
            }
            for name in names
        }
    return told


def compare(before: Units, after: Units) -> dict[str, Any]:
    """Return differences, after minus before, paired by question, with 95 % intervals and p; by kind with Holm's correction.

    Raises:
        ValueError: other questions were asked.
    """
    place = {key: row for row, key in enumerate(before.keys)}
    if set(place) != set(after.keys):
        lacking = sorted(set(place) ^ set(after.keys))
        raise ValueError(
            f"differences are paired by question, and {len(lacking)} were asked once alone, {lacking[0]!r} first"
        )
    order = np.array([place[key] for key in after.keys])
    everything = np.ones(len(order), bool)
    told: dict[str, Any] = {name: _difference(before, after, order, name, everything) for name in DIFFERENCES}
    if after.congruent is not None:
        for name, wanted in (("congruent", 1.0), ("incongruent", 0.0)):
            told[name] = _difference(before, after, order, "accuracy", after.congruent == wanted)
    names = sorted(set(after.kinds))
    if len(names) > 1:
        told["kinds"] = {
            name: _difference(before, after, order, "accuracy", np.array([kind == name for kind in after.kinds]))
            for name in names
        }
        known = [name for name in names if told["kinds"][name] is not None and told["kinds"][name]["p"] is not None]
        for name, corrected in zip(known, holm([told["kinds"][name]["p"] for name in known]), strict=True):
            told["kinds"][name]["p_holm"] = corrected
    return told


def _estimate(units: Units, name: str, rows: NDArray[np.bool_]) -> dict[str, Any] | None:
    values = units.values[name]
    kept = np.flatnonzero(rows & np.isfinite(values))
    if not len(kept):
        return None
    clusters = [units.pictures[row] for row in kept]
    low, high = interval(values[kept], clusters) if len(set(clusters)) > 1 else (None, None)
    return {"value": float(values[kept].mean()), "low": low, "high": high, "questions": len(kept)}


def _difference(
    before: Units, after: Units, order: NDArray[np.int64], name: str, rows: NDArray[np.bool_]
) -> dict[str, Any] | None:
    values = after.values[name] - before.values[name][order]
    kept = np.flatnonzero(rows & np.isfinite(values))
    if not len(kept):
        return None
    clusters = [after.pictures[row] for row in kept]
    if len(set(clusters)) < 2:
        return {"value": float(values[kept].mean()), "low": None, "high": None, "p": None, "questions": len(kept)}
    mean, low, high, p = paired(values[kept], clusters)
    return {"value": mean, "low": low, "high": high, "p": p, "questions": len(kept)}
