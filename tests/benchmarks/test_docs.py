"""The documentation says what the docstrings say, and what it shows as code runs."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import gymnasium as gym
import pytest

from ssl4rl_benchmarks import docs
from ssl4rl_envs.registration import TABLE
from ssl4rl_envs.sources import PICTURES
from ssl4rl_envs.sources.graph_builtin import GRAPHS

DOCS = Path(__file__).parents[2] / "docs"
HEADINGS = ("Description", "Observation Space", "Action Space", "Rewards", "Termination", "Arguments", "Levels")


def test_the_page_of_environments_is_up_to_date():
    expected = docs.page()
    assert (DOCS / "environments.md").read_text() == expected, "run python -m ssl4rl_benchmarks.docs"


@pytest.mark.parametrize("env_id", [row.id for row in TABLE])
def test_every_environment_is_documented_under_all_headings(env_id):
    text = docs.section(env_id)
    assert [heading for heading in HEADINGS if f"\n### {heading}\n" not in text] == []
    assert (DOCS / docs.picture_name(env_id)).exists()


def test_the_page_of_other_libraries_runs_as_it_is_printed(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "bridges.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "bridges.md", "exec"), {})


EXAMPLES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", (DOCS / "extending.md").read_text(), re.DOTALL))


@pytest.fixture
def as_before():
    """Tables that examples add rows to, and modules that they import, are as they were once the test is over."""
    tables = (gym.registry, PICTURES, GRAPHS)
    known = [set(table) for table in tables]
    yield
    for name in EXAMPLES:
        sys.modules.pop(name.removesuffix(".py"), None)
    for table, names in zip(tables, known, strict=True):
        for name in set(table) - names:
            del table[name]


def test_the_page_of_extensions_shows_a_task_and_a_source():
    assert {"brightness.py", "try_it.py", "hills.py", "try_source.py"} <= set(EXAMPLES)


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize("script", [name for name in EXAMPLES if name.startswith("try_")])
def test_the_examples_of_extensions_run_as_they_are_printed(script, tmp_path, monkeypatch):
    """The page shows files and scripts that use them."""
    for name, code in EXAMPLES.items():
        (tmp_path / name).write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    runpy.run_path(script)
