"""A commit's packages: a git worktree, and processes that import from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ssl4rl_benchmarks.versus_build.cases import Case

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Check a commit out into a folder that is gone afterwards.

    Raises:
        ValueError: there is no such commit, or these files are no git checkout.
    """
    with TemporaryDirectory(prefix="ssl4rl-build-") as folder:
        place = Path(folder) / "tree"
        done = _git("worktree", "add", "--detach", str(place), commit)
        if done.returncode:
            raise ValueError(f"commit {commit!r} cannot be checked out from {ROOT}: {done.stderr.strip()}")
        try:
            yield place
        finally:
            _git("worktree", "remove", "--force", str(place))


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("git") or "git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words and a commit


def environment(root: Path, threads: int) -> dict[str, str]:
    """Return the environment of a process that imports the packages of a checkout and uses so many threads."""
    places = [root, root / "agents", root / "benchmarks", *filter(None, [os.environ.get("PYTHONPATH")])]
    limits = dict.fromkeys(("SSL4RL_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {**os.environ, **limits, "PYTHONPATH": os.pathsep.join(map(str, places)), "PYTHONSAFEPATH": "1"}


class Worker:
    """A process that runs one case.

    Args:
        script: "worker" or "peers".
        root: of the checkout whose packages it imports.
        case: what it prepares.
        warm: seconds that it runs before anything is timed.
    """

    def __init__(self, script: str, root: Path, case: Case, warm: float) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own scripts
            [sys.executable, str(HERE / f"{script}.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=root,
            env=environment(root, case.threads),
        )
        self.prepared: float = self._ask({"kind": case.kind, "arguments": case.arguments, "warm": warm})["prepared"]

    def measure(self, seconds: float) -> dict[str, float]:
        """Return `items`, and seconds of the clock (`wall`) and of the processor (`cpu`), of about so many seconds."""
        return self._ask(seconds)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, what: Any) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            said = self._process.communicate()[1].strip().splitlines()
            raise RuntimeError(said[-1] if said else "the process ended without a word")
        found: dict[str, float] = json.loads(line)
        return found
