"""Advantages: how much better an answer was than expected. One function an algorithm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-6


@dataclass
class Advantages:
    """advantages (n, T) for the policy, and returns (n, T) that the critic regresses on, or None without a critic."""

    advantages: Tensor
    returns: Tensor | None


@dataclass(frozen=True)
class EarnedInTurn:
    """What n answers earned, token by token.

    Args:
        rewards: (n, T) with each answer's reward on its last token, penalties taken off.
        values: (n, T) what the critic expected when each token was chosen.
        mask: (n, T) bool, true for a prefix of each row that is not empty.
        episodes: (n,) int64, which of the episodes each answer belongs to, each at most once.
    """

    rewards: Tensor
    values: Tensor
    mask: Tensor
    episodes: Tensor


@dataclass(frozen=True)
class Earned:
    """What the episodes of one iteration earned in this process.

    Args:
        scores: (E,) one an episode, without penalties; those of a group stand in a row.
        group_size: episodes that answer the same question.
        turns: one after the other.
        beyond: (E,) the values of the states in which the horizon cut episodes off, 0 where they had ended; None for 0.
    """

    scores: Tensor
    group_size: int
    turns: list[EarnedInTurn]
    beyond: Tensor | None = None

    @property
    def nothing(self) -> Tensor:
        """Zeros (E,)."""
        return self.scores.new_zeros(len(self.scores)).float()


# Tokens


def token_rewards(scores: Tensor, mask: Tensor, penalties: Tensor | None = None) -> Tensor:
    """Put each answer's score on its last token and subtract per-token penalties.

    Args:
        scores: (n,) one reward an answer.
        mask: (n, T) bool, true for a prefix of each row that is not empty.
        penalties: (n, T) or None.

    Returns:
        (n, T), 0 outside the mask.
    """
    scores = scores.float()
    last = mask.sum(1, keepdim=True) - 1
    if bool((last < 0).any()):
        raise ValueError("every answer must have at least one token")
    rewards = scores.new_zeros(mask.shape).scatter(1, last, scores[:, None])
    return rewards if penalties is None else rewards - penalties * mask


def returns_to_go(rewards: Tensor, mask: Tensor, gamma: float, ahead: Tensor | None = None) -> Tensor:
    """Return discounted sums of the rewards from each token on, (n, T).

    Args:
        rewards, mask: (n, T).
        gamma: discount from token to token.
        ahead: (n,) the return of what comes after the last token; 0 by default.
    """
    returns = rewards.new_zeros(rewards.shape)
    running = rewards.new_zeros(len(rewards)) if ahead is None else ahead
    for t in reversed(range(rewards.shape[1])):
        running = (rewards[:, t] + gamma * running).where(mask[:, t], running)
        returns[:, t] = running * mask[:, t]
    return returns


def gae(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    gamma: float,
    lam: float | Tensor,
    ahead: tuple[Tensor, Tensor] | None = None,
) -> Advantages:
    """Generalised advantage estimation over the tokens of each answer (Schulman et al. 2016, arXiv 1506.02438).

    Returns are advantages plus values, before any whitening.

    Args:
        rewards, values: (n, T).
        mask: (n, T) bool.
        gamma: discount from token to token.
        lam: mixing, one for all answers or (n,), one for each.
        ahead: (n,) each, value and advantage of what comes after the last token; 0 by default.
    """
    advantages = rewards.new_zeros(rewards.shape)
    following, running = ahead or (rewards.new_zeros(len(rewards)), rewards.new_zeros(len(rewards)))
    for t in reversed(range(rewards.shape[1])):
        error = rewards[:, t] + gamma * following - values[:, t]
        running = (error + gamma * lam * running).where(mask[:, t], running)
        following = values[:, t].where(mask[:, t], following)
        advantages[:, t] = running * mask[:, t]
    return Advantages(advantages, (advantages + values) * mask)


def length_adaptive_lambda(mask: Tensor, alpha: float) -> Tensor:
    """Return 1 - 1 / (alpha * l) for answers of l tokens, (n,), in [0, 1]: length-adaptive GAE (VAPO, arXiv 2504.05118).

    The coefficients lam ** k of an answer then sum to about alpha * l, so that the score reaches the first tokens of a long
    answer too. Answers of at most 1 / alpha tokens get 0.
    """
    return (1 - 1 / (alpha * mask.sum(1).float())).clamp(0, 1)


# Groups


def scores_differ(scores: Tensor, group_size: int) -> Tensor:
    """Return in which groups the answers scored differently, (n / group_size,) bool: the others have no advantage."""
    groups = scores.reshape(-1, group_size)
    return groups.amax(1) != groups.amin(1)


def centred(scores: Tensor, group_size: int) -> Tensor:
    """Scores minus the mean of their group, (n / group_size, group_size).

    Exactly 0 where all of a group are equal: the mean of three times 0.1 is not 0.1 in float32, and a standard deviation
    would make a signal of what it is off by.

    Raises:
        ValueError: these are no whole groups of two or more, so that nothing could be compared.
    """
    if group_size < 2 or len(scores) % group_size:
        raise ValueError(f"answers are compared within groups of two or more; {len(scores)} are no groups of {group_size}")
    groups = scores.float().reshape(-1, group_size)
    return (groups - groups.mean(1, keepdim=True)).masked_fill(~scores_differ(groups, group_size)[:, None], 0.0)


def grpo(scores: Tensor, group_size: int) -> Tensor:
    """Scores standardised within their groups (Shao et al. 2024, arXiv 2402.03300), (n,); 0 where all are equal.

    The standard deviation is the unbiased one (over group_size - 1), plus 1e-6.
    """
    groups = centred(scores, group_size)
    return (groups / (groups.std(1, keepdim=True) + EPSILON)).reshape(-1)


def dr_grpo(scores: Tensor, group_size: int) -> Tensor:
    """Scores minus the mean of their group (Liu et al. 2025, arXiv 2503.20783), (n,).

    Not divided by the group's standard deviation, which gives questions that are nearly always or nearly never answered
    rightly more weight than others.
    """
    return centred(scores, group_size).reshape(-1)


def rloo(scores: Tensor, group_size: int) -> Tensor:
    """Scores minus the mean score of the other answers in the group (Ahmadian et al. 2024, arXiv 2402.14740), (n,)."""
    return (centred(scores, group_size) * group_size / (group_size - 1)).reshape(-1)


# Rows


def by_group(compare: Callable[[Tensor, int], Tensor]) -> Callable[[Earned], list[Advantages]]:
    """Give every token of an episode the episode's advantage.

    Args:
        compare: from scores (E,), and how many of them in a row answer the same question, to advantages (E,).
    """

    def advantages(earned: Earned) -> list[Advantages]:
        found = compare(earned.scores, earned.group_size)
        return [Advantages(found[turn.episodes][:, None] * turn.mask, None) for turn in earned.turns]

    return advantages


def by_critic(
    earned: Earned, *, gamma: float, gae_lambda: float, critic_lambda: float, length_adaptive_alpha: float | None
) -> list[Advantages]:
    """PPO: GAE against a critic, whose targets may be mixed otherwise (VC-PPO, arXiv 2503.01491)."""
    found: list[Advantages] = []
    beyond = earned.nothing if earned.beyond is None else earned.beyond
    ahead, ahead_of_critic = (beyond, earned.nothing), (beyond, earned.nothing)
    for turn in reversed(earned.turns):
        rows, alpha = turn.episodes, length_adaptive_alpha
        lam = gae_lambda if alpha is None else length_adaptive_lambda(turn.mask, alpha)
        told = turn.rewards, turn.values, turn.mask, gamma
        judged = gae(*told, lam, (ahead[0][rows], ahead[1][rows]))
        targets = gae(*told, critic_lambda, (ahead_of_critic[0][rows], ahead_of_critic[1][rows]))
        found.insert(0, Advantages(judged.advantages, targets.returns))
        ahead = _put(ahead[0], rows, turn.values), _put(ahead[1], rows, judged.advantages)
        ahead_of_critic = ahead[0], _put(ahead_of_critic[1], rows, targets.advantages)
    return found


def by_returns(earned: Earned, *, gamma: float) -> list[Advantages]:
    """REINFORCE++ (Hu 2025, arXiv 2501.03262): the returns themselves, penalties included; no critic, no groups."""
    found: list[Advantages] = []
    ahead = earned.nothing
    for turn in reversed(earned.turns):
        returns = returns_to_go(turn.rewards, turn.mask, gamma, ahead[turn.episodes])
        found.insert(0, Advantages(returns, None))
        ahead = _put(ahead, turn.episodes, returns)
    return found


def _put(of_episodes: Tensor, episodes: Tensor, tokens: Tensor) -> Tensor:
    """Return numbers (E,) with those of some episodes replaced by what their first tokens (n, T) have."""
    return of_episodes.scatter(0, episodes, tokens[:, 0])
