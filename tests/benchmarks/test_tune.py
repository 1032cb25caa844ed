"""`ssl4rl bench tune`: an equal search, on validation, by seeds of its own, whose choices suites read."""

from __future__ import annotations

import importlib
import inspect
import json
from dataclasses import replace
from typing import Any

import pytest

from ssl4rl_agents.checks import resolved
from ssl4rl_agents.sb3 import SB3Agent
from ssl4rl_agents.settings import TrainConfig, merged
from ssl4rl_agents.trainer_agents import TrainedAgent
from ssl4rl_benchmarks.bench import choices, grid, rows, spaces, suites, worker
from ssl4rl_benchmarks.bench.grid import Entry, Environment, Suite
from ssl4rl_benchmarks.bench.tuning import Tuning
from ssl4rl_benchmarks.commands import bench, tune
from ssl4rl_benchmarks.reports import tuning
from ssl4rl_benchmarks.reports.suite import markdown
from ssl4rl_benchmarks.reports.suite.summary import summarise
from tests.benchmarks.test_bench import DIGITS, KARATE, InProcess, made_up, row_of

EVERY = [name for space in spaces.SPACES for name in space.agents]
ALGORITHMS = ("nano-ppo", "nano-grpo", "gcn-ppo", "gcn-grpo", "sb3-ppo", "sb3-dqn", "sb3-a2c")


def suite_with(*agents: Entry, environments: tuple[Environment, ...] = (DIGITS,), **more: Any) -> Suite:
    return Suite("tiny", "Is it small?", environments, agents, **{"seeds": 3, "episodes": 64, "test_episodes": 16, **more})


# What is searched


def test_every_algorithm_of_the_suites_has_a_search():
    learners = {
        agent.name for suite in suites.SUITES.values() for agent in suite.agents if agent.learns and not agent.ceiling
    }
    assert learners <= set(EVERY)
    assert len(EVERY) == len(set(EVERY))


@pytest.mark.parametrize("name", EVERY)
def test_the_search_is_equally_large_for_all_and_begins_with_the_defaults(name):
    space = spaces.space_of(name)
    assert space is not None
    assert tuple(map(len, space.axes)) == spaces.LENGTHS
    for axis in space.axes:
        assert len({json.dumps(value, sort_keys=True) for value in axis}) == len(axis)
    first, *others = spaces.candidates(Entry(name), 60, 0)
    assert len({json.dumps(one, sort_keys=True) for one in (first, *others)}) == 60
    factory = agent_class(name)
    if issubclass(factory, TrainedAgent):
        filled = [resolved(TrainConfig.from_json(merged(factory.settings, one))) for one in ({}, first, *others)]
        assert filled[0] == filled[1], "the first candidate is what the agent is without any settings"
        assert len({json.dumps(one.to_json()) for one in filled}) == 60
        answers = {one.rollout.prompts * one.rollout.group_size for one in filled}
        assert answers == {256}, "all learn from as many answers an iteration"
    else:
        assert issubclass(factory, SB3Agent)
        module, _, algorithm = factory.algorithm.partition(":")
        taken = inspect.signature(getattr(importlib.import_module(module), algorithm)).parameters
        for setting, value in first.items():
            assert factory.settings.get(setting, taken[setting].default) == value, setting
        assert all(set(one) <= set(taken) for one in others)


def agent_class(name: str) -> type[Any]:
    from ssl4rl_agents.agent import _factory

    found = _factory(name)
    assert isinstance(found, type)
    return found


def test_spaces_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"have \(5, 4, 3\) values, those of mine \(1, 1\)"):
        spaces.Space(("mine",), (({"a": 1},), ({"b": 1},)))


@pytest.mark.parametrize(("agent", "other"), [("nano-ppo", "nano-grpo"), ("gin-ppo", "sb3-ppo")])
def test_all_are_offered_the_same_step_sizes_in_units_of_their_own(agent, other):
    offered = []
    for name in (agent, other):
        rates = [settings.get("optimizer", settings)["learning_rate"] for settings in spaces.candidates(Entry(name), 12, 0)]
        offered.append([rate / rates[0] for rate in rates])
    assert len(set(offered[0])) > 2
    assert offered[0] == pytest.approx(offered[1], rel=0.01)


