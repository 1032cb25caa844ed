"""What is damaged, stands in the way, or would be lost: one line says what and where, and nothing is deleted for it."""

from __future__ import annotations

import errno
import json
import shutil
import warnings
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl4rl_agents.replies import ReplyRow
from ssl4rl_benchmarks import cli
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands import list as list_command
from ssl4rl_benchmarks.commands.score import ScoreFlags
from tests.benchmarks.conftest import ENV

LAST = Path("checkpoints") / "iteration-000002"
SB3 = ("--source", "digits", "--image-size", "36", "--episodes", "16", "--test-episodes", "8", "--eval-episodes", "8")
SB3 = (*SB3, "--settings", '{"n_epochs": 1, "batch_size": 8, "n_steps": 8}')


def mistake(result, *words: str, status: int = 2) -> None:
    """A status and one line that says all of these."""
    assert result.status == status, result.err
    lines = [line for line in result.err.splitlines() if not line.endswith(" ...")]
    assert len(lines) == 1, result.err
    for word in words:
        assert word in lines[0]


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("kept") / "agent"
    assert cli.main(["train", "Rotation", "--agent", "sb3-ppo", "--out", str(folder), *SB3]) == 0
    return folder


# Runs


@pytest.mark.parametrize("name", ["model.safetensors", "value_head.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("torn", [False, True])
def test_a_checkpoint_that_is_damaged_is_named(run, finished, tmp_path, name, torn):
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / LAST / name).unlink()
    if torn:
        (folder / LAST / name).write_text("torn")
    mistake(run("eval", folder, "--episodes", "4"), str(folder / LAST))


@pytest.mark.parametrize("name", ["optimizer.safetensors", "trainer.json"])
def test_a_run_does_not_go_on_from_a_checkpoint_that_is_damaged(run, finished, tmp_path, name):
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / LAST / name).write_text("torn")
    mistake(run("train", "--resume", folder, "--iterations", "3"), str(folder / LAST))


@pytest.mark.parametrize("name", ["sb3.json", "policy.safetensors"])
@pytest.mark.parametrize("torn", [False, True])
def test_a_kept_agent_that_is_damaged_is_named(run, kept, tmp_path, name, torn):
    folder = shutil.copytree(kept, tmp_path / "agent")
    (folder / "agent" / name).unlink()
    if torn:
        (folder / "agent" / name).write_text("torn")
    mistake(run("eval", folder, "--episodes", "4"), str(folder / "agent"))


@pytest.mark.parametrize("setting", ["start", "model"])
def test_a_run_does_not_overwrite_what_it_begins_from(run, finished, tmp_path, tiny, setting):
    folder = shutil.copytree(finished, tmp_path / "run")
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    words = [word for pair in zip(tiny[::2], tiny[1::2], strict=True) if pair[0] != "--format-warmup" for word in pair]
    given = folder if setting == "start" else folder / LAST
    found = run("train", "Rotation", "--out", folder, "--overwrite", *words, f"--policy.{setting}", given)
    mistake(found, f"policy.{setting}", "which would be overwritten; write the new run to another folder")
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before


@pytest.mark.parametrize("agent", [[], ["--agent", "sb3-ppo"]])
def test_nothing_is_trained_that_has_no_place(run, tmp_path, monkeypatch, agent):
    """For an agent this was found out after its training."""
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr("ssl4rl_benchmarks.commands.train_agent.load_agent", None)
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        mistake(run("train", "Rotation", "--out", out, *agent, "--source", "digits"), "is a file, and", "is to be a folder")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_kept_agent_is_overwritten_when_there_is_another_and_not_before(run, kept, tmp_path):
    folder = shutil.copytree(kept, tmp_path / "agent")
    (folder / "agent" / "old").touch()
    call = ("train", "Rotation", "--agent", "sb3-ppo", "--out", folder, "--overwrite", *SB3)
    mistake(run(*call, "--device", "nope"), "device must be auto, cpu")
    assert run("eval", folder, "--episodes", "4").status == 0
    assert (folder / "agent" / "old").exists()
    assert run(*call).status == 0
    assert not (folder / "agent" / "old").exists()
    assert run("eval", folder, "--episodes", "4").status == 0


# Pictures


