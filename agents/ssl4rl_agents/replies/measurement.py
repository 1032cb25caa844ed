"""What replies are worth as numbers: rates with intervals, pass@k, tokens and what they cost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from ssl4rl_agents.evaluation import clustered_interval


@dataclass(frozen=True)
class Prices:
    """What tokens cost, per million of them.

    Args:
        prompt, completion: of what is read and of what is written, in any currency.
    """

    prompt: float = 0.0
    completion: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.prompt < np.inf and 0 <= self.completion < np.inf):
            raise ValueError(f"prices must be from 0, got {self.prompt} and {self.completion} per million tokens")

    def of(self, prompt: int, completion: int) -> float:
        """Return what tokens cost together."""
        return (self.prompt * prompt + self.completion * completion) / 1e6


@dataclass(frozen=True)
class Side:
    """What replies are worth by one grammar.

    Args:
        success, reward: means over the replies that count.
        interval: 95 % interval of `success`, see `success_interval`.
        normalised: (reward - chance) / (oracle - chance); None where nothing lies between these.
        readable: the share of replies that are answers.
        pass_at: by k, the mean of `pass_at_k` over the questions that have k replies which count.
        by_item: the mean success of each source item, to compare two who were asked the same.
    """

    success: float
    interval: tuple[float, float]
    reward: float
    normalised: float | None
    readable: float
    pass_at: dict[int, float]
    by_item: dict[int, float]


@dataclass(frozen=True)
class Measurement:
    """What one who replies reached in one environment.

    Args:
        env, args, split, prompt_style, model, kind, settings: of the rows, which share them.
        asked: different questions that were asked.
        questions: of which count.
        replies: replies that count.
        errors: rows without a reply.
        items: different source items of the questions that count.
        errors_as: "missing": rows without a reply do not count; "wrong": they count as wrong.
        chance: expected reward of the best policy that ignores the observation.
        oracle: mean reward of the right answers.
        truncated: replies that were cut off at the longest length; the strict grammar reads none of them as an answer.
        unchecked: replies of which nobody noted what was shown.
        tokens: read and written, as far as the endpoint counted them.
        uncounted: replies of models of which it did not.
        cost: of the tokens that were counted.
        seconds: median from a request to its reply, where it is known.
        strict, lenient: what the replies are worth; None where none counts.
        which: digest of the questions that were asked; two measurements with one digest are of the same.
    """

    env: str
    args: str
    split: str
    prompt_style: str
    model: str
    kind: str
    settings: dict[str, Any]
    asked: int
    questions: int
    replies: int
    errors: int
    items: int
    errors_as: str
    chance: float
    oracle: float
    truncated: int
    unchecked: int
    tokens: dict[str, int]
    uncounted: int
    cost: float
    seconds: float | None
    strict: Side | None
    lenient: Side | None
    which: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without what it is worth by source item."""
        plain = asdict(self)
        for side in (plain["strict"], plain["lenient"]):
            if side is not None:
                del side["by_item"]
        return plain


def success_interval(success: NDArray[Any], items: NDArray[np.int64]) -> tuple[float, float]:
    """Return the 95 % interval of a rate, by resampling source items.

    Where all are right, or none, no resample differs; then the interval is the exact one for as many independent trials as
    there are items (Clopper & Pearson 1934). One item alone says nothing: 0 to 1.

    Args:
        success: (n,) in [0, 1], or bools.
        items: (n,) which source item each is about.
    """
    count = len(np.unique(items))
    if count < 2:
        return 0.0, 1.0
    if (success == success[0]).all() and success[0] in (0, 1):
        edge = 0.025 ** (1 / count)
        return (edge, 1.0) if success[0] else (0.0, 1 - edge)
    return clustered_interval(success, items)


def compare(first: Side, second: Side) -> int:
    """Compare two who were asked the same questions, source item by source item.

    Returns:
        1 where the first is better, -1 where the second is, and 0 where it may be luck: by a two-sided sign test at 5 % over
        the items of which they got unequal shares right (Dixon & Mood 1946). With one reply to one question of each item it
        is McNemar's exact test.

    Raises:
        ValueError: they were not asked about the same items.
    """
    if first.by_item.keys() != second.by_item.keys():
        raise ValueError("only replies to the same questions are compared item by item")
    differences = np.array([value - second.by_item[item] for item, value in first.by_item.items()])
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    if better + worse == 0 or binomtest(better, better + worse).pvalue >= 0.05:
        return 0
    return int(np.sign(better - worse))


def pass_at_k(replies: int, right: int, k: int) -> float:
    """Return the chance that one of k replies is right, estimated without bias from `replies` of which `right` were.

    It is 1 - C(replies - right, k) / C(replies, k) (Chen et al. 2021, "Evaluating Large Language Models Trained on Code").

    Raises:
        ValueError: there are fewer than k replies.
    """
    if not 1 <= k <= replies:
        raise ValueError(f"k must be from 1 to the number of replies, {replies}, got {k}")
    if replies - right < k:
        return 1.0
    return float(1 - np.prod(1 - k / np.arange(replies - right + 1, replies + 1)))


def mean_pass_at(success: NDArray[np.bool_], questions: list[tuple[int, int]]) -> dict[int, float]:
    """Return the mean of `pass_at_k` for k = 1, 2, 4, ..., as long as every question has k replies.

    Args:
        success: (n,) whether each reply is right.
        questions: n, the seed and index of the question of each.
    """
    replies: dict[tuple[int, int], list[bool]] = defaultdict(list)
    for question, right in zip(questions, success.tolist(), strict=True):
        replies[question].append(right)
    fewest = min(map(len, replies.values()))
    steps = [1 << power for power in range(fewest.bit_length())]
    return {k: float(np.mean([pass_at_k(len(each), sum(each), k) for each in replies.values()])) for k in steps}
