"""OpenEnv's own client and validation against `ssl4rl serve`, and its client as TRL's environment."""

from __future__ import annotations

import inspect

import pytest

pytest.importorskip("openenv.core")
pytest.importorskip("uvicorn")

from openenv import core as openenv

from ssl4rl_envs import score, tool_schema
from ssl4rl_envs.serving.episodes import Episodes
from ssl4rl_envs.serving.server import Server
from tests.clients.partner import example
from tests.clients.serving import SMALL, episodes, http, playing


@pytest.fixture(scope="module")
def module():
    return example("openenv_client")


@pytest.fixture(scope="module")
def url():
    asked = Episodes(episodes().task, "train", "tool")
    with Server("SSL4RL/Rotation-v0", asked, sessions=8).running() as where:
        yield where


def test_the_example_plays_as_the_environment_scores(module, url):
    mean = module.play(url, episodes=12, seed=3)
    guess = module.random.Random(3)
    labels = episodes().task.answer_format.labels
    replies = [{"answer": guess.sample(labels, 1)[0]} for _ in range(12)]
    scored = score("SSL4RL/Rotation-v0", replies, seed=3, index=range(12), prompt_style="tool", **SMALL)
    assert mean == pytest.approx(sum(each["reward"] for each in scored) / 12)
    assert 0 < mean < 1
    assert playing(url) == 0


def test_results_are_what_openenvs_own_server_sends(url):
    """Its pydantic models take them as they are, whose configuration forbids what they do not know."""
    from openenv.core.env_server.types import ResetResponse, State, StepResponse

    with openenv.GenericEnvClient(base_url=url).sync() as client:
        asked = client.reset(seed=1, episode_id="mine")
        told = client.step({"reply": '{"answer": "90"}', "metadata": {"step": 1}})
        state = State.model_validate(client.state())
    for kind, result in ((ResetResponse, asked), (StepResponse, told)):
        kind.model_validate({"observation": result.observation, "reward": result.reward, "done": result.done})
    assert (state.episode_id, state.step_count) == ("mine", 1)
    assert told.observation["metadata"]["parsed"] == "90"


def test_mistakes_reach_the_client_in_words(url):
    with openenv.GenericEnvClient(base_url=url).sync() as client:
        with pytest.raises(RuntimeError, match=r"a reset takes seed, index, size, episode_id, got 'level'.*VALIDATION_ERROR"):
            client.reset(level="hard")
        assert client.reset().observation["images"]


def test_a_batch_through_the_client(url):
    with openenv.GenericEnvClient(base_url=url).sync() as client:
        asked = client.reset(seed=5, size=4)
        assert len(asked.observation["batch"]) == 4
        told = client.step({"replies": [{"answer": "90"}] * 4})
    assert told.done
    assert told.reward == pytest.approx(sum(each["reward"] for each in told.observation["batch"]) / 4)


def test_the_validation_of_running_environments_passes(url):
    validation = pytest.importorskip("openenv.cli._validation")
    report = validation.validate_running_environment(url, timeout_s=60.0)
    assert report["passed"], report
    assert report["summary"]["passed_count"] == report["summary"]["total_count"] == 6


def test_trl_can_use_the_example(module, url, monkeypatch):
    """What GRPOTrainer does with an environment: its public methods are tools, and it owns the reward."""
    monkeypatch.setattr(module.Question, "url", url)
    environment = module.Question()
    public = [name for name, _ in inspect.getmembers(module.Question, inspect.isfunction) if not name.startswith("_")]
    assert set(public) - {"reset", "get_reward"} == {"look", "answer"}
    prompt = environment.reset(prompt=[], seed=2, index=1)
    assert "By how many degrees was it turned?" in prompt
    assert "<answer>" not in prompt
    (picture, words) = environment.look()
    assert picture["image"].size == (36, 36)
    assert words["type"] == "text"
    truth = score("SSL4RL/Rotation-v0", "", seed=2, index=1, **SMALL)[0]["truth"]
    assert environment.answer(truth) == "Thank you."
    assert environment.get_reward() == 1.0
    with pytest.raises(ValueError, match="answered already"):
        environment.answer(truth)
    environment.client.close()
    assert http(f"{url}/metadata")[1]["tool"] == tool_schema(episodes().task)


def test_trl_can_describe_the_tools(module):
    utils = pytest.importorskip("transformers.utils")
    for tool in (module.Question.look, module.Question.answer):
        described = utils.get_json_schema(tool)["function"]
        assert described["description"]


@pytest.mark.slow
def test_grpo_steps_over_the_server(module, url, tmp_path, monkeypatch):
    """A tiny Qwen3-VL that says nothing but calls: it looks or answers, in groups that share a question."""
    pytest.importorskip("trl")
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    monkeypatch.setattr(module.Question, "url", url)
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer
    from trl.chat_template_utils import qwen3_vl_chat_template

    from tests.agents import zoo

    calls = [("look", "{}"), *(("answer", f'{{"answer": "{label}"}}') for label in ("0", "90", "180", "270"))]
    words = [f'<tool_call>\n{{"name": "{name}", "arguments": {given}}}\n</tool_call>' for name, given in calls]
    config, processor = zoo.RECIPES["qwen3_vl"](["By how many degrees was it turned?"])
    processor.chat_template = qwen3_vl_chat_template
    processor.tokenizer.add_tokens(words)
    config.get_text_config().vocab_size = len(processor.tokenizer)
    torch.manual_seed(0)
    model = zoo.auto_class("qwen3_vl").from_config(config)
    spoken = processor.tokenizer.convert_tokens_to_ids(words)
    model.generation_config.eos_token_id = [processor.tokenizer.eos_token_id, *spoken]
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    rows = [{"prompt": [{"role": "user", "content": "Answer."}], "seed": 0, "index": index} for index in range(8)]
    settings = GRPOConfig(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=512,
        max_tool_calling_iterations=3,
        generation_kwargs={"suppress_tokens": sorted(set(range(len(processor.tokenizer))) - set(spoken))},
        gradient_checkpointing=False,
        use_cpu=True,
        bf16=False,
        report_to=[],
        logging_steps=1,
    )
    trainer = GRPOTrainer(
        model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        environment_factory=module.Question,
        processing_class=processor,
    )
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logs) == 2
    assert all(0 <= entry["rewards/Question/mean"] <= 1 for entry in logs)
    assert sum(entry["tools/call_frequency"] for entry in logs) > 0
    for environments in trainer._environment_pool.values():
        for environment in environments:
            environment.client.close()
    assert playing(url) == 0
