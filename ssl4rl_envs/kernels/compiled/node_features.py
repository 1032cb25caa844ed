"""Features of nodes, compiled. The arguments are explained in `kernels.node_features`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.kernels.compiled import jit
from ssl4rl_envs.kernels.compiled.streaming import LINE, settle, stream_line

Nodes = NDArray[np.int64]
Floats = NDArray[np.float32]


@jit
def gather(out: Floats, nodes: Nodes, table: Floats) -> Any:
    """See `kernels.node_features.gather`."""
    for i in range(nodes.shape[0]):
        for place in range(nodes.shape[1]):
            if nodes[i, place] >= 0:
                out[i, place] = table[nodes[i, place]]
            else:
                out[i, place] = 0


@jit
def expand(
    out: Floats,
    nodes: Nodes,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: Floats,
    past: bool,
) -> Any:
    """See `kernels.node_features.expand`."""
    flat = out.reshape(out.size)
    if past:
        _stream(flat, out.shape[2], nodes, indptr, columns, values)
        return
    size = out.shape[1] * out.shape[2]
    for i in range(nodes.shape[0]):
        flat[i * size : (i + 1) * size] = 0
        for place in range(nodes.shape[1]):
            if nodes[i, place] >= 0:
                node, start = nodes[i, place], i * size + place * out.shape[2]
                for entry in range(indptr[node], indptr[node + 1]):
                    flat[start + columns[entry]] = values[entry]


@jit
def _stream(
    flat: Floats,
    width: int,
    nodes: Nodes,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: Floats,
) -> Any:
    """Write the entries in the order of their addresses, line by line, past the caches."""
    head = min(flat.size, (-flat.ctypes.data % 64) // 4)
    last = head + (flat.size - head) // LINE * LINE
    flat[:head] = 0
    flat[last:] = 0
    zeros, line = np.zeros(LINE, np.float32), np.zeros(LINE, np.float32)
    into, current = flat.ctypes.data, head  # where the line that is being filled begins
    for i in range(nodes.shape[0]):
        for place in range(nodes.shape[1]):
            if nodes[i, place] < 0:
                continue
            node, start = nodes[i, place], (i * nodes.shape[1] + place) * width
            for entry in range(indptr[node], indptr[node + 1]):
                position = start + columns[entry]
                if position < head or position >= last:
                    flat[position] = values[entry]
                    continue
                if position >= current + LINE:
                    stream_line(into + 4 * current, line.ctypes.data)
                    line[:] = 0
                    current += LINE
                    while position >= current + LINE:
                        stream_line(into + 4 * current, zeros.ctypes.data)
                        current += LINE
                line[position - current] = values[entry]
    while current < last:
        stream_line(into + 4 * current, line.ctypes.data)
        line[:] = 0
        current += LINE
    settle()


@jit
def alike(out: NDArray[np.bool_], nodes: Nodes, targets: Nodes, kinds: NDArray[np.int32]) -> Any:
    """See `kernels.node_features.alike`."""
    for i in range(nodes.shape[0]):
        for place in range(nodes.shape[1]):
            found = False
            if nodes[i, place] >= 0:
                kind = kinds[nodes[i, place]]
                for target in range(targets.shape[1]):
                    if kinds[max(nodes[i, targets[i, target]], 0)] == kind:
                        found = True
            out[i, place] = found


def warm() -> None:
    """Compile, or load what was compiled before."""
    out, nodes, seen = np.zeros((1, 1, 1), np.float32), np.zeros((1, 1), np.int64), np.ones((1, 1), np.bool_)
    table = np.ones((1, 1), np.float32)
    table.flags.writeable = False  # as a source's table is
    gather(out, nodes, table)
    expand(out, nodes, np.array([0, 1]), np.zeros(1, np.int32), np.ones(1, np.float32), True)
    alike(seen, nodes, nodes, np.zeros(1, np.int32))
