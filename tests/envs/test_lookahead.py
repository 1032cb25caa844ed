"""Questions that are sampled ahead in blocks are the questions that are asked one at a time."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Batch, Stream, Task, lookahead
from ssl4rl_envs.env import SSLEnv
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.lookahead import LookAhead
from ssl4rl_envs.task import Score, exact_score

MOVES = st.one_of(
    st.just("next"),
    st.just("step"),
    st.tuples(st.just("seed"), st.integers(0, 2)),
    st.tuples(st.just("index"), st.integers(0, 5)),
    st.tuples(st.just("both"), st.integers(0, 1), st.integers(0, 5)),
)


class Numbered(Task):
    """Shows the numbers that a row is drawn from; notes how many rows were asked for at once; fails where it is told to."""

    asks = "which number"
    images = ()
    answer_format = None

    def __init__(self, width: int = 1) -> None:
        self.observation_space = spaces.Dict({"number": spaces.Box(0, 1, (width,), np.float64)})
        self.action_space, self.chance, self.width = spaces.Discrete(2), 0.5, width
        self.sizes: list[int] = []
        self.broken: set[int] = set()

    def make(self, stream: Stream) -> Batch:
        if self.broken & set(stream.indices.tolist()):
            raise RuntimeError(f"nothing to ask about in {sorted(self.broken)}")
        self.sizes.append(len(stream))
        return Batch({"number": stream.uniform((self.width,))}, stream.integers(0, 2), stream.indices.astype(np.int64))

    def score(self, answers: Any, batch: Batch) -> Score:
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        return ["?"] * len(batch)

    def example(self) -> int:
        return 0


def play(env: gym.Env[Any, Any], moves: list[Any], actions: list[Any], *, keep: bool) -> list[Any]:
    """Play moves; with `keep`=False nothing that was sampled ahead is kept between two of them, and nothing is written to."""
    seen: list[Any] = [env.reset(seed=0)]
    open_ = True
    for number, move in enumerate(["next", *moves]):
        if not keep:
            env.unwrapped.questions.close()
        if move == "step" and open_:
            seen.append(env.step(actions[number % len(actions)]))
            open_ = not (seen[-1][2] or seen[-1][3])
        elif isinstance(move, tuple):
            seed = move[1] if move[0] in ("seed", "both") else None
            options = {"index": move[-1]} if move[0] in ("index", "both") else None
            seen.append(env.reset(seed=seed, options=options))
            open_ = True
        else:
            seen.append(env.reset())
            open_ = True
    return seen


@pytest.mark.parametrize("settings_", [{}, {"group_size": 3}, {"attempts": 2}, {"interface": "text"}], ids=str)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(MOVES, min_size=6, max_size=14))
def test_any_sequence_of_resets_and_steps_gives_what_questions_one_at_a_time_give(
    kind_id, settings_, moves, build, actions, same
):
    task = build(kind_id)
    interface = settings_.get("interface", "array")
    if (interface == "text" and not task.has_text) or (settings_.get("attempts") and task.horizon > 1):
        pytest.skip("the task has no such side")
    chosen = actions(task, interface, 5, seed=len(moves))
    ahead, alone = (SSLEnv(task, **settings_) for _ in range(2))
    for got, expected in zip(play(ahead, moves, chosen, keep=True), play(alone, moves, chosen, keep=False), strict=True):
        same(got, expected)


def test_forty_questions_of_every_task_are_those_of_batches_of_any_size(env_id, build):
    task = build(env_id)
    env = SSLEnv(task, split="test")
    expected = task.sample(Stream.span("test", 5, 0, 40))
    for row in range(40):
        shown, info = env.reset(seed=5 if row == 0 else None)
        assert info["index"] == row
        assert all(np.array_equal(shown[name], values[row]) for name, values in expected.observation.items())
        assert np.array_equal(env.batch.target[0], expected.target[row])


def test_blocks_double_from_one_after_every_seed_and_index():
    task = Numbered()
    env = SSLEnv(task)
    del task.sizes[:]
    env.reset(seed=0)
    assert task.sizes == [1]
    for _ in range(7):
        env.reset()
    assert task.sizes == [1, 2, 4, 8]
    env.reset(options={"index": 3})
    env.reset(seed=1)
    env.reset()
    assert task.sizes == [1, 2, 4, 8, 1, 1, 2]
    for _ in range(400):
        env.reset()
    assert max(task.sizes) == lookahead.most(1)


def test_repeats_of_a_group_and_the_same_index_again_cost_no_further_question():
    task = Numbered()
    env = SSLEnv(task, group_size=4)
    del task.sizes[:]
    env.reset(seed=0)
    for _ in range(11):
        env.reset()
    assert task.sizes == [1, 2]


def test_blocks_of_large_questions_are_bounded_by_bytes():
    task = Numbered(width=lookahead.LIMITS[0][1] // 8 // 3)
    ahead = LookAhead(Interface(task, "array", "direct"), "train")
    for index in range(20):
        ahead.take(0, index)
    assert max(task.sizes) == 2


def test_blocks_of_small_questions_hold_more():
    assert [lookahead.most(size) for size in (0, 1 << 10, 1 << 12, 1 << 14, 1 << 20, 1 << 24)] == [256, 256, 128, 64, 4, 1]


def test_who_keeps_a_large_observation_keeps_nothing_else():
    env = SSLEnv(Numbered(width=lookahead.SMALL // 8 + 1))
    env.reset(seed=0)
    for _ in range(9):
        shown = env.reset()[0]["number"]
        assert shown.base is None or shown.base.nbytes == shown.nbytes


def test_a_pickled_environment_leaves_its_block_behind_and_goes_on():
    env = gym.make("SSL4RL/EdgePrediction-v0", source="karate")
    env.reset(seed=0)
    for _ in range(20):
        env.reset()
    questions = env.unwrapped.questions
    again, copied = pickle.loads(pickle.dumps(questions)), copy.deepcopy(questions)
    assert again._ahead._rows is None
    for each in (questions, again, copied):
        each.ask()
    for name, values in questions.observe().items():
        assert np.array_equal(again.observe()[name], values)
        assert np.array_equal(copied.observe()[name], values)


def test_an_error_comes_when_its_question_is_asked_and_not_before():
    task = Numbered()
    env, rest = SSLEnv(task), SSLEnv(Numbered())
    task.broken = {5}
    first = [env.reset(seed=0 if k == 0 else None)[0]["number"] for k in range(5)]
    with pytest.raises(RuntimeError, match="nothing to ask about"):
        env.reset()
    after = [env.reset()[0]["number"] for _ in range(30)]
    expected = [rest.reset(seed=0 if k == 0 else None)[0]["number"] for k in range(36)]
    assert np.array_equal([*first, *after], [*expected[:5], *expected[6:]])


def test_what_was_sampled_ahead_is_let_go_on_close():
    env = SSLEnv(Numbered())
    env.reset(seed=0)
    env.reset()
    assert env.questions._ahead._rows is not None
    env.close()
    assert env.questions._ahead._rows is None


def test_an_agent_may_write_into_what_it_was_given(kind_id, build, actions, same):
    """Neither the question, nor its score, nor the next questions change."""
    task = build(kind_id)
    ours, theirs = SSLEnv(task), SSLEnv(task)
    chosen = actions(task, "array", 6)
    for env in (ours, theirs):
        env.reset(seed=3)
    for action in chosen:
        got, expected = [env.reset() for env in (ours, theirs)]
        same(got, expected)
        for values in got[0].values():
            np.asarray(values)[...] = 1 if isinstance(values, np.ndarray) else 0
        got, expected = [env.step(action) for env in (ours, theirs)]
        same(got, expected)
        for values in (*got[0].values(), *got[4].values()):
            if isinstance(values, np.ndarray):
                values[...] = 1
        same(ours.batch.observation, theirs.batch.observation)
        same(ours.batch.memory, theirs.batch.memory)
        assert np.array_equal(ours.batch.target, theirs.batch.target)


def test_what_is_handed_out_shares_memory_with_nothing_else(kind_id, build, actions):
    """Neither observation of a question lies where another does, nor where the question itself is kept, in a block or not."""
    task = build(kind_id)
    env = SSLEnv(task, group_size=2)
    (action,) = actions(task, "array", 1)
    env.reset(seed=4)
    given: list[np.ndarray] = []
    for _ in range(5):
        shown = [*env.reset()[0].values(), *env.step(action)[0].values()]
        own = [values for values in env.questions.batch.observation.values() if isinstance(values, np.ndarray)]
        for values in shown:
            if isinstance(values, np.ndarray):  # a number is nobody's
                assert not any(np.shares_memory(values, other) for other in (*given, *own))
                given.append(values)


@pytest.mark.parametrize("settings_", [{}, {"group_size": 2}, {"attempts": 2}], ids=str)
def test_what_an_agent_wrote_into_its_last_observation_is_not_drawn_or_asked_again(settings_):
    pictures = []
    for write in (True, False):
        env = gym.make("SSL4RL/FlipPrediction-v0", source="faces", render_mode="rgb_array", **settings_)
        env.reset(seed=1)
        for _ in range(4):
            shown, _, ended, *_ = env.step(0)
            if write:
                shown["image"][...] = 0
            pictures.append(env.render())
            if ended:
                pictures.append(env.reset()[0]["image"])
    half = len(pictures) // 2
    assert all(np.array_equal(one, other) for one, other in zip(pictures[:half], pictures[half:], strict=True))
