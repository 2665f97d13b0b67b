"""An app-server over a WebSocket: what arrives, what is answered, and what is said when it does not work."""

from __future__ import annotations

import asyncio
import builtins
import errno
import os
import re
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    TextMessage,
)

from codex_sdk import CodexAppServerError, CodexError
from codex_sdk._io.process import ChildProcess, new_marker, owned_process
from codex_sdk._io.transport import Transport
from codex_sdk._io.websocket import websocket_transport
from codex_sdk._io.websocket_protocol import ClientProtocol
from codex_sdk._runtime.peer import Peer, connected_peer
from codex_sdk.testing import ModelServer

from .websocket_server import HELLO, ServerEnd, serving

TOKEN = "s3cret-token"
MIB = 1024 * 1024


async def line_of(transport: Transport) -> bytes:
    """Return what is received up to the next newline."""
    received = b""
    with anyio.fail_after(10):
        while not received.endswith(b"\n"):
            received += await transport.receive()
    return received


async def end_of(transport: Transport) -> str:
    """Return how an orderly end is told."""
    with anyio.fail_after(10), pytest.raises(anyio.EndOfStream):
        await transport.receive()
    return (await transport.farewell()).how


async def break_of(transport: Transport) -> str:
    """Return how a break is told."""
    with anyio.fail_after(10), pytest.raises(anyio.BrokenResourceError) as caught:
        await transport.receive()
    farewell = await transport.farewell()
    assert (farewell.exit_code, farewell.stderr) == (None, "")
    assert farewell.how == str(caught.value)
    return farewell.how


# What goes over


async def echo(server: ServerEnd) -> None:
    await server.accept()
    await server.say(TextMessage(await server.hear_text()))
    await server.close_in_due_form()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_messages_go_over_tcp(host: str) -> None:
    async with serving(echo, host=host) as url:
        async with websocket_transport(url) as transport:
            await transport.send(HELLO.encode() + b"\n")
            assert await line_of(transport) == HELLO.encode() + b"\n"


async def test_messages_go_over_a_unix_socket(tmp_path: Path) -> None:
    async with serving(echo, path=tmp_path / "socket") as url:
        assert url.startswith("unix:///")
        async with websocket_transport(url) as transport:
            await transport.send(HELLO.encode() + b"\n")
            assert await line_of(transport) == HELLO.encode() + b"\n"


async def test_the_server_hears_the_message_without_its_newline() -> None:
    heard: list[str] = []

    async def serve(server: ServerEnd) -> None:
        await server.accept()
        heard.extend([await server.hear_text(), await server.hear_text()])
        await server.close_in_due_form()

    async with serving(serve) as url, websocket_transport(url) as transport:
        await transport.send(b'{"a": 1}\n')
        await transport.send(b'{"b": "' + b"x" * MIB + b'"}\n')
    assert heard == ['{"a": 1}', '{"b": "' + "x" * MIB + '"}']


async def test_the_request_bears_the_token_and_no_origin() -> None:
    requests = []

    async def serve(server: ServerEnd) -> None:
        requests.append(await server.accept())
        await server.close_in_due_form()

    async with serving(serve) as url:
        async with websocket_transport(f"{url}/a path?q=ü", f"{TOKEN}\n"):
            pass
        async with websocket_transport(url):
            pass
    headers = [{name.decode(): value for name, value in r.extra_headers} for r in requests]
    assert headers[0]["authorization"] == f"Bearer {TOKEN}".encode()
    assert "authorization" not in headers[1]
    assert not {"origin", "cookie"} & {*headers[0], *headers[1]}
    assert requests[0].host == url.partition("://")[2]
    assert [request.target for request in requests] == ["/a%20path?q=%C3%BC", "/"]


