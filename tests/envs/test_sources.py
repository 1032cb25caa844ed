"""Image sources: splits by content, views that are the same bits everywhere, and folders of real files."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from ssl4rl_envs.sources import PICTURES, FolderSource, ImageSource, load_images
from ssl4rl_envs.sources.base import TURN, UNIT, Views
from ssl4rl_envs.sources.builtin import PHOTOGRAPHS, REGION, cut_regions
from ssl4rl_envs.sources.index import SPLIT_SHARES, content_key, split_of
from ssl4rl_envs.sources.options import SHORT_SIDE, Settings
from ssl4rl_envs.sources.reading import read_picture
from ssl4rl_envs.sources.stored import Stored, store
from ssl4rl_envs.stream import SPLITS

QUARTER = TURN // 4


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def random_views(source: ImageSource, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    items = rng.integers(0, len(source), count)
    side = (np.minimum(source.heights, source.widths)[items] * UNIT * rng.uniform(0.3, 1.0, count)).astype(np.int64)
    x = (source.widths[items] * UNIT * rng.uniform(0, 1, count)).astype(np.int64)
    y = (source.heights[items] * UNIT * rng.uniform(0, 1, count)).astype(np.int64)
    return {"items": items, "x": x, "y": y, "side": side, "angle": rng.integers(0, TURN, count)}


def shown(
    source: ImageSource,
    items: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    side: np.ndarray,
    angle: np.ndarray,
    size: int,
    fine: bool = False,
) -> np.ndarray:
    return source.pixels(Views(items, x, y, side), size, angle, fine=fine)


def whole(source: ImageSource, angle: int = 0, size: int | None = None, fine: bool = False) -> np.ndarray:
    """The largest centred view of the first picture."""
    height, width = int(source.heights[0]), int(source.widths[0])
    side = min(height, width)
    numbers = (0, width * UNIT // 2, height * UNIT // 2, side * UNIT, angle)
    return shown(source, *(np.array([number]) for number in numbers), size or side, fine=fine)[0]


# Splits


def raw_pixels(source: ImageSource, item: int) -> bytes:
    """The picture as the source holds it, shape included."""
    return pack(source.picture(item))


@pytest.mark.parametrize("name", PICTURES.whole())
def test_splits_of_builtin_sources_are_disjoint_by_content(name):
    source = load_images(name)
    content = {split: {raw_pixels(source, item) for item in source.items(split)} for split in SPLITS}
    assert not content["train"] & content["validation"]
    assert not content["train"] & content["test"]
    assert not content["validation"] & content["test"]
    assert sorted(item for split in SPLITS for item in source.items(split).tolist()) == list(range(len(source)))


@pytest.mark.parametrize("name", PICTURES.whole())
def test_builtin_sources_have_every_split_and_are_loaded_once(name):
    source = load_images(name)
    assert source.splits == SPLITS
    assert load_images(name) is source
    assert len(source.items("train")) > len(source.items("validation")) + len(source.items("test"))


def test_digits_are_those_of_scikit_learn_which_is_not_imported():
    from sklearn.datasets import load_digits

    source, images = load_images("digits"), load_digits().images
    assert len(source) == len(images)
    for item, image in enumerate(images):
        grey = np.pad(np.rint(image * (255 / 16)).astype(np.uint8), 1)
        assert np.array_equal(source.picture(item), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("name", PICTURES.whole())
def test_sources_by_name_import_none_of_the_libraries_they_come_with(name):
    libraries = "sklearn, skimage, networkx, imagehash, pandas, datasets, pyarrow"
    code = f"""
import sys
from ssl4rl_envs.sources import load_images
load_images({name!r})
found = [name for name in "{libraries}".split(", ") if name in sys.modules]
assert not found, found
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_duplicates_fall_into_one_split():
    pictures = [noise(8, 8, seed) for seed in range(60)]
    source = ImageSource([*pictures, *reversed(pictures), *(picture.copy() for picture in pictures)])
    for split in SPLITS:
        items = set(source.items(split).tolist())
        assert items
        first = {item for item in items if item < 60}
        assert items == first | {119 - item for item in first} | {120 + item for item in first}


