"""Events in, a finished turn out; who reads the events makes no difference to it."""

from __future__ import annotations

from collections.abc import Iterable

from ..events import (
    ItemCompletedEvent,
    ThreadError,
    ThreadErrorEvent,
    ThreadEvent,
    ThreadStartedEvent,
    TurnCompletedEvent,
    TurnFailedEvent,
    Usage,
)
from ..items import AgentMessageItem, ThreadItem
from ..turn import Turn

__all__ = ["TurnBuilder", "is_last_event"]


_NOTED = frozenset({ThreadStartedEvent, TurnCompletedEvent, TurnFailedEvent, ThreadErrorEvent})


def is_last_event(event: ThreadEvent) -> bool:
    """Whether *event* ends its turn. An ``error`` event does not: Codex goes on after it."""
    return isinstance(event, (TurnCompletedEvent, TurnFailedEvent))


class TurnBuilder:
    """Collects the events of one turn; its items, only if it is to *keep_items*.

    Attributes:
        thread_id: the thread's id, once ``thread.started`` has told it.
        error: why the turn failed, if it did.
        finished: whether the turn's last event has come.
        usage: what the CLI reports at the end of a completed turn.
        last_error: the message of the last ``error`` event, which need not have ended the turn.
    """

    def __init__(self, *, keep_items: bool = True) -> None:
        self._keep_items = keep_items
        self.thread_id: str | None = None
        self.error: ThreadError | None = None
        self.finished = False
        self.last_error: str | None = None
        self._items: list[ThreadItem] = []
        self.usage: Usage | None = None

    def add(self, events: Iterable[ThreadEvent]) -> None:
        """Take the turn's next events."""
        for event in events:
            if isinstance(event, ItemCompletedEvent):
                if self._keep_items:
                    self._items.append(event.item)
            elif event.__class__ in _NOTED:
                self._pass(event)

    def _pass(self, event: ThreadEvent) -> None:
        if isinstance(event, ThreadStartedEvent):
            self.thread_id = event.thread_id
        elif isinstance(event, TurnCompletedEvent):
            self.finished, self.usage = True, event.usage
        elif isinstance(event, TurnFailedEvent):
            self.finished, self.error = True, event.error
        elif isinstance(event, ThreadErrorEvent):
            self.last_error = event.message

    def build(self) -> Turn:
        """Return the turn as far as it has come; what has been returned does not change later."""
        messages = (item for item in reversed(self._items) if isinstance(item, AgentMessageItem))
        last = next(messages, None)
        return Turn(
            items=tuple(self._items),
            final_response="" if last is None else last.text,
            usage=self.usage,
        )
