"""lmms-eval and VLMEvalKit by their own commands, where they are installed: they load a folder, ask and score themselves.

Both run in a process of their own, with this Python where they are packages of it. Their numbers are theirs: there are no
records, so differences are not paired and have no intervals.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ssl4rl_agents.policies.loading import ADAPTER_CONFIG
from ssl4rl_agents.runtime.device import find_device

CONFIG = "config.json"
OURS = ("ssl4rl_nano", "ssl4rl_efficientnet_lite")
"""Types of models, and of towers, that transformers knows where this package is imported, and nowhere else."""

GENERIC = "huggingface"
LMMS_EVAL = {
    "gemma3": "gemma3",
    "internvl": "internvl_hf",
    "llava": "llava_hf",
    "llava_next": "llava_hf",
    "llava_onevision": "llava_hf",
    "qwen2_5_vl": "qwen2_5_vl",
    "qwen2_vl": "qwen2_vl",
    "qwen3_vl": "qwen3_vl",
}
"""What lmms-eval calls the families that it has a way of its own for; all others are `GENERIC`."""

CLASSES = {
    "idefics3": "IDEFICS2",
    "llava_onevision": "LLaVA_OneVision_HF",
    "qwen2_5_vl": "Qwen2VLChat",
    "qwen2_vl": "Qwen2VLChat",
    "smolvlm": "SmolVLM",
}
"""The classes by which VLMEvalKit runs a model of transformers from a folder, by its type."""

LINES = 15
"""Last lines of a command that failed, which are told."""


class NoHarnessError(RuntimeError):
    """A program is not installed, cannot load this model, or failed; the message says which and what to do."""


def measured_by(harness: str, task: str, model: str, device: str = "auto") -> dict[str, float]:
    """Let another program ask a model its questions.

    Args:
        harness: "lmms-eval" or "vlmevalkit".
        task: what it calls its questions; for lmms-eval also the .yaml of a task in a folder, as `ssl4rl export` writes it.
        model: a folder that `save_pretrained` wrote, as a run's checkpoints are, or a name on the hub.
        device: "auto", "cpu", "cuda".

    Returns:
        what it measured, by name.

    Raises:
        NoHarnessError: it is not installed, cannot load the model, or failed.
    """
    kind = _loadable(harness, model)
    with tempfile.TemporaryDirectory(prefix="ssl4rl-harness-") as held:
        return HARNESSES[harness](task, model, kind, find_device(device).type, Path(held))


def _loadable(harness: str, model: str) -> str:
    """Return the type of a model that another program can load; "" for one of the hub, which it looks up itself."""
    folder = Path(model)
    if not folder.is_dir():
        return ""
    if (folder / ADAPTER_CONFIG).exists():
        raise NoHarnessError(f"{harness} loads whole models, and {model} holds adapters; merge them into their model first")
    if not (folder / CONFIG).is_file():
        raise NoHarnessError(f"{harness} loads what save_pretrained writes, and {model} has no {CONFIG}")
    config = json.loads((folder / CONFIG).read_text())
    kinds = [str(part.get("model_type")) for part in (config, *config.values()) if isinstance(part, dict)]
    own = [kind for kind in kinds if kind in OURS]
    if own:
        raise NoHarnessError(
            f"{harness} loads models that transformers knows, and the one in {model} is, or sees with, our own {own[0]}; "
            "it can be asked tables, mmbench:PATH, seed-bench:PATH and environments"
        )
    return kinds[0]


def _lmms_eval(task: str, model: str, kind: str, device: str, out: Path) -> dict[str, float]:
    program = shutil.which("lmms-eval", path=str(Path(sys.executable).parent)) or shutil.which("lmms-eval")
    if program is None:
        raise NoHarnessError("lmms-eval is not installed here: pip install lmms_eval==0.7.3, or ask mmbench:PATH of a file")
    given = Path(task)
    included = ["--include_path", str(given.parent.resolve())] if given.suffix == ".yaml" else []
    name = given.stem if included else task
    loading = f"pretrained={model},device_map={device}"
    call = [
        "--model",
        LMMS_EVAL.get(kind, GENERIC),
        "--model_args",
        loading,
        "--tasks",
        name,
        "--device",
        device,
        "--batch_size",
        "1",
    ]
    said = _run([program, *call, *included, "--output_path", str(out)])
    return _told("lmms-eval", name, lmms_eval_results(out, name), said)


def lmms_eval_results(out: Path, task: str) -> dict[str, float]:
    """Return the numbers of a task that lmms-eval left in a folder, without their standard errors; none where it failed."""
    for file in sorted(out.rglob("*results.json")):
        found = json.loads(file.read_text()).get("results", {}).get(task, {})
        numbers = {
            name.partition(",")[0]: float(value)
            for name, value in found.items()
            if isinstance(value, (int, float)) and "stderr" not in name
        }
        if numbers:
            return numbers
    return {}


def _vlmevalkit(task: str, model: str, kind: str, device: str, out: Path) -> dict[str, float]:
    del device
    found = find_spec("vlmeval")
    script = None if found is None or found.origin is None else Path(found.origin).parent.parent / "run.py"
    if script is None or not script.is_file():
        raise NoHarnessError(
            "VLMEvalKit is not installed here: clone github.com/open-compass/VLMEvalKit, whose run.py is what is called, and "
            "pip install -e it; or ask mmbench:PATH of its TSV file, which needs nothing"
        )
    if kind not in CLASSES:
        raise NoHarnessError(
            f"VLMEvalKit runs models of a folder by a class of their own, known here for {', '.join(CLASSES)}; {model} is of "
            f"type {kind or '(unknown)'}. mmbench:PATH asks the questions of its TSV file"
        )
    plan = {
        "model": {"ours": {"class": CLASSES[kind], "model_path": model}},
        "data": {task: {"class": "ImageMCQDataset", "dataset": task}},
    }
    (out / "plan.json").write_text(json.dumps(plan))
    said = _run([sys.executable, str(script), "--config", str(out / "plan.json"), "--work-dir", str(out)])
    return _told("VLMEvalKit", task, vlmevalkit_results(out, task), said)


def vlmevalkit_results(out: Path, task: str) -> dict[str, float]:
    """Return the accuracies that VLMEvalKit left in a folder, each of its columns by split; none where it failed."""
    for file in sorted(out.rglob(f"*{task}*acc.csv")):
        numbers: dict[str, float] = {}
        with file.open(newline="") as opened:
            for row in csv.DictReader(opened):
                split = row.pop("split", "none")
                for name, value in row.items():
                    try:
                        numbers[name if split == "none" else f"{split} {name}"] = float(value)
                    except ValueError:
                        continue
        if numbers:
            return numbers
    return {}


HARNESSES: dict[str, Callable[[str, str, str, str, Path], dict[str, float]]] = {
    "lmms-eval": _lmms_eval,
    "vlmevalkit": _vlmevalkit,
}
"""How each is called: task, model, its type, device, and a folder for what it leaves."""


def _run(call: list[str]) -> str:
    """Run a command; return what it said."""
    done = subprocess.run(  # noqa: S603 - no shell reads it
        call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    )
    if done.returncode:
        raise NoHarnessError(
            f"{Path(call[0]).name} ended with status {done.returncode}: {' '.join(call)}\n{_last(done.stdout)}"
        )
    return done.stdout


def _told(program: str, task: str, numbers: dict[str, float], said: str) -> dict[str, float]:
    """Return the numbers of a program, which ends with status 0 where it failed too."""
    if not numbers:
        raise NoHarnessError(f"{program} left no numbers of {task}; it said at last:\n{_last(said)}")
    return numbers


def _last(said: str) -> str:
    return "\n".join(said.splitlines()[-LINES:])
