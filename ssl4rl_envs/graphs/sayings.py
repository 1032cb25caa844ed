"""What nodes say of themselves, listed for a prompt and cut to the room that it has."""

from __future__ import annotations

from collections.abc import Sequence

CUT = "..."
"""What stands behind a text that was cut."""


def listed(nodes: Sequence[int], kind: str, said: Sequence[str], room: int) -> str:
    """Return 'KIND: node 0: "a text"; node 4: "another"; node 7: none.', of at most `room` characters.

    Args:
        nodes: their numbers in the prompt.
        kind: what is told of them.
        said: what each says, without quotation marks; "" is told as none.
        room: characters. All texts are cut at one length, the longest that fits. Where there is no room for that, all are
            left out, and it is said that they are.
    """
    if not nodes:
        return f"{kind}: none."
    around = [f"node {node}: " for node in nodes]
    fixed = len(kind) + 3 + sum(len(name) + 4 for name in around)  # quotation marks, "; "
    most = longest([len(text) for text in said], room - fixed)
    if most <= len(CUT):
        return f"{kind}: too many to be told."
    short = [text if len(text) <= most else text[: most - len(CUT)].rstrip() + CUT for text in said]
    quoted = [f'{name}"{text}"' if text else f"{name}none" for name, text in zip(around, short, strict=True)]
    return f"{kind}: {'; '.join(quoted)}."


def longest(lengths: Sequence[int], room: int) -> int:
    """Return the largest length to cut texts at so that together they have at most `room` characters.

    An empty one counts as 4, since it is told as "none". Where all of them fit it is the longest there is, at least 4.
    """
    counted = sorted(max(length, 4) for length in lengths)
    for place, length in enumerate(counted):
        left = len(counted) - place
        if length * left > room:
            return max(room // left, 0)
        room -= length
    return counted[-1]
