"""``ssl4rl cache``: what is kept is listed, built ahead, checked and deleted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl4rl_benchmarks.cli import main
from ssl4rl_envs.sources import FolderSource, collected


@pytest.fixture
def pictures(tmp_path, monkeypatch) -> Path:
    """A folder of pictures, and an empty cache."""
    monkeypatch.setenv("SSL4RL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(collected, "_recent", {})
    (tmp_path / "pictures").mkdir()
    for seed in range(9):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{seed}.png")
    return tmp_path / "pictures"


def called(capsys, *arguments: str) -> tuple[int, str]:
    status = main(["cache", *arguments])
    return status, capsys.readouterr().out


def test_a_source_is_built_ahead_listed_and_deleted(pictures, capsys):
    name = f"folder:{pictures}"
    status, out = called(capsys, "--build", name)
    assert status == 0
    assert f"{name}: 9 pictures" in out
    status, out = called(capsys)
    assert status == 0
    assert name in out
    assert "9" in out.splitlines()[1].split()
    assert "of at most" in out
    [row] = json.loads(called(capsys, "--json")[1])
    assert (row["source"], row["pictures"]) == (name, 9)
    collected._recent.clear()
    status, out = called(capsys, "--clear", name)
    assert (status, "deleted 1 of 1" in out) == (0, True)
    assert json.loads(called(capsys, "--json")[1]) == []


def test_what_is_in_use_is_not_deleted(pictures, capsys):
    source = FolderSource(pictures)
    status, out = called(capsys, "--clear")
    assert status == 1
    assert "is in use and stays" in out
    assert source.entry.path.exists()


def test_damage_is_found_and_named(pictures, capsys):
    source = FolderSource(pictures)
    assert called(capsys, "--check") == (0, f"{source.name}: whole\n")
    with source.entry.path.open("r+b") as file:
        file.seek(10)
        byte = file.read(1)
        file.seek(10)
        file.write(bytes([byte[0] ^ 255]))
    assert called(capsys, "--check") == (1, f"{source.name}: its pixels have changed\n")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("--clear", "--check"), "give one of"),
        (("folder:/x",), "what is to be done with"),
        (("--clear", "folder:/x"), "keeps nothing of folder:/x"),
        (("--build", "digits"), "no source of files"),
        (("--build", "folder:/nowhere/at/all"), "does not exist"),
    ],
)
def test_wrong_calls_say_what_is_wrong(pictures, capsys, arguments, match):
    assert main(["cache", *arguments]) == 2
    assert match in capsys.readouterr().err
