"""PatchSwap with stop: who says when the picture is whole is paid for what is in its place by then, and for nothing else."""

from __future__ import annotations

import itertools
import re

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from ssl4rl_envs import Stream, make_task, tool_schema
from ssl4rl_envs.images.patch_swap import PatchSwap
from ssl4rl_envs.images.tiles import cut, join
from ssl4rl_envs.task import Batch

ID = "SSL4RL/PatchSwap-v0"
STOP = {"source": "digits", "image_size": 36, "grid": 2, "max_steps": 4, "stop": True}
TASK = PatchSwap(**STOP)


def by_hand(target: list[int], task: PatchSwap = TASK) -> Batch:
    """One instance whose tile `target[j]` belongs at place j."""
    tiles = np.random.default_rng(5).integers(0, 256, (1, len(target), 18, 18, 3), dtype=np.uint8)
    memory = {"steps": np.zeros(1, np.int64), "last": np.full(1, -1, np.int64)}
    return Batch({"image": join(tiles, task.tiling.grid)}, np.array([target]), np.array([0]), memory)


def play(batch: Batch, *said: str) -> list[tuple[float, bool, bool]]:
    """What each decision earned, whether it succeeded, and whether it ended the episode."""
    results = []
    for words in said:
        step = TASK.advance(batch, np.array([int(TASK.read(words))]))
        results.append((float(step.score.reward[0]), bool(step.score.success[0]), bool(step.terminated[0])))
        batch = step.state
    return results


def test_swaps_earn_nothing_and_a_whole_picture_does_not_end_by_itself():
    nothing = (0.0, False, False)
    assert play(by_hand([1, 0, 3, 2]), "1, 2", "3, 4", "stop") == [nothing, nothing, (1.0, True, True)]
    assert play(by_hand([1, 0, 3, 2]), "1, 2", "3, 4", "1, 2") == [nothing] * 3


def test_stopping_is_paid_the_share_of_tiles_in_their_place_at_that_moment():
    assert play(by_hand([1, 0, 3, 2]), "stop") == [(0.0, False, True)]
    assert play(by_hand([1, 0, 3, 2]), "1, 2", "stop")[-1] == (0.5, False, True)
    assert play(by_hand([1, 0, 3, 2]), "1, 2", "1, 2", "stop")[-1] == (0.0, False, True)
    assert play(by_hand([1, 2, 3, 0]), "1, 2", "stop")[-1] == (0.25, False, True)


def test_chance_is_that_of_the_best_fixed_sequence_of_swaps_before_stopping():
    """All sequences of up to three swaps, which is all that fit, against all nine derangements."""
    orders = [order for order in itertools.permutations(range(4)) if all(a != b for a, b in enumerate(order))]
    earned = []
    for length in range(4):
        for sequence in itertools.product(itertools.combinations(range(4), 2), repeat=length):
            shares = []
            for order in orders:
                places = list(order)
                for i, j in sequence:
                    places[i], places[j] = places[j], places[i]
                shares.append(np.mean([place == k for k, place in enumerate(places)]))
            earned.append(np.mean(shares))
    assert max(earned) == pytest.approx(1 / 3)
    assert TASK.chance == pytest.approx(1 / 3)
    assert PatchSwap("digits", 36, grid=3, stop=True).chance == pytest.approx(1 / 8)


def test_the_oracle_stops_when_the_picture_is_whole_and_earns_one_in_any_row():
    batch = TASK.sample(Stream.span("test", 0, 0, 60))
    total, ended = np.zeros(60), np.zeros(60, bool)
    for _ in range(TASK.horizon):
        step = TASK.advance(batch, TASK.oracle(batch))
        total += np.where(ended, 0, step.score.reward)
        ended, batch = ended | step.terminated, step.state
    assert ended.all()
    assert (total == 1).all()


def test_the_mask_leaves_stopping_alone_in_the_last_step():
    env = gym.make(ID, **STOP)
    _, info = env.reset(seed=0)
    for swap in (0, 1, 2):
        assert info["action_mask"][-1] == 1
        assert info["action_mask"][:-1].sum() >= 5
        *_, info = env.step(swap)
    assert info["action_mask"].tolist() == [0] * 6 + [1]
    *_, reward, terminated, truncated, _ = env.step(0)
    assert (reward, terminated, truncated) == (0, False, True)


def test_what_is_no_action_uses_up_a_step():
    batch = by_hand([1, 0, 3, 2])
    for action in (-1, 7):
        step = TASK.advance(batch, np.array([action]))
        assert step.state.memory["steps"].tolist() == [1]
        assert np.array_equal(step.state.observation["image"], batch.observation["image"])
        assert not step.terminated.any()


