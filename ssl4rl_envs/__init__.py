"""Self-supervised pretext tasks as Gymnasium environments with verifiable rewards.

Importing this package registers the environments: ``gymnasium.make("SSL4RL/Rotation-v0")``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ssl4rl_envs.env import SSLEnv
from ssl4rl_envs.registration import env_id_of, env_ids, make_task, register, register_all, task_class
from ssl4rl_envs.stream import Stream, hash_seed
from ssl4rl_envs.task import Batch, Score, Task
from ssl4rl_envs.vector import SSLVectorEnv

if TYPE_CHECKING:
    from ssl4rl_envs.bridges.messages import to_messages
    from ssl4rl_envs.bridges.nx import to_networkx
    from ssl4rl_envs.bridges.pyg import to_pyg
    from ssl4rl_envs.bridges.rows import rows
    from ssl4rl_envs.bridges.score import score
    from ssl4rl_envs.bridges.tools import tool_schema
    from ssl4rl_envs.on_device import SSLTorchVectorEnv as SSLTorchVectorEnv

register_all()

_ON_DEMAND = {
    "SSLTorchVectorEnv": "ssl4rl_envs.on_device",
    "rows": "ssl4rl_envs.bridges.rows",
    "score": "ssl4rl_envs.bridges.score",
    "to_messages": "ssl4rl_envs.bridges.messages",
    "to_networkx": "ssl4rl_envs.bridges.nx",
    "to_pyg": "ssl4rl_envs.bridges.pyg",
    "tool_schema": "ssl4rl_envs.bridges.tools",
}
"""What needs other libraries or is for who uses them, and the module that it is in."""


def __getattr__(name: str) -> Any:
    """Import what is seldom needed when somebody asks for it."""
    if name in _ON_DEMAND:
        return getattr(import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND})


__version__ = "0.1.0"
__all__ = [
    "Batch",
    "SSLEnv",
    "SSLVectorEnv",
    "Score",
    "Stream",
    "Task",
    "env_id_of",
    "env_ids",
    "hash_seed",
    "make_task",
    "register",
    "rows",
    "score",
    "task_class",
    "to_messages",
    "to_networkx",
    "to_pyg",
    "tool_schema",
]
