"""Checkpoints: safetensors and JSON in a folder that is either whole or not there.

A checkpoint is written to a hidden folder beside its place, flushed to the disk and renamed, so a run that is killed at any
moment finds its newest whole checkpoint. Nothing is pickled. No generator state is stored: every random number of a run is
drawn from a generator seeded by hashing (seed, role, iteration).
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ssl4rl_agents.policies.policy import Policy

KEEP = 2
_PREFIX = "iteration-"


def write_json(path: Path, data: Any) -> None:
    """Write JSON aside and rename it into place."""
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(json.dumps(data, indent=2) + "\n")
    _flush(aside)
    aside.replace(path)


def save_policy(folder: Path, policy: Policy) -> None:
    """Write a policy alone; the folder is whole or not there."""
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    policy.save(aside)
    _publish(aside, folder)


def save(folder: Path, iteration: int, policy: Policy, optimizer: torch.optim.Optimizer, counters: dict[str, Any]) -> Path:
    """Write the checkpoint of the state after `iteration` iterations, and drop all but the newest ones.

    Args:
        folder: the run's folder of checkpoints.
        iteration: how many iterations are done.
        policy, optimizer: what is trained.
        counters: JSON data that the trainer goes on from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target, aside = folder / f"{_PREFIX}{iteration:06d}", folder / f".{_PREFIX}{iteration:06d}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    policy.save(aside)
    tensors, groups = _flatten(optimizer)
    save_file(tensors, aside / "optimizer.safetensors")
    (aside / "trainer.json").write_text(json.dumps({"iteration": iteration, "param_groups": groups, **counters}, indent=2))
    _publish(aside, target)
    for old in checkpoints(folder)[:-KEEP]:
        shutil.rmtree(old)
    return target


def load(checkpoint: Path, policy: Policy, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Read a checkpoint into policy and optimizer and return its counters, `iteration` among them.

    Raises:
        ValueError: a weight or an optimizer state is missing or does not fit.
    """
    policy.load_weights(checkpoint)
    counters: dict[str, Any] = json.loads((checkpoint / "trainer.json").read_text())
    _restore(optimizer, load_file(checkpoint / "optimizer.safetensors"), counters.pop("param_groups"))
    return counters


def checkpoints(folder: Path) -> list[Path]:
    """Return the whole checkpoints of a run, oldest first."""
    return sorted(folder.glob(f"{_PREFIX}*")) if folder.is_dir() else []


def newest(run: Path) -> Path:
    """Return the newest checkpoint of a run folder.

    Raises:
        FileNotFoundError: it has none.
    """
    found = checkpoints(run / "checkpoints")
    if not found:
        raise FileNotFoundError(f"{run} holds no checkpoint; a run folder is what `ssl4rl train ENV --out FOLDER` writes")
    return found[-1]


def _publish(aside: Path, target: Path) -> None:
    """Flush a folder's files to the disk and rename it into place."""
    for file in aside.iterdir():
        _flush(file)
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    _flush(target.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flatten(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": value.detach().cpu().contiguous()
        for index, entries in state["state"].items()
        for name, value in entries.items()
    }
    return tensors, state["param_groups"]


def _restore(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], groups: list[dict[str, Any]]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    held = sum(len(group["params"]) for group in groups)
    if held != count or any(not 0 <= index < count for index in state):
        raise ValueError(f"the checkpoint's optimizer holds {held} parameters, the policy trains {count}")
    names = set().union(*(entries for entries in state.values()))
    lacking = [f"{index}.{name}" for index, entries in state.items() for name in names - set(entries)]
    if lacking:
        raise ValueError(f"the checkpoint's optimizer lacks {', '.join(sorted(lacking))}")
    optimizer.load_state_dict({"state": state, "param_groups": groups})
