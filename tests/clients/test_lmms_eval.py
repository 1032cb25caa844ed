"""An exported task as lmms-eval finds, loads, asks and scores it (lmms-eval 0.7.3, its own classes, no model)."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("lmms_eval.tasks")

from lmms_eval.tasks import TaskManager, get_task_dict

from ssl4rl_envs import rows
from ssl4rl_envs.bridges.exports import Plan, export

DIGITS = {"source": "digits", "image_size": 36}


@pytest.mark.parametrize(("which", "style"), [("SSL4RL/Rotation-v0", "direct"), ("SSL4RL/FlipPrediction-v0", "think")])
def test_lmms_eval_loads_asks_and_scores_an_exported_task(tmp_path, monkeypatch, which, style):
    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path / "cache"))
    export(Plan(which, 6, "lmms-eval", split="test", prompt_style=style, shard_size=4, arguments=DIGITS), tmp_path / "task")
    name = json.loads((tmp_path / "task" / "manifest.json").read_text())["env_id"].replace("/", "_").replace("-", "_").lower()
    monkeypatch.chdir(tmp_path)  # the data are found wherever the call is made
    manager = TaskManager(include_path=str(tmp_path / "task"), include_defaults=False)
    task = get_task_dict([name], manager, "simple")[name]
    expected = list(rows(which, 6, split="test", prompt_style=style, **DIGITS))
    assert len(task.test_docs()) == 6
    for doc, row in zip(task.test_docs(), expected, strict=True):
        assert task.doc_to_text(doc) == row["prompt"][0]["content"]
        assert [picture.tobytes() for picture in task.doc_to_visual(doc)] == [each.tobytes() for each in row["images"]]
        assert task.doc_to_target(doc) == row["answer"]
        tagged = f"<answer>{row['answer']}</answer>"
        right = task.process_results(doc, [tagged if style == "direct" else f"<think>turn</think> {tagged}"])
        assert right == {"reward": 1, "success": 1, "valid": 1, "lenient_reward": 1, "lenient_success": 1}
        talked = task.process_results(doc, [f"I think {tagged}."])
        assert (talked["success"], talked["lenient_success"]) == (0, 1)
        assert not any(task.process_results(doc, ["I cannot tell."]).values())
    assert set(task.aggregation()) == {"reward", "success", "valid", "lenient_reward", "lenient_success"}
    assert task.aggregation()["reward"]([0.0, 1.0]) == 0.5
