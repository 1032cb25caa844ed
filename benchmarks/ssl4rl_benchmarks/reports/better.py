"""The report of the experiment: tables in Markdown, beside the pictures of `better_pictures`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ssl4rl_agents.choosing import Paired
from ssl4rl_agents.runs.files import finite
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.better.analysis import Table, arm_of_control, claims
from ssl4rl_benchmarks.better.declaration import CONTROLS, KINDS, PRETEXTS, TAUGHT, Pretext
from ssl4rl_benchmarks.better.studies import STUDIES, VARIED, study_of
from ssl4rl_benchmarks.better.trials import BASE, bases_of
from ssl4rl_benchmarks.reports.better_pictures import moved, opening
from ssl4rl_benchmarks.reports.suite.markdown import machine_of
from ssl4rl_benchmarks.reports.suite.plots import on_white

TABLES, ROWS = "better.md", "better.jsonl"
PICTURES = {"better.svg": moved, "better_opening.svg": opening}
"""Which files pictures go to; one that has nothing to show is not written."""

ANSWERS = ("accuracy", "congruent", "incongruent", "blank", "swapped", "subtracted", "greedy", "readable")
GREEDY = "`greedy` is the share of replies in words of its own that are right, `readable` of those that are an answer at all."

NUMBERS = ("accuracy", "congruent", "incongruent", "blank", "swapped", "subtracted", "gain", "greedy", "readable")


def write_report(rows: Sequence[Row], out: Path, study: str = "nano") -> None:
    """Write tables, pictures and rows into a folder.

    Args:
        rows: of any studies.
        out: the folder.
        study: the one that tables and pictures are of; those that vary one thing in it have a table together.
    """
    out.mkdir(parents=True, exist_ok=True)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(study_of(row) or study, []).append(row)
    kept = {row.get("key"): row for row in rows}

    def of(name: str) -> Table:
        """Return the rows of a study, those of bases too that it shares with another."""
        own = groups.get(name, [])
        there = {row.get("key") for row in own}
        bases = [trial.key for trial in bases_of(STUDIES[name].study, STUDIES[name].bases)]
        return Table([*own, *(kept[key] for key in bases if key in kept and key not in there)])

    table, varied = of(study), {name: of(name) for name in groups if name in VARIED}
    (out / TABLES).write_text(head(rows, study) + markdown(table, varied))
    (out / ROWS).write_text("".join(json.dumps(finite(row), allow_nan=False) + "\n" for row in rows))
    for name, draw in PICTURES.items():
        drawn = draw(table)
        if drawn:
            (out / name).write_text(on_white(drawn))


def head(rows: Sequence[Row], study: str) -> str:
    """Return what was asked, how it is done again, and on what it was measured; of rows that say it."""
    done = [row for row in rows if row["status"] == "done" and "machine" in row]
    if not done:
        return ""
    hours = sum(row["seconds"]["total"] for row in done) / 3600
    commits = ", ".join(dict.fromkeys(row["commit"] for row in done))
    versions = "; ".join(dict.fromkeys(", ".join(f"{name} {each}" for name, each in row["versions"].items()) for row in done))
    lines = [
        "# Is the model better afterwards?",
        "",
        "What it is about and what follows from it is in docs/better.md.",
        "",
        f"    ssl4rl better --study {study}",
        "",
        f"{len(done)} trials ended well, {len(rows) - len(done)} did not; {hours:.1f} hours of processes in all. Measured on "
        f"{' and '.join(sorted({machine_of(row) for row in done}))}; commits {commits}; {versions}.",
        "",
        "",
    ]
    return "\n".join(lines)


def markdown(table: Table, varied: Mapping[str, Table] = MappingProxyType({})) -> str:
    """Return all tables: the bases as they are, what each pretext and each of its controls moved, and what was varied."""
    parts = ["## The bases", "", *_bases(table)]
    for pretext in PRETEXTS:
        if any(arm.startswith(f"{pretext.name}, ") for arm in table.arms):
            parts += ["", f"## {pretext.name[0].upper()}{pretext.name[1:]}", "", *_pretext(table, pretext)]
    if varied:
        parts += ["", "## What was varied", "", *_varied(table, varied)]
    return "\n".join(parts) + "\n"


def _varied(table: Table, varied: Mapping[str, Table]) -> list[str]:
    """One line for each arm of each study, beside the same arm of the whole experiment, over the bases that both have."""
    lines = [
        "Accuracy on near questions: of the bases, with the subtraction, and what an arm adds, with 95 % intervals over "
        'bases. Lines "as declared" are of the first bases of the experiment above, as many as a study has.',
        "",
        "| study | bases | arm | untouched | subtracted | above the bases | all kinds | above a coin | all kinds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for arm in dict.fromkeys(arm for each in varied.values() for arm in each.arms if arm != BASE):
        most = max(len(each.values(arm, KINDS, "accuracy")) for each in varied.values())
        lines += _varied_line("as declared", table.first(most), arm)
        for name in sorted(varied):
            lines += _varied_line(f"{name}: {VARIED[name].about}", varied[name], arm)
    return lines


def _varied_line(title: str, table: Table, arm: str) -> list[str]:
    if arm not in table.arms or BASE not in table.arms:
        return []
    pretext = next(pretext for pretext in PRETEXTS if arm.startswith(f"{pretext.name}, "))
    near, coin = pretext.near, arm_of_control(pretext, "coin")
    bases = [table.values(BASE, near, number) for number in ("accuracy", "subtracted")]
    there = [base for base in table.values(arm, near, "accuracy") if base in bases[0]]
    if not there:
        return []
    means = " | ".join(f"{sum(each[base] for base in there) / len(there):.2f}" for each in bases)
    others = (BASE, coin) if arm != coin else (BASE,)
    cells = [points(table.between(arm, other, kinds)) for other in others for kinds in (near, KINDS)]
    return [f"| {title} | {len(there)} | {arm} | {means} | {' | '.join([*cells, '', ''][:4])} |"]


def _bases(table: Table) -> list[str]:
    count = len(table.values(BASE, KINDS, "accuracy"))
    if not count:
        return ["None of them is done."]
    lines = [f"Means over {count} bases, of balanced questions. `gain` in nats, the others are shares.", ""]
    lines += [f"| kind | {' | '.join(NUMBERS)} |", f"| --- |{' --- |' * len(NUMBERS)}"]
    for name, kinds in (*((kind, [kind]) for kind in KINDS), ("taught", list(TAUGHT)), ("all", list(KINDS))):
        found = [table.values(BASE, kinds, number) for number in NUMBERS]
        lines.append(f"| {name} | " + " | ".join(f"{sum(each.values()) / len(each):.2f}" for each in found) + " |")
    return lines


def _pretext(table: Table, pretext: Pretext) -> list[str]:
    near, far = ", ".join(pretext.near), ", ".join(pretext.far)
    lines = [
        f"Declared near: {near}; far: {far}. {pretext.why[0].upper()}{pretext.why[1:]}.",
        "",
        "By how many points the accuracy of choice on balanced questions is above that of the untouched bases, with 95 % "
        "intervals over bases; and after the blank picture's log-probabilities are subtracted, above the same of the bases.",
        "",
        "| | near | far | taught | all | picture gain, all | all, subtracted |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    alone = {"number": "subtracted", "against": "accuracy"}
    cells = [points(table.between(BASE, BASE, kinds, **alone)) for kinds in (pretext.near, pretext.far, TAUGHT, KINDS)]
    lines.append(f"| subtraction alone: nothing is trained | {' | '.join(cells)} | | +0.0 |")
    for control, says in CONTROLS.items():
        arm = arm_of_control(pretext, control)
        if arm not in table.arms:
            continue
        cells = [
            points(table.between(arm, BASE, pretext.near)),
            points(table.between(arm, BASE, pretext.far)),
            points(table.between(arm, BASE, TAUGHT)),
            points(table.between(arm, BASE)),
            nats(table.between(arm, BASE, number="gain")),
            points(table.between(arm, BASE, number="subtracted")),
        ]
        lines.append(f"| {control}: {says} | {' | '.join(cells)} |")
    first = arm_of_control(pretext, pretext.controls[0])
    if first in table.arms:
        for other, name in ((BASE, "the bases"), (arm_of_control(pretext, "coin"), "a coin")):
            if other in table.arms:
                lines += ["", f"Kinds of questions, {first} above {name}, with p by Holm over kinds:", ""]
                lines += [_kinds(table, first, other)]
        lines += ["", *_answers(table, pretext)]
        lines += ["", f"| declared of {pretext.controls[0]} | points | came true |", "| --- | --- | --- |"]
        for claim in claims(table, pretext):
            done = "not done" if claim.found is None else "yes" if claim.holds else "no"
            lines.append(f"| {claim.says} | {points(claim.found)} | {done} |")
    return lines


def _kinds(table: Table, arm: str, other: str) -> str:
    found = table.by_kind(lambda kinds: table.between(arm, other, kinds))
    return "; ".join(f"{kind} {points(each)} (p {p:.3f})" for kind, (each, p) in found.items()) + "."


def _answers(table: Table, pretext: Pretext) -> list[str]:
    """Return how near questions are answered: by choice as they are and altered, and in words of one's own."""
    lines = [f"Near questions as they are answered, means over bases; {GREEDY}", ""]
    lines += [f"| | {' | '.join(ANSWERS)} |", f"| --- |{' --- |' * len(ANSWERS)}"]
    arms = {"untouched": BASE} | {str(control): arm_of_control(pretext, control) for control in CONTROLS}
    for name, arm in arms.items():
        if arm in table.arms:
            found = [table.values(arm, pretext.near, number) for number in ANSWERS]
            lines.append(f"| {name} | " + " | ".join(f"{sum(each.values()) / len(each):.2f}" for each in found) + " |")
    return lines


def points(found: Paired | None) -> str:
    """Write a difference of shares in points."""
    return _written(found, lambda value: f"{100 * value:+.1f}")


def nats(found: Paired | None) -> str:
    """Write a difference of log-odds."""
    return _written(found, lambda value: f"{value:+.2f}")


def _written(found: Paired | None, form: Callable[[float], str]) -> str:
    """Write a difference with its interval, where there is one; nothing where nothing was done."""
    if found is None:
        return ""
    return form(found.mean) if math.isnan(found.p) else f"{form(found.mean)} ({form(found.low)} to {form(found.high)})"
