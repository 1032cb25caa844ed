"""Networks trained by the suite's own trainer, as agents that learn: nano and graph networks, by any of its algorithms."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from ssl4rl_agents.agent import NotLearnedError
from ssl4rl_agents.checks import resolved
from ssl4rl_agents.lessons import Lesson, Point
from ssl4rl_agents.policies.build import load_policy
from ssl4rl_agents.policies.constraint import constrain
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.policy_settings import AUTO, GRAPH_MODELS
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.asking import Asking
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_agents.runtime.device import find_device
from ssl4rl_agents.settings import TrainConfig, merged
from ssl4rl_envs import SSLVectorEnv

DECIDED = (
    "env",
    "env_args",
    "prompt_style",
    "grammar",
    "seed",
    "iterations",
    "eval_every",
    "eval_episodes",
    "test_episodes",
    "save_every",
    "keep",
    "device",
)
"""Settings that follow from the environments and the lesson."""


class TrainedAgent(Asking):
    """A network of `TrainConfig`'s policies, trained by the token-level trainer.

    Args:
        envs: the environments it will act in.
        settings: of `TrainConfig`, nested as in a run's config.json; `iterations` follows from the episodes of the lesson,
            one answer being one episode.

    Raises:
        ValueError: a setting is unknown or decided by the lesson, or the lesson is shorter than one iteration.
    """

    interface = "text"
    settings: ClassVar[dict[str, Any]] = {"policy": {"model": "nano"}}
    """What the settings are if nothing else is said."""

    def __init__(self, envs: SSLVectorEnv, **settings: Any) -> None:
        self._config = self.check_settings(settings)
        self.interface = self._config.policy.interface
        interface = envs.unwrapped.questions.interface
        self._prompt_style, self._grammar = interface.prompt_style, interface.grammar
        self._agent: PolicyAgent | None = None
        self._task = envs.unwrapped.task

    @classmethod
    def check_settings(cls, settings: dict[str, Any]) -> TrainConfig:
        """Return the settings of a run, but for what the lesson decides; raises as the constructor does."""
        decided = sorted(set(settings) & set(DECIDED))
        if decided:
            raise ValueError(f"the lesson decides {', '.join(decided)}; leave out what it decides: {', '.join(DECIDED)}")
        config = TrainConfig.from_json(merged(cls.settings, settings))
        if config.policy.model == AUTO:
            raise ValueError("an agent has the same network in all environments; name it as policy.model instead of auto")
        resolved(config)
        if config.rollout.dynamic_sampling:
            raise ValueError("rollout.dynamic_sampling asks as many questions as it needs, and a lesson has so many episodes")
        return config

    def learn(self, lesson: Lesson) -> None:
        """Train for as many whole iterations as the lesson has episodes for; the run folder is the lesson's."""
        config, folder = resolved(self.configured(lesson)), lesson.folder / "run"
        lesson.settings = config.to_json()
        prompts, group_size = config.rollout.sizes()
        trainer = Trainer(config, folder, resume=(folder / "config.json").exists(), quiet=not lesson.aloud)
        self._agent = PolicyAgent(trainer.policy, device=trainer.device, context=config.rollout.context)
        if not trainer.run(begin=lambda: lesson.begin(self)):
            raise KeyboardInterrupt  # all is saved; half a run is no result
        measured = 0.0
        for line in read_metrics(folder):
            if "validation/reward" in line:
                measured += line["seconds/validation"]
                seconds = round(line["seconds"] - measured, 3)
                episodes = line["iteration"] * prompts * group_size
                lesson.note(Point(episodes, seconds, line["validation/reward"], line["validation/success"]))

    def configured(self, lesson: Lesson) -> TrainConfig:
        """Return the settings of the run that a lesson asks for."""
        prompts, group_size = resolved(self._config).rollout.sizes()
        each = prompts * group_size
        iterations = lesson.episodes // each
        if iterations < 1:
            raise ValueError(
                f"an iteration takes {each} episodes (rollout.prompts x rollout.group_size), got {lesson.episodes}"
            )
        every = max(1, iterations // lesson.measurements)
        return dataclasses.replace(
            self._config,
            env=lesson.env,
            env_args=lesson.env_args,
            prompt_style=cast("Any", self._prompt_style),
            grammar=cast("Any", self._grammar),
            seed=lesson.seed,
            iterations=iterations,
            eval_every=every,
            eval_episodes=lesson.measured_episodes,
            save_every=max(25, every),
            keep=1,
            device=lesson.device,
        )

    def save(self, folder: Path) -> None:
        """Write the network; raises as `policy` does."""
        self.policy.save(folder)

    def load(self, folder: Path) -> None:
        """Take in the network that `save` wrote; raises ValueError where it does not fit."""
        config = resolved(self._config)
        device = find_device(config.device)
        policy = load_policy(folder, config.policy, device, self._task, self._prompt_style)
        if config.rollout.constrained:
            constrain(policy, self._task)
        self._agent = PolicyAgent(policy, device=device, context=config.rollout.context)

    @property
    def policy(self) -> Policy:
        """The network.

        Raises:
            NotLearnedError: nothing was learned yet.
        """
        if self._agent is None:
            raise NotLearnedError
        return self._agent.policy

    def enter(self, envs: SSLVectorEnv) -> None:
        """Learn from these environments from now on which answers may be given; see `PolicyAgent`."""
        if self._agent is not None:
            self._agent.enter(envs)

    def begin(self, begun: NDArray[np.bool_]) -> None:
        """Forget what came before in those rows that show the beginning of an episode next."""
        if self._agent is not None:
            self._agent.begin(begun)

    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> Any:
        """Answer as was learned; raises as `policy` does."""
        if self._agent is None:
            raise NotLearnedError
        return self._agent.act(observations, deterministic=deterministic)


def _agent(name: str, model: str = "nano", **settings: Any) -> type[TrainedAgent]:
    settings = {"policy": {"model": model}, **settings}
    interface = "array" if model in GRAPH_MODELS else "text"
    return type(
        name, (TrainedAgent,), {"settings": settings, "interface": interface, "__doc__": f"{name}; see TrainedAgent."}
    )


SMALL: dict[str, Any] = {"rollout": {"prompts": 64}}
"""Half the trainer's questions an iteration, four answers to each: twice as many updates for as many episodes."""

EACH_ONCE: dict[str, Any] = {"rollout": {"prompts": 256, "group_size": 1}}
"""As many answers, each to a question of its own."""

TOLD: dict[str, Any] = {"algorithm": "sft", "rollout": {"prompts": 256, "group_size": 1}}
"""The supervised ceiling sees as many questions as the others give answers, once each, in as many updates."""

NanoPPO = _agent("NanoPPO", **EACH_ONCE)
NanoGRPO = _agent("NanoGRPO", **SMALL, objective={"advantage": "grpo"})
NanoRLOO = _agent("NanoRLOO", **SMALL, objective={"advantage": "rloo"})
NanoReinforce = _agent("NanoReinforce", **EACH_ONCE, objective={"advantage": "reinforce++"})
NanoSupervised = _agent("NanoSupervised", **TOLD)
GCNPPO = _agent("GCNPPO", "gcn", **SMALL)
GCNGRPO = _agent("GCNGRPO", "gcn", **SMALL, objective={"advantage": "grpo"})
GCNSupervised = _agent("GCNSupervised", "gcn", **TOLD)
SAGEPPO = _agent("SAGEPPO", "sage", **SMALL)
SAGESupervised = _agent("SAGESupervised", "sage", **TOLD)
GATPPO = _agent("GATPPO", "gat", **SMALL)
GATSupervised = _agent("GATSupervised", "gat", **TOLD)
GINPPO = _agent("GINPPO", "gin", **SMALL)
GINGRPO = _agent("GINGRPO", "gin", **SMALL, objective={"advantage": "grpo"})
GINSupervised = _agent("GINSupervised", "gin", **TOLD)
