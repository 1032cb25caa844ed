"""What an iteration came to: numbers over the answers of all processes."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl4rl_agents.ppo.credit import Credit, divergences, moments
from ssl4rl_agents.ppo.dynamic_sampling import Asked
from ssl4rl_agents.ppo.losses import importance_statistics
from ssl4rl_agents.ppo.rollout import Rollout
from ssl4rl_agents.ppo.update import UpdateStatistics
from ssl4rl_agents.readability import Readability
from ssl4rl_agents.runtime.processes import Processes

SUMS = ("questions_asked", "episodes", "tokens")


def summarise(
    processes: Processes,
    rollout: Rollout,
    credit: Credit,
    statistics: UpdateStatistics,
    importance_cap: float | None,
    horizon: int,
) -> dict[str, float]:
    """Return the numbers of an iteration by name; all processes must call this.

    Args:
        processes: which share the iteration's questions equally.
        rollout: this process's part.
        credit: for it.
        statistics: of the update; its means are over all processes already.
        importance_cap: of the weights of tokens that another engine sampled.
        horizon: most decisions of an episode; how many were taken is told where there may be several.
    """
    masks = [processes.gather(turn.samples.mask) for turn in rollout.turns]
    lengths = torch.cat([mask.sum(1).float() for mask in masks])
    return {
        "reward": float(processes.gather(rollout.scores).mean()),
        "success": float(processes.gather(rollout.success).float().mean()),
        "length/mean": float(lengths.mean()),
        "length/max": float(lengths.max()),
        "truncated": float(torch.cat([processes.gather(turn.samples.truncated) for turn in rollout.turns]).float().mean()),
        "groups_without_advantage": float((~processes.gather(rollout.informative)).float().mean()),
        **statistics.means(),
        "max_ratio": processes.greatest(statistics.max_ratio),
        "first_ratio_error": processes.greatest(statistics.first_ratio_error),
        "optimizer_steps": statistics.steps,
        "skipped_steps": statistics.skipped,
        "stopped_early": float(statistics.stopped_early),
        **(_of_turns(processes, rollout) if horizon > 1 else {}),
        "episodes": len(rollout.success) * processes.count,
        "tokens": sum(int(mask.sum()) for mask in masks),
        **_of_tokens(processes, rollout, credit, importance_cap),
    }


def _of_turns(processes: Processes, rollout: Rollout) -> dict[str, float]:
    """Return how many decisions episodes took."""
    decisions = processes.total(
        rollout.success.new_tensor(sum(len(turn.episodes) for turn in rollout.turns), dtype=torch.float64)
    )
    return {"turns/mean": float(decisions) / (len(rollout.success) * processes.count), "turns/max": len(rollout.turns)}


def _of_tokens(processes: Processes, rollout: Rollout, credit: Credit, importance_cap: float | None) -> dict[str, float]:
    """Return the numbers that there are with another sampler, with a reference, and with a critic."""
    answers = [played.samples for played in rollout.passes]
    masks = [processes.gather(samples.mask) for samples in answers]
    values: dict[str, float] = {}
    foreign = [samples.sampler_logprobs for samples in answers if samples.sampler_logprobs is not None]
    if foreign and importance_cap is not None:
        own = [processes.gather(samples.logprobs) for samples in answers]
        theirs = [processes.gather(logprobs) for logprobs in foreign]
        values |= importance_statistics(_tokens(own, masks), _tokens(theirs, masks), importance_cap)
    if credit.reference is not None:
        divergence = [processes.gather(kl) for kl in divergences(rollout, credit.reference)]
        values["kl/reference"] = float(_tokens(divergence, masks).mean())
    returns = [judged.returns for judged in credit.passes if judged.returns is not None]
    if returns:
        kept = [samples.mask for samples in answers]
        expected = _tokens([samples.values for samples in answers], kept)
        values["explained_variance"] = explained_variance(expected, _tokens(returns, kept), processes)
    return values


def explained_variance(values: Tensor, returns: Tensor, processes: Processes) -> float:
    """Return 1 - Var(returns - values) / Var(returns) over the tokens (n,) of all processes; 0 where returns are constant."""
    (_, variance), (_, left) = (moments(kept, processes) for kept in (returns, returns - values))
    return 1 - float(left.float()) / float(variance.float()) if variance > 0 else 0.0


def _tokens(parts: list[Tensor], masks: list[Tensor]) -> Tensor:
    """Return the numbers of the tokens inside the masks, (tokens,), of parts (n, T)."""
    return torch.cat([part[mask] for part, mask in zip(parts, masks, strict=True)])


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
