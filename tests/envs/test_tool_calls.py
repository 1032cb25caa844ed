"""Answers that come as tool calls: what the schema asks for is read, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from ssl4rl_envs import Stream, make_task, rows, score, tool_schema
from ssl4rl_envs.answers import extract
from ssl4rl_envs.tool_calls import body_of, written

SMALL: dict[str, Any] = {"source": "digits", "image_size": 36}

ONE_ANSWER = {
    '{"answer": "90"}': "90",
    ' {"answer":"top-left"}\n': "top-left",
    '{"answer": 90}': "90",
    '{"answer": true}': "true",
    '{"answer": "2, 1, 4, 3"}': "2, 1, 4, 3",
    '{"answer": ["2", "1", "4", "3"]}': "2, 1, 4, 3",
    '{"answer": [2, 1]}': "2, 1",
    '{"name": "answer", "arguments": {"answer": "90"}}': "90",
    '{"arguments": "{\\"answer\\": \\"90\\"}", "name": "answer"}': "90",
}
NO_ANSWER = [
    "",
    "90",
    '"90"',
    "[]",
    "{}",
    "null",
    '{"answer": null}',
    '{"answer": []}',
    '{"answer": {}}',
    '{"answer": {"answer": "90"}}',
    '{"answer": [["90"]]}',
    '{"answer": ["2, 1", "4"]}',
    '{"answer": "90", "answer": "90"}',
    '{"answer": "0", "answer": "90"}',
    '{"answer": "90", "why": "it lies"}',
    '{"Answer": "90"}',
    '{"angle": "90"}',
    '{"answer": "90"} {"answer": "90"}',
    '[{"answer": "90"}]',
    'It is {"answer": "90"}',
    '{"answer": "90"',
    "{'answer': '90'}",
    '{"name": "reply", "arguments": {"answer": "90"}}',
    '{"name": "answer", "arguments": {"answer": "90"}, "id": 1}',
    '{"name": "answer", "arguments": "90"}',
    '{"name": "answer"}',
    "<answer>90</answer>",
    "[" * 10_000,
    '{"answer": ' * 5_000,
    '{"answer": ' + "9" * 10_000 + "}}",
]


@pytest.mark.parametrize("text", ONE_ANSWER)
def test_the_arguments_of_one_call_are_read(text):
    assert extract(text, "tool") == body_of(text) == ONE_ANSWER[text]


@pytest.mark.parametrize("text", NO_ANSWER)
def test_what_is_not_one_call_is_no_answer(text):
    assert extract(text, "tool") is None


LENIENT = {
    '{"answer": "90 degrees counterclockwise."}': 90,
    '<tool_call>\n{"name": "answer", "arguments": {"answer": "90"}}\n</tool_call>': 90,
    'It lies.</think> I call:\n<tool_call>{"answer": "**90**"}</tool_call>': 90,
    '```json\n{"answer": "90"}\n```': 90,
    '<tool_call>{"answer": "90"}</tool_call> <tool_call>{"answer": "90"}</tool_call>': 90,
    "<answer>90</answer>": 90,
    '<tool_call>{"answer": "90"}</tool_call> <tool_call>{"answer": "0"}</tool_call>': None,
    '<tool_call>{"answer": "90"}</tool_call> <tool_call>{"answer": 3</tool_call>': None,
    '<tool_call>{"answer": "90"}</tool_call> <answer>0</answer>': None,
    '<tool_call>{"answer": "90"}</tool_call> <answer>90</answer>': 90,
    '<think><tool_call>{"answer": "90"}</tool_call>': None,
    '[THINK]<tool_call>{"answer": "90"}</tool_call>[/THINK] <tool_call>{"answer": "0"}</tool_call>': 0,
    'It is not <tool_call>{"answer": "90"}</tool_call>': None,
    '<tool_call>{"answer": "90"}</tool_call> Wait, it is 180.': None,
    '{"answer": "90</answer><answer>90"}': None,
    '```json\n{"angle": "90"}\n```': None,
    '<think>{"answer": "90"}</think>': None,
    '<think><tool_call>{"answer": "90"}</tool_call></think> <answer>0</answer>': 0,
    '{"answer": "90 or 180"}': None,
    '{"answer": "not 90"}': None,
    '{"answer": "0", "answer": "90"}': None,
}


@pytest.mark.parametrize("text", LENIENT)
def test_calls_of_models_that_were_not_trained_for_ours_are_read_leniently(text):
    task = make_task("SSL4RL/Rotation-v0", **SMALL)
    answer = task.parse(text, "tool", "lenient")
    assert (None if answer is None else task.format(answer)) == (None if LENIENT[text] is None else str(LENIENT[text]))
    assert task.parse(text, "direct", "strict") is None or "<answer>" in text


@pytest.mark.parametrize("text", [text for text in LENIENT if text not in ("<answer>90</answer>",)])
def test_strict_calls_stand_alone(text):
    assert make_task("SSL4RL/Rotation-v0", **SMALL).parse(text, "tool", "strict") is None


# The schema


def leaves(schema: dict[str, Any]) -> list[dict[str, Any]]:
    answer = schema["function"]["parameters"]["properties"]["answer"]
    return answer.get("anyOf", [answer])


def test_schemas_take_the_answers_of_a_task_and_calls_are_read_to_them(text_id, build):
    jsonschema = pytest.importorskip("jsonschema")
    task = build(text_id)
    schema = tool_schema(task)
    assert json.loads(json.dumps(schema)) == schema
    parameters = schema["function"]["parameters"]
    jsonschema.Draft202012Validator.check_schema(parameters)
    stream = Stream.span("train", 0, 0, 12)
    batch = task.sample(stream)
    answers = task.random_answers(batch, stream.branch("answers"))
    for row, words in enumerate(task.format_all(answers, batch)):
        several = any(leaf["type"] == "array" and leaf["minItems"] == len(words.split(", ")) for leaf in leaves(schema))
        call = {"answer": words.split(", ") if several and ", " in words else words}
        jsonschema.validate(call, parameters)
        read, answered = task.parse_all([json.dumps(call)], batch.rows(slice(row, row + 1)), "tool")
        assert answered.all()
        assert np.array_equal(read[0], answers[row]) or task.parts  # of a mixture what a part has no use for is 0


def test_schemas_name_the_labels():
    assert tool_schema(make_task("SSL4RL/Rotation-v0", **SMALL)) == {
        "type": "function",
        "function": {
            "name": "answer",
            "description": "Give the answer to the question.",
            "parameters": {
                "type": "object",
                "properties": {"answer": {"type": "string", "enum": ["0", "90", "180", "270"]}},
                "required": ["answer"],
                "additionalProperties": False,
            },
        },
    }
    (order,) = leaves(tool_schema(make_task("SSL4RL/PatchOrdering-v0")))
    assert order == {
        "type": "array",
        "items": {"type": "string", "enum": ["1", "2", "3", "4"]},
        "minItems": 4,
        "maxItems": 4,
        "uniqueItems": True,
    }
    with pytest.raises(ValueError, match="MaskedReconstruction has no text answers"):
        tool_schema(make_task("SSL4RL/MaskedReconstruction-v0", answer="pixels", patch_size=8))
    with pytest.raises(TypeError, match=r"described by a task, e.g. make_task\('Rotation'\), got 'Rotation'"):
        tool_schema("Rotation")


def test_prompts_of_calls_say_nothing_on_the_form_of_answers(text_id, build):
    task = build(text_id)
    batch = task.sample(Stream.span("train", 0, 0, 3))
    assert task.prompts(batch, "tool") == task.question(batch)


# Replies that are calls


def test_an_environment_takes_calls_as_words():
    env = gym.make("SSL4RL/Rotation-v0", interface="text", prompt_style="tool", **SMALL)
    env.reset(seed=0)
    with pytest.raises(TypeError, match=r"got dict: \{'answer': '90'\}; write a call as JSON, json.dumps\(call\)"):
        env.unwrapped.step({"answer": "90"})
    assert env.step(json.dumps({"answer": "90"}))[4]["parsed"] == "90"


def test_calls_are_scored_as_clients_give_them():
    (row,) = rows("SSL4RL/Rotation-v0", 1, prompt_style="tool", **SMALL)
    arguments = {"answer": row["answer"]}
    function = {"name": "answer", "arguments": json.dumps(arguments)}
    call = {"id": "call_1", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    good = [
        json.dumps(arguments),
        arguments,
        function,
        call,
        message,
        {"role": "assistant", "content": json.dumps(arguments)},
    ]
    bad = [{**message, "tool_calls": [call, call]}, {"role": "assistant", "content": None}, {"answer": None}, {}]
    scored = score("SSL4RL/Rotation-v0", [*good, *bad], index=0, prompt_style="tool", **SMALL)
    assert [one["reward"] for one in scored] == [1.0] * len(good) + [0.0] * len(bad)
    assert [one["valid"] for one in scored] == [True] * len(good) + [False] * len(bad)


def test_a_call_that_json_has_not_is_an_error():
    with pytest.raises(TypeError, match="not JSON serializable"):
        written({"answer": object()})
