"""The documentation page of the environments, from the docstrings of their tasks.

python -m ssl4rl_benchmarks.figures.environments              writes docs/environments.md
python -m ssl4rl_benchmarks.figures.environments --pictures   and boards in docs/images: of each environment, and README's
python -m ssl4rl_benchmarks.figures.environments --accepted   prints which share of drafts each task can ask about, per source
"""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path

import numpy as np
from PIL import Image

from ssl4rl_envs import Stream, animation, make_task, rendering, task_class
from ssl4rl_envs.images.base import ImageTask
from ssl4rl_envs.registration import TABLE
from ssl4rl_envs.sources import PICTURES

GLANCE = 3
"""The seed of the questions that README shows."""

HEADER = """# Environments

This page is made from the docstrings of the tasks by `python -m ssl4rl_benchmarks.figures.environments --pictures`.
All environments take `split` ("train", "validation", "test"), `interface` ("array", "text"), `prompt_style` ("direct",
"think", "tool"), `grammar` ("strict", "lenient"), `group_size`, `attempts`, `render_mode`, `level`, which sets some of
the arguments, and `pairing`. How a teacher answers, decision by decision with its reasons, `ssl4rl show ENV --solve` shows.
"""

BOARD = 4


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([HEADER, *(section(row.id) for row in TABLE)])


def section(env_id: str) -> str:
    """Return what the page says of one environment."""
    cls = task_class(env_id)
    text = inspect.cleandoc(cls.__doc__ or "")
    text = re.sub(r"\n## Registered Configurations\n.*", "", text, flags=re.DOTALL).strip()
    lines = [f"## {env_id}", "", f"![{cls.__name__}]({picture_name(env_id)})", "", text.replace("\n## ", "\n### ")]
    lines += ["", "### Levels"]
    lines += [f"- `{level.name}`: {', '.join(f'{k}={v!r}' for k, v in level.arguments.items())}" for level in cls.levels]
    if cls.legitimate:
        lines += ["", "### Shortcuts that are part of the task"]
        lines += [f"- {name}: {reason}" for name, reason in cls.legitimate.items()]
    return "\n".join([*lines, ""])


def picture_name(env_id: str) -> str:
    """Return where the board of an environment is, as seen from the page."""
    return f"images/{task_class(env_id).__name__.lower()}.png"


def board(env_id: str) -> Image.Image:
    """Draw the first instances of an environment with their truths; of several decisions, how one is solved."""
    task = make_task(env_id)
    if task.horizon > 1:
        (moments,) = animation.solved(task, task.sample(Stream.span("train", 0, 0, 1)))
        return Image.fromarray(rendering.board([moment.card for moment in moments]))
    batch = task.sample(Stream("train", np.zeros(BOARD, np.uint64), np.arange(BOARD)))
    answers = rendering.reveal(task, batch)
    return Image.fromarray(rendering.board([rendering.card(task, batch, i, answer) for i, answer in enumerate(answers)]))


def glance(columns: int = 4) -> Image.Image:
    """Draw a question of each task over pictures that is answered in one decision, those of one height side by side."""
    cards = []
    for row in TABLE:
        task = make_task(row.id)
        if isinstance(task, ImageTask) and task.horizon == 1 and not task.parts:
            batch = task.sample(Stream.span("train", GLANCE, 0, 1))
            cards.append(rendering.card(task, batch, 0, rendering.reveal(task, batch)[0]))
    cards.sort(key=lambda card: rendering.canvas_of(card).height)
    return Image.fromarray(rendering.board(cards, columns))


def accepted(count: int = 1000) -> str:
    """Return a table: the share of random drafts that can be asked about, of the train split, by environment and source."""
    sources = PICTURES.whole()
    lines = ["| environment | " + " | ".join(sources) + " |", "| --- " * (1 + len(sources)) + "|"]
    for row in (row for row in TABLE if issubclass(task_class(row.id), ImageTask)):
        cells = []
        for source in sources:
            try:
                task = make_task(row.id, source=source)
            except ValueError:
                cells.append("refused")
                continue
            assert isinstance(task, ImageTask)
            cells.append(f"{task.acceptance('train', count):.1%}")
        lines.append(f"| {row.id} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description="Write docs/environments.md from the docstrings of the tasks.")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="the folder of the documentation")
    parser.add_argument("--pictures", action="store_true", help="also draw a board of each environment")
    parser.add_argument(
        "--accepted", action="store_true", help="print the shares of drafts that can be asked about, and stop"
    )
    flags = parser.parse_args()
    if flags.accepted:
        print(accepted())
        return
    (flags.out / "environments.md").write_text(page())
    if flags.pictures:
        for row in TABLE:
            board(row.id).save(flags.out / picture_name(row.id), optimize=True)
        glance().save(flags.out / "images" / "board.png", optimize=True)


if __name__ == "__main__":
    main()
