"""The update: several passes over the answers of one rollout."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ssl4rl_agents.policies.policy import Evaluate
from ssl4rl_agents.ppo import losses
from ssl4rl_agents.ppo.advantages import Advantages
from ssl4rl_agents.ppo.config import ObjectiveConfig, OptimizerConfig
from ssl4rl_agents.ppo.divergence import form
from ssl4rl_agents.ppo.first_ratio import require_first_ratio
from ssl4rl_agents.ppo.losses import Total, alone
from ssl4rl_agents.ppo.microbatch import MicroBatches
from ssl4rl_agents.ppo.rollout import Rollout
from ssl4rl_agents.ppo.skipping import Skips, apply_gradients


@dataclass
class UpdateStatistics:
    """What happened in the optimizer steps of an update; the values of a step are token-weighted means."""

    values: dict[str, list[float]] = field(default_factory=dict)
    steps: int = 0
    skipped: int = 0
    stopped_early: bool = False
    max_ratio: float = 0.0
    first_ratio_error: float = 0.0

    def add(self, values: dict[str, float]) -> None:
        """Count the values of one optimizer step."""
        self.steps += 1
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        """Return the means by name, each over the steps that had it."""
        return {name: sum(values) / len(values) for name, values in self.values.items()}


@dataclass
class Minibatch:
    """Some questions of a rollout with all their answers: what one optimizer step is computed from."""

    inputs: Any
    tokens: Tensor
    mask: Tensor
    old_logprobs: Tensor
    old_values: Tensor
    advantages: Tensor
    returns: Tensor | None
    reference: Tensor | None
    weights: Tensor
    """Of each token in the loss."""
    shares: Tensor
    """Of each token in what is logged: one over the number of tokens in the minibatch."""
    importance: Tensor | None = None
    """Of each token's surrogate, where another engine sampled."""

    def split(self, prompts: int, group_size: int) -> list[Minibatch]:
        """Cut into micro-batches of at most `prompts` questions."""
        parts = []
        for start in range(0, len(self.inputs), prompts):
            stop = min(start + prompts, len(self.inputs))
            rows = slice(start * group_size, stop * group_size)
            device = self.tokens.device
            parts.append(
                Minibatch(
                    self.inputs.rows(torch.arange(start, stop, device=device)),
                    self.tokens[rows],
                    self.mask[rows],
                    self.old_logprobs[rows],
                    self.old_values[rows],
                    self.advantages[rows],
                    None if self.returns is None else self.returns[rows],
                    None if self.reference is None else self.reference[rows],
                    self.weights[rows],
                    self.shares[rows],
                    None if self.importance is None else self.importance[rows],
                )
            )
        return parts


def minibatch_of(
    rollout: Rollout,
    advantages: Advantages,
    reference: Tensor | None,
    prompts: Tensor,
    objective: ObjectiveConfig,
    longest: int,
    total: Total = alone,
) -> Minibatch:
    """Gather the questions `prompts` and their answers.

    The token weights are those of the whole minibatch: these questions and the ones that other processes gather, over which
    `total` sums.
    """
    size = rollout.group_size
    rows = (prompts[:, None] * size + torch.arange(size, device=prompts.device)).reshape(-1)
    samples = rollout.samples
    mask = samples.mask[rows]
    importance = None
    if samples.sampler_logprobs is not None and objective.importance_cap is not None:
        importance = losses.importance_weights(samples.logprobs, samples.sampler_logprobs, objective.importance_cap)
    return Minibatch(
        rollout.inputs.rows(prompts),
        samples.tokens[rows],
        mask,
        samples.logprobs[rows],
        samples.values[rows],
        advantages.advantages[rows],
        None if advantages.returns is None else advantages.returns[rows],
        None if reference is None else reference[rows],
        losses.weights(mask, objective.aggregation, longest, total),
        losses.weights(mask, "token_mean", longest, total),
        None if importance is None else importance[rows],
    )


def backward(
    policy: Evaluate,
    batch: Minibatch,
    objective: ObjectiveConfig,
    autocast: AbstractContextManager[Any],
    scale: float = 1.0,
) -> tuple[dict[str, float], Tensor]:
    """Add the gradients of one micro-batch, times `scale`; return the weighted sums of what is logged, and its ratios."""
    with autocast:
        now = policy(batch.inputs, batch.tokens, batch.mask)
    surrogate = losses.surrogate_loss(objective, now.logprobs, batch.old_logprobs, batch.advantages, batch.mask)
    of_policy = surrogate.loss if batch.importance is None else surrogate.loss * batch.importance
    by_token = of_policy - objective.entropy_coefficient * now.entropies
    logged = {"loss/policy": of_policy, "entropy": now.entropies}
    if batch.returns is not None:
        critic = losses.value_loss(now.values, batch.old_values, batch.returns, objective.value_clip)
        by_token = by_token + objective.value_coefficient * critic
        logged["loss/value"] = critic
    if batch.reference is not None and form(objective) != "none":
        divergence = losses.kl_estimate(now.logprobs, batch.reference, form(objective))
        by_token = by_token + (objective.kl_coefficient or 0.0) * divergence
    torch.autograd.backward((by_token * batch.weights).sum() * scale)
    logged["approx_kl"] = losses.approx_kl(now.logprobs, batch.old_logprobs)
    logged["clipped_low"], logged["clipped_high"] = surrogate.clipped_low.float(), surrogate.clipped_high.float()
    sums = {name: float((value.detach() * batch.shares).sum()) for name, value in logged.items()}
    return sums, surrogate.ratio.detach()[batch.mask]


