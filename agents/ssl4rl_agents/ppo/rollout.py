"""Rollouts: questions are asked, answers sampled and scored, turn by turn. Tasks of one decision have one turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.algorithms.advantages import scores_differ
from ssl4rl_agents.algorithms.estimators import ADVANTAGES
from ssl4rl_agents.policies.policy import Policy, Samples
from ssl4rl_agents.ppo.randomness import Randomness
from ssl4rl_agents.readability import Readability
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.samplers import Sampler, hand_over, sample_by
from ssl4rl_agents.settings import Invalid, TrainConfig
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.task import Batch, Task


@dataclass
class Turn:
    """One decision of some episodes: P prompts, G answers to each, n = P * G rows.

    Args:
        inputs: the encoded prompts, of length P.
        samples: the answers (n, T) with log-probabilities and values of the policy that gave them.
        rewards: (n,) float32, what each answer earned.
        episodes: (n,) int64, which episode of the rollout each answer belongs to, each at most once.
        group_size: G; answers k * G ... k * G + G - 1 are to prompt k.
        fines: (n,) float32, what is taken off for learning where an answer could not be read; None where nothing is.
        states: what was shown, of P rows, where it may have to be encoded again; else None.
    """

    inputs: Any
    samples: Samples
    rewards: Tensor
    episodes: Tensor
    group_size: int
    fines: Tensor | None = None
    states: Batch | None = None

    @property
    def credited(self) -> Tensor:
        """What is learned from, (n,) float32: the rewards, fines taken off."""
        return self.rewards.float() if self.fines is None else self.rewards.float() - self.fines


@dataclass
class Rollout:
    """What was played in one iteration: Q questions, G episodes of each, E = Q * G.

    Args:
        turns: one after the other; with tasks of one decision there is one.
        success: (E,) bool, whether some answer was a success.
        group_size: G; episodes k * G ... k * G + G - 1 are of question k.
        open: whether the log-probabilities of the answers before the update are left to its only pass, which finds them and
            puts them in the place of those that sampling gave.
        beyond: (E,) float32, the value of the state in which an episode was cut off by the horizon, 0 where it had ended;
            None where it does not count.
    """

    turns: list[Turn]
    success: Tensor
    group_size: int
    open: bool = False
    beyond: Tensor | None = None

    @property
    def scores(self) -> Tensor:
        """What each episode earned in all its turns, (E,) float32."""
        return self._summed([turn.rewards.float() for turn in self.turns])

    @property
    def credited(self) -> Tensor:
        """What each episode is to learn from in all its turns, (E,) float32: its score, fines taken off."""
        return self._summed([turn.credited for turn in self.turns])

    @property
    def informative(self) -> Tensor:
        """Which questions have episodes that are credited differently, (Q,) bool: no other group has an advantage."""
        return scores_differ(self.credited, self.group_size)

    def _summed(self, parts: list[Tensor]) -> Tensor:
        earned = torch.zeros(self.success.shape, device=self.success.device)
        for turn, part in zip(self.turns, parts, strict=True):
            earned = earned.index_add(0, turn.episodes, part)
        return earned


@dataclass
class Going:
    """The episodes that go on.

    Args:
        states: what each of them is in, of n rows, or of n / G where G of them in a row share theirs.
        episodes: (n,) int64, which they are.
        group_size: G.
    """

    states: Batch
    episodes: NDArray[np.int64]
    group_size: int

    def repeated(self) -> Batch:
        """Return the state of each, of n rows."""
        return self.states.rows(np.repeat(np.arange(len(self.states)), self.group_size))


@dataclass(frozen=True)
class Rules:
    """How episodes are played.

    Args:
        invalid: what becomes of an episode whose answer cannot be read; see `settings.RolloutConfig`.
        penalty: taken off such an answer's reward.
        bootstrap: whether the value of states is found in which the horizon cuts episodes off.
        keep_states: whether turns keep what was shown in them.
    """

    invalid: Invalid = "repeat"
    penalty: float = 0.0
    bootstrap: bool = False
    keep_states: bool = False


def rules_of(config: TrainConfig, task: Task) -> Rules:
    """Return how a run plays the episodes of a task."""
    rollout = config.rollout
    critic = ADVANTAGES[config.objective.advantage].critic
    return Rules(
        rollout.invalid,
        rollout.invalid_penalty,
        bootstrap=critic and task.horizon > 1,
        keep_states=rollout.dynamic_sampling,
    )


class Player:
    """Plays questions: answers each several times, and has the answers scored.

    Args:
        policy: encodes and decodes, and answers where there is no sampler.
        interface: how the questions are asked, and how replies are read.
        group_size: episodes of each question.
        randomness: decides the answers.
        micro_batches: how many questions are answered at a time.
        sampler: answers in the policy's stead; the samples' `logprobs` and `values` are then yet to be found.
        readability: counts which answers can be read.
        rules: how episodes of several decisions are played.
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
        rules: Rules = Rules(),
    ) -> None:
        self.policy, self._interface, self.group_size = policy, interface, group_size
        self._randomness, self.micro_batches = randomness, micro_batches
        self._sampler, self._readability, self._rules = sampler, readability, rules
        self._iteration = 0

    def begin(self, iteration: int) -> None:
        """Begin an iteration, counted from 0, with the policy's weights as they are now."""
        self._iteration = iteration
        if self._sampler is not None:
            hand_over(self.policy, self._sampler)
        if self._readability is not None:
            self._readability.begin()

    def play(self, batch: Batch, again: int = 0) -> Rollout:
        """Play each question of a batch to its end, or to the horizon.

        An answer that was cut off at the length limit is none. All processes play equally many turns; one whose episodes have
        all ended plays empty ones.

        Args:
            batch: the questions.
            again: how many batches of this iteration were played before.
        """
        device, count = self._randomness.processes.device, len(batch) * self.group_size
        success = torch.zeros(count, dtype=torch.bool, device=device)
        going = Going(batch, np.arange(count), self.group_size)
        turns: list[Turn] = []
        for number in range(self._interface.task.horizon):
            role = (again, number) if number else (again,) if again else ()
            turn, right, going = self._turn(going, self._randomness.generator("sampling", self._iteration, *role))
            turns.append(turn)
            success[turn.episodes] |= right
            if self._randomness.processes.everywhere(not len(going.episodes)):
                break
        return Rollout(turns, success, self.group_size, beyond=self._beyond(going, count))

    def encode(self, batch: Batch) -> Any:
        """Return the prompts of questions as the policy takes them."""
        with autocast(self.policy, self._randomness.processes.device):
            return self.policy.encode(self.policy.observe(self._interface, batch))

    def _turn(self, going: Going, generator: torch.Generator) -> tuple[Turn, Tensor, Going]:
        """Play one turn of the episodes that go on; return it, which of its answers were a success, and who still goes on."""
        inputs, samples = self._answer(going, generator)
        device, kept = samples.tokens.device, ~samples.truncated.cpu().numpy()
        actions = self.policy.decode(samples.tokens, samples.mask, samples.truncated)
        heard = (
            [said if whole else "" for said, whole in zip(actions, kept, strict=True)] if self._interface.text else actions
        )
        transition = self._interface.step(going.repeated(), heard)  # what was cut off is no answer and changes nothing
        answered = transition.answered & kept
        if self._readability is not None:
            self._readability.note(actions, answered, ~kept)
        score, rules = transition.step.score, self._rules
        fines = None
        if rules.invalid == "penalise":
            fines = torch.from_numpy(np.where(answered, 0, rules.penalty).astype(np.float32)).to(device)
        turn = Turn(
            inputs,
            samples,
            torch.from_numpy(score.reward * kept).to(device),
            torch.from_numpy(going.episodes).to(device),
            going.group_size,
            fines,
            going.states if rules.keep_states else None,
        )
        ended = transition.step.terminated | (~answered if rules.invalid == "end" else False)
        left = np.flatnonzero(~ended)
        following = Going(transition.step.state.rows(left), going.episodes[left], 1)
        return turn, torch.from_numpy(score.success & kept).to(device), following

    def _beyond(self, going: Going, count: int) -> Tensor | None:
        """Return the values of the states in which the horizon cut episodes off, in the places of all `count`."""
        if not self._rules.bootstrap:
            return None
        device = self._randomness.processes.device
        beyond = torch.zeros(count, device=device)

        states = going.repeated()

        def work() -> Tensor:
            if not len(states):
                return beyond[:0]
            inputs = self.policy.encode(self.policy.observe(self._interface, states))
            parts = self.micro_batches.parts(len(states), 1, device, each=self.group_size)
            return torch.cat([self.policy.expect(inputs.rows(rows)) for rows, _ in parts])

        with torch.no_grad(), autocast(self.policy, device):
            beyond[torch.from_numpy(going.episodes).to(device)] = self.micro_batches.run(work)
        return beyond

    def _answer(self, going: Going, generator: torch.Generator) -> tuple[Any, Samples]:
        """Return the encoded prompts of episodes, and the answers to them."""
        group, device, each = going.group_size, generator.device, self.group_size // going.group_size
        if not len(going.states):
            self.micro_batches.run(lambda: None)  # where other processes have some
            return None, no_samples(device)
        observations = self.policy.observe(self._interface, going.states)

        def work() -> tuple[Any, Samples]:
            generator.manual_seed(generator.initial_seed())  # what runs out of memory begins again
            inputs = self.policy.encode(observations)
            parts = [
                self.policy.generate(inputs if len(rows) == len(inputs) else inputs.rows(rows), group, generator=generator)
                for rows, _ in self.micro_batches.parts(len(inputs), group, device, each=each)
            ]
            return inputs, parts[0] if len(parts) == 1 else joined(parts)

        with autocast(self.policy, device):
            if self._sampler is None:
                return self.micro_batches.run(work)
            inputs = self.policy.encode(observations)
            return inputs, sample_by(self._sampler, self.policy, observations, group, generator)


def no_samples(device: torch.device) -> Samples:
    """Return the answers of no episode, (0, 1)."""
    none = torch.zeros((0, 1), device=device)
    return Samples(none.long(), none.bool(), none, none, torch.zeros(0, dtype=torch.bool, device=device))


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
