"""Reveal: what is covered and uncovered, what looks cost, and where a teacher looks."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.attempts import Attempts
from ssl4rl_envs.covered import GREY, UNCOVERED, Covered
from ssl4rl_envs.images.contrastive import Contrastive
from ssl4rl_envs.images.masked_reconstruction import MaskedReconstruction
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.patch_position import PatchPosition
from ssl4rl_envs.images.reveal import Reveal
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.looking import look_or_answer
from ssl4rl_envs.patches import NO_LOOK, cut_into, detail_of, next_looks
from ssl4rl_envs.playing import lessons
from ssl4rl_envs.sources import ImageSource
from ssl4rl_envs.task import Batch, Task

ID = "SSL4RL/Reveal-v0"
SMALL = {"source": "digits", "image_size": 36}
INNER = Rotation(**SMALL)
TASK = Covered(INNER, grid=3, looks=4, cost=0.1)
TWO = Covered(PatchPosition("photos", 36), grid=2, looks=5, cost=0.1)
ORDER = Covered(PatchOrdering("photos", 36, grid=2), grid=3, looks=4, cost=0.1)
SHORT = Covered(Rotation("photos", 36), grid=6, looks=2, cost=0.1)
PAINTED = Covered(MaskedReconstruction("photos", 32, answer="pixels", patch_size=8), grid=2, looks=2, cost=0.2)


def sample(task: Task, count: int = 8) -> Batch:
    return task.sample(Stream.span("train", 0, 0, count))


def inside_of(task: Covered, count: int = 8) -> Batch:
    """The instances of the task inside that are asked."""
    return task.task.make(Stream.span("train", 0, 0, count).keyed(task.stream_key))


def said(task: Covered, words: str, count: int = 1) -> np.ndarray:
    return np.repeat(np.asarray(task.read(words))[None], count, axis=0)


# What is shown


@pytest.mark.parametrize("task", [TASK, TWO, ORDER, PAINTED])
def test_the_questions_are_those_of_the_task_inside_and_nothing_of_them_is_seen(task):
    batch, inside = sample(task), inside_of(task)
    assert np.array_equal(batch.target, inside.target)
    assert np.array_equal(batch.items, inside.items)
    assert all((batch.observation[name] == GREY).all() for name in task.images)
    assert not batch.observation[UNCOVERED].any()
    for name in task.images:
        assert np.array_equal(task._inner(batch).observation[name], inside.observation[name])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 24), max_size=7), st.sampled_from([2, 3, 5]))
def test_exactly_the_patches_that_were_looked_at_are_uncovered(looks, grid):
    """By pixels, where 36 is no multiple of the grid as well."""
    task = Covered(INNER, grid, looks=7, cost=0.1)
    looks = [look % grid**2 for look in looks]
    batch = sample(task, 3)
    whole = inside_of(task, 3).observation["image"]
    for look in looks:
        batch = task.advance(batch, np.full(3, look)).state
    seen = np.zeros((grid, grid), bool)
    seen.flat[looks] = True
    edges = [k * 36 // grid for k in range(grid + 1)]
    for row in range(grid):
        for column in range(grid):
            box = np.s_[:, edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
            shown = batch.observation["image"][box]
            assert np.array_equal(shown, whole[box]) if seen[row, column] else (shown == GREY).all()
    assert np.array_equal(batch.observation[UNCOVERED], np.broadcast_to(seen.ravel(), (3, grid**2)))


def test_patches_of_a_second_picture_are_numbered_on():
    batch = sample(TWO, 2)
    after = TWO.advance(batch, said(TWO, "look 6", 2)).state
    first, second = TWO.images
    assert (after.observation[first] == GREY).all()
    assert np.array_equal(after.observation[second][:, :18, 18:], TWO._inner(batch).observation[second][:, :18, 18:])
    assert (after.observation[second][:, 18:] == GREY).all()
    assert after.observation[UNCOVERED].tolist() == [[0, 0, 0, 0, 0, 1, 0, 0]] * 2


def test_rows_look_at_patches_of_their_own_and_the_state_before_is_left_alone():
    batch = sample(TASK, 3)
    kept = {name: values.copy() for name, values in (batch.observation | batch.memory).items()}
    step = TASK.advance(batch, np.array([0, 8, 9]))
    assert step.state.observation[UNCOVERED].nonzero()[1].tolist() == [0, 8]
    assert step.terminated.tolist() == [False, False, True]
    assert all(np.array_equal(kept[name], values) for name, values in (batch.observation | batch.memory).items())


def test_environments_ask_questions_of_their_own_unless_a_word_pairs_them():
    keys = {task.stream_key for task in (INNER, TASK, TWO, Covered(INNER, 3, 5, 0.1), Covered(INNER, 3, 4, 0.05))}
    assert len(keys) == 5
    assert Covered(Rotation("photos", 36), 3, 4, 0.1).stream_key != TASK.stream_key
    assert Covered(Rotation(**SMALL), grid=3, looks=4, cost=0.1).stream_key == TASK.stream_key
    paired = [task.paired("looks") for task in (INNER, TASK, Covered(INNER, 2, 2, 0.2))]
    batches = [sample(task) for task in paired]
    assert all(np.array_equal(batch.target, batches[0].target) for batch in batches)
    assert np.array_equal(batches[1].memory["whole.image"], batches[0].observation["image"])


# What is paid


def test_an_answer_is_paid_less_a_share_for_every_patch_and_looks_earn_nothing():
    batch = sample(TASK, 20)
    right = TASK.oracle(batch)
    assert TASK.score(right, batch).reward.tolist() == [1] * 20
    for count, look in enumerate((4, 0, 4, 7)):
        step = TASK.advance(batch, np.full(20, look))
        assert not step.score.reward.any()
        assert not step.terminated.any()
        batch = step.state
        patches = (1, 2, 2, 3)[count]  # patch 5 is looked at twice, and paid for once
        score = TASK.advance(batch, right).score
        assert score.reward == pytest.approx(np.full(20, 1 - 0.1 * patches))
        assert score.success.all()
    wrong = 9 + (right - 9 + 1) % 4
    step = TASK.advance(batch, wrong)
    assert not step.score.reward.any()
    assert step.terminated.all()


def test_what_the_task_inside_pays_in_part_is_paid_in_that_part():
    batch = sample(PAINTED, 30)
    inside = inside_of(PAINTED, 30)
    guess = PAINTED.task.oracle(inside) * np.float32(0.9)
    paid = PAINTED.task.score(guess, inside).reward
    assert ((paid > 0) & (paid < 1)).any()
    looked = PAINTED.advance(batch, PAINTED.actions.looking(np.zeros(30, np.int64))).state
    assert PAINTED.score(PAINTED.actions.answering(guess), looked).reward == pytest.approx(paid * 0.8)


def test_chance_is_that_of_the_task_inside_and_fixed_answers_reach_it_at_once():
    batch = sample(TASK, 400)
    assert TASK.chance == INNER.chance == 0.25
    at_once = [TASK.score(np.full(400, 9 + k), batch).reward.mean() for k in range(4)]
    assert np.mean(at_once) == pytest.approx(0.25)
    looked = TASK.advance(batch, np.zeros(400, int)).state
    later = [TASK.score(np.full(400, 9 + k), looked).reward.mean() for k in range(4)]
    assert later == pytest.approx(np.array(at_once) * 0.9)


def test_the_last_decision_is_to_answer_and_who_looks_on_earns_nothing():
    env = gym.make(ID, **SMALL, grid=2, looks=2, cost=0.1)
    _, info = env.reset(seed=0)
    assert info["action_mask"].tolist() == [1] * 8
    *_, info = env.step(1)
    assert info["action_mask"].tolist() == [1, 0, 1, 1, 1, 1, 1, 1]
    *_, info = env.step(1)
    assert info["action_mask"].tolist() == [0] * 4 + [1] * 4
    assert env.step(0)[1:4] == (0, False, True)


@pytest.mark.parametrize(("task", "count"), [(TASK, 9 + 4), (TWO, 8 + 4), (ORDER, 1 + 9 + 4 * 4)])
def test_masks_have_a_number_for_every_action_or_the_values_of_every_slot(task, count):
    mask = task.info(sample(task, 2))["action_mask"]
    assert mask.shape == (2, count)
    assert mask.dtype == np.int8
    space = task.action_space
    assert count == (space.n if isinstance(space, spaces.Discrete) else space.nvec.sum())
    looked = task.advance(sample(task, 2), said(task, "look 2", 2)).state
    assert (task.info(looked)["action_mask"] == 0).sum() == 2
    assert "action_mask" not in PAINTED.info(sample(PAINTED, 2))


# Actions


@pytest.mark.parametrize(
    "answers",
    [
        spaces.Discrete(5),
        spaces.Discrete(3, start=2),
        spaces.MultiDiscrete([4, 4, 4]),
        spaces.MultiDiscrete([2, 3], start=[1, 5]),
        spaces.Box(-1, 1, (2, 3), np.float32),
    ],
)
def test_looks_and_answers_are_told_apart_and_kept_whole(answers):
    actions = look_or_answer(7, answers)
    actions.space.seed(0)
    answers.seed(0)
    looks = actions.looking(np.arange(7))
    assert actions.looks(looks).tolist() == list(range(7))
    assert all(actions.space.contains(look) for look in looks)
    given = np.stack([np.asarray(answers.sample()) for _ in range(20)])
    said = actions.answering(given)
    assert (actions.looks(said) == NO_LOOK).all()
    assert all(actions.space.contains(action) for action in said)
    assert np.array_equal(actions.narrow(said), given)
    drawn = np.stack([np.asarray(actions.space.sample()) for _ in range(300)])
    assert set(actions.looks(drawn).tolist()) == {NO_LOOK, *range(7)}


def test_actions_outside_the_space_neither_look_nor_answer():
    batch = sample(TASK, 2)
    for action in (-1, 13, 100):
        step = TASK.advance(batch, np.full(2, action))
        assert not step.terminated.any()
        assert not step.state.observation[UNCOVERED].any()
        assert not TASK.valid(np.full(2, action)).any()
    order = sample(ORDER, 1)
    assert not ORDER.valid(np.array([[0, 1, 1, 2, 3]])).any()  # no permutation
    assert ORDER.valid(np.array([[3, 1, 1, 2, 3]])).all()  # a look, whatever stands behind it
    assert not ORDER.advance(order, np.array([[0, 1, 1, 2, 3]])).terminated.any()


# Words


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        ("<answer>look 3</answer>", 2, 2),
        ("<answer> Look  9 </answer>", 8, 8),
        ("<answer>90</answer>", 10, 10),
        ("<answer>90 degrees</answer>", 10, 10),
        ("I cannot see the sky. <answer>**Look at patch 3**.</answer>", None, 2),
        ("<answer>uncover 1</answer>", None, 0),
        ("<answer>look 0</answer>", None, None),
        ("<answer>look 10</answer>", None, None),
        ("<answer>look</answer>", None, None),
        ("<answer>look 3, 90</answer>", None, None),
        ("<answer>look 3</answer><answer>90</answer>", None, None),
        ("<answer>look 3 or look 4</answer>", None, None),
        ("<answer>do not look 3</answer>", None, None),
    ],
)
def test_a_reply_is_a_look_or_an_answer_and_never_both(text, strict, lenient):
    batch = sample(TASK, 1)
    for grammar, expected in (("strict", strict), ("lenient", lenient)):
        read = TASK.parse(text, grammar=grammar)
        assert (None if read is None else int(read)) == expected
        array, answered = TASK.parse_all([text], batch, "direct", grammar)
        assert answered[0] == (expected is not None)
        assert array[0] == (-1 if expected is None else expected)


def test_prompts_say_what_is_uncovered_what_it_costs_and_what_is_left():
    batch = sample(TASK, 1)
    first = TASK.prompts(batch)[0]
    assert "3 x 3 grey patches" in first
    assert "1 to 9" in first
    assert "10 % off" in first
    assert "Uncovered: none. Looks left: 4." in first
    assert first.endswith(INNER.prompts(INNER.sample(Stream.span("train", 0, 0, 1)))[0])
    for look in (4, 1):
        batch = TASK.advance(batch, np.array([look])).state
    assert "Uncovered: 2, 5. Looks left: 2." in TASK.prompts(batch)[0]
    assert "1 to 4 on the first picture, then on to 8" in TWO.prompts(sample(TWO, 1))[0]


class Loud(Rotation):
    """A task whose words tell how light its picture is."""

    def question(self, batch):
        return [f"It is {picture.mean():.2f} light." for picture in batch.observation["image"]]


def test_a_question_that_goes_by_the_picture_tells_of_what_is_covered_nothing():
    task = Covered(Loud(**SMALL), 2, 2, 0.1)
    batch = sample(task, 4)
    for said in (task.question(batch), task.prompts(batch), task.caption(batch)):
        assert all(f"It is {GREY}.00 light." in words for words in said)


def test_a_mixture_inside_is_read_and_written_as_the_task_that_is_asked():
    task = Reveal(of="Mixture", source="photos")
    batch = sample(task, 12)
    right = task.demonstrate(batch)
    assert (task.actions.looks(right) >= 0).all()
    answers = task.oracle(batch)
    words = task.format_all(answers, batch)
    read, answered = task.parse_all([f"<answer>{body}</answer>" for body in words], batch, "direct")
    assert answered.all()
    assert (task.score(read, batch).reward == 1).all()
    assert len({"," in body for body in words}) == 2
    assert gym.make(ID, of="Mixture", source="photos").reset(seed=0)[1]["task"] in range(4)


@pytest.mark.parametrize(
    "name", ["Rotation", "PatchOrdering", "PatchPosition", "MaskedReconstruction", "Contrastive", "FlipPrediction"]
)
def test_any_task_of_one_decision_can_be_covered(name):
    _whole_episodes_of(Reveal("photos", of=name, grid=4, looks=10, cost=0.02))


@pytest.mark.parametrize(("name", "level"), [("Colorization", ""), ("OddPatch", "other-3x3"), ("Mixture", "two")])
def test_so_can_a_level_of_one_and_a_mixture(name, level):
    _whole_episodes_of(Reveal("photos", of=name, of_level=level, grid=4, looks=10, cost=0.02))


def _whole_episodes_of(task: Covered) -> None:
    """Play the teacher's words, and see that they are read and paid."""
    batch, paid = sample(task, 6), np.zeros(6)
    for turn, replies in lessons(task, batch, "think"):
        answers, answered = task.parse_all(replies, turn.state, "think")
        assert answered.all()
        assert np.array_equal(answers, turn.answers)
        paid[turn.rows] += turn.step.score.reward
    looked = task.horizon - 1
    assert ((paid >= 1 - task.cost * looked - 1e-6) & (paid < 1)).all()


