"""The spans of Codex's work below PydanticAI's own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode
from pydantic_ai import Agent
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.instrumented import InstrumentationSettings

from codex_sdk import CodexOptions
from codex_sdk.integrations.pydantic_ai_model import CodexModel, ToolMode
from codex_sdk.testing import FunctionCall, Gate, HttpReply, Message, ModelServer

from ..tracing import Tracing
from .conftest import asyncio_only
from .models import MakeModel, add

NAME = "codex_sdk.pydantic_ai.model_request"


def traced(tracing: Tracing) -> Instrumentation[Any]:
    return Instrumentation(InstrumentationSettings(tracer_provider=tracing.provider))


def parent_id(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def span_id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def requests(tracing: Tracing) -> list[ReadableSpan]:
    return [span for span in tracing.finished if span.name == NAME]


@asyncio_only
async def test_a_request_is_a_span_below_pydantic_ais(
    make_model: MakeModel, tracing: Tracing
) -> None:
    async with ModelServer(["Hi."]) as server, make_model(server) as model:
        result = await Agent(model, capabilities=[traced(tracing)]).run("Go")
    span = tracing.the(NAME)
    assert parent_id(span) == span_id(tracing.the("chat gpt-5-codex"))
    details = result.response.provider_details
    assert details is not None
    assert span.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "codex",
        "gen_ai.provider.name": "codex",
        "gen_ai.request.model": "gpt-5-codex",
        "gen_ai.conversation.id": details["thread_id"],
        "gen_ai.response.finish_reasons": ("stop",),
        "thread_id": details["thread_id"],
        "turn_id": details["turn_id"],
        "model": "gpt-5-codex",
        "sandbox_mode": "read-only",
    }  # and no tokens: "chat" has them


@asyncio_only
async def test_requests_of_one_turn_are_linked(make_model: MakeModel, tracing: Tracing) -> None:
    script = [FunctionCall("add", {"a": 1, "b": 1}), "2", "3"]
    async with ModelServer(script) as server, make_model(server) as model:
        agent = Agent(model, tools=[add], capabilities=[traced(tracing)])
        await agent.run("1 + 1?")
        await agent.run("Again")
    first, second, other = requests(tracing)
    assert [link.context.span_id for link in second.links] == [span_id(first)]
    assert not first.links
    assert not other.links
    assert first.attributes is not None
    assert first.attributes["gen_ai.response.finish_reasons"] == ("tool_call",)


@asyncio_only
async def test_the_span_of_a_stream_lasts_until_it_has_been_read(
    make_model: MakeModel, tracing: Tracing
) -> None:
    gate = Gate()
    async with ModelServer([Message("Two", gate, " and two")]) as server:
        async with make_model(server) as model:
            agent = Agent(model, capabilities=[traced(tracing)])
            async with agent.run_stream("Go") as result:
                async for text in result.stream_text(delta=True, debounce_by=None):
                    if text == "Two":
                        assert requests(tracing) == []
                        gate.release()
                assert len(requests(tracing)) == 1
    span = tracing.the(NAME)
    assert parent_id(span) == span_id(tracing.the("chat gpt-5-codex"))
    assert span.attributes is not None
    assert span.attributes["gen_ai.response.finish_reasons"] == ("stop",)


@asyncio_only
async def test_a_stream_that_is_left_has_a_span_without_an_error(
    make_model: MakeModel, tracing: Tracing
) -> None:
    async with ModelServer([Message("Two", Gate(), " and two")]) as server:
        async with make_model(server) as model:
            with pytest.raises(LookupError):
                async with Agent(model).run_stream("Go") as result:
                    async for _ in result.stream_text(debounce_by=None):
                        raise LookupError
    assert tracing.the(NAME).status.status_code is StatusCode.UNSET


@asyncio_only
@pytest.mark.parametrize("begun", [True, False])
async def test_a_run_that_is_cancelled_has_a_span_without_an_error(
    make_model: MakeModel, tracing: Tracing, begun: bool
) -> None:
    gate = Gate()
    message = Message("Two", gate) if begun else gate
    async with ModelServer([message]) as server, make_model(server) as model:
        running = asyncio.ensure_future(Agent(model).run("Go"))
        await gate.reached()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    span = tracing.the(NAME)
    assert span.status.status_code is StatusCode.UNSET
    assert not span.events


@asyncio_only
async def test_a_request_that_fails_is_a_span_with_its_error(
    make_model: MakeModel, tracing: Tracing
) -> None:
    async with ModelServer([HttpReply(429)]) as server, make_model(server) as model:
        with pytest.raises(ModelAPIError):
            await Agent(model).run("Go")
    span = tracing.the(NAME)
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.parametrize("mode", ["native", "envelope", None])
async def test_a_request_without_a_cli_is_a_span_with_its_error(
    mode: ToolMode | None, tracing: Tracing
) -> None:
    options = CodexOptions(codex_path_override="/nowhere/codex")
    async with CodexModel(codex_options=options, tool_mode=mode) as model:
        with pytest.raises(ModelAPIError):
            await model_request(model, [ModelRequest.user_text_prompt("Go")])
    span = tracing.the(NAME)
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]