def test_grey_and_rgb_copies_of_a_picture_fall_into_one_split():
    grey = [np.random.default_rng(seed).integers(0, 256, (9, 7), dtype=np.uint8) for seed in range(40)]
    source = ImageSource([*grey, *(np.repeat(picture[..., None], 3, axis=2) for picture in grey)])
    for split in SPLITS:
        items = source.items(split)
        assert set((items + 40) % 80) == set(items)


@given(st.integers(1, 30), st.integers(0, 30), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_adding_and_reordering_pictures_moves_none_across_splits(before, added, random):
    def split_by_key(pictures):
        source = ImageSource(pictures)
        return {content_key(pictures[item]): split for split in source.splits for item in source.items(split)}

    pictures = [noise(6, 6, seed) for seed in range(before + added)]
    old = split_by_key(pictures[:before])
    random.shuffle(pictures)
    new = split_by_key(pictures)
    assert {key: new[key] for key in old} == old


def test_split_shares_are_those_declared():
    splits = [split_of(content_key(noise(4, 4, seed))) for seed in range(3_000)]
    for split, share in SPLIT_SHARES.items():
        assert abs(splits.count(split) / 3_000 - share) < 4 * (share * (1 - share) / 3_000) ** 0.5


def test_the_split_of_a_digest_is_pinned():
    """A change here moves pictures across splits: what was tested on before would be trained on."""
    digests = [bytes([first]) + bytes(15) for first in (0, 100, 179, 180, 217, 218, 255)]
    assert [split_of(digest) for digest in digests] == ["train"] * 3 + ["validation"] * 2 + ["test"] * 2
    assert content_key(np.zeros((4, 5, 3), np.uint8)).hex() == "7ddf1ca206a1b4732bdbcadd7a89b32b"


def test_content_keys_tell_shapes_apart():
    picture = noise(4, 9)
    assert content_key(picture) != content_key(picture.reshape(9, 4, 3))
    assert content_key(picture) == content_key(np.asfortranarray(picture))


def test_pictures_that_share_a_key_share_a_split():
    keys = [f"scene {i // 3}".encode().ljust(8, b"\xa5") for i in range(90)]
    digests = [content_key(np.frombuffer(key * 2, np.uint8)) for key in keys]
    source = ImageSource([noise(5, 5, seed) for seed in range(90)], keys=digests)
    for split in source.splits:
        items = set(source.items(split).tolist())
        assert items == {3 * (item // 3) + k for item in items for k in range(3)}


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_wrong_number_of_keys_is_an_error(count):
    with pytest.raises(ValueError, match="keys"):
        ImageSource([noise(5, 5, seed) for seed in range(3)], keys=[bytes(16)] * count)


def test_a_split_without_pictures_is_an_error_that_names_source_and_split():
    picture = noise(5, 5)
    source = ImageSource([picture], name="one picture")
    assert source.splits == (split_of(content_key(picture)),)
    missing = next(split for split in SPLITS if split not in source.splits)
    with pytest.raises(ValueError, match=f"'one picture' has 1 pictures.*{missing}"):
        source.items(missing)
    with pytest.raises(ValueError, match="train, validation, test"):
        source.items("val")


# Regions of photographs


def numbered(height: int, width: int) -> np.ndarray:
    """A picture whose every pixel is its own number, so that a pixel is known wherever it turns up."""
    number = np.arange(height * width).reshape(height, width)
    return np.stack([number & 255, number >> 8 & 255, number >> 16 & 255], axis=2).astype(np.uint8)


@given(st.integers(4, 700), st.integers(4, 700))
@settings(max_examples=20, deadline=None)
def test_regions_tile_a_picture_without_sharing_a_pixel(height, width):
    regions = cut_regions(numbered(height, width))
    numbers = np.concatenate([(region.astype(np.int64) @ np.array([1, 256, 65536])).ravel() for region in regions])
    assert np.array_equal(np.sort(numbers), np.arange(height * width))
    assert all(min(region.shape[:2]) >= min(REGION, height, width) for region in regions)


def test_photo_regions_are_the_photographs_and_each_region_is_one_item():
    """With the test above: regions of different splits share no pixel, because the items are exactly the regions."""
    import skimage

    source = load_images("photos")
    folder = Path(skimage.__file__).parent / "data"
    expected = []
    for name in PHOTOGRAPHS:
        with Image.open(folder / name) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        regions = cut_regions(pixels)
        assert sum(region.shape[0] * region.shape[1] for region in regions) == pixels.shape[0] * pixels.shape[1]
        expected += regions
    assert len(source) == len(expected)
    for item, region in enumerate(expected):
        assert raw_pixels(source, item)[-4 * region.shape[0] * region.shape[1] :] == pack(region)


def pack(region: np.ndarray) -> bytes:
    padded = np.concatenate([region, np.zeros((*region.shape[:2], 1), np.uint8)], axis=2)
    return padded.tobytes()


def test_no_photograph_region_is_seen_from_another():
    """A view reads its own picture alone: with every other picture blacked out it stays the same bits."""
    pictures = [noise(20, 20, seed) for seed in range(3)]
    full = ImageSource(pictures)
    alone = ImageSource([np.zeros_like(pictures[0]), pictures[1], np.zeros_like(pictures[2])])
    numbers = random_views(full, 200)
    numbers["items"][:] = 1
    for fine in (False, True):
        views = shown(full, **numbers, size=12, fine=fine)
        assert np.array_equal(views, shown(alone, **numbers, size=12, fine=fine))


# Views


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("size", [8, 33, 120])
def test_views_are_the_same_bits_in_every_batch(size, fine):
    source = ImageSource([noise(40, 31, 0), noise(17, 90, 1), noise(64, 64, 2), noise(5, 4, 3)])
    count = 40
    numbers = random_views(source, count)
    together = shown(source, **numbers, size=size, fine=fine)
    assert together.shape == (count, size, size, 3)
    assert together.dtype == np.uint8
    for parts in (1, 7, 39):
        pieces = [
            shown(source, **{k: v[i : i + parts] for k, v in numbers.items()}, size=size, fine=fine)
            for i in range(0, count, parts)
        ]
        assert np.array_equal(np.concatenate(pieces), together)
    order = np.random.default_rng(1).permutation(count)
    shuffled = shown(source, **{k: v[order] for k, v in numbers.items()}, size=size, fine=fine)
    assert np.array_equal(shuffled, together[order])


def test_no_views_are_an_empty_batch():
    empty = np.empty(0, np.int64)
    assert shown(ImageSource([noise(8, 8)]), empty, empty, empty, empty, empty, 16).shape == (0, 16, 16, 3)


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("size", [8, 9, 32, 45, 64])
def test_quarter_turns_are_exact_transposes(size, fine):
    source = ImageSource([noise(40, 31, 0), noise(17, 90, 1), noise(200, 200, 2)])
    numbers = random_views(source, 60) | {"angle": np.zeros(60, np.int64)}
    upright = shown(source, **numbers, size=size, fine=fine)
    for k in range(-1, 6):
        numbers["angle"] = np.full(60, k * QUARTER)
        turned = shown(source, **numbers, size=size, fine=fine)
        assert np.array_equal(turned, np.rot90(upright, k, axes=(1, 2)))


@pytest.mark.parametrize("fine", [False, True])
def test_a_further_quarter_turn_of_a_tilted_view_is_an_exact_transpose(fine):
    """Fine angles share the interpolation of all four quarter turns, so that these leave no trace of their own."""
    source = ImageSource([noise(200, 200)])
    numbers = random_views(source, 40)
    tilted = shown(source, **numbers, size=24, fine=fine)
    numbers["angle"] = numbers["angle"] + QUARTER
    assert np.array_equal(shown(source, **numbers, size=24, fine=fine), np.rot90(tilted, 1, axes=(1, 2)))


@pytest.mark.parametrize("fine", [False, True])
def test_turns_are_counter_clockwise(fine):
    """A white bar that points to the right points up after 90 degrees, and half way between after 45."""
    picture = np.zeros((65, 65, 3), np.uint8)
    picture[29:36, 33:60] = 255
    source = ImageSource([picture])

    def direction(degrees: int) -> float:
        view = whole(source, degrees * TURN // 360, fine=fine)[..., 0].astype(float)
        rows, columns = np.indices(view.shape) - 32
        return float(np.degrees(np.arctan2(-(view * rows).sum(), (view * columns).sum()))) % 360

    for degrees in (0, 45, 90, 120, 180, 270, 359):
        assert abs((direction(degrees) - degrees + 180) % 360 - 180) < 1.5


@pytest.mark.parametrize("side", [8, 21, 64])
def test_the_whole_picture_at_its_own_size_is_the_picture(side):
    picture = noise(side, side)
    assert np.array_equal(whole(ImageSource([picture])), picture)


def test_a_view_shows_the_place_it_names():
    picture = noise(50, 70)
    source = ImageSource([picture])
    numbers = {"items": 0, "x": 45 * UNIT, "y": 20 * UNIT, "side": 16 * UNIT, "angle": 0}
    view = shown(source, **{name: np.array([value]) for name, value in numbers.items()}, size=16)[0]
    assert np.array_equal(view, picture[12:28, 37:53])


def test_outside_a_picture_its_edge_is_repeated():
    picture = noise(20, 20)
    numbers = {"items": 0, "x": 0, "y": 10 * UNIT, "side": 16 * UNIT, "angle": 0}
    view = shown(ImageSource([picture]), **{name: np.array([value]) for name, value in numbers.items()}, size=16)[0]
    assert np.array_equal(view[:, :8], np.repeat(picture[2:18, :1], 8, axis=1))
    numbers["x"] = 20 * UNIT
    view = shown(ImageSource([picture]), **{name: np.array([value]) for name, value in numbers.items()}, size=16)[0]
    assert np.array_equal(view[:, 8:], np.repeat(picture[2:18, -1:], 8, axis=1))


@pytest.mark.parametrize("fine", [False, True])
@pytest.mark.parametrize("grey", [0, 1, 77, 254, 255])
def test_a_uniform_picture_stays_uniform_at_every_angle_and_scale(grey, fine):
    source = ImageSource([np.full((37, 50, 3), grey, np.uint8)])
    for size in (8, 20, 50):
        views = shown(source, **random_views(source, 50), size=size, fine=fine)
        assert (views == grey).all()


def test_colours_are_not_mixed():
    pictures = np.zeros((3, 30, 30, 3), np.uint8)
    for channel in range(3):
        pictures[channel, ..., channel] = noise(30, 30, channel)[..., 0]
    source = ImageSource(list(pictures))
    numbers = random_views(source, 90)
    views = shown(source, **numbers, size=14, fine=True)
    for channel in range(3):
        seen = views[numbers["items"] == channel]
        assert seen[..., channel].any()
        assert not np.delete(seen, channel, axis=3).any()


def test_reducing_a_picture_keeps_its_mean():
    picture = noise(256, 256)
    small = whole(ImageSource([picture]), size=16)
    assert np.abs(small.mean(axis=(0, 1)) - picture.mean(axis=(0, 1))).max() < 2.5
    assert small.std() < picture.std() / 4, "aliased: fine noise must average out"


def test_sources_do_not_change_with_the_arrays_they_were_made_of():
    picture = noise(16, 16)
    source = ImageSource([picture])
    before = whole(source)
    picture[:] = 0
    assert np.array_equal(whole(source), before)


def test_a_deep_copy_of_a_source_is_the_source():
    source = ImageSource([noise(8, 8)])
    assert copy.deepcopy(source) is source
    assert copy.deepcopy({"source": [source]})["source"][0] is source
    assert source.__deepcopy__({}) is source


def test_a_pickled_source_gives_the_same_views():
    source = ImageSource([noise(20, 20, seed) for seed in range(10)], name="pickled", min_zoom=0.8)
    other = pickle.loads(pickle.dumps(source))
    numbers = random_views(source, 20)
    assert np.array_equal(shown(other, **numbers, size=16), shown(source, **numbers, size=16))
    assert (other.name, other.min_zoom, other.splits) == (source.name, source.min_zoom, source.splits)


# What is no source


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 8, 8, 3), np.complex64),
        np.full((2, 8, 8, 3), "a"),
        np.zeros((2, 8, 8, 5), np.uint8),
        np.zeros((2, 2, 8, 8), np.uint8),
        np.zeros((2, 3, 8, 3), np.uint8),
        np.zeros((2, 2, 8, 8, 3), np.uint8),
        np.zeros((2, 8, 0, 3), np.uint8),
        np.zeros((8, 8), np.uint8),
        [np.zeros((8, 8), np.uint8), np.zeros(8, np.uint8)],
        [np.zeros((8, 8), np.uint8), [[0, 1], [2, 3]]],
        np.zeros((0, 8, 8, 3), np.uint8),
        [],
    ],
    ids=lambda bad: f"{type(bad).__name__} {np.shape(bad[0]) if len(bad) else 'empty'} {getattr(bad, 'dtype', '')}",
)
def test_arrays_that_are_no_pictures_are_errors(bad):
    with pytest.raises(ValueError, match="picture"):
        load_images(bad)


