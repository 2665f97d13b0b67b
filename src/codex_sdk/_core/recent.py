"""What is known of the threads that were used last, and of no more of them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

__all__ = ["KEPT_THREADS", "Recent"]

T = TypeVar("T")

KEPT_THREADS = 4096
"""Threads of one connection of which something is remembered: far more than a server can hold at a time, at
about a megabyte each, and some kilobytes of this program's memory for each hundred."""


class Recent(Generic[T]):
    """Values by thread id; the one that was not used for longest makes room for a new one.

    Args:
        limit: how many there are at most.
    """

    def __init__(self, limit: int = KEPT_THREADS) -> None:
        self._limit = limit
        self._values: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, thread_id: str) -> bool:
        return thread_id in self._values

    def get(self, thread_id: str) -> T | None:
        """Return the value of a thread, which counts as used."""
        value = self._values.get(thread_id)
        if value is not None:
            self._values.move_to_end(thread_id)
        return value

    def put(self, thread_id: str, value: T) -> None:
        """Set the value of a thread, which counts as used."""
        self._values[thread_id] = value
        self._values.move_to_end(thread_id)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def drop(self, thread_id: str) -> T | None:
        """Forget the value of a thread, and return it."""
        return self._values.pop(thread_id, None)

    def oldest_first(self) -> list[tuple[str, T]]:
        """Return all, in the order in which they were used last; none counts as used by that."""
        return list(self._values.items())
