"""Cards and boards: what is drawn of an instance."""

from __future__ import annotations

import re

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_envs import Stream, rendering, windows
from ssl4rl_envs.rendering import Card, Verdict


def picture(height: int = 20, width: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


RIGHT = Verdict("90", "90", 1.0, True)
WRONG = Verdict("0", "90", 0.0, False)
NONE = Verdict(None, "90", 0.0, False)


def card(verdict: Verdict | None = None, *pictures: np.ndarray) -> Card:
    shown = {f"picture {i}": pixels for i, pixels in enumerate(pictures or (picture(),))}
    return Card(shown, "By how many degrees was this picture turned?", verdict)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_cards_are_rgb_pictures_of_one_width(count):
    drawn = rendering.draw(card(None, *(picture(seed=i) for i in range(count))))
    assert drawn.dtype == np.uint8
    assert drawn.ndim == 3
    assert drawn.shape[1:] == (360, 3)
    assert drawn.std() > 5


def test_cards_with_and_without_verdicts_differ_and_keep_their_size():
    drawn = [rendering.draw(card(verdict)) for verdict in (None, RIGHT, WRONG, NONE)]
    assert len({one.shape for one in drawn}) == 1
    assert len({one.tobytes() for one in drawn}) == 4


def test_the_same_card_is_drawn_the_same():
    assert np.array_equal(rendering.draw(card(RIGHT)), rendering.draw(card(RIGHT)))


def test_the_picture_is_on_the_card():
    assert not np.array_equal(rendering.draw(card(None, picture(seed=1))), rendering.draw(card(None, picture(seed=2))))


@pytest.mark.parametrize(
    ("count", "columns", "grid"), [(1, 4, (1, 1)), (3, 4, (1, 3)), (4, 4, (1, 4)), (5, 4, (2, 4)), (5, 2, (3, 2))]
)
def test_boards_are_grids_of_cards(count, columns, grid):
    cards = [card(RIGHT if i % 2 else None) for i in range(count)]
    height = rendering.draw(cards[0]).shape[0]
    board = rendering.board(cards, columns)
    assert board.dtype == np.uint8
    assert board.shape == (grid[0] * (height + 12) + 12, grid[1] * (360 + 12) + 12, 3)
    assert np.array_equal(board[12 : 12 + height, 12 : 12 + 360], rendering.draw(cards[0]))


def test_a_board_of_cards_of_several_heights_shows_them_all():
    cards = [card(None, picture(10, 30)), card(None, picture(30, 10)), card(RIGHT, picture(), picture())]
    drawn = [rendering.draw(one) for one in cards]
    board = rendering.board(cards, 3)
    for i, one in enumerate(drawn):
        left = 12 + i * 372
        assert np.array_equal(board[12 : 12 + one.shape[0], left : left + 360], one)


def test_an_empty_board_is_an_error():
    with pytest.raises(ValueError, match="at least one card"):
        rendering.board([])


def test_terminal_text_holds_the_question_and_the_verdict():
    asked = plain(rendering.to_ansi(card()))
    assert card().question in asked
    assert "truth" not in asked
    told = plain(rendering.to_ansi(card(WRONG)))
    assert card().question in told
    assert "answer 0, truth 90, reward 0.00" in told
    assert "no answer, truth 90" in plain(rendering.to_ansi(card(NONE)))


def test_the_right_answer_alone_does_not_look_like_an_answer(env_id, build):
    """Where nobody was asked: no verdict, no reward; a picture of the truth where a task has no words."""
    task = build(env_id)
    batch = task.sample(Stream("train", [0, 0], [0, 1]))
    for row, shown in enumerate(rendering.reveal(task, batch)):
        one = rendering.card(task, batch, row, shown)
        assert str(shown) == ("" if shown.truth is None else f"right answer {task.truths(batch)[row]}")
        assert shown.reward is None
        assert set(shown.pictures) == set(task.illustrate(task.oracle(batch)[row], batch, row)) - {"painted"}
        said = shown.truth is not None or bool(shown.pictures)
        assert said != np.array_equal(rendering.draw(one), rendering.draw(rendering.card(task, batch, row, None)))


ORDERS = st.permutations(range(1, 10)).map(lambda order: ", ".join(map(str, order)))


@given(ORDERS, ORDERS, st.floats(0, 1), st.sampled_from([14, 11, 8]))
def test_every_part_of_a_verdict_is_on_the_card(answer, truth, reward, size):
    """None is cut off at the edge, and none runs into the next."""
    verdict = Verdict(answer, truth, reward, reward == 1)
    lines = rendering._verdict_lines(verdict, size)
    assert (
        " ".join(words for line in lines for words, _ in line).split()
        == str(verdict).replace(", t", " t").replace(", r", " r").split()
    )
    for line in lines:
        assert sum(rendering._font(size).getlength(words) for words, _ in line) <= 360 - 2 * 14
        assert all(words.startswith("   ") for words, _ in line[1:])
    assert lines[-1][-1][0].strip() == f"reward {reward:.2f}"


def test_terminal_pictures_show_two_pixels_a_character():
    text = rendering.to_ansi(card(None, np.full((16, 16, 3), (10, 20, 30), np.uint8)), columns=8)
    first = text.splitlines()[0]
    assert first.count("\u2580") == 8
    assert "\x1b[38;2;10;20;30m\x1b[48;2;10;20;30m" in first
    assert sum("\u2580" in line for line in text.splitlines()) == 4
    assert all(line.endswith("\x1b[0m") for line in text.splitlines() if "\u2580" in line)


@pytest.mark.parametrize("shapes", [((20, 20), (20, 20)), ((20, 20), (10, 20)), ((40, 10), (10, 40), (20, 20))])
def test_pictures_of_several_shapes_can_be_shown_together(shapes):
    shown = card(RIGHT, *(picture(*shape) for shape in shapes))
    assert rendering.draw(shown).shape[1] == 360
    assert shown.question in plain(rendering.to_ansi(shown))


def test_every_task_draws_itself_with_and_without_a_verdict(env_id, build):
    task = build(env_id)
    batch = task.sample(Stream("train", [0, 0, 0], [0, 1, 2]))
    score = task.score(task.oracle(batch), batch)
    verdicts = rendering.judge(task, batch, task.oracle(batch), score)
    for row, verdict in enumerate(verdicts):
        asked = rendering.card(task, batch, row, None)
        told = rendering.card(task, batch, row, verdict)
        assert asked.pictures
        assert asked.question == task.caption(batch)[row]
        assert (verdict.reward, verdict.success) == (float(score.reward[row]), bool(score.success[row]))
        if task.has_text and task.horizon == 1:
            assert verdict.answer == verdict.truth == task.format_all(task.oracle(batch), batch)[row]
        assert not np.array_equal(rendering.draw(asked), rendering.draw(told))
        if not verdict.pictures:
            assert plain(rendering.to_ansi(asked)) in plain(rendering.to_ansi(told))


@pytest.mark.parametrize("mode", ["rgb", "rgb_array_list", "", "Human", 3])
def test_unknown_render_modes_are_errors_that_list_the_known(mode):
    with pytest.raises(ValueError, match="rgb_array, ansi, human"):
        windows.check_mode(mode)


def test_without_a_display_there_is_no_human_mode(headless):
    assert windows.usable_modes() == ["rgb_array", "ansi"]
    with pytest.raises(ValueError, match=r"no display.*rgb_array"):
        windows.check_mode("human")
    assert [windows.check_mode(mode) for mode in ("rgb_array", "ansi", None)] == ["rgb_array", "ansi", None]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("MaskedReconstruction", {"answer": "pixels"}),
        ("Mixture", {"tasks": ("Rotation", "FlipPrediction", "PatchOrdering"), "image_size": 36}),
        ("PatchOrdering", {"grid": 3}),
    ],
)
def test_all_frames_of_an_environment_are_of_one_size(name, arguments):
    """Before and after an answer, whatever is asked: recorders of films and users of windows count on it."""
    env = gym.make(f"SSL4RL/{name}-v0", render_mode="rgb_array", **{"source": "digits", "image_size": 36, **arguments})
    sizes, seen = set(), set()
    for seed in range(6):
        env.reset(seed=seed)
        asked = env.render()
        env.step(env.action_space.sample())
        for frame in (asked, env.render()):
            sizes.add(frame.shape)
            seen.add(frame.tobytes())
    assert len(sizes) == 1
    assert len(seen) > 6


