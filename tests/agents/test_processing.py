"""Processors of all families: what they make of pictures and prompts, and that they are saved as what they are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, AutoTokenizer, Qwen2VLProcessor
from transformers.image_processing_backends import PilBackend
from transformers.models.auto import video_processing_auto
from transformers.utils.import_utils import is_num2words_available, is_torchvision_available
from transformers.video_processing_utils import BaseVideoProcessor

from ssl4rl_agents.policies.nano import build_nano
from ssl4rl_agents.policies.pictures import split_pictures
from ssl4rl_agents.policies.processing import TextProcessor, VideoSettings, load_processor, without_videos
from tests.agents import zoo

PROMPTS = ("Angle 12?", "By how many degrees was this picture turned: 0, 90, 180 or 270?", "90 or 180, which one?")
CLASSES = {
    "qwen2_vl": "Qwen2VLProcessor",
    "qwen2_5_vl": "Qwen2_5_VLProcessor",
    "qwen3_vl": "Qwen3VLProcessor",
    "smolvlm": "SmolVLMProcessor",
    "idefics3": "Idefics3Processor",
    "llava": "LlavaProcessor",
    "llava_onevision": "LlavaOnevisionProcessor",
    "internvl": "InternVLProcessor",
    "gemma3": "Gemma3Processor",
    "paligemma": "PaliGemmaProcessor",
    "paligemma2": "PaliGemmaProcessor",
    "aya_vision": "AyaVisionProcessor",
    "idefics2": "Idefics2Processor",
}
WITH_VIDEOS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "smolvlm", "llava_onevision", "internvl")
SEEN = ("pixel_values", "image_grid_thw", "pixel_attention_mask", "image_sizes", "batch_num_images")
"""What a vision tower takes, of all families; the rest of a processor's outputs goes with the tokens."""


def pictures(prompts: int = len(PROMPTS), seed: int = 0) -> np.ndarray:
    """Two pictures for each prompt."""
    return np.random.default_rng(seed).integers(0, 256, (prompts, 2, 36, 36, 3), dtype=np.uint8)


def encode(
    processor: Any, images: np.ndarray | None, prompts: tuple[str, ...] = PROMPTS
) -> tuple[list[str], dict[str, Tensor]]:
    """The chats of prompts, and what a processor makes of them, padded on the left."""
    count = 0 if images is None else images.shape[1]
    texts = []
    for prompt in prompts:
        content = [*({"type": "image"} for _ in range(count)), {"type": "text", "text": prompt}]
        if processor.chat_template:
            message = {"role": "user", "content": content}
            texts.append(processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False))
        else:
            texts.append(processor.image_token * count + prompt)
    encoded = processor(
        text=texts,
        images=None if images is None else [[Image.fromarray(picture) for picture in row] for row in images],
        return_tensors="pt",
        padding=True,
        padding_side="left",
        add_special_tokens=False,
    )
    return texts, {name: values for name, values in encoded.items() if name != "labels"}


def given(family: str, seed: int = 0) -> np.ndarray | None:
    """The pictures that go with `PROMPTS` in a family."""
    return None if family in zoo.TEXT_FAMILIES else pictures(seed=seed)


def logits(model: Any, encoded: dict[str, Tensor]) -> Tensor:
    """What a model says after each prompt."""
    with torch.no_grad():
        return model(**encoded).logits[:, -1]


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


# What the processors make


def test_every_family_has_its_own_processor_class(picture_family):
    _, processor = zoo.built(picture_family)
    assert type(processor).__name__ == CLASSES[picture_family]
    assert type(processor).__module__.startswith("transformers.models.")
    assert type(processor.image_processor).__name__.endswith("Pil")


def test_places_of_pictures_are_as_many_as_their_features(picture_family):
    model, processor = zoo.built(picture_family)
    _, encoded = encode(processor, pictures())
    with torch.no_grad():
        seen = {name: encoded[name] for name in SEEN if name in encoded}
        features = model.model.get_image_features(**seen, return_dict=True).pooler_output
    tokens = torch.cat(list(features)).shape[0]
    places = (encoded["input_ids"] == model.config.image_token_id).sum(1)
    assert int(places.sum()) == tokens
    assert len(set(places.tolist())) == 1
    assert 0 < tokens <= 16 * 2 * len(PROMPTS)


