"""Settings of a run for people: those that were chosen, all of them by section, and the command that does the run again."""

from __future__ import annotations

import dataclasses
import inspect
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl4rl_agents.policy_settings import AUTO
from ssl4rl_agents.settings import TrainConfig, model_for
from ssl4rl_envs.registration import load_class, registered_task, short_name

SECTIONS = ("policy", "rollout", "optimizer", "objective", "control")


def flat(config: TrainConfig) -> dict[str, Any]:
    """Return settings by the names of their flags, e.g. "rollout.group-size"; not the environment and its arguments."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in SECTIONS:
            for inner in dataclasses.fields(value):
                found[f"{field.name}.{inner.name}".replace("_", "-")] = getattr(value, inner.name)
        elif field.name not in ("env", "env_args"):
            found[field.name.replace("_", "-")] = value
    return found


def chosen(config: TrainConfig) -> dict[str, Any]:
    """Return what is not as it would be by itself: arguments of the environment, then settings, by their flags."""
    policy = dataclasses.replace(TrainConfig().policy, model=config.policy.model)
    usual = flat(
        TrainConfig(env=config.env, env_args=config.env_args, policy=policy, algorithm=config.algorithm).resolved(anew=False)
    )
    usual["algorithm"] = TrainConfig().algorithm
    if model_for(config.env) != config.policy.model:
        usual["policy.model"] = AUTO
    return given(config.env, config.env_args) | {name: value for name, value in flat(config).items() if value != usual[name]}


def given(env: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of an environment that are not as they would be by themselves, by their flags."""
    path, registered = registered_task(env)
    signature = {name: parameter.default for name, parameter in inspect.signature(load_class(path)).parameters.items()}
    plain = signature | registered
    return {name.replace("_", "-"): value for name, value in env_args.items() if name not in plain or plain[name] != value}


def command(config: TrainConfig, out: Path) -> str:
    """Return the command that does a run again."""
    return spelled(config.env, ["--out", str(out)], chosen(config))


def spelled(env: str, first: Sequence[str], flags: dict[str, Any]) -> str:
    """Return a command that trains in an environment, with flags by their names."""
    words = ["ssl4rl", "train", short_name(env), *first]
    for name, value in flags.items():
        words += _flag(name, value)
    return shlex.join(words)


def told(value: Any) -> str:
    """Return a setting as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(told, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def by_section(config: TrainConfig) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return all settings, section by section, each with what it is."""
    rows: dict[str, list[tuple[str, str]]] = {"environment": [(name, told(value)) for name, value in config.env_args.items()]}
    for name, value in flat(config).items():
        section, dot, rest = name.partition(".")
        rows.setdefault(section if dot else "run", []).append((rest or section, told(value)))
    return [(section, found) for section, found in rows.items() if found]


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        head, dot, last = name.rpartition(".")
        return [f"--{name}" if value else f"--{head}{dot}no-{last}"]
    if isinstance(value, dict):
        return [f"--{name}", *(str(word) for pair in value.items() for word in pair)]
    values = [str(each) for each in value] if isinstance(value, (tuple, list)) else [str(value)]
    return [f"--{name}", *values]
