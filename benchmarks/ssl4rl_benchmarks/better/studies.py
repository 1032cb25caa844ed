"""How large the experiment is done."""

from __future__ import annotations

from dataclasses import dataclass

from ssl4rl_benchmarks.better.trials import Study


@dataclass(frozen=True)
class Sized:
    """A study, and how often it is done.

    Args:
        study: how large everything is.
        bases: small models with habits; the unit of analysis.
        seeds: of each arm from each.
    """

    study: Study
    bases: int
    seeds: int


STUDIES = {
    "nano": Sized(
        Study(pretraining={"unrelated_steps": 900}, settings={"optimizer": {"learning_rate": 2e-4}}), bases=5, seeds=2
    ),
    "smoke": Sized(
        Study(
            iterations=2,
            questions=64,
            pretraining={"steps": 20, "unrelated_steps": 10},
            settings={"rollout": {"prompts": 32}},
        ),
        bases=2,
        seeds=1,
    ),
}
