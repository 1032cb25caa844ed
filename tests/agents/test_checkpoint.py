"""Checkpoints: whole or not there, read by anyone, and what a killed run goes on from bit for bit."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs import files
from ssl4rl_agents.runs.checkpoint import best, checkpoints, load, newest, save
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import load_run
from tests.agents.rollouts import ONE
from tests.agents.tiny_runs import TINY, assert_same_weights, config, halt_after, numbers, tasks_built_once, train  # noqa: F401

RUNS = {
    "with a reference": {"objective": {"kl_coefficient": 0.1}},
    "without a reference": {"objective": {"kl_coefficient": 0.0}},
    "divergence as a loss": {"objective": {"kl_coefficient": 0.1, "kl_loss": "k2"}, "policy": {"freeze_vision": True}},
    "in the critic's warm-up": {"iterations": 3, "objective": {"critic_warmup_iterations": 2}},
    "supervised": {"algorithm": "sft"},
}


@pytest.mark.parametrize("changes", RUNS.values(), ids=RUNS)
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(tmp_path, changes):
    unbroken = train(tmp_path / "unbroken", **changes)
    halted = Trainer(config(**changes), tmp_path / "resumed", quiet=True)
    halt_after(halted, 1)
    resumed = Trainer(config(**changes), tmp_path / "resumed", resume=True, quiet=True)
    assert resumed.iteration == 1
    assert resumed.run()
    assert numbers(resumed.out) == numbers(unbroken.out)
    assert_same_weights(resumed, unbroken)
    ours, theirs = (trainer.optimizer.state_dict()["state"] for trainer in (resumed, unbroken))
    assert set(ours) == set(theirs)
    assert all(torch.equal(value, theirs[index][name]) for index, state in ours.items() for name, value in state.items())


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Trainer:
    """The tiny run, of two iterations, done without a break."""
    return train(tmp_path_factory.mktemp("unbroken"))


def die(*_: Any, **__: Any) -> None:
    raise MemoryError


def test_work_after_the_last_checkpoint_is_done_again(tmp_path, monkeypatch, unbroken):
    """A kill after iteration 2 with a checkpoint of iteration 1: iteration 2 is in the metrics once, and the same."""
    killed = Trainer(config(save_every=1), tmp_path, quiet=True)
    save_all = killed._save
    monkeypatch.setattr(killed, "_save", lambda: die() if killed.iteration == 2 else save_all())
    with pytest.raises(MemoryError):
        killed.run()
    assert len(read_metrics(tmp_path)) == 2
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 3, "rew')
    resumed = Trainer(config(save_every=1), tmp_path, resume=True, quiet=True)
    assert resumed.iteration == 1
    assert resumed.run()
    assert numbers(resumed.out) == numbers(unbroken.out)
    assert_same_weights(resumed, unbroken)


def test_a_kill_between_the_first_checkpoint_and_the_reference_can_be_resumed(tmp_path, monkeypatch, unbroken):
    killed = Trainer(config(), tmp_path, quiet=True)
    monkeypatch.setattr(killed, "_keep_reference", die)
    with pytest.raises(MemoryError):
        killed.run()
    resumed = Trainer(config(), tmp_path, resume=True, quiet=True)
    assert resumed.run()
    assert numbers(resumed.out) == numbers(unbroken.out)


def test_a_kill_in_the_middle_of_saving_can_be_resumed(tmp_path, monkeypatch, unbroken):
    """The weights are written, the optimizer is not: what is half there is never taken for a checkpoint."""
    killed = Trainer(config(save_every=1), tmp_path, quiet=True)
    with monkeypatch.context() as patch:
        name = "ssl4rl_agents.runs.checkpoint.save_file"
        patch.setattr(name, lambda *args, **more: (die if killed.iteration == 2 else save_file)(*args, **more))
        with pytest.raises(MemoryError):
            killed.run()
    resumed = Trainer(config(save_every=1), tmp_path, resume=True, quiet=True)
    assert resumed.iteration == 1
    assert resumed.run()
    assert numbers(resumed.out) == numbers(unbroken.out)


MOMENTS = {
    "in the format warm-up": ("ssl4rl_agents.ppo.supervised.CrossEntropy.descend", 2),
    "while sampling": ("torch.multinomial", 20),
    "while updating": ("ssl4rl_agents.ppo.update.apply_gradients", 7),
    "before the metrics are written": ("ssl4rl_agents.runs.metrics.MetricsLog.write", 2),
    "before the reference is kept": ("ssl4rl_agents.ppo.trainer.Reference", 1),
    "while the optimizer is written": ("ssl4rl_agents.runs.checkpoint.save_file", 3),
    "before a checkpoint gets its name": ("ssl4rl_agents.runs.checkpoint.publish", 4),
    "before the best is pointed to": ("ssl4rl_agents.runs.checkpoint._tidy", 2),
    "while an old checkpoint is deleted": ("ssl4rl_agents.runs.checkpoint.discard", 1),
}
"""Where a run is killed: at the n-th call of a function."""

SCRIPT = """
import importlib, json, os, pkgutil, signal, sys
import torch
from safetensors.torch import save_file
from ssl4rl_agents.runs import files
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_agents.ppo.trainer import Trainer

