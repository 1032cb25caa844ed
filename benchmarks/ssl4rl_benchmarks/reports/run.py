"""What a finished run leaves to look at: a table, a learning curve, a board of answers, and a page with all three."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_benchmarks.bench.rows import commit, machine, versions
from ssl4rl_benchmarks.reports.page import inlined, render
from ssl4rl_benchmarks.reports.settings import by_section, chosen, command, told
from ssl4rl_benchmarks.reports.suite.plots import SETTINGS, svg
from ssl4rl_envs import Stream, hash_seed, rendering
from ssl4rl_envs.rendering import Card, Verdict

BOARD = 12
ASKED = 96
"""Held-out questions whose answers are looked at: the first `BOARD` are shown, and of the rest the mistakes."""

MISTAKES = 8
READABLE = 0.5
"""Where fewer replies than this share can be read, a score says nothing of what was understood."""

COLUMNS = ("", "success", "95 % interval", "reward", "normalised")


@dataclass(frozen=True)
class Answers:
    """What a policy answered to held-out questions: a card for each, and its verdict."""

    cards: list[Card]
    verdicts: list[Verdict]

    @property
    def mistakes(self) -> list[Card]:
        """Those beyond the board that are wrong, at most `MISTAKES`."""
        beyond = zip(self.cards[BOARD:], self.verdicts[BOARD:], strict=True)
        return [card for card, verdict in beyond if not verdict.success][:MISTAKES]

    @property
    def confused(self) -> list[tuple[str, str, int]]:
        """The commonest mistakes in words: the truth, what was answered, and how often."""
        wrong = Counter(
            (verdict.truth, verdict.answer or "no answer")
            for verdict in self.verdicts
            if not verdict.success and verdict.truth is not None
        )
        return [(str(truth), said, count) for (truth, said), count in wrong.most_common(MISTAKES)]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def training_seconds(run: Path) -> float:
    """Return the wall-clock seconds of a run's training, its measurements on the validation split included."""
    lines = read_metrics(run)
    return round(float(lines[-1]["seconds"]), 1) if lines else 0.0


