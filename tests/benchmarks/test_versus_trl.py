"""The comparison with TRL: its models, what it counts, its command line; and both sides in small, where TRL is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from ssl4rl_agents.policies.lora import add_lora
from ssl4rl_benchmarks.versus_trl import __main__ as command
from ssl4rl_benchmarks.versus_trl.flops import Weights, Work, matmul_rate, weights_of
from ssl4rl_benchmarks.versus_trl.measure import figures_of
from ssl4rl_benchmarks.versus_trl.models import MODELS, save_model
from ssl4rl_benchmarks.versus_trl.ours import Ours
from ssl4rl_benchmarks.versus_trl.report import markdown, summary
from ssl4rl_benchmarks.versus_trl.settings import ENV, LEARNING_RATE, Settings, Step
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.installing import install_line

SMALL = {"prompts": 4, "group": 2, "rounds": 1, "steps": 1, "threads": 1, "new_tokens": 3}
IMAGE_TOKENS = {"tiny": 16, "wide": 64, "qwen-tiny": 4}


def settings_from(*arguments: str) -> Settings:
    return command.settings_of(command.parser().parse_args(arguments))


@pytest.fixture
def saved(tmp_path):
    """The function that writes the model of some settings and returns its folder."""

    def save(settings: Settings):
        task = make_task(ENV, **settings.env_args)
        texts = task.prompts(task.sample(Stream.span("train", 0, 0, 2)))
        save_model(settings.model, tmp_path / "model", texts, settings.weights_dtype, settings.device)
        return tmp_path / "model"

    return save


@pytest.fixture
def no_trl(monkeypatch):
    """TRL is not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "trl" else find(name, *rest))


@pytest.mark.parametrize("model", IMAGE_TOKENS)
def test_our_side_steps_with_every_small_model(model, saved, tmp_path):
    settings = Settings(model=model, lora_rank=2 if model == "qwen-tiny" else 0, **SMALL)
    ours = Ours(settings, saved(settings), tmp_path / "run")
    (step,) = ours.run(1)
    assert 0 < step.update_seconds < step.seconds
    assert 8 <= step.tokens <= 8 * 3
    optimizer = ours.trainer.optimizer
    assert {float(state["step"]) for state in optimizer.state.values()} == {1.0}
    assert {group["lr"] for group in optimizer.param_groups} == {LEARNING_RATE}
    images = ours.trainer.task.sample(Stream.span("train", 0, 0, 4))
    inputs = ours.policy.encode(ours.trainer.interface.observe(images))
    assert (inputs.input_ids == ours.policy.model.config.image_token_id).sum(1).tolist() == 4 * [IMAGE_TOKENS[model]]
    total, common = ours.prompt_tokens()
    assert total == 4 * inputs.input_ids.shape[1]
    assert ours.work(20).prompt_tokens == total - 3 * common


def test_the_large_model_has_the_size_of_qwen2_5_vl_3b():
    """The published weights have 3,754,622,976 numbers; 36 layers of the decoder hold 2.77 billion in matrices."""
    with torch.device("meta"):
        model, processor = MODELS["qwen2.5-vl-3b"].build(["turned by 90 degrees"], torch.bfloat16)
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_754_622_976
    layer = 2 * 2048 * 2048 + 2 * 2048 * 256 + 3 * 2048 * 11008
    assert weights_of(model) == Weights(36 * layer, 0, 151936 * 2048, 0)
    text = "<|vision_start|><|image_pad|><|vision_end|>"
    encoded = processor(text=[text], images=[[np.zeros((224, 224, 3), np.uint8)]], return_tensors="pt")
    assert int((encoded["input_ids"] == model.config.image_token_id).sum()) == 64
    special = [model.config.image_token_id, model.config.video_token_id, model.generation_config.eos_token_id]
    assert len(set(special)) == 3
    assert max(special) < len(processor.tokenizer)


def test_the_work_of_an_update_is_what_one_counts_by_hand():
    weights = Weights(layers_trained=10, layers_frozen=100, head_trained=0, head_frozen=50)
    work = Work(prompt_tokens=30, answer_tokens=12, answers=4, passes=2, weights=weights)
    # 30 + 12 - 4 = 38 tokens run through the layers: 38 * (60 + 400); 12 are scored: 12 * 200.
    assert work.flops == 2 * (38 * 460 + 12 * 200)


def test_weights_are_counted_in_the_decoder_alone_and_apart_where_adapters_are_trained():
    text = LlamaConfig(
        vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1
    )
    vision = CLIPVisionConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8)
    model = LlavaForConditionalGeneration(LlavaConfig(text_config=text, vision_config=vision, image_token_index=1))
    layer = 2 * 8 * 8 + 2 * 8 * 4 + 3 * 8 * 12
    assert weights_of(model) == Weights(3 * layer, 0, 88, 0)
    add_lora(model, 2, 4, vision=False)
    adapters = 2 * (2 * (8 + 8) + 2 * (8 + 4) + 3 * (8 + 12))
    assert weights_of(model) == Weights(3 * adapters, 3 * layer, 0, 88)


def test_rates_are_those_of_the_median_step():
    steps = [Step(9.0, 40), Step(2.0, 20), Step(1.0, 10)]
    figures = figures_of(Settings(prompts=4, group=3), steps, prompt_tokens=50, memory=7.0)
    assert (figures.episodes, figures.generated, figures.processed) == (6.0, 10.0, (50 * 3 + 20) / 2)
    assert (figures.memory, figures.steps) == (7.0, 3)


def test_the_rate_of_matrix_products_is_positive():
    assert matmul_rate(torch.device("cpu"), size=64, tries=2) > 0


