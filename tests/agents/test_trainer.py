"""The trainer: reproducible, resumable bit for bit, blind to targets, and able to learn."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from PIL import Image
from scipy import stats

from ssl4rl_agents import checks, ranges
from ssl4rl_agents.checks import resolved
from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.ppo import supervised
from ssl4rl_agents.ppo import trainer as trainer_module
from ssl4rl_agents.ppo.first_ratio import FirstRatioError
from ssl4rl_agents.ppo.rollout import Player
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.checkpoint import newest
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.settings import OptimizerConfig, TrainConfig
from ssl4rl_envs import Batch, Score, Stream, Task
from ssl4rl_envs.answers import AnswerFormat
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.task import exact_score
from tests.agents.tiny_runs import assert_same_weights, config, numbers, tasks_built_once, train  # noqa: F401

# One iteration


@pytest.mark.parametrize("advantage", ["gae", "grpo"])
@pytest.mark.parametrize("freeze_vision", [False, True])
def test_the_first_minibatch_has_ratio_one(tmp_path, advantage, freeze_vision):
    train(tmp_path, objective={"advantage": advantage}, policy={"freeze_vision": freeze_vision})
    for line in read_metrics(tmp_path):
        assert line["first_ratio_error"] < 1e-4
        assert line["max_ratio"] > 1


def test_a_sampling_pass_that_lies_stops_the_run(tmp_path, monkeypatch):
    """By 0.1 nats, which no rounding explains; by 1e-3 it is logged and the run goes on."""
    lie = 0.1

    play = Player.play

    def lying(*args: Any) -> Any:
        rollout = play(*args)
        samples = rollout.turns[0].samples
        samples.logprobs = samples.logprobs - lie
        return rollout

    monkeypatch.setattr(Player, "play", lying)
    with pytest.raises(FirstRatioError, match=r"first_ratio_error is 0\.105: .*more than 0\.01 from 1 \(in float32"):
        train(tmp_path / "lies", iterations=1)
    lie = 1e-3
    train(tmp_path / "rounds", iterations=1)
    assert read_metrics(tmp_path / "rounds")[0]["first_ratio_error"] == pytest.approx(np.exp(lie) - 1, rel=0.05)


def test_every_number_worth_watching_is_logged(tmp_path):
    train(tmp_path)
    lines = read_metrics(tmp_path)
    assert [line["iteration"] for line in lines] == [1, 2]
    expected = {
        "reward": (0, 1),
        "success": (0, 1),
        "approx_kl": (0, np.inf),
        "kl/reference": (-np.inf, np.inf),
        "clipped_low": (0, 1),
        "clipped_high": (0, 1),
        "max_ratio": (1, np.inf),
        "explained_variance": (-np.inf, 1),
        "entropy": (0, 10),
        "loss/policy": (-np.inf, np.inf),
        "loss/value": (0, np.inf),
        "length/mean": (1, 16),
        "length/max": (1, 16),
        "truncated": (0, 1),
        "grad_norm": (0, np.inf),
        "groups_without_advantage": (0, 1),
        "learning_rate": (0, 1),
        "optimizer_steps": (4, 4),
        "skipped_steps": (0, 0),
        "stopped_early": (0, 0),
        "tokens_per_second": (0, np.inf),
        "episodes_per_second": (0, np.inf),
        "seconds": (0, np.inf),
        "seconds/questions": (0, np.inf),
        "seconds/answers": (0, np.inf),
        "seconds/update": (0, np.inf),
        "seconds/iteration": (0, np.inf),
        "memory_mb": (1, np.inf),
    }
    for line in lines:
        for name, (low, high) in expected.items():
            assert low <= line[name] <= high, name
    assert [line["episodes"] for line in lines] == [16, 32]
    assert lines[1]["tokens"] > lines[0]["tokens"] >= 16
    assert "validation/success" in lines[1]
    assert "validation/success" not in lines[0]


def test_no_reference_is_kept_without_a_coefficient(tmp_path):
    trainer = train(tmp_path, objective={"kl_coefficient": 0.0})
    assert trainer.reference is None
    assert not (tmp_path / "reference").exists()
    assert "kl/reference" not in read_metrics(tmp_path)[0]


def test_the_divergence_from_the_reference_starts_at_zero(tmp_path):
    train(tmp_path)
    first, second = read_metrics(tmp_path)
    assert abs(first["kl/reference"]) < 1e-5
    assert abs(second["kl/reference"]) > 1e-5


@pytest.mark.parametrize("kl_loss", ["none", "k2", "k3"])
def test_the_divergence_term_pulls_towards_the_reference(tmp_path, kl_loss, monkeypatch):
    """With an overwhelming coefficient the policy ends nearer to its start, whatever it earns."""

    play = Player.play

    def earning(*args: Any) -> Any:
        rollout = play(*args)
        (turn,) = rollout.turns
        turn.rewards = (turn.samples.tokens[:, 0] % 2).float()
        return rollout

    monkeypatch.setattr(Player, "play", earning)
    moved = {}
    for coefficient in (1e-6, 30.0):
        folder = tmp_path / str(coefficient)
        objective = {"kl_loss": kl_loss, "kl_coefficient": coefficient, "value_coefficient": 0.0}
        train(folder, iterations=5, eval_every=5, objective=objective, optimizer={"warmup_iterations": 0})
        moved[coefficient] = abs(read_metrics(folder)[-1]["kl/reference"])
    assert moved[30.0] < moved[1e-6]


def test_the_critic_can_learn_first_and_alone(tmp_path):
    trainer = Trainer(config(iterations=3, objective={"critic_warmup_iterations": 2}), tmp_path, quiet=True)
    trainer._teach_format()
    trainer._keep_reference()
    states = [{name: value.clone() for name, value in trainer.policy.state_dict().items()}]
    for _ in range(3):
        trainer._step()
        states.append({name: value.clone() for name, value in trainer.policy.state_dict().items()})
    changed = [{n for n in one if not torch.equal(one[n], two[n])} for one, two in itertools.pairwise(states)]
    assert changed[0] <= {"value_head.weight", "value_head.bias"}
    assert changed[1] <= {"value_head.weight", "value_head.bias"}
    assert changed[0] | changed[1]
    assert "model.vision_tower.positions" in {name.removeprefix("model.") for name in changed[2]}


def test_the_learning_rate_rises_and_falls():
    falling = OptimizerConfig(learning_rate=1.0, warmup_iterations=1)
    assert [falling.rate_at(i, 10) for i in (0, 1, 5, 9)] == pytest.approx([0.5, 0.9, 0.5, 0.1])
    constant = OptimizerConfig(learning_rate=1.0, warmup_iterations=1, schedule="constant")
    assert [constant.rate_at(i, 10) for i in (0, 1, 5)] == pytest.approx([0.5, 1, 1])


def test_a_cut_off_answer_scores_nothing(tmp_path):
    """Even if what was said so far would be right."""
    trainer = Trainer(config(), tmp_path, quiet=True)
    batch = trainer.task.sample(Stream.span("train", 0, 0, 8))
    right = trainer.policy.encode_answers(supervised.written(trainer.interface, trainer.task.oracle(batch), batch))

    class Cut:
        """Says the right answers, every other of which was cut off, and would decode them regardless."""

        def observe(self, *_: Any) -> None: ...

        def encode(self, _: Any) -> list[int]:
            return list(range(len(batch)))

        def generate(self, inputs: Any, repeats: int, **_: Any) -> Samples:
            tokens, mask = (part.repeat_interleave(repeats, 0) for part in right)
            return Samples(tokens, mask, mask.float(), mask.float(), torch.arange(len(tokens)) % 2 == 1)

        def decode(self, tokens: Any, mask: Any, truncated: Any) -> list[str]:
            return trainer.policy.decode(tokens, mask, torch.zeros_like(truncated))

    cut: Any = Cut()
    rollout = Player(cut, trainer.interface, 2, trainer.randomness, MicroBatches(8, trainer.processes)).play(batch)
    assert rollout.scores.tolist() == [1.0, 0.0] * 8
    assert rollout.success.tolist() == [True, False] * 8


def test_gradients_that_are_not_finite_are_skipped_and_counted(tmp_path):
    trainer = Trainer(config(format_warmup=0, objective={"kl_coefficient": 0.0}), tmp_path, quiet=True)
    before = {name: value.clone() for name, value in trainer.policy.state_dict().items()}
    hook = trainer.policy.value_head.bias.register_hook(lambda grad: grad * torch.nan)
    assert trainer.run()
    assert [line["skipped_steps"] for line in read_metrics(tmp_path)] == [4, 8]
    for name, value in trainer.policy.state_dict().items():
        assert torch.equal(value, before[name]), name
    hook.remove()


def test_one_skipped_step_leaves_the_others_alone(tmp_path):
    calls: list[int] = []
    trainer = Trainer(config(iterations=1), tmp_path, quiet=True)

    def second(grad: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return grad * torch.inf if len(calls) == 2 else grad

    trainer._teach_format = lambda: None  # type: ignore[method-assign]
    trainer.policy.value_head.bias.register_hook(second)
    assert trainer.run()
    line = read_metrics(tmp_path)[0]
    assert line["skipped_steps"] == 1
    assert line["optimizer_steps"] == 4
    assert np.isfinite(line["grad_norm"])
    assert all(value.isfinite().all() for value in trainer.policy.state_dict().values())


def test_the_mean_gradient_norm_is_over_the_steps_that_have_one(tmp_path, monkeypatch):
    norms = iter([None, 2.0, 2.0, 2.0])
    monkeypatch.setattr("ssl4rl_agents.ppo.update.apply_gradients", lambda *_: next(norms))
    train(tmp_path, iterations=1)
    assert read_metrics(tmp_path)[0]["grad_norm"] == pytest.approx(2.0)


def test_an_update_stops_when_the_policy_has_moved_far_enough(tmp_path):
    fast = {"learning_rate": 0.05, "warmup_iterations": 0, "epochs": 4}
    train(tmp_path / "stops", iterations=1, optimizer=fast, objective={"target_kl": 1e-3})
    train(tmp_path / "goes on", iterations=1, optimizer=fast)
    stopped, free = read_metrics(tmp_path / "stops")[0], read_metrics(tmp_path / "goes on")[0]
    assert stopped["stopped_early"] == 1
    assert 1 <= stopped["optimizer_steps"] < free["optimizer_steps"] == 8
    assert stopped["approx_kl"] <= 1e-3
    assert free["stopped_early"] == 0


@pytest.mark.parametrize("micro_batch", [1, 3])
def test_the_micro_batch_changes_no_curve(tmp_path, micro_batch):
    """Where answers are rewarded: without rewards, whitened advantages are nothing but rounding errors."""
    settings = {"format_warmup": 40}
    whole = train(tmp_path / "whole", **settings)
    cut = train(tmp_path / "cut", **settings, optimizer={"micro_batch": micro_batch})
    assert all(line["reward"] > 0 for line in numbers(whole.out))
    for one, two in zip(numbers(whole.out), numbers(cut.out), strict=True):
        assert one == pytest.approx(two, abs=1e-3)


# Reproducing and resuming


def test_the_same_seed_gives_the_same_run(tmp_path):
    one, two, other = train(tmp_path / "1"), train(tmp_path / "2"), train(tmp_path / "3", seed=1)
    assert numbers(one.out) == numbers(two.out)
    assert_same_weights(one, two)
    assert numbers(one.out) != numbers(other.out)


def test_an_agent_measures_the_same_each_time(tmp_path):
    trainer = train(tmp_path)
    first, second = (trainer.measure("test", 40).to_json() for _ in range(2))
    first.pop("seconds")
    assert {name: second[name] for name in first} == first


# What training may know


class SealedRotation(Rotation):
    """Rotation whose batches hold a number in place of the target, that only scoring can open."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.truths = np.zeros(0, np.int64)

    def make(self, stream: Stream) -> Batch:
        batch = super().make(stream)
        sealed = len(self.truths) + np.arange(len(batch))
        self.truths = np.concatenate([self.truths, batch.target])
        return Batch(batch.observation, sealed, batch.items)

    def score(self, answers: np.ndarray, batch: Batch) -> Score:
        return exact_score(answers, self.truths[batch.target])

    def oracle(self, batch: Batch) -> np.ndarray:
        raise AssertionError("the oracle was asked in training")


