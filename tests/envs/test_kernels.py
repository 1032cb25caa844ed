"""Compiled kernels: the same bits as the NumPy reference, chosen only where numba is, and forced by a variable."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ssl4rl_envs import Stream, kernels, make_task
from ssl4rl_envs.kernels import threads
from ssl4rl_envs.kernels.reference import pictures as reference


@pytest.mark.parametrize(("name", "level"), [("Rotation", "angles-12"), ("PatchOrdering", "2x2-gap")])
def test_tasks_ask_the_same_with_either(name, level, monkeypatch):
    pytest.importorskip("numba")
    seen = []
    for forced in kernels.PACKAGES:
        monkeypatch.setenv(kernels.VARIABLE, forced)
        task = make_task(f"SSL4RL/{name}-v0", source="photos", level=level, image_size=48)
        seen.append(task.sample(Stream.span("test", 3, 0, 20)).observation["image"])
    assert np.array_equal(*seen)


def test_the_variable_forces_one_and_refuses_what_there_is_not(monkeypatch):
    assert kernels.implementation("pictures", "numpy") is reference
    with pytest.raises(ValueError, match="SSL4RL_KERNELS must be one of numpy, numba"):
        kernels.implementation("pictures", "cuda")
    monkeypatch.setenv(kernels.VARIABLE, "cuda")
    with pytest.raises(ValueError, match="cuda"):
        kernels.area("pictures")


def test_without_numba_the_reference_is_used_and_forcing_numba_says_what_to_install():
    """In a process of its own, where numba cannot be imported."""
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from ssl4rl_envs import kernels\n"
        "print(kernels.implementation('pictures').__name__)\n"
        "try: kernels.implementation('pictures', 'numba')\n"
        "except ImportError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[0] == "ssl4rl_envs.kernels.reference.pictures"
    assert "pip install numba" in said


def test_numba_is_imported_only_when_something_is_drawn():
    code = "import sys, ssl4rl_envs, ssl4rl_envs.sources; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(("rows", "least", "parts"), [(0, 1, 1), (5, 10, 1), (20, 10, 2), (100, 20, 5), (100, 1, 12)])
def test_rows_are_shared_among_threads_without_gap_or_overlap(rows, least, parts, monkeypatch):
    monkeypatch.setenv(threads.VARIABLE, "3")
    done, pieces = np.zeros(rows, int), []

    def work(part: slice) -> None:
        done[part] += 1
        pieces.append(part)

    threads.share(rows, work, least)
    assert (done == 1).all()
    assert len(pieces) == parts


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch):
    monkeypatch.setenv(threads.VARIABLE, "2")

    def work(part: slice) -> None:
        if part.start:
            raise ZeroDivisionError("in the second half")

    with pytest.raises(ZeroDivisionError, match="second half"):
        threads.share(10, work, 1)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(value, monkeypatch):
    monkeypatch.setenv(threads.VARIABLE, value)
    with pytest.raises(ValueError, match="SSL4RL_THREADS must be a whole number"):
        threads.count()


def test_threads_are_started_anew_after_a_fork(monkeypatch):
    monkeypatch.setenv(threads.VARIABLE, "2")
    code = (
        "import os\n"
        "from ssl4rl_envs.kernels import threads\n"
        "threads.share(10, lambda part: None, 1)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    threads.share(10, lambda part: None, 1)\n"
        "    os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == "7\n"


FIRST = (
    "import sys, time\n"
    "from ssl4rl_envs import Stream, kernels, make_task\n"
    "kernels.HEAD_START = {head_start}\n"
    "task = make_task('SSL4RL/Rotation-v0', source='digits', image_size=36)\n"
    "first = task.sample(Stream.span('train', 0, 0, 3)).observation['image']\n"
    "print('numba' in sys.modules)\n"
)


def said_by(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    return done.stdout.split()


def test_what_was_never_compiled_is_compiled_at_once():
    assert not kernels._at_the_beginning("an area of which nothing is on the disk")


def test_numpy_makes_the_first_questions_where_the_compiled_kernels_need_only_be_loaded():
    pytest.importorskip("numba")
    said_by(FIRST.format(head_start=0))  # compiled by now, if it was not
    code = FIRST.format(head_start=600) + (
        "kernels.HEAD_START = 0\n"
        "again = task.sample(Stream.span('train', 0, 0, 3)).observation['image']\n"
        "print('numba' in sys.modules, (first == again).all())\n"
    )
    assert said_by(code) == ["False", "True", "True"]


def test_numba_is_loaded_before_a_fork_so_that_children_share_it():
    pytest.importorskip("numba")
    said_by(FIRST.format(head_start=0))
    code = FIRST.format(head_start=600) + (
        "import os\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit('numba' in sys.modules)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 'numba' in sys.modules)\n"
    )
    assert said_by(code) == ["False", "1", "True"]


def test_a_numba_of_another_build_is_told_of_and_done_without(monkeypatch):
    def warm(module):
        raise AttributeError("'Dispatcher' object has no attribute '_cache'")

    monkeypatch.setattr(kernels, "_warm", warm)
    kernels.implementation.cache_clear()
    try:
        with pytest.warns(UserWarning, match="unlike those that ssl4rl knows .*'_cache'.* run in NumPy"):
            found = kernels.implementation("looks")
        assert found.__name__ == "ssl4rl_envs.kernels.reference.looks"
        with pytest.raises(AttributeError):
            kernels.implementation("looks", "numba")
    finally:
        kernels.implementation.cache_clear()
