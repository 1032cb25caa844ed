"""verifiers on our questions: a taskset, and the environment that plays its tasks for one turn or several.

verifiers finds a taskset by the name of a module that is in no package, so its user writes one of two lines,
`my_questions.py`:

from ssl4rl_envs.bridges.verifiers import EpisodeEnv, QuestionTaskset
__all__ = ["EpisodeEnv", "QuestionTaskset"]

and evaluates it: ``vf-eval my-questions --env.taskset.env-id SSL4RL/Rotation-v0``. Unlike other bridges this module imports
its partner at once: verifiers looks for classes of its own in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import verifiers.v1 as vf
from pydantic import Field

from ssl4rl_envs.bridges.episodes import Episode, episode_keys

__all__ = ["EpisodeEnv", "QuestionTaskset"]


class QuestionData(vf.TaskData):
    """What is said first, and the keys that the question is made again from."""

    question: dict[str, Any]


class QuestionConfig(vf.TasksetConfig):
    """Which questions are asked, as of `ssl4rl_envs.rows`; `args` are the task's arguments."""

    env_id: str = "SSL4RL/Rotation-v0"
    n: int = Field(100, ge=0)
    split: str = "test"
    seed: int = 0
    first: int = 0
    prompt_style: str = "direct"
    grammar: str = "strict"
    attempts: int = Field(1, ge=1)
    args: dict[str, Any] = Field(default_factory=dict)


class QuestionTask(vf.Task[QuestionData]):
    """A question; its replies are scored by playing it again with them, so a stored trace is scored as the live one was."""

    @property
    def key(self) -> str:
        """What names the question in every run."""
        return "/".join(str(value) for value in self.data.question.values())

    @vf.reward
    async def reward(self, trace: vf.Trace) -> float:
        """What the environment pays."""
        return self._played(trace).reward

    @vf.metric
    async def success(self, trace: vf.Trace) -> float:
        """Whether the question was solved."""
        return float(self._played(trace).success)

    def _played(self, trace: vf.Trace) -> Episode:
        episode = Episode(self.data.question)
        for message in trace.assistant_messages:
            if episode.ended:
                break
            episode.answer(message.content or "")
        return episode


class QuestionTaskset(vf.Taskset[QuestionTask, QuestionConfig]):
    """Questions of one environment, made as they are come to."""

    def load(self) -> Iterator[QuestionTask]:
        """Give the tasks, each with the messages that ask it."""
        config = self.config
        shown = {name: getattr(config, name) for name in ("split", "seed", "first", "prompt_style", "grammar", "attempts")}
        for keys in episode_keys(config.env_id, config.n, **shown, **config.args):
            name = f"{config.env_id}#{keys['index']}"
            yield QuestionTask(QuestionData(name=name, prompt=_said(Episode(keys, "openai")), question=keys), config.task)


class EpisodeEnvConfig(vf.SingleAgentEnvConfig):
    """The one who plays: a chat loop without tools on this machine, unless another is asked for."""

    agent: vf.AgentConfig = vf.AgentConfig(harness={"id": "null"}, runtime={"type": "subprocess"})


class EpisodeEnv(vf.SingleAgentEnv, vf.Env[EpisodeEnvConfig]):
    """One question: the model replies, the environment shows what came of it, until the episode has ended."""

    async def run(self, task: QuestionTask, agents: vf.Agents) -> None:
        """Play one task; its own `reward` and `success` judge it."""
        episode = Episode(task.data.question, "openai")
        async with agents.agent.interaction(task) as interaction:
            segment = await interaction.turn()
            while not segment.terminated:
                episode.answer(segment.last_reply)
                if episode.ended:
                    break
                segment = await interaction.turn(_said(episode))


def _said(episode: Episode) -> list[Any]:
    return [vf.UserMessage.model_validate(message) for message in episode.messages]
