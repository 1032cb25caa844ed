"""Every setting of a run, and values of every kind that it must refuse, made from its type hint and its name."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any, get_args, get_origin

from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs.arguments import hints_of

Path = tuple[str, ...]

OF_KIND: dict[Any, list[Any]] = {
    bool: [0, 1.0, "false", None],
    int: [1.5, 3.0, True, math.nan, "3", -1, 10**40],
    float: [math.nan, math.inf, -math.inf, True, "0.1", -1.0, 1e300, 10**400],
    str: [3, None, True],
    tuple: ["Rotation", 3, [None], [math.nan, 0.9]],
    dict: [[], "source=digits", {3: 1}],
}
"""By type: values that no setting of this type takes, whichever it is."""

BY_NAME: dict[str, list[Any]] = {
    "optimizer.betas": [[0.9], [0.9, 1.0], [-0.1, 0.9], [0.9, True], [0.9, math.inf]],
    "policy.template_arguments": [{"a": math.nan}, {"a": [1]}, {"a": None}, {"a": {"b": 1}}, {"a": math.inf}],
}

NAMING_NOTHING: dict[str, list[Any]] = {
    "env": ["", "SSL4RL/Rotaton-v0", "SSL4RL/Rotation-v9", "CartPole-v1", "no_such_module:SSL4RL/Rotation-v0"],
    "env_args": [
        {"angels": 4},
        {"angles": "4"},
        {"angles": math.nan},
        {"angles": True},
        {"level": "angels-2"},
        {"source": object()},
    ],
    "format_tasks": [["Flip"], [""], ["EdgePrediction"], ["Mixture"]],
    "policy.start": ["", "no-such-run", "."],
    "policy.freeze": [["tower"], ["vision", ""], ["Language"]],
    "rollout.context": ["", "turns", "window:0", "window:", "Episode"],
    "policy.model": [
        "",
        " ",
        "Nano",
        "GCN",
        "/no/such/folder",
        "./no-such-folder",
        "~/no-such",
        "a/b/c",
        "two words",
        "tests",
    ],
    "device": ["", "gpu", "tpu", "CPU", " cpu", "cuda:99", "cuda:-1", "cuda:x", "cpu:1", "mps", "meta"],
}
"""By setting: well-formed names of nothing that there is."""


def every_setting(cls: type = TrainConfig, before: Path = ()) -> list[tuple[Path, Any]]:
    """Return the path and the type hint of every setting, of those within sections too."""
    found = []
    for name, hint in hints_of(cls).items():
        inside = dataclasses.is_dataclass(hint)
        found += every_setting(hint, (*before, name)) if inside else [((*before, name), hint)]
    return found


def kind_of(hint: Any) -> Any:
    """Return the type of a setting, None aside: bool, int, float, str, tuple, dict or Literal."""
    (kind,) = [part for part in get_args(hint) if part is not type(None)] if type(None) in get_args(hint) else [hint]
    return get_origin(kind) or kind


def wrong_values(path: Path, hint: Any) -> list[Any]:
    """Return values that a setting must refuse as soon as it is there."""
    optional, kind = type(None) in get_args(hint), kind_of(hint)
    if kind is typing.Literal:
        choices = get_args(get_args(hint)[0] if optional else hint)
        values = [choices[0].upper(), f"{choices[-1]}s", "", 0, None]
    else:
        values = [*OF_KIND[kind], *BY_NAME.get(".".join(path), [])]
    return [value for value in values if not (optional and value is None)]


def nested(path: Path, value: Any) -> dict[str, Any]:
    """Return settings as JSON has them, with one of them."""
    return {path[0]: nested(path[1:], value)} if len(path) > 1 else {path[0]: value}


def spoiled(data: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """Return settings with one of them changed."""
    inside = spoiled(data.get(path[0], {}), path[1:], value) if len(path) > 1 else value
    return {**data, path[0]: inside}
