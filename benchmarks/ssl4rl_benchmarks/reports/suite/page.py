"""The report as one page of HTML that needs no network: tables that sort, figures, a gallery, the raw rows."""

from __future__ import annotations

import json
import math
from typing import Any

from ssl4rl_agents.runs.files import finite
from ssl4rl_benchmarks.bench.gallery import GALLERY, gallery_envs, gallery_seeds
from ssl4rl_benchmarks.bench.grid import thawed
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.reports.page import inlined, render
from ssl4rl_benchmarks.reports.suite import plots
from ssl4rl_benchmarks.reports.suite.markdown import fixed, machines, plus
from ssl4rl_benchmarks.reports.suite.summary import Summary, numbers
from ssl4rl_envs import make_task

DRAWN = (
    ("Scores", "Interquartile means with 95 % intervals; hollow points are supervised ceilings.", plots.scores),
    ("Sample efficiency", "Held-out scores while learning, with 95 % intervals.", plots.curves),
    ("Performance profile", "The share of runs that score more than a threshold: higher is better.", plots.profiles),
    ("Probability of improvement", "How probably a run of an agent beats one of the best agent's.", plots.improvements),
    ("Cost", "Scores over seconds of learning.", plots.cost),
)
SECTIONS = (
    ("leaderboard", "Leaderboard"),
    ("figures", "Figures"),
    ("winners", "Who wins where"),
    ("environments", "By environment"),
    ("together", "Together or alone"),
    ("changes", "What else changed"),
    ("gallery", "Questions and answers"),
    ("failures", "Failed runs"),
    ("rows", "Raw rows"),
)


def write(summary: Summary, asks: str = "") -> str:
    """Return the page."""
    absent = set()
    if not summary.standings:
        absent |= {"leaderboard", "figures"}
    if not summary.winners:
        absent.add("winners")
    if not summary.together:
        absent.add("together")
    if not summary.changes:
        absent.add("changes")
    if not summary.failed:
        absent.add("failures")
    questions = gallery(summary.rows)
    if not questions:
        absent.add("gallery")
    done = summary.done
    return render(
        "suite/report.html",
        summary=summary,
        asks=asks,
        sections=[section for section in SECTIONS if section[0] not in absent],
        machines=machines(summary),
        commits=", ".join(sorted({str(row["commit"]) for row in done})),
        compared=[place.agent for place in summary.standings],
        changed_agents=sorted({change.agent for change in summary.changes}),
        changed_envs=sorted({change.env for change in summary.changes}),
        figures=[(title, text, drawn) for title, text, draw in DRAWN if (drawn := draw(summary))],
        caveats=[caveat.replace("**", "") for caveat in summary.caveats],
        shade=shade,
        order=order,
        fixed=fixed,
        numbers=numbers,
        plus=plus,
        columns_of=lambda by_env: list(dict.fromkeys(what for row in by_env.values() for what in row)),
        gallery=questions,
        rows_json=json.dumps(finite(summary.rows), allow_nan=False).replace("</", "<\\/"),
    )


def order(value: float | None) -> float:
    """Return what a cell is sorted by; what is unknown comes after everything else."""
    return -9.0 if value is None or not math.isfinite(value) else value


def shade(score: float) -> str:
    """Return the colour behind a score: white at 0, blue towards 1, red below 0; none where it is unknown."""
    if not math.isfinite(score):
        return "none"
    strength = min(1.0, abs(score))
    red, green, blue = (32, 92, 190) if score >= 0 else (179, 38, 30)
    return f"rgba({red},{green},{blue},{0.32 * strength:.2f})"


def gallery(rows: list[Row]) -> list[dict[str, Any]]:
    """Return the questions of each environment's gallery, with pictures, the truth, and the agents' answers."""
    found = []
    for env in dict.fromkeys(row["env"] for row in rows):
        firsts: dict[str, Row] = {}
        for row in sorted((r for r in rows if r["env"] == env and r.get("answers")), key=lambda row: row["seed"]):
            firsts.setdefault(row["agent"], row)
        if firsts:
            config = next(iter(firsts.values()))["config"]["env"]
            try:
                found.append({"name": env, "cards": _cards(config, firsts), "problem": ""})
            except (ValueError, OSError) as error:  # its pictures may lie on another machine
                found.append({"name": env, "cards": [], "problem": f"The questions cannot be shown here: {error}"})
    return found


def _cards(config: dict[str, Any], firsts: dict[str, Row]) -> list[dict[str, Any]]:
    task = make_task(config["id"], **thawed(config["args"]))
    envs = gallery_envs(task, "array")
    envs.reset(seed=gallery_seeds())
    batch = envs.batch
    questions, truths = task.caption(batch), task.truths(batch)
    cards = []
    for number in range(GALLERY):
        answers = []
        for agent, row in firsts.items():
            answer = row["answers"][number]
            kind = "right" if answer["success"] else "part" if answer["reward"] > 0 else "wrong"
            answers.append({"agent": agent, "said": answer["said"], "kind": kind})
        pictures = [{"name": name, "data": inlined(picture)} for name, picture in task.pictures(batch, number).items()]
        truth = truths[number]
        cards.append(
            {
                "number": number + 1,
                "pictures": pictures,
                "question": questions[number],
                "truth": f"truth: {truth}" if truth is not None else "",
                "answers": answers,
            }
        )
    return cards
