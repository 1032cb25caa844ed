"""verl: its own dataset class, reward manager and agent loops on our Parquet, scoring function and loop (seen with 0.9.1)."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from ssl4rl_envs import rows
from tests.clients.partner import example

pytest.importorskip("datasets")
TASK = {"source": "faces", "image_size": 36}


def test_a_question_of_several_attempts_is_not_scored_by_one_reply():
    from ssl4rl_envs.bridges.verl import compute_score

    with pytest.raises(ValueError, match="agent loop"):
        compute_score("", "<answer>0</answer>", "", {"attempts": 2})
    with pytest.raises(ValueError, match="lacks env_id"):
        compute_score("", "<answer>0</answer>", "", {})


def test_files_hold_what_rows_are_and_are_written_in_groups(tmp_path):
    import pyarrow.parquet as pq
    from datasets import load_dataset

    from ssl4rl_envs.bridges.verl import ROW_GROUP, write_parquet

    path = write_parquet(tmp_path / "rotation.parquet", "SSL4RL/Rotation-v0", ROW_GROUP + 1, seed=4, **TASK)
    assert pq.ParquetFile(path).num_row_groups == 2
    data = load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path))["train"]
    for row, same in zip(data, rows("SSL4RL/Rotation-v0", 3, seed=4, **TASK), strict=False):
        assert row["prompt"][0]["content"] == "<image>" + same["prompt"][0]["content"]
        assert np.array_equal(np.asarray(row["images"][0]), np.asarray(same["images"][0]))
        assert row["reward_model"]["ground_truth"] == same["answer"]


@pytest.fixture(scope="module")
def processor():
    pytest.importorskip("verl")
    from tests.agents import zoo

    return zoo.build("qwen3_vl", ["Name two tiles to swap. <answer>1, 2</answer> 270 degrees"])[1]


def opened(settings, folder, processor):
    """The rows of a folder as verl's dataset class reads them with the settings of the example.

    qwen-vl-utils, which it hands pictures to, needs torchvision; the part that is overridden here collects them as they are.
    """
    from omegaconf import OmegaConf
    from verl.utils.dataset.rl_dataset import RLHFDataset

    class WithoutVideos(RLHFDataset):
        @classmethod
        def _process_multi_modal_info(cls, messages, image_patch_size, config):
            parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
            return [part["image"] for part in parts if part["type"] == "image"] or None, None, None

    config = OmegaConf.from_dotlist([line.removeprefix("data.") for line in settings if line.startswith("data.")])
    config.cache_dir = str(folder / "cache")
    config.filter_overlong_prompts_workers = None
    config.max_prompt_length = 4096
    return WithoutVideos(config.train_files, processor.tokenizer, config, processor), config


def test_its_dataset_and_reward_manager_read_our_rows_and_call_our_function(tmp_path, processor):
    import torch
    from omegaconf import OmegaConf
    from verl import DataProto
    from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
    from verl.trainer.ppo.reward import get_custom_reward_fn

    settings = example("verl_rows").write(tmp_path, "SSL4RL/Rotation-v0", train=6, validation=2, **TASK)
    data, _ = opened(settings, tmp_path, processor)
    assert len(data) == 6  # none is too long to be kept
    config = OmegaConf.from_dotlist([line for line in settings if line.startswith("reward.")])
    score = get_custom_reward_fn(config)

    async def paid():
        manager = NaiveRewardManager(config, processor.tokenizer, score)
        results = []
        for number in range(4):
            row = data[number]
            assert [part["type"] for part in row["raw_prompt"][0]["content"]] == ["image", "text"]
            truth = row["reward_model"]["ground_truth"]
            said = [truth, truth, "0" if truth != "0" else "90", "no answer"][number]
            reply = processor.tokenizer(f"<answer>{said}</answer>", add_special_tokens=False)["input_ids"]
            tensors = {"responses": torch.tensor([reply]), "attention_mask": torch.ones(1, len(reply), dtype=torch.long)}
            names = ("data_source", "reward_model", "extra_info")
            others = {name: np.array([row[name]], dtype=object) for name in names}
            results.append(await manager.run_single(DataProto.from_dict(tensors=tensors, non_tensors=others)))
        return results

    results = asyncio.run(paid())
    assert [result["reward_score"] for result in results] == [1.0, 1.0, 0.0, 0.0]
    assert results[0]["reward_extra_info"] == {"score": 1.0, "acc": 1.0, "valid": 1.0}
    assert [result["reward_extra_info"]["acc"] for result in results] == [1.0, 1.0, 0.0, 0.0]
    assert [result["reward_extra_info"]["valid"] for result in results] == [1.0, 1.0, 1.0, 0.0]


class Server:
    """A rollout server that always says the same; it notes what it was asked."""

    def __init__(self, tokenizer, said):
        self.ids = [*tokenizer(said, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        self.asked = []

    async def generate(self, *, request_id, prompt_ids, sampling_params, image_data, **_):
        from verl.workers.rollout.replica import TokenOutput

        self.asked.append((list(prompt_ids), list(image_data or [])))
        return TokenOutput(token_ids=self.ids, log_probs=[-0.5] * len(self.ids), extra_fields={})


@pytest.mark.parametrize(("response_length", "turns"), [(2048, 4), (300, 2)])
def test_its_agent_loops_play_our_episodes(tmp_path, processor, response_length, turns):
    import hydra
    from omegaconf import OmegaConf
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap

    given = {"level": "2x2", **TASK}
    settings = example("verl_rows").write(tmp_path, "SSL4RL/PatchSwap-v0", train=2, validation=1, **given)
    data, config = opened(settings, tmp_path, processor)
    named = {entry.name: entry for entry in OmegaConf.load(settings[-1].partition("=")[2])}
    rollout = SimpleNamespace(prompt_length=4096, response_length=response_length)
    server = Server(processor.tokenizer, "<answer>1, 2</answer>")
    row = data[1]

    async def played():
        loop = hydra.utils.instantiate(  # as its workers do
            config=named[row["agent_name"]],
            trainer_config=DictConfigWrap(SimpleNamespace(actor_rollout_ref=SimpleNamespace(rollout=rollout))),
            server_manager=server,
            tokenizer=processor.tokenizer,
            processor=processor,
            hf_model_type="qwen3_vl",
            dataset_cls=type(data),
            data_config=DictConfigWrap(config),
            tools=ToolListWrap([]),
        )
        others = {name: value for name, value in row.items() if name != "agent_name"}
        return await loop.run({"temperature": 1.0}, **others)

    output = asyncio.run(played())
    assert len(server.asked) == turns
    assert [len(images) for _, images in server.asked] == list(range(1, turns + 1))
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs) <= response_length
    assert sum(output.response_mask) == turns * len(server.ids)
    whole = output.prompt_ids + output.response_ids
    for prompt, _ in server.asked:  # what was sampled is what is trained on
        assert whole[: len(prompt)] == prompt
    assert len(output.multi_modal_data["images"]) == turns
    assert output.reward_score == pytest.approx(sum(output.extra_fields["turn_scores"]))
    assert output.extra_fields["turn_scores"][1:] == [0.0] * (turns - 1)  # to and fro earns nothing
    assert output.as_dict()["rm_scores"].sum() == output.reward_score
