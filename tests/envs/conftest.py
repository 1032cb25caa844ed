"""Fixtures that loop over every registered environment, so that a new task is tested by being registered."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ssl4rl_envs
from ssl4rl_envs import Batch, Stream, Task
from ssl4rl_envs.answers import PROMPT_STYLES, wrap

STYLES = PROMPT_STYLES


def interfaces_of(env_id: str) -> list[str]:
    """Every interface of an environment: "text" only where the task can be answered in words."""
    return ["array"] if task_of(env_id).answer_format is None else ["array", "text"]


_tasks: dict[str, Task] = {}


def task_of(env_id: str) -> Task:
    """The task of an environment in its registered configuration, built once: tasks are pure."""
    if env_id not in _tasks:
        _tasks[env_id] = ssl4rl_envs.make_task(env_id)
    return _tasks[env_id]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Loop `env_id` (alone or with `interface`), `text_id` and `style` over what is registered."""
    names = set(metafunc.fixturenames)
    ids = ssl4rl_envs.env_ids()
    if {"env_id", "interface"} <= names:
        metafunc.parametrize(("env_id", "interface"), [(env_id, name) for env_id in ids for name in interfaces_of(env_id)])
    elif "env_id" in names:
        metafunc.parametrize("env_id", ids)
    if "text_id" in names:
        metafunc.parametrize("text_id", [env_id for env_id in ids if task_of(env_id).answer_format is not None])
    if "style" in names:
        metafunc.parametrize("style", STYLES)


@pytest.fixture
def headless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a display, whatever this one has: no test opens a window."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")


@pytest.fixture
def build() -> Callable[[str], Task]:
    """The function env_id -> task in its registered configuration."""
    return task_of


def _rows(task: Task, split: str, seed: int, start: int, count: int, chunk: int = 250) -> Iterator[Batch]:
    for first in range(start, start + count, chunk):
        indices = np.arange(first, min(first + chunk, start + count))
        yield task.sample(Stream(split, np.full(len(indices), seed), indices))


@pytest.fixture
def batches() -> Callable[..., Iterator[Batch]]:
    """The function (task, split, seed, start, count) -> batches of consecutive instances, small enough for any memory."""
    return _rows


@pytest.fixture
def actions() -> Callable[..., list[Any]]:
    """The function (task, interface, count, seed, style) -> actions; half of the texts are well-formed answers."""

    def make(task: Task, interface: str, count: int, seed: int = 0, style: str = "direct") -> list[Any]:
        rng = np.random.default_rng(seed)
        space = task.action_space
        space.seed(seed)
        answers = [space.sample() for _ in range(count)]
        if interface == "array":
            return answers
        valid = [bool(task.valid(np.asarray(answer)[None])[0]) for answer in answers]
        example = task.example()
        said = [wrap(task.format(answer if ok else example), style) for answer, ok in zip(answers, valid, strict=True)]
        junk = ["", "no idea", said[0] + said[-1], "<answer></answer>", "\x00", "ünïcödé <answer>"]
        return [said[i] if rng.random() < 0.6 else junk[int(rng.integers(len(junk)))] for i in range(count)]

    return make


@pytest.fixture
def same() -> Callable[..., None]:
    """Assert that two nested observations or infos are equal: keys, types of numbers, shapes and every value."""

    def check(a: Any, b: Any, where: str = "", *, dtypes: bool = True) -> None:
        if isinstance(a, dict):
            assert isinstance(b, dict), where
            assert set(a) == set(b), where
            for key in a:
                check(a[key], b[key], f"{where}[{key!r}]", dtypes=dtypes)
        elif isinstance(a, np.ndarray) and a.dtype == object:
            assert isinstance(b, np.ndarray), where
            assert b.dtype == object, where
            assert a.shape == b.shape, where
            for i, (x, y) in enumerate(zip(a.flat, b.flat, strict=True)):
                check(x, y, f"{where}[{i}]", dtypes=dtypes)
        elif isinstance(a, (np.ndarray, np.generic)) or isinstance(b, (np.ndarray, np.generic)):
            assert np.shape(a) == np.shape(b), f"{where}: {np.shape(a)} != {np.shape(b)}"
            if dtypes:
                assert np.asarray(a).dtype.kind == np.asarray(b).dtype.kind, where
            assert np.array_equal(a, b), where
        elif isinstance(a, tuple):
            assert isinstance(b, tuple), where
            assert len(a) == len(b), where
            for i, (x, y) in enumerate(zip(a, b, strict=True)):
                check(x, y, f"{where}[{i}]", dtypes=dtypes)
        else:
            assert type(a) is type(b), f"{where}: {type(a)} != {type(b)}"
            assert a == b, where

    return check


@pytest.fixture
def hostile() -> Callable[[list[str], str, str], list[str]]:
    """The function (bodies of all or some answers, style, prompt) -> replies that no parser may take for an answer."""
    return hostile_replies


