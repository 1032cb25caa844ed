"""What all tests share: a fast stand-in for drawn scenes, and configurations that the loops over the registry see too."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import gymnasium as gym
import numpy as np

from ssl4rl_envs import Stream
from ssl4rl_envs.registration import _build_once
from ssl4rl_envs.sources import PICTURES, ImageSource
from ssl4rl_envs.sources.scenes import scenes

_cache = tempfile.TemporaryDirectory(prefix="ssl4rl-tests-")
os.environ["SSL4RL_CACHE"] = _cache.name  # nothing is left in the user's, nor found there


@functools.cache
def drawn_once() -> ImageSource:
    """Three hundred scenes as pictures in memory; tests of the real ones build `scenes()` themselves."""
    items = scenes().draw(Stream("train", np.zeros(300, int), np.arange(300)))
    pictures = scenes().pixels(scenes().whole(items), 96)
    return ImageSource(list(pictures), name="scenes", min_zoom=scenes().min_zoom)


PICTURES["scenes"] = drawn_once


@contextmanager
def real_scenes() -> Iterator[None]:
    """Have "scenes" drawn on demand, as users have it; no task over the stand-in that was built before is taken for one."""
    PICTURES["scenes"] = scenes
    _build_once.cache_clear()
    try:
        yield
    finally:
        PICTURES["scenes"] = drawn_once
        _build_once.cache_clear()


# Configurations that differ from the registered ones in kind, so that the loops over the registry see them too.
VARIANTS = {
    "SSL4RL/PaintedReconstruction-v0": ("MaskedReconstruction", {"answer": "pixels", "patch_size": 8}),
    "SSL4RL/EdgeByNumber-v0": ("EdgePrediction", {"source": "sbm", "features": "id", "negatives": "degree"}),
    "SSL4RL/WordOfNode-v0": ("NodeAttribute", {"attribute": "word"}),
    "SSL4RL/DegreeOfNode-v0": ("NodeAttribute", {"source": "barabasi_albert", "attribute": "degree"}),
    "SSL4RL/PlaceOfNode-v0": ("NodeAttribute", {"source": "sbm", "attribute": "vector", "groups": 4}),
}
for _id, (_name, _arguments) in VARIANTS.items():
    if _id not in gym.registry:
        _spec = gym.spec(f"SSL4RL/{_name}-v0")
        gym.register(
            _id,
            entry_point=_spec.entry_point,
            vector_entry_point=_spec.vector_entry_point,
            kwargs={**_spec.kwargs, **_arguments},
        )
