"""FrameOrdering and NextFrame: what moves moves straight on, one answer is right, and nothing else tells which."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ssl4rl_agents.rules.cells import panel_cells
from ssl4rl_envs import Batch, Stream, Task, make_task
from ssl4rl_envs.images import films
from ssl4rl_envs.images.casts import BIRD, drawn
from ssl4rl_envs.images.frame_ordering import FrameOrdering
from ssl4rl_envs.images.next_frame import NextFrame
from ssl4rl_envs.images.tiles import panels
from ssl4rl_envs.sources import ImageSource


def plain(count: int = 30) -> ImageSource:
    """Pictures of one colour each: dark ones, on which everything shows."""
    colours = np.random.default_rng(0).integers(0, 40, (count, 1, 1, 3), np.uint8)
    return ImageSource(list(np.broadcast_to(colours, (count, 32, 32, 3)).copy()))


def sample(task: Task, count: int, seed: int = 0) -> Batch:
    return task.sample(Stream.span("train", seed, 0, count))


def drafted(task: FrameOrdering | NextFrame, count: int, target):
    """The drafts of the first questions, drawn as `make` draws them: after the target."""
    stream = Stream.span("train", 0, 0, count).keyed(task.stream_key)
    target(stream)
    return task.draw(stream)


def middles(frames: np.ndarray) -> np.ndarray:
    """Where what is not of the backdrop's colour is in frames (n, m, side, side, 3), (n, m, 2) right and down in pixels."""
    seen = (frames != frames[:, :, :1, :1]).any(axis=-1)
    down, right = (np.arange(frames.shape[2]) @ seen.sum(axis=axis)[..., None] for axis in (3, 2))
    return np.concatenate([right, down], axis=-1) / seen.sum(axis=(2, 3))[..., None]


# FrameOrdering


@pytest.mark.parametrize("marked", [True, False])
def test_in_the_right_order_a_thing_moves_by_equal_steps(marked):
    task = FrameOrdering(plain(), 200, frames=4, speed=0.12, things=1, marked=marked, light=0)
    batch = sample(task, 40)
    frames = np.stack(panel_cells(batch.observation["image"], 4, task.side), axis=1)
    first = np.zeros((40, 1), int)
    order = np.concatenate([first, batch.target + 1], axis=1) if marked else batch.target
    steps = np.diff(np.take_along_axis(middles(frames), order[..., None], axis=1), axis=1)
    assert np.allclose(np.linalg.norm(steps, axis=2), 0.12 * task.side, atol=0.8)
    assert np.allclose(steps, steps.mean(axis=1, keepdims=True), atol=0.8)
    if not marked:
        assert (batch.memory["thing"][:, 0] == BIRD).all()


def test_birds_fly_the_way_they_look():
    """Their beaks are on the right; a mirrored bird flies to the left."""
    draft = drafted(FrameOrdering(plain(), marked=False), 200, lambda stream: stream.permutation(4))
    across = np.diff(draft.centres[..., 0], axis=1)
    assert (np.sign(across) == draft.cast.flip[:, None]).all()
    assert 0.4 < (draft.cast.flip[:, -1] > 0).mean() < 0.6


def test_films_run_either_way_alike_and_nothing_leaves_the_picture():
    draft = drafted(FrameOrdering(plain(), frames=4, things=2), 400, lambda stream: stream.permutation(3))
    half = draft.cast.half()[:, None]
    assert (draft.centres - half >= -1e-9).all()
    assert (draft.centres + half <= 1 + 1e-9).all()
    first, last = draft.centres[:, 0], draft.centres[:, -1]
    assert np.allclose(first.mean(axis=(0, 1)), last.mean(axis=(0, 1)), atol=0.03)
    assert np.allclose(first.std(axis=(0, 1)), last.std(axis=(0, 1)), atol=0.03)


def test_the_first_panel_is_the_first_frame_and_the_others_stand_in_any_order():
    batch = sample(FrameOrdering(plain(), 60), 3_000)
    orders, counts = np.unique(batch.target, axis=0, return_counts=True)
    assert len(orders) == 6
    assert (np.abs(counts - 500) < 100).all()


@pytest.mark.parametrize(("frames", "marked"), [(3, True), (4, True), (4, False), (6, True)])
@pytest.mark.parametrize("reward", ["fraction", "exact"])
def test_chance_is_the_mean_over_all_orders(frames, marked, reward):
    task = FrameOrdering(plain(), 96, frames=frames, things=1, marked=marked, reward=reward)
    orders = np.array(list(itertools.permutations(range(frames - marked))))
    one = sample(task, 1)
    batch = Batch.concatenate([one] * len(orders))
    score = task.score(orders, batch)
    assert score.reward.mean() == pytest.approx(task.chance)
    assert score.success.sum() == 1


