"""The documentation says what the docstrings say, and what it shows as code runs."""

from __future__ import annotations

import pkgutil
import re
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import gymnasium as gym
import pytest

from ssl4rl_benchmarks.figures import environments
from ssl4rl_envs.registration import TABLE
from ssl4rl_envs.sources import PICTURES
from ssl4rl_envs.sources.graph_builtin import GRAPHS

DOCS = Path(__file__).parents[2] / "docs"
HEADINGS = ("Description", "Observation Space", "Action Space", "Rewards", "Termination", "Arguments", "Levels")

NAME = r"\bssl4rl_(?:benchmarks|agents|envs)(?:\.\w+)+"
"""Of a module or what is in it."""


def test_the_page_of_environments_is_up_to_date():
    expected = environments.page()
    assert (DOCS / "environments.md").read_text() == expected, "run python -m ssl4rl_benchmarks.figures.environments"


@pytest.mark.parametrize("env_id", [row.id for row in TABLE])
def test_every_environment_is_documented_under_all_headings(env_id):
    text = environments.section(env_id)
    assert [heading for heading in HEADINGS if f"\n### {heading}\n" not in text] == []
    assert (DOCS / environments.picture_name(env_id)).exists()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", (DOCS / "clients.md").read_text(), re.DOTALL))
def test_each_block_of_the_page_of_other_libraries_runs_alone(code, tmp_path, monkeypatch):
    for name in re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "clients.md", "exec"), {})


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


def pages() -> list[Path]:
    return sorted(DOCS.rglob("*.md"))


def code_of(page: str, after: str = "") -> str:
    """The Python blocks of a page as one script, in their order, from a heading on."""
    text = (DOCS / page).read_text()
    text = text[text.index(after) :]
    end = re.search(r"\n##+ ", text[len(after) :]) if after else None
    return "\n".join(re.findall(r"```python\n(.*?)```", text[: len(after) + end.start()] if end else text, re.DOTALL))


SHORT = 'n_steps=32, batch_size=32, n_epochs=1, device="cpu"'
SMALLER = {
    "20_000": "64",
    "iterations=20": "iterations=1, format_warmup=1, eval_episodes=4",
    '"iterations": 110': '"iterations": 1, "format_warmup": 1, "eval_episodes": 4',
    "episodes=512": "episodes=16",
    'PPO("MultiInputPolicy", env)': f'PPO("MultiInputPolicy", env, {SHORT})',
    'gym.make("ssl4rl_envs:SSL4RL/Rotation-v0"))': f'gym.make("ssl4rl_envs:SSL4RL/Rotation-v0"), {SHORT})',
}


@pytest.mark.parametrize(
    ("page", "after"), [("../README.md", ""), ("getting_started.md", ""), ("training.md", "### From Python\n")]
)
def test_what_the_guides_show_runs_as_it_is_printed(page, after, tmp_path, monkeypatch):
    """But for its sizes."""
    code = code_of(page, after)
    assert "from ssl4rl_agents import TrainConfig, Trainer" in code
    for printed, small in SMALLER.items():
        code = code.replace(printed, small)
    assert not re.search(r"iterations\W+\d\d", code), "the page trains for longer than a test may"
    (tmp_path / "shown.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("shown.py")
    assert list((tmp_path / "runs").glob("*/config.json"))


def test_the_first_page_is_one_screen_and_nine_lines_train():
    text = (DOCS / "getting_started.md").read_text()
    assert len(text.splitlines()) <= 60
    (training,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "Trainer(" in block]
    assert len([line for line in training.splitlines() if line.strip()]) <= 9


def test_the_index_names_every_page_once_and_no_link_leads_nowhere():
    index = (DOCS / "README.md").read_text()
    named = re.findall(r"^\d+\. \[.*?\]\((.*?)\):", index, re.MULTILINE)
    made = [
        f"results/{file.stem}.md" for file in (DOCS / "results").glob("*.jsonl")
    ]  # tables of suites, from results/README.md
    assert sorted([*named, *made, "README.md"]) == sorted(str(page.relative_to(DOCS)) for page in pages())
    broken = []
    for page in [*pages(), DOCS.parent / "README.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http") and not (page.parent / target).exists():
                broken.append((page.name, target))
    assert broken == []


def test_what_pages_name_of_our_packages_is_there():
    named = {name for page in [*pages(), DOCS.parent / "README.md"] for name in re.findall(NAME, page.read_text())}
    assert "ssl4rl_benchmarks.figures.environments" in named
    for name in sorted(named):
        if find_spec("verifiers") is None and name.startswith("ssl4rl_envs.bridges.verifiers"):
            continue  # it is made of that package's classes
        pkgutil.resolve_name(name)


MADE = re.compile(r"""(?:make|make_vec|make_vec_env|GymEnv)\(\s*f?["'](?:ssl4rl_envs:)?SSL4RL/""")


def shown_to_people() -> list[Path]:
    """Pages, examples, and what docstrings and messages of the packages may show."""
    root = DOCS.parent
    packages = [root / "ssl4rl_envs", root / "agents", root / "benchmarks", root / "examples"]
    code = [file for package in packages for file in package.rglob("*.py") if "versus_build" not in file.parts]
    return [root / "README.md", *pages(), *sorted(code)]  # versus_build measures packages that are imported already


def test_every_id_that_is_made_stands_behind_its_package():
    """Workers that were not forked know no id of ours; "ssl4rl_envs:SSL4RL/Rotation-v0" they do."""
    made, bare = 0, []
    for file in shown_to_people():
        found = MADE.findall(file.read_text())
        made += len(found)
        bare += [(file.name, call) for call in found if "ssl4rl_envs:" not in call]
    assert bare == []
    assert made > 30


def test_the_first_screen_of_the_readme_shows_what_most_people_came_for():
    first = (DOCS.parent / "README.md").read_text().splitlines()[:30]
    assert 'PPO("MultiInputPolicy", gym.make("ssl4rl_envs:SSL4RL/Rotation-v0"))' in "\n".join(first)
    assert any(line.startswith("![") for line in first)
