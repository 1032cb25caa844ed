"""``ssl4rl export``: questions as a data set, for other trainers and evaluations."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError
from ssl4rl_envs.answers import PromptStyle
from ssl4rl_envs.bridges.exports import FORMATS, MANIFEST, Plan, export
from ssl4rl_envs.stream import Split
from ssl4rl_envs.telling import Progress

if TYPE_CHECKING:
    Format = str
else:
    Format = Literal[tuple(FORMATS)]


@dataclass(frozen=True)
class ExportFlags:
    """Write questions as a data set."""

    to: Format
    """The format: datasets (load_from_disk), parquet (load_dataset), webdataset (tar shards), jsonl (lines beside PNG files),
    lmms-eval (a task of it), vlmevalkit (its TSV)."""
    out: Path
    """The folder to write; one that an interrupted call has left is gone on with."""
    n: Annotated[int, arg(aliases=("-n",))]
    """How many questions."""
    split: Split = "train"
    """Whose items are asked about."""
    seed: int = 0
    """Of the questions."""
    first: int = 0
    """Number of the first question."""
    prompt_style: PromptStyle | None = None
    """How is asked: for the answer alone, for thinking before it, or without a word on the form of replies. By default
    direct; to vlmevalkit, as multiple choice in its own words where a task has few answers."""
    shard_size: int = 1000
    """Questions of a shard."""
    json: bool = False
    """Print the manifest as JSON."""


def run(arguments: list[str]) -> Outcome:
    """Export what a call asks for."""
    text = "Write questions as a data set: in shards, and on from where an interrupted call was."
    call = flags.parse_with_env(ExportFlags, arguments, "export", text)
    given = call.command
    plan = Plan(
        call.env_id,
        given.n,
        given.to,
        split=given.split,
        seed=given.seed,
        first=given.first,
        prompt_style=given.prompt_style,
        shard_size=given.shard_size,
        arguments=_differing(call.env),
    )
    progress = Progress(f"exporting {call.env_id}", given.n)
    try:
        made = export(plan, given.out, lambda done, _: progress.tell(done))
    except RuntimeError as error:
        raise UserError(str(error)) from error
    progress.end()
    if not given.json:
        print(said(plan, given.out, made.found, made.manifest))
    return Outcome(0, made.manifest, given.json)


def said(plan: Plan, folder: Path, found: int, manifest: dict[str, Any]) -> str:
    """Return what is there now, and how it is read."""
    before = "" if not found else ", all there before" if found == plan.n else f", {found:,} there before"
    table = next((Path(name).stem for name in manifest["files"] if name.endswith((".yaml", ".tsv"))), "")
    how = FORMATS[plan.format].reading.format(folder=str(folder), name=table)
    return f"{plan.n:,} questions of {plan.env_id} in {folder}{before}\nread them: {how}\ntheir keys: {folder / MANIFEST}"


def _differing(parsed: Any) -> dict[str, Any]:
    """Return the arguments of an environment that are not its defaults, which every row will carry."""
    defaults = {field.name: field.default for field in dataclasses.fields(parsed)}
    return {name: value for name, value in dataclasses.asdict(parsed).items() if value != defaults[name]}
