"""Advantages of episodes of several turns: numbers worked out by hand, and their limits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssl4rl_agents.algorithms.advantages import Advantages, Earned, EarnedInTurn, grpo, token_rewards
from ssl4rl_agents.algorithms.estimators import ADVANTAGES
from ssl4rl_agents.algorithms.turns import returns_of_turns, standardised, turn_gae
from ssl4rl_agents.settings import ObjectiveConfig


def turn(rewards: list[float], lengths: list[int], values: list[list[float]], episodes: list[int]) -> EarnedInTurn:
    """Answers of some lengths, each with its reward on its last token, and the critic's values of their tokens."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    padded = torch.zeros(mask.shape)
    for row, of_row in enumerate(values):
        padded[row, : len(of_row)] = torch.tensor(of_row)
    return EarnedInTurn(token_rewards(torch.tensor(rewards), mask), padded, mask, torch.tensor(episodes))


def judged(earned: Earned, advantage: str, **changes: Any) -> list[Advantages]:
    """What an algorithm says, before any whitening."""
    found: list[Advantages] = ADVANTAGES[advantage](ObjectiveConfig(advantage=advantage, **changes), earned)
    return found


def three_turns(beyond: list[float] | None = None) -> Earned:
    """Episode 0 takes three turns of 2, 1 and 2 tokens and earns 0.5, 0 (an answer that could not be read) and 0.25; episode
    1 takes one turn of 1 token and earns 1."""
    turns = [
        turn([0.5, 1.0], [2, 1], [[0.2, 0.4], [0.6]], [0, 1]),
        turn([0.0], [1], [[0.3]], [0]),
        turn([0.25], [2], [[0.1, 0.2]], [0]),
    ]
    return Earned(torch.tensor([0.75, 1.0]), 2, turns, None if beyond is None else torch.tensor(beyond))


def assert_tokens(found: list[Tensor], expected: list[list[list[float]]]) -> None:
    for part, rows in zip(found, expected, strict=True):
        torch.testing.assert_close(part, torch.tensor(rows), atol=1e-6, rtol=0)


def test_turns_by_hand():
    """gamma 0.5, lambda 0.5; values at the ends 0.4, 0.3, 0.2.

    A_3 = 0.25 - 0.2 = 0.05; A_2 = 0 + 0.1 - 0.3 + 0.25 * 0.05 = -0.1875; A_1 = 0.5 + 0.15 - 0.4 + 0.25 * -0.1875 = 0.203125;
    of the other episode 1 - 0.6 = 0.4. The critic learns advantage plus value at the end.
    """
    found = judged(three_turns(), "turn_gae", turn_gamma=0.5, turn_lambda=0.5)
    assert_tokens([one.advantages for one in found], [[[0.203125, 0.203125], [0.4, 0]], [[-0.1875]], [[0.05, 0.05]]])
    returns = [one.returns for one in found if one.returns is not None]
    assert_tokens(returns, [[[0.603125, 0.603125], [1, 0]], [[0.1125]], [[0.25, 0.25]]])


def test_turns_and_tokens_by_hand():
    """The turns' advantages as above, on the last tokens; tokens with gamma 0.5, lambda 0.5.

    First turn: 0 + 0.5 * 0.4 - 0.2 + 0.25 * 0.203125 = 0.05078125. Third: 0.5 * 0.2 - 0.1 + 0.25 * 0.05 = 0.0125.
    """
    found = judged(three_turns(), "bilevel_gae", turn_gamma=0.5, turn_lambda=0.5, gamma=0.5, gae_lambda=0.5)
    assert_tokens([one.advantages for one in found], [[[0.05078125, 0.203125], [0.4, 0]], [[-0.1875]], [[0.0125, 0.05]]])
    returns = [one.returns for one in found if one.returns is not None]
    assert_tokens(returns, [[[0.25078125, 0.603125], [1, 0]], [[0.1125]], [[0.1125, 0.25]]])


def test_tokens_over_the_whole_episode_by_hand():
    """gamma 1, lambda 1: what is earned from a token on, minus what was expected there."""
    found = judged(three_turns(), "gae")
    assert_tokens([one.advantages for one in found], [[[0.55, 0.35], [0.4, 0]], [[-0.05]], [[0.15, 0.05]]])


@pytest.mark.parametrize("advantage", ["gae", "turn_gae", "bilevel_gae"])
def test_an_episode_that_the_horizon_cut_off_goes_on_by_its_value_and_one_that_ended_does_not(advantage):
    """The value of the state that was not reached is 0.8: with gamma and lambda 1, every token earns that much more."""
    plain = judged(three_turns(), advantage)
    cut_off = judged(three_turns([0.8, 0.0]), advantage)
    for before, after, part in zip(plain, cut_off, three_turns().turns, strict=True):
        more = torch.where(part.episodes == 0, 0.8, 0.0)[:, None] * part.mask
        torch.testing.assert_close(after.advantages - before.advantages, more, atol=1e-6, rtol=0)


def test_a_cut_off_is_discounted_as_a_turn():
    (last,) = turn_gae([torch.tensor([1.0])], [torch.tensor([0.25])], torch.tensor([0.5]), [torch.tensor([0])], 0.5, 0.5)
    assert float(last) == 1.0


