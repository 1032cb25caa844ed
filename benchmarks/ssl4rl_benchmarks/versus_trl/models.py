"""Models with random weights, their tokenizers and processors, built offline: for tests and for measurements of speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLProcessor,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from ssl4rl_agents.policies.nano import IMAGE, PAD, build_tokenizer
from ssl4rl_agents.policies.processing import without_videos

PARTS = (
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}PICTURE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
)
LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | upper }}: "
    + PARTS.replace("PICTURE", IMAGE)
    + " {% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    + PARTS.replace("PICTURE", "<|vision_start|><|image_pad|><|vision_end|>")
    + "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_TOKENS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


@dataclass(frozen=True)
class TinyLlava:
    """A LLaVA; the defaults are the sizes of the first speed comparison in docs/performance.md."""

    text_hidden: int = 128
    text_layers: int = 2
    vision_hidden: int = 64
    vision_layers: int = 2
    image_size: int = 32
    patch_size: int = 8

    def build(self, corpus: Sequence[str], dtype: torch.dtype, seed: int = 0) -> tuple[Any, Any]:
        """Build model and processor on the default device of torch; the tokenizer is trained on `corpus`."""
        tokenizer = build_tokenizer(corpus)
        vision = CLIPVisionConfig(
            hidden_size=self.vision_hidden,
            intermediate_size=4 * self.vision_hidden,
            num_hidden_layers=self.vision_layers,
            num_attention_heads=4,
            image_size=self.image_size,
            patch_size=self.patch_size,
            projection_dim=self.vision_hidden,
        )
        text = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.text_hidden,
            intermediate_size=4 * self.text_hidden,
            num_hidden_layers=self.text_layers,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=2048,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
        config = LlavaConfig(
            vision_config=vision,
            text_config=text,
            image_token_index=_id(tokenizer, IMAGE),
            vision_feature_select_strategy="default",
        )
        side = {"height": self.image_size, "width": self.image_size}
        images = CLIPImageProcessorPil(size=side, do_center_crop=False, default_to_square=True)
        make: Any = LlavaProcessor
        processor = make(
            images,
            tokenizer,
            patch_size=self.patch_size,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=LLAVA_TEMPLATE,
            image_token=IMAGE,
        )
        return _fresh(config, tokenizer, dtype, seed), processor


@dataclass(frozen=True)
class QwenVL:
    """A Qwen2.5-VL; the defaults are the sizes of Qwen2.5-VL-3B (its config.json), the tokenizer aside.

    The tokenizer knows a few hundred tokens, trained on the prompts; the vocabulary that the model scores keeps its size. Ids
    of special tokens are the tokenizer's.
    """

    hidden: int = 2048
    layers: int = 36
    heads: int = 16
    key_value_heads: int = 2
    intermediate: int = 11008
    vocabulary: int = 151936
    mrope_section: tuple[int, int, int] = (16, 24, 24)
    vision_hidden: int = 1280
    vision_layers: int = 32
    vision_heads: int = 16
    vision_intermediate: int = 3420
    full_attention: tuple[int, ...] = (7, 15, 23, 31)
    window: int = 112
    image_size: int = 224
    patch_size: int = 14

    def build(self, corpus: Sequence[str], dtype: torch.dtype, seed: int = 0) -> tuple[Any, Any]:
        """Build model and processor on the default device of torch; the tokenizer is trained on `corpus`."""
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=build_tokenizer(corpus).backend_tokenizer,
            pad_token=PAD,
            eos_token="<|im_end|>",  # noqa: S106 (no password)
            padding_side="left",
        )
        tokenizer.add_special_tokens({"extra_special_tokens": list(QWEN_TOKENS)})
        patches: dict[str, Any] = {"patch_size": self.patch_size, "temporal_patch_size": 2}
        config = Qwen2_5_VLConfig(
            text_config=self._text(tokenizer),
            vision_config=self._vision() | patches,
            image_token_id=_id(tokenizer, "<|image_pad|>"),
            video_token_id=_id(tokenizer, "<|video_pad|>"),
            vision_start_token_id=_id(tokenizer, "<|vision_start|>"),
            vision_end_token_id=_id(tokenizer, "<|vision_end|>"),
            tie_word_embeddings=True,
        )
        size = {"shortest_edge": (2 * self.patch_size) ** 2, "longest_edge": self.image_size**2}
        processor = without_videos(Qwen2_5_VLProcessor)(
            Qwen2VLImageProcessorPil(merge_size=2, size=size, **patches),
            tokenizer,
            {"video_processor_type": "Qwen2VLVideoProcessor", "merge_size": 2, **patches},
            chat_template=QWEN_TEMPLATE,
        )
        return _fresh(config, tokenizer, dtype, seed), processor

    def _text(self, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
        """Return the sizes of the decoder."""
        return {
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_value_heads,
            "max_position_embeddings": 128000,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(self.mrope_section)},
            "tie_word_embeddings": True,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": None,
        }

    def _vision(self) -> dict[str, Any]:
        """Return the sizes of the vision tower, its patches aside."""
        return {
            "depth": self.vision_layers,
            "hidden_size": self.vision_hidden,
            "intermediate_size": self.vision_intermediate,
            "num_heads": self.vision_heads,
            "out_hidden_size": self.hidden,
            "spatial_merge_size": 2,
            "window_size": self.window,
            "fullatt_block_indexes": list(self.full_attention),
            "tokens_per_second": 2,
        }


MODELS: dict[str, TinyLlava | QwenVL] = {
    "tiny": TinyLlava(),
    "wide": TinyLlava(text_layers=4, vision_layers=4, image_size=64),
    "qwen2.5-vl-3b": QwenVL(),
    "qwen-small": QwenVL(
        hidden=256,
        layers=8,
        heads=4,
        key_value_heads=2,
        intermediate=1024,
        vocabulary=32000,
        mrope_section=(8, 12, 12),
        vision_hidden=128,
        vision_layers=4,
        vision_heads=4,
        vision_intermediate=256,
        full_attention=(3,),
        window=56,
        image_size=112,
    ),
    "qwen-tiny": QwenVL(
        hidden=64,
        layers=2,
        heads=4,
        key_value_heads=2,
        intermediate=96,
        vocabulary=1024,
        mrope_section=(2, 3, 3),
        vision_hidden=32,
        vision_layers=2,
        vision_heads=2,
        vision_intermediate=48,
        full_attention=(1,),
        window=16,
        image_size=32,
        patch_size=8,
    ),
}
"""The models of the comparison: by name."""

LORA_RANKS = {"qwen2.5-vl-3b": 64, "qwen-tiny": 8}
"""Rank of the adapters where it is not given; the other models train all their weights."""


def save_model(
    name: str, folder: Path, corpus: Sequence[str], dtype: torch.dtype, device: str = "cpu", seed: int = 0
) -> None:
    """Write a model to a folder that `from_pretrained` reads, which is how both trainers take one.

    Args:
        name: of `MODELS`.
        folder: where to; the largest model takes 8 GB.
        corpus: texts like those it will read.
        dtype: of the weights.
        device: where the weights are drawn.
        seed: of the weights.
    """
    with torch.device(device):
        model, processor = MODELS[name].build(corpus, dtype, seed)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _fresh(config: Any, tokenizer: PreTrainedTokenizerFast, dtype: torch.dtype, seed: int) -> Any:
    """Draw the weights of a model; it ends answers as its tokenizer does."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        model: Any = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    generation = model.generation_config
    generation.eos_token_id, generation.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    return model


def _id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    found: Any = tokenizer.convert_tokens_to_ids(token)
    return int(found)
