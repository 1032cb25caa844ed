"""The audits: the whole suite passes, and what is planted in it is found."""

from __future__ import annotations

import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ssl4rl_agents.rules import seams
from ssl4rl_agents.rules.cells import panel_cells
from ssl4rl_benchmarks.audits import everything
from ssl4rl_benchmarks.audits.audit import (
    NOISE,
    AuditSettings,
    audit,
    audit_task,
    clusters_of,
    errors_above,
    instances,
    lessons_and_questions,
    noise_for,
    shortcut_table,
    summary,
)
from ssl4rl_benchmarks.audits.everything import Configuration, audit_one, configurations, copies_over_splits, related
from ssl4rl_benchmarks.audits.features import FEATURES
from ssl4rl_benchmarks.audits.graph_features import GRAPH_SOLVERS
from ssl4rl_benchmarks.audits.hostile import conformance, hostile_replies
from ssl4rl_benchmarks.audits.noise import NOISES, noise
from ssl4rl_benchmarks.audits.shortcuts import SOLVERS, measure, solvers_of
from ssl4rl_benchmarks.audits.tables import markdown
from ssl4rl_benchmarks.commands import audit as audit_command
from ssl4rl_benchmarks.commands.audit import QUICK, AuditFlags
from ssl4rl_envs import Batch, Stream, make_task, task_class
from ssl4rl_envs.answers import GRAMMARS, PROMPT_STYLES
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.images.flip_prediction import FlipPrediction
from ssl4rl_envs.images.masked_reconstruction import MaskedReconstruction
from ssl4rl_envs.images.odd_patch import OddPatch
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.patch_swap import PatchSwap
from ssl4rl_envs.images.reveal import Reveal
from ssl4rl_envs.images.rotation import Rotation
from ssl4rl_envs.images.tiles import cut, panels, permuted
from ssl4rl_envs.playing import returns_of
from ssl4rl_envs.registration import TABLE
from ssl4rl_envs.task import Score

SMALL = QUICK
SCENE_QA = "SSL4RL/SceneQA-v0"
MIXTURE, COMPARISON = "SSL4RL/Mixture-v0", "SSL4RL/Comparison-v0"
IN_WORDS = (SCENE_QA, "SSL4RL/GraphQA-v0")
"""Ask different things in words, of which one answer may be likelier."""
PAGE = Path(__file__).parents[2] / "docs" / "audit.md"

_audits: dict[str, list[dict]] = {}


def audited(env_id: str) -> list[dict]:
    if env_id not in _audits:
        _audits[env_id] = audit(env_id, {}, SMALL)
    return _audits[env_id]


KINDS = ("Rotation", "PatchOrdering", "PatchSwap", "Mixture", "EdgePrediction", "MaskedFeatures")
"""One answer, several, several steps, several tasks, and graphs; the slow tests audit the other environments."""


def kinds_first(env_id: str):
    return pytest.param(env_id, marks=() if env_id.split("/")[1].removesuffix("-v0") in KINDS else pytest.mark.slow)


@pytest.fixture(params=[kinds_first(row.id) for row in TABLE])
def rows(request) -> list[dict]:
    return audited(request.param)


# The suite


def test_no_environment_fails_its_audit(rows):
    assert [row["failures"] for row in rows] == [[] for _ in rows]


def test_an_audit_reports_everything_as_plain_data(rows):
    assert json.loads(json.dumps(rows)) == rows
    of_graph = issubclass(task_class(rows[0]["env"]), GraphTask)
    assert rows[0]["source"] == ("cora" if of_graph else "scenes")
    assert {row["source"] for row in rows[1:]} <= set(NOISES)
    silent = of_graph or rows[0]["env"] in (SCENE_QA, COMPARISON)
    assert (NOISE in {row["source"] for row in rows}) == (bool(rows[0]["shortcuts"]) and not silent)
    for row in rows:
        blind = {"random", "constant", "majority"} | ({"words alone"} if row["env"] in IN_WORDS else set())
        assert blind <= set(row["policies"]) <= blind | {"best fixed"}
        assert row["oracle"] == pytest.approx(1)
        assert set(row["shortcuts"]) <= set(GRAPH_SOLVERS if of_graph else SOLVERS)
        assert bool(row["shortcuts"]) == (row["env"] != MIXTURE)
        for entry in (*row["policies"].values(), *row["shortcuts"].values()):
            low, high = entry["interval"]
            assert 0 <= low <= entry["reward"] <= high <= 1 + 1e-6


