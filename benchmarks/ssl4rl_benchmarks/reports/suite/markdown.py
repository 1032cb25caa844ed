"""The report as Markdown: a leaderboard, scores by environment, what else changed, what failed, and how to do it again."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.bench.statistics import Estimate
from ssl4rl_benchmarks.reports.suite.summary import Change, Summary, numbers

NONE = "–"
UNKNOWN = "unknown"
"""In place of what is no number."""


def write(summary: Summary, asks: str = "") -> str:
    """Return the report."""
    parts = [f"# {summary.suite}", asks, _about(summary), *summary.caveats]
    if summary.standings:
        parts += ["## Leaderboard", _explained(summary), leaderboard(summary), " ".join(summary.left_out)]
    if summary.winners:
        parts += ["## Who wins where", WINNERS, winners(summary)]
    scores = by_environment(summary)
    parts += ["## By environment", BY_ENVIRONMENT + UNKNOWN_SCORES * (UNKNOWN in scores), scores]
    if summary.together:
        parts += ["## Together or alone", TOGETHER, together(summary)]
    if summary.changes:
        parts += ["## What else changed", CHANGED, *matrices(summary)]
        if summary.above:
            parts += ["### Above controls", ABOVE, above(summary)]
        parts += ["### In full", changed(summary.changes)]
    if summary.failed:
        parts += ["## Failed runs", failures(summary)]
    return "\n\n".join(part for part in parts if part) + "\n"


WINNERS = (
    "Of the agents that learn from reward, the one with the highest mean over seeds, and by how much it is ahead of the next "
    "one (95 % intervals by Welch's t; bold where it lies above 0). The best of many is flattered a little by chance; `maybe "
    "chance` stands where its interval holds 0, `below chance` where it lies below. The ceiling is the best network that is "
    "told the right answers. Seconds of learning are medians over its runs."
)
BY_ENVIRONMENT = (
    "Normalised scores on held-out items, means over seeds with 95 % intervals by Student's t; 0 is the best that is "
    "possible without looking, 1 the right answers. A cell without an interval has one seed, or seeds that score the same."
)
UNKNOWN_SCORES = " `unknown` stands where a score is no number, or cannot be normalised."
TOGETHER = (
    "An agent that learned several tasks at once, asked one of them, beside one that learned only that; `mean` is of all. "
    "Differences have 95 % intervals by Welch's t: bold where they lie above 0, in italics where they lie below."
)
CHANGED = (
    "What training in the environment on the left did to what stands on top: after minus before, means over seeds with 95 % "
    "intervals. `task:` are normalised scores without training there, the others accuracies with so many labels a class (see "
    "`ssl4rl_benchmarks.bench.probes`). Gains whose interval lies above 0 are bold, harm whose interval lies below it is in "
    "italics; without any effect one cell in twenty is so by chance."
)

ABOVE = (
    "The same measurements beside those of the same agent that learned as long under a control, which takes something away: "
    "differences after training, paired by seed, whose networks began alike; means over seeds with 95 % intervals by "
    "Student's t, bold where they lie above 0."
)


def leaderboard(summary: Summary) -> str:
    """Return the table of agents, from best to worst."""
    head = ["agent", "score (IQM)", "95 % interval", "episodes", "learning", "beats the leader", "memory"]
    rows = []
    for place in summary.standings:
        beats = NONE if place.beats is None else cell(place.beats)
        cost = [numbers(place.episodes), f"{fixed(place.seconds, 0)} s"]
        scored = [place.named, fixed(place.score.value, 3), reach(place.score)]
        rows.append([*scored, *cost, beats, f"{fixed(place.memory_mb, 0)} MB"])
    return table(head, rows)


def winners(summary: Summary) -> str:
    """Return the table of the best agent of each environment."""
    rows = []
    for won in summary.winners:
        told = NONE if won.ceiling is None else f"{won.ceiling[0]} {cell(won.ceiling[1])}"
        cost = [numbers(won.episodes), f"{won.seconds:.0f} s"]
        rows.append([won.env, won.named, cell(won.score), *cost, f"{won.marked(won.second)}: {signed(won.ahead)}", told])
    return table(["", "best", "score", "episodes", "learning", "ahead of", "ceiling"], rows)


def by_environment(summary: Summary) -> str:
    """Return the table of scores: environments down, agents across."""
    found = summary.table
    rows = [[env, *(cell(found.cell(agent, env)) for agent in found.agents)] for env in found.environments]
    return table(["", *found.agents], rows)


def together(summary: Summary) -> str:
    """Return the table of mixtures beside their tasks alone."""
    rows = [
        [one.env, one.agent, one.task, cell(one.together), cell(one.alone), signed(one.ahead)] for one in summary.together
    ]
    return table(["trained on", "agent", "asked", "together", "alone", "difference"], rows)


def matrices(summary: Summary) -> list[str]:
    """Return a table of gains for each agent: where it was trained down, what was measured across."""
    found = []
    for agent, by_env in summary.matrices().items():
        columns = list(dict.fromkeys(what for row in by_env.values() for what in row))
        rows = [[env, *(signed(row[what].gain) if what in row else NONE for what in columns)] for env, row in by_env.items()]
        found += [f"**{agent}**", table(["trained in", *columns], rows)]
    return found


def above(summary: Summary) -> str:
    """Return the table of what is above controls."""
    rows = [
        [one.env, one.agent, one.control, one.what, fixed(one.value.value, 3), fixed(one.under.value, 3), signed(one.ahead)]
        for one in summary.above
    ]
    return table(["trained in", "agent", "control", "measured", "after", "under the control", "above it"], rows)


def changed(changes: Sequence[Change]) -> str:
    """Return the table of what else became better or worse."""
    rows = []
    for change in changes:
        beside = ", ".join(f"{name} {fixed(value, 3)}" for name, value in change.beside.items())
        cells = [change.env, change.agent, change.what, fixed(change.before.value, 3), fixed(change.after.value, 3)]
        rows.append([*cells, signed(change.gain), change.gain.verdict, beside])
    return table(["trained in", "agent", "measured", "before", "after", "gain", "", "beside"], rows)


def failures(summary: Summary) -> str:
    """Return the list of failed runs with their errors."""
    return "\n".join(f"- `{row['command']}`: {row['error']}" for row in summary.failed)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; bars within cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines)


def cell(found: Estimate | None) -> str:
    """Return a score with its interval, as short as can be."""
    if found is None:
        return NONE
    value = fixed(found.value, 2)
    return f"{value} ({reach(found, 2)})" if found.reaches else value


def signed(found: Estimate) -> str:
    """Return a difference with its interval: bold where it is better for sure, in italics where it is worse for sure."""
    mark = {"better": "**", "worse": "*"}.get(found.verdict, "")
    text = f"{mark}{plus(found.value, 2)}{mark}"
    return f"{text} ({plus(found.low, 2)} to {plus(found.high, 2)})" if found.reaches else text


def reach(found: Estimate, digits: int = 3) -> str:
    """Return an interval; of one value there is none."""
    if not found.reaches:
        return NONE
    return f"{fixed(found.low, digits)} to {fixed(found.high, digits)}"


def fixed(value: float | None, digits: int) -> str:
    """Return a number with so many digits behind the point, and nought without a sign; "unknown" for what is none."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{round(value, digits) + 0.0:.{digits}f}"


