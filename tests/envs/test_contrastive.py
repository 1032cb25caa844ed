"""Contrastive: how overlap is measured, what counts as the same picture and what does not, and what the views give away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images import contrastive
from ssl4rl_envs.images.contrastive import Contrastive, overlap
from ssl4rl_envs.sources import ImageSource
from ssl4rl_envs.sources.base import UNIT, Views

ID = "SSL4RL/Contrastive-v0"


def view(x: float, y: float, side: float) -> Views:
    """One view, in pixels."""
    return Views(np.zeros(1, np.int64), *(np.array([round(value * UNIT)]) for value in (x, y, side)))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((8, 8, 4), (8, 8, 4), 1),
        ((8, 8, 4), (10, 8, 4), 1 / 3),
        ((8, 8, 4), (8, 10, 4), 1 / 3),
        ((8, 8, 4), (10, 10, 4), 1 / 7),
        ((8, 8, 4), (8, 8, 2), 1 / 4),
        ((8, 8, 4), (12, 8, 4), 0),
        ((8, 8, 4), (20, 20, 4), 0),
        ((8, 8, 4), (11, 8, 2), 0),
        ((8, 8, 4), (10, 8, 2), 2 / 18),
        ((8, 8, 3), (9.5, 8, 3), 1 / 3),
    ],
)
def test_overlap_is_intersection_over_union(first, second, expected):
    assert overlap(view(*first), view(*second))[0] == pytest.approx(expected)


@given(
    st.lists(
        st.tuples(*[st.integers(0, 1 << 20)] * 4, st.integers(1, 1 << 20), st.integers(1, 1 << 20)), min_size=1, max_size=5
    )
)
def test_overlap_is_symmetric_and_lies_between_0_and_1(rows):
    x, y, x2, y2, side, side2 = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    items = np.zeros(len(rows), np.int64)
    first, second = Views(items, x, y, side), Views(items, x2, y2, side2)
    value = overlap(first, second)
    assert np.array_equal(value, overlap(second, first))
    assert ((value >= 0) & (value <= 1)).all()
    assert (overlap(first, first) == 1).all()


def flat(colours: list[tuple[int, int, int]], photographs: list[int] | None = None) -> ImageSource:
    """Pictures of one colour each, by which a view tells its picture."""
    keys = [bytes([k]) * 16 for k in range(len(colours))]
    pictures = [np.full((24, 24, 3), colour, np.uint8) for colour in colours]
    return ImageSource(pictures, keys=[b"\0" * 16] * len(keys), photographs=photographs or list(range(len(colours))))


def coloured(count: int) -> list[tuple[int, int, int]]:
    return [(60 * (k % 4), 60 * (k // 4 % 4), 60 * (k // 16)) for k in range(count)]


def sample(task: Contrastive, count: int, seed: int = 0) -> Batch:
    return task.sample(Stream("train", np.full(count, seed), np.arange(count)))


@pytest.fixture
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views are shown as they are cut."""
    monkeypatch.setattr(contrastive.augmentations, "augment", lambda images, stream, strength: images)


def test_same_is_the_same_picture_and_different_another(unchanged):
    batch = sample(Contrastive(flat(coloured(24)), 36), 400)
    equal = (batch.observation["image_1"] == batch.observation["image_2"]).all(axis=(1, 2, 3))
    assert np.array_equal(equal, batch.target == 1)
    assert abs(batch.target.mean() - 0.5) < 5 * 0.5 / 400**0.5


