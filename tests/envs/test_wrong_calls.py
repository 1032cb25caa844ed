"""What environments are not asked for rightly is an error that says what was wrong and what would be right."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError

SMALL: dict[str, Any] = {"source": "digits", "image_size": 36}


def one(**arguments: Any) -> Any:
    return gym.make("SSL4RL/Rotation-v0", **SMALL, **arguments).unwrapped


def two(**arguments: Any) -> Any:
    return gym.make_vec("SSL4RL/Rotation-v0", num_envs=2, **SMALL, **arguments)


# Closed environments


@pytest.mark.parametrize(("make", "which"), [(one, "this environment was closed"), (two, "these environments were closed")])
@pytest.mark.parametrize("interface", ["array", "text"])
def test_a_closed_environment_neither_asks_nor_listens(make, which, interface):
    env = make(interface=interface)
    env.reset(seed=0)
    action = env.action_space.sample()
    env.close()
    for call in (lambda: env.step(action), env.reset, lambda: env.reset(seed=1)):
        with pytest.raises(ClosedEnvironmentError, match=rf"{which}; make .* before (step|reset)\(\)"):
            call()
    env.close()


# Options and seeds of reset


@pytest.mark.parametrize(
    ("make", "options", "error", "words"),
    [
        (one, {"idx": 3}, ValueError, r"reset\(\) knows no option idx; it takes index$"),
        (one, {"reset_mask": np.ones(1, bool)}, ValueError, "knows no option reset_mask; it takes index$"),
        (two, {"idx": 3, 4: 5}, ValueError, "knows no option 4, idx; it takes index and reset_mask"),
        (one, [3], TypeError, r"options of reset\(\) are a dict, e\.g\. \{'index': 3\}, got list"),
        (two, "index", TypeError, "are a dict.*got str"),
        (one, {"index": -1}, ValueError, "index must be integers"),
        (one, {"index": 1.5}, ValueError, "index must be integers"),
        (one, {"index": "3"}, ValueError, "index must be integers"),
        (one, {"index": True}, ValueError, "index must be integers"),
        (one, {"index": [1, 2]}, ValueError, "need one index, got 2"),
        (
            one,
            {"index": 1 << 63},
            ValueError,
            f"at most {(1 << 63) - 1}, as far as episodes are counted, got {1 << 63}",
        ),
        (two, {"index": (1 << 64) - 1}, ValueError, f"index must be at most {(1 << 63) - 1}"),
        (two, {"index": [1, 2, 3]}, ValueError, "need one index for all or 2, one an environment, got 3"),
        (two, {"index": [1, -2]}, ValueError, "index must be integers"),
        (two, {"reset_mask": [True, False]}, ValueError, r"reset_mask must be a bool array of shape \(2,\)"),
    ],
)
def test_wrong_options_of_reset(make, options, error, words):
    env = make()
    with pytest.raises(error, match=words):
        env.reset(seed=0, options=options)


@pytest.mark.parametrize(
    ("seed", "error", "words"),
    [
        ("ab", TypeError, "seed is a whole number, or 2 of them, one an environment, got 'ab'"),
        (1.5, TypeError, "seed is a whole number"),
        ([1, 2, 3], ValueError, "need 2 seeds, one an environment, got 3"),
        ([1, -2], ValueError, "seed must be integers"),
    ],
)
def test_wrong_seeds_of_many(seed, error, words):
    with pytest.raises(error, match=words):
        two().reset(seed=seed)


def test_numbers_of_numpy_are_seeds_and_indices(same):
    env = two()
    same(env.reset(seed=np.int64(3), options={"index": np.array([4, 5])}), env.reset(seed=3, options={"index": [4, 5]}))
    same(env.reset(seed=np.array([3, 9]), options={"index": (7,)}), env.reset(seed=[3, 9], options={"index": np.uint8(7)}))


# Batches of actions


@pytest.mark.parametrize("interface", ["array", "text"])
@pytest.mark.parametrize(
    ("actions", "error", "words"),
    [
        (None, TypeError, "need a sequence of 2 actions, one an environment, got one NoneType"),
        (3, TypeError, "got one int"),
        (np.array(3), TypeError, "got one ndarray"),
        (np.int64(3), TypeError, "got one int64"),
        ("ab", TypeError, "got one str"),
        ({0: 1, 1: 2}, TypeError, "got one dict"),
        ({0, 1}, TypeError, "got one set"),
        (iter([0, 1]), TypeError, "got one list_iterator"),
        ([0], ValueError, "need 2 actions, one an environment, got 1"),
        (np.zeros(3, int), ValueError, "need 2 actions, one an environment, got 3"),
        (("a", "b", "c"), ValueError, "need 2 actions, one an environment, got 3"),
    ],
)
def test_what_is_not_as_many_actions_as_environments(interface, actions, error, words):
    env = two(interface=interface)
    env.reset(seed=0)
    with pytest.raises(error, match=words):
        env.step(actions)
    env.step(env.action_space.sample())  # the questions are still open


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ([0, 4], r"action 4 lies outside the action space Discrete\(4\)$"),
        (np.array([0.0, 1.0]), "of type float64, and whole numbers are needed"),
        ([True, False], "of type bool, and whole numbers are needed"),
        (["0", "1"], "of type <U1, and whole numbers are needed"),
        (np.zeros((2, 1), int), r"of shape \(1,\), and \(\) is needed"),
        ([[1], [1, 2]], r"actions must each be of the shape \(\) of the action space Discrete\(4\)"),
    ],
)
def test_actions_that_are_none_of_the_space(actions, words):
    env = two()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=words):
        env.step(actions)


def test_words_in_any_sequence_are_actions():
    env = two(interface="text")
    for actions in (("a", "b"), ["a", "b"], np.array(["a", "b"]), np.array(["a", "b"], object)):
        env.reset(seed=0)
        assert env.step(actions)[1].tolist() == [0, 0]


def test_an_index_counts_episodes_of_groups():
    """Beyond, the number of the episode would have wrapped around, and another question would have been asked."""
    last = ((1 << 63) - 1) // 4
    for make in (one, two):
        env = make(group_size=4)
        with pytest.raises(ValueError, match=f"index must be at most {last}"):
            env.reset(seed=0, options={"index": last + 1})
        _, info = env.reset(seed=0, options={"index": last})
        assert np.all(info["index"] == last)
