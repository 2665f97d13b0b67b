"""The threads that an app-server has loaded for a connection, as far as it has told.

It is noted by who reads the server's messages, in the order in which these come.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anyio

from .._core.recent import Recent

__all__ = ["ServerThreads", "Unloading"]


class Unloading:
    """Whether the server tells that it unloads a thread, since :meth:`begin`."""

    def __init__(self) -> None:
        self._told: anyio.Event | None = None

    def begin(self, _: object = None) -> None:
        """Look out from now on; what was told before is of an earlier time. Fit for ``on_result``."""
        self._told = anyio.Event()

    @property
    def is_told(self) -> bool:
        """Whether it has been told, or the connection has ended."""
        return self._told is not None and self._told.is_set()

    def tell(self) -> None:
        """Take note that it has been told."""
        if self._told is not None:
            self._told.set()

    async def wait(self) -> None:
        """Wait until it is told, or the connection ends."""
        if self._told is not None:
            await self._told.wait()


class ServerThreads:
    """The threads that were asked for, are loaded, and are subscribed to."""

    def __init__(self) -> None:
        self._loaded: Recent[bool] = Recent()
        self._unloadings: dict[str, list[Unloading]] = {}

    def __contains__(self, thread_id: str) -> bool:
        return thread_id in self._loaded

    def opened(self, thread_id: str) -> None:
        """Take note of a thread that was asked for, and is loaded."""
        self._loaded.put(thread_id, True)

    def leave(self, thread_id: str) -> None:
        """Take note of a thread that is going to be unsubscribed from."""
        self._loaded.drop(thread_id)

    def unloaded(self, thread_id: str) -> None:
        """Take note of a thread that is not loaded any more."""
        self._loaded.drop(thread_id)
        for unloading in self._unloadings.get(thread_id, ()):
            unloading.tell()

    def end(self) -> None:
        """Take note that the server tells nothing any more."""
        for unloadings in self._unloadings.values():
            for unloading in unloadings:
                unloading.tell()

    @contextmanager
    def noticing_unloading(self, thread_id: str) -> Generator[Unloading, None, None]:
        """Look out, during the block, for the server to unload a thread."""
        unloading = Unloading()
        others = self._unloadings.setdefault(thread_id, [])
        others.append(unloading)
        try:
            yield unloading
        finally:
            others.remove(unloading)
            if not others:
                del self._unloadings[thread_id]
