"""Reveal: uncover patches of a picture, each at a cost, and answer another task about it."""

from __future__ import annotations

import inspect

from ssl4rl_envs.covered import Covered
from ssl4rl_envs.registration import at_level, load_class, registered_task
from ssl4rl_envs.sources import PICTURES, ImageSourceLike
from ssl4rl_envs.task import Level


class Reveal(Covered):
    """Uncover patches of a picture, each at a cost, then answer what another task asks about it.

    ## Description
    The pictures of a question of another task are covered by grid x grid grey patches each. A step uncovers one patch or
    gives the answer, so an agent decides where to look, and when it has seen enough. Paired by one word (`pairing`), the task
    inside and this one ask the same questions, so that a whole picture can be compared with what is seen of it.

    ## Observation Space
    `Dict` with what the task inside shows, its pictures covered where nobody has looked; and `uncovered`: int8 (patches,), 1
    for the patches that are uncovered, those of one picture after those of another, each in reading order. The text interface
    adds `prompt`, which names them.

    ## Action Space
    First all patches, then all answers: over a task with `Discrete(n)`, `Discrete(patches + n)`. Where an answer is several
    numbers, one more stands before them: 0 answers, k uncovers patch k, counted from 1 (of painted answers: from -1, which
    answers, to 1, which uncovers the last patch). In text `<answer>look 3</answer>`, counted from 1, or the answer.
    `info["action_mask"]` is 0 for patches that are uncovered, and for all patches in the last step, after which nobody could
    answer; it has one number for each action, or the slots' one after another.

    ## Rewards
    Looking earns nothing. An answer is paid what the task inside pays for it, times 1 - cost * k after k patches were
    uncovered. Success is that of the task inside.

    Chance is that of the task inside: whoever does not look at the picture has no reason to pay for it. The right answer
    without a look earns 1, which takes luck; what the best eye earns lies between.

    ## Termination
    After an answer; truncated after `looks` + 1 steps. A reply that cannot be read uses up a step, and so does a look at what
    is uncovered already, which costs nothing else.

    ## Arguments
    - `source`: the pictures; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the pictures in pixels; it must suit the task inside.
    - `of`: the name of the task inside, one of one decision over pictures, e.g. Rotation, PatchPosition or Mixture.
    - `of_level`: a level of that task; its defaults where none is named.
    - `grid`: patches a side, 2 or more.
    - `looks`: most patches that are uncovered.
    - `cost`: what each costs, as a share of what an answer earns; `looks` times it must be below 1.

    ## Registered Configurations
    - `SSL4RL/Reveal-v0`
    """

    asks = "what another task asks, of pictures that are uncovered patch by patch at a cost"

    sources = PICTURES

    levels = (
        Level("2x2", {"grid": 2, "looks": 4, "cost": 0.1}),
        Level("3x3", {"grid": 3, "looks": 6, "cost": 0.05}),
        Level("4x4", {"grid": 4, "looks": 8, "cost": 0.05}),
        Level("6x6", {"grid": 6, "looks": 12, "cost": 0.05}),
    )

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 60,
        of: str = "Rotation",
        of_level: str = "",
        grid: int = 3,
        looks: int = 6,
        cost: float = 0.05,
    ) -> None:
        path, arguments = registered_task(of)
        cls, shared = load_class(path), {"source": source, "image_size": image_size}
        if not set(shared) <= set(inspect.signature(cls).parameters):
            raise ValueError(f"{of} cannot be covered: it is no task over pictures")
        arguments = at_level(cls, of_level, arguments) if of_level else arguments
        super().__init__(cls(**{**arguments, **shared}), grid, looks, cost)
