"""Constrained policies give no answer that has no effect, and to a part of a mixture no answer to another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from ssl4rl_agents.agent import load_agent
from ssl4rl_agents.evaluation import evaluate_in
from ssl4rl_agents.lessons import Lesson
from ssl4rl_agents.policies import answerable as answerable_module
from ssl4rl_agents.policies.answerable import ANSWERABLE, Answers, answerable, answers_to, begins
from ssl4rl_agents.policies.constraint import Constraint, Place, constrain
from ssl4rl_agents.policies.gnn import GNNPolicy, sizes_of
from ssl4rl_agents.policies.grammar import forms_of
from ssl4rl_agents.policies.nano import build_tokenizer
from ssl4rl_agents.ppo.trainer import Trainer
from ssl4rl_agents.runs.policy_agent import PolicyAgent, load_run
from ssl4rl_envs import SSLVectorEnv, Stream, Task, env_ids, make_task, task_class
from ssl4rl_envs.answers import AnswerFormat, extract, wrap
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.interface import Interface
from ssl4rl_envs.mixture import Parts
from ssl4rl_envs.playing import solve
from ssl4rl_envs.task import Batch
from tests.agents.tiny_runs import TINY, config, halt_after, numbers, tasks_built_once, train

assert tasks_built_once

SWAPS: dict[str, Any] = {"grid": 2, "max_steps": 4}
PICTURES: dict[str, Any] = {"source": "digits", "image_size": 36}


def small(env: str) -> dict[str, Any]:
    """Arguments by which a task is small, of pictures from where it takes them."""
    cls = task_class(env)
    if issubclass(cls, GraphTask):
        return {"source": "les_miserables"}
    return PICTURES if cls.sources is None or PICTURES["source"] in cls.sources else {"image_size": 36}


def build(env: str, **arguments: Any) -> Task:
    return make_task(env, **small(env), **arguments)


def questions(task: Task, count: int, first: int = 0) -> Batch:
    return task.sample(Stream.span("train", 0, first, count))


def says_what_has_an_effect(env: str) -> bool:
    if task_class(env).info is Task.info:
        return False
    task = build(env)
    return "action_mask" in task.info(questions(task, 1))


MASKED = [env for env in env_ids() if says_what_has_an_effect(env)]
ASKED = [
    *((env, {}) for env in MASKED),
    ("PatchSwap", {**SWAPS, "stop": True}),
    ("Reveal", {"of": "PatchOrdering", "of_level": "3x3", "looks": 3}),
    ("Reveal", {"of": "Mixture", "looks": 3}),
    ("Mixture", {"tasks": ("Rotation", "PatchOrdering", "PatchPosition")}),
    ("Mixture", {"tasks": ("RotateUpright", "FlipPrediction")}),
    ("Mixture", {"tasks": ("Rotation", "PatchOrdering"), "attempts": 2}),
]


def tokenizer_for(task: Task) -> Any:
    texts = [wrap(form.format(np.arange(form.slots) % len(form.labels)), "direct") for form in task.answer_formats]
    return build_tokenizer(texts, phrases=True)


def constraint_of(task: Task, tokenizer: Any, **more: Any) -> Constraint:
    return Constraint(tokenizer, len(tokenizer), [tokenizer.eos_token_id], forms_of(task), **{"room": 60, **more})


def allowed_in(constraint: Constraint, task: Task, states: Batch) -> Tensor | None:
    found = answerable(task, states)
    assert constraint.meet(task, states, found)
    return None if found is None else torch.from_numpy(found)


def random_replies(constraint: Constraint, tokenizer: Any, count: int, answers: Tensor | None, rng: Any) -> list[list[int]]:
    """Tokens of replies that were allowed, their ends included."""
    growing, said = constraint.begin(count, answers), [list[int]() for _ in range(count)]
    going = torch.ones(count, dtype=torch.bool)
    while going.any():
        allowed = growing.allowed(torch.device("cpu")).tokens(len(tokenizer)).numpy()
        tokens = np.array([rng.choice(np.flatnonzero(row)) for row in allowed])
        for row in torch.nonzero(going).flatten().tolist():
            said[row].append(int(tokens[row]))
        going &= torch.from_numpy(tokens != tokenizer.eos_token_id)
        growing.say(torch.from_numpy(tokens), going)
    return said


def texts_of(tokenizer: Any, said: list[list[int]]) -> list[str]:
    rows = [reply[:-1] for reply in said]
    return [str(text) for text in tokenizer.batch_decode(rows, skip_special_tokens=False, clean_up_tokenization_spaces=False)]


def have_an_effect(task: Task, states: Batch, actions: NDArray[Any]) -> NDArray[np.bool_]:
    """Which actions the task's masks allow, looked up number by number."""
    masks = task.info(states).get("action_mask")
    if masks is None:
        return np.ones(len(states), bool)
    space: Any = task.action_space
    if np.ndim(actions) == 1:
        return np.array([mask[action - space.start] == 1 for mask, action in zip(masks, actions.tolist(), strict=True)])
    begin = np.concatenate([[0], np.cumsum(space.nvec)[:-1]]) - space.start
    return np.array([(mask[begin + action] == 1).all() for mask, action in zip(masks, actions, strict=True)])


