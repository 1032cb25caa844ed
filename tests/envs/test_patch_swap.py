"""PatchSwap: progress, what swaps are paid, how episodes end, masks, and the vector environment over several steps."""

from __future__ import annotations

import itertools

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.images.patch_swap import PatchSwap, blind_progress, derangement
from ssl4rl_envs.images.tiles import cut, join
from ssl4rl_envs.sources import ImageSource

ID = "SSL4RL/PatchSwap-v0"
SMALL = {"source": "digits", "image_size": 36, "grid": 2, "max_steps": 4}


def whole(side: int = 36, count: int = 60) -> ImageSource:
    rng = np.random.default_rng(0)
    return ImageSource(list(rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)), min_zoom=1.0)


def sample(task: PatchSwap, count: int, seed: int = 0) -> Batch:
    return task.sample(Stream("train", np.full(count, seed), np.arange(count)))


def by_hand(task: PatchSwap, target: list[int]) -> Batch:
    """One instance whose tile `target[j]` belongs at place j."""
    count = task.tiling.count
    tiles = np.random.default_rng(5).integers(0, 256, (1, count, task.tiling.tile, task.tiling.tile, 3), dtype=np.uint8)
    memory = {"best": np.zeros(1, np.float32), "last": np.full(1, -1, np.int64)}
    return Batch({"image": join(tiles, task.tiling.grid)}, np.array([target]), np.array([0]), memory)


def play(task: PatchSwap, batch: Batch, *pairs: tuple[int, int]) -> tuple[list[float], Batch]:
    rewards = []
    for pair in pairs:
        number = task.pairs.tolist().index(list(pair))
        step = task.advance(batch, np.array([number]))
        rewards.append(float(step.score.reward[0]))
        batch = step.state
    return rewards, batch


# Instances


@pytest.mark.parametrize("grid", [2, 3])
def test_the_target_puts_the_picture_together_and_no_tile_is_in_its_place(grid):
    source = whole()
    batch = sample(PatchSwap(source, 36, grid=grid), 100)
    assert (batch.target != np.arange(grid**2)).all()
    tiles = cut(batch.observation["image"], grid)
    for row, order in enumerate(batch.target):
        assert np.array_equal(join(tiles[row, order][None], grid)[0], source.picture(batch.items[row]))


def test_derangements_are_uniform_over_all_nine():
    orders = derangement(Stream("train", np.zeros(9_000, np.uint64), np.arange(9_000)), 4)
    assert (orders != np.arange(4)).all()
    distinct, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(distinct) == 9
    assert (np.abs(counts - 1_000) < 5 * (9_000 / 9 * 8 / 9) ** 0.5).all()


# Progress and rewards by hand


def test_swaps_exchange_the_two_tiles_and_nothing_else():
    task = PatchSwap(whole(), 36, grid=2)
    batch = by_hand(task, [1, 0, 3, 2])
    _, after = play(task, batch, (1, 2))
    before, now = (cut(one.observation["image"], 2)[0] for one in (batch, after))
    assert np.array_equal(now, before[[0, 2, 1, 3]])
    assert after.target.tolist() == [[2, 0, 3, 1]]
    assert batch.target.tolist() == [[1, 0, 3, 2]]


def test_two_pairs_that_changed_places_are_put_right_for_half_each():
    task = PatchSwap(whole(), 36, grid=2)
    rewards, after = play(task, by_hand(task, [1, 0, 3, 2]), (0, 1), (2, 3))
    assert rewards == [0.5, 0.5]
    assert after.target.tolist() == [[0, 1, 2, 3]]


def test_a_circle_of_four_takes_three_swaps():
    task = PatchSwap(whole(), 36, grid=2)
    rewards, after = play(task, by_hand(task, [1, 2, 3, 0]), (0, 1), (1, 2), (2, 3))
    assert rewards == [0.25, 0.25, 0.5]
    assert after.target.tolist() == [[0, 1, 2, 3]]


def test_undoing_and_redoing_earns_nothing():
    task = PatchSwap(whole(), 36, grid=2)
    rewards, _ = play(task, by_hand(task, [1, 0, 3, 2]), (0, 1), (0, 1), (0, 1), (0, 2), (0, 2), (2, 3))
    assert rewards == [0.5, 0, 0, 0, 0, 0.5]


