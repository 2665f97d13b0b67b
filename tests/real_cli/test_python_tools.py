"""Python functions that the real CLI calls, as a scripted model asks it to."""

from __future__ import annotations

import struct
import threading
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Optional

import anyio
import attrs
import pytest
from msgspec import Meta

from codex_sdk import (
    AbortController,
    AppServerOptions,
    CodexAbortError,
    CodexError,
    ThreadOptions,
    TurnOptions,
)
from codex_sdk._core.versions import PINNED
from codex_sdk.app_server.client import AppServerClient
from codex_sdk.testing import BlockingModelServer, FunctionCall, ModelServer, Reply
from codex_sdk.tools import Tool, ToolImage, ToolSet, tool

from .. import survivors
from .conftest import MakeCodex

TIME_LIMIT = 40
Connect = Callable[..., AbstractAsyncContextManager[AppServerClient]]


def png() -> bytes:
    """Return a file of one red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes([0, 255, 0, 0]))
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    return bytes.fromhex("89504e470d0a1a0a") + b"".join(chunks)


@pytest.fixture
def connect(connect_to_any: Connect, legacy: bool) -> Connect:
    """Return the function that connects to the CLI under test, if that can call functions."""
    if legacy:
        pytest.skip("0.80 cannot call functions of its client")
    return connect_to_any


@pytest.fixture
def connect_to_any(codex_cli: str, mark: str) -> Connect:
    """Return the function that connects to the CLI under test, with a model server."""

    @asynccontextmanager
    async def connect(
        server: ModelServer, *, experimental: bool = True
    ) -> AsyncGenerator[AppServerClient, None]:
        plain = server.codex_options()
        options = AppServerOptions(
            codex_path_override=codex_cli,
            base_url=plain.base_url,
            api_key=plain.api_key,
            env={**(plain.env or {}), survivors.NAME: mark},
            experimental_api_enabled=experimental,
        )
        with anyio.fail_after(TIME_LIMIT):
            async with AppServerClient(options) as client:
                yield client

    return connect


async def started(client: AppServerClient, workspace: Path, tools: Any) -> str:
    result = await client.thread_start(
        cwd=workspace, model="gpt-5-codex", sandbox="read-only", tools=tools
    )
    thread_id: str = result["thread"]["id"]
    return thread_id


async def run(client: AppServerClient, thread_id: str, text: str = "go") -> dict[str, Any]:
    """Run a turn; return it as it is at its end."""
    await client.turn_start(thread_id, text)
    return await ended(client, thread_id)


async def ended(client: AppServerClient, thread_id: str) -> dict[str, Any]:
    """Wait for the end of the only turn that runs; return the turn."""
    params = await next_completion(client)
    assert params["threadId"] == thread_id
    turn: dict[str, Any] = params["turn"]
    return turn


async def completed(client: AppServerClient) -> str:
    """Wait for the end of any turn; return its thread's id."""
    return str((await next_completion(client))["threadId"])


async def next_completion(client: AppServerClient) -> Mapping[str, Any]:
    async for notification in client.notifications():
        if notification.method == "turn/completed":
            return notification.params
    raise AssertionError("the connection ended")


def outputs(server: ModelServer) -> dict[str, str]:
    """Return what the model was told of its calls, in the last request."""
    return {output.call_id: output.text for output in server.requests[-1].function_outputs()}


@attrs.frozen
class Place:
    """Where the weather is."""

    city: Annotated[str, "The city."]
    country: str = "Norway"