async def test_the_host_of_a_unix_socket_is_localhost(tmp_path: Path) -> None:
    hosts = []

    async def serve(server: ServerEnd) -> None:
        hosts.append((await server.accept()).host)
        await server.close_in_due_form()

    async with serving(serve, path=tmp_path / "socket") as url, websocket_transport(url):
        pass
    assert hosts == ["localhost"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the files of a certificate for localhost, which signs itself, and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {key} -out {certificate} -days 3 -subj /CN=localhost"  # noqa: E501
    for extension in (
        "subjectAltName=DNS:localhost",
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,digitalSignature,keyCertSign",
    ):
        command += f" -addext {extension}"
    try:
        subprocess.run(command.split(), check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl, to make a certificate with")
    return certificate, key


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


async def test_messages_go_over_tls(
    tls: ssl.SSLContext, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    async with serving(echo, tls=tls) as url:
        assert url.startswith("wss://")
        async with websocket_transport(url, TOKEN) as transport:
            await transport.send(HELLO.encode() + b"\n")
            assert await line_of(transport) == HELLO.encode() + b"\n"


async def test_the_end_of_a_connection_over_tls_is_none_but_an_end(
    tls: ssl.SSLContext, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    async def serve(server: ServerEnd) -> None:
        await server.accept()

    async with serving(serve, tls=tls) as url, websocket_transport(url) as transport:
        assert "ended without the closing of a WebSocket" in await end_of(transport)


async def test_a_certificate_that_is_not_trusted_is_refused_with_the_remedy(
    tls: ssl.SSLContext,
) -> None:
    async def unreached(_: ServerEnd) -> None:
        raise AssertionError("no connection was to come about")

    async with serving(unreached, tls=tls) as url:
        with pytest.raises(CodexError, match="SSL_CERT_FILE") as caught:
            async with websocket_transport(url, TOKEN):
                pass
    assert url in str(caught.value)
    assert "certificate" in str(caught.value)


async def test_a_server_without_tls_is_told_from_one_with() -> None:
    async def serve(server: ServerEnd) -> None:
        await server.stream.receive()
        await server.stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(serve) as url:
        url = url.replace("ws://127.0.0.1", "wss://localhost")
        with pytest.raises(CodexError, match=f"no TLS with the server at {url}: "):
            async with websocket_transport(url):
                pass


async def test_a_connection_over_tcp_finds_out_about_a_host_that_has_vanished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sockets: list[socket.socket] = []
    connect = anyio.connect_tcp

    async def spy(*args: Any, **options: Any) -> Any:
        stream = await connect(*args, **options)
        sockets.append(stream.extra(SocketAttribute.raw_socket))
        return stream

    monkeypatch.setattr(anyio, "connect_tcp", spy)
    async with serving(echo) as url, websocket_transport(url) as transport:
        assert sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 120
        await transport.send(b"{}\n")
        await line_of(transport)


# What the server sends


async def test_fragments_are_joined_and_binary_messages_taken_as_text() -> None:
    async def serve(server: ServerEnd) -> None:
        await server.accept()
        for piece in ('{"a":', ' "b', '"}'):
            await server.say(TextMessage(piece, message_finished=piece.endswith("}")))
            await server.say(Ping(b"in between"))
        await server.say(BytesMessage(b'{"c": 3}'))
        while not isinstance(event := await server.hear(), CloseConnection):
            assert isinstance(event, Pong)
        await server.say(event.response())

    async with serving(serve) as url, websocket_transport(url) as transport:
        received = b""
        while received.count(b"\n") < 2:
            received += await line_of(transport)
    assert received == b'{"a": "b"}\n{"c": 3}\n'


async def test_newlines_within_a_message_do_not_end_the_line() -> None:
    async def serve(server: ServerEnd) -> None:
        await server.accept()
        await server.say(TextMessage('{\n  "a": 1\n}\n'))
        await server.close_in_due_form()

    async with serving(serve) as url, websocket_transport(url) as transport:
        assert await line_of(transport) == b'{   "a": 1 } \n'


async def test_pings_are_answered_while_nobody_sends() -> None:
    async def serve(server: ServerEnd) -> None:
        await server.accept()
        await server.say(Ping(b"are you there?"))
        pong = await server.hear()
        assert isinstance(pong, Pong)
        assert pong.payload == b"are you there?"
        await server.say(TextMessage("{}"))
        await server.close_in_due_form()

    async with serving(serve) as url, websocket_transport(url) as transport:
        assert await line_of(transport) == b"{}\n"


async def test_a_server_that_takes_nothing_does_not_keep_us_from_reading() -> None:
    gate = anyio.Event()
    size = 4 * MIB

    async def serve(server: ServerEnd) -> None:
        await server.accept()
        await gate.wait()  # until the client's sending is stuck
        for number in range(100):
            await server.say(Ping(str(number).encode()))
            await server.say(TextMessage(f'{{"n": {number}}}'))
        assert len(await server.hear_text()) == size
        while not isinstance(event := await server.hear(), CloseConnection):
            assert isinstance(event, Pong)
        await server.say(event.response())

    async with serving(serve) as url, websocket_transport(url) as transport:
        async with anyio.create_task_group() as group:
            group.start_soon(transport.send, b"x" * size + b"\n")
            await anyio.wait_all_tasks_blocked()
            gate.set()
            received = b""
            while received.count(b"\n") < 100:
                received += await line_of(transport)


@pytest.mark.parametrize("fragments", [1, 8])
async def test_a_message_that_is_too_long_breaks_the_connection(fragments: int) -> None:
    async def serve(server: ServerEnd) -> None:
        await server.accept()
        await server.say(TextMessage("x" * 1000))
        for number in range(fragments):
            piece = "x" * (
                1001 // fragments if number else 1001 - 1001 // fragments * (fragments - 1)
            )
            await server.say(TextMessage(piece, message_finished=number == fragments - 1))
        close = await server.hear()
        assert isinstance(close, CloseConnection)
        assert close.code == 1009

    async with serving(serve) as url:
        async with websocket_transport(url, max_message_bytes=1000) as transport:
            assert await line_of(transport) == b"x" * 1000 + b"\n"
            how = await break_of(transport)
            assert how == (
                f"the connection to {url} brought a message of more than 1000 bytes, the limit that "
                "AppServerOptions.max_line_bytes sets"
            )
            assert await break_of(transport) == how


# How it ends


async def test_a_close_of_the_server_is_answered_and_told() -> None:
    async def serve(server: ServerEnd) -> None:
        await server.accept()
        await server.say(TextMessage("{}"))
        await server.say(CloseConnection(1001, "I am leaving"))
        answer = await server.hear()
        assert isinstance(answer, CloseConnection)
        assert answer.code == 1001

    async with serving(serve) as url, websocket_transport(url) as transport:
        assert await line_of(transport) == b"{}\n"
        how = await end_of(transport)
        assert (
            how
            == f"the connection to {url} was closed by the server (1001 going away: I am leaving)"
        )
        with pytest.raises(anyio.BrokenResourceError, match="1001 going away"):
            await transport.send(b"{}\n")
        assert await end_of(transport) == how


async def test_a_server_that_is_gone_ends_the_stream_after_what_it_sent() -> None:
    async def serve(server: ServerEnd) -> None:
        await server.accept()
        await server.say(TextMessage("{}"))
        await server.say(TextMessage("{", message_finished=False))

    async with serving(serve) as url, websocket_transport(url) as transport:
        assert await line_of(transport) == b"{}\n"
        assert await end_of(transport) == (
            f"the connection to {url} ended without the closing of a WebSocket"
        )


async def test_a_connection_that_is_reset_has_broken() -> None:
    async def serve(server: ServerEnd) -> None:
        await server.accept()
        raw = server.stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with serving(serve) as url, websocket_transport(url) as transport:
        assert await break_of(transport) == (
            f"the connection to {url} broke: Connection reset by peer"
        )


@pytest.mark.parametrize(
    ("frame", "code", "fault"),
    [
        (b"\x81\x01\xff", 1007, "invalid start byte"),
        (b"\x81\x81\0\0\0\0a", 1002, "masked"),
        (b"\x83\0", 1002, "opcode"),
        (b"\xc1\x01a", 1002, "Reserved bit"),
    ],
)
async def test_what_is_no_websocket_breaks_the_connection(
    frame: bytes, code: int, fault: str
) -> None:
    async def serve(server: ServerEnd) -> None:
        await server.accept()
        await server.stream.send(frame)
        close = await server.hear()
        assert isinstance(close, CloseConnection)
        assert close.code == code

    async with serving(serve) as url, websocket_transport(url) as transport:
        how = await break_of(transport)
        assert "broke the rules of WebSocket" in how
        assert fault in how


async def test_leaving_closes_in_due_form_after_all_that_was_sent() -> None:
    closes = []

    async def serve(server: ServerEnd) -> None:
        await server.accept()
        assert await server.hear_text() == "last words"
        await server.say(TextMessage("{}"))  # what nobody reads any more
        closes.append(await server.close_in_due_form())

    async with serving(serve) as url, websocket_transport(url) as transport:
        await transport.send(b"last words\n")
    assert [close.code for close in closes] == [1000]


async def hang(server: ServerEnd) -> None:
    await server.accept()
    await anyio.sleep_forever()


async def flood(server: ServerEnd) -> None:
    await server.accept()
    with suppress(anyio.BrokenResourceError):
        while True:
            await server.say(TextMessage("x" * 1000))


@pytest.mark.parametrize("serve", [hang, flood])
async def test_leaving_waits_for_no_server_that_does_not_take_part(serve: Any) -> None:
    with anyio.fail_after(15):
        async with serving(serve, patient=False) as url, websocket_transport(url):
            pass


async def test_leaving_with_a_message_stuck_half_way_closes_the_connection() -> None:
    with anyio.fail_after(15):
        async with serving(hang, patient=False) as url, websocket_transport(url) as transport:
            with anyio.move_on_after(0.1) as scope:
                await transport.send(b"x" * 30 * MIB + b"\n")
            assert scope.cancelled_caught
            with pytest.raises(anyio.BrokenResourceError, match="a part of a message"):
                await transport.send(b"{}\n")


async def test_a_cancelled_block_closes_in_due_form() -> None:
    closes = []

    async def serve(server: ServerEnd) -> None:
        await server.accept()
        closes.append(await server.close_in_due_form())

    async with serving(serve) as url:
        with anyio.CancelScope() as scope:
            async with websocket_transport(url) as transport:
                scope.cancel()
                await transport.receive()
        assert scope.cancelled_caught
    assert len(closes) == 1


async def test_a_cancelled_receive_has_lost_nothing() -> None:
    gate = anyio.Event()

    async def serve(server: ServerEnd) -> None:
        await server.accept()
        await server.say(TextMessage('{"a":', message_finished=False))
        await gate.wait()
        await server.say(TextMessage("1}"))
        await server.close_in_due_form()

    async with serving(serve) as url, websocket_transport(url) as transport:
        with anyio.move_on_after(0.1):
            await transport.receive()
        gate.set()
        assert await line_of(transport) == b'{"a":1}\n'


async def test_an_exception_of_the_block_leaves_as_itself() -> None:
    async def serve(server: ServerEnd) -> None:
        await server.accept()
        await server.close_in_due_form()

    async with serving(serve) as url:
        with pytest.raises(LookupError, match="mine"):
            async with websocket_transport(url):
                raise LookupError("mine")


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"debug": True})], ids=["asyncio"])
@pytest.mark.parametrize("times", [1, 2, 100])
async def test_a_native_cancellation_leaves_nothing_open(times: int) -> None:
    async with serving(hang, patient=False) as url:
        connected = asyncio.Event()

        async def hold() -> None:
            async with websocket_transport(url) as transport:
                connected.set()
                await transport.send(b"x" * 30 * MIB + b"\n")

        task = asyncio.create_task(hold())
        await connected.wait()
        for _ in range(times):
            if not task.done():
                task.cancel()
                await asyncio.sleep(0)
        with anyio.fail_after(10), pytest.raises(asyncio.CancelledError):
            await task
        assert not [link for link in _sockets_to(url) if link]


