"""What settings mean together: defaults that follow from others, what does not go together, what would do nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import Any

from ssl4rl_agents.algorithms import ADVANTAGES, SURROGATES
from ssl4rl_agents.algorithms.estimators import group_advantages
from ssl4rl_agents.algorithms.row import Row
from ssl4rl_agents.control_settings import OPINIONS
from ssl4rl_agents.divergence import settled
from ssl4rl_agents.named import check_named, started
from ssl4rl_agents.policy_settings import AUTO, GRAPH_MODELS, PolicyConfig
from ssl4rl_agents.settings import ObjectiveConfig, RolloutConfig, TrainConfig, model_for

Counts = Callable[[TrainConfig], bool]
IDLE: tuple[tuple[tuple[str, ...], Counts, str], ...] = (
    (
        (
            "prompt_style",
            "grammar",
            "policy.template_arguments",
            "rollout.engine",
            "rollout.context",
            "policy.max_new_tokens",
            "policy.freeze_vision",
            "policy.freeze",
            "policy.lora_rank",
            "policy.lora_alpha",
            "policy.gradient_checkpointing",
            "policy.attention",
            "policy.weights",
            "policy.cache",
            "policy.precision",
            "policy.compile",
            "policy.graph_tokens",
        ),
        lambda config: config.policy.interface == "text",
        "a graph network, which reads no words and writes none",
    ),
    (
        ("policy.gnn_hidden", "policy.gnn_layers"),
        lambda config: config.policy.reads_graphs,
        "a model that reads words alone; it is for the graph networks, and for graph_tokens",
    ),
    (("policy.graph_words",), lambda config: config.policy.graph_tokens != "none", "graph_tokens none"),
    (("objective.gae_lambda",), lambda config: config.objective.length_adaptive_alpha is None, "length_adaptive_alpha"),
    (("objective.kl_loss",), lambda config: config.objective.kl_coefficient != 0, "kl_coefficient 0"),
    (("probe_questions",), lambda config: bool(config.probe_every), "probe_every 0"),
    (("format_tasks",), lambda config: bool(config.format_warmup), "format_warmup 0"),
    (
        ("rollout.invalid_penalty",),
        lambda config: config.rollout.invalid == "penalise",
        "rollout.invalid other than penalise",
    ),
    (("rollout.max_rounds",), lambda config: config.rollout.dynamic_sampling, "dynamic_sampling off"),
    (
        ("policy.nano_hidden", "policy.nano_layers", "policy.nano_vocabulary", "policy.nano_image_size"),
        lambda config: config.policy.model == "nano",
        "a model other than a fresh nano",
    ),
    (("rollout.engine_memory",), lambda config: config.rollout.engine == "vllm", "engine policy"),
    (("policy.lora_alpha",), lambda config: config.policy.lora_rank > 0, "lora_rank 0"),
)
"""Settings that count only where something else is set: their names, where they count, and what else makes them idle."""


OF_CRITICS = ("value_clip", "value_coefficient", "critic_warmup_iterations")
"""Settings of the objective that count where an algorithm has a critic."""


def resolved(config: TrainConfig, *, anew: bool = True) -> TrainConfig:
    """Fill in the defaults that depend on the model, and check the settings against each other and what they name.

    Args:
        config: the settings, None where nobody set one.
        anew: whether a run begins by them, from the model that they name; one that goes on has its own.

    Raises:
        TypeError: the environment takes no such argument, or one of another type.
        ValueError: a setting does not go with another, or there is no such environment, task, model or device.
    """
    if config.policy.start is not None and anew:
        config = dataclasses.replace(config, policy=started(config.policy))
    if config.policy.model == AUTO:
        return _resolved_automatically(config, anew=anew)
    nano, graphs = config.policy.is_nano, config.policy.model in GRAPH_MODELS
    fresh = config.policy.model == "nano" and config.policy.start is None
    needs_warmup = fresh and not config.rollout.constrained
    policy, optimizer, warmup, rate = config.policy, config.optimizer, config.format_warmup, config.format_learning_rate
    if policy.freeze_vision is None and not graphs:
        policy = dataclasses.replace(policy, freeze_vision=policy.lora_rank > 0 or seen_once(policy))
    if optimizer.learning_rate is None:
        usual = 1.5e-3 if fresh else 5e-4 if nano else 1e-3 if graphs else 1e-5 if policy.lora_rank else 1e-6
        optimizer = dataclasses.replace(optimizer, learning_rate=usual)
    filled = dataclasses.replace(
        config,
        policy=policy,
        rollout=_rollout(config, nano=nano),
        optimizer=optimizer,
        objective=settled(config.objective, usual=0.1 if nano else 0.05 if graphs else 0.0),
        format_warmup=warmup if warmup is not None else (40 if needs_warmup else 0),
        format_learning_rate=rate if rate is not None else (3e-3 if nano or graphs else 1e-4),
    )
    check(filled)
    check_named(filled, anew=anew)
    return filled


def seen_once(policy: PolicyConfig) -> bool:
    """Return whether the parts that pictures go through are to stay as they are."""
    return {"vision", "connector"} <= set(policy.freeze)


def _rollout(config: TrainConfig, *, nano: bool) -> RolloutConfig:
    """Fill in how much is asked."""
    rollout = config.rollout
    alone = nano and (config.algorithm == "sft" or not ADVANTAGES[config.objective.advantage].groups)
    group_size = rollout.group_size or (1 if alone else 4)
    prompts = rollout.prompts or (256 if nano and group_size == 1 else 128)
    prefetch = rollout.schedule == "none" if rollout.prefetch is None else rollout.prefetch
    return dataclasses.replace(rollout, prompts=prompts, group_size=group_size, prefetch=prefetch)


def _resolved_automatically(config: TrainConfig, *, anew: bool) -> TrainConfig:
    """Do as `resolved` does, with the model that follows from the environment, or from graph tokens, which nano reads."""
    model = model_for(config.env) if config.policy.graph_tokens == "none" else "nano"
    try:
        return resolved(dataclasses.replace(config, policy=dataclasses.replace(config.policy, model=model)), anew=anew)
    except ValueError as error:
        if model not in GRAPH_MODELS:
            raise
        raise ValueError(
            f"{error} ({model} is the model of tasks about graphs where none is named; policy.model nano, or a language "
            "model, answers them in words)"
        ) from error


def check(config: TrainConfig) -> None:
    """Check settings whose defaults have been filled in.

    Raises:
        ValueError: a setting does not go with another, or would do nothing.
    """
    _check_together(config)
    if config.algorithm != "ppo":
        return  # the supervised ceiling of a run keeps its settings
    idle = [(name, otherwise) for names, counts, otherwise in IDLE if not counts(config) for name in names]
    for name, otherwise in (*idle, *idle_in_objective(config.objective)):
        if value_of(config, name) != default_of(config, name):
            raise ValueError(f"{name} does nothing with {otherwise}; leave it out")


def idle_in_objective(objective: ObjectiveConfig) -> Iterator[tuple[str, str]]:
    """Yield the settings of the objective that its advantage and its surrogate do not take, and what makes them idle.

    What an algorithm takes is read off the signature of its function.
    """
    chosen = ADVANTAGES[objective.advantage]
    takers = {name: [one for one, row in ADVANTAGES.items() if name in row.settings] for name in _all(ADVANTAGES.values())}
    takers |= {name: [one for one, row in ADVANTAGES.items() if row.critic] for name in OF_CRITICS}
    for name, algorithms in takers.items():
        if objective.advantage not in algorithms:
            ungrouped = [one for one, row in ADVANTAGES.items() if not row.groups]
            why = ", which has no critic" if all(ADVANTAGES[one].critic for one in algorithms) else ""
            other = f"an advantage other than {', '.join(algorithms)}{why}"
            alike = "advantages of groups, which give all tokens of an answer the same"
            yield f"objective.{name}", alike if chosen.groups and not why and set(algorithms) <= set(ungrouped) else other
    taken = SURROGATES[objective.surrogate].settings
    for name in _all(SURROGATES.values()):
        if name not in taken:
            yield f"objective.{name}", f"surrogate {objective.surrogate}"


def _all(rows: Iterable[Row]) -> dict[str, None]:
    """Return the settings that some row takes, once each, in their order."""
    return {name: None for row in rows for name in row.settings}


def value_of(config: TrainConfig, name: str) -> Any:
    """Return a setting by its name, such as "objective.gamma"."""
    return reduce(getattr, name.split("."), config)


def default_of(config: TrainConfig, name: str) -> Any:
    """Return what a setting is where nobody sets it."""
    *section, last = name.split(".")
    owner = reduce(getattr, section, config)
    setting = next(field for field in dataclasses.fields(owner) if field.name == last)
    return setting.default if setting.default_factory is dataclasses.MISSING else setting.default_factory()


def _check_together(config: TrainConfig) -> None:
    policy, rollout, optimizer, objective = config.policy, config.rollout, config.optimizer, config.objective
    if policy.template_arguments and policy.is_nano:
        raise ValueError("nano's chat template takes no arguments; leave out policy.template_arguments")
    if policy.lora_rank and policy.model == "nano":
        raise ValueError(
            "a nano from scratch learns as a whole, as adapters would have nothing to add to; set policy.lora_rank to 0, or "
            "name the folder of one that has learned as policy.model, e.g. RUN/checkpoints/iteration-000100"
        )
    if policy.lora_rank and policy.freeze:
        raise ValueError("of a model with adapters these alone are trained; leave out policy.freeze, or policy.lora_rank")
    if policy.weights == "bfloat16" and not policy.lora_rank:
        raise ValueError(
            "policy.weights bfloat16 would lose the small steps of an optimizer; use float32 (a GPU computes in bfloat16 "
            "all the same), or train adapters with policy.lora_rank"
        )
    prompts, group_size = rollout.sizes()
    if ADVANTAGES[objective.advantage].groups and group_size < 2:
        raise ValueError(f"{objective.advantage} compares the answers of a group; rollout.group_size must be 2 or more")
    if prompts % optimizer.minibatches:
        raise ValueError(f"rollout.prompts ({prompts}) must be a multiple of optimizer.minibatches ({optimizer.minibatches})")
    if rollout.schedule != "none" and (rollout.dynamic_sampling or config.algorithm != "ppo"):
        raise ValueError(
            "rollout.schedule goes by what answers earn, once each; leave out dynamic_sampling, and algorithm sft"
        )
    if rollout.schedule != "none" and rollout.prefetch:
        raise ValueError(
            f"rollout.schedule {rollout.schedule} chooses the next questions after the last ones were answered, so none can "
            "be made ahead; leave out rollout.prefetch"
        )
    if rollout.constrained and rollout.engine != "policy":
        raise ValueError(
            f"rollout.constrained masks what the policy itself samples, and {rollout.engine} samples in its stead; leave one "
            "of them out"
        )
    if rollout.constrained and config.format_tasks:
        raise ValueError(
            "format_tasks teaches how the answers of other tasks are written, which rollout.constrained forbids; leave one "
            "of them out"
        )
    if rollout.dynamic_sampling and not ADVANTAGES[objective.advantage].groups:
        raise ValueError(
            "rollout.dynamic_sampling replaces groups whose answers all scored the same, which have an advantage all the "
            f"same with {objective.advantage}; it goes with {', '.join(group_advantages())}"
        )
    _check_replay(config)
    _check_control(config)
    _check_graph_tokens(config)


def _check_graph_tokens(config: TrainConfig) -> None:
    if config.policy.graph_tokens == "none":
        return
    told = f"policy.graph_tokens {config.policy.graph_tokens}"
    if config.rollout.context != "turn":
        raise ValueError(
            f"{told} stand in prompts of single questions; rollout.context must be 'turn' with it, got "
            f"{config.rollout.context!r}"
        )
    if config.rollout.engine != "policy":
        raise ValueError(
            f"{told} are made by the policy itself, and {config.rollout.engine} samples in its stead; leave one out"
        )
    if config.format_tasks or config.optimizer.replay:
        other = "format_tasks" if config.format_tasks else "optimizer.replay"
        raise ValueError(f"{told} are of graphs, and {other} asks about pictures; leave one of them out")


def _check_replay(config: TrainConfig) -> None:
    if config.optimizer.replay and config.policy.start is None:
        raise ValueError(
            "optimizer.replay goes over what a base was pretrained on, which the folder of its run says; name it as "
            "policy.start, or leave optimizer.replay out"
        )
    if config.optimizer.replay and config.rollout.constrained:
        raise ValueError(
            "optimizer.replay teaches answers to other tasks, which rollout.constrained forbids; leave one of them out"
        )


def _check_control(config: TrainConfig) -> None:
    control, rollout, array = config.control, config.rollout, config.policy.interface == "array"
    if control.reward != "verified" and config.algorithm != "ppo":
        raise ValueError(
            f"control.reward {control.reward} does nothing with algorithm {config.algorithm}, which learns from no rewards; "
            "leave it out"
        )
    if control.reward != "verified" and rollout.schedule != "none":
        raise ValueError(
            f"rollout.schedule {rollout.schedule} goes by right answers, which control.reward {control.reward} is to keep "
            "from the policy; leave one of them out"
        )
    if control.reward == "format" and (rollout.constrained or array):
        raise ValueError(
            "control.reward format pays well-formed answers, and here all are; there would be nothing to learn from: leave "
            "it out, or with it rollout.constrained"
        )
    if control.reward in OPINIONS and array:
        raise ValueError(
            f"control.reward {control.reward} goes by log-probabilities of words, and a graph network writes none; leave it "
            "out"
        )
    if control.reward == "contrast" and control.pictures == "blank":
        raise ValueError("control.reward contrast compares with blank pictures, and here no others are seen; leave one out")
    if control.pictures != "shown" and array:
        raise ValueError(
            f"control.pictures {control.pictures} does nothing with a graph network, which sees none; leave it out"
        )
    if config.objective.grounding_coefficient and (array or control.pictures == "blank"):
        raise ValueError(
            "objective.grounding_coefficient compares with blank pictures, and here no others are seen; leave it out"
        )
    if config.objective.grounding_coefficient and rollout.context != "turn":
        raise ValueError(
            f"objective.grounding_coefficient compares replies to single questions; rollout.context must be 'turn' with it, "
            f"got {rollout.context!r}"
        )
    if control.pictures == "swapped" and rollout.dynamic_sampling:
        raise ValueError(
            "control.pictures swapped shows pictures of other questions of a round, and rollout.dynamic_sampling puts "
            "questions of several rounds together; leave one of them out"
        )
