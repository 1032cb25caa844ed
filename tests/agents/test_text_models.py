"""Language models beyond the zoo's families: those that work agree with the bare model, the others are refused by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers as hf

from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policies.limits import position_limit
from ssl4rl_agents.policies.loading import load_pretrained
from ssl4rl_agents.policies.nano import build_tokenizer
from ssl4rl_agents.policies.processing import TextProcessor, load_processor
from ssl4rl_agents.policies.sayable import unsayable
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.runtime.samplers import Reply, Sampling, sample_by, to_samples
from tests.agents import zoo

PROMPTS = ("Angle?", "By how many degrees was this picture turned: 0, 90, 180 or 270?")
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
GEMMA = {**SIZES, "num_key_value_heads": 1, "head_dim": 16}
CONFIGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "gpt2": (hf.GPT2Config, {"n_embd": 32, "n_layer": 2, "n_head": 2}),
    "opt": (
        hf.OPTConfig,
        {
            "hidden_size": 32,
            "ffn_dim": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "word_embed_proj_dim": 32,
            "dropout": 0.3,
        },
    ),
    "mistral": (hf.MistralConfig, {**SIZES, "num_key_value_heads": 1, "sliding_window": 12}),
    "gemma2": (hf.Gemma2Config, {**GEMMA, "sliding_window": 12, "final_logit_softcapping": 5.0, "query_pre_attn_scalar": 16}),
    "qwen3": (hf.Qwen3Config, {**SIZES, "num_key_value_heads": 1, "head_dim": 16}),
}


def build(kind: str, *, gradient_checkpointing: bool = False, **changes: Any) -> VLMPolicy:
    config_class, sizes = CONFIGS[kind]
    tokenizer = build_tokenizer(PROMPTS)
    config = config_class(
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **sizes,
        **changes,
    )
    torch.manual_seed(0)
    model = hf.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.1)
    return VLMPolicy(model, TextProcessor(tokenizer), max_new_tokens=5, gradient_checkpointing=gradient_checkpointing)


@pytest.mark.parametrize("language", CONFIGS)
@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_language_models_agree_with_the_bare_model(language, gradient_checkpointing):
    """With gradient checkpointing too, where layers are told to train: nothing may be dropped out."""
    policy = build(language, gradient_checkpointing=gradient_checkpointing)
    inputs = policy.encode({"prompt": PROMPTS})
    samples = policy.generate(inputs, 3, generator=torch.Generator().manual_seed(0))
    now = policy.evaluate(inputs, samples.tokens, samples.mask)
    assert float((now.logprobs - samples.logprobs).detach().abs().max()) < 2e-5
    for row in range(len(samples.tokens)):
        question = inputs.input_ids[row // 3][inputs.attention_mask[row // 3].bool()]
        answer = samples.tokens[row][samples.mask[row]]
        logits = policy.model(torch.cat([question, answer])[None]).logits[0, len(question) - 1 : -1]
        alone = logits.float().log_softmax(-1).gather(-1, answer[:, None])[:, 0]
        assert float((alone - now.logprobs[row][samples.mask[row]]).detach().abs().max()) < 2e-5
    now.logprobs.sum().backward()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (hf.BloomConfig(hidden_size=32, n_layer=1, n_head=2, vocab_size=300), "Bloom.* places tokens by itself"),
        (hf.MptConfig(d_model=32, n_layers=1, n_heads=2, vocab_size=300), "Mpt.* places tokens by itself"),
        (hf.FalconConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, vocab_size=300, alibi=True), "Falcon"),
    ],
    ids=["bloom", "mpt", "falcon with alibi"],
)
def test_models_that_place_tokens_by_themselves_are_refused(config, message):
    model = hf.AutoModelForCausalLM.from_config(config)
    with pytest.raises(ValueError, match=message):
        VLMPolicy(model, TextProcessor(build_tokenizer(PROMPTS)))


# Ids that are no tokens


def padded(more: int = 40) -> VLMPolicy:
    """A Qwen2 with more logits than its tokenizer has tokens, all of them likelier than any token."""
    model, processor = zoo.build("qwen2")
    size = len(processor.tokenizer)
    model.resize_token_embeddings(size + more, mean_resizing=False)
    head = model.get_output_embeddings()
    with torch.no_grad():
        head.weight[size:] = 3 * head.weight[:more].abs().amax(0).sign() * head.weight[5]
    return VLMPolicy(model, processor, max_new_tokens=8)


def test_ids_that_the_tokenizer_does_not_have_are_neither_sampled_nor_scored():
    policy = padded()
    size = len(policy.processor.tokenizer)
    assert policy.unsaid == list(range(size, size + 40))
    inputs = policy.encode({"prompt": PROMPTS})
    logits = policy.model(inputs.input_ids[1:]).logits[0, -1]
    assert float(logits.softmax(-1)[size:].sum()) > 0.05, "the model itself would say them"
    for deterministic in (False, True):
        samples = policy.generate(inputs, 30, generator=torch.Generator().manual_seed(0), deterministic=deterministic)
        assert int(samples.tokens.max()) < size
    first = torch.arange(size)[:, None]
    every = policy.evaluate(inputs.rows(torch.tensor([1])), first, torch.ones_like(first, dtype=torch.bool))
    assert float(every.logprobs.exp().sum()) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(every.logprobs[:, 0], logits[:size].log_softmax(-1), atol=1e-5)
    assert torch.allclose(every.entropies, -(every.logprobs.exp() * every.logprobs).sum(), atol=1e-4)


def test_gaps_within_the_vocabulary_are_no_tokens_either():
    known = {"a": 0, "b": 1, "c": 3, "far": 9}
    model = SimpleNamespace(config=SimpleNamespace(image_token_id=1))
    tokenizer = SimpleNamespace(get_vocab=lambda: known)
    assert unsayable(model, tokenizer, 6).tolist() == [False, True, True, False, True, True]


def test_an_engine_is_told_which_ids_are_no_tokens():
    policy = padded()
    asked: list[Sampling] = []

    class Listening:
        def load(self, weights: Any) -> None: ...

        def sample(self, requests: Any, repeats: int, sampling: Sampling) -> list[Reply]:
            asked.append(sampling)
            return [Reply([policy.ends[0]], [-1.0])] * (len(requests) * repeats)

    sample_by(Listening(), policy, {"prompt": PROMPTS}, 2, torch.Generator().manual_seed(0))
    assert asked[0].unsaid == policy.unsaid
    beyond = Reply([len(policy.processor.tokenizer)], [-1.0])
    with pytest.raises(ValueError, match="holds a forbidden token"):
        to_samples([beyond], asked[0], 0, torch.device("cpu"))


# Positions


@pytest.mark.parametrize("language", ["gpt2", "mistral"])
def test_prompts_that_leave_no_room_for_answers_are_refused(language):
    """Learned positions end; rotary ones go on, as nonsense."""
    policy = build(language, **{"n_positions" if language == "gpt2" else "max_position_embeddings": 40})
    room = 40 - policy.max_new_tokens
    policy.generate(policy.encode({"prompt": ("7" * room,)}))  # each digit is a token
    with pytest.raises(
        ValueError, match=r"a prompt of 36 positions and answers of up to 5 tokens .* take 41 positions, and .* has 40"
    ):
        policy.encode({"prompt": ("Up?", "7" * (room + 1))})


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        (hf.LlamaConfig(max_position_embeddings=4096), 4096),
        (hf.GPT2Config(n_positions=1024), 1024),
        (hf.MptConfig(max_seq_len=512), 512),
        (hf.MambaConfig(), None),
        (hf.LlamaConfig(max_position_embeddings=4096, rope_parameters={"rope_type": "linear", "factor": 4.0}), 16384),
        (
            hf.Qwen2Config(
                max_position_embeddings=32768,
                rope_parameters={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
            ),
            131072,
        ),
        (
            hf.LlamaConfig(
                max_position_embeddings=131072,
                rope_parameters={
                    "rope_type": "llama3",
                    "factor": 32.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192,
                },
            ),
            131072,
        ),
        (hf.LlavaConfig(text_config={"model_type": "llama", "max_position_embeddings": 2048}), 2048),
        (hf.Gemma3TextConfig(max_position_embeddings=8192), 8192),
    ],
    ids=["llama", "gpt2", "mpt", "mamba", "linear", "yarn", "llama3", "of the decoder", "by kind of layer"],
)
def test_how_many_positions_a_model_has(config, limit):
    assert position_limit(config) == limit


def test_adapters_learn_in_float32_over_weights_in_bfloat16(tmp_path):
    zoo.save("llama", tmp_path / "model")
    fresh = VLMPolicy(*load_pretrained(str(tmp_path / "model"), torch.bfloat16), lora_rank=2)
    (tmp_path / "saved").mkdir()
    fresh.save(tmp_path / "saved")
    loaded = VLMPolicy(*load_pretrained(str(tmp_path / "saved"), torch.bfloat16), lora_rank=2)
    loaded.load_weights(tmp_path / "saved")
    for policy in (fresh, loaded):
        kinds = {p.dtype for n, p in policy.named_parameters() if p.requires_grad}
        assert kinds == {torch.float32}
        assert policy.model.model.embed_tokens.weight.dtype == torch.bfloat16
        inputs = policy.encode({"prompt": PROMPTS})
        samples = policy.generate(inputs, 2, generator=torch.Generator().manual_seed(0))
        policy.evaluate(inputs, samples.tokens, samples.mask).logprobs.sum().backward()


def test_a_folder_of_adapters_is_no_model_to_begin_with(tmp_path, task):
    zoo.save("llama", tmp_path / "model")
    policy = VLMPolicy(*load_pretrained(str(tmp_path / "model")), lora_rank=2)
    (tmp_path / "saved").mkdir()
    policy.save(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"holds adapters; go on with their run"):
        build_policy(PolicyConfig(model=str(tmp_path / "saved")), task, 0, torch.device("cpu"))
    (tmp_path / "model").rename(tmp_path / "moved")
    with pytest.raises(OSError, match=r"adapt .*model, which is not there; set base_model_name_or_path"):
        load_pretrained(str(tmp_path / "saved"))


def test_a_folder_that_is_not_there_is_called_that(tmp_path):
    with pytest.raises(OSError, match=f"there is no folder {tmp_path}/nothing"):
        load_pretrained(f"{tmp_path}/nothing")


def test_a_template_that_the_tokenizer_alone_has_is_used(tmp_path):
    _, processor = zoo.build("llava")
    template = processor.chat_template
    processor.chat_template = None
    processor.tokenizer.chat_template = template
    processor.save_pretrained(tmp_path)
    zoo.build("llava")[0].save_pretrained(tmp_path)
    assert load_processor(str(tmp_path)).chat_template == template


def test_answers_end_as_the_tokenizer_ends_them():
    model, processor = zoo.build("llama")
    usual = processor.tokenizer.eos_token_id
    model.generation_config.eos_token_id = [5, usual]
    policy = VLMPolicy(model, processor)
    assert policy.encode_answers(["9"])[0][0, -1] == usual
