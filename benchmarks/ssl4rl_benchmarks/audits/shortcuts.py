"""Shortcut solvers: they answer without understanding the picture. What one of them earns beyond chance must be documented.

Some look at tiles and edges directly (`seams`). Others are classifiers over what can be measured blindly (`features`),
trained on instances of one split and asked about another's, whose items are different.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssl4rl_agents.rules.cells import Pictures, grid_cells, panel_cells
from ssl4rl_agents.rules.picture_rules import by_duplicates, by_edges
from ssl4rl_benchmarks.audits import boosted, matcher, structure, walkers
from ssl4rl_benchmarks.audits.features import FEATURES, Table
from ssl4rl_benchmarks.audits.graph_features import COUNTED, describe_graphs, graph_solvers_of
from ssl4rl_envs import Batch, Task
from ssl4rl_envs.graphs.base import GraphTask
from ssl4rl_envs.images.colorization import Colorization
from ssl4rl_envs.images.frame_ordering import FrameOrdering
from ssl4rl_envs.images.masked_reconstruction import MaskedReconstruction
from ssl4rl_envs.images.next_frame import NextFrame
from ssl4rl_envs.images.odd_patch import OddPatch
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.patch_position import PatchPosition
from ssl4rl_envs.images.patch_swap import PatchSwap
from ssl4rl_envs.playing import believing, returns_of

TREES = "boosted trees"

TRACES = ("output size", "residuals", "extremes")
"""What tells how pictures were drawn, measured of the parts alone where a task makes parts."""

SOLVERS = ("output size", *FEATURES, TREES, "edge continuity", "matcher", "tile duplicates")

MATCHED = 800
"""Lessons that the matcher learns from."""

REGULARISATION = 0.1
UNSEEN = -30.0
"""Log-probability of an answer that no training instance had."""

Rewards = NDArray[np.float64]

WHOLE = -1
Tables = dict[tuple[str, int], Table]
"""Tables (n, features) by picture and number of its part, `WHOLE` for the picture itself."""


def solvers_of(task: Task) -> list[str]:
    """Return the solvers that a task can be put to, by name; none for mixtures, whose parts are audited on their own."""
    discrete = isinstance(task.action_space, (spaces.Discrete, spaces.MultiDiscrete))
    if isinstance(task, GraphTask):
        return graph_solvers_of(task) if discrete else []
    if task.parts or not task.images or not discrete:
        return []
    edges = isinstance(task, (PatchOrdering, PatchSwap, OddPatch, MaskedReconstruction))
    left_out = set() if edges else {"edge continuity"}
    orders = isinstance(task, (PatchOrdering, PatchSwap))  # of tiles: the matcher learns them, trees all other answers
    looks_first = task.horizon > 1 and isinstance(task.action_space, spaces.MultiDiscrete)
    left_out |= (set() if orders else {"matcher"}) | ({TREES} if orders or looks_first else set())
    if not isinstance(task, (PatchPosition, MaskedReconstruction)):
        left_out.add("tile duplicates")
    return [name for name in SOLVERS if name not in left_out]


def measure_all(task: Task, train: Batch, test: Batch) -> dict[str, Rewards]:
    """Let every solver answer the test instances; return what each earns with each, (n,) by name."""
    solvers = solvers_of(task)
    if isinstance(task, GraphTask) and task.horizon > 1:
        return walkers.measure(task, solvers, train, test)
    if isinstance(task, GraphTask):
        known, asked = (structure.structure(task, batch) for batch in (train, test))
        earned = {name: structure.attack(task, known[name], train, asked[name], test) for name in structure.groups_of(task)}
        return {name: earned[name] if name in earned else measure(name, task, train, test) for name in solvers}
    seen: dict[str, tuple[Tables, Tables]] = {}
    earned = {}
    for name in solvers:
        if name in FEATURES:  # measured once, for a solver of its own and for the trees
            seen[name] = describe(name, task, train), describe(name, task, test)
            earned[name] = _earn(task, test, classify(task, *compared(*seen[name]), train.target, offered_in(task, test)))
        elif name == TREES:
            lessons, questions = (together([tables[side] for tables in seen.values()]) for side in range(2))
            earned[name] = _earn(task, test, by_trees(task, lessons, train.target, questions, offered_in(task, test)))
        else:
            earned[name] = measure(name, task, train, test)
    return earned


def measure(name: str, task: Task, train: Batch, test: Batch) -> Rewards:
    """Let a solver answer the test instances; return what it earns with each, (n,).

    Raises:
        ValueError: the solver is one of those that `measure_all` alone knows.
    """
    if name == "edge continuity":
        return _earn(task, test, by_edges(task, test.observation))
    if name == "tile duplicates":
        return _earn(task, test, by_duplicates(task, test.observation))
    if name == "matcher" and isinstance(task, (PatchOrdering, PatchSwap)):
        return _earn(task, test, matched(task, train, test))
    if name == TREES or name in COUNTED:
        raise ValueError(f"{name!r} is measured with others; use measure_all")
    tables = [describe(name, task, batch) for batch in (train, test)]
    return _earn(task, test, classify(task, *compared(*tables), train.target, offered_in(task, test)))


def offered_in(task: Task, batch: Batch) -> NDArray[np.bool_] | None:
    """Return which answers questions of one decision offer, (n, answers), None where all do: solvers choose among these."""
    offered = task.offered(batch) if task.horizon == 1 else None
    return None if offered is None or offered.all() else offered


def matched(task: PatchOrdering | PatchSwap, train: Batch, test: Batch) -> NDArray[np.int64]:
    """Learn from lessons which borders belong together, and return the orders of the questions' tiles."""
    grid = task.tiling.grid
    known, asked = (np.stack(grid_cells(batch.observation["image"], grid), axis=1) for batch in (train, test))
    return matcher.learn(known[:MATCHED], train.target[:MATCHED], grid).match(asked, grid)