def test_prompts_of_unequal_length_are_padded_on_the_left(family):
    _, processor = zoo.built(family)
    _, encoded = encode(processor, given(family))
    mask = encoded["attention_mask"]
    assert bool(mask[:, -1].all())
    assert len(set(mask.sum(1).tolist())) == len(PROMPTS)
    assert bool((mask.diff(dim=1) >= 0).all())
    assert bool((encoded["input_ids"][mask == 0] == processor.tokenizer.pad_token_id).all())


def test_everything_that_goes_with_pictures_divides_by_prompts(picture_family):
    """As many rows for each prompt, in the order of the prompts, so that a batch can be taken apart."""
    _, processor = zoo.built(picture_family)
    images = pictures()
    _, encoded = encode(processor, images)
    for row, prompt in enumerate(PROMPTS):
        _, alone = encode(processor, images[row : row + 1], (prompt,))
        for name, values in encoded.items():
            assert len(values) % len(PROMPTS) == 0, name
            if name in SEEN:
                size = len(values) // len(PROMPTS)
                assert torch.equal(values[row * size : (row + 1) * size], alone[name]), name


def test_pictures_that_prompts_cannot_share_equally_are_refused_by_name():
    with pytest.raises(ValueError, match="SomeModel: pixel_values of 2 prompts has 3 rows"):
        split_pictures({"pixel_values": torch.zeros(3, 4)}, 2, "SomeModel")


def test_a_prompt_alone_is_its_row_of_a_batch(family):
    model, processor = zoo.built(family)
    images = given(family)
    _, encoded = encode(processor, images)
    together = logits(model, encoded)
    for row, prompt in enumerate(PROMPTS):
        _, alone = encode(processor, None if images is None else images[row : row + 1], (prompt,))
        keep = encoded["attention_mask"][row].bool()
        for name in alone.keys() - set(SEEN):
            assert torch.equal(encoded[name][row][keep], alone[name][0]), name
        torch.testing.assert_close(logits(model, alone)[0], together[row], rtol=1e-4, atol=1e-4)


def test_models_see_which_picture_stands_where(picture_family):
    model, processor = zoo.built(picture_family)
    texts, encoded = encode(processor, pictures())
    swapped_texts, swapped = encode(processor, pictures()[:, ::-1])
    assert texts == swapped_texts
    assert torch.equal(encoded["input_ids"], swapped["input_ids"])
    difference = (logits(model, encoded) - logits(model, swapped)).abs().amax(1)
    assert float(difference.min()) > 1e-2


def test_models_read_their_prompt(family):
    model, processor = zoo.built(family)
    images = None if family in zoo.TEXT_FAMILIES else np.repeat(pictures(1), 2, axis=0)
    _, encoded = encode(processor, images, ("Angle 12?", "Angle 34?"))
    one, other = logits(model, encoded)
    assert float((one - other).abs().max()) > 1e-2


def test_a_text_model_takes_no_pictures():
    _, processor = zoo.built("llama")
    with pytest.raises(ValueError, match="takes no pictures"):
        processor(text=["Angle?"], images=[[pictures()[0, 0]]])
    with pytest.raises(ValueError, match="not image"):
        processor.apply_chat_template([{"role": "user", "content": [{"type": "image"}]}])
    assert processor(text=["Angle?"], images=[[]])["input_ids"] == processor(text=["Angle?"])["input_ids"]


def test_text_models_are_given_contents_as_strings():
    _, processor = zoo.built("llama")
    parts = [{"type": "text", "text": "Angle "}, {"type": "text", "text": "12?"}]
    one = processor.apply_chat_template([{"role": "user", "content": parts}])
    other = processor.apply_chat_template([{"role": "user", "content": "Angle 12?"}])
    assert one == other
    assert "Angle 12?" in one
    both = processor.apply_chat_template([[{"role": "user", "content": parts}], [{"role": "user", "content": "90"}]])
    assert both[0] == one
    assert "90" in both[1]
    ids = processor.apply_chat_template([{"role": "user", "content": parts}], tokenize=True, return_dict=False)
    assert processor.tokenizer.decode(ids) == one


