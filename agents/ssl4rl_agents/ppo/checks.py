"""Which settings of a run are in their ranges, fit together, and do something. Data first: a new setting is a new row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

from ssl4rl_agents.ppo.divergence import GROUP_ADVANTAGES
from ssl4rl_envs.arguments import Checked

if TYPE_CHECKING:
    from ssl4rl_agents.ppo.config import TrainConfig

COUNTS = (
    "iterations",
    "eval_every",
    "eval_episodes",
    "test_episodes",
    "save_every",
    "keep",
)
SIZES = (
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
)
COUNTS_FROM_0 = ("optimizer.warmup_iterations", "format_warmup", "objective.critic_warmup_iterations")
SIZES_FROM_0 = ("policy.lora_rank",)
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
    "optimizer.weight_decay",
    "objective.clip_high",
    "objective.kl_coefficient",
    "objective.entropy_coefficient",
    "objective.value_coefficient",
    "objective.value_clip",
)
SHARES = ("objective.gamma", "objective.gae_lambda", "objective.critic_lambda", "objective.clip_low")

Fits = Callable[[Any], bool]
RANGES: tuple[tuple[tuple[str, ...], Fits, str], ...] = (
    ((*COUNTS, *SIZES), lambda value: value >= 1, "be at least 1"),
    (("seed", *COUNTS_FROM_0, *SIZES_FROM_0, *NOT_NEGATIVE), lambda value: value >= 0, "be at least 0"),
    (POSITIVE, lambda value: value > 0, "be positive"),
    (SHARES, lambda value: 0 <= value <= 1, "lie in [0, 1]"),
    (("optimizer.betas",), lambda value: all(0 <= beta < 1 for beta in value), "be two numbers in [0, 1)"),
    (("objective.dual_clip",), lambda value: value > 1, "be greater than 1"),
    (("policy.nano_hidden",), lambda value: value >= 32 and value % 32 == 0, "be a multiple of 32"),
    (("rollout.engine_memory",), lambda value: 0 < value < 1, "lie between 0 and 1"),
    (("seed",), lambda value: value < 2**64, "be below 2**64"),
    ((*COUNTS, *COUNTS_FROM_0), lambda value: value <= 10**9, "be at most a billion"),
    ((*SIZES, *SIZES_FROM_0, "policy.nano_hidden"), lambda value: value <= 2**20, "be at most 2**20, a million"),
    (
        (*POSITIVE, *NOT_NEGATIVE, "objective.dual_clip"),
        lambda value: value == 0 or 1.2e-38 <= value <= 3.4e38,
        "be a number that float32 holds, 1.2e-38 to 3.4e+38",
    ),
)
"""Of every setting that is a number: whether a value is in its range, and how errors put that. None is in every range."""

RANGES_OF: dict[str, list[tuple[Fits, str]]] = {}
"""The same by the name of the setting."""

for _names, _fits, _words in RANGES:
    for _name in _names:
        RANGES_OF.setdefault(_name, []).append((_fits, _words))


class Settings(Checked):
    """A base of sections of settings: of their types, and in their ranges, however one is made."""

    def __post_init__(self) -> None:
        """Look at all fields.

        Raises:
            TypeError: a setting is of another type.
            ValueError: it is none of its choices, not finite, or out of its range.
        """
        super().__post_init__()
        for field in dataclasses.fields(cast(Any, self)):
            name, value = self.section + field.name, getattr(self, field.name)
            for fits, words in RANGES_OF.get(name, []):
                if value is not None and not fits(value):
                    raise ValueError(f"{name} must {words}, got {value}")


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
        ValueError: a setting does not go with another, or would do nothing.
    """
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
