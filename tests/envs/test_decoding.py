"""Picture files of every mode and depth mean what they say, and damaged metadata cost no picture."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from ssl4rl_envs.sources import FolderSource, reading
from ssl4rl_envs.sources.decoding import decode, decode_picture, without_metadata
from ssl4rl_envs.sources.options import Settings

COLOURS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
ALL_WHITE = (255, 255, 255)


def png(values: np.ndarray, colour_type: int, transparent: tuple[int, ...] = (), bits: int = 16) -> bytes:
    """A PNG file written by hand: Pillow writes no colours of 16 bits."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape[:2]
    rows = [np.packbits(row).tobytes() if bits == 1 else row.astype(">u2").tobytes() for row in values]
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    key = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)) if transparent else b""
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + key + data + chunk(b"IEND", b"")


def read_picture(path: Path) -> reading.Reading:
    return reading.read_picture(path.read_bytes(), Settings())


def read(folder: Path, data: bytes | Image.Image, name: str = "x.png", **how: object) -> np.ndarray:
    path = folder / name
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        data.save(path, **how)
    return read_picture(path).pixels


# More than 8 bits


@pytest.mark.parametrize("white", [255, 1023, 4095, 16383, 65535])
@pytest.mark.parametrize(("channels", "colour_type"), [(1, 0), (3, 2), (2, 4), (4, 6)])
def test_png_of_16_bits_keeps_its_contrast(tmp_path, white, channels, colour_type):
    values = np.random.default_rng(white).integers(0, white + 1, (9, 11, channels)).astype(np.uint16)
    values[0, 0] = white
    if channels in (2, 4):
        values[..., -1] = 65535
    shown = values[..., :3] if channels > 2 else values[..., [0, 0, 0]]
    assert np.array_equal(read(tmp_path, png(values, colour_type)), np.rint(shown * (255 / white)))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiff_of_16_bits_keeps_its_contrast(tmp_path, byteorder, compression, channels):
    import tifffile

    values = np.random.default_rng(0).integers(0, 4096, (9, 11, channels)).astype(np.uint16)
    values[0, 0] = 4095
    kind = "rgb" if channels == 3 else "minisblack"
    written = values if channels == 3 else values[..., 0]
    tifffile.imwrite(tmp_path / "x.tif", written, byteorder=byteorder, compression=compression, photometric=kind)
    assert np.array_equal(
        read_picture(tmp_path / "x.tif").pixels, np.rint(np.broadcast_to(values, (9, 11, 3)) * (255 / 4095))
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiff_in_which_0_is_white(tmp_path, dtype):
    import tifffile

    values = np.zeros((8, 8), dtype)
    values[:4] = 1 if dtype is np.float32 else np.iinfo(dtype).max
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="miniswhite")
    assert read_picture(tmp_path / "x.tif").pixels[[0, 7], 0, 0].tolist() == [0, 255]


def test_one_transparent_grey_of_16_bits_shows_white_and_does_not_set_the_range(tmp_path):
    values = np.linspace(0, 4095, 400).astype(np.uint16).reshape(20, 20)
    values[3, 4] = 65000
    seen = read(tmp_path, png(values, 0, transparent=(65000,)))
    assert tuple(seen[3, 4]) == ALL_WHITE
    values[3, 4], seen[3, 4] = 0, 0
    assert np.array_equal(seen[..., 0], np.rint(values * (255 / 4095)))


def test_one_transparent_colour_of_16_bits_is_compared_in_all_bits(tmp_path):
    values = np.full((6, 6, 3), 4095, np.uint16)
    values[0], values[1] = (7, 8, 9), (7, 8, 10)
    seen = read(tmp_path, png(values, 2, transparent=(7, 8, 9)))
    assert (seen[0] == 255).all()
    assert seen[1].max() <= 1


def test_opacity_of_16_bits_lays_colours_on_white(tmp_path):
    values = np.zeros((6, 6, 4), np.uint16)
    values[..., 0] = 65535
    values[..., 3] = np.array([0, 13107, 26214, 39321, 52428, 65535])
    seen = read(tmp_path, png(values, 6))
    assert (seen[..., 0] == 255).all()
    assert seen[0, :, 1].tolist() == [255, 204, 153, 102, 51, 0]


