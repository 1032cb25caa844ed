"""A real server of OpenAI's protocol, transformers' own: what it replies to us is what the same model says here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from ssl4rl_agents.endpoints.client import Endpoint
from ssl4rl_agents.endpoints.collect import collect
from ssl4rl_agents.pretrained import Pretrained, collect_replies
from ssl4rl_agents.replies import Quiz, ReplyFile
from tests.agents import zoo

SERVE = "import sys; from transformers.cli.transformers import main; sys.argv[0] = 'transformers'; main()"
READY = 120
"""Seconds within which a server must be there."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    for module in ("fastapi", "uvicorn", "openai"):  # which `transformers serve` needs
        pytest.importorskip(module)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVE, "serve", "--host", "127.0.0.1", "--port", str(port)]
    log = tmp_path_factory.mktemp("serve") / "log"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with log.open("w") as file:
        server = subprocess.Popen(
            [*command, "--device", "cpu", "--dtype", "float32"], stdout=file, stderr=file, env=environment
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(10 * READY):
            assert server.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5)
                break
            except (urllib.error.URLError, OSError):
                Event().wait(0.1)
        yield f"{address}/v1"
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow
def test_transformers_serve_says_what_the_model_says_here(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    zoo.save("llava", tmp_path / "model")
    model, quiz = str(tmp_path / "model"), Quiz("SSL4RL/Rotation-v0", {"source": "digits", "image_size": 36}, questions=6)
    with ReplyFile(tmp_path / "there.jsonl") as there, ReplyFile(tmp_path / "here.jsonl") as here:
        progress = collect(Endpoint(model, address, max_tokens=8, concurrency=2), quiz, there)
        collect_replies(Pretrained(model, max_new_tokens=8, device="cpu"), quiz, here)
        said = [{row.index: (row.reply, row.finish_reason, row.usage) for row in file.rows} for file in (there, here)]
    assert (progress.replies, progress.errors) == (6, 0)
    assert said[0] == said[1]
    assert len({reply for reply, *_ in said[0].values()}) > 1
