"""The update: several passes over the answers of one rollout.

The last of the three files that an episode goes through, after `rollout` and `credit`. `Updater.update` shuffles questions
into minibatches; `minibatch_of` gathers of each what all answers to its questions need, a `Minibatch` for each of
`Rollout.passes`; `Updater._step` sums their gradients, by `backward` in micro-batches, and takes a step of the optimizer.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ssl4rl_agents.algorithms.surrogates import SURROGATES, PolicyLoss
from ssl4rl_agents.divergence import form
from ssl4rl_agents.policies.policy import Evaluate, Policy, Samples
from ssl4rl_agents.ppo import losses
from ssl4rl_agents.ppo.credit import Credit
from ssl4rl_agents.ppo.first_ratio import require_first_ratio
from ssl4rl_agents.ppo.rollout import Rollout, Turn
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.optimizer import Skips, apply_gradients
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import Aggregation, ObjectiveConfig, OptimizerConfig


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
    """Some prompts of a pass with all their answers: what the gradients of an optimizer step are computed from."""

    inputs: Any
    group_size: int
    tokens: Tensor
    mask: Tensor
    old_logprobs: Tensor | None
    """None where they are those of the update's only pass, which are put into `samples`."""
    old_values: Tensor
    advantages: Tensor
    returns: Tensor | None
    reference: Tensor | None
    weights: Tensor
    """Of each token in the loss."""
    shares: Tensor
    """Of each token in what is logged: one over the number of tokens in the optimizer step."""
    sampler_logprobs: Tensor | None
    """Where another engine sampled, its own."""
    samples: Samples
    """All answers of the pass."""
    rows: Tensor
    """Which of these they are."""
    blank: Any = None
    """The prompts with blank pictures, where replies are compared with those to them."""

    def split(self, prompts: int) -> list[Minibatch]:
        """Cut into micro-batches of at most `prompts` prompts."""
        found = []
        for start in range(0, len(self.inputs), max(1, prompts)):
            stop = min(start + prompts, len(self.inputs))
            rows = slice(start * self.group_size, stop * self.group_size)
            kept: dict[str, Any] = {name: value[rows] for name, value in vars(self).items() if isinstance(value, Tensor)}
            prompts_here = torch.arange(start, stop, device=self.tokens.device)
            kept["inputs"] = self.inputs.rows(prompts_here)
            kept["blank"] = None if self.blank is None else self.blank.rows(prompts_here)
            found.append(replace(self, **kept))
        return found


def minibatch_of(
    rollout: Rollout, credit: Credit, questions: Tensor, objective: ObjectiveConfig, longest: int, processes: Processes
) -> list[Minibatch]:
    """Gather what answers some questions, in their order: a `Minibatch` for each pass.

    Args:
        rollout: what was played.
        credit: for it.
        questions: (q,) int64, which of the rollout's.
        objective: names the terms of the loss.
        longest: the longest possible answer in tokens.
        processes: each gathers as many questions; the weights of tokens are those in the minibatches of all together.
    """
    weights, shares = (_weights(rollout, questions, how, longest, processes) for how in (objective.aggregation, "token_mean"))
    found = []
    for number, turn in enumerate(rollout.passes):
        prompts, rows = _places(turn, questions, rollout.group_size)
        inputs = rollout.passes[0].inputs if turn.inputs is None else turn.inputs  # of an empty turn no row is taken
        samples, judged = turn.samples, credit.passes[number]
        found.append(
            Minibatch(
                inputs.rows(prompts),
                turn.group_size,
                samples.tokens[rows],
                samples.mask[rows],
                None if rollout.open else samples.logprobs[rows],
                samples.values[rows],
                judged.advantages[rows],
                None if judged.returns is None else judged.returns[rows],
                None if credit.reference is None else credit.reference[number][rows],
                weights[number][rows],
                shares[number][rows],
                None if samples.sampler_logprobs is None else samples.sampler_logprobs[rows],
                samples,
                rows,
                None if turn.blank is None else turn.blank.rows(prompts),
            )
        )
    return found


