"""Pictures that are processed where the policy is are, bit for bit, what the model's own processor makes of them."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ssl4rl_agents.policies import picture_plans, prompts
from ssl4rl_agents.policies.pictures import distinct_pictures, on_device
from ssl4rl_agents.policies.prompts import PromptEncoder
from ssl4rl_agents.policies.resizing import FILTERS, resize, resize_by_products
from tests.agents import zoo

CPU = torch.device("cpu")
SIZES = {
    "as the model sees them": [(32, 32)],
    "resized": [(36, 36)],
    "two": [(36, 36), (36, 36)],
    "oblong": [(40, 60)],
    "of two sizes": [(64, 64), (32, 32)],
}


def observations(sizes: list[tuple[int, int]], seed: int = 0) -> dict[str, Any]:
    """Three questions, two of them with the same words, with pictures of these sizes each."""
    random = np.random.default_rng(seed)
    shown = {f"image{k}": random.integers(0, 256, (3, *size, 3), dtype=np.uint8) for k, size in enumerate(sizes)}
    return {**shown, "prompt": ("Angle?", "Which of these is it, 0, 90 or 180?", "Angle?")}


def by_processor(encoder: PromptEncoder, asked: dict[str, Any]) -> Any:
    """What the processor itself makes of them."""
    texts, pictures = encoder.formatted(asked)
    return encoder._process(texts, [[Image.fromarray(picture) for picture in seen] for seen in pictures])


def plan_of(encoder: PromptEncoder) -> Any:
    (plan,) = encoder._plans.values()
    return plan


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_every_family_is_given_what_its_processor_makes(picture_family, sizes):
    encoder = PromptEncoder(*zoo.built(picture_family))
    asked = observations(sizes)
    found, expected = encoder.processed(asked, CPU), by_processor(encoder, asked)
    assert plan_of(encoder) is not None
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        assert torch.equal(found[name], values), name


def test_the_tensors_of_a_gpu_hold_the_same(picture_family):
    """What a GPU does instead of Pillow and a compiled loop."""
    encoder = PromptEncoder(*zoo.built(picture_family))
    asked = observations([(36, 36), (64, 64)])
    found = encoder.processed(asked, CPU)
    plan = plan_of(encoder)
    seen = [torch.from_numpy(asked[f"image{k}"]) for k in range(2)]
    for step in plan.steps:
        seen.append(resize_by_products(seen[step.parent], step.height, step.width, step.resample))
    pixels = torch.cat([picture.flatten(1) for picture in seen], dim=1)
    for name in plan.names:
        assert torch.equal(plan._numbers[name].by_tensors(pixels), found[name]), name


def test_tensors_are_taken_as_arrays_are(picture_family):
    encoder = PromptEncoder(*zoo.built(picture_family))
    asked = observations([(36, 36)])
    tensors = {**asked, "image0": torch.from_numpy(asked["image0"])}
    one, other = (encoder(given, CPU) for given in (asked, tensors))
    for name, values in one.pictures.items():
        assert torch.equal(values, other.pictures[name])
    assert np.array_equal(encoder.formatted(tensors)[1][2][0], asked["image0"][2])


def test_the_processor_is_run_once_for_equal_prompts_and_never_over_pictures(monkeypatch):
    encoder = PromptEncoder(*zoo.build("qwen2_5_vl"))
    asked = observations([(32, 32)])
    encoder.processed(asked, CPU)
    monkeypatch.setattr(type(encoder.processor.image_processor), "_preprocess", None)
    seen: list[int] = []
    inner = encoder._process
    monkeypatch.setattr(
        encoder, "_process", lambda texts, *rest, **more: seen.append(len(texts)) or inner(texts, *rest, **more)
    )
    encoder.processed(asked, CPU)
    assert seen == [2]


class Averaging(type(zoo.built("llava")[1].image_processor)):  # type: ignore[misc]
    """Sees in grey: each number is made of three bytes."""

    def rescale(self, image: Any, scale: float, **kwargs: Any) -> Any:
        return super().rescale(image.mean(0, keepdims=True).repeat(3, 0), scale, **kwargs)


class Cropping(type(zoo.built("llava")[1].image_processor)):  # type: ignore[misc]
    """Resizes a part of the picture."""

    def resize(self, image: Any, size: Any, **kwargs: Any) -> Any:
        return super().resize(image, size, **kwargs)

    def _preprocess(self, images: Any, *args: Any, size: Any, **kwargs: Any) -> Any:
        images = [self.resize(image=image[:, 4:], size=size) for image in images]
        return super()._preprocess(images, *args, size=size, **kwargs)


@pytest.mark.parametrize(
    ("images", "why"),
    [(Averaging, "not made of one byte each"), (Cropping, "resizes parts of pictures")],
    ids=["grey", "crops"],
)
def test_what_cannot_be_learned_goes_through_the_processor_with_a_word(images, why, caplog):
    model, processor = zoo.build("llava")
    how = {"size": zoo.SIDE, "do_center_crop": False, "default_to_square": True}
    processor.image_processor = images(**how)
    encoder = PromptEncoder(model, processor)
    asked = observations([(36, 36)])
    with caplog.at_level(logging.INFO, "ssl4rl_agents"):
        found = encoder.processed(asked, CPU)
        encoder.processed(asked, CPU)
    assert plan_of(encoder) is None
    assert caplog.text.count(why) == 1
    assert "on the host, by LlavaProcessor, which is slower" in caplog.text
    assert torch.equal(found["pixel_values"], by_processor(encoder, asked)["pixel_values"])


def test_a_plan_that_is_wrong_for_other_pictures_is_not_followed(monkeypatch, caplog):
    """Nothing is taken for granted: two prompts with other pictures are compared before a plan is used."""
    learn = prompts.learn

    def learned(*args: Any) -> Any:
        plan = learn(*args)
        numbers = plan._numbers["pixel_values"]
        numbers.table[300] += 0.5
        return plan

    monkeypatch.setattr(prompts, "learn", learned)
    encoder = PromptEncoder(*zoo.built("llava"))
    asked = observations([(36, 36)])
    with caplog.at_level(logging.INFO, "ssl4rl_agents"):
        found = encoder.processed(asked, CPU)
    assert "its pixel_values is not what it was" in caplog.text
    assert torch.equal(found["pixel_values"], by_processor(encoder, asked)["pixel_values"])


def test_pictures_with_too_few_pixels_to_learn_from_are_refused():
    encoder = PromptEncoder(*zoo.build("qwen2_5_vl"))
    encoder.processor.image_processor.size = {"shortest_edge": 1, "longest_edge": 64 * 64}
    encoder.processor.image_processor.patch_size = 4
    with pytest.raises(picture_plans.NotLearnedError, match="too few pixels"):
        encoder._learn([(8, 8)], CPU)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 60)] * 4),
    filter_=st.sampled_from(sorted(FILTERS)),
    extreme=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_products_resize_as_pillow_does_to_the_bit(sizes, filter_, extreme, seed):
    rows, columns, height, width = sizes
    pictures = np.random.default_rng(seed).integers(0, 256, (2, rows, columns, 3), dtype=np.uint8)
    shown = torch.from_numpy(pictures // 128 * 255 if extreme else pictures)
    assert torch.equal(resize_by_products(shown, height, width, filter_), resize(shown, height, width, filter_))


def test_large_batches_are_resized_in_parts(monkeypatch):
    shown = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (7, 20, 30, 3), dtype=np.uint8))
    whole = resize_by_products(shown, 10, 40, int(Image.Resampling.BICUBIC))
    monkeypatch.setattr("ssl4rl_agents.policies.resizing.AT_A_TIME", 5000)
    assert torch.equal(resize_by_products(shown, 10, 40, int(Image.Resampling.BICUBIC)), whole)


def test_equal_pictures_are_sent_once():
    pictures = np.arange(5, dtype=np.uint8)[[3, 1, 3, 0, 1]][:, None, None, None].repeat(3, 3)
    distinct, which = distinct_pictures(pictures)
    assert distinct[:, 0, 0, 0].tolist() == [3, 1, 0]
    assert which.tolist() == [0, 1, 0, 2, 1]
    assert np.array_equal(distinct[which], pictures)


def test_pictures_that_may_not_be_written_are_taken():
    pictures = np.zeros((1, 2, 2, 3), np.uint8)
    pictures.flags.writeable = False
    assert torch.equal(on_device(pictures, CPU), torch.zeros(1, 2, 2, 3, dtype=torch.uint8))