def test_candidates_depend_on_nothing_but_seed_and_agent():
    twelve = spaces.candidates(Entry("sb3-ppo"), 12, 0)
    assert spaces.candidates(Entry("sb3-ppo"), 20, 0)[:12] == twelve, "more candidates begin with the same ones"
    assert spaces.candidates(Entry("sb3-ppo"), 12, 1) != twelve
    assert spaces.candidates(Entry("sb3-ppo", label="other"), 12, 0) == twelve
    assert spaces.candidates(Entry("sb3-ppo"), 12, 1)[0] == twelve[0]


def test_what_a_suite_sets_itself_is_not_searched():
    entry = Entry("nano-ppo", {"optimizer": {"epochs": 2}, "policy": {"nano_hidden": 32}})
    found = spaces.candidates(entry, 20, 0)
    assert all("epochs" not in one["optimizer"] for one in found)
    assert len({json.dumps(one, sort_keys=True) for one in found}) == 20
    with pytest.raises(ValueError, match="has 20 combinations, so --runs is 1 to that, got 21"):
        spaces.candidates(entry, 21, 0)
    with pytest.raises(ValueError, match="got 0"):
        spaces.candidates(entry, 0, 0)
    with pytest.raises(ValueError, match=r"no search is declared for nano-supervised .*there is one for nano-ppo"):
        spaces.candidates(Entry("nano-supervised"), 2, 0)


# The grid


@pytest.mark.parametrize("suite", suites.SUITES.values(), ids=lambda suite: suite.name)
def test_a_search_is_as_many_runs_for_every_algorithm_and_apart_from_the_suite(suite):
    tuning_ = Tuning(suite, 3, seeds=2)
    runs = tuning_.runs()
    assert len({run.key for run in runs}) == len(runs)
    assert {run.split for run in runs} == {"validation"}
    assert not {run.seed for run in runs} & {run.seed for run in suite.runs()}
    assert not {run.key for run in runs} & {run.key for run in suite.runs()}
    assert not any(run.env.beyond for run in runs), "what else is measured is on other splits"
    counts: dict[tuple[str, str], int] = {}
    for run in runs:
        title, _, _ = run.agent.title.rpartition(" #")
        counts[title, run.env.name] = counts.get((title, run.env.name), 0) + 1
    assert set(counts.values()) == {6}
    pairs = {(run.agent.title, run.env.name) for run in suite.runs() if run.agent.learns and not run.agent.ceiling}
    assert set(counts) == pairs
    told = {agent.title for agent in suite.agents if agent.ceiling}
    assert tuning_.without == dict.fromkeys(told, "told the right answers")


def test_a_search_needs_something_to_search():
    suite = suite_with(Entry("random", learns=False), Entry("nano-supervised", ceiling=True))
    with pytest.raises(ValueError, match="no algorithm of this part of tiny"):
        Tuning(suite, 2)
    with pytest.raises(ValueError, match="no search is declared for nano-supervised"):
        Tuning(suite_with(*suite.agents, Entry("sb3-ppo")), 2, agents=("nano-supervised",))
    with pytest.raises(ValueError, match="--seeds must be at least 1, got 0"):
        Tuning(suite_with(Entry("sb3-ppo")), 2, seeds=0)


# What comes out


def searched(scores: dict[str, list[float | None]], suite: Suite) -> tuple[Tuning, dict[str, Any]]:
    """A search with these scores, by agent and candidate; None failed."""
    tuning_ = Tuning(suite, len(next(iter(scores.values()))))
    found = {}
    for title, values in scores.items():
        for number, score in enumerate(values):
            for run in tuning_.runs_of(title, number):
                row = row_of(run.agent.title, run.env.name, run.seed, score or 0.0)
                if score is None:
                    row |= {"status": "failed", "error": "it diverged"}
                found[run.key] = row
    return tuning_, tuning_.choices(tuning_.searches(found), list(found.values()))


