"""Questions as rows of plain data, as Hugging Face's datasets, TRL and verl read them.

from datasets import Dataset
from ssl4rl_envs import rows

data = Dataset.from_list(list(rows("SSL4RL/Rotation-v0", 1000, source="photos")))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypedDict

from ssl4rl_envs.arguments import whole_number
from ssl4rl_envs.bridges.messages import Message
from ssl4rl_envs.bridges.questions import origin_of, text_of
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.stream import Stream

if TYPE_CHECKING:
    from PIL import Image

CHUNK = 64
"""Questions that are made at a time."""


class Row(TypedDict):
    """A question as plain data.

    Attributes:
        prompt: one message, of the user.
        images: Pillow's pictures in the order of showing; none of a graph.
        answer: the right one in words, without tags.
        env_id: the environment, in full.
        args: the arguments of its task, as JSON.
        split, seed, index: which question of it.
    """

    prompt: list[Message]
    images: list[Image.Image]
    answer: str
    env_id: str
    args: str
    split: str
    seed: int
    index: int


def rows(
    env_id: str,
    n: int,
    *,
    split: str = "train",
    seed: int = 0,
    first: int = 0,
    prompt_style: str = "direct",
    **task_args: Any,
) -> Iterator[Row]:
    """Give the questions `first` ... `first + n - 1` that an environment's text interface asks of one seed.

    A `Row` holds `prompt`, `images` and `answer`, and where the question is from: `env_id`, `args`, `split`, `seed`, `index`.
    From these alone `ssl4rl_envs.score` makes the question again and scores a reply:

        score(row["env_id"], reply, split=row["split"], seed=row["seed"], index=row["index"], **json.loads(row["args"]))

    Arguments are looked at at once; questions are made in chunks, when they are come to.

    Args:
        env_id: e.g. "SSL4RL/Rotation-v0", or in short, "Rotation".
        n: how many questions, from 0.
        split: "train", "validation" or "test".
        seed: of the stream of questions, from 0.
        first: number of the first one, from 0.
        prompt_style: "direct", "think" or "tool"; prompts of "tool" go with `ssl4rl_envs.tool_schema`.
        task_args: of its task, `level` and `pairing` among them.

    Raises:
        TypeError: an argument is unknown to the task, or one of the environment alone.
        ValueError: there is no such environment, its task has no text interface or takes several decisions (`PatchSwap`), an
            argument is out of its range or nothing that JSON can keep.
    """
    n, first = whole_number("n", n, 0), whole_number("first", first, 0)
    if first + n > 1 << 64:
        raise ValueError(f"questions have numbers below 2**64; there are no {n} from {first} on")
    origin = origin_of(env_id, task_args, split, seed)
    text = text_of(env_id, task_args, prompt_style)
    Stream.span(split, seed, first, 0)  # a wrong split or seed is an error here
    return _rows(text, origin, first, n)


def _rows(text: Interface, origin: dict[str, Any], first: int, n: int) -> Iterator[Row]:
    from PIL import Image  # which graphs, and who only imports this, do without

    task = text.task
    for start in range(first, first + n, CHUNK):
        batch = task.compact(Stream.span(origin["split"], origin["seed"], start, min(CHUNK, first + n - start)))
        shown, truths = text.observe(batch), task.truths(batch)
        for row, (prompt, answer) in enumerate(zip(shown["prompt"], truths, strict=True)):
            yield {
                "prompt": [{"role": "user", "content": prompt}],
                "images": [Image.fromarray(shown[name][row]) for name in task.images],
                "answer": answer or "",
                "env_id": origin["env_id"],
                "args": origin["args"],
                "split": origin["split"],
                "seed": origin["seed"],
                "index": start + row,
            }
