"""Pictures as PNG: the bytes of a file, and an address that holds them."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image


def to_png(picture: Image | NDArray[np.uint8], **options: Any) -> bytes:
    """Return a picture as a PNG file: its pixels exactly, and the same bytes each time.

    Args:
        picture: Pillow's, or uint8 (height, width, 3).
        options: of Pillow's writer, e.g. `compress_level`, from 0 (quick) to 9 (small), or `optimize`.
    """
    if isinstance(picture, np.ndarray):
        from PIL import Image  # which graphs do without

        picture = Image.fromarray(picture)
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def to_base64(data: bytes) -> str:
    """Return bytes in base64, as JSON and addresses carry them."""
    return base64.b64encode(data).decode("ascii")


def to_url(png: bytes) -> str:
    """Return the ``data:`` address that holds a PNG file."""
    return f"data:image/png;base64,{to_base64(png)}"
