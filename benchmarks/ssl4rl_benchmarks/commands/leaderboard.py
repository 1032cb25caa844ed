"""``ssl4rl leaderboard``: a page of stored replies: models, people, rules and chance."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from ssl4rl_agents.replies import read_replies
from ssl4rl_agents.runs.files import write_text
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, require
from ssl4rl_benchmarks.reports.replies import counted
from ssl4rl_envs.answers import Grammar
from ssl4rl_envs.telling import waiting


@dataclass(frozen=True)
class LeaderboardFlags:
    """Make a page of stored replies."""

    folders: Annotated[tuple[Path, ...], Positional, flags.positional("FOLDER ...")] = ()
    """Folders of files of replies, or such files."""
    out: Path = Path("leaderboard.html")
    """The page: one file that needs no network."""
    by: Grammar = "strict"
    """The grammar that places go by; the page shows both."""
    errors_as: Literal["missing", "wrong"] = "missing"
    """How questions without a reply count: not at all, or as wrong."""
    json: bool = False
    """Print the boards as JSON."""


def run(arguments: list[str]) -> Outcome:
    """Write the page that a call asks for; the status is 1 where nothing can be shown.

    Raises:
        UserError: it names no replies.
        ValueError: a line is no reply.
    """
    text = "Make a page of stored replies: models, people, rules and chance, with intervals."
    given = flags.parse(LeaderboardFlags, arguments, "ssl4rl leaderboard", text).command
    if not given.folders:
        raise UserError("name folders of replies: ssl4rl leaderboard replies --out leaderboard.html")
    require("leaderboard")
    from ssl4rl_benchmarks.reports import leaderboard  # its packages are an extra

    rows = read_replies(given.folders)
    with waiting(f"scoring {counted(len(rows), 'reply', 'replies')}"):
        board = leaderboard.make(rows, by=given.by, errors_as=given.errors_as)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(given.out, leaderboard.page(board, shlex.join(["ssl4rl", "leaderboard", *arguments])))
    if not given.json:
        entries = sum(len(each.entries) for each in board.boards)
        print(f"{counted(len(board.boards), 'board')} with {counted(entries, 'row')} in {given.out}")
        for line in board.refused:
            print(f"not shown: {line}")
    return Outcome(int(not board.boards), leaderboard.to_json(board), given.json)
