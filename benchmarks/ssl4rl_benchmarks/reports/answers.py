"""What something trained answers to held-out questions: a board of them, and where it is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from ssl4rl_agents.agent import Agent
from ssl4rl_agents.evaluation import enter
from ssl4rl_benchmarks.reports.page import inlined
from ssl4rl_envs import SSLVectorEnv, Task, hash_seed, rendering
from ssl4rl_envs.png import to_png
from ssl4rl_envs.rendering import Card, Verdict

BOARD = 12
ASKED = 96
"""Held-out questions whose answers are looked at: the first `BOARD` are shown, and of the rest the mistakes."""

MISTAKES = 8


@dataclass(frozen=True)
class Answers:
    """What an agent answered to held-out questions: a card for each, and its verdict."""

    cards: list[Card]
    verdicts: list[Verdict]

    @property
    def mistakes(self) -> list[Card]:
        """Those beyond the board that are wrong, at most `MISTAKES`."""
        beyond = zip(self.cards[BOARD:], self.verdicts[BOARD:], strict=True)
        return [card for card, verdict in beyond if not verdict.success][:MISTAKES]

    @property
    def confused(self) -> list[tuple[str, str, int]]:
        """The commonest mistakes in words: the truth, what was answered, and how often."""
        wrong = Counter(
            (verdict.truth, verdict.answer or "no answer")
            for verdict in self.verdicts
            if not verdict.success and verdict.truth is not None
        )
        return [(str(truth), said, count) for (truth, said), count in wrong.most_common(MISTAKES)]

    def shown(self) -> dict[str, Any]:
        """Return what the page shows of them."""
        return {
            "board": list(map(_shown, self.cards[:BOARD])),
            "right": sum(verdict.success for verdict in self.verdicts[:BOARD]),
            "mistakes": list(map(_shown, self.mistakes)),
            "confused": self.confused,
            "asked": len(self.cards),
        }

    def picture(self) -> bytes:
        """Return the board as a PNG."""
        return to_png(rendering.board(self.cards[:BOARD]), optimize=True)


def answers_of(agent: Agent, task: Task, prompt_style: str = "direct", grammar: str = "strict") -> Answers:
    """Let an agent answer held-out questions, the same for all; of a task of several decisions, the first of each.

    The processes of a run answer together.
    """
    how: dict[str, Any] = {"prompt_style": prompt_style, "grammar": grammar}
    envs = SSLVectorEnv(task, num_envs=ASKED, split="test", interface=agent.interface, **how)
    enter(agent, envs)
    observations, _ = envs.reset(seed=[hash_seed(0, "board")] * ASKED, options={"index": list(range(ASKED))})
    batch = envs.batch
    transition = envs.questions.interface.step(batch, agent.act(observations, deterministic=True))
    verdicts = rendering.judge(task, batch, transition.answers, transition.step.score)
    return Answers([rendering.card(task, batch, row, each) for row, each in enumerate(verdicts)], verdicts)


def _shown(card: Card) -> dict[str, str]:
    """Return a card for the page: its picture, and what a reader hears who does not see it."""
    return {"data": inlined(rendering.draw(card)), "said": f"{card.question} {card.verdict or ''}"}
