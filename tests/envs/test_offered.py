"""What a question offers: random answers keep to it, and it can be listed in words, for every task."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.speech import MOST_CHOICES
from ssl4rl_envs.task import keep_to


def states(task, count: int):
    """Questions, and those of several decisions after a random one as well."""
    batch = task.sample(Stream.span("train", 3, 0, count))
    yield batch
    if task.horizon > 1:
        step = task.advance(batch, task.random_answers(batch, Stream.span("train", 4, 0, count)))
        if not step.terminated.all():
            yield step.state.rows(~step.terminated)


def test_random_answers_keep_to_what_is_offered(env_id, build):
    task = build(env_id)
    for batch in states(task, 24):
        offered, answers = task.offered(batch), task.random_answers(batch, Stream.span("train", 5, 0, len(batch)))
        assert task.valid(answers).all()
        assert (offered is None) == (not isinstance(task.action_space, spaces.Discrete))
        if offered is not None:
            assert offered[np.arange(len(batch)), answers - task.action_space.start].all()


def test_choices_are_the_offered_answers_in_words(env_id, build):
    task = build(env_id)
    for batch in states(task, 24):
        choices = task.choices(batch)
        offered = None if task.parts else task.offered(batch)
        if not task.has_text or (not task.parts and (offered is None or offered.sum(axis=1).max() > MOST_CHOICES)):
            assert choices is None
            return
        if choices is None:
            assert task.parts
            return
        truths = task.truths(batch)
        for row, (words, truth) in enumerate(zip(choices, truths, strict=True)):
            assert len(set(words)) == len(words)
            if task.horizon == 1:
                assert truth in words
            one = batch.rows(slice(row, row + 1))
            read = [task.parse_all([wrap(word, "direct")], one, "direct")[0][0] for word in words]
            if offered is not None:
                assert (np.array(read) - task.action_space.start).tolist() == np.flatnonzero(offered[row]).tolist()


def test_a_mixture_offers_what_its_parts_do():
    task = make_task("Mixture", tasks=("Rotation", "FlipPrediction"), source="digits", image_size=36)
    batch = task.sample(Stream.span("train", 0, 0, 12))
    words = {0: ("0", "90", "180", "270"), 1: ("none", "horizontal", "vertical", "both")}
    assert task.choices(batch) == [words[part] for part in batch.observation["task"].tolist()]
    mixed = make_task("Mixture", tasks=("Rotation", "PatchOrdering"), source="digits", image_size=36)
    assert mixed.choices(mixed.sample(Stream.span("train", 0, 0, 12))) is None


def test_offered_answers_stay_and_others_are_drawn_evenly_from_those_that_are():
    count = 6_000
    offered = np.tile([True, False, True, False, True], (count, 1))
    answers = np.arange(count) % 5 + 10
    kept = keep_to(offered, spaces.Discrete(5, start=10), answers, Stream.span("train", 0, 0, count))
    stays = np.isin(answers, (10, 12, 14))
    assert (kept[stays] == answers[stays]).all()
    shares = np.bincount(kept[~stays] - 10, minlength=5) / (~stays).sum()
    assert np.allclose(shares, [1 / 3, 0, 1 / 3, 0, 1 / 3], atol=0.04)


@pytest.mark.parametrize("name", ["RotateUpright", "PatchSwap", "GraphSearch"])
def test_a_mask_changes_only_answers_that_were_not_offered(name):
    task = make_task(name)
    for batch in states(task, 40):
        stream = Stream.span("train", 6, 0, len(batch))
        answers = task.random_answers(batch, Stream.span("train", 6, 0, len(batch)))
        before = task.action_space.start + stream.integers(0, int(task.action_space.n))
        offered = task.offered(batch)[np.arange(len(batch)), before - task.action_space.start]
        assert (answers[offered] == before[offered]).all()
