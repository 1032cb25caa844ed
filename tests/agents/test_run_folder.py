"""A run folder belongs to one trainer at a time, and what is not a number gets neither into it nor out of it."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ssl4rl_agents.policies.build import load_policy
from ssl4rl_agents.policies.finite import DivergedError, require_probabilities, unsound
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs import checkpoint
from ssl4rl_agents.runs.files import LOCK, FolderLock, InUseError, finite, write_json
from ssl4rl_agents.runs.metrics import Display, MetricsLog, read_metrics
from ssl4rl_agents.runtime import optimizer
from ssl4rl_agents.runtime.optimizer import Skips
from tests.agents.tiny_runs import config, halt_after, tasks_built_once, train  # noqa: F401

SMALL: dict[str, Any] = {"iterations": 1, "format_warmup": 0, "objective": {"kl_coefficient": 0.0}}
"""Runs without warm-up and reference."""


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory) -> Path:
    """The folder of a run of two iterations; not to be written to."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert Trainer(config(iterations=2, eval_every=1, save_every=1), folder, quiet=True).run()
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


HOLDER = """
    import sys, time
    from pathlib import Path
    from ssl4rl_agents.runs.files import FolderLock
    lock = FolderLock(Path(sys.argv[1]), "a trainer")
    lock.acquire()
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of a folder until it is killed."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "held"
        yield process
        process.kill()


def test_a_lock_keeps_other_processes_out_until_its_own_is_killed(tmp_path, holder):
    lock = FolderLock(tmp_path, "a trainer")
    with pytest.raises(InUseError, match=rf"{tmp_path} is in use: a trainer .* since 20\d\d-.* as process {holder.pid} on"):
        lock.acquire()
    os.kill(holder.pid, signal.SIGKILL)
    lock.acquire(patience=60)
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    lock.release()
    assert not (tmp_path / LOCK).exists()


def test_a_process_that_ends_leaves_no_lock_and_says_nothing_of_it(tmp_path):
    script = textwrap.dedent(HOLDER) + "import sys; sys.held_to_the_end = lock\n"  # kept longer than modules are
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "held"
    assert "Exception" not in done.stderr
    assert not (tmp_path / LOCK).exists()


def test_a_lock_may_be_taken_again_by_its_holder_alone(tmp_path):
    lock = FolderLock(tmp_path, "a trainer")
    with lock:
        with lock, pytest.raises(InUseError, match=f"process {os.getpid()}"):
            FolderLock(tmp_path, "a trainer").acquire()
        with pytest.raises(InUseError):
            FolderLock(tmp_path, "a trainer").acquire()
    with FolderLock(tmp_path, "a trainer"):
        lock.release()  # once too often does not let go of another's
        assert (tmp_path / LOCK).exists()


def test_a_lock_is_lost_with_its_folder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with FolderLock(folder, "a trainer") as lock:
        lock.require()
        folder.rename(tmp_path / "moved")
        with pytest.raises(InUseError, match="deleted or replaced"):
            lock.require()
        folder.mkdir()
        with FolderLock(folder, "a trainer"), pytest.raises(InUseError, match="deleted or replaced"):
            lock.require()


def test_an_inactive_lock_does_nothing(tmp_path):
    with FolderLock(tmp_path / "nowhere", "a trainer", active=False) as lock:
        lock.require()


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_a_second_trainer_leaves_a_live_run_alone(tmp_path, how):
    first = Trainer(config(**SMALL), tmp_path / "run", quiet=True)
    before = tree(tmp_path)
    with pytest.raises(InUseError, match=rf"run is in use: a trainer .* as process {os.getpid()}"):
        Trainer(config(**SMALL, seed=1), tmp_path / "run", quiet=True, **how)
    assert tree(tmp_path) == before
    assert first.run()
    assert not (tmp_path / "run" / LOCK).exists()


def test_the_lock_is_let_go_of_where_a_run_cannot_begin(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="angles"):
        Trainer(config(**SMALL, env_args={"angles": 7}), tmp_path / "run", quiet=True)
    assert not list((tmp_path / "run").iterdir())


def test_an_interrupted_run_is_free_for_another_trainer_and_can_be_measured_meanwhile(tmp_path):
    from ssl4rl_agents.runs.policy_agent import load_run

    changes = {**SMALL, "iterations": 2, "save_every": 1}
    trainer = Trainer(config(**changes), tmp_path, quiet=True)
    with trainer.lock:  # as `ssl4rl train` does to the end of its report
        halt_after(trainer, 1)
        assert load_run(tmp_path) is not None
        with pytest.raises(InUseError):
            Trainer(config(**changes), tmp_path, resume=True, quiet=True)
    resumed = Trainer(config(**changes), tmp_path, resume=True, quiet=True)
    assert resumed.iteration == 1
    with pytest.raises(InUseError):
        trainer.run()  # somebody else goes on with it by now
    assert resumed.run()


def test_overwriting_leaves_nothing_of_the_old_run(tmp_path):
    train(tmp_path, **SMALL)
    (tmp_path / "report.html").write_text("old")
    trainer = Trainer(config(**SMALL, seed=1), tmp_path, overwrite=True, quiet=True)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", LOCK}
    assert trainer.run()


def test_a_run_whose_folder_is_replaced_writes_nothing_into_the_new_one(tmp_path):
    trainer = Trainer(config(**SMALL), tmp_path / "run", quiet=True)
    (tmp_path / "run").rename(tmp_path / "old")
    (tmp_path / "run").mkdir()
    with pytest.raises(InUseError, match="deleted or replaced"):
        trainer.run()
    assert not (tmp_path / "run" / "checkpoints").exists()


# ------------------------------------------------------------------------------------------------- numbers that are none
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, value):
    trainer = Trainer(config(**{**SMALL, "iterations": 2, "save_every": 1}), tmp_path, quiet=True)
    name, parameter = next(iter(trainer.policy.named_parameters()))
    step = trainer._step

    def spoil() -> dict[str, float]:
        values = step()
        if trainer.iteration == 2:
            with torch.no_grad():
                parameter.view(-1)[3] = value
        return values

    trainer._step = spoil  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match=rf"{name} \(of weights\) holds numbers that are not finite"):
        trainer.run()
    assert checkpoint.newest(tmp_path).name == "iteration-000001"  # the last good one stays
    assert Trainer(config(**{**SMALL, "iterations": 2}), tmp_path, resume=True, quiet=True).iteration == 1


def test_an_optimizer_that_remembers_nan_is_not_saved(tmp_path):
    trainer = train(tmp_path, **SMALL)
    parameter = next(p for p in trainer.policy.parameters() if p in trainer.optimizer.state)
    trainer.optimizer.state[parameter]["exp_avg_sq"].view(-1)[0] = float("nan")
    before = tree(tmp_path / "checkpoints")
    with pytest.raises(DivergedError, match=r"\.exp_avg_sq \(of the optimizer's memory\)"):
        trainer._save()
    assert tree(tmp_path / "checkpoints") == before


def test_what_is_not_finite_in_files_is_not_loaded(tmp_path):
    trainer = train(tmp_path, **SMALL)
    newest = checkpoint.newest(tmp_path)
    for name, read in {
        "model.safetensors": lambda: load_policy(newest, trainer.config.policy, torch.device("cpu"), trainer.task),
        "optimizer.safetensors": lambda: Trainer(config(**SMALL), tmp_path, resume=True, quiet=True),
    }.items():
        whole = (newest / name).read_bytes()
        tensors = load_file(newest / name)
        key = next(key for key, tensor in tensors.items() if tensor.ndim > 1)
        tensors[key].view(-1)[1] = float("nan")
        save_file(tensors, newest / name, {"format": "pt"})
        with pytest.raises(ValueError, match=rf"{name}: tensor {key} holds numbers that are not finite"):
            read()
        (newest / name).write_bytes(whole)
        read()


def edited(file: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iteration", math.nan),
        ("iteration", -1),
        ("seconds", math.inf),
        ("episodes", None),
        ("tokens", "1"),
        ("skipped_steps", True),
        ("best.reward", math.nan),
    ],
)
def test_counters_that_are_no_numbers_are_not_gone_on_from(tmp_path, name, value, trained_once):
    shutil.copytree(trained_once, tmp_path / "run")
    file = checkpoint.newest(tmp_path / "run") / "trainer.json"
    where, _, last = name.rpartition(".")
    edited(file, lambda data: (data[where] if where else data).update({last: value}))
    with pytest.raises(ValueError, match=rf"{name} in .*trainer\.json must be a (finite|whole) number"):
        Trainer(config(iterations=3, eval_every=1), tmp_path / "run", resume=True, quiet=True)


@pytest.mark.parametrize(
    ("name", "value"), [("betas", [math.nan, 0.9]), ("eps", None), ("weight_decay", math.inf), ("lr", "1")]
)
def test_an_optimizer_whose_steps_would_be_none_is_not_gone_on_from(tmp_path, name, value, trained_once):
    shutil.copytree(trained_once, tmp_path / "run")
    edited(
        checkpoint.newest(tmp_path / "run") / "trainer.json",
        lambda data: data["optimizer"]["param_groups"][0].update({name: value}),
    )
    with pytest.raises(ValueError, match=rf"{name} in .*trainer\.json must be"):
        Trainer(config(iterations=3, eval_every=1), tmp_path / "run", resume=True, quiet=True)


def test_masks_may_hold_infinities_but_no_nan():
    mask, nan, weight = torch.tensor([0.0, float("-inf")]), torch.tensor([float("nan")]), torch.ones(2)
    assert unsound([("mask", mask), ("w", weight), ("ids", torch.arange(2))], {"mask"}) is None
    assert unsound([("mask", mask)]) == "mask"
    assert unsound([("w", weight), ("mask", nan)], {"mask"}) == "mask"
    assert unsound([("half", torch.tensor([float("inf")], dtype=torch.bfloat16))]) == "half"


@pytest.mark.parametrize(
    ("row", "right"),
    [
        ([0.0, 1.0], True),
        ([0.0, -float("inf")], True),
        ([0.0, float("nan")], False),
        ([0.0, float("inf")], False),
        ([-float("inf")] * 2, False),
    ],
)
def test_answers_need_probabilities(row, right):
    logits = torch.tensor([[0.0, 0.0], row])
    if right:
        require_probabilities(logits)
    else:
        with pytest.raises(DivergedError, match="weights have diverged"):
            require_probabilities(logits)


def test_a_reward_that_is_nan_is_never_the_best(tmp_path, monkeypatch):
    trainer = Trainer(config(**{**SMALL, "iterations": 3, "eval_every": 1}), tmp_path, quiet=True)
    measure, rewards = trainer.measure, iter([float("nan"), 0.5, float("nan")])

    def measured(split: str, episodes: int) -> Any:
        result = measure(split, episodes)
        object.__setattr__(result, "reward", next(rewards))
        return result

    monkeypatch.setattr(trainer, "measure", measured)
    assert trainer.run()
    assert checkpoint.best(tmp_path).name == "iteration-000002"


# ---------------------------------------------------------------------------------------------------- steps not taken
def test_too_many_skips_end_a_run_and_a_few_do_not():
    skips = Skips()
    for number in range(1, optimizer.MOST):
        skips.note(None, 0.1)
        assert skips.in_a_row == number
    for _ in range(optimizer.LAST - optimizer.MOST + 1):
        skips.note(1.0, 0.1)
        assert skips.in_a_row == 0
    for _ in range(10):  # bad batches, far enough from each other
        for _ in range(optimizer.MOST - 1):
            skips.note(None, 0.1)
        for _ in range(optimizer.LAST):
            skips.note(1.0, 0.1)


def steps_until_the_end(skipped: Callable[[int], bool]) -> tuple[int, str]:
    """Return after how many of 200 steps a run ends, and what is said then."""
    skips = Skips()
    for step in range(1, 201):
        try:
            skips.note(None if skipped(step) else 1.0, 1e3)
        except DivergedError as error:
            return step, str(error)
        skips = Skips(json.loads(json.dumps(skips.recent)))  # as if it were interrupted
    return 200, ""


@pytest.mark.parametrize(("every", "ends"), [(1, 10), (2, 20), (3, 30), (4, 40), (5, 200)])
def test_scattered_skips_end_a_run_where_they_are_a_quarter(every, ends):
    step, said = steps_until_the_end(lambda step: step % every == 0)
    assert step == ends
    assert said.startswith(
        f"10 of the last {ends} optimizer steps ({10 if every == 1 else 1} in a row now)" if every < 5 else ""
    )
    assert ("learning rate 1000" in said) == (every < 5)
    assert ("Steps between them were taken" in said) == (1 < every < 5)


@pytest.mark.parametrize("algorithm", ["ppo", "sft"])
def test_a_run_with_every_second_step_skipped_ends_with_the_reason(tmp_path, monkeypatch, algorithm):
    """Gradients are spoiled before they are clipped, as by an activation that overflows."""
    clip, steps = optimizer._clip_and_step, itertools.count()

    def spoiled(optimizer: torch.optim.Optimizer, max_grad_norm: float) -> float | None:
        if next(steps) % 2:
            optimizer.param_groups[0]["params"][0].grad.fill_(math.nan)
        return clip(optimizer, max_grad_norm)

    monkeypatch.setattr(optimizer, "_clip_and_step", spoiled)
    changes: dict[str, Any] = {"iterations": 9, "format_warmup": 0, "save_every": 1, "eval_every": 9, "algorithm": algorithm}
    trainer = Trainer(config(**changes), tmp_path, quiet=True)
    halt_after(trainer, 3)
    trainer = Trainer(config(**changes), tmp_path, resume=True, quiet=True)
    with pytest.raises(DivergedError, match=r"10 of the last 20 optimizer steps \(1 in a row now\).*smaller.*Steps between"):
        trainer.run()
    assert trainer.iteration == 4
    assert unsound(trainer.policy.state_dict().items()) is None


@pytest.mark.parametrize("algorithm", ["ppo", "sft"])
def test_a_run_that_learns_nothing_any_more_ends_with_the_reason(tmp_path, algorithm):
    """With such a step size the first step ruins the weights, and from then on no gradient is finite."""
    changes: dict[str, Any] = {"iterations": 9, "format_warmup": 0, "save_every": 9, "eval_every": 9, "algorithm": algorithm}
    changes["optimizer"] = {"learning_rate": 1e30, "warmup_iterations": 0, "minibatches": 2, "epochs": 2}
    trainer = Trainer(config(**changes), tmp_path, quiet=True)
    with pytest.raises(DivergedError, match="not finite"):
        trainer.run()
    assert trainer.iteration < 9
    for folder in checkpoint.checkpoints(tmp_path / "checkpoints"):
        tensors = [*load_file(folder / "model.safetensors").items(), *load_file(folder / "optimizer.safetensors").items()]
        assert unsound(tensors) is None
    assert Trainer(config(**changes), tmp_path, resume=True, quiet=True).iteration == 0


def test_a_warm_up_that_learns_nothing_ends_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(optimizer, "_clip_and_step", lambda *_: None)
    with pytest.raises(DivergedError, match=f"{optimizer.MOST} of the last {optimizer.MOST} optimizer steps"):
        Trainer(config(**{**SMALL, "format_warmup": 40}), tmp_path, quiet=True).run()
    assert not checkpoint.checkpoints(tmp_path / "checkpoints")


def test_steps_of_the_format_warm_up_are_counted_by_a_run_that_is_resumed(tmp_path):
    """The first checkpoint is saved before any iteration, with what was skipped until then."""
    train(tmp_path, **{**SMALL, "format_warmup": 3, "keep": 3})
    first = checkpoint.checkpoints(tmp_path / "checkpoints")[0]
    assert first.name.endswith("000000")
    assert json.loads((first / "trainer.json").read_text())["skipped_recently"] == [False] * 3


def test_skipped_steps_are_logged_and_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(optimizer, "_clip_and_step", lambda *_: None)
    trainer = train(tmp_path, **SMALL)
    (line,) = read_metrics(tmp_path)
    assert line["skipped_steps"] == line["skipped_in_a_row"] == 4
    assert trainer._counters["skipped_recently"] == [True] * 4
    for values, said in (
        ({"skipped_steps": 3, "skipped_in_a_row": 2}, True),
        ({"skipped_steps": 0, "skipped_in_a_row": 0}, False),
    ):
        with Display("ppo", 1) as display:
            display.update(1, values)
        assert ("skipped 3, in a row 2" in capsys.readouterr().err) == said


def test_json_has_null_where_there_is_no_number(tmp_path):
    data = {"a": float("nan"), "b": [1.0, (float("inf"), {"c": float("-inf")})], "d": "nan", "e": None, "f": 3}
    assert finite(data) == {"a": None, "b": [1.0, [None, {"c": None}]], "d": "nan", "e": None, "f": 3}
    write_json(tmp_path / "x.json", data)
    assert json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail) == finite(data)
    for _ in range(2):  # written, then read and written again
        log = MetricsLog(tmp_path, 1)
        log.write(1, {"reward": float("nan"), "success": 0.5})
        log.close()
        text = (tmp_path / "metrics.jsonl").read_text()
        assert "NaN" not in text
    assert read_metrics(tmp_path)[0]["reward"] != read_metrics(tmp_path)[0]["reward"]  # NaN alone differs from itself


@pytest.mark.parametrize(
    "changes",
    [{"env_args": {"source": "digits", "image_size": 40}}, {"seed": 5}, {"algorithm": "sft"}, {"grammar": "lenient"}],
)
def test_a_run_is_not_resumed_as_another_one(tmp_path, changes):
    assert Trainer(config(iterations=1), tmp_path, quiet=True).run()
    kept = (tmp_path / "config.json").read_text()
    with pytest.raises(ValueError, match=f"has {next(iter(changes))} .* and would go on with .*start a new run"):
        Trainer(config(iterations=2, **changes), tmp_path, resume=True, quiet=True)
    assert (tmp_path / "config.json").read_text() == kept
    assert Trainer(config(iterations=2), tmp_path, resume=True, quiet=True).run()
