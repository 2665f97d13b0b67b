"""An app-server's end of a connection, played by the test itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest

from codex_sdk._core.jsonrpc import Request
from codex_sdk._io.transport import Farewell
from codex_sdk._runtime.channel import Channel
from codex_sdk._runtime.peer import OnRequest, Peer, TurnSubscription, connected_peer

LIMIT = 1_000_000


class Wire:
    """What the test says and hears as the server; a `Transport` for the peer."""

    def __init__(self) -> None:
        self._to_client: Channel[bytes] = Channel(10_000)
        self._to_server: Channel[bytes] = Channel(10_000)
        self.accepts = anyio.Event()
        self.accepts.set()

    async def send(self, data: bytes, /) -> None:
        await self.accepts.wait()
        await self._to_server.send(data)

    async def receive(self) -> bytes:
        return await self._to_client.receive()

    async def farewell(self) -> Farewell:
        return Farewell(7, "the last words", "the server died")

    async def heard(self) -> Any:
        """Return the next message of the client's."""
        with anyio.fail_after(10):
            return json.loads(await self._to_server.receive())

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self.say_bytes(json.dumps(message).encode() + b"\n")

    async def say_bytes(self, data: bytes) -> None:
        await self._to_client.send(data)

    async def tell(
        self, method: str, thread_id: str, turn_id: str | None, /, **params: Any
    ) -> None:
        """Notify the client of something about a turn."""
        if turn_id is not None:
            params["turnId"] = turn_id
        await self.say(method=method, params={"threadId": thread_id, **params})

    def hang_up(self) -> None:
        self._to_client.complete()

    def stop_reading(self) -> None:
        self._to_server.abandon()


async def refuse(request: Request, turn: TurnSubscription | None) -> Any:
    raise AssertionError(f"nobody expected {request}")


Connect = Callable[..., AbstractAsyncContextManager[Peer]]


@pytest.fixture
async def wire() -> Wire:
    return Wire()


@pytest.fixture
def connect(wire: Wire) -> Connect:
    """Connect a peer to the wire."""

    @asynccontextmanager
    async def connect(
        on_request: OnRequest = refuse, redact: Callable[[str], str] = str
    ) -> AsyncIterator[Peer]:
        async with connected_peer(
            wire, on_request=on_request, max_line_bytes=LIMIT, redact=redact
        ) as peer:
            yield peer

    return connect


async def outcome(call: Awaitable[Any]) -> Any:
    """Return what a call returned, or the exception that it raised."""
    try:
        return await call
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return error
