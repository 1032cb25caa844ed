"""Machinery that no algorithm should see: processes, devices, memory, optimizer steps, sampling by other engines."""

from typing import TYPE_CHECKING

from ssl4rl_envs.lazy import lazily

if TYPE_CHECKING:
    from ssl4rl_agents.runtime.device import find_device
    from ssl4rl_agents.runtime.microbatch import MicroBatches
    from ssl4rl_agents.runtime.processes import Processes
    from ssl4rl_agents.runtime.samplers import Sampler

__all__ = ["MicroBatches", "Processes", "Sampler", "find_device"]

__getattr__, __dir__ = lazily(
    __name__, {"MicroBatches": "microbatch", "Processes": "processes", "Sampler": "samplers", "find_device": "device"}
)