async def test_a_function_is_called_with_what_the_model_gives(
    connect: Connect, workspace: Path
) -> None:
    calls = []

    @tool
    async def weather(
        place: Place, days: Annotated[int, Meta(ge=1)] = 3, *, unit: Optional[str] = None
    ) -> str:
        """Forecast the weather."""
        calls.append((place, days, unit))
        return f"sunny in {place.city}"

    arguments = {"place": {"city": "Oslo"}, "unit": "C"}
    call = FunctionCall("weather", arguments, call_id="call_1")
    async with ModelServer([call, "Sunny."]) as server, connect(server) as client:
        thread_id = await started(client, workspace, [weather])
        turn = await run(client, thread_id)
        assert turn["status"] == "completed"
        assert calls == [(Place("Oslo"), 3, "C")]
        assert outputs(server) == {"call_1": "sunny in Oslo"}
        assert offered(server, "weather") == {
            "type": "function",
            "name": "weather",
            "description": "Forecast the weather.",
            "strict": False,
            "parameters": weather.input_schema,
        }


def offered(server: ModelServer, name: str) -> Any:
    [found] = [one for _, one in server.requests[0].tools() if one.get("name") == name]
    return found


def takes_calls_together(client: AppServerClient) -> bool:
    """Say whether the CLI asks for the calls of one reply together; 0.163.0 waits for each answer."""
    return client.server_info.version != PINNED


async def test_calls_of_one_turn_that_come_together_run_at_the_same_time(
    connect: Connect, workspace: Path
) -> None:
    threads: list[int] = []

    @tool
    def meet(who: str) -> str:
        barrier.wait()
        threads.append(threading.get_ident())
        return f"met by {who}"

    calls = [FunctionCall("meet", {"who": who}, call_id=who) for who in ("a", "b")]
    async with ModelServer([Reply(*calls), "Both."]) as server, connect(server) as client:
        together = 2 if takes_calls_together(client) else 1
        barrier = threading.Barrier(together, timeout=TIME_LIMIT)
        thread_id = await started(client, workspace, [meet])
        assert (await run(client, thread_id))["status"] == "completed"
        assert outputs(server) == {"a": "met by a", "b": "met by b"}
        assert threading.get_ident() not in threads


async def test_functions_of_two_threads_run_at_the_same_time(
    connect: Connect, workspace: Path
) -> None:
    first, second = anyio.Event(), anyio.Event()

    @tool
    async def here() -> str:
        first.set()
        await second.wait()
        return "here"

    @tool
    async def there() -> str:
        second.set()
        await first.wait()
        return "there"

    script = {"one": [FunctionCall("here"), "A."], "two": [FunctionCall("there"), "B."]}
    async with ModelServer(script) as server, connect(server) as client:
        one = await started(client, workspace, [here])
        two = await started(client, workspace, [there])
        await client.turn_start(one, "one")
        await client.turn_start(two, "two")
        over = [await completed(client), await completed(client)]
        assert sorted(over) == sorted([one, two])
        told = {request.prompt: request.function_outputs() for request in server.requests}
        assert [told[name][0].text for name in ("one", "two")] == ["here", "there"]


async def test_what_goes_wrong_is_told_the_model_and_the_turn_goes_on(
    connect: Connect, workspace: Path
) -> None:
    @tool
    async def divide(a: int, b: int) -> float:
        return a / b

    def call(name: str, *, a: Any, b: Any) -> FunctionCall:
        return FunctionCall("divide", {"a": a, "b": b}, call_id=name)

    replies = [
        Reply(call("fails", a=1, b=0), call("invalid", a=1, b="two"), call("works", a=1, b=2)),
        "Done.",
    ]
    async with ModelServer(replies) as server, connect(server) as client:
        thread_id = await started(client, workspace, [divide])
        assert (await run(client, thread_id))["status"] == "completed"
        assert outputs(server) == {
            "fails": "ZeroDivisionError: division by zero",
            "invalid": "invalid arguments at $.b: Expected `int`, got `str`",
            "works": "0.5",
        }


