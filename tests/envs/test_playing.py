"""Whole episodes: who plays them, what a teacher says, and how they are shown."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ssl4rl_envs import Stream, animation, make_task, rendering
from ssl4rl_envs.answers import extract
from ssl4rl_envs.images.patch_swap import PatchSwap
from ssl4rl_envs.images.reveal import Reveal
from ssl4rl_envs.images.rotate_upright import LEFT, STOP, RotateUpright
from ssl4rl_envs.playing import believing, lessons, returns_of, solve, turns

SMALL = {"source": "digits", "image_size": 36}
SEQUENTIAL = {
    "PatchSwap": PatchSwap(**SMALL, grid=2, max_steps=4),
    "PatchSwap stop": PatchSwap(**SMALL, grid=2, max_steps=4, stop=True),
    "RotateUpright": RotateUpright(**SMALL),
    "Reveal": Reveal(**SMALL, grid=2, looks=4),
}
EVERY = pytest.mark.parametrize("task", SEQUENTIAL.values(), ids=SEQUENTIAL)


def batch_of(task, count=12, split="train"):
    return task.sample(Stream.span(split, 0, 0, count))


# Playing


def test_episodes_leave_as_they_end_and_go_on_to_the_horizon():
    task = SEQUENTIAL["RotateUpright"]
    batch = batch_of(task)
    stops = np.arange(12) % 6  # 4 and 5 never stop: the horizon is 4
    seen = []
    played = list(turns(task, batch, lambda state, rows: np.where(stops[rows] == state.memory["steps"], STOP, LEFT)))
    for number, turn in enumerate(played):
        assert turn.rows.tolist() == [row for row in range(12) if stops[row] >= number]
        assert len(turn.state) == len(turn.answers) == len(turn.step.terminated) == len(turn.rows)
        assert np.array_equal(turn.step.terminated, stops[turn.rows] == number)
        assert np.array_equal(turn.state.target, (batch.target[turn.rows] + number) % 4)
        seen.append(len(turn.rows))
    assert seen == [12, 10, 8, 6]


def test_returns_are_the_sums_of_what_turns_earn():
    task = SEQUENTIAL["PatchSwap"]
    batch = batch_of(task)
    expected = np.zeros(12)
    for turn in turns(task, batch, lambda state, _: task.oracle(state)):
        expected[turn.rows] += turn.step.score.reward
    assert np.array_equal(returns_of(task, batch, lambda state, _: task.oracle(state)), expected)
    assert expected == pytest.approx(np.ones(12))


@EVERY
def test_who_believes_the_truth_is_paid_as_the_oracle_is(task):
    batch = batch_of(task, 20)
    assert returns_of(task, batch, believing(task, batch, batch.target)) == pytest.approx(np.ones(20))


def test_who_believes_something_else_does_what_would_be_right_then():
    task = SEQUENTIAL["RotateUpright"]
    batch = batch_of(task, 40)
    beliefs = (batch.target + np.arange(40) % 2) % 4  # every second one is wrong by a quarter
    assert np.array_equal(returns_of(task, batch, believing(task, batch, beliefs)), 1.0 - np.arange(40) % 2)


# Teachers


def test_the_teacher_of_every_environment_ends_with_success_and_says_why(env_id, build):
    task = build(env_id)
    success = np.zeros(6, bool)
    for turn in solve(task, batch_of(task, 6)):
        success[turn.rows] |= turn.step.score.success
        assert task.valid(turn.answers).all()
        reasons = task.rationale(turn.state)
        assert len(reasons) == len(turn.rows)
        for reason in reasons:
            assert reason.isascii()
            assert reason.isprintable()
            assert not set("<>") & set(reason)
            assert reason.endswith(".")
    assert success.all()


def test_what_a_teacher_says_is_read_as_what_it_does(text_id, style, build):
    task = build(text_id)
    for turn, replies in lessons(task, batch_of(task, 4), style):
        answers, answered = task.parse_all(replies, turn.state, style)
        assert answered.all()
        assert np.array_equal(answers, turn.answers)
        if style == "think":
            assert all(reason in reply for reason, reply in zip(task.rationale(turn.state), replies, strict=True))


def test_lessons_pay_what_their_replies_earn_in_the_text_environment():
    import gymnasium as gym

    task = make_task("PatchSwap", level="2x2", source="digits")
    env = gym.make("SSL4RL/PatchSwap-v0", level="2x2", source="digits", interface="text", prompt_style="think")
    env.reset(seed=0)
    total = 0.0
    for _, (reply,) in lessons(task, batch_of(task, 1), "think"):
        assert extract(reply, "think") is not None
        _, reward, terminated, _, _ = env.step(reply)
        total += reward
    assert terminated
    assert total == pytest.approx(1)


def test_tasks_without_words_have_no_lessons():
    task = make_task("MaskedReconstruction", answer="pixels", patch_size=8, **SMALL)
    with pytest.raises(ValueError, match="no text answers"):
        next(lessons(task, batch_of(task, 1)))
    assert task.rationale(batch_of(task, 1)) == ["What was under the masked patch of the picture: as it is painted."]


# Episodes as pictures


@EVERY
def test_an_episode_has_a_moment_for_every_decision_and_one_for_the_end(task):
    batch = batch_of(task, 5)
    counts = np.zeros(5, int)
    for turn in solve(task, batch):
        counts[turn.rows] += 1
    episodes = animation.solved(task, batch)
    assert [len(moments) - 1 for moments in episodes] == counts.tolist()
    for row, moments in enumerate(episodes):
        assert moments[0].thought == task.rationale(batch)[row] == moments[0].card.question
        assert all(moment.decision is not None for moment in moments[:-1])
        assert not any("truth" in str(moment.card.verdict) for moment in moments[:-1])
        assert f"-> {moments[0].decision}" in str(moments[0].card.verdict)
        assert moments[-1].decision is None
        assert "truth" in str(moments[-1].card.verdict)
        paid = sum(moment.reward for moment in moments)
        assert f"reward {paid:.2f}" in str(moments[-1].card.verdict)
        assert np.array_equal(moments[0].card.pictures["image"], batch.observation["image"][row])


def test_anybodys_episode_is_shown_with_its_questions_and_ends_at_the_horizon():
    task = SEQUENTIAL["RotateUpright"]
    batch = batch_of(task, 2)
    played = list(turns(task, batch, lambda _, rows: np.full(len(rows), LEFT)))
    for moments in animation.moments(task, 2, played):
        assert len(moments) == 5
        assert moments[0].card.question == task.question(batch)[0]
        assert "reward 0.00" in str(moments[-1].card.verdict)


def test_frames_are_of_one_size_and_a_film_holds_them_all(tmp_path):
    episodes = animation.solved(SEQUENTIAL["Reveal"], batch_of(SEQUENTIAL["Reveal"], 2))
    count = sum(map(len, episodes))
    frames, durations = animation.frames(episodes)
    assert len({frame.shape for frame in frames}) == 1
    assert len(frames) == len(durations) == count
    for ending in animation.ENDINGS:
        animation.write(episodes, tmp_path / "new" / f"film{ending}")
        with Image.open(tmp_path / "new" / f"film{ending}") as film:
            assert film.n_frames == count
            assert film.size == frames[0].shape[1::-1]


def test_a_picture_has_a_strip_for_each_episode(tmp_path):
    episodes = animation.solved(SEQUENTIAL["RotateUpright"], batch_of(SEQUENTIAL["RotateUpright"], 4))
    animation.write(episodes, tmp_path / "strips.png")
    with Image.open(tmp_path / "strips.png") as strips:
        boards = [rendering.board([moment.card for moment in episode], len(episode)) for episode in episodes]
        assert strips.size == (max(board.shape[1] for board in boards), sum(board.shape[0] for board in boards))
        assert np.array_equal(np.asarray(strips)[: boards[0].shape[0], : boards[0].shape[1]], boards[0])


def test_nothing_to_show_is_an_error():
    with pytest.raises(ValueError, match="at least one episode"):
        animation.strips([])
    with pytest.raises(ValueError, match="at least one episode"):
        animation.frames([])
