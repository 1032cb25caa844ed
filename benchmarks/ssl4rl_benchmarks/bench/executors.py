"""Where runs are done: processes of this machine, or Ray."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from ssl4rl_benchmarks.bench.grid import Doable
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.bench.worker import ROW, failed
from ssl4rl_envs.installing import install_line

ERROR_LINES = 3


class Executor(Protocol):
    """Does runs and hands out their rows as they end."""

    def do(self, runs: Sequence[Doable]) -> Generator[Row, None, None]:
        """Do runs; yield the row of each when it ends, in whatever order.

        When the next row is asked for, the last one is taken to be on the disk.
        """
        ...


@dataclass
class Resources:
    """What a run may use.

    Args:
        threads: of its libraries.
        device: where networks learn.
        gpu: which GPU it sees, or None for all.
        children: the processes under way, to be ended where the sweep is.
    """

    threads: int
    device: str
    gpu: int | None = None
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)


def do_run(run: Doable, folder: Path, resources: Resources) -> Row:
    """Do a run in a process of its own and return its row; a process that dies is a row too.

    Args:
        run: which.
        folder: its own. A row that is there already is taken, and what else an interrupted run left is gone on with.
        resources: what it may use.
    """
    if not (folder / ROW).exists():
        folder.mkdir(parents=True, exist_ok=True)
        spec, log = folder / "run.json", folder / "log.txt"
        told = {"run": run.to_json(), "device": resources.device, "threads": resources.threads, "parent": os.getpid()}
        spec.write_text(json.dumps(told))
        with log.open("wb") as file:
            command = [sys.executable, "-m", run.worker, str(spec), str(folder)]
            child = subprocess.Popen(  # noqa: S603 - our own module
                command, stdout=file, stderr=subprocess.STDOUT, env=_environment(resources), start_new_session=True
            )
            resources.children.append(child)
            status = child.wait()
            resources.children.remove(child)
        if not (folder / ROW).exists():
            said = " | ".join(log.read_text(errors="replace").splitlines()[-ERROR_LINES:])
            return failed(run, f"its process ended with status {status}: {said}", resources.device, resources.threads)
    row: Row = json.loads((folder / ROW).read_text())
    return row


def _environment(resources: Resources) -> dict[str, str]:
    counted = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SSL4RL_THREADS")
    limits = {name: str(resources.threads) for name in counted}
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    found = {**os.environ, **limits, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    return found if resources.gpu is None else {**found, "CUDA_VISIBLE_DEVICES": str(resources.gpu)}


class LocalExecutor:
    """Processes of this machine, as many at a time as its cores allow, and with device "cuda" as its GPUs do.

    Args:
        folder: for the runs under way.
        cores: to use in all.
        threads: of each run.
        device: where networks learn.
        runs_per_gpu: that share a GPU at a time, with device "cuda".

    Raises:
        ValueError: there are not enough cores for one run, or no GPU.
    """

    def __init__(self, folder: Path, cores: int, threads: int = 1, device: str = "cpu", runs_per_gpu: int = 1) -> None:
        if threads < 1 or cores < threads:
            raise ValueError(f"a run takes {threads} threads, at least 1 and at most the {cores} cores")
        self.folder, self.threads, self.device = folder, threads, device
        self.workers = cores // threads
        self._children: list[subprocess.Popen[bytes]] = []
        self._gpus: queue.SimpleQueue[int] = queue.SimpleQueue()
        if device == "cuda":
            import torch

            gpus = torch.cuda.device_count()
            if not gpus:
                raise ValueError("--device cuda needs a GPU, and there is none")
            self.workers = min(self.workers, gpus * runs_per_gpu)
            for place in range(gpus * runs_per_gpu):
                self._gpus.put(place % gpus)

    def do(self, runs: Sequence[Doable]) -> Generator[Row, None, None]:
        """Do runs; see `Executor.do`. If this ends early, so do the processes."""
        pending = iter(runs)
        with ThreadPoolExecutor(self.workers) as pool:

            def begin(count: int) -> dict[Future[Row], Doable]:
                return {pool.submit(self._do, run): run for run in islice(pending, count)}

            going = begin(self.workers)
            try:
                while going:
                    ended, _ = wait(going, return_when=FIRST_COMPLETED)
                    for future in ended:
                        run = going.pop(future)
                        going |= begin(1)
                        error = future.exception()
                        if error is not None:
                            yield failed(run, f"{type(error).__name__}: {error}", self.device, self.threads)
                            continue
                        yield future.result()
                        shutil.rmtree(self.folder / run.key, ignore_errors=True)  # now that its row is on the disk
            finally:
                for child in self._children:
                    child.terminate()

    def _do(self, run: Doable) -> Row:
        gpu = self._gpus.get() if self.device == "cuda" else None
        try:
            return do_run(run, self.folder / run.key, Resources(self.threads, self.device, gpu, self._children))
        finally:
            if gpu is not None:
                self._gpus.put(gpu)


class RayExecutor:
    """A Ray cluster, on which the package must be installed, in the same folder where an agent is named as module:attribute.

    A run that is killed begins anew, since its folder is on the node that did it.

    Args:
        address: of the cluster, e.g. "auto" or "ray://head:10001"; None starts Ray on this machine.
        threads: of each run, which is as many of Ray's CPUs.
        device: where networks learn; "cuda" asks for a GPU a run, or for a share of one.
        cores: of a Ray that is started; all by default.
        runs_per_gpu: that share a GPU at a time, with device "cuda".

    Raises:
        ImportError: Ray is not installed.
        ValueError: `cores` were named for a cluster that has its own, or a Ray that was started here has less than one run
            takes.
    """

    def __init__(
        self,
        address: str | None,
        threads: int = 1,
        device: str = "cpu",
        cores: int | None = None,
        runs_per_gpu: int = 1,
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise ImportError(f"--engine ray needs Ray: {install_line('ray')}") from error
        if address is not None and cores is not None:
            raise ValueError("a cluster has its own cores; leave out --cores, or --address")
        self._ray: Any = ray
        self.threads, self.device = threads, device
        self.gpus = 1 / runs_per_gpu if device == "cuda" else 0
        ray.init(address=address, num_cpus=cores, ignore_reinit_error=True, log_to_driver=False)
        there = self._ray.cluster_resources()
        for kind, wanted in {"CPU": threads, "GPU": self.gpus}.items():
            if address is None and there.get(kind, 0) < wanted:  # a cluster may grow; this machine would wait for ever
                raise ValueError(f"a run takes {wanted:g} {kind}, and Ray has {there.get(kind, 0):g} here")

    def do(self, runs: Sequence[Doable]) -> Generator[Row, None, None]:
        """Do runs; see `Executor.do`."""
        ray = self._ray
        remote = ray.remote(num_cpus=self.threads, num_gpus=self.gpus, max_retries=0)(_on_node)
        going: dict[Any, Doable] = {remote.remote(run, self.threads, self.device): run for run in runs}
        while going:
            (ended, *_), _ = ray.wait(list(going), num_returns=1)
            run = going.pop(ended)
            try:
                row = ray.get(ended)
            except Exception as error:  # of Ray, or of the node: whatever it is, the others go on
                row = failed(run, f"{type(error).__name__}: {error}", self.device, self.threads)
            yield row


def _on_node(run: Doable, threads: int, device: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        return do_run(run, Path(folder) / run.key, Resources(threads, device))
