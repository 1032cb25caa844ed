"""Losses on numbers worked out by hand, and gradients that do not depend on how a minibatch is cut."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssl4rl_agents.algorithms.advantages import Advantages
from ssl4rl_agents.algorithms.surrogates import SURROGATES, PolicyLoss, cispo, gspo, log_ratio, ppo
from ssl4rl_agents.policies.policy import token_statistics
from ssl4rl_agents.ppo import losses
from ssl4rl_agents.ppo.credit import Credit
from ssl4rl_agents.ppo.losses import (
    approx_kl,
    importance_statistics,
    importance_weights,
    kl_estimate,
    value_loss,
)
from ssl4rl_agents.ppo.update import backward, minibatch_of
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import ObjectiveConfig
from tests.agents.rollouts import ONE, Summing, one_turn

BOUNDS = {"clip_low": 0.2, "clip_high": 0.28}


def surrogate_loss(objective: ObjectiveConfig, *tensors: Tensor) -> PolicyLoss:
    """The surrogate that the settings name."""
    found: PolicyLoss = SURROGATES[objective.surrogate](objective, *tensors)
    return found


def weights(mask: Tensor, aggregation: str, longest: int, processes: Processes = ONE) -> Tensor:
    """The weights of the tokens of a single turn."""
    (found,) = losses.weights([mask], aggregation, longest, processes)
    return found


def surrogate(ratio: float, advantage: float, dual: float | None = None) -> SimpleNamespace:
    """The loss of one token with this probability ratio, the gradient of its log-probability, and the flags."""
    logprobs = torch.tensor([[math.log(ratio)]], requires_grad=True)
    result = ppo(logprobs, torch.zeros(1, 1), torch.tensor([[advantage]]), torch.ones(1, 1), **BOUNDS, dual_clip=dual)
    result.loss.sum().backward()
    return SimpleNamespace(
        loss=result.loss.item(),
        gradient=logprobs.grad.item(),
        low=bool(result.clipped_low),
        high=bool(result.clipped_high),
        ratio=result.ratio.item(),
    )


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (1.0, 2.0, -2.0, -2.0),
        (1.2, 2.0, -2.4, -2.4),
        (1.5, 2.0, -2.56, 0.0),  # clipped at 1.28
        (0.5, 2.0, -1.0, -1.0),  # a good token that became unlikely is pulled back
        (0.9, -2.0, 1.8, 1.8),
        (0.5, -2.0, 1.6, 0.0),  # clipped at 0.8
        (1.5, -2.0, 3.0, 3.0),  # a bad token that became likely is pushed down without a bound
    ],
)
def test_clip_branches(ratio, advantage, loss, gradient):
    result = surrogate(ratio, advantage)
    assert result.loss == pytest.approx(loss, abs=1e-5)
    assert result.gradient == pytest.approx(gradient, abs=1e-5)
    assert result.ratio == pytest.approx(ratio, abs=1e-5)
    assert result.high == (ratio == 1.5 and advantage > 0)
    assert result.low == (ratio == 0.5 and advantage < 0)


def test_the_clip_range_is_asymmetric():
    assert surrogate(1.27, 1.0).gradient != 0
    assert surrogate(1.29, 1.0).gradient == 0
    assert surrogate(0.81, -1.0).gradient != 0
    assert surrogate(0.79, -1.0).gradient == 0


def test_dual_clip_bounds_the_loss_of_bad_tokens_alone():
    assert surrogate(5.0, -2.0).loss == pytest.approx(10.0)
    assert surrogate(5.0, -2.0, dual=3.0).loss == pytest.approx(6.0)
    assert surrogate(5.0, -2.0, dual=3.0).gradient == 0
    assert surrogate(2.0, -2.0, dual=3.0).loss == pytest.approx(4.0)
    assert surrogate(5.0, 2.0, dual=3.0).loss == pytest.approx(surrogate(5.0, 2.0).loss)


# Surrogates of whole answers, and of weights


def answers(seed: int, lengths: list[int], spread: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities with a gradient, old ones near them, 0 outside the mask, and the mask."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths) + 1) < torch.tensor(lengths)[:, None]
    logprobs = -2 * torch.rand(mask.shape, generator=generator) * mask
    old = (logprobs + spread * torch.randn(mask.shape, generator=generator)) * mask
    return logprobs.requires_grad_(), old, mask


def test_gspo_by_hand():
    """Log-ratios log 2 and 0 have the geometric mean sqrt 2; the token outside the mask has no say."""
    logprobs = torch.tensor([[math.log(0.5), -1.0, 5.0]], requires_grad=True)
    old = torch.tensor([[math.log(0.25), -1.0, 0.0]])
    mask = torch.tensor([[True, True, False]])
    free = gspo(logprobs, old, torch.full((1, 3), -2.0), mask, **BOUNDS)
    torch.testing.assert_close(free.ratio[mask], torch.full((2,), math.sqrt(2)))
    torch.testing.assert_close(free.loss[mask], torch.full((2,), 2 * math.sqrt(2)))
    assert not free.clipped_low.any()
    clipped = gspo(logprobs, old, torch.full((1, 3), 2.0), mask, **BOUNDS)
    torch.testing.assert_close(clipped.loss[mask], torch.full((2,), -2.56))
    assert bool(clipped.clipped_high[mask].all())
    clipped.loss[mask].sum().backward()
    assert not logprobs.grad.any(), "all tokens of an answer are clipped together, those too whose own ratio is 1"


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), low=st.floats(0.01, 0.5))
def test_gspo_has_the_value_and_the_gradient_of_the_papers_sequence_form(seed, lengths, low):
    logprobs, old, mask = answers(seed, lengths)
    advantage = torch.randn(len(lengths), generator=torch.Generator().manual_seed(seed + 1))
    result = gspo(logprobs, old, advantage[:, None] * mask, mask, clip_low=low, clip_high=0.1)
    ours = (result.loss * weights(mask, "sequence_mean", 8)).sum()
    (gradient,) = torch.autograd.grad(ours, logprobs)
    again = logprobs.detach().clone().requires_grad_()
    ratio = torch.exp(((again - old) * mask).sum(1) / mask.sum(1))
    theirs = -torch.minimum(ratio * advantage, ratio.clamp(1 - low, 1.1) * advantage).mean()
    (expected,) = torch.autograd.grad(theirs, again)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-4)


def test_gspo_gives_tokens_advantages_of_their_own():
    logprobs, old, mask = answers(0, [3, 2], spread=0.01)
    advantages = torch.randn(mask.shape, generator=torch.Generator().manual_seed(1)) * mask
    gspo(logprobs, old, advantages, mask, **BOUNDS).loss.sum().backward()
    ratio = torch.exp(((logprobs.detach() - old) * mask).sum(1) / mask.sum(1))
    torch.testing.assert_close(logprobs.grad, -advantages * ratio[:, None])


@pytest.mark.parametrize(
    ("ratio", "advantage", "weight"),
    [(1.0, 2.0, 1.0), (1.5, 2.0, 1.28), (1.5, -2.0, 1.28), (0.5, 2.0, 0.8), (0.5, -2.0, 0.8), (0.9, -1.0, 0.9)],
)
def test_cispo_bounds_the_weight_and_keeps_the_gradient(ratio, advantage, weight):
    """Where PPO's gradient would be 0 (1.5 with 2, 0.5 with -2) too."""
    logprobs = torch.tensor([[-0.7]], requires_grad=True)
    old = torch.tensor([[-0.7 - math.log(ratio)]])
    result = cispo(logprobs, old, torch.tensor([[advantage]]), torch.ones(1, 1), **BOUNDS)
    assert result.loss.item() == pytest.approx(weight * advantage * 0.7, abs=1e-5)
    result.loss.sum().backward()
    assert logprobs.grad.item() == pytest.approx(-weight * advantage, abs=1e-5)
    assert bool(result.clipped_high) == (ratio == 1.5)
    assert bool(result.clipped_low) == (ratio == 0.5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), high=st.floats(0, 2))
