"""``ssl4rl train``: a run from the first measurement to the report."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ssl4rl_agents.control_settings import ControlConfig
from ssl4rl_agents.policy_settings import AUTO, BUILT_IN, GRAPH_MODELS
from ssl4rl_agents.runs.files import write_json
from ssl4rl_agents.runs.folder import CONFIG, is_run, read_config
from ssl4rl_agents.runs.pretrained_on import is_pretrained
from ssl4rl_agents.runs.trained import is_kept
from ssl4rl_agents.settings import TrainConfig, TrainSettings, model_for
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import INTERRUPTED, Outcome, quieten, require
from ssl4rl_envs.telling import Progress, tell, waiting

if TYPE_CHECKING:  # what learns takes seconds to import, and the help of this command does not need it
    from ssl4rl_agents.ppo.trainer import Trainer

BEFORE, CEILING = "before.json", "ceiling"


@dataclass(frozen=True)
class TrainFlags:
    """Train a policy by token-level PPO. Ctrl-C saves and ends the run; --resume goes on."""

    out: Path
    """The run folder to write."""
    ceiling: bool = False
    """Afterwards, train the same network on the free labels by cross-entropy: the supervised ceiling."""
    overwrite: bool = False
    """Delete the run that is in the folder already."""
    json: bool = False
    """Print the results as JSON."""
    settings: Annotated[TrainSettings, tyro.conf.arg(name="")] = field(default_factory=TrainSettings)


@dataclass(frozen=True)
class ResumeFlags:
    """Go on with an interrupted run, exactly as it would have gone on, or longer with --iterations; all else stays."""

    resume: Path
    """The run folder."""
    iterations: int | None = None
    """Iterations of the whole run, those that are done included, where they are to be more than it was set to. With
    optimizer.schedule constant it then is the run that had been set to as many from the start; with linear, the step size
    falls to 0 at the new end, and so rises where the run goes on."""
    ceiling: bool = False
    """Afterwards, train the supervised ceiling."""
    json: bool = False
    """Print the results as JSON."""


def run(arguments: list[str]) -> Outcome:
    """Begin a run, go on with one, or train an agent of the registry."""
    text = (
        "Train a policy by token-level PPO. Ctrl-C saves and ends the run; `ssl4rl train --resume FOLDER` goes on, with "
        "--iterations N longer. `ssl4rl train ENV --agent sb3-ppo --out FOLDER` trains another agent; --agent NAME --help "
        "explains its flags."
    )
    named = {argument.split("=")[0] for argument in arguments}
    if "--resume" in named:
        more = "Go on with an interrupted run, or with a finished one for longer. Its settings stay, but for --iterations."
        given = flags.parse(ResumeFlags, arguments, "ssl4rl train", more).command
        as_json, results = given.json, resume(given)
    elif "--agent" in named:
        from ssl4rl_benchmarks.commands import train_agent

        return train_agent.called(arguments)
    else:
        call = flags.parse_with_env(TrainFlags, arguments, "train", text)
        as_json, results = call.command.json, train(call.command, call.env_id, call.env_args)
    return Outcome(0 if results["finished"] else INTERRUPTED, results, as_json and _is_main())


def _load() -> None:
    """Import what learns.

    Raises:
        ImportError: a package that it needs is not installed.
    """
    require("train")
    with waiting("loading torch and transformers"):
        quieten()
        import_module("ssl4rl_agents.ppo.trainer")


def _is_main() -> bool:
    return os.environ.get("RANK", "0") == "0"


def train(given: TrainFlags, env_id: str, env_args: dict[str, Any]) -> dict[str, Any]:
    """Train from the start. Returns the results; `finished` is False after Ctrl-C."""
    _load()
    from ssl4rl_agents.ppo.trainer import Trainer
    from ssl4rl_agents.runtime.processes import Processes
    from ssl4rl_benchmarks.commands.train_agent import with_absolute_source

    settings = {f.name: getattr(given.settings, f.name) for f in dataclasses.fields(given.settings)}
    if given.settings.policy.model not in (AUTO, *BUILT_IN) and Path(given.settings.policy.model).is_dir():
        whole = str(Path(given.settings.policy.model).resolve())
        settings["policy"] = dataclasses.replace(given.settings.policy, model=whole)
    elif (given.settings.policy.model, given.settings.policy.graph_tokens, given.settings.policy.start) == (
        AUTO,
        "none",
        None,
    ):
        _say_model(env_id)
    config = TrainConfig(env=env_id, env_args=with_absolute_source(env_args), **settings)
    with Processes(config.device) as processes:
        trainer = Trainer(config, given.out, overwrite=given.overwrite, processes=processes)
        if processes.is_main:
            _say_size(trainer)
        return _finish(trainer, ceiling=given.ceiling, quiet_table=given.json)


def _say_model(env_id: str) -> None:
    """Say which network was chosen, where it is not the one that most environments are trained with."""
    if (model := model_for(env_id)) in GRAPH_MODELS:
        tell(
            f"{env_id} asks about a graph, so a graph network ({model}) learns it; --policy.model nano, or a language model, "
            "would read it in words"
        )


def _say_size(trainer: Trainer) -> None:
    """Say where a fresh nano sees pictures smaller than they are, if nobody said how large it is to see them."""
    from ssl4rl_agents.policies.nano import SIDE

    policy, task = trainer.config.policy, trainer.task
    side = max((max(task.observation_space[name].shape or (0,)) for name in task.images), default=0)
    more = side // 8 * 8  # a multiple of what becomes one token
    if policy.is_nano and policy.start is None and policy.nano_image_size is None and more > SIDE:
        tell(
            f"nano sees pictures of {side} pixels a side brought to {SIDE}; --policy.nano-image-size {more} shows it more, "
            f"and makes {(more / SIDE) ** 2:.3g} times as many tokens of a picture"
        )


def resume(given: ResumeFlags) -> dict[str, Any]:
    """Go on with the run in a folder."""
    if is_kept(given.resume):
        raise ValueError(f"{given.resume} holds an agent that was trained in one go; only runs of the trainer go on")
    if not (given.resume / CONFIG).exists():
        raise ValueError(f"{given.resume} is not a run folder: it has no config.json of the trainer")
    if is_pretrained(given.resume):
        raise ValueError(
            f"{given.resume} holds a pretrained model, and its pretraining is done in one go; `ssl4rl train ENV "
            f"--policy.start {given.resume} --out FOLDER` goes on from it"
        )
    before = read_config(given.resume)
    config = before if given.iterations is None else dataclasses.replace(before, iterations=given.iterations)
    _load()
    from ssl4rl_agents.ppo.trainer import Trainer
    from ssl4rl_agents.runtime.processes import Processes

    ceiling = given.ceiling or is_run(given.resume / CEILING)
    with Processes(config.device) as processes:
        trainer = Trainer(config, given.resume, resume=True, processes=processes)
        if processes.is_main:
            _say_schedule(before, trainer.config, trainer.iteration)
        return _finish(trainer, ceiling=ceiling, quiet_table=given.json)


def _say_schedule(before: TrainConfig, now: TrainConfig, done: int) -> None:
    """Say what another number of iterations does to the step size, where it depends on that."""
    was, wanted = before.iterations, now.iterations
    if was == wanted or now.optimizer.schedule == "constant" or not done:
        return
    rates = [now.optimizer.rate_at(*when) for when in ((done - 1, was), (min(done, wanted - 1), wanted))]
    tell(
        f"optimizer.schedule is linear: the step size was {rates[0]:.2g} in iteration {done} of {was}, and goes on with "
        f"{rates[1]:.2g}, falling to 0 at iteration {wanted}; a run set to {wanted} from the start learns otherwise"
    )


def _finish(trainer: Trainer, *, ceiling: bool, quiet_table: bool) -> dict[str, Any]:
    """Train and measure, which all processes do; the main one writes and speaks. The folder is locked to the end."""
    with trainer.lock:
        return _measured(trainer, ceiling=ceiling, quiet_table=quiet_table)


def _measured(trainer: Trainer, *, ceiling: bool, quiet_table: bool) -> dict[str, Any]:
    from ssl4rl_agents.ppo.trainer import Trainer
    from ssl4rl_benchmarks.reports import run as report
    from ssl4rl_benchmarks.reports.results import print_table

    config, out, processes = trainer.config, trainer.out, trainer.processes

    def measured(split: str, of: Trainer = trainer, when: str = "after training") -> dict[str, Any]:
        what = f"measuring it {when}, on questions about {split} items"
        with waiting(what):
            progress = Progress(what, config.test_episodes)
            result = of.measure(split, config.test_episodes, progress.tell)
            progress.end()
        return result.to_json()

    def begin() -> None:
        """Measure what can write answers and has learned nothing else; before the format warm-up nothing could be read."""
        before = measured("test", when="before training")
        if processes.is_main:
            write_json(out / BEFORE, before)

    if not trainer.run(begin):
        return _interrupted(trainer, out, ceiling=ceiling)

    results: dict[str, Any] = {
        "finished": True,
        "out": str(out),
        "chance": trainer.task.chance,
        "before": report.read_json(out / BEFORE) if (out / BEFORE).exists() else None,
        "after": measured("test"),
        "train": measured("train"),
        "seconds": report.training_seconds(out),
        **({"control": config.control.told} if config.control.told else {}),
    }
    if ceiling:
        folder = out / CEILING
        begun = bool(processes.main_says(is_run(folder)))
        top = dataclasses.replace(config, algorithm="sft", control=ControlConfig())  # the ceiling of the task as it is
        supervised = Trainer(top, folder, resume=begun, processes=processes)
        if not supervised.run():
            return _interrupted(supervised, out, ceiling=True)
        results["ceiling"] = measured("test", supervised)
    with waiting("drawing the report"):
        answers = report.draw_answers(trainer)
    if processes.is_main:
        write_json(out / "results.json", results)
        report.write(trainer, results, answers)
        if not quiet_table:
            print_table(results)
    return results


def _interrupted(trainer: Trainer, out: Path, *, ceiling: bool) -> dict[str, Any]:
    tell(f"interrupted and saved; go on with: ssl4rl train --resume {out}{' --ceiling' * ceiling}")
    return {"finished": False, "out": str(out), "iteration": trainer.iteration}
