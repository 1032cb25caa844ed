"""Ask a quiz of a model behind an endpoint, many questions at a time, and store each reply as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, cast

from ssl4rl_agents.endpoints.client import Answered, Client, Clock, Counts, Endpoint, EndpointError, run_to_end
from ssl4rl_agents.replies import Quiz, ReplyFile
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
    """

    wanted: int
    there: int
    replies: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    counts: Counts = field(default_factory=Counts)
    began: float = field(default_factory=time.monotonic)

    def note(self, answered: Answered) -> None:
        """Count what came of a question."""
        if answered.reply is None:
            self.errors += 1
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
    endpoint: Endpoint,
    quiz: Quiz,
    file: ReplyFile,
    clock: Clock | None,
    watch: Callable[[Progress], None],
) -> Progress:
    who: dict[str, Any] = {"model": endpoint.model, "kind": "model", "settings": endpoint.sampling}

    def missing(index: int) -> list[int]:
        return [sample for sample in range(quiz.samples) if not file.replied(quiz.key(index, sample, **who))]

    tool = tool_schema(quiz.task) if quiz.prompt_style == "tool" else None
    wanted = quiz.questions * quiz.samples
    progress = Progress(wanted, wanted - sum(len(missing(index)) for index in range(quiz.questions)))
    queue: asyncio.Queue[tuple[Shown, int] | None] = asyncio.Queue(2 * endpoint.concurrency)

    async def fill() -> None:
        async for shown in _questions(quiz, lambda index: bool(missing(index))):
            for sample in missing(shown.index):
                await queue.put((shown, sample))
        for _ in range(endpoint.concurrency):
            await queue.put(None)

    async def work(client: Client) -> None:
        while (next_one := await queue.get()) is not None:
            shown, sample = next_one
            answered = await client.ask(cast(list[dict[str, Any]], to_messages(shown.observation)), tool=tool)
            reply = answered.reply
            file.append(
                quiz.row(
                    shown.index,
                    shown.digest,
                    **who,
                    sample=sample,
                    reply=None if reply is None else reply.text,
                    error=answered.error,
                    finish_reason=None if reply is None else reply.finish_reason,
                    usage=None if reply is None else reply.usage,
                    latency=None if reply is None else round(answered.latency, 3),
                    attempts=answered.attempts,
                )
            )
            progress.note(answered)
            watch(progress)
            if progress.errors >= HOPELESS and not progress.replies:
                raise EndpointError(f"none of the first {progress.errors} questions got a reply; the last: {answered.error}")

    async with Client(endpoint, clock) as client, asyncio.TaskGroup() as group:
        progress.counts = client.counts
        group.create_task(fill())
        for _ in range(endpoint.concurrency):
            group.create_task(work(client))
    return progress


async def _questions(quiz: Quiz, wanted: Callable[[int], bool]) -> AsyncIterator[Shown]:
    """Make questions in a thread, so that requests go on meanwhile."""
    batches = quiz.batches(wanted)
    while (made := await asyncio.to_thread(next, batches, None)) is not None:
        for shown in made[1]:
            yield shown
