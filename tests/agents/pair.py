"""Run by each of two processes: gradients, a training run, its resumption, one of episodes of several decisions, and one that
is paid for its own opinion and for looking, with a share of replay, each in a fork of its own.

What takes longest, importing, is done once. In a fork no group of processes, no engine of DeepSpeed and none of accelerate's
state is there yet, so that each stage begins as a launched process does. Each ends as one does, too: by leaving Python.

The argument is the folder to write to.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import accelerate  # noqa: F401
import numpy as np
from torch.distributed import TCPStore

import ssl4rl_benchmarks.commands.train  # noqa: F401
from ssl4rl_agents.runs.pretrained_on import write_pretrained
from ssl4rl_agents.runtime.processes import is_main
from ssl4rl_benchmarks import cli
from tests.agents import two_processes

FLAGS = "--iterations 2 --rollout.prompts 8 --rollout.group-size 2 --optimizer.minibatches 2 --optimizer.micro-batch 1"
FLAGS += " --format-warmup 2 --image-size 36 --source digits --test-episodes 8 --eval-episodes 8 --device cpu"
FLAGS += " --eval-every 1 --save-every 1 --keep 3 --json"


def gradients(folder: Path) -> int:
    two_processes.check(folder)
    return 0


def train(folder: Path) -> int:
    return cli.main(["train", "SSL4RL/Rotation-v0", "--out", str(folder / "run"), *FLAGS.split()])


def episodes(folder: Path) -> int:
    if "ACCELERATE_USE_FSDP" in os.environ or "ACCELERATE_USE_DEEPSPEED" in os.environ:
        return 0  # whole weights alone play them
    swaps = ["--grid", "2", "--max-steps", "4", "--rollout.invalid", "end"]
    return cli.main(["train", "SSL4RL/PatchSwap-v0", "--out", str(folder / "episodes"), *FLAGS.split(), *swaps])


def opinions(folder: Path) -> int:
    if "ACCELERATE_USE_FSDP" in os.environ or "ACCELERATE_USE_DEEPSPEED" in os.environ:
        return 0  # whole weights alone are asked for whole replies
    flags = FLAGS.replace("--source digits", "--source scenes --kinds light --wording plain").split()
    paid = ["--control.reward", "contrast", "--objective.grounding-coefficient", "0.1", "--optimizer.replay", "0.5"]
    begun = ["--policy.start", str(folder / "run")]
    return cli.main(["train", "SceneQA", "--out", str(folder / "opinions"), *flags, *begun, *paid])


def resume(folder: Path) -> int:
    return cli.main(["train", "--resume", str(folder / "again"), "--json"])


def lose_the_last_checkpoint(folder: Path) -> None:
    """Copy the run, as if it had been killed before it saved its second iteration."""
    shutil.copytree(folder / "run", folder / "again")
    shutil.rmtree(folder / "again" / "checkpoints" / "iteration-000002")


def say_what_it_was_pretrained_on(folder: Path) -> None:
    """Let the run be one that was taught flips, which may be replayed."""
    flips = {"env": "SSL4RL/FlipPrediction-v0", "env_args": {"source": "digits", "image_size": 36}, "share": 1.0}
    write_pretrained(folder / "run", [flips], {})


def begin(name: str, folder: Path) -> TCPStore | None:
    """Make a fork what the launcher would have started: the other is met at a store, which is returned to be kept.

    A store a stage, since in the launcher's own gloo would find the addresses of the stage before.
    """
    launcher, store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False), None
    if is_main():
        store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
        launcher.set(name, str(store.port))
    os.environ["MASTER_PORT"] = launcher.get(name).decode()  # waits for the main process
    random.seed()
    np.random.seed()  # noqa: NPY002
    with (folder / f"{name}.txt").open("a") as printed:
        os.dup2(printed.fileno(), sys.stdout.fileno())
    return store


def main(folder: Path) -> None:
    before = {"resume": lose_the_last_checkpoint, "opinions": say_what_it_was_pretrained_on}
    for stage in (gradients, train, resume, episodes, opinions):
        if stage.__name__ in before and is_main():
            before[stage.__name__](folder)
        if not (child := os.fork()):
            _store = begin(stage.__name__, folder)
            sys.exit(stage(folder))
        if status := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            sys.exit(f"{stage.__name__} ended with {status}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
