"""What a run's questions are drawn from, kept in its checkpoints: a run goes on over the same content or not at all.

A folder that got other pictures would ask other questions, and what was held out of the first half of a run could be trained
on in the second. Measuring a trained agent on other data is another matter, and nothing here stands in its way.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ssl4rl_agents.runs.checkpoint import OPTIMIZER, TRAINER
from ssl4rl_agents.runs.files import read_from
from ssl4rl_agents.runs.pretrained_on import START as START
from ssl4rl_envs import Task

NAME, FINGERPRINT = "name", "fingerprint"


def content_of(task: Task) -> list[dict[str, str]]:
    """Return name and fingerprint of each source of a task and its parts that has one, in the order of the parts."""
    found: dict[str, str] = {}
    for part in (task, *task.parts):
        nested = content_of(part) if part is not task and part.parts else []
        source: Any = getattr(part, "source", None)
        if hasattr(source, "fingerprint"):  # a task of somebody else's may have a source of another kind
            nested.append({NAME: str(getattr(source, "name", type(source).__name__)), FINGERPRINT: str(source.fingerprint)})
        for entry in nested:
            found.setdefault(entry[FINGERPRINT], entry[NAME])
    return [{NAME: name, FINGERPRINT: fingerprint} for fingerprint, name in found.items()]


def require_same_content(checkpoint: Path, task: Task) -> None:
    """Refuse to go on over other content than that of the checkpoint; one that does not say its content is left to others.

    Raises:
        ValueError: it differs.
    """
    file = checkpoint / TRAINER
    with read_from(checkpoint):
        trained = json.loads(file.read_text()).get("sources") if file.exists() else None
    found = content_of(task)
    if trained is not None and [entry[FINGERPRINT] for entry in trained] != [entry[FINGERPRINT] for entry in found]:
        raise ValueError(
            f"the run in {checkpoint.parent.parent} was trained on {_told(trained)} and would go on over {_told(found)}; put "
            "the content back as it was, or start a new run"
        )


def started_from(checkpoint: Path) -> dict[str, Any]:
    """Return what a run says of the checkpoint that it starts from: where it lies, how far it was, on what, its digests."""
    with read_from(checkpoint):
        counters = json.loads((checkpoint / TRAINER).read_text())
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(checkpoint.glob("*.safetensors"))}
    digests.pop(OPTIMIZER, None)
    return {
        "checkpoint": str(checkpoint),
        "iteration": counters["iteration"],
        "sources": counters.get("sources"),
        "sha256": digests,
    }


def _told(content: list[dict[str, str]]) -> str:
    return " and ".join(f"{entry[NAME]} (content {entry[FINGERPRINT]})" for entry in content) or "no source"
