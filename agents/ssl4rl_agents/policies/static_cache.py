"""Answers that grow in memory of a fixed size, so that all steps are alike: a GPU records one and plays it again.

A cache that grows is copied as a whole for each token, and each of the hundreds of kernels of a step is launched by the host,
which takes longer than the kernels themselves. Here keys and values have their places from the start; where a token goes, and
what it sees, is computed on the device from how many there are. Steps that read as many places are one CUDA graph: a step is
then one launch, and nothing of it waits for the host.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

LOGGER = logging.getLogger("ssl4rl_agents")

PLACES = 64
"""Places come in as many; attention is fastest where their number is a multiple of a power of two."""

CLASSES = 4
"""Into how many lengths steps are sorted: a step reads at most a quarter of the answers' places too many."""

KEPT = 0.02
"""Memory of at most this share of a GPU's is kept for the next batch, with its recorded steps."""

Pairs = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, (rows, heads, places, size) each."""

Run = Callable[[Tensor, Tensor, Tensor, int, "StaticSteps"], Tensor]
"""Runs tokens (rows, abreast) at positions (rows, abreast), each answer having so many (a scalar on the device) before them,
over the first so many places of a memory; returns hidden states (rows * abreast, hidden)."""


@dataclass(frozen=True)
class Shape:
    """What steps must share to share memory.

    Args:
        rows: of the cache.
        abreast: answers side by side in a row.
        start: places of a row before its answers, the prompt's at their end.
        steps: most tokens of an answer that are run.
        mode: whatever else recorded steps depend on: the device, precision, where the weights lie.
    """

    rows: int
    abreast: int
    start: int
    steps: int
    mode: tuple[Any, ...]

    @property
    def ends(self) -> list[int]:
        """How many places the steps of each class read, in rising order."""
        span = -(-self.steps * self.abreast // PLACES)
        return [self.start + PLACES * end for end in sorted({-(-span * k // CLASSES) for k in range(1, CLASSES + 1)})]

    def end_of(self, step: int) -> int:
        """Return how many places a step reads, counted from 0."""
        needed = self.start + (step + 1) * self.abreast
        return next(end for end in self.ends if end >= needed)


class FixedLayer(CacheLayerMixin):
    """Keys and values of a layer, (rows, heads, places, size) each.

    Args:
        places: (abreast,) int64 on the device, where the next tokens go.
    """

    is_sliding = False

    def __init__(self, keys: Tensor, values: Tensor, places: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys, self.values, self._held, self._places = keys, values, (keys, values), places
        self.end, self.is_initialized = keys.shape[2], True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Do nothing: the memory is there."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Put the next tokens in their places; return the first `end` places."""
        keys, values = self._held
        keys.index_copy_(2, self._places, key_states.to(keys.dtype))
        values.index_copy_(2, self._places, value_states.to(values.dtype))
        return keys[:, :, : self.end], values[:, :, : self.end]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many places are read, from the first on."""
        del query_length
        return self.end, 0

    def get_seq_length(self) -> int:
        """Return how many places are read."""
        return self.end

    def get_max_length(self) -> int:
        """Return how many places there are."""
        return self._held[0].shape[2]


class StaticSteps:
    """Memory for answers of one `Shape`, and the steps that were recorded in it.

    Args:
        shape: of the batch.
        prompts: keys and values of the prompts, for their sizes.
        run: runs tokens.
        graphs: record steps.
    """

    def __init__(self, shape: Shape, prompts: Pairs, run: Run, *, graphs: bool) -> None:
        self.shape, self._run, self.graphs = shape, run, graphs
        device = prompts[0][0].device
        self._tokens = torch.zeros(shape.rows, shape.abreast, dtype=torch.int64, device=device)
        self._following, self._places = torch.zeros_like(self._tokens), torch.zeros_like(self._tokens[0])
        self._grown = torch.zeros((), dtype=torch.int64, device=device)
        self._abreast = torch.arange(shape.abreast, device=device)
        self.seen = torch.zeros(shape.rows, shape.start, dtype=torch.bool, device=device)
        """Which places before the answers hold something."""
        self.held: Pairs = []
        """The memory: keys and values of each layer."""
        for keys, values in prompts:
            size = (shape.rows, keys.shape[1], shape.ends[-1])
            self.held.append((keys.new_zeros(*size, keys.shape[3]), values.new_zeros(*size, values.shape[3])))
        self._layers = [FixedLayer(keys, values, self._places) for keys, values in self.held]
        self.cache, self._step = Cache(layers=list(self._layers)), 0
        self._recorded: dict[int, tuple[Any, Tensor]] = {}
        self._warm: set[int] = set()
        self._stream: Any = torch.cuda.Stream(device) if graphs else None  # type: ignore[no-untyped-call]
        self._pool: Any = torch.cuda.graph_pool_handle() if graphs else None

    @property
    def bytes(self) -> int:
        """How much memory keys and values take."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.held)

    def begin(self, prompts: Pairs, mask: Tensor, following: Tensor) -> None:
        """Take the prompts of a batch.

        Args:
            prompts: their keys and values, in fewer rows where several answers to a prompt have a row each.
            mask: (prompts, length) which of them are padding.
            following: (rows * abreast,) the position of each answer's first token.
        """
        shape, length = self.shape, mask.shape[1]
        by_prompt = (len(mask), shape.rows // len(mask))
        where = slice(shape.start - length, shape.start)
        for held, given in zip(self.held, prompts, strict=True):
            for places, values in zip(held, given, strict=True):
                places.zero_()  # what nobody sees is multiplied with 0, which must stay 0
                places.view(*by_prompt, *places.shape[1:])[:, :, :, where] = values[:, None]
        self.seen.zero_()
        self.seen.view(*by_prompt, -1)[:, :, where] = mask.bool()[:, None]
        self._following.copy_(following.reshape(self._following.shape))
        self._grown.zero_()
        self._step = 0

    def extend(self, tokens: Tensor) -> Tensor:
        """Run one more token (rows * abreast,) of each answer; return its hidden states, which the next call overwrites."""
        self._tokens.copy_(tokens.reshape(self._tokens.shape))
        end = self.shape.end_of(self._step)
        self._step += 1
        for layer in self._layers:
            layer.end = end
        if not self.graphs:
            return self._once(end)
        if end in self._recorded:
            graph, hidden = self._recorded[end]
            graph.replay()
            return hidden
        if end not in self._warm:  # the first step of its kind is taken as it is, and brings up what recording may not
            self._warm.add(end)
            return self._aside(end)
        return self._record(end)

    def _once(self, end: int) -> Tensor:
        """Take one step."""
        torch.add(self._abreast, self._grown * self.shape.abreast + self.shape.start, out=self._places)
        with _uncached_autocast(self._tokens.device):
            hidden = self._run(self._tokens, self._following, self._grown, end, self)
        self._following += 1
        self._grown += 1
        return hidden

    def _aside(self, end: int) -> Tensor:
        """Take one step on the stream that steps are recorded on."""
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            hidden = self._once(end)
        current.wait_stream(self._stream)
        hidden.record_stream(current)
        return hidden

    def _record(self, end: int) -> Tensor:
        """Record a step, and take it; take it as it is where it cannot be recorded, and record none from then on."""
        current = torch.cuda.current_stream()
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads, which fetch the next questions, may use the GPU meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                hidden = self._once(end)
        except Exception as error:  # whatever a model's code does that cannot be recorded, in whatever words CUDA says so
            torch.cuda.set_stream(current)
            torch.cuda.synchronize()
            _leave_capture(self._tokens.device)
            self.graphs = False
            self._recorded.clear()
            LOGGER.warning(
                "steps of sampling cannot be recorded as CUDA graphs for this model, and are launched one by one, which is "
                "slower: %s: %s",
                type(error).__name__,
                str(error).partition("\n")[0],
            )
            return self._once(end)
        self._recorded[end] = graph, hidden
        graph.replay()
        return hidden


def _leave_capture(device: torch.device) -> None:
    """Let the device's own generator be used again: a recording that broke off leaves it in the state of one that goes on.

    Attention of cuDNN asks it for numbers in every training pass, with or without dropout, and that would be an error then.
    """
    generator = torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]
    generator.graphsafe_set_state(generator.clone_state())


@contextmanager
def _uncached_autocast(device: torch.device) -> Iterator[None]:
    """Keep autocast as it is, but for its copies of weights: a recorded step must not read what is thrown away after it."""
    if device.type != "cuda" or not torch.is_autocast_enabled("cuda"):
        yield
        return
    with torch.autocast("cuda", torch.get_autocast_dtype("cuda"), cache_enabled=False):
        yield


class Kept:
    """Memory that is kept from one batch to the next, where it is small; a copy of a policy begins without any."""

    def __init__(self) -> None:
        self.steps: StaticSteps | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Kept:
        return Kept()

    def take(self, shape: Shape, prompts: Pairs, run: Run, *, graphs: bool) -> StaticSteps:
        """Return memory for a batch, which may be that of the last one."""
        if self.steps is None or self.steps.shape != shape:
            self.steps = None  # before there is more of it
            self.steps = StaticSteps(shape, prompts, run, graphs=graphs)
        return self.steps

    def tidy(self) -> None:
        """Give large memory back, after a batch; the update needs it."""
        if self.steps is None:
            return
        device = self.steps.seen.device
        if device.type != "cuda" or self.steps.bytes > KEPT * torch.cuda.get_device_properties(device).total_memory:
            self.steps = None
