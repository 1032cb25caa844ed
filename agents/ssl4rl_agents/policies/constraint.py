"""Which tokens may come next in a reply: those that a grammar goes on with (llguidance finds them).

What may come next depends on the reply alone, so each beginning of a reply is looked up once, in sampling, and found again
when the same answer is scored: a tree of beginnings remembers them, and a table holds the masks, of which there are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.policies.grammar import CLOSED, closing_grammar, forms_of, longest_answer, reply_grammar
from ssl4rl_agents.policies.vocabulary import llguidance, vocabulary_of
from ssl4rl_envs.answers import AnswerFormat, wrap
from ssl4rl_envs.task import Task

if TYPE_CHECKING:
    from ssl4rl_agents.policies.policy import Policy
    from ssl4rl_agents.policies.vlm import VLMPolicy

MOST = 2**18
"""Beginnings that are remembered; when there are more, all are forgotten."""

WORD = np.dtype("<i4")
"""In which llguidance packs 32 tokens."""


@dataclass(frozen=True)
class Allowed:
    """Which tokens may be said in some places.

    Args:
        which: (...) int64, the mask of each place.
        masks: (masks, bytes) uint8; bit b of byte k says whether token 8 * k + b may be said.
    """

    which: Tensor
    masks: Tensor

    def __getitem__(self, places: Any) -> Allowed:
        return Allowed(self.which[places], self.masks)

    def flat(self) -> Allowed:
        """Return the places in one row."""
        return Allowed(self.which.flatten(), self.masks)

    def tokens(self, size: int) -> Tensor:
        """Return which of `size` tokens may be said, (..., size) bool."""
        masks, place = self._distinct()
        return _unpacked(masks, size)[place]

    def others(self, forbidden: Tensor) -> Tensor:
        """Return which tokens may not be said, (..., size) bool: `forbidden` (size,) ones nowhere."""
        masks, place = self._distinct()
        return (~_unpacked(masks, len(forbidden)) | forbidden)[place]

    def _distinct(self) -> tuple[Tensor, Tensor]:
        """Return the masks that there are, each once, and which of these is whose."""
        found, place = cast(Any, self.which).unique(return_inverse=True)
        return self.masks[found], place


def _unpacked(masks: Tensor, size: int) -> Tensor:
    bits = torch.tensor([1 << bit for bit in range(8)], dtype=torch.uint8, device=masks.device)
    return (masks.unsqueeze(-1) & bits).ne(0).flatten(-2)[..., :size]


class Constraint:
    """The grammar of a policy's replies, and what it allows after each beginning of one.

    Args:
        tokenizer: of the model, a fast one of transformers.
        size: how many logits the model has.
        ends: tokens that end a reply: allowed where an answer is complete, and nowhere else.
        forms: an answer has one of them.
        style: "direct" or "think".
        written: what the chat template has written of a reply.
        room: most tokens of a reply. A thought is closed when no more are left than the longest answer may take.

    Raises:
        ImportError: llguidance is not installed.
        ValueError: the grammar cannot be made, or the tokenizer is not a fast one.
    """

    def __init__(
        self,
        tokenizer: Any,
        size: int,
        ends: Sequence[int],
        forms: Sequence[AnswerFormat],
        style: str = "direct",
        written: str = "",
        room: int = 16,
    ) -> None:
        self._library, self._ends = llguidance(), list(ends)
        self._words = vocabulary_of(tokenizer, size, self._ends[0])
        answer = longest_answer(forms) + 1
        self.room = max(room, answer + len("<think> "))
        """Most tokens of a reply; no answer is cut off by it."""
        self._thought = self.room - answer
        example = self.text(tokenizer(wrap("", "direct"), add_special_tokens=False)["input_ids"])
        lead = example[: -len(example.lstrip())].decode()
        grammar = reply_grammar(forms, style, written, lead)
        self._opening = self._compiled(grammar)
        self._closing = self._compiled(closing_grammar(forms)) if "THOUGHT" in grammar else None
        self.following: dict[tuple[int, int], int] = {}
        """The beginning that follows on one, by its number and a token."""
        self.mask_of: list[int] = []
        """The number of the mask behind each beginning."""
        self._numbers: dict[bytes, int] = {}
        self._masks: list[NDArray[np.uint8]] = []
        self._table: Tensor | None = None
        self._forget()

    def __deepcopy__(self, memo: Any) -> Constraint:
        """Return itself: what it remembers is true of every copy of a policy."""
        del memo
        return self

    def begin(self, count: int) -> Replies:
        """Begin `count` replies, token by token."""
        self.tidy()
        return Replies(self, count)

    def tidy(self) -> None:
        """Forget all beginnings where there are too many of them."""
        if len(self.following) > MOST:
            self._forget()

    def of(self, tokens: Tensor, mask: Tensor) -> Allowed:
        """Return what is allowed in the places (n, T) of whole replies.

        Args:
            tokens: (n, T) int64.
            mask: (n, T) bool, where they are.

        Raises:
            ValueError: a reply goes on after a token that is not allowed.
        """
        return self.of_turns(tokens, mask, [slice(None)])

    def of_turns(self, tokens: Tensor, mask: Tensor, turns: Sequence[slice]) -> Allowed:
        """Do as `of` does of conversations, whose replies stand in the columns of their turns and begin anew in each."""
        self.tidy()
        which = np.zeros(tuple(mask.shape), np.int64)
        for columns in turns:
            found = which[:, columns]
            lengths = mask[:, columns].sum(1).tolist()
            for row, (reply, length) in enumerate(zip(tokens[:, columns].tolist(), lengths, strict=True)):
                place = Place(self)
                for column in range(length):
                    found[row, column] = place.mask
                    if column + 1 < length:
                        place.say(reply[column])
        return self.allowed(which, tokens.device)

    def allowed(self, which: NDArray[np.int64], device: torch.device) -> Allowed:
        """Return masks by their numbers, on a device."""
        if self._table is None or len(self._table) < len(self._masks) or self._table.device != device:
            self._table = torch.from_numpy(np.stack(self._masks)).to(device)
        return Allowed(torch.from_numpy(which).to(device), self._table)

    def _forget(self) -> None:
        self.following.clear()
        self.mask_of.clear()
        self._numbers.clear()
        self._masks, self._table = [], None
        self.note(self._opening)

    def note(self, matcher: Any) -> int:
        """Remember what may be said where a matcher stands; return the number of the place."""
        bits = np.zeros((1, -(-self._words.vocab_size // 32)), np.int32)
        if not matcher.is_stopped():
            self._library.numpy.fill_next_token_bitmask(matcher, bits, 0)
        found = bits[0].astype(WORD).view(np.uint8)
        usual = self._ends[0]
        if matcher.is_stopped() or found[usual // 8] >> usual % 8 & 1:
            for end in self._ends:
                found[end // 8] |= np.uint8(1 << end % 8)
        number = self._numbers.setdefault(found.tobytes(), len(self._masks))
        if number == len(self._masks):
            self._masks.append(found)
        self.mask_of.append(number)
        return len(self.mask_of) - 1

    def root_of(self, said: Sequence[int]) -> tuple[Any, int]:
        """Return the matcher that a reply which begins so is read by, as it is before it reads, and from which token on."""
        if self._closing is None or len(said) < self._thought or CLOSED.encode() in self.text(said[: self._thought]):
            return self._opening, 0
        return self._closing, self._thought

    def _compiled(self, grammar: str) -> Any:
        matcher = self._library.LLMatcher(self._words, grammar, log_level=0)
        if matcher.is_error():
            raise ValueError(f"the grammar of answers cannot be made: {matcher.get_error()}\n{grammar}")
        return matcher

    def text(self, tokens: Sequence[int]) -> bytes:
        """Return what tokens stand for."""
        return bytes(self._words.decode_bytes(list(tokens)))


class Place:
    """How far one reply has come.

    Args:
        constraint: what it obeys.
    """

    def __init__(self, constraint: Constraint) -> None:
        self._constraint, self._node, self._said = constraint, 0, list[int]()
        self._root: Any = None
        self._matcher: Any = None
        self._read = 0

    @property
    def mask(self) -> int:
        """The number of the mask of the next token."""
        return self._constraint.mask_of[self._node]

    def say(self, token: int) -> None:
        """Go on by a token.

        Raises:
            ValueError: it was not allowed.
        """
        following, key = self._constraint.following, (self._node, token)
        self._said.append(token)
        node = following.get(key)
        if node is None:
            node = following[key] = self._constraint.note(self._caught_up())
        self._node = node

    def _caught_up(self) -> Any:
        """Return a matcher that has read all that was said: as long as the tree knows the way, none has to."""
        root, start = self._constraint.root_of(self._said)
        if root is not self._root:
            self._root, self._matcher, self._read = root, root.deep_copy(), start
        if not self._matcher.consume_tokens(self._said[self._read :]):
            said = self._constraint.text(self._said).decode(errors="replace")
            raise ValueError(f"a reply that begins with {said!r} is not in the grammar of answers")
        self._read = len(self._said)
        return self._matcher


class Replies:
    """Replies that grow side by side.

    Args:
        constraint: what they obey.
        count: of the replies.
    """

    def __init__(self, constraint: Constraint, count: int) -> None:
        self._constraint, self._places = constraint, [Place(constraint) for _ in range(count)]

    def allowed(self, device: torch.device) -> Allowed:
        """Return what each may say next."""
        return self._constraint.allowed(np.array([place.mask for place in self._places], np.int64), device)

    def say(self, tokens: Tensor, going: Tensor) -> None:
        """Go on by a token each, tokens (n,), where they have not ended, going (n,)."""
        for place, token, goes in zip(self._places, tokens.tolist(), going.tolist(), strict=True):
            if goes:
                place.say(token)


def constrain(policy: Policy, task: Task) -> None:
    """Let a policy say nothing but answers to a task from now on, in sampling and wherever answers are scored.

    Raises:
        ImportError: llguidance is not installed.
        ValueError: the policy writes no words, or the task has no grammar of answers.
    """
    if policy.interface != "text":
        raise ValueError(
            f"{type(policy).__name__} writes no words that a grammar could constrain; leave out rollout.constrained"
        )
    said = cast("VLMPolicy", policy)
    size = said.model.get_output_embeddings().out_features
    given = (said.processor.tokenizer, size, said.ends, forms_of(task), said.prompt_style, said.encoder.written)
    said.constraint = Constraint(*given, said.max_new_tokens)
    said.max_new_tokens = said.constraint.room
