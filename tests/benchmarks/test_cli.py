"""The command `ssl4rl`: what it prints, what it writes, and what it says of mistakes."""

from __future__ import annotations

import dataclasses
import html
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.settings import TrainSettings
from ssl4rl_benchmarks.commands.flags import argument_help
from ssl4rl_envs import Stream, env_ids, make_task, task_class
from tests.agents import zoo
from tests.benchmarks.conftest import TINY

ENV = "SSL4RL/Rotation-v0"


def mistake(result, *words: str) -> None:
    """Status 2, nothing on standard output, one line without a traceback on standard error."""
    assert result.status == 2
    assert result.out == ""
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


def picture(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


# list, show, help


def test_list_names_every_environment(run, monkeypatch):
    monkeypatch.delenv("COLUMNS")  # as where it is piped: an environment is a line
    result = run("list")
    assert result.status == 0
    header, *lines = result.out.strip().splitlines()
    assert [line.split()[0] for line in lines] == env_ids()
    for word in ("environment", "action space", "chance", "asks"):
        assert word in header


def test_list_prints_json(run):
    result = run("list", "--json")
    assert result.status == 0
    assert result.err == ""
    assert [row["env"] for row in result.json] == env_ids()
    for row in result.json:
        assert row["chance"] == make_task(row["env"]).chance
        assert {"asks", "observation_space", "action_space", "interfaces", "horizon"} <= set(row)


def test_show_draws_every_environment(run, tmp_path):
    for env_id in env_ids():
        out = tmp_path / "new folder" / f"{env_id.split('/')[1]}.png"
        result = run("show", env_id, "--out", out, "--count", "3")
        assert result.status == 0
        assert str(out) in result.out
        assert picture(out).std() > 0


def test_show_prints_questions_and_answers_as_json(run, tmp_path):
    flags = ["--count", "5", "--angles", "8", "--json"]
    result = run("show", ENV, "--out", tmp_path / "a.png", *flags)
    assert result.status == 0
    assert len(result.json["instances"]) == 5
    assert {int(row["answer"]) % 45 for row in result.json["instances"]} == {0}
    assert all("45" in row["question"] for row in result.json["instances"])
    assert (result.json["env"], result.json["split"], result.json["seed"]) == (ENV, "train", 0)


@pytest.mark.parametrize("ending", ["png", "gif"])
def test_show_solves_episodes_with_reasons(run, tmp_path, ending):
    out = tmp_path / f"film.{ending}"
    flags = ("--count", "2", "--source", "digits", "--image-size", "36", "--solve", "--json")
    result = run("show", "RotateUpright", "--out", out, *flags)
    task = make_task("RotateUpright", source="digits", image_size=36)
    batch = task.sample(Stream.span("train", 0, 0, 2))
    steps = [min(turned, 4 - turned) + 1 for turned in batch.target.tolist()]
    instances = result.json["instances"]
    assert [len(one["decisions"]) for one in instances] == steps
    for one, why in zip(instances, task.rationale(batch), strict=True):
        assert one["decisions"][0]["thought"] == why
        assert [decision["reward"] for decision in one["decisions"]] == [0.0] * (len(one["decisions"]) - 1) + [1.0]
        assert one["decisions"][-1]["answer"] == "stop"
    with Image.open(out) as film:
        assert getattr(film, "n_frames", 1) == (sum(steps) + 2 if ending == "gif" else 1)


def test_show_is_reproducible_and_follows_seed_and_split(run, tmp_path):
    def drawn(name: str, *flags: str) -> np.ndarray:
        assert run("show", ENV, "--out", tmp_path / f"{name}.png", "--count", "2", "--source", "digits", *flags).status == 0
        return picture(tmp_path / f"{name}.png")

    first = drawn("first")
    assert np.array_equal(first, drawn("again"))
    assert not np.array_equal(first, drawn("seed", "--seed", "1"))
    assert not np.array_equal(first, drawn("split", "--split", "test"))


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_usage_names_every_command(run, arguments):
    result = run(*arguments)
    assert result.status == 0
    for command in ("list", "show ENV", "train ENV", "train --resume", "eval RUN_FOLDER", "eval AGENT ENV"):
        assert command in result.out


@pytest.mark.parametrize("command", ["list", "show", "train", "eval"])
def test_every_command_has_help(run, command):
    result = run(command, "--help")
    assert result.status == 0
    assert f"ssl4rl {command}" in result.out
    assert "--json" in result.out


COMMANDS = [("show",), ("train",), ("eval", "random"), ("audit",)]


@pytest.mark.parametrize(
    ("command", "env_id"), [*((COMMANDS[0], env_id) for env_id in env_ids()), *((words, ENV) for words in COMMANDS[1:])]
)
def test_help_names_the_arguments_of_the_task(run, command, env_id):
    """Those of each environment once: every command reads them by one function."""
    result = run(*command, env_id, "--help")
    assert result.status == 0
    texts = argument_help(task_class(env_id).__doc__ or "")
    flattened = " ".join(result.out.split())
    for name in inspect.signature(task_class(env_id)).parameters:
        assert f"--{name.replace('_', '-')}" in result.out
        assert texts[name].split(";")[0].split(",")[0] in flattened


def leaves(cls: type, prefix: str = "") -> list[str]:
    found = []
    for field in dataclasses.fields(cls):
        nested = field.default_factory
        if dataclasses.is_dataclass(nested):
            found += leaves(nested, f"{field.name}.")
        else:
            found.append(prefix + field.name)
    return found


def test_every_setting_is_a_flag_with_help(run):
    result = run("train", ENV, "--help")
    assert result.status == 0
    settings = leaves(TrainSettings)
    assert len(settings) > 35
    for name in settings:
        flag = "--" + name.replace("_", "-")
        after = rf"^[│ ]*{re.escape(flag)}(?![\w.-])[^\n]*\n(.*?)(?=\n[│ ]*--|\Z)"
        found = re.search(after, result.out, re.DOTALL | re.MULTILINE)
        assert found, flag
        words = re.sub(r"\((default|optional|required)[^)]*\)|\{[^}]*\}", "", found[1])
        assert len(re.findall(r"[a-z]{2,}", words)) >= 2, (flag, found[1])


# train


def test_a_run_leaves_everything(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"config.json", "metrics.jsonl", "checkpoints", "curve.png", "board.png", "report.html", "results.json"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    kept = {path.name for path in (finished / "checkpoints").iterdir()}
    assert kept == {"best.json", "iteration-000000", "iteration-000002"}
    assert len(read_metrics(finished)) == 2
    for name in ("curve.png", "board.png"):
        assert picture(finished / name).std() > 0
    config = json.loads((finished / "config.json").read_text())
    assert config["env"] == ENV
    assert config["env_args"]["image_size"] == 36
    assert (config["rollout"]["prompts"], config["rollout"]["group_size"]) == (8, 2)


def test_the_events_hold_the_curves(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished))
    events.Reload()
    for name in ("reward", "entropy", "grad_norm"):
        drawn = {event.step: event.value for event in events.Scalars(name)}
        assert drawn == pytest.approx({line["iteration"]: line[name] for line in read_metrics(finished)})


def test_the_report_stands_alone(finished):
    page = (finished / "report.html").read_text()
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page.split("<metadata>")[0] + page.split("</metadata>")[1])
    assert page.count("data:image/png;base64,") >= 12
    for word in (
        "chance",
        "before training",
        "after training",
        "95 % interval",
        "rollout.group-size",
        "numpy 2.",
        "the model",
    ):
        assert word in page.replace("The model", "the model")
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)


