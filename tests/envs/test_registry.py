"""Every registered environment keeps the contract of Gymnasium and of this suite, through every interface it has."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import os
import re
import subprocess
import sys
import typing
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

import ssl4rl_envs
from ssl4rl_envs import Stream, registration, rendering
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.registration import TABLE, short_name
from ssl4rl_envs.sources import PICTURES
from ssl4rl_envs.sources.scenes import scenes
from ssl4rl_envs.speech import MAX_REPLY
from ssl4rl_envs.stream import SPLITS


def digest(observation: dict[str, Any]) -> str:
    """A hash of the bits of one observation: names, shapes, types and values."""
    state = hashlib.sha256()
    for name in sorted(observation):
        value = observation[name]
        array = np.frombuffer(value.encode(), np.uint8) if isinstance(value, str) else np.ascontiguousarray(value)
        state.update(f"{name} {array.shape} {array.dtype.str}".encode() + array.tobytes())
    return state.hexdigest()


def play(env: gym.Env, action: Any) -> tuple[Any, ...]:
    """Answer `action` until the episode ends; the last step's result."""
    for _ in range(env.unwrapped.task.horizon):
        result = env.step(action)
        if result[2] or result[3]:
            return result
    raise AssertionError("the episode outlived the task's horizon")


def some_action(env: gym.Env) -> Any:
    if isinstance(env.action_space, spaces.Text):
        return "<answer>what?</answer>"
    env.action_space.seed(0)
    return env.action_space.sample()


