"""Rules by hand: each beats chance on drawn scenes and graphs, and says what it cannot answer."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.evaluation import evaluate_in
from ssl4rl_agents.rules import pictures
from ssl4rl_agents.rules.agent import RULES, RuleAgent, rule_of
from ssl4rl_envs import SSLVectorEnv, make_task

ENVS = [f"SSL4RL/{cls.__name__}-v0" for cls in RULES]
EXACT = ("FlipPrediction", "GraphDistance")
"""Tasks that their rule solves, because what is asked can be read off."""


@pytest.mark.parametrize("asked", ENVS)
def test_every_rule_beats_chance(asked):
    envs = SSLVectorEnv(make_task(asked), num_envs=64, split="test")
    result = evaluate_in(load_agent("rule", envs), envs, env=asked, episodes=256)
    if any(name in asked for name in EXACT):
        assert result.normalised == pytest.approx(1)
    assert result.normalised > (0.02 if "MaskedFeatures" in asked else 0.15)


def test_the_sky_is_on_top():
    task = make_task("SSL4RL/Rotation-v0", image_size=36)
    upright = np.zeros((1, 36, 36, 3), np.uint8)
    upright[:, :18] = 250
    for quarters in range(4):
        turned = np.rot90(upright, quarters, axes=(1, 2))
        assert pictures.upright_side(task, {"image": turned}).tolist() == [quarters]


def test_a_mirror_is_undone():
    task = make_task("SSL4RL/FlipPrediction-v0", image_size=36)
    reference = np.random.default_rng(0).integers(0, 256, (1, 36, 36, 3)).astype(np.uint8)
    changed = [reference, reference[:, :, ::-1], reference[:, ::-1], reference[:, ::-1, ::-1]]
    said = [pictures.mirror(task, {"image": image, "reference": reference})[0] for image in changed]
    assert [task.flips[answer] for answer in said] == ["none", "horizontal", "vertical", "both"]


def test_tasks_without_a_rule_are_named():
    envs = SSLVectorEnv(make_task("SSL4RL/NodeAttribute-v0"), num_envs=2)
    with pytest.raises(ValueError, match="no rule for NodeAttribute"):
        RuleAgent(envs)
    with pytest.raises(ValueError, match="no rule for MaskedReconstruction"):
        rule_of(make_task("SSL4RL/MaskedReconstruction-v0", answer="pixels", patch_size=8))
    words = make_task("SSL4RL/NodeAttribute-v0", attribute="word")
    envs = SSLVectorEnv(words, num_envs=64, split="test")
    assert evaluate_in(RuleAgent(envs), envs, env="", episodes=512).reward > words.chance + 0.03