def test_training_never_reads_targets_but_through_scores(tmp_path, monkeypatch):
    """With sealed targets and a forbidden oracle PPO does the very same, format warm-up included."""
    for name, cls in (("open", Rotation), ("sealed", SealedRotation)):
        task = cls(source="digits", image_size=36).paired("the same questions")
        monkeypatch.setattr(trainer_module, "make_task", lambda *_, task=task, **__: task)
        trainer = Trainer(config(), tmp_path / name, quiet=True)
        monkeypatch.setattr(trainer, "measure", lambda *_: _Nothing())
        assert trainer.run()
    assert numbers(tmp_path / "open") == numbers(tmp_path / "sealed")


class _Nothing:
    reward = success = seconds = 0.0


def test_sft_does_read_targets(tmp_path, monkeypatch):
    """The test above means something."""
    monkeypatch.setattr(trainer_module, "make_task", lambda *_, **__: SealedRotation(source="digits", image_size=36))
    with pytest.raises(AssertionError, match="oracle"):
        Trainer(config(algorithm="sft"), tmp_path, quiet=True).run()


def test_warm_up_replies_are_valid_and_know_nothing_of_the_target(tmp_path, monkeypatch):
    trainer = Trainer(config(format_warmup=20, rollout={"prompts": 100}), tmp_path, quiet=True)
    targets, replies = [], []

    sample = Rotation.sample

    def recorded_sample(task: Rotation, stream: Stream) -> Batch:
        batch = sample(task, stream)
        targets.append(batch.target)
        return batch

    def recorded_step(_: Any, inputs: Any, texts: list[str]) -> tuple[torch.Tensor, float]:
        replies.extend(texts)
        return torch.zeros(()), 0.0

    monkeypatch.setattr(Rotation, "sample", recorded_sample)
    monkeypatch.setattr(supervised.CrossEntropy, "descend", recorded_step)
    monkeypatch.setattr(trainer.policy, "encode", lambda _: None)
    trainer._teach_format()
    monkeypatch.undo()
    answers, answered = trainer.task.parse_all(replies, trainer.task.sample(Stream.span("train", 0, 0, 1)), "direct")
    truth = np.repeat(np.concatenate(targets[1:]), 4)  # the first shows a prompt's length; the others have four replies each
    assert len(truth) == len(answers) == 2000
    assert answered.all()
    table = np.histogram2d(truth, answers, bins=(4, 4))[0]
    assert stats.chi2_contingency(table).pvalue > 1e-4
    assert stats.chisquare(table.sum(0)).pvalue > 1e-4


