"""What a finished run leaves to look at: a table, a learning curve, a board of answers, and a page with all three."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_benchmarks.reports.page import inlined, render
from ssl4rl_envs import Stream, hash_seed, rendering

BOARD = 12

COLUMNS = ("", "success", "95 % interval", "reward", "normalised")


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
            normalised = result["normalised"]
            known = normalised is not None and np.isfinite(normalised)
            numbers = (f"{result['reward']:.3f}", f"{normalised:.3f}" if known else "unknown")
            lines.append((name, f"{result['success']:.3f}", f"{low:.3f} to {high:.3f}", *numbers))
    return lines


def print_table(results: dict[str, Any]) -> None:
    """Print the results."""
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
        f"Curve, board and report: {results['out']}/",
        highlight=False,
    )


def write(trainer: Trainer, results: dict[str, Any], board: bytes) -> None:
    """Write curve.png, board.png and report.html into the run folder; `board` is what `draw_board` drew."""
    curve = draw_curve(trainer, results)
    (trainer.out / "curve.png").write_bytes(curve)
    (trainer.out / "board.png").write_bytes(board)
    page = render(
        "run.html",
        title=f"{trainer.config.env}: {trainer.config.algorithm}, {trainer.config.objective.advantage}",
        columns=COLUMNS,
        rows=rows(results),
        curve=inlined(curve),
        board=inlined(board),
        settings=json.dumps(trainer.config.to_json(), indent=2),
    )
    (trainer.out / "report.html").write_text(page)


def draw_curve(trainer: Trainer, results: dict[str, Any]) -> bytes:
    """Draw the reward over episodes, in training and held out, between chance and the ceiling, as a PNG."""
    from matplotlib.figure import Figure

    lines = read_metrics(trainer.out)
    episodes = np.array([line["episodes"] for line in lines])
    figure = Figure(figsize=(7.2, 4.0), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    rewards = np.array([line.get("reward", np.nan) for line in lines])
    if not np.isnan(rewards).all():
        axes.plot(episodes, rewards, color="#9fb4d8", linewidth=0.8)
        axes.plot(episodes, _smooth(rewards), color="#2f5fb3", linewidth=1.8, label="training questions (sampled answers)")
    held = [(line["episodes"], line["validation/reward"]) for line in lines if "validation/reward" in line]
    axes.plot(*zip(*held, strict=True), "o-", color="#d1662a", markersize=4, label="held out (validation, greedy answers)")
    axes.axhline(results["chance"], color="#8a8f98", linestyle=":", label="chance")
    if "ceiling" in results:
        axes.axhline(results["ceiling"]["reward"], color="#2f8f5b", linestyle="--", label="supervised ceiling (test)")
    axes.set(xlabel="episodes", ylabel="reward", ylim=(0, 1.02), title=_title(trainer))
    axes.grid(alpha=0.25)
    axes.legend(loc="best", facecolor="white", framealpha=0.9, edgecolor="none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def draw_board(trainer: Trainer) -> bytes:
    """Draw held-out instances with the policy's answers, as a PNG; all processes of a run answer together."""
    batch = trainer.task.sample(Stream.span("test", hash_seed(0, "board"), 0, BOARD))
    replies = PolicyAgent(trainer.policy, device=trainer.device).act(trainer.interface.observe(batch), deterministic=True)
    transition = trainer.interface.step(batch, replies)
    verdicts = rendering.judge(trainer.task, batch, transition.answers, transition.step.score)
    cards = [rendering.card(trainer.task, batch, row, verdict) for row, verdict in enumerate(verdicts)]
    buffer = BytesIO()
    Image.fromarray(rendering.board(cards)).save(buffer, format="PNG")
    return buffer.getvalue()


def _title(trainer: Trainer) -> str:
    """Name the environment with what it was given."""
    given = ", ".join(f"{name}={value}" for name, value in trainer.config.env_args.items())
    return f"{trainer.config.env}\n{given}" if given else trainer.config.env


def _smooth(values: NDArray[Any], width: int = 9) -> NDArray[Any]:
    """Return the mean of up to `width` values round each."""
    half = width // 2
    return np.array([np.nanmean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])
