"""Loose iterators: turns that are read without an ``async with`` around them.

The iterator that the caller holds owns nothing but the receiving end of a channel. The turn itself runs,
as an ordinary ``async with`` block, in a task of its own, and ends when the caller lets the iterator go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

import anyio

from .._host import Host, current_host
from .._io.process import end_abandoned
from ..exceptions import CodexError
from .channel import Channel

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

__all__ = ["LooseIterator", "Spawn", "TurnBlock"]

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]], str], None]
"""Starts a task (a function and a name) that outlives the caller's current block."""


class TurnBlock(Protocol[T_co]):
    """A turn that runs as long as its ``async with`` block lasts."""

    @property
    def is_over(self) -> bool:
        """Whether the turn has ended, so that only its process has still to exit."""
        ...

    async def receive_batch(self) -> Sequence[T_co]:
        """Return the next events; none, at the end."""
        ...

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None: ...


class _Link(Generic[T]):
    """What the iterator and the task behind it share."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.batches: Channel[Sequence[T]] = Channel(1)
        self.scope = anyio.CancelScope()
        self.started = False
        self.ended = anyio.Event()
        self.error: Exception | None = CodexError(
            "the event loop or the Codex client that ran the turn was closed before the turn ended"
        )

    async def run(self, source: TurnBlock[T]) -> None:
        """Forward all batches of *source*; never raises anything but a cancellation of its own task."""
        if self.scope.cancel_called:
            return
        self.started = True
        try:
            with self.scope:
                async with source:
                    while batch := await source.receive_batch():
                        await self._forward(batch)
                self.error = None
        except Exception as error:  # noqa: BLE001 - raised in the reader, whatever it is
            self.error = error
        finally:
            self.end()

    async def _forward(self, batch: Sequence[T]) -> None:
        try:
            await self.batches.send(batch)
        except anyio.BrokenResourceError:
            pass  # let go of while the turn is over, and only its process has still to exit

    def cut(self, *, at_once: bool) -> None:
        """Stop the turn; called in the loop's thread. What is still buffered is dropped.

        Without *at_once*, nothing is stopped but the reading: the turn ends soon by itself.
        """
        self.batches.abandon()
        if at_once:
            self.scope.cancel("the iterator over the turn's events was let go")
        if not self.started:
            # And perhaps it never will be: a closing loop cancels tasks before they run.
            self.scope.cancel()
            self.end()

    def end(self) -> None:
        """Wake who waits for events, or for the end."""
        self.batches.complete()
        self.ended.set()

    async def stop(self, *, at_once: bool) -> None:
        """Stop the turn and wait until nothing of it is left, whatever happens to the waiting task."""
        self.cut(at_once=at_once)
        with anyio.CancelScope(shield=True):  # bounded: ending a process is
            await self.ended.wait()


class LooseIterator(AsyncIterator[T]):
    """Iterates over the events of a turn, which begins with the first ``__anext__``.

    The turn is stopped when the iterator is closed (``aclose()``, ``contextlib.aclosing``), when the
    task that waits in ``__anext__`` is cancelled, and when the last reference to the iterator is gone,
    as after a ``break``. Prefer ``async with thread.stream(…)``, which waits for that.
    """

    def __init__(self, source: TurnBlock[T], spawn: Spawn, on_let_go: Callable[[], object]) -> None:
        self._source = source
        self._spawn = spawn
        self._on_let_go = on_let_go
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
            await self._link.stop(at_once=not self._source.is_over)

    async def _next_batch(self) -> Sequence[T]:
        if self._closed:
            raise StopAsyncIteration
        link = self._link or self._start()
        try:
            return await link.batches.receive()
        except anyio.EndOfStream:
            self._closed = True
        except anyio.get_cancelled_exc_class():
            await self.aclose()
            raise
        if link.error is not None:
            raise link.error
        raise StopAsyncIteration

    def _start(self) -> _Link[T]:
        link: _Link[T] = _Link(current_host())
        source = self._source
        self._link = link
        self._spawn(lambda: link.run(source), "codex_sdk turn")
        return link

    def __del__(self) -> None:
        # Finalizers run in whatever thread and at whatever point the collector likes.
        if self._link is not None and not self._closed:
            self._on_let_go()
            cut = partial(self._link.cut, at_once=not self._source.is_over)
            if not self._link.host.call_soon(cut):
                end_abandoned()
