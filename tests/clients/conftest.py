"""What tests of outside clients share: with those of the environments, and with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.envs.conftest import same as same

if TYPE_CHECKING:
    from tests.clients.endpoint_server import Server

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture
def no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment leads a client elsewhere, or gives it a key."""
    for name in (*PROXIES, *map(str.lower, PROXIES), "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def start() -> Iterator[Callable[[Callable[[str], str], Callable[[int], list[str]]], Server]]:
    """Start endpoints by their answers and moods; they run to the end of the test."""
    from tests.clients.endpoint_server import Server  # which needs a client's libraries

    with ExitStack() as running:
        yield lambda answer, moods: running.enter_context(Server(answer, moods).running())