def test_pictures_that_are_none_or_more_than_one(run, kept, tmp_path):
    (tmp_path / "text.png").write_text("hello")
    mistake(run("ask", kept, tmp_path / "text.png"), "text.png cannot be read as a picture: it is in no format that Pillow")
    mistake(run("ask", kept, tmp_path), "cannot be read as a picture: Is a directory")
    noise = np.random.default_rng(0).integers(0, 255, (3, 40, 40, 3), np.uint8)
    first, *others = [Image.fromarray(each) for each in noise]
    first.save(tmp_path / "three.gif", save_all=True, append_images=others)
    with pytest.warns(UserWarning, match=r"three\.gif: .*frame"):
        assert run("ask", kept, tmp_path / "three.gif").status == 0
    first.convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert run("ask", kept, tmp_path / "cmyk.jpg").status == 0
    for out in (tmp_path, tmp_path / "card.nonsense"):
        mistake(run("ask", kept, tmp_path / "cmyk.jpg", "--out", out), "--out must end as pictures do, e.g. board.png")
    mistake(run("ask", kept, tmp_path / "cmyk.jpg", "--checkpoint", "best"), "--checkpoint best is for runs of the trainer")


# Replies


def stored(path: Path, **changes) -> Path:
    row = ReplyRow(ENV, '{"source": "digits", "image_size": 36}', "test", 0, 3, "direct", "ann", "person", "90")
    path.write_text(json.dumps({**json.loads(row.to_json()), **changes}) + "\n")
    return path


def test_replies_that_cannot_be_scored_say_whose_they_are(run, tmp_path):
    unknown = stored(tmp_path / "a.jsonl", env_id="Acme/Gone-v0")
    mistake(run("score", unknown), "replies of ann in Acme/Gone-v0 cannot be scored: unknown environment")
    other = stored(tmp_path / "b.jsonl", args='{"gone": 1}')
    mistake(
        run("score", other), "replies of ann in SSL4RL/Rotation-v0 cannot be scored: ", "unexpected keyword argument 'gone'"
    )
    whole = stored(tmp_path / "c.jsonl", seed=2**64 - 1, index=2**63 + 1)
    assert run("score", whole, "--json").json[0]["replies"] == 1
    (tmp_path / "d.jsonl").touch()
    mistake(run("score", tmp_path / "d.jsonl"), "there are no replies in")
    mistake(run("leaderboard", tmp_path / "d.jsonl", "--out", tmp_path / "x.html"), "there are no replies in")
    assert not (tmp_path / "x.html").exists()


def test_a_leaderboard_shows_what_can_be_scored_and_names_the_rest(run, tmp_path):
    stored(tmp_path / "a.jsonl", env_id="Acme/Gone-v0")
    page = tmp_path / "page.html"
    assert run("leaderboard", tmp_path, "--out", page).status == 1  # nothing at all can be shown
    stored(tmp_path / "b.jsonl")
    found = run("leaderboard", tmp_path, "--out", page)
    assert found.status == 0
    assert "1 board with 1 row" in found.out
    assert "not shown: replies of ann in Acme/Gone-v0 cannot be scored" in found.out
    (tmp_path / "folder.html").mkdir()
    mistake(run("leaderboard", tmp_path, "--out", tmp_path / "folder.html"), "folder.html is a folder, and a file")
    assert not list(tmp_path.glob(".*"))


# How mistakes are told


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "a.json"),
            2,
            "a.json: there is no such file or folder",
        ),
        (FileExistsError(errno.EEXIST, "File exists", "a"), 2, "a: there is a file already, and a folder is needed; choose"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", ".a.partial", None, "a"), 2, "a: this is a folder"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), 2, "a: you may not read or write here"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), 1, "a: the disk is full"),
        (OSError(errno.EIO, "Input/output error", "a"), 1, "a: input/output error"),
        (ValueError("two\n  lines"), 2, "two lines"),
        (OSError("said by us"), 2, "said by us"),
    ],
)
def test_what_the_system_refuses_is_told_in_one_line(run, monkeypatch, error, status, line):
    def fails(*_):
        raise error

    monkeypatch.setattr(list_command, "run", fails)
    mistake(run("list"), f"ssl4rl list: {line}", status=status)


def test_warnings_of_ours_are_told_without_the_place_in_the_code(run, monkeypatch, tmp_path):
    path = stored(tmp_path / "a.jsonl")
    path.write_text(path.read_text() + '{"env_id": "SSL')
    told = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda *about: told.append(warnings.formatwarning(*about[:4])))
        assert run("score", path).status == 0
    assert told == [f"ssl4rl: {path}: the last line is cut off and left out\n"]
    assert "UserWarning" in warnings.formatwarning("x", UserWarning, "ssl4rl_agents/a.py", 1)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_mistakes_in_flags_are_told_without_rules(monkeypatch, capsys, encoding):
    """tyro draws a box around them, and rules of dashes where the terminal has no more."""
    monkeypatch.setattr("sys.stdout", TextIOWrapper(BytesIO(), encoding=encoding))
    with pytest.raises(Exception, match=r"^Error parsing --price-in: .*'x'; ssl4rl score --help explains$"):
        flags.parse(ScoreFlags, ["--price-in", "x"], "ssl4rl score", "")
