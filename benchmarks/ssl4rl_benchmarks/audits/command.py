"""``ssl4rl audit``: the audits of one environment or of all, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ssl4rl_benchmarks.audits.audit import AuditSettings, audit, audit_all
from ssl4rl_benchmarks.audits.graphs import GRAPH_SOLVERS
from ssl4rl_benchmarks.audits.shortcuts import SOLVERS

POLICIES = ("random", "constant", "majority")
ABSENT = "–"


@dataclass(frozen=True)
class AuditFlags:
    """Audit an environment, or all of them: chance, oracle, shortcuts, hostile replies."""

    episodes: int = 1000
    """How many questions each solver is asked; solvers have learned from twice as many, of other items."""
    split: Literal["train", "validation", "test"] = "test"
    """Whose items are asked about; solvers have learned from those of "train"."""
    seed: int = 0
    """Of the questions."""
    all: bool = False
    """Audit every environment with its default arguments."""
    markdown: bool = False
    """Print the table for a document."""
    json: bool = False
    """Print JSON."""


def run(flags: AuditFlags, env_id: str | None, env_args: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """Audit an environment, or all with ``--all``; return the exit status, 1 where something failed, and the results.

    Raises:
        ValueError: there is neither an environment nor ``--all``, or there are both.
    """
    if flags.all == (env_id is not None):
        raise ValueError("name one environment, or --all")
    settings = AuditSettings(flags.episodes, 2 * flags.episodes, flags.split, seed=flags.seed)
    results = audit_all(settings) if env_id is None else [audit(env_id, env_args, settings)]
    if flags.markdown:
        print(markdown(results))
    elif not flags.json:
        print_table(results)
    return (1 if any(result["failures"] for result in results) else 0), results


def print_table(results: list[dict[str, Any]]) -> None:
    """Print audits as a table, with a star where a shortcut beats chance, and what failed below it."""
    for solvers, kind in _kinds(results):
        rows = [[cell.replace("**", "*") for cell in cells] for cells in _rows(kind, solvers)]
        widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
        for cells in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        print()
    failed = [failure for result in results for failure in result["failures"]]
    print("\n".join(f"FAILED {failure}" for failure in failed) if failed else "nothing failed")


def markdown(results: list[dict[str, Any]]) -> str:
    """Return audits as a table for the docs, one of images and one of graphs; what beats chance is bold."""
    tables = []
    for solvers, kind in _kinds(results):
        header, *rows = _rows(kind, solvers)
        lines = [header, ["---"] * len(header), *rows]
        tables.append("\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n")
    return "\n".join(tables)


def _kinds(results: list[dict[str, Any]]) -> list[tuple[tuple[str, ...], list[dict[str, Any]]]]:
    """Return the solvers of images and the audits that they took part in, and the same of graphs, as far as there are any."""
    graphs = [result for result in results if any(set(GRAPH_SOLVERS) & set(table) for table in result["shortcuts"].values())]
    others = [result for result in results if result not in graphs]
    return [(solvers, kind) for solvers, kind in ((SOLVERS, others), (GRAPH_SOLVERS, graphs)) if kind]


def _rows(results: list[dict[str, Any]], solvers: tuple[str, ...]) -> list[list[str]]:
    columns = ["environment", "source", "chance", *POLICIES, *solvers, "oracle", "hostile replies paid", "drafts accepted"]
    rows = [columns]
    for result in results:
        for source, table in result["shortcuts"].items():
            name = [result["env"].removeprefix("SSL4RL/"), source]
            solved = [_solver(table.get(solver)) for solver in solvers]
            if source != result["source"]:
                rows.append([*name, f"{result['chance']:.3f}", *[""] * len(POLICIES), *solved, "", "", ""])
                continue
            blind = [f"{result['policies'][policy]['reward']:.3f}" for policy in POLICIES]
            measured = [f"{result['oracle']:.3f}", _conformance(result["conformance"]), _acceptance(result["acceptance"])]
            rows.append([*name, f"{result['chance']:.3f}", *blind, *solved, *measured])
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
