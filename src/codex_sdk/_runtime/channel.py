"""A bounded channel whose producer lives exactly as long as the block that reads from it.

It takes the place of an async generator, which cannot own tasks: a generator that is left early is
finalized later, by another task, and its cancel scopes with it.

The channel is not anyio's memory object stream, because that hands an item over to a waiting receiver: if
``asyncio.Task.cancel()`` (``asyncio.wait_for``, say) reaches the receiver before it wakes, the item is lost.
Here, an item stays in the channel until a receiver that is awake takes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from .._io.task_groups import open_task_group

T = TypeVar("T")

__all__ = ["Channel", "producing"]


class Channel(Generic[T]):
    """Holds up to *capacity* items between tasks of one event loop.

    Who waits is woken alone, and in turn: were all woken for each item, the time that a crowd of senders
    takes would grow with its square.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._promised = 0  # places for senders that were woken and have not run yet
        self._senders: deque[anyio.Event] = deque()
        self._receivers: deque[anyio.Event] = deque()
        self._complete = False
        self._abandoned = False

    async def send(self, item: T) -> None:
        """Add *item*, waiting only while the channel is full; items keep the order of the calls.

        Raises:
            anyio.BrokenResourceError: nobody will receive it.
        """
        if not self._has_place and not self._abandoned:
            await self._wait_for_place()
        if self._abandoned:
            raise anyio.BrokenResourceError
        self._items.append(item)
        self._wake_receiver()

    async def receive(self) -> T:
        """Take the next item, waiting for it; a call that is cancelled, in whatever way, takes none.

        Raises:
            anyio.EndOfStream: there are no more.
        """
        await checkpoint()
        while not self._items:
            if self._complete or self._abandoned:
                raise anyio.EndOfStream
            await self._wait_for_item()
        item = self._items.popleft()
        self._promise_places()
        return item

    def complete(self) -> None:
        """Take note that nothing more will be sent; what is there can still be received."""
        self._complete = True
        _wake_all(self._receivers)

    def abandon(self) -> None:
        """Take note that nothing more will be received; what is there is dropped."""
        self._abandoned = True
        self._items.clear()
        _wake_all(self._receivers)
        _wake_all(self._senders)

    @property
    def _has_place(self) -> bool:
        return len(self._items) + self._promised < self._capacity

    async def _wait_for_place(self) -> None:
        woken = anyio.Event()
        self._senders.append(woken)
        try:
            await woken.wait()
        except BaseException:
            if woken.is_set():
                self._promised -= 1
                self._promise_places()
            else:
                self._senders.remove(woken)
            raise
        self._promised -= 1

    def _promise_places(self) -> None:
        while self._senders and self._has_place:
            self._promised += 1
            self._senders.popleft().set()

    async def _wait_for_item(self) -> None:
        woken = anyio.Event()
        self._receivers.append(woken)
        try:
            await woken.wait()
        except BaseException:
            if woken.is_set():
                self._wake_receiver()
            else:
                self._receivers.remove(woken)
            raise

    def _wake_receiver(self) -> None:
        if self._receivers:
            self._receivers.popleft().set()


def _wake_all(waiting: deque[anyio.Event]) -> None:
    while waiting:
        waiting.popleft().set()


@asynccontextmanager
async def producing(
    producer: Callable[[Channel[T]], Awaitable[None]], *, capacity: int
) -> AsyncGenerator[Channel[T], None]:
    """Run *producer* during the block and yield the channel that it sends to.

    The producer is stopped when the block is left. It may be at most *capacity* items ahead of the
    reader.
    """
    channel: Channel[T] = Channel(capacity)

    async def run() -> None:
        try:
            await producer(channel)
        finally:
            channel.complete()

    async with open_task_group() as task_group:
        task_group.start_soon(run)
        try:
            yield channel
        finally:
            task_group.cancel_scope.cancel("the consumer left the block")
