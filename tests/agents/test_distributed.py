"""Several processes train as one does: the same gradients, disjoint questions, one run folder."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from accelerate.state import PartialState

from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.checkpoint import newest
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_envs import Batch, Stream
from ssl4rl_envs.images.rotation import Rotation
from tests.agents.tiny_runs import config, numbers, tasks_built_once, train  # noqa: F401

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(str(ROOT / folder) for folder in (".", "agents", "benchmarks"))
SHARDED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
CUT = {"stage": 3, "stage3_param_persistence_threshold": 0}  # or weights as small as these would stay whole


def deepspeed(**settings: str) -> Any:
    """A mode that needs DeepSpeed; in one process test_zero.py has it too, and is quick."""
    absent = not importlib.util.find_spec("deepspeed") or not shutil.which("g++")
    return pytest.param(
        {"ACCELERATE_USE_DEEPSPEED": "true", **settings},
        marks=[pytest.mark.slow, pytest.mark.skipif(absent, reason="DeepSpeed needs itself and a compiler")],
    )


MODES = {
    "whole": {},
    "sharded": SHARDED,
    "ZeRO 1": deepspeed(ACCELERATE_DEEPSPEED_ZERO_STAGE="1"),
    "ZeRO 2": deepspeed(ACCELERATE_DEEPSPEED_ZERO_STAGE="2"),
    "ZeRO 3": deepspeed(ACCELERATE_DEEPSPEED_CONFIG_FILE=json.dumps({"zero_optimization": CUT})),
}


def launch(mode: dict[str, str], *command: str) -> None:
    """Run a Python file in two processes."""
    environment = {**os.environ, **mode, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": PATHS}
    launcher = ["accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1", "--main_process_port=0"]
    options = ["--mixed_precision=no", "--dynamo_backend=no"]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *options, *command], env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-5000:]


@pytest.fixture(scope="module", params=MODES.values(), ids=MODES)
def pair(request, tmp_path_factory) -> tuple[dict[str, str], Path]:
    """A mode, and the folder with all that one pair of processes leaves: a run, its resumption, gradients' errors."""
    folder = tmp_path_factory.mktemp("pair")
    launch(request.param, str(Path(__file__).with_name("pair.py")), str(folder))
    return request.param, folder


def test_two_processes_give_the_gradients_of_one(pair):
    mode, folder = pair
    found = json.loads((folder / "errors.json").read_text())
    sharded = mode == SHARDED or "ACCELERATE_DEEPSPEED_CONFIG_FILE" in mode
    assert found["sharded"] == sharded
    assert len(found["errors"]) == 32
    for settings, error in found["errors"].items():
        assert error["size"] > 0.01, settings
        assert error["gradients"] < (5e-6 if sharded else 1e-6), settings
        assert error["logged"] < 1e-6, settings


def test_a_run_of_two_processes_leaves_one_folder_and_resumes_bit_for_bit(pair):
    _, folder = pair
    out, again = folder / "run", folder / "again"
    for stage in ("train", "resume"):
        assert json.loads((folder / f"{stage}.txt").read_text())["finished"]  # printed once
    assert [line["episodes"] for line in read_metrics(out)] == [16, 32]
    assert len(list(out.glob("events.out*"))) == 1
    assert (out / "report.html").exists()
    assert numbers(again) == numbers(out)
    for file in ("model.safetensors", "value_head.safetensors", "optimizer.safetensors"):
        assert (newest(again) / file).read_bytes() == (newest(out) / file).read_bytes()
    resumed = Trainer(config(**json.loads((out / "config.json").read_text())), out, resume=True, quiet=True)
    assert resumed.iteration == 2  # one process reads what two wrote


def test_two_processes_play_episodes_that_end_at_their_own_time(pair):
    mode, folder = pair
    if mode:
        return
    lines = read_metrics(folder / "episodes")
    assert [line["episodes"] for line in lines] == [16, 32]
    assert all(1 <= line["turns/mean"] <= line["turns/max"] for line in lines)
    assert all(line["first_ratio_error"] < 1e-4 for line in lines)


def test_two_processes_ask_the_policy_as_it_was_look_away_and_replay(pair):
    mode, folder = pair
    if mode:
        return
    lines = read_metrics(folder / "opinions")
    assert [line["episodes"] for line in lines] == [16, 32]
    assert all(0 <= line["reward"] <= 1 and line["grounding"] >= 0 and line["loss/replay"] > 0 for line in lines)
    assert all(line["first_ratio_error"] < 1e-4 for line in lines)


class Pretended(Processes):
    """One of several processes as far as sharing goes, alone as far as talking goes."""

    def __init__(self, rank: int, count: int) -> None:
        super().__init__("cpu")
        self.rank, self.count = rank, count
        alone = Processes("cpu")
        for name in (
            "prepare",
            "total",
            "greatest",
            "gather",
            "everywhere",
            "anywhere",
            "main_says",
            "synchronise",
            "reduce",
        ):
            setattr(self, name, getattr(alone, name))


def test_processes_ask_disjoint_questions_that_together_are_those_of_one(tmp_path, monkeypatch):
    asked: list[tuple[int, int]] = []

    sample = Rotation.sample

    def recorded(task: Rotation, stream: Stream) -> Batch:
        if stream.split == "train" and len(stream) > 1:  # a single one shows all of them how long prompts are
            asked.extend(zip(stream.seeds.tolist(), stream.indices.tolist(), strict=True))
        return sample(task, stream)

    monkeypatch.setattr(Rotation, "sample", recorded)
    found = []
    for rank, count in ((0, 1), (0, 2), (1, 2)):
        processes = Pretended(rank, count)
        plain = config(rollout={"prefetch": False})
        trainer = Trainer(plain, tmp_path / f"{rank} of {count}", quiet=True, processes=processes)
        asked.clear()
        trainer._teach_format()
        trainer._step()
        trainer._learn_targets()
        found.append(set(asked))
    alone, first, second = found
    assert not first & second
    assert first | second == alone
    assert len(first) == len(second) == len(alone) / 2


def test_processes_sample_and_shuffle_differently(tmp_path):
    trainers = [
        Trainer(config(), tmp_path / f"{rank} of {count}", quiet=True, processes=Pretended(rank, count))
        for rank, count in ((0, 1), (0, 2), (1, 2))
    ]
    for role in ("sampling", "shuffling"):
        assert len({trainer.randomness.generator(role, 0).initial_seed() for trainer in trainers}) == 3


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (3, r"rollout.prompts \(8\) must be a multiple of the number of processes \(3\)"),
        (8, r"each of 8 processes asks 1 of rollout.prompts \(8\), .* optimizer.minibatches \(2\)"),
    ],
)
def test_work_that_cannot_be_shared_equally_is_refused(tmp_path, count, message):
    with pytest.raises(ValueError, match=message):
        Trainer(config(), tmp_path / "run", quiet=True, processes=Pretended(0, count))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("asked", "device", "message"),
    [
        ({"ACCELERATE_USE_MEGATRON_LM": "true"}, "cpu", "Megatron-LM, which is not supported"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "cpu", "fsdp_version to 2"),
        ({}, "cuda:1", "must be auto, cpu or cuda"),
    ],
)
def test_what_accelerate_offers_beyond_is_refused(monkeypatch, asked, device, message):
    launched = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", **asked}
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        Processes(device)


def test_a_single_process_leaves_nothing_behind(tmp_path):
    trainer = train(tmp_path, iterations=1)
    assert not trainer.processes.sharded
    assert not dist.is_initialized()
    assert not PartialState._shared_state
