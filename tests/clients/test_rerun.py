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


def test_outcomes_are_told_also_of_files_that_were_skipped_whole_or_did_not_come_to_an_end():
    report = """<testsuites><testsuite>
    <testcase classname="tests.clients.test_a" name="test_one[x]" />
    <testcase classname="tests.clients.test_a" name="test_two"><error /></testcase>
    <testcase classname="tests.clients.test_a" name="test_two" />
    <testcase classname="" name="tests.clients.test_b"><skipped /></testcase>
    <testcase classname="" name="tests.clients.test_c"><failure /></testcase>
    </testsuite></testsuites>"""
    assert rerun.outcomes_of(report, 1) == {
        "tests.clients.test_a.test_one[x]": "passed",
        "tests.clients.test_a.test_two": "failed",
        ".tests.clients.test_b": "skipped",
        ".tests.clients.test_c": "failed",
    }
    assert rerun.outcomes_of("<testsuites />", 5) == {}
    for cut in ("", report[:90]):
        assert rerun.outcomes_of(cut, -11) == {"its process ended with code -11 before its tests had": "failed"}


BODIES = {
    "good": "pass",
    "dies": "os._exit(3)",
    "late": "pass",
    "part": "pass\n\n\ndef test_nowhere():\n    pytest.skip('no such package')",
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Groups of our own: of a Python that is nowhere; of files that end their process, in time or not, or skip a test."""
    (tmp_path / "tests" / "clients").mkdir(parents=True)
    for name, body in BODIES.items():
        code = f"import atexit, os, pytest\n\n\ndef test_it():\n    {body}\n\n\natexit.register(os._exit, 7)\n"
        (tmp_path / "tests" / "clients" / f"test_{name}.py").write_text(code)
    monkeypatch.setattr(rerun, "ROOT", tmp_path)
    monkeypatch.setattr(rerun, "PLACE", tmp_path / ".clients")
    groups = {"nemo_gym": rerun.Group(("late",), python="python0.1"), "own": rerun.Group(("dies", "good", "part"))}
    monkeypatch.setattr(rerun, "GROUPS", groups)


def test_what_goes_wrong_with_a_file_or_a_group_is_told_and_leaves_the_others_be(files, capsys):
    assert rerun.main([]) == 5  # of two files nothing passed and something failed, and a test was run nowhere
    told = capsys.readouterr().out.split("\n\n")[-1].splitlines()
    assert told[0] == f"{'FAILED':8}{'nemo_gym':12}tests/clients/test_late.py: 1 failed"
    assert re.fullmatch(r" +environment that could not be made: .*python0\.1.*", told[1])
    assert told[2:] == [
        f"{'FAILED':8}{'own':12}tests/clients/test_dies.py: 1 failed",
        f"{'':20}its process ended with code 3 before its tests had",
        f"{'ok':8}{'own':12}tests/clients/test_good.py: 1 passed",  # whatever code it ended with
        f"{'ok':8}{'own':12}tests/clients/test_part.py: 1 passed, 1 skipped",
        f"{'FAILED':8}{'any':12}tests/clients/test_part.py: tests.clients.test_part.test_nowhere was skipped in each group",
    ]
    assert rerun.main(["own"]) == 2


def test_an_unknown_group_is_refused_with_the_names_of_all():
    with pytest.raises(SystemExit, match=r"there are the groups own, llm, .*, not lm"):
        rerun.main(["lm"])
