"""The transport to an app-server that runs elsewhere: WebSocket over TCP, TLS or a Unix socket."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Union
from urllib.parse import SplitResult, quote, urlsplit

import anyio
import attrs
from anyio.abc import ByteStream, SocketAttribute
from anyio.lowlevel import checkpoint

from ..exceptions import CodexError
from .task_groups import open_task_group
from .transport import Farewell, Transport

if TYPE_CHECKING:
    from .websocket_protocol import ClientProtocol, Refusal

__all__ = ["DEFAULT_MAX_MESSAGE_BYTES", "websocket_transport"]

DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The limit that lines of the CLI have by default, too."""

_CLOSING_BOUND = 1.0
"""Seconds for the closing handshake. A server that does not answer by then has lost nothing."""

_BODY_BOUND = 1.0
"""Seconds for the body of a refusal, which only serves the error message."""

_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""A host that has vanished is found out within two minutes, where nothing is sent; not after two hours."""

_URL_KINDS = "ws://host:port, wss://host:port or unix:///path/of/the/socket"

_GONE = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.BusyResourceError,
    ssl.SSLError,
)


@asynccontextmanager
async def websocket_transport(
    url: str,
    token: str | None = None,
    *,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
    connect_timeout: float = 10.0,
) -> AsyncGenerator[Transport, None]:
    """Connect to the app-server at *url* for as long as the block lasts.

    *url* is ``ws://host:port``, ``wss://host:port`` or, for a WebSocket over a Unix socket,
    ``unix:///path``. *token* is presented as a bearer token; over ``ws://`` whoever is on the way can
    read it. *connect_timeout* bounds, in seconds, the way to the open WebSocket, name resolution and TLS
    included. Leaving the block closes the connection, with a closing handshake where the server takes
    part in it within a second.

    Raises:
        CodexError: *url* is none of these, nothing answers there, the server refuses the connection, or
            wsproto is not installed. The message names the url, without its query, and never the token.
    """
    endpoint = _parse(url)
    headers = _authorization(token)
    async with open_task_group() as task_group:
        protocol = _client_protocol(max_message_bytes)
        connection = await _open(endpoint, protocol, headers, connect_timeout)
        try:
            task_group.start_soon(connection.answer)
            yield connection
        finally:
            try:
                with anyio.move_on_after(_CLOSING_BOUND, shield=True):
                    await connection.take_leave()
            finally:  # a native cancellation pierces the shield
                task_group.cancel_scope.cancel("the connection is closed")
                with anyio.move_on_after(_CLOSING_BOUND, shield=True):
                    await connection.drop()


@attrs.frozen
class _Endpoint:
    """Where a server listens, and what it is asked for there."""

    shown: str
    host: str
    target: str
    address: Union[str, tuple[str, int]]
    tls: bool = False

    async def connect(self) -> ByteStream:
        if isinstance(self.address, str):
            return await anyio.connect_unix(self.address)
        host, port = self.address
        if self.tls:
            stream: ByteStream = await anyio.connect_tcp(
                host, port, tls=True, tls_standard_compatible=False
            )
        else:
            stream = await anyio.connect_tcp(host, port)
        _keep_alive(stream.extra(SocketAttribute.raw_socket))
        return stream


class _Connection:
    """An open connection; the transport."""

    def __init__(self, endpoint: _Endpoint, stream: ByteStream, protocol: ClientProtocol) -> None:
        self._endpoint = endpoint
        self._stream = stream
        self._protocol = protocol
        self._writing = anyio.Lock()
        self._severed = False
        self._replies_owed = anyio.Event()

    async def open(self, headers: list[tuple[bytes, bytes]]) -> None:
        protocol = self._protocol
        request = protocol.open(self._endpoint.host, self._endpoint.target, headers)
        await self._stream.send(request)
        while not (protocol.accepted or protocol.refusal or protocol.ending):
            await self._read()
        if protocol.accepted:
            return
        with anyio.move_on_after(_BODY_BOUND):
            while protocol.refusal and not (protocol.refusal.complete or protocol.ending):
                await self._read()
        raise CodexError(self._refused(has_token=bool(headers)))

    async def send(self, data: bytes, /) -> None:
        if not await self._write(lambda: self._protocol.message(data)):
            raise anyio.BrokenResourceError(self._how())

    async def receive(self) -> bytes:
        while True:
            if lines := self._protocol.take_lines():
                return lines
            if (ending := self._protocol.ending) is not None:
                raise anyio.BrokenResourceError(self._how()) if ending.broken else anyio.EndOfStream
            await self._read()

    async def farewell(self) -> Farewell:
        await checkpoint()
        return Farewell(exit_code=None, stderr="", how=self._how())

    async def answer(self) -> None:
        """Answer pings and closes.

        This is not done where they are read: a server that takes nothing would keep us from reading.
        """
        with suppress(*_GONE):
            while True:
                await self._replies_owed.wait()
                self._replies_owed = anyio.Event()
                await self._write(self._protocol.take_replies)

    async def take_leave(self) -> None:
        """Do our part of the closing handshake, and await the server's."""
        with suppress(anyio.EndOfStream, *_GONE):
            await self._write(self._protocol.take_replies)
            await self._write(self._protocol.close)
            while self._protocol.ending is None:
                self._protocol.feed(await self._stream.receive())
                self._protocol.take_lines()

    async def drop(self) -> None:
        """Close the socket; that is done before anything is waited for."""
        await anyio.aclose_forcefully(self._stream)

    async def _read(self) -> None:
        try:
            self._protocol.feed(await self._stream.receive())
        except anyio.EndOfStream:
            self._protocol.feed_end()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError) as error:
            self._protocol.feed_end(f"broke: {_reason(error)}")
        if self._protocol.has_replies():
            self._replies_owed.set()

    async def _write(self, make: Callable[[], bytes]) -> bool:
        """Send what *make* makes when it is its turn; say whether that was anything."""
        async with self._writing:
            data = make()
            if not data:
                return False
            if self._severed:
                raise anyio.BrokenResourceError(
                    "a part of a message was sent, and the rest was not"
                )
            self._severed = True
            await self._stream.send(data)
            self._severed = False
            return True

    def _how(self) -> str:
        ending = self._protocol.ending
        why = ending.why if ending is not None else "was closed by this program"
        return f"the connection to {self._endpoint.shown} {why}"

    def _refused(self, *, has_token: bool) -> str:
        refusal = self._protocol.refusal
        if refusal is None:
            return f"{self._how()}, before it was open; is this an app-server?"
        told = _remedy(refusal, has_token=has_token)
        return f"the server at {self._endpoint.shown} answers HTTP {refusal.status}: {told}"


