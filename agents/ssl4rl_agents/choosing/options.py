"""Log-probabilities of offered answers, each written whole as the policy would write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_envs.answers import wrap

ROWS = 512
"""Most answers that are scored at a time."""


class Scored(NamedTuple):
    """What a policy thinks of the answers that n questions offer, at most k each; both on the CPU.

    Args:
        logprobs: (n, k) float32, natural logarithms; -inf where a question has fewer options.
        tokens: (n, k) int64, how many tokens each answer takes, its end included; 0 where a question has fewer options.
    """

    logprobs: Tensor
    tokens: Tensor


def option_logprobs(policy: Policy, observations: dict[str, Any], options: Sequence[Sequence[Any]]) -> Tensor:
    """Return the log-probability of each offered answer, (n, k) float32 on the CPU; see `score_options`."""
    return score_options(policy, observations, options).logprobs


@torch.no_grad()
def score_options(policy: Policy, observations: dict[str, Any], options: Sequence[Sequence[Any]]) -> Scored:
    """Score the answers that questions offer, each as a whole reply: its tags and its end included.

    The options of a question are one group of answers, so that its prompt and pictures run once.

    Args:
        policy: is asked. One that is constrained gives what its grammar forbids no chance.
        observations: n questions as an environment shows them, pictures (n, height, width, 3) by name and `prompt`, or as
            `policy.observe` gives them.
        options: of each question, at least one. A policy that writes words takes words (`Speech.choices`), which are put
            between the tags of its prompt style; one of the array interface takes answers of the action space.

    Raises:
        ValueError: questions and options are not equally many, a question offers nothing, or an answer is longer than the
            policy writes.
    """
    count = len(next(iter(observations.values())))
    if len(options) != count:
        raise ValueError(f"each of {count} questions needs its options, got options for {len(options)}")
    bare = [row for row, offered in enumerate(options) if not len(offered)]
    if bare:
        raise ValueError(f"question {bare[0]} of {count} offers nothing to choose from")
    most = max(map(len, options), default=0)
    device = next(policy.parameters()).device
    logprobs = torch.full((count, most), -torch.inf)
    tokens = torch.zeros((count, most), dtype=torch.int64)
    step = max(1, ROWS // max(most, 1))
    for start in range(0, count, step):
        rows = list(range(start, min(start + step, count)))
        offered = [options[row] for row in rows]
        group = max(map(len, offered))
        with autocast(policy, device):
            inputs = policy.encode(_rows(observations, rows))
            written, mask = policy.encode_answers(_whole(policy, offered, group))
            summed = policy.evaluate(inputs, written, mask).logprobs.sum(-1)
        real = torch.arange(group) < torch.tensor([len(each) for each in offered])[:, None]
        here = slice(start, start + len(rows)), slice(0, group)
        logprobs[here] = summed.float().cpu().view(-1, group).masked_fill(~real, -torch.inf)
        tokens[here] = mask.sum(-1).cpu().view(-1, group).masked_fill(~real, 0)
    return Scored(logprobs, tokens)


def _whole(policy: Policy, offered: Sequence[Sequence[Any]], group: int) -> Any:
    """Return `group` answers to each question, one after the other; where there are fewer, the first one fills up."""
    filled = [[*each, *[each[0]] * (group - len(each))] for each in offered]
    answers = [answer for each in filled for answer in each]
    if policy.interface != "text":
        return np.array(answers)
    style = getattr(policy, "prompt_style", "direct")
    return [wrap(str(answer), style) for answer in answers]


def _rows(observations: dict[str, Any], rows: list[int]) -> dict[str, Any]:
    return {
        name: values[rows] if hasattr(values, "shape") else [values[row] for row in rows]
        for name, values in observations.items()
    }
