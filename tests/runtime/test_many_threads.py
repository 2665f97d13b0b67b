"""Connections that last, and see more threads than anybody counts: what is known of these is bounded."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from codex_sdk import (
    AppServerClosedError,
    AppServerOptions,
    CodexError,
    CodexOptions,
    ThreadOptions,
)
from codex_sdk._core.recent import KEPT_THREADS
from codex_sdk._io.process import new_marker
from codex_sdk._runtime import loaded_threads, opening
from codex_sdk._runtime.app_server_connection import AppServerConnection, app_server_connection
from codex_sdk._runtime.app_server_turn import running_turn
from codex_sdk._runtime.leftovers import Leftovers
from codex_sdk._runtime.loaded_threads import LoadedThreads
from codex_sdk._runtime.tool_calls import ToolRegistry
from codex_sdk.testing import ClientRequest, ErrorReply, FakeAppServer
from codex_sdk.tools import ToolSet, tool


@tool
def answer(question: str) -> str:
    """Answer a question."""
    return question


def opened(thread_id: str) -> dict[str, Any]:
    return {
        "thread": {"id": thread_id, "name": f"name of {thread_id}"},
        "cwd": "/",
        "model": "m",
        "approvalPolicy": "never",
        "sandbox": {"type": "readOnly", "networkAccess": False},
    }


NOT_LOADED = {"type": "notLoaded"}


def idle(thread_id: str) -> dict[str, Any]:
    return {"threadId": thread_id, "status": {"type": "idle"}}


class Server(FakeAppServer):
    """An app-server whose threads are numbered, and whose turns end at once.

    Attributes:
        keeps: whether it keeps threads loaded that nobody is subscribed to.
        options: what the threads run with that it has loaded.
        turns: the numbers of its turns.
    """

    def __init__(self) -> None:
        super().__init__()
        numbers = count()
        self.keeps = False
        self.options: dict[str, Any] = {}
        self.turns = count()
        self.on("config/read", {"config": {}})
        self.on("thread/start", lambda request: self.load(f"t-{next(numbers)}", request))
        self.on("thread/resume", lambda request: self.load(request.params["threadId"], request))
        self.on("thread/unsubscribe", self.unload)
        self.on("turn/start", self.run)

    def load(self, thread_id: str, request: ClientRequest) -> dict[str, Any]:
        self.options.setdefault(thread_id, request.params["model"])
        return opened(thread_id) | {"model": self.options[thread_id]}

    async def load_anew(self, request: ClientRequest) -> dict[str, Any]:
        """Load a thread that nobody is subscribed to with other options, as ``thread/resume`` does."""
        thread_id = request.params["threadId"]
        del self.options[thread_id]
        await self.notify("thread/status/changed", {"threadId": thread_id, "status": NOT_LOADED})
        await self.notify("thread/status/changed", idle(thread_id))
        return self.load(thread_id, request)

    async def unload(self, request: ClientRequest) -> None:
        thread_id = request.params["threadId"]
        loaded = thread_id in self.options
        await request.reply({"status": "unsubscribed" if loaded else "notLoaded"})
        if loaded and not self.keeps:
            del self.options[thread_id]
            await self.notify("thread/status/changed", {**idle(thread_id), "status": NOT_LOADED})
            await self.notify("thread/closed", {"threadId": thread_id})

    async def run(self, request: ClientRequest) -> dict[str, Any]:
        thread_id = request.params["threadId"]
        turn = {"id": f"u-{next(self.turns)}", "status": "inProgress"}
        await self.notify("turn/started", {"threadId": thread_id, "turn": turn})
        await self.notify("warning", {"threadId": thread_id, "message": "take care"})
        ended = {**turn, "status": "completed"}
        await self.notify("turn/completed", {"threadId": thread_id, "turn": ended})
        return {"turn": turn}

    def asked(self, method: str) -> list[str]:
        """Return the threads that *method* was asked for."""
        return [it.params["threadId"] for it in self.requests if it.method == method]


async def refuse(*_: object) -> Any:
    raise AssertionError("nothing is asked for")


@asynccontextmanager
async def connected(server: FakeAppServer) -> AsyncIterator[AppServerConnection]:
    async with app_server_connection(
        AppServerOptions(), on_request=refuse, connect=server.connect
    ) as connection:
        yield connection


@asynccontextmanager
async def threads(
    server: FakeAppServer, codex: CodexOptions | None = None
) -> AsyncIterator[LoadedThreads]:
    async with connected(server) as connection, anyio.create_task_group() as task_group:
        link = LoadedThreads(codex or CodexOptions(), connection)
        task_group.start_soon(link.serve)
        yield link
        task_group.cancel_scope.cancel()


@pytest.fixture
def options(tmp_path: Path) -> ThreadOptions:
    return ThreadOptions(
        model="m",
        sandbox_mode="read-only",
        working_directory=tmp_path,
        skip_git_repo_check=True,
    )


async def run(link: LoadedThreads, options: ThreadOptions, thread_id: str | None = None) -> str:
    """Run a turn; return its thread."""
    async with (
        link.loaded(thread_id, options, None) as thread_id,
        running_turn(link.connection, thread_id, {}) as turn,
    ):
        with link.running(turn):
            await turn.wait_over()
    return thread_id


async def test_the_threads_that_stay_loaded_are_those_that_were_used_last(
    options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded_threads, "_KEPT_LOADED", 4)
    async with Server() as server, threads(server) as link:
        for _ in range(4):
            await run(link, options)
        await run(link, options, "t-0")
        for _ in range(3):
            await run(link, options)
        assert server.asked("thread/unsubscribe") == ["t-1", "t-2", "t-3"]
        assert server.asked("thread/resume") == []

        await run(link, options, "t-0")
        assert server.asked("thread/resume") == []
        await run(link, options, "t-1")
        assert server.asked("thread/resume") == ["t-1"]


async def test_a_thread_is_let_go_of_before_it_is_loaded_with_other_options(
    options: ThreadOptions,
) -> None:
    other = attrs.evolve(options, model="other")
    async with Server() as server, threads(server) as link:
        thread_id = await run(link, options)
        await run(link, other, thread_id)
        assert server.options == {thread_id: "other"}
        await server.notify("thread/closed", {"threadId": thread_id})  # late, or of somebody else
        await anyio.wait_all_tasks_blocked()
        await run(link, options, thread_id)
        assert server.options == {thread_id: "m"}


async def test_a_thread_that_the_server_keeps_is_used_with_the_options_that_it_has_only(
    options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_UNLOAD_PATIENCE", 0.05)
    monkeypatch.setattr(opening, "_UNLOAD_BOUND", 0.05)
    other = attrs.evolve(options, model_reasoning_effort="low")
    async with Server() as server, threads(server) as link:
        thread_id = await run(link, options)
        server.keeps = True
        for _ in range(2):
            with pytest.raises(CodexError, match="keeps thread 't-0' loaded"):
                await run(link, other, thread_id)
        assert len(server.asked("turn/start")) == 1
        resumed = len(server.asked("thread/resume"))
        await run(link, options, thread_id)
        assert len(server.asked("thread/resume")) == resumed
        server.keeps = False
        await run(link, other, thread_id)


async def test_a_server_with_a_delay_of_its_own_is_not_waited_for(
    options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_UNLOAD_PATIENCE", 1000)
    delay = CodexOptions(config_overrides={"thread_unload_delay_secs": 600})
    async with Server() as server, threads(server, delay) as link:
        thread_id = await run(link, options)
        server.keeps = True
        server.on("thread/resume", server.load_anew)
        with anyio.fail_after(60):
            await run(link, attrs.evolve(options, model="other"), thread_id)
        assert server.options == {thread_id: "other"}


@pytest.mark.parametrize("answer", [ErrorReply("unknown variant `thread/unsubscribe`"), {}])
async def test_a_server_that_cannot_be_unsubscribed_from_can_resume(
    options: ThreadOptions, answer: Any
) -> None:
    async with Server() as server, threads(server) as link:
        server.on("thread/unsubscribe", answer)
        await run(link, options, "t-9")


async def test_a_turn_that_is_being_started_keeps_its_thread_as_it_is(
    options: ThreadOptions,
) -> None:
    other = attrs.evolve(options, model="other")
    starting, answer = anyio.Event(), anyio.Event()

    async def start(request: ClientRequest) -> Any:
        starting.set()
        await answer.wait()
        return await server.run(request)

    async with Server() as server, threads(server) as link:
        thread_id = await run(link, options)
        server.on("turn/start", start)
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(run, link, options, thread_id)
            await starting.wait()
            with pytest.raises(CodexError, match="already runs a turn"):
                await run(link, other, thread_id)
            answer.set()
        assert server.asked("thread/unsubscribe") == []
        await run(link, other, thread_id)


async def test_a_thread_that_is_used_again_stays_loaded_after_all(
    options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    unloading, go_on = anyio.Event(), anyio.Event()
    starting, answer = anyio.Event(), anyio.Event()

    async def unload(request: ClientRequest) -> None:
        unloading.set()
        await go_on.wait()
        await server.unload(request)

    async def start(request: ClientRequest) -> Any:
        if request.params["threadId"] == "t-1":
            starting.set()
            await answer.wait()
        return await server.run(request)

    async with Server() as server, threads(server) as link:
        for _ in range(2):
            await run(link, options)
        monkeypatch.setattr(loaded_threads, "_KEPT_LOADED", 1)
        server.on("thread/unsubscribe", unload)
        server.on("turn/start", start)
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(run, link, options)  # t-0 and t-1 are to be unloaded for it
            await unloading.wait()
            task_group.start_soon(run, link, options, "t-1")
            await starting.wait()
            go_on.set()
            while len(server.asked("turn/start")) < 4:
                await anyio.wait_all_tasks_blocked()
            answer.set()
        assert server.asked("thread/unsubscribe") == ["t-0"]


async def test_a_turn_that_is_over_is_in_nobodys_way(options: ThreadOptions) -> None:
    async with Server() as server, threads(server) as link:
        thread_id = await run(link, options)
        for other in (options, attrs.evolve(options, model="other")):
            async with (
                link.loaded(thread_id, options, None),
                running_turn(link.connection, thread_id, {}) as turn,
            ):
                with link.running(turn):
                    await turn.wait_over()
                    await run(link, other, thread_id)
        assert server.options == {thread_id: "other"}


async def test_a_thread_has_one_id_in_whatever_spelling(options: ThreadOptions) -> None:
    thread_id = "01a2b3c4-0000-7000-8000-00000000000a"
    async with Server() as server, threads(server) as link:
        await run(link, options, thread_id)
        for other in (thread_id.upper(), thread_id.replace("-", "")):
            assert await run(link, options, other) == thread_id
        assert server.asked("thread/resume") == [thread_id]
        await run(link, attrs.evolve(options, model="other"), thread_id.upper())
        assert server.options == {thread_id: "other"}


async def test_what_is_told_of_an_earlier_unloading_is_not_taken_for_the_next(
    options: ThreadOptions,
) -> None:
    third = attrs.evolve(options, model="third")
    unloads = 0
    resuming = anyio.Event()

    async def unload(request: ClientRequest) -> None:
        nonlocal unloads
        unloads += 1
        thread_id = request.params["threadId"]
        if unloads == 1:
            await request.reply({"status": "unsubscribed"})
            del server.options[thread_id]
            await server.notify(
                "thread/status/changed", {"threadId": thread_id, "status": NOT_LOADED}
            )
        else:
            await server.notify("thread/closed", {"threadId": thread_id})  # of the first time
            await request.reply({"status": "unsubscribed"})
            await anyio.sleep(0.2)  # whoever does not wait for the second time comes too early
            del server.options[thread_id]
            await server.notify("thread/closed", {"threadId": thread_id})

    async def resume(request: ClientRequest) -> Any:
        loaded = server.load(request.params["threadId"], request)
        if not resuming.is_set():
            resuming.set()
            await anyio.sleep_forever()
        return loaded

    async with Server() as server, threads(server) as link:
        thread_id = await run(link, options)
        server.on("thread/unsubscribe", unload)
        server.on("thread/resume", resume)
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(run, link, attrs.evolve(options, model="other"), thread_id)
            await resuming.wait()
            task_group.cancel_scope.cancel()
        assert server.options == {thread_id: "other"}
        await run(link, third, thread_id)
        assert server.options == {thread_id: "third"}
        assert len(server.asked("thread/resume")) == 2


async def test_a_thread_that_was_let_go_of_in_vain_is_subscribed_to_again(
    options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_UNLOAD_PATIENCE", 1000)
    async with Server() as server, threads(server) as link:
        thread_id = await run(link, options)
        server.keeps = True
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(run, link, attrs.evolve(options, model="other"), thread_id)
            while not server.asked("thread/unsubscribe"):
                await anyio.wait_all_tasks_blocked()
            task_group.cancel_scope.cancel()
        server.keeps = False
        await run(link, options, thread_id)
        assert server.asked("thread/resume") == [thread_id]


async def test_what_the_server_says_last_holds(options: ThreadOptions) -> None:
    async def resume(request: ClientRequest) -> None:
        thread_id = request.params["threadId"]
        renamed = {"threadId": thread_id, "threadName": "another name"}
        messages = [
            {"id": request.id, "result": opened(thread_id)},
            {"method": "thread/name/updated", "params": renamed},
            {"method": "thread/closed", "params": {"threadId": thread_id}},
        ]
        lines = [json.dumps(message).encode() + b"\n" for message in messages]
        await server.send_raw(b"".join(lines))
        await anyio.sleep_forever()

    async with Server() as server, threads(server) as link:
        server.on("thread/resume", resume)
        for turn in range(2):
            async with link.loaded("t-7", options, None):
                assert link.names.get("t-7") == "another name"
            assert len(server.asked("thread/resume")) == turn + 1


async def test_a_connection_that_ends_is_not_waited_for(
    options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_UNLOAD_PATIENCE", 1000)

    async def hang_up(request: ClientRequest) -> None:
        await request.reply({"status": "unsubscribed"})
        server.hang_up(exit_code=3)

    async with Server() as server, threads(server) as link:
        thread_id = await run(link, options)
        server.on("thread/unsubscribe", hang_up)
        with anyio.fail_after(60), pytest.raises(AppServerClosedError):
            await run(link, attrs.evolve(options, model="other"), thread_id)


async def test_a_thread_that_is_in_use_or_not_stored_yet_stays_loaded(
    options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded_threads, "_KEPT_LOADED", 1)
    async with Server() as server, threads(server) as link:
        await run(link, options)
        async with link.loaded("t-0", options, None):  # as for a turn that is about to start
            async with link.loaded(None, options, None):  # no turn of it has ended yet
                pass
            await run(link, options)
            assert server.asked("thread/unsubscribe") == []
        await run(link, options)
        assert server.asked("thread/unsubscribe") == ["t-0", "t-2"]


async def test_a_thread_that_cannot_be_unloaded_is_in_nobody_s_way(
    options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded_threads, "_KEPT_LOADED", 1)
    async with Server() as server, threads(server) as link:
        server.on("thread/unsubscribe", ErrorReply("no"))
        for _ in range(3):
            await run(link, options)


@pytest.mark.parametrize(
    "words",
    [
        "thread t-0 is closing; retry thread/resume after the thread is closed",
        "failed to enqueue running thread resume for thread t-0",
    ],
)
async def test_a_thread_that_the_server_is_just_unloading_is_resumed_afterwards(
    options: ThreadOptions, words: str
) -> None:
    replies: list[Any] = [ErrorReply(words), ErrorReply(words), opened("t-0")]
    async with Server() as server, threads(server) as link:
        server.on("thread/resume", lambda _: replies.pop(0))
        assert await run(link, options, "t-0") == "t-0"


async def test_what_is_known_of_many_threads_is_bounded(
    options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded_threads, "_KEPT_LOADED", 10)
    monkeypatch.setattr(loaded_threads.Recent.__init__, "__defaults__", (50,))
    async with Server() as server, threads(server) as link:
        server.keeps = True
        for _ in range(200):
            await run(link, options)
        tables = (link._loaded, link.names, link._warnings, link._used, link._turns)
        assert [len(table) for table in tables] == [10, 50, 50, 0, 0]
        assert link.names.get("t-199") == "name of t-199"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("thread/closed", {}),
        ("thread/archived", {}),
        ("thread/deleted", {}),
        ("thread/status/changed", {"status": {"type": "notLoaded"}}),
    ],
)
async def test_a_thread_that_the_server_has_unloaded_is_forgotten(
    options: ThreadOptions, method: str, params: dict[str, Any]
) -> None:
    async with Server() as server, threads(server) as link:
        for _ in range(5):
            await run(link, options)
        for number in range(5):
            await server.notify(method, {"threadId": f"t-{number}", **params})
        await anyio.wait_all_tasks_blocked()
        assert len(link._loaded) == len(link._warnings) == 0
        assert len(link.names) == (0 if method == "thread/deleted" else 5)

        await run(link, options, "t-3")
        assert server.asked("thread/resume") == ["t-3"]


async def test_a_connection_forgets_where_unloaded_threads_work_and_the_tools_of_deleted_ones() -> (
    None
):
    async with FakeAppServer() as server, connected(server) as connection:
        connection.leftovers = Leftovers(dict([new_marker()]), 1)
        for name in ("closed", "deleted", "kept"):
            server.on("thread/start", opened(name))
            await connection.request("thread/start")
            connection.tools.register(name, ToolSet.of([answer]))
        assert len(connection.leftovers._places) == 3

        for name in ("closed", "deleted"):
            await server.notify(f"thread/{name}", {"threadId": name})
        await anyio.wait_all_tasks_blocked()
        assert [name for name, _ in connection.leftovers._places.oldest_first()] == ["kept"]
        assert connection.tools.tools_of("deleted") is None
        assert connection.tools.tools_of("closed") is not None  # it may be resumed without them


def test_of_a_server_elsewhere_no_place_is_kept() -> None:
    leftovers = Leftovers()
    for number in range(10):
        leftovers.learn("thread/start", opened(f"t-{number}"))
    assert len(leftovers._places) == 0


def test_the_functions_of_the_last_threads_are_kept_and_no_others() -> None:
    registry = ToolRegistry()
    for number in range(KEPT_THREADS + 100):
        tools = ToolSet.of([answer])
        registry.register(f"t-{number}", tools)
        registry._limiter(tools)
    del tools
    gc.collect()

    assert len(registry._sets) == KEPT_THREADS
    assert len(registry._limiters) == KEPT_THREADS
    assert registry.tools_of("t-99") is None
    assert registry.tools_of("t-100") is not None
