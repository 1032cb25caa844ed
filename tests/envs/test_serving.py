"""Sessions and their questions, apart from any wire: who plays, what is asked, what is told, what is refused."""

from __future__ import annotations

import asyncio
import base64
import io
import json

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ssl4rl_envs import make_task
from ssl4rl_envs.attempts import Attempts
from ssl4rl_envs.serving.episodes import Episodes, Question
from ssl4rl_envs.serving.refusals import RefusedError
from ssl4rl_envs.serving.service import MAX_NUMBER, Service
from ssl4rl_envs.serving.sessions import Sessions
from ssl4rl_envs.serving.together import Together
from tests.clients.serving import SMALL, Clock, episodes

ROTATION = "SSL4RL/Rotation-v0"


def pixels(image: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image))))


def service(env_id: str = ROTATION, limit: int = 16, clock: Clock | None = None, **arguments) -> Service:
    return Service(episodes(env_id, **arguments), limit, 10.0, clock or Clock())


# Sessions


def test_a_session_is_over_when_nothing_is_heard_of_it():
    clock = Clock()
    sessions: Sessions[str] = Sessions(4, 10.0, clock)
    first, second = sessions.open("first"), sessions.open("second")
    clock.now = 9.0
    assert sessions.use(first) == "first"
    clock.now = 18.9
    assert sessions.expire() == 1
    assert second not in sessions
    assert first in sessions
    clock.now = 19.0
    with pytest.raises(RefusedError, match=r"timed out after 10 s") as refusal:
        sessions.use(first)
    assert refusal.value.status == 404


def test_who_timed_out_makes_room():
    clock = Clock()
    sessions: Sessions[None] = Sessions(2, 10.0, clock)
    sessions.open(None, 2)
    with pytest.raises(RefusedError, match="2 places, 2 of them taken, and 1 are asked for") as refusal:
        sessions.open(None)
    assert (refusal.value.code, refusal.value.status) == ("CAPACITY_REACHED", 503)
    clock.now = 10.0
    sessions.open(None)
    assert (len(sessions), sessions.taken) == (1, 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["open", "use", "close", "wait"]), st.integers(0, 7)), max_size=60))
def test_places_are_those_of_the_sessions_that_are_open(moves):
    """A model that scans everything agrees after any sequence of calls."""
    clock = Clock()
    sessions: Sessions[int] = Sessions(12, 5.0, clock)
    heard: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for move, number in moves:
        open_ones = [each for each in heard if clock.now - heard[each] < 5.0]
        if move == "wait":
            clock.now += number
        elif move == "open":
            room = 12 - sum(sizes[each] for each in open_ones)
            try:
                session = sessions.open(number, number + 1)
            except RefusedError:
                assert number + 1 > room
            else:
                assert number + 1 <= room
                heard[session], sizes[session] = clock.now, number + 1
        elif open_ones:
            session = open_ones[number % len(open_ones)]
            if move == "use":
                sessions.use(session)
                heard[session] = clock.now
            else:
                assert sessions.close(session)
                del heard[session]
    sessions.expire()
    left = [each for each in heard if clock.now - heard[each] < 5.0]
    assert len(sessions) == len(left)
    assert sessions.taken == sum(sizes[each] for each in left)


@pytest.mark.parametrize(("limit", "timeout"), [(0, 1.0), (1, 0.0), (1, -1.0), (1, float("inf")), (True, 1.0)])
def test_limits_that_are_none(limit, timeout):
    with pytest.raises((TypeError, ValueError), match=r"sessions|timeout"):
        Sessions(limit, timeout)


# Episodes


def test_a_question_is_what_the_environment_asks(text_id):
    """The same pictures and words, and the same of every reply, as in `gymnasium.make` and `step`."""
    env = gym.make(text_id, interface="text", disable_env_checker=True)
    shown, _ = env.reset(seed=3)
    asked = Episodes(env.unwrapped.task, "train")
    (result,) = asked.ask([Question(3, 0)])
    data = json.loads(json.dumps(result.data))
    assert data["observation"]["prompt"] == shown["prompt"]
    assert (data["reward"], data["done"]) == (None, False)
    for key, image in zip(env.unwrapped.task.images, data["observation"]["images"], strict=True):
        np.testing.assert_array_equal(pixels(image), shown[key])
    assert not {"truth", "target", "success"} & set(data["metadata"]) - {"task"}
    reply = f"<answer>{env.unwrapped.task.truths(env.unwrapped.batch)[0]}</answer>"
    (answered,) = asked.answer([result.question], [reply])
    _, reward, terminated, truncated, info = env.step(reply)
    assert answered.reward == pytest.approx(reward)
    assert answered.question.ended == (terminated or truncated)
    told = json.loads(json.dumps(answered.data))["metadata"]
    assert told["parsed"] == (info["parsed"] or None)
    assert (told["success"], told["valid"]) == (info["success"], info["valid"])
    assert told.get("truth") == (info.get("truth") or None)


