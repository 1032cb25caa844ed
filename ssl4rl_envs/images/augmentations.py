"""Image augmentations in the sense of SimCLR (Chen et al. 2020) and BYOL (Grill et al. 2020), a batch at once.

The functions take uint8 RGB pictures (n, h, w, 3) and one parameter a row, shape (n,). A neutral parameter (factor 1, turn 0,
sigma 0, threshold 256, mask False) leaves a row as it is, bit for bit.

A row must be the same bits in every batch: arithmetic is elementwise or a sum of integers. Where float32 holds such a sum,
its parts are multiples of some 1 / 2**k and it has at most 24 bits, so that no order of summation can change it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ssl4rl_envs.kernels import augmentations as kernels
from ssl4rl_envs.memory import copy_of, recycled
from ssl4rl_envs.stream import Stream

Images = NDArray[np.uint8]
"""Pictures, uint8 RGB (n, h, w, 3)."""

_ONE = 1 << 16  # fixed-point 1.0 of filter weights: the sum of weighted bytes stays below 2**24
_HUES = 255  # steps of Pillow's circle of hues; 255 is 0 again
_CHUNK = 1 << 15  # pixels worked on at once: what fits a core's cache
_DRAWS = 10  # random numbers a row in `augment`


@dataclass(frozen=True)
class Strength:
    """Probabilities and ranges of random augmentations, in the order in which they are applied.

    Args:
        flip: probability of a flip left to right.
        jitter: probability of a jitter of brightness, contrast, saturation and hue, in this order.
        brightness, contrast, saturation: a jitter's factors are uniform in [1 - x, 1 + x]; in [0, 1].
        hue: a jitter turns hues by a share of the circle uniform in [-hue, hue]; in [0, 0.5].
        grey: probability of losing all colour.
        blur: probability of a Gaussian blur.
        sigma: (least, greatest) standard deviation of the blur, uniform between them, in pixels.
        solarise: probability of inverting the bright values.
        threshold: least value, of 0 to 255, that is inverted.
    """

    flip: float = 0.0
    jitter: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)
    solarise: float = 0.0
    threshold: int = 128


STRENGTHS: dict[str, Strength] = {
    "none": Strength(),
    # Our own choice: half of the strong jitter's range, and no change of colour.
    "weak": Strength(flip=0.5, jitter=1.0, brightness=0.2, contrast=0.2),
    # SimCLR, appendix A, at colour strength 0.5; solarisation as in BYOL, table 6, at the mean rate of its views, 0 and 0.2.
    "strong": Strength(0.5, 0.8, 0.4, 0.4, 0.4, 0.1, grey=0.2, blur=0.5, solarise=0.1),
}
"""The strengths of `augment` by name."""


def augment(images: Images, stream: Stream, strength: str) -> Images:
    """Change pictures at random: flip, jitter, grey, blur and solarise, in this order.

    Args:
        images: uint8 (n, h, w, 3).
        stream: n rows; one draw of a fixed size is made, whatever the strength and the outcome.
        strength: a name of `STRENGTHS`.

    Returns:
        New pictures, uint8 (n, h, w, 3). A row depends on its own picture and random numbers only.

    Raises:
        ValueError: an unknown strength, a stream of another length, or arrays that are no pictures.
    """
    chosen = _strength(strength)
    _check(images)
    if len(stream) != len(images):
        raise ValueError(f"need one row of the stream for each picture, got {len(stream)} for {len(images)}")
    draws = stream.uniform((_DRAWS,)).T
    likely = (chosen.flip, chosen.jitter, chosen.grey, chosen.blur, chosen.solarise)
    flipped, jittered, greyed, blurred, solarised = draws[:5] < np.array(likely)[:, None]
    reach = np.array((chosen.brightness, chosen.contrast, chosen.saturation, chosen.hue))
    brightness, contrasts, saturation, turn = reach[:, None] * (2.0 * draws[5:9] - 1.0)
    sigma = chosen.sigma[0] + (chosen.sigma[1] - chosen.sigma[0]) * draws[9]
    coloured = jittered & (chosen.saturation > 0 or chosen.hue > 0)
    return _changed(
        images,
        mirrored=flipped,
        brightness=np.where(jittered, 1.0 + brightness, 1.0),
        contrast=np.where(jittered, 1.0 + contrasts, 1.0),
        saturation=np.where(coloured, 1.0 + saturation, 1.0),
        hue=np.where(coloured, _hue_steps(turn), 0.0),
        grey=greyed,
        blur=np.where(blurred, _sigma_steps(sigma), 0),
        threshold=np.where(solarised, chosen.threshold, 256),
    )


def describe(strength: str) -> str:
    """Say for a prompt what a strength does to pictures, e.g. "brightened, darkened or mirrored at random"; "" for nothing.

    Raises:
        ValueError: an unknown strength.
    """
    chosen = _strength(strength)
    words: list[str] = []
    if chosen.jitter:
        words += ["recoloured"] if chosen.saturation or chosen.hue else ["brightened", "darkened"]
    steps = {"blurred": chosen.blur, "mirrored": chosen.flip, "partly inverted": chosen.solarise, "made grey": chosen.grey}
    words += [word for word, probability in steps.items() if probability]
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:]))) + " at random" if words else ""


def crop(images: Images, left: ArrayLike, top: ArrayLike, width: ArrayLike, height: ArrayLike, size: int) -> Images:
    """Cut a box out of each picture and bring it to (size, size), as Pillow's ``resize(..., BILINEAR, box=...)`` does.

    The filter is a triangle, two output pixels wide where the box is reduced and two input pixels wide where it is enlarged.

    Args:
        images: uint8 (n, h, w, 3).
        left, top: (n,) the box's corner, in pixels from the picture's; may be fractions.
        width, height: (n,) the box's sides, in pixels, above 0.
        size: side of the result, in pixels.

    Returns:
        uint8 (n, size, size, 3).

    Raises:
        ValueError: a box that is empty or not inside its picture, or a size below 1.
    """
    x, y, across, down = (_rows(values, images) for values in (left, top, width, height))
    inside = (x >= 0) & (y >= 0) & (across > 0) & (down > 0) & (x + across <= images.shape[2]) & (y + down <= images.shape[1])
    if not inside.all() or size < 1:
        raise ValueError(
            f"need boxes in {images.shape[1:3]} pixels (not rows {np.flatnonzero(~inside)}), size >= 1 (got {size})"
        )
    result = recycled((len(images), size, size, 3), np.uint8)
    for part in _chunks(images, size):
        columns = _triangles(x[part], across[part], images.shape[2], size)
        rows = _triangles(y[part], down[part], images.shape[1], size)
        result[part] = _filter(images[part], columns, rows)
    return result


def brighten(images: Images, factor: ArrayLike) -> Images:
    """Multiply values by `factor` (n,), 0 being black and 1 no change; Pillow's ``ImageEnhance.Brightness``."""
    return _changed(images, brightness=factor)


