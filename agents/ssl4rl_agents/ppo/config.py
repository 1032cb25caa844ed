"""Every setting of a training run; each is a flag of ``ssl4rl train``, with the text below it as its help."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

Algorithm = Literal["ppo", "sft"]
Advantage = Literal["gae", "grpo", "rloo", "reinforce++"]
Aggregation = Literal["token_mean", "sequence_mean", "sequence_sum"]
KLLoss = Literal["none", "k2", "k3"]


@dataclass(frozen=True)
class PolicyConfig:
    """The network."""

    model: str = "nano"
    """"nano" (built in, from scratch), or the folder or hub name of an image-text-to-text model of transformers."""
    max_new_tokens: int = 16
    """Longest answer in tokens, its end included; raise it for prompt_style think."""
    temperature: float = 1.0
    """Divides the logits wherever they are used."""
    freeze_vision: bool = False
    """Leave the vision tower and its connector as they are; pictures then run through them once an iteration."""


@dataclass(frozen=True)
class RolloutConfig:
    """What is asked in an iteration."""

    prompts: int = 128
    """Questions an iteration."""
    group_size: int = 4
    """Answers to each question."""


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights move."""

    learning_rate: float | None = None
    """Step size; by default 1.5e-3 for nano and 1e-6 for a pretrained model."""
    schedule: Literal["constant", "linear"] = "linear"
    """Constant after the warm-up, or falling linearly to 0 at the end of the run."""
    warmup_iterations: int = 5
    """Iterations over which the learning rate rises from 0."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's averaging factors."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    epochs: int = 3
    """Passes over the answers of an iteration."""
    minibatches: int = 4
    """Optimizer steps a pass."""
    micro_batch: int | None = None
    """Questions (with all their answers) a forward pass; None takes a whole minibatch. Changes the memory of
    the update, not its gradients."""


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is maximised."""

    advantage: Advantage = "gae"
    """gae (PPO with a critic), grpo, rloo or reinforce++; the group ones need group_size of 2 or more."""
    gamma: float = 1.0
    """Discount from token to token."""
    gae_lambda: float = 1.0
    """Mixing of GAE for the policy's advantages; 1 gives returns minus values."""
    critic_lambda: float = 1.0
    """Mixing of GAE for the critic's targets; 1 gives Monte-Carlo returns (decoupled GAE, VAPO, arXiv 2504.05118)."""
    critic_warmup_iterations: int = 0
    """First iterations in which the critic alone learns, from the frozen policy's answers (VC-PPO, arXiv 2503.01491); of use
    where answers are long or episodes have several steps."""
    clip_low: float = 0.2
    """The probability ratio is clipped at 1 - clip_low."""
    clip_high: float = 0.28
    """The probability ratio is clipped at 1 + clip_high."""
    dual_clip: float | None = None
    """For negative advantages, bounds the objective below by this many times the advantage (Ye et al. 2020); None is off."""
    aggregation: Aggregation = "token_mean"
    """Mean over tokens, mean over answers of their token means, or token sums over answers and a constant length."""
    value_coefficient: float = 0.5
    """Weight of the value loss; used with gae."""
    value_clip: float | None = None
    """Clips how far values move in an update; None is off, best for rewards of 0 and 1."""
    entropy_coefficient: float = 0.0
    """Weight of the entropy bonus. It rewards every token of the vocabulary alike, well-formed or not."""
    kl_coefficient: float | None = None
    """Weight of the divergence from the initial policy (for a fresh model: after the format warm-up, when all valid answers
    are equally likely); 0 keeps no reference copy. By default 0.1 for nano, which keeps it exploring, and 0 for a pretrained
    model."""
    kl_loss: KLLoss = "none"
    """none: the divergence is a detached per-token k1 penalty in the reward. k2, k3: a loss term instead (k3's gradient is
    that of another divergence: biased)."""
    target_kl: float | None = None
    """Stop the passes of an iteration when the approximate divergence from the sampling policy exceeds this."""