@pytest.fixture
def strict():
    """Every warning is an error, those of Gymnasium's logger among them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# Checkers


def test_gymnasiums_checker_passes_without_a_warning(env_id, interface, headless, strict):
    env = gym.make(env_id, interface=interface)
    check_env(env.unwrapped)
    env.close()


@pytest.mark.slow
def test_stable_baselines3s_checker_passes(env_id, headless):
    from stable_baselines3.common.env_checker import check_env as check_for_stable_baselines3

    env = gym.make(env_id).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*unconventional shape.*")
        check_for_stable_baselines3(env)


def test_boxes_are_finite_and_continuous_actions_are_normalised(env_id, build):
    task = build(env_id)
    for space in task.observation_space.values():
        if isinstance(space, spaces.Discrete):
            continue
        assert isinstance(space, spaces.Box)
        assert np.isfinite(space.low).all()
        assert np.isfinite(space.high).all()
    if isinstance(task.action_space, spaces.Box):
        assert (task.action_space.low >= -1).all()
        assert (task.action_space.high <= 1).all()


def test_images_are_uint8_rgb(env_id, build):
    task = build(env_id)
    for name in task.images:
        space = task.observation_space[name]
        assert space.dtype == np.uint8
        assert len(space.shape) == 3
        assert space.shape[2] == 3
        assert min(space.shape[:2]) >= 36, "stable-baselines3's CNN needs 36 x 36"


def test_observations_lie_in_their_space_in_every_split(env_id, interface):
    for split in SPLITS:
        env = gym.make(env_id, interface=interface, split=split)
        for seed in (0, None, None):
            observation, _ = env.reset(seed=seed)
            assert observation in env.observation_space
            final, reward, *_ = play(env, some_action(env))
            assert final in env.observation_space
            assert isinstance(reward, float)
            assert 0 <= reward <= 1


# Specs and constructors


def test_a_spec_survives_json_and_makes_the_same_environment(env_id, interface):
    env = gym.make(env_id, interface=interface, split="validation", render_mode="rgb_array")
    restored = EnvSpec.from_json(env.spec.to_json())
    other = gym.make(restored)
    assert other.unwrapped.split == "validation"
    assert other.render_mode == "rgb_array"
    assert (other.observation_space, other.action_space) == (env.observation_space, env.action_space)
    assert digest(other.reset(seed=3)[0]) == digest(env.reset(seed=3)[0])
    assert digest(other.reset()[0]) == digest(env.reset()[0])


def test_the_registered_id_is_versioned_and_unwrapped_by_time_limits(env_id):
    spec = gym.spec(env_id)
    assert spec.namespace == "SSL4RL"
    assert spec.version is not None
    assert spec.max_episode_steps is None, "horizons live in the task"
    assert spec.vector_entry_point is not None


def test_registering_again_changes_nothing():
    before = {env_id: gym.spec(env_id) for env_id in ssl4rl_envs.env_ids()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ssl4rl_envs.register_all()
    assert ssl4rl_envs.env_ids() == list(before)
    assert all(gym.spec(env_id) is spec for env_id, spec in before.items())


def test_a_task_is_built_without_an_environment(kind_id):
    task = ssl4rl_envs.make_task(kind_id)
    assert isinstance(task, ssl4rl_envs.task_class(kind_id))
    assert task.observation_space == gym.make(kind_id).observation_space


def test_a_built_task_can_be_shared_by_environments(kind_id, build):
    task = build(kind_id)
    env = ssl4rl_envs.SSLEnv(task)
    assert env.task is task
    with pytest.raises(TypeError, match="built already"):
        ssl4rl_envs.SSLEnv(task, image_size=64)


def test_unknown_arguments_are_errors_that_list_the_known(kind_id):
    known = list(inspect.signature(ssl4rl_envs.task_class(kind_id)).parameters)
    said = "unexpected keyword argument 'frame_skip'"
    with pytest.raises(TypeError, match=rf"{said}; it takes {', '.join(known)}, level, pairing"):
        ssl4rl_envs.make_task(kind_id, frame_skip=3)
    for make in (gym.make, gym.make_vec):
        with pytest.raises(TypeError, match=said):
            make(kind_id, frame_skip=3)


def test_an_unknown_argument_names_the_nearest():
    with pytest.raises(TypeError, match="'imagesize'; did you mean 'image_size'"):
        gym.make("SSL4RL/Rotation-v0", imagesize=36)


def wrong_values(hint):
    """Values that a hint does not mean, though Python or NumPy would reckon with them."""
    numbers = [True, np.True_, 2.5, 4.0, float("nan"), float("inf"), "4", None, [4]]
    if hint is int:
        return numbers
    if hint is float:
        return [True, np.True_, float("nan"), float("-inf"), "0.3", None]
    if hint is bool:
        return [0, 1, 1.0, "no", None]
    if hint is str:
        return [3, True, None]
    if hint == tuple[int, ...]:
        return [5, "5", [2.5, 2], (True, 2), (float("nan"), 1)]
    if hint == tuple[float, ...]:
        return [0.5, ["0.5"], [float("nan")], [True]]
    if hint == tuple[str, ...]:
        return ["Rotation", [3]]
    return []


def test_arguments_are_of_the_types_they_say(env_id):
    hints = typing.get_type_hints(ssl4rl_envs.task_class(env_id).__init__)
    del hints["source"]
    for name in hints.keys() - {"return"}:
        values = wrong_values(hints[name])
        assert values, f"{name} is a {hints[name]}, which is not looked at"
        for value in values:
            with pytest.raises((TypeError, ValueError), match=f"{name} .*must be") as made:
                ssl4rl_envs.make_task(env_id, **{name: value})
            with pytest.raises(made.type) as direct:
                ssl4rl_envs.task_class(env_id)(**{name: value})
            assert str(direct.value) == str(made.value)


def test_numpy_numbers_and_lists_are_as_good_as_pythons():
    plain = ssl4rl_envs.make_task("SSL4RL/Rotation-v0", source="digits", image_size=36, angles=4, reference=True)
    of_numpy = {"image_size": np.int64(36), "angles": np.uint8(4), "reference": np.True_}
    assert ssl4rl_envs.make_task("SSL4RL/Rotation-v0", source="digits", **of_numpy) is plain
    lists = ssl4rl_envs.make_task("SSL4RL/EdgePrediction-v0", source="sbm:500", fanouts=[3, np.int32(2)])
    assert lists is ssl4rl_envs.make_task("SSL4RL/EdgePrediction-v0", source="sbm:500", fanouts=(3, 2))


@pytest.mark.parametrize("name", ["num_envs", "group_size", "attempts"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True, np.True_, float("nan"), "2", None])
def test_counts_of_environments_are_whole_numbers(name, value):
    task = ssl4rl_envs.make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, got"):
        ssl4rl_envs.SSLVectorEnv(task, **{name: value})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "val"}, "train, validation, test"),
        ({"interface": "pixels"}, "array, text"),
        ({"render_mode": "rgb"}, "rgb_array.*ansi"),
        ({"interface": "text", "prompt_style": "cot"}, "direct, think"),
    ],
)
def test_wrong_arguments_are_errors_that_list_the_right_ones(kind_id, arguments, message):
    for make in (ssl4rl_envs.SSLEnv, ssl4rl_envs.SSLVectorEnv):
        with pytest.raises(ValueError, match=message):
            make(gym.spec(kind_id).kwargs["task"], **arguments)


def test_tasks_without_words_refuse_the_text_interface(kind_id, build, monkeypatch):
    task = build(kind_id)
    monkeypatch.setattr(type(task), "has_text", False)
    for make in (ssl4rl_envs.SSLEnv, ssl4rl_envs.SSLVectorEnv):
        make(task)
        with pytest.raises(ValueError, match="no text interface"):
            make(task, interface="text")


def test_names_outside_the_suite_are_errors():
    """And the nearest is named, where one is near."""
    with pytest.raises(ValueError, match=r"unknown environment 'CartPole-v1'; known are Rotation, "):
        ssl4rl_envs.task_class("CartPole-v1")
    with pytest.raises(ValueError, match=r"unknown environment 'SSL4RL/Rotatoin-v0'; did you mean 'Rotation'\?"):
        ssl4rl_envs.make_task("SSL4RL/Rotatoin-v0")
    with pytest.raises(ValueError, match="unknown environment 'Rotation-v7'; did you mean 'Rotation'"):
        ssl4rl_envs.env_id_of("Rotation-v7")


def test_an_environment_may_be_named_in_short(env_id):
    bare, short = env_id.removeprefix("SSL4RL/"), short_name(env_id)
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", short).lower()
    for name in (
        env_id,
        bare,
        short,
        f"SSL4RL/{short}",
        f"ssl4rl_envs:{env_id}",
        short.upper(),
        snake,
        snake.replace("_", "-"),
    ):
        assert ssl4rl_envs.env_id_of(name) == env_id
        assert ssl4rl_envs.task_class(name) is ssl4rl_envs.task_class(env_id)


def test_a_short_name_means_the_newest_version():
    gym.register(
        "SSL4RL/Rotation-v11", entry_point="ssl4rl_envs.env:SSLEnv", kwargs={"task": "ssl4rl_envs.images.rotation:Rotation"}
    )
    try:
        assert ssl4rl_envs.env_id_of("rotation") == "SSL4RL/Rotation-v11"
        assert ssl4rl_envs.env_id_of("rotation-v0") == "SSL4RL/Rotation-v0"
    finally:
        del gym.registry["SSL4RL/Rotation-v11"]


# Reset and step


def test_reset_with_a_seed_restarts_and_without_one_moves_on(kind_id, interface):
    env = gym.make(kind_id, interface=interface)
    first = [env.reset(seed=5), env.reset(), env.reset()]
    again = [env.reset(seed=5), env.reset(), env.reset()]
    assert [info["index"] for _, info in first] == [info["index"] for _, info in again] == [0, 1, 2]
    assert [digest(observation) for observation, _ in first] == [digest(observation) for observation, _ in again]
    assert len({digest(observation) for observation, _ in first}) == 3


def test_steps_and_random_numbers_of_others_do_not_move_the_stream(kind_id, interface):
    quiet, busy = gym.make(kind_id, interface=interface), gym.make(kind_id, interface=interface)
    quiet.reset(seed=1)
    busy.reset(seed=1)
    play(busy, some_action(busy))
    busy.unwrapped.np_random.random(100)
    np.random.default_rng(0).random(10)
    assert digest(quiet.reset()[0]) == digest(busy.reset()[0])


def test_without_a_seed_two_environments_differ_and_each_goes_on(kind_id):
    def picture(env: gym.Env) -> str:
        observation, _ = env.reset()
        return digest(observation)

    envs = [gym.make(kind_id) for _ in range(3)]
    assert len({picture(env) for env in envs for _ in range(3)}) == 9
    assert [env.unwrapped.reset()[1]["index"] for env in envs] == [3, 3, 3]


def test_neighbouring_seeds_ask_different_questions(env_id, build):
    task = build(env_id)
    batch = task.sample(Stream("train", np.repeat(np.arange(10), 5), np.tile(np.arange(5), 10)))
    asked = [batch.rows(slice(i, i + 1)) for i in range(50)]
    different = len({digest(one.observation | one.memory) for one in asked})  # pictures that are covered are remembered
    assert different > (35 if isinstance(task, GraphTask) else 49), "graphs have few nodes of some kinds to ask about"


@pytest.mark.parametrize("seed", [-1, 1.5, "0"])
def test_seeds_that_are_none_are_errors(kind_id, seed):
    with pytest.raises((gym.error.Error, ValueError, TypeError)):
        gym.make(kind_id).unwrapped.reset(seed=seed)


def test_stepping_before_the_first_reset_is_an_error(kind_id, interface):
    env = gym.make(kind_id, interface=interface).unwrapped
    with pytest.raises(RuntimeError, match="reset"):
        env.step(some_action(env))
    with pytest.raises(RuntimeError, match="reset"):
        _ = env.batch


def test_stepping_after_the_end_is_an_error(kind_id, interface):
    env = gym.make(kind_id, interface=interface).unwrapped
    env.reset(seed=0)
    play(env, some_action(env))
    with pytest.raises(RuntimeError, match="reset"):
        env.step(some_action(env))
    env.reset()
    env.step(some_action(env))


def test_observations_belong_to_the_caller(kind_id, interface):
    """Writing into an observation changes neither the instance nor what is seen later."""
    env = gym.make(kind_id, interface=interface).unwrapped
    observation, _ = env.reset(seed=0)
    before = digest(observation)
    for value in observation.values():
        if isinstance(value, np.ndarray):
            value[...] = 0
    final, *_ = env.step(some_action(env))
    if env.task.horizon == 1:
        assert digest(final) == before


# What is hidden


def test_the_target_is_told_at_the_end_alone(kind_id, interface):
    env = gym.make(kind_id, interface=interface)
    _, info = env.reset(seed=0)
    facts = {"index", *env.unwrapped.task.info(env.unwrapped.batch)}
    expected = {"success", "is_success", "target"} | facts | ({"valid", "parsed", "truth"} if interface == "text" else set())
    untold = {name: value for name, value in info.items() if name not in facts}
    *_, last = play(env, some_action(env))
    _, after = env.reset()
    for found in (info, last, after):
        assert set(found) == expected
        assert {name: (type(value), np.shape(value)) for name, value in found.items()} == {
            name: (type(value), np.shape(value)) for name, value in info.items()
        }
    assert np.array_equal(last["target"], env.unwrapped.task.sample(Stream("train", [0], [0])).target[0])
    assert not np.array_equal(last["target"], untold["target"])
    assert type(last["success"]) is bool
    assert type(last["index"]) is int
    for found in (env.reset()[1], env.reset(seed=77)[1]):  # the same for every question
        assert all(np.array_equal(found[name], value) for name, value in untold.items())


def test_nothing_that_is_shown_reads_the_target(env_id, interface, build):
    """With the targets of other instances, prompts, questions, observations and pictures stay what they were."""
    task = build(env_id)
    side = Interface(task, interface, "direct")
    batch = task.sample(Stream("train", np.zeros(16, int), np.arange(16)))
    swapped = dataclasses.replace(batch, target=batch.target[::-1].copy())
    assert not np.array_equal(batch.target, swapped.target)
    shown, other = side.observe(batch), side.observe(swapped)
    assert shown.keys() == other.keys()
    assert all(np.array_equal(shown[name], other[name]) for name in shown)
    assert task.question(batch) == task.question(swapped)
    for row in range(16):
        cards = [rendering.card(task, one, row, None) for one in (batch, swapped)]
        assert np.array_equal(*(rendering.draw(card) for card in cards))


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
def test_the_verdict_is_drawn_at_the_end_alone(kind_id, interface, mode):
    env = gym.make(kind_id, interface=interface, render_mode=mode)
    env.reset(seed=0)
    asked = env.render()
    assert np.array_equal(asked, env.render())
    play(env, some_action(env))
    told = env.render()
    assert not np.array_equal(asked, told)
    env.reset(seed=0)
    assert np.array_equal(asked, env.render())
    if mode == "ansi":
        assert "reward" not in asked
        assert ("truth" if env.unwrapped.task.has_text else "reward") in told


def test_render_modes_give_what_they_say(kind_id, interface):
    env = gym.make(kind_id, interface=interface, render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    env = gym.make(kind_id, interface=interface, render_mode="ansi")
    env.reset(seed=0)
    assert isinstance(env.render(), str)
    env.close()
    env.close()


def test_rendering_without_a_mode_warns_and_draws_nothing(kind_id):
    env = gym.make(kind_id).unwrapped
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render mode"):
        assert env.render() is None


def test_human_rendering_without_a_display_is_a_clear_error(kind_id, headless):
    with pytest.raises(ValueError, match=r"no display.*rgb_array"):
        gym.make(kind_id, render_mode="human")
    assert "human" not in gym.make(kind_id).unwrapped.metadata["render_modes"]


# The same instance everywhere


SEEDS = (0, 7, 2**40)
COUNT = 6


def scalar_digests(env_id: str, interface: str, split: str, seed: int) -> list[str]:
    env = gym.make(env_id, interface=interface, split=split)
    return [digest(env.reset(seed=seed if i == 0 else None)[0]) for i in range(COUNT)]


def test_an_instance_is_the_same_bits_in_every_batch_and_environment(env_id, interface, build):
    task = build(env_id)
    side = Interface(task, interface, "direct")
    for split in SPLITS:
        for seed in SEEDS:
            expected = scalar_digests(env_id, interface, split, seed)
            for size in (1, 2, COUNT, 4 * COUNT):
                rows = np.arange(size) % COUNT
                shown = side.observe(task.sample(Stream(split, np.full(size, seed), rows)))
                got = [digest({name: values[i] for name, values in shown.items()}) for i in range(size)]
                assert got == [expected[row] for row in rows]


def test_vector_environments_ask_the_same_instances(kind_id, interface):
    env = gym.make_vec(kind_id, num_envs=3, interface=interface, split="test")
    shown, _ = env.reset(seed=list(SEEDS))
    expected = [scalar_digests(kind_id, interface, "test", seed) for seed in SEEDS]
    for index in range(COUNT):
        for row in range(len(SEEDS)):
            assert digest({name: values[row] for name, values in shown.items()}) == expected[row][index]
        shown, _ = env.reset()


SCRIPT = """
import hashlib, json, sys
from typing import Any
import gymnasium as gym
import numpy as np
import ssl4rl_envs
COUNT = 6
%s
%s
print(json.dumps([scalar_digests(*case) for case in json.loads(sys.argv[1])]))
"""


def test_an_instance_is_the_same_bits_in_a_fresh_process(build, monkeypatch):
    names = [(row.id, side) for row in TABLE for side in ("array", "text")]
    names = [(env_id, side) for env_id, side in names if side == "array" or build(env_id).has_text]
    cases = [(*name, split, seed) for name in names for split, seed in (("train", 0), ("test", 2**40))]
    monkeypatch.setitem(PICTURES, "scenes", scenes)  # as in the fresh process
    registration._build_once.cache_clear()
    script = SCRIPT % (inspect.getsource(digest), inspect.getsource(scalar_digests))
    command = [sys.executable, "-c", script, json.dumps(cases)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": "123"})
    assert json.loads(run.stdout) == [scalar_digests(*case) for case in cases]
    registration._build_once.cache_clear()


@pytest.mark.parametrize("name", [row.id for row in TABLE if row.task.startswith("ssl4rl_envs.images")])
def test_questions_about_real_scenes_are_the_same_bits_in_every_batch(name):
    task = ssl4rl_envs.make_task(name, source=scenes())
    together = task.sample(Stream("test", np.full(24, 5), np.arange(24)))
    assert np.allclose(task.score(task.oracle(together), together).reward, 1) or task.horizon > 1
    for row in (0, 7, 23):
        alone = task.sample(Stream("test", [5], [row]))
        assert digest(alone.rows(slice(0, 1)).observation) == digest(together.rows(slice(row, row + 1)).observation)
        assert np.array_equal(alone.target[0], together.target[row])


def test_targets_do_not_depend_on_the_batch(env_id, build):
    task = build(env_id)
    together = task.sample(Stream("train", np.zeros(40, int), np.arange(40)))
    order = np.random.default_rng(0).permutation(40)
    shuffled = task.sample(Stream("train", np.zeros(40, int), order))
    assert np.array_equal(together.target[order], shuffled.target)
    assert np.array_equal(together.items[order], shuffled.items)


def test_sampling_is_pure(env_id, build):
    """It neither reads nor moves anybody's random numbers, and two calls give the same whatever was answered between them."""
    task = build(env_id)
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (to see that it is left alone)
    first = task.sample(Stream("train", [3, 3], [0, 1]))
    shown = digest(first.observation)
    task.advance(first, task.oracle(first))
    assert digest(first.observation) == shown, "an answer was written into what is asked"
    np.random.seed(0)  # noqa: NPY002
    second = task.sample(Stream("train", [3, 3], [0, 1]))
    np.random.seed(1)  # noqa: NPY002
    assert state.shape == (624,)
    assert np.array_equal(first.target, second.target)
    assert all(np.array_equal(first.observation[name], second.observation[name]) for name in first.observation)


