"""RotateUpright: honest pictures at every step, what stopping is paid, and that nothing is earned without looking."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.ndimage import rotate
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssl4rl_benchmarks.audits.features import FEATURES
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.images.rotate_upright import LEFT, RIGHT, STOP, RotateUpright
from ssl4rl_envs.sources import ImageSource
from ssl4rl_envs.sources.base import TURN, Views
from ssl4rl_envs.task import Batch

ID = "SSL4RL/RotateUpright-v0"
SMALL = {"source": "digits", "image_size": 36}
QUARTERS = RotateUpright(**SMALL)
EIGHTHS = RotateUpright("photos", 36, angles=8, max_steps=8)


def sample(task: RotateUpright, count: int, split: str = "train") -> Batch:
    return task.sample(Stream.span(split, 0, 0, count))


def after(task: RotateUpright, batch: Batch, actions: list[int]) -> Batch:
    for action in actions:
        batch = task.advance(batch, np.full(len(batch), action)).state
    return batch


# What is shown


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([LEFT, RIGHT]), max_size=10), st.sampled_from([QUARTERS, EIGHTHS]))
def test_how_a_picture_came_to_lie_as_it_does_leaves_no_trace(actions, task):
    """After any turns it is the same bits as after the shortest way there, and where nothing is turned, as at first."""
    batch = sample(task, 6)
    turned = actions.count(LEFT) - actions.count(RIGHT)
    there = after(task, batch, actions)
    shortest = after(task, batch, [LEFT] * (turned % task.angles))
    assert np.array_equal(there.observation["image"], shortest.observation["image"])
    assert np.array_equal(there.target, (batch.target + turned) % task.angles)
    if turned % task.angles == 0:
        assert np.array_equal(there.observation["image"], batch.observation["image"])


@pytest.mark.parametrize("task", [QUARTERS, EIGHTHS])
def test_every_picture_is_drawn_from_the_source_by_one_turn(task):
    batch = sample(task, 8)
    views = Views(batch.items, batch.memory["x"], batch.memory["y"], batch.memory["side"])
    rng = np.random.default_rng(0)
    for _ in range(4):
        angle = batch.target * (TURN // task.angles) + batch.memory["tilt"]
        drawn = task.source.pixels(views, 36, angle, fine=task.angles > 4)
        assert np.array_equal(batch.observation["image"], drawn)
        batch = task.advance(batch, rng.integers(0, 2, 8)).state


def test_turns_to_the_left_are_counter_clockwise():
    batch = sample(QUARTERS, 8)
    left, right = (after(QUARTERS, batch, [action]).observation["image"] for action in (LEFT, RIGHT))
    assert np.array_equal(left, np.rot90(batch.observation["image"], 1, axes=(1, 2)))
    assert np.array_equal(right, np.rot90(batch.observation["image"], -1, axes=(1, 2)))


def test_the_oracle_makes_pictures_upright_as_the_source_has_them():
    batch = sample(QUARTERS, 30)
    upright = QUARTERS.source.pixels(Views(batch.items, *(batch.memory[name] for name in ("x", "y", "side"))), 36)
    for _ in range(3):
        batch = QUARTERS.advance(batch, QUARTERS.oracle(batch)).state
    assert np.array_equal(batch.observation["image"], upright)


def test_rows_that_are_not_turned_keep_their_pictures_and_the_state_before_is_left_alone():
    batch = sample(EIGHTHS, 4)
    kept = batch.observation["image"].copy(), batch.target.copy(), batch.memory["steps"].copy()
    step = EIGHTHS.advance(batch, np.array([LEFT, STOP, -1, 3]))
    assert np.array_equal(step.state.observation["image"][1:], kept[0][1:])
    assert not np.array_equal(step.state.observation["image"][0], kept[0][0])
    assert step.terminated.tolist() == [False, True, False, False]
    assert step.state.memory["steps"].tolist() == [1, 1, 1, 1]
    for before, now in zip(kept, (batch.observation["image"], batch.target, batch.memory["steps"]), strict=True):
        assert np.array_equal(before, now)


def test_every_way_up_is_asked_about_equally_often():
    for task in (QUARTERS, EIGHTHS):
        counts = np.bincount(sample(task, 800).target, minlength=task.angles)
        assert stats.chisquare(counts).pvalue > 1e-4


# What is paid


def test_stopping_is_paid_where_the_picture_is_upright_and_turning_never_is():
    batch = sample(QUARTERS, 40)
    for action in (LEFT, RIGHT):
        step = QUARTERS.advance(batch, np.full(40, action))
        assert not step.score.reward.any()
        assert not step.terminated.any()
        assert not step.score.success.any()
    step = QUARTERS.advance(batch, np.full(40, STOP))
    assert np.array_equal(step.score.reward, (batch.target == 0).astype(np.float32))
    assert np.array_equal(step.score.success, batch.target == 0)
    assert step.terminated.all()


@pytest.mark.parametrize(
    ("angles", "paid"), [(4, [1, 0.5, 0, 0.5]), (8, [1, 0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75]), (3, [1, 1 / 3, 1 / 3])]
)
def test_with_partial_pay_nearer_is_better_by_hand(angles, paid):
    task = RotateUpright("photos", 36, angles=angles, max_steps=8, partial=True)
    batch = sample(task, 60)
    step = task.advance(batch, np.full(60, STOP))
    assert step.score.reward == pytest.approx(np.array(paid, np.float32)[batch.target])
    assert np.array_equal(step.score.success, batch.target == 0)
    assert task.chance == pytest.approx(np.mean(paid))


@pytest.mark.parametrize("partial", [False, True])
def test_chance_is_what_every_fixed_sequence_that_stops_earns_and_no_other_earns_more(partial):
    task = RotateUpright(**SMALL, partial=partial)
    one = sample(task, 1)
    batch = Batch.concatenate([one] * 4)
    batch.target[:] = np.arange(4)
    for sequence in itertools.product((LEFT, RIGHT, STOP), repeat=4):
        state, total, going = batch, np.zeros(4), np.ones(4, bool)
        for action in sequence:
            step = task.advance(state, np.full(4, action))
            total += np.where(going, step.score.reward, 0)
            going &= ~step.terminated
            state = step.state
        assert total.mean() == (task.chance if STOP in sequence else 0)
    assert task.chance == (0.5 if partial else 0.25)


@pytest.mark.parametrize("level", [level.name for level in RotateUpright.levels])
def test_the_oracle_takes_the_shorter_way_at_every_level(level):
    task = make_task(ID, level=level)
    batch = sample(task, 30)
    way = np.minimum(batch.target, task.angles - batch.target)
    total, steps, going = np.zeros(30), np.zeros(30, int), np.ones(30, bool)
    for _ in range(task.horizon):
        step = task.advance(batch, task.oracle(batch))
        total += np.where(going, step.score.reward, 0)
        steps += going
        going &= ~step.terminated
        batch = step.state
    assert (total == 1).all()
    assert np.array_equal(steps, way + 1)
    assert task.chance == pytest.approx(1 / task.angles)


def test_the_mask_leaves_stopping_alone_in_the_last_step():
    env = gym.make(ID, **SMALL)
    _, info = env.reset(seed=0)
    for _ in range(3):
        assert info["action_mask"].tolist() == [1, 1, 1]
        *_, info = env.step(LEFT)
    assert info["action_mask"].tolist() == [0, 0, 1]
    assert env.unwrapped.action_masks().tolist() == [False, False, True]
    assert env.step(RIGHT)[1:4] == (0, False, True)


# Words


@pytest.mark.parametrize(
    ("said", "strict", "lenient"),
    [
        ("<answer>turn left</answer>", LEFT, LEFT),
        ("<answer>Left</answer>", LEFT, LEFT),
        ("<answer>RIGHT</answer>", RIGHT, RIGHT),
        ("<answer>stop</answer>", STOP, STOP),
        ("<answer>counter-clockwise</answer>", None, LEFT),
        ("<answer>clockwise</answer>", None, RIGHT),
        ("It stands as it should: <answer>Stop.</answer>", None, STOP),
        ("<answer>**Turn right**</answer>", None, RIGHT),
        ("<answer>turn left and right</answer>", None, None),
        ("<answer>turn</answer>", None, None),
        ("<answer>turn left, then stop</answer>", None, None),
        ("<answer>not left</answer>", None, None),
    ],
)
def test_answers_are_read_in_either_grammar(said, strict, lenient):
    for grammar, expected in (("strict", strict), ("lenient", lenient)):
        read = QUARTERS.parse(said, grammar=grammar)
        assert (None if read is None else int(read)) == expected


@pytest.mark.parametrize(
    ("angles", "target", "reason", "truth"),
    [
        (4, 0, "What belongs on top is on top: the picture is upright.", "upright"),
        (4, 1, "What belongs on top is on the left. So the picture is to be turned to the right by 90 degrees: 1 step.", 90),
        (4, 3, "What belongs on top is on the right. So the picture is to be turned to the left by 90 degrees: 1 step.", 270),
        (
            8,
            3,
            "What belongs on top is at the bottom left. So the picture is to be turned to the right by 135 degrees: 3",
            135,
        ),
        (8, 4, "What belongs on top is at the bottom. So the picture is to be turned to the right by 180 degrees: 4", 180),
        (8, 7, "What belongs on top is at the top right. So the picture is to be turned to the left by 45 degrees: 1", 315),
    ],
)
def test_reasons_say_where_the_top_is_and_which_way_to_turn(angles, target, reason, truth):
    task = {4: QUARTERS, 8: EIGHTHS}[angles]
    batch = sample(task, 1)
    batch.target[0] = target
    assert task.rationale(batch)[0].startswith(reason)
    assert task.truths(batch) == [truth if truth == "upright" else f"turned by {truth} degrees"]
    said = task.format_all(task.oracle(batch), batch)[0]
    assert said == ("stop" if target == 0 else "turn right" if "to the right" in reason else "turn left")


# Environments


@pytest.mark.parametrize("way", ["array", "text"])
def test_vectors_equal_gymnasiums(way, same):
    arguments = {"source": "photos", "image_size": 36, "angles": 8, "max_steps": 6, "interface": way}
    more = {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}}
    ours, theirs = (gym.make_vec(ID, num_envs=3, **arguments, **extra) for extra in ({}, more))
    for first, second in zip(ours.reset(seed=3), theirs.reset(seed=3), strict=True):
        same(first, second, "reset")
    rng, task, ends = np.random.default_rng(0), ours.unwrapped.task, np.zeros(2, int)
    for step in range(16):
        actions = np.where([True, False, step % 3 > 0], task.oracle(ours.unwrapped.batch), rng.integers(0, 2, 3))
        chosen = actions if way == "array" else tuple(f"<answer>{task.format(action)}</answer>" for action in actions)
        results = ours.step(chosen)
        for k, (got, expected) in enumerate(zip(results, theirs.step(chosen), strict=True)):
            same(got, expected.astype(np.float32) if k == 1 else expected, f"step {step}, {k}")
        ends += results[2].sum(), results[3].sum()
    assert (ends > 0).all()
    theirs.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"angles": 7}, "angles must divide 360"),
        ({"angles": 1}, "at least 2, got 1"),
        ({"angles": 4, "max_steps": 2}, "at least 3, which can be needed to turn a picture upright by steps of 90 degrees"),
        ({"angles": 8, "max_steps": 8}, "the pixel lattice would betray the angle"),
    ],
)
def test_wrong_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        RotateUpright(**SMALL, **arguments)


def test_blank_sources_are_errors_at_construction():
    with pytest.raises(ValueError, match="blank or symmetric"):
        RotateUpright(np.zeros((40, 36, 36), np.uint8), 36)


# What several pictures of one episode tell together


def pink(count: int = 120, side: int = 128) -> ImageSource:
    """Pictures without an up or a down, whose details fall off as those of photographs do."""
    rng = np.random.default_rng(0)
    away = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])[..., None]
    away[0, 0] = 1
    drawn = np.fft.ifft2(np.fft.fft2(rng.standard_normal((count, side, side, 3)), axes=(1, 2)) / away, axes=(1, 2)).real
    drawn = 50 * (drawn - drawn.mean()) / drawn.std() + 128
    return ImageSource(list(np.clip(drawn, 0, 255).astype(np.uint8)), min_zoom=0.6)


PINK = RotateUpright(pink(), 48, angles=8, max_steps=8)
PAIRS = 500


def pairs(split: str, turn) -> tuple[np.ndarray, np.ndarray]:
    """What spectra say of pictures and of the same after a turn, one less the other, and how many steps they were turned."""
    batch = sample(PINK, PAIRS, split)
    spectra = [FEATURES["spectrum"](pictures) for pictures in (batch.observation["image"], turn(batch))]
    return spectra[0] - spectra[1], batch.target


def accuracy(differences: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> float:
    """How often a classifier that was trained on one split is right on another."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    return float(model.fit(differences["train"], labels["train"]).score(differences["test"], labels["test"]))


def which_was_first(turn) -> float:
    signs = {split: 1 - 2 * (np.arange(PAIRS) % 2) for split in ("train", "test")}
    return accuracy({split: pairs(split, turn)[0] * sign[:, None] for split, sign in signs.items()}, signs)


def honest(batch: Batch) -> np.ndarray:
    return PINK.advance(batch, np.full(len(batch), LEFT)).state.observation["image"]


def turned_again(batch: Batch) -> np.ndarray:
    """The pictures that are shown, turned as they are."""
    return rotate(batch.observation["image"], 45, axes=(2, 1), reshape=False, order=1, mode="nearest")


def test_comparing_steps_tells_neither_which_was_first_nor_how_the_pixels_of_the_source_lie():
    """Over what has no way up: of 500 answers 0.5 +- 4 standard errors are right; turning a turned picture gives it away."""
    most = 0.5 + 4 * 0.5 / PAIRS**0.5
    assert which_was_first(honest) < most
    assert which_was_first(turned_again) > 0.9
    found = {split: pairs(split, honest) for split in ("train", "test")}
    along = {split: target % 2 for split, (_, target) in found.items()}
    assert accuracy({split: differences for split, (differences, _) in found.items()}, along) < most
