"""OddPatch: all tiles but one are the picture's own, and the odd one is what the configuration says."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images.odd_patch import OddPatch
from ssl4rl_envs.images.tiles import cut
from ssl4rl_envs.sources import ImageSource

ID = "SSL4RL/OddPatch-v0"
SIDE = 48


def whole(count: int = 40, photographs: list[int] | None = None, side: int = SIDE) -> ImageSource:
    """Pictures of coloured blocks, shown as they are."""
    blocks = np.random.default_rng(0).integers(0, 256, (count, side // 4, side // 4, 3), dtype=np.uint8)
    return ImageSource(list(blocks.repeat(4, axis=1).repeat(4, axis=2)), min_zoom=1.0, photographs=photographs)


def sample(task: OddPatch, count: int, seed: int = 0) -> Batch:
    return task.sample(Stream("train", np.full(count, seed), np.arange(count)))


@pytest.mark.parametrize("grid", [2, 3])
@pytest.mark.parametrize("odd", ["other", "turned", "flipped"])
def test_all_tiles_but_the_target_are_those_of_the_picture(odd, grid):
    source = whole()
    batch = sample(OddPatch(source, SIDE, grid=grid, odd=odd), 150)
    for image, item, target in zip(batch.observation["image"], batch.items, batch.target, strict=True):
        shown, own = cut(image[None], grid)[0], cut(source.picture(item)[None], grid)[0]
        equal = (shown == own).all(axis=(1, 2, 3))
        assert equal.tolist() == [place != target for place in range(grid**2)]


def test_a_foreign_tile_is_what_a_picture_of_another_photograph_shows_at_its_place():
    photographs = [k // 4 for k in range(40)]
    source = whole(photographs=photographs)
    tiles = cut(np.stack([source.picture(item) for item in range(40)]), 2)
    batch = sample(OddPatch(source, SIDE), 200)
    for image, item, target in zip(batch.observation["image"], batch.items, batch.target, strict=True):
        found = np.argwhere((tiles == cut(image[None], 2)[0, target]).all(axis=(2, 3, 4)))
        assert len(found) == 1
        other, place = found[0]
        assert place == target
        assert photographs[other] != photographs[item]


def test_a_turned_tile_is_the_tile_itself_turned_by_each_angle_alike():
    source = whole()
    batch = sample(OddPatch(source, SIDE, odd="turned"), 600)
    seen = np.zeros(4, int)
    for image, item, target in zip(batch.observation["image"], batch.items, batch.target, strict=True):
        shown, own = (cut(picture[None], 2)[0, target] for picture in (image, source.picture(item)))
        turns = [np.array_equal(shown, np.rot90(own, k)) for k in range(4)]
        assert sum(turns) == 1
        seen += turns
    assert seen[0] == 0
    assert (np.abs(seen[1:] - 200) < 5 * (600 / 3 * 2 / 3) ** 0.5).all()


def test_a_flipped_tile_is_the_tile_itself_mirrored_either_way_alike():
    source = whole()
    batch = sample(OddPatch(source, SIDE, odd="flipped"), 400)
    seen = np.zeros(2, int)
    for image, item, target in zip(batch.observation["image"], batch.items, batch.target, strict=True):
        shown, own = (cut(picture[None], 2)[0, target] for picture in (image, source.picture(item)))
        ways = [np.array_equal(shown, mirrored) for mirrored in (own[:, ::-1], own[::-1])]
        assert sum(ways) == 1
        seen += ways
    assert abs(seen[0] - 200) < 5 * 10


@pytest.mark.parametrize("grid", [2, 3])
def test_every_place_is_odd_alike(grid):
    counts = np.bincount(sample(OddPatch("digits", 36, grid=grid), 3_000).target, minlength=grid**2)
    assert (np.abs(counts - 3_000 / grid**2) < 5 * (3_000 / grid**2) ** 0.5).all()


def test_with_a_gap_the_other_tiles_are_parts_of_the_picture():
    source = whole(side=64)
    batch = sample(OddPatch(source, SIDE, gap=4, jitter=2), 30)
    for image, item, target in zip(batch.observation["image"], batch.items, batch.target, strict=True):
        quarters = cut(source.picture(item)[None], 2)[0]
        for place, tile in enumerate(cut(image[None], 2)[0]):
            windows = np.lib.stride_tricks.sliding_window_view(quarters[place], (24, 24), axis=(0, 1))
            found = (windows == tile.transpose(2, 0, 1)).all(axis=(2, 3, 4)).any()
            assert found == (place != target)


@pytest.mark.parametrize("odd", ["turned", "flipped"])
def test_every_picture_that_is_shown_has_an_odd_tile(odd):
    """A blank tile is the same however it is turned: a picture with one would have no answer, or rule one out."""
    pictures = np.stack([whole().picture(item) for item in range(40)])
    pictures[:, :24, 24:] = 77
    try:
        task = OddPatch(ImageSource(list(pictures), min_zoom=1.0), SIDE, odd=odd)
    except ValueError:
        return
    batch = sample(task, 300)
    unchanged = [(image == pictures[item]).all() for image, item in zip(batch.observation["image"], batch.items, strict=True)]
    assert sum(unchanged) == 0


def test_one_photograph_is_enough_to_turn_tiles_and_not_to_exchange_them():
    source = whole(photographs=[0] * 40)
    assert len(sample(OddPatch(source, SIDE, odd="turned"), 3)) == 3
    with pytest.raises(ValueError, match="2 different photographs"):
        OddPatch(source, SIDE)


def test_near_duplicates_give_no_odd_tiles():
    pictures = np.stack([whole().picture(item) for item in range(20)]).astype(int)
    twins = np.clip(pictures[10:] + 6, 0, 255)
    source = ImageSource(
        list(np.concatenate([pictures[10:], twins]).astype(np.uint8)),
        keys=[b"\0" * 16] * 20,
        photographs=range(20),
        min_zoom=1.0,
    )
    tiles = cut(np.stack([source.picture(item) for item in range(20)]), 2)
    batch = sample(OddPatch(source, SIDE), 100)
    for image, item, target in zip(batch.observation["image"], batch.items, batch.target, strict=True):
        found = np.argwhere((tiles == cut(image[None], 2)[0, target]).all(axis=(2, 3, 4)))
        assert all(other % 10 != item % 10 for other, _ in found)


def sharpness(tiles: np.ndarray) -> np.ndarray:
    """How rough tiles (n, m, side, side, 3) are beside their mean, (n, m)."""
    values = tiles.astype(float)
    steps = [np.abs(np.diff(values, axis=axis)).mean(axis=(2, 3, 4)) for axis in (2, 3)]
    return steps[0] + steps[1]


@pytest.mark.parametrize("sizes", [(32, 33), (28, 56)])
def test_a_foreign_tile_is_no_sharper_than_the_others(sizes):
    """White noise of one size and of several, enlarged: what differs in scale differs in how rough it is."""
    rng = np.random.default_rng(0)
    source = ImageSource([rng.integers(0, 256, (side, side, 3), np.uint8) for side in rng.integers(*sizes, 400)])
    batch = sample(OddPatch(source, 60), 1_500)
    rough = sharpness(cut(batch.observation["image"], 2))
    apart = np.abs(rough - np.median(rough, axis=1, keepdims=True))
    for guess in (apart.argmax(axis=1), rough.argmax(axis=1), rough.argmin(axis=1)):
        assert abs((guess == batch.target).mean() - 0.25) < 4 * (0.25 * 0.75 / 1_500) ** 0.5


def test_the_attack_by_sharpness_sees_tiles_of_another_scale():
    rng = np.random.default_rng(0)
    pictures = [np.stack([rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(200)]) for side in (32, 48)]
    sources = [ImageSource(list(some), min_zoom=1.0) for some in pictures]
    tiles, foreign = (cut(source.pixels(source.whole(np.arange(200)), 60), 2) for source in sources)
    tiles[:, 2] = foreign[:, 2]
    rough = sharpness(tiles)
    assert (np.abs(rough - np.median(rough, axis=1, keepdims=True)).argmax(axis=1) == 2).mean() > 0.9


def test_pictures_of_very_different_sizes_are_not_put_together():
    rng = np.random.default_rng(0)

    def source(sides: list[int]) -> ImageSource:
        pictures = [rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1) for side in sides]
        return ImageSource(pictures, keys=[b"\0" * 16] * len(sides), photographs=range(len(sides)))

    with pytest.raises(ValueError, match=r"asked about .* pairs of very different sizes"):
        OddPatch(source([16, 40, 104, 248]), 36)
    mixed = source([16, 40, 104, 248] * 3)
    first, second, *_ = OddPatch(mixed, 36).draw(Stream("train", np.zeros(200, int), np.arange(200)))
    assert (mixed.sizes(first.items)[0] == mixed.sizes(second.items)[0]).all()


@pytest.mark.parametrize(("odd", "word"), [("other", "another picture"), ("turned", "turned"), ("flipped", "mirrored")])
def test_the_prompt_says_what_is_odd(odd, word):
    task = OddPatch(whole(), SIDE, grid=3, odd=odd)
    question = task.question(sample(task, 1))[0]
    assert word in question
    assert "3 x 3" in question
    assert "1 to 9" in question


def test_only_the_right_tile_scores():
    task = OddPatch(whole(), SIDE)
    batch = sample(task, 20)
    assert task.chance == 0.25
    for by in range(4):
        assert (task.score((batch.target + by) % 4, batch).reward == float(by == 0)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"odd": "strange"}, "other, turned, flipped, got 'strange'"),
        ({"grid": 5}, "35 or 40"),
        ({"grid": 1}, "2, 3, 4, 5"),
        ({"gap": 30}, "gap must lie in 0 to 18"),
        ({"source": "nowhere"}, "known are scenes"),
        ({"source": np.zeros((40, 36, 36), np.uint8), "odd": "turned"}, "exchanged unseen"),
    ],
)
def test_wrong_arguments_are_errors_that_name_what_is_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        OddPatch(**{"source": "digits", "image_size": 36, **arguments})


@pytest.mark.parametrize("level", [level.name for level in OddPatch.levels])
def test_every_level_asks_questions_that_the_oracle_answers(level):
    task = make_task(ID, level=level)
    batch = sample(task, 16)
    assert (task.score(task.oracle(batch), batch).reward == 1).all()


def test_unknown_levels_and_arguments_are_errors_that_name_the_known():
    known = ", ".join(level.name for level in OddPatch.levels)
    with pytest.raises(ValueError, match=f"no level 'x'; its levels are {known}"):
        make_task(ID, level="x")
    with pytest.raises(
        TypeError,
        match="unexpected keyword argument 'kind'; it takes source, image_size, grid, odd, gap, jitter, light, level",
    ):
        make_task(ID, kind=2)
