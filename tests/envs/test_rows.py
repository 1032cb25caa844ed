"""Rows for other libraries: what the text environment asks, and enough to score a reply as it does."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from ssl4rl_envs import rows, score
from ssl4rl_envs.answers import wrap

OWN = "ssl4rl_envs.images.flip_prediction:FlipPrediction"
"""A task by its class, as people name their own."""

SMALL: dict[str, Any] = {"source": "digits", "image_size": 36}


def again(row: dict[str, Any], reply: str, style: str = "direct") -> float:
    """The score of a reply, from the keys of a row alone."""
    keys = {name: row[name] for name in ("split", "seed", "index")}
    (scored,) = score(row["env_id"], reply, prompt_style=style, **keys, **json.loads(row["args"]))
    return scored["reward"]


def test_rows_are_what_the_text_environment_asks(text_id, build, style):
    if build(text_id).horizon > 1:
        with pytest.raises(ValueError, match="decisions a question"):
            rows(text_id, 1)
        return
    env = gym.make(text_id, interface="text", split="test", prompt_style=style)
    for row in rows(text_id, 3, split="test", seed=5, first=2, prompt_style=style):
        observation, info = env.reset(seed=5, options={"index": row["index"]})
        assert list(row) == ["prompt", "images", "answer", "env_id", "args", "split", "seed", "index"]
        assert row["index"] == info["index"]
        assert row["prompt"] == [{"role": "user", "content": observation["prompt"]}]
        assert len(row["images"]) == len(build(text_id).images)
        assert all(
            np.array_equal(np.asarray(image), observation[name])
            for image, name in zip(row["images"], build(text_id).images, strict=True)
        )
        assert again(row, wrap(row["answer"], style), style) == env.step(wrap(row["answer"], style))[1] == 1


def test_rows_of_two_chunks_are_consecutive():
    found = list(rows("SSL4RL/Rotation-v0", 70, first=10, **SMALL))
    assert [row["index"] for row in found] == list(range(10, 80))
    assert list(rows("SSL4RL/Rotation-v0", 0, **SMALL)) == []


def test_rows_are_made_when_they_are_come_to(monkeypatch):
    from ssl4rl_envs.images.rotation import Rotation

    made: list[int] = []
    sample = Rotation.sample
    monkeypatch.setattr(Rotation, "sample", lambda task, stream: made.append(len(stream)) or sample(task, stream))
    endless = rows("SSL4RL/Rotation-v0", 10**9, **SMALL)
    assert made == []
    assert [row["index"] for row in islice(endless, 65)] == list(range(65))
    assert made == [64, 64]


def test_arguments_are_kept_so_that_they_can_be_given_again():
    arguments = {**SMALL, "tasks": ("Rotation", "FlipPrediction"), "weights": (1, 2), "pairing": "word"}
    for row in rows("SSL4RL/Mixture-v0", 6, split="validation", **arguments):
        assert again(row, wrap(row["answer"], "direct")) == 1
    (row,) = rows("SSL4RL/PatchOrdering-v0", 1, level="3x3")
    assert json.loads(row["args"]) == {"level": "3x3"}
    assert again(row, wrap(row["answer"], "direct")) == 1


def test_short_names_and_classes_are_names_and_rows_hold_the_id():
    for name, env_id in (("rotation", "SSL4RL/Rotation-v0"), (OWN, OWN)):
        (row,) = rows(name, 1, **SMALL)
        assert row["env_id"] == env_id
        assert again(row, wrap(row["answer"], "direct")) == 1
        assert score(name, wrap(row["answer"], "direct"), index=0, **SMALL)[0]["reward"] == 1
    with pytest.raises(ValueError, match="did you mean 'Rotation'"):
        rows("Rotatoin", 1)


def test_hugging_faces_datasets_keep_rows_to_the_bit(tmp_path):
    datasets = pytest.importorskip("datasets")
    found = list(rows("SSL4RL/FlipPrediction-v0", 4, **SMALL))
    data = datasets.Dataset.from_list(found)
    data.to_parquet(str(tmp_path / "rows.parquet"))
    read = datasets.Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path))
    for row, kept in zip(found, read, strict=True):
        assert {name: kept[name] for name in row if name != "images"} == {n: v for n, v in row.items() if n != "images"}
        pairs = zip(row["images"], kept["images"], strict=True)
        assert all(np.array_equal(np.asarray(one), np.asarray(other)) for one, other in pairs)
        assert again(kept, wrap(kept["answer"], "direct")) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"source": np.zeros((4, 36, 36, 3), np.uint8)}, ValueError, "name the source instead"),
        ({**SMALL, "prompt_style": "loud"}, ValueError, "prompt_style must be one of direct, think, tool, got 'loud'"),
        ({"source": Path("/nowhere/at/all")}, FileNotFoundError, "nowhere"),
        ({**SMALL, "split": "dev"}, ValueError, "split must be one of"),
        ({**SMALL, "seed": -1}, ValueError, "seed must be integers"),
        ({**SMALL, "first": -1}, ValueError, "first must be"),
        ({**SMALL, "n": 1.5}, ValueError, "n must be"),
        ({**SMALL, "attempts": 2}, TypeError, "attempts belongs to environments"),
        ({**SMALL, "angle": 4}, TypeError, "angle"),
    ],
)
def test_what_makes_no_rows_is_an_error_before_the_first(arguments, error, words):
    with pytest.raises(error, match=words):
        rows("SSL4RL/Rotation-v0", **{"n": 1, **arguments})


def test_a_task_without_words_has_no_rows():
    with pytest.raises(ValueError, match="no text interface"):
        rows("SSL4RL/MaskedReconstruction-v0", 1, **SMALL, answer="pixels")


def test_rows_need_no_other_library_and_graphs_no_pillow():
    code = (
        "import sys; from ssl4rl_envs import rows, score, to_messages, tool_schema\n"
        "others = ('torch', 'PIL', 'networkx', 'datasets', 'ssl4rl_agents')\n"
        "loaded = lambda: [name for name in others if name in sys.modules]\n"
        "print(loaded())\n"
        f"next(rows('SSL4RL/Rotation-v0', 1, **{SMALL!r}))\n"
        "print([name for name in loaded() if name not in ('PIL', 'networkx')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n[]\n"
