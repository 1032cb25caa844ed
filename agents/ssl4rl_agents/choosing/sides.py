"""What is compared: a run as it is now, and as it was before training; or any run, checkpoint or model in a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from ssl4rl_agents.named import start_of
from ssl4rl_agents.policies.build import build_policy, load_policy
from ssl4rl_agents.policies.constraint import constrain
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.policy_settings import BUILT_IN
from ssl4rl_agents.runs.checkpoint import best, newest
from ssl4rl_agents.runs.folder import is_run, read_config
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Task

FIRST, REFERENCE = "iteration-000000", "reference"
CHECKPOINTS = {"newest": newest, "best": best}

REPLY = 64
"""Most tokens of a reply of a model that is no run's."""


class NoBeginningError(ValueError):
    """What a run began from is not kept any more."""


@dataclass(frozen=True)
class Side:
    """Where a policy comes from.

    Args:
        name: for people: a folder, or a model of the hub.
        config: how it is built.
        checkpoint: the folder of its weights; None where the settings name a model as it is.
        note: what to know of it.
    """

    name: str
    config: TrainConfig
    checkpoint: Path | None = None
    note: str = ""

    def load(self, device: torch.device, task: Task | None = None) -> Policy:
        """Build the policy.

        Args:
            device: where it goes.
            task: whose answers it will choose among: graph networks must fit it, and what was constrained in training is
                constrained to them. Without one, anything may be said.

        Raises:
            OSError, ValueError: there are no weights, or they do not fit.
        """
        config = self.config
        if self.checkpoint is None:
            policy = build_policy(config.policy, cast(Any, task), config.seed, device, config.prompt_style)
        else:
            policy = load_policy(self.checkpoint, config.policy, device, task, config.prompt_style)
        if config.rollout.constrained and task is not None and policy.interface == "text":
            constrain(policy, task)
        return policy


def side_of(name: str, which: str = "newest", style: str = "direct", *, hub: bool = False) -> Side:
    """Return what a folder holds: a run, a checkpoint in one, or a model of transformers.

    Args:
        name: the folder.
        which: of a run's checkpoints, "newest" or "best".
        style: how a model that is no run's is asked to reply.
        hub: whether it may be the name of a model of the hub.

    Raises:
        FileNotFoundError: there is no such checkpoint, or no such folder.
    """
    folder = Path(name)
    if is_run(folder):
        return Side(name, read_config(folder), CHECKPOINTS[which](folder))
    run = folder.parent if folder.name == REFERENCE else folder.parent.parent
    if folder.is_dir() and is_run(run):
        return Side(name, read_config(run), folder)
    if not folder.is_dir() and not hub:
        raise FileNotFoundError(f"there is no folder {name}; name a run, a checkpoint in one, or a model of transformers")
    config = TrainConfig(prompt_style=cast(Any, style))
    return Side(name, replace(config, policy=replace(config.policy, model=name, max_new_tokens=REPLY)))


def beginning_of(run: Path) -> Side:
    """Return a run as it was before its first iteration, the format warm-up included where that is kept.

    That is its checkpoint of iteration 0; its `reference`, which it keeps for the divergence; or what it started from.

    Raises:
        NoBeginningError: none of them is there; the message says what to do.
    """
    config = read_config(run)
    for kept in (run / "checkpoints" / FIRST, run / REFERENCE):
        if kept.is_dir():
            return Side(str(kept), config, kept)
    note = ""
    if config.format_warmup:
        note = f"the format warm-up of {config.format_warmup} steps that followed is no part of it"
    if config.policy.start is not None:
        try:
            return Side(config.policy.start, config, start_of(config.policy.start)[1], note)
        except ValueError as error:
            raise _lost(run, config, f"{error}") from error
    if config.policy.model not in BUILT_IN:
        return Side(config.policy.model, config, None, note)
    raise _lost(run, config, f"a {config.policy.model} from scratch has its first weights in no other place")


def _lost(run: Path, config: TrainConfig, why: str) -> NoBeginningError:
    enough = config.iterations // max(config.save_every, 1) + 2
    return NoBeginningError(
        f"{run} does not keep its beginning any more: {FIRST} is not among the newest {config.keep} checkpoints (keep), "
        f"there is no {REFERENCE}, and {why}. Name what to compare with: --before FOLDER (a run, a checkpoint, a model); "
        f"measure the run alone: --before none; or train with --keep {enough}"
    )
