"""The declared experiment: its trials, its statistics by hand, its report."""

import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl4rl_agents.choosing import altered, option_logprobs
from ssl4rl_agents.policies.build import build_policy
from ssl4rl_agents.policy_settings import PolicyConfig
from ssl4rl_benchmarks import cli
from ssl4rl_benchmarks.bench.rows import read_rows
from ssl4rl_benchmarks.better import declaration, worker
from ssl4rl_benchmarks.better.analysis import Table, claims, difference
from ssl4rl_benchmarks.better.declaration import CONTROLS, KINDS, PRETEXTS, TAUGHT
from ssl4rl_benchmarks.better.measuring import LIGHT, SEED, SPLIT, Records, ask, summaries
from ssl4rl_benchmarks.better.studies import NANO, STUDIES, study_of
from ssl4rl_benchmarks.better.trials import BASE, Study, Trial, arm_of, arms_of, bases_of
from ssl4rl_benchmarks.better.worker import base_settings, settings_of, stages_of
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.better import BetterFlags
from ssl4rl_benchmarks.reports.better import ROWS, TABLES, markdown, write_report
from ssl4rl_benchmarks.reports.better_pictures import SAID, moved, opening
from ssl4rl_envs import Stream, make_task, task_class

STUDY = Study()
NUMBERS = ("accuracy", "congruent", "incongruent", "blank", "swapped", "subtracted", "gain", "greedy", "readable")


def row(arm, base, accuracy, seed=0, status="done"):
    kinds = {kind: {**dict.fromkeys(NUMBERS, 0.5), "accuracy": accuracy} for kind in KINDS}
    return {"agent": arm, "base": base, "seed": seed, "status": status, "kinds": kinds}


def test_one_base_has_no_interval():
    found = difference({3: 0.2})
    assert found.mean == 0.2
    assert math.isnan(found.low)
    assert math.isnan(found.p)


def test_a_difference_of_three_bases_by_hand():
    found = difference({0: 0.1, 1: 0.2, 2: 0.3})
    reach = 4.302653 * 0.1 / math.sqrt(3)  # Student's t with two degrees of freedom
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2 - reach, 0.2 + reach), abs=1e-6)
    assert found.p == pytest.approx(0.07418, abs=1e-5)


def test_differences_are_paired_by_base_and_seeds_are_averaged_first():
    rows = [row(BASE, 0, 0.5), row(BASE, 1, 0.7), row(BASE, 2, 0.1)]
    rows += [row("x, verified", 0, 0.6), row("x, verified", 0, 0.8, seed=1), row("x, verified", 1, 0.8)]
    rows += [row("x, verified", 2, 0.9, status="failed")]
    found = Table(rows).between("x, verified", BASE)
    assert not math.isnan(found.p)
    assert found.mean == pytest.approx((0.2 + 0.1) / 2)


def test_what_was_not_done_is_no_difference():
    assert Table([row(BASE, 0, 0.5)]).between("nobody", BASE) is None


def test_declared_pretexts_are_environments_and_kinds_there_are():
    for pretext in PRETEXTS:
        assert make_task(pretext.env, **pretext.args, **STUDY.pictures).horizon == 1
        assert set(pretext.near) | set(pretext.far) <= {*KINDS, *LIGHT}
        assert not set(pretext.near) & set(pretext.far)
    assert set(TAUGHT) < set(KINDS)
    assert task_class(declaration.QUESTIONS)


def test_every_trial_is_done_once_and_comes_back_from_json():
    trials = [*bases_of(STUDY, 2), *arms_of(STUDY, 2, 2)]
    assert len({trial.key for trial in trials}) == len(trials)
    for trial in trials:
        assert Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial
    assert len(arms_of(STUDY, 2, 2)) == 4 * sum(len(pretext.controls) for pretext in PRETEXTS)


def test_arms_of_one_base_share_it_and_others_do_not():
    one, other = arms_of(STUDY, 1, 2, controls=["verified"])[0], arms_of(STUDY, 2, 1, controls=["verified"])
    assert {trial.base_key for trial in other if trial.base == 0} == {one.base_key}
    assert len({trial.base_key for trial in other}) == 2


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="no pretext 'darker half'"):
        arms_of(STUDY, 1, 1, pretexts=["darker half"])
    with pytest.raises(ValueError, match="no control"):
        arms_of(STUDY, 1, 1, controls=["none"])


