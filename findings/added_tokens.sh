#!/bin/sh
# llguidance takes an added token for a special one where its text looks like a tag, "<answer>", whatever the tokenizer says of
# it (special=False). The mask of a grammar that wants this text then allows that token and no other, and the matcher refuses
# the very token that its mask allows; "[answer]", added in the same way, is allowed and taken.
# A TokenizerWrapper that says which bytes each token stands for, and which tokens are special, is the way out.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check llguidance==1.9.1 tokenizers==0.23.3 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import llguidance.numpy
import numpy as np
from llguidance import LLMatcher, LLTokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

print("llguidance", version("llguidance"), "tokenizers", version("tokenizers"))


def seen(text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<eos>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["which order: 1, 2, 3, 4"], trainer)
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False)])
    token, size = tokenizer.token_to_id(text), tokenizer.get_vocab_size()
    words = LLTokenizer(tokenizer.to_str(), eos_token=0)
    matcher = LLMatcher(words, f'start: "{text}" /[0-9]/', log_level=0)
    mask = llguidance.numpy.allocate_token_bitmask(1, size)
    llguidance.numpy.fill_next_token_bitmask(matcher, mask, 0)
    allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")[:size]).tolist()
    told = words.is_special_token(token), allowed == [token], matcher.consume_token(token)
    print(f"{text!r}: added with special=False; called special {told[0]}; the only token allowed {told[1]}; taken {told[2]}")
    return told


tag, bracket = seen("<answer>"), seen("[answer]")
if (tag, bracket) != ((True, True, False), (False, True, True)):
    raise SystemExit("llguidance behaves otherwise now")
print("a mask allows a token that the matcher then refuses")
PYTHON
