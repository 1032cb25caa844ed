"""Questions that are asked by choice: what they offer, what is right, and what is seen of them when altered."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl4rl_agents.choosing.altering import HOW, altered
from ssl4rl_agents.choosing.asking import BLANK, REWIRED, SHOWN, SWAPPED, drawn, replies, scored
from ssl4rl_agents.choosing.options import option_logprobs
from ssl4rl_agents.choosing.records import answer
from ssl4rl_agents.choosing.sets import EnvSet
from ssl4rl_agents.choosing.summary import summarise, units_of
from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policies.policy import Policy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_envs import Stream, Task, make_task
from ssl4rl_envs.interface import Interface

STREAM = Stream.span("validation", 3, 0, 12)
SMALL = {"source": "digits", "image_size": 36}


def policy_of(task: Task, model: str = "nano") -> Policy:
    return build_policy(PolicyConfig(model=model), task, 0, torch.device("cpu"))


def luck(_: str) -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def scenes() -> Task:
    return make_task("SceneQA", image_size=32, kinds="sky+light")


@pytest.fixture(scope="module")
def policy(scenes) -> Policy:
    return policy_of(scenes)


@pytest.mark.parametrize(
    ("env", "arguments", "name"),
    [
        ("SceneQA", {"image_size": 32, "kinds": "sky+light"}, "text"),
        ("GraphQA", {"source": "karate"}, "text"),
        ("GraphQA", {"source": "karate"}, "array"),
        ("Rotation", SMALL, "array"),
        ("EdgePrediction", {"source": "sbm"}, "array"),
    ],
)
def test_places_of_truth_and_habit_are_those_of_the_task(env, arguments, name):
    task = make_task(env, **arguments)
    asked = drawn(Interface(task, name, "direct"), STREAM)
    right, said = task.oracle(asked.batch).tolist(), task.truths(asked.batch)
    places = asked.truth.tolist()
    assert [each[place] for each, place in zip(asked.actions, places, strict=True)] == right
    assert [each[place] for each, place in zip(asked.labels, places, strict=True)] == said
    assert asked.options is (asked.labels if name == "text" else asked.actions)
    assert len(set(asked.items[asked.items < 0])) == (asked.items < 0).sum()
    known = {level.name for level in task.levels} if "kind" in task.info(asked.batch) else {""}
    assert set(asked.kinds) <= known
    if "QA" in env:
        habitual = asked.batch.memory["favoured"] == asked.batch.target
        assert asked.congruent.tolist() == habitual.tolist()
        assert set(habitual.tolist()) == {True, False}
    else:
        with pytest.raises(ValueError, match=f"{env} does not say which answers its words suggest"):
            _ = asked.congruent


def test_with_the_truth_first_nothing_else_changes(scenes):
    asked = drawn(Interface(scenes, "text", "direct"), STREAM)
    first = asked.truth_first()
    assert asked.truth.any()
    assert not first.truth.any()
    assert first.congruent.tolist() == asked.congruent.tolist()
    for one, other in ((asked.labels, first.labels), (asked.actions, first.actions)):
        assert [each[place] for each, place in zip(one, asked.truth, strict=True)] == [each[0] for each in other]
        assert list(map(sorted, one)) == list(map(sorted, other))


def test_questions_are_seen_as_they_are_and_altered(scenes, policy):
    asked = drawn(Interface(scenes, "text", "direct"), STREAM)
    seen = asked.seen(policy, (SHOWN, *asked.ways), luck)
    assert tuple(seen) == (SHOWN, *HOW)
    pictures = asked.batch.observation["image"]
    assert np.array_equal(seen[SHOWN]["image"], pictures)
    assert (seen[BLANK]["image"] == 127).all()
    assert all(each["prompt"] == seen[SHOWN]["prompt"] for each in seen.values())
    for by_item, groups in ((True, asked.items.tolist()), (False, None)):
        swapped = asked.seen(policy, (SWAPPED,), luck, by_item=by_item)[SWAPPED]["image"]
        assert np.array_equal(swapped, altered({"image": pictures}, SWAPPED, luck(""), groups=groups)["image"])


def test_scores_are_those_of_the_options_with_what_is_seen(scenes, policy):
    asked = drawn(Interface(scenes, "text", "direct"), STREAM)
    found = scored(policy, asked.seen(policy, (SHOWN, BLANK), luck), asked.options)
    shown = {"image": asked.batch.observation["image"], "prompt": tuple(scenes.prompts(asked.batch, "direct"))}
    grey = {**shown, "image": np.full_like(shown["image"], 127)}
    for how, observations in ((SHOWN, shown), (BLANK, grey)):
        assert np.array_equal(found[how], option_logprobs(policy, observations, scenes.choices(asked.batch)).numpy())
    assert len(replies(policy, shown)) == len(STREAM)


def test_what_cannot_be_chosen_is_refused():
    for env, why in (("PatchOrdering", "has answers that cannot be listed"), ("RotateUpright", "takes several decisions")):
        task = make_task(env, **SMALL)
        with pytest.raises(ValueError, match=f"the answers to one decision, and {env} {why}"):
            drawn(Interface(task, "text", "direct"), STREAM)


def test_graphs_in_words_are_asked_with_other_edges_downstream_too():
    task = make_task("GraphQA", source="karate")
    policy = policy_of(task)
    asked = EnvSet("GraphQA", task, 6)
    assert asked.ways(policy) == (REWIRED,)
    assert asked.ways(policy_of(task, "gcn")) == HOW
    records = answer(policy, asked).records
    assert all(each.blank is None and each.rewired is not None and each.rewired != each.shown for each in records)
    told = summarise(units_of(records))
    gains = [
        (each.shown[each.truth] - each.shown[1 - each.truth]) - (each.rewired[each.truth] - each.rewired[1 - each.truth])
        for each in records
    ]
    assert told["picture_gain"]["value"] == pytest.approx(np.mean(gains), abs=1e-5)
    assert told["calibrated"] is None
