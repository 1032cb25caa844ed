"""Measurements of stored replies in words: both grammars side by side, and all that did not count."""

from __future__ import annotations

import json

from ssl4rl_agents.replies import Measurement
from ssl4rl_agents.replies.measurement import Side


def told(result: Measurement) -> str:
    """Return a measurement as lines for people."""
    head = (
        f"{result.model} on {result.env}, {result.split}: {counted(result.questions, 'question')} about "
        f"{counted(result.items, 'item')}, {counted(result.replies, 'reply', 'replies')}; chance {result.chance:.3f}"
    )
    sides = [f"  {name:8}{_side(side)}" for name, side in (("strict", result.strict), ("lenient", result.lenient)) if side]
    return "\n".join([head, *sides, *(f"  {line}" for line in caveats(result)), *(f"  {line}" for line in spent(result))])


def caveats(result: Measurement) -> list[str]:
    """Return what a reader must know of a measurement beside its numbers."""
    found = []
    if result.errors:
        how = "counted as wrong" if result.errors_as == "wrong" else "not measured (--errors-as wrong counts as wrong)"
        found.append(f"{counted(result.errors, 'reply', 'replies')} did not come: {how}")
    if result.truncated:
        found.append(f"{counted(result.truncated, 'reply', 'replies')} cut off at the longest length")
    if result.unchecked:
        found.append(
            f"of {counted(result.unchecked, 'reply', 'replies')} it is not known whether the question is still the same"
        )
    if result.strict and result.strict.readable < 0.05:
        found.append("nearly no reply can be read by the strict grammar")
    return found


def spent(result: Measurement) -> list[str]:
    """Return what replies took: tokens, what they cost, time."""
    found = []
    tokens = result.tokens
    if any(tokens.values()):
        cost = f", cost {result.cost:.4g}" if result.cost else ""
        unknown = f", without the {counted(result.uncounted, 'reply', 'replies')} whose tokens nobody counted" * bool(
            result.uncounted
        )
        found.append(f"{tokens['prompt_tokens']:,} tokens read, {tokens['completion_tokens']:,} written{cost}{unknown}")
    elif result.uncounted:
        found.append("tokens were not counted")
    if result.seconds is not None:
        found.append(f"{result.seconds:.2f} s a reply (median)")
    return found


def sampling(result: Measurement) -> str:
    """Return how a model was sampled, in words."""
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in result.settings.items()).replace('"', "")


def _side(side: Side) -> str:
    low, high = side.interval
    normalised = "" if side.normalised is None else f", normalised {side.normalised:.3f}"
    several = [f"pass@{k} {value:.3f}" for k, value in side.pass_at.items() if k > 1]
    return (
        f"success {side.success:.3f} (95 % interval {low:.3f} to {high:.3f}), reward {side.reward:.3f}{normalised}, "
        f"{side.readable:.1%} of the replies readable{''.join(f', {each}' for each in several)}"
    )


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number with what it counts, "1 row" or "2 rows"."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
