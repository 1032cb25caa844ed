"""What a processor makes of pictures, learned from the processor itself and then done where the policy is.

An image processor resizes bytes, and of the bytes that come out each number that the model sees is made by itself: looked up
at some place, rescaled, normalised. Which byte each number comes from, and what it becomes, is found by showing the processor
pictures whose bytes spell the numbers of their own places. From then on pictures travel as bytes, are resized as Pillow does
it (`resizing`), looked up in a table and put in order on the device: the very numbers that the processor gives, without it.

A processor that does something else (averages channels, pads with what it sees, resizes parts of a picture) is not learned,
and goes on working on the host.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ssl4rl_agents.policies.resizing import FILTERS, order_of, resize
from ssl4rl_envs.kernels.lookup import look_up

Process = Callable[[list[list[Image.Image]], Any], Any]
"""Runs a processor over the pictures of some prompts, with this image processor in the place of its own."""

Size = tuple[int, int]
"""Height and width of a picture."""


class NotLearnedError(ValueError):
    """A processor makes something else of pictures than is known here."""


@dataclass(frozen=True)
class Resize:
    """One resizing: of which picture (those that are shown, then those that came of earlier steps), to what, and how."""

    parent: int
    height: int
    width: int
    resample: int


@dataclass
class Numbers:
    """Where the numbers of a tensor come from.

    Args:
        shape: of a prompt's share of the tensor.
        places: (numbers,) int64, the byte that each is made of; behind the bytes stand the constants.
        table: (3 * 256,) what a byte of each channel becomes.
        constants: numbers that no picture changes.
    """

    shape: tuple[int, ...]
    places: Tensor
    table: Tensor
    constants: Tensor

    def of(self, pixels: Tensor) -> Tensor:
        """Return the tensor for bytes (n, bytes), with the shares of n prompts one after the other."""
        if pixels.device.type == "cpu" and self.table.dtype == torch.float32:
            arrays = (self.places.int().numpy(), self.table.numpy(), self.constants.numpy())
            return torch.from_numpy(look_up(pixels.numpy(), *arrays)).reshape(-1, *self.shape[1:])
        return self.by_tensors(pixels)

    def by_tensors(self, pixels: Tensor) -> Tensor:
        """Do as `of` does with what torch has on every device."""
        channels = torch.arange(pixels.shape[1], device=pixels.device, dtype=torch.int32) % 3 * 256
        looked_up = self.table[pixels.int() + channels]
        if len(self.constants):
            looked_up = torch.cat([looked_up, self.constants.expand(len(pixels), -1)], dim=1)
        return looked_up.index_select(1, self.places).reshape(-1, *self.shape[1:])


class PicturePlan:
    """What a processor makes of the pictures of a prompt, for pictures of given sizes.

    Args:
        sizes: of the pictures of a prompt.
        steps: how they are resized.
        numbers: where the numbers of each tensor come from, by its name.
        outputs: what the image processor returns for the pictures of one prompt.
    """

    def __init__(self, sizes: Sequence[Size], steps: list[Resize], numbers: dict[str, Numbers], outputs: list[Any]) -> None:
        self.sizes, self.steps, self._numbers, self._outputs = tuple(sizes), steps, numbers, outputs

    @property
    def names(self) -> set[str]:
        """Which tensors hold pictures."""
        return set(self._numbers)

    def __call__(self, pictures: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the tensors that hold pictures, on their device, as the processor gives them for n prompts.

        Args:
            pictures: of each prompt the first, the second, ...: (n, height, width, 3) uint8 each.
        """
        seen = list(pictures)
        for step in self.steps:
            seen.append(resize(seen[step.parent], step.height, step.width, step.resample))
        pixels = seen[0].flatten(1) if len(seen) == 1 else torch.cat([picture.flatten(1) for picture in seen], dim=1)
        self._move(pixels.device)
        return {name: numbers.of(pixels) for name, numbers in self._numbers.items()}

    def stand_in(self, real: Any, prompts: int) -> Any:
        """Return what takes the place of an image processor, and returns what is known already of so many prompts."""
        calls = iter(self._outputs)
        return _StandIn(real, lambda *_, **__: _repeated(next(calls), prompts, self.names))

    def _move(self, device: torch.device) -> None:
        for numbers in self._numbers.values():
            if numbers.places.device != device:
                for name in ("places", "table", "constants"):
                    setattr(numbers, name, getattr(numbers, name).to(device))


def learn(process: Process, real: Any, sizes: Sequence[Size]) -> PicturePlan:
    """Find out what a processor makes of pictures of these sizes.

    Args:
        process: runs the processor.
        real: its image processor.
        sizes: of the pictures of a prompt.

    Raises:
        NotLearnedError: it makes something else of them than is known here.
    """
    probe = _Probe(process, real, sizes)
    steps = probe.steps()
    shapes = [*sizes, *((step.height, step.width) for step in steps)]
    ends = np.cumsum([0, *(3 * height * width for height, width in shapes)])
    count = int(ends[-1])

    def shown(values: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        return [values[a:b].reshape(*shape, 3) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)]

    places = np.arange(count)
    digits = [(places >> shift & 255).astype(np.uint8) for shift in range(0, max(count - 1, 1).bit_length(), 8)]
    bytes_ = [np.zeros(count, np.uint8), np.full(count, 255, np.uint8), *digits]
    runs = [probe.run(shown(values)) for values in bytes_]
    names = [name for name, values in runs[0].items() if any(not torch.equal(values, run[name]) for run in runs[1:])]
    numbers = {name: _numbers_of([run[name] for run in runs], bytes_) for name in names}
    if not numbers:
        raise NotLearnedError("nothing that it returns depends on the pictures")
    return PicturePlan(sizes, steps, numbers, probe.outputs)


