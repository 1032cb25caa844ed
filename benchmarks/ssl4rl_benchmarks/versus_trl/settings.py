"""What is compared, and how."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

import torch

from ssl4rl_benchmarks.versus_trl.models import MODELS

ENV, SOURCE = "SSL4RL/Rotation-v0", "digits"
LEARNING_RATE = 1e-4

Side = Literal["ours", "trl"]
SIDES: tuple[Side, ...] = ("ours", "trl")


@dataclass(frozen=True)
class Settings:
    """One comparison; what both sides share unless it is said whose it is.

    Args:
        model: a name of `ssl4rl_benchmarks.versus_trl.models.MODELS`.
        device: "cpu" or "cuda".
        prompts: questions a step.
        group: answers to each.
        new_tokens: longest answer.
        full_length: let no answer end before; random weights end answers by chance, and each side's chance is another.
        lora_rank: of adapters for the decoder's linear layers, the rest frozen; 0 trains all weights.
        gradient_checkpointing: keep only the inputs of layers for the way back.
        micro_batch: questions, with all their answers, a forward and backward pass; None takes all at once.
        advantage: ours alone; TRL's is that of GRPO.
        epochs: ours alone; TRL passes once over the answers.
        rounds: alternations of the two.
        steps: timed steps of each in a round.
        threads: of torch.
    """

    model: str = "tiny"
    device: str = "cpu"
    prompts: int = 64
    group: int = 4
    new_tokens: int = 8
    full_length: bool = False
    lora_rank: int = 0
    gradient_checkpointing: bool = False
    micro_batch: int | None = None
    advantage: str = "grpo"
    epochs: int = 1
    rounds: int = 4
    steps: int = 4
    threads: int = 2

    @property
    def env_args(self) -> dict[str, Any]:
        """Arguments of the task: pictures of the size that the model sees."""
        return {"source": SOURCE, "image_size": MODELS[self.model].image_size}

    @property
    def lora_alpha(self) -> int:
        """Scale of the adapters; our trainer's default."""
        return 2 * self.lora_rank

    @property
    def weights_dtype(self) -> torch.dtype:
        """Precision of the weights: bfloat16 for those that adapters leave alone on a GPU, as our trainer has it."""
        return torch.bfloat16 if self.lora_rank and self.device == "cuda" else torch.float32

    def to_json(self) -> str:
        """Return the settings as text, for another process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Step:
    """One optimizer step and the answers it was made from.

    Args:
        seconds: from the questions to the new weights.
        tokens: of all answers.
        update_seconds: of the update alone, where it is known; by the clock of the trainer.
    """

    seconds: float
    tokens: int
    update_seconds: float | None = None