torch.set_num_threads(1)


def train(out):
    Trainer(TrainConfig.from_json(json.loads(sys.argv[1])), out, quiet=True).run()


def die(function, left, *args, **kwargs):
    if function is save_file:
        args[1].write_bytes(b"half of it")
    if function is files.discard:
        (args[0] / "trainer.json").unlink()
    os.kill(os.getpid(), signal.SIGKILL)


def train_and_die(out, path, call):
    owner, _, name = path.rpartition(".")
    owner = pkgutil.resolve_name(owner)
    function, calls = getattr(owner, name), []

    def counted(*args, **kwargs):
        calls.append(1)
        return die(function, call, *args, **kwargs) if len(calls) == call else function(*args, **kwargs)

    setattr(owner, name, counted)
    train(out)


if len(sys.argv) == 3:
    train(sys.argv[2])
for number, (path, call) in enumerate(json.loads(sys.argv[3]) if len(sys.argv) == 4 else []):
    if not (child := os.fork()):
        train_and_die(f"{sys.argv[2]}/{number}", path, call)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, f"{path} was not called {call} times"
"""


@pytest.mark.slow
def test_a_run_killed_in_any_phase_equals_an_unbroken_one(tmp_path):
    changes = {"save_every": 1, "eval_every": 1, "keep": 1}
    arguments = json.dumps({**TINY, **changes}), str(tmp_path), json.dumps(list(MOMENTS.values()))
    subprocess.run([sys.executable, "-c", SCRIPT, *arguments], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    unbroken = train(tmp_path / "unbroken", **changes)
    for number, moment in enumerate(MOMENTS):
        resumed = Trainer(config(**changes), tmp_path / str(number), resume=True, quiet=True)
        assert resumed.iteration < 2, moment
        assert resumed.run(), moment
        assert numbers(resumed.out) == numbers(unbroken.out), moment
        assert_same_weights(resumed, unbroken)
        assert contents(resumed.out / "checkpoints") == contents(unbroken.out / "checkpoints"), moment


def contents(folder: Path) -> dict[str, Any]:
    """What stands in all files of a folder but the clock's numbers; of what transformers writes beside weights, the names."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if path.name in ("best.json", "trainer.json"):
            found[str(path.relative_to(folder))] = {**json.loads(path.read_text()), "seconds": 0.0}
        else:
            found[str(path.relative_to(folder))] = path.read_bytes() if path.suffix == ".safetensors" else b""
    return found


COMMAND = "import sys; from ssl4rl_benchmarks.cli import main; sys.exit(main())"


