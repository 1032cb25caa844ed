"""Which settings of a run are in their ranges, fit together, and do something. Data first: a new setting is a new row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any

from ssl4rl_agents.divergence import GROUP_ADVANTAGES

if TYPE_CHECKING:
    from ssl4rl_agents.settings import TrainConfig

AT_LEAST_ONE = (
    "iterations",
    "rollout.prompts",
    "rollout.group_size",
    "rollout.max_rounds",
    "optimizer.epochs",
    "optimizer.minibatches",
    "optimizer.micro_batch",
    "policy.max_new_tokens",
    "policy.lora_alpha",
    "policy.gnn_hidden",
    "policy.gnn_layers",
    "policy.nano_layers",
    "eval_every",
    "eval_episodes",
    "test_episodes",
    "save_every",
    "keep",
)
POSITIVE = (
    "optimizer.learning_rate",
    "optimizer.max_grad_norm",
    "format_learning_rate",
    "policy.temperature",
    "objective.target_kl",
    "objective.importance_cap",
    "objective.length_adaptive_alpha",
)
NOT_NEGATIVE = (
    "seed",
    "optimizer.warmup_iterations",
    "optimizer.weight_decay",
    "format_warmup",
    "policy.lora_rank",
    "objective.clip_high",
    "objective.critic_warmup_iterations",
    "objective.kl_coefficient",
    "objective.entropy_coefficient",
    "objective.value_coefficient",
    "objective.value_clip",
)
SHARES = ("objective.gamma", "objective.gae_lambda", "objective.critic_lambda", "objective.clip_low")

RANGES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (AT_LEAST_ONE, lambda value: value >= 1, "be at least 1"),
    (POSITIVE, lambda value: value > 0, "be positive"),
    (NOT_NEGATIVE, lambda value: value >= 0, "be at least 0"),
    (SHARES, lambda value: 0 <= value <= 1, "lie in [0, 1]"),
    (("optimizer.betas",), lambda value: all(0 <= beta < 1 for beta in value), "be two numbers in [0, 1)"),
    (("objective.dual_clip",), lambda value: value > 1, "be greater than 1"),
    (("policy.nano_hidden",), lambda value: value >= 32 and value % 32 == 0, "be a multiple of 32"),
    (("rollout.engine_memory",), lambda value: 0 < value < 1, "lie between 0 and 1"),
)

Counts = Callable[["TrainConfig"], bool]
IDLE: tuple[tuple[tuple[str, ...], Counts, str], ...] = (
    (
        (
            "prompt_style",
            "grammar",
            "policy.template_arguments",
            "rollout.engine",
            "policy.max_new_tokens",
            "policy.freeze_vision",
            "policy.lora_rank",
            "policy.lora_alpha",
            "policy.gradient_checkpointing",
            "policy.attention",
            "policy.weights",
            "policy.compile",
        ),
        lambda config: config.policy.interface == "text",
        "a graph network, which reads no words and writes none",
    ),
    (
        ("policy.gnn_hidden", "policy.gnn_layers"),
        lambda config: config.policy.interface == "array",
        "a model that reads words; it is for the graph networks",
    ),
    (
        (
            "objective.value_clip",
            "objective.value_coefficient",
            "objective.gae_lambda",
            "objective.critic_lambda",
            "objective.length_adaptive_alpha",
            "objective.critic_warmup_iterations",
        ),
        lambda config: config.objective.advantage == "gae",
        "an advantage other than gae, which has no critic",
    ),
    (
        ("objective.gamma",),
        lambda config: config.objective.advantage not in GROUP_ADVANTAGES,
        "advantages of groups, which give all tokens of an answer the same",
    ),
    (("objective.gae_lambda",), lambda config: config.objective.length_adaptive_alpha is None, "length_adaptive_alpha"),
    (("objective.dual_clip",), lambda config: config.objective.surrogate != "cispo", "surrogate cispo"),
    (("objective.kl_loss",), lambda config: config.objective.kl_coefficient != 0, "kl_coefficient 0"),
    (("format_tasks",), lambda config: bool(config.format_warmup), "format_warmup 0"),
    (("rollout.max_rounds",), lambda config: config.rollout.dynamic_sampling, "dynamic_sampling off"),
    (
        ("policy.nano_hidden", "policy.nano_layers"),
        lambda config: config.policy.model == "nano",
        "a model other than nano",
    ),
    (("rollout.engine_memory",), lambda config: config.rollout.engine == "vllm", "engine policy"),
    (("policy.lora_alpha",), lambda config: config.policy.lora_rank > 0, "lora_rank 0"),
)
"""Settings that count only where something else is set: their names, where they count, and what else makes them idle."""


def check(config: TrainConfig) -> None:
    """Check settings whose defaults have been filled in.

    Raises:
        ValueError: a setting is out of its range, does not go with another, or would do nothing.
    """
    for names, fits, range_ in RANGES:
        for name in names:
            value = value_of(config, name)
            if value is not None and not fits(value):
                raise ValueError(f"{name} must {range_}, got {value}")
    _check_together(config)
    if config.algorithm != "ppo":
        return  # the supervised ceiling of a run keeps its settings
    for names, counts, otherwise in IDLE:
        for name in names:
            if value_of(config, name) != default_of(config, name) and not counts(config):
                raise ValueError(f"{name} does nothing with {otherwise}; leave it out")


def value_of(config: TrainConfig, name: str) -> Any:
    """Return a setting by its name, such as "objective.gamma"."""
    return reduce(getattr, name.split("."), config)


def default_of(config: TrainConfig, name: str) -> Any:
    """Return what a setting is where nobody sets it."""
    *section, last = name.split(".")
    owner = reduce(getattr, section, config)
    setting = next(field for field in dataclasses.fields(owner) if field.name == last)
    return setting.default if setting.default_factory is dataclasses.MISSING else setting.default_factory()


def _check_together(config: TrainConfig) -> None:
    policy, rollout, optimizer, objective = config.policy, config.rollout, config.optimizer, config.objective
    if policy.template_arguments and policy.model == "nano":
        raise ValueError("nano's chat template takes no arguments; leave out policy.template_arguments")
    if policy.lora_rank and policy.model == "nano":
        raise ValueError("nano is trained from scratch, and adapters need a model to adapt; set policy.lora_rank to 0")
    if policy.weights == "bfloat16" and not policy.lora_rank:
        raise ValueError(
            "policy.weights bfloat16 would lose the small steps of an optimizer; use float32 (a GPU computes in bfloat16 "
            "all the same), or train adapters with policy.lora_rank"
        )
    if objective.advantage in GROUP_ADVANTAGES and rollout.group_size < 2:
        raise ValueError(f"{objective.advantage} compares the answers of a group; rollout.group_size must be 2 or more")
    if rollout.prompts % optimizer.minibatches:
        raise ValueError(
            f"rollout.prompts ({rollout.prompts}) must be a multiple of optimizer.minibatches ({optimizer.minibatches})"
        )
    if rollout.schedule != "none" and (rollout.dynamic_sampling or config.algorithm != "ppo"):
        raise ValueError(
            "rollout.schedule goes by what answers earn, once each; leave out dynamic_sampling, and algorithm sft"
        )
    if rollout.dynamic_sampling and objective.advantage not in GROUP_ADVANTAGES:
        raise ValueError(
            "rollout.dynamic_sampling replaces groups whose answers all scored the same, which have an advantage all the "
            f"same with {objective.advantage}; it goes with {', '.join(GROUP_ADVANTAGES)}"
        )
