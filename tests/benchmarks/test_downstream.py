"""`ssl4rl eval RUN --downstream`: before and after, for a table of one's own, other files, environments, other programs."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl4rl_agents.choosing import harnesses, sides
from ssl4rl_agents.choosing.harnesses import NoHarnessError, lmms_eval_results, measured_by, vlmevalkit_results
from ssl4rl_agents.choosing.records import read_records
from ssl4rl_agents.choosing.sides import NoBeginningError, beginning_of, side_of
from ssl4rl_agents.choosing.summary import summarise, units_of
from ssl4rl_benchmarks import cli
from ssl4rl_benchmarks.commands.calls import UserError
from ssl4rl_benchmarks.commands.downstream import named_set
from ssl4rl_benchmarks.commands.downstream_words import lines_of
from tests.agents.conftest import build_llava
from tests.agents.tiny_runs import train


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Two iterations of a small nano, whose checkpoint of iteration 0 is kept."""
    folder: Path = tmp_path_factory.mktemp("downstream") / "run"
    train(folder, policy={"nano_hidden": 32}, env_args={"source": "digits", "image_size": 36})
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """Somebody's own TSV: twelve questions about six pictures, by path."""
    folder = tmp_path_factory.mktemp("mine")
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (36, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    with (folder / "mine.tsv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["index", "question", "A", "B", "answer", "category", "image"])
        writer.writerows([n, f"Is it {n}?", "yes", "no", "AB"[n % 2], f"kind {n % 3}", f"{n % 6}.png"] for n in range(12))
    return folder / "mine.tsv"


def said(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_a_table_of_ones_own_is_asked_before_and_after(run, table, tmp_path, capsys):
    out = tmp_path / "records.jsonl"
    assert cli.main(["eval", str(run), "--downstream", str(table), "--out", str(out), "--json"]) == 0
    told = said(capsys)
    (found,) = told["sets"]
    assert found["set"] == str(table)
    assert (found["after"]["questions"], found["after"]["pictures"]) == (12, 6)
    assert told["before"]["model"].endswith("iteration-000000")
    assert set(found["after"]["kinds"]) == set(found["difference"]["kinds"]) == {"kind 0", "kind 1", "kind 2"}
    assert all("p_holm" in kind for kind in found["difference"]["kinds"].values())
    records = read_records(out)
    assert set(records) == {(str(table), "before"), (str(table), "after")}
    assert summarise(units_of(records[str(table), "after"])) == found["after"]
    gap = found["after"]["picture_gain"]["value"] - found["before"]["picture_gain"]["value"]
    assert found["difference"]["picture_gain"]["value"] == pytest.approx(gap)


def test_a_line_a_set_is_printed(run, table, capsys):
    call = [
        "eval",
        str(run),
        "--downstream",
        str(table),
        "Rotation",
        f"mmbench:{table}",
        "--reply",
        "words",
        "--questions",
        "8",
    ]
    assert cli.main(call) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in lines if not line.startswith(" ")] == [
        str(table),
        "Rotation",
        f"mmbench:{table}",
    ]
    assert "8 questions about" in lines[0]
    for words in ("accuracy by choice", " -> ", "95 % interval", "picture gain", "words alone give", "blank subtracted"):
        assert words in lines[0]
    assert "4 more were not asked (--questions)" in lines[1]


def test_graphs_in_words_are_asked_with_other_edges(run, capsys):
    assert cli.main(["eval", str(run), "--downstream", "GraphQA", "--questions", "6", "--before", "none", "--json"]) == 0
    (found,) = said(capsys)["sets"]
    assert found["after"]["blank"] is None
    (line,) = lines_of(found)
    assert f"words alone give {found['after']['rewired']['value']:.3f}" in line
    assert "picture gain" in line
    assert "blank subtracted" not in line


def test_levels_and_arguments_of_environments(run, capsys):
    assert (
        cli.main(["eval", str(run), "--downstream", "SceneQA:light", "--questions", "4", "--before", "none", "--json"]) == 0
    )
    told = said(capsys)
    assert "before" not in told
    assert told["sets"][0]["env_args"] == {"level": "light", "image_size": 36}
    assert told["sets"][0]["after"]["chance"]["value"] == 0.5
    assert "difference" not in told["sets"][0]


def test_what_is_compared_with_may_be_named(run, table, tmp_path, capsys):
    """A run with itself: nothing differs."""
    assert cli.main(["eval", str(run), "--downstream", str(table), "--before", str(run), "--json"]) == 0
    found = said(capsys)["sets"][0]
    assert found["before"] == found["after"]
    assert found["difference"]["accuracy"] == {"value": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "questions": 12}
    checkpoint = run / "checkpoints" / "iteration-000002"
    assert side_of(str(checkpoint)).checkpoint == checkpoint
    assert side_of(str(run)).checkpoint == checkpoint
    with pytest.raises(FileNotFoundError, match="there is no folder nowhere"):
        side_of("nowhere")


def test_a_model_of_transformers_is_asked_as_it_is(table, tmp_path, capsys):
    model, processor = build_llava(["Is it 1? yes no A B"])
    for part in (model, processor):
        part.save_pretrained(tmp_path / "llava")
    name = f"hf:{tmp_path / 'llava'}"
    assert cli.main(["eval", name, "--downstream", str(table), "--questions", "4", "--json"]) == 0
    told = said(capsys)
    assert "before" not in told
    assert told["after"]["model"] == str(tmp_path / "llava")
    assert told["sets"][0]["after"]["questions"] == 4


def test_beginnings_that_are_kept_and_one_that_is_not(run, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    first = copy / "checkpoints" / sides.FIRST
    assert beginning_of(copy).checkpoint == first
    shutil.rmtree(first)
    assert beginning_of(copy).checkpoint == copy / "reference", "what the divergence is taken from is the beginning too"
    shutil.rmtree(copy / "reference")
    with pytest.raises(
        NoBeginningError, match=r"among the newest 2 checkpoints \(keep\).*--before FOLDER.*--before none.*--keep 3"
    ):
        beginning_of(copy)
    config = json.loads((copy / "config.json").read_text())
    config["policy"]["start"] = str(run)
    (copy / "config.json").write_text(json.dumps(config))
    begun = beginning_of(copy)
    assert begun.checkpoint == run / "checkpoints" / "iteration-000002"
    assert "format warm-up of 2 steps" in begun.note


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["nothing"], "no such set; name an environment .* a file .*tsv"),
        (["mmbench"], "mmbench needs a file: mmbench:PATH"),
        (["SceneQA:bias:0.9"], "unknown kind of question 'bias:0.9'"),
        (["Rotation:colour"], "Rotation-v0 has the levels .*got 'colour'"),
        (["Rotation:color=1"], "takes source, .* as name=value; got 'color=1'"),
        (["x.tsv", "--out", "records.csv"], r"--out must be a file \*\.jsonl"),
        (["x.tsv", "--questions", "0"], "--questions must be at least 1"),
        (["x.tsv"], "there is no file x.tsv"),
        (["lmms-eval"], "lmms-eval needs the name of a task"),
    ],
)
def test_calls_that_mean_nothing_say_why(run, call, message, capsys):
    assert cli.main(["eval", str(run), "--downstream", *call]) != 0
    assert re.search(message, capsys.readouterr().err)