def wait_for(path: Path, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, f"it ended with {process.returncode} before {path.name}"
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_run_killed_at_any_moment_equals_an_unbroken_one(tmp_path):
    changes = {"iterations": 14, "save_every": 1, "eval_every": 14}
    arguments = json.dumps({**TINY, **changes}), str(tmp_path / "killed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=environment)
    try:
        wait_for(tmp_path / "killed" / "checkpoints" / "iteration-000002", process)
        time.sleep(float(np.random.default_rng().uniform(0, 0.05)))
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    resumed = Trainer(config(**changes), tmp_path / "killed", resume=True, quiet=True)
    assert 2 <= resumed.iteration < 14
    assert resumed.run()
    unbroken = train(tmp_path / "unbroken", **changes)
    assert numbers(resumed.out) == numbers(unbroken.out)
    assert_same_weights(resumed, unbroken)


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    flags = "--iterations 500 --rollout.prompts 8 --rollout.group-size 2 --optimizer.minibatches 2 --format-warmup 2"
    flags += " --image-size 36 --source digits --test-episodes 8 --eval-episodes 8 --device cpu"
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "train", "SSL4RL/Rotation-v0", "--out", str(out), *flags.split()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(out / "checkpoints" / "iteration-000000", process)
        wait_for(out / "metrics.jsonl", process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert f"--resume {out}" in stderr
    assert "Traceback" not in stderr
    assert stdout == ""
    lines = read_metrics(out)
    assert newest(out).name == f"iteration-{len(lines):06d}"
    assert len(lines) < 500


# Checkpoints


def test_the_newest_checkpoints_are_kept(tmp_path):
    train(tmp_path / "2", iterations=4, save_every=1, eval_every=4)
    assert [path.name for path in checkpoints(tmp_path / "2" / "checkpoints")] == ["iteration-000003", "iteration-000004"]
    train(tmp_path / "3", iterations=4, save_every=1, eval_every=4, keep=3)
    assert len(checkpoints(tmp_path / "3" / "checkpoints")) == 3
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def measured(trainer: Trainer, rewards: list[float]) -> Trainer:
    """Let the validation after iteration i give rewards[i - 1]."""
    trainer.measure = lambda *_: SimpleNamespace(  # type: ignore[assignment, method-assign]
        reward=rewards[trainer.iteration - 1], success=0.0, seconds=0.0
    )
    return trainer


@pytest.mark.parametrize(("rewards", "expected"), [([0.1, 0.7, 0.7, 0.2, 0.6], 2), ([0.1, 0.2, 0.3, 0.4, 0.5], 5)])
def test_the_best_checkpoint_outlives_newer_ones_and_the_earliest_of_equals_is_it(tmp_path, rewards, expected):
    changes = {"iterations": 5, "eval_every": 1, "save_every": 5, "keep": 1}
    assert measured(Trainer(config(**changes), tmp_path, quiet=True), rewards).run()
    assert best(tmp_path).name == f"iteration-{expected:06d}"
    assert {path.name for path in checkpoints(tmp_path / "checkpoints")} == {best(tmp_path).name, "iteration-000005"}
    pointer = json.loads((tmp_path / "checkpoints" / "best.json").read_text())
    assert pointer == {"checkpoint": best(tmp_path).name, "iteration": expected, "reward": rewards[expected - 1]}
    there, back = load_run(tmp_path, "best").policy.state_dict(), load_file(best(tmp_path) / "value_head.safetensors")
    assert torch.equal(there["value_head.bias"], back["bias"])


def test_a_resumed_run_knows_the_best_before_it(tmp_path):
    changes = {"iterations": 4, "eval_every": 1, "save_every": 1, "keep": 1}
    rewards = [0.2, 0.9, 0.3, 0.9]
    halted = measured(Trainer(config(**changes), tmp_path, quiet=True), rewards)
    step = halted._step

    def interrupted() -> dict[str, float]:
        values = step()
        halted._stop = halted.iteration == 3
        return values

    halted._step = interrupted  # type: ignore[method-assign]
    assert not halted.run()
    assert measured(Trainer(config(**changes), tmp_path, resume=True, quiet=True), rewards).run()
    assert best(tmp_path).name == "iteration-000002"


def test_a_run_that_was_never_measured_has_no_best(tmp_path):
    Trainer(config(), tmp_path, quiet=True)
    with pytest.raises(FileNotFoundError, match="no best checkpoint"):
        best(tmp_path)


def test_nothing_is_pickled(tmp_path, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle")

    for module, names in ((pickle, ("dump", "dumps", "load", "loads", "Pickler", "Unpickler")), (torch, ("save", "load"))):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    train(tmp_path)
    assert Trainer(config(), tmp_path, resume=True, quiet=True).iteration == 2
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "events.out" not in path.name]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jsonl", ".jinja"}
    assert not [path for path in files if path.read_bytes()[:1] == b"\x80" or path.read_bytes()[:2] == b"PK"]
    for path in files:
        if path.suffix == ".json":
            json.loads(path.read_text())


READER = """
import sys
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

torch.set_num_threads(1)
model, report = AutoModelForImageTextToText.from_pretrained(sys.argv[1], output_loading_info=True)
assert not any(report.values()), report
processor = AutoProcessor.from_pretrained(sys.argv[1])
picture = np.arange(36 * 36 * 3, dtype=np.uint8).reshape(36, 36, 3)
inputs = processor(text="<image>Angle 12?", images=[picture], return_tensors="pt")
save_file({"logits": model(**inputs).logits.detach().clone()}, sys.argv[2])
assert not [name for name in sys.modules if name.startswith("ssl4rl")]
"""


def test_transformers_alone_reads_a_checkpoint(tmp_path, make_policy):
    """A LLaVA that was trained, in a process that knows nothing of these packages."""
    make_policy("llava").save(tmp_path / "model")
    changes = {"iterations": 1, "policy": {"model": str(tmp_path / "model")}, "optimizer": {"learning_rate": 0.01}}
    trainer = train(tmp_path / "run", **changes)
    arguments = str(newest(tmp_path / "run")), str(tmp_path / "logits")
    subprocess.run([sys.executable, "-c", READER, *arguments], cwd=tmp_path, check=True)
    picture = np.arange(36 * 36 * 3, dtype=np.uint8).reshape(36, 36, 3)
    policy: Any = trainer.policy
    inputs = policy.processor(text="<image>Angle 12?", images=[picture], return_tensors="pt")
    with torch.no_grad():
        expected = policy.model(**inputs).logits
    assert torch.equal(load_file(tmp_path / "logits")["logits"], expected)
    assert not torch.equal(make_policy("llava").model(**inputs).logits, expected)


def test_a_half_written_checkpoint_is_ignored(tmp_path):
    train(tmp_path)
    half = tmp_path / "checkpoints" / ".iteration-000009.partial"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert newest(tmp_path).name == "iteration-000002"
    trainer = Trainer(config(), tmp_path, resume=True, quiet=True)
    assert trainer.iteration == 2
    assert trainer.run()


def test_half_written_checkpoints_are_cleared_by_the_next_whole_one(tmp_path):
    train(tmp_path)
    half = tmp_path / "checkpoints" / ".iteration-000009.partial"
    half.mkdir()
    trainer = Trainer(config(iterations=4), tmp_path, resume=True, quiet=True)
    assert half.exists()
    assert trainer.run()
    assert not half.exists()


def test_nothing_points_to_a_best_checkpoint_that_is_not_there(tmp_path):
    trainer = Trainer(config(), tmp_path, quiet=True)
    trainer._counters["best"] = {"iteration": 7, "reward": 1.0}
    trainer._save()
    assert not (tmp_path / "checkpoints" / "best.json").exists()


@pytest.mark.parametrize(
    ("file", "ending"),
    [
        ("model.safetensors", "model.vision_tower.positions"),
        ("value_head.safetensors", "bias"),
        ("optimizer.safetensors", "value_head.bias.exp_avg_sq"),
        ("optimizer.safetensors", "vision_tower.positions.step"),
    ],
)
def test_a_checkpoint_that_lacks_a_key_is_refused(tmp_path, file, ending):
    train(tmp_path)
    path = newest(tmp_path) / file
    tensors = load_file(path)
    (key,) = [name for name in tensors if name.endswith(ending)]
    del tensors[key]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"weights|optimizer|missing|bias|positions"):
        Trainer(config(), tmp_path, resume=True, quiet=True)


@pytest.mark.parametrize("counter", ["tokens", "episodes", "best", "iteration", "optimizer"])
def test_a_checkpoint_that_lacks_a_counter_is_refused(tmp_path, counter):
    train(tmp_path)
    path = newest(tmp_path) / "trainer.json"
    counters = json.loads(path.read_text())
    del counters[counter]
    path.write_text(json.dumps(counters))
    with pytest.raises(ValueError, match=f"lacks the counters {counter}"):
        Trainer(config(), tmp_path, resume=True, quiet=True)


@pytest.mark.parametrize("file", ["optimizer.safetensors", "trainer.json"])
def test_a_checkpoint_that_lacks_a_file_is_refused(tmp_path, file):
    train(tmp_path)
    (newest(tmp_path) / file).unlink()
    with pytest.raises(ValueError, match=f"it has no {file}"):
        Trainer(config(), tmp_path, resume=True, quiet=True)


def test_an_optimizer_of_another_shape_is_refused(tmp_path):
    train(tmp_path)
    path = newest(tmp_path) / "optimizer.safetensors"
    tensors = load_file(path)
    tensors["value_head.weight.exp_avg"] = tensors["value_head.weight.exp_avg"][:, :-1].contiguous()
    save_file(tensors, path)
    with pytest.raises(ValueError, match=r"value_head.weight.exp_avg has the shape"):
        Trainer(config(), tmp_path, resume=True, quiet=True)


def test_an_optimizer_of_other_parameters_is_refused(tmp_path):
    train(tmp_path)
    with pytest.raises(ValueError, match="they must be the same ones"):
        Trainer(config(policy={"freeze_vision": True}), tmp_path, resume=True, quiet=True)


def test_an_optimizer_that_knows_more_than_is_trained_is_refused(tmp_path):
    train(tmp_path)
    tensors = load_file(newest(tmp_path) / "optimizer.safetensors")
    save_file({**tensors, "gone.exp_avg": torch.zeros(1)}, newest(tmp_path) / "optimizer.safetensors")
    counters = json.loads((newest(tmp_path) / "trainer.json").read_text())
    counters["optimizer"]["state"].append("gone.exp_avg")
    (newest(tmp_path) / "trainer.json").write_text(json.dumps(counters))
    with pytest.raises(ValueError, match="knows gone, which the policy does not train"):
        Trainer(config(), tmp_path, resume=True, quiet=True)


def test_optimizers_of_several_groups_are_restored(tmp_path, make_policy):
    policy = make_policy("nano")

    def optimizer(*rates: float) -> torch.optim.AdamW:
        parts = (policy.value_head, policy.model)
        return torch.optim.AdamW([{"params": part.parameters(), "lr": rate} for part, rate in zip(parts, rates, strict=True)])

    ours, theirs = optimizer(0.1, 0.2), optimizer(0.3, 0.4)
    for number, parameter in enumerate(policy.parameters()):
        parameter.grad = torch.full_like(parameter, float(number))
    ours.step()
    save(tmp_path, 1, policy, ours, {}, ONE)
    load(tmp_path / "iteration-000001", policy, theirs, {})
    assert [group["lr"] for group in theirs.param_groups] == [0.1, 0.2]
    for parameter in policy.parameters():
        assert torch.equal(theirs.state[parameter]["exp_avg"], ours.state[parameter]["exp_avg"])


def test_a_checkpoint_that_is_being_deleted_is_not_taken_for_one(tmp_path, monkeypatch):
    folder, seen = tmp_path / "iteration-000001", []
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", lambda path, **_: seen.append((path.exists(), checkpoints(tmp_path))))
        files.discard(folder)
    assert seen[-1] == (True, [])


def test_a_folder_that_is_published_again_is_replaced(tmp_path):
    for text in ("old", "new"):
        aside = files.new_folder(tmp_path / "folder")
        (aside / text).write_text(text)
        files.publish(aside, tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_file_that_could_not_be_written_whole_leaves_the_old_one(tmp_path, monkeypatch):
    files.write_text(tmp_path / "file", "old")

    def full(_: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(files, "_flush", full)
    with pytest.raises(OSError, match="no space"):
        files.write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"


def test_a_run_folder_is_not_written_over(tmp_path):
    train(tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(FileExistsError, match="resume it, overwrite it or choose another folder"):
        Trainer(config(), tmp_path, quiet=True)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    assert len(checkpoints(tmp_path / "checkpoints")) == 2


def test_a_folder_without_checkpoints_is_resumed_from_the_start(tmp_path, unbroken):
    Trainer(config(), tmp_path, quiet=True)
    resumed = Trainer(config(), tmp_path, resume=True, quiet=True)
    assert resumed.run()
    assert numbers(resumed.out) == numbers(unbroken.out)
