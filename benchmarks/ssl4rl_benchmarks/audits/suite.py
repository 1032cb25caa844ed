"""The audit of everything: every level of every environment over several sources, side by side, and what they share."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency

from ssl4rl_benchmarks.audits.audit import AuditSettings, audit, audit_task, noise_for, noises_of
from ssl4rl_benchmarks.audits.noise import NOISES
from ssl4rl_envs import make_task, task_class
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.registration import TABLE
from ssl4rl_envs.sources import ImageSource, load_images
from ssl4rl_envs.sources.duplicates import groups_of_copies, look_of
from ssl4rl_envs.sources.images import content_key

PICTURES = ("scenes", "photos", "faces")
COMPARED = ("photos", "faces", "digits", "scenes:2048")
"""Sources whose pictures are compared with one another."""

ALIKE = ("digits",)
"""Of these different pictures look alike: people write alike on 8 x 8 pixels."""

GRAPHS = ("cora", "sbm", "barabasi_albert", "les_miserables")

RELATED = 1e-9
"""Answers of two configurations are related where independent ones would look so with less than this probability; an audit
of all compares about 10,000 pairs."""


@dataclass(frozen=True)
class Configuration:
    """An environment at a level (or as registered, "") over a source by name."""

    env: str
    level: str
    source: str


def configurations() -> list[Configuration]:
    """Return what an audit of everything covers: each level over each source, and of pictures over noise."""
    found = []
    for row in TABLE:
        cls = task_class(row.id)
        levels = [level.name for level in cls.levels] or [""]
        sources: Sequence[str] = GRAPHS if issubclass(cls, GraphTask) else PICTURES
        for level in levels:
            found += [Configuration(row.id, level, source) for source in sources]
            task = make_task(row.id, **_at(level))
            found += [Configuration(row.id, level, name) for name in noises_of(task)]
    return found


def audit_all(settings: AuditSettings, jobs: int = 1) -> list[dict[str, Any]]:
    """Audit every configuration, and what they share; rows as of `audit`, those that a source refuses with `refused`.

    Args:
        settings: how much is measured.
        jobs: how many processes.
    """
    asked = configurations()
    if jobs == 1:
        rows = [audit_one(configuration, settings) for configuration in asked]
    else:
        rows = list(_side_by_side(asked, settings, jobs))
    return rows


def quick_audit(settings: AuditSettings) -> list[dict[str, Any]]:
    """Audit every environment as it is registered, on its own source and on noise."""
    return [row for entry in TABLE for row in audit(entry.id, {}, settings)]


def audit_one(configuration: Configuration, settings: AuditSettings) -> dict[str, Any]:
    """Audit one configuration; hostile replies are tried over the first source alone, since they do not depend on it."""
    env, level, source = configuration.env, configuration.level, configuration.source
    named = {"env": env, "level": level, "arguments": {**_at(level), "source": source}}
    try:
        shown: Any = source
        if source in NOISES:
            task = make_task(env, **_at(level))
            assert isinstance(task, ImageTask)
            shown = noise_for(task, source)
        task = make_task(env, **_at(level), source=shown)
    except ValueError as error:
        return {**named, "source": source, "refused": str(error), "failures": []}
    return {**named, **audit_task(task, settings, replies=source in (PICTURES[0], GRAPHS[0]))}


def related(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Look for configurations whose answers tell each other's, by a test of independence for each pair (Pearson 1900).

    All were asked with the same split, seed and indices. Mixtures are left out, which ask what their parts ask.

    Returns:
        A row as of `audit`, with how many pairs were compared, and the related ones as failures.
    """
    asked = {_name(row): np.array(row["answers"]) for row in rows if row.get("answers") and "Mixture" not in row["env"]}
    failures, compared = [], 0
    for (one, first), (other, second) in itertools.combinations(asked.items(), 2):
        count = min(len(first), len(second))
        table = np.zeros((first.max() + 1, second.max() + 1))
        np.add.at(table, (first[:count], second[:count]), 1)
        table = table[table.any(axis=1)][:, table.any(axis=0)]
        compared += 1
        if min(table.shape) > 1 and chi2_contingency(table).pvalue < RELATED:
            failures.append(f"the answers of {one} tell those of {other}")
    said = f"{len(failures)} of {compared} pairs of configurations have answers that tell each other's"
    return {"env": "all", "level": "", "source": "", "compared": compared, "said": said, "failures": failures}


def copies_over_splits(names: Sequence[str] = COMPARED) -> list[dict[str, Any]]:
    """Look for near-duplicates in different splits of sources; a row each, as of `audit`, with how many there are.

    They are found as folders are grouped (`ssl4rl_envs.sources.duplicates`).
    """
    rows = []
    for name in names:
        source = load_images(name)
        assert isinstance(source, ImageSource)
        pictures = [source.picture(item) for item in range(len(source))]
        groups = groups_of_copies([look_of(picture) for picture in pictures], [content_key(picture) for picture in pictures])
        split = np.concatenate([np.full(len(source.items(which)), code) for code, which in enumerate(source.splits)])
        of_item = split[np.argsort(np.concatenate([source.items(which) for which in source.splits]))]
        apart = [group for group in groups if len(set(of_item[group].tolist())) > 1]
        copies = sum(map(len, apart))
        said = f"{copies} of {len(source)} pictures of {name} have a near-duplicate in another split"
        failures = [said] if copies and name not in ALIKE else []
        rows.append({"env": "all", "level": "", "source": name, "copies": copies, "said": said, "failures": failures})
    return rows


def _name(row: dict[str, Any]) -> str:
    return " ".join(word for word in (row["env"].removeprefix("SSL4RL/"), row["level"], f"over {row['source']}") if word)


def _at(level: str) -> dict[str, Any]:
    return {"level": level} if level else {}


def _side_by_side(asked: list[Configuration], settings: AuditSettings, jobs: int) -> Iterator[dict[str, Any]]:
    """Audit in processes of one thread each; rows come in the order of the configurations, progress as it is made."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # processes are started anew and read it; threads of theirs would only wait
    try:
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = [pool.submit(audit_one, configuration, settings) for configuration in asked]
            for done, future in enumerate(as_completed(futures), 1):
                row = future.result()
                said = "refused" if "refused" in row else f"{row['seconds']:.0f} s"
                print(f"{done} of {len(asked)}: {_name(row)}: {said}", file=sys.stderr, flush=True)
                print("".join(f"  FAILED {failure}\n" for failure in row["failures"]), end="", file=sys.stderr, flush=True)
            yield from (future.result() for future in futures)
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
