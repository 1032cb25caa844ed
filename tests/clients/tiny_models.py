"""Tiny models whose tokens are whole answers, so that a few steps of training show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def speaking(family: str, words: Sequence[str], corpus: Sequence[str]) -> tuple[Any, Any]:
    """A model of the zoo and its processor, to whose vocabulary whole words are added as tokens."""
    import torch

    from tests.agents import zoo

    config, processor = zoo.RECIPES[family](corpus)
    processor.tokenizer.add_tokens(list(words))
    config.get_text_config().vocab_size = len(processor.tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = zoo.auto_class(family).from_config(config)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    return model, processor


def all_but(tokenizer: Any, words: Sequence[str]) -> list[int]:
    """The ids of all other tokens."""
    kept = set(tokenizer.convert_tokens_to_ids(list(words)))
    return [token for token in range(len(tokenizer)) if token not in kept]
