"""A queue of notifications that a slow reader cannot make grow beyond what was said.

Above its limit, pieces of one text (``item/agentMessage/delta`` and its like) are joined instead of being
queued one by one: the reader gets fewer and longer pieces, and loses none. Nothing else is joined, and
nothing is dropped, so that what tells the start and the end of things always arrives, in order.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from .jsonrpc import Notification

__all__ = ["NotificationQueue"]

_VARYING = frozenset({"delta", "emittedAtMs"})
"""The params in which two pieces of one text may differ."""


class _Text:
    """Pieces of one text, joined when they are read: joining at each arrival would take quadratic time."""

    __slots__ = ("_first", "_pieces", "key")

    def __init__(self, key: tuple[Any, ...], first: Notification) -> None:
        self.key = key
        self._first = first
        self._pieces: list[str] = [first.params["delta"]]

    def add(self, piece: Notification) -> None:
        self._pieces.append(piece.params["delta"])

    def joined(self) -> Notification:
        if len(self._pieces) == 1:
            return self._first
        return Notification(
            self._first.method, {**self._first.params, "delta": "".join(self._pieces)}
        )


class NotificationQueue:
    """Notifications in order, the pieces of a text joined where there are too many.

    Args:
        limit: how many notifications may wait before pieces are joined.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[Notification | _Text] = deque()
        # The texts at the queue's end: those that nothing but pieces of texts came after. Their order
        # among each other means nothing, so that each can still grow.
        self._growing: dict[tuple[Any, ...], _Text] = {}

    def __len__(self) -> int:
        return len(self._items)

    def push(self, notification: Notification) -> None:
        """Add what came."""
        if not _is_piece_of_text(notification):
            self._growing.clear()
            self._items.append(notification)
        elif self._growing or len(self._items) >= self._limit:
            self._join(notification)
        else:
            self._items.append(notification)

    def _join(self, piece: Notification) -> None:
        key = _text_of(piece)
        if (text := self._growing.get(key)) is not None:
            text.add(piece)
        else:
            text = self._growing[key] = _Text(key, piece)
            self._items.append(text)

    def pop(self) -> Notification:
        """Remove and return the oldest.

        Raises:
            IndexError: there is none.
        """
        item = self._items.popleft()
        if isinstance(item, Notification):
            return item
        if self._growing.get(item.key) is item:
            del self._growing[item.key]
        return item.joined()

    def pop_all(self) -> list[Notification]:
        """Remove and return all of them."""
        items = [item if isinstance(item, Notification) else item.joined() for item in self._items]
        self._items.clear()
        self._growing.clear()
        return items


def _is_piece_of_text(notification: Notification) -> bool:
    params = notification.params
    return isinstance(params.get("delta"), str) and isinstance(params.get("itemId"), str)


def _text_of(piece: Notification) -> tuple[Any, ...]:
    """Return what all pieces of one text have in common."""
    common = [(name, repr(value)) for name, value in piece.params.items() if name not in _VARYING]
    return (piece.method, *sorted(common))
