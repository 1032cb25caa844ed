"""Samples put together: of several passes, of several rounds, and of nobody."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl4rl_agents.policies.policy import Samples


def joined(parts: list[Samples], rows: Tensor | None = None) -> Samples:
    """Return several samples, one after the other, as wide as the longest of them.

    Narrower ones are filled up with their own last token, which is one that may stand in an answer, outside the mask.

    Args:
        parts: the samples.
        rows: which answers of all of them; by default all.
    """
    lengths = torch.cat([part.mask.sum(1) for part in parts])
    chosen = torch.arange(len(lengths), device=lengths.device) if rows is None else rows
    width = int(lengths[chosen].max())

    def wide(name: str) -> Tensor:
        columns = []
        for part in parts:
            values = getattr(part, name)
            lacking = max(0, width - values.shape[1])
            rest = values[:, -1:].expand(-1, lacking) if name == "tokens" else values.new_zeros(len(values), lacking)
            columns.append(torch.cat([values[:, :width], rest], dim=1))
        return torch.cat(columns)[chosen]

    foreign = parts[0].sampler_logprobs is not None
    return Samples(
        wide("tokens"),
        wide("mask"),
        wide("logprobs"),
        wide("values"),
        torch.cat([part.truncated for part in parts])[chosen],
        wide("sampler_logprobs") if foreign else None,
    )


def no_samples(device: torch.device) -> Samples:
    """Return the answers of no episode, (0, 1)."""
    none = torch.zeros((0, 1), device=device)
    return Samples(none.long(), none.bool(), none, none, torch.zeros(0, dtype=torch.bool, device=device))
