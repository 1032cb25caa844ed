"""MaskedReconstruction: the true candidate, where the others are from, and what a painting is paid."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images.masked_reconstruction import GREY, MaskedReconstruction
from ssl4rl_envs.images.tiles import panel_grid
from ssl4rl_envs.sources import ImageSource
from ssl4rl_envs.sources.scenes import scenes

ID = "SSL4RL/MaskedReconstruction-v0"
SIDE = 36


def whole(count: int = 60, photographs: list[int] | None = None) -> ImageSource:
    """Pictures of noise that are shown as they are; no patch is found twice, and none is the mask's grey."""
    pictures = np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    pictures[pictures == GREY] += 1
    return ImageSource(list(pictures), min_zoom=1.0, photographs=photographs)


def sample(task: MaskedReconstruction, count: int, seed: int = 0) -> Batch:
    return task.sample(Stream("train", np.full(count, seed), np.arange(count)))


def corner_of(image: np.ndarray, side: int) -> tuple[int, int]:
    """Where the mask is."""
    rows, columns = np.nonzero((image == GREY).all(axis=2))
    assert len(rows) == side * side
    assert np.ptp(rows) == np.ptp(columns) == side - 1
    return int(rows.min()), int(columns.min())


def shown(canvas: np.ndarray, many: int, side: int) -> list[np.ndarray]:
    """The candidates on a canvas, in reading order."""
    grid = panel_grid(many)
    cell = len(canvas) // grid
    top, inside = (len(canvas) - -(-many // grid) * cell) // 2, (cell - side) // 2
    starts = [(top + k // grid * cell + inside, k % grid * cell + inside) for k in range(many)]
    return [canvas[y : y + side, x : x + side] for y, x in starts]


def places(patch: np.ndarray, picture: np.ndarray) -> list[tuple[int, int]]:
    windows = np.lib.stride_tricks.sliding_window_view(picture, patch.shape[:2], axis=(0, 1))
    found = (windows == patch.transpose(2, 0, 1)).all(axis=(2, 3, 4))
    return [(int(y), int(x)) for y, x in np.argwhere(found)]


# Choice


@pytest.mark.parametrize(("candidates", "side"), [(2, 12), (4, 9), (4, 5), (9, 8)])
def test_the_true_candidate_is_what_was_under_the_mask(candidates, side):
    source = whole()
    batch = sample(MaskedReconstruction(source, SIDE, candidates=candidates, patch_size=side), 60)
    for row in range(60):
        image, picture = batch.observation["image"][row], source.picture(batch.items[row])
        y, x = corner_of(image, side)
        patch = shown(batch.observation["candidates"][row], candidates, side)[batch.target[row]]
        assert np.array_equal(patch, picture[y : y + side, x : x + side])
        filled = image.copy()
        filled[y : y + side, x : x + side] = patch
        assert np.array_equal(filled, picture)


@pytest.mark.parametrize(("candidates", "same"), [(2, 1), (3, 1), (4, 2), (5, 2), (9, 4)])
def test_every_second_candidate_is_of_the_same_picture_and_the_rest_of_another(candidates, same):
    source = whole()
    batch = sample(MaskedReconstruction(source, SIDE, candidates=candidates, patch_size=8), 30)
    for row in range(30):
        own = source.picture(batch.items[row])
        y, x = corner_of(batch.observation["image"][row], 8)
        patches = shown(batch.observation["candidates"][row], candidates, 8)
        found = [places(patch, own) for k, patch in enumerate(patches) if k != batch.target[row]]
        near = [where[0] for where in found if where]
        assert len(near) == same
        assert all(max(abs(a - y), abs(b - x)) >= 8 for a, b in near), "candidates do not overlap the mask"
        foreign = [patch for k, patch in enumerate(patches) if not places(patch, own)]
        others = [item for item in range(len(source)) if any(places(patch, source.picture(item)) for patch in foreign)]
        assert len(others) == (1 if candidates > 2 else 0)


def test_foreign_candidates_are_of_another_photograph():
    """Six regions of each of ten photographs."""
    photographs = [k // 6 for k in range(60)]
    source = whole(photographs=photographs)
    batch = sample(MaskedReconstruction(source, SIDE, candidates=3, patch_size=8), 60)
    for row in range(60):
        for patch in shown(batch.observation["candidates"][row], 3, 8):
            items = [item for item in range(60) if places(patch, source.picture(item))]
            assert items == [batch.items[row]] or photographs[items[0]] != photographs[batch.items[row]]


@pytest.mark.parametrize("sizes", [(32, 33), (28, 56)])
def test_foreign_candidates_are_as_sharp_as_those_of_the_picture(sizes):
    """White noise of one size and of several, enlarged: what differs in scale differs in how rough it is."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (side, side, 3), np.uint8) for side in rng.integers(*sizes, 400)]
    task = MaskedReconstruction(ImageSource(pictures), 64, candidates=3, patch_size=16)
    draft = task.draw(Stream("train", np.zeros(600, int), np.arange(600)))
    image = task.source.pixels(draft.first, 64)
    values = draft.patches.astype(float)
    rough = sum(np.abs(np.diff(values, axis=axis)).mean(axis=(2, 3, 4)) for axis in (2, 3))  # true, own, foreign
    whole = sum(np.abs(np.diff(image.astype(float), axis=axis)).mean(axis=(1, 2, 3)) for axis in (1, 2))
    apart = np.abs(rough - whole[:, None])
    nearer = apart[:, 0] < apart[:, 2]
    assert abs(nearer.mean() - 0.5) < 4 * 0.5 / 600**0.5
    assert abs((rough[:, 2] > rough[:, 0]).mean() - 0.5) < 4 * 0.5 / 600**0.5


@pytest.mark.parametrize("candidates", [2, 4, 9])
def test_candidates_all_differ(candidates):
    batch = sample(MaskedReconstruction("scenes", 60, candidates=candidates, patch_size=12), 60)
    for row in range(60):
        patches = [patch.astype(int) for patch in shown(batch.observation["candidates"][row], candidates, 12)]
        for k, patch in enumerate(patches):
            assert all(np.abs(patch - other).mean() >= 10 for other in patches[k + 1 :])


@pytest.mark.parametrize("candidates", [2, 4, 9])
def test_the_truth_stands_at_every_number_alike(candidates):
    counts = np.bincount(sample(MaskedReconstruction(whole(), SIDE, candidates=candidates, patch_size=8), 2_000).target)
    assert len(counts) == candidates
    assert (np.abs(counts - 2_000 / candidates) < 5 * (2_000 / candidates) ** 0.5).all()


def test_candidates_of_either_kind_stand_at_every_number_alike():
    source = whole()
    batch = sample(MaskedReconstruction(source, SIDE, candidates=4, patch_size=8), 250)
    foreign = np.zeros(4)
    for row in range(250):
        patches = shown(batch.observation["candidates"][row], 4, 8)
        foreign += [not places(patch, source.picture(batch.items[row])) for patch in patches]
    assert foreign.sum() == 250
    assert (np.abs(foreign - 62.5) < 5 * (250 * 0.25 * 0.75) ** 0.5).all()


def test_only_the_right_choice_scores():
    task = MaskedReconstruction(whole(), SIDE, patch_size=8)
    batch = sample(task, 20)
    for by in range(4):
        assert (task.score((batch.target + by) % 4, batch).reward == float(by == 0)).all()
    assert task.chance == 0.25
    assert task.parse("<answer>4</answer>") == 3
    assert task.parse("<answer>5</answer>") is None


# Painting


def painter(side: int = 8) -> MaskedReconstruction:
    return MaskedReconstruction(whole(), SIDE, answer="pixels", patch_size=side)


def test_the_spaces_of_painting():
    task = painter()
    assert task.action_space == spaces.Box(-1, 1, (8, 8, 3), np.float32)
    assert set(task.observation_space) == {"image"}
    assert task.answer_format is None


def test_the_target_is_the_patch_from_minus_one_to_one():
    source = whole()
    task = MaskedReconstruction(source, SIDE, answer="pixels", patch_size=8)
    batch = sample(task, 20)
    for row in range(20):
        y, x = corner_of(batch.observation["image"][row], 8)
        patch = source.picture(batch.items[row])[y : y + 8, x : x + 8]
        assert batch.target[row] == pytest.approx(patch / 127.5 - 1, abs=1e-6)
        assert batch.target[row] in task.action_space


def test_paintings_are_paid_what_they_beat_the_best_constant_by():
    task = painter()
    batch = sample(task, 20)
    truth, mean = batch.target, batch.target.mean(axis=(1, 2), keepdims=True)

    def paid(painting: np.ndarray) -> np.ndarray:
        return task.score(painting.astype(np.float32), batch).reward

    assert (paid(truth) == 1).all()
    assert paid(np.broadcast_to(mean, truth.shape)) == pytest.approx(np.zeros(20), abs=1e-5)
    # Half of the distance leaves a quarter of the squared error.
    assert paid((truth + mean) / 2) == pytest.approx(np.full(20, 0.75), abs=1e-5)
    # The squared error halved.
    assert paid(truth + (mean - truth) * 0.5**0.5) == pytest.approx(np.full(20, 0.5), abs=1e-5)
    assert (paid(-truth) == 0).all()
    assert (paid(np.full_like(truth, -1)) == 0).all()


def test_one_wrong_pixel_costs_its_share_by_hand():
    task = painter()
    target = np.zeros((1, 8, 8, 3), np.float32)
    target[:, :4] = 0.5
    target[:, 4:] = -0.5  # the mean is 0, so the best constant leaves 0.25
    batch = Batch({"image": np.zeros((1, SIDE, SIDE, 3), np.uint8)}, target, np.zeros(1, np.int64), {})
    painting = target.copy()
    painting[0, 0, 0] = -0.5  # an error of 1 in one of 64 pixels
    score = task.score(painting, batch)
    assert score.reward[0] == pytest.approx(1 - 1 / 64 / 0.25)
    assert score.success[0]
    painting[0, :3] = -0.5
    painting[0, 3, :4] = -0.5
    assert task.score(painting, batch).reward[0] == 0


def test_success_is_half_of_the_error_gone():
    task = painter()
    batch = sample(task, 10)
    mean = batch.target.mean(axis=(1, 2), keepdims=True)
    for share, success in ((0.69, True), (0.73, False)):
        painting = (batch.target + (mean - batch.target) * share).astype(np.float32)
        assert (task.score(painting, batch).success == success).all()


def test_values_out_of_range_are_no_painting():
    task = painter()
    batch = sample(task, 3)
    painting = batch.target.copy()
    painting[1, 0, 0, 0] = 1.01
    painting[2, 0, 0, 0] = np.nan
    assert task.valid(painting).tolist() == [True, False, False]
    assert task.score(painting, batch).reward.tolist() == [1, 0, 0]


def test_a_painting_is_paid_the_same_in_every_batch():
    task = MaskedReconstruction("faces", SIDE, answer="pixels", patch_size=9)
    batch = sample(task, 40)
    paintings = (batch.target * np.float32(0.37)).astype(np.float32)
    together = task.score(paintings, batch).reward
    alone = [task.score(paintings[k : k + 1], batch.rows(slice(k, k + 1))).reward[0] for k in range(40)]
    assert together.tolist() == alone


def test_chance_is_more_than_the_mean_patch_and_random_paintings_are_paid():
    task = MaskedReconstruction("faces", SIDE, answer="pixels", patch_size=12)
    batch = sample(task, 600, seed=9)
    mean = np.repeat(sample(task, 600, seed=8).target.mean(axis=0, keepdims=True), 600, axis=0)
    assert task.score(mean, batch).reward.mean() < task.chance
    random = task.random_answers(batch, Stream("train", np.full(600, 1), np.arange(600)))
    assert task.score(random, batch).reward.mean() <= task.chance + 1e-6
    assert 0 <= task.chance < 0.2


def test_patches_without_contrast_are_not_to_be_painted():
    with pytest.raises(ValueError, match=r"only 0% .* patches that look alike"):
        MaskedReconstruction(np.full((40, SIDE, SIDE), 90, np.uint8), SIDE, answer="pixels", patch_size=8)
    batch = sample(MaskedReconstruction("digits", SIDE, answer="pixels", patch_size=8), 200)
    patches = (batch.target + 1) * 127.5
    assert (((patches - patches.mean(axis=(1, 2), keepdims=True)) ** 2).mean(axis=(1, 2, 3)) >= 5.99**2).all()


def test_painting_has_no_words():
    with pytest.raises(ValueError, match="no text interface; use interface='array'"):
        gym.make(ID, source="digits", image_size=SIDE, answer="pixels", patch_size=8, interface="text")
    assert painter().truths(sample(painter(), 2)) == [None, None]


@pytest.mark.parametrize("answer", ["choice", "pixels"])
def test_gymnasiums_checker_passes(answer):
    env = gym.make(ID, source="digits", image_size=SIDE, answer=answer, patch_size=8)
    check_env(env.unwrapped, skip_render_check=True)


def test_a_painting_is_shown_beside_the_truth():
    source = whole()
    task = MaskedReconstruction(source, SIDE, answer="pixels", patch_size=8)
    batch = sample(task, 3)
    pictures = task.illustrate(np.full((8, 8, 3), -1, np.float32), batch, 1)
    y, x = corner_of(batch.observation["image"][1], 8)
    assert np.array_equal(pictures["true"], source.picture(batch.items[1]))
    expected = pictures["true"].copy()
    expected[y : y + 8, x : x + 8] = 0
    assert np.array_equal(pictures["painted"], expected)
    assert MaskedReconstruction(source, SIDE, patch_size=8).illustrate(1, batch, 1) == {}


def test_painting_is_drawn_only_when_it_is_over():
    env = gym.make(ID, source="digits", image_size=SIDE, answer="pixels", patch_size=8, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(env.unwrapped.batch.target[0])
    after = env.render()
    assert before.dtype == after.dtype == np.uint8
    assert not np.array_equal(before, after)
    env.reset()


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": 1}, "2 to 9, got 1"),
        ({"candidates": 10}, "2 to 9, got 10"),
        ({"patch_size": 3}, "4 to 18 .*got 3"),
        ({"patch_size": 19}, "4 to 18 .*image_size=36.*got 19"),
        ({"candidates": 9, "patch_size": 11}, "patch_size of at most 10"),
        ({"answer": "words"}, "choice, pixels, got 'words'"),
        ({"source": "nowhere"}, "known are scenes"),
    ],
)
def test_wrong_arguments_are_errors_that_name_what_is_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaskedReconstruction(**{"source": "digits", "image_size": SIDE, "patch_size": 8, **arguments})


def test_one_photograph_is_not_enough_for_foreign_candidates():
    source = whole(photographs=[0] * 60)
    with pytest.raises(ValueError, match="2 different photographs"):
        MaskedReconstruction(source, SIDE, candidates=4, patch_size=8)
    assert len(sample(MaskedReconstruction(source, SIDE, candidates=2, patch_size=8), 3)) == 3


def test_blank_sources_are_errors():
    with pytest.raises(ValueError, match="look alike"):
        MaskedReconstruction(np.zeros((40, SIDE, SIDE), np.uint8), SIDE, candidates=2, patch_size=8)


@pytest.mark.parametrize("level", [level.name for level in MaskedReconstruction.levels])
def test_every_level_asks_questions_that_the_oracle_answers(level):
    task = make_task(ID, level=level, source=scenes())
    batch = sample(task, 16)
    assert (task.score(task.oracle(batch), batch).reward == 1).all()


def test_unknown_levels_and_arguments_are_errors_that_name_the_known():
    known = ", ".join(level.name for level in MaskedReconstruction.levels)
    with pytest.raises(ValueError, match=f"no level 'x'; its levels are {known}"):
        make_task(ID, level="x")
    with pytest.raises(
        TypeError, match="unexpected keyword argument 'mask'; it takes source, image_size, answer, candidates, patch_size"
    ):
        make_task(ID, mask=2)