SUITE = suite_with(Entry("sb3-ppo", {"gamma": 0.5}), Entry("sb3-dqn"), Entry("sb3-a2c"), Entry("random", learns=False))
SCORES: dict[str, list[float | None]] = {
    "sb3-ppo": [0.1, 0.4, 0.3],
    "sb3-dqn": [0.2, None, 0.2],
    "sb3-a2c": [None, None, None],
}


def test_the_best_on_validation_is_chosen_and_failures_never_are():
    tuning_, chosen = searched(SCORES, SUITE)
    agents = chosen["agents"]
    assert [agents[title]["chosen"] for title in SCORES] == [1, 0, None], "of equal ones the first"
    assert agents["sb3-ppo"]["settings"] == {"gamma": 0.5, **tuning_.tried["sb3-ppo"][1]}
    assert agents["sb3-a2c"]["settings"] is None
    assert [one["score"] for one in agents["sb3-dqn"]["candidates"]] == [0.2, None, 0.2]
    assert agents["sb3-dqn"]["candidates"][1]["failed"] == ["Rotation: it diverged"]
    assert json.loads(json.dumps(chosen)) == chosen


def test_scores_are_means_over_environments_whatever_number_of_seeds_each_has():
    made = [row_of("a", env, seed, score) for env, seed, score in (("one", 0, 0.2), ("one", 1, 0.4), ("two", 0, 0.9))]
    tried = choices.tried_by(made, 0, {}, 3)
    assert tried.scores == pytest.approx({"one": 0.3, "two": 0.9})
    assert tried.score == pytest.approx(0.6)
    assert choices.tried_by(made, 0, {}, 4).score is None, "a run without a row"


def test_the_report_shows_every_candidate_and_marks_the_chosen_one():
    text = tuning.write(searched(SCORES, SUITE)[1])
    assert "| sb3-ppo | 3 | 0.100 | 0.100 to 0.400 | 0.153 | #1 | 0.400 | +0.300 |" in text
    assert "| sb3-dqn | 3, 1 failed | 0.200 | 0.200 to 0.200 | 0.000 | #0 | 0.200 | 0.000 |" in text
    assert "| sb3-a2c | 3, 3 failed | – | – | – | – | – | – | – | 0 s |" in text
    assert "| **#1** |" in text
    assert "failed: Rotation: it diverged" in text
    assert "which no suite has" in text


def test_suites_read_what_was_chosen(tmp_path):
    file = tmp_path / "choices.json"
    tuning_, chosen = searched(SCORES, SUITE)
    file.write_text(json.dumps(chosen))
    tuned = choices.with_choices(SUITE, file, named=True)
    by_title = {entry.title: entry for entry in tuned.agents}
    assert by_title["sb3-ppo"].settings == {"gamma": 0.5, **tuning_.tried["sb3-ppo"][1]}
    assert by_title["sb3-a2c"] == SUITE.agents[2], "where all failed the defaults stay"
    keys = [{run.key for run in suite.runs() if run.agent.name == "sb3-ppo"} for suite in (SUITE, tuned)]
    assert not keys[0] & keys[1], "rows with other settings are other runs"
    assert f"--tuned {file}" in tuned.runs()[0].command
    assert (
        "an equal search (choices.json: 3 candidates each, 64 episodes, over what each takes of Rotation"
        in by_title["sb3-ppo"].tuned
    )
    assert grid.Run.from_json(tuned.runs()[0].to_json()) == tuned.runs()[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"revision": 1}, "chosen at revision 1 .* search anew by: ssl4rl bench tune tiny"),
        ({"suite": "images"}, "chosen for the suite images, not for tiny"),
        ({"agents": {"nobody": {"given": {}}}}, "has settings of nobody; tiny has sb3-ppo"),
        ({"agents": {"sb3-ppo": {"agent": "sb3-ppo", "given": {}}}}, r"chosen for sb3-ppo .*gamma.* now"),
        ({"agents": 3}, "holds no choices"),
    ],
)
def test_choices_of_something_else_are_refused(changes, message, tmp_path):
    file = tmp_path / "choices.json"
    file.write_text(json.dumps({**searched(SCORES, SUITE)[1], **changes}))
    with pytest.raises(ValueError, match=message):
        choices.with_choices(SUITE, file)


