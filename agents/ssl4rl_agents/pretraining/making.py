"""Pretraining: cross-entropy over captions and answers, the last steps of it with unrelated pictures, into a run folder.

What comes of it sees, and follows the words where they say something else than the picture: a model with habits to cure.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.ppo.supervised import CrossEntropy
from ssl4rl_agents.pretraining.habits import measure_habits
from ssl4rl_agents.pretraining.lessons import Answers, Lessons, NamedCaptions, Practice, Rows, SceneCaptions, steps_of
from ssl4rl_agents.pretraining.models import RATE, build_model, learning_groups, policy_settings, words_of
from ssl4rl_agents.pretraining.named_pictures import named_source
from ssl4rl_agents.pretraining.settings import NANO, PretrainConfig
from ssl4rl_agents.runs import checkpoint
from ssl4rl_agents.runs.content import content_of
from ssl4rl_agents.runs.folder import claim, settle
from ssl4rl_agents.runs.metrics import Display, MetricsLog
from ssl4rl_agents.runs.pretrained_on import pretrained_on, write_pretrained
from ssl4rl_agents.runtime.device import autocast, peak_memory
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.optimizer import Skips
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import OptimizerConfig, RolloutConfig, TrainConfig
from ssl4rl_envs import Task, hash_seed, make_task
from ssl4rl_envs.multiple_choice import MOST_LETTERS
from ssl4rl_envs.sources.scenes import scenes
from ssl4rl_envs.telling import waiting

ENV = "SSL4RL/SceneQA-v0"
"""What a model is asked while it is pretrained."""

SCENES = "scenes"

WARMUP, FALL, LAST = 50, 0.2, 0.05
"""Steps over which the step size rises, the share of all steps at the end over which it falls, and to which share. In between
it stays: what is to be seen of a picture is learned at once after hundreds of steps, and a step size that falls before is in
the way."""

EVERY = 10
"""Steps between lines of numbers."""


@dataclass(frozen=True)
class Course:
    """Lessons of one kind in a pretraining.

    Args:
        lessons: what is shown.
        share: of the steps.
        told: what `pretrained_on` says of them.
    """

    lessons: Lessons
    share: float
    told: dict[str, Any]


def question_arguments(settings: PretrainConfig, **more: Any) -> dict[str, Any]:
    """Return the arguments of the task whose questions are asked, balanced unless a bias is among `more`."""
    given = {"image_size": settings.image_size, "kinds": settings.kinds, "wording": settings.wording, **more}
    return {**given, "multiple_choice": True} if settings.multiple_choice else given


def other_task(settings: PretrainConfig, name: str) -> Task:
    """Make one of the tasks that will be asked, with its answers as options where that is wanted and they can be listed."""
    task = make_task(name)
    listed = settings.multiple_choice and task.horizon == 1 and 0 < task.most_offered <= MOST_LETTERS
    return make_task(name, multiple_choice=True) if listed else task


@dataclass(frozen=True)
class Phase:
    """Steps of one kind, one after the other.

    Args:
        steps: how many.
        courses: what is shown, their shares 1 together.
        unrelated: the share of the rows whose picture is another row's.
        learning_rate: largest step size.
    """

    steps: int
    courses: list[Course]
    unrelated: float
    learning_rate: float


def phases_of(settings: PretrainConfig, others: list[Task]) -> list[Phase]:
    """Return the phases of a pretraining that have steps: first what is to be seen, then what words tell.

    Args:
        settings: of the pretraining.
        others: tasks whose answers are practised.
    """
    rows = (
        ("seeing", settings.steps, settings.first_bias, 0.0, settings.learning_rate),
        ("unrelated", settings.unrelated_steps, settings.bias, settings.unrelated, settings.unrelated_learning_rate),
    )
    return [
        Phase(steps, courses(settings, bias, others, hash_seed(settings.seed, name)), unrelated, rate)
        for name, steps, bias, unrelated, rate in rows
        if steps
    ]


def courses(settings: PretrainConfig, bias: float, others: list[Task], seed: int) -> list[Course]:
    """Return all lessons of a phase with their shares, the questions first.

    Args:
        settings: of the pretraining.
        bias: of the questions.
        others: tasks whose answers are practised.
        seed: of all that is shown.
    """
    arguments = question_arguments(settings, bias=bias)
    task = make_task(ENV, **arguments)
    found: list[Course] = []
    practice = settings.practice if others else 0.0
    for number, other in enumerate(others if practice else []):
        told = {"practice": settings.tasks[number]}
        found.append(Course(Practice(other, hash_seed(seed, "practice", number)), practice / len(others), told))
    about = [*([SCENES] if settings.aspects else []), *([settings.pictures] if settings.pictures else [])]
    for pictures in about if settings.captions else []:
        found.append(Course(_captions(settings, pictures, seed), settings.captions / len(about), {"captions": pictures}))
    rest = 1.0 - sum(course.share for course in found)
    return [Course(Answers(task, hash_seed(seed, "questions")), rest, {"env": ENV, "env_args": arguments}), *found]


def _captions(settings: PretrainConfig, pictures: str, seed: int) -> Lessons:
    seed = hash_seed(seed, "captions", pictures)
    if pictures == SCENES:
        return SceneCaptions(scenes(), settings.image_size, settings.aspects, seed)
    source, names = named_source(pictures)
    return NamedCaptions(source, names, settings.image_size, seed)


def run_settings(settings: PretrainConfig) -> TrainConfig:
    """Return the settings by which a run folder says where its model was trained: on balanced questions, supervised."""
    return TrainConfig(
        env=ENV,
        env_args=question_arguments(settings),
        algorithm="sft",
        iterations=settings.total,
        seed=settings.seed,
        device=settings.device,
        format_warmup=0,
        policy=policy_settings(settings),
        rollout=RolloutConfig(prompts=settings.batch, group_size=1),
        optimizer=OptimizerConfig(learning_rate=settings.learning_rate, epochs=1, minibatches=1),
    ).resolved(anew=False)


def pretrain(settings: PretrainConfig, out: str | Path, *, overwrite: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Make a model and leave it in a run folder; see `Pretraining`. Returns what its `run` does."""
    return Pretraining(settings, out, overwrite=overwrite, quiet=quiet).run()


