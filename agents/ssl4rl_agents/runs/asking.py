"""Questions to a trained agent, one at a time: about a picture of yours, or about one of its own source.

Its task makes a question of the picture as it would of any other, so the right answer is known, and the reply is scored.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ssl4rl_agents.runs.trained import Trained
from ssl4rl_envs import SSLEnv, Stream, Task, make_task, task_class
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.registration import short_name
from ssl4rl_envs.sources import PICTURES, ImageSource
from ssl4rl_envs.sources.arrays import rgb_pictures
from ssl4rl_envs.sources.decoding import decode

COMPANIONS = 7
"""Pictures of the agent's own source beside yours, for tasks that make a question of several."""

SIDE = 128
"""Of these, in pixels."""

BLOCK, BLOCKS = 512, 64
"""Questions that are looked through at a time, and how often, for one about a given item."""


class Acts(Protocol):
    """What is asked; see `ssl4rl_agents.agent.Agent`."""

    interface: str

    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> Any:
        """Return one action for each of n observations."""


@dataclass(frozen=True)
class Asked:
    """A question, what was replied, and what is right.

    Args:
        question: in words.
        reply: the text as it was written, or the action of an agent that takes arrays.
        answer: the reply as it was understood, in words; None where it is no answer, or the task has no words.
        truth: the right answer in words; None where the task has none.
        reward: in [0, 1].
        success: whether it was right.
        split, seed, index: which question of the source it was.
        card: the question with answer and truth, uint8 (height, width, 3).
    """

    question: str
    reply: Any
    answer: str | None
    truth: str | None
    reward: float
    success: bool
    split: str
    seed: int
    index: int
    card: NDArray[np.uint8]

    def to_json(self) -> dict[str, Any]:
        """Return all but the card as plain data."""
        return {name: value for name, value in vars(self).items() if name != "card"}

    def __str__(self) -> str:
        """Put it in lines."""
        said = f"answer {self.answer}, truth {self.truth}, " if self.truth is not None else ""
        return (
            f"{self.question}\n  reply {self.reply!r}: {said}{'right' if self.success else 'wrong'}, reward {self.reward:.2f}"
        )


class Asking:
    """A base of agents that can be asked about one picture once they know where they were trained."""

    trained: Trained | None = None
    """Where; `load_agent` sets it."""

    def ask(self, picture: Any, *, number: int = 0, seed: int = 0) -> Asked:
        """Return what the agent says of a picture.

        Args:
            picture: a file, a Pillow picture, an array (height, width, 3) or whatever else a source may hold.
            number: which question about it; the same number asks the same.
            seed: of the questions.

        Raises:
            OSError: the file cannot be read as a picture.
            RuntimeError: the agent does not know where it was trained.
            ValueError: its task asks about no picture, or nothing can be asked about this one.
        """
        if self.trained is None:
            raise RuntimeError(
                "this agent does not say where it was trained; load it from its folder: load_agent('runs/...')"
            )
        task, split = task_about(self.trained, picture)
        index = indices_about(task, split, seed, number + 1)[number]
        return ask_question(cast("Acts", self), self.trained, task, split, seed, index)


def task_about(trained: Trained, picture: Any) -> tuple[Task, str]:
    """Return an agent's task over one picture, item 0 of its source, and the split that this falls into.

    The picture is shown as large as it fits. Where the task makes a question of several photographs, others of the agent's
    own source stand beside it.

    Raises:
        OSError, ValueError: as `Asking.ask`.
    """
    cls = task_class(trained.env)
    if issubclass(cls, ImageTask) and cls.sources is not PICTURES:
        raise ValueError(
            f"{short_name(trained.env)} asks what the drawer of its pictures knows, and nobody knows that "
            "of yours; ask one of its own questions, by its number (--index)"
        )
    if cls.sources is not PICTURES:
        raise ValueError(
            f"{trained.env} asks about a graph, and not about pictures; ask a question of the graph that the agent was "
            "trained on instead, by its number (--index) or by a node (--node)"
        )
    name, pixels = _read(picture)
    try:
        source = ImageSource([pixels], name=name, min_zoom=1.0)
        return make_task(trained.env, **{**trained.env_args, "source": source}), source.splits[0]
    except ValueError as alone:
        try:
            source = _beside(trained, name, pixels)
            return make_task(trained.env, **{**trained.env_args, "source": source}), source.splits[0]
        except ValueError as error:
            raise ValueError(f"{trained.env} cannot ask about {name}: {error}") from alone


