"""The event loop that the calling task runs in, and the two things that anyio has no word for.

One is to hand a callback to the loop from anywhere: another thread, a signal handler, a finalizer. The
other is to start a task that outlives the block that starts it. This is the only module that names
asyncio or trio; everything else is written to anyio.
"""

from __future__ import annotations

import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, ClassVar, TypeVar

from anyio import NoEventLoopError
from anyio.lowlevel import current_token

__all__ = ["Host", "current_host", "loop_is_running", "run_blocking"]

T = TypeVar("T")

_log = logging.getLogger("codex_sdk")


class Host(ABC):
    """A running event loop; two hosts are equal if they stand for the same one."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether the loop has ended for good."""

    @property
    @abstractmethod
    def is_here(self) -> bool:
        """Whether the calling code runs in this loop; callable wherever code runs, and cheap."""

    @abstractmethod
    def call_soon(self, callback: Callable[[], object]) -> bool:
        """Have the loop call *callback* soon; callable from any thread, signal handler or finalizer.

        Returns false, and does nothing, once the loop is closed.
        """

    @abstractmethod
    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        """Start *function* as a task of the loop's own, which ends it (by cancelling) when it shuts down.

        *function* is to raise nothing but its own cancellation: there is nobody to raise it to. What it
        raises all the same is logged, and does the loop no harm (by ``SystemExit`` and
        ``KeyboardInterrupt``, asyncio ends).
        """


class _AsyncioHost(Host):
    _tasks: ClassVar[set[Any]] = set()  # asyncio itself holds tasks weakly

    def __init__(self) -> None:
        import asyncio

        self._running_loop = asyncio.get_running_loop
        self._loop = asyncio.get_running_loop()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _AsyncioHost) and self._loop is other._loop

    def __hash__(self) -> int:
        return hash(self._loop)

    @property
    def closed(self) -> bool:
        return self._loop.is_closed()

    @property
    def is_here(self) -> bool:
        try:
            return self._running_loop() is self._loop
        except RuntimeError:
            return False

    def call_soon(self, callback: Callable[[], object]) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            if not self.closed:
                raise
            return False
        return True

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        self._drop_dead_tasks()
        task = self._loop.create_task(function(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _drop_dead_tasks(self) -> None:
        """Let go of tasks whose loop was closed under them: they will never be done."""
        for task in [task for task in self._tasks if task.get_loop().is_closed()]:
            self._tasks.discard(task)


class _TrioHost(Host):
    def __init__(self) -> None:
        import trio

        self._trio = trio  # a finalizer at the interpreter's exit cannot import any more
        self._token = trio.lowlevel.current_trio_token()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TrioHost) and self._token is other._token

    def __hash__(self) -> int:
        return hash(self._token)

    @property
    def closed(self) -> bool:
        return not self.call_soon(_nothing)

    @property
    def is_here(self) -> bool:
        try:
            return self._trio.lowlevel.current_trio_token() is self._token
        except RuntimeError:
            return False

    def call_soon(self, callback: Callable[[], object]) -> bool:
        try:
            self._token.run_sync_soon(callback)
        except self._trio.RunFinishedError:
            return False
        return True

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        async def contained() -> None:
            """Let nothing out by which trio would end as by an error of its own."""
            try:
                await function()
            except self._trio.Cancelled:
                raise
            except BaseException:  # noqa: ASYNC103, BLE001 - as asyncio does
                _log.exception("the task %s failed", name)  # noqa: ASYNC104

        self._trio.lowlevel.spawn_system_task(contained, name=name, context=copy_context())


def _nothing() -> None:
    """Stand in for a callback."""


def loop_is_running() -> bool:
    """Return whether an event loop runs in this thread, be it in a task or in a callback."""
    try:
        current_token()
    except NoEventLoopError:
        return "asyncio" in sys.modules and _in_asyncio()
    return True


def run_blocking(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run *function* in an event loop of its own, and return what it returns."""
    if sys.version_info < (3, 11):
        # There, Ctrl-C leaves anyio.run() as a cancellation.
        import asyncio

        return asyncio.run(function())
    from anyio import run

    return run(function)


def _in_asyncio() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def current_host() -> Host:
    """Return the event loop that runs the calling task.

    Raises:
        anyio.NoEventLoopError: there is none.
    """
    current_token()
    if "trio" in sys.modules and _in_trio():
        return _TrioHost()
    return _AsyncioHost()


def _in_trio() -> bool:
    import trio

    return trio.lowlevel.in_trio_run()
