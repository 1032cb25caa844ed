"""Run the tests of other libraries with those libraries: `make clients`, or ``python tests/clients/rerun.py llm serve``.

Libraries that want different versions of one package stand in different groups. Each group has an environment under
`.clients/`, made when it is first needed: it sees what the project itself is tested with, and puts before that exactly the
packages of `requirements/GROUP.txt`. A file whose tests were all skipped was not tested, so that counts as a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".clients"


@dataclass(frozen=True)
class Group:
    """Libraries that can be installed beside each other.

    Args:
        tests: names of the files in tests/clients without "test_", or with another folder before them.
        python: another one than the project's own; its environment sees no packages but its list's.
    """

    tests: tuple[str, ...]
    python: str = ""

    @property
    def files(self) -> list[Path]:
        """The files, from the root of the repository."""
        parts = [test.rpartition("/") for test in self.tests]
        return [Path("tests", folder or "clients", f"test_{name}.py") for folder, _, name in parts]


GROUPS = {
    "own": Group(
        (
            *("envs/rows", "agents/messages", "envs/graph_bridges", "envs/exports", "webdataset"),
            *("wrapper_sweep", "gymnasium_wrappers", "sb3", "cleanrl", "serve", "serve_load", "endpoint", "pretrained"),
        )
    ),
    "llm": Group(("trl", "verifiers", "reasoning_gym", "pages")),
    "verl": Group(("verl",)),
    "rl": Group(("tianshou", "skrl", "agilerl", "rllib", "ray_workers", "minari", "lmms_eval")),
    "torchrl": Group(("torchrl", "gymnasium_wrappers")),
    "serve": Group(("openenv", "skyrl", "openai_messages", "transformers_serve", "pages")),
    "vlmevalkit": Group(("vlmevalkit",)),
    "nemo_gym": Group(("nemo_gym", "pages"), python="python3.12"),
}
"""All, in the order in which they run; "own" needs nothing beside the project's own environment."""


def main(names: list[str]) -> int:
    """Run the groups named, or all; return how many tests failed and files were not tested."""
    if unknown := set(names) - set(GROUPS):
        raise SystemExit(f"there are the groups {', '.join(GROUPS)}, not {', '.join(sorted(unknown))}")
    failures, lines = 0, []
    for name in names or GROUPS:
        outcome = run(environment(name), GROUPS[name])
        for file in GROUPS[name].files:
            found = outcome[file.stem]
            wrong = found["failed"] + (not found["passed"])
            failures += wrong
            counts = ", ".join(f"{count} {what}" for what, count in sorted(found.items())) or "nothing was run"
            lines.append(f"{'FAILED' if wrong else 'ok':8}{name:12}{file}: {counts}")
    print("\n".join(lines))
    return failures


def environment(name: str) -> Path:
    """Make the environment of a group unless it is there with just these packages, and return its Python."""
    if name == "own":
        return Path(sys.executable)
    wanted = (Path(__file__).parent / "requirements" / f"{name}.txt").read_text()
    folder = PLACE / name
    python, made = folder / "bin" / "python", folder / "packages.txt"
    if not made.exists() or made.read_text() != wanted:
        print(f"making {folder} ...", flush=True)
        other = GROUPS[name].python
        if other and shutil.which(other) is None:
            raise SystemExit(f"the group {name} needs {other}; put one on the path, or name the groups you want")
        subprocess.run([other or sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        if not other:
            (site,) = folder.glob("lib/python*/site-packages")
            (site / "project.pth").write_text(sysconfig.get_path("purelib"))
        source = Path(__file__).parent / "requirements" / f"{name}.txt"
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(source)]
        subprocess.run(install, check=True)
        made.write_text(wanted)
    return python


def run(python: Path, group: Group) -> dict[str, Counter[str]]:
    """Run the tests of a group, slow ones too; return how many of each file passed, failed and were skipped."""
    paths = [str(ROOT / part) for part in ("", "agents", "benchmarks")]
    # uv, which verifiers starts its harness by, is looked up on the path
    surroundings = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),
        "OMP_NUM_THREADS": "1",
    }
    files = map(str, group.files)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [str(python), "-m", "pytest", "--quiet", f"--junitxml={report}", *files], cwd=ROOT, env=surroundings, check=False
        )
        return counted(report.read_text() if report.exists() else "<none/>", [file.stem for file in group.files])


def counted(report: str, names: list[str]) -> dict[str, Counter[str]]:
    """Count the outcomes of a report of pytest by the name of a file."""
    outcome: dict[str, Counter[str]] = {name: Counter() for name in names}
    for case in ElementTree.fromstring(report).iter("testcase"):
        where = f"{case.get('classname')}.{case.get('name')}".split(".")  # of a file that was skipped, the name alone
        tags = {child.tag for child in case}
        what = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        for name in set(where) & set(names):
            outcome[name][what] += 1
    return outcome


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 100))
