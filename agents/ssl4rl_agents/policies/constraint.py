"""Which tokens may come next in a reply: those that a grammar goes on with (llguidance finds them).

What may come next depends on the reply alone, so each beginning of a reply is looked up once, in sampling, and found again
when the same answer is scored: a tree of beginnings remembers them, and a table holds the masks, of which there are few.

Where a state does not allow all answers to what is asked, of the tokens that go on with a beginning those are left that lead
to one of the answers that are allowed. Which token leads to which answer is looked up once a beginning, whatever is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.policies.allowed import Allowed
from ssl4rl_agents.policies.answerable import Answers, answerable, answers_to
from ssl4rl_agents.policies.grammar import (
    CLOSED,
    around_answers,
    closing_grammar,
    forms_of,
    longest_answer,
    reply_grammar,
)
from ssl4rl_agents.policies.reach import Around, Limit, Reach
from ssl4rl_agents.policies.vocabulary import llguidance, vocabulary_of
from ssl4rl_envs.answers import AnswerFormat, wrap
from ssl4rl_envs.stream import Stream
from ssl4rl_envs.task import Batch, Task

if TYPE_CHECKING:
    from ssl4rl_agents.policies.policy import Policy
    from ssl4rl_agents.policies.vlm import VLMPolicy

MOST = 2**18
"""Beginnings that are remembered; when there are more, all are forgotten."""

WORD = np.dtype("<i4")
"""In which llguidance packs 32 tokens."""


@dataclass(frozen=True)
class Root:
    """Where replies begin whose answers have some forms.

    Args:
        node: the number of the empty reply.
        opening: a matcher that reads them from there.
        closing: one that reads what is left to say where a thought has taken all the room for one; None without thoughts.
    """

    node: int
    opening: Any
    closing: Any


Beginning = tuple[Root, Limit | None]
"""Where a reply begins, and which answers it may give where not all may."""


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
        self.forms = tuple(forms)
        example = self.text(tokenizer(wrap("", "direct"), add_special_tokens=False)["input_ids"])
        self._given = (style, written, example[: -len(example.lstrip())].decode())
        self._around = Around(*around_answers(style, written), self._words.vocab_size, self.text)
        self._matchers: dict[tuple[AnswerFormat, ...], tuple[Any, Any]] = {}
        self._parts: dict[int, Answers] = {}
        self.following: dict[tuple[int, int], int] = {}
        """The beginning that follows on one, by its number and a token."""
        self.mask_of: list[int] = []
        """The number of the mask behind each beginning."""
        self._numbers: dict[bytes, int] = {}
        self._masks: list[NDArray[np.uint8]] = []
        self._table: Tensor | None = None
        self._roots: dict[tuple[AnswerFormat, ...], Root] = {}
        self._beginnings: dict[bytes, Beginning] = {}
        self._limits: dict[tuple[int, bytes], Limit] = {}
        self._limited: dict[tuple[int, int], int] = {}
        self._reach: dict[tuple[int, int], Reach | None] = {}
        self._forget()

    def __deepcopy__(self, memo: Any) -> Constraint:
        """Return itself: what it remembers is true of every copy of a policy."""
        del memo
        return self

    def meet(self, task: Task, batch: Batch, answers: NDArray[np.int16] | None) -> bool:
        """Get to know the parts of a task that are asked in a batch; return whether its answers are those of this grammar.

        Args:
            task: reads the answers.
            batch: n questions.
            answers: (n, 1 + actions) which may be given to each, as `answerable` says; None where any may.
        """
        if tuple(task.answer_formats) != self.forms:
            return False
        if answers is not None:
            for part in np.unique(answers[:, 0]).tolist():
                if part not in self._parts:
                    row = np.flatnonzero(answers[:, 0] == part)[:1]
                    self._parts[part] = answers_to(task, batch.rows(row), self.forms)
        return True

    def begin(self, count: int, answers: Tensor | None = None) -> Replies:
        """Begin `count` replies, token by token, to as many prompts or to fewer, `answers` (prompts, 1 + actions) of each."""
        self.tidy()
        return Replies(self, self._begun(count, answers))

    def tidy(self) -> None:
        """Forget all beginnings where there are too many of them."""
        if len(self.following) + len(self._limited) > MOST:
            self._forget()

    def of(self, tokens: Tensor, mask: Tensor, answers: Tensor | None = None) -> Allowed:
        """Return what is allowed in the places (n, T) of whole replies.

        Args:
            tokens: (n, T) int64.
            mask: (n, T) bool, where they are.
            answers: as of `begin`.

        Raises:
            ValueError: a reply goes on after a token that is not allowed.
        """
        rows = torch.arange(len(tokens), device=tokens.device)
        return self.of_turns(tokens, mask, [slice(None)], [(rows, answers)])

    def of_turns(
        self, tokens: Tensor, mask: Tensor, turns: Sequence[slice], asked: Sequence[tuple[Tensor, Tensor | None]]
    ) -> Allowed:
        """Do as `of` does of conversations, whose replies stand in the columns of their turns and begin anew in each.

        Args:
            tokens, mask: as of `of`.
            turns: the columns of each turn.
            asked: of each turn the rows (a,) that were asked, and `answers` as of `begin`.
        """
        self.tidy()
        which = np.zeros(tuple(mask.shape), np.int64)
        for columns, (rows, answers) in zip(turns, asked, strict=False):
            found = which[:, columns]
            within, replies = mask[rows, columns], tokens[rows, columns].tolist()
            begun = self._begun(len(rows), answers)
            for row, reply, length, begin in zip(rows.tolist(), replies, within.sum(1).tolist(), begun, strict=True):
                place = Place(self, begin)
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
        for known in (self.following, self._numbers, self._roots, self._beginnings, self._limits, self._limited, self._reach):
            cast("dict[Any, Any]", known).clear()
        self.mask_of.clear()
        self._masks, self._table = [], None
        self._usual: Beginning = (self._root(self.forms), None)

    def _root(self, forms: tuple[AnswerFormat, ...]) -> Root:
        if forms not in self._matchers:
            grammar = reply_grammar(forms, *self._given)
            closing = self._compiled(closing_grammar(forms)) if "THOUGHT" in grammar else None
            self._matchers[forms] = (self._compiled(grammar), closing)
        if forms not in self._roots:
            opening, closing = self._matchers[forms]
            self._roots[forms] = Root(self.note(opening), opening, closing)
        return self._roots[forms]

    def _begun(self, count: int, answers: Tensor | None) -> list[Beginning]:
        """Return where `count` replies begin, equally many to each prompt."""
        if answers is None or not len(answers):
            return [self._usual] * count
        rows = np.ascontiguousarray(answers.cpu().numpy())
        each = count // len(rows)
        return [begin for begin in map(self._beginning, rows) for _ in range(each)]

    def _beginning(self, answers: NDArray[np.int16]) -> Beginning:
        key = answers.tobytes()
        found = self._beginnings.get(key)
        if found is None:
            part = int(answers[0])
            allowed, limit = self._parts[part].allowed(answers[1:] == 1), None
            if allowed is not None:
                number = len(self._limits)
                limit = self._limits.setdefault((part, allowed.tobytes()), Limit(number, part, np.flatnonzero(allowed)))
            found = self._beginnings[key] = (self._root(self._parts[part].forms), limit)
        return found

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
        self.mask_of.append(self._number(found))
        return len(self.mask_of) - 1

    def _number(self, mask: NDArray[np.uint8]) -> int:
        number = self._numbers.setdefault(mask.tobytes(), len(self._masks))
        if number == len(self._masks):
            self._masks.append(mask)
        return number

    def limited(self, node: int, limit: Limit, said: Sequence[int]) -> int:
        """Return the number of the mask behind a beginning that was `said`, where not all answers may be given."""
        number = self._limited.get((node, limit.number))
        if number is None:
            key = (node, limit.part)
            if key not in self._reach:
                self._reach[key] = self._around.reach(said, self._masks[self.mask_of[node]], self._parts[limit.part])
            reach, number = self._reach[key], self.mask_of[node]
            if reach is not None:
                number = self._number(reach.left(self._masks[number], limit))
            self._limited[node, limit.number] = number
        return number

    def matcher(self, root: Root, said: Sequence[int]) -> tuple[Any, int]:
        """Return the matcher that a reply which begins so is read by, as it is before it reads, and from which token on."""
        if root.closing is None or len(said) < self._thought or CLOSED.encode() in self.text(said[: self._thought]):
            return root.opening, 0
        return root.closing, self._thought

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
        begin: where it began.
    """

    def __init__(self, constraint: Constraint, begin: Beginning) -> None:
        self._constraint, (self._root, self._limit) = constraint, begin
        self._node, self._said = self._root.node, list[int]()
        self._read_by: Any = None
        self._matcher: Any = None
        self._read = 0

    @property
    def mask(self) -> int:
        """The number of the mask of the next token."""
        if self._limit is None:
            return self._constraint.mask_of[self._node]
        return self._constraint.limited(self._node, self._limit, self._said)

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
        reader, start = self._constraint.matcher(self._root, self._said)
        if reader is not self._read_by:
            self._read_by, self._matcher, self._read = reader, reader.deep_copy(), start
        if not self._matcher.consume_tokens(self._said[self._read :]):
            said = self._constraint.text(self._said).decode(errors="replace")
            raise ValueError(f"a reply that begins with {said!r} is not in the grammar of answers")
        self._read = len(self._said)
        return self._matcher


