"""Drawings of neighbourhoods, for people: what is asked about stands out, similar features have similar colours."""

from __future__ import annotations

import colorsys
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIDE, SCALE = 332, 2
"""Pixels of a side, and how much larger it is drawn before it is scaled down."""

PAPER, LINE, INK, HIDDEN = (255, 255, 255), (186, 194, 206), (32, 36, 44), (206, 210, 217)
ASKED, CHOICE = (206, 50, 50), (32, 92, 190)
STEPS = 40


def draw(shown: dict[str, NDArray[Any]], x: NDArray[np.float32], role: str) -> NDArray[np.uint8]:
    """Draw one neighbourhood, uint8 (332, 332, 3).

    Args:
        shown: the observation of one instance, as `GraphTask` describes it.
        x: (M, F) features of its nodes.
        role: of the task; of a choice the candidates have another colour than the node they are chosen for.
    """
    count = int(shown["node_mask"].sum())
    one, other = shown["edge_index"][:, shown["edge_mask"] == 1]
    edges = sorted({(min(a, b), max(a, b)) for a, b in zip(one.tolist(), other.tolist(), strict=True)})
    graph: Any = nx.Graph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(edges)
    places = _places(graph, shown["target"].tolist())
    side = SIDE * SCALE
    canvas = Image.new("RGB", (side, side), PAPER)
    pen = ImageDraw.Draw(canvas)
    for a, b in edges:
        pen.line((*places[a], *places[b]), LINE, 2 * SCALE)
    colours = _colours(x[:count], shown["x_mask"][:count])
    targets = {int(node): order for order, node in enumerate(shown["target"].tolist())}
    for node in sorted(range(count), key=lambda node: node in targets):
        asked = targets.get(node)
        radius = (11 if asked is not None else 7) * SCALE
        edge = LINE if asked is None else CHOICE if role == "choice" and asked > 0 else ASKED
        left, top = places[node]
        box = (left - radius, top - radius, left + radius, top + radius)
        pen.ellipse(box, colours[node], edge, (4 if asked is not None else 1) * SCALE)
        if asked is not None:
            font: Any = ImageFont.load_default(13 * SCALE)
            words = str(node)
            pen.text((left - pen.textlength(words, font) / 2, top - 8 * SCALE), words, INK, font)
    return np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _places(graph: Any, targets: list[int]) -> dict[int, tuple[float, float]]:
    """Lay a graph out by springs from a start on circles, targets inside; in pixels of the large drawing."""
    count = len(graph)
    inner = {node: number for number, node in enumerate(dict.fromkeys(targets))}
    start = {}
    for node in range(count):
        angle = 2 * np.pi * (inner[node] / len(inner) if node in inner else node / count)
        reach = 0.25 if node in inner else 1.0
        start[node] = np.array([np.cos(angle), np.sin(angle)]) * reach
    laid = nx.spring_layout(graph, pos=start, iterations=STEPS, k=1.6 / np.sqrt(count), seed=0)
    spread = np.array([laid[node] for node in range(count)])
    low, high = spread.min(axis=0), spread.max(axis=0)
    margin = 18 * SCALE
    scaled = (spread - low) / np.maximum(high - low, 1e-9) * (SIDE * SCALE - 2 * margin) + margin
    return {node: (float(x), float(y)) for node, (x, y) in enumerate(scaled)}


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
