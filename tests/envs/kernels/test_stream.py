"""The kernels of streams: compiled and NumPy give the same bits, whatever the keys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream
from ssl4rl_envs.kernels import implementation, stream, threads
from ssl4rl_envs.kernels.reference import stream as reference
from ssl4rl_envs.stream import _chain

WORD = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63, 2**64 - 1]))


@settings(max_examples=60, deadline=None)
@given(keys=st.lists(WORD, max_size=6), word=WORD, count=st.integers(0, 70), seed=st.integers(0, 2**32))
def test_compiled_numbers_are_those_of_the_reference(keys, word, count, seed):
    compiled = implementation("stream")
    if compiled is reference:
        pytest.skip("numba cannot be imported")
    rng = np.random.default_rng(seed)
    given_keys, call = np.array(keys, np.uint64), np.uint64(word)
    size = (len(keys), count)
    low, width = rng.integers(-(2**40), 2**40, size), rng.integers(-2, rng.choice([3, 2**32]), size)
    columns = rng.integers(0, 2**64, size, np.uint64)
    calls = {
        "begin": (np.uint64, len(keys), (call, given_keys, given_keys[::-1].copy())),
        "derive": (np.uint64, len(keys), (given_keys, given_keys[::-1].copy())),
        "words": (np.uint64, size, (given_keys, call)),
        "uniform": (np.float64, size, (given_keys, call)),
        "integers": (np.int64, size, (given_keys, call, np.int64(-5), np.uint64(max(1, word % 2**32)))),
        "bounded": (np.int64, size, (given_keys, call, low, width)),
        "permutation": (np.int64, size, (given_keys, call)),
    }
    for name, (dtype, shape, arguments) in calls.items():
        one, other = np.zeros(shape, dtype), np.zeros(shape, dtype)
        getattr(compiled, name)(one, *arguments)
        getattr(reference, name)(other, *arguments)
        assert np.array_equal(one, other), name
    one, other = np.zeros(len(keys), np.uint64), np.zeros(len(keys), np.uint64)
    compiled.derive(one, given_keys, np.array([call]))
    reference.derive(other, given_keys, np.array([call]))
    assert np.array_equal(one, other)
    one, other = given_keys.copy(), given_keys.copy()
    compiled.fold(one, columns)
    reference.fold(other, columns)
    assert np.array_equal(one, other)


@given(key=WORD, word=WORD)
def test_seeds_are_hashed_as_arrays_are(key, word):
    assert _chain(key, word) == int(reference.chain(np.array([key], np.uint64), np.array([word], np.uint64))[0])


def test_permutations_are_the_stable_order_of_their_words():
    for area in (implementation("stream"), reference):
        out = np.empty((1, 5), np.int64)
        area.permutation(out, np.array([3], np.uint64), np.uint64(9))
        assert out.tolist() == np.argsort(stream.words(np.array([3], np.uint64), 9, 5), kind="stable").tolist()


@pytest.mark.parametrize("count", [stream.PERMUTED, stream.PERMUTED + 1])
def test_long_permutations_go_on_where_short_ones_end(count):
    rows = Stream.span("test", 1, 0, 3)
    assert np.array_equal(rows.permutation(count), np.argsort(Stream.span("test", 1, 0, 3).words((count,)), kind="stable"))


def test_numbers_do_not_depend_on_threads(monkeypatch):
    draws = []
    for count in ("1", "3"):
        monkeypatch.setenv(threads.VARIABLE, count)
        rows = Stream.span("train", 7, 0, 5_000)
        draws.append([rows.words((40,)), rows.uniform((50,)), rows.integers(0, 9, (30,)), rows.permutation(30)])
        draws[-1].append(rows.integers(np.arange(5_000)[:, None], np.arange(5_000)[:, None] + 3, (30,)))
    assert all(np.array_equal(one, other) for one, other in zip(*draws, strict=True))
