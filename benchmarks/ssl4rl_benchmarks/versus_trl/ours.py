"""Our trainer, one iteration at a time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.settings import ObjectiveConfig, OptimizerConfig, RolloutConfig, TrainConfig
from ssl4rl_benchmarks.versus_trl.flops import Work, weights_of
from ssl4rl_benchmarks.versus_trl.settings import ENV, LEARNING_RATE, Settings, Step
from ssl4rl_envs import Stream


class Ours:
    """Our trainer over a model in a folder.

    Args:
        settings: of the comparison.
        model: the folder.
        folder: for the run; must not hold one.
    """

    def __init__(self, settings: Settings, model: Path, folder: Path) -> None:
        objective: Any = {"advantage": settings.advantage, "kl_coefficient": 0.0}
        config = TrainConfig(
            env=ENV,
            env_args=settings.env_args,
            iterations=10**6,
            format_warmup=0,
            policy=PolicyConfig(
                model=str(model),
                max_new_tokens=settings.new_tokens,
                lora_rank=settings.lora_rank,
                gradient_checkpointing=settings.gradient_checkpointing,
            ),
            rollout=RolloutConfig(prompts=settings.prompts, group_size=settings.group),
            optimizer=OptimizerConfig(
                learning_rate=LEARNING_RATE,
                schedule="constant",
                warmup_iterations=0,
                epochs=settings.epochs,
                minibatches=1,
                micro_batch=settings.micro_batch,
            ),
            objective=ObjectiveConfig(**objective),
            device=settings.device,
        )
        self.settings = settings
        self.trainer = Trainer(config, folder, quiet=True)
        if settings.full_length:
            self.policy.forbid(self.policy.ends)
        for parameters in self.trainer.optimizer.param_groups:
            parameters["lr"] = LEARNING_RATE

    @property
    def policy(self) -> VLMPolicy:
        """What is trained."""
        policy = self.trainer.policy
        assert isinstance(policy, VLMPolicy)
        return policy

    def run(self, steps: int) -> list[Step]:
        """Do iterations and time them."""
        done = []
        for _ in range(steps):
            start = time.perf_counter()
            values = self.trainer.iterate()
            if self.trainer.device.type == "cuda":
                torch.cuda.synchronize()
            self.trainer.iteration += 1
            done.append(Step(time.perf_counter() - start, int(values["tokens"]), values["seconds/update"]))
        return done

    def prompt_tokens(self) -> tuple[int, int]:
        """Return how many tokens a step's prompts have, and how many of them run once for all prompts together.

        The prompts of all steps are equally long: they differ in their pictures.
        """
        trainer = self.trainer
        batch = trainer.task.sample(Stream.span("train", 0, 0, self.settings.prompts))
        with torch.no_grad():
            inputs = self.policy.encode(trainer.interface.observe(batch))
        common = 0 if self.settings.gradient_checkpointing else self.policy.decoder.common_prefix(inputs)
        return int(inputs.attention_mask.sum()), common

    def work(self, answer_tokens: int) -> Work:
        """Return what an update over answers of so many tokens has to compute."""
        settings = self.settings
        prompts, common = self.prompt_tokens()
        return Work(
            prompt_tokens=prompts - (settings.prompts - 1) * common,
            answer_tokens=answer_tokens,
            answers=settings.prompts * settings.group,
            passes=settings.epochs,
            weights=weights_of(self.policy.model),
        )
