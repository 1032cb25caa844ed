"""``ssl4rl completion``: a script by which a shell completes commands, environments, agents, suites and flags.

The script holds all words, so that completing starts no Python: it is made once, and again where plug-ins or versions change.
What a command takes is read from `table.CALLS`, its flags from the dataclasses named ...Flags in its modules.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ssl4rl_agents.agent import agent_names
from ssl4rl_benchmarks.bench.suites import SUITES
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.calls import Outcome, UserError, wants_help
from ssl4rl_benchmarks.commands.table import CALLS, COMMANDS
from ssl4rl_envs import env_ids, task_class
from ssl4rl_envs.arguments import did_you_mean
from ssl4rl_envs.registration import short_name
from ssl4rl_envs.telling import tell

INSTALL = {
    "bash": 'eval "$(ssl4rl completion bash)"   # in ~/.bashrc',
    "zsh": 'ssl4rl completion zsh > "${fpath[1]}/_ssl4rl"   # once; then start a new shell',
    "fish": "ssl4rl completion fish > ~/.config/fish/completions/ssl4rl.fish   # once",
}
EVERYWHERE = ("--help", "--quiet")
MODULES = {"train": ("train", "train_agent"), "eval": ("eval", "eval_model_flags", "downstream"), "bench": ("bench", "tune")}
"""Where the flags of a command stand, if not in its own module alone."""


@dataclass(frozen=True)
class Words:
    """What a shell can complete.

    Args:
        commands: first words, by what may follow them.
        flags: of each command, by what they take; nothing where that is free.
        envs: flags of each environment, by what they take.
    """

    commands: dict[str, list[str]]
    flags: dict[str, dict[str, tuple[str, ...]]]
    envs: dict[str, dict[str, tuple[str, ...]]]


def run(arguments: list[str]) -> Outcome:
    """Print the script of the shell that a call names.

    Raises:
        UserError: it names none, or one without a script.
    """
    usage = "usage: ssl4rl completion bash|zsh|fish"
    if wants_help(arguments):
        print("\n".join([usage, "", *(f"  {line}" for line in INSTALL.values())]))
        return Outcome(0, None, json=False)
    if len(arguments) != 1 or arguments[0] not in SCRIPTS:
        nearest = did_you_mean(arguments[0], SCRIPTS) if arguments else ""
        raise UserError(f"name one of the shells {', '.join(SCRIPTS)}: {INSTALL['bash']}{nearest}")
    print(SCRIPTS[arguments[0]](words()))
    return Outcome(0, None, json=False)


def words() -> Words:
    """Collect all words."""
    stand_for = {
        "ENV": [short_name(env_id) for env_id in env_ids()],
        "AGENT": agent_names(),
        "SUITE": list(SUITES),
        "bash|zsh|fish": list(SCRIPTS),
    }
    commands: dict[str, list[str]] = {}
    for call in CALLS:
        command, *rest = call.words.split()
        taken = commands.setdefault(command, [])
        for word in rest:
            taken += stand_for.get(word, [word] if word in {name.split()[-1] for name in COMMANDS} else [])
    return Words(
        {command: list(dict.fromkeys(taken)) for command, taken in commands.items()},
        {command: _flags_of(command) for command in commands},
        {short_name(env_id): _of_env(env_id) for env_id in env_ids()},
    )


def _flags_of(command: str) -> dict[str, tuple[str, ...]]:
    """Return the flags of a command."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(EVERYWHERE, ())
    for file in MODULES.get(command, (command,)):
        module = import_module(f"ssl4rl_benchmarks.commands.{file}")
        for name, member in vars(module).items():
            if name.endswith("Flags") and dataclasses.is_dataclass(member) and member.__module__ == module.__name__:
                found |= _taken(member)
    return found | ({"--agent": tuple(agent_names())} if "--agent" in found else {})


