"""Graph networks: what may and may not matter to them, and that the trainer trains them."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ssl4rl_agents.agent import agent_interface, load_agent
from ssl4rl_agents.checks import resolved
from ssl4rl_agents.evaluation import evaluate
from ssl4rl_agents.policies.build import build_policy, load_policy
from ssl4rl_agents.policies.gnn import SIZES, WEIGHTS, GNNPolicy, load_gnn
from ssl4rl_agents.policy_settings import GRAPH_MODELS, PolicyConfig
from ssl4rl_agents.ppo import supervised
from ssl4rl_agents.ppo.randomness import Randomness
from ssl4rl_agents.ppo.rollout import Player
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import BATCH, PolicyAgent, load_run
from ssl4rl_agents.runtime.microbatch import MicroBatches
from ssl4rl_agents.settings import TrainConfig
from ssl4rl_benchmarks import cli
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.interface import Interface
from tests.agents.graph_tasks import ITEMS, Groups, Guesses
from tests.agents.rollouts import ONE
from tests.agents.tiny_runs import assert_same_weights, halt_after, numbers

ENV = "SSL4RL/Groups-v0"
CPU = torch.device("cpu")
ROLES = ("pair", "choice", "node")
TINY: dict[str, Any] = {
    "env": ENV,
    "env_args": {"role": "pair"},
    "iterations": 3,
    "eval_every": 2,
    "eval_episodes": 8,
    "test_episodes": 8,
    "save_every": 1,
    "device": "cpu",
    "policy": {"model": "gcn", "gnn_hidden": 16},
    "rollout": {"prompts": 8, "group_size": 2},
    "optimizer": {"minibatches": 2, "epochs": 2},
}
LEARNING: dict[str, Any] = {
    "iterations": 24,
    "eval_every": 50,
    "save_every": 50,
    "rollout": {"prompts": 64, "group_size": 4},
    "optimizer": {"minibatches": 4, "epochs": 3, "learning_rate": 1e-3},
}


def config(**changes: Any) -> TrainConfig:
    data = dict(TINY)
    for name, value in changes.items():
        data[name] = {**data.get(name, {}), **value} if isinstance(value, dict) else value
    return TrainConfig.from_json(data)


def policy_for(task: Groups, model: str = "gcn", **settings: Any) -> GNNPolicy:
    """A small policy whose heads say something."""
    policy = build_policy(PolicyConfig(model=model, **{"gnn_hidden": 16, **settings}), task, 0, CPU)
    assert isinstance(policy, GNNPolicy)
    with torch.no_grad():
        for head in (policy.head.scores, policy.value_head):
            head[-1].weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    return policy


def observed(task: Groups, count: int = 6) -> dict[str, Any]:
    return Interface(task, "array", "direct").observe(task.sample(Stream.span("train", 0, 0, count)))


def said(policy: GNNPolicy, observations: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and values."""
    with torch.no_grad():
        return policy._judge(policy.encode(observations))


def assert_close(one: Any, two: Any) -> None:
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.fixture(params=GRAPH_MODELS)
def model(request) -> str:
    return request.param


@pytest.fixture(params=[(role, way) for role in ROLES for way in ("inline", "id")], ids="-".join)
def graphs(request) -> Groups:
    return Groups(*request.param)


@pytest.fixture
def registered() -> Iterator[None]:
    spec = gym.spec("SSL4RL/Rotation-v0")
    gym.register(
        ENV,
        entry_point=spec.entry_point,
        vector_entry_point=spec.vector_entry_point,
        kwargs={"task": "tests.agents.graph_tasks:Groups"},
    )
    yield
    gym.registry.pop(ENV)


@pytest.fixture
def train(registered, tmp_path) -> Callable[..., Trainer]:
    def train(name: str = "run", **changes: Any) -> Trainer:
        trainer = Trainer(config(**changes), tmp_path / name, quiet=True)
        assert trainer.run()
        return trainer

    return train


# The contract of a policy


def test_what_is_sampled_is_scored_the_same(model, graphs):
    policy = policy_for(graphs, model, temperature=0.7)
    inputs = policy.encode(observed(graphs))
    samples = policy.generate(inputs, 3, generator=torch.Generator().manual_seed(0))
    now = policy.evaluate(inputs, samples.tokens, samples.mask)
    assert samples.tokens.shape == (18, policy.max_new_tokens) == samples.values.shape
    assert samples.mask.all()
    assert not samples.truncated.any()
    assert_close((now.logprobs, now.values), (samples.logprobs, samples.values))
    logits, values = said(policy, observed(graphs))
    spread = torch.distributions.Categorical(logits=logits.repeat_interleave(3, 0))
    assert_close(now[:2], (spread.log_prob(samples.tokens), spread.entropy()))
    assert values.std() > 0


