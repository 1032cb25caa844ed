"""What `make clients` runs is what the table of clients names, in the versions that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.clients import rerun

TABLE = [line.split("|") for line in (rerun.ROOT / "docs" / "clients.md").read_text().splitlines() if line.startswith("| ")]
PINS = [rerun.ROOT / "constraints.txt", *sorted(Path(rerun.__file__).parent.glob("requirements/*.txt"))]


def test_every_row_of_the_table_is_run():
    named = {name for _, *_, tests, _ in TABLE for name in re.findall(r"test_\w+\.py", tests)}
    assert named == {file.name for group in rerun.GROUPS.values() for file in group.files} - {"test_pages.py"}
    for group in rerun.GROUPS.values():
        assert [file for file in group.files if not (rerun.ROOT / file).exists()] == []


def test_every_version_of_the_table_is_installed():
    pinned = set(re.findall(r"==(\S+)", "".join(path.read_text() for path in PINS)))
    told = {version for _, _, versions, *_ in TABLE for version in re.findall(r"\d+\.\d+\.\d+", versions)}
    assert len(told) > 15
    assert told - pinned == set()


def test_lists_are_exact():
    assert {path.stem for path in PINS[1:]} == set(rerun.GROUPS) - {"own"}
    for path in PINS[1:]:
        packages = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        assert [
            line for line in packages if not re.fullmatch(r"[\w.-]+==[\w.]+|-e git\+https://\S+@[0-9a-f]{40}#egg=\w+", line)
        ] == []


def test_outcomes_are_counted_by_file_also_of_those_that_were_skipped_whole():
    report = """<testsuites><testsuite>
    <testcase classname="tests.clients.test_a" name="test_one[x]" />
    <testcase classname="tests.clients.test_a" name="test_two"><failure /></testcase>
    <testcase classname="" name="tests.clients.test_b"><skipped /></testcase>
    </testsuite></testsuites>"""
    assert rerun.counted(report, ["test_a", "test_b", "test_c"]) == {
        "test_a": {"passed": 1, "failed": 1},
        "test_b": {"skipped": 1},
        "test_c": {},
    }


def test_an_unknown_group_is_refused_with_the_names_of_all():
    with pytest.raises(SystemExit, match=r"there are the groups own, llm, .*, not lm"):
        rerun.main(["lm"])
