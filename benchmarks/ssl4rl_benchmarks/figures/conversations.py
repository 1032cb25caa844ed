"""What it saves to keep the cache of a conversation: seconds of rollout and update, and memory, beside running it again.

    python -m ssl4rl_benchmarks.figures.conversations --json

A LLaVA with random weights holds conversations of several turns, in groups that share their first prompt. Every turn shows
another picture under the words of `SSL4RL/PatchSwap-v0` and is answered at full length, so all rows stay to the end.

- "kept": `Policy.talk`, then one pass an episode (`Policy.evaluate` of its `Conversations`).
- "again": every turn is a prompt of its own, which holds all that was asked and said before: it is encoded, run with all of
  its pictures and answered, and the update passes through each of these prompts with its reply.

Both sample the same tokens, and the gradients are the same. Rounds of the two alternate in one process, in CPU seconds, and
the best of each counts; memory is measured in a process of its own for each, from before the first turn to after the update.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl4rl_benchmarks.spinning import sleep_soon

sleep_soon()

import numpy as np  # noqa: E402 - what is set above is read when torch is imported
import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from ssl4rl_agents.policies.conversations import Conversations, side_by_side  # noqa: E402
from ssl4rl_agents.policies.policy import Samples  # noqa: E402
from ssl4rl_agents.policies.prompts import VLMInputs  # noqa: E402
from ssl4rl_agents.policies.vlm import VLMPolicy  # noqa: E402
from ssl4rl_benchmarks.versus_trl.memory import resident  # noqa: E402
from ssl4rl_benchmarks.versus_trl.models import MODELS  # noqa: E402
from ssl4rl_envs import Stream, make_task  # noqa: E402

WAYS = ("kept", "again")
SIDE = 36


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Args:
        model: by its name in `versus_trl.models.MODELS`.
        prompts: conversations begin with so many prompts.
        group: rows begin with each.
        turns: decisions of a row.
        new_tokens: of each reply.
        rounds: of which the best counts.
        threads: of torch.
    """

    model: str = "tiny"
    prompts: int = 32
    group: int = 4
    turns: int = 8
    new_tokens: int = 8
    rounds: int = 3
    threads: int = 1

    @property
    def rows(self) -> int:
        """How many conversations are held."""
        return self.prompts * self.group


