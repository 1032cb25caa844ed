"""Advantages against plain loops and numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssl4rl_agents.algorithms.advantages import (
    Advantages,
    Earned,
    EarnedInTurn,
    dr_grpo,
    gae,
    grpo,
    length_adaptive_lambda,
    returns_to_go,
    rloo,
    scores_differ,
    token_rewards,
)
from ssl4rl_agents.algorithms.estimators import ADVANTAGES
from ssl4rl_agents.ppo import credit
from ssl4rl_agents.ppo.advantages import estimate
from ssl4rl_agents.ppo.credit import moments
from ssl4rl_agents.ppo.summary import explained_variance
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import ObjectiveConfig
from tests.agents.rollouts import ONE, Summing


def whiten(values: Tensor, mask: Tensor, processes: Processes = ONE) -> Tensor:
    """Values whitened over the mask."""
    (found,) = credit.whiten([Advantages(values, None)], [mask], processes)
    return found.advantages


def ragged(lengths: list[int], seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rewards, values (garbage outside the mask) and the mask of answers of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    width = max(lengths) + 1
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    rewards = torch.randn(len(lengths), width, generator=generator) * mask
    values = torch.randn(len(lengths), width, generator=generator)
    return rewards, values, mask


SCORES = torch.tensor([1.0, 0.0, 0.25, 0.75])
BY_GROUP = {"grpo": grpo, "dr_grpo": dr_grpo, "rloo": rloo}

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
@given(lengths=rows, gamma=unit, lams=st.lists(unit, min_size=5, max_size=5), seed=st.integers(0, 1000))
def test_each_answer_can_have_a_lambda_of_its_own(lengths, gamma, lams, seed):
    rewards, values, mask = ragged(lengths, seed)
    together = gae(rewards, values, mask, gamma, torch.tensor(lams[: len(lengths)]))
    for row in range(len(lengths)):
        one = slice(row, row + 1)
        alone = gae(rewards[one], values[one], mask[one], gamma, lams[row])
        torch.testing.assert_close(together.advantages[one], alone.advantages, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.returns[one], alone.returns, atol=1e-5, rtol=1e-5)


def test_the_length_adaptive_lambda_by_hand():
    mask = torch.arange(400) < torch.tensor([400, 100, 40, 20, 1])[:, None]
    expected = torch.tensor([0.95, 0.8, 0.5, 0.0, 0.0])  # 1 - 1/20, 1 - 1/5, 1 - 1/2; then clamped
    torch.testing.assert_close(length_adaptive_lambda(mask, 0.05), expected, atol=1e-6, rtol=0)


def test_length_adaptive_gae_takes_the_place_of_lambda_for_the_policy_alone():
    penalties, values, mask = ragged([6, 3, 1, 5], 3)
    rewards = token_rewards(SCORES, mask, penalties)
    objective = ObjectiveConfig(gamma=0.9, gae_lambda=0.3, critic_lambda=0.6, length_adaptive_alpha=0.5)
    result = estimate(objective, SCORES, values, mask, 2, penalties)
    lam = torch.tensor([1 - 1 / 3, 1 - 1 / 1.5, 0.0, 1 - 1 / 2.5])
    torch.testing.assert_close(result.advantages, whiten(gae(rewards, values, mask, 0.9, lam).advantages, mask))
    torch.testing.assert_close(result.returns, gae(rewards, values, mask, 0.9, 0.6).returns)


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


def test_dr_grpo_by_hand():
    scores = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.5, 0.25, 0.75, 0.5])
    expected = torch.tensor([0.75, -0.25, -0.25, -0.25, 0.0, -0.25, 0.25, 0.0])
    torch.testing.assert_close(dr_grpo(scores, 4), expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), group=st.integers(2, 6), scale=st.floats(0.1, 10))
def test_dr_grpo_is_centred_and_keeps_the_scale_of_the_scores(seed, group, scale):
    scores = torch.rand(5 * group, generator=torch.Generator().manual_seed(seed))
    centred = dr_grpo(scores, group)
    torch.testing.assert_close(centred.reshape(-1, group).sum(1), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(dr_grpo(scores * scale, group), centred * scale, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(dr_grpo(scores, group) * group / (group - 1), rloo(scores, group), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("advantage", BY_GROUP)
@settings(max_examples=100, deadline=None)
@given(scores=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=4), size=st.integers(2, 9), tokens=st.integers(1, 3))
@example(scores=[0.1, 0.3], size=3, tokens=1)  # neither is the mean of three of itself in float32
def test_groups_with_equal_scores_have_exactly_no_advantage(advantage, scores, size, tokens):
    """Rounding of the mean must not be standardised into a signal."""
    repeated = torch.tensor(scores).repeat_interleave(size)
    mask = torch.ones(len(repeated), tokens, dtype=torch.bool)
    result = estimate(ObjectiveConfig(advantage=advantage), repeated, torch.zeros(mask.shape), mask, size)
    assert not result.advantages.any()
    assert not scores_differ(repeated, size).any()


@pytest.mark.parametrize("advantage", BY_GROUP)
def test_an_equal_group_beside_others_has_no_advantage_and_leaves_theirs_alone(advantage):
    scores = torch.tensor([0.1, 0.1, 0.1, 0.1, 0.4, 0.1])
    result = BY_GROUP[advantage](scores, 3)
    assert result[:3].tolist() == [0, 0, 0]
    assert torch.equal(result[3:], BY_GROUP[advantage](scores[3:], 3))
    assert result[4] > 0 > result[3]


@pytest.mark.parametrize("advantage", BY_GROUP)
@pytest.mark.parametrize("tokens", [1, 5])
def test_penalties_cannot_reach_an_advantage_that_compares_a_group(advantage, tokens):
    """Neither beside the scores nor inside them."""
    mask, scores = torch.ones(8, tokens, dtype=torch.bool), torch.tensor([1.0] * 4 + [0.0] * 4)
    penalties = 0.001 * torch.randn(8, tokens, generator=torch.Generator().manual_seed(0))
    objective, values = ObjectiveConfig(advantage=advantage), torch.zeros(8, tokens)
    with pytest.raises(ValueError, match=f"{advantage} compares .* set objective.kl_loss to k3"):
        estimate(objective, scores, values, mask, 4, penalties)
    with pytest.raises(ValueError, match=r"shape \(8,\), got \(8, "):
        estimate(objective, token_rewards(scores, mask, penalties), values, mask, 4)


def test_an_advantage_that_does_not_exist_is_refused():
    mask = torch.ones(2, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"advantage must be one of gae, .*got 'GRPO'"):
        estimate(ObjectiveConfig(advantage="GRPO"), torch.ones(2), torch.zeros(2, 1), mask, 2)


@pytest.mark.parametrize("advantage", BY_GROUP)
def test_group_advantages_are_the_same_for_every_token(advantage):
    mask = torch.tensor([[True, True, False], [True, False, False], [True, True, True], [True, True, False]])
    result = estimate(ObjectiveConfig(advantage=advantage), SCORES, torch.randn(4, 3), mask, 2)
    torch.testing.assert_close(result.advantages, BY_GROUP[advantage](SCORES, 2)[:, None] * mask)
    assert result.returns is None


def test_ppo_whitens_advantages_and_regresses_on_raw_returns():
    penalties, values, mask = ragged([3, 1, 6, 2], 1)
    rewards = token_rewards(SCORES, mask, penalties)
    objective = ObjectiveConfig(advantage="gae", gamma=0.9, gae_lambda=0.8, critic_lambda=0.5)
    result = estimate(objective, SCORES, values, mask, 2, penalties)
    torch.testing.assert_close(result.advantages, whiten(gae(rewards, values, mask, 0.9, 0.8).advantages, mask))
    torch.testing.assert_close(result.returns, gae(rewards, values, mask, 0.9, 0.5).returns)


def test_the_critic_regresses_on_monte_carlo_returns_by_default():
    penalties, values, mask = ragged([3, 1, 6, 2], 1)
    rewards = token_rewards(SCORES, mask, penalties)
    result = estimate(ObjectiveConfig(gamma=0.9, gae_lambda=0.3), SCORES, values, mask, 2, penalties)
    torch.testing.assert_close(result.returns, returns_to_go(rewards, mask, 0.9), atol=1e-5, rtol=0)


def test_reinforce_plus_plus_whitens_returns():
    penalties, values, mask = ragged([3, 1, 6, 2], 2)
    rewards = token_rewards(SCORES, mask, penalties)
    result = estimate(ObjectiveConfig(advantage="reinforce++", gamma=0.9), SCORES, values, mask, 1, penalties)
    torch.testing.assert_close(result.advantages, whiten(returns_to_go(rewards, mask, 0.9), mask))
    assert result.returns is None


# Several processes


def in_turns(parts: list[Tensor], compute: Callable[[Tensor, Processes], Tensor]) -> list[Tensor]:
    """What `compute` gives in each of several processes, acted out one sum after the other.

    Each time, everyone runs as far as the first sum whose result is not known yet, and says what it adds.
    """
    known: list[Tensor] = []

    class NotKnownYetError(Exception):
        pass

    while True:
        added: list[Tensor] = []
        results: list[Tensor] = []
        for part in parts:
            asked = iter(known)

            def total(value: Tensor, asked: Iterator[Tensor] = asked, added: list[Tensor] = added) -> Tensor:
                answer = next(asked, None)
                if answer is None:
                    added.append(value)
                    raise NotKnownYetError
                return answer

            with suppress(NotKnownYetError):
                results.append(compute(part, Summing(total)))
        if len(results) == len(parts):
            return results
        assert len(added) == len(parts), "every process takes part in every sum"
        known.append(torch.stack(added).sum(0))


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=2, max_size=6), seed=st.integers(0, 1000), offset=st.floats(-5, 5))
def test_whitening_in_two_processes_is_that_of_all_tokens(lengths, seed, offset):
    rewards, _, mask = ragged(lengths, seed)
    values = rewards * 3 + offset
    joint = whiten(values, mask)
    halves = [torch.arange(len(mask))[: len(mask) // 2], torch.arange(len(mask))[len(mask) // 2 :]]
    shared = in_turns(halves, lambda rows, processes: whiten(values[rows], mask[rows], processes))
    torch.testing.assert_close(torch.cat(shared), joint, atol=1e-3, rtol=1e-3)


def test_moments_in_two_processes_by_hand():
    """1, 2, 3 | 6 with one token each outside the mask: mean 3, squares 4 + 1 + 0 + 9 over 4."""
    values, mask = torch.tensor([[1.0, 2.0, 3.0], [6.0, 90.0, 90.0]]), torch.tensor([[True] * 3, [True, False, False]])
    rows = [torch.tensor([0]), torch.tensor([1])]
    for mean, variance in in_turns(rows, lambda row, processes: torch.stack(moments(values[row][mask[row]], processes))):
        assert (float(mean), float(variance)) == (3.0, 3.5)


def test_the_variance_is_exact_where_the_mean_is_large():
    values = torch.tensor([[4096.0, 4097.0, 4098.0, 4099.0]])
    mean, variance = moments(values.flatten(), ONE)
    assert (float(mean), float(variance)) == (4097.5, 1.25)


@pytest.mark.parametrize("advantage", ["gae", "reinforce++"])
def test_advantages_in_two_processes_are_whitened_together(advantage):
    penalties, values, mask = ragged([3, 1, 6, 2], 4)
    objective = ObjectiveConfig(advantage=advantage, gamma=0.9)
    joint = estimate(objective, SCORES, values, mask, 1, penalties)

    def compute(rows: Tensor, processes: Processes) -> Tensor:
        return estimate(objective, SCORES[rows], values[rows], mask[rows], 1, penalties[rows], processes).advantages

    shared = in_turns([torch.tensor([0, 1]), torch.tensor([2, 3])], compute)
    torch.testing.assert_close(torch.cat(shared), joint.advantages, atol=1e-5, rtol=1e-5)


def test_explained_variance_by_hand():
    returns = torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert explained_variance(returns, returns, ONE) == 1
    assert explained_variance(returns + 3, returns, ONE) == 1
    assert explained_variance(torch.full((4,), 0.5), returns, ONE) == 0
    assert explained_variance(1 - returns, returns, ONE) == -3
    assert explained_variance(torch.randn(4), torch.ones(4), ONE) == 0


# Several turns


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=4, max_size=4), cut=st.integers(1, 5), seed=st.integers(0, 1000))
def test_tokens_are_credited_alike_however_they_are_cut_into_turns(lengths, cut, seed):
    """An episode of one long answer, and the same tokens in two turns, the second of which not every episode reaches."""
    rewards, values, mask = ragged(lengths, seed)
    whole = EarnedInTurn(rewards, values, mask, torch.arange(4))
    later = torch.tensor([row for row in (2, 0, 3, 1) if lengths[row] > cut], dtype=torch.int64)
    first = EarnedInTurn(rewards[:, :cut], values[:, :cut], mask[:, :cut], torch.arange(4))
    second = EarnedInTurn(rewards[later, cut:], values[later, cut:], mask[later, cut:], later)
    for name, row in ADVANTAGES.items():
        if "turn_gamma" in row.settings:
            continue  # it goes by turns
        objective = ObjectiveConfig(advantage=name, gamma=0.9, gae_lambda=0.7, critic_lambda=0.4)
        (joint,) = row(objective, Earned(SCORES, 2, [whole]))
        parts = row(objective, Earned(SCORES, 2, [first, second] if len(later) else [first]))
        for part, rows, columns in zip(parts, (torch.arange(4), later), (slice(cut), slice(cut, None)), strict=False):
            for found, expected in ((part.advantages, joint.advantages), (part.returns, joint.returns)):
                assert (found is None) == (expected is None)
                if found is not None:
                    torch.testing.assert_close(found, expected[rows, columns], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("advantage", ["grpo", "dr_grpo", "rloo"])
@pytest.mark.parametrize(("answers", "group_size"), [(4, 1), (7, 3), (4, 0), (2, 4)])
def test_what_is_no_group_is_not_compared(advantage, answers, group_size):
    """A standard deviation, and a mean of the others, of one answer would be NaN."""
    mask = torch.ones(answers, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=f"{answers} are no groups of {group_size}"):
        estimate(ObjectiveConfig(advantage=advantage), torch.ones(answers), torch.zeros(answers, 2), mask, group_size)