def _numbers_of(runs: list[Tensor], bytes_: list[NDArray[np.uint8]]) -> Numbers:
    """Find out where the numbers of a tensor come from.

    Args:
        runs: the tensor, where all bytes were 0, where all were 255, and where they were digits of the numbers of their
            places to the base 256, the lowest first.
        bytes_: what was shown in each run.
    """
    shape = tuple(runs[0].shape)
    if any(run.shape != shape or not run.is_floating_point() for run in runs):
        raise NotLearnedError("a tensor of whole numbers, or of changing shape, depends on the pictures")
    zero, full, *digits = (run.flatten() for run in runs)
    varying = zero != full
    spelled = torch.zeros(zero.shape, dtype=torch.int64)
    for power, digit in enumerate(digits):
        byte = ((digit - zero) / (full - zero) * 255).round().nan_to_num(0, 0, 0)
        spelled += byte.long().clamp(0, 255) << (8 * power)
    count = len(bytes_[0])
    if bool((spelled[varying] >= count).any()):
        raise NotLearnedError("its numbers are not made of one byte each")
    table = torch.full((3 * 256,), torch.nan, dtype=zero.dtype)
    entries = []
    for run, values in zip(runs, bytes_, strict=True):
        entry = torch.from_numpy(values).long()[spelled] + spelled % 3 * 256
        entries.append(entry)
        table[entry[varying]] = run.flatten()[varying]
    for run, entry in zip(runs, entries, strict=True):
        if not torch.equal(torch.where(varying, table[entry], zero), run.flatten()):
            raise NotLearnedError("its numbers are not made of one byte each, or not of each byte alike")
    if bool(table.isnan().any()):
        raise NotLearnedError("too few pixels are seen to tell what each byte becomes")
    constants, which = torch.unique(zero[~varying], return_inverse=True)
    places = spelled.masked_scatter(~varying, which + count)
    return Numbers(shape, places, table, constants)


class _Probe:
    """Shows a processor pictures of one prompt and listens."""

    def __init__(self, process: Process, real: Any, sizes: Sequence[Size]) -> None:
        self._process, self._real, self._sizes = process, real, sizes
        self.outputs: list[Any] = []
        """What the image processor returned in the last run, call by call."""

    def steps(self) -> list[Resize]:
        """Find out how pictures are resized."""
        random = np.random.default_rng(0)
        known = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in self._sizes]
        steps: list[Resize] = []

        def listen(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
            parent = next((k for k, picture in enumerate(known) if np.array_equal(picture, before)), None)
            if parent is None:
                raise NotLearnedError("it resizes parts of pictures")
            resample = next((kind for kind in FILTERS if np.array_equal(_resized(before, after.shape, kind), after)), None)
            if resample is None:
                raise NotLearnedError("it resizes in another way than Pillow's smooth filters")
            height, width = after.shape[:2]
            order_of(*before.shape[:2], height, width, resample)
            steps.append(Resize(parent, height, width, resample))
            known.append(random.integers(0, 256, after.shape, dtype=np.uint8))
            return known[-1]

        self._listen(known[: len(self._sizes)], listen)
        return steps

    def run(self, pictures: list[NDArray[np.uint8]]) -> dict[str, Tensor]:
        """Return what the processor makes of pictures, where those behind the first ones are what resizing gives."""
        replies = iter(pictures[len(self._sizes) :])
        return dict(self._listen(pictures[: len(self._sizes)], lambda *_: next(replies)))

    def _listen(self, pictures: list[NDArray[np.uint8]], resized: Callable[[Any, Any], Any]) -> Any:
        inner = copy.copy(self._real)
        own = inner.resize

        def resizing(image: Any, *args: Any, **kwargs: Any) -> Any:
            after = own(image, *args, **kwargs)
            if not all(isinstance(each, np.ndarray) and each.dtype == np.uint8 for each in (image, after)):
                raise NotLearnedError("it resizes something else than bytes")
            if after.shape == image.shape:
                return after
            rows = resized(np.moveaxis(image, 0, -1), np.moveaxis(after, 0, -1))
            return np.ascontiguousarray(np.moveaxis(rows, -1, 0))

        inner.resize = resizing
        self.outputs = []

        def answer(*args: Any, **kwargs: Any) -> Any:
            self.outputs.append(inner(*args, **kwargs))
            return copy.copy(self.outputs[-1])

        return self._process([[Image.fromarray(picture) for picture in pictures]], _StandIn(inner, answer))


def _resized(picture: NDArray[np.uint8], shape: tuple[int, ...], resample: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).resize((shape[1], shape[0]), Image.Resampling(resample)))


class _StandIn:
    """Stands in an image processor's place: answers calls, and is the real one in all else."""

    def __init__(self, real: Any, answer: Callable[..., Any]) -> None:
        self._real, self._answer = real, answer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._answer(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _repeated(output: Any, prompts: int, pictures: set[str]) -> Any:
    """Return what an image processor would return for so many prompts, with no numbers in the tensors of pictures."""
    found = copy.copy(output)
    found.data = {name: _many(values, prompts, hollow=name in pictures) for name, values in output.items()}
    return found


def _many(values: Any, prompts: int, *, hollow: bool) -> Any:
    if isinstance(values, list):
        return values * prompts
    shape = (prompts * values.shape[0], *values.shape[1:])
    if isinstance(values, Tensor):
        return values.new_zeros(()).expand(shape) if hollow else values.repeat(prompts, *[1] * (values.ndim - 1))
    return np.broadcast_to(values.dtype.type(0), shape) if hollow else np.concatenate([values] * prompts)
