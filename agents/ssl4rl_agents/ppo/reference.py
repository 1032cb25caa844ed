"""Answers passed through a network again: by the weights that will be updated, or by what the policy was at the start."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from ssl4rl_agents.algorithms.estimators import ADVANTAGES
from ssl4rl_agents.divergence import form
from ssl4rl_agents.policies.build import load_policy
from ssl4rl_agents.policies.policy import Evaluation, Policy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.ppo.rollout import Rollout, Turn
from ssl4rl_agents.runs import checkpoint
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Task


@torch.no_grad()
def score_again(policy: Policy, turn: Turn, micro_batches: MicroBatches, whole: int | None = None) -> Evaluation:
    """Return what a policy says of the answers of a turn, as many at a time as an update takes.

    Args:
        policy: that is asked.
        turn: whose answers.
        micro_batches: how many questions a pass takes.
        whole: episodes of each question; as many as a prompt has answers by default.
    """
    samples = turn.samples
    count = len(samples.tokens) // turn.group_size

    def work() -> Evaluation:
        parts = [
            policy(turn.inputs.rows(prompts), samples.tokens[rows], samples.mask[rows])
            for prompts, rows in micro_batches.parts(
                count, turn.group_size, samples.tokens.device, each=(whole or turn.group_size) // turn.group_size
            )
        ]
        none = samples.logprobs[:0]
        return (
            Evaluation(*(torch.cat([none, *columns]) for columns in zip(*parts, strict=True)))
            if parts
            else Evaluation(none, none, none)
        )

    with autocast(policy, samples.tokens.device):
        return micro_batches.run(work)


def recall(
    policy: Policy, rollout: Rollout, config: TrainConfig, micro_batches: MicroBatches, precision: torch.dtype
) -> None:
    """Make the answers' log-probabilities and values those of the passes of the update, where sampling gave others.

    In bfloat16, and where another engine sampled, the same weights say something else in other passes. All answers are passed
    through the policy again then, unless the update passes only once over all of them: its log-probabilities are the ones
    that are looked for, and ratios to them are 1 (`Rollout.open`). A critic's values are needed before, and so are
    log-probabilities where the divergence from the initial policy is taken off the rewards.

    Args:
        policy: before the update.
        rollout: what was played.
        config: how it will be learned from.
        micro_batches: how many questions a pass takes.
        precision: of the passes.
    """
    objective, optimizer = config.objective, config.optimizer
    foreign = any(turn.samples.sampler_logprobs is not None for turn in rollout.passes)
    if precision == torch.float32 and not foreign:
        return
    once = optimizer.epochs == 1 and optimizer.minibatches == 1
    penalised = bool(objective.kl_coefficient) and form(objective) == "none"
    rollout.open = once and not penalised and not ADVANTAGES[objective.advantage].critic
    if rollout.open:
        return
    for played in rollout.passes:
        now = score_again(policy, played, micro_batches, rollout.group_size)
        played.samples.logprobs, played.samples.values = now.logprobs, now.values
    for name in ("logprobs", "values"):
        parts = rollout.by_turn([getattr(played.samples, name) for played in rollout.passes])
        for turn, part in zip(rollout.turns, parts, strict=True):
            setattr(turn.samples, name, part)


class Reference:
    """What the policy was when training began.

    It is a frozen copy, on the disk for resumed runs, or the policy itself where it can be set back to what training began
    with (adapters switched off).

    Args:
        policy: as it is at the start, or as it was saved in a resumed run.
        config: how it was built.
        task: what it answers.
        folder: where the copy lies.
        processes: all of them make one.
        resumed: whether the copy lies there already.
        warmed: whether the policy has learned something before training began, so that setting it back would go too far.
    """

    def __init__(
        self,
        policy: Policy,
        config: PolicyConfig,
        task: Task,
        folder: Path,
        processes: Processes,
        *,
        resumed: bool,
        warmed: bool,
    ) -> None:
        self._policy = policy
        self._copy: Policy | None = None
        if policy.initial() is not None and not warmed:
            return
        if not resumed:
            checkpoint.save_policy(folder, policy, processes)
            processes.barrier()
        if processes.sharded or processes.deepspeed:  # which hang too much on a policy for it to be copied
            self._copy = load_policy(folder, config, processes.device, task)
            self._copy.constraint = policy.constraint
        else:  # what is left as it is, as a model is that adapters adapt, is the same in both
            self._copy = copy.deepcopy(policy, {id(one): one for one in policy.parameters() if not one.requires_grad})
            if resumed:
                self._copy.load_weights(folder)
        self._copy.requires_grad_(False)
        processes.shard(self._copy)

    def logprobs(self, rollout: Rollout, micro_batches: MicroBatches) -> list[Tensor]:
        """Return the log-probabilities (n, T) of the answers of each pass."""
        with self.policy() as policy:
            return [score_again(policy, turn, micro_batches, rollout.group_size).logprobs for turn in rollout.passes]

    @contextmanager
    def policy(self) -> Iterator[Policy]:
        """Give the policy as it was, for as long as the context lasts."""
        initial = nullcontext() if self._copy is not None else self._policy.initial()
        assert initial is not None
        with initial:
            yield self._copy or self._policy
