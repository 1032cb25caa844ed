"""The grammar of replies: what may be said, written in the dialect of Lark that llguidance reads.

A reply is written as `ssl4rl_envs.answers.wrap` and `AnswerFormat.format` write it: the labels as they are named, a comma and
a space between slots. Other forms that are read as the same answer (brackets, units, capitals) cannot be said. Slots that
must differ are one rule whose parameter says which labels are used up, so that many labels cost no more than a few.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ssl4rl_agents.policies.templates import said_of
from ssl4rl_envs.answers import AnswerFormat, wrap
from ssl4rl_envs.composite import Composite
from ssl4rl_envs.task import Task

CLOSED = "</think>"

MOST = 64
"""Labels of slots that must differ: bits of a rule's parameter."""

_THOUGHT, _BODY = "\N{THOUGHT BALLOON}", "\N{SPEECH BALLOON}"
"""Stand for what is free in a reply that shows its form."""

_TERMS = r"""
THOUGHT: /(?s:.*)<\/think>/ & ~/(?s:.*)<\/think>(?s:.+)/ & ~/(?s:.*)(<think>|<answer>|<\/answer>)(?s:.*)/
SPACE: /[ \n]{0,2}/
"""
"""A thought, up to the tag that closes it, holds no tag; as `ssl4rl_envs.answers.extract` reads it."""


def forms_of(task: Task) -> list[AnswerFormat]:
    """Return how the answers of a task are written, of a mixture all forms of its parts.

    Raises:
        ValueError: some answers are not made of labels.
    """
    if isinstance(task, Composite):
        for inside in task.tasks:
            forms_of(inside)
    elif task.answer_format is None:
        raise ValueError(
            f"rollout.constrained needs answers that are chosen among labels, and those of {type(task).__name__} are free "
            "(numbers, or colours); leave it out"
        )
    return list(task.answer_formats)


def reply_grammar(forms: Sequence[AnswerFormat], style: str, written: str = "", lead: str = "") -> str:
    """Return the grammar of what a model says in reply.

    Args:
        forms: an answer has one of them.
        style: "direct" or "think".
        written: what the chat template has written of the reply.
        lead: white space that the model's tokenizer puts before a text.

    Raises:
        ValueError: an answer has more labels than the grammar can tell apart.
    """
    said = said_of(wrap(_BODY, style, _THOUGHT), written, style)
    if said.startswith(CLOSED):  # the template opens a thought where none is asked for, and the model may go on with it
        said = _THOUGHT + said
    before, _, end = said.partition(_BODY)
    opening, thought, rest = before.rpartition(_THOUGHT)
    if thought:
        rest = rest.removeprefix(CLOSED).lstrip()
        start = [*_quoted(lead + opening), "THOUGHT", "SPACE", *_quoted(rest)]
    else:
        start = _quoted(lead + before)
    return _with_answers([*start, "answer", *_quoted(end)], forms)


def around_answers(style: str, written: str = "") -> tuple[str, str]:
    """Return what stands right before the answer in a reply, and right behind it."""
    before, _, end = said_of(wrap(_BODY, style, _THOUGHT), written, style).partition(_BODY)
    return before.rpartition(_THOUGHT)[2].removeprefix(CLOSED).lstrip(), end


def closing_grammar(forms: Sequence[AnswerFormat]) -> str:
    """Return the grammar of what is left to say where a thought has taken all the room that there is for one."""
    return _with_answers([json.dumps(f"{CLOSED} <answer>"), "answer", json.dumps("</answer>")], forms)


def longest_answer(forms: Sequence[AnswerFormat]) -> int:
    """Return how many bytes the longest answer takes, from the end of a thought on: no tokens are more than those."""
    most = 0
    for form in forms:
        lengths = sorted((len(label) for label in form.labels), reverse=True)
        body = sum(lengths[: form.slots]) if form.distinct else lengths[0] * form.slots
        most = max(most, body + len(", ") * (form.slots - 1))
    return len(CLOSED) + len("  <answer></answer>") + most


def _with_answers(start: Sequence[str], forms: Sequence[AnswerFormat]) -> str:
    rules = [f"start: {' '.join(start)}"]
    if "THOUGHT" in start:
        rules.append(_TERMS.strip())
    bodies = [f"body{number}" for number in range(len(forms))]
    rules.append(f"answer: {' | '.join(bodies)}")
    for body, form in zip(bodies, forms, strict=True):
        rules += _distinct(body, form) if form.distinct and form.slots > 1 else _free(body, form)
    return "\n".join(rules)


def _free(name: str, form: AnswerFormat) -> list[str]:
    labels = f"{name}_label"
    between = f" {json.dumps(', ')} "
    return [
        f"{name}: {between.join([labels] * form.slots)}",
        f"{labels}: {' | '.join(json.dumps(label) for label in form.labels)}",
    ]


def _distinct(name: str, form: AnswerFormat) -> list[str]:
    if len(form.labels) > MOST:
        raise ValueError(f"rollout.constrained tells at most {MOST} labels apart that must differ, got {len(form.labels)}")
    choices, last = [], form.slots - 1
    for number, label in enumerate(form.labels):
        free = f"bit_clear({number})"
        choices.append(f"{json.dumps(label)} %if and({free}, bit_count_eq(_, {last}))")
        more = f"{json.dumps(f'{label}, ')} {name}_set::set_bit({number})"
        choices.append(f"{more} %if and({free}, bit_count_lt(_, {last}))")
    return [f"{name}: {name}_set::0x0", f"{name}_set::_: " + "\n    | ".join(choices)]


def _quoted(text: str) -> list[str]:
    return [json.dumps(text)] if text else []
