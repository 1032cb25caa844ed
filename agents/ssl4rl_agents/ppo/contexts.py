"""What a policy sees when it answers: the question alone, the last turns of its episode, or the whole conversation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.policies.policy import Policy, Samples
from ssl4rl_agents.ppo.joining import joined, no_samples
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.samplers import Sampler, sample_by
from ssl4rl_agents.settings import window_of
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.task import Batch


@dataclass
class Going:
    """The episodes that go on.

    Args:
        states: what each of them is in, of n rows, or of n / G where G of them in a row share theirs.
        episodes: (n,) int64, rising, which they are.
        group_size: G.
    """

    states: Batch
    episodes: NDArray[np.int64]
    group_size: int

    def repeated(self) -> Batch:
        """Return the state of each, of n rows."""
        return self.states.rows(np.repeat(np.arange(len(self.states)), self.group_size))


class Context(ABC):
    """Answers turn by turn; after `begin`, `answer` is called once a turn with the episodes that still go on.

    Args:
        policy: that answers.
        interface: how it is asked.
        group_size: episodes of each question.
        micro_batches: how many questions are answered at a time.
    """

    def __init__(self, policy: Policy, interface: Interface, group_size: int, micro_batches: MicroBatches) -> None:
        self.policy, self.interface, self.group_size, self.micro_batches = policy, interface, group_size, micro_batches

    def begin(self) -> None:  # noqa: B027 - a context that remembers nothing has nothing to forget
        """Begin a batch of episodes."""

    @abstractmethod
    def answer(self, going: Going, generator: torch.Generator) -> tuple[Any, Samples]:
        """Return the encoded prompts of the episodes that go on, or None, and the answers to them."""

    @abstractmethod
    def replay(self, turns: list[tuple[Going, Samples]]) -> list[Any]:
        """Return the encoded prompts of each turn once more, as `answer` gave them, of episodes that were played before."""

    @abstractmethod
    def expect(self, going: Going, generator: torch.Generator) -> Tensor:
        """Return what the critic expects of the states (n,) that `answer` would be asked about next."""

    def observe(self, states: Batch) -> dict[str, Any]:
        """Return what is shown of states."""
        return self.policy.observe(self.interface, states)

    def whole(self, turns: list[tuple[Tensor, Samples]], count: int) -> tuple[Any, Samples] | None:
        """Return the conversations of all episodes, and all answers in them, where the update passes over whole ones.

        Args:
            turns: of each turn, which episodes (n,) gave an answer, and their answers.
            count: of the episodes.
        """
        del turns, count
        return None

    def _expected(self, write: Callable[[], Any], count: int, device: torch.device) -> Tensor:
        """Return what the critic expects of `count` prompts, which are written again where memory runs out."""

        def work() -> Tensor:
            if not count:
                return torch.zeros(0, device=device)
            inputs = write()
            parts = self.micro_batches.parts(count, 1, device, each=self.group_size)
            return torch.cat([self.policy.expect(inputs.rows(rows)) for rows, _ in parts])

        with torch.no_grad(), autocast(self.policy, device):
            return self.micro_batches.run(work)

    def _generate(self, inputs: Any, group: int, generator: torch.Generator) -> Samples:
        """Answer each prompt `group` times, as many prompts at a time as the memory takes."""
        parts = [
            self.policy.generate(inputs if len(rows) == len(inputs) else inputs.rows(rows), group, generator=generator)
            for rows, _ in self.micro_batches.parts(len(inputs), group, generator.device, each=self.group_size // group)
        ]
        return parts[0] if len(parts) == 1 else joined(parts)


class TurnContext(Context):
    """The current question alone: enough where the state is shown.

    Args:
        sampler: answers in the policy's stead.
    """

    def __init__(self, *given: Any, sampler: Sampler | None = None) -> None:
        super().__init__(*given)
        self._sampler = sampler

    def answer(self, going: Going, generator: torch.Generator) -> tuple[Any, Samples]:
        """Encode what is shown now, and answer it."""
        if not len(going.states):
            self.micro_batches.run(lambda: None)  # where other processes have some
            return None, no_samples(generator.device)
        observations = self.observe(going.states)

        def work() -> tuple[Any, Samples]:
            generator.manual_seed(generator.initial_seed())  # what runs out of memory begins again
            inputs = self.policy.encode(observations)
            return inputs, self._generate(inputs, going.group_size, generator)

        with autocast(self.policy, generator.device):
            if self._sampler is None:
                return self.micro_batches.run(work)
            inputs = self.policy.encode(observations)
            return inputs, sample_by(self._sampler, self.policy, observations, going.group_size, generator)

    def replay(self, turns: list[tuple[Going, Samples]]) -> list[Any]:
        """Encode what was shown."""
        device = turns[0][1].tokens.device
        with autocast(self.policy, device):
            return [self.policy.encode(self.observe(going.states)) if len(going.states) else None for going, _ in turns]

    def expect(self, going: Going, generator: torch.Generator) -> Tensor:
        """Encode what is shown, and see what the critic says."""
        states = going.repeated()
        return self._expected(lambda: self.policy.encode(self.observe(states)), len(states), generator.device)


class WindowContext(Context):
    """The last turns as one prompt: the questions with their pictures, and the tokens that were answered.

    Args:
        turns: how many, the current one among them.
    """

    def __init__(self, *given: Any, turns: int) -> None:
        super().__init__(*given)
        self._turns = turns
        self._earlier: list[tuple[Going, Samples]] = []

    def begin(self) -> None:
        """Forget the turns before."""
        self._earlier = []

    def answer(self, going: Going, generator: torch.Generator) -> tuple[Any, Samples]:
        """Write the last turns as one prompt, and answer it."""
        if not len(going.states):
            self.micro_batches.run(lambda: None)
            return None, no_samples(generator.device)

        def work() -> tuple[Any, Samples]:
            generator.manual_seed(generator.initial_seed())
            inputs = self._written(going)
            return inputs, self._generate(inputs, going.group_size, generator)

        with autocast(self.policy, generator.device):
            inputs, samples = self.micro_batches.run(work)
        self._note(going, samples)
        return inputs, samples

    def replay(self, turns: list[tuple[Going, Samples]]) -> list[Any]:
        """Write the turns as they were."""
        self.begin()
        found = []
        for going, samples in turns:
            with autocast(self.policy, samples.tokens.device):
                found.append(self._written(going) if len(going.states) else None)
            self._note(going, samples)
        return found

    def expect(self, going: Going, generator: torch.Generator) -> Tensor:
        """Write the last turns as one prompt, and see what the critic says."""
        return self._expected(lambda: self._written(going), len(going.episodes), generator.device)

    def _note(self, going: Going, samples: Samples) -> None:
        """Remember a turn, as long as it is among the last."""
        self._earlier = [*self._earlier, (going, samples)][-(self._turns - 1) :] if self._turns > 1 else []

    def _written(self, going: Going) -> Any:
        """Return the last turns of the episodes that go on, encoded."""
        parts, replies = [], []
        for number, (before, samples) in enumerate(self._earlier):
            rows = np.searchsorted(before.episodes, going.episodes)
            observations = self.observe(before.states.rows(rows // before.group_size))
            parts.append(self.policy.encode_next(observations) if number else self.policy.encode(observations))
            chosen = torch.from_numpy(rows).to(samples.tokens.device)
            replies.append((samples.tokens[chosen], samples.mask[chosen]))
        observations = self.observe(going.states)
        if not parts:
            return self.policy.encode(observations)
        return self.policy.join([*parts, self.policy.encode_next(observations)], replies)


class EpisodeContext(Context):
    """The whole conversation: keys and values of earlier turns are kept, and the update makes one pass an episode."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.begin()

    def begin(self) -> None:
        """Leave the conversations before."""
        self._talks: list[tuple[int, Any]] = []
        self._replayed: Any = None

    def answer(self, going: Going, generator: torch.Generator) -> tuple[Any, Samples]:
        """Tell every conversation what is shown now, and have it answered."""
        if not len(going.episodes):
            return None, no_samples(generator.device)
        with autocast(self.policy, generator.device):
            talks = self._told(going) if self._talks else self._begun(going, generator.device)
            said = [talk.reply(generator=generator) for talk in talks]
        return None, said[0] if len(said) == 1 else joined(said)

    def replay(self, turns: list[tuple[Going, Samples]]) -> list[Any]:
        """Write the conversations as they were, which `whole` then gives."""
        from ssl4rl_agents.policies.conversations import Conversations, Heard  # which need transformers
        from ssl4rl_agents.policies.strips import behind

        (first, before), *rest = turns
        heard, episodes = [], first.episodes
        with autocast(self.policy, before.tokens.device):
            inputs = self.policy.encode(self.observe(first.states))
            for going, samples in rest:
                if not len(going.episodes):
                    break
                rows = torch.from_numpy(np.searchsorted(episodes, going.episodes)).to(before.tokens.device)
                said = self.policy.encode_next(self.observe(going.states))
                place = torch.from_numpy(going.episodes).to(rows.device)
                heard.append(Heard(place, behind(said, before.tokens[rows], before.mask[rows])))
                before, episodes = samples, going.episodes
        self._replayed = Conversations(inputs, first.group_size, heard, [])
        return [None] * len(turns)

    def expect(self, going: Going, generator: torch.Generator) -> Tensor:
        """Tell every conversation what is shown now, and see what the critic says."""
        if not len(going.episodes):
            return torch.zeros(0, device=generator.device)
        with torch.no_grad(), autocast(self.policy, generator.device):
            return torch.cat([talk.expect() for talk in self._told(going)])

    def whole(self, turns: list[tuple[Tensor, Samples]], count: int) -> tuple[Any, Samples]:
        """Return all conversations, see `Context.whole`."""
        from ssl4rl_agents.policies.conversations import side_by_side, together  # which need transformers

        widths = [samples.tokens.shape[1] for _, samples in turns]
        if self._replayed is None:
            said = [talk.inputs for _, talk in self._talks]  # what was heard after the last reply was only looked at
            self._replayed = together([replace(one, heard=one.heard[: len(one.widths) - 1]) for one in said])
        inputs = self._replayed
        return replace(inputs, widths=widths), side_by_side(turns, count)

    def _begun(self, going: Going, device: torch.device) -> list[Any]:
        """Begin the conversations, and return them."""
        inputs, task = self.policy.encode(self.observe(going.states)), self.interface.task
        decisions = 1 if task.horizon == 1 else None  # where the horizon cuts it off, the state after the last is looked at
        for rows, answers in self.micro_batches.parts(len(inputs), going.group_size, device):
            part = inputs if len(rows) == len(inputs) else inputs.rows(rows)
            self._talks.append((answers.start, self.policy.talk(part, going.group_size, decisions)))
        return [talk for _, talk in self._talks]

    def _told(self, going: Going) -> list[Any]:
        """Tell every conversation what is shown now; return those in which somebody goes on."""
        told = []
        for start, talk in self._talks:
            rows = talk.rows.cpu().numpy() + start
            heard = np.flatnonzero(np.isin(rows, going.episodes))
            if len(heard):
                states = going.states.rows(np.searchsorted(going.episodes, rows[heard]))
                talk.hear(torch.from_numpy(heard).to(talk.rows.device), self.observe(states))
                told.append(talk)
        return told


def make_context(
    context: str,
    policy: Policy,
    interface: Interface,
    group_size: int,
    micro_batches: MicroBatches,
    sampler: Sampler | None = None,
) -> Context:
    """Return what a run's policy sees, by the name that `rollout.context` has.

    Raises:
        ValueError: another engine samples, and is to see more than the current question.
    """
    given, turns = (policy, interface, group_size, micro_batches), window_of(context)
    if turns == 1:
        return TurnContext(*given, sampler=sampler)
    if sampler is not None:
        raise ValueError(f"another engine answers single questions; rollout.context must be 'turn' with it, got {context!r}")
    return EpisodeContext(*given) if turns is None else WindowContext(*given, turns=turns)
