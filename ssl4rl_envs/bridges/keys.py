"""What a question is made again from: the columns that travel with it through another library, and come back with a reply."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssl4rl_envs.bridges.rows import rows
from ssl4rl_envs.bridges.score import Reply, Scored, score

ORIGIN = ("env_id", "args", "split", "seed", "index")
"""The columns that say where a question is from, as `ssl4rl_envs.rows` gives them."""

KEYS = (*ORIGIN, "prompt_style", "grammar")
"""All of them: also how was asked, and how is read."""


def keyed_rows(
    env_id: str, n: int, *, prompt_style: str = "direct", grammar: str = "strict", **given: Any
) -> Iterator[dict[str, Any]]:
    """Give the rows of `ssl4rl_envs.rows`, each with all `KEYS`; arguments and errors are its own."""
    read = {"prompt_style": prompt_style, "grammar": grammar}
    return ({**row, **read} for row in rows(env_id, n, prompt_style=prompt_style, **given))


def score_rows(replies: Sequence[Reply], questions: Sequence[Mapping[str, Any]]) -> list[Scored]:
    """Score replies to questions of any environments, each from the `KEYS` of its row; the rest is not looked at.

    Args:
        replies: n, see `ssl4rl_envs.score`.
        questions: n rows; `prompt_style` and `grammar` may be left out where they are "direct" and "strict".

    Raises:
        ValueError: there are not as many rows as replies, or a row lacks a key.
    """
    if len(replies) != len(questions):
        raise ValueError(f"need one row a reply, got {len(replies)} replies and {len(questions)} rows")
    together: dict[tuple[Any, ...], list[int]] = {}
    for row, question in enumerate(questions):
        together.setdefault(_shared(question), []).append(row)
    scored: dict[int, Scored] = {}
    for (env_id, args, split, seed, style, grammar), members in together.items():
        results = score(
            env_id,
            [replies[row] for row in members],
            split=split,
            seed=seed,
            index=[int(questions[row]["index"]) for row in members],
            prompt_style=style,
            grammar=grammar,
            **json.loads(args),
        )
        scored.update(zip(members, results, strict=True))
    return [scored[row] for row in range(len(replies))]


def keys_of(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `KEYS` of a row, of which the last two may be missing.

    Raises:
        ValueError: another one is missing.
    """
    missing = [name for name in ORIGIN if question.get(name) is None]
    if missing:
        raise ValueError(f"a question is made again from {', '.join(ORIGIN)}; this row lacks {', '.join(missing)}")
    return {
        "env_id": str(question["env_id"]),
        "args": str(question["args"]),
        "split": str(question["split"]),
        "seed": int(question["seed"]),
        "index": int(question["index"]),
        "prompt_style": str(question.get("prompt_style") or "direct"),
        "grammar": str(question.get("grammar") or "strict"),
    }


def _shared(question: Mapping[str, Any]) -> tuple[Any, ...]:
    keys = keys_of(question)
    return tuple(keys[name] for name in KEYS if name != "index")
