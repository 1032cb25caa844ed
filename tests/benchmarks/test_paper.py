"""The paper as commands: its declaration, its halves in toy size, its rules of reward by hand."""

from __future__ import annotations

import hashlib
import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl4rl_agents.settings import TrainConfig
from ssl4rl_benchmarks.bench.rows import read_rows
from ssl4rl_benchmarks.cli import main
from ssl4rl_benchmarks.paper import audit as audits
from ssl4rl_benchmarks.paper import theirs
from ssl4rl_benchmarks.paper.cost import hours_of_run, seconds_of_step
from ssl4rl_benchmarks.paper.declaration import ABLATIONS, HALVES, IMAGES, MODEL, PROMPT_TOKENS, QUESTIONS, READER
from ssl4rl_benchmarks.paper.sides import sides_of
from ssl4rl_benchmarks.paper.sizes import SIZES
from ssl4rl_benchmarks.paper.trials import Asked, Trial, trials_of
from ssl4rl_benchmarks.reports.paper import markdown
from ssl4rl_benchmarks.reports.paper_transfer import moves, transfer
from ssl4rl_envs import Stream, make_task
from tests.conftest import real_scenes

PATCH = 28
"""Pixels along each side of what is one token of Qwen2.5-VL."""


def every_trial(half, size, **more):
    return trials_of(Asked(half, size, ablations=tuple(ABLATIONS[half]), **more))


@pytest.mark.parametrize("half", HALVES)
def test_every_declared_question_is_an_environment_of_one_decision(half):
    wanted = {"source": "scenes"} if half == "images" else {}
    made = {json.dumps([trial.config["env"], trial.config["env_args"]]) for trial in every_trial(half, "toy", seeds=1)}
    assert len(made) >= 8
    for env, args in map(json.loads, made):
        assert make_task(env, **{**args, **wanted}).horizon == 1


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("size", SIZES)
def test_every_trial_is_done_once_comes_back_from_json_and_can_be_trained(half, size):
    trials = every_trial(half, size, source="scenes" if half == "images" else "sbm", seeds=2)
    assert len({trial.key for trial in trials}) == len(trials)
    for trial in trials:
        assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial
        if trial.model not in (MODEL, READER, f"gcn+{READER}"):  # what is not on this machine is not looked for
            assert TrainConfig.from_json(trial.config).resolved().rollout.group_size == 5


