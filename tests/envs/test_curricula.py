"""Curricula and adaptive mixtures: what info says, that it reproduces the instances, and that they are environments."""

from __future__ import annotations

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.curricula import adaptive_mixture, curriculum
from ssl4rl_envs.sources import ImageSource

FLIPS, ORDERING, MIXTURE = "SSL4RL/FlipPrediction-v0", "SSL4RL/PatchOrdering-v0", "SSL4RL/Mixture-v0"
LEVELS = ["2x2", "2x2-gap", "3x3", "3x3-gap"]


def coarse(count: int = 40, side: int = 36) -> ImageSource:
    blocks = np.random.default_rng(0).integers(0, 256, (count, side // 4, side // 4, 3), dtype=np.uint8)
    return ImageSource(list(blocks.repeat(4, axis=1).repeat(4, axis=2)))


SOURCE = coarse()
SMALL = {"source": SOURCE, "image_size": 36}


def right(env) -> object:
    """The right action, in the words of the interface."""
    inner = env.unwrapped
    actions = inner.task.oracle(inner.batch)
    if inner.questions.interface.text:
        return f"<answer>{inner.task.format_all(actions, inner.batch)[0]}</answer>"
    return actions[0]


def wrong(env) -> object:
    """An action that is not right; in words, none at all."""
    inner = env.unwrapped
    if inner.questions.interface.text:
        return "no idea"
    space = inner.action_space
    several = isinstance(space, gym.spaces.MultiDiscrete)
    return (inner.task.oracle(inner.batch)[0] + 1) % (np.maximum(space.nvec, 2) if several else 2)


# Curriculum


@pytest.mark.parametrize("way", ["array", "text"])
def test_a_curriculum_climbs_when_all_is_right_and_falls_when_nothing_is(way):
    env = curriculum(gym.make(ORDERING, **SMALL, interface=way), window=2)
    levels = []
    for k in range(14):
        _, info = env.reset(seed=0) if k == 0 else env.reset()
        levels.append(info["level"])
        action = right(env) if k < 8 else wrong(env)
        *_, info = env.step(action)
        assert info["level"] == levels[-1]
        assert info["success"] == (k < 8)
    assert levels == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 2, 2, 1, 1]


@pytest.mark.parametrize("way", ["array", "text"])
def test_level_and_index_reproduce_the_instance(way):
    env = curriculum(gym.make(ORDERING, **SMALL, interface=way, split="test"), window=1, review=0.4)
    seen = set()
    for k in range(24):
        observation, info = env.reset(seed=9) if k == 0 else env.reset()
        task = make_task(ORDERING, **SMALL, level=LEVELS[info["level"]])
        alone = task.sample(Stream("test", [9], [info["index"]]))
        assert np.array_equal(observation["image"], alone.observation["image"][0])
        if way == "text":
            assert observation["prompt"] == task.prompts(alone)[0]
        *_, last = env.step(right(env))
        assert last["success"]
        assert np.array_equal(np.atleast_1d(last["target"])[: len(alone.target[0])], alone.target[0])
        seen.add(info["level"])
    assert seen == {0, 1, 2, 3}


def test_a_vector_climbs_as_one_and_every_instance_is_reproduced():
    envs = curriculum(gym.make_vec(ORDERING, num_envs=4, **SMALL), window=8)
    observation, infos = envs.reset(seed=5)
    seen = []
    for _ in range(7):
        seen.append(infos["level"].tolist())
        for row in range(4):
            task = make_task(ORDERING, **SMALL, level=LEVELS[infos["level"][row]])
            alone = task.sample(Stream("train", [5 + row], [infos["index"][row]]))
            assert np.array_equal(observation["image"][row], alone.observation["image"][0])
        inner = envs.unwrapped
        observation, reward, *_, infos = envs.step(inner.task.oracle(inner.batch))
        assert (reward == 1).all()
        assert infos["final_info"]["level"].tolist() == seen[-1]
    assert seen == [[0] * 4, [0] * 4, [1] * 4, [1] * 4, [2] * 4, [2] * 4, [3] * 4]
    assert envs.unwrapped.schedule.level == 3


def test_a_vector_of_one_is_the_single_environment():
    one, many = (
        curriculum(gym.make(ORDERING, **SMALL), window=2),
        curriculum(gym.make_vec(ORDERING, num_envs=1, **SMALL), window=2),
    )
    expected, info = one.reset(seed=3)
    got, infos = many.reset(seed=3)
    for k in range(12):
        assert np.array_equal(got["image"][0], expected["image"])
        assert infos["level"][0] == info["level"]
        action = right(one) if k % 5 else wrong(one)
        reward = one.step(action)[1]
        got, rewards, *_, infos = many.step(np.asarray(action)[None])
        assert rewards[0] == np.float32(reward)
        expected, info = one.reset()


def test_levels_that_show_fewer_pictures_are_padded():
    env = curriculum(gym.make(FLIPS, **SMALL), window=1)
    observation, _ = env.reset(seed=0)
    assert set(observation) == {"image_1", "image_2", "task"}
    assert observation in env.observation_space
    assert observation["image_2"].any()
    env.step(right(env))
    observation, info = env.reset()
    assert info["level"] == observation["task"] == 1
    assert not observation["image_2"].any()


def test_groups_keep_their_level_until_they_end():
    env = curriculum(gym.make(ORDERING, **SMALL, group_size=3), window=2)
    seen = []
    for k in range(9):
        _, info = env.reset(seed=0) if k == 0 else env.reset()
        seen.append((info["index"], info["level"]))
        env.step(right(env))
    assert [index for index, _ in seen] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert all(len({level for other, level in seen if other == index}) == 1 for index in range(3))


def test_a_curriculum_counts_the_success_of_the_last_try():
    env = curriculum(gym.make(FLIPS, **SMALL, attempts=2), window=1)
    env.reset(seed=0)
    env.step(wrong(env))
    assert env.unwrapped.schedule.level == 0
    env.step(right(env))
    assert env.unwrapped.schedule.level == 1


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version:UserWarning")
@pytest.mark.parametrize("way", ["array", "text"])
def test_a_curriculum_passes_gymnasiums_checker(way):
    check_env(curriculum(gym.make(ORDERING, **SMALL, interface=way)), skip_render_check=True)


@pytest.mark.parametrize("way", ["array", "text"])
def test_a_curriculum_over_tasks_of_several_steps_climbs(way):
    env = curriculum(gym.make("SSL4RL/PatchSwap-v0", source=coarse(side=60), interface=way), window=1)
    for level in (0, 1, 2, 2):
        _, info = env.reset(seed=0) if level == 0 else env.reset()
        assert info["level"] == level
        ended = False
        while not ended:
            *_, ended, truncated, info = env.step(right(env))
            assert not truncated
        assert info["success"]


@pytest.mark.parametrize("way", ["array", "text"])
@pytest.mark.parametrize("name", ["Reveal", "RelativePosition"])
def test_a_curriculum_climbs_levels_that_show_more_than_pictures(name, way):
    """Levels of Reveal differ in how many patches they say to be uncovered, and only some of RelativePosition name things."""
    env_id = f"SSL4RL/{name}-v0"
    env = curriculum(gym.make(env_id, source="digits", image_size=48, interface=way), window=1)
    for level in (0, 1, 2, 3):
        _, info = env.reset(seed=0) if level == 0 else env.reset()
        assert info["level"] == level
        alone = make_task(
            env_id, source="digits", image_size=48, level=type(env.unwrapped.task.tasks[level]).levels[level].name
        )
        own = alone.sample(Stream.span("train", 0, info["index"], 1))
        shown = env.unwrapped.task._take(env.unwrapped.batch, level, np.arange(1))
        assert all(np.array_equal(shown.observation[name], own.observation[name]) for name in own.observation)
        *_, info = env.step(right(env))
        assert info["success"]


def test_a_curriculum_over_graphs_is_an_error_that_says_why():
    with pytest.raises(ValueError, match="GraphWalk shows no pictures; only tasks over pictures"):
        curriculum(gym.make("SSL4RL/GraphWalk-v0", source="les_miserables"))


def test_a_curriculum_over_built_tasks_is_an_error():
    env = gym.make("SSL4RL/Rotation-v0", task=make_task(FLIPS, **SMALL))
    with pytest.raises(ValueError, match="make the environment by its id"):
        curriculum(env)


@pytest.mark.parametrize("vector", [False, True])
def test_arguments_that_levels_set_are_errors(vector):
    env = gym.make_vec(ORDERING, num_envs=2, **SMALL, grid=2) if vector else gym.make(ORDERING, **SMALL, grid=2)
    with pytest.raises(ValueError, match="level '2x2' of PatchOrdering sets grid; leave that out"):
        curriculum(env)


def test_a_level_of_the_environment_is_an_error():
    with pytest.raises(ValueError, match="level"):
        curriculum(gym.make(ORDERING, **SMALL, level="3x3"))


@pytest.mark.parametrize(
    ("arguments", "message"), [({"low": 0.9}, "low=0.9"), ({"window": 0}, "window"), ({"review": 2}, "review")]
)
def test_wrong_settings_of_a_curriculum_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        curriculum(gym.make(FLIPS, **SMALL), **arguments)


def test_stepping_goes_on_only_after_a_reset():
    env = gym.make(FLIPS, **SMALL).unwrapped
    env.reset(seed=0)
    wrapped = curriculum(env)
    with pytest.raises(RuntimeError, match="reset"):
        wrapped.step(0)


# Adaptive mixtures


def mixture(way: str = "array", **more):
    return gym.make(MIXTURE, **SMALL, tasks=("Rotation", "FlipPrediction", "PatchOrdering"), interface=way, **more)


@pytest.mark.parametrize("way", ["array", "text"])
def test_weights_and_task_stand_in_info_and_reproduce_the_instance(way):
    env = adaptive_mixture(mixture(way), fast=0.5, slow=0.1)
    assert env.unwrapped.questions.mixture is not None
    asked = []
    for k in range(20):
        observation, info = env.reset(seed=2) if k == 0 else env.reset()
        assert info["weights"] == pytest.approx(env.unwrapped.schedule.weights)
        assert info["weights"].sum() == pytest.approx(1)
        task = make_task(f"SSL4RL/{('Rotation', 'FlipPrediction', 'PatchOrdering')[info['task']]}-v0", **SMALL)
        alone = task.sample(Stream("train", [2], [info["index"]]))
        assert np.array_equal(observation["image_1"], alone.observation["image"][0])
        if way == "text":
            assert observation["prompt"] == task.prompts(alone)[0]
        env.step(right(env))
        asked.append(info["task"])
    assert set(asked) == {0, 1, 2}


def test_the_weights_follow_what_is_learned():
    env = adaptive_mixture(mixture(), explore=0.2, fast=0.3, slow=0.02)
    learned = 0
    env.reset(seed=0)
    for _ in range(200):
        asked = env.unwrapped.batch.observation["task"][0]
        learned += asked == 1
        env.step(right(env) if asked == 0 or (asked == 1 and learned > 20) else wrong(env))
        env.reset()
        if learned == 26:
            break
    assert env.unwrapped.schedule.weights.argmax() == 1
    assert env.unwrapped.schedule.weights[1] > 0.7


def test_a_vector_shares_one_set_of_weights():
    envs = adaptive_mixture(gym.make_vec(MIXTURE, num_envs=6, **SMALL), fast=0.5, slow=0.1)
    _, infos = envs.reset(seed=0)
    asked = np.zeros(4, int)
    for _ in range(6):
        np.add.at(asked, infos["task"], 1)
        assert infos["weights"].shape == (6, 4)
        assert (infos["weights"] == infos["weights"][0]).all()
        inner = envs.unwrapped
        _, reward, *_, infos = envs.step(inner.task.oracle(inner.batch))
        assert (reward == 1).all()
    assert envs.unwrapped.schedule.state_dict()["counts"] == asked.tolist()
    assert asked.sum() == 36


def test_a_saved_schedule_goes_on_where_it_was():
    one = adaptive_mixture(mixture(), fast=0.5, slow=0.1)
    one.reset(seed=0)
    for k in range(10):
        one.step(right(one) if k % 3 else wrong(one))
        one.reset()
    other = adaptive_mixture(mixture(), fast=0.5, slow=0.1)
    other.unwrapped.schedule.load_state_dict(json.loads(json.dumps(one.unwrapped.schedule.state_dict())))
    first, second = one.reset(seed=7), other.reset(seed=7)
    for _ in range(10):
        assert first[1]["task"] == second[1]["task"]
        assert np.array_equal(first[0]["image_1"], second[0]["image_1"])
        one.step(right(one))
        other.step(right(other))
        first, second = one.reset(), other.reset()


@pytest.mark.parametrize("vector", [False, True])
def test_adapting_what_is_no_mixture_is_an_error(vector):
    env = gym.make_vec(FLIPS, num_envs=2, **SMALL) if vector else gym.make(FLIPS, **SMALL)
    with pytest.raises(ValueError, match="needs SSL4RL/Mixture-v0, got FlipPrediction"):
        adaptive_mixture(env)


def test_adaptive_mixtures_work_with_attempts():
    env = adaptive_mixture(mixture(attempts=2))
    observation, info = env.reset(seed=0)
    assert observation in env.observation_space
    assert "weights" in info
    *_, terminated, _, info = env.step(wrong(env))
    assert not terminated
    *_, terminated, _, info = env.step(right(env))
    assert terminated
    assert info["success"]
    assert sum(env.unwrapped.schedule.state_dict()["counts"]) == 1


@pytest.mark.parametrize("wrap", [curriculum, adaptive_mixture])
def test_a_wrapped_environment_is_made_again_from_its_spec(wrap):
    env = wrap(gym.make(FLIPS if wrap is curriculum else MIXTURE, source="photos", image_size=36), seed=3)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    first, second = env.reset(seed=1), again.reset(seed=1)
    assert first[1].keys() == second[1].keys()
    assert np.array_equal(first[0]["image_1"], second[0]["image_1"])


def test_gymnasiums_sync_vectors_of_single_wrappers_ask_the_same_at_one_level(same):
    """Each has a schedule of its own, so they agree as long as the level stays."""
    ours = curriculum(gym.make_vec(ORDERING, num_envs=3, **SMALL))
    theirs = gym.vector.SyncVectorEnv(
        [lambda: curriculum(gym.make(ORDERING, **SMALL))] * 3, autoreset_mode=AutoresetMode.SAME_STEP
    )
    for first, second in zip(ours.reset(seed=0), theirs.reset(seed=0), strict=True):
        same(first, second, dtypes=False)
    for _ in range(5):
        actions = ours.unwrapped.task.oracle(ours.unwrapped.batch)
        for first, second in zip(ours.step(actions), theirs.step(actions), strict=True):
            same(first, second, dtypes=False)
