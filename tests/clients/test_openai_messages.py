"""Messages and tool schemas are what OpenAI's client says that endpoints take."""

from __future__ import annotations

import gymnasium as gym
import pytest

from ssl4rl_envs import env_ids, make_task, score, to_messages, tool_schema
from tests.envs.conftest import task_of

pytest.importorskip("openai")

import pydantic
from openai.types.chat import (
    ChatCompletionFunctionToolParam,
    ChatCompletionMessage,
    ChatCompletionUserMessageParam,
)

WORDED = [env_id for env_id in env_ids() if task_of(env_id).has_text]


def checked(kind: type, value: object) -> object:
    return pydantic.TypeAdapter(kind).validate_python(value, strict=True, extra="forbid")


@pytest.mark.parametrize("name", WORDED)
@pytest.mark.parametrize("style", ["direct", "tool"])
def test_messages_are_of_the_clients_type(name, style):
    observation, _ = gym.make(name, interface="text", prompt_style=style).reset(seed=0)
    for message in to_messages(observation):
        said = checked(ChatCompletionUserMessageParam, message)
        parts = [] if isinstance(said["content"], str) else list(said["content"])
        assert len([part for part in parts if part["type"] == "image_url"]) == len(task_of(name).images)


@pytest.mark.parametrize("name", WORDED)
def test_schemas_are_of_the_clients_type(name):
    checked(ChatCompletionFunctionToolParam, tool_schema(task_of(name)))


def test_a_call_of_the_client_is_scored():
    task = make_task("SSL4RL/Rotation-v0")
    name = tool_schema(task)["function"]["name"]
    (truth,) = (scored["truth"] for scored in score("SSL4RL/Rotation-v0", "", index=3))
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": f'{{"answer": "{truth}"}}'}}
    message = ChatCompletionMessage.model_validate({"role": "assistant", "content": None, "tool_calls": [call]})
    how = {"index": 3, "prompt_style": "tool"}
    for reply in (message.model_dump(), message.tool_calls[0].model_dump(), message.tool_calls[0].function.arguments):
        assert score("SSL4RL/Rotation-v0", reply, **how)[0]["reward"] == 1
