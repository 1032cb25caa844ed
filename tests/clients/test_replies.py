"""Stored replies: what a kill leaves, who may write, which row counts, and how environments are named in them."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ssl4rl_agents.replies import ReplyFile, ReplyRow, read_replies
from ssl4rl_agents.replies.files import newest
from ssl4rl_agents.replies.rows import KINDS, question_digest, written_arguments
from ssl4rl_agents.runs.files import InUseError
from ssl4rl_envs import env_ids, make_task
from ssl4rl_envs.answers import PROMPT_STYLES
from ssl4rl_envs.stream import SPLITS

ROW = ReplyRow(
    env_id="SSL4RL/Rotation-v0",
    args='{"source": "digits"}',
    split="test",
    seed=0,
    index=3,
    prompt_style="direct",
    model="ann",
    kind="person",
    reply="<answer>90</answer>",
    time="2026-01-01T00:00:00Z",
)
ERROR = replace(ROW, reply=None, error="status 500, 6 times")

texts = st.text(max_size=40)
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40)
"""What can be printed, without spaces."""


def opened(path: Path, *more: ReplyRow) -> list[ReplyRow]:
    """The rows of a file as it is opened; `more` are appended then."""
    with ReplyFile(path) as file:
        found = file.rows
        for row in more:
            assert not file.replied(row.key)
            file.append(row)
            assert file.replied(row.key)
    return found


@given(
    st.builds(
        ReplyRow,
        env_id=names,
        args=st.dictionaries(texts, texts, max_size=2).map(json.dumps),
        split=st.sampled_from(SPLITS),
        seed=st.integers(0, 2**64 - 1),
        index=st.integers(0, 2**40),
        prompt_style=st.sampled_from(PROMPT_STYLES),
        model=names,
        kind=st.sampled_from(KINDS),
        reply=texts,
        settings=st.dictionaries(
            texts, st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)
        ),
        usage=st.none() | st.just({"prompt_tokens": 3, "completion_tokens": 4}),
        latency=st.none() | st.floats(0, 1e9),
        question=st.none() | texts,
    )
)
def test_a_line_gives_back_its_row_and_is_one_line(row: ReplyRow) -> None:
    line = row.to_json()
    assert ReplyRow.from_json(line) == row
    assert "\n" not in line


def test_what_a_kill_left_is_cut_away_with_a_word_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "new" / "replies.jsonl"
    with ReplyFile(path) as file:
        for index in range(3):
            file.append(replace(ROW, index=index))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.warns(UserWarning, match=r"replies.jsonl: the last line was cut off, \d+ bytes"):
        found = opened(path, replace(ROW, index=2))
    assert [row.index for row in found] == [0, 1]
    assert path.read_bytes() == whole


def test_every_row_that_was_appended_before_kill_9_is_there(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from dataclasses import replace
from ssl4rl_agents.replies import ReplyFile
from tests.clients.test_replies import ROW
with ReplyFile(Path(sys.argv[1])) as file:
    for index in range(10**9):
        file.append(replace(ROW, index=index))
        print(index, flush=True)
"""
    path = tmp_path / "replies.jsonl"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 200:
                break
        with pytest.raises(InUseError, match="another process writes its replies there"), ReplyFile(path):
            pass
        writer.send_signal(signal.SIGKILL)
        said = [int(number) for number in writer.stdout.read().split()]
    kept = [row.index for row in read_replies([path])]
    assert kept == list(range(len(kept)))
    assert len(kept) > max([200, *said])


