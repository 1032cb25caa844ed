"""Questions that are made in a thread are those that would have been made when they were asked."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream, Task
from ssl4rl_envs.curricula import adaptive_mixture
from ssl4rl_envs.vector import SSLVectorEnv
from tests.envs.test_lookahead import Numbered

N = 4

MOVES = st.one_of(
    st.just("step"),
    st.just("step"),
    st.just("reset"),
    st.tuples(st.just("seed"), st.integers(0, 2)),
    st.tuples(st.just("index"), st.integers(0, 4)),
    st.tuples(st.just("mask"), st.lists(st.booleans(), min_size=N, max_size=N).filter(any)),
)


def play(env: Any, moves: list[Any], actions: list[Any], *, write: bool) -> list[Any]:
    """Play moves in an environment of several; with `write`, write into all that was shown, once it was copied."""
    seen: list[Any] = []
    for number, move in enumerate([("seed", 0), *moves]):
        if move == "step":
            step = actions[number % len(actions)]
            got = env.step(step)
        elif move == "reset":
            got = env.reset()
        elif move[0] == "seed":
            got = env.reset(seed=move[1])
        elif move[0] == "index":
            got = env.reset(options={"index": move[1]})
        else:
            got = env.reset(options={"reset_mask": np.array(move[1])})
        seen.append(copy.deepcopy(got))
        final = [shown for shown in got[-1].get("final_obs", ()) if shown is not None]
        for values in [each for shown in (got[0], *final) for each in shown.values()] if write else []:
            if isinstance(values, np.ndarray):
                values[...] = 1
    return seen


def batched(actions: Any, task: Task, interface: str, rounds: int) -> list[Any]:
    rows = [actions(task, interface, N, seed=number) for number in range(rounds)]
    return [tuple(row) if interface == "text" else np.stack([np.asarray(one) for one in row]) for row in rows]


@pytest.mark.parametrize(
    "arguments",
    [
        {"prefetch": True},
        {"prefetch": 3, "group_size": 2},
        {"prefetch": True, "attempts": 3},
        {"prefetch": 2, "interface": "text"},
    ],
    ids=str,
)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(MOVES, min_size=6, max_size=16), mode=st.sampled_from(["SAME_STEP", "NEXT_STEP"]))
def test_any_sequence_gives_what_an_environment_without_it_gives(kind_id, arguments, moves, mode, build, actions, same):
    """Also if the agent writes into all that it is shown."""
    task = build(kind_id)
    interface = arguments.get("interface", "array")
    if (interface == "text" and not task.has_text) or (arguments.get("attempts") and task.horizon > 1):
        return
    plain = {name: value for name, value in arguments.items() if name != "prefetch"}
    ahead = SSLVectorEnv(task, num_envs=N, autoreset_mode=mode, **arguments)
    rest = SSLVectorEnv(task, num_envs=N, autoreset_mode=mode, **plain)
    chosen = batched(actions, task, interface, 4)
    for got, expected in zip(play(ahead, moves, chosen, write=True), play(rest, moves, chosen, write=False), strict=True):
        same(got, expected)
    ahead.close()


@pytest.mark.parametrize("attempts", [1, 2])
def test_the_next_questions_are_made_in_another_thread(attempts):
    made: list[tuple[int, bool]] = []

    class Watched(Numbered):
        def make(self, stream: Stream) -> Any:
            made.append((len(stream), threading.current_thread() is threading.main_thread()))
            return super().make(stream)

    env = SSLVectorEnv(Watched(), num_envs=N, prefetch=True, attempts=attempts)
    del made[:]
    env.reset(seed=0)
    for _ in range(6):
        env.step(np.array([0, 1, 0, 1]))
    env.close()
    assert [size for size, here in made if here] == [N]  # the first questions, which nobody foresaw
    assert len(made) >= 4


@pytest.mark.parametrize("attempts", [1, 2])
def test_an_error_in_the_thread_is_raised_where_its_question_is_asked(attempts):
    task = Numbered()
    env = SSLVectorEnv(task, num_envs=2, prefetch=True, attempts=attempts)
    env.reset(seed=0)
    task.broken = {2}
    right = lambda: env.batch.target  # noqa: E731
    _, _, ended, _, _ = env.step(right())
    assert ended.all()
    with pytest.raises(RuntimeError, match="nothing to ask about in \\[2\\]"):
        env.step(right())
    task.broken = set()
    shown, info = env.reset(options={"index": 2})
    assert info["index"].tolist() == [2, 2]
    assert np.array_equal(shown["number"], task.sample(Stream("train", [0, 1], [2, 2])).observation["number"])
    env.close()


def test_closing_twice_ends_the_thread():
    before = threading.active_count()
    env = SSLVectorEnv(Numbered(), num_envs=N, prefetch=2)
    env.reset(seed=0)
    assert threading.active_count() == before + 1
    env.close()
    env.close_extras()
    assert threading.active_count() == before


def test_nothing_keeps_an_environment_alive_that_nobody_holds():
    env = SSLVectorEnv(Numbered(), num_envs=N, prefetch=True)
    env.reset(seed=0)
    (thread,) = [each for each in threading.enumerate() if each.name.startswith("ssl4rl-ahead")]
    alive = weakref.ref(env)
    del env
    gc.collect()
    assert alive() is None
    thread.join(timeout=20)
    assert not thread.is_alive()


def test_copies_and_pickles_go_on_alike(same):
    env = gym.make_vec("SSL4RL/FlipPrediction-v0", num_envs=N, prefetch=True, source="faces")
    env.reset(seed=0)
    others = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    action = np.zeros(N, np.int64)
    expected = [env.step(action) for _ in range(3)]
    for other in others:
        for step in expected:
            same(other.step(action), step)
        other.close()
    env.close()


def test_it_is_off_under_a_schedule():
    env = adaptive_mixture(gym.make_vec("SSL4RL/Mixture-v0", num_envs=2, prefetch=True))
    before = threading.active_count()
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert threading.active_count() == before
    env.close()


@pytest.mark.parametrize("prefetch", [-1, 1.5, "2", None])
def test_a_number_of_batches_that_is_none_is_refused(prefetch):
    with pytest.raises((TypeError, ValueError), match="prefetch"):
        SSLVectorEnv(Numbered(), num_envs=1, prefetch=prefetch)


def test_episodes_that_are_reset_by_hand_are_made_ahead_too():
    env, other = (
        SSLVectorEnv(Numbered(), num_envs=N, prefetch=k, autoreset_mode=AutoresetMode.DISABLED) for k in (True, False)
    )
    for _ in range(3):
        for each in (env, other):
            each.reset(seed=None if each.questions.asking else 4)
        assert np.array_equal(env.batch.observation["number"], other.batch.observation["number"])
        for each in (env, other):
            each.step(np.zeros(N, np.int64))
    env.close()
