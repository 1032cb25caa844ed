"""Mixture: several image tasks in one environment."""

from __future__ import annotations

import inspect

from ssl4rl_envs.mixture import Parts
from ssl4rl_envs.registration import load_class, registered_task
from ssl4rl_envs.sources import PICTURES, ImageSourceLike, load_images
from ssl4rl_envs.task import Level, Task


class Mixture(Parts):
    """What one of several image tasks asks; which one is drawn for each question.

    ## Description
    Every question is of one of `tasks`, drawn by `weights`. Question i of the mixture, if it is of task t, is question i
    of t on its own. The text interface is natural here: pictures and a prompt, which says what is asked and how to answer.

    ## Observation Space
    `Dict` with the pictures of the task asked as `image` (or `image_1`, `image_2` where a task has two; zeros where the task
    asked has none): uint8 RGB (image_size, image_size, 3); and `task`: `Discrete(len(tasks))`, which task is asked. The text
    interface adds `prompt` and leaves out `task`.

    ## Action Space
    The union of the tasks' actions: `Discrete` of the largest if all are, else a `MultiDiscrete` as long as the longest, of
    which a task reads as many numbers as it needs from the left. In text as the task asked says.

    ## Rewards
    Of the task asked. Chance is the weighted mean of theirs.

    ## Termination
    As the task asked says.

    ## Arguments
    - `tasks`: names of image tasks, e.g. Rotation PatchOrdering, or ids of environments.
    - `weights`: how likely each is, in proportion; all alike if none are given. A task of weight 0 is never asked.
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the pictures in pixels; it must suit every task.

    ## Registered Configurations
    - `SSL4RL/Mixture-v0`
    """

    sources = PICTURES

    levels = (
        Level("two", {"tasks": ("Rotation", "FlipPrediction")}),
        Level("four", {"tasks": ("Rotation", "FlipPrediction", "PatchPosition", "PatchOrdering")}),
        Level(
            "seven",
            {
                "tasks": (
                    "Rotation",
                    "FlipPrediction",
                    "PatchPosition",
                    "PatchOrdering",
                    "Colorization",
                    "OddPatch",
                    "Contrastive",
                )
            },
        ),
    )

    def __init__(
        self,
        tasks: tuple[str, ...] = ("Rotation", "FlipPrediction", "PatchPosition", "PatchOrdering"),
        weights: tuple[float, ...] = (),
        source: ImageSourceLike = "scenes",
        image_size: int = 60,
    ) -> None:
        loaded = load_images(source)  # once for all
        shared = {"source": loaded, "image_size": image_size}
        parts: list[Task] = []
        for name in tasks:
            path, arguments = registered_task(name)
            cls = load_class(path)
            if not set(shared) <= set(inspect.signature(cls).parameters):
                raise ValueError(f"{name} cannot be part of this mixture: it is no task over pictures")
            parts.append(cls(**{**arguments, **shared}))
        super().__init__(parts, weights)