@pytest.mark.parametrize(
    ("said", "strict", "lenient"),
    [
        ("<answer>stop</answer>", 6, 6),
        ("<answer> Stop </answer>", 6, 6),
        ("The picture is whole. <answer>**stop**</answer>", None, 6),
        ("<answer>Done.</answer>", None, 6),
        ("<answer>1, 4</answer>", 2, 2),
        ("<answer>tiles 1 and 4</answer>", None, 2),
        ("<answer>1, 4, stop</answer>", None, None),
        ("<answer>stop</answer><answer>1, 4</answer>", None, None),
        ("<answer>do not stop</answer>", None, None),
    ],
)
def test_stop_is_a_word_beside_the_pairs(said, strict, lenient):
    for grammar, expected in (("strict", strict), ("lenient", lenient)):
        read = TASK.parse(said, grammar=grammar)
        assert (None if read is None else int(read)) == expected
    assert TASK.format(6) == "stop"
    assert {"type": "string", "enum": ["stop"]} in tool_schema(TASK)["function"]["parameters"]["properties"]["answer"][
        "anyOf"
    ]


def test_without_stop_nothing_is_new():
    plain = {**STOP, "stop": False}
    task = PatchSwap(**plain)
    del plain["stop"]
    assert task.stream_key == PatchSwap(**plain).stream_key != TASK.stream_key
    assert task.parse("<answer>stop</answer>") is None
    assert "stop" not in task.question(task.sample(Stream.span("train", 0, 0, 1)))[0]
    assert 'say "stop"' in TASK.question(by_hand([1, 0, 3, 2]))[0]


def test_too_few_steps_to_stop_are_an_error():
    with pytest.raises(ValueError, match="at least 4, which can be needed for 4 tiles and to stop, got 3"):
        PatchSwap(**{**STOP, "max_steps": 3})


@pytest.mark.parametrize("way", ["array", "text"])
def test_vectors_equal_gymnasiums(way, same):
    more = {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}}
    ours, theirs = (gym.make_vec(ID, num_envs=3, interface=way, **STOP, **extra) for extra in ({}, more))
    for first, second in zip(ours.reset(seed=3), theirs.reset(seed=3), strict=True):
        same(first, second, "reset")
    rng = np.random.default_rng(0)
    for step in range(12):
        actions = np.where([True, False, step % 3 > 0], TASK.oracle(ours.unwrapped.batch), rng.integers(0, 7, 3))
        chosen = actions if way == "array" else tuple(f"<answer>{TASK.format(action)}</answer>" for action in actions)
        for k, (got, expected) in enumerate(zip(ours.step(chosen), theirs.step(chosen), strict=True)):
            same(got, expected.astype(np.float32) if k == 1 else expected, f"step {step}, {k}")
    theirs.close()


# Reasons


FITS = r"(, whose (?P<edge>\w+) edge it fits better than any other tile)?"


@pytest.mark.parametrize(("name", "arguments"), [("3x3", {"grid": 3}), ("gap", {"grid": 2, "max_steps": 4, "gap": 0.5})])
def test_what_is_said_of_tiles_is_true_and_said_wherever_it_is(name, arguments):
    """Held against the whole picture and against edges measured one by one."""
    del name
    task = make_task(ID, source="photos", image_size=60, **arguments)
    grid, batch, fitting = task.tiling.grid, task.sample(Stream.span("train", 0, 0, 40)), 0
    for _ in range(2):
        for row, reason in enumerate(task.rationale(batch)):
            tiles = cut(batch.observation["image"][row][None], grid)[0].astype(int)
            target = batch.target[row].tolist()
            tile, place = (int(number) - 1 for number in re.search(r"Tile (\d) belongs at place (\d)", reason).groups())
            assert target[place] == tile != place
            assert reason.startswith(f"In their place: {sum(np.array(target) == np.arange(grid**2))} of {grid**2} tiles.")
            assert reason.endswith(f"So tiles {place + 1} and {tile + 1} change places.")
            found = list(re.finditer(rf"(?P<how>left of|right of|above|below) tile (?P<other>\d){FITS}", reason))
            assert 1 <= len(found) <= 2
            for match in found:
                how, other = match["how"], int(match["other"]) - 1
                away = {"left of": 1, "right of": -1, "above": grid, "below": -grid}[how]
                assert target[place + away] == other
                edges = {
                    "left of": lambda one, two: (two[:, -1], one[:, 0]),
                    "right of": lambda one, two: (one[:, -1], two[:, 0]),
                    "above": lambda one, two: (two[-1], one[0]),
                    "below": lambda one, two: (one[-1], two[0]),
                }[how]
                apart = {k: np.abs(np.subtract(*edges(tiles[other], tiles[k]))).sum() for k in range(grid**2) if k != other}
                best = all(apart[tile] < value for k, value in apart.items() if k != tile)
                assert (match["edge"] is not None) == best
                fitting += best
        batch = task.advance(batch, task.demonstrate(batch)).state
    assert fitting > 20
