"""Next frame: which of the candidates goes on where a film stopped?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.images import films
from ssl4rl_envs.images.base import ImageTask, check_size, one_of
from ssl4rl_envs.images.casts import Cast, Floats, draw_cast, drawn, heading, within
from ssl4rl_envs.images.tiles import numbers, panels
from ssl4rl_envs.images.views import draw_views
from ssl4rl_envs.sources import ImageSourceLike, Views
from ssl4rl_envs.sources.base import TURN
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Level, Score, exact_score

KINDS = ("balloon", "kite")
"""Things that do not look where they go: a bird's beak would tell which way it will fly."""

SIZES = (0.2, 0.26)

DIFFER = ("direction", "speed", "thing", "mixed")


@dataclass(frozen=True)
class Draft:
    """What a question is made of, apart from what the film shows.

    Args:
        views: what is behind.
        cast: the things.
        last: (n, k, 2) where they are in the last frame of the film.
        steps: (n, candidates, k, 2) how far each of them is from there in the candidates.
    """

    views: Views
    cast: Cast
    last: Floats
    steps: Floats


class NextFrame(ImageTask[Draft]):
    """Which of the candidates goes on where a film stopped?

    ## Description
    Balloons and kites are drawn over a picture, and move straight on at a steady pace or stand still. A film of `frames`
    frames is shown, and candidates for the frame after it; wrong ones show another direction, another speed, or that another
    thing moved. All candidates begin at the last frame of the film, and which of them is right is drawn after them: the film
    is what leads up to that one; light and grain of each frame are drawn at random, and nothing that moves touches the border
    of the picture. So the candidates, and the last frame with
    them, tell nothing; the motion does. No candidate goes back where the film came from, all are equally likely whatever
    their place, and all that there are would have been asked about: each can be told from the others, from the last frame,
    and by a film that would lead up to it.
    After Lee et al., "Unsupervised representation learning by sorting sequences", 2017, and Lotter, Kreiman & Cox, "Deep
    predictive coding networks", 2017; things over pictures as in Dosovitskiy et al., "FlowNet", 2015.

    ## Observation Space
    `Dict` with `film`, the frames in order, and `next`, the candidates: uint8 RGB (image_size, image_size, 3), panels from
    left to right, top to bottom. The text interface adds `prompt`.

    ## Action Space
    `Discrete(candidates)`; in text their numbers, counted from 1.

    ## Rewards
    1 for the right candidate, 0 otherwise. Chance is 1 / candidates.

    ## Termination
    After one answer.

    ## Arguments
    - `source`: what is behind; "scenes", "scenes:N", "photos", "faces", "digits", "folder:PATH", or in Python arrays.
    - `image_size`: side of both pictures in pixels.
    - `frames`: of the film, 2 to 4.
    - `candidates`: 2 to 4.
    - `differ`: how wrong candidates differ from the right one: "direction", "speed", "thing" (which one moves) or "mixed"
      (direction and speed).
    - `speed`: least distance from frame to frame, as a share of the picture, 0.03 to 0.15.
    - `behind`: whether what moves passes behind something; not with "thing".
    - `light`: how much light and grain of each frame change by themselves, 0 to 1, so that neither mean colours nor sizes of
      files tell.

    ## Registered Configurations
    - `SSL4RL/NextFrame-v0`
    """

    asks = "which candidate goes on where a film stopped"

    levels = (
        Level("direction", {"differ": "direction", "speed": 0.1}),
        Level("thing", {"differ": "thing", "speed": 0.1}),
        Level("speed", {"differ": "speed", "speed": 0.05}),
        Level("mixed", {"differ": "mixed", "speed": 0.07}),
        Level("direction-behind", {"differ": "direction", "speed": 0.1, "behind": True}),
    )

    legitimate: ClassVar = {
        "boosted trees": "They see all that is measured of each candidate beside the film's first and last frame. What goes "
        "on straight gets furthest away from the first one and is least like it, as what moves covers another part of the "
        "picture. To see what is near in time is what the task asks. From the candidates alone they earn chance.",
    }

    def __init__(
        self,
        source: ImageSourceLike = "scenes",
        image_size: int = 96,
        frames: int = 3,
        candidates: int = 4,
        differ: str = "direction",
        speed: float = 0.08,
        behind: bool = False,
        light: float = 0.3,
    ) -> None:
        check_size(image_size)
        films.check("frames", frames, (2, 3, 4))
        films.check("candidates", candidates, (2, 3, 4))
        self.differ = one_of("differ", differ, DIFFER)
        self.side = films.panel_side(max(frames, candidates), image_size)
        films.check_speed(speed, self.side)
        films.check_light(light)
        if behind and differ == "thing":
            raise ValueError("behind=True hides the one thing that moves, and with differ='thing' several do; leave one out")
        self.frames, self.candidates, self.speed, self.behind = frames, candidates, speed, behind
        self.light = light
        self.fastest = speed * {"speed": candidates, "mixed": 2}.get(differ, 1)
        if frames * self.fastest + SIZES[1] > 1:
            raise ValueError(
                f"films of {frames} frames whose things move by {self.fastest:.2g} of the picture each time leave it; choose "
                f"a speed of at most {speed * (1 - SIZES[1]) / frames / self.fastest:.2g}, got {speed}"
            )
        super().__init__(source, image_size, ("film", "next"), "films or candidates that look alike")
        self.action_space = spaces.Discrete(candidates)
        self.answer_format = AnswerFormat(numbers(candidates), fillers=films.WORDS, listed=True)
        self.chance = 1 / candidates
        self.check_source()

    def draft(self, stream: Stream) -> Draft:
        """Draw a view, things in their last places, and where the candidates show them; each could come of a film within."""
        views = draw_views(stream, self.source, self.side)
        cast = draw_cast(stream, KINDS, self.candidates if self.differ == "thing" else 1, SIZES)
        steps = self._steps(stream)
        back, half = -(self.frames - 1) * steps, cast.half() + films.MARGIN / self.side
        offsets = np.concatenate([steps, back], axis=1)
        last = within(stream, half - offsets.min(axis=1), 1.0 - half - offsets.max(axis=1))
        if self.behind:
            where = last[:, 0] + 0.5 * (steps.min(axis=1) + steps.max(axis=1))[:, 0]
            cast, places = films.hide(stream, cast, last[:, None], where)
            last, steps = places[:, 0], np.concatenate([steps, np.zeros_like(steps)], axis=2)
        return Draft(views, cast, last, steps)

    def askable(self, draft: Draft) -> NDArray[np.bool_]:
        """Return where all candidates, the last frame, and those before it that lead to a candidate look different."""
        look, many = min(films.LOOK, self.side), self.candidates
        after, before = draft.last[:, None] + draft.steps, draft.last[:, None] - draft.steps
        centres = np.concatenate([draft.last[:, None], after, before], axis=1)
        every = range(1, many + 1)
        first = draft.last[:, None] - (self.frames - 1) * draft.steps
        room = films.inside(draft.cast, np.concatenate([first, after], axis=1), self.side, self.behind)
        pairs = [(0, frame) for frame in range(1, 2 * many + 1)]
        pairs += [(one, other) for one in every for other in range(1, one)]
        pairs += [(one + many, other + many) for one, other in pairs[2 * many :]]
        if not self.behind:
            moved = films.differences(drawn(self.source, draft.views, look, draft.cast, centres), pairs)
            return np.asarray(room & (moved >= films.MOVED).all(axis=1), np.bool_)
        pictures = drawn(self.source, draft.views, look, *films.alone(draft.cast, centres, self.behind))
        moved = films.differences(pictures, [(one + 1, other + 1) for one, other in pairs])
        seen = films.differences(pictures, [(0, frame + 1) for frame in range(2 * many + 1)])
        return room & films.shows(seen, self.behind) & (moved >= films.MOVED).all(axis=1)

    def make(self, stream: Stream) -> Batch:
        """Show one film and its candidates a row; observation and target as the class's text says."""
        target = stream.integers(0, self.candidates)
        draft = self.draw(stream)
        step = draft.steps[np.arange(len(target)), target]
        times = np.arange(1 - self.frames, 1)[:, None, None]
        film = draft.last[:, None] + times * step[:, None]
        centres = np.concatenate([film, draft.last[:, None] + draft.steps], axis=1)
        pictures = films.flickering(drawn(self.source, draft.views, self.side, draft.cast, centres), stream, self.light)
        parts = {"film": pictures[:, : self.frames], "next": pictures[:, self.frames :]}
        observation = {name: panels(part, self.image_size) for name, part in parts.items()}
        moving = np.abs(step).sum(axis=2).argmax(axis=1)
        thing = draft.cast.things[np.arange(len(target)), moving]
        return Batch(observation, target, draft.views.items, {"thing": thing, "step": step[np.arange(len(step)), moving]})

    def score(self, answers: NDArray[Any], batch: Batch) -> Score:
        """Score 1 for the right candidate, 0 otherwise."""
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        """Ask in words."""
        text = (
            f"The first picture shows {self.frames} frames of a film in order, from left to right, top to bottom. Whatever "
            f"moves, moves straight on at a steady pace. The second picture shows {self.candidates} candidates, numbered in "
            f"the same way: 1 to {self.candidates}. Which of them is the frame that comes next?"
        )
        return [text] * len(batch)

    def example(self) -> int:
        """Return the answer of the instructions' example."""
        return 1

    def rationale(self, batch: Batch) -> list[str]:
        """Say of n questions what moves, which way and how far, and where it will be, (n,)."""
        reasons = []
        for thing, step, target in zip(batch.memory["thing"], batch.memory["step"], batch.target, strict=True):
            share = round(100 * float(np.sqrt((step * step).sum())))
            reasons.append(
                f"The {films.named(thing)} moves {films.way_of(step)}, by {share} percent of the picture from frame to "
                f"frame. Candidate {int(target) + 1} shows it so much further on."
            )
        return reasons

    def _steps(self, stream: Stream) -> Floats:
        """Draw where the candidates show the things, from their last places, (n, candidates, things, 2)."""
        many, first = self.candidates, stream.integers(0, 16)[:, None] * (TURN // 16)
        if self.differ == "speed":
            # The candidates lie on a ray, in random order.
            lengths = self.speed * (1 + stream.permutation(many))
            return (lengths[..., None] * heading(first))[:, :, None]
        # Four axes, a random end of each: no direction is the opposite of another.
        ends = first + (stream.permutation(4) + 4 * stream.integers(0, 2, (4,))) * (TURN // 8)
        if self.differ == "thing":
            own = self.speed * heading(ends[:, :many])
            return own[:, None] * np.eye(many)[None, :, :, None]
        if self.differ == "direction":
            return (self.speed * heading(ends[:, :many]))[:, :, None]
        chosen = stream.choice(8, many)
        angles = np.take_along_axis(ends, chosen % 4, axis=1)
        return ((self.speed * (1 + chosen // 4))[..., None] * heading(angles))[:, :, None]
