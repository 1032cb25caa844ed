"""Hostile replies by kind: what no parser may take for an answer, built around the right one so that a slip would be paid.

Some kinds only break the form that the strict grammar asks for, and say exactly one answer, the right one: `ONE_ANSWER`. The
lenient grammar reads those, and may read no other.
"""

from __future__ import annotations

import json
import re
import string

import numpy as np
from gymnasium import spaces

from ssl4rl_envs import Batch, Stream, Task, hash_seed
from ssl4rl_envs.speech import MAX_REPLY
from ssl4rl_envs.tool_calls import TOOL, arguments

OTHERS = 8
"""Other answers that are drawn for tasks with too many to list."""

MOST_OPTIONS = 64

QUESTION = "Which one is it?"

ONE_ANSWER = frozenset(
    {
        *("prompt echo and answer", "prompt echo and reply", "reply and prompt echo"),
        *("answer twice", "answer twice with a space", "text after answer", "text before answer", "full stop after answer"),
        *("null after reply", "byte order mark", "code fence", "greeting", "quotes", "bold", "boxed", "double brackets"),
        *("tag inside thinking", "opening tag inside thinking", "closing tag inside thinking", "thinking twice"),
        *("nested thinking", "thinking opened twice", "thinking closed twice", "unopened thinking", "upper-case thinking"),
        *("text between thinking and answer", "text before thinking", "answers round thinking", "thinking not asked for"),
        *("empty thinking", "no thinking", "no thinking, with spaces", "self-closing thinking"),
        *("decimal point", "semicolons", "hyphens", "arrows", "lists of one"),
        *("exclamation mark", "trailing comma", "plus sign", "plus", "decimals", "entry in words"),
    }
)
"""Kinds that are no answer to the strict grammar and one to the lenient."""


def hostile_replies(bodies: list[str], style: str, prompt: str = QUESTION, grammar: str = "strict") -> dict[str, str]:
    """Return replies that are empty, ambiguous, ill-formed or out of place, by kind.

    Args:
        bodies: at least two answers, without tags, the right one first; all that there are where that is not too many.
        style: "direct", "think" or "tool".
        prompt: the question.
        grammar: that they are no answers to; for "lenient" the kinds of `ONE_ANSWER` are left out.
    """
    pre = "<think>hm</think> " if style == "think" else ""
    inside = _bodies(bodies, prompt)
    if re.fullmatch(r"[0-9]+", bodies[0]):
        inside |= _numbers(bodies[0], bodies[1])
    if re.fullmatch(r"[0-9]+(, [0-9]+)+", bodies[0]):
        inside |= _lists([int(number) for number in bodies[0].split(",")])
    tagged = {kind: arguments(body) if style == "tool" else f"{pre}<answer>{body}</answer>" for kind, body in inside.items()}
    replies = {**_messages(bodies, pre, prompt), **tagged, **_thoughts(bodies, style), **_contradictions(bodies, prompt)}
    if style == "tool":
        replies |= _calls(bodies)
    return {kind: reply for kind, reply in replies.items() if grammar == "strict" or kind not in ONE_ANSWER}


def _bodies(bodies: list[str], prompt: str) -> dict[str, str]:
    """Return what may not stand between the tags, whatever the task."""
    a, b = bodies[0], bodies[1]
    return {
        "empty answer": "",
        "blank answer": " \n ",
        "refusal": "none of these",
        "prompt as answer": prompt,
        "all options": ", ".join(bodies),
        "all options with spaces": " ".join(bodies),
        "all options with or": " or ".join(bodies),
        "either of two": f"{a} or {b}",
        "two lines": f"{a}\n{b}",
        "two with a slash": f"{a}/{b}",
        "two with a bar": f"{a}|{b}",
        "negation": f"not {a}",
        "hedge": f"{a} maybe",
        "exclamation mark": f"{a}!",
        "question mark": f"{a}?",
        "semicolon": f"{a};",
        "trailing comma": f"{a},",
        "leading comma": f",{a}",
        "equals sign": f"={a}",
        "plus sign": f"+{a}",
        "tilde": f"~{a}",
        "quotes": f"'{a}'",
        "bold": f"**{a}**",
        "boxed": f"\\boxed{{{a}}}",
        "braces": f"{{{a}}}",
        "double brackets": f"[[{a}]]",
        "unclosed bracket": f"[{a}",
        "unopened bracket": f"{a}]",
        "mismatched brackets": f"[{a})",
        "null after answer": f"{a}\x00",
        "null before answer": f"\x00{a}",
        "zero-width space": f"{a}\u200b",
        "right-to-left override": f"\u202e{a}",
        "escaped brackets": f"&lt;{a}&gt;",
        "character reference": f"&#32;{a}",
        "markup inside answer": f"<b>{a}</b>",
        "nested answer": f"<answer>{a}</answer>",
    }


