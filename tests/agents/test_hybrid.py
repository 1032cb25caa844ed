"""Language models that read graph tokens: what they read, that it is what they were given, and that all of it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ssl4rl_agents.policies.build import build_policy, load_policy
from ssl4rl_agents.policies.graph_batches import encode_graphs
from ssl4rl_agents.policies.graph_prompts import GRAPH
from ssl4rl_agents.policies.hybrid import HybridPolicy
from ssl4rl_agents.policies.policy import Samples, token_statistics
from ssl4rl_agents.policies.vlm import VLMPolicy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import PolicyAgent, load_run
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_benchmarks import cli
from ssl4rl_envs import SSLVectorEnv, Stream, Task, make_task
from ssl4rl_envs.interface import Interface
from tests.agents import zoo
from tests.agents.tiny_runs import assert_same_weights, halt_after, numbers, tasks_built_once  # noqa: F401

CPU = torch.device("cpu")
EDGES, ATTRIBUTE, NEIGHBOURS = "SSL4RL/EdgePrediction-v0", "SSL4RL/NodeAttribute-v0", "SSL4RL/NeighborChoice-v0"
ARGS: dict[str, Any] = {"source": "sbm", "fanouts": (3,)}
TASKS = {env: make_task(env, **ARGS) for env in (EDGES, ATTRIBUTE, NEIGHBOURS)}
TARGETS = {EDGES: 2, ATTRIBUTE: 1, NEIGHBOURS: 5}
MODELS = ("nano", "qwen2", "llama")
CORPUS = (
    *TASKS[EDGES].prompts(TASKS[EDGES].sample(Stream.span("train", 0, 0, 4))),
    "<answer>no</answer> Node 0 1 2 3 4 5 6 7 8 9",
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    """Tiny language models by name: nano, and those that lie in a folder."""
    found = {name: str(tmp_path_factory.mktemp(name)) for name in MODELS[1:]}
    for name, folder in found.items():
        zoo.save(name, Path(folder), CORPUS)
    return {"nano": "nano", **found}


def made(model: str, task: Task = TASKS[EDGES], **settings: Any) -> HybridPolicy:
    """A small policy whose words are as likely as any."""
    settings = {"graph_tokens": "gcn", "gnn_hidden": 16, "max_new_tokens": 6, **settings}
    policy = build_policy(PolicyConfig(model=model, **settings), task, 0, CPU)
    assert isinstance(policy, HybridPolicy)
    return policy


def asked(policy: HybridPolicy, task: Task = TASKS[EDGES], count: int = 3, **how: Any) -> dict[str, Any]:
    batch = task.sample(Stream.span("train", 0, 0, count))
    return policy.observe(Interface(task, "text", "direct"), batch)


def answered(policy: HybridPolicy, observations: dict[str, Any], repeats: int = 4) -> tuple[Any, Samples]:
    inputs = policy.encode(observations)
    return inputs, policy.generate(inputs, repeats, generator=torch.Generator().manual_seed(0))


def plainly(policy: HybridPolicy, observations: dict[str, Any], samples: Samples) -> Tensor:
    """Log-probabilities (n, T) by the bare model over embeddings that are put together by hand, one row at a time."""
    prompts, tokenizer = policy.encode(observations), policy.processor.tokenizer
    group, rows = len(samples.tokens) // len(prompts), []
    for row, kept in enumerate(samples.mask):
        one = {
            name: np.asarray(values)[row // group : row // group + 1]
            for name, values in observations.items()
            if name != "prompt"
        }
        soft = policy.graphs(encode_graphs(one, CPU))[0]
        question = prompts.input_ids[row // group][prompts.attention_mask[row // group].bool()].tolist()
        answer, vectors, place = samples.tokens[row][kept], [], 0
        for token in [*question, *answer.tolist()]:
            if token == tokenizer.convert_tokens_to_ids(GRAPH):
                vectors.append(soft[place])
                place += 1
            else:
                vectors.append(policy.model.get_input_embeddings().weight[token])
        assert place == len(soft)
        logits = policy.model(inputs_embeds=torch.stack(vectors)[None], use_cache=False).logits[0, len(question) - 1 : -1]
        found = token_statistics(policy.sayable(logits), answer)[0]
        rows.append(torch.cat([found, found.new_zeros(len(kept) - len(answer))]))
    return torch.stack(rows)


# What is read


@pytest.mark.parametrize("env", TASKS)
def test_one_token_stands_for_each_node_that_is_asked_about_in_their_order(env):
    policy, task = made("nano", TASKS[env]), TASKS[env]
    observations = asked(policy, task)
    inputs = policy.encode(observations)
    assert (inputs.input_ids == policy.graph_token).sum(1).tolist() == [TARGETS[env]] * 3
    for row, nodes in enumerate(observations["target"].tolist()):
        text = policy.processor.tokenizer.decode(inputs.input_ids[row])
        assert text.rstrip("\n").endswith(" ".join(f"Node {node}: {GRAPH}" for node in nodes))


def test_the_words_are_the_question_alone_or_the_neighbourhood_too_of_the_same_instance():
    task = TASKS[EDGES]
    batch = task.sample(Stream.span("test", 3, 0, 4))
    side = Interface(task, "text", "direct")
    short, full = (made("nano", graph_words=words) for words in ("question", "full"))
    told, whole = (policy.observe(side, batch) for policy in (short, full))
    assert whole["prompt"] == side.prompts(batch)
    for one, other, caption in zip(told["prompt"], whole["prompt"], task.caption(batch), strict=True):
        assert one.startswith(caption)
        assert other.endswith(one)
        assert "Edges:" in other
        assert "Edges:" not in one
    assert all(np.array_equal(told[name], whole[name]) for name in told if name != "prompt")
    assert short.encode(told).input_ids.shape[1] < 30 < full.encode(whole).input_ids.shape[1]
    assert "query" not in told
    assert "y" not in told


@pytest.mark.parametrize("compact", [False, True])
def test_hidden_features_are_hidden_in_both_forms(compact):
    """A change to them changes nothing that is read: not a word, not a token."""
    task = TASKS[ATTRIBUTE]
    stream = Stream.span("train", 0, 0, 6)
    batch = task.compact(stream) if compact else task.sample(stream)
    policy, side = made("nano", task, graph_words="full"), Interface(task, "text", "direct")
    shown = policy.observe(side, batch)
    hidden = (shown["x_mask"] == 0) & (shown["node_mask"] == 1)
    assert hidden.any()
    other = dict(shown)
    if compact:
        assert "x" not in shown
        assert (shown["node_id"][hidden] == -1).all()
        other["node_id"] = np.where(hidden, 0, shown["node_id"])
    else:
        other["x"] = np.where(hidden[..., None], np.nan, shown["x"])
    with torch.no_grad():
        one, two = (policy.graphs(encode_graphs(seen, CPU)) for seen in (shown, other))
    assert torch.equal(one, two)


def test_features_by_number_are_the_features_themselves():
    task, policy = TASKS[EDGES], made("nano")
    side, stream = Interface(task, "text", "direct"), Stream.span("train", 0, 0, 6)
    by_number, inline = (policy.observe(side, batch) for batch in (task.compact(stream), task.sample(stream)))
    assert "node_id" in by_number
    assert "x" in inline
    assert by_number["prompt"] == inline["prompt"]
    with torch.no_grad():
        one, two = (policy.graphs(encode_graphs(seen, CPU)) for seen in (by_number, inline))
    assert torch.equal(one, two)


def test_the_placeholder_cannot_be_said_nor_smuggled_in():
    """Whether the model has a logit for it or not."""
    for spare in (0, 40):
        model, processor = zoo.build("qwen2", CORPUS)
        model.resize_token_embeddings(len(processor.tokenizer) + spare, mean_resizing=False)
        sizes = made("nano").graphs.sizes
        policy = HybridPolicy(model, processor, sizes, TASKS[EDGES].source.features, max_new_tokens=4)
        assert policy.graph_token == len(processor.tokenizer) - 1
        assert (policy.graph_token in policy.unsaid) == (spare > 0)
        logits = policy.sayable(torch.full((1, model.get_output_embeddings().out_features), 5.0))
        assert logits.shape[1] <= policy.graph_token or float(logits[0, policy.graph_token]) < -1e8
    shown = asked(policy)
    with pytest.raises(ValueError, match="<graph> stands for graph tokens"):
        policy.encode({**shown, "prompt": ("Is it <graph>?",) * 3})
    with pytest.raises(ValueError, match="reads a graph beside the words, and is shown prompt alone"):
        policy.encode({"prompt": shown["prompt"]})


# What is said of it


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "changes", [{}, {"graph_words": "full"}, {"gradient_checkpointing": True}, {"temperature": 0.7}], ids=str
)
def test_sampling_and_update_say_what_the_bare_model_says(folders, model, changes):
    if model == "nano" and "gradient_checkpointing" in changes:
        return  # transformers knows no layers of it to compute again
    policy = made(folders[model], **changes)
    shown = asked(policy)
    inputs, samples = answered(policy, shown)
    now = policy.evaluate(inputs, samples.tokens, samples.mask)
    assert float((now.logprobs - samples.logprobs).detach().abs().max()) < 2e-5
    with torch.no_grad():
        alone = plainly(policy, shown, samples)
    assert float((now.logprobs.detach() - alone)[samples.mask].abs().max()) < 2e-5


@pytest.mark.parametrize("model", MODELS)
def test_gradients_are_those_of_the_bare_model_and_reach_every_weight_of_the_graph_network(folders, model):
    policy = made(folders[model])
    shown = asked(policy)
    inputs, samples = answered(policy, shown)
    weights = torch.randn(samples.mask.shape, generator=torch.Generator().manual_seed(2)) * samples.mask
    parameters = dict(policy.named_parameters())

    def gradients(logprobs: Tensor) -> dict[str, Tensor]:
        policy.zero_grad()
        (logprobs * weights).sum().backward()
        return {name: p.grad.clone() for name, p in parameters.items() if p.grad is not None}

    found = gradients(policy.evaluate(inputs, samples.tokens, samples.mask).logprobs)
    expected = gradients(plainly(policy, shown, samples))
    assert set(expected) <= set(found)
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-4 * max(1.0, float(gradient.abs().max()))), name
    reached = {name for name in found if name.startswith("graphs.") and bool(found[name].any())}
    silent = {name for name in parameters if name.startswith("graphs.")} - reached
    assert silent <= {"graphs.encoder.unknown"}, "in these graphs no features are hidden"


def test_another_graph_is_another_answer():
    policy = made("nano")
    shown = asked(policy)
    inputs, samples = answered(policy, shown)
    other = policy.encode({**shown, "x": shown["x"][::-1].copy()})
    with torch.no_grad():
        one, two = (policy.evaluate(given, samples.tokens, samples.mask).logprobs for given in (inputs, other))
        rows = policy.evaluate(inputs.rows(torch.tensor([2, 0])), samples.tokens[[8, 0]], samples.mask[[8, 0]]).logprobs
    assert float((one - two).abs().max()) > 1e-3
    assert torch.allclose(rows, one[[8, 0]], atol=2e-5)


def test_adapters_leave_the_graph_network_learning(folders):
    policy = made(folders["qwen2"], lora_rank=2)
    learning = {name for name, p in policy.named_parameters() if p.requires_grad}
    assert all("lora_" in name or name.startswith(("graphs.", "value_head.")) for name in learning)
    assert {name for name, _ in policy.named_parameters() if name.startswith("graphs.")} <= learning
    assert not any("lora_" in name for name in learning if name.startswith("graphs."))
    assert policy.initial() is None


@pytest.mark.parametrize(
    ("freeze", "still"),
    [(("graph",), ("model.", "graphs.projection")), (("language",), ("graphs.",)), (("graph", "connector"), ("model.",))],
)
def test_parts_are_left_as_they_are(folders, freeze, still):
    policy = made(folders["qwen2"], freeze=freeze)
    learning = {name for name, p in policy.named_parameters() if p.requires_grad and not name.startswith("value_head")}
    assert learning == {name for name, _ in policy.named_parameters() if name.startswith(still)}
    inputs = policy.encode(asked(policy))
    assert (inputs.features is not None) == (freeze == ("graph", "connector")), "what rests sees graphs once"
    policy.evaluate(*_answers(policy, inputs)).logprobs.sum().backward()


def _answers(policy: HybridPolicy, inputs: Any) -> tuple[Any, Tensor, Tensor]:
    samples = policy.generate(inputs, 2, generator=torch.Generator().manual_seed(0))
    return inputs, samples.tokens, samples.mask


# Saved, loaded, trained


@pytest.mark.parametrize(("model", "more"), [("nano", {}), ("qwen2", {}), ("qwen2", {"lora_rank": 2})])
def test_what_is_saved_comes_back_and_the_language_model_loads_without_its_graphs(folders, tmp_path, model, more):
    policy = made(folders[model], **more)
    with torch.no_grad():
        for parameter in (one for one in policy.parameters() if one.requires_grad):
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    policy.save(tmp_path)
    config = PolicyConfig(model=folders[model], graph_tokens="gcn", gnn_hidden=16, max_new_tokens=6, **more)
    again = load_policy(tmp_path, config, CPU, TASKS[EDGES])
    shown = asked(policy)
    inputs, samples = answered(policy, shown)
    with torch.no_grad():
        one = policy.evaluate(inputs, samples.tokens, samples.mask)
        two = again.evaluate(again.encode(shown), samples.tokens, samples.mask)
    assert all(torch.equal(again.state_dict()[name], value) for name, value in policy.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    words = load_policy(tmp_path, PolicyConfig(model=folders[model], **more), CPU)
    assert type(words) is VLMPolicy
    assert words.generate(words.encode({"prompt": ("Which?",)}), deterministic=True)
    other = make_task(EDGES, source="karate", fanouts=(3,))
    with pytest.raises(ValueError, match="do not fit EdgePrediction: they have features"):
        load_policy(tmp_path, config, CPU, other)
    load_policy(tmp_path, config, CPU, TASKS[NEIGHBOURS])  # another number of nodes is asked about in words, and read


TINY: dict[str, Any] = {
    "env": EDGES,
    "env_args": {"source": "sbm", "fanouts": [3]},
    "iterations": 2,
    "format_warmup": 2,
    "eval_every": 2,
    "eval_episodes": 8,
    "test_episodes": 8,
    "save_every": 1,
    "device": "cpu",
    "policy": {"graph_tokens": "gcn", "gnn_hidden": 16, "max_new_tokens": 6},
    "rollout": {"prompts": 8, "group_size": 2},
    "optimizer": {"minibatches": 2, "epochs": 2},
    "objective": {"kl_coefficient": 0.1},
}


def config(**changes: Any) -> TrainConfig:
    data = dict(TINY)
    for name, value in changes.items():
        data[name] = {**data.get(name, {}), **value} if isinstance(value, dict) else value
    return TrainConfig.from_json(data)


@pytest.mark.parametrize("way", ["ppo", "grpo", "sft", "adapters"])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(folders, tmp_path, way):
    changes: dict[str, Any] = {
        "ppo": {},
        "grpo": {"objective": {"advantage": "grpo"}},
        "sft": {"algorithm": "sft"},
        "adapters": {"policy": {"model": folders["qwen2"], "lora_rank": 2}, "format_warmup": 0},
    }[way]
    unbroken = Trainer(config(**changes), tmp_path / "unbroken", quiet=True)
    first = {name: value.clone() for name, value in unbroken.policy.state_dict().items()}
    assert unbroken.run()
    halted = Trainer(config(**changes), tmp_path / "resumed", quiet=True)
    halt_after(halted, 1)
    resumed = Trainer(config(**changes), tmp_path / "resumed", resume=True, quiet=True)
    assert resumed.run()
    assert numbers(resumed.out) == numbers(unbroken.out)
    assert_same_weights(resumed, unbroken)
    now = unbroken.policy.state_dict()
    assert all(bool((now[name] != first[name]).any()) for name in first if name.startswith("graphs.projection"))
    if way != "sft":
        assert max(line["first_ratio_error"] for line in read_metrics(unbroken.out) if "first_ratio_error" in line) < 1e-4
        assert unbroken.reference is not None


def test_a_run_is_measured_from_its_folder_on_other_questions_and_by_other_tasks(tmp_path, capsys):
    trainer = Trainer(config(iterations=1, eval_every=1), tmp_path / "run", quiet=True)
    assert trainer.run()
    result = trainer.measure("test", 16)
    agent = load_run(tmp_path / "run")
    batch = trainer.task.sample(Stream.span("test", 0, 0, 5))
    replies = agent.act(agent.policy.observe(trainer.interface, batch), deterministic=True)
    envs = SSLVectorEnv(trainer.task, num_envs=5, split="test", interface="text")
    agent.enter(envs)
    observations, _ = envs.reset(seed=[0] * 5, options={"index": list(range(5))})
    assert agent.act(observations, deterministic=True) == replies, "environments show words, and it reads their graphs"
    assert cli.main(["eval", str(tmp_path / "run"), "--episodes", "16", "--json"]) in (0, None)
    assert f'"success": {result.success}' in capsys.readouterr().out
    assert cli.main(["eval", str(tmp_path / "run"), "NodeAttribute", "--source", "sbm", "--episodes", "8"]) in (0, None)
    capsys.readouterr()
    assert cli.main(["eval", str(tmp_path / "run"), "Rotation", "--source", "digits", "--episodes", "8"])
    assert "Rotation asks about none" in capsys.readouterr().err
    assert cli.main(["ask", str(tmp_path / "run"), "--index", "3"]) in (0, None)
    assert "reply '" in capsys.readouterr().out


def test_a_run_starts_from_another(tmp_path):
    Trainer(config(iterations=1, eval_every=1), tmp_path / "run", quiet=True).run()
    started = Trainer(
        config(policy={"start": str(tmp_path / "run"), "graph_tokens": "none"}, env=NEIGHBOURS, format_warmup=0),
        tmp_path / "on",
        quiet=True,
    )
    assert isinstance(started.policy, HybridPolicy)
    assert started.config.policy.graph_tokens == "gcn"


def test_episodes_of_several_decisions_are_read_turn_by_turn(tmp_path):
    walk = {"env": "SSL4RL/GraphWalk-v0", "env_args": {"source": "sbm", "fanouts": [3, 2, 2, 2]}}
    trainer = Trainer(config(**walk, iterations=1, eval_every=1), tmp_path / "run", quiet=True)
    assert trainer.policy.graphs.sizes.marks > 0
    assert trainer.run()
    assert max(line["first_ratio_error"] for line in read_metrics(trainer.out) if "first_ratio_error" in line) < 1e-4


# What is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rollout": {"context": "episode"}}, "policy.graph_tokens gcn stand in prompts of single questions"),
        ({"rollout": {"engine": "vllm"}, "policy": {"model": "a/b"}}, "are made by the policy itself, and vllm samples"),
        ({"format_tasks": ["Rotation"]}, "are of graphs, and format_tasks asks about pictures"),
        ({"policy": {"model": "gcn", "max_new_tokens": 16}}, "policy.graph_tokens does nothing with a graph network"),
        (
            {"policy": {"model": "nano", "graph_tokens": "none", "gnn_hidden": 128, "graph_words": "full"}},
            "policy.graph_words does nothing",
        ),
        (
            {"policy": {"model": "nano", "graph_tokens": "none"}},
            "policy.gnn_hidden does nothing with a model that reads words",
        ),
    ],
    ids=str,
)
def test_settings_that_do_not_go_together_are_refused(changes, message):
    changes = {"format_warmup": None, **changes}
    with pytest.raises(ValueError, match=message):
        config(**changes).resolved()


def test_what_is_not_about_nodes_of_a_graph_is_refused_in_one_sentence():
    pictures = make_task("SSL4RL/Rotation-v0", source="digits", image_size=36)
    with pytest.raises(
        ValueError, match="of nodes of a graph for a reader of words, and Rotation asks about none; leave it out"
    ):
        made("nano", pictures)
    vectors = make_task(ATTRIBUTE, source="sbm", attribute="vector")
    with pytest.raises(ValueError, match="NodeAttribute asks about what has no words"):
        made("nano", vectors)


def test_conversations_are_refused():
    policy = made("nano")
    shown = asked(policy)
    for call in (lambda: policy.encode_next(shown), lambda: policy.talk(policy.encode(shown))):
        with pytest.raises(ValueError, match="holds no conversations; use context 'turn'"):
            call()


def test_a_question_that_nobody_tells_the_graph_of_is_refused(tmp_path, capsys):
    Trainer(config(iterations=1, eval_every=1), tmp_path / "run", quiet=True).run()
    agent = load_run(tmp_path / "run")
    assert isinstance(agent, PolicyAgent)
    with pytest.raises(ValueError, match="it answers questions about graphs that environments ask"):
        agent.act({"prompt": ("Are they joined?",)})