def test_the_error_names_the_picture_that_is_wrong():
    with pytest.raises(ValueError, match=r"picture 1 of source 'arrays'.*float64 \(8, 8, 7\)"):
        load_images([np.zeros((8, 8), np.uint8), np.zeros((8, 8, 7))])


@pytest.mark.parametrize("min_zoom", [0, -0.5, 1.01])
def test_a_zoom_outside_its_range_is_an_error(min_zoom):
    with pytest.raises(ValueError, match="min_zoom"):
        ImageSource([noise(8, 8)], min_zoom=min_zoom)


def test_unknown_names_are_errors_that_list_the_known():
    with pytest.raises(ValueError, match=r"unknown source 'cifar'.*photos, faces, digits, scenes:N, folder:PATH"):
        load_images("cifar")


@pytest.mark.parametrize("value", [None, 3, b"photos", {"a": 1}])
def test_other_types_are_type_errors(value):
    with pytest.raises(TypeError, match="source"):
        load_images(value)


def test_grey_and_colour_arrays_of_several_sizes_are_taken():
    source = load_images([noise(9, 9), noise(30, 12)[..., 0]])
    assert source.heights.tolist() == [9, 30]
    assert source.widths.tolist() == [9, 12]
    assert len(load_images(np.stack([noise(8, 8, seed)[..., 0] for seed in range(5)]))) == 5
    assert load_images(source) is source


