"""The client: what all threads have in common."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

from ._core.arguments import check_thread_id
from ._host import Host, current_host
from ._io.sessions import codex_home as home_of
from ._io.sessions import last_thread_id
from ._io.task_groups import open_task_group
from ._runtime.backend import Backend, ExecBackend
from .options import CodexOptions, ThreadOptions
from .thread import Thread

if TYPE_CHECKING:
    from ._core.server_requests import ApprovalDecisions
    from ._runtime.reached_server import Connect
    from ._runtime.stored_threads import StoredThreads
    from .app_server.approvals import RequestHandlers
    from .tools import Tools, ToolSet

__all__ = ["Codex"]


class Codex(anyio.AsyncContextManagerMixin):
    """Starts and resumes threads.

    Works as it is, and as an async context manager. Inside ``async with Codex(…) as codex``, the turns
    of :meth:`Thread.run_streamed` run in the client's own task group and are stopped when the block
    is left; outside, and in other event loops, in tasks of the loop's. All other turns belong to the
    block or call that runs them, either way. A client can be entered again once its block has been
    left, not before.

    A client holds no process and no connection while no turn runs. It may be shared by tasks.

    With ``CodexOptions(backend="app-server")`` the block is needed: all turns in it share one
    ``codex app-server``, which starts with the first of them and ends with the block::

        async with Codex(CodexOptions(backend="app-server")) as codex:
            turn = await codex.start_thread().run("What is here?")

    Threads, their events, results and errors are the same as with ``codex exec``, and :meth:`threads`,
    :meth:`Thread.fork`, :meth:`Thread.steer` and their like are there besides. A server that dies fails
    the turns that it runs; the next turn starts another, and resumes its thread. Outside the block,
    synchronous helpers such as :meth:`Thread.run_sync` start a server for each call.
    """

    def __init__(
        self,
        options: CodexOptions | None = None,
        *,
        handlers: RequestHandlers | None = None,
        approvals: ApprovalDecisions | None = None,
        connect: Connect | None = None,
    ) -> None:
        """Make a client; nothing is started before a turn is.

        Args:
            options: how the CLI is found, authenticated, configured and read.
            handlers: the functions that answer when Codex asks for something during a turn; what none of
                them answers is declined at once. Needs ``backend="app-server"``, as does what follows.
            approvals: what is decided beforehand when Codex asks; it comes before the handlers.
            connect: another way to a server: opens a transport for the time of a block, as
                :class:`codex_sdk.testing.FakeAppServer` does.

        Raises:
            CodexError: the backend is another, and has no use for what is given.
        """
        self._options = options or CodexOptions()
        self._backend = _backend(self._options, handlers, approvals, connect)
        self._home: tuple[Host, TaskGroup] | None = None

    @property
    def options(self) -> CodexOptions:
        """The options that the client was made with."""
        return self._options

    def __repr__(self) -> str:
        return f"Codex({self._options!r})"

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Codex, None]:
        async with self._backend.opened(), open_task_group() as task_group:
            self._home = current_host(), task_group
            try:
                yield self
            finally:
                self._home = None
                task_group.cancel_scope.cancel("the Codex client was closed")

    def start_thread(
        self, options: ThreadOptions | None = None, *, tools: Tools | None = None
    ) -> Thread:
        """Return a new thread. Nothing happens, and it has no id, until its first turn.

        Args:
            options: what every turn of the thread runs with.
            tools: Python functions that Codex can call during the thread's turns; see
                :func:`codex_sdk.tools.tool`. Needs ``backend="app-server"``.

        Raises:
            CodexError: there are *tools*, and the backend cannot have them called.
        """
        return self._thread(options, None, tools)

    def resume_thread(
        self,
        thread_id: str,
        options: ThreadOptions | None = None,
        *,
        tools: Tools | None = None,
    ) -> Thread:
        """Return the thread of that id, with its history; whether there is one shows in its next turn.

        Args:
            thread_id: the thread's id.
            options: what every turn runs with from now on.
            tools: the functions that the thread was started with, for Codex to call again.

        Raises:
            CodexError: *thread_id* is empty, begins with ``-`` or holds a NUL character; or as for
                :meth:`start_thread`.
        """
        check_thread_id(thread_id)
        return self._thread(options, thread_id, tools)

    def threads(
        self,
        *,
        archived: bool = False,
        search: str | None = None,
        working_directory: str | os.PathLike[str] | None = None,
    ) -> StoredThreads:
        """Return an iterator over the threads that are stored, of whatever program, the last used first.

        ``async for stored in codex.threads(): print(stored.id, stored.preview)``. Pages are asked for as
        the iteration gets to them. CLIs before 0.100 leave out the threads of ``codex exec``. Needs
        ``backend="app-server"``.

        Args:
            archived: those that are archived, instead of the others.
            search: only those with this text in their titles.
            working_directory: only those that worked in this directory.

        Raises:
            CodexError: the backend is another. CLIs before 0.100 cannot choose, so that what is asked for
                there besides is an error, from the iteration.
        """
        from ._runtime.stored_threads import StoredThreads

        server = self._backend.app_server("codex.threads()")
        return StoredThreads(
            server, archived=archived, search=search, working_directory=working_directory
        )

    def resume_last_thread(
        self,
        options: ThreadOptions | None = None,
        *,
        codex_home: str | os.PathLike[str] | None = None,
    ) -> Thread:
        """Return the thread that was used last, whichever program and directory used it.

        Looks in *codex_home*, or ``CODEX_HOME`` of the environment that the CLI will run in, or
        ``.codex`` in the home directory that this environment names.

        Raises:
            CodexError: there is none, or its id cannot be made out.
        """
        return self.resume_thread(last_thread_id(self._codex_home(codex_home)), options)

    def _codex_home(self, named: str | os.PathLike[str] | None) -> Path:
        if named:
            return Path(named).expanduser()
        return home_of(os.environ if self._options.env is None else self._options.env)

    def _thread(
        self, options: ThreadOptions | None, thread_id: str | None, tools: Tools | None = None
    ) -> Thread:
        return Thread(
            self._options,
            options or ThreadOptions(),
            spawn=self._spawn,
            backend=self._backend,
            thread_id=thread_id,
            tools=self._tool_set(tools),
        )

    def _tool_set(self, tools: Tools | None) -> ToolSet | None:
        if tools is None:
            return None
        from .tools import ToolSet

        self._backend.app_server("a thread with tools")
        return ToolSet.of(tools)

    def _spawn(self, function: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Start a task in the client's task group, if it is open in the loop that asks, or the loop's."""
        host = current_host()
        if self._home is not None and self._home[0] == host:
            self._home[1].start_soon(function, name=name)
        else:
            host.spawn(function, name=name)


def _backend(
    options: CodexOptions,
    handlers: RequestHandlers | None,
    approvals: ApprovalDecisions | None,
    connect: Connect | None,
) -> Backend:
    if options.backend == "exec":
        backend = ExecBackend()
        if not (handlers is None and approvals is None and connect is None):
            backend.app_server("a client with handlers, approvals or another server")
        return backend
    from ._runtime.app_server_threads import AppServerThreads

    if handlers is None:
        return AppServerThreads(options, approvals=approvals, connect=connect)
    from .app_server.approvals import handling

    return AppServerThreads(
        options,
        approvals=approvals,
        make_answerer=partial(handling, handlers),
        connect=connect,
    )
