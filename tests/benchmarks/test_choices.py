"""What each choice costs: its settings are valid, and it measures."""

from __future__ import annotations

import pytest
import torch

from ssl4rl_agents.checks import resolved
from ssl4rl_benchmarks import choices
from ssl4rl_benchmarks.versus_trl.models import save_model
from ssl4rl_envs import Stream, make_task


@pytest.mark.parametrize("choice", choices.CHOICES)
def test_every_choice_is_valid_and_changes_what_it_says(choice, tmp_path):
    (tmp_path / "config.json").touch()  # a folder that may hold a model
    config, base = (
        resolved(choices.config_of(name, "qwen-tiny", tmp_path, "cpu", 8, 2)) for name in (choice, "all weights are trained")
    )
    assert (config != base) == (choice != "all weights are trained")
    assert config.rollout.prompts == 8
    section, _, setting = choice.partition(" ")[0].partition(".")
    if setting:
        assert getattr(getattr(config, section), setting) != getattr(getattr(base, section), setting)


def test_a_choice_is_measured(tmp_path):
    task = make_task(choices.ENV, source="digits", image_size=32)
    save_model("qwen-tiny", tmp_path / "model", task.prompts(task.sample(Stream.span("train", 0, 0, 2))), torch.float32)
    config = choices.config_of(
        "policy.lora_rank 16 and policy.gradient_checkpointing", "qwen-tiny", tmp_path / "model", "cpu", 2, 2
    )
    found = choices.measure(config)
    assert 0 < found["trained [M]"] < 0.1
    assert found["memory [MiB]"] > 0
    assert 0 < found["update [s]"] < 600
    assert choices.table({"both": found}).splitlines()[-1].startswith("| both | ")
