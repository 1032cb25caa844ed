"""What a user writes by the pages of clients passes a strict type checker: the package says its types, and they fit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ssl4rl_envs

ROOT = Path(ssl4rl_envs.__file__).parents[1]
PAGE = ROOT / "docs" / "clients.md"
SETTINGS = """
[mypy]
strict = true
ignore_missing_imports = true
[mypy-torch.*,torch_geometric.*,transformers.*]
follow_imports = skip
"""
REVEALED = """
from ssl4rl_envs import make_task, rows, score, tool_schema

row = next(rows("Rotation", 1))
reveal_type(row["images"])
reveal_type(row["index"])
(scored,) = score(row["env_id"], ["<answer>90</answer>"], index=row["index"])
reveal_type(scored["parsed"])
reveal_type(make_task("Rotation"))
"""
TYPES = ["list[PIL.Image.Image]", "int", "str | None", "ssl4rl_envs.task.Task"]


def test_the_blocks_of_the_page_and_what_they_return_are_typed(tmp_path):
    pytest.importorskip("mypy")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 5
    for number, block in enumerate(blocks):
        (tmp_path / f"block_{number}.py").write_text(block)
    (tmp_path / "revealed.py").write_text(REVEALED)
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    files = [file.name for file in sorted(tmp_path.glob("*.py"))]
    command = [sys.executable, "-m", "mypy", "--no-incremental", *files]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    said = done.stdout.splitlines()
    assert [line for line in said if "error" in line and not line.startswith("Found")] == []
    assert [re.sub("builtins.", "", found) for found in re.findall(r'Revealed type is "(.*)"', done.stdout)] == TYPES
