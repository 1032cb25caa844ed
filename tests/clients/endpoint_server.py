"""A server on the loopback that speaks OpenAI's protocol as servers do on bad days."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

from ssl4rl_agents.endpoints.client import Clock
from ssl4rl_agents.replies.rows import question_digest

USAGE = {"prompt_tokens": 100, "completion_tokens": 10}
ENOUGH = 30.0
"""Seconds after which what hangs lets go, in case a test fails."""


class FakeClock(Clock):
    """Time that passes only where somebody waits, and at once."""

    def __init__(self) -> None:
        self.time, self.waits = 0.0, list[float]()

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


def digest_of(request: dict[str, Any]) -> str:
    """The digest of the question that a request asks: what arrived is what was shown, to the pixel."""
    content = request["messages"][-1]["content"]
    if isinstance(content, str):
        return question_digest(content, [])
    pictures = []
    for part in content[:-1]:
        head, _, data = part["image_url"]["url"].partition(",")
        assert (part["type"], head) == ("image_url", "data:image/png;base64")
        pictures.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))))
    return question_digest(content[-1]["text"], pictures)


class Server:
    """Answers `answer(digest)`, after it has behaved as `moods` say.

    Args:
        answer: the reply to a question by its digest.
        moods: how it behaves at the first, second, ... request of the k-th question that it sees; see `Handler`. When they
            are used up, it answers.
    """

    def __init__(self, answer: Callable[[str], str], moods: Callable[[int], list[str]] = lambda _: []) -> None:
        self.answer, self.moods = answer, moods
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.behaved: Counter[str] = Counter()
        self.busiest = self._busy = 0
        self.closing, self.crowd = threading.Event(), threading.Barrier(8)
        self._asked: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self.url = ""

    def mood(self, request: dict[str, Any], key: str | None) -> tuple[str, str]:
        """Note a request; return how to behave, and the question's digest."""
        digest = digest_of(request)
        with self._lock:
            self.requests.append(request)
            self.keys.add(key)
            if digest not in self._asked:
                self._asked[digest] = list(self.moods(len(self._asked)))
            mood = self._asked[digest].pop(0) if self._asked[digest] else "answer"
            self.behaved[mood] += 1
        return mood, digest

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count the requests that are being answered."""
        with self._lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Serve on a free port."""
        with served(type("OfThisServer", (Handler,), {"owner": self})) as self.url:
            try:
                yield self
            finally:
                self.closing.set()


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port of the loopback, and give the base URL."""
    http = Http(("127.0.0.1", 0), handler)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}/v1"
    finally:
        http.shutdown()
        http.server_close()


class Http(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False
    request_queue_size = 128  # or some of many connections at once would be refused, by chance


class Completions(BaseHTTPRequestHandler):
    """Hands requests for chat completions to `reply`."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/chat/completions":
            self.reply(request)
        else:
            self.say(404, "no such page")

    def reply(self, request: dict[str, Any]) -> None:
        raise NotImplementedError

    def say(self, status: int, body: str, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        data = body.encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(length or len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def completion(self, content: Any, finish: str | None = "stop", usage: Any = USAGE, **message: Any) -> str:
        choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
        whole = {"id": "1", "created": 0, "model": "m", "object": "chat.completion"}
        return json.dumps({**whole, "choices": [choice], "usage": usage})


class Handler(Completions):
    owner: Server

    def reply(self, request: dict[str, Any]) -> None:
        with self.owner.at_work():
            mood, digest = self.owner.mood(request, self.headers.get("Authorization"))
            name, _, told = mood.partition(" ")
            getattr(self, f"be_{name}")(told, self.owner.answer(digest))

    def be_answer(self, told: str, answer: str) -> None:
        self.say(200, self.completion(answer))

    def be_crowd(self, told: str, answer: str) -> None:
        """Answer when eight requests are there at the same time."""
        self.owner.crowd.wait(ENOUGH)
        self.be_answer(told, answer)

    def be_usage(self, told: str, answer: str) -> None:
        self.say(200, self.completion(answer, usage=json.loads(told)))

    def be_parts(self, told: str, answer: str) -> None:
        self.say(200, self.completion([{"type": "text", "text": answer[:3]}, {"type": "text", "text": answer[3:]}]))

    def be_length(self, told: str, answer: str) -> None:
        self.say(200, self.completion(answer, finish="length"))

    def be_thinking(self, told: str, answer: str) -> None:
        self.say(200, self.completion(None, finish="length"))

    def be_refusal(self, told: str, answer: str) -> None:
        self.say(200, self.completion(None, refusal="I cannot help with that."))

    def be_filter(self, told: str, answer: str) -> None:
        self.say(200, self.completion(None, finish="content_filter"))

    def be_none(self, told: str, answer: str) -> None:
        self.say(200, self.completion(None))

    def be_call(self, told: str, answer: str) -> None:
        call = {"id": "1", "type": "function", "function": {"name": "answer", "arguments": answer}}
        self.say(200, self.completion(None, finish="tool_calls", tool_calls=[call]))

    def be_message(self, told: str, answer: str) -> None:
        """Say what was told, with the answer as the JSON of a call in the place of ANSWER, and as text in that of TEXT."""
        said = told.replace("ANSWER", answer).replace("TEXT", json.dumps(answer))
        self.say(200, json.dumps({"choices": [{"message": json.loads(said)}], "usage": USAGE}))

    def be_empty(self, told: str, answer: str) -> None:
        self.say(200, json.dumps({"choices": [], "usage": USAGE}))

    def be_error(self, told: str, answer: str) -> None:
        self.say(200, json.dumps({"error": {"message": "upstream is ill"}}))

    def be_html(self, told: str, answer: str) -> None:
        self.say(200, "<html><body>Bad gateway</body></html>", {"Content-Type": "text/html"})

    def be_half(self, told: str, answer: str) -> None:
        self.say(200, self.completion(answer)[:40])

    def be_cut(self, told: str, answer: str) -> None:
        self.say(200, self.completion(answer)[:40], length=4000)
        self.close_connection = True

    def be_gone(self, told: str, answer: str) -> None:
        self.close_connection = True

    def be_hang(self, told: str, answer: str) -> None:
        self.owner.closing.wait(ENOUGH)
        self.close_connection = True

    def be_drip(self, told: str, answer: str) -> None:
        """Send a byte now and then, so that only a limit on the whole response helps."""
        self.say(200, "", length=10**6)
        try:
            while not self.owner.closing.wait(0.02):
                self.wfile.write(b" ")
                self.wfile.flush()
        except OSError:
            pass
        self.close_connection = True

    def be_slow(self, told: str, answer: str) -> None:
        """Send the whole, in pieces."""
        text = self.completion(answer)
        self.say(200, text[:10], length=len(text))
        for start in range(10, len(text), 40):
            self.owner.closing.wait(0.002)
            self.wfile.write(text[start : start + 40].encode())
            self.wfile.flush()

    def be_status(self, told: str, answer: str) -> None:
        status, _, wait = told.partition(" ")
        said = json.dumps({"error": {"message": f"status {status}; you sent {self.headers.get('Authorization')}"}})
        self.say(int(status), said, {"Retry-After": wait} if wait else {})

    def be_sends(self, told: str, answer: str) -> None:
        status, _, where = told.partition(" ")
        self.say(int(status), "", {"Location": where})

    def be_says(self, told: str, answer: str) -> None:
        status, _, body = told.partition(" ")
        self.say(int(status), body)


def rounds(*moods: str) -> Callable[[int], list[str]]:
    """One misbehaviour for each question, in turn."""
    return lambda number: [moods[number % len(moods)]]
