"""Cross-entropy on given answers: how an answer is written (format warm-up), and the supervised ceiling.

The warm-up's answers are random and know nothing of the question; the ceiling's are the targets, which nothing else in
training ever sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.ppo.rollout import ask
from ssl4rl_agents.runtime.deepspeed import ZeroOptimizer
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.optimizer import Skips, apply_gradients
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import OptimizerConfig
from ssl4rl_envs import Stream
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.task import Batch

FORMAT_STEPS = {"betas": (0.9, 0.999), "weight_decay": 0.01}
"""AdamW's settings in the format warm-up."""


def written(interface: Interface, answers: NDArray[Any], batch: Batch) -> Any:
    """Turn answers (n, ...) to n questions into actions: whole replies, or, where nothing is said in words, as they are."""
    if not interface.text:
        return answers
    return [wrap(words or "", interface.prompt_style) for words in interface.task.format_all(answers, batch)]


def descend(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    inputs: Any,
    replies: Any,
    *,
    max_grad_norm: float,
    micro: MicroBatches,
    processes: Processes,
    skips: Skips | None = None,
) -> tuple[Tensor, float | None]:
    """Take one step down the cross-entropy: the mean negative log-probability of the replies' tokens.

    Args:
        policy, optimizer: what is trained.
        inputs: the encoded prompts of this process.
        replies: one to each, as `written` gives them.
        max_grad_norm: gradients are scaled down to this norm.
        micro: how many prompts a pass takes.
        processes: over whose tokens the mean is.
        skips: counts the steps that are not taken.

    Returns:
        This process's part of the loss, times `processes.scale`, and the gradient's norm before clipping, None where it is
        not finite and no step was taken.
    """
    tokens, mask = policy.encode_answers(replies)
    count = processes.total(mask.sum())
    learner = processes.learner(policy, optimizer)

    def work() -> Tensor:
        loss = torch.zeros((), device=tokens.device)
        parts = list(micro.parts(len(replies), 1, tokens.device))
        for index, (prompts, rows) in enumerate(parts):
            with processes.synchronise(index == len(parts) - 1):
                with autocast(tokens.device):
                    said = learner(inputs.rows(prompts), tokens[rows], mask[rows])
                part = -said.logprobs.sum() * processes.scale / count
                torch.autograd.backward(part)
            loss = loss + part.detach()
        return loss

    clear = partial(optimizer.zero_grad, set_to_none=True)
    clear()
    loss = micro.run(work, clear)
    processes.reduce(policy.parameters())
    return loss, apply_gradients(optimizer, max_grad_norm, skips)


def passes(
    policy: Policy,
    inputs: Any,
    replies: Any,
    settings: OptimizerConfig,
    generator: torch.Generator,
    step: Callable[[Any, Any], tuple[Tensor, float | None]],
    processes: Processes,
) -> dict[str, float]:
    """Pass `epochs` times over questions with their answers in freshly shuffled minibatches; return the numbers of it.

    Args:
        policy: what is trained.
        inputs: n encoded prompts of this process.
        replies: one to each, as `written` gives them.
        settings: how many passes of how many minibatches.
        generator: on the CPU; shuffles.
        step: takes a step towards some replies, as `descend` does, and returns the same.
        processes: over whose answers the numbers are.
    """
    found = []
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(replies), generator=generator).chunk(settings.minibatches):
            found.append(step(inputs.rows(rows.to(processes.device)), [replies[row] for row in rows.tolist()]))
    tokens = processes.total(policy.encode_answers(replies)[1].sum())
    mean = processes.total(torch.stack([loss for loss, _ in found]).mean()) / processes.scale
    return {
        "loss/cross_entropy": float(mean),
        "skipped_steps": sum(norm is None for _, norm in found),
        "episodes": len(replies) * processes.count,
        "tokens": int(tokens),
    }


@contextmanager
def format_steps(optimizer: torch.optim.Optimizer, learning_rate: float) -> Iterator[None]:
    """Let the optimizer of a run take the steps of its format warm-up: at another rate, and forgotten afterwards."""
    changes = {"lr": learning_rate, **FORMAT_STEPS}
    kept = [{name: group[name] for name in changes} for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group.update(changes)
    try:
        yield
    finally:
        for group, before in zip(optimizer.param_groups, kept, strict=True):
            group.update(before)
        if isinstance(optimizer, ZeroOptimizer):
            optimizer.forget()
        else:
            optimizer.state.clear()


def format_lessons(
    interface: Interface, seeds: tuple[int, int], steps: int, each: int, part: range
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield questions, as they are shown, with a random valid answer to each.

    Args:
        interface: to the task that is asked.
        seeds: of the questions and of the answers.
        steps: how many times.
        each: questions a time.
        part: which of them are this process's.
    """
    for step in range(steps):
        first = step * each + part.start
        batch = ask(interface.task, "train", seeds[0], first, len(part))
        stream = Stream("train", np.full(len(part), seeds[1], np.uint64), np.arange(first, first + len(part)))
        yield interface.observe(batch), random_replies(interface, batch, stream)


def random_replies(interface: Interface, batch: Batch, stream: Stream) -> Any:
    """Write one random valid answer to each question."""
    return written(interface, interface.task.random_answers(batch, stream), batch)
