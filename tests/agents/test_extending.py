"""The page on new algorithms does what it says: a function and a row, and everything reads the table."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssl4rl_agents.algorithms import ADVANTAGES, SURROGATES, Surrogate, surrogates
from ssl4rl_agents.checks import resolved
from ssl4rl_agents.settings import ObjectiveConfig, TrainConfig
from ssl4rl_benchmarks.commands import flags
from ssl4rl_benchmarks.commands.train import TrainFlags

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def as_before() -> Iterator[None]:
    """The tables are as they were once a test is over."""
    tables = [(table, dict(table)) for table in (ADVANTAGES, SURROGATES)]
    yield
    for table, rows in tables:
        table.clear()
        table.update(rows)
    sys.modules.pop("ranks", None)


def of(**objective: object) -> TrainConfig:
    return TrainConfig.from_json({"objective": objective})


@pytest.mark.usefixtures("as_before")
def test_an_algorithm_is_one_function_and_one_row(tmp_path, monkeypatch, capsys):
    """The page's own trains two iterations; settings, checks and the command's help know it by its row alone."""
    with pytest.raises(ValueError, match=r"must be one of gae, .*got 'ranks'"):
        of(advantage="ranks")
    blocks = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL))
    for name in ("ranks.py", "train_it.py"):
        (tmp_path / name).write_text(blocks[name])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = runpy.run_path("train_it.py")
    assert found["trainer"].config.objective.kl_loss == "k3", "its divergence is a loss, as with all that compare groups"
    with pytest.raises(ValueError, match="gamma does nothing with advantages of groups"):
        resolved(of(advantage="ranks", gamma=0.9))
    with pytest.raises(ValueError, match="value_clip does nothing with an advantage other than gae"):
        resolved(of(advantage="ranks", value_clip=0.2))
    with pytest.raises(ValueError, match="ranks compares what the answers of a group earned"):
        resolved(of(advantage="ranks", kl_loss="none"))
    with pytest.raises(ValueError, match=r"ranks compares the answers of a group; rollout\.group_size must be 2"):
        resolved(TrainConfig.from_json({"objective": {"advantage": "ranks"}, "rollout": {"group_size": 1}}))
    with pytest.raises(SystemExit):
        flags.parse(TrainFlags, ["--help"], "ssl4rl train", "Train.")
    assert "reinforce++,ranks}" in capsys.readouterr().out.replace("\n", "").replace(" ", "").replace("│", "")


@pytest.mark.usefixtures("as_before")
def test_a_surrogate_is_one_function_and_one_row():
    def unclipped(logprobs, old_logprobs, advantages, mask, *, clip_low):
        return surrogates.ppo(logprobs, old_logprobs, advantages, mask, clip_low=clip_low, clip_high=1e9)

    SURROGATES["unclipped"] = Surrogate(unclipped)
    assert resolved(of(surrogate="unclipped", clip_low=0.5)).objective.clip_low == 0.5
    for name, value in {"clip_high": 0.5, "dual_clip": 3.0}.items():
        with pytest.raises(ValueError, match=f"{name} does nothing with surrogate unclipped"):
            resolved(of(surrogate="unclipped", **{name: value}))


def test_every_setting_that_an_algorithm_takes_is_there():
    names = {name for row in (*ADVANTAGES.values(), *SURROGATES.values()) for name in row.settings}
    assert names <= set(ObjectiveConfig.__dataclass_fields__)
