"""RelativePosition: the direction is that of the marks, or of what words name, and nobody could call it otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_agents.rules.film_rules import find_marks
from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images import marks
from ssl4rl_envs.images.relative_position import DIRECTIONS, RelativePosition
from ssl4rl_envs.sources.scene_models import COLOURS, KINDS
from ssl4rl_envs.sources.scenes import scenes


def sample(task: RelativePosition, count: int, seed: int = 0) -> Batch:
    return task.sample(Stream.span("train", seed, 0, count))


@pytest.mark.parametrize("directions", [4, 8])
def test_marks_lie_in_the_direction_of_the_target_well_within_its_sector(directions):
    task = RelativePosition("photos", 143, directions=directions)
    batch = sample(task, 80)
    corners = find_marks(batch.observation["image"], 2)
    down, right = (corners[:, 0] - corners[:, 1]).T
    turns = np.degrees(np.arctan2(-down, right)) * directions / 360 - batch.target
    assert np.abs((turns + directions / 2) % directions - directions / 2).max() < 0.36  # 0.3, and the rounding of pixels
    distance = np.hypot(down, right) / 143
    assert 0.29 < distance.min() < distance.max() < 0.43
    assert set(batch.target) == set(range(directions))


def test_directions_by_hand():
    """The first mark upper right of the second: one step right, one up."""
    assert DIRECTIONS[4] == ("right", "above", "left", "below")
    task = RelativePosition("digits", 96, directions=8)
    for target, (right, down) in enumerate([(1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1)]):
        batch = Batch({}, np.array([target]), np.zeros(1, int), {"asked": np.zeros((1, 4), int)})
        words = task.truths(batch)[0].split()
        assert ("right" in words) - ("left" in words) == right
        assert ("below" in words) - ("above" in words) == down
        going = task.rationale(batch)[0]
        assert ("up" in going, "down" in going, "going right" in going or "and right" in going) == (
            down < 0,
            down > 0,
            right > 0,
        )


def test_where_the_two_are_does_not_depend_on_the_direction():
    """Their middle is drawn apart from it, and every direction fits into the picture."""
    task = RelativePosition("digits", 96, directions=8)
    stream = Stream.span("train", 0, 0, 100).keyed(task.stream_key)
    stream.integers(0, 8)
    draft = task.draw(stream)
    both = task._both(draft, np.broadcast_to(np.arange(8), (100, 8)))
    assert np.allclose(both.mean(axis=2), draft.middle[:, None])
    half = draft.cast.half()[:, -2:][:, None]
    centres = both - draft.cast.offsets()[:, -2:][:, None]
    assert (centres - half > -1e-9).all()
    assert (centres + half < 1 + 1e-9).all()
    assert np.allclose(both[:, :, 0], both[:, (np.arange(8) + 4) % 8, 1], atol=1e-9)  # opposite directions exchange them


@pytest.mark.parametrize("directions", [4, 8])
def test_answers_are_balanced(directions):
    counts = np.bincount(sample(RelativePosition("digits", 36, directions=directions), 2_000).target, minlength=directions)
    assert (np.abs(counts - 2_000 / directions) < 90).all()


def test_words_name_one_thing_each():
    task = RelativePosition(scenes(), directions=8, others=4, names="words")
    batch = sample(task, 60)
    own = scenes().labels(batch.items)["kind"]
    asked = batch.observation["asked"]
    assert all(asked[row, 0] not in own[row] and asked[row, 2] not in own[row] for row in range(60))
    assert (asked[:, 0] != asked[:, 2]).all()
    names = [f"{list(COLOURS)[colour]} {KINDS[kind]}" for kind, colour in asked.reshape(-1, 2)]
    for row, question in enumerate(task.question(batch)):
        assert f"Where in the picture is the {names[2 * row]}, seen from the {names[2 * row + 1]}?" in question
    assert not {"orange", "brown"} & {name.split()[0] for name in names}
    assert not np.array_equal(
        find_marks(batch.observation["image"], 2)[:, 0], find_marks(batch.observation["image"], 2)[:, 1]
    )
    assert all(name in reason for name, reason in zip(names[::2], task.rationale(batch), strict=True))


def test_where_marks_are_may_be_seen_and_of_words_nothing_may():
    for solver in RelativePosition.legitimate:
        assert RelativePosition("digits", 36).reason_for(solver)
        assert RelativePosition("digits", 36, names="words").reason_for(solver) is None


def test_what_words_name_is_seen_in_every_direction():
    """Things of a hundredth of the picture are not asked about by words, wherever they are; others are over most pictures."""
    task = RelativePosition("photos", names="words")
    draft = task.draft(Stream.span("train", 0, 0, 100))
    assert task.askable(draft).mean() > 0.9
    draft.cast.size[:50, -1], draft.cast.size[50:, -2] = 0.01, 0.01
    assert not task.askable(draft).any()


def test_marks_are_digits_on_white_and_stay_inside():
    pictures = np.zeros((2, 40, 40, 3), np.uint8)
    marks.mark(pictures, np.array([[(0.5, 0.5), (0.0, 1.0)], [(1.0, 0.0), (0.25, 0.5)]]))
    one = ["WWWWWWW", "WWW.WWW", "WW..WWW", "WWW.WWW", "WWW.WWW", "WW...WW", "WWWWWWW"]
    drawn = ["".join("W" if pixel[0] else "." for pixel in line) for line in pictures[0, 17:24, 17:24]]
    assert drawn == one
    assert (pictures[1, :7, 33:] == pictures[0, 17:24, 17:24]).all()
    assert (pictures[0].sum(axis=-1) > 0).sum() == 2 * 49 - 8 - 8  # the pixels of "1" and "2" are black
    assert [marks.side_of(size) for size in (36, 71, 96, 144, 224)] == [7, 7, 7, 14, 21]
    assert np.array_equal(find_marks(pictures, 2), [[[17, 17], [33, 0]], [[0, 33], [17, 7]]])


@pytest.mark.parametrize(
    ("said", "meant"),
    [("north east", "above right"), ("right above", "above right"), ("Upper right", None), ("up", "above"),
     ("below/left", "below left"),
     ("to the left", "left"), ("southwest", "below left"), ("down and right", "below right")],
)  # fmt: skip
def test_other_names_are_read_by_the_lenient_grammar(said, meant):
    task = RelativePosition("digits", 36, directions=8)
    answer = task.parse(f"<answer>{said}</answer>", grammar="lenient")
    assert (None if answer is None else task.format(answer)) == meant
    assert task.parse(f"<answer>{said}</answer>") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"directions": 6}, "directions must be 4 or 8, got 6"),
        ({"others": 5}, "others must lie in 0 to 4, got 5"),
        ({"names": "colours"}, "names must be one of marks, words"),
        ({"image_size": 30}, "image_size must be at least 36 pixels"),
    ],
)
def test_arguments_that_do_not_fit_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_task("RelativePosition", source="digits", **arguments)
