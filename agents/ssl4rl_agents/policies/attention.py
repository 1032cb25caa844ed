"""Who sees whom when the answers to a prompt stand side by side in one row behind it. Pure functions; True means "sees".

An answer's token sees the prompt and what its own answer holds up to itself; never another answer. Tokens are numbered as if
each answer stood alone behind the prompt, so sliding windows reach back as far as they would there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ssl4rl_agents.policies.support import RUNS, UnsupportedModelError

LONG = 256
"""Answers that are together no longer than so many tokens stand side by side, whatever their prompt."""

KINDS = ("full_attention", "sliding_attention")


def apart(length: int, group: int, width: int) -> bool:
    """Return whether answers are better run in rows of their own than side by side behind their prompt.

    Side by side, each passes over all others, masked: work and masks grow with the square of their number.

    Args:
        length: of the prompt, whose keys and values are repeated for rows of their own.
        group: answers to a prompt.
        width: of an answer.
    """
    return (group - 1) * width > max(length, LONG)


def apart_with_prompts(length: int, group: int, width: int, hidden: int) -> bool:
    """Do as `apart` does where rows of their own run the prompt again, by the operations of a layer.

    A token costs a layer about 24 hidden^2 operations, and 4 hidden for each place that it passes over.

    Args:
        length, group, width: as in `apart`.
        hidden: size of a token in the decoder.
    """
    saved = (length + group * width) ** 2 - group * (length + width) ** 2
    return apart(length, group, width) and saved > 6 * hidden * (group - 1) * length


def answers_mask(prompt: Tensor, answers: Tensor, window: int | None = None) -> Tensor:
    """Return what the answers' tokens see, (N, G * T, L + G * T).

    Args:
        prompt: (N, L) bool, False where padded.
        answers: (N * G, T) bool, the answers to prompt k in rows k * G ... k * G + G - 1.
        window: how many tokens back a layer sees, itself included; None sees all.
    """
    count, length = prompt.shape
    width = answers.shape[1]
    group = len(answers) // count
    device = prompt.device
    answer = torch.arange(group * width, device=device) // width
    place = torch.arange(width, device=device).repeat(group) + length
    within = (answer[:, None] == answer[None, :]) & (place[:, None] >= place[None, :])
    before = torch.ones(group * width, length, dtype=torch.bool, device=device)
    if window is not None:
        within &= place[:, None] - place[None, :] < window
        before = place[:, None] - torch.arange(length, device=device)[None, :] < window
    # A padded token sees itself, so that no row of the softmax is empty.
    alone = torch.eye(group * width, dtype=torch.bool, device=device)
    itself = (within[None] & answers.reshape(count, 1, -1)) | alone
    return torch.cat([before[None] & prompt[:, None, :], itself], dim=2)


def step_mask(prompt: Tensor, abreast: int, grown: int, window: int | None = None) -> Tensor:
    """Return what the newest tokens of answers that grow side by side see, (N, G, L + (grown + 1) * G).

    The cache holds the prompt, then G tokens a step, one of each answer.

    Args:
        prompt: (N, L) bool, False where padded.
        abreast: G, answers a row.
        grown: tokens that each answer had before.
        window: as in `answers_mask`.
    """
    length, device = prompt.shape[1], prompt.device
    own = torch.eye(abreast, dtype=torch.bool, device=device).repeat(1, grown + 1)
    seen = prompt
    if window is not None:
        step = torch.arange((grown + 1) * abreast, device=device) // abreast
        own = own & (grown - step < window)
        seen = prompt & (length + grown - torch.arange(length, device=device) < window)
    return torch.cat([seen[:, None].expand(-1, abreast, -1), own[None].expand(len(prompt), -1, -1)], dim=2)


def places_mask(prompt: Tensor, abreast: int, grown: Tensor, places: int, window: int | None = None) -> Tensor:
    """Do as `step_mask` does for a cache of fixed size, (N, G, places); nothing of it waits for the device.

    Args:
        prompt: (N, L) bool, False where a place before the answers holds nothing; what it holds stands at the end.
        abreast: G, answers a row.
        grown: () int64, tokens that each answer had before.
        places: how many of the cache's are seen: L, then G a step.
        window: as in `answers_mask`.
    """
    length, device = prompt.shape[1], prompt.device
    behind = torch.arange(places - length, device=device)
    age = grown - torch.div(behind, abreast, rounding_mode="floor")
    own = (behind % abreast == torch.arange(abreast, device=device)[:, None]) & (age >= 0)
    seen = prompt
    if window is not None:
        own = own & (age < window)
        seen = prompt & (length + grown - torch.arange(length, device=device) < window)
    return torch.cat([seen[:, None].expand(-1, abreast, -1), own[None].expand(len(prompt), -1, -1)], dim=2)


def rows_mask(prompt: Tensor, answers: Tensor, window: int | None = None, blocks: Tensor | None = None) -> Tensor:
    """Return what all tokens of rows [prompt, answers] see, (N, L + G * T, L + G * T).

    Args:
        prompt, answers, window: as in `answers_mask`.
        blocks: (N, L) numbers of blocks of the prompt whose tokens see each other in both directions, whatever the window;
            -1 for tokens that are in none.
    """
    length, rest = prompt.shape[1], answers.numel() // len(prompt)
    place = torch.arange(length, device=prompt.device)
    sees = place[:, None] >= place[None, :]
    if window is not None:
        sees = sees & (place[:, None] - place[None, :] < window)
    whole = sees[None].expand(len(prompt), -1, -1)
    if blocks is not None:
        whole = whole | ((blocks[:, :, None] == blocks[:, None, :]) & (blocks[:, :, None] >= 0))
    alone = torch.eye(length, dtype=torch.bool, device=prompt.device)
    top = torch.nn.functional.pad((whole & prompt[:, None, :]) | alone, (0, rest))
    return torch.cat([top, answers_mask(prompt, answers, window)], dim=1)


def continued_mask(seen: Tensor, length: int, window: int | None = None, blocks: Tensor | None = None) -> Tensor:
    """Return what the last tokens of rows that end together see, (N, T, L); (1, T, L) if that is the same in all.

    Args:
        seen: (N, L) bool, False where padded, on the left.
        length: T, how many tokens.
        window: as in `answers_mask`.
        blocks: (N, T) as in `rows_mask`, of these tokens.
    """
    seen, blocks = _alike(seen, blocks)
    place = torch.arange(seen.shape[1], device=seen.device)
    last = place[-length:, None]
    sees = last >= place
    if window is not None:
        sees = sees & (last - place < window)
    whole = sees[None].expand(len(seen), -1, -1)
    if blocks is not None:
        both = (blocks[:, :, None] == blocks[:, None, :]) & (blocks[:, :, None] >= 0)
        whole = whole | torch.nn.functional.pad(both, (seen.shape[1] - length, 0))
    return (whole & seen[:, None, :]) | (last == place)  # a padded token sees itself, as in `answers_mask`


def parted_mask(before: Tensor, these: Tensor, window: int | None = None, blocks: Tensor | None = None) -> Tensor:
    """Return what tokens see that stand behind parts with padding anywhere, (N, T, L + T); for one row if all are alike.

    Args:
        before: (N, L) bool, False where padded.
        these: (N, T) bool, the tokens; False where padded.
        window: as in `answers_mask`, counted in tokens that are any.
        blocks: (N, T) as in `rows_mask`, of these tokens.
    """
    length = these.shape[1]
    whole, blocks = _alike(torch.cat([before, these], dim=1), blocks)
    place = torch.arange(whole.shape[1], device=whole.device)
    last = place[-length:, None]
    sees = (last >= place)[None]
    if window is not None:
        number = whole.cumsum(1)
        sees = sees & (number[:, -length:, None] - number[:, None] < window)
    if blocks is not None:
        both = (blocks[:, :, None] == blocks[:, None, :]) & (blocks[:, :, None] >= 0)
        sees = sees | torch.nn.functional.pad(both, (before.shape[1], 0))
    return (sees & whole[:, None]) | (last == place)


def _alike(seen: Tensor, blocks: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return one row for all where they are alike: its mask is small, and read again and again from nearby."""
    one = bool((seen == seen[:1]).all()) and (blocks is None or bool((blocks == blocks[:1]).all()))
    return (seen[:1], None if blocks is None else blocks[:1]) if one else (seen, blocks)


def windows_of(config: object, name: str) -> dict[str, int | None]:
    """Return how far back the layers of a decoder see, by kind of layer.

    Args:
        config: of the decoder.
        name: of the model, for the error.

    Raises:
        ValueError: there are layers that are not attention over the past.
    """
    window: int | None = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or (["full_attention"] if window is None else ["sliding_attention"]))
    unknown = sorted(kinds - set(KINDS))
    if unknown:
        raise UnsupportedModelError(
            f"{name} has layers of {', '.join(unknown)}; VLMPolicy runs {' and '.join(KINDS)} alone. {RUNS}"
        )
    return {kind: window if kind == "sliding_attention" else None for kind in sorted(kinds)}