def test_agents_without_a_model_are_refused(capsys):
    assert cli.main(["eval", "random", "--downstream", "Rotation"]) != 0
    assert "runs of the trainer and to models of transformers" in capsys.readouterr().err


def test_help_explains_sets_and_flags(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["eval", "runs/mine", "--downstream", "--help"])
    assert not ended.value.code
    told = " ".join(capsys.readouterr().out.split())
    for words in ("mmbench:PATH", "--before", "--columns", "--reply", "paired by question"):
        assert words in told


def test_names_of_sets():
    assert named_set("SceneQA:light") == ("env", "SSL4RL/SceneQA-v0", "light")
    assert named_set("data/a.tsv") == ("table", "data/a.tsv", "data/a.tsv")
    assert named_set("table:a.parquet") == ("table", "table:a.parquet", "a.parquet")
    assert named_set("seed-bench:S.json") == ("seed-bench", "seed-bench:S.json", "S.json")
    with pytest.raises(UserError):
        named_set("mmbench:")


# Other programs, for which a script stands in.


def model_folder(folder: Path, kind: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    return folder


STAND_IN = """#!{python}
import json, pathlib, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if given["--tasks"] == "broken":
    print("no such task"); sys.exit(3)
if given["--tasks"] == "silent":
    print("could not load the model"); sys.exit(0)
out = pathlib.Path(given["--output_path"]) / "model"
out.mkdir()
(out / "call.json").write_text(json.dumps(given))
numbers = {{"acc,none": 0.5, "acc_stderr,none": 0.1, "alias": "x"}}
(out / "2026_results.json").write_text(json.dumps({{"results": {{given["--tasks"]: numbers}}, "given": given}}))
"""


def test_lmms_eval_is_called_and_its_numbers_are_told(tmp_path, monkeypatch, run):
    program = tmp_path / "lmms-eval"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: str(program))
    model = model_folder(tmp_path / "model", "llava")
    assert measured_by("lmms-eval", "mmbench_en_dev", str(model), "cpu") == {"acc": 0.5}
    assert measured_by("lmms-eval", str(tmp_path / "mine.yaml"), str(model), "cpu") == {"acc": 0.5}
    with pytest.raises(NoHarnessError, match=r"ended with status 3.*\n.*no such task"):
        measured_by("lmms-eval", "broken", str(model), "cpu")
    with pytest.raises(NoHarnessError, match="our own ssl4rl_nano"):
        measured_by("lmms-eval", "t", str(run / "checkpoints" / "iteration-000002"), "cpu")
    sees = {"model_type": "llava", "vision_config": {"model_type": "ssl4rl_efficientnet_lite"}}
    assembled = model_folder(tmp_path / "assembled", "llava")
    (assembled / "config.json").write_text(json.dumps(sees))
    with pytest.raises(NoHarnessError, match="sees with, our own ssl4rl_efficientnet_lite"):
        measured_by("lmms-eval", "t", str(assembled), "cpu")
    (model / "adapter_config.json").write_text("{}")
    with pytest.raises(NoHarnessError, match="holds adapters"):
        measured_by("lmms-eval", "t", str(model), "cpu")
    with pytest.raises(NoHarnessError, match=r"left no numbers of silent; it said at last:\ncould not load"):
        measured_by("lmms-eval", "silent", str(model_folder(tmp_path / "another", "llava")), "cpu")
    assert lmms_eval_results(tmp_path / "model", "t") == {}


