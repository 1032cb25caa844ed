"""Scenes: the same bits in any batch, exact turns, truthful labels, a clear up and down, and nothing left-handed."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from ssl4rl_envs import kernels
from ssl4rl_envs.kernels.reference.scenes import backdrop, unpacked, view_frame
from ssl4rl_envs.sources.base import TURN, UNIT, Views
from ssl4rl_envs.sources.scene_models import COLOURS, GROUNDS, KINDS, KINDS_OF_SLOT, SKIES, SLOTS
from ssl4rl_envs.sources.scenery import compose
from ssl4rl_envs.sources.scenes import SIDE, Scenes, scenes
from ssl4rl_envs.stream import SPLITS, Stream

QUARTER = TURN // 4
NAMED = np.array(list(COLOURS.values()), float)


def random_views(count: int, seed: int = 0, least: float = 0.8) -> Views:
    """Views of random scenes, at least `least` of the picture wide, inside it."""
    rng = np.random.default_rng(seed)
    side = rng.integers(int(least * SIDE * UNIT), SIDE * UNIT, count)
    x, y = (side // 2 + rng.integers(0, SIDE * UNIT - side + 1) for _ in range(2))
    return Views(rng.integers(0, 2**60, count), x, y, side)


def rows_of(views: Views, rows: np.ndarray) -> Views:
    return Views(views.items[rows], views.x[rows], views.y[rows], views.side[rows])


def reduced(pictures: np.ndarray, side: int = 16) -> np.ndarray:
    n, size = pictures.shape[:2]
    return pictures.reshape(n, side, size // side, side, size // side, 3).mean(axis=(2, 4))


@pytest.fixture(scope="module")
def upright() -> tuple[np.ndarray, np.ndarray]:
    """Items 0..599, whole, at 64 pixels."""
    items = np.arange(600)
    return items, scenes().pixels(scenes().whole(items), 64)


# Purity


@pytest.mark.parametrize("size", [8, 37, 64, 150])
def test_a_view_is_the_same_bits_in_any_batch_and_order(size):
    views = random_views(24, seed=size)
    angles = np.random.default_rng(1).integers(-TURN, 2 * TURN, 24)
    angles[::3] = QUARTER * (np.arange(8) % 5 - 1)
    together = scenes().pixels(views, size, angles)
    order = np.random.default_rng(2).permutation(24)
    assert np.array_equal(scenes().pixels(rows_of(views, order), size, angles[order]), together[order])
    for row in range(24):
        alone = scenes().pixels(rows_of(views, np.array([row])), size, angles[row : row + 1])
        assert np.array_equal(alone[0], together[row])
    for start in range(0, 24, 7):
        rows = np.arange(start, min(start + 7, 24))
        assert np.array_equal(scenes().pixels(rows_of(views, rows), size, angles[rows], fine=True), together[rows])


def test_batches_larger_than_a_canvas_are_seamless(monkeypatch):
    monkeypatch.setenv(kernels.VARIABLE, "numpy")
    views = random_views(10)
    whole = scenes().pixels(views, 32, 100)
    monkeypatch.setattr("ssl4rl_envs.kernels.reference.scenes._CANVAS", 3 * 32 * 32)
    monkeypatch.setattr("ssl4rl_envs.kernels.reference.scenes._PATCH", 500)
    assert np.array_equal(scenes().pixels(views, 32, 100), whole)


def test_painting_layer_by_layer_is_painting_one_by_one(monkeypatch):
    monkeypatch.setenv(kernels.VARIABLE, "numpy")
    views = random_views(12, seed=5)
    expected = scenes().pixels(views, 64, 77)

    def singly(marks):
        return np.arange(len(marks.view))

    monkeypatch.setattr("ssl4rl_envs.kernels.reference.scenes.layers", singly)
    assert np.array_equal(scenes().pixels(views, 64, 77), expected)


@pytest.mark.parametrize("angle", [0, 200])
def test_no_shape_is_cut_off_by_its_box_of_pixels(monkeypatch, angle):
    """Boxes as wide as the picture show the same, but for faint tips of thin spots."""
    monkeypatch.setenv(kernels.VARIABLE, "numpy")
    views = random_views(40, seed=6)
    expected = scenes().pixels(views, 64, angle).astype(int)
    monkeypatch.setattr("ssl4rl_envs.kernels.reference.scenes.SIZE_CLASSES", ())
    difference = np.abs(scenes().pixels(views, 64, angle) - expected)
    assert difference.mean() < 0.05
    assert np.quantile(difference, 0.999) <= 3


def test_no_views_give_no_pictures():
    empty = np.zeros(0, np.int64)
    assert scenes().pixels(Views(empty, empty, empty, empty), 64).shape == (0, 64, 64, 3)
    assert scenes().labels(empty)["kind"].shape == (0, len(SLOTS))


# Items and splits


def test_splits_are_disjoint_and_items_hardly_ever_repeat():
    for number, split in enumerate(SPLITS):
        items = scenes().draw(Stream(split, np.zeros(2000, np.int64), np.arange(2000)))
        assert items.dtype == np.int64
        assert items.min() >= 0
        assert np.all(items % 3 == number)
        assert len(np.unique(items)) == 2000
        assert np.array_equal(scenes().photographs(items), items)
        assert scenes().variety(split) is None


def test_different_items_are_different_scenes(upright):
    items, pictures = upright
    assert len({picture.tobytes() for picture in pictures}) == len(items)


def test_scenes_are_one_object_even_when_copied_and_survive_pickling():
    assert scenes() is scenes()
    assert copy.deepcopy(scenes()) is scenes()
    again = pickle.loads(pickle.dumps(scenes()))
    assert isinstance(again, Scenes)
    views = random_views(2)
    assert np.array_equal(again.pixels(views, 32), scenes().pixels(views, 32))
    assert repr(scenes()) == "<Scenes 'scenes': endless>"


# Turns and views


@pytest.mark.parametrize("tilt", [0, 217, -350])
def test_quarter_turns_are_exact_and_counter_clockwise(tilt):
    views = random_views(9, seed=3)
    first = scenes().pixels(views, 48, tilt)
    for quarter in range(-1, 6):
        turned = scenes().pixels(views, 48, tilt + quarter * QUARTER)
        assert np.array_equal(turned, np.rot90(first, quarter, axes=(1, 2)))


def test_tilts_are_counter_clockwise_by_the_angle():
    """The middle of a thing moves to where a turn of the view about its middle takes it."""
    items = np.arange(200)
    labels = scenes().labels(items)
    rows = np.flatnonzero(labels["kind"][:, 2] >= 0)[:40]
    views = Views(items[rows], *(np.full(len(rows), SIDE * UNIT // 2) for _ in range(2)), np.full(len(rows), SIDE * UNIT))
    x, y = labels["x"][rows, 2] - 0.5, labels["y"][rows, 2] - 0.5
    still = scenes().pixels(views, 128)
    for degrees in (-30, 10, 44):
        angle = np.radians(degrees)
        turned = scenes().pixels(views, 128, degrees * TURN // 360)
        before = still[np.arange(len(rows)), ((y + 0.5) * 128).astype(int), ((x + 0.5) * 128).astype(int)]
        across, down = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        after = turned[np.arange(len(rows)), ((down + 0.5) * 128).astype(int), ((across + 0.5) * 128).astype(int)]
        assert np.median(np.abs(before.astype(int) - after).max(axis=1)) <= 6


def test_a_view_shows_its_part_of_the_scene():
    views = random_views(6, seed=4)
    whole = scenes().pixels(scenes().whole(views.items), 128)
    left, top = 24, 10
    part = Views(views.items, np.full(6, (left + 48) * UNIT), np.full(6, (top + 48) * UNIT), np.full(6, 96 * UNIT))
    inside = whole[:, top : top + 96, left : left + 96].astype(int)
    assert np.abs(scenes().pixels(part, 96) - inside).max() <= 1


def test_small_pictures_are_reductions_of_large_ones(upright):
    """Nothing is shown at one size only, and edges are as soft as a pixel is wide."""
    items, small = upright
    large = scenes().pixels(scenes().whole(items[:60]), 256)
    difference = np.abs(reduced(large, 64) - small[:60])
    assert difference.mean() < 1.0
    assert np.quantile(difference, 0.99) < 16


# What is shown


def test_labels_are_of_the_shapes_and_ranges_they_promise():
    labels = scenes().labels(np.arange(3000))
    kind, colour = labels["kind"], labels["colour"]
    assert kind.shape == colour.shape == labels["x"].shape == labels["y"].shape == (3000, len(SLOTS))
    there = kind >= 0
    assert np.array_equal(there, colour >= 0)
    assert np.array_equal(there, np.isfinite(labels["x"]))
    assert set(there.sum(axis=1)) == {2, 3, 4}
    assert there[:, SLOTS.index("near")].all()
    assert set(np.unique(kind)) == set(range(-1, len(KINDS)))
    assert set(np.unique(colour)) == set(range(-1, len(COLOURS)))
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in kind), "things of a scene are of distinct kinds"
    for name, table in (("sky", SKIES), ("ground", GROUNDS), ("light", (0, 1))):
        assert np.all(np.bincount(labels[name], minlength=len(table)) > 0.8 * 3000 / len(table))
    assert np.all((labels["x"][there] > 0) & (labels["x"][there] < 1))
    assert np.all((labels["y"][there] > 0) & (labels["y"][there] < 1))


def test_things_float_in_the_sky_and_stand_below_the_horizon():
    items = np.arange(500)
    labels = scenes().labels(items)
    floating, front = SLOTS.index("floating"), SLOTS.index("front")
    kinds = [KINDS.index(name) for name in KINDS_OF_SLOT["floating"]]
    there = labels["kind"][:, floating] >= 0
    assert np.isin(labels["kind"][there, floating], kinds).all()
    assert np.all(labels["y"][there, floating] < labels["horizon"][there])
    there = labels["kind"][:, front] >= 0
    assert np.all(labels["y"][there, front] > labels["horizon"][there] - 0.08)


def test_the_middle_of_a_thing_has_its_colour():
    """In daylight, of all named colours the one of the label is nearest in hue and saturation, unless something covers it."""
    items = np.arange(800)
    labels = scenes().labels(items)
    pictures = scenes().pixels(scenes().whole(items), 128).astype(float)
    tables = list(SKIES.values())
    light = np.array([tables[sky].light for sky in labels["sky"]])
    nearest = []
    for slot in range(len(SLOTS)):
        rows = np.flatnonzero((labels["kind"][:, slot] >= 0) & (labels["sky"] != list(SKIES).index("night")))
        x, y = ((labels[name][rows, slot] * 128).astype(int) for name in "xy")
        seen = pictures[rows, y, x] / light[rows]
        # Brightness varies with the shading, so compare at the best common factor from 0.7 to 1.2.
        best = np.full((len(rows), len(NAMED)), np.inf)
        for factor in np.linspace(0.7, 1.2, 11):
            best = np.minimum(best, np.abs(seen[:, None] - factor * NAMED).sum(axis=-1))
        nearest.append(best.argmin(axis=1) == labels["colour"][rows, slot])
    shares = [float(match.mean()) for match in nearest]
    assert min(shares) > 0.85
    assert np.mean(shares) > 0.92


def test_the_light_comes_from_where_the_label_says(upright):
    """The brighter half of the upper sky is the one with the sun or the moon."""
    items, pictures = upright
    labels = scenes().labels(items)
    sky = pictures[:, :26].astype(float).mean(axis=(1, 3))
    brighter = sky[:, 32:].mean(axis=1) > sky[:, :32].mean(axis=1)
    assert np.mean(brighter == (labels["light"] == 1)) > 0.75


def test_the_horizon_is_where_the_label_says():
    """Bare of all shapes, a scene changes its colour most between two rows there."""
    scene = compose(np.arange(200))
    assert np.all((scene.horizon >= 0.45) & (scene.horizon <= 0.62))
    views = scenes().whole(np.arange(200))
    frame = view_frame(views.x, views.y, views.side, np.zeros(200, np.int64), 64)
    rows = unpacked(backdrop(scene, frame, 64))[:, :, 0].astype(int)
    jump = np.abs(rows[:, 2:] - rows[:, :-2]).sum(axis=-1).argmax(axis=1) + 1.5
    assert np.mean(np.abs(jump - scene.labels["horizon"] * 64) <= 1.5) > 0.9


# Up and down, left and right


def test_every_view_of_the_least_zoom_shows_sky_and_ground():
    """The highest view ends, and the lowest begins, at least an eighth of its side away from any horizon."""
    horizon = scenes().labels(np.arange(5000))["horizon"]
    side = scenes().min_zoom
    assert np.all(side - horizon > side / 8)
    assert np.all(horizon - (1 - side) > side / 8)


@pytest.mark.parametrize("least", [1.0, 0.8])
def test_upside_down_looks_different(least):
    views = random_views(500, seed=8, least=least - 1e-3)
    small = reduced(scenes().pixels(views, 32))
    difference = np.abs(small - small[:, ::-1, ::-1]).mean(axis=(1, 2, 3))
    assert np.mean(difference > 8) >= 0.97


def test_the_sky_is_above_and_brighter_or_bluer_than_what_is_below(upright):
    _, pictures = upright
    difference = pictures[:, :16].astype(float).mean(axis=(1, 2)) - pictures[:, -16:].astype(float).mean(axis=(1, 2))
    assert np.mean(np.abs(difference).max(axis=1) > 12) > 0.95


def test_left_and_right_are_equally_likely():
    items = np.arange(4000)
    labels = scenes().labels(items)
    # 4 standard errors
    assert abs(labels["light"].mean() - 0.5) < 4 * 0.5 / np.sqrt(len(items))
    x = labels["x"][np.isfinite(labels["x"])]
    assert abs(x.mean() - 0.5) < 4 * x.std() / np.sqrt(len(x))
    pictures = scenes().pixels(scenes().whole(items[:1500]), 8).astype(float).mean(axis=-1)
    odd = pictures - pictures[:, :, ::-1]
    errors = odd.std(axis=0)[:, :4] / np.sqrt(len(odd))
    assert np.all(np.abs(odd.mean(axis=0)[:, :4]) < 5 * errors)


def test_a_mirrored_scene_is_the_mirror_image():
    shapes = compose(np.arange(3)).shapes
    everywhere = np.ones(3, bool)
    again = shapes.mirrored(everywhere).mirrored(everywhere)
    assert np.allclose(again.forms, shapes.forms)
    assert np.allclose(again.box, shapes.box)
    mirrored = shapes.mirrored(np.array([True, False, True]))
    assert np.array_equal(mirrored.forms[1], shapes.forms[1])
    at = np.array([0.2, 0.7, 1.0])
    assert np.allclose(mirrored.forms[0] @ at, shapes.forms[0] @ (np.array([0.8, 0.7, 1.0])))
    assert np.allclose(mirrored.shade[2] @ at, shapes.shade[2] @ (np.array([0.8, 0.7, 1.0])))


def test_pictures_vary_in_brightness_and_hue(upright):
    _, pictures = upright
    mean = pictures.astype(float).mean(axis=(1, 2))
    assert mean.mean(axis=1).std() > 25
    assert (mean[:, 0] - mean[:, 2]).std() > 20