def test_warm_up_teaches_to_answer_validly(tmp_path):
    trainer = Trainer(config(format_warmup=30, rollout={"prompts": 32}), tmp_path, quiet=True)
    batch = trainer.task.sample(Stream.span("train", 0, 0, 64))

    def share_of_valid() -> float:
        inputs = trainer.policy.encode(trainer.interface.observe(batch))
        samples = trainer.policy.generate(inputs, generator=torch.Generator().manual_seed(0))
        said = trainer.policy.decode(samples.tokens, samples.mask, samples.truncated)
        return float(trainer.interface.step(batch, said).answered.mean())

    before = share_of_valid()
    trainer._teach_format()
    assert before < 0.1
    assert share_of_valid() > 0.8


# Learning


class Colours(Task):
    """Which of four plain colours is it?"""

    asks = "which colour it is"

    def __init__(self) -> None:
        self.images = ("image",)
        self.observation_space = spaces.Dict({"image": spaces.Box(0, 255, (36, 36, 3), np.uint8)})
        self.action_space = spaces.Discrete(4)
        self.answer_format = AnswerFormat(labels=("0", "1", "2", "3"))
        self.chance = 0.25

    def make(self, stream: Stream) -> Batch:
        target = stream.integers(0, 4)
        palette = np.array([[220, 30, 30], [30, 220, 30], [30, 30, 220], [200, 200, 40]], np.uint8)
        pictures = np.broadcast_to(palette[target][:, None, None], (len(target), 36, 36, 3)).copy()
        return Batch({"image": pictures}, target, np.arange(len(target)))

    def score(self, answers: np.ndarray, batch: Batch) -> Score:
        return exact_score(answers, batch.target)

    def question(self, batch: Batch) -> list[str]:
        return ["Red 0, green 1, blue 2, yellow 3?"] * len(batch)

    def example(self) -> int:
        return 1


