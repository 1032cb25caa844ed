"""The parts of an assembled VLM: a LLaVA of transformers whose vision tower is an EfficientNet-Lite.

The tower is registered with `AutoConfig` and `AutoModel` (importing this module makes its model type known); all the rest,
`LlavaForConditionalGeneration` and `LlavaProcessor`, is what transformers has already. `ssl4rl_agents.policies.assemble`
fills such a model with pretrained weights.
"""

from __future__ import annotations

import json
from typing import Any, cast

import torch
from huggingface_hub.dataclasses import strict
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling

from ssl4rl_agents.policies.nano import IMAGE, square_processor

LITE0 = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Stages of EfficientNet-Lite0: blocks, kernel, stride of the first block, expansion, channels."""

LITE2 = (
    (1, 3, 1, 1, 16),
    (3, 3, 2, 6, 24),
    (3, 5, 2, 6, 48),
    (4, 3, 2, 6, 88),
    (4, 5, 1, 6, 120),
    (5, 5, 2, 6, 208),
    (1, 3, 1, 6, 352),
)
"""Those of EfficientNet-Lite2: 1.1 times as wide and 1.2 times as deep, stem, head and outermost stages left as they are."""

STAGES = {"lite0": LITE0, "lite2": LITE2}
"""Stages by the name of the tower."""

# ChatML. Within a message the text stands before the pictures: prompts that differ in their pictures alone then share all
# their text, which runs once for a whole batch.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '\n<image>' }}{% endfor %}"
    "{% endif %}"
    "{{ '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@strict
class EfficientNetLiteConfig(PreTrainedConfig):
    """Configuration of `EfficientNetLite`.

    Args:
        stem: channels of the first convolution, which halves the side.
        stages: (blocks, kernel, stride of the first block, expansion, channels) each, as in table 1 of arXiv 1905.11946.
        hidden_size: channels of the last convolution, the width of a picture's tokens.
        image_size: side of the pictures in pixels, a multiple of `patch_size`.
    """

    model_type = "ssl4rl_efficientnet_lite"

    stem: int = 32
    stages: list[list[int]] | tuple[tuple[int, ...], ...] = LITE0
    hidden_size: int = 1280
    image_size: int = 224

    @property
    def patch_size(self) -> int:
        """How many pixels of a side become one token."""
        size = 2
        for _, _, stride, _, _ in self.stages:
            size *= stride
        return size


class SameConv(nn.Module):
    """A convolution with TensorFlow's "same" padding, whose odd pixel goes to the right and below; and ReLU6 if asked.

    There is no batch normalisation: a pretrained one is folded into weight and bias, so that training and evaluation mode
    are the same network.
    """

    def __init__(
        self, channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, activate: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, groups=groups)
        self.kernel, self.stride, self.activate = kernel, stride, activate

    def forward(self, pictures: Tensor) -> Tensor:
        """Return maps whose side is that of the pictures over the stride, rounded up."""
        padding: list[int] = []
        for side in (pictures.shape[-1], pictures.shape[-2]):  # as F.pad has it, the last axis first
            total = max((-(-side // self.stride) - 1) * self.stride + self.kernel - side, 0)
            padding += [total // 2, total - total // 2]
        maps = self.conv(F.pad(pictures, padding) if any(padding) else pictures)
        return F.relu6(maps) if self.activate else maps


class InvertedBottleneck(nn.Module):
    """Widen, convolve every channel by itself, narrow (Sandler et al. 2018, arXiv 1801.04381)."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = SameConv(channels, wide) if expansion != 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = SameConv(wide, out, activate=False)
        self.residual = stride == 1 and channels == out

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps of the next block."""
        wide = maps if self.expand is None else self.expand(maps)
        narrow: Tensor = self.project(self.depthwise(wide))
        return maps + narrow if self.residual else narrow


class EfficientNetLite(PreTrainedModel):
    """Pictures (n, 3, side, side) to tokens (n, tokens, hidden_size), row by row of the last feature map."""

    config: EfficientNetLiteConfig
    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"
    input_modalities = "image"
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.stem = SameConv(3, config.stem, 3, 2)
        blocks: list[nn.Module] = []
        width = config.stem
        for count, kernel, stride, expansion, channels in config.stages:
            for index in range(count):
                blocks.append(InvertedBottleneck(width, channels, kernel, stride if index == 0 else 1, expansion))
                width = channels
        self.blocks = nn.ModuleList(blocks)
        self.head = SameConv(width, config.hidden_size)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Return the tokens; they are the only hidden states there are."""
        maps = self.stem(pixel_values)
        for block in self.blocks:
            maps = block(maps)
        tokens = self.head(maps).flatten(2).transpose(1, 2)
        return BaseModelOutputWithPooling(last_hidden_state=tokens, hidden_states=(tokens,))


def add_image_token(tokenizer: PreTrainedTokenizerFast, reserved: str) -> PreTrainedTokenizerFast:
    """Return a tokenizer in which a reserved special token is called `<image>`, so that no embedding is added.

    Raises:
        ValueError: there is no such token.
    """
    data = json.loads(tokenizer.backend_tokenizer.to_str())
    vocabulary = data["model"]["vocab"]
    if reserved not in vocabulary:
        raise ValueError(f"the tokenizer has no token {reserved!r} that {IMAGE} could take the place of")
    vocabulary[IMAGE] = vocabulary.pop(reserved)
    for added in data["added_tokens"]:
        if added["content"] == reserved:
            added["content"] = IMAGE
    names = ("bos_token", "eos_token", "pad_token", "unk_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(data)),
        additional_special_tokens=[IMAGE],
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
        **{name: getattr(tokenizer, name) for name in names},
    )


def build_processor(config: EfficientNetLiteConfig, tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Join the tokenizer and an image processor that prepares pictures as EfficientNet-Lite was trained on them."""
    side, patch = config.image_size, config.patch_size
    return square_processor(tokenizer, CHAT_TEMPLATE, side, patch, mean=127 / 255, std=128 / 255)


def build_llava(
    vision: EfficientNetLiteConfig, text: PreTrainedConfig, tokenizer: PreTrainedTokenizerFast, seed: int = 0
) -> LlavaForConditionalGeneration:
    """Build a LLaVA with fresh weights from the configurations of its tower and its decoder."""
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=cast(int, tokenizer.convert_tokens_to_ids(IMAGE)),
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
        tie_word_embeddings=bool(text.tie_word_embeddings),
    )
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(config, name, getattr(tokenizer, name))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlavaForConditionalGeneration(config)


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLite)