def test_answers_are_drawn_as_often_as_they_are_likely():
    task = Groups("choice")
    policy = policy_for(task)
    inputs = policy.encode(observed(task, 2))
    drawn = policy.generate(inputs, 4000, generator=torch.Generator().manual_seed(0)).tokens.view(2, 4000)
    shares = torch.stack([(drawn == choice).float().mean(1) for choice in range(3)], 1)
    torch.testing.assert_close(shares, said(policy, observed(task, 2))[0][:, 0].softmax(-1), atol=0.03, rtol=0)


def test_the_likeliest_answer_is_taken_and_equal_seeds_draw_equally(graphs):
    policy = policy_for(graphs)
    inputs = policy.encode(observed(graphs))
    assert torch.equal(policy.generate(inputs, deterministic=True).tokens, said(policy, observed(graphs))[0].argmax(-1))
    one, two = (policy.generate(inputs, 5, generator=torch.Generator().manual_seed(3)).tokens for _ in range(2))
    assert torch.equal(one, two)
    assert len(one.unique()) > 1


def test_outside_the_mask_everything_is_zero():
    task = Groups("node")
    policy = policy_for(task)
    inputs = policy.encode(observed(task))
    mask = torch.tensor([[True, False]] * 6)
    scored = policy.evaluate(inputs, torch.zeros(6, 2, dtype=torch.long), mask)
    assert all((column[:, 1] == 0).all() and (column[:, 0] != 0).all() for column in scored)


def test_graphs_are_encoded_once_for_all_answers(graphs):
    policy = policy_for(graphs)
    seen: list[int] = []
    policy.encoder.register_forward_hook(lambda _, given, result: seen.append(len(result)))
    inputs = policy.encode(observed(graphs))
    samples = policy.generate(inputs, 5)
    policy.evaluate(inputs, samples.tokens, samples.mask)
    assert seen == [6, 6]


def test_rows_are_the_chosen_graphs(graphs):
    policy = policy_for(graphs)
    inputs, rows = policy.encode(observed(graphs)), torch.tensor([4, 1])
    assert (len(inputs), len(inputs.rows(rows))) == (6, 2)
    with torch.no_grad():
        assert_close((policy.embed(inputs)[rows],), (policy.embed(inputs.rows(rows)),))
    assert policy.embed(inputs).shape == (6, inputs.target.shape[1], 16)


def test_answers_become_tokens_and_actions_again(graphs):
    policy = policy_for(graphs)
    batch = graphs.sample(Stream.span("train", 0, 0, 6))
    answers = supervised.written(Interface(graphs, "array", "direct"), graphs.oracle(batch), batch)
    tokens, mask = policy.encode_answers(answers)
    assert tokens.shape == mask.shape == (6, policy.max_new_tokens)
    assert mask.all()
    actions = policy.decode(tokens, mask, ~mask[:, 0])
    assert actions.dtype == np.int64
    assert np.array_equal(actions, batch.target)
    assert graphs.score(actions, batch).success.all()
    with pytest.raises(ValueError, match="one lies outside"):
        policy.encode_answers(answers + 3)


def test_actions_start_where_the_action_space_does():
    task = Groups("pair")
    task.action_space = gym.spaces.Discrete(2, start=5)
    policy = policy_for(task)
    tokens, mask = policy.encode_answers([5, 6])
    assert tokens.tolist() == [[0], [1]]
    assert policy.decode(tokens, mask, ~mask[:, 0]).tolist() == [5, 6]


def test_one_node_is_answered_by_one_number():
    """A node task with one slot is Discrete, and says of the node what it says of it beside others."""
    task, both = Groups("node"), Groups("node")
    task.action_space = gym.spaces.Discrete(2)
    for name in ("target", "query"):
        high = int(task.observation_space[name].high.max())
        task.observation_space.spaces[name] = gym.spaces.Box(0, high, (1,), np.int64)
    seen = observed(both)
    alone = {name: values[:, :1] if name in ("target", "query") else values for name, values in seen.items()}
    policy = policy_for(task)
    assert_close(said(policy, alone), (part[:, :1] for part in said(policy_for(both), seen)))
    assert PolicyAgent(policy).act(alone).shape == (6,)


