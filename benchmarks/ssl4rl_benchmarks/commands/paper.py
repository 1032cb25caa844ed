"""``ssl4rl paper images|graphs|audit``: the paper's two halves, and its rewards and data under our audit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from ssl4rl_benchmarks.bench.executors import LocalExecutor
from ssl4rl_benchmarks.bench.rows import FILE, Row, Rows, read_rows
from ssl4rl_benchmarks.bench.sweep import WORK, sweep
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, require, wants_help
from ssl4rl_benchmarks.commands.sweeping import cores_of
from ssl4rl_benchmarks.paper.cost import CARD, hours_of_run
from ssl4rl_benchmarks.paper.declaration import HALVES, QUESTIONS, Half
from ssl4rl_benchmarks.paper.trials import Asked, Trial, trials_of
from ssl4rl_benchmarks.screen import columns, width
from ssl4rl_envs.telling import tell, waiting

AUDIT = "audit"


@dataclass(frozen=True)
class PaperFlags:
    """Which part of a half is done, by which model, over which data, and how large."""

    size: Literal["toy", "small", "full"] = "toy"
    """toy: a nano over small pictures, minutes on two cores; small: the paper's 512 questions an iteration and its 300
    iterations, by models that are built in; full: the paper's model and lengths, which takes a GPU."""
    model: tuple[str, ...] = ()
    """What learns: nano, gcn or another built-in model, a folder or hub name of transformers, or a run folder to start from;
    gcn+nano and the like, a language model that reads tokens of a graph network; several of them side by side. By default the
    size's."""
    source: str = ""
    """Pictures, or a graph, e.g. 'folder:PATH?side=native' or cora. By default the size's; full needs pictures of yours."""
    task: tuple[str, ...] = ()
    """Only these tasks: position, rotation, contrastive, jigsaw; or edge, attribute, neighbourhood."""
    ablation: tuple[str, ...] = ()
    """Parts beside or instead of the main one: main, difficulty, model, volume, of images mixture, and of graphs transfer."""
    beyond: tuple[str, ...] = ()
    """What else is measured before and after, by name: links:cora@250, 'task:GraphDistance over karate', probe:digits@10."""
    across: tuple[str, ...] = ()
    """Other graphs that models are asked about before and after, e.g. sbm:1000 cora."""
    seeds: int | None = None
    """Of each run; by default the size's."""
    iterations: int | None = None
    """Of each run; by default the size's."""
    image_size: int | None = None
    """Side of the pictures in pixels, lowered to what a task can cut into its parts; by default the size's."""
    episodes: int | None = None
    """Held-out questions that each model is asked before and after; by default the size's."""
    settings: Path | None = None
    """A .json file of settings of the trainer, nested as in a run's config.json, that are put over all others."""
    out: Path | None = None
    """Where rows.jsonl, the runs and the report go; bench/paper-HALF by default. What was killed goes on from there."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where networks learn."""
    cores: int | None = None
    """Cores to use, all by default."""
    threads: int = 1
    """Threads of each run."""
    plan: bool = False
    """Do nothing, and say what would be done, and of full size about how long it takes."""
    retry_failed: bool = False
    """Do failed runs again."""
    rows: tuple[Path, ...] = ()
    """Do nothing, and report over the rows of these files or folders."""
    publish: Path | None = None
    """Also write the report into this folder."""
    json: bool = False
    """Print what came out as JSON."""


@dataclass(frozen=True)
class AuditFlags:
    """What the paper's rewards pay, what its data tells, and the same of our environments."""

    episodes: int = 2048
    """Questions that are put to each of our environments."""
    out: Path | None = None
    """Also write the table into this file, as Markdown."""
    json: bool = False
    """Print it as JSON."""


def run(arguments: list[str]) -> Outcome:
    """Do what a call names; the status is 1 where a run failed."""
    text = "The paper's two halves by our environments and trainer, or its rewards and data under our audit."
    usage = f"ssl4rl paper {'|'.join((*HALVES, AUDIT))}"
    if wants_help(arguments):
        known = "; ".join(f"{half}: {', '.join(question.name for question in QUESTIONS[half])}" for half in HALVES)
        flags.parse(PaperFlags, arguments, usage, f"{text} Tasks of {known}")
    if not arguments or arguments[0] not in (*HALVES, AUDIT):
        raise UserError(f"say which part of the paper: {usage}")
    if arguments[0] == AUDIT:
        return _audit(flags.parse(AuditFlags, arguments[1:], "ssl4rl paper audit", AuditFlags.__doc__ or "").command)
    half = cast(Half, arguments[0])
    given = flags.parse(PaperFlags, arguments[1:], f"ssl4rl paper {half}", text).command
    require(f"paper {half}")
    rows = paper(half, given)
    return Outcome(int(any(row.get("status", "done") != "done" for row in rows)), rows, given.json)