# Folders

PICTURE = noise(12, 20)


def save(path: Path, pixels: np.ndarray = PICTURE, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def read(path: Path) -> np.ndarray:
    return read_picture(path.read_bytes(), Settings()).pixels


def test_rgb_files_are_read_as_they_are(tmp_path):
    for ending in ("png", "bmp", "tiff", "PNG"):
        assert np.array_equal(read(save(tmp_path / f"x.{ending}")), PICTURE)


def test_palette_pictures_become_rgb(tmp_path):
    palette = Image.fromarray(PICTURE).quantize(8)
    palette.save(tmp_path / "p.png")
    palette.save(tmp_path / "p.gif")
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(read(tmp_path / "p.png"), expected)
    assert np.array_equal(read(tmp_path / "p.gif"), expected)


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.concatenate([PICTURE, np.zeros((12, 20, 1), np.uint8)], axis=2)
    rgba[:, 10:, 3] = 255
    expected = np.where(rgba[..., 3:] == 255, PICTURE, 255)
    assert np.array_equal(read(save(tmp_path / "rgba.png", rgba)), expected)
    la = np.ascontiguousarray(rgba[..., [0, 3]])
    grey = np.repeat(PICTURE[..., :1], 3, axis=2)
    assert np.array_equal(read(save(tmp_path / "la.png", la)), np.where(rgba[..., 3:] == 255, grey, 255))


def test_transparent_palette_entries_are_laid_on_white(tmp_path):
    picture = Image.fromarray((np.arange(64).reshape(8, 8) % 2).astype(np.uint8), "L").convert("P")
    picture.putpalette([200, 10, 10, 0, 0, 250])
    picture.save(tmp_path / "p.png", transparency=0)
    values = read(tmp_path / "p.png").reshape(-1, 3)
    assert {tuple(value) for value in values.tolist()} == {(255, 255, 255), (0, 0, 250)}


def test_grey_is_repeated(tmp_path):
    grey = np.ascontiguousarray(PICTURE[..., 0])
    assert np.array_equal(read(save(tmp_path / "l.png", grey)), np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("ending", ["png", "tiff", "pgm"])
def test_16_bit_grey_keeps_its_range(tmp_path, ending):
    grey = np.linspace(0, 65535, 400).reshape(20, 20).astype(np.uint16)
    path = tmp_path / f"x.{ending}"
    if ending == "pgm":
        path.write_bytes(b"P5 20 20 65535\n" + grey.astype(">u2").tobytes())
    else:
        save(path, grey)
    assert np.abs(read(path).astype(int) - (grey >> 8)[..., None]).max() <= 1


def test_one_bit_pictures_become_black_and_white(tmp_path):
    bits = (np.indices((8, 10)).sum(axis=0) % 2).astype(bool)
    Image.fromarray(bits).save(tmp_path / "x.png")
    assert np.array_equal(read(tmp_path / "x.png"), np.repeat(bits[..., None] * np.uint8(255), 3, axis=2))


def test_cmyk_becomes_rgb(tmp_path):
    red = Image.new("CMYK", (10, 10), (0, 255, 255, 0))
    red.save(tmp_path / "red.jpg", quality=95)
    mean = read(tmp_path / "red.jpg").mean(axis=(0, 1))
    assert mean[0] > 180
    assert max(mean[1], mean[2]) < 80


@pytest.mark.parametrize("tag", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, tag):
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 1, 8: 1}
    expected = np.rot90(PICTURE, turns[tag])
    if tag in (2, 4):
        expected = expected[:, ::-1]
    elif tag == 5:
        expected = np.swapaxes(PICTURE, 0, 1)
    elif tag == 7:
        expected = np.swapaxes(PICTURE[::-1, ::-1], 0, 1)
    exif = Image.Exif()
    exif[0x0112] = tag
    save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(read(tmp_path / "x.png"), expected)


def test_large_pictures_are_reduced_and_small_ones_kept(tmp_path):
    large = Image.fromarray(PICTURE).resize((1000, 600))
    large.save(tmp_path / "large.png")
    assert read(tmp_path / "large.png").shape == (SHORT_SIDE, round(1000 * SHORT_SIDE / 600), 3)
    assert read(save(tmp_path / "small.png")).shape == PICTURE.shape


def test_every_subfolder_is_read_in_a_fixed_order(tmp_path):
    paths = [tmp_path / name for name in ("b.png", "a/z.png", "a/deep/er/x.bmp", "c.d/y.tiff")]
    for seed, path in enumerate(paths):
        save(path, noise(10, 10, seed))
    source = FolderSource(tmp_path)
    assert source.files == sorted(paths)
    assert source.skipped == {}
    for item, path in enumerate(source.files):
        assert raw_pixels(source, item).endswith(pack(read(path)))


def test_hidden_files_and_files_of_other_kinds_are_not_looked_at(tmp_path):
    save(tmp_path / "x.png")
    save(tmp_path / ".hidden.png")
    save(tmp_path / ".cache" / "y.png")
    for name in ("notes.txt", "png", "labels.csv", "README"):
        (tmp_path / name).write_bytes(b"no picture")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = FolderSource(tmp_path)
    assert [path.name for path in source.files] == ["x.png"]


@pytest.mark.parametrize("name", ["paper.pdf", "model.h5", "film.mpg"])
def test_endings_that_are_no_pictures_are_not_looked_at(tmp_path, name):
    """Pillow registers these endings for writing, or for readers that others may plug in."""
    save(tmp_path / "x.png")
    (tmp_path / name).write_bytes(b"no picture")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert FolderSource(tmp_path).skipped == {}


def broken_files(folder: Path) -> list[Path]:
    png = io.BytesIO()
    Image.fromarray(noise(40, 40)).save(png, "PNG")
    jpeg = io.BytesIO()
    Image.fromarray(noise(40, 40)).save(jpeg, "JPEG")
    contents = {
        "empty.png": b"",
        "text.jpg": b"this is no picture",
        "cut.png": png.getvalue()[: len(png.getvalue()) // 2],
        "cut.jpg": jpeg.getvalue()[: len(jpeg.getvalue()) // 3],
        "flipped.png": png.getvalue().replace(b"IDAT", b"IDAX"),
        "html.gif": b"<html>404</html>",
        "header.bmp": b"BM" + b"\xff" * 60,
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in contents]


def test_unreadable_files_are_counted_and_named_with_the_reason(tmp_path):
    good = save(tmp_path / "good.png")
    bad = [*broken_files(tmp_path), save(tmp_path / "tiny.png", noise(3, 9))]
    with pytest.warns(UserWarning, match=f"{len(bad)} of {len(bad) + 1} pictures") as caught:
        source = FolderSource(tmp_path)
    assert source.files == [good]
    assert sorted(source.skipped) == sorted(bad)
    assert all(source.skipped.values())
    message = str(caught[0].message)
    assert all(str(path) in message for path in bad)
    assert "3 pixels" in source.skipped[tmp_path / "tiny.png"]


def broken_avif() -> bytes:
    data = io.BytesIO()
    Image.fromarray(noise(40, 40)).save(data, "AVIF")
    return data.getvalue()[:200] + b"\x55" * 40 + data.getvalue()[240:]


@pytest.mark.parametrize("ending", ["dds", "avif"])
def test_files_that_pillow_refuses_in_its_own_way_are_counted_and_named(tmp_path, ending):
    """Its readers raise NotImplementedError and RuntimeError too; the rest of the folder is still read."""
    if ending == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    save(tmp_path / "good.png")
    data = b"DDS " + (124).to_bytes(4, "little") + bytes(120) if ending == "dds" else broken_avif()
    (tmp_path / f"bad.{ending}").write_bytes(data)
    with pytest.warns(UserWarning, match="1 of 2 pictures"):
        source = FolderSource(tmp_path)
    assert list(source.skipped) == [tmp_path / f"bad.{ending}"]


def test_a_folder_without_a_readable_picture_is_an_error(tmp_path):
    count = len(broken_files(tmp_path))
    with pytest.warns(UserWarning, match="could not be read"), pytest.raises(ValueError, match=f"holds {count} pictures"):
        FolderSource(tmp_path)


@pytest.mark.parametrize("how", ["class", "name"])
def test_folders_that_are_none_are_errors_that_name_the_path(tmp_path, how):
    def load(path: Path) -> ImageSource:
        return FolderSource(path) if how == "class" else load_images(f"folder:{path}")

    empty = tmp_path / "empty"
    empty.mkdir()
    file = save(tmp_path / "file.png")
    for path, error in ((empty, ValueError), (tmp_path / "missing", FileNotFoundError), (file, NotADirectoryError)):
        with pytest.raises(error, match=path.name):
            load(path)


def test_a_folder_of_other_files_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"holds no picture.*\.png"):
        FolderSource(tmp_path)


def test_equal_pictures_of_a_folder_are_kept_and_fall_into_one_split(tmp_path):
    for seed in range(25):
        for name in (f"{seed}.png", f"copies/{seed}.bmp", f"copies/again/{seed}.tiff"):
            save(tmp_path / name, noise(9, 9, seed))
    source = FolderSource(tmp_path)
    assert len(source) == 75
    for split in source.splits:
        names = [source.files[item].stem for item in source.items(split)]
        assert all(names.count(name) == 3 for name in names)


def test_large_pictures_are_split_by_their_full_content(tmp_path):
    """The digest is that of the file's own pixels, so another reduction would not move a picture across splits."""
    save(tmp_path / "x.png", noise(300, 400))
    assert read_picture((tmp_path / "x.png").read_bytes(), Settings()).key == content_key(noise(300, 400))


def test_a_folder_named_in_a_source_string_is_read_once_and_again_when_it_changes(tmp_path):
    save(tmp_path / "a.png")
    first = load_images(f"folder:{tmp_path}")
    assert load_images(f"folder:{tmp_path}") is first
    save(tmp_path / "b.png", noise(9, 9))
    assert len(load_images(f"folder:{tmp_path}")) == 2
    assert len(first) == 1


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save(tmp_path / "pictures" / "a.png")
    assert len(load_images("folder:~/pictures")) == 1


def test_names_with_spaces_and_accents_are_read(tmp_path):
    save(tmp_path / "été à la mer" / "a b.png")
    assert len(load_images(f"folder:{os.fspath(tmp_path)}")) == 1


def test_pictures_in_mapped_files_are_drawn_from_as_those_in_memory_are(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (height, 40, channels), np.uint8) for height in (30, 51, 64) for channels in (1, 3)]
    keys = [bytes([number]) * 16 for number in range(6)]
    stored = store(images)
    for name, array in (("pixels", stored.pixels), ("table", stored.table)):
        np.save(tmp_path / f"{name}.npy", array)
    mapped = Stored(*(np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("pixels", "table")))
    one, other = (
        ImageSource([np.broadcast_to(image, (*image.shape[:2], 3)) for image in images], keys=keys),
        ImageSource(mapped, keys=keys),
    )
    views = one.whole(np.arange(6))
    assert np.array_equal(one.pixels(views, 20, 100), other.pixels(views, 20, 100))
    assert np.array_equal(one.pixels(views, 20, 100, fine=True), other.pixels(views, 20, 100, fine=True))
    assert one.fingerprint == other.fingerprint
    assert one.grey == other.grey is False
