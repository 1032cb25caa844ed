"""Fixtures that loop over every registered environment, or over one of each kind.

A new task is tested by being registered; what no task can change is tested over `tests.kinds.KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ssl4rl_envs
from ssl4rl_benchmarks.audits.hostile import hostile_replies
from ssl4rl_envs import Batch, Stream, Task
from ssl4rl_envs.answers import GRAMMARS, PROMPT_STYLES, wrap
from tests.kinds import KINDS

STYLES = PROMPT_STYLES


def interfaces_of(env_id: str) -> list[str]:
    """Every interface of an environment: "text" only where the task can be answered in words."""
    return ["array", "text"] if task_of(env_id).has_text else ["array"]


_tasks: dict[str, Task] = {}


def task_of(env_id: str) -> Task:
    """The task of an environment in its registered configuration, built once: tasks are pure."""
    if env_id not in _tasks:
        _tasks[env_id] = ssl4rl_envs.make_task(env_id)
    return _tasks[env_id]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Loop `env_id` and `text_id` over the registry, `kind_id` and `text_kind` over one of each kind.

    Ids come with each of their interfaces where a test asks for them; `style` and `grammar` loop over all that there are.
    """
    names = set(metafunc.fixturenames)
    for one, worded, ids in (("env_id", "text_id", ssl4rl_envs.env_ids()), ("kind_id", "text_kind", list(KINDS))):
        if {one, "interface"} <= names:
            metafunc.parametrize((one, "interface"), [(env_id, name) for env_id in ids for name in interfaces_of(env_id)])
        elif one in names:
            metafunc.parametrize(one, ids)
        if worded in names:
            metafunc.parametrize(worded, [env_id for env_id in ids if task_of(env_id).has_text])
    if "style" in names:
        metafunc.parametrize("style", STYLES)
    if "grammar" in names:
        metafunc.parametrize("grammar", GRAMMARS)


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
        if interface == "array":
            return [space.sample() for _ in range(count)]
        stream = Stream("train", np.full(count, seed), np.arange(count))
        batch = task.sample(stream)
        written = task.format_all(task.random_answers(batch, stream.branch("random answers")), batch)
        said = [wrap(words or "", style) for words in written]
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
def hostile() -> Callable[..., list[str]]:
    """The function (bodies of all or some answers, style, prompt, grammar) -> replies that the grammar may not read."""
    return lambda bodies, style, prompt="Which one is it?", grammar="strict": list(
        hostile_replies(bodies, style, prompt, grammar).values()
    )
