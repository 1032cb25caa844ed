"""What a folder says of the agent that learned in it, whatever learned: where it was trained, and how it is asked.

Two kinds of folders hold one: runs of the trainer (`folder`), and agents of the registry that were trained by
``ssl4rl train ENV --agent NAME``, which keep their weights themselves: `agent.json` says which agent it is and what it was
given, and `agent/` holds what its `save` left.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ssl4rl_agents.runs.files import write_json
from ssl4rl_agents.runs.folder import CONFIG, is_run, read_config
from ssl4rl_envs.answers import Grammar
from ssl4rl_envs.arguments import Checked, from_plain

AGENT, SAVED = "agent.json", "agent"


@dataclass(frozen=True)
class Trained(Checked):
    """Where an agent was trained, and how it is asked.

    Args:
        env, env_args: the environment's id and the arguments of its task.
        interface: "array" or "text".
        prompt_style, grammar: how it was asked and read, where that was in words.
    """

    env: str
    env_args: dict[str, Any] = field(default_factory=dict)
    interface: Literal["array", "text"] = "array"
    prompt_style: Literal["direct", "think"] = "direct"
    grammar: Grammar = "strict"


@dataclass(frozen=True)
class Kept(Trained):
    """An agent of the registry that was trained and kept.

    Args:
        agent: its name in the registry, or "module:attribute".
        settings: its settings, as they were given.
        seed, episodes, device: of its training.
        learned: what it says itself of its settings.
    """

    agent: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    episodes: int = 0
    device: str = "cpu"
    learned: dict[str, Any] = field(default_factory=dict)


def is_trained(folder: str | Path) -> bool:
    """Return whether a folder holds an agent that was trained, by the trainer or otherwise."""
    return is_kept(folder) or is_run(folder)


def is_kept(folder: str | Path) -> bool:
    """Return whether a folder holds an agent of the registry that was kept."""
    return (Path(folder) / AGENT).is_file()


def read_trained(folder: Path) -> Trained:
    """Return what a folder says of the agent that it holds.

    Raises:
        FileNotFoundError: it holds none.
        ValueError: a file in it says something else; the message names the file.
    """
    if is_kept(folder):
        return read_kept(folder)
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(
            f"{folder} is not a run folder: it has neither {CONFIG} nor {AGENT}, one of which `ssl4rl train ENV --out "
            "FOLDER` leaves"
        )
    config = read_config(folder)
    return Trained(config.env, config.env_args, config.policy.interface, config.prompt_style, config.grammar)


def read_kept(folder: Path) -> Kept:
    """Return what stands in the folder of a kept agent; raises as `read_trained` does."""
    file = folder / AGENT
    try:
        return from_plain(Kept, json.loads(file.read_text()))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} does not say which agent was trained: {error}") from error


def write_kept(folder: Path, kept: Kept) -> None:
    """Write what stands in the folder of a kept agent; the last file of it, since it makes the folder one."""
    write_json(folder / AGENT, asdict(kept))
