"""Tasks of one's own are first class: by module:Class or by the entry point of a plug-in, every command takes them."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import pytest
from PIL import Image

import ssl4rl_envs
from ssl4rl_agents import TrainConfig, load_agent
from ssl4rl_benchmarks.bench.suites import suite_of
from ssl4rl_benchmarks.bench.tuning import Tuning
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.list import ListFlags
from ssl4rl_envs import own
from ssl4rl_envs.registration import env_id_of, registered_task

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
CODE = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL))["brightness.py"]
PATH, ID = "own_brightness:Brightness", "Acme/Brightness-v0"
SMALL = ("--source", "digits", "--image-size", "36")


def plug_in(folder: Path, points: dict[str, str], name: str = "acme") -> None:
    """Leave what pip leaves of a package with entry points."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{entry} = {path}" for entry, path in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[ssl4rl.envs]", *lines]) + "\n")


@pytest.fixture(autouse=True)
def as_before(monkeypatch) -> Iterator[None]:
    """Ids, modules and where modules are looked for are as they were once a test is over."""
    known, loaded = dict(gym.registry), set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    gym.registry.clear()
    gym.registry.update(known)
    for name in set(sys.modules) - loaded:
        if name.startswith("own_"):
            del sys.modules[name]


@pytest.fixture(params=[PATH, ID])
def own_env(request, tmp_path, monkeypatch) -> str:
    """The page's task in the current folder by its class, or in a package elsewhere by its id; its name."""
    here, package = tmp_path / "here", tmp_path / "package"
    for folder in (here, package):
        folder.mkdir()
    if request.param == ID:
        plug_in(package, {ID: PATH})
        sys.path.insert(0, str(package))
        ssl4rl_envs.register_all()
        assert "own_brightness" not in sys.modules, "a plug-in is imported when somebody asks for its task"
    ((package if request.param == ID else here) / "own_brightness.py").write_text(CODE)
    monkeypatch.chdir(here)
    return str(request.param)


def test_every_command_takes_a_task_of_ones_own(own_env, run, tiny, fewer_bootstraps):
    listed = run("list", own_env, "--json")
    assert [row["env"] for row in listed.json] == [own_env]
    assert (own_env in run("list").out) == (own_env == ID), "a class that nobody registered stands in no list"
    shown = run("show", own_env, "--out", "board.png", *SMALL, "--level", "easy", "--json")
    assert shown.status == 0, shown.err
    assert Image.open("board.png").size[0] > 300
    assert "--factor" in run("show", own_env, "--help").out
    audited = run("audit", own_env, *SMALL, "--episodes", "30", "--json")
    assert audited.status == 0, audited.json
    assert {row["env"] for row in audited.json} == {own_env}
    assert run("eval", "random", own_env, *SMALL, "--episodes", "16", "--json").json["env"] == own_env

    trained = run("train", own_env, "--out", "run", *tiny, "--json")
    assert trained.status == 0, trained.err
    again = run("eval", "run", "--episodes", "32", "--json")
    assert again.json["success"] == trained.json["after"]["success"]
    assert run("train", "--resume", "run", "--json").json["after"]["success"] == again.json["success"]
    assert json.loads(Path("run/config.json").read_text())["env"] == own_env
    assert load_agent("run").interface == "text"
    assert "top left" in run("ask", "run", "board.png").out
    elsewhere = run("eval", "run", "Rotation", "--episodes", "8", "--json").json
    assert elsewhere["env_args"]["image_size"] == 36

    grid = {
        "environments": [{"id": own_env, "args": {"source": "digits", "image_size": 36}}],
        "agents": [{"name": "random", "learns": False}],
        "seeds": 1,
        "episodes": 8,
        "test_episodes": 8,
    }
    Path("grid.json").write_text(json.dumps(grid))
    assert [env.name for env in suite_of("grid.json").environments] == ["Brightness"]
    if own_env == PATH:  # a process of its own would not know the package, which is not installed
        (row,) = run("bench", "grid.json", "--no-report", "--cores", "1", "--json").json
        assert (row["env"], row["status"]) == ("Brightness", "done"), row


def test_commands_about_replies_and_files_take_a_task_of_ones_own(own_env, run):
    for agent in ("random", "oracle"):
        stored = run("eval", agent, own_env, *SMALL, "--episodes", "8", "--out", f"replies/{agent}.jsonl", "--json")
        assert stored.json["env"] == own_env
    random, oracle = sorted(run("score", "replies", "--json").json, key=lambda row: row["strict"]["success"])
    assert (oracle["model"], oracle["strict"]["success"]) == ("oracle", 1)
    assert random["env"] == own_env
    (board,) = run("leaderboard", "replies", "--json").json["boards"]
    assert board["env"] == own_env
    for form in ("jsonl", "webdataset", "vlmevalkit"):
        made = run("export", own_env, "--to", form, "-n", "3", "--out", form, *SMALL, "--level", "easy", "--json")
        assert (made.status, made.json["env_id"]) == (0, own_env), made.err
        assert made.json["args"]["level"] == "easy"
        names = [path.name for path in Path(form).rglob("*")]
        assert names
        assert not any(re.search(r"[^\w.-]", name) for name in names), "a file of that name would not be one everywhere"
    assert "--factor" in run("serve", own_env, "--help").out


