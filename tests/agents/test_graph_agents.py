"""Real graph environments, and the two kinds of policies that learn them: graph networks, and language models that read."""

from __future__ import annotations

import dataclasses

import pytest

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.settings import TrainConfig
from tests.agents import zoo
from tests.agents.tiny_runs import config

TASKS = {
    "EdgePrediction": {"features": "id"},
    "NeighborChoice": {"source": "sbm"},
    "NodeAttribute": {"source": "sbm"},
    "MaskedFeatures": {"source": "sbm", "masked": 2},
    "GraphDistance": {"source": "karate"},
}


def settings(task: str, **changes: object) -> TrainConfig:
    plain = config(**{"format_warmup": None, **changes})
    return dataclasses.replace(plain, env=f"SSL4RL/{task}-v0", env_args=TASKS[task])


@pytest.mark.parametrize("task", TASKS)
def test_graph_networks_train_on_every_graph_task_and_act_in_it(tmp_path, task):
    trainer = Trainer(settings(task, policy={"model": "sage", "gnn_hidden": 16}), tmp_path / "run", quiet=True)
    assert trainer.run()
    lines = read_metrics(tmp_path / "run")
    assert all(line["first_ratio_error"] < 1e-4 for line in lines)
    assert lines[-1]["length/max"] == (2 if task == "MaskedFeatures" else 1), "a decision is a token"
    assert 0 <= lines[-1]["validation/reward"] <= 1
    assert load_agent(tmp_path / "run").interface == "array"


@pytest.mark.parametrize("task", ["GraphDistance", "NodeAttribute"])
def test_language_models_read_graphs(tmp_path, task):
    zoo.save("llama", tmp_path / "model")
    trainer = Trainer(
        settings(task, iterations=1, policy={"model": str(tmp_path / "model"), "max_new_tokens": 8}),
        tmp_path / "run",
        quiet=True,
    )
    assert trainer.run()
    assert all(line["first_ratio_error"] < 1e-3 for line in read_metrics(tmp_path / "run"))


def test_a_graph_network_learns_which_nodes_are_joined(tmp_path):
    """Blocks that share words, in a few seconds: far above what a blind policy can reach."""
    trainer = Trainer(
        dataclasses.replace(
            config(
                iterations=25,
                format_warmup=None,
                eval_every=25,
                save_every=25,
                policy={"model": "gcn", "gnn_hidden": 64},
                rollout={"prompts": 128, "group_size": 4},
                optimizer={"minibatches": 4, "epochs": 3},
            ),
            env="SSL4RL/EdgePrediction-v0",
            env_args={"source": "sbm", "features": "id"},
        ),
        tmp_path / "run",
        quiet=True,
    )
    assert trainer.run()
    assert trainer.measure("test", 512).success > 0.62
