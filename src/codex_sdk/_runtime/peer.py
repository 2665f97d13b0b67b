"""One connection to an app-server, shared by any number of tasks.

A reader routes what comes in, at once and without waiting for anybody: an answer to who asked, a
notification to the queue of the turn that it belongs to, a request of the server's to a task of its own.
So nothing that a consumer does or fails to do delays an answer. A writer owns the way out: a caller that is
cancelled cannot leave half a message on it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Union

import anyio
import attrs
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from .._core.jsonrpc import (
    Connection,
    ErrorResponse,
    Malformed,
    Notification,
    Request,
    RequestId,
    Response,
    StrayResponse,
)
from .._core.routing import Address, address_of, is_duplicate_of_old_clis
from .._io.task_groups import open_task_group
from .._io.transport import Transport
from ..exceptions import (
    AppServerClosedError,
    AppServerTimeoutError,
    CodexAppServerError,
    CodexError,
    CodexParseError,
)
from .channel import Channel
from .subscriptions import ConnectionStream, Failure, Subscription, Turns, TurnSubscription

__all__ = ["OnRequest", "Peer", "Statistics", "Subscription", "TurnSubscription", "connected_peer"]

_OUTGOING = 64
"""Messages that may wait for a server that is slow to read; further callers wait for their turn."""

_LAST_WORDS = 1.0
"""Seconds that a server, which no longer takes what it is sent, has to say why (by its end)."""

_INTERNAL_ERROR = -32603
"""What an answer is refused with that cannot be sent."""

OnRequest = Callable[[Request, "TurnSubscription | None"], Awaitable[Any]]
"""Returns the result for a request of the server's; it is given the turn that the request belongs to, if
somebody follows that. It runs in a task of its own, which is cancelled when the request is of no more use."""

Reply = Union[Response, ErrorResponse]


@attrs.define
class Statistics:
    """What came in and was nobody's.

    Attributes:
        late_replies: answers to requests that had been given up.
        stray_replies: answers that nothing had been asked for, or a second answer.
        malformed_lines: lines that were no message.
        notifications_dropped: notifications that nobody had read when too many others had come.
    """

    late_replies: int = 0
    stray_replies: int = 0
    malformed_lines: int = 0
    notifications_dropped: int = 0


class _Waiter:
    """Who waits for an answer."""

    def __init__(self, on_result: Callable[[Any], None] | None) -> None:
        self.reply: Reply | None = None
        self.failure: Failure | None = None
        self.answered = anyio.Event()
        self._on_result = on_result

    def take(self, reply: Reply) -> None:
        self.reply = reply
        if self._on_result is not None and isinstance(reply, Response):
            self._on_result(reply.result)
        self.answered.set()

    def fail(self, failure: Failure) -> None:
        if self.reply is None:
            self.failure = failure
            self.answered.set()

    def result(self, method: str) -> Any:
        if self.failure is not None:
            raise self.failure()
        if isinstance(self.reply, ErrorResponse):
            error = self.reply
            raise CodexAppServerError(error.code, error.message, error.data, method=method)
        return self.reply.result if self.reply is not None else None


@attrs.frozen
class _Handling:
    """A request of the server's that is being answered."""

    scope: anyio.CancelScope
    address: Address


