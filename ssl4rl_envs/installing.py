"""How to install what is missing: the one place that says it, in a line that works here.

The distribution is in no package index, so "pip install ssl4rl[all]" would fail, or fetch whatever a stranger may put there
under the name. What is advised instead is where this installation came from: the checkout that is imported from, or what pip
noted; where that is unknown or gone, the packages themselves.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NAME = "ssl4rl"


def install_line(*extras: str) -> str:
    """Return the command that adds extras to this installation, e.g. ``pip install '/home/me/ssl4rl[all]'``.

    Args:
        extras: as setup.py names them, e.g. "all", "bench".
    """
    checkout = _of_folder(Path(__file__).parents[1], extras, editable=True)
    if checkout:
        return checkout
    try:
        installed = distribution(NAME)
    except PackageNotFoundError:  # the packages were copied to where they lie
        return f"install {NAME}[{','.join(extras)}] from its repository"
    return _of_origin(json.loads(installed.read_text("direct_url.json") or "{}"), extras) or _of_packages(installed, extras)


def need(what: str, extras: str | Sequence[str], *modules: str) -> None:
    """Refuse to go on without some packages.

    Args:
        what: that needs them, e.g. "this audit".
        extras: that bring them, or the one that does.
        modules: as they are imported.

    Raises:
        ImportError: one of them is not installed; the message is one line and ends with the command that installs it.
    """
    missing = [name.replace("_", "-") for name in modules if find_spec(name) is None]
    if missing:
        named = [extras] if isinstance(extras, str) else extras
        raise ImportError(f"{what} needs {', '.join(missing)}: {install_line(*named)}")


def _of_origin(origin: dict[str, Any], extras: tuple[str, ...]) -> str | None:
    """Return the command by what pip noted of an installation's origin (PEP 610); None where there is no more of it."""
    url = origin.get("url", "")
    if "dir_info" in origin:
        return _of_folder(Path(unquote(urlsplit(url).path)), extras, editable=bool(origin["dir_info"].get("editable")))
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return _install(f"{NAME}[{','.join(extras)}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}")
    if url and (not url.startswith("file:") or Path(unquote(urlsplit(url).path)).exists()):
        return _install(f"{NAME}[{','.join(extras)}] @ {url}")
    return None


def _of_folder(folder: Path, extras: tuple[str, ...], *, editable: bool) -> str | None:
    if not (folder / "setup.py").is_file():
        return None
    return _install(f"{folder}[{','.join(extras)}]", *["--editable"] * editable)


def _of_packages(installed: Distribution, extras: tuple[str, ...]) -> str:
    """Return the command that installs what extras consist of."""
    wanted = []
    for requirement in installed.requires or []:
        package, _, marker = requirement.partition(";")
        named = re.search(r"extra == [\"']([^\"']+)[\"']", marker)
        if named and named[1] in extras:
            wanted.append(package.strip())
    return _install(*dict.fromkeys(wanted))


def _install(*words: str) -> str:
    options = [word for word in words if word.startswith("--")]
    named = [word if word in options else shlex.quote(word) for word in words]
    return " ".join(["pip install", *options, *(word for word in named if word not in options)])