async def test_the_model_sees_images_and_the_json_of_other_results(
    connect: Connect, workspace: Path
) -> None:
    @tool
    def picture() -> list[Any]:
        return ["a dot", ToolImage.from_bytes(png())]

    @tool
    def place() -> Place:
        return Place("Oslo")

    replies = [
        Reply(FunctionCall("picture", call_id="1"), FunctionCall("place", call_id="2")),
        "Seen.",
    ]
    async with ModelServer(replies) as server, connect(server) as client:
        thread_id = await started(client, workspace, [picture, place])
        assert (await run(client, thread_id))["status"] == "completed"
        [shown] = [
            item["output"]
            for item in server.requests[-1].items()
            if item.get("call_id") == "1" and item["type"] == "function_call_output"
        ]
        assert shown[0] == {"type": "input_text", "text": "a dot"}
        assert shown[1]["image_url"] == ToolImage.from_bytes(png()).url
        assert outputs(server)["2"] == '{"city":"Oslo","country":"Norway"}'


async def test_an_interrupted_turn_cancels_its_function(connect: Connect, workspace: Path) -> None:
    running, cancelled = anyio.Event(), anyio.Event()

    @tool
    async def wait() -> None:
        running.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    replies = [FunctionCall("wait"), "Next."]
    async with ModelServer(replies) as server, connect(server) as client:
        thread_id = await started(client, workspace, [wait])
        turn = await client.turn_start(thread_id, "go")
        await running.wait()
        await client.turn_interrupt(thread_id, turn["turn"]["id"])
        assert (await ended(client, thread_id))["status"] == "interrupted"
        await cancelled.wait()
        assert (await run(client, thread_id, "and now?"))["status"] == "completed"


async def test_an_interrupted_turn_does_not_wait_for_a_thread(
    connect: Connect, workspace: Path
) -> None:
    running, go_on = threading.Event(), threading.Event()
    finished = threading.Event()

    @tool
    def block() -> None:
        running.set()
        go_on.wait(TIME_LIMIT)
        finished.set()

    try:
        async with ModelServer([FunctionCall("block")]) as server, connect(server) as client:
            thread_id = await started(client, workspace, [block])
            turn = await client.turn_start(thread_id, "go")
            await anyio.to_thread.run_sync(running.wait, TIME_LIMIT)
            await client.turn_interrupt(thread_id, turn["turn"]["id"])
            assert (await ended(client, thread_id))["status"] == "interrupted"
        assert not finished.is_set()
    finally:
        go_on.set()
    assert finished.wait(TIME_LIMIT)


async def test_a_thread_resumed_in_another_process_calls_the_functions_that_it_is_resumed_with(
    connect: Connect, workspace: Path
) -> None:
    def made(answer: str) -> Tool[[], str]:
        @tool(name="who")
        def who() -> str:
            return answer

        return who

    call = FunctionCall("who")
    replies = [call, "A.", call, "B.", call, "C."]
    async with ModelServer(replies) as server:
        async with connect(server) as client:
            thread_id = await started(client, workspace, [made("first")])
            await run(client, thread_id)
            assert [*outputs(server).values()] == ["first"]
        async with connect(server) as client:
            await client.thread_resume(thread_id, tools=[made("second")])
            await run(client, thread_id, "again")
            assert [*outputs(server).values()] == ["first", "second"]
        async with connect(server) as client:
            await client.thread_resume(thread_id)
            await run(client, thread_id, "and again")
            assert [*outputs(server).values()] == ["first", "second", "this tool is not available"]


async def test_a_fork_has_the_functions_of_its_thread_or_others_of_their_names(
    connect: Connect, workspace: Path
) -> None:
    def made(answer: str) -> Tool[[], str]:
        @tool(name="who")
        def who() -> str:
            return answer

        return who

    call = FunctionCall("who")
    async with (
        ModelServer([call, "A.", call, "B.", call, "C."]) as server,
        connect(server) as client,
    ):
        thread_id = await started(client, workspace, [made("first")])
        await run(client, thread_id)
        for tools in (None, [made("second")]):
            forked = (await client.thread_fork(thread_id, tools=tools))["thread"]["id"]
            await run(client, forked)
            answers = [*outputs(server).values()]
            assert answers == ["first", "first" if tools is None else "second"]