def contrast(images: Images, factor: ArrayLike) -> Images:
    """Move values away from the picture's mean luma by `factor` (n,), 0 being flat; Pillow's ``ImageEnhance.Contrast``."""
    return _changed(images, contrast=factor)


def saturate(images: Images, factor: ArrayLike) -> Images:
    """Move colours away from their grey by `factor` (n,), 0 being grey; Pillow's ``ImageEnhance.Color``."""
    return _changed(images, saturation=factor)


def shift_hue(images: Images, turn: ArrayLike) -> Images:
    """Turn hues by a share of their circle, as through Pillow's ``convert("HSV")`` and back.

    Hue and saturation are rounded down to 255ths as Pillow's are, so that a row that is turned loses up to a few levels.

    Args:
        images: uint8 (n, h, w, 3).
        turn: (n,) in [-0.5, 0.5], rounded to 1/255; 1/3 makes red green. Rows with 0 are left as they are.

    Raises:
        ValueError: a turn out of range.
    """
    turns = _rows(turn, images)
    if not np.all(np.abs(turns) <= 0.5):
        raise ValueError(f"turns must be in [-0.5, 0.5], got {turns}")
    return _changed(images, hue=_hue_steps(turns))


def grey(images: Images) -> Images:
    """Replace colours by their luma (ITU-R 601), as Pillow's ``convert("L")``, in all three channels."""
    _check(images)
    return _changed(images, grey=np.ones(len(images), bool))


def blur(images: Images, sigma: ArrayLike) -> Images:
    """Blur by a Gaussian, the picture's edges repeated beyond it.

    Args:
        images: uint8 (n, h, w, 3).
        sigma: (n,) standard deviations in pixels, rounded to 1/64; 0 is no blur.

    Raises:
        ValueError: a sigma that is negative or not finite.
    """
    sigmas = _rows(sigma, images)
    if not np.all((sigmas >= 0) & np.isfinite(sigmas)):
        raise ValueError(f"standard deviations must be finite and at least 0, got {sigmas}")
    return _changed(images, blur=_sigma_steps(sigmas))