class Rounds:
    """Conversations held and learned from in both ways."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        task = make_task("SSL4RL/PatchSwap-v0", source="digits", image_size=SIDE, grid=2, max_steps=4)
        (self._words,) = task.prompts(task.sample(Stream.span("train", 0, 0, 1)))
        model, processor = MODELS[settings.model].build([self._words], torch.float32)
        self.policy = VLMPolicy(model, processor, max_new_tokens=settings.new_tokens)
        self.policy.forbid(self.policy.ends)

    def asked(self, turn: int) -> dict[str, Any]:
        """Return what is shown at a turn: to the prompts at the first, then to every row."""
        count = self.settings.rows if turn else self.settings.prompts
        pictures = np.random.default_rng(turn).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
        return {"image": pictures, "prompt": (self._words,) * count}

    def kept(self) -> tuple[Conversations, list[Samples]]:
        """Hold the conversations with the cache kept."""
        settings, luck = self.settings, torch.Generator().manual_seed(0)
        talk = self.policy.talk(self.policy.encode(self.asked(0)), settings.group, settings.turns)
        said = [talk.reply(generator=luck)]
        for turn in range(1, settings.turns):
            talk.hear(torch.arange(settings.rows), self.asked(turn))
            said.append(talk.reply(generator=luck))
        return talk.inputs, said

    def again(self) -> tuple[list[VLMInputs], list[Samples]]:
        """Hold them with everything encoded and run again at every turn."""
        settings, luck = self.settings, torch.Generator().manual_seed(0)
        begin = torch.arange(settings.rows) // settings.group
        read: list[VLMInputs] = []
        said: list[Samples] = []
        for turn in range(settings.turns):
            first = self.policy.encode(self.asked(0))
            if turn:
                heard = [self.policy.encode_next(self.asked(earlier)) for earlier in range(1, turn + 1)]
                first = self.policy.join([first.rows(begin), *heard], [(each.tokens, each.mask) for each in said])
            read.append(first)
            said.append(self.policy.generate(first, 1 if turn else settings.group, generator=luck))
        return read, said

    def learn(self, read: Conversations | list[VLMInputs], said: list[Samples]) -> Tensor:
        """Compute the gradients of all log-probabilities and values; return their norm."""
        self.policy.zero_grad()
        if isinstance(read, Conversations):
            whole = side_by_side([(torch.arange(self.settings.rows), each) for each in said], self.settings.rows)
            self._backward(read, whole)
        else:
            for inputs, samples in zip(read, said, strict=True):
                self._backward(inputs, samples)
        norms = [parameter.grad.norm() for parameter in self.policy.parameters() if parameter.grad is not None]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return norm

    def _backward(self, inputs: Any, samples: Samples) -> None:
        now = self.policy.evaluate(inputs, samples.tokens, samples.mask)
        torch.autograd.backward(now.logprobs.sum() + now.values.sum())


def measure(settings: Settings) -> dict[str, Any]:
    """Measure both ways and return the figures as plain data.

    Raises:
        RuntimeError: the two did not sample the same tokens, or have other gradients.
    """
    torch.set_num_threads(settings.threads)
    rounds = Rounds(settings)
    seconds: dict[str, dict[str, list[float]]] = {way: {"rollout": [], "update": []} for way in WAYS}
    for _ in range(settings.rounds):
        told = {}
        for way in WAYS:
            hold: Callable[[], Any] = getattr(rounds, way)
            start = time.process_time()
            read, said = hold()
            middle = time.process_time()
            norm = rounds.learn(read, said)
            seconds[way]["rollout"].append(middle - start)
            seconds[way]["update"].append(time.process_time() - middle)
            told[way] = (said, norm)
        _require_the_same(*told.values())
    best = {way: {phase: min(times) for phase, times in phases.items()} for way, phases in seconds.items()}
    memory = {way: peak_memory(way, settings) for way in WAYS}
    return {
        "settings": dataclasses.asdict(settings),
        "seconds": best,
        "memory": memory,
        "ratios": {
            **{phase: best["again"][phase] / best["kept"][phase] for phase in ("rollout", "update")},
            "memory": memory["kept"] / memory["again"],
        },
        "machine": f"{platform.machine()}, {settings.threads} threads",
    }


def _require_the_same(one: tuple[list[Samples], Tensor], other: tuple[list[Samples], Tensor]) -> None:
    if any(not torch.equal(a.tokens, b.tokens) for a, b in zip(one[0], other[0], strict=True)):
        raise RuntimeError("the two ways sampled other tokens")
    if abs(float(one[1] / other[1]) - 1) > 1e-3:
        raise RuntimeError(f"the two ways have gradients of norm {float(one[1])} and {float(other[1])}")


def peak_memory(way: str, settings: Settings) -> float:
    """Return the most memory that a round needs, in MiB above what the model takes, from a fresh process."""
    command = [sys.executable, "-m", "ssl4rl_benchmarks.figures.conversations", "--memory", way]
    given = [f"--{name.replace('_', '-')}={value}" for name, value in dataclasses.asdict(settings).items()]
    done = subprocess.run([*command, *given], capture_output=True, text=True, check=False)  # noqa: S603 (our own module)
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {way!r} failed:\n{done.stderr}")
    return float(done.stdout.strip().splitlines()[-1])


def memory_here(way: str, settings: Settings) -> float:
    """Return the most memory that a round takes in this process, in MiB, by what Linux counts."""
    torch.set_num_threads(settings.threads)
    rounds = Rounds(settings)
    start = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
    rounds.learn(*getattr(rounds, way)())
    return resident("VmHWM") - start


def markdown(result: dict[str, Any]) -> str:
    """Return the rows of a table in docs/performance.md, its head included."""
    rows = ["| | rollout | update | memory |", "| --- | --- | --- | --- |"]
    for way, name in (("again", "everything again at every turn"), ("kept", "cache kept, one pass an episode")):
        times = result["seconds"][way]
        rows.append(f"| {name} | {times['rollout']:.2f} s | {times['update']:.2f} s | {result['memory'][way]:,.0f} MiB |")
    ratios = result["ratios"]
    rows.append(f"| ratio | {ratios['rollout']:.2f} | {ratios['update']:.2f} | {ratios['memory']:.2f} |")
    return "\n".join(rows)


def main() -> None:
    """Measure and print."""
    default = Settings()
    parser = argparse.ArgumentParser(description="What it saves to keep the cache of a conversation.")
    parser.add_argument("--model", choices=list(MODELS), default=default.model, help="sizes of the model")
    parser.add_argument("--prompts", type=int, default=default.prompts, help="first prompts")
    parser.add_argument("--group", type=int, default=default.group, help="conversations that begin with each")
    parser.add_argument("--turns", type=int, default=default.turns, help="decisions of each")
    parser.add_argument("--new-tokens", type=int, default=default.new_tokens, help="tokens of a reply")
    parser.add_argument("--rounds", type=int, default=default.rounds, help="of which the best counts")
    parser.add_argument("--threads", type=int, default=default.threads, help="of torch")
    parser.add_argument("--memory", choices=WAYS, help="print the memory of one way, in MiB, and nothing else")
    parser.add_argument("--json", action="store_true", help="print JSON")
    flags = vars(parser.parse_args())
    way, as_json = flags.pop("memory"), flags.pop("json")
    settings = Settings(**flags)
    if way is not None:
        print(memory_here(way, settings))
        return
    result = measure(settings)
    print(json.dumps(result, indent=2) if as_json else markdown(result))


if __name__ == "__main__":
    main()
