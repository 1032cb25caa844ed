"""``ssl4rl score``: score stored replies, from the keys of their questions alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from ssl4rl_agents.replies import Prices, measure_replies, read_replies
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError
from ssl4rl_benchmarks.reports.replies import counted, told
from ssl4rl_envs.telling import waiting


@dataclass(frozen=True)
class ScoreFlags:
    """Score stored replies."""

    files: Annotated[tuple[Path, ...], Positional, flags.positional("FILE ...")] = ()
    """Files of replies, or folders of them."""
    errors_as: Literal["missing", "wrong"] = "missing"
    """How questions without a reply count: not at all, or as wrong."""
    price_in: float = 0.0
    """Of a million tokens that were read."""
    price_out: float = 0.0
    """Of a million tokens that were written."""
    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> Outcome:
    """Score the replies that a call names.

    Raises:
        UserError: it names none.
        ValueError: a line is no reply, or a question is no longer the one that was asked.
    """
    text = "Score stored replies by both grammars. Each question is made again from its keys."
    given = flags.parse(ScoreFlags, arguments, "ssl4rl score", text).command
    if not given.files:
        raise UserError("name files of replies: ssl4rl score replies/openai-gpt-4o-Rotation-v0-test.jsonl")
    rows = read_replies(given.files)
    with waiting(f"scoring {counted(len(rows), 'reply', 'replies')}"):
        results = measure_replies(rows, errors_as=given.errors_as, prices=Prices(given.price_in, given.price_out))
    if not given.json:
        print("\n".join(map(told, results)))
    return Outcome(0, [result.to_json() for result in results], given.json)
