"""Fixtures for tests of programs that use Codex.

The module is loaded by every pytest run of whoever has this package installed: it imports nothing that
takes time until a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .blocking import BlockingModelServer
    from .server import ModelServer


@pytest.fixture
async def model_server(anyio_backend: Any) -> AsyncIterator[ModelServer]:
    """A running ModelServer with an empty script, on the test's own event loop (anyio's pytest plugin)."""
    from .server import ModelServer

    async with ModelServer() as server:
        yield server


@pytest.fixture
def blocking_model_server() -> Iterator[BlockingModelServer]:
    """A running BlockingModelServer with an empty script, for tests without an event loop."""
    from .blocking import BlockingModelServer

    with BlockingModelServer() as server:
        yield server