@pytest.mark.parametrize("transparent", [0, 1])
def test_one_transparent_value_of_one_bit(tmp_path, transparent):
    bits = np.zeros((8, 8), bool)
    bits[4:] = True
    seen = read(tmp_path, png(bits, 0, transparent=(transparent,), bits=1))
    assert [int(seen[0].max()), int(seen[7].min())] == [255 if transparent == 0 else 0, 255]


@pytest.mark.parametrize("white", [255, 4095, 65535])
def test_32_bit_integers_keep_their_contrast(tmp_path, white):
    ramp = np.linspace(0, white, 400).reshape(20, 20).astype(np.int32)
    assert np.array_equal(read(tmp_path, Image.fromarray(ramp), "x.tif")[..., 0], np.rint(ramp * (255 / white)))


def test_negative_integers_keep_their_contrast(tmp_path):
    ramp = np.linspace(-1000, 1000, 400).reshape(20, 20).astype(np.int32)
    seen = read(tmp_path, Image.fromarray(ramp), "x.tif")
    assert abs(seen.mean() - 127.5) < 1
    assert (seen.min(), seen.max()) == (0, 255)


@pytest.mark.parametrize(("black", "white"), [(0, 1), (0, 255), (-1, 1), (0, 4095), (-40, 90), (0, 1e6)])
def test_floats_keep_their_contrast(tmp_path, black, white):
    ramp = np.linspace(black, white, 400, dtype=np.float32).reshape(20, 20)
    seen = read(tmp_path, Image.fromarray(ramp), "x.tif")[..., 0].astype(int)
    assert np.abs(seen - np.linspace(0, 255, 400).reshape(20, 20)).max() <= 0.51


def test_missing_floats_are_told_and_spare_the_rest(tmp_path):
    ramp = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    ramp[0, :3] = np.nan, np.inf, -np.inf
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    with pytest.warns(UserWarning, match=r"(?s)1 of 1 pictures.*a\.tif: 3 of its 400 numbers are NaN"):
        source = FolderSource(tmp_path)
    assert source.picture(0)[0, :3, 0].tolist() == [0, 255, 0]
    assert np.abs(source.picture(0)[1:, :, 0] - ramp[1:] * 255).max() <= 0.51
    assert list(source.noted) == [tmp_path / "a.tif"]


def test_a_picture_without_a_finite_number_is_left_out_and_named(tmp_path):
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(tmp_path / "nan.tif")
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "half.tif")
    with pytest.warns(UserWarning, match=r"nan\.tif: it holds no finite number"):
        source = FolderSource(tmp_path)
    assert [path.name for path in source.files] == ["half.tif"]
    assert (source.picture(0) == 128).all()


