"""The command: see the package."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

import torch
from transformers.utils import logging as transformers_logging

from ssl4rl_agents.algorithms import ADVANTAGES
from ssl4rl_agents.runtime.device import find_device
from ssl4rl_benchmarks.versus_trl.measure import measure
from ssl4rl_benchmarks.versus_trl.models import LORA_RANKS, MODELS
from ssl4rl_benchmarks.versus_trl.report import markdown, summary
from ssl4rl_benchmarks.versus_trl.settings import Settings
from ssl4rl_benchmarks.versus_trl.theirs import require_trl

CHECKPOINTED = ("qwen2.5-vl-3b",)
"""Models whose layers keep only their inputs for the way back, unless it is said otherwise."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    default = Settings()
    found = argparse.ArgumentParser(
        prog="python -m ssl4rl_benchmarks.versus_trl", description="Speed and memory beside TRL's GRPOTrainer."
    )
    found.add_argument("--model", choices=list(MODELS), default=default.model, help="sizes of the model; weights are random")
    found.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="auto: a GPU if there is one")
    found.add_argument("--prompts", type=int, default=default.prompts, help="questions a step")
    found.add_argument("--group", type=int, default=default.group, help="answers to each")
    found.add_argument("--new-tokens", type=int, default=default.new_tokens, help="longest answer in tokens")
    found.add_argument("--full-length", action="store_true", help="no answer ends before its longest length")
    found.add_argument("--lora-rank", type=int, help=f"of both; 0 trains all weights; by default {LORA_RANKS}, else 0")
    found.add_argument(
        "--gradient-checkpointing",
        action=argparse.BooleanOptionalAction,
        help=f"of both; by default with {', '.join(CHECKPOINTED)} alone",
    )
    found.add_argument("--micro-batch", type=int, help="of both: questions a forward pass; by default all")
    found.add_argument("--advantage", choices=tuple(ADVANTAGES), default=default.advantage, help="ours; TRL's is grpo")
    found.add_argument("--epochs", type=int, default=default.epochs, help="ours: passes over the answers; TRL makes one")
    found.add_argument("--rounds", type=int, default=default.rounds, help="alternations of the two")
    found.add_argument("--steps", type=int, default=default.steps, help="timed steps of each in a round")
    found.add_argument("--threads", type=int, default=default.threads, help="of torch")
    found.add_argument("--alone", action="store_true", help="measure ours alone; needs no TRL")
    output = found.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON")
    output.add_argument("--markdown", action="store_true", help="print the rows of a table")
    return found


def settings_of(flags: argparse.Namespace) -> Settings:
    """Turn flags into settings; what is not given depends on the model.

    Raises:
        ValueError: a flag is out of its range, or there is no such device.
    """
    prompts, micro_batch = flags.prompts, flags.micro_batch
    for name in ("prompts", "new_tokens", "epochs", "rounds", "steps", "threads"):
        if getattr(flags, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(flags, name)}")
    if flags.group < 2:
        raise ValueError(f"--group must be at least 2, got {flags.group}: TRL compares the answers of a group")
    if micro_batch is not None and (micro_batch < 1 or prompts % micro_batch):
        raise ValueError(f"--micro-batch must divide --prompts ({prompts}), got {micro_batch}")
    rank, checkpointing = flags.lora_rank, flags.gradient_checkpointing
    return Settings(
        model=flags.model,
        device=find_device(flags.device).type,
        prompts=prompts,
        group=flags.group,
        new_tokens=flags.new_tokens,
        full_length=flags.full_length,
        lora_rank=LORA_RANKS.get(flags.model, 0) if rank is None else rank,
        gradient_checkpointing=flags.model in CHECKPOINTED if checkpointing is None else checkpointing,
        micro_batch=micro_batch,
        advantage=flags.advantage,
        epochs=flags.epochs,
        rounds=flags.rounds,
        steps=flags.steps,
        threads=flags.threads,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    flags = parser().parse_args(arguments)
    try:
        settings = settings_of(flags)
        if not flags.alone:
            require_trl()
    except (ImportError, ValueError) as error:
        sys.exit(f"error: {error}")
    torch.set_num_threads(settings.threads)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    with redirect_stdout(sys.stderr):  # DeepSpeed chats on standard output as soon as it is imported
        result = measure(settings, alone=flags.alone)
    if flags.json:
        print(json.dumps(result, indent=2))
    else:
        print(markdown(result) if flags.markdown else summary(result))


if __name__ == "__main__":
    main()
