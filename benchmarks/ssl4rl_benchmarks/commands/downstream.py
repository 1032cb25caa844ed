"""``ssl4rl eval RUN --downstream NAME[:PATH]``: questions that nobody was trained on, before and after training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ssl4rl_agents.runs.folder import is_run
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, quieten, require
from ssl4rl_benchmarks.commands.downstream_words import lines_of
from ssl4rl_envs import make_task, task_class
from ssl4rl_envs.answers import Grammar
from ssl4rl_envs.registration import env_id_of, short_name
from ssl4rl_envs.stream import Split
from ssl4rl_envs.telling import Progress, waiting

if TYPE_CHECKING:
    from ssl4rl_agents.choosing.records import Record
    from ssl4rl_agents.choosing.sets import EnvSet, FileSet
    from ssl4rl_agents.choosing.sides import Side
    from ssl4rl_agents.policies.policy import Policy
    from ssl4rl_envs import Task

FLAG = "--downstream"
HARNESSES = ("lmms-eval", "vlmevalkit")
TEXT = (
    "Put questions that a run was not trained on to it, as it was before training and as it is now: of an environment "
    "(SceneQA, SceneQA:colour, SceneQA:bias=0.8), of a file (PATH alone or table:PATH for .tsv, .csv, .jsonl, .json and "
    ".parquet; mmbench:PATH; seed-bench:PATH), or by another program where it is installed (lmms-eval:TASK, "
    "vlmevalkit:DATASET). Answers are compared by the log-probabilities of the options and read from greedy replies; the "
    "same questions with blank, swapped and shuffled pictures say what words alone give. Intervals resample pictures, and "
    "differences are paired by question."
)


@dataclass(frozen=True)
class DownstreamFlags:
    """Put downstream questions to a run, before and after training."""

    downstream: tuple[str, ...]
    """Sets of questions, NAME[:PATH], several of them in turn."""
    before: str | None = None
    """What to compare with: a run, a checkpoint in one, or a model of transformers in a folder; none measures one side
    alone. By default what the run began from."""
    checkpoint: Literal["newest", "best"] = "newest"
    """Of the run: the newest, or the one with the highest reward on the validation split."""
    questions: int | None = None
    """Most questions of a set, the first of a file after shuffling by the seed. By default all of a file, and 2048 of an
    environment."""
    split: Split = "test"
    """Of environments: whose items are asked about."""
    seed: int = 0
    """Of the questions of environments, of swapped pictures and of noise."""
    reply: Literal["letter", "words"] = "letter"
    """How questions of files are answered: by the option's letter, or by its words, which small models trained here know."""
    grammar: Grammar | None = None
    """How greedy replies are read: strict, or lenient. By default the run's own; lenient for hf:MODEL."""
    pictures: Path | None = None
    """Folder that paths of pictures start from; by default that of the file."""
    columns: tuple[str, ...] = ()
    """Columns of a table that are called otherwise, NAME=COLUMN: key (index), question, hint, picture (image), picture_path
    (image_path), options, answer, kind (category), favoured."""
    image_size: int | None = None
    """Longest side in pixels that pictures of files are shown with; of environments, the side of pictures. By default files'
    own, and that of the run's own pictures."""
    out: Path | None = None
    """Write a record of each question to this file, .jsonl."""
    json: bool = False
    """Print JSON."""


class Named(NamedTuple):
    """A set that a call names."""

    kind: str
    """The name of a format, of a harness, or "env"."""
    name: str
    rest: str


def asks_downstream(rest: list[str]) -> bool:
    """Return whether a call of eval asks downstream questions."""
    return any(word.partition("=")[0] == FLAG for word in rest)


