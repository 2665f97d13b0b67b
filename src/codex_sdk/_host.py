"""The event loop that the calling task runs in, and the two things that anyio has no word for.

One is to hand a callback to the loop from anywhere: another thread, a signal handler, a finalizer. The
other is to start a task that outlives the block that starts it. This is the only module that names
asyncio or trio; everything else is written to anyio.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from anyio.lowlevel import current_token

__all__ = ["Host", "current_host"]


class Host(ABC):
    """A running event loop."""

    @abstractmethod
    def call_soon(self, callback: Callable[[], object]) -> None:
        """Have the loop call *callback* soon; callable from any thread, signal handler or finalizer.

        Once the loop is closed, this does nothing: there is nothing left that could care.
        """

    @abstractmethod
    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        """Start *function* as a task of the loop's own, which ends it (by cancelling) when it shuts down.

        *function* must not raise anything but its own cancellation.
        """


class _AsyncioHost(Host):
    _tasks: set[Any] = set()  # asyncio itself holds tasks weakly

    def __init__(self) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()

    def call_soon(self, callback: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        task = self._loop.create_task(function(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _TrioHost(Host):
    def __init__(self) -> None:
        import trio

        self._token = trio.lowlevel.current_trio_token()

    def call_soon(self, callback: Callable[[], object]) -> None:
        import trio

        try:
            self._token.run_sync_soon(callback)
        except trio.RunFinishedError:
            pass  # the loop is closed

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        import trio

        trio.lowlevel.spawn_system_task(function, name=name, context=copy_context())


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
