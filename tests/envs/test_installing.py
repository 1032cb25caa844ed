"""What is advised where a package is missing: a line that works where this installation came from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ssl4rl_envs import installing
from ssl4rl_envs.installing import install_line, need

ROOT = Path(__file__).parents[2]
HASH = "0123456789abcdef0123456789abcdef01234567"


class Installed:
    """A distribution as pip left it."""

    requires = ("numpy>=1.26", "torch>=2.6; extra == 'all'", 'arch<8; extra == "bench"')

    def __init__(self, origin: dict | None) -> None:
        self.origin = origin

    def read_text(self, name: str) -> str | None:
        return json.dumps(self.origin) if self.origin is not None and name == "direct_url.json" else None


@pytest.fixture
def line(monkeypatch, tmp_path):
    """The function (origin, *extras) -> the advice of an installation into site-packages."""
    monkeypatch.setattr(installing, "__file__", str(tmp_path / "site-packages" / "ssl4rl_envs" / "installing.py"))

    def advised(origin: dict | None, *extras: str) -> str:
        monkeypatch.setattr(installing, "distribution", lambda name: Installed(origin))
        return install_line(*extras)

    return advised


def test_a_checkout_advises_itself():
    assert install_line("all", "trl") == f"pip install --editable '{ROOT}[all,trl]'"


def test_what_was_installed_from_a_folder_comes_from_there_again(line, tmp_path):
    (tmp_path / "my clone").mkdir()
    (tmp_path / "my clone" / "setup.py").touch()
    url = (tmp_path / "my clone").as_uri()
    assert line({"url": url, "dir_info": {}}, "all") == f"pip install '{tmp_path}/my clone[all]'"
    assert line({"url": url, "dir_info": {"editable": True}}, "all") == f"pip install --editable '{tmp_path}/my clone[all]'"


def test_what_came_from_a_repository_or_a_wheel_comes_from_there_again(line, tmp_path):
    git = {"url": "https://host/ssl4rl.git", "vcs_info": {"vcs": "git", "commit_id": HASH}}
    assert line(git, "all") == f"pip install 'ssl4rl[all] @ git+https://host/ssl4rl.git@{HASH}'"
    wheel = tmp_path / "ssl4rl-0.1.0-py3-none-any.whl"
    wheel.touch()
    assert line({"url": wheel.as_uri(), "archive_info": {}}, "bench") == f"pip install 'ssl4rl[bench] @ {wheel.as_uri()}'"


@pytest.mark.parametrize("origin", [None, {"url": "file:///gone", "dir_info": {}}, {"url": "file:///gone.whl"}])
def test_where_the_origin_is_gone_the_packages_are_named(line, origin):
    assert line(origin, "all", "bench") == "pip install 'torch>=2.6' 'arch<8'"


def test_what_is_missing_is_told_in_one_line():
    need("this audit", "all", "numpy")
    with pytest.raises(ImportError, match=r"^this audit needs no-such-thing: pip install .*\[all\]'$"):
        need("this audit", "all", "numpy", "no_such_thing")


def test_nothing_advises_a_release_that_no_index_has():
    """In messages, documents and scripts, where the distribution's bare name would be looked for in an index."""
    asked = re.compile(r"pip install [^\n]*?['\"` ]ssl4rl(\[[^\]]*\])?(?! @)['\"` ]")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for folder in ("ssl4rl_envs", "agents", "benchmarks", "docs", "examples", ".")
        for pattern in ("*.md", "*.py")
        for path in ((ROOT / folder).glob(pattern) if folder == "." else (ROOT / folder).rglob(pattern))
        for match in asked.finditer(path.read_text())
        if path.name != "installing.py"
    ]
    assert not found
