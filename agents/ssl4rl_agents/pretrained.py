"""Models of transformers as they are, without training: they answer a quiz, or act as agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from ssl4rl_agents.agent import Agent
from ssl4rl_agents.policies.finite import require_finite
from ssl4rl_agents.policies.loading import load_pretrained
from ssl4rl_agents.policies.policy import Samples
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.replies import Quiz, ReplyFile
from ssl4rl_agents.replies.quiz import Shown
from ssl4rl_agents.runs.policy_agent import PolicyAgent
from ssl4rl_agents.runtime.device import autocast, find_device
from ssl4rl_envs import SSLVectorEnv, Task, hash_seed, tool_schema
from ssl4rl_envs.telling import waiting


@dataclass(frozen=True)
class Pretrained:
    """Which model, and how it is sampled.

    Args:
        model: the folder or hub name of an image-text-to-text or causal model.
        temperature: 0 takes the likeliest token at every place.
        max_new_tokens: longest reply.
        batch: questions at a time.
        device: "auto", "cpu", "cuda" or "cuda:1".
        weights: "float32" or "bfloat16"; "auto" is the latter on a GPU.
        attention: "auto", "sdpa", "eager" or "flash_attention_2".
        template_arguments: what the chat template is told beside the prompt, e.g. {"enable_thinking": False}.

    Raises:
        ValueError: an argument is out of its range.
    """

    model: str
    temperature: float = 0.0
    max_new_tokens: int = 256
    batch: int = 16
    device: str = "auto"
    weights: Literal["auto", "float32", "bfloat16"] = "auto"
    attention: str = "auto"
    template_arguments: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("name a model, e.g. hf:HuggingFaceTB/SmolVLM-256M-Instruct")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be from 0, got {self.temperature}")
        if self.batch < 1 or self.max_new_tokens < 1:
            raise ValueError(f"batch and max_new_tokens must be at least 1, got {self.batch} and {self.max_new_tokens}")

    @property
    def sampling(self) -> dict[str, Any]:
        """What decides how a reply is sampled: part of a stored reply's key."""
        told = {"template_arguments": self.template_arguments} if self.template_arguments else {}
        return {"temperature": self.temperature, "max_tokens": self.max_new_tokens, "weights": self.dtype_name, **told}

    @property
    def dtype_name(self) -> str:
        """The precision of the weights."""
        if self.weights != "auto":
            return self.weights
        return "bfloat16" if find_device(self.device).type == "cuda" else "float32"


def load(chosen: Pretrained, task: Task, prompt_style: str) -> tuple[VLMPolicy, torch.device]:
    """Load a model and check that it runs as a policy; where questions are answered by tools, its template is told of them.

    Raises:
        OSError, ValueError: there is no such model, or it cannot be run; the message names it and says why.
    """
    device = find_device(chosen.device)
    model, processor = load_pretrained(chosen.model, getattr(torch, chosen.dtype_name), chosen.attention)
    require_finite(model, chosen.model)
    tools = {"tools": [tool_schema(task)]} if prompt_style == "tool" else {}
    policy = VLMPolicy(
        model.to(device),
        processor,
        max_new_tokens=chosen.max_new_tokens,
        temperature=chosen.temperature or 1.0,
        prompt_style=prompt_style,
        template_arguments={**tools, **chosen.template_arguments},
    )
    return policy.to(device), device


