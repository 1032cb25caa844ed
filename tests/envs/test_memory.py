"""Memory that is used again never shows: an array is its owner's until nobody holds it."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

from ssl4rl_envs import memory
from ssl4rl_envs.memory import LEAST, Pool, copy_of

LARGE = (3, LEAST)


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_once_the_array_and_all_its_views_are_gone():
    pool = Pool()
    array = pool.array(LARGE, np.uint8)
    first, row, turned = address(array), array[1], array.T[::2]
    for held in ("array", "row", "turned"):
        assert address(pool.array(LARGE, np.uint8)) != first, held
        pool.release()
        if held == "array":
            del array
        elif held == "row":
            del row
    del turned
    gc.collect()
    assert address(pool.array(LARGE, np.uint8)) == first


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float64, bool])
@pytest.mark.parametrize("shape", [LARGE, (2, 2, LEAST // 2 + 1), (0, 7), (), (5,)])
def test_arrays_are_like_those_of_numpy(shape, dtype):
    array, expected = Pool().array(shape, dtype), np.empty(shape, dtype)
    assert (array.shape, array.dtype, array.strides) == (expected.shape, expected.dtype, expected.strides)
    assert array.flags.writeable
    assert array.flags.aligned
    assert type(array) is np.ndarray
    array[...] = 1
    for again in (pickle.loads(pickle.dumps(array)), copy.deepcopy(array)):
        assert np.array_equal(again, array)


def test_no_more_than_the_bound_waits_and_release_gives_all_back():
    pool = Pool(most_idle=5 * LEAST)
    held = [pool.array((size * LEAST,), np.uint8) for size in (1, 2, 3)]
    assert pool.idle == 0
    del held
    assert 0 < pool.idle <= 5 * LEAST
    pool.release()
    assert pool.idle == 0


def test_sizes_are_rounded_by_an_eighth_at_most():
    for count in (*range(LEAST, LEAST + 2000, 37), 3 * LEAST + 5, 2**33 + 1, 2**33 - 1, 2**33):
        assert count <= memory._rounded(count) <= count + count // 8 + 1


def test_many_threads_never_share_memory():
    pool, wrong = Pool(), []

    def work(number):
        for turn in range(60):
            array = pool.array(LARGE, np.uint8)
            array[:, :: LEAST // 4] = number
            if turn % 3 == 0:
                kept = array  # noqa: F841 (held a while, so that memory is returned in another order)
            if not (array[:, :: LEAST // 4] == number).all():
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_copies_are_equal_and_the_owners_own(monkeypatch):
    monkeypatch.setenv("SSL4RL_THREADS", "3")
    for values in (
        np.arange(12).reshape(3, 4),
        np.arange(9 * LEAST, dtype=np.int32).reshape(9, -1)[:, ::2],
        np.array(["a", None]),
    ):
        made = copy_of(values)
        assert np.array_equal(made, values)
        assert made.flags.c_contiguous
        assert not np.shares_memory(made, values)


def test_a_process_that_was_forked_has_a_pool_of_its_own():
    code = (
        "import os, numpy as np\n"
        "from ssl4rl_envs import memory\n"
        "memory._POOL._lock.acquire()\n"  # as another thread might hold it
        "child = os.fork()\n"
        "if child == 0:\n"
        "    memory.recycled((4 << 20,), np.uint8)[:] = 1\n"
        "    os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == "7\n"


def test_as_much_waits_as_is_in_use():
    """Batches that are larger than what waits at most are made again and again in the same pieces of memory."""
    pool = Pool(most_idle=0)
    held = [pool.array(LARGE, np.uint8) for _ in range(2)]
    first = {address(array) for array in held}
    more = [pool.array(LARGE, np.uint8) for _ in range(2)]
    del held
    assert pool.idle >= 2 * more[0].nbytes
    again = [pool.array(LARGE, np.uint8) for _ in range(2)]
    assert {address(array) for array in again} == first
    del more, again
    assert pool.idle == 0
