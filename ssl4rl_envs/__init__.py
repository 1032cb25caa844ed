"""Self-supervised pretext tasks as Gymnasium environments with verifiable rewards.

Importing this package registers the environments: ``gymnasium.make("SSL4RL/Rotation-v0")``.
"""

from ssl4rl_envs.env import SSLEnv
from ssl4rl_envs.registration import env_ids, make_task, register_all, task_class
from ssl4rl_envs.stream import Stream, hash_seed
from ssl4rl_envs.task import Batch, Score, Task
from ssl4rl_envs.vector import SSLVectorEnv

register_all()

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