def test_at_least_25_kinds_of_hostile_replies_are_tried_and_none_is_paid(rows):
    assert set(rows[0]["conformance"]) == {*PROMPT_STYLES, *(f"{style}, lenient" for style in PROMPT_STYLES)}
    for kinds in rows[0]["conformance"].values():
        assert len(kinds) >= 90
        assert all(entry["tried"] > 0 and entry["paid"] == 0 for entry in kinds.values())


@pytest.mark.parametrize(("name", "level"), [("Rotation-v0", "angles-4"), ("GraphDistance-v0", "small")])
def test_the_page_of_audits_counts_the_hostile_replies_of_today(name, level):
    """In every style and grammar: who adds kinds or styles measures them anew."""
    task = make_task(f"SSL4RL/{name}", level=level)
    tables = [conformance(task, "test", style, grammar=grammar) for style in PROMPT_STYLES for grammar in GRAMMARS]
    tried = sum(entry["tried"] for table in tables for entry in table.values())
    assert sum(entry["paid"] for table in tables for entry in table.values()) == 0
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name} {level} |") and "kinds)" in line]
    assert f"0 of {tried} ({len({kind for table in tables for kind in table})} kinds)" in line
    for style, grammar in itertools.product(PROMPT_STYLES, GRAMMARS):
        assert f"| {style} | {grammar} |" in PAGE.read_text()


def test_the_size_of_pictures_tells_nothing(rows):
    for row in rows:
        assert "output size" not in row["shortcuts"] or not row["shortcuts"]["output size"]["beats_chance"]


def test_the_tables_have_a_row_a_source_and_mark_what_beats_chance():
    found = [*audited("SSL4RL/PatchOrdering-v0"), *audited("SSL4RL/EdgePrediction-v0")]
    images, graphs = markdown(found).strip().split("\n\n")[:2]
    lines = images.splitlines()
    assert len(lines) == 2 + len(audited("SSL4RL/PatchOrdering-v0"))
    assert len({line.count("|") for line in lines}) == 1
    assert f"**{found[0]['shortcuts']['edge continuity']['reward']:.3f}**" in lines[2]
    assert "edge continuity" in lines[0]
    assert "common neighbours" in graphs.splitlines()[0]
    assert "EdgePrediction" in graphs.splitlines()[2]


def test_numbers_of_nodes_and_edges_tell_nothing():
    for env_id in ("SSL4RL/EdgePrediction-v0", "SSL4RL/NeighborChoice-v0", "SSL4RL/GraphDistance-v0"):
        assert not audited(env_id)[0]["shortcuts"]["numbering"]["beats_chance"]


def test_other_sources_are_audited_too():
    """Grey, tiny pictures: policies, oracle, replies and noise have nothing to fail for."""
    found = audit("SSL4RL/OddPatch-v0", {"source": "digits", "image_size": 36}, SMALL)
    assert found[0]["source"] == "digits"
    assert found[0]["arguments"] == {"source": "digits", "image_size": 36}
    assert not [failure for row in found for failure in row["failures"] if "on digits" not in failure]


