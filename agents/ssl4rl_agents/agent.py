"""Agents: anything that acts. A protocol, and a registry that other packages join by an entry point."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from ssl4rl_agents.runs.files import read_from
from ssl4rl_agents.runs.trained import SAVED, is_kept, is_trained, read_kept, read_trained
from ssl4rl_envs import SSLVectorEnv, make_task
from ssl4rl_envs.arguments import checked_arguments, did_you_mean
from ssl4rl_envs.installing import install_line
from ssl4rl_envs.own import load_named

ENTRY_POINTS = "ssl4rl.agents"

MODELS = {
    "openai": "ssl4rl_agents.endpoints.agent:EndpointAgent",
    "hf": "ssl4rl_agents.pretrained:PretrainedAgent",
}
"""Factories of models that are asked as they are, by what stands before the model's name: "openai:gpt-4o"."""


class NotLearnedError(RuntimeError):
    """An agent that has to learn is asked before it has."""

    def __init__(self) -> None:
        super().__init__("this agent has not learned yet; call learn(lesson) first, or load a trained run")


@runtime_checkable
class Agent(Protocol):
    """Answers batches of questions.

    An agent that learns (`lessons.Learner`) may be kept, too: `save(folder)` leaves what it learned in an empty folder, and
    `load(folder)`, of an agent that was made with the same settings for the same environment, takes it in.

    Attributes:
        interface: "array" or "text": which side of the environments it talks to.
    """

    interface: str

    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> Any:
        """Return one action for each of n observations.

        Args:
            observations: as a vector environment of the agent's interface gives them: arrays (n, ...), and with "text"
                also `prompt`, n strings.
            deterministic: take the best action rather than sample one.

        Returns:
            n actions: an array (n, ...) of the action space, or n strings.
        """
        ...


AgentFactory = Callable[..., Agent]
"""What an entry point names: called with the environments the agent will act in (for spaces; not to be stepped), and with
its settings as keyword arguments.

An agent that must know more of the questions than is observed (action masks, say) has a method `enter(envs)`; it is called
with the environments before it acts in others. One that remembers has a method `begin(begun)`; it is told before it acts
which environments (n,) bool show the beginning of an episode. One that learns has `learn`, see `lessons`. Settings are held
against the type hints of the factory's signature; where these cannot say all, a factory has a `check_settings(settings)` that
raises what is wrong with them, so that a benchmark is refused before its first run.
"""


def agent_names() -> list[str]:
    """Return the names of all registered agents."""
    return sorted(entry.name for entry in entry_points(group=ENTRY_POINTS))


def load_agent(name: str | Path, envs: SSLVectorEnv | None = None, **settings: Any) -> Agent:
    """Return an agent by the folder of a trained run, a registered name, or "module:attribute".

    Args:
        name: "runs/rotation", "random", "constant", "oracle", a name that a plug-in registered, where its factory is, or
            "openai:MODEL" for a model behind an endpoint, "hf:MODEL" for one of transformers.
        envs: the environments it will act in; a trained run needs none.
        settings: keyword arguments of the factory; a trained run takes none.

    Raises:
        ValueError: there is no such agent, it needs `envs`, or a setting is out of its range.
        TypeError: what the factory returned is no agent, or it has no such setting, or one of another type.
    """
    if is_trained(name):
        _refuse_settings(name, settings)
        if is_kept(name):
            return _load_kept(Path(name), envs)
        from ssl4rl_agents.runs.policy_agent import load_run

        return load_run(Path(name), task=None if envs is None else envs.unwrapped.task)
    factory = _factory(str(name))
    if envs is None:
        raise ValueError(f"agent {str(name)!r} needs to know its environments: load_agent({str(name)!r}, envs)")
    agent = factory(envs, **_checked_settings(str(name), factory, settings))
    if not isinstance(agent, Agent):
        raise TypeError(f"{name} made a {type(agent).__name__}, which lacks `interface` or `act`")
    return agent


def check_settings(name: str | Path, settings: dict[str, Any]) -> None:
    """Look at an agent's settings before there are environments for it; raises as `load_agent` does."""
    if is_trained(name):
        return _refuse_settings(name, settings)
    _checked_settings(str(name), _factory(str(name)), settings)


def _refuse_settings(name: str | Path, settings: dict[str, Any]) -> None:
    if settings:
        raise TypeError(f"{name} is a trained run, which has its settings already; it takes none, got {sorted(settings)}")


def _load_kept(folder: Path, asked: SSLVectorEnv | None) -> Agent:
    """Return an agent that was trained and kept, made anew where it was trained and given its weights.

    Raises:
        ValueError: the environments that it is asked in show other arrays than it was trained on, or take other answers, or
            what it left is damaged.
    """
    kept = read_kept(folder)
    envs = SSLVectorEnv(
        make_task(kept.env, **kept.env_args),
        num_envs=1,
        interface=kept.interface,
        prompt_style=kept.prompt_style,
        grammar=kept.grammar,
    )
    if asked is not None and kept.interface == "array":
        _require_alike(folder, envs, asked)
    agent: Any = load_agent(kept.agent, envs, **kept.settings)
    with read_from(folder / SAVED):
        agent.load(folder / SAVED)
    agent.trained = kept
    return cast(Agent, agent)


def _require_alike(folder: Path, envs: SSLVectorEnv, asked: SSLVectorEnv) -> None:
    for what in ("observation", "action"):
        ours, theirs = (getattr(of.unwrapped, f"single_{what}_space") for of in (envs, asked))
        if ours != theirs:
            raise ValueError(f"the agent in {folder} was trained on the {what}s {ours}, and is asked for {theirs}")


def _checked_settings(name: str, factory: AgentFactory, settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as the signature of a factory has them; what it says itself of them is heard too."""
    found = checked_arguments(f"agent {name}", factory, settings)
    says = getattr(factory, "check_settings", None)
    if says is not None:
        says(found)
    return found


def agent_interface(name: str | Path) -> str:
    """Return the interface of an agent before there are environments for it; a factory may say it as an attribute."""
    if is_trained(name):
        return read_trained(Path(name)).interface
    factory = _factory(str(name))
    return str(getattr(getattr(factory, "func", factory), "interface", "array"))


def _factory(name: str) -> AgentFactory:
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            try:
                return cast(AgentFactory, entry.load())
            except ModuleNotFoundError as error:
                ours = entry.dist is not None and entry.dist.name == "ssl4rl"
                advice = f": {install_line('all')}" if ours else ", which is not installed"
                raise ImportError(f"agent {name} needs {error.name}{advice}") from error
    kind, _, model = name.partition(":")
    if kind in MODELS and model:
        return cast(AgentFactory, functools.partial(cast(Any, _factory(MODELS[kind])), model=model))
    if ":" in name:
        return cast(AgentFactory, load_named(name, f"no agent {name!r}"))
    known = agent_names()
    nearest = did_you_mean(name, known) or ";"
    what = "there is no such run folder" if "/" in name and ":" not in name else "it is no run folder and no module:attribute"
    raise ValueError(f"no agent {name!r}: {what}{nearest} registered are {', '.join(known)}")
