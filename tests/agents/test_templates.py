"""What chat templates write of a reply is part of the reply; what they are told is used; runs that cannot be read say so."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.evaluation import evaluate
from ssl4rl_agents.policies.templates import said_of, variables, whole_reply, written_reply
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.readability import ENOUGH, Readability, UnreadableReplies
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import load_run
from ssl4rl_agents.runtime.samplers import Reply, Request, Sampling
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import Stream, Task, make_task
from ssl4rl_envs.answers import wrap
from ssl4rl_envs.attempts import Attempts
from ssl4rl_envs.interface import Interface
from tests.agents import tiny_runs, zoo

OPEN, EMPTY = "<think>\n", "<think>\n\n</think>\n\n"
TURNS = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}"
)
QWEN3 = TURNS + (
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)
QWEN3_THINKING = TURNS + "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}"
DEEPSEEK_R1 = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{% set ns = namespace(is_first=true) %}{% for message in messages %}{{ '<｜User｜>' + message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}"
)
SMOLLM3 = (
    "{% set enable_thinking = enable_thinking | default(true) %}{% for message in messages %}"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}{% endgeneration %}{% else %}"
    "{{ '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% if not enable_thinking %}{{ '<think>\\n\\n</think>\\n' }}{% endif %}{% endif %}"
)
WRITTEN: list[tuple[str, dict[str, Any], str]] = [
    (QWEN3, {}, ""),
    (QWEN3, {"enable_thinking": True}, ""),
    (QWEN3, {"enable_thinking": False}, EMPTY),
    (QWEN3_THINKING, {}, OPEN),
    (DEEPSEEK_R1, {}, OPEN),
    (SMOLLM3, {}, ""),
    (SMOLLM3, {"enable_thinking": False}, "<think>\n\n</think>\n"),
]


def speaker(template: str, **settings: Any) -> VLMPolicy:
    """A small language model with a chat template."""
    model, processor = zoo.build("qwen2")
    processor.chat_template = template
    return VLMPolicy(model, processor, max_new_tokens=64, **settings)


def decoded(policy: VLMPolicy, said: str) -> str:
    """The whole reply of a model that says this."""
    tokens = torch.tensor([[*policy.processor.tokenizer(said, add_special_tokens=False)["input_ids"], policy.ends[0]]])
    return policy.decode(tokens, torch.ones_like(tokens, dtype=torch.bool), torch.tensor([False]))[0]


# What a template writes


@pytest.mark.parametrize(("template", "arguments", "written"), WRITTEN)
def test_what_a_template_writes_of_replies_is_found(template, arguments, written):
    assert speaker(template, template_arguments=arguments).encoder.written == written


def test_templates_that_write_nothing_of_the_reply_are_seen_to(family):
    assert VLMPolicy(*zoo.built(family)).encoder.written == ""


def test_a_template_of_a_model_that_sees_is_looked_through():
    model, processor = zoo.build("qwen3_vl")
    processor.chat_template = zoo.chat(
        "<|vision_start|><|image_pad|><|vision_end|>", **{**zoo.CHATML, "reply": "<|im_start|>assistant\n<think>\n"}
    )
    assert VLMPolicy(model, processor).encoder.written == OPEN


def test_tags_in_the_prompt_are_not_taken_for_the_templates(task):
    batch = task.sample(Stream("train", [0], [0]))
    prompt = task.prompts(batch, "think")[0]
    assert written_reply(f"user: {prompt}\nassistant:\n", prompt) == ""
    assert written_reply(f"user: {prompt}\nassistant:\n<think>\n", prompt) == OPEN
    assert written_reply("user: say <think>", "say <think>") == ""


def test_a_reply_that_begins_in_the_prompt_is_scored_as_a_whole(task):
    """It is paid under the strict grammar, as if the model had written all of it."""
    batch = task.sample(Stream("train", [0], [0]))
    right = task.truths(batch)[0]
    policy = speaker(QWEN3_THINKING, prompt_style="think")
    reply = decoded(policy, f"It lies.\n</think>\n\n<answer>{right}</answer>")
    assert reply == f"<think>\nIt lies.\n</think>\n\n<answer>{right}</answer>"
    assert task.score_texts([reply], batch, "think").reward.tolist() == [1]
    for said in (f"<answer>{right}</answer>", f"It is <answer>{right}</answer></think>", f"It lies. {right}"):
        whole = decoded(policy, said)
        assert task.parse(whole, "think") is task.parse(whole, "think", "lenient") is None


def test_an_empty_block_is_the_thinking_of_a_reply_that_has_none(task):
    closed = {"template_arguments": {"enable_thinking": False}}
    direct, thinking = speaker(QWEN3, **closed), speaker(QWEN3, prompt_style="think", **closed)
    assert decoded(direct, "<answer>90</answer>") == "<answer>90</answer>"
    assert decoded(thinking, "<answer>90</answer>") == f"{EMPTY}<answer>90</answer>"
    assert decoded(thinking, "<think>hm</think> <answer>90</answer>") == "<think>hm</think> <answer>90</answer>"
    for policy, style in ((direct, "direct"), (thinking, "think")):
        assert task.parse(decoded(policy, "<answer>90</answer>"), style) == 1


@pytest.mark.parametrize("style", ["direct", "think"])
@pytest.mark.parametrize("written", ["", OPEN, EMPTY])
def test_what_is_taught_goes_on_where_the_template_stopped(written, style, task):
    for thought in ("", "It lies."):
        reply = wrap("90", style, thought)
        said = said_of(reply, written, style)
        whole = whole_reply(written, said, style)
        assert task.parse(whole, style, "lenient") == 1
        if written != OPEN or style == "think":
            assert task.parse(whole, style) == 1
        assert not (written == OPEN and said.startswith("<think>"))


def test_the_answers_of_the_format_warm_up_are_what_the_model_is_to_say():
    policy = speaker(QWEN3_THINKING, prompt_style="think")
    tokens, mask = policy.encode_answers([wrap("90", "think")])
    said = policy.processor.tokenizer.decode(tokens[0][mask[0]][:-1])
    assert said == "</think> <answer>90</answer>"
    assert policy.decode(tokens, mask, torch.tensor([False]))[0] == "<think>\n</think> <answer>90</answer>"


# What a template is told


def test_arguments_reach_the_prompt_in_every_family(family):
    model, processor = zoo.build(family)
    if not processor.chat_template:
        pytest.skip("it has no chat template")
    processor.chat_template = processor.chat_template + "{{ mood | default('calm') }}"
    told, plain = (VLMPolicy(model, processor, template_arguments=arguments) for arguments in ({"mood": "loud"}, None))
    assert told.encoder.text("Angle?", 0).endswith("loud")
    assert plain.encoder.text("Angle?", 0).endswith("calm")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"enable_thinkng": False}, "never uses enable_thinkng; the arguments that it looks at: enable_thinking"),
        ({"thinking": True, "enable_thinking": False}, "never uses thinking"),
        ({"message": "hm"}, "never uses message"),
        ({"add_generation_prompt": False}, "the policy does"),
        ({"messages": "hm"}, "the policy does"),
    ],
)
def test_arguments_that_do_nothing_are_errors(arguments, match):
    for template in (QWEN3, SMOLLM3):
        with pytest.raises(ValueError, match=match):
            speaker(template, template_arguments=arguments)


def test_arguments_without_a_template_are_an_error():
    with pytest.raises(ValueError, match="has no chat template"):
        speaker(None, template_arguments={"enable_thinking": False})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nano's chat template takes no arguments"):
        resolved(TrainConfig(policy=PolicyConfig(template_arguments={"enable_thinking": False})))
    with pytest.raises(ValueError, match="template_arguments does nothing"):
        resolved(TrainConfig(env="SSL4RL/EdgePrediction-v0", policy=PolicyConfig(model="gcn", template_arguments={"a": 1})))


def test_variables_are_those_that_a_template_looks_up_from_outside():
    assert variables(QWEN3) == {"messages", "add_generation_prompt", "enable_thinking"}
    assert variables(SMOLLM3) == {"messages", "add_generation_prompt", "enable_thinking"}
    with pytest.raises(ValueError, match="cannot be read"):
        variables("{% if %}")


def test_arguments_are_kept_with_the_settings():
    config = TrainConfig(policy=PolicyConfig(model="some/model", template_arguments={"enable_thinking": False, "budget": 3}))
    again = TrainConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert again == config


# Runs


class Parrot:
    """An engine whose every answer is the same text."""

    def __init__(self, said: str) -> None:
        self.said = said
        self.trainer: Any = None
        self.asked: list[str] = []

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        del weights

    def sample(self, requests: list[Request], repeats: int, sampling: Sampling) -> list[Reply]:
        self.asked += [request.text for request in requests]
        tokens = self.trainer.policy.processor.tokenizer(self.said, add_special_tokens=False)["input_ids"]
        return [Reply([*tokens, sampling.ends[0]], [-0.1] * (len(tokens) + 1))] * (len(requests) * repeats)


def config(folder: Any, prompts: int = 32, **changes: Any) -> TrainConfig:
    return TrainConfig.from_json(
        {
            "env_args": {"source": "digits", "image_size": 36},
            "iterations": 2,
            "format_warmup": 0,
            "eval_every": 2,
            "eval_episodes": 4,
            "rollout": {"prompts": prompts, "group_size": 2},
            "optimizer": {"minibatches": 1, "epochs": 1},
            "objective": {"advantage": "reinforce++"},
            "device": "cpu",
            **changes,
            "policy": {"model": str(folder), "max_new_tokens": 40, **changes.get("policy", {})},
        }
    )


@pytest.fixture
def thinker(tmp_path) -> Any:
    """The folder of a model that sees, whose template opens its thinking unless it is told not to."""
    model, processor = zoo.build("llava")
    reply = "{% if thinking | default(true) %}<think>\n{% endif %}"
    processor.chat_template = zoo.chat("<image>\n", before="ROLE: ", after=" ", reply=f"ASSISTANT:{reply}")
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def run(folder: Any, out: Any, said: str, **changes: Any) -> list[dict[str, float]]:
    engine = Parrot(said)
    engine.trainer = Trainer(config(folder, **changes), out, sampler=engine, quiet=True)
    assert engine.trainer.run()
    return read_metrics(out)


def test_a_model_that_thinks_in_its_prompt_is_paid_in_training(thinker, tmp_path):
    lines = run(thinker, tmp_path / "run", "It lies.</think> <answer>90</answer>", prompt_style="think")
    assert [line["readable"] for line in lines] == [1, 1]
    assert all(line["reward"] > 0.05 for line in lines)
    assert load_run(tmp_path / "run").policy.prompt_style == "think"


def test_the_grammar_of_a_run_decides_what_is_paid(thinker, tmp_path):
    said = "It lies.</think> So: <answer>**90**</answer>"
    with pytest.warns(UnreadableReplies):
        strict = run(thinker, tmp_path / "strict", said, prompt_style="think")
    lenient = run(thinker, tmp_path / "lenient", said, prompt_style="think", grammar="lenient")
    assert [line["readable"] for line in strict] == [0, 0]
    assert [line["readable"] for line in lenient] == [1, 1]
    assert not any(line["reward"] for line in strict)
    assert all(line["reward"] > 0.05 for line in lenient)


def test_direct_replies_of_a_model_whose_template_opens_its_thinking_are_refused(thinker, tmp_path):
    with pytest.raises(ValueError, match=r"begins every reply with <think>.*prompt_style 'think'.*enable_thinking False"):
        Trainer(config(thinker), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
    off = {"template_arguments": {"thinking": False}}
    lines = run(thinker, tmp_path / "run", "<answer>90</answer>", policy=off)
    assert [line["readable"] for line in lines] == [1, 1]
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["policy"]["template_arguments"] == {"thinking": False}
    assert load_run(tmp_path / "run").policy.encoder.written == ""
    run(thinker, tmp_path / "lenient", "It lies.</think> <answer>90</answer>", grammar="lenient")


def test_engines_are_asked_with_what_the_template_is_told(thinker, tmp_path):
    engine = Parrot("<answer>90</answer>")
    settings = config(thinker, prompts=4, policy={"template_arguments": {"thinking": False}}, iterations=1)
    engine.trainer = Trainer(settings, tmp_path / "run", sampler=engine, quiet=True)
    engine.trainer.run()
    assert len(engine.asked) == 4
    assert all(text.endswith("ASSISTANT:") for text in engine.asked)


@pytest.mark.parametrize("each", [16, 64])
def test_a_run_that_cannot_be_read_says_so_once(thinker, tmp_path, each):
    """Small iterations are counted together until there are enough replies."""
    with pytest.warns(UnreadableReplies) as warned:
        run(thinker, tmp_path / "run", "It lies. 90", prompts=each, prompt_style="think", iterations=2 * ENOUGH // each)
    (warning,) = [one for one in warned if one.category is UnreadableReplies]
    said = str(warning.message)
    assert "0 of" in said
    assert said.count("<think>\\nIt lies. 90") == 3
    assert "'<think>...</think> <answer>90</answer>'" in said


# Counting


def reading(name: str = "Rotation", grammar: str = "strict") -> Interface:
    return Interface(make_task(f"SSL4RL/{name}-v0", source="digits"), "text", "direct", grammar)


@pytest.mark.parametrize(("replies", "read", "warns"), [(63, 0, False), (64, 0, True), (64, 3, True), (64, 4, False)])
def test_nearly_none_is_less_than_one_in_twenty_of_enough(replies, read, warns, recwarn):
    counted = Readability(reading())
    for _ in range(2):
        counted.note(["?"] * replies, np.arange(replies) < read)
        if not warns:
            counted = Readability(reading())
    assert len(recwarn) == warns


def test_the_warning_shows_what_was_expected_what_came_and_what_was_cut_off(recwarn):
    counted = Readability(reading("Mixture", "lenient"))
    counted.note([*("a" * 1000 for _ in range(64))], np.zeros(64, bool), np.arange(64) < 40)
    said = str(recwarn.pop(UnreadableReplies).message)
    assert "40 were cut off at the longest length" in said
    assert "grammar 'lenient':" in said
    assert "<answer>" in said
    assert len(said) < 1500
    silent = Readability(reading(), aloud=False)
    silent.note(["?"] * 64, np.zeros(64, bool))
    assert silent.share == 0
    assert not recwarn


class Says:
    """An agent of few words."""

    interface = "text"

    def __init__(self, *replies: str) -> None:
        self.replies = replies

    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> list[str]:
        return [self.replies[row % len(self.replies)] for row in range(len(observations["prompt"]))]


@pytest.mark.parametrize(("grammar", "readable"), [("strict", 0.5), ("lenient", 1.0)])
def test_evaluation_tells_the_share_that_it_could_read(grammar, readable, task):
    agent = Says("<answer>90</answer>", "It is <answer>**90**</answer>.")
    result = evaluate(agent, task, env="Rotation", split="test", episodes=64, grammar=grammar)
    assert result.readable == readable
    assert 0 < result.success < readable
    assert result.to_json()["readable"] == readable


@pytest.mark.parametrize("episodes", [1, 20, 128])
def test_evaluation_of_what_cannot_be_read_says_so(task, recwarn, episodes):
    for aloud in (True, False):
        evaluate(Says("no idea"), task, env="Rotation", split="test", episodes=episodes, aloud=aloud)
    assert [one.category for one in recwarn] == [UnreadableReplies]


@pytest.mark.parametrize("algorithm", ["ppo", "sft"])
def test_short_runs_and_supervised_ones_say_so_too(tmp_path, algorithm):
    """The ceiling's policy answers in measurements alone."""
    changes: dict[str, Any] = {"algorithm": algorithm, "iterations": 1, "eval_every": 1, "format_warmup": 0}
    settings = tiny_runs.config(**changes, optimizer={"learning_rate": 1e-30})
    with pytest.warns(UnreadableReplies, match="nearly no reply can be read: 0 of "):
        assert Trainer(settings, tmp_path, quiet=True).run()


class Guesses:
    """An agent without words."""

    interface = "array"

    def act(self, observations: dict[str, Any], *, deterministic: bool = False) -> Any:
        return np.zeros(len(observations["image"]), int)


def test_agents_without_words_have_nothing_to_read(task):
    assert evaluate(Guesses(), task, env="Rotation", split="test", episodes=64).readable is None


def test_several_tries_are_all_read():
    task: Task = make_task("SSL4RL/OddPatch-v0", source="digits")
    result = evaluate(Says("<answer>1</answer>", "?"), Attempts(task, 2), env="OddPatch", split="test", episodes=64)
    assert result.readable == 0.5
