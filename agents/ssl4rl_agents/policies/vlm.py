"""VLMPolicy: a Hugging Face image-text-to-text model with a value head; for now one that takes `pixel_values` alone.

Prompts run once for all answers to them, and what all prompts of a batch begin with runs once for all of them. In sampling,
the prompt fills the key-value cache, which is then repeated for the answers of its group; in the update, the same happens
under autograd, and gradients flow through the repeated keys and values back into the prompt and its pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPooling

from ssl4rl_agents.policies.policy import Evaluation, Policy, Samples, token_statistics

IMPOSSIBLE = -1e9
"""Logit of a token that cannot be said: its probability is exactly 0, and finite times 0 stays 0 in gradients."""

TRUNCATED = " [truncated]"
"""Ends every reply that reached the length limit, so that it is read as what it is: no answer."""


@dataclass
class VLMInputs:
    """Encoded prompts.

    Args:
        input_ids, attention_mask: (prompts, length), padded on the left.
        pixel_values: (prompts, pictures, ...), or None where a frozen tower has seen them.
        features: (prompts, pictures, tokens, hidden), what a frozen tower and connector made of the pictures, or None.
    """

    input_ids: Tensor
    attention_mask: Tensor
    pixel_values: Tensor | None
    features: Tensor | None

    def __len__(self) -> int:
        return len(self.input_ids)

    def rows(self, rows: Tensor) -> VLMInputs:
        """Return the chosen prompts."""
        rest = (None if values is None else values[rows] for values in (self.pixel_values, self.features))
        return VLMInputs(self.input_ids[rows], self.attention_mask[rows], *rest)


@dataclass
class _Prefix:
    """A prompt that has been run: the last hidden states (n, hidden), the cache, the mask (n, length) and lengths (n,)."""

    hidden: Tensor
    cache: DynamicCache
    mask: Tensor
    lengths: Tensor


class VLMPolicy(Policy):
    """A vision-language model that reads pictures and a prompt and writes an answer.

    Args:
        model: an image-text-to-text model of transformers.
        processor: its processor; with a chat template if the model has one.
        max_new_tokens: longest answer, its end-of-sequence token included.
        temperature: divides the logits wherever they are used: sampling, log-probabilities, entropies.
        freeze_vision: leave the vision tower and its connector as they are; pictures then run through them once, for the
            rollout and all epochs of its update.

    Raises:
        ValueError: the model cannot be run this way; the message names it and says why.
    """

    interface = "text"

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        max_new_tokens: int = 16,
        temperature: float = 1.0,
        freeze_vision: bool = False,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}; use deterministic=True for the likeliest")
        text_config = model.config.get_text_config()
        for scaling in ("final_logit_softcapping", "logit_scale"):
            if getattr(text_config, scaling, None) is not None:
                raise ValueError(f"{type(model).__name__} rescales its logits ({scaling}), which VLMPolicy does not do yet")
        name = type(model).__name__
        attention = getattr(text_config, "_attn_implementation", "sdpa")
        if attention not in ("sdpa", "eager"):
            raise ValueError(
                f"{name} uses {attention} attention; VLMPolicy's masks need sdpa or eager (attn_implementation=)"
            )
        if any("sliding" in kind for kind in getattr(text_config, "layer_types", None) or ()):
            raise ValueError(f"{name} has sliding-window layers, which VLMPolicy does not do yet")
        if getattr(model.config, "image_token_id", None) is None or processor.tokenizer.pad_token_id is None:
            raise ValueError(f"{name} needs an image_token_id in its config and a pad token in its tokenizer")
        self.model, self.processor = model, processor
        self.max_new_tokens, self.temperature, self.freeze_vision = max_new_tokens, temperature, freeze_vision
        self.value_head = nn.Linear(text_config.hidden_size, 1, dtype=torch.float32)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.image_token_id = int(model.config.image_token_id)
        self.pad_token_id = int(processor.tokenizer.pad_token_id)
        ends = model.generation_config.eos_token_id
        ends = processor.tokenizer.eos_token_id if ends is None else ends
        self.register_buffer("_ends", torch.tensor(ends if isinstance(ends, list) else [ends]), persistent=False)
        self._prompt_texts: dict[tuple[str, int], str] = {}
        if freeze_vision:
            for module in self._vision_modules():
                module.requires_grad_(False)

    @property
    def critic(self) -> nn.Module:
        """The value head."""
        return self.value_head

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.value_head.weight.device

    def train(self, mode: bool = True) -> VLMPolicy:  # noqa: ARG002 (torch's signature)
        """Keep evaluation mode: dropout stays off, so that sampling and update see the same network."""
        return super().train(False)

    def encode(self, observations: dict[str, Any]) -> VLMInputs:
        """Run the processor over pictures (n, height, width, 3) by name and `prompt`, n strings."""
        names = sorted(name for name in observations if name != "prompt")  # as Gymnasium's Dict spaces order them
        prompts: Sequence[str] = observations["prompt"]
        texts = [self._prompt_text(prompt, len(names)) for prompt in prompts]
        pictures = [[observations[name][row] for name in names] for row in range(len(prompts))]
        encoded = self.processor(
            text=texts, images=pictures, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
        ).to(self.device)
        unknown = set(encoded) - {"input_ids", "attention_mask", "pixel_values"}
        if unknown:
            name = type(self.model).__name__
            raise ValueError(
                f"{name} takes {', '.join(sorted(unknown))} beside pixel_values, which VLMPolicy cannot batch yet"
            )
        pixels = encoded["pixel_values"]
        pixels = pixels.reshape(len(texts), len(names), *pixels.shape[1:])
        inputs = VLMInputs(encoded["input_ids"], encoded["attention_mask"], pixels, None)
        if not self.freeze_vision:
            return inputs
        with torch.no_grad():
            features = torch.stack(list(self._image_features(pixels.flatten(0, 1)).pooler_output))
        return replace(inputs, pixel_values=None, features=features.reshape(len(texts), len(names), *features.shape[1:]))

    def encode_answers(self, answers: list[str]) -> tuple[Tensor, Tensor]:
        """Write replies as tokens, ended by the end-of-sequence token and padded on the right."""
        end = int(cast(Tensor, self._ends)[0])
        rows = [[*ids, end] for ids in self.processor.tokenizer(answers, add_special_tokens=False)["input_ids"]]
        longest = max(len(row) for row in rows)
        if longest > self.max_new_tokens:
            raise ValueError(f"an answer of {longest} tokens does not fit max_new_tokens={self.max_new_tokens}")
        tokens = torch.tensor([row + [self.pad_token_id] * (longest - len(row)) for row in rows], device=self.device)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        return tokens, torch.arange(longest, device=self.device) < lengths[:, None]

    @torch.no_grad()
    def generate(
        self, inputs: VLMInputs, repeats: int = 1, *, generator: torch.Generator | None = None, deterministic: bool = False
    ) -> Samples:
        """Sample answers with the prompts run once each; stops as soon as every row has ended."""
        prefix = self._prefill(inputs, repeats)
        hidden, mask = prefix.hidden, prefix.mask
        alive = torch.ones(len(hidden), dtype=torch.bool, device=self.device)
        columns: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for position in range(self.max_new_tokens):
            logits = self._logits(hidden)
            token = logits.argmax(-1)
            if not deterministic:
                token = torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(-1)
            token = torch.where(alive, token, self.pad_token_id)
            logprob, _ = token_statistics(logits, token)
            columns.append((token, alive, torch.where(alive, logprob, 0.0), torch.where(alive, self._values(hidden), 0.0)))
            alive = alive & ~torch.isin(token, cast(Tensor, self._ends))
            if not alive.any() or position == self.max_new_tokens - 1:
                break
            mask = torch.cat([mask, columns[-1][1].to(mask)[:, None]], dim=1)
            hidden = self._run(token[:, None], mask, (prefix.lengths + position)[:, None], prefix.cache)[:, -1]
        tokens, within, logprobs, values = (torch.stack(column, dim=1) for column in zip(*columns, strict=True))
        return Samples(tokens, within, logprobs, values, truncated=alive)

    def evaluate(self, inputs: VLMInputs, tokens: Tensor, mask: Tensor) -> Evaluation:
        """Score answers with the prompts run once each, under autograd if it is on."""
        length = max(1, int(mask.sum(1).max()))
        full_shape = mask.shape
        tokens, mask = tokens[:, :length], mask[:, :length]
        group = len(tokens) // len(inputs)
        prefix = self._prefill(inputs, 1)
        hidden = prefix.hidden.repeat_interleave(group, 0)[:, None]
        if length > 1:
            packed = self._run_packed(tokens[:, :-1], mask[:, :-1], prefix)
            hidden = torch.cat([hidden, packed], dim=1)
        chosen = hidden[mask]
        results = (*token_statistics(self._logits(chosen), tokens[mask]), self._values(chosen))
        full = []
        for result in results:
            padded = result.new_zeros(full_shape)
            padded[:, :length][mask] = result
            full.append(padded)
        return Evaluation(*full)

    def decode(self, tokens: Tensor, mask: Tensor, truncated: Tensor) -> list[str]:
        """Turn answers into text; one that was cut off at the length limit says so and is no answer."""
        ends = set(cast(Tensor, self._ends).tolist())
        rows = [row[keep].tolist() for row, keep in zip(tokens.cpu(), mask.cpu(), strict=True)]
        rows = [row[:-1] if row and row[-1] in ends else row for row in rows]
        # Other special tokens stay visible: an answer that holds one is not well-formed.
        texts = self.processor.tokenizer.batch_decode(rows, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return [text + TRUNCATED if cut else text for text, cut in zip(texts, truncated.tolist(), strict=True)]

    def save(self, folder: Path) -> None:
        """Write model, processor and value head to `folder`; the model loads with plain `from_pretrained`."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.value_head.state_dict().items()}
        save_file(weights, folder / "value_head.safetensors")

    def load_weights(self, folder: Path) -> None:
        """Read the weights of model and value head, checking that every one arrives."""
        auto: Any = AutoModelForImageTextToText
        loaded, report = auto.from_pretrained(folder, dtype=self.model.dtype, output_loading_info=True)
        problems = {kind: keys for kind, keys in report.items() if keys}
        if problems:
            raise ValueError(f"the weights in {folder} do not fit {type(self.model).__name__}: {problems}")
        self.model.load_state_dict(loaded.state_dict(), strict=True)
        value_head = load_file(folder / "value_head.safetensors")
        if set(value_head) != set(self.value_head.state_dict()):
            raise ValueError(f"the value head's weights in {folder} are {sorted(value_head)}, expected weight and bias")
        self.value_head.load_state_dict(value_head, strict=True)

    def _prompt_text(self, prompt: str, pictures: int) -> str:
        """Put a prompt with its pictures into the model's chat format; equal prompts are formatted once."""
        key = (prompt, pictures)
        if key not in self._prompt_texts:
            if len(self._prompt_texts) > 10_000:
                self._prompt_texts.clear()
            content = [*({"type": "image"} for _ in range(pictures)), {"type": "text", "text": prompt}]
            if getattr(self.processor, "chat_template", None):
                messages = [{"role": "user", "content": content}]
                text = self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            else:
                text = self.processor.image_token * pictures + prompt
            self._prompt_texts[key] = text
        return self._prompt_texts[key]

    def _base(self) -> Any:
        return getattr(self.model, self.model.base_model_prefix)

    def _vision_modules(self) -> list[nn.Module]:
        base = self._base()
        names = ("vision_tower", "visual", "vision_model", "multi_modal_projector", "connector")
        found = [getattr(base, name) for name in names if hasattr(base, name)]
        if not found:
            raise ValueError(f"freeze_vision: {type(self.model).__name__} has none of {', '.join(names)}")
        return found

    def _image_features(self, pixels: Tensor) -> Any:
        config = self.model.config
        keys = ("vision_feature_layer", "vision_feature_select_strategy")
        choice = {key: getattr(config, key) for key in keys if hasattr(config, key)}
        return self._base().get_image_features(pixel_values=pixels, return_dict=True, **choice)

    def _prefill(self, inputs: VLMInputs, repeats: int) -> _Prefix:
        """Run the prompts and repeat what they left behind for each of their answers."""
        cache = DynamicCache(config=self.model.config.get_text_config())
        mask = inputs.attention_mask
        pictures: dict[str, Any] = {}
        if inputs.features is not None:
            features: Any = list(inputs.features.flatten(0, 1))
            pictures["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=features)}
        elif inputs.pixel_values is not None:
            pictures["pixel_values"] = inputs.pixel_values.flatten(0, 1)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        common = self._common_prefix(inputs)
        if common:
            self._run(inputs.input_ids[:1, :common], mask[:1, :common], positions[:1, :common], cache)
            cache.batch_repeat_interleave(len(inputs))
        hidden = self._run(inputs.input_ids[:, common:], mask, positions[:, common:], cache, **pictures)[:, -1]
        if repeats > 1:
            cache.batch_repeat_interleave(repeats)
            hidden, mask = hidden.repeat_interleave(repeats, 0), mask.repeat_interleave(repeats, 0)
        return _Prefix(hidden, cache, mask, mask.sum(-1))

    def _run_packed(self, tokens: Tensor, mask: Tensor, prefix: _Prefix) -> Tensor:
        """Run the answers (n, T) of each prompt side by side in one row behind it; return hidden states (n, T, hidden).

        Each answer attends to its prompt and to itself, so keys and values of the prompt need not be repeated.
        """
        prompts, length = len(prefix.mask), tokens.shape[1]
        group = len(tokens) // prompts
        answer = torch.arange(group * length, device=self.device) // length
        causal = torch.ones(group * length, group * length, dtype=torch.bool, device=self.device).tril()
        within = (answer[:, None] == answer[None, :]) & causal
        allowed = torch.cat(
            [
                prefix.mask.bool()[:, None, :].expand(-1, group * length, -1),
                within[None]
                & (mask.reshape(prompts, 1, -1) | torch.eye(group * length, dtype=torch.bool, device=self.device)),
            ],
            dim=2,
        )
        positions = prefix.lengths[:, None] + torch.arange(length, device=self.device).repeat(group)
        # Added to the scores, as every attention implementation that takes a mask of this shape does.
        whole = torch.zeros(allowed.shape, dtype=self.model.dtype, device=self.device)
        whole = whole.masked_fill(~allowed, torch.finfo(torch.bfloat16).min)
        packed = self._run(tokens.reshape(prompts, -1), whole[:, None], positions, prefix.cache)
        return packed.reshape(len(tokens), length, -1)

    def _common_prefix(self, inputs: VLMInputs) -> int:
        """Return how many leading tokens all prompts share, pictures excepted: they run once for the whole batch."""
        ids = inputs.input_ids
        shared = (ids == ids[:1]).all(0) & inputs.attention_mask.bool().all(0) & (ids[0] != self.image_token_id)
        return min(int(shared.long().cumprod(0).sum()), ids.shape[1] - 1) if len(ids) > 1 else 0

    def _run(self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache, **pictures: Any) -> Tensor:
        outputs = self._base()(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            **pictures,
        )
        return cast(Tensor, outputs.last_hidden_state)

    def _logits(self, hidden: Tensor) -> Tensor:
        """Return float32 logits over the vocabulary, divided by the temperature; a picture's token cannot be said."""
        logits: Tensor = self.model.get_output_embeddings()(hidden).float() / self.temperature
        forbidden = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
        forbidden[self.image_token_id] = True
        return logits.masked_fill(forbidden, IMPOSSIBLE)

    def _values(self, hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return cast(Tensor, self.value_head(hidden.float())).squeeze(-1)