def test_the_tasks_that_say_what_has_an_effect_are_known():
    assert {"SSL4RL/PatchSwap-v0", "SSL4RL/RotateUpright-v0", "SSL4RL/Reveal-v0"} <= set(MASKED)
    assert {"SSL4RL/GraphWalk-v0", "SSL4RL/GraphSearch-v0"} <= set(MASKED)


@pytest.mark.parametrize(("env", "arguments"), ASKED, ids=lambda value: value if isinstance(value, str) else "")
def test_whatever_is_said_can_be_read_and_has_an_effect(env, arguments):
    task, rng = build(env, **arguments), np.random.default_rng(0)
    tokenizer = tokenizer_for(task)
    constraint, states = constraint_of(task, tokenizer), questions(task, 12)
    forbidden = 0
    for _ in range(task.horizon):
        answers = allowed_in(constraint, task, states)
        said = random_replies(constraint, tokenizer, len(states), answers, rng)
        actions, answered = task.parse_all(texts_of(tokenizer, said), states, "direct")
        assert answered.all()
        assert have_an_effect(task, states, actions).all()
        tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(reply) for reply in said], batch_first=True)
        mask = torch.arange(tokens.shape[1]) < torch.tensor([len(reply) for reply in said])[:, None]
        found = constraint.of(tokens, mask, answers).tokens(len(tokenizer)).gather(-1, tokens[..., None])[..., 0]
        assert found[mask].all()
        forbidden += int((task.info(states).get("action_mask", np.ones(1)) == 0).sum())
        step = task.advance(states, actions)
        states = step.state.rows(np.flatnonzero(~step.terminated))
        if not len(states):
            break
    assert forbidden or env not in MASKED  # so that something was put to the test


@pytest.mark.parametrize("env", MASKED)
def test_teachers_do_nothing_without_effect(env):
    task = build(env)
    for turn in solve(task, questions(task, 24)):
        assert have_an_effect(task, turn.state, turn.answers).all()


def sayable(constraint: Constraint, tokenizer: Any, answers: Tensor) -> set[str]:
    """All that can be said to one prompt, found by trying every token."""
    found, open_ends = set[str](), [list[int]()]
    while open_ends:
        said = open_ends.pop()
        (begin,) = constraint._begun(1, answers)
        place = Place(constraint, begin)
        for token in said:
            place.say(token)
        allowed = constraint.allowed(np.array([place.mask]), torch.device("cpu")).tokens(len(tokenizer))[0]
        for token in allowed.nonzero().flatten().tolist():
            if token == tokenizer.eos_token_id:
                found.add(texts_of(tokenizer, [[*said, token]])[0])
            else:
                open_ends.append([*said, token])
    return found


