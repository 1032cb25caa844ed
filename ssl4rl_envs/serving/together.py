"""Together: small jobs that come at once are done as one batch, in a thread beside the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Job = TypeVar("Job")
Done = TypeVar("Done")


class Together(Generic[Job, Done]):
    """Calls `work` with all jobs that wait, while it is at it collects the next, and hands each its own result.

    One job alone is done at once; nothing ever waits for company. There is one thread, however many wait.

    Args:
        work: does n jobs and returns n results; called in the thread.
        most: jobs that are done at a time.
    """

    def __init__(self, work: Callable[[list[Job]], Sequence[Done]], most: int = 256) -> None:
        self._work, self._most = work, most
        self._waiting: deque[tuple[Job, asyncio.Future[Done]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ssl4rl-serve")
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, job: Job) -> Done:
        """Do a job; what `work` raises is raised for all jobs of its batch."""
        result: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, result))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await result

    def close(self) -> None:
        """End the thread when it has done what it is at."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                try:
                    done = await loop.run_in_executor(self._thread, self._work, [job for job, _ in taken])
                except Exception as error:
                    for _, result in taken:
                        if not result.done():
                            result.set_exception(error)
                    continue
                for (_, result), one in zip(taken, done, strict=True):
                    if not result.done():  # who gave it up does not want it
                        result.set_result(one)
        finally:
            self._running = None
