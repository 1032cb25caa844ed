"""Questions that are chosen among several of one picture: uniformly, by the criterion, and never by the target."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ssl4rl_envs import Stream, drafts, make_task
from ssl4rl_envs.images.masked_reconstruction import MIN_DIFFERENCE as MIN_PATCH
from ssl4rl_envs.images.masked_reconstruction import MaskedReconstruction
from ssl4rl_envs.images.patch_position import MIN_DIFFERENCE as MIN_CROP
from ssl4rl_envs.images.patch_position import PatchPosition
from ssl4rl_envs.sources import ImageSource

SURE = 1e-4
PICTURES = ("scenes", "photos", "faces")


def stream(count: int, seed: int = 0, split: str = "train") -> Stream:
    return Stream.span(split, seed, 0, count)


def noise(count: int = 60, side: int = 36) -> ImageSource:
    """Pictures no part of which is found twice, shown as they are."""
    return ImageSource(list(np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)), min_zoom=1.0)


# Places of a crop


def lonely(look: np.ndarray, grid: int) -> np.ndarray:
    """Which of the nine places of each cell look like none in another cell, (cells, 9), written out as the text says it."""
    side, cell = 4, 6
    result = np.ones((grid * grid, 9), bool)
    windows = {
        (y, x): look[y : y + side, x : x + side].astype(int)
        for y in range(grid * cell - side + 1)
        for x in range(grid * cell - side + 1)
    }
    owner = {(y, x): (min((y + 2) // cell, grid - 1), min((x + 2) // cell, grid - 1)) for y, x in windows}
    for number in range(grid * grid):
        here = divmod(number, grid)
        for spot in range(9):
            crop = windows[here[0] * cell + spot // 3, here[1] * cell + spot % 3]
            result[number, spot] = all(
                np.abs(crop - window).mean() >= MIN_CROP for place, window in windows.items() if owner[place] != here
            )
    return result


@pytest.mark.parametrize("source", ["scenes", "photos"])
@pytest.mark.parametrize("grid", [2, 3])
def test_the_place_of_a_crop_is_the_first_that_will_do_in_every_cell(source, grid):
    task = PatchPosition(source, 48, grid=grid)
    draft = task.draft(stream(30))
    good = task.askable(draft)
    looks = task.source.pixels(draft.views, 6 * grid)
    for row in range(30):
        will_do = lonely(looks[row], grid)
        assert good[row] == will_do.any(axis=1).all()
        if good[row]:
            order = draft.order[row]
            assert draft.spots[row].tolist() == [int(order[cell[order].argmax()]) for cell in will_do]


def test_of_the_places_that_will_do_all_are_taken_alike():
    """In one picture, over and over: cells where all nine will do, and cells where some will."""
    task = PatchPosition("scenes", 48)
    views = task.draft(stream(40)).views
    will_do = [lonely(look, 2) for look in task.source.pixels(views, 12)]
    mixed = [row for row, places in enumerate(will_do) if places.any(axis=1).all() and not places.all()]
    chosen = np.full(3_000, mixed[0])
    draft = task.draft(stream(3_000, seed=1))
    draft.views.items[:], draft.views.x[:], draft.views.y[:], draft.views.side[:] = (
        values[chosen] for values in (views.items, views.x, views.y, views.side)
    )
    assert task.askable(draft).all()
    for cell, places in enumerate(will_do[mixed[0]]):
        counts = np.bincount(draft.spots[:, cell], minlength=9)
        assert not counts[~places].any()
        assert places.sum() == 1 or stats.chisquare(counts[places]).pvalue > SURE


@pytest.mark.parametrize("source", PICTURES)
def test_the_picture_is_drawn_before_it_is_known_which_cell_is_asked_about(source):
    task = PatchPosition(source, 36)
    numbers = stream(40).keyed(task.stream_key)
    numbers.integers(0, 4)
    draft = task.draw(numbers)
    assert np.array_equal(task.sample(stream(40)).observation["image"], task.source.pixels(draft.views, 36))


# Patches


def test_patches_lie_as_if_pictures_had_been_drawn_until_they_fit():
    """Where all patches differ, the first fitting choice of several has the law of the first that fits of any number."""
    task = MaskedReconstruction(noise(), 36, patch_size=12)
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 25, (60_000, 3, 2))
    fits = (np.abs(corners[:, 1:] - corners[:, :1]).max(axis=2) >= 12).all(axis=1)
    batch = task.sample(stream(4_000))
    masked = (batch.observation["image"] == 128).all(axis=3)
    seen = np.stack([masked.any(axis=2).argmax(axis=1), masked.any(axis=1).argmax(axis=1)], axis=1)
    for axis in (0, 1):
        table = [np.bincount(places[:, axis], minlength=25) for places in (seen, corners[fits, 0])]
        assert stats.chi2_contingency(table).pvalue > SURE


@pytest.mark.parametrize("source", PICTURES)
@pytest.mark.parametrize("candidates", [2, 4, 6])
def test_patches_meet_the_criterion_and_are_what_the_picture_shows(source, candidates):
    task = MaskedReconstruction(source, 64, candidates=candidates, patch_size=14)
    draft = task.draw(stream(30))
    pictures = task.source.pixels(draft.first, 64)
    for row in range(30):
        patches = draft.patches[row].astype(int)
        assert all(np.abs(a - b).mean() >= MIN_PATCH for k, a in enumerate(patches) for b in patches[k + 1 :])
        y, x = draft.corner[row]
        assert np.array_equal(patches[0], pictures[row, y : y + 14, x : x + 14])
        whole = draft.image[row].copy()
        assert (whole[y : y + 14, x : x + 14] == 128).all()
        whole[y : y + 14, x : x + 14] = patches[0]
        assert np.array_equal(whole, pictures[row])


# Both


@pytest.mark.parametrize("source", PICTURES)
@pytest.mark.parametrize("name", ["PatchPosition", "MaskedReconstruction"])
def test_targets_are_balanced_over_every_source(name, source):
    task = make_task(
        f"SSL4RL/{name}-v0", source=source, image_size=36, **({} if name == "PatchPosition" else {"patch_size": 9})
    )
    counts = np.bincount(task.sample(stream(2_000, seed=5)).target, minlength=4)
    assert stats.chisquare(counts).pvalue > SURE


@pytest.mark.parametrize("name", ["PatchPosition", "MaskedReconstruction"])
def test_an_instance_is_the_same_in_every_batch(name):
    task = make_task(
        f"SSL4RL/{name}-v0", source="photos", image_size=36, **({} if name == "PatchPosition" else {"patch_size": 9})
    )
    together = task.sample(stream(40))
    for row in (0, 3, 17, 39):
        alone = task.sample(Stream("train", [0], [row]))
        assert all(np.array_equal(alone.observation[key][0], together.observation[key][row]) for key in alone.observation)
        assert alone.target[0] == together.target[row]


def test_few_rows_are_redrawn_as_if_one_attempt_came_after_the_other():
    """Whatever is drawn at once, a row takes the first of its attempts that will do."""

    def draw(numbers: Stream) -> tuple[list[np.ndarray], np.ndarray]:
        value = numbers.uniform()
        return [value, numbers.words((2,))], value < 0.03

    rows = stream(50)
    value, words = drafts.until_askable(rows, draw, "test")
    for row in range(50):
        (first, second), good = draw(Stream("train", [0], [row]))
        attempt = 0
        while not good[0]:
            attempt += 1
            (first, second), good = draw(Stream("train", [0], [row]).redraw(np.array([0]), attempt))
        assert value[row] == first[0]
        assert np.array_equal(words[row], second[0])


def test_a_row_is_given_up_after_the_same_number_of_attempts_whatever_is_drawn_at_once():
    drawn = []

    def never(numbers: Stream) -> tuple[np.ndarray, np.ndarray]:
        drawn.append(len(numbers))
        return numbers.uniform(), np.zeros(len(numbers), bool)

    with pytest.raises(RuntimeError, match="nothing to ask about in 400 draws of 3 instances"):
        drafts.until_askable(stream(3), never, "test")
    assert sum(drawn) == 3 * (1 + drafts.MAX_REDRAWS)
    assert max(drawn) <= drafts.AT_ONCE
