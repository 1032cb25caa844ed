"""Near-duplicates share a split and count as one photograph; pictures that merely resemble each other do not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl4rl_benchmarks.figures.near_duplicates import COPIES, cropped, resized
from ssl4rl_envs.kernels import copies as kernels
from ssl4rl_envs.sources import FolderSource, load_images
from ssl4rl_envs.sources.duplicates import agreement_needed, groups_of_copies, look_of
from ssl4rl_envs.sources.folder import folder
from ssl4rl_envs.sources.index import content_key, split_of
from ssl4rl_envs.sources.options import Settings
from ssl4rl_envs.sources.reading import read_picture
from ssl4rl_envs.stream import SPLITS

COUNT = 24


OTHERS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
    "inverted": lambda picture: picture.point(lambda value: 255 - value),
}


def scenes() -> list[Image.Image]:
    bank = load_images("scenes:64")
    return [Image.fromarray(bank.picture(item)) for item in range(COUNT)]


def groups(pictures: list[Image.Image] | list[np.ndarray]) -> list[list[int]]:
    arrays = [np.asarray(picture) for picture in pictures]
    found = groups_of_copies([look_of(array) for array in arrays], [content_key(array) for array in arrays])
    return [group.tolist() for group in found]


# Which pictures are copies


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_grouped_with_their_picture_and_no_other(kind):
    pictures = scenes()
    assert groups([*pictures, *map(COPIES[kind], pictures)]) == [[item, COUNT + item] for item in range(COUNT)]


def test_a_slight_crop_is_a_copy():
    pictures = scenes()
    assert groups([*pictures, *map(cropped(0.01), pictures)]) == [[item, COUNT + item] for item in range(COUNT)]


@pytest.mark.parametrize("kind", OTHERS)
def test_other_pictures_are_not_grouped(kind):
    pictures = scenes()
    assert groups([*pictures, *map(OTHERS[kind], pictures)]) == []


def test_pictures_of_other_colours_are_other_pictures():
    """They have the same luminance, pixel by pixel, so their hashes are equal too."""
    blocks = [np.random.default_rng(seed).integers(40, 216, (4, 4, 3), dtype=np.uint8) for seed in range(COUNT)]
    pictures = [Image.fromarray(block).resize((64, 64)) for block in blocks]
    bands = [picture.convert("YCbCr").split() for picture in pictures]
    swapped = [Image.merge("YCbCr", (y, red, blue)).convert("RGB") for y, blue, red in bands]
    assert groups(pictures) == []
    assert groups([*pictures, *swapped]) == []


@pytest.mark.parametrize("name", ["faces", "photos", "scenes:300"])
def test_distinct_pictures_are_not_grouped(name):
    source = load_images(name)
    assert groups([source.picture(item) for item in range(len(source))]) == []


def test_a_collection_of_small_pictures_that_resemble_each_other_does_not_collapse():
    """Many handwritten digits are alike to a hash of 64 bits; a few of them nearly are each other."""
    source = load_images("digits")
    found = groups([source.picture(item) for item in range(0, len(source), 2)])
    assert sum(map(len, found)) < 0.2 * len(source) / 2
    assert max(map(len, found)) < 0.05 * len(source) / 2


def test_blank_pictures_are_grouped_when_equal_alone():
    blanks = [np.full((20, 20, 3), level, np.uint8) for level in (0, 3, 128, 129, 255, 128)]
    assert groups(blanks) == [[2, 5]]
    faint = (np.indices((64, 64)).sum(axis=0) // 16 % 2).astype(np.uint8)[..., None].repeat(3, axis=2)
    assert groups([faint + 100, faint + 200]) == []


@pytest.mark.parametrize("step", [1, 2, 5])
def test_gradients_are_not_grouped_across_directions(step):
    ramp = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], (64, 64, 3))
    turned = [np.ascontiguousarray(np.rot90(ramp, quarter)) for quarter in range(4)]
    assert groups(turned) == []


def test_the_agreement_needed_grows_with_the_bits_and_falls_with_the_detail():
    needed = agreement_needed(np.array([0, 51, 102]), np.full(3, 90.0, np.float32))
    assert needed == pytest.approx([0.81, 0.989296875, 0.99])
    assert agreement_needed(np.array([0, 0]), np.array([1.0, 25.0], np.float32)) == pytest.approx([0.996, 0.9])


def test_groups_do_not_depend_on_the_order_or_on_blocks(monkeypatch):
    pictures = scenes()
    both = [*pictures, *map(COPIES["JPEG, quality 50"], pictures)]
    order = np.random.default_rng(0).permutation(len(both))
    monkeypatch.setitem(groups_of_copies.__globals__, "_BLOCK", 5)
    monkeypatch.setattr(kernels, "_BLOCK", 5)
    shuffled = groups([both[item] for item in order])
    assert sorted(sorted(order[group].tolist()) for group in map(np.array, shuffled)) == groups(both)


def test_what_is_connected_is_one_group():
    base = scenes()[0]
    levels = [base.point(lambda value, share=share: int(value * share)) for share in (1.0, 0.6, 0.36, 0.2)]
    assert groups(levels) == [[0, 1, 2, 3]]
    assert groups([levels[0], levels[3]]) == []


# Folders


def write(path: Path, picture: Image.Image, **how: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **how)


def loaded(path: Path, **how: object) -> FolderSource:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return FolderSource(path, **how)


def splits_by_stem(source: FolderSource) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for split in source.splits:
        for item in source.items(split):
            found.setdefault(source.files[item].stem, set()).add(split)
    return found


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """Scenes as PNG, and the same in half the size as JPEG, in another folder."""
    for number, picture in enumerate(scenes()):
        write(tmp_path / "large" / f"{number:02}.png", picture)
        write(tmp_path / "small" / f"{number:02}.jpg", resized(0.5)(picture), quality=75)
    return tmp_path


def test_copies_share_a_split_and_a_photograph(doubled):
    with pytest.warns(UserWarning, match=rf"{2 * COUNT} of {2 * COUNT} pictures .* near-duplicates .*{COUNT} groups"):
        source = FolderSource(doubled)
    assert all(len(splits) == 1 for splits in splits_by_stem(source).values())
    numbers = source.photographs(np.arange(2 * COUNT))
    assert np.array_equal(numbers[:COUNT], numbers[COUNT:])
    assert len(set(numbers.tolist())) == COUNT == sum(source.variety(split) or 0 for split in source.splits)
    assert source.grouped == 2 * COUNT
    assert [group.tolist() for group in source.groups] == [[item, COUNT + item] for item in range(COUNT)]
    assert f"{2 * COUNT} grouped" in repr(source)


def test_the_warning_points_to_the_line_that_loads(doubled):
    with pytest.warns(UserWarning, match="near-duplicates") as caught:
        load_images(f"folder:{doubled}")
    assert caught[0].filename == __file__


def test_without_dedup_equal_pictures_alone_are_grouped(doubled):
    write(doubled / "again.png", scenes()[3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = FolderSource(doubled, dedup=False)
        named = load_images(f"folder:{doubled}?dedup=false")
    assert any(len(splits) > 1 for splits in splits_by_stem(source).values())
    assert (source.grouped, [len(group) for group in source.groups]) == (0, [2])
    assert splits_by_stem(named) == splits_by_stem(source)
    assert loaded(doubled).grouped == 2 * COUNT + 1


def test_with_and_without_dedup_are_two_sources_of_one_folder(doubled):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert folder(doubled) is folder(doubled)
        assert folder(doubled) is not folder(doubled, dedup=False)
        assert folder(doubled, dedup=False) is folder(f"{doubled}?dedup=false") is folder(f"{doubled}?dedup=False")


def test_a_folder_of_such_a_name_is_read(tmp_path):
    write(tmp_path / "x?dedup=false" / "a.png", scenes()[0])
    assert len(load_images(f"folder:{tmp_path}/x?dedup=false")) == 1


def test_a_group_goes_where_its_largest_picture_goes(doubled):
    source = loaded(doubled)
    for group in source.groups:
        key = read_picture(source.files[group[0]].read_bytes(), Settings()).key
        assert all(split_of(key) == split for item in group for split in SPLITS if item in source.items(split))


def test_other_pictures_and_smaller_copies_move_nothing(doubled):
    before = splits_by_stem(loaded(doubled))
    bank = load_images("scenes:64")
    for item in range(COUNT, 50):
        write(doubled / "more" / f"other {item}.png", Image.fromarray(bank.picture(item)))
    for number, picture in enumerate(scenes()):
        write(doubled / "tiny" / f"{number:02}.webp", resized(0.4)(picture))
    after = splits_by_stem(loaded(doubled))
    assert {stem: after[stem] for stem in before} == before


def test_a_copy_is_no_different_photograph_to_tasks(doubled):
    """Contrastive asks whether two views show one picture: a copy of it would be a wrong "different"."""
    source = loaded(doubled)
    for split in source.splits:
        items = source.items(split)
        assert source.variety(split) == len(items) // 2
