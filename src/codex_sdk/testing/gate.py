"""A place in a reply where the model stops until the test lets it go on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock

import anyio
from anyio.lowlevel import checkpoint

from .._host import current_host

__all__ = ["Gate"]


class Latch:
    """An event that is set once, by any thread, and awaited by tasks of any event loop and by threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_set = False
        self._callbacks: dict[object, Callable[[], object]] = {}

    def set(self) -> None:
        with self._lock:
            self._is_set = True
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()

    def is_set(self) -> bool:
        return self._is_set

    async def wait(self) -> None:
        event = anyio.Event()
        host = current_host()
        key = self._subscribe(lambda: host.call_soon(event.set))
        try:
            if self._is_set:
                await checkpoint()
            else:
                await event.wait()
        finally:
            self._unsubscribe(key)

    def wait_sync(self, timeout: float) -> bool:
        event = Event()
        key = self._subscribe(event.set)
        try:
            return self._is_set or event.wait(timeout)
        finally:
            self._unsubscribe(key)

    def _subscribe(self, callback: Callable[[], object]) -> object:
        key = object()
        with self._lock:
            self._callbacks[key] = callback
        return key

    def _unsubscribe(self, key: object) -> None:
        with self._lock:
            del self._callbacks[key]


class Gate:
    """A step of a reply at which the model stops until the test releases it.

    The test learns when the reply has got that far, does what it wants to do at that moment, and lets
    the reply go on, or leaves it hanging: it ends with the connection or with the server::

        gate = Gate()
        server.will_reply(Reply(Message("Let me "), gate, Message("think.")))
        ...
        await gate.reached()
        gate.release()

    A gate that is the first step holds the whole response back, its HTTP status included. A gate stays
    open once it is released; every reply that comes to it before waits. All methods may be called from
    any thread and any event loop.
    """

    def __init__(self) -> None:
        self._reached = Latch()
        self._released = Latch()

    async def reached(self) -> None:
        """Wait until a reply has come to the gate."""
        await self._reached.wait()

    def reached_sync(self, timeout: float = 30.0) -> None:
        """Do what :meth:`reached` does, in a program without an event loop.

        Raises:
            TimeoutError: no reply came to the gate within *timeout* seconds.
        """
        if not self._reached.wait_sync(timeout):
            raise TimeoutError(f"no reply came to the gate within {timeout:g} seconds")

    def release(self) -> None:
        """Let the replies that wait at the gate, and all that come to it later, go on."""
        self._released.set()

    async def pass_through(self) -> None:
        """Come to the gate and wait until it is open; for the callables of a script."""
        self._reached.set()
        await self._released.wait()

    def __repr__(self) -> str:
        state = "open" if self._released.is_set() else "closed"
        return f"<Gate {state}{', reached' if self._reached.is_set() else ''}>"
