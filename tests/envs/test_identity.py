"""Every task draws its questions from numbers of its own; a pairing of questions is made on purpose or not at all."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.identity import canonical, configuration
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.registration import TABLE, task_class
from ssl4rl_envs.sources import ImageSource, load_images
from ssl4rl_envs.sources.graph_builtin import load_graph

N = 240
SMALL = {"source": "digits", "image_size": 36}


def first(task, n=N, seed=0, split="train"):
    return task.sample(Stream(split, np.full(n, seed), np.arange(n)))


def agreement(one, other):
    """By how much two rows of answers (n, ...) agree more than their own frequencies say, in standard errors."""
    words = [np.unique(values.reshape(len(values), -1), axis=0, return_inverse=True)[1] for values in (one, other)]
    shares = [np.bincount(word, minlength=max(map(np.max, words)) + 1) / len(word) for word in words]
    expected = float((shares[0] * shares[1]).sum())
    return ((words[0] == words[1]).mean() - expected) / np.sqrt(max(expected * (1 - expected), 1e-3) / len(one))


def configurations():
    """Every task as registered and at each level; of mixtures one, since two share their parts on purpose."""
    for row in TABLE:
        yield row.id, make_task(row.id)
        for level in task_class(row.id).levels if row.id != "SSL4RL/Mixture-v0" else ():
            yield f"{row.id} {level.name}", make_task(row.id, level=level.name)


def test_no_two_configurations_share_their_answers():
    targets = {name: first(task, 64).target for name, task in configurations() if task.action_space.dtype.kind == "i"}
    keys = {name: task.stream_key for name, task in configurations()}
    worst = {(a, b): agreement(targets[a], targets[b]) for a, b in itertools.combinations(targets, 2) if keys[a] != keys[b]}
    assert len(worst) > 1_000
    assert max(worst.values()) < 5.5, max(worst, key=worst.get)


def test_a_level_is_its_arguments_and_a_default_that_is_given_changes_nothing():
    assert (
        make_task("SSL4RL/Rotation-v0", level="angles-8").stream_key == make_task("SSL4RL/Rotation-v0", angles=8).stream_key
    )
    assert Rotation("digits", angles=4).stream_key == Rotation("digits").stream_key
    assert Rotation("digits", 36).stream_key == Rotation(source="digits", image_size=np.int64(36)).stream_key
    assert Rotation("digits", 36).stream_key != Rotation("digits", 40).stream_key


def test_the_content_of_a_source_counts_and_not_its_name():
    pictures = [np.random.default_rng(i).integers(0, 255, (40, 40, 3), np.uint8) for i in range(40)]
    one, same = (Rotation(ImageSource(pictures, name=name), 36) for name in ("one", "other"))
    changed = [picture.copy() for picture in pictures]
    changed[7][3, 3, 0] ^= 1
    assert one.stream_key == same.stream_key
    assert one.stream_key != Rotation(ImageSource(changed), 36).stream_key
    assert one.stream_key != Rotation(ImageSource(pictures[::-1]), 36).stream_key


@pytest.mark.parametrize("name", ["scenes", "photos", "faces", "digits"])
def test_sources_have_fingerprints_of_their_own(name):
    others = {load_images(other).fingerprint for other in ("scenes", "photos", "faces", "digits") if other != name}
    assert load_images(name).fingerprint not in others


def test_graphs_have_fingerprints_of_their_content():
    assert len({load_graph(name).fingerprint for name in ("cora", "karate", "les_miserables", "sbm:500", "sbm:501")}) == 5
    import networkx as nx

    members = nx.karate_club_graph()
    with pytest.warns(UserWarning, match="78 values beside edges"):
        described = load_graph(members)  # by the club that each belongs to
    assert described.fingerprint != load_graph("karate").fingerprint
    bare = nx.empty_graph(len(members))
    bare.add_edges_from(members.edges)
    assert load_graph(bare).fingerprint == load_graph("karate").fingerprint


def test_another_process_asks_the_same():
    code = (
        "import ssl4rl_envs, numpy as np; t = ssl4rl_envs.make_task('SSL4RL/Mixture-v0', source='digits', image_size=48, "
        "tasks=('Rotation', 'FlipPrediction')); print(t.stream_key, [p.stream_key for p in t.parts])"
    )
    task = make_task("SSL4RL/Mixture-v0", source="digits", image_size=48, tasks=["Rotation", "FlipPrediction"])
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert seen == f"{task.stream_key} {[part.stream_key for part in task.parts]}"


def test_a_pickled_task_asks_the_same():
    task = make_task("SSL4RL/PatchPosition-v0", grid=2, **SMALL)
    again = pickle.loads(pickle.dumps(task))
    np.testing.assert_array_equal(first(task).observation["image"], first(again).observation["image"])
    paired = pickle.loads(pickle.dumps(task.paired("a")))
    np.testing.assert_array_equal(first(task.paired("a")).target, first(paired).target)


def test_two_parts_of_a_mixture_ask_unrelated_questions_and_each_what_its_task_asks_alone():
    mixture = make_task("SSL4RL/Mixture-v0", tasks=("Rotation", "FlipPrediction"), **SMALL)
    stream = Stream("train", np.zeros(N, np.uint64), np.arange(N))
    targets = [mixture.sample_parts(stream, np.full(N, part)).target for part in range(2)]
    assert agreement(*targets) < 4
    np.testing.assert_array_equal(targets[0], first(make_task("SSL4RL/Rotation-v0", **SMALL)).target)
    weighted = make_task("SSL4RL/Mixture-v0", tasks=("Rotation", "FlipPrediction"), weights=(1, 1.01), **SMALL)
    assert (first(mixture).observation["task"] != first(weighted).observation["task"]).mean() > 0.3


def test_attempts_do_not_change_what_is_asked():
    envs = [gym.make("SSL4RL/Rotation-v0", attempts=attempts, **SMALL) for attempts in (1, 2)]
    shown = [env.reset(seed=3)[0]["image"] for env in envs]
    np.testing.assert_array_equal(*shown)


def test_pairing_asks_the_same_draft_under_two_arguments():
    plain, paired = (
        [make_task("SSL4RL/PatchOrdering-v0", source="faces", level=level, **how) for level in ("2x2", "2x2-gap")]
        for how in ({}, {"pairing": "gaps"})
    )
    assert agreement(*(first(task).target for task in plain)) < 4
    one, other = (first(task) for task in paired)
    np.testing.assert_array_equal(one.target, other.target)
    np.testing.assert_array_equal(one.items, other.items)
    assert paired[0].stream_key == paired[1].stream_key != make_task("SSL4RL/PatchOrdering-v0", pairing="other").stream_key


def test_pairing_reaches_environments_and_the_parts_of_a_mixture():
    envs = [gym.make("SSL4RL/Rotation-v0", pairing="p", reference=ref, **SMALL) for ref in (False, True)]
    np.testing.assert_array_equal(*(env.reset(seed=1)[0]["image"] for env in envs))
    mixture = make_task("SSL4RL/Mixture-v0", pairing="p", tasks=("Rotation", "FlipPrediction"), **SMALL)
    assert mixture.parts[0].stream_key == envs[0].unwrapped.task.stream_key


@pytest.mark.parametrize("word", ["", 3, b"word"])
def test_tasks_are_paired_by_a_word(word):
    with pytest.raises(ValueError, match="paired by a word"):
        make_task("SSL4RL/Rotation-v0", pairing=word, **SMALL)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(VALUES, VALUES)
def test_words_for_values_are_equal_for_equal_values_alone(one, other):
    def kind(value):
        if isinstance(value, list):
            return [kind(each) for each in value]
        if isinstance(value, dict):
            return {key: kind(each) for key, each in value.items()}
        return ("bool", value) if isinstance(value, bool) else value

    assert (canonical(one) == canonical(other)) == (kind(one) == kind(other))


def test_words_for_values_know_numpy_and_tuples():
    assert canonical(np.float32(2)) == canonical(2) == canonical(2.0) != canonical(True)
    assert canonical((1, (2, "a"))) == canonical([1, [2, "a"]])
    assert canonical(np.arange(3)) != canonical(np.arange(4)) != canonical([0, 1, 2, 3])
    assert canonical(load_graph("karate")) == canonical(load_graph("karate")) != canonical(load_graph("cora"))


def test_wrong_arguments_are_left_to_the_constructor():
    assert configuration(Rotation, (), {"anlges": 4}) == configuration(Rotation, (), {})
    with pytest.raises(TypeError, match="anlges"):
        Rotation("digits", anlges=4)
