"""Exported questions: read back as they were asked, scored from their keys, and the same after a kill."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ssl4rl_envs import make_task, rows, score
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.bridges.exports import FORMATS, MANIFEST, Plan, export
from ssl4rl_envs.bridges.exports.vlmevalkit import choices

DIGITS = {"source": "digits", "image_size": 36}
PLAN = {"split": "test", "seed": 3, "first": 40, "shard_size": 4, "arguments": DIGITS}


def plan(form: str, env_id: str = "SSL4RL/Rotation-v0", n: int = 10, **given) -> Plan:
    return Plan(env_id, n, form, **{**PLAN, **given})


def asked(env_id: str = "SSL4RL/Rotation-v0", style: str = "direct") -> list[dict]:
    return list(rows(env_id, 10, split="test", seed=3, first=40, prompt_style=style, **DIGITS))


def same(read: dict, row: dict) -> None:
    """A row as it was read is a row as it was asked."""
    assert {name: read[name] for name in row if name != "images"} == {k: v for k, v in row.items() if k != "images"}
    assert len(read["images"]) == len(row["images"])
    for there, here in zip(read["images"], row["images"], strict=True):
        np.testing.assert_array_equal(np.asarray(there), np.asarray(here))


@pytest.mark.parametrize("which", ["SSL4RL/Rotation-v0", "SSL4RL/FlipPrediction-v0", "SSL4RL/Mixture-v0"])
def test_datasets_reads_its_folder_and_its_parquet(tmp_path, which):
    datasets = pytest.importorskip("datasets")
    arguments = {} if "Mixture" in which else DIGITS
    expected = list(rows(which, 10, split="test", seed=3, first=40, **arguments))
    export(plan("datasets", which, arguments=arguments), tmp_path / "disk")
    read = datasets.load_from_disk(str(tmp_path / "disk"))
    assert read.split == "test"
    export(plan("parquet", which, arguments=arguments), tmp_path / "parquet")
    loaded = datasets.load_dataset(str(tmp_path / "parquet"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["test"]
    for data in (read, loaded["test"]):
        assert data.features["images"].feature == datasets.Image()
        assert len(data) == 10
        for there, row in zip(data, expected, strict=True):
            same(there, row)


def test_two_exports_are_two_data_sets_to_what_datasets_keeps(tmp_path):
    datasets = pytest.importorskip("datasets")
    prints = []
    for seed in (0, 1):
        export(plan("datasets", seed=seed), tmp_path / str(seed))
        prints.append(datasets.load_from_disk(str(tmp_path / str(seed)))._fingerprint)
    assert prints[0] != prints[1]


def test_lines_name_their_pictures(tmp_path):
    from PIL import Image

    export(plan("jsonl", "SSL4RL/FlipPrediction-v0"), tmp_path)
    lines = [json.loads(line) for file in sorted(tmp_path.glob("*.jsonl")) for line in file.read_text().splitlines()]
    assert len(list(tmp_path.glob("*.jsonl"))) == 3
    for line, row in zip(lines, asked("SSL4RL/FlipPrediction-v0"), strict=True):
        same({**line, "images": [Image.open(tmp_path / name) for name in line["images"]]}, row)


def test_tar_shards_hold_a_question_after_the_other(tmp_path):
    export(plan("webdataset"), tmp_path)
    names = []
    for file in sorted(tmp_path.glob("*.tar")):
        with tarfile.open(file) as archive:
            names += archive.getnames()
    assert names == [f"{index:012d}.{end}" for index in range(40, 50) for end in ("0.png", "json")]


def table_of(folder: Path) -> tuple[str, list[dict]]:
    (file,) = folder.glob("*.tsv")
    csv.field_size_limit(1 << 24)
    with file.open(newline="") as lines:
        return file.stem, list(csv.DictReader(lines, delimiter="\t"))


def test_few_answers_become_multiple_choice_in_a_table_and_others_open_questions(tmp_path):
    export(plan("vlmevalkit"), tmp_path / "choice")
    name, lines = table_of(tmp_path / "choice")
    assert name == "ssl4rl_rotation_v0_test"
    for line, row in zip(lines, asked(style="tool"), strict=True):
        assert [line[letter] for letter in "ABCD"] == ["0", "90", "180", "270"]
        assert line[line["answer"]] == row["answer"]
        assert (line["question"], int(line["index"])) == (row["prompt"][0]["content"], row["index"])
    assert {line["answer"] for line in lines} > {"A"}

    export(plan("vlmevalkit", "SSL4RL/PatchOrdering-v0"), tmp_path / "open")
    name, lines = table_of(tmp_path / "open")
    assert name.endswith("openended")
    assert "A" not in lines[0]
    assert [line["answer"] for line in lines] == [row["answer"] for row in asked("SSL4RL/PatchOrdering-v0")]

    export(plan("vlmevalkit", prompt_style="think"), tmp_path / "think")
    name, lines = table_of(tmp_path / "think")
    assert name.endswith("openended")
    assert "<think>" in lines[0]["question"]


def test_what_becomes_multiple_choice():
    some = ("Rotation", "EdgePrediction", "PatchOrdering", "MaskedFeatures", "Mixture")
    offered = {name: len(choices(make_task(name))) for name in some}
    assert offered["Rotation"] == 4
    assert offered["EdgePrediction"] == 2
    assert offered["PatchOrdering"] == offered["MaskedFeatures"] == offered["Mixture"] == 0


@pytest.mark.parametrize("form", list(FORMATS))
def test_the_manifest_scores_every_question(tmp_path, form):
    if FORMATS[form].needs:
        pytest.importorskip("datasets")
    made = export(plan(form), tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    assert (made.manifest, made.found) == (manifest, 0)
    style = manifest["prompt_style"]
    indices = [manifest["first"] + place for place in range(manifest["n"])]
    assert indices == [shard["first"] + k for shard in manifest["shards"] for k in range(shard["n"])] or form == "vlmevalkit"
    keys = {"split": manifest["split"], "seed": manifest["seed"], "prompt_style": style, **manifest["args"]}
    replies = [
        json.dumps({"answer": row["answer"]}) if style == "tool" else wrap(row["answer"], style) for row in asked(style=style)
    ]
    assert all(each["reward"] == 1 for each in score(manifest["env_id"], replies, index=indices, **keys))
    wrong = score(manifest["env_id"], replies[1:] + replies[:1], index=indices, **keys)
    assert not all(each["success"] for each in wrong)


DIES = """
import json, os, signal, sys
from pathlib import Path