async def _open(
    endpoint: _Endpoint,
    protocol: ClientProtocol,
    headers: list[tuple[bytes, bytes]],
    connect_timeout: float,
) -> _Connection:
    with _naming(endpoint, connect_timeout), anyio.fail_after(connect_timeout):
        connection = _Connection(endpoint, await endpoint.connect(), protocol)
        try:
            await connection.open(headers)
        except BaseException:
            with anyio.move_on_after(_CLOSING_BOUND, shield=True):
                await connection.drop()
            raise
        return connection


def _client_protocol(max_message_bytes: int) -> ClientProtocol:
    try:
        from .websocket_protocol import ClientProtocol
    except ImportError as error:
        raise CodexError(
            "connecting to an app-server by its url takes the package wsproto; install it by "
            "pip install 'codex-sdk-python[websocket]'"
        ) from error
    return ClientProtocol(max_message_bytes)


def _authorization(token: str | None) -> list[tuple[bytes, bytes]]:
    if token is None:
        return []
    token = token.strip()  # a file that holds one ends with a newline, as a rule
    if not token or not all("!" <= character <= "~" for character in token):
        raise CodexError(
            "AppServerOptions.token is no bearer token: it is empty, or holds characters other than "
            "printable ASCII"
        )
    return [(b"Authorization", b"Bearer " + token.encode())]


