"""Small policies over small pictures: the built-in nano, and a random LLaVA that needs no network."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

import ssl4rl_envs
from ssl4rl_agents.policies.nano import build_nano, build_tokenizer
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_envs import Task, make_task
from tests.agents import zoo
from tests.kinds import KINDS as KINDS_OF_ENVIRONMENT

torch.set_num_threads(1)

KINDS = ("nano", "llava")
CORPUS = ["By how many degrees was this picture turned? Reply like this: <answer>90</answer>", "Angle 12?"]
UNEQUAL = ("Angle?", "By how many degrees was this picture turned: 0, 90, 180 or 270?", "90 or 180, which one?")
EQUAL = ("Angle 14?", "Angle 17?", "Angle 31?")  # as many tokens in every tokenizer


@functools.cache
def rotation() -> Task:
    """Digits at the smallest size that every agent takes."""
    return make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)


def build_llava(corpus: list[str], seed: int = 0) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """A LLaVA with random weights whose pictures stand before its text."""
    tokenizer = build_tokenizer(corpus)
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    sides = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = CLIPVisionConfig(image_size=32, patch_size=8, intermediate_size=96, **sides)
    text = LlamaConfig(
        vocab_size=len(tokenizer), intermediate_size=96, num_key_value_heads=2, initializer_range=0.125, **special, **sides
    )
    config = LlavaConfig(
        vision_config=vision.to_dict(),
        text_config=text.to_dict(),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        **special,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    images = CLIPImageProcessorPil(size={"height": 32, "width": 32}, do_center_crop=False, default_to_square=True)
    processor = LlavaProcessor(
        images,
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        image_token="<image>",
        num_additional_image_tokens=1,
    )
    return model, processor


def build(kind: str, *, ends: int = 1, **settings: Any) -> VLMPolicy:
    """A policy with a value head that says something; with `ends` > 1 many tokens end an answer, so lengths are mixed."""
    model, processor = {"nano": build_nano, "llava": build_llava}[kind](CORPUS)
    end = processor.tokenizer.eos_token_id
    model.generation_config.eos_token_id = [end, *range(len(processor.tokenizer) - ends + 1, len(processor.tokenizer))]
    policy = VLMPolicy(model, processor, **{"max_new_tokens": 8, **settings}).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        policy.value_head.weight.normal_(0, 0.3, generator=generator)
        policy.value_head.bias.fill_(0.2)
    return policy


def questions(prompts: tuple[str, ...]) -> dict[str, Any]:
    """Pictures (n, 36, 36, 3) with these prompts."""
    pictures = np.random.default_rng(0).integers(0, 256, (len(prompts), 36, 36, 3), dtype=np.uint8)
    return {"image": pictures, "prompt": prompts}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Loop `kind` over the models, `prompts` over batches with and without padding, `env_id` over what is registered.

    `kind_id` loops over one environment of each kind, `family` over the zoo, `picture_family` over its members that take
    pictures.
    """
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", KINDS)
    if "prompts" in metafunc.fixturenames:
        metafunc.parametrize("prompts", [EQUAL, UNEQUAL], ids=["equal", "padded"])
    if "env_id" in metafunc.fixturenames:
        metafunc.parametrize("env_id", ssl4rl_envs.env_ids())
    if "kind_id" in metafunc.fixturenames:
        metafunc.parametrize("kind_id", KINDS_OF_ENVIRONMENT)
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", zoo.FAMILIES)
    if "picture_family" in metafunc.fixturenames:
        metafunc.parametrize("picture_family", zoo.PICTURE_FAMILIES)


@pytest.fixture
def task() -> Task:
    """The Rotation task over digits."""
    return rotation()


@pytest.fixture
def make_policy() -> Callable[..., VLMPolicy]:
    """The function (kind, ends=1, **settings of VLMPolicy) -> a fresh policy."""
    return build


@pytest.fixture
def make_questions() -> Callable[[tuple[str, ...]], dict[str, Any]]:
    """The function prompts -> observations."""
    return questions


@pytest.fixture
def padded() -> dict[str, Any]:
    """Observations whose prompts differ in length."""
    return questions(UNEQUAL)
