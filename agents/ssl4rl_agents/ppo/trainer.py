"""The trainer: ask, answer, score, estimate advantages, update; measure, log, save.

One iteration, as in the papers' pseudo-code, is `Trainer.iterate`. Every random number comes from a generator seeded by
hashing (run seed, role, iteration), so a resumed run goes on with the same questions and the same samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssl4rl_agents.evaluation import Result, evaluate
from ssl4rl_agents.policies.agent import PolicyAgent
from ssl4rl_agents.policies.build import build_policy, load_policy
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.ppo import advantages, checkpoint, losses, supervised
from ssl4rl_agents.ppo.config import TrainConfig
from ssl4rl_agents.ppo.content import content_of, require_same_content
from ssl4rl_agents.ppo.critic import critic_alone
from ssl4rl_agents.ppo.device import autocast, peak_memory, precision
from ssl4rl_agents.ppo.distributed import Processes
from ssl4rl_agents.ppo.divergence import form
from ssl4rl_agents.ppo.engines import Engine, hand_over, make_engine
from ssl4rl_agents.ppo.interrupts import interruptible
from ssl4rl_agents.ppo.metrics import Display, MetricsLog
from ssl4rl_agents.ppo.microbatch import MicroBatches
from ssl4rl_agents.ppo.preparation import format_task, own_part, require_readable
from ssl4rl_agents.ppo.questions import TrainingQuestions
from ssl4rl_agents.ppo.replay import Reference, replay
from ssl4rl_agents.ppo.rollout import Rollout, ask, collect, collect_informative
from ssl4rl_agents.ppo.skipping import Skips
from ssl4rl_agents.ppo.summary import summarise, summarise_asked, summarise_readable
from ssl4rl_agents.ppo.update import update
from ssl4rl_agents.ppo.zero import check_objective
from ssl4rl_agents.readability import Readability
from ssl4rl_agents.runs import claim, settle
from ssl4rl_envs import Task, hash_seed, make_task
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.stream import SPLITS
from ssl4rl_envs.task import Batch


class Trainer:
    """Trains a policy on an environment and leaves everything in a run folder.

    Args:
        config: the settings; those that depend on the model are filled in.
        out: the run folder; with config.json, metrics.jsonl, TensorBoard events and checkpoints/.
        resume: go on from the newest checkpoint in `out`. Without one the run starts anew.
        overwrite: delete the run that is in `out`, once everything that the new one needs has been built.
        quiet: show no progress.
        engine: samples the answers in the policy's stead; by default the one that the settings name.
        processes: those that train together, by default the ones that a launcher started; every one of them makes a trainer.

    Raises:
        ValueError: a setting is out of range, the environment's splits are too small, or the processes cannot share the work.
        FileExistsError: `out` holds a run that is neither resumed nor overwritten, or is to be overwritten and is no run.
        InUseError: another trainer is at work in `out`.
    """

    def __init__(
        self,
        config: TrainConfig,
        out: str | Path,
        *,
        resume: bool = False,
        overwrite: bool = False,
        quiet: bool = False,
        engine: Engine | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.config, self.out = config.resolved(anew=not resume), Path(out)
        self.processes = processes or Processes(self.config.device)
        self._quiet = quiet or not self.processes.is_main
        self.lock = claim(self.out, self.processes, resume=resume, overwrite=overwrite)
        """Keeps other trainers out of the folder, from here to the end of `run`, or longer where it is taken again."""
        self._claim = ExitStack()
        self._claim.callback(self.lock.release)
        try:
            self._prepare(resume=resume, engine=engine)
            settle(self.out, self.lock, self.config, self.processes, resume=resume, overwrite=overwrite)
        except BaseException:
            self._claim.close()
            raise

    def _prepare(self, *, resume: bool, engine: Engine | None) -> None:
        """Build everything that a run needs."""
        self.device = self.processes.device
        self._part = own_part(self.config, self.processes)
        self.task: Task = make_task(self.config.env, **self.config.env_args)
        self.format_task = format_task(self.config, self.task)
        if self.task.horizon > 1:
            raise ValueError(
                f"{self.config.env} takes up to {self.task.horizon} decisions an episode; the trainer is for tasks of one"
            )
        self.interface = Interface(self.task, self.config.policy.interface, self.config.prompt_style, self.config.grammar)
        for split in SPLITS:
            ask(self.task, split, 0, 0, 1)  # a split without pictures is an error now, not at its first measurement
        found = checkpoint.seen_by_all(self.out, self.processes) if resume else []
        if found:
            require_same_content(found[-1], self.task)
        self.policy: Policy = (
            load_policy(found[-1], self.config.policy, self.device, self.task, self.config.prompt_style)
            if found
            else build_policy(self.config.policy, self.format_task, self.config.seed, self.device, self.config.prompt_style)
        )
        require_readable(self.policy, self.config)
        self.readability = Readability(self.interface, aloud=self.processes.is_main)
        self.engine = engine or (make_engine(self.config) if self.config.algorithm == "ppo" else None)
        if self.engine is not None and self.processes.sharded:
            raise ValueError(
                "rollout.engine takes whole weights, and FSDP and ZeRO stage 3 cut them into parts; leave them out"
            )
        if self.processes.deepspeed:
            check_objective(self.config.objective)
        self.processes.prepare(self.policy)
        self.optimizer = self._new_optimizer()
        self.iteration = 0
        self._counters: dict[str, Any] = {"seconds": 0.0, "episodes": 0, "tokens": 0, "skipped_steps": 0, "best": None}
        self._counters["sources"] = content_of(self.task)
        self._stop = False
        self._started = 0.0
        if found:
            self._counters = checkpoint.load(found[-1], self.policy, self.optimizer, self._counters)
            self.iteration = int(self._counters.pop("iteration"))
        self.skips = Skips(self._counters.get("skipped_recently", ()))
        self.resumed = bool(found)  # whether it goes on from a checkpoint
        self.questions = TrainingQuestions(self.task, self.config.rollout.schedule, self.config.seed, self.processes)
        self.questions.load_state_dict(self._counters)
        self.reference: Reference | None = None

    def measure(self, split: str, episodes: int) -> Result:
        """Measure the policy as it is; the questions are the same for every run."""
        agent, config = PolicyAgent(self.policy, device=self.device), self.config
        how: dict[str, Any] = {"prompt_style": config.prompt_style, "grammar": config.grammar}
        # What answers while it learns has said where nothing can be read; the supervised ceiling answers nothing but here.
        how["aloud"] = config.algorithm == "sft" and split == "validation" and self.processes.is_main
        return evaluate(agent, self.task, env=config.env, split=split, episodes=episodes, **how)

    def run(self, begin: Callable[[], None] | None = None) -> bool:
        """Train to the end; return False if it was interrupted (Ctrl-C), in which case all is saved and it can be resumed.

        Args:
            begin: is called once, when the policy can write answers and has learned nothing else.

        Raises:
            DivergedError: too many of the last steps had gradients that are not finite, or weights are not; what was saved
                before stays.
            InUseError: the folder was deleted or replaced meanwhile.
        """
        config = self.config
        with self.lock, self._claim, interruptible(self._halt):
            self._started = time.perf_counter() - self._counters["seconds"]
            if not self.resumed:
                self._teach_format()
            if self._stopping():
                return False  # nothing is lost: a resumed run repeats the warm-up
            self._keep_reference()
            if not self.resumed:
                if begin is not None:
                    begin()
                    self._started = time.perf_counter()
                self._save()
            log = MetricsLog(self.out, self.iteration, active=self.processes.is_main)
            title, done = f"{config.algorithm} {config.env}", self.iteration
            with closing(log), Display(title, config.iterations, done, quiet=self._quiet) as display:
                while self.iteration < config.iterations and not self._stop:
                    values = self._step()
                    log.write(self.iteration, values)
                    display.update(self.iteration, values)
                    due = self.iteration % config.save_every == 0 or self.iteration == config.iterations or self._is_best()
                    if self._stopping() or due:
                        self._save()
            self.readability.say()
        return self.iteration >= config.iterations

    def _step(self) -> dict[str, float]:
        """Do one iteration and what comes with it; return all its numbers."""
        start = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.optimizer.rate_at(self.iteration, self.config.iterations)
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
        values["skipped_in_a_row"], self._counters["skipped_recently"] = self.skips.in_a_row, self.skips.recent
        if self.iteration % self.config.eval_every == 0 or self.iteration == self.config.iterations:
            result = self.measure("validation", self.config.eval_episodes)
            values |= {"validation/reward": result.reward, "validation/success": result.success}
            values["seconds/validation"] = result.seconds
            reward = self.processes.main_says(result.reward)
            self._counters["best"] = checkpoint.better(self._counters["best"], self.iteration, reward)
        values["seconds"] = self._counters["seconds"] = time.perf_counter() - self._started
        values["memory_mb"] = peak_memory(self.device)
        return values

    def iterate(self) -> dict[str, float]:
        """Ask questions, answer each several times, score, estimate advantages, update."""
        config, objective = self.config, self.config.objective
        processes, part = self.processes, self._part
        count, dynamic = config.rollout.prompts, config.rollout.dynamic_sampling
        first = self._counters.get("questions", self.iteration * count) if dynamic else self.iteration * count
        pass_size = config.optimizer.micro_batch or len(part) // config.optimizer.minibatches
        micro, sampling = self._passes("micro_batch", pass_size), self._passes("sampling_batch", len(part))

        def questions(turn: int) -> Batch:
            return self.questions.ask(first + turn * count, count, part)

        def answer(batch: Batch, turn: int) -> Rollout:
            def work() -> Rollout:
                generator = self._generator("sampling", None, *((turn,) if turn else ()))
                group = config.rollout.group_size
                return collect(self.policy, self.interface, batch, group, generator, sampling, self.engine, self.readability)

            return sampling.run(work) if self.engine is None else work()

        if self.engine is not None:
            hand_over(self.policy, self.engine)
        self.readability.begin()
        clock = [time.perf_counter()]
        batch = questions(0)
        clock.append(time.perf_counter())
        with autocast(self.device):
            rollout, asked = collect_informative(
                len(part),
                config.rollout.max_rounds if dynamic else 1,
                lambda turn: questions(turn) if turn else batch,
                answer,
                lambda chosen: self.policy.encode(self.interface.observe(chosen)),
                processes.everywhere,
            )
            if self.device.type == "cuda" or rollout.samples.sampler_logprobs is not None:
                now = replay(self.policy, rollout, micro)  # in bfloat16, the update's own passes say something else
                rollout.samples.logprobs, rollout.samples.values = now.logprobs, now.values
        if dynamic:
            self._counters["questions"] = first + asked.rounds * count
        samples = rollout.samples
        reference = None if self.reference is None else self.reference.logprobs(rollout, micro)
        divergence = penalties = None
        if reference is not None:
            divergence = losses.kl_estimate(samples.logprobs, reference, "k1")
            penalties = (objective.kl_coefficient or 0.0) * divergence if form(objective) == "none" else None
        estimated = advantages.estimate(
            objective, rollout.scores, samples.values, samples.mask, rollout.group_size, penalties, processes.total
        )
        clock.append(time.perf_counter())
        critic_first = self.iteration < objective.critic_warmup_iterations
        with critic_alone(self.policy, self.optimizer, alone=critic_first, sharded=processes.sharded):
            statistics = update(
                processes.learner(self.policy, self.optimizer),
                self.optimizer,
                rollout,
                estimated,
                reference,
                objective,
                config.optimizer,
                longest=self.policy.max_new_tokens,
                generator=self._generator("shuffling", torch.device("cpu")),
                autocast=autocast(self.device),
                precision=precision(self.policy, self.device),
                micro=micro,
                total=processes.total,
                synchronise=processes.synchronise,
                reduce=lambda: processes.reduce(self.policy.parameters()),
                scale=processes.scale,
                skips=self.skips,
            )
        for name, passes, usual in (("micro_batch", micro, pass_size), ("sampling_batch", sampling, len(part))):
            if passes.size < usual:
                self._counters[name] = passes.size
        clock.append(time.perf_counter())
        values = summarise(processes, rollout, estimated.returns, divergence, statistics, objective.importance_cap)
        values |= summarise_readable(processes, self.readability)
        values |= self.questions.record(batch, rollout)
        self._counters |= self.questions.state_dict()
        if dynamic:
            values |= summarise_asked(processes, asked)
        for phase, begin, end in zip(("questions", "answers", "update"), clock, clock[1:], strict=False):
            values[f"seconds/{phase}"] = end - begin
        return values

    def _iterate_supervised(self) -> dict[str, float]:
        """Show questions with their targets: the supervised ceiling."""
        settings, part = self.config.optimizer, self._part
        first = self.iteration * self.config.rollout.prompts
        batch = ask(self.task, "train", self._seed("questions"), first + part.start, len(part))
        inputs = self.policy.encode(self.interface.observe(batch))
        replies = supervised.written(self.interface, self.task.oracle(batch), batch)
        generator = self._generator("shuffling", torch.device("cpu"))
        micro = self._passes("micro_batch", settings.micro_batch or len(part) // settings.minibatches)
        step = partial(self._descend, micro)
        return supervised.passes(self.policy, inputs, replies, settings, generator, step, self.processes)

    def _descend(self, micro: MicroBatches, inputs: Any, replies: Any) -> tuple[Tensor, float | None]:
        """Take one step towards these replies; see `supervised.descend`."""
        return supervised.descend(
            self.policy,
            self.optimizer,
            inputs,
            replies,
            max_grad_norm=self.config.optimizer.max_grad_norm,
            micro=micro,
            processes=self.processes,
            skips=self.skips,
        )

    def _passes(self, name: str, size: int) -> MicroBatches:
        """Return how many questions passes take: `size`, or as many as were found to fit the memory."""
        processes = self.processes
        return MicroBatches(self._counters.get(name, size), processes.anywhere, may_retry=processes.may_retry)

    def _teach_format(self) -> None:
        """Teach a fresh model how an answer is written, on random valid answers that know nothing of the question."""
        steps, part = self.config.format_warmup or 0, self._part
        if not steps:
            return
        micro = self._passes("micro_batch", self.config.optimizer.micro_batch or len(part))
        interface = Interface(self.format_task, self.config.policy.interface, self.config.prompt_style, self.config.grammar)
        seeds = self._seed("format questions"), self._seed("format answers")
        lessons = supervised.format_lessons(interface, seeds, steps, self.config.rollout.prompts, part)
        learning = supervised.format_steps(self.optimizer, self.config.format_learning_rate or 0.0)
        with learning, Display("format warm-up", steps, quiet=self._quiet) as display:
            for step in range(steps):
                if self._stopping():
                    return
                shown, replies = next(lessons)
                with autocast(self.device):
                    inputs = self.policy.encode(shown)
                self._descend(micro, inputs, replies)
                display.update(step + 1, {"skipped_in_a_row": self.skips.in_a_row})

    def _keep_reference(self) -> None:
        """Keep what the policy is now, if the divergence from it counts."""
        if self.config.objective.kl_coefficient != 0 and self.config.algorithm == "ppo":
            where, warmed = self.out / "reference", bool(self.config.format_warmup)
            self.reference = Reference(
                self.policy, self.config.policy, self.task, where, self.processes, resumed=self.resumed, warmed=warmed
            )

    def _new_optimizer(self) -> torch.optim.Optimizer:
        settings = self.config.optimizer
        learning = [parameter for parameter in self.policy.parameters() if parameter.requires_grad]
        adamw = torch.optim.AdamW(learning, lr=0.0, betas=settings.betas, weight_decay=settings.weight_decay)
        return self.processes.distribute(self.policy, adamw, settings.max_grad_norm, self._example_pass)

    def _example_pass(self) -> tuple[Any, Tensor, Tensor]:
        """Return a question and an answer as the policy takes them."""
        batch = ask(self.task, "train", self._seed("questions"), 0, 1)
        with autocast(self.device):
            inputs = self.policy.encode(self.interface.observe(batch))
            samples = self.policy.generate(inputs, deterministic=True)
        return inputs, samples.tokens, samples.mask

    def _seed(self, *role: int | str) -> int:
        return hash_seed(self.config.seed, *role)

    def _generator(self, role: str, device: torch.device | None = None, *more: int) -> torch.Generator:
        """Return this process's generator of the iteration."""
        rank = (self.processes.rank,) if self.processes.count > 1 else ()
        return torch.Generator(device or self.device).manual_seed(self._seed(role, self.iteration, *more, *rank))

    def _is_best(self) -> bool:
        """Return whether this iteration is the best so far; its checkpoint is saved then."""
        best = self._counters["best"]
        return best is not None and bool(best["iteration"] == self.iteration)

    def _save(self) -> None:
        checkpoint.save(
            self.out / "checkpoints",
            self.iteration,
            self.policy,
            self.optimizer,
            self._counters,
            keep=self.config.keep,
            main=self.processes.is_main,
            anywhere=self.processes.anywhere,
            lock=self.lock,
        )

    def _halt(self) -> None:
        self._stop = True

    def _stopping(self) -> bool:
        """Return whether any process is to stop; all stop together then."""
        self._stop = self.processes.anywhere(self._stop)
        return self._stop