def _parse(url: str) -> _Endpoint:
    if url.startswith("unix://"):
        path = url[len("unix://") :]
        if not path or "\0" in path or not hasattr(socket, "AF_UNIX"):
            raise CodexError(f"AppServerOptions.url={url!r} names no Unix socket of this machine")
        return _Endpoint(f"unix://{path}", "localhost", "/", path)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise CodexError(f"AppServerOptions.url is no url: {_URL_KINDS} is expected") from None
    if parts.scheme not in ("ws", "wss") or not host or parts.username is not None:
        raise CodexError(_no_endpoint(parts))
    tls = parts.scheme == "wss"
    shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
    target = quote(parts.path or "/", safe="%/:=&~+!$,;'@()*")
    if parts.query:
        target += "?" + quote(parts.query, safe="%/:=&~+!$,;'@()*?")
    return _Endpoint(shown, parts.netloc, target, (host, port or (443 if tls else 80)), tls)


def _no_endpoint(parts: SplitResult) -> str:
    if parts.username is not None:
        return (
            "AppServerOptions.url holds a user name or password, which app-servers do not know; "
            "AppServerOptions.token is presented to them"
        )
    return f"AppServerOptions.url begins {parts.scheme + '://'!r}: {_URL_KINDS} is expected"


def _keep_alive(raw_socket: socket.socket) -> None:
    with suppress(OSError):  # a system that has no such option waits longer
        raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if (option := getattr(socket, name, None)) is not None:
                raw_socket.setsockopt(socket.IPPROTO_TCP, option, value)


@contextmanager
def _naming(endpoint: _Endpoint, timeout: float) -> Generator[None]:
    """Turn what goes wrong on the way to a server into an error that says what to do."""
    shown = endpoint.shown
    try:
        yield
    except TimeoutError as error:
        raise CodexError(
            f"the server at {shown} did not answer within {timeout:g} seconds; is it an app-server, and "
            "is it busy or behind a firewall?"
        ) from error
    except ssl.SSLError as error:
        raise CodexError(
            f"no TLS with the server at {shown}: {_reason(error)}; where it has a certificate of an "
            "authority of yours, let the environment variable SSL_CERT_FILE name that"
        ) from error
    except (OSError, UnicodeError) as error:
        raise CodexError(
            f"cannot connect to {shown}: {_reason(error)}; {_advice(error, endpoint)}"
        ) from error
    except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
        raise CodexError(
            f"the server at {shown} ended the connection before it was open; is it an app-server?"
        ) from error


def _advice(error: BaseException, endpoint: _Endpoint) -> str:
    if isinstance(error, PermissionError):
        return "the socket of an app-server is for the user alone that has started it"
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "check the name of the host"
    return f"is an app-server running there (codex app-server --listen {endpoint.shown})?"


def _reason(error: BaseException) -> str:
    """Return what the operating system said, whichever event loop tells it."""
    cause = error.__cause__
    if isinstance(cause, BaseException) and not isinstance(error, ssl.SSLError):
        members = getattr(cause, "exceptions", (cause,))
        return ", ".join(dict.fromkeys(map(_reason, members)))
    if isinstance(error, (socket.gaierror, ssl.SSLError)):
        return str(error.strerror or error)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _remedy(refusal: Refusal, *, has_token: bool) -> str:
    if refusal.status == 401 and has_token:
        return "it does not accept AppServerOptions.token"
    if refusal.status == 401:
        return "it asks for a token, which AppServerOptions.token has to give"
    if refusal.status == 403:
        return (
            "it forbids the connection. App-servers do so where there is an Origin header, which this "
            "client does not send: look at what stands between"
        )
    body = " ".join(refusal.body.decode(errors="replace").split())
    return f"{body or 'no WebSocket'}; is this the url of an app-server?"
