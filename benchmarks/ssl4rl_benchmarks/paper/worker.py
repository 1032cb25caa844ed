"""One trial, in a process of its own: measure the model, train it, measure it again on the same held-out questions.

    python -m ssl4rl_benchmarks.paper.worker SPEC FOLDER

is called as `bench.worker` is.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ssl4rl_agents.evaluation import clustered_interval, normalise
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.files import write_json
from ssl4rl_agents.runs.folder import is_run
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_benchmarks.bench import worker
from ssl4rl_benchmarks.bench.grid import Entry, Environment, Run
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.paper.trials import KEY, Trial
from ssl4rl_envs import Stream, Task
from ssl4rl_envs.interface import Interface

RUNS, BESIDE, BEFORE = "runs", "beside", "before.json"

SPLIT, SEED = "test", 2510
"""Which questions are asked before and after; the same of every model, whether it reads arrays or words."""

CHUNK = 128
"""Questions that are asked at a time."""


def perform(trial: Trial, folder: Path, device: str = "cpu", threads: int = 1) -> Row:
    """Do a trial and return its row.

    Args:
        trial: which.
        folder: of its own; the run that it leaves is kept beside those of all trials, in `RUNS`, where an interrupted one
            goes on.
        device: where networks learn.
        threads: that libraries may use, for the record.
    """
    start = time.perf_counter()
    run = run_of(folder.parent.parent, trial)
    config = TrainConfig.from_json({**trial.config, "device": device})
    begun = is_run(run)
    trainer = Trainer(config, run, resume=begun, quiet=True)
    config = trainer.config

    def measured() -> dict[str, Any]:
        found = measure(trainer.policy, trainer.task, trial.episodes, trainer.device, config)
        return found | {"beyond": beyond(trial, trainer.policy, trainer.device, config)}

    if not trainer.run(lambda: write_json(run / BEFORE, measured())):
        raise RuntimeError(f"interrupted at iteration {trainer.iteration}; the same call goes on from there")
    before, after = json.loads((run / BEFORE).read_text()), measured()
    learning = [line["seconds"] for line in read_metrics(run) if "seconds" in line]
    return {
        **worker.head(trial, device, threads),
        "status": "done",
        "run": str(run.relative_to(folder.parent.parent)),
        "chance": trainer.task.chance,
        "beyond": moved(trial, before.pop("beyond", {}), after.pop("beyond"), folder.parent.parent),
        "before": before,
        "result": after,
        "seconds": {"learning": round(learning[-1], 2), "total": round(time.perf_counter() - start, 2)},
    }


def run_of(out: Path, trial: Trial) -> Path:
    """Return the run folder of a trial."""
    return out / RUNS / trial.key


def as_run(trial: Trial) -> Run:
    """Return a trial as a run of a grid, which is what is asked for what else an agent does."""
    config = trial.config
    env = Environment(config["env"], config["env_args"], beyond=trial.beyond)
    return Run(f"paper {trial.half}", env, Entry(trial.model), config["seed"], 0, trial.episodes)


def beyond(trial: Trial, policy: Policy, device: Any, config: TrainConfig) -> dict[str, Any]:
    """Measure all that a trial names, by name: as `Measured.to_json` gives it, or what went wrong."""
    if not trial.beyond:
        return {}
    from ssl4rl_benchmarks.bench import probes  # which takes seconds to import

    agent = PolicyAgent(policy, device=device)
    found = probes.measure_in_parts(as_run(trial), agent, config.prompt_style, config.grammar)
    return {name: each if isinstance(each, str) else each.to_json() for name, each in found.items()}


def moved(trial: Trial, before: dict[str, Any], after: dict[str, Any], out: Path) -> list[dict[str, Any]]:
    """Return of each measurement what it was before and after, and what is reached without a network; or what went wrong.

    Questions and draws are the same before and after, so what they are about, `units`, is said once.
    """
    found: list[dict[str, Any]] = []
    for what in trial.beyond:
        sides = before.get(what, "it was not measured before"), after[what]
        wrong = next((side for side in sides if isinstance(side, str)), None)
        if wrong is not None:
            found.append({"what": what, "error": wrong})
        else:
            units = sides[1]["units"]
            if sides[0]["units"] != units:
                raise ValueError(f"{what} is of other questions than it was when training began; train anew")
            bare = [{"value": side["value"], "parts": side["parts"]} for side in sides]
            entry = {"what": what, "units": units, "before": bare[0], "after": bare[1]}
            found.append({**entry, "beside": beside(trial, what, out)})
    return found


def beside(trial: Trial, what: str, out: Path) -> dict[str, float]:
    """Return what is reached without a network, which is the same for all trials over one source, and kept for the others."""
    from ssl4rl_benchmarks.bench import probes

    decides = json.dumps([what, trial.config["env_args"], trial.episodes], sort_keys=True)
    file = out / BESIDE / f"{hashlib.sha256(decides.encode()).hexdigest()[:KEY]}.json"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        write_json(file, probes.references(what, as_run(trial), infomax=False))
    found: dict[str, float] = json.loads(file.read_text())
    return found


def measure(policy: Policy, task: Task, questions: int, device: Any, config: TrainConfig) -> dict[str, Any]:
    """Ask a policy the first held-out questions of a task; return what it earned, and of each question whether it was right.

    Args:
        policy: who.
        task: what; of one decision.
        questions: how many.
        device: where the policy is.
        config: how it is asked and read.
    """
    agent = PolicyAgent(policy, device=device)
    interface = Interface(task, policy.interface, config.prompt_style, config.grammar)
    parts = []
    for first in range(0, questions, CHUNK):
        batch = task.sample(Stream.span(SPLIT, SEED, first, min(CHUNK, questions - first)))
        actions = agent.act(policy.observe(interface, batch), deterministic=True)
        step = interface.step(batch, actions)
        best = task.score(task.oracle(batch), batch).reward
        parts.append((step.step.score.reward, step.step.score.success, step.answered, batch.items, best))
    reward, success, readable, items, best = (np.concatenate(part) for part in zip(*parts, strict=True))
    low, high = clustered_interval(success, items)
    return {
        "episodes": questions,
        "reward": float(reward.mean()),
        "success": float(success.mean()),
        "interval": [low, high],
        "readable": float(readable.mean()),
        "normalised": normalise(float(reward.mean()), task.chance, float(best.mean())),
        "right": "".join("1" if right else "0" for right in success),
        "items": items.tolist(),
    }


if __name__ == "__main__":
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    worker.main(Path(sys.argv[1]), Path(sys.argv[2]), Trial.from_json, perform)
