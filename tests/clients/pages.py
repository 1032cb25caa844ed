"""Pages of the documentation whose code is run."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs" / "clients"


def run_page(name: str) -> None:
    """Run the Python of a page of clients as it is printed, block after block, each by itself."""
    blocks = re.findall(r"```python\n(.*?)```", (PAGES / f"{name}.md").read_text(), re.DOTALL)
    assert blocks, f"{name}.md shows no code"
    for block in blocks:
        exec(compile(block, f"{name}.md", "exec"), {})
