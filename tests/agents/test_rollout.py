"""Rollouts that ask again in place of questions without an advantage."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.ppo.dynamic_sampling import Asked, play_until_informative
from ssl4rl_agents.ppo.joining import joined
from ssl4rl_agents.ppo.rollout import Rollout, Turn
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.checkpoint import newest
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runtime.processes import Processes
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Batch, Stream
from ssl4rl_envs.images.rotation import Rotation
from tests.agents.rollouts import ONE, one_turn
from tests.agents.tiny_runs import assert_same_weights, halt_after, numbers
from tests.agents.tiny_runs import config as tiny_config

GROUP = 2


def questions(first: int, count: int) -> Batch:
    """Questions whose target is their number."""
    rows = np.arange(first, first + count)
    return Batch({"number": rows}, rows, rows)


class World:
    """Asks `count` numbered questions a round; those in `informative` get one right answer of two, the others none."""

    def __init__(self, count: int, informative: set[int], every: int | None = None, start: int = 0) -> None:
        self.count, self.informative = count, informative
        self.every, self.start = every or count, start
        self.rounds: list[int] = []
        self.encoded: list[list[int]] = []

    def ask(self, again: int) -> Batch:
        self.rounds.append(again)
        return questions(self.start + again * self.every, self.count)

    def play(self, batch: Batch, again: int = 0) -> Rollout:
        """Answers of again + 2 tokens, each of which is the number of its question, the second one token shorter."""
        numbers = torch.from_numpy(batch.target).repeat_interleave(GROUP)
        width = again + 2
        lengths = torch.tensor([width, width - 1] * len(batch))
        mask = torch.arange(width) < lengths[:, None]
        tokens = numbers[:, None].expand(-1, width).clone()
        right = torch.tensor([number in self.informative for number in batch.target.tolist()])
        scores = torch.stack([right.float(), torch.zeros(len(batch))], dim=1).reshape(-1)
        samples = Samples(tokens, mask, -tokens.float() * mask, tokens.float() * mask, ~mask[:, -1])
        rollout = one_turn(batch.target, samples, scores, GROUP, scores > 0)
        rollout.turns[0].states = batch
        return rollout

    def replay(self, turns: list[Turn], success: Tensor, beyond: Tensor | None) -> Rollout:
        for turn in turns:
            assert turn.states is not None
            self.encoded.append(turn.states.target.tolist())
            turn.inputs = self.encoded[-1]
        return Rollout(turns, success, GROUP, beyond=beyond)

    def collect(self, max_rounds: int, processes: Processes = ONE) -> tuple[Rollout, Asked]:
        world: Any = self
        return play_until_informative(world, world, self.ask(0), max_rounds, processes)


def test_one_round_is_enough_where_every_question_has_an_advantage():
    world = World(3, {0, 1, 2})
    rollout, asked = world.collect(4)
    assert world.rounds == [0]
    assert world.encoded == []
    assert rollout.turns[0].inputs.tolist() == [0, 1, 2]
    assert (asked.rounds, asked.questions, asked.answers, asked.without_advantage) == (1, 3, 6, 0.0)
    assert asked.tokens == 9
    assert asked.reward == asked.success == 0.5


def test_questions_without_an_advantage_are_replaced():
    world = World(3, {1, 4, 5, 7})
    rollout, asked = world.collect(4)
    assert world.rounds == [0, 1]
    assert world.encoded == [[1, 4, 5]]
    assert rollout.turns[0].inputs == [1, 4, 5]
    assert rollout.turns[0].samples.tokens[:, 0].tolist() == [1, 1, 4, 4, 5, 5]
    assert rollout.turns[0].samples.mask.tolist() == [[True, True, False], [True, False, False]] + 2 * [
        [True, True, True],
        [True, True, False],
    ]
    assert torch.equal(rollout.turns[0].samples.logprobs, -rollout.turns[0].samples.tokens * rollout.turns[0].samples.mask)
    assert torch.equal(rollout.turns[0].samples.values, rollout.turns[0].samples.tokens * rollout.turns[0].samples.mask)
    assert rollout.turns[0].samples.truncated.tolist() == [False, True] * 3
    assert rollout.scores.tolist() == [1, 0] * 3
    assert rollout.success.tolist() == [True, False] * 3
    assert rollout.informative.all()
    assert (asked.rounds, asked.questions, asked.answers) == (2, 6, 12)
    assert asked.without_advantage == 0.5
    assert asked.reward == pytest.approx(3 / 12)


def test_inputs_of_earlier_rounds_are_not_kept_while_more_are_asked():
    """The pictures of all rounds at once might not fit the memory."""
    world, kept = World(3, {1, 4, 5, 7}), []
    play = world.play

    def watched(batch: Batch, again: int = 0) -> Rollout:
        assert all(earlier.turns[0].inputs is None for earlier in kept)
        kept.append(play(batch, again))
        return kept[-1]

    world.play = watched  # type: ignore[method-assign]
    world.collect(4)
    assert len(kept) == 2


def test_questions_whose_answers_are_all_right_have_no_advantage_either():
    scores = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.5, 0.5])
    samples = World(4, set()).play(questions(0, 4)).turns[0].samples
    assert one_turn(None, samples, scores, GROUP).informative.tolist() == [False, False, True, False]


def test_when_the_rounds_are_used_up_the_rollout_is_filled_and_keeps_its_size():
    world = World(3, {4})
    rollout, asked = world.collect(3)
    assert world.rounds == [0, 1, 2]
    assert world.encoded == [[4, 0, 1]]
    assert rollout.informative.tolist() == [True, False, False]
    assert rollout.turns[0].samples.mask.shape == (6, 3)
    assert asked.metrics() == {
        "rounds": 3,
        "questions_asked": 9,
        "groups_without_advantage/asked": pytest.approx(8 / 9),
        "episodes": 18,
        "tokens": 3 * 3 + 3 * 5 + 3 * 7,
        "reward": pytest.approx(1 / 18),
        "success": pytest.approx(1 / 18),
    }


def test_one_round_is_what_was_asked_without_dynamic_sampling():
    """In its own order, whatever has an advantage."""
    rollout, _ = World(3, {2}).collect(1)
    assert rollout.turns[0].inputs.tolist() == [0, 1, 2]
    assert rollout.informative.tolist() == [False, False, True]


@settings(max_examples=50, deadline=None)
@given(informative=st.sets(st.integers(0, 19)), max_rounds=st.integers(1, 5))
def test_whatever_happens_the_rollout_has_its_size_and_as_many_advantages_as_were_found(informative, max_rounds):
    world = World(4, informative)
    rollout, asked = world.collect(max_rounds)
    numbers = [int(number) for number in rollout.turns[0].inputs]
    assert len(set(numbers)) == len(numbers) == 4
    assert rollout.informative.tolist() == [number in informative for number in numbers]
    found = len([number for number in informative if number < asked.questions])
    assert int(rollout.informative.sum()) == min(4, found)
    assert asked.rounds == len(world.rounds) <= max_rounds
    assert asked.rounds == max_rounds or found >= 4
    assert len([number for number in informative if number < asked.questions - 4]) < 4, "no round too many"


def test_all_processes_do_equally_many_rounds_and_ask_different_questions():
    """The first finds enough at once, the second in its third round."""
    barrier, done = threading.Barrier(2, timeout=20), [False, False]
    worlds = [World(2, {0, 1, 4, 5}, every=4), World(2, {6, 10}, every=4, start=2)]
    results: dict[int, tuple[Rollout, Asked]] = {}

    def run(rank: int) -> None:
        class OneOfTwo(Processes):
            def everywhere(self, value: bool) -> bool:
                done[rank] = value
                barrier.wait()
                together = all(done)
                barrier.wait()
                return together

        results[rank] = worlds[rank].collect(5, OneOfTwo("cpu"))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worlds[0].rounds == worlds[1].rounds == [0, 1, 2]
    assert results[0][0].turns[0].inputs == [0, 1]
    assert results[1][0].turns[0].inputs == [6, 10]
    assert all(rollout.informative.all() for rollout, _ in results.values())


def test_samples_of_different_widths_are_joined_by_hand():
    def some(tokens: list[list[int]], lengths: list[int], foreign: bool) -> Samples:
        ids = torch.tensor(tokens)
        mask = torch.arange(ids.shape[1]) < torch.tensor(lengths)[:, None]
        numbers = ids.float() * mask
        return Samples(ids, mask, numbers, 2 * numbers, torch.tensor([False, True]), 3 * numbers if foreign else None)

    for foreign in (False, True):
        parts = [some([[5, 9], [6, 7]], [1, 2], foreign), some([[1, 2, 3, 8], [4, 8, 8, 8]], [3, 1], foreign)]
        found = joined(parts, torch.tensor([1, 2, 3]))
        assert found.tokens.tolist() == [[6, 7, 7], [1, 2, 3], [4, 8, 8]], "cut to the longest, filled with its last token"
        assert found.mask.tolist() == [[True, True, False], [True] * 3, [True, False, False]]
        assert found.logprobs.tolist() == [[6, 7, 0], [1, 2, 3], [4, 0, 0]]
        assert found.values.tolist() == [[12, 14, 0], [2, 4, 6], [8, 0, 0]]
        assert found.truncated.tolist() == [True, False, True]
        expected = [[18, 21, 0], [3, 6, 9], [12, 0, 0]] if foreign else None
        assert (found.sampler_logprobs.tolist() if found.sampler_logprobs is not None else None) == expected


# In the trainer

DYNAMIC: dict[str, Any] = {
    "iterations": 4,
    "format_warmup": 10,
    "eval_every": 4,
    "rollout": {"prompts": 8, "group_size": 2, "dynamic_sampling": True, "max_rounds": 3, "prefetch": False},
    "objective": {"advantage": "dr_grpo", "aggregation": "sequence_sum"},
}


def config(**changes: Any) -> TrainConfig:
    """Tiny settings with dynamic sampling."""
    parts = {
        name: {**DYNAMIC.get(name, {}), **value} if isinstance(value, dict) else value for name, value in changes.items()
    }
    return tiny_config(**{**DYNAMIC, **parts})


@pytest.fixture
def asked(monkeypatch) -> list[list[int]]:
    """The questions of the training stream, round by round; the trainer's checks of a single question left out."""
    rounds: list[list[int]] = []
    sample = Rotation.sample

    def recorded(task: Rotation, stream: Stream) -> Batch:
        if len(stream) == DYNAMIC["rollout"]["prompts"] and stream.split == "train":
            rounds.append(stream.indices.tolist())
        return sample(task, stream)

    monkeypatch.setattr(Rotation, "sample", recorded)
    return rounds


