"""``ssl4rl train ENV --agent NAME``: train an agent of the registry, stable-baselines3's among them, and keep it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple, cast

from ssl4rl_agents.agent import Agent, agent_interface, check_settings, load_agent
from ssl4rl_agents.evaluation import Result, evaluate
from ssl4rl_agents.lessons import Learner, Lesson
from ssl4rl_agents.runs.files import require_place, write_json, write_text
from ssl4rl_agents.runs.folder import clear_run
from ssl4rl_agents.runs.trained import AGENT, SAVED, Kept, is_kept, is_trained, write_kept
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, named_env, quieten, require, wants_help
from ssl4rl_envs import SSLVectorEnv, Task, make_task
from ssl4rl_envs.answers import Grammar
from ssl4rl_envs.telling import Progress, waiting

METRICS, RESULTS = "metrics.jsonl", "results.json"
LEFT = (AGENT, RESULTS, METRICS, "curve.png", "board.png", "report.html")


@dataclass(frozen=True)
class AgentFlags:
    """Train an agent of the registry and keep it."""

    agent: str
    """Its name: sb3-ppo, sb3-a2c, sb3-dqn, sb3-sac, sb3-supervised, with sb3-contrib sb3-trpo, sb3-qrdqn and
    sb3-maskable-ppo; a plug-in's; or module:attribute."""
    out: Path
    """The folder to write; `ssl4rl eval FOLDER`, `ssl4rl ask FOLDER` and load_agent read it."""
    episodes: int = 50_000
    """How many it may play; of tasks of one decision these are steps."""
    settings: str = "{}"
    """Its settings as JSON, e.g. '{"learning_rate": 1e-4}'; of sb3 agents, the arguments of the algorithm."""
    seed: int = 0
    """Of all randomness in its training."""
    measurements: int = 10
    """How often it is measured on the validation split on the way."""
    eval_episodes: int = 256
    """Episodes of such a measurement."""
    test_episodes: int = 2048
    """Episodes of the measurements on the test split before and after training."""
    prompt_style: Literal["direct", "think"] = "direct"
    """How agents that reply in words are asked."""
    grammar: Grammar = "strict"
    """How their replies are read."""
    device: str = "auto"
    """Where its network learns: auto, cpu, cuda, ..."""
    overwrite: bool = False
    """Delete what was trained in the folder before, once something else is."""
    json: bool = False
    """Print the results as JSON."""


def called(arguments: list[str]) -> Outcome:
    """Train the agent that a call names."""
    text = (
        "Train an agent of the registry for so many episodes, measure it on held-out items, and keep it. Interrupting it "
        "keeps nothing."
    )
    if wants_help(arguments) or arguments[:1] == ["--agent"]:
        if "--help" in arguments or "-h" in arguments:
            flags.parse(AgentFlags, ["--help"], "ssl4rl train ENV --agent NAME", text)
        raise UserError("name the environment first: ssl4rl train ENV --agent NAME --out FOLDER")
    env = named_env(arguments, "train")
    call = flags.parse(AgentFlags, arguments[1:], f"ssl4rl train {env} --agent NAME", text, env)
    require("train ENV --agent")
    with waiting("loading torch and transformers"):
        quieten()
    return Outcome(0, train(call.command, env, call.env_args), call.command.json)


class Learned(NamedTuple):
    """What came of a lesson: the agent, what it says of its settings, its curve, and what it reached before and after."""

    agent: Any
    lesson: Lesson
    results: dict[str, Any]