def test_an_agent_of_the_registry_learns_a_task_of_ones_own(own_env, run):
    """And is used by its folder alone; a suite of such agents can be searched."""
    if own_env == ID:
        pytest.skip("the other name goes the same way, and training takes long")
    given = ("--episodes", "64", "--test-episodes", "16", "--eval-episodes", "8", "--settings", '{"n_epochs": 1}')
    trained = run("train", own_env, "--agent", "sb3-ppo", "--out", "kept", *SMALL, *given, "--json")
    assert trained.status == 0, trained.err
    assert f"ssl4rl train {own_env} --agent sb3-ppo" in Path("kept/report.html").read_text()
    again = run("eval", "kept", "--episodes", "16", "--json").json
    assert (again["env"], again["reward"]) == (own_env, trained.json["after"]["reward"])
    run("show", own_env, "--out", "board.png", *SMALL, "--count", "1")
    assert "top left" in run("ask", "kept", "board.png").out
    grid = {"environments": [{"id": own_env}], "agents": [{"name": "sb3-ppo"}], "seeds": 1, "episodes": 64}
    Path("grid.json").write_text(json.dumps(grid))
    searched = Tuning(suite_of("grid.json"), 3, 0, 1, (), ()).runs()
    assert {run.env.id for run in searched} == {own_env}


def test_python_takes_it_wherever_an_id_stands(own_env):
    assert env_id_of(own_env) == own_env
    assert registered_task(own_env) == (PATH, {})
    task = ssl4rl_envs.make_task(own_env, source="digits", image_size=36, level="easy")
    assert task.factor == 40
    assert TrainConfig(env=own_env).resolved().policy.model == "nano"
    mixture = ssl4rl_envs.make_task("Mixture", tasks=("Rotation", own_env), source="digits", image_size=36)
    assert [type(part).__name__ for part in mixture.parts] == ["Rotation", "Brightness"]
    covered = ssl4rl_envs.make_task("Reveal", of=own_env, of_level="easy", source="digits", image_size=36)
    assert (type(covered.task).__name__, covered.task.factor, covered.chance) == ("Brightness", 40, 0.25)
    (row,) = ssl4rl_envs.rows(own_env, 1, source="digits", image_size=36)
    scored = ssl4rl_envs.score(own_env, [f"<answer>{row['answer']}</answer>"], index=0, **json.loads(row["args"]))
    assert scored[0]["reward"] == 1
    if own_env == ID:
        env = gym.make(ID, source="digits", image_size=36, render_mode="rgb_array")
        assert gym.make_vec(ID, num_envs=2, source="digits").num_envs == 2
        assert gym.make(env.spec).spec.kwargs == env.spec.kwargs
        assert env_id_of("brightness") == ID


