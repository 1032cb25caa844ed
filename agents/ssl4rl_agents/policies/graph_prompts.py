"""Prompts with graphs: behind the words stand placeholders, one for each node that is asked about, and beside them graphs."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import BatchEncoding

from ssl4rl_agents.policies.answerable import ANSWERABLE
from ssl4rl_agents.policies.decoder import Decoder
from ssl4rl_agents.policies.graph_batches import GraphInputs, encode_graphs
from ssl4rl_agents.policies.graph_tokens import GraphTokens
from ssl4rl_agents.policies.pictures import Features
from ssl4rl_agents.policies.prompts import Form, PromptEncoder, VLMInputs

GRAPH = "<graph>"
"""The token of the tokenizer in whose places graph tokens stand."""

READ = tuple(field.name for field in fields(GraphInputs) if field.name not in ("query", "allowed"))
"""What is read of graphs; what is asked of nodes, and which answers may be given, is said otherwise."""


def add_graph_token(tokenizer: Any) -> int:
    """Give a tokenizer the token `GRAPH`, unless it has it, and return its id.

    The model's embeddings stay as they are: nothing is looked up in the places of the token, and no logit belongs to an id
    behind the vocabulary.
    """
    tokenizer.add_tokens([GRAPH], special_tokens=True)
    return int(tokenizer.convert_tokens_to_ids(GRAPH))


def with_places(prompts: Any, targets: NDArray[np.int64]) -> list[str]:
    """Put behind prompts a line with the numbers of the nodes that are asked about (n, K), a placeholder behind each.

    Raises:
        ValueError: a prompt holds a placeholder already.
    """
    for prompt in prompts:
        if GRAPH in prompt:
            raise ValueError(f"{GRAPH} stands for graph tokens, and no other words of a prompt may hold it: {prompt[:200]!r}")
    named = [" ".join(f"Node {node}: {GRAPH}" for node in nodes) for nodes in targets.tolist()]
    return [f"{prompt}\n{nodes}" for prompt, nodes in zip(prompts, named, strict=True)]


class GraphPrompts(PromptEncoder):
    """Encodes prompts and the graphs that they are about; words alone until it is told which graph tokens there are.

    Graphs take the way of pictures: `VLMInputs.pictures` holds their arrays, (prompts, 1, ...) each.
    """

    graphs: GraphTokens | None = None

    @property
    def sees(self) -> bool:
        """Whether graph tokens stand in prompts; else pictures, if the model sees any."""
        return super().sees if self.graphs is None else True

    def example(self, count: int) -> dict[str, Any]:
        """Return what `count` prompts that try the model out show beside their words."""
        return super().example(count) if self.graphs is None else self.graphs.example(count)

    def __call__(self, observations: dict[str, Any], device: torch.device) -> VLMInputs:
        """Encode `prompt`, n strings, and graphs, see `encode_graphs`.

        Raises:
            ValueError: there are no graphs.
        """
        if "edge_index" not in observations:
            raise ValueError(
                f"a model with graph tokens reads a graph beside the words, and is shown {', '.join(sorted(observations))} "
                "alone; it answers questions about graphs that environments ask, as in `ssl4rl eval`"
            )
        return super().__call__(observations, device)

    def processed(self, observations: dict[str, Any], device: torch.device, form: Form | None = None) -> BatchEncoding:
        """Return what the processor makes of the words, and the arrays of the graphs by the names of `GraphInputs`."""
        if self.graphs is None or "edge_index" not in observations:
            return super().processed(observations, device, form)
        prompts = with_places(observations["prompt"], np.asarray(observations["target"]))
        graphs = encode_graphs({name: v for name, v in observations.items() if name not in ("prompt", ANSWERABLE)}, device)
        found = {name: getattr(graphs, name) for name in READ}
        encoded = super().processed({"prompt": prompts}, device, form)
        return BatchEncoding({**encoded, **{name: values for name, values in found.items() if values is not None}})

    def inputs(self, encoded: BatchEncoding, answers: NDArray[np.int16] | None = None) -> VLMInputs:
        """Return tokens and their places, and the graphs."""
        words = BatchEncoding({name: values for name, values in encoded.items() if name not in READ})
        found = super().inputs(words, answers)
        graphs = {name: values[:, None] for name, values in encoded.items() if name in READ}
        return replace(found, pictures={**found.pictures, **graphs})


class GraphDecoder(Decoder):
    """Runs prompts with graph tokens in the places of their placeholders; words alone until it is told which there are."""

    graphs: GraphTokens | None = None

    def read(self, graphs: GraphTokens, placeholder: int) -> None:
        """Put graph tokens into the places of `placeholder` from now on."""
        self.graphs, self.placeholder = graphs, placeholder

    def features(self, pictures: dict[str, Tensor]) -> Features:
        """Run the graph network over the graphs of `VLMInputs`."""
        if self.graphs is None:
            return super().features(pictures)
        arrays: dict[str, Any] = dict.fromkeys(("x", "node_id", "query"))
        arrays |= {name: values.flatten(0, 1) for name, values in pictures.items()}
        return Features(self.graphs(GraphInputs(**arrays)), None, listed=False)

    def given(self, tokens: Tensor, told: dict[str, Any]) -> dict[str, Any]:
        """Return embedded tokens, (n, T, width), where graphs stand in their midst; `told` are these, or their tokens."""
        if self.graphs is None or not told:
            return super().given(tokens, told)
        arrays = {name: values[None] for name, values in told.items() if name in READ}
        told = {name: values for name, values in told.items() if name not in READ}
        seen = self.features(arrays).outputs() if arrays else told.pop("mm_encoder_outputs")
        assert self.placeholder is not None
        places = torch.eq(tokens, self.placeholder)
        words = self.base.get_input_embeddings()(tokens.masked_fill(places, 0))
        soft = seen["image"].pooler_output.to(words)
        return {"inputs_embeds": words.masked_scatter(places.unsqueeze(-1), soft), **told}
