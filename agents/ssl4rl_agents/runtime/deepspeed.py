"""DeepSpeed's ZeRO (Rajbhandari et al. 2020, arXiv 1910.02054): all that the trainer knows of it.

Each process keeps a part of the optimizer's state (stage 1), of the gradients too (stage 2), of the weights too (stage 3).
DeepSpeed averages gradients in the backward pass, clips them and steps, so here an optimizer stands before its engine.
"""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any, cast

import torch
from torch import Tensor, nn

from ssl4rl_envs.installing import install_line

WEIGHTS = 3
"""The first stage in which weights lie in parts."""

PRECISIONS = ("fp16", "bf16", "torch_autocast")
OURS = ("optimizer", "scheduler")
MOMENTS = ("exp_avg", "exp_avg_sq")


def require() -> None:
    """Check that DeepSpeed is there.

    Raises:
        ImportError: it is not; the message says how to install it.
    """
    if importlib.util.find_spec("deepspeed") is None:
        raise ImportError(f"accelerate's settings ask for DeepSpeed, which is not installed: {install_line('deepspeed')}")


def stage_of(settings: dict[str, Any]) -> int:
    """Return the stage that DeepSpeed's settings name.

    Raises:
        ValueError: it is 0, where everything is whole, or the settings decide what the run's own settings do.
    """
    stage = int(settings["zero_optimization"].get("stage", 0))
    if stage == 0:
        raise ValueError("DeepSpeed's settings ask for ZeRO stage 0, which keeps everything whole; leave DeepSpeed out")
    for name in OURS:
        if name in settings:
            raise ValueError(f"DeepSpeed's settings hold {name!r}, which the run's own settings decide; leave it out of them")
    for name in PRECISIONS:
        if settings.get(name, {}).get("enabled") in (True, "true"):
            raise ValueError(
                f"DeepSpeed's settings switch on {name}; leave it out: weights that learn are float32, and a GPU computes in "
                "bfloat16 autocast anyway"
            )
    return stage


def engine_settings(settings: dict[str, Any], device: torch.device, max_grad_norm: float) -> dict[str, Any]:
    """Return DeepSpeed's settings with all that was left open, and all that is ours, filled in.

    Args:
        settings: as accelerate reads them.
        device: where the engine computes.
        max_grad_norm: gradients are scaled down to this norm.
    """
    decided = {
        "train_micro_batch_size_per_gpu": 1,  # counts nothing: losses are normalised before DeepSpeed sees them
        "gradient_accumulation_steps": 1,
        "gradient_clipping": max_grad_norm,
        "zero_allow_untested_optimizer": True,
        "torch_autocast": {"enabled": device.type == "cuda", "dtype": "bfloat16", "lower_precision_safe_modules": []},
    }
    settled = _without_auto({name: value for name, value in settings.items() if name != "train_batch_size"})
    return {**settled, **decided}


def _without_auto(settings: dict[str, Any]) -> dict[str, Any]:
    found = {name: _without_auto(value) if isinstance(value, dict) else value for name, value in settings.items()}
    return {name: value for name, value in found.items() if value != "auto"}


