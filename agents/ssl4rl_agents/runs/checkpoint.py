"""Checkpoints: safetensors and JSON in a folder that is either whole or not there.

A run that is killed at any moment finds its newest whole checkpoint. Nothing is pickled. No generator state is stored: every
random number of a run is drawn from a generator seeded by hashing (seed, role, iteration). However many processes train, a
checkpoint looks the same, and any number of them can go on from it.

Which checkpoint did best on the validation split stands in the counters of each, and for readers in `best.json`.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ssl4rl_agents.policies.finite import DivergedError, buffers_of, unsound
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.runs.files import FolderLock, InUseError, discard, new_folder, publish, read_from, write_json
from ssl4rl_agents.runtime.processes import Processes, like, whole_shape, whole_state, whole_weights
from ssl4rl_envs.arguments import checked, whole_number

BEST = "best.json"
KERNELS = ("fused", "foreach")
"""By which kernels an optimizer steps: what it is told of the device."""

OPTIMIZER, TRAINER = "optimizer.safetensors", "trainer.json"
_PREFIX = "iteration-"


def save_policy(folder: Path, policy: Policy, processes: Processes) -> None:
    """Write a policy alone. All processes must call this; the main one writes.

    Raises:
        DivergedError: a weight is not finite.
    """
    weights = whole_weights(policy, keep=processes.is_main)
    if processes.is_main:
        _require_finite(folder, policy, weights, {})
        aside = new_folder(folder)
        policy.save(aside, weights)
        publish(aside, folder)


def save(
    folder: Path,
    iteration: int,
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    counters: dict[str, Any],
    processes: Processes,
    *,
    keep: int = 2,
    lock: FolderLock | None = None,
) -> None:
    """Write the checkpoint of the state after `iteration` iterations, and drop all but the newest ones and the best.

    Args:
        folder: the run's folder of checkpoints.
        iteration: how many iterations are done.
        policy, optimizer: what is trained.
        counters: JSON data that the trainer goes on from; its `best`, if any, says which iteration did best so far.
        processes: all of them must call this; the main one writes, and all end where one must.
        keep: how many of the newest checkpoints stay.
        lock: of the run's folder.

    Raises:
        DivergedError: a weight, or a number that the optimizer keeps, is not finite; nothing is written or dropped then.
        InUseError: the run's folder is another one by now.
    """
    main = processes.is_main
    weights = whole_weights(policy, keep=main)
    tensors, groups = _flatten(policy, optimizer, keep=main)
    problem: Exception | None = None
    if main:
        try:
            _require_finite(folder, policy, weights, tensors)
            if lock is not None:
                lock.require()
        except (DivergedError, InUseError) as error:
            problem = error
    if processes.anywhere(problem is not None):
        raise problem or DivergedError(f"the main process could not save iteration {iteration}")
    if not main:
        return
    target = folder / f"{_PREFIX}{iteration:06d}"
    aside = new_folder(target)
    policy.save(aside, weights)
    save_file(tensors, aside / OPTIMIZER)
    described = {"param_groups": groups, "state": sorted(tensors)}
    write_json(aside / TRAINER, {"iteration": iteration, **counters, "optimizer": described})
    publish(aside, target)
    _tidy(folder, counters.get("best"), keep)


def load(checkpoint: Path, policy: Policy, optimizer: torch.optim.Optimizer, expected: dict[str, Any]) -> dict[str, Any]:
    """Read the optimizer's state of a checkpoint and return its counters, `iteration` among them.

    Args:
        checkpoint: its folder.
        policy: with the checkpoint's weights already.
        optimizer: what reads its state.
        expected: the counters of a fresh run; the checkpoint must have all of them.

    Raises:
        ValueError: something is missing, does not fit, or is not finite.
    """
    for name in (OPTIMIZER, TRAINER):
        if not (checkpoint / name).exists():
            raise ValueError(f"{checkpoint} is no whole checkpoint: it has no {name}")
    with read_from(checkpoint):
        counters = _counters(checkpoint / TRAINER, expected)
        tensors = load_file(checkpoint / OPTIMIZER)
    wrong = unsound(tensors.items())
    if wrong is not None:
        raise ValueError(
            f"{checkpoint / OPTIMIZER}: tensor {wrong} holds numbers that are not finite; delete {checkpoint} to go on from "
            "the checkpoint before it"
        )
    _restore(policy, optimizer, tensors, **counters.pop("optimizer"))
    return counters


def _counters(file: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """Read the counters of a checkpoint, all that are expected, its numbers as numbers."""
    counters: dict[str, Any] = json.loads(file.read_text())
    lacking = sorted({"iteration", "optimizer", *expected} - set(counters))
    if lacking:
        raise ValueError(f"{file} lacks the counters {', '.join(lacking)}")
    counters["iteration"] = whole_number(f"iteration in {file}", counters["iteration"])
    best = counters.get("best")
    numbers = {name: counters[name] for name, fresh in expected.items() if isinstance(fresh, (int, float))}
    numbers |= {} if best is None else {"best.reward": best["reward"]}
    groups = counters["optimizer"].get("param_groups", [])
    steps = [(name, group[name]) for group in groups for name in ("lr", "betas", "eps", "weight_decay") if name in group]
    for name, value in [*numbers.items(), *steps]:
        try:
            checked(f"{name} in {file}", value, tuple[float, ...] if name == "betas" else float)
        except TypeError as error:
            raise ValueError(str(error)) from error
    return counters


def checkpoints(folder: Path) -> list[Path]:
    """Return the whole checkpoints of a run, oldest first."""
    return sorted(folder.glob(f"{_PREFIX}*")) if folder.is_dir() else []


def seen_by_all(run: Path, processes: Processes) -> list[Path]:
    """Return the whole checkpoints of a run folder, oldest first; all processes must call this.

    Raises:
        ValueError: the processes see different ones.
    """
    found = checkpoints(run / "checkpoints")
    if processes.anywhere(processes.main_says(len(found)) != len(found)):
        raise ValueError(f"the processes see different checkpoints in {run}; it must lie on a disk that they share")
    return found


def newest(run: Path) -> Path:
    """Return the newest checkpoint of a run folder.

    Raises:
        FileNotFoundError: it has none.
    """
    found = checkpoints(run / "checkpoints")
    if not found:
        raise FileNotFoundError(f"{run} holds no checkpoint; a run folder is what `ssl4rl train ENV --out FOLDER` writes")
    return found[-1]


def best(run: Path) -> Path:
    """Return the checkpoint of a run folder with the highest reward on the validation split; of equal ones, the earliest.

    Raises:
        FileNotFoundError: nothing was measured yet.
    """
    pointer = run / "checkpoints" / BEST
    if not pointer.exists():
        raise FileNotFoundError(f"{run} has no best checkpoint: no measurement on the validation split is done yet")
    with read_from(pointer):
        return pointer.parent / str(json.loads(pointer.read_text())["checkpoint"])


def better(best: dict[str, Any] | None, iteration: int, reward: float) -> dict[str, Any] | None:
    """Return which iteration did best, now that one has a reward; the earlier of equal ones, and none whose reward is NaN."""
    if math.isfinite(reward) and (best is None or reward > best["reward"]):
        return {"iteration": iteration, "reward": reward}
    return best


def _require_finite(
    folder: Path, policy: Policy, weights: dict[str, torch.Tensor] | None, kept: dict[str, torch.Tensor]
) -> None:
    """Check weights, whole or the policy's own, and what the optimizer keeps of them."""
    wrong = unsound((policy.state_dict() if weights is None else weights).items(), buffers_of(policy))
    whose = "weights" if wrong is not None else "the optimizer's memory"
    wrong = wrong or unsound(kept.items())
    if wrong is not None:
        raise DivergedError(
            f"{wrong} (of {whose}) holds numbers that are not finite, so no checkpoint is written to {folder}; those that "
            "are there are from before. A smaller optimizer.learning_rate may help"
        )


