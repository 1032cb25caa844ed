"""Which files of a folder are looked at: through links, once each, and nothing is passed over in silence."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

import ssl4rl_envs
from ssl4rl_envs.sources import FolderSource, load_images
from ssl4rl_envs.sources.listing import NOT_PICTURES, OF_PILLOW, list_pictures


def save(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    return path


def names(root: Path) -> list[str]:
    return list_pictures(root).files.names


def test_linked_folders_are_read(tmp_path):
    save(tmp_path / "mine" / "a.png")
    save(tmp_path / "other" / "deep" / "b.png")
    (tmp_path / "mine" / "more").symlink_to(tmp_path / "other", target_is_directory=True)
    (tmp_path / "root").symlink_to(tmp_path / "mine", target_is_directory=True)
    assert names(tmp_path / "mine") == ["a.png", "more/deep/b.png"]
    assert names(tmp_path / "root") == ["a.png", "more/deep/b.png"]


def test_circles_of_links_end_and_every_real_folder_is_read_once_under_its_own_name(tmp_path):
    save(tmp_path / "z" / "a.png")
    save(tmp_path / "b.png")
    (tmp_path / "z" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a link").symlink_to(tmp_path / "z", target_is_directory=True)
    (tmp_path / "another").symlink_to(tmp_path / "a link", target_is_directory=True)
    assert names(tmp_path) == ["b.png", "z/a.png"]
    assert not list_pictures(tmp_path).left_out


def test_folders_above_that_are_linked_are_read_once(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "inner" / "b.png")
    (tmp_path / "inner" / "all").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path / "inner") == ["all/a.png", "b.png"]


def test_linked_files_are_read(tmp_path):
    real = save(tmp_path / "store" / "123.png")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.png").symlink_to(real)
    assert names(tmp_path / "mine") == ["x.png"]


@pytest.mark.parametrize("name", ["gone.png", "gone"])
def test_broken_links_are_named(tmp_path, name):
    save(tmp_path / "a.png")
    (tmp_path / name).symlink_to(tmp_path / "nowhere")
    with pytest.warns(UserWarning, match=f"(?s)1 of 2 pictures.*{name}: a link to .*nowhere, which is not there"):
        source = FolderSource(tmp_path)
    assert [path.name for path in source.files] == ["a.png"]


def test_a_link_to_itself_is_named(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert list(list_pictures(tmp_path).left_out) == ["loop.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_called_a_picture_and_is_no_file_is_named(tmp_path):
    save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert names(tmp_path) == ["a.png"]
    assert list_pictures(tmp_path).left_out == {"pipe.png": "not a file"}


def test_a_folder_called_like_a_picture_is_a_folder(tmp_path):
    save(tmp_path / "x.png" / "a.jpg")
    assert names(tmp_path) == ["x.png/a.jpg"]


def test_hidden_files_are_not_looked_at_and_a_hidden_root_is(tmp_path):
    root = tmp_path / ".pictures"
    for name in ("a.png", "._a.png", ".thumbs/b.png", "__MACOSX/._c.png"):
        save(root / name)
    (root / ".gone.png").symlink_to(root / "nowhere")
    assert names(root) == ["a.png"]
    assert not list_pictures(root).left_out


# How a folder is named


def fill(folder: Path, count: int = 40) -> Path:
    for seed in range(count):
        save(folder / f"{seed}.png", seed)
    return folder


def test_a_path_is_a_source(tmp_path):
    fill(tmp_path)
    assert load_images(tmp_path) is load_images(f"folder:{tmp_path}")
    task = ssl4rl_envs.make_task("SSL4RL/Rotation-v0", source=tmp_path, image_size=36)
    assert len(task.source) == 40
    env = gym.make("SSL4RL/Rotation-v0", source=tmp_path, image_size=36)
    env.reset(seed=0)


def test_a_path_with_a_tilde_is_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save(tmp_path / "pictures" / "a.png")
    assert len(load_images(Path("~/pictures"))) == len(load_images("folder:~/pictures")) == 1


def test_a_path_that_is_no_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_images(tmp_path / "nowhere")
    with pytest.raises(NotADirectoryError, match=r"a\.png"):
        load_images(save(tmp_path / "a.png"))


def test_a_folder_without_its_prefix_is_an_error_that_says_how_to_name_it(tmp_path):
    with pytest.raises(ValueError, match=f"name it 'folder:{tmp_path}'"):
        load_images(str(tmp_path))


def test_files_added_behind_a_link_are_seen(tmp_path):
    save(tmp_path / "other" / "a.png")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "more").symlink_to(tmp_path / "other", target_is_directory=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_images(tmp_path / "mine")) == 1
        save(tmp_path / "other" / "b.png", 1)
        assert len(load_images(tmp_path / "mine")) == 2


def test_no_ending_is_left_out_that_pillow_reads():
    known = {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    assert OF_PILLOW - {".mpo"} == {ending for ending in known if Image.EXTENSION[ending] not in NOT_PICTURES} - {".mpo"}


def test_files_of_readers_that_were_plugged_into_pillow_are_read(tmp_path, monkeypatch):
    save(tmp_path / "a.png").rename(tmp_path / "a.plugged")
    save(tmp_path / "b.png")
    assert names(tmp_path) == ["b.png"]
    monkeypatch.setitem(Image.EXTENSION, ".plugged", "PNG")
    assert names(tmp_path) == ["a.plugged", "b.png"]


def test_stamps_are_those_of_the_files_in_their_order(tmp_path):
    for number, name in enumerate(("b/1.png", "a.png", "b.png", "a/2.png")):
        os.utime(save(tmp_path / name), ns=(10**18 + number, 10**18 + number))
    files = list_pictures(tmp_path).files
    states = [(tmp_path / name).stat() for name in files.names]
    assert files.stamps.tolist() == [[state.st_size, state.st_mtime_ns, state.st_ctime_ns] for state in states]
