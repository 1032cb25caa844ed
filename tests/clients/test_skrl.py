"""The example of skrl trains and is measured on held-out pictures (skrl 2.1.1)."""

from __future__ import annotations

import pytest

from tests.clients.partner import example

pytest.importorskip("skrl")


def test_two_angles_are_learned_in_a_few_updates():
    assert example("skrl_ppo").main(updates=8, num_envs=32, angles=2) > 0.6