def test_gradients_reach_every_weight(model, graphs):
    policy = policy_for(graphs, model)
    inputs = policy.encode(observed(graphs))
    samples = policy.generate(inputs, 2, generator=torch.Generator().manual_seed(0))
    now = policy(inputs, samples.tokens, samples.mask)
    (now.logprobs * torch.arange(12)[:, None] + now.values).sum().backward()
    without = [name for name, weight in policy.named_parameters() if weight.grad is None or not weight.grad.any()]
    # A bias that all candidates share does not change which one is likeliest.
    assert set(without) <= ({"head.scores.2.bias"} if graphs.role == "choice" else set())


def test_at_first_values_are_zero_and_answers_nearly_as_likely(graphs):
    policy = build_policy(PolicyConfig(model="sage"), graphs, 0, CPU)
    logits, values = said(policy, observed(graphs))
    assert not values.any()
    assert 0 < logits.abs().max() < 0.1
    assert policy.critic is policy.value_head


def test_autocast_leaves_the_precision_alone(model, graphs):
    """As on a GPU, where the trainer asks for bfloat16."""
    policy = policy_for(graphs, model)
    inputs = policy.encode(observed(graphs))
    plain = policy.generate(inputs, deterministic=True)
    with torch.autocast("cpu", torch.bfloat16):
        samples = policy.generate(inputs, deterministic=True)
        scored = policy.evaluate(inputs, samples.tokens, samples.mask)
    assert torch.equal(samples.logprobs, plain.logprobs)
    assert {column.dtype for column in (*scored, samples.values)} == {torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
def test_a_gpu_computes_what_a_cpu_does(model, graphs):
    on_cpu = policy_for(graphs, model)
    on_gpu = copy.deepcopy(on_cpu).cuda()
    inputs = on_gpu.encode(observed(graphs))
    samples = on_gpu.generate(inputs, 3, generator=torch.Generator("cuda").manual_seed(0))
    with torch.autocast("cuda", torch.bfloat16):
        scored = on_gpu.evaluate(inputs, samples.tokens, samples.mask)
    expected = on_cpu.evaluate(on_cpu.encode(observed(graphs)), samples.tokens.cpu(), samples.mask.cpu())
    for one, two in zip(scored, expected, strict=True):
        torch.testing.assert_close(one.cpu(), two, atol=1e-4, rtol=1e-4)
    assert on_gpu.decode(samples.tokens, samples.mask, samples.truncated).dtype == np.int64


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
def test_a_run_on_a_gpu_is_saved_and_measured(train):
    trainer = train(device="cuda", env_args={"role": "node", "features": "id"}, objective={"kl_coefficient": 0.1})
    assert load_agent(trainer.out).act(observed(trainer.task), deterministic=True).shape == (6, 2)


def test_seeds_decide_the_weights():
    task = Groups()
    first, same, other = (build_policy(PolicyConfig(model="gin"), task, seed, CPU).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["encoder.projection.weight"], other["encoder.projection.weight"])


# What may matter


def test_padding_does_not_matter(model, graphs):
    policy, seen = policy_for(graphs, model), observed(graphs)
    wide = {
        "x": ((0, 0), (0, 3), (0, 0)),
        **dict.fromkeys(("node_id", "x_mask", "node_mask"), ((0, 0), (0, 3))),
        "edge_index": ((0, 0), (0, 0), (0, 4)),
        "edge_mask": ((0, 0), (0, 4)),
    }
    filling = {"x": np.nan, "node_id": -1}
    padded = {
        name: np.pad(values, wide[name], constant_values=filling.get(name, 0)) if name in wide else values
        for name, values in seen.items()
    }
    assert_close(said(policy, seen), said(policy, padded))


def test_the_numbering_of_nodes_does_not_matter(model, graphs):
    policy, seen = policy_for(graphs, model), observed(graphs)
    count = seen["node_mask"].shape[1]
    places = np.argsort(np.random.default_rng(0).random((6, count)), axis=1)
    moved = dict(seen)
    for name in {"x", "node_id", "x_mask", "node_mask"} & set(seen):
        moved[name] = np.empty_like(seen[name])
        for row in range(6):
            moved[name][row, places[row]] = seen[name][row]
    numbered = np.stack([places[row][seen["edge_index"][row]] for row in range(6)])
    moved["edge_index"] = numbered * seen["edge_mask"][:, None]
    moved["target"] = np.take_along_axis(places, seen["target"], axis=1)
    assert_close(said(policy, seen), said(policy, moved))


def test_hidden_features_do_not_matter(model, graphs):
    policy, seen = policy_for(graphs, model), observed(graphs)
    hidden = seen["x_mask"] == 0
    for junk in (np.nan, 7.0):
        other = copy.deepcopy(seen)
        if "x" in other:
            other["x"][hidden] = junk
        else:
            other["node_id"][hidden] = 10**6 if np.isnan(junk) else 7
        assert_close(said(policy, seen), said(policy, other))
    inputs = policy.encode(other)
    policy.embed(inputs).sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in policy.parameters())