def test_the_report_says_what_moved():
    pretext = PRETEXTS[1].name
    rows = [row(BASE, base, 0.5 + base / 100) for base in range(3)]
    rows += [row(f"{pretext}, verified", base, 0.6 + base / 100) for base in range(3)]
    rows += [row(f"{pretext}, coin", base, 0.5) for base in range(3)]
    table = Table(rows)
    text = markdown(table)
    assert "+10.0 (+10.0 to +10.0)" in text
    assert CONTROLS["coin"] in text
    assert moved(table).startswith("<svg")
    assert moved(Table(rows[:3])) == opening(table) == ""


def test_the_opening_picture_says_all_that_was_done_with_the_first_pretext(tmp_path):
    pretext = PRETEXTS[0]
    assert set(SAID) == set(pretext.controls)
    rows = [row(arm, base, 0.6) for arm in (BASE, f"{pretext.name}, contrast", f"{pretext.name}, coin") for base in range(3)]
    drawn = opening(Table(rows))
    assert all(words in drawn for words in ("untouched", SAID["contrast"], SAID["coin"], "subtracted"))
    assert SAID["random"] not in drawn
    write_report(rows, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "better.jsonl",
        "better.md",
        "better.svg",
        "better_opening.svg",
    ]


def test_studies_that_vary_one_thing_stand_beside_the_same_bases_of_the_whole(tmp_path):
    arm = f"{PRETEXTS[0].name}, contrast"

    def rows_of(study, bases, above):
        config = {"study": json.loads(json.dumps(asdict(STUDIES[study].study)))}
        found = [row(BASE, base, 0.5 + base / 10) for base in range(bases)]
        found += [row(arm, base, 0.5 + base / 10 + above) for base in range(bases)]
        return [{**each, "config": config} for each in found]

    write_report([*rows_of("nano", 3, 0.1), *rows_of("words-95", 2, 0.2)], tmp_path)
    text = (tmp_path / "better.md").read_text()
    assert "Means over 3 bases" in text
    lines = [line for line in text.split("## What was varied")[1].splitlines() if line.startswith("| ")][2:]
    assert [line.split(" | ")[:4] for line in lines] == [
        ["| as declared", "2", arm, "0.55"],
        [f"| words-95: {STUDIES['words-95'].about}", "2", arm, "0.55"],
    ]
    assert "+10.0 (+10.0 to +10.0)" in lines[0]
    assert "+20.0 (+20.0 to +20.0)" in lines[1]
    (before, *_) = rows_of("words-95", 1, 0.0)
    del before["config"]["study"]["pretext_args"]  # as rows have it that are older than the setting
    assert study_of(before) == "words-95"
    assert {study_of(each) for each in rows_of("again", 1, 0.0)} == {"nano"}  # which is the same study, and more of it
    shared = [{**each, "key": trial.key} for each, trial in zip(rows_of("nano", 2, 0.1), bases_of(NANO, 2), strict=False)]
    write_report([*shared, *rows_of("iterations-10", 2, 0.2)[2:]], tmp_path)  # whose bases are the same and have no rows more
    assert "| iterations-10: " in (tmp_path / "better.md").read_text()
    write_report([*shared, *rows_of("iterations-10", 2, 0.2)[2:]], tmp_path, "iterations-10")
    assert "Means over 2 bases" in (tmp_path / "better.md").read_text()
    failed = [{**each, "status": "failed"} for each in rows_of("iterations-10", 2, 0.2)]
    write_report(failed, tmp_path, "iterations-10")
    assert "None of them is done." in (tmp_path / "better.md").read_text()


def test_the_published_report_is_what_its_rows_give(tmp_path):
    published = Path(__file__).parents[2] / "docs" / "results"
    write_report(read_rows((published / ROWS,)), tmp_path)
    for name in (TABLES, ROWS):
        assert (tmp_path / name).read_text() == (published / name).read_text(), name


