"""What all tests share: scenes that are drawn once, because drawing them one by one is most of the time of a test run."""

from __future__ import annotations

import functools

import numpy as np

from ssl4rl_envs import Stream
from ssl4rl_envs.sources import BUILTIN, ImageSource
from ssl4rl_envs.sources.scenes import scenes


@functools.cache
def drawn_once() -> ImageSource:
    """Three hundred scenes as pictures in memory; tests of the real ones build `scenes()` themselves."""
    items = scenes().draw(Stream("train", np.zeros(300, int), np.arange(300)))
    pictures = scenes().pixels(scenes().whole(items), 96)
    return ImageSource(list(pictures), name="scenes", min_zoom=scenes().min_zoom)


BUILTIN["scenes"] = drawn_once
