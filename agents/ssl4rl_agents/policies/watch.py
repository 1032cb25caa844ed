"""Whether all answers have ended, known without waiting for the device that says so."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from torch import Tensor

GROWTH, MOST = 16, 8
"""On a GPU what is asked at a token is heard a token later, and one more with each `GROWTH` tokens, `MOST` at most: the GPU
never runs out of work, and few tokens are computed for nothing."""


class Watch:
    """Asks after every token whether all answers have ended, and hears it some tokens later on a GPU, at once elsewhere.

    When it hears it does not depend on how fast anything is, so that all processes take the same steps.

    Args:
        device: that knows.
        longest: most tokens of an answer.
        late: hear it late, whatever the device.
    """

    def __init__(self, device: torch.device, longest: int, *, late: bool | None = None) -> None:
        self.late = device.type == "cuda" if late is None else late
        """Whether answers may be longer, by what is outside their masks, than they would be if it were heard at once."""
        self._cuda = device.type == "cuda"
        self._flags = torch.zeros(longest, dtype=torch.bool, pin_memory=True) if self._cuda else None
        self._asked: deque[tuple[Tensor, Any]] = deque()
        self._count = 0

    def ended(self, alive: Tensor) -> bool:
        """Ask whether none of the answers is `alive` (n,); return whether that is known of them by now."""
        ahead = min(MOST, 1 + self._count // GROWTH) if self.late else 0
        self._asked.append(self._ask(~alive.any()))
        self._count += 1
        known = False
        while len(self._asked) > ahead and not known:
            flag, event = self._asked.popleft()
            if event is not None:
                event.synchronize()
            known = bool(flag)
        return known

    def _ask(self, ended: Tensor) -> tuple[Tensor, Any]:
        if self._flags is None:
            return ended, None
        flag = self._flags[self._count]
        flag.copy_(ended, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        return flag, event
