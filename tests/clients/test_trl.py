"""TRL: its own trainer on our datasets, reward function and environments."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ssl4rl_envs import rows
from ssl4rl_envs.bridges import trl as bridge
from ssl4rl_envs.bridges.episodes import Episode
from tests.clients.partner import example
from tests.clients.tiny_models import all_but, speaking

pytest.importorskip("datasets")
TASK = {"source": "faces", "image_size": 36}
SWAPS = {"level": "2x2", **TASK}


def completions(texts):
    return [[{"role": "assistant", "content": text}] for text in texts]


def test_the_dataset_holds_questions_and_keys_and_no_answers():
    data = bridge.dataset("SSL4RL/Rotation-v0", 5, seed=3, first=2, prompt_style="think", **TASK)
    same = list(rows("SSL4RL/Rotation-v0", 5, seed=3, first=2, prompt_style="think", **TASK))
    assert set(data.column_names) == {"prompt", "images", *bridge.KEYS}
    assert data["prompt"][:] == [row["prompt"] for row in same]
    for shown, row in zip(data["images"], same, strict=True):
        assert np.array_equal(np.asarray(shown[0]), np.asarray(row["images"][0]))
    assert data["index"][:] == [2, 3, 4, 5, 6]


def test_graphs_have_no_column_of_pictures():
    assert "images" not in bridge.dataset("SSL4RL/EdgePrediction-v0", 2).column_names


def test_rewards_come_from_the_keys_alone_and_a_group_is_about_one_question():
    data = bridge.dataset("SSL4RL/Rotation-v0", 6, **TASK)
    truths = [row["answer"] for row in rows("SSL4RL/Rotation-v0", 6, **TASK)]
    columns = {name: [value for value in data[name] for _ in range(4)] for name in bridge.KEYS}  # as TRL repeats them
    replies = [f"<answer>{turn}</answer>" for _ in truths for turn in ("0", "90", "180", "270")]
    logged = {}
    rewards = bridge.reward(completions(replies), prompts=None, trainer_state=None, log_metric=logged.__setitem__, **columns)
    assert rewards == [float(truth == turn) for truth in truths for turn in ("0", "90", "180", "270")]
    assert logged == {"success": 0.25, "valid": 1.0}
    assert bridge.reward(completions(["no answer"] * 24), **columns) == [0.0] * 24
    with pytest.raises(ValueError, match=r"bridges\.trl\.dataset; env_id, args"):
        bridge.reward(completions(["<answer>0</answer>"]), answer=["0"])


def test_an_environment_is_played_to_the_end_and_pays_what_the_episode_pays():
    data, environment = bridge.episodes("SSL4RL/PatchSwap-v0", 3, seed=5, **SWAPS)
    one, other = environment(), environment()
    assert one.get_reward() == 0.0
    first = one.reset(**data[1])
    assert [part["type"] for part in first] == ["image", "text"]
    again = other.reset(**data[1])
    assert first[0]["image"].tobytes() == again[0]["image"].tobytes()  # one group, one question
    episode = Episode(data[1])
    pictures = [first[0]["image"].tobytes()]
    while not episode.ended:
        said = one.answer("1, 2")
        episode.answer(json.dumps({"answer": "1, 2"}))
        pictures += [part["image"].tobytes() for part in said if part["type"] == "image"]
    assert said == [{"type": "text", "text": "That was not right."}]
    assert len(set(pictures)) == 2  # swapped to and fro
    assert one.get_reward() == episode.reward > 0
    assert other.get_reward() == 0.0
    with pytest.raises(RuntimeError, match="has been answered"):
        one.answer("1, 2")


def test_attempts_are_told_apart_and_show_the_picture_once():
    data, environment = bridge.episodes("SSL4RL/Rotation-v0", 1, attempts=4, **TASK)
    playing = environment()
    playing.reset(**data[0])
    told = [playing.answer(turn) for turn in ("0", "90", "180", "270") if playing.get_reward() == 0]
    assert all([part["type"] for part in said] == ["text"] for said in told)
    assert "Your answer 0 was not right" in told[0][0]["text"] or len(told) == 1
    assert told[-1][0]["text"] == "That was right."
    assert playing.get_reward() == 1.0


def test_without_its_data_an_environment_says_why_not():
    _, environment = bridge.episodes("SSL4RL/Rotation-v0", 1, **TASK)
    with pytest.raises(ValueError, match="as train_dataset"):
        environment().reset(prompt=[{"role": "user", "content": ""}])


def test_the_tool_is_described_by_the_task():
    schemas = pytest.importorskip("transformers.utils")
    for env_id, described in (("Rotation", {"enum": ["0", "90", "180", "270"]}), ("PatchOrdering", {})):
        _, environment = bridge.episodes(f"SSL4RL/{env_id}-v0", 1, source="faces")
        schema = schemas.get_json_schema(environment().answer)["function"]
        assert schema["name"] == "answer"
        assert described.items() <= schema["parameters"]["properties"]["answer"].items()
        assert [name for name in dir(environment) if not name.startswith("_")] == ["answer", "get_reward", "reset"]


SETTINGS = {
    "learning_rate": 1e-2,
    "lr_scheduler_type": "constant",
    "bf16": False,
    "gradient_checkpointing": False,
    "use_cpu": True,
    "report_to": "none",
    "save_strategy": "no",
    "logging_steps": 1,
    "disable_tqdm": True,
}


def trained(make, said, words, **settings):
    """A trainer of the example after its steps, and what it logged of each; the tiny model says nothing but `words`."""
    model, processor = said
    allowed = {"suppress_tokens": all_but(processor.tokenizer, words)}
    trainer = make(model, processor=processor, generation_kwargs=allowed, **SETTINGS, **settings)
    trainer.train()
    return [entry for entry in trainer.state.log_history if "reward" in entry]


@pytest.fixture
def grpo(monkeypatch):
    pytest.importorskip("trl")
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    return example("trl_grpo")


@pytest.mark.slow
def test_grpo_steps_change_the_reward(tmp_path, grpo):
    """A tiny LLaVA that says one of four answers or of four other words learns to answer."""
    words = [f"<answer>{turn}</answer>" for turn in (0, 90, 180, 270)] + ["left", "right", "maybe", "north"]
    said = speaking("llava", words, ["By how many degrees was this picture turned? 0, 90, 180, 270."])
    size = {"n": 64, "max_steps": 8, "max_completion_length": 1, "per_device_train_batch_size": 32, "num_generations": 8}
    logs = trained(grpo.answers, said, words, task=TASK, output_dir=str(tmp_path), **size)
    valid = [entry["valid"] for entry in logs]
    assert len(logs) == 8
    assert max(valid[:2]) < 0.9 <= min(valid[-3:])
    assert np.mean([entry["reward"] for entry in logs[:2]]) < np.mean([entry["reward"] for entry in logs[-4:]])


@pytest.fixture
def swapping():
    """A tiny Qwen3-VL whose turns are calls of the tool, one for each swap of two tiles of four; and these calls."""
    templates = pytest.importorskip("trl.chat_template_utils")
    swaps = ("1, 2", "1, 3", "1, 4", "2, 3", "2, 4", "3, 4")
    call = '<tool_call>\n{{"name": "answer", "arguments": {{"answer": "{}"}}}}\n</tool_call>'
    words = [call.format(swap) for swap in swaps]
    model, processor = speaking("qwen3_vl", words, ["Name two tiles to swap, so that the picture becomes whole."])
    processor.chat_template = templates.qwen3_vl_chat_template
    ends = processor.tokenizer.convert_tokens_to_ids(words)  # a call ends the turn
    model.generation_config.eos_token_id = [processor.tokenizer.eos_token_id, *ends]
    return (model, processor), words


class Watch:
    """A second reward, of nothing, that notes which question was played by whom, and what the tool said."""

    def __init__(self):
        self.seen = []

    def __call__(self, completions, environments, index, **_):
        for said, playing, number in zip(completions, environments, index, strict=True):
            shown = [message["content"] for message in said if message["role"] == "tool"]
            self.seen.append((number, playing, shown))
        return [0.0] * len(completions)


@pytest.mark.slow
def test_grpo_steps_over_several_turns_with_pictures_in_the_answers_of_tools(tmp_path, grpo, swapping):
    said, words = swapping
    watch = Watch()

    def watched(*args, **settings):
        trainer = grpo.turns(*args, **settings)
        trainer.reward_funcs.append(watch)
        trainer.reward_func_names.append("watch")
        trainer.reward_processing_classes.append(None)
        trainer.reward_weights = trainer.reward_weights.new_ones(2)
        return trainer

    size = {"n": 8, "max_steps": 2, "max_completion_length": 1024, "per_device_train_batch_size": 8, "num_generations": 4}
    logs = trained(watched, said, words, task=SWAPS, output_dir=str(tmp_path), **size)
    assert len(logs) == 2
    assert all(np.isfinite(entry["loss"]) for entry in logs)
    assert all(0 < entry["rewards/PatchSwapEnvironment/mean"] <= 1 for entry in logs)
    assert all(entry["tools/failure_frequency"] < 0.4 for entry in logs)  # nothing but answers after the end
    numbers = [number for number, _, _ in watch.seen]
    assert numbers == [number for number in numbers[::4] for _ in range(4)]  # a group is about one question
    assert len({id(playing) for _, playing, _ in watch.seen[:8]}) == 8
    replies = [said for _, _, shown in watch.seen for said in shown if isinstance(said, list)]
    assert any(part["type"] == "image" for said in replies for part in said)
    assert max(len(shown) for _, _, shown in watch.seen) == 4