def test_splits_share_no_source_item(env_id, build, batches):
    task = build(env_id)
    items = {}
    for split in SPLITS:
        used = np.concatenate([batch.items for batch in batches(task, split, 1, 0, 750)])
        items[split] = set(used[used >= 0].tolist())
    assert not items["train"] & items["validation"]
    assert not items["train"] & items["test"]
    assert not items["validation"] & items["test"]


# Actions


def test_array_actions_outside_the_space_are_errors(kind_id, build):
    env = gym.make(kind_id).unwrapped
    env.reset(seed=0)
    space = env.action_space
    bad: list[Any] = [None, "0", "<answer>0</answer>", 0.5, [], np.zeros(99), {}, np.nan]
    if isinstance(space, spaces.Discrete):
        bad += [int(space.start) + int(space.n), int(space.start) - 1, np.int64(space.n), 2**70, float(space.start)]
    elif isinstance(space, spaces.MultiDiscrete):
        bad += [np.asarray(space.nvec), -np.ones(space.shape, int), np.zeros((*space.shape, 1), int)]
    elif isinstance(space, spaces.Box):
        bad += [np.full(space.shape, 2.0, space.dtype), np.full(space.shape, np.nan, space.dtype)]
    for action in bad:
        with pytest.raises(ValueError, match="outside the action space"):
            env.step(action)
    env.step(some_action(env))


