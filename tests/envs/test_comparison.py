"""Comparison: the half or picture that is said to have more has it, by its own pixels, and nothing but them tells which."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images import aspects
from ssl4rl_envs.images.aspects import ASPECTS, MEASURES, NAMES
from ssl4rl_envs.images.comparison import OF_THE_WHOLE, Comparison
from ssl4rl_envs.kernels import tallies
from ssl4rl_envs.sources import ImageSource


def sample(task: Comparison, count: int, seed: int = 0, split: str = "train") -> Batch:
    return task.sample(Stream.span(split, seed, 0, count))


def measured(picture: np.ndarray) -> dict[str, float]:
    """What a picture (height, width, 3) has of each measure, in plain NumPy."""
    values = picture.astype(float)
    red, green, blue = values.reshape(-1, 3).mean(axis=0)
    steps = [np.abs(np.diff(values, axis=axis)) for axis in (0, 1)]
    return {
        "brightness": (red + green + blue) / 3,
        "redness": red - (green + blue) / 2,
        "greenness": green - (red + blue) / 2,
        "blueness": blue - (red + green) / 2,
        "colourfulness": (values.max(axis=2) - values.min(axis=2)).mean(),
        "busyness": sum(step.sum() for step in steps) / sum(step.size for step in steps),
    }


def compared(task: Comparison, batch: Batch, row: int) -> list[dict[str, float]]:
    if task.compare == "pair":
        return [measured(batch.observation[name][row]) for name in task.images]
    image = batch.observation["image"][row]
    half = image.shape[1] // 2
    return [measured(image[:, :half]), measured(image[:, -half:])]


@pytest.mark.parametrize("size", [36, 37])
@pytest.mark.parametrize("compare", ["halves", "pair"])
def test_what_is_said_to_have_more_has_it_by_the_margin(compare, size):
    task = Comparison("photos", size, compare=compare)
    batch = sample(task, 150)
    for row, (number, target) in enumerate(zip(batch.memory["kind"], batch.target, strict=True)):
        aspect = ASPECTS[NAMES[number]]
        amounts = [each[aspect.measure] for each in compared(task, batch, row)]
        assert aspect.sign * (amounts[target] - amounts[1 - target]) >= MEASURES[aspect.measure].margin - 1e-9
        assert np.allclose(batch.memory["amounts"][row] / task._units[number], amounts)
        assert all(
            f"{amount:.1f}" in task.rationale(batch)[row] for amount in batch.memory["amounts"][row] / task._units[number]
        )
        assert task.question(batch)[row].split("?")[0].endswith(f" is {aspect.word}")
    assert set(batch.memory["kind"]) == set(range(len(NAMES)))


@pytest.mark.parametrize(("compare", "names"), [("halves", ("image",)), ("pair", ("image_1", "image_2"))])
def test_the_other_answer_is_the_same_pictures_the_other_way_round(compare, names, monkeypatch):
    """Mirrored to the last bit, or exchanged; nothing else that is shown depends on the target."""
    task = Comparison("photos", 36, compare=compare)
    batch = sample(task, 60)
    integers = Stream.integers

    def opposite(stream, low, high, size=()):
        drawn = integers(stream, low, high, size)
        return 1 - drawn if (low, high) == (0, 2) and stream._draws == 1 and len(stream) == 60 else drawn

    monkeypatch.setattr(Stream, "integers", opposite)
    other = sample(task, 60)
    assert np.array_equal(other.target, 1 - batch.target)
    assert np.array_equal(other.items, batch.items) or compare == "pair"
    assert np.array_equal(other.memory["kind"], batch.memory["kind"])
    assert np.array_equal(other.memory["amounts"], batch.memory["amounts"][:, ::-1])
    shown = [batch.observation[name] for name in names]
    turned = [shown[0][:, :, ::-1]] if compare == "halves" else shown[::-1]
    assert all(np.array_equal(other.observation[name], each) for name, each in zip(names, turned, strict=True))


def test_answers_and_kinds_are_balanced_and_independent():
    batch = sample(Comparison("faces", 8), 4_000)
    counts = np.array(
        [[((batch.memory["kind"] == kind) & (batch.target == t)).sum() for t in (0, 1)] for kind in (0, 1, 5, 6)]
    )
    assert counts.sum() == 4_000, "grey pictures are asked for their light and their detail alone"
    assert (np.abs(counts - 500) < 85).all()


def test_a_question_is_of_the_same_kind_however_often_its_pictures_are_drawn_again():
    """Rare differences are asked about as often as common ones, and rows do not depend on the batch."""
    task = Comparison("scenes", 8, about="brightness+busyness", margin=2.0)
    batch = sample(task, 600)
    assert abs((batch.memory["kind"] == 0).mean() - 0.5) < 0.08
    one = task.sample(Stream.span("train", 0, 77, 1))
    assert np.array_equal(one.observation["image"][0], batch.observation["image"][77])
    assert one.memory["kind"][0] == batch.memory["kind"][77]


def halves(left: tuple[int, int, int], right: tuple[int, int, int], side: int = 12) -> np.ndarray:
    picture = np.empty((side, side, 3), np.uint8)
    picture[:, : side // 2], picture[:, side // 2 :] = left, right
    return picture


@pytest.mark.parametrize(
    ("name", "left", "right", "amounts"),
    [
        ("brightness", (30, 60, 90), (0, 0, 9), (60, 3)),
        ("redness", (200, 100, 50), (100, 200, 50), (125, -25)),
        ("greenness", (10, 20, 40), (90, 90, 90), (-5, 0)),
        ("blueness", (10, 20, 40), (90, 90, 80), (25, -10)),
        ("colourfulness", (10, 20, 40), (90, 90, 80), (30, 10)),
        ("busyness", (10, 20, 40), (90, 90, 80), (0, 0)),
    ],
)
def test_measures_by_hand(name, left, right, amounts):
    tallied, kind = tallies.tally(halves(left, right)[None], 2), np.array([NAMES.index(name)])
    assert np.array_equal(aspects.sums(tallied, kind)[0] / aspects.units(12, 2)[kind], amounts)


def test_busyness_counts_neighbours_within_a_part_by_hand():
    """Of stripes one pixel high, every step down is one of 60, and none aside."""
    picture = np.zeros((1, 6, 6, 3), np.uint8)
    picture[:, ::2, 3:] = 60
    down, aside = 5 * 3, 6 * 2
    assert tallies.tally(picture, 2)[0, :, 4].tolist() == [0, down * 60 * 3]
    assert tallies.pairs(6, 2) == down + aside


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), side=st.integers(1, 20), parts=st.integers(1, 2))
def test_a_mirrored_picture_has_in_its_left_half_what_it_had_in_its_right(seed, side, parts):
    rng = np.random.default_rng(seed)
    pictures = (rng.integers(0, 256, (3, side, side, 3)) // rng.choice([1, 50])).astype(np.uint8)
    tallied, mirrored = (tallies.tally(each, parts) for each in (pictures, np.ascontiguousarray(pictures[:, :, ::-1])))
    assert np.array_equal(mirrored, tallied[:, ::-1])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            {"about": "lightness"},
            "about must be all, or of brightness, darkness, .* got 'lightness'; did you mean 'brightness'",
        ),
        ({"about": "busyness+busyness"}, r"each aspect once, got 'busyness\+busyness'"),
        (
            {"about": "brightness+redness"},
            "source 'digits' are grey, .* more redness; use brightness, darkness, busyness, plainness",
        ),
        ({"compare": "rows"}, "compare must be one of halves, pair, got 'rows'"),
        ({"margin": 0.0}, "margin must lie in 0.1 to 4, got 0.0"),
        ({"image_size": 4}, "at least 8 pixels"),
    ],
)
def test_what_cannot_be_asked_is_an_error_that_says_what_can(arguments, match):
    with pytest.raises(ValueError, match=match):
        make_task("Comparison", **{"source": "digits", "image_size": 16, **arguments})


def test_pictures_whose_halves_are_alike_are_refused():
    same = ImageSource(list(np.full((40, 16, 16, 3), 90, np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None, None]))
    with pytest.raises(ValueError, match="halves too much alike"):
        Comparison(same, 16, about="brightness")


def test_what_pictures_seldom_differ_by_is_left_out_of_all_and_refused_by_name():
    """A row keeps its kind, so each kind must be found in the source."""
    ramp = np.linspace(20, 120, 16)[None, :, None] + np.zeros((16, 1, 3))
    pictures = [(ramp + number).astype(np.uint8) for number in range(60)]
    for picture in pictures:
        picture[0, 0, 0] += 40  # so that the source is not grey
    source = ImageSource(pictures, name="ramps", min_zoom=1.0)
    task = Comparison(source, 16)
    assert task.kinds == ("brightness", "darkness")
    assert "asked" in task.observation_space.spaces, "what is shown does not depend on the source"
    assert set(sample(task, 60).memory["kind"]) == {0, 1}
    with pytest.raises(ValueError, match=r"asked about by redness, the others are halves too much alike; .* or brightness$"):
        Comparison(source, 16, about="brightness+redness")


def test_who_sees_the_whole_may_compare_two_pictures_and_not_the_halves_of_one():
    for solver in OF_THE_WHOLE:
        assert Comparison("digits", 16).reason_for(solver) is None
        assert "is the task" in Comparison("digits", 16, compare="pair").reason_for(solver)
    assert Comparison("digits", 16).reason_for("border rows")


def test_one_aspect_needs_no_number_and_several_show_it():
    assert set(sample(Comparison("digits", 16, about="busyness"), 3).observation) == {"image"}
    task = Comparison("digits", 16)
    batch = sample(task, 5)
    assert np.array_equal(batch.observation["asked"][:, 0], task.info(batch)["kind"])
    assert task.kinds == ("brightness", "darkness", "busyness", "plainness")
    assert Comparison("scenes", 16, about="redness+brightness").kinds == ("brightness", "redness")


@pytest.mark.parametrize("level", [level.name for level in Comparison.levels])
@pytest.mark.parametrize("source", ["scenes", "photos"])
def test_every_level_finds_enough_to_ask_about(level, source):
    assert make_task("Comparison", source=source, level=level, image_size=36).acceptance("train", 300) > 0.2
