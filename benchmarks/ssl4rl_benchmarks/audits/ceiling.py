"""What a network that looks earns where borders are hidden: a ceiling, trained on the free labels of PatchOrdering.

    python -m ssl4rl_benchmarks.audits.ceiling --level 2x2-gap --source faces --seconds 150 --device cuda

A level that hides borders is worth asking only if content solves it. The network sees each tile by itself, with its light and
contrast taken out, compares all tiles of a picture by attention, and says of each where it belongs. It is supervised, by
cross-entropy on the answers of training items, and asked about held-out ones.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ssl4rl_benchmarks.audits.audit import clusters_of, instances, summary
from ssl4rl_envs import Batch, make_task
from ssl4rl_envs.images.patch_ordering import PatchOrdering
from ssl4rl_envs.images.tiles import cut

WIDTHS = (32, 64, 128)
"""Channels of the stages that see a tile; each halves it."""
SIZE = 256
"""Numbers that stand for a tile."""
SCORED = 256
"""Questions a pass."""
LEARNING_RATE = 5e-4
WARMUP = 100
"""Steps until the learning rate is reached; it falls to 0 by the end of the time."""


@dataclass(frozen=True)
class Settings:
    """One measurement.

    Args:
        level, source: of PatchOrdering.
        lessons, questions: how many instances are learned from, and how many held-out ones are asked.
        seconds: how long is learned.
        batch: lessons a step.
        device: of torch.
        seed: of the weights and of the order of lessons.
    """

    level: str = "2x2-gap"
    source: str = "faces"
    lessons: int = 40_000
    questions: int = 2_000
    seconds: float = 150.0
    batch: int = 64
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("lessons", "questions", "seconds", "batch"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}")


class TileNetwork(nn.Module):
    """Where each tile belongs.

    Args:
        tiles: how many a picture has.
    """

    def __init__(self, tiles: int) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for before, width in zip((3, *WIDTHS), WIDTHS, strict=False):
            stages += [nn.Conv2d(before, width, 3, padding=1), nn.GroupNorm(8, width), nn.GELU()]
            stages += [nn.Conv2d(width, width, 3, padding=1, stride=2), nn.GroupNorm(8, width), nn.GELU()]
        self.see = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * WIDTHS[-1], SIZE))
        self.shown_at = nn.Parameter(0.02 * torch.randn(tiles, SIZE))
        layer = nn.TransformerEncoderLayer(SIZE, 8, 2 * SIZE, batch_first=True, norm_first=True)
        self.compare = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.place = nn.Linear(SIZE, tiles)

    def forward(self, tiles: Tensor) -> Tensor:
        """Return logits (n, m, places) for tiles (n, m, 3, side, side) of 0 to 255."""
        values = tiles.float() / 255
        mean, spread = values.mean((-2, -1), keepdim=True), values.std((-2, -1), keepdim=True)
        seen = self.see(((values - mean) / (spread + 0.05)).flatten(0, 1)).unflatten(0, tiles.shape[:2])
        placed: Tensor = self.place(self.compare(seen + self.shown_at))
        return placed


def measure(settings: Settings) -> dict[str, Any]:
    """Learn and ask; return plain data: settings, chance, reward with its interval, steps, the loss at the end."""
    task = make_task("SSL4RL/PatchOrdering-v0", level=settings.level, source=settings.source)
    assert isinstance(task, PatchOrdering)
    lessons = instances(task, "train", settings.lessons, 1)
    questions = instances(task, "test", settings.questions, 2)
    network, steps, loss = learn(task, lessons, settings)
    orders = answers(network, tiles_of(task, questions, settings.device))
    rewards = task.score(orders, questions).reward.astype(np.float64)
    earned = summary(rewards, clusters_of(task, questions), task.chance)
    return {**asdict(settings), "chance": task.chance, **earned, "steps": steps, "loss": loss}


def learn(task: PatchOrdering, lessons: Batch, settings: Settings) -> tuple[TileNetwork, int, float]:
    """Train a network on the answers of lessons; return it, its steps and its last loss."""
    torch.manual_seed(settings.seed)
    tiles = tiles_of(task, lessons, settings.device)
    places = torch.from_numpy(lessons.target.argsort(axis=1)).to(settings.device)
    network = TileNetwork(places.shape[1]).to(settings.device)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.05)
    start, step, loss = time.monotonic(), 0, torch.zeros(())
    while (share := (time.monotonic() - start) / settings.seconds) < 1 or step == 0:
        rows = torch.randint(len(tiles), (settings.batch,), device=settings.device)
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, step / WARMUP) * max(0.0, 1 - share)
        with torch.autocast(torch.device(settings.device).type, torch.bfloat16):
            logits = network(tiles[rows])
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), places[rows].flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        step += 1
    return network.eval(), step, float(loss.detach())


def tiles_of(task: PatchOrdering, batch: Batch, device: str) -> Tensor:
    """Return the tiles of a batch as shown, (n, m, 3, side, side) uint8."""
    tiles = cut(batch.observation["image"], task.tiling.grid)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(tiles, -1, 2))).to(device)


@torch.no_grad()
def answers(network: TileNetwork, tiles: Tensor) -> NDArray[np.int64]:
    """Return the likeliest orders, (n, places), each tile in one place (Kuhn 1955): the tile of each place."""
    logits = torch.cat([network(some) for some in torch.split(tiles, SCORED)]).log_softmax(-1).cpu().numpy()
    return np.stack([linear_sum_assignment(-row)[1].argsort() for row in logits])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a measurement as JSON."""
    default = Settings()
    parser = argparse.ArgumentParser(prog="python -m ssl4rl_benchmarks.audits.ceiling", description=__doc__)
    for name, value in asdict(default).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    print(json.dumps(measure(Settings(**vars(parser.parse_args(arguments)))), indent=2))


if __name__ == "__main__":
    main()
