"""Models of transformers as they are: their replies are those of transformers' own `generate`, stored, and gone on with."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl4rl_agents.agent import agent_interface, load_agent
from ssl4rl_agents.evaluation import evaluate_in
from ssl4rl_agents.pretrained import Pretrained, collect_replies, load
from ssl4rl_agents.readability import TRUNCATED
from ssl4rl_agents.replies import Quiz, ReplyFile, measure_replies, read_replies
from ssl4rl_envs import SSLVectorEnv, to_messages, tool_schema
from tests.agents import zoo

DIGITS = {"source": "digits", "image_size": 36}
CASES = {"smolvlm": ("SSL4RL/Rotation-v0", DIGITS), "llama": ("SSL4RL/GraphDistance-v0", {})}


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Quiz]:
    """A family, the folder of a random model of it, and a quiz that it can take."""
    folder = tmp_path_factory.mktemp(request.param)
    zoo.save(request.param, folder)
    env_id, arguments = CASES[request.param]
    return request.param, folder, Quiz(env_id, arguments, questions=5, samples=1)


def collected(chosen: Pretrained, quiz: Quiz, path: Path) -> int:
    with ReplyFile(path) as file:
        return collect_replies(chosen, quiz, file)


def generated(family: str, folder: Path, quiz: Quiz, longest: int) -> list[str]:
    """The likeliest replies by transformers alone."""
    from ssl4rl_agents.policies.loading import load_pretrained

    model, processor = load_pretrained(str(folder))
    said = []
    for _, shown in quiz.batches(lambda _: True):
        for each in shown:
            messages: Any = to_messages(each.observation, style="hf")
            pictures = [part.pop("image") for part in messages[0]["content"] if isinstance(part, dict) and "image" in part]
            text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            inputs = processor(
                text=[text], images=[pictures] if pictures else None, return_tensors="pt", add_special_tokens=False
            )
            with torch.no_grad():
                tokens = model.generate(**inputs, do_sample=False, max_new_tokens=longest)[0, inputs["input_ids"].shape[1] :]
            ended = tokens[tokens != processor.tokenizer.eos_token_id]
            said.append(processor.tokenizer.decode(ended, clean_up_tokenization_spaces=False))
    return said


def test_replies_are_what_transformers_generates(case: tuple[str, Path, Quiz], tmp_path: Path) -> None:
    family, folder, quiz = case
    chosen = Pretrained(str(folder), max_new_tokens=6, batch=3, device="cpu")
    assert collected(chosen, quiz, tmp_path / "replies.jsonl") == 5
    rows = sorted(read_replies([tmp_path]), key=lambda row: row.index)
    assert [row.reply for row in rows] == generated(family, folder, quiz, 6)
    assert all(TRUNCATED not in (row.reply or "") for row in rows)
    for row in rows:
        assert row.usage is not None
        assert row.usage["prompt_tokens"] > 10
        assert (row.finish_reason == "length") == (row.usage["completion_tokens"] == 6 or row.finish_reason == "length")
        assert (row.kind, row.settings["weights"], row.question is not None) == ("model", "float32", True)
    (result,) = measure_replies(rows)
    assert (result.replies, result.errors, result.truncated) == (5, 0, sum(row.finish_reason == "length" for row in rows))


def test_a_run_goes_on_and_draws_nothing_twice(case: tuple[str, Path, Quiz], tmp_path: Path) -> None:
    _, folder, quiz = case
    several = Quiz(quiz.env_id, CASES[case[0]][1], questions=3, samples=4)
    chosen = Pretrained(str(folder), temperature=1.0, max_new_tokens=6, batch=2, device="cpu")
    path = tmp_path / "replies.jsonl"
    assert collected(chosen, several, path) == 12
    whole = path.read_text()
    path.write_text("".join(line + "\n" for line in whole.splitlines()[:5]))
    assert collected(chosen, several, path) == 7
    assert collected(chosen, several, path) == 0
    again = path.read_text().splitlines()
    replies = [row.reply for row in read_replies([path]) if row.index == 1]
    assert len(again) == 12
    assert len(set(replies)) == 4  # 6 random tokens of hundreds: the same only if they were drawn by the same luck
    with pytest.raises(ValueError, match="4 samples at temperature 0 are one and the same"):
        collected(replace(chosen, temperature=0.0), several, tmp_path / "other.jsonl")


def test_a_model_of_transformers_is_an_agent(case: tuple[str, Path, Quiz]) -> None:
    _, folder, quiz = case
    assert agent_interface(f"hf:{folder}") == "text"
    envs = SSLVectorEnv(quiz.task, num_envs=2, interface="text")
    agent = load_agent(f"hf:{folder}", envs, max_new_tokens=4, device="cpu")
    assert evaluate_in(agent, envs, env=quiz.env_id, episodes=2, aloud=False).readable == 0


def test_a_template_is_told_of_the_tool_and_one_that_knows_none_is_refused(tmp_path: Path) -> None:
    zoo.save("llama", tmp_path / "model")
    quiz = Quiz("SSL4RL/GraphDistance-v0", {}, questions=1, prompt_style="tool")
    chosen = Pretrained(str(tmp_path / "model"), max_new_tokens=4, device="cpu")
    with pytest.raises(ValueError, match=r"the chat template of .* never uses tools"):
        collected(chosen, quiz, tmp_path / "replies.jsonl")
    template = tmp_path / "model" / "chat_template.jinja"
    template.write_text(
        "{% if tools %}{{ tools[0]['function']['name'] }}: {{ tools | tojson }}\n{% endif %}" + template.read_text()
    )
    policy, _ = load(chosen, quiz.task, "tool")
    ((_, (shown,)),) = quiz.batches(lambda _: True)
    inputs = policy.encode({name: [value] for name, value in shown.observation.items()})
    read = policy.encoder.processor.tokenizer.decode(inputs.input_ids[0])
    schema = tool_schema(quiz.task)
    assert "".join(json.dumps(schema).split()) in "".join(read.split())
    assert "<answer>" not in read
    assert collected(chosen, quiz, tmp_path / "replies.jsonl") == 1
    envs = SSLVectorEnv(quiz.task, num_envs=2, interface="text", prompt_style="tool")
    assert len(load_agent(f"hf:{chosen.model}", envs, max_new_tokens=4, device="cpu").act(envs.reset(seed=0)[0])) == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [({"model": ""}, "name a model"), ({"temperature": -1.0}, "temperature must be from 0"), ({"batch": 0}, "at least 1")],
)
def test_wrong_settings_are_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Pretrained("m"), **more)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    quiz = Quiz("SSL4RL/Rotation-v0", DIGITS, questions=1)
    with pytest.raises(OSError, match=r"cannot load a model and its processor from './nowhere'"):
        collected(Pretrained("./nowhere"), quiz, tmp_path / "replies.jsonl")
