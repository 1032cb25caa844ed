"""A model behind an OpenAI-compatible endpoint as an agent: it acts in environments like any other, in turns too."""

from __future__ import annotations

import asyncio
from typing import Any

from typing_extensions import override

from ssl4rl_agents.agent import Agent
from ssl4rl_agents.endpoints.client import OPENAI, Answered, Client, Endpoint, EndpointError, run_to_end
from ssl4rl_agents.readability import TRUNCATED
from ssl4rl_envs import SSLVectorEnv, to_messages, tool_schema


class EndpointAgent(Agent):
    """Replies with what a model behind an endpoint replies; `load_agent("openai:MODEL", envs, base_url=...)` makes one.

    Args:
        envs: which it will act in; where they ask in the style "tool", their task says what the tool takes.
        model: its name at the endpoint.
        base_url: what "/chat/completions" follows.
        temperature: of sampling; acting deterministically asks with temperature 0.
        max_tokens: longest reply.
        concurrency: requests at a time.
        timeout: seconds for a whole response.
        retries: further attempts after one that failed in passing.

    Raises:
        ValueError: an argument is out of its range, or OpenAI's endpoint is asked and no key is in the environment.
    """

    interface = "text"

    def __init__(
        self,
        envs: SSLVectorEnv | None = None,
        model: str = "",
        base_url: str = OPENAI,
        temperature: float = 1.0,
        max_tokens: int = 1024,
        concurrency: int = 16,
        timeout: float = 120.0,
        retries: int = 6,
    ) -> None:
        asked = None if envs is None else envs.unwrapped.questions.interface
        self._tool = tool_schema(asked.task) if asked is not None and asked.prompt_style == "tool" else None
        self._endpoints = {
            deterministic: Endpoint(
                model,
                base_url,
                temperature=0.0 if deterministic else temperature,
                max_tokens=max_tokens,
                concurrency=concurrency,
                timeout=timeout,
                retries=retries,
            )
            for deterministic in (False, True)
        }
        self._endpoints[True].key()

    @override
    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> list[str]:
        """Return the model's replies, or the tool calls that it makes; one that was cut off says so at its end.

        Raises:
            EndpointError: a question got no reply; the message says why.
        """
        answers = run_to_end(_ask(self._endpoints[deterministic], to_messages(observations), self._tool))
        failed = [answered.error for answered in answers if answered.reply is None]
        if failed:
            raise EndpointError(f"{len(failed)} of {len(answers)} questions got no reply; the first: {failed[0]}")
        replies = [answered.reply for answered in answers if answered.reply is not None]
        return [reply.text + TRUNCATED * (reply.finish_reason == "length") for reply in replies]


async def _ask(endpoint: Endpoint, questions: list[Any], tool: dict[str, Any] | None) -> list[Answered]:
    async with Client(endpoint) as client:
        return list(await asyncio.gather(*(client.ask(question, tool=tool) for question in questions)))
