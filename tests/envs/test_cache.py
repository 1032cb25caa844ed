"""Decoded pictures on the disk: made once, whole or not at all, noticed when damaged, and found by content."""

from __future__ import annotations

import copy
import errno
import multiprocessing
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from ssl4rl_envs.sources import FolderSource, building, cache, collected, collection, entry, load_images, workers
from ssl4rl_envs.sources.cache import Cache, limit
from ssl4rl_envs.sources.collected import obtain
from ssl4rl_envs.sources.entry import DamagedError, Entry
from ssl4rl_envs.sources.folder import Folder
from ssl4rl_envs.sources.options import Settings

COUNT = 24
FORK = multiprocessing.get_context("fork") if sys.platform == "linux" else None
needs_fork = pytest.mark.skipif(FORK is None, reason="processes are forked by Linux alone")


@pytest.fixture
def kept(tmp_path, monkeypatch) -> Cache:
    """An empty cache of its own."""
    monkeypatch.setenv("SSL4RL_CACHE", str(tmp_path / "cache"))
    return Cache(tmp_path / "cache")


def fill(folder: Path, count: int = COUNT, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels if seed % 3 else pixels[..., 0]).save(folder / f"{seed:03}.bmp")
    return folder


@pytest.fixture
def pictures(tmp_path) -> Path:
    return fill(tmp_path / "pictures")


