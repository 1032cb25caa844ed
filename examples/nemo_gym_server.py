"""A resources server of NVIDIA's NeMo Gym, and its data: one turn, pictures or text.

    python examples/nemo_gym_server.py Rotation data/train.jsonl 1000    # writes rows

Copied as `resources_servers/ssl4rl/app.py` of a NeMo Gym checkout, with `-e PATH_OF_THIS_REPOSITORY` in its requirements.txt
and a configuration like that of any server without tools:

    ssl4rl:
      resources_servers:
        ssl4rl:
          entrypoint: app.py
          domain: other
    ssl4rl_simple_agent:
      responses_api_agents:
        simple_agent:
          entrypoint: app.py
          resources_server: {type: resources_servers, name: ssl4rl}
          model_server: {type: responses_api_models, name: policy_model}
          datasets:
          - {name: train, type: train, jsonl_fpath: resources_servers/ssl4rl/data/train.jsonl}
"""

import base64
import io
import json
import sys
from pathlib import Path

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)

from ssl4rl_envs import rows, score

ORIGIN = ("env_id", "args", "split", "seed", "index")


class VerifyRequest(BaseVerifyRequest):
    """A rollout, and where its question is from: the columns of its row."""

    env_id: str
    args: str
    split: str
    seed: int
    index: int


class VerifyResponse(BaseVerifyResponse):
    """What it is worth."""

    success: bool
    valid: bool
    parsed: str | None
    truth: str


class SSL4RLServer(SimpleResourcesServer):
    """Scores replies from the keys of their questions alone."""

    config: BaseResourcesServerConfig

    async def verify(self, body: VerifyRequest) -> VerifyResponse:
        origin = {"split": body.split, "seed": body.seed, "index": body.index}
        (scored,) = score(body.env_id, said(body.response), **origin, **json.loads(body.args))
        asked = body.model_dump(exclude={*ORIGIN})
        return VerifyResponse(**asked, **scored)


def said(response):
    """The text of the model's messages, without its reasoning."""
    messages = [item for item in response.output if item.type == "message"]
    return "".join(part.text for message in messages for part in message.content if part.type == "output_text")


def data(env_id, count, split="train", seed=0, **arguments):
    """Questions as NeMo Gym reads them: a request to the model, and where the question is from."""
    for row in rows(env_id, count, split=split, seed=seed, **arguments):
        parts = [{"type": "input_image", "image_url": png(picture), "detail": "auto"} for picture in row["images"]]
        parts.append({"type": "input_text", "text": row["prompt"][0]["content"]})
        asked = {"input": [{"role": "user", "content": parts if row["images"] else parts[-1]["text"]}]}
        yield {"responses_create_params": asked, **{name: row[name] for name in ORIGIN}}


def png(picture):
    """A picture as the address that holds it."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


if __name__ == "__main__":
    if len(sys.argv) == 4:
        name, path, count = sys.argv[1:]
        Path(path).write_text("".join(f"{json.dumps(row)}\n" for row in data(f"SSL4RL/{name}-v0", int(count))))
    else:
        SSL4RLServer.run_webserver()
