"""The example of Tianshou trains and is measured on held-out pictures (tianshou 2.0.1)."""

from __future__ import annotations

import pytest

from tests.clients.partner import example

pytest.importorskip("tianshou.algorithm")


def test_two_angles_are_learned_in_a_few_updates():
    assert example("tianshou_ppo").main(epochs=2, steps=2048, num_envs=8, angles=2) > 0.6
