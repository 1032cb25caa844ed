"""The command ``ssl4rl``: it finds the sub-command of a call in `commands`, runs it, and tells mistakes in one line.

Results go to standard output, as text or with --json as JSON; everything else goes to standard error.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from importlib import import_module

from ssl4rl_agents.runs.files import finite
from ssl4rl_benchmarks.commands.calls import INTERRUPTED, Outcome, UserError, wants_help
from ssl4rl_benchmarks.commands.table import COMMANDS, usage
from ssl4rl_benchmarks.screen import width
from ssl4rl_benchmarks.spinning import sleep_soon
from ssl4rl_envs import telling
from ssl4rl_envs.arguments import did_you_mean
from ssl4rl_envs.telling import waiting

FAULT = 70
"""The exit status where the program is to blame, as sysexits.h has it."""

FAILURES = ("DivergedError", "EndpointError")
"""Errors that are no mistake in the call; by their names, since their packages may not be imported."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

SYSTEM = {
    errno.ENOENT: "there is no such file or folder",
    errno.EEXIST: "there is a file already, and a folder is needed; choose another place",
    errno.ENOTDIR: "a file stands in the way of a folder; choose another place",
    errno.EISDIR: "this is a folder, and a file is needed",
    errno.EACCES: "you may not read or write here; choose another place, or ask for the right to",
    errno.EPERM: "you may not read or write here; choose another place, or ask for the right to",
    errno.EROFS: "nothing can be written here; choose another place",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "you have no room left on this disk",
}
"""What the system's refusals mean for who calls."""

WIDEST = 120
"""Letters of a line that are still read well."""


def call(arguments: Sequence[str]) -> Outcome:
    """Run the command that the first words of a call name.

    Raises:
        UserError: there is no such command.
        ImportError: packages that it needs are not installed.
    """
    name = _named(arguments)
    if name not in COMMANDS:
        nearest = did_you_mean(name, COMMANDS) or ";"
        raise UserError(f"unknown command {name!r}{nearest} known are {', '.join(COMMANDS)}; ssl4rl --help explains them")
    sleep_soon()
    with waiting(f"loading what ssl4rl {name} needs"):
        module = import_module(f"ssl4rl_benchmarks.commands.{name.split()[-1]}")
    outcome: Outcome = module.run(list(arguments[len(name.split()) :]))
    return outcome


def _named(arguments: Sequence[str]) -> str:
    """Return the command that a call names, of one word or two; the first word where it names none."""
    two = " ".join(arguments[:2])
    return two if two in COMMANDS else arguments[0]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit status.

    It is 0 where all is done, 1 where something failed that the call cannot help (an audit, a benchmark's run, a server that
    does not answer, a full disk), 2 for a mistake in the call, 70 for one of ours, 130 if interrupted.

    With SSL4RL_TRACEBACK=1 in the environment, mistakes are raised with their traceback.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    quiet = "--quiet" in arguments
    arguments = [argument for argument in arguments if argument != "--quiet"]
    if quiet:
        os.environ[telling.VARIABLE] = "1"
    if not arguments or wants_help(arguments):
        print(usage(min(width() or WIDEST, WIDEST)))
        return 0
    if arguments[0] == "--version":
        print(_versions())
        return 0
    # Libraries that chat on standard output (DeepSpeed, as soon as it is imported) would spoil JSON.
    others = redirect_stdout(sys.stderr) if "--json" in arguments else nullcontext()
    try:
        with others, _own_warnings_in_a_line():
            outcome = call(arguments)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("SSL4RL_TRACEBACK"):
            raise
        status, line = _told(error)
        name = _named(arguments)
        print(f"ssl4rl{f' {name}' if name in COMMANDS else ''}: {line}", file=sys.stderr)
        return status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    if outcome.json:
        print(json.dumps(finite(outcome.results), indent=2, allow_nan=False))
    return outcome.status


def _told(error: Exception) -> tuple[int, str]:
    """Return the exit status after an error, and what is said of it."""
    said = _line(_of_system(error) if isinstance(error, OSError) else str(error))
    if type(error).__name__ in FAILURES or (isinstance(error, OSError) and error.errno in NO_ROOM):
        return 1, said
    if isinstance(error, (UserError, ValueError, TypeError, OSError, ImportError)):
        return 2, said
    return FAULT, (
        f"a fault of ssl4rl, or of what it calls, rather than of the call: {type(error).__name__}: {said} "
        "(SSL4RL_TRACEBACK=1 shows where)"
    )


def _line(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())


def _of_system(error: OSError) -> str:
    """Return what the operating system refuses, about which file, and what would be right; what we say ourselves as it is."""
    file = error.filename if error.filename2 is None else error.filename2
    if error.errno is None or file is None:
        return str(error)
    return f"{file}: {SYSTEM.get(error.errno) or (error.strerror or '').lower()}"


@contextmanager
def _own_warnings_in_a_line() -> Iterator[None]:
    """Tell warnings of ours like all else that is told, without the place in the code that they are from."""
    usual = warnings.formatwarning

    def told(message: Warning | str, kind: type[Warning], file: str, line: int, text: str | None = None) -> str:
        own = issubclass(kind, UserWarning) and ("ssl4rl_" in file or file == "ssl4rl")
        return f"ssl4rl: {message}\n" if own else usual(message, kind, file, line, text)

    warnings.formatwarning = told  # type: ignore[assignment]
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _versions() -> str:
    from ssl4rl_benchmarks.bench.rows import versions

    found = versions()
    return ", ".join([f"ssl4rl {found.pop('ssl4rl', 'from a folder')}", *(f"{name} {found[name]}" for name in found)])