# Modes


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"])
def test_colour_modes_show_their_colours(mode):
    picture = Image.fromarray(COLOURS)
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        picture = ImageCms.applyTransform(picture, ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
    elif mode == "RGBa":
        picture = picture.convert("RGBA").convert("RGBa")
    else:
        picture = picture.convert(mode)
    assert picture.mode == mode
    assert np.abs(decode_picture(picture).pixels.astype(int) - COLOURS).mean() < 2


@pytest.mark.parametrize("mode", ["L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"])
def test_grey_modes_show_their_grey(mode):
    grey = Image.fromarray(COLOURS).convert("L")
    via = {"La": "LA", "I;16L": "I;16", "I;16B": "I;16"}.get(mode, "I" if mode.startswith("I") else "L")
    picture = grey.convert("I").convert(via).convert(mode) if via.startswith("I") else grey.convert(via).convert(mode)
    assert picture.mode == mode
    assert np.array_equal(decode_picture(picture).pixels, np.repeat(np.asarray(grey)[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["P", "PA"])
def test_palettes_show_their_colours(mode):
    picture = Image.fromarray(COLOURS).quantize(16)
    right = np.asarray(picture.convert("RGB"))
    assert np.array_equal(decode_picture(picture.convert(mode)).pixels, right)


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.tif", "x.webp"])
def test_of_several_frames_the_first_is_shown(tmp_path, name):
    frames = [Image.new("RGB", (12, 12), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    how = {"lossless": True} if name == "x.webp" else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **how)
    assert np.abs(read_picture(tmp_path / name).pixels.reshape(-1, 3) - (250, 0, 0)).max() <= 8


# Metadata


def exif_of(*fields: tuple[int, int, int, bytes]) -> bytes:
    packed = b"".join(struct.pack("<HHI", *field[:3]) + field[3] for field in sorted(fields))
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(fields)) + packed + struct.pack("<I", 0) + bytes(64)


UP = np.zeros((12, 20, 3), np.uint8)
UP[:4] = 250
TURNED = (0x112, 3, 1, struct.pack("<HH", 6, 0))  # by a quarter clockwise


@pytest.mark.parametrize("tag", [0x10F, 0x11A, 0x128, 0x132, 0x8769, 0x8825, 0x100, 0x13B, 0xC4A5])
def test_a_damaged_field_costs_the_turn_at_most_and_that_only_if_it_stands_before_it(tmp_path, tag):
    for kind in (0, 1, 2, 3, 4, 5, 7, 9, 11, 12, 13, 200):
        for count in (0, 2, 60_000):
            seen = read(tmp_path, Image.fromarray(UP), "x.jpg", exif=exif_of(TURNED, (tag, kind, count, b"ab\1\0")))
            assert seen.shape == (20, 12, 3) or (tag < 0x112 and seen.shape == UP.shape)
            if seen.shape != UP.shape:
                assert seen[:, -3:].mean() > 200 > 100 > seen[:, :6].mean()


@pytest.mark.parametrize("field", [(3, 1, b"\x06\0\0\0"), (1, 1, b"\x06\0\0\0"), (4, 1, b"\x06\0\0\0"), (2, 2, b"6\0\0\0")])
def test_an_orientation_of_another_type_is_honoured(tmp_path, field):
    assert read(tmp_path, Image.fromarray(UP), "x.jpg", exif=exif_of((0x112, *field))).shape == (20, 12, 3)


@pytest.mark.parametrize(
    "field", [(3, 1, b"\x63\0\0\0"), (2, 2, b"z\0\0\0"), (5, 1, b"\xff\xff\0\0"), (11, 1, b"\0\0\xc0\x7f")]
)
def test_an_orientation_that_is_none_leaves_the_picture(tmp_path, field):
    assert read(tmp_path, Image.fromarray(UP), "x.jpg", exif=exif_of((0x112, *field))).shape == UP.shape


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp"])
def test_damaged_metadata_never_cost_the_picture(tmp_path, name):
    exif = Image.Exif()
    exif[0x112], exif[0x10F], exif[0x11A], exif[0x128] = 6, "make", 72.0, 2
    exif.get_ifd(0x8769)[0x829A] = 0.01
    whole, rng = exif.tobytes(), random.Random(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 2, 5, 20])):
            damaged[rng.randrange(6, len(damaged))] = rng.randrange(256)
        cut = len(damaged) if rng.random() < 0.8 else rng.randrange(6, len(damaged))
        try:
            Image.fromarray(UP).save(tmp_path / name, exif=bytes(damaged[:cut]))
        except Exception:  # Pillow does not write it
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            seen = decode((tmp_path / name).read_bytes()).pixels
        assert sorted(seen.shape) == [3, 12, 20]


def test_metadata_that_keep_pillow_from_opening_the_file_are_left_out(tmp_path, monkeypatch):
    exif = exif_of(TURNED)
    Image.fromarray(UP).save(tmp_path / "x.jpg", exif=exif)
    whole = Image.open

    def refuse(file: io.BytesIO, *more: object) -> Image.Image:
        if exif in file.getvalue():
            raise struct.error("unpack requires a buffer of 4 bytes")
        return whole(file, *more)

    monkeypatch.setattr(Image, "open", refuse)
    pixels, notes, _ = decode((tmp_path / "x.jpg").read_bytes())
    assert pixels.shape == UP.shape
    assert any("metadata" in note for note in notes)


def test_only_metadata_are_cut_out_of_a_jpeg(tmp_path):
    Image.fromarray(UP).save(tmp_path / "x.jpg", exif=exif_of(TURNED))
    Image.fromarray(UP).save(tmp_path / "bare.jpg")
    assert without_metadata((tmp_path / "x.jpg").read_bytes()) == (tmp_path / "bare.jpg").read_bytes()
    assert without_metadata((tmp_path / "bare.jpg").read_bytes()) is None
    assert without_metadata(b"\x89PNG\r\n\x1a\n" + bytes(50)) is None


def test_errors_of_every_type_are_counted_and_the_folder_goes_on(tmp_path, monkeypatch):
    errors = [
        struct.error("s"),
        TypeError("t"),
        ZeroDivisionError("z"),
        IndexError("i"),
        KeyError("k"),
        AssertionError(),
        EOFError(),
    ]
    for number, _ in enumerate(errors):
        (tmp_path / f"{number}.png").write_bytes(b"%d" % number)
    Image.fromarray(COLOURS).save(tmp_path / "good.png")

    def failing(data: bytes, *more: object) -> object:
        if data.isdigit():
            raise errors[int(data)]
        return decode(data, *more)

    monkeypatch.setattr(reading, "decode", failing)
    with pytest.warns(UserWarning, match=f"{len(errors)} of {len(errors) + 1} pictures"):
        source = FolderSource(tmp_path)
    assert [path.name for path in source.files] == ["good.png"]
    assert all(source.skipped.values())


# Collections


def thermal(folder: Path, name: str, low: float, high: float, dtype: type = np.float32) -> np.ndarray:
    """A picture of blots whose numbers go from `low` to `high`; the same blots for one name."""
    coarse = np.random.default_rng(zlib.crc32(name.encode())).random((6, 6), np.float32)
    blots = np.asarray(Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC))
    values = (low + (blots - blots.min()) / np.ptp(blots) * (high - low)).astype(dtype)
    Image.fromarray(values).save(folder / name)
    return values


