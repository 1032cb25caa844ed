"""A nano that has learned something: from a folder or a run, with another picture size, other words, parts at rest."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policies.freezing import parts_of
from ssl4rl_agents.policies.language import corpus_of
from ssl4rl_agents.policies.nano import build_nano
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policy_settings import PolicyConfig, model_type_of
from ssl4rl_agents.ppo.preparation import format_task
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.policy_agent import load_run
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_envs import make_task
from tests.agents.tiny_runs import config

CORPUS = ("Is the left half brighter? <answer>yes</answer>",)
CPU = torch.device("cpu")


def save_nano(folder, **sizes) -> str:
    model, processor = build_nano(CORPUS, **sizes)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def test_a_nano_from_a_folder_has_the_defaults_of_one_that_starts_from_a_run(tmp_path):
    folder = save_nano(tmp_path / "base")
    found = resolved(TrainConfig(policy=PolicyConfig(model=folder)))
    fresh = resolved(TrainConfig(policy=PolicyConfig(model="nano")))
    assert model_type_of(tmp_path / "base") == "ssl4rl_nano"
    assert found.policy.is_nano
    assert found.objective.kl_coefficient == 0.1
    assert (found.optimizer.learning_rate, fresh.optimizer.learning_rate) == (5e-4, 1.5e-3)
    assert (found.rollout.prompts, found.rollout.group_size) == (256, 1)
    assert (found.format_warmup, fresh.format_warmup) == (0, 40)
    run = Trainer(config(policy={"model": "nano"}, format_warmup=0), tmp_path / "run", quiet=True)
    run._save()
    run._claim.close()
    started = resolved(TrainConfig(policy=PolicyConfig(start=str(tmp_path / "run"))))
    for section in ("rollout", "optimizer", "objective"):
        assert getattr(started, section) == getattr(found, section)
    assert started.policy.is_nano
    assert dataclasses.replace(started.policy, start=None).is_nano


def test_a_folder_that_does_not_say_what_it_holds_is_named(tmp_path):
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config.json does not say which model it is"):
        resolved(TrainConfig(policy=PolicyConfig(model=str(tmp_path))))


def test_a_nano_sees_pictures_of_the_size_that_it_is_told():
    task = make_task("Rotation", source="digits", image_size=64)
    sides = {}
    for side in (None, 32, 64):
        policy = build_policy(PolicyConfig(model="nano", nano_image_size=side), task, 0, CPU)
        tower = policy.model.model.vision_tower
        sides[side] = (policy.model.config.image_size, tower.positions.shape[1])
    assert sides == {None: (32, 16), 32: (32, 16), 64: (64, 64)}
    with pytest.raises(ValueError, match=r"policy.nano_image_size must be a multiple of 8, got 36"):
        PolicyConfig(nano_image_size=36)


def test_a_nano_knows_the_words_of_all_tasks_that_it_will_be_asked():
    tasks = [make_task(name, source="digits", image_size=36) for name in ("Rotation", "FlipPrediction", "RelativePosition")]
    corpus = corpus_of(tasks, 0, examples=4)
    prompts = [task.prompts(task.sample(_stream(50)))[0] for task in tasks]
    lengths = {}
    for name, texts in (("all", corpus), ("first", corpus_of(tasks[:1], 0, examples=4))):
        policy = build_policy(PolicyConfig(model="nano"), tasks[0], 0, CPU, corpus=texts)
        lengths[name] = [len(policy.processor.tokenizer(prompt)["input_ids"]) for prompt in prompts]
    assert lengths["all"][1] < lengths["first"][1] / 3
    assert lengths["all"][2] < lengths["first"][2] / 3
    whole = config(format_tasks=["FlipPrediction"])
    trained = build_policy(PolicyConfig(model="nano"), format_task(whole, tasks[0]), 0, CPU)
    alone = build_policy(PolicyConfig(model="nano"), tasks[0], 0, CPU, corpus=corpus_of(tasks[:2], 0))
    assert trained.processor.tokenizer.get_vocab() == alone.processor.tokenizer.get_vocab()


def _stream(index: int):
    from ssl4rl_envs import Stream

    return Stream.span("train", 0, index, 1)


def learned(policy: VLMPolicy) -> set[str]:
    return {name for name, parameter in policy.model.named_parameters() if parameter.requires_grad}


def nano_policy(**how) -> VLMPolicy:
    return VLMPolicy(*build_nano(CORPUS), **how)


def test_parts_that_are_frozen_stay_and_the_others_learn():
    parts = {name: {id(p) for p in found} for name, found in parts_of(build_nano(CORPUS)[0]).items()}
    assert list(parts) == ["vision", "connector", "language", "embeddings"]
    assert parts["embeddings"] < parts["language"]
    assert not parts["vision"] & parts["connector"]
    every = learned(nano_policy())
    tower = {name for name in every if "vision_tower" in name}
    connector = {name for name in tower if ".projection." in name}
    embeddings = {name for name in every if "embed_tokens" in name}
    assert learned(nano_policy(freeze=("vision",))) == every - tower | connector
    assert learned(nano_policy(freeze=("connector",))) == every - connector
    assert learned(nano_policy(freeze=("language",))) == tower
    assert learned(nano_policy(freeze=("embeddings", "vision"))) == every - embeddings - tower | connector
    assert learned(nano_policy(freeze=("vision", "connector"))) == learned(nano_policy(freeze_vision=True))
    with pytest.raises(ValueError, match=r"language, vision, connector leaves nothing of NanoVLM"):
        nano_policy(freeze=("language", "vision", "connector"))


def test_adapters_upon_a_nano_that_has_learned_learn_alone_and_are_kept(tmp_path):
    folder = save_nano(tmp_path / "base")
    run = Trainer(config(policy={"model": folder, "lora_rank": 2}, format_warmup=0), tmp_path / "run", quiet=True)
    before = {name: value.clone() for name, value in run.policy.state_dict().items()}
    run.run()
    after = run.policy.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved
    assert all("lora_" in name or name.startswith("value_head") for name in moved)
    again = load_run(tmp_path / "run").policy.state_dict()
    assert all(torch.equal(again[name], value) for name, value in after.items())


def test_freezing_what_a_model_lacks_or_what_adapters_leave_alone_is_refused():
    with pytest.raises(ValueError, match=r"has no part 'tower'; it has vision, connector, language, embeddings"):
        nano_policy(freeze=("tower",))
    with pytest.raises(ValueError, match=r"leave out policy.freeze, or policy.lora_rank"):
        resolved(TrainConfig(policy=PolicyConfig(model="tests/x", start=None, lora_rank=2, freeze=("language",))), anew=False)
    frozen = resolved(TrainConfig(policy=PolicyConfig(model="nano", freeze=("vision", "connector"))))
    assert frozen.policy.freeze_vision  # which also lets pictures run through them once


def test_frozen_parts_keep_their_bits_in_training(tmp_path):
    run = Trainer(config(policy={"freeze": ["language"]}, rollout={"constrained": True}), tmp_path, quiet=True)
    before = {name: tensor.clone() for name, tensor in run.policy.state_dict().items()}
    assert run.run()
    changed = {name for name, tensor in run.policy.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if "vision_tower" in name or name.startswith("value_head")}