@pytest.fixture
def colours(monkeypatch) -> Iterator[None]:
    monkeypatch.setattr(trainer_module, "make_task", lambda *_, **__: Colours())
    return


CISPO = {"surrogate": "cispo", "clip_low": 1.0, "clip_high": 2.0}
GSPO = {"surrogate": "gspo", "aggregation": "sequence_mean"}
SOLVERS: dict[str, tuple[dict[str, Any], float]] = {
    "gae": ({"objective": {"advantage": "gae"}, "iterations": 35}, 0.9),
    "reinforce++": ({"objective": {"advantage": "reinforce++"}}, 0.4),
    "grpo, cispo, dapo": ({"objective": {"advantage": "grpo", **CISPO}, "rollout": {"dynamic_sampling": True}}, 0.4),
    "rloo, gspo": ({"objective": {"advantage": "rloo", **GSPO}}, 0.4),
}
"""With a critic, without groups, and with groups by every other surrogate; the formulas by hand are in other tests."""


@pytest.mark.parametrize(("changes", "enough"), SOLVERS.values(), ids=SOLVERS)
def test_a_bandit_is_solved(tmp_path, colours, changes, enough):
    settings: dict[str, Any] = {"iterations": 10, "format_warmup": 20, "eval_every": 100, "eval_episodes": 64, **changes}
    settings["rollout"] = {"prompts": 32, "group_size": 4, **settings.get("rollout", {})}
    trainer = train(tmp_path, **settings)
    assert trainer.measure("test", 128).success > enough


