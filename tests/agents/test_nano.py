"""Nano: a transformers model like any other."""

from __future__ import annotations

import os
import string
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForImageTextToText, AutoProcessor

from ssl4rl_agents.policies.nano import TAGS, build_nano, build_tokenizer

CORPUS = ["By how many degrees was this picture turned? Reply like this: <answer>90</answer>"]
TOKENIZER = build_tokenizer(CORPUS)


@pytest.fixture(scope="module")
def built():
    return build_nano(CORPUS)


@pytest.fixture
def encoded(built):
    _, processor = built
    picture = np.random.default_rng(0).integers(0, 256, (36, 36, 3), dtype=np.uint8)
    return processor(text=["<image>Angle?"], images=[[picture]], return_tensors="pt")


def test_it_is_small(built):
    assert 100_000 < sum(parameter.numel() for parameter in built[0].parameters()) < 1_000_000


def test_the_same_seed_gives_the_same_weights():
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    (one, _), (two, _), (other, _) = (build_nano(CORPUS, seed) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    for (name, a), (_, b) in zip(one.state_dict().items(), two.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)


def test_head_and_embedding_are_tied(built, tmp_path):
    model, _ = built
    assert model.lm_head.weight is model.get_input_embeddings().weight
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.get_input_embeddings().weight


def test_saved_and_loaded_it_says_the_same(built, encoded, tmp_path):
    model, processor = built
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded, report = AutoModelForImageTextToText.from_pretrained(tmp_path, output_loading_info=True)
    again = AutoProcessor.from_pretrained(tmp_path)
    assert not any(report.values())
    picture = np.random.default_rng(0).integers(0, 256, (36, 36, 3), dtype=np.uint8)
    inputs = again(text=["<image>Angle?"], images=[[picture]], return_tensors="pt")
    assert {name: value.tolist() for name, value in inputs.items()} == {n: v.tolist() for n, v in encoded.items()}
    with torch.no_grad():
        assert torch.equal(loaded.eval()(**inputs).logits, model.eval()(**encoded).logits)
    assert again.chat_template == processor.chat_template
    assert loaded.generation_config.eos_token_id == model.generation_config.eos_token_id


FRESH = """
import sys
import numpy as np
import ssl4rl_agents.policies.nano
from transformers import AutoModelForImageTextToText, AutoProcessor

model, processor = (auto.from_pretrained(sys.argv[1]) for auto in (AutoModelForImageTextToText, AutoProcessor))
picture = np.zeros((36, 36, 3), np.uint8)
inputs = processor(text=["<image>Angle?"], images=[[picture]], return_tensors="pt")
print(type(model).__name__, float(model.eval()(**inputs).logits.double().sum().detach()))
"""


def test_a_checkpoint_loads_in_a_fresh_process(built, tmp_path):
    model, processor = built
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    name, total = run.stdout.split()
    assert name == "NanoVLMForConditionalGeneration"
    inputs = processor(text=["<image>Angle?"], images=[[np.zeros((36, 36, 3), np.uint8)]], return_tensors="pt")
    with torch.no_grad():
        assert float(total) == pytest.approx(float(model.eval()(**inputs).logits.double().sum()), abs=1e-2)


# Words


@settings(max_examples=200, deadline=None)
@given(st.text(string.printable, max_size=60))
def test_any_printable_text_can_be_written(text):
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    assert TOKENIZER.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize("tag", TAGS)
def test_tags_are_single_tokens_that_survive(tag):
    ids = TOKENIZER(f"a{tag}7", add_special_tokens=False)["input_ids"]
    assert TOKENIZER.convert_tokens_to_ids(tag) in ids
    assert len(ids) == 3
    assert TOKENIZER.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) == f"a{tag}7"


def test_digits_are_single_tokens():
    ids = TOKENIZER("1802", add_special_tokens=False)["input_ids"]
    assert len(ids) == 4
    assert len(set(ids)) == 4
    assert TOKENIZER("2081", add_special_tokens=False)["input_ids"] == [ids[3], ids[2], ids[1], ids[0]]


def test_ends_pads_and_pictures_are_not_shown():
    ids = TOKENIZER.convert_tokens_to_ids(["<image>", "<eos>", "<pad>"])
    assert TOKENIZER.decode(ids, skip_special_tokens=True) == ""
    assert len(set(ids)) == 3
    assert TOKENIZER.padding_side == "left"


# Pictures


@pytest.mark.parametrize("pictures", [1, 2, 3])
@pytest.mark.parametrize("side", [32, 36, 96])
def test_the_processor_counts_the_models_tokens(built, pictures, side):
    model, processor = built
    array = np.zeros((pictures, side, side, 3), np.uint8)
    encoded = processor(text=["<image>" * pictures + "Angle?"], images=[list(array)], return_tensors="pt")
    places = int((encoded["input_ids"] == model.config.image_token_id).sum())
    with torch.no_grad():
        features = model.get_image_features(encoded["pixel_values"]).pooler_output
        logits = model(**encoded).logits
    assert places == sum(len(tokens) for tokens in features) == pictures * 16
    assert logits.shape == (1, encoded["input_ids"].shape[1], model.config.get_text_config().vocab_size)


def test_the_wrong_number_of_pictures_is_an_error(built, encoded):
    model, _ = built
    with pytest.raises(ValueError, match="16 image tokens in the prompt, 32 from the pictures"):
        model(input_ids=encoded["input_ids"], pixel_values=encoded["pixel_values"].repeat(2, 1, 1, 1))


def test_pictures_make_a_difference_and_places_too(built, encoded):
    model, _ = built
    with torch.no_grad():
        logits = model(**encoded).logits
        turned = model(**{**encoded, "pixel_values": encoded["pixel_values"].rot90(1, (2, 3))}).logits
    assert float((logits - turned).abs().max()) > 1e-3


def test_labels_give_the_cross_entropy_of_the_next_token(built, encoded):
    model, _ = built
    with torch.no_grad():
        outputs = model(**encoded, labels=encoded["input_ids"])
    expected = torch.nn.functional.cross_entropy(outputs.logits[0, :-1], encoded["input_ids"][0, 1:])
    torch.testing.assert_close(outputs.loss, expected)


def test_the_last_logits_can_be_had_alone(built, encoded):
    model, _ = built
    with torch.no_grad():
        torch.testing.assert_close(model(**encoded, logits_to_keep=1).logits, model(**encoded).logits[:, -1:])
