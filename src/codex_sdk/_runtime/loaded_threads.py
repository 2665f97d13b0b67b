"""The threads that an app-server has loaded, on one connection, and what they were loaded with."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import attrs

from .._core.jsonrpc import Notification
from .._core.recent import Recent
from .._core.routing import unloads
from .._core.thread_ids import canonical_thread_id
from ..exceptions import CodexError
from ..options import CodexOptions, ThreadOptions
from ..tools import ToolSet
from .app_server_connection import AppServerConnection
from .app_server_turn import RunningTurn
from .opening import checked_directory, let_go, open_thread
from .tool_calls import check_tools_can_be_used

__all__ = ["LoadedThreads"]

_KEPT_LOADED = 256
"""Threads that stay loaded while they run no turn; each takes the server a megabyte. To load one again takes
some hundredths of a second."""

_KEPT_WARNINGS = 100
"""Warnings about a thread that wait for its next turn."""


@attrs.frozen
class _Wish:
    """What a thread was loaded with: loaded with the same, it need not be loaded again."""

    options: ThreadOptions
    tools: ToolSet | None
    directory: str


@attrs.define
class _Loaded:
    """What a thread was loaded with, and whether the server has surely stored it: it can be resumed then."""

    wish: _Wish
    stored: bool


class _Use:
    """That tasks load a thread, or run a turn on it.

    Attributes:
        count: how many tasks do.
        starting: how many of them have loaded it, and have not started their turn yet, or are just ending it.
    """

    def __init__(self) -> None:
        self.count = 0
        self.starting = 0
        self.loading = anyio.Lock()


class LoadedThreads:
    """A connection, and which threads the server has loaded on it.

    Where there are many, those that run no turn and were not used for longest are unsubscribed from, so that
    the server unloads them: at once, if :func:`opening.server_options` made it.

    Attributes:
        connection: the connection.
        names: the threads' names, as far as the server has told them; of the last some thousands.
    """

    def __init__(self, codex: CodexOptions, connection: AppServerConnection) -> None:
        self.connection = connection
        self.names: Recent[str] = Recent()
        self._codex = codex
        self._loaded: Recent[_Loaded] = Recent()
        self._turns: dict[str, RunningTurn] = {}
        self._used: dict[str, _Use] = {}
        self._warnings: Recent[deque[Notification]] = Recent()
        connection.on_thread_notification = self._take
        connection.on_thread_opened = self._take_opened

    async def serve(self) -> None:
        """Drop what the server tells of no turn, up to the connection's end: it was noted when it came."""
        try:
            while True:
                await self.connection.peer.notifications.receive_batch()
        except (anyio.EndOfStream, CodexError):
            return

    def _take(self, notification: Notification, thread_id: str) -> None:
        if notification.method == "warning":
            told = self._warnings.get(thread_id) or deque(maxlen=_KEPT_WARNINGS)
            told.append(notification)
            self._warnings.put(thread_id, told)
        elif notification.method == "thread/name/updated":
            self._name(thread_id, notification.params.get("threadName"))
        elif unloads(notification.method, notification.params):
            self._loaded.drop(thread_id)
            self._warnings.drop(thread_id)
            if notification.method == "thread/deleted":
                self.names.drop(thread_id)

    def _take_opened(self, thread: Mapping[str, Any], thread_id: str) -> None:
        self._name(thread_id, thread.get("name"))

    def _name(self, thread_id: str, name: object) -> None:
        if isinstance(name, str):
            self.names.put(thread_id, name)
        else:
            self.names.drop(thread_id)

    def take_warnings(self, thread_id: str) -> list[Notification]:
        """Return the warnings about a thread that have not been returned yet."""
        return list(self._warnings.drop(thread_id) or ())

    @contextmanager
    def running(self, turn: RunningTurn) -> Generator[None, None, None]:
        """Let :meth:`running_turn` find a turn during the block."""
        self._turns[turn.thread_id] = turn
        use = self._used.get(turn.thread_id) or _Use()
        use.starting -= 1
        try:
            yield
        finally:
            use.starting += 1
            if self._turns.get(turn.thread_id) is turn:
                del self._turns[turn.thread_id]
            known = self._loaded.get(turn.thread_id)
            if known is not None and turn.ended_by_itself:
                known.stored = True

    def running_turn(self, thread_id: str) -> RunningTurn:
        """Return the turn that runs on a thread.

        Raises:
            CodexError: none does.
        """
        turn = self._turns.get(canonical_thread_id(thread_id))
        if turn is None or turn.is_over:
            raise CodexError(
                f"thread {thread_id!r} runs no turn here that could be steered or interrupted"
            )
        return turn

    def take_note(self, method: str, params: Mapping[str, Any]) -> None:
        """Take note of a request that the server has carried out, when it says so."""
        if method == "thread/archive":
            self._loaded.drop(canonical_thread_id(params["threadId"]))
        elif method == "thread/name/set":
            self._name(canonical_thread_id(params["threadId"]), params["name"])

    @asynccontextmanager
    async def loaded(
        self, thread_id: str | None, options: ThreadOptions, tools: ToolSet | None
    ) -> AsyncGenerator[str, None]:
        """Have the server load a thread with *options*, and keep it loaded during the block; yields its id.

        Raises:
            CodexError: the options are refused, or the server refuses, or does less than was asked of it.
        """
        wish = self._wish(options, tools)
        thread_id = await self._open(wish) if thread_id is None else canonical_thread_id(thread_id)
        with self._using(thread_id) as use:
            async with use.loading:
                if self._wish_of(thread_id) != wish:
                    thread_id = await self._resume(thread_id, wish, use)
                use.starting += 1
            try:
                await self._unload_others()
                yield thread_id
            finally:
                use.starting -= 1

    def _wish_of(self, thread_id: str) -> _Wish | None:
        """Return what a thread is loaded with, if it is."""
        known = self._loaded.get(thread_id)
        return known.wish if known is not None and thread_id in self.connection.threads else None

    @contextmanager
    def _using(self, thread_id: str) -> Generator[_Use, None, None]:
        use = self._used.setdefault(thread_id, _Use())
        use.count += 1
        try:
            yield use
        finally:
            use.count -= 1
            if not use.count:
                del self._used[thread_id]

    async def _unload_others(self) -> None:
        """Let the server unload threads that run no turn, where too many are loaded."""
        surplus = len(self._loaded) - _KEPT_LOADED
        if surplus <= 0:
            return
        for thread_id in self._idle()[:surplus]:
            if thread_id not in self._used:  # meanwhile
                await self._unload(thread_id)

    def _idle(self) -> list[str]:
        loaded = self._loaded.oldest_first()
        return [each for each, known in loaded if known.stored and each not in self._used]

    async def _unload(self, thread_id: str) -> None:
        with self._using(thread_id) as use:
            async with use.loading:  # whoever wants it meanwhile is to come after that
                await let_go(self.connection, thread_id)
                self._loaded.drop(thread_id)

    async def fork(self, thread_id: str, options: ThreadOptions, tools: ToolSet | None) -> str:
        """Copy a thread; returns the copy's id.

        Raises:
            CodexError: as :meth:`loaded` does.
        """
        wish = self._wish(options, tools)
        return await self._open(wish, canonical_thread_id(thread_id), fork=True)

    def _wish(self, options: ThreadOptions, tools: ToolSet | None) -> _Wish:
        directory = checked_directory(self.connection, options)
        if tools:
            check_tools_can_be_used(experimental=True, version=self.connection.version)
        return _Wish(options, tools, directory)

    async def _resume(self, thread_id: str, wish: _Wish, use: _Use) -> str:
        turn = self._turns.get(thread_id)
        runs_here = use.starting or (turn is not None and not turn.is_over)
        if runs_here or self.connection.peer.running_turn(thread_id) is not None:
            raise CodexError(
                f"thread {thread_id!r} already runs a turn, and cannot be loaded anew before that has ended: "
                "wait for it, or use another thread"
            )
        return await self._open(wish, thread_id)

    async def _open(self, wish: _Wish, thread_id: str | None = None, *, fork: bool = False) -> str:
        tools = {"dynamicTools": wish.tools.to_list()} if wish.tools and thread_id is None else {}
        opened = await open_thread(
            self.connection,
            self._codex,
            wish.options,
            directory=wish.directory,
            thread_id=thread_id,
            fork=fork,
            **tools,
        )
        if opened in self.connection.threads:  # and not unloaded again meanwhile
            self._loaded.put(opened, _Loaded(wish, stored=thread_id is not None and not fork))
        self.connection.tools.register(opened, wish.tools)
        return opened
