"""An ``async with`` block that is kept open without one: by a task of its own, between two calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from .._host import current_host
from .._io.task_groups import is_cancellation, open_task_group
from ..exceptions import CodexError
from .failures import fresh

__all__ = ["Hosted", "Spawn"]

T = TypeVar("T")

Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]], str], object]
"""Starts a task (a function and a name) that outlives the caller's current block."""

_inside: ContextVar[tuple[object, ...]] = ContextVar("codex_sdk_inside", default=())
"""The blocks that the calling task belongs to: which wait for it, when they are left."""


class Hosted(Generic[T]):
    """Enters *block* in a task of its own, and leaves it when that is asked for.

    The block is left by itself too, when *over* returns, which is given what the block has yielded.
    """

    def __init__(
        self, block: AbstractAsyncContextManager[T], over: Callable[[T], Awaitable[None]]
    ) -> None:
        self.host = current_host()
        self._block = block
        self._over = over
        self._stop = anyio.Event()
        self._scope = anyio.CancelScope()
        self._started = anyio.Event()
        self._ended = anyio.Event()
        self._begun = False
        self._awaiting = 0
        self._handed_over = False
        self._given_up = False
        self._yielded: list[T] = []
        self._error: BaseException | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the block has been left."""
        return self._ended.is_set()

    @property
    def is_being_left(self) -> bool:
        """Whether the block is left, or is to be."""
        return self._stop.is_set() or self._ended.is_set()

    @property
    def given_up(self) -> bool:
        """Whether the block is not entered because all who waited for that were cancelled."""
        return self._given_up

    async def start(self, spawn: Spawn, *, shielded: bool) -> T:
        """Enter the block and return what it yields.

        A start that is cancelled leaves nothing behind, unless another task waits for it in
        :meth:`entered`: then it goes on, and is undone if the last of these is cancelled too.

        Args:
            spawn: starts the task.
            shielded: whether a cancellation of the task is to wait for :meth:`stop`, which must then come.
                False means a task of the loop's own besides, which nobody waits for: what it ends by,
                ``SystemExit`` included, is kept for :meth:`stop`, where others raise it at once.

        Raises:
            BaseException: whatever entering the block raises.
        """
        spawn(lambda: self._run(shielded), "codex_sdk app-server")
        return await self.entered()

    async def entered(self) -> T:
        """Return what the block yields, once it is entered; raises what :meth:`start` does."""
        self._awaiting += 1
        try:
            await self._started.wait()
        except BaseException:
            self._awaiting -= 1
            if not (self._awaiting or self._handed_over):
                self._given_up = True
                self.begin_to_stop()
                await self.left()  # noqa: ASYNC102, ASYNC120 - shields itself, and raises nothing else
            raise
        self._awaiting -= 1
        if not self._yielded:
            raise self._reason()
        self._handed_over = True
        return self._yielded[0]

    def _reason(self) -> BaseException:
        if self._error is None:
            return CodexError("the app-server was closed before it had started")
        return fresh(self._error)

    def begin_to_stop(self) -> None:
        """Have the block left, without waiting for that."""
        self._stop.set()
        if not self._yielded:
            self._scope.cancel("it is to be left before it is entered")
        if (
            not self._begun
        ):  # and perhaps it never will be: a closing loop cancels tasks before they run
            self._end()

    async def stop(self) -> None:
        """Leave the block, and wait until it is left; whatever happens to the waiting task.

        A task of the block's own, such as that of a handler, does not wait: the block waits for it.

        Raises:
            BaseException: whatever has gone wrong in the block, since it was entered; told once.
        """
        self.begin_to_stop()
        await self.left()
        if self.has_ended and self._yielded and self._error is not None:
            error, self._error = self._error, None
            raise error

    async def left(self) -> None:
        """Wait until the block is left, whatever happens to the waiting task; its own do not wait."""
        if self in _inside.get():
            await checkpoint()
            return
        with anyio.CancelScope(shield=True):  # bounded: leaving the block is
            await self._ended.wait()

    async def _run(self, shielded: bool) -> None:
        if self._stop.is_set():
            return
        self._begun = True
        _inside.set((*_inside.get(), self))
        try:
            with self._scope:
                async with self._block as value:
                    self._yielded.append(value)
                    self._started.set()
                    with anyio.CancelScope(shield=shielded):
                        await self._until_over(value)
        except BaseException as error:  # noqa: ASYNC103 - raised by start() or stop(), whatever it is
            if is_cancellation(error) or (shielded and not isinstance(error, Exception)):
                raise
            self._error = error
        finally:
            self._end()

    def _end(self) -> None:
        self._started.set()
        self._ended.set()

    async def _until_over(self, value: T) -> None:
        async def watch() -> None:
            await self._over(value)
            self._stop.set()

        async with open_task_group() as task_group:
            task_group.start_soon(watch)
            await self._stop.wait()
            task_group.cancel_scope.cancel("the block is to be left")