def test_the_supervised_ceiling_is_reached_by_cross_entropy(tmp_path, colours):
    optimizer = {"warmup_iterations": 0}
    trainer = train(tmp_path, algorithm="sft", iterations=14, rollout={"prompts": 32}, eval_every=100, optimizer=optimizer)
    assert trainer.measure("test", 128).success > 0.9
    assert read_metrics(tmp_path)[-1]["loss/cross_entropy"] < read_metrics(tmp_path)[0]["loss/cross_entropy"]


def test_reasoning_before_the_answer_can_be_trained(tmp_path, colours):
    trainer = train(tmp_path, prompt_style="think", policy={"max_new_tokens": 24}, format_warmup=20)
    lines = read_metrics(tmp_path)
    assert trainer.interface.prompt_style == "think"
    assert lines[-1]["length/mean"] > 3


# Settings


def test_settings_survive_json():
    some = config(
        seed=3,
        prompt_style="think",
        optimizer={"betas": [0.8, 0.9], "micro_batch": 2, "learning_rate": 1e-4},
        objective={"advantage": "rloo", "kl_loss": "k3", "kl_coefficient": 0.2, "dual_clip": 3.0},
    )
    again = TrainConfig.from_json(json.loads(json.dumps(some.to_json())))
    assert again == some
    assert again.optimizer.betas == (0.8, 0.9)
    assert TrainConfig.from_json(json.loads(json.dumps(resolved(some).to_json()))) == resolved(some)


