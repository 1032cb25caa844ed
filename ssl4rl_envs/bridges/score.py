"""Replies scored from the keys of their questions alone, as the environment itself would score them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs import tool_calls
from ssl4rl_envs.bridges.questions import text_of
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.stream import Stream, as_words
from ssl4rl_envs.taken import Taken
from ssl4rl_envs.task import Batch

QUESTIONS = 256
"""Questions that are made at a time."""

REPLIES = 1024
"""Replies that are scored at a time."""

Reply = str | Mapping[str, Any]


class Scored(TypedDict):
    """What a reply is worth.

    Attributes:
        reward: in [0, 1], as `step` pays it.
        success: whether the answer is right.
        valid: whether the reply is one answer.
        parsed: the answer as it was understood, in words; None where there is none.
        truth: the right answer in words.
    """

    reward: float
    success: bool
    valid: bool
    parsed: str | None
    truth: str


def score(
    env_id: str,
    replies: Reply | Sequence[Reply],
    *,
    split: str = "train",
    seed: int = 0,
    index: int | Sequence[int] | NDArray[np.integer],
    prompt_style: str = "direct",
    grammar: str = "strict",
    **task_args: Any,
) -> list[Scored]:
    """Score replies to questions that are made again from (env_id, task_args, split, seed, index).

    Every question is made once, however many replies there are to it. Replies to questions of several environments, splits or
    seeds take a call each.

    Args:
        env_id: e.g. "SSL4RL/Rotation-v0", or in short, "Rotation".
        replies: one, or n. In the style "tool" a reply may be a mapping: the arguments of a call, a call as OpenAI's clients
            give it, or a message that makes one.
        split: "train", "validation" or "test".
        seed: of the stream of questions, from 0.
        index: number of the question, one for all replies or one each.
        prompt_style: how was asked: "direct", "think" or "tool".
        grammar: how replies are read: "strict" or "lenient".
        task_args: of its task, as the questions were made with; of a row ``**json.loads(row["args"])``.

    Returns:
        n dicts, see `Scored`.

    Raises:
        TypeError: a reply is no text, or an argument is unknown to the task.
        ValueError: there is no such environment, there are not as many indices as replies, the task has no text interface or
            takes several decisions (`PatchSwap`), or an argument is out of its range.
    """
    text = text_of(env_id, task_args, prompt_style, grammar)
    texts = _texts(replies, prompt_style)
    indices = _indices(index, len(texts))
    asked, question = np.unique(indices, return_inverse=True)
    order = np.argsort(question, kind="stable")
    scored: dict[int, Scored] = {}
    for start in range(0, len(asked), QUESTIONS):
        numbers = asked[start : start + QUESTIONS]
        batch = text.task.compact(Stream(split, np.full(len(numbers), as_words([seed], "seed")[0]), numbers))
        truths = text.task.truths(batch)
        first, end = np.searchsorted(question[order], [start, start + QUESTIONS]).tolist()
        for begin in range(first, end, REPLIES):
            rows = order[begin : min(begin + REPLIES, end)]
            scored.update(zip(rows.tolist(), _scored(text, batch, truths, question[rows] - start, texts, rows), strict=True))
    if not len(asked):
        Stream.span(split, seed, 0, 0)  # a wrong split or seed is an error without replies too
    return [scored[row] for row in range(len(texts))]


def _scored(
    text: Interface, batch: Batch, truths: list[str | None], of: NDArray[np.int64], texts: list[str], rows: NDArray[np.int64]
) -> list[Scored]:
    """Score the replies `rows` of `texts` to the questions `of` a batch, as a step of the environment would."""
    shown = cast("dict[str, NDArray[Any]]", Taken(batch.observation, of))  # most scores need the target alone
    asked = Batch(shown, batch.target[of], batch.items[of], {name: values[of] for name, values in batch.memory.items()})
    transition = text.step(asked, [texts[row] for row in rows])
    each = zip(
        transition.step.score.reward.tolist(),
        transition.step.score.success.tolist(),
        transition.answered.tolist(),
        transition.written,
        of.tolist(),
        strict=True,
    )
    return [
        {"reward": reward, "success": success, "valid": valid, "parsed": parsed, "truth": truths[row] or ""}
        for reward, success, valid, parsed, row in each
    ]


def _texts(replies: Reply | Sequence[Reply], prompt_style: str) -> list[str]:
    if not isinstance(replies, (str, Mapping)) and (isinstance(replies, bytes) or not isinstance(replies, Iterable)):
        raise TypeError(f"replies are a str, or a sequence of them, got {type(replies).__name__}")
    each = [replies] if isinstance(replies, (str, Mapping)) else list(replies)
    texts = [tool_calls.written(reply) if prompt_style == "tool" and isinstance(reply, Mapping) else reply for reply in each]
    for row, said in enumerate(texts):
        if not isinstance(said, str):
            raise TypeError(f"a reply must be a str, or in the style 'tool' a call, got {type(said).__name__} as reply {row}")
    return [said for said in texts if isinstance(said, str)]


def _indices(index: int | Sequence[int] | NDArray[np.integer], count: int) -> NDArray[np.uint64]:
    indices = as_words(index, "index")
    if np.ndim(index) == 0:
        return np.repeat(indices, count)
    if len(indices) != count:
        raise ValueError(f"need one index for all replies or one each: {count} replies, {len(indices)} indices")
    return indices
