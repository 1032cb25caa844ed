"""Two models side by side: what both say of the very same held-out questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from ssl4rl_agents.choosing import Paired, paired
from ssl4rl_benchmarks.bench.rows import Row


class Sides(NamedTuple):
    """What two models made of the same questions.

    Args:
        task, change, seed: of the questions.
        models: two.
        both, first, second, neither: shares of questions that both, one alone, or neither of them answered right.
        difference: the first's share of right answers minus the second's, paired by question; units are items.
    """

    task: str
    change: str
    seed: int
    models: tuple[str, str]
    both: float
    first: float
    second: float
    neither: float
    difference: Paired


def sides_of(rows: Sequence[Row]) -> list[Sides]:
    """Compare all models that were asked the same questions.

    Raises:
        ValueError: two rows of one question are about different items, so that they cannot be compared.
    """
    alike: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        if row["status"] == "done":
            alike[row["task"], row["change"], row["seed"]].append(row)
    return [
        _compared(question, one, other)
        for question, found in alike.items()
        for one, other in combinations(found, 2)
        if one["model"] != other["model"]
    ]


def _compared(question: tuple[str, str, int], one: Row, other: Row) -> Sides:
    items = one["result"]["items"]
    if items != other["result"]["items"]:
        raise ValueError(
            f"{one['agent']} and {other['agent']} were not asked the same questions; do both by one call, of one "
            "--size and one --source"
        )
    a, b = (np.array([right == "1" for right in row["result"]["right"]]) for row in (one, other))
    both, first, second, neither = (float(np.mean(each)) for each in (a & b, a & ~b, ~a & b, ~a & ~b))
    difference = paired(a.astype(float) - b.astype(float), items)
    return Sides(*question, (one["model"], other["model"]), both, first, second, neither, difference)
