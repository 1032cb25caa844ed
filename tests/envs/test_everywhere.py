"""What recorders, films, probing wrappers and shared memory count on, over every environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import create_shared_memory

from ssl4rl_envs import SSLEnv, SSLVectorEnv, Task, rendering, windows
from tests.envs.conftest import task_of

ENDED = ("final_obs", "_final_obs", "final_info", "_final_info")
LONGEST = 13
"""Steps after which an episode has ended whatever is asked."""


def structure(info: dict[str, Any]) -> dict[str, Any]:
    """What a recorder allocates for an info: names, types and shapes."""
    return {
        name: str if isinstance(value, str) else (np.asarray(value).dtype, np.shape(value)) for name, value in info.items()
    }


def answers(task: Task, interface: str, batch: Any) -> Any:
    """The right answers."""
    truths = task.oracle(batch)
    if interface == "array":
        return truths
    return [f"<answer>{words}</answer>" for words in task.format_all(truths, batch)]


@pytest.mark.parametrize("attempts", [1, 2])
def test_infos_have_one_structure_at_reset_and_at_every_step(env_id, interface, attempts, build):
    """With right and wrong answers, ends and new episodes; and `None` nowhere."""
    if attempts > 1 and build(env_id).horizon > 1:
        pytest.skip("attempts are for tasks of one decision")
    env = SSLEnv(build(env_id), interface=interface, attempts=attempts)
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    told, ends = [info], 0
    for step in range(LONGEST):
        right = answers(env.task, interface, env.batch)[0]
        _, _, terminated, truncated, info = env.step(right if step % 2 else env.action_space.sample())
        told.append(info)
        if terminated or truncated:
            ends += 1
            told.append(env.reset()[1])
    assert ends
    assert all(structure(one) == structure(told[0]) for one in told)
    assert {"success", "is_success", "target", "index"} <= set(told[0])
    assert ({"valid", "parsed", "truth"} <= set(told[0])) == (interface == "text")
    assert not any(value is None for one in told for value in one.values())


@pytest.mark.parametrize("mode", AutoresetMode)
def test_infos_of_many_have_one_structure_in_every_way_of_starting_anew(env_id, interface, mode, build):
    envs = SSLVectorEnv(build(env_id), num_envs=2, interface=interface, autoreset_mode=mode)
    envs.action_space.seed(0)
    told, finals = [envs.reset(seed=0)[1]], []
    for step in range(LONGEST):
        right = answers(envs.task, interface, envs.batch)
        _, _, terminated, truncated, infos = envs.step(right if step % 2 else envs.action_space.sample())
        assert ({*ENDED} <= set(infos)) == (mode is AutoresetMode.SAME_STEP and bool((terminated | truncated).any()))
        told.append({name: values for name, values in infos.items() if name not in ENDED})
        finals += [infos["final_info"]] if "final_info" in infos else []
        if mode is AutoresetMode.DISABLED and (terminated | truncated).any():
            told.append(envs.reset(options={"reset_mask": terminated | truncated})[1])
    assert all(structure(one) == structure(told[0]) for one in [*told, *finals])
    single = SSLEnv(build(env_id), interface=interface).reset(seed=0)[1]
    assert {name for name in told[0] if not name.startswith("_")} == set(single)
    assert all(values.shape[0] == 2 for values in told[0].values())


class Watched(windows.Window):
    """A window that nobody sees."""

    frames: list[np.ndarray] = []  # noqa: RUF012

    def __init__(self) -> None: ...

    def show(self, picture: np.ndarray) -> None:
        self.frames.append(picture)

    def close(self) -> None: ...


def test_frames_are_of_one_even_size_in_every_mode_and_for_the_life_of_an_environment(env_id, build, monkeypatch):
    """Single, many and in a window; before and after answers; of the last frame of one episode and the first of the next."""
    monkeypatch.setattr(windows, "has_display", lambda: True)
    monkeypatch.setattr(windows, "Window", Watched)
    monkeypatch.setattr(Watched, "frames", frames := [])
    canvas = rendering.canvas_for(build(env_id), "train")
    monkeypatch.setattr(rendering, "canvas_for", lambda *_: canvas)  # the same each time, and slow
    env = SSLEnv(build(env_id), render_mode="rgb_array")
    shown, words = SSLEnv(build(env_id), render_mode="human"), SSLEnv(build(env_id), render_mode="ansi")
    envs = SSLVectorEnv(build(env_id), num_envs=2, render_mode="rgb_array")
    for one in (env, shown, words):
        one.action_space.seed(0)
    for seed in (0, 1):
        envs.reset(seed=seed)
        for one in (env, shown, words):
            one.reset(seed=seed)
            frames += [] if one is not env else [one.render()]
            one.step(one.action_space.sample())
        frames += [env.render(), *envs.render()]
        assert isinstance(words.render(), str)
    assert len(frames) == 2 * (2 + 2 + 2)
    assert len({frame.shape for frame in frames}) == 1
    height, width, channels = frames[0].shape
    assert (height % 2, width % 2, channels) == (0, 0, 3)
    assert all(frame.dtype == np.uint8 and frame.flags.writeable for frame in frames)


WAYS: dict[str, Callable[..., Any]] = {
    "make": gym.make,
    "make_vec": lambda *args, **more: gym.make_vec(*args, num_envs=2, **more),
    "sync": lambda *args, **more: gym.make_vec(*args, num_envs=2, vectorization_mode="sync", **more),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_an_environment_does_not_take_is_refused_in_pythons_own_words(env_id, way):
    """Wrappers that probe for an argument, as TorchRL's does, look for them."""
    called = f"{type(task_of(env_id)).__name__}()"
    with pytest.raises(TypeError) as caught:
        WAYS[way](env_id, frameskip=1)
    assert str(caught.value).startswith(f"{called} got an unexpected keyword argument 'frameskip'")
    assert len(str(caught.value)) < 1000


def test_words_are_refused_where_processes_share_memory(text_id, build):
    """Gymnasium would hand out empty prompts."""
    with pytest.raises(ValueError, match="shared_memory=False"):
        create_shared_memory(SSLEnv(build(text_id), interface="text").observation_space, 2)


def test_half_of_all_steps_are_dummies_where_episodes_of_one_step_start_anew_in_the_next(env_id, build):
    """As the guide says: right answers alone are paid 0.5 a step."""
    task = build(env_id)
    if task.horizon > 1:
        pytest.skip("episodes of several steps")
    envs = SSLVectorEnv(task, num_envs=2, autoreset_mode="NEXT_STEP")
    envs.reset(seed=0)
    paid = [envs.step(task.oracle(envs.batch)) for _ in range(8)]
    assert np.mean([reward for _, reward, *_ in paid]) == pytest.approx(0.5)
    assert [bool(terminated.all()) for _, _, terminated, *_ in paid] == [True, False] * 4
