"""The JSON-RPC state machine: whatever comes, in whatever pieces."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk._core.jsonrpc import (
    Connection,
    ErrorResponse,
    Malformed,
    Notification,
    Request,
    Response,
    StrayResponse,
)
from codex_sdk.exceptions import CodexError, CodexParseError

LIMIT = 10_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(max_size=8), json_values, max_size=4)
methods = st.text(min_size=1, max_size=20)


def line(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


@given(methods, json_objects | st.none())
def test_a_request_is_one_line_with_an_id_of_its_own(
    method: str, params: dict[str, Any] | None
) -> None:
    connection = Connection(LIMIT)
    first, sent = connection.request(method, params)
    second, _ = connection.request(method, params)
    assert sent.count(b"\n") == 1
    message = json.loads(sent)
    assert (message["id"], message["method"], message["params"]) == (first, method, params)
    assert "jsonrpc" not in message
    assert connection.pending == {first, second}
    assert first != second


@given(st.data())
def test_any_stream_in_any_pieces_gives_the_same_messages(data: st.DataObject) -> None:
    """The replies, requests and notifications of a server, mixed with what is no message at all."""
    connection, twin = Connection(LIMIT), Connection(LIMIT)
    for _ in range(4):
        connection.request("m", {})
        twin.request("m", {})
    messages = data.draw(
        st.lists(
            st.one_of(
                st.builds(lambda i, r: {"id": i, "result": r}, st.integers(0, 6), json_values),
                st.builds(
                    lambda i, c: {"id": i, "error": {"code": c, "message": "no"}},
                    st.integers(0, 6),
                    st.integers(-40000, 0),
                ),
                st.builds(lambda m, p: {"method": m, "params": p}, methods, json_objects),
                st.builds(
                    lambda i, m, p: {"id": i, "method": m, "params": p},
                    st.integers() | st.text(max_size=5),
                    methods,
                    json_objects,
                ),
                st.sampled_from([[], "x", 7, {}, {"id": 1}, {"method": 5}, {"error": 1}]),
            ),
            max_size=12,
        )
    )
    stream = b"".join(map(line, messages))
    cuts = data.draw(st.lists(st.integers(0, 10_000), max_size=6))
    whole = list(connection.receive(stream))
    split = [message for piece in pieces(stream, cuts) for message in twin.receive(piece)]
    assert whole == split
    assert len(whole) == len(messages)
    assert connection.pending == twin.pending
    answered = [m.id for m in whole if isinstance(m, (Response, ErrorResponse))]
    assert len(answered) == len(set(answered)), "a request is answered once"
    assert connection.pending == {1, 2, 3, 4} - set(answered)


@given(st.binary(max_size=200).filter(lambda data: b"\n" not in data))
def test_no_line_raises(data: bytes) -> None:
    connection = Connection(LIMIT)
    connection.request("m", {})
    for message in connection.receive(data + b"\n"):
        assert message is not None


def test_replies_that_nobody_waits_for_are_told_apart() -> None:
    connection = Connection(LIMIT)
    answered, given_up = connection.request("a", None)[0], connection.request("b", None)[0]
    connection.give_up(given_up)
    stream = [
        {"id": answered, "result": None},
        {"id": answered, "result": 2},
        {"id": given_up, "result": 3},
        {"id": 99, "result": 4},
        {"id": "text", "result": 5},
    ]
    got = list(connection.receive(b"".join(map(line, stream))))
    assert got == [
        Response(answered, None),
        StrayResponse(answered, "duplicate"),
        StrayResponse(given_up, "late"),
        StrayResponse(99, "unknown"),
        StrayResponse("text", "unknown"),
    ]
    assert connection.pending == set()


def test_what_a_server_may_send_is_classified() -> None:
    connection = Connection(LIMIT)
    request_id, _ = connection.request("a", None)
    stream = [
        {"method": "turn/started", "params": {"threadId": "t"}},
        {"method": "initialized"},
        {"method": "item/tool/call", "id": 0, "params": {}},
        {"method": "x", "id": "s"},
        {
            "id": request_id,
            "error": {"code": -32600, "message": "no", "data": [1]},
            "jsonrpc": "2.0",
        },
    ]
    assert list(connection.receive(b"".join(map(line, stream)))) == [
        Notification("turn/started", {"threadId": "t"}),
        Notification("initialized", {}),
        Request(0, "item/tool/call", {}),
        Request("s", "x", {}),
        ErrorResponse(request_id, -32600, "no", [1]),
    ]


def test_malformed_lines_are_messages_that_say_so() -> None:
    connection = Connection(LIMIT)
    got = list(connection.receive(b'{"id": 1\n\xff\xfe\n[]\n{"method": "ok"}\n'))
    assert [type(message) for message in got] == [Malformed, Malformed, Malformed, Notification]
    assert isinstance(got[0], Malformed)
    assert got[0].start == '{"id": 1'


def test_a_line_that_is_too_long_ends_the_connection() -> None:
    connection = Connection(100)
    with pytest.raises(CodexParseError, match="100 bytes"):
        list(connection.receive(line({"method": "x" * 200})))


@pytest.mark.parametrize("value", ["\ud800", object(), {object(): 1}])
def test_what_is_no_json_is_refused_before_it_is_sent(value: object) -> None:
    """The app-server never answers a line that it cannot decode: its caller would hang."""
    connection = Connection(LIMIT)
    with pytest.raises(CodexError, match="thread/start cannot be sent"):
        connection.request("thread/start", {"cwd": value})
    assert connection.pending == set()


def test_the_lines_of_our_other_messages() -> None:
    connection = Connection(LIMIT)
    assert json.loads(connection.notification("initialized", None)) == {"method": "initialized"}
    assert json.loads(connection.notification("a", {"p": Path("x")})) == {
        "method": "a",
        "params": {"p": "x"},
    }
    assert json.loads(connection.response("id", None)) == {"id": "id", "result": None}
    assert json.loads(connection.error_response(7, -1, "no", {"why": 1})) == {
        "id": 7,
        "error": {"code": -1, "message": "no", "data": {"why": 1}},
    }
