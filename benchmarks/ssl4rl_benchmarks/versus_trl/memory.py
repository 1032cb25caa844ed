"""Peak memory of one side, in a process of its own."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from ssl4rl_benchmarks.versus_trl.ours import Ours
from ssl4rl_benchmarks.versus_trl.settings import ENV, SIDES, Settings, Side
from ssl4rl_benchmarks.versus_trl.theirs import Theirs
from ssl4rl_envs import Stream, make_task


def peak_memory(side: Side, settings: Settings, model: Path) -> float:
    """Return the most memory that steps of one side need, in MiB, from a fresh process."""
    arguments = [side, str(model), settings.to_json()]
    command = [sys.executable, "-m", "ssl4rl_benchmarks.versus_trl.memory", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own module)
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {side} failed:\n{done.stderr}")
    return float(done.stdout.strip().splitlines()[-1])


def measure_here(side: Side, settings: Settings, model: Path) -> float:
    """Return the most memory that steps of one side take in this process, in MiB.

    On a GPU, what torch allocated there; else the peak of the resident set above its level after the imports, by what Linux
    counts.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        if settings.device == "cuda":
            _steps(side, settings, model, folder)
            return torch.cuda.max_memory_allocated() / 2**20
        if side == "trl":
            importlib.import_module("trl.trainer.grpo_trainer")
        make_task(ENV, **settings.env_args).sample(
            Stream.span("train", 0, 0, 1)
        )  # what reads the pictures is imported with the first one
        start = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
        _steps(side, settings, model, folder)
        return resident("VmHWM") - start


def _steps(side: Side, settings: Settings, model: Path, folder: Path) -> None:
    (Ours if side == "ours" else Theirs)(settings, model, folder).run(settings.steps)


def resident(entry: str) -> float:
    """Return VmRSS (resident now) or VmHWM (its peak) of this process in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry + ":")) / 1024


def main() -> None:
    """Measure the side, model folder and settings that `peak_memory` names."""
    side, model, text = sys.argv[1:]
    settings = Settings.from_json(text)
    torch.set_num_threads(settings.threads)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    print(measure_here(next(known for known in SIDES if known == side), settings, Path(model)))


if __name__ == "__main__":
    main()