class Peer:
    """The server, as the tasks of this program see it; made by :func:`connected_peer`.

    Attributes:
        statistics: what came in and was nobody's.
        notifications: the notifications that no turn takes.
        on_thread_notification: called with each notification about a thread as a whole, and the thread's
            id, when it comes in; it must not raise.
        on_end: called when the connection has ended; it must not raise.
    """

    def __init__(
        self,
        transport: Transport,
        on_request: OnRequest,
        max_line_bytes: int,
        redact: Callable[[str], str],
    ) -> None:
        self.statistics: Statistics = Statistics()
        self.notifications: Subscription = ConnectionStream(self._count_dropped)
        self.on_thread_notification: Callable[[Notification, str], None] = _ignore
        self.on_end: Callable[[], None] = _do_nothing
        self._transport = transport
        self._on_request = on_request
        self._redact = redact
        self._connection = Connection(max_line_bytes)
        self._outgoing: Channel[bytes] = Channel(_OUTGOING)
        self._waiters: dict[int, _Waiter] = {}
        self._handlings: dict[RequestId, _Handling] = {}
        self._turns = Turns()
        self._failure: Failure | None = None
        self._ended = anyio.Event()

    @property
    def failure(self) -> CodexError | None:
        """Why the connection has ended; ``None`` while it is open."""
        return None if self._failure is None else self._failure()

    async def wait_closed(self) -> None:
        """Wait for the end of the connection."""
        await self._ended.wait()

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_result: Callable[[Any], None] | None = None,
        trace: Mapping[str, str] | None = None,
    ) -> Any:
        """Ask the server and return its answer.

        A request that is cancelled or times out leaves nothing behind; its answer is dropped.

        Args:
            timeout: seconds to wait for the answer; ``None``: no limit.
            on_result: called with the result when it comes in, before anything is routed that came after it;
                it must not raise.
            trace: the trace that the request is part of, as the W3C's headers.

        Raises:
            CodexAppServerError: the server refused.
            AppServerTimeoutError: there was no answer in time.
            AppServerClosedError: the connection has ended, or ended before the answer.
            CodexError: *params* is no JSON.
        """
        self._check_open()
        request_id, line = self._connection.request(method, params, trace)
        waiter = self._waiters[request_id] = _Waiter(on_result)
        try:
            with anyio.move_on_after(timeout):
                await self._send(line)
                await waiter.answered.wait()
        finally:
            del self._waiters[request_id]
            self._connection.give_up(request_id)
        if timeout is not None and not waiter.answered.is_set():
            raise AppServerTimeoutError(method, timeout)
        return waiter.result(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Tell the server something.

        Raises:
            AppServerClosedError: the connection has ended.
            CodexError: *params* is no JSON.
        """
        self._check_open()
        await self._send(self._connection.notification(method, params))

    @contextmanager
    def following(
        self, thread_id: str, on_request: Callable[[Request], Awaitable[Any]] | None = None
    ) -> Generator[TurnSubscription, None, None]:
        """Take the notifications of the turn of *thread_id* that is started during the block.

        They are taken from before the server answers ``turn/start``: give :meth:`bind` that answer, by
        ``on_result``.

        Raises:
            CodexError: the thread already runs a turn, or starts one.
        """
        subscription = TurnSubscription(thread_id, on_request)
        self._turns.add(subscription)
        try:
            yield subscription
        finally:
            self._turns.remove(subscription)
            self._release(subscription)

    def bind(self, subscription: TurnSubscription, turn_id: str) -> None:
        """Tell which turn it is that *subscription* takes; what came before of others is let go."""
        self._turns.bind(subscription, turn_id)
        self._release(subscription)

    def running_turn(self, thread_id: str) -> str | None:
        """Return the id of the turn that runs on a thread, as far as the server has told."""
        return self._turns.running.get(thread_id)

    def take_note_of_turn(self, thread_id: str, turn_id: str) -> None:
        """Take note of a turn that the server has just answered to have started (by ``on_result``)."""
        self._turns.take_note_of_answer(thread_id, turn_id)

    @property
    def runs_turns(self) -> bool:
        """Whether any turn runs, as far as the server has told."""
        return bool(self._turns.running)

    def _release(self, subscription: TurnSubscription) -> None:
        held, subscription.held = subscription.held, []
        for notification in held:
            self._deliver(notification, address_of(notification.params))

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure()

    async def _send(self, line: bytes) -> None:
        try:
            await self._outgoing.send(line)
        except anyio.BrokenResourceError:
            await self._ended.wait()
            self._check_open()

    async def write(self) -> None:
        """Send what tasks have to say, one message after the other, up to the connection's end."""
        try:
            while True:
                await self._transport.send(await self._outgoing.receive())
        except anyio.EndOfStream:
            return
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._outgoing.abandon()
        with anyio.move_on_after(_LAST_WORDS):
            await self._ended.wait()
        self.end(_failure("the app-server no longer reads what it is sent"))

    async def read(self, task_group: TaskGroup) -> None:
        """Route what the server says, up to the connection's end."""
        try:
            while True:
                for message in self._connection.receive(await self._transport.receive()):
                    self._route(message, task_group)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            farewell = await self._transport.farewell()
            self.end(_failure(farewell.how, farewell.exit_code, self._redact(farewell.stderr)))
        except CodexParseError as error:
            self.end(_failure(str(error)))

    def _route(self, message: object, task_group: TaskGroup) -> None:
        if isinstance(message, Notification):
            self._take_notification(message)
        elif isinstance(message, (Response, ErrorResponse)):
            if (waiter := self._waiters.get(message.id)) is not None:
                waiter.take(message)
        elif isinstance(message, Request):
            self._take_request(message, task_group)
        elif isinstance(message, StrayResponse):
            self._count_stray(message)
        elif isinstance(message, Malformed):
            self.statistics.malformed_lines += 1

    def _count_dropped(self) -> None:
        self.statistics.notifications_dropped += 1

    def _count_stray(self, message: StrayResponse) -> None:
        if message.kind == "late":
            self.statistics.late_replies += 1
        else:
            self.statistics.stray_replies += 1

    def _take_notification(self, notification: Notification) -> None:
        if is_duplicate_of_old_clis(notification.method):
            return
        address = address_of(notification.params)
        self._turns.take_note(notification, address)
        if address.turn_id is None and address.thread_id is not None:
            self.on_thread_notification(notification, address.thread_id)
        if notification.method == "serverRequest/resolved":
            self._drop_requests(lambda key, _: key == notification.params.get("requestId"))
        elif notification.method == "turn/completed":
            self._drop_requests(lambda _, of: of in (address, (address.thread_id, None)))
        self._deliver(notification, address)

    def _deliver(self, notification: Notification, address: Address) -> None:
        follower = self._turns.follower(address)
        if follower is None:
            self.notifications.push(notification)
        elif follower.turn_id is None:
            follower.held.append(notification)
        else:
            follower.push(notification)

    def _drop_requests(self, concerns: Callable[[RequestId, Address], bool]) -> None:
        for request_id, handling in list(self._handlings.items()):
            if concerns(request_id, handling.address):
                handling.scope.cancel("the server no longer waits for the answer")

    def _take_request(self, request: Request, task_group: TaskGroup) -> None:
        if request.id in self._handlings:
            return  # it came twice, and will be answered
        handling = _Handling(anyio.CancelScope(), address_of(request.params))
        self._handlings[request.id] = handling
        task_group.start_soon(self._answer, request, handling, name=f"codex_sdk {request.method}")

    async def _answer(self, request: Request, handling: _Handling) -> None:
        try:
            with handling.scope:
                await checkpoint()  # what is over already is told to nobody
                await self._send(await self._answer_line(request, handling.address))
        except AppServerClosedError:
            pass  # nobody is left who could be answered
        finally:
            del self._handlings[request.id]

    async def _answer_line(self, request: Request, address: Address) -> bytes:
        try:
            result = await self._on_request(request, self._turns.asked(address))
            return self._connection.response(request.id, result)
        except CodexAppServerError as error:
            refusal = error
        except CodexError as error:
            refusal = CodexAppServerError(_INTERNAL_ERROR, str(error))
        return self._connection.error_response(
            request.id, refusal.code, refusal.message, refusal.data
        )

    def end(self, failure: Failure) -> None:
        """End the connection for all who use it."""
        if self._failure is not None:
            return
        self._failure = failure
        self._outgoing.abandon()
        for waiter in self._waiters.values():
            waiter.fail(failure)
        for subscription in (self.notifications, *self._turns.unfinished()):
            subscription.end(failure)
        self._drop_requests(lambda _, __: True)
        self._ended.set()
        self.on_end()


def _ignore(_: Notification, __: str) -> None:
    """Take no note."""


def _do_nothing() -> None:
    """Nobody wants to know."""


def _failure(reason: str, exit_code: int | None = None, stderr: str = "") -> Failure:
    return lambda: AppServerClosedError(reason, exit_code, stderr)


@asynccontextmanager
async def connected_peer(
    transport: Transport,
    *,
    on_request: OnRequest,
    max_line_bytes: int,
    redact: Callable[[str], str] = str,
) -> AsyncGenerator[Peer, None]:
    """Talk over *transport* during the block; leaving it ends all that waits for the server.

    *on_request* raises nothing but :class:`CodexAppServerError`, which is sent as a JSON-RPC error. *redact*
    blanks out the secrets in what the server has written to stderr.
    """
    peer = Peer(transport, on_request, max_line_bytes, redact)
    async with open_task_group() as task_group:
        # Shielded, since a block that is cancelled still has its turns to interrupt.
        services = anyio.CancelScope(shield=True)

        async def serve() -> None:
            with services:
                async with open_task_group() as pumps:
                    pumps.start_soon(peer.write)
                    await peer.read(task_group)

        task_group.start_soon(serve, name="codex_sdk app-server connection")  # noqa: ASYNC113 - in its time
        try:
            yield peer
        finally:
            peer.end(_failure("the connection to the app-server was closed"))
            services.cancel("the connection was closed")
            task_group.cancel_scope.cancel("the connection was closed")
