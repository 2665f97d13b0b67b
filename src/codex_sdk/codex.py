"""The client: what all threads have in common."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ._core.arguments import check_thread_id
from ._host import Host, current_host
from ._io.sessions import last_thread_id
from ._io.task_groups import open_task_group
from .options import CodexOptions, ThreadOptions
from .thread import Thread

__all__ = ["Codex"]


class Codex(anyio.AsyncContextManagerMixin):
    """Starts and resumes threads.

    Works as it is, and as an async context manager. Inside ``async with Codex(…) as codex``, the turns
    of :meth:`Thread.run_streamed` run in the client's own task group and are stopped when the block
    is left; outside, and in other event loops, in tasks of the loop's. All other turns belong to the
    block or call that runs them, either way. A client can be entered again once its block has been
    left, not before.

    A client holds no process and no connection while no turn runs. It may be shared by tasks.
    """

    def __init__(self, options: CodexOptions | None = None) -> None:
        self._options = options or CodexOptions()
        self._home: tuple[Host, TaskGroup] | None = None

    @property
    def options(self) -> CodexOptions:
        """The options that the client was made with."""
        return self._options

    def __repr__(self) -> str:
        return f"Codex({self._options!r})"

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Codex, None]:
        async with open_task_group() as task_group:
            self._home = current_host(), task_group
            try:
                yield self
            finally:
                self._home = None
                task_group.cancel_scope.cancel("the Codex client was closed")

    def start_thread(self, options: ThreadOptions | None = None) -> Thread:
        """Return a new thread. Nothing happens, and it has no id, until its first turn."""
        return self._thread(options, None)

    def resume_thread(self, thread_id: str, options: ThreadOptions | None = None) -> Thread:
        """Return the thread of that id, with its history; whether there is one shows in its next turn.

        Raises:
            CodexError: *thread_id* is empty, begins with ``-`` or holds a NUL character.
        """
        check_thread_id(thread_id)
        return self._thread(options, thread_id)

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

    def _codex_home(self, codex_home: str | os.PathLike[str] | None) -> Path:
        environ: Mapping[str, str] = os.environ if self._options.env is None else self._options.env
        user = (environ.get("HOME") if os.name == "posix" else None) or "~"
        home = codex_home or environ.get("CODEX_HOME") or Path(user, ".codex")
        return Path(home).expanduser()

    def _thread(self, options: ThreadOptions | None, thread_id: str | None) -> Thread:
        return Thread(
            self._options, options or ThreadOptions(), spawn=self._spawn, thread_id=thread_id
        )

    def _spawn(self, function: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        """Start a task in the client's task group, if it is open in the loop that asks, or the loop's."""
        host = current_host()
        if self._home is not None and self._home[0] == host:
            self._home[1].start_soon(function, name=name)
        else:
            host.spawn(function, name=name)