def hostile_replies(bodies: list[str], style: str, prompt: str = "Which one is it?") -> list[str]:
    """Replies that are empty, ambiguous, ill-formed or out of place, in `style`; `bodies` are at least two right answers."""
    a, b = bodies[0], bodies[1]
    tag_a, tag_b = f"<answer>{a}</answer>", f"<answer>{b}</answer>"
    pre = "<think>hm</think> " if style == "think" else ""
    bad = [
        "",
        " ",
        "\n\t \r\n",
        "\x00",
        a,
        pre + a,
        prompt,
        prompt + tag_a,
        prompt + pre + tag_a,
        pre + tag_a + prompt,
        pre + f"<answer>{prompt}</answer>",
        pre + tag_a + tag_b,
        pre + tag_a + tag_a,
        pre + tag_a + " " + tag_a,
        pre + "".join(f"<answer>{body}</answer>" for body in bodies),
        pre + f"<answer>{', '.join(bodies)}</answer>",
        pre + f"<answer>{' '.join(bodies)}</answer>",
        pre + f"<answer>{' or '.join(bodies)}</answer>",
        pre + f"<answer>{a} or {b}</answer>",
        pre + f"<answer>{a}\n{b}</answer>",
        pre + f"<answer>{a}/{b}</answer>",
        pre + f"<answer>{a}|{b}</answer>",
        pre + f"<answer>not {a}</answer>",
        pre + f"<answer>{a} maybe</answer>",
        pre + f"<answer>{a}!</answer>",
        pre + f"<answer>{a}?</answer>",
        pre + f"<answer>{a};</answer>",
        pre + f"<answer>{a},</answer>",
        pre + f"<answer>,{a}</answer>",
        pre + f"<answer>={a}</answer>",
        pre + f"<answer>+{a}</answer>",
        pre + f"<answer>~{a}</answer>",
        pre + f"<answer>'{a}'</answer>",
        pre + f"<answer>**{a}**</answer>",
        pre + f"<answer>\\boxed{{{a}}}</answer>",
        pre + f"<answer>{{{a}}}</answer>",
        pre + f"<answer>[[{a}]]</answer>",
        pre + f"<answer>[{a}</answer>",
        pre + f"<answer>{a}]</answer>",
        pre + f"<answer>[{a})</answer>",
        pre + f"<answer>{a}\x00</answer>",
        pre + f"<answer>\x00{a}</answer>",
        pre + f"<answer>{a}\u200b</answer>",
        pre + f"<answer>\u202e{a}</answer>",
        pre + f"<answer>&lt;{a}&gt;</answer>",
        pre + f"<answer>&#32;{a}</answer>",
        pre + f"<answer><b>{a}</b></answer>",
        pre + "<answer></answer>",
        pre + "<answer> \n </answer>",
        pre + "<answer>none of these</answer>",
        pre + f"<answer>{a}",
        pre + f"{a}</answer>",
        pre + f"<answer>{a}<answer>",
        pre + f"<answer>{a}</ answer>",
        pre + f"< answer>{a}</answer>",
        pre + f"<answer >{a}</answer>",
        pre + f"<answer value=1>{a}</answer>",
        pre + f"<ANSWER>{a}</ANSWER>",
        pre + f"<Answer>{a}</Answer>",
        pre + f"<answer>{tag_a}</answer>",
        pre + f"<answer><answer>{a}</answer>",
        pre + f"<answer>{a}</answer></answer>",
        pre + f"&lt;answer&gt;{a}&lt;/answer&gt;",
        pre + f"[answer]{a}[/answer]",
        pre + tag_a + " I am sure.",
        pre + "The answer is " + tag_a,
        pre + tag_a + ".",
        pre + tag_a + "\x00",
        "\ufeff" + pre + tag_a,
        pre + "```" + tag_a + "```",
        pre + f"<!-- {tag_b} -->" + tag_a,
        pre + f"{tag_a}<think>",
        "Sure! " + pre + tag_a,
        f"<think>hm <answer>{a}</answer></think>",
        f"<think>hm {tag_b}</think>{tag_a}",
        f"<think>hm <answer></think>{tag_a}",
        f"<think>hm </answer></think>{tag_a}",
        f"<think>a</think><think>b</think>{tag_a}",
        f"<think>a <think>b</think></think>{tag_a}",
        f"<think>a <think>b</think>{tag_a}",
        f"<think>a</think></think>{tag_a}",
        f"<think>hm {tag_a}",
        f"hm</think>{tag_a}",
        f"<THINK>hm</THINK>{tag_a}",
        f"<think>hm</think>so {tag_a}",
        f"so <think>hm</think>{tag_a}",
        f"{tag_a}<think>hm</think>",
        f"{tag_a} <think>hm</think> {tag_a}",
        f"<think>{tag_a}</think>",
        f"<answer><think>hm</think>{a}</answer>",
        f"<think>hm</think><answer>{a}</answer><think>hm</think>",
    ]
    if style == "think":
        bad += [tag_a, f" {tag_a} ", f"<think>{tag_a}", f"<think/>{tag_a}"]
    else:
        bad += [f"<think>hm</think>{tag_a}", f"<think></think>{tag_a}"]
    if re.fullmatch(r"[0-9]+", a):
        wide = a.translate({ord(digit): 0xFF10 + i for i, digit in enumerate(string.digits)})
        arabic = a.translate({ord(digit): 0x0660 + i for i, digit in enumerate(string.digits)})
        numbers = [f"-{a}", f"- {a}", f"\u2212{a}", f"+{a}", f"{a}.0", f"{a}.", f"0{a}", f"{a}e0", wide, arabic, f"{a}{b}00"]
        bad += [pre + f"<answer>{number}</answer>" for number in numbers]
    return bad
