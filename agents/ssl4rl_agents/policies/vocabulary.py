"""A model's tokens as llguidance knows them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ssl4rl_envs.installing import install_line


def llguidance() -> Any:
    """Return the package.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    try:
        return import_module("llguidance.numpy") and import_module("llguidance.hf") and import_module("llguidance")
    except ImportError as error:
        line = install_line("constrained")
        raise ImportError(f"rollout.constrained needs llguidance, which is not installed: {line}") from error


def vocabulary_of(tokenizer: Any, size: int, end: int) -> Any:
    """Return the tokens of a tokenizer, an `LLTokenizer`.

    Added tokens whose text is that of a tag, "<answer>", llguidance takes for special ones, whatever the tokenizer says, and
    then knows none of their letters; so it is told what each token stands for.

    Args:
        tokenizer: a fast one of transformers.
        size: how many logits the model has.
        end: the token that ends a reply.

    Raises:
        ImportError: llguidance is not installed.
        ValueError: the tokenizer is not a fast one.
    """
    library = llguidance()
    count = max(size, len(tokenizer))
    usual = library.hf.from_tokenizer(tokenizer, n_vocab=count)
    added = tokenizer.added_tokens_decoder
    tokens = [added[token].content.encode() if token in added else usual.decode_bytes([token]) for token in range(count)]
    special = [token for token, text in added.items() if text.special]
    given = _Vocabulary(usual, tokens, sorted({*special, end}), end)
    return library.LLTokenizer(library.TokenizerWrapper(given), n_vocab=count, eos_token=end)


class _Vocabulary:
    """A tokenizer as llguidance's `TokenizerWrapper` takes one."""

    bos_token_id = None

    def __init__(self, usual: Any, tokens: list[bytes], special: list[int], end: int) -> None:
        self.tokens, self.special_token_ids, self.eos_token_id = tokens, special, end
        self._usual = usual

    def __call__(self, text: str) -> list[int]:
        return list(self._usual.tokenize_str(text, parse_special=True))
