"""A WebSocket server for one connection after the other, which does what a test says, frame by frame."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import AnyByteStream, SocketAttribute
from anyio.streams.tls import TLSListener
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Request, TextMessage

HELLO = '{"hello": "é…😀"}'


class ServerEnd:
    """The server's end of a connection."""

    def __init__(self, stream: AnyByteStream) -> None:
        self.stream = stream
        self.websocket = WSConnection(ConnectionType.SERVER)
        self.request: Request | None = None
        self._events: list[Event] = []

    async def hear(self) -> Event:
        """Return the next event of the client's."""
        with anyio.fail_after(10):
            while not self._events:
                self.websocket.receive_data(await self.stream.receive())
                self._events += self.websocket.events()
        return self._events.pop(0)

    async def hear_text(self) -> str:
        text = ""
        while True:
            event = await self.hear()
            assert isinstance(event, TextMessage), event
            text += event.data
            if event.message_finished:
                return text

    async def accept(self) -> Request:
        event = await self.hear()
        assert isinstance(event, Request)
        self.request = event
        await self.say(AcceptConnection())
        return event

    async def say(self, event: Event) -> None:
        await self.stream.send(self.websocket.send(event))

    async def close_in_due_form(self) -> CloseConnection:
        """Hear the client's close and answer it."""
        event = await self.hear()
        assert isinstance(event, CloseConnection), event
        await self.say(event.response())
        return event


Serve = Callable[[ServerEnd], Awaitable[object]]


@asynccontextmanager
async def serving(
    serve: Serve,
    *,
    path: Path | None = None,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    patient: bool = True,
) -> AsyncIterator[str]:
    """Serve each connection by *serve*; gives the url.

    Leaving the block waits for *serve*, if *patient*, and raises what it raised.
    """
    errors: list[Exception] = []
    busy: list[anyio.Event] = []

    async def handle(stream: AnyByteStream) -> None:
        busy.append(over := anyio.Event())
        try:
            async with stream:
                await serve(ServerEnd(stream))
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)
        finally:
            over.set()

    async with AsyncExitStack() as stack:
        if path is not None:
            listener = await stack.enter_async_context(await anyio.create_unix_listener(path))
            url = f"unix://{path}"
        else:
            listener = await stack.enter_async_context(
                await anyio.create_tcp_listener(local_host=host)
            )
            port = listener.extra(SocketAttribute.local_port)
            url = f"ws://{f'[{host}]' if ':' in host else host}:{port}"
        if tls is not None:
            listener = TLSListener(listener, tls, standard_compatible=False)
            url = url.replace("ws://127.0.0.1", "wss://localhost")
        group = await stack.enter_async_context(anyio.create_task_group())
        group.start_soon(listener.serve, handle, group)
        try:
            yield url
        finally:
            with anyio.move_on_after(5 if patient else 0):
                for over in busy:
                    await over.wait()
            group.cancel_scope.cancel()
    for error in errors:
        raise error