def run(agent: str, rest: list[str]) -> Outcome:
    """Put the questions that a call names to a run or a model; print a line a set unless JSON is asked for.

    Raises:
        UserError, OSError, ValueError: the call names something else than a run, a model and sets of questions.
    """
    given = flags.parse(DownstreamFlags, rest, f"ssl4rl eval {agent}", TEXT).command
    require("eval RUN_FOLDER --downstream")
    sets = [named_set(word) for word in given.downstream]
    if not sets:
        raise UserError(f"{FLAG} names sets of questions: {FLAG} SceneQA my_questions.tsv")
    if given.questions is not None and given.questions < 1:
        raise UserError(f"--questions must be at least 1, got {given.questions}")
    if given.out is not None and given.out.suffix != ".jsonl":
        raise UserError(f"--out must be a file *.jsonl, got {given.out}")
    with waiting("loading torch and transformers"):
        quieten()
    sides = _sides(agent, given)
    results, records = [], []
    for named in sets:
        if named.kind in HARNESSES:
            result = _by_harness(named, sides)
        else:
            result, answered = _measured(named, sides, given, agent)
            records += answered
        results.append(result)
        if not given.json:
            print("\n".join(lines_of(result)))
    if given.out is not None:
        from ssl4rl_agents.choosing.records import write_records

        write_records(given.out, records)
    told = {when: {"model": side.name, "note": side.note} for when, side in sides.items()}
    return Outcome(0, {"agent": agent, **told, "sets": results}, given.json)


def named_set(word: str) -> Named:
    """Return which set a word names.

    Raises:
        UserError: it names none.
    """
    from ssl4rl_agents.choosing.formats import READERS
    from ssl4rl_agents.choosing.tables import SUFFIXES

    first, colon, rest = word.partition(":")
    if first in READERS or first in HARNESSES:
        if not rest:
            wanted = "the name of a task" if first in HARNESSES else "a file"
            raise UserError(f"{FLAG} {first} needs {wanted}: {first}:{'mmbench_en_dev' if first in HARNESSES else 'PATH'}")
        return Named(first, word, rest)
    if Path(word).suffix in SUFFIXES:
        return Named("table", word, word)
    try:
        return Named("env", env_id_of(first), rest if colon else "")
    except ValueError as error:
        files, programs = ", ".join(f"{name}:PATH" for name in READERS), ", ".join(f"{name}:TASK" for name in HARNESSES)
        raise UserError(
            f"{FLAG} {word}: there is no such set; name an environment (SceneQA, SceneQA:colour), a file "
            f"*{', *'.join(SUFFIXES)}, {files}, or {programs} ({error})"
        ) from error


def _sides(agent: str, given: DownstreamFlags) -> dict[str, Side]:
    """Return what is measured, by when: the run as it is, and what it is compared with."""
    from ssl4rl_agents.choosing.sides import NoBeginningError, beginning_of, side_of

    hub, _, model = agent.partition(":")
    if hub == "hf" and model:
        after = side_of(model, hub=True)
    elif Path(agent).is_dir():
        after = side_of(agent, given.checkpoint)
    else:
        raise UserError(
            "downstream questions are put to runs of the trainer and to models of transformers: ssl4rl eval RUN_FOLDER "
            f"{FLAG} ..., or ssl4rl eval hf:MODEL {FLAG} ...; got {agent!r}"
        )
    if given.before == "none" or (given.before is None and not is_run(agent)):
        return {"after": after}
    style = after.config.prompt_style
    if given.before is not None:
        return {"before": side_of(given.before, style=style), "after": after}
    try:
        return {"before": beginning_of(Path(agent)), "after": after}
    except NoBeginningError as error:
        raise UserError(str(error)) from error


def _measured(
    named: Named, sides: dict[str, Side], given: DownstreamFlags, agent: str
) -> tuple[dict[str, Any], list[tuple[str, str, str, list[Record]]]]:
    """Ask the questions of a set of all sides; return what they amount to, and the records."""
    from ssl4rl_agents.choosing.records import answer
    from ssl4rl_agents.choosing.summary import compare, summarise, units_of
    from ssl4rl_agents.runtime.device import find_device

    after = sides["after"]
    asked, task, facts = _questions(named, given, after, agent)
    grammar = given.grammar or ("lenient" if agent.startswith("hf:") else after.config.grammar)
    result: dict[str, Any] = {"set": asked.name, **facts}
    records, units = [], {}
    notes: list[str] = []
    for when, side in sides.items():
        device = find_device(side.config.device)
        with waiting(f"loading {side.name}"):
            policy: Policy = side.load(device, task)
        progress = Progress(f"asking {side.name} {asked.name}", len(asked) * (1 + len(asked.ways(policy))))
        answered = answer(policy, asked, grammar=grammar, watch=progress.tell)
        progress.end()
        units[when] = units_of(answered.records)
        result[when] = summarise(units[when])
        records.append((asked.name, when, side.name, answered.records))
        notes += [note for note in (*answered.notes, side.note) if note not in ("", *notes)]
    if len(units) == 2:
        result["difference"] = compare(units["before"], units["after"])
    result["notes"] = notes
    return result, records