def test_what_is_not_said_depends_on_the_model():
    tiny = settings_from("--device", "cpu")
    assert (tiny.model, tiny.prompts, tiny.group, tiny.lora_rank) == ("tiny", 64, 4, 0)
    assert not tiny.gradient_checkpointing
    large = settings_from("--model", "qwen2.5-vl-3b", "--device", "cpu")
    assert (large.lora_rank, large.gradient_checkpointing) == (64, True)
    given = settings_from("--model", "qwen2.5-vl-3b", "--device", "cpu", "--lora-rank", "0", "--no-gradient-checkpointing")
    assert (given.lora_rank, given.gradient_checkpointing) == (0, False)
    assert Settings.from_json(given.to_json()) == given


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--group", "1"], "--group must be at least 2"),
        (["--new-tokens", "0"], "--new-tokens must be at least 1"),
        (["--micro-batch", "48"], "--micro-batch must divide --prompts (64)"),
    ],
)
def test_a_flag_out_of_its_range_ends_with_one_line(arguments, words):
    with pytest.raises(SystemExit) as stop:
        command.main(["--device", "cpu", *arguments])
    assert words in str(stop.value)


def test_without_trl_the_command_says_how_to_get_it(no_trl):
    with pytest.raises(SystemExit) as stop:
        command.main(["--device", "cpu"])
    assert install_line("all", "trl") in str(stop.value)


def test_both_reports_name_every_figure():
    figures = {"episodes": 12.34, "generated": 98.7, "processed": 4321.0, "memory": 100.0, "steps": 4}
    result = {
        "settings": {"model": "tiny", "prompts": 64, "group": 4, "new_tokens": 8, "advantage": "gae", "epochs": 4},
        "figures": {"ours": figures, "trl": {**figures, "episodes": 6.17}},
        "update": {"flops": 1, "per_second": 2e9, "matmul_per_second": 8e9, "share": 0.25},
        "formula": "FORMULA",
        "versions": {"trl": "1.2.3"},
        "machine": "M",
        "ratios": {"speed": 2.0, "memory": 1.0},
    }
    text = summary(result)
    assert all(part in text for part in ("tiny on M", "12.3 episodes/s", "4,321 processed", "speed 2.00", "25.0%", "FORMULA"))
    rows = markdown(result).splitlines()
    assert {row.count("|") for row in rows} == {6}
    assert rows[2] == "| SSL4RL, PPO with a critic, 4 epochs | 12.3 | 99 | 4,321 | 100 MiB |"
    assert rows[3].startswith("| TRL 1.2.3 GRPOTrainer, 1 epoch | 6.2 |")


@pytest.mark.slow
def test_our_side_alone_is_measured_without_trl(no_trl, capsys):
    flags = {"--prompts": "4", "--group": "2", "--rounds": "1", "--steps": "1", "--threads": "1", "--device": "cpu"}
    command.main([word for pair in flags.items() for word in pair] + ["--alone", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert set(result["figures"]) == {"ours"}
    assert result["figures"]["ours"]["memory"] > 1
    assert "ratios" not in result


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"model": "tiny"},
        {"model": "qwen-tiny", "lora_rank": 2},
        {"model": "qwen-tiny", "lora_rank": 2, "gradient_checkpointing": True, "micro_batch": 2},
    ],
    ids=["tiny", "qwen-tiny", "qwen-tiny in parts"],
)
def test_both_sides_train_the_same_weights_on_the_same_prompts(options, saved, tmp_path):
    pytest.importorskip("trl")
    pytest.importorskip("datasets")
    from ssl4rl_benchmarks.versus_trl.theirs import Theirs

    settings = Settings(**options, **SMALL)
    model = saved(settings)
    ours, theirs = Ours(settings, model, tmp_path / "ours"), Theirs(settings, model, tmp_path / "trl")
    (step,) = theirs.run(1)
    assert 8 <= step.tokens <= 8 * 3
    assert ours.run(1)[0].tokens >= 8
    trainer = theirs.build(1)
    trained = [value.numel() for value in trainer.model.parameters() if value.requires_grad]
    critic = set(ours.policy.critic.parameters())
    own = [value.numel() for value in ours.policy.parameters() if value.requires_grad and value not in critic]
    assert sorted(trained) == sorted(own)
    trainer.train()
    seen = trainer.state.num_input_tokens_seen
    prompts = ours.prompt_tokens()[0] * settings.group
    assert prompts + 8 <= seen <= prompts + 8 * 3


@pytest.mark.parametrize("model", ["tiny", "qwen-tiny"])
def test_no_answer_ends_early_at_full_length(model, tmp_path):
    settings = Settings(model=model, full_length=True, **{**SMALL, "new_tokens": 40})
    task = make_task(ENV, **settings.env_args)
    texts = task.prompts(task.sample(Stream.span("train", 0, 0, 2)))
    save_model(model, tmp_path / "model", texts, torch.float32)
    (step,) = Ours(settings, tmp_path / "model", tmp_path / "run").run(1)
    assert step.tokens == 4 * 2 * 40
    assert settings_from("--full-length", "--new-tokens", "512").full_length
    assert not settings_from().full_length


def test_threads_sleep_soon_as_those_of_the_command_do():
    """Set before torch is imported, which reads it; what the user has set stays."""
    look = "import os, sys; import {}; {}; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    modules = (
        ("ssl4rl_benchmarks.versus_trl", "pass"),
        ("ssl4rl_benchmarks.spinning", "sys.modules['ssl4rl_benchmarks.spinning'].sleep_soon()"),
    )
    for module, then in modules:
        for given in (None, "7"):
            environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
            environment |= {} if given is None else {"GOMP_SPINCOUNT": given}
            done = subprocess.run(
                [sys.executable, "-c", look.format(module, then)], env=environment, capture_output=True, text=True, check=True
            )
            assert done.stdout.split() == [given or "10000", "False"]