def test_the_exit_status_tells_whether_something_failed(monkeypatch, capsys):
    words = ["SSL4RL/PatchOrdering-v0", "--episodes", "120", "--source", "faces", "--image-size", "36"]
    with monkeypatch.context() as patched:
        patched.setattr(audit_command, "audit", lambda *_: audited("SSL4RL/PatchOrdering-v0"))
        assert audit_command.run(words).status == 0
    assert "nothing failed" in capsys.readouterr().out
    monkeypatch.setattr(PatchOrdering, "reason_for", lambda self, solver: None)
    failed = audit_command.run([*words, "--json"])
    assert (failed.status, failed.results[0]["source"]) == (1, "faces")
    assert any("'edge continuity' earns" in failure for failure in failed.results[0]["failures"])
    assert capsys.readouterr().out == ""


# The whole suite


def test_every_level_of_every_environment_is_audited_over_three_sources_and_noise():
    asked = configurations()
    for row in TABLE:
        levels = {level.name for level in task_class(row.id).levels}
        for level in levels:
            sources = {each.source for each in asked if (each.env, each.level) == (row.id, level)}
            if row.id == SCENE_QA:
                assert sources == {"scenes"}, "there is no other whose drawer knows what it shows"
                continue
            assert len(sources - set(NOISES)) >= 3
            silent = row.id in (MIXTURE, COMPARISON)  # in noise, too, one half is brighter: that is what is asked
            assert bool(sources & set(NOISES)) == (not silent and not issubclass(task_class(row.id), GraphTask))


def test_noise_is_not_square_and_has_clipped_values():
    source = noise()
    assert (source.heights != source.widths).mean() > 0.5
    pictures = [source.picture(item) for item in range(40)]
    assert np.mean([((picture == 0) | (picture == 255)).mean() for picture in pictures]) > 0.15
    for name in NOISES:
        values = np.stack([noise(name).picture(item)[:12, :12] for item in range(60)]).astype(float)
        assert np.abs(values.mean(axis=(0, 1, 2)) - 128).max() < 12


def test_a_source_that_a_level_refuses_is_told_with_the_reason(capsys):
    row = audit_one(Configuration("SSL4RL/Colorization-v0", "candidates-2", "faces"), SMALL)
    assert "is grey, and has no colours" in row["refused"]
    assert row["failures"] == []
    assert "Colorization-v0 candidates-2 refuses faces: " in markdown([row])


def test_answers_that_tell_each_other_are_found_and_others_are_not():
    def asked(env, **arguments):
        task = make_task(env, source="digits", image_size=36, **arguments)
        answers = task.sample(Stream("test", np.zeros(900, int), np.arange(900))).target
        return {"env": env, "level": str(arguments), "source": "digits", "answers": answers.tolist()}

    names = ("SSL4RL/Rotation-v0", "SSL4RL/PatchPosition-v0")
    assert related([asked(name) for name in names])["failures"] == []
    found = related([asked(name, pairing="on purpose") for name in names])
    assert found["compared"] == 1
    assert "Rotation-v0" in found["failures"][0]
    assert "PatchPosition-v0" in found["failures"][0]


def test_an_audit_of_all_goes_on_where_its_file_of_rows_ends(tmp_path, monkeypatch):
    asked = [Configuration("SSL4RL/Colorization-v0", "candidates-2", name) for name in ("faces", "digits")]
    monkeypatch.setattr(everything, "configurations", lambda: asked)
    path = tmp_path / "rows.jsonl"
    rows = everything.audit_all(SMALL, path=path)
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{second[:40]}")
    measured = []
    monkeypatch.setattr(everything, "audit_one", lambda one, settings: measured.append(one) or audit_one(one, settings))
    assert everything.audit_all(SMALL, path=path) == rows
    assert measured == asked[1:]
    other = replace(SMALL, seed=1)
    assert len(everything.Journal(path, SMALL).rows()) == 2
    assert everything.Journal(path, other).rows() == {}, "rows of other settings"
    path.write_text(f"a table\n{first}\n")
    with pytest.raises(ValueError, match=r"line 1 of .* is no row of an audit"):
        everything.audit_all(SMALL, path=path)


def test_near_duplicates_over_splits_are_counted():
    photos, digits = copies_over_splits(("photos", "digits"))
    assert (photos["copies"], photos["failures"]) == (0, [])
    assert 0 < digits["copies"] < 600
    assert digits["failures"] == [], "people write alike"


