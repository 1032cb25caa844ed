"""One run, in a process of its own: learn, measure, answer the questions of the gallery, write the row.

    python -m ssl4rl_benchmarks.bench.worker SPEC FOLDER

reads a run from the file SPEC (JSON) and leaves `row.json` in FOLDER.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ssl4rl_agents.agent import agent_interface, load_agent
from ssl4rl_agents.evaluation import evaluate_in
from ssl4rl_agents.lessons import Learner, Lesson
from ssl4rl_agents.runs.files import FolderLock, write_json
from ssl4rl_agents.runs.trained import is_trained, read_trained
from ssl4rl_agents.settings import TrainSettings
from ssl4rl_benchmarks.bench.gallery import gallery_answers
from ssl4rl_benchmarks.bench.grid import Doable, Run, thawed
from ssl4rl_benchmarks.bench.rows import Row, commit, machine, versions
from ssl4rl_envs import SSLVectorEnv, make_task

RunT = TypeVar("RunT", bound=Doable)

ROW, BEFORE = "row.json", "before.json"
MEASUREMENTS, MEASURED_EPISODES = 8, 256
WATCH = 1.0  # seconds
PATIENCE = 20 * WATCH
"""How long a run waits for the process of a killed sweep to end."""


def perform(run: Run, folder: Path, device: str = "cpu", threads: int = 1) -> Row:
    """Do a run and return its row.

    Args:
        run: which.
        folder: for what the agent leaves; what an interrupted run left there is gone on with, where the agent can.
        device: where networks learn.
        threads: that libraries may use, for the record.
    """
    start = time.perf_counter()
    row = head(run, device, threads)
    args, name = thawed(run.env.args), run.agent.name
    asked = read_trained(Path(name)) if is_trained(name) else TrainSettings()
    style, grammar = asked.prompt_style, asked.grammar
    task, interface = make_task(run.env.id, **args), agent_interface(name)
    envs = SSLVectorEnv(task, num_envs=128, split=run.split, interface=interface, prompt_style=style, grammar=grammar)
    agent = load_agent(name, envs, **settings_of(run))
    learning, lesson, before = 0.0, None, None
    if isinstance(agent, Learner):
        numbers = (run.episodes, run.seed, folder, MEASUREMENTS, MEASURED_EPISODES)
        lesson = Lesson(run.env.id, args, *numbers, device, style, grammar)
        first = folder / BEFORE
        if run.env.beyond:
            lesson.on_begin = lambda fresh: write_json(first, _probes().measure(run, fresh, style, grammar))
        begun = time.perf_counter()
        agent.learn(lesson)
        lesson.end(agent)
        learning = lesson.curve[-1].seconds if lesson.curve else time.perf_counter() - begun
        before = json.loads(first.read_text()) if first.exists() else None
    result = evaluate_in(agent, envs, env=run.env.id, episodes=run.test_episodes)
    return {
        **row,
        "status": "done",
        "settings": {} if lesson is None else lesson.settings,
        "result": result.to_json(),
        "curve": [] if lesson is None else [point.to_json() for point in lesson.curve],
        "beyond": _probes().compare(run, agent, before, style, grammar) if run.env.beyond else [],
        "answers": gallery_answers(agent, envs) if run.split == "test" else [],
        "seconds": {"learning": round(learning, 2), "total": round(time.perf_counter() - start, 2)},
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform != "darwin" else 2**20),
    }


def _probes() -> Any:
    """Import what takes seconds to import only where it is needed."""
    from ssl4rl_benchmarks.bench import probes

    return probes


def failed(run: Doable, error: str, device: str = "cpu", threads: int = 1) -> Row:
    """Return the row of a run that came to nothing."""
    return {**head(run, device, threads), "status": "failed", "error": error}


def head(run: Doable, device: str, threads: int) -> Row:
    """Return what stands in front of every row: which run it is, and by what it was done."""
    return {
        "key": run.key,
        **run.named,
        "config": run.to_json(),
        "command": run.command,
        "device": device,
        "threads": threads,
        "commit": commit(),
        "versions": versions(),
        "machine": machine(),
        "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def settings_of(run: Run) -> dict[str, Any]:
    """Return the keyword arguments of the agent's factory; the random agent's seed is the run's."""
    return {**run.agent.settings, "seed": run.seed} if run.agent.name == "random" else run.agent.settings


def main(
    spec: Path,
    folder: Path,
    read: Callable[[dict[str, Any]], RunT],
    do: Callable[[RunT, Path, str, int], Row],
) -> None:
    """Do the run of a file; what goes wrong becomes a row too.

    Args:
        spec: the file, as `executors.do_run` wrote it.
        folder: of the run.
        read: makes a run of what its `to_json` gave.
        do: does it, as `perform` does.
    """
    data = json.loads(spec.read_text())
    _end_with(data["parent"])
    run, device, threads = read(data["run"]), data["device"], data["threads"]
    lock = FolderLock(folder, "another process of a sweep")
    lock.acquire(PATIENCE)
    try:
        if (folder / ROW).exists():  # of the one that was waited for
            return
        try:
            row = do(run, folder, device, threads)
        except Exception as error:
            traceback.print_exc()
            row = failed(run, f"{type(error).__name__}: {error}", device, threads)
        write_json(folder / ROW, json.loads(json.dumps(row, default=_plain)))
    finally:
        lock.release()


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone, so that a run is never done twice at a time."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be kept in a row")


if __name__ == "__main__":
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    main(Path(sys.argv[1]), Path(sys.argv[2]), Run.from_json, perform)