def test_the_report_says_how_to_do_the_run_again(finished):
    """What is not as it is by default, and nothing else; no dump of settings."""
    page = html.unescape((finished / "report.html").read_text())
    words = page.split("<code>")[1].split("</code>")[0]
    assert words.startswith(f"ssl4rl train Rotation --out {finished} ")
    assert dict(zip(words.split()[5::2], words.split()[6::2], strict=True)) == TINY
    assert "group_size" not in page


def test_the_report_shows_errors(finished):
    """Intervals, and which answers were wrong."""
    page = (finished / "report.html").read_text()
    assert "its 95 % interval" in page
    assert "The commonest mistakes among 96 held-out questions" in page


def test_the_results_are_complete(finished):
    results = json.loads((finished / "results.json").read_text())
    assert results["finished"] is True
    assert results["chance"] == 0.25
    for name, split in (("before", "test"), ("after", "test"), ("train", "train")):
        assert (results[name]["split"], results[name]["episodes"]) == (split, 32)
    assert "ceiling" not in results


def test_json_is_all_that_stands_on_standard_output(run, tmp_path, tiny):
    """And --overwrite replaces a run that is there already; --ceiling adds what supervision reaches."""
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_text("{}")
    (out / "old").touch()
    result = run("train", ENV, "--out", out, "--json", "--overwrite", "--ceiling", *tiny)
    assert result.status == 0, result.err
    assert result.json == json.loads((out / "results.json").read_text())
    assert not (out / "old").exists()
    assert result.json["ceiling"]["split"] == "test"
    assert "supervised ceiling" in (out / "report.html").read_text()