@pytest.mark.parametrize(("flags", "env_id"), [(AuditFlags(), None), (AuditFlags(all=True), "SSL4RL/Rotation-v0")])
def test_an_audit_is_of_one_environment_or_of_all(flags, env_id):
    with pytest.raises(ValueError, match="name one environment, or --all"):
        audit_command.audited(flags, env_id, {})


def test_solvers_are_not_asked_about_what_they_learned_from():
    with pytest.raises(ValueError, match="did not learn from"):
        AuditSettings(split="train")


# What is planted is found


class DarkTop(Rotation):
    """Its top row is darker the more the picture was turned."""

    def make(self, stream):
        batch = super().make(stream)
        batch.observation["image"][:, 0] >>= batch.target[:, None, None].astype(np.uint8)
        return batch


class Brighter(FlipPrediction):
    """Mirrored pictures are a little brighter."""

    def make(self, stream):
        batch = super().make(stream)
        image = batch.observation["image"]
        image[:] = np.minimum(image.astype(int) + 12 * batch.target[:, None, None, None], 255)
        return batch


@pytest.mark.parametrize(("kind", "solver"), [(DarkTop, "border rows"), (Brighter, "mean colour")])
def test_a_planted_leak_fails_on_noise_though_its_solver_is_documented(monkeypatch, kind, solver):
    monkeypatch.setattr(kind, "legitimate", {solver: "claimed to be fine"})
    arguments = {"reference": False} if kind is Brighter else {}
    task = kind(noise(), image_size=32, **arguments)
    settings = replace(SMALL, episodes=300, lessons=600)
    failures = audit_task(task, settings)["failures"]
    assert [failure for failure in failures if f"'{solver}' earns" in failure and "on noise" in failure]


def test_the_same_tasks_without_a_leak_pass_on_noise():
    settings = replace(SMALL, episodes=300, lessons=600)
    smooth = noise("smooth noise")
    for task in (Rotation(smooth, image_size=32), FlipPrediction(smooth, image_size=32, reference=False)):
        table = shortcut_table(task, *lessons_and_questions(task, settings))
        assert not [name for name, entry in table.items() if entry["beats_chance"]]


def test_gap_and_jitter_take_edge_continuity_away():
    rewards = {}
    for gap, jitter in ((0, 0), (8, 6)):
        task = PatchOrdering(image_size=60, gap=gap, jitter=jitter)
        train, test = lessons_and_questions(task, replace(SMALL, episodes=200))
        rewards[gap] = measure("edge continuity", task, train, test).mean()
    assert rewards[0] > 0.8
    assert rewards[8] < rewards[0] - 0.25


class Lenient(FlipPrediction):
    """It reads a reply that says two things as the first."""

    def read(self, body):
        return super().read(body.split(" or ")[0])


def test_a_scorer_that_pays_a_hostile_reply_fails():
    task = Lenient("digits", image_size=16)
    table = conformance(task, "test", "direct", count=4)
    assert {kind for kind, entry in table.items() if entry["paid"]} == {"either of two", "all options with or"}
    failures = audit_task(task, settings=replace(SMALL, episodes=20, lessons=20))["failures"]
    assert any("'either of two' (direct) count as answers" in failure for failure in failures)


@pytest.mark.parametrize("chance", [0.05, 0.6])
def test_a_wrong_declared_chance_fails(chance):
    task = FlipPrediction("digits", image_size=16)
    task.chance = chance
    failures = audit_task(task, settings=replace(SMALL, episodes=200))["failures"]
    assert any(f"the declared chance is {chance:.3f}" in failure for failure in failures)


class HalfPaid(FlipPrediction):
    """Its right answers are paid a half."""

    def score(self, answers, batch):
        score = super().score(answers, batch)
        return Score(score.reward / 2, score.success)


