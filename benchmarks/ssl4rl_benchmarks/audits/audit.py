"""The audit of an environment: its chance, its oracle, what is earned by shortcuts, and what hostile replies are paid."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import norm, t

from ssl4rl_agents.evaluation import clustered_interval, play
from ssl4rl_benchmarks.audits.hostile import conformance
from ssl4rl_benchmarks.audits.shortcuts import Rewards, measure, solvers_of
from ssl4rl_envs import Batch, Stream, Task, env_ids, hash_seed, make_task
from ssl4rl_envs.answers import PROMPT_STYLES
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.sources import ImageSource

NOISE = "noise"
"""The source without content: what solves a task on it is a trace of how pictures are drawn."""

NOISES = {NOISE: (1.0, 50.0), "smooth noise": (6.0, 40.0)}
"""Blur in pixels and contrast in grey levels of the noises; the grain of one hides what the gradients of the other show."""

NOISE_PICTURES, NOISE_SIDE = 1_200, 64

UPRIGHT = ("Rotation", "FlipPrediction", "Colorization")
"""Tasks that ask, of one picture, how things look in the world: on noise nothing may solve them, documented or not."""

SHORTCUT_ERRORS = 3.5
"""A shortcut beats chance by so many standard errors; by accident one in 4,000 does, and an audit of all makes about 100."""

POLICY_ERRORS = 4.0
ORACLE = 0.999
CHUNK = 250
LARGEST = 99.0


@dataclass(frozen=True)
class AuditSettings:
    """How much is measured.

    Args:
        episodes: questions that are scored.
        lessons: questions that solvers learn from.
        split, train: whose items these are of.
        seed: of the questions.
        replies: questions that each kind of hostile reply is given to, in each style.
    """

    episodes: int = 1000
    lessons: int = 2000
    split: str = "test"
    train: str = "train"
    seed: int = 0
    replies: int = 8

    def __post_init__(self) -> None:
        for name in ("episodes", "lessons", "replies"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.split == self.train:
            raise ValueError(f"solvers must be asked about items they did not learn from; both splits are {self.split!r}")


def audit(env_id: str, env_args: dict[str, Any], settings: AuditSettings | None = None) -> dict[str, Any]:
    """Audit an environment with some arguments, on its source and on noise; see `audit_task`."""
    task = make_task(env_id, **env_args)
    noisy: list[Task] = []
    if isinstance(task, ImageTask) and solvers_of(task):
        noisy = [make_task(env_id, **{**env_args, "source": source}) for source in noises_for(task)]
    plain = {name: value for name, value in env_args.items() if isinstance(value, (str, int, float, bool, tuple))}
    return {"env": env_id, "arguments": plain, **audit_task(task, noisy, settings)}


def audit_task(task: Task, noisy: Sequence[Task] = (), settings: AuditSettings | None = None) -> dict[str, Any]:
    """Audit a task.

    Args:
        task: what is audited.
        noisy: the same task over `noises_for` it, to tell traces of drawing from content.
        settings: how much is measured.

    Returns:
        Plain data: source, episodes, chance, oracle, policies, acceptance, shortcuts by source, conformance by style,
        failures in words, seconds.
    """
    start, settings = time.perf_counter(), settings or AuditSettings()
    train, test = lessons_and_questions(task, settings)
    oracle = float(play(task, test, lambda state, _: task.oracle(state)).mean())
    earned = blind(task, train, test, settings)
    policies = {policy: summary(rewards, test.items, task.chance) for policy, rewards in earned.items()}
    name = source_name(task)
    shortcuts = {name: shortcut_table(task, train, test, upright_only=False)}
    for other in noisy:
        batches = lessons_and_questions(other, settings)
        shortcuts[source_name(other)] = shortcut_table(other, *batches, upright_only=asks_what_is_upright(other))
    replies = {style: conformance(task, settings.split, style, settings.replies, settings.seed) for style in PROMPT_STYLES}
    result = {
        "source": name,
        "split": settings.split,
        "episodes": settings.episodes,
        "items": len(np.unique(test.items[test.items >= 0])),
        "chance": task.chance,
        "oracle": oracle,
        "policies": policies,
        "acceptance": acceptance(task, settings.split),
        "shortcuts": shortcuts,
        "conformance": replies if task.has_text else {},
    }
    return {**result, "failures": failures(task, result), "seconds": round(time.perf_counter() - start, 2)}


def audit_all(settings: AuditSettings | None = None) -> list[dict[str, Any]]:
    """Audit every environment with its default arguments."""
    return [audit(env_id, {}, settings) for env_id in env_ids()]


def lessons_and_questions(task: Task, settings: AuditSettings) -> tuple[Batch, Batch]:
    """Return the instances that solvers learn from, and those that they are asked about."""
    seeds = {split: hash_seed(settings.seed, "audit", split) for split in (settings.train, settings.split)}
    lessons = instances(task, settings.train, settings.lessons, seeds[settings.train])
    return lessons, instances(task, settings.split, settings.episodes, seeds[settings.split])


def instances(task: Task, split: str, count: int, seed: int) -> Batch:
    """Return the first instances of a stream."""
    starts = range(0, count, CHUNK)
    streams = [np.arange(start, min(start + CHUNK, count)) for start in starts]
    batches = [task.sample(Stream(split, np.full(len(indices), seed), indices)) for indices in streams]
    observation = {key: np.concatenate([batch.observation[key] for batch in batches]) for key in batches[0].observation}
    memory = {key: np.concatenate([batch.memory[key] for batch in batches]) for key in batches[0].memory}
    target, items = (np.concatenate([getattr(batch, key) for batch in batches]) for key in ("target", "items"))
    return Batch(observation, target, items, memory)


def blind(task: Task, train: Batch, test: Batch, settings: AuditSettings) -> dict[str, Rewards]:
    """Return what policies earn that do not look: random answers, the example, the commonest answer of the lessons."""
    steps = iter(range(task.horizon))

    def random(state: Batch, rows: NDArray[np.int64]) -> NDArray[Any]:
        seed = hash_seed(settings.seed, "random", next(steps))
        return task.random_answers(state, Stream(settings.split, np.full(len(rows), seed), rows))

    def always(answer: Any) -> Rewards:
        array = np.asarray(answer, task.action_space.dtype)
        return play(task, test, lambda _, rows: np.repeat(array[None], len(rows), axis=0))

    rewards = {"random": play(task, test, random), "constant": always(task.example())}
    return {**rewards, "majority": always(commonest(task, train))}


def commonest(task: Task, batch: Batch) -> NDArray[Any]:
    """Return the commonest right answer; the mean of those that are no integers."""
    answers = task.oracle(batch)
    if answers.dtype.kind == "f":
        return np.asarray(answers.mean(axis=0))
    values, counts = np.unique(answers, axis=0, return_counts=True)
    return np.asarray(values[counts.argmax()])


def shortcut_table(task: Task, train: Batch, test: Batch, *, upright_only: bool) -> dict[str, dict[str, Any]]:
    """Return what each solver earns, whether that is more than chance, and why that is accepted, if it is."""
    table = {}
    for name in solvers_of(task):
        rewards = measure(name, task, train, test)
        entry = summary(rewards, test.items, task.chance)
        documented = None if upright_only else task.reason_for(name)
        table[name] = {**entry, "beats_chance": entry["errors_above"] > SHORTCUT_ERRORS, "documented": documented}
    return table


def asks_what_is_upright(task: Task) -> bool:
    """Return whether a task asks, of one picture, how things look in the world."""
    return len(task.images) == 1 and any(cls.__name__ in UPRIGHT for cls in type(task).__mro__)


def failures(task: Task, result: dict[str, Any]) -> list[str]:
    """Say in plain words what is wrong."""
    found = []
    chance, name = task.chance, type(task).__name__
    for policy, entry in result["policies"].items():
        if entry["errors_above"] > POLICY_ERRORS:
            found.append(f"{name}: {policy} answers earn {entry['reward']:.3f}, the declared chance is {chance:.3f}")
    if task.horizon == 1 and all(entry["errors_above"] < -POLICY_ERRORS for entry in result["policies"].values()):
        best = max(entry["reward"] for entry in result["policies"].values())
        found.append(f"{name}: blind answers earn {best:.3f} at most, the declared chance is {chance:.3f}")
    if result["oracle"] < ORACLE:
        found.append(f"{name}: the right answers earn {result['oracle']:.4f}, not 1")
    for source, table in result["shortcuts"].items():
        for solver, entry in table.items():
            if entry["beats_chance"] and entry["documented"] is None:
                found.append(
                    f"{name}: {solver!r} earns {entry['reward']:.3f} on {source}, chance is {chance:.3f}, "
                    "and that is not documented as legitimate"
                )
    for style, kinds in result["conformance"].items():
        for kind, entry in kinds.items():
            if entry["paid"]:
                found.append(
                    f"{name}: {entry['paid']} of {entry['tried']} replies of kind {kind!r} ({style}) count as answers"
                )
    return found


def summary(rewards: Rewards, items: NDArray[np.int64], chance: float) -> dict[str, Any]:
    """Return a mean reward, its 95 % interval, and by how many standard errors it is above chance, all by items."""
    clusters = np.where(items < 0, items.max(initial=0) + 1 + np.arange(len(items)), items)
    low, high = clustered_interval(rewards, clusters)
    above = errors_above(rewards, clusters, chance)
    return {"reward": float(rewards.mean()), "interval": [low, high], "errors_above": above}


def errors_above(rewards: Rewards, clusters: NDArray[np.int64], chance: float) -> float:
    """Return by how many standard errors a mean is above chance, within +-99.

    The standard error is that of clusters (Liang & Zeger 1986); a deviation that is less sure because the clusters are few is
    counted as the one of a normal distribution that is as likely.
    """
    mean = float(rewards.mean())
    _, index = np.unique(clusters, return_inverse=True)
    sums = np.bincount(index, weights=rewards - mean)
    count = len(sums)
    if mean == chance or count < 2:
        return 0.0
    error = float(np.sqrt((sums**2).sum() * count / (count - 1))) / len(rewards)
    if error < 1e-9:
        return LARGEST if mean > chance else -LARGEST
    deviation = (mean - chance) / error
    sure = float(norm.isf(t.sf(abs(deviation), count - 1)))
    return float(np.copysign(min(sure, LARGEST), deviation))


def noises_for(task: ImageTask[Any]) -> list[ImageSource]:
    """Return noise of the size that a task can draw its views from; smooth noise too where nothing at all may solve it."""
    fine = not getattr(task, "exact", True)  # turns by fine angles take larger pictures
    side = max(NOISE_SIDE, 2 * task.image_size) if fine else NOISE_SIDE
    return [noise(name, side) for name in NOISES if name == NOISE or asks_what_is_upright(task)]


@lru_cache(maxsize=4)
def noise(name: str = NOISE, side: int = NOISE_SIDE) -> ImageSource:
    """Return white noise, blurred as `NOISES` says: pictures that look the same in every direction and every colour."""
    blur, contrast = NOISES[name]
    rng = np.random.default_rng(0)
    drawn = [rng.standard_normal((side, side, 3), np.float32) for _ in range(NOISE_PICTURES)]
    smooth = [gaussian_filter(values, (blur, blur, 0), mode="wrap") for values in drawn]
    scale = contrast / np.mean([values.std() for values in smooth])
    return ImageSource([np.clip(np.rint(values * scale + 128), 0, 255).astype(np.uint8) for values in smooth], name=name)


def source_name(task: Task) -> str:
    """Return the name of a task's source, or of those of its parts."""
    if task.parts:
        return ", ".join(dict.fromkeys(source_name(part) for part in task.parts))
    return task.source.name if isinstance(task, (ImageTask, GraphTask)) else ""


def acceptance(task: Task, split: str) -> float | dict[str, float] | None:
    """Return the share of drafts that can be asked about; of a mixture, by part."""
    if task.parts:
        parts = [part for part in task.parts if isinstance(part, ImageTask)]
        return {type(part).__name__: part.acceptance(split) for part in parts}
    return task.acceptance(split) if isinstance(task, ImageTask) else None