def test_a_worse_way_is_only_paid_for_what_beats_the_best_before():
    task = PatchSwap(whole(), 36, grid=2)
    rewards, _ = play(task, by_hand(task, [1, 0, 3, 2]), (0, 1), (0, 2), (1, 3), (1, 3), (0, 2), (2, 3))
    assert rewards[:5] == [0.5, 0, 0, 0, 0]
    assert rewards[5] == 0.5


def test_equal_tiles_count_as_one_another_and_swapping_them_is_masked():
    task = PatchSwap(whole(), 36, grid=2)
    batch = by_hand(task, [1, 0, 3, 2])
    tiles = cut(batch.observation["image"], 2)
    tiles[0, 3] = tiles[0, 2]
    batch = Batch({"image": join(tiles, 2)}, batch.target, batch.items, batch.memory)
    assert task.info(batch)["action_mask"].tolist() == [[1, 1, 1, 1, 1, 0]]
    step = task.advance(batch, np.array([0]))
    assert step.terminated.all()
    assert step.score.success.all()
    assert step.score.reward.tolist() == [1]


@pytest.mark.parametrize("action", [-1, 6, 100])
def test_actions_that_name_no_pair_change_nothing(action):
    task = PatchSwap(whole(), 36, grid=2)
    batch = sample(task, 5)
    step = task.advance(batch, np.full(5, action))
    assert np.array_equal(step.state.observation["image"], batch.observation["image"])
    assert np.array_equal(step.state.target, batch.target)
    assert (step.score.reward == 0).all()
    assert not step.terminated.any()
    assert np.array_equal(step.state.memory["last"], batch.memory["last"])


def test_advancing_does_not_change_the_state_it_is_given():
    task = PatchSwap(whole(), 36, grid=2)
    batch = sample(task, 5)
    kept = [batch.observation["image"].copy(), batch.target.copy(), *(value.copy() for value in batch.memory.values())]
    task.advance(batch, np.arange(5))
    now = [batch.observation["image"], batch.target, *batch.memory.values()]
    assert all(np.array_equal(a, b) for a, b in zip(kept, now, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 35), min_size=1, max_size=12), st.integers(0, 50))
def test_rewards_sum_to_the_best_progress_whatever_is_swapped(actions, seed):
    task = TASK_3X3
    batch, total, best = sample(task, 1, seed), 0.0, 0.0
    for action in actions:
        step = task.advance(batch, np.array([action]))
        batch, total = step.state, total + float(step.score.reward[0])
        best = max(best, float((batch.target == np.arange(9)).mean()))
        assert step.score.success[0] == (batch.target == np.arange(9)).all()
        assert 0 <= step.score.reward[0] <= 1
    assert total == pytest.approx(best, abs=1e-5)


TASK_3X3 = PatchSwap("digits", 36, grid=3)


@pytest.mark.parametrize("grid", [2, 3])
def test_the_oracle_earns_one_within_n_minus_one_swaps(grid):
    task = PatchSwap(whole(), 36, grid=grid)
    batch = sample(task, 200)
    total, ended = np.zeros(200), np.zeros(200, bool)
    for _ in range(grid**2 - 1):
        step = task.advance(batch, task.oracle(batch))
        total += np.where(ended, 0, step.score.reward)
        ended |= step.terminated
        batch = step.state
    assert ended.all()
    assert total == pytest.approx(np.ones(200), abs=1e-5)


@pytest.mark.parametrize("steps", [3, 4])
def test_chance_is_that_of_the_best_fixed_sequence_of_swaps(steps):
    """All sequences against all nine derangements."""
    orders = [order for order in itertools.permutations(range(4)) if all(a != b for a, b in enumerate(order))]
    pairs, best = list(itertools.combinations(range(4), 2)), 0.0
    for sequence in itertools.product(pairs, repeat=steps):
        reached = 0
        for order in orders:
            places, most = list(order), 0
            for i, j in sequence:
                places[i], places[j] = places[j], places[i]
                most = max(most, sum(place == k for k, place in enumerate(places)))
            reached += most
        best = max(best, reached / len(orders) / 4)
    assert blind_progress(4, steps) == pytest.approx(best)
    assert PatchSwap(whole(), 36, grid=2, max_steps=steps).chance == pytest.approx(best)


# Episodes


def test_gym_make_ends_with_success_when_the_picture_is_whole():
    env = gym.make(ID, **SMALL)
    for seed in range(5):
        env.reset(seed=seed)
        total, steps, terminated = 0.0, 0, False
        while not terminated:
            action = int(env.unwrapped.task.oracle(env.unwrapped.batch)[0])
            _, reward, terminated, truncated, info = env.step(action)
            total, steps = total + reward, steps + 1
            assert not truncated
            assert info["success"] == terminated
        assert total == pytest.approx(1)
        assert steps in (2, 3)
        assert info["target"].tolist() == [0, 1, 2, 3]