def test_full_size_is_what_the_paper_says():
    """The figures are those of its run_mmbench_position.sh, and of verl's defaults where that names none."""
    (trial,) = trials_of(Asked("images", "full", source="scenes", tasks=("position",)))
    config = TrainConfig.from_json(trial.config)
    rollout, optimizer, objective, policy = config.rollout, config.optimizer, config.objective, config.policy
    assert (rollout.prompts, rollout.group_size, rollout.prompts // optimizer.minibatches) == (512, 5, 128)
    assert (optimizer.learning_rate, optimizer.epochs, optimizer.rate_at(0, 300)) == (1e-6, 1, 1e-6)
    assert (objective.advantage, objective.kl_coefficient, objective.kl_loss) == ("grpo", 0.01, "k3")
    assert (objective.entropy_coefficient, objective.clip_low, objective.clip_high) == (0.0, 0.2, 0.2)
    assert (policy.model, policy.max_new_tokens, config.prompt_style) == (MODEL, 2048, "think")
    assert config.iterations == 300


@pytest.mark.parametrize("question", IMAGES, ids=lambda question: question.name)
def test_prompts_of_full_size_are_no_longer_than_the_papers(question):
    side = SIZES["full"].image_size
    task = make_task(question.env, source="scenes", image_size=64, **question.args)
    batch = task.sample(Stream.span("train", 0, 0, 1))
    (words,) = task.prompts(batch, "think")
    pictures = sum(values.ndim == 4 for values in batch.observation.values())
    assert pictures == (1 if question.name == "jigsaw" else 2)
    assert pictures * (side // PATCH) ** 2 + len(words) / 2 < PROMPT_TOKENS  # a token is more than two letters of English


def test_networks_from_scratch_keep_their_step_size_and_others_have_the_papers(tmp_path):
    (tmp_path / "model").mkdir()
    asked = Asked("graphs", "full", models=("gcn", "nano", str(tmp_path / "model")), tasks=("edge",))
    rates = [TrainConfig.from_json(trial.config).optimizer.learning_rate for trial in trials_of(asked)]
    assert rates == [None, None, 1e-6]


def test_a_graph_network_and_a_reader_joined_are_one_that_reads_the_others_tokens(tmp_path):
    (tmp_path / "model").mkdir()
    asked = Asked("graphs", models=("gin+nano", f"gcn+{tmp_path / 'model'}"), tasks=("edge",), ablations=("model",))
    one, other = (TrainConfig.from_json(trial.config) for trial in trials_of(asked))
    wider = one.policy.nano_hidden, one.policy.gnn_hidden
    assert (one.policy.model, one.policy.graph_tokens, *wider) == ("nano", "gin", 128, 256)
    assert one.optimizer.learning_rate is None
    assert (other.policy.model, other.policy.graph_tokens) == (str(tmp_path / "model"), "gcn")
    assert other.optimizer.learning_rate == 1e-6


def test_what_ablations_change_by_hand():
    volume = trials_of(Asked("images", ablations=("volume",), tasks=("rotation",)))
    assert [(trial.change, trial.config["iterations"]) for trial in volume] == [
        ("a quarter of the questions", 15),
        ("half of the questions", 30),
    ]
    (larger,) = trials_of(Asked("images", ablations=("model",), tasks=("rotation",)))
    assert larger.config["policy"]["nano_hidden"] == 128
    (jigsaw,) = trials_of(Asked("images", ablations=("difficulty",), tasks=("jigsaw",)))
    assert (jigsaw.config["env_args"]["grid"], jigsaw.config["env_args"]["image_size"]) == (3, 30)
    mixtures = trials_of(Asked("images", ablations=("mixture",)))
    assert mixtures[0].config["env_args"]["tasks"] == ["PatchPosition", "Rotation"]
    assert trials_of(Asked("images", ablations=("mixture",), tasks=("jigsaw",))) == []


def test_what_there_is_not_is_refused(tmp_path, capsys):
    calls = {
        ("paper",): "say which part of the paper",
        ("paper", "videos"): "say which part of the paper",
        ("paper", "images", "--task", "edge"): "--task must be one of position, rotation, contrastive, jigsaw, got edge",
        ("paper", "graphs", "--ablation", "mixture"): "--ablation must be one of main, difficulty, model, volume, transfer",
        ("paper", "graphs", "--beyond", "nodes:cora"): "takes a count of labels or lessons",
        ("paper", "images", "--across", "cora"): "--across names other graphs",
        ("paper", "images", "--size", "full"): "needs pictures of yours: --source 'folder:PATH?side=native'",
        ("paper", "images", "--iterations", "0"): "iterations must be a whole number of at least 1, got 0",
        ("paper", "images", "--settings", str(tmp_path / "s.json")): "s.json is no JSON",
    }
    (tmp_path / "s.json").write_text("{")
    for words, said in calls.items():
        assert main([*words]) == 2
        assert said in capsys.readouterr().err


def test_a_plan_of_full_size_tells_what_it_takes_and_does_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["paper", "images", "--size", "full", "--source", "scenes", "--plan", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert [each["task"] for each in planned] == [question.name for question in QUESTIONS["images"]]
    assert planned[0]["hours"] == [5.3, 69.4]
    assert list(tmp_path.iterdir()) == []


def test_the_cost_by_hand():
    assert seconds_of_step(64, 8, 8) == pytest.approx(1.12)
    assert seconds_of_step(16, 8, 512) == pytest.approx(10.5)
    assert seconds_of_step(512, 5, 8) == pytest.approx(5.6)
    assert hours_of_run(300, 512, 5, 512) == pytest.approx(300 * 20 * 10.5 / 3600)


# The halves


def small(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"rollout": {"prompts": 8}, "format_warmup": 2, "eval_episodes": 8}))
    return ["--iterations", "1", "--episodes", "24", "--cores", "1", "--settings", str(file)]


def test_the_images_run_in_toy_size_and_go_on_where_they_were(tmp_path, capsys):
    out = tmp_path / "images"
    words = ["paper", "images", "--task", "rotation", "--out", str(out), *small(tmp_path)]
    assert main(words) == 0
    (row,) = read_rows([out])
    before, after = row["before"], row["result"]
    assert before["episodes"] == len(after["right"]) == len(after["items"]) == 24
    assert after["success"] == pytest.approx(after["right"].count("1") / 24)
    assert "--settings" in row["command"]
    assert (out / row["run"] / "config.json").exists()
    report = (out / "paper_images.md").read_text()
    assert f"| rotation | nano | 0 | 0.250 | {before['success']:.3f} | {after['success']:.3f} (" in report
    written = (out / "rows.jsonl").read_text()
    assert main(words) == 0
    assert (out / "rows.jsonl").read_text() == written


def test_graphs_ask_a_graph_network_and_a_reader_of_words_the_same_instances(tmp_path):
    out = tmp_path / "graphs"
    assert main(["paper", "graphs", "--task", "edge", "--out", str(out), *small(tmp_path)]) == 0
    gcn, nano, hybrid = read_rows([out])
    assert [gcn["model"], nano["model"], hybrid["model"]] == ["gcn", "nano", "gcn+nano"]
    assert gcn["result"]["items"] == nano["result"]["items"] == hybrid["result"]["items"]
    (both,) = sides_of([gcn, nano])
    a, b = ([right == "1" for right in row["result"]["right"]] for row in (gcn, nano))
    assert both.both == pytest.approx(np.mean([x and y for x, y in zip(a, b, strict=True)]))
    assert both.both + both.first + both.second + both.neither == pytest.approx(1)
    assert both.difference.mean == pytest.approx(np.mean(a) - np.mean(b))
    assert "The same questions side by side" in (out / "paper_graphs.md").read_text()


def row(model, right, items, change=""):
    result = {"right": right, "items": items, "success": 0.5, "interval": [0.4, 0.6], "normalised": 0.0, "readable": 1.0}
    names = {"agent": f"{model}, edge", "task": "edge", "change": change, "model": model, "seed": 0, "ablation": "main"}
    more = {"chance": 0.5, "before": result, "result": result, "seconds": {"learning": 1.0}, "run": "runs/x"}
    return {**names, **more, "status": "done"}


def test_sides_by_hand():
    (found,) = sides_of([row("gcn", "1101", [1, 2, 3, 4]), row("nano", "1010", [1, 2, 3, 4])])
    assert (found.both, found.first, found.second, found.neither) == (0.25, 0.5, 0.25, 0.0)
    assert found.difference.mean == 0.25
    with pytest.raises(ValueError, match="not asked the same questions"):
        sides_of([row("gcn", "11", [1, 2]), row("nano", "11", [1, 3])])
    assert sides_of([row("gcn", "11", [1, 2]), row("nano", "11", [1, 2], "8 groups")]) == []


def test_a_run_that_failed_is_in_the_report():
    failed = {**row("gcn", "1", [1]), "status": "failed", "error": "no memory"}
    assert "failed: no memory" in markdown("graphs", [failed])


# Transfer over graphs


def test_what_is_measured_beside_the_task_by_hand():
    found = {
        (trial.task, trial.model, trial.change): trial.beyond
        for trial in trials_of(Asked("graphs", ablations=("transfer",), across=("karate", "sbm")))
    }
    own = ("nodes:sbm@20", "links:sbm@250")  # sbm, which toy size trains on, is no other graph
    assert found["edge", "gcn", ""] == (
        *own,
        "links:sbm",
        "distance:sbm@250",
        "task:EdgePrediction over karate",
        "nodes:karate@20",
        "links:karate@250",
    )
    assert found["attribute", "gcn", ""][:3] == (*own, "distance:sbm@250")
    assert found["attribute", "nano", ""][:4] == (*own, "links:sbm", "distance:sbm")
    assert found["edge", "gcn", "paid by a coin"] == found["edge", "gcn", ""]
    assert ("edge", "nano", "paid by a coin") not in found
    (coin,) = trials_of(Asked("graphs", ablations=("transfer",), tasks=("edge",), models=("gcn",)))[1:]
    assert coin.config["control"]["reward"] == "coin"
    assert "task:EdgePrediction over sbm:1000" in coin.beyond
    (main,) = trials_of(Asked("graphs", tasks=("edge",), models=("gcn",), beyond=("links:cora",), across=("karate",)))
    assert main.beyond[:2] == ("links:cora", "task:EdgePrediction over karate")


def test_trials_that_measure_nothing_else_keep_their_names():
    plain, more = (
        trials_of(Asked("graphs", tasks=("edge",), models=("gcn",), beyond=names))[0] for names in ((), ("links:a",))
    )
    decides = [plain.config, plain.episodes, plain.revision]
    assert plain.key == hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]
    assert more.key != plain.key


