"""``ssl4rl eval``: measure a trained run or any agent."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ssl4rl_agents.agent import Agent, NotLearnedError, agent_interface, load_agent
from ssl4rl_agents.evaluation import Result, evaluate_in
from ssl4rl_agents.readability import READABLE
from ssl4rl_agents.replies import Quiz, ReplyFile, collect_answers, measure_replies
from ssl4rl_agents.runs.folder import is_run
from ssl4rl_agents.runs.trained import Trained, is_trained, read_trained
from ssl4rl_benchmarks.commands import downstream, eval_model, flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, named_env, names_nothing, quieten, require, wants_help
from ssl4rl_envs import SSLVectorEnv, make_task, task_class
from ssl4rl_envs.answers import Grammar
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.registration import at_level
from ssl4rl_envs.stream import Split
from ssl4rl_envs.telling import Progress, tell, waiting

SHARED = 128


@dataclass(frozen=True)
class EvalFlags:
    """Measure an agent on held-out data."""

    split: Split = "test"
    """Whose items are asked about."""
    episodes: int = 2048
    """How many questions."""
    seed: int = 0
    """Of the questions."""
    prompt_style: Literal["direct", "think", "tool"] = "direct"
    """How text agents are to reply: the answer within tags, after thinking within tags, or a call of a tool; a trained run
    keeps its own."""
    grammar: Grammar | None = None
    """How replies are read: strict, or lenient for models that were not trained to reply in our form. By default strict; a
    trained run's own."""
    checkpoint: Literal["newest", "best"] = "newest"
    """Of a trained run: the newest, or the one with the highest reward on the validation split."""
    looking: int = 256
    """Of a trained run with a policy: how many of the questions are asked again by choice with true, grey and exchanged
    pictures, since what is right then, words give; 0 for none."""
    out: Path | None = None
    """Store the answers in this file, .jsonl, as replies to the first questions of the seed, which models and people are
    asked too; `ssl4rl leaderboard` puts them side by side."""
    json: bool = False
    """Print JSON."""


def run(arguments: list[str]) -> Outcome:
    """Measure what a call names: a run folder, or an agent and an environment."""
    text = (
        "Measure a trained run where it was trained or in another environment, or a registered agent in an environment, on "
        "held-out data. What the flags do not say of a run's environment is as it was in training; of another one, source "
        "and size of the pictures are, where it takes them. With --downstream NAME[:PATH] a run is asked before and after "
        "training: `ssl4rl eval RUN --downstream SceneQA --help` explains."
    )
    if wants_help(arguments):
        flags.parse(EvalFlags, arguments, "ssl4rl eval AGENT [ENV]", text)
    if names_nothing(arguments):
        raise UserError("name a run folder, or an agent and an environment: ssl4rl eval random Rotation")
    agent, rest = arguments[0], arguments[1:]
    if downstream.asks_downstream(rest):
        return downstream.run(agent, rest)
    if eval_model.names_model(agent):
        return eval_model.run(agent, rest)
    if "/" in agent and ":" not in agent and not Path(agent).exists():
        raise UserError(f"there is no run folder {agent}; a run is what `ssl4rl train ENV --out {agent}` writes")
    if is_trained(agent):
        return _of_trained(agent, rest, text)
    if Path(agent).is_dir():
        read_trained(Path(agent))  # which says what it lacks
    call = flags.parse_with_env(EvalFlags, rest, f"eval {agent}", text)
    given = call.command
    if given.out:
        return store(given, given.out, agent, call.env_id, call.env_args, given.prompt_style)
    return Outcome(0, measure(given, agent, call.env_id, call.env_args), given.json)


def _of_trained(folder: str, rest: list[str], text: str) -> Outcome:
    """Measure what was trained, where it was, or in another environment."""
    require("eval RUN_FOLDER")
    with waiting("loading torch and transformers"):
        quieten()
    trained = read_trained(Path(folder))
    elsewhere = not names_nothing(rest)
    env = named_env(rest, f"eval {folder}") if elsewhere else trained.env
    usual = inherited(trained, env)
    parsed = flags.parse(EvalFlags, rest[elsewhere:], f"ssl4rl eval {folder} [ENV]", text, env, usual)
    given, env_args = parsed.command, flags.with_usual(parsed.env, usual, env)
    if given.out:
        return store(given, given.out, folder, env, env_args, trained.prompt_style)
    return Outcome(0, measure(given, folder, env, env_args, trained), given.json)


def inherited(trained: Trained, env_id: str) -> dict[str, Any]:
    """Return the arguments of an environment that a trained agent is measured with where no flag says otherwise.

    Where it was trained, they are those of its training. Elsewhere, source and size of the pictures are, where the other
    task takes them from the same sources.
    """
    cls, given = task_class(trained.env), dict(trained.env_args)
    if env_id == trained.env:
        level = given.pop("level", None)
        return given if level is None else at_level(cls, level, given)
    other = task_class(env_id)
    taken = inspect.signature(other).parameters if other.sources is cls.sources else {}
    return {name: given[name] for name in ("source", "image_size") if name in given and name in taken}


