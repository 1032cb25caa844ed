"""Tiny random models of many families with their own processors, built without a network.

Each has two decoder layers of 64 numbers a token, sees pictures through the real Pil image processor of its family at 32 x 32
pixels, and writes chats in the format of its family. Prompts of two 36 x 36 pictures hold 8 to 32 image tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from transformers import PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from ssl4rl_agents.policies.nano import PAD, build_tokenizer
from ssl4rl_agents.policies.processing import TextProcessor, without_videos

CORPUS = ("By how many degrees was this picture turned? Reply like this: <answer>90</answer>", "Angle 12?")

SIDE = {"height": 32, "width": 32}
PARTS_IN_ORDER = (
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ IMAGE }}{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
)


def chat(image: str, before: str, after: str, reply: str, start: str = "") -> str:
    """A chat template: each message between `before` (its role in ROLE) and `after`, `image` for a picture, then `reply`."""
    before = before.replace("ROLE", "{{ message['role'] }}")
    body = PARTS_IN_ORDER.replace("{{ IMAGE }}", image)
    end = f"{{% if add_generation_prompt %}}{reply}{{% endif %}}"
    return f"{start}{{% for message in messages %}}{before}{body}{after}{{% endfor %}}{end}"


CHATML = {"before": "<|im_start|>ROLE\n", "after": "<|im_end|>\n", "reply": "<|im_start|>assistant\n"}
IM = ("<|im_start|>", "<|im_end|>")


def tokenizer_of(
    corpus: Sequence[str], end: str, tokens: Sequence[str] = (), start: str | None = None, **named: str
) -> PreTrainedTokenizerFast:
    """A tokenizer trained on `corpus`, with special tokens, of which some are known to their family by a name."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=build_tokenizer(corpus).backend_tokenizer,
        pad_token=PAD,
        eos_token=end,
        bos_token=start,
        padding_side="left",
        model_specific_special_tokens=named,
    )
    tokenizer.add_special_tokens({"extra_special_tokens": list(tokens)})
    return tokenizer


def specials(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
    }


