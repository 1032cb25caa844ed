"""What settings name outside of themselves: an environment and its arguments, tasks, a model, a device.

A type hint cannot say whether there is such a thing; so each setting that is a name has a row in `NAMED`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from ssl4rl_agents.policy_settings import AUTO, BUILT_IN, PARTS, PREFIX_MODELS, PolicyConfig, model_type_of
from ssl4rl_agents.settings import TrainConfig, require_environment, window_of
from ssl4rl_envs.arguments import did_you_mean
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.registration import check_arguments, load_class, registered_task

MODEL_FILES = ("config.json", "adapter_config.json")
"""One of them lies in every folder that holds a model of transformers, or adapters of one."""

CHECKPOINT_FILE = "trainer.json"
"""Lies in every checkpoint of a run."""

BEGINNINGS = ("policy.model", "policy.start")
"""What a run begins from; one that goes on needs neither any more."""

SHAPE = (
    "model",
    "nano_hidden",
    "nano_layers",
    "nano_vocabulary",
    "nano_image_size",
    "gnn_hidden",
    "gnn_layers",
    "graph_tokens",
    "graph_words",
    "lora_rank",
    "lora_alpha",
)
"""Settings of the network that decide which weights it has."""


class NoSuchModelError(ValueError, OSError):
    """A setting names a model that is neither built in nor on the disk, and that the hub cannot have."""


def check_named(config: TrainConfig, *, anew: bool = True) -> None:
    """Check that everything that settings name is there.

    Args:
        config: the settings.
        anew: whether a run begins by them, from the model that they name or from another run (`started`).

    Raises:
        TypeError: the environment takes no such argument, or one of another type.
        ValueError: there is no such thing; the message names the setting, and what there is.
    """
    for name, look in NAMED.items():
        if anew or name not in BEGINNINGS:
            look(config)


def require_arguments(config: TrainConfig) -> None:
    """Check that the environment's task takes the arguments, and that they can be kept as JSON."""
    try:
        check_arguments(config.env, config.env_args)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"env_args: {error}") from error
    try:
        json.dumps(config.env_args, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"a run's settings are kept as JSON, and env_args hold something else ({error}); give a source by name, e.g. "
            "folder:PATH, rather than as arrays"
        ) from error


def require_context(config: TrainConfig) -> None:
    """Check that there is the context that a model is to see, and that a model that lies in a folder can see it."""
    context, model = config.rollout.context, config.policy.model
    if window_of(context) == 1 or config.policy.start is not None:
        return
    kind = model_type_of(Path(model))
    if kind in PREFIX_MODELS:
        raise ValueError(
            f"rollout.context must be 'turn' for {model!r}: a {kind} reads all of a prompt in both directions, and what is "
            f"said next would change what it made of earlier turns; got {context!r}"
        )


def require_tasks(config: TrainConfig) -> None:
    """Check that there are the tasks of the format warm-up, and that they are about pictures."""
    for name in config.format_tasks:
        try:
            path, _ = registered_task(name)
        except ValueError as error:
            raise ValueError(f"format_tasks: {error}") from error
        if not issubclass(load_class(path), ImageTask):
            raise ValueError(f"format_tasks must be tasks over pictures, one question each, got {name!r}")


def require_model(config: TrainConfig) -> None:
    """Check that a model is built in, lies in a folder, or has a name that one of the hub can have."""
    name = config.policy.model
    if name in BUILT_IN or config.policy.start is not None:  # where the weights are another run's, so is the model
        return
    bare = "/" not in name and not Path(name).exists()  # models of the hub that answer about pictures have an owner
    near = did_you_mean(name.strip(), (AUTO, *BUILT_IN)) if bare else ""
    wanted = f"policy.model must be one of {', '.join((AUTO, *BUILT_IN))}, a folder with a model, or one's name on the hub"
    if near or not name.strip():
        raise NoSuchModelError(f"{wanted}, got {name!r}{near}")
    folder = Path(name)
    if folder.is_dir():
        if not any((folder / file).is_file() for file in MODEL_FILES):
            raise NoSuchModelError(
                f"{wanted}; the folder {name!r} holds no model of transformers: it has no {MODEL_FILES[0]}"
            )
        return
    from huggingface_hub import utils
    from huggingface_hub.errors import HFValidationError

    try:
        if folder.is_file() or name.startswith("~"):
            raise HFValidationError("it is no folder")
        cast(Any, utils).validate_repo_id(name)
    except HFValidationError as error:
        raise NoSuchModelError(f"{wanted}; there is no folder {name!r}, and the hub has no such names") from error


def require_start(config: TrainConfig) -> None:
    """Check that there is the run that a run starts from."""
    if config.policy.start is not None:
        start_of(config.policy.start)


def start_of(name: str) -> tuple[Path, Path]:
    """Return the run folder and the checkpoint that `policy.start` names: a run, whose newest is taken, or a checkpoint.

    Raises:
        NoSuchModelError: it names neither.
    """
    folder = Path(name)
    if (folder / CHECKPOINT_FILE).is_file() and folder.parent.name == "checkpoints":
        return folder.parent.parent, folder
    found = sorted((folder / "checkpoints").glob("iteration-*"))
    if not found or not (folder / "config.json").is_file():
        raise NoSuchModelError(
            f"policy.start must be the folder of a run, or of a checkpoint in one, got {name!r}; `ssl4rl train ENV --out "
            "FOLDER` leaves one"
        )
    return folder, found[-1]


def started(policy: PolicyConfig) -> PolicyConfig:
    """Return the settings of a network that starts from another run's: those that decide its shape are that run's.

    Raises:
        NoSuchModelError: there is no such run.
        ValueError: another network is asked for.
    """
    assert policy.start is not None
    run, checkpoint = start_of(policy.start)
    file = run / "config.json"
    try:
        theirs = TrainConfig.from_json(json.loads(file.read_text())).policy
    except (TypeError, ValueError) as error:
        raise ValueError(f"policy.start: {file} holds no settings of the trainer: {error}") from error
    usual = PolicyConfig()
    for name in SHAPE:
        wanted, there = getattr(policy, name), getattr(theirs, name)
        if wanted not in (getattr(usual, name), there):
            raise ValueError(
                f"policy.start takes the network of {run}, which has policy.{name} {there}; leave out policy.{name} {wanted}"
            )
    shape = {name: getattr(theirs, name) for name in SHAPE}
    return dataclasses.replace(policy, start=str(checkpoint.resolve()), **shape)


def require_parts(config: TrainConfig) -> None:
    """Check that what is to be frozen is a part of some model; whether the run's has it, `freezing.freeze` looks."""
    for name in config.policy.freeze:
        if name not in PARTS:
            raise ValueError(f"policy.freeze takes {', '.join(PARTS)}, got {name!r}{did_you_mean(name, PARTS)}")


def require_device(config: TrainConfig) -> None:
    """Check that there is such a device."""
    from ssl4rl_agents.runtime.device import find_device  # here, since torch takes seconds to import

    find_device(config.device)


NAMED: dict[str, Callable[[TrainConfig], None]] = {
    "env": lambda config: require_environment(config.env),
    "env_args": require_arguments,
    "format_tasks": require_tasks,
    "policy.model": require_model,
    "rollout.context": require_context,
    "policy.start": require_start,
    "policy.freeze": require_parts,
    "device": require_device,
}
"""By the setting, what looks whether there is what it names; each raises as `check_named` does."""
