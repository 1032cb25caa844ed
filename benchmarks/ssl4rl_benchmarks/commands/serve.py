"""``ssl4rl serve``: an environment behind HTTP and WebSocket, with a page to play."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl4rl_agents.replies import ReplyFile, ReplyRow
from ssl4rl_agents.replies.rows import written_arguments
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, require
from ssl4rl_envs import make_task
from ssl4rl_envs.answers import Grammar, PromptStyle
from ssl4rl_envs.stream import Split

if TYPE_CHECKING:
    from ssl4rl_envs.serving.episodes import Episodes, Question
    from ssl4rl_envs.serving.service import Heard


@dataclass(frozen=True)
class ServeFlags:
    """Serve an environment to programs and people."""

    host: str = "127.0.0.1"
    """Where it listens; by default only this machine reaches it."""
    port: int = 8000
    """Where it listens; 0 takes a free port."""
    sessions: int = 1000
    """How many questions may be asked at a time, over all sessions; one more is refused."""
    timeout: float = 300.0
    """Seconds after which a session that is not used is over."""
    split: Split = "train"
    """Whose items are asked about."""
    prompt_style: PromptStyle = "direct"
    """How replies are asked for."""
    grammar: Grammar = "strict"
    """How replies are read."""
    replies: Path | None = None
    """Store what is replied in this .jsonl, as replies of people that `ssl4rl score` and `ssl4rl leaderboard` read; for tasks
    of one decision."""
    player: str = "people"
    """How the leaderboard calls those who play."""
    arrays: bool = False
    """Show the task's arrays beside pictures and words; of graphs they are large."""


def run(arguments: list[str]) -> Outcome:
    """Serve the environment that a call names, until it is interrupted."""
    text = "Serve an environment: OpenEnv's WebSocket, plain HTTP, and a page to play. Ctrl-C ends it."
    call = flags.parse_with_env(ServeFlags, arguments, "serve", text)
    require("serve")
    return Outcome(0, serve(call.command, call.env_id, call.env_args), json=False)


def serve(given: ServeFlags, env_id: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """Serve until interrupted; return where it was."""
    from ssl4rl_envs.serving.episodes import Episodes

    task = make_task(env_id, **env_args)
    if given.replies is not None and task.horizon > 1:
        raise UserError("--replies stores one reply to a question; leave --attempts out, and choose a task of one decision")
    episodes = Episodes(task, given.split, given.prompt_style, given.grammar, given.arrays)
    with ExitStack() as stack:
        heard = (
            None if given.replies is None else _noting(stack.enter_context(ReplyFile(given.replies)), given, env_id, env_args)
        )
        return _serve(given, env_id, episodes, heard)


def _noting(file: ReplyFile, given: ServeFlags, env_id: str, env_args: dict[str, Any]) -> Heard:
    """Return what stores the replies that it is told."""
    args = written_arguments(env_id, env_args)

    def row_of(seed: int, index: int, reply: str) -> ReplyRow:
        return ReplyRow(
            env_id=env_id,
            args=args,
            split=given.split,
            seed=seed,
            index=index,
            prompt_style=given.prompt_style,
            model=given.player,
            kind="person",
            reply=reply,
        )

    row_of(0, 0, "")  # what no row can hold is an error now

    def heard(question: Question, reply: str) -> None:
        row = row_of(question.seed, question.index, reply)
        if not file.replied(row.key):  # who asks for a question again may know the answer
            file.append(row)

    return heard


def _serve(given: ServeFlags, env_id: str, episodes: Episodes, heard: Heard | None) -> dict[str, Any]:
    from ssl4rl_envs.serving.server import Server

    try:
        server = Server(env_id, episodes, given.host, given.port, given.sessions, given.timeout, heard=heard)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        raise UserError(
            f"cannot listen at {given.host}:{given.port} ({why}); choose another --port, or 0 for a free one"
        ) from error
    print(f"{env_id} ({given.split}) at {server.url}")
    print(f"  play         {server.url}/")
    print(f"  OpenEnv      GenericEnvClient(base_url={server.url!r})")
    print(f"  plain HTTP   POST {server.url}/reset {{}}; Ctrl-C ends it", flush=True)
    with suppress(KeyboardInterrupt):
        server.run()
    print("stopped")
    return {"env": env_id, "url": server.url}