class Pretraining:
    """Makes a model and leaves it in a run folder.

    Args:
        settings: of the pretraining.
        out: the run folder; with config.json, pretrained.json, metrics.jsonl and checkpoints/.
        overwrite: delete the run that is in `out`, once everything that the new one needs has been built.
        quiet: show no progress.

    Raises:
        FileExistsError: `out` holds a run that is not to be overwritten, or something else.
        InUseError: somebody else is at work in `out`.
        ValueError: there are no such kinds of questions, tasks or pictures.
    """

    def __init__(self, settings: PretrainConfig, out: str | Path, *, overwrite: bool = False, quiet: bool = False) -> None:
        self.settings, self.out, self._quiet = settings, Path(out), quiet
        self.processes = Processes(settings.device)
        if self.processes.count > 1:
            raise ValueError("a pretraining takes one process; start it without a launcher")
        self.config = run_settings(settings)
        self.lock = claim(self.out, self.processes, resume=False, overwrite=overwrite)
        self._claim = ExitStack()
        self._claim.callback(self.lock.release)
        try:
            self._prepare()
            settle(self.out, self.lock, self.config, self.processes, resume=False, overwrite=overwrite)
            told = told_of(self.phases)
            before = [] if self.config.policy.start is None else pretrained_on(Path(self.config.policy.start))
            write_pretrained(self.out, [*before, *told], settings.to_json())
        except BaseException:
            self._claim.close()
            raise

    def _prepare(self) -> None:
        settings = self.settings
        self.task = make_task(ENV, **question_arguments(settings))
        others = [other_task(settings, name) for name in settings.tasks]
        self.phases = phases_of(settings, others)
        lessons = [course.lessons for course in self.phases[-1].courses]
        with waiting(f"building the model {settings.model}"):
            texts = words_of(lessons, others, settings.seed) if settings.model == NANO and settings.start is None else []
            self.policy: VLMPolicy = build_model(settings, self.task, texts, self.processes.device)
            self.policy.decoder.make_same_passes()  # one reply to each prompt: one pass over both is the faster
        learning = learning_groups(self.policy, settings)
        # One kernel for all weights, which many weights or a GPU have use for.
        fused = self.processes.device.type == "cuda" or not self.config.policy.is_nano or None
        self.optimizer = torch.optim.AdamW(learning, lr=0.0, betas=(0.9, 0.98), weight_decay=0.01, fused=fused)
        self.parameters = sum(parameter.numel() for parameter in self.policy.model.parameters())

    def run(self) -> dict[str, Any]:
        """Take all steps and save; return steps, seconds and the last loss.

        Raises:
            DivergedError: too many steps had gradients that are not finite.
            InUseError: the folder was deleted or replaced meanwhile.
        """
        settings, skips = self.settings, Skips()
        micro_batches = MicroBatches(settings.batch, self.processes)
        steps = CrossEntropy(self.policy, self.optimizer, 1.0, micro_batches, self.processes, skips)
        counters: dict[str, Any] = {"seconds": 0.0, "episodes": 0, "tokens": 0, "skipped_steps": 0, "best": None}
        start, recent, done = time.perf_counter(), Losses(), 0
        log = MetricsLog(self.out, 0)
        showing = Display("pretraining", settings.total, quiet=self._quiet)
        with self.lock, self._claim, closing(log), closing(self._lessons()) as lessons, showing as display:
            for course, rows, rate in lessons:
                recent.note(course, self._step(steps, rows, rate))
                done += 1
                if done % EVERY and done < settings.total:
                    continue
                counters["seconds"] = time.perf_counter() - start
                values = {**recent.means(), **self._values(done, counters["seconds"])}
                log.write(done, values)
                display.update(done, values)
            counters |= {"episodes": settings.total * settings.batch, "skipped_steps": sum(skips.recent)}
            counters |= {"sources": content_of(self.task), "skipped_recently": skips.recent}
            folder = self.out / "checkpoints"
            checkpoint.save(folder, settings.total, self.policy, self.optimizer, counters, self.processes, lock=self.lock)
        return {"out": str(self.out), "parameters": self.parameters, "steps": settings.total, "seconds": counters["seconds"]}

    def habits(self) -> dict[str, dict[str, Any]]:
        """Return what the model makes of balanced questions, of all and by kind; see `measure_habits`."""
        found = measure_habits(self.policy, self.task, self.settings.test_questions)
        return {kind: dataclasses.asdict(habits) for kind, habits in found.items()}

    def _lessons(self) -> Generator[tuple[Course, Rows, float]]:
        for number, phase in enumerate(self.phases):
            seed = hash_seed(self.settings.seed, "order", number)
            with closing(steps_of_phase(phase, self.settings.batch, seed)) as steps:
                yield from steps

    def _step(self, steps: CrossEntropy, rows: Rows, rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group[RATE]
        with autocast(self.policy, self.processes.device):
            inputs = self.policy.encode(rows.observations)
        loss, _ = steps.descend(inputs, rows.replies)
        return float(loss)

    def _values(self, done: int, seconds: float) -> dict[str, float]:
        episodes = done * self.settings.batch
        return {
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "seconds": seconds,
            "episodes": episodes,
            "episodes_per_second": episodes / seconds,
            "memory_mb": peak_memory(self.processes.device),
        }


class Losses:
    """Losses since they were last asked for, by what was shown."""

    def __init__(self) -> None:
        self._found: dict[str, list[float]] = {}

    def note(self, course: Course, loss: float) -> None:
        """Keep the loss of a step."""
        self._found.setdefault(f"loss/{name_of(course.told)}", []).append(loss)

    def means(self) -> dict[str, float]:
        """Return the mean loss by name, and forget them."""
        found, self._found = self._found, {}
        return {name: float(np.mean(losses)) for name, losses in found.items()}


def steps_of_phase(phase: Phase, batch: int, seed: int) -> Generator[tuple[Course, Rows, float]]:
    """Yield what each step of a phase shows, and its step size.

    Args:
        phase: its lessons come as often as their shares say, in a random order.
        batch: rows of a step.
        seed: decides the order.
    """
    order = which_lessons([course.share for course in phase.courses], phase.steps, seed).tolist()
    with closing(steps_of([course.lessons for course in phase.courses], order, batch)) as shown:
        for number, (which, rows) in enumerate(zip(order, shown, strict=True)):
            yield phase.courses[which], rows.unrelated(phase.unrelated), rate_at(number, phase.steps, phase.learning_rate)


def told_of(phases: list[Phase]) -> list[dict[str, Any]]:
    """Return what `pretrained_on` says: each lesson once, with its share of all steps."""
    total = sum(phase.steps for phase in phases)
    shares: dict[str, tuple[dict[str, Any], float]] = {}
    for phase in phases:
        for course in phase.courses:
            told, share = shares.get(repr(course.told), (course.told, 0.0))
            shares[repr(course.told)] = (told, share + course.share * phase.steps / total)
    return [{**told, "share": round(share, 6)} for told, share in shares.values()]


def name_of(told: dict[str, Any]) -> str:
    """Return what lessons are called in metrics."""
    if "practice" in told:
        return f"practice of {told['practice']}"
    return "answers" if "env" in told else "captions" if told["captions"] == SCENES else "names"


def which_lessons(shares: list[float], total: int, seed: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return which lessons each of `total` steps shows, (total,): as often as their shares say, and in a random order.

    Args:
        shares: of all lessons, together 1.
        total: steps.
        seed: decides the order.
    """
    bounds = np.cumsum(shares)
    spread = np.searchsorted(bounds, (np.arange(total) + 0.5) / total * bounds[-1], side="right")
    return np.random.default_rng(seed).permutation(np.minimum(spread, len(shares) - 1))


def rate_at(number: int, total: int, most: float) -> float:
    """Return the step size of a step, counted from 0: it rises over `WARMUP` steps, stays, and falls in a line at the end."""
    rise = min(1.0, (number + 1) / WARMUP)
    fall = min(1.0, max(LAST, (total - number) / (FALL * total)))
    return most * rise * fall
