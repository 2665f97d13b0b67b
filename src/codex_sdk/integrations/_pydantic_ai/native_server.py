"""The app-server of a model, one for each event loop that the model is used in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from ..._host import Host, current_host
from ..._runtime.app_server_connection import AppServerConnection
from ..._runtime.opening import checked_directory, let_go, open_thread, server_options
from ...app_server import AppServerClient
from ...exceptions import CodexError
from ...options import CodexOptions, ThreadOptions
from .native_threads import KeptThread, KeptThreads, RunTurns, new_run

__all__ = ["NativeServer", "NativeServers"]

_STOP_BOUND = 30.0
"""Seconds that stopping turns may hold up the end of a run. Measured: at most some tenths."""


class NativeServer:
    """An app-server, and the threads on it that may be gone on with.

    Attributes:
        threads: these threads.
        legacy: whether the CLI is too old to be given tools.

    Args:
        codex: how the server is started.
        keep: how many threads are kept at most.
        wait: seconds after which a thread is given up.
        on_idle: called, in a task of its own, when the last thread was given up for having waited too long.
    """

    def __init__(
        self,
        codex: CodexOptions,
        *,
        keep: int,
        wait: float,
        on_idle: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.threads = KeptThreads(keep)
        self.legacy = False
        self._codex = codex
        self._wait = wait
        self._on_idle = on_idle
        self._client = AppServerClient(server_options(codex))
        self._connection: AppServerConnection | None = None
        self._closed = False
        self._janitor: anyio.CancelScope | None = None

    async def connect(self) -> AppServerConnection:
        """Return the connection, which is made if there is none.

        Raises:
            CodexError: the CLI cannot be started, or :meth:`close` was called.
        """
        if not self._closed:
            await self._client.start()
        if (
            self._closed
        ):  # perhaps meanwhile: then this connection is a new one, which nobody else would end
            await self._client.close()
            raise CodexError("the app-server was closed")
        connection = self._client._connection()
        if connection is not self._connection:  # of the old one, no thread is left
            self.threads.remove(lambda _: True)
            self._connection = connection
            self.legacy = connection.legacy
        return connection

    async def start_thread(
        self, options: ThreadOptions, *, thread_id: str | None = None, **params: Any
    ) -> str:
        """Start a thread, or load the stored one of *thread_id*, and return its id.

        Raises:
            CodexError: the server refuses, or would not run the thread as safely as asked.
        """
        connection = await self.connect()
        directory = checked_directory(connection, options)
        return await open_thread(
            connection, self._codex, options, directory=directory, thread_id=thread_id, **params
        )

    async def inject(self, thread_id: str, items: list[dict[str, Any]]) -> None:
        """Add items to a thread's history.

        Raises:
            CodexError: the server refuses, or is gone.
        """
        if items:
            connection = await self.connect()
            params = {"threadId": thread_id, "items": items}
            await connection.request("thread/inject_items", params)

    async def keep(self, thread: KeptThread) -> None:
        """Keep *thread*, for a while, to be gone on with."""
        thread.deadline = anyio.current_time() + self._wait
        surplus = self.threads.put(thread)
        if self._janitor is None:
            self._janitor = anyio.CancelScope()
            current_host().spawn(self._clear_away, name="codex_sdk PydanticAI turns")
        await self.discard(surplus)

    async def _clear_away(self) -> None:
        """Give up what nobody has gone on with in time."""
        scope = self._janitor or anyio.CancelScope()
        try:
            with scope:
                while deadlines := list(self.threads.deadlines()):
                    await anyio.sleep_until(min(deadlines))
                    await self.discard(self.threads.expired(anyio.current_time()))
        finally:
            if self._janitor is scope:
                self._janitor = None
        if self._on_idle is not None and not scope.cancel_called:
            await self._on_idle()

    async def discard(self, threads: Sequence[KeptThread]) -> None:
        """Stop the turns of threads that are not kept any more, and forget the threads.

        All are being stopped, even if this call is cancelled.
        """
        for thread in threads:
            if thread.turn is not None:
                thread.turn.begin_to_stop()
        for thread in threads:
            if thread.turn is not None:
                await thread.turn.stop()
            if not thread.stored:
                await self.forget(thread.thread_id)

    async def forget(self, thread_id: str) -> None:
        """Have the server forget a thread that is of no more use."""
        if self._connection is not None:
            await let_go(self._connection, thread_id)

    async def close(self) -> None:
        """Stop all turns, and end the server, for good."""
        self._closed = True
        if self._janitor is not None:
            self._janitor.cancel("the model was closed")
        turns = [thread.turn for thread in self.threads.remove(lambda _: True)]
        self._connection = None
        try:
            for turn in turns:
                if turn is not None:
                    await turn.stop()
        finally:  # asyncio's own cancellation is waited for by no shield
            await self._client.close()  # noqa: ASYNC102 - it shields itself


class NativeServers:
    """The servers of one model: event loops cannot share a connection.

    Args:
        new_server: makes the server of an event loop.
    """

    def __init__(self, new_server: Callable[[], NativeServer]) -> None:
        self._new_server = new_server
        self._servers: dict[Host, NativeServer] = {}

    def here(self) -> NativeServer:
        """Return the server of the running event loop."""
        host = current_host()
        for other in list(self._servers):  # a copy: other threads have their own event loops
            if other.closed:
                self._servers.pop(other, None)
        if host not in self._servers:
            self._servers[host] = self._new_server()
        return self._servers[host]

    def running(self) -> NativeServer | None:
        """Return the server of the running event loop, if it has been asked for."""
        return self._servers.get(current_host())

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[RunTurns, None]:
        """Make the block a run: those of its turns which wait at its end for nobody are stopped then.

        Of a run that fails or is cancelled, that is all of them; see :class:`RunTurns` for others.
        """
        with new_run(self) as run:
            try:
                yield run
            except BaseException:
                run.fail()
                raise
            finally:
                run.ended = True
                with anyio.move_on_after(_STOP_BOUND, shield=True):
                    await self._end_run(run)

    async def _end_run(self, run: RunTurns) -> None:
        server = self._servers.get(current_host())
        if server is None:
            return
        await server.discard(server.threads.remove(run.gives_up))
        for turn in run.abandoned:
            await turn.stop()
            await server.forget(turn.thread_id)

    async def close(self) -> None:
        """End the server of the running event loop."""
        server = self._servers.pop(current_host(), None)
        if server is not None:
            await server.close()
