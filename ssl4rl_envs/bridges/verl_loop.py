"""verl's agent loop for questions of several turns, as `actor_rollout_ref.rollout.agent.agent_loop_config_path` names it.

- name: ssl4rl
  _target_: ssl4rl_envs.bridges.verl_loop.agent_loop

The model replies in words, as in the text interface; what the environment shows next follows as a message of the user, with
its pictures. The episode's rewards are the trajectory's score, so no reward function is called.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import uuid4

from ssl4rl_envs.bridges.episodes import Episode


def agent_loop(**given: Any) -> Any:
    """Return verl's loop over one of our episodes; `given` is what verl instantiates its loops with."""
    return _loop_class()(**given)


@cache
def _loop_class() -> type:
    """Return verl's own base with `run`; made late, since importing verl takes long."""
    from verl.experimental.agent_loop.agent_loop import AgentLoopBase

    return type("EpisodeLoop", (AgentLoopBase,), {"run": run, "__doc__": run.__doc__})


@dataclass
class Trajectory:
    """What was said and shown so far.

    Attributes:
        messages: of the whole conversation.
        images: all pictures, in the order in which tokens stand for them.
        tokens: of the prompt and of the response.
        mask: of each token of the response, 1 where the model wrote it and 0 where it was shown.
        logprobs: of the tokens of the response, where the server tells them.
        told: what the server says of itself.
    """

    messages: list[dict[str, Any]]
    images: list[Any]
    tokens: list[int]
    mask: list[int] = field(default_factory=list)
    logprobs: list[float] | None = None
    told: dict[str, Any] = field(default_factory=dict)


async def run(loop: Any, sampling_params: dict[str, Any], priority: int = 0, **row: Any) -> Any:
    """Play the question that the row's `extra_info` names, from its `raw_prompt` on.

    Args:
        loop: verl's `AgentLoopBase`, whose method this is.
        sampling_params: handed to the server, like `priority`.
        row: of the data set.

    Returns:
        verl's `AgentLoopOutput`: tokens, which of them the model wrote, pictures, and the episode's reward.
    """
    episode = await asyncio.to_thread(Episode, row["extra_info"])
    said = await _begin(loop, list(row["raw_prompt"]))
    asked = {
        "request_id": uuid4().hex,
        "sampling_params": sampling_params,
        "mm_processor_kwargs": loop._get_mm_processor_kwargs(),
        "priority": int(priority),
    }
    going = True
    while going:
        reply = await _generate(loop, said, asked)
        await asyncio.to_thread(episode.answer, reply)
        going = not episode.ended and await _show(loop, said, reply, episode.messages)
    return _output(said, episode, loop.rollout_config.response_length)


async def _begin(loop: Any, messages: list[dict[str, Any]]) -> Trajectory:
    images = list((await loop.process_multi_modal_info(messages)).get("images") or [])
    loop._assert_mm_supported(bool(images))
    return Trajectory(messages, images, list(await loop.ct_build_initial_tokens(messages, images=images or None)))


async def _generate(loop: Any, said: Trajectory, asked: dict[str, Any]) -> str:
    """Let the model write a turn, add it, and return it as text."""
    turn = await loop.server_manager.generate(prompt_ids=said.tokens, image_data=said.images or None, **asked)
    said.told = {**turn.extra_fields, **said.told}
    if "max_global_steps" in turn.extra_fields:  # the newest weights that any turn was written with
        said.told["max_global_steps"] = turn.extra_fields["max_global_steps"]
    if turn.log_probs and said.logprobs is None:
        said.logprobs = []
    merged, said.mask, said.logprobs = await loop.ct_merge_assistant_token(
        said.tokens, turn.token_ids, said.mask, said.logprobs, assistant_logprobs=turn.log_probs or None
    )
    said.tokens = merged.token_ids
    return str(loop.tokenizer.decode(turn.token_ids, skip_special_tokens=True))


async def _show(loop: Any, said: Trajectory, reply: str, shown: list[dict[str, Any]]) -> bool:
    """Add what the environment shows next; return whether there is room for it and for a reply, else add nothing."""
    before = [*said.messages, {"role": "assistant", "content": reply}]
    said.messages = [*before, *shown]
    merged, mask, logprobs = await loop.ct_merge_context_msg(before, said.messages, said.tokens, said.mask, said.logprobs)
    if len(mask) >= loop.rollout_config.response_length:
        return False
    said.tokens, said.mask, said.logprobs = merged.token_ids, mask, logprobs
    said.images = [*said.images, *_pictures(shown)]
    return True


def _output(said: Trajectory, episode: Episode, full: int) -> Any:
    """Return the trajectory as verl takes it; a response is cut at `full` tokens."""
    from verl.experimental.agent_loop.agent_loop import AgentLoopOutput

    start = len(said.tokens) - len(said.mask)
    judged = {"score": episode.reward, "acc": float(episode.success), "valid": float(episode.valid)}
    turns = {"turn_scores": list(episode.rewards), "tool_rewards": [], "reward_extra_info": judged}
    return AgentLoopOutput(
        prompt_ids=said.tokens[:start],
        response_ids=said.tokens[start:][:full],
        response_mask=said.mask[:full],
        response_logprobs=said.logprobs[:full] if said.logprobs else None,
        multi_modal_data={"images": said.images} if said.images else {},
        reward_score=episode.reward,
        num_turns=2 * len(episode.rewards),
        metrics={},
        extra_fields={**said.told, **turns},
    )


def _pictures(messages: list[dict[str, Any]]) -> list[Any]:
    contents = [message["content"] for message in messages if not isinstance(message["content"], str)]
    return [part["image"] for content in contents for part in content if part["type"] == "image"]
