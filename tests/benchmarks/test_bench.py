"""`ssl4rl bench`: grids, rows that survive kills, engines, statistics by hand, and a report that a browser takes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.lessons import Lesson
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_benchmarks.bench import choices, executors, gallery, grid, probes, rows, statistics, suites, towers, worker
from ssl4rl_benchmarks.bench.grid import Entry, Environment, Run, Suite, from_file
from ssl4rl_benchmarks.bench.sweep import sweep
from ssl4rl_benchmarks.commands import bench as bench_command
from ssl4rl_benchmarks.commands.flags import parse
from ssl4rl_benchmarks.reports.suite import files, markdown, page
from ssl4rl_benchmarks.reports.suite.summary import changes, summarise
from ssl4rl_envs import SSLVectorEnv, Stream, env_ids, make_task, task_class
from ssl4rl_envs.registration import at_level

DIGITS = Environment("SSL4RL/Rotation-v0", {"source": "digits", "image_size": 36})
KARATE = Environment("SSL4RL/EdgePrediction-v0", {"source": "karate"})
LEARNS = {"num_envs": 8, "n_steps": 4}
PLUGIN = Path(__file__).parent / "plugin"
BROWSER = next((found for found in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if found), None)


def tiny(*agents: Entry, environments=(DIGITS,), seeds: int = 1) -> Suite:
    return Suite("tiny", "Is it small?", tuple(environments), agents, seeds, episodes=64, test_episodes=32)


class InProcess:
    """An engine for tests: the same runs, without a process each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.did = folder, []

    def do(self, runs):
        for run in runs:
            self.did.append(run.key)
            folder = self.folder / run.key
            folder.mkdir(parents=True, exist_ok=True)
            try:
                row = worker.perform(run, folder)
            except ValueError as error:
                row = worker.failed(run, f"{type(error).__name__}: {error}")
            yield json.loads(json.dumps(row))


# Grids


@pytest.mark.parametrize("suite", suites.SUITES.values(), ids=lambda suite: suite.name)
def test_declared_suites_name_what_there_is(suite):
    import inspect

    from ssl4rl_agents.agent import agent_names

    runs = suite.runs()
    assert len({run.key for run in runs}) == len(runs)
    for env in suite.environments:
        assert env.id in env_ids()
        known = inspect.signature(task_class(env.id)).parameters
        args = dict(env.args)
        level = args.pop("level", None)
        assert set(args) <= set(known)
        if level is not None:
            at_level(task_class(env.id), level, args)
    assert {agent.name for agent in suite.agents} <= set(agent_names())
    assert len({env.name for env in suite.environments}) == len(suite.environments)
    assert len({agent.title for agent in suite.agents}) == len(suite.agents)
    for run in runs:
        assert Run.from_json(run.to_json()) == run
        assert Run.from_json(run.to_json()).key == run.key


def test_pairs_that_do_not_go_together_are_no_runs():
    pairs = {(run.env.name, run.agent.name) for suite in suites.SUITES.values() for run in suite.runs()}
    assert ("PatchOrdering", "sb3-dqn") not in pairs
    assert ("PatchOrdering", "sb3-a2c") in pairs
    assert ("PatchSwap 2x2", "sb3-maskable-ppo") in pairs
    assert ("Rotation", "sb3-maskable-ppo") not in pairs
    assert ("GraphWalk 2", "gin-grpo") in pairs
    assert ("GraphWalk 2", "nano-ppo") not in pairs
    assert (suites.VECTOR, "sb3-sac") in pairs
    assert ("Rotation", "sb3-sac") not in pairs
    assert (suites.VECTOR, "gcn-ppo") not in pairs
    assert (suites.VECTOR, "rule") not in pairs
    assert ("NodeAttribute", "rule") in pairs


def test_a_part_of_a_grid():
    suite = tiny(Entry("random", learns=False), Entry("constant", learns=False), environments=(DIGITS, KARATE), seeds=3)
    assert len(suite.runs()) == 8  # the random agent has three seeds, the constant one
    assert {run.env.name for run in suite.runs(envs=["SSL4RL/EdgePrediction-v0"])} == {"EdgePrediction"}
    assert [run.seed for run in suite.runs(["Rotation"], ["random"], [2])] == [2]
    for wrong in ({"envs": ["Sudoku"]}, {"agents": ["nobody"]}, {"seeds": [3]}):
        with pytest.raises(ValueError, match=r"Sudoku|nobody|seeds 0 to 2"):
            suite.runs(**wrong)
    longer = replace(DIGITS, episodes=500)
    assert tiny(Entry("random"), environments=(longer,)).runs()[0].episodes == 500
    assert tiny(Entry("random"), environments=(longer,)).sized(episodes=7).runs()[0].episodes == 7


def test_a_grid_of_ones_own(tmp_path):
    file = tmp_path / "mine.json"
    data = {
        "environments": [{"id": DIGITS.id, "args": DIGITS.args}],
        "agents": [{"name": "random"}],
        "seeds": 2,
        "episodes": 9,
    }
    file.write_text(json.dumps(data))
    assert [(run.seed, run.episodes) for run in from_file(file).runs()] == [(0, 9), (1, 9)]
    wrong = [{**data, "agents": [{"nome": 1}]}, {**data, "agents": ["random"]}, {**data, "extra": 1}]
    wrong.append({**data, "agents": [{"name": "random", "environments": "Rotation"}]})
    wrong.append({**data, "environments": [{"id": DIGITS.id, "beyond": "task:Rotation"}]})
    for broken in ("{", "[]", *map(json.dumps, wrong)):
        file.write_text(broken)
        with pytest.raises(ValueError, match="is no suite"):
            from_file(file)
    file.write_text(json.dumps({**data, "environments": [{"id": "SSL4RL/Sudoku-v0"}]}))
    with pytest.raises(ValueError, match="Sudoku"):
        from_file(file)


def test_agents_of_ones_own_grid_may_take_part_in_some_environments(tmp_path):
    file = tmp_path / "mine.json"
    data = {
        "environments": [{"id": DIGITS.id, "args": DIGITS.args}, {"id": KARATE.id, "label": "karate"}],
        "agents": [{"name": "random"}, {"name": "constant", "environments": ["karate"]}],
        "seeds": 1,
        "episodes": 9,
    }
    file.write_text(json.dumps(data))
    pairs = [(run.env.name, run.agent.name) for run in from_file(file).runs()]
    assert pairs == [("Rotation", "random"), ("karate", "random"), ("karate", "constant")]
    data["agents"][1]["environments"] = ["EdgePrediction"]
    file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="take part in EdgePrediction; its environments are Rotation, karate"):
        from_file(file)


