"""A running turn, in the hands of the task that holds its block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from codex_sdk import AppServerClosedError, AppServerOptions, AppServerTimeoutError
from codex_sdk._runtime import app_server_turn
from codex_sdk._runtime.app_server_connection import AppServerConnection, app_server_connection
from codex_sdk._runtime.app_server_turn import running_turn
from codex_sdk.testing import FakeAppServer
from codex_sdk.testing.app_server_messages import ClientRequest

TURN = {"id": "u", "status": "inProgress", "items": []}


async def refuse(*_: object) -> Any:
    await checkpoint()
    raise AssertionError("nothing is asked for")


@pytest.fixture
async def server() -> AsyncIterator[FakeAppServer]:
    async with FakeAppServer() as server:

        async def start(request: ClientRequest) -> object:
            params = {"threadId": request.params["threadId"], "turn": TURN}
            await server.notify("turn/started", params)
            return {"turn": TURN}

        async def interrupt(request: ClientRequest) -> object:
            await end(server, request.params["threadId"], "interrupted")
            return {}

        server.on("turn/start", start)
        server.on("turn/interrupt", interrupt)
        yield server


async def end(server: FakeAppServer, thread_id: str, status: str = "completed") -> None:
    turn = {**TURN, "status": status}
    await server.notify("turn/completed", {"threadId": thread_id, "turn": turn})


@asynccontextmanager
async def connected(server: FakeAppServer, **options: Any) -> AsyncIterator[AppServerConnection]:
    async with app_server_connection(
        AppServerOptions(**options), on_request=refuse, connect=server.connect
    ) as connection:
        yield connection


def asked(server: FakeAppServer) -> list[str]:
    return [request.method for request in server.requests[1:]]


async def test_batches_come_up_to_the_end_and_then_none(server: FakeAppServer) -> None:
    async with connected(server) as connection, running_turn(connection, "t", {}) as turn:
        await end(server, "t")
        await turn.wait_over()

        batch = await turn.receive_batch()

        assert [notification.method for notification in batch] == ["turn/started", "turn/completed"]
        assert await turn.receive_batch() == ()
        with pytest.raises(anyio.EndOfStream):
            await turn.receive()
        assert turn.is_over
        assert turn.final == {**TURN, "status": "completed"}

    assert asked(server) == ["turn/start"]


async def test_a_cancelled_block_still_interrupts_its_turn(server: FakeAppServer) -> None:
    async with connected(server) as connection:
        with anyio.CancelScope() as scope:
            async with running_turn(connection, "t", {}) as turn:
                scope.cancel()
                await anyio.sleep_forever()

        assert scope.cancelled_caught
        assert asked(server) == ["turn/start", "turn/interrupt"]
        assert turn.final == {**TURN, "status": "interrupted"}


async def test_a_turn_that_is_started_too_late_is_interrupted(
    server: FakeAppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_server_turn, "_LATE_GRACE", 10.0)

    async def start_late(request: ClientRequest) -> object:
        await anyio.sleep(0.3)
        await server.notify("turn/started", {"threadId": "t", "turn": TURN})
        return {"turn": TURN}

    server.on("turn/start", start_late)
    options = {"request_timeout": 0.1, "auto_initialize": False}
    async with connected(server, **options) as connection:
        await connection.request("initialize", timeout=inf)  # it may take longer than that
        with pytest.raises(AppServerTimeoutError, match="turn/start"):
            async with running_turn(connection, "t", {}):
                raise AssertionError("it was not started in time")

        assert asked(server) == ["turn/start", "turn/interrupt"]


async def test_the_thread_is_free_when_the_block_is_left(server: FakeAppServer) -> None:
    async with connected(server) as connection:
        for _ in range(2):
            async with running_turn(connection, "t", {}):
                pass

        assert asked(server) == ["turn/start", "turn/interrupt"] * 2


async def test_a_block_whose_connection_ends_is_left_at_once(server: FakeAppServer) -> None:
    async with connected(server) as connection:
        with anyio.fail_after(10), pytest.raises(AppServerClosedError):
            async with running_turn(connection, "t", {}) as turn:
                server.hang_up()
                while True:
                    await turn.receive_batch()


@pytest.mark.parametrize("status", ["interrupted", "completed"])
@pytest.mark.parametrize("experimental", [False, True])
async def test_a_server_elsewhere_is_asked_to_end_what_an_interrupted_turn_left(
    server: FakeAppServer, status: str, experimental: bool
) -> None:
    server.on("thread/backgroundTerminals/clean", {})
    async with connected(server, experimental_api_enabled=experimental) as connection:
        async with running_turn(connection, "t", {}):
            await end(server, "t", status)

    cleaned = "thread/backgroundTerminals/clean" in asked(server)
    assert cleaned == (experimental and status == "interrupted")