def test_vlmevalkit_is_called_and_its_numbers_are_told(tmp_path, monkeypatch):
    (tmp_path / "vlmeval").mkdir()
    (tmp_path / "vlmeval" / "__init__.py").write_text("")
    (tmp_path / "run.py").write_text(
        "import json, pathlib, sys\n"
        "plan = json.loads(pathlib.Path(sys.argv[2]).read_text())\n"
        "assert plan['model']['ours']['class'] == 'Qwen2VLChat'\n"
        "out = pathlib.Path(sys.argv[4]) / 'ours'; out.mkdir()\n"
        "(out / 'ours_MMBench_DEV_EN_acc.csv').write_text('split,Overall,AR\\ndev,0.75,0.5\\n')\n"
    )
    model = model_folder(tmp_path / "model", "qwen2_vl")
    with monkeypatch.context() as without:
        without.setattr(harnesses, "find_spec", lambda name: None)
        with pytest.raises(NoHarnessError, match="VLMEvalKit is not installed here: clone"):
            measured_by("vlmevalkit", "MMBench_DEV_EN", str(model), "cpu")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert measured_by("vlmevalkit", "MMBench_DEV_EN", str(model), "cpu") == {"dev Overall": 0.75, "dev AR": 0.5}
    with pytest.raises(NoHarnessError, match=r"known here for idefics3, .* is of type whale"):
        measured_by("vlmevalkit", "MMBench_DEV_EN", str(model_folder(tmp_path / "other", "whale")), "cpu")
    assert vlmevalkit_results(tmp_path / "model", "MMBench_DEV_EN") == {}


def test_numbers_of_other_programs_are_put_in_a_line():
    result = {"set": "lmms-eval:t", "harness": "lmms-eval", "before": {"acc": 0.25}, "after": {"acc": 0.5}}
    assert lines_of(result) == ["lmms-eval:t: acc 0.25 -> 0.5"]
