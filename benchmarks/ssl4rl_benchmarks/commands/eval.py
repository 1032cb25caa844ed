"""``ssl4rl eval``: measure a trained run or any agent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ssl4rl_agents.agent import Agent, agent_interface, load_agent
from ssl4rl_agents.evaluation import Result, evaluate_in
from ssl4rl_agents.runs.folder import is_run, read_config
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, named_env, names_nothing, quieten, wants_help
from ssl4rl_envs import SSLVectorEnv, make_task
from ssl4rl_envs.installing import need

SHARED = 128


@dataclass(frozen=True)
class EvalFlags:
    """Measure an agent on held-out data."""

    split: Literal["train", "validation", "test"] = "test"
    """Whose items are asked about."""
    episodes: int = 2048
    """How many questions."""
    seed: int = 0
    """Of the questions."""
    prompt_style: Literal["direct", "think"] = "direct"
    """How text agents are to reply; a trained run keeps its own."""
    grammar: Literal["strict", "lenient"] | None = None
    """How replies are read: strict, or lenient for models that were not trained to reply in our form. By default strict; a
    trained run's own."""
    checkpoint: Literal["newest", "best"] = "newest"
    """Of a trained run: the newest, or the one with the highest reward on the validation split."""
    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> Outcome:
    """Measure what a call names: a run folder, or an agent and an environment."""
    text = "Measure a trained run, or a registered agent in an environment, on held-out data."
    if wants_help(arguments):
        flags.parse(EvalFlags, arguments, "ssl4rl eval AGENT [ENV]", text)
    if names_nothing(arguments):
        raise UserError("name a run folder, or an agent and an environment: ssl4rl eval random SSL4RL/Rotation-v0")
    agent, rest = arguments[0], arguments[1:]
    if is_run(agent):
        return _of_run(agent, rest, text)
    if Path(agent).is_dir():
        _say_what_is_wrong(agent)
    env = named_env(rest, f"eval {agent}")
    parsed = flags.parse(EvalFlags, rest[1:], f"ssl4rl eval {agent} {env}", text, env)
    given = parsed.command
    return Outcome(0, measure(given, agent, env, flags.env_arguments(parsed.env), given.prompt_style), given.json)


def _of_run(folder: str, rest: list[str], text: str) -> Outcome:
    need("a trained run", "all", "torch", "transformers")
    quieten()
    config = read_config(Path(folder))
    if not names_nothing(rest):
        raise UserError(f"a run is measured in the environment it was trained in, {config.env}; leave {rest[0]!r} out")
    given = flags.parse(EvalFlags, rest, f"ssl4rl eval {folder}", text).command
    return Outcome(0, measure(given, folder, config.env, config.env_args, config.prompt_style), given.json)


def _say_what_is_wrong(folder: str) -> None:
    """Raise what a folder lacks to be that of a run."""
    try:
        read_config(Path(folder))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} is not a run folder: {error}") from error


def measure(given: EvalFlags, agent: str, env_id: str, env_args: dict[str, Any], prompt_style: str) -> dict[str, Any]:
    """Measure an agent (a run folder or a name) in an environment; print a line unless JSON is asked for."""
    if given.episodes < 1:
        raise ValueError(f"--episodes must be at least 1, got {given.episodes}")
    envs = SSLVectorEnv(
        make_task(env_id, **env_args),
        num_envs=min(SHARED, given.episodes),
        split=given.split,
        interface=agent_interface(agent),
        prompt_style=prompt_style,
        grammar=given.grammar or (read_config(Path(agent)).grammar if is_run(agent) else "strict"),
    )
    if is_run(agent):
        from ssl4rl_agents.runs.policy_agent import load_run

        acting: Agent = load_run(Path(agent), given.checkpoint)
    else:
        acting = load_agent(agent, envs)
    result = evaluate_in(acting, envs, env=env_id, episodes=given.episodes, seed=given.seed)
    if not given.json:
        print(sentence(agent, result))
    return {"agent": agent, **result.to_json()}


def sentence(name: str, result: Result) -> str:
    """Put a result in one line."""
    low, high = result.interval
    readable = "" if result.readable is None else f", {result.readable:.1%} of the replies readable"
    return (
        f"{name} on {result.env}, {result.split}: success {result.success:.3f} (95 % interval {low:.3f} to {high:.3f}, "
        f"{result.episodes} episodes of {result.items} items), reward {result.reward:.3f}, chance {result.chance:.3f}, "
        f"normalised {result.normalised:.3f}{readable}"
    )
