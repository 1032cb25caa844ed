"""The tool by which a question of the prompt style "tool" is answered, as OpenAI's clients describe it."""

from __future__ import annotations

from typing import Any

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.briefly import briefly
from ssl4rl_envs.task import Task
from ssl4rl_envs.tool_calls import TOOL


def tool_schema(task: Task) -> dict[str, Any]:
    """Return the function that answers the questions of a task, as `tools=[...]` of a chat endpoint or template takes it.

    It has one argument, `answer`: one of the labels, or a list of them where there are several values. Of a mixture it is
    what one of the tasks inside takes.

    Args:
        task: e.g. `make_task("SSL4RL/Rotation-v0")`, or `env.unwrapped.task`.

    Raises:
        TypeError: it is no task, but a name of one, say.
        ValueError: the task has no text answers.
    """
    if not isinstance(task, Task):
        raise TypeError(f"the tool is described by a task, e.g. make_task('Rotation'), got {briefly(task)}")
    if not task.has_text:
        raise ValueError(f"{type(task).__name__} has no text answers, so there is nothing for a tool to take")
    answers: list[dict[str, Any]] = []
    for each in task.answer_formats:
        schema = _answer(each)
        if schema not in answers:
            answers.append(schema)
    return {
        "type": "function",
        "function": {
            "name": TOOL,
            "description": "Give the answer to the question.",
            "parameters": {
                "type": "object",
                "properties": {TOOL: answers[0] if len(answers) == 1 else {"anyOf": answers}},
                "required": [TOOL],
                "additionalProperties": False,
            },
        },
    }


def _answer(written: AnswerFormat) -> dict[str, Any]:
    label = {"type": "string", "enum": list(written.labels)}
    if written.slots == 1:
        return label
    several = {"type": "array", "items": label, "minItems": written.slots, "maxItems": written.slots}
    return {**several, "uniqueItems": True} if written.distinct else several
