"""What training on one question did to what was never trained on: before, after, beside a coin and beside no network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ssl4rl_benchmarks.bench import statistics
from ssl4rl_benchmarks.bench.measured import difference
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.bench.statistics import Estimate
from ssl4rl_benchmarks.paper.declaration import COIN

Entries = dict[int, dict[str, Any]]
"""What rows hold of one measurement, by seed."""


class Moved(NamedTuple):
    """One measurement of what learned one task.

    Args:
        task, change, model: which learned.
        what: the name of the measurement.
        seeds: how many networks.
        before, after: means over these.
        gain: after minus before.
        coin: what the same networks reach that were paid by a coin; None where there are none.
        above: after minus that.
        beside: what is reached without a network, by name.
    """

    task: str
    change: str
    model: str
    what: str
    seeds: int
    before: float
    after: float
    gain: Estimate
    coin: float | None
    above: Estimate | None
    beside: dict[str, float]


def moves(rows: Sequence[Row]) -> list[Moved]:
    """Return what was moved in the runs of rows, those that a coin paid beside those of the same task and model."""
    runs: dict[tuple[str, str, str], dict[str, Entries]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        for entry in row.get("beyond", ()):
            if "error" not in entry:
                sides = {side: {**entry[side], "units": entry["units"]} for side in ("before", "after")}
                runs[row["task"], row["change"], row["model"]][entry["what"]][row["seed"]] = {**entry, **sides}
    found = []
    for (task, change, model), measured in runs.items():
        if change == COIN:
            continue
        paid = runs.get((task, COIN, model), {}) if not change else {}
        found += [_moved((task, change, model), what, own, paid.get(what, {})) for what, own in measured.items()]
    return found


def _moved(names: tuple[str, str, str], what: str, own: Entries, paid: Entries) -> Moved:
    before, after = (float(np.mean([entry[side]["value"] for entry in own.values()])) for side in ("before", "after"))
    gain = _gap([(entry["after"], entry["before"]) for entry in own.values()])
    both = [seed for seed in own if seed in paid]
    beside = next(iter(own.values()))["beside"]
    if not both:
        return Moved(*names, what, len(own), before, after, gain, None, None, beside)
    coin = float(np.mean([paid[seed]["after"]["value"] for seed in both]))
    above = _gap([(own[seed]["after"], paid[seed]["after"]) for seed in both])
    return Moved(*names, what, len(own), before, after, gain, coin, above, beside)


def _gap(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Estimate:
    """Return the mean of differences of networks, and its interval: over networks, or of one over questions or draws."""
    if len(pairs) > 1:
        return statistics.mean([one["value"] - other["value"] for one, other in pairs])
    ((one, other),) = pairs
    if len(set(one["units"])) < 2:
        return statistics.mean([one["value"] - other["value"]])
    found = difference(one, other)
    return Estimate(found.mean, found.low, found.high)


def transfer(rows: Sequence[Row]) -> list[str]:
    """Return lines of Markdown; none where nothing was measured beside the task."""
    found, wrong = moves(rows), _unmeasured(rows)
    if not found and not wrong:
        return []
    lines = [
        "",
        "What else the same models do, before and after. `task:` is a normalised score, `links:` the area under the ROC "
        "curve, all else a share of right answers; @ is followed by how many labels of a class, or lessons of an answer, a "
        "probe of the frozen model has. Differences have 95 % intervals: of several seeds by Student's t over networks, of "
        "one over questions or draws of labels, in pairs. Bold where it lies above 0, italic where below; of many, one in "
        "twenty does so by chance. The coin paid the same networks for as long, whatever they answered.",
        "",
        "| trained on | model | measured | seeds | before | after | gain | coin | above the coin | without a network |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in sorted(found, key=lambda each: (each.task, each.change, each.model)):
        name = f"{each.task}: {each.change}" if each.change else each.task
        beside = ", ".join(f"{what} {value:.3f}" for what, value in each.beside.items())
        coin = "" if each.coin is None else f"{each.coin:.3f}"
        above = "" if each.above is None else _told(each.above)
        cells = [name, each.model, each.what, str(each.seeds), f"{each.before:.3f}", f"{each.after:.3f}", _told(each.gain)]
        lines.append(f"| {' | '.join([*cells, coin, above, beside])} |")
    if wrong:
        lines += ["", "Not measured:", "", *wrong]
    return lines


def _unmeasured(rows: Sequence[Row]) -> list[str]:
    """Say what could not be measured, and why, each reason once."""
    reasons: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for row in rows:
        for entry in row.get("beyond", ()):
            if "error" in entry:
                reasons[row["model"], entry["error"]][entry["what"]] = None
    return [f"- {', '.join(names)}, of {model}: {error}" for (model, error), names in reasons.items()]


def _told(gap: Estimate) -> str:
    sign = {"better": "**", "worse": "*"}.get(gap.verdict, "")
    reach = f" ({gap.low:+.3f} to {gap.high:+.3f})" if gap.reaches else ""
    return f"{sign}{gap.value:+.3f}{sign}{reach}"
