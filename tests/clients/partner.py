"""What is shown to users of other libraries, run as it is printed: the blocks of the pages, and the examples."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGES = Path(__file__).parents[2] / "docs" / "clients"


def example(name: str) -> ModuleType:
    """Import examples/NAME.py under its own name, as somebody who runs it from there would."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def blocks(page: str) -> list[str]:
    """The Python that a page of docs/clients shows."""
    found = re.findall(r"```python\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL)
    assert found, f"{page}.md shows no code"
    return found


def run_page(page: str) -> None:
    """Run the Python of a page as it is printed, block after block, each by itself."""
    for block in blocks(page):
        exec(compile(block, f"{page}.md", "exec"), {"__name__": "__main__"})