def groups() -> Earned:
    """Two episodes of one instance, two of another. The first earns 0.2 and 0.6, the second 0.4 and ends, the third 0 and 1,
    the fourth 0 and 0."""
    one = [[0.0]] * 4
    turns = [turn([0.2, 0.4, 0.0, 0.0], [1] * 4, one, [0, 1, 2, 3]), turn([0.6, 1.0, 0.0], [1] * 3, one[:3], [0, 2, 3])]
    return Earned(torch.tensor([0.8, 0.4, 1.0, 0.0]), 2, turns)


ROOT = 0.5**0.5
"""Of two numbers, each is this many standard deviations from their mean."""


def test_the_same_turns_of_a_group_are_compared_by_hand():
    """Returns from the first turn 0.8, 0.4 | 1, 0; from the second 0.6, alone, | 1, 0."""
    first, second = judged(groups(), "turn_grpo")
    torch.testing.assert_close(first.advantages[:, 0], torch.tensor([ROOT, -ROOT, ROOT, -ROOT]), atol=1e-5, rtol=0)
    torch.testing.assert_close(second.advantages[:, 0], torch.tensor([0, ROOT, -ROOT]), atol=1e-5, rtol=0)
    assert first.returns is None


def test_step_rewards_are_normalised_by_hand():
    """0.2, 0.4 and 0.6 have mean 0.4 and deviation 0.2: -1, 0, 1. 0, 0, 1, 0 have mean 0.25 and deviation 0.5: -0.5, 1.5."""
    first, second = judged(groups(), "step_grpo")
    torch.testing.assert_close(first.advantages[:, 0], torch.tensor([0, 0, 1, -1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(second.advantages[:, 0], torch.tensor([1, 1.5, -0.5]), atol=1e-4, rtol=0)
    first, second = judged(groups(), "step_grpo", turn_gamma=0.5)
    torch.testing.assert_close(first.advantages[:, 0], torch.tensor([-0.5, 0, 0.25, -0.75]), atol=1e-4, rtol=0)


def test_returns_of_turns_by_hand():
    rewards, episodes = [torch.tensor([1.0, 2.0]), torch.tensor([4.0])], [torch.tensor([0, 1]), torch.tensor([1])]
    first, second = returns_of_turns(rewards, episodes, 2, 0.5)
    assert (first.tolist(), second.tolist()) == ([1, 4], [4])


def test_what_is_not_there_is_not_compared():
    numbers, present = (
        torch.tensor([[1.0, 3.0, 100.0], [5.0, 7.0, 9.0]]),
        torch.tensor([[True, True, False], [True] + [False] * 2]),
    )
    found = standardised(numbers, present)
    torch.testing.assert_close(found, torch.tensor([[-ROOT, ROOT, 0], [0, 0, 0]]), atol=1e-5, rtol=0)


def test_equal_rewards_have_no_advantage_however_they_round():
    numbers = torch.full((1, 3), 0.1)
    assert not standardised(numbers, numbers.bool()).any()


# With one turn


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 5), min_size=4, max_size=4), seed=st.integers(0, 1000))
def test_with_one_turn_turns_are_answers(lengths, seed):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    scores = torch.randint(0, 3, (4,), generator=generator) / 2
    values = torch.randn(mask.shape, generator=generator) * mask
    earned = Earned(scores, 2, [EarnedInTurn(token_rewards(scores, mask), values, mask, torch.arange(4))])
    (tokens,) = judged(earned, "gae", gamma=0.9, gae_lambda=0.7, critic_lambda=0.7)
    (both,) = judged(earned, "bilevel_gae", gamma=0.9, gae_lambda=0.7, turn_gamma=0.3, turn_lambda=0.2)
    torch.testing.assert_close(both.advantages, tokens.advantages, atol=1e-6, rtol=0)
    torch.testing.assert_close(both.returns, tokens.returns, atol=1e-6, rtol=0)
    for advantage in ("turn_grpo", "step_grpo"):
        (turns,) = judged(earned, advantage)
        torch.testing.assert_close(turns.advantages, grpo(scores, 2)[:, None] * mask, atol=1e-4, rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_with_one_token_a_turn_all_gae_agree(seed):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(3, 1, dtype=torch.bool)
    turns = [
        EarnedInTurn(torch.randn(3, 1, generator=generator), torch.randn(3, 1, generator=generator), mask, torch.arange(3))
        for _ in range(3)
    ]
    earned = Earned(sum((one.rewards.sum(1) for one in turns), torch.zeros(3)), 1, turns, torch.randn(3, generator=generator))
    by_token = judged(earned, "gae", gamma=0.9, gae_lambda=0.7, critic_lambda=0.7)
    for advantage in ("turn_gae", "bilevel_gae"):
        for one, other in zip(judged(earned, advantage, turn_gamma=0.9, turn_lambda=0.7), by_token, strict=True):
            torch.testing.assert_close(one.advantages, other.advantages, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(one.returns, other.returns, atol=1e-5, rtol=1e-5)