# Where a teacher looks


def test_detail_is_what_neighbouring_pixels_differ_by():
    picture = np.zeros((1, 4, 4, 3), np.uint8)
    picture[0, 0, 0, 0] = 10  # two neighbours within its patch
    picture[0, 2, 2] = 5  # two neighbours in three channels
    picture[0, 3, 0] = [1, 2, 3]
    patches = cut_into("image", (4, 4, 3), 2)
    assert detail_of(patches, {"image": picture}).tolist() == [[20, 0, 12, 30]]


@pytest.mark.parametrize(
    ("detail", "seen", "look"),
    [
        ([1, 5, 3, 1], [], 1),
        ([1, 5, 3, 1], [1], NO_LOOK),  # half of 10
        ([1, 4, 3, 2], [1], 2),
        ([2, 2, 2, 2], [], 0),
        ([0, 0, 0, 0], [], NO_LOOK),
        ([0, 0, 0, 9], [0, 1, 2], 3),
    ],
)
def test_a_teacher_looks_at_most_detail_until_it_has_seen_half(detail, seen, look):
    known = np.isin(np.arange(4), seen)[None]
    assert next_looks(np.array([detail]), known, 4).tolist() == [look]


def test_a_teacher_sees_enough_of_one_picture_before_it_looks_at_the_next():
    detail = np.array([[1, 9, 1, 1, 4, 5, 0, 0]])
    seen = np.zeros((1, 8), bool)
    looks = []
    while (look := int(next_looks(detail, seen, 4)[0])) != NO_LOOK:
        looks.append(look)
        seen[0, look] = True
    assert looks == [1, 5]


