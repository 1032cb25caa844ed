"""Trials: a base, or what was done with one; all of them as data, each with a key by which it is done once."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from ssl4rl_agents.settings import merged
from ssl4rl_benchmarks.bench.grid import Plain
from ssl4rl_benchmarks.better.declaration import BASE_TASKS, CONTROLS, PRETEXTS, QUESTIONS, TAUGHT, Control, Pretext
from ssl4rl_envs.arguments import Checked, whole_number

KEY = 16
"""Hexadecimal digits of a trial's key."""

BASE = "base"
"""What the arm is called in which nothing is trained."""

REVISION = 2
"""Of all that decides a trial and is not written in it; see `bench.grid.REVISION`."""


@dataclass(frozen=True)
class Study(Checked):
    """How large everything is.

    Args:
        image_size: side of all pictures, in pixels.
        source: of the pictures that are asked about in words.
        pretext_source: of those of the other pretexts; the same if empty.
        wording: of the questions about scenes, "plain" or "several".
        grounding: coefficient of the bonus for replies that depend on the picture.
        bias: in which share of a base's lessons the words tell the answer.
        pretraining: settings of `ssl4rl pretrain`, beside these.
        settings: of the trainer, nested as in a run's config.json, for all arms.
        iterations: of every arm.
        questions: of each kind, that a model is asked at the end.
        pretext_args: of environments that differ from those declared, by the name of the pretext.
    """

    image_size: int = 40
    source: str = "scenes"
    pretext_source: str = ""
    wording: str = "plain"
    grounding: float = 0.2
    bias: float = 0.8
    pretraining: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    iterations: int = 60
    questions: int = 1024
    pretext_args: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look at all fields, as `Checked` does, at the numbers, and at the names of pretexts."""
        super().__post_init__()
        known = [pretext.name for pretext in PRETEXTS]
        for name in self.pretext_args:
            if name not in known:
                raise ValueError(f"pretext_args has {name!r}, which is no pretext; there are {', '.join(known)}")
        for name in ("image_size", "iterations", "questions"):
            whole_number(name, getattr(self, name), 1)

    @property
    def pictures(self) -> dict[str, Any]:
        """Arguments of the questions about scenes."""
        return {"source": self.source, "image_size": self.image_size}

    @property
    def elsewhere(self) -> dict[str, Any]:
        """Arguments of the other tasks."""
        return {"source": self.pretext_source or self.source, "image_size": self.image_size}

    @property
    def listed(self) -> dict[str, Any]:
        """Arguments of all tasks that say how answers are given: bases that know options with letters are asked so."""
        return {"multiple_choice": True} if self.pretraining.get("multiple_choice") else {}


@dataclass(frozen=True)
class Stage(Checked):
    """Where an arm is trained for a while.

    Args:
        env, args: the environment.
    """

    env: str
    args: dict[str, Any]


@dataclass(frozen=True)
class Trial(Plain):
    """A base, or an arm from it.

    Args:
        base: which base, by its seed.
        arm: what tables call it; `BASE` where nothing is trained.
        seed: of the arm; of a base 0.
        control: what is done with the pretext's questions; empty for a base.
        pretext: the name of one of `PRETEXTS`; empty for a base.
        env, args: where the arm is trained.
        settings: of the trainer, nested.
        study: how large everything is.
        stages: where it is trained instead, one after the other, each in its share of the iterations; nowhere else if empty.
        command: what does it again.
        revision: see `REVISION`.
    """

    worker: ClassVar[str] = "ssl4rl_benchmarks.better.worker"

    base: int
    arm: str
    seed: int
    control: str
    pretext: str
    env: str
    args: dict[str, Any]
    settings: dict[str, Any]
    study: Study
    stages: tuple[Stage, ...] = ()
    command: str = ""
    revision: int = REVISION

    @property
    def is_base(self) -> bool:
        """Whether nothing is trained beyond the base."""
        return self.arm == BASE

    @property
    def base_key(self) -> str:
        """Name of the base's run: a digest of all that decides it."""
        study = self.study
        taught = [TAUGHT, list(BASE_TASKS)]
        return _digest([self.base, study.pictures, study.wording, study.bias, study.pretraining, taught, self.revision])

    @property
    def key(self) -> str:
        """Name of the trial: a digest of all that decides its outcome, and of nothing else."""
        study = self.study
        done: list[Any] = [
            self.control,
            self.pretext,
            self.env,
            self.args,
            self.settings,
            study.settings,
            study.iterations,
            self.seed,
            [asdict(stage) for stage in self.stages],
        ]
        return _digest([self.base_key, study.questions, *([] if self.is_base else done)])

    @property
    def named(self) -> dict[str, Any]:
        """What tables call it."""
        return {"suite": "better", "env": self.env or QUESTIONS, "agent": self.arm, "base": self.base, "seed": self.seed}