def test_regions_of_one_photograph_never_count_as_different(unchanged):
    """Twelve photographs, two regions each."""
    colours, photographs = coloured(24), [k // 2 for k in range(24)]
    batch = sample(Contrastive(flat(colours, photographs), 36), 600)
    seen = [[colours.index(tuple(image[0, 0].tolist())) for image in batch.observation[f"image_{k}"]] for k in (1, 2)]
    negatives = 0
    for first, second, target in zip(*seen, batch.target, strict=True):
        if target:
            assert first == second
        else:
            negatives += 1
            assert photographs[first] != photographs[second]
    assert negatives > 200


def test_near_duplicates_never_count_as_different(unchanged):
    """Of every colour there are two pictures, six grey levels apart, that call themselves different photographs."""
    colours = [tuple(min(value + 6 * twin, 255) for value in colour) for colour in coloured(12) for twin in (0, 1)]
    batch = sample(Contrastive(flat(colours), 36), 600)
    first, second = (batch.observation[f"image_{k}"][:, 0, 0].astype(int) for k in (1, 2))
    apart = np.abs(first - second).mean(axis=1)
    assert (apart[batch.target == 0] >= 10).all()
    assert (apart[batch.target == 1] == 0).all()


def test_the_photos_show_regions_of_different_photographs_only():
    task = Contrastive("photos", 36)
    first, near, far = task.draw(Stream("train", np.zeros(400, np.uint64), np.arange(400)))
    source = task.source
    assert (source.photographs(first.items) != source.photographs(far.items)).all()
    assert np.array_equal(first.items, near.items)


@pytest.mark.parametrize("least", [0.05, 0.3, 0.6])
def test_positives_overlap_at_least_as_said(least):
    """Measured on pictures: each pixel says where it is, so the shared area can be counted."""
    rows, columns = np.indices((250, 250))
    pictures = [np.stack([rows, columns, np.full_like(rows, 40 * k)], -1).astype(np.uint8) for k in range(6)]
    task = Contrastive(ImageSource(pictures, keys=[b"\0" * 16] * 6, photographs=range(6)), 64, min_overlap=least)
    first, near, *_ = task.draw(Stream("train", np.zeros(300, np.uint64), np.arange(300)))
    boxes = []
    for views in (first, near):
        shown = task.source.pixels(views, 64).astype(float)
        middle = np.stack([shown[..., axis].mean(axis=(1, 2)) for axis in (0, 1)], axis=1)
        side = (shown[:, -1, 0, 0] - shown[:, 0, 0, 0]) * 64 / 63
        boxes.append((middle - side[:, None] / 2, middle + side[:, None] / 2))
    shared = np.clip(np.minimum(boxes[0][1], boxes[1][1]) - np.maximum(boxes[0][0], boxes[1][0]), 0, None).prod(axis=1)
    areas = [(high - low).prod(axis=1) for low, high in boxes]
    measured = shared / (areas[0] + areas[1] - shared)
    assert (measured >= least - 0.03).all()
    assert measured.min() < least + 0.15


def test_the_first_view_tells_nothing():
    batch = sample(Contrastive("faces", 24), 2_000)
    images = batch.observation["image_1"].astype(float)
    sharp = np.abs(np.diff(images, axis=2)).mean(axis=(1, 2, 3))
    for statistic in (images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3)), sharp):
        group = statistic[batch.target == 1]
        assert abs(group.mean() - statistic.mean()) < 4 * statistic.std() / len(group) ** 0.5


def test_the_first_view_is_the_same_whatever_is_asked(unchanged):
    """Both partners are drawn before it is decided which is shown."""
    task = Contrastive("faces", 24)
    stream = Stream("train", np.zeros(60, np.uint64), np.arange(60)).keyed(task.stream_key)
    stream.integers(0, 2)
    first, near, far = task.draw(stream)
    batch = sample(task, 60)
    assert np.array_equal(batch.observation["image_1"], task.source.pixels(first, 24))
    shown = [task.source.pixels(views, 24) for views in (far, near)]
    assert all(np.array_equal(batch.observation["image_2"][row], shown[batch.target[row]][row]) for row in range(60))


@pytest.mark.parametrize("least", [0.3, 0.6])
def test_both_partners_are_drawn_at_one_scale_whatever_the_sizes_of_the_pictures(least):
    """So how sharp the second view is beside the first tells nothing."""
    rng = np.random.default_rng(0)
    sides = rng.integers(30, 90, 200)
    source = ImageSource([np.full((side, side + 9, 3), rng.integers(0, 256, 3), np.uint8) for side in sides])
    first, near, far = Contrastive(source, 36, min_overlap=least).draw(Stream("train", np.zeros(300, int), np.arange(300)))
    assert np.array_equal(near.side, far.side)
    assert len(np.unique(first.side)) > 250
    shorter = [np.minimum(*source.sizes(views.items)) for views in (near, far)]
    assert (np.maximum(*shorter) <= 2 * np.minimum(*shorter)).all()
    assert not np.array_equal(*shorter)


def test_the_words_are_different_and_same():
    task = Contrastive("faces", 36)
    assert [task.format(k) for k in (0, 1)] == ["different", "same"]
    assert task.parse("<answer>Same</answer>") == 1
    assert task.parse("<answer>same or different</answer>") is None
    assert task.chance == 0.5
    batch = sample(task, 20)
    assert (task.score(1 - batch.target, batch).reward == 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": "none"}, "weak, strong, got 'none'"),
        ({"min_overlap": 0.01}, "0.05 to 0.9, got 0.01"),
        ({"min_overlap": 0.95}, "0.05 to 0.9, got 0.95"),
        ({"image_size": 4}, "at least 8 pixels"),
        ({"source": "nowhere"}, "known are scenes"),
        ({"source": flat(coloured(4), [0] * 4)}, "2 different photographs and the 'train' split has 1"),
        ({"source": flat([(9, 9, k) for k in range(9)])}, "near-duplicates"),
    ],
)
def test_wrong_arguments_are_errors_that_name_what_is_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        Contrastive(**{"source": "faces", "image_size": 36, **arguments})


@pytest.mark.parametrize("level", [level.name for level in Contrastive.levels])
def test_every_level_asks_questions_that_the_oracle_answers(level):
    task = make_task(ID, level=level)
    batch = sample(task, 16)
    assert (task.score(task.oracle(batch), batch).reward == 1).all()


def test_unknown_levels_and_arguments_are_errors_that_name_the_known():
    known = ", ".join(level.name for level in Contrastive.levels)
    with pytest.raises(ValueError, match=f"no level 'x'; its levels are {known}"):
        make_task(ID, level="x")
    with pytest.raises(
        TypeError, match="unexpected keyword argument 'crop'; it takes source, image_size, strength, min_overlap"
    ):
        make_task(ID, crop=2)
