"""Rotation: what is shown, what is asked, and that nothing but the content of the picture tells the angle."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.images import turning
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.sources import ImageSource
from ssl4rl_envs.sources.base import TURN, Views
from ssl4rl_envs.task import Batch


def noise(count: int, side: int, blur: float = 0.0, seed: int = 0, contrast: float = 50) -> list[np.ndarray]:
    """Pictures without an up or a down: noise of the same statistics in every direction."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((count, side, side, 3))
    if blur:
        values = gaussian_filter(values, (0, blur, blur, 0), mode="wrap")
        values /= values.std()
    return list(np.clip(np.rint(values * contrast + 128), 0, 255).astype(np.uint8))


def sample(task: Rotation, count: int, seed: int = 0, split: str = "train") -> Batch:
    return task.sample(Stream(split, np.full(count, seed), np.arange(count)))


# What is shown


@pytest.mark.parametrize("source", ["photos", "faces", "digits"])
def test_the_reference_is_the_picture_upright(source):
    batch = sample(Rotation(source, image_size=36, reference=True), 100)
    for reference, image, k in zip(batch.observation["reference"], batch.observation["image"], batch.target, strict=True):
        assert np.array_equal(np.rot90(reference, k), image)


@pytest.mark.parametrize(("angles", "quarter"), [(2, 0.5), (4, 1), (8, 2), (12, 3), (360, 90)])
def test_targets_that_are_quarter_turns_show_the_reference_turned(angles, quarter):
    batch = sample(Rotation("photos", image_size=24, angles=angles, reference=True), 400)
    seen = 0
    for reference, image, k in zip(batch.observation["reference"], batch.observation["image"], batch.target, strict=True):
        if (k / quarter).is_integer():
            assert np.array_equal(np.rot90(reference, int(k / quarter)), image)
            seen += 1
    assert seen >= 3


def test_without_reference_the_same_instance_is_shown_alone():
    both, alone = (sample(Rotation("faces", image_size=36, reference=shown).paired("both"), 50) for shown in (True, False))
    assert set(both.observation) == {"reference", "image"}
    assert set(alone.observation) == {"image"}
    assert np.array_equal(both.observation["image"], alone.observation["image"])
    assert np.array_equal(both.target, alone.target)


def test_the_reference_does_not_tell_the_angle():
    """Whatever the target, the upright picture is drawn from the same distribution: here from the very same views."""
    batch = sample(Rotation("faces", image_size=36, reference=True), 2_000)
    means = batch.observation["reference"].mean(axis=(1, 2, 3))
    for k in range(4):
        group = means[batch.target == k]
        assert abs(group.mean() - means.mean()) < 4 * means.std() / len(group) ** 0.5


