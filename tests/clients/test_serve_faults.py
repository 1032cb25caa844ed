"""A server whose clients vanish or send halves of characters, whose disk is full, or that is called wrongly."""

from __future__ import annotations

import errno
import json
import logging
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from ssl4rl_agents.replies import ReplyFile, read_replies
from ssl4rl_benchmarks import cli
from ssl4rl_benchmarks.commands import serve
from ssl4rl_envs.serving.server import Server
from tests.clients.serving import SMALL, Clock, episodes, http

NAME = "SSL4RL/Rotation-v0"
HALF = "\ud800"


def server(**arguments) -> Server:
    return Server(NAME, episodes(), sessions=8, timeout=60.0, clock=Clock(), **arguments)


def test_halves_of_characters_come_back_as_they_were_sent():
    with server().running() as url:
        asked = http(f"{url}/reset", {"episode_id": HALF})[1]
        assert http(f"{url}/state?session={asked['session']}")[1]["episode_id"] == HALF
        code, told = http(f"{url}/step", {"session": asked["session"], "action": {"action": HALF}})
        assert (code, told["code"]) == (422, "VALIDATION_ERROR")
        told = http(f"{url}/step", {"session": asked["session"], "action": {"reply": HALF}})[1]
        assert (told["done"], told["metadata"]["valid"]) == (True, False)


def test_a_client_that_vanishes_within_its_message_is_no_fault(caplog):
    with server().running() as url:
        where = urlsplit(url)
        for message in (b"Content-Length: 100\r\n\r\n{", b"Content-Length: 2\r\n\r\n{}"):
            with socket.create_connection((where.hostname, where.port)) as line:
                line.sendall(b"POST /reset HTTP/1.1\r\nHost: 127.0.0.1\r\n" + message)
        assert http(f"{url}/health")[1]["status"] == "healthy"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_fault_over_http_is_told_in_json_without_its_insides(monkeypatch, caplog):
    def fails(*_):
        raise KeyError("a secret path")

    one = server()
    with one.running() as url:
        session = http(f"{url}/reset", {})[1]["session"]
        monkeypatch.setattr(one.service.episodes, "answer", fails)
        step = {"session": session, "action": {"action": 0}}
        assert http(f"{url}/step", step) == (500, {"message": "the server failed at this message", "code": "SERVER_ERROR"})
        monkeypatch.undo()
        assert http(f"{url}/step", step)[0] == 200
    assert "a secret path" in caplog.text


@pytest.mark.parametrize("gone", [False, True], ids=["full disk", "folder gone"])
def test_a_reply_that_cannot_be_stored_is_not_answered_and_can_be_given_again(tmp_path: Path, monkeypatch, caplog, gone):
    """So neither is a reply lost, nor is a truth told for one that was not kept."""
    given = serve.ServeFlags(replies=tmp_path / "kept" / "people.jsonl")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with ReplyFile(given.replies) as file, server(heard=serve._noting(file, given, NAME, SMALL)).running() as url:
        asked = http(f"{url}/reset", {"seed": 3})[1]
        step = {"session": asked["session"], "action": {"reply": "<answer>90</answer>"}}
        if gone:
            given.replies.parent.rename(tmp_path / "away")
        else:
            monkeypatch.setattr("ssl4rl_agents.replies.files.os.write", full)
        code, told = http(f"{url}/step", step)
        assert (code, told["code"]) == (507, "STORAGE_ERROR")
        assert set(told) == {"message", "code"}
        assert "people.jsonl" in caplog.text
        assert str(tmp_path) not in json.dumps(told)
        if gone:
            (tmp_path / "away").rename(given.replies.parent)
        monkeypatch.undo()
        assert http(f"{url}/step", step)[1]["done"]
    (row,) = read_replies([given.replies])
    assert (row.seed, row.reply) == (3, "<answer>90</answer>")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--port", "70000"], "port must be from 0 to 65535, got 70000"),
        (["--port", "-1"], "port must be from 0 to 65535, got -1"),
        (["--host", ""], "host must be an address, e.g. 127.0.0.1"),
        (["--replies", "people.txt"], "replies are stored in a file *.jsonl"),
        (["--replies", "people.jsonl", "--player", ""], "model must be some printable words"),
    ],
)
def test_a_server_that_is_called_wrongly(tmp_path, monkeypatch, capsys, flags, words):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["serve", NAME, "--source", "digits", "--port", "0", *flags]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
