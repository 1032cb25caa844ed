"""TRL's GRPOTrainer on the same questions."""

from __future__ import annotations

import importlib.util
import itertools
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, PrinterCallback, TrainerCallback

from ssl4rl_agents.policies.processing import load_processor
from ssl4rl_benchmarks.versus_trl.settings import ENV, LEARNING_RATE, Settings, Step
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.installing import install_line

ADAPTED = r".*language_model\..*_proj"
"""What our LoRA adapts in these models: the linear layers of the decoder."""


def require_trl() -> None:
    """Check that TRL is there.

    Raises:
        ImportError: it is not; the message says how to install it.
    """
    missing = [name for name in ("trl", "datasets") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"the comparison needs {' and '.join(missing)}, or measures ours alone with --alone: {install_line('all', 'trl')}"
        )


class Theirs:
    """TRL's trainer over a model in a folder.

    Args:
        settings: of the comparison.
        model: the folder.
        folder: what the trainer calls its output; nothing is saved.

    Raises:
        ImportError: TRL is not installed.
    """

    def __init__(self, settings: Settings, model: Path, folder: Path) -> None:
        require_trl()
        from datasets import Dataset

        self.settings, self._model, self._folder = settings, model, folder
        self._task = make_task(ENV, **settings.env_args)
        self._batch = self._task.sample(Stream.span("train", 0, 0, settings.prompts))
        self._tokens: list[int] = []
        self._data = Dataset.from_dict(
            {
                "prompt": [[{"role": "user", "content": text}] for text in self._task.prompts(self._batch)],
                "image": [Image.fromarray(image) for image in self._batch.observation["image"]],
                "row": list(range(settings.prompts)),
            }
        )

    def run(self, steps: int) -> list[Step]:
        """Train for some steps with a fresh trainer; return all steps but the first, which warms up."""
        marks: list[float] = []

        class Clock(TrainerCallback):
            def on_step_end(self, *_: Any, **__: Any) -> None:
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                marks.append(time.perf_counter())

        self._tokens.clear()
        trainer = self.build(steps + 1)
        trainer.add_callback(Clock())
        trainer.train()
        seconds = [after - before for before, after in itertools.pairwise(marks)]
        return [Step(*step) for step in zip(seconds, self._tokens[1:], strict=True)]

    def build(self, steps: int) -> Any:
        """Make a trainer that ends after so many optimizer steps, each over the answers to all questions."""
        from trl import GRPOConfig, GRPOTrainer

        settings = self.settings
        a_pass = settings.micro_batch or settings.prompts
        model: Any = AutoModelForImageTextToText.from_pretrained(self._model, dtype=settings.weights_dtype)
        processor = load_processor(str(self._model))
        processor.tokenizer.padding_side = "left"
        unsaid = [getattr(model.config, f"{kind}_token_id", None) for kind in ("image", "video")]
        unsaid += [processor.tokenizer.eos_token_id] * settings.full_length
        config = GRPOConfig(
            output_dir=str(self._folder),
            per_device_train_batch_size=a_pass * settings.group,
            gradient_accumulation_steps=settings.prompts // a_pass,
            num_generations=settings.group,
            max_completion_length=settings.new_tokens,
            # As with us: a picture's token in an answer would ask for a picture that is not there.
            generation_kwargs={"suppress_tokens": [token for token in unsaid if token is not None]},
            max_steps=steps,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            beta=0.0,
            temperature=1.0,
            bf16=settings.device == "cuda",
            gradient_checkpointing=settings.gradient_checkpointing,
            use_cpu=settings.device == "cpu",
            dataloader_num_workers=0,
            report_to="none",
            save_strategy="no",
            logging_steps=10**6,
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(
            model=model,
            processing_class=processor,
            reward_funcs=self._reward,
            args=config,
            train_dataset=self._data,
            peft_config=self._adapters(),
        )
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _adapters(self) -> Any:
        settings = self.settings
        if not settings.lora_rank:
            return None
        from peft import LoraConfig

        return LoraConfig(r=settings.lora_rank, lora_alpha=settings.lora_alpha, lora_dropout=0.0, target_modules=ADAPTED)

    def _reward(self, completions: list[Any], row: list[int], completion_ids: list[list[int]], **_: Any) -> list[float]:
        self._tokens.append(sum(len(ids) for ids in completion_ids))
        texts = [completion[0]["content"] for completion in completions]
        texts = [text if isinstance(text, str) else text[0]["text"] for text in texts]
        rewards: list[float] = self._task.score_texts(texts, self._batch.rows(torch.tensor(row).numpy())).reward.tolist()
        return rewards
