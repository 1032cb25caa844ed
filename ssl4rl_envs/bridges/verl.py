"""verl on our questions: Parquet as its `RLHFDataset` reads it, and the scoring function that its reward managers call.

write_parquet("rotation.parquet", "SSL4RL/Rotation-v0", 10_000, source="photos")

and in verl's configuration

data.train_files=rotation.parquet
reward.custom_reward_function.path=pkg://ssl4rl_envs.bridges.verl
reward.custom_reward_function.name=compute_score

A question that takes several turns, or attempts, is played by the agent loop of `ssl4rl_envs.bridges.verl_loop`, which its
rows name and which pays the rewards itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ssl4rl_envs.bridges.episodes import Episode, episode_keys
from ssl4rl_envs.bridges.keys import KEYS, keyed_rows, score_rows
from ssl4rl_envs.bridges.messages import parts_of
from ssl4rl_envs.bridges.questions import task_of
from ssl4rl_envs.png import to_png

ROW_GROUP = 256
"""Rows that are written at a time."""

LOOP = "ssl4rl"
"""The agent loop that rows of several turns name."""

PICTURE = "<image>"
"""What stands in a prompt where verl puts a picture."""

SINGLE = "single_turn_agent"
"""verl's own loop for one turn."""


def write_parquet(path: str | Path, env_id: str, n: int, *, attempts: int = 1, **given: Any) -> Path:
    """Write questions as Parquet that verl's `RLHFDataset` reads, a few at a time.

    Its columns are `data_source` (the environment's id), `agent_name`, `prompt`, `images`, `ability`, `reward_model` (the
    right answer as `ground_truth`, for logs alone; "" where there are several turns) and `extra_info`, the keys that replies
    are scored from.

    Args:
        path: of the file; one that is there is replaced.
        env_id: e.g. "SSL4RL/Rotation-v0".
        n: how many questions.
        attempts: how often a question may be answered; more than 1 makes rows of several turns.
        given: `split`, `seed`, `first`, `prompt_style` ("direct" or "think"), `grammar`, and the task's arguments, as of
            `ssl4rl_envs.rows`.

    Raises:
        TypeError, ValueError: an argument is unknown or out of its range.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features, Image, List, Value

    text, whole = Value("string"), Value("int64")
    kinds = {name: whole if name in ("seed", "index") else text for name in KEYS}
    features = Features(
        {
            "data_source": text,
            "agent_name": text,
            "prompt": List({"role": text, "content": text}),
            "images": List(Image()),
            "ability": text,
            "reward_model": {"style": text, "ground_truth": text},
            "extra_info": {**kinds, "attempts": whole},
        }
    )
    rows = _rows(env_id, n, attempts, given)
    schema = features.arrow_schema
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(itertools.islice(rows, ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
    return Path(path)


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Mapping[str, Any], **_: Any
) -> dict[str, float]:
    """Score a reply as `step` does, from the keys in `extra_info`; the others are verl's calling convention.

    Returns:
        `score`, the reward; `acc`, 1 where the answer is right; and `valid`, 1 where the reply is one answer.

    Raises:
        ValueError: `extra_info` lacks a key, or the question takes several turns.
    """
    del data_source, ground_truth
    if int(extra_info.get("attempts") or 1) > 1:
        raise ValueError(
            f"questions with several attempts are scored by the agent loop {LOOP!r}; configure it for the rollout"
        )
    (scored,) = score_rows([solution_str], [extra_info])
    return {"score": scored["reward"], "acc": float(scored["success"]), "valid": float(scored["valid"])}


def _rows(env_id: str, n: int, attempts: int, given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Make the rows of single answers in chunks, and those of episodes one by one."""
    task = task_of(env_id, given)
    ability = type(task).__name__
    if task.horizon == 1 and attempts == 1:
        for row in keyed_rows(env_id, n, **given):
            keys = {**{name: row[name] for name in KEYS}, "attempts": 1}
            yield _row(SINGLE, keys, row["prompt"][0]["content"], row["images"], row["answer"], ability)
        return
    for keys in episode_keys(env_id, n, attempts=attempts, **given):
        parts = parts_of(Episode(keys).messages[0])
        images = [part["image"] for part in parts if part["type"] == "image"]
        said = "".join(part["text"] for part in parts if part["type"] == "text")
        yield _row(LOOP, keys, said, images, "", ability)


def _row(loop: str, keys: dict[str, Any], said: str, images: list[Any], truth: str, ability: str) -> dict[str, Any]:
    return {
        "data_source": keys["env_id"],
        "agent_name": loop,
        "prompt": [{"role": "user", "content": PICTURE * len(images) + said}],
        "images": [{"bytes": to_png(image), "path": None} for image in images],
        "ability": ability,
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": keys,
    }