def test_a_task_is_registered_in_one_line_and_only_once(tmp_path, monkeypatch):
    (tmp_path / "own_brightness.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        ssl4rl_envs.register("Acme/Dim-v0", PATH, factor=80)
    assert gym.make("Acme/Dim-v0", source="digits").unwrapped.task.factor == 80
    assert ssl4rl_envs.make_task("dim", source="digits").factor == 80
    cls = ssl4rl_envs.task_class("Acme/Dim-v0")
    ssl4rl_envs.register("Acme/Bright-v0", cls)
    assert ssl4rl_envs.task_class("Acme/Bright-v0") is cls
    with pytest.raises(ValueError, match=r"Acme/Dim-v0 is registered already, for own_brightness:Brightness, not for a:B"):
        ssl4rl_envs.register("Acme/Dim-v0", "a:B")
    with pytest.raises(ValueError, match="CartPole-v1"):
        ssl4rl_envs.register("CartPole-v1", PATH)


def test_names_of_several_packages(tmp_path):
    """The suite's own come first; what two others call alike must be named in full."""
    for env_id in ("Acme/Rotation-v0", "Acme/Dim-v0", "Bcme/Dim-v0"):
        ssl4rl_envs.register(env_id, "own_nowhere:Nothing")
    assert env_id_of("Rotation") == "SSL4RL/Rotation-v0"
    assert env_id_of("acme/rotation") == "Acme/Rotation-v0"
    with pytest.raises(ValueError, match="several environments are called 'Dim': Acme/Dim-v0, Bcme/Dim-v0; name one in full"):
        env_id_of("Dim")


WRONG = {
    "own_missing:Task": "there is no module own_missing, neither installed nor in the current folder",
    "own_brightness:Bright": "has no Bright; it has Brightness",
    "own_brightness:cut": "a task is a class that builds on ssl4rl_envs.Task, and this is of type function",
    "own_brightness:Level": "and this is a class",
    "own_broken:Task": "importing own_broken failed with ZeroDivisionError: division by zero",
    "own_lacking:Task": "importing own_lacking failed, No module named 'own_missing'",
    "own_ends:Task": "importing own_ends failed with SystemExit: 3",
    "own_brightness:": "it is named as 'module:attribute'",
    ":Brightness": "it is named as 'module:attribute'",
}


@pytest.mark.parametrize("command", ["list", "show", "train", "audit", "eval", "bench"])
def test_every_command_says_what_is_wrong_in_one_line(run, command, tmp_path, monkeypatch):
    for name, code in {
        "own_brightness": CODE,
        "own_broken": "1 / 0\n",
        "own_lacking": "import own_missing\n",
        "own_ends": "raise SystemExit(3)\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    for path, words in WRONG.items():
        if command == "bench":
            grid = {"environments": [{"id": path}], "agents": [{"name": "random"}], "seeds": 1, "episodes": 1}
            Path("grid.json").write_text(json.dumps(grid))
        given = {"eval": ("eval", "random", path), "bench": ("bench", "grid.json"), "list": ("list", path)}
        found = run(*given.get(command, (command, path, "--out", "out")))
        assert found.status == 2, path
        assert words in found.err, path
        said = [line for line in found.err.splitlines() if not line.endswith(" ...")]  # as where the machine is slow
        assert len(said) == 1, found.err


def test_a_run_whose_task_is_gone_is_told_in_one_line(run, finished, tmp_path, monkeypatch):
    settings = json.loads((finished / "config.json").read_text())
    for env, words in {"own_gone:Task": "there is no module own_gone", "Acme/Gone-v0": "unknown environment"}.items():
        (tmp_path / "config.json").write_text(json.dumps({**settings, "env": env}))
        found = run("eval", tmp_path)
        assert found.status == 2
        assert words in found.err
        assert "Traceback" not in found.err


def test_plug_ins_that_are_wrong_hide_no_other(tmp_path, run):
    points = {"Brightness": "a:B", "SSL4RL/Mine-v0": "a:B", "Acme/Gone-v0": "own_gone:Task", "Acme/Also-v0": "own_gone:Also"}
    points |= {"Acme/Bare-v0": "own_gone", "Acme/Ends-v0": "own_ends:Task"}
    (tmp_path / "own_ends.py").write_text("raise SystemExit(3)\n")
    plug_in(tmp_path, points)
    sys.path.insert(0, str(tmp_path))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ssl4rl_envs.register_all()
    told = "\n".join(str(warning.message) for warning in caught)
    assert "'Brightness' of the package acme 1.0 is left out: an id is written as 'Namespace/Name-v0'" in told
    assert "'SSL4RL/Mine-v0' of the package acme 1.0 is left out: the namespace SSL4RL is the suite's own" in told
    assert "'Acme/Bare-v0' of the package acme 1.0 is left out: an entry point names a class as 'module:Class'" in told
    assert {"Acme/Gone-v0", "Acme/Also-v0", "Acme/Ends-v0"} <= set(ssl4rl_envs.env_ids())
    listed = run("list")
    assert listed.status == 1
    assert "Acme/Gone-v0 cannot be built: no task 'own_gone:Task'" in listed.err
    assert "Acme/Ends-v0 cannot be built: no task 'own_ends:Task'" in listed.err
    assert "SSL4RL/Rotation-v0" in listed.out
    completed = run("completion", "bash")
    assert completed.status == 0
    assert "the flags of Acme/Gone-v0 are left out: no task 'own_gone:Task'" in completed.err
    assert "--angles" in completed.out


SIGNATURES = """
from brightness_base import Base

class Loose(Base):
    def __init__(self, needed: int, sizes=[1, 2], anything=None, maybe: "int | None" = None, *rest, hidden: "Nothing" = None):
        self.got = dict(needed=needed, sizes=sizes, anything=anything, maybe=maybe)

class All(Base):
    def __init__(self, source="digits", **more):
        pass
"""


def test_flags_of_signatures_as_people_write_them(tmp_path, monkeypatch):
    """No hints, defaults of None, lists, arguments without a default: flags where the type is known."""
    (tmp_path / "own_loose.py").write_text(SIGNATURES.replace("brightness_base", "ssl4rl_envs").replace("Base", "Task"))
    monkeypatch.chdir(tmp_path)
    parsed = flags.parse(ListFlags, ["--needed", "3", "--sizes", "4", "5"], "test", "Test.", "own_loose:Loose")
    assert flags.env_arguments(parsed.env) == {"needed": 3, "sizes": (4, 5), "maybe": None}
    parsed = flags.parse(ListFlags, [], "test", "Test.", "own_loose:All")
    assert flags.env_arguments(parsed.env) == {"source": "digits"}


def test_a_path_is_no_id():
    assert own.is_path("a:B")
    assert not own.is_path("ssl4rl_envs:SSL4RL/Rotation-v0")
    assert env_id_of("ssl4rl_envs:SSL4RL/Rotation-v0") == "SSL4RL/Rotation-v0"
