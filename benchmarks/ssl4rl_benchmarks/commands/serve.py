"""``ssl4rl serve``: an environment behind HTTP and WebSocket, with a page to play."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, named_env, wants_help
from ssl4rl_envs import make_task
from ssl4rl_envs.attempts import Attempts
from ssl4rl_envs.installing import need

NEEDS = ("starlette", "uvicorn", "websockets")


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
    split: Literal["train", "validation", "test"] = "train"
    """Whose items are asked about."""
    prompt_style: Literal["direct", "think", "tool"] = "direct"
    """How replies are asked for."""
    grammar: Literal["strict", "lenient"] = "strict"
    """How replies are read."""
    attempts: int = 1
    """How many answers a question takes, for tasks of one decision."""
    arrays: bool = False
    """Show the task's arrays beside pictures and words; of graphs they are large."""


def run(arguments: list[str]) -> Outcome:
    """Serve the environment that a call names, until it is interrupted."""
    text = "Serve an environment: OpenEnv's WebSocket, plain HTTP, and a page to play. Ctrl-C ends it."
    if wants_help(arguments):
        flags.parse(ServeFlags, arguments, "ssl4rl serve ENV", text)
    env = named_env(arguments, "serve")
    parsed = flags.parse(ServeFlags, arguments[1:], f"ssl4rl serve {env}", text, env)
    need("serving", "serve", *NEEDS)
    return Outcome(0, serve(parsed.command, env, flags.env_arguments(parsed.env)), json=False)


def serve(given: ServeFlags, env_id: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """Serve until interrupted; return where it was."""
    from ssl4rl_envs.serving.episodes import Episodes
    from ssl4rl_envs.serving.server import Server

    task = make_task(env_id, **env_args)
    task = task if given.attempts == 1 else Attempts(task, given.attempts)
    episodes = Episodes(task, given.split, given.prompt_style, given.grammar, given.arrays)
    try:
        server = Server(env_id, episodes, given.host, given.port, given.sessions, given.timeout)
    except OSError as error:
        raise UserError(
            f"cannot listen at {given.host}:{given.port} ({error.strerror}); choose another --port, or 0 for a free one"
        ) from error
    print(f"{env_id} ({given.split}) at {server.url}")
    print(f"  play         {server.url}/")
    print(f"  OpenEnv      GenericEnvClient(base_url={server.url!r})")
    print(f"  plain HTTP   POST {server.url}/reset {{}}; Ctrl-C ends it", flush=True)
    with suppress(KeyboardInterrupt):
        server.run()
    print("stopped")
    return {"env": env_id, "url": server.url}
