"""Tasks of one decision train as they did before episodes had several: curves that the build before them left are met.

Those of advantages that are whitened were recorded anew, with no divergence in the reward, by a build that met the old ones.
Where no answer is right yet, the divergence is nothing but the rounding of the first pass, whitening makes advantages of it,
and Adam steps of full size of these: they went another way on each kind of processor.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agents.tiny_runs import config, numbers, tasks_built_once, train  # noqa: F401 (a fixture)

RECORDED = Path(__file__).with_name("recorded_curves.json")
"""Of each run its lines of metrics.jsonl without times, three iterations each, from commit 7d3325d; `record` wrote them."""

UNPENALISED = {"objective": {"kl_coefficient": 0.0}}
RUNS: dict[str, dict[str, Any]] = {
    "gae": UNPENALISED,
    "grpo": {"objective": {"advantage": "grpo"}},
    "dr_grpo, picked": {"objective": {"advantage": "dr_grpo"}, "rollout": {"dynamic_sampling": True, "max_rounds": 3}},
    "reinforce++, one by one": {
        "objective": {"advantage": "reinforce++", **UNPENALISED["objective"]},
        "optimizer": {"micro_batch": 1},
    },
    "told": {"algorithm": "sft"},
}
SAME: dict[str, Any] = {"iterations": 3, "format_warmup": 10}


def record(folder: Path) -> None:
    """Write what this build leaves."""
    lines = {}
    for name, changes in RUNS.items():
        train(folder / name, **SAME, **changes)
        lines[name] = numbers(folder / name)
    RECORDED.write_text(json.dumps(lines, indent=1) + "\n")


@pytest.mark.parametrize("name", RUNS)
def test_one_decision_trains_as_before(name, tmp_path):
    train(tmp_path, **SAME, **RUNS[name])
    now, before = numbers(tmp_path), json.loads(RECORDED.read_text())[name]
    assert len(now) == len(before) > 0
    for line, then in zip(now, before, strict=True):
        assert {key: line[key] for key in then} == pytest.approx(then, rel=1e-3, abs=1e-5)
