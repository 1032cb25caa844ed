"""What was trained can be used: measured elsewhere, asked, trained for longer, started from; and other agents are kept."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
import typing
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.control_settings import Reward
from ssl4rl_agents.evaluation import Result, evaluate
from ssl4rl_agents.lessons import Point
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.trained import Trained
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_benchmarks.commands.eval import inherited, sentence
from ssl4rl_benchmarks.reports.kept import troubles
from ssl4rl_benchmarks.reports.results import rows
from ssl4rl_benchmarks.reports.run import taken_away
from ssl4rl_envs import make_task
from tests.benchmarks.conftest import ENV


def mistake(result, *words: str) -> None:
    """Status 2 and one line that says all of these."""
    assert result.status == 2, result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


@pytest.fixture
def picture(tmp_path) -> Path:
    task = make_task(ENV, source="photos", image_size=48)
    source = task.source
    Image.fromarray(source.pixels(source.whole(source.items("test")[:1]), 48)[0]).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


# eval


def test_a_run_is_measured_in_another_environment(run, finished):
    """Over the pictures that it was trained on, unless flags say otherwise; as Python measures it."""
    found = run("eval", finished, "flip_prediction", "--episodes", "32", "--json").json
    assert found["env"] == "SSL4RL/FlipPrediction-v0"
    assert (found["env_args"]["source"], found["env_args"]["image_size"]) == ("digits", 36)
    task = make_task("FlipPrediction", **found["env_args"])
    measured = evaluate(load_agent(finished), task, env="FlipPrediction", split="test", episodes=32)
    assert (measured.reward, measured.items) == (found["reward"], found["items"])
    other = run("eval", finished, "FlipPrediction", "--episodes", "32", "--source", "faces", "--json").json
    assert (other["env_args"]["source"], other["env_args"]["image_size"]) == ("faces", 36)


def test_a_run_is_measured_over_another_source_or_at_another_level(run, finished):
    found = run("eval", finished, "--episodes", "32", "--source", "faces", "--json").json
    assert (found["env"], found["env_args"]["source"], found["env_args"]["image_size"]) == (ENV, "faces", 36)
    level = run("eval", finished, "rotation", "--episodes", "32", "--level", "angles-2", "--json").json
    assert level["chance"] == 0.5
    assert level["env_args"] == {"source": "digits", "image_size": 36, "level": "angles-2", "reference": False}
    assert "(default: digits)" in run("eval", finished, "--help").out


def test_what_a_run_was_trained_with_holds_where_nothing_else_is_said():
    trained = Trained("SSL4RL/PatchOrdering-v0", {"level": "3x3-gap", "source": "faces", "pairing": "one"})
    same = inherited(trained, "SSL4RL/PatchOrdering-v0")
    assert "level" not in same
    assert same["source"] == "faces"
    assert same["pairing"] == "one"
    assert make_task(trained.env, **same).stream_key == make_task(trained.env, **trained.env_args).stream_key
    assert inherited(trained, "SSL4RL/Rotation-v0") == {"source": "faces"}
    assert inherited(trained, "SSL4RL/EdgePrediction-v0") == {}


# ask


def test_a_run_is_asked_about_a_picture(run, finished, picture, tmp_path):
    found = run("ask", finished, picture, "--count", "2", "--out", tmp_path / "cards" / "card.png")
    assert found.status == 0, found.err
    assert found.out.count("reply") == 2
    assert "truth" in found.out
    width, height = Image.open(tmp_path / "cards" / "card.png").size
    one = run("ask", finished, picture, "--out", tmp_path / "one.png", "--json").json
    assert height == 2 * Image.open(tmp_path / "one.png").size[1]
    assert width > 300
    assert one[0].keys() >= {"question", "reply", "answer", "truth", "reward", "success", "index"}
    numbered = run("ask", finished, "--index", "4", "--split", "validation", "--json").json
    assert (numbered[0]["index"], numbered[0]["split"]) == (4, "validation")


def test_questions_that_cannot_be_put(run, finished, picture, tmp_path):
    mistake(run("ask"), "name a run folder and a picture")
    mistake(run("ask", finished), "name one thing to ask", "--index", "--node")
    mistake(run("ask", finished, picture, "--index", "1"), "name one thing to ask")
    mistake(run("ask", finished, "--node", "3"), "does not ask about single nodes")
    mistake(run("ask", finished, tmp_path / "no.png"), "no.png cannot be read as a picture")
    mistake(run("ask", tmp_path, picture), "is not a run folder")
    mistake(run("ask", finished, picture, "--count", "0"), "--count must be at least 1")
    mistake(run("ask", finished, "--index", "1", "--count", "2"), "--count is for questions about a picture")


# train


def test_a_finished_run_goes_on_for_longer(run, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    longer = run("train", "--resume", folder, "--iterations", "3", "--json")
    assert longer.status == 0, longer.err
    assert "optimizer.schedule is linear: the step size was" in longer.err
    assert [line["iteration"] for line in read_metrics(folder)] == [1, 2, 3]
    assert json.loads((folder / "config.json").read_text())["iterations"] == 3
    assert "linear" not in run("train", "--resume", folder, "--json").err, "nothing changes the second time"
    mistake(run("train", "--resume", folder, "--iterations", "2"), "has done 3 iterations already")
    mistake(run("train", "--resume", folder, "--iterations", "0"), "iterations must be at least 1")


def test_a_run_starts_from_another(run, finished, tmp_path, tiny):
    words = [word for pair in zip(tiny[::2], tiny[1::2], strict=True) if pair[0] != "--format-warmup" for word in pair]
    folder = tmp_path / "run"
    started = run("train", "FlipPrediction", "--out", folder, *words, "--policy.start", finished, "--json")
    assert started.status == 0, started.err
    settings = json.loads((folder / "config.json").read_text())
    assert settings["policy"]["start"].startswith(str(finished.resolve()))
    assert settings["format_warmup"] == 0
    assert (folder / "start.json").exists()
    elsewhere = run("eval", finished, "FlipPrediction", "--episodes", "32", "--json").json
    assert started.json["before"]["reward"] == elsewhere["reward"], "it begins where the other has ended"


SB3 = ("--source", "digits", "--image-size", "36", "--episodes", "64", "--test-episodes", "32", "--eval-episodes", "16")


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """The folder of a small agent of stable-baselines3; tests only read it."""
    from ssl4rl_benchmarks import cli

    folder: Path = tmp_path_factory.mktemp("kept") / "agent"
    settings = '{"n_epochs": 1, "batch_size": 32}'
    assert cli.main(["train", "Rotation", "--agent", "sb3-ppo", "--out", str(folder), *SB3, "--settings", settings]) == 0
    return folder


def test_an_agent_of_stable_baselines3_is_trained_and_kept(run, kept, picture):
    results = json.loads((kept / "results.json").read_text())
    assert set(results) >= {"before", "after", "train", "chance"}
    again = run("eval", kept, "--episodes", "32", "--json").json
    assert (again["reward"], again["env_args"]["source"]) == (results["after"]["reward"], "digits")
    assert run("eval", kept, "--episodes", "32", "--source", "faces", "--json").json["env_args"]["source"] == "faces"
    asked = run("ask", kept, picture, "--json").json[0]
    assert asked["answer"] == str(90 * asked["reply"])
    agent = load_agent(kept)
    assert agent.ask(picture).reply == asked["reply"]  # type: ignore[attr-defined]
    curve = [json.loads(line) for line in (kept / "metrics.jsonl").read_text().splitlines()]
    assert curve[-1]["episodes"] == 64


def test_what_a_kept_agent_refuses(run, kept, finished, tmp_path):
    mistake(run("eval", kept, "PatchPosition"), "was trained on the observations")
    mistake(run("eval", kept, "--checkpoint", "best"), "keep several")
    mistake(run("train", "--resume", kept), "trained in one go")
    call = ("train", "Rotation", "--agent", "sb3-ppo", *SB3)
    mistake(run(*call, "--out", kept), "a trained agent already; overwrite it")
    mistake(run(*call, "--out", tmp_path, "--settings", "{n_epochs: 1}"), "--settings must be an object of JSON")
    mistake(run(*call, "--out", tmp_path, "--settings", '{"n_epoch": 1}'), "n_epoch", "did you mean 'n_epochs'")
    mistake(run("train", "Rotation", "--agent", "random", "--out", tmp_path), "random does not learn")
    mistake(run("train", "--agent", "sb3-ppo", "--out", tmp_path), "name the environment first")
    mistake(run("train", "EdgePrediction", "--agent", "sb3-sac", "--out", tmp_path), "takes actions of Box")
    (tmp_path / "notes.txt").write_text("mine")
    mistake(run(*call, "--out", tmp_path, "--overwrite"), "files, and no trained agent")
    assert "--settings" in run("train", "Rotation", "--agent", "sb3-ppo", "--help").out


def test_a_kept_agent_is_overwritten_when_that_is_asked_for(run, kept, tmp_path):
    folder = shutil.copytree(kept, tmp_path / "kept")
    call = ("train", "Rotation", "--agent", "sb3-a2c", *SB3, "--out", folder, "--overwrite", "--json")
    assert run(*call).status == 0
    assert json.loads((folder / "agent.json").read_text())["agent"] == "sb3-a2c"
    assert load_agent(folder).interface == "array"


# The page of a kept agent


def test_a_kept_agent_leaves_a_page_as_a_run_does(kept):
    page = html.unescape((kept / "report.html").read_text())
    for name in ("curve.png", "board.png"):
        assert Image.open(kept / name).size[0] > 300
    words = (
        "The agent is asked by how many degrees", "before training, held out", "after training, seen items",
        "its 95 % interval",
        "The commonest mistakes among 96 held-out questions", "numpy 2.", "stable-baselines3", "64 episodes", "n_epochs",
    )  # fmt: skip
    for word in words:
        assert word in page, word
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert page.count("data:image/png;base64,") >= 12


def test_the_page_of_a_kept_agent_says_how_to_do_it_again(run, kept, tmp_path):
    """And that command does: the same numbers come out."""
    page = html.unescape((kept / "report.html").read_text())
    words = shlex.split(page.split("<code>")[1].split("</code>")[0])
    assert words[:6] == ["ssl4rl", "train", "Rotation", "--agent", "sb3-ppo", "--out"]
    assert "--seed" not in words, "what is as it is by default is not spelled out"
    words[6] = str(tmp_path / "again")
    again = run(*words[1:], "--json").json
    before = json.loads((kept / "results.json").read_text())
    assert [again[name]["reward"] for name in ("before", "after")] == [before[name]["reward"] for name in ("before", "after")]


def test_what_did_not_go_well_is_said():
    points = [Point(10, 1.0, 0.9, 0.9), Point(20, 2.0, 0.3, 0.3)]
    results = {"after": {"readable": 0.75, "interval": [0.4, 0.6]}}
    unread, better = troubles(results, points)
    assert unread == "25.0% of the replies could not be read as an answer."
    assert better.startswith("It was better on the way: a reward of 0.900 on the validation split after 10 episodes")
    assert troubles({"after": {"readable": None, "interval": [0.2, 0.4]}}, points[1:]) == []


def test_what_nobody_can_read_is_not_worse_than_chance():
    """Neither in the line of eval nor in the table of a run."""
    plain = Result(ENV, "test", 8, 0.0, 0.0, (0.0, 0.0), 8, 0.25, 1.0, -0.333, 0.1)
    unread, read = replace(plain, readable=0.1), replace(plain, readable=1.0)
    assert sentence("run", unread).endswith("normalised unknown, 10.0% of the replies readable")
    assert "normalised -0.333" in sentence("run", read)
    assert "normalised -0.333" in sentence("random", plain)
    shown = {"before": unread.to_json(), "after": read.to_json(), "train": plain.to_json(), "chance": 0.25}
    assert [line[-1] for line in rows(shown)] == ["0.000", "10% readable", "-0.333", "-0.333"]


def test_reports_say_what_every_reward_went_by():
    for reward in typing.get_args(Reward):
        said = taken_away(TrainConfig.from_json({"control": {"reward": reward}}))
        assert [f"control.reward {reward}" in line for line in said] == [True] * (reward != "verified")
