"""What a kept agent of the registry leaves to look at: the same page as a run's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl4rl_agents.lessons import Point
from ssl4rl_agents.runs.trained import Kept
from ssl4rl_benchmarks.bench.rows import commit, machine
from ssl4rl_benchmarks.reports.answers import Answers
from ssl4rl_benchmarks.reports.curve import Curve, HeldOut
from ssl4rl_benchmarks.reports.settings import given, spelled, told
from ssl4rl_benchmarks.reports.trained import Report, shares
from ssl4rl_envs import Task


def write(
    kept: Kept,
    task: Task,
    out: Path,
    lesson: dict[str, Any],
    results: dict[str, Any],
    points: Sequence[Point],
    answers: Answers,
) -> None:
    """Write curve.png, board.png and report.html into the folder of an agent.

    Args:
        kept: the agent.
        task: what it was asked.
        out: the folder.
        lesson: flags of its training by name that are not as they are by default.
        results: as results.json has them.
        points: of its learning curve; `results["measured"]` questions each.
        answers: to held-out questions.
    """
    count = int(results["measured"])
    held_out = [HeldOut(point.episodes, point.reward, point.success) for point in points]
    Report(
        env=kept.env,
        task=task,
        who="agent",
        facts=facts(kept, results, points),
        command=spelled(kept.env, ["--agent", kept.agent, "--out", str(out)], given(kept.env, kept.env_args) | lesson),
        results=results,
        troubles=troubles(results, points),
        curve=Curve(results["chance"], held_out, count),
        learned=f"What the agent earned on {count:,} questions of the validation split at a time, while it learned.",
        answers=answers,
        chosen=given(kept.env, kept.env_args) | lesson,
        sections=sections(kept),
    ).write(out)


def facts(kept: Kept, results: dict[str, Any], points: Sequence[Point]) -> dict[str, str]:
    """Return what a reader asks of a kept agent first."""
    found = machine()
    episodes = points[-1].episodes if points else kept.episodes
    return {
        "right answers, held out": shares(results["after"]),
        "chance": f"{results['chance']:.1%}",
        "agent": kept.agent,
        "learned by": f"{episodes:,} episodes, {results['seconds']:.0f} s, measurements apart",
        "machine": f"{found['system']}, {found['cores']} cores" + (f", {found['gpu']}" if found["gpu"] else ""),
        "commit": commit() or "not from a repository",
    }


def troubles(results: dict[str, Any], points: Sequence[Point]) -> list[str]:
    """Return what did not go well, in words."""
    found = []
    readable = results["after"].get("readable")
    if readable is not None and readable < 1:
        found.append(f"{1 - readable:.1%} of the replies could not be read as an answer.")
    best = max(points, key=lambda point: point.reward, default=None)
    low = results["after"]["interval"][0]
    if best is not None and best is not points[-1] and points[-1].success < low and best.success > points[-1].success:
        found.append(
            f"It was better on the way: a reward of {best.reward:.3f} on the validation split after {best.episodes:,} "
            f"episodes, and {points[-1].reward:.3f} at the end."
        )
    return found


def sections(kept: Kept) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return all that decided what was learned, section by section: environment, training, settings of the agent."""
    training = {
        "seed": kept.seed,
        "episodes": kept.episodes,
        "device": kept.device,
        "interface": kept.interface,
        "prompt_style": kept.prompt_style,
        "grammar": kept.grammar,
    }
    found: dict[str, dict[str, Any]] = {"environment": kept.env_args, "training": training}
    for name, value in (kept.learned or kept.settings).items():
        nested = isinstance(value, dict)
        found.setdefault(f"agent, {name}" if nested else "agent", {}).update(value if nested else {name: value})
    return [
        (section, [(name, _said(value)) for name, value in values.items()]) for section, values in found.items() if values
    ]


def _said(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else told(value)


def flags_of(call: Any, apart: Sequence[str]) -> dict[str, Any]:
    """Return the flags of a call that are not as they are by default, by name.

    Args:
        call: parsed, a dataclass.
        apart: fields that are left out.
    """
    return {
        field.name.replace("_", "-"): getattr(call, field.name)
        for field in dataclasses.fields(call)
        if field.name not in apart and getattr(call, field.name) != field.default
    }
