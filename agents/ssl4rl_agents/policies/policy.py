"""The contract of a policy: what the trainer knows of the network it trains.

A policy turns observations into token sequences with log-probabilities and values. The trainer sees tokens, masks,
log-probabilities, values and rewards; never pixels or text. Several answers to one question stand next to each other: of n
rows, rows k * G ... k * G + G - 1 belong to prompt k.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl4rl_agents.policies.answerable import ANSWERABLE, answerable
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.task import Batch, Task

if TYPE_CHECKING:
    from ssl4rl_agents.policies.constraint import Constraint


class Inputs(Protocol):
    """Encoded observations of some prompts."""

    def __len__(self) -> int:
        """Return the number of prompts."""
        ...

    def rows(self, rows: Tensor) -> Self:
        """Return the chosen prompts, in the order of `rows`."""
        ...


@dataclass
class Samples:
    """Sampled answers, n rows of T tokens.

    Args:
        tokens: (n, T) int64.
        mask: (n, T) bool; the end-of-sequence token is inside, everything after it outside.
        logprobs: (n, T) float32, of the tokens under the policy that sampled them; 0 outside the mask.
        values: (n, T) float32, of the state in which each token was chosen; 0 outside the mask.
        truncated: (n,) bool, rows that reached the length limit without an end.
        sampler_logprobs: (n, T) float32 as the engine gave them that sampled the tokens, where that is not the policy itself
            and `logprobs` are the policy's own; 0 outside the mask. None where the policy sampled.
    """

    tokens: Tensor
    mask: Tensor
    logprobs: Tensor
    values: Tensor
    truncated: Tensor
    sampler_logprobs: Tensor | None = None


class Evaluation(NamedTuple):
    """What the current weights say of given tokens; all (n, T) float32 and 0 outside the mask."""

    logprobs: Tensor
    entropies: Tensor
    values: Tensor


Evaluate = Callable[[Any, Tensor, Tensor], Evaluation]
"""A policy, or an engine that stands before it while it learns: called as `Policy.evaluate` is."""


class Talking(Protocol):
    """Conversations as they are sampled, turn by turn: see `talk.Talk`."""

    inputs: Any
    """What was asked and heard so far: `Inputs` whose answers are the replies of all turns side by side."""

    rows: Tensor
    """Which of all rows have not left, (a,) int64."""

    def reply(self, *, generator: torch.Generator | None = None, deterministic: bool = False) -> Samples:
        """Sample the replies of the rows that have not left."""
        ...

    def hear(self, rows: Tensor, observations: dict[str, Any]) -> None:
        """Go on with some of those rows, which hear observations; the others leave."""
        ...

    def expect(self) -> Tensor:
        """Return what the critic expects (a,) of those rows, which have heard something and not replied yet."""
        ...


class Together(Protocol):
    """Processes that make the same passes, as `Processes` are."""

    def everywhere(self, value: bool) -> bool:
        """Return whether it is so in every process."""
        ...


class Policy(nn.Module, ABC):
    """A network that answers questions token by token."""

    interface: ClassVar[str]
    """Which side of the environments it talks to: "array" or "text"."""

    max_new_tokens: int
    """Most tokens of an answer."""

    precision: Literal["auto", "bfloat16"] = "auto"
    """Of its passes, by autocast; its weights stay as they are. auto: bfloat16 on a GPU, float32 elsewhere."""

    constraint: Constraint | None = None
    """The grammar that replies obey, see `constraint.constrain`; None where anything may be said."""

    masked: bool = False
    """Whether it gives no answer that has no effect where the task says which these are; see `constraint.constrain`."""

    together: Together | None = None
    """The processes that hold a part of the weights each; None where this process has them whole."""

    def work_together(self, processes: Together) -> None:
        """Make the same passes in all processes that hold a part of the weights each, whatever they read."""
        self.together = processes

    @property
    @abstractmethod
    def critic(self) -> nn.Module:
        """The part that estimates values and does nothing else."""

    def initial(self) -> AbstractContextManager[None] | None:
        """Return a context in which the policy is what training began with, where that needs no copy; else None."""
        return None

    def observe(self, interface: Interface, batch: Batch) -> dict[str, Any]:
        """Return what `encode` takes of questions, be they compact or not: `shown`, and which answers may be given."""
        return {**self.shown(interface, batch), **self.answerable(interface.task, batch)}

    def shown(self, interface: Interface, batch: Batch) -> dict[str, Any]:
        """Return what is seen of questions; by default what an agent is shown, and what is seen beside it."""
        return {**interface.observe(batch), **self.beside(interface, batch)}

    def beside(self, interface: Interface, batch: Batch) -> dict[str, Any]:
        """Return what `encode` takes beside what an agent is shown, or in its place; by default nothing."""
        del interface, batch
        return {}

    def answerable(self, task: Task, batch: Batch) -> dict[str, NDArray[np.int16]]:
        """Return what `encode` takes beside what is shown: which answers may be given, where not any may.

        A constrained policy, which knows the answers to one task, keeps to no masks of others.
        """
        found = answerable(task, batch) if self.masked else None
        known = self.constraint is None or self.constraint.meet(task, batch, found)
        return {} if found is None or not known else {ANSWERABLE: found}

    @abstractmethod
    def encode(self, observations: dict[str, Any]) -> Any:
        """Turn a batch of observations, as a vector environment gives them, into `Inputs`."""

    @abstractmethod
    def encode_answers(self, answers: Any) -> tuple[Tensor, Tensor]:
        """Write whole answers as the policy would: tokens (n, T), their end included, and the mask (n, T).

        Args:
            answers: what the policy's interface takes: n replies, or the answers themselves (n, ...).
        """

    @abstractmethod
    def generate(
        self, inputs: Any, repeats: int = 1, *, generator: torch.Generator | None = None, deterministic: bool = False
    ) -> Samples:
        """Sample `repeats` answers to each prompt, or take the likeliest token at every place."""

    @abstractmethod
    def evaluate(self, inputs: Any, tokens: Tensor, mask: Tensor) -> Evaluation:
        """Return log-probabilities, entropies and values of answers (n, T), n a multiple of the number of prompts."""

    def encode_next(self, observations: dict[str, Any]) -> Any:
        """Encode what is said after a reply: what stands between it and the next one, as `Inputs`.

        Raises:
            ValueError: the policy holds no conversations.
        """
        del observations
        raise self._silence()

    def join(self, parts: Sequence[Any], replies: Sequence[tuple[Tensor, Tensor]]) -> Any:
        """Write conversations as one prompt each, `Inputs`, sampled tokens as they are.

        Args:
            parts: first prompts (`encode`), then what was said after each reply (`encode_next`), of the same rows.
            replies: tokens (n, T) and mask (n, T) of each, one less than there are parts.

        Raises:
            ValueError: the policy holds no conversations, or there is no room for a reply behind these.
        """
        del parts, replies
        raise self._silence()

    def talk(self, inputs: Any, repeats: int = 1, decisions: int | None = None) -> Talking:
        """Begin a conversation with each of `repeats` rows a prompt, which keeps what was said before.

        Args:
            inputs: the first prompts.
            repeats: rows that begin with each.
            decisions: most replies of a row, after which nothing is kept; None where nobody knows.

        Raises:
            ValueError: the policy holds no conversations.
        """
        del inputs, repeats, decisions
        raise self._silence()

    def _silence(self) -> ValueError:
        return ValueError(f"{type(self).__name__} sees one question at a time and holds no conversations; use context 'turn'")

    def expect(self, inputs: Any) -> Tensor:
        """Return the values (n,) of the states in which n prompts are yet to be answered."""
        tokens = torch.zeros((len(inputs), 1), dtype=torch.long, device=next(self.parameters()).device)
        evaluation: Evaluation = self(inputs, tokens, torch.ones_like(tokens, dtype=torch.bool))
        return evaluation.values[:, 0]

    def forward(self, inputs: Any, tokens: Tensor, mask: Tensor) -> Evaluation:
        """Do as `evaluate` does: where weights are in parts (FSDP), they come together for `forward`."""
        return self.evaluate(inputs, tokens, mask)

    @abstractmethod
    def decode(self, tokens: Tensor, mask: Tensor, truncated: Tensor) -> Any:
        """Turn answers into actions of the policy's interface: n replies, or an array (n, ...) of the action space."""

    @abstractmethod
    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """Write the weights and all that is needed to build the policy again, as safetensors and JSON.

        Args:
            folder: where to.
            weights: the whole state dict, where several processes hold a part of it each.
        """

    @abstractmethod
    def load_weights(self, folder: Path) -> None:
        """Read the weights that `save` wrote; raises ValueError unless every key arrives."""


def token_logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return log-probabilities of tokens alone, as `token_statistics` does."""
    logits = logits.float()
    return logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - torch.logsumexp(logits, dim=-1)


def token_statistics(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities of tokens and entropies of their distributions, in float32.

    Args:
        logits: (..., vocabulary).
        tokens: (...) int64.
    """
    logits = logits.float()
    log_normaliser = torch.logsumexp(logits, dim=-1)
    logprobs = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - log_normaliser
    probabilities = torch.exp(logits - log_normaliser.unsqueeze(-1))
    entropies = log_normaliser - (probabilities * logits).sum(-1)
    return logprobs, entropies


def masked_statistics(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Do as `token_statistics` does where most tokens have no chance: exp is slow of what comes out as 0, softmax is not."""
    logits = logits.float()
    logprobs = logits.log_softmax(-1)
    return logprobs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1), -(logits.softmax(-1) * logprobs).sum(-1)
