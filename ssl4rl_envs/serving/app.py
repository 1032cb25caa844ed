"""The wire: OpenEnv's WebSocket, the same messages over plain HTTP, and a page to play.

    WS   /ws                              a session a connection: reset, step, state, close, as OpenEnv's clients send them
    POST /reset  {"session"?, "seed"?, "index"?, "size"?, "episode_id"?}    without a session it begins one
    POST /step   {"session", "action": {"reply" | "action" | "replies" | "actions"}}
    GET  /state?session=...               where a session stands
    POST /close  {"session"}              lets go of a session
    GET  /health /metadata /schema /openapi.json    what this is;  GET / the page

Clients choose seeds, numbers of questions and batch sizes, and nothing of the task.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from ssl4rl_envs.serving.description import Description
from ssl4rl_envs.serving.refusals import RefusedError
from ssl4rl_envs.serving.service import Service

MAX_MESSAGE = 1 << 20
"""Largest message of a client, in bytes."""

SWEEPS = 4
"""How often in a time-out it is looked for sessions that are over."""

PAGE_MAY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
"""What the page may load: nothing from elsewhere."""

FAILED = "the server failed at this message"

_log = logging.getLogger(__name__)


class Json(JSONResponse):
    """JSON in letters of ASCII, which clients may send halves of characters of, and get back."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of it."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def make_app(service: Service, description: Description, hosts: list[str] | None = None) -> Starlette:
    """Return the ASGI application of a service.

    Args:
        service: plays the episodes; it is closed when the application shuts down.
        description: says what is played.
        hosts: names that requests may call the server by; all by default. Pages that a name of their own leads to an address
            of this machine are kept out by this.
    """
    wire = _Wire(service, description)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep(service))
        try:
            yield
        finally:
            sweeper.cancel()
            service.close()

    routes = [
        Route("/", wire.page),
        Route("/health", wire.health),
        Route("/metadata", lambda _: JSONResponse(description.metadata)),
        Route("/schema", lambda _: JSONResponse(description.schema)),
        Route("/openapi.json", lambda _: JSONResponse(description.openapi)),
        Route("/mcp", wire.mcp, methods=["POST"]),
        Route("/reset", wire.told(wire.reset), methods=["POST"]),
        Route("/step", wire.told(wire.step), methods=["POST"]),
        Route("/state", wire.told(wire.state)),
        Route("/close", wire.told(wire.close), methods=["POST"]),
        WebSocketRoute("/ws", wire.socket),
    ]
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts)] if hosts else []
    return Starlette(routes=routes, lifespan=lifespan, middleware=[*guards, Middleware(SameOrigin)])


class SameOrigin:
    """Keeps out what pages of other servers send from the browsers of people who play; clients send no origin.

    Args:
        app: what it stands before.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if it is from nowhere, or from a page of this server."""
        headers = Headers(scope=scope) if scope["type"] in ("http", "websocket") else Headers()
        origin = headers.get("origin")
        if origin is None or urlsplit(origin).netloc == headers.get("host"):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            refusal = JSONResponse({"message": f"pages of {origin[:100]} may not play here"}, 403)
            await refusal(scope, receive, send)
        else:
            await WebSocket(scope, receive, send).close(1008)