def test_gym_make_cuts_an_episode_off_after_max_steps():
    env = gym.make(ID, **SMALL)
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(4)]
    assert ends == [(False, False)] * 3 + [(False, True)]
    with pytest.raises(RuntimeError, match="reset"):
        env.step(0)


def test_the_last_step_may_still_make_the_picture_whole():
    env = gym.make(ID, **{**SMALL, "max_steps": 3})
    env.reset(seed=0)
    task = env.unwrapped.task
    while (task.oracle(env.unwrapped.batch) < 0).any() or env.unwrapped.batch.target[0].tolist() not in (
        [1, 2, 3, 0],
        [3, 0, 1, 2],
        [1, 3, 0, 2],
        [2, 0, 3, 1],
        [2, 3, 1, 0],
        [3, 2, 0, 1],
    ):
        env.reset()
    for _ in range(3):
        *_, terminated, truncated, info = env.step(int(task.oracle(env.unwrapped.batch)[0]))
    assert (terminated, truncated, info["success"]) == (True, False, True)


def test_the_mask_stands_in_info_and_forbids_only_the_swap_that_would_undo_the_last():
    env = gym.make(ID, **SMALL)
    _, info = env.reset(seed=0)
    assert info["action_mask"].dtype == np.int8
    assert info["action_mask"].tolist() == [1] * 6
    assert env.unwrapped.action_masks().tolist() == [True] * 6
    for action in (3, 5):
        *_, info = env.step(action)
        assert info["action_mask"].tolist() == [int(k != action) for k in range(6)]
        masks = env.unwrapped.action_masks()
        assert masks.dtype == bool
        assert masks.tolist() == [k != action for k in range(6)]
    _, info = env.reset()
    assert info["action_mask"].tolist() == [1] * 6


def test_the_mask_serves_gymnasiums_own_sampling():
    env = gym.make(ID, **SMALL)
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    for _ in range(3):
        action = env.action_space.sample(mask=info["action_mask"])
        assert env.unwrapped.action_masks()[action]
        *_, terminated, _, info = env.step(action)
        if terminated:
            _, info = env.reset()


def test_action_masks_of_tasks_without_one_are_an_error():
    env = gym.make("SSL4RL/Rotation-v0", source="digits", image_size=36)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="no action mask"):
        env.unwrapped.action_masks()


@pytest.mark.parametrize("way", ["array", "text"])
def test_gymnasiums_checker_passes(way):
    check_env(gym.make(ID, **SMALL, interface=way).unwrapped, skip_render_check=True)


# Text


@pytest.mark.parametrize("said", ["1, 4", "4, 1", "4 1", "[1,4]", "(4, 1)"])
def test_a_pair_reads_in_either_order(said):
    task = PatchSwap("digits", 36, grid=2)
    assert task.parse(f"<answer>{said}</answer>") == 2
    assert task.pairs[2].tolist() == [0, 3]


@pytest.mark.parametrize("said", ["1, 1", "1", "1, 2, 3", "0, 1", "1, 5", "1-4", "14", "", "1 and 4"])
def test_what_names_no_pair_does_not_read(said):
    assert PatchSwap("digits", 36, grid=2).parse(f"<answer>{said}</answer>") is None


@pytest.mark.parametrize("grid", [2, 3])
def test_every_pair_is_written_and_read_back(grid):
    task = PatchSwap("digits", 36, grid=grid)
    for action in range(int(task.action_space.n)):
        written = task.format(action)
        assert written == ", ".join(str(k + 1) for k in task.pairs[action])
        assert task.parse(f"<answer>{written}</answer>") == action


def test_unreadable_replies_use_up_a_step_and_change_nothing():
    env = gym.make(ID, **SMALL, interface="text")
    observation, _ = env.reset(seed=0)
    for step, reply in enumerate(["", "swap them", "<answer>1, 1</answer>", "<answer>1, 2"]):
        after, reward, terminated, truncated, info = env.step(reply)
        assert np.array_equal(after["image"], observation["image"])
        assert (reward, terminated, truncated) == (0, False, step == 3)
        assert (info["valid"], info["parsed"], info["success"]) == (False, "", False)


