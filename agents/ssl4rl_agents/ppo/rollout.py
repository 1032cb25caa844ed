"""Rollouts: questions are asked, answers sampled and scored, turn by turn. Tasks of one decision have one turn.

This is the first of three files that an episode goes through, one after the other in `Trainer.iterate`: `Player.play` makes a
`Rollout` of some questions, `credit.judge` a `Credit` of that, and `update.Updater.update` takes steps by both.

- `Player._play` is the loop over turns, `Player._turn` one turn: what is seen is encoded and answered (`contexts`), and the
  task pays and makes the next state (`Interface.step`).
- A `Turn` has a row for each episode that came to it, so n falls as episodes end; `Turn.episodes` says whose rows they are.
- The update passes over turns, or with the context "episode" over whole conversations at once: over `Rollout.passes`. What
  belongs to tokens is taken from turns to passes, and back, by `Rollout.by_pass` and `by_turn`; without "episode" both return
  what they are given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.algorithms.advantages import scores_differ
from ssl4rl_agents.algorithms.estimators import ADVANTAGES
from ssl4rl_agents.control_settings import Reward
from ssl4rl_agents.policies.policy import Policy, Samples
from ssl4rl_agents.ppo.contexts import Going, make_context
from ssl4rl_agents.ppo.controls import paid
from ssl4rl_agents.ppo.randomness import Randomness
from ssl4rl_agents.readability import Readability
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.samplers import Sampler, hand_over
from ssl4rl_agents.settings import Invalid, TrainConfig
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.task import Batch, Task

Opinion = Callable[[Batch, NDArray[Any], int], NDArray[np.float32]]
"""Says what n answers are worth, (n,): to n / G questions, G to each; see `opinion.Opinion.shared`."""


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
        blank: the encoded prompts once more, with blank pictures, where the update compares with them; else None.
    """

    inputs: Any
    samples: Samples
    rewards: Tensor
    episodes: Tensor
    group_size: int
    fines: Tensor | None = None
    states: Batch | None = None
    blank: Any = None

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
        whole: all turns of each episode as one, its answers side by side, where the update passes over whole episodes; its
            rewards are 0, since they stand in the turns.
    """

    turns: list[Turn]
    success: Tensor
    group_size: int
    open: bool = False
    beyond: Tensor | None = None
    whole: Turn | None = None

    @property
    def passes(self) -> list[Turn]:
        """What the policy passes over in an update: the turns, or all of them at once."""
        return self.turns if self.whole is None else [self.whole]

    def by_pass(self, of_turns: list[Tensor]) -> list[Tensor]:
        """Put numbers of tokens (n, T), of each turn, where the passes have these tokens; 0 elsewhere."""
        if self.whole is None:
            return of_turns
        rows = len(self.success)
        columns = [values.new_zeros(rows, values.shape[1]) for values in of_turns]
        for column, turn, values in zip(columns, self.turns, of_turns, strict=True):
            column[turn.episodes] = values
        return [torch.cat([column for column, turn in zip(columns, self.turns, strict=True) if len(turn.episodes)], dim=1)]

    def by_turn(self, of_passes: list[Tensor]) -> list[Tensor]:
        """Take numbers of tokens (n, T), of each pass, apart again: those of each turn."""
        if self.whole is None:
            return of_passes
        widths = [turn.samples.tokens.shape[1] if len(turn.episodes) else 0 for turn in self.turns]
        parts = torch.split(of_passes[0], widths, dim=1)
        return [
            part[turn.episodes] if len(turn.episodes) else turn.samples.values
            for part, turn in zip(parts, self.turns, strict=True)
        ]

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


@dataclass(frozen=True)
class Rules:
    """How episodes are played.

    Args:
        context: what the policy sees; see `contexts.window_of`.
        invalid: what becomes of an episode whose answer cannot be read; see `settings.RolloutConfig`.
        penalty: taken off such an answer's reward.
        bootstrap: whether the value of states is found in which the horizon cuts episodes off.
        keep_states: whether turns keep what was shown in them.
        reward: what answers earn.
    """

    context: str = "turn"
    invalid: Invalid = "repeat"
    penalty: float = 0.0
    bootstrap: bool = False
    keep_states: bool = False
    reward: Reward = "verified"


def rules_of(config: TrainConfig, task: Task) -> Rules:
    """Return how a run plays the episodes of a task."""
    rollout, objective = config.rollout, config.objective
    row = ADVANTAGES[objective.advantage]
    discount = objective.turn_gamma if "turn_gamma" in row.settings else objective.gamma
    return Rules(
        rollout.context,
        rollout.invalid,
        rollout.invalid_penalty,
        bootstrap=row.critic and task.horizon > 1 and discount < 1,  # else nothing would hold values down
        keep_states=rollout.dynamic_sampling or objective.grounding_coefficient > 0,
        reward=config.control.reward,
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
        opinion: by what answers are paid in place of the truth; of questions of one decision.

    Raises:
        ValueError: see `make_context`.
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
        opinion: Opinion | None = None,
    ) -> None:
        self.policy, self._interface, self.group_size = policy, interface, group_size
        self._randomness, self.micro_batches = randomness, micro_batches
        self._sampler, self._readability, self._rules = sampler, readability, rules
        self._context = make_context(rules.context, policy, interface, group_size, micro_batches, sampler)
        self._opinion, self._iteration = opinion, 0

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
        if self._rules.context == "episode" and self._randomness.processes.count == 1:
            return self.micro_batches.run(lambda: self._play(batch, again))  # which begins conversations again, if it must
        return self._play(batch, again)

    def _play(self, batch: Batch, again: int) -> Rollout:
        device, count = self._randomness.processes.device, len(batch) * self.group_size
        success = torch.zeros(count, dtype=torch.bool, device=device)
        going = Going(batch, np.arange(count), self.group_size)
        turns: list[Turn] = []
        self._context.begin()
        for number in range(self._interface.task.horizon):
            role = (again, number) if number else (again,) if again else ()  # the first turn draws as if it were the only one
            turn, right, going = self._turn(going, role)
            turns.append(turn)
            success[turn.episodes] |= right
            if self._randomness.processes.everywhere(not len(going.episodes)):
                break
        beyond = self._beyond(going, count)
        return Rollout(turns, success, self.group_size, beyond=beyond, whole=self._whole(turns, count))

    def replay(self, turns: list[Turn], success: Tensor, beyond: Tensor | None) -> Rollout:
        """Return a rollout of turns that were played before, and kept their states; their prompts are encoded anew.

        Args:
            turns: whose episodes rise.
            success: (E,) bool.
            beyond: see `Rollout`.
        """
        going = [
            Going(turn.states, turn.episodes.cpu().numpy(), turn.group_size) for turn in turns if turn.states is not None
        ]
        pairs = list(zip(going, [turn.samples for turn in turns], strict=True))
        for turn, inputs in zip(turns, self._context.replay(pairs), strict=True):
            turn.inputs = inputs
        return Rollout(turns, success, self.group_size, beyond=beyond, whole=self._whole(turns, len(success)))

    def _turn(self, going: Going, role: tuple[int, ...]) -> tuple[Turn, Tensor, Going]:
        """Play one turn of the episodes that go on; return it, which of its answers were a success, and who still goes on."""
        inputs, samples = self._context.answer(going, self._randomness.generator("sampling", self._iteration, *role))
        device, kept = samples.tokens.device, ~samples.truncated.cpu().numpy()
        actions = self.policy.decode(samples.tokens, samples.mask, samples.truncated)
        heard = (  # what was cut off is no answer, and changes nothing
            [said if whole else "" for said, whole in zip(actions, kept, strict=True)] if self._interface.text else actions
        )
        transition = self._interface.step(going.repeated(), heard)
        answered = transition.answered & kept
        if self._readability is not None:
            self._readability.note(actions, answered, ~kept)
        score, rules = transition.step.score, self._rules
        fines = None
        if rules.invalid == "penalise":
            fines = torch.from_numpy(np.where(answered, 0, rules.penalty).astype(np.float32)).to(device)
        coins = self._randomness.generator("coins", self._iteration, *role, on_cpu=True)
        worth = score.reward
        if self._opinion is not None:
            worth = self._opinion(going.states, transition.answers, going.group_size) * answered
        earned = paid(rules.reward, worth * kept, answered, self._interface.task.horizon, coins)
        turn = Turn(
            inputs,
            samples,
            torch.from_numpy(earned).to(device),
            torch.from_numpy(going.episodes).to(device),
            going.group_size,
            fines,
            going.states if rules.keep_states else None,
        )
        ended = transition.step.terminated | (~answered if rules.invalid == "end" else False)
        left = np.flatnonzero(~ended)
        following = Going(transition.step.state.rows(left), going.episodes[left], 1)
        return turn, torch.from_numpy(score.success & kept).to(device), following

    def _whole(self, turns: list[Turn], count: int) -> Turn | None:
        """Return whole conversations as one turn, where the update passes over these; else None."""
        found = self._context.whole([(turn.episodes, turn.samples) for turn in turns if len(turn.episodes)], count)
        if found is None:
            return None
        inputs, samples = found
        nothing = torch.zeros(count, device=samples.tokens.device)
        return Turn(inputs, samples, nothing, torch.arange(count, device=nothing.device), self.group_size)

    def _beyond(self, going: Going, count: int) -> Tensor | None:
        """Return the values of the states in which the horizon cut episodes off, in the places of all `count`."""
        if not self._rules.bootstrap:
            return None
        generator = self._randomness.generator("sampling", self._iteration)
        beyond = torch.zeros(count, device=generator.device)
        beyond[torch.from_numpy(going.episodes).to(generator.device)] = self._context.expect(going, generator)
        return beyond
