"""What a server says of itself: names, schemas of its messages, and the OpenAPI document over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ssl4rl_envs.bridges.tools import tool_schema
from ssl4rl_envs.serving.episodes import Episodes
from ssl4rl_envs.speech import MAX_REPLY

Schema = dict[str, Any]

_TEXT, _WHOLE, _TRUTH = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}


@dataclass(frozen=True)
class Description:
    """What is played on a server.

    Args:
        name: the environment's id.
        episodes: what asks and scores.
        version: of this package.
    """

    name: str
    episodes: Episodes
    version: str

    @property
    def metadata(self) -> Schema:
        """For people and registries: OpenEnv's fields, and how questions are asked and answered here."""
        task = self.episodes.task
        return {
            "name": self.name,
            "description": f"{type(task).__name__}: {type(task).asks}; a self-supervised task with a verifiable reward",
            "version": self.version,
            "split": self.episodes.split,
            "prompt_style": self.episodes.prompt_style if task.has_text else None,
            "grammar": self.episodes.grammar if task.has_text else None,
            "horizon": task.horizon,
            "action_space": str(task.action_space),
        } | ({"tool": tool_schema(task)} if task.has_text and self.episodes.prompt_style == "tool" else {})

    @property
    def schema(self) -> Schema:
        """JSON schemas of what is sent and shown."""
        return {"action": self._action(), "observation": self._observation(), "state": _state()}

    @property
    def openapi(self) -> Schema:
        """The OpenAPI document of the HTTP endpoints."""
        session = {"session": _TEXT}
        reset = _object(
            {**session, "seed": _WHOLE, "index": _WHOLE, "size": {"type": "integer", "minimum": 1}, "episode_id": _TEXT}
        )
        result = _object(
            {**session, "observation": self._observation(), "reward": {"type": ["number", "null"]}, "done": _TRUTH}
        )
        step = _object({**session, "action": self._action()}, ["session", "action"])
        query = {"name": "session", "in": "query", "required": True, "schema": _TEXT}
        return {
            "openapi": "3.1.0",
            "info": {"title": self.name, "version": self.version, "description": self.metadata["description"]},
            "paths": {
                "/reset": {"post": _operation("Ask a question; without a session it begins one", result, reset)},
                "/step": {"post": _operation("Answer what is asked", result, step)},
                "/state": {"get": {**_operation("Where a session stands", _state()), "parameters": [query]}},
                "/close": {
                    "post": _operation("Let go of a session", _object({"closed": _TRUTH}), _object(session, ["session"]))
                },
                "/health": {"get": _operation("Whether the server is there", _object({"status": _TEXT}))},
                "/metadata": {"get": _operation("What is played", _object({"name": _TEXT, "description": _TEXT}))},
                "/schema": {"get": _operation("Schemas of messages", {"type": "object"})},
            },
        }

    def _action(self) -> Schema:
        kind = ["string", "object"] if self.episodes.prompt_style == "tool" else "string"
        reply = {"type": kind, "maxLength": MAX_REPLY, "description": "The whole reply of a model, or its tool call."}
        action = {"description": f"An action of {self.episodes.task.action_space}."}
        words = {"reply": reply, "replies": {"type": "array", "items": reply}} if self.episodes.task.has_text else {}
        return _object({**words, "action": action, "actions": {"type": "array", "items": action}})

    def _observation(self) -> Schema:
        picture = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}
        fields: dict[str, Any] = {"images": {"type": "array", "items": picture, "description": "In the order of showing."}}
        if self.episodes.task.has_text:
            labels = {"labels": {"type": "array", "items": _TEXT}, "slots": _WHOLE, "distinct": _TRUTH}
            fields |= {"prompt": _TEXT, "choices": {"type": ["object", "null"], "properties": labels}}
        if self.episodes.arrays:
            fields["arrays"] = {"type": "object", "additionalProperties": {"type": "array"}}
        facts = _object(
            {"seed": _WHOLE, "index": _WHOLE, "turn": _WHOLE, "success": _TRUTH, "valid": _TRUTH, "parsed": {}, "truth": {}}
        )
        return _object({**fields, "batch": {"type": "array", "items": {"type": "object"}}, "metadata": facts})


def _state() -> Schema:
    count = {"type": ["integer", "null"]}
    called = {"type": ["string", "null"]}
    return _object(
        {"episode_id": called, "step_count": _WHOLE, "size": count, "seed": _WHOLE, "index": _WHOLE, "done": _TRUTH}
    )


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _operation(summary: str, result: Schema, body: Schema | None = None) -> Schema:
    told = {"200": {"description": "Done", "content": {"application/json": {"schema": result}}}}
    asked = {"requestBody": {"content": {"application/json": {"schema": body}}}} if body else {}
    return {"summary": summary, "responses": told, **asked}
