"""What is made ahead is what would have been made when it was asked for."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import threading
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs.ahead import Ahead


def square(key):
    if key == 13:
        raise ValueError("13 has no square here")
    return key * key, threading.current_thread() is threading.main_thread()


@settings(max_examples=60, deadline=None)
@given(asked=st.lists(st.tuples(st.integers(0, 20), st.lists(st.integers(0, 20), max_size=3)), max_size=12))
def test_whatever_was_foreseen_what_is_asked_is_what_is_given(asked):
    ahead = Ahead(square)
    for key, following in asked:
        if key == 13:
            with pytest.raises(ValueError, match="13"):
                ahead.ask(key, following)
        else:
            assert ahead.ask(key, following)[0] == key * key
    ahead.close()


def test_what_was_foreseen_is_made_in_another_thread_and_once():
    made = []

    def make(key):
        made.append(key)
        return square(key)

    ahead = Ahead(make)
    assert ahead.ask(1, [2, 3]) == (1, True)
    assert ahead.ask(2, [3, 4]) == (4, False)
    assert ahead.ask(3, []) == (9, False)
    assert ahead.ask(9) == (81, True)
    ahead.close()
    assert made[:3] == [1, 2, 3]
    assert made.count(3) == 1


def test_an_error_ahead_is_raised_where_its_value_is_asked_for_or_never():
    ahead = Ahead(square)
    ahead.ask(1, [13, 2])
    with pytest.raises(ValueError, match="13 has no square"):
        ahead.ask(13, [2])
    assert ahead.ask(2, [13]) == (4, False)
    assert ahead.ask(3) == (9, True)
    ahead.close()


def test_closing_ends_the_thread_and_asking_again_starts_it_anew():
    before = threading.active_count()
    ahead = Ahead(square)
    for _ in range(2):
        ahead.ask(1, [2])
        assert threading.active_count() == before + 1
        ahead.close()
        ahead.close()
        assert threading.active_count() == before
        assert ahead.ask(2) == (4, True)


def test_the_thread_keeps_nobody_alive_and_ends_with_its_owner():
    class Owner:
        def __init__(self):
            self.ahead = Ahead(square)

    owner = Owner()
    owner.ahead.ask(1, [2, 3])
    (thread,) = owner.ahead._thread._threads
    alive = weakref.ref(owner)
    del owner
    gc.collect()
    assert alive() is None
    thread.join(timeout=20)
    assert not thread.is_alive()


def test_copies_and_pickles_begin_without_a_thread_and_give_the_same():
    ahead = Ahead(square)
    ahead.ask(1, [2])
    for other in (copy.deepcopy(ahead), copy.copy(ahead), pickle.loads(pickle.dumps(ahead))):
        assert other._thread is None
        assert other.ask(2, [3])[0] == 4
        assert other.ask(3) == (9, False)
        other.close()
    ahead.close()


def test_a_process_that_was_forked_makes_what_its_parent_was_making():
    code = (
        "import os, sys\n"
        "from ssl4rl_envs.ahead import Ahead\n"
        "ahead = Ahead(lambda key: key * key)\n"
        "ahead.ask(1, [2, 3, 4])\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    got = [ahead.ask(key, [key + 1]) for key in (2, 3, 4)]\n"
        "    ahead.close()\n"
        "    os._exit(7 if got == [4, 9, 16] else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == "7\n"
