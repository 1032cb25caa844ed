"""PatchOrdering: the direction of the permutation, how orders are scored, and that no other tile would do."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images.orders import derangements
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.tiles import cut, join
from ssl4rl_envs.sources import ImageSource

ID = "SSL4RL/PatchOrdering-v0"


def pictures(count: int, side: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def whole(side: int = 36, count: int = 60) -> ImageSource:
    """Pictures that are shown as they are, pixel for pixel, in an observation of their size."""
    return ImageSource(pictures(count, side), min_zoom=1.0)


def sample(task: PatchOrdering, count: int, seed: int = 0, split: str = "train") -> Batch:
    return task.sample(Stream(split, np.full(count, seed), np.arange(count)))


def by_hand(tiles: np.ndarray, target: list[int]) -> Batch:
    """One instance that shows these tiles (count, side, side, 3), with this target."""
    grid = round(len(tiles) ** 0.5)
    return Batch({"image": join(tiles[None], grid)}, np.array([target]), np.array([0]))


# What is shown


@pytest.mark.parametrize("grid", [2, 3])
def test_joining_the_shown_tiles_by_the_target_gives_the_picture_bit_for_bit(grid):
    source = whole()
    batch = sample(PatchOrdering(source, 36, grid=grid), 200)
    tiles = cut(batch.observation["image"], grid)
    for row, order in enumerate(batch.target):
        joined = join(tiles[row, order][None], grid)[0]
        assert np.array_equal(joined, source.picture(batch.items[row]))


@pytest.mark.parametrize("grid", [2, 3])
def test_every_order_is_equally_likely_the_right_one_included(grid):
    batch = sample(PatchOrdering(whole(), 36, grid=grid), 4_000)
    count = grid**2
    places = np.stack([np.bincount(batch.target[:, place], minlength=count) for place in range(count)])
    assert (np.abs(places - 4_000 / count) < 5 * (4_000 / count * (1 - 1 / count)) ** 0.5).all()
    if grid == 2:
        _, counts = np.unique(batch.target, axis=0, return_counts=True)
        assert len(counts) == 24
        assert (np.abs(counts - 4_000 / 24) < 5 * (4_000 / 24) ** 0.5).all()


def test_the_worked_example_of_the_prompt_is_what_the_target_means():
    """2, 3, 1, 4: tile 2 belongs in the first place, tile 3 in the second, tile 1 in the third, tile 4 where it is."""
    task = PatchOrdering(whole(), 36)
    question = task.question(sample(task, 1))[0]
    example = "2, 3, 1, 4 says that tile 2 belongs in the first place, tile 3 in the second, tile 1 in the third, and"
    assert example in question
    picture = pictures(1, 36)[0]
    first, second, third, fourth = cut(picture[None], 2)[0]
    shuffled = by_hand(np.stack([third, first, second, fourth]), [1, 2, 0, 3])
    assert np.array_equal(task.parse("<answer>2, 3, 1, 4</answer>"), shuffled.target[0])
    assert task.score_texts(["<answer>2, 3, 1, 4</answer>"], shuffled).success.all()
    # The other direction (where each tile goes: 3, 1, 2, 4) is another order, and wrong.
    assert task.score_texts(["<answer>3, 1, 2, 4</answer>"], shuffled).reward.tolist() == [0]
    given_order = cut(shuffled.observation["image"], 2)[0][task.example()]
    assert np.array_equal(join(given_order[None], 2)[0], picture)


@pytest.mark.parametrize("grid", [2, 3, 4, 5])
def test_the_example_tells_the_two_directions_apart(grid):
    task = PatchOrdering(whole(60), 60, grid=grid)
    example = task.example()
    assert task.valid(example[None]).all()
    assert not np.array_equal(np.argsort(example), example)


# Scores


@pytest.mark.parametrize(
    ("answer", "reward", "success"),
    [
        ([0, 1, 2, 3], 1, True),
        ([1, 0, 2, 3], 1 / 3, False),
        ([0, 3, 2, 1], 1 / 3, False),
        ([0, 2, 3, 1], 0, False),
        ([1, 2, 3, 0], 0, False),
        ([0, 0, 0, 0], 0, False),
        ([0, 1, 2, 2], 0, False),
    ],
)
def test_the_share_of_right_places_is_paid_beyond_one(answer, reward, success):
    task, batch = PatchOrdering(whole(), 36), by_hand(cut(pictures(1, 36)[0][None], 2)[0], [0, 1, 2, 3])
    score = task.score(np.array([answer]), batch)
    assert score.reward.dtype == np.float32
    assert score.reward[0] == pytest.approx(reward, abs=1e-7)
    assert score.success[0] == success
    exact = PatchOrdering(whole(), 36, reward="exact").score(np.array([answer]), batch)
    assert exact.reward[0] == float(success)


@pytest.mark.parametrize("answer", [[-1, -1, -1, -1], [4, 1, 2, 3], [0, 1, 2, -4]])
def test_numbers_outside_the_tiles_are_worth_nothing(answer):
    task, batch = PatchOrdering(whole(), 36), by_hand(cut(pictures(1, 36)[0][None], 2)[0], [0, 1, 2, 3])
    assert not task.valid(np.array([answer])).any()
    assert task.score(np.array([answer]), batch).reward.tolist() == [0]


@pytest.mark.parametrize("length", [1, 3, 5])
def test_orders_of_a_wrong_length_are_worth_nothing(length):
    task, batch = PatchOrdering(whole(), 36), by_hand(cut(pictures(1, 36)[0][None], 2)[0], [0, 1, 2, 3])
    assert not task.valid(np.arange(length)[None]).any()
    said = ", ".join(str(k + 1) for k in range(length))
    assert task.score_texts([f"<answer>{said}</answer>"], batch).reward.tolist() == [0]


@pytest.mark.parametrize("said", ["1, 1, 1, 1", "1, 2, 3, 3", "0, 1, 2, 3", "1, 2, 3, 5", "1, 2, 3", "1 2 3 4 4", "4321", ""])
def test_texts_that_are_no_permutation_do_not_parse(said):
    assert PatchOrdering(whole(), 36).parse(f"<answer>{said}</answer>") is None


@pytest.mark.parametrize("reward", ["fraction", "exact"])
@pytest.mark.parametrize("grid", [2, 3])
def test_chance_is_the_exact_expectation_over_all_orders(grid, reward):
    """Counted, not drawn: every order of the tiles against one target."""
    count = grid**2
    orders = np.array(list(itertools.permutations(range(count))))
    fixed = (orders == np.arange(count)).sum(axis=1)
    paid = np.maximum(fixed / count - 1 / count, 0) / (1 - 1 / count) if reward == "fraction" else fixed == count
    task = PatchOrdering(whole(), 36, grid=grid, reward=reward)
    assert task.chance == pytest.approx(paid.mean(), rel=1e-12)
    if (grid, reward) == (2, "fraction"):
        assert task.chance == 0.125


def test_the_reward_of_all_24_orders_has_the_declared_mean():
    task = PatchOrdering(whole(), 36)
    orders = np.array(list(itertools.permutations(range(4))))
    one = sample(task, 1)
    batch = one.rows(np.zeros(24, np.int64))
    assert task.score(orders, batch).reward.mean() == pytest.approx(0.125)


def test_derangements_are_counted():
    assert [derangements(n) for n in range(2, 10)] == [1, 2, 9, 44, 265, 1854, 14833, 133496]


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_no_order_but_the_right_one_succeeds(target, answer):
    task, tiles = PatchOrdering(whole(), 36), cut(pictures(1, 36)[0][None], 2)[0]
    score = task.score(np.array([answer]), by_hand(tiles, target))
    fixed = sum(a == b for a, b in zip(answer, target, strict=True))
    assert score.reward[0] == pytest.approx(max(0, (fixed - 1) / 3))
    assert score.success[0] == (answer == target)


def test_equal_tiles_count_as_one_another():
    task, tiles = PatchOrdering(whole(), 36), cut(pictures(1, 36)[0][None], 2)[0].copy()
    tiles[3] = tiles[1]
    batch = by_hand(tiles, [0, 1, 2, 3])
    for answer in ([0, 1, 2, 3], [0, 3, 2, 1]):
        score = task.score(np.array([answer]), batch)
        assert score.reward.tolist() == [1]
        assert score.success.all()
    assert task.score(np.array([[2, 3, 0, 1]]), batch).reward[0] == pytest.approx(1 / 3)
    assert not task.score(np.array([[0, 0, 2, 1]]), batch).success.any()


def test_tiles_that_differ_by_one_bit_are_not_equal():
    task, tiles = PatchOrdering(whole(), 36), cut(pictures(1, 36)[0][None], 2)[0].copy()
    tiles[3] = tiles[1]
    tiles[3, 0, 0, 0] ^= 1
    assert task.score(np.array([[0, 3, 2, 1]]), by_hand(tiles, [0, 1, 2, 3])).reward[0] == pytest.approx(1 / 3)


def test_every_instance_has_one_right_answer():
    batch = sample(PatchOrdering("digits", 36), 300)
    tiles = cut(batch.observation["image"], 2).astype(int)
    for one, other in itertools.combinations(range(4), 2):
        assert (np.abs(tiles[:, one] - tiles[:, other]).mean(axis=(1, 2, 3)) > 1).all()


# Gap and jitter


@pytest.mark.parametrize(("gap", "jitter"), [(4, 0), (0, 3), (4, 2)])
def test_with_gap_and_jitter_the_tiles_are_parts_of_their_quarters(gap, jitter):
    cell = 18 + gap + 2 * jitter
    source = whole(2 * cell, 30)
    batch = sample(PatchOrdering(source, 36, gap=gap, jitter=jitter), 20)
    tiles = cut(batch.observation["image"], 2)
    for row, order in enumerate(batch.target):
        quarters = cut(source.picture(batch.items[row])[None], 2)[0]
        for place, tile in enumerate(order):
            windows = np.lib.stride_tricks.sliding_window_view(quarters[place], (18, 18), axis=(0, 1))
            wanted = tiles[row, tile].transpose(2, 0, 1)
            assert (windows == wanted).all(axis=(2, 3, 4)).any()


def test_a_gap_keeps_the_edges_from_matching():
    """On a ramp, which any cut continues by one grey level, the right neighbours differ by one and the gap."""
    rows, columns = np.indices((40, 40))
    rng = np.random.default_rng(0)
    ramps = [
        np.stack([rows * 3, columns * 3, np.full((40, 40), grey)], -1).astype(np.uint8) for grey in rng.integers(0, 256, 40)
    ]

    def steps(task: PatchOrdering) -> np.ndarray:
        batch = sample(task, 60)
        ordered = cut(batch.observation["image"], 2)[np.arange(60)[:, None], batch.target].astype(int)
        return (ordered[:, 1, :, 0, 1] - ordered[:, 0, :, -1, 1])[:, 0]

    assert set(steps(PatchOrdering(ImageSource(ramps, min_zoom=1.0), 40)).tolist()) == {3}
    assert (steps(PatchOrdering(ImageSource(ramps, min_zoom=1.0), 36, gap=2)) == 9).all()
    assert steps(PatchOrdering(ImageSource(ramps, min_zoom=1.0), 32, gap=2, jitter=1)).min() >= 9


# Errors and levels


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 64, "grid": 3}, "63 or 66"),
        ({"image_size": 60, "grid": 7}, "2, 3, 4, 5, got 7"),
        ({"image_size": 30, "grid": 5}, "image_size of 40, got 30"),
        ({"image_size": 36, "gap": 19}, "gap must lie in 0 to 18"),
        ({"image_size": 36, "jitter": -1}, "jitter must lie in 0 to 18"),
        ({"image_size": 36, "reward": "most"}, "fraction, exact, got 'most'"),
        ({"source": "nowhere"}, "unknown source 'nowhere'; known are scenes, photos, faces, digits"),
    ],
)
def test_wrong_arguments_are_errors_that_name_what_is_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        PatchOrdering(**{"source": "digits", **arguments})


@pytest.mark.parametrize("grey", [0, 255])
def test_blank_sources_are_errors_at_construction(grey):
    with pytest.raises(ValueError, match=r"only 0% .* tiles that look alike"):
        PatchOrdering(np.full((40, 36, 36), grey, np.uint8), 36)


def test_periodic_pictures_are_not_asked_about():
    quarters = [np.tile(picture, (2, 2, 1)) for picture in pictures(40, 18)]
    with pytest.raises(ValueError, match="look alike"):
        PatchOrdering(ImageSource(quarters, min_zoom=1.0), 36)


@pytest.mark.parametrize("level", [level.name for level in PatchOrdering.levels])
def test_every_level_asks_questions_that_the_oracle_answers(level):
    task = make_task(ID, level=level)
    batch = sample(task, 20)
    score = task.score(task.oracle(batch), batch)
    assert (score.reward == 1).all()
    assert score.success.all()
    assert gym.make(ID, level=level, source="digits").reset(seed=0)[0]["image"].shape == (60, 60, 3)


def test_unknown_levels_and_arguments_are_errors_that_name_the_known():
    known = ", ".join(level.name for level in PatchOrdering.levels)
    with pytest.raises(ValueError, match=f"no level '9x9'; its levels are {known}"):
        make_task(ID, level="9x9")
    with pytest.raises(
        TypeError,
        match="unexpected keyword argument 'tiles'; it takes source, image_size, grid, reward, gap, jitter, light, level",
    ):
        make_task(ID, tiles=2)
    with pytest.raises(ValueError, match="level '3x3' of PatchOrdering sets grid"):
        make_task(ID, level="3x3", grid=2)
