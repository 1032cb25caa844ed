"""`ssl4rl serve` on loopback: plain HTTP, OpenEnv's WebSocket messages, the page, the command, and what is refused."""

from __future__ import annotations

import asyncio
import html.parser
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import ssl4rl_envs
from ssl4rl_agents.replies import ReplyFile, measure_replies, read_replies
from ssl4rl_benchmarks import cli
from ssl4rl_benchmarks.commands import calls, serve
from ssl4rl_benchmarks.commands.table import Call
from ssl4rl_envs.serving import app
from ssl4rl_envs.serving.server import Server
from tests.clients.serving import SMALL, Clock, episodes, http, playing, say, until

NAME = "SSL4RL/Rotation-v0"


@pytest.fixture(scope="module")
def server():
    """Small rotations, a few at a time, by a clock that stands still."""
    return Server(NAME, episodes(), sessions=8, timeout=60.0, clock=Clock())


@pytest.fixture(scope="module")
def url(server):
    with server.running() as where:
        yield where


@pytest.fixture(autouse=True)
def empty(request):
    """After each test nobody plays."""
    yield
    if "url" in request.fixturenames:
        asyncio.run(until(0, request.getfixturevalue("url")))


def ws(url: str, **how):
    return connect(f"{url.replace('http', 'ws')}/ws", **how)


def begin(url: str, **data) -> dict:
    return http(f"{url}/reset", data)[1]


def close(url: str, session: str) -> None:
    assert http(f"{url}/close", {"session": session}) == (200, {"closed": True})


# Plain HTTP


def test_an_episode_over_http(url):
    asked = begin(url, seed=3, index=2)
    session = asked["session"]
    assert (asked["reward"], asked["done"]) == (None, False)
    assert asked["observation"]["choices"]["labels"] == ["0", "90", "180", "270"]
    status, told = http(f"{url}/step", {"session": session, "action": {"reply": "<answer>90</answer>"}})
    assert (status, told["done"]) == (200, True)
    assert {"success", "valid", "parsed", "truth", "seed", "index", "turn"} == set(told["metadata"])
    state = http(f"{url}/state?session={session}")[1]
    assert (state["seed"], state["index"], state["step_count"], state["done"]) == (3, 2, 1, True)
    again = http(f"{url}/reset", {"session": session, "seed": 3, "index": 2})[1]
    assert again["observation"] == asked["observation"]
    right = f"<answer>{told['metadata']['truth']}</answer>"
    assert http(f"{url}/step", {"session": session, "action": {"reply": right}})[1]["reward"] == 1.0
    close(url, session)
    assert http(f"{url}/close", {"session": session})[1] == {"closed": False}


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("reset", b"{", 400, "a message is JSON"),
        ("reset", b"[" * 100_000, 400, "a message is JSON"),
        ("reset", b"[]", 400, "a JSON object"),
        ("reset", b"\xff\xfe", 400, "a message is JSON"),
        ("reset", {"seed": -1}, 422, "seed is a whole number"),
        ("reset", {"level": "hard"}, 422, "got 'level'"),
        ("reset", {"session": "nobody"}, 404, "there is no session 'nobody'"),
        ("reset", {"session": 1}, 422, "name a session"),
        ("step", {"session": "nobody", "action": {"reply": ""}}, 404, "there is no session"),
        ("step", {"session": "nobody"}, 422, '"action"'),
        ("close", {}, 422, "name a session"),
        ("reset", b" " * (app.MAX_MESSAGE + 1), 413, "at most"),
    ],
)
def test_what_is_refused_over_http(url, path, body, status, words):
    code, told = http(f"{url}/{path}", body)
    assert code == status
    assert words in told["message"]
    assert playing(url) == 0


def test_a_full_server_says_so(url):
    session = begin(url, size=8)["session"]
    code, told = http(f"{url}/reset", {})
    assert (code, told["code"]) == (503, "CAPACITY_REACHED")
    close(url, session)


def test_long_replies_score_nothing(url):
    session = begin(url)["session"]
    reply = "<answer>90</answer>" + " " * 200_000
    told = http(f"{url}/step", {"session": session, "action": {"reply": reply}})[1]
    assert (told["reward"], told["metadata"]["valid"]) == (0.0, False)
    close(url, session)