def test_shares_of_right_places_are_paid_by_hand():
    task = FrameOrdering(plain(), 96, frames=5)
    batch = Batch({}, np.array([[2, 0, 1, 3]] * 4), np.zeros(4, int))
    answers = np.array([[2, 0, 1, 3], [0, 2, 1, 3], [2, 1, 3, 0], [2, 2, 1, 3]])
    assert task.score(answers, batch).reward.tolist() == pytest.approx([1, 1 / 3, 0, 0])  # 4, 2 and 1 of 4; no permutation
    assert task.format(np.array([2, 0, 1, 3])) == "4, 2, 3, 5"
    assert FrameOrdering(plain(), 96, frames=5, marked=False).format(np.arange(5)) == "1, 2, 3, 4, 5"


def test_what_passes_behind_something_is_hidden_in_part_and_never_in_whole():
    seen = np.array([[0.04, 0.03, 0.02], [0.04, 0.04, 0.04], [0.04, 0.02, 0.01], [0.01, 0.01, 0.004]])
    assert films.shows(seen, behind=True).tolist() == [True, False, False, False]
    assert films.shows(seen, behind=False).tolist() == [True, True, False, False]


# NextFrame


@pytest.mark.parametrize("differ", ["direction", "speed", "thing", "mixed"])
def test_the_right_candidate_goes_on_and_the_candidates_do_not_depend_on_it(differ):
    task = NextFrame(plain(), differ=differ, speed=0.06, light=0)
    batch = sample(task, 60)
    draft = drafted(task, 60, lambda stream: stream.integers(0, 4))
    offered = drawn(task.source, draft.views, task.side, draft.cast, draft.last[:, None] + draft.steps)
    assert np.array_equal(batch.observation["next"], panels(offered, 96))
    last = drawn(task.source, draft.views, task.side, draft.cast, draft.last[:, None])
    film = np.stack(panel_cells(batch.observation["film"], 3, task.side), axis=1)
    assert np.array_equal(film[:, 2:], last)
    right = draft.steps[np.arange(60), batch.target][:, None]
    before = drawn(
        task.source, draft.views, task.side, draft.cast, draft.last[:, None] - np.array([[[[2.0]], [[1.0]]]]) * right
    )
    assert np.array_equal(film[:, :2], before)


def test_no_candidate_is_a_frame_that_was_shown():
    for differ in ("direction", "speed", "thing", "mixed"):
        task = NextFrame(plain(), differ=differ, speed=0.06, light=0)
        batch = sample(task, 60)
        film, offered = (
            np.stack(panel_cells(batch.observation[name], many, task.side), axis=1)
            for name, many in (("film", 3), ("next", 4))
        )
        apart = (film[:, :, None] != offered[:, None]).any(axis=(3, 4, 5))
        assert apart.all()


def test_steps_of_candidates_by_hand():
    stream = Stream.span("train", 0, 0, 200)
    steps = {
        differ: NextFrame(plain(), differ=differ, speed=0.06)._steps(stream) for differ in ("direction", "speed", "mixed")
    }
    lengths = {differ: np.linalg.norm(each[:, :, 0], axis=2) for differ, each in steps.items()}
    assert np.allclose(lengths["direction"], 0.06)
    assert np.allclose(np.sort(lengths["speed"], axis=1), [0.06, 0.12, 0.18, 0.24])
    assert np.isin(np.round(lengths["mixed"], 9), [0.06, 0.12]).all()
    for differ in ("direction", "mixed"):  # none goes back along another
        cosines = np.einsum("nix,njx->nij", steps[differ][:, :, 0], steps[differ][:, :, 0])
        assert (cosines > -0.99 * lengths[differ][:, :, None] * lengths[differ][:, None]).all()
    moved = NextFrame(plain(), differ="thing", speed=0.06)._steps(stream)
    assert np.array_equal(np.abs(moved).sum(axis=3) > 0, np.broadcast_to(np.eye(4, dtype=bool), (200, 4, 4)))


def test_answers_are_balanced():
    counts = np.bincount(sample(NextFrame(plain(), 60), 2_000).target, minlength=4)
    assert (np.abs(counts - 500) < 90).all()


# Both


@pytest.mark.parametrize("task", ["FrameOrdering", "NextFrame"])
def test_light_flickers_from_frame_to_frame_and_changes_nothing_else(task):
    still, flickering = (make_task(task, source=plain(), light=light, pairing="light") for light in (0, 0.5))
    one, other = (sample(each, 50) for each in (still, flickering))
    assert np.array_equal(one.target, other.target)
    name = still.images[0]
    many = still.frames
    frames = np.stack(panel_cells(other.observation[name], many, still.side), axis=1)
    levels = frames[:, :, 0, 0].astype(int)  # a corner, which shows the backdrop mostly
    assert (np.ptp(levels, axis=1).max(axis=1) > 3).mean() > 0.9