def test_threads_append_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    with ReplyFile(path) as file:

        def write(sample: int) -> None:
            for index in range(50):
                file.append(replace(ROW, index=index, sample=sample, reply="x" * 5000))

        threads = [threading.Thread(target=write, args=(sample,)) for sample in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(file.rows) == 200
    assert len(read_replies([tmp_path])) == 200


def test_a_reply_counts_more_than_an_error_and_the_newest_of_replies() -> None:
    again = replace(ROW, reply="again")
    assert list(newest([ERROR, ROW]).values()) == [ROW]
    assert list(newest([ROW, ERROR]).values()) == [ROW]
    assert list(newest([ROW, again]).values()) == [again]
    assert len(newest([ROW, replace(ROW, sample=1), replace(ROW, settings={"temperature": 1.0})])) == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2, is no stored reply"),
        ("[]", "it is no object"),
        ('{"env_id": 1}', "fields are missing"),
        (json.dumps({**json.loads(ROW.to_json()), "score": 1}), "unknown: \\['score'\\]"),
        (json.dumps({**json.loads(ROW.to_json()), "index": -1}), "index must be a whole number from 0"),
        (json.dumps({**json.loads(ROW.to_json()), "kind": "dog"}), "kind must be one of model, person, agent"),
        (json.dumps({**json.loads(ROW.to_json()), "error": "x"}), "either a reply or an error"),
        (json.dumps({**json.loads(ROW.to_json()), "version": 99}), "format 99"),
        (json.dumps({**json.loads(ROW.to_json()), "reply": 90}), "reply must be a str"),
        (json.dumps({**json.loads(ROW.to_json()), "model": None}), "model must be a str"),
        (json.dumps({**json.loads(ROW.to_json()), "seed": True}), "seed must be a whole number"),
        (json.dumps({**json.loads(ROW.to_json()), "settings": None}), "settings must be an object"),
        (json.dumps({**json.loads(ROW.to_json()), "usage": {"prompt_tokens": 3}}), "usage must be counts of"),
        (json.dumps({**json.loads(ROW.to_json()), "seed": 1 << 64}), r"below 2\*\*64"),
        (json.dumps({**json.loads(ROW.to_json()), "index": 1 << 70}), r"below 2\*\*64"),
        (json.dumps({**json.loads(ROW.to_json()), "args": "digits"}), "Expecting value"),
        (json.dumps({**json.loads(ROW.to_json()), "args": "[]"}), "args must be an object of JSON"),
        (json.dumps({**json.loads(ROW.to_json()), "args": "[" * 100_000}), "nested too deeply"),
        (json.dumps({**json.loads(ROW.to_json()), "split": "tset"}), "did you mean 'test'"),
        (json.dumps({**json.loads(ROW.to_json()), "prompt_style": "x"}), "prompt_style must be one of"),
        (json.dumps({**json.loads(ROW.to_json()), "latency": "1"}), "latency must be seconds from 0"),
        (json.dumps({**json.loads(ROW.to_json()), "latency": float("nan")}), "latency must be seconds from 0"),
        (json.dumps({**json.loads(ROW.to_json()), "finish_reason": 3}), "finish_reason must be a str"),
        (json.dumps({**json.loads(ROW.to_json()), "question": 3}), "question must be a str"),
        (json.dumps({**json.loads(ROW.to_json()), "model": "\ud800"}), "model must be some printable words"),
        (json.dumps({**json.loads(ROW.to_json()), "env_id": ""}), "env_id must be some printable words"),
        (json.dumps({**json.loads(ROW.to_json()), "version": 0}), "format 0"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=lambda value: value[-60:],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text(ROW.to_json() + "\n" + line + "\n")
    with pytest.raises(ValueError, match=message):
        read_replies([path])
    with pytest.raises(ValueError, match="line 2"), ReplyFile(path):
        pass
    path.write_text(ROW.to_json() + "\n")
    with ReplyFile(path) as file:  # the lock of the refused one is gone
        assert file.replied(ROW.key)


def test_reading_leaves_out_a_line_that_is_still_written_and_refuses_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no files of replies"):
        read_replies([tmp_path])
    path = tmp_path / "a.jsonl"
    path.write_text(ROW.to_json() + "\n" + ROW.to_json()[:30])
    with pytest.warns(UserWarning, match="cut off and left out"):
        assert read_replies([tmp_path]) == [ROW]
    assert path.read_text().endswith(ROW.to_json()[:30])


@pytest.mark.parametrize("env_id", env_ids())
def test_an_environment_is_written_in_one_way_and_read_as_itself(env_id: str) -> None:
    written = written_arguments(env_id, {})
    again = json.loads(written)
    assert written_arguments(env_id, again) == written
    assert make_task(env_id, **again).stream_key == make_task(env_id).stream_key


def test_a_level_is_written_as_its_arguments_and_objects_are_refused() -> None:
    written = written_arguments("SSL4RL/Rotation-v0", {"level": "angles-2"})
    assert json.loads(written)["angles"] == 2
    assert "level" not in json.loads(written)
    with pytest.raises(ValueError, match="name the source"):
        written_arguments("SSL4RL/Rotation-v0", {"source": np.zeros((3, 8, 8, 3), np.uint8)})


def test_the_digest_sees_words_pictures_and_their_order() -> None:
    black, white = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 255, np.uint8)
    digests = {
        question_digest("a", []),
        question_digest("b", []),
        question_digest("a", [black, white]),
        question_digest("a", [white, black]),
        question_digest("a", [black.reshape(3, 2, 3), white]),
    }
    assert len(digests) == 5
    assert question_digest("a", [Image.fromarray(white)]) == question_digest("a", [white])


def test_a_last_line_without_its_end_is_a_row_all_the_same(tmp_path: Path) -> None:
    """Editors leave the end of the last line out; what lacks more than that is torn."""
    path = tmp_path / "replies.jsonl"
    path.write_text(ROW.to_json())
    assert read_replies([path]) == [ROW]
    assert opened(path, replace(ROW, index=4)) == [ROW]
    assert [row.index for row in read_replies([path])] == [3, 4]


@pytest.mark.parametrize("text", ["my notes", "my notes\nof May", '{"a": 1}', ROW.to_json() + "\nnotes"])
def test_what_holds_no_replies_stays_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"notes.jsonl, line \d, is no stored reply"), ReplyFile(path):
        pass
    assert path.read_text() == text