def _digest(decides: list[Any]) -> str:
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:KEY]


def bases_of(study: Study, bases: int) -> list[Trial]:
    """Return the bases alone."""
    whole_number("bases", bases, 1)
    return [_commanded(Trial(base, BASE, 0, "", "", "", {}, {}, study)) for base in range(bases)]


def arms_of(
    study: Study,
    bases: int,
    seeds: int,
    pretexts: Sequence[str] = (),
    controls: Sequence[str] = (),
) -> list[Trial]:
    """Return what is done with the bases: all of it, or the named pretexts and controls; one arm after the other.

    Raises:
        ValueError: there is no such pretext or control, or fewer than one base or seed.
    """
    whole_number("bases", bases, 1)
    whole_number("seeds", seeds, 1)
    known = {pretext.name: pretext for pretext in PRETEXTS}
    for what, names, there in (("pretext", pretexts, known), ("control", controls, CONTROLS)):
        unknown = [name for name in names if name not in there]
        if unknown:
            raise ValueError(f"there is no {what} {unknown[0]!r}; there are {', '.join(there)}")
    return [
        _commanded(arm_of(study, pretext, control, base, seed))
        for pretext in known.values()
        for control in CONTROLS
        for seed in range(seeds)
        for base in range(bases)
        if pretext.name in (pretexts or known) and control in (controls or CONTROLS) and control in pretext.controls
    ]


def arm_of(study: Study, pretext: Pretext, control: Control, base: int, seed: int) -> Trial:
    """Return what a control does with the questions of a pretext."""
    (env, args), settings = _where(study, pretext), pretext.settings
    if control in ("contrast", "own", "coin", "random", "format"):
        settings = merged(settings, {"control": {"reward": control}})
    elif control == "looking":
        bonus = {"grounding_coefficient": study.grounding}
        settings = merged(settings, {"control": {"reward": "coin"}, "objective": bonus})
    elif control == "blank":
        settings = merged(settings, {"control": {"pictures": "blank"}})
    elif control == "supervised":
        settings = {"algorithm": "sft"}
    elif control == "ceiling":
        env, args, settings = (
            QUESTIONS,
            {
                "kinds": "+".join(dict.fromkeys(name.split(",")[0] for name in pretext.near)),
                "wording": study.wording,
                **study.pictures,
                **study.listed,
            },
            {"algorithm": "sft"},
        )
    elif control == "captions":
        env, args = "", {}
    named = {each.name: each for each in PRETEXTS}
    stages = tuple(Stage(*_where(study, named[name])) for name in pretext.stages)
    return Trial(base, f"{pretext.name}, {control}", seed, control, pretext.name, env, args, settings, study, stages)


def _where(study: Study, pretext: Pretext) -> tuple[str, dict[str, Any]]:
    args = {**pretext.args, **study.pretext_args.get(pretext.name, {})}
    if pretext.env == QUESTIONS:
        return pretext.env, {**args, "bias": study.bias, "wording": study.wording, **study.pictures, **study.listed}
    return pretext.env, {**args, **study.elsewhere, **study.listed}


def with_settings(trial: Trial) -> dict[str, Any]:
    """Return all settings of the trainer that a trial sets, nested: the study's and its own."""
    return merged(trial.study.settings, trial.settings)


def _commanded(trial: Trial) -> Trial:
    words = ["ssl4rl", "better"]
    words += ["--pretext", trial.pretext, "--control", trial.control] if trial.pretext else []
    return replace(trial, command=shlex.join(words))