@pytest.mark.parametrize(
    "action", [None, 0, 1.5, b"<answer>0</answer>", ["<answer>0</answer>"], np.array(0), np.bytes_(b"a")]
)
def test_text_actions_that_are_no_strings_are_type_errors(text_kind, action):
    env = gym.make(text_kind, interface="text").unwrapped
    env.reset(seed=0)
    with pytest.raises(TypeError, match="must be a str"):
        env.step(action)
    assert env.step("still open")[1] == 0


def test_replies_that_are_too_long_score_nothing(text_kind):
    env = gym.make(text_kind, interface="text").unwrapped
    env.reset(seed=0)
    task = env.task
    right = f"<answer>{task.format_all(task.oracle(env.batch), env.batch)[0]}</answer>"
    longest = right.ljust(MAX_REPLY)
    assert longest in env.action_space
    assert longest + " " not in env.action_space
    _, reward, *_, info = env.step(longest + " ")
    assert (reward, info["valid"], info["parsed"]) == (0, False, "")
    env.reset(seed=0)
    assert env.step(longest)[1] > 0


def test_every_string_may_be_said(text_id):
    env = gym.make(text_id, interface="text").unwrapped
    for text in ("", "\x00", "\ud800", "日本語", "a" * 100_000, "<answer>", "\n" * 50):
        env.reset(seed=0)
        _, reward, _, _, info = env.step(text)
        assert reward == 0
        assert info["valid"] is False
        assert info["success"] is False


def test_prompts_are_printable_ascii_and_say_how_to_answer(text_id, style):
    env = gym.make(text_id, interface="text", prompt_style=style)
    observation, _ = env.reset(seed=0)
    assert observation["prompt"] in env.observation_space["prompt"]
    assert ("<answer>" in observation["prompt"]) == (style != "tool")  # whose schema says it
    assert ("<think>" in observation["prompt"]) == (style == "think")
    task = env.unwrapped.task
    assert task.valid(np.asarray(task.example())[None])[0]
    if not task.parts and style != "tool":
        assert f"<answer>{task.format(task.example())}</answer>" in observation["prompt"]
