"""Frame ordering: in which order did the shuffled frames of a film come?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.images import films, orders
from ssl4rl_envs.images.base import ImageTask, check_size, one_of
from ssl4rl_envs.images.casts import BIRD, FLOATING, Cast, Floats, Integers, draw_cast, drawn, heading, within
from ssl4rl_envs.images.tiles import panels
from ssl4rl_envs.images.views import draw_views
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.sources.base import TURN
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score

FRAMES = (3, 4, 5, 6)

SIZES = (0.22, 0.3)
"""How large the things are that move, as shares of the picture."""

_HEADINGS = np.array([0, 1, 2, 6, 7, 8, 9, 10, 14, 15]) * (TURN // 16)
"""Which ways things move: sideways, and up or down by 45 degrees at most, so that birds can look where they fly."""


@dataclass(frozen=True)
class Draft:
    """What a question is made of, apart from the order.

    Args:
        views: what is behind.
        cast: the things.
        centres: (n, frames, k, 2) where they are, in the order of time.
        heading: (n,) which way the last one moves, in 1/2880 of a turn.
    """

    views: Views
    cast: Cast
    centres: Floats
    heading: Integers


class FrameOrdering(ImageTask[Draft]):
    """In which order did the shuffled frames of a film come?

    ## Description
    Balloons, kites and birds are drawn over a picture, and each moves straight on at a steady pace. Frames of this film are
    shown side by side in random order. The first frame is the first panel (`marked`), because a film of things that move
    straight on could as well run backward: with it there is one right order. Without it the last one painted of the things
    is a bird, and birds fly the way they look; films that run either way are equally likely in all else. Films are drawn
    again until every frame shows this thing, and none looks like another. With `behind` it passes behind something that
    stands in front. What is behind is the same in all frames, nothing that moves touches the border of the picture, and light
    and grain of each frame are drawn at random, so what moved tells the order, and colours, borders and sizes of files do
    not.
    After Misra, Zitnick & Hebert, "Shuffle and learn", 2016; things over pictures as in Dosovitskiy et al., "FlowNet", 2015.

    ## Observation Space
    `Dict` with `image`: uint8 RGB (image_size, image_size, 3), the frames as panels. The text interface adds `prompt`.

    ## Action Space
    `MultiDiscrete([frames - 1] * (frames - 1))`, the panels after the first one in the order of time, 0 for panel 2; only
    permutations are valid. In text their numbers: `<answer>3, 2, 4</answer>`. Without the mark all `frames` panels, 0 for
    panel 1.

    ## Rewards
    With f the share of places that name the right panel and n their number, `reward="fraction"` pays
    max(0, (f - 1/n) / (1 - 1/n)), and `reward="exact"` 1 if all are right. What is not a permutation gets 0. Chance is the
    expectation over random orders: 1/6 for 4 frames, the first of them marked. Success is the whole order.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: what is behind; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of the picture with all panels, in pixels.
    - `frames`: 3 to 6.
    - `speed`: how far things move from frame to frame, as a share of the picture, 0.03 to 0.15.
    - `things`: how many move, 1 to 3.
    - `behind`: whether one of them passes behind something.
    - `marked`: whether the first panel is the first frame.
    - `light`: how much light and grain of each frame change by themselves, 0 to 1, so that neither mean colours nor sizes of
      files tell.
    - `reward`: "fraction" or "exact".

    ## Registered Configurations
    - `SSL4RL/FrameOrdering-v0`
    """

    asks = "in which order the shuffled frames of a film came"

    levels = (
        Level("3", {"frames": 3, "speed": 0.15}),
        Level("4", {"frames": 4}),
        Level("4-slow", {"frames": 4, "speed": 0.05}),
        Level("4-behind", {"frames": 4, "behind": True}),
        Level("4-unmarked", {"frames": 4, "marked": False}),
        Level("6", {"frames": 6, "things": 3}),
    )

    legitimate: ClassVar = films.ALIKE

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 96,
        frames: int = 4,
        speed: float = 0.1,
        things: int = 2,
        behind: bool = False,
        marked: bool = True,
        light: float = 0.3,
        reward: str = "fraction",
    ) -> None:
        check_size(image_size)
        films.check("frames", frames, FRAMES)
        films.check("things", things, (1, 2, 3))
        self.side = films.panel_side(frames, image_size)
        films.check_speed(speed, self.side)
        films.check_light(light)
        super().__init__(source, image_size, ("image",), "films in which what moves cannot be seen well in every frame")
        self.frames, self.speed, self.things, self.behind, self.marked = frames, speed, things, behind, marked
        self.light = light
        self.reward = one_of("reward", reward, orders.REWARDS)
        self.asked = frames - marked
        self.action_space = spaces.MultiDiscrete([self.asked] * self.asked)
        labels = tuple(str(number + 1 + marked) for number in range(self.asked))
        self.answer_format = AnswerFormat(labels, slots=self.asked, distinct=True, fillers=films.WORDS)
        self.chance = orders.chance(self.asked, reward)
        self.check_source()

    def draft(self, stream: Stream) -> Draft:
        """Draw a view, things, and straight paths of theirs that stay in the picture."""
        views = draw_views(stream, self.source, self.side)
        cast = draw_cast(stream, FLOATING, self.things, SIZES)
        if not self.marked:
            cast.things[:, -1, 0] = BIRD
        heading_of = _HEADINGS[stream.integers(0, len(_HEADINGS), (self.things,))]
        steps = self.speed * heading(heading_of)
        cast.flip[...] = np.where(steps[..., 0] < 0, -1.0, 1.0)
        reach = np.abs(steps) * ((self.frames - 1) / 2) + cast.half() + films.MARGIN / self.side
        middle = within(stream, reach, 1.0 - reach)
        times = np.arange(self.frames) - (self.frames - 1) / 2
        centres = middle[:, None] + times[:, None, None] * steps[:, None]
        if self.behind:
            cast, centres = films.hide(stream, cast, centres, middle[:, -1])
        return Draft(views, cast, centres, heading_of[:, -1])

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return which films show what moves in every frame, each elsewhere; with `behind`, some of it hidden at times."""
        look = min(films.LOOK, self.side)
        pictures = drawn(self.source, draft.views, look, *films.alone(draft.cast, draft.centres, self.behind))
        every = range(1, self.frames + 1)
        seen = films.differences(pictures, [(0, frame) for frame in every])
        moved = films.differences(pictures, [(one, other) for one in every for other in range(1, one)])
        room = films.inside(draft.cast, draft.centres, self.side, self.behind)
        return room & films.shows(seen, self.behind) & (moved >= films.MOVED).all(axis=1)

    def make(self, stream: Stream) -> Batch:
        """Show the frames of one film a row; observation and target as the class's text says."""
        order = stream.permutation(self.asked)
        draft = self.draw(stream)
        shown = np.concatenate([np.zeros((len(order), 1), np.int64), order + 1], axis=1) if self.marked else order
        centres = draft.centres[np.arange(len(order))[:, None], shown]
        frames = drawn(self.source, draft.views, self.side, draft.cast, centres)
        image = panels(films.flickering(frames, stream, self.light), self.image_size)
        leader = draft.cast.things[:, self.things - 1]
        memory = {"thing": leader, "heading": draft.heading}
        return Batch({"image": image}, np.argsort(order, axis=1, kind="stable"), draft.views.items, memory)

    def valid(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which answers are permutations, (n,)."""
        return orders.permutations(answers, super().valid(answers))

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score permutations by the share of right places."""
        return orders.score((answers == batch.target) & self.valid(answers)[:, None], self.reward)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words; the direction of the permutation is stated, with an example."""
        example = self.format(self.example())
        numbers = example.split(", ")
        told = f"after 1 comes {numbers[0]}" if self.marked else f"{numbers[0]} is the first"
        arrow = (
            "Frame 1 is the first one; the others were shuffled. In which order do they follow?"
            if self.marked
            else "They were shuffled. A bird is among what moves, and birds fly the way they look. In which order did the "
            "frames come?"
        )
        text = (
            f"These are {self.frames} frames of a film, numbered from left to right, top to bottom: 1 to {self.frames}. "
            f"Whatever moves, moves straight on at a steady pace. {arrow} For example, {example} says that {told}, then "
            f"{', then '.join(numbers[1:])}."
        )
        return [text] * len(batch)

    def example(self) -> NDArray[np.int64]:
        """Return the order of the example, which is not the one in which the panels stand."""
        order = np.arange(self.asked)
        order[:2] = 1, 0
        return order

    def rationale(self, batch: Batch) -> list[str]:
        """Say of n questions what moves which way, and which frames show it further on, (n,)."""
        reasons = []
        for thing, angle, target in zip(batch.memory["thing"], batch.memory["heading"], batch.target, strict=True):
            order = (["1"] if self.marked else []) + self.format(target).split(", ")
            why = "" if self.marked else ", the way it looks"
            reasons.append(
                f"The {films.named(thing)} moves {films.way(int(angle))}{why}. It is furthest back in frame {order[0]}, and "
                f"further on in each of the frames {', '.join(order[1:])}."
            )
        return reasons
