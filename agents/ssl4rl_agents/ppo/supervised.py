"""Cross-entropy on given answers: how an answer is written (format warm-up), and the supervised ceiling.

The warm-up's answers are random and know nothing of the question; the ceiling's are the targets, which nothing else in
training ever sees.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.policies.policy import Evaluation, Policy
from ssl4rl_agents.ppo.distributed import whole
from ssl4rl_agents.ppo.losses import Total, alone
from ssl4rl_envs import Stream, Task
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.task import Batch


def written(task: Task, answers: NDArray[Any], batch: Batch, style: str) -> list[str]:
    """Write answers (n, ...) to n questions as whole replies."""
    return [wrap(words or "", style) for words in task.format_all(answers, batch)]


def cross_entropy(
    policy: Policy,
    inputs: Any,
    replies: list[str],
    *,
    total: Total = alone,
    scale: float = 1.0,
) -> Tensor:
    """Return the negative log-probability of the replies' tokens, one reply a prompt, over the number of tokens.

    Args:
        policy: writes the replies as tokens.
        inputs: the encoded prompts.
        replies: one to each.
        total: sums over them.
        scale: the number of processes where their gradients are averaged rather than summed.
    """
    tokens, mask = policy.encode_answers(replies)
    said: Evaluation = policy(inputs, tokens, mask)
    return -said.logprobs.sum() * scale / total(mask.sum())


def random_replies(task: Task, batch: Batch, stream: Stream, style: str) -> list[str]:
    """Write one random valid answer to each question."""
    return written(task, task.random_answers(batch, stream), batch, style)


def apply_gradients(optimizer: torch.optim.Optimizer, max_grad_norm: float) -> float | None:
    """Clip the gradients and step; a gradient that is not finite is not followed.

    Returns the gradient's norm before clipping, None where it is not finite.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = float(whole(torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)))
    finite = torch.isfinite(torch.tensor(norm)).item()
    if finite:
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm if finite else None
