"""NeMo Gym's resources server over the suite: its web server, asked as its agents ask it."""

from __future__ import annotations

import json
from unittest.mock import MagicMock

import pytest

pytest.importorskip("nemo_gym")
pytest.importorskip("fastapi.testclient")

from fastapi import testclient
from nemo_gym.openai_utils import NeMoGymResponse, NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.server_utils import ServerClient

from ssl4rl_envs import score
from tests.clients.partner import example

SMALL = {"source": "digits", "image_size": 36}


@pytest.fixture(scope="module")
def module():
    return example("nemo_gym_server")


@pytest.fixture(scope="module")
def client(module):
    config = module.BaseResourcesServerConfig(host="127.0.0.1", port=8080, entrypoint="app.py", name="ssl4rl")
    server = module.SSL4RLServer(config=config, server_client=MagicMock(spec=ServerClient))
    return testclient.TestClient(server.setup_webserver())


def response(text: str) -> dict:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"id": "m", "role": "assistant", "type": "message", "status": "completed", "content": content}
    thinking = {"id": "r", "type": "reasoning", "summary": [{"type": "summary_text", "text": "<answer>0</answer>"}]}
    whole = {"id": "1", "created_at": 0.0, "model": "m", "object": "response", "output": [thinking, message]}
    return NeMoGymResponse(**whole, parallel_tool_calls=False, tool_choice="none", tools=[]).model_dump(mode="json")


@pytest.mark.parametrize("env_id", ["SSL4RL/Rotation-v0", "SSL4RL/NodeAttribute-v0"])
def test_replies_are_verified_as_elsewhere(module, client, env_id):
    arguments = SMALL if "Rotation" in env_id else {}
    for row in map(json.loads, map(json.dumps, module.data(env_id, 3, seed=1, **arguments))):
        NeMoGymResponseCreateParamsNonStreaming.model_validate(row["responses_create_params"])
        truth = score(env_id, "", seed=1, index=row["index"], **arguments)[0]["truth"]
        assert truth not in str(row["args"])
        for reply, reward in ((f"<answer>{truth}</answer>", 1.0), ("<answer>nothing</answer>", 0.0), ("", 0.0)):
            answer = client.post("/verify", json={**row, "response": response(reply)})
            assert answer.status_code == 200, answer.text
            told = answer.json()
            assert (told["reward"], told["success"], told["truth"]) == (reward, reward == 1.0, truth)
            assert told["responses_create_params"]["input"]


def test_rows_show_pictures_before_words(module):
    (row,) = module.data("SSL4RL/FlipPrediction-v0", 1, **SMALL)
    (message,) = row["responses_create_params"]["input"]
    assert [part["type"] for part in message["content"]] == ["input_image", "input_image", "input_text"]
