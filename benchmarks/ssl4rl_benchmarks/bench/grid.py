"""What a benchmark consists of: runs, each one agent in one environment with one seed, and the suites that declare them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ssl4rl_envs import env_ids

KEY = 16
"""Hexadecimal digits of a run's key."""


@dataclass(frozen=True)
class Environment:
    """An environment of a grid.

    Args:
        id: e.g. "SSL4RL/Rotation-v0".
        args: its arguments.
        label: what tables call it; by default the id without namespace and version.
        beyond: what else is measured of the agents that learned here; see `beyond.measure`.
        episodes: of training, where they are other than the suite's.
    """

    id: str
    args: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    beyond: tuple[str, ...] = ()
    episodes: int | None = None

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.label or short(self.id)


@dataclass(frozen=True)
class Entry:
    """An agent of a grid.

    Args:
        name: a registered agent, or "module:attribute".
        settings: keyword arguments of its factory.
        label: what tables call it; by default the name.
        learns: whether it is one of those whose scores are compared; the others frame them.
        ceiling: whether it is told the right answers.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    learns: bool = True
    ceiling: bool = False

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.label or self.name


@dataclass(frozen=True)
class Run:
    """One run: an agent learns in an environment for so many episodes, then it is measured on held-out items.

    Args:
        suite: whose run it is.
        env, agent: where, and who.
        seed: of everything random in it; all runs are asked the same held-out questions.
        episodes: of training.
        test_episodes: of the measurement at the end.
    """

    suite: str
    env: Environment
    agent: Entry
    seed: int
    episodes: int
    test_episodes: int

    @property
    def key(self) -> str:
        """Name of the run: a digest of all that decides its outcome."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:KEY]

    def to_json(self) -> dict[str, Any]:
        """Return the run as plain data."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Run:
        """Build a run from what `to_json` gave."""
        env = Environment(**{**data["env"], "beyond": tuple(data["env"]["beyond"])})
        return cls(**{**data, "env": env, "agent": Entry(**data["agent"])})

    def command(self) -> str:
        """Return the command that does this run again."""
        return f"ssl4rl bench {self.suite} --env {self.env.name} --agent {self.agent.title} --seed {self.seed}"


@dataclass(frozen=True)
class Suite:
    """A declared grid: environments x agents x seeds, but for pairs that do not go together.

    Args:
        name, asks: what it is called, and which question it answers.
        environments, agents: of the grid.
        seeds: how many, counted from 0. Agents that do not learn get one, but for `random`.
        episodes: of training of each run.
        test_episodes: of each measurement at the end.
        fits: which pairs are part of the grid.
    """

    name: str
    asks: str
    environments: tuple[Environment, ...]
    agents: tuple[Entry, ...]
    seeds: int
    episodes: int
    test_episodes: int = 1024
    fits: Callable[[Environment, Entry], bool] = lambda *_: True

    def runs(self, envs: Sequence[str] = (), agents: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[Run]:
        """Return the runs of the grid, or of the named rows, columns and seeds of it, those of one seed side by side.

        Raises:
            ValueError: there is no such environment, agent or seed in it.
        """
        chosen_envs = _chosen(envs, {env.name: env for env in self.environments}, {env.id: env for env in self.environments})
        chosen_agents = _chosen(agents, {agent.title: agent for agent in self.agents}, {})
        outside = sorted(set(seeds) - set(range(self.seeds)))
        if outside:
            raise ValueError(f"suite {self.name} has the seeds 0 to {self.seeds - 1}, got {outside}")
        return [
            Run(self.name, env, agent, seed, env.episodes or self.episodes, self.test_episodes)
            for seed in sorted(seeds or range(self.seeds))
            for env in chosen_envs
            for agent in chosen_agents
            if self.fits(env, agent) and (agent.learns or agent.name == "random" or seed == 0)
        ]

    def sized(self, seeds: int | None = None, episodes: int | None = None) -> Suite:
        """Return the suite with another number of seeds, or of episodes in every environment."""
        if episodes is None:
            return replace(self, seeds=seeds or self.seeds)
        environments = tuple(replace(env, episodes=None) for env in self.environments)
        return replace(self, seeds=seeds or self.seeds, episodes=episodes, environments=environments)


def from_file(path: Path) -> Suite:
    """Read a grid of one's own: JSON with name, environments, agents, seeds, episodes, as the fields of `Suite`.

    Raises:
        ValueError: it is not such a file.
    """
    try:
        data = json.loads(path.read_text())
        environments = tuple(
            Environment(**{**env, "beyond": tuple(env.get("beyond", ()))}) for env in data.pop("environments")
        )
        agents = tuple(Entry(**agent) for agent in data.pop("agents"))
        suite = Suite(**{"name": str(path), "asks": "", **data, "environments": environments, "agents": agents})
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no suite ({error}); it needs environments [{{id, args}}], agents [{{name, settings}}], seeds, "
            "episodes"
        ) from error
    unknown = [env.id for env in environments if env.id not in env_ids()]
    if unknown:
        raise ValueError(
            f"{path} names environments that there are not: {', '.join(unknown)}; known are {', '.join(env_ids())}"
        )
    return suite


def short(env_id: str) -> str:
    """Return an environment's id without namespace and version."""
    return env_id.split("/")[-1].removesuffix("-v0")


def _chosen(names: Iterable[str], known: dict[str, Any], aliases: dict[str, Any]) -> list[Any]:
    names = list(names)
    unknown = [name for name in names if name not in known and name not in aliases]
    if unknown:
        raise ValueError(f"the suite has no {', '.join(unknown)}; it has {', '.join(known)}")
    return [known.get(name, aliases.get(name)) for name in names] if names else list(known.values())
