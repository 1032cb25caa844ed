"""What all commands share: how a call ends, what is wrong with one, and the environment that it names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ssl4rl_benchmarks.commands.table import way
from ssl4rl_envs.installing import need
from ssl4rl_envs.registration import env_id_of

INTERRUPTED = 130


class UserError(Exception):
    """A mistake in the call, told without a traceback."""


class Outcome(NamedTuple):
    """How a command ended: its exit status, its results as plain data, and whether those are to be printed as JSON."""

    status: int
    results: Any
    json: bool


def wants_help(arguments: Sequence[str]) -> bool:
    """Return whether a call asks for help before it names anything."""
    return list(arguments[:1]) in (["-h"], ["--help"])


def names_nothing(arguments: Sequence[str]) -> bool:
    """Return whether a call goes on with a flag, or not at all, where a name should stand."""
    return not arguments or arguments[0].startswith("-")


def named_env(arguments: Sequence[str], command: str) -> str:
    """Return the id of the environment that a call names first, in full or in short.

    Raises:
        UserError: it names none.
        ValueError: there is none of that name; the message names the nearest.
    """
    if names_nothing(arguments):
        raise UserError(f"name an environment: ssl4rl {command} Rotation ...; `ssl4rl list` shows all")
    return env_id_of(arguments[0])


def require_picture(out: Path) -> None:
    """Check that a picture can be written under a name, before it is drawn.

    Raises:
        ValueError: it ends in another way than pictures do, or is a folder.
    """
    from PIL import Image

    if out.suffix.lower() not in Image.registered_extensions() or out.is_dir():
        raise ValueError(f"--out must end as pictures do, e.g. board.png, and be no folder; got {out}")


def require(words: str) -> None:
    """Refuse to go on without the packages of a way to call a command, once the call has been read: its help needs none.

    Args:
        words: that the way begins with in `table.CALLS`, e.g. "eval hf:".

    Raises:
        ImportError: one is not installed.
    """
    call = way(words)
    need("it", call.extras, *call.needs)


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