def _calls(bodies: list[str]) -> dict[str, str]:
    """Return tool calls that are ill-formed, of another tool, or say several things."""
    a, b = bodies[0], bodies[1]
    call_a, call_b = arguments(a), arguments(b)
    of_a, of_b = json.dumps(a), json.dumps(b)
    tagged_a, tagged_b = (f"<tool_call>{call}</tool_call>" for call in (call_a, call_b))
    return {
        "answer alone": of_a,
        "no answer": "{}",
        "null as answer": f'{{"{TOOL}": null}}',
        "object as answer": f'{{"{TOOL}": {call_a}}}',
        "list in a list": f'{{"{TOOL}": [[{of_a}]]}}',
        "options as a list": json.dumps({TOOL: [*bodies, *bodies]}),
        "list of a list": f"[{call_a}]",
        "name twice": f'{{"{TOOL}": {of_b}, "{TOOL}": {of_a}}}',
        "name twice, right one first": f'{{"{TOOL}": {of_a}, "{TOOL}": {of_b}}}',
        "further argument": f'{{"{TOOL}": {of_a}, "other": {of_b}}}',
        "another argument": f'{{"other": {of_a}}}',
        "upper-case argument": f'{{"{TOOL.upper()}": {of_a}}}',
        "another tool": f'{{"name": "other", "arguments": {call_a}}}',
        "arguments that are no call": f'{{"name": "{TOOL}", "arguments": {of_a}}}',
        "two calls": call_a + call_b,
        "two calls in tags": tagged_b + tagged_a,
        "call and another answer": f"{tagged_a} <answer>{b}</answer>",
        "call in thinking": f"<think>{tagged_a}</think>",
        "call in unclosed thinking": f"<think>{tagged_a}",
        "unclosed call": call_a[:-1],
        "unclosed tag of a call": f"<tool_call>{call_a}",
        "broken call beside a good one": f"<tool_call>{call_a[:-1]}</tool_call> {tagged_a}",
        "single quotes": call_a.replace('"', "'"),
        "comment in a call": call_a.replace("{", "{ /* sure */ "),
        "deep call": f'{{"{TOOL}": ' * 2_000,
    }


def _messages(bodies: list[str], pre: str, prompt: str) -> dict[str, str]:
    """Return replies that break the grammar round the answer."""
    a, b = bodies[0], bodies[1]
    tag_a, tag_b = f"<answer>{a}</answer>", f"<answer>{b}</answer>"
    return {
        "empty": "",
        "space": " ",
        "white space": "\n\t \r\n",
        "null": "\x00",
        "answer without tags": a,
        "answer without tags in style": f"{pre} {a}",
        "prompt echo": prompt,
        "prompt echo and answer": prompt + tag_a,
        "prompt echo and reply": prompt + pre + tag_a,
        "reply and prompt echo": pre + tag_a + prompt,
        "contradictory answers": pre + tag_a + tag_b,
        "contradictory answers, right one last": pre + tag_b + tag_a,
        "answer twice": pre + tag_a + tag_a,
        "answer twice with a space": f"{pre}{tag_a} {tag_a}",
        "all options tagged": pre + "".join(f"<answer>{body}</answer>" for body in bodies),
        "unclosed tag": f"{pre}<answer>{a}",
        "unopened tag": f"{pre}{a}</answer>",
        "opening tag twice": f"{pre}<answer>{a}<answer>",
        "space in closing tag": f"{pre}<answer>{a}</ answer>",
        "space before tag name": f"{pre}< answer>{a}</answer>",
        "space after tag name": f"{pre}<answer >{a}</answer>",
        "attribute in tag": f"{pre}<answer value=1>{a}</answer>",
        "upper-case tag": f"{pre}<ANSWER>{a}</ANSWER>",
        "capitalised tag": f"{pre}<Answer>{a}</Answer>",
        "stray opening tag": f"{pre}<answer><answer>{a}</answer>",
        "stray closing tag": f"{pre}{tag_a}</answer>",
        "escaped tag": f"{pre}&lt;answer&gt;{a}&lt;/answer&gt;",
        "square tag": f"{pre}[answer]{a}[/answer]",
        "text after answer": f"{pre}{tag_a} I am sure.",
        "text before answer": f"{pre}The answer is {tag_a}",
        "full stop after answer": f"{pre}{tag_a}.",
        "null after reply": f"{pre}{tag_a}\x00",
        "byte order mark": f"\ufeff{pre}{tag_a}",
        "code fence": f"{pre}```{tag_a}```",
        "other answer in comment": f"{pre}<!-- {tag_b} -->{tag_a}",
        "thinking opened after answer": f"{pre}{tag_a}<think>",
        "greeting": f"Sure! {pre}{tag_a}",
        "too long": f"{pre}{' ' * MAX_REPLY}{tag_a}",
    }