def _sockets_to(url: str) -> list[str]:
    """Return the connections of this process to a port, of the client's side."""
    import psutil

    port = int(url.rpartition(":")[2])
    return [
        str(link)
        for link in psutil.Process().net_connections("tcp")
        if link.raddr and link.raddr.port == port
    ]


# What is said when it does not work


async def refusal_of(url: str, token: str | None = None, **options: Any) -> str:
    with anyio.fail_after(20), pytest.raises(CodexError) as caught:
        async with websocket_transport(url, token, **options):
            raise AssertionError("there was to be no connection")
    assert type(caught.value) is CodexError
    assert TOKEN not in str(caught.value)
    return str(caught.value)


def closed_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nobody_listens_on_the_port(host: str) -> None:
    url = f"ws://{host}:{closed_port()}"
    assert await refusal_of(url, TOKEN) == (
        f"cannot connect to {url}: Connection refused; is an app-server running there "
        f"(codex app-server --listen {url})?"
    )


async def test_there_is_no_socket(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/socket"
    assert await refusal_of(url) == (
        f"cannot connect to {url}: No such file or directory; is an app-server running there "
        f"(codex app-server --listen {url})?"
    )


async def test_nobody_listens_on_the_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "socket"))
    assert "Connection refused" in await refusal_of(f"unix://{tmp_path}/socket")