def test_defaults_depend_on_the_model():
    nano, pretrained = resolved(TrainConfig()), resolved(config(policy={"model": "some/model"}, format_warmup=None))
    assert (nano.optimizer.learning_rate, nano.objective.kl_coefficient, nano.format_warmup) == (1.5e-3, 0.1, 40)
    assert (pretrained.optimizer.learning_rate, pretrained.objective.kl_coefficient) == (1e-6, 0.0)
    assert pretrained.format_warmup == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rollout": {"group_size": 1}, "objective": {"advantage": "grpo"}}, "grpo.*group_size must be 2"),
        ({"rollout": {"group_size": 1}, "objective": {"advantage": "rloo"}}, "rloo.*group_size must be 2"),
        ({"rollout": {"prompts": 7}}, r"prompts \(7\) must be a multiple of optimizer.minibatches \(2\)"),
        ({"rollout": {"prompts": 0}}, "rollout.prompts must be at least 1, got 0"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"save_every": 0}, "save_every must be at least 1, got 0"),
        ({"eval_every": -1}, "eval_every must be at least 1, got -1"),
        ({"optimizer": {"epochs": 0}}, "optimizer.epochs must be at least 1"),
        ({"optimizer": {"micro_batch": 0}}, "micro_batch must be at least 1"),
        ({"optimizer": {"micro_batch": -2}}, "micro_batch must be at least 1"),
        ({"format_warmup": -3}, "format_warmup must be at least 0"),
        ({"policy": {"temperature": 0.0}}, "temperature must be positive"),
        (
            {"objective": {"advantage": "grpo", "critic_warmup_iterations": 1}},
            "critic_warmup_iterations does nothing with an advantage other than gae",
        ),
        ({"objective": {"kl_loss": "k2", "kl_coefficient": 0.0}}, "does nothing with kl_coefficient 0"),
        (
            {"policy": {"lora_rank": 4}},
            "a nano from scratch learns as a whole.*lora_rank to 0.*folder of one that has learned",
        ),
        ({"policy": {"lora_rank": -1, "model": "some/model"}}, "lora_rank must be at least 0, got -1"),
        ({"policy": {"lora_alpha": 4}}, "lora_alpha does nothing with lora_rank 0"),
        ({"policy": {"weights": "bfloat16"}}, "would lose the small steps"),
        ({"objective": {"dual_clip": 0.5}}, "dual_clip must be greater than 1, got 0.5"),
        ({"objective": {"target_kl": -1.0}}, "target_kl must be positive"),
        ({"objective": {"kl_coefficient": -0.1}}, "kl_coefficient must be at least 0"),
        ({"rollout": {"engine_memory": 1.5}}, "engine_memory must lie between 0 and 1"),
        ({"format_learning_rate": 0.0}, "format_learning_rate must be positive"),
        ({"objective": {"advantage": "grpo", "value_clip": 0.2}}, "value_clip does nothing with an advantage other than gae"),
        ({"objective": {"advantage": "rloo", "gamma": 0.9}}, "gamma does nothing with advantages of groups"),
        (
            {"objective": {"gae_lambda": 0.9, "length_adaptive_alpha": 0.1}},
            "gae_lambda does nothing with length_adaptive_alpha",
        ),
        ({"objective": {"surrogate": "cispo", "dual_clip": 3.0}}, "dual_clip does nothing with surrogate cispo"),
        ({"rollout": {"max_rounds": 2}}, "max_rounds does nothing with dynamic_sampling off"),
        ({"rollout": {"engine_memory": 0.5}}, "engine_memory does nothing with engine policy"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        resolved(config(**changes))


def test_every_setting_that_is_checked_exists():
    """And a run's settings, once filled in, are accepted again: by a resumed run, and by its supervised ceiling."""
    some = resolved(TrainConfig())
    for names in (*(row[0] for row in ranges.RANGES), *(row[0] for row in checks.IDLE)):
        for name in names:
            assert checks.default_of(some, name) != dataclasses.MISSING
            checks.value_of(some, name)
    assert resolved(some) == some
    odd = resolved(config(objective={"advantage": "reinforce++", "gamma": 0.9}, rollout={"group_size": 1}))
    assert resolved(dataclasses.replace(odd, algorithm="sft"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"iteration": 3}, "no setting iteration"),
        ({"rollout": {"prompt": 3}}, "rollout has no setting prompt; did you mean 'prompts'"),
    ],
)
def test_unknown_settings_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.from_json(data)


