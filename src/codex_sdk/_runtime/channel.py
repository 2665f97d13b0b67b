"""A bounded channel whose producer lives exactly as long as the block that reads from it.

It takes the place of an async generator, which cannot own tasks: a generator that is left early is
finalized later, by another task, and its cancel scopes with it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from .._io.task_groups import open_task_group

T = TypeVar("T")

__all__ = ["producing", "send_to"]


@asynccontextmanager
async def producing(
    producer: Callable[[MemoryObjectSendStream[T]], Awaitable[None]], *, buffer: int
) -> AsyncGenerator[MemoryObjectReceiveStream[T], None]:
    """Run *producer* during the block and yield the end from which its items are received.

    The producer is stopped when the block is left. It may be at most *buffer* items ahead of the
    reader.
    """
    send, receive = anyio.create_memory_object_stream[T](buffer)

    async def run() -> None:
        with send:
            await producer(send)

    with send, receive:
        async with open_task_group() as task_group:
            task_group.start_soon(run)
            try:
                yield receive
            finally:
                # Before the receiving end closes: its producer would be told that it is broken.
                task_group.cancel_scope.cancel("the consumer left the block")


async def send_to(stream: MemoryObjectSendStream[T], item: T) -> None:
    """Send *item*, without giving way to other tasks as long as the channel has room."""
    try:
        stream.send_nowait(item)
    except anyio.WouldBlock:
        await stream.send(item)
