"""Replies as streams of the Responses API: of those of its events that Codex acts on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Union

from ..events import Usage
from .gate import Gate
from .replies import (
    ApplyPatch,
    CallMcpTool,
    CustomToolCall,
    Cut,
    Delay,
    Failed,
    FunctionCall,
    Incomplete,
    Message,
    OutputItem,
    Reasoning,
    Reply,
    RunCommand,
    ServerEvent,
    Step,
    WebSearch,
    ends_reply,
)
from .requests import ModelRequest
from .tools import on_offered_tools

__all__ = ["Emission", "encode_event", "stream_of"]

Event = Mapping[str, Any]
Emission = Union[Event, Delay, Gate, Cut]
OutputStep = Union[Message, Reasoning, FunctionCall, CustomToolCall, WebSearch, OutputItem]
WireStep = Union[OutputStep, ServerEvent, Delay, Gate, Failed, Incomplete, Cut]


def encode_event(event: Event) -> bytes:
    """Return *event* as a server-sent event."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def stream_of(reply: Reply, request: ModelRequest) -> Iterator[Emission]:
    """Return what is to be sent as *reply* to *request*, with the pauses and the cut in their places.

    The first event comes after leading pauses, so that these hold the whole response back.

    Raises:
        CodexError: the reply calls for a tool that the request does not offer.
    """
    steps = [_wire_step(step, request) for step in reply.steps]
    response = {"id": f"resp_{request.number}", "object": "response", "model": request.model}
    return _begun(_emissions(steps, reply.usage, response, request.number), response)


def _wire_step(step: Step, request: ModelRequest) -> WireStep:
    if isinstance(step, str):
        return Message(step)
    if isinstance(step, (RunCommand, ApplyPatch, CallMcpTool)):
        return on_offered_tools(step, request)
    return step


def _begun(emissions: Iterator[Emission], response: Event) -> Iterator[Emission]:
    begun = False
    for emission in emissions:
        if isinstance(emission, Mapping) and not begun:
            begun = True
            yield _lifecycle("created", response, status="in_progress", output=[])
        yield emission


def _emissions(
    steps: list[WireStep], usage: Usage | None, response: Event, number: int
) -> Iterator[Emission]:
    indices = count()
    for step in steps:
        if isinstance(step, (Delay, Gate, Cut)):
            yield step
        elif isinstance(step, ServerEvent):
            yield step.event
        elif isinstance(step, Failed):
            error = {"code": step.code, "message": step.message}
            yield _lifecycle("failed", response, error=error)
        elif isinstance(step, Incomplete):
            yield _lifecycle("incomplete", response, incomplete_details={"reason": step.reason})
        else:
            yield from _output(step, number, next(indices))
    if not (steps and ends_reply(steps[-1])):
        yield _lifecycle("completed", response, usage=_wire_usage(usage))


def _lifecycle(stage: str, response: Event, **details: Any) -> Event:
    return {"type": f"response.{stage}", "response": {**response, "status": stage, **details}}


def _output(step: OutputStep, number: int, index: int) -> Iterator[Emission]:
    suffix = f"{number}_{index}"  # unique among the ids of a server
    if isinstance(step, Message):
        yield from _message(step, f"msg_{suffix}", index)
    elif isinstance(step, Reasoning):
        yield from _reasoning(step, f"rs_{suffix}", index)
    elif isinstance(step, FunctionCall):
        yield from _function_call(step, suffix, index)
    elif isinstance(step, CustomToolCall):
        yield from _custom_tool_call(step, suffix, index)
    elif isinstance(step, WebSearch):
        yield from _web_search(step, f"ws_{suffix}", index)
    else:
        yield _done(step.item, index)


def _message(message: Message, id: str, index: int) -> Iterator[Emission]:
    item: Event = {
        "type": "message",
        "id": id,
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    place = {"item_id": id, "output_index": index, "content_index": 0}
    yield _added(item, index)
    yield {"type": "response.content_part.added", **place, "part": _output_text("")}
    for part in message.parts:
        if isinstance(part, str):
            yield {"type": "response.output_text.delta", **place, "delta": part}
        else:
            yield part
        if isinstance(part, Cut):
            return
    yield _done({**item, "status": "completed", "content": [_output_text(message.text)]}, index)


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _reasoning(reasoning: Reasoning, id: str, index: int) -> Iterator[Emission]:
    item: Event = {"type": "reasoning", "id": id, "summary": []}
    place = {"item_id": id, "output_index": index, "summary_index": 0}
    summary = {"type": "summary_text", "text": reasoning.summary}
    yield _added(item, index)
    yield {
        "type": "response.reasoning_summary_part.added",
        **place,
        "part": {"type": "summary_text", "text": ""},
    }
    yield {
        "type": "response.reasoning_summary_text.delta",
        **place,
        "delta": reasoning.summary,
    }
    yield _done({**item, "summary": [summary]}, index)


def _function_call(call: FunctionCall, suffix: str, index: int) -> Iterator[Emission]:
    arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)
    item = {
        "type": "function_call",
        "id": f"fc_{suffix}",
        "call_id": call.call_id or f"call_{suffix}",
        "name": call.name,
        **({"namespace": call.namespace} if call.namespace else {}),
    }
    delta = {"item_id": item["id"], "output_index": index, "delta": arguments}
    yield _added({**item, "arguments": "", "status": "in_progress"}, index)
    yield {"type": "response.function_call_arguments.delta", **delta}
    yield _done({**item, "arguments": arguments, "status": "completed"}, index)


def _custom_tool_call(call: CustomToolCall, suffix: str, index: int) -> Iterator[Emission]:
    item = {
        "type": "custom_tool_call",
        "id": f"ctc_{suffix}",
        "call_id": call.call_id or f"call_{suffix}",
        "name": call.name,
        **({"namespace": call.namespace} if call.namespace else {}),
    }
    delta = {"item_id": item["id"], "output_index": index, "delta": call.input}
    yield _added({**item, "input": "", "status": "in_progress"}, index)
    yield {"type": "response.custom_tool_call_input.delta", **delta}
    yield _done({**item, "input": call.input, "status": "completed"}, index)


def _web_search(search: WebSearch, id: str, index: int) -> Iterator[Emission]:
    item = {"type": "web_search_call", "id": id}
    action = {"type": "search", "query": search.query}
    yield _added({**item, "status": "in_progress"}, index)
    yield _done({**item, "status": "completed", "action": action}, index)


def _added(item: Event, index: int) -> Event:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _done(item: Event, index: int) -> Event:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def _wire_usage(usage: Usage | None) -> Event | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_input_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_output_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
