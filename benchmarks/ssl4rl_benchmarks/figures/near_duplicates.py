"""Which copies of a picture are found, and which pictures are taken for copies: the figures of docs/pictures.md.

python -m ssl4rl_benchmarks.figures.near_duplicates
python -m ssl4rl_benchmarks.figures.near_duplicates --sources photos scenes:2000 --speed 5000
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl4rl_envs.sources import ImageSource, load_images
from ssl4rl_envs.sources.duplicates import Look, groups_of_copies, look_of
from ssl4rl_envs.sources.index import content_key

Change = Callable[[Image.Image], Image.Image]


def compressed(kind: str, quality: int) -> Change:
    """Return a change that saves a picture with losses and reads it again."""

    def change(picture: Image.Image) -> Image.Image:
        data = io.BytesIO()
        picture.save(data, kind, quality=quality)
        return Image.open(io.BytesIO(data.getvalue())).convert("RGB")

    return change


def resized(share: float) -> Change:
    """Return a change of size, the same in both directions."""
    return lambda p: p.resize((round(p.width * share), round(p.height * share)), Image.Resampling.BICUBIC)


def cropped(share: float) -> Change:
    """Return a change that takes a share of the width and height off each side, a pixel at least."""

    def change(picture: Image.Image) -> Image.Image:
        x, y = (max(1, round(share * side)) for side in picture.size)
        return picture.crop((x, y, picture.width - x, picture.height - y))

    return change


COPIES: dict[str, Change] = {
    "JPEG, quality 95": compressed("JPEG", 95),
    "JPEG, quality 75": compressed("JPEG", 75),
    "JPEG, quality 50": compressed("JPEG", 50),
    "JPEG, quality 30": compressed("JPEG", 30),
    "WebP, quality 80": compressed("WEBP", 80),
    "half the size": resized(0.5),
    "twice the size": resized(2.0),
    "half the size, JPEG 75": lambda picture: compressed("JPEG", 75)(resized(0.5)(picture)),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "darker by 30 %": lambda picture: picture.point(lambda value: int(value * 0.7)),
    "brighter by 30 levels": lambda picture: picture.point(lambda value: min(255, value + 30)),
    "64 colours": lambda picture: picture.quantize(64).convert("RGB"),
}
"""What is promised to be found."""

FURTHER: dict[str, Change] = {
    "1 % off each side": cropped(0.01),
    "2 % off each side": cropped(0.02),
    "5 % off each side": cropped(0.05),
    "JPEG, quality 10": compressed("JPEG", 10),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}
"""What may be found, or not."""


def found_share(pictures: Sequence[NDArray[np.uint8]], looks: Sequence[Look], change: Change) -> float:
    """Return the share of pictures whose changed copy is put into their group."""
    changed = [np.asarray(change(Image.fromarray(picture))) for picture in pictures]
    keys = [content_key(picture) for picture in (*pictures, *changed)]
    group = np.arange(len(keys))
    for members in groups_of_copies([*looks, *map(look_of, changed)], keys):
        group[members] = members[0]
    return float((group[: len(pictures)] == group[len(pictures) :]).mean())


def grouped(looks: Sequence[Look]) -> tuple[int, int]:
    """Return how many of different pictures are grouped, and the size of the largest group."""
    groups = groups_of_copies(looks, [number.to_bytes(8, "big") for number in range(len(looks))])
    return sum(map(len, groups)), max(map(len, groups), default=1)


def table(names: Sequence[str], sample: int) -> str:
    """Return both as a table in Markdown."""
    columns: list[list[str]] = []
    for name in names:
        source = load_images(name)
        if not isinstance(source, ImageSource):
            raise ValueError(f"{name} has no end; take scenes:N")
        pictures = [source.picture(item) for item in range(len(source))]
        looks = [look_of(picture) for picture in pictures]
        few = range(0, len(pictures), max(1, len(pictures) // sample))
        shares = [
            found_share([pictures[item] for item in few], [looks[item] for item in few], change)
            for change in (*COPIES.values(), *FURTHER.values())
        ]
        count, largest = grouped(looks)
        columns.append([*(f"{share:.2f}" for share in shares), f"{count} of {len(pictures)} (largest group {largest})"])
    rows = zip([*COPIES, *FURTHER, "different pictures grouped"], *columns, strict=True)
    head = ["| change | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)])


def main() -> None:
    """Print the table and, if asked, what grouping costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", nargs="+", default=["scenes:400", "photos", "faces", "digits"])
    parser.add_argument("--sample", type=int, default=100, help="of how many pictures of each source copies are made")
    parser.add_argument("--speed", type=int, help="of how many scenes the time is taken")
    flags = parser.parse_args()
    print(table(flags.sources, flags.sample))
    if flags.speed:
        source = load_images(f"scenes:{flags.speed}")
        assert isinstance(source, ImageSource)
        begin = time.process_time()
        looks = [look_of(source.picture(item)) for item in range(len(source))]
        looked = time.process_time()
        grouped(looks)
        done = time.process_time()
        print(f"\n{(looked - begin) / flags.speed * 1e3:.2f} ms a picture, {done - looked:.1f} s for all pairs")


if __name__ == "__main__":
    main()
