"""The page that every report is: one file of HTML that needs no network, with one look.

`page.html` is the skeleton, with `page.css` and `page.js` (tables that sort); a report is a template that extends it.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader


def render(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: its file in the folder of reports, e.g. "suite/report.html".
        values: what it shows; text is escaped.
    """
    return _templates().get_template(template).render(values)


def inlined(png: bytes) -> str:
    """Return a picture as an address that holds all of it."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("ssl4rl_benchmarks", "reports"), autoescape=True, trim_blocks=True)
