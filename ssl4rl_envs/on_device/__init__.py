"""Questions made where the policy works: pictures are drawn on a GPU, from pictures that lie there, and come out as tensors.

- `on_device(task, device)`: the same task with its pool on a device. It asks the same questions, bit for bit.
- `SSLTorchVectorEnv(task, num_envs, device)`: the vector environment over it, tensors in and out.

What is drawn there are the pictures: views, turns, tiles, masks, colours, blurs, and the comparisons that say what can be
asked about. Which picture, which place, which target is a matter of a few numbers a question, and stays on the host. Scenes
are drawn on the host too, by its threads, since they are strokes and not pixels; "scenes:N" keeps pixels.
"""

from ssl4rl_envs.on_device.placement import on_device
from ssl4rl_envs.on_device.vector import SSLTorchVectorEnv

__all__ = ["SSLTorchVectorEnv", "on_device"]
