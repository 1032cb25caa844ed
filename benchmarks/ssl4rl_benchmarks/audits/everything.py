"""The audit of everything: every level of every environment over several sources, side by side, and what they share."""

from __future__ import annotations

import dataclasses
import itertools
import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency

from ssl4rl_benchmarks.audits.audit import AuditSettings, audit, audit_task, innermost, noise_for, noises_of
from ssl4rl_benchmarks.audits.noise import NOISES
from ssl4rl_envs import __version__, make_task, task_class
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.registration import TABLE
from ssl4rl_envs.sources import ImageSource, load_images
from ssl4rl_envs.sources.duplicates import groups_of_copies, look_of
from ssl4rl_envs.sources.index import content_key
from ssl4rl_envs.telling import tell

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
        if cls.sources is not None and not set(sources) <= set(cls.sources):  # it takes others
            sources = cls.sources.whole()
        for level in levels:
            found += [Configuration(row.id, level, source) for source in sources]
            task = make_task(row.id, **_at(level))
            found += [Configuration(row.id, level, name) for name in noises_of(task)]
    return found


def audit_all(settings: AuditSettings, jobs: int = 1, path: Path | None = None) -> list[dict[str, Any]]:
    """Audit every configuration; rows as of `audit`, those that a source refuses with `refused`.

    Args:
        settings: how much is measured.
        jobs: how many processes.
        path: a file that keeps each row once it is measured. Rows that it holds already, of the same settings and version,
            are not measured again.

    Raises:
        ValueError: the file holds something else than rows.
    """
    asked = configurations()
    kept = {} if path is None else Journal(path, settings).rows()
    left = [configuration for configuration in asked if configuration not in kept]
    if kept:
        tell(f"{len(asked) - len(left)} of {len(asked)} were measured before")
    measured = ((one, audit_one(one, settings)) for one in left) if jobs == 1 else _side_by_side(left, settings, jobs)
    for done, (configuration, row) in enumerate(measured, 1):
        said = "refused" if "refused" in row else f"{row['seconds']:.0f} s"
        tell(f"{done} of {len(left)}: {_name(row)}: {said}")
        tell("".join(f"  FAILED {failure}\n" for failure in row["failures"]), end="")
        if path is not None:
            Journal(path, settings).add(configuration, row)
        kept[configuration] = row
    return [kept[configuration] for configuration in asked]


@dataclass(frozen=True)
class Journal:
    """The rows of an audit that were measured, a line of JSON each.

    Args:
        path: of the file; it need not exist.
        settings: of the audit; lines of others are left alone.
    """

    path: Path
    settings: AuditSettings

    def rows(self) -> dict[Configuration, dict[str, Any]]:
        """Return what was measured.

        Raises:
            ValueError: a line is no row. The last may be cut short, and does not count then.
        """
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        found = {}
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                if entry["made"] == self._made():
                    found[Configuration(**entry["of"])] = entry["row"]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                if number < len(lines):
                    raise ValueError(f"line {number} of {self.path} is no row of an audit; name a new file") from error
        return found

    def add(self, configuration: Configuration, row: dict[str, Any]) -> None:
        """Write a row behind those that are there, in place of one that was cut short."""
        entry = {"made": self._made(), "of": dataclasses.asdict(configuration), "row": row}
        with self.path.open("ab+") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(json.dumps(entry).encode() + b"\n")

    def _made(self) -> dict[str, Any]:
        return {"version": __version__, **dataclasses.asdict(self.settings)}


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
            task = innermost(make_task(env, **_at(level)))
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


def _side_by_side(
    asked: list[Configuration], settings: AuditSettings, jobs: int
) -> Iterator[tuple[Configuration, dict[str, Any]]]:
    """Audit in processes of one thread each; rows come as they are made."""
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "SSL4RL_THREADS")}
    os.environ.update(dict.fromkeys(before, "1"))  # processes are started anew and read it; their threads would only wait
    try:
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            futures = {pool.submit(audit_one, configuration, settings): configuration for configuration in asked}
            for future in as_completed(futures):
                yield futures[future], future.result()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
