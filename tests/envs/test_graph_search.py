"""Graph search: what is told is how far it is, and whoever plans finds the hidden node in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_agents.rules.graph_rules import still_possible
from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.graphs.graph_search import ASKED, CANDIDATE, UNASKED, GraphSearch
from ssl4rl_envs.graphs.resolving import best_question, consistent, solvable

PATH = np.abs(np.arange(4)[:, None] - np.arange(4))
STAR = 2 * (1 - np.eye(4, dtype=np.int64))
"""Distances between the nodes of a path, and between the leaves of a star."""


def task_of(**arguments) -> GraphSearch:
    return make_task("GraphSearch", **{"source": "karate", **arguments})


def drawn(task: GraphSearch, count: int = 200, split: str = "test") -> Batch:
    return task.sample(Stream.span(split, 0, 0, count))


def play(task: GraphSearch, batch: Batch, choose) -> np.ndarray:
    earned, rows = np.zeros(len(batch)), np.arange(len(batch))
    for turn in range(task.horizon):
        step = task.advance(batch, choose(batch, turn))
        earned[rows] += step.score.reward
        rows, batch = rows[~step.terminated], step.state.rows(~step.terminated)
    assert not len(rows), "the last step ends it"
    return earned


def sure(apart: np.ndarray, left: list[int], questions: int) -> bool:
    """Whether somebody can name any of those that are left, tried by every plan that there is."""
    if len(left) <= 1 or questions == 1:
        return len(left) <= 1
    for asked in range(len(apart)):
        classes: dict[int, list[int]] = {}
        for one in set(left) - {asked}:
            classes.setdefault(int(apart[asked, one]), []).append(one)
        if all(sure(apart, alike, questions - 1) for alike in classes.values()):
            return True
    return False


# What can be found out


def test_a_path_is_told_apart_by_its_end_and_leaves_of_a_star_by_nothing():
    assert solvable(np.stack([PATH, STAR]), 2).tolist() == [True, False]
    assert consistent(PATH, [-1, 1, -1, -1]) == [0, 2]
    assert consistent(PATH, [3, -1, -1, -1]) == [3]
    assert best_question(PATH, [-1] * 4, 2) == 0
    assert best_question(PATH, [2, -1, -1, -1], 1) == 2
    assert best_question(STAR, [2, -1, -1, -1], 2) == 1


@given(st.integers(3, 6), st.integers(2, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_what_is_solvable_is_what_some_plan_solves(count, questions, seed):
    rng = np.random.default_rng(seed)
    apart = rng.integers(1, 4, (count, count))
    apart = np.triu(apart, 1) + np.triu(apart, 1).T
    assert solvable(apart[None], questions).tolist() == [sure(apart, list(range(count)), questions)]


# Searches


@pytest.mark.parametrize("level", [level.name for level in GraphSearch.levels])
@pytest.mark.parametrize("source", ["karate", "sbm"])
def test_the_teacher_finds_every_node_in_time_without_knowing_it(level, source):
    task = make_task("GraphSearch", level=level, source=source, features="id")
    batch = drawn(task, 150)
    assert play(task, batch, lambda state, _: task.demonstrate(state)).min() == 1
    assert play(task, batch, lambda state, _: task.oracle(state)).min() == 1
    first = task.demonstrate(batch)
    other = Batch(batch.observation, (batch.target + 1) % task.candidates, batch.items, batch.memory)
    assert np.array_equal(task.demonstrate(other), first), "it does not look at the target"


def test_what_is_told_is_the_distance_in_what_is_shown():
    task = task_of(source="cora", candidates=6)
    batch = drawn(task, 100)
    actions = np.arange(100) % 6
    after = task.advance(batch, actions).state
    near = np.zeros((100, *2 * batch.observation["node_mask"].shape[1:]))
    for row in range(100):
        a, b = batch.observation["edge_index"][row][:, batch.observation["edge_mask"][row] == 1]
        near[row, a, b] = 1
        asked, hidden = batch.observation["target"][row][[1 + actions[row], 1 + batch.target[row]]]
        reached, steps = {int(asked)}, 0
        while hidden not in reached:
            reached |= {int(node) for one in reached for node in np.flatnonzero(near[row, one])}
            steps += 1
        assert after.observation["told"][row, actions[row]] == steps
        assert after.observation["mark"][row, asked] == ASKED + steps
        assert after.observation["target"][row, 0] == asked
        assert (after.observation["mark"][row] == CANDIDATE).sum() == 5
    assert (after.observation["told"] == UNASKED).sum() == 500
    assert np.array_equal(task.info(after)["action_mask"], after.observation["told"] == UNASKED)


def test_who_does_not_look_earns_chance():
    task = task_of(source="cora", features="id")
    batch = drawn(task, 4_000, "train")
    for order in ((0, 1, 2), (5, 3, 0)):
        earned = play(task, batch, lambda state, turn, order=order: np.full(len(state), order[turn])).mean()
        assert earned == pytest.approx(task.chance, abs=4 * np.sqrt(0.25 / 4_000))
    assert task.chance == 0.5


def test_a_rule_that_goes_by_what_was_told_comes_close():
    task = task_of(source="cora")
    earned = play(task, drawn(task, 300), lambda state, _: still_possible(task, state.observation)).mean()
    assert 0.85 < earned < 1


def test_no_answer_tells_nothing_and_takes_a_step():
    task = task_of()
    batch = drawn(task, 20)
    before = batch.copy()
    step = task.advance(batch, np.full(20, -1))
    assert not step.score.reward.any()
    assert (step.state.observation["told"] == UNASKED).all()
    assert (step.state.observation["steps_left"] == task.horizon - 1).all()
    for kind in ("observation", "memory"):
        for name, values in getattr(before, kind).items():
            assert np.array_equal(values, getattr(batch, kind)[name]), name


def test_words_say_what_was_told():
    task = task_of()
    batch = drawn(task, 40)
    after = task.advance(batch, np.zeros(40, np.int64)).state
    for row, said in enumerate(task.caption(after)):
        far = int(after.observation["told"][row, 0])
        assert ("A is the one" if far == 0 else f"A is {far} edge") in said
        assert ("The search is over." if far == 0 else "You may name 2 more. Which one?") in said
    assert all("Possible are A, B, C, D, E, F." in reason for reason in task.rationale(batch))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": 2}, "candidates must be 3 to 26, got 2"),
        ({"max_steps": 1}, "max_steps must be at least 2"),
        ({"max_steps": 6}, "fewer than the 6 candidates"),
    ],
)
def test_wrong_arguments_say_what_would_be_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        task_of(**arguments)


def test_who_has_found_it_or_has_no_question_left_is_asked_nothing_more():
    task = task_of(candidates=4, max_steps=2)
    first = drawn(task, 20)
    assert all(said.endswith("You may name 2 more. Which one?") for said in task.caption(first))
    found = task.advance(first, first.target).state
    assert all(said.endswith("is the one. The search is over.") for said in task.caption(found))
    missed = task.advance(first, (first.target + 1) % 4).state
    assert all(said.endswith("You may name 1 more. Which one?") for said in task.caption(missed))
    assert all(
        said.endswith("The search is over.") for said in task.caption(task.advance(missed, (first.target + 2) % 4).state)
    )