def test_shown_features_edges_and_queries_matter(model):
    task = Groups("node")
    policy, seen = policy_for(task, model), observed(task)
    for name, change in (("x", 1.0), ("query", None), ("edge_mask", None), ("x_mask", None)):
        other = copy.deepcopy(seen)
        if name == "x":
            other["x"] += change
        elif name == "query":
            other["query"] = 1 - other["query"]
        else:
            other[name][:] = 0
        assert (said(policy, seen)[0] - said(policy, other)[0]).abs().max() > 1e-3, name


def test_without_a_mask_all_that_exists_is_shown():
    task = Groups("pair")
    policy, seen = policy_for(task), observed(task)
    all_shown = {**seen, "x_mask": seen["node_mask"]}
    del seen["x_mask"]
    assert_close(said(policy, seen), said(policy, all_shown))


def test_a_pair_is_the_same_whichever_node_comes_first(model):
    task = Groups("pair")
    policy, seen = policy_for(task, model), observed(task)
    assert_close(said(policy, seen), said(policy, {**seen, "target": seen["target"][:, ::-1]}))


def test_candidates_are_judged_alike_wherever_they_stand(model):
    task = Groups("choice")
    policy, seen = policy_for(task, model), observed(task)
    logits, values = said(policy, seen)
    turned = said(policy, {**seen, "target": seen["target"][:, [0, 3, 1, 2]]})
    assert_close(turned, (logits[..., [2, 0, 1]], values))


@pytest.mark.parametrize("count", [1, 16])
@pytest.mark.parametrize("role", ROLES)
def test_features_by_number_are_the_same_as_inline(role, count):
    """Whether the table is projected as a whole or the rows that were gathered."""
    inline, by_id = (Groups(role, features).paired("features") for features in ("inline", "id"))
    shown = observed(inline, count)["x_mask"].sum()
    assert (shown > ITEMS) == (count == 16)
    one, two = policy_for(inline), policy_for(by_id)
    two.load_state_dict(one.state_dict())
    assert_close(said(one, observed(inline, count)), said(two, observed(by_id, count)))


@pytest.mark.parametrize("name", ["EdgePrediction", "NodeAttribute"])
def test_questions_by_number_are_judged_as_their_features_are_bit_for_bit(name, model):
    task = make_task(f"SSL4RL/{name}-v0", source="sbm")
    policy, interface, stream = policy_for(task, model), Interface(task, "array", "direct"), Stream.span("train", 0, 0, 200)
    seen = policy.observe(interface, task.compact(stream))
    assert "x" not in seen
    assert "x" in policy.observe(interface, task.sample(stream))
    shown = interface.observe(task.compact(stream))
    assert all(torch.equal(*pair) for pair in zip(said(policy, seen), said(policy, shown), strict=True))


# What is kept


def test_a_policy_survives_its_folder(tmp_path, model, graphs):
    policy = policy_for(graphs, model)
    policy.save(tmp_path)
    assert "table" not in load_file(tmp_path / WEIGHTS)
    table = graphs.source.features if policy.sizes.by_id else None
    for again in (load_gnn(tmp_path, table), load_policy(tmp_path, PolicyConfig(model=model), CPU, graphs)):
        assert_close(said(policy, observed(graphs)), said(again, observed(graphs)))
    twin = copy.deepcopy(policy)
    assert_close(said(policy, observed(graphs)), said(twin, observed(graphs)))


