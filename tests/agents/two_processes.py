"""Run by two processes at once (see pair.py): gradients of shared rollouts, against those of one with the joint rollout."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from ssl4rl_agents.policies.policy import Policy, Samples
from ssl4rl_agents.ppo import credit, supervised
from ssl4rl_agents.ppo import update as update_module
from ssl4rl_agents.ppo.critic import critic_alone
from ssl4rl_agents.ppo.rollout import Rollout
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.ppo.update import UpdateStatistics
from ssl4rl_agents.runtime.deepspeed import ZeroOptimizer
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.optimizer import Skips
from ssl4rl_agents.runtime.processes import Processes, in_parts, whole, whole_shape
from ssl4rl_agents.settings import ObjectiveConfig, OptimizerConfig
from ssl4rl_envs import Stream
from tests.agents.conftest import build, questions
from tests.agents.rollouts import ONE, one_turn
from tests.agents.tiny_runs import config

PROMPTS, GROUP = 4, 2


def joint_rollout(policy: Policy) -> Rollout:
    """Answers of mixed lengths to four questions, with random scores; old values and log-probabilities are a bit off."""
    generator = torch.Generator().manual_seed(10)
    inputs = policy.encode(questions(("Angle 12?", "Angle 17?", "90 or 180, which one?", "Angle 34?")))
    samples = policy.generate(inputs, GROUP, generator=generator)
    for values in (samples.logprobs, samples.values):
        values += 0.1 * torch.randn(values.shape, generator=generator) * samples.mask
    assert len(samples.mask.sum(1).unique()) > 2
    scores = torch.rand(len(samples.mask), generator=generator)
    return one_turn(inputs, samples, scores, GROUP, scores > 0.5)


def part_of(rollout: Rollout, part: range) -> Rollout:
    """Some questions of a rollout with their answers, no wider than the longest of them."""
    rows = slice(part.start * GROUP, part.stop * GROUP)
    (turn,) = rollout.turns
    samples = turn.samples
    width = int(samples.mask[rows].sum(1).max())
    columns = (getattr(samples, name)[rows, :width].clone() for name in ("tokens", "mask", "logprobs", "values"))
    inputs, chosen = turn.inputs.rows(torch.tensor(part)), Samples(*columns, samples.truncated[rows])
    return one_turn(inputs, chosen, turn.rewards[rows], GROUP, rollout.success[rows])


def optimizer_of(policy: Policy, rollout: Rollout, processes: Processes | None = None, **settings: Any) -> Optimizer:
    """AdamW, in all processes together if there are any."""
    adamw = torch.optim.AdamW([weight for weight in policy.parameters() if weight.requires_grad], **settings)
    if processes is None:
        return adamw
    (turn,) = rollout.turns
    return processes.distribute(policy, adamw, 1.0, lambda: (turn.inputs, turn.samples.tokens, turn.samples.mask))


def gradient_of(optimizer: Optimizer, weight: torch.nn.Parameter) -> Tensor:
    """The whole gradient of a weight; zeros where it has none."""
    found = weight.grad
    if isinstance(optimizer, ZeroOptimizer) and weight.requires_grad:
        from deepspeed.utils import safe_get_full_grad

        found = safe_get_full_grad(weight)
    return torch.zeros(whole_shape(weight)) if found is None else whole(found).clone()


def gradients(
    policy: Policy,
    optimizer: Optimizer,
    rollout: Rollout,
    settings: tuple[dict[str, Any], int | None],
    processes: Processes = ONE,
    micro_batches: MicroBatches | None = None,
) -> tuple[dict[str, Tensor], UpdateStatistics]:
    """The gradients of one optimizer step over a whole rollout, and what is logged.

    Args:
        policy: what they are of.
        optimizer: must not move the weights.
        rollout: this process's part.
        settings: of the objective, and the size of micro-batches.
        processes: which take the step together.
        micro_batches: in place of their size.
    """
    objective, micro_batch = ObjectiveConfig(**settings[0]), settings[1]
    found: dict[str, Tensor] = {}

    def keep(*_: Any) -> float:
        found.update({name: gradient_of(optimizer, weight) for name, weight in policy.named_parameters()})
        optimizer.step()
        optimizer.zero_grad()
        return 1.0

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(update_module, "apply_gradients", keep)
    batches = micro_batches or MicroBatches(micro_batch or PROMPTS, processes)
    once = OptimizerConfig(epochs=1, minibatches=1)
    updater = update_module.Updater(policy, optimizer, objective, once, processes, batches, Skips())
    judged = credit.judge(rollout, None, objective, processes)
    statistics = updater.update(rollout, judged, torch.Generator().manual_seed(0))
    monkeypatch.undo()
    return found, statistics


def compare(processes: Processes, folder: Path) -> None:
    """Write the largest difference of gradients and of logged numbers, for all settings, relative to the largest."""
    errors = {}
    objectives: list[dict[str, Any]] = [  # without a critic first, since ZeRO 3 never forgets that a weight had a gradient
        {"advantage": "grpo"},
        {"advantage": "grpo", "aggregation": "sequence_sum"},
        {"advantage": "gae"},
        {"advantage": "gae", "aggregation": "sequence_mean"},
    ]
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "nano": ("nano", {}),
        "llava": ("llava", {}),
        "adapters": ("llava", {"lora_rank": 2, "freeze_vision": True}),
        "recomputed": ("llava", {"gradient_checkpointing": True}),
    }
    for name, (kind, changes) in kinds.items():
        alone = build(kind, ends=12, **changes)
        joint = joint_rollout(alone)
        policy = copy.deepcopy(alone)
        own = part_of(joint, processes.share(PROMPTS, "questions"))
        processes.prepare(policy)
        still, of_all = optimizer_of(alone, joint, lr=0.0), optimizer_of(policy, own, processes, lr=0.0)
        for settings in itertools.product(objectives, (None, 1)):
            expected, said = gradients(alone, still, joint, settings)
            together, logged = gradients(policy, of_all, own, settings, processes)
            assert set(expected) == set(together)
            size = max(float(gradient.abs().max()) for gradient in expected.values())
            difference = max(float((together[key] - gradient).abs().max()) for key, gradient in expected.items())
            numbers = [abs(logged.means()[key] - value) / max(1.0, abs(value)) for key, value in said.means().items()]
            errors[f"{name}, {settings}"] = {"size": size, "gradients": difference / size, "logged": max(numbers)}
        sharded = all(in_parts(weight) for weight in policy.parameters())
    if processes.is_main:
        (folder / "errors.json").write_text(json.dumps({"sharded": sharded, "errors": errors}, indent=2))


def learn(
    policy: Policy, optimizer: Optimizer, rollout: Rollout, critic_first: tuple[bool, ...], processes: Processes
) -> list[dict[str, Tensor]]:
    """The weights at first, and after updates of the critic alone or of everything."""
    states = [{name: whole(weight).clone() for name, weight in policy.named_parameters()}]
    objective, twice = ObjectiveConfig(), OptimizerConfig(epochs=2, minibatches=1)
    updater = update_module.Updater(policy, optimizer, objective, twice, processes, MicroBatches(1, processes), Skips())
    for alone in critic_first:
        judged = credit.judge(rollout, None, objective, processes)
        with critic_alone(policy, optimizer, alone=alone, sharded=processes.sharded):
            updater.update(rollout, judged, torch.Generator().manual_seed(0))
        states.append({name: whole(weight).clone() for name, weight in policy.named_parameters()})
    return states


def compare_steps(processes: Processes) -> None:
    """Weights come to the same place. The critic's warm-up moves the critic alone, where it is to be had."""
    alone = build("llava", ends=12)
    joint, policy = joint_rollout(alone), copy.deepcopy(alone)
    own = part_of(joint, processes.share(PROMPTS, "questions"))
    processes.prepare(policy)
    first = (not processes.deepspeed, False)
    # Without eps, gradients that are zero but for rounding move weights too; unused weights decay under DeepSpeed alone.
    settings = {"lr": 0.01, "eps": 0.1, "weight_decay": 0.0}
    one, all_ = optimizer_of(alone, joint, **settings), optimizer_of(policy, own, processes, **settings)
    expected = learn(alone, one, joint, first, ONE)
    found = learn(policy, all_, own, first, processes)
    for name, start in found[0].items():
        if first[0]:
            assert torch.equal(start, found[1][name]) != name.startswith("value_head"), name
    assert not torch.equal(found[2]["model.lm_head.weight"], found[1]["model.lm_head.weight"])
    for before, after in zip(expected, found, strict=True):
        for name, weight in before.items():
            torch.testing.assert_close(after[name], weight, atol=2e-6, rtol=1e-5)


