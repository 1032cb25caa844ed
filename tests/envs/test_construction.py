"""Tasks are held to what their constructors say however they are made, and sources may be paths."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from pathlib import Path

import gymnasium as gym
import networkx as nx
import numpy as np
import pytest
from PIL import Image

import ssl4rl_envs
from ssl4rl_envs import Stream
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.images.base import MAX_SIZE, ImageTask
from ssl4rl_envs.images.mixture import Mixture
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.registration import TABLE

PICTURES = [row.id for row in TABLE if issubclass(ssl4rl_envs.task_class(row.id), (ImageTask, Mixture))]


def asked(task):
    return task.sample(Stream("train", np.zeros(3, np.uint64), np.arange(3)))


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("size", [2**70, 10**9, MAX_SIZE + 1, 7, 0, -1, 64.0, np.float32(64), True, "64", None])
def test_sizes_of_pictures_that_are_none_are_named_in_a_sentence_before_anything_else(name, size):
    cls = ssl4rl_envs.task_class(name)
    numbers = type(size) is int
    said = (
        rf"image_size must be at (least 8|most {MAX_SIZE}) pixels.*got" if numbers else "image_size of .* whole number, got"
    )
    for make in (cls, lambda **arguments: ssl4rl_envs.make_task(name, **arguments)):
        with pytest.raises(ValueError if numbers else TypeError, match=said):
            make(image_size=size)


def test_constructors_take_numpys_numbers_and_lists_as_plain_ones_by_place_and_by_name():
    task = Rotation("digits", np.uint8(200), angles=np.int16(2))
    assert (type(task.image_size), type(task.angles)) == (int, int)
    assert np.array_equal(asked(task).observation["image"], asked(Rotation("digits", 200, 2)).observation["image"])
    with pytest.raises(TypeError, match=r"image_size of Rotation\(\) must be a whole number, got '64'"):
        Rotation("digits", "64")
    with pytest.raises(TypeError, match="unexpected keyword argument 'angle'; did you mean 'angles'"):
        Rotation("digits", angle=4)
    with pytest.raises(TypeError, match=r"__init__\(\) .*positional"):
        Rotation("digits", 64, 4, False, 1)
    with pytest.raises(TypeError, match="multiple values for argument 'image_size'"):
        Rotation("digits", 64, image_size=64)


def test_signatures_and_texts_of_constructors_are_their_own(env_id):
    cls = ssl4rl_envs.task_class(env_id)
    assert list(inspect.signature(cls).parameters)[:1] in (["source"], ["tasks"])
    assert cls.__init__.__name__ == "__init__"


def test_tasks_can_be_copied_and_sent_to_other_processes(env_id, build):
    task = build(env_id)
    for other in (copy.copy(task), copy.deepcopy(task), pickle.loads(pickle.dumps(task))):
        assert other.stream_key == task.stream_key
        assert np.array_equal(asked(other).target, asked(task).target)


class Careless(PatchOrdering):
    """A task of somebody who writes no hints: what it hands on is looked at all the same."""

    def __init__(self, source="digits", image_size=60, *more, extra=None, **others):
        super().__init__(source, image_size, *more, **others)
        self.extra = extra


class Plain(Rotation):
    """A task without a constructor of its own."""


def test_tasks_of_others_are_looked_at_as_far_as_they_have_hints():
    assert Careless(extra=object()).image_size == 60
    assert Careless("digits", 90, 3, gap=2).tiling.grid == 3
    with pytest.raises(TypeError, match=r"grid of Careless\(\) must be a whole number, got '2'"):
        Careless(grid="2")
    with pytest.raises(TypeError, match=r"image_size of Careless\(\) must be a whole number, got 60.0"):
        Careless(image_size=60.0)
    with pytest.raises(TypeError, match=r"angles of Plain\(\) must be a whole number, got 4.0"):
        Plain(angles=4.0)
    again = pickle.loads(pickle.dumps(Careless(extra=3)))
    assert (again.extra, again.stream_key) == (3, Careless(extra=3).stream_key)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A folder of pictures and a file of edges."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(60):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
        coarse.resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    edges = tmp_path_factory.mktemp("graph") / "edges.txt"
    nx.write_edgelist(nx.barabasi_albert_graph(1500, 4, seed=0), edges, data=False)
    return folder, edges


NEED_FEATURES = ("SSL4RL/MaskedFeatures-v0", "SSL4RL/NodeAttribute-v0")
KNOW_THEIR_DRAWER = ("SSL4RL/SceneQA-v0",)
"""Tasks that ask what the drawer of a picture knows, so none is read from the disk."""


@pytest.mark.parametrize("name", [row.id for row in TABLE if row.id not in NEED_FEATURES + KNOW_THEIR_DRAWER])
def test_a_path_is_a_source_whose_spec_can_be_written_down(name, paths):
    folder, edges = paths
    graph = issubclass(ssl4rl_envs.task_class(name), GraphTask)
    path = edges if graph else folder
    for make in (gym.make, gym.make_vec):
        env = make(name, source=path)
        spec = env.spec if make is gym.make else env.unwrapped.spec
        kept = json.loads(spec.to_json())["kwargs"]["source"]
        assert kept == f"{'file' if graph else 'folder'}:{path}"
        again = make(gym.envs.registration.EnvSpec.from_json(spec.to_json()))
        assert again.unwrapped.task.stream_key == env.unwrapped.task.stream_key
        env.close()


@pytest.mark.parametrize("name", KNOW_THEIR_DRAWER)
def test_a_path_is_refused_where_the_drawer_must_be_known(name, paths):
    with pytest.raises((TypeError, ValueError), match=r"source.*scenes"):
        gym.make(name, source=paths[0])


def test_a_path_and_the_string_for_it_ask_the_same(paths):
    by_path, by_name = (ssl4rl_envs.make_task("SSL4RL/Rotation-v0", source=it) for it in (paths[0], f"folder:{paths[0]}"))
    assert by_path.stream_key == by_name.stream_key
    assert isinstance(paths[0], Path)
    assert np.array_equal(asked(by_path).observation["image"], asked(Rotation(paths[0])).observation["image"])
