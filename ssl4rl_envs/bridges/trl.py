"""TRL's GRPOTrainer on our questions: a dataset and its reward function, or environments that are played by tool calls.

data = dataset("SSL4RL/Rotation-v0", 1000, source="photos")
trainer = GRPOTrainer(model, reward_funcs=reward, train_dataset=data)

data, environment = episodes("SSL4RL/PatchSwap-v0", 1000, level="2x2")
trainer = GRPOTrainer(model, environment_factory=environment, train_dataset=data)

The second takes as many turns as the task does, and needs a model whose chat template writes tools and their answers. Both
keep the keys of the questions as columns: TRL repeats a row for every sample of its group, so a group is about one question,
and rewards are those that the environment itself pays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ssl4rl_envs.bridges.episodes import PLAYED, Episode, episode_keys
from ssl4rl_envs.bridges.keys import KEYS, ORIGIN, keyed_rows, score_rows
from ssl4rl_envs.bridges.messages import parts_of
from ssl4rl_envs.bridges.questions import task_of
from ssl4rl_envs.task import Task


def dataset(env_id: str, n: int, **given: Any) -> Any:
    """Return questions that are answered once as a `datasets.Dataset` that GRPOTrainer takes.

    Its columns are `prompt`, `images` where the task shows some, and the keys that `reward` makes the questions again from;
    the right answer is not among them.

    Args:
        env_id: e.g. "SSL4RL/Rotation-v0".
        n: how many questions.
        given: `split`, `seed`, `first`, `prompt_style` ("direct" or "think"), `grammar` ("strict" or "lenient") and the
            task's arguments, as of `ssl4rl_envs.rows`.

    Raises:
        TypeError, ValueError: as of `ssl4rl_envs.rows`.
    """
    from datasets import Dataset, Features, Image, List, Value

    shown: dict[str, list[Any]] = {}
    for row in keyed_rows(env_id, n, **given):
        for name in ("prompt", "images", *KEYS):
            shown.setdefault(name, []).append(row[name])
    kinds: dict[str, Any] = {name: Value("int64" if name in ("seed", "index") else "string") for name in KEYS}
    kinds["prompt"] = List({"role": Value("string"), "content": Value("string")})
    if any(shown.get("images", ())):
        kinds["images"] = List(Image())
    return Dataset.from_dict({name: shown.get(name, []) for name in kinds}, features=Features(kinds))


def reward(
    completions: Sequence[Any], log_metric: Callable[[str, float], None] | None = None, **columns: Any
) -> list[float | None]:
    """Score completions as `step` does, from the keys of their questions: one of GRPOTrainer's `reward_funcs`.

    It logs besides the share of right answers as `success` and of replies that were answers as `valid`.

    Args:
        completions: n texts, or n lists of messages of which the last counts.
        log_metric: TRL's.
        columns: of `dataset`, n values each, and whatever else TRL passes.

    Returns:
        n numbers in [0, 1]; TRL's type allows for none where a function does not judge, and this one always does.

    Raises:
        ValueError: the data has no such columns.
    """
    missing = [name for name in ORIGIN if name not in columns]
    if missing:
        raise ValueError(
            f"rewards are made from the columns of ssl4rl_envs.bridges.trl.dataset; {', '.join(missing)} missing"
        )
    names = [name for name in KEYS if name in columns]
    questions = [dict(zip(names, values, strict=True)) for values in zip(*(columns[name] for name in names), strict=True)]
    scored = score_rows([_text(completion) for completion in completions], questions)
    if log_metric is not None and scored:
        log_metric("success", sum(each["success"] for each in scored) / len(scored))
        log_metric("valid", sum(each["valid"] for each in scored) / len(scored))
    return [each["reward"] for each in scored]


def episodes(env_id: str, n: int, **given: Any) -> tuple[Any, type]:
    """Return n questions as a `datasets.Dataset` of keys, and the class that plays them, GRPOTrainer's `environment_factory`.

    The class makes the question of its row at each `reset`, pictures included, so the data stays small. Its one tool is
    `answer`; what comes of an answer goes back to the model, with pictures where these have changed. TRL lets a model
    write once more after the last turn, so `max_tool_calling_iterations` is best set to the task's most turns; and its
    `max_completion_length` counts what the tool says, pictures included.

    Args:
        env_id: e.g. "SSL4RL/PatchSwap-v0".
        n: how many questions.
        given: `split`, `seed`, `first`, `attempts` (a wrong answer is followed by another try), and the task's arguments.

    Raises:
        TypeError, ValueError: an argument is unknown or out of its range.
    """
    from datasets import Dataset

    keys = episode_keys(env_id, n, prompt_style="tool", **given)
    data = Dataset.from_list([{"prompt": [{"role": "user", "content": ""}], **row} for row in keys])
    return data, _environment_class(task_of(env_id, given))


class _Playing:
    """What the classes of `episodes` share; TRL offers every method without an underscore as a tool, these two aside."""

    _episode: Episode | None = None

    def reset(self, **row: Any) -> list[dict[str, Any]]:
        """Ask the question of a row; its prompt's parts come back, which TRL puts behind the row's own.

        Raises:
            ValueError: the row names no question: the samples of a group would each be asked another one.
        """
        if row.get("index") is None:
            raise ValueError(
                "pass the data that ssl4rl_envs.bridges.trl.episodes returned as train_dataset: without it every sample of a "
                "group would be asked another question"
            )
        self._episode = Episode({name: row.get(name) for name in PLAYED})
        return parts_of(self._episode.messages[0])

    def get_reward(self) -> float:
        """Return what the episode has paid; 0 where nothing was answered, so that no row is left out of its group."""
        return 0.0 if self._episode is None else self._episode.reward

    def _turn(self, answer: Any) -> list[dict[str, Any]]:
        episode = self._episode
        if episode is None or episode.ended:
            raise RuntimeError("the question has been answered; there is nothing more to do")
        episode.answer(json.dumps({"answer": answer}))
        return [{"type": "text", "text": episode.outcome}] if episode.ended else parts_of(episode.messages[0])


def _environment_class(task: Task) -> type:
    """Return a class of environments whose tool's description, which TRL reads from its docstring, is that of the task."""

    def answer(self: _Playing, answer: str) -> list[dict[str, Any]]:
        return self._turn(answer)

    answer.__annotations__ = {"answer": str}  # as values, of which TRL makes the schema
    answer.__doc__ = f"Give the answer to the question.\n\nArgs:\n    answer: {_described(task)}\n"
    return type(f"{type(task).__name__}Environment", (_Playing,), {"answer": answer, "__doc__": f"Episodes of {task.asks}."})


def _described(task: Task) -> str:
    """Return what the tool's argument may be; one of a few labels as transformers' schemas list them."""
    form = task.answer_format
    if form is None or len(task.answer_formats) > 1:
        return "The answer, as the question asks for it."
    if form.slots == 1:
        return f"One of the labels. (choices: {json.dumps(list(form.labels))})"
    example = task.format(task.example())
    return f"{form.slots} values separated by commas, each one of {', '.join(form.labels)}; for example {example}."


def _text(completion: Any) -> str:
    """Return what was said last; a message's content may be a text or a list of parts."""
    said: Any = completion if isinstance(completion, str) else completion[-1]
    if isinstance(said, Mapping):
        said = said["content"]
    return said if isinstance(said, str) else "".join(part.get("text", "") for part in said)
