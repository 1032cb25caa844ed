"""What a benchmark consists of: runs, each one agent in one environment with one seed, and the suites that declare them."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, cast

from typing_extensions import override

from ssl4rl_envs.arguments import Checked, did_you_mean, from_plain, require_known, whole_number
from ssl4rl_envs.registration import check_arguments, env_id_of

WRITTEN = ("environments", "agents", "seeds", "episodes", "test_episodes", "first_seed", "compared", "asks")
"""What a file with a suite may say."""

KEY = 16
"""Hexadecimal digits of a run's key."""

REVISION = 3
"""Of all that decides a run and is not written in it: what environments ask, and what agents do where nothing is set. Raise
it where these change, so that rows of before are known as such and not taken for rows of now.

1: every environment with one seed asked for the same answers in the same order; advantages relative to a group were
standardised together with the divergence from the initial policy.
2: nano-ppo and nano-reinforce++ gave four answers to each of 64 questions an iteration, now one to each of 256; nano's
tokens were single words and digits, and its position embedding began near 0.
MaskedReconstruction and PatchPosition drew another picture wherever the first patches, or the first place for a crop,
would not do.
"""


class Doable(Protocol):
    """What an executor does: a `Run` of a suite, or a trial of another study.

    Its worker is a module that reads it from a file; see `bench.worker.main`.
    """

    worker: ClassVar[str]

    @property
    def command(self) -> str:
        """What does it again."""
        ...

    @property
    def key(self) -> str:
        """Its name: a digest of all that decides its outcome, and of nothing else."""
        ...

    @property
    def named(self) -> dict[str, Any]:
        """What tables call it: suite, env, agent and seed."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        ...


class Plain(Checked):
    """A base of dataclasses that travel as plain data: to a process of their own, and into rows."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, tuples as lists."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(cast(Any, self))))
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Build it from what `to_json` gave; raises as `from_plain` does."""
        return from_plain(cls, data)


@dataclass(frozen=True)
class Environment(Checked):
    """An environment of a grid.

    Args:
        id: e.g. "SSL4RL/Rotation-v0", or in short, "Rotation".
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

    def __post_init__(self) -> None:
        """Look at all fields, as `Checked` does, and write the id out where it was given in short."""
        super().__post_init__()
        object.__setattr__(self, "id", env_id_of(self.id))

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.label or short(self.id)


@dataclass(frozen=True)
class Entry(Checked):
    """An agent of a grid.

    Args:
        name: a registered agent, or "module:attribute".
        settings: keyword arguments of its factory.
        label: what tables call it; by default the name.
        learns: whether it is one of those whose scores are compared; the others frame them.
        ceiling: whether it is told the right answers.
        tuned: by which search its settings were chosen, for the record; nothing where nobody searched.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    learns: bool = True
    ceiling: bool = False
    tuned: str = ""

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.label or self.name


@dataclass(frozen=True)
class Run(Plain):
    """One run: an agent learns in an environment for so many episodes, then it is measured on held-out items.

    Args:
        suite: whose run it is.
        env, agent: where, and who.
        seed: of everything random in it; all runs are asked the same held-out questions.
        episodes: of training.
        test_episodes: of the measurement at the end.
        command: what does it again.
        split: on which that measurement is: "test", or "validation" where settings are chosen by it.
        revision: see `REVISION`.
    """

    worker: ClassVar[str] = "ssl4rl_benchmarks.bench.worker"

    suite: str
    env: Environment
    agent: Entry
    seed: int
    episodes: int
    test_episodes: int
    command: str = ""
    split: str = "test"
    revision: int = REVISION

    @property
    def key(self) -> str:
        """Name of the run: a digest of all that decides its outcome, and of nothing else."""
        decides = [self.env.id, self.env.args, self.env.beyond, self.agent.name, self.agent.settings]
        numbers: list[Any] = [self.seed, self.episodes, self.test_episodes]
        if self.revision > 1:  # rows of the first keep the names they have
            numbers.append({"revision": self.revision, "split": self.split})
        return hashlib.sha256(json.dumps([*decides, *numbers], sort_keys=True).encode()).hexdigest()[:KEY]

    @property
    def named(self) -> dict[str, Any]:
        """What tables call it."""
        return {"suite": self.suite, "env": self.env.name, "agent": self.agent.title, "seed": self.seed}

    @classmethod
    @override
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Build a run from what `to_json` gave; rows that name no revision are of the first."""
        return from_plain(cls, {"revision": 1, **data})


