"""Every setting of a training run; each is a flag of ``ssl4rl train``, with the text below it as its help.

However settings come in (flags, Python, JSON, a grid, a resumed run), they are held against their type hints and ranges as
soon as they are there, and against each other, and what they name against what there is, by `checks.resolved`.
"""

from __future__ import annotations

import dataclasses
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from ssl4rl_agents.algorithms import ADVANTAGES, SURROGATES
from ssl4rl_agents.control_settings import ControlConfig
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.ranges import Settings
from ssl4rl_envs.answers import Grammar
from ssl4rl_envs.arguments import from_plain, hints_of
from ssl4rl_envs.registration import env_id_of, task_class, with_plain_source

Algorithm = Literal["ppo", "sft"]
Aggregation = Literal["token_mean", "sequence_mean", "sequence_sum"]
KLLoss = Literal["none", "k2", "k3"]
Invalid = Literal["repeat", "end", "penalise"]
_WINDOW = re.compile(r"window:([1-9][0-9]*)\Z")


@dataclass(frozen=True)
class RolloutConfig(Settings):
    """What is asked in an iteration."""

    section: ClassVar[str] = "rollout."

    prompts: int | None = None
    """Questions an iteration; by default 256 for nano where it gives one answer to each, else 128."""
    group_size: int | None = None
    """Answers to each question. By default 1 for nano with gae and reinforce++, which need no other answers to compare one
    with: it then sees four times as many pictures for as many answers. Else 4."""
    dynamic_sampling: bool = False
    """Ask further questions in place of those whose answers all scored the same, which carry no advantage (DAPO, arXiv
    2503.14476); for grpo, dr_grpo and rloo."""
    schedule: Literal["none", "progress"] = "none"
    """Of a mixture, ask more of the tasks whose success rate is changing (as `ssl4rl_envs.curricula.adaptive_mixture`); none
    keeps the weights of the mixture."""
    prefetch: bool | None = None
    """Make the next questions in a thread while the policy learns; the questions are the same. By default true, but for a
    schedule, which chooses by what was learned."""
    context: str = "turn"
    """What a model sees in an episode of several decisions: turn, the current question alone; window:k, the last k turns; or
    episode, the whole conversation, whose keys and values are kept and which an update passes over at once."""
    invalid: Invalid = "repeat"
    """What becomes of an episode of several decisions after an answer that cannot be read: repeat asks again, which uses up a
    decision, as in the environment; end ends it there; penalise asks again, and takes invalid_penalty off for learning."""
    invalid_penalty: float = 0.1
    """Taken off what is learned from an answer that cannot be read, with invalid penalise; what is logged as the reward is
    what the environment pays."""
    constrained: bool = False
    """Let nothing be said but answers: the tokens that the task's grammar of answers does not go on with have no chance, in
    sampling and in scoring alike (needs the package llguidance). Thinking stays free, and ends in time for an answer. Where
    the task says which actions have an effect in a state (`action_mask`), no others can be said there, and of a mixture only
    answers to the part that is asked; graph networks keep to action masks too."""
    max_rounds: int = 4
    """Rounds of asking an iteration at most, with dynamic_sampling."""
    engine: Literal["policy", "vllm"] = "policy"
    """What samples the answers: the policy itself, or vLLM on the same GPU (needs the package vllm)."""
    engine_memory: float = 0.4
    """Share of the GPU's memory that vLLM may take."""

    def sizes(self) -> tuple[int, int]:
        """Return how many questions an iteration asks and how many answers it gives to each, once both are settled."""
        assert self.prompts is not None
        assert self.group_size is not None
        return self.prompts, self.group_size


@dataclass(frozen=True)
class OptimizerConfig(Settings):
    """How the weights move."""

    section: ClassVar[str] = "optimizer."

    learning_rate: float | None = None
    """Step size; by default 1.5e-3 for a fresh nano and 5e-4 for one that has learned something, 1e-3 for a graph network,
    1e-6 for a pretrained model and 1e-5 for its adapters."""
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
    replay: float = 0.0
    """Share of all steps that go over questions which the base in policy.start was pretrained on, as its run folder says,
    with their right answers, so that what it could do stays (experience replay, Rolnick et al. 2019, arXiv 1811.11682); its
    habits stay too. Never the answers to what is rewarded."""
    micro_batch: int | None = None
    """Questions (with all their answers) a forward pass; None takes a whole minibatch. Changes the memory of the update, not
    its gradients. It is halved by itself where memory runs out."""

    def rate_at(self, iteration: int, iterations: int) -> float:
        """Return the step size of an iteration, counted from 0: it rises at first, then stays or falls linearly to 0.

        Args:
            iteration: which one.
            iterations: of the whole run.
        """
        assert self.learning_rate is not None
        rise = min(1.0, (iteration + 1) / (self.warmup_iterations + 1))
        fall = 1.0 if self.schedule == "constant" else 1 - iteration / iterations
        return self.learning_rate * rise * fall


