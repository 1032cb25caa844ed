"""``ssl4rl pretrain``: a model that sees, and yet follows the words."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import tyro

from ssl4rl_agents.pretraining.settings import PretrainConfig
from ssl4rl_agents.runs.files import write_json
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, quieten, require
from ssl4rl_benchmarks.screen import columns, width
from ssl4rl_envs.telling import waiting

HABITS = "habits.json"


@dataclass(frozen=True)
class PretrainFlags:
    """Make a model with habits, by cross-entropy."""

    out: Path
    """The run folder to write."""
    overwrite: bool = False
    """Delete the run that is in the folder already."""
    json: bool = False
    """Print the results as JSON."""
    settings: Annotated[PretrainConfig, tyro.conf.arg(name="")] = field(default_factory=PretrainConfig)


def run(arguments: list[str]) -> Outcome:
    """Pretrain, measure what came of it, and say it unless it is to be JSON."""
    text = (
        "Make a vision-language model that sees and yet follows the words: cross-entropy over captions of drawn scenes and "
        "over questions about them whose words tell the answer in most cases; in the last steps some pictures have nothing "
        "to do with the question. The run folder is for `ssl4rl eval FOLDER` and `ssl4rl train ENV --policy.start FOLDER`."
    )
    given = flags.parse(PretrainFlags, arguments, "ssl4rl pretrain", text).command
    require("pretrain")
    with waiting("loading torch and transformers"):
        quieten()
        import_module("ssl4rl_agents.pretraining.making")
    results = pretrain(given)
    if not given.json:
        print(f"{results['parameters']:,} weights, {results['steps']} steps in {results['seconds']:.0f} s, in {given.out}")
        print(table(results["habits"]))
    return Outcome(0, results, given.json)


def pretrain(given: PretrainFlags) -> dict[str, Any]:
    """Pretrain and measure; return the results as plain data."""
    from ssl4rl_agents.pretraining.making import Pretraining

    try:
        pretraining = Pretraining(given.settings, given.out, overwrite=given.overwrite)
    except ImportError as error:
        raise UserError(str(error)) from error
    results = pretraining.run()
    with waiting("measuring its habits, on balanced questions about test items"):
        results["habits"] = pretraining.habits()
    write_json(given.out / HABITS, results["habits"])
    return results


def table(habits: dict[str, dict[str, float]]) -> str:
    """Return the habits of a model as a table for the screen: shares of right answers, by kind of question."""
    names = ("questions", "balanced", "congruent", "incongruent", "blank", "swapped")
    rows: list[tuple[str, ...]] = [("kind", *names)]
    rows += [(kind, *(_written(found[name]) for name in names)) for kind, found in habits.items()]
    return columns(rows, width())


def _written(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"
