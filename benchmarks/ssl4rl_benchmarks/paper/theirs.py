"""The paper's rules of reward and of data, restated in our own words from its public code, so that they can be asked.

Each function says which file of PKU-ML/SSL4RL (commit 57c830a) it restates. Nothing of that code is needed or copied.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import combinations

ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
ASSISTANT = "assistant\n"

ANGLES = (0, 90, 180, 270)

COMMON_SIZES = ((640, 480), (480, 640), (500, 375), (375, 500), (640, 427), (427, 640), (1024, 768), (1920, 1080), (512, 512))
"""Of pictures, width and height: usual ones of cameras, screens and data sets."""

SIDES = range(200, 1001, 23)
"""Widths and heights in pixels, odd and even ones, for what holds on average."""


def said(reply: str) -> str | None:
    """Return what a reply says, as verl/utils/reward_score/ssl4rl.py and jigsaw.py read it.

    Only what stands behind the last line "assistant" counts, and there the first thing between <answer> and </answer>,
    wherever it stands.
    """
    found = ANSWER.search(reply[reply.rfind(ASSISTANT) + len(ASSISTANT) :] if ASSISTANT in reply else reply)
    return None if found is None else found[1].strip()


def paid_choice(reply: str, truth: str) -> float:
    """Return what a reply to position, rotation or contrastive earns: 1 if it is the truth letter by letter (ssl4rl.py)."""
    return float(said(reply) in [each.strip() for each in truth.split(",")])


def paid_order(reply: str, truth: str) -> float:
    """Return what a reply to a jigsaw earns: the share of places that hold the right number (jigsaw.py).

    Numbers are compared place by place as far as the truth goes; whether they are a permutation, how many there are, and
    what cannot be read among them, does not count.
    """
    given, right = said(reply), truth.split(",")
    if given is None:
        return 0.0
    pairs = zip(given.split(","), right, strict=False)
    return sum(_number(one) == int(other) for one, other in pairs) / len(right)


def _number(word: str) -> int | None:
    try:
        return int(word)
    except ValueError:
        return None


def frame(width: int, height: int, angle: int) -> tuple[int, int]:
    """Return width and height of a picture that was turned by a multiple of 90 degrees (makerotation_mmbench.py).

    The picture is turned with the frame made to fit, and then cut to the largest upright rectangle within it, which is worked
    out in floating point from the angle in radians and cut down to whole pixels. Where the sine of 180 degrees comes out as
    1.2e-16, a pixel may be lost, and whether it is depends on the angle.
    """
    turned = (height, width) if angle % 180 else (width, height)
    inner = _largest(width, height, math.radians(angle))
    low = [round((out - within) / 2) for out, within in zip(turned, inner, strict=True)]
    high = [round((out + within) / 2) for out, within in zip(turned, inner, strict=True)]
    return high[0] - low[0], high[1] - low[1]


def _largest(width: int, height: int, angle: float) -> tuple[int, int]:
    """Return the largest upright rectangle within one that was turned by a multiple of a right angle, in whole pixels."""
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    double = cosine * cosine - sine * sine
    return int((width * cosine - height * sine) / double), int((height * cosine - width * sine) / double)


def told_by_frame(width: int, height: int) -> float:
    """Return how often the angle is found by who sees nothing but the size of the turned picture: frames told apart, of 4."""
    return len({frame(width, height, angle) for angle in ANGLES}) / len(ANGLES)


def told_by_black(width: int, height: int) -> float:
    """Return how often the angle is found by who sees nothing but whether there is black at the edges.

    makerotation_seedbench.py and makerotation_realworldqa.py leave the frame as it is, so that a picture which is not square
    and was turned by 90 or 270 degrees has black at two sides.
    """
    return len({angle % 180 != 0 and width != height for angle in ANGLES}) / len(ANGLES)


LISTS = {
    "run_mmbench_*.sh": (("test", "validation"), ("validation",)),
    "run_seedbench_*.sh": (("train",), ("train",)),
}
"""Which parts of the data set training and validation are made of.

preprocess.py writes MMBench's part "test" as train.parquet and "validation" as test.parquet; the scripts list both for
training and the second for validation. The README then measures on MMBench_DEV_EN, by its name the part "validation".
"""


def seen_in_training(lists: tuple[Sequence[str], Sequence[str]]) -> float:
    """Return which share of the parts that are held out are also trained on."""
    trained, held = lists
    return sum(part in trained for part in held) / len(held)


def false_negatives(pictures: Iterable[str]) -> float:
    """Return which share of pairs that are called negative show the same picture (makecontrastive_mmbench.py).

    Pairs are of two different rows; that two rows may hold the same picture, as several questions about it do, is not looked
    at.

    Args:
        pictures: what the rows hold.
    """
    pairs = list(combinations(pictures, 2))
    return sum(one == other for one, other in pairs) / len(pairs)
