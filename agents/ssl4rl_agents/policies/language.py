"""Build policies that read and write words: nano, or a model of transformers; fresh, or from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssl4rl_agents.policies.finite import require_finite
from ssl4rl_agents.policies.loading import ADAPTER_CONFIG, load_pretrained
from ssl4rl_agents.policies.nano import build_nano
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_envs import Stream, Task, hash_seed
from ssl4rl_envs.mixture import Parts
from ssl4rl_envs.task import Batch

Ask = Callable[[Task, Batch], Sequence[str]]
"""Puts questions of a task as a model reads them."""

EXAMPLES, ANSWERS = 8, 64
"""Prompts of a task that a fresh nano's tokenizer is trained on, and random valid answers."""


def build_language(
    config: PolicyConfig,
    task: Task,
    seed: int,
    device: torch.device,
    prompt_style: str,
    corpus: Sequence[str] | None = None,
) -> VLMPolicy:
    """Build a fresh nano or a pretrained model; see `build.build_policy`."""
    made, ask = _kind(config, prompt_style, task)
    if (Path(config.model) / ADAPTER_CONFIG).exists():
        raise ValueError(
            f"{config.model} holds adapters; go on with their run (ssl4rl train --resume), or merge them into their model"
        )
    if config.model == "nano":
        if corpus is None:  # a mixture shows what it asks; tasks side by side, for their words, each show theirs
            corpus = corpus_of(task.parts if type(task) is Parts else (task,), seed, prompt_style, ask=ask)
        sizes = (config.nano_hidden, config.nano_layers, config.nano_image_size, config.nano_vocabulary)
        model, processor = build_nano(corpus, hash_seed(seed, "weights"), *sizes)
    else:
        model, processor = load_pretrained(config.model, weights_dtype(config, device), config.attention)
        require_finite(model, config.model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hash_seed(seed, "weights"))
        return wrap_model(model, processor, config, device, prompt_style, made)


def _kind(
    config: PolicyConfig, prompt_style: str, task: Task | None, checkpoint: Path | None = None
) -> tuple[Callable[..., VLMPolicy], Ask | None]:
    """Return which kind of policy is built, fresh or from a checkpoint, and how it is asked where tasks do not ask it."""
    if config.graph_tokens == "none":
        return VLMPolicy, None
    from ssl4rl_agents.policies import hybrid  # here, since PyG takes seconds to import

    return hybrid.kind_of(config, prompt_style, task, checkpoint)


def corpus_of(
    tasks: Sequence[Task], seed: int, prompt_style: str = "direct", examples: int = EXAMPLES, ask: Ask | None = None
) -> list[str]:
    """Return what a tokenizer is trained on that is to know the words of several tasks: texts of each (`examples_of`).

    Args:
        tasks: which one model will be asked.
        seed: of the run, by which the first questions are drawn.
        prompt_style: how the questions are asked.
        examples: prompts of each task; more where it asks in many words.
        ask: how questions are put; as tasks do by default.
    """
    return [text for task in tasks for text in examples_of(task, seed, prompt_style, examples, ask)]


def examples_of(task: Task, seed: int, prompt_style: str, examples: int = EXAMPLES, ask: Ask | None = None) -> list[str]:
    """Return texts that show how a task asks and is answered: first prompts, and answers that know nothing of them."""
    batch = task.sample(Stream.span("train", hash_seed(seed, "questions"), 0, examples))
    some = batch.rows(np.arange(ANSWERS) % examples)
    answers = task.random_answers(some, Stream.span("train", hash_seed(seed, "example answers"), 0, ANSWERS))
    said = sorted({words for words in task.format_all(answers, some) if words})
    return [*(task.prompts(batch, prompt_style) if ask is None else ask(task, batch)), *said]


def load_language(
    checkpoint: Path, config: PolicyConfig, device: torch.device, prompt_style: str, task: Task | None = None
) -> VLMPolicy:
    """Build the policy of a checkpoint; see `build.load_policy`."""
    made, _ = _kind(config, prompt_style, task, checkpoint)
    model, processor = load_pretrained(str(checkpoint), weights_dtype(config, device), config.attention)
    require_finite(model, checkpoint)
    policy = wrap_model(model, processor, config, device, prompt_style, made)
    policy.load_weights(checkpoint)
    return policy


def weights_dtype(config: PolicyConfig, device: torch.device) -> torch.dtype:
    """Return the precision that weights are kept in: float32, or bfloat16 on a GPU for those that adapters leave alone."""
    if config.weights == "auto":
        return torch.bfloat16 if config.lora_rank and device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[config.weights]


def wrap_model(
    model: Any,
    processor: Any,
    config: PolicyConfig,
    device: torch.device,
    prompt_style: str = "direct",
    made: Callable[..., VLMPolicy] = VLMPolicy,
) -> VLMPolicy:
    """Wrap a model as the settings say, where it will run: there it is checked.

    Args:
        model, processor: of transformers.
        config: the settings.
        device: where it runs.
        prompt_style: how it is asked.
        made: makes the policy of model, processor and settings.
    """
    policy = made(
        model.to(device),
        processor,
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        freeze_vision=bool(config.freeze_vision),
        freeze=config.freeze,
        gradient_checkpointing=config.gradient_checkpointing,
        lora_rank=config.lora_rank,
        lora_alpha=config.lora_alpha,
        prompt_style=prompt_style,
        template_arguments=config.template_arguments,
        cache=config.cache,
    ).to(device)
    policy.precision = config.precision
    if config.compile:
        policy.compile_layers()
    return policy
