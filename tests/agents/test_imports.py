"""Which part of the agents' package may import which: floors, with one arrow upwards; and torch only for those who ask."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ssl4rl_agents

FLOORS: tuple[tuple[str, ...], ...] = (
    ("algorithms", "ranges", "readability"),
    ("policy_settings", "control_settings"),
    ("settings",),
    ("divergence",),
    ("policies",),
    ("runtime",),
    ("named",),
    ("checks",),
    ("runs",),
    ("agent",),
    ("evaluation", "baselines", "rules"),
    ("choosing",),
    ("lessons", "ppo"),
    ("replies", "pretraining"),
    ("endpoints", "pretrained"),
    ("trainer_agents", "sb3_env"),
    ("sb3",),
)
"""From the ground up. A part imports what lies on lower floors; of its own floor nothing but itself."""

ON_DEMAND = {
    ("agent", "runs.policy_agent"): "torch is for trained runs alone",
    ("named", "runtime.device"): "settings are read without torch until a run begins",
    ("policies.build", "policies.gnn"): "PyG takes seconds to import",
    ("policies.build", "policies.language"): "so does transformers, and graph networks do without",
    ("policies.language", "policies.hybrid"): "it needs PyG, which readers of words do without",
    ("runtime.samplers", "policies.vlm"): "likewise",
    ("ppo.contexts", "policies.conversations"): "likewise",
    ("ppo.contexts", "policies.strips"): "likewise",
    ("settings", "checks"): "`config.resolved()` is what users call; checks look at settings, not settings at checks",
    ("policies.vlm", "policies.slim_lora"): "needs peft, which models without adapters do without",
}
"""Imports within functions, and why."""

UPWARDS = {("settings", "checks")}
"""Imports that lead up, all of them on demand."""

HERE = Path(ssl4rl_agents.__file__).parent
FLOOR_OF = {part: number for number, parts in enumerate(FLOORS) for part in parts}
FILES = {".".join(file.relative_to(HERE).with_suffix("").parts): file for file in sorted(HERE.rglob("*.py"))}


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """The modules of the package that one imports, for types alone too, and whether within a function."""
    tree = ast.parse(FILES[module].read_text())
    within = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ssl4rl_agents":
            base = (node.module or "").partition(".")[2]
            for alias in node.names:
                longer = f"{base}.{alias.name}" if base else alias.name
                yield longer if longer in FILES else base, id(node) in within


def test_every_part_has_a_floor():
    parts = {module.split(".")[0] for module in FILES if module != "__init__"}
    assert parts == set(FLOOR_OF)


@pytest.mark.parametrize("module", [module for module in FILES if module != "__init__"])
def test_imports_lead_down(module):
    part = module.split(".")[0]
    for imported, _ in imports(module):
        other = imported.split(".")[0]
        down = other == part or FLOOR_OF[other] < FLOOR_OF[part]
        assert down or (module, imported) in UPWARDS, f"{module} imports {imported}"


def test_what_is_imported_on_demand_has_a_reason():
    found = {
        (module, imported)
        for module in FILES
        if not module.endswith("__init__")
        for imported, inside in imports(module)
        if inside
    }
    assert found == set(ON_DEMAND)


def test_nobody_waits_for_torch_who_does_not_ask_for_it():
    """In a process of its own: names of the package, settings, the tables of algorithms, an agent that needs no network."""
    code = """
import sys
from ssl4rl_agents import Agent, Lesson, TrainConfig, evaluate, load_agent
from ssl4rl_agents.algorithms import ADVANTAGES, SURROGATES
from ssl4rl_agents.runs import is_run, read_config
from ssl4rl_envs import SSLVectorEnv, make_task
assert TrainConfig().objective.advantage in ADVANTAGES and TrainConfig().objective.surrogate in SURROGATES
task = make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)
envs = SSLVectorEnv(task, num_envs=2)
assert evaluate(load_agent("random", envs), task, env="SSL4RL/Rotation-v0", split="test", episodes=4).episodes == 4
assert "torch" not in sys.modules
from ssl4rl_agents import Trainer
assert "torch" in sys.modules
assert "transformers" not in sys.modules and "torch_geometric" not in sys.modules, "which networks need, one or the other"
import ssl4rl_agents
assert set(dir(ssl4rl_agents)) >= {"Agent", "load_agent", "evaluate", "Lesson", "TrainConfig", "Trainer"}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "room", ["", ".algorithms", ".choosing", ".endpoints", ".policies", ".ppo", ".runs", ".runtime", ".rules"]
)
def test_packages_offer_what_they_say(room):
    package = __import__(f"ssl4rl_agents{room}", fromlist=["__all__"])
    for name in package.__all__:
        assert hasattr(package, name)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = package.no_such_name