def together(kinds: Sequence[Tables]) -> Tables:
    """Join what was measured of each picture or part: the tables of all kinds that there are of it side by side."""
    pieces_of_all = [piece for piece in kinds[0] if all(piece in tables for tables in kinds)]
    return {piece: np.concatenate([tables[piece] for tables in kinds], axis=1) for piece in pieces_of_all}


def by_trees(
    task: Task, known: Tables, target: NDArray[Any], asked: Tables, offered: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Learn answers from everything that was measured of pictures and parts; return those of the questions."""
    for name in task.images:
        parts = [piece for piece in known if piece[0] == name and piece[1] != WHOLE]
        if isinstance(task, FrameOrdering):
            tables = [np.stack([of[piece] for piece in parts], axis=1) for of in (known, asked)]
            return boosted.learn_order(tables[0], target, tables[1])
        if boosted.names_a_part(task, len(parts)) and not (isinstance(task, NextFrame) and name == "film"):
            tables = [np.stack([of[piece] for piece in parts], axis=1) for of in (known, asked)]
            if isinstance(task, NextFrame):
                tables = [_beside_film(task, *pair) for pair in zip(tables, (known, asked), strict=True)]
            return boosted.learn_choice(tables[0], target, tables[1])
    flat = [np.concatenate(list(of.values()), axis=1) for of in (known, asked)]
    return boosted.learn_answers(flat[0], target, flat[1], offered)


def _beside_film(task: NextFrame, candidates: Table, of: Tables) -> Table:
    """Return what is measured of candidates (n, candidates, features), and how far that is from the first and last frame."""
    first, last = (of["film", frame][:, None] for frame in (0, task.frames - 1))
    others = (candidates - last, np.abs(candidates - last), np.abs(candidates - first))
    return np.concatenate([candidates, *others], axis=2)


def pieces(task: Task, name: str, pictures: Pictures) -> tuple[list[Pictures], bool]:
    """Return the parts of a picture of the observation, and whether the task made them: tiles, cells or candidates."""
    if isinstance(task, Colorization):
        return panel_cells(pictures, task.candidates), True
    if name == "candidates" and isinstance(task, MaskedReconstruction):
        return panel_cells(pictures, task.candidates, task.patch_size), True
    if isinstance(task, (PatchOrdering, PatchSwap, OddPatch)):
        return grid_cells(pictures, task.tiling.grid), True
    if isinstance(task, FrameOrdering):
        return panel_cells(pictures, task.frames, task.side), True
    if isinstance(task, NextFrame):
        return panel_cells(pictures, task.frames if name == "film" else task.candidates, task.side), True
    if isinstance(task, PatchPosition) and name == "image":
        return grid_cells(pictures, task.grid), True
    return grid_cells(pictures, 2), False


def describe(solver: str, task: Task, batch: Batch) -> Tables:
    """Return what a solver sees: a table (n, features) of each picture, and of each of its parts.

    Quarters that the task did not make are left out, but for file sizes: how the content is laid out is no trace.
    """
    if isinstance(task, GraphTask):
        return {("graph", WHOLE): describe_graphs(solver, task, batch)}
    tables: Tables = {}
    for name in task.images:
        pictures = batch.observation[name]
        if solver == "output size":
            size = np.array([*pictures.shape[1:], pictures.dtype.itemsize], np.float64)
            tables[name, WHOLE] = np.tile(size, (len(pictures), 1))
            continue
        parts, made = pieces(task, name, pictures)
        if not made or solver not in TRACES:  # where parts lie side by side, the whole shows how they fit
            tables[name, WHOLE] = FEATURES[solver](pictures)
        if made or solver == "file size":
            tables.update({(name, number): FEATURES[solver](part) for number, part in enumerate(parts)})
    return tables


def compared(learned: Tables, questions: Tables) -> tuple[Table, Table]:
    """Join tables side by side, standardised by the first ones, with how far each is from each other of the same width."""
    known, asked = list(learned.values()), list(questions.values())
    scalers = [StandardScaler().fit(table) for table in known]
    joined = []
    for tables in (known, asked):
        scaled = [scaler.transform(table) for scaler, table in zip(scalers, tables, strict=True)]
        raw = _common(tables, known)
        pairs = [(i, j) for i in range(len(raw)) for j in range(i) if raw[i].shape == raw[j].shape]
        apart = [np.abs(raw[i] - raw[j]).mean(axis=1)[:, None] for i, j in pairs]
        joined.append(np.concatenate([*scaled, *apart], axis=1))
    return joined[0], joined[1]


def classify(
    task: Task, known: Table, asked: Table, target: NDArray[Any], offered: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Learn answers (n, ...) from features and give those of other features: the likeliest, or the likeliest permutation.

    Where questions offer some of many answers each, (n, answers), the likeliest of these.
    """
    slots = target.reshape(len(target), -1)
    classes = int(slots.max()) + 1
    beliefs = np.stack([_log_probabilities(known, slots[:, slot], asked, classes) for slot in range(slots.shape[1])], axis=1)
    if target.ndim == 1:
        likely = beliefs[:, 0] if offered is None else np.where(offered[:, :classes], beliefs[:, 0], -np.inf)
        return np.asarray(likely.argmax(axis=1), np.int64)
    if any(form.distinct and form.slots == slots.shape[1] for form in task.answer_formats):
        return np.stack([linear_sum_assignment(-belief)[1] for belief in beliefs]).astype(np.int64)
    return np.asarray(beliefs.argmax(axis=2), np.int64)


def _log_probabilities(known: Table, labels: NDArray[Any], asked: Table, classes: int) -> Table:
    beliefs = np.full((len(asked), classes), UNSEEN)
    seen = np.unique(labels)
    if len(seen) == 1:
        beliefs[:, seen] = 0
        return beliefs
    model = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=1_000, tol=1e-3))
    beliefs[:, seen] = np.log(np.maximum(model.fit(known, labels).predict_proba(asked), np.exp(UNSEEN)))
    return beliefs


def _common(tables: list[Table], known: list[Table]) -> list[Table]:
    """Scale tables of one width alike, by the spreads of the known ones together, so that they can be compared."""
    spreads = {}
    for width in {table.shape[1] for table in known}:
        together = np.concatenate([table for table in known if table.shape[1] == width])
        spreads[width] = together.std(axis=0) + 1e-9
    return [table / spreads[table.shape[1]] for table in tables]


def _earn(task: Task, batch: Batch, answers: NDArray[np.int64]) -> Rewards:
    """Return what answers earn; where episodes have several decisions, what is believed to be true, and is acted on."""
    if task.horizon == 1:
        return task.score(answers.astype(task.action_space.dtype), batch).reward.astype(np.float64)
    return returns_of(task, batch, believing(task, batch, answers))
