"""What is tried, and what is expected of it: written down before its arms are measured, and not changed by what they find.

What came before it, pilots and a first declaration, docs/better.md tells.

A triple names a pretext, whose answers are free; a near kind of question about scenes, which asks for something that the
pretext needs; and a far kind, which does not. A base is a small model that sees a little and follows the words. An arm is
what is done with a base; those of a pretext differ in their reward, pictures or targets, and in nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ssl4rl_envs.arguments import Checked

QUESTIONS = "SSL4RL/SceneQA-v0"
"""Asks what is measured."""

KINDS = ("existence", "count", "colour", "position", "size", "depth", "light", "sky", "ground")
"""Of questions about one picture."""

TAUGHT = ("existence", "light", "sky", "ground")
"""Kinds that bases are taught; the words of the others are new to all of them. A nano learns to see the last three."""

Control = Literal[
    "verified", "contrast", "own", "looking", "coin", "random", "format", "blank", "supervised", "ceiling", "captions"
]

CONTROLS: dict[Control, str] = {
    "verified": "the reward is what the environment pays",
    "contrast": "paid is the answer that the picture spoke for when training began; no truth is told",
    "own": "paid is the answer that was likeliest when training began; no truth is told",
    "looking": "as coin, with a bonus for replies that depend on the picture",
    "coin": "every well-formed answer is paid by a coin",
    "random": "every reply is paid by a coin, well-formed or not",
    "format": "every well-formed answer is paid",
    "blank": "the reward is verified, and every picture is one grey",
    "supervised": "cross-entropy on the answers to the pretext's questions",
    "ceiling": "cross-entropy on as many balanced near questions, their answers told",
    "captions": "as many captions instead of questions",
}
"""What is done with the questions of a pretext. Those from "looking" on are what the first of a pretext is compared with."""

FEW: tuple[Control, ...] = ("verified", "coin")


@dataclass(frozen=True)
class Pretext(Checked):
    """A pretext, and what it is expected to move.

    Args:
        name: what tables call it.
        env, args: where it is asked; pictures, and of questions about scenes wording and bias, are the study's.
        near: kinds of questions that need what it needs.
        far: kinds that do not.
        why: what it shares with the near questions.
        controls: what is done with it; the first is the one that is to help.
        settings: of the trainer, nested.
        stages: names of pretexts that are done one after the other in its place, each in its share of the iterations.
    """

    name: str
    env: str
    near: tuple[str, ...]
    far: tuple[str, ...]
    why: str
    args: dict[str, Any] = field(default_factory=dict)
    controls: tuple[Control, ...] = FEW
    settings: dict[str, Any] = field(default_factory=dict)
    stages: tuple[str, ...] = ()


SEEN = ("light", "sky", "ground")
"""Kinds that a base of the study "nano" sees."""

PRETEXTS: tuple[Pretext, ...] = (
    Pretext(
        "untold questions",
        QUESTIONS,
        SEEN,
        ("position",),
        "they are the questions of pretraining, and nobody says which answers are right",
        {"kinds": "+".join(TAUGHT)},
        controls=tuple(control for control in CONTROLS if control != "verified"),
    ),
    Pretext(
        "untold light",
        QUESTIONS,
        ("light",),
        ("sky",),
        "as before, of one kind: what is learned is to look, and that is to move questions about the sky",
        {"kinds": "light"},
        controls=("contrast", "own", "coin"),
    ),
    Pretext(
        "untold sky and ground",
        QUESTIONS,
        ("sky", "ground"),
        ("light",),
        "as before, of two kinds: the third is far",
        {"kinds": "sky+ground"},
        controls=("contrast", "own", "coin"),
    ),
    Pretext(
        "brighter half",
        "SSL4RL/Comparison-v0",
        ("light, source",),
        ("depth",),
        "the sun and its glow brighten the half that the light comes from: in 80 of 100 scenes it is the brighter one",
        {"about": "brightness"},
        controls=("verified", "coin", "blank", "supervised", "ceiling"),
    ),
    Pretext(
        "relative position",
        "SSL4RL/RelativePosition-v0",
        ("position",),
        ("count",),
        "both ask on which side of one thing another lies, here of things put over the picture",
        {"directions": 4, "names": "words", "others": 1},
    ),
    Pretext(
        "redder half",
        "SSL4RL/Comparison-v0",
        ("colour",),
        ("position",),
        "which half is redder is told by hue, as colours of things are",
        {"about": "redness"},
    ),
    Pretext(
        "depth order",
        "SSL4RL/DepthOrder-v0",
        ("depth",),
        ("sky",),
        "both ask what is nearer to the viewer, here of things put over the picture",
        {"things": 2},
    ),
    Pretext(
        "rotation",
        "SSL4RL/Rotation-v0",
        ("sky",),
        ("colour",),
        "where the sky is tells up from down, and what it looks like is asked",
        {"angles": 4},
    ),
    Pretext(
        "patch position",
        "SSL4RL/PatchPosition-v0",
        ("position",),
        ("count",),
        "where a crop lies is found by what is around it",
    ),
    Pretext(
        "patch ordering",
        "SSL4RL/PatchOrdering-v0",
        ("ground",),
        ("colour",),
        "what lies below is told from what lies above",
    ),
    Pretext(
        "contrastive crops",
        "SSL4RL/Contrastive-v0",
        ("colour",),
        ("position",),
        "whether two crops are of one picture is told by its colours",
    ),
    Pretext(
        "flips",
        "SSL4RL/FlipPrediction-v0",
        ("light",),
        ("count",),
        "a mirrored scene has its light on the other side",
    ),
    Pretext(
        "masked patch",
        "SSL4RL/MaskedReconstruction-v0",
        ("existence",),
        ("light",),
        "what was under a patch follows from what is there",
    ),
    *(
        Pretext(
            f"three of them, {how}",
            "SSL4RL/Mixture-v0",
            ("light, source", "sky", "position"),
            ("count",),
            "brighter half, rotation and patch position, each near in its way",
            {"tasks": ["Comparison", "Rotation", "PatchPosition"]},
            controls=("verified",),
            settings=settings,
            stages=stages,
        )
        for how, settings, stages in (
            ("mixed alike", dict[str, Any](), ()),
            ("mixed by progress", {"rollout": {"schedule": "progress"}}, ()),
            ("one after the other", dict[str, Any](), ("brighter half", "rotation", "patch position")),
        )
    ),
)
"""All that is tried."""

BASE_TASKS = tuple(dict.fromkeys(pretext.env for pretext in PRETEXTS if pretext.env not in (QUESTIONS, "SSL4RL/Mixture-v0")))
"""Whose words a base knows, and how answers to them are written; what is right in them it was never told."""
