"""Which parameters belong to which part of a model, so that parts can be left as they are while others learn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from ssl4rl_agents.policies.pictures import CONNECTORS, TOWERS

CONNECTORS_WITHIN = ("projection", "merger", "deepstack_merger_list")
"""Names of connectors that stand within a tower: nano's, Qwen-VL's."""


def parts_of(model: Any) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of each part that a model has.

    "vision" is the tower, "connector" what makes words' embeddings of its features, "language" all the rest, and
    "embeddings", which are within language, those of the words, in and out.

    Args:
        model: of transformers.
    """
    base = getattr(model, model.base_model_prefix)
    towers = [getattr(base, name) for name in TOWERS if hasattr(base, name)]
    within = [getattr(tower, name) for tower in towers for name in CONNECTORS_WITHIN if hasattr(tower, name)]
    connector = _parameters([*within, *(getattr(base, name) for name in CONNECTORS if hasattr(base, name))])
    vision = _without(_parameters(towers), connector)
    embeddings = _parameters([model.get_input_embeddings(), model.get_output_embeddings()])
    language = _without(list(model.parameters()), [*vision, *connector])
    found = {"vision": vision, "connector": connector, "language": language, "embeddings": embeddings}
    return {name: parameters for name, parameters in found.items() if parameters}


def freeze_tower(model: Any) -> None:
    """Leave a model's vision tower and its connector as they are.

    Raises:
        ValueError: it has none by the names that transformers uses.
    """
    base = getattr(model, model.base_model_prefix)
    if not any(hasattr(base, name) for name in TOWERS):
        raise ValueError(f"freeze_vision: {type(model).__name__} has no vision tower ({', '.join(TOWERS)})")
    for parameter in _parameters(getattr(base, name) for name in (*TOWERS, *CONNECTORS) if hasattr(base, name)):
        parameter.requires_grad_(False)


def freeze_parts(there: dict[str, list[nn.Parameter]], parts: Sequence[str], model: str) -> None:
    """Leave parts of a model as they are.

    Args:
        there: its parts, as of `parts_of`.
        parts: which of them.
        model: what it is called, for the error.

    Raises:
        ValueError: it has no such part, or nothing of it is left to learn.
    """
    if not parts:
        return
    for name in parts:
        if name not in there:
            raise ValueError(f"policy.freeze: {model} has no part {name!r}; it has {', '.join(there)}")
        for parameter in there[name]:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for part in there.values() for parameter in part):
        raise ValueError(f"policy.freeze {', '.join(parts)} leaves nothing of {model} to learn; it has {', '.join(there)}")


def _parameters(parts: Iterable[Any]) -> list[nn.Parameter]:
    found: dict[int, nn.Parameter] = {}
    for part in parts:
        for parameter in [part] if isinstance(part, nn.Parameter) else () if part is None else part.parameters():
            found[id(parameter)] = parameter
    return list(found.values())


def _without(parameters: list[nn.Parameter], others: list[nn.Parameter]) -> list[nn.Parameter]:
    taken = {id(parameter) for parameter in others}
    return [parameter for parameter in parameters if id(parameter) not in taken]
