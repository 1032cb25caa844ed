"""Two commits side by side: workers, the table, and what is said where something is missing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from ssl4rl_benchmarks.versus_build import demo, training
from ssl4rl_benchmarks.versus_build.__main__ import compare, main, run, table
from ssl4rl_benchmarks.versus_build.builds import ROOT, Worker, checked_out
from ssl4rl_benchmarks.versus_build.bulk import measure
from ssl4rl_benchmarks.versus_build.cases import GRAPHS, GROUPS, IMAGES, LATER, Case, cases, peer_of
from ssl4rl_benchmarks.versus_build.pictures import write_folder
from ssl4rl_envs.registration import TABLE


def test_every_environment_is_measured_and_every_case_has_a_row():
    assert {f"SSL4RL/{name}" for name in (*IMAGES, *GRAPHS, *LATER)} == {row.id for row in TABLE}
    assert {case.group for case in cases("folder:x")} == set(GROUPS)
    beside = {case.group: peer_of(case, "folder:x") for case in cases("folder:x")}
    assert {name: "" if peer is None else peer.kind for name, peer in beside.items()} == {
        name: group.peer for name, group in GROUPS.items()
    }
    flips = Case("vector folder", "vector", {"env": "FlipPrediction-v0", "source": "folder:x", "count": 1024}, 2)
    assert peer_of(flips, "folder:x") == Case("vector folder", "copyto", {"count": 1024, "pictures": 2}, 2)


def test_a_worker_counts_what_it_does():
    worker = Worker("worker", ROOT, Case("x", "vector", {"env": "Rotation-v0", "source": "digits", "count": 3}), 0)
    try:
        found = compare({"head": worker}, Case("x", "vector"), 1, 0.01)
        assert found["head"] > 0
        measured = worker.measure(0.01)
        assert measured["items"] >= 3
        assert measured["items"] % 3 == 0
        assert measured["wall"] >= 0.01
    finally:
        worker.close()


def test_a_case_that_fails_says_why():
    with pytest.raises(RuntimeError, match="unknown source 'nothing'"):
        Worker("worker", ROOT, Case("x", "scalar", {"env": "Rotation-v0", "source": "nothing"}), 0)


def test_a_peer_is_timed_by_turns_and_one_that_is_missing_is_named(monkeypatch):
    flags = argparse.Namespace(rounds=1, seconds=0.01, warm=0)
    flip = {"env": "FlipPrediction-v0", "source": "digits", "count": 4}
    (row,) = run([Case("vector folder", "vector", flip, 2)], "folder:x", {"head": ROOT}, flags)
    assert row["peer"] > 0
    assert row["share"] == row["head"] / row["peer"]
    monkeypatch.setattr("ssl4rl_benchmarks.versus_build.__main__.peer_of", lambda *_: Case("vector folder", "nobody"))
    (row,) = run([Case("vector folder", "vector", flip, 2)], "folder:x", {"head": ROOT}, flags)
    assert row["head"] > 0
    assert "share" not in row
    assert "nobody" in row["peer error"]


def test_a_case_that_fails_is_a_row_and_the_others_are_measured():
    flags = argparse.Namespace(rounds=1, seconds=0.01, warm=0)
    bad = Case("large", "vector", {"env": "Rotation-v0", "source": "nothing", "count": 2})
    good = Case("large", "vector", {"env": "Rotation-v0", "source": "digits", "count": 2})
    rows = run([bad, good], "folder:x", {"head": ROOT}, flags)
    assert "unknown source" in rows[0]["error"]
    assert rows[1]["head"] > 0
    assert "1 cases were not measured" in table(rows)


def test_the_table_has_medians_ratios_and_what_was_asked():
    rows = [
        {
            "group": "vector folder",
            "base": 10.0,
            "head": head,
            "ratio": head / 10,
            "peer": 1e3,
            "share": head / 1e3,
            "case": "x",
        }
        for head in (90.0, 150.0, 130.0)
    ]
    lines = table(rows).splitlines()
    assert len(lines) == 3
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[1:] == ["10", "130", "13.0 (9.0 to 15.0)", "12", "copyto 1,000", "0.13 (0.09 to 0.15)", "0.1"]


def test_a_commit_is_checked_out_and_gone_again():
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    with checked_out("HEAD") as tree:
        assert (tree / "ssl4rl_envs" / "__init__.py").exists()
    assert not tree.exists()
    with pytest.raises(ValueError, match="no-such-commit"), checked_out("no-such-commit"):
        pass


def test_mistakes_are_told_in_a_line():
    with pytest.raises(SystemExit, match="no group contains nothing; there are scalar scenes"):
        main(["--only", "nothing"])


def test_a_large_folder_is_measured_twice_and_by_several_processes(tmp_path):
    pictures, cache = tmp_path / "pictures", tmp_path / "cache"
    pictures.mkdir(), cache.mkdir()
    write_folder(pictures, 24, shrink=4)
    files = sorted(pictures.rglob("*.jpg"))
    assert len(files) == 24
    assert {Image.open(file).size for file in files} == {(64, 64), (64, 48), (48, 64), (42, 64)}
    found = measure(ROOT, f"folder:{pictures}", cache, 1, processes=2)
    assert set(found) == {"first", "second", "second, cpu", "one", "apart", "forked"}
    assert min(found["apart"], found["forked"]) > found["one"] > 0


def test_a_step_of_training_is_taken_by_both_in_turns(monkeypatch, capsys):
    @contextmanager
    def here(commit: str) -> Iterator[Path]:
        assert commit == "some-commit"
        yield ROOT

    monkeypatch.setattr(training, "checked_out", here)
    small = ["--model", "qwen-tiny", "--device", "cpu", "--prompts", "2", "--group", "2", "--new-tokens", "3", "--steps", "1"]
    training.main(["some-commit", *small])
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| step", "| answers", "| update", "| tokens of answers"]
    assert lines[-1] == "| tokens of answers | 12 | 12 | |"
    with pytest.raises(SystemExit, match="--group must be at least 2"):
        training.main(["some-commit", "--group", "1"])


def test_a_demo_is_what_the_makefile_says():
    words = demo.arguments_of((ROOT / "Makefile").read_text())
    assert words[:4] == ["train", "SSL4RL/Rotation-v0", "--source", "digits"]
    assert not {"--out", "runs/demo", "--overwrite"} & set(words)
    with pytest.raises(ValueError, match="no demo"):
        demo.arguments_of("test:\n\tpytest\n")


@pytest.mark.slow
def test_a_demo_is_trained_and_measured():
    small = ["--iterations", "1", "--format-warmup", "1", "--rollout.prompts", "4", "--eval-episodes", "8"]
    found = demo.measure(ROOT, small, 1, episodes=16)
    assert found["cpu"] > 0.5
    assert found["wall"] > 0.5
    assert 0 <= found["success"] <= 1
    with pytest.raises(RuntimeError, match="failed in"):
        demo.measure(ROOT, ["--no-such-flag"], 1)