def test_many_questions_are_those_of_each_alone():
    """Questions of other seeds, indices and numbers of answers so far, at once and one by one."""
    asked = Episodes(make_task("SSL4RL/PatchSwap-v0", **SMALL), "train")
    rng = np.random.default_rng(0)
    questions = [Question(int(seed), int(index)) for seed, index in rng.integers(0, 9, (6, 2))]
    for turn in range(3):  # the first has answered most often
        going = questions[: len(questions) - 2 * turn]
        said = [asked.action(int(action)) for action in rng.integers(0, 36, len(going))]
        together = asked.answer(going, said)
        for question, one, result in zip(going, said, together, strict=True):
            (alone,) = asked.answer([question], [one])
            assert alone.data == result.data
        questions[: len(going)] = [result.question for result in together]
    assert [len(question.given) for question in questions] == [3, 3, 2, 2, 1, 1]
    assert [result.data for result in asked.ask(questions)] == [asked.ask([each])[0].data for each in questions]


def test_attempts_are_played_like_any_task_of_several_decisions():
    task = make_task(ROTATION, **SMALL)
    asked = Episodes(Attempts(task, 3), "train")
    (first,) = asked.ask([Question(0, 0)])
    truth = asked.answer([first.question], ["no answer"])[0]
    assert (truth.question.ended, truth.facts["valid"], truth.facts["parsed"]) == (False, False, None)
    assert "Your reply was no valid answer. Try again; you have 2 tries left." in truth.observation["prompt"]
    assert "truth" not in truth.facts
    (second,) = asked.answer([truth.question], ["still none"])
    (third,) = asked.answer([second.question], ["none at all"])
    assert third.question.ended
    assert third.facts["truth"] in task.answer_format.labels


def test_tasks_without_words_show_arrays_and_take_actions():
    asked = Episodes(make_task("SSL4RL/MaskedReconstruction-v0", answer="pixels", patch_size=8, **SMALL), "train")
    (result,) = asked.ask([Question(0, 0)])
    assert "prompt" not in result.observation
    space = asked.task.action_space
    (answered,) = asked.answer([result.question], [asked.action(np.zeros(space.shape).tolist())])
    assert answered.question.ended
    assert answered.facts["parsed"] is None
    assert np.shape(answered.facts["truth"]) == space.shape
    json.dumps(answered.data)


def test_graphs_are_shown_as_arrays_where_that_is_asked_for():
    task = make_task("SSL4RL/NodeAttribute-v0")
    (result,) = Episodes(task, "train", arrays=True).ask([Question(0, 0)])
    for name, space in task.observation_space.items():
        assert np.asarray(result.observation["arrays"][name], space.dtype) in space
    assert "arrays" not in Episodes(task, "train").ask([Question(0, 0)])[0].observation


@pytest.mark.parametrize("value", [4, -1, 1.0, True, None, "1", [1], [[1], [1, 2]], 1 << 80, {}])
def test_actions_outside_the_space(value):
    with pytest.raises(ValueError, match=r"Discrete\(4\)"):
        episodes().action(value)


# Messages


def test_a_batch_is_the_vector_environment_of_its_seed():
    envs = gym.make_vec(ROTATION, num_envs=5, interface="text", **SMALL)
    shown, _ = envs.reset(seed=11)
    replies = ["<answer>0</answer>", "<answer>90</answer>", "90", "<answer>180</answer>", "<answer>270</answer>"]

    async def play():
        playing = service()
        session, asked = await playing.begin({"seed": 11, "size": 5})
        told = await playing.step(session, {"replies": replies})
        following = await playing.reset(session, {})
        playing.close()
        return asked, told, following

    asked, told, following = asyncio.run(play())
    after, rewards, _, _, infos = envs.step(replies)
    for row, each in enumerate(asked["observation"]["batch"]):
        np.testing.assert_array_equal(pixels(each["observation"]["images"][0]), shown["image"][row])
    scored = told["observation"]["batch"]
    np.testing.assert_allclose([each["reward"] for each in scored], rewards)
    assert [each["metadata"]["truth"] for each in scored] == infos["final_info"]["truth"].tolist()
    assert told["done"] is True
    assert told["reward"] == pytest.approx(rewards.mean())
    for row, each in enumerate(following["observation"]["batch"]):
        np.testing.assert_array_equal(pixels(each["observation"]["images"][0]), after["image"][row])


