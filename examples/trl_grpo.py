"""GRPO with TRL: questions that are answered at once, or played by tool calls for several turns.

    python examples/trl_grpo.py Qwen/Qwen2.5-VL-3B-Instruct
    python examples/trl_grpo.py Qwen/Qwen3-VL-2B-Instruct --turns

The second needs a model whose chat template writes tools and reads calls (Qwen3-VL's does).
"""

import sys

import torch
from trl import GRPOConfig, GRPOTrainer

from ssl4rl_agents.policies.processing import load_processor
from ssl4rl_envs.bridges.trl import dataset, episodes, reward


def answers(model, env_id="SSL4RL/Rotation-v0", n=1000, processor=None, task=None, **settings):
    """A trainer on n questions; `task` are the task's arguments, `settings` those of GRPOConfig."""
    data = dataset(env_id, n, split="train", seed=0, **(task or {}))
    args = GRPOConfig(**settings)
    return GRPOTrainer(model, reward_funcs=reward, args=args, train_dataset=data, processing_class=processor)


def turns(model, env_id="SSL4RL/PatchSwap-v0", n=1000, processor=None, task=None, **settings):
    """A trainer on n episodes: the model calls the tool `answer` and is shown what came of it."""
    data, environment = episodes(env_id, n, split="train", seed=0, **(task or {"level": "2x2"}))
    args = GRPOConfig(**{"max_tool_calling_iterations": 4, **settings})
    return GRPOTrainer(model, args=args, train_dataset=data, environment_factory=environment, processing_class=processor)


if __name__ == "__main__":
    make = turns if "--turns" in sys.argv else answers
    settings = {"num_generations": 8, "max_completion_length": 256, "use_cpu": not torch.cuda.is_available()}
    make(sys.argv[1], processor=load_processor(sys.argv[1]), output_dir="grpo", **settings).train()
