"""Speed and memory of the trainer beside TRL's GRPOTrainer, on the same tiny LLaVA, questions and threads.

    python -m ssl4rl_benchmarks.versus_trl --json

Both answer 64 questions 4 times in at most 8 new tokens and take one optimizer step over all answers, by GRPO without a
reference. Rounds of the two alternate in one process, so that a disturbance of the machine meets both; memory is measured in
a process of its own for each. TRL is an extra: ``pip install 'ssl4rl[all,trl]'``.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging as transformers_logging

from ssl4rl_agents.ppo.config import ObjectiveConfig, OptimizerConfig, PolicyConfig, RolloutConfig, TrainConfig
from ssl4rl_agents.ppo.rollout import ask
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_benchmarks.tiny_llava import TinyLlava
from ssl4rl_envs import make_task

ENV, ENV_ARGS = "SSL4RL/Rotation-v0", {"source": "digits", "image_size": 32}
NEW_TOKENS = 8
LEARNING_RATE = 1e-4


class Ours:
    """Our trainer, one iteration at a time."""

    def __init__(self, model: Path, folder: Path, prompts: int, group: int, advantage: str, epochs: int) -> None:
        settings: Any = {"advantage": advantage, "kl_coefficient": 0.0}
        config = TrainConfig(
            env=ENV,
            env_args=ENV_ARGS,
            iterations=10**6,
            format_warmup=0,
            policy=PolicyConfig(model=str(model), max_new_tokens=NEW_TOKENS),
            rollout=RolloutConfig(prompts=prompts, group_size=group),
            optimizer=OptimizerConfig(
                learning_rate=LEARNING_RATE, schedule="constant", warmup_iterations=0, epochs=epochs, minibatches=1
            ),
            objective=ObjectiveConfig(**settings),
            device="cpu",
        )
        self._trainer = Trainer(config, folder, quiet=True)
        for parameters in self._trainer.optimizer.param_groups:
            parameters["lr"] = LEARNING_RATE

    def run(self, steps: int) -> list[float]:
        """Do iterations; return the seconds of each."""
        seconds = []
        for _ in range(steps):
            start = time.perf_counter()
            self._trainer.iterate()
            self._trainer.iteration += 1
            seconds.append(time.perf_counter() - start)
        return seconds


class Theirs:
    """TRL's GRPOTrainer on the same questions."""

    def __init__(self, model: Path, folder: Path, prompts: int, group: int) -> None:
        from datasets import Dataset

        self._task = make_task(ENV, **ENV_ARGS)
        self._model, self._folder, self._prompts, self._group = model, folder, prompts, group
        batch = ask(self._task, "train", 0, 0, prompts)
        self._batch = batch
        texts = self._task.prompts(batch)
        self._data = Dataset.from_dict(
            {
                "prompt": [[{"role": "user", "content": text}] for text in texts],
                "image": [Image.fromarray(image) for image in batch.observation["image"]],
                "row": list(range(prompts)),
            }
        )

    def _reward(self, completions: list[Any], row: list[int], **_: Any) -> list[float]:
        texts = [completion[0]["content"] for completion in completions]
        texts = [text if isinstance(text, str) else text[0]["text"] for text in texts]
        rewards: list[float] = self._task.score_texts(texts, self._batch.rows(torch.tensor(row).numpy())).reward.tolist()
        return rewards

    def run(self, steps: int) -> list[float]:
        """Train for some steps with a fresh trainer; return the seconds of each after the first, which warms up."""
        from transformers import PrinterCallback, TrainerCallback
        from trl import GRPOConfig, GRPOTrainer

        marks: list[float] = []

        class Clock(TrainerCallback):
            def on_step_end(self, *_: Any, **__: Any) -> None:
                marks.append(time.perf_counter())

        config = GRPOConfig(
            output_dir=str(self._folder),
            per_device_train_batch_size=self._prompts * self._group,
            num_generations=self._group,
            gradient_accumulation_steps=1,
            max_completion_length=NEW_TOKENS,
            max_steps=steps + 1,
            learning_rate=LEARNING_RATE,
            beta=0.0,
            temperature=1.0,
            bf16=False,
            gradient_checkpointing=False,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_steps=10**6,
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(
            model=AutoModelForImageTextToText.from_pretrained(self._model, dtype=torch.float32),
            processing_class=AutoProcessor.from_pretrained(self._model, padding_side="left"),
            reward_funcs=self._reward,
            args=config,
            train_dataset=self._data,
            callbacks=[Clock()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return [after - before for before, after in itertools.pairwise(marks)]


def _resident_mb(entry: str) -> float:
    """Return VmRSS (resident now) or VmHWM (its peak) of this process in MB, as Linux counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry + ":")) / 1024


def _memory(side: str, arguments: list[str]) -> float:
    command = [sys.executable, "-m", "ssl4rl_benchmarks.versus_trl", "--memory-of", side, *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 (our own module)
    return float(output.strip().splitlines()[-1])


def measure(prompts: int, group: int, rounds: int, steps: int, threads: int, advantage: str, epochs: int) -> dict[str, Any]:
    """Alternate rounds of both and return the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = make_task(ENV, **ENV_ARGS)
        TinyLlava().save(folder / "model", task.prompts(ask(task, "train", 0, 0, 8)))
        ours = Ours(folder / "model", folder / "ours", prompts, group, advantage, epochs)
        theirs = Theirs(folder / "model", folder / "theirs", prompts, group)
        ours.run(2)
        times: dict[str, list[float]] = {"ours": [], "trl": []}
        for _ in range(rounds):
            times["ours"] += ours.run(steps)
            times["trl"] += theirs.run(steps)
    shared = ["--prompts", str(prompts), "--group", str(group), "--threads", str(threads), "--steps", str(steps)]
    shared += ["--advantage", advantage, "--epochs", str(epochs)]
    rate = {side: prompts * group / statistics.median(seconds) for side, seconds in times.items()}
    memory = {side: _memory(side, shared) for side in times}
    return {
        "prompts": prompts,
        "group_size": group,
        "threads": threads,
        "steps_timed": {side: len(seconds) for side, seconds in times.items()},
        "our_advantage": advantage,
        "our_epochs": epochs,
        "episodes_per_second": {side: round(value, 1) for side, value in rate.items()},
        "speed_ratio": round(rate["ours"] / rate["trl"], 2),
        "peak_memory_mb": {side: round(value) for side, value in memory.items()},
        "memory_ratio": round(memory["ours"] / memory["trl"], 2),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
    }


def _memory_of(side: str, prompts: int, group: int, steps: int, advantage: str, epochs: int) -> float:
    """Return the peak resident set of some steps above the level after the imports, in MB; in this process."""
    if side == "trl":
        importlib.import_module("trl.trainer.grpo_trainer")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = _resident_mb("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports
        task = make_task(ENV, **ENV_ARGS)
        TinyLlava().save(folder / "model", task.prompts(ask(task, "train", 0, 0, 8)))
        if side == "ours":
            Ours(folder / "model", folder / "run", prompts, group, advantage, epochs).run(steps)
        else:
            Theirs(folder / "model", folder / "run", prompts, group).run(steps)
        return _resident_mb("VmHWM") - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Speed and memory beside TRL's GRPOTrainer.")
    parser.add_argument("--prompts", type=int, default=64, help="questions a step")
    parser.add_argument("--group", type=int, default=4, help="answers to each")
    parser.add_argument("--rounds", type=int, default=4, help="alternations of the two")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of each in a round")
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--advantage", default="grpo", help="ours: gae, grpo, rloo or reinforce++")
    parser.add_argument("--epochs", type=int, default=1, help="ours: passes over the answers")
    parser.add_argument("--memory-of", choices=["ours", "trl"], help="print the memory of one side in MB and end")
    parser.add_argument("--json", action="store_true", help="print JSON")
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    if flags.memory_of:
        print(_memory_of(flags.memory_of, flags.prompts, flags.group, flags.steps, flags.advantage, flags.epochs))
        return
    result = measure(flags.prompts, flags.group, flags.rounds, flags.steps, flags.threads, flags.advantage, flags.epochs)
    if flags.json:
        print(json.dumps(result, indent=2))
        return
    speed, memory = result["episodes_per_second"], result["peak_memory_mb"]
    print(f"episodes/s: ours {speed['ours']}, TRL {speed['trl']}: {result['speed_ratio']} times")
    print(f"peak memory: ours {memory['ours']} MB, TRL {memory['trl']} MB: {result['memory_ratio']} of it")


if __name__ == "__main__":
    main()