def test_everything_that_decides_a_run_is_in_its_key():
    run = tiny(Entry("random")).runs()[0]
    others = [
        replace(run, seed=1),
        replace(run, episodes=65),
        replace(run, test_episodes=33),
        replace(run, agent=Entry("random", {"x": 1})),
        replace(run, env=replace(DIGITS, args={})),
        replace(run, env=replace(DIGITS, beyond=("task:Rotation",))),
    ]
    assert len({run.key, *(other.key for other in others)}) == 7
    same = [replace(run, suite="other", command="x"), replace(run, agent=replace(run.agent, label="chance", learns=False))]
    assert {run.key} == {other.key for other in same}


def test_names_are_unique_and_parts_named_once():
    with pytest.raises(ValueError, match="need names of their own; give a label: sb3-ppo"):
        tiny(Entry("sb3-ppo"), Entry("sb3-ppo", {"n_epochs": 8}))
    with pytest.raises(ValueError, match="need names of their own; give a label: Rotation"):
        tiny(Entry("random"), environments=(DIGITS, replace(DIGITS, args={})))
    with pytest.raises(ValueError, match="seeds of suite tiny must be a whole number of at least 1"):
        tiny(Entry("random")).sized(seeds=0)
    suite = tiny(Entry("random"), seeds=2)
    assert len(suite.runs(["Rotation", DIGITS.id], ["random", "random"], [1, 1])) == 1


def read(words: list[str]) -> bench_command.BenchFlags:
    """Read flags that each have one value, as every command of a suite's run does."""
    found = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
    env, agent, seed = (found.pop(name) for name in ("env", "agent", "seed"))
    sizes = {name: int(value) for name, value in found.items()}
    return bench_command.BenchFlags(env=(env,), agent=(agent,), seed=(int(seed),), **sizes)


@pytest.mark.parametrize("suite", suites.SUITES.values(), ids=lambda suite: suite.name)
def test_every_command_does_its_run_again(suite):
    """One command of each shape is parsed, since that takes a while, and shows that the others are read as it would be."""
    shapes: set[tuple[bool | str, ...]] = set()
    for sized in (suite, suite.sized(seeds=suite.seeds + 1, episodes=999)):
        for run in sized.runs():
            start, words = shlex.split(run.command)[:3], shlex.split(run.command)[3:]
            assert start == ["ssl4rl", "bench", suite.name]
            flags = read(words)
            shape = tuple(word if word.startswith("-") else bool(re.search(r"[^\w.-]", word)) for word in words)
            if shape not in shapes:
                shapes.add(shape)
                assert parse(bench_command.BenchFlags, words, "ssl4rl bench", "").command == flags
            again = suites.suite_of(suite.name).sized(flags.seeds, flags.episodes)
            assert [other.key for other in again.runs(flags.env, flags.agent, flags.seed)] == [run.key]


# Rows and sweeps


def test_a_finished_run_is_never_done_again(tmp_path):
    suite = tiny(Entry("random", learns=False), Entry("constant", learns=False))
    engine = InProcess(tmp_path / "work")
    first = sweep(suite.runs(agents=["random"]), rows.Rows(tmp_path), engine)
    both = sweep(suite.runs(), rows.Rows(tmp_path), engine)
    assert len(engine.did) == 2
    assert both[0] == first[0]
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 2


def test_failed_runs_are_rows_and_the_rest_goes_on(tmp_path):
    suite = tiny(Entry("sb3-sac"), Entry("random", learns=False))  # the angles are no Box
    engine = InProcess(tmp_path / "work")
    told: list[str] = []
    failed, done = sweep(suite.runs(), rows.Rows(tmp_path), engine, told=told.append)
    assert failed["status"] == "failed"
    assert "takes actions of Box" in failed["error"]
    assert done["status"] == "done"
    assert any("FAILED" in line for line in told)
    sweep(suite.runs(), rows.Rows(tmp_path), engine)
    assert len(engine.did) == 2
    sweep(suite.runs(), rows.Rows(tmp_path), engine, retry_failed=True)
    assert len(engine.did) == 3
    assert len(rows.Rows(tmp_path)) == 2
    good = {**failed, "status": "done"}
    again = rows.Rows(tmp_path)
    again.add(good)
    again.add(failed)  # a later failure does not undo what ended well
    assert again.get(failed["key"]) == rows.Rows(tmp_path).get(failed["key"]) == good


