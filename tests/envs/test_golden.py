"""Frozen instances: what an id asks today it asks for ever; other questions are another version of it.

`golden.json` has a digest of the first questions of every registered id, of each level and split, over its usual source.
Results are compared by ids, so a change here is a new id (`-v1`), and this file keeps the old one for as long as it is
registered. New ids are added by ``python -m tests.envs.test_golden``, which changes none that are there.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl4rl_envs import Stream, make_task, task_class
from ssl4rl_envs.registration import TABLE
from tests.conftest import real_scenes

FILE = Path(__file__).with_name("golden.json")
COUNT, SEED, FIRST_DIGITS = 6, 7, 16


def levels_of(env_id: str) -> list[str]:
    """Names of the levels of an id; one that is empty where it has none."""
    return [level.name for level in task_class(env_id).levels] or [""]


def digest(env_id: str, level: str, split: str) -> str:
    """What the first questions of an id look like, and what is right: all arrays that are shown, the target, the words."""
    arguments: dict[str, Any] = {"level": level} if level else {}
    task = make_task(env_id, **arguments)
    batch = task.sample(Stream.span(split, SEED, 0, COUNT))
    shown = task.complete(batch).observation
    found = hashlib.sha256()
    for name in sorted(shown):
        found.update(name.encode() + str(shown[name].dtype).encode() + repr(shown[name].shape).encode())
        found.update(np.ascontiguousarray(shown[name]).tobytes())
    found.update(np.ascontiguousarray(batch.target).tobytes())
    if task.has_text:
        found.update("\n".join(task.prompts(batch, "direct")).encode())
    return found.hexdigest()[:FIRST_DIGITS]


def digests(env_id: str) -> dict[str, str]:
    """All digests of an id, by level and split."""
    return {
        f"{level} {split}".strip(): digest(env_id, level, split) for level in levels_of(env_id) for split in ("train", "test")
    }


@pytest.mark.parametrize("registered", json.loads(FILE.read_text()))
def test_what_an_id_asks_does_not_change(registered):
    expected = json.loads(FILE.read_text())[registered]
    with real_scenes():
        found = digests(registered)
    changed = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    assert not changed, f"{registered} asks something else now ({', '.join(changed)}): register it as another version"


def test_every_id_of_the_suite_is_frozen():
    of_suite = {row.id for row in TABLE if task_class(row.id).__module__.startswith("ssl4rl_envs.")}
    frozen = set(json.loads(FILE.read_text()))
    assert frozen == of_suite, "python -m tests.envs.test_golden adds new ids"


if __name__ == "__main__":
    kept = json.loads(FILE.read_text()) if FILE.exists() else {}
    with real_scenes():
        kept |= {row.id: digests(row.id) for row in TABLE if row.id not in kept}
    FILE.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
