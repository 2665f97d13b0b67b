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
    """Give a running ModelServer with an empty script, on the test's own event loop.

    This is for tests that anyio's pytest plugin runs; others (of pytest-asyncio, say, whose event loop the
    server would not be on) use ``blocking_model_server``.
    """
    from .server import ModelServer

    async with ModelServer() as server:
        yield server


@pytest.fixture
def blocking_model_server() -> Iterator[BlockingModelServer]:
    """Give a running BlockingModelServer with an empty script, for any test."""
    from .blocking import BlockingModelServer

    with BlockingModelServer() as server:
        yield server
