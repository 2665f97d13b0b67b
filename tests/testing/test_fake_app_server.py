"""The fake app-server as a client sees it, byte by byte, and what it tells the test."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk import AppServerClosedError, AppServerTimeoutError, CodexAppServerError, CodexError
from codex_sdk._core.framing import LineFramer
from codex_sdk._core.jsonrpc import Request
from codex_sdk._io.transport import Transport
from codex_sdk._runtime.peer import Peer, connected_peer
from codex_sdk.testing import ClientRequest, ErrorReply, FakeAppServer

INITIALIZE = {"clientInfo": {"name": "tester", "version": "7"}}


class RawClient:
    """A client that says what it is told to, and nothing by itself."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._framer = LineFramer(10_000_000)
        self._lines: list[bytes] = []

    async def say(self, **message: Any) -> None:
        with anyio.fail_after(10):
            await self.transport.send(json.dumps(message).encode() + b"\n")

    async def hear(self) -> Any:
        with anyio.fail_after(10):
            while not self._lines:
                self._lines += self._framer.feed(await self.transport.receive())
        return json.loads(self._lines.pop(0))

    async def ask(self, method: str, request_id: int = 1, **params: Any) -> Any:
        await self.say(id=request_id, method=method, params=params)
        return await self.hear()


@asynccontextmanager
async def connected(server: FakeAppServer) -> AsyncIterator[RawClient]:
    async with server.connect() as transport:
        yield RawClient(transport)


@asynccontextmanager
async def peer_of(server: FakeAppServer) -> AsyncIterator[Peer]:
    """Connect the product's own end."""

    async def answer(request: Request, _: object) -> Any:
        if request.method == "fail":
            raise CodexAppServerError(-5, "no", {"why": "so"})
        return {"echo": request.params}

    async with (
        server.connect() as transport,
        connected_peer(transport, on_request=answer, max_line_bytes=1_000_000) as peer,
    ):
        yield peer


async def test_an_expected_request_is_returned_and_answered() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        await client.say(id=5, method="thread/start", params={"cwd": "/w", "model": "m"})
        request = await server.expect("thread/start", {"cwd": "/w"})
        assert (request.id, request.method) == (5, "thread/start")
        assert request.params == {"cwd": "/w", "model": "m"}
        await request.reply({"thread": {"id": "t"}})
        assert await client.hear() == {"id": 5, "result": {"thread": {"id": "t"}}}


async def test_an_expectation_may_come_before_the_request_and_hold_the_reply() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: server.expect("a", reply={"one": 1}))
            await anyio.wait_all_tasks_blocked()
            assert await client.ask("a") == {"id": 1, "result": {"one": 1}}


async def test_replies_come_out_of_order_late_twice_and_as_errors() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        for number in (1, 2):
            await client.say(id=number, method="m", params={"number": number})
        second = await server.expect("m", {"number": 2})
        first = await server.expect("m")
        await second.fail("busy", code=-32001, data={"retry": True})
        await first.reply("x")
        await first.reply("x")
        error = {"code": -32001, "message": "busy", "data": {"retry": True}}
        assert await client.hear() == {"id": 2, "error": error}
        assert [await client.hear(), await client.hear()] == [{"id": 1, "result": "x"}] * 2


@pytest.mark.parametrize(
    ("expected", "actual", "fits"),
    [
        ({}, {"a": 1}, True),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": 1}]}, False),
        ({"a": None}, {}, False),
        ({"a": 1}, {"a": 2}, False),
        ({"a": {}}, {"a": 2}, False),
    ],
)
async def test_params_are_compared_by_what_is_expected_of_them(
    expected: Any, actual: Any, fits: bool
) -> None:
    async with FakeAppServer() as server, connected(server) as client:
        await client.say(id=1, method="m", params=actual)
        if not fits:
            with pytest.raises(AssertionError, match="the request m"):
                await server.expect("m", expected, within=0.01)
        await server.expect("m", expected if fits else actual)


