"""Answers by choice: log-probabilities of options, what is made of them, and pictures that say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_agents.choosing import (
    altered,
    calibrated,
    chosen,
    log_odds,
    option_logprobs,
    per_token,
    picture_gain,
    score_options,
)
from ssl4rl_agents.choosing import options as options_module
from ssl4rl_agents.choosing.altering import HOW, deranged, shuffled
from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.interface import Interface

OPTIONS = [("0", "90", "180"), ("yes", "no"), ("left",)]


@pytest.mark.parametrize("style", ["direct", "think"])
def test_options_are_scored_as_whole_replies_each_behind_its_own_prompt(kind, style, make_policy, padded):
    """Beside each reply scored alone, tags and end included; other options and other questions change nothing."""
    policy = make_policy(kind, max_new_tokens=64, prompt_style=style)
    found = score_options(policy, padded, OPTIONS)
    assert found.logprobs.shape == found.tokens.shape == (3, 3)
    for row, offered in enumerate(OPTIONS):
        alone = {"image": padded["image"][row : row + 1], "prompt": padded["prompt"][row : row + 1]}
        for column, option in enumerate(offered):
            tokens, mask = policy.encode_answers([wrap(option, style)])
            with torch.no_grad():
                expected = float(policy.evaluate(policy.encode(alone), tokens, mask).logprobs.sum())
            assert float(found.logprobs[row, column]) == pytest.approx(expected, rel=1e-4)
            assert int(found.tokens[row, column]) == int(mask.sum())
            assert policy.is_end(tokens[0, -1])
        assert torch.isneginf(found.logprobs[row, len(offered) :]).all()
        assert (found.tokens[row, len(offered) :] == 0).all()
    assert not found.logprobs.requires_grad
    assert torch.equal(option_logprobs(policy, padded, OPTIONS), found.logprobs)


def test_parts_give_what_the_whole_gives(make_policy, padded, monkeypatch):
    policy = make_policy("nano", max_new_tokens=32)
    whole = option_logprobs(policy, padded, OPTIONS)
    monkeypatch.setattr(options_module, "ROWS", 3)  # one question at a time
    torch.testing.assert_close(option_logprobs(policy, padded, OPTIONS), whole, rtol=1e-4, atol=1e-4)


def test_graph_networks_choose_among_answers():
    """All answers are offered, so their probabilities sum to 1; an answer of several values is one option."""
    task = make_task("SSL4RL/EdgePrediction-v0", source="sbm")
    policy = build_policy(PolicyConfig(model="gcn", gnn_hidden=8), task, 0, torch.device("cpu"))
    batch = task.sample(Stream.span("test", 0, 0, 6))
    shown = policy.observe(Interface(task, "array", "direct"), batch)
    found = score_options(policy, shown, [(0, 1)] * 6)
    assert found.logprobs.exp().sum(1).tolist() == pytest.approx([1.0] * 6)
    assert found.tokens.tolist() == [[1, 1]] * 6
    with pytest.raises(ValueError, match="one lies outside"):
        score_options(policy, shown, [(0, 7)] * 6)


@pytest.mark.parametrize("how", HOW)
def test_graphs_are_altered_too(how):
    task = make_task("SSL4RL/NodeAttribute-v0", source="sbm")
    policy = build_policy(PolicyConfig(model="gin", gnn_hidden=8), task, 0, torch.device("cpu"))
    shown = Interface(task, "array", "direct").observe(task.sample(Stream.span("test", 0, 0, 8)))
    other = altered(shown, how, np.random.default_rng(0))
    assert all(other[name].shape == values.shape for name, values in shown.items())
    if how == "noise":
        for row, real in enumerate(shown["edge_mask"].astype(bool)):
            ends = [np.sort(graphs["edge_index"][row, :, real], axis=0) for graphs in (shown, other)]
            assert np.array_equal(*ends), "all nodes keep their degrees"
    options = [tuple(range(int(task.action_space.n)))] * 8
    before, after = (option_logprobs(policy, observations, options) for observations in (shown, other))
    assert not torch.allclose(before, after)
    assert torch.isfinite(after).all()


def test_questions_without_options_are_refused(make_policy, padded):
    policy = make_policy("nano")
    with pytest.raises(ValueError, match="question 1 of 3 offers nothing"):
        option_logprobs(policy, padded, [("0",), (), ("1",)])
    with pytest.raises(ValueError, match="each of 3 questions needs its options, got options for 2"):
        option_logprobs(policy, padded, [("0",), ("1",)])
    with pytest.raises(ValueError, match="does not fit max_new_tokens=8"):
        option_logprobs(policy, padded, [("a word that takes many tokens",)] * 3)


# Measures, by hand.

SHOWN = np.log([[0.5, 0.25, 0.25], [0.2, 0.8, 0.0]], where=[[True] * 3, [True, True, False]], out=np.full((2, 3), -np.inf))
BLANK = np.log([[0.8, 0.1, 0.1], [0.5, 0.5, 0.0]], where=[[True] * 3, [True, True, False]], out=np.full((2, 3), -np.inf))


def test_the_likeliest_is_chosen_also_by_token_and_without_what_words_give():
    assert chosen(SHOWN).tolist() == [0, 1]
    assert chosen(per_token(SHOWN, [[1, 4, 1], [2, 1, 0]])).tolist() == [1, 1]  # log(1/4)/4 > log(1/2)
    without = calibrated(SHOWN, BLANK)
    assert np.exp(without[0]) == pytest.approx([0.5 / 0.8, 2.5, 2.5])
    assert chosen(without).tolist() == [1, 1]
    assert without[1, 2] == -np.inf
    assert chosen(torch.tensor(SHOWN)).tolist() == [0, 1], "tensors are taken as they are"


def test_picture_gain_is_the_difference_of_log_odds():
    assert log_odds(SHOWN, [0, 1]) == pytest.approx([0.0, math.log(4)])
    assert picture_gain(SHOWN, BLANK, [0, 1]) == pytest.approx([0 - math.log(4), math.log(4)])


@given(st.lists(st.floats(-20, 0), min_size=2, max_size=6), st.data())
def test_a_picture_that_changes_nothing_gains_nothing(logprobs, data):
    values, truth = np.array([logprobs]), [data.draw(st.integers(0, len(logprobs) - 1))]
    assert picture_gain(values, values, truth) == pytest.approx([0.0])
    assert picture_gain(values, values - 3.0, truth) == pytest.approx([0.0], abs=1e-9), "all replies less likely is no gain"


# Pictures that say nothing.


def two_pictures(count: int = 5) -> dict:
    pictures = np.random.default_rng(0).integers(0, 256, (2, count, 4, 6, 3), dtype=np.uint8)
    return {"first": pictures[0], "second": pictures[1], "prompt": tuple(f"Question {n}?" for n in range(count))}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind_of_array", ["numpy", "torch"])
def test_altered_pictures_keep_their_kind_and_words_stay(how, kind_of_array):
    shown = two_pictures()
    given_ = {
        name: torch.from_numpy(v.copy()) if name != "prompt" and kind_of_array == "torch" else v for name, v in shown.items()
    }
    other = altered(given_, how, np.random.default_rng(1))
    assert list(other) == list(shown)
    assert other["prompt"] == shown["prompt"]
    for name in ("first", "second"):
        assert type(other[name]) is type(given_[name])
        assert other[name].dtype == given_[name].dtype
        assert other[name].shape == shown[name].shape
        assert np.array_equal(np.asarray(given_[name]), shown[name]), "what was given stays"
        assert not (np.asarray(other[name]) == shown[name]).all(axis=(1, 2, 3)).any()


def test_what_alters_what():
    shown, rng = two_pictures(), np.random.default_rng(2)
    assert (altered(shown, "blank", rng, grey=90)["first"] == 90).all()
    swapped = altered(shown, "swapped", rng)
    origin = [next(m for m in range(5) if np.array_equal(swapped["first"][n], shown["first"][m])) for n in range(5)]
    assert np.array_equal(swapped["second"], shown["second"][origin]), "pictures of a question stay together"
    noise = altered(shown, "noise", rng)["first"]
    for before, after in zip(shown["first"], noise, strict=True):
        assert sorted(map(tuple, before.reshape(-1, 3).tolist())) == sorted(map(tuple, after.reshape(-1, 3).tolist()))
    with pytest.raises(ValueError, match="blank, swapped, noise; got 'gray'"):
        altered(shown, "gray", rng)
    with pytest.raises(ValueError, match="neither a picture nor a graph"):
        altered({"prompt": ("Why?",)}, "blank", rng)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(0, 99))
def test_nothing_is_swapped_with_its_own(groups, seed):
    most = max(map(groups.count, groups))
    if 2 * most > len(groups):
        with pytest.raises(ValueError, match=f"{most} of {len(groups)} questions are about the same"):
            deranged(groups, np.random.default_rng(seed))
        return
    order = deranged(groups, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(groups)))
    assert all(groups[there] != groups[here] for here, there in enumerate(order))


def test_noise_differs_from_picture_to_picture():
    same = np.repeat(np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3), 2, axis=0)
    first, second = shuffled(same, np.random.default_rng(0))
    assert not np.array_equal(first, second)
