"""Where runs are done: processes of this machine, or Ray."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from ssl4rl_benchmarks.bench.grid import Run
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.bench.running import ROW, failed

ERROR_LINES = 3


class BenchEngine(Protocol):
    """Does runs and hands out their rows as they end."""

    def do(self, runs: Sequence[Run]) -> Iterator[Row]:
        """Do runs; yield the row of each when it ends, in whatever order."""
        ...


def do_run(run: Run, folder: Path, threads: int, device: str) -> Row:
    """Do a run in a process of its own and return its row; a process that dies is a row too.

    Args:
        run: which.
        folder: its own; removed when the run has ended, kept when it was killed, so that it can be gone on with.
        threads: that its libraries may use.
        device: where networks learn.
    """
    if (folder / ROW).exists():  # it ended when nobody was there to take its row any more
        return _taken(folder)
    folder.mkdir(parents=True, exist_ok=True)
    spec, log = folder / "run.json", folder / "log.txt"
    spec.write_text(json.dumps({"run": run.to_json(), "device": device}))
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, **limits, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    with log.open("w") as file:
        command = [sys.executable, "-m", "ssl4rl_benchmarks.bench.running", str(spec), str(folder)]
        status = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment).returncode  # noqa: S603
    if (folder / ROW).exists():
        return _taken(folder)
    said = " | ".join(log.read_text().splitlines()[-ERROR_LINES:])
    return failed(run, f"its process ended with status {status}: {said}")


def _taken(folder: Path) -> Row:
    row: Row = json.loads((folder / ROW).read_text())
    shutil.rmtree(folder, ignore_errors=True)
    return row


class LocalEngine:
    """Processes of this machine, as many at a time as its cores allow.

    Args:
        folder: for the runs under way.
        cores: to use in all.
        threads: of each run.
        device: where networks learn.

    Raises:
        ValueError: there are not enough cores for one run.
    """

    def __init__(self, folder: Path, cores: int, threads: int = 1, device: str = "cpu") -> None:
        if threads < 1 or cores < threads:
            raise ValueError(f"a run takes {threads} threads, at least 1 and at most the {cores} cores")
        self.folder, self.threads, self.device = folder, threads, device
        self.workers = cores // threads

    def do(self, runs: Sequence[Run]) -> Iterator[Row]:
        """Do runs; see `BenchEngine.do`."""
        pending = iter(runs)
        with ThreadPoolExecutor(self.workers) as pool:

            def begin(run: Run) -> Future[Row]:
                return pool.submit(do_run, run, self.folder / run.key, self.threads, self.device)

            going = {begin(run) for run in islice(pending, self.workers)}
            while going:
                ended, going = wait(going, return_when=FIRST_COMPLETED)
                for future in ended:
                    going |= {begin(run) for run in islice(pending, 1)}
                    yield future.result()


class RayEngine:
    """A Ray cluster, on which the package must be installed.

    Args:
        address: of the cluster, e.g. "auto" or "ray://head:10001"; None starts Ray on this machine.
        threads: of each run, which is as many of Ray's CPUs.
        device: where networks learn; "cuda" asks for one GPU a run.

    Raises:
        ImportError: Ray is not installed.
    """

    def __init__(self, address: str | None, threads: int = 1, device: str = "cpu") -> None:
        try:
            import ray
        except ImportError as error:
            raise ImportError("--engine ray needs Ray: pip install 'ssl4rl[ray]'") from error
        self._ray, self.threads, self.device = ray, threads, device
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)

    def do(self, runs: Sequence[Run]) -> Iterator[Row]:
        """Do runs; see `BenchEngine.do`."""
        ray = self._ray
        remote = ray.remote(num_cpus=self.threads, num_gpus=int(self.device == "cuda"), max_retries=0)(_on_node)
        going: dict[Any, Run] = {remote.remote(run.to_json(), self.threads, self.device): run for run in runs}
        while going:
            (ended, *_), _ = ray.wait(list(going), num_returns=1)
            run = going.pop(ended)
            try:
                yield ray.get(ended)
            except ray.exceptions.RayError as error:
                yield failed(run, f"{type(error).__name__}: {error}")


def _on_node(data: dict[str, Any], threads: int, device: str) -> Row:
    run = Run.from_json(data)
    with tempfile.TemporaryDirectory() as folder:
        return do_run(run, Path(folder) / run.key, threads, device)