def test_a_finished_run_may_be_resumed(run, finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    result = run("train", "--resume", copy, "--json")
    assert result.status == 0, result.err
    before = json.loads((finished / "results.json").read_text())
    for name in ("before", "after", "train"):
        assert {**result.json[name], "seconds": 0} == {**before[name], "seconds": 0}
    assert read_metrics(copy) == read_metrics(finished)


def test_training_prints_a_table(run, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    result = run("train", f"--resume={tmp_path / 'copy'}")
    assert result.status == 0
    for word in ("chance", "before training", "after training, seen items", "normalised", "32 held-out questions"):
        assert word in result.out


def test_a_pretrained_model_is_tuned_over_a_folder_of_images(run, tmp_path):
    """The command of docs/training.md, in small."""
    zoo.save("qwen2_5_vl", tmp_path / "model")
    (tmp_path / "images").mkdir()
    pictures = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / "images" / f"{number}.png")
    command = f"--source folder:{tmp_path / 'images'} --image-size 64 --policy.model {tmp_path / 'model'}"
    command += " --policy.lora-rank 4 --policy.gradient-checkpointing --objective.advantage grpo --rollout.group-size 2"
    command += " --rollout.prompts 4 --optimizer.epochs 1 --optimizer.minibatches 2 --iterations 2 --format-warmup 1"
    command += " --eval-every 1 --eval-episodes 4 --test-episodes 8 --device cpu"
    result = run("train", ENV, "--out", tmp_path / "run", "--json", *command.split())
    assert result.status == 0, result.err
    assert result.json["finished"]
    for which in ("best", "newest"):
        measured = run("eval", tmp_path / "run", "--checkpoint", which, "--episodes", "8", "--json")
        assert measured.status == 0, measured.err
        assert measured.json["episodes"] == 8


# eval


def test_evaluating_a_run_repeats_its_result(run, finished):
    result = run("eval", finished, "--episodes", "32", "--json")
    assert result.status == 0
    keys = {"agent", "env", "split", "episodes", "reward", "success", "chance", "oracle", "normalised", "interval"}
    assert keys <= set(result.json)
    after = json.loads((finished / "results.json").read_text())["after"]
    for name in set(after) - {"seconds"}:
        assert result.json[name] == after[name], name


def test_a_nano_that_sees_less_than_there_is_is_told_of(run, tmp_path):
    short = (
        "--iterations",
        "1",
        "--eval-episodes",
        "4",
        "--test-episodes",
        "4",
        "--rollout.prompts",
        "8",
        "--source",
        "digits",
    )
    for size, more, told in (("48", (), True), ("32", (), False), ("48", ("--policy.nano-image-size", "48"), False)):
        ended = run("train", ENV, "--out", tmp_path / "run", "--overwrite", "--image-size", size, *short, *more)
        assert ended.status == 0, ended.err
        said = "nano sees pictures of 48 pixels a side brought to 32; --policy.nano-image-size 48 shows it more"
        assert (said in ended.err) == told


def test_every_evaluation_says_whether_a_policy_looks(run, finished):
    shown = run("eval", finished, "--episodes", "8", "--looking", "16")
    assert shown.out.splitlines()[1].startswith("by choice, 16 questions as they are and altered: shown 0.")
    assert all(f"{how} 0." in shown.out for how in ("blank", "swapped", "noise"))
    looked = run("eval", finished, "--episodes", "8", "--looking", "16", "--json").json["looking"]
    assert set(looked) == {f"looking/{name}" for name in ("shown", "blank", "swapped", "noise", "picture_gain", "chance")}
    assert "looking" not in run("eval", finished, "--episodes", "8", "--looking", "0", "--json").json
    mistake(run("eval", finished, "--looking", "-1"), "--looking must be at least 0, got -1")
    unlisted = run("eval", finished, "PatchOrdering", "--episodes", "8", "--json")
    assert unlisted.json["looking"] is None
    assert "not asked with other pictures: --looking compares the answers that one decision offers" in unlisted.err


def test_the_grammar_that_replies_are_read_by_can_be_chosen(run, finished):
    """A run's own by default; the lenient one reads at least as much."""
    strict, lenient = (
        run("eval", finished, "--episodes", "32", "--json", *more).json for more in ((), ("--grammar", "lenient"))
    )
    assert 0 <= strict["readable"] <= lenient["readable"] <= 1
    assert strict["success"] <= lenient["success"]
    assert (
        "of the replies readable\nby choice, 8 questions" in run("eval", finished, "--episodes", "32", "--looking", "8").out
    )
    wrong = run("eval", finished, "--grammar", "loose")
    assert wrong.status == 2
    assert "strict" in wrong.err
    assert "lenient" in wrong.err


def test_chat_templates_are_told_their_arguments(run, tmp_path):
    zoo.save("llava", tmp_path / "model")
    command = f"--source digits --policy.model {tmp_path / 'model'} --policy.template-arguments enable_thinking False"
    mistake(run("train", ENV, "--out", tmp_path / "run", *command.split()), "never uses enable_thinking")


def test_evaluating_a_baseline(run):
    result = run("eval", "random", ENV, "--episodes", "512", "--source", "digits", "--json")
    assert result.status == 0
    assert (result.json["agent"], result.json["env"], result.json["split"]) == ("random", ENV, "test")
    assert abs(result.json["success"] - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 512)
    assert run("eval", "oracle", ENV, "--episodes", "32", "--source", "digits", "--json").json["normalised"] == 1


def test_evaluating_prints_a_sentence(run):
    result = run("eval", "constant", ENV, "--episodes", "64", "--source", "digits", "--split", "validation", "--angles", "2")
    assert result.status == 0
    assert result.out.startswith(f"constant on {ENV}, validation: success 0.")
    assert "chance 0.500" in result.out


# Mistakes


def test_an_unknown_command(run):
    mistake(run("trian"), "unknown command 'trian'; did you mean 'train'? known are list, show, train")


@pytest.mark.parametrize("command", [("show",), ("train",), ("eval", "random")])
def test_an_unknown_environment(run, command):
    mistake(run(*command, "SSL4RL/Rotatoin-v0"), "SSL4RL/Rotatoin-v0", "did you mean 'Rotation'?")


@pytest.mark.parametrize("command", [("show",), ("train",), ("eval", "random")])
def test_no_environment(run, command):
    mistake(run(*command), "name an environment", "ssl4rl list")


def test_an_unknown_agent(run):
    mistake(run("eval", "randm", ENV), "randm", "constant, gat-ppo")


def test_an_agent_whose_path_leads_nowhere(run):
    mistake(run("eval", "no_such_module_at_all:Agent", ENV), "no_such_module_at_all")


def test_no_agent(run):
    mistake(run("eval"), "run folder")


def test_a_folder_that_is_no_run(run, tmp_path):
    mistake(run("eval", tmp_path), str(tmp_path), "config.json")
    mistake(run("train", "--resume", tmp_path), str(tmp_path), "config.json")
    mistake(run("train", "--resume", tmp_path / "nowhere"), "nowhere")


def test_a_run_that_is_there_already(run, finished, tiny):
    before = (finished / "metrics.jsonl").read_bytes()
    mistake(run("train", ENV, "--out", finished, *tiny), str(finished), "overwrite")
    assert (finished / "metrics.jsonl").read_bytes() == before


def test_overwriting_spares_what_is_no_run(run, tmp_path, tiny):
    (tmp_path / "thesis.txt").write_text("years of work")
    mistake(run("train", ENV, "--out", tmp_path, "--overwrite", *tiny), "not a run folder", "config.json")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_refused_setting_overwrites_nothing(run, finished, tmp_path, tiny):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    for flags, word in ((["--rollout.prompts", "7"], "multiple"), (["--angles", "7"], "360")):
        mistake(run("train", ENV, "--out", copy, "--overwrite", *tiny, *flags), word)
        assert (copy / "results.json").exists(), flags


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--angles", "7"], "angles must divide 360 and be at least 2, got 7"),
        (["--angles", "8", "--source", "digits", "--image-size", "64"], "image_size=64"),
        (["--angles", "8", "--source", "faces"], "Use image_size up to"),
        (["--source", "folder:/no/such/folder"], "/no/such/folder"),
        (["--source", "cats"], "cats"),
        (["--count", "0"], "--count must be at least 1 and at most 1000, got 0"),
    ],
)
def test_task_arguments_that_are_refused(run, tmp_path, flags, word):
    mistake(run("show", ENV, "--out", tmp_path / "a.png", *flags), word)
    assert not (tmp_path / "a.png").exists()


