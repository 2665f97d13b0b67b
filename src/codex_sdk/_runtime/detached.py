"""Loose iterators: turns that are read without an ``async with`` around them.

The iterator that the caller holds owns nothing but the receiving end of a channel. The turn itself runs,
as an ordinary ``async with`` block, in a task of its own, and ends when the caller lets the iterator go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar

import anyio

from .._host import Host, current_host
from ..exceptions import CodexError
from .channel import send_to

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

__all__ = ["BatchSource", "LooseIterator", "Spawn"]

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]], str], None]
"""Starts a task (a function and a name) that outlives the caller's current block."""


class BatchSource(Protocol[T_co]):
    """Hands out what it has, as sequences; an empty one is the end."""

    async def receive_batch(self) -> Sequence[T_co]: ...


class _Link(Generic[T]):
    """What the iterator and the task behind it share."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.send, self.receive = anyio.create_memory_object_stream[Sequence[T]](1)
        self.scope = anyio.CancelScope()
        self.started = False
        self.ended = anyio.Event()
        self.error: Exception | None = CodexError(
            "the event loop or the Codex client that ran the turn was closed before the turn ended"
        )

    async def run(self, source: AbstractAsyncContextManager[BatchSource[T]]) -> None:
        """Forward all batches of *source*; never raises anything but a cancellation of its own task."""
        self.started = True
        try:
            with self.scope:
                async with source as batches:
                    while batch := await batches.receive_batch():
                        await send_to(self.send, batch)
                self.error = None
        except Exception as error:  # noqa: BLE001 - raised in the reader, whatever it is
            self.error = error
        finally:
            self.send.close()
            self.ended.set()

    def cut(self) -> None:
        """Stop the turn. Called in the loop's thread; what is still buffered is dropped."""
        self.scope.cancel("the iterator over the turn's events was let go")
        self.receive.close()
        if (
            not self.started
        ):  # and perhaps never will be: a closing loop cancels tasks before they run
            self.send.close()
            self.ended.set()

    async def stop(self) -> None:
        """Stop the turn and wait until nothing of it is left, whatever happens to the waiting task."""
        self.cut()
        with anyio.CancelScope(shield=True):  # bounded: ending a process is
            await self.ended.wait()


class LooseIterator(AsyncIterator[T]):
    """Iterates over the events of a turn, which begins with the first ``__anext__``.

    The turn is stopped when the iterator is closed (``aclose()``, ``contextlib.aclosing``), when the
    task that waits in ``__anext__`` is cancelled, and when the last reference to the iterator is gone,
    as after a ``break``. Prefer ``async with thread.stream(…)``, which waits for that.
    """

    def __init__(
        self,
        source: AbstractAsyncContextManager[BatchSource[T]],
        spawn: Spawn,
        *,
        on_let_go: Callable[[], object],
    ) -> None:
        self._source = source
        self._spawn = spawn
        self._on_let_go = (
            on_let_go  # called from wherever the iterator is let go, finalizers included
        )
        self._link: _Link[T] | None = None
        self._batch: deque[T] = deque()
        self._closed = False

    def __aiter__(self) -> LooseIterator[T]:
        return self

    async def __anext__(self) -> T:
        if not self._batch:
            self._batch.extend(await self._next_batch())
        return self._batch.popleft()

    async def aclose(self) -> None:
        """Stop the turn, if it runs, and wait until it is over; later iteration ends at once."""
        self._closed = True
        self._batch.clear()
        if self._link is not None:
            self._on_let_go()
            await self._link.stop()

    async def _next_batch(self) -> Sequence[T]:
        if self._closed:
            raise StopAsyncIteration
        link = self._link or self._start()
        try:
            return await link.receive.receive()
        except anyio.EndOfStream:
            self._closed = True
            link.receive.close()
            if link.error is not None:
                raise link.error from None
            raise StopAsyncIteration from None
        except anyio.get_cancelled_exc_class():
            await self.aclose()
            raise

    def _start(self) -> _Link[T]:
        link: _Link[T] = _Link(current_host())
        source = self._source
        self._link = link
        self._spawn(lambda: link.run(source), "codex_sdk turn")
        return link

    def __del__(self) -> None:
        # Finalizers run in whatever thread and at whatever point the collector likes.
        if self._link is None or self._closed:
            return
        self._on_let_go()
        if not self._link.host.call_soon(self._link.cut):
            self._link.receive.close()