def test_refused_settings_leave_no_folder(tmp_path):
    with pytest.raises(ValueError, match="multiple"):
        Trainer(config(rollout={"prompts": 7}), tmp_path / "run", quiet=True)
    with pytest.raises(ValueError, match="angles"):
        Trainer(config(env_args={"angles": 7}), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_model_that_cannot_be_built_does_not_claim_the_folder(tmp_path):
    """Or the next attempt would be told that the folder holds a run."""
    with pytest.raises(OSError, match="no such model"):
        Trainer(config(policy={"model": str(tmp_path / "no such model")}), tmp_path / "run", quiet=True)
    assert Trainer(config(), tmp_path / "run", quiet=True).iteration == 0


def test_a_policy_is_built_from_a_model_folder(tmp_path, kind, make_policy, padded, task):
    policy = make_policy(kind)
    policy.save(tmp_path)
    settings = config(policy={"model": str(tmp_path), "temperature": 0.5}).policy
    built = build_policy(settings, task, 0, torch.device("cpu"))
    assert built.temperature == 0.5
    tokens, _ = policy.encode_answers(["90"] * 3)
    with torch.no_grad():
        one = policy.model(**_whole(policy, padded, tokens)).logits
        two = built.model(**_whole(built, padded, tokens)).logits
    assert torch.equal(one, two)


def _whole(policy: Any, observations: dict[str, Any], tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    inputs = policy.encode(observations)
    mask = torch.cat([inputs.attention_mask, torch.ones_like(tokens)], dim=1)
    ids = torch.cat([inputs.input_ids, tokens], dim=1)
    return {"input_ids": ids, "attention_mask": mask, "pixel_values": inputs.pictures["pixel_values"].flatten(0, 1)}


def test_a_source_that_cannot_be_written_down_overwrites_nothing(tmp_path):
    train(tmp_path)
    arrays = np.random.default_rng(0).integers(0, 256, (40, 36, 36), dtype=np.uint8)
    with pytest.raises(ValueError, match="folder:PATH"):
        Trainer(config(env_args={"source": arrays, "image_size": 36}), tmp_path, overwrite=True, quiet=True)
    assert newest(tmp_path).is_dir()


def test_a_split_without_pictures_is_an_error_before_training(tmp_path):
    for seed in range(5):
        picture = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{seed}.png")
    with pytest.raises(ValueError, match="none of them falls into the split"):
        Trainer(config(env_args={"source": f"folder:{tmp_path}", "image_size": 36}), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_what_is_logged_is_a_mean_over_tokens_however_the_loss_is_weighted(tmp_path):
    """With one step from the same weights, the weighting of the loss changes nothing that is logged before it."""
    logged = []
    for aggregation in ("token_mean", "sequence_mean", "sequence_sum"):
        settings = {"optimizer": {"epochs": 1, "minibatches": 1}, "objective": {"aggregation": aggregation}}
        line = read_metrics(train(tmp_path / aggregation, iterations=1, **settings).out)[0]
        logged.append([line["entropy"], line["loss/value"], line["approx_kl"]])
    np.testing.assert_allclose(logged[1:], [logged[0]] * 2, rtol=1e-5, atol=1e-7)


def test_a_model_folder_is_no_run_and_is_not_overwritten(tmp_path, make_policy):
    make_policy("nano").save(tmp_path)
    with pytest.raises(FileExistsError, match="not a run folder"):
        Trainer(config(), tmp_path, overwrite=True, quiet=True)
    assert (tmp_path / "model.safetensors").exists()
