"""A run goes on over the content that it was trained on, or says what has changed."""

from __future__ import annotations

import copy
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.checkpoint import newest
from ssl4rl_agents.runs.content import content_of, require_same_content
from ssl4rl_envs import make_task
from ssl4rl_envs.sources import ImageSource, load_images
from tests.agents.tiny_runs import config


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(40):
        picture(seed).save(folder / f"{seed:02}.png")
    return folder


def settings(folder: Path, **changes: Any) -> Any:
    return config(env_args={"source": f"folder:{folder}"}, iterations=4, **changes)


@pytest.fixture
def run(pictures: Path, tmp_path: Path) -> Path:
    trainer = Trainer(
        config(env_args={"source": f"folder:{pictures}"}, iterations=1, save_every=1), tmp_path / "run", quiet=True
    )
    assert trainer.run()
    return tmp_path / "run"


def test_a_run_goes_on_over_the_same_pictures_wherever_they_lie(run, pictures, tmp_path):
    moved = shutil.move(pictures, tmp_path / "moved")
    assert Trainer(settings(Path(moved)), run, resume=True, quiet=True).resumed


@pytest.mark.parametrize("change", ["added", "removed", "replaced", "renamed", "near-duplicate"])
def test_a_run_over_other_pictures_is_refused_in_a_sentence_that_names_both(run, pictures, change):
    before = load_images(f"folder:{pictures}").fingerprint
    if change == "added":
        picture(99).save(pictures / "99.png")
    elif change == "removed":
        (pictures / "07.png").unlink()
    elif change == "replaced":
        picture(99).save(pictures / "07.png")
    elif change == "renamed":  # the items are in another order, and so are the questions
        (pictures / "07.png").rename(pictures / "77.png")
    else:
        picture(7).save(pictures / "07 again.jpg", quality=90)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        after = load_images(f"folder:{pictures}").fingerprint
        with pytest.raises(ValueError, match=f"(?s)trained on .*{before}.* go on over .*{after}"):
            Trainer(settings(pictures), run, resume=True, quiet=True)
    assert before != after


def test_a_checkpoint_keeps_the_names_and_fingerprints(run, pictures):
    kept = json.loads((newest(run) / "trainer.json").read_text())["sources"]
    assert kept == [{"name": f"folder:{pictures}", "fingerprint": load_images(f"folder:{pictures}").fingerprint}]


def test_of_a_mixture_every_source_counts_once(tmp_path):
    task = make_task("SSL4RL/Mixture-v0", source="digits", image_size=48, tasks=("Rotation", "FlipPrediction"))
    assert [entry["name"] for entry in content_of(task)] == ["digits"]
    graph = make_task("SSL4RL/EdgePrediction-v0", source="karate")
    assert content_of(graph) == [{"name": "karate", "fingerprint": graph.source.fingerprint}]
    task = copy.copy(task)  # tasks that are built alike are one object
    task.tasks = (*task.tasks, graph)
    assert [entry["name"] for entry in content_of(task)] == ["digits", "karate"]
    (tmp_path / "trainer.json").write_text(json.dumps({"sources": content_of(task)}))
    require_same_content(tmp_path, task)
    with pytest.raises(ValueError, match=r"trained on digits .* and karate .* go on over karate"):
        require_same_content(tmp_path, graph)


def test_pictures_of_other_splits_or_photographs_have_another_fingerprint():
    pictures = [np.asarray(picture(seed)) for seed in range(8)]
    plain = ImageSource(pictures)
    together = ImageSource(pictures, keys=[b"\0" * 16] * 8)
    scenes = ImageSource(pictures, photographs=[0, 0, 1, 1, 2, 2, 3, 3])
    assert len({source.fingerprint for source in (plain, together, scenes)}) == 3
    assert plain.fingerprint == ImageSource([each.copy() for each in pictures], name="again").fingerprint
