"""What becomes of the pictures of a prompt: tensors from the processor, then the features that stand in their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

TOWERS = ("vision_tower", "visual", "vision_model")
CONNECTORS = ("multi_modal_projector", "connector", "image_newline")


@dataclass
class Features:
    """What a vision tower and its connector made of the pictures of N prompts.

    Args:
        tokens: (N, tokens, hidden), in the order of the picture tokens in the prompt.
        deep: (N, layers, tokens, hidden) to be added after the first layers of the decoder (DeepStack), or None.
        listed: whether the model expects a list with an entry a prompt rather than one tensor.
    """

    tokens: Tensor
    deep: Tensor | None
    listed: bool

    def rows(self, rows: Tensor | slice) -> Features:
        """Return the features of the chosen prompts."""
        return Features(self.tokens[rows], None if self.deep is None else self.deep[rows], self.listed)

    def outputs(self) -> dict[str, Any]:
        """Return them as the models take what their own towers gave."""
        found = SimpleNamespace(pooler_output=list(self.tokens) if self.listed else self.tokens)
        if self.deep is not None:
            found.deepstack_features = [list(layer) for layer in self.deep.transpose(0, 1)]
        return {"image": found}


def on_device(pictures: NDArray[np.uint8] | Tensor, device: torch.device) -> Tensor:
    """Bring pictures (n, height, width, 3) uint8 to where they are processed; to a GPU equal ones travel once."""
    if isinstance(pictures, Tensor):
        return pictures.to(device, non_blocking=True)
    held = np.ascontiguousarray(pictures)
    if device.type == "cpu":
        return torch.from_numpy(held if held.flags.writeable else held.copy())
    distinct, which = distinct_pictures(held)
    sent, places = (torch.from_numpy(array).pin_memory().to(device, non_blocking=True) for array in (distinct, which))
    return sent if len(distinct) == len(held) else sent[places]


def distinct_pictures(pictures: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the pictures of a batch without repetitions, in order of appearance, and which of them stands at each place."""
    places: dict[bytes, int] = {}
    which = np.array([places.setdefault(picture.tobytes(), len(places)) for picture in pictures], np.int64)
    if len(places) == len(pictures):
        return pictures, which
    return pictures[np.unique(which, return_index=True)[1]], which


def split_pictures(encoded: Mapping[str, Tensor], prompts: int, model: str) -> dict[str, Tensor]:
    """Give each prompt its share of every tensor: (prompts * k, ...) becomes (prompts, k, ...).

    All prompts of a batch show as many pictures of the same sizes, so the shares are equal.
    """
    for name, values in encoded.items():
        if len(values) % prompts:
            raise ValueError(f"{model}: {name} of {prompts} prompts has {len(values)} rows, which cannot be shared equally")
    return {name: values.reshape(prompts, -1, *values.shape[1:]) for name, values in encoded.items()}


def picture_features(base: nn.Module, pictures: Mapping[str, Tensor]) -> Features:
    """Run the vision tower and connector of a model over the pictures of N prompts.

    Args:
        base: the model without its language-model head.
        pictures: (N, k, ...) tensors by the names that `get_image_features` takes.
    """
    read: Any = base.get_image_features
    output = read(**{name: values.flatten(0, 1) for name, values in pictures.items()}, return_dict=True)
    count = len(next(iter(pictures.values())))
    listed = not isinstance(output.pooler_output, Tensor)
    deep = getattr(output, "deepstack_features", None)
    layers = None if deep is None else torch.stack([_by_prompt(layer, count) for layer in deep], dim=1)
    return Features(_by_prompt(output.pooler_output, count), layers, listed)


def _by_prompt(features: Any, prompts: int) -> Tensor:
    """Turn features by picture into (prompts, tokens, hidden)."""
    joined = features if isinstance(features, Tensor) else torch.cat(list(features))
    return joined.reshape(prompts, -1, joined.shape[-1])