def test_an_oracle_below_one_fails():
    failures = audit_task(HalfPaid("digits", image_size=16), settings=replace(SMALL, episodes=50, lessons=50))["failures"]
    assert any("the right answers earn 0.5000, not 1" in failure for failure in failures)


# Hostile replies


@pytest.mark.parametrize("style", PROMPT_STYLES)
def test_hostile_replies_have_names_and_lists_have_more(style):
    words = hostile_replies(["same", "different"], style)
    lists = hostile_replies(["2, 3, 1, 4", "1, 2, 3, 4"], style)
    assert len(words) >= 60
    assert len(set(words.values())) >= 90
    assert set(words) < set(lists)
    assert {"one number short", "repeated entry", "entry out of range", "counting from 0", "letters"} <= set(lists)
    assert {"full-width digits", "leading zero"} <= set(hostile_replies(["90", "180"], style))


def test_counting_from_0_is_tried_only_where_it_cannot_be_meant():
    assert "counting from 0" not in hostile_replies(["2, 3", "1, 2"], "direct")


# Solvers


def smooth(count: int, grid: int, side: int = 8) -> np.ndarray:
    """Tiles of pictures without an edge."""
    values = np.random.default_rng(0).standard_normal((count, grid * side, grid * side, 3))
    values = gaussian_filter(values, (0, 3, 3, 0))
    return cut(np.clip(128 + 60 * values / values.std(), 0, 255).astype(np.uint8), grid)


@pytest.mark.parametrize("grid", [2, 3, 4])
def test_jigsaws_are_solved_by_their_edges(grid):
    tiles = smooth(30, grid)
    order = Stream("train", np.zeros(30, int), np.arange(30)).permutation(grid * grid)
    found = seams.jigsaw(permuted(tiles, order), grid)
    assert (found == np.argsort(order, axis=1)).all(axis=1).mean() > 0.9


def test_the_odd_tile_is_the_one_that_fits_worst():
    tiles = smooth(20, 3)
    places = np.arange(20) % 9
    tiles[np.arange(20), places] = 255
    assert np.array_equal(seams.odd_one(tiles, 3), places)


def test_panels_are_found_where_they_were_laid():
    pictures = np.random.default_rng(0).integers(0, 255, (2, 6, 12, 12, 3)).astype(np.uint8)
    shown = panels(pictures, 60)
    assert all(np.array_equal(cell, pictures[:, k]) for k, cell in enumerate(panel_cells(shown, 6, 12)))


def test_masks_are_found_and_verbatim_candidates_ruled_out():
    task = MaskedReconstruction(image_size=48, patch_size=12)
    batch = task.sample(Stream("test", np.zeros(40, int), np.arange(40)))
    corners = seams.find_mask(batch.observation["image"], 12, 128)
    offered = panel_cells(batch.observation["candidates"], 4, 12)
    for row, (y, x) in enumerate(corners):
        assert (batch.observation["image"][row, y : y + 12, x : x + 12] == 128).all()
    inside = np.array([[seams._holds(batch.observation["image"][r], patch[r]) for patch in offered] for r in range(40)])
    assert (inside.sum(axis=1) == 2).mean() > 0.9
    assert not inside[np.arange(40), batch.target].any()


def test_swaps_play_an_order_to_its_end():
    task = PatchSwap("digits", image_size=36)
    batch = task.sample(Stream("test", np.zeros(20, int), np.arange(20)))
    assert returns_of(task, batch, lambda state, _: task.oracle(state)).mean() == pytest.approx(1)
    assert measure("edge continuity", task, batch, batch).min() >= 0


def test_features_are_finite_numbers_even_of_tiny_blank_pictures():
    for pictures in (np.zeros((3, 8, 8, 3), np.uint8), noise().pixels(noise().whole(np.arange(3)), 16)):
        for features in FEATURES.values():
            table = features(pictures)
            assert table.shape[0] == 3
            assert np.isfinite(table).all()


