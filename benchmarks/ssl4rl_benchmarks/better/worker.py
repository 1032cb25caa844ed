"""One trial, in a process of its own: make the base if it is not there, train the arm, ask the questions, write the row.

    python -m ssl4rl_benchmarks.better.worker SPEC FOLDER

is called as `bench.worker` is.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ssl4rl_agents.choosing.sides import side_of
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.pretraining import PretrainConfig, pretrain
from ssl4rl_agents.runs.checkpoint import newest
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runtime.device import find_device
from ssl4rl_agents.settings import TrainConfig, merged
from ssl4rl_benchmarks.bench import worker
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.better.declaration import BASE_TASKS, TAUGHT
from ssl4rl_benchmarks.better.measuring import measure, summaries
from ssl4rl_benchmarks.better.trials import Trial, with_settings

BASES = "bases"
RUN = "run"


def perform(trial: Trial, folder: Path, device: str = "cpu", threads: int = 1) -> Row:
    """Do a trial and return its row.

    Args:
        trial: which.
        folder: of its own; bases are kept beside those of all trials, in `BASES`.
        device: where networks learn.
        threads: that libraries may use, for the record.
    """
    start = time.perf_counter()
    base, study = folder.parent.parent / BASES / trial.base_key, trial.study
    make_base(trial, base, device)
    learned = base if trial.is_base else folder / RUN
    made = time.perf_counter()
    if trial.control == "captions":
        pretrain(captions_settings(trial, base, device), learned, overwrite=True, quiet=True)
    elif not trial.is_base:
        _train(trial, base, learned, device)
    policy = side_of(str(learned)).load(
        find_device(device)
    )  # which may say anything, also where its replies were constrained
    trained = time.perf_counter()
    found = measure(policy, {**study.pictures, **study.listed, "wording": study.wording}, study.questions)
    return {
        **worker.head(trial, device, threads),
        "base": trial.base,
        "control": trial.control,
        "pretext": trial.pretext,
        "status": "done",
        "kinds": summaries(found),
        "learned": _learned(learned) if trial.control not in ("", "captions") else None,
        "result": {"normalised": sum(2 * r.summary()["accuracy"] - 1 for r in found.values()) / len(found)},
        "seconds": {"learning": round(trained - made, 2), "total": round(time.perf_counter() - start, 2)},
    }


def make_base(trial: Trial, base: Path, device: str) -> None:
    """Make the base of a trial where it is not there; of several trials that want it, one makes it, and the others wait."""
    base.parent.mkdir(parents=True, exist_ok=True)
    with base.with_name(f"{base.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / "done").exists():
            shutil.rmtree(base, ignore_errors=True)
            pretrain(base_settings(trial, device), base, quiet=True)
            (base / "done").touch()


def _train(trial: Trial, base: Path, out: Path, device: str) -> None:
    """Train an arm from its base, in stages if it has some; the last of them stands in `out`."""
    stages = stages_of(trial, settings_of(trial, base, device))
    for number, config in enumerate(stages):
        where = out if number == len(stages) - 1 else out.with_name(f"{out.name}-{number}")
        if number:
            config = replace(config, policy=replace(config.policy, start=str(base)))
        Trainer(config, where, overwrite=True, quiet=True).run()
        base = where


def stages_of(trial: Trial, config: TrainConfig) -> list[TrainConfig]:
    """Return how an arm is trained in each of its stages, with its share of the iterations; the first is from the base."""
    if not trial.stages:
        return [config]
    iterations = config.iterations // len(trial.stages)
    return [replace(config, env=stage.env, env_args=stage.args, iterations=iterations) for stage in trial.stages]


def base_settings(trial: Trial, device: str) -> PretrainConfig:
    """Return how a trial's base is made."""
    study = trial.study
    given: dict[str, Any] = {
        "seed": trial.base,
        "bias": study.bias,
        "wording": study.wording,
        "kinds": "+".join(TAUGHT),
        "image_size": study.image_size,
        "tasks": BASE_TASKS,
        "device": device,
        **study.pretraining,
    }
    return PretrainConfig(**given)


def captions_settings(trial: Trial, base: Path, device: str) -> PretrainConfig:
    """Return how a base learns captions of scenes: in as many steps of as many rows as an arm takes."""
    config = settings_of(trial, base, device).resolved(anew=False)
    prompts, _ = config.rollout.sizes()
    assert config.optimizer.learning_rate is not None
    return PretrainConfig(
        start=str(base),
        steps=config.iterations * config.optimizer.epochs * config.optimizer.minibatches,
        unrelated_steps=0,
        batch=prompts // config.optimizer.minibatches,
        learning_rate=config.optimizer.learning_rate,
        captions=1.0,
        practice=0.0,
        image_size=trial.study.image_size,
        seed=trial.seed,
        device=device,
    )


def settings_of(trial: Trial, base: Path, device: str) -> TrainConfig:
    """Return how an arm is trained from its base: as the network that it is or, where adapters are to learn, on top of it."""
    settings = with_settings(trial)
    adapters = bool(settings.get("policy", {}).get("lora_rank"))
    begun = {"model": str(newest(base))} if adapters else {"start": str(base)}
    settings = merged(settings, {"policy": begun})
    own: dict[str, Any] = {"iterations": trial.study.iterations, "seed": trial.seed}
    if trial.env:
        own |= {"env": trial.env, "env_args": trial.args}
    never = trial.study.iterations + 1
    measured = {"eval_every": never, "eval_episodes": 512, "test_episodes": 512, "save_every": never, "device": device}
    return TrainConfig.from_json(merged({**own, **measured}, settings))


def _learned(run: Path) -> dict[str, float]:
    """Return what the trainer measured of the pretext at the end, on validation questions."""
    last: dict[str, float] = {}
    for line in read_metrics(run):
        last = line
    return {name: last[name] for name in ("validation/reward", "validation/success") if name in last}


if __name__ == "__main__":
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    worker.main(Path(sys.argv[1]), Path(sys.argv[2]), Trial.from_json, perform)
