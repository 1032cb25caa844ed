"""Pictures in memory: every layout and kind of number means what it says, and what may mean two things is an error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ssl4rl_envs
from ssl4rl_envs.sources import ImageSource, load_images

COLOURS = np.random.default_rng(0).integers(0, 256, (5, 9, 12, 3), dtype=np.uint8)
GREY = COLOURS[..., 0]


def seen(source: object) -> np.ndarray:
    loaded = load_images(source)
    return np.stack([loaded.picture(item) for item in range(len(loaded))])


def repeated(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=3)


@given(st.integers(5, 20), st.integers(5, 20), st.sampled_from([1, 3, 4]))
@settings(max_examples=25, deadline=None)
def test_channels_may_stand_first_or_last(height, width, channels):
    last = np.random.default_rng(height).integers(0, 256, (2, height, width, channels), dtype=np.uint8)
    assert np.array_equal(seen(last), seen(np.moveaxis(last, 3, 1)))
    assert np.array_equal(seen(list(last)), seen(list(np.moveaxis(last, 3, 1))))


def test_bytes_are_taken_as_they_are():
    assert np.array_equal(seen(COLOURS), COLOURS)
    assert np.array_equal(seen(GREY), repeated(GREY))
    assert np.array_equal(seen(GREY[..., None]), repeated(GREY))
    assert np.array_equal(seen(GREY // 16), repeated(GREY // 16)), "dark bytes are dark"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_from_0_to_1(dtype):
    assert np.array_equal(seen((COLOURS / 255).astype(dtype)), COLOURS)
    assert np.array_equal(seen(list((COLOURS / 255).astype(dtype).transpose(0, 3, 1, 2))), COLOURS)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.int64, np.uint64, np.float32])
def test_bytes_in_wider_numbers(dtype):
    assert np.array_equal(seen(COLOURS.astype(dtype)), COLOURS)


def test_floats_from_minus_1_to_1():
    assert np.abs(seen(COLOURS / 127.5 - 1).astype(int) - COLOURS).max() <= 1


def test_twelve_bits_in_sixteen():
    values = COLOURS.astype(np.uint16) * 16 + 15
    assert np.abs(seen(values).astype(int) - COLOURS).max() <= 1


def test_one_range_holds_for_all_arrays_of_a_source():
    """A dark picture among others stays dark: the range is that of the source, as a camera has one."""
    values = (COLOURS / 255).astype(np.float32)
    values[0] *= 0.01
    assert seen(values)[0].max() <= 3
    assert seen(list(values))[0].max() <= 3


def test_truth_values_are_black_and_white():
    assert np.array_equal(seen(GREY > 128), repeated((GREY > 128) * np.uint8(255)))


@pytest.mark.parametrize("scale", [255, 65535, 1.0])
def test_opacity_lays_colours_on_white(scale):
    dtype = {255: np.uint8, 65535: np.uint16, 1.0: np.float32}[scale]
    rgba = np.zeros((2, 6, 6, 4), dtype)
    rgba[..., 0] = scale
    rgba[..., 3] = np.round(np.linspace(0, 1, 6) * scale, 1)
    assert seen(rgba)[0, 0, :, 1].tolist() == [255, 204, 153, 102, 51, 0]
    assert (seen(rgba)[..., 0] == 255).all()
    assert np.array_equal(seen(rgba.transpose(0, 3, 1, 2)), seen(rgba))


def test_pictures_of_pillow_in_every_mode():
    pictures = [Image.fromarray(picture) for picture in COLOURS]
    assert np.array_equal(seen(pictures), COLOURS)
    for mode in ("P", "1", "L", "LA", "RGBA", "CMYK", "I"):
        converted = [picture.convert(mode) for picture in pictures]
        right = np.stack([np.asarray(picture.convert("RGB")) for picture in converted])
        assert np.array_equal(seen(converted), right), mode
        assert np.array_equal(ImageSource(converted).picture(0), right[0]), mode


def test_a_deep_picture_of_pillow_keeps_its_contrast():
    values = np.linspace(0, 4095, 100).astype(np.uint16).reshape(10, 10)
    assert np.array_equal(seen([Image.fromarray(values)])[0, ..., 0], np.rint(values * (255 / 4095)))


def test_missing_numbers_of_a_picture_of_pillow_are_told():
    values = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    values[0, 0] = np.nan
    with pytest.warns(UserWarning, match="picture 1 of source 'arrays': 1 of its 100 numbers"):
        load_images([Image.fromarray(GREY[0]), Image.fromarray(values)])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16, torch.float16])
def test_tensors(dtype):
    values = torch.from_numpy(COLOURS.transpose(0, 3, 1, 2).copy())
    tensor = values if dtype == torch.uint8 else (values / 255).to(dtype).requires_grad_()
    assert np.abs(seen(tensor).astype(int) - COLOURS).max() <= (1 if dtype == torch.bfloat16 else 0)
    assert np.array_equal(seen(list(tensor)), seen(tensor))


def test_an_array_of_objects_is_a_list():
    pictures = np.empty(2, object)
    pictures[:] = [COLOURS[0], Image.fromarray(COLOURS[1])]
    assert np.array_equal(seen(pictures), COLOURS[:2])


@pytest.mark.parametrize("shape", [(3, 9, 3), (4, 9, 4), (1, 9, 1), (3, 3, 3)])
def test_a_layout_that_may_be_read_in_two_ways_is_an_error(shape):
    with pytest.raises(ValueError, match=r"picture 1 of .* ambiguous"):
        load_images([GREY[0], np.zeros(shape, np.uint8)])


@pytest.mark.parametrize("shape", [(3, 32, 32), (32, 32, 3), (4, 32, 32), (32, 32, 4)])
def test_one_colour_picture_is_not_read_as_many_grey_ones(shape):
    with pytest.raises(ValueError, match="ambiguous"):
        load_images(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("value", [np.nan, np.inf, -3.4e38])
def test_arrays_with_missing_numbers_are_errors(value):
    values = (COLOURS / 255).astype(np.float32)
    values[3, 0, 0, 1] = value
    with pytest.raises(ValueError, match="picture 3 of source 'arrays' holds 1 numbers"):
        load_images(values)


def test_small_pictures_are_errors_in_every_kind():
    for picture in (np.zeros((3, 9), np.uint8), Image.new("L", (9, 3)), torch.zeros(3, 9), np.zeros((3, 9, 2), bool)):
        with pytest.raises(ValueError, match=r"at least 4 pixels|ambiguous"):
            load_images([picture])


@pytest.mark.parametrize("thing", ["a.png", 3, None, b"bytes"])
def test_things_that_are_no_pictures_are_named(thing):
    with pytest.raises(ValueError, match=f"picture 1 of source 'arrays' is a {type(thing).__name__}"):
        load_images([GREY[0], thing])


def test_a_single_picture_is_no_source():
    with pytest.raises(TypeError, match="list"):
        load_images(Image.new("RGB", (9, 9)))


def test_tasks_take_tensors_and_pictures_of_pillow():
    pictures = np.random.default_rng(0).integers(0, 256, (60, 40, 40, 3), dtype=np.uint8)
    tensor = torch.from_numpy(pictures.transpose(0, 3, 1, 2) / np.float32(255))
    sources = (pictures, tensor, [Image.fromarray(picture) for picture in pictures])
    tasks = [ssl4rl_envs.make_task("SSL4RL/Rotation-v0", source=source, image_size=36) for source in sources]
    streams = [ssl4rl_envs.Stream("train", np.zeros(4, np.uint64), np.arange(4)) for _ in tasks]
    first, *others = (task.sample(stream).observation["image"] for task, stream in zip(tasks, streams, strict=True))
    assert all(np.array_equal(other, first) for other in others)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "bfloat16"])
def test_tensors_of_floats_that_numpy_does_not_have(name):
    tensor = (torch.from_numpy(COLOURS.transpose(0, 3, 1, 2).copy()) / 255).to(getattr(torch, name))
    right = np.rint(tensor.float().numpy().transpose(0, 2, 3, 1) * 255)
    assert np.array_equal(seen(tensor), right)
    assert np.array_equal(seen(list(tensor)), right)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            torch.zeros(2, 3, 9, 9, dtype=torch.complex64),
            r"the array of pictures of source .* real numbers, got complex64 \(2, 3, 9, 9\)",
        ),
        (torch.zeros(2, 3, 9, 9).to_sparse(), "a tensor of torch.float32 .* make it a dense one"),
        (torch.zeros(2, 3, 9, 9, device="meta"), "no data.* make it"),
        ([torch.zeros(3, 9, 9), torch.zeros(3, 9, 9).to_sparse()], "picture 1 of source 'arrays' is a tensor"),
        ([COLOURS[0].astype(object)], r"picture 0 .* real numbers, got object \(9, 12, 3\); convert it"),
        (np.zeros((2, 9, 9), "datetime64[s]"), "real numbers, got datetime64"),
        (np.zeros((2, 9, 9), [("red", np.uint8)]), "real numbers, got"),
        (np.array(3), r"must be of shape \(n, height, width\).* got int64 \(\); a single picture is given in a list"),
        (COLOURS[0, ..., 0], r"must be of shape .* got uint8 \(9, 12\)"),
        (np.zeros((2, 2, 9, 9, 3)), r"must be of shape .* got float64 \(2, 2, 9, 9, 3\)"),
        (np.ma.masked_greater(COLOURS, 250), r"masked array; say what its \d+ masked numbers shall show"),
        ([np.zeros((2, 9, 9))], r"with 1, 3 or 4 channels, got float64 \(2, 9, 9\)"),
        (np.zeros((0, 9, 9)), "holds no picture"),
        (np.zeros((2, 9, 0)), "at least 4 pixels wide and high, got 0 x 9"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(source, message):
    with pytest.raises(ValueError, match=message):
        load_images(source)


def test_layout_of_memory_does_not_matter():
    right = seen(COLOURS)
    locked = COLOURS.copy()
    locked.flags.writeable = False
    for array in (np.asfortranarray(COLOURS), COLOURS[:, ::-1][:, ::-1], locked, np.ma.masked_array(COLOURS)):
        assert np.array_equal(seen(array), right)
    assert np.array_equal(seen(COLOURS.astype(">u2")), right)
    assert np.array_equal(seen(torch.from_numpy(COLOURS.copy()).permute(0, 3, 1, 2)), right)


def test_a_source_keeps_its_pictures_when_the_array_changes():
    mine = COLOURS.copy()
    source = load_images(mine)
    mine[:] = 0
    assert np.array_equal(source.picture(0), COLOURS[0])


def test_narrow_numbers_are_stretched_alike_and_told_once():
    celsius = np.linspace(20, 30, 5 * 81).reshape(5, 9, 9)
    with pytest.warns(UserWarning, match=r"5 pictures of source 'arrays' .* from 293.15 to 303.15 are stretched") as told:
        found = seen(celsius + 273.15)
    assert len(told) == 1
    assert np.abs(found[..., 0] - (celsius - 20) * 25.5).max() <= 0.51


def test_numbers_that_mark_missing_ones_do_not_set_the_range_of_arrays():
    values = np.linspace(250, 300, 5 * 81, dtype=np.float32).reshape(5, 9, 9)
    holes = values.copy()
    holes[2, 3] = -9999
    with pytest.warns(UserWarning, match="9 of its numbers, which go from -9999 to 300"):
        found = seen(holes)
    assert (found[2, 3] == 0).all()
    found[2, 3] = 0
    with pytest.warns(UserWarning, match="stretched"):
        whole = seen(values)
    whole[2, 3] = 0
    assert np.array_equal(found, whole)


def test_pictures_of_pillow_are_stretched_alike():
    pictures = [Image.fromarray(np.linspace(low, low + 40, 100, dtype=np.float32).reshape(10, 10)) for low in (250, 270)]
    with pytest.warns(UserWarning, match="2 pictures of source") as told:
        found = seen(pictures)
    assert len(told) == 1
    assert [(int(one.min()), int(one.max())) for one in found] == [(0, 170), (85, 255)]