def test_the_published_table_of_assembled_models_is_what_its_rows_say():
    published = Path(__file__).parents[2] / "docs" / "results"
    numbers = ("accuracy", "congruent", "incongruent", "blank", "swapped", "subtracted", "gain", "greedy")
    expected = {
        f"| {row['seed']} | {row['arm']} | {kind} | " + " | ".join(f"{values[name]:.2f}" for name in numbers) + " |"
        for row in map(json.loads, (published / "better_assembled.jsonl").read_text().splitlines())
        for kind, values in row["kinds"].items()
    }
    lines = [line for line in (published / "better_assembled.md").read_text().splitlines() if line.startswith("| ")]
    assert set(lines[2:]) == expected


def test_claims_are_decided_by_heights_and_by_lower_ends():
    pretext = PRETEXTS[0]
    first = f"{pretext.name}, {pretext.controls[0]}"
    up = {0: 0.64, 1: 0.66, 2: 0.68}  # 0.14, 0.15, 0.16 above the bases
    rows = [row(BASE, base, 0.5 + base / 100) for base in up] + [row(first, base, value) for base, value in up.items()]
    rows += [row(f"{pretext.name}, coin", base, 0.5) for base in up]
    rows += [row(f"{pretext.name}, own", base, value) for base, value in zip(up, (0.6, 0.67, 0.66), strict=True)]
    found = {claim.says: claim for claim in claims(Table(rows), pretext)}
    assert found["near questions rise by 10 points"].holds
    assert found["near questions rise by 10 points"].found.mean == pytest.approx(0.15)
    assert found["far questions rise more than with a coin"].holds
    assert not found["all: above own"].holds  # 0.04, -0.01, 0.02
    assert found["all: above the subtraction alone"].holds  # whose accuracy is 0.5 in these rows
    assert not found["all: with the subtraction, above the subtraction alone"].holds  # 0.5 both times
    assert found["near: above random"].found is None
    assert "| near: above random |  | not done |" in markdown(Table(rows))
    low = [*rows[:3], *(row(first, base, 0.55 + base / 100) for base in up)]
    assert [claim.holds for claim in claims(Table(low), pretext)[:2]] == [False, True]


def test_chosen_and_margins_by_hand():
    shown = np.log(np.array([[0.6, 0.2], [0.1, 0.3], [0.25, 0.25]], np.float32))
    blank = np.log(np.array([[0.7, 0.1], [0.05, 0.4], [0.2, 0.3]], np.float32))
    flags = np.array([True, False, False])
    records = Records({"shown": shown, "blank": blank, "swapped": blank}, flags, flags, flags, np.arange(3), np.arange(3))
    found = records.summary()
    assert found["accuracy"] == pytest.approx(0.5)  # right, wrong, and one of two that are equal
    assert found["congruent"] == 1
    assert found["incongruent"] == pytest.approx(0.25)
    assert found["subtracted"] == pytest.approx(2 / 3)  # 0.6/0.7 < 0.2/0.1; 0.1/0.05 > 0.3/0.4; 0.25/0.2 > 0.25/0.3
    assert found["gain"] == pytest.approx(np.mean(np.log([3 / 7, (1 / 3) / (1 / 8), 1.5])), abs=1e-6)


def test_rows_keep_both_halves_of_light_beside_the_whole():
    right, wrong = [0.0, -1.0], [-1.0, 0.0]
    shown = np.array([right, right, wrong, wrong, right], np.float32)
    flags, about = np.ones(5, bool), np.array([0, 0, 1, 1, 1])
    light = Records(dict.fromkeys(("shown", "blank", "swapped"), shown), flags, flags, flags, np.arange(5), about)
    found = summaries({"sky": light.where(about == 0), "light": light})
    assert list(found) == ["sky", "light", "light, source", "light, shadows"]
    assert [each["questions"] for each in found.values()] == [2, 5, 2, 3]
    assert [each["accuracy"] for each in found.values()] == pytest.approx([1, 3 / 5, 1, 1 / 3])
    assert math.isnan(summaries({"light": light.where(about == 0)})["light, shadows"]["gain"])


