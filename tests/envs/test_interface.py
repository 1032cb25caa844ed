"""What `info` says on either side of a task, and that arrays cost no words."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from ssl4rl_envs import SSLEnv, SSLVectorEnv, Stream, rendering
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.attempts import Attempts

SAID = ("format", "format_all", "truths", "question", "prompts", "caption", "illustrate")
HEARD = {"index", "success", "is_success", "target"}


@pytest.fixture
def speechless(monkeypatch):
    """The function that makes a task an error to put into words; it returns the task."""

    def silence(task):
        for name in SAID:
            monkeypatch.setattr(type(task), name, lambda *_, name=name: pytest.fail(f"{name} was called"))
        monkeypatch.setattr(rendering, "judge", lambda *_: pytest.fail("a verdict was put into words"))
        return task

    return silence


def test_arrays_are_stepped_without_a_word(env_id, build, speechless):
    task = speechless(build(env_id))
    env = SSLEnv(task)
    env.reset(seed=0)
    done = False
    while not done:
        *_, terminated, truncated, info = env.step(task.oracle(env.batch)[0])
        done = terminated or truncated
    assert set(info) >= HEARD
    assert not {"parsed", "valid", "truth"} & set(info)


def test_arrays_of_vectors_and_of_attempts_are_stepped_without_a_word(speechless, build):
    task = speechless(build("SSL4RL/Rotation-v0"))
    for inner in (task, Attempts(task, 2)):
        envs = SSLVectorEnv(inner, num_envs=3)
        envs.reset(seed=0)
        *_, infos = envs.step(task.oracle(envs.batch))
        assert set(infos["final_info"]) >= HEARD
        assert not {"parsed", "valid", "truth"} & {*infos["final_info"], *infos}


def test_text_keeps_the_answer_and_the_truth_in_words():
    """`parsed` beside `truth`: what was understood, and what was right."""
    env = gym.make("SSL4RL/Rotation-v0", source="digits", image_size=36, interface="text")
    env.reset(seed=0)
    turned = int(env.unwrapped.batch.target[0])
    said = str(90 * ((turned + 1) % 4))
    *_, info = env.step(f"<answer>{said}</answer>")
    assert (info["parsed"], info["truth"], info["valid"]) == (said, str(90 * turned), True)
    envs = gym.make_vec("SSL4RL/Rotation-v0", num_envs=2, source="digits", image_size=36, interface="text")
    envs.reset(seed=0)
    *_, infos = envs.step([f"<answer>{said}</answer>", "no idea"])
    assert infos["final_info"]["parsed"].tolist() == [said, ""]
    assert infos["final_info"]["truth"][0] == str(90 * turned)


def test_the_words_of_arrays_can_be_had_from_the_task(build):
    """What the docstring of `SSLEnv` says to who wants words beside arrays."""
    task = build("SSL4RL/Rotation-v0")
    env = SSLEnv(task)
    env.reset(seed=0)
    *_, info = env.step(2)
    assert task.format_all(np.array([2]), env.batch) == ["180"]
    assert task.truths(env.batch) == [str(90 * int(info["target"]))]


def test_a_verdict_is_drawn_as_often_as_it_is_asked_for_and_gone_with_the_next_question():
    env = gym.make("SSL4RL/Rotation-v0", source="digits", image_size=36, render_mode="ansi")
    env.reset(seed=0)
    assert "reward" not in env.render()
    env.step(0)
    assert env.render() == env.render()
    assert "truth" in env.render()
    env.reset()
    assert "truth" not in env.render()


def test_equal_replies_are_read_and_written_once(text_kind, build, grammar, monkeypatch):
    task = build(text_kind)
    while task.parts:
        task = task.parts[0]
    batch = task.sample(Stream.span("train", 0, 0, 40))
    said = [wrap(str(words), "direct") for words in task.truths(batch)]
    expected = [task.parse(text, "direct", grammar) for text in said]
    calls: list[str] = []
    read = type(task).parse
    monkeypatch.setattr(type(task), "parse", lambda self, text, *how: calls.append(text) or read(self, text, *how))
    answers, answered = task.parse_all([*said, "no"], batch, "direct", grammar)
    assert sorted(calls) == sorted({*said, "no"})
    assert answered.tolist() == [answer is not None for answer in expected] + [False]
    assert all(np.array_equal(one, other) for one, other in zip(answers, expected, strict=False) if other is not None)
    with pytest.raises(TypeError, match="must be a str"):
        task.parse_all([["no"]], batch, "direct", grammar)