def train(given: AgentFlags, env_id: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """Train an agent, measure and keep it; return the results.

    Raises:
        FileExistsError: the folder holds something that is not to be overwritten.
        NotADirectoryError, PermissionError: there can be no such folder.
        ValueError: the agent does not learn, or cannot be kept, or a setting is wrong.
    """
    from ssl4rl_benchmarks.reports.results import print_table

    settings = flags.json_object("--settings", given.settings)
    env_args = with_absolute_source(env_args)
    check_settings(given.agent, settings)
    _require_room(given.out, overwrite=given.overwrite)
    task = make_task(env_id, **env_args)
    learned = _taught(given, env_id, env_args, task, settings)
    kept = Kept(
        env=env_id,
        env_args=env_args,
        interface=cast("Any", learned.agent.interface),
        prompt_style=given.prompt_style,
        grammar=given.grammar,
        agent=given.agent,
        settings=settings,
        seed=given.seed,
        episodes=given.episodes,
        device=given.device,
        learned=learned.lesson.settings,
    )
    with waiting("drawing the report"):
        _write(given, learned, kept, task)
    if not given.json:
        print_table(learned.results)
    return learned.results


def _taught(given: AgentFlags, env_id: str, env_args: dict[str, Any], task: Task, settings: dict[str, Any]) -> Learned:
    """Let an agent learn, and measure it before and after."""
    how: dict[str, Any] = {"prompt_style": given.prompt_style, "grammar": given.grammar}
    envs = SSLVectorEnv(task, num_envs=1, interface=agent_interface(given.agent), **how)
    agent = load_agent(given.agent, envs, **settings)
    _require_kept(given.agent, agent)

    def measure(split: str, when: str = "after training") -> Result:
        what = f"measuring it {when}, on questions about {split} items"
        with waiting(what):
            progress = Progress(what, given.test_episodes)
            numbers: dict[str, Any] = {"episodes": given.test_episodes, "watch": progress.tell}
            result = evaluate(agent, task, env=env_id, split=split, **numbers, **how)
            progress.end()
        return result

    before: list[Result] = []
    with TemporaryDirectory(prefix="ssl4rl-") as folder:
        numbers = (given.episodes, given.seed, Path(folder), given.measurements, given.eval_episodes)
        lesson = Lesson(env_id, env_args, *numbers, given.device, **how, aloud=True)
        lesson.on_begin = lambda _: before.append(measure("test", "before training"))
        learner = cast("Learner", agent)
        learner.learn(lesson)
        lesson.end(learner)
    results: dict[str, Any] = {
        "finished": True,
        "out": str(given.out),
        "agent": given.agent,
        "chance": task.chance,
        "before": before[0].to_json() if before else None,
        "after": measure("test").to_json(),
        "train": measure("train").to_json(),
        "seconds": lesson.curve[-1].seconds if lesson.curve else 0.0,
        "measured": given.eval_episodes,
    }
    return Learned(agent, lesson, results)


def _require_kept(name: str, agent: Agent) -> None:
    """Check that there is something to learn and to keep, before anything is learned."""
    if not isinstance(agent, Learner):
        raise ValueError(f"{name} does not learn; measure it with ssl4rl eval {name} ENV")
    lacking = [method for method in ("save", "load") if not hasattr(agent, method)]
    if lacking:
        raise ValueError(f"{name} cannot be kept: it has no {' and no '.join(lacking)} (ssl4rl bench measures it without)")


def _require_room(out: Path, *, overwrite: bool) -> None:
    """Check that the folder is empty, or holds what is to be overwritten."""
    require_place(out)
    held = list(out.iterdir()) if out.is_dir() else []
    if held and not (overwrite and is_trained(out)):
        what = "a trained agent already; overwrite it" if is_trained(out) else "files, and no trained agent; empty it"
        raise FileExistsError(f"{out} holds {what}, or choose another folder")


def _clear(out: Path) -> None:
    """Delete what was trained in the folder before, now that there is something in its place."""
    if is_kept(out):
        for name in LEFT:
            (out / name).unlink(missing_ok=True)
        for file in (out / SAVED).iterdir() if (out / SAVED).is_dir() else ():
            file.unlink()
    elif is_trained(out):
        clear_run(out)


def _write(given: AgentFlags, learned: Learned, kept: Kept, task: Task) -> None:
    """Write what was trained, what it reached, and last of all the file that makes the folder one of a trained agent."""
    from ssl4rl_benchmarks.reports import kept as report
    from ssl4rl_benchmarks.reports.answers import answers_of

    out, curve = given.out, learned.lesson.curve
    _clear(out)
    (out / SAVED).mkdir(parents=True, exist_ok=True)
    learned.agent.save(out / SAVED)
    write_text(out / METRICS, "".join(json.dumps(asdict(point)) + "\n" for point in curve))
    write_json(out / RESULTS, learned.results)
    answers = answers_of(learned.agent, task, given.prompt_style, given.grammar)
    lesson = report.flags_of(given, apart=("agent", "out", "overwrite", "json"))
    report.write(kept, task, out, lesson, learned.results, curve, answers)
    write_kept(out, kept)


def with_absolute_source(env_args: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with the path of a folder source made absolute, so that what was trained can be used from anywhere."""
    source = env_args.get("source")
    if isinstance(source, str) and source.startswith("folder:"):
        whole = Path(source.removeprefix("folder:")).expanduser().resolve()
        return {**env_args, "source": f"folder:{whole}"}
    return env_args
