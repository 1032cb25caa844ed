"""Whole questions: whatever is asked, of whatever source and size, the compiled kernels and NumPy give the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream, kernels, make_task, task_class
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.registration import TABLE
from ssl4rl_envs.sources.images import ImageSource

pytest.importorskip("numba")

IDS = [row.id for row in TABLE]
GRAPHS = ("cora", "karate", "sbm")


@st.composite
def pictures(draw) -> ImageSource | str:
    """A source of random pictures of random shapes, some of them grey, or one that comes with the package."""
    if draw(st.booleans()):
        return draw(st.sampled_from(["scenes", "photos", "faces"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(24, 40))
    shapes = rng.integers(24, 200, (count, 2))
    smooth = [rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8) for height, width in shapes]
    made = [small.repeat(8, 0).repeat(8, 1)[:h, :w] for small, (h, w) in zip(smooth, shapes, strict=True)]
    grey = draw(st.booleans())
    return ImageSource(
        [np.repeat(each[..., :1], 3, axis=2) if grey and number % 2 else each for number, each in enumerate(made)]
    )


def asked(forced: str, name: str, source, arguments: dict, stream: tuple[str, int, int, int]):
    """What a task asks with an implementation forced, and how it scores the oracle's and random answers; or its error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernels.VARIABLE, forced)
        try:
            task = make_task(name, source=source, **arguments)
            batch = task.sample(Stream.span(*stream))
        except (ValueError, RuntimeError) as error:
            return str(error)
        answers = task.oracle(batch), task.random_answers(batch, Stream.span(*stream).branch("answers"))
        scores = [task.score(each, batch) for each in answers]
        found = {**batch.observation, **{f"memory {key}": value for key, value in batch.memory.items()}}
        found |= {"target": batch.target, "items": batch.items}
        return found | {f"reward {number}": score.reward for number, score in enumerate(scores)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_every_task_asks_and_scores_the_same_by_either_implementation(data):
    name = data.draw(st.sampled_from(IDS))
    levels = task_class(name).levels
    arguments = {"level": data.draw(st.sampled_from([level.name for level in levels]))} if levels else {}
    if issubclass(task_class(name), GraphTask):
        source = data.draw(st.sampled_from(GRAPHS))
    else:
        source = data.draw(pictures())
        arguments["image_size"] = data.draw(st.sampled_from([36, 48, 64, 66, 96]))
    split = data.draw(st.sampled_from(["train", "validation", "test"]))
    stream = (split, data.draw(st.integers(0, 2**40)), data.draw(st.integers(0, 2**40)), data.draw(st.integers(1, 9)))
    by_numpy, by_numba = (asked(forced, name, source, arguments, stream) for forced in ("numpy", "numba"))
    if isinstance(by_numpy, str):
        assert by_numpy == by_numba
        return
    assert set(by_numpy) == set(by_numba)
    for key, values in by_numpy.items():
        assert values.dtype == by_numba[key].dtype
        assert np.array_equal(values, by_numba[key]), key