class ZeroOptimizer(torch.optim.Optimizer):
    """AdamW whose state, and by the stage also gradients and weights, lie in parts with all processes.

    All processes must make it, and call all of its methods, together. A weight that once had a gradient must have one in
    every later step: in stage 3 it would keep its last one (seen in DeepSpeed 0.19).

    Args:
        policy: what is trained; whole, and the same everywhere. From stage 3 on it is in parts afterwards.
        optimizer: a fresh AdamW over its parameters.
        settings: of DeepSpeed, as `engine_settings` gives them.
        example: arguments of `policy`; a pass over it, with a step that changes nothing, brings up what DeepSpeed
            makes with the first one.

    Attributes:
        param_groups: the policy's parameters and settings, as those of any optimizer.
        engine: passes whose gradients are to count go through it.
    """

    def __init__(
        self, policy: nn.Module, optimizer: torch.optim.Optimizer, settings: dict[str, Any], example: tuple[Any, ...]
    ) -> None:
        super().__init__([dict(group) for group in optimizer.param_groups], dict(optimizer.defaults))
        self.engine = _initialize(policy, settings, _for_offload(optimizer, settings))
        self._zero_step(example)

    def _zero_step(self, example: tuple[Any, ...]) -> None:
        rates = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] = 0.0
        said = self.engine(*example)
        torch.autograd.backward(sum(0.0 * part.sum() for part in said if part.requires_grad))
        self.step()
        for group, rate in zip(self.param_groups, rates, strict=True):
            group["lr"] = rate
        self.forget()

    def forget(self) -> None:
        """Make the state that of a fresh optimizer."""
        for state in self.engine.optimizer.state.values():
            for entry, value in state.items():
                if isinstance(value, Tensor):
                    value.zero_()
                else:
                    state[entry] = 0

    def accumulate(self, last: bool) -> None:
        """Say whether the next passes are the last of a step."""
        self.engine.set_gradient_accumulation_boundary(last)

    def step(self, closure: Any = None) -> Any:
        """Clip and step, unless the gradients are not finite."""
        assert closure is None
        for held, group in zip(self.engine.optimizer.param_groups, self.param_groups, strict=True):
            held.update({name: value for name, value in group.items() if name != "params"})
        self.engine.step()

    def descend(self) -> float | None:
        """Step; return the gradients' norm before clipping, None where it is not finite and no step was taken."""
        self.step()
        norm = float(self.engine.get_global_grad_norm())
        return norm if self.engine.was_step_applied() else None

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients that have not been averaged yet."""
        self.engine.optimizer.zero_grad(set_to_none=set_to_none)

    def state_of(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """Return the whole state of a parameter; the same in all processes."""
        from deepspeed.utils import safe_get_full_optimizer_state

        found = {"step": torch.tensor(self._steps())}
        for entry in MOMENTS:
            found[entry] = cast(Tensor, safe_get_full_optimizer_state(parameter, entry))
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take whole states of parameters, by their number, and the settings of groups."""
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for number, entries in state_dict["state"].items():
            for entry in MOMENTS:
                self._set(parameters[number], entry, entries[entry].to(self.engine.device))
        steps = {float(entries["step"]) for entries in state_dict["state"].values()}
        for state in self.engine.optimizer.state.values():
            for entry in [name for name in state if name == "step"]:
                count = max(steps, default=0.0)
                state[entry] = torch.full_like(state[entry], count) if isinstance(state[entry], Tensor) else int(count)
        for group, kept in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({name: value for name, value in kept.items() if name != "params"})

    def _set(self, parameter: Any, entry: str, value: Tensor) -> None:
        from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

        if not hasattr(parameter, "ds_tensor"):
            safe_set_full_optimizer_state(parameter, value, entry)
            return
        part = parameter.ds_tensor.numel()  # DeepSpeed itself (0.19) cannot set what does not divide evenly
        rest = part * self.engine.dp_world_size - value.numel()
        padded = nn.functional.pad(value.flatten(), (0, rest))
        safe_set_local_optimizer_state(parameter, padded.narrow(0, part * self.engine.global_rank, part), entry)

    def _steps(self) -> float:
        return max((float(state["step"]) for state in self.engine.optimizer.state.values()), default=0.0)


def cut(policy: nn.Module, settings: dict[str, Any]) -> None:
    """Cut the weights of a policy that does not learn into parts (stage 3)."""
    _initialize(policy, {name: value for name, value in settings.items() if name != "gradient_clipping"}, None)


def full(parameter: Tensor) -> Tensor:
    """Return a parameter as a whole on the CPU; all processes must call this."""
    import deepspeed

    with deepspeed.zero.GatheredParameters([parameter]):
        return parameter.detach().cpu().clone()


def _for_offload(optimizer: torch.optim.Optimizer, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """Return the optimizer, or the one of DeepSpeed that steps on the CPU where states are kept there."""
    offload = settings["zero_optimization"].get("offload_optimizer") or {}
    if offload.get("device", "none") == "none":
        return optimizer
    from accelerate.utils.deepspeed import map_pytorch_optim_to_deepspeed

    return cast(torch.optim.Optimizer, map_pytorch_optim_to_deepspeed(optimizer))


def _initialize(policy: nn.Module, settings: dict[str, Any], optimizer: torch.optim.Optimizer | None) -> Any:
    with redirect_stdout(sys.stderr):  # where its logger, made at the import, then writes; ours is for results
        import deepspeed

        initialize = cast(Callable[..., Any], deepspeed.initialize)
        return initialize(model=policy, optimizer=optimizer, config=copy.deepcopy(settings))[0]