def test_no_question_is_asked_twice_and_what_is_logged_says_how_many(tmp_path, asked):
    trainer = Trainer(config(format_warmup=0, policy={"max_new_tokens": 2}), tmp_path, quiet=True)
    trainer._keep_reference()
    asked.clear()
    lines = [trainer._step() for _ in range(3)]
    flat = [number for each in asked for number in each]
    assert flat == list(range(len(flat)))
    assert [line["rounds"] for line in lines] == [3, 3, 3], "an untrained policy of two tokens earns nothing"
    assert [line["questions_asked"] for line in lines] == [24, 24, 24]
    assert [line["groups_without_advantage"] for line in lines] == [1, 1, 1]
    assert [line["groups_without_advantage/asked"] for line in lines] == [1, 1, 1]
    assert [line["episodes"] for line in lines] == [48, 96, 144]
    assert trainer._counters["questions"] == len(flat) == 72


def test_a_rollout_of_several_rounds_is_on_policy(tmp_path):
    """Log-probabilities that were sampled in other rounds, beside other prompts, are those of the questions encoded anew."""
    trainer = Trainer(config(), tmp_path, quiet=True)
    assert trainer.run()
    lines = read_metrics(tmp_path)
    assert max(line["rounds"] for line in lines) > 1
    for line in lines:
        assert line["first_ratio_error"] < 1e-4
        assert line["groups_without_advantage"] <= line["groups_without_advantage/asked"]
    assert any(line["groups_without_advantage"] < line["groups_without_advantage/asked"] for line in lines)


