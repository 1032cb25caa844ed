"""Imports run downwards: commands over reports and figures over what does the work; and what is light stays light."""

from __future__ import annotations

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import ssl4rl_benchmarks
from ssl4rl_benchmarks.commands.table import COMMANDS

NAME = "ssl4rl_benchmarks"
ROOT = Path(ssl4rl_benchmarks.__file__).parent
FLOORS = {
    "spinning": -1,  # what must be set before torch is imported
    "screen": -1,  # tables for people
    "bench": 0,  # grids, runs, rows, searches
    "audits": 0,
    "versus_trl": 0,
    "versus_build": 1,
    "better": 1,  # the declared experiment
    "paper": 1,  # the paper, half by half
    "reports": 2,  # what is made of results for people to look at
    "figures": 2,  # of the documentation
    "commands": 3,
    "cli": 4,
    "__main__": 5,
}
FILES = [file for file in sorted(ROOT.rglob("*.py")) if file != ROOT / "__init__.py"]


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(file) for file in FILES}


def imports_of(file: Path) -> set[str]:
    """The modules of this package that a file imports, those within functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and (node.module == NAME or node.module.startswith(f"{NAME}.")):
            base = node.module.removeprefix(NAME).removeprefix(".")
            for name in (alias.name for alias in node.names):
                whole = f"{base}.{name}".removeprefix(".")
                found.add(whole if whole in MODULES else base)
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix(f"{NAME}.") for alias in node.names if alias.name.startswith(f"{NAME}.")}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_import_leads_upwards_or_sideways(file):
    own = module_of(file).split(".")[0]
    wrong = []
    for other in imports_of(file):
        room = other.split(".")[0]
        if room != own and FLOORS[room] >= FLOORS[own]:
            wrong.append(other)
    assert wrong == []


def test_no_two_modules_import_each_other():
    graph = {module_of(file): imports_of(file) - {module_of(file)} for file in FILES}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_the_floors_name_every_room():
    assert {module.split(".")[0] for module in MODULES} == set(FLOORS)


def test_every_command_is_a_file_and_every_file_that_runs_a_command():
    files = {
        file.stem
        for file in (ROOT / "commands").glob("*.py")
        if "\ndef run(arguments: list[str]) -> Outcome:" in file.read_text()
    }
    assert files == {name.split()[-1] for name in COMMANDS}


def test_what_does_no_learning_imports_no_torch():
    code = """
import contextlib, io, json, sys
from ssl4rl_benchmarks.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    statuses = [main(["--help"]), main(["list"])]
heavy = ("torch", "transformers", "stable_baselines3", "matplotlib")
print(json.dumps([statuses, [name for name in heavy if name in sys.modules]]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[0, 0], []]