def test_the_gradient_of_cispo_is_weight_times_advantage_times_that_of_the_logprob(seed, high):
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(seed), requires_grad=True)
    tokens, advantages = torch.arange(5), torch.randn(5, generator=torch.Generator().manual_seed(seed + 1))
    logprobs = logits.log_softmax(-1)[torch.arange(5), tokens]
    old = logprobs.detach() + torch.linspace(-1, 1, 5)
    (gradient,) = torch.autograd.grad(
        cispo(logprobs[None], old[None], advantages[None], torch.ones(1, 5), clip_low=1.0, clip_high=high).loss.sum(),
        logits,
        retain_graph=True,
    )
    capped = torch.exp(logprobs.detach() - old).clamp(max=1 + high)
    (expected,) = torch.autograd.grad((-capped * advantages * logprobs).sum(), logits)
    torch.testing.assert_close(gradient, expected)


def test_all_surrogates_agree_on_the_policy_that_sampled():
    """At ratio 1 each has REINFORCE's gradient."""
    logprobs, _, mask = answers(0, [3, 1, 4])
    advantages = torch.randn(mask.shape, generator=torch.Generator().manual_seed(1)) * mask
    for surrogate in ("ppo", "gspo", "cispo"):
        objective = ObjectiveConfig(surrogate=surrogate)
        loss = surrogate_loss(objective, logprobs, logprobs.detach(), advantages, mask).loss
        torch.testing.assert_close(torch.autograd.grad(loss.sum(), logprobs)[0], -advantages, msg=surrogate)


