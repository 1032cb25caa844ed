"""reasoning-gym on our questions: one procedural dataset for all of them, registered under a name.

import reasoning_gym
from ssl4rl_envs.bridges.reasoning_gym import register

register()
data = reasoning_gym.create_dataset("ssl4rl", env_id="SSL4RL/EdgePrediction-v0", seed=0, size=100)
data.score_answer("yes", data[0])

An item of the same seed and number is the same question as everywhere else, and neighbouring seeds share none. Pictures,
where a task shows some, are under `images`, which reasoning-gym hands on and its own trainers do not look at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ssl4rl_envs.answers import wrap
from ssl4rl_envs.bridges.keys import KEYS, keyed_rows, score_rows
from ssl4rl_envs.bridges.questions import text_of

NAME = "ssl4rl"
"""What the dataset is called."""


@dataclass
class QuestionsConfig:
    """Which questions are asked, as of `ssl4rl_envs.rows`; `seed` and `size` are named as in reasoning-gym."""

    env_id: str = "SSL4RL/EdgePrediction-v0"
    seed: int = 0
    size: int = 500
    split: str = "train"
    grammar: str = "strict"
    args: dict[str, Any] = field(default_factory=dict)

    def validate(self) -> None:
        """Raise what is wrong with the arguments, as `ssl4rl_envs.rows` does."""
        text_of(self.env_id, self.args, "direct", self.grammar)


def register(name: str = NAME) -> None:
    """Make `reasoning_gym.create_dataset(name, ...)` and its composites know our questions; a second call changes nothing."""
    from reasoning_gym import factory

    if factory.DATASETS.get(name) != (_dataset_class(), QuestionsConfig):
        factory.register_dataset(name, _dataset_class(), QuestionsConfig)


@cache
def _dataset_class() -> type:
    from reasoning_gym.dataset import ProceduralDataset

    class Questions(ProceduralDataset):
        """Items of one environment and one seed, made when they are asked for."""

        category = NAME

        def __init__(self, config: QuestionsConfig) -> None:
            super().__init__(config=config, seed=config.seed, size=config.size)

        def __getitem__(self, idx: int) -> dict[str, Any]:
            """Make an item: `question`, `answer`, `images`, and under `metadata` the keys that it is scored from."""
            if not 0 <= idx < self.size:
                raise IndexError(f"there are items 0 to {self.size - 1}, got {idx}")
            config = self.config
            given = {"split": config.split, "seed": config.seed, "grammar": config.grammar, **config.args}
            (row,) = keyed_rows(config.env_id, 1, first=idx, **given)
            metadata = {"source_dataset": NAME, "source_index": idx, **{name: row[name] for name in KEYS}}
            question = row["prompt"][0]["content"]
            return {"question": question, "answer": row["answer"], "images": row["images"], "metadata": metadata}

        def score_answer(self, answer: str | None, entry: dict[str, Any]) -> float:
            """Score what stood between the answer tags, or a whole reply, as `step` does; None is worth nothing."""
            if answer is None:
                return 0.0
            reply = answer if "<answer>" in answer else wrap(answer, "direct")
            return score_rows([reply], [entry["metadata"]])[0]["reward"]

    return Questions