async def test_an_unmet_expectation_tells_what_came_instead() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        await client.say(id=1, method="thread/list", params={"limit": 3})
        await client.say(method="bye")
        with pytest.raises(AssertionError) as caught:
            await server.expect("thread/start", {"cwd": "/w"}, within=0.01)
        assert str(caught.value) == (
            'the request thread/start {"cwd": "/w"} did not come within 0.01 seconds; '
            'what came and was not expected: thread/list {"limit": 3}, bye'
        )
        await server.expect("thread/list")
        with pytest.raises(AssertionError, match="the notification thread/list did not come"):
            await server.expect_notification("thread/list", within=0.01)
        assert (await server.expect_notification("bye")).params == {}


async def test_an_expectation_that_was_given_up_takes_nothing() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        with pytest.raises(AssertionError, match="did not come"):
            await server.expect("a", within=0.01)
        await client.say(id=1, method="a")
        await server.expect("a")


async def test_an_expectation_takes_one_request_of_several_that_come_together() -> None:
    numbers: list[Any] = []

    async def script(server: FakeAppServer) -> None:
        numbers.append((await server.expect("a")).id)
        numbers.append((await server.expect("a")).id)

    async with FakeAppServer(script) as server, connected(server) as client:
        await client.transport.send(b'{"id": 1, "method": "a"}\n{"id": 2, "method": "a"}\n')
    assert numbers == [1, 2]


async def test_what_nobody_expected_fails_the_test_and_names_all_of_it() -> None:
    with pytest.raises(AssertionError) as caught:
        async with FakeAppServer() as server, connected(server) as client:
            await client.say(id=1, method="a", params={"x": 1})
            await client.say(method="b")
            await client.transport.send(b"no json\n")
            await client.say(id=99, result={})
    assert str(caught.value).startswith("the client sent what was not expected:\n")
    for part in (
        'a {"x": 1}',
        "\n  b",
        "b'no json'",
        "an answer to nothing that was asked: {'id': 99",
    ):
        assert part in str(caught.value)


async def test_an_unexpected_request_is_refused_in_time_so_that_the_client_does_not_hang() -> None:
    with pytest.raises(AssertionError, match="not expected:\n  a"):
        async with FakeAppServer(timeout=0.05) as server, connected(server) as client:
            assert (await client.ask("a"))["error"]["message"] == "a is not expected by the test"


async def test_an_unexpected_request_is_refused_at_once_when_the_script_has_ended() -> None:
    async def script(server: FakeAppServer) -> None:
        await server.expect("a", reply=1)

    with pytest.raises(AssertionError, match="not expected:\n  b") as caught:
        async with FakeAppServer(script, timeout=300) as server, peer_of(server) as peer:
            assert await peer.request("a") == 1
            await peer.request("b")
    assert isinstance(caught.value.__cause__, CodexAppServerError)


async def test_a_script_that_fails_hangs_up_and_its_error_is_raised() -> None:
    async def script(server: FakeAppServer) -> None:
        await server.expect("a")
        raise LookupError("mine")

    with pytest.raises(LookupError, match=r"^'?mine'?$") as caught:
        async with FakeAppServer(script) as server, peer_of(server) as peer:
            with anyio.fail_after(10):
                await peer.request("a")
    assert isinstance(caught.value.__cause__, AppServerClosedError)


async def test_an_expectation_of_the_script_fails_at_once_when_the_client_has_left() -> None:
    async def script(server: FakeAppServer) -> None:
        await server.expect("a", reply={})
        await server.expect("b")

    with pytest.raises(AssertionError, match="the request b did not come before the client left"):
        with anyio.fail_after(20):
            async with FakeAppServer(script, timeout=300) as server, connected(server) as client:
                await client.ask("a")


async def test_leaving_waits_for_the_end_of_the_script() -> None:
    ended = False

    async def script(server: FakeAppServer) -> None:
        nonlocal ended
        await server.expect_notification("bye")
        await anyio.wait_all_tasks_blocked()
        ended = True

    async with FakeAppServer(script) as server, connected(server) as client:
        await client.say(method="bye")
    assert ended


