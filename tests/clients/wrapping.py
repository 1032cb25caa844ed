"""How each wrapper of Gymnasium's goes round an environment, and what it says where it takes none of its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces, wrappers
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector

ZERO, ONE = np.float32(0), np.float32(1)
SEEN = (AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)
"""In which ways of starting anew Gymnasium changes what vectors show."""


@dataclass(frozen=True)
class Way:
    """A wrapper in use.

    Args:
        wrap: puts it round an environment.
        takes: what has to be there; see `facts`.
        refusal: what Gymnasium says where that is not there, a pattern.
        modes: of vectors, in which ways of starting anew it can be used.
        modules: which Gymnasium imports for it.
        draws: whether it renders; it then closes what it wraps.
        converts: whether what comes out is of another kind than the spaces say, tensors for example.
    """

    wrap: Callable[..., Any]
    takes: str = "anything"
    refusal: str = ""
    modes: tuple[AutoresetMode, ...] = tuple(AutoresetMode)
    modules: tuple[str, ...] = ()
    draws: bool = False
    converts: bool = False

    def expected(self, env: Any) -> str | None:
        """What Gymnasium says round this environment, a pattern; None where the wrapper works."""
        said = [] if self.takes in facts(env) else [self.refusal]
        if isinstance(env, gym.vector.VectorEnv) and env.metadata["autoreset_mode"] not in self.modes:
            said.append("DLPack only" if self.converts else "to be .*NEXT_STEP")
        return "|".join(said) or None


def facts(env: Any) -> set[str]:
    """What an environment has that a wrapper may ask for."""
    shown, said = single_spaces(env)
    boxes = [space for space in shown.values() if isinstance(space, spaces.Box)]
    return {
        fact
        for fact, there in {
            "anything": True,
            "an array": bool(boxes),
            "a picture": any(map(is_picture, boxes)),
            "a scale": isinstance(said, spaces.Box),
            "no words": "prompt" not in shown.spaces,
        }.items()
        if there
    }


def single_spaces(env: Any) -> tuple[Any, Any]:
    """The spaces of one environment, of a vector too."""
    if isinstance(env, gym.vector.VectorEnv):
        return env.single_observation_space, env.single_action_space
    return env.observation_space, env.action_space


def is_picture(space: spaces.Space[Any]) -> bool:
    return isinstance(space, spaces.Box) and len(space.shape) == 3


def alone(env: Any) -> Any:
    """One array of those that are shown, a picture if there is one; the environment itself where only words are."""
    shown, _ = single_spaces(env)
    named = sorted((not is_picture(space), name) for name, space in shown.items() if isinstance(space, spaces.Box))
    if not named:
        return env
    name = named[0][1]
    how: dict[str, Any] = {"func": lambda seen: seen[name], "observation_space": shown[name]}
    if isinstance(env, gym.vector.VectorEnv):
        return vector.VectorizeTransformObservation(env, wrappers.TransformObservation, **how)
    return wrappers.TransformObservation(env, **how)


def corner(env: Any) -> Any:
    """The first number of an array: Gymnasium counts the values of each."""
    numbers = wrappers.DtypeObservation(alone(env), np.float32)
    low, high = (getattr(numbers.observation_space, bound).reshape(-1)[:1] for bound in ("low", "high"))
    return wrappers.TransformObservation(numbers, lambda shown: shown.reshape(-1)[:1], spaces.Box(low, high))


def size(env: Any) -> tuple[int]:
    return (int(np.prod(single_spaces(alone(env))[0].shape or ())),)


def first(env: Any) -> list[str]:
    """The name of what is shown first."""
    return sorted(single_spaces(env)[0].spaces)[:1]


def converting(module: Any, name: str, *modules: str, before: tuple[Any, ...] = ()) -> Way:
    """A wrapper that hands out arrays of another library; words are none."""
    needed = ("array_api_compat", *modules)
    return Way(lambda env: getattr(module, name)(env, *before), "no words", "DLPack only", SEEN, needed, converts=True)


def of_both(module: Any) -> dict[str, Way]:
    """The wrappers that `gymnasium.wrappers` and `gymnasium.wrappers.vector` have in common."""
    import torch

    def floats(env: Any) -> Any:
        return module.DtypeObservation(alone(env), np.float32)

    number, box, picture = "requires a Box, Discrete", "requires a Box", "requires (an image|a Box|observation bounds)"
    resized: Way = Way(lambda env: module.ResizeObservation(alone(env), (20, 24)), "a picture", picture, SEEN, ("cv2",))
    return {
        "ArrayConversion": converting(module, "ArrayConversion", "torch", before=(np, torch)),
        "ClipAction": Way(module.ClipAction, "a scale", box),
        "ClipReward": Way(lambda env: module.ClipReward(env, 0, 0.5)),
        "DtypeObservation": Way(floats, "an array", number, SEEN),
        "FilterObservation": Way(lambda env: module.FilterObservation(env, first(env)), modes=SEEN),
        "FlattenObservation": Way(module.FlattenObservation, modes=SEEN),
        "GrayscaleObservation": Way(lambda env: module.GrayscaleObservation(alone(env)), "a picture", picture, SEEN),
        "HumanRendering": Way(module.HumanRendering, modules=("pygame", "cv2"), draws=True),
        "JaxToNumpy": converting(module, "JaxToNumpy", "jax"),
        "JaxToTorch": converting(module, "JaxToTorch", "jax", "torch"),
        "NormalizeObservation": Way(lambda env: module.NormalizeObservation(floats(env)), "an array", number, SEEN[:1]),
        "NormalizeReward": Way(module.NormalizeReward),
        "NumpyToTorch": converting(module, "NumpyToTorch", "torch"),
        "RecordEpisodeStatistics": Way(module.RecordEpisodeStatistics),
        "RescaleAction": Way(lambda env: module.RescaleAction(env, ZERO, ONE), "a scale", box),
        "RescaleObservation": Way(lambda env: module.RescaleObservation(floats(env), ZERO, ONE), "an array", number, SEEN),
        "ReshapeObservation": Way(lambda env: module.ReshapeObservation(alone(env), size(env)), "an array", box, SEEN),
        "ResizeObservation": resized,
        "TransformReward": Way(lambda env: module.TransformReward(env, lambda reward: 2 * reward)),
    }


def of_singles(videos: Path) -> dict[str, Way]:
    """Every wrapper of `gymnasium.wrappers` by name."""
    w = wrappers
    return of_both(w) | {
        "AddRenderObservation": Way(w.AddRenderObservation, draws=True),
        "AddWhiteNoise": Way(lambda env: w.AddWhiteNoise(alone(env), 0.5)),
        "AtariPreprocessing": Way(w.AtariPreprocessing, "an Atari game", "Disable frame-skipping", modules=("cv2",)),
        "Autoreset": Way(w.Autoreset),
        "DelayObservation": Way(lambda env: w.DelayObservation(env, 1)),
        "DiscretizeAction": Way(
            lambda env: w.DiscretizeAction(env, 2, multidiscrete=True), "a scale", "only compatible with Box"
        ),
        "DiscretizeObservation": Way(
            lambda env: w.DiscretizeObservation(corner(env), 2, multidiscrete=True), "an array", "requires a Box, Discrete"
        ),
        "FrameStackObservation": Way(lambda env: w.FrameStackObservation(env, 2)),
        "MaxAndSkipObservation": Way(
            lambda env: w.MaxAndSkipObservation(alone(env), 2), "an array", "have the shape attribute"
        ),
        "ObstructView": Way(lambda env: w.ObstructView(alone(env), 0.5, 2)),
        "OrderEnforcing": Way(w.OrderEnforcing),
        "PassiveEnvChecker": Way(w.PassiveEnvChecker),
        "RecordVideo": Way(
            lambda env: w.RecordVideo(env, str(videos), episode_trigger=lambda k: k == 0, video_length=2, gc_trigger=None),
            modules=("moviepy",),
            draws=True,
        ),
        "RenderCollection": Way(w.RenderCollection, draws=True),
        "RepeatAction": Way(lambda env: w.RepeatAction(env, 2)),
        "StickyAction": Way(lambda env: w.StickyAction(env, 0.5)),
        "TimeAwareObservation": Way(lambda env: w.TimeAwareObservation(w.TimeLimit(env, 9))),
        "TimeLimit": Way(lambda env: w.TimeLimit(env, 3)),
        "TransformAction": Way(lambda env: w.TransformAction(env, lambda action: action, env.action_space)),
        "TransformObservation": Way(lambda env: w.TransformObservation(env, lambda shown: shown, env.observation_space)),
    }


def of_vectors(videos: Path) -> dict[str, Way]:
    """Every wrapper of `gymnasium.wrappers.vector` by name."""
    v, w = vector, wrappers
    return of_both(v) | {
        "DictInfoToList": Way(v.DictInfoToList),
        "RecordVideo": Way(
            lambda env: v.RecordVideo(env, str(videos), episode_trigger=lambda k: k == 0, video_length=2, gc_trigger=None),
            modules=("moviepy",),
            draws=True,
        ),
        "TransformAction": Way(lambda env: v.TransformAction(env, lambda actions: actions)),
        "TransformObservation": Way(lambda env: v.TransformObservation(env, lambda shown: shown), modes=SEEN),
        "VectorizeTransformAction": Way(
            lambda env: v.VectorizeTransformAction(
                env, w.TransformAction, func=lambda action: action, action_space=env.single_action_space
            )
        ),
        "VectorizeTransformObservation": Way(
            lambda env: v.VectorizeTransformObservation(
                env, w.TransformObservation, func=lambda shown: shown, observation_space=env.single_observation_space
            ),
            modes=SEEN,
        ),
        "VectorizeTransformReward": Way(
            lambda env: v.VectorizeTransformReward(env, w.TransformReward, func=lambda reward: 2 * reward)
        ),
    }
