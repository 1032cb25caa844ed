"""Advantages against plain loops and numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssl4rl_agents.ppo.advantages import estimate, gae, grpo, returns_to_go, rloo, token_rewards, whiten
from ssl4rl_agents.ppo.config import ObjectiveConfig


def ragged(lengths: list[int], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rewards, values (garbage outside the mask) and the mask of answers of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    width = max(lengths) + 1
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    rewards = torch.randn(len(lengths), width, generator=generator) * mask
    values = torch.randn(len(lengths), width, generator=generator)
    return rewards, values, mask


rows = st.lists(st.integers(1, 6), min_size=1, max_size=5)
unit = st.floats(0, 1)


@settings(max_examples=60, deadline=None)
@given(lengths=rows, gamma=unit, lam=unit, seed=st.integers(0, 1000))
def test_gae_equals_a_plain_loop(lengths, gamma, lam, seed):
    rewards, values, mask = ragged(lengths, seed)
    result = gae(rewards, values, mask, gamma, lam)
    expected = np.zeros(mask.shape)
    for row, length in enumerate(lengths):
        for start in range(length):
            for t in range(start, length):
                following = float(values[row, t + 1]) if t + 1 < length else 0.0
                error = float(rewards[row, t]) + gamma * following - float(values[row, t])
                expected[row, start] += (gamma * lam) ** (t - start) * error
    np.testing.assert_allclose(result.advantages.numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(result.returns.numpy(), (expected + values.numpy()) * mask.numpy(), atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(lengths=rows, seed=st.integers(0, 1000))
def test_undiscounted_advantages_are_returns_minus_values(lengths, seed):
    _, values, mask = ragged(lengths, seed)
    scores = torch.rand(len(lengths), generator=torch.Generator().manual_seed(seed))
    result = gae(token_rewards(scores, mask), values, mask, 1.0, 1.0)
    torch.testing.assert_close(result.advantages, (scores[:, None] - values) * mask, atol=1e-5, rtol=0)
    torch.testing.assert_close(result.returns, scores[:, None] * mask, atol=1e-5, rtol=0)


def test_gae_by_hand():
    rewards = torch.tensor([[0.0, 1.0, 0.0]])
    values = torch.tensor([[0.5, 0.25, 9.0]])
    mask = torch.tensor([[True, True, False]])
    result = gae(rewards, values, mask, gamma=0.5, lam=0.5)
    # last: 1 - 0.25 = 0.75; first: 0 + 0.5 * 0.25 - 0.5 = -0.375, plus 0.25 * 0.75
    torch.testing.assert_close(result.advantages, torch.tensor([[-0.1875, 0.75, 0.0]]))
    torch.testing.assert_close(result.returns, torch.tensor([[0.3125, 1.0, 0.0]]))


@settings(max_examples=30, deadline=None)
@given(lengths=rows, gamma=unit, seed=st.integers(0, 1000))
def test_returns_to_go_equal_a_plain_loop(lengths, gamma, seed):
    rewards, _, mask = ragged(lengths, seed)
    expected = np.zeros(mask.shape)
    for row, length in enumerate(lengths):
        for t in range(length):
            expected[row, t] = sum(gamma ** (k - t) * float(rewards[row, k]) for k in range(t, length))
    np.testing.assert_allclose(returns_to_go(rewards, mask, gamma).numpy(), expected, atol=1e-4)


def test_the_score_stands_once_on_the_last_token():
    mask = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])
    rewards = token_rewards(torch.tensor([1.0, 2.0, 3.0]), mask)
    assert rewards.tolist() == [[0, 0, 1], [2, 0, 0], [0, 3, 0]]
    assert rewards.dtype == torch.float32


def test_penalties_are_taken_off_inside_the_mask_alone():
    mask = torch.tensor([[True, True, False]])
    rewards = token_rewards(torch.tensor([1.0]), mask, torch.tensor([[0.25, -0.5, 7.0]]))
    assert rewards.tolist() == [[-0.25, 1.5, 0.0]]


def test_an_empty_answer_is_an_error():
    mask = torch.tensor([[True], [False]])
    with pytest.raises(ValueError, match="at least one token"):
        token_rewards(torch.ones(2), mask)


def test_whitening_is_over_the_mask_alone():
    _, values, mask = ragged([3, 1, 6, 2], 0)
    values = values * 5 + 3
    values[~mask] = 1e6
    white = whiten(values, mask)
    assert abs(float(white[mask].mean())) < 1e-5
    assert abs(float(white[mask].std(correction=0)) - 1) < 1e-4
    assert bool((white[~mask] == 0).all())
    assert torch.equal(white[mask].argsort(), values[mask].argsort())


def test_whitening_what_is_constant_gives_zeros():
    assert not whiten(torch.full((2, 3), 0.25), torch.ones(2, 3, dtype=torch.bool)).any()


def test_grpo_and_rloo_against_numpy():
    scores = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    standardised = (scores - scores.mean(1, keepdims=True)) / (scores.std(1, ddof=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(grpo(torch.from_numpy(scores).flatten(), 4).numpy(), standardised.ravel(), atol=1e-5)
    others = np.stack([scores[:, [j for j in range(4) if j != i]].mean(1) for i in range(4)], axis=1)
    np.testing.assert_allclose(rloo(torch.from_numpy(scores).flatten(), 4).numpy(), (scores - others).ravel(), atol=1e-5)


def test_grpo_and_rloo_by_hand():
    scores = torch.tensor([1.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(grpo(scores, 4), torch.tensor([1.5, -0.5, -0.5, -0.5]), atol=1e-4, rtol=0)
    torch.testing.assert_close(rloo(scores, 4), torch.tensor([1.0, -1 / 3, -1 / 3, -1 / 3]))
    torch.testing.assert_close(rloo(scores, 2), torch.tensor([1.0, -1.0, 0.0, 0.0]))


@pytest.mark.parametrize("score", [0.0, 1.0, 0.3])
def test_groups_with_equal_scores_have_no_advantage(score):
    """Exactly none in float32: rounding of the mean must not be standardised into a signal."""
    scores = torch.full((12,), score)
    assert float(grpo(scores, 3).abs().max()) < 0.05
    assert float(rloo(scores, 3).abs().max()) < 1e-6


@pytest.mark.parametrize("advantage", ["grpo", "rloo"])
def test_group_advantages_are_the_same_for_every_token(advantage):
    mask = torch.tensor([[True, True, False], [True, False, False], [True, True, True], [True, True, False]])
    rewards = token_rewards(torch.tensor([1.0, 0.0, 0.25, 0.75]), mask)
    result = estimate(ObjectiveConfig(advantage=advantage), rewards, torch.randn(4, 3), mask, 2)
    by_answer = {"grpo": grpo, "rloo": rloo}[advantage](torch.tensor([1.0, 0.0, 0.25, 0.75]), 2)
    torch.testing.assert_close(result.advantages, by_answer[:, None] * mask)
    assert result.returns is None


def test_ppo_whitens_advantages_and_regresses_on_raw_returns():
    rewards, values, mask = ragged([3, 1, 6, 2], 1)
    objective = ObjectiveConfig(advantage="gae", gamma=0.9, gae_lambda=0.8, critic_lambda=0.5)
    result = estimate(objective, rewards, values, mask, 2)
    torch.testing.assert_close(result.advantages, whiten(gae(rewards, values, mask, 0.9, 0.8).advantages, mask))
    torch.testing.assert_close(result.returns, gae(rewards, values, mask, 0.9, 0.5).returns)


def test_the_critic_regresses_on_monte_carlo_returns_by_default():
    rewards, values, mask = ragged([3, 1, 6, 2], 1)
    result = estimate(ObjectiveConfig(gamma=0.9, gae_lambda=0.3), rewards, values, mask, 2)
    torch.testing.assert_close(result.returns, returns_to_go(rewards, mask, 0.9), atol=1e-5, rtol=0)


def test_reinforce_plus_plus_whitens_returns():
    rewards, values, mask = ragged([3, 1, 6, 2], 2)
    result = estimate(ObjectiveConfig(advantage="reinforce++", gamma=0.9), rewards, values, mask, 1)
    torch.testing.assert_close(result.advantages, whiten(returns_to_go(rewards, mask, 0.9), mask))
    assert result.returns is None
