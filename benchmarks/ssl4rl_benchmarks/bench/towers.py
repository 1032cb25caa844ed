"""What a vision tower knows of pictures that it never saw: logistic regression on its frozen features.

Labels are of pictures of the train split, which a run over the same source may have learned from without them; the accuracy
is that on pictures of the test split, which no run ever sees. Classes are digits, or the folders of a folder of pictures.

Features are the tokens that a tower and its connector give a decoder, averaged over the whole picture, or over each quarter
of it. An average over all places does not say where anything is; four averages, side by side, do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_envs import hash_seed
from ssl4rl_envs.sources import PictureSource, load_images

DRAWS = 10
"""Draws of labelled pictures that an accuracy is averaged over."""

SIDE = 48
"""Of pictures as they are shown to a network, in pixels."""

REDUCED = 16
"""Side of the pictures whose pixels are a reference."""

CHUNK = 256


@dataclass(frozen=True)
class Labelled:
    """Pictures with classes, of two splits.

    Args:
        source: where they are.
        items: (n,) which of its pictures.
        classes: (n,) of what they show.
        known: (n,) which are of the train split.
        asked: (n,) which are of the test split.
    """

    source: PictureSource
    items: NDArray[np.int64]
    classes: NDArray[np.int64]
    known: NDArray[np.bool_]
    asked: NDArray[np.bool_]

    def pictures(self, side: int = SIDE) -> NDArray[np.uint8]:
        """Return the pictures, whole, (n, side, side, 3)."""
        return self.source.pixels(self.source.whole(self.items), side)

    def with_examples(self, labels: int) -> Labelled:
        """Return what is left with the classes that have so many pictures to learn from, and one to be asked about.

        Raises:
            ValueError: fewer than two classes are left.
        """
        enough = [
            each
            for each in np.unique(self.classes)
            if (self.known & (self.classes == each)).sum() >= labels and (self.asked & (self.classes == each)).any()
        ]
        if len(enough) < 2:
            raise ValueError(
                f"source {self.source.name!r} has {len(enough)} classes with {labels} pictures of the train split and one of "
                "the test split, and a probe tells at least two apart; ask for fewer labels, or add pictures"
            )
        left = np.isin(self.classes, enough)
        return Labelled(self.source, *(getattr(self, name)[left] for name in ("items", "classes", "known", "asked")))


def labelled(what: str) -> Labelled:
    """Return pictures and their classes.

    Args:
        what: "digits", or "folder:PATH", whose pictures are of the class of the first folder on the way to them. Pictures
            that lie in no folder have no class.

    Raises:
        ValueError: there are no classes of it.
        FileNotFoundError: there is no such folder.
    """
    if what == "digits":
        source = load_images(what)
        items, classes = np.arange(len(load_digits().target)), np.asarray(load_digits().target, np.int64)
    elif what.startswith("folder:"):
        source = load_images(what)
        items, classes = _of_folders(source, Path(what.removeprefix("folder:").partition("?")[0]).expanduser())
    else:
        raise ValueError(f"there are no classes of {what!r}; there are those of digits, and of folder:PATH its folders")
    held: Any = source  # pictures in memory or in files, which know the items of a split
    known, asked = (np.isin(items, held.items(split)) for split in ("train", "test"))
    return Labelled(source, items, classes, known, asked)


def _of_folders(source: PictureSource, root: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which pictures of a folder lie in a folder of it, and in which, by the alphabet."""
    ways = [Path(file).resolve().relative_to(root.resolve()).parts for file in source.files]  # type: ignore[attr-defined]
    items = np.array([item for item, way in enumerate(ways) if len(way) > 1], np.int64)
    names = np.array([ways[item][0] for item in items], dtype=str)
    return items, np.unique(names, return_inverse=True)[1].astype(np.int64)


def accuracies(features: NDArray[Any], pictures: Labelled, labels: int) -> list[float]:
    """Return the share of pictures of the test split that logistic regression tells right, of each draw of labels.

    Args:
        features: (n, width) of the pictures.
        pictures: what they show.
        labels: of each class, drawn from the train split.
    """
    found, classes = [], pictures.classes
    for draw in range(DRAWS):
        order = np.random.default_rng(hash_seed(draw, "labelled")).permutation(np.flatnonzero(pictures.known))
        known = np.concatenate([order[classes[order] == each][:labels] for each in np.unique(classes)])
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
        model.fit(features[known], classes[known])
        found.append(float((model.predict(features[pictures.asked]) == classes[pictures.asked]).mean()))
    return found


def accuracy(features: NDArray[Any], pictures: Labelled, labels: int) -> float:
    """Return the mean of `accuracies`."""
    return float(np.mean(accuracies(features, pictures, labels)))


def measured(policy: Policy, what: str, cells: int, labels: int) -> list[float]:
    """Return how well the classes of pictures can be read off a network's features; see `labelled` and `accuracies`.

    Raises:
        ValueError: the network looks at no pictures, or they have no such classes.
    """
    pictures = labelled(what).with_examples(labels)
    return accuracies(averaged(tokens_of(policy, pictures.pictures()), cells).numpy(), pictures, labels)


def of_pixels(what: str, labels: int) -> float:
    """Return how well they can be read off pixels, by the same protocol."""
    pictures = labelled(what).with_examples(labels)
    small = pictures.pictures(REDUCED)
    return accuracy(small.reshape(len(small), -1) / 255, pictures, labels)


@torch.no_grad()
def tokens_of(policy: Policy, pictures: NDArray[np.uint8]) -> Tensor:
    """Return what the tower and the connector of a network make of pictures, (n, tokens, hidden).

    Raises:
        ValueError: the network looks at no pictures.
    """
    if not isinstance(policy, VLMPolicy):
        raise ValueError(f"{type(policy).__name__} looks at no pictures, and only a vision-language model has a tower")
    found = []
    for start in range(0, len(pictures), CHUNK):
        part = pictures[start : start + CHUNK]
        inputs = policy.encode({"image": part, "prompt": ("What is this?",) * len(part)})
        features = inputs.features if inputs.features is not None else policy.decoder.features(inputs.pictures)
        found.append(features.tokens.float().cpu())
    return torch.cat(found)


def averaged(tokens: Tensor, cells: int) -> Tensor:
    """Return tokens (n, side * side, hidden), row by row of the picture, averaged over parts of it, (n, cells² * hidden).

    Args:
        tokens: of a tower.
        cells: of a side; 1 averages over all tokens, however many there are.

    Raises:
        ValueError: they are no square, so that nobody knows where each was.
    """
    count, number, hidden = tokens.shape
    if cells == 1:
        return tokens.mean(dim=1)
    side = round(number**0.5)
    if side * side != number or side < cells:
        raise ValueError(f"{number} tokens a picture are no square of {cells} or more a side; whole: averages over all")
    square = tokens.transpose(1, 2).reshape(count, hidden, side, side)
    return torch.nn.functional.adaptive_avg_pool2d(square, cells).flatten(1)
