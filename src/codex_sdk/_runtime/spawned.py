"""The threads that a server has started by itself, for the agents of a thread.

A connection is subscribed to them as to its own, and nobody asks for them to be unloaded: they would stay in
the server's memory as long as it lives.
"""

from __future__ import annotations

from collections.abc import Callable

from .._core.recent import Recent

__all__ = ["SpawnedThreads"]

_KEPT_LOADED = 256
"""Threads of agents that stay loaded; each takes the server a megabyte or two. The CLI lets a thread have six
agents at a time."""


class SpawnedThreads:
    """Which threads of a server were asked for here, and which the server has spawned."""

    def __init__(self) -> None:
        self._asked_for: Recent[bool] = Recent()

    def hear_of(self, thread_id: str) -> None:
        """Take note of a thread that the server tells of."""
        if self._asked_for.get(thread_id) is None:
            self._asked_for.put(thread_id, False)

    def ask_for(self, thread_id: str) -> None:
        """Take note of a thread that the server was asked for: it is not spawned."""
        self._asked_for.put(thread_id, True)

    def forget(self, thread_id: str) -> None:
        """Forget a thread that is not loaded any more, or is not to be."""
        self._asked_for.drop(thread_id)

    def surplus(self, runs: Callable[[str], bool]) -> list[str]:
        """Return the spawned threads beyond those that were active last, but none of which *runs* is true."""
        known = self._asked_for.oldest_first()
        spawned = [thread_id for thread_id, asked_for in known if not asked_for]
        return [each for each in spawned[:-_KEPT_LOADED] if not runs(each)]
