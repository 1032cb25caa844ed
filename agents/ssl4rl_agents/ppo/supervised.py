"""Cross-entropy on given answers: how an answer is written (format warm-up), and the supervised ceiling.

The warm-up's answers are random and know nothing of the question; the ceiling's are the targets, which nothing else in
training ever sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.ppo.randomness import Randomness
from ssl4rl_agents.runs.metrics import Display
from ssl4rl_agents.runtime.deepspeed import ZeroOptimizer
from ssl4rl_agents.runtime.device import autocast
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.optimizer import Skips, apply_gradients
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import OptimizerConfig, TrainConfig
from ssl4rl_envs import Stream
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.playing import solve
from ssl4rl_envs.task import Batch, Task

FORMAT_STEPS = {"betas": (0.9, 0.999), "weight_decay": 0.01}
"""AdamW's settings in the format warm-up."""

ANSWERS, QUESTIONS = 8, 16
"""Of the format warm-up: a question has so many random answers at most, behind one run of its prompt, and a step so many
questions at least."""

CHARACTERS = 2**13
"""But a step has so many characters of prompts at most: where they tell of graphs, fewer questions have more answers."""


def written(interface: Interface, answers: NDArray[Any], batch: Batch) -> Any:
    """Turn answers (n, ...) to n questions into actions: whole replies, or, where nothing is said in words, as they are."""
    if not interface.text:
        return answers
    return [wrap(words or "", interface.prompt_style) for words in interface.task.format_all(answers, batch)]