class _Wire:
    """The endpoints of one service."""

    def __init__(self, service: Service, description: Description) -> None:
        self.service, self.description = service, description
        self._page = (Path(__file__).parent / "play.html").read_text(encoding="utf-8")

    # Plain HTTP

    def told(self, answer: Callable[[Request], Awaitable[dict[str, Any]]]) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that answers in JSON, and in JSON what it refuses, and that it has failed."""

        async def endpoint(request: Request) -> Response:
            try:
                return Json(await answer(request))
            except RefusedError as refusal:
                return Json(refusal.data, refusal.status)
            except ClientDisconnect:
                return Response(status_code=400)  # which nobody reads
            except Exception:
                _log.exception("a message could not be answered")
                failure = RefusedError("SERVER_ERROR", FAILED)
                return Json(failure.data, failure.status)

        return endpoint

    async def reset(self, request: Request) -> dict[str, Any]:
        """Ask something in a session, or in a new one."""
        data = await self._body(request)
        given = data.pop("session", None)
        if given is None:
            session, answer = await self.service.begin(data)
            return {"session": session, **answer}
        return {"session": _id(given), **await self.service.reset(_id(given), data)}

    async def step(self, request: Request) -> dict[str, Any]:
        """Answer what a session asks."""
        data = await self._body(request)
        session, action = _id(data.get("session")), data.get("action")
        if not isinstance(action, dict) or set(data) != {"session", "action"}:
            raise RefusedError("VALIDATION_ERROR", 'a step is {"session": ..., "action": {"reply": ...}}')
        return {"session": session, **await self.service.step(session, action)}

    async def state(self, request: Request) -> dict[str, Any]:
        """Say where a session stands."""
        session = _id(request.query_params.get("session"))
        return {"session": session, **self.service.state(session)}

    async def close(self, request: Request) -> dict[str, Any]:
        """Let go of a session."""
        return {"closed": self.service.sessions.close(_id((await self._body(request)).get("session")))}

    async def health(self, _: Request) -> Response:
        """Say that the server is there, and how many play."""
        sessions = self.service.sessions
        sessions.expire()
        return JSONResponse(
            {"status": "healthy", "sessions": len(sessions), "places": sessions.limit, "taken": sessions.taken}
        )

    async def page(self, _: Request) -> Response:
        """Show the page to play."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": PAGE_MAY})

    async def mcp(self, _: Request) -> Response:
        """Say that there are no tools of the Model Context Protocol here; OpenEnv's validation asks for the endpoint."""
        error = {"code": -32601, "message": "this environment is played by reset and step; it has no MCP tools"}
        return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error})

    async def _body(self, request: Request) -> dict[str, Any]:
        body = bytearray()
        try:
            async with asyncio.timeout(self.service.sessions.timeout):
                async for part in request.stream():
                    body += part
                    if len(body) > MAX_MESSAGE:
                        raise RefusedError("TOO_LARGE", f"a message has at most {MAX_MESSAGE} bytes")
        except TimeoutError as error:
            raise RefusedError("INVALID_JSON", "the message did not arrive in time") from error
        return _object(bytes(body) or b"{}")

    # WebSocket

    async def socket(self, socket: WebSocket) -> None:
        """Play with one connection, whose end is the end of its session."""
        await socket.accept()
        seat = _Seat(self.service)
        try:
            await self._talk(socket, seat)
        except (WebSocketDisconnect, TimeoutError):
            pass  # gone, or it does not read
        finally:
            seat.leave()
            with suppress(RuntimeError, WebSocketDisconnect):  # where it was closed from the other end
                await socket.close()

    async def _talk(self, socket: WebSocket, seat: _Seat) -> None:
        """Answer messages until the last one, or until none comes for too long."""
        patience = self.service.sessions.timeout
        while True:
            try:
                async with asyncio.timeout(patience):
                    message = await socket.receive()
            except TimeoutError:
                late = RefusedError("SESSION_ERROR", f"nothing was heard for {patience:g} s, so the session is over")
                await self._send(socket, {"type": "error", "data": late.data})
                return
            if message["type"] == "websocket.disconnect":
                return
            answer = await self._answer(message.get("text") or message.get("bytes") or "", seat)
            if answer is None:
                return
            await self._send(socket, answer)

    async def _answer(self, text: str | bytes, seat: _Seat) -> dict[str, Any] | None:
        """Return the answer to a message, None to the last one."""
        try:
            message = _object(text)
            kind, data = message.get("type"), message.get("data", {})
            if kind == "close":
                return None
            if not isinstance(data, dict):
                raise RefusedError("VALIDATION_ERROR", "the data of a message is an object")
            if kind == "state":
                return {"type": "state", "data": self.service.state(seat.session)}
            if kind == "reset":
                return {"type": "observation", "data": await seat.reset(data)}
            if kind == "step":
                return {"type": "observation", "data": await self.service.step(seat.session, data)}
            raise RefusedError("UNKNOWN_TYPE", f"a message is a reset, a step, a state or a close, got {str(kind)[:100]!r}")
        except RefusedError as refusal:
            return {"type": "error", "data": refusal.data}
        except Exception:
            _log.exception("a message could not be answered")
            return {"type": "error", "data": {"message": FAILED, "code": "EXECUTION_ERROR"}}

    async def _send(self, socket: WebSocket, answer: dict[str, Any]) -> None:
        async with asyncio.timeout(self.service.sessions.timeout):  # who does not read does not hold a session for ever
            await socket.send_text(json.dumps(answer))


class _Seat:
    """The session of one connection, from its first reset on."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._session: str | None = None

    @property
    def session(self) -> str:
        """Its id; raises `RefusedError` where there is none."""
        if self._session is None:
            raise RefusedError("EXECUTION_ERROR", "nothing is being asked yet; reset first")
        return self._session

    async def reset(self, data: dict[str, Any]) -> dict[str, Any]:
        """Ask something, in a new session where there is none (any more)."""
        if self._session is not None and self._session in self._service.sessions:
            return await self._service.reset(self._session, data)
        self._session, answer = await self._service.begin(data)
        return answer

    def leave(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            self._service.sessions.close(self._session)


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedError("INVALID_JSON", f"a message is JSON: {error}") from error
    if not isinstance(found, dict):
        raise RefusedError("INVALID_JSON", "a message is a JSON object")
    return found


def _id(session: Any) -> str:
    if not isinstance(session, str):
        raise RefusedError("VALIDATION_ERROR", "name a session: the string that the first reset returned")
    return session


async def _sweep(service: Service) -> None:
    """Let go of the sessions that are over, also while nobody asks for anything."""
    while True:
        await asyncio.sleep(service.sessions.timeout / SWEEPS)
        service.sessions.expire()