# Saved and loaded


@pytest.fixture
def folder(family, tmp_path) -> Path:
    zoo.save(family, tmp_path)
    return tmp_path


def test_what_was_saved_reads_and_says_the_same(family, folder):
    model, processor = zoo.built(family)
    loaded = load_processor(str(folder))
    assert type(loaded).__name__ == type(processor).__name__
    texts, encoded = encode(processor, given(family))
    other_texts, others = encode(loaded, given(family))
    assert texts == other_texts
    assert_same(encoded, others)
    again = zoo.auto_class(family).from_pretrained(folder, dtype=torch.float32)
    assert torch.equal(logits(model, encoded), logits(again, others))


def test_a_copy_of_a_copy_is_the_same_files(picture_family, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    zoo.save(picture_family, one)
    load_processor(str(one)).save_pretrained(two)
    for name in ("processor_config.json", "tokenizer_config.json", "tokenizer.json"):
        before, after = (json.loads((where / name).read_text()) for where in (one, two))
        for settings in (before, after):  # differ between a tokenizer made and a tokenizer read
            for key in ("is_local", "local_files_only", "tokenizer_class", "name_or_path"):
                settings.pop(key, None)
            if is_torchvision_available():  # with which a video processor is read, and writes all its settings
                settings.pop("video_processor", None)
        assert before == after, name


def test_files_name_the_original_class(picture_family, tmp_path):
    zoo.save(picture_family, tmp_path)
    settings = json.loads((tmp_path / "processor_config.json").read_text())
    assert settings["processor_class"] == CLASSES[picture_family]
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["processor_class"] == CLASSES[picture_family]
    assert settings["image_processor"]["image_processor_type"].endswith("ImageProcessor")  # of any backend


@pytest.mark.parametrize("name", WITH_VIDEOS)
def test_the_settings_for_videos_are_kept(name, tmp_path):
    zoo.save(name, tmp_path / "one")
    processor = load_processor(str(tmp_path / "one"))
    processor.save_pretrained(tmp_path / "two")
    settings = json.loads((tmp_path / "two" / "processor_config.json").read_text())["video_processor"]
    assert settings["video_processor_type"].endswith("VideoProcessor")
    assert len(settings) > 1
    if not is_torchvision_available():
        assert settings == zoo.built(name)[1].video_processor


@pytest.mark.skipif(not is_torchvision_available(), reason="the real classes read videos with torchvision")
@pytest.mark.parametrize("name", WITH_VIDEOS)
def test_the_real_class_reads_what_the_one_without_videos_wrote(name, tmp_path):
    if name == "smolvlm" and not is_num2words_available():
        pytest.skip("its real class writes numbers with num2words")
    zoo.save(name, tmp_path)
    real = AutoProcessor.from_pretrained(tmp_path)
    assert type(real).__name__ == CLASSES[name]
    assert not isinstance(real.video_processor, VideoSettings)
    _, mine = encode(zoo.built(name)[1], pictures())
    _, theirs = encode(real, pictures())
    assert torch.equal(mine["input_ids"], theirs["input_ids"])


def test_pictures_are_processed_by_pillow_whether_or_not_torchvision_is_there(picture_family, tmp_path):
    zoo.save(picture_family, tmp_path)
    assert isinstance(load_processor(str(tmp_path)).image_processor, PilBackend)


@pytest.mark.parametrize("name", WITH_VIDEOS)
def test_the_real_class_constructs_with_a_stand_in_for_its_videos(name, tmp_path, monkeypatch):
    """The files hold what the real class's own loading needs, as far as that can be seen without torchvision."""

    class StandIn(BaseVideoProcessor):
        def __init__(self, **settings: Any) -> None:
            self.__dict__.update(settings)

        @classmethod
        def from_pretrained(cls, folder: Any, **_: Any) -> StandIn:
            return cls(**BaseVideoProcessor.get_video_processor_dict(folder)[0])

    zoo.save(name, tmp_path)
    _, processor = zoo.built(name)
    kind = getattr(transformers, CLASSES[name])
    monkeypatch.setattr(video_processing_auto, "AutoVideoProcessor", StandIn)
    monkeypatch.setattr(transformers, "VideoProcessorMixin", BaseVideoProcessor, raising=False)
    if name == "smolvlm":
        monkeypatch.setattr(sys.modules[kind.__module__], "num2words", str)
    real = AutoProcessor.from_pretrained(tmp_path)
    assert type(real) is kind
    assert real.video_processor.video_processor_type == processor.video_processor.video_processor_type
    real.image_processor = processor.image_processor  # which may work with torchvision there
    (texts, encoded), (other_texts, others) = encode(processor, pictures()), encode(real, pictures())
    assert texts == other_texts
    assert_same(encoded, others)


@pytest.mark.skipif(is_torchvision_available(), reason="with torchvision, the real class is loaded")
@pytest.mark.parametrize("name", WITH_VIDEOS)
def test_videos_are_refused_where_their_part_is_missing(name, tmp_path):
    zoo.save(name, tmp_path)
    with pytest.raises((ImportError, ValueError)):
        AutoProcessor.from_pretrained(tmp_path)
    processor = load_processor(str(tmp_path))
    with pytest.raises(ImportError, match=r"without its video part.*torchvision"):
        processor.video_processor([pictures()[0]])


def test_files_of_the_older_layout_are_read(tmp_path):
    """Many models on the hub keep settings in preprocessor_config.json and the template in chat_template.json.

    The class that the files name counts, even where models of this type usually have another.
    """
    _, processor = zoo.built("qwen2_vl")
    zoo.save("qwen2_vl", tmp_path)
    (tmp_path / "processor_config.json").unlink()
    (tmp_path / "chat_template.jinja").unlink()
    images = processor.image_processor.to_dict()
    images |= {"processor_class": "Qwen2_5_VLProcessor", "image_processor_type": "Qwen2VLImageProcessor"}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(images))
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": processor.chat_template}))
    loaded = load_processor(str(tmp_path))
    assert type(loaded).__name__ == "Qwen2_5_VLProcessor"
    (texts, encoded), (other_texts, others) = encode(processor, pictures()), encode(loaded, pictures())
    assert texts == other_texts
    assert torch.equal(encoded["input_ids"], others["input_ids"])
    torch.testing.assert_close(encoded["pixel_values"], others["pixel_values"], rtol=0, atol=0.02)