def test_pictures_of_a_folder_are_stretched_alike_and_told_once(tmp_path):
    numbers = [thermal(tmp_path, f"{n}.tif", 250 + n, 300 + 2 * n) for n in range(5)]
    with pytest.warns(UserWarning, match="reservation") as told:
        source = FolderSource(tmp_path)
    [message] = [str(warning.message) for warning in told]
    assert f"5 of 5 pictures in {tmp_path} were read with a reservation" in message
    assert "1.tif: its numbers from 251 to 302 are stretched: 250 is black, 308 white" in message
    for number, values in enumerate(numbers):
        assert np.abs(source.picture(number)[..., 0] - (values - 250) * (255 / 58)).max() <= 0.51


def test_further_pictures_change_no_split(tmp_path):
    for n in range(12):
        thermal(tmp_path, f"{n:02d}.tif", 250 + n, 300)
    with pytest.warns(UserWarning, match="stretched"):
        before = FolderSource(tmp_path)
    thermal(tmp_path, "warmer.tif", 300, 400)
    with pytest.warns(UserWarning, match="400 white"):
        after = FolderSource(tmp_path)
    assert not np.array_equal(after.picture(0), before.picture(0))
    for split in before.splits:
        assert [item for item in after.items(split) if item < 12] == before.items(split).tolist()


def test_pictures_of_known_scales_keep_them_beside_others(tmp_path):
    alone = {}
    for name, low, high in (("8.png", 0, 255), ("12.png", 0, 4095), ("16.png", 0, 65535), ("band.png", 30_000, 31_000)):
        thermal(tmp_path, name, low, high, np.uint16)
        alone[name] = read_picture(tmp_path / name).pixels
    Image.fromarray(COLOURS).save(tmp_path / "bytes.png")
    with pytest.warns(UserWarning, match=r"1 of 5 pictures.*\n.*band\.png"):
        source = FolderSource(tmp_path)
    for item, file in enumerate(source.files):
        right = COLOURS if file.name == "bytes.png" else alone[file.name]
        assert np.array_equal(source.picture(item), right)
        assert source.picture(item).max() - source.picture(item).min() > 200


