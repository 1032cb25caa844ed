"""The example of RLlib trains and is measured on held-out pictures (ray 2.60.0 with dm-tree, lz4 and ormsgpack)."""

from __future__ import annotations

import pytest

from tests.clients.partner import example

for package in ("ray", "tree", "lz4", "ormsgpack"):
    pytest.importorskip(package)


@pytest.mark.slow
def test_two_angles_are_learned_in_a_few_updates():
    import ray

    ray.init(num_cpus=2, include_dashboard=False, ignore_reinit_error=True)
    try:
        assert example("rllib_ppo").main(iterations=4, batch=1024, num_envs=16, angles=2) > 0.6
    finally:
        ray.shutdown()
