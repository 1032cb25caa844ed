"""Every model is compared with itself alone before it is used; what differs is refused in a sentence that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil

from ssl4rl_agents.policies import attention, decoder, selfcheck, vlm
from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policies.decoder import Decoder
from ssl4rl_agents.policies.finite import DivergedError
from ssl4rl_agents.policies.loading import load_pretrained
from ssl4rl_agents.policies.nano import build_nano, build_tokenizer
from ssl4rl_agents.policies.processing import TextProcessor
from ssl4rl_agents.policies.support import RUNS, UnsupportedModelError
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policy_settings import PolicyConfig
from tests.agents import zoo

PROMPTS = ("Angle?", "By how many degrees was this picture turned: 0, 90, 180 or 270?")
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
GROUPED = {**SIZES, "num_key_value_heads": 1}
GEMMA = {**GROUPED, "head_dim": 16, "query_pre_attn_scalar": 16}
LOCAL = {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "attention_types": [[["global", "local"], 1]]}
WINDOWS = ["sliding_attention", "full_attention"]


def text_model(config_class: Any, **settings: Any) -> tuple[Any, TextProcessor]:
    """A random language model, whose layers matter, and its processor."""
    tokenizer = build_tokenizer(PROMPTS)
    ends = {
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.eos_token_id,
    }
    settings = {"vocab_size": len(tokenizer), **ends, **settings}
    return random_model(hf.AutoModelForCausalLM, config_class(**settings)), TextProcessor(tokenizer)


def random_model(auto: Any, config: Any) -> Any:
    torch.manual_seed(0)
    model = auto.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.1)
    return model


def apart(policy: VLMPolicy, prompts: tuple[str, ...] = PROMPTS) -> float:
    """How far sampling, scoring and the model alone are from each other."""
    inputs = policy.encode({"prompt": prompts})
    samples = policy.generate(inputs, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        scored = policy.evaluate(inputs, samples.tokens, samples.mask)
        worst = float((scored.logprobs - samples.logprobs).abs().max())
        for row, kept in enumerate(samples.mask):
            question = inputs.input_ids[row // 3][inputs.attention_mask[row // 3].bool()]
            answer = samples.tokens[row][kept]
            logits = policy.model(torch.cat([question, answer])[None]).logits[0, len(question) - 1 : -1]
            alone = policy.sayable(logits).log_softmax(-1).gather(-1, answer[:, None])[:, 0]
            worst = max(worst, float((alone - samples.logprobs[row][kept]).abs().max()))
    return worst


# What differs is refused

DIFFERENT: dict[str, tuple[Any, dict[str, Any], str]] = {
    "windows of 8": (hf.GPTNeoConfig, {**LOCAL, "window_size": 8}, r"a window \(window_size 8\)"),
    "windows of 256": (hf.GPTNeoConfig, {**LOCAL, "window_size": 256}, r"a window \(window_size 256\)"),
    "a head of its own": (hf.BertConfig, {**SIZES, "is_decoder": True}, "between its last hidden state and its logits"),
    "both directions": (hf.BertConfig, SIZES, "between its last hidden state and its logits"),
    "both directions, plain head": (hf.BertGenerationConfig, SIZES, "does not look back alone"),
    "another layer in the head": (hf.ModernBertDecoderConfig, SIZES, "between its last hidden state and its logits"),
    "a head of another width": (hf.ElectraConfig, {**SIZES, "is_decoder": True}, "cannot be run by VLMPolicy"),
    "recurrent": (hf.MambaConfig, {"hidden_size": 32, "num_hidden_layers": 1}, "places tokens by itself"),
    "recurrent, with positions": (
        hf.JambaConfig,
        {**GROUPED, "attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
        "layers of linear_attention",
    ),
    "linear attention": (hf.Qwen3NextConfig, {**GROUPED, "head_dim": 16}, "layers of linear_attention"),
    "convolutions": (
        hf.Lfm2Config,
        {**GROUPED, "layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
        "layers of conv",
    ),
    "rwkv": (hf.RwkvConfig, {"hidden_size": 32, "num_hidden_layers": 2}, "places tokens by itself"),
    "a decoder of an encoder": (
        hf.BartConfig,
        {"d_model": 32, "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 32, "encoder_layers": 1},
        "places tokens by itself",
    ),
    "chunks": (
        hf.Llama4TextConfig,
        {**GROUPED, "head_dim": 16, "intermediate_size_mlp": 64, "num_local_experts": 2, "attention_chunk_size": 16},
        "layers of chunked_attention",
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_models_of_other_layers_are_refused_by_their_name_and_kind(case):
    config_class, settings, reason = DIFFERENT[case]
    model, processor = text_model(config_class, **settings)
    with pytest.raises(UnsupportedModelError, match=reason) as refused:
        VLMPolicy(model, processor)
    assert type(model).__name__ in str(refused.value)
    assert str(refused.value).endswith(RUNS)
    if "log-probabilities" in str(refused.value):
        assert float(str(refused.value).split("up to ")[1].split()[0]) > 1e-3
        assert "of answer" in str(refused.value)


def mllama() -> tuple[Any, Any]:
    """Layers that look across at the pictures."""
    tokenizer = zoo.tokenizer_of(zoo.CORPUS, "<|eot_id|>", ("<|image|>", "<|python_tag|>"), start="<|begin_of_text|>")
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_global_layers": 1, "attention_heads": 2, "image_size": 32}
    sizes = {"patch_size": 8, "intermediate_size": 48, "vision_output_dim": 64, "intermediate_layers_indices": [0]}
    text = zoo.text_settings(tokenizer, rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
    config = hf.MllamaConfig(
        text_config={**text, "cross_attention_layers": [1]},
        vision_config={**vision, **sizes, "max_num_tiles": 2, "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]]},
        image_token_index=zoo.id_of(tokenizer, "<|image|>"),
    )
    images = MllamaImageProcessorPil(size=zoo.SIDE, max_image_tiles=2)
    template = zoo.chat("<|image|>", before="ROLE:", after="\n", reply="A:")
    return config, hf.MllamaProcessor(images, tokenizer, chat_template=template)


def blip2() -> tuple[Any, Any]:
    """A Q-Former, and a whole language model inside."""
    tokenizer = zoo.tokenizer_of(zoo.CORPUS, "</s>", ("<image>",), start="<s>")
    text = {"model_type": "opt", "vocab_size": len(tokenizer), "ffn_dim": 64, "word_embed_proj_dim": 32, **SIZES}
    config = hf.Blip2Config(
        vision_config=zoo.vision_settings(),
        qformer_config={**SIZES, "encoder_hidden_size": 32, "vocab_size": 100},
        text_config={**text, **zoo.specials(tokenizer)},
        num_query_tokens=4,
        image_token_index=zoo.id_of(tokenizer, "<image>"),
    )
    return config, hf.Blip2Processor(BlipImageProcessorPil(size=zoo.SIDE), tokenizer, num_query_tokens=4)


def llama4() -> tuple[Any, Any]:
    """Attention in chunks; its own image processor needs torchvision, and is never reached."""
    _, processor = zoo.build("llava")
    vision = {**zoo.vision_settings(), "intermediate_size": 128, "pixel_shuffle_ratio": 0.5}
    more = dict.fromkeys(("vision_output_dim", "projector_input_dim", "projector_output_dim"), 32)
    text = zoo.text_settings(processor.tokenizer, head_dim=16, intermediate_size_mlp=96, num_local_experts=2)
    return hf.Llama4Config(text_config=text, vision_config={**vision, **more}, image_token_index=5), processor


@pytest.mark.parametrize(
    ("recipe", "part"),
    [(mllama, "cross-attention from the text to the pictures"), (blip2, "a Q-Former"), (llama4, "chunked_attention")],
)
def test_models_of_other_pictures_are_refused_in_one_sentence(recipe, part):
    config, processor = recipe()
    model = random_model(hf.AutoModelForImageTextToText, config)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    with pytest.raises(UnsupportedModelError, match=part) as refused:
        VLMPolicy(model, processor)
    assert type(model).__name__ in str(refused.value)
    assert str(refused.value).endswith(RUNS)


def test_the_check_stands_before_a_run(tmp_path, task):
    model, processor = text_model(hf.GPTNeoConfig, **LOCAL, window_size=8)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match="GPTNeoForCausalLM says something else"):
        build_policy(PolicyConfig(model=str(tmp_path)), task, 0, torch.device("cpu"))


def test_encoder_decoders_are_no_models_to_load(tmp_path):
    sizes = {"d_model": 32, "d_ff": 32, "num_layers": 1, "num_heads": 2, "vocab_size": 300}
    hf.T5ForConditionalGeneration(hf.T5Config(**sizes)).save_pretrained(tmp_path)
    with pytest.raises(OSError, match="'t5' is neither image-text-to-text nor a causal language model"):
        load_pretrained(str(tmp_path))


# Whatever the reason: each pass of the policy is compared


def all_see_all(inner: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *args, **kwargs: torch.ones_like(inner(*args, **kwargs))


def without_windows(inner: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def wide(prompt: Tensor, answers: Any, *more: Any) -> Tensor:
        return inner(prompt, answers, *more[:-1], None) if inner.__name__ == "step_mask" else inner(prompt, answers, None)

    return wide


@pytest.mark.parametrize("fault", [all_see_all, without_windows])
@pytest.mark.parametrize(
    ("name", "way"), [("step_mask", "sampling"), ("answers_mask", "scoring"), ("rows_mask", "scoring in rows")]
)
def test_a_mask_that_shows_too_much_is_seen(fault, name, way, monkeypatch):
    model, processor = text_model(hf.MistralConfig, **GROUPED, sliding_window=4096)
    VLMPolicy(model, processor)
    monkeypatch.setattr(decoder, name, fault(getattr(attention, name)))
    with pytest.raises(UnsupportedModelError, match=f"in {way}\\)"):
        VLMPolicy(model, processor)


def test_positions_that_count_the_padding_are_seen(monkeypatch):
    model, processor = text_model(hf.GPT2Config, n_embd=32, n_layer=2, n_head=2)
    placed = vlm.PromptEncoder._positions

    def counting(self: Any, by_token: dict[str, Tensor], seen: dict[str, Tensor]) -> Tensor:
        return torch.arange(by_token["input_ids"].shape[1]).expand_as(placed(self, by_token, seen))

    monkeypatch.setattr(vlm.PromptEncoder, "_positions", counting)
    with pytest.raises(UnsupportedModelError, match="counts the padding on the left"):
        VLMPolicy(model, processor)


def test_pictures_of_another_scale_are_seen(monkeypatch):
    """Qwen2-VL whose features are twice as large as the model makes them."""
    found = Decoder.features

    def doubled(self: Decoder, pictures: dict[str, Tensor]) -> Any:
        features = found(self, pictures)
        features.tokens = 2 * features.tokens
        return features

    monkeypatch.setattr(Decoder, "features", doubled)
    with pytest.raises(UnsupportedModelError, match="what the model makes of pictures"):
        VLMPolicy(*zoo.build("qwen2_vl"))


def test_weights_that_say_nothing_are_seen():
    model, processor = text_model(hf.LlamaConfig, **GROUPED)
    model.model.layers[0].mlp.up_proj.weight.data.fill_(torch.nan)
    with pytest.raises(DivergedError, match="its weights have diverged"):
        VLMPolicy(model, processor)


# What is equal is run

EQUAL: dict[str, tuple[Any, dict[str, Any]]] = {
    "bloom's rival falcon": (hf.FalconConfig, SIZES),
    "cohere's scale": (hf.CohereConfig, {**GROUPED, "logit_scale": 0.0625}),
    "granite's scale": (hf.GraniteConfig, {**GROUPED, "logits_scaling": 4.0}),
    "gemma 2's cap and windows": (hf.Gemma2Config, {**GEMMA, "sliding_window": 4096, "final_logit_softcapping": 5.0}),
    "gemma 3's windows": (hf.Gemma3TextConfig, {**GEMMA, "sliding_window": 512, "layer_types": WINDOWS}),
    "mistral's window": (hf.MistralConfig, {**GROUPED, "sliding_window": 12}),
    "qwen 2's windows": (
        hf.Qwen2Config,
        {**GROUPED, "use_sliding_window": True, "sliding_window": 12, "max_window_layers": 1},
    ),
    "windows that qwen 2 leaves": (hf.Qwen2Config, {**GROUPED, "use_sliding_window": False, "sliding_window": 12}),
    "phi 3's window": (hf.Phi3Config, {**GROUPED, "sliding_window": 12}),
    "starcoder's window": (hf.Starcoder2Config, {**GROUPED, "sliding_window": 12}),
    "gpt-oss's sinks": (hf.GptOssConfig, {**GROUPED, "head_dim": 16, "num_local_experts": 4, "sliding_window": 12}),
    "learned positions": (hf.OPTConfig, {**SIZES, "ffn_dim": 64, "word_embed_proj_dim": 32}),
    "a narrow end": (hf.OPTConfig, {**SIZES, "ffn_dim": 64, "word_embed_proj_dim": 16}),
    "experts": (hf.MixtralConfig, {**GROUPED, "num_local_experts": 4}),
}


@pytest.mark.parametrize("case", EQUAL)
def test_models_that_pass_say_what_the_model_says(case):
    config_class, settings = EQUAL[case]
    model, processor = text_model(config_class, **settings)
    before = getattr(model.config, "sliding_window", None)
    policy = VLMPolicy(model, processor, max_new_tokens=5)
    assert getattr(model.config, "sliding_window", None) == before, "windows are as they were"
    assert apart(policy) < 2e-5


def test_a_window_that_is_too_long_to_be_read_is_named(caplog):
    settings = {**LOCAL, "window_size": 1500}
    VLMPolicy(*text_model(hf.GPTNeoConfig, **settings))
    assert "GPTNeoForCausalLM speaks of window_size 1500, and its check reads up to 1024 tokens" in caplog.text


def test_a_scale_that_the_model_does_not_apply_is_left_alone():
    model, processor = build_nano(["Angle?"])
    model.config.get_text_config().logit_scale = 0.25
    policy = VLMPolicy(model, processor)
    hidden = torch.randn(3, model.config.get_text_config().hidden_size)
    raw = model.get_output_embeddings()(hidden)
    kept = torch.arange(raw.shape[1]) != policy.encoder.image_token_id
    assert torch.equal(policy.logits(hidden)[:, kept], raw[:, kept])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_rounds_more_and_is_no_error(dtype):
    for family in ("llava", "gemma3", "paligemma2", "qwen3_vl"):
        model, processor = zoo.build(family)
        VLMPolicy(model.to(dtype), processor)
    model, processor = text_model(hf.GPTNeoConfig, **LOCAL, window_size=8)
    with pytest.raises(UnsupportedModelError, match="a window"):
        VLMPolicy(model.to(dtype), processor)


def test_the_check_is_a_few_short_passes():
    """Prompts in a batch, a token at a time, and four answers alone: the price of a few questions."""
    model, processor = zoo.build("qwen2_5_vl")
    shapes: list[tuple[int, ...]] = []
    model.get_input_embeddings().register_forward_hook(lambda _, args, __: shapes.append(tuple(args[0].shape)))
    policy = VLMPolicy(model, processor)
    assert 0 < len(shapes) <= 12
    assert max(rows * length for rows, length in shapes) <= 256
    state = torch.get_rng_state()
    selfcheck.check_model(policy)
    assert torch.equal(torch.get_rng_state(), state), "it draws from nobody else's numbers"
