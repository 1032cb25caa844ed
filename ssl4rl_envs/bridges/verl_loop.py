"""verl's agent loop for questions of several turns, as `actor_rollout_ref.rollout.agent.agent_loop_config_path` names it.

- name: ssl4rl
  _target_: ssl4rl_envs.bridges.verl_loop.agent_loop

The model replies in words, as in the text interface; what the environment shows next follows as a message of the user, with
its pictures. The episode's rewards are the trajectory's score, so no reward function is called.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import uuid4

from ssl4rl_envs.bridges.episodes import Episode


def agent_loop(**given: Any) -> Any:
    """Return verl's loop over one of our episodes; `given` is what verl instantiates its loops with."""
    return _loop_class()(**given)


@cache
def _loop_class() -> type:
    from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput

    class EpisodeLoop(AgentLoopBase):
        """One episode: generate, answer, show what comes next, until it has ended or the response is full."""

        async def run(self, sampling_params: dict[str, Any], priority: int = 0, **row: Any) -> Any:
            """Play the question that the row's `extra_info` names, from its `raw_prompt` on."""
            episode = await self.loop.run_in_executor(None, Episode, row["extra_info"])
            messages = list(row["raw_prompt"])
            images: list[Any] = list((await self.process_multi_modal_info(messages)).get("images") or [])
            self._assert_mm_supported(bool(images))
            prompt = await self.ct_build_initial_tokens(messages, images=images or None)
            tokens, images, mask, logprobs, told = await self._play(
                episode, messages, images, list(prompt), sampling_params, priority
            )
            full, start = self.rollout_config.response_length, len(tokens) - len(mask)
            judged = {"score": episode.reward, "acc": float(episode.success), "valid": float(episode.valid)}
            return AgentLoopOutput(
                prompt_ids=tokens[:start],
                response_ids=tokens[start:][:full],
                response_mask=mask[:full],
                response_logprobs=logprobs[:full] if logprobs else None,
                multi_modal_data={"images": images} if images else {},
                reward_score=episode.reward,
                num_turns=2 * len(episode.rewards),
                metrics={},
                extra_fields={
                    **told,
                    "turn_scores": list(episode.rewards),
                    "tool_rewards": [],
                    "reward_extra_info": judged,
                },
            )

        async def _play(
            self,
            episode: Episode,
            messages: list[dict[str, Any]],
            images: list[Any],
            tokens: list[int],
            sampling_params: dict[str, Any],
            priority: int,
        ) -> tuple[list[int], list[Any], list[int], list[float] | None, dict[str, Any]]:
            """Return all tokens and pictures, which of the response the model wrote, and what the server says of itself."""
            mask: list[int] = []
            logprobs: list[float] | None = None
            told: dict[str, Any] = {}
            asked = {
                "request_id": uuid4().hex,
                "sampling_params": sampling_params,
                "mm_processor_kwargs": self._get_mm_processor_kwargs(),
                "priority": int(priority),
            }
            while True:
                said = await self.server_manager.generate(prompt_ids=tokens, image_data=images or None, **asked)
                told = {**said.extra_fields, **told}
                if "max_global_steps" in said.extra_fields:  # the newest weights that any turn was written with
                    told["max_global_steps"] = said.extra_fields["max_global_steps"]
                if said.log_probs and logprobs is None:
                    logprobs = []
                merged, mask, logprobs = await self.ct_merge_assistant_token(
                    tokens, said.token_ids, mask, logprobs, assistant_logprobs=said.log_probs or None
                )
                tokens = merged.token_ids
                reply = self.tokenizer.decode(said.token_ids, skip_special_tokens=True)
                await self.loop.run_in_executor(None, episode.answer, reply)
                before = [*messages, {"role": "assistant", "content": reply}]
                messages = [*before, *episode.messages]
                if episode.ended:
                    return tokens, images, mask, logprobs, told
                merged, longer, more = await self.ct_merge_context_msg(before, messages, tokens, mask, logprobs)
                if len(longer) >= self.rollout_config.response_length:  # no room for what is shown next, or for a reply
                    return tokens, images, mask, logprobs, told
                tokens, mask, logprobs = merged.token_ids, longer, more
                images = [*images, *_pictures(episode.messages)]

    return EpisodeLoop


def _pictures(messages: list[dict[str, Any]]) -> list[Any]:
    contents = [message["content"] for message in messages if not isinstance(message["content"], str)]
    return [part["image"] for content in contents for part in content if part["type"] == "image"]
