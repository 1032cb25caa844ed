"""A question that is played in words over several turns, made from its keys alone: what trainers of many turns drive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ssl4rl_envs.arguments import whole_number
from ssl4rl_envs.bridges.keys import KEYS, keys_of
from ssl4rl_envs.bridges.messages import to_messages
from ssl4rl_envs.bridges.questions import origin_of
from ssl4rl_envs.env import SSLEnv
from ssl4rl_envs.registration import make_task

PLAYED = (*KEYS, "attempts")
"""What an episode is made again from."""

RIGHT, WRONG = "That was right.", "That was not right."


def episode_keys(
    env_id: str,
    n: int,
    *,
    split: str = "train",
    seed: int = 0,
    first: int = 0,
    prompt_style: str = "direct",
    grammar: str = "strict",
    attempts: int = 1,
    **task_args: Any,
) -> list[dict[str, Any]]:
    """Return the `PLAYED` keys of n episodes, those of the questions `first` ... `first + n - 1` of a stream.

    No question is made yet. Arguments as of `ssl4rl_envs.rows`; `attempts` as of `ssl4rl_envs.env.SSLEnv`.

    Raises:
        TypeError, ValueError: an argument is unknown or out of its range, or nothing that JSON can keep.
    """
    n, first = whole_number("n", n, 0), whole_number("first", first, 0)
    shared = origin_of(env_id, task_args, split, seed)
    read = {"prompt_style": prompt_style, "grammar": grammar, "attempts": attempts}
    Episode({**shared, "index": first, **read})  # what is wrong is an error here
    return [{**shared, "index": first + row, **read} for row in range(n)]


class Episode:
    """One episode of the text interface, played by replies; it pays what the environment's own `step` pays.

    Args:
        question: a row with the `PLAYED` keys, of which the last three may be left out; what else it holds is not looked at.
        style: how messages are written, "hf" or "openai", see `ssl4rl_envs.to_messages`.

    Attributes:
        messages: what is said to the model next, as messages of the user: at first the question, after a reply what came of
            it, with those pictures that are others than before, and nothing once the episode has ended.
        rewards: of the turns so far.
        success: whether the last turn was one.
        valid: whether the last reply was one answer.
        ended: whether no reply is taken any more.

    Raises:
        TypeError, ValueError: a key is missing or names nothing.
    """

    def __init__(self, question: Mapping[str, Any], style: str = "hf") -> None:
        keys = keys_of(question)
        self._env = SSLEnv(
            make_task(keys["env_id"], **json.loads(keys["args"])),
            interface="text",
            split=keys["split"],
            prompt_style=keys["prompt_style"],
            grammar=keys["grammar"],
            attempts=int(question.get("attempts") or 1),
        )
        self._seen, _ = self._env.reset(seed=keys["seed"], options={"index": keys["index"]})
        self._style = style
        self.messages: list[Any] = to_messages(self._seen, style)
        self.rewards: list[float] = []
        self.success, self.valid, self.ended = False, False, False

    @property
    def horizon(self) -> int:
        """Most turns."""
        return int(self._env.task.horizon)

    @property
    def reward(self) -> float:
        """What was paid so far, in [0, 1]; 0 before the first reply."""
        return float(np.sum(self.rewards))

    @property
    def outcome(self) -> str:
        """How the episode ended, for models that are told; it says nothing of what would have been right."""
        return RIGHT if self.success else WRONG

    def answer(self, reply: str) -> float:
        """Take one turn and return its reward.

        Raises:
            RuntimeError: the episode has ended.
        """
        before = self._seen
        self._seen, reward, terminated, truncated, info = self._env.step(reply)
        self.rewards.append(float(reward))
        self.success, self.valid, self.ended = bool(info["success"]), bool(info["valid"]), bool(terminated or truncated)
        new = {name: shown for name, shown in self._seen.items() if name == "prompt" or _other(shown, before[name])}
        self.messages = [] if self.ended else to_messages(new, self._style)
        return self.rewards[-1]


def _other(picture: Any, before: Any) -> bool:
    return not np.array_equal(picture, before)
