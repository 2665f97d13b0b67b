"""The app-servers of a model: one in each event loop, and none that nobody could close."""

from __future__ import annotations

import asyncio
from functools import partial
from threading import Thread
from typing import Any

import anyio
import pytest
from pydantic_ai import direct
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelRequest as Request

from codex_sdk import CodexError
from codex_sdk._host import Host
from codex_sdk.app_server import AppServerClient
from codex_sdk.integrations._pydantic_ai import native_server
from codex_sdk.integrations._pydantic_ai.native_server import NativeServer, NativeServers
from codex_sdk.integrations.pydantic_ai_model import CodexModel
from codex_sdk.options import CodexOptions
from codex_sdk.testing import ClientRequest, FakeAppServer, ModelServer

from .conftest import MakeCodex, Survivors, asyncio_only

STARTED = {
    "thread": {"id": "t-1"},
    "approvalPolicy": "never",
    "sandbox": {"type": "readOnly", "networkAccess": False},
}


async def test_a_server_that_is_closed_is_not_started_again(
    make_codex: MakeCodex, processes: Survivors
) -> None:
    """It would be one that nobody closes: the model has a new one for who asks after that."""
    async with ModelServer() as server:
        model = CodexModel(codex=make_codex(server))
        closed = model._servers.here()
        await closed.connect()
        async with anyio.create_task_group() as group:
            group.start_soon(model.close)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(CodexError, match="closed"):
                await closed.connect()
        assert processes() == []


async def test_the_mode_may_be_found_out_by_several_requests(
    make_codex: MakeCodex, monkeypatch: pytest.MonkeyPatch, processes: Survivors, legacy: bool
) -> None:
    """Where the CLI is too old for the native mode, the first of them closes the server."""
    connect, found_out = NativeServer.connect, anyio.Event()
    modes: list[bool] = []

    async def connect_late(server: NativeServer) -> Any:
        await found_out.wait()
        return await connect(server)

    async with ModelServer() as server:
        model = CodexModel(codex=make_codex(server))

        async def find_out() -> None:
            modes.append(await model._uses_envelope())

        async with anyio.create_task_group() as group:
            with monkeypatch.context() as patch:
                patch.setattr(NativeServer, "connect", connect_late)
                group.start_soon(find_out)
                await anyio.wait_all_tasks_blocked()
            await find_out()
            found_out.set()
        assert modes == [legacy, legacy]
        assert processes() == [] if legacy else processes()
        await model.close()


async def test_threads_may_ask_for_the_servers_of_their_event_loops_at_the_same_time() -> None:
    servers = NativeServers(partial(NativeServer, CodexOptions(), keep=1, wait=1))
    found: list[NativeServer] = []

    async def ask() -> None:
        found.append(servers.here())

    class Other(Host):
        """An event loop; while it is asked about, a thread begins to use one of its own."""

        thread: Thread | None = None

        @property
        def closed(self) -> bool:
            if self.thread is None:
                self.thread = Thread(target=asyncio.run, args=(ask(),))
                self.thread.start()
                self.thread.join()
            return False

        is_here = call_soon = spawn = None  # type: ignore[assignment]

    servers._servers[Other()] = NativeServer(CodexOptions(), keep=1, wait=1)
    await ask()
    assert len({*found}) == 2


@asyncio_only
async def test_a_start_that_is_cancelled_twice_is_undone_before_its_thread_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, answer, interrupted, end = (anyio.Event() for _ in range(4))
    told: list[str] = []
    turn = {"id": "u-1", "status": "inProgress", "items": [], "error": None}

    async def start(request: ClientRequest) -> Any:
        asked.set()
        await answer.wait()
        await server.notify("turn/started", {"threadId": "t-1", "turnId": "u-1", "turn": turn})
        return {"turn": turn}

    async def interrupt(request: ClientRequest) -> Any:
        interrupted.set()
        await end.wait()
        told.append("turn/completed")
        ended = {**turn, "status": "interrupted"}
        await server.notify("turn/completed", {"threadId": "t-1", "turnId": "u-1", "turn": ended})
        return {}

    async with FakeAppServer() as server:
        server.on("config/read", {"config": {}})
        server.on("thread/start", STARTED)
        server.on("turn/start", start)
        server.on("turn/interrupt", interrupt)
        server.on("thread/backgroundTerminals/clean", {})
        server.on("thread/unsubscribe", lambda request: told.append(request.method) or {})
        connected = partial(AppServerClient, connect=server.connect)
        monkeypatch.setattr(native_server, "AppServerClient", connected)
        async with CodexModel(tool_mode="native") as model:
            asking = direct.model_request(model, [Request.user_text_prompt("Go")])
            task = asyncio.ensure_future(asking)
            await asked.wait()
            task.cancel()
            await anyio.wait_all_tasks_blocked()
            answer.set()
            await interrupted.wait()
            task.cancel()
            await anyio.wait_all_tasks_blocked()
            end.set()
            await asyncio.wait([task])
            assert told == ["turn/completed", "thread/unsubscribe"]


async def test_a_thread_that_would_not_run_as_safely_as_asked_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with FakeAppServer() as server:
        server.on("config/read", {"config": {}})
        server.on("thread/start", {**STARTED, "sandbox": {"type": "dangerFullAccess"}})
        server.on("thread/unsubscribe", {})
        connected = partial(AppServerClient, connect=server.connect)
        monkeypatch.setattr(native_server, "AppServerClient", connected)
        async with CodexModel(tool_mode="native") as model:
            with pytest.raises(ModelAPIError, match="sandbox"):
                await direct.model_request(model, [Request.user_text_prompt("Go")])
        assert [request.method for request in server.requests][-1] == "thread/unsubscribe"
