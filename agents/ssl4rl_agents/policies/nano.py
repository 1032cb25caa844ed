"""Nano: a vision-language model small enough to learn from scratch on a CPU in a minute.

A convolutional tower turns each picture into a few tokens for a Llama decoder. It is a transformers model like any other:
registered with `AutoConfig`, `AutoModelForImageTextToText` and `AutoProcessor`, saved and loaded by `save_pretrained` and
`from_pretrained` (importing this module makes its model type known).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from huggingface_hub.dataclasses import strict
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationMixin,
    LlavaProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.configuration_utils import SubConfigSpec
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.modeling_llava import LlavaCausalLMOutputWithPast, LlavaModelOutputWithPast

from ssl4rl_agents.policy_settings import NANO_TYPE

IMAGE, PAD, EOS = "<image>", "<pad>", "<eos>"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")

VOCABULARY = 512
"""Tokens of nano's tokenizer, unless it is to know more words."""

SIDE = 32
"""Side in pixels of the pictures that nano sees, unless it is told."""

POSITIONS = 2**17
"""Its positions are rotary and it learns from scratch, so none is beyond what it was made for; graphs make long prompts."""

POSITION_SCALE = 1.0
"""Of the tower's position embedding at first, about that of the features it is added to: attention over a network's first
features is even, and what it sees of a picture is then not their mean alone."""

# The text stands before the pictures: prompts that differ in their pictures alone then share all their text.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>{% endfor %}"
    "{% if message['role'] == 'assistant' %}{{ '<eos>' }}{% else %}{{ '\n' }}{% endif %}"
    "{% endfor %}"
)


@strict
class NanoVLMConfig(PreTrainedConfig):
    """Configuration of `NanoVLMForConditionalGeneration`.

    Args:
        text_config: the decoder's, a `LlamaConfig`.
        image_size: side of the pictures it sees, in pixels.
        channels: of the tower's convolutions, each of which halves the side; pictures become
            (image_size / 2**len(channels))**2 tokens.
        image_token_id: the token in whose place the picture's tokens stand.
    """

    model_type = NANO_TYPE
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama")
    }

    text_config: dict[str, Any] | PreTrainedConfig | None = None
    image_size: int = SIDE
    channels: list[int] | tuple[int, ...] = (24, 48, 64)
    image_token_id: int = 0

    @property
    def patch_size(self) -> int:
        """Side in pixels of what one token sees first-hand."""
        return int(2 ** len(self.channels))