SWAP = build("PatchSwap", **SWAPS, stop=True)
SWAP_TOKENIZER = tokenizer_for(SWAP)
SWAP_CONSTRAINT = constraint_of(SWAP, SWAP_TOKENIZER)
PAIRS = [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.booleans(), min_size=7, max_size=7).filter(any))
def test_exactly_that_can_be_said_which_is_read_as_what_has_an_effect(mask: list[bool]) -> None:
    states = questions(SWAP, 1)
    assert SWAP_CONSTRAINT.meet(SWAP, states, answerable(SWAP, states))
    answers = torch.tensor([[0, *mask]], dtype=torch.int16)
    expected = {
        wrap(f"{a}, {b}", "direct") for keep, pair in zip(mask, PAIRS, strict=False) if keep for a, b in (pair, pair[::-1])
    }
    expected |= {wrap("stop", "direct")} if mask[-1] else set()
    assert sayable(SWAP_CONSTRAINT, SWAP_TOKENIZER, answers) == expected


def test_a_mask_that_forbids_everything_or_nothing_leaves_all_as_it_is():
    states = questions(SWAP, 1)
    SWAP_CONSTRAINT.meet(SWAP, states, answerable(SWAP, states))
    for mask in (0, 1):
        answers = torch.tensor([[0, *[mask] * 7]], dtype=torch.int16)
        assert SWAP_CONSTRAINT._begun(1, answers) == SWAP_CONSTRAINT._begun(1, None)


def test_a_part_of_a_mixture_is_answered_in_its_own_forms():
    task = build("Mixture", tasks=("Rotation", "PatchOrdering"))
    tokenizer = tokenizer_for(task)
    constraint, rng = constraint_of(task, tokenizer), np.random.default_rng(0)
    states = task.sample_parts(Stream.span("train", 0, 0, 40), np.arange(40) % 2)
    replies = texts_of(tokenizer, random_replies(constraint, tokenizer, 40, allowed_in(constraint, task, states), rng))
    for number, part in enumerate(task.parts):
        form = part.answer_format
        assert form is not None
        assert all(form.parse(extract(reply, "direct") or "") is not None for reply in replies[number::2])


def test_levels_of_a_task_are_answered_in_their_own_labels():
    levels = [build("Reveal", level=level) for level in ("2x2", "3x3")]
    task = Parts(levels)
    tokenizer = tokenizer_for(task)
    constraint, rng = constraint_of(task, tokenizer), np.random.default_rng(0)
    states = task.sample_parts(Stream.span("train", 0, 0, 40), np.arange(40) % 2)
    answers = allowed_in(constraint, task, states)
    replies = texts_of(tokenizer, random_replies(constraint, tokenizer, 40, answers, rng))
    assert task.parse_all(replies, states, "direct")[1].all()
    assert constraint._begun(40, answers)[0][1] is None  # the labels are those of a form, with no texts to tell apart
    assert {extract(reply, "direct") for reply in replies[::2]} <= set().union(*(f.labels for f in levels[0].answer_formats))


def test_thoughts_stay_free_before_what_may_be_answered():
    task = build("RotateUpright")
    tokenizer = tokenizer_for(task)
    constraint = constraint_of(task, tokenizer, style="think")
    states = questions(task, 1)
    constraint.meet(task, states, answerable(task, states))
    last = torch.tensor([[0, 0, 0, 1]], dtype=torch.int16)
    for body, may in (("stop", True), ("turn left", False)):
        said = tokenizer(wrap(body, "think", "It leans, so I turn left."), add_special_tokens=False)["input_ids"]
        tokens = torch.tensor([[*said, tokenizer.eos_token_id]])

        def takes(answers: Tensor | None, tokens: Tensor = tokens) -> bool:
            allowed = constraint.of(tokens, torch.ones_like(tokens, dtype=torch.bool), answers).tokens(len(tokenizer))
            return bool(allowed.gather(-1, tokens[..., None]).all())

        assert takes(None)
        assert takes(last) == may
    rng = np.random.default_rng(0)
    assert {extract(text, "think") for text in texts_of(tokenizer, random_replies(constraint, tokenizer, 8, last, rng))} == {
        "stop"
    }


ORDERS = AnswerFormat(("1", "2", "3", "10"), slots=3, distinct=True)


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("", True),
        ("1", True),
        ("1,", True),
        ("10, 1, 2</ans", True),
        ("1, 1", True),
        ("1, 1,", False),
        ("2, 3, 4", False),
        ("1, 2<", False),
    ],
)
def test_the_beginning_of_an_answer_is_told_from_other_texts(text, may):
    assert begins(ORDERS, text.encode(), b"</answer>") == may


