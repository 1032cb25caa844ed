"""What is read of the responses of an OpenAI-compatible endpoint; pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ssl4rl_envs.tool_calls import written

LONGEST = 300
"""How much of what a server says is told, in characters."""


class BrokenReplyError(ValueError):
    """A response that says it went well and holds no reply; the message says what it lacks, and does not repeat the body."""


@dataclass(frozen=True)
class Reply:
    """What a model replied.

    Args:
        text: to the letter; of a tool call the call as JSON.
        finish_reason: why it ends; "length" where it was cut off.
        usage: "prompt_tokens" and "completion_tokens"; None where the server says neither, or what cannot be.
    """

    text: str
    finish_reason: str | None
    usage: dict[str, int] | None


def read_reply(body: bytes, *, tools: bool = False) -> Reply:
    """Read the body of a response with status 200.

    A model that refuses, or whose reply was cut off before its first word, has replied: with what it says of it, or nothing.
    A message without content for no reason is none.

    Args:
        body: as it came.
        tools: whether a tool was offered, so that a call is the reply.

    Raises:
        BrokenReplyError: there is no reply in it.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BrokenReplyError("the response is no JSON") from error
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list) or not choices:
        raise BrokenReplyError("the response has no choices")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise BrokenReplyError("the response's choice has no message")
    finish = choice.get("finish_reason")
    text = _called(message) if tools else None
    if text is None:
        text = _said(message.get("content"))
    refused = message.get("refusal")
    if text is None and (refused or finish in ("length", "content_filter")):
        text = refused if isinstance(refused, str) else ""
    if text is None:
        raise BrokenReplyError(f"the response's message has no content{_instead(message)}")
    return Reply(text, finish if isinstance(finish, str) else None, _usage(data.get("usage")))


def _instead(message: Mapping[str, Any]) -> str:
    """Return the end of a sentence that says what a message without content has."""
    if message.get("tool_calls"):
        return ", but calls of tools, which were not offered or cannot be read"
    return ", but reasoning alone" if message.get("reasoning_content") or message.get("reasoning") else ""


def _called(message: Mapping[str, Any]) -> str | None:
    """Return the tool call of a message as JSON, a list where there are several, None where there is none."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        return None
    return written(message) if calls else None


def _said(content: Any) -> str | None:
    """Return the text of a content: a str, or a list of parts, as some servers give it."""
    if isinstance(content, list):
        said = [
            part.get("text") for part in content if isinstance(part, dict) and part.get("type") in ("text", "output_text")
        ]
        return "".join(text for text in said if isinstance(text, str)) if said else None
    return content if isinstance(content, str) else None


def _usage(given: Any) -> dict[str, int] | None:
    if not isinstance(given, dict):
        return None
    counts: dict[str, Any] = {name: given.get(name) for name in ("prompt_tokens", "completion_tokens")}
    return counts if all(type(count) is int and count >= 0 for count in counts.values()) else None


def wait_of(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return for how many seconds a server asks to be left alone; None where it does not say, or nothing that can be read.

    `Retry-After` holds seconds or a date (RFC 9110, 10.2.3); OpenAI's and Azure's `retry-after-ms` is more precise.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return seconds if 0 <= seconds < float("inf") else None
    try:
        until = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def shortened(body: bytes | str) -> str:
    """Return the beginning of what a server says, in one line."""
    text = body if isinstance(body, str) else body.decode(errors="replace")
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