class ConvTower(nn.Module):
    """Pictures (n, 3, side, side) to tokens (n, tokens, hidden): strided convolutions, a position embedding, a projection."""

    def __init__(self, config: NanoVLMConfig, hidden_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for channels in config.channels:
            layers += [nn.Conv2d(width, channels, 3, stride=2, padding=1), nn.GroupNorm(4, channels), nn.GELU()]
            width = channels
        self.layers = nn.Sequential(*layers)
        side = config.image_size // config.patch_size
        self.positions = nn.Parameter(torch.zeros(1, side * side, width))
        self.projection = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden_size))

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return the tokens of the pictures."""
        features = self.layers(pixel_values).flatten(2).transpose(1, 2)
        return cast(torch.Tensor, self.projection(features + self.positions))


class NanoVLMPreTrainedModel(PreTrainedModel):
    """Weights: what transformers needs to know."""

    config: NanoVLMConfig
    config_class = NanoVLMConfig
    base_model_prefix = "model"
    _supports_sdpa = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, ConvTower):
            nn.init.normal_(module.positions, std=POSITION_SCALE)
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


class NanoVLMModel(NanoVLMPreTrainedModel):
    """The tower and the decoder, without the language-model head."""

    def __init__(self, config: NanoVLMConfig) -> None:
        super().__init__(config)
        text_config = config.get_text_config()
        self.vision_tower = ConvTower(config, text_config.hidden_size)
        self.language_model = AutoModel.from_config(text_config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Return the decoder's token embedding."""
        return cast(nn.Module, self.language_model.get_input_embeddings())

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the decoder's token embedding."""
        self.language_model.set_input_embeddings(value)

    def get_image_features(self, pixel_values: torch.Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Return the tokens of pictures (n, 3, side, side); `pooler_output` is a list of n tensors (tokens, hidden)."""
        tokens: Any = list(self.vision_tower(pixel_values))
        return BaseModelOutputWithPooling(pooler_output=tokens)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        mm_encoder_outputs: dict[str, Any] | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> LlavaModelOutputWithPast:
        """Run the decoder over tokens (n, length), with the pictures' tokens in the places of the image token.

        Args:
            input_ids: (n, length).
            pixel_values: all pictures in the order of their places, or None.
            mm_encoder_outputs: {"image": what `get_image_features` returned} in their stead.
            inputs_embeds: (n, length, hidden) in the stead of tokens and pictures.
            kwargs: the decoder's: attention_mask, position_ids, past_key_values, use_cache, ...
        """
        embeddings = self.get_input_embeddings()(input_ids) if inputs_embeds is None else inputs_embeds
        images = (mm_encoder_outputs or {}).get("image")
        if images is None and pixel_values is not None:
            images = self.get_image_features(pixel_values)
        if images is not None and input_ids is not None:
            features = torch.cat(list(images.pooler_output)).to(embeddings)
            where = input_ids == self.config.image_token_id
            if int(where.sum()) != len(features):
                raise ValueError(f"{int(where.sum())} image tokens in the prompt, {len(features)} from the pictures")
            embeddings = embeddings.masked_scatter(where.unsqueeze(-1), features)
        outputs = self.language_model(inputs_embeds=embeddings, **kwargs)
        return LlavaModelOutputWithPast(
            last_hidden_state=outputs.last_hidden_state,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


class NanoVLMForConditionalGeneration(NanoVLMPreTrainedModel, GenerationMixin):
    """The whole model: pictures and text in, text out."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012 (transformers' own)

    def __init__(self, config: NanoVLMConfig) -> None:
        super().__init__(config)
        self.model = NanoVLMModel(config)
        text_config = config.get_text_config()
        self.lm_head = nn.Linear(text_config.hidden_size, text_config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """Return the language-model head."""
        return cast(nn.Module, self.lm_head)

    def get_image_features(self, pixel_values: torch.Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:
        """Return the tokens of pictures; see `NanoVLMModel.get_image_features`."""
        return cast(BaseModelOutputWithPooling, self.model.get_image_features(pixel_values, **kwargs))

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> LlavaCausalLMOutputWithPast:
        """Return logits (n, length, vocabulary), of the last `logits_to_keep` places alone if it is not 0."""
        outputs = self.model(input_ids, pixel_values=pixel_values, **kwargs)
        logits = self.lm_head(outputs.last_hidden_state[:, -logits_to_keep:])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=logits.shape[-1])
        return LlavaCausalLMOutputWithPast(loss=loss, logits=logits, past_key_values=outputs.past_key_values)


def build_tokenizer(corpus: Sequence[str], vocab_size: int = VOCABULARY, *, phrases: bool = False) -> PreTrainedTokenizerFast:
    """Train a byte-pair tokenizer on a few texts; any text can be written with it.

    The answer tags are tokens of their own and survive ``decode(skip_special_tokens=True)``.

    Args:
        corpus: texts like those it will read and write, e.g. the prompts of the tasks.
        vocab_size: most tokens.
        phrases: tokens may reach over several words, so that a prompt which is asked again and again is a few tokens, and a
            number may be one; otherwise each word has tokens of its own, and each digit.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=not phrases),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not phrases),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=1,
        special_tokens=[PAD, EOS, IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*corpus, string.printable], trainer)
    tokenizer.add_tokens(list(TAGS))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        additional_special_tokens=[IMAGE],
        padding_side="left",
    )


def build_processor(config: NanoVLMConfig, tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Join the tokenizer and an image processor for the model's picture size."""
    return square_processor(tokenizer, CHAT_TEMPLATE, config.image_size, config.patch_size, mean=0.5, std=0.25)


def square_processor(
    tokenizer: PreTrainedTokenizerFast, chat_template: str, side: int, patch_size: int, *, mean: float, std: float
) -> LlavaProcessor:
    """Join a tokenizer and an image processor that makes every picture a square.

    Args:
        tokenizer: knows `IMAGE`.
        chat_template: writes `IMAGE` for a picture.
        side: of the square in pixels.
        patch_size: how many pixels of a side become one token.
        mean, std: of all channels; pixels in [0, 1] become (pixel - mean) / std.
    """
    images = CLIPImageProcessorPil(
        size={"height": side, "width": side},
        do_center_crop=False,
        image_mean=[mean] * 3,
        image_std=[std] * 3,
        default_to_square=True,
    )
    return LlavaProcessor(
        images,
        tokenizer,
        patch_size=patch_size,
        vision_feature_select_strategy="full",
        chat_template=chat_template,
        image_token=IMAGE,
    )


def build_nano(
    corpus: Sequence[str],
    seed: int = 0,
    hidden: int = 64,
    layers: int = 2,
    image_size: int | None = None,
    vocabulary: int = VOCABULARY,
) -> tuple[NanoVLMForConditionalGeneration, LlavaProcessor]:
    """Build a fresh nano model and its processor.

    Args:
        corpus: prompts of the tasks it is to read, and answers to them; its tokenizer is trained on these texts.
        seed: of the initial weights.
        hidden: width of the decoder and of the tower, a multiple of 32.
        layers: of the decoder.
        image_size: side of the pictures it sees, a multiple of 8; 32 if None.
        vocabulary: most tokens.
    """
    tokenizer = build_tokenizer(corpus, vocabulary, phrases=True)
    text_config = {
        "model_type": "llama",
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "intermediate_size": hidden * 5 // 2,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": POSITIONS,
        "initializer_range": 0.125,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": True,
    }
    special: dict[str, Any] = {
        "tie_word_embeddings": True,
        "image_token_id": tokenizer.convert_tokens_to_ids(IMAGE),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    channels = [hidden * share // 8 for share in (3, 6, 8)]
    config = NanoVLMConfig(text_config=text_config, channels=channels, image_size=image_size or SIDE, **special)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NanoVLMForConditionalGeneration(config)
    return model, build_processor(config, tokenizer)


AutoConfig.register(NanoVLMConfig.model_type, NanoVLMConfig)
AutoModel.register(NanoVLMConfig, NanoVLMModel)
AutoModelForImageTextToText.register(NanoVLMConfig, NanoVLMForConditionalGeneration)
AutoProcessor.register(NanoVLMConfig, LlavaProcessor)
