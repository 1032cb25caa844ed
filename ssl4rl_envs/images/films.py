"""What tasks over films share: panels, things that hide others, and what must show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.images.casts import (
    LOOK,
    OUT_OF_SIGHT,
    STANDING,
    Cast,
    Floats,
    beside,
    differences,
    draw_cast,
    named,
    within,
)
from ssl4rl_envs.images.tiles import CAST, GAINS, NUMBERED, SHADE, STEPS, panel_grid
from ssl4rl_envs.kernels import tiles as kernels
from ssl4rl_envs.sources.base import TURN
from ssl4rl_envs.stream import Stream

__all__ = ["LOOK", "differences", "named"]

WORDS = (*NUMBERED, "frame", "frames", "order")

ALIKE: dict[str, str] = {
    "spectrum": "It sees how coarse and how fine each frame is in what directions, whatever its light. What moves covers "
    "another part of the picture from frame to frame, and frames that follow one another are alike in that, as frames far "
    "apart are not. To see what is near in time is what the task asks.",
    "boosted trees": "They see all of these measurements of each frame beside the first one's, and what is less like that "
    "comes later. Nothing that is measured of frames one by one tells more than how alike they are.",
}
"""Solvers of the audit that may know which frames are near in time, and why. Sizes of files, borders, the grain of frames and
their mean colours tell nothing of that, or the audit fails."""

GAP = 2
"""Pixels between neighbouring panels."""

MIN_SIDE = 12
"""Least side of a frame, in pixels."""

MARGIN = 3.5
"""The boxes of what moves stay so many pixels away from the border of a frame: its two outermost lines are the same in all
frames then, though beaks are drawn a pixel thicker and edges are smooth."""

GRAIN = 64
"""Most grey levels of 255 by which grain makes a value larger or smaller, with light 1."""

SEEN, MOVED = 0.012, 0.008
"""Least share of a frame that shows what moves, and least share in which two frames differ."""

MOST_HIDDEN, LEAST_HIDDEN = 0.7, 0.25
"""What moves is never hidden by more than the first; with something in front it is at some time by more than the second."""

FRONT_SIZES = (0.18, 0.26)

WAYS = (
    "right",
    "up and to the right",
    "up",
    "up and to the left",
    "left",
    "down and to the left",
    "down",
    "down and to the right",
)


def check(name: str, value: int, known: tuple[int, ...]) -> None:
    """Look at a count.

    Raises:
        ValueError: it is none of the known ones.
    """
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, got {value}")


def panel_side(count: int, image_size: int) -> int:
    """Return the side of so many panels in a picture, in pixels.

    Raises:
        ValueError: they would be too small to be seen.
    """
    grid = panel_grid(count)
    side = image_size // grid - GAP
    if side < MIN_SIDE:
        raise ValueError(
            f"frames must be at least {MIN_SIDE} pixels wide; {count} of them take an image_size of "
            f"{grid * (MIN_SIDE + GAP)}, got {image_size}"
        )
    return side


def check_speed(speed: float, side: int) -> None:
    """Look at a speed.

    Raises:
        ValueError: it is out of range, or less than a pixel.
    """
    if not 0.03 <= speed <= 0.15:
        raise ValueError(f"speed must lie in 0.03 to 0.15 of the picture from frame to frame, got {speed}")
    if speed * side < 1:
        raise ValueError(f"speed={speed} is less than a pixel in frames of {side} pixels; use a larger image_size or speed")


def hide(stream: Stream, cast: Cast, centres: Floats, where: Floats) -> tuple[Cast, Floats]:
    """Put something that stands still in front of a place (n, 2), and return the cast and the centres with it."""
    front = draw_cast(stream, STANDING, 1, FRONT_SIZES)
    half = front.half()[:, 0]
    low = np.stack([where[:, 0] - 0.1, np.maximum(half[:, 1], where[:, 1] - 0.3 * half[:, 1])], axis=-1)
    high = np.stack([where[:, 0] + 0.1, where[:, 1] + half[:, 1]], axis=-1)
    place = np.clip(within(stream, low, high), 0.0, 1.0)
    still = np.broadcast_to(place[:, None, None], (*centres.shape[:2], 1, 2))
    return beside(cast, front), np.concatenate([centres, still], axis=2)


def alone(cast: Cast, centres: Floats, behind: bool) -> tuple[Cast, Floats]:
    """Return the last thing that moves, with what hides it, in a frame without it and in all frames: what is looked at."""
    first = cast.things.shape[1] - 1 - behind
    few = Cast(cast.things[:, first:], cast.size[:, first:], cast.flip[:, first:])
    shown = np.concatenate([centres[:, :1, first:], centres[:, :, first:]], axis=1)
    shown[:, 0, 0] = OUT_OF_SIGHT
    return few, shown


def inside(cast: Cast, centres: Floats, side: int, behind: bool) -> NDArray[np.bool_]:
    """Return in which films (n,) all that moves stays away from the borders of frames of so many pixels a side."""
    movers = cast.size.shape[1] - behind
    half, margin = cast.half()[:, None, :movers], MARGIN / side
    places = centres[:, :, :movers]
    good = (places - half >= margin - 1e-9) & (places + half <= 1.0 - margin + 1e-9)
    return np.asarray(good.all(axis=(1, 2, 3)), np.bool_)


def flickering(frames: NDArray[np.uint8], stream: Stream, light: float) -> NDArray[np.uint8]:
    """Return frames (n, m, side, side, 3) whose light and grain were drawn for each by itself.

    Light hides what mean colours would tell of which frames are near in time, and grain what sizes of files and fine detail
    would. With light 1 the contrast is halved or doubled at most, a frame as a whole made lighter or darker by up to 64 grey
    levels of 255, each colour by 32 more, and each value by up to `GRAIN`, all drawn evenly up to that.
    """
    if not light:
        return frames
    most, count, many, side = round(STEPS * light), *frames.shape[:3]
    steps = stream.integers(-most, most + 1, (many, 5))
    level = SHADE * steps[..., :1] + CAST * steps[..., 1:4]
    kernels.relight(frames, GAINS[steps[..., 4] + STEPS] * (STEPS // 256), level, np.zeros((count, many, 2), np.int64))
    kernels.grain(frames, stream.words((many, side, side)), stream.integers(0, round(GRAIN * light) + 1, (many,)))
    return frames


def check_light(light: float) -> None:
    """Look at a strength of flicker.

    Raises:
        ValueError: it is out of range.
    """
    if not 0 <= light <= 1:
        raise ValueError(f"light must lie in 0 to 1, got {light}")


def shows(seen: Floats, behind: bool) -> NDArray[np.bool_]:
    """Return which films show what moves well enough, by the shares of the frames (n, frames) that show it, (n,)."""
    most, least = seen.max(axis=1), seen.min(axis=1)
    good = (most >= SEEN) & (least >= (1 - MOST_HIDDEN) * most)
    return np.asarray(good & (least <= (1 - LEAST_HIDDEN) * most) if behind else good, np.bool_)


def way(angle: int) -> str:
    """Return a direction in words, of an angle counter-clockwise from the right in 1/2880 of a turn."""
    return WAYS[(angle + TURN // 16) // (TURN // 8) % 8]


def way_of(step: Floats) -> str:
    """Return the nearest of the eight directions in words, of a step (2,) right and down."""
    return way(round(float(np.arctan2(-step[1], step[0])) * TURN / (2 * np.pi)))
