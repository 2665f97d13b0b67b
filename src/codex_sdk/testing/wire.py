"""A reply as what is to happen on the connection: parts of an HTTP response, pauses, a cut."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Union

import h11

from .gate import Gate
from .replies import Cut, Delay, HttpReply, Reply
from .requests import ModelRequest
from .sse import encode_event, stream_of

__all__ = ["Action", "actions_of", "error_reply"]

Action = Union[h11.Response, h11.Data, h11.EndOfMessage, Delay, Gate, Cut]

_BODILESS = frozenset({204, 304})
_EVENT_STREAM = {"content-type": "text/event-stream", "cache-control": "no-cache"}


def error_reply(status: int, message: str, code: str | None = None) -> HttpReply:
    """Return a reply whose body is an error object in the form of OpenAI's."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return HttpReply(status, {"error": error})


def actions_of(reply: Union[Reply, HttpReply], request: ModelRequest) -> list[Action]:
    """Return what is to happen on the connection, in order, so that *request* gets *reply*.

    Raises:
        CodexError: the reply calls for a tool that the request does not offer.
        TypeError: the reply holds data that JSON has no form for.
        h11.LocalProtocolError: the reply holds headers that HTTP does not allow.
    """
    if isinstance(reply, HttpReply):
        return list(_plain(reply, request))
    return list(_streamed(reply, request))


def _streamed(reply: Reply, request: ModelRequest) -> Iterator[Action]:
    begun = False
    for emission in stream_of(reply, request):
        if isinstance(emission, (Delay, Gate)):
            yield emission
            continue
        if emission == Cut():
            yield Cut()
            return
        if not begun:
            yield _head(200, _EVENT_STREAM, request)
            begun = True
        if not isinstance(emission, Cut):
            yield h11.Data(data=encode_event(emission))
    yield h11.EndOfMessage()


def _plain(reply: HttpReply, request: ModelRequest) -> Iterator[Action]:
    content_type, body = _body(reply)
    headers = {"content-type": content_type, "content-length": str(len(body))}
    headers.update((name.lower(), value) for name, value in reply.headers.items())
    yield _head(reply.status, headers, request)
    yield h11.Data(data=body)
    yield h11.EndOfMessage()


def _body(reply: HttpReply) -> tuple[str, bytes]:
    body = reply.body
    if reply.status in _BODILESS:
        return "text/plain", b""
    if body is None:
        body = error_reply(reply.status, f"ModelServer was told to answer {reply.status}").body
    if isinstance(body, Mapping):
        return "application/json", json.dumps(body).encode()
    if isinstance(body, str):
        return "text/plain; charset=utf-8", body.encode()
    return "application/octet-stream", body or b""


def _head(status: int, headers: Mapping[str, str], request: ModelRequest) -> h11.Response:
    identified: dict[str, Any] = {"x-request-id": f"req_{request.number}", **headers}
    return h11.Response(status_code=status, headers=list(identified.items()))