def paper(half: Half, given: PaperFlags) -> list[Row]:
    """Do a half, or a part of it; return the rows, or the plan."""
    trials = trials_of(asked_of(half, given))
    if given.plan:
        return _planned(trials, given)
    out = given.out or Path("bench") / f"paper-{half}"
    if given.rows:
        rows = shown = read_rows(given.rows)
    else:
        kept = Rows(out)
        executor = LocalExecutor(out.absolute() / WORK, cores_of(given.cores), given.threads, given.device)
        rows = sweep(trials, kept, executor, retry_failed=given.retry_failed, told=tell)
        shown = [row for row in kept.all() if row["suite"] == f"paper {half}"]  # a part adds to the report of the whole
    from ssl4rl_benchmarks.reports.paper import write_report

    with waiting("writing the report"):
        tables = [write_report(half, shown, folder) for folder in (out, given.publish) if folder is not None]
    if not given.json:
        failed = sum(row["status"] != "done" for row in rows)
        print(f"{len(rows)} rows, {failed} of them failed: {out / FILE}; report: {tables[0]}")
    return rows


def asked_of(half: Half, given: PaperFlags) -> Asked:
    """Return what the flags of a call ask for.

    Raises:
        OSError, ValueError: the file of settings cannot be read.
    """
    settings: Any = {}
    if given.settings is not None:
        try:
            settings = json.loads(given.settings.read_text())
        except ValueError as error:
            raise ValueError(f"{given.settings} is no JSON: {error}") from error
        if not isinstance(settings, dict):
            raise ValueError(f"{given.settings} must hold an object of settings, as a run's config.json, got {settings!r}")
    numbers = {name: getattr(given, name) for name in ("iterations", "image_size", "episodes")}
    words = [word for name, value in numbers.items() if value for word in (f"--{name.replace('_', '-')}", str(value))]
    words += [] if given.settings is None else ["--settings", str(given.settings)]
    words += [word for name in ("beyond", "across") if getattr(given, name) for word in (f"--{name}", *getattr(given, name))]
    return Asked(
        half,
        given.size,
        given.model,
        given.source,
        given.task,
        given.ablation,
        given.seeds,
        **numbers,
        settings=settings,
        beyond=given.beyond,
        across=given.across,
        words=tuple(words),
    )


TOKENS = (150, 2048)
"""Of an answer: a paragraph of thinking; as many as there may be."""


def _planned(trials: list[Trial], given: PaperFlags) -> list[dict[str, Any]]:
    """Say what would be done."""
    found = []
    for trial in trials:
        config = trial.config
        sizes = config["iterations"], config["rollout"]["prompts"], config["rollout"]["group_size"]
        hours = [round(hours_of_run(*sizes, tokens), 1) for tokens in TOKENS] if given.size == "full" else None
        found.append({"key": trial.key, **trial.named, "iterations": sizes[0], "hours": hours, "command": trial.command})
    if not given.json:
        rows = [("run", "seed", "iterations", "hours")]
        for each in found:
            said = "" if each["hours"] is None else " to ".join(f"{value:g}" for value in each["hours"])
            rows.append((each["agent"], str(each["seed"]), str(each["iterations"]), said))
        print(columns(rows, width()))
        if given.size == "full":
            print(f"hours: about, by what was measured with {CARD}, for answers of {TOKENS[0]} to {TOKENS[1]} tokens")
    return found


def _audit(given: AuditFlags) -> Outcome:
    from ssl4rl_benchmarks.paper.audit import audit, table

    with waiting("asking our environments"):
        found = audit(given.episodes)
    if given.out is not None:
        given.out.write_text(table(found))
    if not given.json:
        print(table(found), end="")
    return Outcome(0, [asdict(each) for each in found], given.json)
