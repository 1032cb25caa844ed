"""Dynamic sampling (DAPO, Yu et al. 2025, arXiv 2503.14476): further questions in place of those without an advantage."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssl4rl_agents.ppo.joining import joined, no_samples
from ssl4rl_agents.ppo.questions import TrainingQuestions
from ssl4rl_agents.ppo.rollout import Player, Rollout, Turn
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_envs.task import Batch


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


def play_until_informative(
    player: Player, questions: TrainingQuestions, first: Batch, max_rounds: int, processes: Processes
) -> tuple[Rollout, Asked]:
    """Play rounds of questions until as many as the first round has carry an advantage.

    Questions whose answers all scored the same give a group advantage of 0, which teaches nothing; others take their place.
    When the rounds are used up, the first such questions fill what is missing, so that a rollout keeps its size.

    Args:
        player: plays a round.
        questions: asks the rounds after the first, each time others.
        first: the questions of the first round.
        max_rounds: rounds at most.
        processes: which do equally many rounds.

    Returns:
        The rollout, whose questions stand in the order of asking, those without an advantage last; and what was asked.
        If one round was enough, the rollout is as it was played.
    """
    played, enough = [player.play(first)], False
    while True:
        informative = torch.cat([rollout.informative for rollout in played])
        enough = processes.everywhere(int(informative.sum()) >= len(first))
        if enough or len(played) == max_rounds:
            break
        for turn in played[-1].turns:
            turn.inputs = None  # the pictures of all rounds at once might not fit the memory
        played[-1].whole = None
        played.append(player.play(questions.ask(len(played)), len(played)))
    asked = _asked(played, informative)
    if len(played) == 1:
        return played[0], asked
    chosen = torch.cat([torch.nonzero(informative).flatten(), torch.nonzero(~informative).flatten()])[: len(first)]
    return _picked(player, played, chosen), asked


def _picked(player: Player, played: list[Rollout], chosen: Tensor) -> Rollout:
    """Return the rollout of some questions out of several rollouts, their prompts encoded anew.

    Args:
        player: encodes.
        played: the rollouts.
        chosen: (q,) which questions, counted over all rollouts one after the other, as they are to stand.
    """
    group, device = played[0].group_size, chosen.device
    episodes = (chosen[:, None] * group + torch.arange(group, device=device)).reshape(-1)
    success = torch.cat([rollout.success for rollout in played])
    places = torch.full((len(success),), -1, device=device)
    places[episodes] = torch.arange(len(episodes), device=device)
    starts = [sum(len(earlier.success) for earlier in played[:number]) for number in range(len(played))]
    turns = []
    for number in range(max(len(rollout.turns) for rollout in played)):
        there = [(one, start) for one, start in zip(played, starts, strict=True) if number < len(one.turns)]
        parts = [one.turns[number] for one, _ in there]
        where = torch.cat([one.turns[number].episodes + start for one, start in there])
        turns.append(_picked_turn(parts, places[where]))
    beyond = [rollout.beyond for rollout in played if rollout.beyond is not None]
    return player.replay(turns, success[episodes], torch.cat(beyond)[episodes] if beyond else None)


def _picked_turn(parts: list[Turn], places: Tensor) -> Turn:
    """Return some answers of several turns as one, each in its place; its prompts are yet to be encoded.

    Args:
        parts: the turns, with their states.
        places: of all their answers, one turn after the other: which episode of the new rollout each is of, -1 for none.
    """
    kept = torch.nonzero(places >= 0).flatten()
    rows = kept[places[kept].argsort()]
    group, whole = parts[0].group_size, [part for part in parts if len(part.episodes)] or parts[:1]
    states = Batch.concatenate([part.states for part in whole if part.states is not None])
    return Turn(
        None,
        joined([part.samples for part in whole], rows) if len(rows) else no_samples(places.device),
        torch.cat([part.rewards for part in parts])[rows],
        places[rows],
        group,
        None if parts[0].fines is None else torch.cat([part.fines for part in parts if part.fines is not None])[rows],
        states.rows((rows[::group] // group).cpu().numpy()),
    )


def _asked(played: list[Rollout], informative: Tensor) -> Asked:
    scores, success = (torch.cat([getattr(rollout, of) for rollout in played]).float() for of in ("scores", "success"))
    return Asked(
        rounds=len(played),
        questions=len(informative),
        answers=len(scores),
        tokens=sum(int(turn.samples.mask.sum()) for rollout in played for turn in rollout.turns),
        reward=float(scores.mean()),
        success=float(success.mean()),
        without_advantage=float((~informative).float().mean()),
    )
