"""How large the experiment is done, and what is varied in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from ssl4rl_agents.settings import merged
from ssl4rl_benchmarks.bench.rows import Row
from ssl4rl_benchmarks.better.trials import Study


@dataclass(frozen=True)
class Sized:
    """A study, and how often what is done.

    Args:
        study: how large everything is.
        bases: small models with habits; the unit of analysis.
        seeds: of each arm from each.
        pretexts, controls: that are done; all if empty.
        about: what it varies, for people.
    """

    study: Study
    bases: int
    seeds: int
    pretexts: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    about: str = ""


NANO = Study(
    iterations=40, questions=512, pretraining={"unrelated_steps": 900}, settings={"optimizer": {"learning_rate": 2e-4}}
)

UNTOLD, BRIGHTER = ("untold questions",), ("brighter half", "rotation")
FEW = ("contrast", "own", "coin")

KEEPING: dict[str, dict[str, Any]] = {
    "kl": {"objective": {"kl_coefficient": 1.0}},
    "replay": {"optimizer": {"replay": 0.3}},
    "lora": {"policy": {"lora_rank": 8}},
    "constrained": {"rollout": {"constrained": True}},
}
"""What is to keep old abilities while a pretext is learned: a tenfold weight of the divergence from the start, a share of
what was pretrained on, adapters alone that learn, replies that are well-formed by force."""


DIFFICULTY: dict[str, dict[str, dict[str, Any]]] = {
    "easier": {"brighter half": {"margin": 2.0}, "rotation": {"angles": 2}},
    "harder": {"brighter half": {"margin": 0.25}, "rotation": {"angles": 8}},
}
"""Pretexts whose halves differ by twice or a quarter of the declared margin, and that are turned by two or eight angles
instead of four."""


def _untold(about: str, **changes: Any) -> Sized:
    """Return a study of the untold questions alone, from three bases."""
    return Sized(replace(NANO, **changes), 3, 1, UNTOLD, FEW, about)


ASSEMBLED = Study(
    image_size=96,
    pretraining={
        "model": "assembled",
        "tower": "lite2",
        "language_layers": 8,
        "learns": "language",
        "pretrained_rate": 0.2,
        "kinds": "sky+ground",
        "aspects": ["sky"],
        "tasks": [],
        "practice": 0.0,
        "first_bias": 0.5,
        "steps": 130,
        "unrelated_steps": 70,
        "batch": 32,
        "learning_rate": 1e-3,
        "unrelated_learning_rate": 5e-4,
        "precision": "bfloat16",
    },
    settings={
        "policy": {"lora_rank": 16, "weights": "float32", "precision": "bfloat16"},
        "rollout": {"prompts": 64, "group_size": 2},
        "optimizer": {"learning_rate": 2e-4, "epochs": 2, "minibatches": 2, "schedule": "constant"},
        "objective": {"kl_coefficient": 0.1},
        "format_warmup": 0,
    },
    iterations=12,
    questions=128,
)
"""A model that can talk, at a budget of two cores: its language model has lost all but its first eight layers."""

VARIED = {
    **{
        f"words-{round(100 * bias)}": _untold(f"words tell the answer in {round(100 * bias)} of 100 lessons", bias=bias)
        for bias in (0.55, 0.7, 0.9, 0.95)
    },
    **{
        f"iterations-{count}": _untold(f"{count} iterations of 256 questions instead of 40", iterations=count)
        for count in (10, 20, 80)
    },
    **{
        f"steps-{count}": _untold(
            f"bases that were shown {count} steps instead of 1500, and see less",
            pretraining={**NANO.pretraining, "steps": count},
        )
        for count in (500, 800)
    },
    **{
        f"hidden-{hidden}": _untold(
            f"a nano of width {hidden} instead of 64", pretraining={**NANO.pretraining, "hidden": hidden}
        )
        for hidden in (32, 128)
    },
    **{
        f"over-{source}": Sized(
            replace(NANO, pretext_source=source),
            3,
            1,
            BRIGHTER,
            ("verified",),
            f"pretexts over {source} instead of the scenes that are asked about",
        )
        for source in ("photos", "digits")
    },
    **{
        name: Sized(
            replace(NANO, pretext_args=args), 3, 1, BRIGHTER, ("verified",), f"pretexts that are {name} than those declared"
        )
        for name, args in DIFFICULTY.items()
    },
    "multiple-choice": Sized(
        replace(NANO, pretraining={**NANO.pretraining, "multiple_choice": True}),
        3,
        1,
        (*UNTOLD, BRIGHTER[0]),
        ("verified", "contrast", "coin"),
        "answers of all tasks are letters of options in random order, so that no pretext has words of its own",
    ),
    **{
        f"kept-by-{name}": Sized(
            replace(NANO, settings=merged(NANO.settings, settings)),
            3,
            1,
            BRIGHTER[:1],
            ("verified", "coin"),
            f"old abilities kept by {name}",
        )
        for name, settings in KEEPING.items()
    },
    "assembled": Sized(
        ASSEMBLED, 3, 1, ("untold sky and ground",), FEW, "a pretrained model, short of most layers, on two cores"
    ),
}
"""Studies that differ from the whole experiment in one thing; "assembled" in its models, and so in more."""

STUDIES = {
    "nano": Sized(NANO, bases=5, seeds=1, about="everything that is declared"),
    "again": Sized(NANO, 5, 2, UNTOLD, ("contrast", "own", "looking", "coin"), "second seeds of the arms that matter most"),
    **VARIED,
    "smoke": Sized(
        Study(
            iterations=3,
            questions=64,
            pretraining={"steps": 20, "unrelated_steps": 10},
            settings={"rollout": {"prompts": 32}},
        ),
        bases=2,
        seeds=1,
        about="nothing: it shows in some minutes that everything runs",
    ),
}


def study_of(row: Row) -> str:
    """Return the name of the study that a row belongs to, the first of those that are alike; empty if it is none of these."""
    done = row.get("config", {}).get("study")
    if done is None:
        return ""
    plain = {**asdict(Study()), **done}  # what a row of before does not have is as it was without it
    return next((name for name, sized in STUDIES.items() if json.loads(json.dumps(asdict(sized.study))) == plain), "")
