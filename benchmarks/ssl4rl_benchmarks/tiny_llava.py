"""A tiny LLaVA with random weights, its tokenizer and processor, built offline: for tests and for speed measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from ssl4rl_agents.policies.nano import IMAGE, build_tokenizer

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | upper }}: "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %} {% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


@dataclass(frozen=True)
class TinyLlava:
    """Sizes of the model; the defaults are those of the speed comparison in docs/performance.md."""

    text_hidden: int = 128
    text_layers: int = 2
    vision_hidden: int = 64
    vision_layers: int = 2
    image_size: int = 32
    patch_size: int = 8

    def build(self, corpus: Sequence[str], seed: int = 0) -> tuple[LlavaForConditionalGeneration, Any]:
        """Build model and processor; the tokenizer is trained on `corpus`."""
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
        image_token: Any = tokenizer.convert_tokens_to_ids(IMAGE)
        config = LlavaConfig(
            vision_config=vision, text_config=text, image_token_index=image_token, vision_feature_select_strategy="default"
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = LlavaForConditionalGeneration(config)
        generation: Any = model.generation_config
        generation.eos_token_id, generation.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
        side = {"height": self.image_size, "width": self.image_size}
        images = CLIPImageProcessorPil(size=side, do_center_crop=False, default_to_square=True)
        make: Any = LlavaProcessor
        processor = make(
            images,
            tokenizer,
            patch_size=self.patch_size,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=CHAT_TEMPLATE,
            image_token=IMAGE,
        )
        return model, processor

    def save(self, folder: Path, corpus: Sequence[str], seed: int = 0) -> None:
        """Build it and write it to a folder that `from_pretrained` reads."""
        model, processor = self.build(corpus, seed)
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
