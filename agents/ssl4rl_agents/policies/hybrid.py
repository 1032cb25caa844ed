"""HybridPolicy: a language model that reads, besides words, tokens that a graph network made of what they are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.policies.freezing import freeze_parts, parts_of
from ssl4rl_agents.policies.gnn import feature_table
from ssl4rl_agents.policies.graph_prompts import GRAPH, GraphDecoder, GraphPrompts, add_graph_token, with_places
from ssl4rl_agents.policies.graph_tokens import GraphTokens, TokenSizes, saved_sizes, token_sizes
from ssl4rl_agents.policies.selfcheck import check_model
from ssl4rl_agents.policies.support import base_of
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_envs import Task
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.speech import with_instructions
from ssl4rl_envs.task import Batch

PREFIX = "graphs."
"""Of the names of the graph tokens' weights among the policy's."""


def kind_of(
    config: PolicyConfig, prompt_style: str, task: Task | None, checkpoint: Path | None = None
) -> tuple[Callable[..., HybridPolicy], Callable[[Task, Batch], list[str]]]:
    """Return what makes a policy of a model and its processor, and how it is asked.

    Args:
        config: the settings.
        prompt_style: how questions are asked.
        task: what it will answer; None where a checkpoint is built before that is known.
        checkpoint: whose graph network it is; a fresh one where it is None, and there must be a task.

    Raises:
        ValueError: the task is not one for graph tokens, or not for those of the checkpoint.
    """
    if checkpoint is None:
        assert task is not None
        sizes = token_sizes(task, config.graph_tokens, config.gnn_hidden, config.gnn_layers)
    else:
        sizes = saved_sizes(checkpoint, task)
    table = None if task is None else feature_table(task)

    def pieces(task: Task, batch: Batch) -> list[str]:
        """Return what stands between placeholders: they are tokens already, and their letters are never read."""
        prompts = asked_beside(task, batch, prompt_style, config.graph_words)
        return [piece for prompt in with_places(prompts, batch.observation["target"]) for piece in prompt.split(GRAPH)]

    return partial(HybridPolicy, sizes=sizes, table=table, words=config.graph_words), pieces


def asked_beside(task: Task, batch: Batch, style: str, words: str) -> list[str]:
    """Return prompts that stand beside graph tokens: "full", those of the task, or "question", without the neighbourhood."""
    return task.prompts(batch, style) if words == "full" else with_instructions(task, task.caption(batch), style)


class HybridPolicy(VLMPolicy):
    """A `VLMPolicy` in whose prompts stand graph tokens, one for each node that is asked about.

    The language model, its weights and its files are its own, as without graphs: adapters adapt it alone, and a checkpoint
    holds it as any other, with the graph tokens beside it.

    Args:
        model, processor: as of `VLMPolicy`.
        sizes: of the graph network.
        table: (N, F) features that nodes refer to, where they come by their numbers. Where they come with features, it spares
            the trainer's questions these.
        words: what the words tell, "question" (nothing else) or "full" (the neighbourhood too).
        freeze: parts that are left as they are, "graph" (the network) and "connector" (the projection) among them.
        settings: as of `VLMPolicy`.

    Raises:
        ValueError: the model cannot be run this way; the message names it and says why.
    """

    reader: ClassVar[type[GraphPrompts]] = GraphPrompts
    runner: ClassVar[type[GraphDecoder]] = GraphDecoder

    encoder: GraphPrompts
    decoder: GraphDecoder

    def __init__(
        self,
        model: Any,
        processor: Any,
        sizes: TokenSizes,
        table: NDArray[np.float32] | None = None,
        *,
        words: str = "question",
        freeze: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        placeholder = add_graph_token(processor.tokenizer)
        super().__init__(model, processor, **settings)
        self.words, self.graph_token = words, placeholder
        embed = base_of(model).get_input_embeddings()
        with torch.no_grad():
            some = embed(torch.arange(min(512, embed.num_embeddings), device=model.device)).float()
        self.graphs = GraphTokens(sizes, some.shape[-1], float(some.detach().square().mean().sqrt()), table).to(model.device)
        self.encoder.graphs = self.graphs
        self.decoder.read(self.graphs, placeholder)
        if placeholder < model.get_output_embeddings().out_features:
            self.forbid([placeholder])
        self.freeze_vision = set(self.graphs.parts) <= set(freeze)  # graphs then run through their network once
        own = self.graphs.parts
        freeze_parts({**parts_of(model), **own}, freeze, f"{type(model).__name__} with graph tokens")
        check_model(self)

    def initial(self) -> AbstractContextManager[None] | None:
        """None: adapters can be taken off a model, and what the graph network has learned cannot."""
        return None

    def shown(self, interface: Interface, batch: Batch) -> dict[str, Any]:
        """Return the words and the graphs of questions."""
        beside = self.beside(interface, batch)
        return beside if "prompt" in beside else {**interface.observe(batch), **beside}

    def beside(self, interface: Interface, batch: Batch) -> dict[str, Any]:
        """Return the graphs as arrays, by numbers of nodes where there is a table, and the question where it is all words.

        Of nodes whose features are hidden neither features nor number are read, so that nothing is known that is not shown.
        """
        task: Task = interface.task
        by_number = self.graphs.table is not None and "node_id" in batch.observation
        graphs: dict[str, Any] = dict(batch.observation if by_number else task.complete(batch).observation)
        graphs.pop("query", None)  # what is asked of a node, the words say
        if self.words == "full":
            return graphs
        return {**graphs, "prompt": tuple(asked_beside(task, batch, interface.prompt_style, self.words))}

    def encode_next(self, observations: dict[str, Any]) -> Any:
        """Refuse: graph tokens stand in prompts of single questions."""
        del observations
        raise self._silence()

    def talk(self, inputs: Any, repeats: int = 1, decisions: int | None = None) -> Any:
        """Refuse: graph tokens stand in prompts of single questions."""
        del inputs, repeats, decisions
        raise self._silence()

    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        """Write the language model as `VLMPolicy` does, and the graph tokens beside it."""
        super().save(folder, weights)
        whole = self.state_dict() if weights is None else weights
        self.graphs.save(folder, {n.removeprefix(PREFIX): value for n, value in whole.items() if n.startswith(PREFIX)})

    def load_weights(self, folder: Path) -> None:
        """Read the weights of model, value head and graph tokens, checking that every one arrives."""
        super().load_weights(folder)
        self.graphs.load(folder)
