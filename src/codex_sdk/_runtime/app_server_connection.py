"""A connection to an app-server, from the options to the handshake: what all users of one share.

The server is a child process that lives as long as the block, or one that runs elsewhere. What goes wrong is
told with evidence: the version that is connected, the exit status, the end of stderr without its secrets.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from math import inf
from typing import Any, TypeVar, cast

import anyio

from .._core.app_server_handshake import AppServerInfo, initialize_params, server_info
from .._core.jsonrpc import Notification, Request
from .._core.redaction import redact_data
from .._core.results import part_of
from .._core.routing import opens, unloads
from .._core.versions import PINNED, CliVersion
from ..exceptions import (
    AppServerClosedError,
    AppServerTimeoutError,
    CodexAppServerError,
    CodexError,
)
from ..options import AppServerClientInfo, AppServerOptions
from ..telemetry import trace_context
from .leftovers import Leftovers
from .peer import OnRequest, Peer, connected_peer
from .reached_server import Connect, ReachedServer, reached_server
from .server_threads import ServerThreads
from .subscriptions import TurnSubscription
from .tool_calls import ToolRegistry

__all__ = ["AppServerConnection", "app_server_connection"]

T = TypeVar("T")

_HANDSHAKE_BOUND = 30.0
"""Seconds for the server to start and to answer ``initialize``. Measured: 0.1; a cold disk needs more."""

_CONFESSION_BOUND = 2.0
"""Seconds for a server that has not answered to exit when its stdin is closed. Where 0.80.0 refuses its
configuration, it says so then, and not before."""

_INTERRUPT_BOUND = 10.0
"""Seconds for the answer to ``turn/interrupt``, which takes milliseconds. There may be none at all where no
turn runs: 0.80.0 never gives one, 0.163.0 none where the last turn was interrupted before."""

_ANSWER_BOUND = 300.0
"""Seconds for the answer to a request of :data:`_ANSWERED_AT_ONCE`, where the program sets none. Most take
milliseconds; a thread that starts waits for its MCP servers, as long as the configuration lets them."""

_ANSWERED_AT_ONCE = frozenset(
    """
    thread/start thread/resume thread/fork thread/read thread/list thread/loaded/list thread/turns/list
    thread/items/list thread/archive thread/unarchive thread/delete thread/unsubscribe thread/name/set
    thread/revert thread/rollback thread/inject_items thread/metadata/update thread/settings/update
    thread/backgroundTerminals/clean turn/start turn/steer config/read config/value/write
    config/batchWrite configRequirements/read model/list
    """.split()
)
"""Requests that wait for no command, no model and nobody: a server that does not answer them hangs.
``initialize`` and ``turn/interrupt`` have bounds of their own."""

_OVERLOADED = -32001
_INVALID_REQUEST = -32600
_PAUSES = (0.05, 2.0)
"""Seconds between tries of a request that an overloaded server has refused: the first, and the longest."""

_ASK_THE_MODEL = frozenset({"turn/start", "review/start"})
"""Requests whose work goes on in the trace of who asks: the server's spans, and its requests to the model."""

_NEW_HOME = "failed to initialize sqlite state runtime"
"""What a server ends with when several are started at once on a ``CODEX_HOME`` that has no state yet."""

_NEW_HOME_BOUND = 10.0
"""Seconds for one of them to make it. Measured: some tenths."""

_NEW_HOME_PAUSE = 0.2

_SUCCESSORS = {
    "thread/rollback": "thread_revert() of newer CLIs goes back to a turn",
    "config/mcpServer/reload": "a new connection reads the configuration again",
}
"""What to do instead of methods that some verified CLI does not have."""