@pytest.mark.parametrize("settings", ["fast", 3, [], "left out"])
def test_choices_without_settings_are_refused(settings, tmp_path):
    data = json.loads(json.dumps(searched(SCORES, SUITE)[1]))
    data["agents"]["sb3-ppo"]["settings"] = settings
    if settings == "left out":
        del data["agents"]["sb3-ppo"]["settings"]
    (tmp_path / "choices.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"choices\.json has .* as the settings that were chosen for sb3-ppo"):
        choices.with_choices(SUITE, tmp_path / "choices.json")


def test_choices_of_a_suite_that_asks_something_else_now_are_refused(tmp_path):
    (tmp_path / "choices.json").write_text(json.dumps(searched(SCORES, SUITE)[1]))
    changed = replace(DIGITS, args={**DIGITS.args, "angles": 8})
    with pytest.raises(ValueError, match=r"chosen over Rotation as .* has it as SSL4RL/Rotation-v0 with .*'angles': 8"):
        choices.with_choices(replace(SUITE, environments=(changed,)), tmp_path / "choices.json")


def test_agents_that_nothing_was_chosen_for_are_named(tmp_path, monkeypatch, capsys):
    data = json.loads(json.dumps(searched(SCORES, SUITE)[1]))
    data["agents"].pop("sb3-dqn")  # and every candidate of sb3-a2c has failed
    (tmp_path / "choices.json").write_text(json.dumps(data))
    tuned = bench._tuned(SUITE, bench.BenchFlags(tuned=tmp_path / "choices.json"))
    assert [bool(entry.tuned) for entry in tuned.agents[:3]] == [True, False, False]
    assert "has chosen nothing for sb3-dqn, sb3-a2c, which keep their defaults" in capsys.readouterr().err


def test_files_that_are_no_choices_are_named(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(ValueError, match=r"x\.json holds no choices"):
        choices.read_choices(tmp_path / "x.json")


@pytest.mark.parametrize("file", sorted(choices.FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_choices_that_come_along_are_of_the_declared_suites(file):
    assert choices.with_choices(suites.SUITES[file.stem], file).agents


def test_reports_say_which_settings_were_searched(fewer_bootstraps):
    """And that a comparison with others is not even."""
    made = made_up()
    for row in made:
        if row["agent"] == "good":
            row["config"]["agent"]["tuned"] = "an equal search (x.json)"
    text = markdown.write(summarise("made up", made))
    assert "Settings of good were chosen by an equal search (x.json)." in text
    assert "**poor, partial had no such search**" in text
    assert "no such search" not in markdown.write(summarise("made up", made_up()))


# The caveats of former rows


def test_scores_of_penalties_within_groups_are_marked(fewer_bootstraps):
    made = made_up()
    spoilt = {"objective": {"advantage": "grpo", "kl_loss": "none", "kl_coefficient": 0.1}}
    sound = {"objective": {"advantage": "gae", "kl_loss": "none", "kl_coefficient": 0.1}}
    for row in made:
        row["settings"] = spoilt if row["agent"] == "good" else {"algorithm": "sft", **spoilt}
        row["config"]["revision"] = grid.REVISION
    summary = summarise("made up", made)
    assert [place.spoilt for place in summary.standings] == [False, True, False]
    text = markdown.write(summary)
    assert "**Nothing follows from the scores of good (†)**" in text
    assert "| good † | 0.750 |" in text
    assert "| one | good † |" in text
    assert "Measured before" not in text
    for settings in (sound, {"objective": {**spoilt["objective"], "kl_loss": "k3"}}, {}):
        for row in made:
            row["settings"] = settings
        assert summarise("made up", made).caveats == []
    made[0]["config"].pop("revision")
    assert "Measured before the questions changed" in markdown.write(summarise("made up", made))


def test_scores_of_replies_that_could_not_be_read_are_named(fewer_bootstraps):
    made = made_up()
    for row in made:
        row["config"]["revision"] = grid.REVISION
        row["result"]["readable"] = 0.04 if (row["agent"], row["env"]) == ("good", "one") else 0.06
    assert [text[:54] for text in summarise("made up", made).caveats] == [
        "**Nearly no reply could be read of good in one**: less"
    ]


# The command


def test_the_search_never_answers_a_question_of_the_test_split(tmp_path, monkeypatch):
    asked: list[str] = []
    measure = worker.evaluate_in

    def watched(agent: Any, envs: Any, **more: Any) -> Any:
        asked.append(envs.split)
        return measure(agent, envs, **more)

    monkeypatch.setattr(worker, "evaluate_in", watched)
    (run,) = Tuning(suite_with(Entry("sb3-ppo", {"num_envs": 8, "n_steps": 4})), 1).runs()
    row = worker.perform(run, tmp_path)
    assert asked == ["validation"]
    assert (row["result"]["split"], row["answers"], row["config"]["split"]) == ("validation", [], "validation")
    assert len(row["curve"]) > 0


GRID = {
    "environments": [{"id": DIGITS.id, "args": DIGITS.args}, {"id": KARATE.id, "args": KARATE.args}],
    "agents": [
        {"name": "sb3-ppo", "settings": {"num_envs": 8, "n_steps": 4}},
        {"name": "sb3-dqn", "settings": {"num_envs": 8}},
        {"name": "sb3-supervised", "ceiling": True},
    ],
    "seeds": 2,
    "episodes": 64,
    "test_episodes": 32,
}


def test_the_command_searches_goes_on_and_hands_its_choices_to_the_suite(run, tmp_path, monkeypatch):
    file, out, published = tmp_path / "grid.json", tmp_path / "t", tmp_path / "published"
    file.write_text(json.dumps(GRID))
    done: list[list[str]] = []

    class Interrupted(InProcess):
        """Is killed after three runs, at first."""

        def do(self, runs):
            done.append([])
            for number, row in enumerate(super().do(runs)):
                if len(done) == 1 and number == 3:
                    return
                done[-1].append(row["key"])
                yield row

    for module in (tune, bench):
        monkeypatch.setattr(module, "executor_of", lambda flags, folder: Interrupted(folder / "work"))
    words = ["bench", "tune", file, "--runs", "2", "--env", "Rotation", "--out", out]
    first = run(*words)
    assert first.status == 0
    assert "| sb3-dqn | 2, 1 failed |" in first.out, "a run without a row"
    assert "sb3-supervised is not searched: told the right answers" in first.err
    again = run(*words, "--publish", published, "--json")
    assert again.status == 0
    assert [len(each) for each in done] == [3, 1], "what has a row is not done again"
    assert again.json == json.loads((out / "choices.json").read_text())
    assert sorted(path.name for path in published.iterdir()) == ["grid.json", "grid.jsonl", "grid.md"]
    assert len(rows.read_rows([published / "grid.jsonl"])) == 4
    assert "| sb3-dqn | 2 |" in (out / "tuning.md").read_text()
    compared = run(
        "bench", file, "--env", "Rotation", "--seed", "0", "--tuned", out / "choices.json", "--out", tmp_path / "b"
    )
    assert compared.status == 0
    assert "Settings of sb3-ppo, sb3-dqn were chosen by an equal search" in (tmp_path / "b" / "report.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a suite whose algorithms are searched"),
        (["sudoku"], "unknown suite 'sudoku'"),
        (["smoke", "--runs", "61"], "60 combinations"),
        (["smoke", "--agent", "oracle"], "no search is declared for oracle"),
        (["images", "--agent", "nano-supervised"], "no search is declared for nano-supervised"),
    ],
)
def test_mistakes_are_told(run, words, message):
    result = run("bench", "tune", *words)
    assert result.status == 2
    assert message in result.err


def test_defaults_and_choices_exclude_each_other(run, tmp_path):
    result = run("bench", "smoke", "--defaults", "--tuned", tmp_path / "x.json")
    assert result.status == 2
    assert "leave one out" in result.err
