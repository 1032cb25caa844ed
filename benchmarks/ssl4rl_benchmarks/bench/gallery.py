"""The gallery: a few held-out questions, the same for every agent, and what agents answer to them."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ssl4rl_agents.agent import Agent
from ssl4rl_agents.evaluation import enter
from ssl4rl_envs import SSLVectorEnv, Task, hash_seed

GALLERY = 6
"""Held-out questions whose answers are kept."""


def gallery_answers(agent: Agent, envs: SSLVectorEnv) -> list[dict[str, Any]]:
    """Return what an agent answers to the questions of the gallery: in words, and whether that is right."""
    read = envs.questions.interface
    asked = gallery_envs(envs.unwrapped.task, agent.interface, read.prompt_style, read.grammar)
    enter(agent, asked)
    observations, _ = asked.reset(seed=gallery_seeds())
    batch = asked.batch
    actions = agent.act(observations, deterministic=True)
    transition = asked.questions.interface.step(batch, actions)
    score = transition.step.score
    written = asked.task.format_all(transition.answers, batch)
    said = [words(written[row], transition.answers[row], bool(transition.answered[row])) for row in range(GALLERY)]
    return [
        {"said": said[row], "reward": round(float(score.reward[row]), 4), "success": bool(score.success[row])}
        for row in range(GALLERY)
    ]


def gallery_envs(task: Task, interface: str, prompt_style: str = "direct", grammar: str = "strict") -> SSLVectorEnv:
    """Return environments that ask the questions of the gallery."""
    return SSLVectorEnv(task, num_envs=GALLERY, split="test", interface=interface, prompt_style=prompt_style, grammar=grammar)


def gallery_seeds() -> list[int]:
    """Return the seeds of the questions of the gallery."""
    return [hash_seed(0, "gallery", number) for number in range(GALLERY)]


def words(written: str | None, answer: NDArray[Any], answered: bool) -> str:
    """Put an answer in words, or in numbers where there are none."""
    if written is not None:
        return written
    if not answered:
        return "no valid answer"
    return str(answer.tolist()) if answer.size <= 8 else f"{answer.size} numbers"