def _thoughts(bodies: list[str], style: str) -> dict[str, str]:
    """Return replies whose thinking block is ill-formed, out of place, or not of the style."""
    a, b = bodies[0], bodies[1]
    tag_a, tag_b = f"<answer>{a}</answer>", f"<answer>{b}</answer>"
    replies = {
        "answer inside thinking alone": f"<think>hm {tag_a}</think>",
        "tag inside thinking": f"<think>hm {tag_b}</think>{tag_a}",
        "opening tag inside thinking": f"<think>hm <answer></think>{tag_a}",
        "closing tag inside thinking": f"<think>hm </answer></think>{tag_a}",
        "thinking twice": f"<think>a</think><think>b</think>{tag_a}",
        "nested thinking": f"<think>a <think>b</think></think>{tag_a}",
        "thinking opened twice": f"<think>a <think>b</think>{tag_a}",
        "thinking closed twice": f"<think>a</think></think>{tag_a}",
        "unclosed thinking": f"<think>hm {tag_a}",
        "unopened thinking": f"hm</think>{tag_a}",
        "upper-case thinking": f"<THINK>hm</THINK>{tag_a}",
        "text between thinking and answer": f"<think>hm</think>so {tag_a}",
        "text before thinking": f"so <think>hm</think>{tag_a}",
        "thinking after answer": f"{tag_a}<think>hm</think>",
        "answers round thinking": f"{tag_a} <think>hm</think> {tag_a}",
        "answer as thinking": f"<think>{tag_a}</think>",
        "thinking inside answer": f"<answer><think>hm</think>{a}</answer>",
        "thinking before and after": f"<think>hm</think>{tag_a}<think>hm</think>",
    }
    if style == "think":
        missing = {
            "no thinking": tag_a,
            "no thinking, with spaces": f" {tag_a} ",
            "self-closing thinking": f"<think/>{tag_a}",
        }
        return {**replies, **missing, "unclosed thinking, empty": f"<think>{tag_a}"}
    return {**replies, "thinking not asked for": f"<think>hm</think>{tag_a}", "empty thinking": f"<think></think>{tag_a}"}