def test_weights_that_do_not_all_arrive_are_refused(tmp_path):
    policy = policy_for(Groups())
    policy.save(tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    name = "encoder.unknown"
    for change, message in (
        ({"more": torch.zeros(1)}, "more is unknown"),
        ({name: torch.zeros(3)}, rf"{name} has the shape \(3,\), expected \(16,\)"),
        ({name: None}, f"{name} is missing"),
    ):
        changed = {key: value for key, value in {**weights, **change}.items() if value is not None}
        save_file(changed, tmp_path / WEIGHTS)
        with pytest.raises(ValueError, match=message):
            load_gnn(tmp_path)
    sizes = json.loads((tmp_path / SIZES).read_text())
    del sizes["role"]
    (tmp_path / SIZES).write_text(json.dumps(sizes))
    with pytest.raises(ValueError, match="role"):
        load_gnn(tmp_path)


def test_a_table_must_be_handed_in_and_fit(tmp_path):
    policy_for(Groups("pair", "id")).save(tmp_path)
    with pytest.raises(ValueError, match="table of 4 features a node, got none"):
        load_gnn(tmp_path)
    with pytest.raises(ValueError, match=r"got one of shape \(3, 5\)"):
        load_gnn(tmp_path, np.zeros((3, 5), np.float32))


# What is refused


def test_tasks_that_are_not_about_nodes_are_refused(task):
    with pytest.raises(ValueError, match=r"Rotation does not ask about nodes of a graph.*nano and models of transformers"):
        build_policy(PolicyConfig(model="gcn"), task, 0, CPU)
    with pytest.raises(ValueError, match=r"policy.model gcn answers by tokens.*Guesses takes Box"):
        build_policy(PolicyConfig(model="gcn"), Guesses(), 0, CPU)


def test_spaces_that_do_not_fit_the_role_are_refused():
    task = Groups("choice")
    task.role = "pair"
    with pytest.raises(ValueError, match="Groups asks about 4 nodes for 1 answers of 3; its role pair does not fit"):
        build_policy(PolicyConfig(model="gcn"), task, 0, CPU)
    task = Groups("node")
    task.role = "pair"
    with pytest.raises(ValueError, match="asks by a query"):
        build_policy(PolicyConfig(model="gcn"), task, 0, CPU)
    task = Groups()
    del task.observation_space.spaces["x"]
    with pytest.raises(ValueError, match="either x or node_id"):
        build_policy(PolicyConfig(model="gcn"), task, 0, CPU)


def test_attention_needs_a_width_that_its_heads_share():
    with pytest.raises(ValueError, match="gnn_hidden must be a multiple"):
        build_policy(PolicyConfig(model="gat", gnn_hidden=10), Groups(), 0, CPU)


def test_observations_that_lack_something_say_what():
    task = Groups()
    seen = observed(task)
    del seen["edge_mask"]
    with pytest.raises(ValueError, match="needs edge_mask"):
        policy_for(task).encode(seen)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt_style": "think"},
        {"rollout": {"engine": "vllm"}},
        {"policy": {"max_new_tokens": 3}},
        {"policy": {"freeze_vision": True}},
        {"policy": {"lora_rank": 4}},
        {"policy": {"gradient_checkpointing": True}},
        {"policy": {"attention": "sdpa"}},
        {"policy": {"weights": "float32"}},
        {"policy": {"compile": True}},
    ],
)
def test_settings_of_language_models_do_nothing_with_a_graph_network(changes):
    with pytest.raises(ValueError, match="does nothing with a graph network"):
        resolved(config(**changes))


@pytest.mark.parametrize("name", ["gnn_hidden", "gnn_layers"])
def test_settings_of_graph_networks_do_nothing_with_a_language_model(name):
    with pytest.raises(ValueError, match=f"{name} does nothing with a model that reads words"):
        resolved(TrainConfig(policy=PolicyConfig(**{name: 3})))
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        resolved(TrainConfig(policy=PolicyConfig(model="gcn", **{name: 0})))


def test_defaults_of_graph_networks(model):
    some = resolved(TrainConfig(policy=PolicyConfig(model=model)))
    assert (some.optimizer.learning_rate, some.objective.kl_coefficient, some.format_warmup) == (1e-3, 0.05, 0)
    assert resolved(some) == some
    assert resolved(dataclasses.replace(some, algorithm="sft"))
    assert some.policy.interface == "array"
    assert PolicyConfig(model="some/gcn").interface == PolicyConfig(model="nano").interface == "text"


# The trainer


def test_rollouts_take_arrays_of_actions(graphs):
    policy, batch = policy_for(graphs), graphs.sample(Stream.span("train", 0, 0, 6))
    player = Player(policy, Interface(graphs, "array", "direct"), 3, Randomness(0, ONE), MicroBatches(6, ONE))
    rollout = player.play(batch)
    rows = np.repeat(np.arange(6), 3)
    answers = rollout.turns[0].samples.tokens.numpy().reshape(18, *graphs.action_space.shape)
    assert np.array_equal(rollout.scores.numpy(), graphs.score(answers, batch.rows(rows)).reward)
    assert 0 < rollout.scores.mean() < 1