async def test_a_script_that_does_not_end_fails_the_test() -> None:
    with pytest.raises(AssertionError, match=r"the script has not ended within 0\.05 seconds"):
        async with FakeAppServer(lambda _: anyio.sleep_forever(), timeout=0.05):
            pass


async def test_an_error_of_the_test_itself_is_not_hidden() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with FakeAppServer() as server, connected(server) as client:
            await client.say(id=1, method="a")
            raise KeyError("mine")


async def test_what_is_expected_in_no_order_is_answered_by_values_and_functions() -> None:
    gate = anyio.Event()

    async def slow(request: ClientRequest) -> Any:
        await gate.wait()
        return ErrorReply("slow", data=request.params["n"])

    async with FakeAppServer() as server, connected(server) as client:
        server.on("value", {"v": 1})
        server.on("error", ErrorReply("no", -1))
        server.on("double", lambda request: request.params["n"] * 2)
        server.on("slow", slow)
        server.on("heard")
        await client.say(method="heard")
        await client.say(id=9, method="slow", params={"n": 5})
        assert await client.ask("value") == {"id": 1, "result": {"v": 1}}
        assert await client.ask("error") == {"id": 1, "error": {"code": -1, "message": "no"}}
        assert await client.ask("double", n=4) == {"id": 1, "result": 8}
        gate.set()
        error = {"code": -32600, "message": "slow", "data": 5}
        assert await client.hear() == {"id": 9, "error": error}
        assert [request.method for request in server.requests] == [
            "slow",
            "value",
            "error",
            "double",
        ]
        assert [told.method for told in server.notifications] == ["heard"]


async def test_an_expectation_that_waits_comes_before_the_standing_reply() -> None:
    async def script(server: FakeAppServer) -> None:
        await server.expect("initialize", reply={"userAgent": "mine"})

    async with FakeAppServer(script) as server, connected(server) as client:
        assert (await client.ask("initialize"))["result"] == {"userAgent": "mine"}
        assert "0.163.0" in (await client.ask("initialize", **INITIALIZE))["result"]["userAgent"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_exception_of_a_function_is_an_error_for_the_client_and_raised(
    asynchronous: bool,
) -> None:
    def broken(_: ClientRequest) -> Any:
        raise LookupError("mine")

    async def broken_later(_: ClientRequest) -> Any:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        async with FakeAppServer() as server, connected(server) as client:
            server.on("a", broken_later if asynchronous else broken)
            error = (await client.ask("a"))["error"]
            assert error == {"code": -32603, "message": "LookupError: mine"}


async def test_the_handshake_is_that_of_the_version() -> None:
    async with FakeAppServer(version="0.169.0") as server, connected(server) as client:
        result = (await client.ask("initialize", **INITIALIZE))["result"]
        await client.say(method="initialized")
    assert set(result) == {"userAgent", "codexHome", "platformFamily", "platformOs"}
    assert re.match(r"tester/0\.169\.0 \(.*\) .* \(tester; 7\)$", result["userAgent"])

    async with FakeAppServer(version="0.80.0") as server, connected(server) as client:
        result = (await client.ask("initialize", **INITIALIZE))["result"]
    assert set(result) == {"userAgent"}
    assert result["userAgent"].startswith("codex_cli_rs/0.80.0 (")

    async with FakeAppServer(user_agent="me/1") as server, connected(server) as client:
        assert (await client.ask("initialize"))["result"]["userAgent"] == "me/1"


async def test_the_client_is_told_and_asked() -> None:
    async with FakeAppServer() as server, peer_of(server) as peer:
        await server.notify("turn/started", {"x": "ü"})
        notification = await peer.notifications.receive()
        assert (notification.method, notification.params) == ("turn/started", {"x": "ü"})
        assert await server.ask("item/tool/call", {"a": 1}) == {"echo": {"a": 1}}
        with pytest.raises(CodexAppServerError) as caught:
            await server.ask("fail")
        error = caught.value
        assert (error.code, error.message, error.data) == (-5, "no", {"why": "so"})


async def test_questions_may_be_open_at_the_same_time() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        one = await server.begin_asking("a", {"n": 1})
        two = await server.begin_asking("b", request_id="two")
        assert await client.hear() == {"id": 0, "method": "a", "params": {"n": 1}}
        assert await client.hear() == {"id": "two", "method": "b", "params": {}}
        await client.say(id="two", result="B")
        assert await two.answer() == "B"
        assert two.answered
        assert not one.answered
        with pytest.raises(
            AssertionError, match=r"a was asked of the client: 0\.01 seconds passed"
        ):
            await one.answer(within=0.01)
        await client.say(id=0, result="A")
        assert await one.answer() == "A"


async def test_a_second_answer_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="an answer to nothing that was asked"):
        async with FakeAppServer() as server, connected(server) as client:
            await server.begin_asking("a")
            await client.say(id=0, result=1)
            await client.say(id=0, result=1)