@dataclass(frozen=True)
class Suite(Checked):
    """A declared grid: environments x agents x seeds, but for pairs that do not go together.

    Args:
        name, asks: what it is called, and which question it answers.
        environments, agents: of the grid; names are unique.
        seeds: how many, counted from `first_seed`. Agents that do not learn get one, but for `random`.
        episodes: of training of each run.
        test_episodes: of each measurement at the end.
        fits: which pairs are part of the grid.
        compared: names of the environments that agents are ranked over; all by default.
        first_seed: the first one; another than 0 where settings were chosen by smaller ones.
        flags: with which the suite was called, as they stand on a command line.

    Raises:
        TypeError: something is of another type.
        ValueError: names are not unique, or a number is below 1.
    """

    name: str
    asks: str
    environments: tuple[Environment, ...]
    agents: tuple[Entry, ...]
    seeds: int
    episodes: int
    test_episodes: int = 1024
    fits: Callable[[Environment, Entry], bool] = lambda *_: True
    compared: tuple[str, ...] = ()
    first_seed: int = 0
    flags: str = ""

    def __post_init__(self) -> None:
        """Look at all fields, as `Checked` does, and at names and numbers."""
        super().__post_init__()
        for what, names in {
            "environments": [env.name for env in self.environments],
            "agents": [agent.title for agent in self.agents],
        }.items():
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what} of suite {self.name} need names of their own; give a label: {', '.join(twice)}")
        for name, least in {"seeds": 1, "episodes": 1, "test_episodes": 1, "first_seed": 0}.items():
            whole_number(f"{name} of suite {self.name}", getattr(self, name), least)
        for env in self.environments:
            if env.episodes is not None:
                whole_number(f"episodes of {env.name} in suite {self.name}", env.episodes, 1)

    def runs(self, envs: Sequence[str] = (), agents: Sequence[str] = (), seeds: Sequence[int] = ()) -> list[Run]:
        """Return the runs of the grid, or of the named rows, columns and seeds of it, those of one seed side by side.

        Raises:
            ValueError: there is no such environment, agent or seed in it.
        """
        chosen_envs = _chosen(envs, {env.name: env for env in self.environments}, self._env_of)
        chosen_agents = _chosen(agents, {agent.title: agent for agent in self.agents}, lambda _name: None)
        every = range(self.first_seed, self.first_seed + self.seeds)
        outside = sorted(set(seeds) - set(every))
        if outside:
            raise ValueError(f"suite {self.name} has the seeds {every[0]} to {every[-1]}, got {outside}")
        return [
            Run(
                self.name,
                env,
                agent,
                seed,
                env.episodes or self.episodes,
                self.test_episodes,
                self.command(env.name, agent.title, seed),
            )
            for seed in sorted(set(seeds) or every)
            for env in chosen_envs
            for agent in chosen_agents
            if self.fits(env, agent) and (agent.learns or agent.name == "random" or seed == self.first_seed)
        ]

    def _env_of(self, name: str) -> Environment | None:
        """Return the last environment of the suite that has such an id."""
        with suppress(ValueError):
            return {env.id: env for env in self.environments}.get(env_id_of(name))
        return None

    def command(self, env: str = "", agent: str = "", seed: int | None = None) -> str:
        """Return the command that does the suite, or a part of it."""
        words = ["ssl4rl", "bench", self.name]
        words += ["--env", env] * bool(env) + ["--agent", agent] * bool(agent)
        words += ["--seed", str(seed)] if seed is not None else []
        return shlex.join(words) + f" {self.flags}" * bool(self.flags)

    def sized(self, seeds: int | None = None, episodes: int | None = None) -> Suite:
        """Return the suite with another number of seeds, or of episodes in every environment."""
        flags = {"seeds": seeds, "episodes": episodes}
        said = " ".join(f"--{name} {value}" for name, value in flags.items() if value is not None)
        suite = replace(self, seeds=self.seeds if seeds is None else seeds, flags=said)
        if episodes is None:
            return suite
        environments = tuple(replace(env, episodes=None) for env in self.environments)
        return replace(suite, episodes=episodes, environments=environments)


