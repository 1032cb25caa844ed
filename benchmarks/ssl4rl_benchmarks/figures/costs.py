"""What each choice of a run costs: seconds and memory of an iteration, beside the run without it.

    python -m ssl4rl_benchmarks.figures.costs

A Qwen2.5-VL with random weights (17 M parameters, 8 + 4 layers, a vocabulary of 32,000) answers 32 questions 4 times in at
most 16 tokens, which it nearly always uses up. Each choice has a process of its own; memory is the peak of the resident set
above its level after the imports, as Linux counts it, and on a GPU what torch allocated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runtime.device import find_device
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_benchmarks.versus_trl.memory import resident
from ssl4rl_benchmarks.versus_trl.models import MODELS, save_model
from ssl4rl_envs import Stream, make_task

ENV = "SSL4RL/Rotation-v0"
PHASES = ("answers", "update")
BASE: dict[str, Any] = {
    "format_warmup": 0,
    "policy": {"max_new_tokens": 16},
    "rollout": {"prompts": 32, "group_size": 4},
    "optimizer": {"epochs": 1, "minibatches": 1, "learning_rate": 1e-5},
    "objective": {"advantage": "grpo", "kl_coefficient": 0.0},
}
"""The run that the others are compared with: all weights, one pass, no critic, no reference."""

CHOICES: dict[str, dict[str, Any]] = {
    "all weights are trained": {},
    "policy.freeze_vision": {"policy": {"freeze_vision": True}},
    "policy.lora_rank 16": {"policy": {"lora_rank": 16}},
    "policy.gradient_checkpointing": {"policy": {"gradient_checkpointing": True}},
    "policy.lora_rank 16 and policy.gradient_checkpointing": {"policy": {"lora_rank": 16, "gradient_checkpointing": True}},
    "optimizer.micro_batch 8": {"optimizer": {"micro_batch": 8}},
    "optimizer.epochs 4": {"optimizer": {"epochs": 4}},
    "objective.advantage gae": {"objective": {"advantage": "gae"}},
    "objective.kl_coefficient 0.01": {"objective": {"kl_coefficient": 0.01}},
    "the same with policy.lora_rank 16": {"policy": {"lora_rank": 16}, "objective": {"kl_coefficient": 0.01}},
    "rollout.group_size 8": {"rollout": {"group_size": 8}},
    "policy.max_new_tokens 128": {"policy": {"max_new_tokens": 128}},
}


def config_of(choice: str, model: str, folder: Path, device: str, prompts: int, steps: int) -> TrainConfig:
    """Return the settings of a run with one choice.

    Args:
        choice: a name of `CHOICES`.
        model: a name of `ssl4rl_benchmarks.versus_trl.models.MODELS`.
        folder: where it lies.
        device: "cpu" or "cuda".
        prompts: questions an iteration.
        steps: iterations, the first of which is not counted.
    """
    settings = {name: dict(part) if isinstance(part, dict) else part for name, part in BASE.items()}
    settings["rollout"]["prompts"] = prompts
    settings["policy"]["model"] = str(folder)
    for section, changes in CHOICES[choice].items():
        settings[section].update(changes)
    env_args = {"source": "digits", "image_size": MODELS[model].image_size}
    length = {"iterations": steps, "eval_every": steps, "eval_episodes": 1, "save_every": steps}
    return TrainConfig.from_json({"env": ENV, "env_args": env_args, "device": device, **length, **settings})


def measure(config: TrainConfig) -> dict[str, float]:
    """Do a run in this process; return medians of the seconds, the memory in MiB and the parameters that were trained."""
    gpu = config.device == "cuda"
    # What reads the pictures is imported with the first one.
    make_task(config.env, **config.env_args).sample(Stream.span("train", 0, 0, 1))
    start = 0.0 if gpu else resident("VmRSS")
    if not gpu:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
    with tempfile.TemporaryDirectory() as name:
        trainer = Trainer(config, Path(name) / "run", quiet=True)
        trainer.run()
        lines = read_metrics(Path(name) / "run")[1:]
    peak = torch.cuda.max_memory_allocated() / 2**20 if gpu else resident("VmHWM") - start
    seconds = {f"{phase} [s]": statistics.median(line[f"seconds/{phase}"] for line in lines) for phase in PHASES}
    trained = sum(parameter.numel() for parameter in trainer.policy.parameters() if parameter.requires_grad)
    return {**seconds, "memory [MiB]": peak, "trained [M]": trained / 1e6}


def table(rows: dict[str, dict[str, float]]) -> str:
    """Return the figures as a Markdown table."""
    names = list(next(iter(rows.values())))
    lines = [f"| choice | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
    for choice, values in rows.items():
        lines.append(f"| {choice} | {' | '.join(f'{values[name]:,.{0 if values[name] >= 100 else 2}f}' for name in names)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure every choice in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description="What each choice of a run costs.")
    parser.add_argument("--model", choices=list(MODELS), default="qwen-small", help="sizes of the model; weights are random")
    parser.add_argument("--device", default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--prompts", type=int, default=32, help="questions an iteration")
    parser.add_argument("--steps", type=int, default=3, help="timed iterations")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--only", choices=list(CHOICES), action="append", help="measure this choice; by default all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)  # the model's folder: measure one choice in this process
    flags = parser.parse_args()
    flags.device = find_device(flags.device).type
    torch.set_num_threads(flags.threads)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    if flags.here:
        config = config_of(flags.only[0], flags.model, flags.here, flags.device, flags.prompts, flags.steps + 1)
        print(json.dumps(measure(config)))
        return
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        prompts = make_task(ENV, source="digits").prompts(
            make_task(ENV, source="digits").sample(Stream.span("train", 0, 0, 8))
        )
        save_model(flags.model, folder, prompts, torch.float32, flags.device)
        shared = [f"--{name}={getattr(flags, name)}" for name in ("model", "device", "prompts", "steps", "threads")]
        for choice in flags.only or CHOICES:
            command = [
                sys.executable,
                "-m",
                "ssl4rl_benchmarks.figures.costs",
                "--only",
                choice,
                "--here",
                str(folder),
                *shared,
            ]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 (our own module)
            rows[choice] = json.loads(output.strip().splitlines()[-1])
    print(json.dumps(rows, indent=2) if flags.json else table(rows))


if __name__ == "__main__":
    main()
