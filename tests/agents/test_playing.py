"""Episodes of several decisions: played, learned from, resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ssl4rl_agents.policies.policy import Evaluation, Policy, Samples
from ssl4rl_agents.ppo import update
from ssl4rl_agents.ppo.randomness import Randomness
from ssl4rl_agents.ppo.rollout import Player, Rollout, Rules, rules_of
from ssl4rl_agents.ppo.supervised import demonstrated
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.runtime.optimizer import apply_gradients
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Batch, Stream, make_task
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.env import SSLEnv
from ssl4rl_envs.interface import Interface
from tests.agents import zoo
from tests.agents.rollouts import ONE
from tests.agents.tiny_runs import TINY, assert_same_weights, config, halt_after, numbers, train

GROUP = 2
TASK = make_task("SSL4RL/PatchSwap-v0", source="digits", image_size=36, grid=2, max_steps=4)
SWAPS: dict[str, Any] = {"source": "digits", "image_size": 36, "grid": 2, "max_steps": 4}


@dataclass
class States:
    """States as a scripted policy reads them."""

    batch: Batch

    def __len__(self) -> int:
        return len(self.batch)

    def rows(self, rows: Tensor) -> States:
        return States(self.batch.rows(rows.numpy()))


class Scripted(Policy):
    """Says what a function of the states says, each reply one token: its place among all that were said."""

    interface = "text"
    max_new_tokens = 1

    def __init__(self, say: Callable[[Batch], list[str]], value: float = 0.0) -> None:
        super().__init__()
        self.say, self.said, self.seen = say, list[str](), list[int]()
        self.value = nn.Parameter(torch.tensor(value))

    @property
    def critic(self) -> nn.Module:
        return self

    def observe(self, interface: Interface, batch: Batch) -> dict[str, Any]:
        del interface
        return {"batch": batch}

    def encode(self, observations: dict[str, Any]) -> States:
        return States(observations["batch"])

    def encode_answers(self, answers: Any) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def generate(self, inputs: States, repeats: int = 1, **how: Any) -> Samples:
        del how
        self.seen.append(len(inputs))
        said = [reply for reply in self.say(inputs.batch) for _ in range(repeats)]
        tokens = torch.arange(len(self.said), len(self.said) + len(said))[:, None]
        self.said += said
        zeros = torch.zeros(len(said), 1)
        cut = torch.tensor([reply.endswith("...") for reply in said])
        return Samples(tokens, torch.ones_like(tokens, dtype=torch.bool), zeros, zeros, cut)

    def evaluate(self, inputs: States, tokens: Tensor, mask: Tensor) -> Evaluation:
        zeros = torch.zeros(tokens.shape) + 0 * self.value
        return Evaluation(zeros, zeros, zeros + self.value)

    def decode(self, tokens: Tensor, mask: Tensor, truncated: Tensor) -> list[str]:
        return [self.said[token] for token in tokens[:, 0].tolist()]

    def save(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        raise NotImplementedError

    def load_weights(self, folder: Path) -> None:
        raise NotImplementedError


def right(batch: Batch) -> list[str]:
    return [wrap(words or "", "direct") for words in TASK.format_all(TASK.oracle(batch), batch)]


def played(say: Callable[[Batch], list[str]], rules: Rules = Rules(), questions: int = 6) -> tuple[Rollout, Scripted]:  # noqa: B008
    policy = Scripted(say, 7.0)
    batches = MicroBatches(4, ONE)
    player = Player(policy, Interface(TASK, "text", "direct"), GROUP, Randomness(0, ONE), batches, rules=rules)
    return player.play(TASK.sample(Stream.span("train", 0, 0, questions))), policy


def test_the_right_swaps_make_pictures_whole_and_rows_leave_as_they_end():
    rollout, policy = played(right)
    assert rollout.success.all()
    torch.testing.assert_close(rollout.scores, torch.ones(12))
    assert [turn.group_size for turn in rollout.turns] == [GROUP, *[1] * (len(rollout.turns) - 1)]
    left = [len(turn.episodes) for turn in rollout.turns]
    assert left == sorted(left, reverse=True)
    assert left[0] == 12 > left[-1]
    assert 1 < len(left) <= 3, "three swaps bring four tiles to their places"
    for earlier, later in zip(rollout.turns, rollout.turns[1:], strict=False):
        assert set(later.episodes.tolist()) <= set(earlier.episodes.tolist())
    assert sum(policy.seen) == 6 + sum(left[1:]), "the first prompt once a question, the others once an episode"
    assert max(policy.seen) <= 4 * GROUP, "a pass takes four questions with all their episodes"


def test_what_is_played_is_what_an_environment_pays():
    """Swaps that are wrong now and then, some of them no swap at all."""

    def sometimes(batch: Batch) -> list[str]:
        replies = right(batch)
        return [reply if number % 3 else "no idea" for number, reply in enumerate(replies)]

    rollout, policy = played(sometimes)
    env = SSLEnv(TASK, interface="text")
    for episode in range(12):
        env.reset(options={"index": episode // GROUP}, seed=0)
        for turn in rollout.turns:
            place = (turn.episodes == episode).nonzero().flatten()
            if not len(place):
                break
            reply = policy.decode(turn.samples.tokens[place], turn.samples.mask[place], turn.samples.truncated[place])[0]
            _, reward, terminated, truncated, info = env.step(reply)
            assert reward == float(turn.rewards[place])
        assert terminated or truncated
        assert info["success"] == bool(rollout.success[episode])


def test_an_episode_that_is_never_solved_ends_at_the_horizon_and_goes_on_by_its_value():
    plain, _ = played(lambda batch: ["no idea"] * len(batch))
    assert len(plain.turns) == 4
    assert plain.beyond is None
    assert not plain.scores.any()
    assert not plain.success.any()
    cut_off, _ = played(lambda batch: ["no idea"] * len(batch), Rules(bootstrap=True))
    assert cut_off.beyond is not None
    assert cut_off.beyond.tolist() == [7.0] * 12
    ended, _ = played(right, Rules(bootstrap=True))
    assert ended.beyond is not None
    assert not ended.beyond.any()


@pytest.mark.parametrize(("invalid", "turns"), [("repeat", 4), ("end", 1), ("penalise", 4)])
def test_what_becomes_of_a_reply_that_cannot_be_read(invalid, turns):
    rollout, _ = played(lambda batch: ["no idea"] * len(batch), Rules(invalid=invalid, penalty=0.25))
    assert len(rollout.turns) == turns
    assert not rollout.scores.any(), "what the environment pays stays what it is"
    assert rollout.credited.tolist() == [-0.25 * 4 if invalid == "penalise" else 0.0] * 12


def test_a_reply_that_ends_an_episode_does_not_go_on_by_a_value():
    rollout, _ = played(lambda batch: ["no idea"] * len(batch), Rules(invalid="end", bootstrap=True))
    assert rollout.beyond is not None
    assert not rollout.beyond.any()


def test_a_reply_that_was_cut_off_earns_nothing_and_solves_nothing():
    rollout, _ = played(lambda batch: [f"{reply} ..." for reply in right(batch)])
    assert not rollout.scores.any()
    assert not rollout.success.any()


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ({"advantage": "gae"}, False),
        ({"advantage": "gae", "gamma": 0.9}, True),
        ({"advantage": "bilevel_gae", "gamma": 0.9}, False),
        ({"advantage": "bilevel_gae", "turn_gamma": 0.9}, True),
        ({"advantage": "reinforce++", "gamma": 0.9}, False),
    ],
)
def test_values_stand_for_what_was_cut_off_where_a_critic_discounts_turns(objective, expected):
    """Undiscounted, the value of a state that leads to itself has nothing that holds it down."""
    settings = config(env="SSL4RL/PatchSwap-v0", env_args=SWAPS, objective=objective)
    assert rules_of(settings, TASK).bootstrap is expected
    assert not rules_of(settings, make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)).bootstrap


# Learned from

NANO: dict[str, Any] = {
    "env": "SSL4RL/PatchSwap-v0",
    "env_args": SWAPS,
    "format_warmup": 20,
    "eval_every": 4,
    "iterations": 4,
    "save_every": 4,
}


@pytest.mark.parametrize("advantage", ["gae", "turn_gae", "bilevel_gae", "turn_grpo", "step_grpo", "rloo", "reinforce++"])
def test_every_advantage_learns_from_turns_that_are_on_policy(tmp_path, advantage):
    trainer = train(tmp_path, **NANO, objective={"advantage": advantage}, rollout={"invalid": "penalise"})
    lines = read_metrics(tmp_path)
    assert max(line["turns/max"] for line in lines) > 1
    assert all(1 <= line["turns/mean"] <= line["turns/max"] <= 4 for line in lines)
    assert lines[0]["first_ratio_error"] < 1e-4
    assert all(line["first_ratio_error"] < 1e-3 for line in lines)
    assert trainer.iteration == 4


@pytest.mark.parametrize("context", ["turn", "window:2", "episode"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_a_run_of_episodes_resumes_bit_for_bit(tmp_path, dynamic, context):
    rollout = {"dynamic_sampling": dynamic, "max_rounds": 3} if dynamic else {}
    rollout["context"] = context
    changes = {**NANO, "objective": {"advantage": "turn_grpo"}, "rollout": rollout}
    unbroken = train(tmp_path / "unbroken", **changes)
    halted = Trainer(config(**changes), tmp_path / "resumed", quiet=True)
    halt_after(halted, 2)
    resumed = Trainer(config(**changes), tmp_path / "resumed", resume=True, quiet=True)
    assert resumed.run()
    assert numbers(resumed.out) == numbers(unbroken.out)
    assert_same_weights(resumed, unbroken)
    lines = read_metrics(tmp_path / "unbroken")
    assert max(line["turns/max"] for line in lines) > 2
    assert all(line["first_ratio_error"] < 1e-4 for line in lines)
    if dynamic:
        assert max(line["rounds"] for line in lines) > 1


def gradients(folder: Path, size: int) -> dict[str, Tensor]:
    """What an optimizer step learns from one rollout, so many questions a pass of the update."""
    settings = {
        **NANO,
        "optimizer": {"minibatches": 1, "epochs": 1, "max_grad_norm": 1e9},
        "objective": {"kl_coefficient": 0.0},
    }
    trainer = Trainer(config(**settings), folder, quiet=True)
    trainer._teach_format()
    trainer.micro_batches.size = size
    found: dict[str, Tensor] = {}

    def taken(*given: Any) -> float | None:
        named = trainer.policy.named_parameters()
        found.update({name: weight.grad.clone() for name, weight in named if weight.grad is not None})
        return apply_gradients(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(update, "apply_gradients", taken)
        values = trainer._step()
    assert values["reward"] > 0
    assert values["turns/max"] > 1
    return found


def test_gradients_do_not_depend_on_how_many_questions_a_pass_takes(tmp_path):
    whole, *parts = (gradients(tmp_path / str(size), size) for size in (8, 3))
    assert any(gradient.abs().max() > 1e-3 for gradient in whole.values())
    for other in parts:
        for name, gradient in whole.items():
            torch.testing.assert_close(other[name], gradient, atol=1e-5, rtol=1e-4)


def test_the_supervised_ceiling_is_shown_every_state_that_the_right_answers_come_to():
    batch = TASK.sample(Stream.span("train", 0, 0, 6))
    states, answers = demonstrated(TASK, batch)
    rollout, _ = played(right)
    assert len(states) == len(answers) == sum(len(turn.episodes) for turn in rollout.turns) // GROUP
    np.testing.assert_array_equal(states.rows(slice(0, 6)).observation["image"], batch.observation["image"])
    np.testing.assert_array_equal(answers, TASK.oracle(states))
    one = make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)
    single = one.sample(Stream.span("train", 0, 0, 2))
    assert demonstrated(one, single)[0] is single


@pytest.mark.parametrize("context", ["window:2", "episode"])
def test_an_agent_remembers_what_the_policy_learned_with(tmp_path, context):
    """The likeliest answers of an agent, row by row and joined, are those of conversations that are kept."""
    trainer = train(tmp_path, **NANO, rollout={"context": context})
    batch = TASK.sample(Stream.span("test", 3, 0, 5))
    interface = Interface(TASK, "text", "direct")
    generate = trainer.policy.generate
    talk = trainer.policy.talk

    def likeliest(*given: Any, **how: Any) -> Samples:
        return generate(*given, **{**how, "deterministic": True})

    def likely_talk(*given: Any) -> Any:
        found = talk(*given)
        reply = found.reply
        found.reply = lambda **how: reply(deterministic=True)
        return found

    player = Player(trainer.policy, interface, 1, Randomness(0, ONE), MicroBatches(8, ONE), rules=Rules(context=context))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.policy, "generate", likeliest)
        patch.setattr(trainer.policy, "talk", likely_talk)
        rollout = player.play(batch)
    agent = PolicyAgent(trainer.policy, context=context)
    state, rows = batch, np.arange(5)
    for turn in rollout.turns:
        assert turn.episodes.tolist() == rows.tolist()
        agent.begin(np.full(len(rows), turn is rollout.turns[0]))
        said = agent.act(interface.observe(state), deterministic=True)
        samples = turn.samples
        assert said == trainer.policy.decode(samples.tokens, samples.mask, samples.truncated)
        step = interface.step(state, said).step
        assert not step.terminated.any() or turn is rollout.turns[-1], "so that rows stay what they are"
        state, rows = step.state, rows[~step.terminated]


@pytest.mark.parametrize(
    ("built", "env", "arguments", "policy"),
    [
        ("qwen2_5_vl", "PatchSwap", SWAPS, {"lora_rank": 2}),
        ("llava", "PatchSwap", SWAPS, {"gradient_checkpointing": True}),
        ("llama", "GraphDistance", {"source": "sbm:500", "fanouts": [1, 1, 1, 1], "attempts": 3}, {}),
    ],
)
@pytest.mark.parametrize("context", ["window:2", "episode"])
def test_models_of_transformers_learn_from_conversations(tmp_path, built, env, arguments, policy, context):
    zoo.save(built, tmp_path / "model")
    changes = {
        "env": f"SSL4RL/{env}-v0",
        "env_args": arguments,
        "policy": {"model": str(tmp_path / "model"), "max_new_tokens": 6, **policy},
        "format_warmup": 0,
        "rollout": {"prompts": 4, "group_size": 2, "context": context, "invalid": "penalise"},
    }
    assert Trainer(TrainConfig.from_json({**TINY, **changes}), tmp_path / "run", quiet=True).run()
    for line in read_metrics(tmp_path / "run"):
        assert line["turns/max"] == (4 if env == "PatchSwap" else 3)
        assert line["first_ratio_error"] < 1e-4
        assert line["grad_norm"] > 0