def _weights(
    rollout: Rollout, questions: Tensor, aggregation: Aggregation, longest: int, processes: Processes
) -> list[Tensor]:
    """Return the weight of each token of each pass in the mean over the answers to some questions; 0 of all others.

    An answer is that of one turn, however the passes are made.
    """
    chosen = [_places(turn, questions, rollout.group_size)[1] for turn in rollout.turns]
    masks = [turn.samples.mask[rows] for turn, rows in zip(rollout.turns, chosen, strict=True)]
    found = []
    for turn, rows, weights in zip(
        rollout.turns, chosen, losses.weights(masks, aggregation, longest, processes), strict=True
    ):
        found.append(weights.new_zeros(turn.samples.mask.shape).index_copy(0, rows, weights))
    return rollout.by_pass(found)


def _places(turn: Turn, questions: Tensor, group_size: int) -> tuple[Tensor, Tensor]:
    """Return which prompts of a turn, and which of its answers, belong to some questions, in the order of these."""
    asked = turn.episodes[:: turn.group_size] // group_size  # the question that each prompt belongs to
    prompts = (asked[None] == questions[:, None]).nonzero()[:, 1]
    rows = (prompts[:, None] * turn.group_size + torch.arange(turn.group_size, device=prompts.device)).reshape(-1)
    return prompts, rows


def backward(
    policy: Evaluate,
    batch: Minibatch,
    objective: ObjectiveConfig,
    scale: float = 1.0,
    context: AbstractContextManager[Any] = nullcontext(),  # noqa: B008 - it holds nothing
) -> tuple[dict[str, Tensor], Tensor]:
    """Add the gradients of one micro-batch, times `scale`.

    Args:
        policy: what is trained.
        batch: what from.
        objective: names the terms of the loss.
        scale: of the gradients.
        context: the policy's pass runs in it.

    Returns:
        The weighted sums of what is logged, () float64 each, left on the device; and the ratios of the tokens.
    """
    with context:
        now = policy(batch.inputs, batch.tokens, batch.mask)
        blind = None if batch.blank is None else policy(batch.blank, batch.tokens, batch.mask)
    old = batch.old_logprobs
    if old is None:
        old = batch.samples.logprobs[batch.rows] = now.logprobs.detach()
    row = SURROGATES[objective.surrogate]
    loss: PolicyLoss = row(objective, now.logprobs, old, batch.advantages, batch.mask)
    of_policy = loss.loss
    if batch.sampler_logprobs is not None and objective.importance_cap is not None:
        of_policy = of_policy * losses.importance_weights(old, batch.sampler_logprobs, objective.importance_cap)
    by_token = of_policy - objective.entropy_coefficient * now.entropies
    logged = {"loss/policy": of_policy, "entropy": now.entropies}
    if batch.returns is not None:
        critic = losses.value_loss(now.values, batch.old_values, batch.returns, objective.value_clip)
        by_token = by_token + objective.value_coefficient * critic
        logged["loss/value"] = critic
    if batch.reference is not None and form(objective) != "none":
        divergence = losses.kl_estimate(now.logprobs, batch.reference, form(objective))
        by_token = by_token + (objective.kl_coefficient or 0.0) * divergence
    if blind is not None:
        logged["grounding"] = losses.perception(now.logprobs, blind.logprobs)
        by_token = by_token - objective.grounding_coefficient * logged["grounding"]
    torch.autograd.backward((by_token * batch.weights).sum() * scale)
    logged["approx_kl"] = losses.approx_kl(now.logprobs, old)
    logged["clipped_low"], logged["clipped_high"] = loss.clipped_low.float(), loss.clipped_high.float()
    sums = {name: (value.detach() * batch.shares).sum().double() for name, value in logged.items()}
    return sums, loss.ratio.detach()[batch.mask]


