"""Run the tests of other libraries with those libraries: `make clients`, or ``python tests/clients/rerun.py llm serve``.

Libraries that want different versions of one package stand in different groups. Each group has an environment under
`.clients/`, made when it is first needed: it sees what the project itself is tested with, and puts before that exactly the
packages of `requirements/GROUP.txt`. A file whose tests were all skipped was not tested, so that counts as a failure, and so
does a test that every group skipped. Each file has a process of its own: what a library does as it ends, or to other
libraries, happens to no other file.
"""

from __future__ import annotations

import os
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
    "torchrl": Group(("torchrl", "gymnasium_wrappers", "wrapper_sweep")),
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
    everywhere: dict[str, set[str]] = {}
    for name in names or GROUPS:
        python, refused = environment(name)
        for file in GROUPS[name].files:
            outcomes = run(python, file) if python else {refused: "failed"}
            found = Counter(outcomes.values())
            wrong = found["failed"] + (not found["passed"])
            failures += wrong
            counts = ", ".join(f"{count} {what}" for what, count in sorted(found.items()) if count) or "nothing was run"
            told = [f"{'FAILED' if wrong else 'ok':8}{name:12}{file}: {counts}"]
            told += [f"{'':20}{test}" for test, outcome in outcomes.items() if outcome == "failed"]
            print(*told, sep="\n", flush=True)
            lines += told
            for test, outcome in outcomes.items():
                everywhere.setdefault(f"{file}: {test}", set()).add(outcome)
    if not names:
        unseen = [test for test, outcomes in everywhere.items() if outcomes == {"skipped"}]
        lines += [f"{'FAILED':8}{'any':12}{test} was skipped in each group" for test in unseen]
        failures += len(unseen)
    print("", *lines, sep="\n")  # once more, below what libraries have printed
    return failures


def environment(name: str) -> tuple[Path | None, str]:
    """Make the environment of a group unless it is there with just these packages.

    Returns:
        its Python, or None and why there is none: other groups can do without it.
    """
    if name == "own":
        return Path(sys.executable), ""
    source = Path(__file__).parent / "requirements" / f"{name}.txt"
    folder = PLACE / name
    python, made = folder / "bin" / "python", folder / "packages.txt"
    if not made.exists() or made.read_text() != source.read_text():
        print(f"making {folder} ...", flush=True)
        try:
            make(folder, source, GROUPS[name].python)
        except (OSError, subprocess.CalledProcessError) as error:
            return None, f"environment that could not be made: {error}"
        made.write_text(source.read_text())
    return python, ""


def make(folder: Path, source: Path, other: str) -> None:
    """Make an environment anew, with the packages of a list, by the Python named or the project's own."""
    # which of pyenv's Pythons "python3.12" is, it looks up here; nobody else does
    chosen = {**os.environ, "PYENV_VERSION": other.removeprefix("python")} if other else None
    subprocess.run([other or sys.executable, "-m", "venv", "--clear", str(folder)], check=True, env=chosen)
    if not other:
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "project.pth").write_text(sysconfig.get_path("purelib"))
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(source)]
    subprocess.run(install, check=True)


def run(python: Path, file: Path) -> dict[str, str]:
    """Run the tests of a file, slow ones too, in a process of its own; return what became of each test."""
    paths = [str(ROOT / part) for part in ("", "agents", "benchmarks")]
    # uv, which verifiers starts its harness by, is looked up on the path
    surroundings = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),
        "OMP_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [str(python), "-m", "pytest", "--quiet", f"--junitxml={report}", str(file)]
        code = subprocess.run(command, cwd=ROOT, env=surroundings, check=False).returncode
        return outcomes_of(report.read_text() if report.exists() else "", code)


def outcomes_of(report: str, code: int) -> dict[str, str]:
    """Tell of each test in a report of pytest whether it "passed", "failed" or was "skipped".

    Where the report is not whole, that the process ended with a code before its tests had is what failed.
    """
    try:
        cases = list(ElementTree.fromstring(report).iter("testcase"))
    except ElementTree.ParseError:
        return {f"its process ended with code {code} before its tests had": "failed"}
    outcomes = {}
    for case in cases:
        tags = {child.tag for child in case}
        what = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        test = f"{case.get('classname')}.{case.get('name')}"
        if outcomes.get(test) != "failed":  # a test whose teardown fails has two entries
            outcomes[test] = what
    return outcomes


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 100))