def test_what_else_graphs_tell_is_measured_and_reported(tmp_path):
    out, words = tmp_path / "graphs", ["paper", "graphs", "--task", "edge", "--model", "gcn", "--source", "sbm:300"]
    asked = ["links:sbm:300", "distance:sbm:300@5", "task:EdgePrediction over sbm:200"]
    words += ["--across", "karate", "--beyond", *asked, *small(tmp_path)]
    assert main([*words, "--out", str(out)]) == 0
    (row,) = read_rows([out])
    found = {entry["what"]: entry for entry in row["beyond"]}
    assert list(found) == [
        *asked,
        "task:EdgePrediction over karate",
        "nodes:karate@20",
        "links:karate@250",
    ]
    links = found["links:sbm:300"]
    assert len(links["before"]["parts"]) == len(links["after"]["parts"]) == len(links["units"]) == 24
    assert links["after"]["value"] == pytest.approx(np.mean(links["after"]["parts"]), abs=1e-3)
    assert set(found["distance:sbm:300@5"]["beside"]) == {"raw features"}
    assert "network was trained on 64 others" in found["links:karate@250"]["error"]
    assert "beyond" not in row["before"]
    assert "beyond" not in row["result"]
    report = (out / "paper_graphs.md").read_text()
    assert f"| edge | gcn | links:sbm:300 | 1 | {links['before']['value']:.3f} | {links['after']['value']:.3f} |" in report
    assert "nodes:karate@20, links:karate@250, of gcn: ValueError: graph 'karate' has" in report