class Updater:
    """Improves a policy by what was played: several passes over a rollout, in freshly shuffled minibatches.

    Several processes, each with as many questions as the others, take the same steps.

    Args:
        policy, optimizer: what is trained; the learning rate is in the optimizer's groups.
        objective, settings: see `TrainConfig`.
        processes: those that train together; losses and what is logged are means over the minibatches of all.
        micro_batches: how many questions a pass takes.
        skips: counts the steps that are not taken.
        precision: of the passes, where ratios must begin at 1 because the weights to be updated sampled the answers; None
            where others did.
    """

    def __init__(
        self,
        policy: Policy,
        optimizer: torch.optim.Optimizer,
        objective: ObjectiveConfig,
        settings: OptimizerConfig,
        processes: Processes,
        micro_batches: MicroBatches,
        skips: Skips,
        precision: torch.dtype | None = None,
    ) -> None:
        self._policy, self._optimizer, self._precision = policy, optimizer, precision
        self._objective, self._settings = objective, settings
        self._processes, self._micro_batches, self._skips = processes, micro_batches, skips

    def update(self, rollout: Rollout, credit: Credit, generator: torch.Generator) -> UpdateStatistics:
        """Pass `epochs` times over a rollout; the generator, on the CPU, shuffles.

        Raises:
            FirstRatioError: sampling and update disagree beyond rounding.
            DivergedError: too many of the last steps were not taken.
        """
        statistics, settings = UpdateStatistics(), self._settings
        questions, device = len(rollout.success) // rollout.group_size, rollout.success.device
        for _ in range(settings.epochs):
            order = torch.randperm(questions, generator=generator).to(device)
            for chosen in order.chunk(settings.minibatches):
                batch = minibatch_of(rollout, credit, chosen, self._objective, self._policy.max_new_tokens, self._processes)
                if not self._step(batch, statistics):
                    return statistics
        return statistics

    def _step(self, batch: list[Minibatch], statistics: UpdateStatistics) -> bool:
        """Take an optimizer step, and note what happened; return False where the policy has moved far enough already."""
        optimizer, processes, target_kl = self._optimizer, self._processes, self._objective.target_kl
        clear = partial(optimizer.zero_grad, set_to_none=True)
        own, ratio = self._micro_batches.run(partial(self._gradients, batch), clear)
        processes.reduce(self._policy.parameters())
        everybodys = processes.total(torch.stack(list(own.values())))
        sums = dict(zip(own, everybodys.tolist(), strict=True))
        statistics.max_ratio = max(statistics.max_ratio, float(ratio.max()))
        if statistics.steps == 0:
            statistics.first_ratio_error = float((ratio - 1).abs().max())
            if self._precision is not None:
                require_first_ratio(ratio, self._precision, processes)
        if target_kl is not None and sums["approx_kl"] > target_kl:
            clear()
            statistics.stopped_early = True
            return False
        norm = apply_gradients(optimizer, self._settings.max_grad_norm, self._skips)
        statistics.skipped += norm is None
        statistics.add(sums if norm is None else {**sums, "grad_norm": norm})
        return True

    def _gradients(self, batch: list[Minibatch]) -> tuple[dict[str, Tensor], Tensor]:
        """Sum the gradients of an optimizer step; return the sums of what is logged, and the ratios of its tokens."""
        learner, processes = self._processes.learner(self._policy, self._optimizer), self._processes
        whole = batch[0].group_size  # in the first turn the episodes of a question share a prompt; later each has its own
        parts = [
            part
            for turn in batch
            for part in turn.split(self._micro_batches.size_for(len(turn.inputs), whole // turn.group_size))
        ]
        sums: dict[str, Tensor] = {}
        ratios = []
        for index, part in enumerate(parts):
            with processes.synchronise(index == len(parts) - 1):
                context = autocast(self._policy, part.tokens.device)
                part_sums, ratio = backward(learner, part, self._objective, processes.scale, context)
            sums = {name: sums[name] + value if name in sums else value for name, value in part_sums.items()}
            ratios.append(ratio)
        return sums, torch.cat(ratios)
