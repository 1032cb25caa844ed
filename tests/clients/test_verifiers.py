"""verifiers: its own loader, agents and harness play our taskset against an endpoint on this machine (seen with 0.4.0)."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.clients.partner import EXAMPLES

vf = pytest.importorskip("verifiers.v1")
TASK = {"source": "faces", "image_size": 36}


class Endpoint(ThreadingHTTPServer):
    """Chat completions that say the next of `replies`, over and over; it notes what it was asked."""

    def __init__(self, replies):
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies, self.asked = replies, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = self.server.replies[len(self.server.asked) % len(self.server.replies)]
        self.server.asked.append(body["messages"])
        message = {"role": "assistant", "content": said}
        answer = {"id": "1", "created": 0, "model": body["model"]}
        if body.get("stream"):
            choice = {"index": 0, "delta": message, "finish_reason": "stop"}
            chunk = {**answer, "object": "chat.completion.chunk", "choices": [choice]}
            self.send(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n", "text/event-stream")
        else:
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.send(json.dumps({**answer, "object": "chat.completion", "choices": [choice]}), "application/json")

    def send(self, text, kind):
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def loaded(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(env_id, n, **given):
        taskset = {"id": "ssl4rl-taskset", "env_id": env_id, "n": n, "args": TASK, **given}
        return vf.load_environment(vf.resolve_env_config({"taskset": taskset}))

    return load


def test_the_taskset_asks_what_rows_ask(loaded):
    from ssl4rl_envs import rows
    from ssl4rl_envs.bridges.episodes import PLAYED

    env = loaded("SSL4RL/Rotation-v0", 3, seed=2)
    tasks = list(env.taskset)
    same = list(rows("SSL4RL/Rotation-v0", 3, split="test", seed=2, **TASK))
    for task, row in zip(tasks, same, strict=True):
        picture, text = task.data.prompt[0].content
        assert text.text == row["prompt"][0]["content"]
        assert picture.image_url.url.startswith("data:image/png;base64,")
        assert set(task.data.question) == set(PLAYED)  # nothing hidden travels with the question
    assert len({task.key for task in tasks}) == 3
    assert isinstance(env, vf.SingleAgentEnv)  # which alone vf-replay and vf-gepa take
    assert len(list(env.taskset.take(2))) == 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("uv") is None, reason="its chat harness is started by uv")
def test_its_agents_play_one_turn_and_several(loaded):
    replies = ["<answer>0</answer>", "<answer>90</answer>", "<answer>180</answer>", "<answer>270</answer>"]
    server = Endpoint(replies)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = vf.EvalClientConfig(base_url=server.url, api_key_var="NO_KEY")
    context = vf.ModelContext(model="stub", client=client, sampling=vf.SamplingConfig())

    async def played(env):
        async with env.serving():
            (task,) = env.taskset
            episode = await env.run_slot(env.slots(task)[0], context)
        (trace,) = episode.traces
        again = trace.model_copy(update={"rewards": {}, "metrics": {}})
        await task.score(again)  # as vf-replay does
        assert (again.rewards, again.metrics) == (trace.rewards, trace.metrics)
        return episode

    try:
        once = asyncio.run(played(loaded("SSL4RL/Rotation-v0", 1)))
        assert len(server.asked) == 1
        server.asked.clear()
        thrice = asyncio.run(played(loaded("SSL4RL/Rotation-v0", 1, attempts=4)))
    finally:
        server.shutdown()
        server.server_close()
    for episode in (once, thrice):
        assert episode.ok, episode.errors
    (trace,) = thrice.traces
    turns = len(server.asked)
    assert trace.num_turns == turns
    assert (trace.rewards["reward"].score, trace.metrics["success"]) == (1.0, 1.0)  # one of the four is right
    assert [message["role"] for message in server.asked[-1]] == ["user", *["assistant", "user"] * (turns - 1)]
    (first,) = once.traces
    assert first.rewards["reward"].score == first.metrics["success"] == float(turns == 1)
