"""Dynamic sampling (DAPO, Yu et al. 2025, arXiv 2503.14476): further questions in place of those without an advantage."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ssl4rl_agents.ppo.questions import TrainingQuestions
from ssl4rl_agents.ppo.rollout import Player, Rollout, Turn, joined
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
    batches, played, enough = [first], [player.play(first)], False
    while True:
        informative = torch.cat([rollout.informative for rollout in played])
        enough = processes.everywhere(int(informative.sum()) >= len(first))
        if enough or len(played) == max_rounds:
            break
        played[-1].turns[0].inputs = None  # the pictures of all rounds at once might not fit the memory
        batches.append(questions.ask(len(played)))
        played.append(player.play(batches[-1], len(played)))
    asked = _asked(played, informative)
    if len(played) == 1:
        return played[0], asked
    chosen = torch.cat([torch.nonzero(informative).flatten(), torch.nonzero(~informative).flatten()])[: len(first)]
    inputs = player.encode(Batch.concatenate(batches).rows(chosen.cpu().numpy()))
    return _picked(played, chosen, inputs), asked


def _picked(played: list[Rollout], chosen: Tensor, inputs: object) -> Rollout:
    """Return the rollout of some questions out of several rollouts of one turn."""
    group = played[0].group_size
    rows = (chosen[:, None] * group + torch.arange(group, device=chosen.device)).reshape(-1)
    (turns,) = zip(*(rollout.turns for rollout in played), strict=True)
    rewards = torch.cat([turn.rewards for turn in turns])[rows]
    turn = Turn(
        inputs, joined([turn.samples for turn in turns], rows), rewards, torch.arange(len(rows), device=rows.device), group
    )
    return Rollout([turn], torch.cat([rollout.success for rollout in played])[rows], group)


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
