"""The example of AgileRL trains and is measured on held-out pictures (agilerl 2.58.0)."""

from __future__ import annotations

import pytest

from tests.clients.partner import example

pytest.importorskip("agilerl.algorithms.ppo")


def test_two_angles_are_learned_in_a_few_updates():
    assert example("agilerl_ppo").main(steps=4096, num_envs=32, angles=2) > 0.6
