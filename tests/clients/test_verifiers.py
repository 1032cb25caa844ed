"""verifiers: its own loader, agents and harness play our taskset against an endpoint on this machine (seen with 0.4.0)."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from tests.clients.endpoint_server import Completions, served
from tests.clients.partner import EXAMPLES

vf = pytest.importorskip("verifiers.v1")
TASK = {"source": "faces", "image_size": 36}


@pytest.fixture
def endpoint():
    """An endpoint that names the four turns one after another, from the first again where `asked` is empty."""
    asked = []

    class Turns(Completions):
        def reply(self, request):
            completion = self.completion(f"<answer>{(0, 90, 180, 270)[len(asked) % 4]}</answer>", usage=None)
            asked.append(request["messages"])
            if not request.get("stream"):
                return self.say(200, completion, {"Content-Type": "application/json"})
            whole = json.loads(completion)
            (choice,) = whole["choices"]
            choice["delta"] = choice.pop("message")
            chunk = json.dumps({**whole, "object": "chat.completion.chunk"})
            return self.say(200, f"data: {chunk}\n\ndata: [DONE]\n\n", {"Content-Type": "text/event-stream"})

    with served(Turns) as url:
        yield url, asked


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
def test_its_agents_play_one_turn_and_several(loaded, endpoint):
    url, asked = endpoint
    client = vf.EvalClientConfig(base_url=url, api_key_var="NO_KEY")
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

    once = asyncio.run(played(loaded("SSL4RL/Rotation-v0", 1)))
    assert len(asked) == 1
    asked.clear()
    thrice = asyncio.run(played(loaded("SSL4RL/Rotation-v0", 1, attempts=4)))
    for episode in (once, thrice):
        assert episode.ok, episode.errors
    (trace,) = thrice.traces
    turns = len(asked)
    assert trace.num_turns == turns
    assert (trace.rewards["reward"].score, trace.metrics["success"]) == (1.0, 1.0)  # one of the four is right
    assert [message["role"] for message in asked[-1]] == ["user", *["assistant", "user"] * (turns - 1)]
    (first,) = once.traces
    assert first.rewards["reward"].score == first.metrics["success"] == float(turns == 1)
