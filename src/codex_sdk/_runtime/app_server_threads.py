"""The threads of one client on one app-server, which is started when it is first needed.

The server that has ended is replaced by another at the next turn, which resumes its thread there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import anyio
import attrs
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from .._core.checks import encoded_prompt
from .._core.item_mapping import TurnMapper
from .._core.jsonrpc import Notification, Request
from .._core.server_requests import COMMAND_APPROVAL, ApprovalDecisions
from .._core.thread_ids import canonical_thread_id
from .._core.thread_params import turn_input
from .._host import Host, current_host
from .._io.sessions import is_stored
from .._io.task_groups import open_task_group
from .._io.turn_files import checked_image, schema_as_json
from ..events import ThreadEvent, ThreadStartedEvent, Usage
from ..exceptions import CodexAppServerError, CodexError
from ..options import CodexOptions, ThreadOptions
from ..tools import ToolSet
from .answering import Answerer, answered, deciding
from .app_server_connection import app_server_connection
from .app_server_turn import RunningTurn, running_turn
from .exec_turn import ExecRequest
from .hosted import Hosted
from .loaded_threads import LoadedThreads
from .opening import explained, server_options
from .reached_server import Connect
from .subscriptions import TurnSubscription

__all__ = ["AppServerThreads", "MakeAnswerer"]


class MakeAnswerer(Protocol):
    """Makes what answers the server's requests during one turn, from the program's own functions."""

    def __call__(
        self,
        *,
        lenient: bool,
        is_over: Callable[[], bool],
        on_unfinished: Callable[[CodexError], None],
    ) -> Answerer:
        """Return it; for the arguments, see :func:`codex_sdk.app_server.approvals.handling`."""
        ...


_CLOSE_BOUND = 30.0
"""Seconds for the end of a server, which is bounded by itself. Measured: 0.1."""

_CHOICES = frozenset({"archived", "cwd", "searchTerm"})
"""What newer servers choose threads by, and older ones ignore."""


class AppServerThreads:
    """The backend of threads that share one app-server.

    Args:
        codex: the client's options, which the server runs with.
        approvals: what is decided beforehand when Codex asks.
        make_answerer: who is asked otherwise; ``None``: nobody, and the answer is no.
        connect: another way to a server than to start one.
    """

    transport = "app-server"

    def __init__(
        self,
        codex: CodexOptions,
        *,
        approvals: ApprovalDecisions | None = None,
        make_answerer: MakeAnswerer | None = None,
        connect: Connect | None = None,
    ) -> None:
        self._codex = codex
        self._connect = connect
        self._approvals = approvals
        self._make_answerer = make_answerer
        self._homes: dict[Host, _Home] = {}

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None, None]:
        """Allow a server to be started, by tasks of this event loop, and end it with the block."""
        host = current_host()
        async with open_task_group() as task_group:
            home = self._homes[host] = _Home(self._codex, self._connect, task_group)
            try:
                yield
            finally:
                del self._homes[host]
                with anyio.move_on_after(_CLOSE_BOUND, shield=True):
                    await home.close_for_good()

    @asynccontextmanager
    async def turn(
        self, request: ExecRequest, tools: ToolSet | None
    ) -> AsyncGenerator[_TurnEvents, None]:
        """Run one turn during the block; leaving it stops whatever of it is still running.

        Raises:
            CodexError: the options are refused, or the server refuses, or cannot be started. A handler that
                failed is told on leaving the block.
        """
        params = _turn_params(request)
        await checkpoint()  # whoever is cancelled already starts nothing
        link = await self._link()
        errors: list[CodexError] = []
        mapper = TurnMapper(request.codex.unknown_events)
        async with link.loaded(request.thread_id, request.thread, tools) as thread_id:
            request.on_thread_started(thread_id)
            with _noticing_lost_thread(request, link, thread_id):
                async with self._started_turn(link, thread_id, params, errors) as running:
                    async with open_task_group() as task_group:
                        task_group.start_soon(_tell_when_over, running, request.on_over)
                        yield _TurnEvents(running, mapper, link)
                        task_group.cancel_scope.cancel("the turn's block was left")
        if errors:
            raise errors[0]

    @asynccontextmanager
    async def _started_turn(
        self,
        link: LoadedThreads,
        thread_id: str,
        params: Mapping[str, Any],
        errors: list[CodexError],
    ) -> AsyncGenerator[RunningTurn, None]:
        turns: list[RunningTurn] = []

        async def on_request(request: Request) -> Any:
            answerers = [deciding(self._approvals)]
            if self._make_answerer is not None:
                answerers.append(
                    self._make_answerer(
                        lenient=link.connection.lenient,
                        is_over=lambda: bool(turns) and turns[0].is_over,
                        on_unfinished=_drop,
                    )
                )
            if turns:
                request = _told_in_full(request, turns[0])
            return await answered(
                request, answerers, on_error=errors.append, legacy=link.connection.legacy
            )

        started = False
        try:
            async with running_turn(
                link.connection, thread_id, params, on_request=on_request
            ) as running:
                turns.append(running)
                started = True
                with link.running(running):
                    yield running
        except CodexAppServerError as error:
            if started:
                raise
            raise explained(error) from None

    def app_server(self, what: str) -> AppServerThreads:
        """Return the backend itself: it can do *what* an app-server can."""
        return self

    async def fork(self, thread_id: str, options: ThreadOptions, tools: ToolSet | None) -> str:
        """Copy a thread with its history; returns the copy's id.

        Raises:
            CodexError: the options are refused, or the server refuses.
        """
        link = await self._link()
        return await link.fork(thread_id, options, tools)

    async def steer(self, thread_id: str, input: Sequence[Mapping[str, Any]]) -> None:
        """Add to the input of the turn that a thread runs.

        Raises:
            CodexError: it runs none, or the CLI cannot do that.
        """
        link = await self._link()
        await link.running_turn(thread_id).steer(input)

    async def interrupt(self, thread_id: str) -> None:
        """End the turn that a thread runs.

        Raises:
            CodexError: it runs none.
        """
        link = await self._link()
        await link.running_turn(thread_id).interrupt()

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request of the app-server's protocol, and return the result.

        Raises:
            CodexError: the server refuses.
        """
        link = await self._link()
        result: Any = await link.connection.request(
            method, params, on_result=lambda _: link.take_note(method, params)
        )
        return cast("dict[str, Any]", result) if isinstance(result, dict) else {}

    async def list_threads(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a page of the stored threads.

        Raises:
            CodexError: the server refuses, or cannot choose as *params* want.
        """
        link = await self._link()
        if link.connection.legacy and (chosen := _CHOICES & params.keys()):
            raise CodexError(
                f"Codex CLI {link.connection.version} lists all threads, and cannot choose by "
                f"{', '.join(sorted(chosen))}; a newer one can"
            )
        result: dict[str, Any] = await link.connection.request("thread/list", params)
        return result

    def name_of(self, thread_id: str) -> str | None:
        """Return a thread's name, as far as the server has told it."""
        thread_id = canonical_thread_id(thread_id)
        names = (home.link.names for home in list(self._homes.values()) if home.link is not None)
        return next((known.get(thread_id) for known in names if thread_id in known), None)

    async def _link(self) -> LoadedThreads:
        home = self._homes.get(current_host())
        if home is None:
            raise CodexError(
                'with CodexOptions(backend="app-server"), threads are used inside '
                "`async with Codex(options) as codex:`, which ends the app-server that they share"
            )
        return await home.connected()


class _Home:
    """The place of one event loop for a server, and the server, if there is one."""

    def __init__(self, codex: CodexOptions, connect: Connect | None, task_group: TaskGroup) -> None:
        self.link: LoadedThreads | None = None
        self._codex = codex
        self._connect = connect
        self._task_group = task_group
        self._hosted: Hosted[LoadedThreads] | None = None
        self._starting = anyio.Lock()
        self._closed = False

    async def connected(self) -> LoadedThreads:
        """Return the connection to the server, which is started, if there is none that lives.

        Raises:
            CodexError: the server cannot be started.
        """
        async with self._starting:
            if self.link is not None and self.link.connection.peer.failure is None:
                return self.link
            await self.close()
            if self._closed:
                raise CodexError("the Codex client was closed before the turn had started")
            hosted = self._hosted = Hosted(
                _connected(self._codex, self._connect), LoadedThreads.serve
            )
            self.link = await hosted.start(self._spawn, shielded=True)
            return self.link

    def _spawn(self, function: Callable[[], Any], name: str) -> None:
        self._task_group.start_soon(function, name=name)

    async def close_for_good(self) -> None:
        """End the server, and start no other."""
        self._closed = True
        await self.close()

    async def close(self) -> None:
        """End the server."""
        hosted, self._hosted, self.link = self._hosted, None, None
        if hosted is None:
            return
        try:
            await hosted.stop()
        except CodexError:
            pass  # why it ended is known to those who used it


@asynccontextmanager
async def _connected(
    codex: CodexOptions, connect: Connect | None
) -> AsyncGenerator[LoadedThreads, None]:
    links: list[LoadedThreads] = []

    async def on_request(request: Request, turn: TurnSubscription | None) -> Any:
        if turn is not None and turn.on_request is not None:
            return await turn.on_request(request)
        legacy = links[0].connection.legacy if links else False
        return await answered(request, (), on_error=_drop, legacy=legacy)

    async with app_server_connection(
        server_options(codex), on_request=on_request, connect=connect
    ) as connection:
        links.append(LoadedThreads(codex, connection))
        yield links[0]


def _drop(_: CodexError) -> None:
    """Forget an error that there is no turn to tell of, or that its turn's end tells better."""


class _TurnEvents:
    """The events of a running turn, in batches."""

    def __init__(self, running: RunningTurn, mapper: TurnMapper, link: LoadedThreads) -> None:
        self._running = running
        self._mapper = mapper
        self._link = link
        self._batch: Sequence[Notification] = ()
        self._first: list[ThreadEvent] = [ThreadStartedEvent(running.thread_id)]

    @property
    def usage_before(self) -> Usage | None:
        """What the thread had used before the turn, where the turn tells."""
        # 0.80.0 repeats what it told of the turn before, so that the first number says nothing.
        return None if self._link.connection.legacy else self._mapper.usage_before

    async def receive_batch(self) -> Sequence[ThreadEvent]:
        """Return the events that came next; none, when the turn has ended.

        Raises:
            CodexError: the connection has ended, or the server told what is no event.
        """
        if self._first:
            first, self._first = self._first, []
            return first
        while await self._has_more():
            batch, self._batch = self._batch, ()
            warned = self._link.take_warnings(self._running.thread_id)
            if events := self._mapper.events([*warned, *batch]):
                return events
        return ()

    async def _has_more(self) -> bool:
        """Wait for the next batch, and keep it: a call that is cancelled before it is used loses nothing."""
        if not self._batch:
            self._batch = await self._running.receive_batch()
        return bool(self._batch)


def _told_in_full(request: Request, turn: RunningTurn) -> Request:
    """Return a request for the approval of a command with the command, where the CLI left it out."""
    if request.method != COMMAND_APPROVAL or "command" in request.params:
        return request
    item = turn.item(str(request.params.get("itemId"))) or {}
    known: dict[str, Any] = {name: item[name] for name in ("command", "cwd") if name in item}
    return attrs.evolve(request, params={**known, **request.params})


async def _tell_when_over(running: RunningTurn, on_over: Callable[[], None]) -> None:
    await running.wait_over()
    on_over()


def _turn_params(request: ExecRequest) -> dict[str, Any]:
    encoded_prompt(request.prompt)
    images = [checked_image(image) for image in request.images]
    params: dict[str, Any] = {"input": turn_input(request.prompt, images)}
    if request.output_schema is not None:
        schema_as_json(request.output_schema)
        params["outputSchema"] = request.output_schema
    return params


@contextmanager
def _noticing_lost_thread(
    request: ExecRequest, link: LoadedThreads, thread_id: str
) -> Generator[None, None, None]:
    """Tell of a new thread that the server has not stored before it ended: it cannot be resumed."""
    try:
        yield
    finally:
        info, failed = link.connection.info, link.connection.peer.failure is not None
        home = info.codex_home if info is not None else None
        if request.thread_id is None and failed and home and not is_stored(thread_id, Path(home)):
            request.on_thread_lost()
