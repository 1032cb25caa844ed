"""Self-supervised pretext tasks as Gymnasium environments with verifiable rewards.

Importing this package registers the environments. ``gymnasium.make("ssl4rl_envs:SSL4RL/Rotation-v0")`` imports it, in worker
processes too; where it is imported already, "SSL4RL/Rotation-v0" is enough.
"""

from typing import TYPE_CHECKING

from ssl4rl_envs.env import SSLEnv
from ssl4rl_envs.lazy import lazily
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

__getattr__, __dir__ = lazily(  # what needs other libraries, or is for who uses them
    __name__,
    {
        "SSLTorchVectorEnv": "on_device",  # not in __all__, since `import *` would need torch
        "rows": "bridges.rows",
        "score": "bridges.score",
        "to_messages": "bridges.messages",
        "to_networkx": "bridges.nx",
        "to_pyg": "bridges.pyg",
        "tool_schema": "bridges.tools",
    },
)

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
