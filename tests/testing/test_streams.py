"""Replies become streams of the Responses API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk import Usage
from codex_sdk.testing import (
    CustomToolCall,
    Cut,
    Delay,
    Failed,
    FunctionCall,
    Gate,
    Incomplete,
    Message,
    ModelRequest,
    OutputItem,
    Reasoning,
    Reply,
    ServerEvent,
    WebSearch,
)
from codex_sdk.testing.sse import encode_event, stream_of

REQUEST = ModelRequest(
    number=7, method="POST", path="/v1/responses", headers={}, json={"model": "m"}
)


def types(*steps: Any) -> list[Any]:
    """Return the stream with events shortened to what their type ends with."""
    return [
        emission["type"].removeprefix("response.") if isinstance(emission, dict) else emission
        for emission in stream_of(Reply(*steps), REQUEST)
    ]


def events(*steps: Any, **options: Any) -> list[Any]:
    return list(stream_of(Reply(*steps, **options), REQUEST))


def done_items(*steps: Any) -> list[Any]:
    return [
        event["item"] for event in events(*steps) if event["type"] == "response.output_item.done"
    ]


def test_a_reply_without_steps_completes() -> None:
    assert types() == ["created", "completed"]


def test_each_string_of_a_message_is_a_delta() -> None:
    deltas = [
        event["delta"]
        for event in events(Message("Hel", "lo"))
        if event["type"] == "response.output_text.delta"
    ]
    assert deltas == ["Hel", "lo"]
    (item,) = done_items(Message("Hel", "lo"))
    assert item["content"][0]["text"] == "Hello"
    assert item["status"] == "completed"


def test_leading_pauses_hold_the_whole_response_back() -> None:
    gate = Gate()
    assert types(Delay(1), gate, "x")[:3] == [Delay(1), gate, "created"]


def test_pauses_keep_their_place() -> None:
    gate = Gate()
    assert types("a", Delay(1), Message("b", gate, "c")) == [
        "created",
        *["output_item.added", "content_part.added", "output_text.delta", "output_item.done"],
        Delay(1),
        *["output_item.added", "content_part.added", "output_text.delta"],
        gate,
        *["output_text.delta", "output_item.done", "completed"],
    ]


@pytest.mark.parametrize("ending", [Cut(), Cut(clean=True)])
def test_nothing_comes_after_a_cut(ending: Cut) -> None:
    assert types(ending) == [ending]
    assert types("a", ending)[-2:] == ["output_item.done", ending]
    assert types(Message("a", ending))[-2:] == ["output_text.delta", ending]


def test_failures_carry_their_code_and_message() -> None:
    last = events(Failed("server_error", "boom"))[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "boom"}
    last = events("a", Incomplete("content_filter"))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "content_filter"}


def test_usage_is_in_the_api_s_terms() -> None:
    usage = Usage(11, 3, 7, cache_write_input_tokens=2, reasoning_output_tokens=1)
    assert events("a", usage=usage)[-1]["response"]["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 18,
    }
    assert events("a", usage=None)[-1]["response"]["usage"] is None


def test_calls_carry_arguments_and_namespace() -> None:
    call, raw, custom = done_items(
        FunctionCall("f", {"a": 1}, namespace="n"),
        FunctionCall("g", "{not json", call_id="mine"),
        CustomToolCall("c", "free text"),
    )
    assert (call["name"], call["namespace"], json.loads(call["arguments"])) == ("f", "n", {"a": 1})
    assert (raw["arguments"], raw["call_id"]) == ("{not json", "mine")
    assert "namespace" not in raw
    assert (custom["type"], custom["input"]) == ("custom_tool_call", "free text")


def test_ids_are_unique_in_a_reply_and_among_requests() -> None:
    items = done_items("a", Reasoning("r"), FunctionCall("f"), FunctionCall("f"), WebSearch("w"))
    ids = [item["id"] for item in items] + [item["call_id"] for item in items if "call_id" in item]
    assert len(set(ids)) == len(ids) == 7
    assert all("7" in name for name in ids)


def test_raw_items_and_events_are_sent_as_they_are() -> None:
    item = {"type": "compaction", "encrypted_content": "x"}
    event = {"type": "response.something_new", "n": 1}
    sent = events(OutputItem(item), ServerEvent(event))
    assert {"type": "response.output_item.done", "output_index": 0, "item": item} in sent
    assert event in sent


@given(st.lists(st.text(), max_size=5))
def test_any_text_survives_the_stream(parts: list[str]) -> None:
    stream = b"".join(encode_event(event) for event in events(Message(*parts)))
    blocks = stream.decode("ascii").split("\n\n")
    assert blocks.pop() == ""
    decoded = []
    for block in blocks:
        name, data = block.split("\n")
        decoded.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {decoded[-1]['type']}"
    assert decoded == events(Message(*parts))
    assert decoded[-2]["item"]["content"][0]["text"] == "".join(parts)
