"""Rules by hand: each beats chance on drawn scenes and graphs, and says what it cannot answer."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.evaluation import evaluate_in
from ssl4rl_agents.rules import graph_rules, picture_rules
from ssl4rl_agents.rules.rule_agent import RULES, RuleAgent, rule_of
from ssl4rl_envs import SSLVectorEnv, make_task

ENVS = [f"SSL4RL/{cls.__name__}-v0" for cls in RULES]
EXACT = ("FlipPrediction", "GraphDistance", "Comparison", "GraphQA")
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
        assert picture_rules.upright_side(task, {"image": turned}).tolist() == [quarters]


def test_a_mirror_is_undone():
    task = make_task("SSL4RL/FlipPrediction-v0", image_size=36)
    reference = np.random.default_rng(0).integers(0, 256, (1, 36, 36, 3)).astype(np.uint8)
    changed = [reference, reference[:, :, ::-1], reference[:, ::-1], reference[:, ::-1, ::-1]]
    said = [picture_rules.mirror(task, {"image": image, "reference": reference})[0] for image in changed]
    assert [task.flips[answer] for answer in said] == ["none", "horizontal", "vertical", "both"]


def test_tasks_without_a_rule_are_named():
    envs = SSLVectorEnv(make_task("SSL4RL/NodeAttribute-v0", attribute="vector"), num_envs=2)
    with pytest.raises(ValueError, match=r"no rule for NodeAttribute .* answers are numbers"):
        RuleAgent(envs)
    with pytest.raises(ValueError, match=r"no rule for MaskedReconstruction .* answers are numbers"):
        rule_of(make_task("SSL4RL/MaskedReconstruction-v0", answer="pixels", patch_size=8))
    with pytest.raises(ValueError, match="features of graph 'barabasi_albert:2000' are none"):
        rule_of(make_task("SSL4RL/NodeAttribute-v0", source="barabasi_albert"))
    with pytest.raises(ValueError, match=r"no rule for Mixture .* there are rules for Colorization, Comparison"):
        rule_of(make_task("SSL4RL/Mixture-v0", source="digits", image_size=36))


@pytest.mark.parametrize(("attribute", "ahead"), [("word", 0.03), ("degree", 0.3)])
def test_other_hidden_properties_have_rules_too(attribute, ahead):
    task = make_task("SSL4RL/NodeAttribute-v0", attribute=attribute)
    envs = SSLVectorEnv(task, num_envs=64, split="test")
    assert evaluate_in(RuleAgent(envs), envs, env="", episodes=512).reward > task.chance + ahead


def test_a_word_of_two_groups_counts_half_for_each(monkeypatch):
    task = make_task("SSL4RL/NodeAttribute-v0", source="sbm:300", groups=3)
    monkeypatch.setattr(type(task), "typical_words", lambda _: np.array([[0, 1], [0, 2], [3, 4]]))
    x = np.zeros((2, 4, task.source.features.shape[1]), np.float32)
    x[0, 1:, 0] = x[0, 2:, 3] = 1  # three nodes have the word of two groups, two the other group's own
    x[1, 1, 2] = x[1, 3, [3, 4]] = 1  # the last of them is not shown
    shown = {"x": x, "x_mask": np.array([[0, 1, 1, 1], [0, 1, 1, 0]], np.int8), "target": np.zeros((2, 1), np.int64)}
    assert graph_rules.hidden_property(task, shown).tolist() == [2, 1]
