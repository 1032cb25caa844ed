"""The vector environment gives what Gymnasium's own gives over single ones, by whole batches."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from ssl4rl_envs import SSLVectorEnv

N = 4


def pair(env_id: str, interface: str, count: int = N, **arguments: Any) -> tuple[SSLVectorEnv, SyncVectorEnv]:
    ours = gym.make_vec(env_id, num_envs=count, interface=interface, **arguments)
    theirs = gym.make_vec(
        env_id,
        num_envs=count,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        interface=interface,
        **arguments,
    )
    assert isinstance(ours.unwrapped, SSLVectorEnv)
    assert isinstance(theirs, SyncVectorEnv)
    return ours, theirs


def batch_of(actions: list[Any], interface: str) -> Any:
    return tuple(actions) if interface == "text" else np.stack([np.asarray(action) for action in actions])


def compare_steps(ours: Any, theirs: Any, same: Any) -> None:
    same(ours[0], theirs[0], "observation")
    assert ours[1].dtype == np.float32
    assert np.array_equal(ours[1], theirs[1])
    same(ours[2], theirs[2], "terminated")
    same(ours[3], theirs[3], "truncated")
    same(ours[4], theirs[4], "infos")


@pytest.mark.parametrize("split", ["train", "test"])
def test_twenty_steps_equal_gymnasiums_vector_environment(kind_id, interface, split, build, actions, same):
    ours, theirs = pair(kind_id, interface, split=split)
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.single_action_space == theirs.single_action_space
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    for first, second in zip(ours.reset(seed=11), theirs.reset(seed=11), strict=True):
        same(first, second, "reset")
    for step in range(20):
        chosen = batch_of(actions(build(kind_id), interface, N, seed=step), interface)
        compare_steps(ours.step(chosen), theirs.step(chosen), same)
    for first, second in zip(ours.reset(), theirs.reset(), strict=True):
        same(first, second, "reset without a seed")
    theirs.close()
    ours.close()


def test_right_and_wrong_answers_score_as_in_gymnasiums_vector_environment(kind_id, same):
    ours, theirs = pair(kind_id, "array")
    ours.reset(seed=3)
    theirs.reset(seed=3)
    task = ours.unwrapped.task
    for _ in range(3 * task.horizon):
        right = task.oracle(ours.unwrapped.batch)
        chosen = np.where(np.arange(N).reshape(-1, *[1] * (right.ndim - 1)) < 2, right, np.roll(right, 1, axis=0))
        got = ours.step(chosen)
        compare_steps(got, theirs.step(chosen), same)
        if task.horizon == 1:
            assert (got[1][:2] == 1).all()


def test_think_replies_are_read_in_both(text_kind, build, actions, same):
    ours, theirs = pair(text_kind, "text", prompt_style="think")
    ours.reset(seed=0)
    theirs.reset(seed=0)
    for step in range(5):
        chosen = batch_of(actions(build(text_kind), "text", N, seed=step, style="think"), "text")
        compare_steps(ours.step(chosen), theirs.step(chosen), same)


@pytest.mark.parametrize("seeds", [[5, 6, 7, 8], [0, None, 3, None], [None] * N, [2**63, 1, 2**64 - 1, 1]])
def test_lists_of_seeds_restart_some_streams_and_move_the_others_on(kind_id, interface, seeds, same):
    ours, theirs = pair(kind_id, interface)
    for env in (ours, theirs):
        env.reset(seed=1)
        env.reset()
    for first, second in zip(ours.reset(seed=seeds), theirs.reset(seed=seeds), strict=True):
        same(first, second, "reset")
    for first, second in zip(ours.reset(), theirs.reset(), strict=True):
        same(first, second, "next")


@pytest.mark.parametrize("seed", [None, 9, [4, None, None, 5]])
@pytest.mark.parametrize("mask", [[True, False, False, True], [True] * N, [False, False, True, False]])
def test_reset_masks_reset_the_marked_environments_alone(kind_id, interface, mask, seed, build, actions, same):
    ours, theirs = pair(kind_id, interface)
    for env in (ours, theirs):
        env.reset(seed=2)
    for round_ in range(2):
        options = [{"reset_mask": np.array(mask)} for _ in range(2)]
        got, expected = ours.reset(seed=seed, options=options[0]), theirs.reset(seed=seed, options=options[1])
        same(got[0], expected[0], "observation")
        same(got[1], expected[1], "infos")
        chosen = batch_of(actions(build(kind_id), interface, N, seed=round_), interface)
        compare_steps(ours.step(chosen), theirs.step(chosen), same)


@pytest.mark.parametrize("mask", [np.zeros(N, bool), np.ones(N, int), np.ones(N + 1, bool), [True] * N, True])
def test_wrong_reset_masks_are_errors(kind_id, mask):
    env = gym.make_vec(kind_id, num_envs=N)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="reset_mask"):
        env.reset(options={"reset_mask": mask})


def test_the_first_reset_cannot_be_partial(kind_id):
    env = gym.make_vec(kind_id, num_envs=N)
    with pytest.raises(ValueError, match="reset_mask"):
        env.reset(options={"reset_mask": np.array([True, False, False, False])})


@pytest.mark.parametrize("seed", [[0], [0] * (N + 1), []])
def test_wrong_numbers_of_seeds_are_errors(kind_id, seed):
    with pytest.raises(ValueError, match="seeds"):
        gym.make_vec(kind_id, num_envs=N).reset(seed=seed)


def test_wrong_numbers_of_actions_are_errors(kind_id, interface, build, actions):
    env = gym.make_vec(kind_id, num_envs=N, interface=interface)
    env.reset(seed=0)
    for count in (N - 1, N + 1):
        with pytest.raises(ValueError, match=f"need {N} actions"):
            env.step(batch_of(actions(build(kind_id), interface, count), interface))


def test_one_string_is_not_taken_for_the_replies_of_all(text_kind):
    """A str has a length and elements, but it is the answer of nobody."""
    env = gym.make_vec(text_kind, num_envs=N, interface="text")
    env.reset(seed=0)
    with pytest.raises((TypeError, ValueError)):
        env.step("a" * N)


def test_stepping_before_the_first_reset_is_an_error(kind_id, interface, build, actions):
    env = gym.make_vec(kind_id, num_envs=N, interface=interface)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(batch_of(actions(build(kind_id), interface, N), interface))


def test_what_was_returned_belongs_to_the_caller(kind_id):
    """Later steps do not write into earlier results, and writing into results changes no later one."""
    one, two = (gym.make_vec(kind_id, num_envs=N) for _ in range(2))
    kept, kept_info = one.reset(seed=0)
    copied = {name: values.copy() for name, values in kept.items()}
    index = kept_info["index"].copy()
    two_first, two_info = two.reset(seed=0)
    for values in [*two_first.values(), two_info["index"]]:
        values[...] = 0
    right = one.unwrapped.task.oracle(one.unwrapped.batch)
    first, second = one.step(right), two.step(right)
    assert np.array_equal(first[1], second[1])
    assert all(np.array_equal(first[0][name], second[0][name]) for name in copied)
    assert np.array_equal(first[4]["index"], second[4]["index"])
    assert all(np.array_equal(kept[name], copied[name]) for name in copied)
    assert np.array_equal(kept_info["index"], index)


def test_episodes_end_in_the_step_that_answers(kind_id, interface, build, actions):
    env = gym.make_vec(kind_id, num_envs=N, interface=interface)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    task = build(kind_id)
    if task.horizon > 1:
        pytest.skip("a sequential task")
    env.reset(seed=0)
    for index in range(3):
        *_, terminated, truncated, infos = env.step(batch_of(actions(task, interface, N), interface))
        assert terminated.all()
        assert not truncated.any()
        assert (infos["index"] == index + 1).all()
        assert (infos["final_info"]["index"] == index).all()
        assert (infos["target"] <= 0).all()  # what stands there before the end
        assert not infos["success"].any()
        assert infos["final_info"]["target"].shape[0] == N


def test_hundreds_of_environments_are_made_and_stepped(kind_id, interface, build, actions):
    env = gym.make_vec(kind_id, num_envs=256, interface=interface)
    observation, infos = env.reset(seed=0)
    assert observation in env.observation_space
    assert (infos["index"] == 0).all()
    chosen = batch_of(actions(build(kind_id), interface, 256), interface)
    observation, reward, *_ = env.step(chosen)
    assert observation in env.observation_space
    assert reward.shape == (256,)
    assert ((reward >= 0) & (reward <= 1)).all()


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
def test_every_environment_is_drawn_as_it_is_asked(kind_id, interface, mode):
    env = gym.make_vec(kind_id, num_envs=2, interface=interface, render_mode=mode)
    env.reset(seed=4)
    drawn = env.render()
    assert len(drawn) == 2
    for seed, picture in zip((4, 5), drawn, strict=True):
        single = gym.make(kind_id, interface=interface, render_mode=mode)
        single.reset(seed=seed)
        assert np.array_equal(picture, single.render())


def test_human_rendering_of_many_is_an_error(kind_id):
    with pytest.raises(ValueError, match="rgb_array"):
        SSLVectorEnv(gym.spec(kind_id).kwargs["task"], render_mode="human")


# Gymnasium's processes


def asynchronous(env_id: str, shared_memory: bool) -> AsyncVectorEnv:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn about forks
        return AsyncVectorEnv(
            [lambda: gym.make(env_id, interface="text")] * 2,
            shared_memory=shared_memory,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )


def test_text_works_in_processes_without_shared_memory(text_kind, build, actions, same):
    ours = gym.make_vec(text_kind, num_envs=2, interface="text")
    env = asynchronous(text_kind, shared_memory=False)
    try:
        for first, second in zip(ours.reset(seed=0), env.reset(seed=0), strict=True):
            same(first, second, "reset")
        for step in range(3):
            chosen = batch_of(actions(build(text_kind), "text", 2, seed=step), "text")
            compare_steps(ours.step(chosen), env.step(chosen), same)
    finally:
        env.close()


def test_text_in_processes_with_shared_memory_is_refused(text_kind):
    """Gymnasium would hand out empty prompts, without an error."""
    with pytest.raises(ValueError, match="shared_memory=False"):
        asynchronous(text_kind, shared_memory=True)


MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED]


@pytest.mark.parametrize("mode", MODES)
def test_other_ways_of_starting_anew_equal_gymnasiums(kind_id, interface, mode, build, actions, same):
    ours = gym.make_vec(kind_id, num_envs=N, interface=interface, autoreset_mode=mode)
    how = {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": mode}}
    theirs = gym.make_vec(kind_id, num_envs=N, interface=interface, **how)
    assert ours.metadata["autoreset_mode"] is mode
    for first, second in zip(ours.reset(seed=11), theirs.reset(seed=11), strict=True):
        same(first, second, "reset")
    for step in range(14):
        chosen = batch_of(actions(build(kind_id), interface, N, seed=step), interface)
        got = ours.step(chosen)
        compare_steps(got, theirs.step(chosen), same)
        ended = got[2] | got[3]
        if mode is AutoresetMode.DISABLED and ended.any():
            resets = [env.reset(options={"reset_mask": ended.copy()}) for env in (ours, theirs)]
            for first, second in zip(*resets, strict=True):
                same(first, second, "reset by mask")


def test_without_autoreset_an_ended_episode_must_be_reset_first():
    env = gym.make_vec("SSL4RL/Rotation-v0", num_envs=2, source="digits", autoreset_mode="Disabled")
    env.reset(seed=0)
    env.step([0, 0])
    with pytest.raises(RuntimeError, match=r"environments \[0, 1\] have ended"):
        env.step([0, 0])


def test_an_autoreset_mode_is_one_of_gymnasiums():
    for given in ("NEXT_STEP", "NextStep", AutoresetMode.NEXT_STEP):
        env = gym.make_vec("SSL4RL/Rotation-v0", num_envs=2, source="digits", autoreset_mode=given)
        assert env.unwrapped.autoreset_mode is AutoresetMode.NEXT_STEP
    with pytest.raises(ValueError, match="one of NEXT_STEP, SAME_STEP, DISABLED"):
        gym.make_vec("SSL4RL/Rotation-v0", num_envs=2, source="digits", autoreset_mode="never")


def test_gymnasiums_wrappers_of_vector_observations_pass():
    envs = gym.make_vec("SSL4RL/Rotation-v0", num_envs=2, source="digits", image_size=36, autoreset_mode="NEXT_STEP")
    flat = gym.wrappers.vector.FlattenObservation(envs)
    observation, _ = flat.reset(seed=0)
    assert observation.shape == (2, 36 * 36 * 3)


@pytest.mark.parametrize("group_size", [1, 3])
def test_an_index_asks_that_instance_of_the_stream(group_size, same):
    how = {"source": "digits", "image_size": 36, "group_size": group_size}
    env = gym.make("SSL4RL/Rotation-v0", **how)
    env.reset(seed=5)
    along = [env.reset()[0] if k else env.reset(seed=5)[0] for k in range(5 * group_size)][::group_size]
    same(env.reset(options={"index": 3})[0], along[3], "without a seed")
    same(env.reset(seed=5, options={"index": 1})[0], along[1], "with a seed")
    for _ in range(group_size):
        observation, info = env.reset()
    assert info["index"] == 2
    same(observation, along[2], "the next one")
    envs = gym.make_vec("SSL4RL/Rotation-v0", num_envs=2, **how)
    _, info = envs.reset(seed=4, options={"index": [7, 3]})
    assert info["index"].tolist() == [7, 3]
    same({key: value[1] for key, value in envs.reset(seed=4, options={"index": 3})[0].items()}, along[3], "one for all")


@pytest.mark.parametrize("options", [{"indx": 3}, {"index": -1}, {"index": 1.5}, {"index": "3"}, {"index": True}])
def test_wrong_options_are_errors(options):
    for make, more in ((gym.make, {}), (gym.make_vec, {"num_envs": 2})):
        env = make("SSL4RL/Rotation-v0", source="digits", image_size=36, **more)
        with pytest.raises(ValueError, match=r"indx|index"):
            env.reset(seed=0, options=options)


def test_sampling_in_one_environment_does_not_move_another(kind_id):
    def draws(disturbed: bool) -> list[Any]:
        one, other = gym.make(kind_id), gym.make(kind_id)
        one.action_space.seed(1)
        other.action_space.seed(2)
        drawn = []
        for _ in range(4):
            drawn.append(np.asarray(one.action_space.sample()).tolist())
            if disturbed:
                other.action_space.sample()
                other.observation_space.sample()
        return drawn

    assert draws(disturbed=True) == draws(disturbed=False)
    one, other = gym.make(kind_id), gym.make(kind_id)
    assert one.action_space is not other.action_space
    assert one.observation_space is not other.observation_space
    assert one.unwrapped.task.action_space is not one.action_space


def leaves(space: spaces.Space[Any]) -> list[spaces.Space[Any]]:
    inside = [leaf for part in space.spaces.values() for leaf in leaves(part)] if isinstance(space, spaces.Dict) else []
    return [space, *inside]


def test_no_two_spaces_share_a_generator(kind_id, interface):
    """Not those of one environment either: tasks name the space of several pictures once."""
    task = gym.make(kind_id).unwrapped.task
    envs = [gym.make(kind_id, interface=interface) for _ in range(2)]
    if interface == "array":  # copies take their time, and are made alike
        envs += [copy.deepcopy(envs[0]), pickle.loads(pickle.dumps(envs[0]))]
    vectors = [SSLVectorEnv(task, num_envs=2, interface=interface) for _ in range(2)]
    spaces_ = [space for env in (*envs, *vectors) for space in (env.observation_space, env.action_space)]
    spaces_ += [space for env in vectors for space in (env.single_observation_space, env.single_action_space)]
    found = [leaf for space in spaces_ for leaf in leaves(space)]
    own = {id(leaf) for space in (task.observation_space, task.action_space) for leaf in leaves(space)}
    assert len({id(leaf) for leaf in found} - own) == len(found)
    assert len({id(leaf.np_random) for leaf in found}) == len(found)
    for env in envs:
        env.action_space.seed(3)
    drawn = [[str(env.action_space.sample()) for _ in range(8)] for env in envs]
    assert all(line == drawn[0] for line in drawn)


def test_an_agent_may_write_into_all_that_it_was_given(kind_id, build, actions, same):
    """Neither what is shown next, nor the last observations, nor scores change."""
    task = build(kind_id)
    ours, theirs = (SSLVectorEnv(task, num_envs=N) for _ in range(2))
    for env in (ours, theirs):
        env.reset(seed=3)
    for step in range(task.horizon + 2):
        chosen = batch_of(actions(task, "array", N, seed=step), "array")
        got, expected = (env.step(chosen.copy()) for env in (ours, theirs))
        compare_steps(copy.deepcopy(got), copy.deepcopy(expected), same)
        final = got[4].get("final_info", {})
        for values in (*got[0].values(), *got[1:4], *got[4].values(), *final.values()):
            if isinstance(values, np.ndarray) and values.dtype != object:
                values[...] = 1
        for shown in got[4].get("final_obs", ()):
            for values in (shown or {}).values():
                np.asarray(values)[...] = 1


def test_prompts_are_written_once_for_a_state(text_kind, build, monkeypatch):
    task = build(text_kind)
    env = SSLVectorEnv(task, num_envs=2, interface="text")
    written = []
    prompts = type(task).prompts
    monkeypatch.setattr(type(task), "prompts", lambda *args: written.append(len(args[1])) or prompts(*args))
    env.reset(seed=0)
    env.step(("", ""))
    assert len(written) <= (2 if task.horizon == 1 else 3)
