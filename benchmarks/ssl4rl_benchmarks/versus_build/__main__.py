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
from ssl4rl_benchmarks.versus_build.cases import GROUPS, PEERS, Case, cases, peer_cases
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


def run(
    found: Sequence[Case], peers: Sequence[Case], trees: dict[str, Path], flags: argparse.Namespace
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Measure all cases, and the peers that they stand beside; return rows, and the peers' rates by name."""
    rows: list[dict[str, Any]] = []
    rivals: dict[str, Any] = {}
    for case in found:
        sides: dict[str, Worker] = {}
        try:
            sides = {name: Worker("worker", tree, case, flags.warm) for name, tree in trees.items()}
            measured = compare(sides, case, flags.rounds, flags.seconds)
        except RuntimeError as error:
            print(f"{case.group} | {case.name} | not measured: {error}", file=sys.stderr)
            rows.append({"group": case.group, "case": case.name, "error": str(error)})
            continue
        finally:
            for worker in sides.values():
                worker.close()
        row = {"group": case.group, "case": case.name, **measured}
        if len(trees) == 2:
            row["ratio"] = measured["head"] / measured["base"]
        rows.append(row)
        print(f"{case.group} | {case.name} | " + " ".join(f"{k} {v:,.4g}" for k, v in measured.items()), file=sys.stderr)
    for case in peers:
        try:
            worker = Worker("peers", trees["head"], case, flags.warm)
        except RuntimeError as error:
            rivals[case.group] = f"not measured: {error}"
            continue
        rivals[case.group] = compare({"rate": worker}, case, flags.rounds, flags.seconds)["rate"]
        worker.close()
    return rows, rivals


def table(rows: Sequence[dict[str, Any]], rivals: dict[str, Any]) -> str:
    """Return one row a group: rates by median over its cases, ratios, and what was asked for, as Markdown."""
    lines = [
        "| | base, /s | now, /s | ratio (least to largest) | asked | peer, /s | to the peer | asked |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, group in GROUPS.items():
        of = [row for row in rows if row["group"] == name and "error" not in row]
        failed = sum(row["group"] == name and "error" in row for row in rows)
        if failed:
            lines.append(f"| {group.title} | {failed} cases were not measured, see the errors | | | | | | |")
        if not of:
            continue
        base, head = (statistics.median(row.get(side, float("nan")) for row in of) for side in ("base", "head"))
        ratios = [row.get("ratio", float("nan")) for row in of]
        spread = f" ({min(ratios):,.1f} to {max(ratios):,.1f})" if len(of) > 1 else ""
        cells = [group.title, f"{base:,.0f}", f"{head:,.0f}", f"{statistics.median(ratios):,.1f}{spread}"]
        cells.append("" if group.ratio is None else f"{group.ratio:g}")
        rival = rivals.get(group.peer)
        if isinstance(rival, float):
            cells += [f"{group.peer} {rival:,.0f}", f"{head / rival:,.3g}", f"{group.share:g}"]
        else:
            cells += [f"{group.peer} {rival or ''}".strip(), "", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


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
        chosen = [
            case for case in cases(f"folder:{folder}") if not flags.only or any(word in case.group for word in flags.only)
        ]
        if not chosen:
            sys.exit(f"error: no group contains {' or '.join(flags.only)}; there are {', '.join(GROUPS)}")
        beside = {GROUPS[case.group].peer for case in chosen} & set(PEERS)
        peers = [case for case in peer_cases(f"folder:{folder}") if case.group in beside]
        rows, rivals = run(chosen, peers, trees, flags)
    print(json.dumps({"rows": rows, "peers": rivals}, indent=2) if flags.json else table(rows, rivals))


if __name__ == "__main__":
    main()
