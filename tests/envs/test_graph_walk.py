"""Graph walk: what is seen is what was walked to, and a walk earns the share of the way that is behind it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.graphs.graph_walk import GOAL, HERE, VISITED, GraphWalk
from ssl4rl_envs.graphs.unfolding import NONE, neighbour_table, thin, unfold, wandering

PATH = [(0, 1), (1, 2), (2, 3)]
CYCLE = [(0, 1), (1, 2), (2, 3), (3, 0)]
STAR = [(0, 1), (0, 2), (0, 3), (0, 4)]


def task_of(**arguments) -> GraphWalk:
    return make_task("GraphWalk", **{"source": "karate", "fanouts": (3, 2, 2), "distance": 2, "max_steps": 4, **arguments})


def both_ways(edges) -> np.ndarray:
    pairs = np.array(edges).T
    return np.concatenate([pairs, pairs[::-1]], axis=1)[None]


def far_from(edges, goal: int, count: int) -> np.ndarray:
    far = np.full(count, count)
    far[goal] = 0
    for _ in range(count):
        for a, b in edges:
            far[a], far[b] = min(far[a], far[b] + 1), min(far[b], far[a] + 1)
    return far


def by_hand(task: GraphWalk, edges, start: int, goal: int) -> Batch:
    """A walk in a world of our own, whose neighbours are offered in the order of the edges."""
    ends, count = both_ways(edges), int(np.max(edges)) + 1
    exists = np.ones((1, ends.shape[2]), bool)
    table = neighbour_table(ends, exists, count, task.slots)
    deal = np.broadcast_to(np.arange(task.slots), (1, task.horizon + 1, task.slots)).copy()
    world = np.arange(count)[None], ends, exists
    return task.begin(*world, table, far_from(edges, goal, count)[None], deal, np.array([start]), np.array([goal]))


def play(task: GraphWalk, batch: Batch, choose) -> tuple[np.ndarray, np.ndarray, list[Batch]]:
    earned, success, states = np.zeros(len(batch)), np.zeros(len(batch), bool), [batch]
    rows = np.arange(len(batch))
    for turn in itertools.count():
        step = task.advance(batch, choose(batch, turn))
        earned[rows] += step.score.reward
        success[rows] |= step.score.success
        rows, batch = rows[~step.terminated], step.state.rows(~step.terminated)
        states.append(step.state)
        if not len(rows):
            return earned, success, states


def drawn(task: GraphWalk, count: int = 200, split: str = "train") -> Batch:
    return task.sample(Stream.span(split, 0, 0, count))


# Worlds


def test_random_walks_earn_what_is_found_by_hand():
    """From the middle of a path, half round a cycle, and from leaf to leaf of a star."""
    expected = [
        (PATH, 2, 0, [0.25, 0.375, 0.5]),
        (CYCLE, 2, 0, [0.5, 0.75, 0.75, 0.875]),
        (STAR, 1, 2, [0.5, 0.625, 0.625, 0.71875]),
    ]
    for edges, start, goal, shares in expected:
        count = int(np.max(edges)) + 1
        ends = both_ways(edges)
        table = neighbour_table(ends, np.ones((1, ends.shape[2]), bool), count, 4)
        for steps, share in enumerate(shares, 1):
            found = wandering(table, far_from(edges, goal, count)[None], np.array([start]), steps)
            assert found == pytest.approx([share])
            assert found == pytest.approx([brute(edges, start, goal, steps)])


def brute(edges, start: int, goal: int, steps: int) -> float:
    """The mean of all walks, each as likely as its choices."""
    count = int(np.max(edges)) + 1
    near = [[b if a == node else a for a, b in edges if node in (a, b)] for node in range(count)]
    far = far_from(edges, goal, count)

    def best(node: int, nearest: int, left: int) -> float:
        nearest = min(nearest, far[node])
        if not left or node == goal:
            return 1 - nearest / far[start]
        return float(np.mean([best(to, nearest, left - 1) for to in near[node]]))

    return best(start, far[start], steps)


@given(st.integers(2, 9), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_thinned_worlds_have_few_edges_a_node_in_both_directions(nodes, width, seed):
    rng = np.random.default_rng(seed)
    pairs = [(a, b) for a in range(nodes) for b in range(a) if rng.random() < 0.6] or [(1, 0)]
    ends = both_ways(pairs)[:, :, rng.permutation(2 * len(pairs))]
    there = np.ones((1, ends.shape[2]), bool)
    kept = thin(ends, there, nodes, width)
    left = {tuple(pair) for pair in ends[0][:, kept[0]].T.tolist()}
    assert {(b, a) for a, b in left} == left
    assert np.bincount(ends[0, 0][kept[0]], minlength=nodes).max() <= width
    assert np.array_equal(thin(ends, there, nodes, nodes), there), "where there is room nothing is left out"
    table = neighbour_table(ends, kept, nodes, width)[0]
    for node in range(nodes):
        assert sorted(table[node][table[node] != NONE].tolist()) == sorted(b for a, b in left if a == node)
        assert (table[node] != NONE).argmin() in (0, (table[node] != NONE).sum()), "none stand behind the others"


def test_what_has_been_found_is_shown_in_the_order_in_which_it_was_found():
    ends = both_ways(PATH)
    found, known = np.array([[0, NONE, 1, 0]]), np.array([[False, False, False, True]])
    hood, shown_as = unfold(np.array([[10, 11, 12, 13]]), ends, np.ones((1, 6), bool), found, known)
    assert hood.nodes.tolist() == [[10, 13, 12, -1]]
    assert shown_as[0, [0, 3, 2]].tolist() == [0, 1, 2]
    assert hood.edge_index[0][:, hood.edge_mask[0]].T.tolist() == [[2, 1], [1, 2]], "the edge of the node that is known"


# Walks


def test_a_walk_along_a_path_is_paid_for_the_best_so_far():
    task = task_of()
    batch = by_hand(task, PATH, 2, 0)
    assert task.info(batch)["action_mask"].tolist() == [[1, 1, 0, 0, 0]]
    rewards, masks = [], []
    for node in (3, 2, 1, 0):  # first the wrong way
        step = task.advance(batch, np.array([letter_of(batch, node)]))
        rewards.append(float(step.score.reward[0]))
        masks.append(int(task.info(step.state)["action_mask"].sum()))
        batch = step.state
        assert bool(step.terminated[0]) == (node == 0)
    assert rewards == [0, 0, 0.5, 0.5]
    assert masks == [1, 2, 2, 1]
    assert step.score.success.tolist() == [True]


def letter_of(batch: Batch, node: int) -> int:
    """The letter that leads to a node of the world, whose numbers are those of the source here."""
    named = batch.observation["node_id"][0] if "node_id" in batch.observation else None
    assert named is not None
    return named[batch.observation["target"][0, 1:]].tolist().index(node)


@pytest.mark.parametrize(("edges", "start", "goal"), [(CYCLE, 2, 0), (STAR, 1, 4)])
def test_cycles_and_stars_show_what_is_round_the_walk(edges, start, goal):
    task = task_of()
    batch = by_hand(task, edges, start, goal)
    near = {b if a == start else a for a, b in edges if start in (a, b)}
    shown = set(batch.observation["node_id"][0].tolist()) - {-1}
    assert shown == {start, goal} | near
    assert batch.observation["edge_mask"].sum() == 2 * len(near)
    _, success, states = play(task, batch, lambda state, _: task.oracle(state))
    assert success.all()
    assert len(states) == 3, "two steps"


def test_who_names_no_neighbour_stays_and_loses_a_step():
    task = task_of()
    batch = by_hand(task, PATH, 2, 0)
    for action in (4, 7, -1):
        step = task.advance(batch, np.array([action]))
        assert step.score.reward.tolist() == [0]
        assert step.state.observation["steps_left"].tolist() == [[3]]
        assert np.array_equal(step.state.observation["mark"], batch.observation["mark"])
    earned, success, states = play(task, batch, lambda state, _: np.full(len(state), 4))
    assert (earned[0], success[0], len(states)) == (0, False, 5), "the last step ends it"


@given(st.permutations(range(5)), st.lists(st.integers(0, 4), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_how_the_nodes_of_a_world_are_numbered_changes_no_walk(order, route):
    """The same nodes named one after another earn the same, whatever their numbers are."""
    task = task_of()
    edges = [*STAR, (3, 4)]
    other = [(order[a], order[b]) for a, b in edges]

    def earned(edges, start, goal, route):
        batch, total = by_hand(task, edges, start, goal), 0.0
        for node in route:
            offered = batch.observation["node_id"][0][batch.observation["target"][0, 1:]].tolist()
            step = task.advance(batch, np.array([offered.index(node) if node in offered else 4]))
            total, batch = total + float(step.score.reward[0]), step.state
            if step.terminated[0]:
                break
        return total

    assert earned(edges, 1, 4, route) == earned(other, order[1], order[4], [order[node] for node in route])


@pytest.mark.parametrize("arguments", [{}, {"around": True}, {"source": "cora", "features": "id"}])
@pytest.mark.parametrize("split", ["train", "test"])
def test_rewards_sum_to_the_best_progress(arguments, split):
    task = task_of(**arguments)
    batch = drawn(task, 150, split)
    nearest = np.full(len(batch), task.distance)

    def choose(state: Batch, turn: int) -> np.ndarray:
        return Stream.span("train", turn, 0, len(state)).integers(0, task.slots)

    rows, state, earned, success = np.arange(len(batch)), batch, np.zeros(len(batch)), np.zeros(len(batch), bool)
    for turn in range(task.horizon):
        step = task.advance(state, choose(state, turn))
        held = step.state.memory
        nearest[rows] = np.minimum(nearest[rows], held["distance"][np.arange(len(rows)), held["place"]])
        earned[rows] += step.score.reward
        success[rows] |= step.score.success
        rows, state = rows[~step.terminated], step.state.rows(~step.terminated)
    assert not len(rows), "the last step ends all walks"
    assert earned == pytest.approx(1 - nearest / task.distance, abs=1e-6)
    assert np.array_equal(success, nearest == 0)


@pytest.mark.parametrize("level", [level.name for level in GraphWalk.levels])
def test_the_oracle_walks_the_shortest_way_at_every_level(level):
    task = make_task("GraphWalk", level=level)
    batch = task.compact(Stream.span("validation", 0, 0, 100))
    earned, success, states = play(task, batch, lambda state, _: task.oracle(state))
    assert earned == pytest.approx(np.ones(100))
    assert success.all()
    assert len(states) == 1 + task.distance
    assert all("lies on a shortest way" in reason or "is the goal" in reason for reason in task.rationale(states[0]))


def test_only_edges_of_visited_nodes_are_shown_and_numbers_stay():
    task = task_of(source="cora", features="id")
    train = {tuple(pair) for pair in task.source.edges_of("train").tolist()}
    known: dict[int, list[int]] = {}
    batch = drawn(task, 60)
    for _ in range(task.horizon):
        for row in range(len(batch)):
            shown = {name: values[row] for name, values in batch.observation.items()}
            named, count = shown["node_id"].tolist(), int(shown["node_mask"].sum())
            assert named[: len(known.get(row, []))] == known.get(row, []), "numbers that were given stay"
            known[row] = named[:count]
            pairs = shown["edge_index"][:, shown["edge_mask"] == 1].T.tolist()
            assert {(min(named[a], named[b]), max(named[a], named[b])) for a, b in pairs} <= train
            been = {node for node, mark in enumerate(shown["mark"]) if mark in (VISITED, HERE)}
            assert all(a in been or b in been for a, b in pairs)
            here = int((shown["mark"] == HERE).argmax())
            offered = int(task.info(batch)["action_mask"][row].sum())
            assert sorted(shown["target"][1 : 1 + offered].tolist()) == sorted(b for a, b in pairs if a == here)
            assert (shown["target"][1 + offered :] == here).all()
            assert shown["mark"][shown["target"][0]] == GOAL
        away = np.where(batch.memory["distance"] > 0, 1, 0)  # walks that do not arrive
        letters = [
            next((k for k, to in enumerate(task._offered(batch.memory)[row]) if to != NONE and away[row, to]), task.slots - 1)
            for row in range(len(batch))
        ]
        batch = task.advance(batch, np.array(letters)).state


def test_a_step_changes_nothing_of_the_state_that_it_is_taken_from():
    task = task_of()
    batch = drawn(task, 50)
    before = batch.copy()
    for _ in range(2):
        after = task.advance(batch, np.zeros(50, np.int64)).state
        for kind in ("observation", "memory"):
            for name, values in getattr(before, kind).items():
                assert np.array_equal(values, getattr(batch, kind)[name]), name
    again = task.advance(before, np.zeros(50, np.int64)).state
    assert all(np.array_equal(values, again.observation[name]) for name, values in after.observation.items())


def test_compact_walks_are_the_same_walks():
    task = task_of(source="cora")
    stream = Stream.span("test", 0, 0, 30)
    compact, whole = task.compact(stream), task.sample(stream)
    for _ in range(3):
        for name, values in task.complete(compact).observation.items():
            assert np.array_equal(values, whole.observation[name]), name
        compact, whole = (task.advance(state, np.zeros(30, np.int64)).state for state in (compact, whole))
        assert "node_id" in compact.observation
        assert "node_id" not in whole.observation


# Chance


@pytest.mark.parametrize("source", ["cora", "les_miserables"])
def test_the_same_letters_in_every_walk_earn_chance_at_most(source):
    task = task_of(source=source, features="id")
    batch = drawn(task, 2_000)
    always = play(task, batch, lambda state, _: np.zeros(len(state), np.int64))[0].mean()
    assert always == pytest.approx(task.chance, abs=0.03)
    for letters in ((1, 0, 0, 0), (0, 1, 0, 1), (0, 2, 1, 0)):
        earned = play(task, batch, lambda state, turn, letters=letters: np.full(len(state), letters[turn]))[0].mean()
        assert earned < task.chance + 0.03


def test_letters_are_dealt_anew_at_every_step():
    task = task_of(source="cora", features="id")
    batch = drawn(task, 2_000)
    many = np.flatnonzero(task.info(batch)["action_mask"].sum(axis=1) == 3)
    assert np.bincount(batch.target[many], minlength=3) / len(many) == pytest.approx([1 / 3] * 3, abs=0.08)
    stays = task.advance(batch, np.full(2_000, task.slots - 1)).state.rows(many)
    same = (task._offered(stays.memory) == task._offered(batch.memory)[many]).all(axis=1)
    assert 0.05 < same.mean() < 0.35, "one in six, and those that went somewhere"


# Words and arguments


def test_words_say_where_one_is_where_one_can_go_and_how_many_steps_are_left():
    task = task_of()
    said = task.caption(by_hand(task, PATH, 2, 0))[0]
    assert "may take 4 more steps" in said
    assert "A: node" in said
    assert "C: node" not in said
    assert task.parse("<answer>B</answer>") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distance": 1}, "distance must be at least 2"),
        ({"max_steps": 1}, "max_steps must be at least the distance, 2, got 1"),
        ({"fanouts": (3, 3)}, "fanouts must reach farther than the distance.*3 numbers or more"),
    ],
)
def test_wrong_arguments_say_what_would_be_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        task_of(**arguments)


def test_at_the_goal_nothing_is_asked_any_more():
    task = make_task("GraphWalk", source="karate", level="2")
    state = task.sample(Stream.span("train", 0, 0, 20))
    for _ in range(2):
        state = task.advance(state, task.oracle(state)).state
    assert task.truths(state) == ["at the goal"] * 20
    assert all(said.endswith(f"You are at the goal, node {goal}.") for said, goal in zip(
        task.caption(state), state.observation["target"][:, 0], strict=True
    ))  # fmt: skip
    marks, _ = task.marks(state, 0)
    assert all(mark.words.isdecimal() for mark in marks.values()), "no letters of where one could go"
