"""What a text environment shows, as messages of chat models."""

from __future__ import annotations

import base64
import io

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from ssl4rl_envs import make_task, to_messages, to_networkx, to_pyg, tool_schema

SMALL = {"source": "digits", "image_size": 36}


def shown(message: dict, style: str) -> tuple[list[np.ndarray], str]:
    """The pictures and the words of a message."""
    content = message["content"]
    if isinstance(content, str):
        return [], content
    *pictures, words = content
    kind = {"hf": "image", "openai": "image_url"}[style]
    assert [part["type"] for part in content] == [kind] * len(pictures) + ["text"]
    if style == "hf":
        return [np.asarray(part["image"]) for part in pictures], words["text"]
    urls = [part["image_url"]["url"] for part in pictures]
    assert all(url.startswith("data:image/png;base64,") for url in urls)
    files = [io.BytesIO(base64.b64decode(url.partition(",")[2], validate=True)) for url in urls]
    return [np.asarray(Image.open(file)) for file in files], words["text"]


@pytest.mark.parametrize("chat", ["openai", "hf"])
def test_messages_show_the_pictures_in_order_and_then_the_prompt(text_id, build, chat):
    env = gym.make(text_id, interface="text")
    observation, _ = env.reset(seed=3)
    (message,) = to_messages(observation, chat)
    assert message["role"] == "user"
    pictures, words = shown(message, chat)
    assert words == observation["prompt"]
    assert len(pictures) == len(build(text_id).images)
    assert all(np.array_equal(found, observation[name]) for found, name in zip(pictures, build(text_id).images, strict=True))


@pytest.mark.parametrize("chat", ["openai", "hf"])
@pytest.mark.parametrize("mode", ["vector_entry_point", "sync"])
def test_a_batch_gives_a_list_of_messages_for_each_environment(text_kind, chat, mode):
    envs = gym.make_vec(text_kind, num_envs=3, vectorization_mode=mode, interface="text")
    observation, _ = envs.reset(seed=3)
    for row, messages in enumerate(to_messages(observation, chat)):
        one = {name: values[row] for name, values in observation.items()}
        assert np.array(shown(messages[0], chat)[0]).tolist() == np.array(shown(to_messages(one, chat)[0], chat)[0]).tolist()
        assert shown(messages[0], chat)[1] == one["prompt"]
    assert row == 2


def test_pictures_may_be_tensors():
    torch = pytest.importorskip("torch")
    observation, _ = gym.make_vec("SSL4RL/Rotation-v0", num_envs=2, interface="text", **SMALL).reset(seed=0)
    tensors = {**observation, "image": torch.as_tensor(observation["image"])}
    assert to_messages(tensors) == to_messages(observation)


def test_wrong_styles_and_arrays_are_errors():
    observation, _ = gym.make("SSL4RL/Rotation-v0", interface="text", **SMALL).reset(seed=0)
    with pytest.raises(ValueError, match="style must be one of openai, hf, got 'anthropic'"):
        to_messages(observation, "anthropic")
    arrays, _ = gym.make("SSL4RL/Rotation-v0", **SMALL).reset(seed=0)
    with pytest.raises(ValueError, match=r"this one has image and no prompt.*interface='text'"):
        to_messages(arrays)


@pytest.mark.parametrize("shown", [None, "a question", [{"prompt": "a question"}]])
@pytest.mark.parametrize("bridge", [to_messages, to_pyg, to_networkx])
def test_what_is_no_observation(bridge, shown):
    with pytest.raises(TypeError, match=r"an observation is the dict that reset\(\) and step\(\) return first, got"):
        bridge(shown)


@pytest.mark.parametrize("task", [None, "Rotation", type(make_task("SSL4RL/Rotation-v0"))])
def test_tools_are_of_tasks(task):
    with pytest.raises(TypeError, match=r"the tool is described by a task, e\.g\. make_task\('Rotation'\)"):
        tool_schema(task)