def moved_row(seed, before, after, change=""):
    sides = [{"value": value, "parts": [value, value]} for value in (before, after)]
    entry = {"what": "nodes:a@2", "units": [0, 1], "before": sides[0], "after": sides[1], "beside": {"raw features": 0.4}}
    return {**row("gcn", "11", [0, 1], change), "seed": seed, "beyond": [entry]}


def test_what_was_moved_by_hand():
    rows = [moved_row(0, 0.5, 0.7), moved_row(1, 0.6, 0.9)]
    rows += [moved_row(seed, 0.5, after, "paid by a coin") for seed, after in ((0, 0.55), (1, 0.65))]
    (found,) = moves(rows)
    assert (found.seeds, found.before, found.after, found.coin) == (2, 0.55, pytest.approx(0.8), pytest.approx(0.6))
    assert found.gain.value == pytest.approx(0.25)
    assert found.gain.high - 0.25 == pytest.approx(12.706 * 0.05, rel=1e-3)  # t of one degree of freedom, error 0.05
    assert found.above.value == pytest.approx(0.2)
    (alone,) = moves(rows[:1])
    assert alone.gain.value == pytest.approx(0.2)
    assert (alone.coin, alone.above) == (None, None)
    assert transfer([row("gcn", "11", [0, 1])]) == []


@pytest.mark.parametrize("name", ["paper_graphs", "paper_graphs_across"])
def test_published_tables_are_what_their_rows_give(name):
    published = Path(__file__).parents[2] / "docs" / "results"
    assert markdown("graphs", read_rows((published / f"{name}.jsonl",))) == (published / f"{name}.md").read_text()


# Its rewards and data


def test_what_the_papers_rule_pays_for_orders_by_hand():
    def paid(words, truth="3,2,1,4"):
        return theirs.paid_order(f"<think>hm</think> <answer>{words}</answer>", truth)

    assert paid("3,2,1,4") == 1
    assert paid("1,1,1,1") == 0.25  # place 3
    assert paid("3,2,1,4,1,2,3") == 1
    assert paid("3,2") == 0.5
    assert paid("three,2, 1 ,4") == 0.75
    assert theirs.paid_order("3,2,1,4", "3,2,1,4") == 0
    assert {theirs.paid_order("<answer>1,1,1,1</answer>", ",".join(map(str, o))) for o in permutations((1, 2, 3, 4))} == {
        0.25
    }


def test_what_the_papers_rule_pays_for_choices_by_hand():
    assert theirs.paid_choice("<think>x</think> <answer> 90 </answer>", "90") == 1
    assert theirs.paid_choice("<think><answer>90</answer></think>", "90") == 1
    assert theirs.paid_choice("<answer>90</answer> <answer>180</answer>", "90") == 1
    assert theirs.paid_choice("<answer>180</answer> <answer>90</answer>", "90") == 0
    assert theirs.paid_choice("<answer>90</answer>\nassistant\n90", "90") == 0
    assert theirs.paid_choice("<answer>90 degrees</answer>", "90") == 0


