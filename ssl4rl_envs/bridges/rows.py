"""Questions as rows of plain data, as Hugging Face's datasets, TRL and verl read them.

from datasets import Dataset
from ssl4rl_envs.bridges.rows import rows

data = Dataset.from_list(list(rows("SSL4RL/Rotation-v0", {"source": "photos"}, count=1000)))
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from ssl4rl_envs.interface import Interface
from ssl4rl_envs.registration import make_task, task_class, with_plain_source
from ssl4rl_envs.stream import Stream

CHUNK = 64
"""Questions that are made at a time."""


def rows(
    env_id: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    count: int,
    split: str = "train",
    seed: int = 0,
    first: int = 0,
    prompt_style: str = "direct",
) -> Iterator[dict[str, Any]]:
    """Give the questions `first` ... `first + count - 1` that an environment's text interface asks of one seed.

    A row holds `prompt` (a list of one message, of the user), `images` (Pillow's pictures in the order of showing; none of a
    graph), `answer` (the right one in words, without tags), and where the question is from: `env`, `arguments` (JSON),
    `split`, `seed`, `index`. From these the question is made again and a reply is scored, exactly as the environment does:

        task = make_task(row["env"], **json.loads(row["arguments"]))
        batch = task.sample(Stream.span(row["split"], row["seed"], row["index"], 1))
        reward = task.score_texts([reply], batch, prompt_style).reward[0]

    Args:
        env_id: e.g. "SSL4RL/Rotation-v0".
        arguments: of its task, `level` among them.
        count: how many questions.
        split: "train", "validation" or "test".
        seed: of the stream of questions.
        first: number of the first one.
        prompt_style: "direct" or "think".

    Raises:
        ValueError: the task has no text interface or takes several decisions, an argument is wrong or nothing that JSON can
            keep.
    """
    given = with_plain_source(task_class(env_id), dict(arguments or {}))
    try:
        written = json.dumps(given, sort_keys=True)
    except TypeError as error:
        raise ValueError(
            f"rows keep the arguments as JSON, from which their questions are made again; name the source instead ({error})"
        ) from error
    task = make_task(env_id, **given)
    if task.horizon > 1:
        raise ValueError(f"{env_id} takes up to {task.horizon} decisions a question, and a row holds one")
    text = Interface(task, "text", prompt_style)
    return _rows(text, {"env": env_id, "arguments": written, "split": split, "seed": seed}, first, count)


def _rows(text: Interface, origin: dict[str, Any], first: int, count: int) -> Iterator[dict[str, Any]]:
    task = text.task
    for start in range(first, first + count, CHUNK):
        batch = task.sample(Stream.span(origin["split"], origin["seed"], start, min(CHUNK, first + count - start)))
        shown, truths = text.observe(batch), task.truths(batch)
        for row, (prompt, answer) in enumerate(zip(shown["prompt"], truths, strict=True)):
            yield {
                "prompt": [{"role": "user", "content": prompt}],
                "images": [Image.fromarray(shown[name][row]) for name in task.images],
                "answer": answer,
                **origin,
                "index": start + row,
            }
