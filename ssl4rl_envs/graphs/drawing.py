"""Drawings of neighbourhoods, for people: what is asked about stands out, similar features have similar colours."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIDE, SCALE = 332, 2
"""Pixels of a side, and how much larger it is drawn before it is scaled down."""

PAPER, LINE, INK, HIDDEN = (255, 255, 255), (186, 194, 206), (32, 36, 44), (206, 210, 217)
ASKED, CHOICE = (206, 50, 50), (32, 92, 190)
BEEN, HERE, TOLD = (120, 84, 160), (214, 122, 10), (24, 128, 96)
"""Where a walk has been and where it is, and nodes that have told something."""

STEPS = 40


@dataclass(frozen=True)
class Mark:
    """How a node stands out: the colour of its ring, and what is written on it."""

    ring: tuple[int, int, int]
    words: str


def draw(
    shown: dict[str, NDArray[Any]],
    x: NDArray[np.float32],
    role: str,
    marks: dict[int, Mark] | None = None,
    stages: NDArray[np.int64] | None = None,
) -> NDArray[np.uint8]:
    """Draw one neighbourhood, uint8 (332, 332, 3).

    Args:
        shown: the observation of one instance, as `GraphTask` describes it.
        x: (M, F) features of its nodes.
        role: of the task; of a choice the candidates have another colour than the node they are chosen for.
        marks: how nodes stand out; by default those that are asked about do, by their numbers.
        stages: (count,) when each node was found, which is drawn where there was room then; by default all at once.
    """
    count = int(shown["node_mask"].sum())
    one, other = shown["edge_index"][:, shown["edge_mask"] == 1]
    edges = sorted({(min(a, b), max(a, b)) for a, b in zip(one.tolist(), other.tolist(), strict=True)})
    graph: Any = nx.Graph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(edges)
    marks = asked_about(shown, role) if marks is None else marks
    places = _places(graph, shown["target"].tolist(), stages)
    side = SIDE * SCALE
    canvas = Image.new("RGB", (side, side), PAPER)
    pen = ImageDraw.Draw(canvas)
    for a, b in edges:
        pen.line((*places[a], *places[b]), LINE, 2 * SCALE)
    colours = _colours(x[:count], shown["x_mask"][:count])
    for node in sorted(range(count), key=lambda node: node in marks):
        mark = marks.get(node)
        radius = (11 if mark is not None else 7) * SCALE
        edge = LINE if mark is None else mark.ring
        left, top = places[node]
        box = (left - radius, top - radius, left + radius, top + radius)
        pen.ellipse(box, colours[node], edge, (4 if mark is not None else 1) * SCALE)
        if mark is not None:
            font: Any = ImageFont.load_default(13 * SCALE)
            pen.text((left - pen.textlength(mark.words, font) / 2, top - 8 * SCALE), mark.words, INK, font)
    return np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def asked_about(shown: dict[str, NDArray[Any]], role: str) -> dict[int, Mark]:
    """Return how nodes stand out that are asked about."""
    targets = {int(node): order for order, node in enumerate(shown["target"].tolist())}
    return {node: Mark(CHOICE if role == "choice" and asked > 0 else ASKED, str(node)) for node, asked in targets.items()}


def _places(graph: Any, targets: list[int], stages: NDArray[np.int64] | None) -> dict[int, tuple[float, float]]:
    """Lay a graph out; in pixels of the large drawing."""
    laid = _lay_out(graph, targets) if stages is None else _lay_out_in_stages(graph, stages)
    spread = np.array([laid[node] for node in range(len(graph))])
    low, high = spread.min(axis=0), spread.max(axis=0)
    margin = 18 * SCALE
    scaled = (spread - low) / np.maximum(high - low, 1e-9) * (SIDE * SCALE - 2 * margin) + margin
    return {node: (float(x), float(y)) for node, (x, y) in enumerate(scaled)}


def _lay_out_in_stages(graph: Any, stages: NDArray[np.int64]) -> Any:
    """Lay out what was found first, and what was found later round what was there, which stays where it is."""
    laid: Any = {}
    for stage in range(int(stages.max(initial=0)) + 1):
        fresh = np.flatnonzero(stages == stage).tolist()
        if not fresh:
            continue
        start = dict(laid)
        for number, node in enumerate(fresh):
            near = [laid[other] for other in graph[node] if other in laid]
            angle = 2 * np.pi * number / len(fresh)
            start[node] = np.mean(near or [(0, 0)], axis=0) + 0.5 * np.array([np.cos(angle), np.sin(angle)])
        part = graph.subgraph(sorted(start))
        fixed = sorted(laid) or None
        laid = nx.spring_layout(part, pos=start, fixed=fixed, iterations=STEPS, k=0.5, seed=0, scale=None)
    return laid


def _lay_out(graph: Any, targets: list[int]) -> Any:
    """Lay a graph out by springs from a start on circles, targets inside."""
    count = len(graph)
    inner = {node: number for number, node in enumerate(dict.fromkeys(targets))}
    start = {}
    for node in range(count):
        angle = 2 * np.pi * (inner[node] / len(inner) if node in inner else node / count)
        reach = 0.25 if node in inner else 1.0
        start[node] = np.array([np.cos(angle), np.sin(angle)]) * reach
    return nx.spring_layout(graph, pos=start, iterations=STEPS, k=1.6 / np.sqrt(count), seed=0)


def _colours(x: NDArray[np.float32], seen: NDArray[np.int8]) -> list[tuple[int, int, int]]:
    """Give similar features similar hues, by their angle in the plane of the two directions in which they differ most."""
    colours = [HIDDEN] * len(x)
    shown = np.flatnonzero(seen)
    if not len(shown):
        return colours
    centred = x[shown] - x[shown].mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    plane = left[:, :2] * size[:2]
    plane = np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))
    for node, (across, up) in zip(shown.tolist(), plane.tolist(), strict=True):
        hue = (np.arctan2(up, across) / (2 * np.pi)) % 1 if across or up else 0.58
        red, green, blue = colorsys.hls_to_rgb(hue, 0.72, 0.55)
        colours[node] = (round(red * 255), round(green * 255), round(blue * 255))
    return colours
