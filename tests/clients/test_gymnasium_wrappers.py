"""Gymnasium's own tools take the environments as they are: videos, windows, vectors, specs, its checks and its processes.

What goes round what is in `test_wrapper_sweep.py`.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector
from PIL import Image

import ssl4rl_envs
from ssl4rl_envs import SSLVectorEnv
from tests.clients.partner import run_page

ROTATION = "SSL4RL/Rotation-v0"
SMALL: dict[str, Any] = {"source": "digits", "image_size": 36}
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "pictures": (ROTATION, SMALL),
    "text": (ROTATION, {**SMALL, "interface": "text"}),
    "attempts": (ROTATION, {**SMALL, "attempts": 2}),
    "text with attempts": (ROTATION, {**SMALL, "attempts": 2, "interface": "text"}),
    "pixels to paint": ("SSL4RL/PaintedReconstruction-v0", {**SMALL, "patch_size": 4}),
    "a mixture": ("SSL4RL/Mixture-v0", SMALL),
    "a mixture in text": ("SSL4RL/Mixture-v0", {**SMALL, "interface": "text"}),
    "several steps": ("SSL4RL/PatchSwap-v0", SMALL),
    "a graph": ("SSL4RL/WordOfNode-v0", {}),
    "a graph in text": ("SSL4RL/WordOfNode-v0", {"interface": "text"}),
}


@pytest.fixture(params=CONFIGURATIONS)
def made(request) -> tuple[str, dict[str, Any]]:
    return CONFIGURATIONS[request.param]


def test_frames_have_one_size_and_may_be_written_to(made):
    """Questions and verdicts of all lengths, and every part of a mixture: what makes a video needs them alike, and even."""
    env = gym.make(made[0], render_mode="rgb_array", **made[1])
    envs = gym.make_vec(made[0], num_envs=2, render_mode="rgb_array", **made[1])
    env.reset(seed=0)
    envs.reset(seed=0)
    frames, env.action_space._np_random = [env.render(), *envs.render()], np.random.default_rng(0)
    for _ in range(8):
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        frames.append(env.render())
        if terminated or truncated:
            env.reset()
            frames.append(env.render())
    assert len({frame.shape for frame in frames}) == 1
    height, width, channels = frames[0].shape
    assert (height % 2, width % 2, channels) == (0, 0, 3)
    assert all(frame.flags.writeable for frame in frames)


def test_videos_are_recorded(tmp_path, made):
    pytest.importorskip("moviepy")
    env = wrappers.RecordVideo(
        gym.make(made[0], render_mode="rgb_array", **made[1]), str(tmp_path), episode_trigger=lambda k: k == 0, video_length=3
    )
    env.reset(seed=0)
    for _ in range(4):
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
    env.close()
    assert list(tmp_path.glob("*.mp4"))


@pytest.mark.parametrize("way", ["single", "vector"])
@pytest.mark.parametrize("name", ["pixels to paint", "a mixture"])
def test_windows_of_gymnasiums_open(monkeypatch, name, way):
    made = CONFIGURATIONS[name]
    pytest.importorskip("pygame")
    pytest.importorskip("cv2")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    if way == "single":
        env: Any = wrappers.HumanRendering(gym.make(made[0], render_mode="rgb_array", **made[1]))
    else:
        env = vector.HumanRendering(gym.make_vec(made[0], num_envs=3, render_mode="rgb_array", **made[1]))
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()


@pytest.mark.parametrize("way", ["single", "vector"])
def test_arrays_become_tensors(way):
    pytest.importorskip("array_api_compat")
    torch = pytest.importorskip("torch")
    if way == "single":
        env: Any = wrappers.NumpyToTorch(gym.make(ROTATION, **SMALL))
    else:
        # Not SAME_STEP: the wrapper converts all of `infos`, and `final_obs` is an array of dicts there.
        env = vector.NumpyToTorch(gym.make_vec(ROTATION, num_envs=2, autoreset_mode="DISABLED", **SMALL))
    shown, _ = env.reset(seed=0)
    assert shown["image"].dtype == torch.uint8
    env.step(torch.tensor(0 if way == "single" else [0, 1]))


def test_gymnasium_makes_nonsense_of_words_among_tensors():
    """So the guide keeps text away from these wrappers; a release that keeps words would let it say otherwise."""
    pytest.importorskip("array_api_compat")
    env = wrappers.NumpyToTorch(gym.make(ROTATION, interface="text", **SMALL))
    assert str(env.reset(seed=0)[0]["prompt"]).startswith("<generator object")


# Vectors


READ = ("split", "render_mode", "observation_space", "action_space", "render")


def test_attributes_of_environments_are_read_as_of_gymnasiums_vectors(made, same):
    ours = gym.make_vec(made[0], num_envs=2, render_mode="rgb_array", **made[1])
    theirs = SyncVectorEnv([lambda: gym.make(made[0], render_mode="rgb_array", **made[1])] * 2)
    for envs in (ours, theirs):
        envs.reset(seed=3)
    for name in READ:
        one, other = ours.call(name), theirs.call(name)
        assert isinstance(one, tuple)
        same(one, other, name) if name == "render" else None
        assert name == "render" or one == other
        assert name == "render" or ours.get_attr(name) == one
    for row in range(2):
        same(ours.get_attr("batch")[row].observation, theirs.get_attr("batch")[row].observation, "batch")
    assert [spec.id for spec in ours.get_attr("spec")] == [made[0]] * 2
    single = gym.make(ours.get_attr("spec")[1])
    same(single.reset(seed=4)[0], {name: values[1] for name, values in ours.reset(seed=3)[0].items()}, "made from the spec")


def test_action_masks_are_one_an_environment():
    envs = gym.make_vec("SSL4RL/PatchSwap-v0", num_envs=3, **SMALL)
    _, infos = envs.reset(seed=0)
    assert np.array_equal(envs.call("action_masks"), infos["action_mask"].astype(bool))
    turned = gym.make_vec(ROTATION, num_envs=3, **SMALL)
    turned.reset(seed=0)
    with pytest.raises(ValueError, match="no action mask"):
        turned.call("action_masks")


def test_attributes_are_set_one_an_environment_or_one_for_all():
    envs = gym.make_vec(ROTATION, num_envs=3, **SMALL)
    envs.set_attr("weight", [1, 2, 3])
    envs.set_attr("name", "all alike")
    assert envs.get_attr("weight") == (1, 2, 3)
    assert envs.get_attr("name") == ("all alike",) * 3
    envs.set_attr("scale", [lambda x, k=k: k * x for k in range(3)])
    assert envs.call("scale", 5) == (0, 5, 10)
    with pytest.raises(ValueError, match="one value of 'weight' an environment, or one for all: 3, got 2"):
        envs.set_attr("weight", [1, 2])
    with pytest.raises(AttributeError, match="one for all environments"):
        envs.set_attr("task", None)
    with pytest.raises(AttributeError, match=r"'wieght'; they have .*weight"):
        envs.get_attr("wieght")
    for name in ("reset", "step", "close"):
        with pytest.raises(ValueError, match="of the vector environment itself"):
            envs.call(name)


@pytest.mark.parametrize("mode", ["sync", "async", None])
def test_make_vec_makes_every_kind_of_vector(mode):
    how: dict[str, Any] = {"vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}} if mode else {}
    envs = gym.make_vec(ROTATION, num_envs=2, vectorization_mode=mode, **how, **SMALL)
    assert type(envs) is {"sync": SyncVectorEnv, "async": AsyncVectorEnv, None: SSLVectorEnv}[mode]
    shown, _ = envs.reset(seed=0)
    expected, _ = gym.make_vec(ROTATION, num_envs=2, **SMALL).reset(seed=0)
    assert np.array_equal(shown["image"], expected["image"])
    assert np.array_equal(envs.step(np.array([0, 1]))[1] * 0, [0, 0])
    envs.close()


# Specs


@pytest.fixture
def folder(tmp_path) -> Path:
    for k in range(12):
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / f"{k}.png")
    return tmp_path


@pytest.mark.parametrize("mode", ["single", None, "sync", "async"])
def test_specs_go_through_json_with_a_path_as_source(folder, mode, same):
    if mode == "single":
        env: Any = gym.make(ROTATION, source=folder, image_size=36)
    else:
        more = {"autoreset_mode": AutoresetMode.NEXT_STEP} if mode is None else {}
        env = gym.make_vec(ROTATION, num_envs=2, vectorization_mode=mode, source=folder, image_size=36, **more)
    spec = env.unwrapped.spec
    again = EnvSpec.from_json(spec.to_json())
    assert again == spec == pickle.loads(pickle.dumps(spec))
    second = gym.make(again) if mode == "single" else gym.make_vec(again)
    same(env.reset(seed=1)[0], second.reset(seed=1)[0])
    env.close()
    second.close()


def test_two_environments_of_one_spec_are_equivalent(made):
    env = gym.make(made[0], **made[1])
    other = gym.make(EnvSpec.from_json(env.spec.to_json()))
    for one in (env, other):
        one.action_space.seed(5)
    assert data_equivalence(env.reset(seed=2), other.reset(seed=2))
    for _ in range(4):
        action, same_action = env.action_space.sample(), other.action_space.sample()
        assert data_equivalence(action, same_action)
        first, second = env.step(action), other.step(same_action)
        assert data_equivalence(first, second)
        if first[2] or first[3]:
            assert data_equivalence(env.reset(), other.reset())


# Errors


MAKERS = {
    "make": gym.make,
    "make_vec": lambda *args, **more: gym.make_vec(*args, num_envs=2, **more),
    "sync": lambda *args, **more: gym.make_vec(*args, num_envs=2, vectorization_mode="sync", **more),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_unknown_arguments_are_refused_in_the_words_of_python_and_briefly(maker):
    pixels = [np.random.default_rng(k).integers(0, 256, (64, 64, 3), np.uint8) for k in range(30)]
    with pytest.raises(TypeError, match=r"^Rotation\(\) got an unexpected keyword argument 'frameskip'; it takes") as caught:
        MAKERS[maker](ROTATION, source=pixels, frameskip=1)
    assert len(str(caught.value)) < 600
    assert "frame_skip" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["image_size", "split", "interface", "prompt_style", "grammar", "attempts", "level", "pairing"]
)
@pytest.mark.parametrize("value", [np.zeros((40, 64, 64, 3)), [np.zeros((64, 64, 3))] * 40], ids=["array", "list"])
def test_pixels_in_the_wrong_place_are_named_by_shape(name, value):
    with pytest.raises((TypeError, ValueError)) as caught:
        gym.make_vec(ROTATION, num_envs=2, **{**SMALL, name: value})
    assert "array of shape" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_wrong_actions_are_named_by_shape():
    name, arguments = CONFIGURATIONS["pixels to paint"]
    env, envs = gym.make(name, **arguments), gym.make_vec(name, num_envs=2, **arguments)
    env.reset(seed=0)
    envs.reset(seed=0)
    for call in (lambda: env.unwrapped.step(env.action_space.high * 7), lambda: envs.step(envs.action_space.high * 7)):
        with pytest.raises(ValueError, match=r"action float32 array of shape \(4, 4, 3\) from 7.0 to 7.0 lies outside"):
            call()


# Processes


def test_a_prefixed_id_is_known_in_fresh_processes(same):
    """``import ssl4rl_envs`` in the parent does not reach workers that were not forked; the prefix does."""
    prefixed = f"ssl4rl_envs:{ROTATION}"
    envs = AsyncVectorEnv([lambda: gym.make(prefixed, **SMALL)], context="spawn", autoreset_mode=AutoresetMode.SAME_STEP)
    try:
        same(envs.reset(seed=0)[0], gym.make_vec(ROTATION, **SMALL).reset(seed=0)[0])
    finally:
        envs.close()


def test_prefixed_ids_are_taken_wherever_an_id_is():
    assert type(ssl4rl_envs.make_task(f"ssl4rl_envs:{ROTATION}", **SMALL)) is ssl4rl_envs.task_class(ROTATION)
    assert gym.make_vec(f"ssl4rl_envs:{ROTATION}", num_envs=2, **SMALL).num_envs == 2
    with pytest.raises(ValueError, match="did you mean 'Rotation'"):
        ssl4rl_envs.make_task("ssl4rl_envs:SSL4RL/Rotatoin-v0")


@pytest.mark.filterwarnings("ignore")
def test_the_page_runs_as_it_is_printed():
    run_page("gymnasium")
