"""What is tried, and what is expected of it: written down before anything is measured, and not changed by what is found.

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

Control = Literal["verified", "coin", "looking", "random", "blank", "format", "supervised", "ceiling", "captions"]

CONTROLS: dict[Control, str] = {
    "verified": "the reward is what the environment pays",
    "coin": "every well-formed answer is paid by a coin",
    "looking": "as coin, with a bonus for replies that depend on the picture",
    "random": "every reply is paid by a coin, well-formed or not",
    "blank": "the reward is verified, and every picture is one grey",
    "format": "every well-formed answer is paid",
    "supervised": "cross-entropy on the answers to the pretext's questions",
    "ceiling": "cross-entropy on as many near questions, their answers told",
    "captions": "as many captions instead of questions",
}
"""What is done with the questions of a pretext."""

FEW: tuple[Control, ...] = ("verified", "coin")


@dataclass(frozen=True)
class Pretext(Checked):
    """A pretext, and what it is expected to move.

    Args:
        name: what tables call it.
        env, args: where it is asked; source and size of the pictures are the study's.
        near: kinds of questions that need what it needs.
        far: kinds that do not.
        why: what it shares with the near questions.
        controls: what is done with it.
    """

    name: str
    env: str
    near: tuple[str, ...]
    far: tuple[str, ...]
    why: str
    args: dict[str, Any] = field(default_factory=dict)
    controls: tuple[Control, ...] = FEW


PRETEXTS: tuple[Pretext, ...] = (
    Pretext(
        "untold questions",
        QUESTIONS,
        ("light", "sky", "ground"),
        ("position",),
        "they are the questions of pretraining, and nobody says which answers are right",
        {"kinds": "+".join(TAUGHT), "bias": 0.8, "wording": "plain"},
        controls=("looking", "coin", "blank"),
    ),
    Pretext(
        "brighter half",
        "SSL4RL/Comparison-v0",
        ("light",),
        ("depth",),
        "the sun and its glow brighten the half that the light comes from",
        {"about": "brightness"},
        controls=tuple(CONTROLS),
    ),
    Pretext(
        "relative position",
        "SSL4RL/RelativePosition-v0",
        ("position",),
        ("count",),
        "both ask on which side of one thing another lies, here of things put over the picture",
        {"directions": 4, "names": "words", "others": 1},
        controls=tuple(CONTROLS),
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
        "masked patch",
        "SSL4RL/MaskedReconstruction-v0",
        ("existence",),
        ("light",),
        "what was under a patch follows from what is there",
    ),
)
"""All that is tried alone."""