def _of_env(env_id: str) -> dict[str, tuple[str, ...]]:
    """Return the flags of an environment; none, with a word, of a plug-in's whose class cannot be looked at."""
    try:
        sources = task_class(env_id).sources
    except ValueError as error:
        tell(f"ssl4rl: the flags of {env_id} are left out: {error}")
        return {}
    return _taken(flags.env_flags(env_id)) | ({"--source": tuple(sources)} if sources is not None else {})


def _taken(command: Any) -> dict[str, tuple[str, ...]]:
    return {flag: flags.choices(kind) for flag, kind in flags.named(command).items()}


def _cases(subject: str, rows: dict[str, list[str]], indent: str = "    ") -> str:
    """Return a case of a shell over words, each with the words that it adds."""
    lines = [f"{indent}  {pattern}) found+=' {' '.join(added)}' ;;" for pattern, added in rows.items() if added]
    return "\n".join([f'{indent}case "{subject}" in', *lines, f"{indent}esac"])


def _body(these: Words) -> str:
    """Return what bash and zsh do alike: `found` is filled from `word`, `before`, `command`, `position` and `all`."""
    seen = {name: f"{name}|SSL4RL/{name}-v*" for name in these.envs}
    of_commands = {f'"{name} {flag}"': list(values) for name, taken in these.flags.items() for flag, values in taken.items()}
    of_envs = {
        "|".join(f"{each}\\ {flag}" for each in seen[name].split("|")): list(values)
        for name, taken in these.envs.items()
        for flag, values in taken.items()
    }
    return f"""  if [ "$position" -eq 1 ]; then
    found='{" ".join([*these.commands, "--help", "--version"])}'
  elif [ "${{word#-}}" != "$word" ]; then
{_cases("$command", {name: list(taken) for name, taken in these.flags.items()})}
    for each in "${{all[@]}}"; do
{_cases("$each", {seen[name]: list(taken) for name, taken in these.envs.items()}, "      ")}
    done
  elif [ "${{before#--}}" != "$before" ]; then
{_cases("$command $before", of_commands)}
    for each in "${{all[@]}}"; do
{_cases("$each $before", of_envs, "      ")}
    done
  else
{_cases("$command", these.commands)}
  fi"""


def bash(these: Words) -> str:
    """Return the script for bash; file names are completed where no word is."""
    return f"""# {INSTALL["bash"]}
_ssl4rl() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}}
  local position=$COMP_CWORD found='' each
  local -a all=("${{COMP_WORDS[@]}}")
{_body(these)}
  COMPREPLY=($(compgen -W "$found" -- "$word"))
}}
complete -o bashdefault -o default -F _ssl4rl ssl4rl"""


def zsh(these: Words) -> str:
    """Return the script for zsh; file names are completed where no word is."""
    return f"""#compdef ssl4rl
# {INSTALL["zsh"]}
_ssl4rl() {{
  local word=${{words[CURRENT]}} before=${{words[CURRENT-1]}} command=${{words[2]}}
  local position=$((CURRENT - 1)) found='' each
  local -a all=("${{words[@]}}")
{_body(these)}
  if [ -n "$found" ]; then compadd -- ${{=found}}; else _files; fi
}}
compdef _ssl4rl ssl4rl"""


def fish(these: Words) -> str:
    """Return the script for fish, which completes file names by itself."""
    lines = [f"# {INSTALL['fish']}"]
    lines.append(f"complete -c ssl4rl -f -n __fish_use_subcommand -a '{' '.join(these.commands)}'")
    lines += [
        f"complete -c ssl4rl -n '__fish_seen_subcommand_from {command}' -a '{' '.join(taken)}'"
        for command, taken in these.commands.items()
        if taken
    ]
    where = dict(these.flags)
    where |= {f"{name} SSL4RL/{name}-v0": taken for name, taken in these.envs.items()}
    for seen, taken in where.items():
        for flag, values in taken.items():
            takes = f" -x -a '{' '.join(values)}'" if values else ""
            name = flag.removeprefix("--")
            lines.append(f"complete -c ssl4rl -n '__fish_seen_subcommand_from {seen}' -l {name}{takes}")
    return "\n".join(lines)


SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}