def test_what_has_ended_is_passed_over_until_all_of_a_batch_has():
    async def play():
        playing = service("SSL4RL/PatchSwap-v0", **SMALL)
        session, _ = await playing.begin({"seed": 0, "size": 2})
        states = playing.sessions.use(session)
        while not states.questions[0].ended:  # the first is played by the book, the second swaps back and forth
            batch = playing.episodes._state(states.questions)
            right = int(playing.episodes.task.oracle(batch)[0])
            told = await playing.step(session, {"actions": [right, 0]})
        given = [len(question.given) for question in states.questions]
        told = await playing.step(session, {"actions": [None, 0]})
        playing.close()
        return given, [len(question.given) for question in states.questions], told

    before, after, told = asyncio.run(play())
    assert after == [before[0], before[1] + 1]
    assert [each["done"] for each in told["observation"]["batch"]] == [True, False]
    assert told["observation"]["batch"][0]["reward"] == 0.0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"seed": -1}, "seed is a whole number"),
        ({"seed": MAX_NUMBER + 1}, "seed is a whole number"),
        ({"seed": True}, "seed is a whole number"),
        ({"seed": "1"}, "seed is a whole number"),
        ({"index": 1.0}, "index is a whole number"),
        ({"size": 0}, "size is a whole number from 1 to 16"),
        ({"size": 17}, "size is a whole number from 1 to 16"),
        ({"episode_id": "x" * 256}, "episode_id is a string of at most 255"),
        ({"source": "folder:/etc"}, "a reset takes seed, index, size, episode_id, got 'source'"),
    ],
)
def test_resets_that_are_refused_leave_no_session(data, words):
    async def begin():
        playing = service()
        try:
            with pytest.raises(RefusedError, match=words) as refusal:
                await playing.begin(data)
        finally:
            playing.close()
        return refusal.value, len(playing.sessions)

    refusal, left = asyncio.run(begin())
    assert (refusal.code, refusal.status, left) == ("VALIDATION_ERROR", 422, 0)


@pytest.mark.parametrize(
    ("size", "data", "words"),
    [
        (None, {}, "either reply or action, got \\[\\]"),
        (None, {"reply": "a", "action": 1}, "either reply or action"),
        (None, {"replies": ["a"]}, "either reply or action"),
        (None, {"reply": 1}, "a reply is a string, got 1"),
        (None, {"action": 9}, "an action lies in Discrete"),
        (None, {"reply": "a", "path": "/"}, "a step takes .*, got 'path'"),
        (2, {"reply": "a"}, "either replies or actions"),
        (2, {"replies": "ab"}, "a list of 2"),
        (2, {"replies": ["a"]}, "a list of 2"),
    ],
)
def test_steps_that_are_refused_change_nothing(size, data, words):
    async def step():
        playing = service()
        session, _ = await playing.begin({} if size is None else {"size": size})
        before = playing.state(session)
        with pytest.raises(RefusedError, match=words):
            await playing.step(session, data)
        after = playing.state(session)
        playing.close()
        return before, after

    before, after = asyncio.run(step())
    assert before == after


def test_a_session_goes_along_its_stream():
    async def play():
        playing = service()
        session, _ = await playing.begin({"seed": 4})
        places = []
        for data in ({}, {}, {"index": 8}, {}, {"seed": 5}, {"seed": 6, "index": 2}, {"episode_id": "mine"}):
            await playing.reset(session, data)
            state = playing.state(session)
            places.append((state["seed"], state["index"]))
        with pytest.raises(RefusedError, match="size is said when a session begins"):
            await playing.reset(session, {"size": 2})
        playing.close()
        return places, state

    places, state = asyncio.run(play())
    assert places == [(4, 1), (4, 2), (4, 8), (4, 9), (5, 0), (6, 2), (6, 3)]
    assert (state["episode_id"], state["step_count"], state["done"]) == ("mine", 0, False)


def test_an_answer_needs_a_question():
    async def step():
        playing = service()
        session, _ = await playing.begin({})
        await playing.step(session, {"action": 0})
        try:
            await playing.step(session, {"action": 0})
        finally:
            playing.close()

    with pytest.raises(RefusedError, match="nothing is being asked"):
        asyncio.run(step())


def test_two_messages_of_one_session_at_once():
    async def step():
        playing = service()
        session, _ = await playing.begin({})
        both = await asyncio.gather(*(playing.step(session, {"action": 0}) for _ in "ab"), return_exceptions=True)
        playing.close()
        return both, playing.state(session)

    (first, second), state = asyncio.run(step())
    assert first["done"] is True
    assert isinstance(second, RefusedError)
    assert "still at its last message" in second.message
    assert state["step_count"] == 1


# Together


def test_jobs_that_wait_are_one_batch():
    sizes: list[int] = []

    def work(jobs: list[int]) -> list[int]:
        sizes.append(len(jobs))
        return [job * job for job in jobs]

    async def ask():
        square = Together(work, most=8)
        found = await asyncio.gather(*(square(number) for number in range(20)))
        again = await square(5)
        square.close()
        return found, again

    assert asyncio.run(ask()) == ([number * number for number in range(20)], 25)
    assert sizes == [8, 8, 4, 1]


def test_a_fault_reaches_those_of_its_batch_and_nobody_else():
    def work(jobs: list[int]) -> list[float]:
        return [1 / job for job in jobs]

    async def ask():
        divide = Together(work, most=2)
        found = await asyncio.gather(*(divide(number) for number in (1, 0, 2, 4)), return_exceptions=True)
        divide.close()
        return found

    first, second, *others = asyncio.run(ask())
    assert isinstance(first, ZeroDivisionError)
    assert isinstance(second, ZeroDivisionError)
    assert others == [0.5, 0.25]


def test_who_gives_up_does_not_disturb_the_others():
    async def ask():
        double = Together(lambda jobs: [2 * job for job in jobs])
        waiting = [asyncio.create_task(double(number)) for number in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        double.close()
        return found

    first, second, third = asyncio.run(ask())
    assert (first, third) == (0, 4)
    assert isinstance(second, asyncio.CancelledError)