@dataclass(frozen=True)
class ObjectiveConfig(Settings):
    """What is maximised."""

    section: ClassVar[str] = "objective."

    advantage: Literal[tuple(ADVANTAGES)] = "gae"  # type: ignore[valid-type]
    """gae (PPO with a critic), grpo, dr_grpo, rloo or reinforce++; for episodes of several decisions also turn_gae (a turn is
    the step), bilevel_gae (turns, then the tokens of each), turn_grpo (compares returns from the same turn on) and step_grpo
    (normalises step rewards). Names that end in grpo, and rloo, compare the answers of a group and need group_size of 2 or
    more; dr_grpo centres their scores without scaling them, and with aggregation sequence_sum is all
    of Dr. GRPO (arXiv 2503.20783)."""
    gamma: float = 1.0
    """Discount from token to token."""
    gae_lambda: float = 1.0
    """Mixing of GAE for the policy's advantages; 1 gives returns minus values."""
    turn_gamma: float = 1.0
    """Discount from turn to turn, of episodes of several decisions."""
    turn_lambda: float = 1.0
    """Mixing of GAE from turn to turn; with turn_gae and bilevel_gae."""
    length_adaptive_alpha: float | None = None
    """Mixing of 1 - 1 / (alpha * length) for each answer in place of gae_lambda (VAPO, arXiv 2504.05118, with 0.05, which is
    meant for answers of hundreds of tokens); None is off."""
    critic_lambda: float = 1.0
    """Mixing of GAE for the critic's targets; 1 gives Monte-Carlo returns (decoupled GAE, VC-PPO, arXiv 2503.01491, and VAPO,
    arXiv 2504.05118)."""
    critic_warmup_iterations: int = 0
    """First iterations in which the critic alone learns, from the frozen policy's answers (VC-PPO, arXiv 2503.01491); of use
    where answers are long or episodes have several steps."""
    surrogate: Literal[tuple(SURROGATES)] = "ppo"  # type: ignore[valid-type]
    """ppo clips each token's probability ratio. gspo clips one ratio an answer, the geometric mean of its tokens' (arXiv
    2507.18071); it moves far less, so clip_low 3e-4 and clip_high 4e-4 are usual, with aggregation sequence_mean. cispo clips
    the weights of tokens and drops none (MiniMax-M1, arXiv 2506.13585); clip_low 1 leaves the lower bound off, as there."""
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
    are equally likely); 0 keeps no reference copy. By default 0.01 with grpo, dr_grpo and rloo, where it is a loss; else 0.1
    for nano and 0.05 for a graph network, which keeps them exploring, and 0 for a pretrained model."""
    kl_loss: KLLoss | None = None
    """none: the divergence is a detached per-token k1 penalty in the reward. k2, k3: a loss term instead (k3's gradient is
    that of another divergence: biased). By default k3 with grpo, dr_grpo and rloo, which refuse none, since they would
    compare the penalties of a group's answers together with their scores; and none with gae and reinforce++."""
    importance_cap: float | None = 2.0
    """Where another engine than the policy itself samples: the largest weight by which a token's policy loss is corrected for
    the difference of their probabilities (truncated importance sampling); None leaves it uncorrected."""
    grounding_coefficient: float = 0.0
    """Weight of a bonus for replies whose probability depends on the picture: their divergence from replies to a blank one
    (the implicit perception loss of PAPO, arXiv 2507.06448, there 0.01 to 0.02), bounded by 2 nats a token. Each pass of the
    update is then made twice."""
    target_kl: float | None = None
    """Stop the passes of an iteration when the approximate divergence from the sampling policy exceeds this."""


