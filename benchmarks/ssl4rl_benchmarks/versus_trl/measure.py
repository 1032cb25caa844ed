"""Alternate both sides and work out the figures."""

from __future__ import annotations

import dataclasses
import gc
import platform
import statistics
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ssl4rl_benchmarks.versus_trl.flops import FORMULA, Work, matmul_rate
from ssl4rl_benchmarks.versus_trl.memory import peak_memory
from ssl4rl_benchmarks.versus_trl.models import save_model
from ssl4rl_benchmarks.versus_trl.ours import Ours
from ssl4rl_benchmarks.versus_trl.settings import ENV, Settings, Side, Step
from ssl4rl_benchmarks.versus_trl.theirs import Theirs
from ssl4rl_envs import Stream, make_task

WARMUP = 2
"""First iterations of ours, which are not timed; TRL's side leaves out the first of every round."""


@dataclass(frozen=True)
class Figures:
    """What one side reached; rates are of the median step.

    Args:
        episodes: answers a second.
        generated: tokens of answers a second.
        processed: tokens a second of prompts and answers, each prompt counted with each of its answers, however often it is
            really run.
        memory: most memory in MiB.
        steps: how many were timed.
    """

    episodes: float
    generated: float
    processed: float
    memory: float
    steps: int


def measure(settings: Settings, *, alone: bool = False) -> dict[str, Any]:
    """Measure both sides, or ours `alone`, and return the figures as plain data.

    Raises:
        ImportError: TRL is to be measured and not installed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model"
        task = make_task(ENV, **settings.env_args)
        save_model(
            settings.model,
            model,
            task.prompts(task.sample(Stream.span("train", 0, 0, 8))),
            settings.weights_dtype,
            settings.device,
        )
        done, prompt_tokens, work = _alternate(settings, folder, model, alone=alone)
        memory = {side: peak_memory(side, settings, model) for side in done}
    figures = {side: figures_of(settings, steps, prompt_tokens, memory[side]) for side, steps in done.items()}
    rate = matmul_rate(torch.device(settings.device))
    update = work.flops / statistics.median(step.update_seconds or step.seconds for step in done["ours"])
    result = {
        "settings": dataclasses.asdict(settings),
        "figures": {side: dataclasses.asdict(values) for side, values in figures.items()},
        "update": {"flops": work.flops, "per_second": update, "matmul_per_second": rate, "share": update / rate},
        "formula": FORMULA,
        "versions": {name: metadata.version(name) for name in ("torch", "transformers", *(() if alone else ("trl",)))},
        "machine": _machine(settings.device),
    }
    if not alone:
        ours, trl = figures["ours"], figures["trl"]
        result["ratios"] = {"speed": ours.episodes / trl.episodes, "memory": ours.memory / trl.memory}
    return result


def figures_of(settings: Settings, steps: list[Step], prompt_tokens: int, memory: float) -> Figures:
    """Work out the rates of one side.

    Args:
        settings: of the comparison.
        steps: what was timed.
        prompt_tokens: of all prompts of a step together.
        memory: most memory in MiB.
    """
    seconds = statistics.median(step.seconds for step in steps)
    tokens = statistics.median(step.tokens for step in steps)
    return Figures(
        episodes=settings.prompts * settings.group / seconds,
        generated=tokens / seconds,
        processed=(prompt_tokens * settings.group + tokens) / seconds,
        memory=memory,
        steps=len(steps),
    )


def _alternate(settings: Settings, folder: Path, model: Path, *, alone: bool) -> tuple[dict[Side, list[Step]], int, Work]:
    """Run rounds; return the timed steps of each side, how many tokens the prompts of a step have, and our update's work."""
    ours = Ours(settings, model, folder / "ours")
    theirs = None if alone else Theirs(settings, model, folder / "trl")
    ours.run(WARMUP)
    done: dict[Side, list[Step]] = {"ours": []} if theirs is None else {"ours": [], "trl": []}
    for turn in range(settings.rounds):
        done["ours"] += ours.run(settings.steps)
        _tidy()
        if theirs is not None:
            done["trl"] += theirs.run(settings.steps)
            _tidy()
        _tell(settings, turn, done)
    work = ours.work(round(statistics.median(step.tokens for step in done["ours"])))
    prompt_tokens = ours.prompt_tokens()[0]
    del ours
    _tidy()
    return done, prompt_tokens, work


def _tell(settings: Settings, turn: int, done: dict[Side, list[Step]]) -> None:
    """Say on standard error how far it is: what was measured is not lost where time runs out."""
    answers = settings.prompts * settings.group
    rates = {side: answers / statistics.median(step.seconds for step in steps) for side, steps in done.items()}
    told = ", ".join(f"{side} {rate:.1f} episodes/s" for side, rate in rates.items())
    print(f"round {turn + 1} of {settings.rounds}: {told}", file=sys.stderr)


def _tidy() -> None:
    """Give back what the other side cannot use."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _machine(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {torch.get_num_threads()} threads"