def check_out_of_memory(processes: Processes) -> None:
    """One process runs out of memory in its last pass: all start again with less, and the gradients are the same."""
    alone = build("llava", ends=12)
    joint, policy = joint_rollout(alone), copy.deepcopy(alone)
    own = part_of(joint, processes.share(PROMPTS, "questions"))
    processes.prepare(policy)
    settings: tuple[dict[str, Any], int | None] = ({"advantage": "gae"}, None)
    expected, _ = gradients(alone, optimizer_of(alone, joint, lr=0.0), joint, settings)
    still = optimizer_of(policy, own, processes, lr=0.0)
    evaluate = policy.evaluate

    def short_of_memory(inputs: Any, *rest: Any) -> Any:
        if processes.rank == 1 and len(inputs) > 1:
            raise torch.OutOfMemoryError("too many at once")
        return evaluate(inputs, *rest)

    policy.evaluate = short_of_memory  # type: ignore[method-assign]
    passes = MicroBatches(PROMPTS // processes.count, processes)
    found, _ = gradients(policy, still, own, settings, processes, passes)
    assert passes.size == 1
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-5)


def check_supervised(processes: Processes, folder: Path) -> None:
    """What is logged of the supervised ceiling is the loss over the questions of all."""
    plain = config(algorithm="sft", format_warmup=0, optimizer={"epochs": 1, "minibatches": 1})
    trainer = Trainer(plain, folder / "sft", quiet=True, processes=processes)
    batch = trainer.task.sample(Stream.span("train", trainer.randomness.seed("questions"), 0, plain.rollout.prompts))
    inputs = trainer.policy.encode(trainer.interface.observe(batch))
    replies = supervised.written(trainer.interface, trainer.task.oracle(batch), batch)
    tokens, mask = trainer.policy.encode_answers(replies)
    with torch.no_grad():
        expected = -float(trainer.policy(inputs, tokens, mask).logprobs.sum() / mask.sum())
    assert trainer._learn_targets()["loss/cross_entropy"] == pytest.approx(expected, rel=1e-5)


def check_collectives(processes: Processes) -> None:
    """What is said of all processes is the same in all of them."""
    rank, first = processes.rank, processes.rank == 0
    assert processes.total(torch.tensor([1.0, float(rank)])).tolist() == [2.0, 1.0]
    assert processes.greatest(float(-rank)) == 0.0
    assert processes.main_says(rank + 5) == 5
    assert processes.anywhere(first)
    assert not processes.everywhere(first)
    assert processes.everywhere(True)
    assert not processes.anywhere(False)
    assert processes.gather(torch.tensor([rank == 0, True])).tolist() == [True, True, False, True]
    rows = torch.full((1, 2 + rank), float(rank + 1))
    assert processes.gather(rows).tolist() == [[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]]


def check(folder: Path) -> None:
    """Check all of the above; what is measured of gradients is left in the folder."""
    torch.set_num_threads(1)
    with Processes("cpu") as processes:
        assert processes.count > 1
        check_collectives(processes)
        compare(processes, folder)
        compare_steps(processes)
        check_supervised(processes, folder)
        if processes.may_retry:
            check_out_of_memory(processes)