def unsynchronised(last: bool) -> AbstractContextManager[Any]:
    """Return a context that does nothing: one process has no gradients to synchronise."""
    del last
    return nullcontext()


def nothing_to_reduce() -> None:
    """Do nothing: one process has no gradients to sum."""


def update(
    policy: Evaluate,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    advantages: Advantages,
    reference: Tensor | None,
    objective: ObjectiveConfig,
    settings: OptimizerConfig,
    *,
    longest: int,
    generator: torch.Generator,
    autocast: AbstractContextManager[Any],
    precision: torch.dtype | None = None,
    micro: MicroBatches | None = None,
    total: Total = alone,
    synchronise: Callable[[bool], AbstractContextManager[Any]] = unsynchronised,
    reduce: Callable[[], None] = nothing_to_reduce,
    scale: float = 1.0,
    skips: Skips | None = None,
) -> UpdateStatistics:
    """Pass `epochs` times over the rollout in freshly shuffled minibatches.

    Several processes, each with as many questions as the others, take the same steps if gradients are summed over them.

    Args:
        policy, optimizer: what is trained; the learning rate is in the optimizer's groups.
        rollout: questions, answers and old log-probabilities and values.
        advantages: of its tokens.
        reference: (n, T) log-probabilities of the reference policy, or None.
        objective, settings: see `TrainConfig`.
        longest: the longest possible answer in tokens.
        generator: on the CPU; shuffles.
        autocast: a context that sets the precision of the forward passes.
        precision: which one that is, where ratios must begin at 1 because the weights to be updated sampled the answers; None
            where others did.
        micro: how many questions a pass takes; by default `settings.micro_batch`, or a whole minibatch.
        total: sums over processes; by it, losses and what is logged are means over the minibatches of all.
        synchronise: a context for each forward and backward pass, called with whether it is the last of its minibatch. For
            engines that sum gradients in the last backward pass; where one process alone runs out of memory in it, the others
            wait for it in vain.
        reduce: called when all passes of a minibatch went well in every process, before its gradients are clipped: the place
            to sum them where nobody waits in vain.
        scale: multiplies the loss; the number of processes where gradients are averaged over them rather than summed.
        skips: counts the steps that are not taken.

    Raises:
        FirstRatioError: sampling and update disagree beyond rounding.
        DivergedError: too many of the last steps were not taken.
    """
    statistics = UpdateStatistics()
    device = rollout.samples.tokens.device
    prompts = len(rollout.inputs)
    passes = micro or MicroBatches(settings.micro_batch or prompts)

    def descend(batch: Minibatch) -> tuple[dict[str, float], Tensor]:
        """Sum the gradients of a minibatch; return the sums of what is logged, and the ratios of its tokens."""
        sums: dict[str, float] = {}
        ratios = []
        parts = batch.split(passes.step(len(batch.inputs)), rollout.group_size)
        for index, part in enumerate(parts):
            with synchronise(index == len(parts) - 1):
                part_sums, ratio = backward(policy, part, objective, autocast, scale)
            sums = {name: sums.get(name, 0.0) + value for name, value in part_sums.items()}
            ratios.append(ratio)
        return sums, torch.cat(ratios)

    for _ in range(settings.epochs):
        order = torch.randperm(prompts, generator=generator).to(device)
        for chosen in order.chunk(settings.minibatches):
            batch = minibatch_of(rollout, advantages, reference, chosen, objective, longest, total)
            own, ratio = passes.run(partial(descend, batch), partial(optimizer.zero_grad, set_to_none=True))
            reduce()
            everybodys = total(torch.tensor(list(own.values()), dtype=torch.float64, device=device))
            sums = dict(zip(own, everybodys.tolist(), strict=True))
            statistics.max_ratio = max(statistics.max_ratio, float(ratio.max()))
            if statistics.steps == 0:
                statistics.first_ratio_error = float((ratio - 1).abs().max())
                if precision is not None:
                    require_first_ratio(ratio, precision, total)
            if objective.target_kl is not None and sums["approx_kl"] > objective.target_kl:
                optimizer.zero_grad(set_to_none=True)
                statistics.stopped_early = True
                return statistics
            norm = apply_gradients(optimizer, settings.max_grad_norm, skips)
            statistics.skipped += norm is None
            statistics.add(sums if norm is None else {**sums, "grad_norm": norm})
    return statistics