class AppServerConnection:
    """The server, as the tasks of this program see it; made by :func:`app_server_connection`.

    Attributes:
        peer: the connection itself: its notifications, and the turns that are followed.
        options: what the connection was made with.
        info: what the server says of itself; ``None`` until :meth:`initialize`.
        leftovers: what turns leave behind on this host.
        tools: the functions that Codex calls, by thread; they come before whatever else answers requests.
        threads: the threads that the server has loaded for this connection.
        on_thread_notification: called with each notification about a thread as a whole, and the thread's id,
            when it comes in, before anybody hears what the server says afterwards; it must not raise.
        on_thread_opened: called likewise with what the server answers of a thread that it has loaded, and the
            thread's id.
    """

    def __init__(
        self, options: AppServerOptions, peer: Peer, server: ReachedServer, tools: ToolRegistry
    ) -> None:
        self.peer = peer
        self.tools = tools
        self.options = options
        self.info: AppServerInfo | None = None
        self.leftovers: Leftovers = server.leftovers
        self.threads: ServerThreads = ServerThreads()
        self.on_thread_notification: Callable[[Notification, str], None] = _ignore
        self.on_thread_opened: Callable[[Mapping[str, Any], str], None] = _ignore
        self._server = server
        peer.on_thread_notification = self._take_notification
        peer.on_end = self.threads.end

    def _take_notification(self, notification: Notification, thread_id: str) -> None:
        if unloads(notification.method, notification.params):
            self.leftovers.forget(thread_id)
            self.threads.unloaded(thread_id)
        if notification.method == "thread/deleted":
            self.tools.register(thread_id, None)
        self.on_thread_notification(notification, thread_id)

    def _noting_opened(
        self, method: str, on_result: Callable[[Any], None] | None
    ) -> Callable[[Any], None] | None:
        if not opens(method):
            return on_result

        def take(answer: Any) -> None:
            self._take_opened(method, answer)
            if on_result is not None:
                on_result(answer)

        return take

    def _take_opened(self, method: str, answer: Any) -> None:
        self.leftovers.learn(method, answer)
        told = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
        if isinstance(thread := told.get("thread"), dict):
            opened = cast("dict[str, Any]", thread)
            thread_id = opened.get("id")
            if isinstance(thread_id, str):  # if it is none, whoever has asked complains
                self.threads.opened(thread_id)
                self.on_thread_opened(opened, thread_id)

    @property
    def version(self) -> CliVersion | None:
        """The version of the CLI that is connected; ``None``, where it is not known."""
        return None if self.info is None else self.info.version

    @property
    def legacy(self) -> bool:
        """Whether the CLI is of the older generation: before 0.100.0."""
        return self.version is not None and self.version.legacy

    @property
    def lenient(self) -> bool:
        """Whether the server's protocol may differ from the one that :mod:`codex_sdk.protocol` types."""
        return self.version != PINNED

    async def initialize(self, client_info: AppServerClientInfo | None = None) -> dict[str, Any]:
        """Shake hands, give the server its API key, and return what it says of itself.

        Raises:
            CodexError: the server refuses, the key included, or does not answer in time: within
                ``AppServerOptions.request_timeout``, or half a minute.
        """
        params = initialize_params(self.options, client_info)
        limit = self.options.request_timeout or _HANDSHAKE_BOUND
        try:
            result: dict[str, Any] = await self.request("initialize", params, timeout=limit)
        except AppServerTimeoutError as error:
            raise await self._reason_of_silence() or error from None
        self.info = server_info(result)
        await self.notify("initialized")
        if self._server.login_key is not None:
            await self._log_in(self._server.login_key)
        return result

    async def _reason_of_silence(self) -> CodexError | None:
        if self._server.hang_up is not None:
            await self._server.hang_up()
            with anyio.move_on_after(_CONFESSION_BOUND):
                await self.peer.wait_closed()
        return self.peer.failure

    async def _log_in(self, key: str) -> None:
        params = {"type": "apiKey", "apiKey": key}
        try:
            await self.request("account/login/start", params, timeout=_HANDSHAKE_BOUND)
        except CodexAppServerError as error:
            error.detail = "so AppServerOptions.api_key has no effect"
            raise

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_result: Callable[[Any], None] | None = None,
    ) -> Any:
        """Ask the server and return its answer.

        What an overloaded server refuses it has not carried out; it is asked again, within
        ``AppServerOptions.overload_timeout``.

        Args:
            timeout: seconds for the answer; ``None``: ``AppServerOptions.request_timeout``, or its default;
                ``math.inf``: no limit.
            on_result: as in :meth:`Peer.request`.

        Raises:
            CodexAppServerError: the server refused; says which version is connected where that matters.
            AppServerTimeoutError: there was no answer in time.
            AppServerClosedError: the connection has ended, or ended before the answer.
            CodexError: *params* is no JSON.
        """
        limit = self._limit(method) if timeout is None else timeout
        try:
            with anyio.move_on_after(None if limit == inf else limit):
                noting = self._noting_opened(method, on_result)
                return await self._ask_patiently(method, params or {}, noting)
        except CodexAppServerError as error:
            raise self._explained(error) from None
        raise AppServerTimeoutError(
            method, limit or 0.0, self._server.redact(self._server.stderr())
        )

    def _limit(self, method: str) -> float | None:
        if self.options.request_timeout is not None:
            return self.options.request_timeout
        return _ANSWER_BOUND if method in _ANSWERED_AT_ONCE else None

    def part_of(self, result: object, method: str, *path: str, of: type[T]) -> T:
        """Return what stands at *path* in the server's answer to *method*.

        Raises:
            CodexParseError: nothing stands there that is an *of*.
        """
        return part_of(result, method, *path, of=of, secrets=self._server.secrets)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Tell the server something; raises what :meth:`Peer.notify` does."""
        await self.peer.notify(method, params)

    async def interrupt(self, thread_id: str, turn_id: str, *, timeout: float | None = None) -> Any:
        """Ask for the end of a turn; the turn's own end comes as ``turn/completed``.

        Raises:
            CodexError: as :meth:`request` does; ``CodexAppServerError``, where the thread runs no turn.
        """
        runs = self.peer.running_turn(thread_id) is not None or self.peer.failure is not None
        if self._hears_of_all_turns and not runs:
            raise CodexAppServerError(  # the server might not answer at all
                _INVALID_REQUEST, "no active turn to interrupt", method="turn/interrupt"
            )
        limit = _INTERRUPT_BOUND if timeout is None else timeout
        params = {"threadId": thread_id, "turnId": turn_id}
        return await self.request("turn/interrupt", params, timeout=limit)

    @property
    def _hears_of_all_turns(self) -> bool:
        """Whether no turn can run that this connection has not heard of: the server has no other clients."""
        refused = self.options.opt_out_notification_methods or ()
        return self.options.url is None and "turn/started" not in refused

    async def _ask_patiently(
        self, method: str, params: Mapping[str, Any], on_result: Callable[[Any], None] | None
    ) -> Any:
        give_up = anyio.current_time() + self.options.overload_timeout
        longest, limit = _PAUSES
        trace = trace_context() if method in _ASK_THE_MODEL else None
        while True:
            pause = random.uniform(
                longest / 2, longest
            )  # or all that were refused come again at once
            try:
                return await self.peer.request(method, params, on_result=on_result, trace=trace)
            except CodexAppServerError as error:
                if error.code != _OVERLOADED or anyio.current_time() + pause > give_up:
                    raise
            await anyio.sleep(pause)
            longest = min(longest * 2, limit)

    def _explained(self, error: CodexAppServerError) -> CodexAppServerError:
        """Return *error* with what is known besides, and without secrets."""
        message, detail = self._server.redact(error.message), error.detail
        known, _, _ = message.partition(", expected one of")
        if known.endswith(f"unknown variant `{error.method}`"):
            message = known
            detail = f"{self._describe()} does not have this method"
            if error.method in _SUCCESSORS:
                detail += f"; {_SUCCESSORS[error.method]}"
        elif "requires experimentalApi capability" in message:
            detail = "connect with AppServerOptions(experimental_api_enabled=True)"
        data = redact_data(error.data, self._server.secrets)
        return CodexAppServerError(error.code, message, data, method=error.method, detail=detail)

    def _describe(self) -> str:
        return f"the Codex CLI that is connected, {self.version or 'of an unknown version'},"


@asynccontextmanager
async def app_server_connection(
    options: AppServerOptions, *, on_request: OnRequest, connect: Connect | None = None
) -> AsyncGenerator[AppServerConnection, None]:
    """Start or reach an app-server during the block, and shake hands.

    Leaving the block ends all that waits for the server, and the server too, if it was started here. A server
    that ends at once because others are just making its ``CODEX_HOME`` (0.163.0) is started again.

    Args:
        on_request: as for :func:`connected_peer`.
        connect: another way to a server, in place of the one that the options describe.

    Raises:
        CodexError: the options are refused, or the server cannot be started or reached, or refuses.
    """
    initialize_params(options, None)  # what it refuses is refused before anything is started
    async with AsyncExitStack() as stack:
        yield await _entered(stack, lambda: _connection(options, on_request, connect))


async def _entered(
    stack: AsyncExitStack, block: Callable[[], AbstractAsyncContextManager[AppServerConnection]]
) -> AppServerConnection:
    give_up = anyio.current_time() + _NEW_HOME_BOUND
    while True:
        try:
            return await stack.enter_async_context(block())
        except AppServerClosedError as error:
            if _NEW_HOME not in error.stderr or anyio.current_time() > give_up:
                raise
        await anyio.sleep(_NEW_HOME_PAUSE)


@asynccontextmanager
async def _connection(
    options: AppServerOptions, on_request: OnRequest, connect: Connect | None
) -> AsyncGenerator[AppServerConnection, None]:
    tools = ToolRegistry()

    async def answer(request: Request, turn: TurnSubscription | None) -> Any:
        try:
            result = await tools.answer(request)
            return await on_request(request, turn) if result is None else result
        except (CodexError, anyio.get_cancelled_exc_class()):
            raise
        except BaseException as error:
            reason = f"{type(error).__name__} was raised where {request.method} was answered"
            peer.end(lambda: AppServerClosedError(reason))  # or who waits for it would hold this up
            raise

    async with (
        reached_server(options, connect) as server,
        connected_peer(
            server.transport,
            on_request=answer,
            max_line_bytes=options.max_line_bytes,
            redact=server.redact,
        ) as peer,
    ):
        connection = AppServerConnection(options, peer, server, tools)
        if options.auto_initialize:
            await connection.initialize()
        yield connection


def _ignore(_: object, __: str) -> None:
    """Take no note."""
