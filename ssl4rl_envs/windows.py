"""Where pictures of instances can be shown: render modes, and a window."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from ssl4rl_envs.arguments import one_of

MODES: tuple[str, ...] = ("rgb_array", "ansi", "human")


def has_display() -> bool:
    """Return whether a window can be opened: a display is announced, and Python has tkinter."""
    if sys.platform not in ("win32", "darwin") and not os.environ.get("DISPLAY"):
        return False
    return find_spec("_tkinter") is not None and find_spec("tkinter") is not None


def usable_modes() -> list[str]:
    """Return the render modes that work on this machine."""
    return [mode for mode in MODES if mode != "human" or has_display()]


def check_mode(mode: str | None) -> str | None:
    """Return `mode` if it can be used here.

    Raises:
        ValueError: it is no render mode, or "human" without a display.
    """
    if mode is not None:
        one_of("render_mode", mode, MODES, " or None")
    if mode == "human" and not has_display():
        raise ValueError(
            "render_mode='human' opens a window, and this machine has no display (or Python lacks tkinter); "
            "use render_mode='rgb_array' and save the picture"
        )
    return mode


class Window:
    """A window that shows one picture at a time."""

    def __init__(self) -> None:
        import tkinter

        self._root = tkinter.Tk()
        self._root.title("SSL4RL")
        self._label = tkinter.Label(self._root)
        self._label.pack()

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a uint8 picture (height, width, 3)."""
        from PIL import Image, ImageTk

        self._photo = ImageTk.PhotoImage(Image.fromarray(picture), master=self._root)
        self._label.configure(image=str(self._photo))
        self._root.update()

    def close(self) -> None:
        """Close the window."""
        self._root.destroy()
