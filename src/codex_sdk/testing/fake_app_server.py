"""An app-server that does what a test says: for what no real one does on demand, and without any CLI."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from inspect import isawaitable
from itertools import count
from typing import TYPE_CHECKING, Any, Union, cast

import anyio
import attrs
from anyio import AsyncContextManagerMixin
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from .._core.versions import PINNED, parse_cli_version
from .._io.task_groups import open_task_group
from .._io.transport import Farewell, Transport, how_it_exited
from ..exceptions import CodexError
from .app_server_link import Link
from .app_server_messages import (
    ClientNotification,
    ClientRequest,
    ErrorReply,
    RequestId,
    ServerRequest,
    contains,
    line_of,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FakeAppServer"]

Script = Callable[["FakeAppServer"], Awaitable[object]]
Call = Union[ClientRequest, ClientNotification]

_LATER = object()
_SHOWN = 300


@attrs.define(eq=False)
class _Expectation:
    """What a test waits for."""

    kind: type[Call]
    method: str
    params: Mapping[str, Any] | None
    settled: anyio.Event = attrs.field(factory=anyio.Event)
    call: Call | None = None

    def matches(self, call: Call) -> bool:
        return (
            isinstance(call, self.kind)
            and call.method == self.method
            and (self.params is None or contains(call.params, self.params))
        )

    def __str__(self) -> str:
        kind = "request" if self.kind is ClientRequest else "notification"
        return f"the {kind} {_shown(self.method, self.params)}"


class FakeAppServer(AsyncContextManagerMixin):
    """A scripted app-server in memory, for as long as its ``async with`` block lasts.

    *script* is what the server does, in a task of its own, so that the test can be about the client::

        from codex_sdk.app_server import AppServerClient

        async def script(server: FakeAppServer) -> None:
            await server.expect("thread/start", {"cwd": "/work"}, reply={"thread": {"id": "t-1"}})

        async with (
            FakeAppServer(script) as server,
            AppServerClient(AppServerOptions(), connect=server.connect) as client,
        ):
            assert (await client.thread_start(cwd="/work"))["thread"]["id"] == "t-1"

    The handshake is answered as by the CLI of *version*, ``initialized`` is expected; :meth:`on` gives
    replies to whatever else is asked in no certain order. Nothing waits for ever: what is expected and does
    not come within *timeout* seconds fails the script; a request that nobody expects in that time, or when
    the script has ended, is refused. A script that fails hangs up.

    Leaving the block waits for the end of the script, and raises what the script raised, or an
    ``AssertionError`` that tells what the client sent and nobody expected. An exception of the block that
    is neither a :class:`~codex_sdk.CodexError` nor a consequence of a failed script leaves as it is.

    Args:
        user_agent: what the server says of itself in the handshake, in place of what *version* gives.
        chunk_size: cuts all that the server sends into pieces of so many bytes.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        version: str = str(PINNED),
        user_agent: str | None = None,
        timeout: float = 10.0,
        chunk_size: int | None = None,
    ) -> None:
        self._script = script
        self._version = version
        self._user_agent = user_agent
        self._timeout = timeout
        self._chunk_size = chunk_size
        self._replies: dict[str, Any] = {"initialize": self._introduction, "initialized": None}
        self._calls: list[Call] = []
        self._unclaimed: list[Call] = []
        self._expectations: list[_Expectation] = []
        self._asked: dict[RequestId, ServerRequest] = {}
        self._ids = count()
        self._link: Link | None = None
        self._connections = 0
        self._connected = anyio.Event()
        self._group: TaskGroup | None = None
        self._script_begun = anyio.Event()
        self._script_over = anyio.Event()
        self._script_error: Exception | None = None
        self._complaints: list[str] = []
        self._leaving = False

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        if self._group is not None:
            raise CodexError("a FakeAppServer can be entered once: make a new one")
        error: BaseException | None = None
        async with open_task_group() as self._group:
            if self._script is not None:
                self._group.start_soon(self._play, self._script)
                await self._script_begun.wait()  # and with it, until it waits for something
            try:
                yield self
                await self._see_the_script_out()
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as raised:  # noqa: BLE001 - raised below, as itself
                error = raised
            self.hang_up()
            self._group.cancel_scope.cancel("the FakeAppServer is closed")
        self._judge(error)

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Transport, None]:
        """Connect a client: ``AppServerClient(options, connect=server.connect)``.

        A client may connect again after it has left, or after :meth:`hang_up`.

        Raises:
            CodexError: the server is not entered, or has a client.
        """
        if self._group is None or self._leaving:
            raise CodexError("the FakeAppServer is not running: enter it with `async with`")
        if self._link is not None and self._link.open:
            raise CodexError("the FakeAppServer has a client: it serves one at a time")
        link = self._link = Link(self._take_line, self._chunk_size)
        self._connections += 1
        self._connected.set()
        self._connected = anyio.Event()
        try:
            yield link
        finally:
            self._unlink(link, Farewell(None, "", "the client has left"))

    @property
    def connections(self) -> int:
        """How often a client has connected."""
        return self._connections

    @property
    def requests(self) -> tuple[ClientRequest, ...]:
        """All requests of the client's so far, the handshake's included."""
        return tuple(call for call in self._calls if isinstance(call, ClientRequest))

    @property
    def notifications(self) -> tuple[ClientNotification, ...]:
        """All notifications of the client's so far, the handshake's included."""
        return tuple(call for call in self._calls if isinstance(call, ClientNotification))

    def on(self, method: str, reply: Any = None) -> None:
        """Answer the requests of *method* that no :meth:`expect` waits for when they come.

        *reply* is the result, an :class:`ErrorReply`, or a function, async or not, of the
        :class:`ClientRequest`, which returns one of these. An async one holds up nothing but its own reply.
        Notifications of this method are expected from now on, too; their replies are not sent.
        """
        self._replies[method] = reply

    async def expect(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        reply: Any = _LATER,
        within: float | None = None,
    ) -> ClientRequest:
        """Wait for a request of the client's and return it; with *reply*, answer it as well.

        It is the first of this *method* that nobody has taken yet; others keep. *params* are what has to
        be in its params, at any depth: there may be more.

        Raises:
            AssertionError: none came in *within* seconds (default: the server's); the message tells
                what came instead.
        """
        call = await self._expect(_Expectation(ClientRequest, method, params), within)
        request = cast("ClientRequest", call)
        if reply is not _LATER:
            await request.reply(reply)
        return request

    async def expect_notification(
        self, method: str, params: Mapping[str, Any] | None = None, *, within: float | None = None
    ) -> ClientNotification:
        """Wait for a notification of the client's, as :meth:`expect` does for a request."""
        call = await self._expect(_Expectation(ClientNotification, method, params), within)
        return cast("ClientNotification", call)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Tell the client something; waits for a client, if there is none.

        Raises:
            AssertionError: the client does not come, or does not read.
        """
        await self.send_raw(line_of({"method": method, "params": dict(params or {})}))

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        within: float | None = None,
    ) -> Any:
        """Ask the client something, and return the result that it answers with.

        Raises:
            AssertionError: the client does not answer in *within* seconds (default: the server's).
            CodexAppServerError: the client answers with an error.
        """
        return await (await self.begin_asking(method, params)).answer(within=within)

    async def begin_asking(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        request_id: RequestId | None = None,
    ) -> ServerRequest:
        """Ask the client something without waiting for the answer."""
        identity = next(self._ids) if request_id is None else request_id
        request = ServerRequest(identity, method, self._timeout)
        link = await self._client()
        self._asked[identity] = request
        await self.send_on(
            link, line_of({"id": identity, "method": method, "params": dict(params or {})})
        )
        return request

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are: half a line, or no JSON."""
        await self.send_on(await self._client(), data)

    async def send_on(self, link: Link, data: bytes) -> None:
        """Send bytes to one client."""
        link.post(data)
        with anyio.move_on_after(self._timeout) as scope:
            await link.wait_for_room()
        if scope.cancelled_caught:
            raise AssertionError(f"the client has not read for {self._timeout:g} seconds")

    def hang_up(self, *, exit_code: int | None = 0, stderr: str = "", broken: bool = False) -> None:
        """End the connection, after what has been sent.

        To the client it is as if the server's process had exited so: *exit_code* is negative for a signal,
        and ``None`` for a server elsewhere; *broken* breaks the connection where it would end in due form.
        """
        how = how_it_exited(exit_code)
        if exit_code is None:
            how = "the app-server has closed the connection"
        if self._link is not None:
            self._unlink(self._link, Farewell(exit_code, stderr, how), broken=broken)

    def go_silent(self) -> None:
        """Read nothing from the client, and so answer nothing, until :meth:`wake_up`.

        What the client sends is kept up to 64 KiB, as by a pipe; then its sending waits.
        """
        if self._link is not None:
            self._link.set_silent(True)

    def wake_up(self) -> None:
        """Read what came since :meth:`go_silent`, and go on."""
        if self._link is not None:
            self._link.set_silent(False)

    async def _client(self) -> Link:
        with anyio.move_on_after(self._timeout):
            while self._link is None or not self._link.open:
                await self._connected.wait()
        if self._link is None or not self._link.open:
            raise AssertionError(f"no client came within {self._timeout:g} seconds")
        return self._link

    def _unlink(self, link: Link, farewell: Farewell, *, broken: bool = False) -> None:
        link.close(farewell, broken=broken)
        for request in self._asked.values():
            request.settle(None)
        self._asked.clear()
        self._drop_hopeless()

    async def _expect(self, expectation: _Expectation, within: float | None) -> Call:
        for call in self._unclaimed:
            if expectation.matches(call):
                self._unclaimed.remove(call)
                await checkpoint()
                return call
        bound = self._timeout if within is None else within
        self._expectations.append(expectation)
        self._drop_hopeless()
        try:
            with anyio.move_on_after(bound):
                await expectation.settled.wait()
        finally:
            self._expectations.remove(expectation)
        if expectation.call is None:
            raise AssertionError(self._unmet(expectation, bound))
        return expectation.call

    def _drop_hopeless(self) -> None:
        if self._leaving and (self._link is None or not self._link.open):
            for expectation in self._expectations:
                expectation.settled.set()

    def _unmet(self, expectation: _Expectation, bound: float) -> str:
        left = expectation.settled.is_set()
        when = "before the client left" if left else f"within {bound:g} seconds"
        came = ", ".join(_shown(call.method, call.params) for call in self._unclaimed)
        return f"{expectation} did not come {when}; what came and was not expected: {came or 'nothing'}"

    def _take_line(self, link: Link, line: bytes) -> None:
        try:
            message: Any = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self._complaints.append(f"a line that is no message: {line[:_SHOWN]!r}")
            return
        self._take(link, cast("dict[str, Any]", message))

    def _take(self, link: Link, message: dict[str, Any]) -> None:
        params: dict[str, Any] = message.get("params") or {}
        if "method" not in message:
            self._take_answer(message)
        elif "id" in message:
            request = ClientRequest(message["method"], params, message["id"], self, link)
            self._take_call(request)
        else:
            self._take_call(ClientNotification(message["method"], params))

    def _take_answer(self, message: dict[str, Any]) -> None:
        request = self._asked.pop(message.get("id", ""), None)
        if request is None:
            self._complaints.append(f"an answer to nothing that was asked: {message}")
        else:
            request.settle(message)

    def _take_call(self, call: Call) -> None:
        self._calls.append(call)
        for expectation in self._expectations:
            if expectation.call is None and expectation.matches(call):
                expectation.call = call
                expectation.settled.set()
                return
        if call.method in self._replies:
            self._serve(call, self._replies[call.method])
        else:
            self._unclaimed.append(call)
            self._start(self._lose_patience, call)

    def _serve(self, call: Call, reply: Any) -> None:
        try:
            result = reply(call) if callable(reply) else reply
        except Exception as error:  # noqa: BLE001 - the test's code; it is raised on leaving
            result = self._failed(error)
        if isawaitable(result):
            self._start(self._serve_later, call, result)
        else:
            self._reply(call, result)

    async def _serve_later(self, call: Call, reply: Awaitable[Any]) -> None:
        try:
            result = await reply
        except Exception as error:  # noqa: BLE001 - as above
            result = self._failed(error)
        self._reply(call, result)

    def _reply(self, call: Call, result: Any) -> None:
        if isinstance(call, ClientRequest):
            call.post(result)

    def _failed(self, error: Exception) -> ErrorReply:
        self._script_error = self._script_error or error
        return ErrorReply(f"{type(error).__name__}: {error}", -32603)

    async def _lose_patience(self, call: Call) -> None:
        with anyio.move_on_after(self._timeout):
            await self._script_over.wait()
        if call in self._unclaimed:
            self._unclaimed.remove(call)
            self._complaints.append(_shown(call.method, call.params))
            self._reply(call, ErrorReply(f"{call.method} is not expected by the test"))

    def _start(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        if self._group is not None:
            self._group.start_soon(work, *args)

    def _introduction(self, request: Call) -> dict[str, Any]:
        client: dict[str, Any] = request.params.get("clientInfo") or {}
        version = parse_cli_version(self._version)
        legacy = version is not None and version.legacy
        name = "codex_cli_rs" if legacy else client.get("name", "")
        about = f"({client.get('name')}; {client.get('version')})"
        agent = self._user_agent or f"{name}/{self._version} (Debian 12.0.0; x86_64) fake {about}"
        if legacy:
            return {"userAgent": agent}
        return {
            "userAgent": agent,
            "codexHome": "/nowhere/.codex",
            "platformFamily": "unix",
            "platformOs": "linux",
        }

    async def _play(self, script: Script) -> None:
        self._script_begun.set()
        try:
            await script(self)
        except Exception as error:  # noqa: BLE001 - raised on leaving
            self._script_error = self._script_error or error
            self.hang_up(exit_code=None)
        self._script_over.set()

    async def _see_the_script_out(self) -> None:
        self._leaving = True
        self._drop_hopeless()
        if self._script is None:
            return
        with anyio.move_on_after(self._timeout):
            await self._script_over.wait()
        if not self._script_over.is_set():
            raise AssertionError(f"the script has not ended within {self._timeout:g} seconds")

    def _judge(self, error: BaseException | None) -> None:
        if self._script_error is not None and (error is None or isinstance(error, Exception)):
            raise self._script_error from error
        unexpected = [*self._complaints, *(_shown(c.method, c.params) for c in self._unclaimed)]
        if unexpected and (error is None or isinstance(error, CodexError)):
            listed = "\n  ".join(unexpected)
            raise AssertionError(f"the client sent what was not expected:\n  {listed}") from error
        if error is not None:
            raise error


def _shown(method: str, params: Mapping[str, Any] | None) -> str:
    if not params:
        return method
    text = json.dumps(params, default=repr, ensure_ascii=False)
    return f"{method} {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}"
