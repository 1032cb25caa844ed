"""Rollouts: ask questions, sample answers, have them scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.policies.policy import Policy, Samples
from ssl4rl_agents.ppo.advantages import scores_differ
from ssl4rl_agents.readability import Readability
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.samplers import Engine, sample_by
from ssl4rl_envs import Stream, Task
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.task import Batch


@dataclass
class Rollout:
    """The answers of one iteration: P questions, G answers to each, n = P * G rows.

    Args:
        inputs: the encoded questions, of length P.
        samples: the answers (n, T) with log-probabilities and values of the policy that gave them.
        scores: (n,) float32 rewards in [0, 1].
        success: (n,) bool.
        group_size: G.
    """

    inputs: Any
    samples: Samples
    scores: Tensor
    success: Tensor
    group_size: int

    @property
    def informative(self) -> Tensor:
        """Which questions have answers that scored differently, (P,) bool: in the other groups there is no advantage."""
        return scores_differ(self.scores, self.group_size)


@dataclass
class Asked:
    """All that was asked for one rollout, whether it was kept or not.

    Args:
        rounds: how often questions were asked.
        questions, answers, tokens: how many.
        reward, success: means over all answers; of those kept they would mislead, since they are kept for their scores.
        without_advantage: the share of questions whose answers all scored the same.
    """

    rounds: int
    questions: int
    answers: int
    tokens: int
    reward: float
    success: float
    without_advantage: float

    def metrics(self) -> dict[str, float]:
        """Return what is logged, by name."""
        return {
            "rounds": self.rounds,
            "questions_asked": self.questions,
            "groups_without_advantage/asked": self.without_advantage,
            "episodes": self.answers,
            "tokens": self.tokens,
            "reward": self.reward,
            "success": self.success,
        }


def ask(task: Task, split: str, seed: int, first: int, count: int) -> Batch:
    """Return questions `first` ... `first + count - 1` of the endless stream of (split, seed)."""
    return task.sample(Stream(split, np.full(count, seed, np.uint64), np.arange(first, first + count)))


def collect(
    policy: Policy,
    interface: Interface,
    batch: Batch,
    group_size: int,
    generator: torch.Generator,
    passes: MicroBatches | None = None,
    engine: Engine | None = None,
    readability: Readability | None = None,
) -> Rollout:
    """Answer each question of a batch `group_size` times; an answer that was cut off at the length limit scores 0.

    Args:
        policy: encodes and decodes, and answers where there is no engine.
        interface: how the questions are asked.
        batch: the questions.
        group_size: answers to each.
        generator: decides the answers.
        passes: how many questions are answered at a time; by default all.
        engine: answers in the policy's stead; `samples.logprobs` and `values` are then yet to be found.
        readability: counts which answers can be read.
    """
    observations = interface.observe(batch)
    inputs = policy.encode(observations)
    if engine is None:
        samples = _sample(policy, inputs, group_size, generator, passes)
    else:
        samples = sample_by(engine, policy, observations, group_size, generator)
    actions = policy.decode(samples.tokens, samples.mask, samples.truncated)
    rows: NDArray[np.int64] = np.repeat(np.arange(len(batch)), group_size)
    transition = interface.step(batch.rows(rows), actions)
    score = transition.step.score
    device = samples.tokens.device
    kept = ~samples.truncated
    if readability is not None:
        readability.note(actions, transition.answered & kept.cpu().numpy(), samples.truncated.cpu().numpy())
    scores = torch.from_numpy(score.reward).to(device) * kept
    success = torch.from_numpy(score.success).to(device) & kept
    return Rollout(inputs, samples, scores, success, group_size)


def _sample(policy: Policy, inputs: Any, group_size: int, generator: torch.Generator, passes: MicroBatches | None) -> Samples:
    if passes is None or passes.step(len(inputs)) == len(inputs):
        return policy.generate(inputs, group_size, generator=generator)
    count = len(inputs)
    parts = [
        policy.generate(inputs.rows(prompts), group_size, generator=generator)
        for prompts, _ in passes.parts(count, group_size, generator.device)
    ]
    return joined(parts, torch.arange(count * group_size, device=generator.device))


def collect_informative(
    count: int,
    max_rounds: int,
    ask_round: Callable[[int], Batch],
    answer: Callable[[Batch, int], Rollout],
    encode: Callable[[Batch], Any],
    everywhere: Callable[[bool], bool] = bool,
) -> tuple[Rollout, Asked]:
    """Ask until `count` questions have an advantage: dynamic sampling (DAPO, Yu et al. 2025, arXiv 2503.14476).

    Questions whose answers all scored the same give a group advantage of 0, which teaches nothing; others take their place.
    When the rounds are used up, the first such questions fill what is missing, so that a rollout has `count` questions.

    Args:
        count: questions of the rollout.
        max_rounds: rounds at most.
        ask_round: gives the questions of a round, at least `count` of them in the first; every round asks others.
        answer: answers the questions of a round.
        encode: makes the `inputs` of the questions that were chosen in the end.
        everywhere: whether something is true in all processes; each asks it once a round, and all do equally many rounds.

    Returns:
        The rollout, whose questions stand in the order of asking, those without an advantage last; and what was asked.
        If one round was enough, the rollout is as `answer` gave it.
    """
    rounds: list[tuple[Batch, Rollout]] = []
    while True:
        batch = ask_round(len(rounds))
        rounds.append((batch, answer(batch, len(rounds))))
        informative = torch.cat([rollout.informative for _, rollout in rounds])
        enough = everywhere(int(informative.sum()) >= count)
        if enough or len(rounds) == max_rounds:
            break
        rounds[-1][1].inputs = None  # the pictures of all rounds at once might not fit the memory
    asked = _asked([rollout for _, rollout in rounds], informative)
    if len(rounds) == 1:
        return rounds[0][1], asked
    chosen = torch.cat([torch.nonzero(informative).flatten(), torch.nonzero(~informative).flatten()])[:count]
    questions = Batch.concatenate([batch for batch, _ in rounds]).rows(chosen.cpu().numpy())
    group = rounds[0][1].group_size
    rows = (chosen[:, None] * group + torch.arange(group, device=chosen.device)).reshape(-1)
    samples = joined([rollout.samples for _, rollout in rounds], rows)
    scores, success = (torch.cat([getattr(rollout, of) for _, rollout in rounds])[rows] for of in ("scores", "success"))
    return Rollout(encode(questions), samples, scores, success, group), asked


def joined(parts: list[Samples], rows: Tensor) -> Samples:
    """Return the chosen rows of several samples, one after the other, as wide as the longest of them.

    Narrower ones are filled up with their own last token, which is one that may stand in an answer, outside the mask.
    """
    lengths = torch.cat([part.mask.sum(1) for part in parts])[rows]
    width = int(lengths.max())

    def wide(name: str) -> Tensor:
        columns = []
        for part in parts:
            values = getattr(part, name)
            lacking = max(0, width - values.shape[1])
            rest = values[:, -1:].expand(-1, lacking) if name == "tokens" else values.new_zeros(len(values), lacking)
            columns.append(torch.cat([values[:, :width], rest], dim=1))
        return torch.cat(columns)[rows]

    foreign = parts[0].sampler_logprobs is not None
    return Samples(
        wide("tokens"),
        wide("mask"),
        wide("logprobs"),
        wide("values"),
        torch.cat([part.truncated for part in parts])[rows],
        wide("sampler_logprobs") if foreign else None,
    )


def _asked(rollouts: list[Rollout], informative: Tensor) -> Asked:
    scores, success = (torch.cat([getattr(rollout, of) for rollout in rollouts]).float() for of in ("scores", "success"))
    return Asked(
        rounds=len(rollouts),
        questions=len(informative),
        answers=len(scores),
        tokens=sum(int(rollout.samples.mask.sum()) for rollout in rollouts),
        reward=float(scores.mean()),
        success=float(success.mean()),
        without_advantage=float((~informative).float().mean()),
    )
