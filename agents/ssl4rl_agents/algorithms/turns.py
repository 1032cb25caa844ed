"""Advantages of episodes of several turns: by the turn, by turn and token, and among the same turns of a group.

With one turn, each is the estimator for tokens or answers that it comes from (`advantages.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssl4rl_agents.algorithms.advantages import EPSILON, Advantages, Earned, gae

if TYPE_CHECKING:
    from torch import Tensor

# Turns


def last_of(tokens: Tensor, mask: Tensor) -> Tensor:
    """Return what the last token of each answer has, (n,), of (n, T)."""
    return tokens.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)


def turn_gae(
    rewards: list[Tensor], values: list[Tensor], beyond: Tensor, episodes: list[Tensor], gamma: float, lam: float
) -> list[Tensor]:
    """Generalised advantage estimation with a turn as the step (Schulman et al. 2016, arXiv 1506.02438).

    A_k = delta_k + gamma lam A_(k+1), where delta_k = r_k + gamma V_(k+1) - V_k.

    Args:
        rewards: (n_k,) for each turn, what its answers earned.
        values: (n_k,) for each turn, of the critic at its end.
        beyond: (E,) the value of what comes after an episode's last turn.
        episodes: (n_k,) for each turn, which of the E episodes its answers belong to.
        gamma: discount from turn to turn.
        lam: mixing.

    Returns:
        (n_k,) for each turn.
    """
    found: list[Tensor] = []
    following, running = beyond, beyond.new_zeros(beyond.shape)
    for reward, value, rows in zip(reversed(rewards), reversed(values), reversed(episodes), strict=True):
        advantage = reward + gamma * following[rows] - value + gamma * lam * running[rows]
        following, running = following.scatter(0, rows, value), running.scatter(0, rows, advantage)
        found.insert(0, advantage)
    return found


def returns_of_turns(rewards: list[Tensor], episodes: list[Tensor], count: int, gamma: float) -> list[Tensor]:
    """Return discounted sums of the rewards from each turn on, (n_k,) for each turn.

    Args:
        rewards, episodes: as of `turn_gae`.
        count: E, of the episodes.
        gamma: discount from turn to turn.
    """
    found: list[Tensor] = []
    running = rewards[0].new_zeros(count)
    for reward, rows in zip(reversed(rewards), reversed(episodes), strict=True):
        running = running.scatter(0, rows, reward + gamma * running[rows])
        found.insert(0, running[rows])
    return found


def standardised(numbers: Tensor, present: Tensor) -> Tensor:
    """Return numbers minus the mean of those in their row, over the unbiased standard deviation plus 1e-6, (..., m).

    It is 0 where all in a row are equal, or where there is but one.

    Args:
        numbers: (..., m).
        present: (..., m) bool, which of them there are; the others count for nothing, and 0 is returned in their place.
    """
    sizes = present.sum(-1, keepdim=True).to(numbers.dtype)
    kept = numbers.masked_fill(~present, 0.0)
    centred = (kept - kept.sum(-1, keepdim=True) / sizes.clamp(min=1)).masked_fill(~present, 0.0)
    deviation = ((centred**2).sum(-1, keepdim=True) / (sizes - 1).clamp(min=1)).sqrt()
    low = numbers.masked_fill(~present, float("inf")).amin(-1, keepdim=True)
    high = numbers.masked_fill(~present, float("-inf")).amax(-1, keepdim=True)
    return (centred / (deviation + EPSILON)).masked_fill(~(low < high), 0.0)


# Rows


def by_turn(earned: Earned, *, turn_gamma: float, turn_lambda: float) -> list[Advantages]:
    """PPO by the turn: all tokens of an answer have the advantage of its turn, and learn its return.

    The critic's value at the end of an answer, the one of its last token, is that of the turn; see `turn_gae`.
    """
    turns = earned.turns
    values = [last_of(turn.values, turn.mask) for turn in turns]
    judged = _judged([turn.rewards.sum(1) for turn in turns], values, earned, turn_gamma, turn_lambda)
    return [
        Advantages(advantage[:, None] * turn.mask, (advantage + value)[:, None] * turn.mask)
        for advantage, value, turn in zip(judged, values, turns, strict=True)
    ]


def by_turn_and_token(
    earned: Earned, *, gamma: float, gae_lambda: float, turn_gamma: float, turn_lambda: float
) -> list[Advantages]:
    """Bi-level GAE (Wang et al. 2025, VAGEN, arXiv 2510.16907): advantages of turns, handed down to their tokens.

    The advantage of a turn is that of its last token, and GAE runs from there to its first token, with a discount and a
    mixing of its own. A divergence that is taken off the rewards counts within its turn.
    """
    turns = earned.turns
    values = [last_of(turn.values, turn.mask) for turn in turns]
    judged = _judged([last_of(turn.rewards, turn.mask) for turn in turns], values, earned, turn_gamma, turn_lambda)
    found = []
    for turn, advantage, value in zip(turns, judged, values, strict=True):
        end = turn.mask.sum(1, keepdim=True) - 1
        handed_down = turn.rewards.scatter(1, end, (advantage + value)[:, None])  # which GAE sees as what the answer earned
        found.append(gae(handed_down, turn.values, turn.mask, gamma, gae_lambda))
    return found


def by_group_and_turn(earned: Earned, *, turn_gamma: float) -> list[Advantages]:
    """Compare what the episodes of a group earn from a turn on with those of them that come to the same turn.

    GRPO (arXiv 2402.03300) for each turn: the return from it on, standardised among the answers to the same instance in the
    same turn. The step rewards count as they are paid.
    """
    rewards = [turn.rewards.sum(1) for turn in earned.turns]
    returns = returns_of_turns(rewards, [turn.episodes for turn in earned.turns], len(earned.scores), turn_gamma)
    numbers, present = _by_episode(returns, earned)
    groups = numbers.reshape(len(numbers), -1, earned.group_size)
    return _handed_down(standardised(groups, present.reshape(groups.shape)).reshape(numbers.shape), earned)


def by_steps(earned: Earned, *, turn_gamma: float) -> list[Advantages]:
    """GRPO with process supervision (Shao et al. 2024, arXiv 2402.03300, section 4.1.3): step rewards are normalised.

    The rewards of all turns of all episodes of a group are standardised together; the advantage of a turn is the sum of those
    from it on.
    """
    numbers, present = _by_episode([turn.rewards.sum(1) for turn in earned.turns], earned)

    def grouped(of_episodes: Tensor) -> Tensor:
        return of_episodes.reshape(len(of_episodes), -1, earned.group_size).transpose(0, 1).flatten(1)

    steps = standardised(grouped(numbers), grouped(present))
    steps = steps.reshape(-1, len(numbers), earned.group_size).transpose(0, 1).reshape(numbers.shape)
    episodes = [turn.episodes for turn in earned.turns]
    rewards = [row[rows] for row, rows in zip(steps, episodes, strict=True)]
    returns = returns_of_turns(rewards, episodes, len(earned.scores), turn_gamma)
    return _handed_down(_by_episode(returns, earned)[0], earned)


def _by_episode(of_turns: list[Tensor], earned: Earned) -> tuple[Tensor, Tensor]:
    """Return numbers (n_k,) of turns by episode, (K, E), 0 where an episode has no such turn; and where it has one."""
    numbers = earned.scores.new_zeros(len(of_turns), len(earned.scores)).float()
    present = numbers.bool()
    for number, (found, turn) in enumerate(zip(of_turns, earned.turns, strict=True)):
        numbers[number, turn.episodes], present[number, turn.episodes] = found, True
    return numbers, present


def _handed_down(numbers: Tensor, earned: Earned) -> list[Advantages]:
    """Give every token what its turn has in its episode, (K, E)."""
    pairs = zip(numbers, earned.turns, strict=True)
    return [Advantages(row[turn.episodes][:, None] * turn.mask, None) for row, turn in pairs]


def _judged(rewards: list[Tensor], values: list[Tensor], earned: Earned, gamma: float, lam: float) -> list[Tensor]:
    beyond = earned.nothing if earned.beyond is None else earned.beyond
    return turn_gae(rewards, values, beyond, [turn.episodes for turn in earned.turns], gamma, lam)
