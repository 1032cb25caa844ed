"""What a finished run leaves to look at: a learning curve, a board of answers, and a page with both and all numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ssl4rl_agents.control_settings import Reward
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_benchmarks.bench.rows import commit, machine
from ssl4rl_benchmarks.reports.answers import Answers, answers_of
from ssl4rl_benchmarks.reports.curve import Curve, HeldOut
from ssl4rl_benchmarks.reports.looking import Looks, looks_of
from ssl4rl_benchmarks.reports.settings import by_section, chosen, command
from ssl4rl_benchmarks.reports.trained import Report, shares


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    data: dict[str, Any] = json.loads(path.read_text())
    return data


def training_seconds(run: Path) -> float:
    """Return the wall-clock seconds of a run's training, its measurements on the validation split included."""
    lines = read_metrics(run)
    return round(float(lines[-1]["seconds"]), 1) if lines else 0.0


def write(trainer: Trainer, results: dict[str, Any], answers: Answers) -> None:
    """Write curve.png, board.png and report.html into the run folder."""
    config, out = trainer.config, trainer.out
    lines = read_metrics(out)
    looks = looks_of(lines, config.probe_questions)
    Report(
        env=config.env,
        task=trainer.task,
        who="model",
        facts=facts(trainer, results),
        command=command(config, out),
        results=results,
        troubles=[*taken_away(config), *alarms(looks), *troubles(lines)],
        curve=curve_of(trainer, results, lines),
        learned="The share of the reward that the model earned while it learned, and on held-out questions in between.",
        answers=answers,
        chosen=chosen(config),
        sections=by_section(config),
        looks=looks,
    ).write(out)


def facts(trainer: Trainer, results: dict[str, Any]) -> dict[str, str]:
    """Return what a reader asks of a run first."""
    config, after, found = trainer.config, results["after"], machine()
    learned = config.algorithm if config.algorithm != "ppo" else f"PPO, {config.objective.advantage}"
    apart = " (format warm-up apart)" if config.format_warmup else ""
    where = f"{found['cores']} cores" + (f", {found['gpu']}" if trainer.device.type == "cuda" else "")
    control = {"control": config.control.told} if config.control.told else {}
    return {
        **control,
        "right answers, held out": shares(after),
        "chance": f"{results['chance']:.1%}",
        "model": config.policy.model,
        "learned by": f"{learned}, {config.iterations} iterations, {results['seconds']:.0f} s{apart}",
        "machine": f"{found['system']}, {where}",
        "commit": commit() or "not from a repository",
    }


EARNED: dict[Reward, str] = {
    "contrast": "Training paid the answer that the picture spoke for when it began, whatever the truth",
    "own": "Training paid the answer that was likeliest when it began, whatever the truth",
    "coin": "A coin decided what well-formed answers earned in training",
    "random": "A coin decided what every reply earned in training",
    "format": "Every well-formed answer earned the same in training",
}
"""What reports say of every reward but the verified one."""


def taken_away(config: TrainConfig) -> list[str]:
    """Say of a control that it is one, and what was kept from it; of a reward without the truth, what it went by."""
    control, found = config.control, []
    if control.reward != "verified":
        how = f"{EARNED[control.reward]} (control.reward {control.reward})"
        found.append(f"{how}, so its curve of rewards says nothing of right answers.")
    if control.pictures != "shown":
        how = {"blank": "The pictures were blank", "swapped": "The pictures were those of other questions"}[control.pictures]
        found.append(f"{how} in training (control.pictures {control.pictures}).")
    return [f"This run is a control. {each}" for each in found]


def alarms(looks: Looks | None) -> list[str]:
    """Say where a run did not look at its pictures while it was right more often than by chance."""
    if looks is None or not looks.alarms:
        return []
    last = "still so at the end" if looks.lines[-1]["looking/alarm"] else "no more so at the end"
    return [
        f"ALARM: in {len(looks.alarms)} of {len(looks.lines)} looks, first after {looks.alarms[0]:.0f} episodes and {last}, "
        "its answers were no better with the picture than with a blank one, while training was right more often than by "
        "chance."
    ]


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
    agent, config = PolicyAgent(trainer.policy, device=trainer.device), trainer.config
    return answers_of(agent, trainer.task, config.prompt_style, config.grammar)


def curve_of(trainer: Trainer, results: dict[str, Any], lines: list[dict[str, Any]]) -> Curve:
    """Return what a run has noted while it learned."""
    held_out = [
        HeldOut(line["episodes"], line["validation/reward"], line["validation/success"])
        for line in lines
        if "validation/reward" in line
    ]
    training = ([line["episodes"] for line in lines], [line.get("reward", float("nan")) for line in lines])
    ceiling = results["ceiling"]["reward"] if "ceiling" in results else None
    return Curve(results["chance"], held_out, trainer.config.eval_episodes, training, ceiling)