@pytest.mark.parametrize("size", [(640, 480), (500, 375), (375, 500), (427, 641), (333, 333)])
def test_frames_are_those_that_pillow_makes(size):
    """`Image.rotate` fits the frame; the crop rounds as `Image.crop` does."""
    width, height = size
    for angle in theirs.ANGLES:
        turned = Image.new("L", size).rotate(angle, expand=True)
        inner = theirs._largest(width, height, np.radians(angle))
        box = [(turned.width - inner[0]) / 2, (turned.height - inner[1]) / 2]
        box += [(turned.width + inner[0]) / 2, (turned.height + inner[1]) / 2]
        assert theirs.frame(width, height, angle) == turned.crop(box).size


def test_what_frames_tell_by_hand():
    assert [theirs.frame(500, 375, angle) for angle in theirs.ANGLES] == [(500, 375), (374, 500), (500, 374), (374, 500)]
    told = [theirs.told_by_frame(*size) for size in ((512, 512), (640, 480), (500, 375))]
    assert told == [0.25, 0.5, 0.75]
    assert (theirs.told_by_black(640, 480), theirs.told_by_black(512, 512)) == (0.5, 0.25)


def test_what_lists_and_pairs_tell_by_hand():
    assert theirs.seen_in_training((("train",), ("validation",))) == 0
    assert {theirs.seen_in_training(lists) for lists in theirs.LISTS.values()} == {1.0}
    assert theirs.false_negatives(["a", "a", "b", "b"]) == pytest.approx(2 / 6)
    assert theirs.false_negatives(["a", "b"]) == 0


@pytest.fixture(scope="module")
def findings():
    with real_scenes():  # as on the page
        return audits.audit()


@pytest.fixture(scope="module")
def found(findings):
    return {(each.task, each.what): each for each in findings}


def test_the_page_shows_what_rules_pay(findings):
    page = (Path(__file__).parents[2] / "docs" / "paper.md").read_text()
    for each in findings:
        assert f"| {each.task} | {each.what} | {each.theirs:.3f} | {each.ours:.3f} |" in page, (
            "put there what ssl4rl paper audit prints"
        )


def test_ours_pays_the_right_answer_and_nothing_that_is_none(found):
    for (task, what), each in found.items():
        if what.startswith("the right answer, with") or what in ("the right answer", "the right order"):
            assert each.ours == 1, (task, what)
        elif what.startswith("always"):
            assert each.ours == pytest.approx(each.chance, abs=0.035), (task, what)  # three errors of 2,048 questions
        elif each.note.startswith("builders"):
            assert each.ours == each.chance
        else:
            assert each.ours == 0, (task, what)


def test_the_papers_column_by_hand(found):
    theirs_of = {key: each.theirs for key, each in found.items()}
    assert theirs_of["jigsaw", "1, 4 times"] == 0.25
    assert theirs_of["jigsaw, 3 x 3", "1, 9 times"] == pytest.approx(1 / 9)
    assert theirs_of["jigsaw", "always 1, 2, 3, ..."] == 0.25
    assert theirs_of["jigsaw", "the right order, and more numbers"] == 1
    assert theirs_of["jigsaw", "the right order, but for a word in the first place"] == 0.75
    assert theirs_of["position", "always top-left"] == 0.25
    assert theirs_of["contrastive", "always positive"] == 0.5
    assert theirs_of["rotation", "the right answer, with its unit"] == 0
    assert theirs_of["rotation", "the right answer within the thinking, and no other"] == 1


def test_our_refusal_of_blank_pictures_is_for_their_blankness():
    blank = audits._blank_pictures()
    with pytest.raises(ValueError, match="blank"):
        make_task("SSL4RL/Rotation-v0", source=blank, image_size=64)
    sides = np.arange(64, dtype=np.uint8)
    make_task(
        "SSL4RL/Rotation-v0", source=blank + sides[None, :, None, None] + sides[None, None, :, None] // 2, image_size=64
    )


def test_the_audit_is_printed_and_written(tmp_path, capsys):
    assert main(["paper", "audit", "--episodes", "16", "--out", str(tmp_path / "audit.md")]) == 0
    said = capsys.readouterr().out
    assert said == (tmp_path / "audit.md").read_text()
    assert "| jigsaw | 1, 4 times | 0.250 | 0.000 | 0.125 |" in said
