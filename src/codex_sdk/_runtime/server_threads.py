"""The threads that an app-server has loaded, as far as it has told: a reader of its messages takes note.

Those that it has started by itself, for the agents of a thread, are among them. A connection is subscribed to
them as to its own, and nobody asks for them to be unloaded: they would stay in the server's memory as long as
it lives.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

from .._core.recent import Recent

__all__ = ["ServerThreads", "Unloading"]

_KEPT_AGENTS = 256
"""Threads of agents that stay loaded; each takes the server a megabyte or two. The CLI lets a thread have six
agents at a time."""


class Unloading:
    """Whether the server tells that it unloads a thread, since :meth:`begin`."""

    def __init__(self) -> None:
        self._told: anyio.Event | None = None

    def begin(self, _: object = None) -> None:
        """Look out from now on; what was told before is of an earlier time. Fit for ``on_result``."""
        self._told = anyio.Event()

    @property
    def is_told(self) -> bool:
        """Whether it has been told."""
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
    """Which threads a server has loaded, and whether they were asked for here."""

    def __init__(self) -> None:
        self._asked_for: Recent[bool] = Recent()
        self._unloadings: dict[str, list[Unloading]] = {}

    def __contains__(self, thread_id: str) -> bool:
        return thread_id in self._asked_for

    def open(self, thread_id: str) -> None:
        """Take note of a thread that was asked for, and is loaded."""
        self._asked_for.put(thread_id, True)

    def hear_of(self, thread_id: str) -> None:
        """Take note of a thread that the server tells of, and that nobody may have asked for."""
        if self._asked_for.get(thread_id) is None:
            self._asked_for.put(thread_id, False)

    def unload(self, thread_id: str) -> None:
        """Take note of a thread that is not loaded any more."""
        self._asked_for.drop(thread_id)
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

    def forget_agents(self, runs: Callable[[str], bool]) -> list[str]:
        """Forget, and return, threads of agents that are too many: none that was active last, or *runs*."""
        known = self._asked_for.oldest_first()
        agents = [thread_id for thread_id, asked_for in known if not asked_for]
        surplus = [each for each in agents[:-_KEPT_AGENTS] if not runs(each)]
        for each in surplus:
            self._asked_for.drop(each)
        return surplus
