"""Scores of replies from the keys of their questions alone are what the environment pays."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from ssl4rl_envs import SSLEnv, Stream, Task, env_ids, make_task, rows, score, task_class
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.registration import TABLE
from ssl4rl_envs.sources import PICTURES
from tests.envs.conftest import task_of

SMALL: dict[str, Any] = {"source": "digits", "image_size": 36}
ASKED = {"train": [3, 0, 65], "test": [1, 2, 300]}
"""Split -> indices that are asked, in no order."""


def replies_to(task: Task, split: str, seed: int, index: int, style: str) -> list[str]:
    """What is right, what somebody says who does not look, and what is broken."""
    stream = Stream.span(split, seed, index, 1)
    batch = task.sample(stream)
    right, guess = (
        words or ""
        for answers in (task.oracle(batch), task.random_answers(batch, stream.branch("guess")))
        for words in task.format_all(answers, batch)
    )
    said = wrap(right, style)
    return [said, wrap(guess, style), "", right, f"It is {said}", said + said, said.replace(right, f"**{right}**"), said[:-1]]


def paid(task: Task, split: str, seed: int, index: int, reply: str, **how: str) -> dict[str, Any]:
    """What a step of the environment says of a reply."""
    env = SSLEnv(task, interface="text", split=split, **how)
    env.reset(seed=seed, options={"index": index})
    _, reward, _, _, info = env.step(reply)
    return {
        "reward": reward,
        **{name: info[name] for name in ("success", "valid", "truth")},
        "parsed": info["parsed"] or None,
    }


ONE_DECISION = [env_id for env_id in env_ids() if task_of(env_id).has_text and task_of(env_id).horizon == 1]


@pytest.mark.parametrize("name", ONE_DECISION)
@pytest.mark.parametrize("split", ASKED)
def test_scores_are_what_the_environment_pays(name, split, style, grammar):
    task = task_of(name)
    said = [(index, reply) for index in ASKED[split] for reply in replies_to(task, split, 7, index, style)]
    how = {"prompt_style": style, "grammar": grammar}
    found = score(name, [reply for _, reply in said], split=split, seed=7, index=[index for index, _ in said], **how)
    assert found == [paid(task, split, 7, index, reply, **how) for index, reply in said]
    assert {scored["success"] for scored in found} == {True, False}
    assert list(found[0]) == ["reward", "success", "valid", "parsed", "truth"]
    assert [type(value) for value in found[0].values()] == [float, bool, bool, str, str]


def test_a_process_that_knows_the_keys_alone_scores_alike():
    said, here = [], []
    for env_id in (row.id for row in TABLE if row.id in ONE_DECISION):
        # The tests' scenes are the tests' own.
        arguments = {"source": "photos"} if task_class(env_id).sources is PICTURES else {}
        task = make_task(env_id, **arguments)
        for split in ASKED:
            for row in rows(env_id, 2, split=split, seed=11, first=4, **arguments):
                keys = {name: row[name] for name in ("env_id", "args", "split", "seed", "index")}
                for reply in replies_to(task, split, 11, row["index"], "direct")[:4]:
                    said.append({**keys, "reply": reply})
                    here.append(paid(task, split, 11, row["index"], reply))
    code = (
        "import json, sys; from ssl4rl_envs import score\n"
        "keys = lambda one: {name: one[name] for name in ('split', 'seed', 'index')}\n"
        "said = json.load(sys.stdin)\n"
        "print(json.dumps([score(one['env_id'], one['reply'], **keys(one), **json.loads(one['args']))[0] for one in said]))"
    )
    run = subprocess.run([sys.executable, "-c", code], input=json.dumps(said), capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == here
    assert sum(scored["reward"] == 1 for scored in here) >= len(said) // 4


def test_many_replies_to_few_questions_are_scored_in_the_order_in_which_they_are_given():
    found = list(rows("SSL4RL/Rotation-v0", 600, first=50, **SMALL))
    order = np.random.default_rng(0).integers(0, 600, 5000)
    right = np.random.default_rng(1).random(5000) < 0.5
    said = [wrap(found[of]["answer"], "direct") if good else "no idea" for of, good in zip(order, right, strict=True)]
    scored = score("SSL4RL/Rotation-v0", said, index=50 + order, **SMALL)
    assert [one["reward"] for one in scored] == right.astype(float).tolist()
    assert [one["truth"] for one in scored] == [found[of]["answer"] for of in order]


def test_every_question_is_made_once(monkeypatch):
    from ssl4rl_envs.images.rotation import Rotation

    made: list[int] = []
    sample = Rotation.sample
    score("SSL4RL/Rotation-v0", "", index=0, **SMALL)  # built
    monkeypatch.setattr(Rotation, "sample", lambda task, stream: made.extend(stream.indices.tolist()) or sample(task, stream))
    score("SSL4RL/Rotation-v0", [""] * 900, index=[9, 700, 3] * 300, **SMALL)
    assert made == [3, 9, 700]


def test_one_reply_and_one_index_for_all_are_understood():
    (row,) = rows("SSL4RL/Rotation-v0", 1, first=5, **SMALL)
    right = wrap(row["answer"], "direct")
    assert score("SSL4RL/Rotation-v0", right, index=5, **SMALL) == [
        {"reward": 1.0, "success": True, "valid": True, "parsed": row["answer"], "truth": row["answer"]}
    ]
    two = score("SSL4RL/Rotation-v0", (right, "no"), index=5, **SMALL)
    assert two[1] == {"reward": 0.0, "success": False, "valid": False, "parsed": None, "truth": row["answer"]}
    assert score("SSL4RL/Rotation-v0", [], index=[], **SMALL) == score("SSL4RL/Rotation-v0", [], index=3, **SMALL) == []


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"replies": ["a", "b"], "index": [1]}, ValueError, "one index for all replies or one each: 2 replies, 1 indices"),
        ({"replies": "a", "index": [1, 2]}, ValueError, "1 replies, 2 indices"),
        ({"replies": ["a", None]}, TypeError, "a reply must be a str.* got NoneType as reply 1"),
        ({"replies": [{"answer": "0"}]}, TypeError, "got dict as reply 0"),
        ({"replies": 5}, TypeError, "replies are a str, or a sequence of them, got int"),
        ({"replies": b"90"}, TypeError, "replies are a str, or a sequence of them, got bytes"),
        ({"replies": {"answer": {1}}, "prompt_style": "tool"}, TypeError, "a call is what JSON can say"),
        ({"index": -1}, ValueError, r"index must be integers in \[0, 2\*\*64\), got -1$"),
        ({"replies": ["a", "b"], "index": [3, -2]}, ValueError, r"got -2$"),
        ({"replies": ["a", "b"], "index": np.array([3, -2])}, ValueError, r"got -2$"),
        ({"index": 1.5}, ValueError, r"index must be integers.* got 1.5$"),
        ({"index": [True]}, ValueError, "index must be integers"),
        ({"seed": -1, "replies": [], "index": []}, ValueError, "seed must be integers"),
        ({"split": "dev", "replies": [], "index": []}, ValueError, "split must be one of"),
        ({"grammar": "kind"}, ValueError, "grammar must be one of"),
        ({"prompt_style": "loud"}, ValueError, "prompt_style must be one of"),
        ({"render_mode": "ansi"}, TypeError, "render_mode belongs to environments"),
        ({"angle": 4}, TypeError, "angle"),
    ],
)
def test_wrong_arguments_are_errors(arguments, error, words):
    with pytest.raises(error, match=words):
        score("SSL4RL/Rotation-v0", **{"replies": ["a"], "index": 0, **SMALL, **arguments})


def test_several_decisions_are_refused():
    with pytest.raises(ValueError, match="SSL4RL/PatchSwap-v0 takes up to 12 decisions a question"):
        score("SSL4RL/PatchSwap-v0", "1, 2", index=0)


@pytest.mark.parametrize("name", [None, 5])
def test_an_environment_goes_by_a_name(name):
    with pytest.raises(TypeError, match=r"an environment goes by a name, e\.g\. 'Rotation', got"):
        score(name, "a", index=0)


@pytest.mark.parametrize("calls", [5, "x", [5], [{"function": 5}], [{"function": {"arguments": "[" * 100_000}}], {"a": 1}])
def test_calls_that_are_none_score_nothing(calls):
    for grammar in ("strict", "lenient"):
        (one,) = score("SSL4RL/Rotation-v0", {"tool_calls": calls}, index=0, prompt_style="tool", grammar=grammar, **SMALL)
        assert (one["reward"], one["valid"]) == (0.0, False)


@pytest.mark.parametrize("first", [(1 << 63) - 1, 1 << 63, (1 << 64) - 2])
def test_the_last_questions_of_a_stream_are_rows_and_scored(first):
    found = list(rows("SSL4RL/Rotation-v0", 2, first=first, **SMALL))
    assert [row["index"] for row in found] == [first, first + 1]
    said = [wrap(row["answer"], "direct") for row in found]
    assert all(one["success"] for one in score("SSL4RL/Rotation-v0", said, index=[first, first + 1], **SMALL))
    with pytest.raises(ValueError, match=r"questions have numbers below 2\*\*64"):
        rows("SSL4RL/Rotation-v0", (1 << 64) - first + 1, first=first, **SMALL)