async def test_the_socket_is_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forbidden(*_: Any) -> Any:  # for root, none is
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(anyio, "connect_unix", forbidden)
    assert await refusal_of("unix:///socket") == (
        "cannot connect to unix:///socket: Permission denied; the socket of an app-server is for the "
        "user alone that has started it"
    )


async def test_the_host_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(anyio, "connect_tcp", nowhere)
    assert await refusal_of("ws://nowhere.invalid:1") == (
        "cannot connect to ws://nowhere.invalid:1: Name or service not known; check the name of the host"
    )


def answering(status: int, body: bytes = b"") -> Callable[[ServerEnd], Any]:
    async def serve(server: ServerEnd) -> None:
        await server.hear()
        headers = [(b"content-length", str(len(body)).encode())]
        await server.say(RejectConnection(status_code=status, headers=headers, has_body=True))
        await server.say(RejectData(body))

    return serve


@pytest.mark.parametrize(
    ("status", "token", "told"),
    [
        (401, None, "HTTP 401: it asks for a token, which AppServerOptions.token has to give"),
        (401, TOKEN, "HTTP 401: it does not accept AppServerOptions.token"),
        (
            403,
            TOKEN,
            "HTTP 403: it forbids the connection. App-servers do so where there is an Origin",
        ),
        (404, None, "HTTP 404: not here, my friend; is this the url of an app-server?"),
        (200, None, "HTTP 200: not here, my friend; is this the url of an app-server?"),
    ],
)
async def test_the_server_refuses(status: int, token: str | None, told: str) -> None:
    async with serving(answering(status, b"not here,\r\n my friend")) as url:
        message = await refusal_of(url, token)
    assert message.startswith(f"the server at {url} answers {told}")


