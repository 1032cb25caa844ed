"""Rollouts: ask questions, sample answers, have them scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.policies.policy import Policy, Samples
from ssl4rl_envs import Stream, Task
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.task import Batch


@dataclass
class Rollout:
    """The answers of one iteration: P questions, G answers to each, n = P * G rows.

    Args:
        inputs: the encoded questions, of length P.
        samples: the answers (n, T) with log-probabilities and values of the policy that gave them.
        scores: (n,) float32 rewards in [0, 1].
        success: (n,) bool.
        group_size: G.
    """

    inputs: Any
    samples: Samples
    scores: Tensor
    success: Tensor
    group_size: int


def ask(task: Task, split: str, seed: int, first: int, count: int) -> Batch:
    """Return questions `first` ... `first + count - 1` of the endless stream of (split, seed)."""
    return task.sample(Stream(split, np.full(count, seed, np.uint64), np.arange(first, first + count)))


def collect(policy: Policy, interface: Interface, batch: Batch, group_size: int, generator: torch.Generator) -> Rollout:
    """Answer each question of a batch `group_size` times; an answer that was cut off at the length limit scores 0."""
    inputs = policy.encode(interface.observe(batch))
    samples = policy.generate(inputs, group_size, generator=generator)
    actions = policy.decode(samples.tokens, samples.mask, samples.truncated)
    rows: NDArray[np.int64] = np.repeat(np.arange(len(batch)), group_size)
    score = interface.step(batch.rows(rows), actions).step.score
    device = samples.tokens.device
    kept = ~samples.truncated
    scores = torch.from_numpy(score.reward).to(device) * kept
    success = torch.from_numpy(score.success).to(device) & kept
    return Rollout(inputs, samples, scores, success, group_size)