def test_questions_are_asked_with_the_draws_of_all_rows():
    """Rows are kept, so what is shown of which question, and in which order its options stand, must stay as it was."""
    task = make_task(declaration.QUESTIONS, kinds="sky", image_size=40)
    policy = build_policy(PolicyConfig(model="nano"), task, 0, torch.device("cpu"))
    found, batch = ask(policy, task, 12), task.sample(Stream.span(SPLIT, SEED, 0, 12))
    options = [
        (truth, *(word for word in words if word != truth))
        for words, truth in zip(task.choices(batch), task.truths(batch), strict=True)
    ]
    shown = {"image": batch.observation["image"], "prompt": tuple(task.prompts(batch, "direct"))}
    seen = {"shown": shown, "blank": altered(shown, "blank", np.random.default_rng(0))}
    seen["swapped"] = altered(shown, "swapped", np.random.default_rng(0))
    assert list(found.logprobs) == list(seen)
    for how, observations in seen.items():
        assert np.array_equal(found.logprobs[how], option_logprobs(policy, observations, options).numpy())
    assert found.congruent.tolist() == (batch.memory["favoured"] == batch.target).tolist()
    assert found.items.tolist() == batch.items.tolist()
    assert found.right[~found.readable].sum() == 0


def test_halves_of_light_are_told_apart_by_what_their_words_ask():
    task = make_task(declaration.QUESTIONS, kinds="light", image_size=40)
    said = task.question(task.sample(Stream.span(SPLIT, SEED, 0, 12)))
    about = ask(build_policy(PolicyConfig(model="nano"), task, 0, torch.device("cpu")), task, 12).about
    assert about.tolist() == [int("shadow" in each) for each in said]
    assert set(about) == {0, 1}


def test_stages_are_trained_one_after_the_other_where_they_say(tmp_path):
    (trial,) = (trial for trial in arms_of(STUDY, 1, 1) if trial.stages)
    stages = stages_of(trial, settings_of(trial, tmp_path, "cpu"))
    assert [config.iterations for config in stages] == [STUDY.iterations // 3] * 3
    for config, stage in zip(stages, trial.stages, strict=True):
        assert make_task(config.env, **config.env_args).horizon == 1  # with its own arguments, and none of the mixture's
        assert config.env == stage.env


def test_every_study_is_of_trials_that_can_be_done(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "newest", lambda base: base / "newest")
    for name, sized in STUDIES.items():
        arms = arms_of(sized.study, 1, 1, sized.pretexts, sized.controls)
        assert arms, name
        for trial in {trial.control: trial for trial in arms}.values():
            assert base_settings(trial, "cpu").total > 0
            if trial.env:
                task = make_task(trial.env, **trial.args)
                assert len(task.sample(Stream.span("train", 0, 0, 2))) == 2  # pictures that can be asked about are found
            if trial.control != "captions":
                config = settings_of(trial, tmp_path, "cpu")
                assert config.iterations == sized.study.iterations
                assert (config.policy.start is None) == bool(config.policy.lora_rank)
                assert config.policy.model == str(tmp_path / "newest") or config.policy.start == str(tmp_path)


def test_a_pretext_is_made_easier_and_harder_than_declared():
    rotations = {
        name: arm_of(STUDIES[name].study, next(each for each in PRETEXTS if each.name == "rotation"), "verified", 0, 0).args
        for name in ("easier", "nano", "harder")
    }
    assert [args["angles"] for args in rotations.values()] == [2, 4, 8]
    assert len({json.dumps({**args, "angles": 0}) for args in rotations.values()}) == 1  # and nothing else
    with pytest.raises(ValueError, match="pretext_args has 'rotations', which is no pretext; there are untold questions"):
        Study(pretext_args={"rotations": {}})


def test_a_base_that_several_trials_want_is_made_once(tmp_path, monkeypatch):
    made = []

    def pretrain(settings, out, quiet):
        made.append(out)
        out.mkdir()
        time.sleep(0.05)

    monkeypatch.setattr(worker, "pretrain", pretrain)
    (trial,), base = bases_of(STUDY, 1), tmp_path / "bases" / "b"
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: worker.make_base(trial, base, "cpu"), range(3)))
    assert made == [base]
    assert (base / "done").exists()


def test_a_call_names_a_study_that_there_is(tmp_path, capsys):
    for name in STUDIES:
        assert flags.parse(BetterFlags, ["--study", name], "ssl4rl better", "").command.study == name
    assert BetterFlags().study in STUDIES
    assert cli.main(["better", "--study", "nono", "--out", str(tmp_path)]) != 0
    told = capsys.readouterr().err
    assert "nono" in told
    assert all(name in told for name in STUDIES)