async def test_a_question_ends_when_the_client_leaves() -> None:
    async with FakeAppServer(timeout=300) as server:
        async with connected(server):
            question = await server.begin_asking("a")
        with pytest.raises(AssertionError, match="the client has gone"), anyio.fail_after(20):
            await question.answer()


async def test_a_question_is_for_the_client_that_was_there() -> None:
    with pytest.raises(AssertionError, match="an answer to nothing that was asked"):
        async with FakeAppServer() as server:
            async with connected(server):
                await server.begin_asking("a")
            async with connected(server) as client:
                await client.say(id=0, result="A")


@pytest.mark.parametrize(
    ("exit_code", "stderr", "how"),
    [
        (0, "", "the app-server exited with status 0"),
        (3, "disk full", "the app-server exited with status 3"),
        (-9, "", "the app-server was ended by SIGKILL"),
        (None, "", "the app-server has closed the connection"),
    ],
)
async def test_hanging_up_looks_like_the_end_of_a_process(
    exit_code: int | None, stderr: str, how: str
) -> None:
    async with FakeAppServer() as server, connected(server) as client:
        await server.notify("last")
        server.hang_up(exit_code=exit_code, stderr=stderr)
        assert (await client.hear())["method"] == "last"
        with pytest.raises(anyio.EndOfStream):
            await client.transport.receive()
        with pytest.raises(anyio.BrokenResourceError):
            await client.say(method="x")
        farewell = await client.transport.farewell()
        assert (farewell.exit_code, farewell.stderr, farewell.how) == (exit_code, stderr, how)
        server.hang_up(exit_code=99)
        assert await client.transport.farewell() == farewell


async def test_a_connection_can_break() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        server.hang_up(broken=True)
        with pytest.raises(anyio.BrokenResourceError):
            await client.transport.receive()


async def test_hanging_up_wakes_who_waits_for_it() -> None:
    async with FakeAppServer() as server, peer_of(server) as peer:
        async with anyio.create_task_group() as group:

            async def die() -> None:
                await server.expect("a")
                server.hang_up(exit_code=1, stderr="oh dear")

            group.start_soon(die)
            with pytest.raises(AppServerClosedError, match="status 1: oh dear") as caught:
                await peer.request("a")
        assert caught.value.exit_code == 1


async def test_a_silent_server_reads_nothing_until_it_wakes_up() -> None:
    async with FakeAppServer() as server, peer_of(server) as peer:
        server.on("a", 1)
        server.go_silent()
        with pytest.raises(AppServerTimeoutError):
            await peer.request("a", timeout=0.05)
        assert server.requests == ()
        async with anyio.create_task_group() as group:
            results: list[Any] = []

            async def ask() -> None:
                results.append(await peer.request("a", {"text": "x" * 10_000}))

            for _ in range(20):
                group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert results == []
            server.wake_up()
        assert results == [1] * 20
        assert len(server.requests) == 21


async def test_a_server_that_wakes_up_reads_what_was_sent_before() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        server.go_silent()
        await client.say(id=1, method="a")
        server.wake_up()
        assert [request.method for request in server.requests] == ["a"]
        await server.expect("a")


