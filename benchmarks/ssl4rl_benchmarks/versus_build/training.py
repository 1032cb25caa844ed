r"""A step of training a vision-language model, of this working tree beside another commit.

    python -m ssl4rl_benchmarks.versus_build.training BASE --model qwen2.5-vl-3b --prompts 64 --group 8
    python -m ssl4rl_benchmarks.versus_build.training BASE --model qwen2.5-vl-3b --prompts 16 --group 8 \
        --new-tokens 512 --micro-batch 8

Both load one model with random weights, each in a process of its own, and take steps in turns. Where the commits know how, no
answer ends before its longest length. Each takes a step with answers of eight tokens first, which is not counted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from ssl4rl_benchmarks.versus_build.builds import ROOT, Worker, checked_out
from ssl4rl_benchmarks.versus_build.cases import Case

PARTS = ("step", "answers", "update")
"""Seconds that are compared: of a step, and of the sampling and the update in it."""


def measure(workers: dict[str, Worker], steps: int) -> dict[str, dict[str, float]]:
    """Take steps in turns; return the median of what each worker says of them."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for turn in range(steps):
        for name, worker in workers.items():
            taken[name].append(worker.measure(1.0))
            print(f"{turn + 1} of {steps}, {name}: {taken[name][-1]['step']:.3f} s", file=sys.stderr)
    return {name: {key: statistics.median(step[key] for step in of) for key in of[0]} for name, of in taken.items()}


def table(medians: dict[str, dict[str, float]]) -> str:
    """Return seconds by part, and how many times as fast this is as the base, as Markdown."""
    lines = ["| seconds | base | now | ratio |", "| --- | --- | --- | --- |"]
    for part in PARTS:
        base, head = medians["base"][part], medians["head"][part]
        lines.append(f"| {part} | {base:.3f} | {head:.3f} | {base / head:.2f} |")
    lines.append(f"| tokens of answers | {medians['base']['tokens']:,.0f} | {medians['head']['tokens']:,.0f} | |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    from ssl4rl_benchmarks.versus_trl.__main__ import parser, settings_of
    from ssl4rl_benchmarks.versus_trl.models import save_model
    from ssl4rl_benchmarks.versus_trl.settings import ENV
    from ssl4rl_envs import Stream, make_task

    base = argparse.ArgumentParser(
        prog="python -m ssl4rl_benchmarks.versus_build.training",
        description="A step of training beside another commit's.",
        epilog="All other options are those of python -m ssl4rl_benchmarks.versus_trl.",
    )
    base.add_argument("base", help="the commit that this is compared with")
    flags, others = base.parse_known_args(arguments)
    given = parser().parse_args(others)
    with ExitStack() as stack, redirect_stdout(sys.stderr):  # DeepSpeed chats on standard output when it is imported
        try:
            settings = dataclasses.replace(settings_of(given), full_length=True)
            tree = stack.enter_context(checked_out(flags.base))
        except ValueError as error:
            sys.exit(f"error: {error}")
        model = Path(stack.enter_context(TemporaryDirectory(prefix="ssl4rl-model-"))) / "model"
        task = make_task(ENV, **settings.env_args)
        prompts = task.prompts(task.sample(Stream.span("train", 0, 0, 8)))
        save_model(settings.model, model, prompts, settings.weights_dtype, settings.device)
        case = Case("training", "train", {"model": str(model), "settings": dataclasses.asdict(settings)}, settings.threads)
        workers: dict[str, Worker] = {}
        for name, root in (("base", tree), ("head", ROOT)):
            workers[name] = Worker("trainer", root, case, 0)
            stack.callback(workers[name].close)
        medians = measure(workers, settings.steps)
    print(json.dumps(medians, indent=2) if given.json else table(medians))


if __name__ == "__main__":
    main()
