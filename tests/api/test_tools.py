"""Python functions as tools, and an app-server that calls them as the test says."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import anyio
import attrs
import pydantic
import pytest

from codex_sdk import AppServerOptions, CodexError, CodexParseError, CodexWarning
from codex_sdk.app_server import AppServerClient
from codex_sdk.testing import ErrorReply, FakeAppServer
from codex_sdk.tools import Tool, ToolImage, Tools, ToolSet, tool

THREAD = "t-1"
BOUND = 10.0


@tool
def weather(city: Annotated[str, "Where."], days: int = 3) -> str:
    """Forecast the weather.

    For some days.
    """
    return f"{city}: {days} days"


class Atlas:
    def capital(self, country: str) -> str:
        """Name a capital."""
        return country.upper()

    async def __call__(self, city: str) -> str:
        """Find a city."""
        return city.title()


def refusal(make: Callable[[], object]) -> str:
    with pytest.raises(CodexError) as caught:
        make()
    assert type(caught.value) is CodexError
    return str(caught.value)


# What a tool is


def test_a_tool_is_still_the_function() -> None:
    assert weather("Oslo", days=1) == "Oslo: 1 days"
    assert inspect.signature(weather) == inspect.signature(weather.function)
    assert vars(weather)["__name__"] == "weather"
    assert weather.__doc__ == weather.function.__doc__
    assert "weather" in repr(weather)


def test_a_tool_tells_its_name_its_docstring_and_its_parameters() -> None:
    assert weather.to_dict() == {
        "type": "function",
        "name": "weather",
        "description": "Forecast the weather.\n\nFor some days.",
        "inputSchema": weather.input_schema,
    }
    assert weather.input_schema["properties"]["city"]["description"] == "Where."
    assert weather.read_arguments({"city": "Oslo"}) == {"city": "Oslo"}
    with pytest.raises(CodexParseError) as caught:
        weather.read_arguments({"city": "Oslo", "days": "two"})
    assert caught.value.path == "$.days"


def test_name_and_description_can_be_given() -> None:
    @tool(name="look-up", description="Look it up.")
    def function(term: str) -> str:
        """Do something."""
        return term

    assert (function.name, function.description) == ("look-up", "Look it up.")
    renamed = tool(function, name="look_up")
    assert (renamed.name, renamed.description) == ("look_up", "Do something.")
    assert renamed("x") == "x"
    assert not renamed.is_async
    assert tool(tool(nothing), name="something").is_async


def test_attributes_of_a_function_do_not_get_into_its_tool() -> None:
    def function() -> None: ...

    function.name = "x"  # type: ignore[attr-defined]
    assert tool(function).name == "function"


async def nothing() -> None: ...


@pytest.mark.parametrize(
    ("function", "name", "description", "is_async"),
    [
        (Atlas().capital, "capital", "Name a capital.", False),
        (functools.partial(weather.function, days=1), "weather", weather.description, False),
        (staticmethod(nothing), "nothing", "", True),
        (functools.partial(nothing), "nothing", "", True),
    ],
)
def test_whatever_can_be_called_by_name_can_be_a_tool(
    function: Any, name: str, description: str, is_async: bool
) -> None:
    made: Tool[..., Any] = tool(function)
    assert (made.name, made.description, made.is_async) == (name, description, is_async)


def test_an_object_that_can_be_called_needs_a_name() -> None:
    assert "give it one, tool(…, name=…)" in refusal(lambda: tool(Atlas()))
    made = tool(Atlas(), name="find")
    assert (made.description, made.is_async) == ("Find a city.", True)


@pytest.mark.parametrize("name", ["", "a b", "é", "a.b", "x" * 129, "a\n"])
def test_a_name_that_codex_refuses_is_refused_at_once(name: str) -> None:
    message = refusal(lambda: tool(weather, name=name))
    assert repr(name) in message
    assert "tool(name=…)" in message


def test_names_of_mcp_tools_are_refused() -> None:
    assert "MCP servers" in refusal(lambda: tool(weather, name="mcp__x"))
    assert tool(weather, name="x" * 128).name == "x" * 128


def test_what_is_no_function_with_one_result_is_refused() -> None:
    def several() -> Iterator[int]:
        yield 1

    async def many() -> AsyncIterator[int]:
        yield 1

    for function in (several, many):
        assert "return a list" in refusal(functools.partial(tool, function))
    assert "not of 3" in refusal(lambda: tool(3, name="three"))  # type: ignore[call-overload]
    assert "'<lambda>' cannot be the name" in refusal(lambda: tool(lambda: None))


def test_a_schema_of_which_codex_would_drop_parts_is_warned_of() -> None:
    def much(text: Annotated[str, "word " * 1000]) -> None: ...

    with pytest.warns(CodexWarning, match=r"the tool much is 51\d\d bytes long") as caught:
        tool(much)
    assert caught[0].filename == __file__
    with pytest.warns(CodexWarning, match="the tool other is") as caught:
        tool(name="other")(much)
    assert caught[0].filename == __file__


def test_a_set_holds_tools_of_different_names() -> None:
    tools = ToolSet([weather, tool(Atlas().capital)])
    assert [*tools.tools] == ["weather", "capital"]
    assert [one.name for one in tools] == ["weather", "capital"]
    assert len(tools) == 2
    assert tools.to_list()[0] == weather.to_dict()
    assert ToolSet.of(tools) is tools
    assert "weather, capital" in repr(tools)
    assert "two tools are called weather" in refusal(lambda: ToolSet([weather, weather]))
    assert "max_concurrent_calls" in refusal(lambda: ToolSet([], max_concurrent_calls=0))
    plain: Any = weather.function
    assert "decorate it with @tool" in refusal(lambda: ToolSet([plain]))


def test_an_image_is_its_url() -> None:
    image = ToolImage.from_bytes(b"\x00\xff", "image/gif")
    assert image == ToolImage("data:image/gif;base64,AP8=")
    assert len(repr(ToolImage.from_bytes(bytes(1000)))) < 100


# Threads with tools


@asynccontextmanager
async def connected(
    *, version: str = "0.163.0", experimental: bool = True
) -> AsyncIterator[tuple[FakeAppServer, AppServerClient]]:
    options = AppServerOptions(experimental_api_enabled=experimental)
    with anyio.fail_after(3 * BOUND):
        async with (
            FakeAppServer(version=version, timeout=BOUND) as server,
            AppServerClient(options, connect=server.connect) as client,
        ):
            for method in ("thread/start", "thread/resume"):
                server.on(method, {"thread": {"id": THREAD}})
            yield server, client


@asynccontextmanager
async def calling(tools: Tools) -> AsyncIterator[FakeAppServer]:
    """Start a thread with *tools*."""
    async with connected() as (server, client):
        await client.thread_start(tools=tools)
        yield server


def params_of(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    call = {"threadId": THREAD, "turnId": "u-1", "callId": "c", "namespace": None}
    return {**call, "tool": name, "arguments": arguments, **more}


async def call(server: FakeAppServer, name: str, arguments: Any = None, **more: Any) -> Any:
    return await server.ask("item/tool/call", params_of(name, arguments or {}, **more))


async def text_of(server: FakeAppServer, name: str, arguments: Any = None) -> str:
    """Return the text of a result."""
    result = await call(server, name, arguments)
    assert result["success"] is True
    [item] = result["contentItems"]
    assert item.keys() == {"type", "text"}
    return str(item["text"])


async def failure_of(server: FakeAppServer, name: str, arguments: Any = None, **more: Any) -> str:
    result = await call(server, name, arguments, **more)
    assert result["success"] is False
    [item] = result["contentItems"]
    return str(item["text"])


async def test_a_thread_is_started_with_its_tools() -> None:
    async with connected() as (server, client):
        await client.thread_start(cwd=".", tools=[weather])
        assert server.requests[-1].params["dynamicTools"] == [weather.to_dict()]
        assert await text_of(server, "weather", {"city": "Oslo"}) == "Oslo: 3 days"


async def test_tools_are_refused_where_codex_would_not_call_them() -> None:
    async with connected(experimental=False) as (server, client):
        for ask in (client.thread_start, functools.partial(client.thread_resume, THREAD)):
            with pytest.raises(CodexError, match="experimental_api_enabled=True"):
                await ask(tools=[weather])
        assert [request.method for request in server.requests] == ["initialize"]
    async with connected(version="0.80.0") as (server, client):
        with pytest.raises(CodexError, match=r"0\.80\.0, cannot call functions"):
            await client.thread_fork(THREAD, tools=[weather])
        assert [request.method for request in server.requests] == ["initialize"]


async def test_what_is_no_tool_is_refused_before_anything_is_sent() -> None:
    async with connected() as (server, client):
        plain: Any = weather.function
        with pytest.raises(CodexError, match="decorate it with @tool"):
            await client.thread_start(tools=[plain])
        with pytest.raises(CodexError, match="either tools or dynamic_tools"):
            await client.thread_start(tools=[weather], dynamic_tools=[])
        assert [request.method for request in server.requests] == ["initialize"]


async def test_a_thread_that_is_not_resumed_keeps_the_functions_that_it_had() -> None:
    @tool(name="weather")
    def other(city: str) -> str:
        return "other"

    async with connected() as (server, client):
        await client.thread_start(tools=[weather])
        server.on("thread/resume", ErrorReply("no"))
        with pytest.raises(CodexError):
            await client.thread_resume(THREAD, tools=[other])
        assert await text_of(server, "weather", {"city": "Oslo"}) == "Oslo: 3 days"
        server.on("thread/resume", {"thread": {"id": THREAD}})
        await client.thread_resume(THREAD)
        assert await text_of(server, "weather", {"city": "Oslo"}) == "Oslo: 3 days"
        await client.thread_resume(THREAD, tools=[other])
        assert await text_of(server, "weather", {"city": "Oslo"}) == "other"


async def test_functions_are_known_before_the_server_says_that_the_thread_is_resumed() -> None:
    async with connected() as (server, client):

        async def reply(_: Any) -> Any:
            assert await text_of(server, "weather", {"city": "Oslo"}) == "Oslo: 3 days"
            return {"thread": {"id": THREAD}}

        server.on("thread/resume", reply)
        await client.thread_resume(THREAD, tools=[weather])
        assert "dynamicTools" not in server.requests[-1].params


async def test_a_fork_has_the_functions_of_its_thread_unless_it_gets_others() -> None:
    @tool(name="weather")
    def other(city: str) -> str:
        return "other"

    async with connected() as (server, client):
        await client.thread_start(tools=[weather])
        for fork, tools in (("t-2", None), ("t-3", [other]), ("t-4", [])):
            server.on("thread/fork", {"thread": {"id": fork}})
            await client.thread_fork(THREAD, tools=tools)
            assert "dynamicTools" not in server.requests[-1].params
        texts = [
            (await call(server, "weather", {"city": "Oslo"}, threadId=thread))["contentItems"]
            for thread in ("t-2", "t-3", "t-4")
        ]
        assert [text["text"] for [text] in texts] == [
            "Oslo: 3 days",
            "other",
            "there is no tool weather; there are: ",
        ]


async def test_calls_of_other_threads_and_other_requests_go_to_whoever_answers_them() -> None:
    async with connected() as (server, client):
        await client.thread_start(tools=[weather])
        asked = await server.begin_asking("item/tool/call", params_of("x", {}, threadId="t-9"))
        request = await client.next_request()
        assert request.params["threadId"] == "t-9"
        await client.respond(request.id, {"contentItems": [], "success": True})
        assert await asked.answer() == {"contentItems": [], "success": True}
        asked = await server.begin_asking("currentTime/read", {"threadId": THREAD})
        request = await client.next_request()
        await client.respond(request.id, {"currentTimeAt": 1})
        assert await asked.answer() == {"currentTimeAt": 1}


# Calls


async def test_a_tool_that_is_not_there_is_answered_with_those_that_are() -> None:
    async with calling([weather, tool(Atlas().capital)]) as server:
        known = "there are: weather, capital"
        assert await failure_of(server, "climate") == f"there is no tool climate; {known}"
        message = await failure_of(server, "weather", {"city": "Oslo"}, namespace="earth")
        assert message == f"there is no tool earth.weather; {known}"


async def test_arguments_that_do_not_fit_are_told_the_model_and_nothing_is_called() -> None:
    calls = []

    @tool
    def note(number: int) -> None:
        calls.append(number)

    async with calling([note]) as server:
        message = "invalid arguments at $.number: Expected `int`, got `str`"
        assert await failure_of(server, "note", {"number": "1"}) == message
        assert await failure_of(server, "note", ["number"]) == (
            "invalid arguments at $: Expected `object`, got `array`"
        )
        assert calls == []
        assert await text_of(server, "note", {"number": 1}) == ""
        assert calls == [1]


@attrs.frozen
class Point:
    where: Path
    x: int


class Model(pydantic.BaseModel):
    number: int
    when: Path = Path("a")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("plain text", "plain text"),
        ("", ""),
        (None, ""),
        (True, "true"),
        (1.5, "1.5"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (["a", "b"], '["a","b"]'),
        (Point(Path("a/b"), 1), '{"where":"a/b","x":1}'),
        ([Model(number=1)], '[{"number":1,"when":"a"}]'),
        ("half a pair: \ud83d", "half a pair: ?"),
    ],
    ids=repr,
)
async def test_the_result_is_a_text_or_json(result: Any, text: str) -> None:
    @tool
    async def give() -> Any:
        return result

    async with calling([give]) as server:
        assert await text_of(server, "give") == text


async def test_images_are_shown_in_their_place() -> None:
    image = ToolImage.from_bytes(b"\x00")
    shown = {"type": "inputImage", "imageUrl": "data:image/png;base64,AA=="}

    @tool
    def one() -> ToolImage:
        return image

    @tool
    def several() -> tuple[Any, ...]:
        return "before", image, {"a": 1}

    async with calling([one, several]) as server:
        assert await call(server, "one") == {"contentItems": [shown], "success": True}
        assert (await call(server, "several"))["contentItems"] == [
            {"type": "inputText", "text": "before"},
            shown,
            {"type": "inputText", "text": '{"a":1}'},
        ]


async def fails_twice() -> None:
    async def fail(message: str) -> None:
        raise ValueError(message)

    async with anyio.create_task_group() as group:
        await group.start(functools.partial(_fail_at_once, fail))


async def _fail_at_once(fail: Any, *, task_status: Any) -> None:
    await fail("in a task group")


class Unprintable:
    pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: Unprintable(), "TypeError: the tool returned <"),
        (lambda: "\ud83d".encode(), "UnicodeEncodeError: "),
        (fails_twice, "ValueError: in a task group"),
    ],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_what_a_function_raises_is_told_the_model_and_logged(
    make: Callable[[], Any], message: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def plain() -> Any:
        return make()

    async def coroutine() -> Any:
        result = make()
        return await result if inspect.isawaitable(result) else result

    function: Any = plain if kind == "sync" else coroutine
    async with calling([tool(function, name="fail"), weather]) as server:
        told = await failure_of(server, "fail")
        assert told.startswith(message)
        assert "Traceback" not in told
        assert await text_of(server, "weather", {"city": "Oslo"}) == "Oslo: 3 days"
    [record] = [record for record in caplog.records if record.name == "codex_sdk.tools"]
    assert record.levelno == logging.ERROR
    assert "fail" in record.getMessage()
    assert record.exc_info is not None


variable = ContextVar("variable", default="unset")


async def test_a_plain_function_runs_in_a_thread_with_the_context() -> None:
    threads = []

    @tool
    def where() -> str:
        threads.append(threading.current_thread())
        return variable.get()

    variable.set("set")
    async with calling([where]) as server:
        assert await text_of(server, "where") == "set"
    [thread] = threads
    assert thread is not threading.main_thread()
    assert thread.daemon


async def test_what_a_plain_function_gives_to_await_is_awaited_in_the_loop() -> None:
    @tool
    def later() -> Any:
        async def answer() -> bool:
            await anyio.lowlevel.checkpoint()
            return threading.current_thread() is threading.main_thread()

        return answer()

    async with calling([later]) as server:
        assert await text_of(server, "later") == "true"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_function_that_exits_the_program_does(kind: str, backend: str) -> None:
    def plain() -> None:
        raise SystemExit(3)

    async def coroutine() -> None:
        raise SystemExit(3)

    async def main() -> None:
        function: Any = plain if kind == "sync" else coroutine
        async with calling([tool(function, name="leave")]) as server:
            await server.begin_asking("item/tool/call", params_of("leave", {}))
            await anyio.sleep_forever()

    with pytest.raises(SystemExit, match="3"):
        anyio.run(main, backend=backend)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_function_that_awaits_what_was_cancelled_has_failed(anyio_backend: str) -> None:
    @tool
    async def wait() -> None:
        task = asyncio.ensure_future(asyncio.sleep(BOUND))
        task.cancel()
        await task

    async with calling([wait]) as server:
        assert await failure_of(server, "wait") == "CancelledError: "


async def test_the_end_of_the_turn_cancels_an_async_function(
    caplog: pytest.LogCaptureFixture,
) -> None:
    running, cancelled = anyio.Event(), anyio.Event()

    @tool
    async def wait() -> None:
        running.set()
        try:
            await anyio.sleep(2 * BOUND)
        except anyio.get_cancelled_exc_class():
            cancelled.set()
            raise

    async with calling([wait, weather]) as server:
        await server.begin_asking("item/tool/call", params_of("wait", {}))
        await running.wait()
        turn = {"id": "u-1", "items": [], "status": "interrupted"}
        await server.notify("turn/completed", {"threadId": THREAD, "turn": turn})
        await cancelled.wait()
        assert await text_of(server, "weather", {"city": "Oslo"}) == "Oslo: 3 days"
    assert [record for record in caplog.records if record.name == "codex_sdk.tools"] == []


async def test_closing_the_client_cancels_an_async_function_and_waits_for_no_thread() -> None:
    running, cancelled = anyio.Event(), anyio.Event()
    blocked, go_on = threading.Event(), threading.Event()

    @tool
    async def wait() -> None:
        running.set()
        try:
            await anyio.sleep(2 * BOUND)
        finally:
            cancelled.set()

    @tool
    def block() -> None:
        blocked.set()
        go_on.wait(2 * BOUND)

    try:
        async with calling([wait, block]) as server:
            await server.begin_asking("item/tool/call", params_of("wait", {}))
            await server.begin_asking("item/tool/call", params_of("block", {}))
            await running.wait()
            await anyio.to_thread.run_sync(blocked.wait, BOUND)
        assert cancelled.is_set()
        assert not go_on.is_set()
    finally:
        go_on.set()


async def test_no_more_calls_run_at_once_than_the_set_allows() -> None:
    running = most = 0
    release = anyio.Event()

    @tool
    async def hold() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1

    async with calling(ToolSet([hold, weather], max_concurrent_calls=3)) as server:
        asked = [
            await server.begin_asking("item/tool/call", params_of("hold", {})) for _ in "12345"
        ]
        asked.append(
            await server.begin_asking("item/tool/call", params_of("weather", {"city": "Oslo"}))
        )
        await anyio.wait_all_tasks_blocked()
        assert running == 3
        release.set()
        assert all([(await one.answer())["success"] for one in asked])
        assert most == 3


async def test_a_thread_that_runs_on_after_its_turn_still_counts() -> None:
    blocked, go_on = threading.Event(), threading.Event()

    @tool
    def block() -> None:
        blocked.set()
        go_on.wait(2 * BOUND)

    try:
        async with calling(ToolSet([block, weather], max_concurrent_calls=1)) as server:
            await server.begin_asking("item/tool/call", params_of("block", {}))
            await anyio.to_thread.run_sync(blocked.wait, BOUND)
            turn = {"id": "u-1", "items": [], "status": "interrupted"}
            await server.notify("turn/completed", {"threadId": THREAD, "turn": turn})
            params = params_of("weather", {"city": "Oslo"}, turnId="u-2")
            asked = await server.begin_asking("item/tool/call", params)
            with pytest.raises(AssertionError):
                await asked.answer(within=0.2)
            go_on.set()
            assert (await asked.answer())["success"]
    finally:
        go_on.set()


async def test_a_thread_that_cannot_be_had_is_told_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with calling(ToolSet([weather], max_concurrent_calls=1)) as server:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", fail)
            assert "cannot start a thread" in await failure_of(server, "weather", {"city": "Oslo"})
        assert await text_of(server, "weather", {"city": "Oslo"}) == "Oslo: 3 days"


async def test_a_set_is_shared_by_the_threads_of_a_connection() -> None:
    release = anyio.Event()
    running = 0

    @tool
    async def hold() -> None:
        nonlocal running
        running += 1
        await release.wait()

    tools = ToolSet([hold], max_concurrent_calls=1)
    async with connected() as (server, client):
        for thread in ("t-1", "t-2"):
            server.on("thread/start", {"thread": {"id": thread}})
            await client.thread_start(tools=tools)
        asked = [
            await server.begin_asking("item/tool/call", params_of("hold", {}, threadId=thread))
            for thread in ("t-1", "t-2")
        ]
        await anyio.wait_all_tasks_blocked()
        assert running == 1
        release.set()
        for one in asked:
            assert (await one.answer())["success"]


def test_a_tool_can_be_sent_as_json() -> None:
    assert json.loads(json.dumps(weather.to_dict())) == weather.to_dict()