def test_a_number_that_the_file_declares_to_be_missing_shows_white_and_is_counted(tmp_path):
    import tifffile

    values = np.linspace(250, 300, 400, dtype=np.float32).reshape(20, 20)
    values[0, :7] = 7
    tifffile.imwrite(tmp_path / "x.tif", values, extratags=[(42113, "s", 0, "7", True)])
    found = read_picture(tmp_path / "x.tif")
    assert (found.pixels[0, :7] == 255).all()
    assert found.pixels[0, 7].max() <= 1
    assert "7 of its numbers are 7.0, its mark of missing ones" in found.notes[0]


def test_a_mark_of_missing_numbers_in_a_file_with_signs(tmp_path):
    import tifffile

    values = np.linspace(250, 300, 400).reshape(20, 20).astype(np.int16)
    values[3:6] = -9999
    tifffile.imwrite(tmp_path / "x.tif", values)
    found = read_picture(tmp_path / "x.tif")
    assert (found.pixels[3:6] == 0).all()
    assert (int(found.pixels[0, 0, 0]), int(found.pixels[-1, -1, 0])) == (0, 255)
    assert any("60 of its numbers" in note for note in found.notes)


# What is not shown of a file


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.tif", "x.webp", "x.mpo", "x.jpg"])
def test_frames_that_are_not_shown_are_counted(tmp_path, name):
    frames = [Image.new("RGB", (12, 12), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    how = {"format": "MPO"} if name == "x.jpg" else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **how)
    Image.fromarray(COLOURS).save(tmp_path / f"one{Path(name).suffix.replace('mpo', 'jpg')}")
    with pytest.warns(UserWarning, match=rf"1 of 2 pictures(.|\n)*{name}: it holds 3 frames or pages; the first is shown"):
        assert len(FolderSource(tmp_path)) == 2


def test_a_damaged_second_page_costs_the_first_nothing(tmp_path):
    page = Image.fromarray(COLOURS)
    page.save(tmp_path / "x.tif", save_all=True, append_images=[page.rotate(90), page])
    whole = (tmp_path / "x.tif").read_bytes()
    for share in (0.5, 0.6, 0.7, 0.8, 0.9):
        (tmp_path / "x.tif").write_bytes(whole[: int(share * len(whole))])
        found = read_picture(tmp_path / "x.tif")
        assert np.array_equal(found.pixels, COLOURS)
        assert found.notes


def test_a_colour_profile_other_than_srgb_is_told(tmp_path):
    profiles = {"srgb.jpg": "sRGB", "xyz.jpg": "XYZ"}
    for name, kind in profiles.items():
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()
        Image.fromarray(COLOURS).save(tmp_path / name, icc_profile=profile, quality=95)
    Image.fromarray(COLOURS).save(tmp_path / "damaged.jpg", icc_profile=b"no profile" * 20, quality=95)
    assert not read_picture(tmp_path / "srgb.jpg").notes
    assert read_picture(tmp_path / "xyz.jpg").notes == ("its colour profile, XYZ identity built-in, is not applied",)
    assert "which cannot be read" in read_picture(tmp_path / "damaged.jpg").notes[0]
    assert np.array_equal(read_picture(tmp_path / "srgb.jpg").pixels, read_picture(tmp_path / "damaged.jpg").pixels)


def test_files_that_are_not_what_they_are_called(tmp_path, monkeypatch):
    Image.fromarray(COLOURS).save(tmp_path / "good.png")
    good = (tmp_path / "good.png").read_bytes()
    (tmp_path / "really_a.jpg").write_bytes(good)
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "words.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "large.png").write_bytes(png(np.zeros((300, 300), bool), 0, bits=1))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    with pytest.warns(UserWarning, match=r"4 of 6 pictures") as told:
        source = FolderSource(tmp_path)
    assert [path.name for path in source.files] == ["good.png", "really_a.jpg"]
    assert {path.name: reason.split(" (")[0] for path, reason in source.skipped.items()} == {
        "cut.png": "image file is truncated",
        "empty.jpg": "the file is empty",
        "large.png": "Image size",
        "words.png": "not a picture that Pillow can read",
    }
    assert len(told) == 1
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    assert "Image size (90000 pixels) exceeds" in read_picture(tmp_path / "large.png").notes[0]