def never(*_: object) -> str:
    raise AssertionError("pictures were decoded again")


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files for old that were written just now, and will not be written again at once."""
    monkeypatch.setattr(collection, "YOUNG", -10.0)


# Made once


def test_pictures_are_decoded_once_and_mapped_afterwards(kept, pictures, monkeypatch):
    first = FolderSource(pictures)
    monkeypatch.setattr(building, "build", never)
    second = FolderSource(pictures)
    assert second.fingerprint == first.fingerprint
    assert second.entry.path == first.entry.path == kept.entries / kept.listed()[0].key
    assert all(np.array_equal(first.picture(item), second.picture(item)) for item in range(COUNT))
    assert second.files == first.files == sorted(pictures.iterdir())
    with pytest.raises(ValueError, match="read-only"):
        second.entry.arrays["pixels"][0] = 0


def test_what_is_kept_is_what_is_made_in_memory(kept, pictures, monkeypatch):
    there = FolderSource(pictures)
    monkeypatch.setenv("SSL4RL_CACHE_SIZE", "0")
    here = FolderSource(pictures)
    assert here.entry.path is None
    assert len(kept.listed()) == 1
    assert here.fingerprint == there.fingerprint
    for name, array in here.entry.arrays.items():
        assert np.array_equal(array, there.entry.arrays[name])


def test_a_grey_picture_takes_a_byte_a_pixel(kept, pictures):
    source = FolderSource(pictures)
    table = source.entry.arrays["table"]
    assert table[:, 3].tolist() == [1 if item % 3 == 0 else 3 for item in range(COUNT)]


def test_processes_that_decode_give_what_one_gives(kept, pictures, monkeypatch):
    alone = FolderSource(pictures).entry.arrays
    monkeypatch.setattr(workers, "FEW", 4)
    monkeypatch.setattr(workers, "CHUNK", 5)
    monkeypatch.setenv("SSL4RL_THREADS", "2")
    monkeypatch.setenv("SSL4RL_CACHE_SIZE", "0")
    (pictures / "bad.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 of 25 pictures"):
        together = FolderSource(pictures).entry.arrays
    assert all(np.array_equal(alone[name], together[name]) for name in alone if name != "remarks")


def test_a_process_that_dies_while_it_decodes_is_an_error(kept, pictures, monkeypatch):
    monkeypatch.setattr(workers, "FEW", 4)
    monkeypatch.setenv("SSL4RL_THREADS", "2")
    monkeypatch.setattr(workers, "CHUNK", 5)
    monkeypatch.setattr(workers, "_START", "import sys; sys.stdin.buffer.read(1)")
    with pytest.raises(RuntimeError, match="a process that worked on members 0 to 4 ended with status 0"):
        FolderSource(pictures)
    assert not list(kept.building.iterdir())
    assert not kept.listed()


# Found by content


def test_touched_and_copied_files_are_compared_not_decoded(kept, pictures, tmp_path, monkeypatch):
    settle(monkeypatch)
    before = FolderSource(pictures)
    monkeypatch.setattr(building, "build", never)
    for file in pictures.iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))
    assert FolderSource(pictures).fingerprint == before.fingerprint
    (tmp_path / "elsewhere").mkdir()
    for file in pictures.iterdir():
        (tmp_path / "elsewhere" / file.name).write_bytes(file.read_bytes())
    moved = FolderSource(tmp_path / "elsewhere")
    assert (moved.fingerprint, moved.entry.path) == (before.fingerprint, before.entry.path)
    assert moved.files[0] == tmp_path / "elsewhere" / "000.bmp"
    monkeypatch.setattr(building, "content_of", never)
    assert FolderSource(pictures).fingerprint == before.fingerprint


def test_a_file_that_is_changed_in_place_is_read_again_though_its_size_and_time_are_the_same(kept, pictures, monkeypatch):
    settle(monkeypatch)
    before = FolderSource(pictures)
    file = pictures / "001.bmp"
    status, data = file.stat(), bytearray(file.read_bytes())
    data[-7] ^= 255
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = FolderSource(pictures)
    assert after.fingerprint != before.fingerprint
    assert np.array_equal(after.picture(1), np.asarray(Image.open(file)))


def test_files_that_may_still_change_are_compared_again(kept, pictures, monkeypatch):
    FolderSource(pictures)
    compared: list[str] = []
    whole = building.content_of
    monkeypatch.setattr(building, "content_of", lambda *of: compared.append("") or whole(*of))
    FolderSource(pictures)
    assert compared


def test_settings_are_entries_of_their_own(kept, pictures):
    sources = [FolderSource(pictures), FolderSource(pictures, dedup=False), FolderSource(pictures, side=16)]
    assert len({source.entry.path for source in sources}) == len(kept.listed()) == 3


def test_what_was_left_out_is_told_every_time(kept, pictures):
    (pictures / "bad.png").write_bytes(b"no picture")
    for _ in range(2):
        with pytest.warns(UserWarning, match=rf"(?s)1 of {COUNT + 1} pictures.*bad\.png"):
            assert FolderSource(pictures).skipped == {pictures / "bad.png": "not a picture that Pillow can read"}


# Killed, and two at once


def in_process(work: Callable[[], object]) -> int:
    """Do something in a forked process; return its exit status, the number of the signal below 0."""
    assert FORK is not None
    process = FORK.Process(target=work)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


POINTS = {
    "while pictures are decoded": (building, "groups_of_copies"),
    "while the file is written": (entry.Writer, "finish"),
    "before it is put in its place": (Cache, "keep"),
    "before it is known by its files": (Cache, "note"),
    "while others make room": (cache, "limit"),
}


@needs_fork
@pytest.mark.parametrize("point", POINTS)
def test_whoever_is_killed_leaves_nothing_that_is_taken_for_whole(kept, pictures, point, monkeypatch):
    with monkeypatch.context() as patched:
        if point == "while others make room":
            patched.setattr(cache, "cache", lambda: kept)
            patched.setattr(collected, "cache", lambda: kept)
        patched.setattr(*POINTS[point], die)
        assert in_process(lambda: FolderSource(pictures)) == -signal.SIGKILL
    source = FolderSource(pictures)
    assert [np.array_equal(source.picture(n), np.asarray(Image.open(pictures / f"{n:03}.bmp"))) for n in (1, 2)] == [True] * 2
    source.entry.check()
    assert not list(kept.building.iterdir())
    assert len(kept.listed()) == 1


@needs_fork
def test_of_two_processes_one_builds_and_the_other_waits(kept, pictures, tmp_path, monkeypatch, capfd):
    assert FORK is not None
    building_now, other_comes, results = FORK.Event(), FORK.Event(), FORK.Queue()
    build = building.build
    log = tmp_path / "log"

    def slowly(*arguments: object) -> str:
        with log.open("a") as file:
            file.write("built\n")
        building_now.set()
        other_comes.wait(30)
        return build(*arguments)

    def first() -> None:
        monkeypatch.setattr(building, "build", slowly)
        results.put(FolderSource(pictures).fingerprint)

    def second() -> None:
        monkeypatch.setattr(building, "build", slowly)
        building_now.wait(30)
        whole = cache.lock

        def tried(handle: int, **how: bool) -> bool:
            got = whole(handle, **how)
            if not got:
                other_comes.set()  # only now may the first one go on
            return got

        monkeypatch.setattr(cache, "lock", tried)
        results.put(FolderSource(pictures).fingerprint)

    processes = [FORK.Process(target=work) for work in (first, second)]
    for process in processes:
        process.start()
    fingerprints = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert len(fingerprints) == 1
    assert log.read_text() == "built\n"
    assert "waiting for another process" in capfd.readouterr().err


# Damaged


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)


DAMAGE = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "a flipped byte of the description": lambda path: flip(path, -60),
    "a flipped byte of a table": lambda path: flip(path, Entry.open(path).arrays["pixels"].nbytes + 100),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_made_again_with_a_word(kept, pictures, damage, monkeypatch):
    before = FolderSource(pictures)
    DAMAGE[damage](before.entry.path)
    with pytest.warns(UserWarning, match="damaged, and is made again"):
        after = FolderSource(pictures)
    assert after.fingerprint == before.fingerprint
    after.entry.check()


def test_flipped_pixels_are_found_by_who_looks_for_them(kept, pictures):
    source = FolderSource(pictures)
    flip(source.entry.path, 10)
    with pytest.raises(DamagedError, match="pixels"):
        Entry.open(source.entry.path).check()


# Room


def test_what_was_not_used_for_longest_goes_first_and_what_is_in_use_stays(kept, tmp_path):
    sources = [FolderSource(fill(tmp_path / str(n), first=100 * n)) for n in range(3)]
    paths = [source.entry.path for source in sources]
    for age, path in zip((30, 20, 10), paths, strict=True):
        os.utime(path, (1e9 - age, 1e9 - age))
    sizes = [path.stat().st_size for path in paths]
    kept.sweep(sum(sizes))
    assert all(path.exists() for path in paths)
    kept.sweep(0)
    assert all(path.exists() for path in paths), "all are in use"
    del sources[1:]
    collected._recent.clear()
    kept.sweep(sizes[0] + sizes[2])
    assert [path.exists() for path in paths] == [True, False, True]
    kept.sweep(0)
    assert [path.exists() for path in paths] == [True, False, False]
    assert np.array_equal(sources[0].picture(1), np.asarray(Image.open(tmp_path / "0" / "001.bmp")))


def test_the_size_limit_is_read_and_checked(tmp_path, monkeypatch):
    for text, size in (("50G", 50 << 30), ("1.5m", 3 << 19), ("700", 700), ("2KiB", 2048), ("0", 0)):
        monkeypatch.setenv("SSL4RL_CACHE_SIZE", text)
        assert limit(tmp_path) == size
    for text in ("much", "-1", "G", "nan"):
        monkeypatch.setenv("SSL4RL_CACHE_SIZE", text)
        with pytest.raises(ValueError, match="SSL4RL_CACHE_SIZE must be a size"):
            limit(tmp_path)
    monkeypatch.delenv("SSL4RL_CACHE_SIZE")
    assert 0 < limit(tmp_path / "not" / "there") <= 20 << 30


def test_where_nothing_can_be_kept_pictures_are_held_in_memory_with_a_warning(pictures, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SSL4RL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="cannot be kept in"):
        source = FolderSource(pictures)
    assert source.entry.path is None
    assert np.array_equal(source.picture(1), np.asarray(Image.open(pictures / "001.bmp")))


def test_a_full_disk_leaves_no_half_of_an_entry(kept, pictures, monkeypatch):
    whole = entry.Writer._write

    def full(self: entry.Writer, data: bytes) -> None:
        if self._file.name not in (-1,) and isinstance(self._file.name, str) and self.end > 2000:
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(self, data)

    monkeypatch.setattr(entry.Writer, "_write", full)
    with pytest.warns(UserWarning, match="No space left"):
        source = FolderSource(pictures)
    assert source.entry.path is None
    assert not list(kept.building.iterdir())


# Pickles


def test_environments_are_pickled_by_the_name_of_their_source(kept, pictures):
    env = gym.make("SSL4RL/Rotation-v0", source=f"folder:{pictures}?dedup=false", image_size=36)
    question, _ = env.reset(seed=3)
    pickled = pickle.dumps(env)
    assert len(pickled) < 60_000
    for again in (pickle.loads(pickled), copy.deepcopy(env)):
        assert np.array_equal(again.reset(seed=3)[0]["image"], question["image"])


@pytest.mark.parametrize("name", ["photos", "faces", "digits", "scenes:64"])
def test_sources_that_come_along_are_pickled_by_name(name):
    source = load_images(name)
    pickled = pickle.dumps(source)
    assert len(pickled) < 500
    assert pickle.loads(pickled) is source


def test_arrays_are_pickled_once():
    source = load_images([np.full((40, 40, 3), n, np.uint8) * np.arange(3, dtype=np.uint8) for n in range(50)])
    pickled = pickle.dumps(source)
    assert len(pickled) < 1.5 * 50 * 40 * 40 * 3
    again = pickle.loads(pickled)
    assert again.fingerprint == source.fingerprint
    assert np.array_equal(again.picture(7), source.picture(7))


def test_a_pickle_of_a_folder_that_has_changed_is_an_error(kept, pictures):
    pickled = pickle.dumps(FolderSource(pictures))
    fill(pictures, 1, first=50)
    with pytest.raises(ValueError, match="has changed since it was pickled"):
        pickle.loads(pickled)


def test_a_pickle_of_a_cache_entry_that_is_gone_is_an_error(kept, pictures):
    source = collected.CollectedSource(Folder(pictures), Settings())
    pickled = pickle.dumps(source)
    assert pickle.loads(pickled).fingerprint == source.fingerprint
    source.entry.path.unlink()
    with pytest.raises(FileNotFoundError, match="is not there any more"):
        pickle.loads(pickled)


def test_an_unchanged_name_gives_the_same_object(kept, pictures):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_images(f"folder:{pictures}") is load_images(pictures)
    assert obtain(Folder(pictures), Settings()).facts["items"] == COUNT
