"""Ask a quiz of a model behind an endpoint, many questions at a time, and store each reply as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from ssl4rl_agents.endpoints.client import Answered, Client, Clock, Counts, Endpoint, EndpointError, run_to_end
from ssl4rl_agents.replies import Quiz, ReplyFile, ReplyRow
from ssl4rl_agents.replies.quiz import Shown
from ssl4rl_envs import to_messages, tool_schema

HOPELESS = 10
"""Questions without a reply, and none with one, after which no more are asked: the endpoint or the model is not up to it."""


@dataclass
class Progress:
    """How far a quiz is.

    Args:
        wanted: replies in all.
        there: of which were stored before.
        replies, errors: that came since, and that did not come.
        prompt_tokens, completion_tokens: of these replies.
        counts: of the client.
        last_error: why the last reply that did not come did not.
    """

    wanted: int
    there: int
    replies: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    counts: Counts = field(default_factory=Counts)
    last_error: str | None = None
    began: float = field(default_factory=time.monotonic)

    def note(self, answered: Answered) -> None:
        """Count what came of a question."""
        if answered.reply is None:
            self.errors += 1
            self.last_error = answered.error
            return
        self.replies += 1
        usage = answered.reply.usage or {}
        self.prompt_tokens += usage.get("prompt_tokens", 0)
        self.completion_tokens += usage.get("completion_tokens", 0)


def collect(
    endpoint: Endpoint,
    quiz: Quiz,
    file: ReplyFile,
    *,
    clock: Clock | None = None,
    watch: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Ask what has no reply in `file` yet, and append each reply, or why there is none, when it comes.

    Args:
        endpoint: whom.
        quiz: what.
        file: open.
        clock: for tests.
        watch: called after each reply.

    Raises:
        EndpointError: the endpoint refuses all requests, or has answered none of the first ones; the message says how.
    """
    return run_to_end(_collect(endpoint, quiz, file, clock, watch))


async def _collect(
    endpoint: Endpoint, quiz: Quiz, file: ReplyFile, clock: Clock | None, watch: Callable[[Progress], None]
) -> Progress:
    async with Client(endpoint, clock) as client, asyncio.TaskGroup() as group:
        asking = _Asking(client, quiz, file, watch)
        group.create_task(asking.fill())
        for _ in range(endpoint.concurrency):
            group.create_task(asking.work())
    return asking.progress


class _Asking:
    """A quiz being asked: a queue of what has no reply yet, and workers that empty it."""

    def __init__(self, client: Client, quiz: Quiz, file: ReplyFile, watch: Callable[[Progress], None]) -> None:
        self._client, self._quiz, self._file, self._watch = client, quiz, file, watch
        endpoint = client.endpoint
        self._who: dict[str, Any] = {"model": endpoint.model, "kind": "model", "settings": endpoint.sampling}
        self._tool = tool_schema(quiz.task) if quiz.prompt_style == "tool" else None
        self._queue: asyncio.Queue[tuple[Shown, int] | None] = asyncio.Queue(2 * endpoint.concurrency)
        wanted = quiz.questions * quiz.samples
        there = wanted - sum(len(self._missing(index)) for index in range(quiz.questions))
        self.progress = Progress(wanted, there, counts=client.counts)

    async def fill(self) -> None:
        """Put into the queue what is missing, and an end for each worker."""
        async for shown in _questions(self._quiz, lambda index: bool(self._missing(index))):
            for sample in self._missing(shown.index):
                await self._queue.put((shown, sample))
        for _ in range(self._client.endpoint.concurrency):
            await self._queue.put(None)

    async def work(self) -> None:
        """Ask one question after the other, and store what comes of each.

        Raises:
            EndpointError: none of the first questions got a reply, or the endpoint refuses all requests.
        """
        while (waiting := await self._queue.get()) is not None:
            shown, sample = waiting
            messages = cast(list[dict[str, Any]], to_messages(shown.observation))
            answered = await self._client.ask(messages, tool=self._tool)
            self._file.append(self._row(shown, sample, answered))
            self.progress.note(answered)
            self._watch(self.progress)
            if self.progress.errors >= HOPELESS and not self.progress.replies:
                raise EndpointError(
                    f"none of the first {self.progress.errors} questions got a reply; the last: {answered.error}"
                )

    def _missing(self, index: int) -> list[int]:
        """Return which samples of a question have no reply."""
        samples = range(self._quiz.samples)
        return [sample for sample in samples if not self._file.replied(self._quiz.key(index, sample, **self._who))]

    def _row(self, shown: Shown, sample: int, answered: Answered) -> ReplyRow:
        facts: dict[str, Any] = {"error": answered.error}
        if (reply := answered.reply) is not None:
            facts = {
                "reply": reply.text,
                "finish_reason": reply.finish_reason,
                "usage": reply.usage,
                "latency": round(answered.latency, 3),
            }
        return self._quiz.row(shown.index, shown.digest, **self._who, sample=sample, attempts=answered.attempts, **facts)


async def _questions(quiz: Quiz, wanted: Callable[[int], bool]) -> AsyncIterator[Shown]:
    """Make questions in a thread, so that requests go on meanwhile."""
    batches = quiz.batches(wanted)
    while (made := await asyncio.to_thread(next, batches, None)) is not None:
        for shown in made[1]:
            yield shown