@dataclass(frozen=True)
class TrainSettings(Settings):
    """How to train, whatever the environment."""

    prompt_style: Literal["direct", "think"] = "direct"
    """direct, or think for answers that reason first. Calls of a tool are not trained here; `ssl4rl eval` measures models as
    they are on them."""
    grammar: Grammar = "strict"
    """How replies are read, and so what is paid: strict, or lenient for models that were not trained to reply in our form."""
    algorithm: Algorithm = "ppo"
    """ppo, or sft: cross-entropy on the free labels, the supervised ceiling."""
    iterations: int = 110
    """Rounds of asking and updating."""
    seed: int = 0
    """Decides the initial weights, the questions and the sampling; evaluation asks the same questions for every seed."""
    format_warmup: int | None = None
    """Steps in which random valid answers teach the model how an answer is written; it never sees a target. By default 40 for
    nano and 0 for all others: a graph network, and what is constrained, can give no other answers than valid ones."""
    format_tasks: tuple[str, ...] = ()
    """Other tasks over pictures that take part in the warm-up, e.g. FlipPrediction: a fresh model then knows how their
    answers are written too, and can be measured on them."""
    format_learning_rate: float | None = None
    """Step size of these; by default 3e-3 for nano and graph networks and 1e-4 for a pretrained model."""
    eval_every: int = 10
    """Iterations between measurements on the validation split."""
    eval_episodes: int = 256
    """Episodes of such a measurement."""
    test_episodes: int = 2048
    """Episodes of the measurements on the test split before and after training."""
    probe_every: int = 0
    """Iterations between looks at whether the policy looks: the same held-out questions are answered by choice with their
    pictures and with blank, swapped and noisy ones. A warning tells where the picture adds nothing and training is right
    more often than a choice at random. 0 never looks."""
    probe_questions: int = 256
    """Questions of such a look; each is put four times."""
    save_every: int = 25
    """Iterations between checkpoints."""
    keep: int = 2
    """Newest checkpoints that are kept; the one with the best validation reward is kept too."""
    device: str = "auto"
    """auto takes a CUDA GPU if there is one, with bfloat16 autocast; or cpu, cuda, cuda:1, ..."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    control: ControlConfig = field(default_factory=ControlConfig)

    def __post_init__(self) -> None:
        """Look at all settings, as `Settings` does."""
        try:
            super().__post_init__()
        except ValueError as error:
            raise ValueError(f"{error}{_elsewhere(self.algorithm)}") from None


@dataclass(frozen=True)
class TrainConfig(TrainSettings):
    """A training run: an environment and how to train on it."""

    env: str = "SSL4RL/Rotation-v0"
    """Id of the environment, or a short name of it."""
    env_args: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of its task."""

    def __post_init__(self) -> None:
        """Look at all settings; write the environment's id out, and a source that is a `Path` as the string that names it."""
        super().__post_init__()
        with suppress(ValueError):  # `require_environment` says what is wrong, and when
            object.__setattr__(self, "env", env_id_of(self.env))
        if isinstance(self.env_args.get("source"), Path):
            require_environment(self.env)
            object.__setattr__(self, "env_args", with_plain_source(task_class(self.env), self.env_args))

    @property
    def title(self) -> str:
        """What a run is called while it learns; a control is called one."""
        taken = self.control.told
        return f"{self.algorithm} {self.env}" + (f" (control: {taken})" if taken else "")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dataclasses.asdict(self)

    def resolved(self, *, anew: bool = True) -> TrainConfig:
        """Fill in the defaults that depend on the model, and check the rest: see `checks.resolved`."""
        from ssl4rl_agents import checks

        return checks.resolved(self, anew=anew)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrainConfig:
        """Build the settings from what `to_json` gave.

        Raises:
            TypeError: a setting is of another type.
            ValueError: there is an unknown setting, or one is none of its choices, not finite, or out of its range.
        """
        return from_plain(cls, data)


def require_environment(env: str) -> None:
    """Check that there is such an environment.

    Raises:
        ValueError: there is none; the message names those that there are.
    """
    try:
        task_class(env)
    except (ImportError, ValueError) as error:
        raise ValueError(f"env must be an environment of this suite: {error}") from error


def model_for(env: str) -> str:
    """Return the built-in model that an environment is trained with where none is named: a graph network if it can answer.

    A neighbourhood told in words is a prompt of about a thousand tokens, and a network that passes messages learns from the
    same neighbourhood as arrays a hundred times faster.

    Raises:
        ValueError: there is no such environment.
    """
    require_environment(env)
    return "gcn" if getattr(task_class(env), "role", None) is not None else "nano"


def _elsewhere(value: Any) -> str:
    """Return the end of a message that says which setting takes a value that `algorithm` does not."""
    if value in get_args(Algorithm):
        return ""
    for section in (RolloutConfig, OptimizerConfig, ObjectiveConfig, ControlConfig):
        for name, hint in hints_of(section).items():
            if value in get_args(hint):
                return f"; {section.section}{name} takes {value!r}"
    return ""


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings with some of them changed."""
    result = dict(base)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if both else value
    return result


def window_of(context: str) -> int | None:
    """Return how many turns a context shows; None for the whole episode.

    Raises:
        ValueError: it is neither "turn", "window:k" nor "episode".
    """
    if context in ("turn", "episode"):
        return 1 if context == "turn" else None
    match = _WINDOW.match(context)
    if match is None:
        raise ValueError(f"rollout.context must be 'turn', 'window:k' for the last k turns, or 'episode', got {context!r}")
    return int(match[1])