def rows(results: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Return the lines of the results' table: what, success, its 95 % interval, reward, normalised score."""
    named = {
        "before training, held out": results.get("before"),
        "after training, held out": results["after"],
        "after training, seen items": results["train"],
        "supervised ceiling, held out": results.get("ceiling"),
    }
    lines = [("chance", "", "", f"{results['chance']:.3f}", "0.000")]
    for name, result in named.items():
        if result is not None:
            low, high = result["interval"]
            numbers = (f"{result['reward']:.3f}", _normalised(result))
            lines.append((name, f"{result['success']:.3f}", f"{low:.3f} to {high:.3f}", *numbers))
    return lines


def _normalised(result: dict[str, Any]) -> str:
    """Return a normalised score in words: replies that cannot be read are no worse understanding than chance."""
    value, readable = result["normalised"], result.get("readable")
    if readable is not None and readable < READABLE:
        return f"{readable:.0%} readable"
    return f"{value:.3f}" if value is not None and np.isfinite(value) else "unknown"


def print_table(results: dict[str, Any], left: str = "Curve, board and report") -> None:
    """Print the results, and what was `left` in the run's folder."""
    after = results["after"]
    table = Table(title=f"{after['env']}: trained for {results['seconds']:.0f} s", title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if not column else "right")
    for line in rows(results):
        table.add_row(*line)
    console = Console()
    console.print(table)
    console.print(
        f"{after['episodes']} held-out questions about {after['items']} items that training never saw. "
        f"{left}: {results['out']}/",
        highlight=False,
    )


def write(trainer: Trainer, results: dict[str, Any], answers: Answers) -> None:
    """Write curve.png, board.png and report.html into the run folder."""
    config, out = trainer.config, trainer.out
    figure = draw_curve(trainer, results)
    (out / "curve.png").write_bytes(_file(figure, "png"))
    (out / "board.png").write_bytes(_png(rendering.board(answers.cards[:BOARD])))
    page = render(
        "run.html",
        env=config.env,
        asks=type(trainer.task).asks,
        facts=facts(trainer, results),
        command=command(config, out),
        columns=COLUMNS,
        rows=rows(results),
        note=note(results),
        troubles=troubles(read_metrics(out)),
        curve=svg(figure),
        board=list(map(_shown, answers.cards[:BOARD])),
        right=sum(verdict.success for verdict in answers.verdicts[:BOARD]),
        mistakes=list(map(_shown, answers.mistakes)),
        confused=answers.confused,
        asked=len(answers.cards),
        chosen=[(name, told(value)) for name, value in chosen(config).items()],
        sections=by_section(config),
        versions=versions(),
    )
    (out / "report.html").write_text(page)


def facts(trainer: Trainer, results: dict[str, Any]) -> dict[str, str]:
    """Return what a reader asks of a run first."""
    config, after, found = trainer.config, results["after"], machine()
    low, high = after["interval"]
    learned = config.algorithm if config.algorithm != "ppo" else f"PPO, {config.objective.advantage}"
    apart = " (format warm-up apart)" if config.format_warmup else ""
    where = f"{found['cores']} cores" + (f", {found['gpu']}" if trainer.device.type == "cuda" else "")
    return {
        "right answers, held out": f"{after['success']:.1%}, 95 % interval {low:.1%} to {high:.1%}",
        "chance": f"{results['chance']:.1%}",
        "model": config.policy.model,
        "learned by": f"{learned}, {config.iterations} iterations, {results['seconds']:.0f} s{apart}",
        "machine": f"{found['system']}, {where}",
        "commit": commit() or "not from a repository",
    }


def note(results: dict[str, Any]) -> str:
    """Return what the table's numbers are of."""
    after = results["after"]
    return (
        f"{after['episodes']} held-out questions about {after['items']} items that training never saw. Normalised: 0 is the "
        "best that is possible without looking, 1 the right answers."
    )


def troubles(lines: list[dict[str, Any]]) -> list[str]:
    """Return what did not go well in training, in words."""
    last = lines[-1] if lines else {}
    found = []
    if last.get("skipped_steps"):
        found.append(f"{last['skipped_steps']:.0f} steps were left out, because their gradients were not finite.")
    if last.get("truncated", 0) > 0:
        found.append(f"{last['truncated']:.1%} of the last replies were cut off; policy.max_new_tokens gives them more room.")
    if last.get("readable", 1) < 1:
        found.append(f"{1 - last['readable']:.1%} of the last replies could not be read as an answer.")
    return found


def draw_answers(trainer: Trainer) -> Answers:
    """Let the policy answer held-out questions; all processes of a run answer together."""
    batch = trainer.task.sample(Stream.span("test", hash_seed(0, "board"), 0, ASKED))
    replies = PolicyAgent(trainer.policy, device=trainer.device).act(trainer.interface.observe(batch), deterministic=True)
    transition = trainer.interface.step(batch, replies)
    verdicts = rendering.judge(trainer.task, batch, transition.answers, transition.step.score)
    return Answers([rendering.card(trainer.task, batch, row, each) for row, each in enumerate(verdicts)], verdicts)


def draw_curve(trainer: Trainer, results: dict[str, Any]) -> Figure:
    """Draw the reward over episodes, in training and held out, between chance and the ceiling."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(5.6, 3.6), dpi=150, layout="constrained")
        axes, lines = figure.add_subplot(), read_metrics(trainer.out)
        episodes = np.array([line["episodes"] for line in lines])
        rewards = np.array([line.get("reward", np.nan) for line in lines])
        if not np.isnan(rewards).all():
            axes.plot(episodes, rewards, color="#9fb4d8", linewidth=0.8)
            axes.plot(
                episodes, _smooth(rewards), color="#2f5fb3", linewidth=1.8, label="training questions (sampled answers)"
            )
        _held_out(axes, [line for line in lines if "validation/reward" in line], trainer.config.eval_episodes)
        axes.axhline(results["chance"], color="#8a8f98", linestyle=":", label="chance")
        if "ceiling" in results:
            axes.axhline(results["ceiling"]["reward"], color="#2f8f5b", linestyle="--", label="supervised ceiling (test)")
        axes.set(xlabel="episodes", ylabel="reward", ylim=(0, 1.02))
        axes.legend(loc="best", facecolor="white", framealpha=0.9, edgecolor="none")
    return figure


def _held_out(axes: Axes, lines: list[dict[str, Any]], count: int) -> None:
    """Draw what was measured on the way, with its interval where it is a share of right answers, whose error is known."""
    at = [line["episodes"] for line in lines]
    axes.plot(
        at, [line["validation/reward"] for line in lines], "o-", color="#d1662a", markersize=4, label="held out, greedy"
    )
    if lines and all(line["validation/reward"] == line["validation/success"] for line in lines):
        low, high = zip(*(_interval(line["validation/success"], count) for line in lines), strict=True)
        axes.fill_between(at, low, high, color="#d1662a", alpha=0.18, linewidth=0, label="its 95 % interval")


def _file(figure: Figure, kind: str) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()


def _interval(share: float, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of `count` independent questions."""
    z = 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return middle - reach, middle + reach


def _shown(card: Card) -> dict[str, str]:
    """Return a card for the page: its picture, and what a reader hears who does not see it."""
    return {"data": inlined(_png(rendering.draw(card))), "said": f"{card.question} {card.verdict or ''}"}


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _smooth(values: NDArray[Any], width: int = 9) -> NDArray[Any]:
    """Return the mean of up to `width` values round each."""
    half = width // 2
    return np.array([np.nanmean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])