@pytest.mark.parametrize("angles", [2, 3, 4, 5, 6, 8, 9, 12, 36, 360])
def test_angles_that_divide_a_turn_work(angles):
    task = Rotation("photos", image_size=16, angles=angles)
    batch = sample(task, 60)
    assert batch.observation["image"].shape == (60, 16, 16, 3)
    assert ((batch.target >= 0) & (batch.target < angles)).all()
    assert task.chance == pytest.approx(1 / angles)
    assert task.format(angles - 1) == str(360 - 360 // angles)
    assert task.parse(f"<answer>{360 - 360 // angles}°</answer>") == angles - 1


@pytest.mark.parametrize("angles", [2, 3, 8, 12, 360])
def test_prompts_name_the_possible_answers_and_the_direction(angles):
    task = Rotation("photos", image_size=16, angles=angles)
    question = task.question(sample(task, 1))[0]
    assert "counter-clockwise" in question
    numbers = set(re.findall(r"\d+", question))
    if angles <= 12:
        assert numbers == {task.format(k) for k in range(angles)}
    else:
        assert {"1", "0", "359"} <= numbers


def test_the_same_question_with_other_angles_is_another_instance_of_the_same_stream():
    one, other = Rotation("faces", image_size=36, angles=4), Rotation("faces", image_size=36, angles=2)
    assert not np.array_equal(sample(one, 20).target, sample(other, 20).target)
    assert np.array_equal(sample(one, 20).observation["image"], sample(Rotation("faces", 36), 20).observation["image"])


# Errors


@pytest.mark.parametrize(
    ("angles", "near"), [(7, "[3, 4, 5, 6, 8, 9, 10]"), (11, "12"), (1, "[2, 3, 4, 5]"), (0, "2"), (-4, "4")]
)
def test_angles_that_do_not_divide_a_turn_are_errors_that_name_the_nearest(angles, near):
    with pytest.raises(ValueError, match=rf"got {angles}; near it: .*{re.escape(near.strip('[]'))}"):
        Rotation("faces", angles=angles)


def test_too_many_angles_are_an_error():
    with pytest.raises(ValueError, match="divide 360"):
        Rotation("faces", angles=720)


@pytest.mark.parametrize("size", [0, -8, 7])
def test_too_small_pictures_are_an_error(size):
    with pytest.raises(ValueError, match=f"at least 8 pixels, got {size}"):
        Rotation("faces", image_size=size)


@pytest.mark.parametrize("angles", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_blank_sources_are_errors_at_construction(grey, angles):
    with pytest.raises(ValueError, match="blank or symmetric"):
        make_task("SSL4RL/Rotation-v0", source=np.full((40, 96, 96), grey, np.uint8), angles=angles)


def symmetric(turns: int, count: int = 40, side: int = 32) -> ImageSource:
    """Whole pictures, each left alone by a turn of 1 / turns, and nothing but its multiples."""
    pictures = []
    for picture in noise(count, side, blur=2):
        mean = np.mean([np.rot90(picture.astype(float), 4 * k // turns) for k in range(turns)], axis=0)
        pictures.append(np.rint(np.clip((mean - 128) * 2 + 128, 0, 255)).astype(np.uint8))
    return ImageSource(pictures, min_zoom=1.0)


@pytest.mark.parametrize(("turns", "angles"), [(2, 2), (2, 4), (4, 2), (4, 4)])
def test_symmetric_sources_are_errors_at_construction(turns, angles):
    """A picture that half a turn leaves alone has two right answers, so it is not asked about."""
    with pytest.raises(ValueError, match="blank or symmetric"):
        Rotation(symmetric(turns), image_size=32, angles=angles)


def test_the_error_names_the_source_and_the_split():
    source = ImageSource([np.zeros((8, 8), np.uint8)] * 3, name="black")
    with pytest.raises(ValueError, match=f"'black': only 0% .* '{source.splits[0]}' split"):
        Rotation(source)


def test_concentric_rings_are_not_asked_about_at_any_angle():
    rows, columns = np.indices((64, 64)) - 31.5
    rings = (128 + 100 * np.sin(np.hypot(rows, columns) / 2)).astype(np.uint8)
    for angles in (2, 3, 4, 12):
        with pytest.raises(ValueError, match="blank or symmetric"):
            Rotation(ImageSource([rings] * 5, min_zoom=1.0), angles=angles)


@pytest.mark.parametrize("angles", [4, 8])
def test_a_source_half_of_blanks_never_asks_about_a_blank(angles):
    blanks = [np.full((32, 32, 3), grey, np.uint8) for grey in range(100)]
    source = ImageSource([*noise(100, 32, blur=2), *blanks])
    task = Rotation(source, image_size=16, angles=angles)
    for split in source.splits:
        batch = sample(task, 500, split=split)
        assert (batch.items < 100).all()
        assert (batch.observation["image"].std(axis=(1, 2, 3)) > 2).all()


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_instance_has_one_right_answer(split):
    """The picture turned by any other angle is another picture."""
    images = sample(Rotation("digits", image_size=16), 300, split=split).observation["image"].astype(int)
    for k in (1, 2, 3):
        assert (np.abs(images - np.rot90(images, k, axes=(1, 2))).mean(axis=(1, 2, 3)) > 2).all()


def test_redrawn_instances_are_the_same_in_every_batch():
    """Rows whose first views are rejected do not depend on what else is in the batch."""
    blanks = [np.full((16, 16, 3), grey, np.uint8) for grey in range(150)]
    task = Rotation(ImageSource([*noise(40, 16, blur=2), *blanks]), image_size=16)
    together = sample(task, 200)
    for row in range(0, 200, 9):
        alone = task.sample(Stream("train", [0], [row]))
        assert np.array_equal(alone.observation["image"][0], together.observation["image"][row])
        assert alone.target[0] == together.target[row]


def test_a_row_without_a_view_to_ask_about_is_an_error_and_not_an_endless_loop(monkeypatch):
    source = ImageSource(noise(20, 16))
    task = Rotation(source)
    stream = Stream("train", [0, 0], [0, 1])
    monkeypatch.setattr(task, "askable", lambda views: np.zeros(len(views), bool))
    with pytest.raises(RuntimeError, match="nothing to ask about"):
        task.draw(stream)


# No shortcut

SIZE = 32


def grey_of(images: np.ndarray) -> np.ndarray:
    return images.astype(float) @ np.array([0.299, 0.587, 0.114])


def borders(images: np.ndarray) -> np.ndarray:
    """Means, spreads and roughness of the two outermost lines of each side."""
    grey = grey_of(images)
    lines = [grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1], grey[:, 1], grey[:, -2], grey[:, :, 1], grey[:, :, -2]]
    parts = [(line.mean(axis=1), line.std(axis=1), np.abs(np.diff(line, axis=1)).mean(axis=1)) for line in lines]
    return np.stack([feature for part in parts for feature in part], axis=1)


def spectrum(images: np.ndarray) -> np.ndarray:
    """Logarithm of the power in rings and sectors of the Fourier plane: sharpness, and its direction."""
    grey = grey_of(images)
    window = np.hanning(grey.shape[1] + 2)[1:-1]
    grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) * window[:, None] * window[None, :]
    power = np.abs(np.fft.fft2(grey)) ** 2
    frequency = np.fft.fftfreq(grey.shape[1])
    radius = np.hypot(frequency[:, None], frequency[None, :])
    sector = (np.arctan2(frequency[:, None], frequency[None, :]) % np.pi / np.pi * 8).astype(int) % 8
    features = []
    for low, high in ((0.03, 0.12), (0.12, 0.25), (0.25, 0.37), (0.37, 0.5), (0.5, 0.8)):
        ring = (radius >= low) & (radius < high)
        features.append(power[:, ring].mean(axis=1))
        features += [power[:, ring & (sector == k)].mean(axis=1) for k in range(8) if (ring & (sector == k)).any()]
    return np.log(np.stack(features, axis=1) + 1e-3)


def colour_and_size(images: np.ndarray) -> np.ndarray:
    """Mean and spread of the colours, and how long the picture is as a PNG file, as it is and transposed."""

    def png(image: np.ndarray) -> int:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG", compress_level=1)
        return file.tell()

    lengths = [(png(image), png(np.ascontiguousarray(image.swapaxes(0, 1)))) for image in images]
    return np.concatenate([images.mean(axis=(1, 2)), images.std(axis=(1, 2)), np.array(lengths, float)], axis=1)


def resampling(images: np.ndarray) -> np.ndarray:
    """Traces of interpolation: how often neighbours rise, fall, differ by little or by an odd number, along each axis."""
    values = images[..., :2].astype(int)
    features = []
    for axis in (1, 2):
        step = np.diff(values, axis=axis).reshape(len(values), -1)
        features += [(step > 0).mean(axis=1), (step < 0).mean(axis=1), (step % 2).mean(axis=1)]
        features += [(step == k).mean(axis=1) for k in range(-3, 4)]
        bend = np.diff(values, 2, axis=axis).reshape(len(values), -1)
        features += [bend.mean(axis=1), np.abs(bend).mean(axis=1), (bend == 0).mean(axis=1)]
    return np.stack(features, axis=1)


def extremes(images: np.ndarray) -> np.ndarray:
    """How many pixels of each outermost line are black, white, or nearly so."""
    grey = images[..., 0]
    lines = [grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]]
    return np.stack([(line == value).mean(axis=1) for line in lines for value in (0, 1, 2, 253, 254, 255)], axis=1)


FEATURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "borders": borders,
    "spectrum": spectrum,
    "colour and size": colour_and_size,
    "resampling": resampling,
    "extremes": extremes,
}


def accuracy(features: np.ndarray, labels: np.ndarray, items: np.ndarray) -> float:
    """Cross-validated; no picture is in two folds, so that remembering pictures does not count."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, solver="newton-cholesky"))
    return float(cross_val_score(model, features, labels, groups=items, cv=GroupKFold(5)).mean())


def beyond_chance(score: float, classes: int, count: int) -> float:
    """By how many standard errors an accuracy is above chance."""
    return (score - 1 / classes) / (1 / classes * (1 - 1 / classes) / count) ** 0.5


SOURCES = {
    "white noise": (40, 0.0, 0.8),
    "fine noise": (64, 1.0, 0.6),
    "coarse noise": (64, 2.5, 0.6),
    "noise as large as the picture": (32, 0.0, 1.0),
    "small noise, enlarged": (10, 0.6, 0.9),
    "noise enlarged as far as fine angles go": (34, 0.6, 0.9),
}
TOO_SMALL = {("small noise, enlarged", 8)}
COUNT = 2_000
_drawn: dict[tuple[str, int], Batch] = {}


def instances(name: str, angles: int) -> Batch:
    if (name, angles) not in _drawn:
        side, blur, min_zoom = SOURCES[name]
        source = ImageSource(noise(1_200, side, blur, contrast=80), min_zoom=min_zoom)
        _drawn[name, angles] = sample(Rotation(source, image_size=SIZE, angles=angles), COUNT)
    return _drawn[name, angles]


@pytest.mark.slow
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("angles", [4, 8])
@pytest.mark.parametrize("name", SOURCES)
def test_nothing_but_content_tells_the_angle(name, angles, features):
    if (name, angles) in TOO_SMALL:
        with pytest.raises(ValueError, match="lattice would betray the angle"):
            instances(name, angles)
        return
    batch = instances(name, angles)
    score = accuracy(FEATURES[features](batch.observation["image"]), batch.target, batch.items)
    assert beyond_chance(score, angles, COUNT) < 3.5, f"{score:.3f}, chance is {1 / angles:.3f}"


def profiles(images: np.ndarray) -> np.ndarray:
    """How spread each line is, and how far it is from the next: where the pixels of an enlarged picture lie."""
    grey = grey_of(images)
    parts = [grey.std(axis=axis) for axis in (1, 2)]
    steps = [np.abs(np.diff(grey, axis=axis)) for axis in (1, 2)]
    parts += [step.mean(axis=3 - axis) for axis, step in enumerate(steps, 1)]
    parts += [(step < 0.5).mean(axis=3 - axis) for axis, step in enumerate(steps, 1)]
    return np.concatenate(parts, axis=1)


OBLONG = {
    "much enlarged": (10, 80, 64),
    "much enlarged, upright": (80, 10, 48),
    "very long": (12, 240, 36),
    "reduced": (90, 120, 24),
    "of odd sides": (33, 64, 36),
}


@pytest.mark.parametrize("name", OBLONG)
def test_pictures_that_are_not_square_do_not_tell_the_axis(name):
    """Views of white noise as high as their picture touched both edges, and had their pixels always at one height."""
    height, width, size = OBLONG[name]
    pictures = np.random.default_rng(0).integers(0, 2, (500, height, width, 3), dtype=np.uint8) * np.uint8(255)
    batch = sample(Rotation(ImageSource(list(pictures)), image_size=size), 1_200)
    features = np.concatenate([see(batch.observation["image"]) for see in (profiles, borders, resampling, extremes)], axis=1)
    for labels, classes in ((batch.target, 4), (batch.target % 2, 2)):
        score = accuracy(features, labels, batch.items)
        assert beyond_chance(score, classes, len(labels)) < 3.5, f"{score:.3f}, chance is {1 / classes:.3f}"


def test_the_attack_on_pictures_that_are_not_square_sees_views_that_touch_two_edges():
    pictures = np.random.default_rng(0).integers(0, 2, (300, 10, 80, 3), dtype=np.uint8) * np.uint8(255)
    source, rng = ImageSource(list(pictures)), np.random.default_rng(1)
    items, target = rng.integers(0, 300, 600), rng.integers(0, 4, 600)
    views = Views(items, rng.integers(5 * 4096, 75 * 4096, 600), np.full(600, 5 * 4096), np.full(600, 10 * 4096))
    images = source.pixels(views, 64, target * (TURN // 4))
    assert beyond_chance(accuracy(profiles(images), target % 2, items), 2, 600) > 8


@pytest.mark.parametrize("angles", [4, 8])
def test_black_and_white_pictures_have_no_border_that_tells_the_angle(angles):
    """Where every pixel is black or white, the least difference in how the sides are drawn is plain to see."""
    pictures = np.random.default_rng(0).integers(0, 2, (1_200, SIZE, SIZE), dtype=np.uint8) * np.uint8(255)
    batch = sample(Rotation(ImageSource(list(pictures), min_zoom=1.0), image_size=SIZE, angles=angles), COUNT)
    score = accuracy(extremes(batch.observation["image"]), batch.target, batch.items)
    assert beyond_chance(score, angles, COUNT) < 3.5, f"{score:.3f}, chance is {1 / angles:.3f}"


def test_the_shape_and_order_of_the_observation_do_not_tell_the_angle():
    batch = instances("white noise", 8)
    for k in range(8):
        chosen = batch.rows(batch.target == k)
        assert chosen.observation["image"].shape[1:] == (SIZE, SIZE, 3)
    assert abs(np.corrcoef(np.arange(COUNT), batch.target)[0, 1]) < 4 / COUNT**0.5
    assert abs(np.corrcoef(batch.items, batch.target)[0, 1]) < 4 / COUNT**0.5


def test_the_classifiers_see_an_angle_that_does_leak():
    """White noise drawn pixel for pixel at eight angles: what is turned by 45 degrees is blurred, what by 90 is not."""
    source = ImageSource(noise(1_200, 64))
    rng = np.random.default_rng(0)
    items, target = rng.integers(0, len(source), COUNT), rng.integers(0, 8, COUNT)
    middle = np.full(COUNT, 32 * 4096)
    pixels = source.pixels(Views(items, middle, middle, np.full(COUNT, SIZE * 4096)), SIZE, target * (TURN // 8))
    for name in ("spectrum", "resampling"):
        assert beyond_chance(accuracy(FEATURES[name](pixels), target, items), 8, COUNT) > 10, name


def test_the_classifiers_see_a_border_and_a_shade_that_do_leak():
    batch = instances("white noise", 4)
    images = batch.observation["image"].copy()
    for row, k in enumerate(batch.target):
        np.rot90(images[row], -int(k))[0] //= 2
    assert beyond_chance(accuracy(borders(images), batch.target, batch.items), 4, COUNT) > 10
    shaded = np.clip(batch.observation["image"] * (1 + 0.02 * batch.target[:, None, None, None]), 0, 255).astype(np.uint8)
    assert beyond_chance(accuracy(colour_and_size(shaded), batch.target, batch.items), 4, COUNT) > 3


def test_tilts_hide_the_grid_and_keep_the_angles_apart():
    """With fine angles even the upright picture is tilted, by less than half of what tells two answers apart."""
    task = Rotation("photos", image_size=16, angles=8)
    tilts = task.turning.tilt(Stream("train", np.zeros(5_000, int), np.arange(5_000)))
    assert len(np.unique(tilts)) == 2 * (TURN // 64) + 1
    assert np.abs(tilts).max() < TURN // 8 / 2
    assert abs(tilts.mean()) < 4 * tilts.std() / 5_000**0.5
    assert not Rotation("photos", image_size=16).turning.tilt(Stream("train", [0], [0])).any()


def test_the_least_difference_that_is_asked_about_is_a_visible_one():
    assert turning.MIN_DIFFERENCE >= 4
