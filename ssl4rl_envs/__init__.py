"""Self-supervised pretext tasks as Gymnasium environments with verifiable rewards.

Importing this package registers the environments: ``gymnasium.make("SSL4RL/Rotation-v0")``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ssl4rl_envs.env import SSLEnv
from ssl4rl_envs.registration import env_ids, make_task, register_all, task_class
from ssl4rl_envs.stream import Stream, hash_seed
from ssl4rl_envs.task import Batch, Score, Task
from ssl4rl_envs.vector import SSLVectorEnv

if TYPE_CHECKING:
    from ssl4rl_envs.on_device import SSLTorchVectorEnv as SSLTorchVectorEnv

register_all()


def __getattr__(name: str) -> Any:
    """Import what needs torch when somebody asks for it."""
    if name == "SSLTorchVectorEnv":
        return getattr(import_module("ssl4rl_envs.on_device"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__version__ = "0.1.0"
__all__ = [
    "Batch",
    "SSLEnv",
    "SSLVectorEnv",
    "Score",
    "Stream",
    "Task",
    "env_ids",
    "hash_seed",
    "make_task",
    "task_class",
]
