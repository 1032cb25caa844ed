"""Messages for chat models are what the processors and tokenizers of transformers take."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from ssl4rl_envs import make_task, to_messages, tool_schema
from tests.agents import zoo

SMALL = {"source": "digits", "image_size": 36}
HOW = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}


@pytest.mark.parametrize("named", ["llava", "qwen2_vl", "gemma3", "smolvlm"])
def test_processors_take_messages_with_pictures(named):
    _, processor = zoo.built(named)
    envs = gym.make_vec("SSL4RL/FlipPrediction-v0", num_envs=2, interface="text", **SMALL)  # two pictures a question
    observation, _ = envs.reset(seed=0)
    batch = processor.apply_chat_template(to_messages(observation, "hf"), padding=True, **HOW)
    assert len(batch["input_ids"]) == 2
    for row, messages in enumerate(to_messages(observation, "hf")):
        one = processor.apply_chat_template(messages, **HOW)
        pictures = [observation[name][row] for name in sorted(set(observation) - {"prompt"})]
        text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        expected = processor(text=[text], images=[pictures], return_tensors="pt")
        assert np.array_equal(one["pixel_values"], expected["pixel_values"])
        assert observation["prompt"][row] in text


def test_tokenizers_take_messages_without_pictures_and_the_schema_of_a_tool():
    _, processor = zoo.built("llama")
    tokenizer = getattr(processor, "tokenizer", processor)
    observation, _ = gym.make("SSL4RL/EdgePrediction-v0", interface="text", prompt_style="tool").reset(seed=0)
    template = "{{ tools | tojson }}{% for message in messages %}{{ message['content'] }}{% endfor %}"
    tools = [tool_schema(make_task("SSL4RL/EdgePrediction-v0"))]
    said = tokenizer.apply_chat_template(to_messages(observation, "hf"), tools=tools, chat_template=template, tokenize=False)
    assert said.endswith(observation["prompt"])
    assert '"enum": ["no", "yes"]' in said