def test_a_picture_format_that_does_not_exist(run, tmp_path):
    mistake(run("show", ENV, "--out", tmp_path / "a.nonsense", "--source", "digits", "--count", "1"), "nonsense")


@pytest.mark.parametrize("arguments", [["list", "--jsno"], ["eval", "random", ENV, "--episodes", "many"]])
def test_flags_that_do_not_parse(run, arguments):
    result = run(*arguments)
    assert result.status == 2
    assert result.out == ""
    assert "Traceback" not in result.err


def test_no_episodes(run):
    mistake(run("eval", "random", ENV, "--episodes", "0"), "--episodes must be at least 1, got 0")


def test_a_damaged_config_is_a_mistake_with_a_name(run, finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "iteratoins": 3}))
    mistake(run("eval", copy), "iteratoins")


def test_tracebacks_can_be_asked_for(run, monkeypatch):
    monkeypatch.setenv("SSL4RL_TRACEBACK", "1")
    with pytest.raises(ValueError, match="angles"):
        run("show", ENV, "--out", "a.png", "--angles", "7")


def test_a_resumed_run_keeps_its_ceiling_and_its_first_measurement(run, tmp_path, tiny):
    out = tmp_path / "run"
    whole = run("train", ENV, "--out", out, "--json", "--ceiling", *tiny).json
    again = run("train", "--resume", out, "--json").json
    for key in ("before", "after", "train", "ceiling"):
        a, b = whole[key], again[key]
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}, key


def test_a_ceiling_that_was_interrupted_is_not_reported(run, tmp_path, tiny, monkeypatch):
    from ssl4rl_agents.ppo.trainer import Trainer

    whole_run = Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda self, *begin: self.config.algorithm == "ppo" and whole_run(self, *begin))
    result = run("train", ENV, "--out", tmp_path / "run", "--json", "--ceiling", *tiny)
    assert result.status == 130
    assert result.json["finished"] is False
    assert "--ceiling" in result.err
    assert not (tmp_path / "run" / "results.json").exists()


def test_a_module_in_the_current_folder_is_an_agent(tmp_path):
    source = "from ssl4rl_agents.baselines import ConstantAgent as Mine\n"
    (tmp_path / "mine_of_a_test.py").write_text(source)
    command = [shutil.which("ssl4rl", path=str(Path(sys.executable).parent)) or "ssl4rl", "eval", "mine_of_a_test:Mine", ENV]
    done = subprocess.run([*command, "--episodes", "64", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["episodes"] == 64
