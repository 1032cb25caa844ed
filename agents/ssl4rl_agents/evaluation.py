"""Measure an agent on held-out questions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.agent import Agent
from ssl4rl_agents.readability import Readability
from ssl4rl_envs import SSLVectorEnv, Task, hash_seed
from ssl4rl_envs.arguments import whole_number
from ssl4rl_envs.playing import returns_of

NUM_ENVS = 128
RESAMPLES = 2000
LEAST_RANGE = 1e-6
"""Rewards are float32: a smaller lead of the right answers over chance is none."""

Watch = Callable[[int], None]


class Played(NamedTuple):
    """Episodes that were played, (n,) each: what they paid, whether they were solved, of which item, what was to be had."""

    reward: NDArray[np.float64]
    success: NDArray[np.bool_]
    items: NDArray[np.int64]
    oracle: NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """What an agent reached.

    Args:
        env, split, episodes: what it was asked.
        reward, success: means over the episodes.
        interval: 95 % bootstrap interval of `success`, resampling source items, not episodes: episodes of one picture are
            not independent.
        items: how many different source items were asked about.
        chance: expected reward of the best policy that ignores the observation.
        oracle: mean reward of the true answers.
        normalised: (reward - chance) / (oracle - chance).
        seconds: wall-clock time.
        readable: the share of replies that were answers; None where nothing is said in words.
        played: the episodes one by one; not in what `to_json` returns.
    """

    env: str
    split: str
    episodes: int
    reward: float
    success: float
    interval: tuple[float, float]
    items: int
    chance: float
    oracle: float
    normalised: float
    seconds: float
    readable: float | None = None
    played: Played | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return {name: value for name, value in asdict(self).items() if name != "played"}


def evaluate(
    agent: Agent,
    task: Task,
    *,
    env: str,
    split: str,
    episodes: int,
    seed: int = 0,
    prompt_style: str = "direct",
    grammar: str = "strict",
    aloud: bool = True,
    watch: Watch = lambda _: None,
) -> Result:
    """Let an agent answer `episodes` questions and score it.

    Args:
        agent: its `interface` decides what it is shown; it acts deterministically.
        task: what is asked.
        env: the environment's id, for the record.
        split: "train", "validation" or "test".
        episodes: how many; the same seed asks the same questions.
        seed: of the questions.
        prompt_style: "direct", "think" or "tool".
        grammar: how replies are read: "strict" or "lenient".
        aloud: warn where nearly no reply can be read.
        watch: called with how many episodes have ended, after every step.

    Raises:
        ValueError: there are fewer than one episode, the seed is negative, another argument is not one of its values, or the
            right answers earn no more than chance (see `normalise`).
    """
    episodes = whole_number("episodes", episodes, 1)
    envs = SSLVectorEnv(
        task,
        num_envs=min(NUM_ENVS, episodes),
        split=split,
        interface=agent.interface,
        prompt_style=prompt_style,
        grammar=grammar,
    )
    return evaluate_in(agent, envs, env=env, episodes=episodes, seed=seed, aloud=aloud, watch=watch)


def evaluate_in(
    agent: Agent,
    envs: SSLVectorEnv,
    *,
    env: str,
    episodes: int,
    seed: int = 0,
    aloud: bool = True,
    watch: Watch = lambda _: None,
) -> Result:
    """Do as `evaluate` in given environments, each of which plays its share of the episodes."""
    episodes, seed = whole_number("episodes", episodes, 1), whole_number("seed", seed)
    start, chance = time.perf_counter(), envs.task.chance
    normalise(0.0, chance, 1.0)  # what cannot be more than chance in the end is refused before it is played
    enter(agent, envs)
    readability = Readability(envs.questions.interface, aloud=aloud)
    played = _played(agent, envs, episodes, seed, readability, watch)
    readability.say()
    reward, oracle = float(played.reward.mean()), float(played.oracle.mean())
    return Result(
        env=env,
        split=envs.split,
        episodes=len(played.success),
        reward=reward,
        success=float(played.success.mean()),
        interval=clustered_interval(played.success, played.items),
        items=len(np.unique(played.items)),
        chance=chance,
        oracle=oracle,
        normalised=normalise(reward, chance, oracle),
        seconds=round(time.perf_counter() - start, 3),
        readable=readability.share,
        played=played,
    )


def _played(agent: Agent, envs: SSLVectorEnv, episodes: int, seed: int, readability: Readability, watch: Watch) -> Played:
    """Play episodes, equally many in each environment; those that an environment plays beyond its share do not count."""
    count = envs.num_envs
    quota = np.full(count, episodes // count) + (np.arange(count) < episodes % count)
    done = np.zeros(count, np.int64)
    gained, best = np.zeros(count), np.zeros(count)
    begun = np.ones(count, bool)
    found: list[Played] = []
    remember = getattr(agent, "begin", None)
    observations, _ = envs.reset(seed=[hash_seed(seed, "evaluation", i) for i in range(count)])
    while (done < quota).any():
        batch = envs.batch
        if begun.any():
            best[begun] = returns_of(envs.task, batch.rows(begun), lambda state, _: np.asarray(envs.task.oracle(state)))
        if remember is not None:
            remember(begun)
        actions = agent.act(observations, deterministic=True)
        observations, reward, terminated, truncated, infos = envs.step(actions)
        ended = terminated | truncated
        if envs.questions.interface.text:
            readability.note(actions, answered(infos, ended))
        gained += reward
        counted = ended & (done < quota)
        if counted.any():
            success = infos["final_info"]["success"][counted]
            found.append(Played(gained[counted], success, batch.items[counted], best[counted]))
        begun = ended
        gained[begun] = 0
        done += counted
        watch(int(done.sum()))
    return Played(*map(np.concatenate, zip(*found, strict=True)))


def normalise(reward: float, chance: float, oracle: float) -> float:
    """Return (reward - chance) / (oracle - chance): 0 for answers without looking, 1 for the right ones.

    Raises:
        ValueError: the right answers earn no more than chance, so there is nothing to measure.
    """
    if oracle - chance < LEAST_RANGE:
        raise ValueError(
            f"there is no normalised score: the best answers without looking earn {chance:.3f}, the right ones {oracle:.3f}, "
            "so nothing is left to be learned; use fewer attempts, or a task with more answers"
        )
    return (reward - chance) / (oracle - chance)


def answered(infos: dict[str, Any], ended: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which replies of a step of a vector environment were answers, (n,)."""
    last = infos.get("final_info", {}).get("valid", np.zeros(len(ended), bool))
    return np.asarray(np.where(ended, last, infos.get("valid", last)), np.bool_)


def enter(agent: Agent, envs: SSLVectorEnv) -> None:
    """Show an agent that wants to see them the environments that it acts in from now on."""
    wanted = getattr(agent, "enter", None)
    if wanted is not None:
        wanted(envs)


def clustered_interval(values: NDArray[Any], clusters: NDArray[np.int64]) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a mean, resampling whole clusters (Cameron & Miller 2015).

    Args:
        values: (n,) numbers or bools.
        clusters: (n,) which cluster each belongs to.
    """
    _, index = np.unique(clusters, return_inverse=True)
    sums, sizes = np.bincount(index, weights=values.astype(np.float64)), np.bincount(index)
    drawn = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
