"""The state of one JSON-RPC connection to ``codex app-server``: bytes in, messages out, and back.

The app-server speaks JSON-RPC 2.0 without the ``jsonrpc`` member, one object a line (or a WebSocket
frame). Either side may send requests; ids of the two directions are independent. This module knows
nothing of methods, and does no IO: what it returns is to be written, in that order.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Literal, Union, cast

import attrs
import msgspec

from ..exceptions import CodexError
from .framing import LineFramer

__all__ = [
    "Connection",
    "ErrorResponse",
    "Malformed",
    "Notification",
    "Request",
    "RequestId",
    "Response",
    "StrayResponse",
    "checked_answer",
]

RequestId = Union[int, str]

_REMEMBERED = 1024
"""How many finished requests are remembered, to tell a late or duplicate reply from a made-up one."""

_SHOWN = 200


@attrs.frozen
class Request:
    """The server asks for something; it waits until the request is answered."""

    id: RequestId
    method: str
    params: Mapping[str, Any]


@attrs.frozen
class Notification:
    """The server tells something."""

    method: str
    params: Mapping[str, Any]


@attrs.frozen
class Response:
    """The result of a request of ours."""

    id: int
    result: Any


@attrs.frozen
class ErrorResponse:
    """The refusal of a request of ours."""

    id: int
    code: int
    message: str
    data: Any = None


@attrs.frozen
class StrayResponse:
    """A reply that nobody waits for: to be noted, and harmless.

    Attributes:
        id: what the reply names.
        kind: ``late`` when the request was given up, ``duplicate`` when it was answered already,
            ``unknown`` when there was (or is remembered) no such request.
    """

    id: Any
    kind: Literal["late", "duplicate", "unknown"]


@attrs.frozen
class Malformed:
    """A line that is no message.

    Attributes:
        start: how the line begins.
        reason: what is wrong with it.
    """

    start: str
    reason: str


Message = Union[Request, Notification, Response, ErrorResponse, StrayResponse, Malformed]


class Connection:
    """One end of a connection.

    Attributes:
        pending: the ids of the requests that have been made and neither answered nor given up.
    """

    def __init__(self, max_line_bytes: int) -> None:
        self.pending: set[int] = set()
        self._finished: OrderedDict[int, Literal["late", "duplicate"]] = OrderedDict()
        self._ids = count(1)
        self._framer = LineFramer(max_line_bytes)
        self._decoder = msgspec.json.Decoder()

    def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        trace: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Return the id of a new request, and the line to send.

        Args:
            trace: the W3C's headers of the trace that the request is part of; the member is Codex's addition
                to JSON-RPC.

        Raises:
            CodexError: *params* cannot be put into JSON; no request is pending then.
        """
        request_id = next(self._ids)
        message: dict[str, Any] = {"method": method, "id": request_id, "params": params}
        if trace:
            message["trace"] = trace
        line = _line(method, message)
        self.pending.add(request_id)
        return request_id, line

    def notification(self, method: str, params: Mapping[str, Any] | None) -> bytes:
        """Return the line that notifies the server."""
        message: dict[str, Any] = {"method": method}
        if params is not None:
            message["params"] = params
        return _line(method, message)

    def response(self, request_id: RequestId, result: Any) -> bytes:
        """Return the line that answers a request of the server's."""
        return _line("response", {"id": request_id, "result": result})

    def error_response(
        self, request_id: RequestId, code: int, message: str, data: Any = None
    ) -> bytes:
        """Return the line that refuses a request of the server's."""
        error = {"code": code, "message": message}
        if data is not None:
            error["data"] = data
        return _line("response", {"id": request_id, "error": error})

    def give_up(self, request_id: int) -> None:
        """Forget a request that nobody waits for any longer; its reply will be a stray one."""
        if request_id in self.pending:
            self._finish(request_id, "late")

    def receive(self, data: bytes) -> Iterator[Message]:
        """Take *data* and return the messages that it completes.

        Raises:
            CodexParseError: from the iterator: a line is too long; the connection is of no more use.
        """
        return map(self.receive_line, self._framer.feed(data))

    def receive_line(self, line: bytes) -> Message:
        """Return the message of one line, or of one WebSocket frame."""
        try:
            message: Any = self._decoder.decode(line)
        except (ValueError, RecursionError) as error:
            return _malformed(line, str(error))
        if not isinstance(message, dict):
            return _malformed(line, "a message is a JSON object")
        members = cast("dict[str, Any]", message)
        if "method" in members:
            return _call(line, members)
        if "id" in members and ("result" in members or "error" in members):
            return self._reply(members)
        return _malformed(line, "neither a request, nor a notification, nor a reply")

    def _reply(self, message: dict[str, Any]) -> Message:
        request_id = message["id"]
        if type(request_id) is not int or request_id not in self.pending:
            known = self._finished.get(request_id) if type(request_id) is int else None
            return StrayResponse(request_id, known or "unknown")
        self._finish(request_id, "duplicate")
        error = message.get("error")
        if error is None:
            return Response(request_id, message.get("result"))
        return _error_response(request_id, error)

    def _finish(self, request_id: int, later: Literal["late", "duplicate"]) -> None:
        self.pending.discard(request_id)
        self._finished[request_id] = later
        if len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)


def _error_response(request_id: int, error: Any) -> ErrorResponse:
    if not isinstance(error, dict):
        return ErrorResponse(request_id, 0, f"an error without a code: {error!r}")
    members = cast("dict[str, Any]", error)
    code = members.get("code")
    return ErrorResponse(
        request_id,
        code if isinstance(code, int) else 0,
        str(members.get("message", "")),
        members.get("data"),
    )


def _call(line: bytes, message: dict[str, Any]) -> Message:
    method = message["method"]
    given: Any = message.get("params") or {}
    if not isinstance(method, str) or not isinstance(given, dict):
        return _malformed(line, "a method is a string, and its params are an object")
    params = cast("dict[str, Any]", given)
    if "id" not in message:
        return Notification(method, params)
    if type(message["id"]) not in (int, str):
        return _malformed(line, "an id is a number or a string")
    return Request(message["id"], method, params)


def _malformed(line: bytes, reason: str) -> Malformed:
    return Malformed(line[:_SHOWN].decode("utf-8", "replace"), reason)


def checked_answer(data: Any) -> Any:
    """Return *data*, which is to be the answer to a request.

    Raises:
        CodexError: it cannot be sent.
    """
    try:
        msgspec.json.encode(data, enc_hook=_encode_path)
    except (TypeError, ValueError, RecursionError) as error:
        raise CodexError(f"the answer cannot be sent, it is no JSON: {error}") from error
    return data


def _line(what: str, message: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(message, enc_hook=_encode_path) + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise CodexError(f"{what} cannot be sent, it is no JSON: {error}") from error


def _encode_path(value: Any) -> Any:
    from os import PathLike, fspath

    if isinstance(value, PathLike):
        return fspath(cast("PathLike[str]", value))
    raise TypeError(f"{type(value).__name__} is no JSON value")
