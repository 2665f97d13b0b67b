"""The client's end of a WebSocket connection that carries lines: bytes in, bytes out, and no IO.

This module needs wsproto, which only the extra ``websocket`` brings; import it where it is used.
"""

from __future__ import annotations

import attrs
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import ProtocolError

__all__ = ["ClientProtocol", "Ending", "Refusal"]

_BODY_BYTES = 300
"""How much of the body of an HTTP response is kept, to say what the server had against us."""

_TOO_LONG = (
    "brought a message of more than {} bytes, the limit that AppServerOptions.max_line_bytes sets"
)


@attrs.define
class Refusal:
    """The HTTP response that came in place of a WebSocket."""

    status: int
    body: bytes = b""
    complete: bool = False


@attrs.frozen
class Ending:
    """Why nothing more will come.

    Attributes:
        broken: whether the connection did not end in due form.
        why: a clause about it, as in "the connection to … <why>".
    """

    broken: bool
    why: str


class ClientProtocol:
    """One connection, from the request that opens it on.

    What is fed ends up in ``accepted``, ``refusal`` and ``ending``; :meth:`take_lines` hands out the
    messages, and :meth:`take_replies` what the server is to be sent on account of all this. After the
    ending, what is fed is ignored.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self._websocket = WSConnection(ConnectionType.CLIENT)
        self._limit = max_message_bytes
        self._message = bytearray()
        self._lines = bytearray()
        self._pong: Pong | None = None
        self._close: CloseConnection | None = None
        self.accepted = False
        self.refusal: Refusal | None = None
        self.ending: Ending | None = None

    def open(self, host: str, target: str, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the request for the connection, to be sent first."""
        return self._websocket.send(Request(host=host, target=target, extra_headers=headers))

    def feed(self, data: bytes) -> None:
        """Take bytes of the server's."""
        if self.ending is not None:
            return
        try:
            self._websocket.receive_data(data)
            for event in self._websocket.events():
                self._handle(event)
        except (ProtocolError, UnicodeError) as error:  # wsproto decodes headers as ASCII
            self._end(broken=True, why=f"broke the rules of HTTP: {error}")

    def feed_end(self, reason: str | None = None) -> None:
        """Take note that no bytes will come any more; with *reason*, that something went wrong."""
        if self.ending is None:
            self._end(
                broken=reason is not None, why=reason or "ended without the closing of a WebSocket"
            )

    def take_lines(self) -> bytes:
        """Return the messages that are complete, each as a line."""
        lines = bytes(self._lines)
        self._lines.clear()
        return lines

    def message(self, line: bytes) -> bytes:
        """Return the frame that carries a line; nothing where the connection is closed, or closing."""
        if self._websocket.state is not ConnectionState.OPEN:
            return b""
        return self._websocket.send(TextMessage(line.rstrip(b"\n").decode()))

    def has_replies(self) -> bool:
        """Whether :meth:`take_replies` would return something."""
        return self._close is not None or self._pong is not None

    def take_replies(self) -> bytes:
        """Return what the server is to be sent at once: the answer to its last ping, or to its close."""
        replies = b""
        if self._pong is not None and self._websocket.state is ConnectionState.OPEN:
            replies += self._websocket.send(self._pong)
        if self._close is not None and self._can_close():
            replies += self._websocket.send(self._close)
        self._pong = self._close = None
        return replies

    def close(self) -> bytes:
        """Return the frame that closes the connection from our side; nothing where that was done."""
        if not self._can_close():
            return b""
        return self._websocket.send(CloseConnection(CloseReason.NORMAL_CLOSURE))

    def _can_close(self) -> bool:
        return self._websocket.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING)

    def _handle(self, event: Event) -> None:
        if self.ending is not None:
            return
        if isinstance(event, (TextMessage, BytesMessage)):
            self._take_message(event)
        elif isinstance(event, Ping):
            self._pong = event.response()  # an earlier ping needs no answer any more
        elif isinstance(event, CloseConnection):
            self._take_close(event)
        elif isinstance(event, AcceptConnection):
            self.accepted = True
        elif isinstance(event, RejectConnection):
            self.refusal = Refusal(event.status_code, complete=not event.has_body)
        elif isinstance(event, RejectData) and self.refusal is not None:
            self.refusal.body = (self.refusal.body + event.data)[:_BODY_BYTES]
            self.refusal.complete = event.body_finished or len(self.refusal.body) == _BODY_BYTES

    def _take_message(self, event: TextMessage | BytesMessage) -> None:
        data = event.data.encode() if isinstance(event.data, str) else event.data
        self._message += data
        if len(self._message) > self._limit:
            self._message.clear()
            self._close = CloseConnection(CloseReason.MESSAGE_TOO_BIG)
            self._end(broken=True, why=_TOO_LONG.format(self._limit))
        elif event.message_finished:
            self._lines += self._message.replace(b"\n", b" ")
            self._lines += b"\n"
            self._message.clear()

    def _take_close(self, event: CloseConnection) -> None:
        self._close = event.response()
        told = ": ".join(filter(None, (_close_name(event.code), event.reason)))
        if self._websocket.state is ConnectionState.OPEN:  # it is wsproto that found a fault
            self._end(broken=True, why=f"broke the rules of WebSocket ({told})")
        else:
            self._end(broken=False, why=f"was closed by the server ({told})")

    def _end(self, *, broken: bool, why: str) -> None:
        self.ending = Ending(broken, why)


def _close_name(code: int) -> str:
    try:
        return f"{int(code)} {CloseReason(code).name.lower().replace('_', ' ')}"
    except ValueError:
        return str(code)
