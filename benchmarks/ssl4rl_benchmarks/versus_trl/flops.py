"""How much of the device's speed in matrix products an update reaches.

The products of an update are counted as its model needs them: 2 operations per weight and token forward, 2 backward for what
comes in, and 2 more for the weight itself where it is trained. So a weight costs 6 a token, or 4 where it is frozen under
adapters. A prompt counts once for all answers to it, since once is enough; the decoder's layers see prompts and answers, the
language-model head the answers alone. What is not counted makes the share smaller than it is: the vision tower, the products
of attention, and what gradient checkpointing computes again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

FORMULA = "update FLOPs = passes x (6 x trained + 4 x frozen weights) x tokens; layers: prompts once + answers, head: answers"


@dataclass(frozen=True)
class Weights:
    """Weights of matrices: those of the decoder's layers, and of the language-model head, trained and frozen."""

    layers_trained: int
    layers_frozen: int
    head_trained: int
    head_frozen: int


@dataclass(frozen=True)
class Work:
    """What an update is computed from.

    Args:
        prompt_tokens: of all prompts that are run, once each.
        answer_tokens: of all answers.
        answers: how many; the last token of each is not run.
        passes: over all of it.
        weights: of the model.
    """

    prompt_tokens: int
    answer_tokens: int
    answers: int
    passes: int
    weights: Weights

    @property
    def flops(self) -> int:
        """Operations of the update's matrix products, as the module counts them."""
        weights, run = self.weights, self.prompt_tokens + self.answer_tokens - self.answers
        layers = (6 * weights.layers_trained + 4 * weights.layers_frozen) * run
        head = (6 * weights.head_trained + 4 * weights.head_frozen) * self.answer_tokens
        return self.passes * (layers + head)


def weights_of(model: Any) -> Weights:
    """Count the weights of the linear layers of a transformers model's decoder and head; adapters are such layers too."""
    head = model.get_output_embeddings()
    decoder = model.get_decoder()
    counts = {True: 0, False: 0}
    for module in decoder.modules():
        if isinstance(module, nn.Linear) and module is not head:
            counts[module.weight.requires_grad] += module.weight.numel()
    of_head = head.weight.numel()
    trained = head.weight.requires_grad
    return Weights(counts[True], counts[False], of_head if trained else 0, 0 if trained else of_head)


def matmul_rate(device: torch.device, size: int | None = None, tries: int = 10) -> float:
    """Return the best rate of square matrix products in operations per second.

    Args:
        device: on a GPU in bfloat16, else in float32.
        size: of the matrices; 8192 on a GPU, else 2048.
        tries: the best of so many counts.
    """
    gpu = device.type == "cuda"
    size = size or (8192 if gpu else 2048)
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16 if gpu else torch.float32) for _ in range(2))
    best = float("inf")
    for _ in range(tries + 1):  # the first warms up
        _wait(device)
        start = time.perf_counter()
        torch.mm(left, right)
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
