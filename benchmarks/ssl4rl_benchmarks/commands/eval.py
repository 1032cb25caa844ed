"""``ssl4rl eval``: measure a trained run or any agent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ssl4rl_agents.agent import Agent, agent_interface, load_agent
from ssl4rl_agents.evaluation import Result, evaluate_in
from ssl4rl_agents.runs import is_run, read_config
from ssl4rl_envs import SSLVectorEnv, make_task

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


def measure(flags: EvalFlags, agent: str, env_id: str, env_args: dict[str, Any], prompt_style: str) -> dict[str, Any]:
    """Measure an agent (a run folder or a name) in an environment; print a line unless JSON is asked for."""
    if flags.episodes < 1:
        raise ValueError(f"--episodes must be at least 1, got {flags.episodes}")
    envs = SSLVectorEnv(
        make_task(env_id, **env_args),
        num_envs=min(SHARED, flags.episodes),
        split=flags.split,
        interface=agent_interface(agent),
        prompt_style=prompt_style,
        grammar=flags.grammar or (read_config(Path(agent)).grammar if is_run(agent) else "strict"),
    )
    if is_run(agent):
        from ssl4rl_agents.policies.agent import load_run

        acting: Agent = load_run(Path(agent), flags.checkpoint)
    else:
        acting = load_agent(agent, envs)
    result = evaluate_in(acting, envs, env=env_id, episodes=flags.episodes, seed=flags.seed)
    if not flags.json:
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