@pytest.mark.parametrize("task", [TASK, TWO, ORDER, PAINTED, SHORT])
def test_a_teacher_looks_first_answers_rightly_and_pays_for_what_it_has_seen(task):
    batch, going, total, looked = sample(task, 16), np.ones(16, bool), np.zeros(16), np.zeros(16, int)
    for _ in range(task.horizon):
        actions = task.demonstrate(batch)
        assert task.valid(actions).all()
        looks = task.actions.looks(actions)
        assert not batch.observation[UNCOVERED][np.flatnonzero(looks >= 0), looks[looks >= 0]].any()
        looked += going & (looks >= 0)
        step = task.advance(batch, actions)
        total += np.where(going, step.score.reward, 0)
        going &= ~step.terminated
        batch = step.state
    assert not going.any()
    assert (looked >= 1).all()
    assert total == pytest.approx(1 - task.cost * looked, abs=1e-5)
    if task is SHORT:
        assert (looked == 2).all()
        assert all("No look is left." in reason for reason in task.rationale(batch))


def test_reasons_name_the_look_or_give_those_of_the_task_inside():
    batch = sample(TASK, 1)
    looks = int(TASK.actions.looks(TASK.demonstrate(batch))[0])
    assert TASK.rationale(batch) == [f"Everything is covered. Patch {looks + 1} has most detail of those that are covered."]
    while (look := int(TASK.actions.looks(TASK.demonstrate(batch))[0])) >= 0:
        batch = TASK.advance(batch, np.array([look])).state
    count = int(batch.observation[UNCOVERED].sum())
    (why,) = INNER.rationale(inside_of(TASK, 1))
    enough = "They hold enough of the detail to answer." if count < 4 else "No look is left."
    assert TASK.rationale(batch) == [f"Uncovered: {count} of 9 patches. {enough} {why}"]


