"""From observations to what a model reads: chat format, tokens, positions, pictures."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import BatchEncoding

from ssl4rl_agents.policies.answerable import ANSWERABLE
from ssl4rl_agents.policies.picture_plans import NotLearnedError, PicturePlan, learn
from ssl4rl_agents.policies.pictures import Features, on_device, split_pictures
from ssl4rl_agents.policies.support import UnsupportedModelError, base_of
from ssl4rl_agents.policies.templates import check_arguments, written_reply
from ssl4rl_agents.policy_settings import PREFIX_MODELS

LOGGER = logging.getLogger("ssl4rl_agents")

Pictures = NDArray[np.uint8] | Tensor
"""Pictures (n, height, width, 3) uint8; tensors may lie on any device."""

Form = Callable[[str, int], str]
"""Writes a prompt with so many pictures as the model reads it."""

TWO_WAY = {"gemma3": 1, "paligemma": 0}
"""Models whose prompts see in both directions, and the token type of which: runs of pictures, the whole prompt."""

PROBE = "Which one is it?"
"""A prompt that shows what a chat template puts behind prompts."""

SIDE = 36
"""Of the pictures that try a model out, in pixels."""


@dataclass
class VLMInputs:
    """Encoded prompts.

    Args:
        input_ids, attention_mask: (prompts, length), padded on the left.
        positions: (prompts, axes, length): one axis, or three where a model gives pictures time, height and width (M-RoPE).
        token_types: (prompts, length) what a model that sees in both directions is told of each token, else None.
        pictures: what the processor made of the pictures, (prompts, k, ...) each; empty where a frozen tower has seen them.
        features: what a frozen tower and connector made of them, or None.
        answers: (prompts, 1 + actions) int16 which answers may be given, see `answerable`; None where any may.
    """

    input_ids: Tensor
    attention_mask: Tensor
    positions: Tensor
    token_types: Tensor | None
    pictures: dict[str, Tensor]
    features: Features | None
    answers: Tensor | None = None

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
            None if self.answers is None else self.answers[rows],
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
        self.prefix_lm = model.config.model_type in PREFIX_MODELS
        """Whether all of a prompt sees all of it."""
        self._texts: dict[tuple[str, int], str] = {}
        self._plans: dict[tuple[int, tuple[tuple[int, int], ...]], PicturePlan | None] = {}

    def __call__(self, observations: dict[str, Any], device: torch.device) -> VLMInputs:
        """Encode pictures (n, height, width, 3) uint8 by name, arrays or tensors on any device, and `prompt`, n strings."""
        return self.inputs(self.processed(observations, device), observations.get(ANSWERABLE))

    def processed(self, observations: dict[str, Any], device: torch.device, form: Form | None = None) -> BatchEncoding:
        """Return what the processor makes of observations: all that the model itself takes, on a device.

        Args:
            observations: as of a call.
            device: where it goes.
            form: writes them in the middle of a conversation; None begins one.
        """
        texts, pictures = self._read(observations, form)
        plan = self._plan(pictures, device) if pictures else None
        if plan is None:
            return self._process(texts, _as_images(pictures, len(texts)), begin=form is None).to(device)
        return self._planned(plan, texts, pictures, device, begin=form is None)

    def _planned(
        self,
        plan: PicturePlan,
        texts: list[str],
        pictures: Sequence[Pictures],
        device: torch.device,
        *,
        begin: bool = True,
    ) -> BatchEncoding:
        """Do as the processor does, with the pictures processed on the device, and prompts that are equal read once."""
        shown = plan([on_device(seen, device) for seen in pictures])
        blank = [Image.new("RGB", (width, height)) for height, width in plan.sizes]
        distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        stand_in = plan.stand_in(self.processor.image_processor, len(distinct))
        encoded = self._process(list(distinct), [blank] * len(distinct), stand_in, begin=begin)
        which = torch.tensor([distinct[text] for text in texts])
        shares = split_pictures({k: v for k, v in encoded.items() if k not in plan.names}, len(distinct), self.name)
        tensors = {name: values[which].flatten(0, 1).to(device) for name, values in shares.items()}
        return BatchEncoding({**tensors, **shown})

    def _plan(self, pictures: Sequence[Pictures], device: torch.device) -> PicturePlan | None:
        """Return how pictures are processed on the device; None where the processor itself must do it, on the host."""
        sizes = tuple((int(seen.shape[1]), int(seen.shape[2])) for seen in pictures)
        key = (id(self.processor), sizes)
        if key not in self._plans:
            try:
                self._plans[key] = self._learn(sizes, device)
            except Exception as error:  # the code of every model's processor runs here, and each fails in its own way
                said = str(error) if isinstance(error, NotLearnedError) else f"{type(error).__name__}: {error}"
                LOGGER.log(
                    logging.INFO if device.type == "cpu" else logging.WARNING,
                    "%s: pictures are processed on the host, by %s, which is slower: %s",
                    self.name,
                    type(self.processor).__name__,
                    said,
                )
                self._plans[key] = None
        return self._plans[key]

    def _learn(self, sizes: Sequence[tuple[int, int]], device: torch.device) -> PicturePlan:
        """Learn what the processor does, and see it done for two prompts.

        Raises:
            NotLearnedError: it is not what the processor does.
        """
        texts = [self.text(prompt, len(sizes)) for prompt in (PROBE, f"{PROBE} {PROBE}")]
        random = np.random.default_rng(1)
        shown = [random.integers(0, 256, (len(texts), *size, 3), dtype=np.uint8) for size in sizes]
        plan = learn(
            lambda pictures, stand_in: self._process(texts[:1], pictures, stand_in), self.processor.image_processor, sizes
        )
        expected = self._process(texts, _as_images(shown, len(texts)))
        found = self._planned(plan, texts, shown, device).to("cpu")
        if expected.keys() != found.keys():
            raise NotLearnedError(f"it returns {sorted(expected)}, and {sorted(found)} without its pictures")
        wrong = [name for name, values in expected.items() if not torch.equal(values, found[name])]
        if wrong:
            raise NotLearnedError(f"its {', '.join(wrong)} is not what it was for other pictures")
        return plan

    def _process(
        self, texts: list[str], images: list[list[Image.Image]] | None, stand_in: Any = None, *, begin: bool = True
    ) -> BatchEncoding:
        """Run the processor over prompts in the model's chat format and their pictures.

        Args:
            texts: of n prompts.
            images: of each prompt, or None.
            stand_in: what takes the place of its image processor.
            begin: they begin a conversation.
        """
        processor = self.processor
        if stand_in is not None:
            processor = copy.copy(processor)
            processor.image_processor = stand_in
        start = processor.tokenizer.bos_token
        # As transformers itself does it: a language model's chat template is all there is; other prompts begin with what the
        # tokenizer puts there, unless the template has done so.
        complete = self.image_token_id is None and self.has_template
        special = begin and not complete and (start is None or not texts[0].startswith(start))
        encoded: BatchEncoding = processor(
            text=texts,
            images=images,
            return_tensors="pt",
            padding=True,
            padding_side="left",
            add_special_tokens=special,
        )
        return encoded

    def inputs(self, encoded: BatchEncoding, answers: NDArray[np.int16] | None = None) -> VLMInputs:
        """Return what the policy makes of that: tokens and their places, and each prompt's share of the pictures.

        Args:
            encoded: of some prompts.
            answers: which answers may be given to each; see `VLMInputs`.
        """
        by_token = {name: value for name, value in encoded.items() if value.shape == encoded["input_ids"].shape}
        seen = {name: value for name, value in encoded.items() if name not in by_token}
        return VLMInputs(
            by_token["input_ids"],
            by_token["attention_mask"],
            self._positions(by_token, seen),
            by_token["token_type_ids"] if self._two_way else None,
            split_pictures(seen, len(encoded["input_ids"]), self.name),
            None,
            None if answers is None else torch.from_numpy(answers).to(by_token["input_ids"].device),
        )

    @property
    def sees(self) -> bool:
        """Whether something stands in prompts that is no word."""
        return self.image_token_id is not None

    def example(self, count: int) -> dict[str, Any]:
        """Return what `count` prompts that try the model out show beside their words: two pictures each."""
        shown = np.random.default_rng(0).integers(0, 256, (2, count, SIDE, SIDE, 3), dtype=np.uint8)
        return {"image": shown[0], "reference": shown[1]}

    @property
    def has_template(self) -> bool:
        """Whether there is a chat template."""
        return bool(getattr(self.processor, "chat_template", None))

    @cached_property
    def written(self) -> str:
        """What the chat template writes of every reply; see `templates`."""
        if not self.has_template:
            return ""
        return written_reply(self.text(PROBE, 0 if self.image_token_id is None else 1), PROBE)

    def formatted(self, observations: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
        """Return the prompts in the model's chat format, and the pictures of each, uint8 arrays (height, width, 3).

        Raises:
            ValueError: there are pictures, and the model reads text alone.
        """
        texts, pictures = self._read(observations)
        arrays = [_on_host(seen) for seen in pictures]
        return texts, [[seen[row] for seen in arrays] for row in range(len(texts))]

    def _read(self, observations: dict[str, Any], form: Form | None = None) -> tuple[list[str], list[Pictures]]:
        """Return the prompts in the model's chat format, and the first pictures of all, the second ones, ..."""
        names = sorted(
            name for name in observations if name not in ("prompt", ANSWERABLE)
        )  # as Gymnasium's Dict spaces order them
        if names and self.image_token_id is None:
            raise ValueError(f"{self.name} reads text alone; this environment shows pictures ({', '.join(names)})")
        texts = [(form or self.text)(prompt, len(names)) for prompt in observations["prompt"]]
        return texts, [observations[name] for name in names]

    def text(self, prompt: str, pictures: int) -> str:
        """Put a prompt with its pictures into the model's chat format; equal prompts are formatted once."""
        key = (prompt, pictures)
        if key not in self._texts:
            if len(self._texts) > 10_000:
                self._texts.clear()
            self._texts[key] = self._format(prompt, pictures)
        return self._texts[key]

    def _format(self, prompt: str, pictures: int) -> str:
        if not self.has_template:
            return cast(str, self.processor.image_token) * pictures + prompt if pictures else prompt
        return self.rendered([self.message("user", prompt, pictures)])

    def message(self, role: str, words: str, pictures: int) -> dict[str, Any]:
        """Return a message as chat templates take it: pictures, then words."""
        parts = [*({"type": "image"} for _ in range(pictures)), {"type": "text", "text": words}]
        return {"role": role, "content": words if self.image_token_id is None else parts}

    def rendered(self, messages: list[dict[str, Any]]) -> str:
        """Return a conversation that asks for a reply, as the chat template writes it."""
        settings: dict[str, Any] = {**self._arguments, "add_generation_prompt": True, "tokenize": False}
        return cast(str, self.processor.apply_chat_template(messages, **settings))

    def _positions(self, by_token: dict[str, Tensor], seen: dict[str, Tensor]) -> Tensor:
        """Return the positions of the prompts' tokens, (n, axes, length)."""
        mask, ids = by_token["attention_mask"], by_token["input_ids"]
        place: Any = getattr(self._base, "get_rope_index", None)
        if place is None:
            return (mask.cumsum(-1) - 1).clamp(min=0)[:, None]
        takes = inspect.signature(place).parameters
        known = {name: value.cpu() for name, value in {**by_token, **seen}.items() if name in takes}  # it loops over prompts
        if "mm_token_type_ids" in takes:
            known.setdefault("mm_token_type_ids", torch.eq(known["input_ids"], self.image_token_id or -1).int())
        shares = split_pictures(known, len(ids), self.name)
        alike: dict[tuple[bytes, ...], int] = {}
        rows = [tuple(share[row].numpy().tobytes() for share in shares.values()) for row in range(len(ids))]
        which = torch.tensor([alike.setdefault(row, len(alike)) for row in rows])
        chosen = torch.tensor([rows.index(row) for row in alike])
        distinct = {name: share[chosen].flatten(0, 1) for name, share in shares.items()}
        return cast(Tensor, place(**distinct)[0]).permute(1, 0, 2)[which].to(ids.device)


def _as_images(pictures: Sequence[Pictures], prompts: int) -> list[list[Image.Image]] | None:
    """Return each prompt's pictures as PIL images: some processors take nothing else, and none has to guess its axes."""
    if not pictures:
        return None
    arrays = [_on_host(seen) for seen in pictures]
    return [[Image.fromarray(seen[row]) for seen in arrays] for row in range(prompts)]


def _on_host(pictures: Pictures) -> NDArray[np.uint8]:
    return pictures.cpu().numpy() if isinstance(pictures, Tensor) else pictures
