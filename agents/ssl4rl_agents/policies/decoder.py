"""Run prompts and their answers through a model, each prompt once, whatever the number of its answers."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.modeling_layers import GradientCheckpointingLayer

from ssl4rl_agents.policies.attention import (
    answers_mask,
    apart,
    apart_with_prompts,
    continued_mask,
    places_mask,
    rows_mask,
    step_mask,
    windows_of,
)
from ssl4rl_agents.policies.pictures import Features, picture_features
from ssl4rl_agents.policies.prefix import Prefix
from ssl4rl_agents.policies.prompts import VLMInputs, two_way_type
from ssl4rl_agents.policies.static_cache import PLACES, Kept, Shape, StaticSteps
from ssl4rl_agents.policies.support import RUNS, UnsupportedModelError, base_of

LOGGER = logging.getLogger("ssl4rl_agents")

EXPLICIT = ("sdpa", "eager")
"""Attention that takes a mask of any shape."""


class Decoder:
    """Runs prompts and answers through a model; hidden states are what comes out.

    Args:
        model: of transformers.
        gradient_checkpointing: keep only the inputs of each layer for the way back.
        static: let answers grow in memory of a fixed size (`static_cache`); None does so on a GPU.

    Raises:
        ValueError: the model's layers or its attention cannot be run this way.
    """

    def __init__(self, model: Any, *, gradient_checkpointing: bool, static: bool | None = None) -> None:
        self.model = model
        self.base = base_of(model)
        self._name = type(model).__name__
        self._two_way = two_way_type(model)
        self.placeholder: int | None = getattr(model.config, "image_token_id", None)
        """The token in whose places stands what is no word: tokens of pictures; None in a model that reads words alone."""
        self.one_mask = model.config.model_type == "paligemma"
        self.answer_type = int(self.one_mask)
        """The token type of answers, where a model is told one: a suffix, in a model that tells it from the prompt."""
        language: Any = getattr(self.base, "language_model", None) or getattr(self.base, "text_model", self.base)
        takes = inspect.signature(language.forward).parameters
        if not {"position_ids", "past_key_values"} <= set(takes) or getattr(model.config.get_text_config(), "alibi", False):
            raise UnsupportedModelError(
                f"{self._name} places tokens by itself; VLMPolicy needs a model that takes position_ids and past_key_values. "
                f"{RUNS}"
            )
        self.windows = windows_of(model.config.get_text_config(), self._name)
        self._check_attention(gradient_checkpointing)
        self._same_passes = False
        self.static = static
        """Whether answers grow in memory of a fixed size, where the attention takes masks; None: on a GPU."""
        self._kept, self._records = Kept(), True
        self._layers: list[GradientCheckpointingLayer] = []
        if gradient_checkpointing:
            model.activation_checkpointing_enable()
            self._layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
            for layer in self._layers:  # which drop out where they are told to train, as they are to be told below
                for name, value in vars(layer).items():
                    if "dropout" in name and isinstance(value, float):
                        setattr(layer, name, 0.0)

    @property
    def attention(self) -> str:
        """Which implementation the attention uses."""
        return getattr(self.model.config.get_text_config(), "_attn_implementation", None) or "sdpa"

    @property
    def takes_masks(self) -> bool:
        """Whether the attention takes a mask of any shape."""
        return self.attention in EXPLICIT

    def make_same_passes(self) -> None:
        """Make one pass over prompts and answers from now on, whatever they are, as weights in parts need it.

        Raises:
            ValueError: the attention takes no masks.
        """
        if not self.takes_masks:
            raise ValueError(f"{self.attention} takes no masks, which weights in parts (FSDP) need here; use attention sdpa")
        self._same_passes, self.static = True, False  # weights that come and go lie at no fixed place

    def stay_dynamic(self) -> bool:
        """Let answers grow in memory that grows from now on; return whether they did not before."""
        before = self._takes_steps(self.model.device)
        self.static, self._kept = False, Kept()
        return before

    def features(self, pictures: dict[str, Tensor]) -> Features:
        """Run the vision tower and connector over the pictures of `VLMInputs`."""
        return picture_features(self.base, pictures)

    def prefill(self, inputs: VLMInputs) -> Prefix:
        """Run the prompts."""
        cache = DynamicCache()
        mask, positions = inputs.attention_mask, inputs.positions
        told = self.told(inputs)
        if inputs.token_types is not None:
            told["token_type_ids"] = inputs.token_types
        common = self.common_prefix(inputs)
        if common:
            self.run(inputs.input_ids[:1, :common], mask[:1, :common], positions[:1, :, :common], cache)
            cache.batch_repeat_interleave(len(inputs))
        hidden = self.run(inputs.input_ids[:, common:], mask, positions[..., common:], cache, **told)[:, -1]
        return Prefix(hidden, cache, mask, positions.amax((1, 2)) + 1, positions.shape[1])

    def spread(self, prefix: Prefix, repeats: int, longest: int) -> None:
        """Make room for `repeats` answers of at most `longest` tokens behind each prompt.

        Answers that are short beside their prompt share its row of the cache, which is then not repeated for them. Long ones
        have a row each: side by side, every one of them would be passed over, masked, by all the others.
        """
        prefix.longest = longest
        if repeats > 1:
            prefix.hidden, prefix.following = (
                values.repeat_interleave(repeats, 0) for values in (prefix.hidden, prefix.following)
            )
            if self.takes_masks and (repeats - 1) * longest <= prefix.mask.shape[1]:
                prefix.abreast = repeats

    def extend(self, prefix: Prefix, tokens: Tensor, alive: Tensor) -> None:
        """Run one more token (n,) of each answer; those that are not `alive` will not be seen."""
        if prefix.grown == 0 and self._takes_steps(tokens.device):
            self._begin_steps(prefix, tokens)
        elif prefix.steps is not None:
            prefix.hidden = prefix.steps.extend(tokens)
        if prefix.steps is None:
            self._extend_cache(prefix, tokens, alive)
        prefix.grown += 1

    def finish(self, prefix: Prefix) -> None:
        """Give back what the answers grew in."""
        if prefix.steps is not None:
            self._records = prefix.steps.graphs  # what could not be recorded once is not tried again
            prefix.steps = None
        self._kept.tidy()

    @property
    def in_whole_rows(self) -> bool:
        """Whether nothing runs behind a cache under autograd: layers compute again, or the attention takes no masks."""
        return self._same_passes or not self.takes_masks or bool(self._layers and torch.is_grad_enabled())

    def leave(self, prefix: Prefix) -> None:
        """Let others have memory of their own from now on: what the answers grew in is read later."""
        if prefix.steps is not None:
            self._kept = Kept()

    def _takes_steps(self, device: torch.device) -> bool:
        return self.takes_masks and (device.type == "cuda" if self.static is None else self.static)

    def _begin_steps(self, prefix: Prefix, tokens: Tensor) -> None:
        """Move the prompts to memory of fixed size, and run the first token there; stay where they are if that fails."""
        rows = len(tokens) // prefix.abreast
        start = PLACES * -(-prefix.mask.shape[1] // PLACES)
        shape = Shape(rows, prefix.abreast, start, prefix.longest - 1, self._mode(prefix))
        try:
            graphs = tokens.device.type == "cuda" and self._records and not (self.one_mask and len(self.windows) > 1)
            prompts = [(layer.keys, layer.values) for layer in cast(list[Any], prefix.cache.layers)]
            steps = self._kept.take(shape, prompts, partial(self._run_fixed, prefix.axes), graphs=graphs)
            steps.begin(prompts, prefix.mask, prefix.following)
            prefix.hidden, prefix.steps = steps.extend(tokens), steps
        except torch.OutOfMemoryError:
            self._kept = Kept()
            raise
        except Exception as error:  # the code of every model runs here, and each fails in its own way
            self.static, self._kept = False, Kept()
            LOGGER.warning(
                "%s cannot answer in memory of a fixed size, and goes on in memory that grows, which is slower: %s: %s",
                self._name,
                type(error).__name__,
                error,
            )
            return
        prefix.cache = DynamicCache()

    def _mode(self, prefix: Prefix) -> tuple[Any, ...]:
        """Return what recorded steps depend on beside their shape."""
        where = hash(tuple(parameter.data_ptr() for parameter in self.model.parameters()))
        device, kept = prefix.hidden.device, cast(Any, prefix.cache.layers[0]).keys.dtype
        cast_to = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None
        return device, kept, cast_to, prefix.axes, tuple(self.windows.items()), where

    def _run_fixed(self, axes: int, tokens: Tensor, places: Tensor, grown: Tensor, end: int, steps: StaticSteps) -> Tensor:
        """Run the next tokens in memory of fixed size, as `static_cache.Run` says."""
        abreast = tokens.shape[1]
        sees = {kind: places_mask(steps.seen, abreast, grown, end, window) for kind, window in self.windows.items()}
        positions = places[:, None].expand(-1, axes, -1)
        return self.run(tokens, self.masks(sees), positions, steps.cache).flatten(0, 1)

    def _extend_cache(self, prefix: Prefix, tokens: Tensor, alive: Tensor) -> None:
        rows, abreast = len(tokens) // prefix.abreast, prefix.abreast
        if rows > len(prefix.mask):
            prefix.cache.batch_repeat_interleave(rows // len(prefix.mask))
            prefix.mask = prefix.mask.repeat_interleave(rows // len(prefix.mask), 0)
        places = prefix.following.reshape(rows, 1, abreast).expand(-1, prefix.axes, -1)
        mask: Any
        if abreast == 1:
            mask = prefix.mask = torch.cat([prefix.mask, alive.to(prefix.mask)[:, None]], dim=1)
        else:
            prompt = prefix.mask.bool()
            sees = {kind: step_mask(prompt, abreast, prefix.grown, window) for kind, window in self.windows.items()}
            mask = self.masks(sees)
        prefix.hidden = self.run(tokens.reshape(rows, abreast), mask, places, prefix.cache).flatten(0, 1)
        prefix.following = prefix.following + 1

    def answers(self, inputs: VLMInputs, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the hidden states from which the tokens of answers (n, T) are chosen, (n, T, hidden)."""
        if self._same_passes or (self._layers and torch.is_grad_enabled()):
            return self.in_rows(inputs, tokens[:, :-1], mask[:, :-1])
        return self._behind(inputs, tokens[:, :-1], mask[:, :-1])

    def common_prefix(self, inputs: VLMInputs) -> int:
        """Return how many leading tokens all prompts share, pictures excepted: they run once for the whole batch."""
        if len(inputs) == 1 or self._same_passes or self._two_way is not None:
            return 0
        ids = inputs.input_ids
        shared = (ids == ids[:1]).all(0) & inputs.attention_mask.bool().all(0)
        if self.placeholder is not None:
            shared &= ids[0] != self.placeholder
        return min(int(shared.long().cumprod(0).sum()), ids.shape[1] - 1)

    def _behind(self, inputs: VLMInputs, tokens: Tensor, mask: Tensor) -> Tensor:
        """Run prompts, then their answers on their cache."""
        prompts, length = len(inputs), tokens.shape[1]
        group = len(tokens) // prompts
        prefix = self.prefill(inputs)
        first = prefix.hidden.repeat_interleave(group, 0)[:, None]
        if not length:
            return first
        if not self.takes_masks or apart(prefix.mask.shape[1], group, length):
            prefix.cache.batch_repeat_interleave(group)
            prefix.mask, prefix.following = (rows.repeat_interleave(group, 0) for rows in (prefix.mask, prefix.following))
            prompts, group = len(tokens), 1
        places = self._places(prefix.following, group, length, prefix.axes)
        if not self.takes_masks:
            both = torch.cat([prefix.mask, mask.to(prefix.mask)], dim=1)
            return torch.cat([first, self.run(tokens, both, places, prefix.cache)], dim=1)
        sees = {kind: answers_mask(prefix.mask.bool(), mask, window) for kind, window in self.windows.items()}
        rest = self.run(tokens.reshape(prompts, -1), self.masks(sees), places, prefix.cache)
        return torch.cat([first, rest.reshape(len(tokens), length, -1)], dim=1)

    def in_rows(self, inputs: VLMInputs, tokens: Tensor, mask: Tensor) -> Tensor:
        """Do as `answers` does, from all but the last tokens: each prompt and its answers as one row, without a cache.

        Where answers are long, each has a row with its prompt to itself.
        """
        length, start = tokens.shape[1], inputs.input_ids.shape[1]
        group = len(tokens) // len(inputs)
        hidden = self.model.config.get_text_config().hidden_size
        if apart_with_prompts(start, group, length, hidden):
            repeated = torch.arange(len(inputs), device=tokens.device).repeat_interleave(group)
            inputs = replace(inputs, features=self.told_features(inputs), pictures={}).rows(repeated)
            group = 1
        prompts = len(inputs)
        prompt, blocks = inputs.attention_mask.bool(), self.blocks(inputs.token_types)
        sees = {kind: rows_mask(prompt, mask, window, blocks) for kind, window in self.windows.items()}
        places = self._places(inputs.positions.amax((1, 2)) + 1, group, length, inputs.positions.shape[1])
        row = torch.cat([inputs.input_ids, tokens.reshape(prompts, -1)], dim=1)
        with self.recomputing():
            told = self.told(inputs)
            hidden = self.run(row, self.masks(sees), torch.cat([inputs.positions, places], dim=2), None, **told)
        first = hidden[:, start - 1].repeat_interleave(group, 0)[:, None]
        return torch.cat([first, hidden[:, start:].reshape(len(tokens), length, hidden.shape[-1])], dim=1)

    def told(self, inputs: VLMInputs) -> dict[str, Any]:
        """Return what the model is told of the pictures of prompts."""
        features = self.told_features(inputs)
        return {} if features is None else {"mm_encoder_outputs": features.outputs()}

    def told_features(self, inputs: VLMInputs) -> Features | None:
        """Return what the vision tower makes, or made, of the pictures of prompts."""
        return inputs.features or (self.features(inputs.pictures) if inputs.pictures else None)

    @staticmethod
    def _places(following: Tensor, group: int, length: int, axes: int) -> Tensor:
        """Return the positions of answers side by side behind their prompts, (prompts, axes, group * length)."""
        places = following[:, None] + torch.arange(length, device=following.device).repeat(group)
        return places[:, None].expand(-1, axes, -1)

    def blocks(self, types: Tensor | None) -> Tensor | None:
        """Return which tokens of some types see each other in both directions, as `rows_mask` takes it."""
        if types is None or self._two_way is None:
            return None
        within = torch.eq(types, self._two_way)
        starts = within & ~torch.nn.functional.pad(within, (1, 0))[:, :-1]
        return torch.where(within, starts.cumsum(-1) - 1, -1)

    def masked(self, seen: Tensor, length: int, types: Tensor) -> Any:
        """Return what the decoder takes for the last tokens (n, length) of rows that end together.

        Args:
            seen: (n, places) bool, False where padded, on the left.
            length: how many tokens.
            types: (n, length) their token types.
        """
        if not self.takes_masks:
            return seen.long()
        blocks = self.blocks(types)
        return self.masks({kind: continued_mask(seen, length, window, blocks) for kind, window in self.windows.items()})

    def masks(self, sees: dict[str, Tensor]) -> Any:
        """Turn who sees whom into what the decoder takes: a mask, or one by kind of layer."""
        masks = {kind: self._mask(seen[:, None]) for kind, seen in sees.items()}
        first = next(iter(masks.values()))
        if len(masks) == 1:
            return first
        if self.one_mask:  # PaliGemma hands one mask on to all kinds of layers
            if not all(torch.equal(first, mask) for mask in masks.values()):
                raise ValueError(f"{self._name}: prompt and answer together are longer than its sliding window")
            return first
        return masks

    def _mask(self, seen: Tensor) -> Tensor:
        if self.attention == "sdpa":
            kind = seen.device.type
            # What attention makes of a mask of bools in every layer, once, in the precision that autocast brings the rest to.
            dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.model.dtype
            return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, -torch.inf)
        lowest = max(torch.finfo(torch.bfloat16).min, torch.finfo(self.model.dtype).min)  # added to the scores, in either
        return torch.zeros(seen.shape, dtype=self.model.dtype, device=seen.device).masked_fill(~seen, lowest)

    def run(self, tokens: Tensor, mask: Any, positions: Tensor, cache: Cache | None, **told: Any) -> Tensor:
        """Run tokens (n, T) at positions (n, axes, T) behind what a cache holds; return hidden states (n, T, hidden)."""
        outputs = self.base(
            **self.given(tokens, told),
            attention_mask=mask,
            position_ids=positions[:, 0] if positions.shape[1] == 1 else positions.permute(1, 0, 2),
            past_key_values=cache,
            use_cache=cache is not None,
        )
        return cast(Tensor, outputs.last_hidden_state)

    def given(self, tokens: Tensor, told: dict[str, Any]) -> dict[str, Any]:
        """Return what the model takes for tokens (n, T), `told` what stands in the places of some."""
        return {"input_ids": tokens, **told}

    def _check_attention(self, gradient_checkpointing: bool) -> None:
        if self.takes_masks:
            return
        if "flash" not in self.attention:
            raise ValueError(f"{self._name} uses {self.attention} attention; VLMPolicy runs sdpa, eager and flash attention")
        if gradient_checkpointing or self._two_way is not None:
            why = "gradient checkpointing packs rows" if self._two_way is None else f"{self._name} sees in both directions"
            raise ValueError(f"{why}, for which {self.attention} takes no mask; use attention sdpa")

    @contextmanager
    def recomputing(self) -> Iterator[None]:
        """Let layers compute again on the way back. They ask `training`, which is else off for the sake of dropout."""
        for layer in self._layers:
            layer.training = True
        try:
            yield
        finally:
            for layer in self._layers:
                layer.training = False
