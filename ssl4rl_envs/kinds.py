"""What tasks with several kinds of questions share: which are asked, and how often the words tell the answer."""

from __future__ import annotations

from collections.abc import Sequence

from ssl4rl_envs.arguments import did_you_mean

MOST_BIAS = 0.95

HABIT = "favoured"
"""Under this name batches remember which answer habit says."""


def some_of(
    name: str, value: str, known: Sequence[str], what: str = "kind", everything: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the names that an argument means, in the order of those there are: "all", or some joined by "+".

    Args:
        name: how to call the argument in an error.
        value: what was given.
        known: all names there are.
        what: these are names of.
        everything: what "all" means, if not all that are known.

    Raises:
        ValueError: a name is unknown, or given twice.
    """
    if value == "all":
        return tuple(known if everything is None else everything)
    names = value.split("+")
    for each in names:
        if each not in known:
            raise ValueError(
                f"unknown {what} {each!r}: {name} must be all, or of {', '.join(known)}, joined by '+', got {value!r}"
                f"{did_you_mean(each, known)}"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"{name} must name each {what} once, got {value!r}")
    return tuple(each for each in known if each in names)


def checked_bias(bias: float) -> float:
    """Return the share of questions whose right answer is the one of habit.

    Raises:
        ValueError: it is not in 0.5 to `MOST_BIAS`.
    """
    if not 0.5 <= bias <= MOST_BIAS:
        raise ValueError(f"bias must lie in 0.5 to {MOST_BIAS}, got {bias}")
    return float(bias)
