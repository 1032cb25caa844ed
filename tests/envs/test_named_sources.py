"""Sources by name: one row each, which loading, errors and help read."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ssl4rl_envs import make_task, task_class
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.images.scene_qa import SCENES
from ssl4rl_envs.sources import PICTURES, ImageSource
from ssl4rl_envs.sources.graph_builtin import GRAPHS
from ssl4rl_envs.sources.named import SourceTable, count_of


def table():
    rows = {"plain": lambda: "plain", "sized:N": lambda text: count_of(text, "sized:N"), "disk:PATH": str}
    return SourceTable("thing", rows)


@pytest.mark.parametrize(
    ("name", "expected"), [("plain", "plain"), ("sized:12", 12), ("disk:/a:b", "/a:b"), ("disk:", ""), ("sized:0", 0)]
)
def test_a_name_is_loaded_by_its_row(name, expected):
    assert table().load(name) == expected


@pytest.mark.parametrize("name", ["", "nowhere", "plain:", "plain:3", "sized", "disk", "Plain", "plain "])
def test_a_name_without_a_row_is_an_error_that_lists_them_all(name):
    nearest, known = r"( did you mean '[a-z:A-Z]+'\?)?", "known are plain, sized:N, disk:PATH, and more"
    with pytest.raises(ValueError, match=f"unknown thing {re.escape(repr(name))};{nearest} {known}"):
        table().load(name, ", and more")


@pytest.mark.parametrize("text", ["", "many", "-1", "1.5", "²"])
def test_a_count_that_is_none_is_an_error(text):
    with pytest.raises(ValueError, match="sized:N takes a whole number as N"):
        table().load(f"sized:{text}")


def test_what_lies_on_the_disk_may_change():
    assert [table().may_change(name) for name in ("plain", "sized:3", "disk:/a", "diskette")] == [False, False, True, False]
    assert (PICTURES.path_prefix(), GRAPHS.path_prefix()) == ("folder:", "file:")
    assert table().whole() == ["plain"]


def test_a_row_that_is_added_is_known_everywhere(monkeypatch):
    rng = np.random.default_rng(0)
    made = []

    def load(count):
        made.append(count)
        return ImageSource(list(rng.integers(0, 256, (int(count), 36, 36, 3), dtype=np.uint8)), name="added")

    monkeypatch.setitem(PICTURES, "added:N", load)
    assert make_task("SSL4RL/Rotation-v0", source="added:40", image_size=36).source.name == "added"
    make_task("SSL4RL/Rotation-v0", source="added:40", image_size=36)
    assert made == ["40"], "it does not lie on the disk, so it is loaded once"
    with pytest.raises(ValueError, match="added:N"):
        make_task("SSL4RL/Rotation-v0", source="nowhere")


def test_help_names_sources_as_the_tables_do(env_id):
    """The docstring's line about `source`, which the command line and the page of environments show."""
    cls = task_class(env_id)
    said = re.search(r"- `source`: (.*?)\n    (?:- |\n|##)", cls.__doc__, re.DOTALL)
    assert cls.sources in ((GRAPHS,) if issubclass(cls, GraphTask) else (PICTURES, SCENES))
    assert set(re.findall(r'"([^"]+)"', said[1])) <= set(cls.sources)
    assert re.findall(r'"([^"]+)"', said[1])
