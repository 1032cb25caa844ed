"""``ssl4rl ask``: put a question about a picture of yours, or of its own source, to what was trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.runs import asking
from ssl4rl_agents.runs.asking import Asked
from ssl4rl_agents.runs.folder import is_run
from ssl4rl_agents.runs.trained import Trained, read_trained
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import (
    Outcome,
    UserError,
    names_nothing,
    quieten,
    require,
    require_picture,
    wants_help,
)
from ssl4rl_envs import Task, make_task
from ssl4rl_envs.stream import Split
from ssl4rl_envs.telling import waiting


@dataclass(frozen=True)
class AskFlags:
    """Ask a trained agent about a picture. Its task makes a question of it, so the right answer is known."""

    picture: Annotated[Path | None, tyro.conf.Positional, flags.positional("[PICTURE]")] = None
    """A picture file."""
    out: Path | None = None
    """A picture to write: the question with answer and truth."""
    count: int = 1
    """How many questions about the picture."""
    seed: int = 0
    """Of the questions."""
    index: int | None = None
    """Instead of a picture: the question of this number over what the agent was trained on, as in an environment."""
    node: int | None = None
    """Instead of a picture: a question about this node, of tasks that ask about nodes of a graph."""
    split: Split = "test"
    """With --index: whose items are asked about."""
    checkpoint: Literal["newest", "best"] = "newest"
    """Of a trained run: the newest, or the one with the highest reward on the validation split."""
    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> Outcome:
    """Ask what a call asks; print question, reply and truth unless JSON is asked for."""
    text = "Ask a trained agent about a picture: its task makes a question of it, so the right answer is known."
    if wants_help(arguments):
        flags.parse(AskFlags, arguments, "ssl4rl ask RUN [PICTURE]", text)
    if names_nothing(arguments):
        raise UserError("name a run folder and a picture: ssl4rl ask runs/rotation picture.jpg")
    folder = Path(arguments[0])
    given = flags.parse(AskFlags, arguments[1:], f"ssl4rl ask {folder}", text).command
    if given.out is not None:
        require_picture(given.out)
    require("ask")
    with waiting("loading torch and transformers"):
        quieten()
    asked = ask(given, folder)
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        asking.picture_of(asked).save(given.out)
    if not given.json:
        print("\n".join(map(str, asked)))
        if given.out is not None:
            print(f"drawn in {given.out}")
    return Outcome(0, [one.to_json() for one in asked], given.json)


def ask(given: AskFlags, folder: Path) -> list[Asked]:
    """Put the questions of a call to the agent in a folder.

    Raises:
        OSError, ValueError: there is no such agent, picture or question.
    """
    trained = read_trained(folder)
    if given.count < 1:
        raise ValueError(f"--count must be at least 1, got {given.count}")
    if given.checkpoint == "best" and not is_run(folder):
        raise ValueError(f"--checkpoint best is for runs of the trainer, which keep several; {folder} keeps one")
    task, split, indices = _questions(given, trained)
    with waiting(f"loading the agent of {folder}"):
        agent = _agent(given, folder, task)
    return [asking.ask_question(agent, trained, task, split, given.seed, index) for index in indices]


def _questions(given: AskFlags, trained: Trained) -> tuple[Task, str, list[int]]:
    """Return the task, the split and the numbers of the questions."""
    if [given.picture is None, given.index is None, given.node is None].count(False) != 1:
        raise UserError(f"name one thing to ask {trained.env} about: a picture, --index NUMBER, or --node NODE of a graph")
    if given.picture is not None:
        task, split = asking.task_about(trained, given.picture)
        return task, split, asking.indices_about(task, split, given.seed, given.count)
    if given.count != 1:
        raise ValueError("--count is for questions about a picture")
    if given.node is not None:
        task, split, index = asking.question_about_node(trained, given.node, given.seed)
        return task, split, [index]
    return make_task(trained.env, **trained.env_args), given.split, [int(given.index or 0)]


def _agent(given: AskFlags, folder: Path, task: Task) -> Any:
    if not is_run(folder):
        return load_agent(folder)
    from ssl4rl_agents.runs.policy_agent import load_run

    return load_run(folder, given.checkpoint, task)
