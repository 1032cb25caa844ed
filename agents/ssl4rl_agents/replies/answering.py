"""Let any agent answer a quiz and store its answers as replies, so that rules and runs stand beside models and people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ssl4rl_agents.agent import Agent
from ssl4rl_agents.evaluation import enter
from ssl4rl_agents.replies.files import ReplyFile
from ssl4rl_agents.replies.quiz import Quiz
from ssl4rl_envs import SSLVectorEnv
from ssl4rl_envs.answers import wrap

BATCH = 128


def collect_answers(
    make: Callable[[SSLVectorEnv], Agent],
    name: str,
    quiz: Quiz,
    file: ReplyFile,
    *,
    interface: str = "array",
    watch: Callable[[int], None] = lambda _: None,
) -> int:
    """Ask an agent what has no reply in `file` yet; it acts deterministically. Returns how many questions that were.

    Args:
        make: from the environments that it acts in to the agent.
        name: who replied, in the rows.
        quiz: the questions; one sample of each.
        file: open.
        interface: which side of the environments the agent talks to; what it does with arrays is written in words.
        watch: called with how many questions have a reply, now and then.
    """
    who: dict[str, Any] = {"model": name, "kind": "agent", "settings": {}}
    indices = [index for index in range(quiz.questions) if not file.replied(quiz.key(index, 0, **who))]
    agent: Agent | None = None
    for start in range(0, len(indices), BATCH):
        part = indices[start : start + BATCH]
        envs = SSLVectorEnv(
            quiz.task, num_envs=len(part), split=quiz.split, interface=interface, prompt_style=quiz.prompt_style
        )
        agent = agent or make(envs)
        enter(agent, envs)
        observations, _ = envs.reset(seed=[quiz.seed] * len(part), options={"index": part})
        actions = agent.act(observations, deterministic=True)
        replies = list(actions) if interface == "text" else _in_words(quiz, np.asarray(actions), envs)
        digests = {shown.index: shown.digest for _, made in quiz.batches(set(part).__contains__) for shown in made}
        for index, reply in zip(part, replies, strict=True):
            file.append(quiz.row(index, digests[index], **who, reply=reply))
        envs.close()
        watch(quiz.questions - len(indices) + start + len(part))
    return len(indices)


def _in_words(quiz: Quiz, actions: Any, envs: SSLVectorEnv) -> list[str]:
    """Write actions as replies; what means nothing is an empty reply."""
    written = quiz.task.format_all(actions.astype(quiz.task.action_space.dtype), envs.batch)
    return ["" if words is None else wrap(words, quiz.prompt_style) for words in written]
