"""SSLTorchVectorEnv: the vector environment with tensors of a device in and out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ssl4rl_envs.kernels.tensors import as_array
from ssl4rl_envs.on_device.placement import on_device, usable
from ssl4rl_envs.on_device.sources import to_device
from ssl4rl_envs.registration import make_task
from ssl4rl_envs.task import Batch, Task
from ssl4rl_envs.vector import SSLVectorEnv


class SSLTorchVectorEnv(SSLVectorEnv):
    """`num_envs` environments of one task whose questions are tensors on a device.

    What it asks and pays is what `SSLVectorEnv` asks and pays for the same seed and actions, bit for bit. Observations,
    rewards, terminated and truncated are tensors on the device, and so are the numbers in `info`; prompts are strings, and
    masks in `info` (under ``_key``) NumPy arrays as Gymnasium has them. Actions may be tensors of any device, arrays, or
    strings in the text interface. Spaces are those of `SSLVectorEnv`.

    Pictures in memory (folders, photographs, "scenes:N") lie on the device and are drawn there; see
    `ssl4rl_envs.on_device`.

    Args:
        task: an id, e.g. "SSL4RL/Rotation-v0", with `arguments`; or a `Task`.
        num_envs: how many environments, at least 1.
        device: of torch: "cuda", "cpu", ...
        settings: as of `SSLVectorEnv`: `autoreset_mode`, `split`, `interface`, `prefetch`, ...; and the task's arguments.

    Raises:
        ValueError: an argument is not one of its values, or torch cannot use the device.
    """

    def __init__(self, task: Task | str, num_envs: int = 1, *, device: torch.device | str = "cuda", **settings: Any) -> None:
        own = {name: settings.pop(name) for name in _SETTINGS if name in settings}
        built = make_task(task, **settings) if isinstance(task, str) else task
        if not isinstance(task, str) and settings:
            raise ValueError(f"{', '.join(settings)} are arguments of a task that is named; this one is built already")
        placed = on_device(built, device)
        self.device = usable(device)
        super().__init__(placed, num_envs=num_envs, **own)

    @property
    def batch(self) -> Batch:
        """The instances being asked as arrays on the host, targets included: for oracles and analysis, not for agents."""
        batch = super().batch
        observation = {name: as_array(values) for name, values in batch.observation.items()}
        return Batch(observation, batch.target, batch.items, batch.memory)

    def reset(self, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ask the first or the next instances, as `SSLVectorEnv.reset`."""
        observation, info = super().reset(**arguments)
        return self._tensors(observation), self._tensors(info)

    def step(self, actions: Any) -> Any:
        """Answer all questions, as `SSLVectorEnv.step`; five tensors or dicts of tensors."""
        given = actions.detach().cpu().numpy() if isinstance(actions, torch.Tensor) else actions
        observation, reward, terminated, truncated, info = super().step(given)
        plain = (to_device(values, self.device) for values in (reward, terminated, truncated))
        return (self._tensors(observation), *plain, self._tensors(info))

    def _tensors(self, named: dict[str, Any]) -> dict[str, Any]:
        """Return arrays of numbers as tensors on the device; strings, objects and masks stay what they are."""
        return {name: self._tensor(name, values) for name, values in named.items()}

    def _tensor(self, name: str, values: Any) -> Any:
        if isinstance(values, dict):
            return self._tensors(values)
        if not isinstance(values, np.ndarray) or name.startswith("_"):
            return values
        if values.dtype != object:
            return to_device(values, self.device)
        others = np.empty(len(values), object)
        others[:] = [self._tensors(each) if isinstance(each, dict) else each for each in values]
        return others


_SETTINGS = (
    "autoreset_mode",
    "split",
    "interface",
    "prompt_style",
    "grammar",
    "group_size",
    "attempts",
    "prefetch",
    "render_mode",
)
