"""GNNPolicy: a graph network that answers questions about nodes, each answer a token or several chosen at once.

It is trained from scratch by the same objectives as a language model. A decision is a token: a task with one decision has
answers of one token, a task that asks about S nodes has S tokens, which do not depend on each other given the graph.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ssl4rl_agents.policies.finite import require_probabilities
from ssl4rl_agents.policies.graph_batches import GraphInputs, encode_graphs
from ssl4rl_agents.policies.graph_layers import GraphEncoder, GraphHead
from ssl4rl_agents.policies.policy import Evaluation, Policy, Samples, token_statistics
from ssl4rl_agents.policies.sayable import IMPOSSIBLE
from ssl4rl_envs import Task
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.task import Batch

SIZES, WEIGHTS = "gnn.json", "gnn.safetensors"
ROLES = ("pair", "choice", "node", "question")
ASKED_BY_QUERY = ("node", "question")


@dataclass(frozen=True)
class GNNSizes:
    """All that decides the shapes of a graph network and of its answers.

    Args:
        kind: of its layers, "gcn", "sage", "gat" or "gin".
        hidden, layers: numbers of a representation, and how many layers.
        role: of the nodes that are asked about, one of `ROLES`.
        features: numbers that a node comes with.
        choices: C, what each token is chosen from.
        slots: S, tokens of an answer.
        start: the first of the choices as an action.
        single: whether an action is one number rather than an array (S,).
        queries: how many things may be asked of a node; 0 if always the same.
        by_id: whether nodes come as rows of a table of features.
        marks: how many things `mark` may say of a node; 0 if the task shows none.
    """

    kind: str
    hidden: int
    layers: int
    role: str
    features: int
    choices: int
    slots: int
    start: int
    single: bool
    queries: int
    by_id: bool
    marks: int = 0


def sizes_of(task: Task, kind: str, hidden: int, layers: int) -> GNNSizes:
    """Return the sizes of a graph network that answers a task.

    Raises:
        ValueError: the task is not about nodes of a graph, or its answers are not such as can be chosen.
    """
    name, role, space = type(task).__name__, getattr(task, "role", None), task.observation_space
    if role not in ROLES:
        raise ValueError(
            f"{name} does not ask about nodes of a graph, which is all that policy.model {kind} answers; nano and models of "
            "transformers answer tasks that have a text interface"
        )
    if ("x" in space.spaces) == ("node_id" in space.spaces):
        raise ValueError(f"{name} must show either x or node_id; it shows {', '.join(space.spaces)}")
    if "query" in space.spaces and role not in ASKED_BY_QUERY:
        raise ValueError(f"{name} asks by a query, and only tasks of the role node or question can; its role is {role}")
    choices, slots, start = _choices(task, kind)
    targets = _shape(space, "target")[-1]
    fitting = {"pair": (2, 1), "question": (2, 1), "choice": (choices + 1, 1), "node": (slots, slots)}[role]
    if (targets, slots) != fitting:
        raise ValueError(f"{name} asks about {targets} nodes for {slots} answers of {choices}; its role {role} does not fit")
    by_id, table = "node_id" in space.spaces, feature_table(task)
    query, mark = space.spaces.get("query"), space.spaces.get("mark")
    return GNNSizes(
        kind=kind,
        hidden=hidden,
        layers=layers,
        role=role,
        features=_shape(space, "x")[-1] if table is None or not by_id else table.shape[1],
        choices=choices,
        slots=slots,
        start=start,
        single=isinstance(task.action_space, spaces.Discrete),
        queries=int(query.high.max()) + 1 if isinstance(query, spaces.Box) else 0,
        by_id=by_id,
        marks=int(mark.high.max()) + 1 if isinstance(mark, spaces.Box) else 0,
    )


def feature_table(task: Task) -> NDArray[np.float32] | None:
    """Return the features (N, F) that the nodes of a task refer to, be it only in compact questions; None if they do not."""
    if not isinstance(task, GraphTask) and "node_id" not in task.observation_space.spaces:
        return None
    source: Any = getattr(task, "source", None)
    return np.asarray(source.features, np.float32)


def _shape(space: spaces.Dict, name: str) -> tuple[int, ...]:
    shape = space[name].shape
    assert shape is not None
    return shape


def _choices(task: Task, kind: str) -> tuple[int, int, int]:
    """Return of a task's answers how many choices each slot has, how many slots there are, and the first choice."""
    space = task.action_space
    if isinstance(space, spaces.Discrete):
        return int(space.n), 1, int(space.start)
    if isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1:
        sizes, starts = set(space.nvec.tolist()), set(space.start.tolist())
        if len(sizes) == len(starts) == 1:
            return int(sizes.pop()), space.shape[0], int(starts.pop())
    raise ValueError(
        f"policy.model {kind} answers by tokens, each one of equally many choices, and {type(task).__name__} takes {space}"
    )