def inked(picture: np.ndarray, rows: slice) -> bool:
    """Whether something is written in some rows, the frame aside."""
    return bool((picture[rows, 1:-1] != 255).any())


@pytest.mark.parametrize("words", ["word " * 150, "w" * 700])
def test_text_that_needs_more_room_than_a_canvas_has_is_written_smaller_and_not_cut_off(words):
    canvas = rendering.canvas_of(card(RIGHT))
    long = Card(card().pictures, words, Verdict("1, 2, 3, " * 9, "3, 2, 1, " * 9, 0.5, False))
    drawn = rendering.draw(long, canvas)
    assert drawn.shape == (canvas.height, 360, 3)
    assert inked(drawn, slice(-60, -20))
    assert not inked(drawn, slice(-6, -1))
    assert not inked(drawn[:, -10:], slice(1, -1))


def test_a_picture_that_is_higher_than_a_canvas_is_shown_smaller():
    canvas = rendering.canvas_of(card(None, picture(10, 30)))
    drawn = rendering.draw(card(None, picture(60, 20)), canvas)
    assert drawn.shape[0] == canvas.height
    text = drawn[14 + canvas.pictures : 14 + canvas.pictures + 10, 1:-1]
    assert (text == 255).all(), "nothing between the picture and the words"


def test_a_long_verdict_takes_a_line_for_the_answer_and_one_for_the_truth():
    order = ", ".join(map(str, range(1, 10)))
    short, long = (rendering.canvas_of(card(Verdict(said, said, 0.0, False))) for said in ("90", order))
    assert long.verdict == 2 * short.verdict
    assert (short | long) == long
