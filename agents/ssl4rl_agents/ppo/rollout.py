"""Rollouts: questions are asked, answers sampled and scored. A rollout is a list of turns; tasks of one decision have one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssl4rl_agents.algorithms.advantages import scores_differ
from ssl4rl_agents.policies.policy import Policy, Samples
from ssl4rl_agents.ppo.randomness import Randomness
from ssl4rl_agents.readability import Readability
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.samplers import Sampler, hand_over, sample_by
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.task import Batch


@dataclass
class Turn:
    """One decision of some episodes: P prompts, G answers to each, n = P * G rows.

    Args:
        inputs: the encoded prompts, of length P.
        samples: the answers (n, T) with log-probabilities and values of the policy that gave them.
        rewards: (n,) float32, what each answer earned.
        episodes: (n,) int64, which episode of the rollout each answer belongs to, each at most once.
        group_size: G; answers k * G ... k * G + G - 1 are to prompt k.
    """

    inputs: Any
    samples: Samples
    rewards: Tensor
    episodes: Tensor
    group_size: int


@dataclass
class Rollout:
    """What was played in one iteration: Q questions, G episodes of each, E = Q * G.

    Args:
        turns: one after the other; with tasks of one decision there is one.
        success: (E,) bool.
        group_size: G; episodes k * G ... k * G + G - 1 are of question k.
        open: whether the log-probabilities of the answers before the update are left to its only pass, which finds them and
            puts them in the place of those that sampling gave.
    """

    turns: list[Turn]
    success: Tensor
    group_size: int
    open: bool = False

    @property
    def scores(self) -> Tensor:
        """What each episode earned in all its turns, (E,) float32."""
        earned = torch.zeros(self.success.shape, device=self.success.device)
        for turn in self.turns:
            earned = earned.index_add(0, turn.episodes, turn.rewards.float())
        return earned

    @property
    def informative(self) -> Tensor:
        """Which questions have episodes that scored differently, (Q,) bool: in the other groups there is no advantage."""
        return scores_differ(self.scores, self.group_size)


class Player:
    """Plays questions: answers each several times, and has the answers scored.

    Args:
        policy: encodes and decodes, and answers where there is no sampler.
        interface: how the questions are asked, and how replies are read.
        group_size: answers to each question.
        randomness: decides the answers.
        micro_batches: how many questions are answered at a time.
        sampler: answers in the policy's stead; the samples' `logprobs` and `values` are then yet to be found.
        readability: counts which answers can be read.
    """

    def __init__(
        self,
        policy: Policy,
        interface: Interface,
        group_size: int,
        randomness: Randomness,
        micro_batches: MicroBatches,
        sampler: Sampler | None = None,
        readability: Readability | None = None,
    ) -> None:
        self.policy, self._interface, self.group_size = policy, interface, group_size
        self._randomness, self.micro_batches = randomness, micro_batches
        self._sampler, self._readability = sampler, readability
        self._iteration = 0

    def begin(self, iteration: int) -> None:
        """Begin an iteration, counted from 0, with the policy's weights as they are now."""
        self._iteration = iteration
        if self._sampler is not None:
            hand_over(self.policy, self._sampler)
        if self._readability is not None:
            self._readability.begin()

    def play(self, batch: Batch, again: int = 0) -> Rollout:
        """Answer each question of a batch; an answer that was cut off at the length limit earns nothing.

        Args:
            batch: the questions.
            again: how many batches of this iteration were played before.
        """
        more = (again,) if again else ()
        inputs, samples = self._answer(batch, self._randomness.generator("sampling", self._iteration, *more))
        actions = self.policy.decode(samples.tokens, samples.mask, samples.truncated)
        repeated = batch.rows(np.repeat(np.arange(len(batch)), self.group_size))
        transition = self._interface.step(repeated, actions)
        score, device, kept = transition.step.score, samples.tokens.device, ~samples.truncated
        if self._readability is not None:
            self._readability.note(actions, transition.answered & kept.cpu().numpy(), samples.truncated.cpu().numpy())
        rewards = torch.from_numpy(score.reward).to(device) * kept
        success = torch.from_numpy(score.success).to(device) & kept
        turn = Turn(inputs, samples, rewards, torch.arange(len(rewards), device=device), self.group_size)
        return Rollout([turn], success, self.group_size)

    def encode(self, batch: Batch) -> Any:
        """Return the prompts of questions as the policy takes them."""
        with autocast(self.policy, self._randomness.processes.device):
            return self.policy.encode(self.policy.observe(self._interface, batch))

    def _answer(self, batch: Batch, generator: torch.Generator) -> tuple[Any, Samples]:
        """Return the encoded prompts and the answers to them."""
        observations = self.policy.observe(self._interface, batch)

        def work() -> tuple[Any, Samples]:
            generator.manual_seed(generator.initial_seed())  # what runs out of memory begins again
            inputs = self.policy.encode(observations)
            parts = [
                self.policy.generate(
                    inputs if len(rows) == len(batch) else inputs.rows(rows), self.group_size, generator=generator
                )
                for rows, _ in self.micro_batches.parts(len(batch), self.group_size, generator.device)
            ]
            return inputs, parts[0] if len(parts) == 1 else joined(parts)

        with autocast(self.policy, generator.device):
            if self._sampler is None:
                return self.micro_batches.run(work)
            inputs = self.policy.encode(observations)
            return inputs, sample_by(self._sampler, self.policy, observations, self.group_size, generator)


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
