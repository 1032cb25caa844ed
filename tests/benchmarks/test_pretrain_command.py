"""``ssl4rl pretrain``: from the call to the table of habits, and what can be done with the folder."""

from __future__ import annotations

import json

import pytest

from ssl4rl_benchmarks import cli
from ssl4rl_benchmarks.commands.pretrain import table

TINY = "--steps 3 --unrelated-steps 1 --batch 8 --kinds sky --practice 0 --captions 0.5 --test-questions 16 --device cpu"


def test_a_call_leaves_a_run_that_is_measured_and_started_from(tmp_path, capsys):
    base = tmp_path / "base"
    assert cli.main(["pretrain", *TINY.split(), "--tasks", "--out", str(base)]) == 0
    said = capsys.readouterr().out
    assert "4 steps" in said
    habits = json.loads((base / "habits.json").read_text())
    assert set(habits) == {"all", "sky"}
    assert habits["all"]["questions"] == 16
    assert [line.split()[0] for line in said.splitlines()[1:]] == ["kind", "all", "sky"]

    assert cli.main(["eval", str(base), "--episodes", "8", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["env"] == "SSL4RL/SceneQA-v0"
    assert measured["env_args"]["kinds"] == "sky"
    assert measured["chance"] == 0.5

    again = "--iterations 1 --rollout.prompts 8 --optimizer.minibatches 1 --test-episodes 8 --eval-episodes 8 --device cpu"
    call = ["train", "SceneQA", "--kinds", "sky", "--policy.start", str(base), "--out", str(tmp_path / "run"), *again.split()]
    assert cli.main(call) == 0

    capsys.readouterr()
    assert cli.main(["train", "--resume", str(base)]) == 2
    assert "holds a pretrained model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("pretrain", "--out"),
        ("pretrain --out x --kinds ligth", "did you mean 'light'"),
        ("pretrain --out x --bias 0.3", "bias must lie in [0.5, 0.95]"),
        ("pretrain --out x --tasks Rotatin", "did you mean"),
        ("pretrain --out x --pictures /tmp", "folder:PATH"),
        ("pretrain --out x --model nowhere", "nowhere"),
        ("pretrain --out x --start nowhere", "start"),
    ],
)
def test_wrong_calls_are_told_before_anything_is_written(call, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(call.split()) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_the_table_has_a_line_for_every_kind():
    row = {"questions": 4, "balanced": 0.5, "congruent": 1.0, "incongruent": 0.0, "blank": 0.5, "swapped": 0.25}
    lines = table({"all": row, "sky": row}).splitlines()
    assert lines[1].split() == ["all", "4", "0.500", "1.000", "0.000", "0.500", "0.250"]
