"""Trials: a model that learns a task of the paper, or one that an ablation changed; as data, each done once by its key."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ssl4rl_agents.policy_settings import BUILT_IN, GRAPH_MODELS
from ssl4rl_agents.runs.folder import is_run, read_config
from ssl4rl_agents.settings import TrainConfig, merged
from ssl4rl_benchmarks.bench.grid import Plain, short
from ssl4rl_benchmarks.bench.names import name_of
from ssl4rl_benchmarks.paper.declaration import (
    ABLATIONS,
    ACROSS,
    LEARNING_RATE,
    MAIN,
    QUESTIONS,
    TRAINER,
    TRANSFER,
    Beyond,
    Change,
    Half,
    Question,
    question_of,
)
from ssl4rl_benchmarks.paper.sizes import SIZES, Size
from ssl4rl_envs.arguments import Checked, whole_number

KEY = 16
"""Hexadecimal digits of a trial's key."""

REVISION = 1
"""Of all that decides a trial and is not written in it; see `bench.grid.REVISION`."""


@dataclass(frozen=True)
class Asked(Checked):
    """What a call asks for.

    Args:
        half: of the paper.
        size: how large.
        models: that learn; the size's where none is named.
        source: of pictures, or the graph; the size's where none is named.
        tasks, ablations: only these; all tasks, and the main part, where none is named.
        seeds, iterations, image_size, episodes: other than the size's.
        settings: of the trainer, nested, over all others.
        beyond: what else is measured before and after, see `bench.names`; besides what an ablation names.
        across: other graphs that models are asked about; where none is named, the ablation "transfer" takes the size's.
        words: of the call that say so, for the record.
    """

    half: Half
    size: str = "toy"
    models: tuple[str, ...] = ()
    source: str = ""
    tasks: tuple[str, ...] = ()
    ablations: tuple[str, ...] = ()
    seeds: int | None = None
    iterations: int | None = None
    image_size: int | None = None
    episodes: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    beyond: tuple[str, ...] = ()
    across: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Look at all fields, as `Checked` does, and at what they name."""
        super().__post_init__()
        if self.size not in SIZES:
            raise ValueError(f"--size must be one of {', '.join(SIZES)}, got {self.size}")
        for task in self.tasks:
            question_of(self.half, task)
        there = ABLATIONS[self.half]
        for name in self.ablations:
            if name not in there:
                raise ValueError(f"--ablation must be one of {', '.join(there)}, got {name}")
        for name in ("seeds", "iterations", "image_size", "episodes"):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name), 1)
        for name in self.beyond:
            name_of(name)
        if self.across and self.half != "graphs":
            raise ValueError("--across names other graphs, and belongs to the half graphs; --beyond measures pictures")
        if not self.source and not self.sized.sources[self.half]:
            raise ValueError(
                f"--size {self.size} needs pictures of yours: --source 'folder:PATH?side=native' keeps each at its own size"
            )

    @property
    def sized(self) -> Size:
        """How large everything is."""
        return SIZES[self.size]


@dataclass(frozen=True)
class Trial(Plain):
    """One run.

    Args:
        half: of the paper.
        ablation: which part of it.
        task: whose question.
        change: what is other about it; empty in the main part.
        model: what learns.
        config: all settings of the run, as of `TrainConfig`.
        episodes: held-out questions, before and after.
        beyond: what else is measured before and after, see `bench.names`.
        command: what does it again.
        revision: see `REVISION`.
    """

    worker: ClassVar[str] = "ssl4rl_benchmarks.paper.worker"

    half: Half
    ablation: str
    task: str
    change: str
    model: str
    config: dict[str, Any]
    episodes: int
    beyond: tuple[str, ...] = ()
    command: str = ""
    revision: int = REVISION

    @property
    def key(self) -> str:
        """Name of the trial: a digest of all that decides its outcome, and of nothing else."""
        decides: list[Any] = [self.config, self.episodes, self.revision]
        decides += [self.beyond] if self.beyond else []  # rows without keep the names they have
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:KEY]

    @property
    def named(self) -> dict[str, Any]:
        """What tables call it."""
        return {
            "suite": f"paper {self.half}",
            "env": self.config["env"],
            "agent": f"{self.model}, {self.task}" + f": {self.change}" * bool(self.change),
            "seed": self.config["seed"],
            "ablation": self.ablation,
            "task": self.task,
            "change": self.change,
            "model": self.model,
        }


def trials_of(asked: Asked) -> list[Trial]:
    """Return the runs that a call asks for, those of one question side by side."""
    seeds = asked.sized.seeds if asked.seeds is None else asked.seeds
    models = asked.models or asked.sized.models[asked.half]
    return [
        _trial(asked, ablation, question, change, model, seed)
        for ablation in asked.ablations or (MAIN,)
        for question, change in _varied(asked, ABLATIONS[asked.half][ablation])
        for seed in range(seeds)
        for model in models
        if not change.arrays or reads(model) == "arrays"
    ]


def _varied(asked: Asked, changes: Sequence[Change]) -> Iterator[tuple[Question, Change]]:
    """Give the questions that an ablation asks, each with what is other about it."""
    for change in changes:
        if change.env:  # a mixture, which is no task of its own
            if not asked.tasks:
                yield Question(change.tasks[0], change.env, "", "", cells=change.cells), change
            continue
        for question in QUESTIONS[asked.half]:
            if question.name in (asked.tasks or (question.name,)) and question.name in (change.tasks or (question.name,)):
                yield question, change


def _trial(asked: Asked, ablation: str, question: Question, change: Change, model: str, seed: int) -> Trial:
    words = ["ssl4rl", "paper", asked.half, "--size", asked.size, "--ablation", ablation, "--model", model]
    words += ["--task", question.name] * (not change.env) + ["--source", asked.source] * bool(asked.source)
    settings = settings_of(asked, question, change, model, seed)
    episodes = asked.episodes or asked.sized.episodes
    command = shlex.join([*words, *asked.words])
    beyond = beyond_of(asked, question, change, model)
    return Trial(asked.half, ablation, question.name, change.name, model, settings, episodes, beyond, command)


def reads(model: str) -> str:
    """Return what a model reads: "arrays" or "words"."""
    if is_run(Path(model)):
        return "arrays" if read_config(Path(model)).policy.interface == "array" else "words"
    return "arrays" if model in GRAPH_MODELS else "words"


def beyond_of(asked: Asked, question: Question, change: Change, model: str) -> tuple[str, ...]:
    """Return the names of what is measured of a model beside the task, each once."""
    own = asked.source or asked.sized.sources[asked.half]
    across = asked.across or (asked.sized.across if change.transfers else ())

    def named(wanted: Sequence[Beyond], source: str) -> Iterator[str]:
        for each in wanted:
            if each.reads in ("", reads(model)) and question.name in (each.tasks or (question.name,)):
                yield each.name.format(source=source, env=short(question.env))

    found = [*asked.beyond, *(named(TRANSFER, own) if change.transfers else ())]
    found += [name for source in across if source != own for name in named(ACROSS, source)]
    return tuple(dict.fromkeys(found))


def settings_of(asked: Asked, question: Question, change: Change, model: str, seed: int) -> dict[str, Any]:
    """Return all settings of a run, as of `TrainConfig.to_json`.

    Raises:
        TypeError, ValueError: those of the call are no settings of the trainer.
    """
    size = asked.sized
    iterations = max(1, round((asked.iterations or size.iterations) * change.share))
    shown = {**question.args, **change.args, "source": asked.source or size.sources[asked.half]}
    if asked.half == "images":
        wanted, cells = asked.image_size or size.image_size, change.cells or question.cells
        shown["image_size"] = wanted - wanted % cells
    else:
        shown |= size.args
    own = {
        "env": question.env,
        "env_args": shown,
        "iterations": iterations,
        "seed": seed,
        "eval_every": iterations,  # of validation questions; the test questions are asked before and after
        "rollout": {"prompts": size.prompts},
    }
    network = _network(model, size.larger[asked.half] if change.larger else {})
    changed = merged(network, change.settings)
    settings = merged(merged(merged(merged(TRAINER, size.settings), own), changed), asked.settings)
    plain: dict[str, Any] = json.loads(json.dumps(TrainConfig.from_json(_readable(settings)).to_json()))
    return plain


def _network(model: str, larger: dict[str, Any]) -> dict[str, Any]:
    """Return which network learns, and how fast one that was pretrained does.

    A graph network and a language model joined by "+" are one that reads the other's tokens.
    """
    network, plus, reader = model.partition("+")
    if plus and network in GRAPH_MODELS:
        wider = {name: value for name, value in larger.items() if name.startswith("gnn_")}
        return merged(_network(reader, larger), {"policy": {"graph_tokens": network, **wider}})
    if model in BUILT_IN:
        own = "gnn_" if model in GRAPH_MODELS else "nano_"
        return {"policy": {"model": model} | {name: value for name, value in larger.items() if name.startswith(own)}}
    if is_run(Path(model)):
        return {"policy": {"start": str(Path(model).absolute())}}
    folder = str(Path(model).absolute()) if Path(model).is_dir() else larger.get("model", model)
    return {"policy": {"model": folder}, "optimizer": {"learning_rate": LEARNING_RATE}}


OF_WORDS = ("prompt_style",)
OF_WORDS_POLICY = ("max_new_tokens", "gradient_checkpointing")


def _readable(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out settings that mean nothing to a network, since the trainer refuses them: words to graph networks, ..."""
    policy = settings["policy"]
    model = policy.get("model")
    left = dict(settings)
    if model in GRAPH_MODELS:
        left = {name: value for name, value in left.items() if name not in OF_WORDS}
        policy = {name: value for name, value in policy.items() if name not in OF_WORDS_POLICY}
    if model != "nano":
        policy = {name: value for name, value in policy.items() if not name.startswith("nano_")}
    return {**left, "policy": policy}
