"""PatchPosition: the crop lies in the cell that is the target, all cells are asked about, the picture alone tells nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images import augmentations
from ssl4rl_envs.images.patch_position import PatchPosition
from ssl4rl_envs.sources import ImageSource
from ssl4rl_envs.sources.scenes import scenes

ID = "SSL4RL/PatchPosition-v0"
SIDE = 120


def maps(count: int = 30, side: int = SIDE) -> ImageSource:
    """Pictures that say where their pixels are: red is twice the row, green twice the column; shown whole."""
    rows, columns = np.indices((side, side)) * 240 // side
    pictures = [np.stack([rows, columns, np.full_like(rows, 5 * number)], -1).astype(np.uint8) for number in range(count)]
    return ImageSource(pictures, min_zoom=1.0)


def coarse(count: int = 60, side: int = 36) -> np.ndarray:
    blocks = np.random.default_rng(0).integers(0, 256, (count, side // 6, side // 6, 3), dtype=np.uint8)
    return blocks.repeat(6, axis=1).repeat(6, axis=2)


def stream(count: int, seed: int = 0) -> Stream:
    return Stream.span("train", seed, 0, count)


def sample(task: PatchPosition, count: int, seed: int = 0) -> Batch:
    return task.sample(Stream("train", np.full(count, seed), np.arange(count)))


@pytest.mark.parametrize("grid", [2, 3, 4, 5])
def test_the_crop_lies_within_the_cell_that_is_the_target(grid):
    batch = sample(PatchPosition(maps(side=60), 60, grid=grid), 300)
    crop = batch.observation["crop"].astype(float) / 240 * grid
    for axis, cell in enumerate((batch.target // grid, batch.target % grid)):
        values = crop[..., axis].reshape(300, -1)
        assert (values.min(axis=1) >= cell - 0.06).all()
        assert (values.max(axis=1) <= cell + 1.06).all()
        wide = values.max(axis=1) - values.min(axis=1)
        assert wide == pytest.approx(np.full(300, 2 / 3), abs=0.1)
    assert set(batch.target.tolist()) == set(range(grid**2))


def test_the_crop_is_of_the_picture_that_is_shown():
    batch = sample(PatchPosition(maps(), 60), 100)
    assert (batch.observation["crop"][..., 2] == 5 * batch.items[:, None, None]).all()
    assert (batch.observation["image"][..., 2] == 5 * batch.items[:, None, None]).all()


def test_a_crop_is_taken_anywhere_in_its_cell():
    batch = sample(PatchPosition(maps(), 60), 400)
    start = batch.observation["crop"][:, 0, 0, :2] / 240 * 2 % 1
    assert all(len(np.unique(np.round(start[:, axis] * 6))) == 3 for axis in range(2))


@pytest.mark.parametrize("grid", [2, 3])
def test_cells_are_balanced(grid):
    counts = np.bincount(sample(PatchPosition(maps(), 36, grid=grid), 4_000).target, minlength=grid**2)
    expected = 4_000 / grid**2
    assert (np.abs(counts - expected) < 5 * expected**0.5).all()


def test_the_picture_alone_does_not_tell_the_cell():
    """The very same views are shown whatever the target: their statistics do not differ by target."""
    batch = sample(PatchPosition("digits", 24), 2_000)
    images = batch.observation["image"].astype(float)
    for statistic in (
        images.mean(axis=(1, 2, 3)),
        images[:, :12].mean(axis=(1, 2, 3)),
        images[:, :, :12].mean(axis=(1, 2, 3)),
    ):
        for cell in range(4):
            group = statistic[batch.target == cell]
            assert abs(group.mean() - statistic.mean()) < 4 * statistic.std() / len(group) ** 0.5


def test_pictures_with_two_cells_alike_are_not_asked_about_whichever_cell_the_crop_is_from():
    """Else the picture would rule cells out. Here the second and the last are one flat colour."""
    pictures = coarse(20, 72)
    twins = pictures.copy()
    twins[:, 36:, 36:] = twins[:, :36, 36:] = 128
    source = ImageSource([*pictures, *twins], min_zoom=1.0)
    task = PatchPosition(source, 36)
    draft = dataclasses.replace(task.draft(stream(40)), views=source.whole(np.arange(40)))
    assert task.askable(draft).tolist() == [True] * 20 + [False] * 20


def test_augmentation_changes_the_crop_alone_and_nothing_else_of_the_instance():
    plain, weak, strong = (
        sample(PatchPosition(ImageSource(list(coarse())), 36, augmentation=name).paired("crops"), 40)
        for name in ("none", "weak", "strong")
    )
    for changed in (weak, strong):
        assert np.array_equal(plain.observation["image"], changed.observation["image"])
        assert np.array_equal(plain.target, changed.target)
        assert not np.array_equal(plain.observation["crop"], changed.observation["crop"])


@pytest.mark.parametrize("grid", [2, 3])
@pytest.mark.parametrize("name", ["none", "weak", "strong"])
def test_the_prompt_names_the_augmentation_only_where_there_is_one(name, grid):
    task = PatchPosition(maps(), 36, grid=grid, augmentation=name)
    question = task.question(sample(task, 1))[0]
    assert ("The crop was" in question) == (name != "none")
    if name != "none":
        assert augmentations.describe(name) in question
    assert ("top left" in question) == (grid == 2)
    assert ("1 to 9" in question) == (grid == 3)


def test_cells_are_named_in_reading_order():
    task = PatchPosition(maps(), 36)
    names = ["top left", "top right", "bottom left", "bottom right"]
    assert [task.format(cell) for cell in range(4)] == names
    assert [int(task.parse(f"<answer>{name.title().replace(' ', '-')}</answer>")) for name in names] == [0, 1, 2, 3]
    finer = PatchPosition(maps(), 36, grid=3)
    assert [finer.format(cell) for cell in (0, 8)] == ["1", "9"]
    assert finer.parse("<answer>0</answer>") is None
    assert finer.parse("<answer>10</answer>") is None


def test_the_right_cell_scores_one_and_others_nothing():
    task = PatchPosition(maps(), 36, grid=3)
    batch = sample(task, 50)
    assert task.chance == pytest.approx(1 / 9)
    for by in range(9):
        assert (task.score((batch.target + by) % 9, batch).reward == float(by == 0)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": 1}, "2, 3, 4, 5, got 1"),
        ({"grid": 6}, "2, 3, 4, 5, got 6"),
        ({"image_size": 7}, "at least 8 pixels, got 7"),
        ({"augmentation": "wild"}, "none, weak, strong, got 'wild'"),
        ({"source": "nowhere"}, "known are scenes"),
        ({"source": np.zeros((40, 36, 36), np.uint8)}, "only 0% .* cells that look alike"),
    ],
)
def test_wrong_arguments_are_errors_that_name_what_is_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        PatchPosition(**{"source": "digits", "image_size": 36, **arguments})


@pytest.mark.parametrize("level", [level.name for level in PatchPosition.levels])
def test_every_level_asks_questions_that_the_oracle_answers(level):
    task = make_task(ID, level=level, source=scenes())
    batch = sample(task, 16)
    assert (task.score(task.oracle(batch), batch).reward == 1).all()


def test_unknown_levels_and_arguments_are_errors_that_name_the_known():
    known = ", ".join(level.name for level in PatchPosition.levels)
    with pytest.raises(ValueError, match=f"no level 'x'; its levels are {known}"):
        make_task(ID, level="x")
    with pytest.raises(
        TypeError, match="unexpected keyword argument 'cells'; it takes source, image_size, grid, augmentation, level"
    ):
        make_task(ID, cells=2)


@pytest.mark.parametrize(("side", "size"), [(12, 64), (24, 48), (64, 64)])
def test_how_the_pixels_of_the_crop_lie_does_not_tell_the_cell(side, size):
    """White noise, black and white, whose pixels show in the enlarged crop; the crop is asked about alone."""
    noise = np.random.default_rng(0).integers(0, 2, (500, side, side, 3), dtype=np.uint8) * np.uint8(255)
    batch = sample(PatchPosition(ImageSource(list(noise), min_zoom=0.9), size), 1_500)
    grey = batch.observation["crop"].astype(float).mean(axis=3)
    parts = [grey.std(axis=1), grey.std(axis=2), np.abs(np.diff(grey, axis=1)).mean(axis=2)]
    features = np.concatenate([*parts, np.abs(np.diff(grey, axis=2)).mean(axis=1)], axis=1)
    known = batch.items % 2 == 0
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(features[known], batch.target[known])
    right = model.predict(features[~known]) == batch.target[~known]
    assert abs(right.mean() - 0.25) < 4 * (0.25 * 0.75 / len(right)) ** 0.5
