"""Graph tokens: soft tokens that a graph network makes of a neighbourhood for a language model, in the width of its words.

As LLaVA does with pictures (Liu et al. 2023, arXiv 2304.08485), and LLaGA (Chen et al. 2024, arXiv 2402.08170) and
G-Retriever (He et al. 2024, arXiv 2402.07630) with graphs: what a network saw is projected to where words are embedded, and
stands in the prompt in the places of a token of its own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ssl4rl_agents.policies.gnn import ROLES, feature_table
from ssl4rl_agents.policies.graph_batches import GraphInputs
from ssl4rl_agents.policies.graph_layers import GraphEncoder
from ssl4rl_envs import Task

SIZES, WEIGHTS = "graph_tokens.json", "graph_tokens.safetensors"

TRIED = 2
"""Nodes that are asked about in graphs that try a model out."""


@dataclass(frozen=True)
class TokenSizes:
    """All that decides the shapes of a network that makes graph tokens, and what it reads.

    Args:
        kind: of its layers, "gcn", "sage", "gat" or "gin".
        hidden, layers: numbers of a representation, and how many layers.
        features: numbers that a node comes with.
        by_id: whether nodes come as rows of a table of features.
        marks: how many things `mark` may say of a node; 0 if the task shows none.
    """

    kind: str
    hidden: int
    layers: int
    features: int
    by_id: bool
    marks: int = 0


def token_sizes(task: Task, kind: str, hidden: int, layers: int) -> TokenSizes:
    """Return the sizes of a network that makes graph tokens of what a task shows.

    Raises:
        ValueError: the task is not about nodes of a graph, or cannot be answered in words.
    """
    name, shown = type(task).__name__, task.observation_space.spaces
    if getattr(task, "role", None) not in ROLES or not task.has_text:
        raise ValueError(
            f"policy.graph_tokens {kind} makes tokens of nodes of a graph for a reader of words, and {name} asks about "
            f"{'none' if task.has_text else 'what has no words'}; leave it out"
        )
    table, mark = feature_table(task), shown.get("mark")
    features = shown["x"].shape if "x" in shown else cast(NDArray[np.float32], table).shape
    assert features is not None
    marks = int(mark.high.max()) + 1 if isinstance(mark, spaces.Box) else 0
    return TokenSizes(kind, hidden, layers, features[-1], "node_id" in shown, marks)


class GraphTokens(nn.Module):
    """A graph network, and a projection of its representations into the width of words. Both always compute in float32.

    A token tells what its node is, and what it is beside the first node that is asked about: products and distances of
    their representations, as the heads of `GNNPolicy` see pairs. So a reader need not find out by itself how alike two are.

    Args:
        sizes: of the network.
        width: numbers that a word is embedded in.
        scale: their root mean square, which tokens have at first, so that they weigh as much as words.
        table: (N, F) features that nodes refer to, where they come by their numbers; not among the weights.

    Raises:
        ValueError: the table does not fit the sizes.
    """

    def __init__(self, sizes: TokenSizes, width: int, scale: float = 1.0, table: NDArray[np.float32] | None = None) -> None:
        super().__init__()
        if (sizes.by_id and table is None) or (table is not None and (table.ndim != 2 or table.shape[1] != sizes.features)):
            given = "none" if table is None else f"one of shape {table.shape}"
            raise ValueError(f"graph tokens need a table of {sizes.features} features a node, got {given}")
        self.sizes, self.width = sizes, width
        self.encoder = GraphEncoder(sizes.kind, sizes.features, sizes.hidden, sizes.layers, sizes.marks)
        norm = nn.RMSNorm(width)
        nn.init.constant_(norm.weight, scale)
        self.projection = nn.Sequential(nn.Linear(3 * sizes.hidden, width), nn.GELU(), nn.Linear(width, width), norm)
        self.table: Tensor | None
        self.register_buffer("table", None if table is None else torch.tensor(table), persistent=False)

    @property
    def parts(self) -> dict[str, list[nn.Parameter]]:
        """The parameters by the names that `policy.freeze` has for them."""
        return {"graph": list(self.encoder.parameters()), "connector": list(self.projection.parameters())}

    def forward(self, graphs: GraphInputs) -> Tensor:
        """Return the tokens (n, K, `width`) of the nodes that are asked about, in their order."""
        with torch.autocast(self.encoder.unknown.device.type, enabled=False):
            nodes = self.encoder(graphs, self.table, whole=self.sizes.by_id)
            first = nodes[:, :1]
            return cast(Tensor, self.projection(torch.cat([nodes, nodes * first, (nodes - first).abs()], dim=-1)))

    def example(self, count: int) -> dict[str, Any]:
        """Return observations of `count` graphs of three nodes in a row, the first and last of which are asked about."""
        random, sizes = np.random.default_rng(0), self.sizes
        ends = np.array([[0, 1, 1, 2], [1, 0, 2, 1]])
        shown: dict[str, Any] = {
            "node_mask": np.ones((count, 3), np.int8),
            "edge_mask": np.ones((count, 4), np.int8),
            "edge_index": np.repeat(ends[None], count, axis=0),
            "target": np.repeat([[0, TRIED]], count, axis=0),
        }
        if sizes.by_id:
            shown["node_id"] = random.integers(0, len(cast(Tensor, self.table)), (count, 3))
        else:
            shown["x"] = random.random((count, 3, sizes.features), np.float32)
        return shown | ({"mark": random.integers(0, sizes.marks, (count, 3))} if sizes.marks else {})

    def save(self, folder: Path, weights: dict[str, Tensor]) -> None:
        """Write weights, by their names here, and sizes to `folder`; not the table, which belongs to the task."""
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
        (folder / SIZES).write_text(json.dumps({**asdict(self.sizes), "width": self.width}, indent=2) + "\n")

    def load(self, folder: Path) -> None:
        """Read the weights that `save` wrote; raises ValueError unless every one arrives in its shape."""
        found, own = load_file(folder / WEIGHTS), self.state_dict()
        shapes, expected = ({name: tuple(value.shape) for name, value in of.items()} for of in (found, own))
        wrong = sorted(name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name))
        if wrong:
            told = [f"{name}: {shapes.get(name, 'missing')} rather than {expected.get(name, 'none')}" for name in wrong[:5]]
            raise ValueError(f"the weights in {folder / WEIGHTS} do not fit these graph tokens: {'; '.join(told)}")
        self.load_state_dict(found)


def saved_sizes(folder: Path, task: Task | None) -> TokenSizes:
    """Return the sizes of the graph tokens of a checkpoint.

    Args:
        folder: of the checkpoint.
        task: that is to be read by them, if it is known.

    Raises:
        ValueError: the folder holds none, or what the task shows is not what they are made of; it names what differs.
    """
    try:
        data = json.loads((folder / SIZES).read_text())
        sizes = TokenSizes(**{name: value for name, value in data.items() if name != "width"})
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / SIZES} does not say which graph tokens the model reads: {error}") from error
    if task is not None:
        ours, theirs = asdict(sizes), asdict(token_sizes(task, sizes.kind, sizes.hidden, sizes.layers))
        differing = [f"{name} {ours[name]} rather than {theirs[name]}" for name in ours if ours[name] != theirs[name]]
        if differing:
            raise ValueError(
                f"the graph tokens in {folder} do not fit {type(task).__name__}: they have {', '.join(differing)}"
            )
    return sizes
