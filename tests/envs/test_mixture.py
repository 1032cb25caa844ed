"""Mixture: every question is one of its parts as the part itself would ask it, and is answered in that part's grammar."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from ssl4rl_envs import Batch, Stream, Task, make_task
from ssl4rl_envs.images.contrastive import Contrastive
from ssl4rl_envs.images.flip_prediction import FlipPrediction
from ssl4rl_envs.images.masked_reconstruction import MaskedReconstruction
from ssl4rl_envs.images.mixture import Mixture
from ssl4rl_envs.images.odd_patch import OddPatch
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.patch_position import PatchPosition
from ssl4rl_envs.images.patch_swap import PatchSwap
from ssl4rl_envs.images.reveal import Reveal
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.mixture import Parts
from ssl4rl_envs.sources import ImageSource

ID = "SSL4RL/Mixture-v0"
SMALL = {"source": "digits", "image_size": 36}


def whole(count: int = 80, side: int = 36) -> ImageSource:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, side // 4, side // 4, 3), dtype=np.uint8)
    return ImageSource(list(coarse.repeat(4, axis=1).repeat(4, axis=2)), min_zoom=0.9)


SOURCE = whole()


def stream(count: int, seed: int = 0, split: str = "train") -> Stream:
    return Stream(split, np.full(count, seed), np.arange(count))


def parts() -> list[Task]:
    return [
        Rotation(SOURCE, 36),
        PatchOrdering(SOURCE, 36),
        FlipPrediction(SOURCE, 36),
        PatchPosition(SOURCE, 40, grid=3),
        OddPatch(SOURCE, 36),
    ]


def same_batch(one: Batch, other: Batch) -> None:
    assert set(one.observation) == set(other.observation)
    for name in one.observation:
        assert np.array_equal(one.observation[name], other.observation[name]), name
    assert np.array_equal(one.target, other.target)
    assert np.array_equal(one.items, other.items)
    assert set(one.memory) == set(other.memory)
    for name in one.memory:
        assert np.array_equal(one.memory[name], other.memory[name]), name


# Instances


def test_instance_i_of_a_part_is_instance_i_of_the_task_on_its_own():
    tasks = parts()
    mixture = Parts(tasks)
    batch = mixture.sample(stream(120, seed=7))
    asked = batch.observation["task"]
    assert set(asked.tolist()) == set(range(5))
    for number, task in enumerate(tasks):
        alone = task.sample(stream(120, seed=7)).rows(asked == number)
        same_batch(mixture._take(batch, number, np.flatnonzero(asked == number)), alone)
        assert mixture.question(batch.rows(asked == number)) == task.question(alone)
        assert mixture.prompts(batch.rows(asked == number), "think") == task.prompts(alone, "think")
        assert mixture.truths(batch.rows(asked == number)) == task.truths(alone)


def test_a_chosen_part_is_asked():
    tasks = parts()
    mixture = Parts(tasks)
    for number, task in enumerate(tasks):
        batch = mixture.sample_parts(stream(10, seed=3), np.full(10, number))
        assert (batch.observation["task"] == number).all()
        same_batch(mixture._take(batch, number, np.arange(10)), task.sample(stream(10, seed=3)))


def test_instances_are_the_same_in_every_batch():
    mixture = Parts(parts())
    together = mixture.sample(stream(40))
    for row in range(0, 40, 7):
        same_batch(mixture.sample(Stream("train", [0], [row])), together.rows(slice(row, row + 1)))


def test_smaller_and_fewer_pictures_stand_at_the_upper_left_before_zeros():
    small, large = Rotation(SOURCE, 20), PatchPosition(SOURCE, 40)
    mixture = Parts([small, large])
    assert mixture.images == ("image_1", "image_2")
    assert all(mixture.observation_space[name].shape == (40, 40, 3) for name in mixture.images)
    batch = mixture.sample_parts(stream(6), np.array([0, 1, 0, 1, 0, 1]))
    alone, both = small.sample(stream(6)), large.sample(stream(6))
    for row in (0, 2, 4):
        assert np.array_equal(batch.observation["image_1"][row, :20, :20], alone.observation["image"][row])
        assert not batch.observation["image_1"][row, 20:].any()
        assert not batch.observation["image_1"][row, :, 20:].any()
        assert not batch.observation["image_2"][row].any()
    for row in (1, 3, 5):
        assert np.array_equal(batch.observation["image_1"][row], both.observation["crop"][row])
        assert np.array_equal(batch.observation["image_2"][row], both.observation["image"][row])
    for row in range(6):
        assert {name: batch.observation[name][row] for name in batch.observation} in mixture.observation_space


def test_people_see_the_pictures_of_the_part_alone():
    mixture = Parts([Rotation(SOURCE, 20), PatchPosition(SOURCE, 40)])
    batch = mixture.sample_parts(stream(2), np.array([0, 1]))
    assert {name: picture.shape for name, picture in mixture.pictures(batch, 0).items()} == {"image": (20, 20, 3)}
    assert set(mixture.pictures(batch, 1)) == {"crop", "image"}


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5), (0.1, 0.8, 0.1), (1e-3, 1, 1), (1, 0, 1), (0, 1, 0)])
def test_parts_are_asked_as_often_as_their_weights_say(weights):
    tasks = [Rotation(SOURCE, 8), FlipPrediction(SOURCE, 8, reference=False), Rotation(SOURCE, 8, angles=2)]
    asked = Parts(tasks, weights).sample(stream(4_000)).observation["task"]
    shares = np.array(weights) / sum(weights)
    counts = np.bincount(asked, minlength=3)
    assert (np.abs(counts - 4_000 * shares) < 4 * np.sqrt(4_000 * shares * (1 - shares)) + 1).all()


def test_the_part_says_nothing_of_the_target():
    tasks = [Rotation(SOURCE, 8), Rotation(SOURCE, 8)]
    batch = Parts(tasks).sample(stream(4_000))
    table = np.zeros((2, 4))
    np.add.at(table, (batch.observation["task"], batch.target), 1)
    assert (np.abs(table - 500) < 5 * (4_000 / 8 * 7 / 8) ** 0.5).all()


def test_chance_is_the_weighted_mean():
    mixture = Parts([Rotation(SOURCE, 36), PatchOrdering(SOURCE, 36), Contrastive(SOURCE, 36)], (1, 2, 1))
    assert mixture.chance == pytest.approx(0.25 * 0.25 + 0.5 * 0.125 + 0.25 * 0.5)


# Actions


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([Rotation(SOURCE, 36), FlipPrediction(SOURCE, 36)], spaces.Discrete(4)),
        ([Rotation(SOURCE, 36), OddPatch(SOURCE, 36, grid=3)], spaces.Discrete(9)),
        ([Rotation(SOURCE, 32, angles=6), PatchOrdering(SOURCE, 32)], spaces.MultiDiscrete([6, 4, 4, 4])),
        ([PatchOrdering(SOURCE, 36), PatchOrdering(SOURCE, 36, grid=3)], spaces.MultiDiscrete([9] * 9)),
    ],
)
def test_the_union_of_actions_holds_those_of_all(tasks, expected):
    mixture = Parts(tasks)
    assert mixture.action_space == expected
    batch = mixture.sample(stream(60))
    right = mixture.oracle(batch)
    assert all(answer in mixture.action_space for answer in right)
    assert (mixture.score(right, batch).reward == 1).all()
    example = np.asarray(mixture.example())
    assert example in mixture.action_space
    for number, task in enumerate(tasks):
        assert task.valid(mixture.narrow(example[None], number)).all()


def test_what_a_part_has_no_use_for_is_ignored():
    mixture = Parts([Rotation(SOURCE, 36), PatchOrdering(SOURCE, 36)])
    batch = mixture.sample_parts(stream(20), np.zeros(20, np.int64))
    right = mixture.oracle(batch)
    right[:, 1:] = 3
    assert (mixture.score(right, batch).reward == 1).all()


def test_actions_of_the_union_that_the_part_lacks_are_worth_nothing():
    mixture = Parts([Rotation(SOURCE, 36), OddPatch(SOURCE, 36, grid=3)])
    batch = mixture.sample_parts(stream(20), np.zeros(20, np.int64))
    assert (mixture.score(np.full(20, 7), batch).reward == 0).all()


def test_random_answers_are_valid_in_the_part_that_is_asked():
    tasks = parts()
    mixture = Parts(tasks)
    batch = mixture.sample(stream(100))
    answers = mixture.random_answers(batch, Stream("train", np.full(100, 9), np.arange(100)))
    assert all(answer in mixture.action_space for answer in answers)
    for number, task in enumerate(tasks):
        rows = np.flatnonzero(batch.observation["task"] == number)
        assert task.valid(mixture.narrow(answers[rows], number)).all()


# Text


def test_replies_are_read_in_the_grammar_of_the_task_that_is_asked_alone():
    tasks = [Rotation(SOURCE, 36), PatchOrdering(SOURCE, 36), FlipPrediction(SOURCE, 36)]
    mixture = Parts(tasks)
    words = ["90", "2, 3, 1, 4", "vertical"]
    for number in range(3):
        batch = mixture.sample_parts(stream(3), np.full(3, number))
        _, answered = mixture.parse_all([f"<answer>{word}</answer>" for word in words], batch, "direct")
        assert answered.tolist() == [k == number for k in range(3)]


def test_the_truth_in_words_scores_one_and_anothers_nothing():
    mixture = Parts([Rotation(SOURCE, 36), PatchOrdering(SOURCE, 36), FlipPrediction(SOURCE, 36)])
    batch = mixture.sample(stream(60))
    truths = [f"<answer>{truth}</answer>" for truth in mixture.truths(batch)]
    assert (mixture.score_texts(truths, batch).reward == 1).all()
    asked = batch.observation["task"]
    shifted = [truths[int(np.flatnonzero(asked == (number + 1) % 3)[0])] for number in asked]
    assert (mixture.score_texts(shifted, batch).reward == 0).all()


def test_parsing_without_the_question_is_an_error_that_says_how():
    mixture = Parts([Rotation(SOURCE, 36), PatchOrdering(SOURCE, 36)])
    with pytest.raises(ValueError, match="parse_all"):
        mixture.parse("<answer>90</answer>")


def test_the_text_interface_shows_pictures_and_prompt_without_the_tasks_number():
    env = gym.make(ID, **SMALL, interface="text")
    observation, info = env.reset(seed=0)
    assert set(observation) == {"image_1", "image_2", "prompt"}
    assert 0 <= info["task"] < 4
    for _ in range(10):
        truth = env.unwrapped.task.truths(env.unwrapped.batch)[0]
        _, reward, *_, info = env.step(f"<answer>{truth}</answer>")
        assert (reward, info["success"], info["parsed"]) == (1, True, truth)
        env.reset()


def test_a_mixture_with_a_part_without_words_refuses_the_text_interface():
    pixels = MaskedReconstruction(SOURCE, 36, answer="pixels", patch_size=8)
    with pytest.raises(ValueError, match="no text interface"):
        gym.make("SSL4RL/Rotation-v0", task=Parts([pixels, pixels]), interface="text")


# Parts of several steps


def swap_and_turn() -> Parts:
    return Parts([PatchSwap(SOURCE, 36, grid=2, max_steps=4), Rotation(SOURCE, 36)])


def test_parts_of_several_steps_are_sampled_as_on_their_own():
    mixture = swap_and_turn()
    batch = mixture.sample(stream(30))
    rows = np.flatnonzero(batch.observation["task"] == 0)
    same_batch(mixture._take(batch, 0, rows), mixture.parts[0].sample(stream(30)).rows(rows))


def test_parts_of_several_steps_are_solved_beside_parts_of_one():
    mixture = swap_and_turn()
    batch = mixture.sample(stream(60))
    turned = batch.observation["task"] == 1
    assert mixture.horizon == 4
    total, ended = np.zeros(60), np.zeros(60, bool)
    for number in range(3):
        step = mixture.advance(batch, mixture.oracle(batch))
        total += np.where(ended, 0, step.score.reward)
        ended, batch = ended | step.terminated, step.state
        if number == 0:
            assert ended[turned].all()
            assert not ended[~turned].any()
    assert ended.all()
    assert np.allclose(total, 1)


def test_the_mask_of_a_mixture_allows_what_the_part_allows():
    mixture = swap_and_turn()
    batch = mixture.sample_parts(stream(2), np.array([0, 1]))
    assert mixture.info(batch)["action_mask"].tolist() == [[1] * 6, [1] * 4 + [0] * 2]


@pytest.mark.parametrize("way", ["array", "text"])
def test_a_mixture_with_swaps_works_as_an_environment(way, same):
    arguments = {**SMALL, "tasks": ("PatchSwap", "OddPatch"), "interface": way}
    check_env(gym.make(ID, **arguments).unwrapped, skip_render_check=True)
    ours = gym.make_vec(ID, num_envs=3, **arguments)
    theirs = gym.make_vec(
        ID,
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        **arguments,
    )
    for first, second in zip(ours.reset(seed=0), theirs.reset(seed=0), strict=True):
        same(first, second)
    for _ in range(15):
        task, batch = ours.unwrapped.task, ours.unwrapped.batch
        right = task.oracle(batch)
        chosen = right
        if way == "text":
            chosen = tuple(f"<answer>{words}</answer>" for words in task.format_all(right, batch))
        for first, second in zip(ours.step(chosen), theirs.step(chosen), strict=True):
            same(first, second, dtypes=False)


# Environments


@pytest.mark.parametrize("way", ["array", "text"])
def test_gymnasiums_checker_passes(way):
    check_env(gym.make(ID, **SMALL, interface=way).unwrapped, skip_render_check=True)


def test_painting_in_two_sizes_of_pictures_is_a_mixture_of_equal_actions():
    tasks = [MaskedReconstruction(SOURCE, side, answer="pixels", patch_size=8) for side in (36, 40)]
    mixture = Parts(tasks)
    assert mixture.action_space == tasks[0].action_space
    batch = mixture.sample_parts(stream(6), np.array([0, 1] * 3))
    assert (mixture.score(mixture.oracle(batch), batch).reward == 1).all()


def test_a_part_that_is_never_asked_does_not_count():
    tasks = [Rotation(SOURCE, 8), FlipPrediction(SOURCE, 8, reference=False), Rotation(SOURCE, 8, angles=2)]
    assert [Parts(tasks, weights).chance for weights in ((1, 0, 0), (0, 0, 1), (1, 0, 1))] == [0.25, 0.5, 0.375]


# Errors


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1,), "one weight a task: 2 tasks, 1 weights"),
        ((0, 0), "one of them above it"),
        ((1, -1), "numbers from 0"),
        ((1, float("nan")), "each part of it a finite number"),
        ((1, float("inf")), "each part of it a finite number"),
    ],
)
def test_wrong_weights_are_errors(weights, message):
    with pytest.raises(ValueError, match=message):
        Mixture(("Rotation", "FlipPrediction"), weights, "digits", 36)
    with pytest.raises(ValueError, match=r"numbers from 0|one weight a task"):
        Parts([Rotation(SOURCE, 36), FlipPrediction(SOURCE, 36)], weights)


def test_no_tasks_are_an_error():
    with pytest.raises(ValueError, match="at least one task"):
        Mixture((), (), "digits", 36)


def test_unknown_tasks_are_errors_that_name_the_known():
    with pytest.raises(ValueError, match="unknown environment 'Turning'; known are Rotation, PatchOrdering"):
        Mixture(("Rotation", "Turning"), (), "digits", 36)


def test_painting_beside_choosing_is_an_error():
    pixels = MaskedReconstruction(SOURCE, 36, answer="pixels", patch_size=8)
    with pytest.raises(ValueError, match="have no union"):
        Parts([pixels, Rotation(SOURCE, 36)])


def test_what_cannot_stand_beside_other_tasks_is_an_error():
    with pytest.raises(ValueError, match="Mixture shows 'task' beside its pictures"):
        Mixture(("Rotation", "Mixture"), (), "digits", 36)
    with pytest.raises(ValueError, match="GraphDistance shows no pictures; only tasks over pictures can stand side by side"):
        Parts([Rotation(SOURCE, 36), make_task("SSL4RL/GraphDistance-v0", source="les_miserables")])


def test_what_is_shown_beside_pictures_is_padded_and_the_parts_see_it_as_it_was():
    """Reveal says which patches are uncovered: 4 of them in one part, 9 in the other; a third part says nothing."""
    parts = [Reveal(SOURCE, 36, grid=2, looks=3), Reveal(SOURCE, 36, grid=3, looks=3), Rotation(SOURCE, 36)]
    mixture = Parts(parts)
    chosen = np.array([0, 1, 2])
    state = mixture.sample_parts(stream(3), chosen)
    assert mixture.observation_space["uncovered"] == spaces.Box(0, 1, (9,), np.int8)
    looked = mixture.advance(state, np.array([3, 8, 0])).state
    assert looked.observation["uncovered"].tolist() == [[0, 0, 0, 1, *[0] * 5], [*[0] * 8, 1], [0] * 9]
    for number, rows, part in mixture.asked(looked):
        own = parts[number].sample(stream(3).rows(rows))
        own = parts[number].advance(own, np.array([3, 8, 0])[rows]).state
        for name in own.observation:
            assert np.array_equal(part.observation[name], own.observation[name])


def test_sampling_parts_of_a_plain_task_is_an_error():
    with pytest.raises(TypeError, match="no mixture"):
        Rotation(SOURCE, 36).sample_parts(stream(1), np.zeros(1, np.int64))


def test_ids_and_short_names_mean_the_same():
    short, full = (Mixture((name,), (), "digits", 36) for name in ("Rotation", "SSL4RL/Rotation-v0"))
    same_batch(short.sample(stream(5)), full.sample(stream(5)))


@pytest.mark.parametrize("level", [level.name for level in Mixture.levels])
def test_every_level_asks_questions_that_the_oracle_answers(level):
    task = make_task(ID, level=level)
    batch = task.sample(stream(40))
    assert (task.score(task.oracle(batch), batch).reward == 1).all()
    replies = [f"<answer>{truth}</answer>" for truth in task.truths(batch)]
    assert (task.score_texts(replies, batch).reward == 1).all()


def test_unknown_levels_and_arguments_are_errors_that_name_the_known():
    known = ", ".join(level.name for level in Mixture.levels)
    with pytest.raises(ValueError, match=f"no level 'ten'; its levels are {known}"):
        make_task(ID, level="ten")
    with pytest.raises(TypeError, match="unexpected keyword argument 'parts'; it takes tasks, weights, source, image_size"):
        make_task(ID, parts=2)