class GNNPolicy(Policy):
    """A graph network with a head for answers and one for values. It always computes in float32.

    Args:
        sizes: of network and answers.
        table: (N, F) features that nodes refer to, where they come by their numbers. Not among the weights. Where they come
            with features, it spares the trainer's questions these: see `observe`.
        temperature: divides the logits wherever they are used.

    Raises:
        ValueError: the table does not fit the sizes.
    """

    interface = "array"

    def __init__(self, sizes: GNNSizes, table: NDArray[np.float32] | None = None, *, temperature: float = 1.0) -> None:
        super().__init__()
        if (sizes.by_id and table is None) or (table is not None and (table.ndim != 2 or table.shape[1] != sizes.features)):
            given = "none" if table is None else f"one of shape {table.shape}"
            raise ValueError(f"the network needs a table of {sizes.features} features a node, got {given}")
        self.sizes, self.temperature, self.max_new_tokens = sizes, temperature, sizes.slots
        self.encoder = GraphEncoder(sizes.kind, sizes.features, sizes.hidden, sizes.layers, sizes.marks)
        self.head = GraphHead(sizes.role, sizes.hidden, sizes.choices, sizes.queries)
        self.value_head = nn.Sequential(nn.Linear(self.head.width, sizes.hidden), nn.ReLU(), nn.Linear(sizes.hidden, 1))
        for last in self.value_head[-1].parameters():
            nn.init.zeros_(last)
        self.table: Tensor | None
        self.register_buffer("table", None if table is None else torch.tensor(table), persistent=False)

    @property
    def critic(self) -> nn.Module:
        """The value head."""
        return self.value_head

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.encoder.unknown.device

    def shown(self, interface: Interface, batch: Batch) -> dict[str, Any]:
        """Return graphs with the numbers of nodes where the questions are compact and there is a table, else what is shown.

        Of nodes whose features are hidden no number is read, so that nothing is known that is not shown.
        """
        by_number = self.table is not None and "node_id" in batch.observation
        return batch.observation if by_number else interface.observe(batch)

    def answerable(self, task: Task, batch: Batch) -> dict[str, NDArray[np.int16]]:
        """Return which answers may be given, where these are the ones that it chooses among."""
        found = super().answerable(task, batch)
        count = 1 + self.sizes.slots * self.sizes.choices
        return {name: values for name, values in found.items() if values.shape[1] == count}

    def encode(self, observations: dict[str, Any]) -> GraphInputs:
        """Bring graphs, as `encode_graphs` describes them, to where the weights are."""
        return encode_graphs(observations, self.device)

    def embed(self, inputs: GraphInputs) -> Tensor:
        """Return the representations (n, K, H) of the nodes that are asked about, before any head; under autograd."""
        with torch.autocast(self.device.type, enabled=False):
            representations: Tensor = self.encoder(inputs, self.table, whole=self.sizes.by_id)
        return representations

    def encode_answers(self, answers: Any) -> tuple[Tensor, Tensor]:
        """Write answers (n,) or (n, S) as tokens (n, S), and a mask that is true everywhere.

        Raises:
            ValueError: an answer is none of the choices.
        """
        chosen = np.asarray(answers, np.int64)
        tokens = torch.tensor(chosen.reshape(len(chosen), self.sizes.slots) - self.sizes.start, device=self.device)
        if bool(((tokens < 0) | (tokens >= self.sizes.choices)).any()):
            raise ValueError(f"answers are {self.sizes.choices} choices from {self.sizes.start} on; one lies outside")
        return tokens, torch.ones_like(tokens, dtype=torch.bool)

    @torch.no_grad()
    def generate(
        self, inputs: GraphInputs, repeats: int = 1, *, generator: torch.Generator | None = None, deterministic: bool = False
    ) -> Samples:
        """Choose all tokens of each answer at once; graphs run through the network once each."""
        logits, values = (of.repeat_interleave(repeats, dim=0) for of in self._judge(inputs))
        require_probabilities(logits)
        if deterministic:
            tokens = logits.argmax(-1)
        else:
            drawn = torch.multinomial(logits.softmax(-1).flatten(0, 1), 1, generator=generator)
            tokens = drawn.view(logits.shape[:2])
        logprobs, _ = token_statistics(logits, tokens)
        mask = torch.ones_like(tokens, dtype=torch.bool)
        return Samples(tokens, mask, logprobs, values, truncated=mask.new_zeros(len(tokens)))

    def evaluate(self, inputs: GraphInputs, tokens: Tensor, mask: Tensor) -> Evaluation:
        """Score answers with the graphs run once each, under autograd if it is on."""
        repeats = len(tokens) // len(inputs)
        logits, values = (of.repeat_interleave(repeats, dim=0) for of in self._judge(inputs))
        logprobs, entropies = token_statistics(logits, tokens)
        return Evaluation(*(column.masked_fill(~mask, 0.0) for column in (logprobs, entropies, values)))

    def expect(self, inputs: GraphInputs) -> Tensor:
        """Return the values of the first tokens; those of an answer do not depend on each other."""
        return self._judge(inputs)[1][:, 0]

    def decode(self, tokens: Tensor, mask: Tensor, truncated: Tensor) -> NDArray[np.int64]:
        """Turn tokens (n, S) into actions: (n, S), or (n,) for a task with one decision."""
        del mask, truncated
        actions: NDArray[np.int64] = tokens.cpu().numpy() + self.sizes.start
        return actions[:, 0] if self.sizes.single else actions

    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """Write the weights and the sizes to `folder`; not the table of features, which belongs to the task."""
        whole = self.state_dict() if weights is None else weights
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in whole.items()}, folder / WEIGHTS)
        (folder / SIZES).write_text(json.dumps(asdict(self.sizes), indent=2) + "\n")

    def load_weights(self, folder: Path) -> None:
        """Read the weights that `save` wrote; raises ValueError unless every one arrives in its shape."""
        found, own = load_file(folder / WEIGHTS), self.state_dict()
        problems = [f"{name} is missing" for name in sorted(set(own) - set(found))]
        problems += [f"{name} is unknown" for name in sorted(set(found) - set(own))]
        problems += [
            f"{name} has the shape {tuple(found[name].shape)}, expected {tuple(own[name].shape)}"
            for name in sorted(set(own) & set(found))
            if own[name].shape != found[name].shape
        ]
        if problems:
            raise ValueError(f"the weights in {folder} do not fit {self.sizes.kind}: {'; '.join(problems)}")
        self.load_state_dict(found)

    def _judge(self, inputs: GraphInputs) -> tuple[Tensor, Tensor]:
        """Return logits (n, S, C), divided by the temperature, and values (n, S)."""
        nodes = self.embed(inputs)
        with torch.autocast(self.device.type, enabled=False):
            logits, about = self.head(nodes, inputs.query)
            logits, values = logits / self.temperature, self.value_head(about).squeeze(-1)
        if inputs.allowed is None:
            return logits, values
        allowed = inputs.allowed.view(logits.shape)
        nothing = ~allowed.any(-1, keepdim=True)  # where no action has an effect, any will do
        return logits.masked_fill(~(allowed | nothing), IMPOSSIBLE), values


