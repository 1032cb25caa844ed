"""Scores: balanced labels, an honest chance level, and nothing but one valid answer that earns anything."""

from __future__ import annotations

import itertools
import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from scipy import stats

from ssl4rl_benchmarks.audits.hostile import ONE_ANSWER, hostile_replies
from ssl4rl_envs import Batch, SSLEnv, SSLVectorEnv, Stream, Task
from ssl4rl_envs.answers import instructions, wrap

COUNT = 2_000


class Collected:
    """Answers and rewards of many instances, without keeping their pictures."""

    def __init__(self, task: Task, batches: Any) -> None:
        self.labels: list[np.ndarray] = []
        self.rewards: dict[str, list[np.ndarray]] = {}
        self.oracle: list[np.ndarray] = []
        self.success: list[np.ndarray] = []
        task.action_space.seed(0)
        example = np.asarray(task.example())
        policies: dict[str, Any] = {"example": None, "first answer": None, "majority": None}
        for batch in itertools.chain.from_iterable(batches(task, split, 0, 0, COUNT // 2) for split in ("train", "test")):
            assert all(within(task.observation_space[name], shown) for name, shown in batch.observation.items())
            right = np.asarray(task.oracle(batch))
            if policies["majority"] is None:
                rows, counts = np.unique(right.reshape(len(right), -1), axis=0, return_counts=True)
                policies = {"example": example, "first answer": right[0]}
                policies["majority"] = rows[np.argmax(counts)].reshape(right[0].shape)
            guesses = {name: np.broadcast_to(answer, right.shape) for name, answer in policies.items()}
            if isinstance(task.action_space, spaces.Box):
                del guesses["first answer"], guesses["majority"]  # nobody is to paint the very patch of a later picture
            guesses["random"] = np.stack([np.asarray(task.action_space.sample()) for _ in range(len(right))])
            guesses["random, all valid"] = random_answers(task, batch)
            guesses["answers of others"] = np.roll(right, 1, axis=0)
            labels = right if task.horizon == 1 else batch.target
            if offers_a_part(task, batch):
                labels, offered = places(task, batch)
                others = np.take_along_axis(offered, np.roll(labels, 1)[:, None], axis=1)[:, 0]
                guesses = {"first offered": offered[:, 0], "last offered": offered[:, -1], "answers of others": others}
                guesses["random, all valid"] = random_answers(task, batch)
            for name, guess in guesses.items():
                self.rewards.setdefault(name, []).append(played(task, batch, lambda _, guess=guess: guess)[0])
            reward, success = played(task, batch, task.oracle)
            self.labels.append(labels)
            self.oracle.append(reward)
            self.success.append(success)


def offers_a_part(task: Task, batch: Batch) -> bool:
    """Whether each question offers a few of many answers, so that one knows which without looking."""
    return task.horizon == 1 and isinstance(task.action_space, spaces.Discrete) and "action_mask" in task.info(batch)


def places(task: Task, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Where the right answers stand among those that n questions offer, equally many each, (n,), and these, (n, places)."""
    offered = task.info(batch)["action_mask"] == 1
    assert len(set(offered.sum(axis=1))) == 1
    actions = np.nonzero(offered)[1].reshape(len(batch), -1) + task.action_space.start
    there = actions == np.asarray(task.oracle(batch))[:, None]
    assert (there.sum(axis=1) == 1).all(), "the right answer is offered"
    return there.argmax(axis=1), actions


def within(space: Any, values: np.ndarray) -> bool:
    """Whether each of n observations lies in their space."""
    if isinstance(space, spaces.Discrete):
        return bool(((values >= space.start) & (values < space.start + space.n)).all())
    alike = values.dtype == space.dtype and values.shape[1:] == space.shape
    return bool(alike and ((values >= space.low) & (values <= space.high)).all())


def random_answers(task: Task, batch: Batch) -> np.ndarray:
    """What `RandomAgent` answers, at least at first."""
    answers = task.random_answers(batch, Stream("test", np.full(len(batch), 7), np.arange(len(batch))))
    assert task.valid(answers).all()
    return answers


def scored(task: Task, answers: np.ndarray, batch: Batch) -> np.ndarray:
    reward = task.score(answers, batch).reward
    assert reward.dtype == np.float32
    assert reward.shape == (len(batch),)
    assert ((reward >= 0) & (reward <= 1)).all()
    return reward


def played(task: Task, batch: Batch, choose: Any) -> tuple[np.ndarray, np.ndarray]:
    """The returns of whole episodes, and whether they succeeded."""
    total, success, running = np.zeros(len(batch)), np.zeros(len(batch), bool), np.ones(len(batch), bool)
    for _ in range(task.horizon):
        answers = choose(batch)
        if task.horizon == 1:
            scored(task, answers, batch)
        step = task.advance(batch, answers)
        total += np.where(running, step.score.reward, 0)
        success |= running & step.score.success
        running &= ~step.terminated
        batch = step.state
    assert (total <= 1 + 1e-6).all()
    return total, success


_collected: dict[str, Collected] = {}


@pytest.fixture
def collected(env_id, build, batches) -> Collected:
    if env_id not in _collected:
        _collected[env_id] = Collected(build(env_id), batches)
    return _collected[env_id]


def outside_four_errors(rewards: np.ndarray, chance: float) -> float:
    """How many standard errors beyond four the mean is above (+) or below (-) chance; 0 within."""
    error = max(float(rewards.std()), 1 / len(rewards)) / math.sqrt(len(rewards))
    distance = (float(rewards.mean()) - chance) / error
    return 0.0 if abs(distance) <= 4 else distance


# Balance and chance


def test_labels_are_balanced(env_id, build, collected):
    space = build(env_id).action_space
    labels = np.concatenate(collected.labels)
    if build(env_id).parts or build(env_id).horizon > 1:
        pytest.skip("the parts of a mixture are tested by themselves, and sequences have no labels")
    if offers_a_part(build(env_id), one := build(env_id).sample(Stream("train", [0], [0]))):
        counts = [np.bincount(labels, minlength=places(build(env_id), one)[1].shape[1])]
    elif isinstance(space, spaces.Discrete):
        counts = [np.bincount(labels - space.start, minlength=int(space.n))]
    elif isinstance(space, spaces.MultiDiscrete):
        flat = labels.reshape(len(labels), -1) - space.start.ravel()
        counts = [np.bincount(flat[:, i], minlength=int(n)) for i, n in enumerate(space.nvec.ravel())]
    elif isinstance(space, spaces.MultiBinary):
        counts = [np.bincount(column, minlength=2) for column in labels.reshape(len(labels), -1).T.astype(int)]
    else:
        pytest.skip("continuous answers have no labels to count")
    for of_slot in counts:
        assert len(of_slot) == 1 or stats.chisquare(of_slot).pvalue > 1e-4 / len(counts)


def test_neighbouring_labels_are_independent(env_id, build, collected):
    """Whoever knows the last answers knows nothing of the next."""
    labels = np.concatenate(collected.labels).reshape(COUNT, -1).astype(float)
    for column in labels.T:
        if column.std() > 0:
            for lag in (1, 2, 3):
                assert abs(np.corrcoef(column[:-lag], column[lag:])[0, 1]) < 4 / math.sqrt(COUNT)


def test_policies_that_do_not_look_score_chance(env_id, build, collected):
    """No such policy beats the declared figure, and where answers are labels those that answer validly reach it."""
    task = build(env_id)
    for name, parts in collected.rewards.items():
        rewards = np.concatenate(parts)
        assert outside_four_errors(rewards, task.chance) <= 0, name
    if not isinstance(task.action_space, spaces.Box) and not task.parts and task.horizon == 1:
        rewards = np.concatenate(collected.rewards["answers of others"])
        assert outside_four_errors(rewards, task.chance) == 0
    if isinstance(task.action_space, spaces.Discrete) and not task.parts and task.horizon == 1:
        for name, parts in collected.rewards.items():
            assert outside_four_errors(np.concatenate(parts), task.chance) == 0, name
    assert 0 <= task.chance < 1


def test_right_answers_score_one_and_succeed(env_id, collected):
    assert np.allclose(np.concatenate(collected.oracle), 1, atol=1e-6)
    assert np.concatenate(collected.success).all()


def test_answers_outside_the_space_score_nothing(env_id, build):
    task = build(env_id)
    if not isinstance(task.action_space, spaces.Discrete):
        pytest.skip("see the tests of the task itself")
    batch = task.sample(Stream("train", np.zeros(20, int), np.arange(20)))
    low, high = int(task.action_space.start), int(task.action_space.start + task.action_space.n)
    for value in (low - 1, high, 10**6):
        wrong = np.full(20, value)
        score = task.score(wrong, batch)
        assert not task.valid(wrong).any()
        assert not score.reward.any()
        assert not score.success.any()


def test_scores_do_not_depend_on_batch_mates(env_id, build):
    task = build(env_id)
    batch = task.sample(Stream("train", np.zeros(30, int), np.arange(30)))
    answers = np.roll(np.asarray(task.oracle(batch)), 1, axis=0)
    together = task.score(answers, batch)
    for row in range(30):
        alone = task.score(answers[row : row + 1], batch.rows(slice(row, row + 1)))
        assert alone.reward[0] == together.reward[row]
        assert alone.success[0] == together.success[row]


# Text


def bodies_of(task: Task, batch: Batch, row: int) -> list[str]:
    """The right answer in words, and other answers after it."""
    alike = batch.observation.get("task", np.zeros(len(batch)))
    rows = np.flatnonzero(alike == alike[row])
    one = batch.rows(rows)
    words = [*task.format_all(task.oracle(batch.rows(np.array([row]))), batch.rows(np.array([row])))]
    words += [*task.format_all(task.oracle(one), one), *task.format_all(task.oracle(batch), batch)]
    if isinstance(task.action_space, spaces.Discrete) and task.action_space.n <= 12 and not task.parts:
        words += [
            task.format(value) for value in range(task.action_space.start, task.action_space.start + task.action_space.n)
        ]
    return list(dict.fromkeys(words))


def well_formed(bodies: list[str], style: str) -> list[str]:
    replies = [wrap(body, style) for body in bodies]
    replies += [f"\n {wrap(f' {body} ', style)} \n" for body in bodies]
    replies += [wrap(f"[{body}]", style) for body in bodies]
    replies += [wrap(body.upper(), style) for body in bodies]
    if style == "think":
        replies += [wrap(body, style, f"it may be {bodies[-1]}, or not") for body in bodies]
    return replies


def all_texts(task: Task, batch: Batch, hostile: Any, style: str) -> list[str]:
    bodies = bodies_of(task, batch, 0)
    prompt = task.prompts(batch, style)[0]
    return [*well_formed(bodies[:8], style), *hostile(bodies[:8], style, prompt)]


def telling_seeds(task: Task) -> list[int]:
    """Two seeds whose first instances differ, one where the answer is all zeros if there is one.

    Zeros stand where a text could not be read; where they are also right, a reward that slips through is seen.
    """
    right = np.asarray(task.oracle(task.sample(Stream("train", np.arange(200), np.zeros(200, int))))).reshape(200, -1)
    zero = int(np.argmin(np.abs(right).sum(axis=1)))
    return [zero, int(np.argmax((right != right[zero]).any(axis=1)))]


def test_a_text_scores_the_same_in_every_place(text_kind, style, grammar, build, hostile):
    """By the task itself (exported rewards, offline re-scoring), by one environment, and by many."""
    task = build(text_kind)
    if task.horizon > 1:
        pytest.skip("a sequential task is scored step by step")
    for seed in telling_seeds(task)[: 2 if grammar == "strict" else 1]:
        batch = task.sample(Stream("train", np.full(8, seed), np.arange(8)))
        texts = all_texts(task, batch, hostile, style)
        offline = task.score_texts(texts, batch.rows(np.zeros(len(texts), int)), style, grammar)

        env = SSLEnv(task, interface="text", prompt_style=style, grammar=grammar)
        single = []
        for text in texts:
            env.reset(seed=seed)
            _, reward, _, _, info = env.step(text)
            single.append((reward, info["success"]))

        many = SSLVectorEnv(task, num_envs=len(texts), interface="text", prompt_style=style, grammar=grammar)
        many.reset(seed=[seed] * len(texts))
        _, rewards, _, _, infos = many.step(tuple(texts))

        alone = [task.score_texts([text], batch.rows(slice(0, 1)), style, grammar) for text in texts]
        for i, text in enumerate(texts):
            expected = (float(offline.reward[i]), bool(offline.success[i]))
            assert single[i] == expected, text
            assert (float(rewards[i]), bool(infos["final_info"]["success"][i])) == expected, text
            assert (float(alone[i].reward[0]), bool(alone[i].success[0])) == expected, text
        assert offline.success.any()
        assert not offline.success.all()


def test_well_formed_texts_score_as_their_answers_do(text_id, style, build):
    task = build(text_id)
    batch = task.sample(Stream("train", np.zeros(20, int), np.arange(20)))
    right = np.asarray(task.oracle(batch))
    for answers in (right, np.roll(right, 1, axis=0)):
        texts = [wrap(words or "0", style) for words in task.format_all(answers, batch)]
        by_text, by_array = task.score_texts(texts, batch, style), task.score(answers, batch)
        assert np.array_equal(by_text.reward, by_array.reward)
        assert np.array_equal(by_text.success, by_array.success)


def test_hostile_texts_earn_nothing(text_id, style, grammar, build, hostile):
    """Every reply is built around the right answer, so that whatever is let through would be paid."""
    task = build(text_id)
    seeds = [*telling_seeds(task), *range(10)]
    batch = task.sample(Stream("train", seeds, np.zeros(len(seeds), int)))
    prompts = task.prompts(batch, style)
    for row in range(4):
        bodies = bodies_of(task, batch, row)
        replies = hostile(bodies[:8], style, prompts[row], grammar)
        one = batch.rows(np.full(len(replies), row))
        score = task.score_texts(replies, one, style, grammar)
        paid = [reply for reply, reward in zip(replies, score.reward, strict=True) if reward > 0]
        assert paid == []
        assert not score.success.any()
        assert not task.parse_all(replies, one, style, grammar)[1].any()


def test_what_a_lenient_reader_pays_of_ill_formed_replies_says_the_right_answer(text_id, style, build):
    """Kinds that only break the strict form are read as the answer they say, and as no other."""
    task = build(text_id)
    batch = task.sample(Stream("train", np.arange(4), np.zeros(4, int)))
    prompts, right = (
        task.prompts(batch, style),
        task.parse_all([wrap(words or "", style) for words in task.format_all(task.oracle(batch), batch)], batch, style)[0],
    )
    for row in range(4):
        every = hostile_replies(bodies_of(task, batch, row)[:8], style, prompts[row])
        replies = [every[kind] for kind in ONE_ANSWER & set(every)]
        answers, read = task.parse_all(replies, batch.rows(np.full(len(replies), row)), style, "lenient")
        assert read.sum() >= 20
        assert (answers[read] == right[row]).all()


def test_echoes_of_the_prompt_earn_nothing(text_id, style, build):
    task = build(text_id)
    batch = task.sample(Stream("train", np.full(40, 2), np.arange(40)))
    how = instructions(style, task.format_all(task.oracle(batch), batch)[0])
    for make in (
        lambda prompt, right: prompt,
        lambda prompt, right: how,
        lambda prompt, right: prompt + " " + right,
        lambda prompt, right: right + " " + prompt,
        lambda prompt, right: prompt[-200:] + right,
        lambda prompt, right: f"<answer>{prompt}</answer>",
        lambda prompt, right: f"<think>{prompt}</think> {right}",
    ):
        prompts = task.prompts(batch, style)
        right = [wrap(words, style) for words in task.format_all(task.oracle(batch), batch)]
        texts = [make(prompt, answer) for prompt, answer in zip(prompts, right, strict=True)]
        assert not task.score_texts(texts, batch, style).reward.any()


def test_random_strings_earn_nothing(text_id, style, build):
    task = build(text_id)
    batch = task.sample(Stream("train", np.zeros(60, int), np.arange(60)))
    env = gym.make(text_id, interface="text").unwrapped
    env.action_space.seed(0)
    texts = [env.action_space.sample()[:300] for _ in range(60)]
    assert not task.score_texts(texts, batch, style).reward.any()


def test_every_valid_answer_is_read_back(text_id, style, build):
    task = build(text_id)
    space = task.action_space
    if task.parts:
        pytest.skip("what a mixture reads depends on the part; see its own tests")
    if isinstance(space, spaces.Discrete):
        answers: Any = range(int(space.start), int(space.start + space.n))
    elif isinstance(space, spaces.MultiDiscrete) and np.prod(space.nvec.astype(float)) <= 5_000:
        answers = (np.array(values) for values in itertools.product(*(range(n) for n in space.nvec)))
    else:
        space.seed(0)
        answers = [space.sample() for _ in range(300)]
    checked = 0
    for answer in answers:
        if task.valid(np.asarray(answer)[None])[0]:
            parsed = task.parse(wrap(task.format(answer), style), style)
            assert parsed is not None
            assert np.array_equal(parsed, answer)
            checked += 1
    assert checked > 1