def _by_harness(named: Named, sides: dict[str, Side]) -> dict[str, Any]:
    """Let another program ask all sides."""
    from ssl4rl_agents.choosing.harnesses import NoHarnessError, measured_by

    result: dict[str, Any] = {"set": named.name, "harness": named.kind}
    for when, side in sides.items():
        model = side.config.policy.model if side.checkpoint is None else str(side.checkpoint)
        try:
            with waiting(f"{named.kind} asks {model}"):
                result[when] = measured_by(named.kind, named.rest, model, side.config.device)
        except NoHarnessError as error:
            raise UserError(str(error)) from error
    return result


def _questions(
    named: Named, given: DownstreamFlags, after: Side, agent: str
) -> tuple[FileSet | EnvSet, Task | None, dict[str, Any]]:
    """Return the questions of a set, their task if they have one, and what is to be said of them."""
    from ssl4rl_agents.choosing.formats import READERS, Columns
    from ssl4rl_agents.choosing.questions import Wording
    from ssl4rl_agents.choosing.sets import EnvSet, FileSet, some_of

    style = after.config.prompt_style
    if named.kind == "env":
        arguments = env_arguments(named, after.config.env, after.config.env_args if is_run(agent) else {}, given.image_size)
        task = make_task(named.name, **arguments)
        name = f"{short_name(named.name)}{':' if named.rest else ''}{named.rest}"
        asked = EnvSet(name, task, given.questions or 2048, split=given.split, seed=given.seed, style=style)
        return asked, task, {"split": given.split, "env_args": arguments}
    read = READERS[named.kind](Path(named.rest), Columns.of(given.columns), given.pictures)
    kept = some_of(read.questions, given.questions, given.seed)
    facts = {"left_out": read.left_out, "not_asked": len(read.questions) - len(kept), "reply": given.reply}
    wording = Wording(given.reply, style)
    return FileSet(named.name, kept, wording, seed=given.seed, side=given.image_size), None, facts


def env_arguments(named: Named, env: str, trained: dict[str, Any], image_size: int | None) -> dict[str, Any]:
    """Return the arguments of an environment whose questions are asked: its own defaults, with pictures as in training.

    Args:
        named: the environment, and what stands behind its name: a level, or arguments, bias=0.8,kinds=sky+light.
        env: where was trained.
        trained: with which arguments.
        image_size: of pictures, where the call says it.

    Raises:
        UserError: what stands behind the name is neither.
    """
    import inspect

    cls = task_class(named.name)
    takes = inspect.signature(cls).parameters
    arguments: dict[str, Any] = {}
    if trained and cls.sources is task_class(env).sources:
        arguments |= {name: trained[name] for name in ("source", "image_size") if name in trained and name in takes}
    elif "image_size" in trained and "image_size" in takes:
        arguments["image_size"] = trained["image_size"]
    if image_size is not None and "image_size" in takes:
        arguments["image_size"] = image_size
    if not named.rest:
        return arguments
    if "=" not in named.rest:
        levels = [level.name for level in cls.levels]
        if named.rest in levels:
            return {**arguments, "level": named.rest}
        if "kinds" in takes:
            return {**arguments, "kinds": named.rest}
        raise UserError(f"{named.name} has the levels {', '.join(levels) or '(none)'}; got {named.rest!r}")
    for pair in named.rest.split(","):
        name, equals, value = pair.partition("=")
        if name not in takes or not equals:
            raise UserError(f"{named.name} takes {', '.join(takes)}, as name=value; got {pair!r}")
        arguments[name] = _plain(value)
    return arguments


def _plain(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
