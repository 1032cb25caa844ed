"""Conversations with the cache kept are what the same tokens are as one prompt, in sampling and in the update."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ssl4rl_agents.policies.vlm import VLMPolicy
from tests.agents.conversing import TALKERS, Played, play, talker
from tests.agents.test_families import close, gradients, same


@pytest.fixture(params=TALKERS)
def talking(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def scored_apart(policy: VLMPolicy, played: Played) -> list[Any]:
    """What the policy says of the replies of each turn behind what was said before as one prompt."""
    return [
        policy.evaluate(played.joined(policy, turn), samples.tokens, samples.mask)
        for turn, samples in enumerate(played.samples)
    ]


def beside(played: Played, apart: list[Any], name: str) -> Tensor:
    """The same, in the columns of their turns."""
    whole = torch.zeros(played.beside.tokens.shape)
    for columns, rows, scored in zip(played.inputs.columns, played.rows, apart, strict=True):
        part = whole[:, columns].index_put((rows,), getattr(scored, name))
        whole = torch.cat([whole[:, : columns.start], part, whole[:, columns.stop :]], dim=1)
    return whole


def test_a_talk_says_what_its_tokens_as_one_prompt_say(talking):
    policy = talker(talking)
    played = play(policy)
    assert [len(rows) for rows in played.rows] == [6, 5, 3]
    lengths = torch.cat([samples.mask.sum(1) for samples in played.samples])
    assert len(set(lengths.tolist())) > 1
    with torch.no_grad():
        for samples, scored in zip(played.samples, scored_apart(policy, played), strict=True):
            close(samples.logprobs, scored.logprobs, 1e-5)
            close(samples.values, scored.values, 1e-5)


def test_one_pass_says_what_a_pass_a_turn_says(talking):
    policy = talker(talking)
    played = play(policy)
    samples = played.beside
    now = policy.evaluate(played.inputs, samples.tokens, samples.mask)
    close(now.logprobs, samples.logprobs, 1e-5)
    close(now.values, samples.values, 1e-5)
    found = gradients(policy, tuple(now))
    apart = scored_apart(policy, played)
    expected = tuple(beside(played, apart, name) for name in now._fields)
    close(now.entropies, expected[1])
    same(found, gradients(policy, expected))
