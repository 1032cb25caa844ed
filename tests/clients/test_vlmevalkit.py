"""An exported table as VLMEvalKit builds a data set of it, asks, and reads replies (VLMEvalKit 0.2, its own classes)."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ssl4rl_envs import rows
from ssl4rl_envs.bridges.exports import Plan, export
from tests.clients.stand_ins import stand_in

DIGITS = {"source": "digits", "image_size": 36}

OTHERS = """
anls anthropic antlr4 apted av bert_score bs4 cairosvg cdfvd clip colormath cssutils cv2 dashscope decord distance
easydict editdistance evaluate fasttext ftfy google gradio ipdb jieba json_repair latex2sympy2 latex2sympy2_extended
Levenshtein litellm lpips lxml math_verify mmengine moviepy nest_asyncio nltk omegaconf openai openai_clip pdf2image
playwright Polygon portalocker pycocoevalcap pylatexenc pyquaternion qwen_vl_utils rouge rouge_score
sentence_transformers sentencepiece shapely spacy sty svgpathtools tabulate termcolor tiktoken timeout_decorator timm
torchmetrics torchvision validators word2number zss
"""
"""What VLMEvalKit imports for its other benchmarks."""


@pytest.fixture(scope="module")
def kit():
    """VLMEvalKit's module of data sets."""
    if find_spec("vlmeval") is None:
        pytest.skip("VLMEvalKit is not installed")
    looked_up = importlib.import_module("transformers.utils.import_utils")
    looked_up.is_torchvision_available(), looked_up.is_torchvision_v2_available()  # which keep what they find: no stand-in
    stand_in(OTHERS.split())
    return importlib.import_module("vlmeval.dataset")


def built(kit, folder, monkeypatch, which, **given):
    manifest = export(Plan(which, 6, "vlmevalkit", split="test", shard_size=4, arguments=DIGITS, **given), folder).manifest
    monkeypatch.setenv("LMUData", str(folder))
    (file,) = manifest["files"]
    name = file.removesuffix(".tsv")
    return name, kit.build_dataset(name)


def test_multiple_choice_is_asked_with_options_and_measured(kit, tmp_path, monkeypatch):
    name, data = built(kit, tmp_path / "lmu", monkeypatch, "SSL4RL/Rotation-v0")
    assert (type(data).__name__, kit.DATASET_TYPE(name), len(data)) == ("CustomMCQDataset", "MCQ", 6)
    expected = list(rows("SSL4RL/Rotation-v0", 6, split="test", prompt_style="tool", **DIGITS))
    for number, row in enumerate(expected):
        picture, text = data.build_prompt(number)
        np.testing.assert_array_equal(np.asarray(Image.open(picture["value"])), np.asarray(row["images"][0]))
        assert row["prompt"][0]["content"] in text["value"]
        assert "A. 0\nB. 90\nC. 180\nD. 270\n" in text["value"]
    replies = data.data.copy()
    replies["prediction"] = [f"{letter}." for letter in replies["answer"][:4]] + ["E", "E"]
    file = tmp_path / f"model_{name}.xlsx"
    replies.drop(columns="image").to_excel(file, index=False)
    accuracy = data.evaluate(str(file), model="exact_matching", nproc=1)
    assert float(accuracy["Overall"].iloc[0]) == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("which", "given"), [("SSL4RL/PatchOrdering-v0", {}), ("SSL4RL/FlipPrediction-v0", {"prompt_style": "direct"})]
)
def test_other_questions_are_open_and_asked_in_our_words(kit, tmp_path, monkeypatch, which, given):
    name, data = built(kit, tmp_path, monkeypatch, which, **given)
    assert (type(data).__name__, kit.DATASET_TYPE(name)) == ("CustomVQADataset", "VQA")
    for number, row in enumerate(rows(which, 6, split="test", **DIGITS)):
        *pictures, text = data.build_prompt(number)
        assert text["value"] == row["prompt"][0]["content"]
        for shown, picture in zip(pictures, row["images"], strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(shown["value"])), np.asarray(picture))
        assert not pd.isna(data[number]["answer"])
