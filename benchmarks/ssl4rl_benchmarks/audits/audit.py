"""The audit of a task: its chance, its oracle, what is earned by shortcuts, and what hostile replies are paid."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from ssl4rl_agents.evaluation import clustered_interval
from ssl4rl_benchmarks.audits.hostile import conformance
from ssl4rl_benchmarks.audits.noise import NOISE, NOISES, noise
from ssl4rl_benchmarks.audits.shortcuts import TRACES, Rewards, measure_all, solvers_of
from ssl4rl_envs import Batch, Stream, Task, blind, hash_seed, make_task
from ssl4rl_envs.answers import GRAMMARS, PROMPT_STYLES
from ssl4rl_envs.composite import Composite
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.kinds import HABIT
from ssl4rl_envs.playing import returns_of
from ssl4rl_envs.sources import PICTURES, ImageSource
from ssl4rl_envs.telling import waiting

UPRIGHT = ("Rotation", "FlipPrediction", "Colorization", "RotateUpright")
"""Tasks that ask, of one picture, how things look in the world: on noise nothing may solve them, documented or not."""

SHOW_TWICE = (
    "PatchPosition",
    "Contrastive",
    "FlipPrediction",
    "MaskedReconstruction",
    "FrameOrdering",
    "NextFrame",
    "RelativePosition",
)
"""Tasks that show the same twice, where traces of drawing (`TRACES`) match content; in all others they may tell nothing over
noise, documented or not."""

COMPARE = ("Comparison",)
"""Tasks that ask which of two parts has more of something. Noise has as much of it everywhere, and leaves nothing to ask."""

SHORTCUT_ERRORS = 4.5
"""A shortcut beats chance by so many standard errors; by accident one in 300,000 does, and an audit of all makes 1,500."""

POLICY_ERRORS = 4.5
ORACLE = 0.999
CHUNK = 250
SEARCHED = 1_000
"""Lessons on which fixed answers are compared."""

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

    episodes: int = 3000
    lessons: int = 1500
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


def audit(env_id: str, env_args: dict[str, Any], settings: AuditSettings | None = None) -> list[dict[str, Any]]:
    """Audit an environment with some arguments on its source, and on noise; see `audit_task`."""
    task = make_task(env_id, **env_args)
    plain = {name: value for name, value in env_args.items() if isinstance(value, (str, int, float, bool, tuple))}
    with waiting(f"auditing {env_id} over {source_name(task)}"):
        rows = [audit_task(task, settings)]
    inside = innermost(task)
    if isinstance(inside, ImageTask):
        noisy = [make_task(env_id, **{**env_args, "source": noise_for(inside, name)}) for name in noises_of(task)]
        for other in noisy:
            with waiting(f"auditing it over {source_name(other)}"):
                rows.append(audit_task(other, settings, replies=False))
    return [{"env": env_id, "level": str(env_args.get("level", "")), "arguments": plain, **row} for row in rows]


def audit_task(task: Task, settings: AuditSettings | None = None, *, replies: bool = True) -> dict[str, Any]:
    """Audit a task on its source.

    Args:
        task: what is audited. Over noise that shows nothing upright, no solver of a task that asks for it is excused.
        settings: how much is measured.
        replies: whether hostile replies are tried.

    Returns:
        Plain data: source, episodes, chance, oracle, policies, acceptance, shortcuts, conformance by style and grammar,
        failures in words, answers (of the questions, as numbers), seconds.
    """
    start, settings = time.perf_counter(), settings or AuditSettings()
    train, test = lessons_and_questions(task, settings)
    clusters = clusters_of(task, test)
    earned = blind_policies(task, train, test, settings)
    styles = PROMPT_STYLES if replies and task.has_text else ()
    result = {
        "source": source_name(task),
        "split": settings.split,
        "episodes": settings.episodes,
        "items": len(np.unique(clusters)),
        "chance": task.chance,
        "oracle": float(returns_of(task, test, lambda state, _: task.oracle(state)).mean()),
        "policies": {policy: summary(rewards, clusters, task.chance) for policy, rewards in earned.items()},
        "acceptance": acceptance(task, settings.split),
        "shortcuts": shortcut_table(task, train, test),
        "conformance": {
            style if grammar == "strict" else f"{style}, {grammar}": conformance(
                task, settings.split, style, settings.replies, settings.seed, grammar
            )
            for grammar in GRAMMARS
            for style in styles
        },
    }
    found = {"failures": failures(task, result), "answers": answer_numbers(task, test)}
    return {**result, **found, "seconds": round(time.perf_counter() - start, 2)}


def answer_numbers(task: Task, batch: Batch) -> list[int]:
    """Return the first number of each right answer, for comparing the answers of tasks; none of continuous ones."""
    answers = task.oracle(batch)
    return [] if answers.dtype.kind == "f" else [int(value) for value in answers.reshape(len(batch), -1)[:, 0]]


def lessons_and_questions(task: Task, settings: AuditSettings) -> tuple[Batch, Batch]:
    """Return the instances that solvers learn from, and those that they are asked about."""
    seeds = {split: hash_seed(settings.seed, "audit", split) for split in (settings.train, settings.split)}
    lessons = instances(task, settings.train, settings.lessons, seeds[settings.train])
    return lessons, instances(task, settings.split, settings.episodes, seeds[settings.split])


def instances(task: Task, split: str, count: int, seed: int) -> Batch:
    """Return the first instances of a stream; compact ones of graphs that are walked in, of which every turn is kept."""
    starts = range(0, count, CHUNK)
    streams = [np.arange(start, min(start + CHUNK, count)) for start in starts]
    draw = task.compact if isinstance(task, GraphTask) and task.horizon > 1 else task.sample
    batches = [draw(Stream(split, np.full(len(indices), seed), indices)) for indices in streams]
    observation = {key: np.concatenate([batch.observation[key] for batch in batches]) for key in batches[0].observation}
    memory = {key: np.concatenate([batch.memory[key] for batch in batches]) for key in batches[0].memory}
    target, items = (np.concatenate([getattr(batch, key) for batch in batches]) for key in ("target", "items"))
    return Batch(observation, target, items, memory)


def blind_policies(task: Task, train: Batch, test: Batch, settings: AuditSettings) -> dict[str, Rewards]:
    """Return what policies earn that do not look: random answers, the example, the commonest answer, and the best found.

    The best is searched for among all answers, or those that the task names (`Task.blind_answers`), by what they earn in the
    lessons.
    """
    steps = iter(range(task.horizon))

    def random(state: Batch, rows: NDArray[np.int64]) -> NDArray[Any]:
        seed = hash_seed(settings.seed, "random", next(steps))
        return task.random_answers(state, Stream(settings.split, np.full(len(rows), seed), rows))

    def always(answer: Any) -> Rewards:
        array = np.asarray(answer, task.action_space.dtype)
        return returns_of(task, test, lambda _, rows: np.repeat(array[None], len(rows), axis=0))

    rewards = {"random": returns_of(task, test, random), "constant": always(task.example())}
    rewards["majority"] = always(commonest(task, train))
    if HABIT in test.memory:  # what words alone say, where a task declares how often that is right
        rewards["words alone"] = returns_of(task, test, lambda state, _: state.memory[HABIT])
    if task.horizon == 1 and not task.parts:
        listed = blind.all_answers(task)
        tried = task.blind_answers() if listed is None else listed
        few = train.rows(slice(SEARCHED))
        paid = [float(task.score(np.repeat(answer[None], len(few), axis=0), few).reward.mean()) for answer in tried]
        rewards["best fixed"] = always(tried[int(np.argmax(paid))])
    return rewards


def commonest(task: Task, batch: Batch) -> NDArray[Any]:
    """Return the commonest right answer; the mean of those that are no integers."""
    answers = task.oracle(batch)
    if answers.dtype.kind == "f":
        return np.asarray(answers.mean(axis=0))
    values, counts = np.unique(answers, axis=0, return_counts=True)
    return np.asarray(values[counts.argmax()])


def shortcut_table(task: Task, train: Batch, test: Batch) -> dict[str, dict[str, Any]]:
    """Return what each solver earns, whether that is more than chance, and why that is accepted, if it is."""
    table = {}
    clusters = clusters_of(task, test)
    for name, rewards in measure_all(task, train, test).items():
        entry = summary(rewards, clusters, task.chance)
        documented = None if must_be_blind(name, task) else task.reason_for(name)
        table[name] = {**entry, "beats_chance": entry["errors_above"] > SHORTCUT_ERRORS, "documented": documented}
    return table


def must_be_blind(solver: str, task: Task) -> bool:
    """Return whether a solver may earn nothing, whatever is documented: over noise, where what it sees would be a trace."""
    if not over_noise(task):
        return False
    return asks_what_is_upright(task) or (solver in TRACES and not _is_one_of(task, SHOW_TWICE))


def asks_what_is_upright(task: Task) -> bool:
    """Return whether a task asks, of one picture, how things look in the world."""
    return len(task.images) == 1 and _is_one_of(task, UPRIGHT)


def _is_one_of(task: Task, names: tuple[str, ...]) -> bool:
    return any(cls.__name__ in names for cls in type(task).__mro__)


def over_noise(task: Task) -> bool:
    """Return whether a task is over a source without content."""
    return source_name(task) in NOISES


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
    for solver, entry in result["shortcuts"].items():
        if entry["beats_chance"] and entry["documented"] is None:
            found.append(
                f"{name}: {solver!r} earns {entry['reward']:.3f} on {result['source']}, chance is {chance:.3f}, "
                "and that is not documented as legitimate"
            )
    for style, kinds in result["conformance"].items():
        for kind, entry in kinds.items():
            if entry["paid"]:
                found.append(
                    f"{name}: {entry['paid']} of {entry['tried']} replies of kind {kind!r} ({style}) count as answers"
                )
    return found


def clusters_of(task: Task, batch: Batch) -> NDArray[np.int64]:
    """Return what questions share, (n,): the photograph, or the item; a number of its own where there is neither."""
    items, inside = batch.items, innermost(task)
    if isinstance(inside, ImageTask):
        items = inside.source.photographs(items)
    return np.where(batch.items < 0, items.max(initial=0) + 1 + np.arange(len(items)), items)


def summary(rewards: Rewards, clusters: NDArray[np.int64], chance: float) -> dict[str, Any]:
    """Return a mean reward, its 95 % interval, and by how many standard errors it is above chance, all by clusters."""
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


def noises_of(task: Task) -> list[str]:
    """Return the names of the noises that a task is audited on; where nothing at all may solve it all, of graphs none.

    Nor of tasks that ask what the drawer of a picture knows, who draws no noise.
    """
    if not isinstance(innermost(task), ImageTask) or not solvers_of(task) or _is_one_of(task, COMPARE):
        return []
    if innermost(task).sources is not PICTURES:
        return []
    return list(NOISES) if asks_what_is_upright(task) else [NOISE]


def noise_for(task: ImageTask[Any], name: str) -> ImageSource:
    """Return noise of the size that a task can draw its views from: turns by fine angles take larger pictures."""
    fine = not getattr(task, "exact", True)
    return noise(name, max(NOISES[name].side, 2 * task.image_size) if fine else None)


def source_name(task: Task) -> str:
    """Return the name of a task's source, or of those of its parts."""
    if task.parts:
        return ", ".join(dict.fromkeys(source_name(part) for part in task.parts))
    inside = innermost(task)
    return inside.source.name if isinstance(inside, (ImageTask, GraphTask)) else ""


def innermost(task: Task) -> Task:
    """Return the one task that asks, inside of others."""
    while isinstance(task, Composite) and len(task.tasks) == 1:
        task = task.tasks[0]
    return task


def acceptance(task: Task, split: str) -> float | dict[str, float] | None:
    """Return the share of drafts that can be asked about; of a mixture, by part."""
    if task.parts:
        parts = [part for part in task.parts if isinstance(part, ImageTask)]
        return {type(part).__name__: part.acceptance(split) for part in parts}
    return task.acceptance(split) if isinstance(task, ImageTask) else None
