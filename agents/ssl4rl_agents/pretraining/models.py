"""The models that are pretrained: nano with the words of all it will be asked, or an assembled one, as a whole or in part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from ssl4rl_agents.named import started
from ssl4rl_agents.policies.assemble import build_assembled
from ssl4rl_agents.policies.build import load_policy
from ssl4rl_agents.policies.freezing import parts_of
from ssl4rl_agents.policies.language import build_language, corpus_of, wrap_model
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.pretraining.lessons import Lessons
from ssl4rl_agents.pretraining.settings import ASSEMBLED, NANO, Learns, PretrainConfig
from ssl4rl_envs import Task, hash_seed

EXAMPLES = 512
"""Rows of every lesson that a fresh tokenizer is trained on."""

LONGEST, TAUGHT = 64, 512
"""Most tokens of a reply of a model that was pretrained; and of what it is taught: captions may have rare words and other
scripts, of which a small tokenizer makes a token a byte."""

LEFT: dict[Learns, tuple[str, ...]] = {"connector": ("vision", "language"), "language": ("vision",), "all": ()}
"""What is left as it is of a model that is pretrained already, by what learns of it."""

RATE = "rate"
"""In a group of the optimizer: the share of the step size that its weights take."""


def policy_settings(settings: PretrainConfig) -> PolicyConfig:
    """Return the settings of the network, as a run's config.json has them."""
    common: dict[str, Any] = {"max_new_tokens": LONGEST, "precision": settings.precision}
    if settings.start is not None:
        config = started(PolicyConfig(start=settings.start, **common))
        return config if config.is_nano else replace(config, freeze=LEFT[settings.learns])
    if settings.model != NANO:
        model = settings.model if settings.model == ASSEMBLED else str(Path(settings.model).resolve())
        return PolicyConfig(model=model, freeze=LEFT[settings.learns], **common)
    return PolicyConfig(
        model=NANO,
        nano_hidden=settings.hidden,
        nano_layers=settings.layers,
        nano_image_size=settings.image_size,
        nano_vocabulary=settings.vocabulary,
        **common,
    )


def build_model(settings: PretrainConfig, task: Task, texts: list[str], device: torch.device) -> VLMPolicy:
    """Build the model that learns, of which only what is to learn has gradients.

    Args:
        settings: of the pretraining.
        task: what is asked.
        texts: with the words that a fresh tokenizer is to know.
        device: where it goes.

    Raises:
        ImportError: the packages with the weights of an assembled model are missing; the message says how to get them.
        OSError: there is no such model.
        ValueError: the model has no connector, or not so many layers.
    """
    config = replace(policy_settings(settings), max_new_tokens=TAUGHT)
    if config.start is not None:
        return cast(VLMPolicy, load_policy(Path(config.start), config, device))
    if settings.model != ASSEMBLED:
        return build_language(config, task, settings.seed, device, "direct", texts)
    seed = hash_seed(settings.seed, "weights")
    model, processor = build_assembled(settings.image_size, seed, settings.tower, settings.language_layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return wrap_model(model, processor, config, device)


def learning_groups(policy: VLMPolicy, settings: PretrainConfig) -> list[dict[str, Any]]:
    """Return what learns, as groups of an optimizer, each with its share of the step size as `RATE`.

    All of nano takes the whole; of a model that is pretrained already, the connector does.
    """
    learning = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    if policy_settings(settings).is_nano:
        return [{"params": learning, RATE: 1.0}]
    fresh = {id(parameter) for parameter in [*parts_of(policy.model)["connector"], *policy.value_head.parameters()]}
    groups = (
        ([parameter for parameter in learning if id(parameter) in fresh], 1.0),
        ([parameter for parameter in learning if id(parameter) not in fresh], settings.pretrained_rate),
    )
    return [{"params": parameters, RATE: rate} for parameters, rate in groups if parameters]


def words_of(lessons: list[Lessons], tasks: list[Task], seed: int) -> list[str]:
    """Return texts with the words of all lessons and tasks: what they ask, and what may be replied."""
    rows = [lesson.rows(0, EXAMPLES) for lesson in lessons]
    return [text for shown in rows for text in (*shown.observations["prompt"], *shown.replies)] + corpus_of(tasks, seed)
