"""The client of an app-server: one connection, for any number of threads and turns at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Mapping,
)
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import anyio
from anyio.lowlevel import checkpoint

from .._core.app_server_handshake import AppServerInfo
from .._core.app_server_input import (
    AppServerInput,
    normalize_app_server_input,
    plain,
    protocol_params,
)
from .._core.jsonrpc import Request
from .._core.routing import address_of
from .._core.server_requests import ApprovalDecisions
from .._host import current_host
from .._io.process import end_abandoned
from .._io.task_groups import open_task_group
from .._runtime.answering import NOT_MINE, answered
from .._runtime.app_server_connection import AppServerConnection, app_server_connection
from .._runtime.hosted import Hosted, Spawn
from .._runtime.reached_server import Connect
from .._runtime.request_desk import RequestDesk, RequestQueue, UnclaimedError
from .._runtime.subscriptions import TurnSubscription
from ..exceptions import AppServerClosedError, CodexError
from ..options import AppServerClientInfo, AppServerOptions
from ..protocol import ProtocolObject, structure_result, unstructure
from .approvals import RequestHandlers, handling
from .messages import AppServerNotification, AppServerRequest
from .tool_threads import ToolThreads
from .turn_session import AppServerTurnSession, SessionHost

if TYPE_CHECKING:
    from ..protocol import Request as ProtocolRequest

__all__ = ["AppServerClient", "Incoming"]

T = TypeVar("T")

_NOT_CONNECTED = (
    "the AppServerClient is not connected: enter it with `async with`, or await its start()"
)

_ENDED_LOOP = (
    "the event loop that the AppServerClient was started in has ended, and the connection with it: "
    "await its start()"
)

_KEPT_ERRORS = 100

_ELSEWHERE = (
    "the AppServerClient is in use in another event loop: make one client for each event loop, or hand the "
    "call to the client's own (anyio.from_thread.run, asyncio.run_coroutine_threadsafe)"
)


class Incoming(AsyncIterator[T], Generic[T]):
    """Iterates over what a server sends, up to the end of the client's connection.

    Raises:
        AppServerClosedError: from the iteration: the server has ended the connection.
    """

    def __init__(self, receive: Callable[[], Awaitable[T]], is_closed: Callable[[], bool]) -> None:
        self._receive = receive
        self._is_closed = is_closed

    def __aiter__(self) -> Incoming[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self._receive()
        except (anyio.EndOfStream, CodexError):
            if self._is_closed():
                raise StopAsyncIteration from None
            raise


class _Link:
    """One connection of a client, and what is particular to it."""

    def __init__(self) -> None:
        self.host = current_host()
        self.desk = RequestDesk()
        self.requests = RequestQueue()
        self.closed = False
        self.connection: AppServerConnection | None = None
        self.sessions: SessionHost | None = None

    def here(self) -> AppServerConnection:
        """Return the connection, for a task of its event loop.

        Raises:
            CodexError: the calling task is none, or the connection is not made yet.
        """
        if not self.host.is_here:
            raise CodexError(_ENDED_LOOP if self.host.closed else _ELSEWHERE)
        if self.connection is None:
            raise CodexError(_NOT_CONNECTED)
        return self.connection

    def close(self) -> None:
        """Take note that the program wants no more of it."""
        self.closed = True
        self.requests.end(_closed)


class AppServerClient(ToolThreads, anyio.AsyncContextManagerMixin):
    """Talks to a Codex app-server, which it starts, or reaches by ``AppServerOptions.url``::

        async with AppServerClient() as client:
            started = await client.thread_start(cwd=".")
            await client.turn_start(started["thread"]["id"], "Run the tests.")
            async for notification in client.notifications():
                print(notification.method)
                if notification.method == "turn/completed":
                    break

    The server lives as long as the block: leaving it, however it is left, ends the server and all that
    it has started. ``await client.start()`` and ``await client.close()`` do without a block. Either way
    a client can be used again afterwards. It may be shared by the tasks of one event loop; those
    of another are refused.

    When the server ends the connection, everything that waits for it raises
    :class:`~codex_sdk.AppServerClosedError`, and so does every later call, until :meth:`start` connects
    anew.
    """

    def __init__(
        self,
        options: AppServerOptions | None = None,
        *,
        handlers: RequestHandlers | None = None,
        connect: Connect | None = None,
    ) -> None:
        """Make a client; nothing is started before it is entered.

        Args:
            options: how the server is started or reached.
            handlers: the functions that answer what the server asks for, where the turn session has none
                for that, or the turn is followed by no session.
            connect: another way to a server: opens a transport for the time of a block, as
                :class:`codex_sdk.testing.FakeAppServer` does.
        """
        self._options = options or AppServerOptions()
        self._handlers = handlers
        self._handler_errors: deque[CodexError] = deque(maxlen=_KEPT_ERRORS)
        self._connect = connect
        self._link: _Link | None = None
        self._hosted: Hosted[AppServerConnection] | None = None
        self._closing: Hosted[AppServerConnection] | None = None
        self._spawn: Spawn | None = None

    @property
    def options(self) -> AppServerOptions:
        """The options that the client was made with."""
        return self._options

    @property
    def handler_errors(self) -> tuple[CodexError, ...]:
        """What went wrong in the client's handlers for turns that no session follows: the last hundred.

        Their requests were declined; ``__cause__`` is what they raised.
        """
        return tuple(self._handler_errors)

    def __repr__(self) -> str:
        return f"AppServerClient({self._options!r})"

    # Its life

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[AppServerClient, None]:
        if self._hosted is not None or self._spawn is not None:
            raise CodexError(
                "the AppServerClient is in use already: close it first, or make another"
            )
        async with open_task_group() as task_group:
            self._spawn = lambda function, name: task_group.start_soon(function, name=name)
            try:
                async with aclosing(self):
                    await self.start()
                    yield self
            finally:
                self._spawn = None

    async def start(self) -> None:
        """Connect, if there is no connection, and shake hands.

        Without a block, the connection lives in a task of the event loop's own, until :meth:`close`. A
        connection that the server has ended is replaced by a new one. Tasks that start the client at the
        same time share a connection; one of them that is cancelled does not end it for the others.

        Raises:
            CodexError: the options are refused, or the server cannot be started or reached, or refuses.
        """
        if await self._has_connection():
            return
        link = _Link()
        hosted = Hosted(self._block(link), _until_ended(link))
        self._link, self._hosted = link, hosted
        with self._forgetting_if_left(hosted):
            await hosted.start(self._spawn or _spawn_detached, shielded=self._spawn is not None)

    async def _has_connection(self) -> bool:
        """Wait for a connection that is being made, or ended; let go of one that has ended."""
        await self._until_closed()
        while (hosted := self._hosted) is not None:
            if hosted.host.closed:
                await self.close()
                continue
            if not hosted.host.is_here:
                raise CodexError(_ELSEWHERE)
            with self._forgetting_if_left(hosted):
                if await self._lives(hosted):
                    return True
        return False

    async def _lives(self, hosted: Hosted[AppServerConnection]) -> bool:
        if hosted.given_up:
            await hosted.left()
            return False
        connection = await hosted.entered()
        if connection.peer.failure is None:
            return True
        if self._hosted is hosted:
            await self.close()
        return False

    @contextmanager
    def _forgetting_if_left(self, hosted: Hosted[Any]) -> Generator[None, None, None]:
        try:
            yield
        finally:
            if self._hosted is hosted and hosted.is_being_left:
                self._hosted = self._link = None
                if not hosted.has_ended:  # asyncio has cancelled again who waited for that
                    self._closing = hosted

    @asynccontextmanager
    async def _block(self, link: _Link) -> AsyncGenerator[AppServerConnection, None]:
        answer = partial(self._answer, link)
        async with app_server_connection(
            self._options, on_request=answer, connect=self._connect
        ) as connection:
            link.connection = connection
            link.sessions = SessionHost(
                connection,
                link.desk,
                self._spawn or _spawn_detached,
                self._spawn is not None,
                self._handlers,
            )
            yield connection

    async def close(self) -> None:
        """End the connection, and the server if it was started here; wait until nothing of it is left.

        Turn sessions are closed first. Whatever waits for the server raises
        :class:`~codex_sdk.AppServerClosedError`, and iterations over what it sends end.

        Where another task closes the client already, the end of that is waited for. A handler or a tool may
        close the client that it serves. There, nothing is waited for: the handler is itself ended by the
        closing.

        Raises:
            CodexError: it is another event loop that the client is in use in.
        """
        hosted, link = self._hosted, self._link
        if hosted is None or link is None:
            await self._until_closed()
            return
        if not (hosted.host.is_here or hosted.host.closed):
            raise CodexError(_ELSEWHERE)
        self._hosted, self._closing = None, hosted
        link.close()
        if hosted.host.closed:
            end_abandoned()
            return
        try:
            if link.sessions is not None:
                await link.sessions.close()
        finally:  # asyncio's own cancellation is waited for by no shield
            await hosted.stop()  # noqa: ASYNC102 - it shields itself

    async def _until_closed(self) -> None:
        """Wait for the end of a connection that another task may be closing."""
        closing = self._closing
        if closing is None or closing.host.closed:
            await checkpoint()
        elif not closing.host.is_here:
            raise CodexError(_ELSEWHERE)
        else:
            await closing.left()

    async def aclose(self) -> None:
        """Do what :meth:`close` does, by the name that ``contextlib.aclosing`` knows."""
        await self.close()

    async def initialize(self, client_info: AppServerClientInfo | None = None) -> dict[str, Any]:
        """Shake hands, where ``AppServerOptions.auto_initialize`` leaves that to the program.

        Raises:
            CodexError: as :meth:`request` does; a server shakes hands once.
        """
        return await self._connection().initialize(client_info)

    @property
    def server_info(self) -> AppServerInfo:
        """What the server says of itself: its version, ``CODEX_HOME`` and platform.

        Raises:
            CodexError: there was no handshake.
        """
        connection = self._current().connection
        info = None if connection is None else connection.info
        if info is None:
            raise CodexError("the app-server has not told anything of itself: initialize() first")
        return info

    def _connection(self) -> AppServerConnection:
        return self._current().here()

    def _current(self) -> _Link:
        if self._link is None or self._link.connection is None:
            raise CodexError(_NOT_CONNECTED)
        return self._link

    # Requests of the program's

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | ProtocolObject | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Ask the server for *method* and return its answer, JSON-ready data.

        A request that times out or is cancelled leaves nothing behind; its answer is dropped. One that the
        server refuses because it is overloaded was not carried out, and is tried again within
        ``AppServerOptions.overload_timeout``.

        Args:
            params: with the keys of the protocol. Entries that are ``None`` are not sent;
                ``protocol.NULL`` is sent as ``null``.
            timeout: seconds for the answer; ``None``: ``AppServerOptions.request_timeout``, or its default;
                ``math.inf``: no limit.

        Raises:
            CodexAppServerError: the server refused; says which version is connected where that matters.
            AppServerTimeoutError: there was no answer in time.
            AppServerClosedError: the connection has ended.
            CodexError: the client is not connected, *params* is no JSON, or a turn is to be started on a
                thread that runs one.
        """
        return await self._request(method, _data(params), timeout=timeout)

    async def call(self, params: ProtocolRequest[T], *, timeout: float | None = None) -> T:
        """Ask the server for what *params* stands for, and return its typed answer::

            from codex_sdk import protocol

            async with AppServerClient() as client:
                started = await client.call(protocol.ThreadStartParams(cwd="."))
                print(started.thread.id)

        All methods of the protocol have such params. A server of another version than
        ``protocol.CODEX_VERSION`` may leave required fields out; they are ``None`` then.

        Raises:
            CodexError: as :meth:`request` does; ``CodexParseError``, where the answer is of another type.
        """
        result = await self._request(params.method, unstructure(params), timeout=timeout)
        return structure_result(params, result, lenient=self._connection().lenient)

    async def notify(
        self, method: str, params: Mapping[str, Any] | ProtocolObject | None = None
    ) -> None:
        """Tell the server something that it does not answer; *params* are as in :meth:`request`.

        Raises:
            AppServerClosedError: the connection has ended.
            CodexError: the client is not connected, or *params* is no JSON.
        """
        await self._connection().notify(method, None if params is None else _data(params))

    async def _request(
        self, method: str, params: Mapping[str, Any], *, timeout: float | None = None
    ) -> Any:
        connection = self._connection()
        thread_id = params.get("threadId")
        if method == "turn/start" and isinstance(thread_id, str):
            return await _start_turn(connection, thread_id, params, timeout)
        if method == "turn/interrupt" and isinstance(thread_id, str):
            turn_id = params.get("turnId")
            if isinstance(turn_id, str):
                return await connection.interrupt(thread_id, turn_id, timeout=timeout)
        return await connection.request(method, params, timeout=timeout)

    def turn_session(
        self,
        thread_id: str,
        input: AppServerInput,
        *,
        approvals: ApprovalDecisions | None = None,
        handlers: RequestHandlers | None = None,
        **params: Any,
    ) -> AppServerTurnSession:
        """Return a turn that starts when the result is entered (``async with``) or awaited.

        Takes the other fields of ``protocol.TurnStartParams``, in snake case.

        Args:
            thread_id: a thread that was started or resumed on this connection.
            input: a text, or items.
            approvals: what to answer to approvals, decided beforehand.
            handlers: the functions that answer what the server asks for besides.

        Raises:
            CodexError: from entering or awaiting it: the client is not connected, the thread runs a turn
                already, or the server refuses.
        """
        given = {"input": normalize_app_server_input(input), **protocol_params(params)}
        return AppServerTurnSession(
            self._session_host, thread_id, given, approvals=approvals, handlers=handlers
        )

    def _session_host(self) -> SessionHost:
        link = self._current()
        link.here()
        return cast("SessionHost", link.sessions)

    # What the server sends

    def notifications(self) -> Incoming[AppServerNotification]:
        """Iterate over the notifications that no turn session takes, in order, until the client is closed.

        There is one stream of them: two iterations share it. Of a stream that nobody reads, the newest
        notifications are kept, some thousands.

        Raises:
            AppServerClosedError: from the iteration: the server has ended the connection, and all that
                came before is read.
            CodexError: the client is not connected.
        """
        link = self._current()
        return Incoming(partial(_next_notification, link), lambda: link.closed)

    async def next_notification(self) -> AppServerNotification:
        """Return the next notification that no turn session takes, waiting for it.

        Raises:
            AppServerClosedError: the connection has ended, and all that came before is read.
            CodexError: the client is not connected.
        """
        return await _next_notification(self._current())

    def requests(self) -> Incoming[AppServerRequest]:
        """Iterate over the requests of the server that nobody else answers, until the client is closed.

        Whoever takes a request from here is to answer it, by :meth:`respond`. One that nobody takes within
        ``AppServerOptions.unclaimed_request_timeout`` is declined.

        Raises:
            AppServerClosedError: from the iteration: the server has ended the connection.
            CodexError: the client is not connected.
        """
        link = self._current()
        return Incoming(partial(_next_request, link), lambda: link.closed)

    async def next_request(self) -> AppServerRequest:
        """Take the next request of the server that nobody else answers, waiting for it.

        Raises:
            AppServerClosedError: the connection has ended.
            CodexError: the client is not connected.
        """
        return await _next_request(self._current())

    async def respond(
        self,
        request_id: int | str,
        result: Any = None,
        *,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """Answer a request that was taken from :meth:`requests`, or from those of a turn session.

        An answer to a request whose turn has ended meanwhile is dropped.

        Args:
            result: JSON-ready data, or an object of :mod:`codex_sdk.protocol`.
            error: in place of a result: ``{"code": …, "message": …}``. Approvals are declined instead
                where the CLI is of the generation of 0.80, whose turn would hang.

        Raises:
            CodexError: no such request waits for an answer, or the answer is no JSON.
        """
        link = self._current()
        link.here()
        link.desk.respond(request_id, result, error=error)
        await checkpoint()

    async def _answer(self, link: _Link, request: Request, turn: TurnSubscription | None) -> Any:
        """Have a request of the server's answered: by who follows its turn, or who takes it, or safely."""
        if turn is not None and turn.on_request is not None:
            return await turn.on_request(request)
        connection = link.connection
        handled = handling(
            self._handlers,
            lenient=connection is None or connection.lenient,
            is_over=lambda: False,
            on_unfinished=self._handler_errors.append,
        )

        async def from_requests(request: Request) -> Any:
            timeout = self._options.unclaimed_request_timeout
            try:
                return await link.desk.answer_to(request, link.requests, timeout)
            except UnclaimedError:
                return NOT_MINE

        return await answered(
            request,
            (handled, from_requests),
            on_error=self._handler_errors.append,
            legacy=connection is not None and connection.legacy,
        )


def _data(params: Mapping[str, Any] | ProtocolObject | None) -> Mapping[str, Any]:
    if isinstance(params, ProtocolObject):
        return unstructure(params)
    return {key: plain(value) for key, value in (params or {}).items() if value is not None}


async def _start_turn(
    connection: AppServerConnection,
    thread_id: str,
    params: Mapping[str, Any],
    timeout: float | None,
) -> Any:
    """Start a turn whose notifications nobody takes, unless the thread runs one already."""
    peer = connection.peer

    def take_note(result: Any) -> None:
        if isinstance(result, dict) and (turn_id := address_of(cast("Any", result)).turn_id):
            peer.take_note_of_turn(thread_id, turn_id)

    with peer.following(thread_id):
        return await connection.request("turn/start", params, timeout=timeout, on_result=take_note)


async def _next_notification(link: _Link) -> AppServerNotification:
    connection = link.here()
    notification = await connection.peer.notifications.receive()
    return AppServerNotification(
        notification.method, notification.params, lenient=connection.lenient
    )


async def _next_request(link: _Link) -> AppServerRequest:
    connection = link.here()
    request = await link.requests.receive()
    return AppServerRequest(request.id, request.method, request.params, lenient=connection.lenient)


def _until_ended(link: _Link) -> Callable[[AppServerConnection], Awaitable[None]]:
    async def wait(connection: AppServerConnection) -> None:
        await connection.peer.wait_closed()
        link.requests.end(lambda: connection.peer.failure or _closed())

    return wait


def _closed() -> CodexError:
    return AppServerClosedError("the connection to the app-server was closed")


def _spawn_detached(function: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    current_host().spawn(function, name=name)
