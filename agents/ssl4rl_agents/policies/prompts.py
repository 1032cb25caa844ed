"""From observations to what a model reads: chat format, tokens, positions, pictures."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchEncoding

from ssl4rl_agents.policies.pictures import Features, split_pictures
from ssl4rl_agents.policies.support import UnsupportedModelError, base_of
from ssl4rl_agents.policies.templates import check_arguments, written_reply

TWO_WAY = {"gemma3": 1, "paligemma": 0}
"""Models whose prompts see in both directions, and the token type of which: runs of pictures, the whole prompt."""

PROBE = "Which one is it?"
"""A prompt that shows what a chat template puts behind prompts."""


@dataclass
class VLMInputs:
    """Encoded prompts.

    Args:
        input_ids, attention_mask: (prompts, length), padded on the left.
        positions: (prompts, axes, length): one axis, or three where a model gives pictures time, height and width (M-RoPE).
        token_types: (prompts, length) what a model that sees in both directions is told of each token, else None.
        pictures: what the processor made of the pictures, (prompts, k, ...) each; empty where a frozen tower has seen them.
        features: what a frozen tower and connector made of them, or None.
    """

    input_ids: Tensor
    attention_mask: Tensor
    positions: Tensor
    token_types: Tensor | None
    pictures: dict[str, Tensor]
    features: Features | None

    def __len__(self) -> int:
        return len(self.input_ids)

    def rows(self, rows: Tensor) -> VLMInputs:
        """Return the chosen prompts."""
        return VLMInputs(
            self.input_ids[rows],
            self.attention_mask[rows],
            self.positions[rows],
            None if self.token_types is None else self.token_types[rows],
            {name: values[rows] for name, values in self.pictures.items()},
            None if self.features is None else self.features.rows(rows),
        )


def two_way_type(model: Any) -> int | None:
    """Return the token type whose tokens see each other in both directions, or None in a model that only looks back.

    Raises:
        ValueError: the model is told of token types for a reason that is not known here.
    """
    base = base_of(model)
    if model.config.model_type in TWO_WAY:
        return TWO_WAY[model.config.model_type]
    takes = inspect.signature(base.forward).parameters
    if getattr(model.config, "image_token_id", None) is None:
        return None  # token types of language models tell sentences apart
    if "token_type_ids" in takes or ("mm_token_type_ids" in takes and not hasattr(base, "get_rope_index")):
        raise UnsupportedModelError(
            f"{type(model).__name__} may see its pictures in both directions, in a way that VLMPolicy does not know"
        )
    return None


class PromptEncoder:
    """Encodes the prompts and pictures of observations for one model.

    Args:
        model: the model.
        processor: its processor.
        template_arguments: what its chat template is told beside the prompt, e.g. {"enable_thinking": False}.

    Raises:
        ValueError: the chat template never uses one of the arguments.
    """

    def __init__(self, model: Any, processor: Any, template_arguments: Mapping[str, Any] | None = None) -> None:
        self.processor, self._arguments = processor, dict(template_arguments or {})
        check_arguments(getattr(processor, "chat_template", None), self._arguments, type(model).__name__)
        self.name = type(model).__name__
        self.image_token_id: int | None = getattr(model.config, "image_token_id", None)
        """The token in whose places pictures stand; None in a model that reads text alone."""
        self._base = base_of(model)
        self._two_way = two_way_type(model) is not None
        self._texts: dict[tuple[str, int], str] = {}

    def __call__(self, observations: dict[str, Any], device: torch.device) -> VLMInputs:
        """Encode pictures (n, height, width, 3) by name and `prompt`, n strings."""
        return self.inputs(self.processed(observations).to(device))

    def processed(self, observations: dict[str, Any]) -> BatchEncoding:
        """Return what the processor makes of observations: all that the model itself takes."""
        texts, pictures = self.formatted(observations)
        start = self.processor.tokenizer.bos_token
        # As transformers itself does it: a language model's chat template is all there is; other prompts begin with what the
        # tokenizer puts there, unless the template has done so.
        complete = self.image_token_id is None and bool(getattr(self.processor, "chat_template", None))
        special = not complete and (start is None or not texts[0].startswith(start))
        encoded: BatchEncoding = self.processor(
            text=texts,
            # As pictures rather than arrays: some processors take nothing else, and none has to guess which axis is which.
            images=[[Image.fromarray(picture) for picture in seen] for seen in pictures] if pictures[0] else None,
            return_tensors="pt",
            padding=True,
            padding_side="left",
            add_special_tokens=special,
        )
        return encoded

    def inputs(self, encoded: BatchEncoding) -> VLMInputs:
        """Return what the policy makes of that: tokens and their places, and each prompt's share of the pictures."""
        by_token = {name: value for name, value in encoded.items() if value.shape == encoded["input_ids"].shape}
        seen = {name: value for name, value in encoded.items() if name not in by_token}
        return VLMInputs(
            by_token["input_ids"],
            by_token["attention_mask"],
            self._positions(by_token, seen),
            by_token["token_type_ids"] if self._two_way else None,
            split_pictures(seen, len(encoded["input_ids"]), self.name),
            None,
        )

    @cached_property
    def written(self) -> str:
        """What the chat template writes of every reply; see `templates`."""
        if not getattr(self.processor, "chat_template", None):
            return ""
        return written_reply(self.text(PROBE, 0 if self.image_token_id is None else 1), PROBE)

    def formatted(self, observations: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
        """Return the prompts in the model's chat format, and the pictures of each.

        Raises:
            ValueError: there are pictures, and the model reads text alone.
        """
        names = sorted(name for name in observations if name != "prompt")  # as Gymnasium's Dict spaces order them
        if names and self.image_token_id is None:
            raise ValueError(f"{self.name} reads text alone; this environment shows pictures ({', '.join(names)})")
        prompts: Sequence[str] = observations["prompt"]
        pictures = [[observations[name][row] for name in names] for row in range(len(prompts))]
        return [self.text(prompt, len(names)) for prompt in prompts], pictures

    def text(self, prompt: str, pictures: int) -> str:
        """Put a prompt with its pictures into the model's chat format; equal prompts are formatted once."""
        key = (prompt, pictures)
        if key not in self._texts:
            if len(self._texts) > 10_000:
                self._texts.clear()
            self._texts[key] = self._format(prompt, pictures)
        return self._texts[key]

    def _format(self, prompt: str, pictures: int) -> str:
        if not getattr(self.processor, "chat_template", None):
            return cast(str, self.processor.image_token) * pictures + prompt if pictures else prompt
        parts = [*({"type": "image"} for _ in range(pictures)), {"type": "text", "text": prompt}]
        content: Any = prompt if self.image_token_id is None else parts
        messages = [{"role": "user", "content": content}]
        settings: dict[str, Any] = {**self._arguments, "add_generation_prompt": True, "tokenize": False}
        return cast(str, self.processor.apply_chat_template(messages, **settings))

    def _positions(self, by_token: dict[str, Tensor], seen: dict[str, Tensor]) -> Tensor:
        """Return the positions of the prompts' tokens, (n, axes, length)."""
        mask, ids = by_token["attention_mask"], by_token["input_ids"]
        place: Any = getattr(self._base, "get_rope_index", None)
        if place is None:
            return (mask.cumsum(-1) - 1).clamp(min=0)[:, None]
        takes = inspect.signature(place).parameters
        known = {name: value for name, value in {**by_token, **seen}.items() if name in takes}
        if "mm_token_type_ids" in takes:
            known.setdefault("mm_token_type_ids", torch.eq(ids, self.image_token_id or -1).int())
        return cast(Tensor, place(**known)[0]).permute(1, 0, 2)