def test_the_settings_choose_the_surrogate_and_its_bounds():
    logprobs, old, mask = answers(3, [4, 2])
    advantages = torch.ones(mask.shape) * mask
    results = {}
    for surrogate in ("ppo", "gspo", "cispo"):
        objective = ObjectiveConfig(surrogate=surrogate, clip_low=0.02, clip_high=0.01)
        results[surrogate] = surrogate_loss(objective, logprobs.detach(), old, advantages, mask).loss
    for name, function in (("ppo", ppo), ("gspo", gspo), ("cispo", cispo)):
        by_hand = function(logprobs, old, advantages, mask, clip_low=0.02, clip_high=0.01)
        torch.testing.assert_close(results[name], by_hand.loss)
    assert len({float(loss.sum()) for loss in results.values()}) == 3


@pytest.mark.parametrize("surrogate", ["ppo", "gspo"])
def test_the_settings_bound_the_loss_of_bad_tokens(surrogate):
    """All tokens are e**3 times as likely as before and all bad: the loss of each is the dual bound."""
    logprobs, _, mask = answers(3, [4, 2])
    objective = ObjectiveConfig(surrogate=surrogate, dual_clip=3.0)
    loss = surrogate_loss(objective, logprobs, logprobs - 3.0 * mask, -1.0 * mask, mask).loss
    torch.testing.assert_close(loss[mask], torch.full((6,), 3.0))


# Another engine's samples


def test_importance_weights_by_hand():
    old, sampler = torch.tensor([[0.5, 0.2, 0.8]]).log().requires_grad_(), torch.tensor([[0.5, 0.4, 0.1]]).log()
    found = importance_weights(old, sampler, 2.0)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.5, 2.0]]))
    assert not found.requires_grad


def test_importance_statistics_tell_what_the_cap_hides():
    old, sampler = torch.tensor([0.5, 0.2, 0.8, 0.6]).log(), torch.tensor([0.5, 0.4, 0.1, 0.4]).log()
    found = importance_statistics(old, sampler, 2.0)
    expected = {"importance/mean": 11 / 4, "importance/max": 8.0, "importance/truncated": 1 / 4}
    assert found == pytest.approx(expected, rel=1e-5)


