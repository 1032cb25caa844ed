"""What a source left out of what it was given: counted on the source, and said once in a warning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ssl4rl_envs.sources.notices import warn

if TYPE_CHECKING:
    from ssl4rl_envs.sources.graphs import GraphSource


@dataclass
class LeftOut:
    """What was left out, while it is being found.

    Attributes:
        counts: how many, by kind.
        details: what is told of a kind behind its count.
        quiet: kinds that are no reason to warn by themselves; they are told with the others.
    """

    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    quiet: set[str] = field(default_factory=set)

    def add(self, kind: str, count: int, detail: str = "", *, quiet: bool = False) -> None:
        """Count what was left out; nothing where the count is 0."""
        if count:
            self.counts[kind] = count
            self.details[kind] = detail
            if quiet:
                self.quiet.add(kind)

    def tell(self, source: GraphSource, both_ways: bool = False) -> GraphSource:
        """Warn of what a graph left out, if it did, and return the graph.

        Args:
            source: whose `left_out` is told.
            both_ways: whether what it was made from holds edges in both directions by custom, which is no reason to warn.
        """
        quiet = {*self.quiet, *(["repeated edges"] if both_ways else [])}
        if not quiet.issuperset(source.left_out):
            told = "; ".join(f"{count} {kind}{self.details.get(kind, '')}" for kind, count in source.left_out.items())
            warn(
                f"graph {source.name!r} has {source.nodes} nodes and {len(source)} edges. Left out or merged: {told}. "
                "The source's `left_out` counts them"
            )
        return source
