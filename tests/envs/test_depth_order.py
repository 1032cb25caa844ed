"""DepthOrder: the nearest thing hides the others, it shows, and nothing but that tells which one it is."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_agents.rules.film_rules import find_marks
from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images import marks
from ssl4rl_envs.images.casts import Cast, drawn, over
from ssl4rl_envs.images.depth_order import ROUNDED, DepthOrder, Draft, over_key
from ssl4rl_envs.kernels import casts
from ssl4rl_envs.sources import ImageSource, Views
from ssl4rl_envs.sources.scene_models import COLOURS, KINDS

BALLOON = KINDS.index("balloon")
RED, BLUE, WHITE = (list(COLOURS).index(name) for name in ("red", "blue", "white"))


def plain(count: int = 30) -> ImageSource:
    """Pictures of one dark colour each."""
    colours = np.random.default_rng(0).integers(0, 40, (count, 1, 1, 3), np.uint8)
    return ImageSource(list(np.broadcast_to(colours, (count, 32, 32, 3)).copy()))


def sample(task: DepthOrder, count: int, seed: int = 0) -> Batch:
    return task.sample(Stream.span("train", seed, 0, count))


def drafted(task: DepthOrder, count: int) -> Draft:
    """The drafts of the first questions, drawn as `make` draws them: after the order."""
    stream = Stream.span("train", 0, 0, count).keyed(task.stream_key)
    stream.permutation(task.things)
    return task.draw(stream)


@pytest.mark.parametrize("things", [2, 3])
def test_the_nearest_thing_is_seen_whole_and_the_others_are_not(things):
    task = DepthOrder(plain(), 64, things=things)
    batch, draft = sample(task, 40), drafted(task, 40)
    each = np.arange(things)
    shown = np.full((40, things, things, 2), -9.0)
    shown[:, each, each] = draft.centres
    alone = drawn(task.source, draft.views, 64, draft.cast, shown)
    own = (alone != alone[:, :, :1, :1]).any(axis=-1)
    marked = np.full((40, 64, 64, 3), 90, np.uint8)
    marks.mark(marked, draft.marks)
    free = (marked == 90).all(axis=-1)
    image = batch.observation["image"]
    for row in range(40):
        hidden = []
        for number in range(things):
            seen = own[row, number] & free[row]
            inside = seen & np.roll(seen, 1, 0) & np.roll(seen, -1, 0) & np.roll(seen, 1, 1) & np.roll(seen, -1, 1)
            hidden.append((image[row] != alone[row, number]).any(axis=-1)[inside].mean())
        assert np.argmin(hidden) == batch.target[row]
        assert min(hidden) < 0.1  # what shows between ropes
        assert np.sort(hidden)[1] > 1.5 * min(hidden)


@pytest.mark.parametrize("things", [2, 3])
def test_marks_stand_on_their_own_things_and_in_any_order_at_one_place(things):
    task = DepthOrder(plain(), 64, things=things)
    batch, draft = sample(task, 60), drafted(task, 60)
    assert np.array_equal(find_marks(batch.observation["image"], things) + 3, np.floor(draft.marks[..., ::-1] * 64))
    away = np.linalg.norm(draft.marks[:, :, None] - draft.centres[:, None], axis=-1)
    assert (away.argmin(axis=2) == np.arange(things)).mean() > 0.8


@pytest.mark.parametrize("things", [2, 3])
def test_all_orders_are_equally_likely_and_the_target_is_the_last_one_painted(things):
    batch = sample(DepthOrder(plain(), 64, things=things), 1_200)
    counts = np.bincount(batch.target, minlength=things)
    assert (np.abs(counts - 1_200 / things) < 80).all()
    assert np.array_equal(batch.memory["order"][:, -1], batch.target)


def test_things_that_would_not_show_their_order_are_not_asked_about():
    """Two balloons of one colour, two that do not touch, one that hides another's every part, and two that do."""
    task = DepthOrder(plain(), 64)
    colours = [(RED, RED), (RED, BLUE), (RED, BLUE), (RED, BLUE)]
    things = np.array([[(BALLOON, one, WHITE), (BALLOON, other, WHITE)] for one, other in colours])
    centres = np.array([[(0.3, 0.5), (0.5, 0.5)], [(0.2, 0.5), (0.8, 0.5)], [(0.5, 0.5)] * 2, [(0.4, 0.5), (0.6, 0.5)]])
    centres[0] = (0.5, 0.5)
    views = task.source.whole(np.zeros(4, np.int64))
    cast = Cast(things, np.full((4, 2), 0.4), np.ones((4, 2)))
    draft = Draft(Views(views.items, views.x, views.y, views.side), cast, centres, np.zeros_like(centres))
    assert task._shows(draft, 32).tolist() == [False, False, True, True]
    assert task.askable(draft).tolist() == [False, False, False, True]


