"""What an endpoint is not asked for, or says that is none: each is told, ends or counts, and a key is never repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx2")

from ssl4rl_agents.endpoints import client as client_module
from ssl4rl_agents.endpoints import wire
from ssl4rl_agents.endpoints.client import Client, Endpoint, RefusedError
from ssl4rl_agents.endpoints.collect import Progress, collect
from ssl4rl_agents.replies import ReplyFile, read_replies
from ssl4rl_agents.replies.quiz import Quiz
from ssl4rl_benchmarks.cli import main
from tests.clients.endpoint_server import FakeClock, Server

DIGITS = {"source": "digits", "image_size": 36}
KEY = "sk-secret-of-a-test-0123456789"
pytestmark = pytest.mark.usefixtures("no_way_out")


@pytest.fixture(scope="module")
def quiz() -> Quiz:
    return Quiz("SSL4RL/Rotation-v0", DIGITS, questions=2)


@pytest.fixture
def saying(start: Callable[..., Server]) -> Callable[..., Server]:
    """Start servers that behave in one way at every request."""

    def saying(mood: str, answer: str = "<answer>90</answer>") -> Server:
        return start(lambda _: answer, lambda _: [mood] * 20)

    return saying


def asked(server: Server, quiz: Quiz, path: Path, **settings: Any) -> Progress:
    with ReplyFile(path) as file:
        return collect(Endpoint("m", server.url, **{"retries": 1, **settings}), quiz, file, clock=FakeClock())


def completion(**message: Any) -> str:
    return json.dumps({"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("[" * 100_000, "the response is no JSON"),
        ("9" * 5000, "the response is no JSON"),
        ('data: {"choices": []}\n\ndata: [DONE]', "the response is no JSON"),
        (completion(content=None, tool_calls=[{"function": {"name": "x", "arguments": "{}"}}]), "but calls of tools"),
        (completion(content=None, reasoning_content="It may be 90."), "but reasoning alone"),
        (completion(content=5), "the response's message has no content"),
        ("null", "the response has no choices"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_no_reply_is_asked_for_again_and_then_told(saying, quiz, tmp_path, body: str, words: str) -> None:
    progress = asked(saying(f"says 200 {body}"), quiz, tmp_path / "replies.jsonl")
    assert (progress.replies, progress.errors, progress.counts.failures) == (0, 2, {"broken": 4})
    rows = read_replies([tmp_path])
    assert all(words in row.error and row.error.endswith("at attempt 2") for row in rows)
    assert progress.last_error in [row.error for row in rows]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_server_that_sends_elsewhere_is_not_followed_and_says_where(saying, quiz, tmp_path, status: int) -> None:
    """A key would go along."""
    server = saying(f"sends {status} http://127.0.0.1:9/v1?{KEY}")
    with pytest.raises(RefusedError, match=rf"sends elsewhere: status {status}, to http://127.0.0.1:9/v1.*--base-url"):
        asked(server, quiz, tmp_path / "replies.jsonl")


def test_an_address_without_its_path_is_noticed(saying, quiz, tmp_path, capsys) -> None:
    server = saying("answer")
    bare = server.url.removesuffix("/v1")
    flags = ["--source", "digits", "--episodes", "2", "--out", str(tmp_path / "r.jsonl")]
    assert main(["eval", "openai:m", "Rotation", "--base-url", bare, *flags]) == 2
    assert "status 404" in (said := capsys.readouterr().err)
    assert "most addresses end in /v1" in said
    assert main(["eval", "openai:m", "Rotation", "--base-url", f"{server.url}/", *flags]) == 0


def test_a_server_that_answers_nothing_is_a_failure_and_no_mistake_in_the_call(saying, tmp_path, capsys) -> None:
    flags = ["--source", "digits", "--episodes", "12", "--out", str(tmp_path / "r.jsonl"), "--concurrency", "1"]
    assert main(["eval", "openai:m", "Rotation", "--base-url", saying("says 422 no").url, *flags]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "ssl4rl eval: none of the first 10 questions got a reply; the last: status 422: no"


def test_an_endless_response_ends(saying, quiz, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(client_module, "LONGEST_RESPONSE", 100)
    progress = asked(saying("answer"), quiz, tmp_path / "replies.jsonl")
    assert progress.counts.failures == {"broken": 4}
    assert "the response is longer than" in str(progress.last_error)


@pytest.mark.parametrize("room", range(wire.LONGEST - 60, wire.LONGEST + 5, 13))
@pytest.mark.parametrize("status", [200, 401, 422, 500])
def test_no_part_of_a_key_is_left_where_a_message_is_cut(saying, quiz, tmp_path, monkeypatch, room, status) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    said = ""
    try:
        asked(saying(f"says {status} {'x' * room}{KEY}"), quiz, tmp_path / "replies.jsonl", retries=0)
    except RefusedError as error:
        said = str(error)
    said += (tmp_path / "replies.jsonl").read_text()
    assert "xxxx" in said
    assert KEY[:4] not in said


def test_a_key_that_a_model_repeats_is_not_stored(saying, quiz, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    asked(saying("answer", f"You sent {KEY}. <answer>90</answer>"), quiz, tmp_path / "replies.jsonl")
    assert {row.reply for row in read_replies([tmp_path])} == {"You sent [key]. <answer>90</answer>"}


def test_what_servers_of_ones_own_take_for_a_key_is_no_secret(saying, quiz, tmp_path, monkeypatch) -> None:
    """It is found in ordinary replies."""
    monkeypatch.setenv("OPENAI_API_KEY", "answer")
    asked(saying("answer"), quiz, tmp_path / "replies.jsonl")
    assert {row.reply for row in read_replies([tmp_path])} == {"<answer>90</answer>"}


@pytest.mark.parametrize("key", ["sk-abcé-defghi", "sk-abc\x01defghi", "sk-abc\ndefghi"])
def test_what_no_header_can_hold_is_no_key_and_is_not_repeated(monkeypatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ValueError, match="the key in OPENAI_API_KEY holds characters that no header") as error:
        Client(Endpoint("m", "http://localhost/v1"))
    assert "sk-" not in str(error.value)


def test_the_end_of_a_line_is_no_part_of_a_key(saying, quiz, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    server = saying("answer")
    asked(server, quiz, tmp_path / "replies.jsonl")
    assert server.keys == {f"Bearer {KEY}"}


@pytest.mark.parametrize("where", [{"extra": {"api_key": KEY}}, {"model": KEY}, {"base_url": f"http://localhost/{KEY}"}])
def test_a_key_in_what_is_stored_is_refused(monkeypatch, where: dict[str, Any]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(ValueError, match="stored with every reply") as error:
        Client(Endpoint(**{"model": "m", "base_url": "http://localhost/v1", **where}))
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"base_url": "http://[::1/v1"}, "base_url must be an address"),
        ({"base_url": "http://localhost:70000/v1"}, "base_url must be an address"),
        ({"base_url": "http://localhost:port/v1"}, "base_url must be an address"),
        ({"base_url": "http://local host/v1"}, "base_url must be an address"),
        ({"base_url": "http://localhost/v1#x"}, "base_url must be an address"),
        ({"base_url": "http://localhost/v1/chat/completions"}, "leave that out"),
        ({"model": "m\n"}, "name a model"),
        ({"temperature": -1.0}, "temperature must be from 0"),
        ({"temperature": float("nan")}, "temperature must be from 0"),
        ({"extra": {"stream": True}}, "stream is not among them"),
        ({"extra": {"n": 4, "model": "other"}}, "model, n is not among them"),
        ({"extra": {"top_p": float("nan")}}, "extra must be what JSON can say"),
    ],
)
def test_wrong_settings_are_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Endpoint(**{"model": "m", "base_url": "http://localhost/v1", **more})


def test_however_many_are_asked_at_a_time_the_same_is_stored(tmp_path) -> None:
    """But for the order, and when it came."""
    many = Quiz("SSL4RL/Rotation-v0", DIGITS, questions=12, samples=2)
    found = []
    for concurrency in (1, 8):
        path = tmp_path / f"{concurrency}.jsonl"
        with Server(lambda digest: f"<answer>{digest}</answer>").running() as server:
            asked(server, many, path, concurrency=concurrency)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        found.append(sorted(json.dumps({**row, "time": None, "latency": None}, sort_keys=True) for row in rows))
    assert found[0] == found[1]
    assert len(found[0]) == 24
