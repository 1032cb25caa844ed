"""The task behind an environment's id, for bridges whose questions are answered in words and at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ssl4rl_envs.interface import Interface
from ssl4rl_envs.registration import env_id_of, make_task, task_class, with_plain_source
from ssl4rl_envs.task import Task

OF_ENVIRONMENTS = ("interface", "attempts", "group_size", "render_mode", "num_envs", "autoreset_mode", "prefetch")
"""Arguments of environments that mean nothing where a question is asked once."""


OF_QUESTIONS = ("split", "seed", "first", "prompt_style", "grammar", "attempts")
"""Arguments that say which questions are asked and how; the others are the task's."""


def origin_of(env_id: str, task_args: Mapping[str, Any], split: str, seed: int) -> dict[str, Any]:
    """Return where questions of a stream are from, as plain data: `env_id` in full, `args` (JSON), `split` and `seed`.

    Raises:
        ValueError: there is no such environment, or an argument is nothing that JSON can keep.
    """
    env_id = env_id_of(env_id)
    return {
        "env_id": env_id,
        "args": as_json(with_plain_source(task_class(env_id), dict(task_args))),
        "split": split,
        "seed": seed,
    }


def as_json(task_args: Mapping[str, Any]) -> str:
    """Return the arguments of a task as JSON, by name.

    Raises:
        ValueError: one is nothing that JSON can keep, such as a source that is an object and not a name.
    """
    try:
        return json.dumps(task_args, sort_keys=True)
    except TypeError as error:
        raise ValueError(
            f"questions are made again from their arguments, which are kept as JSON; name the source instead ({error})"
        ) from error


def task_of(env_id: str, given: Mapping[str, Any]) -> Task:
    """Return the task behind the arguments of a bridge, those of `OF_QUESTIONS` aside; raises as `make_task` does."""
    return make_task(env_id, **{name: value for name, value in given.items() if name not in OF_QUESTIONS})


def text_of(env_id: str, arguments: dict[str, Any], prompt_style: str, grammar: str = "strict") -> Interface:
    """Return the text interface of an environment's task.

    Args:
        env_id: any name of the environment, e.g. "SSL4RL/Rotation-v0" or "Rotation", see `registration.env_id_of`.
        arguments: of its task, `level` and `pairing` among them.
        prompt_style: "direct", "think" or "tool".
        grammar: "strict" or "lenient".

    Raises:
        TypeError: an argument is unknown, or one of the environment and not of its task.
        ValueError: there is no such environment, its task has no text interface or takes several decisions, or an argument is
            out of its range.
    """
    foreign = sorted(set(arguments) & set(OF_ENVIRONMENTS))
    if foreign:
        raise TypeError(
            f"{', '.join(foreign)} belongs to environments, and here every question is answered once, in words; leave it out"
        )
    task = make_task(env_id, **with_plain_source(task_class(env_id), arguments))
    text = Interface(task, "text", prompt_style, grammar)
    if task.horizon > 1:
        raise ValueError(
            f"{env_id} takes up to {task.horizon} decisions a question, and here a question is answered once; play it in an "
            "environment, with interface='text'"
        )
    return text


def require_observation(observation: Any) -> None:
    """Check that something is what an environment shows.

    Raises:
        TypeError: it is no dict of arrays and words.
    """
    if not isinstance(observation, Mapping):
        raise TypeError(f"an observation is the dict that reset() and step() return first, got {type(observation).__name__}")