async def test_a_tool_that_the_functions_lack_is_answered_with_those_that_there_are(
    connect: Connect, workspace: Path
) -> None:
    @tool
    def old() -> str:
        return "old"

    @tool
    def new() -> str:
        return "new"

    async with ModelServer(["Hi.", FunctionCall("old"), "Oh."]) as server:
        async with connect(server) as client:
            thread_id = await started(client, workspace, [old])
            await run(client, thread_id)
        async with connect(server) as client:
            await client.thread_resume(thread_id, tools=[new])
            await run(client, thread_id)
            assert [*outputs(server).values()] == ["there is no tool old; there are: new"]


async def test_more_calls_than_may_run_at_once_wait_their_turn(
    connect: Connect, workspace: Path
) -> None:
    running = 0
    most = 0

    @tool
    async def count() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(0.05)
        running -= 1

    calls = Reply(*(FunctionCall("count", call_id=str(number)) for number in range(6)))
    async with ModelServer([calls, "Done."]) as server, connect(server) as client:
        thread_id = await started(client, workspace, ToolSet([count], max_concurrent_calls=2))
        assert (await run(client, thread_id))["status"] == "completed"
        assert [*outputs(server).values()] == [""] * 6
        assert most == (2 if takes_calls_together(client) else 1)


async def test_tools_need_the_experimental_part_of_the_protocol(
    connect: Connect, workspace: Path
) -> None:
    @tool
    def now() -> float:
        return time.time()

    async with ModelServer() as server, connect(server, experimental=False) as client:
        with pytest.raises(CodexError, match="experimental_api_enabled=True"):
            await started(client, workspace, [now])


async def test_a_cli_that_would_ignore_them_is_given_no_tools(
    connect_to_any: Connect, workspace: Path, legacy: bool
) -> None:
    @tool
    def now() -> float:
        return time.time()

    async with ModelServer() as server, connect_to_any(server) as client:
        if not legacy:
            assert await started(client, workspace, [now])
            return
        with pytest.raises(CodexError, match=r"0\.80\.0, cannot call functions"):
            await started(client, workspace, [now])


async def test_a_thread_of_codex_calls_functions_and_so_does_the_same_one_resumed(
    connect: Connect, make_codex: MakeCodex, options: ThreadOptions
) -> None:
    calls = []

    @tool
    async def note(text: str) -> str:
        calls.append(text)
        return f"noted {text}"

    def call(text: str) -> FunctionCall:
        return FunctionCall("note", {"text": text})

    async with ModelServer([call("a"), "A.", call("b"), "B."]) as server:
        async with make_codex(server, backend="app-server") as codex:
            thread = codex.start_thread(options, tools=[note])
            assert (await thread.run("first")).final_response == "A."
        async with make_codex(server, backend="app-server") as codex:
            resumed = codex.resume_thread(thread.id or "", options, tools=[note])
            assert (await resumed.run("second")).final_response == "B."
        assert calls == ["a", "b"]
        assert [*outputs(server).values()] == ["noted a", "noted b"]


async def test_an_aborted_turn_of_a_thread_cancels_its_function(
    connect: Connect, make_codex: MakeCodex, options: ThreadOptions
) -> None:
    controller, cancelled = AbortController(), anyio.Event()

    @tool
    async def wait() -> None:
        controller.abort("enough")
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with ModelServer([FunctionCall("wait"), "Next."]) as server:
        async with make_codex(server, backend="app-server") as codex:
            thread = codex.start_thread(options, tools=[wait])
            with pytest.raises(CodexAbortError):
                await thread.run("go", TurnOptions(signal=controller.signal))
            await cancelled.wait()
            assert (await thread.run("go on")).final_response == "Next."


def test_codex_exec_has_no_functions_to_call(make_codex: MakeCodex) -> None:
    @tool
    def now() -> float:
        return time.time()

    with BlockingModelServer() as server:
        codex = make_codex(server)
        with pytest.raises(CodexError, match='backend="app-server"'):
            codex.start_thread(tools=[now])
        with pytest.raises(CodexError, match='backend="app-server"'):
            codex.resume_thread("01a2b3c4-0000-7000-8000-000000000001", tools=[now])
