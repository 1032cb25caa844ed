"""A graph question as PyTorch Geometric holds one; imported by `to_pyg` alone, since it needs that library."""

from __future__ import annotations

from typing import Any

from torch_geometric.data import Data


class QuestionData(Data):  # type: ignore[misc]  # PyG has no types
    """A graph and what is asked about it: `target` (1, K) holds numbers of nodes, which move with the nodes in a batch."""

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return by how much a field grows from one graph of a batch to the next."""
        return self.num_nodes if key == "target" else super().__inc__(key, value, *args, **kwargs)
