"""One episode of three turns, and what every algorithm makes of it, token by token.

python -m ssl4rl_benchmarks.figures.turns [--out FILE.svg]    print the table of docs/training.md, and draw

Episode A answers three times, with 2, 1 and 2 tokens, and earns 0.5, 0 (its answer could not be read) and 0.25. Episode B is
about the same instance; it answers once, with one token, and earns 1. Discounts and mixing are 1, as by default, and nothing
is whitened.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from xml.sax.saxutils import escape

import torch

from ssl4rl_agents.algorithms.advantages import Advantages, Earned, EarnedInTurn, token_rewards
from ssl4rl_agents.algorithms.estimators import ADVANTAGES
from ssl4rl_agents.settings import ObjectiveConfig

REWARDS = ([0.5, 1.0], [0.0], [0.25])
LENGTHS = ([2, 1], [1], [2])
EPISODES = ([0, 1], [0], [0])
VALUES = ([[0.2, 0.4], [0.6, 0.0]], [[0.3]], [[0.1, 0.2]])
TOKENS = ("a", "b", "c", "d", "e")
"""The tokens of episode A."""

WHAT = {
    "gae": "what is earned from a token on, minus the value there",
    "turn_gae": "the same with turns as steps: minus the value at the turn's end; its tokens share it",
    "bilevel_gae": "the turn's advantage at its last token, GAE from there to its first",
    "grpo": "the episode against the group, over their spread",
    "dr_grpo": "the episode minus the group's mean",
    "rloo": "the episode minus the mean of the others",
    "turn_grpo": "what is earned from a turn on, against the same turn of the group",
    "step_grpo": "step rewards standardised in the group, summed from a turn on",
    "reinforce++": "what is earned from a token on",
}


def example() -> Earned:
    """Return what the two episodes earned."""
    turns = []
    for rewards, lengths, episodes, values in zip(REWARDS, LENGTHS, EPISODES, VALUES, strict=True):
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        turns.append(
            EarnedInTurn(
                token_rewards(torch.tensor(rewards), mask), torch.tensor(values) * mask, mask, torch.tensor(episodes)
            )
        )
    return Earned(torch.tensor([0.75, 1.0]), 2, turns)


def of_first(advantage: str) -> list[float]:
    """Return the advantages of the tokens of episode A."""
    found: list[Advantages] = ADVANTAGES[advantage](ObjectiveConfig(advantage=advantage), example())
    return [float(value) for one, lengths in zip(found, LENGTHS, strict=True) for value in one.advantages[0, : lengths[0]]]


def table() -> str:
    """Return the worked example as a table in Markdown."""
    lines = ["| | a | b | c | d | e | |", "| --- | --- | --- | --- | --- | --- | --- |"]
    values = [value for of_turn, lengths in zip(VALUES, LENGTHS, strict=True) for value in of_turn[0][: lengths[0]]]
    lines.append(
        f"| value | {' | '.join(f'{value:g}' for value in values)} | what the critic expected when the token was chosen |"
    )
    lines.append("| reward | | 0.5 | 0 | | 0.25 | on the last token of each answer |")
    for name in ADVANTAGES:
        shown = [_written(value) for value in of_first(name)]
        lines.append(f"| `{name}` | {' | '.join(shown)} | {WHAT[name]} |")
    return "\n".join(lines) + "\n"


def _written(value: float) -> str:
    """Return a number with two decimals, or three where it has them."""
    return f"{value:.3f}".removesuffix("0").replace("-0.00", "0.00")


def picture() -> str:
    """Return an episode as a drawing (SVG): what is shown, answered and earned, and which advantages hang together."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 350" font-family="sans-serif" font-size="14">',
        "<title>An episode of three turns</title>",
        '<rect width="780" height="350" fill="white"/>',
    ]
    number = 0
    for turn, (rewards, lengths) in enumerate(zip(REWARDS, LENGTHS, strict=True)):
        left = 20 + 300 * turn
        parts.append(_box(left, 40, 120, 60, "#dce9f7", f"state {turn + 1}"))
        parts.append(_text(left + 60, 28, f"turn {turn + 1}", "middle", bold=True))
        count, width = lengths[0], 120 // lengths[0]
        for token in range(count):
            parts.append(_box(left + token * width, 130, width - 6, 44, "#f7e3c4", TOKENS[number]))
            number += 1
        parts.append(_line(left + 57, 100, left + 57, 128))
        parts.append(_text(left + 57, 200, f"reward {rewards[0]:g}", "middle"))
        if turn < 2:
            parts.append(_line(left + 124, 152, left + 296, 72))
            parts.append(_text(left + 214, 92, "advance", "middle"))
    parts.append(_line(744, 232, 20, 232))
    parts.append(_text(20, 250, "gae, reinforce++: token by token, through the whole episode", "start"))
    for turn in range(3):
        left = 20 + 300 * turn
        parts.append(f'<rect x="{left}" y="266" width="114" height="14" fill="#9fc5a8"/>')
        if turn < 2:
            parts.append(_line(left + 300, 273, left + 118, 273))
    parts.append(_text(20, 302, "turn_gae, turn_grpo, step_grpo: turn by turn, the tokens of a turn alike", "start"))
    parts.append(_text(20, 321, "bilevel_gae: turn by turn, then token by token within each", "start"))
    parts.append(_text(20, 340, "grpo, dr_grpo, rloo: all tokens of the episode alike", "start"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(x: int, y: int, width: int, height: int, colour: str, words: str) -> str:
    shape = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{colour}" stroke="#555"/>'
    return shape + _text(x + width // 2, y + height // 2 + 5, words, "middle")


def _text(x: int, y: int, words: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'


def _line(x1: int, y1: int, x2: int, y2: int) -> str:
    """An arrow; its head is two short strokes."""
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    head = [f"M{x2} {y2}L{x2 - 9 * ux + side * 4 * uy:.1f} {y2 - 9 * uy - side * 4 * ux:.1f}" for side in (-1, 1)]
    return f'<path d="M{x1} {y1}L{x2} {y2}{"".join(head)}" stroke="#555" fill="none"/>'


def main() -> None:
    """Print the table; draw the picture, if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    print(table(), end="")
    if given.out is not None:
        given.out.write_text(picture())


if __name__ == "__main__":
    main()
