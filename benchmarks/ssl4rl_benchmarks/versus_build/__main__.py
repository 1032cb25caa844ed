"""The command: see the package."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ssl4rl_benchmarks.versus_build.builds import ROOT, Worker, checked_out
from ssl4rl_benchmarks.versus_build.cases import GROUPS, Case, cases, peer_of
from ssl4rl_benchmarks.versus_build.pictures import write_folder

PICTURES = 500
"""Files of the folder."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m ssl4rl_benchmarks.versus_build", description="Speed of the environments beside another commit's."
    )
    found.add_argument("base", nargs="?", help="the commit that this is compared with")
    found.add_argument("head", nargs="?", help="the commit that is compared; by default the files as they are")
    found.add_argument("--only", nargs="+", default=[], help="groups whose name contains one of these words")
    found.add_argument("--rounds", type=int, default=3, help="alternations of the two")
    found.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    found.add_argument("--warm", type=float, default=1.0, help="seconds that a case runs before it is measured")
    found.add_argument("--list", action="store_true", help="list the groups and their cases")
    found.add_argument("--json", action="store_true", help="print JSON")
    return found


def rate(found: dict[str, float], threads: int) -> float:
    """Return items per second: of the processor with one thread, which a busy machine hardly changes; else of the clock."""
    return found["items"] / found["cpu" if threads == 1 else "wall"]


def compare(sides: dict[str, Worker], case: Case, rounds: int, seconds: float) -> dict[str, float]:
    """Time workers in turns; return the median rate of each, and the smallest and largest of each under `name low/high`."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, worker in sides.items():
            rates[name].append(rate(worker.measure(seconds), case.threads))
    return {name: statistics.median(values) for name, values in rates.items()} | {
        f"{name} {end}": pick(values) for name, values in rates.items() for end, pick in (("low", min), ("high", max))
    }


def run(found: Sequence[Case], folder: str, trees: dict[str, Path], flags: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all cases, each by turns with the library that it stands beside; return a row each.

    Args:
        found: the cases.
        folder: the source of pictures on the disk.
        trees: where "head" and, if there is one, "base" are.
        flags: of the command.
    """
    rows: list[dict[str, Any]] = []
    for case in found:
        sides: dict[str, Worker] = {}
        row: dict[str, Any] = {"group": case.group, "case": case.name}
        try:
            for name, tree in trees.items():
                sides[name] = Worker("worker", tree, case, flags.warm)
            sides |= _peer(peer_of(case, folder), trees["head"], flags, row)
            row |= compare(sides, case, flags.rounds, flags.seconds)
        except RuntimeError as error:
            row["error"] = str(error)
        finally:
            for worker in sides.values():
                worker.close()
        for name, below in (("ratio", "base"), ("share", "peer")):
            if below in row and "head" in row:
                row[name] = row["head"] / row[below]
        rows.append(row)
        print(" | ".join(f"{k} {v:,.4g}" if isinstance(v, float) else f"{v}" for k, v in row.items()), file=sys.stderr)
    return rows


def _peer(peer: Case | None, tree: Path, flags: argparse.Namespace, row: dict[str, Any]) -> dict[str, Worker]:
    """Return the worker of a peer under "peer"; where it cannot be had, none, and why in the row."""
    try:
        return {} if peer is None else {"peer": Worker("peers", tree, peer, flags.warm)}
    except RuntimeError as error:
        row["peer error"] = f"not measured: {error}"
        return {}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return one row a group: rates by median over its cases, ratios, and what was asked for, as Markdown."""
    lines = [
        "| | base, /s | now, /s | ratio (least to largest) | asked | peer, /s | to the peer (least to largest) | asked |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, group in GROUPS.items():
        of = [row for row in rows if row["group"] == name and "error" not in row]
        failed = sum(row["group"] == name and "error" in row for row in rows)
        if failed:
            lines.append(f"| {group.title} | {failed} cases were not measured, see the errors | | | | | | |")
        if not of:
            continue
        cells = [
            group.title,
            _middle(of, "base", ",.0f"),
            _middle(of, "head", ",.0f"),
            _middle(of, "ratio", ",.1f", spread=True),
        ]
        cells.append("" if group.ratio is None else f"{group.ratio:g}")
        cells.append(f"{group.peer} {_middle(of, 'peer', ',.0f') or of[0].get('peer error', '')}".strip())
        cells += [_middle(of, "share", ".3g", spread=True), "" if group.share is None else f"{group.share:g}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _middle(rows: Sequence[dict[str, Any]], key: str, form: str, *, spread: bool = False) -> str:
    """Write the median of what rows hold under a key, if any does, with the least and largest of several."""
    values = [row[key] for row in rows if key in row]
    if not values:
        return ""
    said = f"{statistics.median(values):{form}}"
    return f"{said} ({min(values):{form}} to {max(values):{form}})" if spread and len(values) > 1 else said


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    flags = parser().parse_args(arguments)
    if flags.list:
        for case in cases("folder:PATH"):
            print(f"{case.group}: {case.name}")
        return
    with ExitStack() as stack:
        try:
            trees = {"base": stack.enter_context(checked_out(flags.base))} if flags.base else {}
            trees["head"] = stack.enter_context(checked_out(flags.head)) if flags.head else ROOT
        except ValueError as error:
            sys.exit(f"error: {error}")
        folder = stack.enter_context(TemporaryDirectory(prefix="ssl4rl-pictures-"))
        write_folder(Path(folder), PICTURES)
        source = f"folder:{folder}"
        chosen = [case for case in cases(source) if not flags.only or any(word in case.group for word in flags.only)]
        if not chosen:
            sys.exit(f"error: no group contains {' or '.join(flags.only)}; there are {', '.join(GROUPS)}")
        rows = run(chosen, source, trees, flags)
    print(json.dumps(rows, indent=2) if flags.json else table(rows))


if __name__ == "__main__":
    main()