def test_value_loss_by_hand():
    values, old, returns = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]]), torch.tensor([[0.0, 0.0]])
    torch.testing.assert_close(value_loss(values, old, returns), torch.tensor([[0.5, 0.0]]))
    # clipped to 0.6 and 0.4: the larger error counts
    torch.testing.assert_close(value_loss(values, old, returns, clip=0.1), torch.tensor([[0.5, 0.08]]))


def test_divergence_estimates_by_hand():
    new, reference = torch.tensor([[math.log(0.5)]]), torch.tensor([[math.log(0.25)]])
    assert kl_estimate(new, reference, "k1").item() == pytest.approx(math.log(2))
    assert kl_estimate(new, reference, "k2").item() == pytest.approx(math.log(2) ** 2 / 2)
    assert kl_estimate(new, reference, "k3").item() == pytest.approx(0.5 - 1 + math.log(2))
    with pytest.raises(ValueError, match="k1, k2 or k3"):
        kl_estimate(new, reference, "k4")


POLICY = torch.tensor([0.5, 0.3, 0.15, 0.05])
REFERENCE = torch.tensor([0.4, 0.2, 0.3, 0.1])
TRUE_KL = float((POLICY * (POLICY / REFERENCE).log()).sum())


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_estimates_are_unbiased(estimator):
    drawn = torch.multinomial(POLICY, 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    estimates = kl_estimate(POLICY.log()[drawn], REFERENCE.log()[drawn], estimator)
    error = float(estimates.std()) / math.sqrt(len(drawn))
    assert abs(float(estimates.mean()) - TRUE_KL) < 4 * error
    assert estimator == "k1" or float(estimates.min()) >= 0


def test_k3_has_less_variance_than_k1():
    k1, k3 = (kl_estimate(POLICY.log(), REFERENCE.log(), kind) for kind in ("k1", "k3"))
    assert float((POLICY * k3**2).sum()) < float((POLICY * k1**2).sum())


def gradient_of(kind: str) -> Tensor:
    """The expected gradient with respect to the logits of an estimate as a loss, samples being the policy's own."""
    logits = POLICY.log().clone().requires_grad_()
    logprobs = logits.log_softmax(-1)
    (POLICY * kl_estimate(logprobs, REFERENCE.log(), kind)).sum().backward()
    return logits.grad


def test_k2_has_the_gradient_of_the_divergence_and_k3_has_not():
    logits = POLICY.log().clone().requires_grad_()
    logprobs = logits.log_softmax(-1)
    (logprobs.exp() * (logprobs - REFERENCE.log())).sum().backward()
    torch.testing.assert_close(gradient_of("k2"), logits.grad)
    assert not torch.allclose(gradient_of("k3"), logits.grad, atol=1e-3)
    torch.testing.assert_close(gradient_of("k3"), POLICY - REFERENCE)  # of KL(reference || policy)


def test_approx_kl_is_positive_and_unbiased():
    old, new = POLICY, REFERENCE
    by_token = approx_kl(new.log(), old.log())
    assert float(by_token.min()) >= 0
    assert float((old * by_token).sum()) == pytest.approx(TRUE_KL, abs=1e-6)
    assert approx_kl(old.log(), old.log()).tolist() == [0.0] * 4


def test_log_ratios_are_clamped():
    ratio = log_ratio(torch.tensor([-1e4, 0.0, 500.0]), torch.tensor([0.0, -0.5, -500.0]))
    assert ratio.tolist() == [-20.0, 0.5, 20.0]
    assert torch.isfinite(approx_kl(torch.tensor([1e4]), torch.tensor([-1e4]))).all()


def test_token_statistics_by_hand():
    logits = torch.tensor([[math.log(1.0), math.log(3.0)], [0.0, torch.finfo(torch.float32).min]])
    logprobs, entropies = token_statistics(logits, torch.tensor([1, 0]))
    torch.testing.assert_close(logprobs, torch.tensor([math.log(0.75), 0.0]))
    torch.testing.assert_close(entropies, torch.tensor([-0.25 * math.log(0.25) - 0.75 * math.log(0.75), 0.0]))


# Aggregation

MASK = torch.tensor([[True, True, True, True], [True, False, False, False]])


def test_weights_by_hand():
    expected = {"token_mean": (0.2, 0.2), "sequence_mean": (0.125, 0.5), "sequence_sum": (1 / 16, 1 / 16)}
    for aggregation, (long, short) in expected.items():
        by_hand = torch.tensor([[long] * 4, [short, 0, 0, 0]])
        torch.testing.assert_close(weights(MASK, aggregation, 8), by_hand)


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean"])
def test_weights_of_means_sum_to_one(aggregation):
    assert float(weights(MASK, aggregation, 8).sum()) == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=2, max_size=8).filter(lambda them: len(them) % 2 == 0),
    aggregation=st.sampled_from(["token_mean", "sequence_mean", "sequence_sum"]),
)
def test_weights_in_two_processes_are_those_of_the_joint_minibatch(lengths, aggregation):
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    parts = mask.chunk(2)
    added: list[Tensor] = []
    for part in parts:
        weights(part, aggregation, 6, Summing(lambda value: added.append(value) or value))
    assert len(added) == 2, "one sum over the processes each"
    shared = [weights(part, aggregation, 6, Summing(lambda _: added[0] + added[1])) for part in parts]
    torch.testing.assert_close(torch.cat(shared), weights(mask, aggregation, 6))


