"""What all commands share: how a call ends, what is wrong with one, and the environment that it names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from ssl4rl_envs import env_ids

INTERRUPTED = 130


class UserError(Exception):
    """A mistake in the call, told without a traceback."""


class Outcome(NamedTuple):
    """How a command ended: its exit status, its results as plain data, and whether those are to be printed as JSON."""

    status: int
    results: Any
    json: bool


def need(*modules: str) -> None:
    """Refuse to go on without some packages.

    Raises:
        UserError: one of them is not installed.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise UserError(
            f"packages that this needs are not installed: {', '.join(missing)}; pip install 'ssl4rl[all]' brings them"
        )


def wants_help(arguments: Sequence[str]) -> bool:
    """Return whether a call asks for help before it names anything."""
    return list(arguments[:1]) in (["-h"], ["--help"])


def names_nothing(arguments: Sequence[str]) -> bool:
    """Return whether a call goes on with a flag, or not at all, where a name should stand."""
    return not arguments or arguments[0].startswith("-")


def named_env(arguments: Sequence[str], command: str) -> str:
    """Return the environment that a call names first.

    Raises:
        UserError: it names none, or one that there is not.
    """
    known = ", ".join(env_ids())
    if names_nothing(arguments):
        raise UserError(f"name an environment: ssl4rl {command} ENV ...; known are {known}")
    if arguments[0] not in env_ids():
        raise UserError(f"unknown environment {arguments[0]!r}; known are {known}")
    return arguments[0]


def quieten() -> None:
    """Silence the loading bars of transformers, which mean nothing for small checkpoints, and DeepSpeed.

    Where that is installed, accelerate imports it for every run, and it warns on standard output if it has to find out by
    itself that there is no GPU.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