# Environments, levels and errors


@pytest.mark.parametrize("way", ["array", "text"])
@pytest.mark.parametrize("of", ["Rotation", "PatchOrdering"])
def test_vectors_equal_gymnasiums(of, way, same):
    arguments = {"source": "photos", "of": of, "grid": 2, "looks": 3, "interface": way}
    more = {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}}
    ours, theirs = (gym.make_vec(ID, num_envs=3, **arguments, **extra) for extra in ({}, more))
    for first, second in zip(ours.reset(seed=3), theirs.reset(seed=3), strict=True):
        same(first, second, "reset")
    rng, task, ends = np.random.default_rng(0), ours.unwrapped.task, np.zeros(2, int)
    for step in range(12):
        batch = ours.unwrapped.batch
        looking = task.actions.looking(rng.integers(0, 4, 3))
        teacher = rng.random(3) < [0.9, 0.3, 0]
        actions = np.where(teacher[:, None] if looking.ndim > 1 else teacher, task.demonstrate(batch), looking)
        chosen = actions
        if way == "text":
            chosen = tuple(f"<answer>{words}</answer>" for words in task.format_all(actions, batch))
        results = ours.step(chosen)
        for k, (got, expected) in enumerate(zip(results, theirs.step(chosen), strict=True)):
            same(got, expected.astype(np.float32) if k == 1 else expected, f"step {step}, {k}")
        ends += results[2].sum(), results[3].sum()
    assert (ends > 0).all()
    theirs.close()


