"""Every wrapper of Gymnasium's goes round every environment of the suite, or Gymnasium itself says why it does not."""

from __future__ import annotations

import copy
import functools
import sys
import types
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector

import ssl4rl_envs
from ssl4rl_envs import rendering
from tests.clients.wrapping import of_singles, of_vectors
from tests.kinds import KINDS

VIDEOS = Path("videos")  # in the folder of a test
SINGLE, VECTOR = of_singles(VIDEOS), of_vectors(VIDEOS)
STEPS, LONGEST = 2, 13
"""How many are taken, and after how many every episode has ended once."""


@functools.cache
def arguments(env_id: str) -> dict[str, Any]:
    """Of a small environment; digits are grey, so that nobody can ask about their colours."""
    task = ssl4rl_envs.task_class(env_id)
    small: dict[str, Any] = {"image_size": 36} if "image_size" in task.__init__.__code__.co_varnames else {}
    return small if not small or "digits" not in task.sources or "Colorization" in env_id else {"source": "digits", **small}


def everywhere() -> Iterator[tuple[str, str]]:
    """Every id with each of its interfaces."""
    for env_id in ssl4rl_envs.env_ids():
        for side in ("array", "text") if ssl4rl_envs.make_task(env_id, **arguments(env_id)).has_text else ("array",):
            yield env_id, side


def one(env_id: str, side: str) -> gym.Env:
    return gym.make(env_id, render_mode="rgb_array", interface=side, **arguments(env_id))


def many(env_id: str, side: str, mode: AutoresetMode) -> gym.vector.VectorEnv:
    return gym.make_vec(env_id, num_envs=2, render_mode="rgb_array", interface=side, autoreset_mode=mode, **arguments(env_id))


def gymnasiums(env_id: str, side: str, mode: AutoresetMode) -> gym.vector.VectorEnv:
    return SyncVectorEnv([lambda: one(env_id, side)] * 2, autoreset_mode=mode)


shared, shared_many, shared_gymnasiums = functools.cache(one), functools.cache(many), functools.cache(gymnasiums)


canvas_once = functools.cache(rendering.canvas_for)


@pytest.fixture
def drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for videos, windows that nobody sees and that do not wait, and frames that are not encoded.

    `ImageSequenceClip` looks at them as moviepy's does; `test_gymnasium_wrappers.py` records with moviepy itself.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    names = ("moviepy", "moviepy.video", "moviepy.video.io", "moviepy.video.io.ImageSequenceClip")
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[names[-1]].ImageSequenceClip = Clip  # type: ignore[attr-defined]
    monkeypatch.setattr(rendering, "canvas_for", canvas_once)
    if find_spec("pygame"):
        monkeypatch.setattr("pygame.time.Clock", lambda: types.SimpleNamespace(tick=lambda _: None))


class Clip:
    def __init__(self, frames: list[np.ndarray], fps: int) -> None:
        assert len({frame.shape for frame in frames}) == 1
        assert frames[0].shape[0] % 2 == frames[0].shape[1] % 2 == 0
        self.frames = frames

    def write_videofile(self, path: str, logger: Any = None) -> None:
        Path(path).write_bytes(bytes([len(self.frames)]))


def test_every_wrapper_has_its_place() -> None:
    """A new release of Gymnasium may bring others."""
    assert set(SINGLE) == set(wrappers.__all__) - {"vector"}
    assert set(VECTOR) == set(vector.__all__)


@pytest.mark.usefixtures("drawing")
@pytest.mark.filterwarnings("ignore:.*(casting|Overwriting|overridden|Box)")
@pytest.mark.parametrize("name", SINGLE)
def test_wrappers_go_round_every_environment(name: str) -> None:
    way = SINGLE[name]
    for module in set(way.modules) - {"moviepy"}:
        pytest.importorskip(module)
    for env_id, side in everywhere():
        if way.draws and side == "text" and env_id not in KINDS:
            continue  # drawing takes long, and what is drawn is the same
        env = one(env_id, side) if way.draws else shared(env_id, side)
        refusal = way.expected(env)
        try:
            if refusal is None:
                play(way, env, ends=name != "Autoreset")
            elif not way.converts:  # which makes something else of words, see below
                with pytest.raises((TypeError, ValueError), match=refusal):
                    play(way, env)
        except BaseException as error:
            error.add_note(f"{name} round {env_id}, {side}")
            raise


