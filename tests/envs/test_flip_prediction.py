"""FlipPrediction: mirrors are exact, pictures that a mirror leaves alone are not asked about."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images.flip_prediction import FLIPS, FlipPrediction
from ssl4rl_envs.sources import ImageSource

ID = "SSL4RL/FlipPrediction-v0"
MIRRORS = {
    "none": lambda image: image,
    "horizontal": lambda image: image[:, ::-1],
    "vertical": lambda image: image[::-1],
    "both": lambda image: image[::-1, ::-1],
}


def coarse(count: int = 40, side: int = 36, seed: int = 0) -> np.ndarray:
    blocks = np.random.default_rng(seed).integers(0, 256, (count, side // 6, side // 6, 3), dtype=np.uint8)
    return blocks.repeat(6, axis=1).repeat(6, axis=2)


def whole(pictures: np.ndarray) -> ImageSource:
    return ImageSource(list(pictures), min_zoom=1.0)


def sample(task: FlipPrediction, count: int, seed: int = 0) -> Batch:
    return task.sample(Stream("train", np.full(count, seed), np.arange(count)))


@pytest.mark.parametrize("source", ["photos", "faces", "digits"])
def test_each_target_is_the_exact_mirror_of_the_reference(source):
    batch = sample(FlipPrediction(source, 36), 120)
    assert set(batch.target.tolist()) == {0, 1, 2, 3}
    for image, reference, target in zip(
        batch.observation["image"], batch.observation["reference"], batch.target, strict=True
    ):
        shown = [np.array_equal(image, MIRRORS[name](reference)) for name in FLIPS]
        assert shown == [k == target for k in range(4)]


def test_the_reference_is_the_picture_as_it_is_in_the_source():
    source = whole(coarse())
    batch = sample(FlipPrediction(source, 36), 60)
    for row in range(60):
        assert np.array_equal(batch.observation["reference"][row], source.picture(batch.items[row]))


def test_without_reference_there_are_two_answers():
    source = whole(coarse())
    task = FlipPrediction(source, 36, reference=False)
    batch = sample(task, 100)
    assert set(batch.observation) == {"image"}
    assert task.action_space.n == 2
    assert task.chance == 0.5
    assert [task.format(k) for k in range(2)] == ["none", "vertical"]
    assert task.parse("<answer>horizontal</answer>") is None
    for image, item, target in zip(batch.observation["image"], batch.items, batch.target, strict=True):
        assert np.array_equal(image, source.picture(item)[:: -1 if target else 1])


@pytest.mark.parametrize(("reference", "count"), [(True, 4), (False, 2)])
def test_targets_are_balanced(reference, count):
    counts = np.bincount(sample(FlipPrediction("digits", 16, reference=reference), 4_000).target, minlength=count)
    assert (np.abs(counts - 4_000 / count) < 5 * (4_000 / count) ** 0.5).all()


@pytest.mark.parametrize("name", ["horizontal", "vertical", "both"])
def test_pictures_that_a_mirror_leaves_alone_are_not_asked_about(name):
    half = coarse(seed=1).astype(int)
    mirrored = np.stack([MIRRORS[name](image) for image in half])
    symmetric = ((half + mirrored) // 2).astype(np.uint8)
    with pytest.raises(ValueError, match=r"only 0% .* blank or symmetric"):
        FlipPrediction(whole(symmetric), 36)
    mixed = FlipPrediction(whole(np.concatenate([coarse(), symmetric])), 36)
    assert (sample(mixed, 200).items < 40).all()


@pytest.mark.parametrize(("name", "asked"), [("horizontal", True), ("vertical", False), ("both", True)])
def test_alone_only_what_stays_the_same_top_to_bottom_is_not_asked_about(name, asked):
    half = coarse(seed=1).astype(int)
    symmetric = ((half + np.stack([MIRRORS[name](image) for image in half])) // 2).astype(np.uint8)
    if asked:
        assert len(sample(FlipPrediction(whole(symmetric), 36, reference=False), 5)) == 5
    else:
        with pytest.raises(ValueError, match="blank or symmetric"):
            FlipPrediction(whole(symmetric), 36, reference=False)


def test_only_the_right_mirror_scores():
    task = FlipPrediction("digits", 36)
    batch = sample(task, 30)
    assert task.chance == 0.25
    for by in range(4):
        assert (task.score((batch.target + by) % 4, batch).reward == float(by == 0)).all()


@pytest.mark.parametrize("reference", [True, False])
def test_the_prompt_names_every_answer(reference):
    task = FlipPrediction("digits", 36, reference=reference)
    question = task.question(sample(task, 1))[0]
    for name in FLIPS:
        assert (name in question) == (name in task.flips)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 7}, "at least 8 pixels, got 7"),
        ({"source": "nowhere"}, "known are scenes"),
        ({"source": np.full((40, 36, 36), 9, np.uint8)}, "blank or symmetric"),
    ],
)
def test_wrong_arguments_are_errors_that_name_what_is_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        FlipPrediction(**{"source": "digits", "image_size": 36, **arguments})


@pytest.mark.parametrize("level", [level.name for level in FlipPrediction.levels])
def test_every_level_asks_questions_that_the_oracle_answers(level):
    task = make_task(ID, level=level)
    batch = sample(task, 16)
    assert (task.score(task.oracle(batch), batch).reward == 1).all()


def test_unknown_levels_and_arguments_are_errors_that_name_the_known():
    known = ", ".join(level.name for level in FlipPrediction.levels)
    with pytest.raises(ValueError, match=f"no level 'x'; its levels are {known}"):
        make_task(ID, level="x")
    with pytest.raises(TypeError, match="unexpected keyword argument 'axes'; it takes source, image_size, reference, level"):
        make_task(ID, axes=2)


@pytest.mark.parametrize(("height", "width", "size"), [(33, 33, 16), (21, 50, 16), (10, 40, 36)])
def test_nothing_but_content_tells_top_from_bottom(height, width, size):
    """White noise whose sides are odd numbers of pixels: its reductions are not alike at both ends."""
    rng = np.random.default_rng(0)
    source = ImageSource([rng.integers(0, 2, (height, width, 3), np.uint8) * np.uint8(255) for _ in range(500)], min_zoom=0.8)
    batch = sample(FlipPrediction(source, size, reference=False), 1_500)
    grey = batch.observation["image"].astype(float).mean(axis=3)
    rows = np.concatenate([grey.std(axis=2), np.abs(np.diff(grey, axis=1)).mean(axis=2)], axis=1)
    known = batch.items % 2 == 0
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(rows[known], batch.target[known])
    right = model.predict(rows[~known]) == batch.target[~known]
    assert abs(right.mean() - 0.5) < 4 * 0.5 / len(right) ** 0.5