@pytest.mark.parametrize("task", [FrameOrdering, NextFrame])
def test_what_moves_never_touches_the_outermost_lines(task):
    for level in task.levels:
        each = task(plain(), **level.arguments, light=0)
        batch = sample(each, 40)
        frames = np.concatenate(
            [
                np.stack(panel_cells(batch.observation[name], many, each.side), axis=1)
                for name, many in zip(each.images, (each.frames, getattr(each, "candidates", 0)), strict=False)
            ],
            axis=1,
        )
        for lines in (frames[:, :, [0, 1, -2, -1]], frames[:, :, :, [0, 1, -2, -1]]):
            assert np.array_equal(lines, np.broadcast_to(lines[:, :1], lines.shape)), level.name


def test_grain_is_drawn_for_each_frame_by_itself():
    frames = films.flickering(np.full((300, 3, 8, 8, 3), 128, np.uint8), Stream.span("train", 0, 0, 300), 0.5)
    spread = frames.astype(float).std(axis=(2, 3)).mean(axis=2)
    assert spread.max() == pytest.approx(32 / np.sqrt(3), rel=0.2)  # evenly from -32 to 32
    assert spread.min() < 1
    assert np.abs(np.corrcoef(spread.T) - np.eye(3)).max() < 0.25


@pytest.mark.parametrize("task", [FrameOrdering, NextFrame])
def test_sizes_of_files_borders_grain_and_colours_are_accepted_of_nobody(task):
    """What flicker, grain and margins are for: the audit fails where one of these tells anything."""
    for solver in ("output size", "file size", "border rows", "mean colour", "residuals", "extremes"):
        assert task(plain()).reason_for(solver) is None


def test_ways_in_words():
    assert [films.way(angle) for angle in (0, 179, 360, 720, 1080, 1440, 2160, 2520, 2879)] == [
        "right", "right", "up and to the right", "up", "up and to the left", "left", "down", "down and to the right", "right"
    ]  # fmt: skip
    assert films.way_of(np.array([0.0, -0.1])) == "up"
    assert films.way_of(np.array([-0.1, 0.1])) == "down and to the left"


def test_reasons_are_told_of_the_film():
    batch = sample(FrameOrdering(plain()), 20)
    for reason, target in zip(FrameOrdering(plain()).rationale(batch), batch.target, strict=True):
        assert reason.endswith(
            f"It is furthest back in frame 1, and further on in each of the frames {', '.join(map(str, target + 2))}."
        )
    task = NextFrame(plain(), speed=0.1)
    batch = sample(task, 20)
    assert all(f"by 10 percent of the picture from frame to frame. Candidate {t + 1} shows" in reason
               for reason, t in zip(task.rationale(batch), batch.target, strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        ("FrameOrdering", {"frames": 7}, "frames must be one of 3, 4, 5, 6, got 7"),
        ("FrameOrdering", {"things": 0}, "things must be one of 1, 2, 3, got 0"),
        ("FrameOrdering", {"image_size": 36, "frames": 6}, "6 of them take an image_size of 42, got 36"),
        ("FrameOrdering", {"speed": 0.2}, "speed must lie in 0.03 to 0.15"),
        ("FrameOrdering", {"image_size": 36, "speed": 0.05}, "less than a pixel in frames of 16 pixels"),
        ("FrameOrdering", {"light": 1.5}, "light must lie in 0 to 1, got 1.5"),
        ("FrameOrdering", {"reward": "all"}, "reward must be one of fraction, exact"),
        ("NextFrame", {"frames": 1}, "frames must be one of 2, 3, 4, got 1"),
        ("NextFrame", {"candidates": 5}, "candidates must be one of 2, 3, 4, got 5"),
        ("NextFrame", {"differ": "colour"}, "differ must be one of direction, speed, thing, mixed"),
        ("NextFrame", {"differ": "thing", "behind": True}, "leave one out"),
        ("NextFrame", {"differ": "speed", "speed": 0.08}, "a speed of at most 0.062, got 0.08"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_errors(task, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_task(task, source="digits", **arguments)


@pytest.mark.parametrize("task", [FrameOrdering, NextFrame])
def test_every_level_asks_over_pictures_of_every_kind(task):
    for level in task.levels:
        for source in ("photos", "faces"):
            batch = sample(task(source, **level.arguments), 8)
            assert batch.observation[task(source, **level.arguments).images[0]].shape == (8, 96, 96, 3)
