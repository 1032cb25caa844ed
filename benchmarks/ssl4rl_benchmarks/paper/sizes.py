"""How large the paper is done: in minutes on two cores, in hours on them, or as the paper does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ssl4rl_benchmarks.paper.declaration import ITERATIONS, LARGER, MODEL, PROMPTS, READER, REPLY_TOKENS, Half
from ssl4rl_envs.arguments import Checked


@dataclass(frozen=True)
class Size(Checked):
    """How large everything is.

    Args:
        models: that learn, where the call names none: of pictures; of graphs, read as arrays, in words, and
            in words with tokens of a graph network.
        sources: of pictures, of graphs; empty where the call has to name one.
        image_size: side of pictures in pixels, at most: it is lowered to what can be cut into a task's parts.
        args: of environments over graphs.
        across: other graphs that the ablation "transfer" asks about.
        iterations: of a run.
        prompts: questions of an iteration.
        episodes: held-out questions, the same for all, before and after training.
        seeds: of each run.
        larger: settings of the model of the ablation "model".
        settings: of the trainer, beside the paper's.
    """

    models: dict[Half, tuple[str, ...]]
    sources: dict[Half, str]
    image_size: int
    iterations: int
    prompts: int
    episodes: int
    seeds: int
    larger: dict[Half, dict[str, Any]]
    args: dict[str, Any] = field(default_factory=dict)
    across: tuple[str, ...] = ("sbm:1000",)
    settings: dict[str, Any] = field(default_factory=dict)


BUILT_IN: dict[Half, tuple[str, ...]] = {"images": ("nano",), "graphs": ("gcn", "nano", "gcn+nano")}

WIDER: dict[Half, dict[str, Any]] = {"images": {"nano_hidden": 128}, "graphs": {"gnn_hidden": 256, "nano_hidden": 128}}

SIZES = {
    "toy": Size(
        BUILT_IN,
        {"images": "scenes", "graphs": "sbm"},
        image_size=32,
        iterations=60,
        prompts=64,
        episodes=512,
        seeds=1,
        larger=WIDER,
        args={"fanouts": (3,)},
    ),
    "small": Size(
        BUILT_IN,
        {"images": "scenes", "graphs": "cora"},
        image_size=64,
        iterations=ITERATIONS,
        prompts=PROMPTS,
        episodes=2048,
        seeds=3,
        larger=WIDER,
        settings={"policy": {"nano_image_size": 64}},
    ),
    "full": Size(
        {"images": (MODEL,), "graphs": ("gcn", READER, f"gcn+{READER}")},
        {"images": "", "graphs": "cora"},
        image_size=448,
        iterations=ITERATIONS,
        prompts=PROMPTS,
        episodes=2048,
        seeds=1,
        larger={"images": {"model": LARGER}, "graphs": {"model": "Qwen/Qwen2.5-7B-Instruct", "gnn_hidden": 256}},
        settings={
            "prompt_style": "think",
            "save_every": 50,  # as often as the paper
            "keep": 1,
            "policy": {"max_new_tokens": REPLY_TOKENS, "gradient_checkpointing": True},
        },
    ),
}
"""448 pixels are 256 of Qwen2.5-VL's tokens, so that two pictures and the words stay below the paper's 1,024."""