def test_it_is_asked_and_told_in_words():
    task = DepthOrder(plain(), 64, things=3)
    batch = sample(task, 10)
    assert "Which of them is nearest: 1, 2 or 3?" in task.question(batch)[0]
    for reason, target, things in zip(task.rationale(batch), batch.target, batch.memory["things"], strict=True):
        kind, colour, _ = things[target]
        assert reason.startswith(f"The {list(COLOURS)[colour]} {KINDS[kind]} marked {target + 1} hides a part of the ")
        assert reason.count("marked") == 3
    assert task.parse("<answer>3</answer>") == 2
    assert task.parse("<answer>4</answer>") is None
    assert (task.chance, DepthOrder(plain(), 36).chance) == (1 / 3, 1 / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"things": 4}, "things must be 2 or 3, got 4"),
        ({"overlap": 0.2}, "overlap must lie in 0.3 to 1, got 0.2"),
        ({"image_size": 30}, "image_size must be at least 36 pixels"),
    ],
)
def test_arguments_that_do_not_fit_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_task("DepthOrder", source="digits", **arguments)


@pytest.mark.parametrize("level", [level.name for level in DepthOrder.levels])
@pytest.mark.parametrize("source", ["photos", "faces"])
def test_every_level_has_enough_to_ask_about(level, source):
    assert make_task("DepthOrder", source=source, level=level).acceptance("train", 200) > 0.25


@pytest.mark.parametrize("level", ["2", "2-edge", "3"])
def test_what_is_seen_over_one_colour_is_true_over_every_picture(level):
    """Few drafts are left to be drawn over their picture, and the others would show the same there."""
    task = make_task("SSL4RL/DepthOrder-v0", level=level)
    draft = task.draft(Stream.span("train", 1, 0, 200))
    pictures = over_key(*task._frames(draft), 32)
    maybe, unsure = task._told(pictures[:, task.things :])
    shows = task._shows(draft, 32)
    assert maybe[shows].all()
    assert shows[maybe & ~unsure].all()
    assert 0 < (maybe & unsure).mean() < 0.2
    alone = (pictures[:, : task.things] != casts.KEY).any(axis=-1).mean(axis=(2, 3))
    assert ((alone > 0.03) & (alone < 0.3)).all()


def test_how_much_two_orders_differ_does_not_depend_on_what_is_behind():
    task = make_task("SSL4RL/DepthOrder-v0", level="3")
    cast, shown = task._frames(task.draft(Stream.span("train", 2, 0, 60)))
    apart = []
    for grey in (0, 90, 255):
        orders = over(np.full((60, 32, 32, 3), grey, np.uint8), cast, shown[:, task.things :]).astype(int)
        apart.append(np.abs(orders[:, ::2] - orders[:, 1::2]).sum(axis=-1))
    assert np.max(apart, axis=0).max() > 300
    assert (np.max(apart, axis=0) - np.min(apart, axis=0)).max() < ROUNDED