def solarise(images: Images, threshold: ArrayLike) -> Images:
    """Invert values of at least `threshold` (n,), 256 being no change; Pillow's ``ImageOps.solarize``."""
    return _changed(images, threshold=threshold)


def flip(images: Images, horizontally: ArrayLike, vertically: ArrayLike) -> Images:
    """Exchange left and right of the rows in one mask (n,), top and bottom of those in another."""
    return _changed(images, mirrored=_rows(horizontally, images) != 0, upended=_rows(vertically, images) != 0)


def _strength(name: str) -> Strength:
    if name not in STRENGTHS:
        raise ValueError(f"strength must be one of {', '.join(STRENGTHS)}, got {name!r}")
    return STRENGTHS[name]


def _check(images: Images) -> None:
    if str(images.dtype).rpartition(".")[2] != "uint8" or images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape[1:]:
        raise ValueError(f"pictures must be uint8 of shape (n, h, w, 3), got {images.dtype} {images.shape}")


def _rows(values: ArrayLike, images: Images) -> NDArray[np.float64]:
    """Return one parameter a row, having checked that there are as many as pictures."""
    _check(images)
    array = np.asarray(values, np.float64)
    if array.shape != images.shape[:1]:
        raise ValueError(f"need one parameter for each of {len(images)} pictures, got shape {array.shape}")
    return array


def _chunks(images: Images, size: int = 1) -> Iterator[slice]:
    count = max(1, _CHUNK // max(size * size, images.shape[1] * images.shape[2]))
    return (slice(start, start + count) for start in range(0, len(images), count))


def _changed(images: Images, **changes: ArrayLike) -> Images:
    """Return changed copies; what is not named is left as it is."""
    _check(images)
    forms = {"mirrored": bool, "upended": bool, "grey": bool, "hue": np.float32, "blur": np.int64, "threshold": np.float32}
    neutral = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "threshold": 256.0}
    arrays: dict[str, Any] = {}
    for field in dataclasses.fields(kernels.Changes):
        form = forms.get(field.name, np.float32)
        given = changes.get(field.name)
        if given is None:
            arrays[field.name] = np.full(len(images), neutral.get(field.name, 0), form)
        else:
            arrays[field.name] = _rows(given, images).astype(form)
    result = copy_of(images)
    kernels.change(result, kernels.Changes(**arrays))
    return result


def _hue_steps(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.rint(turns * _HUES)


def _sigma_steps(sigmas: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(sigmas * kernels.SIGMA_STEPS).astype(np.int64)


def _filter(images: Images, columns: NDArray[np.float32], rows: NDArray[np.float32]) -> Images:
    """Replace columns, then rows, by weighted sums of them, rounded after each.

    Args:
        images: uint8 (n, h, w, 3).
        columns, rows: weights (n, width, w) and (n, height, h), multiples of 1 / _ONE of which each line sums to 1.
    """
    count, height, width = images.shape[:3]
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32).reshape(count, 3 * height, width)
    across = np.matmul(planes, columns.swapaxes(1, 2))
    across = np.floor(np.add(across, 0.5, out=across), out=across).reshape(count, 3, height, columns.shape[1])
    down = np.matmul(rows[:, None], across)
    return np.ascontiguousarray(np.add(down, 0.5, out=down).transpose(0, 2, 3, 1), np.uint8)


def _triangles(start: NDArray[np.float64], extent: NDArray[np.float64], length: int, size: int) -> NDArray[np.float32]:
    """Return weights (n, size, length) of `length` pixels in `size` equal parts of an extent."""
    scale = (extent / size)[:, None, None]
    centre = start[:, None, None] + (np.arange(size) + 0.5)[:, None] * scale
    distance = np.abs(np.arange(length) + 0.5 - centre)
    total = np.cumsum(np.maximum(0.0, 1.0 - distance / np.maximum(scale, 1.0)), axis=-1)
    # Sums up to a pixel are rounded, rather than weights: their differences add up to 1, and mirror as the weights do.
    units = np.rint(total / total[..., -1:] * _ONE)
    return np.asarray(np.diff(units, axis=-1, prepend=0.0) / _ONE, np.float32)
