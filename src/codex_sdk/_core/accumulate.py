"""Events in, a finished turn out; who reads the events makes no difference to it."""

from __future__ import annotations

from ..events import (
    ItemCompletedEvent,
    ThreadError,
    ThreadEvent,
    ThreadStartedEvent,
    TurnCompletedEvent,
    TurnFailedEvent,
    Usage,
)
from ..items import AgentMessageItem, ThreadItem
from ..turn import Turn

__all__ = ["TurnBuilder", "is_last_event"]


def is_last_event(event: ThreadEvent) -> bool:
    """Whether *event* ends its turn. An ``error`` event does not: Codex goes on after it."""
    return isinstance(event, (TurnCompletedEvent, TurnFailedEvent))


class TurnBuilder:
    """Collects the events of one turn.

    Attributes:
        thread_id: the thread's id, once ``thread.started`` has told it.
        error: why the turn failed, if it did.
        finished: whether the turn's last event has come.
    """

    def __init__(self) -> None:
        self.thread_id: str | None = None
        self.error: ThreadError | None = None
        self.finished = False
        self._items: list[ThreadItem] = []
        self._response = ""
        self._usage: Usage | None = None

    def add(self, event: ThreadEvent) -> None:
        """Take the turn's next event."""
        if isinstance(event, ItemCompletedEvent):
            self._add_item(event.item)
        elif isinstance(event, ThreadStartedEvent):
            self.thread_id = event.thread_id
        elif isinstance(event, TurnCompletedEvent):
            self.finished, self._usage = True, event.usage
        elif isinstance(event, TurnFailedEvent):
            self.finished, self.error = True, event.error

    def build(self) -> Turn:
        """Return the turn as far as it has come; what has been returned does not change later."""
        return Turn(items=tuple(self._items), final_response=self._response, usage=self._usage)

    def _add_item(self, item: ThreadItem) -> None:
        self._items.append(item)
        if isinstance(item, AgentMessageItem):
            self._response = item.text