def test_pages_of_others_may_not_play(url):
    host = url.removeprefix("http://")
    assert http(f"{url}/reset", {}, Origin="http://example.org")[0] == 403
    assert http(f"{url}/reset", {}, Origin="null")[0] == 403
    assert http(f"{url}/health", None, Host=f"example.org:{host.split(':')[1]}")[0] == 400
    code, told = http(f"{url}/reset", {}, Origin=url)
    assert code == 200
    close(url, told["session"])

    async def knock():
        async with ws(url, origin="http://example.org"):
            pass

    with pytest.raises(InvalidStatus, match="403"):
        asyncio.run(knock())


# WebSocket


def test_an_episode_over_a_websocket(url):
    async def play():
        async with ws(url) as line:
            asked = await say(line, "reset", seed=3, index=2)
            state = await say(line, "state")
            told = await say(line, "step", reply="<answer>90</answer>")
            assert await asyncio.to_thread(playing, url) == 1
        return asked, state, told

    asked, state, told = asyncio.run(play())
    assert asked["type"] == told["type"] == "observation"
    assert state == {
        "type": "state",
        "data": {"episode_id": None, "step_count": 0, "size": None, "seed": 3, "index": 2, "done": False},
    }
    by_http = begin(url, seed=3, index=2)
    assert asked["data"]["observation"] == by_http["observation"]
    assert told["data"]["metadata"]["parsed"] == "90"
    close(url, by_http["session"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "INVALID_JSON"),
        ("3", "INVALID_JSON"),
        (b"\xff", "INVALID_JSON"),
        ('{"type": "mcp"}', "UNKNOWN_TYPE"),
        ('{"type": "step", "data": {"action": 0}}', "EXECUTION_ERROR"),
        ('{"type": "state"}', "EXECUTION_ERROR"),
        ('{"type": "reset", "data": 3}', "VALIDATION_ERROR"),
        ('{"type": "reset", "data": {"task": "x"}}', "VALIDATION_ERROR"),
    ],
)
def test_a_connection_outlives_what_is_refused(url, text, code):
    async def play():
        async with ws(url) as line:
            await line.send(text)
            refused = json.loads(await line.recv())
            return refused, await say(line, "reset")

    refused, asked = asyncio.run(play())
    assert (refused["type"], refused["data"]["code"]) == ("error", code)
    assert asked["type"] == "observation"


def test_a_reset_begins_anew_where_a_session_timed_out(server, url):
    async def play():
        async with ws(url) as line:
            await say(line, "reset", seed=1)
            server.service.sessions._clock.now += 61.0
            late = await say(line, "step", action=0)
            return late, await say(line, "reset", seed=1)

    late, again = asyncio.run(play())
    assert (late["data"]["code"], again["type"]) == ("SESSION_ERROR", "observation")


def test_a_fault_of_the_server_is_told_without_its_insides(server, url, monkeypatch, caplog):
    def fails(*_):
        raise KeyError("a secret path")

    async def play():
        async with ws(url) as line:
            await say(line, "reset", seed=1)
            monkeypatch.setattr(server.service.episodes, "answer", fails)
            refused = await say(line, "step", action=0)
            monkeypatch.undo()
            return refused, await say(line, "step", action=0)

    refused, told = asyncio.run(play())
    assert refused["data"]["message"] == "the server failed at this message"
    assert "a secret path" in caplog.text
    assert told["type"] == "observation"


# What it says of itself


def test_schemas_fit_what_is_sent(url):
    jsonschema = pytest.importorskip("jsonschema")
    schema = http(f"{url}/schema")[1]
    session = begin(url, seed=0)
    told = http(f"{url}/step", {"session": session["session"], "action": {"reply": "no"}})[1]
    state = http(f"{url}/state?session={session['session']}")[1]
    for shown in (session["observation"], told["observation"]):
        jsonschema.validate(shown, schema["observation"])
    jsonschema.validate({"reply": "no"}, schema["action"])
    jsonschema.validate(state, schema["state"])
    close(url, session["session"])
    paths = http(f"{url}/openapi.json")[1]["paths"]
    assert {"/reset", "/step", "/state", "/close", "/health", "/metadata", "/schema"} == set(paths)
    about = http(f"{url}/metadata")[1]
    assert (about["name"], about["split"], about["prompt_style"]) == (NAME, "train", "direct")


