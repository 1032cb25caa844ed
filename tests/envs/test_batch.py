"""Batches joined and taken apart."""

from __future__ import annotations

import numpy as np
import pytest

from ssl4rl_envs import Batch, Stream, make_task


def batch(start: int, count: int) -> Batch:
    rows = np.arange(start, start + count)
    return Batch({"image": rows[:, None] * np.ones(3, int), "word": rows * 10}, rows * 2, rows * 3, {"tried": rows * 4})


def test_concatenating_puts_the_rows_one_after_the_other():
    joined = Batch.concatenate([batch(0, 2), batch(2, 1), batch(3, 0), batch(3, 4)])
    whole = batch(0, 7)
    assert len(joined) == 7
    np.testing.assert_array_equal(joined.observation["image"], whole.observation["image"])
    np.testing.assert_array_equal(joined.observation["word"], whole.observation["word"])
    np.testing.assert_array_equal(joined.target, whole.target)
    np.testing.assert_array_equal(joined.items, whole.items)
    np.testing.assert_array_equal(joined.memory["tried"], whole.memory["tried"])


def test_concatenating_the_questions_of_a_task_in_parts_gives_them_as_asked_at_once():
    task = make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)

    def questions(start: int, stop: int) -> Batch:
        return task.sample(Stream("train", np.zeros(stop - start, np.uint64), np.arange(start, stop)))

    joined, whole = Batch.concatenate([questions(0, 3), questions(3, 8)]), questions(0, 8)
    np.testing.assert_array_equal(joined.target, whole.target)
    for name, values in whole.observation.items():
        np.testing.assert_array_equal(joined.observation[name], values)
        assert joined.observation[name].dtype == values.dtype


def test_what_does_not_belong_together_is_not_concatenated():
    other = Batch({"image": np.zeros((1, 3))}, np.zeros(1), np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="hold the same arrays"):
        Batch.concatenate([batch(0, 1), other])
    with pytest.raises(ValueError, match="at least one"):
        Batch.concatenate([])