class Replies:
    """Replies that grow side by side.

    Args:
        constraint: what they obey.
        begun: where they began.
    """

    def __init__(self, constraint: Constraint, begun: Sequence[Beginning]) -> None:
        self._constraint, self._places = constraint, [Place(constraint, begin) for begin in begun]

    def allowed(self, device: torch.device) -> Allowed:
        """Return what each may say next."""
        return self._constraint.allowed(np.array([place.mask for place in self._places], np.int64), device)

    def say(self, tokens: Tensor, going: Tensor) -> None:
        """Go on by a token each, tokens (n,), where they have not ended, going (n,)."""
        for place, token, goes in zip(self._places, tokens.tolist(), going.tolist(), strict=True):
            if goes:
                place.say(token)


def constrain(policy: Policy, task: Task) -> None:
    """Let a policy give nothing but answers to a task from now on, in sampling and wherever answers are scored.

    Where the task says which actions have an effect, it gives no others. A graph network, which can give nothing but answers,
    is told that alone.

    Raises:
        ImportError: llguidance is not installed.
        ValueError: the task has no grammar of answers, or a graph network is to keep to what the task does not say.
    """
    policy.masked = True
    if policy.interface != "text":
        if answerable(task, task.sample(Stream.span("train", 0, 0, 1))) is None:
            raise ValueError(
                f"rollout.constrained does nothing for {type(policy).__name__} here: it chooses among answers anyway, and "
                f"{type(task).__name__} does not say which of them have an effect (action_mask); leave it out"
            )
        return
    said = cast("VLMPolicy", policy)
    size = said.model.get_output_embeddings().out_features
    given = (said.processor.tokenizer, size, said.ends, forms_of(task), said.prompt_style, said.encoder.written)
    said.constraint = Constraint(*given, said.max_new_tokens)
    said.max_new_tokens = said.constraint.room
