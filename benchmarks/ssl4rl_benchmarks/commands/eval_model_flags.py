"""Flags of `ssl4rl eval openai:MODEL` and `ssl4rl eval hf:MODEL`, and the models that they mean."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ssl4rl_benchmarks.commands.flags import json_object
from ssl4rl_envs.answers import PromptStyle
from ssl4rl_envs.stream import Split

if TYPE_CHECKING:
    from ssl4rl_agents.endpoints.client import Endpoint
    from ssl4rl_agents.pretrained import Pretrained


@dataclass(frozen=True)
class Asked:
    """What is asked, and where the replies go."""

    split: Split = "test"
    """Whose items are asked about."""
    episodes: int = 256
    """How many questions: the first ones of the seed, so that all who reply are asked the same."""
    samples: int = 1
    """Replies to each question; with several, pass@k is told."""
    seed: int = 0
    """Of the questions."""
    prompt_style: PromptStyle = "direct"
    """How a reply is to look: the answer within tags, after thinking within tags, or a call of a tool."""
    out: Path | None = None
    """The file of replies, .jsonl; by default in the folder replies. What it holds already is not asked again."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class EndpointFlags(Asked):
    """Ask a model behind an OpenAI-compatible endpoint."""

    base_url: str | None = None
    """What /chat/completions follows, e.g. http://localhost:8000/v1; by default $OPENAI_BASE_URL, else OpenAI's."""
    temperature: float | Literal["auto", "server"] = "auto"
    """Of sampling. auto: 0 for one sample, 1 for several; server: not sent (some models refuse it)."""
    max_tokens: int = 1024
    """Longest reply; 0 leaves it to the server."""
    extra: str = "{}"
    """Further fields of the request as JSON, e.g. '{"reasoning_effort": "low"}'."""
    key_variable: str = "OPENAI_API_KEY"
    """The variable of the environment that holds the key, which is stored nowhere; where it is not set, none is sent."""
    concurrency: int = 16
    """Requests at a time."""
    timeout: float = 120.0
    """Seconds for a whole response."""
    retries: int = 6
    """Further attempts after one that failed in passing: status 408, 429 or 5xx, a lost connection, a broken response."""
    patience: float = 120.0
    """The longest wait, in seconds, that a server may ask for by Retry-After."""
    price_in: float = 0.0
    """Of a million tokens that are read."""
    price_out: float = 0.0
    """Of a million tokens that are written."""
    errors_as: Literal["missing", "wrong"] = "missing"
    """How questions without a reply count: not at all, or as wrong. How many there are is told in any case."""


@dataclass(frozen=True)
class PretrainedFlags(Asked):
    """Ask a model of transformers as it is."""

    temperature: float | Literal["auto"] = "auto"
    """Of sampling; 0 takes the likeliest token at every place. auto: 0 for one sample, 1 for several."""
    max_tokens: int = 256
    """Longest reply."""
    batch: int = 16
    """Questions at a time."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1."""
    weights: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the weights; auto: bfloat16 on a GPU, else float32."""
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"
    """Which implementation."""
    template: str = "{}"
    """What the chat template is told beside the prompt, as JSON, e.g. '{"enable_thinking": false}'."""


def endpoint_of(model: str, given: EndpointFlags) -> Endpoint:
    """Return the endpoint that a call means.

    Raises:
        ImportError: httpx2 is not installed.
        UserError, ValueError: a flag has a value that it cannot have.
    """
    from ssl4rl_agents.endpoints.client import OPENAI, Endpoint

    automatic = 0.0 if given.samples == 1 else 1.0
    return Endpoint(
        model,
        given.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI,
        temperature={"auto": automatic, "server": None}.get(str(given.temperature), given.temperature),  # type: ignore[arg-type]
        max_tokens=given.max_tokens or None,
        extra=json_object("--extra", given.extra),
        key_variable=given.key_variable,
        concurrency=given.concurrency,
        timeout=given.timeout,
        retries=given.retries,
        patience=given.patience,
    )


def pretrained_of(model: str, given: PretrainedFlags) -> Pretrained:
    """Return the model of transformers that a call means.

    Raises:
        UserError, ValueError: a flag has a value that it cannot have.
    """
    from ssl4rl_agents.pretrained import Pretrained

    automatic = 0.0 if given.samples == 1 else 1.0
    return Pretrained(
        model,
        temperature=automatic if given.temperature == "auto" else given.temperature,
        max_new_tokens=given.max_tokens,
        batch=given.batch,
        device=given.device,
        weights=given.weights,
        attention=given.attention,
        template_arguments=json_object("--template", given.template),
    )