class Tinted(Reveal):
    """A cover that is darker where the answer is another."""

    def make(self, stream):
        batch = super().make(stream)
        shown = batch.observation["image"] - 4 * batch.target[:, None, None, None].astype(np.uint8)
        return replace(batch, observation={**batch.observation, "image": shown})


def test_covers_may_tell_nothing_whatever_is_accepted_of_the_task_inside():
    settings = AuditSettings(episodes=300, lessons=300)
    honest, tinted = (audit_task(cls("digits", 36), settings, replies=False) for cls in (Reveal, Tinted))
    assert honest["failures"] == []
    assert honest["source"] == "digits"
    assert Rotation.legitimate["border rows"]
    assert any("'border rows' earns" in failure for failure in tinted["failures"])


def test_mixtures_and_paintings_are_put_to_no_solver():
    assert solvers_of(make_task(MIXTURE, source="digits", image_size=36)) == []
    assert solvers_of(MaskedReconstruction("photos", image_size=32, answer="pixels")) == []
    assert "edge continuity" in solvers_of(OddPatch("digits", image_size=36))


def test_noise_suits_tasks_with_fine_angles():
    task = Rotation("photos", image_size=32, angles=8)
    assert Rotation(noise_for(task, NOISE), image_size=32, angles=8).sample(Stream("test", [0], [0]))


# Statistics


def test_the_error_of_a_mean_counts_items_and_not_episodes():
    rewards = np.tile([1.0, 0.0, 1.0, 1.0], 25)
    alone, together = np.arange(100), np.repeat(np.arange(10), 10)
    spread = errors_above(rewards, alone, 0.5)
    assert spread == pytest.approx(0.25 / np.sqrt(0.1875 / 99), rel=0.1)
    grouped = np.repeat(rewards[:10], 10)
    assert errors_above(grouped, together, 0.5) < spread / 2
    assert errors_above(np.ones(50), alone[:50], 0.5) == 99
    assert errors_above(np.zeros(50), alone[:50], 0.5) == -99
    assert errors_above(np.full(50, 0.5), alone[:50], 0.5) == 0


def test_episodes_without_an_item_stand_for_themselves_and_regions_for_their_photograph():
    graph = make_task("SSL4RL/GraphDistance-v0")
    batch = graph.sample(Stream("test", np.zeros(50, int), np.arange(50)))
    assert len(np.unique(clusters_of(graph, replace(batch, items=np.full(50, -1))))) == 50
    photos = Rotation("photos", image_size=32)
    batch = photos.sample(Stream("train", np.zeros(300, int), np.arange(300)))
    assert len(np.unique(clusters_of(photos, batch))) <= 7 < len(np.unique(batch.items))
    rewards = np.tile([1.0, 0.0], 150)
    few, many = summary(rewards, clusters_of(photos, batch), 0.4), summary(rewards, np.arange(300), 0.4)
    assert few["errors_above"] < many["errors_above"]


def test_instances_do_not_depend_on_how_many_are_drawn_at_once():
    task = Rotation("digits", image_size=16)
    assert isinstance(batch := instances(task, "test", 300, 1), Batch)
    assert np.array_equal(batch.observation["image"][270:], instances(task, "test", 300, 1).observation["image"][270:])
    assert np.array_equal(batch.target[:20], instances(task, "test", 20, 1).target)


def test_processes_side_by_side_take_one_thread_each_and_the_caller_keeps_his_own(monkeypatch):
    names, seen = ("OMP_NUM_THREADS", "SSL4RL_THREADS"), []

    class Pool(ThreadPoolExecutor):
        def __init__(self, jobs, mp_context):
            seen.append([os.environ.get(name) for name in names])
            super().__init__(jobs)

    monkeypatch.setattr(everything, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(everything, "audit_one", lambda configuration, settings: {"asked": configuration})
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("SSL4RL_THREADS", raising=False)
    assert len(list(everything._side_by_side(["one", "two"], None, 2))) == 2
    assert seen == [["1", "1"]]
    assert [os.environ.get(name) for name in names] == ["7", None]