import ssl4rl_envs.bridges.exports.files as files
from ssl4rl_envs.bridges.exports import Plan, export

format, folder, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
replace, left = Path.replace, iter(range(last, -1, -1))


def dying(self, target):
    if next(left) == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)


if last:
    Path.replace = dying
digits = {"source": "digits", "image_size": 36}
made = export(Plan("SSL4RL/FlipPrediction-v0", 5, format, shard_size=2, arguments=digits), folder)
print(made.found)
"""


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_an_export_that_was_killed_and_called_again_equals_one_that_was_not(tmp_path, form):
    """The process is killed in the middle: one shard is whole, the next lies beside its place, and all else is not there."""
    if FORMATS[form].needs:
        pytest.importorskip("datasets")

    def run(folder: Path, last: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", DIES, form, str(folder), str(last)], capture_output=True, text=True, check=False
        )

    given = Plan("SSL4RL/FlipPrediction-v0", 5, form, shard_size=2, arguments=DIGITS)
    export(given, tmp_path / "whole")
    assert run(tmp_path / "killed", 2).returncode == -9  # begun.json and the first shard were put into their places
    assert any(name.endswith(".partial") for name in contents(tmp_path / "killed"))
    assert not (tmp_path / "killed" / MANIFEST).exists()
    assert export(given, tmp_path / "killed").found == 2
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


class Killed(BaseException):
    """What stands for a kill."""


def killed_after(last: int, patched: pytest.MonkeyPatch, call) -> bool:
    """Whether a call is ended by the file operation number `last`."""
    left = iter(range(last, -1, -1))

    def dying(method):
        def wrapped(*arguments, **named):
            if next(left, 0) == 0:
                raise Killed
            return method(*arguments, **named)

        return wrapped

    for name in ("replace", "unlink", "rmdir"):
        patched.setattr(Path, name, dying(getattr(Path, name)))
    try:
        call()
    except Killed:
        return True
    return False


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_kill_at_any_time_changes_nothing(tmp_path, monkeypatch, form):
    """As above, at every moment at which a file goes to its place or is deleted, with an error in the place of a kill."""
    if FORMATS[form].needs:
        pytest.importorskip("datasets")
    given = Plan("SSL4RL/Rotation-v0", 5, form, shard_size=2, arguments=DIGITS)
    export(given, tmp_path / "whole")

    for last in range(16):
        folder = tmp_path / str(last)
        with monkeypatch.context() as patched:
            killed = killed_after(last, patched, lambda folder=folder: export(given, folder))
        export(given, folder)
        assert contents(folder) == contents(tmp_path / "whole"), last
        if not killed:
            return
    raise AssertionError("an export takes fewer files than this")


def test_an_export_that_is_there_is_left_as_it_is_and_its_files_are_compared(tmp_path):
    export(plan("jsonl"), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")}
    assert export(plan("jsonl"), tmp_path).found == 10
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")}
    shard = min(before)
    shard.write_text("{}")
    with pytest.raises(ValueError, match=f"{shard.name} has been changed"):
        export(plan("jsonl"), tmp_path)
    shard.unlink()
    with pytest.raises(ValueError, match=f"{shard.name} is gone"):
        export(plan("jsonl"), tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"seed": 4}, "seed is 3 there and 4 here"), ({"n": 11}, "n is 10"), ({"arguments": {"source": "digits"}}, "args")],
)
def test_a_folder_of_another_export_is_refused(tmp_path, changed, message):
    export(plan("jsonl"), tmp_path)
    with pytest.raises(ValueError, match=message):
        export(plan("jsonl", **changed), tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"thesis\.tex"):
        export(plan("jsonl"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"form": "csv"}, "unknown format 'csv'"),
        ({"n": 0}, "n must be"),
        ({"shard_size": 0}, "shard_size must be"),
        ({"prompt_style": "loud"}, "prompt_style"),
        ({"split": "dev"}, "split"),
        ({"seed": 2**63}, "below 2"),
        ({"env_id": "SSL4RL/PatchSwap-v0", "arguments": {}}, "decisions"),
        ({"form": "vlmevalkit", "env_id": "SSL4RL/MaskedFeatures-v0", "arguments": {}}, "shows none"),
    ],
)
def test_what_cannot_be_exported_is_said(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export(plan(**{"form": "jsonl", **arguments}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_process_exports_into_a_folder(tmp_path):
    import fcntl
    import os

    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(RuntimeError, match="another process"):
        export(plan("jsonl"), tmp_path)
    os.close(handle)
    export(plan("jsonl"), tmp_path)


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_shard_that_was_damaged_before_an_export_goes_on_is_written_again(tmp_path, monkeypatch, form):
    """The manifest would vouch for it."""
    if FORMATS[form].needs:
        pytest.importorskip("datasets")
    given = Plan("SSL4RL/Rotation-v0", 5, form, shard_size=2, arguments=DIGITS)
    export(given, tmp_path / "whole")
    with monkeypatch.context() as patched:
        assert killed_after(3, patched, lambda: export(given, tmp_path / "killed"))
    shard = tmp_path / "killed" / FORMATS[form](given).shard(0)
    shard.write_bytes(shard.read_bytes()[:-7])
    assert export(given, tmp_path / "killed").found == 2
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.parametrize("complete", [False, True])
def test_pictures_beside_lines_are_compared_too(tmp_path, monkeypatch, complete):
    given = Plan("SSL4RL/Rotation-v0", 5, "jsonl", shard_size=2, arguments=DIGITS)
    export(given, tmp_path / "whole")
    folder = tmp_path / "whole" if complete else tmp_path / "killed"
    if not complete:
        with monkeypatch.context() as patched:
            assert killed_after(3, patched, lambda: export(given, folder))
    (folder / "images" / "00000" / "000000000001_0.png").unlink()
    if complete:
        with pytest.raises(ValueError, match="images/00000 has been changed since it was exported"):
            export(given, folder)
    else:
        assert export(given, folder).found == 2
        assert contents(folder) == contents(tmp_path / "whole")


@pytest.mark.parametrize("name", ["manifest.json", "begun.json"])
@pytest.mark.parametrize("text", ["{torn", "[]", "", "[" * 100_000])
def test_a_manifest_that_is_none_is_named(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f"{name} was not written by an export, or has been changed"):
        export(plan("jsonl"), tmp_path)


def test_a_manifest_that_lacks_its_shards_is_named(tmp_path):
    export(plan("jsonl"), tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    del manifest["shards"]
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"manifest\.json has been changed since it was exported"):
        export(plan("jsonl"), tmp_path)


@pytest.mark.parametrize("below", ["", "more"])
def test_a_file_is_no_folder(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="is a file, or lies in one, and an export is a folder"):
        export(plan("jsonl"), tmp_path / "file" / below)
    assert (tmp_path / "file").read_text() == "mine"
