"""Rows for other libraries: what the text environment asks, and enough to score a reply as it does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.bridges.rows import rows

SMALL = {"source": "digits", "image_size": 36}


def score(row: dict, reply: str, style: str = "direct") -> float:
    """What the docstring of `rows` says."""
    task = make_task(row["env"], **json.loads(row["arguments"]))
    batch = task.sample(Stream.span(row["split"], row["seed"], row["index"], 1))
    return float(task.score_texts([reply], batch, style).reward[0])


def test_rows_are_what_the_text_environment_asks(text_id, build, style):
    if build(text_id).horizon > 1:
        with pytest.raises(ValueError, match="decisions a question"):
            rows(text_id, count=1)
        return
    env = gym.make(text_id, interface="text", split="test", prompt_style=style)
    for row in rows(text_id, count=3, split="test", seed=5, first=2, prompt_style=style):
        observation, info = env.reset(seed=5, options={"index": row["index"]})
        assert row["index"] == info["index"]
        assert row["prompt"] == [{"role": "user", "content": observation["prompt"]}]
        assert len(row["images"]) == len(build(text_id).images)
        assert all(
            np.array_equal(np.asarray(image), observation[name])
            for image, name in zip(row["images"], build(text_id).images, strict=True)
        )
        assert score(row, wrap(row["answer"], style), style) == env.step(wrap(row["answer"], style))[1] == 1


def test_rows_of_two_chunks_are_consecutive_and_score_wrong_replies_as_steps_do():
    found = list(rows("SSL4RL/Rotation-v0", SMALL, count=70, first=10))
    assert [row["index"] for row in found] == list(range(10, 80))
    env = gym.make("SSL4RL/Rotation-v0", **SMALL, interface="text")
    for row in found[62:67]:
        env.reset(seed=0, options={"index": row["index"]})
        assert score(row, "<answer>90</answer>") == env.step("<answer>90</answer>")[1]
    assert list(rows("SSL4RL/Rotation-v0", SMALL, count=0)) == []


def test_arguments_are_kept_so_that_they_can_be_given_again():
    arguments = {**SMALL, "tasks": ("Rotation", "FlipPrediction"), "weights": (1, 2), "pairing": "word"}
    for row in rows("SSL4RL/Mixture-v0", arguments, count=6, split="validation"):
        assert score(row, wrap(row["answer"], "direct")) == 1


def test_hugging_faces_datasets_keep_rows_to_the_bit(tmp_path):
    datasets = pytest.importorskip("datasets")
    found = list(rows("SSL4RL/FlipPrediction-v0", SMALL, count=4))
    data = datasets.Dataset.from_list(found)
    data.to_parquet(str(tmp_path / "rows.parquet"))
    read = datasets.Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path))
    for row, again in zip(found, read, strict=True):
        assert {name: again[name] for name in row if name != "images"} == {n: v for n, v in row.items() if n != "images"}
        pairs = zip(row["images"], again["images"], strict=True)
        assert all(np.array_equal(np.asarray(one), np.asarray(other)) for one, other in pairs)
        assert score(again, wrap(again["answer"], "direct")) == 1


def test_what_makes_no_rows_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="name the source instead"):
        rows("SSL4RL/Rotation-v0", {"source": np.zeros((4, 36, 36, 3), np.uint8)}, count=1)
    with pytest.raises(ValueError, match="no text interface"):
        rows("SSL4RL/MaskedReconstruction-v0", {**SMALL, "answer": "pixels"}, count=1)
    with pytest.raises(ValueError, match="prompt_style"):
        rows("SSL4RL/Rotation-v0", SMALL, count=1, prompt_style="loud")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        rows("SSL4RL/Rotation-v0", {"source": Path(tmp_path / "nowhere")}, count=1)


def test_rows_need_no_other_library():
    code = (
        "import sys; from ssl4rl_envs.bridges.rows import rows\n"
        f"next(rows('SSL4RL/Rotation-v0', {SMALL!r}, count=1))\n"
        "print([name for name in ('torch', 'datasets', 'ssl4rl_agents') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
