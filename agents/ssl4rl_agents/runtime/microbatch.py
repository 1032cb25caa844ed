"""How many questions a pass through the network takes: as many as fit the memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from ssl4rl_agents.runtime.processes import Processes

LOGGER = logging.getLogger("ssl4rl_agents")

T = TypeVar("T")


class MicroBatches:
    """Cuts questions into passes, and halves the passes for good when the GPU runs out of memory.

    ::

        def work() -> list[Tensor]:
            return [evaluate(prompts, rows) for prompts, rows in micro_batches.parts(count, group_size)]

        results = micro_batches.run(work)

    Args:
        size: questions (with all their answers) a pass.
        processes: those that train together. They must start with the same size and cut the same counts: where one runs out
            of memory, all start again with less.
    """

    def __init__(self, size: int, processes: Processes) -> None:
        self.size = size
        self._processes = processes
        self._used = size

    def size_for(self, count: int, each: int = 1) -> int:
        """Return how many of `count` prompts a pass takes, of which a question has `each`."""
        self._used = min(self.size, -(-count // each))
        return self._used * each

    def parts(
        self, count: int, group_size: int, device: torch.device | None = None, each: int = 1
    ) -> Iterator[tuple[Tensor, slice]]:
        """Cut `count` prompts: the indices of each part's prompts, and the rows of their answers.

        Args:
            count: how many.
            group_size: answers to each.
            device: of the indices.
            each: prompts that a question has: later turns of an episode are prompts of their own.
        """
        size = self.size_for(count, each)
        for start in range(0, count, max(1, size)):
            stop = min(start + size, count)
            yield torch.arange(start, stop, device=device), slice(start * group_size, stop * group_size)

    def run(self, work: Callable[[], T], undo: Callable[[], object] | None = None) -> T:
        """Do `work`, which asks how to cut; where memory runs out, `undo` what it left and start it again in halves.

        Raises:
            torch.OutOfMemoryError: one question a pass was too many, in some process.
        """
        while True:
            result: list[T] = []
            cause = "another process ran out of memory"
            try:
                result.append(work())
            except torch.OutOfMemoryError as error:
                if not self._processes.may_retry:
                    raise torch.OutOfMemoryError(
                        "out of memory, and processes that hold parts of the weights cannot start a pass again; set "
                        f"optimizer.micro_batch below {self._used}, or use gradient checkpointing, LoRA, shorter answers or "
                        f"smaller groups. {error}"
                    ) from error
                cause = str(error)  # and nothing else: the error's frames hold the tensors that must go
            if not self._processes.anywhere(not result):
                return result[0]
            result.clear()
            if undo is not None:
                undo()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._halve(cause)

    def _halve(self, cause: str) -> None:
        if self._used == 1:
            raise torch.OutOfMemoryError(
                "a single question with its answers does not fit the memory; gradient checkpointing, LoRA, shorter answers "
                f"(policy.max_new_tokens), a smaller group (rollout.group_size) or smaller pictures would help. {cause}"
            )
        before, self.size = self._used, self._used // 2
        LOGGER.warning("out of memory with %d questions a pass; going on with %d", before, self.size)