def test_a_class_that_no_file_names_is_the_models(tmp_path):
    zoo.save("qwen2_5_vl", tmp_path)
    for name in ("processor_config.json", "tokenizer_config.json"):
        settings = json.loads((tmp_path / name).read_text())
        settings.pop("processor_class")
        (tmp_path / name).write_text(json.dumps(settings))
    assert type(load_processor(str(tmp_path))).__name__ == "Qwen2_5_VLProcessor"


def test_the_built_in_model_has_a_processor_like_any_other(tmp_path):
    model, processor = build_nano(["Angle 12?"])
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert_same(encode(processor, pictures())[1], encode(load_processor(str(tmp_path)), pictures())[1])


def test_plain_tokenizers_read_what_a_text_model_wrote(tmp_path):
    zoo.save("llama", tmp_path)
    loaded = load_processor(str(tmp_path))
    assert isinstance(loaded, TextProcessor)
    plain = AutoTokenizer.from_pretrained(tmp_path)
    assert plain("Angle 12?")["input_ids"] == loaded(text="Angle 12?")["input_ids"]
    assert plain.chat_template == loaded.chat_template


def test_a_tokenizer_without_padding_pads_with_its_end(tmp_path):
    _, processor = zoo.build("llama")
    processor.tokenizer.pad_token = None
    processor.save_pretrained(tmp_path)
    loaded = load_processor(str(tmp_path))
    assert loaded.tokenizer.pad_token == loaded.tokenizer.eos_token == "<|eot_id|>"
    assert encode(loaded, None)[1]["attention_mask"].sum() > 0


