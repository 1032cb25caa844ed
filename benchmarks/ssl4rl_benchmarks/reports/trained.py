"""The page of something that was trained, whatever trained it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl4rl_agents.runs.files import write_text
from ssl4rl_benchmarks.bench.rows import versions
from ssl4rl_benchmarks.reports.answers import Answers
from ssl4rl_benchmarks.reports.curve import Curve, drawn
from ssl4rl_benchmarks.reports.drawing import svg as svg_of
from ssl4rl_benchmarks.reports.looking import Looks
from ssl4rl_benchmarks.reports.page import render
from ssl4rl_benchmarks.reports.results import COLUMNS, note, rows
from ssl4rl_benchmarks.reports.settings import told
from ssl4rl_envs import Task

CURVE, BOARD, PAGE = "curve.png", "board.png", "report.html"


@dataclass(frozen=True)
class Report:
    """What the page shows.

    Args:
        env, task: what is asked.
        who: is asked, in a word: "model", "agent".
        facts: what a reader asks first, with its name.
        command: that does it again.
        results: as results.json has them.
        troubles: what did not go well, in sentences.
        curve: how it learned.
        learned: what the curve shows, in a sentence.
        answers: to held-out questions.
        looks: whether it looked at its pictures on the way; None where nobody asked.
        chosen: settings that are not as they are by default.
        sections: all settings, section by section.
    """

    env: str
    task: Task
    who: str
    facts: dict[str, str]
    command: str
    results: dict[str, Any]
    troubles: list[str]
    curve: Curve
    learned: str
    answers: Answers
    chosen: dict[str, Any]
    sections: list[tuple[str, list[tuple[str, str]]]]
    looks: Looks | None = None

    def write(self, folder: Path) -> None:
        """Write curve.png, board.png and report.html."""
        png, svg = drawn(self.curve)
        (folder / CURVE).write_bytes(png)
        (folder / BOARD).write_bytes(self.answers.picture())
        page = render(
            "trained.html",
            env=self.env,
            asks=type(self.task).asks,
            who=self.who,
            decisions=self.task.horizon,
            facts=self.facts,
            command=self.command,
            columns=COLUMNS,
            rows=rows(self.results),
            note=note(self.results),
            troubles=self.troubles,
            curve=svg,
            learned=self.learned,
            looks=None if self.looks is None else (self.looks.told(), svg_of(self.looks.draw())),
            chosen=[(name, told(value)) for name, value in self.chosen.items()],
            sections=self.sections,
            versions=versions(),
            **self.answers.shown(),
        )
        write_text(folder / PAGE, page)


def shares(result: dict[str, Any]) -> str:
    """Return how many answers were right, with the interval."""
    low, high = result["interval"]
    return f"{result['success']:.1%}, 95 % interval {low:.1%} to {high:.1%}"
