"""Colorization: one grey, several hues, and nothing but the hues tells which colouring is the true one."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images.colorization import Colorization
from ssl4rl_envs.images.tiles import panel_grid
from ssl4rl_envs.sources import ImageSource

ID = "SSL4RL/Colorization-v0"
SIDE = 48


def vivid(count: int = 40, side: int = 48, low: int = 0, high: int = 256) -> ImageSource:
    """Pictures of large blocks of random colours."""
    blocks = np.random.default_rng(0).integers(low, high, (count, side // 12, side // 12, 3), dtype=np.uint8)
    return ImageSource(list(blocks.repeat(12, axis=1).repeat(12, axis=2)), min_zoom=1.0)


def sample(task: Colorization, count: int, seed: int = 0) -> Batch:
    return task.sample(Stream("train", np.full(count, seed), np.arange(count)))


def shown(batch: Batch, many: int) -> np.ndarray:
    """The candidates (n, many, panel, panel, 3), in reading order."""
    canvas = batch.observation["image"]
    grid = panel_grid(many)
    cell = canvas.shape[1] // grid
    top = (canvas.shape[1] - -(-many // grid) * cell) // 2
    starts = [(top + k // grid * cell, k % grid * cell) for k in range(many)]
    return np.stack([canvas[:, y : y + cell, x : x + cell] for y, x in starts], axis=1)


def chroma(pictures: np.ndarray) -> np.ndarray:
    values = pictures.astype(float)
    return values - values.mean(axis=-1, keepdims=True)


@pytest.mark.parametrize("candidates", range(2, 10))
def test_all_candidates_have_the_same_grey(candidates):
    pictures = shown(sample(Colorization(vivid(), SIDE, candidates=candidates), 30), candidates)
    grey = pictures.astype(float).mean(axis=-1)
    assert np.abs(grey - grey[:, :1]).max() <= 1 + 1e-9
    assert np.abs((grey - grey[:, :1]).mean()) < 0.1


@pytest.mark.parametrize("candidates", range(2, 10))
def test_the_true_candidate_has_the_hues_of_the_source_and_the_others_have_them_turned(candidates):
    """Chroma is a vector in a plane; candidate k's is that of the source turned by a multiple of a circle's part."""
    source = vivid(low=96, high=160)  # so little colour that no candidate is toned down
    task = Colorization(source, SIDE, candidates=candidates)
    batch = sample(task, 20)
    pictures = shown(batch, candidates)
    panel = pictures.shape[2]
    axes = np.array([[2, -1, -1], [0, 3**0.5, -(3**0.5)]]) / 6**0.5
    for row in range(20):
        truth = source.pixels(source.whole(batch.items[row : row + 1]), panel)[0]
        wanted = chroma(truth) @ axes.T @ np.array([1, 1j])
        turns = []
        for picture in pictures[row]:
            turn = np.vdot(wanted, chroma(picture) @ axes.T @ np.array([1, 1j]))
            assert abs(turn) == pytest.approx(np.vdot(wanted, wanted).real, rel=0.03)
            turns.append(np.angle(turn) / (2 * np.pi) * candidates)
        assert turns[batch.target[row]] == pytest.approx(0, abs=0.05)
        assert sorted(np.round(turns).astype(int) % candidates) == list(range(candidates))


def test_the_true_candidate_of_a_source_of_little_colour_is_the_picture_but_for_noise():
    source = vivid(low=96, high=160)
    batch = sample(Colorization(source, SIDE, candidates=4), 30)
    pictures = shown(batch, 4)
    for row in range(30):
        truth = source.pixels(source.whole(batch.items[row : row + 1]), 24)[0].astype(int)
        apart = np.abs(pictures[row, batch.target[row]].astype(int) - truth)
        assert apart.mean() < 1.5
        assert apart.max() < 8


@pytest.mark.parametrize("candidates", [2, 3, 4, 9])
def test_colours_are_toned_down_alike_so_that_no_candidate_is_clipped(candidates):
    """Pure colours: the distance of every pixel from grey is the same in all candidates."""
    blocks = np.random.default_rng(0).integers(0, 2, (40, 4, 4, 3), dtype=np.uint8) * np.uint8(255)
    source = ImageSource(list(blocks.repeat(12, axis=1).repeat(12, axis=2)), min_zoom=1.0)
    pictures = shown(sample(Colorization(source, SIDE, candidates=candidates), 20), candidates)
    length = np.linalg.norm(chroma(pictures), axis=-1)
    assert np.abs(length - length[:, :1]).max() < 2


@pytest.mark.parametrize("candidates", [2, 4, 7, 9])
def test_the_order_of_candidates_is_uniform(candidates):
    counts = np.bincount(sample(Colorization(vivid(), SIDE, candidates=candidates), 2_000).target, minlength=candidates)
    assert len(counts) == candidates
    assert (np.abs(counts - 2_000 / candidates) < 5 * (2_000 / candidates) ** 0.5).all()


def test_false_candidates_stand_anywhere_as_well():
    """With three candidates the false ones are a third of a circle to either side; both orders are as likely."""
    batch = sample(Colorization(vivid(low=96, high=160), SIDE, candidates=3), 400)
    pictures = chroma(shown(batch, 3))
    first = np.array(
        [
            (row[target] * np.roll(row[(target + 1) % 3], 1, axis=-1)).sum()
            for row, target in zip(pictures, batch.target, strict=True)
        ]
    )
    other = np.array(
        [
            (row[target] * np.roll(row[(target + 2) % 3], 1, axis=-1)).sum()
            for row, target in zip(pictures, batch.target, strict=True)
        ]
    )
    assert abs((first > other).mean() - 0.5) < 5 * 0.5 / 400**0.5


# No shortcut


def accuracy(statistic: np.ndarray, batch: Batch) -> float:
    """How often the candidate with the least value is the true one; ties are broken at random."""
    ties = np.random.default_rng(0).random(statistic.shape) * 1e-6
    return float((np.argmin(statistic + ties, axis=1) == batch.target).mean())


def near_chance(share: float, candidates: int, count: int) -> bool:
    return abs(share - 1 / candidates) < 4 * (1 / candidates * (1 - 1 / candidates) / count) ** 0.5


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("candidates", [2, 3, 4, 6, 9])
def test_roundings_do_not_tell_the_true_candidate(candidates, sign):
    """How far a candidate's grey strays from the others' says how often it was rounded."""
    batch = sample(Colorization("scenes", 66, candidates=candidates), 500)
    grey = shown(batch, candidates).sum(axis=-1, dtype=np.int64)
    astray = ((grey - np.median(grey, axis=1, keepdims=True)) ** 2).mean(axis=(2, 3))
    assert near_chance(accuracy(sign * astray, batch), candidates, 500)


@pytest.mark.parametrize("candidates", [2, 4])
def test_how_often_a_channel_is_at_its_limit_does_not_tell_the_true_candidate(candidates):
    batch = sample(Colorization("scenes", 64, candidates=candidates), 500)
    pictures = shown(batch, candidates)
    extreme = ((pictures <= 2) | (pictures >= 253)).mean(axis=(2, 3, 4))
    assert near_chance(accuracy(extreme, batch), candidates, 500)


# Errors


@pytest.mark.parametrize("source", ["faces", "digits"])
def test_grey_sources_are_errors_that_say_what_would_do(source):
    with pytest.raises(ValueError, match=f"'{source}' is grey, .* coloured one, e.g. scenes"):
        Colorization(source)


def test_sources_with_nearly_no_colour_are_errors():
    grey = np.random.default_rng(0).integers(0, 256, (40, 36, 36, 1), dtype=np.uint8).repeat(3, axis=-1)
    grey[..., 0] ^= 1
    with pytest.raises(ValueError, match=r"only 0% .* nearly grey"):
        Colorization(grey)


def test_of_a_mixed_source_the_coloured_pictures_are_asked_about():
    coloured = [vivid().picture(item) for item in range(40)]
    grey = [np.full((48, 48, 3), value, np.uint8) for value in range(40)]
    batch = sample(Colorization(ImageSource([*coloured, *grey], min_zoom=1.0), SIDE), 100)
    assert (batch.items < 40).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": 1}, "2 to 9, got 1"),
        ({"candidates": 10}, "2 to 9, got 10"),
        ({"image_size": 23}, "11 pixels wide; .* image_size of 24 or more"),
        ({"image_size": 35, "candidates": 9}, "image_size of 36 or more"),
        ({"source": "nowhere"}, "known are scenes"),
    ],
)
def test_wrong_arguments_are_errors_that_name_what_is_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        Colorization(**{"source": vivid(), **arguments})


def test_only_the_right_candidate_scores():
    task = Colorization(vivid(), SIDE)
    batch = sample(task, 20)
    assert task.chance == 0.25
    for by in range(4):
        assert (task.score((batch.target + by) % 4, batch).reward == float(by == 0)).all()


def test_an_instance_is_the_same_in_every_batch():
    task = Colorization("scenes", 64)
    together = sample(task, 30)
    for row in range(0, 30, 7):
        alone = task.sample(Stream("train", [0], [row]))
        assert np.array_equal(alone.observation["image"][0], together.observation["image"][row])


@pytest.mark.parametrize("level", [level.name for level in Colorization.levels])
def test_every_level_asks_questions_that_the_oracle_answers(level):
    task = make_task(ID, level=level)
    batch = sample(task, 16)
    assert (task.score(task.oracle(batch), batch).reward == 1).all()


def test_unknown_levels_and_arguments_are_errors_that_name_the_known():
    known = ", ".join(level.name for level in Colorization.levels)
    with pytest.raises(ValueError, match=f"no level 'x'; its levels are {known}"):
        make_task(ID, level="x")
    with pytest.raises(TypeError, match="no argument hues; it takes source, image_size, candidates, level"):
        make_task(ID, hues=2)