def test_weights_of_sums_do_not_depend_on_the_lengths():
    longer = torch.ones_like(MASK)
    short, long = weights(MASK, "sequence_sum", 8), weights(longer, "sequence_sum", 8)
    assert torch.equal(short[MASK], long[MASK])


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "sequence_sum"])
@pytest.mark.parametrize("kl_loss", ["none", "k2"])
def test_gradients_do_not_depend_on_the_micro_batch(kind, aggregation, kl_loss, make_policy, make_questions):
    """Cutting a minibatch of mixed lengths changes memory, not the update."""
    policy = make_policy(kind, ends=60)
    prompts = ("Angle?", "By how many degrees was this picture turned?", "90 or 0?", "Angle 12?")
    inputs = policy.encode(make_questions(prompts))
    group = 2
    samples = policy.generate(inputs, group, generator=torch.Generator().manual_seed(0))
    assert len(set(samples.mask.sum(1).tolist())) > 2
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(samples.tokens.shape, generator=generator) * samples.mask for _ in range(4)]
    samples.logprobs = samples.logprobs + 0.3 * noise[0]
    rollout = one_turn(inputs, samples, torch.zeros(8), group)
    objective = ObjectiveConfig(aggregation=aggregation, kl_loss=kl_loss, kl_coefficient=0.1, entropy_coefficient=0.01)
    reference = samples.logprobs + 0.2 * noise[1]
    order = torch.tensor([2, 0, 3, 1])
    credit = Credit([Advantages(noise[2], noise[3])], [reference])
    (batch,) = minibatch_of(rollout, credit, order, objective, policy.max_new_tokens, ONE)

    def gradients(prompts_each: int) -> tuple[dict[str, float], Tensor]:
        policy.zero_grad()
        sums: dict[str, float] = {}
        for part in batch.split(prompts_each):
            for name, value in backward(policy, part, objective)[0].items():
                sums[name] = sums.get(name, 0.0) + float(value)
        return sums, torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])

    logged, whole = gradients(4)
    assert {"loss/policy", "loss/value", "entropy", "approx_kl", "clipped_low", "clipped_high"} <= set(logged)
    for size in (1, 2, 3):
        sums, gradient = gradients(size)
        assert float((gradient - whole).norm() / whole.norm()) < 1e-5  # means of micro-batches would be 0.09 off
        assert sums == pytest.approx(logged, abs=1e-5)
