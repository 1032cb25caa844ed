"""The pages of clients: each block runs as it is printed, with a tiny model in the place of the one it names."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "clients"


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL)


@pytest.mark.parametrize(
    ("page", "needs"), [("verl", "datasets"), ("verifiers", "verifiers"), ("reasoning_gym", "reasoning_gym")]
)
def test_the_block_of_a_page_runs(page, needs, tmp_path, monkeypatch):
    pytest.importorskip(needs)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (code,) = blocks(page)
    exec(compile(code, f"{page}.md", "exec"), {})


@pytest.mark.slow
def test_the_first_block_of_trl_takes_a_step(tmp_path, monkeypatch):
    pytest.importorskip("trl")
    from tests.agents import zoo

    monkeypatch.chdir(tmp_path)
    zoo.save("llava", tmp_path / "model")
    code = blocks("trl")[0].replace("Qwen/Qwen2.5-VL-3B-Instruct", "model").replace("1000", "4")
    names = {}
    exec(compile(code, "trl.md", "exec"), names)
    assert names["trainer"].state.global_step == 1
