"""VLMPolicy: a Hugging Face image-text-to-text model, or a causal language model, with a value head.

Prompts run once for all answers to them, and what all prompts of a batch begin with runs once for all of them. In sampling,
the prompt fills the key-value cache, which is then repeated for the answers of its group; in the update, the same happens
under autograd, and gradients flow through the repeated keys and values back into the prompt and its pictures. With gradient
checkpointing a prompt and its answers are one row without a cache, since what is computed again may not fill it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
import torch._dynamo as dynamo
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer
from typing_extensions import override

from ssl4rl_agents.policies.allowed import Allowed
from ssl4rl_agents.policies.conversations import Conversations, join
from ssl4rl_agents.policies.decoder import Decoder
from ssl4rl_agents.policies.freezing import freeze_parts, freeze_tower, parts_of
from ssl4rl_agents.policies.fused_norms import fuse_norms
from ssl4rl_agents.policies.limits import position_limit, require_room
from ssl4rl_agents.policies.loading import load_value_head, load_weights_checked, without_bars
from ssl4rl_agents.policies.lora import add_lora, has_lora, merged_weights, train_lora, without_lora
from ssl4rl_agents.policies.policy import Evaluation, Policy, Samples, Together, masked_statistics, token_statistics
from ssl4rl_agents.policies.prompts import PromptEncoder, VLMInputs
from ssl4rl_agents.policies.replay import evaluate_conversations
from ssl4rl_agents.policies.sampling import Choose, grow, sample
from ssl4rl_agents.policies.sayable import IMPOSSIBLE, logit_scaling, unsayable, unscaled
from ssl4rl_agents.policies.selfcheck import check_model
from ssl4rl_agents.policies.support import base_of, explained
from ssl4rl_agents.policies.talk import Talk
from ssl4rl_agents.policies.talkcheck import check_talk
from ssl4rl_agents.policies.templates import said_of, whole_reply
from ssl4rl_agents.policies.turns_text import Between
from ssl4rl_agents.policies.windows import batch_windows
from ssl4rl_agents.readability import TRUNCATED
from ssl4rl_envs.answers import check_style

STATIC = {"auto": None, "static": True, "dynamic": False}
"""By `cache`, what `Decoder` is told."""

LOGITS = 2**24
"""Most logits that exist at a time in `VLMPolicy.evaluate`; more tokens are scored in parts, whose logits are computed again
on the way back."""


class VLMPolicy(Policy):
    """A language model that reads a prompt, with pictures if it can see, and writes an answer.

    Args:
        model: an image-text-to-text or causal model of transformers.
        processor: its processor (`ssl4rl_agents.policies.processing`); with a chat template if the model has one.
        max_new_tokens: longest answer, its end-of-sequence token included.
        temperature: divides the logits wherever they are used: sampling, log-probabilities, entropies.
        freeze_vision: leave the vision tower and its connector as they are; pictures then run through them once, for the
            rollout and all epochs of its update.
        freeze: parts that are left as they are (`freezing.parts_of`).
        gradient_checkpointing: keep only the inputs of each layer for the way back and compute the rest again.
        lora_rank: train low-rank adapters of this rank and nothing else of the model; 0 trains its weights.
        lora_alpha: scale of the adapters; twice the rank if None.
        prompt_style: how the model is asked to reply, "direct" or "think".
        template_arguments: what its chat template is told beside the prompt, e.g. {"enable_thinking": False}.
        cache: what answers grow in when they are sampled: "static", memory of a fixed size, whose steps a GPU records as CUDA
            graphs; "dynamic", memory that grows; "auto", the former on a GPU.

    Raises:
        ValueError: the model cannot be run this way; the message names it and says why.
    """

    interface = "text"
    reader: ClassVar[type[PromptEncoder]] = PromptEncoder
    runner: ClassVar[type[Decoder]] = Decoder

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        max_new_tokens: int = 16,
        temperature: float = 1.0,
        freeze_vision: bool = False,
        freeze: Sequence[str] = (),
        gradient_checkpointing: bool = False,
        lora_rank: int = 0,
        lora_alpha: int | None = None,
        prompt_style: str = "direct",
        template_arguments: Mapping[str, Any] | None = None,
        cache: Literal["auto", "static", "dynamic"] = "auto",
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}; use deterministic=True for the likeliest")
        self.model, self.processor = model, processor
        self.max_new_tokens, self.temperature = max_new_tokens, temperature
        name, tokenizer = type(model).__name__, processor.tokenizer
        ends = model.generation_config.eos_token_id
        ends = tokenizer.eos_token_id if ends is None else ends
        if tokenizer.pad_token_id is None or ends is None:
            raise ValueError(f"{name} needs a pad and an end-of-sequence token in its tokenizer")
        self.pad_token_id = int(tokenizer.pad_token_id)
        self.prompt_style, self.freeze_vision = check_style(prompt_style), False
        with explained(model):
            batch_windows(base_of(model))
            fuse_norms(model)
            self.encoder = self.reader(model, processor, template_arguments)
            self.decoder = self.runner(model, gradient_checkpointing=gradient_checkpointing, static=STATIC[cache])
            self._between, self._talked = Between(self.encoder, self.prompt_style), False
            self._take_apart(ends, freeze_vision=freeze_vision)
            self._prepare_weights(lora_rank, lora_alpha, freeze, freeze_vision=freeze_vision)
        self.eval()
        check_model(self)
        self._no_split_modules = getattr(model, "_no_split_modules", None)  # what accelerate wraps in one piece

    def _take_apart(self, ends: int | list[int], *, freeze_vision: bool) -> None:
        """Find the parts of the model: what reads prompts, what runs them, what makes logits of hidden states."""
        model, tokenizer = self.model, self.processor.tokenizer
        text_config = model.config.get_text_config()
        self.freeze_vision = freeze_vision and self.encoder.image_token_id is not None
        self._scale_logits = logit_scaling(text_config)
        self.positions = position_limit(model.config)
        head = model.get_output_embeddings()
        self.value_head = nn.Linear(head.in_features, 1, dtype=torch.float32, device=model.device)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        forbidden = unsayable(model, tokenizer, head.out_features)
        ended = torch.tensor(ends if isinstance(ends, list) else [ends])
        for name, ids in (("_forbidden", forbidden), ("_unsaid", forbidden.nonzero().flatten()), ("_ends", ended)):
            self.register_buffer(name, ids.to(model.device), persistent=False)

    @property
    def critic(self) -> nn.Module:
        """The value head."""
        return self.value_head

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.value_head.weight.device

    @property
    def ends(self) -> list[int]:
        """The tokens that end an answer."""
        return cast(list[int], cast(Tensor, self._ends).tolist())

    @property
    def unsaid(self) -> list[int]:
        """The tokens that cannot be said: those that stand for pictures, and ids that the tokenizer has no token for."""
        return cast(list[int], cast(Tensor, self._unsaid).tolist())

    def forbid(self, tokens: list[int]) -> None:
        """Let no answer hold these tokens from now on; without those that end one, all are of the greatest length."""
        forbidden = cast(Tensor, self._forbidden)
        forbidden[tokens] = True
        self.register_buffer("_unsaid", forbidden.nonzero().flatten(), persistent=False)

    def initial(self) -> AbstractContextManager[None] | None:
        """With adapters, the model without them is what training began with."""
        return without_lora(self.model) if has_lora(self.model) else None

    @override
    def train(self, mode: bool = True) -> VLMPolicy:
        """Keep evaluation mode: dropout stays off, so that sampling and update see the same network."""
        return super().train(False)

    def work_together(self, processes: Together) -> None:
        """Make the same passes in all processes; see `Policy.work_together`.

        Raises:
            ValueError: the attention takes no masks, and without them the passes depend on what is read.
        """
        super().work_together(processes)
        if self.adapters is not None:
            self.adapters.leave()
        self.decoder.make_same_passes()

    def compile_layers(self, backend: str = "inductor") -> None:
        """Compile each layer of decoder and vision tower with this backend of torch.compile; shapes stay free."""
        layers = [module for module in self.model.modules() if isinstance(module, GradientCheckpointingLayer)]
        self.decoder.static = False  # what is compiled anew in the middle of a step cannot be recorded
        # Layers share their code, and each is compiled for its place in the cache, with gradients and without.
        dynamo.config.recompile_limit = max(dynamo.config.recompile_limit, 8 * len(layers))
        for layer in layers:
            layer.compile(dynamic=True, backend=backend)

    def encode(self, observations: dict[str, Any]) -> VLMInputs:
        """Run the processor over pictures (n, height, width, 3) by name and `prompt`, n strings.

        Raises:
            ValueError: prompt and answer are longer than the model's positions, or it takes no pictures.
        """
        inputs = self.encoder(observations, self.device)
        self._require_room(inputs)
        return self._seen(inputs)

    def _require_room(self, inputs: VLMInputs) -> None:
        prompt = int(inputs.positions.max()) + 1
        require_room(type(self.model).__name__, self.positions, prompt, self.max_new_tokens)

    def _seen(self, inputs: VLMInputs) -> VLMInputs:
        """Let a frozen tower see the pictures of prompts."""
        if not self.freeze_vision or not inputs.pictures:
            return inputs
        with torch.no_grad():
            return replace(inputs, pictures={}, features=self.decoder.features(inputs.pictures))

    def encode_next(self, observations: dict[str, Any]) -> VLMInputs:
        """Encode what is said after a reply, as `encode` does: the end of its turn, the prompt, and what asks for a reply.

        Raises:
            UnsupportedModelError: the chat template cannot be followed from turn to turn, or the model has no conversations.
        """
        return self._seen(self._between(observations, self.device))

    def join(self, parts: Sequence[VLMInputs], replies: Sequence[tuple[Tensor, Tensor]]) -> VLMInputs:
        """Write conversations as one prompt each; see `conversations.join`.

        Raises:
            ValueError: prompt and answer are longer than the model's positions.
        """
        inputs = join(parts, replies, self.decoder.answer_type)
        self._require_room(inputs)
        return inputs

    def talk(self, inputs: VLMInputs, repeats: int = 1, decisions: int | None = None) -> Talk:
        """Begin a conversation with each of `repeats` rows a prompt; see `Policy.talk`.

        Raises:
            UnsupportedModelError: the model holds none, which is found out by the first.
        """
        if decisions != 1 and not self._talked:
            check_talk(self)
            self._talked = True
        return Talk(self, inputs, repeats, decisions)

    def is_end(self, tokens: Tensor) -> Tensor:
        """Return which tokens end an answer."""
        return torch.isin(tokens, cast(Tensor, self._ends))

    def encode_answers(self, answers: list[str]) -> tuple[Tensor, Tensor]:
        """Write replies as tokens, ended by the end-of-sequence token and padded on the right.

        What the chat template writes of a reply is left out, since it is in the prompt.
        """
        answers = [said_of(answer, self.encoder.written, self.prompt_style) for answer in answers]
        usual = self.processor.tokenizer.eos_token_id
        end = usual if usual in self.ends else self.ends[0]
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
        """Sample answers."""
        how = partial(sample, generator=generator, deterministic=deterministic)
        return self._behind(inputs, repeats, self.max_new_tokens, how)

    @torch.no_grad()
    def grow(self, inputs: VLMInputs, repeats: int, longest: int, choose: Choose) -> Samples:
        """Let answers grow behind their prompts, which run once each, as `sampling.grow` does."""
        return self._behind(inputs, repeats, longest, partial(grow, choose=choose))

    def _behind(self, inputs: VLMInputs, repeats: int, longest: int, answer: Callable[..., Samples]) -> Samples:
        with self.copied_adapters():
            prefix = self.decoder.prefill(inputs)
            self.decoder.spread(prefix, repeats, longest)
            samples = answer(self, prefix, answers=inputs.answers)
            self.decoder.finish(prefix)
        return samples

    def copied_adapters(self) -> AbstractContextManager[None]:
        """Keep adapters in the precision of autocast for a while, where it is on."""
        kind = self.device.type
        if self.adapters is None or not torch.is_autocast_enabled(kind):
            return nullcontext()
        return self.adapters.copied(torch.get_autocast_dtype(kind))

    def evaluate(self, inputs: VLMInputs | Conversations, tokens: Tensor, mask: Tensor) -> Evaluation:
        """Score answers with the prompts run once each, or the replies of conversations, under autograd if it is on."""
        if isinstance(inputs, Conversations):
            if len(inputs.widths) > 1:
                return evaluate_conversations(self, inputs, tokens, mask)
            inputs = inputs.first
        length = max(1, int(mask.sum(1).max()))
        within = mask[:, :length]
        chosen = self.decoder.answers(inputs, tokens[:, :length], within)[within]
        allowed = None if self.constraint is None else self.constraint.of(tokens, mask, inputs.answers)[mask]
        results = (*self.statistics(chosen, tokens[mask], allowed), self.values(chosen))
        return Evaluation(*(result.new_zeros(mask.shape).masked_scatter(mask, result) for result in results))

    def decode(self, tokens: Tensor, mask: Tensor, truncated: Tensor) -> list[str]:
        """Turn answers into whole replies; one that was cut off at the length limit says so and is no answer.

        What the chat template has written of a reply is part of it.
        """
        ends = set(self.ends)
        rows = [row[keep].tolist() for row, keep in zip(tokens.cpu(), mask.cpu(), strict=True)]
        rows = [row[:-1] if row and row[-1] in ends else row for row in rows]
        # Other special tokens stay visible: an answer that holds one is not well-formed.
        texts = self.processor.tokenizer.batch_decode(rows, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        texts = [text + TRUNCATED if cut else text for text, cut in zip(texts, truncated.tolist(), strict=True)]
        return [whole_reply(self.encoder.written, text, self.prompt_style) for text in texts]

    def merged_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Give the model's weights one by one, adapters added to what they adapt, by the names of the model without them."""
        yield from merged_weights(self.model)

    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """Write model, processor and value head to `folder`; the model loads with plain `from_pretrained`.

        Args:
            folder: where to.
            weights: the policy's whole state dict, where several processes hold a part of it each.
        """
        whole = self.state_dict() if weights is None else weights
        parts = {
            part: {name.removeprefix(part): value for name, value in whole.items() if name.startswith(part)}
            for part in ("model.", "value_head.")
        }
        with without_bars():
            self.model.save_pretrained(folder, **({} if weights is None else {"state_dict": parts["model."]}))
        self.processor.save_pretrained(folder)
        head = {name: tensor.detach().cpu().contiguous() for name, tensor in parts["value_head."].items()}
        save_file(head, folder / "value_head.safetensors")

    def load_weights(self, folder: Path) -> None:
        """Read the weights of model and value head, checking that every one arrives."""
        load_weights_checked(self.model, folder)
        load_value_head(self.value_head, folder)

    def _prepare_weights(self, lora_rank: int, lora_alpha: int | None, freeze: Sequence[str], *, freeze_vision: bool) -> None:
        """Add adapters and decide what learns."""
        model = self.model
        if lora_rank and has_lora(model):
            train_lora(model)
        elif lora_rank:
            add_lora(model, lora_rank, lora_alpha or 2 * lora_rank, vision=not freeze_vision)
        self.adapters = None
        if has_lora(model):
            from ssl4rl_agents.policies.slim_lora import SlimAdapters  # which needs peft

            self.adapters = SlimAdapters(model)
        if self.freeze_vision:
            freeze_tower(model)
        freeze_parts(parts_of(model), freeze, type(model).__name__)

    def statistics(self, hidden: Tensor, tokens: Tensor, allowed: Allowed | None = None) -> tuple[Tensor, Tensor]:
        """Return log-probabilities and entropies of tokens (n,), never with more than `LOGITS` logits at a time."""
        rows = max(1, LOGITS // self.model.get_output_embeddings().out_features)
        if len(tokens) <= rows:
            return self._scored(hidden, tokens, allowed)

        starts = range(0, len(tokens), rows)
        masks = [None if allowed is None else allowed[start : start + rows] for start in starts]
        parts = zip(torch.split(hidden, rows), torch.split(tokens, rows), masks, strict=True)
        scored = [checkpoint(self._scored, *part, use_reentrant=False) for part in parts]
        logprobs, entropies = (torch.cat(list(column)) for column in zip(*scored, strict=True))
        return logprobs, entropies

    def _scored(self, hidden: Tensor, tokens: Tensor, allowed: Allowed | None) -> tuple[Tensor, Tensor]:
        statistics = token_statistics if allowed is None else masked_statistics
        return statistics(self.logits(hidden, allowed), tokens)

    def logits(self, hidden: Tensor, allowed: Allowed | None = None) -> Tensor:
        """Return what `sayable` gives for hidden states (n, hidden); what is not `allowed` there has no chance either."""
        return self.sayable(self._scale_logits(self.model.get_output_embeddings()(hidden).float()), allowed)

    def leave_logits_alone(self) -> None:
        """Take the head's logits as they are, whatever the decoder's configuration says: AyaVision does not scale them."""
        self._scale_logits = unscaled

    def sayable(self, logits: Tensor, allowed: Allowed | None = None) -> Tensor:
        """Return a model's logits divided by the temperature; what cannot be said, as a picture's token, has no chance."""
        logits = logits.float() if self.temperature == 1 else logits.float() / self.temperature  # which may be large
        forbidden = cast(Tensor, self._forbidden)
        return logits.masked_fill(forbidden if allowed is None else allowed.others(forbidden), IMPOSSIBLE)

    def values(self, hidden: Tensor) -> Tensor:
        """Return values of hidden states (..., hidden), in float32."""
        with torch.autocast(hidden.device.type, enabled=False):
            return cast(Tensor, self.value_head(hidden.float())).squeeze(-1)