def _read(picture: Any) -> tuple[str, NDArray[np.uint8]]:
    """Return what to call a picture, and its pixels."""
    if isinstance(picture, (str, Path)):
        file = Path(picture)
        try:
            decoded = decode(file.read_bytes())
        except UnidentifiedImageError as error:
            raise OSError(f"{file} cannot be read as a picture: it is in no format that Pillow knows") from error
        except OSError as error:
            raise OSError(f"{file} cannot be read as a picture: {error.strerror or error}") from error
        except Exception as error:  # Pillow's readers raise errors of many types
            raise OSError(f"{file} cannot be read as a picture: {error}") from error
        for note in decoded.notes:
            warnings.warn(f"{file}: {note}", stacklevel=2)
        return file.name, decoded.pixels
    return "the picture", rgb_pictures([picture], "the picture")[0]


def _beside(trained: Trained, name: str, pixels: NDArray[np.uint8]) -> ImageSource:
    """Return a source of a picture and some of the agent's own, all in one split."""
    own: Any = getattr(make_task(trained.env, **trained.env_args), "source", None)
    if own is None:
        raise ValueError("its task does not say which pictures it was trained on")
    items = own.draw(Stream.span("test", 0, 0, COMPANIONS))
    others = own.pixels(own.whole(items), SIDE)
    count = 1 + len(others)
    return ImageSource(
        [pixels, *others], name=name, min_zoom=1.0, keys=[b"one split"] * count, photographs=list(range(count))
    )


def question_about_node(trained: Trained, node: int, seed: int = 0) -> tuple[Task, str, int]:
    """Return the task of an agent that learned on a graph, a split and the number of a question of it about a node.

    Raises:
        ValueError: the task does not ask about single nodes, or the graph has no such node that it asks about.
    """
    task = make_task(trained.env, **trained.env_args)
    if getattr(task, "role", None) != "node":
        raise ValueError(f"{trained.env} does not ask about single nodes; ask one of its questions by number (--index)")
    nodes = int(cast("Any", task).source.nodes)
    if not 0 <= node < nodes:
        raise ValueError(f"the graph has the nodes 0 to {nodes - 1}, got {node}")
    for split in ("test", "validation", "train"):
        found = next(_indices(task, split, seed, node), None)
        if found is not None:
            return task, split, found
    raise ValueError(f"{trained.env} asks nothing about node {node}, in none of {BLOCK * BLOCKS} questions of each split")


def indices_about(task: Task, split: str, seed: int, count: int, item: int = 0) -> list[int]:
    """Return the numbers of the first questions of a stream that are about an item.

    Raises:
        ValueError: there are not so many among the first 32,768.
    """
    found = [number for number, _ in zip(_indices(task, split, seed, item), range(count), strict=False)]
    if len(found) < count:
        why = getattr(task, "ambiguous", "ambiguous")
        raise ValueError(f"{type(task).__name__} finds too little to ask about this picture: it is {why}")
    return found


def _indices(task: Task, split: str, seed: int, item: int) -> Iterator[int]:
    size = 16  # most are found at once
    first = 0
    while first < BLOCK * BLOCKS:
        items = task.sample(Stream.span(split, seed, first, size)).items
        yield from (first + int(row) for row in np.flatnonzero(np.asarray(items) == item))
        first, size = first + size, BLOCK


def ask_question(agent: Acts, trained: Trained, task: Task, split: str, seed: int, index: int) -> Asked:
    """Ask an agent a question of a task, with as many decisions as it takes."""
    how: dict[str, Any] = {"prompt_style": trained.prompt_style, "grammar": trained.grammar}
    env = SSLEnv(task, split=split, interface=agent.interface, render_mode="rgb_array", **how)
    wanted = getattr(agent, "enter", None)
    if wanted is not None:
        wanted(env)
    observation, _ = env.reset(seed=seed, options={"index": index})
    question, ended, earned, action = task.question(env.batch)[0], False, 0.0, None
    info: dict[str, Any] = {}
    while not ended:
        shown = {name: [value] if isinstance(value, str) else np.asarray(value)[None] for name, value in observation.items()}
        before, action = env.batch, agent.act(shown, deterministic=True)[0]
        observation, reward, terminated, truncated, info = env.step(action)
        ended, earned = terminated or truncated, earned + reward
    answer, truth = (info["parsed"] or None, info["truth"]) if agent.interface == "text" else _words(task, action, before)
    reply = action if isinstance(action, str) else np.asarray(action).tolist()
    return Asked(question, reply, answer, truth, earned, bool(info["success"]), split, seed, index, env.render())


def _words(task: Task, action: Any, batch: Any) -> tuple[str | None, str | None]:
    """Return an action and the truth in words, where the task has any."""
    if not task.has_text:
        return None, None
    return task.format_all(np.asarray(action)[None], batch)[0], task.truths(batch)[0]


def picture_of(asked: list[Asked]) -> Image.Image:
    """Return the cards of several questions to one task, below each other."""
    return Image.fromarray(np.concatenate([one.card for one in asked]))
