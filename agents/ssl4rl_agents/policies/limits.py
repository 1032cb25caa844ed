"""How many positions a model has, and prompts that leave no room for their answers."""

from __future__ import annotations

from typing import Any

NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
STRETCHED = ("linear", "dynamic", "yarn")
"""Ways to scale rotary positions by which a `factor` makes room beyond the positions that the configuration names."""


def position_limit(config: Any) -> int | None:
    """Return how many positions a model was made for, or None where nothing says so.

    Rotary positions beyond those of training give numbers, and silent nonsense, unless the configuration scales them
    (`rope_parameters` with a type of `STRETCHED` and a factor): as in the configurations that models are published with, the
    positions are then the named ones or `factor` times the original ones, whichever is more.
    """
    text = config.get_text_config()
    named = next((value for name in NAMES if type(value := getattr(text, name, None)) is int and value > 0), None)
    if named is None:
        return None
    rope = getattr(text, "rope_parameters", None) or {}
    kinds = [kind for kind in rope.values() if isinstance(kind, dict)] or [rope]
    scaled = [kind for kind in kinds if kind.get("rope_type") in STRETCHED and kind.get("factor")]
    return max([named, *(int(kind["factor"] * (kind.get("original_max_position_embeddings") or named)) for kind in scaled)])


def require_room(model: str, limit: int | None, prompt: int, answer: int) -> None:
    """Refuse prompts whose answers would go beyond a model's positions.

    Args:
        model: its name.
        limit: its positions; None is no limit.
        prompt: positions that the longest prompt takes.
        answer: the longest answer.

    Raises:
        ValueError: they do not fit.
    """
    if limit is not None and prompt + answer > limit:
        raise ValueError(
            f"a prompt of {prompt} positions and answers of up to {answer} tokens (policy.max_new_tokens) take "
            f"{prompt + answer} positions, and {model} has {limit} (max_position_embeddings of its configuration); show "
            "smaller or fewer pictures, ask shorter questions, lower max_new_tokens, or scale its rotary positions if it has "
            'such (rope_parameters with rope_type "yarn" and a factor in its config.json)'
        )
