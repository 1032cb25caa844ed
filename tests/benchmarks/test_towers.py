"""What is read off a tower's features, from which labels, and beside which control."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ssl4rl_benchmarks.bench import towers
from ssl4rl_benchmarks.bench.grid import from_file
from ssl4rl_benchmarks.bench.suites import FEATURES
from ssl4rl_benchmarks.bench.towers import Labelled, accuracy, averaged, labelled
from ssl4rl_benchmarks.reports.suite.controls import above_controls
from ssl4rl_envs.sources import load_images


def test_quarters_keep_where_features_were_and_the_whole_does_not():
    tokens = torch.zeros(2, 16, 1)
    tokens[0, 1], tokens[1, 14] = 8.0, 8.0  # in the first row of four, and in the last
    assert averaged(tokens, 1).tolist() == [[0.5], [0.5]]
    assert averaged(tokens, 2).tolist() == [[2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]]
    assert averaged(torch.ones(1, 5, 3), 1).shape == (1, 3)
    for number in (5, 1):
        with pytest.raises(ValueError, match=rf"{number} tokens a picture are no square of 2"):
            averaged(torch.ones(1, number, 3), 2)


def test_labels_are_of_one_split_and_questions_of_another():
    pictures, source = labelled("digits"), load_images("digits")
    assert not (pictures.known & pictures.asked).any()
    assert set(pictures.items[pictures.known]) == set(source.items("train"))
    assert set(pictures.items[pictures.asked]) == set(source.items("test"))
    told = np.eye(10)[pictures.classes]
    wrong = np.where(pictures.known[:, None], told, np.eye(10)[(pictures.classes + 1) % 10])
    assert accuracy(told, pictures, 2) == 1
    assert accuracy(wrong, pictures, 2) == 0, "what is asked is of pictures whose labels were not told"


def test_classes_are_the_first_folders(tmp_path):
    rng = np.random.default_rng(0)
    for name, count in {"cats/wild": 12, "dogs": 12, "few": 1, ".": 1}.items():
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture = rng.integers(0, 255, (16, 16, 3), np.uint8)
            Image.fromarray(picture).save(tmp_path / name / f"{number}.png")
    pictures = labelled(f"folder:{tmp_path}")
    assert len(pictures.items) == 25, "a picture in no folder is of no class"
    assert np.bincount(pictures.classes).tolist() == [12, 12, 1]
    ways = [str(pictures.source.files[item]) for item in pictures.items]
    assert all(("dogs" in way) == (found == 1) for way, found in zip(ways, pictures.classes, strict=True))
    assert set(pictures.with_examples(2).classes) == {0, 1}
    with pytest.raises(ValueError, match="0 classes with 40 pictures of the train split"):
        pictures.with_examples(40)


def test_the_grid_of_stamps_is_the_suite_over_other_pictures(tmp_path, monkeypatch):
    folder = tmp_path / "stamps/usr/share/tuxpaint/stamps/animals"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    grid = from_file(Path(__file__).parents[2] / "examples" / "features_of_stamps.json")
    for name in ("agents", "seeds", "episodes", "test_episodes", "first_seed"):
        assert getattr(grid, name) == getattr(FEATURES, name)
    assert [env.id for env in grid.environments] == [env.id for env in FEATURES.environments]
    assert all(set(FEATURES.environments[0].beyond) < set(env.beyond) for env in grid.environments)


def test_what_has_no_classes_is_named(tmp_path):
    with pytest.raises(ValueError, match="no classes of 'scenes'; there are those of digits"):
        labelled("scenes")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        labelled(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(ValueError, match="looks at no pictures"):
        towers.tokens_of(object(), np.zeros((1, 8, 8, 3), np.uint8))


def test_classes_without_a_picture_to_ask_about_are_left_out():
    split = np.array([True, True, True, False, False])
    pictures = Labelled(load_images("digits"), np.arange(5), np.array([0, 1, 2, 0, 1]), split, ~split)
    assert pictures.with_examples(1).items.tolist() == [0, 1, 3, 4]


def row(agent: str, seed: int, after: float, env: str = "one", status: str = "done", **settings):
    config = {"agent": {"name": "nano-ppo", "settings": settings}}
    beyond = [{"what": "quarters:digits@10", "before": 0.5, "after": after}]
    return {"env": env, "agent": agent, "seed": seed, "status": status, "config": config, "beyond": beyond}


def test_controls_are_taken_off_seed_by_seed():
    coin = {"control": {"reward": "coin"}}
    rows = [row("plain", seed, after) for seed, after in enumerate((0.6, 0.9, 0.3))]
    rows += [row("coin", seed, after, **coin) for seed, after in enumerate((0.5, 0.8))]
    rows += [row("coin", 2, 0.0, status="failed", **coin), row("coin", 2, 0.0, env="other", **coin)]
    rows += [row("wide", 0, 0.1, rollout={"prompts": 8}), row("blank", 0, 0.1, control={"pictures": "blank"})]
    found = above_controls(rows)
    assert [(one.agent, one.control) for one in found] == [("plain", "coin"), ("plain", "blank")]
    assert found[0].value.value == pytest.approx(0.75)
    assert found[0].under.value == pytest.approx(0.65)
    assert found[0].ahead.value == pytest.approx(0.1)
    assert (found[0].ahead.low, found[0].ahead.high) == pytest.approx((0.1, 0.1)), "paired: both seeds gain alike"
