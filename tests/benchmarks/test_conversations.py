"""What the measurement of conversations compares is the same, and what it prints is what it found."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest
import torch

from ssl4rl_benchmarks.figures import conversations
from ssl4rl_benchmarks.figures.conversations import Rounds, Settings, markdown, measure, peak_memory

SMALL = Settings(prompts=2, group=2, turns=3, new_tokens=3, rounds=1)


def test_both_ways_say_and_learn_the_same(monkeypatch):
    monkeypatch.setattr(conversations, "peak_memory", lambda way, settings: {"kept": 30.0, "again": 120.0}[way])
    result = measure(SMALL)  # which raises where they differ
    assert result["ratios"]["memory"] == 0.25
    assert set(result["seconds"]) == {"kept", "again"}
    assert markdown(result).splitlines()[2].startswith("| everything again at every turn |")
    assert markdown(result).endswith(" | 0.25 |")


def test_ways_that_differ_are_no_comparison(monkeypatch):
    rounds = Rounds(SMALL)
    read, said = rounds.again()
    norm = rounds.learn(read, said)
    with pytest.raises(RuntimeError, match="gradients of norm"):
        conversations._require_the_same((said, norm), (said, 2 * norm))
    said[0].tokens = said[0].tokens + 1
    with pytest.raises(RuntimeError, match="sampled other tokens"):
        conversations._require_the_same((said, norm), (rounds.again()[1], norm))
    assert torch.isfinite(norm)


def test_memory_is_measured_in_a_process_of_its_own(monkeypatch):
    calls: list[list[str]] = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        calls.append(command)
        return SimpleNamespace(returncode=len(calls) - 1, stdout="told\n12.5\n", stderr="no memory")

    monkeypatch.setattr(subprocess, "run", run)
    assert peak_memory("kept", SMALL) == 12.5
    assert calls[0][3:] == [
        *("--memory", "kept", "--model=tiny", "--prompts=2", "--group=2", "--turns=3", "--new-tokens=3", "--rounds=1"),
        "--threads=1",
    ]
    with pytest.raises(RuntimeError, match="no memory"):
        peak_memory("kept", SMALL)