async def test_a_silent_server_takes_as_much_as_a_pipe_holds() -> None:
    async with FakeAppServer() as server, connected(server) as client:
        server.go_silent()
        sent = 0
        with anyio.move_on_after(1.0):
            while sent < 1000:
                await client.say(method="x", params={"text": "x" * 10_000})
                sent += 1
        assert 6 <= sent <= 7
        server.hang_up()
        with pytest.raises(anyio.BrokenResourceError):
            await client.say(method="x")


async def test_a_client_that_does_not_read_is_found_out() -> None:
    async with FakeAppServer(timeout=0.05) as server, connected(server):
        with pytest.raises(AssertionError, match=r"the client has not read for 0\.05 seconds"):
            for _ in range(1000):
                await server.notify("x")


async def test_a_server_without_a_client_waits_for_one_but_not_for_ever() -> None:
    async with FakeAppServer(timeout=0.05) as server:
        with pytest.raises(AssertionError, match=r"no client came within 0\.05 seconds"):
            await server.notify("x")


async def test_what_is_said_before_the_client_comes_is_said_when_it_comes() -> None:
    async def script(server: FakeAppServer) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(server.notify, "one")
            group.start_soon(server.notify, "two")

    async with FakeAppServer(script) as server:
        await anyio.wait_all_tasks_blocked()
        async with connected(server) as client:
            heard = {(await client.hear())["method"] for _ in range(2)}
    assert heard == {"one", "two"}


async def test_a_client_can_connect_again() -> None:
    async with FakeAppServer() as server:
        for number in (1, 2):
            async with connected(server) as client:
                server.on("n", number)
                assert (await client.ask("n"))["result"] == number
                with pytest.raises(CodexError, match="one at a time"):
                    async with server.connect():
                        pass
        async with connected(server):
            server.hang_up()
            async with connected(server) as client:
                assert (await client.ask("n"))["result"] == 2
        assert server.connections == 4


async def test_a_late_reply_to_a_client_that_has_left_goes_nowhere() -> None:
    async with FakeAppServer() as server:
        async with connected(server) as client:
            await client.say(id=1, method="a")
            request = await server.expect("a")
        async with connected(server) as client:
            await request.reply("late")
            server.on("b", "B")
            assert await client.ask("b") == {"id": 1, "result": "B"}


async def test_the_server_has_to_be_entered_and_once_only() -> None:
    server = FakeAppServer()
    with pytest.raises(CodexError, match="not running"):
        async with server.connect():
            pass
    async with server:
        pass
    with pytest.raises(CodexError, match="not running"):
        async with server.connect():
            pass
    with pytest.raises(CodexError, match="entered once"):
        async with server:
            pass


async def test_bytes_are_sent_as_they_are() -> None:
    async with FakeAppServer() as server, peer_of(server) as peer:
        await server.send_raw(b'{"method": "a"')
        await server.send_raw(b"}\nno json\n[]\n\xff\n")
        await server.notify("b")
        assert [(await peer.notifications.receive()).method for _ in range(2)] == ["a", "b"]
        assert peer.statistics.malformed_lines == 3


@given(chunk_size=st.integers(1, 40), texts=st.lists(st.text(max_size=20), max_size=5))
async def test_messages_arrive_however_they_are_cut(chunk_size: int, texts: list[str]) -> None:
    async with FakeAppServer(chunk_size=chunk_size) as server, peer_of(server) as peer:
        async with anyio.create_task_group() as group:

            async def tell() -> None:
                for text in texts:
                    await server.notify("t", {"text": text})

            group.start_soon(tell)
            server.on("a", {"texts": texts})
            assert await peer.request("a") == {"texts": texts}
            heard = [(await peer.notifications.receive()).params["text"] for _ in texts]
        assert heard == texts


async def test_no_chunk_is_larger_than_asked_for() -> None:
    async with FakeAppServer(chunk_size=3) as server, connected(server) as client:
        await server.notify("a")
        assert len(await client.transport.receive()) == 3


async def test_cancelling_the_test_leaves_nothing() -> None:
    with anyio.CancelScope() as scope:
        async with FakeAppServer(lambda _: anyio.sleep_forever()) as server, connected(server):
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