@pytest.mark.parametrize("level", [level.name for level in Reveal.levels])
def test_every_level_leaves_looks_worth_their_while(level):
    task = make_task(ID, level=level, source="digits")
    batch = sample(task, 20)
    assert (task.score(task.oracle(batch), batch).reward == 1).all()
    total = np.zeros(20)
    for _ in range(task.horizon):
        step = task.advance(batch, task.demonstrate(batch))
        total, batch = np.maximum(total, step.score.reward), step.state
    assert total.min() > task.chance + 0.1


def test_a_level_of_the_task_inside_may_be_named():
    assert Reveal("photos", of="Rotation", of_level="angles-2").chance == 0.5
    with pytest.raises(ValueError, match="Rotation has no level 'hard'"):
        Reveal("photos", of="Rotation", of_level="hard")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"of": "PatchSwap"}, "takes up to 12 decisions; only tasks of one can be covered"),
        ({"of": "Reveal"}, "only tasks of one can be covered"),
        ({"of": "EdgePrediction"}, "it is no task over pictures"),
        ({"of": "Rotatoin"}, "did you mean 'Rotation'"),
        ({"grid": 1}, "grid must be a whole number of at least 2, got 1"),
        ({"grid": 99}, "grid must be at most 60, the side of 'image' in pixels, got 99"),
        ({"looks": 0}, "looks must be a whole number of at least 1, got 0"),
        ({"looks": 5, "cost": 0.2}, "cost must be at least 0, and below 0.2, so that 5 looks"),
        ({"cost": -0.1}, "got -0.1"),
    ],
)
def test_wrong_arguments_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        Reveal(**{"source": "digits", **arguments})


def test_attempts_inside_and_outside_are_errors():
    with pytest.raises(ValueError, match="only tasks of one can be covered"):
        Covered(Attempts(INNER, 2), 2, 2, 0.1)
    with pytest.raises(ValueError, match="attempts are for tasks of one"):
        Attempts(TASK, 2)


def test_blank_pictures_are_answered_at_once_where_they_are_asked_about():
    source = ImageSource([np.full((40, 40, 3), k, np.uint8) for k in range(60)], min_zoom=1.0)
    task = Covered(INNER, 2, 2, 0.1)
    batch = sample(task, 2)
    whole = np.broadcast_to(source.pixels(source.whole(np.array([0])), 36), (2, 36, 36, 3))
    blank = Batch(batch.observation, batch.target, batch.items, {**batch.memory, "whole.image": whole})
    assert np.array_equal(task.demonstrate(blank), task.oracle(blank))


def test_views_of_two_pictures_are_each_looked_at():
    task = Covered(Contrastive("photos", 36), 2, looks=7, cost=0.1)
    batch = sample(task, 10)
    for _ in range(task.horizon):
        batch = task.advance(batch, task.demonstrate(batch)).state
    seen = batch.observation[UNCOVERED].reshape(10, 2, 4)
    assert (seen.sum(axis=2) >= 1).all()
