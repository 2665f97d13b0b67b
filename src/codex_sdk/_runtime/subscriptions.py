"""Who is told what: queues of notifications, and which turn each of them follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import anyio
from anyio.lowlevel import checkpoint

from .._core.jsonrpc import Notification, Request
from .._core.merging import NotificationQueue
from .._core.routing import Address, address_of
from ..exceptions import CodexError

__all__ = ["ConnectionStream", "Failure", "Subscription", "TurnSubscription", "Turns"]

_JOINED_FROM = 256
"""Unread notifications from which on the pieces of a text are joined."""

_KEPT = 4096
"""Unread notifications that the stream of a connection keeps: those that belong to no turn, or to a turn that
nobody asked to follow, may never be read at all."""

_BOUNDS_OF_ITEMS = ("item/started", "item/completed")

Failure = Callable[[], CodexError]
"""Makes an error, for each caller a new one."""


class Subscription:
    """Notifications that wait for one reader."""

    def __init__(self) -> None:
        self._queue = NotificationQueue(_JOINED_FROM)
        self._changed: anyio.Event | None = (
            None  # made for who waits; most notifications wait for nobody
        )
        self._ended = False
        self._failure: Failure | None = None

    async def receive(self) -> Notification:
        """Return the next notification, waiting for it; a call that is cancelled takes none.

        Raises:
            anyio.EndOfStream: there will be no more.
            AppServerClosedError: the connection ended before that.
        """
        await self._until_there_is_one()
        return self._queue.pop()

    async def receive_batch(self) -> Sequence[Notification]:
        """Return all that have come, waiting for the first; raises what :meth:`receive` does."""
        await self._until_there_is_one()
        return self._queue.pop_all()

    async def _until_there_is_one(self) -> None:
        await checkpoint()
        while not self._queue:
            if self._failure is not None:
                raise self._failure()
            if self._ended:
                raise anyio.EndOfStream
            await self._change()

    async def _change(self) -> None:
        self._changed = self._changed or anyio.Event()
        await self._changed.wait()

    def push(self, notification: Notification) -> None:
        """Add what came."""
        self._queue.push(notification)
        self._notify()

    def end(self, failure: Failure | None = None) -> None:
        """Take note that nothing more will come, and why, if that is a failure."""
        if not self._ended:
            self._ended = True
            self._failure = failure
            self._notify()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


class ConnectionStream(Subscription):
    """The notifications that no turn takes: the newest ones, where nobody reads them in time."""

    def __init__(self, on_drop: Callable[[], None]) -> None:
        super().__init__()
        self._on_drop = on_drop

    def push(self, notification: Notification) -> None:
        """Add what came, in the place of the oldest one, where there are too many."""
        while len(self._queue) >= _KEPT:
            self._queue.pop()
            self._on_drop()
        super().push(notification)


class TurnSubscription(Subscription):
    """The notifications of one turn, and of no other, from its start to its end.

    Attributes:
        thread_id: the thread.
        turn_id: the turn; ``None`` until the server has told it.
        completed: the notification that ended the turn, once it has come, read or not.
        on_request: for who answers the server's requests: what the turn's owner has to say to them.
        items: the items that have begun and not ended, as the server told, by their ids: requests name the
            item that they are about, and some say no more.
    """

    def __init__(
        self, thread_id: str, on_request: Callable[[Request], Awaitable[Any]] | None
    ) -> None:
        super().__init__()
        self.thread_id = thread_id
        self.turn_id: str | None = None
        self.completed: Notification | None = None
        self.on_request = on_request
        self._over = anyio.Event()
        self.held: list[Notification] = []
        self.items: dict[str, dict[str, Any]] = {}

    async def wait_over(self) -> None:
        """Wait until the turn has ended, or the connection."""
        await self._over.wait()

    def push(self, notification: Notification) -> None:
        """Add what came; the turn's last notification ends the subscription."""
        super().push(notification)
        if notification.method in _BOUNDS_OF_ITEMS:
            self._take_note_of_item(notification)
        elif notification.method == "turn/completed":
            self.completed = notification
            self.items.clear()
            self.end()

    def _take_note_of_item(self, notification: Notification) -> None:
        item = notification.params.get("item")
        if isinstance(item, dict):
            known = cast("dict[str, Any]", item)
            item_id = str(known.get("id"))
            if notification.method == "item/started":
                self.items[item_id] = known
            else:
                self.items.pop(item_id, None)

    def end(self, failure: Failure | None = None) -> None:
        """Take note that nothing more will come."""
        super().end(failure)
        self._over.set()


