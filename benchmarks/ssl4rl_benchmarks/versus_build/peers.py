"""What other libraries do of the kind, as scripts like `worker`: each returns a step, and how many items one step is.

kornia and minigrid are no dependencies of ours: where one is missing, its row says so.
"""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

Step = Callable[[], Any]

SIDE = 64


def minigrid() -> tuple[Step, int]:
    """Steps of a Minigrid environment that shows what its agent sees as a picture of 56 x 56."""
    import gymnasium as gym
    from minigrid.wrappers import RGBImgPartialObsWrapper

    env = RGBImgPartialObsWrapper(gym.make("MiniGrid-Empty-8x8-v0"))
    env.reset(seed=0)
    taken = 0

    def step() -> None:
        nonlocal taken
        _, _, terminated, truncated, _ = env.step(taken % 3)
        taken += 1
        if terminated or truncated:
            env.reset()

    return step, 1


def pillow(folder: str) -> tuple[Step, int]:
    """Items of a data set written by hand: open a file, cut a random square, resize it, turn it, make it an array."""
    from PIL import Image

    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    rng = random.Random(0)  # noqa: S311 - no secret

    def step() -> Any:
        with Image.open(rng.choice(files)) as picture:
            rgb = picture.convert("RGB")
        side = int(min(rgb.size) * rng.uniform(0.6, 1.0))
        left, top = rng.randint(0, rgb.width - side), rng.randint(0, rgb.height - side)
        view = rgb.resize((SIDE, SIDE), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
        return np.asarray(view.rotate(90 * rng.randrange(4)))

    return step, 1


def copyto(count: int, pictures: int) -> tuple[Step, int]:
    """Copies of what `count` questions of so many pictures show, from one array into another, by two threads."""
    source = np.random.default_rng(0).integers(0, 256, (count, pictures, SIDE, SIDE, 3), np.uint8)
    target = np.zeros_like(source)
    halves = (slice(0, count // 2), slice(count // 2, count))
    pool = ThreadPoolExecutor(2)

    def step() -> None:
        list(pool.map(lambda part: np.copyto(target[part], source[part]), halves))

    return step, count


def kornia(count: int) -> tuple[Step, int]:
    """A batch of random crops, resized and turned by a random multiple of 90 degrees, from pictures that are tensors."""
    import torch
    from kornia.augmentation import RandomResizedCrop

    torch.set_num_threads(1)
    pictures = torch.rand(count, 3, 192, 192)
    crop = RandomResizedCrop((SIDE, SIDE), scale=(0.36, 1.0), ratio=(1.0, 1.0))

    def step() -> Any:
        views, quarters = crop(pictures), torch.randint(0, 4, (count,))
        turned = torch.empty_like(views)
        for quarter in range(4):
            turned[quarters == quarter] = torch.rot90(views[quarters == quarter], quarter, (2, 3))
        return turned

    return step, count


def networkx() -> tuple[Step, int]:
    """Neighbourhoods of pairs of nodes by NetworkX: up to 5 neighbours of each end and 3 of each of those; no features."""
    import networkx as nx

    from ssl4rl_envs.sources.graph_builtin import load_graph

    source = load_graph("cora")
    graph = nx.Graph()
    graph.add_nodes_from(range(source.nodes))
    graph.add_edges_from(source.edges_of("train").tolist())
    edges, nodes = list(graph.edges), list(graph.nodes)
    rng = random.Random(0)  # noqa: S311 - no secret

    def step() -> Any:
        pair = rng.choice(edges) if rng.random() < 0.5 else (rng.choice(nodes), rng.choice(nodes))
        seen, found, layer = set(pair), set(), list(pair)
        for fanout in (5, 3):
            following = []
            for node in layer:
                around = [other for other in graph.neighbors(node) if {node, other} != set(pair)]
                for other in rng.sample(around, min(fanout, len(around))):
                    found.add((node, other))
                    following.append(other)
            seen.update(following)
            layer = following
        numbers = {node: number for number, node in enumerate(seen)}
        return np.array([(numbers[a], numbers[b]) for a, b in found], np.int64).reshape(-1, 2)

    return step, 1


KINDS: dict[str, Callable[..., tuple[Step, int]]] = {
    "minigrid": minigrid,
    "pillow": pillow,
    "copyto": copyto,
    "kornia": kornia,
    "networkx": networkx,
}

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    importlib.import_module("worker").serve(KINDS)
