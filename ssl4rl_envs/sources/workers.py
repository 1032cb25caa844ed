"""Work on the members of a collection in processes of their own, in order, with a word on standard error if it takes long.

The processes are started as ``python -c``, not by `multiprocessing`: that would import the user's script again, which need
not be guarded against it, or fork a process whose threads hold locks. They end when their input does, however this one ends.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from ssl4rl_envs.kernels import threads
from ssl4rl_envs.telling import Progress

Result = TypeVar("Result")

CHUNK = 64
"""Members that are worked on at a time."""

FEW = 512
"""Members that are not worth starting a process."""

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from ssl4rl_envs.sources.workers import serve; serve()"


def in_chunks(work: Callable[[range], Result], count: int, what: str) -> Iterator[Result]:
    """Yield what `work` returns for each chunk of members, in order.

    Args:
        work: a callable that can be pickled, from a module that others can import.
        count: how many members.
        what: is done to what, for people: "decoding /data/pictures".

    Raises:
        RuntimeError: a process died.
    """
    progress = Progress(what, count)
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    processes = min(threads.count(), len(chunks)) if count > FEW and sys.executable else 1
    results = map(work, chunks) if processes == 1 else _by_processes(work, chunks, processes)
    for chunk, result in zip(chunks, results, strict=True):
        yield result
        progress.tell(chunk.stop)
    progress.end()


class _Worker:
    """A process that does the work for one chunk at a time."""

    def __init__(self, job: bytes) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", threads.VARIABLE: "1"}
        self.process = subprocess.Popen(  # noqa: S603 (this interpreter, and code from here)
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=1 << 20,
            env=environment,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to, self._back = self.process.stdin, self.process.stdout
        self._job: bytes | None = job

    def __call__(self, chunk: range) -> Any:
        try:
            if self._job is not None:
                self._to.write(self._job)
                self._job = None
            self._to.write(pickle.dumps(chunk))
            self._to.flush()
            result, error = pickle.load(self._back)  # noqa: S301 (our own process)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            status = self.process.wait()
            raise RuntimeError(
                f"a process that worked on members {chunk.start} to {chunk.stop - 1} ended with status {status}; "
                "it may have run out of memory, or a file among them may crash its decoder"
            ) from None
        if error is not None:
            raise error
        return result

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        with suppress(OSError):  # of what it was never sent
            self._to.close()
        self._back.close()


def _by_processes(work: Callable[[range], Result], chunks: Sequence[range], count: int) -> Iterator[Result]:
    """Yield results in order; at most twice as many chunks as processes are under way or wait to be taken."""
    job = pickle.dumps(work)
    workers = [_Worker(job) for _ in range(count)]
    idle: SimpleQueue[_Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def done(chunk: range) -> Result:
        worker = idle.get()
        try:
            result: Result = worker(chunk)
            return result
        finally:
            idle.put(worker)

    pool = ThreadPoolExecutor(count, thread_name_prefix="ssl4rl-decoding")
    try:
        waiting: deque[Future[Result]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(done, chunk))
            if len(waiting) > 2 * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.process.kill()
        pool.shutdown()
        for worker in workers:
            worker.stop()


def serve() -> None:
    """Be one of the processes: read the work, then chunks, and answer each, until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that waits for the answers ends this one
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", 1 << 20)
    os.dup2(2, 1)  # what a decoder prints is no answer
    try:
        work = pickle.load(source)  # noqa: S301 (from the process that started this one)
        while True:
            chunk = pickle.load(source)  # noqa: S301
            answer: tuple[Any, Exception | None]
            try:
                answer = (work(chunk), None)
            except Exception as error:
                answer = (None, error)
            pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
            answers.flush()
    except (EOFError, BrokenPipeError):
        os._exit(0)
