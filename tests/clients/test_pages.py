"""The pages of clients: each block runs as it is printed, with a tiny model in the place of the one it names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ssl4rl_agents.replies import Quiz, ReplyFile
from tests.clients.partner import EXAMPLES, blocks, run_page


@pytest.mark.parametrize(
    ("page", "needs"),
    [
        ("verl", "datasets"),
        ("verifiers", "verifiers"),
        ("reasoning_gym", "reasoning_gym"),
        ("skyrl", "skyrl_gym"),
        ("nemo_gym", "nemo_gym"),
    ],
)
def test_the_block_of_a_page_runs(page, needs, tmp_path, monkeypatch):
    pytest.importorskip(needs)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(EXAMPLES)])  # whence pages of examples are run
    (code,) = blocks(page)
    exec(compile(code, f"{page}.md", "exec"), {})


def test_the_block_of_endpoints_tells_of_a_model_that_never_replied(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    quiz = Quiz("SSL4RL/Rotation-v0", {"source": "digits"}, split="test", questions=2)
    with ReplyFile(Path("replies/silent.jsonl")) as file:
        for _, questions in quiz.batches(wanted=lambda index: True):
            for question in questions:
                told = {"model": "silent", "kind": "model", "settings": {}, "reply": None, "error": "no whole response"}
                file.append(quiz.row(question.index, question.digest, **told))
    run_page("endpoints")
    said = capsys.readouterr().out.splitlines()
    assert "silent has not replied: 2 replies never came" in said
    assert any(line.startswith("mine ") for line in said)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block", "family", "named"),
    [(0, "qwen2_5_vl", "Qwen/Qwen2.5-VL-3B-Instruct"), (1, "qwen3_vl", "Qwen/Qwen3-VL-2B-Instruct")],
)
def test_the_blocks_of_trl_take_a_step(block, family, named, tmp_path, monkeypatch):
    pytest.importorskip("trl")
    from tests.agents import zoo

    monkeypatch.chdir(tmp_path)
    zoo.save(family, tmp_path / named)
    if family == "qwen3_vl":  # whose real template knows tools, as TRL's copy of it does
        templates = pytest.importorskip("trl.chat_template_utils")
        (tmp_path / named / "chat_template.jinja").write_text(templates.qwen3_vl_chat_template)
    names = {}
    exec(compile(blocks("trl")[block].replace("1000", "4"), "trl.md", "exec"), names)
    assert names["trainer"].state.global_step == 1