def test_a_resumed_run_goes_on_with_the_questions_that_were_not_asked_yet(tmp_path):
    unbroken = Trainer(config(), tmp_path / "unbroken", quiet=True)
    assert unbroken.run()
    halted = Trainer(config(), tmp_path / "resumed", quiet=True)
    halt_after(halted, 2)
    kept = json.loads((newest(tmp_path / "resumed") / "trainer.json").read_text())
    assert kept["questions"] == sum(line["questions_asked"] for line in read_metrics(tmp_path / "resumed")) > 16
    resumed = Trainer(config(), tmp_path / "resumed", resume=True, quiet=True)
    assert resumed.run()
    assert numbers(resumed.out) == numbers(unbroken.out)
    assert_same_weights(resumed, unbroken)


def test_without_dynamic_sampling_an_iteration_has_the_questions_of_its_number(tmp_path, asked):
    trainer = Trainer(config(format_warmup=0, rollout={"dynamic_sampling": False, "max_rounds": 4}), tmp_path, quiet=True)
    trainer._keep_reference()
    asked.clear()
    lines = [trainer._step() for _ in range(2)]
    assert asked == [list(range(8)), list(range(8, 16))]
    assert "rounds" not in lines[0]
    assert "questions" not in trainer._counters


def test_a_smaller_pass_is_remembered_over_a_resumption(tmp_path, monkeypatch):
    """Once the memory ran out, no later iteration tries the same again."""
    trainer = Trainer(config(iterations=2), tmp_path, quiet=True)
    evaluate, sizes = trainer.policy.evaluate, []

    def tight(inputs: Any, *rest: Any) -> Any:
        if torch.is_grad_enabled():
            sizes.append(len(inputs))
            if len(inputs) > 2:
                raise torch.OutOfMemoryError
        return evaluate(inputs, *rest)

    trainer._teach_format()
    trainer._keep_reference()
    monkeypatch.setattr(trainer.policy, "evaluate", tight)
    trainer._step()
    assert (sizes[0], sizes[-1]) == (4, 2)
    sizes.clear()
    trainer._step()
    assert set(sizes) == {2}
    trainer._save()
    trainer.lock.release()
    assert Trainer(config(iterations=2), tmp_path, resume=True, quiet=True)._counters["micro_batch"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": {"advantage": "gae"}}, "dynamic_sampling .* gae; it goes with grpo, dr_grpo, rloo"),
        ({"objective": {"advantage": "reinforce++"}}, r"dynamic_sampling .* reinforce\+\+; it goes with"),
        ({"rollout": {"max_rounds": 0}}, "rollout.max_rounds must be at least 1"),
        ({"rollout": {"group_size": 1}}, "dr_grpo compares the answers of a group"),
        (
            {"objective": {"length_adaptive_alpha": 0.05}},
            "length_adaptive_alpha does nothing with an advantage other than gae",
        ),
        ({"objective": {"importance_cap": 0.0}}, "importance_cap must be positive"),
        ({"objective": {"surrogate": "cispo", "dual_clip": 3.0}}, "dual_clip does nothing with surrogate cispo"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        resolved(config(**changes))


def test_a_length_adaptive_lambda_must_be_positive():
    objective = {"advantage": "gae", "length_adaptive_alpha": -0.05}
    with pytest.raises(ValueError, match="length_adaptive_alpha must be positive"):
        resolved(config(rollout={"dynamic_sampling": False}, objective=objective))


def test_sampling_that_runs_out_of_memory_goes_on_in_halves(tmp_path, monkeypatch):
    """Once for the run: what fits is remembered, and the answers are those to the same questions."""
    trainer = Trainer(config(), tmp_path, quiet=True)
    generate = trainer.policy.generate
    asked: list[int] = []

    def short_of_memory(inputs: Any, *rest: Any, **more: Any) -> Samples:
        asked.append(len(inputs))
        if len(inputs) > 4:
            raise torch.OutOfMemoryError("too many at once")
        return generate(inputs, *rest, **more)

    monkeypatch.setattr(trainer.policy, "generate", short_of_memory)
    trainer._keep_reference()
    values = trainer.iterate()
    assert asked[0] == trainer.config.rollout.prompts == 8
    assert set(asked[1:]) == {4}
    assert values["episodes"] == 4 * (len(asked) - 1) * trainer.config.rollout.group_size
    assert values["first_ratio_error"] < 1e-4
    trainer.iteration += 1
    trainer.iterate()
    assert set(asked[1:]) == {4}