def test_where_replies_are_not_stored(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("replies.txt", "replies", "", "folder.jsonl"):
        with pytest.raises(ValueError, match=r"replies are stored in a file \*\.jsonl"):
            ReplyFile(tmp_path / name)


def test_replies_of_nobody_are_an_error_and_no_empty_result(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(ValueError, match=r"there are no replies in .*a\.jsonl yet"):
        read_replies([tmp_path / "a.jsonl"])


def test_a_row_that_the_disk_takes_half_of_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the row after it, when there is room again, would stand behind half a row, and the file could not be read."""
    path, write, room = tmp_path / "replies.jsonl", os.write, [True]

    def full(handle: int, line: bytes) -> int:
        if room[0]:
            return write(handle, line)
        if len(line) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, line[:-60])

    monkeypatch.setattr("ssl4rl_agents.replies.files.os.write", full)
    with ReplyFile(path) as file:
        file.append(ROW)
        room[0] = False
        with pytest.raises(OSError, match=r"No space left on device: '.*replies.jsonl'"):
            file.append(replace(ROW, index=4))
        assert not file.replied(replace(ROW, index=4).key)
        room[0] = True
        file.append(replace(ROW, index=5))
    assert [row.index for row in read_replies([path])] == [3, 5]


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_stored_in_a_file_that_is_gone(tmp_path: Path, replaced: bool) -> None:
    path = tmp_path / "replies.jsonl"
    with ReplyFile(path) as file:
        path.rename(tmp_path / "moved.jsonl")
        if replaced:
            path.touch()
        with pytest.raises(FileNotFoundError, match="was deleted or replaced while replies were stored in it"):
            file.append(ROW)
        assert not file.replied(ROW.key)
