"""One HTTP connection of a server: h11 says what the bytes mean, this module moves them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Union

import anyio
import attrs
import h11
from anyio.abc import ByteStream

__all__ = ["Disconnected", "HttpConnection", "HttpRequest"]

MAX_HEAD_BYTES = 256 * 1024
"""16 times h11's default: newer CLIs send the turn's metadata as JSON in headers."""

MAX_BODY_BYTES = 256 * 1024 * 1024
"""Far above what a CLI sends (history and images, base64); a bound all the same."""

_READ_SIZE = 64 * 1024

SentEvent = Union[h11.InformationalResponse, h11.Response, h11.Data, h11.EndOfMessage]


class Disconnected(Exception):
    """The client closed the connection, or spoke no HTTP."""


@attrs.frozen
class HttpRequest:
    """A request, with its body. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpConnection:
    """The server's end of a connection, which serves one request after the other."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def receive_request(self) -> HttpRequest:
        """Return the next request.

        Raises:
            Disconnected: there is none, or its body is longer than ``MAX_BODY_BYTES``.
        """
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            raise Disconnected
        body = await self._body()
        return HttpRequest(
            method=head.method.decode(),
            path=head.target.decode(),
            headers={
                name.decode().lower(): value.decode("latin-1") for name, value in head.headers
            },
            body=body,
        )

    async def _body(self) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while isinstance(event := await self._next_event(), h11.Data):
            size += len(event.data)
            if size > MAX_BODY_BYTES:
                raise Disconnected
            chunks.append(bytes(event.data))
        if not isinstance(event, h11.EndOfMessage):
            raise Disconnected
        return b"".join(chunks)

    async def _next_event(self) -> object:
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                raise Disconnected from error
            if event is not h11.NEED_DATA:
                return event
            if self._h11.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            await self._receive()

    async def _receive(self) -> bool:
        """Hand the next bytes to h11; say whether there were any."""
        try:
            data = await self._stream.receive(_READ_SIZE)
        except anyio.EndOfStream:
            data = b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise Disconnected from error
        self._h11.receive_data(data)
        return bool(data)

    @property
    def is_reusable(self) -> bool:
        """Whether another request may follow the response that has been sent."""
        return self._h11.our_state is h11.DONE

    async def send(self, event: SentEvent) -> None:
        """Send a part of the response.

        Raises:
            Disconnected: the client closed the connection.
        """
        try:
            await self._stream.send(self._h11.send(event) or b"")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise Disconnected from error

    async def while_connected(self, respond: Callable[[], Awaitable[None]]) -> None:
        """Await *respond*, and cancel it when the client closes the connection.

        Raises:
            Disconnected: the client did.
        """
        connected = True

        async def watch() -> None:
            nonlocal connected
            with suppress(Disconnected):
                while await self._receive():
                    pass  # the client's next request: h11 keeps it
            connected = False
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            try:
                await respond()
            except Disconnected:
                connected = False
            group.cancel_scope.cancel()
        if not connected:
            raise Disconnected
