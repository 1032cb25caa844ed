"""What an iteration came to: numbers over the answers of all processes."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl4rl_agents.ppo.advantages import explained_variance
from ssl4rl_agents.ppo.losses import importance_statistics
from ssl4rl_agents.ppo.rollout import Asked, Rollout
from ssl4rl_agents.ppo.update import UpdateStatistics
from ssl4rl_agents.readability import Readability
from ssl4rl_agents.runtime.processes import Processes

SUMS = ("questions_asked", "episodes", "tokens")


def summarise(
    processes: Processes,
    rollout: Rollout,
    returns: Tensor | None,
    divergence: Tensor | None,
    statistics: UpdateStatistics,
    importance_cap: float | None,
) -> dict[str, float]:
    """Return the numbers of an iteration by name; all processes must call this.

    Args:
        processes: which share the iteration's questions equally.
        rollout: this process's part.
        returns: (n, T) what the critic regressed on, or None without one.
        divergence: (n, T) from the reference, or None without one.
        statistics: of the update; its means are over all processes already.
        importance_cap: of the weights of tokens that another engine sampled.
    """
    samples = rollout.samples
    mask, scores = processes.gather(samples.mask), processes.gather(rollout.scores)
    success, truncated = processes.gather(rollout.success), processes.gather(samples.truncated)
    lengths = mask.sum(1).float()
    values = {
        "reward": float(scores.mean()),
        "success": float(success.float().mean()),
        "length/mean": float(lengths.mean()),
        "length/max": float(lengths.max()),
        "truncated": float(truncated.float().mean()),
        "groups_without_advantage": float((~processes.gather(rollout.informative)).float().mean()),
        **statistics.means(),
        "max_ratio": processes.greatest(statistics.max_ratio),
        "first_ratio_error": processes.greatest(statistics.first_ratio_error),
        "optimizer_steps": statistics.steps,
        "skipped_steps": statistics.skipped,
        "stopped_early": float(statistics.stopped_early),
        "episodes": len(mask),
        "tokens": int(mask.sum()),
    }
    if samples.sampler_logprobs is not None and importance_cap is not None:
        logprobs, sampler = processes.gather(samples.logprobs), processes.gather(samples.sampler_logprobs)
        values |= importance_statistics(logprobs, sampler, mask, importance_cap)
    if divergence is not None:
        values["kl/reference"] = float(processes.gather(divergence)[mask].mean())
    if returns is not None:
        values["explained_variance"] = explained_variance(processes.gather(samples.values), processes.gather(returns), mask)
    return values


def summarise_asked(processes: Processes, asked: Asked) -> dict[str, float]:
    """Return what all processes asked for their rollouts; they did equally many rounds of equally many questions."""
    metrics = asked.metrics()
    sums = processes.total(torch.tensor(list(metrics.values()), dtype=torch.float64, device=processes.device)).tolist()
    return {name: value if name in SUMS else value / processes.count for name, value in zip(metrics, sums, strict=True)}


def summarise_readable(processes: Processes, readability: Readability) -> dict[str, float]:
    """Return the share of replies that all processes could read; nothing where nothing is said in words."""
    if readability.share is None:
        return {}
    read, replies = processes.total(torch.tensor(readability.counts, device=processes.device)).tolist()
    return {"readable": read / replies}