def require_fit(sizes: GNNSizes, task: Task, folder: Path) -> None:
    """Check that a network answers a task as one does that was made for it, whatever its layers.

    Args:
        sizes: of the network.
        task: that it is to answer.
        folder: where the network lies, for the error.

    Raises:
        ValueError: it does not; the message names what differs.
    """
    ours, theirs = asdict(sizes), asdict(sizes_of(task, sizes.kind, sizes.hidden, sizes.layers))
    differing = [f"{name} {ours[name]} rather than {theirs[name]}" for name in ours if ours[name] != theirs[name]]
    if differing:
        raise ValueError(f"the network in {folder} does not fit {type(task).__name__}: it has {', '.join(differing)}")


def load_gnn(folder: Path, table: NDArray[np.float32] | None = None, *, temperature: float = 1.0) -> GNNPolicy:
    """Build the policy that `GNNPolicy.save` wrote.

    Args:
        folder: where it lies.
        table: (N, F) features that nodes refer to, needed where they come by their numbers; any of the same width will do.
        temperature: divides the logits.

    Raises:
        ValueError: weights or sizes do not fit.
    """
    try:
        sizes = GNNSizes(**json.loads((folder / SIZES).read_text()))
    except TypeError as error:
        raise ValueError(f"{folder / SIZES} does not say what the network is: {error}") from error
    policy = GNNPolicy(sizes, table, temperature=temperature)
    policy.load_weights(folder)
    return policy
