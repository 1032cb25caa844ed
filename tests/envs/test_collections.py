"""Pictures in Parquet files, tar shards and Hugging Face's datasets are read as those of folders are."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ssl4rl_envs
from ssl4rl_envs.sources import FolderSource, ImageSource, building, collected, collection, load_images
from ssl4rl_envs.sources.files import alternatives, matching
from ssl4rl_envs.sources.folder import folder, read_picture
from ssl4rl_envs.sources.options import SHORT_SIDE, Settings, joined, split_name

COUNT = 30


def never(*_: object) -> str:
    raise AssertionError("pictures were read again")


def picture(seed: int, height: int = 40, width: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(seed: int, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture(seed)).save(data, kind)
    return data.getvalue()


def as_folder(root: Path, count: int = COUNT) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        (root / f"{seed:03}.png").write_bytes(encoded(seed))
    return root


def as_tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return path


def as_shards(root: Path, shards: int = 3) -> Path:
    for shard in range(shards):
        seeds = range(shard * COUNT // shards, (shard + 1) * COUNT // shards)
        samples = {name: data for s in seeds for name, data in ((f"{s:03}.png", encoded(s)), (f"{s:03}.cls", b"7"))}
        as_tar(root / f"pictures-{shard:02}.tar", samples)
    return root


def as_parquet(root: Path, struct: bool = True, files: int = 2) -> Path:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    root.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        seeds = range(number * COUNT // files, (number + 1) * COUNT // files)
        values = [{"bytes": encoded(s), "path": f"{s}.png"} if struct else encoded(s) for s in seeds]
        table = arrow.table({"image": values, "label": list(seeds)})
        parquet.write_table(table, root / f"part-{number}.parquet", row_group_size=4)
    return root


def as_dataset(count: int = COUNT):
    library = pytest.importorskip("datasets")
    features = library.Features({"img": library.Image(), "label": library.Value("int64")})
    rows = {"img": [{"bytes": encoded(s), "path": None} for s in range(count)], "label": list(range(count))}
    return library.Dataset.from_dict(rows, features=features)


def saved_dataset(root: Path) -> Path:
    as_dataset().save_to_disk(str(root))
    return root


KINDS = {
    "parquet": as_parquet,
    "parquet of plain bytes": lambda root: as_parquet(root, struct=False),
    "webdataset": as_shards,
    "hf": saved_dataset,
}


# All kinds


@pytest.mark.parametrize("kind", KINDS)
def test_a_collection_holds_what_a_folder_of_the_same_pictures_holds(kind, tmp_path):
    source = load_images(f"{kind.split()[0]}:{KINDS[kind](tmp_path / 'these')}")
    same = FolderSource(as_folder(tmp_path / "folder"))
    assert isinstance(source, ImageSource)
    assert source.fingerprint == same.fingerprint
    assert all(np.array_equal(source.picture(item), picture(item)) for item in range(COUNT))


@pytest.mark.parametrize("kind", KINDS)
def test_a_collection_is_a_source_of_environments_by_its_name(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(collection, "YOUNG", -10.0)
    name = f"{kind.split()[0]}:{KINDS[kind](tmp_path / 'these')}?dedup=false"
    task = ssl4rl_envs.make_task("SSL4RL/Rotation-v0", source=name, image_size=36)
    assert len(task.source) == COUNT
    monkeypatch.setattr(building, "build", never)
    monkeypatch.setattr(building, "content_of", never)
    collected._recent.clear()  # by its names, sizes and times alone
    again = pickle.loads(pickle.dumps(task.source))
    assert again.fingerprint == task.source.fingerprint


# Parquet


def test_a_row_that_cannot_be_read_is_named(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = [encoded(0), b"no picture", None, encoded(1)]
    parquet.write_table(arrow.table({"data": arrow.array(values, arrow.binary())}), tmp_path / "x.parquet")
    with pytest.warns(UserWarning, match=r"(?s)2 of 4 pictures.*x\.parquet: row 1: not a picture.*row 2: .*holds no picture"):
        source = load_images(f"parquet:{tmp_path}/x.parquet")
    assert source.files == ["x.parquet: row 0", "x.parquet: row 3"]


def test_a_path_in_a_row_is_read_from_beside_the_file(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    as_folder(tmp_path / "pictures", 2)
    rows = [{"bytes": None, "path": f"pictures/{seed:03}.png"} for seed in range(2)]
    kind = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    parquet.write_table(arrow.table({"image": arrow.array(rows, kind)}), tmp_path / "x.parquet")
    source = load_images(f"parquet:{tmp_path}/x.parquet")
    assert np.array_equal(source.picture(1), picture(1))


def test_several_columns_are_told_apart_by_name(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"left": [encoded(0)], "right": [encoded(1)], "label": [0]})
    parquet.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"several columns.*\?column=NAME.*left \(binary\), right"):
        load_images(f"parquet:{tmp_path}/x.parquet")
    source = load_images(f"parquet:{tmp_path}/x.parquet?column=right")
    assert np.array_equal(source.picture(0), picture(1))
    with pytest.raises(ValueError, match="no column 'middle'; it has left, right, label"):
        load_images(f"parquet:{tmp_path}/x.parquet?column=middle")


@pytest.mark.parametrize(("kind", "match"), [("parquet", "Parquet file"), ("webdataset", "tar file")])
def test_files_that_are_none_are_errors_that_name_them(tmp_path, kind, match):
    pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.data"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(ValueError, match=rf"x\.data.*{match}"):
        load_images(f"{kind}:{path}")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_images(f"{kind}:{tmp_path}/nowhere-*.x")
    with pytest.raises(ValueError, match="address"):
        load_images(f"{kind}:https://example.org/x.tar")


def test_a_missing_package_is_an_error_that_names_the_extra(tmp_path, monkeypatch):
    path = as_parquet(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"\[data\]"):
        load_images(f"parquet:{path}")


# Tar shards


def test_a_sample_is_one_picture_and_what_else_it_holds_is_passed_over(tmp_path):
    members = {"a/1.left.png": encoded(0), "a/1.right.jpg": encoded(1, "JPEG"), "a/1.json": b"{}", "a/2.left.png": encoded(2)}
    path = as_tar(tmp_path / "x.tar", members)
    with pytest.raises(ValueError, match=r"x\.tar: sample 'a/1' holds more than one picture, left\.png and right\.jpg"):
        load_images(f"webdataset:{path}")
    source = load_images(f"webdataset:{path}?column=left.png")
    assert source.files == ["x.tar: a/1.left.png", "x.tar: a/2.left.png"]


def test_members_that_cannot_be_read_are_named(tmp_path):
    path = as_tar(tmp_path / "x.tar", {"1.png": encoded(0), "2.png": b"nothing", "3.png": b""})
    with pytest.warns(
        UserWarning, match=r"(?s)2 of 3 pictures.*x\.tar: 2\.png: not a picture.*x\.tar: 3\.png: the file is empty"
    ):
        source = load_images(f"webdataset:{path}")
    assert len(source) == 1


def test_a_shard_that_is_cut_off_is_read_as_far_as_it_goes_and_named(tmp_path):
    path = as_tar(tmp_path / "x.tar", {f"{seed}.png": encoded(seed) for seed in range(6)})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.warns(UserWarning, match=r"x\.tar"):
        source = load_images(f"webdataset:{path}")
    assert 0 < len(source) < 6
    assert source.skipped


def test_compressed_shards_are_errors_that_say_so(tmp_path):
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(as_folder(tmp_path / "folder", 1))
    with pytest.raises(ValueError, match="not compressed"):
        load_images(f"webdataset:{path}")


# Datasets


def test_a_dataset_object_is_a_source_and_travels_by_its_cache_entry():
    dataset = as_dataset()
    source = load_images(dataset)
    assert np.array_equal(source.picture(3), picture(3))
    assert load_images(dataset) is source
    pickled = pickle.dumps(source)
    assert len(pickled) < 1000
    assert pickle.loads(pickled).fingerprint == source.fingerprint
    chosen = load_images(dataset.select([4, 2]))
    assert np.array_equal(chosen.picture(0), picture(4))


def test_a_split_of_the_library_is_chosen_by_name(tmp_path):
    library = pytest.importorskip("datasets")
    both = library.DatasetDict({"big": as_dataset(), "small": as_dataset(8)})
    both.save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(ValueError, match=r"the splits big, small; say which"):
        load_images(f"hf:{tmp_path}/saved")
    assert len(load_images(f"hf:{tmp_path}/saved?split=small&dedup=false")) == 8
    assert len(load_images(f"hf:{tmp_path}/saved?split=all&dedup=false")) == COUNT + 8
    with pytest.raises(TypeError, match="big, small; give one"):
        load_images(both)


# Names


def test_patterns_with_braces_stand_for_files_in_order(tmp_path):
    assert alternatives("x-{08..11}.{a,b}") == [f"x-{n}.{e}" for n in ("08", "09", "10", "11") for e in "ab"]
    for name in ("1.tar", "2.tar", "sub/3.tar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [os.path.relpath(name, tmp_path) for name in matching(str(tmp_path), (".tar",), "tar")]
    assert found == ["1.tar", "2.tar", "sub/3.tar"]
    assert len(matching(f"{tmp_path}/*.tar", (".tar",), "tar")) == 2
    with pytest.raises(FileNotFoundError, match=r"4\.tar"):
        matching(f"{tmp_path}/{{1,4}}.tar", (".tar",), "tar")


@pytest.mark.parametrize(
    ("text", "path", "settings", "more"),
    [
        ("/x", "/x", Settings(), {}),
        ("/x?dedup=false", "/x", Settings(dedup=False), {}),
        ("/x?side=native&column=a", "/x", Settings(side=None), {"column": "a"}),
        ("/x?side=64&dedup=False", "/x", Settings(64, False), {}),
        ("/what?/x", "/what?/x", Settings(), {}),
    ],
)
def test_options_behind_a_name_are_read_and_written(text, path, settings, more):
    assert split_name(text, more=("column",)) == (path, settings, more)
    assert split_name(joined(path, settings, more), more=("column",)) == (path, settings, more)


@pytest.mark.parametrize("text", ["/x?dedup=maybe", "/x?side=2", "/x?side=big", "/x?sides=64", "/x?side=64&side=65"])
def test_options_that_are_none_are_errors(text):
    with pytest.raises(ValueError, match=r"dedup|side"):
        split_name(text)


def test_the_side_of_pictures_is_chosen_and_moves_no_picture_across_splits(tmp_path):
    for seed in range(12):
        Image.fromarray(picture(seed, 300, 400)).save(tmp_path / f"{seed:02}.png")
    usual, small, native = (FolderSource(tmp_path, dedup=False, side=side) for side in (SHORT_SIDE, 64, "native"))
    assert usual.picture(0).shape == (256, 341, 3)
    assert small.picture(0).shape == (64, 85, 3)
    assert np.array_equal(native.picture(5), picture(5, 300, 400))
    assert np.array_equal(load_images(f"folder:{tmp_path}?side=64&dedup=false").picture(0), small.picture(0))
    for split in usual.splits:
        assert usual.items(split).tolist() == small.items(split).tolist() == native.items(split).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert native.fingerprint != usual.fingerprint


def test_one_picture_is_read_as_its_folder_reads_it(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (300, 280, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    alone = read_picture(tmp_path / "a.png")
    assert np.array_equal(alone.pixels, folder(tmp_path).picture(0))
    assert np.array_equal(read_picture(tmp_path / "a.png", side="native").pixels, noise)