async def test_a_refusal_without_an_end_is_told_all_the_same() -> None:
    async def serve(server: ServerEnd) -> None:
        await server.hear()
        await server.stream.send(b"HTTP/1.1 401 No\r\ncontent-length: 10\r\n\r\n")
        await anyio.sleep_forever()

    async with serving(serve, patient=False) as url:
        assert "HTTP 401" in await refusal_of(url)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 101",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\0\x02\x02\x46",
        b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: \xff\r\n\r\n",
    ],
)
async def test_the_server_is_no_app_server(answer: bytes) -> None:
    async def serve(server: ServerEnd) -> None:
        await server.hear()
        if answer:
            await server.stream.send(answer)

    async with serving(serve) as url:
        message = await refusal_of(url, TOKEN)
    assert message.startswith(f"the connection to {url} ")
    assert message.endswith(", before it was open; is this an app-server?")


async def test_a_server_that_does_not_answer_is_given_up() -> None:
    async def serve(server: ServerEnd) -> None:
        await anyio.sleep_forever()

    async with serving(serve, patient=False) as url:
        message = await refusal_of(url, connect_timeout=0.1)
    assert message.startswith(f"the server at {url} did not answer within 0.1 seconds")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1", "begins 'http://': ws://host:port, wss://host:port or unix:///path"),
        ("127.0.0.1:1", "ws://host:port, wss://host:port or unix:///path"),
        ("ws://", "ws://host:port, wss://host:port or unix:///path"),
        ("ws://host:99999", "is no url: ws://host:port"),
        ("ws://[::1", "is no url: ws://host:port"),
        (f"ws://me:{TOKEN}@host", "AppServerOptions.token is presented to them"),
        ("unix://", "names no Unix socket"),
        ("", "ws://host:port, wss://host:port or unix:///path"),
    ],
)
async def test_what_is_no_url_is_refused(url: str, told: str) -> None:
    assert told in await refusal_of(url)


@pytest.mark.parametrize("token", ["", " \n", f"{TOKEN} and more", f"{TOKEN}\r\nX: y", f"{TOKEN}ü"])
async def test_what_is_no_token_is_refused(token: str) -> None:
    assert "AppServerOptions.token is no bearer token" in await refusal_of("ws://host", token)


