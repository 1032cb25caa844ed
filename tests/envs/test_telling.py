"""What is said while somebody waits: on a terminal one line that is written over, elsewhere a line now and then."""

from __future__ import annotations

import io
import os
import sys

import pytest

from ssl4rl_envs import telling


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    monkeypatch.setenv(telling.VARIABLE, "")
    now = [0.0]
    monkeypatch.setattr(telling.time, "monotonic", lambda: now[0])
    return now


def test_long_work_is_told_with_its_rate_and_what_is_left(clock, capsys):
    progress = telling.Progress("decoding x", 1000)
    for now, done in ((5.0, 100), (15.0, 600), (16.0, 700), (20.0, 1000)):
        clock[0] = now
        progress.tell(done)
    progress.end()
    assert capsys.readouterr().err.splitlines() == [
        "ssl4rl: decoding x: 600 of 1,000, 50 a second, 8 s left",
        "ssl4rl: decoding x: 1,000 in 20 s",
    ]


def test_slow_work_is_told_by_the_minute(clock, capsys):
    progress = telling.Progress("asking", 100)
    for now, done in ((10.0, 1), (70.0, 13)):
        clock[0] = now
        progress.tell(done)
    assert capsys.readouterr().err == "ssl4rl: asking: 13 of 100, 12 a minute, 435 s left\n"


def test_short_work_is_not_told(clock, capsys):
    progress = telling.Progress("decoding y", 10)
    clock[0] = 1.0
    progress.tell(10)
    progress.end()
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_one_line_that_fits_and_is_written_over(clock, monkeypatch):
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(telling.shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((40, 24)))
    line = telling.Line()
    assert not line.due
    clock[0] = 3.0
    assert line.due
    line.show("a" * 100)
    assert not line.due
    line.show("b", last=True)
    first, second = shown.getvalue().removesuffix("\n").split("\r")[1:]
    assert first == ("ssl4rl: " + "a" * 100)[:39] + "\x1b[K"
    assert second == "ssl4rl: b\x1b[K"
    assert shown.getvalue().count("\n") == 1


def test_quiet_is_quiet(clock, capsys, monkeypatch):
    monkeypatch.setenv(telling.VARIABLE, "1")
    telling.Line().show("a", last=True)
    assert capsys.readouterr().err == ""
