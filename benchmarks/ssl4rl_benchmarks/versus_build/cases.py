"""What is measured: the cases, and what each has to reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

IMAGES = (
    "Rotation-v0",
    "PatchOrdering-v0",
    "PatchPosition-v0",
    "MaskedReconstruction-v0",
    "Contrastive-v0",
    "FlipPrediction-v0",
    "Colorization-v0",
    "OddPatch-v0",
    "PatchSwap-v0",
    "Mixture-v0",
)
GRAPHS = (
    "EdgePrediction-v0",
    "GraphDistance-v0",
    "MaskedFeatures-v0",
    "NeighborChoice-v0",
    "NodeAttribute-v0",
)

LATER = (
    "FrameOrdering-v0",
    "NextFrame-v0",
    "DepthOrder-v0",
    "RelativePosition-v0",
    "Comparison-v0",
    "SceneQA-v0",
    "RotateUpright-v0",
    "Reveal-v0",
    "GraphQA-v0",
    "GraphWalk-v0",
    "GraphSearch-v0",
)
"""Environments that the commits which are compared with do not have."""


@dataclass(frozen=True)
class Case:
    """One measurement of both commits.

    Args:
        group: cases of one group stand in the table as one row, by the median of their ratios.
        kind: a function of `worker` that prepares it, or of `peers`.
        arguments: of that function.
        threads: how many cores the process may use. With one, the processor's seconds count; with more, those of the clock.
    """

    group: str
    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)
    threads: int = 1

    @property
    def name(self) -> str:
        """The case in words."""
        said = ", ".join(str(value) for value in self.arguments.values())
        return f"{self.kind} {said}".strip()


@dataclass(frozen=True)
class Group:
    """What a row of the table is about: the ratio to the base that is asked for, and the peer that it stands beside.

    Args:
        title: of the row.
        ratio: how many times the base's rate, at least.
        peer: a function of `peers` whose rate is compared with, or "".
        share: how many times the peer's rate, at least.
    """

    title: str
    ratio: float | None = None
    peer: str = ""
    share: float | None = None


GROUPS: dict[str, Group] = {
    "scalar scenes": Group("`gym.make`, step and reset, scenes, ten image tasks, one thread", 60),
    "scalar folder": Group("the same over a folder of 500 pictures", 15),
    "scalar graphs": Group("the same, graph tasks", 40),
    "scalar beside Minigrid": Group("`gym.make` Rotation, scenes, beside a Minigrid step with pictures", None, "minigrid", 1),
    "scalar beside PIL": Group("`gym.make` Rotation, folder, beside a data set that turns by Pillow", None, "pillow", 8),
    "vector 256": Group("`make_vec`, 256, scenes, ten image tasks, two threads", 10),
    "vector 1024": Group("`make_vec`, 1,024, scenes, ten image tasks, two threads", 10),
    "vector folder": Group(
        "`make_vec`, 1,024, folder, Rotation, FlipPrediction, PatchOrdering, two threads", 12, "copyto", 0.1
    ),
    "vector photos": Group(
        "`make_vec`, 1,024, photos, Rotation, FlipPrediction, PatchOrdering, two threads", 12, "copyto", 0.1
    ),
    "vector beside kornia": Group("`make_vec`, 1,024, folder, Rotation, one thread, beside kornia", None, "kornia", 5),
    "large": Group("`make_vec`, 64, 224 x 224, scenes, ten image tasks, two threads", 6),
    "graphs inline": Group("`make_vec`, 1,024, EdgePrediction, features inline, one thread", 3, "networkx", 1),
}
SHOWN = {"FlipPrediction-v0": 2}
"""How many pictures a question shows, where it is not one: as many are copied beside it."""


def cases(folder: str) -> list[Case]:
    """Return all cases; `folder` is the source of pictures on the disk."""
    found = [Case("scalar scenes", "scalar", {"env": env, "source": "scenes"}) for env in IMAGES]
    found += [Case("scalar folder", "scalar", {"env": env, "source": folder}) for env in IMAGES]
    found += [Case("scalar graphs", "scalar", {"env": env, "source": "cora"}) for env in GRAPHS]
    found += [Case("scalar beside Minigrid", "scalar", {"env": IMAGES[0], "source": "scenes"})]
    found += [Case("scalar beside PIL", "scalar", {"env": IMAGES[0], "source": folder})]
    for count in (256, 1024):
        found += [Case(f"vector {count}", "vector", {"env": env, "source": "scenes", "count": count}, 2) for env in IMAGES]
    for name, source in (("folder", folder), ("photos", "photos")):
        found += [
            Case(f"vector {name}", "vector", {"env": env, "source": source, "count": 1024}, 2)
            for env in ("Rotation-v0", "FlipPrediction-v0", "PatchOrdering-v0")
        ]
    found += [Case("vector beside kornia", "vector", {"env": IMAGES[0], "source": folder, "count": 1024})]
    for env in IMAGES:
        size = 222 if env == "PatchSwap-v0" else 224  # its tiles are thirds
        found.append(Case("large", "vector", {"env": env, "source": "scenes", "count": 64, "image_size": size}, 2))
    found += [Case("graphs inline", "vector", {"env": GRAPHS[0], "source": "cora", "count": 1024})]
    return found


def peer_of(case: Case, folder: str) -> Case | None:
    """Return what the library that a case stands beside is asked for, or None where it stands alone.

    Args:
        case: of `cases(folder)`.
        folder: the source of pictures on the disk.
    """
    peer = GROUPS[case.group].peer
    arguments: dict[str, dict[str, Any]] = {
        "pillow": {"folder": folder.removeprefix("folder:")},
        "copyto": {"count": case.arguments.get("count"), "pictures": SHOWN.get(case.arguments.get("env", ""), 1)},
        "kornia": {"count": case.arguments.get("count")},
    }
    return Case(case.group, peer, arguments.get(peer, {}), case.threads) if peer else None
