"""The documentation says what the docstrings say, and what it shows as code runs."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from ssl4rl_benchmarks.figures import environments
from ssl4rl_envs.registration import TABLE

DOCS = Path(__file__).parents[2] / "docs"
HEADINGS = ("Description", "Observation Space", "Action Space", "Rewards", "Termination", "Arguments", "Levels")


def test_the_page_of_environments_is_up_to_date():
    expected = environments.page()
    assert (DOCS / "environments.md").read_text() == expected, "run python -m ssl4rl_benchmarks.figures.environments"


@pytest.mark.parametrize("env_id", [row.id for row in TABLE])
def test_every_environment_is_documented_under_all_headings(env_id):
    text = environments.section(env_id)
    assert [heading for heading in HEADINGS if f"\n### {heading}\n" not in text] == []
    assert (DOCS / environments.picture_name(env_id)).exists()


def test_the_example_of_a_new_task_runs_as_it_is_printed(tmp_path, monkeypatch):
    """The page shows one file and one script; together they make an environment that works."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", (DOCS / "extending.md").read_text(), re.DOTALL)
    assert [name for name, _ in blocks] == ["brightness.py", "try_it.py"]
    for name, code in blocks:
        (tmp_path / name).write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        runpy.run_path("try_it.py")
    finally:
        import gymnasium as gym

        gym.registry.pop("SSL4RL/Brightness-v0", None)
        sys.modules.pop("brightness", None)