def test_a_chat_template_can_be_replaced():
    _, processor = zoo.build("qwen2")
    processor.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}!"
    assert processor.apply_chat_template([{"role": "user", "content": "so"}]) == "so!"
    assert processor.tokenizer.chat_template.endswith("!")


# What cannot be loaded


def test_a_folder_without_a_processor_is_named(tmp_path):
    with pytest.raises(OSError, match=rf"cannot load the processor of '{tmp_path}'"):
        load_processor(str(tmp_path))


def test_a_model_that_is_nowhere_is_named():
    with pytest.raises(OSError, match="cannot load the processor of 'no-such/model'"):
        load_processor("no-such/model")


@pytest.mark.parametrize("name", ["qwen2_vl", "llava"])
def test_a_broken_folder_is_named_with_the_reason(name, tmp_path):
    zoo.save(name, tmp_path)
    (tmp_path / "processor_config.json").write_text("{")
    with pytest.raises(OSError, match=rf"cannot load the processor of '{tmp_path}'.*JSON") as caught:
        load_processor(str(tmp_path))
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(("name", "reason"), [("qwen2_vl", "Qwen2Tokenizer has no vocabulary"), ("llava", "tokenizer")])
def test_a_missing_tokenizer_is_an_error(name, reason, tmp_path):
    """For some models transformers makes an empty tokenizer instead, and every prompt would be empty."""
    zoo.save(name, tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(OSError, match=rf"cannot load the processor of '{tmp_path}'.*{reason}"):
        load_processor(str(tmp_path))


def test_pictures_alone_are_no_processor(tmp_path):
    zoo.built("llava")[1].image_processor.save_pretrained(tmp_path)
    with pytest.raises(OSError, match="no tokenizer"):
        load_processor(str(tmp_path))


# The class without videos


def test_the_class_without_videos_is_the_class_in_all_else():
    kind = without_videos(Qwen2VLProcessor)
    assert issubclass(kind, Qwen2VLProcessor)
    assert (kind.__name__, kind.__module__) == (Qwen2VLProcessor.__name__, Qwen2VLProcessor.__module__)
    assert kind.__call__ is Qwen2VLProcessor.__call__
    assert kind.get_attributes() == ["image_processor", "tokenizer"]
    assert Qwen2VLProcessor.get_attributes() == ["image_processor", "tokenizer", "video_processor"]


def test_models_are_the_same_for_the_same_seed(family):
    def weights(seed: int) -> dict[str, Tensor]:
        return zoo.build(family, seed=seed)[0].state_dict()

    one, same, other = weights(3), weights(3), weights(4)
    assert_same(one, same)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_zoo_has_what_makes_families_hard():
    """Windows shorter than prompts, M-RoPE, features fed to several layers, tied and untied heads."""
    gemma, processor = zoo.built("gemma3")
    text = gemma.config.get_text_config()
    assert set(text.layer_types) == {"sliding_attention", "full_attention"}
    assert text.sliding_window < int(encode(processor, pictures())[1]["attention_mask"].sum(1).min())
    for name in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl"):
        text = zoo.built(name)[0].config.get_text_config()
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        assert 2 * sum(text.rope_parameters["mrope_section"]) == head
    assert zoo.built("qwen3_vl")[0].config.vision_config.deepstack_visual_indexes == [0, 1]

    def tied(name: str) -> bool:
        model, _ = zoo.built(name)
        return model.get_input_embeddings().weight is model.get_output_embeddings().weight

    expected = {
        "qwen2_vl",
        "qwen2_5_vl",
        "qwen3_vl",
        "llava_onevision",
        "internvl",
        "gemma3",
        "paligemma",
        "paligemma2",
        "aya_vision",
        "qwen2",
    }
    assert {name for name in zoo.FAMILIES if tied(name)} == expected
