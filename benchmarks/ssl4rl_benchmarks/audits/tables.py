"""Audits as tables: for the screen, and in Markdown for a document."""

from __future__ import annotations

from typing import Any

from ssl4rl_benchmarks import screen
from ssl4rl_benchmarks.audits.graph_features import GRAPH_SOLVERS
from ssl4rl_benchmarks.audits.shortcuts import SOLVERS
from ssl4rl_benchmarks.audits.text_overlap import TEXTS

POLICIES = ("random", "constant", "majority", "best fixed")
ABSENT = "–"
FEW = 6
"""Audits that stand side by side on the screen, with a line for each attack; more are a line each, for a file."""


def print_table(results: list[dict[str, Any]]) -> None:
    """Print audits as a table, with a star where a shortcut beats chance, and what failed below it."""
    for solvers, kind in _kinds(results):
        header, *rows = [[cell.replace("**", "*") for cell in cells] for cells in _rows(kind, solvers)]
        if len(rows) > FEW:
            print(screen.table(header, rows, 0), end="\n\n")
            continue
        print(", ".join(dict.fromkeys(row[0] for row in rows)))
        one = len({row[0] for row in rows}) == 1
        names = [row[1] if one else f"{row[0]} {row[1]}" for row in rows]
        attacks = [cells for cells in zip(header[2:], *(row[2:] for row in rows), strict=True) if set(cells[1:]) != {ABSENT}]
        print(screen.table(["over", *names], attacks), end="\n\n")
        starred = any("*" in cell for cells in attacks for cell in cells[1:])
        print("* beats chance\n" if starred else "", end="")
    for line in [*_refused(results), *_said(results)]:
        print(line)
    failed = [failure for result in results for failure in result["failures"]]
    print("\n".join(f"FAILED {failure}" for failure in failed) if failed else "nothing failed")


def markdown(results: list[dict[str, Any]]) -> str:
    """Return audits as tables for a document, one of images and one of graphs; what beats chance is bold."""
    tables = []
    for solvers, kind in _kinds(results):
        header, *rows = _rows(kind, solvers)
        lines = [header, ["---"] * len(header), *rows]
        tables.append("\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n")
    refused = "".join(f"- {line}\n" for line in [*_refused(results), *_said(results)])
    failed = "".join(f"- FAILED: {failure}\n" for result in results for failure in result["failures"])
    return "\n".join([*tables, *(part for part in (refused, failed) if part)])


def _kinds(results: list[dict[str, Any]]) -> list[tuple[tuple[str, ...], list[dict[str, Any]]]]:
    """Return the solvers of images and the audits that they took part in, and the same of graphs, as far as there are any."""
    measured = [result for result in results if "shortcuts" in result]
    graphs = [result for result in measured if set(GRAPH_SOLVERS) & set(result["shortcuts"])]
    others = [result for result in measured if result not in graphs]
    read = any(TEXTS in result["shortcuts"] for result in graphs)
    of_graphs = GRAPH_SOLVERS if read else tuple(name for name in GRAPH_SOLVERS if name != TEXTS)
    return [(solvers, kind) for solvers, kind in ((SOLVERS, others), (of_graphs, graphs)) if kind]


def _refused(results: list[dict[str, Any]]) -> list[str]:
    """Say which sources a level does not take, and why."""
    return [f"{_name(row)} refuses {row['source']}: {row['refused']}" for row in results if "refused" in row]


def _said(results: list[dict[str, Any]]) -> list[str]:
    """Return what was found of all configurations together."""
    return [row["said"] for row in results if "said" in row]


def _name(result: dict[str, Any]) -> str:
    return " ".join(word for word in (result["env"].removeprefix("SSL4RL/"), result["level"]) if word)


def _rows(results: list[dict[str, Any]], solvers: tuple[str, ...]) -> list[list[str]]:
    columns = ["environment", "source", "chance", *POLICIES, *solvers, "oracle", "hostile replies paid", "drafts accepted"]
    rows = [columns]
    for result in results:
        solved = [_solver(result["shortcuts"].get(solver)) for solver in solvers]
        policies = [result["policies"].get(policy) for policy in POLICIES]
        blind = [ABSENT if entry is None else f"{entry['reward']:.3f}" for entry in policies]
        measured = [f"{result['oracle']:.3f}", _conformance(result["conformance"]), _acceptance(result["acceptance"])]
        rows.append([_name(result), result["source"], f"{result['chance']:.3f}", *blind, *solved, *measured])
    return rows


def _solver(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return ABSENT
    return f"**{entry['reward']:.3f}**" if entry["beats_chance"] else f"{entry['reward']:.3f}"


def _conformance(styles: dict[str, dict[str, dict[str, int]]]) -> str:
    if not styles:
        return ABSENT
    kinds = {kind for table in styles.values() for kind in table}
    tried, paid = (sum(entry[what] for table in styles.values() for entry in table.values()) for what in ("tried", "paid"))
    return f"{paid} of {tried} ({len(kinds)} kinds)"


def _acceptance(shares: float | dict[str, float] | None) -> str:
    if shares is None:
        return ABSENT
    return f"{shares:.0%}" if isinstance(shares, float) else f"{min(shares.values()):.0%} to {max(shares.values()):.0%}"
