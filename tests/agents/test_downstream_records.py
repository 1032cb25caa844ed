"""Records of downstream questions, and what they amount to: by hand, and of a small policy."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ssl4rl_agents.choosing.altering import HOW
from ssl4rl_agents.choosing.options import option_logprobs
from ssl4rl_agents.choosing.questions import Question, Wording, picture_of, rotations
from ssl4rl_agents.choosing.records import Record, answer, read_records, write_records
from ssl4rl_agents.choosing.sets import EnvSet, FileSet
from ssl4rl_agents.choosing.summary import compare, summarise, units_of
from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_envs import make_task


def record(key: str, shown: list[float], **changes: Any) -> Record:
    """A question of two options, by the probabilities of these."""
    usual: dict[str, Any] = {
        "kind": "",
        "picture": key,
        "group": None,
        "options": ("x", "y"),
        "truth": 0,
        "favoured": None,
        "blank": tuple(np.log([0.5, 0.5]).tolist()),
        "swapped": None,
        "noise": None,
        "tokens": (1, 1),
        "reply": "<answer>x</answer>",
        "answer": 0,
        "right": True,
    }
    return Record(key=key, shown=tuple(np.log(shown).tolist()), **{**usual, **changes})


def halves(first: float) -> tuple[float, ...]:
    return tuple(np.log([first, 1 - first]).tolist())


def test_measures_of_questions_by_hand():
    records = [
        record("a", [0.8, 0.2], kind="one", favoured=0),
        record("b", [0.6, 0.4], kind="one", truth=1, blank=halves(0.9), answer=None, right=False, favoured=0),
        record("c", [0.3, 0.7], kind="two", tokens=(4, 1), blank=None, answer=1, right=False),
    ]
    units = units_of(records)
    assert units.values["accuracy"].tolist() == [1, 0, 0]
    assert units.values["greedy"].tolist() == [1, 0, 0]
    assert units.values["readable"].tolist() == [1, 0, 1]
    assert units.values["per_token"].tolist() == [1, 0, 1]  # log(0.3)/4 > log(0.7)
    assert units.values["blank"].tolist()[:2] == [1, 0]
    assert units.values["calibrated"].tolist()[:2] == [1, 1]  # 0.4/0.1 > 0.6/0.9
    assert units.values["picture_gain"].tolist()[:2] == pytest.approx(
        [math.log(4), math.log(0.4 / 0.6) - math.log(0.1 / 0.9)]
    )
    assert all(math.isnan(units.values[name][2]) for name in ("blank", "calibrated", "picture_gain"))
    told = summarise(units)
    assert (told["questions"], told["pictures"]) == (3, 3)
    assert told["accuracy"]["value"] == pytest.approx(1 / 3)
    assert told["calibrated"] == {"value": 1.0, "low": 1.0, "high": 1.0, "questions": 2}
    assert told["swapped"] is None
    assert told["chance"]["value"] == 0.5
    assert (told["congruent"]["value"], told["incongruent"]["value"]) == (1.0, 0.0)
    assert told["kinds"]["one"]["accuracy"]["value"] == 0.5
    assert told["kinds"]["two"]["accuracy"] == {"value": 0.0, "low": None, "high": None, "questions": 1}
    json.dumps(told, allow_nan=False)


def test_a_circular_question_is_right_if_all_its_rotations_are():
    records = [
        record("a/0", [0.8, 0.2], group="a", picture="p"),
        record("a/1", [0.6, 0.4], group="a", picture="p", truth=1),
        record("b/0", [0.8, 0.2], group="b", picture="q"),
        record("b/1", [0.3, 0.7], group="b", picture="q", truth=1),
    ]
    units = units_of(records)
    assert units.keys == ["a", "b"]
    assert units.values["accuracy"].tolist() == [0, 1]
    assert units.values["picture_gain"][0] == pytest.approx((math.log(4) + math.log(0.4 / 0.6)) / 2)
    assert summarise(units)["questions"] == 2


def test_differences_are_paired_by_question_and_corrected_by_kind():
    def side(right: list[bool], reverse: bool = False) -> list[Record]:
        rows = [record(f"{n}", [0.8, 0.2] if yes else [0.2, 0.8], kind=f"k{n % 2}") for n, yes in enumerate(right)]
        return rows[::-1] if reverse else rows

    before, after = units_of(side([False] * 8)), units_of(side([True, False] * 4, reverse=True))
    told = compare(before, after)
    assert told["accuracy"]["value"] == 0.5
    assert told["kinds"]["k0"]["value"] == 1.0
    assert told["kinds"]["k1"]["value"] == 0.0
    assert told["kinds"]["k0"]["p"] == pytest.approx(2 / 16)  # four flips that are all alike
    assert told["kinds"]["k0"]["p_holm"] == pytest.approx(4 / 16)
    assert told["picture_gain"]["value"] == pytest.approx(math.log(4))  # half of them go from -log 4 to log 4
    with pytest.raises(ValueError, match="1 were asked once alone, '7' first"):
        compare(units_of(side([True] * 7)), after)
    assert compare(after, after)["accuracy"]["p"] == 1.0


def questions(count: int = 6) -> list[Question]:
    """About pictures of two sizes, one of them without a picture."""
    made = []
    for n in range(count):
        side = 36 if n % 2 else 40
        pixels = np.random.default_rng(n).integers(0, 256, (side, 36, 3), dtype=np.uint8)
        shown = (picture_of(pixels, str(n)),) if n else ()
        made.append(
            Question(f"q{n}", shown, f"Which number, {n}?", ("one", "two", "three")[: 2 + n % 2], n % 2, picture=f"p{n}")
        )
    return made


def test_a_policy_answers_questions_of_a_file(make_policy):
    """Log-probabilities are those of the prompt and the picture; where nothing is shown, nothing is altered."""
    policy = make_policy("nano", max_new_tokens=3)
    asked = FileSet("mine", questions())
    answered = answer(policy, asked)
    assert sorted(found.key for found in answered.records) == [f"q{n}" for n in range(6)]
    assert policy.max_new_tokens == 4, "there is room for the options"
    by_key = {found.key: found for found in answered.records}
    question, found = asked.questions[3], by_key["q3"]
    shown = {"image": question.pictures[0].pixels()[None], "prompt": (Wording().prompt(question),)}
    assert found.shown == pytest.approx(option_logprobs(policy, shown, [("A", "B", "C")])[0].tolist(), rel=1e-4)
    grey = {**shown, "image": np.full_like(shown["image"], 127)}
    assert found.blank == pytest.approx(option_logprobs(policy, grey, [("A", "B", "C")])[0].tolist(), rel=1e-4)
    assert all(getattr(by_key["q0"], how) is None for how in HOW)
    assert all(len(getattr(found, how)) == 3 for how in HOW)
    assert found.right == (found.answer == 1)
    assert answer(policy, asked).records == answered.records, "the same each time"


def test_questions_about_one_picture_are_not_swapped_and_it_is_said(make_policy):
    same = [replace(question, picture="p", key=f"{question.key}") for question in questions()[1:]]
    answered = answer(make_policy("nano"), FileSet("mine", same))
    assert [found.swapped for found in answered.records] == [None] * 5
    assert "swapped: " in answered.notes[0]
    assert "5 of 5 questions are about the same" in answered.notes[0]
    assert summarise(units_of(answered.records))["swapped"] is None


def test_rotations_of_a_question_are_swapped_with_other_pictures(make_policy):
    turned = [each for question in questions()[1:] for each in rotations(question)]
    answered = answer(make_policy("nano"), FileSet("mine", turned))
    assert not answered.notes
    assert summarise(units_of(answered.records))["questions"] == 5


@pytest.mark.parametrize(
    ("env", "arguments"), [("Rotation", {"source": "digits", "image_size": 36}), ("SceneQA", {"image_size": 32})]
)
def test_environments_are_asked_on_held_out_questions(make_policy, env, arguments):
    task = make_task(f"SSL4RL/{env}-v0", **arguments)
    asked = EnvSet(env, task, 5)
    policy = make_policy("nano", max_new_tokens=24)
    answered = answer(policy, asked).records
    assert len(answered) == len(asked) == 5
    assert asked.ways(policy) == HOW
    if env == "Rotation":
        assert {found.options for found in answered} == {("0", "90", "180", "270")}
    else:
        assert all(len(found.options) == 2 and found.favoured in (0, 1) for found in answered)
        assert all(found.kind for found in answered)
    assert all(found.blank is not None and found.swapped != found.shown for found in answered)


def test_graph_networks_are_asked_too():
    task = make_task("SSL4RL/EdgePrediction-v0", source="sbm")
    policy = build_policy(PolicyConfig(model="gcn", gnn_hidden=8), task, 0, torch.device("cpu"))
    found = answer(policy, EnvSet("EdgePrediction", task, 6)).records
    assert all(
        each.blank is not None and each.reply in (0, 1) and each.right == (each.answer == each.truth) for each in found
    )
    with pytest.raises(TypeError, match="mine asks in words, and GNNPolicy reads arrays alone"):
        answer(policy, FileSet("mine", questions()))


def test_environments_without_a_choice_are_refused():
    with pytest.raises(ValueError, match="cannot be listed"):
        EnvSet("PatchOrdering", make_task("SSL4RL/PatchOrdering-v0", source="digits", image_size=36), 4)
    with pytest.raises(ValueError, match="takes several decisions"):
        EnvSet("RotateUpright", make_task("SSL4RL/RotateUpright-v0", source="digits", image_size=36), 4)


def test_records_are_read_as_they_were_written(tmp_path):
    records = [record("a", [0.8, 0.2], kind="k"), record("b", [0.6, 0.4], group="g", blank=None)]
    write_records(tmp_path / "r.jsonl", [("mine", "before", "runs/x", records), ("mine", "after", "runs/x", records[:1])])
    assert read_records(tmp_path / "r.jsonl") == {("mine", "before"): records, ("mine", "after"): records[:1]}
    line = json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0])
    assert (line["set"], line["when"], line["model"], line["key"]) == ("mine", "before", "runs/x", "a")
    (tmp_path / "bad.jsonl").write_text('{"set": "mine"}\n')
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 1: it is no record"):
        read_records(tmp_path / "bad.jsonl")
