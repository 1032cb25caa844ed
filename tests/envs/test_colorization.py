"""Colorization: one grey, several hues, and nothing but the hues tells which colouring is the true one."""

from __future__ import annotations

from itertools import permutations
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

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


class Recorded(Colorization):
    """It remembers the views that were drawn."""

    def draw(self, stream):
        self.views = super().draw(stream)
        return self.views


@pytest.mark.parametrize("candidates", range(2, 7))
def test_the_true_candidate_is_the_picture_and_the_others_are_it_with_channels_exchanged(candidates):
    task = Recorded(vivid(), SIDE, candidates=candidates)
    batch = sample(task, 30)
    truths, pictures = task.source.pixels(task.views, task.panel), shown(batch, candidates)
    for row in range(30):
        found = [ways_from(truths[row], picture) for picture in pictures[row]]
        assert found[batch.target[row]] == (0, 1, 2)
        assert None not in found
        assert len(set(found)) == candidates


@pytest.mark.parametrize("candidates", [2, 4, 5, 6])
def test_all_ways_to_be_wrong_stand_at_all_places_alike(candidates):
    """And so nothing of how candidates are related to one another tells which is the true one."""
    source = vivid()
    batch = sample(Colorization(source, SIDE, candidates=candidates), 600)
    pictures = shown(batch, candidates)
    counts: dict[tuple[int, ...] | None, int] = {}
    for row in range(600):
        truth = pictures[row, batch.target[row]]
        ways = [ways_from(truth, pictures[row, k]) for k in range(candidates) if k != batch.target[row]]
        for way in ways if candidates < 6 else ways[:1]:
            counts[way] = counts.get(way, 0) + 1
    assert len(counts) == 5
    expected = sum(counts.values()) / 5
    assert all(abs(count - expected) < 5 * expected**0.5 for count in counts.values())


def ways_from(picture: np.ndarray, other: np.ndarray) -> tuple[int, ...] | None:
    """Which exchange of channels makes one picture the other; None if none does."""
    return next((way for way in permutations(range(3)) if np.array_equal(picture[..., list(way)], other)), None)


@pytest.mark.parametrize("candidates", [2, 4, 5, 6])
def test_the_order_of_candidates_is_uniform(candidates):
    counts = np.bincount(sample(Colorization(vivid(), SIDE, candidates=candidates), 2_000).target, minlength=candidates)
    assert len(counts) == candidates
    assert (np.abs(counts - 2_000 / candidates) < 5 * (2_000 / candidates) ** 0.5).all()


# No shortcut


def accuracy(statistic: np.ndarray, batch: Batch) -> float:
    """How often the candidate with the least value is the true one; ties are broken at random."""
    ties = np.random.default_rng(0).random(statistic.shape) * 1e-6
    return float((np.argmin(statistic + ties, axis=1) == batch.target).mean())


def near_chance(share: float, candidates: int, count: int) -> bool:
    return abs(share - 1 / candidates) < 4 * (1 / candidates * (1 - 1 / candidates) / count) ** 0.5


def clipped(share: float, count: int = 1_500, side: int = 24) -> ImageSource:
    """White noise of which a share of the values is black or white; each channel by itself."""
    spread = 127 / NormalDist().inv_cdf(1 - share / 2)
    values = np.random.default_rng(0).standard_normal((count, side, side, 3)) * spread + 128
    return ImageSource(list(np.clip(np.rint(values), 0, 255).astype(np.uint8)))


def traces(picture: np.ndarray) -> np.ndarray:
    """What clipping does to colours: limits, third moments, and how lightness goes with the six corners of the hue circle."""
    values = picture.astype(float)
    grey = values.mean(axis=-1)
    chroma = values - grey[..., None]
    third = (
        3
        * np.sqrt(3)
        * (chroma[..., 0] - chroma[..., 1])
        * (chroma[..., 1] - chroma[..., 2])
        * (chroma[..., 2] - chroma[..., 0])
    )
    numbers = [(values <= 2).mean(axis=(1, 2)), (values >= 253).mean(axis=(1, 2)), values.std(axis=(1, 2)) / 50]
    numbers += [(chroma**3).mean(axis=(1, 2)) / 1e5, ((grey[..., None] - 128) * chroma**3).mean(axis=(1, 2)) / 1e7]
    return np.concatenate([*numbers, third.mean(axis=(1, 2))[:, None] / 1e5], axis=1)


@pytest.mark.parametrize(("share", "candidates"), [(0.1, 2), (0.1, 4), (0.3, 2), (0.3, 4), (0.3, 6)])
def test_clipped_colours_do_not_tell_the_true_candidate(share, candidates):
    batch = sample(Colorization(clipped(share), SIDE, candidates=candidates), 1_500)
    found = np.stack([traces(picture) for picture in shown(batch, candidates).swapaxes(0, 1)], axis=1)
    found = np.concatenate([found, found - found.mean(axis=1, keepdims=True)], axis=-1)
    known = batch.items % 2 == 0  # no picture is learned from and asked about
    true = np.arange(candidates) == batch.target[:, None]
    model = HistGradientBoostingClassifier(max_iter=40).fit(found[known].reshape(-1, found.shape[-1]), true[known].ravel())
    sure = model.predict_proba(found[~known].reshape(-1, found.shape[-1]))[:, 1].reshape(-1, candidates)
    right = sure.argmax(axis=1) == batch.target[~known]
    assert near_chance(right.mean(), candidates, len(right))


# Errors


@pytest.mark.parametrize("source", ["faces", "digits"])
def test_grey_sources_are_errors_that_say_what_would_do(source):
    with pytest.raises(ValueError, match=f"'{source}' is grey, .* coloured one, e.g. scenes"):
        Colorization(source)


def test_pictures_of_which_two_channels_are_alike_are_not_asked_about():
    """Yellow and blue: with red and green exchanged they are the same."""
    yellow = np.random.default_rng(0).integers(0, 256, (40, 36, 36, 3), dtype=np.uint8)
    yellow[..., 1] = yellow[..., 0]
    with pytest.raises(ValueError, match=r"only 0% .* of one hue"):
        Colorization(yellow)


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
        ({"candidates": 1}, "2 to 6, got 1"),
        ({"candidates": 7}, "2 to 6, got 7: three channels can be shown in so many ways"),
        ({"image_size": 23}, "11 pixels wide; .* image_size of 24 or more"),
        ({"image_size": 35, "candidates": 6}, "image_size of 36 or more"),
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
    with pytest.raises(TypeError, match="unexpected keyword argument 'hues'; it takes source, image_size, candidates, level"):
        make_task(ID, hues=2)