def play(way: Any, env: Any, *, ends: bool = True) -> None:
    """Wrap, reset, step; what comes out is what the spaces say."""
    wrapped = way.wrap(env)
    shown, _ = wrapped.reset(seed=0)
    env.action_space.seed(0)
    assert way.converts or shown in wrapped.observation_space
    wrapped.action_space.seed(0)
    for _ in range(STEPS):
        shown, reward, terminated, truncated, _ = wrapped.step(wrapped.action_space.sample())
        assert way.converts or shown in wrapped.observation_space
        assert reward >= 0
        if (terminated or truncated) and ends:
            wrapped.reset()
    if way.draws:
        wrapped.close()


@pytest.mark.usefixtures("drawing")
@pytest.mark.filterwarnings("ignore:.*(casting|Overwriting|overridden|Box|same-step|match as expected)")
@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("name", VECTOR)
def test_wrappers_of_vectors_go_round_every_environment(name: str, mode: AutoresetMode, same: Any) -> None:
    """In every way of starting anew; and what comes out is what comes out round Gymnasium's own vectors."""
    way = VECTOR[name]
    for module in set(way.modules) - {"moviepy"}:
        pytest.importorskip(module)
    for env_id, side in everywhere():
        if way.draws and env_id not in KINDS and (side, mode) != ("array", AutoresetMode.SAME_STEP):
            continue  # drawing takes long, and what is drawn is the same
        envs = many(env_id, side, mode) if way.draws else shared_many(env_id, side, mode)
        refusal = way.expected(envs)
        try:
            if refusal is not None:
                with pytest.raises((TypeError, ValueError, BufferError), match=refusal):
                    played(way, envs, mode)
                continue
            ours = played(way, envs, mode)
            if env_id in KINDS and not way.draws and not way.converts:
                for mine, theirs in zip(ours, played(way, shared_gymnasiums(env_id, side, mode), mode), strict=True):
                    same(mine, theirs, f"{name} round {env_id}, {side}")
        except BaseException as error:
            error.add_note(f"{name} round {env_id}, {side}")
            raise


def played(way: Any, envs: Any, mode: AutoresetMode) -> list[Any]:
    """Wrap, reset, step; return all that came out."""
    wrapped = way.wrap(envs)
    shown, infos = wrapped.reset(seed=0)
    out: list[Any] = [kept(shown, infos)]
    assert way.converts or shown in wrapped.observation_space
    envs.action_space.seed(0)
    wrapped.action_space.seed(0)
    for _ in range(LONGEST if way.converts else STEPS):  # tensors of infos are made, or not, when an episode ends
        shown, reward, terminated, truncated, infos = wrapped.step(wrapped.action_space.sample())
        assert way.converts or shown in wrapped.observation_space
        assert (reward >= 0).all()
        out.append((kept(shown, infos), np.asarray(reward, float), np.asarray(terminated), np.asarray(truncated)))
        ended = np.asarray(terminated) | np.asarray(truncated)
        if mode is AutoresetMode.DISABLED and ended.any():
            (envs if way.converts else wrapped).reset(options={"reset_mask": ended})
    if way.draws:
        wrapped.close()
    return out


def kept(shown: Any, infos: Any) -> tuple[Any, Any]:
    """Copies, since Gymnasium's vectors and wrappers write on into what they gave; without how long episodes took."""
    if isinstance(infos, dict) and isinstance(infos.get("episode"), dict):
        infos = {**infos, "episode": {key: value for key, value in infos["episode"].items() if key != "t"}}
    return copy.deepcopy((shown, tuple(infos) if isinstance(infos, list) else infos))
