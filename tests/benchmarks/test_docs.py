"""The documentation says what the docstrings say, and what it shows as code runs."""

from __future__ import annotations

import ast
import builtins
import pkgutil
import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import gymnasium as gym
import pytest

from ssl4rl_benchmarks import cli
from ssl4rl_benchmarks.figures import environments, turns
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


def test_the_worked_example_of_turns_is_what_the_algorithms_say():
    assert turns.table() in (DOCS / "training.md").read_text(encoding="utf-8")
    assert turns.picture() == (DOCS / "images" / "turns.svg").read_text(encoding="utf-8")


def test_the_worked_example_of_turns_is_what_a_pocket_calculator_says():
    """Episode A earns 0.5, 0 and 0.25 with tokens ab, c and de; episode B earns 1 with one token."""
    value = dict(zip("abcde", (0.2, 0.4, 0.3, 0.1, 0.2), strict=True))
    from_turn = dict(zip("abcde", (0.75, 0.75, 0.25, 0.25, 0.25), strict=True))  # earned from the token's turn on
    last = dict(zip("abcde", "bbcee", strict=True))
    by_token = [from_turn[token] - value[token] for token in "abcde"]
    spread = (2 * 0.125**2) ** 0.5  # of 0.75 and 1, whose mean is 0.875
    steps = (0.5, 0.0, 0.25, 1.0)  # the rewards of all turns of both episodes; their mean is 0.4375
    deviation = (sum((step - 0.4375) ** 2 for step in steps) / 3) ** 0.5
    first, second, third = ((step - 0.4375) / deviation for step in steps[:3])
    expected = {
        "gae": by_token,
        "turn_gae": [from_turn[token] - value[last[token]] for token in "abcde"],
        "bilevel_gae": by_token,
        "grpo": [(0.75 - 0.875) / spread] * 5,
        "dr_grpo": [0.75 - 0.875] * 5,
        "rloo": [0.75 - 1.0] * 5,
        "turn_grpo": [(0.75 - 0.875) / spread] * 2 + [0.0] * 3,
        "step_grpo": [first + second + third] * 2 + [second + third] + [third] * 2,
        "reinforce++": list(from_turn.values()),
    }
    rows = re.findall(r"^\| `([\w+]+)` \| (.+?) \| [a-z]", turns.table(), re.MULTILINE)
    assert [name for name, _ in rows] == list(expected)
    for name, cells in rows:
        assert [float(cell) for cell in cells.split(" | ")] == pytest.approx(expected[name], abs=6e-4)


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


@pytest.mark.usefixtures("as_before")
def test_the_message_that_the_page_of_extensions_quotes_is_what_is_said(tmp_path, monkeypatch, capsys):
    for name, code in EXAMPLES.items():
        (tmp_path / name).write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    runpy.run_path("try_source.py")
    (quoted,) = re.findall(r"print\(error\)  # (.*), \.\.\.$", EXAMPLES["try_source.py"], re.MULTILINE)
    assert any(line.startswith(quoted) for line in capsys.readouterr().out.splitlines())


@pytest.mark.usefixtures("as_before")
def test_the_example_of_extensions_passes_the_audit_by_the_command_of_the_page(tmp_path, monkeypatch, capsys):
    (command,) = re.findall(r"^ssl4rl (audit .*)$", (DOCS / "extending.md").read_text(), re.MULTILINE)
    (tmp_path / "brightness.py").write_text(EXAMPLES["brightness.py"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert cli.main(command.split()) == 0, capsys.readouterr().out


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
    "10_000": "64",
    "iterations=20": "iterations=1, format_warmup=1, eval_episodes=4",
    '"iterations": 110': '"iterations": 1, "format_warmup": 1, "eval_episodes": 4',
    "episodes=512": "episodes=16",
    'PPO("MultiInputPolicy", env,': f'PPO("MultiInputPolicy", env, {SHORT},',
    'gym.make("ssl4rl_envs:SSL4RL/Rotation-v0"), verbose': f'gym.make("ssl4rl_envs:SSL4RL/Rotation-v0"), {SHORT}, verbose',
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


def python_of(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


CONTINUED = {
    "getting_started.md": {"env"},  # of the block before
    "graphs.md": {"read_graph"},
    "pictures.md": {"first_picture", "second_picture"},  # the reader's own
}
"""Names that a block of a page takes from elsewhere, since its text goes on from there."""


@pytest.mark.parametrize("page", [DOCS.parent / "README.md", *pages()], ids=lambda page: page.name)
def test_every_block_of_python_imports_what_it_uses(page):
    lacking = {}
    for number, code in enumerate(python_of(page)):
        tree = ast.parse(code)
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        bound = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(dir(builtins)) | {"__name__", "__file__"}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                bound.add(node.name)
            elif isinstance(node, ast.arg):
                bound.add(node.arg)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                bound.add(node.name)
        missing = {node.id for node in names} - bound - CONTINUED.get(page.name, set())
        if missing:
            lacking[number] = sorted(missing)
    assert lacking == {}


def test_no_two_blocks_of_the_documents_train_into_one_folder():
    """Whoever goes from page to page in one folder must not be told that the run is there already."""
    trained: dict[str, list[str]] = {}
    for page in [DOCS.parent / "README.md", *pages()]:
        text = page.read_text().replace("\\\n", " ")
        out = re.findall(r"ssl4rl\)? train\b.*?--out (runs/[\w/-]+)", text)
        for folder in [*out, *re.findall(r'Trainer\(config, "(runs/\w+)"\)', text)]:
            trained.setdefault(folder, []).append(page.name)
    assert len(trained) > 12
    assert {folder: named for folder, named in trained.items() if len(named) > 1} == {}


def test_blocks_that_start_processes_anew_can_be_run_as_scripts():
    """Such a process runs the script once more."""
    starting = {}
    for page in [DOCS.parent / "README.md", *pages()]:
        for code in python_of(page):
            if re.search(r"Subproc\w+|AsyncVectorEnv|ParallelEnv|\"async\"|spawn", code):
                starting[page.name] = starting.get(page.name, True) and 'if __name__ == "__main__":' in code
    assert starting == dict.fromkeys(starting, True)
    assert "using.md" in starting


def test_the_workers_of_the_page_about_using_start_from_a_script(tmp_path):
    pytest.importorskip("stable_baselines3")
    (code,) = [code for code in python_of(DOCS / "using.md") if "SubprocVecEnv" in code]
    (tmp_path / "shown.py").write_text(code.replace("n_envs=4", "n_envs=1"))
    ran = subprocess.run([sys.executable, "shown.py"], cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "(1, 64, 64, 3)\n"


def test_extras_are_installed_by_one_form_of_the_command():
    forms = {
        form
        for page in [DOCS.parent / "README.md", *pages()]
        for form in re.findall(r"pip install [^\n`]*\[", page.read_text())
    }
    assert [form for form in forms if " -e" in form or "'" in form] == []


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
    assert 'PPO("MultiInputPolicy", gym.make("ssl4rl_envs:SSL4RL/Rotation-v0"), verbose=1)' in "\n".join(first)
    assert any(line.startswith("![") for line in first)
