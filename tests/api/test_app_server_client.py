"""The client of an app-server, against one that does what the test says."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from codex_sdk import (
    AppServerClientInfo,
    AppServerClosedError,
    AppServerOptions,
    AppServerTimeoutError,
    CodexAppServerError,
    CodexError,
    CodexParseError,
    protocol,
)
from codex_sdk._io.transport import Transport
from codex_sdk._runtime import app_server_connection
from codex_sdk.app_server import (
    AppServerClient,
    AppServerNotification,
    AppServerRequest,
    RequestHandlers,
)
from codex_sdk.app_server.methods import AppServerMethods
from codex_sdk.protocol._index import CLIENT_METHODS
from codex_sdk.testing import ErrorReply, FakeAppServer

from ..app_server_calls import CALLS, Call

APPROVAL = "item/commandExecution/requestApproval"
THREAD = {"thread": {"id": "t-1"}}
TURN = {"turn": {"id": "u-1"}}
OVERLOADED = ErrorReply("Server overloaded; retry later.", -32001)


@asynccontextmanager
async def connected(server: FakeAppServer, **options: Any) -> AsyncIterator[AppServerClient]:
    async with AppServerClient(AppServerOptions(**options), connect=server.connect) as client:
        yield client


@asynccontextmanager
async def connected_without_haste(
    server: FakeAppServer, request_timeout: float
) -> AsyncIterator[AppServerClient]:
    """Connect a client whose requests have a short limit, which would count for its handshake too."""
    options = {"request_timeout": request_timeout, "auto_initialize": False}
    async with connected(server, **options) as client:
        await client.request("initialize", {}, timeout=math.inf)
        await client.notify("initialized")
        yield client


async def outcome(call: Awaitable[Any]) -> Any:
    """Return what a call returned, or the exception that it raised."""
    try:
        return await call
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return error


def replying(*replies: Any) -> Callable[[Any], Any]:
    """Reply with one after the other."""
    left = list(replies)
    return lambda _: left.pop(0)


# The handshake


async def test_entering_the_client_shakes_hands() -> None:
    info = AppServerClientInfo("mine", "Mine", "1")
    async with FakeAppServer() as server, connected(server, client_info=info) as client:
        assert [request.method for request in server.requests] == ["initialize"]
        assert server.requests[0].params["clientInfo"] == info.as_dict()
        await server.expect_notification("initialized")
        assert str(client.server_info.version) == protocol.CODEX_VERSION
        assert client.server_info.codex_home == "/nowhere/.codex"
        assert client.server_info.platform_os == "linux"


async def test_the_handshake_can_be_left_to_the_program() -> None:
    async with FakeAppServer() as server, connected(server, auto_initialize=False) as client:
        assert server.requests == ()
        with pytest.raises(CodexError, match="initialize"):
            client.server_info  # noqa: B018

        result = await client.initialize(AppServerClientInfo("later"))

        assert result["codexHome"] == "/nowhere/.codex"
        assert server.requests[0].params["clientInfo"]["name"] == "later"
        assert client.server_info.codex_home == "/nowhere/.codex"


async def test_an_answer_to_the_handshake_that_is_none_is_an_error() -> None:
    async with FakeAppServer() as server:
        server.on("initialize", None)
        with pytest.raises(CodexParseError, match="answer to initialize is no object: None"):
            async with connected(server):
                raise AssertionError


async def test_a_refused_handshake_is_an_error() -> None:
    async with FakeAppServer() as server:
        server.on("initialize", ErrorReply("go away"))
        with pytest.raises(CodexAppServerError, match="go away") as caught:
            await AppServerClient(connect=server.connect).start()
    assert caught.value.method == "initialize"


@pytest.mark.parametrize("options", [{"request_timeout": 0.05}, {}])
async def test_a_server_that_does_not_answer_the_handshake_is_given_up(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 5.0 if options else 0.05
    monkeypatch.setattr(app_server_connection, "_HANDSHAKE_BOUND", bound)
    async with FakeAppServer() as server:
        server.on("initialize", lambda _: anyio.sleep_forever())
        with pytest.raises(AppServerTimeoutError, match=r"initialize within 0\.05 seconds"):
            async with connected(server, **options):
                raise AssertionError


async def test_what_a_client_cannot_do_without_is_refused_before_anything_is_started() -> None:
    async with FakeAppServer() as server:
        with pytest.raises(CodexError, match="turn/completed"):
            async with connected(server, opt_out_notification_methods=["turn/completed"]):
                raise AssertionError
    assert server.connections == 0


# The key


async def test_a_key_is_given_by_a_login() -> None:
    async with FakeAppServer() as server:
        server.on("account/login/start", {"type": "apiKey"})
        async with connected(server, api_key="sk-0123456789"):
            [_, login] = server.requests
    assert (login.method, login.params) == (
        "account/login/start",
        {"type": "apiKey", "apiKey": "sk-0123456789"},
    )


async def test_a_refused_login_is_an_error_that_does_not_repeat_the_key() -> None:
    async with FakeAppServer() as server:
        given = {"given": ["sk-0123456789", 1]}
        refusal = ErrorReply("forced method is not sk-0123456789", data=given)
        server.on("account/login/start", refusal)
        with pytest.raises(CodexAppServerError, match="api_key has no effect") as caught:
            async with connected(server, api_key="sk-0123456789"):
                raise AssertionError
    assert "sk-0123456789" not in str(caught.value)
    assert "<CODEX_API_KEY>" in caught.value.message
    assert caught.value.data == {"given": ["<CODEX_API_KEY>", 1]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "sk-0123456789"),
        ("base_url", "http://host/v1"),
        ("config_overrides", {"a": 1}),
        ("env", {}),
        ("codex_path_override", "/codex"),
    ],
)
async def test_a_server_elsewhere_has_its_own_key_and_configuration(name: str, value: Any) -> None:
    client = AppServerClient(AppServerOptions(url="ws://127.0.0.1:1", **{name: value}))

    with pytest.raises(CodexError, match=rf"AppServerOptions\.{name}"):
        await client.start()


async def test_a_token_is_for_a_server_elsewhere() -> None:
    with pytest.raises(CodexError, match="give its url"):
        await AppServerClient(AppServerOptions(token="t")).start()


# Its life


async def test_a_client_that_is_not_connected_says_so() -> None:
    client = AppServerClient()

    for call in (client.model_list, client.next_notification, client.next_request):
        with pytest.raises(CodexError, match="not connected"):
            await call()
    for use in (client.notifications, client.requests, lambda: client.server_info):
        with pytest.raises(CodexError, match="not connected"):
            use()


async def test_a_client_works_without_a_block() -> None:
    async with FakeAppServer() as server:
        server.on("model/list", {"data": []})
        client = AppServerClient(connect=server.connect)

        await client.start()
        await client.start()
        assert await client.model_list() == {"data": []}
        await client.close()
        await client.close()

        assert server.connections == 1
        with pytest.raises(AppServerClosedError, match="was closed"):
            await client.model_list()


async def test_tasks_that_start_a_client_at_once_share_the_connection() -> None:
    async with FakeAppServer() as server:
        server.on("model/list", {"data": []})
        client = AppServerClient(connect=server.connect)

        async def use() -> None:
            await client.start()
            assert await client.model_list() == {"data": []}

        async with anyio.create_task_group() as task_group:
            for _ in range(3):
                task_group.start_soon(use)
        await client.close()

    assert server.connections == 1


async def test_a_client_can_be_used_again_after_it_was_closed() -> None:
    async with FakeAppServer() as server:
        server.on("model/list", {"data": []})
        client = AppServerClient(connect=server.connect)
        for _ in range(2):
            async with client:
                assert await client.model_list() == {"data": []}
        await client.start()
        assert await client.model_list() == {"data": []}
        await client.close()

    assert server.connections == 3


async def test_inside_its_block_a_client_can_be_closed_and_started_again() -> None:
    async with FakeAppServer() as server:
        server.on("model/list", {"data": []})
        async with connected(server) as client:
            await client.close()
            with pytest.raises(AppServerClosedError):
                await client.model_list()
            await client.start()
            assert await client.model_list() == {"data": []}


async def test_a_client_has_one_owner_at_a_time() -> None:
    async with FakeAppServer() as server:
        client = AppServerClient(connect=server.connect)
        await client.start()
        with pytest.raises(CodexError, match="in use already"):
            async with client:
                raise AssertionError
        await client.close()
        async with client:
            with pytest.raises(RuntimeError, match="already been entered"):
                async with client:
                    raise AssertionError
        assert server.connections == 2


async def test_a_start_that_is_cancelled_leaves_nothing_behind() -> None:
    async with FakeAppServer() as server:
        answer = anyio.Event()

        async def hesitate(_: Any) -> dict[str, Any]:
            await answer.wait()
            return {}

        server.on("initialize", hesitate)
        client = AppServerClient(connect=server.connect)
        with anyio.move_on_after(0.05) as scope:
            await client.start()
        assert scope.cancelled_caught
        answer.set()

        server.on("initialize", {"userAgent": "x/0.163.0 (y)"})
        await client.start()  # the fake server has one client at a time
        await client.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_start_whose_task_asyncio_cancels_before_it_runs_ends() -> None:
    async with FakeAppServer() as server:
        client = AppServerClient(connect=server.connect)
        before = asyncio.all_tasks()
        starting = asyncio.create_task(client.start())
        await anyio.lowlevel.checkpoint()
        for task in asyncio.all_tasks() - before:  # as a closing loop does
            task.cancel()
        done, _ = await asyncio.wait([starting], timeout=10)
        assert done
        assert server.connections == 0


async def test_a_client_that_is_closed_while_it_starts_does_not_start() -> None:
    async with FakeAppServer() as server:
        asked = anyio.Event()

        async def never(_: Any) -> None:
            asked.set()
            await anyio.sleep_forever()

        server.on("initialize", never)
        client = AppServerClient(connect=server.connect)
        async with anyio.create_task_group() as task_group:

            async def start() -> None:
                with pytest.raises(CodexError, match="closed before it had started"):
                    await client.start()

            task_group.start_soon(start)
            await asked.wait()
            await client.close()


async def test_who_waits_for_a_start_that_is_cancelled_goes_on_with_it() -> None:
    async with FakeAppServer() as server:
        asked, answer = anyio.Event(), anyio.Event()

        async def hesitate(_: Any) -> dict[str, Any]:
            asked.set()
            await answer.wait()
            return {"userAgent": "x/0.163.0 (y)"}

        server.on("initialize", hesitate)
        server.on("model/list", {"data": []})
        client = AppServerClient(connect=server.connect)
        async with anyio.create_task_group() as task_group:
            scopes = [anyio.CancelScope() for _ in range(2)]

            async def start(scope: anyio.CancelScope) -> None:
                with scope:
                    await client.start()
                    raise AssertionError("it was cancelled before that")

            for scope in scopes:
                task_group.start_soon(start, scope)
            await asked.wait()
            task_group.start_soon(client.start)
            await anyio.wait_all_tasks_blocked()
            for scope in scopes:
                scope.cancel()
            await anyio.wait_all_tasks_blocked()
            answer.set()
        assert await client.model_list() == {"data": []}
        assert server.connections == 1
        await client.close()


@asynccontextmanager
async def slow_to_leave(
    server: FakeAppServer, leaving: anyio.Event, leave: anyio.Event
) -> AsyncIterator[Transport]:
    """Connect to *server*; how long the end of that takes is up to the test."""
    async with server.connect() as transport:
        try:
            yield transport
        finally:
            leaving.set()
            with anyio.CancelScope(shield=True):
                await leave.wait()


async def test_who_comes_while_a_cancelled_start_is_undone_starts_anew() -> None:
    async with FakeAppServer() as server:
        asked, leaving, leave = anyio.Event(), anyio.Event(), anyio.Event()

        async def never(_: Any) -> None:
            asked.set()
            await anyio.sleep_forever()

        server.on("initialize", never)
        client = AppServerClient(connect=partial(slow_to_leave, server, leaving, leave))
        async with anyio.create_task_group() as task_group:
            scope = anyio.CancelScope()

            async def start() -> None:
                with scope:
                    await client.start()

            task_group.start_soon(start)
            await asked.wait()
            scope.cancel()
            await leaving.wait()
            server.on("initialize", {"userAgent": "x/0.163.0 (y)"})
            task_group.start_soon(client.start)
            await anyio.wait_all_tasks_blocked()
            leave.set()
        assert client.server_info.user_agent == "x/0.163.0 (y)"
        assert server.connections == 2
        await client.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("then", ["start", "close"])
async def test_a_start_that_asyncio_cancels_twice_is_waited_for_by_what_comes_next(
    then: str,
) -> None:
    async with FakeAppServer() as server:
        asked, leaving, leave = anyio.Event(), anyio.Event(), anyio.Event()

        async def never(_: Any) -> None:
            asked.set()
            await anyio.sleep_forever()

        server.on("initialize", never)
        client = AppServerClient(connect=partial(slow_to_leave, server, leaving, leave))
        starting = asyncio.create_task(client.start())
        await asked.wait()
        starting.cancel()
        await leaving.wait()
        starting.cancel()  # which no shield keeps off
        await asyncio.wait([starting])
        server.on("initialize", {"userAgent": "x/0.163.0 (y)"})
        next_one = asyncio.create_task(getattr(client, then)())
        await anyio.wait_all_tasks_blocked()
        assert (server.connections, next_one.done()) == (1, False)
        leave.set()
        await next_one
        assert server.connections == (2 if then == "start" else 1)
        await client.close()


async def test_a_start_that_fails_fails_for_all_who_wait_for_it_each_with_an_error_of_its_own() -> (
    None
):
    async with FakeAppServer() as server:
        server.on("initialize", ErrorReply("go away"))
        client = AppServerClient(connect=server.connect)
        errors: list[CodexAppServerError] = []

        async def start() -> None:
            with pytest.raises(CodexAppServerError, match="go away") as caught:
                await client.start()
            errors.append(caught.value)

        async with anyio.create_task_group() as task_group:
            for _ in range(3):
                task_group.start_soon(start)
        assert len({id(error) for error in errors}) == 3
        assert {error.method for error in errors} == {"initialize"}
        assert server.connections == 1

        server.on("initialize", {"userAgent": "x/0.163.0 (y)"})
        await client.start()
        await client.close()


@asynccontextmanager
async def slow_to_close() -> AsyncIterator[tuple[AppServerClient, anyio.Event, anyio.Event]]:
    """Start a client whose closing takes until the second event; the first tells that it has begun."""
    closing, close = anyio.Event(), anyio.Event()
    async with FakeAppServer() as server:

        @asynccontextmanager
        async def connect() -> AsyncIterator[Transport]:
            async with server.connect() as transport:
                try:
                    yield transport
                finally:
                    closing.set()
                    with anyio.CancelScope(shield=True):
                        await close.wait()

        client = AppServerClient(connect=connect)
        await client.start()
        try:
            yield client, closing, close
        finally:
            close.set()
            await client.close()


async def test_a_second_close_waits_for_the_first() -> None:
    async with slow_to_close() as (client, closing, close):
        closed: list[str] = []

        async def close_client(name: str) -> None:
            await client.close()
            closed.append(name)

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(close_client, "first")
            await closing.wait()
            task_group.start_soon(close_client, "second")
            await anyio.wait_all_tasks_blocked()
            too_early = list(closed)
            close.set()
        assert too_early == []
        assert sorted(closed) == ["first", "second"]


async def test_a_start_waits_for_the_close_before_it() -> None:
    async with slow_to_close() as (client, closing, close):
        outcomes: list[Any] = []

        async def start() -> None:
            outcomes.append(await outcome(client.start()))

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(client.close)
            await closing.wait()
            task_group.start_soon(start)  # the fake server has one client at a time
            await anyio.wait_all_tasks_blocked()
            close.set()
        assert outcomes == [None]
        assert client.server_info.codex_home == "/nowhere/.codex"


@pytest.mark.parametrize("first", ["handler", "program"])
async def test_a_handler_that_closes_its_client_as_the_program_does_holds_up_nobody(
    first: str,
) -> None:
    async with FakeAppServer() as server:
        asked, close = anyio.Event(), anyio.Event()
        called: list[str] = []

        async def handle(_: Any) -> str:
            asked.set()
            await close.wait()
            called.append("handler")
            await client.close()
            await anyio.sleep_forever()  # the closing ends it
            raise AssertionError

        handlers = RequestHandlers(on_command_approval=handle, timeout=30)
        client = AppServerClient(connect=server.connect, handlers=handlers)
        await client.start()
        about = {"threadId": "t", "turnId": "u", "itemId": "i", "startedAtMs": 0}
        await server.begin_asking(APPROVAL, about)
        await asked.wait()

        async def close_client() -> None:
            called.append("program")
            await client.close()

        with anyio.fail_after(10):
            async with anyio.create_task_group() as task_group:
                if first == "handler":
                    close.set()
                    task_group.start_soon(close_client)
                else:
                    task_group.start_soon(close_client)
                    close.set()
            await client.close()
    assert "program" in called


async def test_what_the_block_raises_leaves_it_as_it_is() -> None:
    async with FakeAppServer() as server:
        with pytest.raises(ZeroDivisionError):
            async with connected(server):
                raise ZeroDivisionError


async def test_a_cancelled_block_can_still_talk_to_its_server() -> None:
    async with FakeAppServer() as server:
        server.on("thread/archive", {})
        with anyio.CancelScope() as scope:
            async with connected(server) as client:
                try:
                    scope.cancel()
                    await anyio.sleep_forever()
                finally:
                    with anyio.CancelScope(shield=True):
                        await client.thread_archive("t")
        assert server.requests[-1].method == "thread/archive"


async def test_a_block_that_is_cancelled_while_it_asks_ends_at_once() -> None:
    async with FakeAppServer() as server:
        server.on("model/list", lambda _: anyio.sleep_forever())
        with anyio.move_on_after(0.05):
            async with connected(server) as client:
                await client.model_list()
                raise AssertionError


# Requests


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_each_method_asks_for_its_own_and_returns_the_answer(call: Call) -> None:
    async with FakeAppServer() as server:
        server.on(call.method, {"answer": call.name, **THREAD})
        async with connected(server, opt_out_notification_methods=["turn/started"]) as client:
            result = await getattr(client, call.name)(*call.arguments, **call.keywords)

    assert result["answer"] == call.name
    assert server.requests[-1].params == call.params


def test_each_method_is_called_by_a_test() -> None:
    methods = {
        name
        for name, member in inspect.getmembers(AppServerMethods, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }

    assert {call.name for call in CALLS} == methods


async def test_a_watch_is_given_a_name_by_which_it_can_be_ended() -> None:
    async with FakeAppServer() as server:
        server.on("fs/watch", {"path": "/d"})
        async with connected(server) as client:
            watch = await client.fs_watch(path="/d")

    assert watch == {"path": "/d", "watchId": server.requests[-1].params["watchId"]}


@pytest.mark.parametrize("answer", [None, [], {}, {"thread": {"id": None}}])
async def test_an_answer_that_names_no_thread_is_an_error(answer: Any) -> None:
    async with FakeAppServer() as server, connected(server) as client:
        server.on("thread/start", answer)
        server.on("thread/fork", answer)
        with pytest.raises(CodexParseError, match=r"answer to thread/start has no thread\.id"):
            await client.thread_start(cwd=".")
        with pytest.raises(CodexParseError, match=r"answer to thread/fork has no thread\.id"):
            await client.thread_fork("t-1")


async def test_params_that_are_none_are_not_sent() -> None:
    async with FakeAppServer() as server:
        server.on("x/y", {})
        async with connected(server) as client:
            await client.request("x/y", {"a": None, "b": protocol.NULL, "c": {"d": None}})
            assert server.requests[-1].params == {"b": None, "c": {"d": None}}


async def test_params_that_are_no_json_are_refused_and_the_next_request_goes_through() -> None:
    async with FakeAppServer() as server:
        server.on("model/list", {"data": []})
        async with connected(server) as client:
            for value in ("\ud800", object(), math.nan):
                with suppress(CodexError):  # what of it is no JSON, is told
                    await client.request("model/list", {"cursor": value}, timeout=0.5)
            with pytest.raises(CodexError, match="no JSON"):
                await client.request("model/list", {"cursor": "\ud800"})
            assert await client.model_list() == {"data": []}


async def test_a_request_without_an_answer_is_given_up_in_time() -> None:
    async with FakeAppServer() as server:
        server.on("model/list", lambda _: anyio.sleep_forever())
        server.on("app/list", {"data": []})
        async with connected_without_haste(server, request_timeout=0.05) as client:
            with pytest.raises(AppServerTimeoutError, match=r"model/list within 0\.05 seconds"):
                await client.model_list()
            with pytest.raises(TimeoutError, match=r"0\.01 seconds"):
                await client.request("model/list", timeout=0.01)
            assert await client.request("app/list", timeout=math.inf) == {"data": []}


async def test_a_single_request_may_take_longer_than_others() -> None:
    async def slow(_: Any) -> dict[str, Any]:
        await anyio.sleep(0.1)
        return {"exitCode": 0}

    async with FakeAppServer() as server:
        server.on("command/exec", slow)
        server.on("model/list", slow)
        async with connected_without_haste(server, request_timeout=0.05) as client:
            assert await client.command_exec(command=["x"]) == {"exitCode": 0}
            assert await client.request("model/list", timeout=math.inf) == {"exitCode": 0}


@pytest.mark.parametrize(
    ("method", "bounded"),
    [
        ("thread/start", True),
        ("thread/resume", True),
        ("turn/start", True),
        ("turn/steer", True),
        ("config/read", True),
        ("model/list", True),
        ("command/exec", False),
        ("review/start", False),
        ("account/login/start", False),
        ("mcpServer/tool/call", False),
    ],
)
async def test_by_default_what_a_server_answers_at_once_is_given_up_in_time(
    method: str, bounded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_server_connection, "_ANSWER_BOUND", 0.05)
    async with FakeAppServer() as server, connected(server) as client:
        server.on(method, lambda _: anyio.sleep_forever())
        error: Any = None
        with anyio.fail_after(10) if bounded else anyio.move_on_after(0.3):
            error = await outcome(client.request(method, {"threadId": "t"}))
        assert isinstance(error, AppServerTimeoutError) == bounded

        error = None
        with anyio.move_on_after(0.3):  # nor does the program have to take it
            error = await outcome(client.request(method, {"threadId": "u"}, timeout=math.inf))
        assert error is None


async def test_the_default_limit_can_be_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_server_connection, "_ANSWER_BOUND", 0.05)
    async with FakeAppServer() as server, connected(server, request_timeout=math.inf) as client:

        async def slowly(_: Any) -> dict[str, Any]:
            await anyio.sleep(0.3)
            return {"data": []}

        server.on("model/list", slowly)
        assert await client.model_list() == {"data": []}


def test_the_methods_that_have_a_limit_are_methods() -> None:
    of_older_clis = {"thread/rollback"}
    assert app_server_connection._ANSWERED_AT_ONCE - of_older_clis <= CLIENT_METHODS.keys()


async def test_what_an_overloaded_server_refuses_is_asked_again() -> None:
    async with FakeAppServer() as server:
        server.on("thread/start", replying(OVERLOADED, OVERLOADED, THREAD))
        async with connected(server) as client:
            assert await client.thread_start() == THREAD
    assert [request.method for request in server.requests].count("thread/start") == 3


async def test_but_not_for_longer_than_the_options_say() -> None:
    async with FakeAppServer() as server:
        server.on("thread/start", OVERLOADED)
        async with connected(server, overload_timeout=1.0) as client:
            with anyio.fail_after(10):
                with pytest.raises(CodexAppServerError, match="overloaded") as caught:
                    await client.thread_start()
    assert caught.value.code == -32001
    assert [request.method for request in server.requests].count("thread/start") > 1


async def test_and_the_timeout_of_a_request_counts_all_tries() -> None:
    async with FakeAppServer() as server:
        server.on("thread/start", OVERLOADED)
        async with connected(server) as client:
            with pytest.raises(AppServerTimeoutError):
                await client.request("thread/start", timeout=0.1)


async def test_other_refusals_are_final() -> None:
    async with FakeAppServer() as server:
        server.on("thread/start", ErrorReply("no", -32600, {"why": 1}))
        async with connected(server) as client:
            with pytest.raises(CodexAppServerError) as caught:
                await client.thread_start()
    error = caught.value
    assert (error.code, error.message, error.data) == (-32600, "no", {"why": 1})
    assert [request.method for request in server.requests].count("thread/start") == 1


async def test_a_method_that_the_cli_does_not_have_is_an_error_with_its_version() -> None:
    refusal = ErrorReply(
        "Invalid request: unknown variant `thread/rollback`, expected one of `initialize`, `a/b`"
    )
    async with FakeAppServer(version="0.169.0") as server:
        server.on("thread/rollback", refusal)
        async with connected(server) as client:
            with pytest.raises(CodexAppServerError, match=r"0\.169\.0, does not have") as caught:
                await client.thread_rollback("t", num_turns=1)
    assert "expected one of" not in str(caught.value)
    assert "thread_revert()" in str(caught.value)


async def test_an_unknown_word_in_the_params_is_no_unknown_method() -> None:
    refusal = ErrorReply("Invalid request: unknown variant `x`, expected one of `never`, `y`")
    async with FakeAppServer() as server:
        server.on("thread/start", refusal)
        async with connected(server) as client:
            with pytest.raises(CodexAppServerError, match="expected one of `never`") as caught:
                await client.thread_start(approval_policy="x")
    assert "does not have" not in str(caught.value)


async def test_what_needs_the_experimental_api_says_how_to_get_it() -> None:
    refusal = ErrorReply("thread/start.dynamicTools requires experimentalApi capability")
    async with FakeAppServer() as server:
        server.on("thread/start", refusal)
        async with connected(server) as client:
            with pytest.raises(CodexAppServerError, match="experimental_api_enabled=True"):
                await client.thread_start(dynamic_tools=[])


async def test_a_notification_is_sent_without_waiting() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        server.on("x/y")
        await client.notify("x/y", {"a": None, "b": 1})
        await server.expect_notification("x/y", {"b": 1})
        await client.notify("x/y")
        await server.expect_notification("x/y")


# Typed calls


async def test_a_call_returns_the_typed_answer() -> None:
    async with FakeAppServer() as server:
        server.on("config/value/write", {"filePath": "/c", "status": "ok", "version": "v"})
        async with connected(server) as client:
            answer = await client.call(
                protocol.ConfigValueWriteParams(
                    key_path="model", value=None, merge_strategy="replace"
                )
            )
    assert isinstance(answer, protocol.ConfigWriteResponse)
    assert answer.file_path == "/c"
    assert server.requests[-1].params == {
        "keyPath": "model",
        "value": None,
        "mergeStrategy": "replace",
    }


@pytest.mark.parametrize("version", ["0.80.0", "0.169.0"])
async def test_an_answer_of_another_version_may_leave_things_out(version: str) -> None:
    async with FakeAppServer(version=version) as server:
        server.on("thread/start", {"thread": {"id": "t"}})
        async with connected(server) as client:
            started = await client.call(protocol.ThreadStartParams())
    assert started.thread.id == "t"


async def test_one_of_the_same_version_may_not() -> None:
    async with FakeAppServer() as server:
        server.on("thread/start", {"thread": {"id": "t"}})
        async with connected(server) as client:
            with pytest.raises(CodexParseError, match="ThreadStartResponse"):
                await client.call(protocol.ThreadStartParams())


async def test_messages_have_typed_payloads_and_unknown_ones_are_kept() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        await server.notify(
            "item/agentMessage/delta",
            {"threadId": "t", "turnId": "u", "itemId": "i", "delta": "Hi", "newer": 1},
        )
        await server.notify("some/thing", {"a": 1})
        delta, thing = await client.next_notification(), await client.next_notification()

    assert isinstance(delta.payload, protocol.AgentMessageDeltaNotification)
    assert delta.payload.delta == "Hi"
    assert delta.params["newer"] == 1
    assert thing == AppServerNotification("some/thing", {"a": 1})
    assert thing.payload == protocol.UnknownPayload("some/thing", {"a": 1})


async def test_payloads_of_another_version_may_leave_things_out() -> None:
    message = {"threadId": "t", "turnId": "0", "itemId": "i"}
    async with FakeAppServer(version="0.80.0") as server, connected(server) as client:
        await server.begin_asking(APPROVAL, message)
        asked = await client.next_request()
        await client.respond(asked.id, {"decision": "accept"})
    assert isinstance(asked.payload, protocol.CommandExecutionRequestApprovalParams)
    assert asked.payload.command is None


# What the server sends


async def test_notifications_come_in_order_until_the_client_is_closed() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        for number in range(3):
            await server.notify("x/y", {"number": number})

        numbers: list[int] = []
        async for notification in client.notifications():
            numbers.append(notification.params["number"])
            if len(numbers) == 3:
                await client.close()

    assert numbers == [0, 1, 2]


async def test_who_waits_for_a_notification_is_told_that_the_client_was_closed() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        results: list[Any] = []

        async def wait(call: Callable[[], Awaitable[Any]]) -> None:
            results.append(await outcome(call()))

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(wait, client.next_notification)
            task_group.start_soon(wait, client.next_request)
            await anyio.wait_all_tasks_blocked()
            await client.close()

    assert [type(result) for result in results] == [AppServerClosedError] * 2


async def test_requests_are_answered_by_who_takes_them() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        asked = await server.begin_asking("x/y", {"a": 1}, request_id="r")
        request = await client.next_request()
        assert request == AppServerRequest("r", "x/y", {"a": 1})
        await client.respond(request.id, {"b": [protocol.GrantedPermissionProfile()]})
        assert await asked.answer() == {"b": [{}]}


async def test_an_answer_may_be_null_and_is_not_lost() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        asked = await server.begin_asking("x/y")
        await client.respond((await client.next_request()).id, None)
        assert await asked.answer() is None


async def test_an_answer_may_be_an_error() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        asked = await server.begin_asking("x/y")
        error = {"code": 7, "message": "no", "data": {"why": 1}}
        await client.respond((await client.next_request()).id, error=error)
        with pytest.raises(CodexAppServerError) as caught:
            await asked.answer()
    assert (caught.value.code, caught.value.message, caught.value.data) == (7, "no", {"why": 1})


async def test_a_legacy_cli_s_approval_is_declined_in_place_of_an_error() -> None:
    async with FakeAppServer(version="0.80.0") as server, connected(server) as client:
        asked = await server.begin_asking(APPROVAL, {"threadId": "t", "turnId": "0"})
        await client.respond((await client.next_request()).id, error={"code": 1, "message": "no"})
        assert await asked.answer() == {"decision": "decline"}


async def test_a_request_that_nobody_takes_is_declined() -> None:
    async with FakeAppServer() as server, connected(server, unclaimed_request_timeout=0.01):
        params = {"threadId": "t", "turnId": "u", "itemId": "i"}
        assert await server.ask(APPROVAL, params) == {"decision": "decline"}
        with pytest.raises(CodexAppServerError) as caught:
            await server.ask("x/y")
    assert caught.value.code == -32601


async def test_a_request_that_is_taken_has_all_the_time_it_needs() -> None:
    taken: list[AppServerRequest] = []

    async def take() -> None:
        taken.append(await client.next_request())

    async with (
        FakeAppServer() as server,
        connected(server, unclaimed_request_timeout=0.05) as client,
    ):
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(take)
            await anyio.wait_all_tasks_blocked()  # it is taken at once, however slow the machine is
            asked = await server.begin_asking(APPROVAL, {"threadId": "t", "turnId": "u"})
        await anyio.sleep(0.15)  # longer than a request waits to be taken
        await client.respond(taken[0].id, {"decision": "accept"})
        assert await asked.answer() == {"decision": "accept"}


async def test_requests_can_be_iterated_over_until_the_client_is_closed() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        asked = [await server.begin_asking("x/y", {"number": number}) for number in range(3)]
        async for request in client.requests():
            await client.respond(request.id, request.params["number"])
            if request.params["number"] == 2:
                assert [await one.answer() for one in asked] == [0, 1, 2]
                await client.close()


async def test_an_answer_to_no_request_is_refused() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        with pytest.raises(CodexError, match="no request 99"):
            await client.respond(99, {})
        asked = await server.begin_asking("x/y", request_id=5)
        request = await client.next_request()
        for wrong in ({"a": object()}, "\ud800"):
            with pytest.raises(CodexError, match="no JSON"):
                await client.respond(request.id, wrong)
        with pytest.raises(CodexError, match='"code"'):
            await client.respond(request.id, error={"message": "no code"})
        await client.respond(request.id, {})
        assert await asked.answer() == {}


async def test_a_request_has_one_answer() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        asked = await server.begin_asking("x/y", request_id=5)
        request = await client.next_request()
        refused: list[int] = []

        async def respond(result: int) -> None:
            try:
                await client.respond(request.id, result)
            except CodexError:
                refused.append(result)

        async with anyio.create_task_group() as task_group:
            for result in (1, 2):  # in an order that trio chooses
                task_group.start_soon(respond, result)
        assert {await asked.answer(), *refused} == {1, 2}
        with pytest.raises(CodexError, match="no request 5"):
            await client.respond(request.id, 3)


async def test_an_answer_that_comes_too_late_is_dropped() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        await server.begin_asking(APPROVAL, {"threadId": "t", "turnId": "u"}, request_id=5)
        request = await client.next_request()
        await server.notify("serverRequest/resolved", {"threadId": "t", "requestId": 5})
        assert (await client.next_notification()).method == "serverRequest/resolved"
        await anyio.wait_all_tasks_blocked()
        await client.respond(request.id, {"decision": "accept"})
        server.on("model/list", {})
        await client.model_list()  # the server would have complained by now


# Turns


async def test_a_thread_runs_one_turn_at_a_time() -> None:
    async with FakeAppServer() as server:
        server.on("turn/start", TURN)
        async with connected(server) as client:
            assert await client.turn_start("t-1", "hi") == TURN
            for again in (
                client.turn_start("t-1", "hi"),
                client.request("turn/start", {"threadId": "t-1", "input": []}),
                client.call(protocol.TurnStartParams(thread_id="t-1", input=[])),
            ):
                with pytest.raises(CodexError, match=r"'t-1' already runs a turn.*steer"):
                    await again
            assert await client.turn_start("t-2", "hi") == TURN

            await server.notify("turn/completed", {"threadId": "t-1", "turn": {"id": "u-1"}})
            assert (await client.next_notification()).method == "turn/completed"
            assert await client.turn_start("t-1", "hi") == TURN
    assert [request.method for request in server.requests].count("turn/start") == 3


async def test_a_turn_that_ends_before_its_start_is_answered_does_not_run() -> None:
    async def start(request: Any) -> Any:
        await server.notify("turn/started", {"threadId": "t-1", "turn": {"id": "u-1"}})
        await server.notify("turn/completed", {"threadId": "t-1", "turn": {"id": "u-1"}})
        return TURN

    async with FakeAppServer() as server:
        server.on("turn/start", start)
        async with connected(server) as client:
            assert await client.turn_start("t-1", "hi") == TURN
            assert await client.turn_start("t-1", "hi") == TURN


async def test_two_tasks_cannot_start_a_turn_of_one_thread() -> None:
    async with FakeAppServer() as server:
        server.on("turn/start", TURN)
        async with connected(server) as client:
            results: list[Any] = []

            async def start() -> None:
                results.append(await outcome(client.turn_start("t-1", "hi")))

            async with anyio.create_task_group() as task_group:
                task_group.start_soon(start)
                task_group.start_soon(start)

    assert TURN in results
    assert [type(result) for result in results if result != TURN] == [CodexError]


async def test_a_turn_that_did_not_start_is_in_nobody_s_way() -> None:
    async with FakeAppServer() as server:
        server.on("turn/start", replying(ErrorReply("thread not found: t-1"), TURN))
        async with connected(server) as client:
            with pytest.raises(CodexAppServerError, match="thread not found"):
                await client.turn_start("t-1", "hi")
            assert await client.turn_start("t-1", "hi") == TURN


async def test_the_notifications_of_a_plain_turn_come_to_the_client_all_of_them() -> None:
    async def start(request: Any) -> Any:
        await server.notify("thread/status/changed", {"threadId": "t-1", "status": {}})
        await server.notify("turn/started", {"threadId": "t-1", "turn": {"id": "u-1"}})
        return TURN

    async with FakeAppServer() as server:
        server.on("turn/start", start)
        async with connected(server) as client:
            await client.turn_start("t-1", "hi")
            await server.notify("turn/completed", {"threadId": "t-1", "turn": {"id": "u-1"}})
            methods = [(await client.next_notification()).method for _ in range(3)]
    assert methods == ["thread/status/changed", "turn/started", "turn/completed"]


@pytest.mark.parametrize("version", ["0.80.0", "0.163.0"])
async def test_an_interrupt_that_a_cli_would_not_answer_is_refused_here(version: str) -> None:
    async with FakeAppServer(version=version) as server:
        server.on("turn/start", TURN)
        server.on("turn/interrupt", {})
        async with connected(server) as client:
            with pytest.raises(CodexAppServerError, match="no active turn") as caught:
                await client.turn_interrupt("t-1", "u-1")
            assert caught.value.method == "turn/interrupt"
            await client.turn_start("t-1", "hi")
            assert await client.turn_interrupt("t-1", "u-1") == {}
            await server.notify("turn/completed", {"threadId": "t-1", "turn": {"id": "u-1"}})
            await client.next_notification()
            with pytest.raises(CodexAppServerError, match="no active turn"):
                await client.turn_interrupt("t-1", "u-1")
    assert [request.method for request in server.requests].count("turn/interrupt") == 1


async def test_a_server_that_does_not_tell_of_all_turns_is_asked() -> None:
    async with FakeAppServer() as server:
        server.on("turn/interrupt", {})
        opt_out = ["turn/started"]
        async with connected(server, opt_out_notification_methods=opt_out) as client:
            assert await client.turn_interrupt("t-1", "u-1") == {}


# The end of the server


async def test_the_death_of_the_server_is_told_to_all_who_wait_for_it() -> None:
    async with FakeAppServer() as server:
        server.on("turn/start", TURN)
        server.on("turn/steer", lambda _: anyio.sleep_forever())
        async with connected(server) as client:
            await client.turn_start("t-1", "hi")
            results: list[Any] = []

            async def wait(call: Callable[[], Awaitable[Any]]) -> None:
                results.append(await outcome(call()))

            async def iterate() -> None:
                async for _ in client.notifications():
                    raise AssertionError

            async def iterate_requests() -> None:
                async for _ in client.requests():
                    raise AssertionError

            async with anyio.create_task_group() as task_group:
                task_group.start_soon(wait, lambda: client.turn_steer("t-1", "u-1", "more"))
                for call in (client.next_request, iterate, iterate_requests):
                    task_group.start_soon(wait, call)
                await anyio.wait_all_tasks_blocked()
                server.hang_up(exit_code=-9, stderr="panicked at 'oh'")
            results.append(await outcome(client.model_list()))
            results.append(await outcome(client.next_notification()))

    assert [type(result) for result in results] == [AppServerClosedError] * 6
    for error in results:
        assert (error.exit_code, error.stderr) == (-9, "panicked at 'oh'")
        assert "panicked at 'oh'" in str(error)
    assert len({id(error) for error in results}) == 6


async def test_a_client_whose_server_has_died_can_be_started_anew() -> None:
    async with FakeAppServer() as server:
        server.on("model/list", {"data": []})
        async with connected(server) as client:
            server.hang_up(exit_code=1)
            with pytest.raises(AppServerClosedError):
                await client.next_notification()
            await client.start()
            assert await client.model_list() == {"data": []}
    assert server.connections == 2


async def test_what_came_before_the_end_can_still_be_read() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        await server.notify("x/y")
        server.hang_up(exit_code=1)
        assert (await client.next_notification()).method == "x/y"
        with pytest.raises(AppServerClosedError):
            await client.next_notification()


async def test_a_server_that_dies_in_the_handshake_is_no_mystery() -> None:
    async with FakeAppServer() as server:

        async def die(_: Any) -> None:
            server.hang_up(exit_code=1, stderr="Error: unknown configuration")
            await anyio.sleep_forever()

        server.on("initialize", die)
        with pytest.raises(AppServerClosedError, match="unknown configuration"):
            async with connected(server):
                raise AssertionError


def test_the_client_shows_its_options_and_no_secret() -> None:
    client = AppServerClient(AppServerOptions(api_key="sk-0123456789", token="tok-0123456789"))

    assert "AppServerOptions" in repr(client)
    assert "0123456789" not in repr(client)
    assert json.dumps(client.options.to_dict())


async def test_two_loops_cannot_share_a_connection() -> None:
    async with FakeAppServer() as server:
        client = AppServerClient(connect=server.connect)
        await client.start()

        async def start_elsewhere() -> None:
            for use in (client.start, client.close):
                with pytest.raises(CodexError, match="another event loop"):
                    await use()

        await anyio.to_thread.run_sync(anyio.run, start_elsewhere)
        await client.close()


async def test_a_task_of_another_loop_is_refused_whatever_it_wants_of_the_client() -> None:
    async with FakeAppServer() as server:
        server.on("turn/start", TURN)
        client = AppServerClient(connect=server.connect)
        await client.start()
        notifications, requests = client.notifications(), client.requests()
        session = await client.turn_session("t-1", "hi")
        refused: list[Any] = []

        async def use_elsewhere() -> None:
            assert client.server_info.codex_home == "/nowhere/.codex"  # that is no matter of loops
            for use in (
                client.model_list,
                lambda: client.call(protocol.ModelListParams()),
                lambda: client.notify("initialized"),
                lambda: client.respond(1, {}),
                client.next_notification,
                client.next_request,
                notifications.__anext__,
                requests.__anext__,
                lambda: client.turn_start("t-2", "hi"),
                client.turn_session("t-2", "hi").start,
                session.start,
                session.wait,
                session.interrupt,
                lambda: session.steer("no"),
                session.next_notification,
                session.notifications().__anext__,
                session.next_request,
                session.close,
            ):
                with anyio.move_on_after(5):
                    refused.append(await outcome(use()))

        await anyio.to_thread.run_sync(anyio.run, use_elsewhere)
        await client.close()

    assert len(refused) == 18
    for error in refused:
        assert isinstance(error, CodexError)
        assert "one client for each event loop" in str(error)


def test_a_client_whose_loop_has_ended_can_be_used_in_another() -> None:
    async def use(client: AppServerClient, server: FakeAppServer) -> None:
        async with server:
            await client.start()
            assert client.server_info

    async def use_again(client: AppServerClient) -> None:
        with pytest.raises(CodexError, match=r"event loop .* has ended"):
            await client.model_list()
        with pytest.raises(CodexError, match=r"event loop .* has ended"):
            await client.next_notification()
        await client.close()
        await client.close()

    for backend in ("asyncio", "trio"):
        server = FakeAppServer()
        client = AppServerClient(connect=server.connect)
        with suppress(AppServerClosedError):
            anyio.run(use, client, server, backend=backend)
        anyio.run(use_again, client, backend=backend)