class Page(html.parser.HTMLParser):
    """Collects what a page would load, and the ids that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.loads += [given[name] for name in ("src", "href", "action") if given.get(name)]
        self.ids |= {given["id"]} if "id" in given else set()


def test_the_page_stands_alone(url):
    import urllib.request

    with urllib.request.urlopen(f"{url}/") as answer:
        text, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
    page = Page()
    page.feed(text)
    assert page.loads == []
    assert "default-src 'none'" in policy
    assert "http://" not in text
    assert "https://" not in text
    assert 'name="viewport"' in text
    used = set(re.findall(r'\$\("(\w+)"\)', text))
    assert used == page.ids


# The command


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: str):
        try:
            status = cli.main(["serve", *arguments])
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return call


def test_what_people_reply_is_stored_once_and_scored(tmp_path):
    given = serve.ServeFlags(replies=tmp_path / "people.jsonl", player="a class")
    with ReplyFile(given.replies) as file:
        heard = serve._noting(file, given, NAME, SMALL)
        server = Server(NAME, episodes(), sessions=8, timeout=60.0, clock=Clock(), heard=heard)
        with server.running() as where:
            for index in (0, 1):
                session = begin(where, seed=3, index=index)["session"]
                http(f"{where}/step", {"session": session, "action": {"reply": "<answer>90</answer>"}})
            session = begin(where, seed=3, index=1)["session"]  # asked again
            http(f"{where}/step", {"session": session, "action": {"reply": "<answer>0</answer>"}})
    rows = read_replies([given.replies])
    assert [(row.seed, row.index, row.reply, row.kind, row.model) for row in rows] == [
        (3, index, "<answer>90</answer>", "person", "a class") for index in (0, 1)
    ]
    answers = [next(ssl4rl_envs.rows(NAME, 1, seed=3, first=index, **SMALL))["answer"] for index in (0, 1)]
    (scored,) = measure_replies(rows)
    assert scored.strict.success == sum(answer == "90" for answer in answers) / 2


def test_replies_of_several_turns_are_not_stored(tmp_path, capsys):
    out = str(tmp_path / "people.jsonl")
    assert cli.main(["serve", "PatchSwap", "--replies", out]) == 2
    assert "one reply to a question" in capsys.readouterr().err


def test_help_names_the_limits_and_the_arguments_of_the_task(run):
    status, out, _ = run(NAME, "--help")
    assert status == 0
    for flag in ("--host", "--port", "--sessions", "--timeout", "--split", "--attempts", "--source", "--angles", "--level"):
        assert flag in out


def test_missing_packages_are_named(run, monkeypatch):
    monkeypatch.setattr(calls, "way", lambda _: Call("serve ENV", "", ("starlette", "no_such_package"), ("serve",)))
    status, out, err = run(NAME)
    assert (status, out) == (2, "")
    assert err.startswith("ssl4rl serve: it needs no-such-package: pip install ")
    assert "[serve]" in err


def test_a_port_that_is_taken(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, _, err = run(NAME, "--port", port, "--source", "digits")
    assert status == 2
    assert f"cannot listen at 127.0.0.1:{port}" in err
    assert "choose another --port" in err


def test_ctrl_c_ends_it_in_good_order():
    """While somebody plays."""
    command = [sys.executable, "-c", "import sys; from ssl4rl_benchmarks.cli import main; sys.exit(main(sys.argv[1:]))"]
    flags = ["serve", NAME, "--port", "0", "--source", "digits"]
    with subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[-1]

        async def play():
            async with ws(url) as line:
                await say(line, "reset", seed=1)
                process.send_signal(signal.SIGINT)
                await line.wait_closed()

        asyncio.run(play())
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert out.endswith("stopped\n")
    assert err == ""


def test_a_connection_that_says_nothing_is_closed():
    async def wait(url):
        async with ws(url) as line:
            await say(line, "reset", seed=1)
            late = json.loads(await line.recv())
            await line.wait_closed()
            return late

    with Server(NAME, episodes(), timeout=0.2).running() as where:
        late = asyncio.run(wait(where))
        assert late["data"]["code"] == "SESSION_ERROR"
        assert "nothing was heard for 0.2 s" in late["data"]["message"]
        asyncio.run(until(0, where))


def test_the_block_of_the_page_runs():
    page = Path(__file__).parents[2] / "docs" / "clients" / "serve.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    exec(compile(code, str(page), "exec"), {})