def test_answers_that_are_too_many_cannot_be_forbidden_in_part(monkeypatch):
    monkeypatch.setattr(answerable_module, "MOST", 10)
    task = build("PatchSwap", **SWAPS)
    found = answers_to(task, questions(task, 1), task.answer_formats)
    assert found.free == task.answer_formats
    assert found.allowed(np.ones(6, bool)) is None
    with pytest.raises(ValueError, match="looks at up to 10 answers"):
        found.allowed(np.arange(6) > 0)


def test_several_numbers_need_a_place_of_the_mask_each():
    task = build("Reveal", of="PatchOrdering", of_level="2x2", grid=2, looks=2)
    found: Answers = answers_to(task, questions(task, 1), task.answer_formats)
    mask = np.asarray(task.info(questions(task, 1))["action_mask"][0] == 1)
    assert found.allowed(mask) is None
    mask[[1, 3]] = False  # the first patch and the third
    allowed = found.allowed(mask)
    assert allowed is not None
    assert {found.texts[number].decode() for number in np.flatnonzero(~allowed)} == {"look 1", "look 3"}


# Runs


SWAPPING: dict[str, Any] = {
    "env": "SSL4RL/PatchSwap-v0",
    "env_args": {**PICTURES, **SWAPS},
    "rollout": {"constrained": True},
    "format_warmup": 0,
}


@pytest.fixture
def spied(monkeypatch) -> list[int]:
    """How many answers had an effect, and how many had none, in all steps that are taken in words."""
    counts, step = [0, 0], Interface.step

    def spying(self: Interface, state: Batch, actions: Any) -> Any:
        found = step(self, state, actions)
        good = found.answered & have_an_effect(self.task, state, found.answers)
        counts[0] += int(good.sum())
        counts[1] += int((~good).sum())
        return found

    monkeypatch.setattr(Interface, "step", spying)
    return counts


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rollout": {"constrained": True, "context": "episode"}},
        {"rollout": {"constrained": True, "context": "window:2"}, "optimizer": {"micro_batch": 3}},
        {
            "rollout": {"constrained": True, "dynamic_sampling": True, "max_rounds": 2, "context": "episode"},
            "objective": {"advantage": "dr_grpo", "kl_coefficient": 0.1},
        },
    ],
    ids=["turn", "episode", "window", "dynamic"],
)
def test_training_and_measuring_keep_to_the_masks_and_first_ratios_are_1(tmp_path, changes, spied):
    train(tmp_path, **{**SWAPPING, **changes})
    assert spied[0] > 100
    assert spied[1] == 0
    for line in numbers(tmp_path):
        assert line["readable"] == 1
        assert line["first_ratio_error"] < 1e-4


def test_a_masked_run_goes_on_as_if_it_had_not_stopped(tmp_path, spied):
    changes: dict[str, Any] = {**SWAPPING, "iterations": 3, "save_every": 1}
    train(tmp_path / "whole", **changes)
    halt_after(Trainer(config(**changes), tmp_path / "parts", quiet=True), 1)
    assert Trainer(config(**changes), tmp_path / "parts", quiet=True, resume=True).run()
    assert numbers(tmp_path / "parts") == numbers(tmp_path / "whole")
    agent = load_run(tmp_path / "whole")
    task = make_task("SSL4RL/PatchSwap-v0", **PICTURES, **SWAPS)
    envs = SSLVectorEnv(task, num_envs=8, split="test", interface="text")
    agent.enter(envs)
    observations, _ = envs.reset(seed=0)
    for _ in range(6):
        observations, *_ = envs.step(agent.act(observations, deterministic=True))
    assert spied[1] == 0


def test_a_mixture_is_read_from_the_first_answer_on(tmp_path):
    parts = {"env": "SSL4RL/Mixture-v0", "env_args": {**PICTURES, "tasks": ["Rotation", "PatchOrdering"]}}
    train(tmp_path, **{**SWAPPING, **parts})
    for line in numbers(tmp_path):
        assert line["readable"] == 1  # replies that have another part's form cannot be read
        assert line["first_ratio_error"] < 1e-4