@pytest.mark.parametrize("role", ROLES)
def test_ppo_learns_what_only_neighbours_tell(train, role):
    trainer = train(**LEARNING, env_args={"role": role}, policy={"model": "sage", "gnn_hidden": 32})
    assert not trainer.interface.text
    assert trainer.measure("test", 256).success > 0.9
    last = read_metrics(trainer.out)[-1]
    assert last["length/mean"] == trainer.policy.max_new_tokens
    assert last["truncated"] == 0
    assert last["first_ratio_error"] == read_metrics(trainer.out)[0]["first_ratio_error"] < 1e-5


def test_grpo_learns_too_with_every_kind_of_layer(train, model):
    trainer = train(
        **LEARNING,
        env_args={"role": "choice", "features": "id"},
        policy={"model": model, "gnn_hidden": 32},
        objective={"advantage": "grpo"},
    )
    assert trainer.measure("test", 256).success > 0.9


def test_the_supervised_ceiling_is_reached(train):
    trainer = train(**LEARNING, env_args={"role": "node"}, algorithm="sft")
    assert trainer.measure("test", 256).success > 0.9


@pytest.mark.parametrize("objective", [{"kl_coefficient": 0.0}, {}, {"advantage": "rloo", "aggregation": "sequence_sum"}])
def test_a_resumed_run_goes_on_exactly(train, tmp_path, objective):
    changes = {"objective": objective, "env_args": {"role": "node", "features": "id"}, "format_warmup": 1}
    whole = train(**changes)
    halt_after(Trainer(config(**changes), tmp_path / "cut", quiet=True), 1)
    resumed = Trainer(config(**changes), tmp_path / "cut", quiet=True, resume=True)
    assert (resumed.resumed, resumed.iteration) == (True, 1)
    assert resumed.run()
    assert_same_weights(whole, resumed)
    assert numbers(tmp_path / "cut") == numbers(whole.out)
    assert ("kl/reference" in numbers(whole.out)[-1]) == (objective != {"kl_coefficient": 0.0})


def test_micro_batches_change_no_gradient(train):
    one, two = train("whole"), train("parts", optimizer={"micro_batch": 1})
    for (name, a), (_, b) in zip(one.policy.state_dict().items(), two.policy.state_dict().items(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("way", ["inline", "id"])
def test_a_run_is_an_agent(train, way):
    trainer = train(env_args={"role": "choice", "features": way})
    assert agent_interface(trainer.out) == "array"
    agent = load_agent(trainer.out)
    assert isinstance(agent, PolicyAgent)
    assert agent.interface == "array"
    seen = observed(trainer.task, BATCH + 2)
    actions = agent.act(seen, deterministic=True)
    assert actions.shape == (BATCH + 2,)
    assert actions.dtype == np.int64
    result = evaluate(agent, trainer.task, env=ENV, split="test", episodes=64)
    assert result.reward == trainer.measure("test", 64).reward
    assert load_run(trainer.out, "best").policy.sizes == trainer.policy.sizes


def test_format_warm_up_takes_random_answers(train):
    trainer = train(format_warmup=2)
    batch = trainer.task.sample(Stream.span("train", 0, 0, 50))
    stream = Stream("train", np.zeros(50, np.uint64), np.arange(50))
    drawn = supervised.random_replies(trainer.interface, batch, stream)
    assert sorted(np.unique(drawn)) == [0, 1]


def test_the_command_trains_resumes_reports_and_measures(registered, tmp_path: Path, capsys):
    flags = "--policy.model gcn --policy.gnn_hidden 16 --iterations 2 --eval_episodes 8 --test_episodes 8 --device cpu"
    more = "--rollout.prompts 8 --ceiling --json"
    run = str(tmp_path / "run")
    arguments = ["train", ENV, "--out", run, *f"{flags} {more}".replace("_", "-").split()]
    assert cli.main(arguments) == 0, capsys.readouterr().err
    results = json.loads(capsys.readouterr().out)
    assert results["finished"]
    assert "ceiling" in results
    for name in ("board.png", "curve.png", "report.html"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert cli.main(["eval", run, "--episodes", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 8


def test_graph_networks_hold_no_conversations():
    policy = policy_for(Groups("choice"))
    for ask in (lambda: policy.encode_next({}), lambda: policy.join([], []), lambda: policy.talk(None)):
        with pytest.raises(ValueError, match="GNNPolicy sees one question at a time and holds no conversations"):
            ask()
