"""What `ssl4rl eval RUN --downstream` says of a set: a line, and one for each note."""

from __future__ import annotations

from typing import Any


def lines_of(result: dict[str, Any]) -> list[str]:
    """Put the result of a set in a line, and what else there is to know of it below."""
    if "harness" in result:
        return _of_harness(result)
    after, before, difference = result["after"], result.get("before"), result.get("difference")
    size = f"{after['questions']:,} questions about {after['pictures']:,} pictures"
    parts = [f"accuracy by choice {_pair(before, after, 'accuracy')}{_apart(difference, 'accuracy')}"]
    parts.append(f"greedy {_pair(before, after, 'greedy')}{_unread(after)}")
    if after["picture_gain"] is not None:
        parts.append(f"picture gain {_pair(before, after, 'picture_gain', 2)} nats{_apart(difference, 'picture_gain', 2)}")
        parts.append(f"words alone give {_pair(before, after, 'blank' if after['rewired'] is None else 'rewired')}")
    if after["calibrated"] is not None:
        parts.append(f"blank subtracted {_pair(before, after, 'calibrated')}")
    if "congruent" in after:
        parts.append(f"congruent {_pair(before, after, 'congruent')}, incongruent {_pair(before, after, 'incongruent')}")
    lines = [f"{result['set']} ({size}): {'; '.join(parts)}"]
    left = [f"{count:,} of {reason}" for reason, count in result.get("left_out", {}).items()]
    if left:
        lines.append(f"  left out: {', '.join(left)}")
    if result.get("not_asked"):
        lines.append(f"  {result['not_asked']:,} more were not asked (--questions)")
    return lines + [f"  note: {note}" for note in result["notes"]]


def _pair(before: dict[str, Any] | None, after: dict[str, Any], name: str, digits: int = 3) -> str:
    said = [_value(side[name], digits) for side in (before, after) if side is not None]
    return " -> ".join(said)


def _value(estimate: dict[str, Any] | None, digits: int) -> str:
    return "none" if estimate is None else f"{estimate['value']:.{digits}f}"


def _apart(difference: dict[str, Any] | None, name: str, digits: int = 3) -> str:
    """Say how far before and after are apart."""
    found = None if difference is None else difference[name]
    if found is None:
        return ""
    if found["low"] is None:
        return f", difference {found['value']:+.{digits}f} (one picture: no interval)"
    low, high = f"{found['low']:+.{digits}f}", f"{found['high']:+.{digits}f}"
    return f", difference {found['value']:+.{digits}f} (95 % interval {low} to {high}, p {found['p']:.2g})"


def _unread(after: dict[str, Any]) -> str:
    share = after["readable"]["value"]
    return "" if share > 0.995 else f" ({share:.0%} of the replies readable)"


def _of_harness(result: dict[str, Any]) -> list[str]:
    names = list(result["after"])
    said = []
    for name in names:
        values = [side[name] for side in (result.get("before"), result["after"]) if side is not None and name in side]
        said.append(f"{name} {' -> '.join(f'{value:.4g}' for value in values)}")
    return [f"{result['set']}: {'; '.join(said)}"]
