"""What a source left out of what it was given: counted on the source, and said once in a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl4rl_envs.sources.graphs import GraphSource

PACKAGE = "ssl4rl_envs"


def warn(message: str) -> None:
    """Warn at the line outside this package that asked for what is warned about."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == PACKAGE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def tell(source: GraphSource, details: Mapping[str, str] | None = None, quiet: Collection[str] = ()) -> GraphSource:
    """Warn of what a graph left out, if it did, and return the graph.

    Args:
        source: whose `left_out` is told.
        details: what is to be added to a kind, by its name.
        quiet: kinds that are no reason to warn by themselves; they are told with the others.
    """
    if any(kind not in quiet for kind in source.left_out):
        told = "; ".join(f"{count} {kind}{(details or {}).get(kind, '')}" for kind, count in source.left_out.items())
        warn(
            f"graph {source.name!r} has {source.nodes} nodes and {len(source)} edges; left out or merged are: {told} "
            "(`left_out` of the source counts them)"
        )
    return source