def text_settings(tokenizer: PreTrainedTokenizerFast, **more: Any) -> dict[str, Any]:
    """Settings that the decoders of all families have."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        **specials(tokenizer),
        **more,
    }


def vision_settings(**more: Any) -> dict[str, Any]:
    """Settings that most vision towers have: 16 patches a picture."""
    return {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        **more,
    }


def id_of(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    return int(tokenizer.convert_tokens_to_ids(token))


QWEN_TOKENS = (*IM, "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")


def qwen_vl(
    corpus: Sequence[str],
    config_class: Any,
    processor_class: Any,
    video: str,
    vision: dict[str, Any],
    rope: dict[str, Any],
    **text: Any,
) -> tuple[Any, Any]:
    """The three Qwen-VLs: pictures of any size as a flat row of patches, four of which make a token, and M-RoPE."""
    tokenizer = tokenizer_of(corpus, "<|im_end|>", QWEN_TOKENS)
    patches = {"patch_size": 8, "temporal_patch_size": 2}
    images = Qwen2VLImageProcessorPil(merge_size=2, size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64}, **patches)
    picture = "<|vision_start|><|image_pad|><|vision_end|>"
    # The real class reads videos with torchvision; its code runs here without that part.
    processor = without_videos(processor_class)(
        images,
        tokenizer,
        {"video_processor_type": video, "merge_size": 2, **patches},
        chat_template=chat(picture, **CHATML),
    )
    rope = {"rope_type": "default", "rope_theta": 10000.0, **rope}  # its sections are halves of heads of 16 numbers
    config = config_class(
        text_config=text_settings(tokenizer, rope_parameters=rope, tie_word_embeddings=True, **text),
        vision_config={
            "depth": 2,
            "num_heads": 2,
            "patch_size": 8,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            **vision,
        },
        image_token_id=id_of(tokenizer, "<|image_pad|>"),
        video_token_id=id_of(tokenizer, "<|video_pad|>"),
        vision_start_token_id=id_of(tokenizer, "<|vision_start|>"),
        vision_end_token_id=id_of(tokenizer, "<|vision_end|>"),
        tie_word_embeddings=True,
    )
    return config, processor


def qwen2_vl(corpus: Sequence[str]) -> tuple[Any, Any]:
    """Qwen2VLProcessor without videos (torchvision)."""
    vision = {"embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2}
    rope = {"mrope_section": [2, 3, 3]}
    return qwen_vl(corpus, hf.Qwen2VLConfig, hf.Qwen2VLProcessor, "Qwen2VLVideoProcessor", vision, rope)


def qwen2_5_vl(corpus: Sequence[str]) -> tuple[Any, Any]:
    """Qwen2_5_VLProcessor without videos (torchvision). One layer of the tower sees windows, one everything."""
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "out_hidden_size": 64,
        "window_size": 16,
        "fullatt_block_indexes": [1],
    }
    rope = {"mrope_section": [2, 3, 3]}
    return qwen_vl(corpus, hf.Qwen2_5_VLConfig, hf.Qwen2_5_VLProcessor, "Qwen2VLVideoProcessor", vision, rope)


def qwen3_vl(corpus: Sequence[str]) -> tuple[Any, Any]:
    """Qwen3VLProcessor without videos (torchvision). Both layers of the tower also feed those of the decoder."""
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "out_hidden_size": 64,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0, 1],
    }
    rope = {"mrope_section": [4, 2, 2], "mrope_interleaved": True}
    return qwen_vl(corpus, hf.Qwen3VLConfig, hf.Qwen3VLProcessor, "Qwen3VLVideoProcessor", vision, rope, head_dim=16)


IDEFICS = ("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", "<|im_start|>")
IDEFICS_CHAT = chat(
    "<image>",
    before="{{ message['role'] | capitalize }}: ",
    after="<end_of_utterance>\n",
    reply="Assistant:",
    start="<|im_start|>",
)


def idefics_like(config_class: Any, tokenizer: PreTrainedTokenizerFast) -> Any:
    """Idefics3 and SmolVLM: a pixel shuffle turns 16 patches into 4 tokens."""
    return config_class(
        text_config=text_settings(tokenizer, model_type="llama"),
        vision_config=vision_settings(),
        image_token_id=id_of(tokenizer, "<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )


def smolvlm(corpus: Sequence[str]) -> tuple[Any, Any]:
    """SmolVLMProcessor without videos (torchvision, and num2words for the text beside their frames)."""
    tokenizer = tokenizer_of(corpus, "<end_of_utterance>", IDEFICS)
    images = SmolVLMImageProcessorPil(size={"longest_edge": 32}, max_image_size={"longest_edge": 32})
    video = {"video_processor_type": "SmolVLMVideoProcessor", "num_frames": 4, "fps": 1}
    processor = without_videos(hf.SmolVLMProcessor)(images, tokenizer, video, image_seq_len=4, chat_template=IDEFICS_CHAT)
    return idefics_like(hf.SmolVLMConfig, tokenizer), processor


def idefics3(corpus: Sequence[str]) -> tuple[Any, Any]:
    """Idefics3Processor as it is."""
    tokenizer = tokenizer_of(corpus, "<end_of_utterance>", IDEFICS)
    images = Idefics3ImageProcessorPil(size={"longest_edge": 32}, max_image_size={"longest_edge": 32})
    processor = hf.Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=IDEFICS_CHAT)
    return idefics_like(hf.Idefics3Config, tokenizer), processor


def llava(corpus: Sequence[str]) -> tuple[Any, Any]:
    """LlavaProcessor as it is; 16 tokens a picture."""
    tokenizer = tokenizer_of(corpus, "</s>", ("<image>",), start="<s>")
    images = CLIPImageProcessorPil(size=SIDE, do_center_crop=False, default_to_square=True)
    processor = hf.LlavaProcessor(
        images,
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        image_token="<image>",
        num_additional_image_tokens=1,
        chat_template=chat("<image>\n", before="{{ message['role'] | upper }}: ", after=" ", reply="ASSISTANT:", start="<s>"),
    )
    config = hf.LlavaConfig(
        text_config=text_settings(tokenizer, model_type="llama"),
        vision_config=vision_settings(model_type="clip_vision_model"),
        image_token_id=id_of(tokenizer, "<image>"),
    )
    return config, processor


def llava_onevision(corpus: Sequence[str]) -> tuple[Any, Any]:
    """LlavaOnevisionProcessor without videos (torchvision). A lone picture is also seen in tiles, several are not."""
    tokenizer = tokenizer_of(corpus, "<|im_end|>", (*IM, "<image>", "<video>"))
    images = LlavaOnevisionImageProcessorPil(size=SIDE, image_grid_pinpoints=[[32, 32]])
    video = {"video_processor_type": "LlavaOnevisionVideoProcessor", "size": SIDE}
    processor = without_videos(hf.LlavaOnevisionProcessor)(
        images,
        tokenizer,
        video,
        num_image_tokens=4,
        vision_feature_select_strategy="full",
        chat_template=chat("<image>\n", **CHATML),
    )
    config = hf.LlavaOnevisionConfig(
        text_config=text_settings(tokenizer, model_type="qwen2", tie_word_embeddings=True),
        vision_config=vision_settings(model_type="siglip_vision_model", patch_size=16, vision_use_head=False),
        image_token_index=id_of(tokenizer, "<image>"),
        video_token_index=id_of(tokenizer, "<video>"),
        image_grid_pinpoints=[[32, 32]],
        tie_word_embeddings=True,
    )
    return config, processor


def internvl(corpus: Sequence[str]) -> tuple[Any, Any]:
    """InternVLProcessor without videos (torchvision)."""
    named = {"start_image": "<img>", "end_image": "</img>", "context_image": "<IMG_CONTEXT>", "video": "<video>"}
    tokenizer = tokenizer_of(corpus, "<|im_end|>", IM, **{f"{name}_token": token for name, token in named.items()})
    video = {"video_processor_type": "InternVLVideoProcessor", "size": SIDE}
    processor = without_videos(hf.InternVLProcessor)(
        GotOcr2ImageProcessorPil(size=SIDE, crop_to_patches=True),
        tokenizer,
        video,
        image_seq_length=4,
        chat_template=chat("<IMG_CONTEXT>\n", **CHATML),
    )
    config = hf.InternVLConfig(
        text_config=text_settings(tokenizer, model_type="qwen2", tie_word_embeddings=True),
        vision_config=vision_settings(),
        image_token_id=id_of(tokenizer, "<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    return config, processor


def gemma3(corpus: Sequence[str]) -> tuple[Any, Any]:
    """Gemma3Processor as it is. One layer looks back 16 tokens, one to the start; a picture sees all of itself."""
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    turns = ("<start_of_turn>", "<end_of_turn>")
    tokenizer = tokenizer_of(corpus, "<end_of_turn>", turns, start="<bos>", **named)
    template = chat(
        "<start_of_image>",
        before="<start_of_turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n",
        after="<end_of_turn>\n",
        reply="<start_of_turn>model\n",
        start="{{ bos_token }}",
    )
    processor = hf.Gemma3Processor(Gemma3ImageProcessorPil(size=SIDE), tokenizer, chat_template=template, image_seq_length=4)
    text = text_settings(
        tokenizer,
        head_dim=16,
        query_pre_attn_scalar=16,
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention"],
    )
    config = hf.Gemma3Config(
        text_config=text,
        vision_config=vision_settings(model_type="siglip_vision_model", vision_use_head=False),
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
    )
    return config, processor


def paligemma(corpus: Sequence[str], **text: Any) -> tuple[Any, Any]:
    """PaliGemmaProcessor as it is; without a chat template, as in the family. All of a prompt sees all of it."""
    tokenizer = tokenizer_of(corpus, "<eos>", ("<image>",), start="<bos>")
    images = SiglipImageProcessorPil(size=SIDE, image_seq_length=4)
    processor = hf.PaliGemmaProcessor(images, tokenizer)  # adds 1152 tokens for places and segments
    gemma = {"model_type": "gemma", "head_dim": 16, "num_key_value_heads": 1, **text}
    config = hf.PaliGemmaConfig(
        text_config=text_settings(tokenizer, **gemma),
        vision_config=vision_settings(model_type="siglip_vision_model", patch_size=16, vision_use_head=False),
        image_token_index=id_of(tokenizer, "<image>"),
        projection_dim=64,
        hidden_size=64,
    )
    return config, processor


def paligemma2(corpus: Sequence[str]) -> tuple[Any, Any]:
    """The same over Gemma 2: logits that are capped, and every other layer with a window, which no prompt here fills."""
    return paligemma(corpus, model_type="gemma2", sliding_window=512, final_logit_softcapping=5.0, query_pre_attn_scalar=16)


def aya_vision(corpus: Sequence[str]) -> tuple[Any, Any]:
    """AyaVisionProcessor as it is. Its decoder's configuration scales logits, and the whole model does not."""
    marks = ("<image>", "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>", "TILE", "TILE_GLOBAL")
    tokenizer = tokenizer_of(corpus, "<|END_OF_TURN_TOKEN|>", (*IM, *marks))
    processor = hf.AyaVisionProcessor(
        GotOcr2ImageProcessorPil(size=SIDE, crop_to_patches=False),
        tokenizer,
        patch_size=8,
        img_size=32,
        downsample_factor=2,
        image_token="<image>",
        img_patch_token="<|IMG_PATCH|>",
        chat_template=chat("<image>", **CHATML),
    )
    layers = ["sliding_attention", "full_attention"]
    text = text_settings(tokenizer, model_type="cohere2", logit_scale=0.0625, sliding_window=16, layer_types=layers)
    config = hf.AyaVisionConfig(
        text_config=text,
        vision_config=vision_settings(model_type="siglip_vision_model", vision_use_head=False),
        image_token_index=id_of(tokenizer, "<|IMG_PATCH|>"),
        downsample_factor=2,
        alignment_intermediate_size=64,
        vision_feature_select_strategy="full",
    )
    return config, processor


