"""The matcher of borders: it solves jigsaws whose tiles touch, learns to, and earns little where levels hide the borders."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_benchmarks.audits import matcher
from ssl4rl_benchmarks.audits.matcher import Matching
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.tiles import cut

ID = "SSL4RL/PatchOrdering-v0"


def asked(task: PatchOrdering, count: int, split: str = "test"):
    batch = task.sample(Stream(split, np.zeros(count, int), np.arange(count)))
    return batch, cut(batch.observation["image"], task.tiling.grid)


def earned(task: PatchOrdering, count: int = 250, how: Matching | None = None) -> float:
    batch, tiles = asked(task, count)
    return float(task.score(matcher.match(tiles, task.tiling.grid, how), batch).reward.mean())


def test_borders_of_touching_tiles_are_matched():
    assert earned(make_task(ID, source="faces", level="2x2")) > 0.95
    assert earned(make_task(ID, source="faces", level="3x3"), 60) > 0.5


def test_the_cost_of_a_ramp_by_hand():
    """Tile 1 goes on where tile 0 ends: 4 grey levels a column over a gap of 2 columns, and the slope of 1 carries on 6."""
    columns = np.arange(8) * 4
    tiles = np.stack([np.tile(columns, (8, 1)), np.tile(columns + 40, (8, 1))])[None, ..., None].repeat(3, axis=-1)
    right, _ = matcher.costs(tiles.astype(np.uint8), Matching(width=1, slope=1.0, shift=0))
    # 28 on the right of tile 0 becomes 28 + (28 - 22) = 34; 40 on the left of tile 1 becomes 40 - (46 - 40) = 34.
    assert right[0, 0, 1] == pytest.approx(0)
    assert right[0, 1, 0] == pytest.approx(74 + 6)


def test_a_shift_along_the_border_is_forgiven_up_to_its_limit():
    rng = np.random.default_rng(0)
    border = rng.integers(0, 256, (20, 3), np.uint8)
    tiles = np.zeros((1, 2, 16, 16, 3), np.uint8)
    tiles[0, 0, :], tiles[0, 1, :] = border[:16, None], border[3:19, None]
    assert matcher.costs(tiles, Matching(1, 0.0, 3))[0][0, 0, 1] == 0
    assert matcher.costs(tiles, Matching(1, 0.0, 2))[0][0, 0, 1] > 20


@pytest.mark.parametrize("source", ["faces", "photos", "digits"])
def test_levels_with_a_gap_hide_the_borders_from_what_is_made_by_hand(source):
    """Chance is 0.125; with 4 pixels left out and the light left alone this earned 0.76 on faces and 0.74 on photos."""
    task = make_task(ID, source=source, level="2x2-gap")
    for how in (Matching(), Matching(1, 0.0, 0), Matching(4, 2.0, 6), Matching(level="tile"), Matching(level="border")):
        assert earned(task, how=how) < 0.25


def test_three_by_three_is_hidden_as_well():
    assert earned(make_task(ID, source="faces", level="3x3-gap"), 100) < 0.12


@pytest.mark.slow
def test_a_learned_matcher_finds_more_and_not_much():
    def learned(level: str) -> float:
        task = make_task(ID, source="faces", level=level)
        lessons, tiles = asked(task, 300, "train")
        batch, shown = asked(task, 250)
        orders = matcher.learn(tiles, lessons.target, 2).match(shown, 2)
        return float(task.score(orders, batch).reward.mean())

    assert learned("2x2") > 0.9
    assert learned("2x2-gap") < 0.35