def collect_replies(chosen: Pretrained, quiz: Quiz, file: ReplyFile, *, watch: Callable[[int], None] = lambda _: None) -> int:
    """Let a model answer what has no reply in `file` yet; returns how many replies came.

    Args:
        chosen: which model.
        quiz: the questions.
        file: open.
        watch: called with how many replies there are, those that were there before included.

    Raises:
        OSError, ValueError: as of `load`; or several samples are wanted at temperature 0, which would all be the same.
    """
    if quiz.samples > 1 and not chosen.temperature:
        raise ValueError(f"{quiz.samples} samples at temperature 0 are one and the same; give a --temperature above 0")
    who: dict[str, Any] = {"model": chosen.model, "kind": "model", "settings": chosen.sampling}
    missing = {
        index: [sample for sample in range(quiz.samples) if not file.replied(quiz.key(index, sample, **who))]
        for index in range(quiz.questions)
    }
    wanted = sum(map(len, missing.values()))
    if not wanted:
        return 0
    with waiting(f"loading {chosen.model}"):
        policy, device = load(chosen, quiz.task, quiz.prompt_style)
    done = 0
    before = quiz.questions * quiz.samples - wanted
    for _, asked in quiz.batches(lambda index: bool(missing[index]), chosen.batch):
        repeats = max(len(missing[shown.index]) for shown in asked)
        lacking = [(shown.index, missing[shown.index]) for shown in asked]
        seed = hash_seed(quiz.seed, "replies", str(lacking))  # a run that goes on must not draw again what it has
        for shown, replies in zip(asked, _replies(policy, device, asked, repeats, seed, chosen), strict=True):
            for sample, reply in zip(missing[shown.index], replies, strict=False):  # more were sampled than some lack
                file.append(quiz.row(shown.index, shown.digest, **who, sample=sample, **reply))
                done += 1
        watch(before + done)
    return done


def _replies(
    policy: VLMPolicy, device: torch.device, asked: list[Shown], repeats: int, seed: int, chosen: Pretrained
) -> list[list[dict[str, Any]]]:
    """Return `repeats` replies to each question, as fields of rows."""
    names = list(asked[0].observation)
    observations: dict[str, Any] = {name: [shown.observation[name] for shown in asked] for name in names}
    generator = torch.Generator(device).manual_seed(seed)
    with torch.inference_mode(), autocast(policy, device):
        inputs = policy.encode({name: _stacked(name, values) for name, values in observations.items()})
        samples = policy.generate(inputs, repeats, generator=generator, deterministic=not chosen.temperature)
    read = inputs.attention_mask.sum(-1).tolist()
    rows = _rows(policy, samples, [int(count) for count in read for _ in range(repeats)])
    return [rows[start : start + repeats] for start in range(0, len(rows), repeats)]


def _rows(policy: VLMPolicy, samples: Samples, read: list[int]) -> list[dict[str, Any]]:
    cut: Tensor = samples.truncated
    texts = policy.decode(samples.tokens, samples.mask, torch.zeros_like(cut))
    return [
        {
            "reply": text,
            "finish_reason": "length" if truncated else "stop",
            "usage": {"prompt_tokens": tokens, "completion_tokens": int(written)},
        }
        for text, truncated, tokens, written in zip(texts, cut.tolist(), read, samples.mask.sum(-1).tolist(), strict=True)
    ]


def _stacked(name: str, values: list[Any]) -> Any:
    return values if name == "prompt" else np.stack(values)


class PretrainedAgent(Agent):
    """Replies with what a model of transformers says; `load_agent("hf:MODEL", envs)` makes one.

    Args:
        envs: which it will act in; tools are described by their task.
        model: its folder or hub name.
        temperature: of sampling; acting deterministically takes the likeliest tokens.
        max_new_tokens: longest reply.
        device: "auto", "cpu", "cuda" or "cuda:1".
    """

    interface = "text"

    def __init__(
        self,
        envs: SSLVectorEnv,
        model: str = "",
        temperature: float = 1.0,
        max_new_tokens: int = 256,
        device: str = "auto",
    ) -> None:
        chosen = Pretrained(model, temperature=temperature, max_new_tokens=max_new_tokens, device=device)
        questions = envs.unwrapped.questions
        policy, where = load(chosen, questions.task, questions.interface.prompt_style)
        self._agent = PolicyAgent(policy, device=where)

    @override
    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> Any:
        """Return the model's replies; one that was cut off says so at its end."""
        return self._agent.act(observations, deterministic=deterministic)
