"""Several processes that train one policy: all that the trainer knows of accelerate and torch.distributed.

`accelerate launch` (or torchrun) starts the processes; where nothing did, there is one, and everything here is the identity.
Each process answers its own questions. Weights, gradients and optimizer state are kept whole in every process (data
parallel), or cut into parts where accelerate's settings ask for FSDP, version 2, or for DeepSpeed's ZeRO.

Whole: gradients are summed once a step, after all processes have agreed that their passes went well. Torch's
DistributedDataParallel would do it inside the last backward pass, where a process that runs out of memory leaves the others
waiting. Parts: FSDP and DeepSpeed average gradients in the backward passes, so losses that are normalised by counts over all
processes are multiplied by their number (`scale`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, Self, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ssl4rl_agents.policies.policy import Evaluate, Policy
from ssl4rl_agents.runtime import deepspeed
from ssl4rl_agents.runtime.device import find_device

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others before it gives up."""

ENGINES = ("ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP")
"""How accelerate tells that weights, or what is learned from, are to lie in parts."""

BUCKET = 2**25
"""Numbers that are summed over processes in one message."""


def is_main() -> bool:
    """Return whether this process is the one that writes and speaks, before there are `Processes`."""
    return int(os.environ.get("RANK", "0")) == 0


def launched() -> bool:
    """Return whether a launcher started this process, as one of several or for the sake of DeepSpeed or FSDP."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1 or any(_asked_for(flag) for flag in ENGINES)
    return several and "LOCAL_RANK" in os.environ and "MASTER_ADDR" in os.environ


class Processes:
    """The processes that train together.

    Args:
        device: "auto", "cpu" or "cuda"; where there are several processes, each takes a GPU of its own.

    Attributes:
        rank, count: which process this is, of how many.
        device: where this process computes.
        sharded: whether each process holds a part of the weights alone (FSDP, or DeepSpeed's stage 3).
        deepspeed: whether DeepSpeed steps.

    Raises:
        ValueError: accelerate's settings ask for something that is not supported here, or the device does not fit.
        ImportError: they ask for DeepSpeed, which is not installed.
    """

    def __init__(self, device: str = "auto") -> None:
        self.rank, self.count = 0, 1
        self._accelerator: Any = None
        self._fsdp: Any = None
        self._deepspeed: dict[str, Any] | None = None
        self._stage = 0
        self._parts_of: list[Any] = []
        self._optimizers: list[deepspeed.ZeroOptimizer] = []
        if not launched():
            self.device = find_device(device)
        else:
            self._join(device)
        self.deepspeed = self._deepspeed is not None
        self.sharded = self._fsdp is not None or self._stage >= deepspeed.WEIGHTS

    @property
    def is_main(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    @property
    def scale(self) -> float:
        """What a process multiplies its part of the loss by: FSDP and DeepSpeed average gradients where we would sum them."""
        return float(self.count) if self._averages else 1.0

    @property
    def may_retry(self) -> bool:
        """Whether a process that ran out of memory may start its passes again: not where all take part in each."""
        return not self._averages

    @property
    def _averages(self) -> bool:
        return self._fsdp is not None or self.deepspeed

    def _join(self, device: str) -> None:
        if _asked_for("ACCELERATE_USE_MEGATRON_LM"):
            raise ValueError(
                "accelerate's settings ask for Megatron-LM, which is not supported; FSDP (fsdp_version: 2) and DeepSpeed "
                "(ZeRO) cut weights, gradients and optimizer state into parts"
            )
        if device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"with several processes the device must be auto, cpu or cuda, got {device!r}")
        from accelerate import Accelerator
        from accelerate.utils import DeepSpeedPlugin, FullyShardedDataParallelPlugin, InitProcessGroupKwargs

        cpu = device == "cpu" or find_device(device).type == "cpu" or _asked_for("ACCELERATE_USE_CPU")
        if _asked_for("ACCELERATE_USE_FSDP"):  # the plugins read accelerate's settings from the environment
            self._fsdp = FullyShardedDataParallelPlugin()
            if self._fsdp.fsdp_version != 2:
                raise ValueError("accelerate's settings ask for the first version of FSDP; set fsdp_version to 2")
        if _asked_for("ACCELERATE_USE_DEEPSPEED"):
            deepspeed.require()
            self._deepspeed = DeepSpeedPlugin().deepspeed_config
            self._stage = deepspeed.stage_of(self._deepspeed)
        # Precision is ours (see device.py), and so is sharding: accelerate does it for one model and with an optimizer only.
        for flag in ENGINES:
            os.environ.pop(flag, None)
        self._accelerator = Accelerator(
            cpu=cpu, mixed_precision="no", kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)]
        )
        self.rank, self.count = self._accelerator.process_index, self._accelerator.num_processes
        self.device = self._accelerator.device

    def prepare(self, policy: Policy) -> None:
        """Make a policy ready to learn in all processes: the same weights everywhere, or with FSDP a part of them each.

        Where weights are in parts, all processes must pass and generate together from here on.

        Raises:
            ValueError: weights that are to lie in parts are not of one precision.
        """
        if self.count > 1:
            for tensor in (*policy.parameters(), *policy.buffers()):
                dist.broadcast(tensor.detach(), 0)
        if self.sharded and len({parameter.dtype for parameter in policy.parameters()}) > 1:
            raise ValueError("weights in parts (FSDP, ZeRO stage 3) must be of one precision; set policy.weights to float32")
        if self._fsdp is not None:
            self._cut_by_fsdp(policy)
        elif self.sharded:
            policy.work_together(self)

    def distribute(
        self, policy: Policy, optimizer: torch.optim.Optimizer, max_grad_norm: float, example: Callable[[], tuple[Any, ...]]
    ) -> torch.optim.Optimizer:
        """Return what steps in all processes together: the optimizer, or DeepSpeed in its stead.

        Args:
            policy: what is trained, prepared; its weights lie in parts afterwards with DeepSpeed's stage 3.
            optimizer: fresh.
            max_grad_norm: gradients are scaled down to this norm.
            example: gives arguments of the policy, to try it on.
        """
        if self._deepspeed is None:
            return optimizer
        settings = deepspeed.engine_settings(self._deepspeed, self.device, max_grad_norm)
        self._optimizers.append(deepspeed.ZeroOptimizer(policy, optimizer, settings, example()))
        return self._optimizers[-1]

    def learner(self, policy: Policy, optimizer: torch.optim.Optimizer) -> Evaluate:
        """Return what passes go through whose gradients count: the policy, or what stands before it."""
        return cast(Evaluate, optimizer.engine) if isinstance(optimizer, deepspeed.ZeroOptimizer) else policy

    def shard(self, policy: Policy) -> None:
        """Cut the weights of a policy that does not learn into parts, if those of others are."""
        if self._fsdp is not None:
            self._cut_by_fsdp(policy)
        elif self.sharded and self._deepspeed is not None:
            policy.work_together(self)
            deepspeed.cut(policy, deepspeed.engine_settings(self._deepspeed, self.device, 1.0))

    def _cut_by_fsdp(self, policy: Policy) -> None:
        """Cut the weights into parts, layer by layer, as accelerate's settings for FSDP say."""
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

        options = {"reshard_after_forward": self._fsdp.reshard_after_forward}
        if self._fsdp.cpu_offload:
            options["offload_policy"] = self._fsdp.cpu_offload
        layers = self._fsdp.transformer_cls_names_to_wrap or _layers(policy)
        for module in list(policy.modules()):
            if type(module).__name__ in layers:
                fully_shard(module, **options)
        fully_shard(policy, **options)
        for method in ("generate", "encode"):
            register_fsdp_forward_method(policy, method)
        policy.work_together(self)
        self._parts_of.append(policy)

    def share(self, count: int, what: str) -> range:
        """Return which of `count` things are this process's: an equal part, and together all of them.

        Raises:
            ValueError: they cannot be shared equally.
        """
        if count % self.count:
            raise ValueError(f"{what} ({count}) must be a multiple of the number of processes ({self.count})")
        part = count // self.count
        return range(self.rank * part, (self.rank + 1) * part)

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes."""
        if self.count == 1:
            return tensor
        summed = tensor.detach().clone()
        dist.all_reduce(summed)
        return summed

    def greatest(self, value: float) -> float:
        """Return the greatest over all processes."""
        if self.count == 1:
            return value
        found = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return float(found)

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows (n,) or (n, T) of all processes, one process after the other, T filled up."""
        if self.count == 1:
            return rows
        if rows.ndim > 1:
            lacking = int(self.greatest(rows.shape[1])) - rows.shape[1]
            rows = nn.functional.pad(rows, (0, lacking))
        counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(self.count)]
        dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
        sent = rows.new_zeros(
            (int(torch.cat(counts).max()), *rows.shape[1:]), dtype=None if rows.dtype != torch.bool else torch.uint8
        )
        sent[: len(rows)] = rows
        parts = [torch.empty_like(sent) for _ in range(self.count)]
        dist.all_gather(parts, sent)
        return torch.cat([part[: int(count)] for part, count in zip(parts, counts, strict=True)]).to(rows.dtype)

    def everywhere(self, value: bool) -> bool:
        """Return whether it is so in every process."""
        return self.greatest(float(not value)) == 0.0

    def anywhere(self, value: bool) -> bool:
        """Return whether it is so in any process."""
        return self.greatest(float(value)) == 1.0

    def main_says(self, value: float) -> float:
        """Return the main process's value in every process."""
        if self.count == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(told, 0)
        return float(told)

    def synchronise(self, last: bool) -> AbstractContextManager[Any]:
        """Return the context of a micro-batch's passes; gradients are averaged, if at all, in the `last` of a step."""
        for policy in self._parts_of:
            policy.set_requires_gradient_sync(last)
        for optimizer in self._optimizers:
            optimizer.accumulate(last)
        return nullcontext()

    def reduce(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the gradients of whole weights over the processes; what got none in any process stays without."""
        if self.count == 1 or self._averages:
            return
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        found = self.total(torch.tensor([float(p.grad is not None) for p in learning], device=self.device))
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in learning]
        kept = [index for index, number in enumerate(found.tolist()) if number]
        for bucket in _buckets([gradients[index] for index in kept]):
            if len(bucket) == 1 and bucket[0].is_contiguous():
                dist.all_reduce(bucket[0])
                continue
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            dist.all_reduce(flat)
            for gradient, part in zip(bucket, torch.split(flat, [gradient.numel() for gradient in bucket]), strict=True):
                gradient.copy_(part.view_as(gradient))
        for index in kept:
            learning[index].grad = gradients[index]

    def barrier(self) -> None:
        """Wait for all."""
        self.main_says(0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let go of the others; where all went well together, so that none leaves while another still talks to it.

        By a barrier, which moves no tensor: a thread of gloo that lets go of one while Python ends would abort the process.
        """
        if self._accelerator is None:
            return
        if kind is None:
            self._accelerator.wait_for_everyone()
        self._accelerator.end_training()


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Put gradients of one type together, as many as make one message of about `BUCKET` numbers."""
    bucket: list[Tensor] = []
    for gradient in sorted(gradients, key=lambda gradient: str(gradient.dtype)):
        full = sum(other.numel() for other in bucket) + gradient.numel() > BUCKET
        if bucket and (full or bucket[0].dtype != gradient.dtype):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket


def in_parts(tensor: Tensor) -> bool:
    """Return whether each process holds a part of a weight."""
    return hasattr(tensor, "full_tensor") or hasattr(tensor, "ds_id")


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor of which each process holds a part, as a whole; all must call it."""
    if hasattr(tensor, "ds_id"):
        return deepspeed.full(tensor)
    return cast(Any, tensor).full_tensor() if hasattr(tensor, "full_tensor") else tensor


def whole_shape(tensor: Tensor) -> tuple[int, ...]:
    """Return the shape that a tensor has as a whole."""
    return tuple(getattr(tensor, "ds_shape", tensor.shape))


def whole_state(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> dict[str, Tensor]:
    """Return what an optimizer remembers of a parameter, as a whole, by name; all must call it."""
    if isinstance(optimizer, deepspeed.ZeroOptimizer):
        return optimizer.state_of(parameter)
    return {entry: whole(value) for entry, value in optimizer.state.get(parameter, {}).items()}


def like(tensor: Tensor, example: Tensor) -> Tensor:
    """Return this process's part of a whole tensor, cut as `example` is."""
    if not hasattr(example, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    mesh = cast(Any, example).device_mesh
    return distribute_tensor(tensor.to(mesh.device_type), mesh, cast(Any, example).placements)


def whole_weights(policy: Policy, *, keep: bool) -> dict[str, Tensor] | None:
    """Return the state dict of a policy of which each process holds a part, on the CPU; None if every process has it whole.

    Args:
        policy: all processes must call this together.
        keep: whether this process needs the result; elsewhere it is empty.
    """
    weights = {}
    if not any(in_parts(parameter) for parameter in policy.parameters()):
        return None
    for name, tensor in policy.state_dict(keep_vars=True).items():
        full = whole(tensor)
        if keep:
            weights[name] = full.detach().cpu()
    return weights


def _layers(policy: Policy) -> set[str]:
    """Return the names of the classes that must stay in one piece, by what the models of transformers say of themselves."""
    return {name for module in policy.modules() for name in getattr(module, "_no_split_modules", None) or ()}


def _asked_for(flag: str) -> bool:
    return os.environ.get(flag, "false").lower() in ("1", "true", "yes")
