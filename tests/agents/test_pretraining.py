"""Pretraining: captions say what scenes show, lessons are of the train split, and a run folder is what comes of it."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ssl4rl_agents.choosing.altering import altered
from ssl4rl_agents.choosing.options import option_logprobs
from ssl4rl_agents.policies.freezing import parts_of
from ssl4rl_agents.pretraining.captions import ASPECTS, WORDINGS, Seen, Thing, light, places, scene_captions, seen, third
from ssl4rl_agents.pretraining.habits import measure_habits
from ssl4rl_agents.pretraining.lessons import Answers, NamedCaptions, Practice, Rows, SceneCaptions, blocks_of, steps_of
from ssl4rl_agents.pretraining.making import Pretraining, rate_at, which_lessons
from ssl4rl_agents.pretraining.named_pictures import caption_of, first_sentence, named_source, words_of
from ssl4rl_agents.pretraining.settings import ASPECTS as NAMED_ASPECTS
from ssl4rl_agents.pretraining.settings import RANGES, PretrainConfig
from ssl4rl_agents.runs.folder import read_config
from ssl4rl_agents.runs.metrics import read_metrics
from ssl4rl_agents.runs.policy_agent import load_run
from ssl4rl_agents.runs.pretrained_on import pretrained_on
from ssl4rl_envs import Stream, make_task
from ssl4rl_envs.sources.scene_models import COLOURS, KINDS
from ssl4rl_envs.sources.scenes import scenes
from ssl4rl_envs.stream import SPLITS
from tests.agents import zoo

SCENE = Seen((Thing("red house", 0.2, "near"), Thing("green fir tree", 0.8, "far")), "night", "snow", "left")
TINY = PretrainConfig(
    steps=4, unrelated_steps=2, batch=8, captions=0.5, test_questions=32, kinds="light+sky", tasks=(), device="cpu"
)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ssl4rl-ahead")]


def test_captions_say_what_a_scene_shows():
    assert ASPECTS["things"](SCENE, 0) == "From left to right: a red house, a green fir tree."
    assert ASPECTS["count"](SCENE, 1) == "The picture shows two things."
    assert [places(SCENE, wording) for wording in range(WORDINGS)] == [
        "The red house is on the left and the green fir tree is on the right.",
        "The red house is near and the green fir tree is far away.",
        "The red house is left of the green fir tree.",
    ]
    assert ASPECTS["sky"](SCENE, 0) == "There is a night sky above snow."
    assert light(SCENE, 0) == "The light comes from the left."
    assert light(SCENE, 2) == "Shadows fall to the right."
    assert [third(x) for x in (0.1, 0.5, 0.9)] == ["on the left", "in the middle", "on the right"]
    assert tuple(ASPECTS) == NAMED_ASPECTS


def test_what_is_seen_is_what_the_drawer_knows():
    labels = scenes().labels(np.arange(0, 300, 3))
    for row, scene in enumerate(seen(labels)):
        there = [slot for slot in range(4) if labels["kind"][row, slot] >= 0]
        there.sort(key=lambda slot: labels["x"][row, slot])
        named = [f"{list(COLOURS)[labels['colour'][row, slot]]} {KINDS[labels['kind'][row, slot]]}" for slot in there]
        assert [thing.name for thing in scene.things] == named
        assert scene.light == ("left", "right")[labels["light"][row]]
    texts = scene_captions(labels, Stream.span("train", 0, 0, 100), ("light",))
    assert all(("left" in text) != ("right" in text) for text in texts)
    assert len(set(texts)) == 2 * WORDINGS


def test_captions_are_the_same_in_every_batch():
    lessons = SceneCaptions(scenes(), 16, NAMED_ASPECTS, 3)
    whole, part = lessons.rows(0, 12), lessons.rows(4, 3)
    assert part.replies == whole.replies[4:7]
    assert part.observations["prompt"] == whole.observations["prompt"][4:7]
    assert (part.observations["image"] == whole.observations["image"][4:7]).all()


def test_names_of_pictures_are_captions(tmp_path):
    (tmp_path / "animals").mkdir()
    for name in ("redFox_02.png", "animals/0042.png", "owl.png", "long.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "owl.txt").write_text("An owl\u2019s head. It sleeps.\nfr=Un hibou\n", encoding="utf-8")
    (tmp_path / "long.txt").write_text("word " * 100)
    assert caption_of(tmp_path / "redFox_02.png", tmp_path) == "A red fox."
    assert caption_of(tmp_path / "animals/0042.png", tmp_path) == "An animals."
    assert caption_of(tmp_path / "owl.png", tmp_path) == "An owl's head."
    assert caption_of(tmp_path / "long.png", tmp_path) == "A long."
    assert words_of("tree-OldOak3") == "tree old oak"
    assert first_sentence("\n\n") == ""
    with pytest.raises(ValueError, match=r"0042\.png has a name without words"):
        caption_of(tmp_path / "0042.png", tmp_path)


@pytest.fixture(scope="module")
def named_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("named")
    random = np.random.default_rng(0)
    for number in range(40):
        kind = ("fox", "owl")[number % 2]
        (folder / kind).mkdir(exist_ok=True)
        pixels = random.integers(0, 256, (24, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / kind / f"{number:03d}.png")
    return folder


def test_a_folder_with_names_is_a_lesson_of_its_train_split(named_folder):
    source, names = named_source(f"folder:{named_folder}?dedup=false")
    rows = NamedCaptions(source, names, 16, 0).rows(0, 64)
    assert set(rows.replies) == {"A fox.", "An owl."}
    items = source.draw(Stream.span("train", 0, 0, 64).branch("named captions"))
    shown = source.pixels(source.whole(items), 16)
    assert (rows.observations["image"] == shown).all()
    assert [f"{names[item]}" for item in items] == rows.replies
    with pytest.raises(ValueError, match="of a folder of pictures, folder:PATH, got 'digits'"):
        named_source("digits")


def test_lessons_are_questions_of_the_train_split():
    task = make_task("SSL4RL/SceneQA-v0", image_size=32, kinds="sky", bias=0.8)
    rows = Answers(task, 5).rows(8, 16)
    batch = task.sample(Stream.span("train", 5, 8, 16))
    assert (batch.items % len(SPLITS) == 0).all()
    assert (rows.observations["image"] == batch.observation["image"]).all()
    assert rows.replies == [f"<answer>{truth}</answer>" for truth in task.truths(batch)]


def test_practice_knows_nothing_of_the_question():
    task = make_task("SSL4RL/SceneQA-v0", image_size=32, kinds="sky")
    rows = Practice(task, 5).rows(0, 400)
    truths = task.truths(task.sample(Stream.span("train", 5, 0, 400)))
    right = np.mean([reply == f"<answer>{truth}</answer>" for reply, truth in zip(rows.replies, truths, strict=True)])
    assert 0.4 < right < 0.6
    offered = task.choices(task.sample(Stream.span("train", 5, 0, 400)))
    assert all(reply[8:-9] in each for reply, each in zip(rows.replies, offered, strict=True))


def test_unrelated_pictures_are_those_of_other_rows():
    pictures = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
    rows = Rows({"image": pictures, "prompt": tuple("abcdefgh")}, list("ABCDEFGH"))
    half = rows.unrelated(0.5)
    assert half.observations["image"].ravel().tolist() == [3, 0, 1, 2, 4, 5, 6, 7]
    assert half.observations["prompt"] == rows.observations["prompt"]
    assert half.replies == rows.replies
    assert rows.unrelated(0.0) is rows


def test_steps_go_through_the_rows_of_each_kind_in_order_and_leave_no_thread():
    lessons = [SceneCaptions(scenes(), 8, (aspect,), 0) for aspect in ("sky", "light")]
    order = [0] * 10 + [1, 0] * 12
    several = list(steps_of(lessons, order, 2))
    for which, lesson in enumerate(lessons):
        count = 2 * order.count(which)
        shown = [rows for rows, shows in zip(several, order, strict=True) if shows == which]
        assert [reply for rows in shown for reply in rows.replies] == lesson.rows(0, count).replies
        pictures = np.concatenate([rows.observations["image"] for rows in shown])
        assert (pictures == lesson.rows(0, count).observations["image"]).all()
    assert not threads()


def test_rows_are_made_together_as_they_are_needed_and_none_that_is_not_shown():
    assert blocks_of([0, 0, 1, 0, 0, 0, 1], most=3) == [(0, 0, 3), (1, 0, 2), (0, 3, 2)]


class Counted:
    """Lessons that remember who made which rows."""

    def __init__(self, *, broken: int | None = None) -> None:
        self.made: list[tuple[int, int, bool]] = []
        self.broken = broken

    def rows(self, first: int, count: int) -> Rows:
        self.made.append((first, count, threading.current_thread() is threading.main_thread()))
        if first == self.broken:
            raise OSError("a picture cannot be read")
        return Rows({"prompt": ("",) * count}, [str(row) for row in range(first, first + count)])


def test_what_comes_next_is_made_in_a_thread_which_ends_when_the_steps_are_closed():
    lessons = Counted()
    steps = steps_of([lessons], [0] * 40, 2)
    assert [next(steps).replies for _ in range(33)][-1] == ["64", "65"]
    assert threads()
    steps.close()
    assert not threads()
    assert lessons.made == [(0, 32, True), (32, 32, False), (64, 16, False)]


def test_what_goes_wrong_in_the_thread_is_raised_where_its_rows_are_shown():
    steps = steps_of([Counted(broken=32)], [0] * 40, 2)
    assert [next(steps).replies for _ in range(16)][-1] == ["30", "31"]
    with pytest.raises(OSError, match="a picture cannot be read"):
        next(steps)
    assert not threads()


def test_lessons_come_as_often_as_their_shares_say():
    which = which_lessons([0.5, 0.3, 0.2], 100, 0)
    assert np.bincount(which).tolist() == [50, 30, 20]
    assert which.tolist() != sorted(which)
    assert (which != which_lessons([0.5, 0.3, 0.2], 100, 1)).any()


def test_the_step_size_rises_stays_and_falls():
    rates = [rate_at(number, 1000, 2.0) for number in range(1000)]
    assert rates[0] == pytest.approx(0.04)
    assert set(rates[50:800]) == {2.0}
    assert rates[900] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.1)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Pretraining]:
    folder = tmp_path_factory.mktemp("runs") / "base"
    pretraining = Pretraining(TINY, folder, quiet=True)
    pretraining.run()
    return folder, pretraining


def test_a_pretraining_leaves_a_run_folder(made):
    folder, pretraining = made
    config = read_config(folder)
    assert (config.algorithm, config.iterations, config.policy.model) == ("sft", 6, "nano")
    assert "bias" not in config.env_args
    agent = load_run(folder)
    for (name, one), (_, two) in zip(pretraining.policy.state_dict().items(), agent.policy.state_dict().items(), strict=True):
        assert torch.equal(one, two), name
    task = make_task(config.env, **config.env_args)
    shown = agent.act({"image": np.zeros((2, 32, 32, 3), np.uint8), "prompt": ("What time is it?",) * 2}, deterministic=True)
    assert len(shown) == 2
    assert task.bias == 0.5
    (line,) = read_metrics(folder)
    assert line["iteration"] == 6
    assert {"loss/answers", "loss/captions"} <= set(line)


def test_captions_that_are_longer_than_any_answer_are_taught_whole(tmp_path, monkeypatch):
    settings = dataclasses.replace(TINY, captions=0.9, steps=2, unrelated_steps=0, vocabulary=300)  # a token a letter, nearly
    pretraining = Pretraining(settings, tmp_path, quiet=True)
    lengths, write = [], pretraining.policy.encode_answers

    def written(replies):
        tokens, mask = write(replies)
        lengths.append(int(mask.sum(1).max()))
        return tokens, mask

    monkeypatch.setattr(pretraining.policy, "encode_answers", written)
    pretraining.run()
    assert max(lengths) > read_config(tmp_path).policy.max_new_tokens  # which is what it says of itself


def test_a_run_says_what_it_was_pretrained_on(made, tmp_path):
    folder, _ = made
    (first, captions, questions) = pretrained_on(folder)
    assert (first["env_args"]["bias"], questions["env_args"]["bias"]) == (0.7, 0.8)
    assert (first["share"], questions["share"]) == (pytest.approx(1 / 3, abs=1e-6), pytest.approx(1 / 6, abs=1e-6))
    assert captions == {"captions": "scenes", "share": 0.5}
    (checkpoint,) = (folder / "checkpoints").iterdir()
    assert pretrained_on(checkpoint) == [first, captions, questions]
    (tmp_path / "start.json").write_text(json.dumps({"checkpoint": str(checkpoint)}))
    assert pretrained_on(tmp_path) == [first, captions, questions]
    assert pretrained_on(checkpoint.parent) == []


def test_the_same_seed_makes_the_same_model(made, tmp_path):
    _, first = made
    again = Pretraining(TINY, tmp_path / "again", quiet=True)
    again.run()
    other = Pretraining(dataclasses.replace(TINY, seed=1), tmp_path / "other", quiet=True)
    one, two, three = (dict(each.policy.named_parameters()) for each in (first, again, other))
    assert all(torch.equal(one[name], two[name]) for name in one)
    name = "model.model.vision_tower.layers.0.weight"
    assert not torch.equal(one[name], three[name])


def test_a_tokenizer_knows_the_words_of_all_tasks(tmp_path):
    settings = dataclasses.replace(TINY, tasks=("Rotation",), practice=0.25)
    pretraining = Pretraining(settings, tmp_path / "run", quiet=True)
    tokenizer = pretraining.policy.processor.tokenizer
    prompt = make_task("Rotation").prompts(make_task("Rotation").sample(Stream.span("train", 9, 0, 1)), "direct")[0]
    assert len(tokenizer(prompt)["input_ids"]) < len(prompt) / 6
    assert [course.told.get("practice") for course in pretraining.phases[-1].courses] == [None, "Rotation", None]


def assembled(tmp_path: Path, name: str = "run", **changes: object) -> Pretraining:
    """A pretraining of a tiny model with pretrained weights, in a folder as `ssl4rl assemble` leaves one."""
    folder = tmp_path / "model"
    if not folder.exists():
        zoo.save("llava", folder)
    settings = dataclasses.replace(TINY, model=str(folder), image_size=32, kinds="sky", captions=0.0, **changes)
    return Pretraining(settings, tmp_path / name, quiet=True)


@pytest.mark.parametrize(
    ("learns", "parts"),
    [
        ("connector", {"connector"}),
        ("language", {"connector", "language", "embeddings"}),
        ("all", {"vision", "connector", "language", "embeddings"}),
    ],
)
def test_what_learns_of_a_pretrained_model_is_what_was_chosen(tmp_path, learns, parts):
    pretraining = assembled(tmp_path, learns=learns)
    there = parts_of(pretraining.policy.model)
    before = {part: [weights.detach().clone() for weights in there[part]] for part in there}
    pretraining.run()
    assert set(there) == {"vision", "connector", "language", "embeddings"}
    moved = {
        part
        for part, weights in there.items()
        if not all(torch.equal(one, two) for one, two in zip(weights, before[part], strict=True))
    }
    assert moved == parts
    assert read_config(tmp_path / "run").policy.freeze == pretraining.config.policy.freeze


def test_weights_that_are_pretrained_take_a_share_of_the_step_size(tmp_path):
    pretraining = assembled(tmp_path, learns="language", pretrained_rate=0.25)
    pretraining.run()
    connector, language = pretraining.optimizer.param_groups
    of_connector = {id(weights) for weights in parts_of(pretraining.policy.model)["connector"]}
    assert of_connector < {id(weights) for weights in connector["params"]}
    assert not of_connector & {id(weights) for weights in language["params"]}
    assert language["lr"] == pytest.approx(connector["lr"] / 4)
    (line,) = read_metrics(tmp_path / "run")
    assert line["learning_rate"] == connector["lr"]


def test_passes_are_in_the_precision_that_was_chosen(tmp_path):
    pretraining = assembled(tmp_path, precision="bfloat16")
    seen: list[torch.dtype] = []
    connector = pretraining.policy.model.model.multi_modal_projector
    connector.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    pretraining.run()
    assert set(seen) == {torch.bfloat16}
    assert {weights.dtype for weights in pretraining.policy.parameters()} == {torch.float32}


def test_a_pretraining_that_goes_on_leaves_alone_what_it_is_told(tmp_path):
    first = assembled(tmp_path, learns="language")
    first.run()
    settings = dataclasses.replace(TINY, start=str(tmp_path / "run"), image_size=32, learns="connector")
    second = Pretraining(settings, tmp_path / "second", quiet=True)
    learning = {id(weights) for weights in second.policy.model.parameters() if weights.requires_grad}
    assert learning == {id(weights) for weights in parts_of(second.policy.model)["connector"]}


def test_all_of_nano_learns_at_the_whole_step_size(made):
    _, pretraining = made
    (group,) = pretraining.optimizer.param_groups
    assert {id(weights) for weights in group["params"]} == {id(weights) for weights in pretraining.policy.parameters()}
    assert group["rate"] == 1.0


def test_habits_are_shares_of_balanced_questions(made):
    _, pretraining = made
    task = make_task("SSL4RL/SceneQA-v0", image_size=32, kinds="light+sky")
    found = measure_habits(pretraining.policy, task, 32)
    assert found["light"].questions + found["sky"].questions == found["all"].questions == 32
    batch = task.sample(Stream.span("test", 0, 0, 32))
    shown = {"image": batch.observation["image"], "prompt": tuple(task.prompts(batch, "direct"))}
    options = task.choices(batch)
    best = option_logprobs(pretraining.policy, shown, options).argmax(1).tolist()
    right = np.array([each[place] == truth for each, place, truth in zip(options, best, task.truths(batch), strict=True)])
    habitual = batch.memory["favoured"] == batch.target
    assert found["all"].balanced == pytest.approx(right.mean())
    assert found["all"].congruent == pytest.approx(right[habitual].mean())
    assert found["all"].incongruent == pytest.approx(right[~habitual].mean())
    others = {**shown, "image": altered(shown, "swapped", np.random.default_rng(0))["image"]}
    best = option_logprobs(pretraining.policy, others, options).argmax(1).tolist()
    right = np.array([each[place] == truth for each, place, truth in zip(options, best, task.truths(batch), strict=True)])
    assert found["all"].swapped == pytest.approx(right.mean())


def test_every_number_has_a_range():
    numbers = {field.name for field in dataclasses.fields(PretrainConfig) if field.type in ("int", "float", "int | None")}
    assert set(RANGES) == numbers


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aspects": ("things", "ligth")}, "aspects must be some of .*, got 'ligth'; did you mean 'light'"),
        ({"captions": 0.8, "practice": 0.3}, "must not be more than 1 together"),
        ({"steps": 0, "unrelated_steps": 0}, "both 0"),
        ({"unrelated": 1.5}, r"unrelated must lie in \[0, 1\], got 1.5"),
        ({"bias": 0.4}, r"bias must lie in \[0.5, 0.95\], got 0.4"),
        ({"hidden": 48}, "hidden must be a multiple of 32, got 48"),
        ({"image_size": 36}, "image_size must be a multiple of 8 for nano, .* got 36"),
        ({"aspects": ()}, "tell of nothing"),
        ({"language_layers": 2}, "language_layers is of the model assembled; leave it out for nano"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **changes)