def measure(
    given: EvalFlags, agent: str, env_id: str, env_args: dict[str, Any], trained: Trained | None = None
) -> dict[str, Any]:
    """Measure an agent (what a folder holds, or a name) in an environment; print a line unless JSON is asked for."""
    if given.episodes < 1:
        raise ValueError(f"--episodes must be at least 1, got {given.episodes}")
    if given.looking < 0:
        raise ValueError(f"--looking must be at least 0, got {given.looking}")
    if given.checkpoint == "best" and not is_run(agent):
        raise ValueError(f"--checkpoint best is for runs of the trainer, which keep several; {agent} keeps one")
    task = make_task(env_id, **env_args)
    envs = SSLVectorEnv(
        task,
        num_envs=min(SHARED, given.episodes),
        split=given.split,
        interface=agent_interface(agent),
        prompt_style=given.prompt_style if trained is None else trained.prompt_style,
        grammar=given.grammar or ("strict" if trained is None else trained.grammar),
    )
    if is_run(agent):
        from ssl4rl_agents.runs.policy_agent import load_run

        with waiting(f"loading the model of {agent}"):
            acting: Agent = load_run(Path(agent), given.checkpoint, task)
    else:
        acting = load_agent(agent, envs)
    try:
        with waiting(f"asking {agent} {given.episodes:,} questions"):
            progress = Progress(f"asking {agent}", given.episodes)
            result = evaluate_in(acting, envs, env=env_id, episodes=given.episodes, seed=given.seed, watch=progress.tell)
            progress.end()
    except NotLearnedError as error:
        raise UserError(
            f"{agent} has to learn before it can be measured: `ssl4rl train {env_id} --agent {agent} --out FOLDER` trains "
            "it, and `ssl4rl eval FOLDER` measures what came of it"
        ) from error
    if not given.json:
        print(sentence(agent, result))
    looked = {"looking": _look(given, acting, envs.questions.interface)} if is_run(agent) and given.looking else {}
    return {"agent": agent, **result.to_json(), "env_args": env_args, **looked}


def _look(given: EvalFlags, agent: Any, interface: Interface) -> dict[str, float] | None:
    """Ask a policy with altered pictures too, and say what came of it; None where questions cannot be asked like that."""
    from ssl4rl_agents.choosing.looking import Probe  # which imports torch

    try:
        probe = Probe(interface.task, interface, given.looking, given.split, setting="--looking")
    except ValueError as error:
        tell(f"not asked with other pictures: {error}")
        return None
    look = probe.look(agent.policy)
    if not given.json:
        shares = ", ".join(f"{how} {share:.3f}" for how, share in look.accuracy.items())
        print(
            f"by choice, {given.looking} questions as they are and altered: {shares}; a choice at random {look.chance:.3f}, "
            f"the picture gain {look.gain:+.2f} nats"
        )
    return look.metrics()


def store(given: EvalFlags, out: Path, agent: str, env_id: str, env_args: dict[str, Any], prompt_style: str) -> Outcome:
    """Let an agent answer the first questions of a seed, store its answers as replies, and measure these.

    Raises:
        UserError: a grammar is named, or a checkpoint that is not the newest.
    """
    if given.grammar is not None:
        raise UserError("--out stores answers, and both grammars read them; leave --grammar out")
    if given.checkpoint != "newest":
        raise UserError(f"--out stores what the newest checkpoint says; leave --checkpoint {given.checkpoint} out")
    quiz = Quiz(env_id, env_args, split=given.split, seed=given.seed, questions=given.episodes, prompt_style=prompt_style)
    with ReplyFile(out) as file:
        progress = Progress(f"asking {agent}", quiz.questions)
        interface = agent_interface(agent)
        collect_answers(lambda envs: load_agent(agent, envs), agent, quiz, file, interface=interface, watch=progress.tell)
        progress.end()
        rows = quiz.rows_of(file.rows, model=agent, kind="agent", settings={})
    (result,) = measure_replies(rows)
    return eval_model.outcome(result, out, json_wanted=given.json)


def sentence(name: str, result: Result) -> str:
    """Put a result in one line; replies that cannot be read are no worse understanding than chance."""
    low, high = result.interval
    unread = result.readable is not None and result.readable < READABLE
    normalised = "unknown" if unread else f"{result.normalised:.3f}"
    readable = "" if result.readable is None else f", {result.readable:.1%} of the replies readable"
    return (
        f"{name} on {result.env}, {result.split}: success {result.success:.3f} (95 % interval {low:.3f} to {high:.3f}, "
        f"{result.episodes} episodes of {result.items} items), reward {result.reward:.3f}, chance {result.chance:.3f}, "
        f"normalised {normalised}{readable}"
    )
