"""Small conversations, played with the cache kept and written down, for tests."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssl4rl_agents.policies.conversations import Conversations, side_by_side
from ssl4rl_agents.policies.nano import build_nano
from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.policies.prompts import VLMInputs
from ssl4rl_agents.policies.vlm import VLMPolicy
from tests.agents import conftest, test_text_models, zoo

GROUP = 2
FIRST = ("Angle?", "By how many degrees was this picture turned: 0, 90, 180 or 270?", "90 or 180, which one?")
NEXT = ("Angle 12?", "No. By how many degrees was it turned?", "Which one is it?", "90?", "Angle?", "No: 0, 90 or 180?")
LEAVE = ([0, 1, 3, 4, 5], [0, 2, 4])
"""Of those that replied, who goes on after each turn."""
TWINS = ("paligemma", "paligemma2", "idefics3", "qwen2")
"""Families that hold none, or hold them as another one does."""
TALKERS = ("nano", "plain", *(family for family in zoo.FAMILIES if family not in TWINS), "mistral", "gpt2")
"""All that hold conversations, with and without pictures, templates, windows, M-RoPE. "plain": a LLaVA without template."""


def talker(kind: str, *, ends: int = 60, **settings: Any) -> VLMPolicy:
    """A policy that says something, whose replies end after a few tokens or are cut off."""
    if kind in test_text_models.CONFIGS:
        policy = test_text_models.build(kind, gradient_checkpointing=settings.get("gradient_checkpointing", False))
        model, processor = policy.model, policy.processor
    else:
        build = {"nano": build_nano, "plain": conftest.build_llava}
        model, processor = build[kind](conftest.CORPUS) if kind in build else zoo.build(kind, conftest.CORPUS)
    size = len(processor.tokenizer)
    model.generation_config.eos_token_id = [processor.tokenizer.eos_token_id, *range(size - ends, size)]
    policy = VLMPolicy(model, processor, **{"max_new_tokens": 5, "temperature": 0.8, **settings}).eval()
    with torch.no_grad():
        policy.value_head.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
        policy.value_head.bias.fill_(0.2)
    return policy


def shown(policy: VLMPolicy, prompts: tuple[str, ...], seed: int) -> dict[str, Any]:
    """Prompts, and a picture each for those that see."""
    if policy.encoder.image_token_id is None:
        return {"prompt": prompts}
    pictures = np.random.default_rng(seed).integers(0, 256, (len(prompts), 36, 36, 3), dtype=np.uint8)
    return {"image": pictures, "prompt": prompts}


@dataclass
class Played:
    """What was played, turn by turn; `next` as `encode_next` gives it."""

    inputs: Conversations
    first: VLMInputs
    rows: list[Tensor] = field(default_factory=list)
    samples: list[Samples] = field(default_factory=list)
    next: list[VLMInputs] = field(default_factory=list)

    @property
    def beside(self) -> Samples:
        return side_by_side(list(zip(self.rows, self.samples, strict=True)), len(self.inputs) * GROUP)

    def joined(self, policy: VLMPolicy, turn: int) -> VLMInputs:
        """What the rows of a turn read, as one prompt each."""
        alive = self.rows[turn]
        parts, replies = [self.first.rows(alive // GROUP)], []
        for earlier in range(turn):
            place = torch.searchsorted(self.rows[earlier], alive)
            replies.append((self.samples[earlier].tokens[place], self.samples[earlier].mask[place]))
            parts.append(self.next[earlier].rows(torch.searchsorted(self.rows[earlier + 1], alive)))
        return policy.join(parts, replies)


def play(policy: VLMPolicy, leave: tuple[list[int], ...] = LEAVE, seed: int = 0, **how: Any) -> Played:
    """Play a conversation with three prompts in groups of two."""
    first = policy.encode(shown(policy, FIRST, 0))
    talk = policy.talk(first, GROUP)
    played = Played(talk.inputs, first)
    generator = torch.Generator().manual_seed(seed)
    for turn, stay in enumerate([*leave, None]):
        played.rows.append(talk.rows)
        played.samples.append(talk.reply(**{"generator": generator, **how}))
        if stay is not None:
            observations = shown(policy, tuple(NEXT[row] for row in stay), 1 + turn)
            played.next.append(policy.encode_next(observations))
            talk.hear(torch.tensor(stay), observations)
    return played


@functools.cache
def held(kind: str) -> tuple[VLMPolicy, Played]:
    """A policy and its conversation, to look at and leave as they are."""
    policy = talker(kind)
    return policy, play(policy)
