"""In which range each setting of a run must lie. Data first: a new setting is a new row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, cast

from ssl4rl_envs.arguments import Checked

COUNTS = (
    "iterations",
    "eval_every",
    "eval_episodes",
    "test_episodes",
    "probe_questions",
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
    "policy.nano_image_size",
)
COUNTS_FROM_0 = (
    "probe_every",
    "optimizer.warmup_iterations",
    "format_warmup",
    "objective.critic_warmup_iterations",
)
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
    "objective.grounding_coefficient",
    "objective.value_clip",
    "rollout.invalid_penalty",
)
SHARES = (
    "objective.gamma",
    "objective.gae_lambda",
    "objective.critic_lambda",
    "objective.turn_gamma",
    "objective.turn_lambda",
    "objective.clip_low",
)

Fits = Callable[[Any], bool]
RANGES: tuple[tuple[tuple[str, ...], Fits, str], ...] = (
    ((*COUNTS, *SIZES), lambda value: value >= 1, "be at least 1"),
    (("seed", *COUNTS_FROM_0, *SIZES_FROM_0, *NOT_NEGATIVE), lambda value: value >= 0, "be at least 0"),
    (POSITIVE, lambda value: value > 0, "be positive"),
    (SHARES, lambda value: 0 <= value <= 1, "lie in [0, 1]"),
    (("optimizer.replay",), lambda value: 0 <= value < 1, "be at least 0 and below 1"),
    (("optimizer.betas",), lambda value: all(0 <= beta < 1 for beta in value), "be two numbers in [0, 1)"),
    (("objective.dual_clip",), lambda value: value > 1, "be greater than 1"),
    (("policy.nano_hidden",), lambda value: value >= 32 and value % 32 == 0, "be a multiple of 32"),
    (("policy.nano_image_size",), lambda value: value % 8 == 0, "be a multiple of 8"),
    (("policy.nano_vocabulary",), lambda value: 300 <= value <= 2**16, "lie in 300 to 65,536"),
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


def by_name(rows: tuple[tuple[tuple[str, ...], Fits, str], ...]) -> dict[str, list[tuple[Fits, str]]]:
    """Return rows like those of `RANGES` by the name of the setting."""
    found: dict[str, list[tuple[Fits, str]]] = {}
    for names, fits, words in rows:
        for name in names:
            found.setdefault(name, []).append((fits, words))
    return found


RANGES_OF = by_name(RANGES)
"""The same by the name of the setting."""


class Settings(Checked):
    """A base of sections of settings: of their types, and in their ranges, however one is made."""

    ranges: ClassVar[dict[str, list[tuple[Fits, str]]]] = RANGES_OF
    """By the name of a setting with its section, whether a value is in its range, and how errors put that."""

    def __post_init__(self) -> None:
        """Look at all fields.

        Raises:
            TypeError: a setting is of another type.
            ValueError: it is none of its choices, not finite, or out of its range.
        """
        super().__post_init__()
        for field in dataclasses.fields(cast(Any, self)):
            name, value = self.section + field.name, getattr(self, field.name)
            for fits, words in self.ranges.get(name, []):
                if value is not None and not fits(value):
                    raise ValueError(f"{name} must {words}, got {value}")