def _contradictions(bodies: list[str], prompt: str) -> dict[str, str]:
    """Return replies that a forgiving parser may be tempted by: they say several things, or take back what they say."""
    a, b = bodies[0], bodies[1]
    tag_a, tag_b, box_a, box_b = f"<answer>{a}</answer>", f"<answer>{b}</answer>", f"\\boxed{{{a}}}", f"\\boxed{{{b}}}"
    how = prompt.rpartition("?")[2]
    listed = "\n".join(f"- {body}" for body in bodies)
    lettered = " ".join(f"({letter}) {body}" for letter, body in zip(string.ascii_uppercase, bodies, strict=False))
    return {
        "answer in thinking, none after it": f"<think>hm {tag_a}</think> So it is {a}.",
        "answer in unclosed thinking": f"{tag_b}</think> <think> {tag_a}",
        "another answer after thinking": f"<think>{tag_a}</think> {tag_b} {tag_a}",
        "two answers after thinking": f"hm</think> {tag_a} No: {tag_b}",
        "answer and another box": f"{tag_a} {box_b}",
        "two boxes": f"{box_a} {box_b}",
        "two boxes in one answer": f"<answer>{box_a} {box_b}</answer>",
        "box of all options": f"\\boxed{{{', '.join(bodies)}}}",
        "all options in a code block": f"<answer>```\n{listed}\n```</answer>",
        "all options as a list": f"<answer>{listed}</answer>",
        "all options with letters": f"<answer>{lettered}</answer>",
        "two letters": "<answer>A or B</answer>",
        "another option's letter": f"<answer>Z. {a}</answer>",
        "either of two in bold": f"<answer>**{a}** or **{b}**</answer>",
        "either of two in mathematics": f"<answer>${a}$ or ${b}$</answer>",
        "both of two": f"<answer>both {a} and {b}</answer>",
        "struck out": f"<answer>~~{a}~~ {b}</answer>",
        "negation in bold": f"<answer>not **{a}**</answer>",
        "negation outside": f"It is not {tag_a}",
        "contraction outside": f"It isn't {tag_a}",
        "alternative outside": f"{tag_a} or {b}",
        "alternative before": f"either {b} or {tag_a}",
        "question outside": f"{tag_a}?",
        "taken back": f"{tag_a} Wait, it is {b}.",
        "taken back at once": f"{tag_a}. Actually, no.",
        "taken back by no": f"{tag_a}. No wait, {b}",
        "taken back by rather": f"{tag_a}, or rather {b}",
        "taken back by but": f"{tag_a} But {b} fits as well.",
        "taken back inside": f"<answer>{a}. No wait, {b}</answer>",
        "taken back inside by rather": f"<answer>{a}, or rather {b}</answer>",
        "two in brackets": f"<answer>{a} ({b})</answer>",
        "example of the prompt": how or f"in this form: {tag_a}",
        "example quoted": f"I reply in this form: {tag_a}",
        "minus in bold": f"<answer>**-{a}**</answer>",
        "minus in a box": f"<answer>\\boxed{{-{a}}}</answer>",
        "hedge in words": f"<answer>The answer is probably {a}</answer>",
        "range": f"<answer>{a} to {b}</answer>",
        "dots": f"<answer>{a}...</answer>",
        "long s": f"<answer>{_swap(a, 's', chr(0x17F))}</answer>",
        "Kelvin sign": f"<answer>{a}{chr(0x212A)}</answer>",
        "full-width letters": f"<answer>{''.join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in a)}</answer>",
    }


def _swap(text: str, old: str, new: str) -> str:
    """Return a text with a character exchanged, and the new one after it where there was none to exchange."""
    return text.replace(old, new) if old in text else text + new


def _numbers(a: str, b: str) -> dict[str, str]:
    """Return numbers that are not written as the question asks for them."""
    full_width = a.translate({ord(digit): 0xFF10 + i for i, digit in enumerate(string.digits)})
    arabic = a.translate({ord(digit): 0x0660 + i for i, digit in enumerate(string.digits)})
    return {
        "minus": f"-{a}",
        "minus and space": f"- {a}",
        "typographic minus": f"\u2212{a}",
        "plus": f"+{a}",
        "decimals": f"{a}.0",
        "decimal point": f"{a}.",
        "leading zero": f"0{a}",
        "exponent": f"{a}e0",
        "full-width digits": full_width,
        "arabic digits": arabic,
        "numbers run together": f"{a}{b}00",
    }


