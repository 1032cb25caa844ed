r"""Answers that come as tool calls: the JSON of a call's arguments, read to what stands between the tags of other replies.

In the "tool" style the prompt says nothing on the form of answers, because the schema of the tool does
(`ssl4rl_envs.tool_schema`). A reply is the arguments of one call, or the call itself as OpenAI writes it, and nothing else:

    {"answer": "90"}
    {"name": "answer", "arguments": {"answer": ["2", "1", "4", "3"]}}

The arguments may be an object or, as OpenAI sends them, its JSON in a string; an answer of several values a list, or the
words that the task itself writes. A name that stands twice, a further argument or a value that is neither text nor number is
no answer. The lenient grammar reads calls besides that stand between `<tool_call>` tags or in a fenced block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

TOOL = "answer"
"""Name of the tool, and of its one argument."""

_CALLS = re.compile(r"<tool_call>(?P<tagged>.*?)</tool_call>|```(?:json)?\s*\n\s*(?P<fenced>\{.*?)```", re.DOTALL)

_TAG = re.compile(r"</?\w")


class _NotOneError(ValueError):
    """What was read is not one call with one answer."""


def arguments(body: str) -> str:
    """Write the text of an answer as the arguments of a call."""
    return json.dumps({TOOL: body})


def body_of(text: str) -> str | None:
    """Return the text of the answer in the arguments of a call, or in a whole one; None where it is not one answer."""
    try:
        return _body(_answer(_loaded(text)))
    except (_NotOneError, RecursionError):
        return None


def as_blocks(text: str) -> str:
    """Return a reply with answer blocks in the place of its calls, for the lenient grammar.

    Calls stand between `<tool_call>` tags and in fenced blocks, or are all of the reply. What is none, and looks like one,
    becomes a block without an end, so that nothing is read.
    """
    whole = body_of(text)
    if whole is not None:
        return _block(whole)
    return _CALLS.sub(lambda match: _block(body_of(match["tagged"] or match["fenced"] or "")), text)


def written(reply: Mapping[str, Any]) -> str:
    """Return a call as a reply is written: its arguments, a call of OpenAI's, or a message that makes one call.

    A message that makes none is the text that it says.

    Raises:
        TypeError: there is something in it that JSON has not.
    """
    calls = reply.get("tool_calls")
    try:
        if isinstance(calls, list) and len(calls) == 1 and isinstance(calls[0], Mapping):
            return json.dumps(calls[0].get("function", calls[0]))
        if calls:
            return json.dumps(calls)  # several are no answer
        if "content" in reply:
            return str(reply["content"] or "")
        return json.dumps(reply.get("function", dict(reply)))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"a call is what JSON can say: {error}") from error


def _block(body: str | None) -> str:
    return "<answer>" if body is None or _TAG.search(body) else f"<answer>{body}</answer>"


def _loaded(text: str) -> Any:
    try:
        return json.loads(text.strip(), object_pairs_hook=_once, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise _NotOneError from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object each of whose names stands once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _NotOneError
    return found


def _answer(call: Any) -> Any:
    """Return the one argument of a call, or of its arguments alone."""
    if not isinstance(call, dict):
        raise _NotOneError
    if set(call) == {"name", "arguments"}:
        if call["name"] != TOOL:
            raise _NotOneError
        call = call["arguments"]
        call = _loaded(call) if isinstance(call, str) else call
    if not isinstance(call, dict) or set(call) != {TOOL}:
        raise _NotOneError
    return call[TOOL]


def _body(answer: Any) -> str:
    """Return an answer as text: as it is, or its values with commas between them."""
    if isinstance(answer, bool):
        return "true" if answer else "false"
    if isinstance(answer, str):
        return answer
    if not isinstance(answer, list) or not answer:
        raise _NotOneError
    values = [_body(value) for value in answer if not isinstance(value, list)]
    if len(values) < len(answer) or any("," in value for value in values):
        raise _NotOneError
    return ", ".join(values)