# Other agents


@pytest.mark.parametrize("env", MASKED)
def test_maskable_ppo_learns_wherever_a_task_says_what_has_an_effect(env, tmp_path, spied):
    arguments = small(env)
    envs = SSLVectorEnv(build(env), num_envs=8, split="test")
    agent: Any = load_agent("sb3-maskable-ppo", envs, num_envs=8, n_steps=4)
    agent.learn(Lesson(env, arguments, 24, 0, tmp_path, measurements=1, measured_episodes=8))
    assert agent._model._n_updates > 0
    evaluate_in(agent, envs, env=env, episodes=8)
    assert spied[0] >= 48
    assert spied[1] == 0


# Graph networks


@pytest.fixture(params=["GraphSearch", "GraphWalk"])
def graphs(request: pytest.FixtureRequest) -> Task:
    return build(str(request.param))


def test_graph_networks_choose_among_what_has_an_effect(graphs):
    torch.manual_seed(0)
    policy, free = (GNNPolicy(sizes_of(graphs, "gcn", 16, 2)) for _ in range(2))
    free.load_state_dict(policy.state_dict())
    constrain(policy, graphs)
    states = questions(graphs, 16)
    states = graphs.advance(states, np.zeros(16, np.int64)).state
    shown = policy.observe(Interface(graphs, "array", "direct"), states)
    inputs = policy.encode(shown)
    samples = policy.generate(inputs, 5, generator=torch.Generator().manual_seed(0))
    actions = policy.decode(samples.tokens, samples.mask, samples.truncated)
    every = states.rows(np.repeat(np.arange(16), 5))
    assert have_an_effect(graphs, every, actions).all()
    scored = policy.evaluate(inputs, samples.tokens, samples.mask)
    torch.testing.assert_close(scored.logprobs, samples.logprobs)
    assert torch.isfinite(scored.entropies).all()
    plain = free.encode({name: values for name, values in shown.items() if name != ANSWERABLE})
    logits = free._judge(plain)[0][:, 0]
    masked = logits.masked_fill(torch.from_numpy(graphs.info(states)["action_mask"] == 0), -torch.inf).log_softmax(-1)
    expected = masked.repeat_interleave(5, 0).gather(-1, samples.tokens)
    torch.testing.assert_close(scored.logprobs, expected)
    assert ANSWERABLE not in free.observe(Interface(graphs, "array", "direct"), states)


def test_graph_networks_train_and_are_measured_by_the_masks(tmp_path, spied, monkeypatch):
    monkeypatch.setitem(TINY, "env_args", {})
    graph = {"env": "SSL4RL/GraphSearch-v0", "env_args": {"source": "les_miserables"}, "policy": {"model": "gcn"}}
    train(tmp_path, **{**SWAPPING, **graph})
    assert spied[0] > 100
    assert spied[1] == 0


def test_graph_networks_are_told_where_there_is_nothing_to_keep_to():
    task = build("EdgePrediction")
    with pytest.raises(ValueError, match=r"rollout.constrained does nothing.*action_mask"):
        constrain(GNNPolicy(sizes_of(task, "gcn", 8, 1)), task)


def test_agents_of_other_environments_may_give_every_answer():
    task = build("PatchSwap", **SWAPS)

    class Saying:
        interface, masked = "text", True
        seen: Any = None

        def answerable(self, *_: Any) -> dict[str, Any]:
            return {ANSWERABLE: np.zeros((2, 7), np.int16)}

        def beside(self, *_: Any) -> dict[str, Any]:
            return {}

        def encode(self, observations: dict[str, Any]) -> Any:
            self.seen = observations
            raise InterruptedError

    policy: Any = Saying()
    agent = PolicyAgent(policy)
    envs = SSLVectorEnv(task, num_envs=2, split="test", interface="text")
    observations, _ = envs.reset(seed=0)
    for entered in (False, True):
        if entered:
            agent.enter(envs)
        with pytest.raises(InterruptedError):
            agent.act(observations)
        assert (ANSWERABLE in policy.seen) == entered