async def test_the_query_of_the_url_which_may_hold_a_secret_is_not_told() -> None:
    message = await refusal_of(f"ws://127.0.0.1:{closed_port()}/path?token={TOKEN}")
    assert "/path:" in message
    assert "?token" not in message


async def test_without_wsproto_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if "websocket_protocol" in name:
            raise ImportError("No module named 'wsproto'")
        return real_import(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "pip install 'codex-sdk-python[websocket]'" in await refusal_of("ws://host")


# Any splitting of the server's bytes


def server_bytes(request: bytes, messages: list[list[str]], close: bool) -> bytes:
    """Return all that a server sends whose messages come in these fragments, with pings in between."""
    server = WSConnection(ConnectionType.SERVER)
    server.receive_data(request)
    list(server.events())
    sent = server.send(AcceptConnection())
    for fragments in messages:
        for number, fragment in enumerate(fragments):
            sent += server.send(Ping(b"p"))
            last = number == len(fragments) - 1
            sent += server.send(TextMessage(fragment, message_finished=last))
    return sent + (server.send(CloseConnection(1000)) if close else b"")


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    cut = []
    for size in sizes:
        cut.append(data[:size])
        data = data[size:]
    return [piece for piece in [*cut, data] if piece]


fragmented = st.lists(st.text(max_size=150), min_size=1, max_size=4)


@given(
    messages=st.lists(fragmented, max_size=4),
    sizes=st.lists(st.integers(1, 300), max_size=30),
    close=st.booleans(),
)
@example(messages=[["é😀"]], sizes=[1] * 400, close=True)
@example(messages=[["a\nb", "\n"]], sizes=[], close=True)
def test_lines_do_not_depend_on_how_the_bytes_are_cut(
    messages: list[list[str]], sizes: list[int], close: bool
) -> None:
    client = ClientProtocol(MIB)
    sent = server_bytes(client.open("host", "/", []), messages, close)
    received = b""
    replies = 0
    for piece in pieces(sent, sizes):
        client.feed(piece)
        received += client.take_lines()
        replies += client.has_replies()
        client.take_replies()
    assert client.accepted
    assert received == b"".join(
        "".join(fragments).replace("\n", " ").encode() + b"\n" for fragments in messages
    )
    assert (client.ending is not None) == close
    assert bool(replies) == (bool(messages) or close)


@given(st.binary(min_size=1, max_size=50), st.booleans())
def test_what_comes_after_the_end_changes_nothing(more: bytes, by_us: bool) -> None:
    client = ClientProtocol(MIB)
    sent = server_bytes(client.open("host", "/", []), [["a"]], close=True)
    client.feed(sent[:-4])
    if by_us:
        client.close()
    client.feed(sent[-4:])
    client.take_replies()
    ending = client.ending
    assert ending is not None
    assert not ending.broken
    client.feed(more)
    client.feed_end()
    assert client.ending is ending
    assert client.take_lines() == b"a\n"


@given(text=st.text(min_size=1, max_size=50), data=st.data())
def test_a_character_may_be_split_between_frames(text: str, data: st.DataObject) -> None:
    client = ClientProtocol(MIB)
    sent = server_bytes(client.open("host", "/", []), [], close=False)
    encoded = text.encode()
    at = data.draw(st.integers(0, len(encoded)))
    head, tail = encoded[:at], encoded[at:]
    client.feed(sent + _frame(0x01, head) + _frame(0x80, tail))
    assert client.take_lines() == encoded.replace(b"\n", b" ") + b"\n"


def _frame(first: int, payload: bytes) -> bytes:
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    return bytes([first, 126]) + struct.pack("!H", len(payload)) + payload


@given(st.binary(max_size=300), st.lists(st.integers(1, 50), max_size=10))
def test_no_bytes_of_the_server_make_an_exception(noise: bytes, sizes: list[int]) -> None:
    client = ClientProtocol(100)
    sent = server_bytes(client.open("host", "/", []), [["a"]], close=False)
    for piece in pieces(sent + noise, sizes):
        client.feed(piece)
        client.take_replies()
    client.feed_end()
    assert client.ending is not None


@given(st.binary(max_size=300))
def test_no_bytes_in_place_of_the_handshake_make_an_exception(noise: bytes) -> None:
    client = ClientProtocol(100)
    client.open("host", "/", [])
    client.feed(noise)
    client.feed_end()
    assert client.ending is not None
    assert not client.accepted


@pytest.mark.parametrize("size", [10, 1000])
def test_a_large_message_in_many_pieces_arrives_whole(size: int) -> None:
    client = ClientProtocol(64 * MIB)
    sent = server_bytes(client.open("host", "/", []), [["x" * (2000 * size)]], close=False)
    for start in range(0, len(sent), size):
        client.feed(sent[start : start + size])
    assert len(client.take_lines()) == 2000 * size + 1


# The real thing


INITIALIZE = {"clientInfo": {"name": "tester", "version": "1"}}

Listening = Callable[..., Any]


@pytest.fixture
def listening(codex_cli: str, tmp_path: Path) -> Listening:
    """Run the real app-server where it is told to listen; gives the url at which it does."""
    told = subprocess.run([codex_cli, "--version"], capture_output=True, text=True, check=True)
    if told.stdout.split()[-1].startswith("0.80."):
        pytest.skip("0.80 has no --listen")

    @asynccontextmanager
    async def listening(url: str, *arguments: str) -> AsyncIterator[tuple[str, ChildProcess]]:
        command = [codex_cli, "app-server", "--listen", url, *arguments]
        async with ModelServer() as server:
            env = {**(server.codex_options().env or {}), **dict([new_marker()])}
            async with owned_process(command, env=env, cwd=str(tmp_path), input=b"") as process:
                yield await _address(process, url), process

    return listening


async def _address(process: ChildProcess, url: str) -> str:
    with anyio.fail_after(30):
        while process.live:
            found = re.search(r"listening on: (ws://[\d.:]+)", process.stderr_tail)
            if found is not None:
                return found[1]
            if url.startswith("unix://") and Path(url[len("unix://") :]).is_socket():
                return url
            await anyio.sleep(0.02)
    raise AssertionError(f"the app-server has exited: {await process.stderr()}")


@asynccontextmanager
async def talking(url: str, token: str | None = None) -> AsyncIterator[Peer]:
    """Talk to the app-server, after the handshake."""

    async def refuse(*_: object) -> Any:
        raise CodexAppServerError(-32601, "nothing is expected")

    async with (
        websocket_transport(url, token) as transport,
        connected_peer(transport, on_request=refuse, max_line_bytes=64 * MIB) as peer,
    ):
        with anyio.fail_after(20):
            result = await peer.request("initialize", INITIALIZE)
        assert result["userAgent"].startswith("tester/")
        yield peer


async def test_the_real_app_server_over_tcp(listening: Listening) -> None:
    async with listening("ws://127.0.0.1:0") as (url, _):
        async with talking(url), talking(url):
            pass


async def test_the_real_app_server_over_a_unix_socket(listening: Listening, tmp_path: Path) -> None:
    async with listening(f"unix://{tmp_path}/socket") as (url, _):
        async with talking(url):
            pass


async def test_the_real_app_server_with_a_token(listening: Listening, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    arguments = ["--ws-auth", "capability-token", "--ws-token-file", str(file)]
    async with listening("ws://127.0.0.1:0", *arguments) as (url, _):
        async with talking(url, file.read_text()):
            pass
        assert "it asks for a token" in await refusal_of(url)
        assert "does not accept AppServerOptions.token" in await refusal_of(url, "another")


async def test_the_real_app_server_takes_long_messages_and_answers_at_length(
    listening: Listening,
) -> None:
    async with listening("ws://127.0.0.1:0") as (url, _), talking(url) as peer:
        with anyio.fail_after(20), pytest.raises(CodexAppServerError) as caught:
            await peer.request("bogus/" + "x" * 5 * MIB, {})
        assert len(caught.value.message) > 5 * MIB


async def test_the_end_of_the_real_app_server_ends_the_connection(listening: Listening) -> None:
    async with listening("ws://127.0.0.1:0") as (url, process), talking(url) as peer:
        os.kill(process.pid, 9)
        with anyio.fail_after(10):
            await peer.wait_closed()
        assert url in str(peer.failure)