class Turns:
    """Which turns run, and who follows them.

    Attributes:
        running: the turn that runs on each thread, as far as the server has told.
    """

    def __init__(self) -> None:
        self.running: dict[str, str] = {}
        self._followed: dict[tuple[str, str], TurnSubscription] = {}
        self._starting: dict[str, TurnSubscription] = {}

    def take_note(self, notification: Notification, address: Address) -> None:
        """Learn from what the server tells."""
        thread_id, turn_id = address
        if thread_id is None:
            return
        if notification.method == "turn/started" and turn_id is not None:
            self.running[thread_id] = turn_id
        elif _ends_turn(notification, self.running.get(thread_id), turn_id):
            self.running.pop(thread_id, None)

    def take_note_of_answer(self, thread_id: str, turn_id: str) -> None:
        """Learn from the answer to ``turn/start``, which may come when the turn has ended already."""
        starting = self._starting.get(thread_id)
        came = [] if starting is None else starting.held
        ended = Address(thread_id, turn_id)
        if not any(it.method == "turn/completed" and address_of(it.params) == ended for it in came):
            self.running[thread_id] = turn_id

    def follower(self, address: Address) -> TurnSubscription | None:
        """Return who follows a turn that has not ended, or a turn of this thread that is just starting."""
        thread_id, turn_id = address
        if thread_id is None or turn_id is None:
            return None
        found = self._followed.get((thread_id, turn_id))
        if found is not None:
            return None if found.completed else found
        return self._starting.get(thread_id)

    def asked(self, address: Address) -> TurnSubscription | None:
        """Return whose turn a request is about, which may name no more than the thread."""
        thread_id = address.thread_id
        if thread_id is None or address.turn_id is not None:
            return self.follower(address)
        return self.follower(Address(thread_id, self.running.get(thread_id, "")))

    def add(self, subscription: TurnSubscription) -> None:
        """Follow the turn that is about to be started.

        Raises:
            CodexError: the thread runs a turn, or starts one.
        """
        thread_id = subscription.thread_id
        if thread_id in self.running or thread_id in (turn.thread_id for turn in self.unfinished()):
            raise CodexError(
                f"thread {thread_id!r} already runs a turn, and a thread runs one at a time: wait for it, "
                "steer it, or use another thread"
            )
        self._starting[thread_id] = subscription

    def bind(self, subscription: TurnSubscription, turn_id: str) -> None:
        """Take note which turn it is that was started."""
        if self._starting.get(subscription.thread_id) is subscription:
            del self._starting[subscription.thread_id]
            self._followed[subscription.thread_id, turn_id] = subscription
            subscription.turn_id = turn_id

    def remove(self, subscription: TurnSubscription) -> None:
        """Follow no longer."""
        if self._starting.get(subscription.thread_id) is subscription:
            del self._starting[subscription.thread_id]
        if subscription.turn_id is not None:
            self._followed.pop((subscription.thread_id, subscription.turn_id), None)

    def unfinished(self) -> list[TurnSubscription]:
        """Return who follows a turn that has not ended."""
        followed = [turn for turn in self._followed.values() if turn.completed is None]
        return [*self._starting.values(), *followed]


def _ends_turn(notification: Notification, running: str | None, turn_id: str | None) -> bool:
    if notification.method == "turn/completed":
        return running == turn_id
    if notification.method == "thread/status/changed":
        return notification.params.get("status") in ({"type": "idle"}, {"type": "notLoaded"})
    return notification.method == "thread/closed"