def test_a_line_that_a_kill_cut_off_is_cut_away(tmp_path):
    kept = rows.Rows(tmp_path)
    for key in ("a", "b"):
        kept.add({"key": key, "status": "done"})
    whole = kept.file.read_text()
    for length in range(len(whole) // 2 + 1, len(whole)):
        kept.file.write_text(whole[:length])
        again = rows.Rows(tmp_path)
        assert kept.file.read_text() == whole[:length]  # it may be somebody else's who is writing it
        with again.alone():
            assert again.get("a") is not None
            assert again.get("b") is None
            again.add({"key": "b", "status": "done"})
        assert kept.file.read_text() == whole


def test_a_sweep_sees_what_another_one_did_since_the_rows_were_read(tmp_path):
    suite = tiny(Entry("random", learns=False))
    early, engine = rows.Rows(tmp_path), InProcess(tmp_path / "work")
    (done,) = sweep(suite.runs(), rows.Rows(tmp_path), engine)
    assert sweep(suite.runs(), early, engine) == [done]
    assert len(engine.did) == 1


def test_lines_that_are_no_rows_are_told_and_nothing_is_lost(tmp_path):
    kept = rows.Rows(tmp_path)
    for key in ("a", "b", "c"):
        kept.add({"key": key, "status": "done"})
    lines = kept.file.read_text().splitlines(keepends=True)
    kept.file.write_text(lines[0] + "\n" + lines[1] + lines[2])
    assert len(rows.Rows(tmp_path)) == 3
    broken = lines[0] + "<<<<<<< HEAD\n" + lines[2]
    kept.file.write_text(broken)
    with pytest.raises(ValueError, match="line 2, is no row"):
        rows.Rows(tmp_path)
    with pytest.raises(ValueError, match="line 2, is no row"):
        rows.read_rows([tmp_path])
    assert kept.file.read_text() == broken


def test_two_sweeps_do_not_share_a_folder(tmp_path):
    suite = tiny(Entry("random", learns=False))
    first = rows.Rows(tmp_path)
    with first.alone(), pytest.raises(ValueError, match="in use: another sweep has been at work"):
        sweep(suite.runs(), rows.Rows(tmp_path), InProcess(tmp_path / "work"))
    assert len(sweep(suite.runs(), rows.Rows(tmp_path), InProcess(tmp_path / "work"))) == 1


def test_rows_say_where_they_come_from(tmp_path):
    run = tiny(Entry("random", learns=False)).runs()[0]
    row = worker.perform(run, tmp_path)
    assert row["config"] == run.to_json()
    assert row["versions"]["gymnasium"]
    assert row["machine"]["cores"] >= 1
    assert row["command"] == "ssl4rl bench tiny --env Rotation --agent random --seed 0"
    assert (row["device"], row["threads"]) == ("cpu", 1)
    assert row["memory_mb"] > 10
    assert len(row["answers"]) == gallery.GALLERY
    assert {"said", "reward", "success"} == set(row["answers"][0])


def test_the_curve_ends_where_learning_did(tmp_path):
    row = worker.perform(tiny(Entry("tests.benchmarks.dying:Short", label="short")).runs()[0], tmp_path)
    assert [point["episodes"] for point in row["curve"]] == [56, 60]
    assert row["seconds"]["learning"] == round(row["curve"][-1]["seconds"], 2)


def test_the_oracle_is_right_about_the_gallery(tmp_path):
    for env in (DIGITS, KARATE, Environment("SSL4RL/NodeAttribute-v0", {"source": "sbm:300", "attribute": "vector"})):
        row = worker.perform(tiny(Entry("oracle", learns=False), environments=(env,)).runs()[0], tmp_path)
        assert all(answer["success"] for answer in row["answers"])
        assert row["result"]["normalised"] == pytest.approx(1)


# Engines


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Rows of real processes: a learner, a frame, a run that fails, and one whose process dies."""
    folder = tmp_path_factory.mktemp("local")
    suite = tiny(
        Entry("sb3-ppo", LEARNS),
        Entry("random", learns=False),
        Entry("sb3-sac"),
        Entry("tests.benchmarks.dying:Dying", label="dying"),
    )
    found = sweep(suite.runs(), rows.Rows(folder), executors.LocalExecutor(folder / "work", 2))
    return {row["agent"]: row for row in found}


def test_runs_have_processes_of_their_own(local):
    assert local["sb3-ppo"]["status"] == local["random"]["status"] == "done"
    assert local["sb3-ppo"]["curve"]
    assert local["sb3-ppo"]["settings"]["n_steps"] == 4
    assert local["sb3-ppo"]["seconds"]["learning"] > 0
    assert "takes actions of Box" in local["sb3-sac"]["error"]


def test_a_process_that_dies_is_a_row(local):
    assert local["dying"]["status"] == "failed"
    assert "status 7" in local["dying"]["error"]
    assert "going down" in local["dying"]["error"]


def test_the_process_changes_nothing(local, tmp_path):
    run = tiny(Entry("sb3-ppo", LEARNS)).runs()[0]
    here = worker.perform(run, tmp_path)
    assert here["result"]["reward"] == local["sb3-ppo"]["result"]["reward"]
    assert [point["reward"] for point in here["curve"]] == [point["reward"] for point in local["sb3-ppo"]["curve"]]


def test_a_row_that_nobody_took_is_taken_later(tmp_path):
    run = tiny(Entry("random", learns=False)).runs()[0]
    engine = executors.LocalExecutor(tmp_path / "work", 1)
    folder = tmp_path / "work" / run.key
    folder.mkdir(parents=True)
    left = {**worker.failed(run, "made up"), "status": "done"}
    (folder / worker.ROW).write_text(json.dumps(left))
    going = engine.do([run])
    assert next(going) == left
    assert folder.exists()  # until the row is on the disk, which it is when the next one is asked for
    assert list(going) == []
    assert not folder.exists()


def test_a_sweep_that_is_interrupted_ends_its_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("SLEEPING", str(tmp_path / "awake"))
    suite = tiny(Entry("tests.benchmarks.dying:Sleeping", label="sleeping"), Entry("random", learns=False))
    engine = executors.LocalExecutor(tmp_path / "work", 2)

    def interrupt(line: str) -> None:
        deadline = time.monotonic() + 120
        while "random" in line and not (tmp_path / "awake").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        if "random" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(suite.runs(), rows.Rows(tmp_path), engine, told=interrupt)
    assert [row["agent"] for row in rows.Rows(tmp_path).all()] == ["random"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "awake").read_text()), 0)


def test_engines_need_cores():
    with pytest.raises(ValueError, match="takes 2 threads"):
        executors.LocalExecutor(Path("x"), 1, threads=2)


@pytest.mark.parametrize(("runs_per_gpu", "together"), [(1, [0, 1]), (2, [0, 0, 1, 1])])
def test_runs_share_the_gpus_there_are(runs_per_gpu, together, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    seen, every = [], threading.Barrier(len(together))

    def do_run(run, folder, resources):
        seen.append(resources.gpu)
        every.wait(timeout=60)  # all of them are under way at a time
        return worker.failed(run, "made up")

    monkeypatch.setattr(executors, "do_run", do_run)
    engine = executors.LocalExecutor(tmp_path, 8, device="cuda", runs_per_gpu=runs_per_gpu)
    runs = tiny(Entry("random", learns=False)).sized(seeds=len(together)).runs()
    assert len(list(engine.do(runs))) == len(together)
    assert sorted(seen) == together


@pytest.mark.parametrize("flags", [{"runs_per_gpu": 0, "device": "cuda"}, {"runs_per_gpu": 2}])
def test_gpus_are_shared_where_there_are_some(flags):
    with pytest.raises(ValueError, match="--runs-per-gpu is at least 1 and goes with --device cuda"):
        bench_command.bench(bench_command.BenchFlags(**flags), "smoke")


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_stopped(tmp_path):
    grid = {
        "environments": [{"id": DIGITS.id, "args": DIGITS.args}],
        "agents": [{"name": "random", "learns": False}, {"name": "tests.benchmarks.dying:Sleeping", "label": "sleeping"}],
        "seeds": 1,
        "episodes": 64,
        "test_episodes": 16,
    }
    file = tmp_path / "grid.json"
    file.write_text(json.dumps(grid))
    words = [sys.executable, "-m", "ssl4rl_benchmarks", "bench", str(file), "--out", str(tmp_path / "out"), "--no-report"]
    environment = {**os.environ, "SLEEPING": str(tmp_path / "awake")}
    killed = subprocess.Popen([*words, "--cores", "1"], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "awake").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    child = int((tmp_path / "awake").read_text())
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(child)  # nobody is left who would do the run a second time
    assert [row["agent"] for row in rows.Rows(tmp_path / "out").all()] == ["random"]
    environment["SLEEPING"] = "awake"
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert "2 runs, 1 of them done before" in done.stderr
    assert {row["status"] for row in rows.Rows(tmp_path / "out").all()} == {"done"}


@pytest.mark.slow
def test_ray_does_the_same_runs(tmp_path, local):
    ray = pytest.importorskip("ray")
    suite = tiny(Entry("sb3-ppo", LEARNS), Entry("tests.benchmarks.dying:Dying", label="dying"))
    try:
        engine = executors.RayExecutor(None)
        found = {row["agent"]: row for row in sweep(suite.runs(), rows.Rows(tmp_path), engine)}
    finally:
        ray.shutdown()
    assert found["sb3-ppo"]["result"]["reward"] == local["sb3-ppo"]["result"]["reward"]
    assert "status 7" in found["dying"]["error"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "lacking"),
    [({"threads": 2}, "takes 2 CPU, and Ray has 1"), ({"device": "cuda"}, "takes 1 GPU, and Ray has 0")],
)
def test_a_ray_of_this_machine_has_enough_for_one_run(wanted, lacking):
    ray = pytest.importorskip("ray")
    try:
        with pytest.raises(ValueError, match=lacking):
            executors.RayExecutor(None, cores=1, **wanted)
    finally:
        ray.shutdown()


def test_ray_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"\[ray\]"):
        executors.RayExecutor(None)


# Beyond


def test_probes_find_what_is_there():
    classes = np.repeat(np.arange(4), 50)
    assert probes.probe(np.eye(4)[classes], classes, 2) == 1
    noise = np.random.default_rng(0).standard_normal((200, 6))
    assert probes.probe(noise, classes, 5) < 0.4


def test_more_labels_make_better_probes():
    run = tiny(Entry("random")).runs()[0]
    pictures, classes = probes.labelled("digits", run)
    assert pictures.shape == (1797, probes.SIDE, probes.SIDE, 3)
    small = pictures[:, ::6, ::6, 0].reshape(len(pictures), -1)
    few, many = (probes.probe(small, classes, labels) for labels in (1, 10))
    assert 0.2 < few < many < 1


def test_before_and_after_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "DRAWS", 2)
    monkeypatch.setattr(towers, "DRAWS", 2)
    env = Environment(
        "SSL4RL/Rotation-v0",
        {"source": "scenes:64", "image_size": 36},
        beyond=("task:FlipPrediction", "probe:digits@2", "probe:light@2", "quarters:digits@2"),
    )
    settings = {
        "rollout": {"prompts": 8, "group_size": 2},
        "optimizer": {"minibatches": 2},
        "format_warmup": 20,
        "format_tasks": ["FlipPrediction"],
    }
    run = tiny(Entry("nano-ppo", settings), environments=(env,)).runs()[0]
    row = worker.perform(run, tmp_path)
    assert [entry["what"] for entry in row["beyond"]] == list(env.beyond)
    for entry in row["beyond"]:
        assert entry["before"] is not None
        assert -1 <= entry["after"] <= 1
    assert row["beyond"][1]["beside"]["pixels"] > 0.2
    found = changes([row])
    assert [change.what for change in found] == list(env.beyond)
    assert found[0].gain.value == pytest.approx(row["beyond"][0]["after"] - row["beyond"][0]["before"])


class Thinks:
    """An agent of one reply."""

    interface = "text"

    def act(self, observations, *, deterministic=False):
        return ["<think>So.</think> <answer>horizontal</answer>"] * len(observations["prompt"])


def test_what_else_changed_is_asked_and_read_as_the_run_is(tmp_path, monkeypatch):
    env = replace(DIGITS, beyond=("task:FlipPrediction",))
    run = tiny(Entry("nano-ppo"), environments=(env,)).runs()[0]
    unread, read = probes.measure(run, Thinks()), probes.measure(run, Thinks(), "think")
    assert isinstance(unread["task:FlipPrediction"], float)
    assert unread["task:FlipPrediction"] < -0.2 < read["task:FlipPrediction"]
    assert probes.compare(run, Thinks(), None, "think", "lenient")[0]["after"] == read["task:FlipPrediction"]
    asked, evaluate = [], probes.evaluate
    monkeypatch.setattr(probes, "evaluate", lambda *args, **how: asked.append(how) or evaluate(*args, **how))
    config = TrainConfig(env=DIGITS.id, env_args=DIGITS.args, prompt_style="think", grammar="lenient")
    monkeypatch.setattr(worker, "is_trained", lambda name: True)
    monkeypatch.setattr(worker, "read_trained", lambda name: config)
    monkeypatch.setattr(worker, "load_agent", lambda *_, **__: Thinks())
    monkeypatch.setattr(worker, "agent_interface", lambda name: "text")
    assert worker.perform(run, tmp_path)["result"]["readable"] == 0  # "horizontal" is no angle
    assert [(how["prompt_style"], how["grammar"]) for how in asked] == [("think", "lenient")]


def test_a_lesson_is_asked_and_read_in_one_way(tmp_path):
    lesson = Lesson("SSL4RL/FlipPrediction-v0", DIGITS.args, 8, 0, tmp_path, 1, 32, prompt_style="think", grammar="lenient")
    interface = lesson.make_envs(2, "text").questions.interface
    assert (interface.prompt_style, interface.grammar) == ("think", "lenient")
    with pytest.raises(TypeError, match="prompt_style"):
        lesson.make_envs(2, "text", prompt_style="direct")  # it would be measured in another way than it learned
    lesson.begin(Thinks())
    lesson.progress(Thinks(), 8)
    assert lesson.curve[0].success > 0


@pytest.mark.parametrize("tasks", [["Rotation", "FlipPrediction"], ["SSL4RL/Rotation-v0", "SSL4RL/FlipPrediction-v0"]])
def test_tasks_of_a_mixture_are_asked_as_it_does(tasks):
    args = {"source": "digits", "image_size": 36, "tasks": tasks}
    run = tiny(Entry("nano-ppo"), environments=(Environment("SSL4RL/Mixture-v0", args),)).runs()[0]
    task = probes.asked("FlipPrediction", run)
    batch = task.sample(Stream("test", range(8), range(8)))
    assert (batch.observation["task"] == 1).all()
    assert set(batch.observation) == {"image_1", "image_2", "task"}
    assert set(probes.asked("OddPatch", run).observation_space) == {"image"}  # which it does not ask


def test_unknown_measurements_are_named(tmp_path):
    run = tiny(Entry("nano-ppo")).runs()[0]
    envs = SSLVectorEnv(make_task(DIGITS.id, **DIGITS.args), num_envs=2)
    agent = load_agent("nano-ppo", envs)
    agent._agent = type("Held", (), {"policy": "a network"})()
    asked = ("smell:roses@2", "probe:sky@2")
    found = probes.compare(replace(run, env=replace(DIGITS, beyond=asked)), agent, None)
    assert "no measurement 'smell:roses@2'" in found[0]["error"]
    assert "needs the labels of scenes" in found[1]["error"]
    assert changes([{"env": "one", "agent": "a", "beyond": found}]) == []
    blind = probes.measure(replace(run, env=replace(DIGITS, beyond=("probe:digits@2",))), object())
    assert "no `policy`" in blind["probe:digits@2"]


# Statistics


def row_of(agent: str, env: str, seed: int, score: float, *, learns: bool = True, ceiling: bool = False, **more):
    return {
        "key": f"{agent}{env}{seed}",
        "suite": "made up",
        "env": env,
        "agent": agent,
        "seed": seed,
        "status": "done",
        "command": f"ssl4rl bench 'made up' --env {env} --agent {agent} --seed {seed}",
        "commit": "abc",
        "versions": {"python": "3.11"},
        "machine": {"cores": 2, "gpu": None},
        "device": "cpu",
        "threads": 1,
        "config": {
            "agent": {"name": agent, "settings": {}, "learns": learns, "ceiling": ceiling},
            "episodes": 64,
            "env": {"id": DIGITS.id, "args": DIGITS.args},
        },
        "result": {"normalised": score, "success": score, "chance": 0.25, "oracle": 1.0},
        "curve": [{"episodes": 32 * (i + 1), "reward": 0.25 + 0.75 * score * (i + 1) / 2} for i in range(2)],
        "seconds": {"learning": 3.0, "total": 4.0},
        "memory_mb": 100,
        "answers": [{"said": "90", "reward": score, "success": score > 0.5}] * gallery.GALLERY,
        "beyond": [],
        **more,
    }


def made_up():
    scores = {"good": (0.9, 0.8, 0.7), "poor": (0.3, 0.2, 0.1)}
    found = [
        row_of(agent, env, seed, score - shift)
        for agent, values in scores.items()
        for env, shift in (("one", 0.0), ("two", 0.1))
        for seed, score in enumerate(values)
    ]
    found += [row_of("told", env, seed, 0.95, ceiling=True) for env in ("one", "two") for seed in range(3)]
    return [*found, row_of("chance", "one", 0, 0.0, learns=False), row_of("partial", "three", 0, 0.5)]


def test_interquartile_means_by_hand():
    table = statistics.table_of(made_up())
    shared, seeds = table.shared(["good", "poor"], table.environments)
    assert (shared, seeds) == (["one", "two"], [0, 1, 2])
    scores = table.matrix(["good", "poor"], shared, seeds)
    assert scores["good"].shape == (3, 2)
    found = statistics.interquartile_means(scores)
    # Of 0.6, 0.7, 0.7, 0.8, 0.8, 0.9 a quarter is cut off at each end, which is one value: the mean of the other four.
    assert found["good"].value == pytest.approx(0.75)
    assert found["good"].low < 0.75 < found["good"].high
    assert statistics.interquartile_means(scores) == found


@pytest.mark.usefixtures("fewer_bootstraps")
def test_who_wins_where_by_hand():
    found = {won.env: won for won in summarise("made up", made_up()).winners}
    assert list(found) == ["one", "two"]  # one agent alone in "three" beats nobody
    won = found["two"]
    assert (won.agent, won.second, won.ahead.verdict, won.named) == ("good", "poor", "better", "good")
    assert won.ceiling is not None
    assert (won.ceiling[0], won.ceiling[1].value) == ("told", pytest.approx(0.95))
    # Two means of three values with a standard deviation of 0.1: 0.6 apart, t of 4 degrees of freedom is 2.776.
    reach = 2.776 * np.sqrt(2 * 0.1**2 / 3)
    assert (won.ahead.value, won.ahead.low) == pytest.approx((0.6, 0.6 - reach), abs=1e-3)


@pytest.mark.usefixtures("fewer_bootstraps")
def test_a_winner_may_be_no_better_than_chance():
    rows = [row_of(agent, "one", seed, score) for agent in ("a", "b") for seed, score in enumerate((-0.1, 0.2, 0.0))]
    (won,) = summarise("made up", rows).winners
    assert (won.named, won.ahead.verdict, won.ceiling) == ("a, maybe chance", "unclear", None)
    assert "maybe chance" in markdown.winners(summarise("made up", rows))
    worse = [row_of(agent, "one", seed, score) for agent in ("a", "b") for seed, score in enumerate((-0.3, -0.2, -0.25))]
    assert summarise("made up", worse).winners[0].named == "a, below chance"


@pytest.mark.parametrize(("values", "others"), [([0.5], [0.1, 0.2]), ([0.5, 0.5], [0.1, 0.1])])
def test_a_difference_without_spread_has_no_interval(values, others):
    found = statistics.difference(values, others)
    assert found.low == found.value == found.high == pytest.approx(np.mean(values) - np.mean(others))


def test_the_better_one_beats_the_other():
    scores = statistics.table_of(made_up()).matrix(["good", "poor"], ["one", "two"], [0, 1, 2])
    found = statistics.improvements(scores, "good")["poor"]
    assert found.value == 0
    other = statistics.improvements({"a": scores["good"], "b": scores["good"]}, "a")["b"]
    assert other.value == pytest.approx(0.5)


def test_profiles_fall_from_one_to_nothing():
    scores = statistics.table_of(made_up()).matrix(["good", "poor"], ["one", "two"], [0, 1, 2])
    found, reach = statistics.profiles(scores)["good"]
    assert found[0] == 1
    assert found[-1] == 0
    assert (np.diff(found) <= 0).all()
    assert reach.shape == (2, len(statistics.THRESHOLDS))
    # Half of good's six scores (0.6, 0.7, 0.7, 0.8, 0.8, 0.9) lie above 0.75.
    assert found[np.isclose(statistics.THRESHOLDS, 0.75)] == pytest.approx(0.5)


def test_curves_are_normalised():
    found = statistics.efficiency(made_up(), ["good"], ["one", "two"], [0, 1, 2])["good"]
    assert [point["episodes"] for point in found] == [32, 64]
    assert found[1]["value"] == pytest.approx(0.75)
    assert found[0]["value"] == pytest.approx(0.375)


@pytest.mark.usefixtures("fewer_bootstraps")
def test_curves_over_other_numbers_of_episodes_are_apart():
    found = made_up()
    for row in found:
        if row["env"] == "two":
            row["config"] = {**row["config"], "episodes": 256}
            row["curve"] = [{**point, "episodes": point["episodes"] * 4} for point in row["curve"]]
    curves = summarise("made up", found).curves
    assert [(one.episodes, one.environments) for one in curves] == [(64, ["one"]), (256, ["two"])]
    assert [[point["episodes"] for point in one.lines["good"]] for one in curves] == [[32, 64], [128, 256]]
    assert [one.lines["good"][1]["value"] for one in curves] == [pytest.approx(0.8), pytest.approx(0.7)]
    assert "two: 256" in page.write(summarise("made up", found))


def test_means_of_few_seeds_by_hand():
    found = statistics.mean([0.4, 0.5, 0.6])
    assert found.value == pytest.approx(0.5)
    assert found.high - 0.5 == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)  # t of two degrees of freedom
    assert statistics.mean([0.7]) == statistics.Estimate(0.7, 0.7, 0.7)


def test_few_seeds_are_not_called_sure_too_often():
    rng = np.random.default_rng(0)
    found = [statistics.mean(rng.standard_normal(3)) for _ in range(1_000)]
    assert 0.03 < np.mean([estimate.low > 0 or estimate.high < 0 for estimate in found]) < 0.07


@pytest.mark.usefixtures("fewer_bootstraps")
def test_seeds_are_matched_where_runs_are_lacking():
    scores = {0: 0.1, 1: 0.5, 2: 0.9}
    full = [row_of(agent, env, seed, score) for agent in "ab" for env in ("one", "two") for seed, score in scores.items()]
    summary = summarise("made up", [row for row in full if (row["agent"], row["env"], row["seed"]) != ("a", "one", 0)])
    assert summary.seeds == [1, 2]
    assert [place.score.value for place in summary.standings] == [pytest.approx(0.7)] * 2
    assert "seed 0" in " ".join(summary.left_out)


def test_rows_that_cannot_be_told_apart_are_refused():
    twice = row_of("good", "one", 0, 0.5)
    with pytest.raises(ValueError, match="two rows of good in one with seed 0"):
        statistics.table_of([twice, {**twice, "key": "other"}])
    longer = {**row_of("poor", "one", 0, 0.5), "config": {**twice["config"], "episodes": 999}}
    with pytest.raises(ValueError, match="called by the environment 'one'"):
        statistics.table_of([twice, longer])
    other = row_of("good", "two", 0, 0.5)
    other["config"]["agent"]["settings"] = {"x": 1}
    with pytest.raises(ValueError, match="called by the agent 'good'"):
        statistics.table_of([twice, other])


def test_numpys_generator_is_left_alone():
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    statistics.interquartile_means({"a": np.ones((3, 2))})
    assert np.random.rand() == expected  # noqa: NPY002


# The report


@pytest.mark.usefixtures("fewer_bootstraps")
def test_standings_compare_what_is_comparable():
    summary = summarise("made up", made_up())
    assert [place.agent for place in summary.standings] == ["told", "good", "poor"]
    assert [place.ceiling for place in summary.standings] == [True, False, False]
    assert summary.standings[1].beats is None  # the leader is not told answers
    assert summary.shared == ["one", "two"]
    assert "partial" in summary.table.agents
    assert "half of the environments or fewer: partial" in " ".join(summary.left_out)
    over = summarise("made up", made_up(), ["two"])
    assert over.shared == ["two"]
    with pytest.raises(ValueError, match="no run has ended well"):
        summarise("made up", [{**made_up()[0], "status": "failed", "error": "x"}])


@pytest.mark.usefixtures("fewer_bootstraps")
def test_harm_is_shown_as_such():
    measured = [{"what": "task:two", "before": 0.4, "after": 0.1 + seed / 100, "beside": {}} for seed in range(3)]
    rows_of_seeds = [row_of("nano", "one", seed, 0.5, beyond=[entry]) for seed, entry in enumerate(measured)]
    (change,) = changes(rows_of_seeds)
    assert change.gain.verdict == "worse"
    assert change.gain.value == pytest.approx(-0.29)
    assert "| worse |" in markdown.changed([change])
    assert markdown.signed(change.gain).startswith("*-0.29* (")
    summary = summarise("made up", rows_of_seeds)
    assert "*-0.29* (" in markdown.write(summary)
    assert "rgba(179,38,30" in page.write(summary)
    (alone,) = changes(rows_of_seeds[:1])
    assert alone.gain.verdict == "unclear"


@pytest.mark.usefixtures("fewer_bootstraps")
def test_what_is_above_a_control_is_shown():
    found = []
    for seed in range(3):
        for agent, after, settings in (("nano", 0.7 + seed / 100, {}), ("coin", 0.6, {"control": {"reward": "coin"}})):
            entry = {"what": "quarters:digits@10", "before": 0.5, "after": after + seed / 10, "beside": {}}
            row = row_of(agent, "one", seed, 0.5, beyond=[entry])
            row["config"]["agent"] |= {"name": "nano", "settings": settings}
            found.append(row)
    summary = summarise("made up", found)
    text = markdown.write(summary)
    assert "| one | nano | coin | quarters:digits@10 | 0.810 | 0.700 | **+0.11** (+0.09 to +0.13) |" in text
    assert "Above controls" in page.write(summary)
    assert "Above controls" not in markdown.write(summarise("made up", found[::2]))


def mixed_and_alone():
    scores = {"Rotation": (0.6, 0.7, 0.8), "OddPatch": (0.1, 0.2, 0.3)}
    found = []
    for task, values in scores.items():
        for seed, score in enumerate(values):
            alone = row_of("nano", task, seed, score)
            alone["config"]["env"] = {"id": f"SSL4RL/{task}-v0", "args": {"source": "digits"}}
            other = row_of("nano", f"{task} of faces", seed, 0.0)
            other["config"]["env"] = {"id": f"SSL4RL/{task}-v0", "args": {"source": "faces"}}
            stranger = row_of("gcn", task, seed, -1.0)
            stranger["config"]["env"] = alone["config"]["env"]
            found += [stranger, alone, other]
    for seed in range(3):
        after = {"Rotation": 0.1 * seed, "OddPatch": 0.5 + 0.1 * seed}
        measured = [{"what": f"task:{task}", "before": 0.0, "after": score, "beside": {}} for task, score in after.items()]
        row = row_of("nano, adaptive", "Mixture", seed, 0.3, beyond=measured)
        args = {"source": "digits", "tasks": ["Rotation", "SSL4RL/OddPatch-v0"]}
        row["config"] |= {"env": {"id": "SSL4RL/Mixture-v0", "args": args}}
        row["config"]["agent"] |= {"name": "nano", "settings": {"adaptive": True}}
        found.append(row)
    return found


@pytest.mark.usefixtures("fewer_bootstraps")
def test_what_was_learned_together_stands_beside_what_was_learned_alone():
    summary = summarise("made up", mixed_and_alone())
    found = {one.task: one for one in summary.together}
    assert list(found) == ["Rotation", "OddPatch", "mean"]
    values = {task: (one.together.value, one.alone.value, one.ahead.value) for task, one in found.items()}
    assert values["Rotation"] == pytest.approx((0.1, 0.7, -0.6))
    assert values["OddPatch"] == pytest.approx((0.6, 0.2, 0.4))
    assert values["mean"] == pytest.approx((0.35, 0.45, -0.1))
    # Two means of three values with a standard deviation of 0.1; t of 4 degrees of freedom is 2.776.
    reach = 2.776 * np.sqrt(2 * 0.1**2 / 3)
    assert found["OddPatch"].ahead.low == pytest.approx(0.4 - reach, abs=1e-3)
    assert [one.ahead.verdict for one in found.values()] == ["worse", "better", "unclear"]
    text = markdown.together(summary)
    assert (
        "| Mixture | nano, adaptive | Rotation | 0.10 (-0.15 to 0.35) | 0.70 (0.45 to 0.95) | *-0.60* (-0.83 to -0.37) |"
        in text
    )
    assert "| OddPatch | 0.60 (0.35 to 0.85) | 0.20 (-0.05 to 0.45) | **+0.40** (+0.17 to +0.63) |" in text
    assert 'class="worse">-0.60' in page.write(summary)
    without = [row for row in mixed_and_alone() if row["env"] != "OddPatch"]
    assert [one.task for one in summarise("made up", without).together] == ["Rotation"]
    assert summarise("made up", made_up()).together == []
    assert "Together or alone" not in markdown.write(summarise("made up", made_up()))


def test_nought_has_no_sign():
    assert [markdown.fixed(value, 2) for value in (-0.001, 0.004, -0.006)] == ["0.00", "0.00", "-0.01"]
    assert [markdown.plus(value, 2) for value in (-0.001, 0.004, -0.006, 0.006)] == ["0.00", "0.00", "-0.01", "+0.01"]


@pytest.mark.usefixtures("fewer_bootstraps")
def test_ceilings_alone_make_a_page():
    summary = summarise(
        "made up",
        [row for row in made_up() if row["agent"] == "told"]
        + [row_of("told too", env, seed, 0.9, ceiling=True) for env in ("one", "two") for seed in range(3)],
    )
    assert [place.beats for place in summary.standings] == [None, None]
    assert "Probability of improvement" not in page.write(summary)


@pytest.mark.usefixtures("fewer_bootstraps")
def test_pictures_that_are_elsewhere_do_not_spoil_the_page():
    row = row_of("good", "one", 0, 0.5)
    row["config"]["env"] = {"id": DIGITS.id, "args": {"source": "folder:/nowhere/at/all"}}
    assert "cannot be shown here" in page.write(summarise("made up", [row]))


@pytest.mark.usefixtures("fewer_bootstraps")
def test_markdown_holds_every_score():
    summary = summarise("made up", [*made_up(), running_failure()])
    text = markdown.write(summary, "Who wins?")
    for words in ("# made up", "Who wins?", "| good | 0.750 |", "told *", "## Failed runs", "it broke | badly"):
        assert words in text
    assert text.count("| one |") == 2  # who wins there, and its scores


def running_failure():
    return {**row_of("poor", "one", 9, 0), "status": "failed", "error": "it broke | badly"}


@pytest.mark.usefixtures("fewer_bootstraps")
def test_the_page_needs_no_network():
    text = page.write(summarise("made up", [*made_up(), running_failure()]), "Who <wins>?")
    assert "Who &lt;wins&gt;?" in text
    for outside in ('src="http', 'href="http', "@import", "url(http"):
        assert outside not in text
    data = text.split('id="data">')[1].split("</script>")[0]
    assert len(json.loads(data.replace("<\\/", "</"))) == len(made_up()) + 1


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_shows_the_page_without_complaint(tmp_path):
    text = page.write(summarise("made up", [*made_up(), running_failure()]))
    probe = """<script>
      document.querySelector("#leaderboard thead th").click();
      document.querySelector("button[data-agents]").click();
      const wide = document.documentElement.scrollWidth > window.innerWidth;
      const first = document.querySelector("#leaderboard tbody th").textContent;
      document.title = [first, document.getElementById("shown").textContent, wide ? "too wide" : "fits"].join("; ");
    </script></body>"""
    file = tmp_path / "report.html"
    file.write_text(text.replace("</body>", probe))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    quiet = ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"]
    words = [
        BROWSER,
        *flags,
        *quiet,
        "--window-size=390,800",
        "--enable-logging=stderr",
        "--v=0",
        "--dump-dom",
        file.as_uri(),
    ]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in result.stderr, result.stderr
    title = result.stdout.split("<title>")[1].split("</title>")[0]
    assert title.startswith("told *; 19 of 21 runs.")
    assert title.endswith("fits")


# The command


@pytest.mark.usefixtures("fewer_bootstraps")
def test_the_command_runs_a_part_and_reports(run, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_command, "executor_of", lambda flags, out: InProcess(out / "work"))
    words = ["bench", "smoke", "--env", "Rotation", "--agent", "random", "constant", "oracle", "--out", tmp_path / "b"]
    result = run(*words)
    assert result.status == 0
    assert "3 rows, 0 of them failed" in result.out
    assert (tmp_path / "b" / "report.html").exists()
    assert "| Rotation |" in (tmp_path / "b" / "report.md").read_text()
    again = run(*words, "--json")
    assert "3 of them done before" in again.err
    assert [row["agent"] for row in again.json] == ["random", "constant", "oracle"]
    part = run("bench", "smoke", "--env", "Rotation", "--agent", "random", "--out", tmp_path / "b")
    assert "1 rows" in part.out
    assert "oracle" in (tmp_path / "b" / "report.md").read_text()  # a part adds to the report of the whole
    shown = run("bench", "smoke", "--rows", tmp_path / "b", "--out", tmp_path / "c")
    assert shown.status == 0
    assert (tmp_path / "c" / "report.md").read_text() == (tmp_path / "b" / "report.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a suite"),
        (["sudoku"], "unknown suite 'sudoku'"),
        (["smoke", "--env", "Sudoku"], "the suite has no Sudoku"),
        (["smoke", "--address", "auto"], "--address is of a Ray cluster"),
        (["nowhere.json"], "nowhere.json"),
    ],
)
def test_mistakes_are_told(run, words, message):
    result = run("bench", *words)
    assert result.status == 2
    assert message in result.err


def test_failures_decide_the_exit_status(run, tmp_path, monkeypatch):
    file = tmp_path / "grid.json"
    file.write_text(
        json.dumps(
            {
                "environments": [{"id": DIGITS.id, "args": DIGITS.args}],
                "agents": [{"name": "sb3-sac"}, {"name": "random", "learns": False}],
                "seeds": 1,
                "episodes": 16,
                "test_episodes": 16,
            }
        )
    )
    monkeypatch.setattr(bench_command, "executor_of", lambda flags, out: InProcess(out / "work"))
    result = run("bench", file, "--out", tmp_path / "b")
    assert result.status == 1
    assert "1 of them failed" in result.out


@pytest.mark.slow
def test_a_third_partys_package_is_compared_by_its_name(tmp_path):
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(site)]
    source = shutil.copytree(PLUGIN, tmp_path / "plugin")
    subprocess.run([*pip, str(source)], check=True, capture_output=True)
    grid = {
        "environments": [{"id": DIGITS.id, "args": DIGITS.args}],
        "agents": [{"name": "bandit", "settings": {"exploration": 0.5}}],
        "seeds": 2,
        "episodes": 64,
        "test_episodes": 64,
    }
    (tmp_path / "grid.json").write_text(json.dumps(grid))
    words = [sys.executable, "-m", "ssl4rl_benchmarks", "bench", "grid.json", "--out", "out"]
    subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, check=True, capture_output=True)
    found = rows.Rows(tmp_path / "out").all()
    assert [row["status"] for row in found] == ["done", "done"]
    assert all(row["curve"][-1]["episodes"] == 64 for row in found)
    assert abs(found[0]["result"]["normalised"]) < 0.4  # it cannot look, so it is at chance


# The documentation

RESULTS = Path(__file__).parents[2] / "docs" / "results"


NUMBER = r"[+-]?\d\.\d+"


def without_bootstraps(text: str) -> str:
    """Leave out the leaderboard's intervals."""
    intervals = rf" *\(?({NUMBER} to {NUMBER}|{markdown.NONE})\)?"
    return re.sub(r"## Leaderboard.*?\n## ", lambda found: re.sub(intervals, "", found[0]), text, flags=re.DOTALL)


OF_SUITES = [
    file for file in sorted(RESULTS.glob("*.jsonl")) if not file.stem.startswith(("better", "paper"))
]  # which have tests of their own


@pytest.mark.parametrize("file", OF_SUITES, ids=lambda file: file.stem)
@pytest.mark.usefixtures("fewer_bootstraps")
def test_published_tables_follow_from_published_rows(file):
    """No figure without its row: tables are made anew from the rows beside them, but for bootstraps, which take minutes."""
    suite, chosen = suites.SUITES[file.stem], choices.FOLDER / f"{file.stem}.json"
    suite = choices.with_choices(suite, chosen) if chosen.exists() else suite
    found = rows.read_rows([file])
    runs = {run.key: run for run in suite.runs()}
    for row in found:
        kept = Run.from_json(row["config"])
        assert row["key"] == kept.key, "rows of every revision keep the names that they have"
        if kept.revision == grid.REVISION:
            assert row["key"] in runs, f"{row['command']} is no run of the suite as it is declared now"
            assert row["command"] == runs[row["key"]].command
        assert row["settings"] or not row["config"]["agent"]["learns"], "what it learned with"
    made = markdown.write(summarise(suite.name, found, suite.compared, suite.command()), suite.asks)
    kept = (RESULTS / f"{file.stem}.md").read_text()
    assert without_bootstraps(made) == without_bootstraps(kept)


@pytest.mark.usefixtures("fewer_bootstraps")
def test_tables_are_published_with_their_rows_and_curves(tmp_path):
    found = [*made_up(), running_failure()]
    files.write_report(found, tiny(Entry("good")), tmp_path / "out", tmp_path / "docs")
    assert sorted(file.name for file in (tmp_path / "docs").iterdir()) == ["tiny.jsonl", "tiny.md", "tiny.svg"]
    assert len(rows.read_rows([tmp_path / "docs" / "tiny.jsonl"])) == len(found)
    assert (tmp_path / "docs" / "tiny.md").read_text() == (tmp_path / "out" / "report.md").read_text()
    drawing = ElementTree.parse(tmp_path / "docs" / "tiny.svg").getroot()
    assert drawing[0].attrib == {"width": "100%", "height": "100%", "fill": "white"}


@pytest.mark.usefixtures("fewer_bootstraps")
def test_a_page_without_answers_has_no_gallery():
    bare = [{name: value for name, value in row.items() if name != "answers"} for row in made_up()]
    assert "Questions and answers" in page.write(summarise("made up", made_up()))
    assert "Questions and answers" not in page.write(summarise("made up", bare))


def test_the_documentation_shows_this_package_and_these_suites():
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    for file in (PLUGIN / "pyproject.toml", PLUGIN / "src" / "ssl4rl_bandit.py"):
        assert file.read_text().rstrip() in text
    assert suites.table() in text


def test_the_documented_grid_is_one(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    file = tmp_path / "mine.json"
    file.write_text(text.split("```json\n")[1].split("```")[0])
    assert [agent.title for agent in from_file(file).agents] == ["random", "sb3-ppo, 8 epochs", "sb3-dqn", "nano-grpo"]
    assert len(from_file(file).runs()) == 21


def test_processes_of_runs_share_the_cores_with_one_another():
    found = executors._environment(executors.Resources(threads=3, device="cpu"))
    assert {found[name] for name in ("OMP_NUM_THREADS", "SSL4RL_THREADS")} == {"3"}