def _tidy(folder: Path, best_so_far: dict[str, Any] | None, keep: int) -> None:
    """Point to the best checkpoint, and only then drop what is not needed, half-written ones included."""
    spared = ""
    if best_so_far is not None:
        spared = f"{_PREFIX}{best_so_far['iteration']:06d}"
        if (folder / spared).is_dir():
            write_json(folder / BEST, {"checkpoint": spared, **best_so_far})
    for old in checkpoints(folder)[:-keep]:
        if old.name != spared:
            discard(old)
    for left in folder.glob(f".{_PREFIX}*"):
        shutil.rmtree(left)


def _flatten(
    policy: Policy, optimizer: torch.optim.Optimizer, *, keep: bool
) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    names = {id(parameter): name for name, parameter in policy.named_parameters()}
    tensors = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for entry, value in whole_state(optimizer, parameter).items():
                if keep:
                    tensors[f"{names[id(parameter)]}.{entry}"] = value.detach().cpu().contiguous()
    groups = [
        {**group, "params": [names[id(parameter)] for parameter in group["params"]]} for group in optimizer.param_groups
    ]
    return tensors, groups


def _restore(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    tensors: dict[str, torch.Tensor],
    param_groups: list[dict[str, Any]],
    state: list[str],
) -> None:
    names = {id(parameter): name for name, parameter in policy.named_parameters()}
    held = [group["params"] for group in param_groups]
    trained = [[names[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups]
    if held != trained:
        raise ValueError(
            f"the checkpoint's optimizer holds {sum(map(len, held))} parameters, the policy trains {sum(map(len, trained))}, "
            "and they must be the same ones"
        )
    if set(tensors) != set(state):
        raise ValueError(f"the checkpoint's optimizer lacks, or has too much: {', '.join(sorted(set(tensors) ^ set(state)))}")
    index = {name: number for number, name in enumerate(name for group in trained for name in group)}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        name, entry = key.rsplit(".", 1)
        if name not in index:
            raise ValueError(f"the checkpoint's optimizer knows {name}, which the policy does not train")
        parameter = parameters[index[name]]
        if value.ndim and value.shape != whole_shape(parameter):
            shapes = f"{tuple(value.shape)}, the parameter {whole_shape(parameter)}"
            raise ValueError(f"the checkpoint's optimizer does not fit: {key} has the shape {shapes}")
        entries.setdefault(index[name], {})[entry] = like(value, parameter) if value.ndim else value
    numbered, first = [], 0
    for group, own in zip(param_groups, optimizer.param_groups, strict=True):
        kernels = {name: own[name] for name in KERNELS if name in own}  # of this device, not of the one that saved
        numbered.append({**group, **kernels, "params": list(range(first, first + len(group["params"])))})
        first += len(group["params"])
    optimizer.load_state_dict({"state": entries, "param_groups": numbered})