def idefics2(corpus: Sequence[str]) -> tuple[Any, Any]:
    """Idefics2Processor as it is, which takes PIL images alone. A perceiver makes 4 tokens of 16 patches."""
    tokenizer = tokenizer_of(corpus, "<end_of_utterance>", IDEFICS)
    images = Idefics2ImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 32}, do_image_splitting=False)
    perceiver = {"resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 2, "num_key_value_heads": 1}
    config = hf.Idefics2Config(
        text_config=text_settings(tokenizer, model_type="mistral"),
        vision_config=vision_settings(),
        perceiver_config={**perceiver, "resampler_head_dim": 16, "hidden_size": 64},
        image_token_id=id_of(tokenizer, "<image>"),
        pad_token_id=tokenizer.pad_token_id,
    )
    return config, hf.Idefics2Processor(images, tokenizer, image_seq_len=4, chat_template=IDEFICS_CHAT)


def llama(corpus: Sequence[str]) -> tuple[Any, Any]:
    """Text alone: a tokenizer."""
    tokenizer = tokenizer_of(corpus, "<|eot_id|>", ("<|start_header_id|>", "<|end_header_id|>"), start="<|begin_of_text|>")
    tokenizer.chat_template = (
        "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
        "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
    )
    return hf.LlamaConfig(**text_settings(tokenizer)), TextProcessor(tokenizer)


def qwen2(corpus: Sequence[str]) -> tuple[Any, Any]:
    """Text alone: a tokenizer."""
    tokenizer = tokenizer_of(corpus, "<|im_end|>", IM)
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return hf.Qwen2Config(**text_settings(tokenizer, tie_word_embeddings=True)), TextProcessor(tokenizer)


RECIPES: dict[str, Callable[[Sequence[str]], tuple[Any, Any]]] = {
    recipe.__name__: recipe
    for recipe in (
        qwen2_vl,
        qwen2_5_vl,
        qwen3_vl,
        smolvlm,
        idefics3,
        llava,
        llava_onevision,
        internvl,
        gemma3,
        paligemma,
        paligemma2,
        aya_vision,
        idefics2,
        llama,
        qwen2,
    )
}
TEXT_FAMILIES = ("llama", "qwen2")
FAMILIES = tuple(RECIPES)
PICTURE_FAMILIES = tuple(family for family in FAMILIES if family not in TEXT_FAMILIES)


def auto_class(family: str) -> Any:
    """The transformers class that loads models of a family."""
    return hf.AutoModelForCausalLM if family in TEXT_FAMILIES else hf.AutoModelForImageTextToText


def build(family: str, corpus: Sequence[str] = CORPUS, seed: int = 0) -> tuple[Any, Any]:
    """A fresh model of a family and its processor; all its matrices are drawn with a spread of 0.1."""
    config, processor = RECIPES[family](corpus)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = auto_class(family).from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(0, 0.1)
    tokenizer = processor.tokenizer
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, processor


@functools.cache
def built(family: str) -> tuple[Any, Any]:
    """A model and processor to look at and leave as they are."""
    return build(family)


def save(family: str, folder: Path, corpus: Sequence[str] = CORPUS, seed: int = 0) -> None:
    """Write a model and its processor, so that `from_pretrained` and `load_processor` read them."""
    model, processor = build(family, corpus, seed)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
