"""Rollouts by another engine: it samples the answers, faster than the policy itself; all else stays as it is.

An engine's numbers are not quite the policy's: other kernels, another precision. So the policy scores the engine's answers
again before it learns from them, and the ratio of the two, cut off above, weighs each token (`objective.importance_cap`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ssl4rl_agents.policies.policy import Policy, Samples
from ssl4rl_agents.settings import TrainConfig

if TYPE_CHECKING:
    from ssl4rl_agents.policies.vlm import VLMPolicy


@dataclass(frozen=True)
class Request:
    """A prompt in the model's chat format, with one placeholder a picture, and its pictures, uint8 (height, width, 3)."""

    text: str
    pictures: list[NDArray[np.uint8]]


@dataclass(frozen=True)
class Sampling:
    """How answers are sampled.

    Args:
        max_tokens: longest answer, its end included.
        temperature: divides the logits.
        ends: tokens that end an answer.
        unsaid: tokens that cannot be sampled.
        seed: equal seeds and weights give equal answers.
    """

    max_tokens: int
    temperature: float
    ends: list[int]
    unsaid: list[int]
    seed: int


@dataclass(frozen=True)
class Reply:
    """An answer: its tokens, the end included if it ended, and their log-probabilities as they were sampled."""

    tokens: list[int]
    logprobs: list[float]


@runtime_checkable
class Sampler(Protocol):
    """Samples answers with the weights it was last given."""

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Take the model's weights, by the names that transformers gives them, adapters merged."""
        ...

    def sample(self, requests: list[Request], repeats: int, sampling: Sampling) -> list[Reply]:
        """Return `repeats` answers to each request, those to request k at k * repeats ... k * repeats + repeats - 1."""
        ...


def make_sampler(config: TrainConfig) -> Sampler | None:
    """Return the engine that the settings name, or None where the policy samples itself.

    Raises:
        ValueError: the engine does not know the model.
        ImportError: its package is not installed.
    """
    if config.rollout.engine == "policy":
        return None
    if config.policy.is_nano:
        raise ValueError("rollout.engine 'vllm' does not know nano; it is for models of transformers that vLLM knows too")
    return VLLMSampler(config.policy.model, memory=config.rollout.engine_memory)


def hand_over(policy: Policy, sampler: Sampler) -> None:
    """Give an engine the policy's weights as they are now.

    Raises:
        ValueError: the policy does not speak in prompts and pictures.
    """
    sampler.load(_speaking(policy).merged_weights())


def _speaking(policy: Policy) -> VLMPolicy:
    from ssl4rl_agents.policies.vlm import VLMPolicy  # here, since transformers takes seconds to import

    if not isinstance(policy, VLMPolicy):
        raise ValueError(f"rollout.engine needs a policy that reads prompts; {type(policy).__name__} answers itself")
    return policy


def sample_by(
    sampler: Sampler, policy: Policy, observations: dict[str, Any], repeats: int, generator: torch.Generator
) -> Samples:
    """Let an engine answer observations as `policy.generate` would.

    Raises:
        ValueError: the policy does not speak in prompts and pictures, or the engine breaks its contract.
    """
    speaking = _speaking(policy)
    texts, pictures = speaking.encoder.formatted(observations)
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    sampling = Sampling(speaking.max_new_tokens, speaking.temperature, speaking.ends, speaking.unsaid, seed)
    requests = [Request(text, seen) for text, seen in zip(texts, pictures, strict=True)]
    return to_samples(sampler.sample(requests, repeats, sampling), sampling, speaking.pad_token_id, speaking.device)


def to_samples(replies: list[Reply], sampling: Sampling, pad: int, device: torch.device) -> Samples:
    """Turn an engine's replies into samples whose `logprobs` and `values` are yet to be found by the policy.

    Args:
        replies: n answers.
        sampling: how they were sampled.
        pad: the token that fills rows up.
        device: where the samples go.

    Raises:
        ValueError: an answer is empty, too long, or holds what it must not; an engine that breaks its contract.
    """
    ends, unsaid = set(sampling.ends), set(sampling.unsaid)
    for reply in replies:
        if not 1 <= len(reply.tokens) <= sampling.max_tokens or len(reply.tokens) != len(reply.logprobs):
            raise ValueError(
                f"the engine gave an answer of {len(reply.tokens)} tokens and {len(reply.logprobs)} log-probabilities; "
                f"1 to {sampling.max_tokens} of both were asked for"
            )
        if unsaid & set(reply.tokens) or ends & set(reply.tokens[:-1]):
            raise ValueError("the engine gave an answer that holds a forbidden token or goes on after its end")
    width = max(len(reply.tokens) for reply in replies)
    tokens = torch.tensor([reply.tokens + [pad] * (width - len(reply.tokens)) for reply in replies], device=device)
    lengths = torch.tensor([len(reply.tokens) for reply in replies], device=device)
    logprobs = torch.tensor([reply.logprobs + [0.0] * (width - len(reply.logprobs)) for reply in replies], device=device)
    truncated = torch.tensor([reply.tokens[-1] not in ends for reply in replies], device=device)
    mask = torch.arange(width, device=device) < lengths[:, None]
    empty = torch.zeros(mask.shape, device=device)
    return Samples(tokens, mask, empty, empty.clone(), truncated, sampler_logprobs=logprobs)


class VLLMSampler:
    """vLLM in this process, on the policy's GPU.

    Args:
        model: folder or hub name of the model.
        memory: share of the GPU's memory that vLLM may take.
        max_pictures: most pictures a prompt.

    Raises:
        ImportError: vllm is not installed.
    """

    def __init__(self, model: str, *, memory: float = 0.4, max_pictures: int = 8) -> None:
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # weights are handed over within the process
        try:
            import vllm
        except ImportError as error:
            raise ImportError(
                "rollout.engine 'vllm' needs the package vllm, which is not installed (pip install vllm; Linux with a GPU); "
                "rollout.engine 'policy' needs nothing"
            ) from error
        self._parameters = vllm.SamplingParams
        self._llm = vllm.LLM(
            model,
            gpu_memory_utilization=memory,
            limit_mm_per_prompt={"image": max_pictures},
            logprobs_mode="processed_logprobs",  # those of the distribution that is sampled from
        )

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Hand the weights over and forget what was computed with the old ones."""
        model: Any = self._llm.llm_engine.model_executor.driver_worker.model_runner.model
        model.load_weights(weights)
        self._llm.reset_prefix_cache()

    def sample(self, requests: list[Request], repeats: int, sampling: Sampling) -> list[Reply]:
        """Sample."""
        parameters = [
            self._parameters(
                n=repeats,
                temperature=sampling.temperature,
                max_tokens=sampling.max_tokens,
                stop_token_ids=sampling.ends,
                logit_bias=dict.fromkeys(sampling.unsaid, -100.0),
                logprobs=0,
                seed=(sampling.seed + index) % 2**63,  # or all prompts would share their luck
            )
            for index in range(len(requests))
        ]
        prompts = [
            {"prompt": request.text, "multi_modal_data": {"image": [Image.fromarray(p) for p in request.pictures]}}
            if request.pictures
            else {"prompt": request.text}
            for request in requests
        ]
        outputs = self._llm.generate(prompts, parameters, use_tqdm=False)
        return [_reply(answer) for output in outputs for answer in output.outputs]


def _reply(answer: Any) -> Reply:
    tokens = list(answer.token_ids)
    return Reply(tokens, [found[token].logprob for token, found in zip(tokens, answer.logprobs, strict=True)])