@dataclass
class CrossEntropy:
    """Steps down the cross-entropy: the mean negative log-probability of the tokens of given replies.

    Args:
        policy, optimizer: what is trained.
        max_grad_norm: gradients are scaled down to this norm.
        micro_batches: how many prompts a pass takes.
        processes: over whose tokens the mean is.
        skips: counts the steps that are not taken.
    """

    policy: Policy
    optimizer: torch.optim.Optimizer
    max_grad_norm: float
    micro_batches: MicroBatches
    processes: Processes
    skips: Skips

    def descend(self, inputs: Any, replies: Any) -> tuple[Tensor, float | None]:
        """Take one step.

        Args:
            inputs: the encoded prompts of this process.
            replies: as many to each as to the others, one prompt's after another's, as `written` gives them.

        Returns:
            This process's part of the loss, times `processes.scale`, and the gradient's norm before clipping, None where it
            is not finite and no step was taken.
        """
        tokens, mask = self.policy.encode_answers(replies)
        count = self.processes.total(mask.sum())
        clear = partial(self.optimizer.zero_grad, set_to_none=True)
        clear()
        loss = self.micro_batches.run(lambda: self._gradients(inputs, tokens, mask, count), clear)
        self.processes.reduce(self.policy.parameters())
        return loss, apply_gradients(self.optimizer, self.max_grad_norm, self.skips)

    def _gradients(self, inputs: Any, tokens: Tensor, mask: Tensor, count: Tensor) -> Tensor:
        learner, processes = self.processes.learner(self.policy, self.optimizer), self.processes
        loss = torch.zeros((), device=tokens.device)
        parts = list(self.micro_batches.parts(len(inputs), len(tokens) // len(inputs), tokens.device))
        for index, (prompts, rows) in enumerate(parts):
            with processes.synchronise(index == len(parts) - 1):
                with autocast(self.policy, tokens.device):
                    said = learner(inputs.rows(prompts), tokens[rows], mask[rows])
                part = -said.logprobs.sum() * processes.scale / count
                torch.autograd.backward(part)
            loss = loss + part.detach()
        return loss


def learn_targets(
    steps: CrossEntropy, interface: Interface, batch: Batch, settings: OptimizerConfig, generator: torch.Generator
) -> dict[str, float]:
    """Pass `epochs` times over questions with their targets, the supervised ceiling; return the numbers of it.

    Of episodes of several decisions, all states are shown that the task's teacher comes to (`Task.demonstrate`).

    Args:
        steps: take a step towards some replies.
        interface: how the questions are asked.
        batch: the questions of this process.
        settings: how many passes of how many minibatches.
        generator: on the CPU; shuffles.
    """
    policy, processes, questions = steps.policy, steps.processes, len(batch)
    batch, answers = demonstrated(interface.task, batch)
    inputs = policy.encode(policy.observe(interface, batch))
    replies = written(interface, answers, batch)
    found = []
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(replies), generator=generator).chunk(settings.minibatches):
            found.append(steps.descend(inputs.rows(rows.to(processes.device)), [replies[row] for row in rows.tolist()]))
    tokens = processes.total(policy.encode_answers(replies)[1].sum())
    mean = processes.total(torch.stack([loss for loss, _ in found]).mean()) / processes.scale
    return {
        "loss/cross_entropy": float(mean),
        "skipped_steps": sum(norm is None for _, norm in found),
        "episodes": questions * processes.count,
        "tokens": int(tokens),
    }


def demonstrated(task: Task, batch: Batch) -> tuple[Batch, NDArray[Any]]:
    """Return the states that a task's teacher comes to from those of a batch, and what it does in them.

    They are in the order of decisions, those of all episodes together.
    """
    turns = list(solve(task, batch))
    if len(turns) == 1:
        return batch, turns[0].answers
    return Batch.concatenate([turn.state for turn in turns]), np.concatenate([turn.answers for turn in turns])


def teach_format(
    steps: CrossEntropy,
    interface: Interface,
    config: TrainConfig,
    randomness: Randomness,
    part: range,
    display: Display,
    stopping: Callable[[], bool],
) -> None:
    """Teach a fresh model how an answer is written, on random valid answers that know nothing of the question.

    Args:
        steps: take a step towards some replies.
        interface: to the task that is asked.
        config: how many steps of how many answers, and how large.
        randomness: decides questions and answers.
        part: which of the questions are this process's.
        display: shows how far it is.
        stopping: whether it is to end early.
    """
    count = config.format_warmup or 0
    seeds = randomness.seed("format questions"), randomness.seed("format answers")
    prompts, _ = config.rollout.sizes()
    show = partial(steps.policy.shown, interface)
    lessons = format_lessons(interface, seeds, count, prompts, part, answers_each(interface, prompts, part), show)
    with format_steps(steps.optimizer, config.format_learning_rate or 0.0), display:
        for number, (shown, replies) in enumerate(lessons):
            if stopping():
                return
            with autocast(steps.policy, randomness.processes.device):
                inputs = steps.policy.encode(shown)
            steps.descend(inputs, replies)
            display.update(number + 1, {"skipped_in_a_row": steps.skips.in_a_row})


def answers_each(interface: Interface, prompts: int, part: range) -> int:
    """Return how many random answers each question of the format warm-up has.

    They know nothing of the question, so a few prompts with many answers teach as much as many prompts with one, for less.

    Args:
        interface: to the task that is asked.
        prompts: how many answers a step has, in all processes.
        part: which of them are this process's; it is shared by questions with equally many.
    """
    wanted = min(ANSWERS, prompts // QUESTIONS)
    if interface.text:
        shown = interface.observe(interface.task.sample(Stream.span("train", 0, 0, 1)))
        wanted = max(wanted, prompts * len(shown["prompt"][0]) // CHARACTERS)
    answers = 1
    while answers < wanted and len(part) % (2 * answers) == 0:
        answers *= 2
    return answers


@contextmanager
def format_steps(optimizer: torch.optim.Optimizer, learning_rate: float) -> Iterator[None]:
    """Let the optimizer of a run take the steps of its format warm-up: at another rate, and forgotten afterwards."""
    changes = {"lr": learning_rate, **FORMAT_STEPS}
    kept = [{name: group[name] for name in changes} for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group.update(changes)
    try:
        yield
    finally:
        for group, before in zip(optimizer.param_groups, kept, strict=True):
            group.update(before)
        if isinstance(optimizer, ZeroOptimizer):
            optimizer.forget()
        else:
            optimizer.state.clear()


def format_lessons(
    interface: Interface,
    seeds: tuple[int, int],
    steps: int,
    each: int,
    part: range,
    answers: int = 1,
    show: Callable[[Batch], dict[str, Any]] | None = None,
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield questions, as they are shown, with random valid answers to each, those of one question after those of another.

    Args:
        interface: to the task that is asked.
        seeds: of the questions and of the answers.
        steps: how many times.
        each: answers a time.
        part: which of them are this process's, a multiple of `answers`.
        answers: to each question.
        show: what is seen of questions; as the interface shows them by default.
    """
    show = interface.observe if show is None else show
    for step in range(steps):
        first, count = step * each + part.start, len(part)
        batch = interface.task.sample(Stream.span("train", seeds[0], first // answers, count // answers))
        repeated = batch.rows(np.repeat(np.arange(len(batch)), answers))
        yield show(batch), random_replies(interface, repeated, Stream.span("train", seeds[1], first, count))


def random_replies(interface: Interface, batch: Batch, stream: Stream) -> Any:
    """Write one random valid answer to each question."""
    return written(interface, interface.task.random_answers(batch, stream), batch)