def from_file(path: Path) -> Suite:
    """Read a grid of one's own: JSON with environments, agents, seeds, episodes, as the fields of `Suite`.

    An agent may name the `environments` that it takes part in; without, it is all of them.

    Raises:
        ValueError: it is not such a file, or an environment or an agent does not take what it is given.
    """
    try:
        data = json.loads(path.read_text())
        environments = tuple(from_plain(Environment, env, "an environment") for env in data.pop("environments"))
        written = [{**agent} for agent in data.pop("agents")]
        chosen = [_names(agent.pop("environments", None)) for agent in written]
        agents = tuple(from_plain(Entry, agent, "an agent") for agent in written)
        require_known("the suite", data, WRITTEN)
        taken = {agent.title: envs for agent, envs in zip(agents, chosen, strict=True) if envs is not None}
        suite = Suite(
            name=str(path),
            environments=environments,
            agents=agents,
            fits=lambda env, agent: agent.title not in taken or env.name in taken[agent.title],
            **{"asks": "", **data},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no suite ({error}); it needs environments [{{id, args}}], agents [{{name, settings}}], seeds, "
            "episodes"
        ) from error
    names = [env.name for env in environments]
    nowhere = sorted({str(env) for envs in taken.values() for env in envs} - set(names))
    if nowhere:
        raise ValueError(f"{path} has agents take part in {', '.join(nowhere)}; its environments are {', '.join(names)}")
    strangers = [env for env in suite.compared if env not in names]
    if strangers:
        raise ValueError(f"{path} compares over {', '.join(strangers)}; its environments are {', '.join(names)}")
    check(suite)
    return suite


def check(suite: Suite) -> None:
    """Look at what the environments and agents of a suite are given, before anything runs.

    Raises:
        ValueError: there is no such environment or agent, or it does not take what it is given.
    """
    from ssl4rl_agents.agent import check_settings

    for what, name, look in (
        *(("environment", env.name, partial(check_arguments, env.id, thawed(env.args))) for env in suite.environments),
        *(("agent", agent.title, partial(check_settings, agent.name, agent.settings)) for agent in suite.agents),
    ):
        try:
            look()
        except (TypeError, ValueError) as error:
            raise ValueError(f"{what} {name} of suite {suite.name}: {error}") from error
    for agent in suite.agents:
        if agent.name == "random" and "seed" in agent.settings:
            raise ValueError(f"agent {agent.title} of suite {suite.name}: its seed is that of each run; leave it out")


def short(env_id: str) -> str:
    """Return an environment's id without namespace and version, and of "module:Class" the class."""
    return env_id.split("/")[-1].rpartition(":")[2].removesuffix("-v0")


def thawed(args: dict[str, Any]) -> dict[str, Any]:
    """Return arguments as tasks take them: what JSON made lists are tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in args.items()}


def _names(given: Any) -> list[str] | None:
    if given is not None and not isinstance(given, list):
        raise TypeError(f"environments of an agent is a list of names, got {given!r}")
    return given


def _chosen(names: Iterable[str], known: dict[str, Any], otherwise: Callable[[str], Any]) -> list[Any]:
    """Return what names stand for, or all: one of `known`, or what `otherwise` makes of them."""
    chosen = {name: known.get(name) or otherwise(name) for name in names}
    unknown = [name for name, found in chosen.items() if found is None]
    if unknown:
        nearest = did_you_mean(unknown[0], known) or ";"
        raise ValueError(f"the suite has no {', '.join(unknown)}{nearest} it has {', '.join(known)}")
    found = list(chosen.values() if chosen else known.values())
    return list({id(one): one for one in found}.values())
