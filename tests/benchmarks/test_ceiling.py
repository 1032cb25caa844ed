"""The ceiling of levels that hide borders."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ssl4rl_benchmarks.audits import ceiling
from ssl4rl_envs import make_task


def test_a_picture_is_solved_by_the_tiles_alone():
    """Tiles whose brightness rises within them from one corner tell their place; how light they are is taken out before."""
    torch.manual_seed(0)
    side = np.linspace(0, 200, 8)
    ramps = np.stack(
        [
            side[None] + 0 * side[:, None],
            side[:, None] + 0 * side,
            200 - side[None] + 0 * side[:, None],
            200 - side[:, None] + 0 * side,
        ]
    )
    network = ceiling.TileNetwork(4)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    rng = np.random.default_rng(0)
    for _ in range(25):
        orders = np.stack([rng.permutation(4) for _ in range(16)])
        tiles = shown(ramps, orders, rng)
        loss = torch.nn.functional.cross_entropy(network(tiles).flatten(0, 1), torch.from_numpy(orders).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    orders = np.stack([rng.permutation(4) for _ in range(50)])
    tiles = shown(ramps, orders, rng)
    assert (ceiling.answers(network.eval(), tiles) == orders.argsort(axis=1)).all(axis=1).mean() > 0.9


def shown(ramps, orders, rng):
    """Ramp k belongs to place k; `orders` says which ramp is shown where, each in a light of its own."""
    light = rng.integers(0, 50, (*orders.shape, 1, 1))
    grey = (ramps[orders] + light).astype(np.uint8)
    return torch.from_numpy(grey[:, :, None].repeat(3, axis=2))


def test_a_ceiling_is_measured_over_held_out_items(capsys):
    ceiling.main(
        [
            "--level",
            "2x2-gap",
            "--source",
            "digits",
            "--lessons",
            "64",
            "--questions",
            "40",
            "--seconds",
            "0.01",
            "--batch",
            "8",
        ]
    )
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 1
    assert 0 <= told["reward"] <= 1
    assert told["chance"] == pytest.approx(make_task("SSL4RL/PatchOrdering-v0", level="2x2-gap").chance)


def test_a_measurement_of_nothing_is_refused():
    with pytest.raises(ValueError, match="seconds must be more than 0, got 0"):
        ceiling.Settings(seconds=0)
