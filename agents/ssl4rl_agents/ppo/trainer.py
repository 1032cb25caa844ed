"""The trainer: ask, answer, score, estimate advantages, update; measure, log, save.

One iteration, as in the papers' pseudo-code, is `Trainer.iterate`. Every random number comes from a generator seeded by
hashing (run seed, role, iteration), so a resumed run goes on with the same questions and the same samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.choosing.looking import Probe
from ssl4rl_agents.evaluation import Result, Watch, evaluate
from ssl4rl_agents.policies.build import build_policy, load_policy
from ssl4rl_agents.policies.constraint import constrain
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.ppo import supervised
from ssl4rl_agents.ppo.controls import training_interface
from ssl4rl_agents.ppo.credit import judge
from ssl4rl_agents.ppo.critic import critic_alone
from ssl4rl_agents.ppo.dynamic_sampling import Asked, play_until_informative
from ssl4rl_agents.ppo.grounding import blank_interface, look_away
from ssl4rl_agents.ppo.opinion import opinion_of
from ssl4rl_agents.ppo.preparation import check_zero, drawn_beside, example_pass, format_task, own_part, require_readable
from ssl4rl_agents.ppo.questions import TrainingQuestions
from ssl4rl_agents.ppo.randomness import Randomness
from ssl4rl_agents.ppo.reference import Reference, recall
from ssl4rl_agents.ppo.rehearsal import replay_of
from ssl4rl_agents.ppo.rollout import Player, Rollout, rules_of
from ssl4rl_agents.ppo.summary import summarise, summarise_asked, summarise_readable
from ssl4rl_agents.ppo.update import Updater
from ssl4rl_agents.readability import Readability
from ssl4rl_agents.runs import checkpoint
from ssl4rl_agents.runs.content import START, content_of, require_same_content, started_from
from ssl4rl_agents.runs.files import read_from, write_json
from ssl4rl_agents.runs.folder import claim, require_iterations, settle
from ssl4rl_agents.runs.metrics import Display, MetricsLog
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_agents.runtime.clock import Clock
from ssl4rl_agents.runtime.device import peak_memory, precision
from ssl4rl_agents.runtime.interrupts import interruptible
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.optimizer import Skips, build_optimizer
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.runtime.samplers import Sampler, make_sampler
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Stream, Task, make_task
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.stream import SPLITS
from ssl4rl_envs.task import Batch
from ssl4rl_envs.telling import waiting


class Trainer:
    """Trains a policy on an environment and leaves everything in a run folder.

    Args:
        config: the settings; those that depend on the model are filled in.
        out: the run folder; with config.json, metrics.jsonl, TensorBoard events and checkpoints/.
        resume: go on from the newest checkpoint in `out`. Without one the run starts anew.
        overwrite: delete the run that is in `out`, once everything that the new one needs has been built.
        quiet: show no progress.
        sampler: samples the answers in the policy's stead; by default the one that the settings name.
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
        sampler: Sampler | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.config, self.out = resolved(config, anew=not resume), Path(out)
        self.processes = processes or Processes(self.config.device)
        self._quiet = quiet or not self.processes.is_main
        self.lock = claim(self.out, self.processes, resume=resume, overwrite=overwrite)
        """Keeps other trainers out of the folder, from here to the end of `run`, or longer where it is taken again."""
        self._claim = ExitStack()
        self._claim.callback(self.lock.release)
        try:
            self._prepare(resume=resume, sampler=sampler)
            settle(self.out, self.lock, self.config, self.processes, resume=resume, overwrite=overwrite)
            if self.config.policy.start is not None and not self.resumed and self.processes.is_main:
                write_json(self.out / START, started_from(Path(self.config.policy.start)))
        except BaseException:
            self._claim.close()
            raise

    def _prepare(self, *, resume: bool, sampler: Sampler | None) -> None:
        """Build everything that a run needs."""
        self.device = self.processes.device
        self._part = own_part(self.config, self.processes)
        self._prepare_task()
        found = checkpoint.seen_by_all(self.out, self.processes) if resume else []
        self._prepare_policy(found[-1] if found else None)
        self._prepare_iterations(sampler)

    def _prepare_task(self) -> None:
        config = self.config
        self.task: Task = make_task(config.env, **config.env_args)
        self.format_task = format_task(config, self.task)
        if self.task.horizon > 1 and self.processes.sharded:
            raise ValueError(
                f"{config.env} takes up to {self.task.horizon} decisions an episode, and episodes end at their own time; "
                "processes that hold parts of the weights (FSDP, ZeRO stage 3) make the same passes all along, so use whole "
                "weights there"
            )
        self.interface = training_interface(config, self.task)
        for split in SPLITS:
            self.task.sample(Stream.span(split, 0, 0, 1))  # a split without pictures is an error now, not when it is measured

    def _prepare_policy(self, found: Path | None) -> None:
        """Build policy and optimizer, fresh or as a checkpoint has them."""
        config = self.config
        start = config.policy.start
        with waiting(f"loading the model {found or start or config.policy.model}"):
            if found is None and start is not None:
                self.policy: Policy = self._load(Path(start))
            elif found is None:
                self.policy = build_policy(config.policy, self.format_task, config.seed, self.device, config.prompt_style)
            else:
                require_same_content(found, self.task)
                self.policy = self._load(found)
        if config.rollout.constrained:
            constrain(self.policy, self.task)
        require_readable(self.policy, config)
        if self.processes.deepspeed:
            check_zero(config.objective)
        self.processes.prepare(self.policy)
        self.randomness = Randomness(config.seed, self.processes)
        self.optimizer = build_optimizer(
            self.policy, config.optimizer, self.processes, lambda: example_pass(self.policy, self.interface, self.randomness)
        )
        self.iteration = 0
        self._counters: dict[str, Any] = {"seconds": 0.0, "episodes": 0, "tokens": 0, "skipped_steps": 0, "best": None}
        self._counters["sources"] = content_of(self.task)
        if found is not None:
            self._counters = checkpoint.load(found, self.policy, self.optimizer, self._counters)
            self.iteration = int(self._counters.pop("iteration"))
            require_iterations(self.out, self.iteration, config.iterations)
        self.resumed = found is not None
        """Whether it goes on from a checkpoint."""

    def _load(self, found: Path) -> Policy:
        """Return the policy of a checkpoint."""
        with read_from(found):
            return load_policy(found, self.config.policy, self.device, self.task, self.config.prompt_style)

    def _prepare_iterations(self, sampler: Sampler | None) -> None:
        """Build what asks, plays and improves."""
        config, processes, part = self.config, self.processes, self._part
        self._stop, self._started = False, 0.0
        sampler = sampler or (make_sampler(config) if config.algorithm == "ppo" else None)
        if sampler is not None and processes.sharded:
            raise ValueError(
                "rollout.engine takes whole weights, and FSDP and ZeRO stage 3 cut them into parts; leave them out"
            )
        self.skips = Skips(self._counters.get("skipped_recently", ()))
        self.readability = Readability(self.interface, aloud=processes.is_main)
        self.questions = TrainingQuestions(
            drawn_beside(self.task, self.device), config.rollout, config.seed, processes, part, config.iterations
        )
        self.questions.load_state_dict(self._counters)
        self._usual = {
            "micro_batch": config.optimizer.micro_batch or len(part) // config.optimizer.minibatches,
            "sampling_batch": len(part),
        }
        self.micro_batches, sampled = (self._micro_batches(name, size) for name, size in self._usual.items())
        group_size = config.rollout.sizes()[1]
        self._opinion = opinion_of(config, self.interface, processes)
        self.player = Player(
            self.policy,
            self.interface,
            group_size,
            self.randomness,
            sampled,
            sampler,
            self.readability,
            rules_of(config, self.task),
            None if self._opinion is None else self._opinion.shared,
        )
        self.updater = Updater(
            self.policy,
            self.optimizer,
            config.objective,
            config.optimizer,
            processes,
            self.micro_batches,
            self.skips,
            precision(self.policy, self.device),
        )
        self.reference: Reference | None = None
        self._blank = blank_interface(config, self.task, processes)
        self._replay = replay_of(config, part)
        side = Interface(self.task, config.policy.interface, config.prompt_style, config.grammar)  # as it is
        self.probe = Probe(self.task, side, config.probe_questions) if config.probe_every else None

    def measure(self, split: str, episodes: int, watch: Watch = lambda _: None) -> Result:
        """Measure the policy as it is; the questions are the same for every run. `watch` is as of `evaluate`."""
        config = self.config
        agent = PolicyAgent(self.policy, device=self.device, context=config.rollout.context)
        how: dict[str, Any] = {"prompt_style": config.prompt_style, "grammar": config.grammar}
        # What answers while it learns has said where nothing can be read; the supervised ceiling answers nothing but here.
        how["aloud"] = config.algorithm == "sft" and split == "validation" and self.processes.is_main
        return evaluate(agent, self.task, env=config.env, split=split, episodes=episodes, watch=watch, **how)

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
            title, done = config.title, self.iteration
            shown = Display(title, config.iterations, done, quiet=self._quiet)
            with closing(self.questions), closing(log), shown as display:
                while self.iteration < config.iterations and not self._stop:
                    values = self._step()
                    log.write(self.iteration, values)
                    display.update(self.iteration, values)
                    due = self.iteration % config.save_every == 0 or self._is_last() or self._is_best()
                    if self._stopping() or due:
                        self._save()
            self.readability.say()
        return self.iteration >= config.iterations

    def _step(self) -> dict[str, float]:
        """Do one iteration and what comes with it; return all its numbers."""
        start = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.optimizer.rate_at(self.iteration, self.config.iterations)
        values = self.iterate() if self.config.algorithm == "ppo" else self._learn_targets()
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
        if self.iteration % self.config.eval_every == 0 or self._is_last():
            result = self.measure("validation", self.config.eval_episodes)
            values |= {"validation/reward": result.reward, "validation/success": result.success}
            values["seconds/validation"] = result.seconds
            reward = self.processes.main_says(result.reward)
            self._counters["best"] = checkpoint.better(self._counters["best"], self.iteration, reward)
        if self.probe is not None and (self.iteration % self.config.probe_every == 0 or self._is_last()):
            values |= self._look(values)
        values["seconds"] = self._counters["seconds"] = time.perf_counter() - self._started
        values["memory_mb"] = peak_memory(self.device)
        for name, batches in (("micro_batch", self.micro_batches), ("sampling_batch", self.player.micro_batches)):
            if batches.size < self._usual[name]:
                self._counters[name] = batches.size
        return values

    def iterate(self) -> dict[str, float]:
        """Ask questions, play each several times, judge the answers, improve the policy, note what came of it."""
        objective = self.config.objective
        self.player.begin(self.iteration)
        clock = Clock()
        batch = self.questions.begin(self.iteration)
        clock.lap("seconds/questions")
        rollout, asked = self._play(batch)
        if self._blank is not None:
            look_away(self.policy, rollout, self._blank)
        compared = self.reference if objective.kl_coefficient != 0 else None
        reference = None if compared is None else compared.logprobs(rollout, self.micro_batches)
        credit = judge(rollout, reference, objective, self.processes)
        clock.lap("seconds/answers")
        critic_first = self.iteration < objective.critic_warmup_iterations
        with critic_alone(self.policy, self.optimizer, alone=critic_first, sharded=self.processes.sharded):
            shuffling = self.randomness.generator("shuffling", self.iteration, on_cpu=True)
            statistics = self.updater.update(rollout, credit, shuffling)
        replayed: dict[str, float] = {}
        if self._replay is not None and not critic_first:
            replayed = self._replay.learn(self._cross_entropy(self.micro_batches), self.iteration)
        clock.lap("seconds/update")
        values = summarise(self.processes, rollout, credit, statistics, objective.importance_cap, self.task.horizon)
        values |= summarise_readable(self.processes, self.readability)
        values |= self.questions.record(batch, rollout)
        values |= {} if asked is None else summarise_asked(self.processes, asked)
        self._counters |= self.questions.state_dict()
        return values | replayed | clock.seconds

    def _play(self, batch: Batch) -> tuple[Rollout, Asked | None]:
        """Play questions; with dynamic sampling, further ones in place of those that carry no advantage."""
        settings, asked = self.config.rollout, None
        if settings.dynamic_sampling:
            rollout, asked = play_until_informative(self.player, self.questions, batch, settings.max_rounds, self.processes)
        else:
            rollout = self.player.play(batch)
        recall(self.policy, rollout, self.config, self.micro_batches, precision(self.policy, self.device))
        return rollout, asked

    def _learn_targets(self) -> dict[str, float]:
        """Show questions with their targets: the supervised ceiling."""
        batch = self.questions.begin(self.iteration)
        shuffling = self.randomness.generator("shuffling", self.iteration, on_cpu=True)
        steps = self._cross_entropy(self.micro_batches)
        return supervised.learn_targets(steps, self.interface, batch, self.config.optimizer, shuffling)

    def _teach_format(self) -> None:
        """Teach a fresh model how an answer is written; see `supervised.teach_format`."""
        config = self.config
        if not config.format_warmup:
            return
        interface = Interface(self.format_task, config.policy.interface, config.prompt_style, config.grammar)
        steps = self._cross_entropy(self._micro_batches("micro_batch", config.optimizer.micro_batch or len(self._part)))
        display = Display("format warm-up", config.format_warmup, quiet=self._quiet)
        supervised.teach_format(steps, interface, config, self.randomness, self._part, display, self._stopping)

    def _cross_entropy(self, micro_batches: MicroBatches) -> supervised.CrossEntropy:
        most = self.config.optimizer.max_grad_norm
        return supervised.CrossEntropy(self.policy, self.optimizer, most, micro_batches, self.processes, self.skips)

    def _micro_batches(self, name: str, size: int) -> MicroBatches:
        """Return how many questions passes take: `size`, or as many as were found to fit the memory."""
        return MicroBatches(self._counters.get(name, size), self.processes)

    def _keep_reference(self) -> None:
        """Keep what the policy is now, if the divergence from it counts, or what it holds for right."""
        if (self.config.objective.kl_coefficient != 0 or self._opinion is not None) and self.config.algorithm == "ppo":
            where, warmed = self.out / "reference", bool(self.config.format_warmup or self.config.policy.start)
            self.reference = Reference(
                self.policy, self.config.policy, self.task, where, self.processes, resumed=self.resumed, warmed=warmed
            )
        if self._opinion is not None:
            self._opinion.initial = self.reference

    def _look(self, values: dict[str, float]) -> dict[str, float]:
        """See whether the policy looks, which owes its right answers of this iteration to something."""
        assert self.probe is not None
        clock = Clock()
        found = self.probe.watch(self.policy, self.iteration, values.get("success"), aloud=self.processes.is_main)
        clock.lap("seconds/looking")
        return found | clock.seconds

    def _is_last(self) -> bool:
        return self.iteration == self.config.iterations

    def _is_best(self) -> bool:
        """Return whether this iteration is the best so far; its checkpoint is saved then."""
        best = self._counters["best"]
        return best is not None and bool(best["iteration"] == self.iteration)

    def _save(self) -> None:
        self._counters["skipped_recently"] = self.skips.recent  # those of the format warm-up too, before any iteration
        checkpoint.save(
            self.out / "checkpoints",
            self.iteration,
            self.policy,
            self.optimizer,
            self._counters,
            self.processes,
            keep=self.config.keep,
            lock=self.lock,
        )

    def _halt(self) -> None:
        self._stop = True

    def _stopping(self) -> bool:
        """Return whether any process is to stop; all stop together then."""
        self._stop = self.processes.anywhere(self._stop)
        return self._stop