def test_a_reply_swaps_what_it_says():
    env = gym.make(ID, **SMALL, interface="text")
    before, _ = env.reset(seed=0)
    after, *_, info = env.step("<answer>3, 1</answer>")
    assert info["parsed"] == "1, 3"
    assert np.array_equal(cut(after["image"][None], 2)[0], cut(before["image"][None], 2)[0][[2, 1, 0, 3]])


def test_the_truth_is_the_order_in_words():
    task = PatchSwap(whole(), 36, grid=2)
    assert task.truths(by_hand(task, [1, 0, 3, 2])) == ["2, 1, 4, 3"]


# Vectors


def vectors(way: str, **more):
    ours = gym.make_vec(ID, num_envs=4, interface=way, **SMALL, **more)
    theirs = gym.make_vec(
        ID,
        num_envs=4,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        interface=way,
        **SMALL,
        **more,
    )
    return ours, theirs


@pytest.mark.parametrize("way", ["array", "text"])
def test_episodes_of_several_steps_equal_gymnasiums_vector_environment(way, same):
    """Some rows end early (solved), some late (cut off), some in the same step."""
    ours, theirs = vectors(way)
    for first, second in zip(ours.reset(seed=3), theirs.reset(seed=3), strict=True):
        same(first, second, "reset")
    rng = np.random.default_rng(0)
    task, ends = ours.unwrapped.task, np.zeros((2, 4), int)
    for step in range(24):
        right, other = task.oracle(ours.unwrapped.batch), rng.integers(0, 6, 4)
        actions = np.where([True, False, step % 5 > 0, step < 8], right, other)
        chosen = actions
        if way == "text":
            chosen = tuple("?" if rng.random() < 0.1 else f"<answer>{task.format(action)}</answer>" for action in actions)
        got, expected = ours.step(chosen), theirs.step(chosen)
        same(got[0], expected[0], "observation")
        assert np.array_equal(got[1], expected[1].astype(np.float32))
        for k in (2, 3, 4):
            same(got[k], expected[k], f"step {step}, {k}")
        ends += np.stack([got[2], got[3]])
    assert (ends.sum(axis=1) > 0).all()
    theirs.close()


def test_vectors_pay_the_oracle_one_an_episode():
    env = gym.make_vec(ID, num_envs=8, **SMALL)
    env.reset(seed=0)
    returns, finished = np.zeros(8), []
    for _ in range(12):
        _, reward, terminated, truncated, _ = env.step(env.unwrapped.task.oracle(env.unwrapped.batch))
        returns += reward
        assert not truncated.any()
        finished += returns[terminated].tolist()
        returns[terminated] = 0
    assert len(finished) > 20
    assert np.allclose(finished, 1)


# Errors and levels


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": 2, "max_steps": 2}, "at least 3, which can be needed for 4 tiles, got 2"),
        ({"grid": 3, "max_steps": 7}, "at least 8"),
        ({"grid": 5}, "35 or 40"),
        ({"source": "nowhere"}, "known are scenes"),
    ],
)
def test_wrong_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        PatchSwap(**{"source": "digits", "image_size": 36, **arguments})


def test_attempts_at_a_task_of_several_steps_are_an_error():
    with pytest.raises(ValueError, match="attempts are for tasks of one"):
        gym.make(ID, **SMALL, attempts=2)


def test_blank_sources_are_errors_at_construction():
    with pytest.raises(ValueError, match="look alike"):
        PatchSwap(np.zeros((40, 36, 36), np.uint8), 36)


@pytest.mark.parametrize("level", [level.name for level in PatchSwap.levels])
def test_every_level_is_solved_by_the_oracle(level):
    task = make_task(ID, level=level)
    batch = sample(task, 20)
    total, ended = np.zeros(20), np.zeros(20, bool)
    for _ in range(task.horizon):
        step = task.advance(batch, task.oracle(batch))
        total += np.where(ended, 0, step.score.reward)
        ended, batch = ended | step.terminated, step.state
    assert ended.all()
    assert np.allclose(total, 1)
    assert 0 < task.chance < 1


def test_unknown_levels_and_arguments_are_errors_that_name_the_known():
    known = ", ".join(level.name for level in PatchSwap.levels)
    with pytest.raises(ValueError, match=f"no level 'hard'; its levels are {known}"):
        make_task(ID, level="hard")
    with pytest.raises(
        TypeError, match=r"argument 'steps'; did you mean 'max_steps'\? It takes source, image_size, grid, max_steps"
    ):
        make_task(ID, steps=3)
