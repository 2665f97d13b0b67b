"""One turn on an app-server, as a program holds it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
import attrs
from anyio.lowlevel import checkpoint

from .._core.app_server_input import AppServerInput, normalize_app_server_input, protocol_params
from .._core.jsonrpc import Request
from .._core.server_requests import COMMAND_APPROVAL, ApprovalDecisions
from .._runtime.answering import NOT_MINE, answered, deciding
from .._runtime.app_server_connection import AppServerConnection
from .._runtime.app_server_turn import RunningTurn, running_turn
from .._runtime.failures import fresh
from .._runtime.hosted import Hosted, Spawn
from .._runtime.request_desk import RequestDesk, RequestQueue, UnclaimedError
from ..exceptions import CodexError
from .approvals import RequestHandlers, UnfinishedHandlerError, handling
from .messages import AppServerNotification, AppServerRequest

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AppServerTurnSession", "SessionHost"]

T = TypeVar("T")

_TEXT = "item/agentMessage/delta"

_ELSEWHERE = (
    "the turn session belongs to a client in another event loop: make one client for each event loop, or "
    "hand the call to that one (anyio.from_thread.run, asyncio.run_coroutine_threadsafe)"
)


def _none() -> set[AppServerTurnSession]:
    return set()


@attrs.frozen(eq=False)
class SessionHost:
    """What the sessions of one connection share.

    Attributes:
        connection: the connection.
        desk: where requests wait for the program.
        spawn: starts the task in which a turn lives.
        shielded: whether that task is told to end by :meth:`close` alone.
        handlers: what the client has, for what a session has no handler for.
        sessions: the sessions whose turn runs.
    """

    connection: AppServerConnection
    desk: RequestDesk
    spawn: Spawn
    shielded: bool
    handlers: RequestHandlers | None
    sessions: set[AppServerTurnSession] = attrs.field(factory=_none)

    async def close(self) -> None:
        """End all sessions, whatever happens to the waiting task."""
        sessions = tuple(self.sessions)
        for session in sessions:
            session._begin_to_close()
        for session in sessions:
            await session.close()


class Each(AsyncIterator[T], Generic[T]):
    """Iterates over what *receive* returns, up to the first ``None``."""

    def __init__(self, receive: Callable[[], Awaitable[T | None]]) -> None:
        self._receive = receive

    def __aiter__(self) -> Each[T]:
        return self

    async def __anext__(self) -> T:
        value = await self._receive()
        if value is None:
            raise StopAsyncIteration
        return value


class AppServerTurnSession(anyio.AsyncContextManagerMixin):
    """A turn, its notifications, and its requests; made by :meth:`AppServerClient.turn_session`.

    The form to prefer ends the turn with its block::

        async with AppServerClient() as client:
            started = await client.thread_start(cwd=".")
            async with client.turn_session(started["thread"]["id"], "Run the tests.") as session:
                async for text in session.text_deltas():
                    print(text, end="")
            print(session.final_turn["status"])

    Leaving the block of a turn that has not ended interrupts it, and ends the commands that it was running.
    So does :meth:`close`. ``session = await client.turn_session(…)`` starts the turn without a block; it runs
    until it ends, or the client is closed.

    Any number of sessions may run at the same time on one client, one for each thread. Each sees the
    notifications of its own turn, in order, and those alone. Nothing waits for who reads them: pieces of
    text that are not read in time are joined, so that unread notifications take no more room than what was
    said; none is lost.

    What the server asks for during the turn is answered by the approvals that were decided beforehand, by
    the session's handlers, by the client's, or by who takes it from :meth:`requests`; what nobody takes
    within ``AppServerOptions.unclaimed_request_timeout`` is declined.
    """

    def __init__(
        self,
        host: Callable[[], SessionHost],
        thread_id: str,
        params: Mapping[str, Any],
        *,
        approvals: ApprovalDecisions | None = None,
        handlers: RequestHandlers | None = None,
    ) -> None:
        self._host = host
        self._thread_id = thread_id
        self._params = params
        self._approvals = approvals
        self._handlers = handlers
        self._hosted: Hosted[RunningTurn] | None = None
        self._turn: RunningTurn | None = None
        self._lenient = True
        self._requests = RequestQueue()
        self._errors: list[CodexError] = []
        self._ended = anyio.Event()
        self._failure: CodexError | None = None

    def __repr__(self) -> str:
        turn = "not started" if self._turn is None else repr(self._turn.turn_id)
        return f"<AppServerTurnSession thread_id={self._thread_id!r} turn_id={turn}>"

    @property
    def thread_id(self) -> str:
        """The thread."""
        return self._thread_id

    @property
    def turn_id(self) -> str:
        """The turn's id. CLIs of the generation of 0.80 count the turns of each thread from ``"0"``.

        Raises:
            CodexError: the session has not been started.
        """
        return self._running().turn_id

    @property
    def initial_turn(self) -> dict[str, Any] | None:
        """The turn, as the server told that it has started it; ``None`` before."""
        return None if self._turn is None else self._turn.initial

    @property
    def final_turn(self) -> dict[str, Any] | None:
        """The turn, as the server told that it has ended; ``None`` before.

        Its ``status`` is ``completed``, ``failed`` (there is an ``error`` then) or ``interrupted``.
        """
        return None if self._turn is None else self._turn.final

    @property
    def handler_errors(self) -> tuple[CodexError, ...]:
        """What went wrong in handlers, whose requests were declined; ``__cause__`` is what they raised."""
        return tuple(self._errors)

    # Its life

    async def start(self) -> None:
        """Start the turn, unless it is started already.

        Raises:
            CodexError: the client is not connected, the thread runs a turn already, or the server refuses.
        """
        if self._hosted is not None:
            self._check_here()
            await self._hosted.entered()
            return
        host = self._host()
        self._hosted = Hosted(self._block(host), RunningTurn.wait_over)
        await self._hosted.start(host.spawn, shielded=host.shielded)

    def __await__(self) -> Generator[Any, Any, Self]:
        return self._started().__await__()

    async def _started(self) -> Self:
        await self.start()
        return self

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self, None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.close)
            yield await self._started()
        for error in self._errors:
            if not isinstance(error, UnfinishedHandlerError):
                raise error

    async def close(self) -> None:
        """End the turn if it has not ended, with the commands that it was running.

        Waits until that is done, whatever happens to the waiting task: fractions of a second, as a rule.
        What was not read yet can still be read afterwards.
        """
        if (
            self._hosted is None or self._hosted.host.closed
        ):  # and with its loop, the turn has ended
            await checkpoint()
            return
        self._check_here()
        await self._hosted.stop()

    def _begin_to_close(self) -> None:
        if self._hosted is not None:
            self._hosted.begin_to_stop()

    @asynccontextmanager
    async def _block(self, host: SessionHost) -> AsyncGenerator[RunningTurn, None]:
        self._lenient = host.connection.lenient
        host.sessions.add(self)
        try:
            async with running_turn(
                host.connection, self._thread_id, self._params, on_request=self._answerer(host)
            ) as turn:
                self._turn = turn
                yield turn
        finally:
            if self.final_turn is None:
                self._failure = host.connection.peer.failure
            host.sessions.discard(self)
            self._requests.end()
            self._ended.set()

    async def wait(self) -> dict[str, Any] | None:
        """Wait for the end of the turn, and return :attr:`final_turn`; nobody needs to read notifications.

        Of a turn that was interrupted, no command runs any more then. ``None`` is returned where the session
        was closed, and the server did not tell the turn's end.

        Raises:
            AppServerClosedError: the connection ended before the turn did; at each call an error of its own.
            CodexError: the session has not been started.
        """
        self._running_here()
        await self._ended.wait()
        if self._failure is not None:
            raise fresh(self._failure)
        return self.final_turn

    def _check_here(self) -> None:
        if self._hosted is not None and not self._hosted.host.is_here:
            raise CodexError(_ELSEWHERE)

    def _running_here(self) -> RunningTurn:
        self._check_here()
        return self._running()

    def _running(self) -> RunningTurn:
        if self._turn is None:
            raise CodexError(
                "the turn session has not been started: enter it with `async with`, or await it"
            )
        return self._turn

    def item(self, item_id: str) -> dict[str, Any] | None:
        """Return an item that has begun and not ended, as in the params of its ``item/started``.

        A request for an approval names its item. What a patch would change, for one, stands there alone::

            def may_be_applied(request):
                return "accept" if is_harmless(session.item(request.item_id)["changes"]) else "decline"

            handlers = RequestHandlers(on_file_change_approval=may_be_applied)
            session = client.turn_session(thread_id, "Fix it.", handlers=handlers)
            ...
        """
        return None if self._turn is None else self._turn.item(item_id)

    # What the program does with the turn

    async def steer(self, input: AppServerInput, **params: Any) -> dict[str, Any]:
        """Add *input* to what the turn is to do; the model gets it with its next request.

        Raises:
            CodexAppServerError: the turn has ended, or the CLI has no ``turn/steer`` (0.80.0).
        """
        return await self._running_here().steer(
            normalize_app_server_input(input), **protocol_params(params)
        )

    async def interrupt(self) -> None:
        """Have the turn ended; :meth:`wait` waits for that. A turn that has ended stays as it is.

        Raises:
            CodexError: the server does not answer, or the session has not been started.
        """
        await self._running_here().interrupt()

    # What the server sends

    def notifications(self) -> Each[AppServerNotification]:
        """Iterate over the turn's notifications; the last one is ``turn/completed``.

        There is one stream of them, which :meth:`next_notification` and :meth:`text_deltas` read too.

        Raises:
            AppServerClosedError: from the iteration: the connection ended before the turn did.
            CodexError: the session has not been started.
        """
        self._running()
        return Each(self.next_notification)

    async def next_notification(self) -> AppServerNotification | None:
        """Return the turn's next notification, waiting for it; ``None``, when it has ended.

        Raises:
            AppServerClosedError: the connection ended before the turn did.
            CodexError: the session has not been started.
        """
        try:
            notification = await self._running_here().receive()
        except anyio.EndOfStream:
            return None
        return AppServerNotification(
            notification.method, notification.params, lenient=self._lenient
        )

    def text_deltas(self) -> Each[str]:
        """Iterate over the pieces of the agent's messages, as the model writes them.

        Other notifications are passed over; raises what :meth:`notifications` does.
        """
        self._running()
        return Each(self._next_text)

    async def _next_text(self) -> str | None:
        while (notification := await self.next_notification()) is not None:
            if notification.method == _TEXT:
                return str(notification.params.get("delta", ""))
        return None

    def requests(self) -> Each[AppServerRequest]:
        """Iterate over what the server asks for and nothing else answers, up to the end of the turn.

        Whoever takes a request from here is to answer it, by ``client.respond(request.id, …)``.

        Raises:
            CodexError: the session has not been started.
        """
        self._running()
        return Each(self.next_request)

    async def next_request(self) -> AppServerRequest | None:
        """Take the next request that nothing else answers, waiting for it; ``None``, when the turn has ended.

        Raises:
            CodexError: the session has not been started.
        """
        self._running_here()
        try:
            request = await self._requests.receive()
        except anyio.EndOfStream:
            return None
        return AppServerRequest(request.id, request.method, request.params, lenient=self._lenient)

    def _told_in_full(self, request: Request) -> Request:
        """Return a request for the approval of a command with the command, where the CLI left it out."""
        if request.method != COMMAND_APPROVAL or "command" in request.params:
            return request
        item = self.item(str(request.params.get("itemId"))) or {}
        known: dict[str, Any] = {name: item[name] for name in ("command", "cwd") if name in item}
        return attrs.evolve(request, params={**known, **request.params})

    def _answerer(self, host: SessionHost) -> Callable[[Request], Awaitable[Any]]:
        connection = host.connection
        timeout = connection.options.unclaimed_request_timeout

        async def from_requests(request: Request) -> Any:
            try:
                return await host.desk.answer_to(request, self._requests, timeout)
            except UnclaimedError:
                return NOT_MINE

        handled = [
            handling(
                handlers,
                lenient=connection.lenient,
                is_over=lambda: self.final_turn is not None,
                on_unfinished=self._errors.append,
            )
            for handlers in (self._handlers, host.handlers)
        ]
        answerers = (deciding(self._approvals), *handled, from_requests)

        async def answer(request: Request) -> Any:
            return await answered(
                self._told_in_full(request),
                answerers,
                on_error=self._errors.append,
                legacy=connection.legacy,
            )

        return answer