@dataclass(frozen=True)
class TrainSettings:
    """How to train, whatever the environment."""

    prompt_style: Literal["direct", "think"] = "direct"
    """direct, or think for answers that reason first."""
    algorithm: Algorithm = "ppo"
    """ppo, or sft: cross-entropy on the free labels, the supervised ceiling."""
    iterations: int = 110
    """Rounds of asking and updating."""
    seed: int = 0
    """Decides the initial weights, the questions and the sampling; evaluation asks the same questions for every seed."""
    format_warmup: int | None = None
    """Steps in which random valid answers teach a fresh model how an answer is written; it never sees a target. By default
    40 for nano and 0 for a pretrained model."""
    eval_every: int = 10
    """Iterations between measurements on the validation split."""
    eval_episodes: int = 256
    """Episodes of such a measurement."""
    test_episodes: int = 2048
    """Episodes of the measurements on the test split before and after training."""
    save_every: int = 25
    """Iterations between checkpoints; the last two are kept."""
    device: str = "auto"
    """auto takes a CUDA GPU if there is one, with bfloat16 autocast; or cpu, cuda, cuda:1, ..."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)


@dataclass(frozen=True)
class TrainConfig(TrainSettings):
    """A training run: an environment and how to train on it."""

    env: str = "SSL4RL/Rotation-v0"
    """Id of the environment."""
    env_args: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of its task."""

    def resolved(self) -> TrainConfig:
        """Fill in the defaults that depend on the model, and check the settings against each other.

        Raises:
            ValueError: a setting is out of its range or does not go with another.
        """
        nano = self.policy.model == "nano"
        optimizer, objective = self.optimizer, self.objective
        if optimizer.learning_rate is None:
            optimizer = dataclasses.replace(optimizer, learning_rate=1.5e-3 if nano else 1e-6)
        if objective.kl_coefficient is None:
            objective = dataclasses.replace(objective, kl_coefficient=0.1 if nano else 0.0)
        warmup = self.format_warmup if self.format_warmup is not None else (40 if nano else 0)
        config = dataclasses.replace(self, optimizer=optimizer, objective=objective, format_warmup=warmup)
        config._check()
        return config

    def _check(self) -> None:
        group, prompts = self.rollout.group_size, self.rollout.prompts
        positive = {
            "iterations": self.iterations,
            "rollout.prompts": prompts,
            "rollout.group_size": group,
            "optimizer.epochs": self.optimizer.epochs,
            "optimizer.minibatches": self.optimizer.minibatches,
            "policy.max_new_tokens": self.policy.max_new_tokens,
            "eval_every": self.eval_every,
            "eval_episodes": self.eval_episodes,
            "test_episodes": self.test_episodes,
            "save_every": self.save_every,
        }
        for name, value in positive.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        rates = {"learning_rate": self.optimizer.learning_rate or 0.0, "max_grad_norm": self.optimizer.max_grad_norm}
        for name, rate in rates.items():
            if rate <= 0:
                raise ValueError(f"optimizer.{name} must be positive, got {rate}")
        if self.optimizer.warmup_iterations < 0:
            raise ValueError(f"optimizer.warmup_iterations must be at least 0, got {self.optimizer.warmup_iterations}")
        for name in ("gamma", "gae_lambda", "critic_lambda", "clip_low"):
            if not 0 <= getattr(self.objective, name) <= 1:
                raise ValueError(f"objective.{name} must lie in [0, 1], got {getattr(self.objective, name)}")
        if self.objective.clip_high < 0:
            raise ValueError(f"objective.clip_high must be at least 0, got {self.objective.clip_high}")
        if self.optimizer.micro_batch is not None and self.optimizer.micro_batch < 1:
            raise ValueError(f"optimizer.micro_batch must be at least 1 or None, got {self.optimizer.micro_batch}")
        if self.format_warmup is not None and self.format_warmup < 0:
            raise ValueError(f"format_warmup must be at least 0, got {self.format_warmup}")
        if self.policy.temperature <= 0:
            raise ValueError(f"policy.temperature must be positive, got {self.policy.temperature}")
        if self.objective.advantage in ("grpo", "rloo") and group < 2:
            raise ValueError(
                f"{self.objective.advantage} compares the answers of a group; rollout.group_size must be 2 or more"
            )
        if prompts % self.optimizer.minibatches:
            raise ValueError(
                f"rollout.prompts ({prompts}) must be a multiple of optimizer.minibatches ({self.optimizer.minibatches})"
            )
        if self.objective.critic_warmup_iterations and self.objective.advantage != "gae":
            raise ValueError(f"{self.objective.advantage} has no critic to warm up; set critic_warmup_iterations to 0")
        if self.objective.kl_loss != "none" and self.objective.kl_coefficient == 0:
            raise ValueError(f"kl_loss {self.objective.kl_loss!r} does nothing with kl_coefficient 0; set the coefficient")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrainConfig:
        """Build the settings from what `to_json` gave.

        Raises:
            ValueError: there is an unknown setting.
        """
        config: TrainConfig = _build(cls, data)
        return config


def _build(cls: Any, data: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise ValueError(f"{cls.__name__} has no setting {', '.join(unknown)}")
    values = {}
    for name, value in data.items():
        hint = hints[name]
        if dataclasses.is_dataclass(hint):
            value = _build(hint, value)
        elif isinstance(value, list) and not isinstance(hint, types.UnionType):
            value = tuple(value)
        values[name] = value
    return cls(**values)
