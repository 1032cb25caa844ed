"""What a text environment shows, as the messages that chat models read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ssl4rl_envs.bridges.questions import require_observation
from ssl4rl_envs.png import to_png, to_url

Message = dict[str, Any]

STYLES: tuple[str, ...] = ("openai", "hf")


def to_messages(observation: Mapping[str, Any], style: str = "openai") -> list[Any]:
    """Return an observation of the text interface as messages: the pictures in the order of showing, then the prompt.

    Args:
        observation: of a single environment, `prompt` a str and pictures uint8 (height, width, 3); or of a vector
            environment, `prompt` n of them and pictures (n, height, width, 3). Pictures may be tensors.
        style: "openai": parts with PNG pictures in ``data:`` URLs, as endpoints read them; "hf": parts with Pillow's
            pictures, as `apply_chat_template` of transformers' processors reads them.

    Returns:
        A list of one message, a dict, of the user; of a vector environment n such lists. Where there are no pictures, the
        content is the prompt.

    Raises:
        TypeError: the observation is no dict.
        ValueError: the style is unknown, or the observation is of another interface.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, got {style!r}")
    require_observation(observation)
    prompt = observation.get("prompt")
    if prompt is None or isinstance(prompt, (int, float)):
        shown = ", ".join(sorted(observation)) or "nothing"
        raise ValueError(
            f"messages are made of a text observation; this one has {shown} and no prompt: make the environment with "
            "interface='text'"
        )
    names = sorted(set(observation) - {"prompt"})
    part = _url if style == "openai" else _picture
    if isinstance(prompt, str):
        return _messages([observation[name] for name in names], prompt, part)
    return [_messages([observation[name][row] for name in names], str(said), part) for row, said in enumerate(prompt)]


def parts_of(message: Message) -> list[dict[str, Any]]:
    """Return the parts of a message's content; a content that is text alone is one part."""
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _messages(pictures: list[Any], prompt: str, part: Callable[[Any], dict[str, Any]]) -> list[Message]:
    parts = [*map(part, map(_pillow, pictures)), {"type": "text", "text": prompt}]
    return [{"role": "user", "content": parts if pictures else prompt}]


def _pillow(picture: Any) -> Any:
    from PIL import Image  # which graphs do without

    return Image.fromarray(np.asarray(picture.cpu() if hasattr(picture, "cpu") else picture))


def _picture(picture: Any) -> dict[str, Any]:
    return {"type": "image", "image": picture}


def _url(picture: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": to_url(to_png(picture))}}
