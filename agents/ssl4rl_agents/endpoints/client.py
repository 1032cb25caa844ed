"""Ask a model behind an OpenAI-compatible endpoint, and be patient with the server.

httpx2 sends the requests: transformers brings it with the hub's client, so most who have a model here have it. The retries
are our own, since a library retries by status alone, while servers under load also answer with half a body, a page of HTML or
an empty choice, and since each attempt is counted.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx2

from ssl4rl_agents.endpoints.wire import BrokenReplyError, Reply, read_reply, shortened, wait_of

ResultT = TypeVar("ResultT")

OPENAI = "https://api.openai.com/v1"
PASSING = {408, 409, 425, 429}
"""Statuses below 500 that another attempt may mend."""

FOR_ALL = {401, 403, 404, 405}
"""Statuses that every other request would get too: a wrong key, address or name of a model."""

OURS = ("model", "messages", "n", "stream")
"""Fields of a request that `extra` may not set: who is asked what, and how the response comes."""

SECRET = 8
"""Characters from which on a key is one. Servers of one's own take "EMPTY" or "none", which is found in what they say."""

LONGEST_RESPONSE = 1 << 25
"""Most bytes of a response that are read."""

NO_CREDIT = "insufficient_quota"
"""What OpenAI calls an empty account, with the status of a server that is merely busy."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the second attempt, and the most that doubling them leads to."""


class EndpointError(OSError):
    """No reply came, and why."""


class RefusedError(EndpointError):
    """The endpoint refuses all requests alike; asking on would change nothing."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model is and how it is asked.

    Args:
        model: its name there.
        base_url: what "/chat/completions" follows, e.g. "http://localhost:8000/v1".
        temperature, max_tokens: of sampling; None leaves them to the server.
        extra: further fields of the request, e.g. {"reasoning_effort": "low"}; they win over all others.
        key_variable: the variable of the environment that holds the key; the key itself is nowhere else.
        concurrency: requests at a time.
        timeout: seconds for a whole response.
        retries: further attempts after one that failed in passing.
        patience: the longest wait, in seconds, that a server may ask for.

    Raises:
        ValueError: an argument is out of its range, or the address is none.
    """

    model: str
    base_url: str = OPENAI
    temperature: float | None = 0.0
    max_tokens: int | None = 1024
    extra: dict[str, Any] = field(default_factory=dict)
    key_variable: str = "OPENAI_API_KEY"
    concurrency: int = 16
    timeout: float = 120.0
    retries: int = 6
    patience: float = 120.0

    def __post_init__(self) -> None:
        self._check_address()
        if not (self.model and self.model.isprintable()):
            raise ValueError(f"name a model, e.g. openai:gpt-4o, got {self.model!r}")
        if self.concurrency < 1 or self.retries < 0 or not self.timeout > 0 or not self.patience >= 0:
            raise ValueError(
                f"concurrency must be at least 1, retries and patience from 0, timeout above 0; got {self.concurrency}, "
                f"{self.retries}, {self.patience}, {self.timeout}"
            )
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}")
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be from 0, got {self.temperature}")
        ours = sorted(set(self.extra) & set(OURS))
        if ours:
            raise ValueError(f"extra sets further fields of a request; {', '.join(ours)} is not among them")
        try:
            json.dumps(self.extra, allow_nan=False)
        except (ValueError, TypeError) as error:
            raise ValueError(f"extra must be what JSON can say: {error}") from error

    def _check_address(self) -> None:
        """Check that requests can be sent to the address, without repeating credentials that it may hold."""
        try:
            parts = urlsplit(self.base_url)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # brackets without an end, a port that is none
            good = False
        if "@" in self.base_url or "?" in self.base_url:
            raise ValueError(
                f"base_url must hold no credentials and no query; keys come from the environment, {self.key_variable}"
            )
        if not good or "#" in self.base_url or any(each.isspace() for each in self.base_url):
            raise ValueError(f"base_url must be an address like http://localhost:8000/v1, got {self.base_url!r}")
        if parts.path.rstrip("/").endswith("/chat/completions"):
            raise ValueError(f"base_url is what /chat/completions follows; leave that out of {self.base_url}")

    @property
    def sampling(self) -> dict[str, Any]:
        """What decides how a reply is sampled: part of a stored reply's key."""
        return {"temperature": self.temperature, "max_tokens": self.max_tokens, **self.extra}

    def key(self) -> str | None:
        """Return the key from the environment.

        Raises:
            ValueError: there is none, and the endpoint is OpenAI's, which gives no reply without; or what there is cannot be
                one, or stands in what is stored. The message does not repeat it.
        """
        key = os.environ.get(self.key_variable, "").strip()  # files of keys end with a line's end
        if not (key.isascii() and key.isprintable()):
            raise ValueError(f"the key in {self.key_variable} holds characters that no header can hold")
        if len(key) >= SECRET and key in f"{self.model} {self.base_url} {json.dumps(self.extra)}":
            raise ValueError(
                f"the key in {self.key_variable} stands in model, base_url or extra too, which are stored with every reply; "
                "leave it out there"
            )
        if not key and self.base_url.startswith(OPENAI):
            raise ValueError(
                f"{OPENAI} needs a key: set {self.key_variable} in the environment, or name another endpoint with --base-url"
            )
        return key or None


