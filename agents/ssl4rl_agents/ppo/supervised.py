"""Cross-entropy on given answers: how an answer is written (format warm-up), and the supervised ceiling.

The warm-up's answers are random and know nothing of the question; the ceiling's are the targets, which nothing else in
training ever sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.ppo.device import autocast
from ssl4rl_agents.ppo.distributed import Processes, whole
from ssl4rl_agents.ppo.microbatch import MicroBatches
from ssl4rl_agents.ppo.zero import ZeroOptimizer
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
) -> tuple[Tensor, float | None]:
    """Take one step down the cross-entropy: the mean negative log-probability of the replies' tokens.

    Args:
        policy, optimizer: what is trained.
        inputs: the encoded prompts of this process.
        replies: one to each, as `written` gives them.
        max_grad_norm: gradients are scaled down to this norm.
        micro: how many prompts a pass takes.
        processes: over whose tokens the mean is.

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
    return loss, apply_gradients(optimizer, max_grad_norm)


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


def random_replies(interface: Interface, batch: Batch, stream: Stream) -> Any:
    """Write one random valid answer to each question."""
    return written(interface, interface.task.random_answers(batch, stream), batch)


def apply_gradients(optimizer: torch.optim.Optimizer, max_grad_norm: float) -> float | None:
    """Clip the gradients and step; a gradient that is not finite is not followed. DeepSpeed clips as it was told at first.

    Returns the gradient's norm before clipping, None where it is not finite.
    """
    if isinstance(optimizer, ZeroOptimizer):
        return optimizer.descend()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = float(whole(torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)))
    finite = torch.isfinite(torch.tensor(norm)).item()
    if finite:
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm if finite else None