def plus(value: float, digits: int) -> str:
    """Return a number with its sign, and nought without one."""
    rounded = round(value, digits) if math.isfinite(value) else 0.0
    return f"{rounded:+.{digits}f}" if rounded else fixed(0 * value, digits)


def _about(summary: Summary) -> str:
    done = summary.done
    commits = sorted({str(row["commit"]) for row in done})
    episodes = sorted({row["config"]["episodes"] for row in done if row["config"]["agent"]["learns"]})
    trained = f", {numbers(episodes)} training episodes each" * bool(episodes)
    versions: dict[str, list[str]] = {}
    for row in done:
        for name, version in row["versions"].items():
            if version not in versions.setdefault(name, []):
                versions[name].append(version)
    installed = ", ".join(f"{name} {' and '.join(found)}" for name, found in versions.items())
    hours = sum(row["seconds"]["total"] for row in done) / 3600
    counts = f"{len(done)} runs ended well, {len(summary.failed)} failed{trained}; {hours:.1f} hours of processes in all."
    return (
        f"    {summary.command}\n\n"
        f"{counts} Measured on {machines(summary)}; commit {', '.join(commits)}; {installed}. Any cell again: the same "
        "command with `--env 'NAME' --agent 'NAME'`. Every number follows from the raw rows."
    )


def machines(summary: Summary) -> str:
    """Return what runs were done on."""
    return " and ".join(sorted({machine_of(row) for row in summary.done}))


def machine_of(row: Row) -> str:
    """Return what a run was done on."""
    gpu = f", {row['machine']['gpu']}" if row["device"] == "cuda" else ""
    return f"{row['machine']['cores']} cores{gpu}, {row['threads']} thread{'s' * (row['threads'] > 1)} a run"


def _explained(summary: Summary) -> str:
    seeds = f"seed{'s' * (len(summary.seeds) > 1)} {', '.join(map(str, summary.seeds))}"
    return (
        f"Interquartile means of normalised scores over {len(summary.shared)} environments that all of these agents take "
        f"({', '.join(summary.shared)}) and {seeds}, with 95 % intervals by stratified bootstrap (rliable). "
        "Seconds of learning (format warm-up and measurements apart) and memory of the whole process are "
        f"medians; measured on {machines(summary)}. `beats the leader`: how probably one of its runs beats one of the best "
        "agent's that is not told answers. An asterisk marks supervised ceilings, which are told the "
        "right answers."
    )
