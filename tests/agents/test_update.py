"""The update in several processes and in too little memory, with a policy of a few numbers."""

from __future__ import annotations

import copy
import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ssl4rl_agents.algorithms import surrogates
from ssl4rl_agents.algorithms.advantages import Advantages
from ssl4rl_agents.policies.policy import Evaluation, Samples, token_statistics
from ssl4rl_agents.ppo import losses
from ssl4rl_agents.ppo.credit import Credit
from ssl4rl_agents.ppo.first_ratio import FirstRatioError, require_first_ratio
from ssl4rl_agents.ppo.reference import recall, score_again
from ssl4rl_agents.ppo.rollout import Rollout
from ssl4rl_agents.ppo.update import Minibatch, Updater, UpdateStatistics, backward, minibatch_of
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.optimizer import Skips
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import ObjectiveConfig, OptimizerConfig, TrainConfig
from tests.agents.rollouts import ONE, Summing, one_turn

WORDS, LONGEST, GROUP = 5, 4, 2


@dataclass
class Questions:
    numbers: Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, rows: Tensor) -> Questions:
        return Questions(self.numbers[rows])


class Table(nn.Module):
    """Logits and a value for each question; more than `fits` questions at once are too many."""

    def __init__(self, questions: int, fits: int | None = None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.logits = nn.Parameter(torch.randn(questions, WORDS, generator=generator))
        self.value = nn.Parameter(torch.randn(questions, generator=generator))
        self.shared = nn.Parameter(torch.zeros(WORDS))
        self.fits = fits
        self.max_new_tokens = LONGEST
        self.sizes: list[int] = []

    def forward(self, inputs: Questions, tokens: Tensor, mask: Tensor) -> Evaluation:
        return self.evaluate(inputs, tokens, mask)

    def evaluate(self, inputs: Questions, tokens: Tensor, mask: Tensor) -> Evaluation:
        self.sizes.append(len(inputs))
        if self.fits is not None and len(inputs) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.")
        rows = inputs.numbers.repeat_interleave(GROUP)
        logits = (self.logits[rows] + self.shared)[:, None].expand(-1, tokens.shape[1], -1)
        logprobs, entropies = token_statistics(logits, tokens)
        return Evaluation(logprobs * mask, entropies * mask, self.value[rows][:, None] * mask)


def rollout_of(questions: int, seed: int = 0) -> tuple[Rollout, Advantages]:
    """Answers of mixed lengths with advantages, old log-probabilities near those of `Table`."""
    generator = torch.Generator().manual_seed(seed)
    rows = questions * GROUP
    mask = torch.arange(LONGEST) < torch.randint(1, LONGEST + 1, (rows, 1), generator=generator)
    tokens = torch.randint(0, WORDS, (rows, LONGEST), generator=generator)
    inputs = Questions(torch.arange(questions))
    with torch.no_grad():
        now = Table(questions).evaluate(inputs, tokens, mask)
    noise, advantages, returns = (torch.randn(mask.shape, generator=generator) * mask for _ in range(3))
    samples = Samples(tokens, mask, now.logprobs + 0.2 * noise, now.values, torch.zeros(rows, dtype=torch.bool))
    return one_turn(inputs, samples, torch.zeros(rows), GROUP), Advantages(advantages, returns)


def part_of(rollout: Rollout, advantages: Advantages, questions: slice) -> tuple[Rollout, Advantages]:
    """Some questions of a rollout: the share of one process."""
    rows = slice(questions.start * GROUP, questions.stop * GROUP)
    (turn,) = rollout.turns
    samples = Samples(**{name: None if value is None else value[rows] for name, value in vars(turn.samples).items()})
    inputs = Questions(turn.inputs.numbers[questions])
    assert advantages.returns is not None
    some = Advantages(advantages.advantages[rows], advantages.returns[rows])
    return one_turn(inputs, samples, turn.rewards[rows], GROUP), some


def learn(
    policy: Table, rollout: Rollout, advantages: Advantages, objective: ObjectiveConfig | None = None, **changes: Any
) -> UpdateStatistics:
    settings = OptimizerConfig(epochs=2, minibatches=changes.pop("minibatches", 1), max_grad_norm=1e6)
    processes = changes.pop("processes", ONE)
    updater = Updater(
        policy,  # type: ignore[arg-type]
        torch.optim.SGD(policy.parameters(), lr=0.5),
        objective or ObjectiveConfig(entropy_coefficient=0.01),
        settings,
        processes,
        changes.pop("micro_batches", MicroBatches(len(rollout.success) // GROUP, processes)),
        Skips(),
        **changes,
    )
    return updater.update(rollout, Credit([advantages]), torch.Generator().manual_seed(0))


def minibatch(
    rollout: Rollout, advantages: Advantages, reference: Tensor | None, questions: Tensor, objective: ObjectiveConfig
) -> Minibatch:
    """What one step over these questions is computed from."""
    credit = Credit([advantages], None if reference is None else [reference])
    (found,) = minibatch_of(rollout, credit, questions, objective, LONGEST, ONE)
    return found


def distance(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


# Ratios begin at 1


def test_answers_of_the_policy_itself_have_ratio_one_at_first_or_nothing_is_learned():
    rollout, advantages = rollout_of(8)
    policy = Table(8)
    before = copy.deepcopy(policy)
    with pytest.raises(FirstRatioError, match=r"have a ratio that is more than 0\.01 from 1"):
        learn(policy, rollout, advantages, precision=torch.float32)
    assert distance(policy, before) == 0
    assert learn(policy, rollout, advantages).steps == 2  # answers of other weights are another matter
    samples = rollout.turns[0].samples
    with torch.no_grad():
        samples.logprobs = Table(8).evaluate(rollout.turns[0].inputs, samples.tokens, samples.mask).logprobs
    assert learn(Table(8), rollout, advantages, precision=torch.float32).first_ratio_error < 1e-5


@pytest.mark.parametrize(
    ("precision", "far", "share", "refused"),
    [
        (torch.float32, 0.02, 0.001, True),  # a single token of a thousand
        (torch.float32, 0.005, 1.0, False),
        (torch.bfloat16, 0.5, 0.009, False),  # rounding grows now and then
        (torch.bfloat16, 0.5, 0.02, True),
        (torch.bfloat16, 0.15, 1.0, False),
        (torch.float32, float("nan"), 1.0, False),  # a step that is not finite is skipped and counted
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_what_rounding_explains_depends_on_the_precision(precision, far, share, refused, sign):
    ratio = torch.ones(1000)
    ratio[: int(1000 * share)] += sign * far
    if refused:
        with pytest.raises(FirstRatioError):
            require_first_ratio(ratio, precision, ONE)
        # One process alone sees it; all refuse.
        others = Summing(lambda own: own + torch.tensor([20, 1000]))
        with pytest.raises(FirstRatioError):
            require_first_ratio(torch.ones(1000), torch.float32, others)
    else:
        require_first_ratio(ratio, precision, ONE)


# What a step is computed from


def test_the_gradient_is_that_of_all_terms_with_their_signs_and_coefficients():
    rollout, advantages = rollout_of(4)
    samples, generator = rollout.turns[0].samples, torch.Generator().manual_seed(3)
    reference = samples.logprobs + 0.5 * torch.randn(samples.mask.shape, generator=generator) * samples.mask
    samples.values = samples.values + torch.randn(samples.mask.shape, generator=generator) * samples.mask
    objective = ObjectiveConfig(
        aggregation="token_mean",
        clip_low=0.1,
        clip_high=0.3,
        entropy_coefficient=0.3,
        value_coefficient=0.7,
        value_clip=0.1,
        kl_loss="k2",
        kl_coefficient=0.4,
    )
    batch = minibatch(rollout, advantages, reference, torch.arange(4), objective)
    found, by_hand = Table(4), Table(4)
    backward(found, batch, objective)  # type: ignore[arg-type]
    now = by_hand(rollout.turns[0].inputs, samples.tokens, samples.mask)
    terms = (
        surrogates.ppo(now.logprobs, samples.logprobs, advantages.advantages, samples.mask, clip_low=0.1, clip_high=0.3).loss
        - 0.3 * now.entropies  # what is minimised falls as the entropy rises
        + 0.7 * losses.value_loss(now.values, samples.values, advantages.returns, 0.1)
        + 0.4 * losses.kl_estimate(now.logprobs, reference, "k2")
    )
    terms[samples.mask].mean().backward()
    for ours, theirs in zip(found.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_minibatch_holds_what_belongs_to_its_questions_in_their_order():
    rollout, advantages = rollout_of(4)
    samples = rollout.turns[0].samples
    samples.sampler_logprobs = samples.logprobs - torch.linspace(-1, 1, 8)[:, None] * samples.mask
    reference = samples.logprobs + 1
    batch = minibatch(rollout, advantages, reference, torch.tensor([2, 0]), ObjectiveConfig())
    rows = [4, 5, 0, 1]
    assert batch.inputs.numbers.tolist() == [2, 0]
    pairs = (
        (batch.tokens, samples.tokens),
        (batch.mask, samples.mask),
        (batch.old_logprobs, samples.logprobs),
        (batch.old_values, samples.values),
        (batch.advantages, advantages.advantages),
        (batch.returns, advantages.returns),
        (batch.reference, reference),
        (batch.sampler_logprobs, samples.sampler_logprobs),
    )
    for found, whole in pairs:
        assert torch.equal(found, whole[rows])


def test_every_epoch_sees_all_questions_in_an_order_of_its_own():
    rollout, advantages = rollout_of(8)
    policy, seen = Table(8), []
    evaluate = policy.evaluate

    def watched(inputs: Questions, *rest: Any) -> Evaluation:
        seen.extend(inputs.numbers.tolist())
        return evaluate(inputs, *rest)

    policy.evaluate = watched  # type: ignore[method-assign]
    learn(policy, rollout, advantages, minibatches=2)
    first, second = seen[:8], seen[8:]
    assert sorted(first) == sorted(second) == list(range(8))
    assert first != sorted(first)
    assert first != second


def test_an_update_that_stops_leaves_no_gradients_behind():
    """The next update would add to them."""
    rollout, advantages = rollout_of(4)
    policy = Table(4)
    assert learn(policy, rollout, advantages, ObjectiveConfig(target_kl=1e-6)).stopped_early


# Too little memory


@pytest.mark.parametrize("minibatches", [1, 2])
def test_what_does_not_fit_is_done_in_halves_with_the_same_result(minibatches, caplog):
    rollout, advantages = rollout_of(8)
    roomy, tight = Table(8), Table(8, fits=2)
    micro = MicroBatches(64, ONE)
    expected = learn(roomy, rollout, advantages, minibatches=minibatches)
    with caplog.at_level(logging.WARNING, logger="ssl4rl_agents"):
        found = learn(tight, rollout, advantages, minibatches=minibatches, micro_batches=micro)
    assert distance(tight, roomy) < 1e-6
    assert distance(tight, Table(8)) > 1e-2
    assert found.means() == pytest.approx(expected.means(), abs=1e-6)
    assert found.max_ratio == pytest.approx(expected.max_ratio)
    assert micro.size == 2
    assert tight.sizes[-1] == 2
    halvings = [(8, 4), (4, 2)] if minibatches == 1 else [(4, 2)]
    said = [f"out of memory with {before} questions a pass; going on with {after}" for before, after in halvings]
    assert caplog.messages == said, "once for each size, not for each minibatch"


def test_the_gradients_of_a_pass_that_fitted_do_not_count_twice():
    """The second micro-batch runs out: what the first left behind must be cleared."""
    rollout, advantages = rollout_of(6)
    plain, failing = Table(6), Table(6)
    learn(plain, rollout, advantages)
    evaluate, calls = failing.evaluate, []

    def second_call_fails(*args: Any) -> Evaluation:
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return evaluate(*args)

    failing.evaluate = second_call_fails  # type: ignore[method-assign]
    micro = MicroBatches(4, ONE)
    learn(failing, rollout, advantages, micro_batches=micro)
    assert micro.size == 2
    assert distance(failing, plain) < 1e-6


def test_a_single_question_that_does_not_fit_says_what_would_help(caplog):
    rollout, advantages = rollout_of(4)
    with pytest.raises(torch.OutOfMemoryError, match=r"gradient checkpointing, LoRA, shorter answers.*3\.00 GiB"):
        learn(Table(4, fits=0), rollout, advantages, micro_batches=MicroBatches(4, ONE))


def test_other_errors_are_not_taken_for_too_little_memory():
    micro, calls = MicroBatches(4, ONE), []

    def broken() -> None:
        calls.append(1)
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        micro.run(broken)
    assert len(calls) == 1
    assert micro.size == 4


def test_passes_without_gradients_are_cut_and_tried_again():
    micro, seen = MicroBatches(5, ONE), []

    def work() -> Tensor:
        results = []
        for prompts, rows in micro.parts(7, 3):
            if len(prompts) > 2:
                raise torch.OutOfMemoryError
            seen.append(rows)
            results.append(prompts)
        return torch.cat(results)

    assert micro.run(work).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert seen == [slice(0, 6), slice(6, 12), slice(12, 18), slice(18, 21)]
    assert micro.size == 2


def test_halving_starts_from_what_was_asked_at_once():
    """A limit of 64 questions a pass says nothing where a minibatch has 4: half of 4 is tried next, not 32."""
    micro, tried = MicroBatches(64, ONE), []

    def work() -> None:
        tried.append(micro.size_for(4))
        if tried[-1] > 1:
            raise torch.OutOfMemoryError

    micro.run(work)
    assert tried == [4, 2, 1]


# Several processes


class Threads:
    """Threads that act as processes: sums and questions in which all take part."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._barrier = threading.Barrier(count, timeout=20)
        self._values: dict[int, Any] = {}

    def gather(self, rank: int, value: Any) -> list[Any]:
        self._values[rank] = value
        self._barrier.wait()
        values = [self._values[each] for each in range(self.count)]
        self._barrier.wait()
        return values

    def run(self, work: Callable[[int], Any]) -> list[Any]:
        results: dict[int, Any] = {}

        def one(rank: int) -> None:
            try:
                results[rank] = work(rank)
            except BaseException:
                self._barrier.abort()
                raise

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [results[rank] for rank in range(self.count)]


class OneOf(Processes):
    """One of several threads as a process; gradients are summed, or averaged as FSDP does."""

    def __init__(self, threads: Threads, rank: int, average: bool = False) -> None:
        super().__init__("cpu")
        self._threads, self.rank, self._average = threads, rank, average

    @property
    def scale(self) -> float:
        return float(self._threads.count) if self._average else 1.0

    def total(self, tensor: Tensor) -> Tensor:
        return torch.stack(self._threads.gather(self.rank, tensor.clone())).sum(0)

    def anywhere(self, value: bool) -> bool:
        return any(self._threads.gather(self.rank, value))

    def reduce(self, parameters: Iterable[nn.Parameter]) -> None:
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad = self.total(parameter.grad) / self.scale


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "sequence_sum"])
@pytest.mark.parametrize("fits", [None, 2])
@pytest.mark.parametrize("average", [False, True])
def test_two_processes_take_the_steps_of_one_with_all_questions(aggregation, fits, average):
    """Whether gradients are summed or averaged over them, and if one of them runs out of memory."""
    rollout, advantages = rollout_of(8)
    objective = ObjectiveConfig(aggregation=aggregation, entropy_coefficient=0.01)
    joint = Table(8)
    expected = learn(joint, rollout, advantages, objective)
    threads = Threads(2)

    def work(rank: int) -> tuple[Table, UpdateStatistics, int]:
        policy = Table(8, fits=fits if rank == 0 else None)
        processes = OneOf(threads, rank, average)
        micro = MicroBatches(4, processes)
        some = part_of(rollout, advantages, slice(4 * rank, 4 * rank + 4))
        statistics = learn(policy, *some, objective, micro_batches=micro, processes=processes)
        return policy, statistics, micro.size

    for policy, statistics, size in threads.run(work):
        assert distance(policy, joint) < 1e-5
        assert statistics.means() == pytest.approx(expected.means(), abs=1e-5)
        assert size == (fits or 4)


def test_all_processes_stop_at_the_same_divergence():
    """One share alone would stop and the other would not; what counts is the mean over both."""
    rollout, advantages = rollout_of(8)
    samples = rollout.turns[0].samples
    samples.logprobs[:8] += 0.5 * samples.mask[:8]  # the first process's share has moved far
    threads = Threads(2)

    def work(rank: int) -> tuple[bool, int]:
        some = part_of(rollout, advantages, slice(4 * rank, 4 * rank + 4))
        objective = ObjectiveConfig(target_kl=0.05)
        statistics = learn(Table(8), *some, objective, processes=OneOf(threads, rank))
        return statistics.stopped_early, statistics.steps

    assert threads.run(work) == [(True, 0), (True, 0)]
    second = learn(Table(8), *part_of(rollout, advantages, slice(4, 8)), ObjectiveConfig(target_kl=0.05))
    assert second.steps >= 1


def test_the_last_pass_of_a_minibatch_is_announced():
    rollout, advantages = rollout_of(6)
    policy, told = Table(6), []

    @contextmanager
    def watched(last: bool) -> Iterator[None]:
        before = len(policy.sizes)
        yield
        told.append((last, len(policy.sizes) - before))

    class Watched(Processes):
        def synchronise(self, last: bool) -> AbstractContextManager[None]:
            return watched(last)

    learn(policy, rollout, advantages, micro_batches=MicroBatches(2, ONE), processes=Watched("cpu"))
    assert told == [(False, 1), (False, 1), (True, 1)] * 2


def test_the_scale_multiplies_gradients_and_nothing_that_is_logged():
    rollout, advantages = rollout_of(4)
    batch = minibatch(rollout, advantages, None, torch.arange(4), ObjectiveConfig())
    gradients, logged = [], []
    for scale in (1.0, 3.0):
        policy = Table(4)
        logged.append(backward(policy, batch, ObjectiveConfig(), scale)[0])  # type: ignore[arg-type]
        gradients.append(policy.logits.grad)
    assert logged[0] == logged[1]
    torch.testing.assert_close(3 * gradients[0], gradients[1])


# Another engine's samples


def policy_gradient(rollout: Rollout, advantages: Advantages, objective: ObjectiveConfig) -> tuple[Tensor, dict[str, float]]:
    policy = Table(4)
    batch = minibatch(rollout, advantages, None, torch.arange(4), objective)
    logged: dict[str, float] = {}
    for part in batch.split(3):
        for name, value in backward(policy, part, objective)[0].items():  # type: ignore[arg-type]
            logged[name] = logged.get(name, 0.0) + float(value)
    assert policy.logits.grad is not None
    return policy.logits.grad, logged


def test_the_policys_loss_is_weighted_by_the_importance_of_tokens_and_nothing_else_is():
    rollout, advantages = rollout_of(4)
    objective = ObjectiveConfig(importance_cap=2.0, clip_low=1.0, clip_high=100.0)
    plain, before = policy_gradient(rollout, advantages, objective)
    samples = copy.copy(rollout.turns[0].samples)
    offsets = torch.linspace(-1.5, 1.5, 8)[:, None] * samples.mask
    samples.sampler_logprobs = samples.logprobs - offsets
    foreign = one_turn(rollout.turns[0].inputs, samples, torch.zeros(8), GROUP)
    found, after = policy_gradient(foreign, advantages, objective)
    by_hand = Advantages(advantages.advantages * offsets.exp().clamp(max=2.0), advantages.returns)
    expected, logged = policy_gradient(rollout, by_hand, objective)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, plain, atol=1e-3)
    assert after == pytest.approx(logged, abs=1e-6)
    assert after["loss/value"] == before["loss/value"]
    uncorrected, _ = policy_gradient(foreign, advantages, ObjectiveConfig(importance_cap=None, clip_low=1.0, clip_high=100.0))
    assert torch.equal(uncorrected, plain)


# What the answers were before the update, where sampling gave something else


def config_of(advantage: str = "grpo", epochs: int = 1, minibatches: int = 1, **objective: Any) -> TrainConfig:
    return TrainConfig(
        optimizer=OptimizerConfig(epochs=epochs, minibatches=minibatches),
        objective=ObjectiveConfig(advantage=advantage, **{"kl_coefficient": 0.0, **objective}),
    )


REPLAYED = {
    "several epochs": config_of(epochs=2),
    "several minibatches": config_of(minibatches=2),
    "a critic's values": config_of("gae"),
    "penalties in the reward": config_of("reinforce++", kl_coefficient=0.1),
}
OPEN = {
    "groups": config_of(),
    "returns": config_of("reinforce++"),
    "a divergence in the loss": config_of(kl_coefficient=0.1, kl_loss="k3"),
}


def rounded(rollout: Rollout, engine: bool = False) -> None:
    """Make the log-probabilities of a rollout those of other passes, or of another engine."""
    samples = rollout.turns[0].samples
    if engine:
        samples.sampler_logprobs = samples.logprobs
        samples.logprobs = torch.zeros_like(samples.logprobs)


@pytest.mark.parametrize("engine", [False, True], ids=["bfloat16", "engine"])
@pytest.mark.parametrize(
    ("settings", "opened"),
    [*((config, False) for config in REPLAYED.values()), *((config, True) for config in OPEN.values())],
    ids=[*REPLAYED, *OPEN],
)
def test_answers_are_passed_again_only_where_it_changes_something(settings, opened, engine):
    rollout, _ = rollout_of(4)
    rounded(rollout, engine)
    policy = Table(4)
    recall(policy, rollout, settings, MicroBatches(4, ONE), torch.float32 if engine else torch.bfloat16)  # type: ignore[arg-type]
    assert rollout.open == opened
    assert len(policy.sizes) == (0 if opened else 1)
    samples = rollout.turns[0].samples
    now = policy.evaluate(rollout.turns[0].inputs, samples.tokens, samples.mask).logprobs
    assert torch.equal(samples.logprobs, now) != opened


def test_in_float32_what_sampling_said_stays():
    rollout, _ = rollout_of(4)
    before = rollout.turns[0].samples.logprobs
    for settings in (*REPLAYED.values(), *OPEN.values()):
        recall(Table(4), rollout, settings, MicroBatches(4, ONE), torch.float32)  # type: ignore[arg-type]
        assert rollout.turns[0].samples.logprobs is before
        assert not rollout.open


@pytest.mark.parametrize("engine", [False, True], ids=["bfloat16", "engine"])
@pytest.mark.parametrize("objective", [config.objective for config in OPEN.values()], ids=OPEN)
@pytest.mark.parametrize("size", [1, 3, 4])
def test_the_only_pass_of_an_update_learns_what_it_would_after_another_one(objective, engine, size):
    """The same weights after the step, the same numbers, and the same log-probabilities left behind."""
    objective = dataclasses.replace(objective, entropy_coefficient=0.01)
    policies, found, rollouts = [Table(4), Table(4)], [], []
    for policy, opened in zip(policies, (False, True), strict=True):
        rollout, advantages = rollout_of(4)
        rounded(rollout, engine)
        reference = [rollout.turns[0].samples.mask * -0.5] if objective.kl_coefficient else None
        if opened:
            rollout.open = True
        else:
            turn = rollout.turns[0]
            turn.samples.logprobs = score_again(policy, turn, MicroBatches(4, ONE)).logprobs  # type: ignore[arg-type]
        updater = Updater(
            policy,  # type: ignore[arg-type]
            torch.optim.SGD(policy.parameters(), lr=0.5),
            objective,
            OptimizerConfig(epochs=1, minibatches=1, max_grad_norm=1e6),
            ONE,
            MicroBatches(size, ONE),
            Skips(),
            torch.bfloat16,
        )
        credit = Credit([Advantages(advantages.advantages, None)], reference)
        found.append(updater.update(rollout, credit, torch.Generator().manual_seed(0)))
        rollouts.append(rollout)
    assert distance(*policies) < 1e-6
    assert distance(policies[0], Table(4)) > 1e-2
    assert found[0].means() == pytest.approx(found[1].means(), abs=1e-6)
    assert found[1].first_ratio_error == 0
    one, other = (rollout.turns[0].samples.logprobs for rollout in rollouts)
    torch.testing.assert_close(one, other)
