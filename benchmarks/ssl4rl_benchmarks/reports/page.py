"""The page that every report is: one file of HTML that needs no network, with one look.

`page.html` is the skeleton, with `page.css` and `page.js` (tables that sort); a report is a template that extends it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from numpy.typing import NDArray

from ssl4rl_envs.png import to_png, to_url


def render(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: its file in the folder of reports, e.g. "suite/report.html".
        values: what it shows; text is escaped.
    """
    return _templates().get_template(template).render(values)


def inlined(picture: NDArray[np.uint8]) -> str:
    """Return a picture (height, width, 3) as an address that holds all of it, in as few letters as may be."""
    return to_url(to_png(picture, optimize=True))


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("ssl4rl_benchmarks", "reports"), autoescape=True, trim_blocks=True)
