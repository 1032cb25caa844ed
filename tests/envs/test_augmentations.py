"""Image augmentations: Pillow's results, the same bits in any batch, and strengths that do what they say."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from ssl4rl_envs.images import augmentations
from ssl4rl_envs.images.augmentations import (
    STRENGTHS,
    Strength,
    augment,
    blur,
    brighten,
    contrast,
    crop,
    describe,
    flip,
    grey,
    saturate,
    shift_hue,
    solarise,
)
from ssl4rl_envs.sources import load_images
from ssl4rl_envs.stream import Stream

COUNT = 8
HEIGHT, WIDTH = 72, 100
NEUTRAL: dict[Callable[..., np.ndarray], float] = {
    brighten: 1.0,
    contrast: 1.0,
    saturate: 1.0,
    shift_hue: 0.0,
    blur: 0.0,
    solarise: 256,
}


def noise(count: int = COUNT, height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def photographs() -> np.ndarray:
    source = load_images("photos")
    files = [Path(skimage.__file__).parent / "data" / name for name in ("astronaut.png", "coffee.png", "chelsea.png")]
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    pictures += [source.picture(item) for item in range(COUNT - len(pictures))]
    return np.stack([picture[-HEIGHT:, -WIDTH:] for picture in pictures])


def stream(count: int, first: int = 0) -> Stream:
    return Stream("train", np.zeros(count, np.int64), np.arange(first, first + count))


def differences(result: np.ndarray, expected: list[Image.Image]) -> np.ndarray:
    assert result.dtype == np.uint8
    return np.abs(result.astype(int) - np.stack([np.asarray(picture) for picture in expected]).astype(int))


@pytest.fixture(scope="module", params=["noise", "photographs"])
def images(request: pytest.FixtureRequest) -> np.ndarray:
    return noise() if request.param == "noise" else photographs()


@pytest.fixture(scope="module")
def pillow(images: np.ndarray) -> list[Image.Image]:
    return [Image.fromarray(image) for image in images]


# --- Pillow's results -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "enhancer"),
    [(brighten, ImageEnhance.Brightness), (contrast, ImageEnhance.Contrast), (saturate, ImageEnhance.Color)],
)
def test_enhancements_are_pillows_to_the_bit(function, enhancer, images, pillow) -> None:
    factors = np.array([0.0, 0.3, 0.61, 0.999, 1.0, 1.2, 1.77, 3.0])
    expected = [enhancer(picture).enhance(factor) for picture, factor in zip(pillow, factors, strict=True)]
    assert not differences(function(images, factors), expected).any()


def test_grey_is_pillows_to_the_bit(images, pillow) -> None:
    assert not differences(grey(images), [picture.convert("L").convert("RGB") for picture in pillow]).any()


def test_solarise_is_pillows_to_the_bit(images, pillow) -> None:
    thresholds = np.array([0, 1, 64, 127, 128, 200, 255, 256])
    expected = [ImageOps.solarize(picture, int(limit)) for picture, limit in zip(pillow, thresholds, strict=True)]
    assert not differences(solarise(images, thresholds), expected).any()


def test_flips_are_pillows_to_the_bit(images, pillow) -> None:
    across, down = np.arange(COUNT) % 2 == 1, np.arange(COUNT) % 4 >= 2
    expected = list(pillow)
    expected = [ImageOps.mirror(picture) if yes else picture for picture, yes in zip(expected, across, strict=True)]
    expected = [ImageOps.flip(picture) if yes else picture for picture, yes in zip(expected, down, strict=True)]
    assert not differences(flip(images, across, down), expected).any()


def test_hue_is_pillows_but_for_one_step_in_a_few_pixels(images, pillow) -> None:
    """Pillow divides in float32 and then rounds down: where the exact quotient is whole, it is at times one step lower."""
    steps = np.array([-127, -90, -26, -1, 1, 26, 85, 127])
    expected = []
    for picture, step in zip(pillow, steps, strict=True):
        hsv = np.array(picture.convert("HSV")).astype(int)
        hsv[..., 0] = (hsv[..., 0] + step) % 255
        expected.append(Image.merge("HSV", [Image.fromarray(hsv[..., k].astype(np.uint8)) for k in range(3)]).convert("RGB"))
    difference = differences(shift_hue(images, steps / 255), expected)
    assert difference.max() <= 6  # a step of hue is 6 / 255 of a channel's range
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("size", [1, 5, 24, 64, 150])
def test_crop_is_pillows_but_for_rounding(size, images, pillow) -> None:
    rng = np.random.default_rng(size)
    width, height = rng.uniform(3, WIDTH, COUNT), rng.uniform(3, HEIGHT, COUNT)
    left, top = rng.uniform(0, WIDTH - width), rng.uniform(0, HEIGHT - height)
    left[0], top[0], width[0], height[0] = 0, 0, WIDTH, HEIGHT
    left[1], top[1], width[1], height[1] = 10, 20, 30, 40
    boxes = zip(left, top, left + width, top + height, strict=True)
    expected = [
        picture.resize((size, size), Image.Resampling.BILINEAR, box=box) for picture, box in zip(pillow, boxes, strict=True)
    ]
    difference = differences(crop(images, left, top, width, height, size), expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    """The definition, in double precision and rounded once."""
    reach = math.ceil(8 * sigma)
    shape = np.array([math.exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1)])
    result = image.astype(float)
    for axis in (0, 1):
        padded = np.pad(result, [(reach, reach) if a == axis else (0, 0) for a in range(3)], mode="edge")
        result = sum(w * np.take(padded, np.arange(image.shape[axis]) + k, axis) for k, w in enumerate(shape / shape.sum()))
    return np.rint(result)


def test_blur_is_a_gaussian_but_for_rounding(images) -> None:
    sigmas = np.array([0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0, 7.5])
    expected = np.stack([gaussian(image, sigma) for image, sigma in zip(images, sigmas, strict=True)])
    assert np.abs(blur(images, sigmas) - expected).max() <= 1


def test_blur_is_near_pillows_three_boxes_away_from_the_edges(pillow, images) -> None:
    sigmas = np.array([1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0])  # below 1, boxes are no bell
    expected = [picture.filter(ImageFilter.GaussianBlur(float(sigma))) for picture, sigma in zip(pillow, sigmas, strict=True)]
    inside = differences(blur(images, sigmas), expected)[:, 12:-12, 12:-12]
    assert inside.max() <= 4
    assert inside.mean() <= 1


# --- Values by hand -------------------------------------------------------------------------------------------------------


def pixels(*colours: tuple[int, int, int]) -> np.ndarray:
    return np.array([[colours]], np.uint8)


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def test_values_by_hand() -> None:
    dark, light = (0, 0, 0), (200, 200, 200)
    assert brighten(pixels((100, 10, 200)), [1.5]).tolist() == pixels((150, 15, 255)).tolist()
    assert contrast(pixels(dark, light), [0.5]).tolist() == pixels((50,) * 3, (150,) * 3).tolist()
    assert contrast(pixels(dark, light), [2.0]).tolist() == pixels((0,) * 3, (255,) * 3).tolist()
    assert saturate(pixels(RED), [0.0]).tolist() == pixels((76, 76, 76)).tolist()
    assert grey(pixels(RED, GREEN, BLUE)).tolist() == pixels((76,) * 3, (150,) * 3, (29,) * 3).tolist()
    assert solarise(pixels((127, 128, 255)), [128]).tolist() == pixels((127, 127, 0)).tolist()
    assert shift_hue(pixels(RED, GREEN, BLUE, light), [1 / 3]).tolist() == pixels(GREEN, BLUE, RED, light).tolist()
    assert shift_hue(pixels(RED, GREEN, BLUE, light), [-1 / 3]).tolist() == pixels(BLUE, RED, GREEN, light).tolist()
    assert crop(pixels((0, 10, 20), (100, 20, 41)), [0], [0], [2], [1], 1).tolist() == pixels((50, 15, 31)).tolist()


def test_blur_of_a_line_is_the_bell() -> None:
    image = np.zeros((1, 9, 9, 3), np.uint8)
    image[:, :, 4] = 255
    bell = [0, 1, 14, 62, 102, 62, 14, 1, 0]  # 255 times 0.0001, 0.0044, 0.0540, 0.2420, 0.3989, ...
    assert (blur(image, [1.0])[0, :, :, 0] == bell).all()
    assert (blur(image.swapaxes(1, 2), [1.0])[0, :, :, 0] == np.array(bell)[:, None]).all()


def test_crop_at_the_size_of_its_box_is_a_slice() -> None:
    images = noise()
    cut = crop(images, np.arange(COUNT), 2 * np.arange(COUNT), np.full(COUNT, 30), np.full(COUNT, 30), 30)
    for row in range(COUNT):
        np.testing.assert_array_equal(cut[row], images[row, 2 * row : 2 * row + 30, row : row + 30])


def test_blur_and_crop_treat_left_and_right_and_top_and_bottom_alike() -> None:
    images, sigmas, yes = noise(), np.linspace(0.3, 3, COUNT), np.ones(COUNT, bool)
    turned = flip(images, yes, yes)
    np.testing.assert_array_equal(blur(turned, sigmas), flip(blur(images, sigmas), yes, yes))
    left, top, width, height = (np.full(COUNT, k) for k in (10.25, 3.5, 61.75, 50.5))
    cut = crop(turned, WIDTH - left - width, HEIGHT - top - height, width, height, 24)
    np.testing.assert_array_equal(cut, flip(crop(images, left, top, width, height, 24), yes, yes))


# --- Properties -----------------------------------------------------------------------------------------------------------

batches = st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99)).map(lambda x: noise(*x))


@given(batches)
@settings(max_examples=30, deadline=None)
def test_neutral_parameters_change_no_bit(images: np.ndarray) -> None:
    for function, neutral in NEUTRAL.items():
        np.testing.assert_array_equal(function(images, np.full(len(images), neutral)), images)
    never = np.zeros(len(images), bool)
    np.testing.assert_array_equal(flip(images, never, never), images)


@given(batches, st.floats(-0.5, 0.5))
@settings(max_examples=30, deadline=None)
def test_results_are_new_pictures_of_the_same_form(images: np.ndarray, x: float) -> None:
    before, parameter = images.copy(), np.full(len(images), x)
    results = [function(images, parameter + 0.5) for function in (brighten, contrast, saturate, blur, solarise)]
    results += [shift_hue(images, parameter), grey(images), flip(images, parameter > 0, parameter < 0)]
    results += [augment(images, stream(len(images)), strength) for strength in STRENGTHS]
    for result in results:
        assert (result.shape, result.dtype) == (images.shape, np.uint8)
        assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, before)


@given(batches, st.booleans(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_twice_is_once_or_never(images: np.ndarray, across: bool, down: bool) -> None:
    masks = np.full(len(images), across), np.full(len(images), down)
    np.testing.assert_array_equal(flip(flip(images, *masks), *masks), images)
    np.testing.assert_array_equal(grey(grey(images)), grey(images))


@given(st.integers(0, 255), st.floats(0, 9), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_a_plain_picture_stays_plain(level: int, sigma: float, size: int) -> None:
    plain = np.full((1, 6, 11, 3), level, np.uint8)
    assert (blur(plain, [sigma]) == level).all()
    assert (crop(plain, [sigma / 10], [0.3], [sigma + 0.5], [5.1], size) == level).all()


def test_blur_keeps_the_mean_and_loses_detail() -> None:
    for images in (noise(), photographs()):
        images[:, :16], images[:, -16:], images[:, :, :16], images[:, :, -16:] = (
            99,
            99,
            99,
            99,
        )  # nothing flows over the edges
        result = blur(images, np.linspace(0.5, 3, COUNT))
        assert np.abs(result.mean(axis=(1, 2, 3)) - images.mean(axis=(1, 2, 3))).max() < 0.25
        assert (result.std(axis=(1, 2, 3)) < images.std(axis=(1, 2, 3))).all()


# --- One row's bits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("side", [7, 64])
def test_a_row_is_the_same_bits_in_any_batch_and_order(strength: str, side: int) -> None:
    count = 24
    images, numbers = noise(count, side, side), stream(count)
    together = augment(images, numbers, strength)
    order = np.random.default_rng(1).permutation(count)
    np.testing.assert_array_equal(augment(images[order], stream(count).rows(order), strength), together[order])
    for row in range(count):
        alone = augment(images[row : row + 1], stream(1, row), strength)
        np.testing.assert_array_equal(alone[0], together[row])


def test_parameters_of_other_rows_change_no_bit() -> None:
    images, rng = noise(), np.random.default_rng(2)
    parameters = {function: rng.uniform(0, 0.5, COUNT) for function in NEUTRAL} | {blur: rng.uniform(0, 6, COUNT)}
    for function, values in parameters.items():
        together = function(images, values)
        for row in range(COUNT):
            np.testing.assert_array_equal(function(images[row : row + 1], values[row : row + 1])[0], together[row])
    boxes = rng.uniform(0, 20, COUNT), rng.uniform(0, 20, COUNT), rng.uniform(1, 50, COUNT), rng.uniform(1, 50, COUNT)
    together = crop(images, *boxes, 64)
    for row in range(COUNT):
        np.testing.assert_array_equal(
            crop(images[row : row + 1], *(box[row : row + 1] for box in boxes), 64)[0], together[row]
        )


def test_filter_weights_are_whole_units_that_sum_to_one() -> None:
    """Which is what makes float32 sums exact in any order."""
    boxes = np.array([0.0, 3.3, 10.7]), np.array([100.0, 0.6, 55.5])
    tables = [augmentations._triangles(*boxes, 128, size) for size in (1, 7, 128)]
    for table in tables:
        units = table.astype(float) * augmentations._ONE
        assert (units == np.rint(units)).all()
        assert (units >= 0).all()
        assert (units.sum(axis=-1) == augmentations._ONE).all()


def test_augment_makes_the_same_draws_whatever_the_strength() -> None:
    following = []
    for strength in STRENGTHS:
        numbers = stream(COUNT)
        augment(noise(), numbers, strength)
        following.append(numbers.words())
    assert all((words == following[0]).all() for words in following)


def test_augment_gives_known_bits() -> None:
    result = augment(noise(32, 40, 48, seed=5), stream(32), "strong")
    assert zlib.crc32(result.tobytes()) == 0x64E68B62


# --- Strengths ------------------------------------------------------------------------------------------------------------

ROWS = 4000


def changed(monkeypatch: pytest.MonkeyPatch, strength: Strength, image: np.ndarray, rows: int = ROWS) -> np.ndarray:
    monkeypatch.setitem(STRENGTHS, "only", strength)
    return augment(np.broadcast_to(image, (rows, *image.shape[1:])), stream(rows), "only")


def near(share: float, probability: float) -> bool:
    return abs(share - probability) < 4 * math.sqrt(probability * (1 - probability) / ROWS)


@pytest.mark.parametrize("step", ["flip", "jitter", "grey", "blur", "solarise"])
def test_each_step_happens_at_its_rate(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    image = noise(1, 3, 3)
    ranges = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "sigma": (1.0, 2.0)}
    for probability in (0.0, 0.2, 0.7, 1.0):
        result = changed(monkeypatch, Strength(**{step: probability}, **ranges), image)
        share = (result != image).any(axis=(1, 2, 3)).mean()
        assert share == probability if probability in (0, 1) else near(share, probability)


def test_strong_loses_colour_and_keeps_the_sides_at_the_stated_rates() -> None:
    image = np.zeros((ROWS, 4, 4, 3), np.uint8)
    image[:, :, :2], image[:, :, 2:] = (90, 30, 10), (20, 40, 120)
    result = augment(image, stream(ROWS), "strong").astype(int)
    assert near((np.ptp(result, axis=-1).max(axis=(1, 2)) == 0).mean(), 0.2)
    for strength in ("weak", "strong"):
        coloured = augment(image, stream(ROWS), strength).astype(int)
        reddest = (coloured[..., 0] - coloured[..., 2]).sum(axis=1)
        known = np.ptp(coloured, axis=-1).max(axis=(1, 2)) > 0
        mirrored = reddest[known, 0] < reddest[known, 3]
        assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / math.sqrt(known.sum())


def test_factors_are_uniform_in_their_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    level = np.full((1, 1, 1, 3), 100, np.uint8)
    bright = changed(monkeypatch, Strength(jitter=1.0, brightness=0.4), level)[:, 0, 0, 0] / 100
    assert (bright.min(), bright.max()) == (pytest.approx(0.6, abs=0.015), pytest.approx(1.4, abs=0.015))
    assert np.quantile(bright, [0.25, 0.5, 0.75]) == pytest.approx([0.8, 1.0, 1.2], abs=0.03)
    pair = pixels((50,) * 3, (150,) * 3)
    gap = np.diff(changed(monkeypatch, Strength(jitter=1.0, contrast=0.4), pair)[:, 0, :, 0].astype(int), axis=1) / 100
    assert (gap.min(), gap.max()) == (pytest.approx(0.6, abs=0.02), pytest.approx(1.4, abs=0.02))
    colour = changed(monkeypatch, Strength(jitter=1.0, saturation=0.4), pixels((150, 100, 100)))[:, 0, 0].astype(int)
    vivid = (colour[:, 0] - colour[:, 1]) / 50
    assert (vivid.min(), vivid.max()) == (pytest.approx(0.6, abs=0.03), pytest.approx(1.4, abs=0.03))
    turned = changed(monkeypatch, Strength(jitter=1.0, hue=0.1), pixels(RED))[:, 0, 0]
    assert turned[:, 1:].max(axis=0) == pytest.approx([153, 153], abs=6)  # 0.1 of the circle is 0.6 of a sixth
    assert (turned[:, 0] == 255).all()
    line = np.zeros((1, 25, 25, 3), np.uint8)
    line[:, :, 12] = 255
    peak = changed(monkeypatch, Strength(blur=1.0, sigma=(1.0, 2.0)), line, 400)[:, 12, 12, 0]
    assert (peak.max(), peak.min()) == (pytest.approx(102, abs=1), pytest.approx(51, abs=1))


def test_how_much_is_independent_of_whether(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = pixels((50,) * 3, (150,) * 3)
    for name in ("brightness", "contrast"):
        result = changed(monkeypatch, Strength(flip=0.5, jitter=0.5, **{name: 0.4}), pair)[:, 0, :, 0].astype(int)
        distance = np.abs(result[:, 0] - result[:, 1])
        mirrored = result[:, 0] > result[:, 1]
        for rows in (mirrored, ~mirrored):
            assert abs((distance[rows] > 100).mean() - 0.25) < 0.05  # half are jittered, and half of these up
            assert abs((distance[rows] < 100).mean() - 0.25) < 0.05


def test_none_changes_nothing_and_stronger_changes_more() -> None:
    images = photographs().repeat(8, axis=0)
    away = {
        s: np.abs(augment(images, stream(len(images)), s).astype(int) - images).mean() for s in ("none", "weak", "strong")
    }
    assert away["none"] == 0 < away["weak"] < away["strong"]
    assert list(STRENGTHS) == list(away)


def test_descriptions_are_phrases_for_prompts() -> None:
    assert describe("none") == ""
    assert describe("weak") == "brightened, darkened or mirrored at random"
    assert describe("strong") == "recoloured, blurred, mirrored, partly inverted or made grey at random"
    assert all(describe(strength).isascii() and describe(strength).isprintable() for strength in STRENGTHS)


@pytest.mark.parametrize("probability", ["flip", "grey"])
def test_a_description_of_one_step_is_its_word(monkeypatch: pytest.MonkeyPatch, probability: str) -> None:
    monkeypatch.setitem(STRENGTHS, "only", Strength(**{probability: 0.5}))
    assert describe("only") == {"flip": "mirrored at random", "grey": "made grey at random"}[probability]


# --- Errors ---------------------------------------------------------------------------------------------------------------


def test_an_unknown_strength_is_refused_with_the_known_ones() -> None:
    for call in (lambda: augment(noise(1), stream(1), "mighty"), lambda: describe("mighty")):
        with pytest.raises(ValueError, match=r"none, weak, strong, got 'mighty'"):
            call()


def test_wrong_arguments_are_refused() -> None:
    images = noise(2, 10, 10)
    with pytest.raises(ValueError, match="uint8"):
        grey(images.astype(np.float32))
    with pytest.raises(ValueError, match="one parameter"):
        brighten(images, [1.0])
    with pytest.raises(ValueError, match="one row of the stream"):
        augment(images, stream(3), "weak")
    with pytest.raises(ValueError, match="turns"):
        shift_hue(images, [0.0, 0.6])
    for sigma in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="standard deviations"):
            blur(images, [0.0, sigma])
    for box in ((-1, 0, 5, 5), (0, 6, 5, 5), (0, 0, 0, 5), (0, 0, math.nan, 5)):
        with pytest.raises(ValueError, match=r"rows \[1\]"):
            crop(images, *np.array([(0, 0, 5, 5), box]).T, 4)
    with pytest.raises(ValueError, match="size"):
        crop(images, *np.array([(0, 0, 5, 5)] * 2).T, 0)
