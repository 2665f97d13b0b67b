"""Streams of a model belong to no task and no scope: PydanticAI enters, reads and leaves them in several."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent, direct
from pydantic_ai.messages import ModelRequest as Request
from pydantic_ai.messages import (
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
)
from pydantic_ai.models import StreamedResponse

from codex_sdk.integrations.pydantic_ai_model import CodexModel
from codex_sdk.testing import (
    Delay,
    FunctionCall,
    Gate,
    Message,
    ModelRequest,
    ModelServer,
    Reasoning,
    Reply,
)

from .conftest import asyncio_only
from .models import MakeModel, add, runs_turns

both_modes = pytest.mark.parametrize("tool_mode", ["native", "envelope"])

TOLD = Message("Two", Delay(0.02), " and two")


def streamed(
    model: CodexModel, prompt: str = "Go"
) -> AbstractAsyncContextManager[StreamedResponse]:
    return direct.model_request_stream(model, [Request.user_text_prompt(prompt)])


async def read(response: StreamedResponse) -> str | None:
    async for _ in response:
        pass
    return response.get().text


async def in_another_task(function: Callable[[], Awaitable[Any]]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(function)


@both_modes
async def test_a_stream_may_be_entered_read_and_left_in_different_tasks(
    make_model: MakeModel, tool_mode: str
) -> None:
    responses: list[StreamedResponse] = []
    async with ModelServer([TOLD]) as server, make_model(server, tool_mode=tool_mode) as model:
        stream = streamed(model)

        async def enter() -> None:
            responses.append(await stream.__aenter__())

        async def begin() -> None:
            await anext(aiter(responses[0]))

        await in_another_task(enter)
        await in_another_task(begin)
        await in_another_task(partial(read, responses[0]))
        await in_another_task(partial(stream.__aexit__, None, None, None))
    assert responses[0].get().text == "Two and two"


async def test_a_stream_that_is_left_early_in_another_task_stops_the_turn(
    make_model: MakeModel,
) -> None:
    async with ModelServer([Message("Two", Gate(), " and two")]) as server:
        async with make_model(server) as model:
            stream = streamed(model)
            response = await stream.__aenter__()
            await anext(aiter(response))
            assert runs_turns(model)
            await in_another_task(partial(stream.__aexit__, None, None, None))
            assert not runs_turns(model)
    assert response.get().state == "incomplete"


@both_modes
async def test_streams_may_be_left_in_any_order(make_model: MakeModel, tool_mode: str) -> None:
    def reply(request: ModelRequest) -> Message:
        return Message(f"{request.prompt} ", Delay(0.02), "done")

    async with ModelServer(reply) as server, make_model(server, tool_mode=tool_mode) as model:
        streams = [streamed(model, prompt) for prompt in "ABC"]
        responses = [await stream.__aenter__() for stream in streams]
        texts = [await read(response) for response in reversed(responses)]
        for stream in streams:
            await stream.__aexit__(None, None, None)
    assert texts == ["C done", "B done", "A done"]


@both_modes
async def test_a_stream_stays_open_when_the_scope_is_left_that_it_was_entered_in(
    make_model: MakeModel, tool_mode: str
) -> None:
    async with ModelServer([TOLD]) as server, make_model(server, tool_mode=tool_mode) as model:
        stream = streamed(model)
        with anyio.CancelScope(deadline=anyio.current_time() + 60) as scope:
            response = await stream.__aenter__()
            assert anyio.current_effective_deadline() == scope.deadline  # no shield is open
        scope.cancel("it has nothing more to do with the stream")
        with anyio.CancelScope():
            await anext(aiter(response))
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)
            assert await read(response) == "Two and two"
        with anyio.CancelScope():
            await stream.__aexit__(None, None, None)


async def test_streams_work_on_any_event_loop(make_model: MakeModel) -> None:
    script = [Reply(Reasoning("Hm."), Message("Two", " and", " two"))]
    async with ModelServer(script) as server, make_model(server) as model:
        async with direct.model_request_stream(model, [Request.user_text_prompt("Go")]) as stream:
            events = [event async for event in stream]
            response = stream.get()
    starts = [event.part for event in events if isinstance(event, PartStartEvent)]
    assert [type(part) for part in starts] == [ThinkingPart, TextPart]
    deltas = [event.delta for event in events if isinstance(event, PartDeltaEvent)]
    assert [d.content_delta for d in deltas if isinstance(d, TextPartDelta)] == [" and", " two"]
    assert response.text == "Two and two"
    assert response.state == "complete"
    assert response.usage.input_tokens == 10


@asyncio_only
async def test_events_of_a_run_tell_of_calls_and_texts(make_model: MakeModel) -> None:
    script = [FunctionCall("add", {"a": 1, "b": 1}), "Two."]
    async with ModelServer(script) as server, make_model(server) as model:
        async with Agent(model, tools=[add]).run_stream_events("Go") as events:
            names = [type(event).__name__ async for event in events]
    assert names.index("FunctionToolCallEvent") < names.index("FunctionToolResultEvent")
    assert "AgentRunResultEvent" in names
