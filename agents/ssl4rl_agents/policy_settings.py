"""Settings of the network, and the models that there are by name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from ssl4rl_agents.ranges import Settings

GRAPH_MODELS = ("gcn", "sage", "gat", "gin")
"""Graph networks, by their message-passing layers."""

PREFIX_MODELS = ("paligemma",)
"""Types of models that read all of a prompt in both directions, and hold no conversations."""

NANO_TYPE = "ssl4rl_nano"
"""The `model_type` of nano in the config.json of a folder."""

PARTS = ("vision", "connector", "language", "embeddings", "graph")
"""Parts of a model that `policy.freeze` names."""

BUILT_IN = ("nano", *GRAPH_MODELS)
"""Models that are trained from scratch; every other name but `AUTO` is a folder or a model of the hub."""

AUTO = "auto"
"""The model that follows from the environment, see `model_for`."""


@dataclass(frozen=True)
class PolicyConfig(Settings):
    """The network."""

    section: ClassVar[str] = "policy."

    model: str = AUTO
    """"nano" (built in, from scratch), or the folder or hub name of an image-text-to-text model of transformers, or of a
    causal language model for tasks without pictures. A folder with a nano in it is a nano that has learned something. For
    tasks about graphs: "gcn", "sage", "gat" or "gin" (built in, from scratch), graph networks that read arrays rather than
    words. auto: gcn for tasks about graphs, nano for all others."""
    start: str | None = None
    """Run folder whose newest checkpoint the run starts from, or a checkpoint in one: its weights, value head and adapters
    included, and nothing else. The network is that run's; the format warm-up is 0 by default then."""
    max_new_tokens: int = 16
    """Longest answer in tokens, its end included; raise it for prompt_style think."""
    template_arguments: dict[str, bool | int | float | str] = field(default_factory=dict)
    """What the model's chat template is told beside the prompt, names and values in turn, e.g. enable_thinking False."""
    temperature: float = 1.0
    """Divides the logits wherever they are used."""
    freeze_vision: bool | None = None
    """Leave the vision tower and its connector as they are; pictures then run through them once an iteration. By default true
    with LoRA and false without; LoRA with an unfrozen tower adapts the tower too."""
    freeze: tuple[str, ...] = ()
    """Parts of the model that stay as they are: vision (the tower), connector, language (all that reads and writes words), or
    embeddings (of language, the words alone). vision and connector together are freeze_vision. With graph_tokens, graph is
    the network that makes these, and connector what brings them to the width of words."""
    lora_rank: int = 0
    """Rank of low-rank adapters (Hu et al. 2021, arXiv 2106.09685), which alone are trained; 0 trains all weights."""
    lora_alpha: int | None = None
    """Scale of the adapters; twice the rank by default."""
    gradient_checkpointing: bool = False
    """Keep only the inputs of each layer for the way back: far less memory in the update for about a third more time."""
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"
    """Which implementation; auto takes sdpa where the model has it. flash_attention_2 needs flash-attn and a GPU."""
    cache: Literal["auto", "static", "dynamic"] = "auto"
    """What answers grow in when they are sampled. static: keys and values of a fixed size, whose steps a GPU records as CUDA
    graphs; dynamic: memory that grows, and every step launched by the host; auto: static on a GPU, where model and attention
    allow it. (cache_implementation in transformers; vLLM's enforce_eager switches recording off.)"""
    weights: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision that weights are kept in. auto: bfloat16 with LoRA on a GPU (the adapters stay float32), else float32."""
    precision: Literal["auto", "bfloat16"] = "auto"
    """Precision of the passes, by autocast; weights, log-probabilities and losses stay float32. auto: bfloat16 on a GPU,
    float32 elsewhere. bfloat16 is worth a try on CPUs with AMX or AVX512-BF16, whose matrix products are then several times
    as fast; a small model gains nothing."""
    compile: bool = False
    """Compile the layers with torch.compile: minutes at the start, faster afterwards; needs a C++ compiler."""
    nano_hidden: int = 64
    """Width of nano, a multiple of 32; 64 has about 0.17 M parameters, 32 about 0.05 M, 128 about 0.6 M."""
    nano_layers: int = 2
    """Layers of nano's decoder."""
    nano_vocabulary: int = 512
    """Most tokens of a fresh nano's tokenizer, which is trained on questions of the task and of format_tasks. More are of use
    where it is to read many words: a prompt is then fewer tokens, and each of them has nano_hidden weights."""
    nano_image_size: int | None = None
    """Side of the pictures that a fresh nano sees, in pixels, a multiple of 8; None is 32. Pictures of a task, whatever its
    image_size, are brought to it, and each 8 x 8 pixels are a token of the prompt: 64 has four times as many as 32."""
    graph_tokens: Literal["none", "gcn", "sage", "gat", "gin"] = "none"
    """Graph network that reads the neighbourhood of a question about a graph for a language model: one soft token for each
    node that is asked about, projected into the width of its words, stands in the prompt. Network and projection are made
    from scratch and learn together with the language model, whose name is policy.model (nano where it is auto)."""
    graph_words: Literal["question", "full"] = "question"
    """What the words tell beside graph tokens. question: the question alone, a few dozen tokens; the neighbourhood is known
    by the graph tokens. full: the neighbourhood too, as without graph tokens."""
    gnn_hidden: int = 128
    """Width of a graph network."""
    gnn_layers: int = 2
    """Message-passing layers of a graph network: how many edges away it sees."""

    @property
    def interface(self) -> Literal["array", "text"]:
        """Which side of the environments the model talks to.

        Raises:
            ValueError: the model is yet to be chosen.
        """
        if self.model == AUTO:
            raise ValueError("policy.model auto follows from the environment; `TrainConfig.resolved` says what it is")
        return "array" if self.model in GRAPH_MODELS else "text"

    @property
    def reads_graphs(self) -> bool:
        """Whether a graph network reads arrays, to answer by itself or for a language model."""
        return self.interface == "array" or self.graph_tokens != "none"

    @property
    def is_nano(self) -> bool:
        """Whether the network is nano, fresh, of a folder or of another run: the config.json of a folder says so."""
        where = self.model if self.start is None else self.start
        return self.model == "nano" or model_type_of(Path(where)) == NANO_TYPE


def model_type_of(folder: Path) -> str | None:
    """Return the type of the model of transformers that lies in a folder; None where there is none.

    Raises:
        ValueError: its config.json is no JSON object; the message names it.
    """
    file = folder / "config.json"
    try:
        found = json.loads(file.read_text()).get("model_type") if file.is_file() else None
    except (AttributeError, ValueError) as error:
        raise ValueError(f"{file} does not say which model it is: {error}") from error
    return None if found is None else str(found)
