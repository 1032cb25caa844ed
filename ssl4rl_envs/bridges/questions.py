"""The task behind an environment's id, for bridges whose questions are answered in words and at once."""

from __future__ import annotations

from typing import Any

from ssl4rl_envs.interface import Interface
from ssl4rl_envs.registration import make_task, task_class, with_plain_source

OF_ENVIRONMENTS = ("interface", "attempts", "group_size", "render_mode", "num_envs", "autoreset_mode", "prefetch")
"""Arguments of environments that mean nothing where a question is asked once."""


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