def _lists(numbers: list[int]) -> dict[str, str]:
    """Return lists that are not the answer to a question for several different numbers, counted from 1."""
    words = [str(number) for number in numbers]
    written = ", ".join(words)
    repeated = [words[0], *words[:-1]]
    beyond = [*words[:-1], "99"]
    replies = {
        "one number short": ", ".join(words[:-1]),
        "one number too many": ", ".join([*words, str(max(numbers) + 1)]),
        "first number again at the end": ", ".join([*words, words[0]]),
        "list twice": f"{written}, {written}",
        "repeated entry": ", ".join(repeated),
        "all entries the same": ", ".join(words[:1] * len(words)),
        "entry out of range": ", ".join(beyond),
        "negative entry": ", ".join(["-" + words[0], *words[1:]]),
        "decimal entry": ", ".join([words[0] + ".0", *words[1:]]),
        "entry with leading zero": ", ".join(["0" + words[0], *words[1:]]),
        "entry in words": ", ".join([*words[:-1], "one"]),
        "letters": ", ".join(string.ascii_uppercase[number - 1] for number in numbers),
        "semicolons": "; ".join(words),
        "hyphens": "-".join(words),
        "arrows": " -> ".join(words),
        "run together": "".join(words),
        "comma and space apart": f"{words[0]} {', '.join(words[1:])}" if len(words) > 2 else f"{words[0]} , , {words[1]}",
        "double comma": ",, ".join(words),
        "lists of one": " ".join(f"[{word}]" for word in words),
        "numbered places": ", ".join(f"{place + 1}: {word}" for place, word in enumerate(words)),
        "hole": ", ".join([*words[:-1], "?"]),
        "full-width entries": written.translate({ord(digit): 0xFF10 + i for i, digit in enumerate(string.digits)}),
    }
    pairs = [words[at : at + 2] for at in range(0, len(words), 2)]
    replies["first one numbered"] = f"{words[0]}. {' '.join(words[1:])}"
    replies["first one a heading"] = f"{words[0]}: {' '.join(words[1:])}"
    replies["tiles in places"] = "\n".join(f"tile {' in '.join(pair)}" for pair in pairs)
    replies["numbered lines"] = "\n".join(f"{place + 1}. {word}" for place, word in enumerate(words))
    if len(words) > 2:
        replies["mixed separators"] = f"{words[0]}; {', '.join(words[1:])}"
        replies["pairs"] = ", ".join(f"({', '.join(pair)})" for pair in pairs)
        replies["ranges"] = ", ".join("-".join(pair) for pair in pairs)
    if 1 in numbers:  # without it the numbers would be others that exist
        replies["counting from 0"] = ", ".join(str(number - 1) for number in numbers)
    return replies


def options(task: Task, batch: Batch, seed: int = 0) -> list[list[str]]:
    """Return answers to each question, without tags, the right one first: all that there are, or some drawn at random."""
    right = task.format_all(task.oracle(batch), batch)
    space = task.action_space
    found: list[list[str | None]]
    if isinstance(space, spaces.Discrete) and not task.parts and space.n <= MOST_OPTIONS:
        every: list[str | None] = [task.format(space.start + number) for number in range(int(space.n))]
        found = [every] * len(batch)
    else:
        rows = np.arange(len(batch))
        streams = [Stream("train", np.full(len(batch), hash_seed(seed, "others", k)), rows) for k in range(OTHERS)]
        drawn = [task.format_all(task.random_answers(batch, stream), batch) for stream in streams]
        found = [list(column) for column in zip(*drawn, strict=True)]
    listed = [list(dict.fromkeys([first, *others])) for first, others in zip(right, found, strict=True)]
    return [[body for body in bodies if body is not None] for bodies in listed]


def conformance(
    task: Task, split: str, style: str, count: int = 8, seed: int = 0, grammar: str = "strict"
) -> dict[str, dict[str, int]]:
    """Score hostile replies to `count` questions; return how many of each kind were tried, and how many were taken.

    Taken is what is read as an answer, is paid, or is called a success. Tasks without text have none.
    """
    if not task.has_text:
        return {}
    batch = task.sample(Stream(split, np.full(count, hash_seed(seed, "conformance")), np.arange(count)))
    questions = zip(options(task, batch, seed), task.prompts(batch, style), strict=True)
    replies = [hostile_replies(bodies, style, prompt, grammar) if len(bodies) > 1 else {} for bodies, prompt in questions]
    table = {}
    for kind in dict.fromkeys(kind for row in replies for kind in row):
        rows = np.array([row for row, known in enumerate(replies) if kind in known], np.int64)
        texts, asked = [replies[row][kind] for row in rows], batch.rows(rows)
        score, read = task.score_texts(texts, asked, style, grammar), task.parse_all(texts, asked, style, grammar)[1]
        taken = (score.reward > 0) | score.success | read
        table[kind] = {"tried": len(texts), "paid": int(taken.sum())}
    return table
