"""The trainer: ask, answer, score, estimate advantages, update; measure, log, save.

One iteration, as in the papers' pseudo-code, is `Trainer.iterate`. Every random number comes from a generator seeded by
hashing (run seed, role, iteration), so a resumed run goes on with the same questions and the same samples.
"""

from __future__ import annotations

import copy
import json
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssl4rl_agents.evaluation import Result, evaluate
from ssl4rl_agents.policies.agent import PolicyAgent
from ssl4rl_agents.policies.build import build_policy, load_policy
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.ppo import advantages, checkpoint, losses, supervised
from ssl4rl_agents.ppo.config import TrainConfig
from ssl4rl_agents.ppo.device import autocast, find_device
from ssl4rl_agents.ppo.metrics import Display, MetricsLog
from ssl4rl_agents.ppo.rollout import Rollout, ask, collect
from ssl4rl_agents.ppo.update import update
from ssl4rl_agents.runs import is_run
from ssl4rl_envs import Stream, Task, hash_seed, make_task
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.stream import SPLITS

FORMAT_LEARNING_RATE = 3e-3


class Trainer:
    """Trains a policy on an environment and leaves everything in a run folder.

    Args:
        config: the settings; those that depend on the model are filled in.
        out: the run folder; with config.json, metrics.jsonl, TensorBoard events and checkpoints/.
        resume: go on from the newest checkpoint in `out`. Without one the run starts anew.
        overwrite: delete the run that is in `out`, once everything that the new one needs has been built.
        quiet: show no progress.

    Raises:
        ValueError: a setting is out of range, or the environment's splits are too small.
        FileExistsError: `out` holds a run that is neither resumed nor overwritten, or is to be overwritten and is no run.
    """

    def __init__(
        self, config: TrainConfig, out: str | Path, *, resume: bool = False, overwrite: bool = False, quiet: bool = False
    ) -> None:
        self.config, self.out = config.resolved(), Path(out)
        if (self.out / "config.json").exists() and not resume and not overwrite:
            raise FileExistsError(f"{self.out} holds a run already; resume it, overwrite it or choose another folder")
        self._quiet = quiet
        self.device = find_device(self.config.device)
        self.task: Task = make_task(self.config.env, **self.config.env_args)
        if self.task.horizon > 1:
            raise ValueError(
                f"{self.config.env} takes up to {self.task.horizon} decisions an episode; the trainer is for tasks of one"
            )
        self.interface = Interface(self.task, "text", self.config.prompt_style)
        for split in SPLITS:
            ask(self.task, split, 0, 0, 1)  # a split without pictures is an error now, not at its first measurement
        self._require_plain_settings()
        found = checkpoint.checkpoints(self.out / "checkpoints") if resume else []
        self.policy: Policy = (
            load_policy(found[-1], self.config.policy, self.device)
            if found
            else build_policy(self.config.policy, self._example_prompts(), self._seed("weights"), self.device)
        )
        self.optimizer = self._new_optimizer()
        self.iteration = 0
        self._counters: dict[str, Any] = {"seconds": 0.0, "episodes": 0, "tokens": 0, "skipped_steps": 0}
        self._stop = False
        self._started = 0.0
        if found:
            self._counters = checkpoint.load(found[-1], self.policy, self.optimizer)
            self.iteration = int(self._counters.pop("iteration"))
        self.resumed = bool(found)
        """Whether it goes on from a checkpoint."""
        if overwrite and not resume:
            clear_run(self.out)  # only now that everything has been built
        self.out.mkdir(parents=True, exist_ok=True)
        checkpoint.write_json(self.out / "config.json", self.config.to_json())
        self.reference: Policy | None = None

    def measure(self, split: str, episodes: int) -> Result:
        """Measure the policy as it is; the questions are the same for every run."""
        agent = PolicyAgent(self.policy, device=self.device)
        config = self.config
        return evaluate(agent, self.task, env=config.env, split=split, episodes=episodes, prompt_style=config.prompt_style)

    def run(self) -> bool:
        """Train to the end; return False if it was interrupted (Ctrl-C), in which case all is saved and it can be resumed."""
        config = self.config
        self._started = time.perf_counter() - self._counters["seconds"]
        with self._interruptible():
            if not self.resumed:
                self._teach_format()
            if self._stop:
                return False  # nothing is lost: a resumed run repeats the warm-up
            self._keep_reference()
            if not self.resumed:
                self._save()
            log = MetricsLog(self.out, self.iteration)
            with Display(f"{config.algorithm} {config.env}", config.iterations, self.iteration, quiet=self._quiet) as display:
                while self.iteration < config.iterations and not self._stop:
                    values = self._step()
                    log.write(self.iteration, values)
                    display.update(self.iteration, values)
                    if self.iteration % config.save_every == 0 or self.iteration == config.iterations or self._stop:
                        self._save()
            log.close()
        return self.iteration >= config.iterations

    def _step(self) -> dict[str, float]:
        """Do one iteration and what comes with it; return all its numbers."""
        start = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(self.iteration)
        values = self.iterate() if self.config.algorithm == "ppo" else self._iterate_supervised()
        self.iteration += 1
        seconds = time.perf_counter() - start
        values["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        values["seconds/iteration"] = seconds
        values["episodes_per_second"] = values["episodes"] / seconds
        values["tokens_per_second"] = values["tokens"] / seconds
        for name in ("episodes", "tokens", "skipped_steps"):
            self._counters[name] += values[name]
            values[name] = self._counters[name]
        if self.iteration % self.config.eval_every == 0 or self.iteration == self.config.iterations:
            result = self.measure("validation", self.config.eval_episodes)
            values |= {"validation/reward": result.reward, "validation/success": result.success}
            values["seconds/validation"] = result.seconds
        values["seconds"] = self._counters["seconds"] = time.perf_counter() - self._started
        values["memory_mb"] = self._memory()
        return values

    def iterate(self) -> dict[str, float]:
        """Ask questions, answer each several times, score, estimate advantages, update."""
        config, objective = self.config, self.config.objective
        clock = [time.perf_counter()]
        batch = ask(
            self.task, "train", self._seed("questions"), self.iteration * config.rollout.prompts, config.rollout.prompts
        )
        clock.append(time.perf_counter())
        with autocast(self.device):
            rollout = collect(self.policy, self.interface, batch, config.rollout.group_size, self._generator("sampling"))
            if self.device.type == "cuda":
                self._recompute(rollout)
        samples = rollout.samples
        reference = self._reference_logprobs(rollout)
        divergence = penalties = None
        if reference is not None:
            divergence = losses.kl_estimate(samples.logprobs, reference, "k1")
            penalties = (objective.kl_coefficient or 0.0) * divergence if objective.kl_loss == "none" else None
        rewards = advantages.token_rewards(rollout.scores, samples.mask, penalties)
        estimated = advantages.estimate(objective, rewards, samples.values, samples.mask, rollout.group_size)
        clock.append(time.perf_counter())
        with self._frozen_policy(self.iteration < objective.critic_warmup_iterations):
            statistics = update(
                self.policy,
                self.optimizer,
                rollout,
                estimated,
                reference,
                objective,
                config.optimizer,
                longest=config.policy.max_new_tokens,
                generator=self._generator("shuffling", torch.device("cpu")),
                autocast=autocast(self.device),
            )
        clock.append(time.perf_counter())
        lengths = samples.mask.sum(1).float()
        groups = rollout.scores.reshape(-1, rollout.group_size)
        values = {
            "reward": float(rollout.scores.mean()),
            "success": float(rollout.success.float().mean()),
            "length/mean": float(lengths.mean()),
            "length/max": float(lengths.max()),
            "truncated": float(samples.truncated.float().mean()),
            "groups_without_advantage": float((groups.amax(1) == groups.amin(1)).float().mean()),
            **statistics.means(),
            "max_ratio": statistics.max_ratio,
            "first_ratio_error": statistics.first_ratio_error,
            "optimizer_steps": statistics.steps,
            "skipped_steps": statistics.skipped,
            "stopped_early": float(statistics.stopped_early),
            "episodes": len(samples.mask),
            "tokens": int(samples.mask.sum()),
        }
        if divergence is not None:
            values["kl/reference"] = float(divergence[samples.mask].mean())
        if estimated.returns is not None:
            values["explained_variance"] = explained_variance(samples.values, estimated.returns, samples.mask)
        for phase, begin, end in zip(("questions", "answers", "update"), clock, clock[1:], strict=False):
            values[f"seconds/{phase}"] = end - begin
        return values

    def _iterate_supervised(self) -> dict[str, float]:
        """Show questions with their targets: the supervised ceiling."""
        count, settings = self.config.rollout.prompts, self.config.optimizer
        batch = ask(self.task, "train", self._seed("questions"), self.iteration * count, count)
        inputs = self.policy.encode(self.interface.observe(batch))
        replies = supervised.written(self.task, self.task.oracle(batch), batch, self.config.prompt_style)
        generator = self._generator("shuffling", torch.device("cpu"))
        total, skipped, steps = 0.0, 0, 0
        for _ in range(settings.epochs):
            for rows in torch.randperm(count, generator=generator).chunk(settings.minibatches):
                with autocast(self.device):
                    part = inputs.rows(rows.to(self.device))
                    loss = supervised.cross_entropy(self.policy, part, [replies[row] for row in rows.tolist()])
                skipped += supervised.descend(loss, self.optimizer, settings.max_grad_norm) is None
                total, steps = total + loss.item(), steps + 1
        tokens = int(self.policy.encode_answers(replies)[1].sum())
        return {"loss/cross_entropy": total / steps, "skipped_steps": skipped, "episodes": count, "tokens": tokens}

    def _teach_format(self) -> None:
        """Teach a fresh model how an answer is written, on random valid answers that know nothing of the question."""
        steps, count = self.config.format_warmup or 0, self.config.rollout.prompts
        if not steps:
            return
        optimizer = torch.optim.AdamW(self._trainable(), lr=FORMAT_LEARNING_RATE)
        with Display("format warm-up", steps, quiet=self._quiet) as display:
            for step in range(steps):
                if self._stop:
                    return
                first = step * count
                batch = ask(self.task, "train", self._seed("format questions"), first, count)
                seeds = np.full(count, self._seed("format answers"), np.uint64)
                replies = supervised.random_replies(
                    self.task, batch, Stream("train", seeds, np.arange(first, first + count)), self.config.prompt_style
                )
                with autocast(self.device):
                    inputs = self.policy.encode(self.interface.observe(batch))
                    loss = supervised.cross_entropy(self.policy, inputs, replies)
                supervised.descend(loss, optimizer, self.config.optimizer.max_grad_norm)
                display.update(step + 1, {})

    def _keep_reference(self) -> None:
        """Keep a frozen copy of the initial policy if the divergence from it counts; on the disk for resumed runs."""
        if self.config.objective.kl_coefficient == 0 or self.config.algorithm != "ppo":
            return
        folder = self.out / "reference"
        if self.resumed:
            self.reference = load_policy(folder, self.config.policy, self.device)
        else:
            checkpoint.save_policy(folder, self.policy)
            self.reference = copy.deepcopy(self.policy)
        self.reference.requires_grad_(False)

    @torch.no_grad()
    def _reference_logprobs(self, rollout: Rollout) -> Tensor | None:
        if self.reference is None:
            return None
        parts = []
        for prompts, rows in self._parts(rollout, len(rollout.inputs) // self.config.optimizer.minibatches):
            with autocast(self.device):
                inputs, samples = rollout.inputs.rows(prompts), rollout.samples
                parts.append(self.reference.evaluate(inputs, samples.tokens[rows], samples.mask[rows]).logprobs)
        return torch.cat(parts)

    def _parts(self, rollout: Rollout, step: int) -> Iterator[tuple[Tensor, slice]]:
        """Cut a rollout into parts of `step` questions: the questions of each part, and the rows of their answers."""
        count, size = len(rollout.inputs), rollout.group_size
        for start in range(0, count, step):
            stop = min(start + step, count)
            yield torch.arange(start, stop, device=self.device), slice(start * size, stop * size)

    @torch.no_grad()
    def _recompute(self, rollout: Rollout) -> None:
        """Replace what sampling said by what the update's own passes say, minibatch-sized: in bfloat16 they differ."""
        samples = rollout.samples
        step = self.config.optimizer.micro_batch or len(rollout.inputs) // self.config.optimizer.minibatches
        for prompts, rows in self._parts(rollout, step):
            now = self.policy.evaluate(rollout.inputs.rows(prompts), samples.tokens[rows], samples.mask[rows])
            samples.logprobs[rows], samples.values[rows] = now.logprobs, now.values

    def _learning_rate(self, iteration: int) -> float:
        """Rise over the first iterations, then stay or fall linearly to 0 at the end of the run."""
        settings = self.config.optimizer
        assert settings.learning_rate is not None
        rise = min(1.0, (iteration + 1) / (settings.warmup_iterations + 1))
        fall = 1.0 if settings.schedule == "constant" else 1 - iteration / self.config.iterations
        return settings.learning_rate * rise * fall

    def _require_plain_settings(self) -> None:
        try:
            json.dumps(self.config.to_json())
        except TypeError as error:
            raise ValueError(
                f"a run's settings are kept as JSON, and env_args hold something else ({error}); give a source by name, e.g. "
                "folder:PATH, rather than as arrays"
            ) from error

    def _new_optimizer(self) -> torch.optim.Optimizer:
        settings = self.config.optimizer
        return torch.optim.AdamW(self._trainable(), lr=0.0, betas=settings.betas, weight_decay=settings.weight_decay)

    def _trainable(self) -> list[torch.nn.Parameter]:
        return [parameter for parameter in self.policy.parameters() if parameter.requires_grad]

    def _example_prompts(self) -> list[str]:
        batch = ask(self.task, "train", self._seed("questions"), 0, 8)
        return self.task.prompts(batch, self.config.prompt_style)

    def _seed(self, *role: int | str) -> int:
        return hash_seed(self.config.seed, *role)

    def _generator(self, role: str, device: torch.device | None = None) -> torch.Generator:
        return torch.Generator(device or self.device).manual_seed(self._seed(role, self.iteration))

    def _save(self) -> None:
        checkpoint.save(self.out / "checkpoints", self.iteration, self.policy, self.optimizer, self._counters)

    def _memory(self) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux kilobytes

    @contextmanager
    def _frozen_policy(self, frozen: bool) -> Iterator[None]:
        """Let the critic alone learn, if `frozen`."""
        critic = {id(parameter) for parameter in self.policy.critic.parameters()}
        resting = [p for p in self._trainable() if id(p) not in critic] if frozen else []
        for parameter in resting:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in resting:
                parameter.requires_grad_(True)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let Ctrl-C end the run after the current iteration; a second one ends it at once."""

        def stop(*_: object) -> None:
            if self._stop:
                raise KeyboardInterrupt
            self._stop = True

        try:
            before = signal.signal(signal.SIGINT, stop)
        except ValueError:  # not the main thread, which alone hears signals
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def clear_run(folder: Path) -> None:
    """Delete a run folder, if there is one.

    Raises:
        FileExistsError: the folder holds files and is not a run.
    """
    if not folder.exists():
        return
    if any(folder.iterdir()) and not is_run(folder):
        raise FileExistsError(
            f"{folder} is not a run folder (it has no config.json of the trainer); only run folders are overwritten"
        )
    shutil.rmtree(folder)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """Return 1 - Var(returns - values) / Var(returns) over the tokens of the mask; NaN-free: 0 where returns are constant."""
    kept = returns[mask]
    variance = float(kept.var(correction=0))
    return 1 - float((kept - values[mask]).var(correction=0)) / variance if variance > 0 else 0.0
