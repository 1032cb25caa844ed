"""What is searched for each algorithm: as many settings of three kinds for each, declared here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any

from ssl4rl_agents.settings import merged
from ssl4rl_benchmarks.bench.grid import Entry
from ssl4rl_envs import hash_seed

Settings = dict[str, Any]
Axis = tuple[Settings, ...]

LENGTHS = (5, 4, 3)
"""How many values the axes of every space have: of the step size, of what keeps an agent exploring, of how it uses data."""

FACTORS = (1, 1 / 10, 1 / 3, 3, 10)
"""Step sizes, in units of the agent's default."""


@dataclass(frozen=True)
class Space:
    """The settings that are searched for some agents: all combinations of the values of three axes.

    Args:
        agents: registered names.
        axes: of each the values, as settings of the agent; the first of each is what the agent does by default.

    Raises:
        ValueError: the axes are not as long as those of every other space.
    """

    agents: tuple[str, ...]
    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        lengths = tuple(map(len, self.axes))
        if lengths != LENGTHS:
            raise ValueError(f"the axes of every space have {LENGTHS} values, those of {', '.join(self.agents)} {lengths}")


def _rates(default: float, section: str = "") -> Axis:
    """Return step sizes around a default, as settings of a section."""
    rates: list[Settings] = [{"learning_rate": float(f"{default * factor:.3g}")} for factor in FACTORS]
    return tuple({section: rate} if section else rate for rate in rates)


def _each(name: str, *values: Any) -> Axis:
    """Return values of one setting."""
    return tuple({name: value} for value in values)


def _divergences(*pairs: tuple[str, float]) -> Axis:
    """Return forms of the divergence from the initial policy with their coefficients, and, last, none at all."""
    found = [{"objective": {"kl_loss": form, "kl_coefficient": coefficient}} for form, coefficient in pairs]
    return (*found, {"objective": {"kl_coefficient": 0.0}})


EPOCHS: Axis = tuple({"optimizer": {"epochs": epochs}} for epochs in (3, 1, 6))
GROUPS: Axis = tuple({"rollout": {"prompts": prompts, "group_size": size}} for prompts, size in ((64, 4), (32, 8), (128, 2)))
"""As many answers an iteration, in groups of other sizes."""

IN_LOSS = _divergences(("k3", 0.01), ("k3", 0.1), ("k2", 0.01))


def _in_reward(usual: float) -> Axis:
    return _divergences(("none", usual), ("none", usual / 10), ("k3", 0.01))


def _exploring(*pairs: tuple[float, float]) -> Axis:
    return tuple({"exploration_fraction": share, "exploration_final_eps": left} for share, left in pairs)


SPACES = (
    Space(("nano-ppo", "nano-reinforce++"), (_rates(1.5e-3, "optimizer"), _in_reward(0.1), EPOCHS)),
    Space(("nano-grpo", "nano-rloo"), (_rates(1.5e-3, "optimizer"), IN_LOSS, GROUPS)),
    Space(("gcn-ppo", "sage-ppo", "gat-ppo", "gin-ppo"), (_rates(1e-3, "optimizer"), _in_reward(0.05), EPOCHS)),
    Space(("gcn-grpo", "gin-grpo"), (_rates(1e-3, "optimizer"), IN_LOSS, GROUPS)),
    Space(
        ("sb3-ppo", "sb3-maskable-ppo"),
        (_rates(3e-4), _each("ent_coef", 0.01, 0.0, 0.001, 0.1), _each("n_epochs", 4, 1, 10)),
    ),
    Space(("sb3-a2c",), (_rates(7e-4), _each("ent_coef", 0.0, 0.001, 0.01, 0.1), _each("n_steps", 5, 1, 16))),
    Space(("sb3-trpo",), (_rates(1e-3), _each("target_kl", 0.01, 0.003, 0.03, 0.1), _each("n_critic_updates", 5, 2, 10))),
    Space(
        ("sb3-dqn",),
        (
            _rates(3e-4),
            _exploring((0.1, 0.05), (0.1, 0.01), (0.3, 0.05), (0.5, 0.05)),
            _each("target_update_interval", 500, 100, 2_000),
        ),
    ),
    Space(
        ("sb3-qrdqn",),
        (
            _rates(3e-4),
            _exploring((0.005, 0.01), (0.1, 0.05), (0.3, 0.05), (0.5, 0.05)),
            _each("target_update_interval", 500, 100, 2_000),
        ),
    ),
    Space(("sb3-sac",), (_rates(3e-4), _each("ent_coef", "auto", "auto_0.1", 0.05, 0.2), _each("tau", 0.005, 0.001, 0.02))),
)


def space_of(agent: str) -> Space | None:
    """Return what is searched for a registered agent; None where nothing is declared."""
    return next((space for space in SPACES if agent in space.agents), None)


def candidates(entry: Entry, count: int, seed: int) -> list[Settings]:
    """Return the settings that are tried for an agent of a suite, beside those that the suite gives it.

    The first are the agent's defaults; the others are drawn from all combinations without repetition, by hashes of (seed,
    number of the combination). So they do not depend on who else is searched, more of them begin with the same ones, and
    agents with as many combinations are tried with the same step sizes, in units of their defaults: none of them is lucky in
    what it is offered. What the suite sets itself is not searched.

    Raises:
        ValueError: no space is declared for the agent, or it has fewer combinations.
    """
    space = space_of(entry.name)
    if space is None:
        known = ", ".join(name for space in SPACES for name in space.agents)
        raise ValueError(f"no search is declared for {entry.title} ({entry.name}); there is one for {known}")
    given = set(_names(entry.settings))
    axes = [axis for axis in space.axes if not given & set(_names(axis[0]))]
    nothing: Settings = {}
    points = [reduce(merged, values, nothing) for values in product(*axes)]
    if not 1 <= count <= len(points):
        raise ValueError(f"the search of {entry.title} has {len(points)} combinations, so --runs is 1 to that, got {count}")
    order = sorted(range(1, len(points)), key=lambda number: hash_seed(seed, "candidates", number))
    return [points[number] for number in (0, *order)[:count]]


def _names(settings: Settings, above: Sequence[str] = ()) -> list[str]:
    """Return the names of all settings, those of sections with a point between."""
    found: list[str] = []
    for name, value in settings.items():
        path = (*above, name)
        found += _names(value, path) if isinstance(value, dict) else [".".join(path)]
    return found