def run_to_end(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run what is asynchronous and return its result, also where a loop is running already, as in notebooks.

    Of several errors that came together, the first is raised.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_run, work).result()


def _run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


class Clock:
    """The time, and waiting."""

    def now(self) -> float:
        """Return seconds on a clock that only goes forward."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


@dataclass
class Counts:
    """What a client has done: requests, of which attempts that failed in passing by their reason, and seconds waited."""

    requests: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    waited: float = 0.0

    def note(self, reason: str) -> None:
        """Count a failed attempt."""
        self.failures[reason] = self.failures.get(reason, 0) + 1


@dataclass(frozen=True)
class Answered:
    """A reply, or why there is none, after how many requests, and the seconds that the last one took."""

    reply: Reply | None
    error: str | None
    attempts: int
    latency: float


class _PassingError(Exception):
    """An attempt failed, and another may not; `wait` is what the server asks for, in seconds."""

    def __init__(self, kind: str, detail: str, wait: float | None = None) -> None:
        super().__init__(detail)
        self.kind, self.wait = kind, wait


class Client:
    """Asks one endpoint; use it as `async with Client(endpoint) as client`.

    Args:
        endpoint: where and how.
        clock: for tests, which do not wait.
    """

    def __init__(self, endpoint: Endpoint, clock: Clock | None = None) -> None:
        self.endpoint, self.counts = endpoint, Counts()
        self._clock, self._random = clock or Clock(), random.Random(0)  # noqa: S311 - it spreads waits
        self._key = endpoint.key()
        self._quiet_until = -float("inf")
        self._length_name = "max_tokens"
        self._places = asyncio.Semaphore(endpoint.concurrency)
        limits = httpx2.Limits(max_connections=endpoint.concurrency, max_keepalive_connections=endpoint.concurrency)
        self._secret = self._key if self._key and len(self._key) >= SECRET else None
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._http = httpx2.AsyncClient(headers=headers, limits=limits, timeout=None, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def ask(self, messages: Sequence[dict[str, Any]], *, tool: dict[str, Any] | None = None) -> Answered:
        """Ask a question until there is a reply, or no hope of one.

        Args:
            messages: as `ssl4rl_envs.to_messages` gives them.
            tool: the function by which it is to be answered, as OpenAI describes one (`ssl4rl_envs.tool_schema`).

        Raises:
            RefusedError: every request would be refused like this one.
        """
        asked: dict[str, Any] = {"model": self.endpoint.model, "messages": list(messages)}
        if tool is not None:
            asked |= {"tools": [tool], "tool_choice": {"type": "function", "function": {"name": tool["function"]["name"]}}}
        async with self._places:
            for attempt in range(1, self.endpoint.retries + 2):
                await self._until_quiet()
                start = self._clock.now()
                try:
                    reply = await self._attempt(asked, tools=tool is not None)
                    return Answered(reply, None, attempt, self._clock.now() - start)
                except _PassingError as failed:
                    self.counts.note(failed.kind)
                    told = f"{failed}, at attempt {attempt}"
                    if failed.wait is not None and failed.wait > self.endpoint.patience:
                        told += f"; the server asks for {failed.wait:.0f} s, and patience is {self.endpoint.patience:.0f} s"
                        break
                    if attempt <= self.endpoint.retries:
                        await self._wait(attempt, failed.wait)
                except RefusedError:
                    raise
                except EndpointError as final:
                    self.counts.note("refused")
                    told = str(final)
                    break
            return Answered(None, told, attempt, self._clock.now() - start)

    async def _attempt(self, asked: dict[str, Any], *, tools: bool) -> Reply:
        self.counts.requests += 1
        length = self._length_name
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                status, headers, body = await self._post({**asked, **self._sampling(length)})
        except TimeoutError as error:
            raise _PassingError("time-out", f"no response within {self.endpoint.timeout:g} s") from error
        except httpx2.TransportError as error:
            raise _PassingError("connection", self._said(f"{type(error).__name__}: {error}")) from error
        except httpx2.HTTPError as error:
            raise _PassingError("broken", self._said(f"{type(error).__name__}: {error}")) from error
        if 200 <= status < 300:
            try:
                reply = read_reply(body, tools=tools)
            except BrokenReplyError as error:
                raise _PassingError("broken", f"{error}: {self._quoted(body)!r}") from error
            return replace(reply, text=self._said(reply.text), finish_reason=self._said(reply.finish_reason or "") or None)
        text = body.decode(errors="replace")
        said = f"status {status}: {self._quoted(body)}"
        if 300 <= status < 400:
            raise RefusedError(
                f"{self._address} sends elsewhere: status {status}, to {self._said(headers.get('location', 'nowhere'))}; if "
                "that is meant, name it with --base-url"
            )
        if status == 429 and NO_CREDIT in text:
            raise RefusedError(f"{self._address} refuses: {said}")
        if status in PASSING or status >= 500:
            raise _PassingError(f"status {status}", said, wait_of(headers))
        if status in FOR_ALL:
            bare = status == 404 and not urlsplit(self.endpoint.base_url).path.strip("/")
            raise RefusedError(f"{self._address} refuses: {said}" + ("; most addresses end in /v1" if bare else ""))
        if status == 400 and length == "max_tokens" and "max_completion_tokens" in text:
            self._length_name = "max_completion_tokens"  # as OpenAI's newer models call it
            return await self._attempt(asked, tools=tools)
        raise EndpointError(said)

    async def _post(self, data: dict[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request; return status, headers and body of the response."""
        body = bytearray()
        async with self._http.stream("POST", self._address, json=data) as response:
            async for part in response.aiter_bytes():
                body += part
                if len(body) > LONGEST_RESPONSE:
                    raise _PassingError("broken", f"the response is longer than {LONGEST_RESPONSE >> 20} MiB")
            return response.status_code, response.headers, bytes(body)

    @property
    def _address(self) -> str:
        return self.endpoint.base_url.rstrip("/") + "/chat/completions"

    def _sampling(self, length: str) -> dict[str, Any]:
        known = {"temperature": self.endpoint.temperature, length: self.endpoint.max_tokens}
        return {**{name: value for name, value in known.items() if value is not None}, **self.endpoint.extra}

    async def _wait(self, attempt: int, asked_for: float | None) -> None:
        """Wait twice as long each time, spread by chance; or as long as the server asks, which holds for all requests."""
        if asked_for is not None:
            self._quiet_until = max(self._quiet_until, self._clock.now() + asked_for)
            return
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
        await self._sleep(longest * (0.5 + 0.5 * self._random.random()))

    async def _until_quiet(self) -> None:
        """Wait until requests are welcome again, and not all to the same moment."""
        while (quiet := self._quiet_until - self._clock.now()) > 0:
            await self._sleep(quiet * (1 + 0.1 * self._random.random()))

    async def _sleep(self, seconds: float) -> None:
        self.counts.waited += seconds
        await self._clock.sleep(seconds)

    def _quoted(self, body: bytes) -> str:
        """Return the beginning of a body; the key is taken out before it is cut, or a part of it might be left."""
        return shortened(self._said(body.decode(errors="replace")))

    def _said(self, text: str) -> str:
        """Return what a server said, without the key, which some repeat."""
        return text.replace(self._secret, "[key]") if self._secret else text
