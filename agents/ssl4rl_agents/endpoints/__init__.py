"""Models behind an OpenAI-compatible endpoint, asked many questions at a time by a client that expects little of a server."""

from typing import TYPE_CHECKING

from ssl4rl_envs.installing import need
from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.endpoints.agent import EndpointAgent
    from ssl4rl_agents.endpoints.client import Client, Endpoint, EndpointError

need("a model behind an endpoint", "endpoint", "httpx2")

__all__ = ["Client", "Endpoint", "EndpointAgent", "EndpointError"]

__getattr__, __dir__ = lazily(
    __name__, {"Client": "client", "Endpoint": "client", "EndpointAgent": "agent", "EndpointError": "client"}
)
